package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v4"

	"dirsync"
	"dirsync/graph"
	"dirsync/mapping"
)

// To is where a sync's people go: exactly one of Directory, SCIM and Entra is set. In the file it is "directory", or the
// key of one of the others.
type To struct {
	// Directory is the embedded directory.
	Directory bool `yaml:"-"`
	// SCIM is one of Config.Applications, Entra one of Config.Tenants.
	SCIM  string `yaml:"scim"`
	Entra string `yaml:"entra"`
	// Anchor is the property of a user in Entra that keeps whose account it is; empty: none does.
	Anchor string `yaml:"anchor"`
	// Passwords is a file that the first passwords of new users are added to; unset: nobody is told them.
	Passwords FilePath `yaml:"passwords"`
	// WriteBack lets people be written to the tenant that they came from.
	WriteBack bool `yaml:"write_back"`
}

const embedded = "directory"

// String names the target, for people and programs.
func (t To) String() string {
	if t.Directory {
		return embedded
	}
	return t.SCIM + t.Entra
}

// plainTo and plainFrom are read key by key.
type (
	plainTo   To
	plainFrom From
)

// decodeNode reads "directory", or the keys.
func (t *To) decodeNode(d *decoder, n *yaml.Node, path string) {
	const want = "directory, { scim: APPLICATION } or { entra: TENANT }"
	switch {
	case n.Kind == yaml.MappingNode:
		d.decode(n, path, valueOf((*plainTo)(t)))
	case n.Kind == yaml.ScalarNode && n.Value == embedded:
		t.Directory = true
	case n.Kind == yaml.ScalarNode:
		d.fault(position(n), path, "is %s; write %s", quoted(n.Value), want)
	default:
		d.wrongKind(n, path, want)
	}
}

// decodeNode reads "directory", or the keys.
func (f *From) decodeNode(d *decoder, n *yaml.Node, path string) {
	const want = "{ entra: TENANT }, { scim: APPLICATION } or directory"
	switch {
	case n.Kind == yaml.MappingNode:
		d.decode(n, path, valueOf((*plainFrom)(f)))
	case n.Kind == yaml.ScalarNode && n.Value == embedded:
		f.Directory = true
	case n.Kind == yaml.ScalarNode:
		d.fault(position(n), path, "is %s; write %s", quoted(n.Value), want)
	default:
		d.wrongKind(n, path, want)
	}
}

// String names the source, for people and programs.
func (f From) String() string {
	if f.Directory {
		return embedded
	}
	return f.SCIM + f.Entra
}

// targetFields are what a sync's mapping can fill. Of a tenant's own properties nobody knows the types without asking it.
func (c *Config) targetFields(s *Sync) []dirsync.Field {
	if app := c.Applications[s.To.SCIM]; app != nil {
		return app.fields()
	}
	if s.To.Entra != "" {
		return graph.AssumeExtensions(graph.WriteCatalogue(), s.Fields.names()...)
	}
	return append(mapping.Mandatory(), c.Directory.FieldList()...)
}

// names are the fields that the mappings fill.
func (ms FieldMappings) names() []string {
	out := make([]string, len(ms))
	for i, m := range ms {
		out[i] = m.Field
	}
	return out
}

// fieldNoun says what a field of a sync's target is called.
func (t To) fieldNoun() string {
	switch {
	case t.SCIM != "":
		return "field of " + t.SCIM
	case t.Entra != "":
		return "writable property"
	}
	return "directory field"
}

// setEnds fills in what depends on where a sync's people go. In Entra nobody is blocked or deleted unless the file says so,
// and accounts are found by the name that every one has.
func (d *decoder) setEnds(path string, s *Sync) {
	if s.To.Entra == "" {
		return
	}
	if !d.said(path + ".when_deleted") {
		s.WhenDeleted = KeepDeleted
	}
	if !d.said(path + ".when_blocked") {
		s.WhenBlocked = KeepBlocked
	}
	if !d.said(path + ".join") {
		s.Join = []string{userName}
	}
}

// userName is the property of a user in Entra that every one has, and no two share.
const userName = "userPrincipalName"

