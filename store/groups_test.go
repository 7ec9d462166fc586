package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"dirsync"
	"dirsync/dirsynctest"
	"dirsync/store"
)

func TestDirectoryGroupsConform(t *testing.T) {
	dirsynctest.TestTargetOf(t, dirsynctest.Groups(), func(t *testing.T) dirsync.Target {
		s := open(t, store.Options{})
		s.SetSizes(4, 2)
		d, err := s.Directory()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { sound(t, s) })
		return d.Groups()
	})
}

func named(name string) dirsync.Values {
	return dirsync.Values{{Field: "name", Value: dirsync.Value{Type: dirsync.Text, Text: name}}}
}

func inGroups(ids ...string) dirsync.Values {
	return dirsync.Values{{Field: dirsync.GroupsField, Value: dirsync.NewList(ids)}}
}

// addGroups makes groups under source ids that are their names.
func addGroups(t testing.TB, d *store.Directory, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := d.Groups().Apply(context.Background(), dirsync.Change{Kind: dirsync.Create, Person: dirsync.ID(name), After: named(name)}); err != nil {
			t.Fatal(err)
		}
	}
}

// members lists the source ids of who is in a group, two at a time.
func members(t testing.TB, d *store.Directory, id string) []string {
	t.Helper()
	var out []string
	for after := ""; ; {
		users, err := d.Groups().Members(context.Background(), id, after, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range users {
			out = append(out, string(u.Source))
			after = u.ID
		}
		if len(users) < 2 {
			break
		}
	}
	n, err := d.Groups().Size(context.Background(), id)
	if err != nil || n != len(out) {
		t.Fatalf("group %s has %d members and %v, and its list %d", id, n, err, len(out))
	}
	return out
}

func groupsOf(a dirsync.Account) []string {
	v, _ := a.Values.Get(dirsync.GroupsField)
	return v.List()
}

func TestDirectoryMemberships(t *testing.T) {
	ctx := context.Background()
	_, d := directory(t, "a", "b", "c")
	addGroups(t, d, "z", "y", "x")
	apply := func(c dirsync.Change) dirsync.Account {
		t.Helper()
		for range 2 {
			if _, err := d.Apply(ctx, c); err != nil {
				t.Fatal(err)
			}
		}
		a, err := d.Lookup(ctx, string(c.Person))
		if err != nil && c.Kind != dirsync.Delete {
			t.Fatal(err)
		}
		return a
	}
	set := func(p string, ids ...string) dirsync.Account {
		t.Helper()
		return apply(dirsync.Change{Kind: dirsync.Update, Person: dirsync.ID(p), After: inGroups(ids...)})
	}
	same := func(what string, got, want any) {
		t.Helper()
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%s: -want +got\n%s", what, diff)
		}
	}
	a, err := d.Lookup(ctx, "a")
	if _, spoken := a.Values.Get(dirsync.GroupsField); err != nil || spoken {
		t.Errorf("got %v and %v, want nothing said of groups", a, err)
	}
	same("sorted", groupsOf(set("a", "z", "x", "z")), []string{"x", "z"})
	set("c", "z")
	set("b", "z", "y")
	same("members of z", members(t, d, "g00000001"), []string{"a", "b", "c"})
	same("members of y", members(t, d, "g00000002"), []string{"b"})
	same("left alone", groupsOf(apply(dirsync.Change{Kind: dirsync.Update, Person: "a", After: mail("new")})), []string{"x", "z"})
	same("left", groupsOf(set("b", "y")), []string{"y"})
	same("members of z then", members(t, d, "g00000001"), []string{"a", "c"})
	v, spoken := set("b").Values.Get(dirsync.GroupsField)
	same("none", []any{v, spoken}, []any{dirsync.Value{}, false})
	same("created in groups", groupsOf(apply(dirsync.Change{Kind: dirsync.Create, Person: "d", After: who("d", "d").With(inGroups("z"))})), []string{"z"})
	apply(dirsync.Change{Kind: dirsync.Deactivate, Person: "d"})
	same("inactive ones stay members", members(t, d, "g00000001"), []string{"a", "c", "d"})
	apply(dirsync.Change{Kind: dirsync.Delete, Person: "d"})
	same("deleted ones do not", members(t, d, "g00000001"), []string{"a", "c"})

	list, err := d.Groups().List(ctx, "", 2)
	if err != nil || len(list) != 2 || list[0].Members != 2 || list[1].Members != 0 || list[0].Source != "z" {
		t.Errorf("got %v and %v", list, err)
	}
	list, err = d.Groups().List(ctx, list[1].ID, 2)
	if err != nil || len(list) != 1 || list[0].Members != 1 || list[0].Source != "x" {
		t.Errorf("got %v and %v", list, err)
	}
	for _, id := range []string{"g00000009", "g1", "u00000001", "z", ""} {
		_, err := d.Groups().Members(ctx, id, "", 10)
		_, again := d.Groups().Size(ctx, id)
		if dirsync.KindOf(err) != dirsync.NotFound || dirsync.KindOf(again) != dirsync.NotFound {
			t.Errorf("%s: got %v and %v, want NotFound", id, err, again)
		}
	}
	found, err := d.Groups().Find(ctx, "name", []dirsync.Value{{Type: dirsync.Text, Text: "Y"}, {Type: dirsync.Text, Text: "w"}})
	if err != nil || len(found) != 2 || len(found[0]) != 1 || found[0][0].ID != "g00000002" || len(found[1]) != 0 {
		t.Errorf("got %v and %v, want y and nobody", found, err)
	}
	addGroups(t, d)
	for n := range 4 {
		addGroup := dirsync.Change{Kind: dirsync.Create, Person: dirsync.ID(fmt.Sprint("twin", n)), After: named("y")}
		if _, err := d.Groups().Apply(ctx, addGroup); err != nil {
			t.Fatal(err)
		}
	}
	found, err = d.Groups().Find(ctx, "name", []dirsync.Value{{Type: dirsync.Text, Text: "y"}})
	if err != nil || len(found[0]) != 3 || found[0][1].Source != "twin0" {
		t.Errorf("got %v and %v, want the first three of five", found, err)
	}
}

