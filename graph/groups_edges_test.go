package graph_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"dirsync"
	"dirsync/graph"
	"dirsync/graph/graphtest"
)

// More groups than one delta query can name take several, and each of them is asked once when nothing has changed.
func TestManyGroups(t *testing.T) {
	w := serve(t, granted(graphtest.Faults{}))
	u := w.Add(named("Ada", "Bo")...)
	g := w.AddGroup(make([]graphtest.Group, 130)...)
	for i, id := range g {
		w.AddMembers(id, u[i%2])
	}
	s := w.client.Groups(graph.GroupsConfig{Chosen: g[:120]})
	got := newTeams()
	next := got.read(t, s, "")
	if len(got.groups) != 120 {
		t.Errorf("got %d groups, want 120", len(got.groups))
	}
	for i, id := range g[:120] {
		if _, there := got.members[dirsync.ID(id)][dirsync.ID(u[i%2])]; !there || len(got.members[dirsync.ID(id)]) != 1 {
			t.Errorf("group %d: got %v", i, got.members[dirsync.ID(id)])
		}
	}
	count := w.Requests()
	if count.GroupGet != 120 || count.GroupDelta != 3 {
		t.Errorf("got %+v, want a look at each chosen group and three delta queries", count)
	}
	w.ResetRequests()
	w.RemoveMembers(g[77], u[1])
	next = got.read(t, s, next)
	if count := w.Requests(); count.Total != 3 || len(got.members[dirsync.ID(g[77])]) != 0 {
		t.Errorf("got %+v, want three requests", count)
	}
	w.ResetRequests()
	more := w.client.Groups(graph.GroupsConfig{Chosen: g})
	next = got.read(t, more, next)
	if count := w.Requests(); count.GroupGet != 10 || count.GroupDelta != 4 || len(got.groups) != 130 {
		t.Errorf("got %d groups and %+v, want ten looks and a fourth delta query", len(got.groups), count)
	}
	if got := len(more.Chosen(next)); got != 130 {
		t.Errorf("%d groups are chosen, want 130", got)
	}
}

// One change in a group of fifty thousand costs one answer with one member in it.
func TestLargeGroup(t *testing.T) {
	const size = 50_000
	w := inProcess(t, granted(graphtest.Faults{}))
	u := w.Add(make([]graphtest.User, size)...)
	g := w.AddGroup(graphtest.Group{"displayName": "Everybody"}, graphtest.Group{"displayName": "Nobody"})
	w.AddMembers(g[0], u...)
	s := w.client.Groups(graph.GroupsConfig{Chosen: g})
	got := newTeams()
	next := got.read(t, s, "")
	if n := len(got.members[dirsync.ID(g[0])]); n != size {
		t.Fatalf("got %d members, want %d", n, size)
	}
	if n := w.Requests().GroupDelta; n > size/500+1 {
		t.Errorf("the first round cost %d delta requests, want at most %d", n, size/500+1)
	}
	w.ResetRequests()
	w.RemoveMembers(g[0], u[777])
	var rows []dirsync.Record
	err := s.Read(t.Context(), next, func(p dirsync.Page) error { rows = append(rows, p.Records...); return nil })
	if err != nil || len(rows) != 1 || len(rows[0].Members) != 1 || rows[0].Members[0] != (dirsync.MemberChange{ID: dirsync.ID(u[777]), Removed: true}) {
		t.Errorf("got %v, %v, want one row with one member", rows, err)
	}
	if n := w.Requests().Total; n != 1 {
		t.Errorf("it cost %d requests, want 1", n)
	}
	w.ResetRequests()
	n := 0
	err = s.Members(t.Context(), dirsync.ID(g[0]), func(m []dirsync.Membership) error { n += len(m); return nil })
	if count := w.Requests(); err != nil || n != size-1 || count.Members != 51 {
		t.Errorf("got %d members with %+v, %v", n, count, err)
	}
}

