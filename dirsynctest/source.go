package dirsynctest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"dirsync"
)

// SourceFixture is a source together with what is behind it, so that a suite can change what there is to be read.
type SourceFixture struct {
	// Source reads at least displayName and the second attribute. Nobody is there at first.
	Source dirsync.Source
	// Second is the second attribute that people are given, a text that can be cleared. Empty means department.
	Second string
	// Kind is what the source's records are.
	Kind dirsync.Kind
	// Put adds a person, sets attributes of one (nil clears), or restores one who can be restored. It is never called
	// for somebody who is gone for good.
	Put func(id dirsync.ID, attrs map[string]any)
	// Remove deletes a person so that they can be restored, Purge one who was removed for good.
	Remove, Purge func(id dirsync.ID)
	// ExpirePages makes every cursor from the middle of a round unknown, ExpireCursors every cursor.
	ExpirePages, ExpireCursors func()
}

// TestSource checks that a source keeps the promises of dirsync.Source. start makes a new, empty one each time; its
// pages must hold three rows at most, so that a few people fill several.
func TestSource(t *testing.T, start func(t *testing.T) SourceFixture) {
	for _, test := range []struct {
		name string
		run  func(*sourceTest)
	}{
		{"tells its name and fields", (*sourceTest).describes},
		{"delivers everybody in the first round", (*sourceTest).delivers},
		{"delivers what changed in later rounds", (*sourceTest).follows},
		{"tells cleared from unsaid", (*sourceTest).clears},
		{"reports deletions and returns", (*sourceTest).deletes},
		{"goes on from any page", (*sourceTest).resumes},
		{"reads again from the same cursor", (*sourceTest).repeats},
		{"stops with its reader", (*sourceTest).stops},
		{"stops with its context", (*sourceTest).cancels},
		{"reports expired pages", (*sourceTest).expiresPages},
		{"reports expired cursors", (*sourceTest).expiresCursors},
		{"looks people up", (*sourceTest).looksUp},
		{"converges whatever happens", (*sourceTest).converges},
	} {
		t.Run(test.name, func(t *testing.T) {
			fixture := start(t)
			if fixture.Second == "" {
				fixture.Second = "department"
			}
			test.run(&sourceTest{T: t, SourceFixture: fixture, want: shadow{}})
		})
	}
}

// sourceTest is one test with its fixture and what must be read in the end.
type sourceTest struct {
	*testing.T
	SourceFixture
	want shadow
}

// shadow is what a reader keeps of the people who are there, by the contract of dirsync.Source: attributes by name, as
// JSON, without those that are null.
type shadow map[dirsync.ID]map[string]string

// take merges records as a store would.
func (s shadow) take(records []dirsync.Record) {
	for _, r := range records {
		if r.Gone != dirsync.Present {
			delete(s, r.ID)
			continue
		}
		if s[r.ID] == nil || r.Whole {
			s[r.ID] = map[string]string{}
		}
		for _, a := range r.Attrs {
			if a.IsNull() {
				delete(s[r.ID], a.Name)
			} else {
				s[r.ID][a.Name] = string(a.Raw)
			}
		}
	}
}

func personID(n int) dirsync.ID { return dirsync.ID(fmt.Sprintf("00000000-0000-4000-8000-%012d", n)) }

func (t *sourceTest) put(n int, attrs map[string]any) {
	id := personID(n)
	t.Put(id, attrs)
	if t.want[id] == nil {
		t.want[id] = map[string]string{}
	}
	for name, v := range attrs {
		raw, err := json.Marshal(v)
		switch {
		case err != nil:
			t.Fatal(err)
		case v == nil:
			delete(t.want[id], name)
		default:
			t.want[id][name] = string(raw)
		}
	}
}

// remove keeps what the person had, in case they return.
func (t *sourceTest) remove(n int) map[string]string {
	t.Remove(personID(n))
	had := t.want[personID(n)]
	delete(t.want, personID(n))
	return had
}

func (t *sourceTest) people(n int) {
	for i := range n {
		t.put(i, map[string]any{"displayName": fmt.Sprintf("Person %d", i), t.Second: "Sales"})
	}
}