func TestDirectoryRefusesMemberships(t *testing.T) {
	ctx := context.Background()
	_, d := directory(t, "a", "b")
	addGroups(t, d, "z", "y")
	if _, err := d.Apply(ctx, dirsync.Change{Kind: dirsync.Update, Person: "a", After: inGroups("z")}); err != nil {
		t.Fatal(err)
	}
	groups := func(typ dirsync.Type, text string) dirsync.Values {
		return dirsync.Values{{Field: dirsync.GroupsField, Value: dirsync.Value{Type: typ, Text: text}}}
	}
	for _, test := range []struct {
		name  string
		v     dirsync.Values
		kind  dirsync.ErrorKind
		value string
	}{
		{"a group that is not there", inGroups("y", "w"), dirsync.Conflict, "w"},
		{"the id of the directory", inGroups("g00000001"), dirsync.Conflict, "g00000001"},
		{"no id", inGroups(""), dirsync.Conflict, ""},
		{"no list", groups(dirsync.Text, "z"), dirsync.Invalid, "z"},
		{"no JSON", groups(dirsync.TextList, "z"), dirsync.Invalid, "z"},
		{"numbers", groups(dirsync.TextList, "[1]"), dirsync.Invalid, "[1]"},
	} {
		for _, c := range []dirsync.Change{{Kind: dirsync.Update, Person: "a", After: mail("changed").With(test.v)},
			{Kind: dirsync.Create, Person: "e", After: who("e", "e").With(test.v)}} {
			_, err := d.Apply(ctx, c)
			e, ok := errors.AsType[*dirsync.Error](err)
			if !ok || e.Kind != test.kind || e.Field != dirsync.GroupsField || e.Value != test.value || e.ID != c.Person {
				t.Errorf("%s: got %+v, want %v of %q", test.name, err, test.kind, test.value)
			}
		}
	}
	a, err := d.Lookup(ctx, "a")
	if err != nil || !slices.Equal(groupsOf(a), []string{"z"}) || mails(t, d) != "a=a b=b" {
		t.Errorf("got %v, %v and %s, want that nothing changed", a, err, mails(t, d))
	}
	// A conflict about groups does not wait for anybody, and stands in nobody's way.
	out := d.ApplyAll(ctx, []dirsync.Change{
		{Kind: dirsync.Update, Person: "a", After: mail("b").With(inGroups("w"))}, {Kind: dirsync.Update, Person: "b", After: mail("c")}})
	if dirsync.KindOf(out[0].Err) != dirsync.Conflict || out[1].Err != nil {
		t.Errorf("got %v and %v", out[0].Err, out[1].Err)
	}
	s := open(t, store.Options{})
	if _, err := s.Directory(dirsync.Field{Name: dirsync.GroupsField, Type: dirsync.Text}); dirsync.KindOf(err) != dirsync.Invalid {
		t.Errorf("got %v for a field called groups, want Invalid", err)
	}
}

