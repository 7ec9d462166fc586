package store_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"dirsync"
	"dirsync/store"
)

// managerFields are those of a directory whose users refer to one another.
func managerFields() []dirsync.Field {
	return []dirsync.Field{{Name: "manager", Type: dirsync.Reference}, {Name: "mentor", Type: dirsync.Reference}}
}

// under is a value of the field manager; null for nobody.
func under(who string) dirsync.Values { return reference("manager", who) }

func reference(field, who string) dirsync.Values {
	v := dirsync.Value{Type: dirsync.Reference, Text: who}
	if who == "" {
		v = dirsync.Value{}
	}
	return dirsync.Values{{Field: field, Value: v}}
}

// toldOf is what a reader is to be told of a reference: what is kept, but where that is a source id, the id of the account
// that has it. It looks at everybody.
func toldOf(d *store.Directory) (map[string]map[string]string, error) {
	sources, kept := map[string]string{}, []dirsync.Account{}
	err := d.Users(context.Background(), func(a dirsync.Account) error {
		kept = append(kept, a)
		if a.Source != "" {
			sources[string(a.Source)] = a.ID
		}
		return nil
	})
	out := map[string]map[string]string{}
	for _, a := range kept {
		out[a.ID] = map[string]string{}
		for _, f := range managerFields() {
			v, _ := a.Values.Get(f.Name)
			// Ids of the directory are a u and eight digits.
			if ours := func(id string) bool { return len(id) == 9 && id[0] == 'u' }; a.Source != "" && (!ours(v.Text) || ours(string(a.Source))) {
				v.Text = sources[v.Text]
			}
			if v.Text != "" {
				out[a.ID][f.Name] = v.Text
			}
		}
	}
	return out, err
}

// TestReferencesAreTold goes through what may become of somebody's manager, and looks at what readers are told each time.
func TestReferencesAreTold(t *testing.T) {
	ctx, now := t.Context(), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := open(t, store.Options{Now: func() time.Time { return now }})
	s.SetSizes(6, 3)
	d, err := s.Directory(managerFields()...)
	if err != nil {
		t.Fatal(err)
	}
	const report = "u00000001"
	var version uint64
	var next dirsync.Cursor
	for _, step := range []struct {
		what   string
		change dirsync.Change
		want   string // whom readers take for the manager
		told   string // who has changed
	}{
		{"the report comes first", dirsync.Change{Kind: dirsync.Create, Person: "r", After: who("R", "r").With(under("m"))}, "", report},
		{"somebody else comes", dirsync.Change{Kind: dirsync.Create, Person: "x", After: who("X", "x")}, "", "u00000002"},
		{"the manager comes", dirsync.Change{Kind: dirsync.Create, Person: "m", After: who("M", "m")}, "u00000003", "u00000001 u00000003"},
		{"the manager changes", dirsync.Change{Kind: dirsync.Update, Person: "m", After: mail("m2")}, "u00000003", "u00000003"},
		{"the manager is deactivated", dirsync.Change{Kind: dirsync.Deactivate, Person: "m"}, "u00000003", "u00000003"},
		{"the manager is deleted", dirsync.Change{Kind: dirsync.Delete, Person: "m"}, "", "u00000001 u00000003"},
		{"the manager is brought back", dirsync.Change{Kind: dirsync.Create, Person: "m", Account: "u00000003"}, "u00000003", "u00000001 u00000003"},
		{"there is another one", dirsync.Change{Kind: dirsync.Update, Person: "r", After: under("x")}, "u00000002", "u00000001"},
		{"and one who is not there", dirsync.Change{Kind: dirsync.Update, Person: "r", After: under("own")}, "", "u00000001"},
		{"one of the directory's own people comes", dirsync.Change{Kind: dirsync.Create, After: who("O", "o").With(under(report))}, "", "u00000004"},
		{"and turns out to be they", dirsync.Change{Kind: dirsync.Create, Person: "own", Account: "u00000004", Join: "email", After: who("O", "o")}, "u00000004", "u00000001 u00000004"},
		{"there is nobody any more", dirsync.Change{Kind: dirsync.Update, Person: "r", After: under("")}, "", "u00000001"},
	} {
		now = now.Add(time.Minute)
		if _, err := d.Apply(ctx, step.change); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		r, err := d.Resource(ctx, dirsync.KindUser, report)
		if err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		if got, _ := r.Values.Get("manager"); got.Text != step.want {
			t.Errorf("%s: clients are told of the manager %q, want %q", step.what, got.Text, step.want)
		}
		changed := strings.Contains(step.told, report)
		if got := r.Version > version && r.Updated.Equal(now); got != changed || !changed && r.Version != version {
			t.Errorf("%s: version %d of %v after version %d, want a new one: %v", step.what, r.Version, r.Updated, version, changed)
		}
		version = r.Version
		records, _, again := round(t, d.Source(), next)
		next = again
		told := map[string]string{}
		for _, r := range records {
			told[string(r.ID)] = r.Attrs.Text("manager")
		}
		ids := slices.Sorted(func(yield func(string) bool) {
			for id := range told {
				if !yield(id) {
					return
				}
			}
		})
		if got := strings.Join(ids, " "); got != step.told || changed && told[report] != step.want {
			t.Errorf("%s: readers are told of %s, of the manager %q; want %s and %q", step.what, got, told[report], step.told, step.want)
		}
		sound(t, s)
	}
	// What one of the directory's own people refers to is an id of the directory, also when a sync has joined them.
	r, err := d.Resource(ctx, dirsync.KindUser, "u00000004")
	if got, _ := r.Values.Get("manager"); err != nil || got.Text != report {
		t.Errorf("got the manager %q and %v, want %s", got.Text, err, report)
	}
}

