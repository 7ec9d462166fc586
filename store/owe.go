package store

import (
	"context"
	"time"

	"dirsync"
)

// Owe implements engine.Planning.
func (y *Sync) Owe(ctx context.Context, ids []dirsync.ID, why dirsync.Why, now time.Time) (unknown []dirsync.ID, err error) {
	err = y.update(ctx, "owe people", func(x *syncTx) error {
		unknown = nil
		mark := x.newMark()
		for _, id := range ids {
			seq, _, err := x.find(id)
			switch {
			case err != nil:
				return err
			case seq == 0:
				unknown = append(unknown, id)
				continue
			}
			if err := x.owe(seq, mark, why, now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return unknown, nil
}
