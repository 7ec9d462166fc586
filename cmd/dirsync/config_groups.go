package main

import (
	"slices"
	"strconv"
	"strings"

	yaml "go.yaml.in/yaml/v4"

	"dirsync"
)

// plainUserScope is a UserScope that is read key by key.
type plainUserScope UserScope

// decodeNode reads "all", or the keys.
func (u *UserScope) decodeNode(d *decoder, n *yaml.Node, path string) {
	const want = "all, or the groups whose members are meant: { groups: [Sales] }"
	switch n.Kind {
	case yaml.MappingNode:
		d.decode(n, path, valueOf((*plainUserScope)(u)))
		if len(u.Groups) == 0 && !d.failed(path) {
			d.fault(position(n), join(path, "groups"), "is missing or empty; name at least one group, or write users: all")
		}
	case yaml.ScalarNode:
		if n.Value != "all" {
			d.fault(position(n), path, "is %s; write %s", quoted(n.Value), want)
		}
	default:
		d.wrongKind(n, path, want)
	}
}

// decodeNode reads a word, or a list of groups.
func (g *GroupSelection) decodeNode(d *decoder, n *yaml.Node, path string) {
	const want = "none, chosen, all, or a list of groups: [Sales]"
	switch n.Kind {
	case yaml.SequenceNode:
		g.Which = ListedGroups
		d.decode(n, path, valueOf(&g.Names))
		if len(n.Content) == 0 {
			d.fault(position(n), path, "is empty; write none if the target gets no groups")
		}
	case yaml.ScalarNode:
		g.Which = WhichGroups(n.Value)
		if !slices.Contains([]WhichGroups{NoGroups, ChosenGroups, AllGroups}, g.Which) {
			d.fault(position(n), path, "is %s; write %s", quoted(n.Value), want)
		}
	default:
		d.wrongKind(n, path, want)
	}
}

// checkGroups checks what a sync says about groups, and fills in what it leaves out.
func (d *decoder) checkGroups(path string, s *Sync) {
	users, groups := path+".from.users", path+".from.groups"
	d.checkGroupNames(users+".groups", s.From.Users.Groups)
	d.checkGroupNames(groups, s.From.Groups.Names)
	chooses := len(s.From.Users.Groups) > 0
	for i, name := range s.From.Groups.Names {
		for _, chosen := range s.From.Users.Groups {
			if dirsync.Fold(chosen) == dirsync.Fold(name) {
				s.From.Groups.Names[i] = chosen
			}
		}
	}
	switch which := &s.From.Groups.Which; {
	case *which == "" && chooses:
		*which = ChosenGroups
	case *which == "":
		*which = NoGroups
	case *which == ChosenGroups && !chooses && !d.failed(users) && !d.failed(groups):
		d.faultAt(groups, "is chosen, but this sync chooses no groups; name some with users: { groups: [Sales] }, or write all or a list here")
	}
	for _, limit := range []string{".limits.groups", ".limits.removals"} {
		if at := path + limit; d.said(at) && s.From.Groups.Which == NoGroups && !d.failed(path+".from") {
			d.faultAt(at, "has no effect, because this sync writes no groups; remove it, or say with from: { groups: … } which ones")
		}
	}
}

// checkGroupNames puts names and object ids into the form in which they are compared. The two cannot be mixed up: a name
// that looks like an object id is taken for one.
func (d *decoder) checkGroupNames(path string, names []string) {
	first := map[string]int{}
	for i, name := range names {
		at := join(path, strconv.Itoa(i+1))
		if d.failed(at) {
			continue
		}
		if id := strings.ToLower(name); isGUID(id) {
			names[i], name = id, id
		}
		line, twice := first[dirsync.Fold(name)]
		switch {
		case name == "" || strings.TrimSpace(name) != name || strings.ContainsAny(name, "\n\t"):
			d.faultAt(at, "should be a group's name or object id, without blanks around it")
		case len([]rune(name)) > maxGroupName:
			d.faultAt(at, "is longer than the %d characters that a group's name may have in Entra", maxGroupName)
		case twice:
			d.faultAt(at, "is listed twice, letter case disregarded; the first is in line %d. Keep one of them", line)
		default:
			first[dirsync.Fold(name)] = d.places[at].Line
		}
	}
}

// maxGroupName is how many characters the displayName of a group may have (Graph reference, resource type group).
const maxGroupName = 256

func (d *decoder) checkReadEvery(path string, every Duration) {
	switch {
	case d.failed(path):
	case every < MinReadEvery:
		d.faultAt(path, "is %s; write at least %s: what is read earlier reaches the target no earlier, because only a run writes there", every, MinReadEvery)
	case every > MaxReadEvery:
		d.faultAt(path, "is %s; write at most %s: after seven days Microsoft Graph forgets where the reading stopped, and everybody has "+
			"to be read again", every, MaxReadEvery)
	}
}
