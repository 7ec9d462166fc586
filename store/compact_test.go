package store_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"dirsync"
	"dirsync/store"
)

// shrunk writes a store in which much was there once, and returns its path and what it holds.
func shrunk(t testing.TB) (path string, totals dirsync.Totals) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "dirsync.db")
	s := openAt(t, path, store.Options{KeepRuns: 1})
	fill(t, s, 3000)
	ctx, y := context.Background(), s.Sync("staff")
	for range 5 { // the plans of before are dropped
		id, err := y.NewRun(ctx, dirsync.Run{})
		if err != nil {
			t.Fatal(err)
		}
		if err := y.SaveRun(ctx, dirsync.Run{ID: id, Phase: dirsync.PhaseEnded}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := y.Groups().Merge(ctx, []dirsync.Record{{ID: "g", Kind: dirsync.KindGroup}}, dirsync.ReadState{}, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	totals, err := y.Totals(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path, totals
}

// holds fails the test unless the store at path is sound and holds what it should.
func holds(t testing.TB, path string, want dirsync.Totals) {
	t.Helper()
	s := openAt(t, path, store.Options{})
	defer s.Close()
	if _, err := s.Directory(); err != nil {
		t.Fatal(err)
	}
	sound(t, s)
	if got, err := s.Sync("staff").Totals(context.Background()); err != nil || got != want {
		t.Errorf("got %v and %v, want %v", got, err, want)
	}
}

// files lists what lies in the folder of a store.
func files(t testing.TB, path string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestCompact(t *testing.T) {
	ctx := context.Background()
	path, want := shrunk(t)
	if err := os.WriteFile(path+".compact", []byte("left behind by a process that died"), 0o600); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := store.Compact(ctx, path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if c.Before != before.Size() || c.After != after.Size() || c.After >= c.Before {
		t.Errorf("got %+v for a file of %d bytes that became one of %d", c, before.Size(), after.Size())
	}
	if after.Mode().Perm() != 0o600 {
		t.Errorf("got mode %o, want 600", after.Mode().Perm())
	}
	if got := files(t, path); len(got) != 1 {
		t.Errorf("got the files %v, want the store alone", got)
	}
	holds(t, path, want)
	again, err := store.Compact(ctx, path, store.Options{})
	if err != nil || again.After > again.Before*11/10 {
		t.Errorf("got %+v and %v for what is compact already", again, err)
	}
	holds(t, path, want)
}

func TestCompactFollowsLinks(t *testing.T) {
	path, want := shrunk(t)
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Skip(err)
	}
	if _, err := store.Compact(context.Background(), link, store.Options{}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("got %v and %v, want that the link is one still", info, err)
	}
	holds(t, path, want)
}

func TestCompactRefuses(t *testing.T) {
	ctx := context.Background()
	path, want := shrunk(t)
	s := openAt(t, path, store.Options{})
	if _, err := store.Compact(ctx, path, store.Options{LockTimeout: time.Millisecond}); dirsync.KindOf(err) != dirsync.Locked {
		t.Errorf("got %v for a store that is in use, want Locked", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	to := filepath.Join(t.TempDir(), "copy.db")
	if _, err := s.Compact(cancelled, to); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
	if _, err := os.Stat(to); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want no file after an error", err)
	}
	if c, err := s.Compact(ctx, to); err != nil || c.After >= c.Before {
		t.Errorf("got %+v and %v for a store that is in use", c, err)
	}
	if _, err := s.Compact(ctx, to); dirsync.KindOf(err) != dirsync.Conflict || dirsync.HintOf(err) == "" {
		t.Errorf("got %v for a file that is there, want Conflict with a hint", err)
	}
	if _, err := s.Compact(ctx, filepath.Join(to, "no", "folder")); err == nil {
		t.Error("it wrote into no folder")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	holds(t, to, want)
	if _, err := store.Compact(cancelled, path, store.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
	if got := files(t, path); len(got) != 1 {
		t.Errorf("got the files %v, want the store alone", got)
	}
	holds(t, path, want)
	if _, err := store.Compact(ctx, path+".no", store.Options{}); err != nil {
		t.Errorf("got %v for a store that is made", err)
	}
}

// TestCompactWhileOthersWait has many open, write and close a store, while it is compacted again and again: whoever
// waited for the old file must not write into it once it has no name any more.
func TestCompactWhileOthersWait(t *testing.T) {
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "dirsync.db")
	const writers, times = 4, 6
	var wg sync.WaitGroup
	patient := store.Options{LockTimeout: time.Minute}
	for range writers {
		wg.Go(func() {
			for range times {
				s, err := store.Open(path, patient)
				if err != nil {
					t.Error(err)
					return
				}
				_, err = s.Sync("staff").NewRun(ctx, dirsync.Run{})
				if err := errors.Join(err, s.Close()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for range times * 2 {
			if _, err := store.Compact(ctx, path, patient); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	s := openAt(t, path, store.Options{})
	defer s.Close()
	if runs, err := s.Sync("staff").Runs(ctx, 0, 1000); err != nil || len(runs) != writers*times {
		t.Errorf("got %d runs and %v, want %d", len(runs), err, writers*times)
	}
}

// backup writes a backup of the store at path.
func backup(t testing.TB, path string) string {
	t.Helper()
	s := openAt(t, path, store.Options{})
	defer s.Close()
	var b bytes.Buffer
	if err := s.Backup(context.Background(), &b); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "backup.db")
	if err := os.WriteFile(to, b.Bytes(), 0o400); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestRestore(t *testing.T) {
	ctx, now := context.Background(), time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	opts := store.Options{Now: func() time.Time { return now }, LockTimeout: time.Millisecond}
	path, want := shrunk(t)
	from := backup(t, path)

	fresh := filepath.Join(t.TempDir(), "dirsync.db")
	if kept, err := store.Restore(ctx, from, fresh, false, opts); err != nil || kept != "" {
		t.Fatalf("got %q and %v", kept, err)
	}
	holds(t, fresh, want)
	if info, err := os.Stat(fresh); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v and %v, want mode 600", info, err)
	}
	if got := files(t, fresh); len(got) != 1 {
		t.Errorf("got the files %v, want the store alone", got)
	}
	if _, err := store.Restore(ctx, from, fresh, false, opts); dirsync.KindOf(err) != dirsync.Conflict || dirsync.HintOf(err) == "" {
		t.Errorf("got %v for a store that is there, want Conflict with a hint", err)
	}
	if err := os.WriteFile(fresh, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	kept, err := store.Restore(ctx, from, fresh, true, opts)
	if err != nil || kept != fresh+".replaced-20260506T070809Z" {
		t.Fatalf("got %q and %v", kept, err)
	}
	if b, err := os.ReadFile(kept); err != nil || string(b) != "damaged" {
		t.Errorf("got %q and %v, want what was replaced", b, err)
	}
	holds(t, fresh, want)
	if again, err := store.Restore(ctx, from, fresh, true, opts); err != nil || again != kept+"-2" {
		t.Errorf("got %q and %v, want another name for what was replaced in the same second", again, err)
	}
	holds(t, fresh, want)
}

func TestRestoreRefuses(t *testing.T) {
	ctx := context.Background()
	opts := store.Options{LockTimeout: time.Millisecond}
	path, want := shrunk(t)
	good := backup(t, path)
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, b []byte) string {
		to := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(to, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return to
	}
	unsound := write("unsound", whole)
	db, err := bolt.Open(unsound, 0o600, &bolt.Options{NoFreelistSync: true})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte("syncs")).Bucket([]byte("staff")).Bucket([]byte("people"))
		k, _ := b.Cursor().Last()
		return b.Delete(k)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	for _, test := range []struct {
		name, backup string
		ctx          context.Context
		kind         dirsync.ErrorKind
		says         string
	}{
		{"no backup", filepath.Join(t.TempDir(), "none"), ctx, dirsync.NotFound, "no such file"},
		{"cut short", write("short", whole[:len(whole)/2]), ctx, dirsync.Corrupt, "cut short"},
		{"something else", write("other", []byte(strings.Repeat("hello ", 1000))), ctx, dirsync.Corrupt, "not a store"},
		{"unsound", unsound, ctx, dirsync.Corrupt, "the number of people"},
		{"the store itself", path, ctx, dirsync.Invalid, "the store itself"},
		{"cancelled", good, cancelled, dirsync.Unknown, "canceled"},
	} {
		kept, err := store.Restore(test.ctx, test.backup, path, true, opts)
		if kept != "" || err == nil || dirsync.KindOf(err) != test.kind || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: got %q and %v (%v), want %v that says %q", test.name, kept, err, dirsync.KindOf(err), test.kind, test.says)
		}
	}
	if got := files(t, path); len(got) != 1 {
		t.Errorf("got the files %v, want the store alone", got)
	}
	s := openAt(t, path, store.Options{})
	if _, err := store.Restore(ctx, good, path, true, opts); dirsync.KindOf(err) != dirsync.Locked {
		t.Errorf("got %v for a store that is in use, want Locked", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	holds(t, path, want)
}

func TestOldRunsAreForgotten(t *testing.T) {
	ctx, now := context.Background(), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := open(t, store.Options{Now: func() time.Time { return now }, KeepSummaries: 100 * time.Hour})
	y := s.Sync("staff").Groups()
	if _, err := y.Merge(ctx, []dirsync.Record{{ID: "p"}}, dirsync.ReadState{}, now); err != nil {
		t.Fatal(err)
	}
	run := func() dirsync.RunID {
		t.Helper()
		r := dirsync.Run{Started: now, Phase: dirsync.PhaseEnded}
		var err error
		if r.ID, err = y.NewRun(ctx, r); err != nil {
			t.Fatal(err)
		}
		change := dirsync.Change{Kind: dirsync.Create, Person: "p", Seq: 1}
		if err := y.Decide(ctx, r.ID, []dirsync.Decision{{Seq: 1, Change: &change}}); err != nil {
			t.Fatal(err)
		}
		if err := y.SaveRun(ctx, r); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Hour)
		return r.ID
	}
	kept := func() (ids []dirsync.RunID) {
		t.Helper()
		runs, err := y.Runs(ctx, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range runs {
			ids = append(ids, r.ID)
		}
		return ids
	}
	for range 150 {
		run()
	}
	if ids := kept(); len(ids) != 100 || ids[99] != 51 {
		t.Errorf("got %d runs, the oldest %d, want those of less than 100 hours ago", len(ids), ids[len(ids)-1])
	}
	hold := dirsync.Hold{Run: 60, Status: dirsync.HoldOpen}
	var err error
	if hold.ID, err = y.NewHold(ctx, hold); err != nil {
		t.Fatal(err)
	}
	now = now.Add(1000 * time.Hour)
	for range 40 {
		run()
	}
	ids := kept()
	if len(ids) != 51 || ids[50] != 60 || ids[49] != 141 {
		t.Errorf("got %v, want the last 50, and the one that waits for a decision", ids)
	}
	sound(t, s)
}