func TestGroupsOfOthersAreLeftAlone(t *testing.T) {
	ctx := context.Background()
	_, d := directory(t, "a", "b")
	addGroups(t, d, "z")
	own, err := d.Groups().Apply(ctx, dirsync.Change{Kind: dirsync.Create, After: named("own")})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Groups().Join(ctx, own.ID, "u00000001", "u00000002"); err != nil {
			t.Fatal(err)
		}
	}
	a, err := d.Apply(ctx, dirsync.Change{Kind: dirsync.Update, Person: "a", After: inGroups("z")})
	if err != nil || !slices.Equal(groupsOf(a), []string{"z"}) {
		t.Errorf("got %v and %v, want the group of the source alone", a, err)
	}
	if _, err := d.Apply(ctx, dirsync.Change{Kind: dirsync.Update, Person: "a", After: inGroups()}); err != nil {
		t.Fatal(err)
	}
	if got := members(t, d, own.ID); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("got %v, want both", got)
	}
	for range 2 {
		if err := d.Groups().Leave(ctx, own.ID, "u00000001"); err != nil {
			t.Fatal(err)
		}
	}
	if got := members(t, d, own.ID); !slices.Equal(got, []string{"b"}) {
		t.Errorf("got %v, want b", got)
	}
	for _, err := range []error{d.Groups().Join(ctx, "g00000009", "u00000001"), d.Groups().Join(ctx, own.ID, "u00000001", "u00000009"),
		d.Groups().Leave(ctx, own.ID, "u00000002", "x")} {
		if dirsync.KindOf(err) != dirsync.NotFound {
			t.Errorf("got %v, want NotFound", err)
		}
	}
	if got := members(t, d, own.ID); !slices.Equal(got, []string{"b"}) {
		t.Errorf("got %v after what failed, want b", got)
	}
	// Once somebody adopts the group, it is one of the source's.
	if _, err := d.Groups().Apply(ctx, dirsync.Change{Kind: dirsync.Create, Person: "own", Account: own.ID}); err != nil {
		t.Fatal(err)
	}
	if b, err := d.Lookup(ctx, "b"); err != nil || !slices.Equal(groupsOf(b), []string{"own"}) {
		t.Errorf("got %v and %v, want the adopted group", b, err)
	}
}

