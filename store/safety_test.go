package store_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"dirsync"
	"dirsync/store"
)

// TestFileOfBefore opens a file that was written before there were holds, marks and redone rounds.
func TestFileOfBefore(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "dirsync.db")
	unpack(t, filepath.Join("testdata", "schema1.db.gz"), path)
	if _, err := store.Open(path, store.Options{ReadOnly: true}); dirsync.KindOf(err) != dirsync.Invalid || dirsync.HintOf(err) == "" {
		t.Errorf("got %v for looking at an older schema, want Invalid with a hint", err)
	}
	if err := openAt(t, path, store.Options{}).Close(); err != nil {
		t.Fatal(err)
	}
	for _, opts := range []store.Options{{ReadOnly: true}, {}} {
		s := openAt(t, path, opts)
		if !opts.ReadOnly {
			if _, err := s.Directory(); err != nil {
				t.Fatal(err)
			}
		}
		sound(t, s)
		y := s.Sync("staff")
		totals, err := y.Totals(ctx)
		if want := (dirsync.Totals{People: 9, Active: 9, Owed: 3, Differing: 1}); err != nil || totals != want {
			t.Errorf("got %+v and %v, want %+v", totals, err, want)
		}
		runs, err := y.Runs(ctx, 0, 10)
		if err != nil || len(runs) != 1 {
			t.Fatalf("got %d runs and %v, want 1", len(runs), err)
		}
		wantHolds := []dirsync.Hold{{Kind: dirsync.Deletion, Count: 3, Allowed: 2, Reason: "3 deletions, and 2 are allowed"},
			{Kind: dirsync.Deactivation, Count: 5, Allowed: 4, Reason: "5 deactivations, and 4 are allowed"}}
		if diff := cmp.Diff(wantHolds, runs[0].Holds); diff != "" {
			t.Errorf("holds of the run: -want +got\n%s", diff)
		}
		if got, want := runs[0].Spent, (dirsync.Spent{}); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
		changes, err := y.ChangesOf(ctx, 7, 10)
		if err != nil || len(changes) != 1 || changes[0].Run != 1 || changes[0].Outcome.Change.Kind != dirsync.Delete ||
			changes[0].Outcome.Result != dirsync.HeldBack || changes[0].Outcome.Change.Asked != 0 {
			t.Errorf("got %+v and %v, want the deletion that was held back", changes, err)
		}
		planned, err := y.Planned(ctx, 1, []dirsync.PlanKey{{Kind: dirsync.Create, Seq: 3}, {Kind: dirsync.Create, Seq: 7}})
		if err != nil || len(planned) != 2 || planned[0].Seq != 3 || planned[1].Seq != 0 {
			t.Errorf("got %+v and %v, want the creation of person 3 alone", planned, err)
		}
		holds, err := y.Holds(ctx, 0, 10)
		if err != nil || len(holds) != 0 {
			t.Errorf("got %v and %v, want no holds", holds, err)
		}
		if marks, err := y.Marks(ctx, []dirsync.Seq{1}); err != nil || marks != nil {
			t.Errorf("got %v and %v, want nil", marks, err)
		}
		if marks, err := y.Marked(ctx, 0, 10); err != nil || len(marks) != 0 {
			t.Errorf("got %v and %v, want none", marks, err)
		}
		if !opts.ReadOnly {
			decide(t, y, 1)
			sound(t, s)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := openAt(t, path, store.Options{})
	defer s.Close()
	sound(t, s)
	totals, err := s.Sync("staff").Totals(ctx)
	if want := (dirsync.Totals{People: 9, Active: 8, Owed: 4, Differing: 1, Kept: 2}); err != nil || totals != want {
		t.Errorf("after decisions: got %+v and %v, want %+v", totals, err, want)
	}
}

func unpack(t *testing.T, from, to string) {
	t.Helper()
	packed, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// decide holds a run's plan, keeps the people 1 and 2 as they are, and corrects person 4, who has no account any more.
func decide(t *testing.T, y *store.Sync, run dirsync.RunID) dirsync.Hold {
	t.Helper()
	ctx, now := context.Background(), time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	h := dirsync.Hold{Sync: "staff", Kind: dirsync.Deletion, Run: run, Count: 3, Allowed: 2, Status: dirsync.HoldOpen, Created: now}
	var err error
	if h.ID, err = y.NewHold(ctx, h); err != nil {
		t.Fatal(err)
	}
	err = y.Mark(ctx, []dirsync.Mark{{Seq: 1, Kind: dirsync.Kept, Hold: h.ID, At: now}, {Seq: 2, Kind: dirsync.Kept, At: now},
		{Seq: 2, Kind: dirsync.Approved, Danger: dirsync.Deletion, Digest: "d"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := y.Correct(ctx, map[dirsync.Seq]dirsync.Link{4: {}}, now); err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHoldsAreNumberedAcrossSyncs(t *testing.T) {
	ctx := context.Background()
	s := open(t, store.Options{})
	for i, name := range []string{"a", "b", "a", "c"} {
		// Runs have numbers of their own.
		if _, err := s.Sync("a").NewRun(ctx, dirsync.Run{Sync: name}); err != nil {
			t.Fatal(err)
		}
		id, err := s.Sync(name).NewHold(ctx, dirsync.Hold{Sync: name})
		if err != nil || id != dirsync.HoldID(i+1) {
			t.Errorf("got hold %d and %v, want %d", id, err, i+1)
		}
	}
	holds, err := s.Sync("a").Holds(ctx, 0, 10)
	if err != nil || len(holds) != 2 || holds[0].ID != 3 || holds[1].ID != 1 {
		t.Errorf("got %v and %v, want holds 3 and 1", holds, err)
	}
	if err := s.Sync("b").SaveHold(ctx, dirsync.Hold{ID: 1}); dirsync.KindOf(err) != dirsync.NotFound {
		t.Errorf("got %v for the hold of another sync, want NotFound", err)
	}
	sound(t, s)
}

// TestPlansOfOpenHoldsAreKept: whoever decides about a hold must still be able to see what it is about.
func TestPlansOfOpenHoldsAreKept(t *testing.T) {
	ctx, now := context.Background(), time.Unix(1000, 0).UTC()
	s := open(t, store.Options{KeepRuns: 3})
	y := s.Sync("staff")
	if _, err := y.Merge(ctx, []dirsync.Record{{ID: "p"}}, dirsync.ReadState{}, now); err != nil {
		t.Fatal(err)
	}
	next := func() dirsync.RunID {
		t.Helper()
		id, err := y.NewRun(ctx, dirsync.Run{Sync: "staff"})
		if err != nil {
			t.Fatal(err)
		}
		change := dirsync.Change{Kind: dirsync.Delete, Person: "p", Seq: 1}
		if err := y.Decide(ctx, id, []dirsync.Decision{{Seq: 1, Change: &change}}); err != nil {
			t.Fatal(err)
		}
		held := dirsync.Outcome{Change: change, Result: dirsync.HeldBack, Error: "too many"}
		if err := y.Settle(ctx, id, []dirsync.Outcome{held}, dirsync.PlanKey{Kind: dirsync.Delete, Seq: 1}); err != nil {
			t.Fatal(err)
		}
		return id
	}
	end := func(id dirsync.RunID) {
		t.Helper()
		if err := y.SaveRun(ctx, dirsync.Run{ID: id, Phase: dirsync.PhaseEnded}); err != nil {
			t.Fatal(err)
		}
	}
	kept := func() (out []dirsync.RunID) {
		t.Helper()
		changes, err := y.ChangesOf(ctx, 1, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range changes {
			if c.Outcome.Result != dirsync.HeldBack || c.Outcome.Error != "too many" {
				t.Errorf("run %d: got %v, want what was held back", c.Run, c.Outcome)
			}
			out = append(out, c.Run)
		}
		return out
	}
	var holds []dirsync.Hold
	for n := 1; n <= 12; n++ {
		id := next()
		if n == 2 || n == 5 || n == 6 {
			h := dirsync.Hold{Kind: dirsync.Deletion, Run: id, Status: dirsync.HoldOpen}
			var err error
			if h.ID, err = y.NewHold(ctx, h); err != nil {
				t.Fatal(err)
			}
			holds = append(holds, h)
		}
		end(id)
	}
	if got, want := fmt.Sprint(kept()), "[12 11 10 6 5 2]"; got != want {
		t.Errorf("got the plans of runs %s, want %s", got, want)
	}
	for _, h := range holds[:2] {
		h.Status = dirsync.HoldApproved
		if err := y.SaveHold(ctx, h); err != nil {
			t.Fatal(err)
		}
	}
	end(next())
	if got, want := fmt.Sprint(kept()), "[13 12 11 6]"; got != want {
		t.Errorf("after two were decided: got the plans of runs %s, want %s", got, want)
	}
	sound(t, s)
}

// TestRoundsOfOneBatchWriteNoBits: nearly all rounds are of one batch.
func TestRoundsOfOneBatchWriteNoBits(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "dirsync.db")
	for _, test := range []struct {
		what   string
		states []dirsync.ReadState
		want   int
	}{
		{"one batch", []dirsync.ReadState{{Round: 1}, {Round: 2}}, 0},
		{"two batches, the second to come", []dirsync.ReadState{{Round: 3, Open: true}}, 1},
		{"two batches", []dirsync.ReadState{{Round: 3}}, 0},
		{"redone", []dirsync.ReadState{{Round: 4, Open: true}, {Round: 5, Redo: true, Confirming: true}}, 1},
	} {
		s := openAt(t, path, store.Options{})
		for _, state := range test.states {
			if _, err := s.Sync("staff").Merge(ctx, []dirsync.Record{{ID: "p"}, {ID: "q"}}, state, time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
		sound(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		got := 0
		spoil(t, path, func(tx *bolt.Tx) error {
			return staff(tx).Bucket([]byte("bits")).ForEach(func(k, _ []byte) error {
				if bytes.HasPrefix(k, []byte("n")) {
					got++
				}
				return nil
			})
		})
		if got != test.want {
			t.Errorf("%s: got %d rows, want %d", test.what, got, test.want)
		}
	}
}

func staff(tx *bolt.Tx) *bolt.Bucket { return tx.Bucket([]byte("syncs")).Bucket([]byte("staff")) }

// spoil changes a closed store behind its back.
func spoil(t *testing.T, path string, fn func(*bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{NoFreelistSync: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(fn); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestVerifyFindsInDecisions breaks what people have decided, in ways that every single row survives, or not.
func TestVerifyFindsInDecisions(t *testing.T) {
	ctx := context.Background()
	key := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
	put := func(b *bolt.Bucket, key, body []byte) error { return b.Put(key, store.Seal(key, body)) }
	for _, test := range []struct {
		name  string
		spoil func(*bolt.Tx) error
		says  string
	}{
		{"a mark is missing", func(tx *bolt.Tx) error {
			return staff(tx).Bucket([]byte("marks")).Delete(append(key(1), 0))
		}, "stay as they are"},
		{"a mark is damaged", func(tx *bolt.Tx) error {
			return staff(tx).Bucket([]byte("marks")).Put(append(key(1), 4), []byte("damaged"))
		}, "mark 000000000000000104 cannot be read"},
		{"a mark has an odd key", func(tx *bolt.Tx) error {
			return put(staff(tx).Bucket([]byte("marks")), []byte("odd"), []byte{1, 1, 0, 0, 0, 0, 0, 0})
		}, "mark 6f6464 cannot be read"},
		{"a mark of nobody", func(tx *bolt.Tx) error {
			return put(staff(tx).Bucket([]byte("marks")), append(key(99), 0), []byte{1, 1, 0, 0, 0, 0, 0, 0})
		}, "mark of person 99"},
		{"a hold is damaged", func(tx *bolt.Tx) error {
			return staff(tx).Bucket([]byte("holds")).Put(key(1), []byte("damaged"))
		}, "hold 1: damaged row"},
		{"a hold is no hold", func(tx *bolt.Tx) error {
			return put(staff(tx).Bucket([]byte("holds")), key(1), []byte(`{"ID":1,"Kind":"murder"}`))
		}, "murder"},
		{"a hold lies under another number", func(tx *bolt.Tx) error {
			body, err := json.Marshal(dirsync.Hold{ID: 7, Kind: dirsync.Deletion})
			if err != nil {
				return err
			}
			return put(staff(tx).Bucket([]byte("holds")), key(1), body)
		}, "hold 1 says that it is hold 7"},
		{"the numbers of holds are missing", func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("numbers")).DeleteBucket([]byte("holds"))
		}, "was never given"},
		{"somebody is noted who is not there", func(tx *bolt.Tx) error {
			body := make([]byte, 1+1024)
			body[0], body[1024] = 1, 0x80
			return put(staff(tx).Bucket([]byte("bits")), append([]byte("n"), key(0)...), body)
		}, "is noted, but not there"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "dirsync.db")
			unpack(t, filepath.Join("testdata", "schema1.db.gz"), path)
			s := openAt(t, path, store.Options{})
			decide(t, s.Sync("staff"), 1)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			spoil(t, path, test.spoil)
			s = openAt(t, path, store.Options{})
			defer s.Close()
			findings, err := s.Verify(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(findings, "\n"); !strings.Contains(got, test.says) {
				t.Errorf("got %q, want something that says %q", got, test.says)
			}
		})
	}
}

// TestDamagedDecisions: a damaged row is an error that says which, and never an answer.
func TestDamagedDecisions(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "dirsync.db")
	unpack(t, filepath.Join("testdata", "schema1.db.gz"), path)
	s := openAt(t, path, store.Options{})
	decide(t, s.Sync("staff"), 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	spoil(t, path, func(tx *bolt.Tx) error {
		for _, name := range []string{"marks", "holds"} {
			b := staff(tx).Bucket([]byte(name))
			k, v := b.Cursor().First()
			k, v = bytes.Clone(k), bytes.Clone(v)
			v[len(v)/2] ^= 4
			if err := b.Put(k, v); err != nil {
				return err
			}
		}
		return nil
	})
	s = openAt(t, path, store.Options{KeepRuns: 1})
	defer s.Close()
	y := s.Sync("staff")
	_, errMarks := y.Marks(ctx, []dirsync.Seq{1})
	_, errMarked := y.Marked(ctx, 0, 10)
	_, errHolds := y.Holds(ctx, 0, 10)
	for name, err := range map[string]error{
		"Marks": errMarks, "Marked": errMarked, "Holds": errHolds,
		"Mark":   y.Mark(ctx, []dirsync.Mark{{Seq: 1, Kind: dirsync.Kept, Danger: dirsync.Deletion}}),
		"Unmark": y.Unmark(ctx, []dirsync.Mark{{Seq: 1, Danger: dirsync.Deletion}}),
	} {
		if dirsync.KindOf(err) != dirsync.Corrupt || !strings.Contains(err.Error(), "row 0000000000000001") {
			t.Errorf("%s: got %v, want Corrupt with the row", name, err)
		}
	}
	// A plan may be dropped only when it is certain that nobody has to decide about it.
	id, err := y.NewRun(ctx, dirsync.Run{Sync: "staff"})
	if err != nil {
		t.Fatal(err)
	}
	if err := y.SaveRun(ctx, dirsync.Run{ID: id, Phase: dirsync.PhaseEnded}); dirsync.KindOf(err) != dirsync.Corrupt {
		t.Errorf("SaveRun: got %v, want Corrupt", err)
	}
	if planned, err := y.Planned(ctx, 1, []dirsync.PlanKey{{Kind: dirsync.Delete, Seq: 7}}); err != nil || planned[0].Seq != 7 {
		t.Errorf("got %v and %v, want the plan as it was", planned, err)
	}
}

// BenchmarkChangesOf looks for the changes of one person in two hundred plans, of which the oldest has everybody:
//
//	go test ./store -run '^$' -bench ChangesOf -people 1000000
func BenchmarkChangesOf(b *testing.B) {
	const plans, changed = 199, 2000
	s := filled(b)
	ctx, y := context.Background(), s.Sync("staff")
	for range plans {
		run, err := y.NewRun(ctx, dirsync.Run{Sync: "staff"})
		if err != nil {
			b.Fatal(err)
		}
		decisions := make([]dirsync.Decision, 0, changed)
		for n := range changed {
			seq := dirsync.Seq(1 + n*(*benchPeople/changed))
			decisions = append(decisions, dirsync.Decision{Seq: seq, Change: &dirsync.Change{Kind: dirsync.Update, Seq: seq,
				Person: guid(int(seq) - 1), Before: benchValues(int(seq)), After: benchValues(int(seq) - 1), Why: "changed"}})
		}
		if err := y.Decide(ctx, run, decisions); err != nil {
			b.Fatal(err)
		}
	}
	for _, test := range []struct {
		name string
		seq  dirsync.Seq
		want int
	}{{"changed once", 2, 1}, {"changed in every run", 1, plans + 1}, {"never there", dirsync.Seq(*benchPeople + 1), 0}} {
		b.Run(test.name, func(b *testing.B) {
			for b.Loop() {
				got, err := y.ChangesOf(ctx, test.seq, 1000)
				if err != nil || len(got) != test.want {
					b.Fatal(len(got), err)
				}
			}
		})
	}
}

// BenchmarkMarks asks for the marks of a batch of people.
func BenchmarkMarks(b *testing.B) {
	s := filled(b)
	ctx, y := context.Background(), s.Sync("staff")
	people := make([]dirsync.Seq, benchBatch)
	for i := range people {
		people[i] = dirsync.Seq(i + 1)
	}
	ask := func(b *testing.B) {
		for b.Loop() {
			if _, err := y.Marks(ctx, people); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)*benchBatch/b.Elapsed().Seconds(), "people/s")
	}
	b.Run("nobody has one", ask)
	var marks []dirsync.Mark
	for n := 1; n <= *benchPeople; n += 10 {
		marks = append(marks, dirsync.Mark{Seq: dirsync.Seq(n), Kind: dirsync.Kept, Digest: strings.Repeat("d", 64), By: "anna", Why: "stays"})
	}
	if err := y.Mark(ctx, marks); err != nil {
		b.Fatal(err)
	}
	b.Run("a tenth have one", ask)
}