// read reads one round into got, checks what holds for every page, and returns where the next round begins.
func (t *sourceTest) read(since dirsync.Cursor, got shadow) dirsync.Cursor {
	t.Helper()
	var pages []dirsync.Page
	err := t.Source.Read(t.Context(), since, func(p dirsync.Page) error {
		if n := len(pages); n > 0 && pages[n-1].Complete {
			t.Error("a page came after the complete one")
		}
		pages = append(pages, p)
		t.wellFormed(p)
		got.take(p.Records)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(pages) == 0 || !pages[len(pages)-1].Complete {
		t.Fatal("Read returned nil before a complete page")
	}
	return pages[len(pages)-1].Next
}

func (t *sourceTest) wellFormed(p dirsync.Page) {
	t.Helper()
	if p.Next == "" {
		t.Error("a page does not say where to go on")
	}
	for _, r := range p.Records {
		if r.ID == "" || string(r.ID) != strings.ToLower(string(r.ID)) {
			t.Errorf("the id %q is empty or not in lower case", r.ID)
		}
		if r.Kind != t.Kind {
			t.Errorf("%s: got a record of a %s, want one of a %s", r.ID, r.Kind, t.Kind)
		}
		if r.Gone != dirsync.Present && (len(r.Attrs) > 0 || len(r.Members) > 0 || r.Whole) {
			t.Errorf("%s: a tombstone says more than that somebody is gone", r.ID)
		}
		for i, a := range r.Attrs {
			if !json.Valid(a.Raw) {
				t.Errorf("%s: %s is no JSON: %q", r.ID, a.Name, a.Raw)
			}
			if i > 0 && r.Attrs[i-1].Name >= a.Name {
				t.Errorf("%s: the attributes are not sorted: %s after %s", r.ID, a.Name, r.Attrs[i-1].Name)
			}
		}
	}
}

// same compares what was read with what is there, in the attributes that the tests set.
func (t *sourceTest) same(got shadow) {
	t.Helper()
	for _, id := range slices.Sorted(maps.Keys(t.want)) {
		if _, ok := got[id]; !ok {
			t.Errorf("%s is there, but was not read", id)
			continue
		}
		for _, name := range []string{"displayName", t.Second} {
			if g, w := got[id][name], t.want[id][name]; g != w {
				t.Errorf("%s: %s: got %s, want %s", id, name, g, w)
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(got)) {
		if _, ok := t.want[id]; !ok {
			t.Errorf("%s is gone, but was read", id)
		}
	}
}

func (t *sourceTest) describes() {
	if t.Source.Name() == "" {
		t.Error("the source has no name")
	}
	fields, err := t.Source.Fields(t.Context())
	if err != nil || len(fields) == 0 {
		t.Fatalf("got %d fields and %v", len(fields), err)
	}
	names := map[string]bool{}
	for _, f := range fields {
		if f.Name == "" || f.Type == "" || names[f.Name] {
			t.Errorf("the field %+v has no name or no type, or is there twice", f)
		}
		names[f.Name] = true
	}
	if !names["displayName"] || !names[t.Second] {
		t.Errorf("displayName and %s are not among the fields", t.Second)
	}
}

func (t *sourceTest) delivers() {
	t.people(10)
	got := shadow{}
	next := t.read("", got)
	t.same(got)
	t.read(next, got)
	t.same(got)
}

func (t *sourceTest) follows() {
	t.people(8)
	got := shadow{}
	next := t.read("", got)
	t.put(3, map[string]any{t.Second: "Support"})
	t.put(20, map[string]any{"displayName": "Newcomer"})
	next = t.read(next, got)
	t.same(got)
	t.read(next, got)
	t.same(got)
}

func (t *sourceTest) clears() {
	t.people(2)
	got := shadow{}
	next := t.read("", got)
	t.put(1, map[string]any{t.Second: nil})
	var said bool
	_ = t.Source.Read(t.Context(), next, func(p dirsync.Page) error {
		for _, r := range p.Records {
			raw, ok := r.Attrs.Get(t.Second)
			said = said || r.ID == personID(1) && (ok && string(raw) == "null" || !ok && r.Whole)
		}
		return nil
	})
	if !said {
		t.Error("a cleared attribute was neither reported as null nor left out of a whole record")
	}
	t.read(next, got)
	t.same(got)
}

func (t *sourceTest) deletes() {
	t.people(5)
	got := shadow{}
	next := t.read("", got)
	t.remove(2)
	had := t.remove(3)
	next = t.read(next, got)
	t.same(got)
	t.Put(personID(3), nil)
	t.want[personID(3)] = had
	t.Purge(personID(2))
	var gone dirsync.Gone
	err := t.Source.Read(t.Context(), next, func(p dirsync.Page) error {
		for _, r := range p.Records {
			if r.ID == personID(2) {
				gone = r.Gone
			}
		}
		got.take(p.Records)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.same(got)
	if gone != dirsync.GoneHard {
		t.Errorf("somebody who was deleted for good was reported as %q", gone)
	}
	first := shadow{}
	t.read("", first)
	t.same(first)
}

func (t *sourceTest) resumes() {
	t.people(10)
	stop := errors.New("stop")
	got, at, pages := shadow{}, dirsync.Cursor(""), 0
	for complete := false; !complete; {
		if pages++; pages > 100 {
			t.Fatal("the round does not end")
		}
		err := t.Source.Read(t.Context(), at, func(p dirsync.Page) error {
			got.take(p.Records)
			at, complete = p.Next, p.Complete
			return stop
		})
		if err != stop {
			t.Fatalf("got %v, want the reader's own error", err)
		}
	}
	if pages < 4 {
		t.Fatalf("ten people came on %d pages: the fixture's pages hold more than three rows", pages)
	}
	t.same(got)
}

func (t *sourceTest) repeats() {
	t.people(4)
	next := t.read("", shadow{})
	t.put(1, map[string]any{t.Second: "Support"})
	for range 2 {
		got := shadow{}
		t.read("", got)
		t.same(got)
		changed := shadow{}
		t.read(next, changed)
		if got, want := changed[personID(1)][t.Second], `"Support"`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func (t *sourceTest) stops() {
	t.people(10)
	stop, calls := errors.New("stop"), 0
	err := t.Source.Read(t.Context(), "", func(dirsync.Page) error {
		if calls++; calls == 2 {
			return stop
		}
		return nil
	})
	if err != stop || calls != 2 {
		t.Errorf("got %v after %d pages, want the reader's own error after 2", err, calls)
	}
	calls = 0
	err = t.Source.LookUp(t.Context(), []dirsync.ID{personID(1), personID(2), personID(3)}, func(dirsync.Record) error {
		calls++
		return stop
	})
	if err != stop || calls != 1 {
		t.Errorf("got %v after %d records, want the reader's own error after 1", err, calls)
	}
}

func (t *sourceTest) cancels() {
	t.people(10)
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	err := t.Source.Read(ctx, "", func(dirsync.Page) error {
		calls++
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) || calls != 1 {
		t.Errorf("got %v after %d pages, want context.Canceled after 1", err, calls)
	}
	err = t.Source.LookUp(ctx, []dirsync.ID{personID(1)}, func(dirsync.Record) error { return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func (t *sourceTest) expiresPages() {
	t.people(10)
	stop, middle := errors.New("stop"), dirsync.Cursor("")
	_ = t.Source.Read(t.Context(), "", func(p dirsync.Page) error {
		middle = p.Next
		return stop
	})
	t.ExpirePages()
	err := t.Source.Read(t.Context(), middle, func(dirsync.Page) error { return nil })
	if !errors.Is(err, dirsync.ErrPageExpired) {
		t.Errorf("got %v, want ErrPageExpired", err)
	}
	got := shadow{}
	t.read("", got)
	t.same(got)
}

func (t *sourceTest) expiresCursors() {
	t.people(4)
	next := t.read("", shadow{})
	t.ExpireCursors()
	err := t.Source.Read(t.Context(), next, func(dirsync.Page) error { return nil })
	if !errors.Is(err, dirsync.ErrCursorExpired) {
		t.Errorf("got %v, want ErrCursorExpired", err)
	}
	got := shadow{}
	t.read(t.read("", got), got)
	t.same(got)
}

func (t *sourceTest) looksUp() {
	t.people(12)
	t.put(4, map[string]any{t.Second: nil})
	t.remove(1)
	t.remove(2)
	t.Purge(personID(2))
	ids := []dirsync.ID{personID(99)}
	for n := range 12 {
		ids = append(ids, personID(n))
	}
	found := map[dirsync.ID]dirsync.Record{}
	err := t.Source.LookUp(t.Context(), ids, func(r dirsync.Record) error {
		if _, twice := found[r.ID]; twice {
			t.Errorf("%s was reported twice", r.ID)
		}
		found[r.ID] = r
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	got := shadow{}
	for _, id := range ids {
		want := dirsync.Present
		switch id {
		case personID(1):
			want = dirsync.GoneSoft
		case personID(2), personID(99):
			want = dirsync.GoneHard
		}
		r, ok := found[id]
		if !ok || r.Gone != want || r.Whole != (want == dirsync.Present) || r.Kind != t.Kind {
			t.Errorf("%s: got %v, gone %q, whole %v, a %s; want gone %q", id, ok, r.Gone, r.Whole, r.Kind, want)
		}
		got.take([]dirsync.Record{r})
	}
	t.same(got)
	if err := t.Source.LookUp(t.Context(), nil, func(dirsync.Record) error { return errors.New("called") }); err != nil {
		t.Errorf("nobody was asked for: %v", err)
	}
}
