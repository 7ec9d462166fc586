package graph_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dirsync"
	"dirsync/graph"
	"dirsync/graph/graphtest"
)

// teamTenant is a tenant with a Writer of users and groups, and what its caller remembers of groups.
type teamTenant struct {
	*world
	t      testing.TB
	cfg    graph.WriterConfig
	users  *graph.Writer
	groups *graph.GroupWriter
	mu     sync.Mutex
	links  map[dirsync.ID]string
}

func newTeamTenant(t testing.TB, change ...func(*graph.Config)) *teamTenant {
	tenant := writable()
	tenant.Roles = append(tenant.Roles, "Group.ReadWrite.All")
	x := &teamTenant{world: inProcess(t, tenant, change...), t: t, cfg: writing("department"), links: map[dirsync.ID]string{}}
	x.restart()
	return x
}

// restart is a new process.
func (x *teamTenant) restart() {
	x.users = writer(x.t, x.client, x.cfg)
	x.groups = x.users.Groups(graph.GroupWriting{Scope: "staff", All: func(_ context.Context, fn func(dirsync.ID, string)) error {
		x.mu.Lock()
		defer x.mu.Unlock()
		for id, account := range x.links {
			fn(id, account)
		}
		return nil
	}, Links: func(_ context.Context, id dirsync.ID) (string, error) {
		x.mu.Lock()
		defer x.mu.Unlock()
		return x.links[id], nil
	}})
}

func (x *teamTenant) link(id dirsync.ID, account string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.links[id] = account
}

// group makes a group and remembers it.
func (x *teamTenant) group(id dirsync.ID, name string) string {
	x.t.Helper()
	a, err := x.groups.Apply(x.t.Context(), team(dirsync.Create, id, name))
	if err != nil {
		x.t.Fatal(err)
	}
	x.link(id, a.ID)
	return a.ID
}

func team(kind dirsync.ChangeKind, id dirsync.ID, name string) dirsync.Change {
	return dirsync.Change{Kind: kind, Person: id, After: dirsync.Values{}.Set("name", text(name)).Set("description", text("About "+name)).Set("mail", dirsync.Value{})}
}

// member makes somebody be in groups, who was in others.
func member(n int, account string, was, is []string) dirsync.Change {
	return dirsync.Change{Kind: dirsync.Update, Person: person(n), Account: account,
		Before: dirsync.Values{field(dirsync.GroupsField, dirsync.NewList(was))}, After: dirsync.Values{field(dirsync.GroupsField, dirsync.NewList(is))}}
}

func property(g graphtest.Group, name string) string {
	raw, _ := g[name].(json.RawMessage)
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return string(raw)
	}
	return s
}

