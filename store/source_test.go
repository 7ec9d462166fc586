package store_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"dirsync"
	"dirsync/dirsynctest"
	"dirsync/store"
)

// office is a directory whose users are known by ids of the test's choice.
type office struct {
	t   testing.TB
	s   *store.Store
	d   *store.Directory
	now time.Time
	// ids are the directory's ids of those of the test, and own the other way round.
	ids map[dirsync.ID]string
	own map[dirsync.ID]dirsync.ID
	n   int
}

func newOffice(t testing.TB) *office {
	o := &office{t: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), ids: map[dirsync.ID]string{}, own: map[dirsync.ID]dirsync.ID{}}
	o.s = open(t, store.Options{Now: func() time.Time { return o.now }, KeepDeleted: 100 * 365 * 24 * time.Hour})
	o.s.SetSizes(4, 2)
	o.s.SetPage(3)
	var err error
	o.d, err = o.s.Directory(dirsync.Field{Name: "displayName", Type: dirsync.Text}, dirsync.Field{Name: "department", Type: dirsync.Text})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *office) apply(c dirsync.Change) dirsync.Account {
	o.t.Helper()
	a, err := o.d.Apply(context.Background(), c)
	if err != nil {
		o.t.Fatal(err)
	}
	return a
}

// put is how an administrator edits the directory's own people: by their accounts, and without a source id.
func (o *office) put(id dirsync.ID, attrs map[string]any) {
	o.t.Helper()
	c := dirsync.Change{Kind: dirsync.Create, Account: o.ids[id]}
	for name, v := range attrs {
		value := dirsync.Value{}
		if v != nil {
			value = dirsync.Value{Type: dirsync.Text, Text: v.(string)}
		}
		c.After = c.After.Set(name, value)
	}
	if c.Account == "" {
		o.n++
		c.After = c.After.With(who("A", fmt.Sprint("a", o.n)))
	}
	a := o.apply(c)
	o.ids[id], o.own[dirsync.ID(a.ID)] = a.ID, id
}

func (o *office) remove(id dirsync.ID) {
	o.t.Helper()
	o.apply(dirsync.Change{Kind: dirsync.Delete, Account: o.ids[id]})
}

func (o *office) purge(id dirsync.ID) {
	o.t.Helper()
	if err := o.d.Forget(context.Background(), o.ids[id]); err != nil {
		o.t.Fatal(err)
	}
}

// age forgets every tombstone of before.
func (o *office) age() {
	for range 2 {
		id := dirsync.ID(fmt.Sprint("someone ", o.n))
		o.put(id, nil)
		o.remove(id)
		o.purge(id)
		o.now = o.now.Add(91 * 24 * time.Hour)
	}
}

// renaming reads a directory, and calls users what the test calls them.
type renaming struct {
	dirsync.Source
	o *office
}

func (r renaming) rename(records []dirsync.Record) {
	for i := range records {
		if id, ok := r.o.own[records[i].ID]; ok {
			records[i].ID = id
		}
	}
}

func (r renaming) Read(ctx context.Context, since dirsync.Cursor, fn func(dirsync.Page) error) error {
	return r.Source.Read(ctx, since, func(p dirsync.Page) error {
		r.rename(p.Records)
		return fn(p)
	})
}

func (r renaming) LookUp(ctx context.Context, ids []dirsync.ID, fn func(dirsync.Record) error) error {
	asked := make([]dirsync.ID, len(ids))
	for i, id := range ids {
		if asked[i] = id; r.o.ids[id] != "" {
			asked[i] = dirsync.ID(r.o.ids[id])
		}
	}
	return r.Source.LookUp(ctx, asked, func(rec dirsync.Record) error {
		records := []dirsync.Record{rec}
		r.rename(records)
		return fn(records[0])
	})
}

func TestDirectorySourceConforms(t *testing.T) {
	dirsynctest.TestSource(t, func(t *testing.T) dirsynctest.SourceFixture {
		o := newOffice(t)
		t.Cleanup(func() { sound(t, o.s) })
		return dirsynctest.SourceFixture{Source: renaming{o.d.Source(), o}, Put: o.put, Remove: o.remove, Purge: o.purge,
			ExpirePages: o.age, ExpireCursors: o.age}
	})
}