// TestReferencesStayAsWritten: a sync finds what it wrote, and no client can write what it was told instead.
func TestReferencesStayAsWritten(t *testing.T) {
	ctx := t.Context()
	s := open(t, store.Options{})
	d, err := s.Directory(managerFields()...)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []dirsync.Change{
		{Kind: dirsync.Create, Person: "m", After: who("M", "m")},
		{Kind: dirsync.Create, Person: "r", After: who("R", "r").With(under("m")).With(reference("mentor", "nobody"))},
	} {
		a, err := d.Apply(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range c.After {
			if got, _ := a.Values.Get(want.Field); got != want.Value {
				t.Errorf("%s: the sync is told %q, want %q", want.Field, got.Text, want.Value.Text)
			}
		}
	}
	before, err := d.Resource(ctx, dirsync.KindUser, "u00000002")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		what string
		edit func(*dirsync.Resource)
		want dirsync.ErrorKind
	}{
		{"nothing", func(*dirsync.Resource) {}, 0},
		{"the manager again", func(r *dirsync.Resource) { r.Values = slices.Clone(r.Values).With(under("u00000001")) }, 0},
		{"another manager", func(r *dirsync.Resource) { r.Values = r.Values.With(under("u00000002")) }, dirsync.Invalid},
		{"no manager", func(r *dirsync.Resource) { r.Values = r.Values.With(under("")) }, dirsync.Invalid},
		{"what is kept", func(r *dirsync.Resource) { r.Values = r.Values.With(under("m")) }, dirsync.Invalid},
		{"a mentor", func(r *dirsync.Resource) { r.Values = r.Values.With(reference("mentor", "u00000001")) }, dirsync.Invalid},
		{"a name", func(r *dirsync.Resource) { r.Display = "R" }, dirsync.Invalid},
	} {
		got, err := d.EditResource(ctx, dirsync.KindUser, before.ID, func(r dirsync.Resource) (dirsync.ResourceEdit, error) {
			test.edit(&r)
			return dirsync.ResourceEdit{Resource: r}, nil
		})
		if dirsync.KindOf(err) != test.want || (err == nil) != (test.want == 0) {
			t.Errorf("%s: got %v, want %v", test.what, err, test.want)
		}
		if diff := gocmp.Diff(before, got); err == nil && diff != "" {
			t.Errorf("%s: -before +after\n%s", test.what, diff)
		}
	}
	a, err := d.Lookup(ctx, "r")
	manager, _ := a.Values.Get("manager")
	mentor, _ := a.Values.Get("mentor")
	if err != nil || manager.Text != "m" || mentor.Text != "nobody" {
		t.Errorf("got %v and %v, want what the sync wrote", a.Values, err)
	}
	found, err := d.Find(ctx, "email", []dirsync.Value{{Type: dirsync.Email, Text: "r@a.example"}})
	if err != nil || len(found[0]) != 1 || !found[0][0].Values.Equal(a.Values) {
		t.Errorf("found %+v and %v, want %v", found, err, a.Values)
	}
}

