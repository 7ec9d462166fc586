package dirsynctest

import (
	"fmt"
	"slices"
	"strings"

	"dirsync"
)

// listed lists the members of a group, some at a time, and checks that their order is that of the ids.
func (t *resourceTest) listed(group string, limit int) (ids, names []string) {
	t.Helper()
	for after := ""; ; {
		page, err := t.s.ResourceMembers(t.Context(), group, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page {
			if after >= m.ID {
				t.Errorf("%s comes after %s", m.ID, after)
			}
			ids, names, after = append(ids, m.ID), append(names, m.Name), m.ID
		}
		if len(page) < limit {
			return ids, names
		}
	}
}

// in checks who is in a group, from all sides.
func (t *resourceTest) in(group dirsync.Resource, want ...dirsync.Resource) {
	t.Helper()
	var wantIDs, wantNames []string
	for _, u := range want {
		name := u.Display
		if name == "" {
			name = u.Name
		}
		wantIDs, wantNames = append(wantIDs, u.ID), append(wantNames, name)
	}
	for _, limit := range []int{1, 2, 100} {
		if ids, names := t.listed(group.ID, limit); !slices.Equal(ids, wantIDs) || !slices.Equal(names, wantNames) {
			t.Errorf("%d at a time: %s has %v, called %v; want %v, called %v", limit, group.Name, ids, names, wantIDs, wantNames)
		}
	}
	in, err := t.s.IsMember(t.Context(), group.ID, append(slices.Clone(wantIDs), "nobody", group.ID))
	if err != nil || len(in) != len(wantIDs)+2 {
		t.Fatalf("got %v and %v, want %d answers", in, err, len(wantIDs)+2)
	}
	for i, is := range in {
		if is != (i < len(wantIDs)) {
			t.Errorf("member %d of %v: got %v", i, wantIDs, is)
		}
	}
	for _, u := range want {
		groups, err := t.s.ResourceGroups(t.Context(), u.ID, 100)
		if err != nil || !slices.ContainsFunc(groups, func(g dirsync.ResourceMember) bool { return g.ID == group.ID && g.Name == group.Name }) {
			t.Errorf("%s is in %v and %v, want %s among them", u.Name, groups, err, group.Name)
		}
	}
}

func (t *resourceTest) members() {
	a, b, c := t.create(employee("a")), t.create(dirsync.Resource{Name: "b"}), t.create(employee("c"))
	sales := t.create(team("sales"), a.ID, c.ID, a.ID)
	t.in(sales, a, c)
	empty := t.create(team("empty"))
	t.in(empty)
	edit := func(e dirsync.ResourceEdit) {
		t.Helper()
		sales = t.edit(sales, func(to *dirsync.ResourceEdit) { to.Add, to.Remove, to.Only = e.Add, e.Remove, e.Only })
	}
	edit(dirsync.ResourceEdit{Add: []string{b.ID, a.ID, b.ID}})
	t.in(sales, a, b, c)
	edit(dirsync.ResourceEdit{Remove: []string{a.ID, c.ID}})
	t.in(sales, b)
	edit(dirsync.ResourceEdit{Remove: []string{c.ID}, Add: []string{a.ID}})
	t.in(sales, a, b)
	edit(dirsync.ResourceEdit{Only: true, Add: []string{b.ID, c.ID}})
	t.in(sales, b, c)
	edit(dirsync.ResourceEdit{Only: true})
	t.in(sales)
	edit(dirsync.ResourceEdit{Add: []string{c.ID}})
	t.edit(empty, func(e *dirsync.ResourceEdit) { e.Add = []string{c.ID} })
	groups, err := t.s.ResourceGroups(t.Context(), c.ID, 1)
	if err != nil || len(groups) != 1 {
		t.Errorf("got %v and %v, want one group of two", groups, err)
	}
	if groups, err := t.s.ResourceGroups(t.Context(), a.ID, 10); err != nil || len(groups) != 0 {
		t.Errorf("got %v and %v, want none", groups, err)
	}
	// A member is listed under the name of now.
	c = t.edit(t.get(c), func(e *dirsync.ResourceEdit) { e.Resource.Display = "Renamed" })
	t.in(sales, c)
	if users, err := t.s.IsMember(t.Context(), sales.ID, nil); len(users) != 0 || err != nil {
		t.Errorf("got %v and %v for nobody", users, err)
	}
}

func (t *resourceTest) badMembers() {
	a, sales := t.create(employee("a")), t.create(team("sales"))
	for _, id := range []string{"", "nobody", sales.ID, "u99999999"} {
		_, err := t.s.CreateResource(t.Context(), team("t"), []string{a.ID, id})
		t.kind(fmt.Sprintf("create with member %q", id), err, dirsync.Invalid)
		_, err = t.try(sales, func(e *dirsync.ResourceEdit) { e.Add = []string{a.ID, id} })
		t.kind(fmt.Sprintf("add member %q", id), err, dirsync.Invalid)
	}
	t.is(sales)
	t.in(sales)
	if got := t.find(dirsync.KindGroup, dirsync.ByName, "t"); got != "" {
		t.Errorf("a group was made all the same: %s", got)
	}
}

func (t *resourceTest) membersLeave() {
	a, b := t.create(employee("a")), t.create(employee("b"))
	sales, support := t.create(team("sales"), a.ID, b.ID), t.create(team("support"), a.ID)
	if _, err := t.try(a, func(e *dirsync.ResourceEdit) { e.Delete = true }); err != nil {
		t.Fatal(err)
	}
	t.in(sales, b)
	t.in(support)
	if got := t.get(sales); got.Version == sales.Version {
		t.Error("a member is gone, and the group has the version of before")
	}
	if _, err := t.try(sales, func(e *dirsync.ResourceEdit) { e.Delete = true }); err != nil {
		t.Fatal(err)
	}
	if groups, err := t.s.ResourceGroups(t.Context(), b.ID, 10); err != nil || len(groups) != 0 {
		t.Errorf("got %v and %v, want no group that is gone", groups, err)
	}
	_, err := t.s.ResourceMembers(t.Context(), sales.ID, "", 10)
	t.kind("the members of a deleted group", err, dirsync.NotFound)
	// Nobody is in a group of the same name that is made later.
	t.in(t.create(team("sales")))
}

func (t *resourceTest) manyMembers() {
	var ids []string
	var users []dirsync.Resource
	for i := range 60 {
		users = append(users, t.create(dirsync.Resource{Name: fmt.Sprint("m", i)}))
		ids = append(ids, users[i].ID)
	}
	all := t.create(team("all"), ids...)
	t.in(all, users...)
	odd := t.edit(all, func(e *dirsync.ResourceEdit) {
		for i := range ids {
			if i%2 == 0 {
				e.Remove = append(e.Remove, ids[i])
			}
		}
	})
	t.in(odd, slices.DeleteFunc(slices.Clone(users), func(u dirsync.Resource) bool { return slices.Index(ids, u.ID)%2 == 0 })...)
	t.in(t.edit(all, func(e *dirsync.ResourceEdit) { e.Only, e.Add = true, ids[50:] }), users[50:]...)
}

// names lists resources as a walk with Resources shows them.
func (t *resourceTest) page(after string, skip, limit int) string {
	t.Helper()
	page, err := t.s.Resources(t.Context(), dirsync.KindUser, after, skip, limit)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range page {
		names = append(names, r.Name)
		t.is(r)
	}
	return strings.Join(names, " ")
}

func (t *resourceTest) lists() {
	if got := t.page("", 0, 10); got != "" {
		t.Errorf("got %q of an empty store", got)
	}
	made := map[string]dirsync.Resource{}
	for _, name := range []string{"c", "a", "x", "b", "y", "d"} {
		made[name] = t.create(employee(name))
	}
	t.create(team("not a user"))
	for _, name := range []string{"x", "y"} {
		if _, err := t.try(made[name], func(e *dirsync.ResourceEdit) { e.Delete = true }); err != nil {
			t.Fatal(err)
		}
	}
	t.edit(made["c"], func(e *dirsync.ResourceEdit) { e.Resource.Display = "changed" })
	for _, test := range []struct {
		after       string
		skip, limit int
		want        string
	}{
		{"", 0, 100, "c a b d"},
		{"", 0, 2, "c a"},
		{"", 0, 0, ""},
		{"", 1, 2, "a b"},
		{"", 3, 10, "d"},
		{"", 4, 10, ""},
		{"", 1000, 10, ""},
		{"a", 0, 10, "b d"},
		{"a", 1, 10, "d"},
		{"x", 0, 10, "b d"}, // who was deleted since
		{"d", 0, 10, ""},
	} {
		if got := t.page(made[test.after].ID, test.skip, test.limit); got != test.want {
			t.Errorf("after %q, skip %d, limit %d: got %q, want %q", test.after, test.skip, test.limit, got, test.want)
		}
	}
	for kind, want := range map[dirsync.Kind]int{dirsync.KindUser: 4, dirsync.KindGroup: 1} {
		if n, err := t.s.CountResources(t.Context(), kind); n != want || err != nil {
			t.Errorf("got %d %ss and %v, want %d", n, kind, err, want)
		}
	}
}

func (t *resourceTest) pending() {
	ann := t.create(employee("ann"))
	for _, kind := range []dirsync.ChangeKind{dirsync.Deactivate, dirsync.Delete, 0} {
		ann = t.edit(ann, func(e *dirsync.ResourceEdit) { e.Resource.Pending = kind })
		if ann.Pending != kind || !ann.Active {
			t.Errorf("got pending %v, active %v; want %v, and as it was", ann.Pending, ann.Active, kind)
		}
		n, err := t.s.CountResources(t.Context(), dirsync.KindUser)
		if got := t.find(dirsync.KindUser, dirsync.ByName, "ann") + t.page("", 0, 10); got != "annann" || n != 1 || err != nil {
			t.Errorf("found %q of %d and %v, want it shown", got, n, err)
		}
	}
}