func TestDeletedGroupsComeBackWithTheirMembers(t *testing.T) {
	ctx, now := context.Background(), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := open(t, store.Options{Now: func() time.Time { return now }})
	d, err := s.Directory()
	if err != nil {
		t.Fatal(err)
	}
	addGroups(t, d, "z", "y")
	for _, p := range []string{"a", "b", "c"} {
		if _, err := d.Apply(ctx, dirsync.Change{Kind: dirsync.Create, Person: dirsync.ID(p), After: who(p, p).With(inGroups("y", "z"))}); err != nil {
			t.Fatal(err)
		}
	}
	group := func(c dirsync.Change) {
		t.Helper()
		if _, err := d.Groups().Apply(ctx, c); err != nil {
			t.Fatal(err)
		}
		sound(t, s)
	}
	user := func(p string, v dirsync.Values) dirsync.Account {
		t.Helper()
		a, err := d.Apply(ctx, dirsync.Change{Kind: dirsync.Update, Person: dirsync.ID(p), After: v})
		if err != nil {
			t.Fatal(err)
		}
		sound(t, s)
		return a
	}
	group(dirsync.Change{Kind: dirsync.Delete, Person: "z"})
	if got := groupsOf(user("a", mail("new"))); !slices.Equal(got, []string{"y"}) {
		t.Errorf("got %v, want y alone", got)
	}
	user("b", inGroups("y"))
	group(dirsync.Change{Kind: dirsync.Create, Person: "z", Account: "g00000001"})
	if got := members(t, d, "g00000001"); !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("got %v, want those whose groups were not said anew", got)
	}
	group(dirsync.Change{Kind: dirsync.Delete, Person: "z"})
	now = now.Add(91 * 24 * time.Hour)
	group(dirsync.Change{Kind: dirsync.Update, Person: "y", After: named("other")})
	if got := groupsOf(user("c", mail("newer"))); !slices.Equal(got, []string{"y"}) {
		t.Errorf("got %v, want y alone", got)
	}
	before := now
	now = now.Add(time.Hour)
	if a := user("a", mail("new")); !a.Updated.Before(before) {
		t.Errorf("got %v: nothing of a changed, except that a group is forgotten", a.Updated)
	}
}

func TestDeletedAccountsAreForgotten(t *testing.T) {
	ctx, now := context.Background(), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := open(t, store.Options{Now: func() time.Time { return now }, KeepDeleted: 10 * time.Hour, MaxDeleted: 3})
	d, err := s.Directory()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"a", "b", "c", "d", "e", "f"} {
		for _, c := range []dirsync.Change{{Kind: dirsync.Create, After: who(p, p)}, {Kind: dirsync.Delete}} {
			c.Person = dirsync.ID(p)
			if _, err := d.Apply(ctx, c); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(time.Hour)
		sound(t, s)
	}
	back := func(p, id string) string {
		t.Helper()
		a, err := d.Apply(ctx, dirsync.Change{Kind: dirsync.Create, Person: dirsync.ID(p), Account: id, After: who(p, p)})
		if err != nil {
			t.Fatal(err)
		}
		sound(t, s)
		return a.ID
	}
	if got := back("c", "u00000003"); got != "u00000007" {
		t.Errorf("got %s for somebody beyond the latest three, want a new account", got)
	}
	if got := back("d", "u00000004"); got != "u00000004" {
		t.Errorf("got %s, want the account of before", got)
	}
	now = now.Add(7*time.Hour + time.Minute) // 9:01 after e, 8:01 after f
	if got := back("e", "u00000005"); got != "u00000005" {
		t.Errorf("got %s, want the account of before", got)
	}
	now = now.Add(2 * time.Hour)
	if got := back("f", "u00000006"); got != "u00000008" {
		t.Errorf("got %s for somebody deleted ten hours ago, want a new account", got)
	}
	if got := d.Restores(); got != 10*time.Hour {
		t.Errorf("got %v", got)
	}
}

// TestDirectoryBehavesLikeTheModel does random things to users, groups and memberships and compares all that can be seen.
func TestDirectoryBehavesLikeTheModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newDirectoryWalk(t)
		defer w.s.Close()
		r.Repeat(map[string]func(*rapid.T){
			"user":  w.user,
			"group": w.group,
			"forget": func(r *rapid.T) {
				w.now = w.now.Add(time.Duration(rapid.IntRange(1, 60).Draw(r, "minutes")) * time.Minute)
			},
			"reopen": w.reopen,
			"":       w.compare,
		})
	})
}