func TestGroupWriter(t *testing.T) {
	x, ctx := newTeamTenant(t), t.Context()
	id := x.group("g1", "Sales Zürich")
	if again := x.group("g1", "Sales Zürich"); again != id || len(x.Groups()) != 1 {
		t.Fatalf("made twice: %s and %s", id, again)
	}
	g := x.Groups()[0]
	for name, want := range map[string]string{"displayName": "Sales Zürich", "description": "About Sales Zürich", "mailEnabled": "false", "securityEnabled": "true"} {
		if got := property(g, name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	if got := property(g, "mailNickname"); !strings.HasPrefix(got, "saleszrich-") {
		t.Errorf("got the nickname %s", got)
	}
	x.restart()
	c := team(dirsync.Update, "g1", "Sales")
	c.Account = id
	if a, err := x.groups.Apply(ctx, c); err != nil || a.ID != id {
		t.Fatalf("got %+v, %v", a, err)
	}
	c.After = dirsync.Values{field("description", dirsync.Value{})}
	if _, err := x.groups.Apply(ctx, c); err != nil {
		t.Fatal(err)
	}
	if g := x.Groups()[0]; property(g, "displayName") != "Sales" || property(g, "description") != "" && property(g, "description") != "null" {
		t.Errorf("got %v", g)
	}
	found, err := x.groups.Find(ctx, "name", []dirsync.Value{text("SALES"), {}, text("Nobody")})
	if err != nil || len(found) != 3 || len(found[0]) != 1 || found[0][0].ID != id || len(found[2]) != 0 {
		t.Errorf("found %v, %v", found, err)
	}
	if _, err := x.groups.Find(ctx, "mail", nil); dirsync.KindOf(err) != dirsync.Invalid {
		t.Errorf("by mail: got %v, want invalid", err)
	}
	var listed []string
	if err := x.groups.Users(ctx, func(a dirsync.Account) error { listed = append(listed, a.ID); return nil }); err != nil || !slices.Equal(listed, []string{id}) {
		t.Errorf("listed %v, %v", listed, err)
	}
	// A group cannot be inactive, and what is not there cannot be changed.
	if a, err := x.groups.Apply(ctx, dirsync.Change{Kind: dirsync.Deactivate, Person: "g1", Account: id}); err != nil || a.ID != id || len(x.Groups()) != 1 {
		t.Errorf("got %+v, %v", a, err)
	}
	if _, err := x.groups.Apply(ctx, team(dirsync.Update, "g2", "Other")); dirsync.KindOf(err) != dirsync.NotFound {
		t.Errorf("got %v, want not found", err)
	}
	for range 2 {
		if _, err := x.groups.Apply(ctx, dirsync.Change{Kind: dirsync.Delete, Person: "g1", Account: id}); err != nil || len(x.Groups()) != 0 {
			t.Errorf("got %v, and %d groups", err, len(x.Groups()))
		}
	}
	if again := x.group("g1", "Sales"); again == id {
		t.Error("a deleted group was taken for one that is there")
	}
}

// A creation of which no answer came, and one that a process that ended has made, are found again.
func TestGroupWriterLostAnswers(t *testing.T) {
	for name, fault := range map[string]graphtest.Fault{
		"503": {Status: 503}, "503, applied": {Status: 503, Apply: true}, "504, applied": {Status: 504, Apply: true},
		"cut off": {Reset: true}, "HTML": graphtest.HTMLPage(502), "429": graphtest.Throttled("4"), "empty": graphtest.Empty(503), "cut short": {Truncate: true},
	} {
		for _, on := range []graphtest.Kind{graphtest.Batch, ""} {
			t.Run(fmt.Sprint(name, " in ", on), func(t *testing.T) {
				x := newTeamTenant(t)
				once := func(kind graphtest.Kind) {
					if on != "" {
						kind = on
					}
					x.SetFaults(graphtest.Faults{Lag: 10 * time.Second, Rules: []graphtest.Rule{{On: kind, Times: 1, Fault: fault}}})
				}
				once(graphtest.CreateGroup)
				id := x.group("g1", "Sales")
				x.restart()
				x.group("g1", "Sales")
				if got := len(x.Groups()); got != 1 {
					t.Fatalf("got %d groups, want 1", got)
				}
				a, err := x.users.Apply(t.Context(), joiner(1))
				if err != nil {
					t.Fatal(err)
				}
				for _, step := range []struct {
					was, is []string
				}{{nil, []string{"g1"}}, {[]string{"g1"}, nil}} {
					kind := graphtest.UpdateGroup
					if len(step.is) == 0 {
						kind = graphtest.ChangeMembers
					}
					once(kind)
					if _, err := x.users.Apply(t.Context(), member(1, a.ID, step.was, step.is)); err != nil {
						t.Fatal(err)
					}
					if got := len(x.Members(id)); got != len(step.is) {
						t.Errorf("got %d members, want %d", got, len(step.is))
					}
				}
				once(graphtest.DeleteGroup)
				if _, err := x.groups.Apply(t.Context(), dirsync.Change{Kind: dirsync.Delete, Person: "g1", Account: id}); err != nil || len(x.Groups()) != 0 {
					t.Errorf("got %v, and %d groups", err, len(x.Groups()))
				}
			})
		}
	}
}

// Twenty who join travel in one request, and what is in the way of one keeps nobody else out.
func TestWriterMemberships(t *testing.T) {
	x, ctx := newTeamTenant(t), t.Context()
	sales, support := x.group("g1", "Sales"), x.group("g2", "Support")
	const people = 45
	var changes []dirsync.Change
	for n := range people {
		c := joiner(n)
		c.After = c.After.Set(dirsync.GroupsField, dirsync.NewList([]string{"g1", "g2"}[:1+n%2]))
		changes = append(changes, c)
	}
	x.ResetRequests()
	applied := x.users.ApplyAll(ctx, changes)
	for i, a := range applied {
		if v, _ := a.Account.Values.Get(dirsync.GroupsField); a.Err != nil || len(v.List()) != 1+i%2 {
			t.Fatalf("%d: got %+v, %v", i, a.Account, a.Err)
		}
	}
	if got := x.Requests().UpdateGroup; got != 5 { // three for the 45 in Sales, two for the 22 in Support
		t.Errorf("got %d requests about members, want 5", got)
	}
	if a, b := len(x.Members(sales)), len(x.Members(support)); a != people || b != people/2 {
		t.Errorf("got %d and %d members", a, b)
	}
	// One is in it already, another is not there, and the others join; nobody who is not spoken of leaves.
	extra := x.Add(graphtest.User{"userPrincipalName": "extra@a.example", "displayName": "Extra"})[0]
	x.SetMembers(support, append(x.Members(support), extra, applied[0].Account.ID)...)
	if _, err := x.users.Apply(ctx, dirsync.Change{Kind: dirsync.Delete, Person: person(2), Account: applied[2].Account.ID}); err != nil {
		t.Fatal(err)
	}
	changes = nil
	for n := 0; n < people; n += 2 {
		changes = append(changes, member(n, applied[n].Account.ID, []string{"g1"}, []string{"g2"}))
	}
	for i, a := range x.users.ApplyAll(ctx, changes) {
		if gone := i == 1; gone != (a.Err != nil) || gone && !strings.Contains(a.Err.Error(), "is not there") {
			t.Errorf("%d: got %v", 2*i, a.Err)
		}
	}
	if a, b := len(x.Members(sales)), len(x.Members(support)); a != people/2 || b != people {
		t.Errorf("got %d in Sales, want %d; %d in Support, want %d with the stranger", a, people/2, b, people)
	}
	// In a group that is not there nobody can be, and that is said before anything is sent.
	x.ResetRequests()
	c := joiner(99)
	c.After = c.After.Set(dirsync.GroupsField, dirsync.NewList([]string{"g1", "g3"}))
	_, err := x.users.Apply(ctx, c)
	if dirsync.KindOf(err) != dirsync.Conflict || !strings.Contains(err.Error(), "there is no group g3") || x.Requests().CreateUser != 0 {
		t.Errorf("got %v after %v", err, x.Requests())
	}
	// Out of a group that is gone nobody has to be taken.
	if _, err := x.groups.Apply(ctx, dirsync.Change{Kind: dirsync.Delete, Person: "g2", Account: support}); err != nil {
		t.Fatal(err)
	}
	x.link("g2", "")
	if _, err := x.users.Apply(ctx, member(0, applied[0].Account.ID, []string{"g2"}, nil)); err != nil {
		t.Error(err)
	}
	if got := len(x.Users()); got != people {
		t.Errorf("got %d users, want %d: leaving a group must not delete anybody", got, people)
	}
}

// A thousand who join a group are fifty requests in at most fifteen batches; whoever leaves is a request of their own, four
// of a group in a batch, and twenty when their groups are several.
func TestWriterMembershipsCost(t *testing.T) {
	x := newTeamTenant(t)
	const people = 1000
	var groups []string
	for n := range 10 {
		x.group(dirsync.ID(fmt.Sprint("g", n)), fmt.Sprint("Group ", n))
		groups = append(groups, fmt.Sprint("g", n))
	}
	var accounts []graphtest.User
	for n := range people {
		accounts = append(accounts, graphtest.User{"userPrincipalName": fmt.Sprintf("p%d@a.example", n), "displayName": fmt.Sprint(n)})
	}
	ids := x.Add(accounts...)
	change := func(was, is func(n int) []string) graphtest.Requests {
		t.Helper()
		var changes []dirsync.Change
		for n, id := range ids {
			if !slices.Equal(was(n), is(n)) {
				changes = append(changes, member(n, id, was(n), is(n)))
			}
		}
		x.ResetRequests()
		for i, a := range x.users.ApplyAll(t.Context(), changes) {
			if a.Err != nil {
				t.Fatal(i, a.Err)
			}
		}
		return x.Requests()
	}
	none := func(int) []string { return nil }
	one := func(int) []string { return groups[:1] }
	spread := func(n int) []string { return groups[n%10 : n%10+1] }
	if r := change(none, one); r.UpdateGroup != 50 || r.Inner != 50 || r.Batch > 15 {
		t.Errorf("joining one: got %d requests in %d batches", r.UpdateGroup, r.Batch)
	}
	if r := change(one, spread); r.UpdateGroup != 45 || r.ChangeMembers != 900 || r.Batch > 240 {
		t.Errorf("moving: got %d and %d requests in %d batches", r.UpdateGroup, r.ChangeMembers, r.Batch)
	}
	if r := change(spread, none); r.ChangeMembers != 1000 || r.Batch > 55 {
		t.Errorf("leaving: got %d requests in %d batches", r.ChangeMembers, r.Batch)
	}
}

// Where it is not known in which groups somebody is, the tenant says so: of accounts that were there, and after a failure
// in a process that has ended.
func TestWriterMembershipsInDoubt(t *testing.T) {
	x, ctx := newTeamTenant(t), t.Context()
	sales, support := x.group("g1", "Sales"), x.group("g2", "Support")
	foreign := x.AddGroup(graphtest.Group{"displayName": "Foreign"})[0]
	id := x.Add(graphtest.User{"userPrincipalName": "p1@a.example", "displayName": "Person 1"})[0]
	for _, g := range []string{sales, foreign} {
		x.AddMembers(g, id)
	}
	x.clock.pass(time.Hour)
	c := joiner(1, field("department", text("D")), field(dirsync.GroupsField, dirsync.NewList([]string{"g2"})))
	c.Account = id
	in := func() (out []bool) {
		for _, g := range []string{sales, support, foreign} {
			out = append(out, slices.Contains(x.Members(g), id))
		}
		return out
	}
	if a, err := x.users.Apply(ctx, c); err != nil || a.ID != id || !slices.Equal(in(), []bool{false, true, true}) {
		t.Fatalf("got %+v, %v, in %v", a, err, in())
	}
	x.AddMembers(sales, id)
	x.restart()
	x.clock.pass(time.Hour)
	c.Kind, c.Before = dirsync.Update, dirsync.Values{field(dirsync.GroupsField, dirsync.NewList([]string{"g2"}))}
	c.After = c.After.Set(dirsync.GroupsField, dirsync.Value{})
	if _, err := x.users.Apply(ctx, c); err != nil || !slices.Equal(in(), []bool{false, false, true}) {
		t.Fatalf("got %v, in %v", err, in())
	}
}

// Groups that somebody or something else looks after are not touched.
func TestGroupWriterRefusals(t *testing.T) {
	x, ctx := newTeamTenant(t), t.Context()
	for name, g := range map[string]graphtest.Group{
		"dynamic membership":    {"groupTypes": []string{"DynamicMembership"}, "membershipRule": "user.department -eq \"x\""},
		"a Microsoft 365 group": {"groupTypes": []string{"Unified"}, "mailEnabled": true},
		"is mail-enabled":       {"mailEnabled": true, "mail": "all@a.example"},
		"administrators' roles": {"isAssignableToRole": true},
		"an on-premises":        {"onPremisesSyncEnabled": true},
		"is no security group":  {"securityEnabled": false},
	} {
		t.Run(name, func(t *testing.T) {
			g["displayName"] = "Theirs"
			id := x.AddGroup(g)[0]
			source := dirsync.ID("of " + id)
			for _, kind := range []dirsync.ChangeKind{dirsync.Create, dirsync.Update, dirsync.Delete} {
				c := team(kind, source, "Ours")
				c.Account = id
				_, err := x.groups.Apply(ctx, c)
				if dirsync.KindOf(err) != dirsync.Invalid || !strings.Contains(err.Error(), name) || dirsync.HintOf(err) == "" {
					t.Errorf("%v: got %v (%v), want %q", kind, err, dirsync.HintOf(err), name)
				}
			}
			x.link(source, id)
			a, err := x.users.Apply(ctx, joiner(1))
			if err != nil {
				t.Fatal(err)
			}
			if name == "is no security group" || name == "a Microsoft 365 group" {
				return // the service itself takes members
			}
			_, err = x.users.Apply(ctx, member(1, a.ID, nil, []string{string(source)}))
			if err == nil || !strings.Contains(err.Error(), name) && !strings.Contains(err.Error(), "group "+id) {
				t.Errorf("joining: got %v, want %q", err, name)
			}
		})
	}
	x.cfg.AllowDelete = false
	x.restart()
	id := x.group("g1", "Sales")
	x.ResetRequests()
	if _, err := x.groups.Apply(ctx, dirsync.Change{Kind: dirsync.Delete, Person: "g1", Account: id}); dirsync.KindOf(err) != dirsync.Invalid || x.Requests().Batch != 0 {
		t.Errorf("got %v after %v, want invalid and nothing sent", err, x.Requests())
	}
	for name, v := range map[string]dirsync.Values{
		"name is required": {field("name", dirsync.Value{})}, "name is too long": {field("name", text(strings.Repeat("x", 257)))},
		"name is a boolean": {field("name", dirsync.Value{Type: dirsync.Boolean, Text: "true"})}, "color is no field": {field("color", text("red"))},
	} {
		if _, err := x.groups.Apply(ctx, dirsync.Change{Kind: dirsync.Update, Person: "g1", Account: id, After: v}); dirsync.KindOf(err) != dirsync.Invalid || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %s", err, name)
		}
	}
	if _, err := x.users.Apply(ctx, dirsync.Change{Kind: dirsync.Update, Person: person(1), After: dirsync.Values{field(dirsync.GroupsField, text("g1"))}}); dirsync.KindOf(err) != dirsync.Invalid {
		t.Errorf("groups that are no list: got %v, want invalid", err)
	}
}

func TestGroupWriterPermission(t *testing.T) {
	x := newTeamTenant(t)
	if got := x.users.Permissions(); !slices.Contains(got, "Group.ReadWrite.All") {
		t.Errorf("got %v", got)
	}
	x.Roles = mayWrite()
	x.client = x.connect(t, x.config)
	x.restart()
	_, err := x.groups.Apply(t.Context(), team(dirsync.Create, "g1", "Sales"))
	if dirsync.KindOf(err) != dirsync.Permission || !strings.Contains(err.Error()+dirsync.HintOf(err), "Group") {
		t.Errorf("got %v: %v", err, dirsync.HintOf(err))
	}
}

func TestWriterPreviewsMemberships(t *testing.T) {
	x := newTeamTenant(t)
	sales := x.group("g1", "Sales")
	account := "00000000-0000-4000-8000-00000000aaaa"
	sent, err := x.users.Preview(t.Context(), member(1, account, []string{"g1"}, []string{"g2"}))
	var got []string
	for _, s := range sent {
		got = append(got, s.Method+" "+s.Path+" "+strings.ReplaceAll(string(s.Body), x.config.BaseURL, ""))
	}
	want := []string{`PATCH /groups/<the group> {"members@odata.bind":["/users/` + account + `"]}`,
		"DELETE /groups/" + sales + "/members/" + account + "/$ref "}
	for i := range got {
		got[i] = strings.ReplaceAll(got[i], "/v1.0", "")
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v\nwant %q", got, err, want)
	}
}

// TestGroupWriterConverges makes random changes of groups and of who is in them in a tenant that fails at random, and
// tries again as an engine would. In the end every group is there once, with those in it who were wanted.
func TestGroupWriterConverges(t *testing.T) {
	for seed := range uint64(*writerSeeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			groupCourse(t, seed)
		})
	}
}