// round reads one round and returns its records, how many pages they came on, and where the next round begins.
func round(t testing.TB, s dirsync.Source, since dirsync.Cursor) (records []dirsync.Record, pages int, next dirsync.Cursor) {
	t.Helper()
	err := s.Read(context.Background(), since, func(p dirsync.Page) error {
		records, next = append(records, p.Records...), p.Next
		pages++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return records, pages, next
}

func TestDirectorySourceTellsEverything(t *testing.T) {
	ctx := context.Background()
	s := open(t, store.Options{Now: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 600_000_000, time.UTC) }})
	d, err := s.Directory(
		dirsync.Field{Name: "badge", Type: dirsync.Number}, dirsync.Field{Name: "boss", Type: dirsync.Boolean},
		dirsync.Field{Name: "joined", Type: dirsync.Date}, dirsync.Field{Name: "tags", Type: dirsync.TextList},
		dirsync.Field{Name: "nothing", Type: dirsync.Text}, dirsync.Field{Name: "source", Type: dirsync.Text},
	)
	if err != nil {
		t.Fatal(err)
	}
	values := who("Zoë \"Z\" <x>", "z").With(dirsync.Values{
		{Field: "badge", Value: dirsync.Value{Type: dirsync.Number, Text: "12.5"}},
		{Field: "boss", Value: dirsync.Value{Type: dirsync.Boolean, Text: "true"}},
		{Field: "joined", Value: dirsync.Value{Type: dirsync.Date, Text: "2020-02-29"}},
		{Field: "source", Value: dirsync.Value{Type: dirsync.Text, Text: "not told"}},
		{Field: "tags", Value: dirsync.NewList([]string{"a", "ö"})},
	})
	for _, c := range []dirsync.Change{
		{Kind: dirsync.Create, Person: "from the tenant", After: values},
		{Kind: dirsync.Deactivate, Person: "from the tenant"},
		{Kind: dirsync.Create, After: who("Own", "own")},
	} {
		if _, err := d.Apply(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	src := d.Source()
	fields, err := src.Fields(ctx)
	var names []string
	for _, f := range fields {
		names = append(names, f.Name+" "+string(f.Type))
	}
	want := "id text, active boolean, created datetime, updated datetime, source text, userName text, first_name text, last_name text, email email, badge number, boss boolean, joined date, tags text list, nothing text"
	if got := strings.Join(names, ", "); got != want || err != nil {
		t.Errorf("got the fields %s and %v, want %s", got, err, want)
	}
	records, pages, _ := round(t, src, "")
	var got []string
	for _, r := range records {
		line := string(r.ID)
		for _, a := range r.Attrs {
			line += " " + a.Name + "=" + string(a.Raw)
		}
		got = append(got, line)
		if !r.Whole || r.Kind != dirsync.KindUser {
			t.Errorf("got %+v, want a whole record of a user", r)
		}
	}
	wantRecords := []string{
		`u00000001 active=false badge=12.5 boss=true created="2026-01-02T03:04:05.6Z" email="z@a.example" first_name="Zoë \"Z\" <x>" id="u00000001" joined="2020-02-29" last_name="X" source="from the tenant" tags=["a","ö"] updated="2026-01-02T03:04:05.6Z" userName="z@a.example"`,
		`u00000002 active=true created="2026-01-02T03:04:05.6Z" email="own@a.example" first_name="Own" id="u00000002" last_name="X" updated="2026-01-02T03:04:05.6Z" userName="own@a.example"`,
	}
	if diff := cmp.Diff(wantRecords, got); diff != "" || pages != 1 {
		t.Errorf("on %d pages: -want +got\n%s", pages, diff)
	}
}

// TestDirectorySourceCosts: what has not changed is not read.
func TestDirectorySourceCosts(t *testing.T) {
	o := newOffice(t)
	for n := range 10 {
		o.put(dirsync.ID(fmt.Sprint(n)), nil)
	}
	src := o.d.Source()
	_, pages, next := round(t, src, "")
	if pages != 4 {
		t.Errorf("got %d pages, want 4", pages)
	}
	again, pages, after := round(t, src, next)
	if len(again) != 0 || pages != 1 || after != next {
		t.Errorf("nothing has changed, and got %v on %d pages, and %q after %q", again, pages, after, next)
	}
	// The same change again and again, one that changes nothing, and somebody who comes and goes.
	for n := range 5 {
		o.put("3", map[string]any{"department": fmt.Sprint("d", n)})
		o.put("4", map[string]any{})
		o.put("new", nil)
		o.remove("new")
	}
	records, pages, _ := round(t, src, next)
	var got []string
	for _, r := range records {
		got = append(got, fmt.Sprint(r.ID, " ", r.Gone, " ", r.Attrs.Text("department")))
	}
	want := []string{"u00000004 present d4", "u00000011 deleted, can be restored "}
	if diff := cmp.Diff(want, got); diff != "" || pages != 1 {
		t.Errorf("on %d pages: -want +got\n%s", pages, diff)
	}
}

func TestDirectorySourceRefusesCursors(t *testing.T) {
	o, other := newOffice(t), newOffice(t)
	for _, o := range []*office{o, other} {
		for n := range 5 {
			o.put(dirsync.ID(fmt.Sprint(n)), nil)
		}
	}
	_, _, next := round(t, o.d.Source(), "")
	_, _, foreign := round(t, other.d.Source(), "")
	for _, c := range []dirsync.Cursor{foreign, "x", next + "0", next + "-", next + "-7", next + "-0x1", next[:len(next)-1],
		next[:len(next)-1] + "05", next[:len(next)-1] + "-5", next[:len(next)-1] + "18446744073709551616", "d1-g" + next[4:], "d1-u-" + next[38:]} {
		err := o.d.Source().Read(context.Background(), c, func(dirsync.Page) error { t.Errorf("%q was read", c); return nil })
		if !errors.Is(err, dirsync.ErrCursorExpired) && !errors.Is(err, dirsync.ErrPageExpired) {
			t.Errorf("%q: got %v, want that it has expired", c, err)
		}
	}
	if records, _, _ := round(t, o.d.Source(), next); len(records) != 0 {
		t.Errorf("got %v, want nothing new", records)
	}
}

func FuzzDirectoryCursor(f *testing.F) {
	s, err := store.Open(filepath.Join(f.TempDir(), "dirsync.db"), store.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close() })
	d, err := s.Directory()
	if err != nil {
		f.Fatal(err)
	}
	if _, err := d.Apply(context.Background(), dirsync.Change{Kind: dirsync.Create, After: who("a", "a")}); err != nil {
		f.Fatal(err)
	}
	_, _, next := round(f, d.Source(), "")
	f.Add(string(next))
	f.Add(string(next) + "-1")
	f.Add("")
	f.Add("d1-u--1")
	f.Fuzz(func(t *testing.T, c string) {
		for _, src := range []dirsync.Source{d.Source()} {
			err := src.Read(context.Background(), dirsync.Cursor(c), func(dirsync.Page) error { return nil })
			if err != nil && !errors.Is(err, dirsync.ErrCursorExpired) && !errors.Is(err, dirsync.ErrPageExpired) {
				t.Fatal(err)
			}
		}
	})
}

// TestDirectoryForgets: what is deleted for good is told as such, and what is long gone not at all.
func TestDirectoryForgets(t *testing.T) {
	ctx := context.Background()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := open(t, store.Options{Now: func() time.Time { return now }, KeepDeleted: 10 * 24 * time.Hour, KeepTombstones: 20 * 24 * time.Hour})
	d, err := s.Directory()
	if err != nil {
		t.Fatal(err)
	}
	src := d.Source()
	do := func(kind dirsync.ChangeKind, p string) {
		t.Helper()
		if _, err := d.Apply(ctx, dirsync.Change{Kind: kind, Person: dirsync.ID(p), After: who(p, p)}); err != nil {
			t.Fatal(err)
		}
	}
	do(dirsync.Create, "a")
	do(dirsync.Create, "b")
	_, _, first := round(t, src, "")
	do(dirsync.Delete, "a")
	var cursors []dirsync.Cursor
	gone := func(since dirsync.Cursor) string {
		t.Helper()
		records, _, next := round(t, src, since)
		cursors = append(cursors, next)
		var out []string
		for _, r := range records {
			out = append(out, fmt.Sprint(r.ID, ": ", r.Gone))
		}
		return strings.Join(out, ", ")
	}
	if got, want := gone(first), "u00000001: deleted, can be restored"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// Nobody has written since it became too old to be restored.
	now = now.Add(11 * 24 * time.Hour)
	if got, want := gone(first), "u00000001: deleted for good"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	do(dirsync.Create, "c")
	if got, want := gone(cursors[0]), "u00000003: present, u00000001: deleted for good"; got != want && got != "u00000001: deleted for good, u00000003: present" {
		t.Errorf("got %s, want %s", got, want)
	}
	if err := d.Forget(ctx, "u00000001", "u00000099", "nobody"); err != nil {
		t.Errorf("nothing is kept of them: %v", err)
	}
	if err := d.Forget(ctx, "u00000002"); dirsync.KindOf(err) != dirsync.Invalid || dirsync.HintOf(err) == "" {
		t.Errorf("got %v for an account that is there, want Invalid with a hint", err)
	}
	now = now.Add(21 * 24 * time.Hour)
	do(dirsync.Create, "d")
	for _, c := range []dirsync.Cursor{first, cursors[0], cursors[1]} {
		if err := src.Read(ctx, c, func(dirsync.Page) error { return nil }); !errors.Is(err, dirsync.ErrCursorExpired) {
			t.Errorf("%s: got %v, want that it has expired", c, err)
		}
	}
	if got, want := gone(cursors[2]), "u00000004: present"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := gone(""), "u00000002: present, u00000003: present, u00000004: present"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	sound(t, s)
}

// TestDirectorySourceAfterRestoring: readers of before begin anew, for what they have read may be undone.
func TestDirectorySourceAfterRestoring(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	path, saved := filepath.Join(dir, "dirsync.db"), filepath.Join(dir, "backup.db")
	s := openAt(t, path, store.Options{})
	d, err := s.Directory()
	if err != nil {
		t.Fatal(err)
	}
	create := func(p string) {
		t.Helper()
		if _, err := d.Apply(ctx, dirsync.Change{Kind: dirsync.Create, Person: dirsync.ID(p), After: who(p, p)}); err != nil {
			t.Fatal(err)
		}
	}
	create("a")
	_, _, before := round(t, d.Source(), "")
	var b bytes.Buffer
	if err := errors.Join(s.Backup(ctx, &b), os.WriteFile(saved, b.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	create("b")
	_, _, after := round(t, d.Source(), before)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Restore(ctx, saved, path, true, store.Options{}); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path, store.Options{})
	defer s.Close()
	if d, err = s.Directory(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []dirsync.Cursor{before, after} {
		if err := d.Source().Read(ctx, c, func(dirsync.Page) error { return nil }); !errors.Is(err, dirsync.ErrCursorExpired) {
			t.Errorf("got %v, want that the cursor has expired", err)
		}
	}
	if records, _, _ := round(t, d.Source(), ""); len(records) != 1 {
		t.Errorf("got %v, want a alone", records)
	}
	sound(t, s)
}

// TestDirectoryOfBefore opens a file whose directory did not number its changes.
func TestDirectoryOfBefore(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "dirsync.db")
	unpack(t, filepath.Join("testdata", "schema1directory.db.gz"), path)
	now := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	var next dirsync.Cursor
	for i := range 3 {
		s := openAt(t, path, store.Options{Now: func() time.Time { return now }})
		d, err := s.Directory()
		if err != nil {
			t.Fatal(err)
		}
		sound(t, s)
		records, _, again := round(t, d.Source(), next)
		var got []string
		for _, r := range records {
			got = append(got, fmt.Sprint(r.ID[7:], r.Attrs.Text("source"), r.Gone == dirsync.GoneSoft))
		}
		want := "01p1false 02p2false 03p3false 04p4false 05p5false 06p6false 07true 08p8false 09p9false 10p10false 11p11false 12true 13false"
		switch i {
		case 1:
			want = "07p7false 01p1false"
		case 2:
			want = ""
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("opening %d: got %s, want %s", i+1, got, want)
		}
		next = again
		if i == 0 {
			for _, c := range []dirsync.Change{{Kind: dirsync.Create, Account: "u00000007", Person: "p7"}, {Kind: dirsync.Update, Person: "p1", After: mail("new")}} {
				if _, err := d.Apply(ctx, c); err != nil {
					t.Fatal(err)
				}
			}
			sound(t, s)
		}
		for id, want := range map[string]int{"g00000001": 5, "g00000002": 3, "g00000005": 3} {
			if i == 0 && id == "g00000005" { // u7 has come back to it
				if n, err := d.Groups().Size(ctx, id); err != nil || n != want {
					t.Errorf("group %s has %d members and %v, want %d", id, n, err, want)
				}
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRestoreOfBefore restores a backup that was made by a program of before.
func TestRestoreOfBefore(t *testing.T) {
	dir := t.TempDir()
	saved, path := filepath.Join(dir, "backup.db"), filepath.Join(dir, "dirsync.db")
	unpack(t, filepath.Join("testdata", "schema1directory.db.gz"), saved)
	was, err := os.ReadFile(saved)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Restore(context.Background(), saved, path, false, store.Options{}); err != nil {
		t.Fatal(err)
	}
	if is, err := os.ReadFile(saved); err != nil || !bytes.Equal(is, was) {
		t.Errorf("the backup was changed, or %v", err)
	}
	s := openAt(t, path, store.Options{})
	defer s.Close()
	d, err := s.Directory()
	if err != nil {
		t.Fatal(err)
	}
	sound(t, s)
	if n, err := d.Count(context.Background()); err != nil || n != 11 {
		t.Errorf("got %d users and %v, want 11", n, err)
	}
}

// TestVerifyFindsInHistory breaks what is remembered of changes, in ways that every single row survives.
func TestVerifyFindsInHistory(t *testing.T) {
	first := func(b *bolt.Bucket) []byte { k, _ := b.Cursor().First(); return bytes.Clone(k) }
	for _, test := range []struct {
		name  string
		spoil func(users, groups *bolt.Bucket) error
		says  string
	}{
		{"changes are missing", func(users, _ *bolt.Bucket) error {
			return users.Bucket([]byte("changes")).Delete(first(users.Bucket([]byte("changes"))))
		}, "number of changes of users is kept as 3, but there are 0"},
		{"a change too many", func(users, _ *bolt.Bucket) error {
			key := binary.BigEndian.AppendUint64(nil, 7)
			return users.Bucket([]byte("changes")).Put(key, store.Seal(key, []byte{1, 1, 7, 2}))
		}, "change 7 is of user u00000001, which does not know of it"},
		{"changes out of order", func(users, _ *bolt.Bucket) error {
			key := binary.BigEndian.AppendUint64(nil, 2)
			return users.Bucket([]byte("changes")).Put(key, store.Seal(key, []byte{1, 1, 7, 2}))
		}, "changes of users from 2 come behind change 5"},
		{"changes are damaged", func(users, _ *bolt.Bucket) error {
			return users.Bucket([]byte("changes")).Put(first(users.Bucket([]byte("changes"))), []byte("damaged"))
		}, "damaged row"},
		{"changes of the future", func(users, _ *bolt.Bucket) error { return users.Bucket([]byte("changes")).SetSequence(1) }, "was never given"},
		{"an odd change", func(_, groups *bolt.Bucket) error {
			return groups.Bucket([]byte("changes")).Put([]byte("odd"), nil)
		}, "is no number"},
		{"a tombstone is missing", func(users, _ *bolt.Bucket) error {
			return users.Bucket([]byte("tombstones")).Delete(first(users.Bucket([]byte("tombstones"))))
		}, "number of tombstones"},
		{"a tombstone is damaged", func(users, _ *bolt.Bucket) error {
			return users.Bucket([]byte("tombstones")).Put(first(users.Bucket([]byte("tombstones"))), []byte("damaged"))
		}, "damaged row"},
		{"a tombstone too many", func(users, _ *bolt.Bucket) error {
			key := append(binary.BigEndian.AppendUint64(nil, 3), 0, 0, 0, 0, 0, 0, 0, 1)
			return users.Bucket([]byte("tombstones")).Put(key, store.Seal(key, []byte{1, 0}))
		}, "user u00000001 has a tombstone, and is kept"},
		{"memberships are missing", func(_, groups *bolt.Bucket) error {
			return groups.Bucket([]byte("joins")).Delete(first(groups.Bucket([]byte("joins"))))
		}, "length of the log"},
		{"memberships are damaged", func(_, groups *bolt.Bucket) error {
			return groups.Bucket([]byte("joins")).Put(first(groups.Bucket([]byte("joins"))), []byte("damaged"))
		}, "damaged row"},
		{"what is forgotten is forgotten", func(users, _ *bolt.Bucket) error { return users.Delete([]byte("forgotten")) }, "number of tombstones"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, path := context.Background(), filepath.Join(t.TempDir(), "dirsync.db")
			s := openAt(t, path, store.Options{})
			d, err := s.Directory()
			if err != nil {
				t.Fatal(err)
			}
			addGroups(t, d, "g")
			for _, p := range []string{"a", "b", "c", "d"} {
				if _, err := d.Apply(ctx, dirsync.Change{Kind: dirsync.Create, Person: dirsync.ID(p), After: who(p, p).With(inGroups("g"))}); err != nil {
					t.Fatal(err)
				}
			}
			for _, p := range []dirsync.ID{"c", "d"} {
				if _, err := d.Apply(ctx, dirsync.Change{Kind: dirsync.Delete, Person: p}); err != nil {
					t.Fatal(err)
				}
			}
			if err := d.Forget(ctx, "u00000004"); err != nil {
				t.Fatal(err)
			}
			sound(t, s)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			spoil(t, path, func(tx *bolt.Tx) error {
				return test.spoil(tx.Bucket([]byte("directory")), tx.Bucket([]byte("directoryGroups")))
			})
			s = openAt(t, path, store.Options{})
			defer s.Close()
			if _, err := s.Directory(); err != nil {
				t.Fatal(err)
			}
			findings, err := s.Verify(ctx)
			if got := strings.Join(findings, "\n"); err != nil || !strings.Contains(got, test.says) {
				t.Errorf("got %q and %v, want something that says %q", got, err, test.says)
			}
		})
	}
}

// follower keeps what a reader of a directory knows.
type follower struct {
	people map[dirsync.ID]map[string]string
	at     dirsync.Cursor
	// start is where the round under way began, and seen whom it mentioned, if that was the beginning.
	start dirsync.Cursor
	seen  map[dirsync.ID]bool
}

// follow reads up to a number of pages, as an engine does.
func (f *follower) follow(src dirsync.Source, pages int) error {
	stop := errors.New("stop")
	if f.at == "" {
		f.seen = map[dirsync.ID]bool{}
	}
	err := src.Read(context.Background(), f.at, func(p dirsync.Page) error {
		f.take(p.Records)
		if f.at = p.Next; p.Complete {
			f.start = p.Next
			return f.confirm(src)
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

func (f *follower) take(records []dirsync.Record) {
	if f.people == nil {
		f.people = map[dirsync.ID]map[string]string{}
	}
	for _, r := range records {
		if f.seen != nil {
			f.seen[r.ID] = r.Gone == dirsync.Present
		}
		if delete(f.people, r.ID); r.Gone != dirsync.Present {
			continue
		}
		attrs := map[string]string{}
		for _, a := range r.Attrs {
			attrs[a.Name] = string(a.Raw)
		}
		f.people[r.ID] = attrs
	}
}

// confirm looks up whom a round from the beginning did not mention.
func (f *follower) confirm(src dirsync.Source) error {
	var ids []dirsync.ID
	for _, id := range slices.Sorted(maps.Keys(f.people)) {
		if f.seen != nil && !f.seen[id] {
			ids = append(ids, id)
		}
	}
	f.seen = nil
	return src.LookUp(context.Background(), ids, func(r dirsync.Record) error {
		f.take([]dirsync.Record{r})
		return nil
	})
}

// settle reads until a round begins with nothing to tell.
func (f *follower) settle(src dirsync.Source) error {
	for range 3 {
		if err := f.follow(src, -1); err != nil {
			return err
		}
	}
	if f.at != f.start || f.at == "" {
		return fmt.Errorf("the round does not end: at %q, begun at %q", f.at, f.start)
	}
	return nil
}

// asRecord shows an account as a record of it does, but for the user name.
func asRecord(a dirsync.Account) map[string]string {
	attrs := map[string]string{"id": `"` + a.ID + `"`, "active": fmt.Sprint(a.Active)}
	set := func(name, text string) {
		raw, _ := json.Marshal(text) // a string
		attrs[name] = string(raw)
	}
	for name, at := range map[string]time.Time{"created": a.Created, "updated": a.Updated} {
		set(name, at.Format(time.RFC3339Nano))
	}
	if a.Source != "" {
		set("source", string(a.Source))
	}
	for _, v := range a.Values {
		if !v.Value.IsNull() && v.Field != dirsync.GroupsField {
			set(v.Field, v.Value.Text)
		}
	}
	return attrs
}

// agrees compares what a reader knows with the directory.
func (f *follower) agrees(d *store.Directory) error {
	accounts := map[string]dirsync.Account{}
	err := d.Users(context.Background(), func(a dirsync.Account) error {
		accounts[a.ID] = a
		return nil
	})
	references, err2 := toldOf(d)
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	want := map[dirsync.ID]map[string]string{}
	for id, a := range accounts {
		r, err := d.Resource(context.Background(), dirsync.KindUser, id)
		if err != nil {
			return err
		}
		for _, f := range managerFields() {
			kept, _ := a.Values.Get(f.Name)
			told := references[id][f.Name]
			if other := accounts[told]; told != kept.Text && other.Created.After(a.Updated) {
				a.Updated = other.Created // that they came has changed who refers to them
			}
			a.Values = a.Values.With(reference(f.Name, told))
		}
		raw, _ := json.Marshal(r.Name) // a string
		want[dirsync.ID(id)] = asRecord(a)
		want[dirsync.ID(id)]["userName"] = string(raw)
	}
	if diff := cmp.Diff(want, f.people); diff != "" {
		return errors.New("-directory +reader\n" + diff)
	}
	return nil
}

// TestDirectorySourceConverges changes a directory at random, opens it again, forgets people, and lets
// it grow old, while three readers follow it at their own pace.
func TestDirectorySourceConverges(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newDirectoryWalk(t)
		defer func() { w.s.Close() }()
		change := func(r *rapid.T) {
			name := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(r, "address")
			c := dirsync.Change{Kind: rapid.SampledFrom(dirsync.ChangeKinds()).Draw(r, "kind"), After: who(name, name)}
			if n := rapid.IntRange(0, 5).Draw(r, "who"); n > 0 {
				c.Person = dirsync.ID(fmt.Sprint("p", n))
			}
			if n := rapid.IntRange(0, 9).Draw(r, "account"); n > 0 {
				c.Account = fmt.Sprintf("u%08d", n)
			}
			kinds := []dirsync.ErrorKind{dirsync.Conflict, dirsync.NotFound}
			if _, err := w.d.Apply(context.Background(), c); err != nil && !slices.Contains(kinds, dirsync.KindOf(err)) {
				r.Fatal(err)
			}
		}
		readers := make([]follower, 3)
		read := func(r *rapid.T) {
			i := rapid.IntRange(0, len(readers)-1).Draw(r, "reader")
			if err := readers[i].follow(w.d.Source(), rapid.IntRange(1, 4).Draw(r, "pages")); err != nil {
				r.Fatal(err)
			}
		}
		r.Repeat(map[string]func(*rapid.T){
			"change": change, "change again": change, "read": read, "read again": read,
			"reopen": func(r *rapid.T) { w.reopen(r); w.s.SetPage(2) },
			"age":    func(*rapid.T) { w.now = w.now.Add(40 * 24 * time.Hour) },
			"forget": func(r *rapid.T) {
				id := fmt.Sprintf("u%08d", rapid.IntRange(1, 9).Draw(r, "id"))
				if err := w.d.Forget(context.Background(), id); err != nil && dirsync.KindOf(err) != dirsync.Invalid {
					r.Fatal(err)
				}
			},
		})
		for i := range readers {
			if err := readers[i].settle(w.d.Source()); err != nil {
				r.Fatal(err)
			}
			if err := readers[i].agrees(w.d); err != nil {
				r.Fatalf("reader %d: %v", i, err)
			}
		}
		findings, err := w.s.Verify(context.Background())
		if err != nil || len(findings) > 0 {
			r.Fatal(err, findings)
		}
	})
}
