package dirsynctest

import (
	"context"
	"time"

	"dirsync"
)

// Owe implements engine.Planning.
func (s *Store) Owe(ctx context.Context, ids []dirsync.ID, why dirsync.Why, now time.Time) (unknown []dirsync.ID, err error) {
	err = s.do(ctx, "Owe", func() error {
		s.mark++
		for _, id := range ids {
			if p := s.ids[id]; p != nil {
				s.owe(p, why, now)
			} else {
				unknown = append(unknown, id)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return unknown, nil
}
