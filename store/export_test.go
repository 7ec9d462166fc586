package store

import (
	"context"
	"time"

	"dirsync"
)

// SetSizes makes the tables of indexes small, so that a few rows fill them.
func (s *Store) SetSizes(table, flush int) { s.sizes.table, s.sizes.flush = table, flush }

// SetPage makes the pages of Directory.Source small.
func (s *Store) SetPage(n int) { s.sizes.page = n }

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