// checkEnds checks where a sync's people come from and where they go.
func (d *decoder) checkEnds(path string, s *Sync, c *Config) {
	d.checkEnd(path+".from", map[string]string{"entra": s.From.Entra, "scim": s.From.SCIM}, s.From.Directory, c)
	d.checkEnd(path+".to", map[string]string{"entra": s.To.Entra, "scim": s.To.SCIM}, s.To.Directory, c)
	if s.From.SCIM != "" && !d.failed(path+".from") {
		for _, key := range []string{"users", "groups"} {
			if at := join(path+".from", key); d.said(at) {
				d.faultAt(at, "has no effect, because groups are not read from an application; remove it")
			}
		}
	}
	if at := path + ".from.users.nested"; s.From.Directory && d.said(at) && !d.failed(at) {
		d.faultAt(at, "has no effect, because groups of the directory do not nest; remove it")
	}
	d.checkWriting(path, s)
	if app := c.Applications[s.To.SCIM]; app != nil && !d.failed("applications."+s.To.SCIM) {
		d.checkOperations(path, s, app)
	}
	if s.From.String() == s.To.String() && s.From.String() != "" && !d.failed(path+".to") {
		d.faultAt(path+".to", "is where the people come from; a sync has two different ends")
	}
}

// checkWriting checks what is said about writing to a tenant.
func (d *decoder) checkWriting(path string, s *Sync) {
	if s.To.Entra == "" {
		for _, key := range []string{"anchor", "passwords", "write_back"} {
			if at := join(path+".to", key); d.said(at) && !d.failed(path+".to") {
				d.faultAt(at, "has a meaning for { entra: TENANT } only; remove it")
			}
		}
		return
	}
	if s.From.Entra != "" && !d.failed(path+".from") {
		d.faultAt(path+".from.entra", "is a tenant, and so is the target; people are written to a tenant from an application or the directory")
	}
	if d.failed(path+".to") || d.failed(path+".fields") {
		return
	}
	client, err := speechless(&Tenant{ID: "00000000-0000-4000-8000-000000000000", Cloud: string(graph.Global)})
	if err == nil {
		defer client.Close()
		_, err = client.Writer(writerConfig(s))
	}
	if err != nil {
		d.faultAt(path+".to", "cannot be written: %s", err)
	}
}

// writerConfig says in the words of package graph what a sync writes.
func writerConfig(s *Sync) graph.WriterConfig {
	c := graph.WriterConfig{Properties: s.Fields.names(), Anchor: s.To.Anchor}
	for _, policy := range []string{string(s.WhenDeleted), string(s.WhenOutOfScope), string(s.WhenBlocked)} {
		switch policy {
		case string(DeactivateDeleted):
			c.AllowBlock = true
		case string(DeleteDeleted):
			c.AllowDelete, c.AllowBlock = true, c.AllowBlock || s.Grace > 0
		}
	}
	return c
}

// checkEnd checks one end of a sync.
func (d *decoder) checkEnd(path string, named map[string]string, directory bool, c *Config) {
	if d.failed(path) {
		return
	}
	at := join(path, embedded)
	if d.said(at) && !directory && !d.failed(at) {
		d.faultAt(at, "is false; write true, or remove it and name another end")
		return
	}
	if directory {
		for _, key := range []string{"entra", "scim"} {
			if other := join(path, key); d.said(other) {
				d.faultAt(other, "there is directory already; keep one of them")
			}
		}
		return
	}
	examples := map[string]string{"entra": "contoso", "scim": "kissflow"}
	known := map[string][]string{"entra": slices.Sorted(maps.Keys(c.Tenants)), "scim": slices.Sorted(maps.Keys(c.Applications))}
	nouns, section := map[string]string{"entra": "tenant", "scim": "application"}, map[string]string{"entra": "tenants", "scim": "applications"}
	first := ""
	for _, key := range []string{"entra", "scim"} {
		at, name := join(path, key), named[key]
		switch {
		case !d.said(at):
			continue
		case first != "":
			d.faultAt(at, "there is %s already; keep one of them", first)
			continue
		case name == "":
			d.faultAt(at, "is missing; write the name of one of the %s: { %s: %s }", section[key], key, examples[key])
		case len(known[key]) == 0 && !d.broken(section[key]):
			d.faultAt(at, "there is no %s %s, because the file describes none; add it under %s", nouns[key], quoted(name), section[key])
		case !slices.Contains(known[key], name) && !d.failed(section[key]+"."+name) && !d.broken(section[key]):
			d.unknownName(at, name, nouns[key], known[key])
		}
		first = key
	}
	if first == "" {
		d.faultAt(path, "is missing; write { entra: TENANT }, { scim: APPLICATION } or directory")
	}
}

