package main

import (
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	yaml "go.yaml.in/yaml/v4"

	"dirsync"
	"dirsync/mapping"
	"dirsync/scim/server"
)

// FedBy says who fills the embedded directory. Two that do so at the same time would undo each other's changes.
type FedBy string

// Who may fill the directory. The zero FedBy is FedBySyncs.
const (
	FedBySyncs FedBy = "syncs" // syncs with to: directory
	FedBySCIM  FedBy = "scim"  // clients that push, through serve.scim
)

// String is the word that the configuration has.
func (f FedBy) String() string {
	if f == "" {
		return string(FedBySyncs)
	}
	return string(f)
}

// SCIMConfig is the SCIM 2.0 server over the embedded directory. While syncs fill the directory, clients may only read.
type SCIMConfig struct {
	// Listen is an IP address and a port. An address that other machines can reach has TLS, or a proxy in front of it.
	Listen string `yaml:"listen"`
	// TLS is read again whenever its files change.
	TLS TLSConfig `yaml:"tls"`
	// BehindProxy says that a proxy on a trusted address does TLS.
	BehindProxy ProxyTrust `yaml:"behind_proxy"`
	// URL is what people write into their identity provider, without a slash at the end. It may be unset on this machine's own
	// addresses.
	URL string `yaml:"url"`
	// Fields say by name where users have the directory's fields. Those that are left out are where server.DefaultFields has
	// them, or else in the schema DirectoryURN under their own name.
	Fields map[string]SCIMPaths `yaml:"fields"`
	// WhenDeleted is what a deletion does: DeactivateDeleted, the default, or DeleteDeleted.
	WhenDeleted WhenDeleted `yaml:"when_deleted"`
	// Operations switch requests off. nil: on.
	Operations Operations `yaml:"operations"`
	// Limits say how much clients may take away without a person's approval.
	Limits SCIMLimits `yaml:"limits"`
	// Rate is how many requests a second each token has, by default DefaultSCIMRate.
	Rate int `yaml:"rate"`
}

// SCIMLimits are the limits that guard what clients push, as those of a sync do. Clients make no runs: what comes within an
// hour counts as one.
type SCIMLimits struct {
	Deletes       Budget `yaml:"deletes"`
	Deactivations Budget `yaml:"deactivations"`
	// Groups is for the deletions of groups.
	Groups Budget `yaml:"groups"`
}

// DefaultSCIMRate is more than Microsoft Entra ID and its validator send, and little enough to protect everybody else.
const DefaultSCIMRate = 250

// DirectoryURN is the schema of those fields of the directory to which the configuration gives no place.
const DirectoryURN = "urn:dirsync:scim:schemas:extension:directory:2.0:User"

// SCIMPaths are the places of one field: the first that has a value counts. In the file it is one path or a list.
type SCIMPaths []string

// decodeNode reads a path, or a list of them.
func (p *SCIMPaths) decodeNode(d *decoder, n *yaml.Node, path string) {
	switch n.Kind {
	case yaml.ScalarNode:
		if text, ok := d.text(n, path); ok {
			*p = SCIMPaths{text}
		}
	case yaml.SequenceNode:
		d.decode(n, path, valueOf((*[]string)(p)))
	default:
		d.wrongKind(n, path, "a SCIM path, such as title, or a list of them")
		return
	}
	if (len(*p) == 0 || slices.Contains(*p, "")) && !d.failed(path) {
		d.fault(position(n), path, "is empty; write where clients have the field: title, or urn:…:User:department")
	}
}

// ProxyTrust says from where a proxy may come. In the file it is true, which means this machine, or a list of addresses and
// networks. The zero ProxyTrust: there is none.
type ProxyTrust struct{ From []netip.Prefix }

// IsSet tells a server behind a proxy.
func (t ProxyTrust) IsSet() bool { return len(t.From) > 0 }

// trusts tells whether requests may come from an address.
func (t ProxyTrust) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(t.From, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) })
}

// thisMachine are the addresses that only this machine has.
func thisMachine() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

