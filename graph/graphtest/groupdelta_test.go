package graphtest_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"dirsync/graph/graphtest"
)

func (c *client) startGroups(query string) string { return c.url + "/v1.0/groups/delta?" + query }

// linked is the form of one link in a row, or of its end.
func linked(kind, id string) string {
	return `{"@odata.type":"#microsoft.graph.` + kind + `","id":"` + id + `"}`
}
func left(kind, id string) string {
	return `{"@odata.type":"#microsoft.graph.` + kind + `","@removed":{"reason":"deleted"},"id":"` + id + `"}`
}

// crowd is the row of a group named G with links.
func crowd(id string, links ...string) string {
	if links == nil {
		return `{"displayName":"G","id":"` + id + `"}`
	}
	return `{"displayName":"G","id":"` + id + `","members@delta":[` + strings.Join(links, ",") + `]}`
}

// stepper reads round after round and compares the rows.
func (c *client) stepper(link string) func(name, want string) {
	return func(name, want string) {
		c.tb.Helper()
		var rows []row
		rows, link = c.drain(link)
		if got := show(rows); got != want {
			c.tb.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
}

func TestGroupDelta(t *testing.T) {
	clock := newClock()
	tenant := granted()
	tenant.Now = clock.now
	u := addPeople(tenant, "A", "B", "C")
	device := tenant.AddObjects(graphtest.Device, "Laptop")[0]
	g := tenant.AddGroup(graphtest.Group{"displayName": "G"}, graphtest.Group{"displayName": "G", "groupTypes": []string{"Unified", "DynamicMembership"}, "membershipRule": "a"})
	tenant.AddMembers(g[0], u[0], g[1], device)
	c := connect(t, tenant)
	step := c.stepper(c.startGroups("$select=displayName,members"))
	step("first round, a group without members", crowd(g[0], linked("user", u[0]), linked("group", g[1]), linked("device", device))+"\n"+crowd(g[1]))
	step("nothing", "")
	tenant.AddMembers(g[0], u[0], u[1])
	tenant.RemoveMembers(g[0], device, u[2])
	step("joined and left", crowd(g[0], left("device", device), linked("user", u[1])))
	tenant.RemoveMembers(g[0], u[0])
	tenant.AddMembers(g[0], u[0])
	step("left and joined again", crowd(g[0], linked("user", u[0])))
	tenant.RemoveMembers(g[0], u[0])
	tenant.UpdateGroup(g[0], map[string]any{"description": "not selected"})
	step("left, and a change that was not selected", crowd(g[0], left("user", u[0])))
	tenant.UpdateGroup(g[0], map[string]any{"displayName": "G2"})
	step("another property", strings.Replace(crowd(g[0]), `"G"`, `"G2"`, 1))
	tenant.UpdateGroup(g[0], map[string]any{"displayName": "G"})
	step("and back", crowd(g[0]))

	tenant.SetMembers(g[1], u...)
	step("a rule takes in everybody", crowd(g[1], linked("user", u[0]), linked("user", u[1]), linked("user", u[2])))
	tenant.UpdateGroup(g[1], map[string]any{"membershipRule": "b"})
	tenant.SetMembers(g[1])
	step("a rule drops everybody", crowd(g[1], left("user", u[0]), left("user", u[1]), left("user", u[2])))
	tenant.SetMembers(g[1], u[2])
	step("a rule takes in one", crowd(g[1], linked("user", u[2])))

	tenant.Delete(u[2])
	step("a member deleted softly", "")
	tenant.Restore(u[2])
	step("and restored", "")
	tenant.Purge(u[2])
	step("a member deleted for good", crowd(g[1], left("user", u[2])))

	tenant.AddMembers(g[1], u[0])
	tenant.DeleteGroup(g[1])
	step("deleted softly", `{"@removed":{"reason":"changed"},"id":"`+g[1]+`"}`)
	tenant.RestoreGroup(g[1])
	step("restored, with everybody", crowd(g[1], linked("user", u[0])))
	tenant.DeleteGroup(g[1])
	tenant.PurgeGroup(g[1])
	step("deleted for good, and no longer a member", `{"@removed":{"reason":"deleted"},"id":"`+g[1]+`"}`+"\n"+crowd(g[0], left("group", g[1])))
	tenant.DeleteGroup(g[0])
	step("a security group", `{"@removed":{"reason":"deleted"},"id":"`+g[0]+`"}`)
}

func TestGroupDeltaOptions(t *testing.T) {
	tenant := granted()
	u := addPeople(tenant, "A")
	g := tenant.AddGroup(graphtest.Group{"displayName": "G"}, graphtest.Group{"displayName": "G"})
	tenant.AddMembers(g[0], u...)
	tenant.AddMembers(g[1], u...)
	c := connect(t, tenant)
	for _, path := range []string{"delta", "delta()", "delta/", "microsoft.graph.delta", "microsoft.graph.delta()"} {
		p := c.page("/v1.0/groups/" + path + "?%24select=displayName")
		if len(p.Value) != 2 || strings.Contains(string(p.Value[0]), "members") || !strings.HasPrefix(p.Delta, c.url+"/v1.0/groups/delta?$deltatoken=") || !strings.HasSuffix(p.Context, "#groups(displayName,id)") {
			t.Errorf("%s: got %+v", path, p)
		}
	}
	rows, link := c.drain(c.startGroups(""))
	if got := show(rows[:1]); !strings.Contains(got, `"members@delta":[`+linked("user", u[0])) || !strings.Contains(got, `"securityEnabled":true`) || strings.Contains(got, "manager") {
		t.Errorf("nothing selected: got %s", got)
	}
	one := c.stepper(c.startGroups(query("$select", "displayName,members", "$filter", "id eq '"+g[1]+"' or id eq 'unknown'")))
	one("one of two", crowd(g[1], linked("user", u[0])))
	_, latest := c.drain(c.startGroups("$deltatoken=latest&$select=members"))
	tenant.RemoveMembers(g[0], u[0])
	one("the other changed", "")
	if rows, _ := c.drain(latest); show(rows) != `{"id":"`+g[0]+`","members@delta":[`+left("user", u[0])+`]}` {
		t.Errorf("from latest on: got %s", show(rows))
	}
	c.prefer = "return=minimal"
	if rows, _ := c.drain(link); show(rows) != `{"id":"`+g[0]+`","members@delta":[`+left("user", u[0])+`]}` {
		t.Errorf("minimal: got %s", show(rows))
	}
	c.prefer = ""
	many := strings.TrimSuffix(strings.Repeat("id eq 'x' or ", 1), " or ")
	for i := range 50 {
		many += fmt.Sprintf(" or id eq '%d'", i)
	}
	for name, q := range map[string]string{
		"51 ids": query("$filter", many), "another filter": query("$filter", "displayName eq 'G'"), "untrackable": "$select=isArchived",
		"unknown": "$select=surname", "order": "$orderby=displayName", "expand": "$expand=members", "search": query("$search", `"displayName:x"`),
	} {
		if r := c.get(c.startGroups(q)); r.status != http.StatusBadRequest {
			t.Errorf("%s: got %d %s", name, r.status, r.body)
		}
	}
	// Tokens of users and of groups are not the same.
	if r := c.get("/v1.0/users/delta" + latest[strings.Index(latest, "?"):]); r.status != http.StatusBadRequest {
		t.Errorf("a token of groups for users: got %d", r.status)
	}
	_, ofUsers := c.drain(c.start("$select=id"))
	if r := c.get("/v1.0/groups/delta" + ofUsers[strings.Index(ofUsers, "?"):]); r.status != http.StatusBadRequest {
		t.Errorf("a token of users for groups: got %d", r.status)
	}
	for shape, want := range map[graphtest.Rejection]int{graphtest.BadRequest: 400, graphtest.Gone: 410, graphtest.GoneResync: 410, graphtest.GoneNoLocation: 410, graphtest.GoneNested: 410, graphtest.UnsupportedQuery: 400} {
		tenant.SetFaults(graphtest.Faults{Rejection: shape, RejectDelta: true})
		r := c.get(latest)
		if at := r.header.Get("Location"); r.status != want || at != "" && !strings.HasPrefix(at, c.url+"/v1.0/groups/delta?") {
			t.Errorf("shape %d: got %d, Location %s", shape, r.status, at)
		}
	}
}

// TestLargeGroupsComeInParts counts rows and links by page.
func TestLargeGroupsComeInParts(t *testing.T) {
	tenant := granted()
	tenant.Generate(1200, 1)
	people := tenant.IDs()
	g := tenant.AddGroup(graphtest.Group{}, graphtest.Group{}, graphtest.Group{}, graphtest.Group{})
	tenant.AddMembers(g[0], people[:3]...)
	tenant.AddMembers(g[1], people...)
	tenant.AddMembers(g[3], people[:10]...)
	c := connect(t, tenant)
	read := func(query string) string {
		var out []string
		got := map[string]map[string]bool{}
		for p := range c.round(c.startGroups(query)) {
			var parts []string
			for _, raw := range p.Value {
				var r struct {
					ID      string
					Name    string                `json:"displayName"`
					Members []struct{ ID string } `json:"members@delta"`
				}
				if err := json.Unmarshal(raw, &r); err != nil || r.Name == "" {
					t.Fatalf("got %s, %v", raw, err)
				}
				if got[r.ID] == nil {
					got[r.ID] = map[string]bool{}
				}
				for _, m := range r.Members {
					got[r.ID][m.ID] = true
				}
				parts = append(parts, fmt.Sprintf("%d:%d", slices.Index(g, r.ID), len(r.Members)))
			}
			out = append(out, strings.Join(parts, " "))
		}
		for _, id := range g {
			if want := tenant.Members(id); strings.Contains(query, "members") && len(got[id]) != len(want) {
				t.Errorf("%s: group %d: got %d members, want %d", query, slices.Index(g, id), len(got[id]), len(want))
			}
		}
		return strings.Join(out, " | ")
	}
	if got, want := read("$select=displayName,members"), "0:3 1:497 | 1:500 | 1:203 2:0 3:10"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	c.prefer = "odata.maxpagesize=400"
	if got, want := read("$select=displayName,members"), "0:3 1:397 | 1:400 | 1:400 | 1:3 2:0 3:10"; got != want {
		t.Errorf("with a page size of 400: got %s, want %s", got, want)
	}
	c.prefer = "odata.maxpagesize=2"
	if got := read("$select=displayName"); got != "0:0 1:0 | 2:0 3:0" {
		t.Errorf("with a page size of 2: got %s", got)
	}
	c.prefer = ""
	tenant.SetFaults(graphtest.Faults{Interleave: true, LinkPage: 900, PageSize: 2})
	if got, want := read("$select=displayName,members"), "0:3 1:166 | 2:0 3:10 | 1:166"; !strings.HasPrefix(got, want) {
		t.Errorf("interleaved: got %s, want %s at its beginning", got, want)
	}
}

func TestPurgeMayBeSilent(t *testing.T) {
	tenant := granted()
	tenant.Faults.SilentPurge = true
	u := addPeople(tenant, "A", "B")
	g := tenant.AddGroup(graphtest.Group{"displayName": "G"})
	tenant.AddMembers(g[0], u...)
	c := connect(t, tenant)
	step := c.stepper(c.startGroups("$select=displayName,members"))
	step("first round", crowd(g[0], linked("user", u[0]), linked("user", u[1])))
	tenant.Purge(u[0])
	step("after the purge", "")
	c.stepper(c.startGroups("$select=displayName,members"))("a new first round", crowd(g[0], linked("user", u[1])))
	if got := tenant.Members(g[0]); !slices.Equal(got, u[1:]) {
		t.Errorf("members: got %v", got)
	}
}

// groupFollower is a client of groups that does what Graph's documents ask of one. It keeps links until it is told that
// they ended or that the group did.
type groupFollower struct {
	c     *client
	known map[string]map[string]bool
	names map[string]any
	link  string
}

func (f *groupFollower) round(between func()) { f.read(func() bool { between(); return true }) }

// read reads a round for as long as more says so after a page.
func (f *groupFollower) read(more func() bool) {
	f.c.tb.Helper()
	for p := range f.c.round(f.link) {
		for _, raw := range p.Value {
			var r row
			if err := json.Unmarshal(raw, &r); err != nil {
				f.c.tb.Fatal(err)
			}
			if r.removed() != "" {
				delete(f.known, r.id())
				continue
			}
			if f.known[r.id()] == nil {
				f.known[r.id()] = map[string]bool{}
			}
			f.names[r.id()] = r["displayName"]
			links, _ := r["members@delta"].([]any)
			for _, l := range links {
				m := row(l.(map[string]any))
				if m.removed() != "" {
					delete(f.known[r.id()], m.id())
				} else {
					f.known[r.id()][m.id()] = true
				}
			}
		}
		if p.Delta != "" {
			f.link = p.Delta
		}
		if !more() {
			return
		}
	}
}

// TestUnkindButTrueOfGroups turns on many switches by chance, changes groups and people at every page, breaks rounds off
// and begins them again, and demands that a client which follows the documents ends up with the truth.
func TestUnkindButTrueOfGroups(t *testing.T) {
	for seed := range uint64(24) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 11))
			some := func(n int) int { return r.IntN(2) * (1 + r.IntN(n)) }
			clock := newClock()
			tenant := granted()
			tenant.Now = clock.now
			tenant.Faults = graphtest.Faults{
				Seed: seed, PageSize: 1 + r.IntN(6), LinkPage: 1 + r.IntN(9), Interleave: r.IntN(2) == 0, VaryPages: r.IntN(2) == 0,
				EmptyPages: r.IntN(2) * (2 + r.IntN(4)), Repeat: some(4), OlderFirst: r.IntN(2) == 0, Replay: some(9), Strangers: some(4),
				Shuffle: r.IntN(2) == 0, Extras: r.IntN(2) == 0, Lag: time.Duration(some(60)) * time.Second, SoftGroups: r.IntN(2) == 0,
			}
			tenant.Generate(40, seed)
			for range 12 {
				g := tenant.AddGroup(graphtest.Group{})[0]
				for _, id := range tenant.IDs() {
					if r.IntN(3) == 0 {
						tenant.AddMembers(g, id)
					}
				}
			}
			clock.advance(time.Hour)
			c := connect(t, tenant)
			n := 0
			change := func() {
				if n++; n > 250 {
					return
				}
				clock.advance(time.Second)
				groups, people := tenant.Groups(), tenant.IDs()
				g := groups[r.IntN(len(groups))]["id"].(string)
				u := people[r.IntN(len(people))]
				switch r.IntN(14) {
				case 0:
					if len(groups) > 4 {
						tenant.DeleteGroup(g)
						if tenant.Faults.SoftGroups && r.IntN(2) == 0 {
							tenant.RestoreGroup(g)
						}
					}
				case 1:
					tenant.AddMembers(tenant.AddGroup(graphtest.Group{})[0], u, g)
				case 2:
					tenant.Delete(u)
					tenant.Restore(u)
				case 3:
					if len(people) > 10 {
						tenant.Purge(u)
					}
				case 4:
					tenant.SetMembers(g)
				case 5:
					tenant.SetMembers(g, people...)
				case 6:
					tenant.UpdateGroup(g, map[string]any{"displayName": fmt.Sprint("Name ", n)})
				case 7, 8:
					tenant.AddMembers(g, u)
					tenant.RemoveMembers(g, u)
				case 9, 10:
					tenant.RemoveMembers(g, u)
					tenant.AddMembers(g, u)
				default:
					tenant.AddMembers(g, people[:r.IntN(len(people))]...)
				}
			}
			f := &groupFollower{c: c, known: map[string]map[string]bool{}, names: map[string]any{}, link: c.startGroups("$select=displayName,members")}
			for k := range 8 {
				if k > 2 && r.IntN(3) == 0 { // broken off after two pages and begun again, without the replay
					link := f.link
					pages := 0
					f.read(func() bool { pages++; change(); return pages < 2 })
					f.link = link
					tenant.Set(func(t *graphtest.Tenant) { t.Faults.Replay = 0 })
				}
				f.round(change)
				clock.advance(time.Second)
			}
			clock.advance(10 * time.Minute) // the lag is over
			n = 1000
			f.round(change)
			f.check(tenant)
		})
	}
}