// TestManyWaitForOne has more people wait for somebody than a page of readers is to have.
func TestManyWaitForOne(t *testing.T) {
	ctx := t.Context()
	s := open(t, store.Options{})
	d, err := s.Directory(managerFields()...)
	if err != nil {
		t.Fatal(err)
	}
	apply := func(changes ...dirsync.Change) {
		t.Helper()
		for _, r := range d.ApplyAll(ctx, changes) {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
		}
	}
	for _, n := range []int{900, 1100} {
		var changes []dirsync.Change
		boss := fmt.Sprint("boss of ", n)
		for i := range n {
			p := fmt.Sprint(n, "-", i)
			changes = append(changes, dirsync.Change{Kind: dirsync.Create, Person: dirsync.ID(p), After: who(p, p).With(under(boss))})
		}
		apply(changes...)
		_, _, next := round(t, d.Source(), "")
		apply(dirsync.Change{Kind: dirsync.Create, Person: dirsync.ID(boss), After: who("B", fmt.Sprint("b", n))})
		told, largest := map[string]string{}, 0
		err := d.Source().Read(ctx, next, func(p dirsync.Page) error {
			largest = max(largest, len(p.Records))
			for _, r := range p.Records {
				told[r.Attrs.Text("source")] = r.Attrs.Text("manager")
			}
			return nil
		})
		a, err2 := d.Lookup(ctx, boss)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		for _, c := range changes {
			if got := told[string(c.Person)]; got != a.ID {
				t.Fatalf("%s has the manager %q, want %s", c.Person, got, a.ID)
			}
		}
		if len(told) != n+1 || largest > 1001 {
			t.Errorf("got %d records on pages of up to %d, want %d", len(told), largest, n+1)
		}
		sound(t, s)
	}
}

// referenceWorld is a directory whose people refer to one another, with readers of both kinds.
type referenceWorld struct {
	*directoryWalk
	sources []string // of people
	readers []follower
	// versions are the resources as they were seen last.
	versions map[string]dirsync.Resource
}

func (w *referenceWorld) open() {
	w.s = openAt(w.t, w.path, store.Options{Now: func() time.Time { return w.now }})
	w.s.SetSizes(4, 2)
	w.s.SetPage(2)
	var err error
	if w.d, err = w.s.Directory(managerFields()...); err != nil {
		w.t.Fatal(err)
	}
}

// someChange draws a change. What it writes may refer to anybody, there or not, by ids of both kinds.
func (w *referenceWorld) someChange(r *rapid.T) dirsync.Change {
	account := rapid.Custom(func(r *rapid.T) string { return fmt.Sprintf("u%08d", rapid.IntRange(1, 8).Draw(r, "number")) })
	c := dirsync.Change{Kind: rapid.SampledFrom(append(dirsync.ChangeKinds(), dirsync.Create, dirsync.Delete)).Draw(r, "kind")}
	name := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g"}).Draw(r, "address")
	c.After = who(name, name)
	for _, f := range managerFields() {
		switch rapid.IntRange(0, 5).Draw(r, f.Name) {
		case 0:
		case 1:
			c.After = c.After.With(reference(f.Name, ""))
		case 2:
			c.After = c.After.With(reference(f.Name, account.Draw(r, "own id")))
		default:
			c.After = c.After.With(reference(f.Name, rapid.SampledFrom(w.sources).Draw(r, "refers to")))
		}
	}
	if rapid.IntRange(0, 5).Draw(r, "nobody's") > 0 {
		c.Person = dirsync.ID(rapid.SampledFrom(w.sources).Draw(r, "person"))
	}
	if rapid.Bool().Draw(r, "by account") {
		c.Account = account.Draw(r, "account")
	}
	return c
}

