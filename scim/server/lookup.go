package server

import (
	"encoding/json"
	"slices"

	"dirsync"
	"dirsync/scim"
)

// key is one way to find resources without reading everybody.
type key uint8

// The keys: those of the store, and three of its other methods.
const (
	byName       = key(dirsync.ByName)
	byDisplay    = key(dirsync.ByDisplay)
	byExternalID = key(dirsync.ByExternalID)
	byEmail      = key(dirsync.ByEmail)
	byID         = key(100)
	byMember     = key(101) // the groups that a user is in
)

// lookup is a question to an index.
type lookup struct {
	by    key
	value string
}

// plan says how to answer a filter.
type plan struct {
	// lookups find all that the filter can be true of; nil reads everybody. An empty one that is not nil finds nobody.
	lookups []lookup
	// rest is what is left to test, nil for nothing.
	rest scim.Filter
	// all is the whole filter, for a scan.
	all scim.Filter
}

// planOf finds the indexes that a filter can use: equality of an indexed attribute, joined by "and" with anything, and
// by "or" with its like. The store compares texts by dirsync.Fold, which knows more languages than SCIM does, and what it
// finds is not tested by SCIM's rules again: whoever has a name for POST must have it for a filter, too.
func (k *kind) planOf(f scim.Filter) plan {
	lookups, rest := k.lookups(f)
	return plan{lookups: lookups, rest: rest, all: f}
}

func (k *kind) lookups(f scim.Filter) ([]lookup, scim.Filter) {
	switch f := f.(type) {
	case scim.Compare:
		if by, exact, ok := k.indexed(f); ok {
			text, _ := plain(f.Value)
			if exact {
				return []lookup{{by, text}}, nil
			}
			return []lookup{{by, text}}, f
		}
	case scim.ValuePath:
		// emails[value eq "x" and type eq "work"]
		for _, cmp := range scim.Required(f.Path.Filter) {
			if scim.FoldCase(cmp.Path.Name) != "value" {
				continue
			}
			cmp.Path = scim.Path{URN: f.Path.URN, Name: f.Path.Name, Sub: "value"}
			if by, _, ok := k.indexed(cmp); ok {
				text, _ := plain(cmp.Value)
				return []lookup{{by, text}}, f
			}
		}
	case scim.And:
		return k.best(f)
	case scim.Or:
		var all []lookup
		for _, term := range f {
			some, _ := k.lookups(term)
			if some == nil {
				return nil, f
			}
			all = append(all, some...)
		}
		return all, f
	}
	return nil, f
}

// best picks the term of an "and" that finds the fewest.
func (k *kind) best(f scim.And) ([]lookup, scim.Filter) {
	rank := func(l []lookup) int {
		if len(l) != 1 {
			return 10 + len(l)
		}
		return slices.Index([]key{byID, byName, byExternalID, byEmail, byDisplay, byMember}, l[0].by)
	}
	var found []lookup
	var left scim.Filter
	at := -1
	for i, term := range f {
		if l, rest := k.lookups(term); l != nil && (at < 0 || rank(l) < rank(found)) {
			found, left, at = l, rest, i
		}
	}
	if at < 0 {
		return nil, f
	}
	rest := slices.Delete(slices.Clone(f), at, at+1)
	if left != nil {
		rest = append(rest, left)
	}
	if len(rest) == 0 {
		return found, nil
	}
	return found, rest
}

// indexed says which index answers a comparison. Exact means that whatever it finds satisfies it.
func (k *kind) indexed(f scim.Compare) (by key, exact, ok bool) {
	switch f.Value.(type) {
	case string, json.Number:
	default:
		return 0, false, false
	}
	path, attr, _, found := k.Find(f.Path)
	if f.Op != scim.Eq || !found || attr == nil || path.URN != "" {
		return 0, false, false
	}
	exact = path.Filter == nil
	value := path.Sub == "" || path.Sub == "value"
	switch {
	case path.Name == "id":
		return byID, exact, true
	case path.Name == k.name:
		return byName, exact, true
	case path.Name == "externalId":
		return byExternalID, exact, true
	case path.Name == "displayName":
		return byDisplay, exact, true
	case path.Name == "emails" && value:
		return byEmail, exact, true
	case path.Name == "members" && value:
		return byMember, exact, true
	}
	return 0, false, false
}

// maxFound is the most resources that an index may find for one filter.
const maxFound = 1000

// find asks the indexes. What several find is there once; the order is that of the ids.
func (c *call) find(k *kind, lookups []lookup) ([]dirsync.Resource, error) {
	var all []dirsync.Resource
	for _, l := range lookups {
		found, err := c.findOne(k, l)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
		if len(all) > maxFound {
			return nil, refuse(400, scim.TooMany, "the filter finds more than %d resources; make it narrower", maxFound)
		}
	}
	if len(lookups) > 1 {
		slices.SortStableFunc(all, func(a, b dirsync.Resource) int {
			switch {
			case a.ID < b.ID:
				return -1
			case a.ID > b.ID:
				return 1
			}
			return 0
		})
		all = slices.CompactFunc(all, func(a, b dirsync.Resource) bool { return a.ID == b.ID })
	}
	return slices.DeleteFunc(all, func(r dirsync.Resource) bool { return invisible(&r) }), nil
}

