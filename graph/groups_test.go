package graph_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"dirsync"
	"dirsync/dirsynctest"
	"dirsync/graph"
	"dirsync/graph/graphtest"
)

// granted is a tenant whose application may read users and groups.
func granted(faults graphtest.Faults) *graphtest.Tenant {
	return &graphtest.Tenant{Faults: faults, Roles: []string{"User.Read.All", "Organization.Read.All", "GroupMember.Read.All"}}
}

// teams is what a reader keeps of groups by the contract of dirsync.GroupSource.
type teams struct {
	groups  people
	members map[dirsync.ID]map[dirsync.ID]dirsync.Kind
}

func newTeams() *teams {
	return &teams{groups: people{}, members: map[dirsync.ID]map[dirsync.ID]dirsync.Kind{}}
}

func (k *teams) take(records []dirsync.Record) {
	k.groups.take(records)
	for _, r := range records {
		if r.Gone != dirsync.Present {
			delete(k.members, r.ID)
			continue
		}
		if k.members[r.ID] == nil {
			k.members[r.ID] = map[dirsync.ID]dirsync.Kind{}
		}
		for _, m := range r.Members {
			if m.Removed {
				delete(k.members[r.ID], m.ID)
			} else {
				k.members[r.ID][m.ID] = m.Kind
			}
		}
	}
}

