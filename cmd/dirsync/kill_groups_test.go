package main

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"dirsync"
	"dirsync/graph/graphtest"
	"dirsync/store"
	"dirsync/sync/engine"
)

// killGroups are the groups of a killWorld; the zero killGroups are none, and then everybody is wanted.
type killGroups struct {
	tenant *graphtest.Tenant
	// ids are of all groups: two chosen ones and two that are nested in the first, one in the other. Often they form a
	// circle.
	ids []string
}

// chosen are the groups that the configuration names, one by its name and one by its id.
func (g *killGroups) chosen() []string { return g.ids[:2] }

// makeGroups makes groups in the tenant and returns where the people of a sync of them come from. Those who are safe
// are in the first for ever, or not at all.
func (w *killWorld) makeGroups() string {
	g := &w.groups
	g.tenant = w.tenant
	g.ids = w.tenant.AddGroup(graphtest.Group{"displayName": "Sales"}, graphtest.Group{"displayName": "Support"},
		graphtest.Group{"displayName": "Sales Berlin"}, graphtest.Group{"displayName": "Sales Kreuzberg"})
	members := map[string][]string{g.ids[0]: {g.ids[2]}, g.ids[2]: {g.ids[3]}, g.ids[3]: {g.ids[0]}}
	for i, id := range w.ids {
		switch {
		case w.safe[id] && i%8 == 0:
			members[g.ids[0]] = append(members[g.ids[0]], id)
		case w.safe[id]:
			w.safe[id] = false
		case i%3 == 0:
			members[g.ids[i%4]] = append(members[g.ids[i%4]], id)
		}
	}
	for _, group := range g.ids {
		w.tenant.AddMembers(group, members[group]...)
	}
	return "{ entra: contoso, users: { groups: [Sales, " + g.ids[1] + "] } }"
}

// changeGroups has about n people join and leave groups, and sometimes groups as well.
func (w *killWorld) changeGroups(rnd *rand.Rand, n int) {
	g := &w.groups
	if g.tenant == nil {
		return
	}
	for range n {
		id, group := w.ids[rnd.IntN(len(w.ids))], g.ids[rnd.IntN(len(g.ids))]
		_, present := w.tenant.User(id)
		switch what := rnd.IntN(300); {
		case what == 0:
			// Not the one that is chosen by its name, which is looked for anew when everything has to be read again.
			w.tenant.UpdateGroup(g.ids[1+rnd.IntN(3)], map[string]any{"displayName": fmt.Sprint("Group ", rnd.IntN(100))})
		case what == 1:
			w.tenant.RemoveMembers(g.ids[2], g.ids[3])
		case what == 2:
			w.tenant.AddMembers(g.ids[2], g.ids[3])
		case what == 3:
			w.tenant.RemoveMembers(g.ids[3], g.ids[0])
		case what == 4:
			w.tenant.AddMembers(g.ids[3], g.ids[0])
		case !present || w.safe[id]:
		case what < 150:
			w.tenant.AddMembers(group, id)
		default:
			w.tenant.RemoveMembers(group, id)
		}
	}
}

// wanted are the sync's people; nil means everybody.
func (g *killGroups) wanted() map[string]bool {
	if g.tenant == nil {
		return nil
	}
	return g.in(g.chosen()...)
}

// in has everybody who is in one of the groups, or in a group that is nested in one.
func (g *killGroups) in(groups ...string) map[string]bool {
	in := map[string]bool{}
	for _, id := range g.tenant.TransitiveUsers(groups...) {
		in[id] = true
	}
	return in
}

// members says who is in each of the chosen groups.
func (g *killGroups) members() map[string]map[string]bool {
	members := map[string]map[string]bool{}
	if g.tenant != nil {
		for _, id := range g.chosen() {
			members[id] = g.in(id)
		}
	}
	return members
}

// checkMember asserts that a user is in exactly those groups in which the tenant has them.
func checkMember(a dirsync.Account, members map[string]map[string]bool, fail func(string, ...any)) {
	var want []string
	for group, in := range members {
		if in[string(a.Source)] {
			want = append(want, group)
		}
	}
	slices.Sort(want)
	groups, _ := a.Values.Get(dirsync.GroupsField)
	if got := groups.List(); !slices.Equal(got, want) {
		fail("%s is in %v, want %v", a.Source, got, want)
	}
}

// compare asserts that the directory has the chosen groups and no others.
func (g *killGroups) compare(ctx context.Context, d *store.Directory, fail func(string, ...any)) {
	if g.tenant == nil {
		return
	}
	want := map[string]string{}
	for _, group := range g.tenant.Groups() {
		if id := text(graphtest.User(group), "id"); slices.Contains(g.chosen(), id) {
			want[id] = text(graphtest.User(group), "displayName")
		}
	}
	got := map[string]string{}
	err := d.Groups().Users(ctx, func(a dirsync.Account) error {
		if got[string(a.Source)] = field(a, engine.GroupName); !a.Active {
			fail("group %s is not active", a.Source)
		}
		return nil
	})
	if err != nil {
		fail("list the groups: %v", err)
	}
	if !maps.Equal(got, want) {
		fail("the groups are %v, want %v", got, want)
	}
}
