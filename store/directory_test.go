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

	"dirsync"
	"dirsync/dirsynctest"
	"dirsync/store"
)

func TestDirectoryConforms(t *testing.T) {
	dirsynctest.TestTarget(t, func(t *testing.T) dirsync.Target {
		s := open(t, store.Options{})
		s.SetSizes(4, 2)
		d, err := s.Directory()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { sound(t, s) })
		return d
	})
}

// directory opens a directory with a choice and a unique number, and fills it with the people a, b, c, ….
func directory(t *testing.T, people ...string) (*store.Store, *store.Directory) {
	t.Helper()
	s := open(t, store.Options{Now: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }})
	s.SetSizes(4, 2)
	d, err := s.Directory(
		dirsync.Field{Name: "office", Type: dirsync.Choice, Options: []string{"Berlin", "Redmond"}},
		dirsync.Field{Name: "badge", Type: dirsync.Text, Unique: true, MaxLength: 4},
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range people {
		if _, err := d.Apply(context.Background(), dirsync.Change{Kind: dirsync.Create, Person: dirsync.ID(p), After: who(p, p)}); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { sound(t, s) })
	return s, d
}

func who(name, mail string) dirsync.Values {
	return dirsync.Values{
		{Field: dirsync.EmailAddress, Value: dirsync.Value{Type: dirsync.Email, Text: mail + "@a.example"}},
		{Field: dirsync.FirstName, Value: dirsync.Value{Type: dirsync.Text, Text: name}},
		{Field: dirsync.LastName, Value: dirsync.Value{Type: dirsync.Text, Text: "X"}},
	}
}

func mail(m string) dirsync.Values {
	return dirsync.Values{{Field: dirsync.EmailAddress, Value: dirsync.Value{Type: dirsync.Email, Text: m + "@a.example"}}}
}

// mails shows a directory as "a=x b=y": who has which address.
func mails(t *testing.T, d *store.Directory) string {
	t.Helper()
	var out []string
	err := d.Users(context.Background(), func(a dirsync.Account) error {
		v, _ := a.Values.Get(dirsync.EmailAddress)
		out = append(out, string(a.Source)+"="+strings.TrimSuffix(v.Text, "@a.example"))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, " ")
}

func TestDirectoryHandsAddressesOn(t *testing.T) {
	update := func(p, to string) dirsync.Change {
		return dirsync.Change{Kind: dirsync.Update, Person: dirsync.ID(p), After: mail(to)}
	}
	create := func(p, to string) dirsync.Change {
		return dirsync.Change{Kind: dirsync.Create, Person: dirsync.ID(p), After: who(p, to)}
	}
	remove := func(p string) dirsync.Change { return dirsync.Change{Kind: dirsync.Delete, Person: dirsync.ID(p)} }
	for _, test := range []struct {
		name    string
		changes []dirsync.Change
		want    string
		failed  []int
	}{
		{"chain", []dirsync.Change{update("a", "b"), update("b", "c"), update("c", "z")}, "a=b b=c c=z d=d", nil},
		{"chain backwards", []dirsync.Change{update("c", "z"), update("b", "c"), update("a", "b")}, "a=b b=c c=z d=d", nil},
		{"exchange", []dirsync.Change{update("a", "b"), update("b", "a")}, "a=b b=a c=c d=d", nil},
		{"exchange in other letters", []dirsync.Change{update("a", "B"), update("b", "A")}, "a=B b=A c=c d=d", nil},
		{"circle of three", []dirsync.Change{update("a", "b"), update("b", "c"), update("c", "a")}, "a=b b=c c=a d=d", nil},
		{"two exchanges", []dirsync.Change{update("a", "b"), update("c", "d"), update("b", "a"), update("d", "c")}, "a=b b=a c=d d=c", nil},
		{"exchange with an outsider in the way", []dirsync.Change{update("a", "b"), update("b", "d")}, "a=a b=b c=c d=d", []int{0, 1}},
		{"exchange beside a conflict", []dirsync.Change{update("a", "b"), update("b", "a"), update("c", "d")}, "a=b b=a c=c d=d", []int{2}},
		{"two want the same", []dirsync.Change{update("a", "z"), update("b", "z")}, "a=z b=b c=c d=d", []int{1}},
		{"two want what a third leaves", []dirsync.Change{update("a", "c"), update("b", "c"), update("c", "a")}, "a=c b=b c=a d=d", []int{1}},
		{"the second of two closes the circle", []dirsync.Change{update("a", "c"), update("b", "c"), update("c", "b")}, "a=a b=c c=b d=d", []int{0}},
		{"a new person takes a place in a chain", []dirsync.Change{create("e", "a"), update("a", "z")}, "a=z b=b c=c d=d e=a", nil},
		{"a new person takes a place in a circle", []dirsync.Change{create("e", "a"), update("a", "b"), update("b", "c"), update("c", "q")}, "a=b b=c c=q d=d e=a", nil},
		{"a new person must wait", []dirsync.Change{create("e", "a"), update("a", "b")}, "a=a b=b c=c d=d", []int{0, 1}},
		{"a leaver makes way", []dirsync.Change{update("a", "b"), remove("b")}, "a=b c=c d=d", nil},
		{"one after the other for one person", []dirsync.Change{update("a", "b"), update("a", "y"), update("b", "z")}, "a=y b=z c=c d=d", []int{0}},
		{"deleted and made again", []dirsync.Change{remove("a"), create("a", "q")}, "b=b c=c d=d a=q", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, d := directory(t, "a", "b", "c", "d")
			var failed []int
			for i, out := range d.ApplyAll(context.Background(), test.changes) {
				if out.Err == nil {
					continue
				}
				failed = append(failed, i)
				if e, ok := errors.AsType[*dirsync.Error](out.Err); !ok || e.Kind != dirsync.Conflict || e.Field != dirsync.EmailAddress || !strings.Contains(e.Other, "X <") {
					t.Errorf("change %d: got %#v, want a Conflict that says who has the address", i, out.Err)
				}
			}
			if got := mails(t, d); got != test.want || !slices.Equal(failed, test.failed) {
				t.Errorf("got %s, failed %v; want %s, failed %v", got, failed, test.want, test.failed)
			}
		})
	}
}