// read reads one round and returns where the next begins.
func (k *teams) read(t testing.TB, s dirsync.Source, since dirsync.Cursor) dirsync.Cursor {
	t.Helper()
	next, err := k.try(s, since)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func (k *teams) try(s dirsync.Source, since dirsync.Cursor) (dirsync.Cursor, error) {
	err := s.Read(context.Background(), since, func(p dirsync.Page) error {
		k.take(p.Records)
		since = p.Next
		return nil
	})
	return since, err
}

// show writes groups by their names with their members by their own.
func (k *teams) show(w *world) string {
	names := map[dirsync.ID]string{}
	for _, g := range w.Groups() {
		names[dirsync.ID(fmt.Sprint(g["id"]))] = strings.Trim(fmt.Sprintf("%s", g["displayName"]), `"`)
	}
	for _, u := range w.Users() {
		names[dirsync.ID(fmt.Sprint(u["id"]))] = strings.Trim(fmt.Sprintf("%s", u["displayName"]), `"`)
	}
	var lines []string
	for id := range k.groups {
		var who []string
		for m := range k.members[id] {
			who = append(who, names[m])
		}
		slices.Sort(who)
		lines = append(lines, names[id]+": "+strings.Join(who, " "))
	}
	slices.Sort(lines)
	return strings.Join(lines, "; ")
}

func named(names ...string) []graphtest.User {
	var out []graphtest.User
	for _, n := range names {
		out = append(out, graphtest.User{"displayName": n})
	}
	return out
}

func TestGroupSource(t *testing.T) {
	dirsynctest.TestSource(t, func(t *testing.T) dirsynctest.SourceFixture {
		w := serve(t, granted(graphtest.Faults{PageSize: 3, PageLife: time.Minute, DeltaLife: 10 * time.Hour, SoftGroups: true}))
		group := func(id dirsync.ID) bool {
			return slices.ContainsFunc(w.Groups(), func(g graphtest.Group) bool { return g["id"] == string(id) })
		}
		return dirsynctest.SourceFixture{
			Source: w.client.Groups(graph.GroupsConfig{All: true}), Second: "description", Kind: dirsync.KindGroup,
			Put: func(id dirsync.ID, attrs map[string]any) {
				if group(id) {
					w.UpdateGroup(string(id), attrs)
				} else if attrs == nil {
					w.RestoreGroup(string(id))
				} else {
					g := graphtest.Group{"id": string(id)}
					maps.Copy(g, attrs)
					w.AddGroup(g)
				}
			},
			Remove:        func(id dirsync.ID) { w.DeleteGroup(string(id)) },
			Purge:         func(id dirsync.ID) { w.PurgeGroup(string(id)) },
			ExpirePages:   func() { w.clock.pass(2 * time.Minute) },
			ExpireCursors: func() { w.clock.pass(11 * time.Hour) },
		}
	})
}

func TestChosenGroups(t *testing.T) {
	w := serve(t, granted(graphtest.Faults{}))
	u := w.Add(named("Ada", "Bo", "Cy", "Di")...)
	device := w.AddObjects(graphtest.Device, "Laptop")[0]
	g := w.AddGroup(graphtest.Group{"displayName": "Sales", "description": "Who sells"}, graphtest.Group{"displayName": "Support"},
		graphtest.Group{"displayName": "Night shift", "uniqueName": "night"}, graphtest.Group{"displayName": "Others"})
	w.AddMembers(g[0], u[0], u[1], device)
	w.AddMembers(g[1], g[2], u[2])
	w.AddMembers(g[2], u[3], g[1])
	w.AddMembers(g[3], u[0])
	s := w.client.Groups(graph.GroupsConfig{Chosen: []string{"night", strings.ToUpper(g[0])}})
	got := newTeams()
	next := got.read(t, s, "")
	if got, want := got.show(w), "Night shift: Di Support; Sales: Ada Bo"; got != want {
		t.Errorf("first round: got %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(s.Chosen(next)), fmt.Sprint([]dirsync.ChosenGroup{{Name: "night", ID: dirsync.ID(g[2])}, {Name: strings.ToUpper(g[0]), ID: dirsync.ID(g[0])}}); got != want {
		t.Errorf("chosen: got %s, want %s", got, want)
	}
	if got := s.Chosen(""); got != nil {
		t.Errorf("chosen of the zero cursor: got %v", got)
	}

	// What changes is told; a group that is renamed is the same.
	w.UpdateGroup(g[2], map[string]any{"displayName": "Late shift", "uniqueName": nil})
	w.RemoveMembers(g[0], u[0], device)
	w.AddMembers(g[0], u[2])
	w.AddMembers(g[3], u[3])
	next = got.read(t, s, next)
	if got, want := got.show(w), "Late shift: Di Support; Sales: Bo Cy"; got != want {
		t.Errorf("second round: got %s, want %s", got, want)
	}

	// More groups are followed from the next round on, and one that is no longer chosen does no harm.
	more := w.client.Groups(graph.GroupsConfig{Chosen: []string{"others", strings.ToUpper(g[0])}})
	next = got.read(t, more, next)
	if got, want := got.show(w), "Late shift: Di Support; Others: Ada Di; Sales: Bo Cy"; got != want {
		t.Errorf("third round: got %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(more.Chosen(next)), fmt.Sprint([]dirsync.ChosenGroup{{Name: "others", ID: dirsync.ID(g[3])}, {Name: strings.ToUpper(g[0]), ID: dirsync.ID(g[0])}}); got != want {
		t.Errorf("chosen: got %s, want %s", got, want)
	}

	// A chosen group that is deleted is told to be gone, and is no error ever after.
	w.DeleteGroup(g[0])
	next = got.read(t, more, next)
	if got, want := got.show(w), "Late shift: Di Support; Others: Ada Di"; got != want {
		t.Errorf("fourth round: got %s, want %s", got, want)
	}
	before := w.Requests().GroupDelta
	got.read(t, more, next)
	if got, want := w.Requests().GroupDelta-before, 2; got != want {
		t.Errorf("a round without changes cost %d requests, want %d, one for each stream", got, want)
	}
}

func TestNestedGroups(t *testing.T) {
	w := serve(t, granted(graphtest.Faults{LinkPage: 1, Interleave: true}))
	u := w.Add(named("Ada", "Bo", "Cy", "Di")...)
	g := w.AddGroup(graphtest.Group{"displayName": "A"}, graphtest.Group{"displayName": "B"}, graphtest.Group{"displayName": "C"}, graphtest.Group{"displayName": "D"})
	w.AddMembers(g[0], u[0], g[1])
	w.AddMembers(g[1], u[1], g[2])
	w.AddMembers(g[2], u[2], g[0], g[2])
	w.AddMembers(g[3], u[3])
	s := w.client.Groups(graph.GroupsConfig{Chosen: []string{"A"}, Nested: true})
	got := newTeams()
	next := got.read(t, s, "")
	if got, want := got.show(w), "A: Ada B; B: Bo C; C: A C Cy"; got != want {
		t.Errorf("first round: got %s, want %s", got, want)
	}
	w.AddMembers(g[2], g[3])
	w.RemoveMembers(g[0], g[1])
	next = got.read(t, s, next)
	if got, want := got.show(w), "A: Ada; B: Bo C; C: A C Cy D; D: Di"; got != want {
		t.Errorf("second round: got %s, want %s", got, want)
	}
	flat := w.client.Groups(graph.GroupsConfig{Chosen: []string{"A"}})
	next = got.read(t, flat, next)
	if _, err := got.try(s, next); !errors.Is(err, dirsync.ErrCursorExpired) {
		t.Errorf("nested groups were not followed for a while: got %v, want ErrCursorExpired", err)
	}
}

// A member who leaves and joins within a round is what was said last.
func TestOrderOfMembers(t *testing.T) {
	w := serve(t, granted(graphtest.Faults{}))
	u := w.Add(named("Ada")...)
	g := w.AddGroup(graphtest.Group{"displayName": "A"})
	row := func(links string) string {
		return `{"id":"` + g[0] + `","displayName":"A","members@delta":[` + links + `]}`
	}
	in := `{"@odata.type":"#microsoft.graph.user","id":"` + strings.ToUpper(u[0]) + `"}`
	out := `{"@odata.type":"#microsoft.graph.user","id":"` + u[0] + `","@removed":{"reason":"deleted"}}`
	var rows string
	w.Set(func(tenant *graphtest.Tenant) {
		tenant.Hook = func(r *http.Request) graphtest.Fault {
			if strings.Contains(r.URL.Path, "/groups/delta") {
				return graphtest.Fault{Status: 200, Body: `{"value":[` + rows + `],"@odata.deltaLink":"https://` + r.Host + `/v1.0/groups/delta?$deltatoken=x"}`}
			}
			return graphtest.Fault{}
		}
	})
	for name, test := range map[string]struct{ rows, want string }{
		"in one row, in":  {row(out + "," + in), "A: Ada"},
		"in one row, out": {row(in + "," + out), "A: "},
		"in two, in":      {row(out) + "," + row(in), "A: Ada"},
		"in two, out":     {row(in) + "," + row(out), "A: "},
		"null":            {`{"id":"` + g[0] + `","displayName":"A","members@delta":null}`, "A: "},
	} {
		rows = test.rows
		got := newTeams()
		got.read(t, w.client.Groups(graph.GroupsConfig{Chosen: g}), "")
		if got, want := got.show(w), test.want; got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	for links, want := range map[string]string{
		`{"id":"x"}`: "member 1 has no id or no type", `{"@odata.type":"#microsoft.graph.user"}`: "member 1 has no id or no type",
		`{"@odata.type":"#microsoft.graph.user","id":7}`: "member 1 has no id or no type", `null`: "member 1 is no object",
	} {
		rows = row(links)
		_, err := newTeams().try(w.client.Groups(graph.GroupsConfig{Chosen: g}), "")
		if dirsync.KindOf(err) != dirsync.Unavailable || !strings.Contains(err.Error(), "group "+g[0]+": "+want) {
			t.Errorf("%s: got %v, want %s", links, err, want)
		}
	}
}
