package store_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"dirsync"
	"dirsync/store"
)

// TestRestoreGivesNoIDTwice: a client remembers ids that were given since the backup, and must not find somebody else under
// them. Lists by number pass over the gap. The backup may be from before there was anybody.
func TestRestoreGivesNoIDTwice(t *testing.T) {
	for _, before := range []int{0, 5} {
		t.Run(fmt.Sprint(before), func(t *testing.T) { restoreIDs(t, before) })
	}
}

func restoreIDs(t *testing.T, before int) {
	ctx, dir := context.Background(), t.TempDir()
	path, saved := filepath.Join(dir, "dirsync.db"), filepath.Join(dir, "backup.db")
	given := map[string]bool{}
	var users []string
	create := func(d *store.Directory, from, to int) {
		t.Helper()
		for n := from; n < to; n++ {
			r, err := d.CreateResource(ctx, benchResource(n), nil)
			if err != nil {
				t.Fatal(err)
			}
			if given[r.ID] {
				t.Errorf("%s was given again", r.ID)
			}
			given[r.ID] = true
			users = append(users, r.ID)
		}
	}
	s := openAt(t, path, store.Options{})
	d, err := s.Directory()
	if err != nil {
		t.Fatal(err)
	}
	create(d, 0, before)
	for _, name := range []string{"kept", "gone", "other"} {
		if err := s.SetNote(ctx, name, []byte("of then")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Compact(ctx, saved); err != nil {
		t.Fatal(err)
	}
	create(d, before, before+10)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	notes := map[string][]byte{"kept": []byte("of now"), "gone": nil}
	if _, err := store.Restore(ctx, saved, path, true, store.Options{RestoredNotes: notes}); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path, store.Options{})
	if d, err = s.Directory(); err != nil {
		t.Fatal(err)
	}
	users = users[:before]
	create(d, before, before+15)
	for skip := range len(users) {
		got, err := d.Resources(ctx, dirsync.KindUser, "", skip, 1)
		if err != nil || len(got) != 1 || got[0].ID != users[skip] {
			t.Errorf("skip %d: got %v and %v, want %s", skip, got, err, users[skip])
		}
	}
	for name, want := range map[string]string{"kept": "of now", "gone": "", "other": "of then"} {
		if got, err := s.Note(ctx, name); err != nil || string(got) != want {
			t.Errorf("note %s: got %q, %v, want %q", name, got, err, want)
		}
	}
	if found, err := s.Verify(ctx); err != nil || len(found) > 0 {
		t.Errorf("verify: %v, %v", found, err)
	}
	if !slices.IsSorted(users) {
		t.Errorf("the ids are not in order: %v", users)
	}
}