func (f *groupFollower) check(tenant *graphtest.Tenant) {
	f.c.tb.Helper()
	groups := tenant.Groups()
	if len(groups) != len(f.known) {
		f.c.tb.Errorf("groups: got %d, want %d", len(f.known), len(groups))
	}
	there := map[string]bool{}
	for _, id := range tenant.IDs() {
		there[id] = true
	}
	for _, g := range groups {
		there[g["id"].(string)] = true
	}
	for _, g := range groups {
		id := g["id"].(string)
		var name string
		_ = json.Unmarshal(g["displayName"].(json.RawMessage), &name)
		if f.names[id] != name {
			f.c.tb.Errorf("%s: got the name %v, want %s", id, f.names[id], name)
		}
		var got []string
		for m := range f.known[id] {
			if there[m] { // links to what was deleted softly stay
				got = append(got, m)
			}
		}
		slices.Sort(got)
		want := tenant.Members(id)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			f.c.tb.Errorf("%s: got %d members, want %d", id, len(got), len(want))
		}
	}
}

// TestRejoinedMembersAreShownAsGoneFirst repeats rows: a member who left and joined again within the round is a
// tombstone at first, and what was told last is true.
func TestRejoinedMembersAreShownAsGoneFirst(t *testing.T) {
	tenant := granted()
	u := addPeople(tenant, "A", "B")
	g := tenant.AddGroup(graphtest.Group{"displayName": "G"})[0]
	tenant.AddMembers(g, u[0])
	c := connect(t, tenant)
	_, link := c.drain(c.startGroups("$select=displayName,members"))
	tenant.SetFaults(graphtest.Faults{Repeat: 1, OlderFirst: true, LinkPage: 3})
	tenant.UpdateGroup(g, map[string]any{"displayName": "G0"})
	tenant.RemoveMembers(g, u[0])
	tenant.AddMembers(g, u[0], u[1])
	tenant.RemoveMembers(g, u[1])
	tenant.UpdateGroup(g, map[string]any{"displayName": "G"})
	rows, next := c.drain(link)
	want := strings.Replace(crowd(g, left("user", u[0]), linked("user", u[1])), `"G"`, `"G0"`, 1) + "\n" +
		crowd(g, linked("user", u[0]), left("user", u[1]))
	if got := show(rows); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	tenant.SetFaults(graphtest.Faults{Repeat: 1, OlderFirst: true, Replay: 9})
	rows, _ = c.drain(next)
	for _, r := range rows { // these were told before, and stay as they are
		if got, want := show([]row{r}), crowd(g, linked("user", u[0]), left("user", u[1])); got != want {
			t.Errorf("replayed: got %s, want %s", got, want)
		}
	}
	if len(rows) != 2 {
		t.Errorf("replayed: got %d rows", len(rows))
	}
}