// decodeNode reads true, or a list of addresses and networks.
func (t *ProxyTrust) decodeNode(d *decoder, n *yaml.Node, path string) {
	switch {
	case n.Kind == yaml.SequenceNode:
		var texts []string
		d.decode(n, path, valueOf(&texts))
		if len(texts) == 0 && !d.failed(path) {
			d.fault(position(n), path, "is empty; name the proxy's address, or remove the key")
		}
		for i, text := range texts {
			p, ok := parseNetwork(text)
			if at := join(path, strconv.Itoa(i+1)); !ok && !d.failed(at) {
				d.faultAt(at, "should be an IP address or a network: 10.0.0.7, or 10.0.0.0/24")
			}
			t.From = append(t.From, p)
		}
	case n.Kind == yaml.ScalarNode && n.Value == "true":
		t.From = thisMachine()
	case n.Kind == yaml.ScalarNode && n.Value == "false":
	default:
		d.wrongKind(n, path, "true, for a proxy on this machine, or a list of addresses that are trusted: [10.0.0.0/24]")
	}
}

// parseNetwork reads an address, or a network.
func parseNetwork(text string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), a.Zone() == ""
	}
	p, err := netip.ParsePrefix(text)
	return p.Masked(), err == nil
}

func (c *SCIMConfig) setDefaults() {
	limit := Budget{Count: DefaultLimitCount, Share: DefaultLimitShare, Floor: DefaultLimitFloor}
	c.Limits = SCIMLimits{Deletes: limit, Deactivations: limit,
		Groups: Budget{Count: DefaultGroupLimitCount, Share: DefaultLimitShare, Floor: DefaultGroupLimitFloor}}
	c.WhenDeleted, c.Rate = DeactivateDeleted, DefaultSCIMRate
}

// baseURL is the address that clients use, as far as the configuration says it; at is where the server listens.
func (c *SCIMConfig) baseURL(at string) string {
	if c.URL != "" {
		return c.URL
	}
	scheme := "http"
	if c.TLS.IsSet() {
		scheme = "https"
	}
	return scheme + "://" + at + "/scim/v2"
}

// fieldPaths are the places of all fields of the directory.
func (c *SCIMConfig) fieldPaths(directory DirectoryConfig) []server.FieldPath {
	var out []server.FieldPath
	for _, f := range slices.Concat(mapping.Mandatory(), directory.FieldList()) {
		paths, said := c.Fields[f.Name]
		if !said {
			for _, usual := range server.DefaultFields() {
				if usual.Field.Name == f.Name {
					paths = append(paths, usual.Path)
				}
			}
		}
		if len(paths) == 0 {
			paths = SCIMPaths{DirectoryURN + ":" + f.Name}
		}
		for _, path := range paths {
			out = append(out, server.FieldPath{Field: f, Path: path})
		}
	}
	return out
}

// actions say what clients may not do with users, and with groups.
func (c *SCIMConfig) actions() (users, groups server.Actions) {
	off := func(said *bool) bool { return said != nil && !*said }
	o := c.Operations
	users = server.Actions{NoCreate: off(o.Create), NoUpdate: off(o.Update), NoDelete: off(o.Delete)}
	groups = users
	if off(o.Groups) {
		groups = server.Actions{NoCreate: true, NoUpdate: true, NoDelete: true}
	}
	return users, groups
}

// checkFeed checks who fills the directory, and the server over it.
func (d *decoder) checkFeed(c *Config) {
	const path = "serve.scim"
	by := c.Directory.FedBy
	if at := "directory.fed_by"; d.said(at) && d.oneOf(at, string(by), string(FedBySyncs), string(FedBySCIM)) && !d.failed(at) &&
		by == FedBySCIM && !d.meant(path) {
		d.faultAt(at, "is scim, but nobody can push anything; write serve: { scim: { listen: 127.0.0.1:8443 } }")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Syncs)) {
		s := c.Syncs[name]
		if s.To.Directory && by == FedBySCIM && !d.failed(join("syncs", name)+".to") {
			d.faultAt(join("syncs", name)+".to", "is the directory, which SCIM clients fill (directory.fed_by: scim); remove this sync, or write "+
				"fed_by: syncs. Whoever is in the directory already changes hands by dirsync directory switch syncs")
		}
	}
	if s := c.Serve.SCIM; s != nil && !d.broken(path) {
		d.checkSCIM(path, s, c)
	}
}

