package store_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dirsync"
	"dirsync/store"
)

// club is a directory with users, whose groups are read.
type club struct {
	*office
}

func newClub(t testing.TB, people int) club {
	c := club{newOffice(t)}
	for n := range people {
		c.put(dirsync.ID(fmt.Sprint(n)), nil)
	}
	return c
}

func (c club) group(name string, members ...int) string {
	c.t.Helper()
	a, err := c.d.Groups().Apply(context.Background(), dirsync.Change{Kind: dirsync.Create, After: titled(name)})
	if err != nil {
		c.t.Fatal(err)
	}
	c.join(a.ID, members...)
	return a.ID
}

func titled(name string) dirsync.Values {
	return dirsync.Values{{Field: "name", Value: dirsync.Value{Type: dirsync.Text, Text: name}}}
}

func (c club) users(members []int) (ids []string) {
	for _, n := range members {
		ids = append(ids, c.ids[dirsync.ID(fmt.Sprint(n))])
	}
	return ids
}

func (c club) join(group string, members ...int) {
	c.t.Helper()
	if err := c.d.Groups().Join(context.Background(), group, c.users(members)...); err != nil {
		c.t.Fatal(err)
	}
}

func (c club) leave(group string, members ...int) {
	c.t.Helper()
	if err := c.d.Groups().Leave(context.Background(), group, c.users(members)...); err != nil {
		c.t.Fatal(err)
	}
}

func (c club) change(kind dirsync.ChangeKind, group string, after dirsync.Values) {
	c.t.Helper()
	if _, err := c.d.Groups().Apply(context.Background(), dirsync.Change{Kind: kind, Account: group, After: after}); err != nil {
		c.t.Fatal(err)
	}
}

// lines is what records say, a line each.
func lines(records []dirsync.Record) (out []string) {
	for _, r := range records {
		line := string(r.ID) + " " + r.Gone.String()
		if r.Gone == dirsync.Present {
			line = string(r.ID) + " " + r.Attrs.Text("displayName") + ":"
		}
		for _, m := range r.Members {
			if line += " "; m.Removed {
				line += "-"
			}
			line += string(m.ID)
		}
		out = append(out, line)
	}
	return out
}

