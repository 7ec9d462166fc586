package store_test

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dirsync"
	"dirsync/store"
)

// status is everything that is read to show how a sync is doing.
func status(ctx context.Context, s *store.Store) error {
	y := s.Sync("staff")
	if _, err := y.Totals(ctx); err != nil {
		return err
	}
	if _, err := y.ReadState(ctx); err != nil {
		return err
	}
	if _, err := y.Runs(ctx, 0, 10); err != nil {
		return err
	}
	if _, err := y.Holds(ctx, 0, 100); err != nil {
		return err
	}
	_, err := s.Stats(ctx)
	return err
}

// decisions gives a sync some runs and holds.
func decisions(tb testing.TB, s *store.Store) {
	y := s.Sync("staff")
	for range 20 {
		id, err := y.NewRun(tb.Context(), dirsync.Run{Sync: "staff"})
		check(tb, err)
		_, err = y.NewHold(tb.Context(), dirsync.Hold{Sync: "staff", Run: id, Status: dirsync.HoldOpen})
		check(tb, err)
	}
}

// TestReadersDoNotWait looks at a store in the middle of a transaction that writes, and after it has reached the file and
// before the writer is done. Whoever had to wait for the writer would wait forever.
func TestReadersDoNotWait(t *testing.T) {
	s := open(t, store.Options{})
	ctx, y := t.Context(), s.Sync("staff")
	_, err := y.Merge(ctx, []dirsync.Record{benchRecord(0)}, dirsync.ReadState{Round: 1}, time.Unix(1, 0))
	check(t, err)
	var seen []string
	check(t, y.AddMeanwhile(ctx, benchRecord(1), func(committed bool) {
		check(t, status(ctx, s))
		totals, err := y.Totals(ctx)
		check(t, err)
		_, err = y.Person(ctx, guid(1))
		seen = append(seen, fmt.Sprint(committed, totals.People, dirsync.KindOf(err)))
	}))
	want := []string{fmt.Sprint(false, 1, dirsync.NotFound), fmt.Sprint(true, 2, dirsync.KindOf(nil))}
	if !slices.Equal(seen, want) {
		t.Errorf("got %q, want %q", seen, want)
	}
	sound(t, s)
}

// slowSink is where a backup goes that does not get on.
type slowSink struct {
	begun sync.Once
	at    chan struct{}
	gone  chan struct{}
}

func (w *slowSink) Write(b []byte) (int, error) {
	w.begun.Do(func() { close(w.at) })
	<-w.gone
	return len(b), nil
}

// TestSlowBackupStopsNobody makes the file grow to many times its size, and reads, while a backup stands still.
func TestSlowBackupStopsNobody(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere the file is mapped anew when it grows, which waits for the backup")
	}
	path := filepath.Join(t.TempDir(), "dirsync.db")
	s := openAt(t, path, store.Options{})
	check(t, s.SetNote(t.Context(), "before", []byte("x")))
	w, done := &slowSink{at: make(chan struct{}), gone: make(chan struct{})}, make(chan error, 1)
	go func() { done <- s.Backup(t.Context(), w) }()
	<-w.at
	for i := range 30 {
		check(t, s.SetNote(t.Context(), fmt.Sprint("big ", i), make([]byte, 1<<20)), status(t.Context(), s))
	}
	if got, err := s.Stats(t.Context()); err != nil || got.Readers != 1 || got.UsedBytes < 30<<20 {
		t.Errorf("got %+v and %v, want the backup among the readers and 30 MB", got, err)
	}
	close(w.gone)
	check(t, <-done, s.Close())
	s = openAt(t, path, store.Options{})
	sound(t, s)
	check(t, s.Close())
}

// BenchmarkStatusDuringMerge reads the status all the time while a first run of many people is under way, and says how
// long that took: p50, p99 and so on. What is not the store's doing, but that of a machine with much to do, shows in the
// same figures of a store to which nobody writes, which is read in turns with it (idle).
func BenchmarkStatusDuringMerge(b *testing.B) {
	for b.Loop() {
		s, idle := open(b, store.Options{}), open(b, store.Options{})
		decisions(b, s)
		decisions(b, idle)
		var over atomic.Bool
		went := make(chan time.Duration, 1)
		go func() {
			defer over.Store(true)
			read, _, _ := firstRun(b, s, *benchPeople)
			went <- read
		}()
		var took [2][]time.Duration
		// Somebody who asks every two milliseconds, and not one who takes half of the machine.
		tick := time.NewTicker(2 * time.Millisecond)
		for !over.Load() {
			<-tick.C
			for i, of := range []*store.Store{s, idle} {
				start := time.Now()
				if err := status(b.Context(), of); err != nil {
					b.Fatal(err)
				}
				took[i] = append(took[i], time.Since(start))
			}
		}
		tick.Stop()
		for i, name := range []string{"", "idle-"} {
			slices.Sort(took[i])
			for _, share := range []float64{50, 99, 99.9, 100} {
				at := took[i][int(share/100*float64(len(took[i])-1))]
				b.ReportMetric(float64(at)/1e6, fmt.Sprint(name, "ms/p", share))
			}
		}
		b.ReportMetric(float64(len(took[0])), "reads")
		b.ReportMetric((<-went).Seconds(), "s/read")
		if b.Failed() {
			b.Fatal(fmt.Errorf("the run failed"))
		}
	}
}