// directoryWalk is a directory and the model of it: two targets in memory, and who is in which group.
type directoryWalk struct {
	t             *testing.T
	path          string
	s             *store.Store
	d             *store.Directory
	now           time.Time
	users, groups *dirsynctest.Target
	// in has the groups, by their ids in the model, of each user, living or deleted.
	in map[string]map[string]bool
	// ids are what the directory calls what the model calls otherwise.
	ids map[string]string
}

func newDirectoryWalk(t *testing.T) *directoryWalk {
	w := &directoryWalk{t: t, path: t.TempDir() + "/dirsync.db", now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		users: dirsynctest.NewTarget(), groups: dirsynctest.NewGroupTarget(), in: map[string]map[string]bool{}, ids: map[string]string{"": ""}}
	w.users.Restore, w.groups.Restore = true, true
	w.open()
	return w
}

func (w *directoryWalk) open() {
	w.s = openAt(w.t, w.path, store.Options{Now: func() time.Time { return w.now }})
	w.s.SetSizes(4, 2)
	var err error
	if w.d, err = w.s.Directory(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *directoryWalk) reopen(r *rapid.T) {
	if err := w.s.Close(); err != nil {
		r.Fatal(err)
	}
	w.open()
}

// change draws what happens to one account of a target.
func (w *directoryWalk) change(r *rapid.T, prefix string, model *dirsynctest.Target) dirsync.Change {
	c := dirsync.Change{Kind: rapid.SampledFrom(dirsync.ChangeKinds()).Draw(r, "kind"),
		Person: dirsync.ID(prefix + fmt.Sprint(rapid.IntRange(1, 5).Draw(r, "who")))}
	known := []string{""}
	for _, id := range slices.Sorted(maps.Keys(w.ids)) {
		if id != "" && id[:1] == prefix {
			known = append(known, id)
		}
	}
	c.Account = rapid.SampledFrom(known).Draw(r, "account")
	if prefix == "g" && c.Kind == dirsync.Create && rapid.IntRange(0, 3).Draw(r, "nobody's") == 0 {
		c.Person, c.Account = "", ""
	}
	return c
}

// group changes a group. In the model its ids begin with a g, too.
func (w *directoryWalk) group(r *rapid.T) {
	c := w.change(r, "g", w.groups)
	c.After = named(rapid.SampledFrom([]string{"Sales", "Support"}).Draw(r, "name"))
	inModel := c
	inModel.Account = rest(c.Account)
	m, errM := w.groups.Apply(context.Background(), inModel)
	c.Account = w.ids[c.Account]
	s, errS := w.d.Groups().Apply(context.Background(), c)
	w.agree(r, c, "g", m, s, errM, errS)
}

// rest is a model's id without the letter that says of which model.
func rest(id string) string {
	if id == "" {
		return ""
	}
	return id[1:]
}

func (w *directoryWalk) agree(r *rapid.T, c dirsync.Change, prefix string, m, s dirsync.Account, errM, errS error) {
	r.Helper()
	if dirsync.KindOf(errM) != dirsync.KindOf(errS) || (errM == nil) != (errS == nil) {
		r.Fatalf("%v: the directory says %v, the model %v", c, errS, errM)
	}
	if m.ID == "" {
		return
	}
	key := prefix + m.ID
	if was, ok := w.ids[key]; ok && was != s.ID {
		r.Fatalf("%v: the directory speaks of %s, the model of %s", c, s.ID, was)
	}
	w.ids[key] = s.ID
}

func (w *directoryWalk) user(r *rapid.T) {
	ctx := context.Background()
	c := w.change(r, "u", w.users)
	if rapid.IntRange(0, 3).Draw(r, "values") > 0 || c.Kind == dirsync.Create {
		name := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"}).Draw(r, "address")
		c.After = who(name, name)
	}
	inModel := c
	inModel.Account = rest(c.Account)
	c.Account = w.ids[c.Account]
	said := rapid.Bool().Draw(r, "groups")
	now, missing := map[string]bool{}, false
	if said && c.Kind != dirsync.Delete && c.Kind != dirsync.Deactivate {
		var ids []string
		for range rapid.IntRange(0, 3).Draw(r, "how many") {
			ids = append(ids, fmt.Sprint("g", rapid.IntRange(1, 5).Draw(r, "group")))
		}
		c.After = c.After.With(inGroups(ids...))
		for _, id := range ids {
			g, there := w.bySource(id)
			now[g.ID], missing = true, missing || !there
		}
	} else {
		said = false
	}
	s, errS := w.d.Apply(ctx, c)
	if missing && dirsync.KindOf(errS) == dirsync.Conflict {
		// Other reasons may be named first, so what the model says counts only when it agrees.
		return
	}
	m, errM := w.users.Apply(ctx, inModel)
	w.agree(r, c, "u", m, s, errM, errS)
	switch {
	case errM != nil || m.ID == "" || !said:
	case missing:
		r.Fatalf("%v: a group is missing, and nobody minds", c)
	default:
		w.in[m.ID] = now
	}
}

// bySource finds a group of the model.
func (w *directoryWalk) bySource(id string) (dirsync.Account, bool) {
	for _, g := range w.groups.Accounts() {
		if string(g.Source) == id {
			return g, true
		}
	}
	return dirsync.Account{}, false
}

func (w *directoryWalk) compare(r *rapid.T) {
	ctx := context.Background()
	var want []dirsync.Account
	for _, u := range w.users.Accounts() {
		var in []string
		for _, g := range w.groups.Accounts() {
			if w.in[u.ID][g.ID] && g.Source != "" {
				in = append(in, string(g.Source))
			}
		}
		slices.Sort(in)
		if u.ID = w.ids["u"+u.ID]; len(in) > 0 {
			u.Values = u.Values.With(inGroups(in...))
		}
		want = append(want, u)
	}
	var got []dirsync.Account
	err := w.d.Users(ctx, func(a dirsync.Account) error {
		got = append(got, a)
		return nil
	})
	if err != nil {
		r.Fatal(err)
	}
	w.same(r, "users", got, want)
	want = nil
	for _, g := range w.groups.Accounts() {
		var in []string
		for _, u := range w.users.Accounts() {
			if w.in[u.ID][g.ID] {
				in = append(in, w.ids["u"+u.ID])
			}
		}
		slices.Sort(in)
		g.ID = w.ids["g"+g.ID]
		want = append(want, g)
		users, err := w.d.Groups().Members(ctx, g.ID, "", 100)
		var ids []string
		for _, u := range users {
			ids = append(ids, u.ID)
		}
		if err != nil || !slices.Equal(ids, in) {
			r.Fatalf("group %s has %v and %v, want %v", g.ID, ids, err, in)
		}
	}
	list, err := w.d.Groups().List(ctx, "", 100)
	if err != nil {
		r.Fatal(err)
	}
	got = nil
	for _, g := range list {
		got = append(got, g.Account)
	}
	w.same(r, "groups", got, want)
	findings, err := w.s.Verify(ctx)
	if err != nil || len(findings) > 0 {
		r.Fatal(err, findings)
	}
}

func (w *directoryWalk) same(r *rapid.T, what string, got, want []dirsync.Account) {
	r.Helper()
	byID := func(a, b dirsync.Account) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	}
	slices.SortFunc(got, byID)
	slices.SortFunc(want, byID)
	opts := cmp.Options{cmpopts.EquateEmpty(), cmpopts.IgnoreFields(dirsync.Account{}, "Created", "Updated")}
	if diff := cmp.Diff(want, got, opts); diff != "" {
		r.Fatalf("%s: -model +directory\n%s", what, diff)
	}
}