func (w *referenceWorld) change(r *rapid.T) {
	var changes []dirsync.Change
	for range rapid.IntRange(1, 4).Draw(r, "together") {
		changes = append(changes, w.someChange(r))
	}
	for _, a := range w.d.ApplyAll(context.Background(), changes) {
		if a.Err != nil && !slices.Contains([]dirsync.ErrorKind{dirsync.Conflict, dirsync.NotFound}, dirsync.KindOf(a.Err)) {
			r.Fatal(a.Err)
		}
	}
}

// edit has a client give back what it was told, or write a manager of its own.
func (w *referenceWorld) edit(r *rapid.T) {
	id := fmt.Sprintf("u%08d", rapid.IntRange(1, 8).Draw(r, "number"))
	boss := rapid.SampledFrom([]string{"same", "", "u00000001", "u00000002"}).Draw(r, "manager")
	var was dirsync.Resource
	now, err := w.d.EditResource(context.Background(), dirsync.KindUser, id, func(r dirsync.Resource) (dirsync.ResourceEdit, error) {
		was = r
		was.Values = slices.Clone(r.Values)
		if boss != "same" {
			r.Values = r.Values.With(under(boss))
		}
		return dirsync.ResourceEdit{Resource: r}, nil
	})
	before, _ := was.Values.Get("manager")
	switch same := boss == "same" || boss == before.Text; {
	case dirsync.KindOf(err) == dirsync.NotFound:
	case same:
		if diff := gocmp.Diff(was, now); err != nil || diff != "" {
			r.Fatalf("nothing was changed: %v\n%s", err, diff)
		}
	case was.Source != "" && dirsync.KindOf(err) != dirsync.Invalid, was.Source == "" && err != nil:
		r.Fatalf("a client changed the manager of %s: %v", id, err)
	}
}

// look compares what everybody is told with what is to be told, and sees whether whoever has changed can be seen to.
func (w *referenceWorld) look(r *rapid.T) {
	ctx := context.Background()
	want, err2 := toldOf(w.d)
	list, err := w.d.Resources(ctx, dirsync.KindUser, "", 0, 100)
	if err != nil || err2 != nil || len(list) != len(want) {
		r.Fatalf("got %d resources and %v, want %d", len(list), err, len(want))
	}
	var ids []dirsync.ID
	for _, is := range list {
		ids = append(ids, dirsync.ID(is.ID))
		address, _ := is.Values.Get(dirsync.EmailAddress)
		one, err := w.d.Resource(ctx, dirsync.KindUser, is.ID)
		found, err2 := w.d.FindResources(ctx, dirsync.KindUser, dirsync.ByEmail, address.Text, 2)
		if err != nil || err2 != nil || len(found) != 1 || gocmp.Diff(is, one) != "" || gocmp.Diff(is, found[0]) != "" {
			r.Fatalf("%s is listed as %+v, read as %+v (%v) and found as %+v (%v)", is.ID, is, one, err, found, err2)
		}
		for _, f := range managerFields() {
			if v, _ := is.Values.Get(f.Name); v.Text != want[is.ID][f.Name] {
				r.Fatalf("clients are told of %s of %s that it is %q, want %q", f.Name, is.ID, v.Text, want[is.ID][f.Name])
			}
		}
		was := w.versions[is.ID]
		same := is
		same.Version = was.Version
		if was.ID != "" && (is.Version < was.Version || is.Version == was.Version && gocmp.Diff(was, same) != "") {
			r.Fatalf("%s has changed without being seen to:\n%s", is.ID, gocmp.Diff(was, is))
		}
		w.versions[is.ID] = is
	}
	err = w.d.Source().LookUp(ctx, ids, func(rec dirsync.Record) error {
		for _, f := range managerFields() {
			if got := rec.Attrs.Text(f.Name); got != want[string(rec.ID)][f.Name] {
				return fmt.Errorf("readers are told of %s of %s that it is %q, want %q", f.Name, rec.ID, got, want[string(rec.ID)][f.Name])
			}
		}
		return nil
	})
	if err != nil {
		r.Fatal(err)
	}
}