func groupCourse(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 31))
	x := newTeamTenant(t, func(cfg *graph.Config) { cfg.ReplicaLag = 45 * time.Second })
	faults := graphtest.Faults{Seed: seed, BareThrottle: rnd.IntN(2) == 0}
	if rnd.IntN(2) == 0 {
		faults.Spread = 40 * time.Second
	}
	x.SetFaults(faults)
	const people, groups, rounds = 8, 4, 10
	accounts := map[int]string{}
	for n := range people {
		a, err := x.users.Apply(t.Context(), joiner(n))
		if err != nil {
			t.Fatal(err)
		}
		accounts[n] = a.ID
	}
	var mu sync.Mutex
	quiet := false
	x.Hook = func(r *http.Request) graphtest.Fault {
		mu.Lock()
		defer mu.Unlock()
		if quiet || !strings.HasPrefix(r.URL.Path, "/v1.0/") || rnd.IntN(10) > 0 {
			return graphtest.Fault{}
		}
		return []graphtest.Fault{{Status: 503}, {Status: 503, Apply: true}, {Status: 504, Apply: true}, graphtest.HTMLPage(502), {Reset: true},
			graphtest.Throttled(""), graphtest.Throttled("2")}[rnd.IntN(7)]
	}
	draw := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return rnd.IntN(n)
	}
	names, doubt := map[int]string{}, map[int]bool{}
	held, unsettled := map[int][]string{}, map[int]bool{}
	wanted := map[int][]string{}
	for round := range rounds {
		mu.Lock()
		quiet = round >= rounds-2
		mu.Unlock()
		if quiet {
			x.clock.pass(5 * time.Minute)
		} else if len(doubt) == 0 && draw(3) == 0 {
			x.restart()
		}
		for g := range groups {
			id := dirsync.ID(fmt.Sprint("g", g))
			c := team(dirsync.Update, id, fmt.Sprint("Group ", g, " ", draw(3)))
			if c.Account = x.links[id]; c.Account == "" {
				c.Kind = dirsync.Create
				if names[g] != "" {
					c = team(dirsync.Create, id, names[g]) // it is not renamed while nobody knows whether it is there
				}
			}
			name, _ := c.After.Get("name")
			names[g] = name.Text
			a, err := x.groups.Apply(t.Context(), c)
			switch {
			case err == nil:
				x.link(id, a.ID)
				delete(doubt, g)
			case quiet:
				t.Fatal(err)
			default:
				doubt[g] = true
			}
		}
		var changes []dirsync.Change
		var who []int
		for n := range people {
			if !quiet || wanted[n] == nil {
				wanted[n] = []string{}
				for g := range groups {
					if id := fmt.Sprint("g", g); draw(2) == 0 && x.links[dirsync.ID(id)] != "" {
						wanted[n] = append(wanted[n], id)
					}
				}
			}
			if unsettled[n] || !slices.Equal(wanted[n], held[n]) {
				c := member(n, accounts[n], held[n], wanted[n])
				if unsettled[n] {
					c.After = joiner(n, field("department", text("D")), c.After[0]).After
				}
				changes, who = append(changes, c), append(who, n)
			}
		}
		for i, a := range x.users.ApplyAll(t.Context(), changes) {
			switch n := who[i]; {
			case a.Err == nil:
				held[n] = wanted[n]
				delete(unsettled, n)
			case quiet:
				t.Fatal(a.Err)
			default:
				unsettled[n] = true
			}
		}
		x.clock.pass(time.Duration(draw(60)) * time.Second)
	}
	if got := len(x.Groups()); got != groups {
		t.Fatalf("got %d groups, want %d", got, groups)
	}
	for _, g := range x.Groups() {
		var n int
		fmt.Sscanf(property(g, "displayName"), "Group %d", &n)
		want := []string{}
		for p := range people {
			if slices.Contains(wanted[p], fmt.Sprint("g", n)) {
				want = append(want, accounts[p])
			}
		}
		got := x.Members(g["id"].(string))
		slices.Sort(got)
		slices.Sort(want)
		if property(g, "displayName") != names[n] || !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v and the name %s", property(g, "displayName"), got, want, names[n])
		}
	}
}