func expect(t testing.TB, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestGroupSource(t *testing.T) {
	c := newClub(t, 4)
	sales, support := c.group("Sales", 0, 1), c.group("Support", 1)
	all := c.d.GroupSource(nil, true, true)
	first, pages, next := round(t, all, "")
	expect(t, "first", lines(first), []string{sales + " Sales: u00000001 u00000002", support + " Support: u00000002"})
	for _, r := range first {
		if !r.Fresh || !r.Whole || r.Kind != dirsync.KindGroup || pages != 1 {
			t.Errorf("got %+v on %d pages", r, pages)
		}
	}
	read := func(what string, want ...string) {
		t.Helper()
		var records []dirsync.Record
		records, _, next = round(t, all, next)
		expect(t, what, lines(records), want)
	}
	read("nothing has changed")
	c.leave(sales, 0)
	c.join(sales, 2, 3)
	read("joins and leaves", sales+" Sales: -u00000001 u00000003 u00000004")
	c.join(sales, 0)
	c.leave(sales, 0, 3)
	c.join(sales, 3)
	read("back and forth", sales+" Sales: -u00000001 u00000004")
	c.change(dirsync.Update, support, titled("First line"))
	read("a new name", support+" First line:")
	c.apply(dirsync.Change{Kind: dirsync.Delete, Account: c.ids["1"]})
	records, _, after := round(t, all, next)
	expect(t, "a deleted user", lines(records), []string{sales + " Sales: -u00000002", support + " First line: -u00000002"})
	next = after
	c.apply(dirsync.Change{Kind: dirsync.Create, Account: c.ids["1"]})
	read("the user is back", sales+" Sales: u00000002", support+" First line: u00000002")
	c.change(dirsync.Delete, support, nil)
	read("a deleted group", support+" deleted, can be restored")
	c.change(dirsync.Create, support, nil)
	read("the group is back", support+" First line: u00000002")
	c.change(dirsync.Delete, support, nil)
	read("and gone again", support+" deleted, can be restored")
	third := c.group("Third")
	read("an empty group", third+" Third:")
	// What a round began is finished by whoever has its cursors, in any process.
	c.s.SetPage(1)
	c.join(third, 0)
	c.join(sales, 0)
	var seen []string
	for done := false; !done; {
		if err := all.Read(context.Background(), next, func(p dirsync.Page) error {
			seen, next, done = append(seen, lines(p.Records)...), p.Next, p.Complete
			return errors.New("enough")
		}); err == nil {
			t.Fatal("the reader's error is lost")
		}
		c.leave(sales, 3)
	}
	slices.Sort(seen)
	if last := seen[len(seen)-1]; last != third+" Third: u00000001" {
		t.Errorf("got %q", seen)
	}
}

func TestGroupSourceChosen(t *testing.T) {
	ctx := context.Background()
	c := newClub(t, 2)
	sales, support, other := c.group("Sales", 0), c.group("Support", 1), c.group("Other", 0, 1)
	src := c.d.GroupSource([]string{"SALES", support, support}, false, false)
	records, _, next := round(t, src, "")
	expect(t, "first", lines(records), []string{sales + " Sales: u00000001", support + " Support: u00000002"})
	chosen := []dirsync.ChosenGroup{{Name: "SALES", ID: dirsync.ID(sales)}, {Name: support, ID: dirsync.ID(support)}}
	if got := src.Chosen(next); !slices.Equal(got, chosen) || len(src.Chosen("")) != 0 || src.Again("") != "" {
		t.Errorf("got %v and %v", got, src.Chosen(""))
	}
	if got := store.ChosenGroups(next, []string{"SALES"}); !slices.Equal(got, chosen[:1]) {
		t.Errorf("got %v", got)
	}
	c.join(other, 0)
	c.leave(other, 1)
	records, _, next = round(t, src, next)
	expect(t, "of a group that is not followed", lines(records), nil)
	// A group that was renamed is still the same, also when everything is read again; the name now means another one.
	c.change(dirsync.Update, sales, titled("Sold"))
	newer := c.group("Sales")
	records, _, again := round(t, src, src.Again(next))
	expect(t, "again", lines(records), []string{support + " Support: u00000002", sales + " Sold: u00000001"})
	if got := src.Chosen(again); !slices.Equal(got, chosen) {
		t.Errorf("got %v, want %v", got, chosen)
	}
	records, _, _ = round(t, src, "")
	expect(t, "from the zero cursor", lines(records), []string{support + " Support: u00000002", newer + " Sales:"})
	// A cursor does not carry groups that are chosen anew.
	for name, more := range map[string]dirsync.GroupSource{"one more": c.d.GroupSource([]string{"SALES", support, other}, false, false), "all": c.d.GroupSource(nil, true, false)} {
		if err := more.Read(ctx, next, func(dirsync.Page) error { return nil }); !errors.Is(err, dirsync.ErrCursorExpired) {
			t.Errorf("%s: got %v, want that the cursor has expired", name, err)
		}
	}
	more := c.d.GroupSource([]string{"SALES", other}, false, false)
	records, _, _ = round(t, more, more.Again(next))
	expect(t, "one more", lines(records), []string{other + " Other: u00000001", sales + " Sold: u00000001"})
	// A chosen group that is long gone is told of when everything is read again.
	c.change(dirsync.Delete, sales, nil)
	if err := c.d.Groups().Forget(ctx, sales); err != nil {
		t.Fatal(err)
	}
	c.now = c.now.Add(200 * 24 * time.Hour)
	c.group("makes the file forget")
	c.change(dirsync.Update, newer, titled("Sales and more"))
	records, _, _ = round(t, src, src.Again(next))
	if got := lines(records); !slices.Contains(got, sales+" deleted for good") {
		t.Errorf("got %q, want that %s is gone", got, sales)
	}
	for name, want := range map[string]string{"Nobody": `there is no group "Nobody"`, "Twin": "several groups of the directory are called"} {
		if name == "Twin" {
			c.group(name)
			c.group("twin")
		}
		err := c.d.GroupSource([]string{name}, false, false).Read(ctx, "", func(dirsync.Page) error { return nil })
		if dirsync.KindOf(err) != dirsync.Invalid || !strings.Contains(err.Error(), want) || dirsync.HintOf(err) == "" {
			t.Errorf("got %v (%s), want %s", err, dirsync.HintOf(err), want)
		}
	}
	if err := c.d.GroupSource(nil, false, false).Read(ctx, "", nil); dirsync.KindOf(err) != dirsync.Invalid {
		t.Errorf("nothing chosen: got %v, want invalid", err)
	}
}

func TestGroupSourceLooksUp(t *testing.T) {
	ctx := context.Background()
	c := newClub(t, 3)
	sales := c.group("Sales", 0, 2)
	gone := c.group("Gone", 0)
	c.change(dirsync.Delete, gone, nil)
	src := c.d.GroupSource(nil, true, false)
	var got []string
	err := src.LookUp(ctx, []dirsync.ID{dirsync.ID(gone), "g00000099", "nonsense", dirsync.ID(sales)}, func(r dirsync.Record) error {
		if r.Kind != dirsync.KindGroup {
			t.Errorf("got %+v, want a group", r)
		}
		got = append(got, lines([]dirsync.Record{r})...)
		return nil
	})
	expect(t, fmt.Sprint("looked up, ", err), got, []string{gone + " deleted, can be restored", "g00000099 deleted for good", "nonsense deleted for good", sales + " Sales:"})
	got = nil
	err = src.Members(ctx, dirsync.ID(sales), func(ms []dirsync.Membership) error {
		for _, m := range ms {
			got = append(got, string(m.ID()))
		}
		return nil
	})
	expect(t, fmt.Sprint("members, ", err), got, []string{sales + "/u00000001", sales + "/u00000003"})
	for _, id := range []string{gone, "g00000099", "nonsense", ""} {
		if err := src.Members(ctx, dirsync.ID(id), func([]dirsync.Membership) error { return nil }); dirsync.KindOf(err) != dirsync.NotFound {
			t.Errorf("%q: got %v, want not found", id, err)
		}
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := src.Read(ended, "", func(dirsync.Page) error { return nil }); err == nil {
		t.Error("a cancelled reading went on")
	}
	fields, err := src.Fields(ctx)
	if err != nil || !slices.ContainsFunc(fields, func(f dirsync.Field) bool { return f.Name == "displayName" }) || src.Name() == "" {
		t.Errorf("got %v, %v", fields, err)
	}
}

func FuzzGroupCursor(f *testing.F) {
	s, err := store.Open(filepath.Join(f.TempDir(), "dirsync.db"), store.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close() })
	d, err := s.Directory()
	if err != nil {
		f.Fatal(err)
	}
	if _, err := d.Groups().Apply(context.Background(), dirsync.Change{Kind: dirsync.Create, After: titled("Sales")}); err != nil {
		f.Fatal(err)
	}
	src := d.GroupSource([]string{"Sales"}, true, false)
	_, _, next := round(f, src, "")
	for _, seed := range []dirsync.Cursor{next, src.Again(next), "", "~", "~e30", next + "x", "d1-g-1~bnVsbA"} {
		f.Add(string(seed))
	}
	f.Fuzz(func(t *testing.T, c string) {
		src.Chosen(dirsync.Cursor(c))
		src.Again(dirsync.Cursor(c))
		err := src.Read(context.Background(), dirsync.Cursor(c), func(dirsync.Page) error { return nil })
		if err != nil && !errors.Is(err, dirsync.ErrCursorExpired) && !errors.Is(err, dirsync.ErrPageExpired) {
			t.Fatal(err)
		}
	})
}

// rolls is what a reader knows of who is in which group.
type rolls struct {
	at, start dirsync.Cursor
	full      bool
	in        map[dirsync.ID]map[dirsync.ID]bool
	fresh     map[dirsync.ID]bool // the groups that this round has told from the beginning
}

// follow reads up to a number of pages, as an engine does; what a round from the beginning does not mention is not.
func (f *rolls) follow(src dirsync.Source, pages int) error {
	stop := errors.New("stop")
	if f.at == "" {
		f.in, f.full = map[dirsync.ID]map[dirsync.ID]bool{}, true
	}
	if f.at == f.start {
		f.fresh = map[dirsync.ID]bool{}
	}
	err := src.Read(context.Background(), f.at, func(p dirsync.Page) error {
		for _, r := range p.Records {
			f.take(r)
		}
		if f.at = p.Next; p.Complete {
			f.start, f.full = p.Next, false
			return nil
		}
		if pages--; pages == 0 {
			return stop
		}
		return nil
	})
	switch {
	case errors.Is(err, dirsync.ErrPageExpired):
		f.at = f.start
	case errors.Is(err, dirsync.ErrCursorExpired):
		f.at, f.start = "", ""
	case err != nil && err != stop:
		return err
	}
	return nil
}

func (f *rolls) take(r dirsync.Record) {
	if r.Gone != dirsync.Present {
		delete(f.in, r.ID)
		return
	}
	if f.in[r.ID] == nil || r.Fresh && !f.full && !f.fresh[r.ID] {
		f.in[r.ID] = map[dirsync.ID]bool{}
	}
	f.fresh[r.ID] = f.fresh[r.ID] || r.Fresh
	for _, m := range r.Members {
		if delete(f.in[r.ID], m.ID); !m.Removed {
			f.in[r.ID][m.ID] = true
		}
	}
}

// TestGroupSourceConverges changes groups and who is in them at random, with a log of memberships that is short, while two
// readers follow at their own pace.
func TestGroupSourceConverges(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		ctx, w := context.Background(), newDirectoryWalk(t)
		defer func() { w.s.Close() }()
		short := rapid.Uint64Range(1, 200).Draw(r, "joins")
		set := func() { w.s.SetPage(2); w.s.SetJoins(short) }
		set()
		readers := make([]rolls, 2)
		fine := func(err error) {
			if kind := dirsync.KindOf(err); err != nil && kind != dirsync.Conflict && kind != dirsync.NotFound && kind != dirsync.Invalid {
				r.Fatal(err)
			}
		}
		user := rapid.Custom(func(r *rapid.T) string { return fmt.Sprintf("u%08d", rapid.IntRange(1, 8).Draw(r, "user")) })
		group := rapid.Custom(func(r *rapid.T) string { return fmt.Sprintf("g%08d", rapid.IntRange(1, 4).Draw(r, "group")) })
		apply := func(to dirsync.Target, id *rapid.Generator[string], values dirsync.Values) func(*rapid.T) {
			return func(r *rapid.T) {
				kind := rapid.SampledFrom([]dirsync.ChangeKind{dirsync.Create, dirsync.Create, dirsync.Update, dirsync.Delete}).Draw(r, "kind")
				_, err := to.Apply(ctx, dirsync.Change{Kind: kind, Account: id.Draw(r, "id"), After: values})
				fine(err)
			}
		}
		move := func(r *rapid.T) {
			for range rapid.IntRange(1, 60).Draw(r, "times") {
				g, u := group.Draw(r, "group"), user.Draw(r, "user")
				if rapid.Bool().Draw(r, "join") {
					fine(w.d.Groups().Join(ctx, g, u))
				} else {
					fine(w.d.Groups().Leave(ctx, g, u))
				}
			}
		}
		only := func(r *rapid.T) {
			users := rapid.SliceOfN(user, 0, 3).Draw(r, "users")
			_, err := w.d.EditResource(ctx, dirsync.KindGroup, group.Draw(r, "group"), func(r dirsync.Resource) (dirsync.ResourceEdit, error) {
				return dirsync.ResourceEdit{Resource: r, Add: users, Only: true}, nil
			})
			fine(err)
		}
		n := 0
		r.Repeat(map[string]func(*rapid.T){
			"user": func(r *rapid.T) {
				n++
				apply(w.d, user, who("X", fmt.Sprint(n)))(r)
			},
			"group": apply(w.d.Groups(), group, titled("G")),
			"move":  move, "only": only,
			"reopen": func(r *rapid.T) { w.reopen(r); set() },
			"age":    func(*rapid.T) { w.now = w.now.Add(40 * 24 * time.Hour) },
			"read": func(r *rapid.T) {
				i := rapid.IntRange(0, 1).Draw(r, "reader")
				if err := readers[i].follow(w.d.GroupSource(nil, true, false), rapid.IntRange(1, 3).Draw(r, "pages")); err != nil {
					r.Fatal(err)
				}
			},
		})
		for i := range readers {
			for range 3 {
				if err := readers[i].follow(w.d.GroupSource(nil, true, false), -1); err != nil {
					r.Fatal(err)
				}
			}
			list, err := w.d.Groups().List(ctx, "", 100)
			if err != nil || len(list) != len(readers[i].in) {
				r.Fatalf("there are %d groups, %v, and the reader knows %d", len(list), err, len(readers[i].in))
			}
			for _, g := range list {
				var got []string
				for id := range readers[i].in[dirsync.ID(g.ID)] {
					got = append(got, string(id))
				}
				members, err := w.d.ResourceMembers(ctx, g.ID, "", 100)
				var want []string
				for _, m := range members {
					want = append(want, m.ID)
				}
				if slices.Sort(got); err != nil || !slices.Equal(got, want) {
					r.Fatalf("reader %d: %s has %v, want %v, %v", i, g.ID, got, want, err)
				}
			}
		}
		findings, err := w.s.Verify(ctx)
		if err != nil || len(findings) > 0 {
			r.Fatal(err, findings)
		}
	})
}

// BenchmarkGroupSource reads one change of a membership of a group of fifty thousand, and all of it.
func BenchmarkGroupSource(b *testing.B) {
	ctx := context.Background()
	d, g, ids := crowd(b, 50_000)
	src := d.GroupSource(nil, true, false)
	_, _, next := round(b, src, "")
	b.Run("one", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			b.StopTimer()
			who := ids[i%len(ids) : i%len(ids)+1]
			if err := d.Groups().Leave(ctx, g.ID, who...); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			records, _, at := round(b, src, next)
			if len(records) != 1 || len(records[0].Members) != 1 {
				b.Fatal(records)
			}
			next = at
		}
	})
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			round(b, src, "")
		}
	})
}
