package store_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"dirsync"
	"dirsync/dirsynctest"
	"dirsync/store"
	"dirsync/sync/engine"
)

var _ engine.Store = (*store.Sync)(nil)

// open opens a new store in a folder of its own.
func open(t testing.TB, opts store.Options) *store.Store {
	t.Helper()
	s := openAt(t, filepath.Join(t.TempDir(), "dirsync.db"), opts)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// openAt opens the store at path. The caller closes it.
func openAt(t testing.TB, path string, opts store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sound fails the test unless everything in a store fits together.
func sound(t testing.TB, s *store.Store) {
	t.Helper()
	findings, err := s.Verify(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		t.Error(f)
	}
	if t.Failed() {
		t.FailNow()
	}
}

func TestStoreConforms(t *testing.T) {
	s, n := open(t, store.Options{}), 0
	dirsynctest.TestStore(t, func(*testing.T) engine.Store {
		n++
		return s.Sync(fmt.Sprint("sync ", n))
	})
	sound(t, s)
}

// reopening is a sync whose store is closed and opened again, and verified, now and then.
type reopening struct {
	engine.Store
	t     *testing.T
	file  *file
	name  string
	calls int
}

// file is a store that can be opened again. Its indexes are written to the file after every few rows.
type file struct {
	path string
	s    *store.Store
}

func (f *file) reopen(t *testing.T) {
	t.Helper()
	if f.s != nil {
		if err := f.s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	f.s = openAt(t, f.path, store.Options{})
	f.s.SetSizes(5, 2)
}

func (r *reopening) again() {
	r.t.Helper()
	if r.calls++; r.calls%3 == 0 {
		r.file.reopen(r.t)
		r.Store = r.file.s.Sync(r.name)
	}
}

func (r *reopening) Merge(ctx context.Context, records []dirsync.Record, state dirsync.ReadState, now time.Time) (dirsync.Merged, error) {
	defer r.again()
	return r.Store.Merge(ctx, records, state, now)
}

func (r *reopening) OweAll(ctx context.Context, why dirsync.Why, state dirsync.ReadState, now time.Time) error {
	defer r.again()
	return r.Store.OweAll(ctx, why, state, now)
}

func (r *reopening) Settle(ctx context.Context, run dirsync.RunID, outcomes []dirsync.Outcome, progress dirsync.PlanKey) error {
	defer r.again()
	return r.Store.Settle(ctx, run, outcomes, progress)
}

func (r *reopening) Mark(ctx context.Context, marks []dirsync.Mark) error {
	defer r.again()
	return r.Store.Mark(ctx, marks)
}

func (r *reopening) SaveHold(ctx context.Context, h dirsync.Hold) error {
	defer r.again()
	return r.Store.SaveHold(ctx, h)
}

func (r *reopening) Correct(ctx context.Context, links map[dirsync.Seq]dirsync.Link, now time.Time) error {
	defer r.again()
	return r.Store.Correct(ctx, links, now)
}

func TestStoreConformsWhenOpenedAgain(t *testing.T) {
	f, n := &file{path: filepath.Join(t.TempDir(), "dirsync.db")}, 0
	f.reopen(t)
	defer func() { f.s.Close() }()
	all := t
	dirsynctest.TestStore(t, func(t *testing.T) engine.Store {
		if n++; n%20 == 0 {
			// A fresh file, so that opening does not become slower and slower. It outlives the test that asks for it.
			sound(t, f.s)
			f.path = filepath.Join(all.TempDir(), "dirsync.db")
			f.reopen(t)
		}
		name := fmt.Sprint("sync ", n)
		return &reopening{Store: f.s.Sync(name), t: t, file: f, name: name}
	})
	sound(t, f.s)
}

func TestRunsAreNumberedAcrossSyncs(t *testing.T) {
	ctx := context.Background()
	s := open(t, store.Options{})
	for i, name := range []string{"a", "b", "a", "c"} {
		id, err := s.Sync(name).NewRun(ctx, dirsync.Run{Sync: name})
		if err != nil || id != dirsync.RunID(i+1) {
			t.Errorf("got run %d and %v, want %d", id, err, i+1)
		}
	}
	runs, err := s.Sync("a").Runs(ctx, 0, 10)
	if err != nil || len(runs) != 2 || runs[0].ID != 3 || runs[1].ID != 1 {
		t.Errorf("got %v and %v, want runs 3 and 1", runs, err)
	}
	if err := s.Sync("b").SaveRun(ctx, dirsync.Run{ID: 1}); dirsync.KindOf(err) != dirsync.NotFound {
		t.Errorf("got %v for the run of another sync, want NotFound", err)
	}
	names, err := s.Syncs(ctx)
	if err != nil || fmt.Sprint(names) != "[a b c]" {
		t.Errorf("got %v and %v", names, err)
	}
}

func TestOldPlansAreDropped(t *testing.T) {
	ctx, now := context.Background(), time.Unix(1000, 0)
	s := open(t, store.Options{KeepRuns: 3})
	y := s.Sync("staff")
	if _, err := y.Merge(ctx, []dirsync.Record{{ID: "p"}}, dirsync.ReadState{}, now); err != nil {
		t.Fatal(err)
	}
	const runs = 12
	for n := 1; n <= runs; n++ {
		id, err := y.NewRun(ctx, dirsync.Run{Sync: "staff"})
		if err != nil {
			t.Fatal(err)
		}
		change := dirsync.Change{Kind: dirsync.Create, Person: "p", Seq: 1}
		if err := y.Decide(ctx, id, []dirsync.Decision{{Seq: 1, Change: &change}}); err != nil {
			t.Fatal(err)
		}
		if err := y.SaveRun(ctx, dirsync.Run{ID: id, Phase: dirsync.PhaseEnded}); err != nil {
			t.Fatal(err)
		}
	}
	for id := dirsync.RunID(1); id <= runs; id++ {
		outcomes, err := y.Outcomes(ctx, id, dirsync.PlanKey{}, 10)
		if err != nil {
			t.Fatal(err)
		}
		want := 0
		if id > runs-3 {
			want = 1
		}
		if len(outcomes) != want {
			t.Errorf("run %d has %d outcomes, want %d", id, len(outcomes), want)
		}
	}
	if kept, err := y.Runs(ctx, 0, 100); err != nil || len(kept) != runs {
		t.Errorf("got %d runs and %v, want all %d", len(kept), err, runs)
	}
	sound(t, s)
}

func TestBackup(t *testing.T) {
	ctx := context.Background()
	s := open(t, store.Options{})
	fill(t, s, 300)
	var copied bytes.Buffer
	if err := s.Backup(ctx, &copied); err != nil {
		t.Fatal(err)
	}
	fill(t, s, 400)
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(path, copied.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	c := openAt(t, path, store.Options{ReadOnly: true})
	defer c.Close()
	totals, err := c.Sync("staff").Totals(ctx)
	if err != nil || totals.People != 300 {
		t.Errorf("the copy has %d people and %v, want 300", totals.People, err)
	}
	sound(t, c)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if err := s.Backup(cancelled, &copied); err == nil {
		t.Error("a cancelled backup went on")
	}
}

// fill makes everybody up to a number known, in the directory, and settled, and everybody of the last hundred owed.
func fill(t testing.TB, s *store.Store, people int) {
	t.Helper()
	ctx, now := context.Background(), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	y := s.Sync("staff")
	d, err := s.Directory()
	if err != nil {
		t.Fatal(err)
	}
	run, err := y.NewRun(ctx, dirsync.Run{Sync: "staff", Started: now})
	if err != nil {
		t.Fatal(err)
	}
	totals, err := y.Totals(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for from := totals.People; from < people; from += 100 {
		var records []dirsync.Record
		for n := from; n < min(from+100, people); n++ {
			records = append(records, benchRecord(n))
		}
		if _, err := y.Merge(ctx, records, dirsync.ReadState{Round: 1, Full: true, Open: true}, now); err != nil {
			t.Fatal(err)
		}
		if from+100 >= people {
			return
		}
		applyOwed(t, y, d, run, now)
	}
}

// applyOwed plans, applies and settles a create of everybody who is owed.
func applyOwed(t testing.TB, y *store.Sync, d *store.Directory, run dirsync.RunID, now time.Time) {
	t.Helper()
	ctx := context.Background()
	owed, err := y.Owed(ctx, now, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var decisions []dirsync.Decision
	var changes []dirsync.Change
	for _, p := range owed {
		c := dirsync.Change{Kind: dirsync.Create, Person: p.ID, Seq: p.Seq, Mark: p.Owed.Mark, After: benchValues(int(p.Seq) - 1)}
		changes = append(changes, c)
		decisions = append(decisions, dirsync.Decision{Seq: p.Seq, Mark: p.Owed.Mark, Change: &c})
	}
	if err := y.Decide(ctx, run, decisions); err != nil {
		t.Fatal(err)
	}
	var outcomes []dirsync.Outcome
	var last dirsync.PlanKey
	for i, a := range d.ApplyAll(ctx, changes) {
		if a.Err != nil {
			t.Fatal(a.Err)
		}
		outcomes = append(outcomes, dirsync.Outcome{Change: changes[i], Result: dirsync.Done,
			Link: dirsync.Link{Account: a.Account.ID, Active: true, Held: a.Account.Values}})
		last = dirsync.PlanKey{Kind: dirsync.Create, Seq: changes[i].Seq}
	}
	if err := y.Settle(ctx, run, outcomes, last); err != nil {
		t.Fatal(err)
	}
}
