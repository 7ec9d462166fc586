package store

import (
	"context"
	"runtime"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"dirsync"
)

// SetSizes makes the tables of indexes small, so that a few rows fill them.
func (s *Store) SetSizes(table, flush int) { s.sizes.table, s.sizes.flush = table, flush }

// SetPage makes the pages of Directory.Source small.
func (s *Store) SetPage(n int) { s.sizes.page = n }

// SetJoins makes the log of memberships short, but for the lines of one row.
func (s *Store) SetJoins(n uint64) { s.sizes.joins = n }

// Seal makes a row as the store writes it.
func Seal(key, body []byte) []byte { return seal(key, body) }

// AddMeanwhile adds somebody, and calls meanwhile twice: in the middle of the transaction, and when it is in the file and
// the writer is not done with it.
func (y *Sync) AddMeanwhile(ctx context.Context, r dirsync.Record, meanwhile func(committed bool)) error {
	return y.update(ctx, "add person", func(x *syncTx) error {
		if err := x.add(r, dirsync.ReadState{}, x.newMark(), time.Unix(1, 0)); err != nil {
			return err
		}
		meanwhile(false)
		x.committed = append(x.committed, func() { meanwhile(true) })
		return nil
	})
}

// Hold keeps everybody from writing while fn runs.
func (s *Store) Hold(fn func()) {
	s.write.Lock()
	defer s.write.Unlock()
	fn()
}

// Wait returns once so many callers want to change resources: one leads already, and the others wait.
func (d *Directory) Wait(callers int) {
	for n := 0; n < callers; runtime.Gosched() {
		d.queue.mu.Lock()
		n = len(d.queue.waiting) + d.queue.taken
		d.queue.mu.Unlock()
	}
}

// Damage flips a bit of a row, behind the back of whoever uses the store.
func (s *Store) Damage(t *testing.T, place, rows string, seq uint64) {
	t.Helper()
	err := s.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte(place)).Bucket([]byte(rows))
		row := append([]byte(nil), b.Get(seqKey(seq))...)
		row[len(row)/2] ^= 1
		return b.Put(seqKey(seq), row)
	})
	if err != nil {
		t.Fatal(err)
	}
}
