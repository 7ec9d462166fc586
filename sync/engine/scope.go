package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"dirsync"
	"dirsync/sync/plan"
)

// circle is who belongs where: what a planning needs to know about groups, as they stand when it begins. It holds the
// groups, which are few, and none of the people.
type circle struct {
	// above lists, for each group, the groups that it is nested in.
	above map[dirsync.ID][]dirsync.ID
	// scope has the groups whose members are the sync's people; empty when everybody is.
	scope map[dirsync.ID]bool
	// synced has the groups that the target holds. It is nil where groups are not synced.
	synced map[dirsync.ID]bool
	// pending has the groups that the target should hold and does not yet. Whoever is in one stays owed.
	pending map[dirsync.ID]bool
	// closures remembers what was found.
	closures map[dirsync.ID][]dirsync.ID
}

// circle reads what a planning needs to know about groups.
func (e *Engine) circle(ctx context.Context) (*circle, error) {
	g := e.Groups
	if g == nil {
		return nil, nil //nolint:nilnil // there are no groups
	}
	c := &circle{above: map[dirsync.ID][]dirsync.ID{}, scope: map[dirsync.ID]bool{}, closures: map[dirsync.ID][]dirsync.ID{}}
	chosen, err := e.chosen(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range g.Scope {
		id, ok := chosen[name]
		if !ok {
			return nil, &dirsync.Error{Op: "find the chosen groups", Kind: dirsync.Unavailable,
				Err: fmt.Errorf("the group %q was chosen, and the source was not asked for it yet", name), Hint: "The next reading finds it."}
		}
		c.scope[id] = true
	}
	for after := dirsync.Seq(0); g.Nested; {
		nested, last, err := g.Members.Nested(ctx, after, e.batch())
		if err != nil {
			return nil, err
		}
		if len(nested) == 0 {
			break
		}
		after = last
		for _, m := range nested {
			c.above[m.Member] = append(c.above[m.Member], m.Group)
		}
	}
	if g.Target == nil {
		return c, nil
	}
	c.synced, c.pending = map[dirsync.ID]bool{}, map[dirsync.ID]bool{}
	wanted := e.syncedGroups(chosen)
	return c, e.eachIn(ctx, g.Store, func(p dirsync.Person) error {
		var outside string
		if wanted(p.ID) && g.Outside != nil && p.Gone == dirsync.Present {
			if outside, err = g.Outside(ctx, p); err != nil {
				return err
			}
		}
		switch {
		case !wanted(p.ID) || outside != "":
		case p.Link.Account != "":
			c.synced[p.ID] = true
		case p.Gone == dirsync.Present:
			c.pending[p.ID] = true
		}
		return nil
	})
}

// chosen says which groups the chosen names are.
func (e *Engine) chosen(ctx context.Context) (map[string]dirsync.ID, error) {
	state, err := e.Groups.Store.ReadState(ctx)
	if err != nil {
		return nil, err
	}
	chosen := map[string]dirsync.ID{}
	for _, c := range e.Groups.Source.Chosen(cmp.Or(state.Base, state.Begin)) {
		chosen[c.Name] = c.ID
	}
	return chosen, nil
}

// syncedGroups tells which groups the target gets.
func (e *Engine) syncedGroups(chosen map[string]dirsync.ID) func(dirsync.ID) bool {
	if e.Groups.AllSynced {
		return func(dirsync.ID) bool { return true }
	}
	ids := map[dirsync.ID]bool{}
	for _, name := range e.Groups.Synced {
		if id, ok := chosen[name]; ok {
			ids[id] = true
		}
	}
	return func(id dirsync.ID) bool { return ids[id] }
}

// around returns a group and all groups that it is nested in, directly or not. Groups may be nested in circles.
func (c *circle) around(group dirsync.ID) []dirsync.ID {
	if found, ok := c.closures[group]; ok {
		return found
	}
	seen := map[dirsync.ID]bool{group: true}
	out := []dirsync.ID{group}
	for i := 0; i < len(out); i++ {
		for _, above := range c.above[out[i]] {
			if !seen[above] {
				seen[above] = true
				out = append(out, above)
			}
		}
	}
	c.closures[group] = out
	return out
}

// of returns all groups that somebody is in, of whom direct are the groups that they are a direct member of.
func (c *circle) of(direct []dirsync.ID) []dirsync.ID {
	all := map[dirsync.ID]bool{}
	for _, g := range direct {
		for _, id := range c.around(g) {
			all[id] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// apply lays what a person's groups mean over what the mapping wants of them.
func (c *circle) apply(w *plan.Wanted, direct []dirsync.ID) {
	groups := c.of(direct)
	if len(c.scope) > 0 && !slices.ContainsFunc(groups, func(id dirsync.ID) bool { return c.scope[id] }) {
		w.InScope, w.Outside = false, "is in none of the chosen groups any more"
		return
	}
	if c.synced == nil || !w.InScope || len(w.Faults) > 0 {
		return
	}
	var in []dirsync.ID
	for _, id := range groups {
		if c.synced[id] {
			in = append(in, id)
		}
		w.Pending = w.Pending || c.pending[id]
	}
	w.Values = slices.Clone(w.Values).Set(dirsync.GroupsField, groupsValue(in))
}

// groupsValue is the value of the field for group information. Somebody who is in no group has none.
func groupsValue(ids []dirsync.ID) dirsync.Value {
	if len(ids) == 0 {
		return dirsync.Value{}
	}
	text, _ := json.Marshal(ids) // a list of strings
	return dirsync.Value{Type: dirsync.TextList, Text: string(text)}
}

// wantedAll says what becomes of each of people, and of which groups they are a direct member.
func (e *Engine) wantedAll(ctx context.Context, people []dirsync.Person, c *circle) ([]plan.Wanted, [][]dirsync.ID, error) {
	out := make([]plan.Wanted, len(people))
	half := len(people) / 2
	if half < 50 {
		half = 0
	}
	createOnly := e.createOnly()
	// On two cores, when there are enough people to make it worth while.
	err := twice(half, len(people), func(from, to int) error {
		for i := from; i < to; i++ {
			out[i] = e.wanted(people[i], createOnly)
		}
		return nil
	})
	if err == nil {
		err = e.leaveOut(ctx, people, out)
	}
	if err == nil {
		err = e.clash(ctx, people, out)
	}
	if err != nil || c == nil {
		return out, make([][]dirsync.ID, len(people)), err
	}
	ids := make([]dirsync.ID, len(people))
	for i, p := range people {
		ids[i] = p.ID
	}
	direct, err := e.Groups.Members.GroupsOf(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	for i := range out {
		if people[i].Gone == dirsync.Present {
			c.apply(&out[i], direct[i])
		}
	}
	return out, direct, nil
}

// clash rejects those for whom somebody else's account could be taken.
func (e *Engine) clash(ctx context.Context, people []dirsync.Person, wanted []plan.Wanted) error {
	if e.Clashes == nil {
		return nil
	}
	for i, p := range people {
		if p.Gone != dirsync.Present || !wanted[i].InScope || p.Link.Account != "" {
			continue
		}
		why, err := e.Clashes(ctx, p)
		if err != nil {
			return err
		}
		if why != "" {
			wanted[i].Faults = append(wanted[i].Faults, dirsync.Fault{Field: "id", Value: string(p.ID), Reason: why})
		}
	}
	return nil
}

// leaveOut takes those out of the scope whom Outside names.
func (e *Engine) leaveOut(ctx context.Context, people []dirsync.Person, wanted []plan.Wanted) error {
	if e.Outside == nil {
		return nil
	}
	for i, p := range people {
		if p.Gone != dirsync.Present || !wanted[i].InScope {
			continue
		}
		why, err := e.Outside(ctx, p)
		if err != nil {
			return err
		}
		if why != "" {
			wanted[i].InScope, wanted[i].Outside = false, why
		}
	}
	return nil
}

// waiting tells for each of changes whether its person is in a group that the target does not hold yet.
func (e *Engine) waiting(ctx context.Context, c *circle, changes []dirsync.Change) ([]bool, error) {
	out := make([]bool, len(changes))
	if c == nil || len(c.pending) == 0 {
		return out, nil
	}
	ids := make([]dirsync.ID, len(changes))
	for i, ch := range changes {
		ids[i] = ch.Person
	}
	direct, err := e.Groups.Members.GroupsOf(ctx, ids)
	for i := range direct {
		out[i] = slices.ContainsFunc(c.of(direct[i]), func(id dirsync.ID) bool { return c.pending[id] })
	}
	return out, err
}

// scopeFingerprint identifies what decides who is in scope and which groups they are in, apart from the memberships.
func (e *Engine) scopeFingerprint() string {
	g := e.Groups
	if g == nil {
		return ""
	}
	s := fmt.Sprintf("/groups %q nested %v", slices.Sorted(slices.Values(g.Scope)), g.Nested)
	switch {
	case g.Target == nil:
	case g.AllSynced:
		s += " synced all"
	default:
		s += fmt.Sprintf(" synced %q", slices.Sorted(slices.Values(g.Synced)))
	}
	return s
}

// missing says which of the chosen groups are gone. Their people are kept as they are: that a group was deleted does not
// say that the people in it have left. Somebody has to decide, so the run is no success.
func (e *Engine) missing(ctx context.Context) ([]string, error) {
	chosen, err := e.chosen(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, name := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(e.Groups.Scope, e.Groups.Synced)))) {
		p, err := e.Groups.Store.Person(ctx, chosen[name])
		switch {
		case dirsync.KindOf(err) == dirsync.NotFound:
			continue
		case err != nil:
			return nil, err
		case p.Gone != dirsync.Present:
			what := name
			if title := p.Shadow.Text("displayName"); title != "" && !strings.EqualFold(title, name) {
				what += " (" + title + ")"
			}
			out = append(out, fmt.Sprintf("the chosen group %s was deleted at the source; its people are kept as they are until it is restored there or taken out of the configuration", what))
		}
	}
	return out, nil
}