// A round can be gone on with from every page.
func TestGroupsResume(t *testing.T) {
	w := inProcess(t, granted(graphtest.Faults{PageSize: 2, LinkPage: 2, Interleave: true, EmptyPages: 3}))
	u := w.Add(make([]graphtest.User, 9)...)
	g := w.AddGroup(make([]graphtest.Group, 60)...)
	w.AddMembers(g[0], u...)
	w.AddMembers(g[0], g[1:58]...)
	w.AddMembers(g[57], u[:5]...)
	w.AddMembers(g[57], g[58], g[0])
	s := w.client.Groups(graph.GroupsConfig{Chosen: g[:1], Nested: true})
	got, at, pages := newTeams(), dirsync.Cursor(""), 0
	stop := errors.New("stop")
	for complete := false; !complete; pages++ {
		err := s.Read(t.Context(), at, func(p dirsync.Page) error {
			if c := s.Chosen(p.Next); len(c) != 1 {
				t.Fatalf("page %d: chosen %v", pages, c)
			}
			got.take(p.Records)
			at, complete = p.Next, p.Complete
			return stop
		})
		if err != stop {
			t.Fatalf("page %d: %v", pages, err)
		}
	}
	if pages < 40 || len(got.groups) != 59 || len(got.members[dirsync.ID(g[0])]) != 9+57 || len(got.members[dirsync.ID(g[57])]) != 7 {
		t.Errorf("got %d groups with %d and %d members on %d pages", len(got.groups), len(got.members[dirsync.ID(g[0])]), len(got.members[dirsync.ID(g[57])]), pages)
	}
}

func TestNamesOfGroups(t *testing.T) {
	w := inProcess(t, granted(graphtest.Faults{}))
	g := w.AddGroup(graphtest.Group{"displayName": "Sales EMEA"}, graphtest.Group{"displayName": "Sales APAC"}, graphtest.Group{"displayName": "Twins"},
		graphtest.Group{"displayName": "twins"}, graphtest.Group{"displayName": "O'Hara & Söhne/100%?", "uniqueName": "twins-of-old"}, graphtest.Group{"displayName": "Gone"})
	w.PurgeGroup(g[5])
	twins := g[2:4]
	for name, want := range map[string]struct{ text, hint string }{
		"Sales":             {`there is no group named "Sales"`, `There is "Sales EMEA" (` + g[0] + `), "Sales APAC" (` + g[1] + `).`},
		"TWINS":             {`2 groups are named "TWINS": ` + strings.Join(twins, ", "), "Use the object id of the one that is meant."},
		"Gone":              {`there is no group named "Gone"`, "Check the spelling, or use the object id."},
		g[5]:                {"there is no group with the id " + g[5], "Check the object id: it is on the group's overview page in Entra ID."},
		" ":                 {"the name of a group is empty or longer than 256 characters", "Name a group by its object id or its display name."},
		"Söhne' or id ne '": {`there is no group named "Söhne' or id ne '"`, "Check the spelling, or use the object id."},
	} {
		s := w.client.Groups(graph.GroupsConfig{Chosen: []string{"Sales EMEA", name}})
		calls := 0
		err := s.Read(t.Context(), "", func(dirsync.Page) error { calls++; return nil })
		if dirsync.KindOf(err) != dirsync.Invalid || err.Error() != "find the chosen groups: "+want.text || !strings.HasSuffix(dirsync.HintOf(err), want.hint) || calls != 0 {
			t.Errorf("%q: got %v (%s), want %s (%s)", name, err, dirsync.HintOf(err), want.text, want.hint)
		}
	}
	s := w.client.Groups(graph.GroupsConfig{Chosen: []string{"O'Hara & Söhne/100%?", "sales emea", "twins-of-old"}})
	got := newTeams()
	next := got.read(t, s, "")
	want := fmt.Sprint([]dirsync.ChosenGroup{{Name: "O'Hara & Söhne/100%?", ID: dirsync.ID(g[4])}, {Name: "sales emea", ID: dirsync.ID(g[0])}, {Name: "twins-of-old", ID: dirsync.ID(g[4])}})
	if got := fmt.Sprint(s.Chosen(next)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if len(got.groups) != 2 {
		t.Errorf("got %d groups, want two under three names", len(got.groups))
	}
	for _, cfg := range []graph.GroupsConfig{{}, {Nested: true}, {Chosen: []string{}}} {
		err := w.client.Groups(cfg).Read(t.Context(), "", func(dirsync.Page) error { return nil })
		if dirsync.KindOf(err) != dirsync.Invalid || !strings.Contains(err.Error(), "no group is chosen") {
			t.Errorf("%+v: got %v", cfg, err)
		}
	}
	all := w.client.Groups(graph.GroupsConfig{All: true, Chosen: []string{"Sales APAC"}})
	got = newTeams()
	next = got.read(t, all, "")
	if len(got.groups) != 5 || fmt.Sprint(all.Chosen(next)) != fmt.Sprintf("[{Sales APAC %s}]", g[1]) {
		t.Errorf("got %d groups, chosen %v", len(got.groups), all.Chosen(next))
	}
	if _, err := got.try(w.client.Groups(graph.GroupsConfig{Chosen: g[:1]}), next); !errors.Is(err, dirsync.ErrCursorExpired) {
		t.Errorf("from all to some: got %v, want ErrCursorExpired", err)
	}
}

// An answer that disregards the filter chooses nobody.
func TestNamesAreComparedHere(t *testing.T) {
	w := inProcess(t, granted(graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.GroupList, Fault: graphtest.Fault{Status: 200,
		Body: `{"value":[{"id":"11111111-2222-4333-8444-555555555555","displayName":"Administrators"}]}`}}}}))
	err := w.client.Groups(graph.GroupsConfig{Chosen: []string{"Sales"}}).Read(t.Context(), "", func(dirsync.Page) error { return nil })
	if dirsync.KindOf(err) != dirsync.Invalid || err.Error() != `find the chosen groups: there is no group named "Sales"` {
		t.Errorf("got %v", err)
	}
}