func TestDirectoryFolds(t *testing.T) {
	ctx := context.Background()
	_, d := directory(t)
	if _, err := d.Apply(ctx, dirsync.Change{Kind: dirsync.Create, Person: "1", After: who("a", "straße.é")}); err != nil {
		t.Fatal(err)
	}
	for _, same := range []string{"straße.é", "STRASSE.É", "strasse.e\u0301", "Straße.E\u0301", "STRAẞE.É"} {
		_, err := d.Apply(ctx, dirsync.Change{Kind: dirsync.Create, Person: "2", After: who("b", same)})
		if dirsync.KindOf(err) != dirsync.Conflict {
			t.Errorf("%s: got %v, want Conflict", same, err)
		}
		if a, err := d.Lookup(ctx, same+"@A.example"); err != nil || a.Source != "1" {
			t.Errorf("%s: found %v and %v", same, a, err)
		}
	}
	if _, err := d.Apply(ctx, dirsync.Change{Kind: dirsync.Create, Person: "2", After: who("b", "strase.é")}); err != nil {
		t.Error(err)
	}
}

func TestDirectoryValidates(t *testing.T) {
	ctx := context.Background()
	_, d := directory(t, "a", "b")
	set := func(field string, typ dirsync.Type, text string) dirsync.Values {
		return dirsync.Values{{Field: field, Value: dirsync.Value{Type: typ, Text: text}}}
	}
	for _, test := range []struct {
		name string
		v    dirsync.Values
		kind dirsync.ErrorKind
	}{
		{"an option", set("office", dirsync.Choice, "Berlin"), 0},
		{"no option", set("office", dirsync.Choice, "Paris"), dirsync.Invalid},
		{"an option in other letters", set("office", dirsync.Choice, "berlin"), dirsync.Invalid},
		{"cleared", set("office", "", ""), 0},
		{"a badge", set("badge", dirsync.Text, "äöüß"), 0},
		{"a long badge", set("badge", dirsync.Text, "12345"), dirsync.Invalid},
		{"a number", set("badge", dirsync.Number, "1"), dirsync.Invalid},
		{"no address", set(dirsync.EmailAddress, dirsync.Email, ""), dirsync.Invalid},
		{"unknown", set("shoes", dirsync.Text, "x"), dirsync.Invalid},
	} {
		_, err := d.Apply(ctx, dirsync.Change{Kind: dirsync.Update, Person: "a", After: test.v})
		if got := dirsync.KindOf(err); got != test.kind || (err == nil) != (test.kind == 0) {
			t.Errorf("%s: got %v, want kind %v", test.name, err, test.kind)
		}
	}
	_, err := d.Apply(ctx, dirsync.Change{Kind: dirsync.Update, Person: "b", After: set("badge", dirsync.Text, "ÄÖÜSS"[:7])})
	if err != nil {
		t.Error(err)
	}
	_, err = d.Apply(ctx, dirsync.Change{Kind: dirsync.Update, Person: "b", After: set("badge", dirsync.Text, "ÄÖÜẞ")})
	if e, ok := errors.AsType[*dirsync.Error](err); !ok || e.Kind != dirsync.Conflict || e.Field != "badge" || !strings.Contains(e.Other, "a@a.example") {
		t.Errorf("got %v, want a Conflict of the badge with a", err)
	}
	if _, err := d.Apply(ctx, dirsync.Change{Kind: 99, Person: "a"}); dirsync.KindOf(err) != dirsync.Invalid {
		t.Errorf("got %v for a kind that does not exist", err)
	}
}