// checkOperations makes a sync plan only what the application takes.
func (d *decoder) checkOperations(path string, s *Sync, app *Application) {
	create, update, remove, groups := app.profile().Operations()
	switch {
	case !create && !update && !remove:
		d.faultAt(path+".to", "takes no changes at all, because create, update and delete are switched off in applications.%s.operations", s.To.SCIM)
		return
	case !groups && s.From.Groups.Which != NoGroups && d.said(path+".from.groups") && !d.failed(path+".from"):
		d.faultAt(path+".from.groups", "has no effect, because %s takes no groups; remove it", s.To.SCIM)
	case !groups:
		s.From.Groups = GroupSelection{Which: NoGroups}
	}
	for _, p := range []struct {
		key    string
		policy *string
	}{{"when_deleted", (*string)(&s.WhenDeleted)}, {"when_out_of_scope", (*string)(&s.WhenOutOfScope)}, {"when_blocked", (*string)(&s.WhenBlocked)}} {
		cannot := *p.policy == string(DeactivateDeleted) && !update || *p.policy == string(DeleteDeleted) && !remove
		switch at := join(path, p.key); {
		case !cannot:
		case d.said(at):
			d.faultAt(at, "is %s, which %s does not take; write keep, or switch the operation on in applications.%s.operations", *p.policy, s.To.SCIM, s.To.SCIM)
		default:
			*p.policy = string(KeepDeleted)
		}
	}
	if update {
		return
	}
	for i, m := range s.Fields {
		if m.SyncUpdates != nil && *m.SyncUpdates {
			d.faultAt(join(path+".fields", m.Field)+".sync_updates", "is true, but %s takes no updates; remove it", s.To.SCIM)
		}
		never := false
		s.Fields[i].SyncUpdates = &never
	}
}

// checkCircles refuses syncs that undo or feed each other.
func (d *decoder) checkCircles(c *Config, names []string) {
	flows, first := map[string][]string{}, map[string]string{}
	for _, name := range names {
		s := c.Syncs[name]
		path := join("syncs", name)
		if d.failed(path+".from") || d.failed(path+".to") || s.From.String() == "" || s.To.String() == "" {
			continue
		}
		flow := s.From.end() + " → " + s.To.end()
		if other, twice := first[flow]; twice {
			d.faultAt(path+".from", "the sync %s already reads %s into %s; two syncs would undo each other's changes. Make one of them", other, s.From, s.To)
			continue
		}
		first[flow] = name
		if s.To.WriteBack {
			continue // that is what was asked for
		}
		flows[s.From.end()] = append(flows[s.From.end()], name)
		if way := circle(c, flows, s.To.end(), s.From.end(), nil); way != nil {
			d.faultAt(path+".to", "goes round in a circle: %s. Each of them would take the other's people for new ones; leave one of them out",
				describeCircle(c, append([]string{name}, way...)))
		}
	}
}

// end tells ends apart that have the same name.
func (t To) end() string {
	if t.Entra != "" {
		return "tenant " + t.Entra
	}
	return t.String()
}

func (f From) end() string {
	if f.Entra != "" {
		return "tenant " + f.Entra
	}
	return f.String()
}

// circle finds a way along syncs from one end to another; nil if there is none.
func circle(c *Config, flows map[string][]string, from, to string, seen []string) []string {
	if slices.Contains(seen, from) {
		return nil
	}
	for _, name := range flows[from] {
		next := c.Syncs[name].To.end()
		if next == to {
			return []string{name}
		}
		if way := circle(c, flows, next, to, append(seen, from)); way != nil {
			return append([]string{name}, way...)
		}
	}
	return nil
}

func describeCircle(c *Config, syncs []string) string {
	var b strings.Builder
	b.WriteString(c.Syncs[syncs[0]].From.String())
	for _, name := range syncs {
		fmt.Fprintf(&b, " → %s (%s)", c.Syncs[name].To, name)
	}
	return b.String()
}