// agree compares what a reader knows with what it would be told if it read everything now.
func (w *referenceWorld) agree(f *follower) error {
	var fresh follower
	if err := errors.Join(f.settle(w.d.Source()), fresh.settle(w.d.Source())); err != nil {
		return err
	}
	if diff := gocmp.Diff(fresh.people, f.people); diff != "" {
		return errors.New("-directory +reader\n" + diff)
	}
	return nil
}

// TestReferencesConverge goes through random worlds: people come, go, are brought back, joined and forgotten, and refer to
// one another, while the directory changes hands. After every step whoever reads is told whom each reference means, and
// whoever reads only what has changed knows the same in the end.
//
//	go test ./store -run TestReferencesConverge -rapid.checks 3000
func TestReferencesConverge(t *testing.T) {
	for kind, sources := range map[string][]string{
		"object ids":                 {string(guid(1)), string(guid(2)), string(guid(3)), string(guid(4)), string(guid(5))},
		"ids like the directory's":   {"u00000001", "u00000003", "u00000005", "u00000007", "u00000099"},
		"ids of two kinds of source": {"u00000002", "u00000004", string(guid(1)), "p", string(guid(2))},
	} {
		t.Run(kind, func(t *testing.T) {
			rapid.Check(t, func(r *rapid.T) {
				w := &referenceWorld{directoryWalk: &directoryWalk{t: t, path: filepath.Join(t.TempDir(), "dirsync.db"), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)},
					sources: sources, readers: make([]follower, 3), versions: map[string]dirsync.Resource{}}
				w.open()
				defer func() { w.s.Close() }()
				read := func(r *rapid.T) {
					i := rapid.IntRange(0, len(w.readers)-1).Draw(r, "reader")
					if err := w.readers[i].follow(w.d.Source(), rapid.IntRange(1, 4).Draw(r, "pages")); err != nil {
						r.Fatal(err)
					}
				}
				steps := map[string]func(*rapid.T){
					"": func(r *rapid.T) {
						w.now = w.now.Add(time.Second)
						w.look(r)
					},
					"change": w.change, "change again": w.change, "change once more": w.change, "edit": w.edit, "read": read, "read again": read,
					"reopen": func(r *rapid.T) {
						if err := w.s.Close(); err != nil {
							r.Fatal(err)
						}
						w.open()
					},
					"age": func(*rapid.T) { w.now = w.now.Add(40 * 24 * time.Hour) },
					"forget": func(r *rapid.T) {
						id := fmt.Sprintf("u%08d", rapid.IntRange(1, 8).Draw(r, "id"))
						if err := w.d.Forget(context.Background(), id); err != nil && dirsync.KindOf(err) != dirsync.Invalid {
							r.Fatal(err)
						}
					},
				}
				if kind == "object ids" {
					steps["hand over"] = func(r *rapid.T) {
						if err := w.d.HandOver(context.Background(), rapid.Bool().Draw(r, "to clients")); err != nil {
							r.Fatal(err)
						}
					}
				}
				r.Repeat(steps)
				for i := range w.readers {
					if err := w.agree(&w.readers[i]); err != nil {
						r.Fatalf("reader %d: %v", i, err)
					}
				}
				findings, err := w.s.Verify(context.Background())
				if err != nil || len(findings) > 0 {
					r.Fatal(err, findings)
				}
			})
		})
	}
}

