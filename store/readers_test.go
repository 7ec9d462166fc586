package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"dirsync"
	"dirsync/store"
)

// TestReadersSeeWholeTransactions looks at a store while another goroutine writes: every reader must find everybody who
// is counted, although the indexes move from memory to the file meanwhile.
func TestReadersSeeWholeTransactions(t *testing.T) {
	s := open(t, store.Options{})
	s.SetSizes(40, 7)
	ctx, y := context.Background(), s.Sync("staff")
	d, err := s.Directory()
	if err != nil {
		t.Fatal(err)
	}
	const people = 600
	var wg sync.WaitGroup
	done := make(chan struct{})
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := lookAround(ctx, y, d); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for n := 0; n < people; n += 20 {
		var records []dirsync.Record
		var changes []dirsync.Change
		for i := n; i < n+20; i++ {
			records = append(records, benchRecord(i))
			changes = append(changes, dirsync.Change{Kind: dirsync.Create, Person: guid(i), After: benchValues(i)})
		}
		if _, err := y.Merge(ctx, records, dirsync.ReadState{Round: 1, Full: true}, time.Unix(1, 0)); err != nil {
			t.Error(err)
		}
		// The first two exchange their addresses again and again.
		a, b := n/20%2, 1-n/20%2
		if n > 0 {
			changes = append(changes, dirsync.Change{Kind: dirsync.Update, Person: guid(0), After: benchValues(b)[:1]},
				dirsync.Change{Kind: dirsync.Update, Person: guid(1), After: benchValues(a)[:1]})
		}
		for _, out := range d.ApplyAll(ctx, changes) {
			if out.Err != nil {
				t.Error(out.Err)
			}
		}
	}
	close(done)
	wg.Wait()
	sound(t, s)
}

func lookAround(ctx context.Context, y *store.Sync, d *store.Directory) error {
	totals, err := y.Totals(ctx)
	if err != nil {
		return err
	}
	for n := max(0, totals.People-3); n < totals.People; n++ {
		if _, err := y.Person(ctx, guid(n)); err != nil {
			return fmt.Errorf("person %d of %d: %w", n, totals.People, err)
		}
	}
	count, err := d.Count(ctx)
	if err != nil || count == 0 {
		return err
	}
	for n := range 2 {
		if _, err := d.Lookup(ctx, fmt.Sprintf("person.%d@contoso.example", n)); err != nil {
			return fmt.Errorf("the address of %d, which somebody always has: %w", n, err)
		}
	}
	if _, err := d.Lookup(ctx, string(guid(count-1))); err != nil {
		return fmt.Errorf("account %d: %w", count, err)
	}
	return nil
}