func (c *call) findOne(k *kind, l lookup) ([]dirsync.Resource, error) {
	if l.value == "" || len(l.value) > maxKey {
		return nil, nil // Nobody has such a value.
	}
	switch l.by {
	case byID:
		r, err := c.read(k, l.value)
		if gone(err) {
			return nil, nil
		}
		return []dirsync.Resource{r}, err
	case byMember:
		if len(l.value) > 256 {
			return nil, nil
		}
		groups, err := c.s.config.Store.ResourceGroups(c.ctx, l.value, maxFound+1)
		if dirsync.KindOf(err) == dirsync.NotFound {
			return nil, nil
		}
		var found []dirsync.Resource
		for _, g := range groups {
			r, err := c.s.config.Store.Resource(c.ctx, k.of, g.ID)
			if dirsync.KindOf(err) == dirsync.NotFound {
				continue // It was deleted in between.
			}
			if err != nil {
				return nil, err
			}
			found = append(found, r)
		}
		return found, err
	}
	return c.s.config.Store.FindResources(c.ctx, k.of, dirsync.ResourceKey(l.by), l.value, maxFound+1)
}

// look is how a filter looks at the members of a group, or the groups of a user, of which there may be many.
type look struct {
	// ids are the members whom it names.
	ids []string
	// any says that it asks for members or groups at all, some that it asks for more than whether those with the ids are in.
	any, some bool
}

// lookAt finds out whether a filter asks for members or groups, and refuses what could be answered only by reading all
// members of a group.
func (k *kind) lookAt(f scim.Filter) (l look, err error) {
	attr := "members"
	if k.of == dirsync.KindUser {
		attr = "groups"
	}
	var walk func(f scim.Filter, within bool)
	compare := func(op scim.Op, p scim.Path, v any, within bool) {
		path, _, _, _ := k.Find(p)
		if !within && (path.URN != "" || path.Name != attr) {
			return
		}
		l.any = true
		name := scim.FoldCase(p.Sub)
		if within {
			name = scim.FoldCase(p.Name)
		}
		id, text := v.(string)
		switch {
		case k.of == dirsync.KindUser: // There are few groups of one user.
		case name == "type", v == nil && (name == "" || name == "value"):
			l.some = true
		case (name == "" || name == "value") && text && (op == scim.Eq || op == scim.Ne):
			l.ids, l.some = append(l.ids, id), l.some || op == scim.Ne
		default:
			err = refuse(400, scim.InvalidFilter, "members can be compared by their value with eq and ne, and nothing else")
		}
	}
	walk = func(f scim.Filter, within bool) {
		switch f := f.(type) {
		case scim.And:
			for _, term := range f {
				walk(term, within)
			}
		case scim.Or:
			for _, term := range f {
				walk(term, within)
			}
		case scim.Not:
			walk(f.Filter, within)
		case scim.Present:
			compare(scim.Eq, f.Path, nil, within)
			walkPath(k, f.Path, attr, within, walk)
		case scim.ValuePath:
			compare(scim.Eq, f.Path, nil, within)
			walkPath(k, f.Path, attr, within, walk)
		case scim.Compare:
			compare(f.Op, f.Path, f.Value, within)
			walkPath(k, f.Path, attr, within, walk)
		}
	}
	walk(f, false)
	return l, err
}

// walkPath walks the filter in the brackets of a path, if they select among members.
func walkPath(k *kind, p scim.Path, attr string, within bool, walk func(scim.Filter, bool)) {
	if path, _, _, _ := k.Find(p); p.Filter != nil && !within && path.URN == "" && path.Name == attr {
		walk(p.Filter, true)
	}
}

// matchable is a resource as a filter that looks in this way must see it: with those members who decide.
func (c *call) matchable(k *kind, r *dirsync.Resource, l look) (*scim.Object, error) {
	p := scim.Projection{Except: []scim.Path{{Name: "groups"}}}
	if l.any && k.of == dirsync.KindUser {
		p = scim.Projection{}
	}
	o, err := c.whole(k, r, p)
	if err != nil || !l.any || k.of == dirsync.KindUser {
		return o, err
	}
	var members []dirsync.ResourceMember
	if l.some {
		// Among one more than are named is somebody who is not named, if there is anybody.
		if members, err = c.s.config.Store.ResourceMembers(c.ctx, r.ID, "", len(l.ids)+1); err != nil {
			return nil, err
		}
	}
	if len(l.ids) > 0 {
		in, err := c.s.config.Store.IsMember(c.ctx, r.ID, l.ids)
		if err != nil {
			return nil, err
		}
		for i, id := range l.ids {
			if i < len(in) && in[i] {
				members = append(members, dirsync.ResourceMember{ID: id})
			}
		}
	}
	if len(members) > 0 {
		list, _ := memberObject(members...).Get("members")
		o.Set("members", list)
	}
	return o, nil
}