// TestReferencesOfBefore opens a file whose readers were told references as the syncs had written them.
func TestReferencesOfBefore(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "dirsync.db")
	unpack(t, filepath.Join("testdata", "schema2references.db.gz"), path)
	// Of 1,200 people every third has a manager, and one of the directory's own has one by id; p4 is deleted.
	const cursor = dirsync.Cursor("d1-u-21096d52878f5d44e5842fd4dfb5663d-1202")
	if _, err := store.Open(path, store.Options{ReadOnly: true}); dirsync.KindOf(err) != dirsync.Invalid {
		t.Errorf("got %v for looking at an older schema, want Invalid", err)
	}
	now := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	opts := store.Options{Now: func() time.Time { return now }}
	for i := range 2 {
		s := openAt(t, path, opts)
		if i == 0 { // the index is not made again where one may only look
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			opts.ReadOnly = true
			s, opts.ReadOnly = openAt(t, path, opts), false
		}
		d, err := s.Directory(dirsync.Field{Name: "manager", Type: dirsync.Reference})
		if err != nil {
			t.Fatal(err)
		}
		sound(t, s)
		records, _, _ := round(t, d.Source(), cursor)
		resolved := 0
		for _, r := range records {
			n := 0
			if _, err := fmt.Sscanf(r.Attrs.Text("source"), "p%d", &n); err != nil || n%3 != 0 {
				t.Errorf("readers are told of %s, who has not changed: %v", r.ID, err)
			}
			boss, want := n+1-n%7*50, ""
			if boss >= 1 && boss <= 1200 && boss != 4 {
				want = fmt.Sprintf("u%08d", boss)
				resolved++
			}
			if got := r.Attrs.Text("manager"); got != want {
				t.Errorf("the manager of %s is %q, want %q", r.ID, got, want)
			}
			seen, err := d.Resource(ctx, dirsync.KindUser, string(r.ID))
			if err != nil || seen.Version <= 1202 || !seen.Updated.Equal(now) {
				t.Fatalf("%s is of version %d of %v (%v), want that it has changed", r.ID, seen.Version, seen.Updated, err)
			}
		}
		if len(records) != 400 || resolved < 300 {
			t.Errorf("readers are told of %d, %d of them with a manager; want 400", len(records), resolved)
		}
		own, err := d.Lookup(ctx, "own@a.example")
		if v, _ := own.Values.Get("manager"); err != nil || v.Text != "u00000001" || own.Updated.Equal(now) {
			t.Errorf("got %+v and %v, want somebody who has not changed", own, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// The file goes on as any other one: readers are told of those whose manager has gone.
	s := openAt(t, path, opts)
	d, err := s.Directory(dirsync.Field{Name: "manager", Type: dirsync.Reference})
	if err != nil {
		t.Fatal(err)
	}
	_, _, next := round(t, d.Source(), cursor)
	if _, err := d.Apply(ctx, dirsync.Change{Kind: dirsync.Delete, Person: "p50"}); err != nil {
		t.Fatal(err)
	}
	var told []string
	records, _, _ := round(t, d.Source(), next)
	for _, r := range records {
		told = append(told, r.Attrs.Text("source")+" under "+cmp.Or(r.Attrs.Text("manager"), "nobody"))
	}
	slices.Sort(told)
	if got, want := strings.Join(told, ", "), " under nobody, p249 under nobody, p99 under nobody"; got != want {
		t.Errorf("readers are told of %s; want %s", got, want)
	}
	sound(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestVerifyFindsLostReferences takes the index away in which those are found who refer to somebody.
func TestVerifyFindsLostReferences(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "dirsync.db")
	s := openAt(t, path, store.Options{})
	s.SetSizes(2, 1)
	d, err := s.Directory(managerFields()...)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"a", "b", "c"} {
		if _, err := d.Apply(ctx, dirsync.Change{Kind: dirsync.Create, Person: dirsync.ID(p), After: who(p, p).With(under("a"))}); err != nil {
			t.Fatal(err)
		}
	}
	sound(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	spoil(t, path, func(tx *bolt.Tx) error {
		if err := tx.Bucket([]byte("directory")).DeleteBucket([]byte("index")); err != nil {
			return err
		}
		_, err := tx.Bucket([]byte("directory")).CreateBucket([]byte("index"))
		return err
	})
	s = openAt(t, path, store.Options{})
	defer s.Close()
	if _, err := s.Directory(managerFields()...); err != nil {
		t.Fatal(err)
	}
	findings, err := s.Verify(ctx)
	if got, want := strings.Join(findings, "\n"), "user u00000001 cannot be found by its references"; err != nil || !strings.Contains(got, want) {
		t.Errorf("got %q and %v, want something that says %q", got, err, want)
	}
}