func TestGroupPermissions(t *testing.T) {
	for name, test := range map[string]struct {
		roles  []string
		faults graphtest.Faults
		wants  string
	}{
		"no role for groups": {[]string{"User.Read.All"}, graphtest.Faults{}, "GroupMember.Read.All"},
		"limited":            {[]string{"GroupMember.Read.All"}, graphtest.Faults{Limited: true}, "GroupMember.Read.All"},
	} {
		w := inProcess(t, &graphtest.Tenant{Roles: test.roles, Faults: test.faults})
		id := w.AddGroup(graphtest.Group{})[0]
		calls := 0
		for _, cfg := range []graph.GroupsConfig{{All: true}, {Chosen: []string{id}}, {Chosen: []string{"Group 1"}}} {
			s := w.client.Groups(cfg)
			err := s.Read(t.Context(), "", func(dirsync.Page) error { calls++; return nil })
			if dirsync.KindOf(err) != dirsync.Permission || !strings.Contains(dirsync.HintOf(err), test.wants) || strings.Contains(dirsync.HintOf(err), "Grant the application permission User") || calls > 0 {
				t.Errorf("%s: read: got %v (%s)", name, err, dirsync.HintOf(err))
			}
			err = s.LookUp(t.Context(), []dirsync.ID{dirsync.ID(id)}, func(dirsync.Record) error { calls++; return nil })
			if dirsync.KindOf(err) != dirsync.Permission || !strings.Contains(dirsync.HintOf(err), test.wants) || calls > 0 {
				t.Errorf("%s: look up: got %v (%s)", name, err, dirsync.HintOf(err))
			}
			if err := s.Members(t.Context(), dirsync.ID(id), func([]dirsync.Membership) error { calls++; return nil }); dirsync.KindOf(err) != dirsync.Permission {
				t.Errorf("%s: members: got %v", name, err)
			}
		}
	}
}

// A group that hides its members is never taken for an empty one.
func TestHiddenMembership(t *testing.T) {
	roles := []string{"User.Read.All", "Directory.Read.All", "GroupMember.Read.All"}
	w := inProcess(t, &graphtest.Tenant{Roles: roles})
	u := w.Add(named("Ada")...)
	g := w.AddGroup(graphtest.Group{"displayName": "Open"}, graphtest.Group{"displayName": "Secret", "visibility": "HiddenMembership", "groupTypes": []string{"Unified"}})
	w.AddMembers(g[1], u[0])
	w.AddMembers(g[0], g[1])
	for _, cfg := range []graph.GroupsConfig{{All: true}, {Chosen: []string{"Secret"}}, {Chosen: []string{"Open"}, Nested: true}} {
		got := newTeams()
		_, err := got.try(w.client.Groups(cfg), "")
		if want := `read groups (` + g[1] + `): Member.Read.Hidden is needed: the group "Secret" hides its members, and the application may not see them`; err == nil || err.Error() != want || dirsync.KindOf(err) != dirsync.Permission || !strings.Contains(dirsync.HintOf(err), "Member.Read.Hidden") {
			t.Errorf("%+v: got %v (%s), want %s", cfg, err, dirsync.HintOf(err), want)
		}
		if _, there := got.groups[dirsync.ID(g[1])]; there {
			t.Error("the group was delivered")
		}
	}
	s := w.client.Groups(graph.GroupsConfig{All: true})
	err := s.Members(t.Context(), dirsync.ID(g[1]), func([]dirsync.Membership) error { return nil })
	if dirsync.KindOf(err) != dirsync.Permission || !strings.Contains(dirsync.HintOf(err), "Member.Read.Hidden") {
		t.Errorf("members: got %v", err)
	}
	if err := s.Members(t.Context(), dirsync.ID(g[0]), func([]dirsync.Membership) error { return nil }); err != nil {
		t.Errorf("members of the other group: got %v", err)
	}
	w.Set(func(t *graphtest.Tenant) { t.Roles = append(roles, "Member.Read.Hidden") })
	w.clock.pass(2 * time.Hour)
	got := newTeams()
	got.read(t, s, "")
	if got, want := got.show(w), "Open: Secret; Secret: Ada"; got != want {
		t.Errorf("with the permission: got %s, want %s", got, want)
	}
}

