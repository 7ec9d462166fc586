package graph_test

import (
	"slices"
	"testing"
	"time"

	"dirsync"
	"dirsync/graph"
	"dirsync/graph/graphtest"
)

// A process that ended may have taken somebody out of a group that they are believed to be in. The change that makes this
// certain, which writes what is believed to be there, puts them back.
func TestWriterMembershipsThatWereLost(t *testing.T) {
	for name, c := range map[string]dirsync.Change{
		"everything is written": joiner(1, field("department", text("D"))),
		"a part is written":     {After: dirsync.Values{field("department", text("D"))}},
	} {
		t.Run(name, func(t *testing.T) {
			x := newTeamTenant(t)
			sales, support := x.group("g1", "Sales"), x.group("g2", "Support")
			id := x.Add(graphtest.User{"userPrincipalName": "p1@a.example", "displayName": "Person 1"})[0]
			x.clock.pass(time.Hour)
			x.restart()
			c.Kind, c.Person, c.Account = dirsync.Update, person(1), id
			c.Before = slices.Clone(c.After).Set(dirsync.GroupsField, dirsync.NewList([]string{"g1"}))
			c.After = slices.Clone(c.After).Set(dirsync.GroupsField, dirsync.NewList([]string{"g1", "g2"}))
			if _, err := x.users.Apply(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			for _, g := range []string{sales, support} {
				if got := x.Members(g); !slices.Equal(got, []string{id}) {
					t.Errorf("got members %v, want %s", got, id)
				}
			}
		})
	}
}

// Whoever leaves a group that was made just before this process began leaves it, though a part of the service does not know
// the group yet.
func TestWriterLeavesYoungGroups(t *testing.T) {
	x := newTeamTenant(t, func(cfg *graph.Config) { cfg.ReplicaLag = 45 * time.Second })
	id := x.Add(graphtest.User{"userPrincipalName": "p1@a.example", "displayName": "Person 1"})[0]
	x.clock.pass(time.Hour)
	x.SetFaults(graphtest.Faults{Lag: 30 * time.Second})
	sales := x.group("g1", "Sales")
	x.AddMembers(sales, id)
	x.restart()
	if _, err := x.users.Apply(t.Context(), member(1, id, []string{"g1"}, nil)); err != nil {
		t.Fatal(err)
	}
	if got := x.Members(sales); len(got) > 0 {
		t.Errorf("got members %v, want none", got)
	}
}
