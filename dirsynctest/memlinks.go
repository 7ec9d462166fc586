package dirsynctest

import (
	"context"

	"dirsync"
	"dirsync/sync/engine"
)

// Standings implements engine.Applying.
func (s *Store) Standings(ctx context.Context, people []dirsync.Seq) (out []engine.Standing, err error) {
	err = s.do(ctx, "Standings", func() error {
		for _, seq := range people {
			var standing engine.Standing
			if p, err := s.known("standings", seq); err == nil {
				standing = engine.Standing{Link: cloneLink(p.Link), Owed: p.Owed}
			}
			out = append(out, standing)
		}
		return nil
	})
	return out, err
}