func TestGroupRejections(t *testing.T) {
	for rejection := range graphtest.Rejection(6) {
		w := inProcess(t, granted(graphtest.Faults{Rejection: rejection}))
		g := w.AddGroup(make([]graphtest.Group, 70)...)
		s := w.client.Groups(graph.GroupsConfig{Chosen: g})
		next := newTeams().read(t, s, "")
		w.clock.pass(8 * 24 * time.Hour)
		if _, err := newTeams().try(s, next); !errors.Is(err, dirsync.ErrCursorExpired) || strings.Contains(err.Error(), "token=") {
			t.Errorf("rejection %d: got %v, want ErrCursorExpired", rejection, err)
		}
	}
	w := inProcess(t, granted(graphtest.Faults{PageSize: 2, ExpirePage: 3}))
	w.AddGroup(make([]graphtest.Group, 9)...)
	if _, err := newTeams().try(w.client.Groups(graph.GroupsConfig{All: true}), ""); !errors.Is(err, dirsync.ErrPageExpired) {
		t.Errorf("got %v, want ErrPageExpired", err)
	}
	w.SetFaults(graphtest.Faults{PageSize: 2, Loop: 2})
	if _, err := newTeams().try(w.client.Groups(graph.GroupsConfig{All: true}), ""); dirsync.KindOf(err) != dirsync.Unavailable || !strings.Contains(err.Error(), "leads back to a page") {
		t.Errorf("in a loop: got %v", err)
	}
}

