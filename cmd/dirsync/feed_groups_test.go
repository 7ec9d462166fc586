package main

import (
	"context"
	"path/filepath"
	"testing"

	"dirsync"
	"dirsync/store"
	"dirsync/sync/engine"
)

// TestLeftGroups gives groups that clients have left behind to the syncs that are to make them: by object id before names, each
// once, and as well after a switch that was cut off and done again.
func TestLeftGroups(t *testing.T) {
	ctx := t.Context()
	st, err := store.Open(filepath.Join(t.TempDir(), "dirsync.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	d, err := st.Directory()
	if err != nil {
		t.Fatal(err)
	}
	group := func(name, external string) string {
		t.Helper()
		r, err := d.CreateResource(ctx, dirsync.Resource{Kind: dirsync.KindGroup, Name: name, ExternalID: external, Active: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r.ID
	}
	const object = "9a000000-0000-4000-8000-000000000001"
	byObject, byName, other := group("Help desk", "9A000000-0000-4000-8000-000000000001"), group("berlin", ""), group("Berlin office", "9a000000-0000-4000-8000-00000000000f")
	cfg := &Config{Syncs: map[string]*Sync{"staff": {To: To{Directory: true}}}}
	for range 2 { // the second time, the external ids are gone already
		if err := leaveGroups(ctx, cfg, st, d); err != nil {
			t.Fatal(err)
		}
		if err := d.HandOver(ctx, false); err != nil {
			t.Fatal(err)
		}
	}
	target := &welcoming{Groups: d.Groups(), resources: d, notes: st}
	create := func(person, name string) dirsync.Change {
		return dirsync.Change{Kind: dirsync.Create, Person: dirsync.ID(person), Name: name,
			After: dirsync.Values{}.Set(engine.GroupName, dirsync.Value{Type: dirsync.Text, Text: name})}
	}
	changes := []dirsync.Change{create(object, "berlin"), create("p2", "Berlin"), create("p3", "Berlin"), create("p4", "Berlin office")}
	var got []string
	for _, a := range target.ApplyAll(ctx, changes) {
		if a.Err != nil {
			t.Fatal(a.Err)
		}
		got = append(got, a.Account.ID)
	}
	// The last one has an object id of its own, which is another one's.
	if want := []string{byObject, byName, "g00000004", "g00000005"}; len(got) != 4 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] || got[3] != want[3] {
		t.Errorf("got %v, want %v", got, want)
	}
	if changes[0].Account != "" {
		t.Error("the changes of the caller were changed")
	}
	for id, source := range map[string]dirsync.ID{byObject: object, byName: "p2", other: ""} {
		if r, err := d.Resource(ctx, dirsync.KindGroup, id); err != nil || r.Source != source {
			t.Errorf("%s: got the source %q, %v, want %q", id, r.Source, err, source)
		}
	}
	// Once it is a sync's, nobody else is given it, by whatever process.
	again := &welcoming{Groups: d.Groups(), resources: d, notes: st}
	if a, err := again.Apply(ctx, create("p9", "Berlin")); err != nil || a.ID == byName {
		t.Errorf("got %s, %v", a.ID, err)
	}
	if err := st.SetNote(ctx, noteLeftGroups, []byte("{")); err != nil {
		t.Fatal(err)
	}
	broken := &welcoming{Groups: d.Groups(), resources: d, notes: st}
	if _, err := broken.Apply(context.Background(), create("p10", "x")); dirsync.KindOf(err) != dirsync.Corrupt {
		t.Errorf("a note that cannot be read: got %v", err)
	}
}