func (d *decoder) checkSCIM(path string, s *SCIMConfig, c *Config) {
	if _, taken := c.Syncs[pushed]; taken {
		d.faultAt(join("syncs", pushed), "is what the SCIM server is called where holds and news are listed; give the sync another name")
	}
	d.required(path+".listen", s.Listen, "an address and a port: 127.0.0.1:8443")
	local := d.checkAddress(path+".listen", s.Listen)
	tls, listen := path+".tls", path+".listen"
	switch {
	case d.failed(tls) || d.failed(listen) || d.failed(path+".behind_proxy"):
	case d.said(tls) && (s.TLS.Certificate == "" || s.TLS.Key == ""):
		d.faultAt(tls, "needs both a certificate and its key: { certificate: file:/path, key: file:/path }")
	case s.TLS.IsSet() && s.BehindProxy.IsSet():
		d.faultAt(path+".behind_proxy", "there is a certificate already; keep one of them")
	case !local && !s.TLS.IsSet() && !s.BehindProxy.IsSet():
		d.faultAt(listen, "can be reached by other machines, so it needs a certificate; write tls: { certificate: file:/path, key: file:/path }, "+
			"or behind_proxy: [ADDRESS] if a proxy does that")
	case !local && slices.Equal(s.BehindProxy.From, thisMachine()):
		d.faultAt(path+".behind_proxy", "trusts this machine only, while listen can be reached by others; name the proxy's address, or listen on 127.0.0.1")
	}
	switch {
	case s.URL != "":
		s.URL = d.checkAppURL(path+".url", s.URL, "https://people.example.com/scim/v2")
	case !d.failed(listen) && !d.failed(path+".url") && s.Listen != "" && (!local || s.BehindProxy.IsSet()):
		d.faultAt(path+".url", "is missing; write the address that clients use: https://people.example.com/scim/v2")
	}
	d.oneOf(path+".when_deleted", string(s.WhenDeleted), string(DeactivateDeleted), string(DeleteDeleted))
	if s.Rate == 0 && !d.failed(path+".rate") {
		d.faultAt(path+".rate", "is 0, so that nobody could send anything; write at least 1, or remove the key")
	}
	for _, b := range []struct {
		key    string
		budget *Budget
	}{{"deletes", &s.Limits.Deletes}, {"deactivations", &s.Limits.Deactivations}, {"groups", &s.Limits.Groups}} {
		d.checkBudget(join(path+".limits", b.key), b.budget)
	}
	d.checkSCIMFields(path+".fields", s, c)
}

// checkSCIMFields checks that every field has a place.
func (d *decoder) checkSCIMFields(path string, s *SCIMConfig, c *Config) {
	if d.failed("directory") || d.broken(path) {
		return
	}
	known := mandatoryFields()
	for _, f := range c.Directory.Fields {
		known = append(known, f.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Fields)) {
		if !slices.Contains(known, name) {
			d.unknownName(join(path, name), name, "directory field", known)
		}
	}
	if d.failed(path) {
		return
	}
	_, err := server.New(server.Config{Store: struct{ dirsync.ResourceStore }{}, Authenticate: nobody, Fields: s.fieldPaths(c.Directory), URL: s.URL})
	if err != nil {
		for line := range strings.SplitSeq(strings.TrimPrefix(err.Error(), "set up the SCIM server: "), "\n") {
			d.faultAt(path, "%s", line)
		}
	}
}

// sameSCIM tells whether two configurations listen in the same way.
func sameSCIM(a, b *SCIMConfig) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Listen == b.Listen && a.TLS == b.TLS && slices.Equal(a.BehindProxy.From, b.BehindProxy.From)
}

// hostPort replaces an address that means every address by this machine's own name for itself.
func hostPort(at string) string {
	host, port, err := net.SplitHostPort(at)
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("localhost", port)
	}
	return at
}