// Links lead to the configured host, and there to what was asked for, or nowhere.
func TestGroupLinks(t *testing.T) {
	w := inProcess(t, granted(graphtest.Faults{}))
	g := w.AddGroup(graphtest.Group{})[0]
	w.AddMembers(g, w.Add(named("Ada")...)...)
	var link string
	asked := 0
	w.Set(func(tenant *graphtest.Tenant) {
		tenant.Hook = func(r *http.Request) graphtest.Fault {
			if strings.Contains(r.URL.RawQuery, "skiptoken") {
				asked++
			}
			if strings.Contains(r.URL.Path, "delta") || strings.HasSuffix(r.URL.Path, "/members") {
				return graphtest.Fault{Status: 200, Body: `{"value":[],"@odata.nextLink":"` + link + `"}`}
			}
			return graphtest.Fault{}
		}
	})
	const token, base = "?$skiptoken=x", "https://tenant.example/v1.0/"
	s := w.client.Groups(graph.GroupsConfig{All: true})
	for _, link = range []string{"https://evil.example/v1.0/groups/delta" + token, "http://tenant.example/v1.0/groups/delta" + token, base + "users/delta" + token,
		base + "groups/x/delta" + token, base + "groups" + token, "https://a@tenant.example/v1.0/groups/delta" + token, "::", base + "groups/" + g + "/members" + token} {
		if _, err := newTeams().try(s, ""); dirsync.KindOf(err) != dirsync.Unavailable || strings.Contains(err.Error(), "skiptoken") {
			t.Errorf("read %s: got %v", link, err)
		}
	}
	for _, link = range []string{"https://evil.example/v1.0/groups/" + g + "/members" + token, base + "groups/11111111-2222-4333-8444-555555555555/members" + token,
		base + "users" + token, base + "groups/" + g + "/members/delta" + token, base + "groups/delta" + token} {
		if err := s.Members(t.Context(), dirsync.ID(g), func([]dirsync.Membership) error { return nil }); dirsync.KindOf(err) != dirsync.Unavailable {
			t.Errorf("members %s: got %v", link, err)
		}
	}
	if asked != 0 {
		t.Errorf("%d links were followed", asked)
	}
	link = base + "groups/" + g + "/members" + token
	if err := s.Members(t.Context(), dirsync.ID(g), func([]dirsync.Membership) error { return nil }); dirsync.KindOf(err) != dirsync.Unavailable || !strings.Contains(err.Error(), "leads back") {
		t.Errorf("in a loop: got %v", err)
	}
	other := w.config
	other.Tenant = "11111111-2222-3333-4444-555555555555"
	w.Set(func(tenant *graphtest.Tenant) { tenant.Hook = nil })
	next := newTeams().read(t, s, "")
	_, err := newTeams().try(w.connect(t, other).Groups(graph.GroupsConfig{All: true}), next)
	if dirsync.KindOf(err) != dirsync.Invalid {
		t.Errorf("a cursor of another tenant: got %v", err)
	}
	users := people{}.read(t, w.client.Users(nil), "")
	for _, c := range []dirsync.Cursor{"x", "{}", "[]", "null", users, `{"v":1,"k":"groups"}`, dirsync.Cursor(strings.Replace(string(next), "tenant.example", "evil.example", 1)),
		dirsync.Cursor(strings.Replace(string(next), `"a":true,`, "", 1)), dirsync.Cursor(strings.Replace(string(next), `"v":1`, `"v":2`, 1))} {
		if _, err := newTeams().try(s, c); !errors.Is(err, dirsync.ErrCursorExpired) {
			t.Errorf("cursor %.60s: got %v, want ErrCursorExpired", c, err)
		}
	}
	if _, _, err := (people{}).try(w.client.Users(nil), next); !errors.Is(err, dirsync.ErrCursorExpired) {
		t.Errorf("a cursor of groups among users: got %v", err)
	}
}

