package store

import (
	"context"
	"encoding/binary"
	"time"

	"dirsync"
)

// Failing returns when the first of those whose last change failed is due to be tried again, and the first of them in the
// order of their Seq, at most limit. Who waits for the end of a grace period is none of them. A time that has passed, or the
// zero time, is now.
func (y *Sync) Failing(ctx context.Context, limit int) (due time.Time, people []dirsync.Person, err error) {
	err = y.view(ctx, "find those whose change failed", func(x *syncTx) error {
		if x.count.failing == 0 || x.owed == nil {
			return nil
		}
		some, cursor := false, x.owed.Cursor()
		for key, value := cursor.First(); key != nil; key, value = cursor.Next() {
			seq := binary.BigEndian.Uint64(key)
			owed, err := x.failing(seq, key, value)
			if err != nil {
				return err
			}
			if owed.Attempts == 0 || owed.Why == dirsync.WhyGrace {
				continue
			}
			if !some || owed.Due.Before(due) {
				due, some = owed.Due, true
			}
			if len(people) < limit {
				p, err := x.whole(seq)
				if err != nil {
					return err
				}
				people = append(people, p)
			}
		}
		return nil
	})
	return due, people, err
}

// failing reads the debt that a row is of, and what has become of it since if its last change failed.
func (x *syncTx) failing(seq uint64, key, value []byte) (dirsync.Owed, error) {
	body, err := open(key, value)
	if err != nil {
		return dirsync.Owed{}, err
	}
	owed, err := decodeOwed(decode(body))
	if err != nil {
		return owed, rowError("debt", seq, err)
	}
	if owed.Attempts == 0 {
		return owed, nil
	}
	d, err := x.debt(seq) // everybody may have become owed since
	return d.owed, err
}
