package store

import (
	"context"
	"os"
	"time"
)

// Stats are figures of the file, for those who watch over it.
type Stats struct {
	// FileBytes is the size of the file, which never shrinks by itself. FreeBytes is what is free inside of it and will be
	// used before it grows, and UsedBytes the rest. When the store is open for looking only nobody counts what is free:
	// FreeBytes is then only what lies behind everything that was ever used.
	FileBytes, UsedBytes, FreeBytes int64
	// PageBytes is the size of the pages in which the file is written.
	PageBytes int
	// Readers is how many are looking at the store just now. While one of them goes on, nothing that it may look at is used
	// again, so one that takes long makes the file grow.
	Readers int
	// Transactions counts those that changed something since the store was made.
	Transactions int64
	// PagesWritten is how many pages were written since the store was opened, and WriteTime how long that took, the waiting
	// for the disk included.
	PagesWritten int64
	WriteTime    time.Duration
}

// Stats returns figures of the file as it was when it was last written. It looks at the size of the file and at some
// counters, whatever the size of the store, and waits for no writer.
func (s *Store) Stats(ctx context.Context) (out Stats, err error) {
	var reached int64
	err = s.view(ctx, "count pages", func(t *tx) error {
		info, err := os.Stat(s.path)
		if err != nil {
			return fileError(err)
		}
		// Size is not that of the file, but where its last page ends that was ever used.
		reached = t.b.Size()
		out.FileBytes, out.Transactions, out.PageBytes = info.Size(), int64(t.b.ID()), s.db.Info().PageSize
		return nil
	})
	if err != nil {
		return Stats{}, err
	}
	pages := s.db.Stats()
	unused := int64(pages.FreePageN+pages.PendingPageN) * int64(out.PageBytes)
	out.UsedBytes = max(0, reached-unused)
	out.FreeBytes = max(0, out.FileBytes-out.UsedBytes)
	out.Readers = pages.OpenTxN
	out.PagesWritten, out.WriteTime = pages.TxStats.GetPageCount(), pages.TxStats.GetWriteTime()
	return out, nil
}

// countFree makes bbolt count the free pages, which it does at the end of a transaction that writes, even of one that is
// called off at once.
func (s *Store) countFree() error {
	if s.opts.ReadOnly {
		return nil
	}
	tx, err := s.db.Begin(true)
	if err != nil {
		return err
	}
	return tx.Rollback()
}