// A group of which the delta query says nothing is asked for, and something is said of it in any case.
func TestUnseenGroups(t *testing.T) {
	silent := func(r *http.Request) graphtest.Fault {
		if strings.Contains(r.URL.Path, "groups/delta") {
			return graphtest.Fault{Status: 200, Body: `{"value":[],"@odata.deltaLink":"https://` + r.Host + `/v1.0/groups/delta?$deltatoken=x"}`}
		}
		return graphtest.Fault{}
	}
	w := inProcess(t, granted(graphtest.Faults{PageSize: 2}))
	u := w.Add(named("Ada", "Bo", "Cy", "Di", "Ed")...)
	g := w.AddGroup(graphtest.Group{"displayName": "A"}, graphtest.Group{"displayName": "B"}, graphtest.Group{"displayName": "C"}, graphtest.Group{"displayName": "D", "groupTypes": []string{"Unified"}})
	w.AddMembers(g[0], u...)
	w.AddMembers(g[0], g[1])
	w.Set(func(tenant *graphtest.Tenant) {
		tenant.Hook = func(r *http.Request) graphtest.Fault {
			if strings.Contains(r.URL.Path, "groups/delta") && len(w.Groups()) == 4 {
				w.DeleteGroup(g[2]) // both after they were found, and before they were read
				w.DeleteGroup(g[3])
			}
			return silent(r)
		}
	})
	s := w.client.Groups(graph.GroupsConfig{Chosen: []string{"A", "C", "D"}, Nested: true})
	got := newTeams()
	said := map[dirsync.ID]string{}
	var next dirsync.Cursor
	err := s.Read(t.Context(), "", func(p dirsync.Page) error {
		got.take(p.Records)
		for _, r := range p.Records {
			said[r.ID] = fmt.Sprint(r.Gone, r.Whole, r.Fresh)
		}
		next = p.Next
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := got.show(w), "A: Ada B Bo Cy Di Ed; B: "; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	want := map[dirsync.ID]string{dirsync.ID(g[0]): "present true true", dirsync.ID(g[1]): "present true true", dirsync.ID(g[2]): "deleted for good false false", dirsync.ID(g[3]): "deleted, can be restored false false"}
	if fmt.Sprint(said) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", said, want)
	}
	w.ResetRequests()
	got.read(t, s, next)
	if n := w.Requests().Total; n != 2 {
		t.Errorf("the next round cost %d requests, want 2: they were asked for once", n)
	}
}

func TestMembers(t *testing.T) {
	w := inProcess(t, granted(graphtest.Faults{PageSize: 2}))
	u := w.Add(named("Ada", "Bo", "Cy")...)
	g := w.AddGroup(graphtest.Group{}, graphtest.Group{})
	w.AddMembers(g[0], u[0], w.AddObjects(graphtest.Device, "Laptop")[0], u[1], u[2], g[1])
	s := w.client.Groups(graph.GroupsConfig{Chosen: g[:1]})
	var got []dirsync.Membership
	collect := func(m []dirsync.Membership) error { got = append(got, m...); return nil }
	err := s.Members(t.Context(), dirsync.ID(strings.ToUpper(g[0])), collect)
	id := dirsync.ID(g[0])
	want := []dirsync.Membership{{Group: id, Member: dirsync.ID(u[0])}, {Group: id, Member: dirsync.ID(u[1])}, {Group: id, Member: dirsync.ID(u[2])}, {Group: id, Member: dirsync.ID(g[1]), Kind: dirsync.KindGroup}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	stop := errors.New("stop")
	if err := s.Members(t.Context(), id, func([]dirsync.Membership) error { return stop }); err != stop {
		t.Errorf("got %v, want the caller's own error", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := s.Members(ctx, id, func([]dirsync.Membership) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	for id, want := range map[dirsync.ID]dirsync.ErrorKind{"11111111-2222-4333-8444-555555555555": dirsync.NotFound, dirsync.ID(u[0]): dirsync.NotFound, "a/b": dirsync.Invalid, "": dirsync.Invalid} {
		err := s.Members(t.Context(), id, collect)
		if dirsync.KindOf(err) != want || !strings.HasPrefix(err.Error(), "list the members of a group") {
			t.Errorf("%q: got %v, want kind %v", id, err, want)
		}
	}
	for name, fault := range map[string]graphtest.Fault{"another's 404": graphtest.HTMLPage(404), "bad JSON": graphtest.BadJSON(), "empty": graphtest.Empty(200),
		"no list": {Status: 200, Body: `{"value":{}}`}, "no id": {Status: 200, Body: `{"value":[{"@odata.type":"#microsoft.graph.user"}]}`},
		"no type": {Status: 200, Body: `{"value":[{"id":"x"}]}`}, "an empty link": {Status: 200, Body: `{"value":[],"@odata.nextLink":""}`},
		"an expired link": graphtest.Refused(400, "Directory_ExpiredPageToken")} {
		for _, roles := range [][]string{{"GroupMember.Read.All"}, {"GroupMember.Read.All", "Member.Read.Hidden"}} {
			w.Set(func(t *graphtest.Tenant) { t.Roles = roles })
			w.clock.pass(2 * time.Hour)
			w.SetFaults(graphtest.Faults{PageSize: 2, Rules: []graphtest.Rule{{On: graphtest.Members, Skip: 1, Fault: fault}}})
			err := s.Members(t.Context(), id, collect)
			if got, want := dirsync.KindOf(err), dirsync.Unavailable; got != want {
				t.Errorf("%s: got %v, want kind %v", name, err, want)
			}
		}
	}
	w.SetFaults(graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.GroupGet, Fault: graphtest.HTMLPage(404)}}})
	w.Set(func(t *graphtest.Tenant) { t.Roles = []string{"GroupMember.Read.All"} })
	w.clock.pass(2 * time.Hour)
	if err := s.Members(t.Context(), id, collect); dirsync.KindOf(err) != dirsync.Unavailable {
		t.Errorf("another's 404 before the list: got %v", err)
	}
}

// Nothing runs on after a reading of groups has ended, however it ended, and no link shows in an error.
func TestGroupsLeaveNothingBehind(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	w := inProcess(t, granted(graphtest.Faults{PageSize: 1}))
	g := w.AddGroup(make([]graphtest.Group, 120)...)
	s := w.client.Groups(graph.GroupsConfig{Chosen: g})
	stop := errors.New("stop")
	if err := s.Read(t.Context(), "", func(dirsync.Page) error { return stop }); err != stop {
		t.Errorf("got %v, want the reader's own error", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := s.Read(ctx, "", func(dirsync.Page) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	w.SetFaults(graphtest.Faults{PageSize: 1, Rules: []graphtest.Rule{{On: graphtest.GroupDelta, Skip: 9, Fault: graphtest.BareError(418)}}})
	if _, err := newTeams().try(s, ""); err == nil || strings.Contains(err.Error(), "token=") || strings.Contains(err.Error(), graphtest.DefaultSecret) {
		t.Errorf("got %v", err)
	}
	w.client.Close()
	goleak.VerifyNone(t, ignore)
}

func TestGroupSourceTells(t *testing.T) {
	w := inProcess(t, granted(graphtest.Faults{}))
	s := w.client.Groups(graph.GroupsConfig{All: true})
	if got, want := s.Name(), "Microsoft Entra ID ("+graphtest.DefaultID+"), groups"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := fmt.Sprint(s.Asked()), "[description displayName groupTypes id mail mailEnabled mailNickname securityEnabled visibility]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	newTeams().read(t, s, "")
	if got, want := s.Requests(), 3; got != want {
		t.Errorf("got %d requests, want %d: discovery, token and a page", got, want)
	}
}

func TestCheckForGroups(t *testing.T) {
	for name, test := range map[string]struct {
		roles  []string
		faults graphtest.Faults
		want   string
	}{
		"all is well":   {[]string{"User.Read.All", "Organization.Read.All", "GroupMember.Read.All"}, graphtest.Faults{}, "[] error"},
		"a greater one": {[]string{"Directory.Read.All"}, graphtest.Faults{}, "[] error"},
		"no groups":     {[]string{"User.Read.All", "Organization.Read.All"}, graphtest.Faults{}, "[GroupMember.Read.All] permission missing"},
		"no users":      {[]string{"Organization.Read.All", "GroupMember.Read.All"}, graphtest.Faults{}, "[User.Read.All] permission missing"},
		"nothing":       {[]string{}, graphtest.Faults{}, "[User.Read.All GroupMember.Read.All Organization.Read.All] permission missing"},
		"limited":       {[]string{"User.Read.All", "Organization.Read.All", "GroupMember.Read.All"}, graphtest.Faults{Limited: true}, "[User.Read.All GroupMember.Read.All] permission missing"},
		"away":          {[]string{"User.Read.All", "Organization.Read.All", "GroupMember.Read.All"}, graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.GroupList, Fault: graphtest.HTMLPage(503)}}}, "[] unavailable"},
	} {
		w := inProcess(t, &graphtest.Tenant{Roles: test.roles, Faults: test.faults})
		w.Add(graphtest.User{})
		w.AddGroup(graphtest.Group{})
		r, err := w.client.CheckFor(t.Context(), graph.Needs{Groups: true})
		if got := fmt.Sprint(r.Missing, " ", dirsync.KindOf(err)); got != test.want {
			t.Errorf("%s: got %s (%v), want %s", name, got, err, test.want)
		}
	}
	if got, want := fmt.Sprint(graph.Needs{}.Permissions(), graph.Needs{Groups: true}.Permissions()), "[User.Read.All Organization.Read.All] [User.Read.All Organization.Read.All GroupMember.Read.All]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Consent that groups need is waited for, and missed when it does not come.
func TestConsentForGroups(t *testing.T) {
	for name, test := range map[string]struct {
		late string
		want string
	}{"it comes late": {"GroupMember.Read.All", "[] error"}, "it never comes": {"Mail.Send", "[GroupMember.Read.All] permission missing"}} {
		w := serve(t, &graphtest.Tenant{})
		first := w.clock.Now()
		w.Set(func(tt *graphtest.Tenant) {
			tt.Hook = func(*http.Request) graphtest.Fault {
				w.Set(func(tt *graphtest.Tenant) {
					if tt.Roles = []string{"User.Read.All", "Organization.Read.All"}; w.clock.Now().Sub(first) > time.Minute {
						tt.Roles = append(tt.Roles, test.late)
					}
				})
				return graphtest.Fault{}
			}
		})
		b := newBrowser(t, w, func(b *browser) { b.open(b.link.String()) })
		r, err := graph.Consent{Config: w.config, Needs: graph.Needs{Groups: true}, Show: b.show, Patience: 5 * time.Minute}.Ask(t.Context())
		if got := fmt.Sprint(r.Missing, " ", dirsync.KindOf(err)); got != test.want {
			t.Errorf("%s: got %s (%v), want %s", name, got, err, test.want)
		}
		if waited := w.clock.Now().Sub(first); waited < time.Minute {
			t.Errorf("%s: it was waited for %v alone", name, waited)
		}
	}
}

// A group that is read from the beginning is marked as such, on every page and in every way in which it can come about.
func TestFreshGroups(t *testing.T) {
	w := inProcess(t, granted(graphtest.Faults{LinkPage: 1}))
	u := w.Add(named("Ada", "Bo")...)
	g := w.AddGroup(graphtest.Group{"displayName": "A"}, graphtest.Group{"displayName": "B"}, graphtest.Group{"displayName": "C"})
	w.AddMembers(g[0], u...)
	w.AddMembers(g[1], u...)
	s := w.client.Groups(graph.GroupsConfig{Chosen: g[:1], Nested: true})
	round := func(s *graph.GroupSource, since dirsync.Cursor) (dirsync.Cursor, string) {
		t.Helper()
		var said []string
		err := s.Read(t.Context(), since, func(p dirsync.Page) error {
			for _, r := range p.Records {
				said = append(said, fmt.Sprint(r.Attrs.Text("displayName"), " ", len(r.Members), " ", r.Fresh))
			}
			since = p.Next
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(said) // delta queries are read side by side
		return since, strings.Join(said, ", ")
	}
	check := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got %s, want %s", what, got, want)
		}
	}
	next, got := round(s, "")
	check("first round", got, "A 1 true, A 1 true")
	w.RemoveMembers(g[0], u[0])
	w.AddMembers(g[0], g[1])
	next, got = round(s, next)
	check("a nested group is found", got, "A 1 false, A 1 false, B 1 true, B 1 true")
	w.AddMembers(g[1], g[2])
	w.RemoveMembers(g[1], g[2])
	next, got = round(w.client.Groups(graph.GroupsConfig{Chosen: []string{g[0], "C"}, Nested: true}), next)
	check("a group is chosen", got, "B 1 false, C 0 true")
	_, got = round(s, next)
	check("nothing", got, "")
}

// Names stay what they were found to be when everything is read again, whatever they would mean today.
func TestGroupsAgain(t *testing.T) {
	w := inProcess(t, granted(graphtest.Faults{}))
	u := w.Add(named("Ada", "Bo")...)
	g := w.AddGroup(graphtest.Group{"displayName": "Sales"}, graphtest.Group{"displayName": "Support"})
	w.AddMembers(g[0], u[0])
	s := w.client.Groups(graph.GroupsConfig{Chosen: []string{"Sales", "Support"}})
	next := newTeams().read(t, s, "")
	w.UpdateGroup(g[0], map[string]any{"displayName": "Selling"})
	w.AddMembers(w.AddGroup(graphtest.Group{"displayName": "Sales"})[0], u[1])
	w.DeleteGroup(g[1])
	w.clock.pass(8 * 24 * time.Hour)
	if _, err := newTeams().try(s, next); !errors.Is(err, dirsync.ErrCursorExpired) {
		t.Fatalf("got %v, want ErrCursorExpired", err)
	}
	got := newTeams()
	gone := map[dirsync.ID]bool{}
	var at dirsync.Cursor
	err := s.Read(t.Context(), s.Again(next), func(p dirsync.Page) error {
		got.take(p.Records)
		for _, r := range p.Records {
			gone[r.ID] = r.Gone != dirsync.Present
		}
		at = p.Next
		return nil
	})
	if got, want := got.show(w), "Selling: Ada"; err != nil || got != want || !gone[dirsync.ID(g[1])] {
		t.Errorf("got %s, gone %v, %v, want %s and a tombstone", got, gone, err, want)
	}
	if got, want := fmt.Sprint(s.Chosen(at)), fmt.Sprint(s.Chosen(next)); got != want {
		t.Errorf("chosen: got %s, want %s", got, want)
	}
	for _, c := range []dirsync.Cursor{"", "x", `{"v":1,"k":"groups","c":[{"n":"Sales","i":"x"}]}`} {
		if got := s.Again(c); got != "" {
			t.Errorf("%s: got %s, want the zero cursor", c, got)
		}
	}
}