func TestDirectoryFinds(t *testing.T) {
	ctx := context.Background()
	_, d := directory(t, "a", "b", "c")
	for key, want := range map[string]string{"u00000002": "b", "C@A.example": "c", "a": "a"} {
		if got, err := d.Lookup(ctx, key); err != nil || string(got.Source) != want {
			t.Errorf("%s: got %v and %v, want %s", key, got, err, want)
		}
	}
	for _, key := range []string{"u00000004", "u2", "u0000000000000000002", "x@a.example", "", "u", "u-1"} {
		if got, err := d.Lookup(ctx, key); dirsync.KindOf(err) != dirsync.NotFound {
			t.Errorf("%s: got %v and %v, want NotFound", key, got, err)
		}
	}
	if n, err := d.Count(ctx); err != nil || n != 3 {
		t.Errorf("got %d and %v, want 3", n, err)
	}
	a, err := d.Lookup(ctx, "a")
	when := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if err != nil || !a.Created.Equal(when) || !a.Updated.Equal(when) || len(a.Values) != 5 {
		t.Errorf("got %v and %v, want all five fields and the clock's time", a, err)
	}
}

func TestDirectoryAdoptsByAccount(t *testing.T) {
	ctx := context.Background()
	_, d := directory(t, "a")
	_, err := d.Apply(ctx, dirsync.Change{Kind: dirsync.Create, Person: "other", Account: "u00000001", After: who("o", "o")})
	if dirsync.KindOf(err) != dirsync.Conflict {
		t.Errorf("got %v for the account of somebody else, want Conflict", err)
	}
	if got := mails(t, d); got != "a=a" {
		t.Errorf("got %s", got)
	}
}

// TestDirectoryFieldsChange opens a directory with other fields than before.
func TestDirectoryFieldsChange(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "dirsync.db")
	badge := dirsync.Field{Name: "badge", Type: dirsync.Text}
	with := func(fields ...dirsync.Field) (*store.Store, *store.Directory) {
		s := openAt(t, path, store.Options{})
		s.SetSizes(4, 2)
		d, err := s.Directory(fields...)
		if err != nil {
			t.Fatal(err)
		}
		sound(t, s)
		return s, d
	}
	value := func(text string) dirsync.Values {
		return dirsync.Values{{Field: "badge", Value: dirsync.Value{Type: dirsync.Text, Text: text}}}
	}
	s, d := with(badge)
	for i := range 20 {
		p := fmt.Sprint("p", i)
		if _, err := d.Apply(ctx, dirsync.Change{Kind: dirsync.Create, Person: dirsync.ID(p), After: who(p, p).With(value(fmt.Sprint(i / 2 * 2)))}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Directory(); dirsync.KindOf(err) != dirsync.Invalid {
		t.Errorf("got %v for a second directory with other fields", err)
	}
	if again, err := s.Directory(badge); err != nil || again != d {
		t.Errorf("got %v and %v, want the same directory", again, err)
	}
	s.Close()

	s, d = with()
	a, err := d.Apply(ctx, dirsync.Change{Kind: dirsync.Update, Person: "p3", After: mail("new")})
	if _, ok := a.Values.Get("badge"); ok || err != nil {
		t.Errorf("got %v and %v, want no field that is no longer there", a, err)
	}
	s.Close()

	badge.Unique = true
	s = openAt(t, path, store.Options{})
	s.SetSizes(4, 2)
	if d, err = s.Directory(badge); err != nil {
		t.Fatal(err)
	}
	a, err = d.Lookup(ctx, "p3")
	if v, _ := a.Values.Get("badge"); v.Text != "2" || err != nil {
		t.Errorf("got %v and %v, want the badge from before", a, err)
	}
	if _, err = d.Apply(ctx, dirsync.Change{Kind: dirsync.Update, Person: "p3", After: mail("newer")}); err != nil {
		t.Errorf("who shared a value before the field became unique can be changed: %v", err)
	}
	if _, err = d.Apply(ctx, dirsync.Change{Kind: dirsync.Update, Person: "p3", After: value("18")}); dirsync.KindOf(err) != dirsync.Conflict {
		t.Errorf("got %v, want Conflict", err)
	}
	findings, err := s.Verify(ctx)
	if err != nil || len(findings) != 10 || !strings.Contains(findings[0], "badge") {
		t.Errorf("got %v and %v, want the ten badges that two people have", findings, err)
	}
	s.Close()
}
