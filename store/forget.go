package store

import (
	"context"
	"fmt"

	"dirsync"
)

// ForgetSync forgets everything that is kept of a sync in one transaction: whom it knew, their groups, its runs and its holds.
// Its accounts stay where they are, in the directory too. A sync of which nothing is kept is an *dirsync.Error of kind
// NotFound. What Sync returned for it before is not to be used any more.
func (s *Store) ForgetSync(ctx context.Context, name string) error {
	return s.update(ctx, "forget sync "+name, func(t *tx) error {
		found := false
		for _, part := range [...]string{bucketSyncs, bucketGroups, bucketMemberships} {
			b := t.b.Bucket([]byte(part))
			if b == nil || b.Bucket([]byte(name)) == nil {
				continue
			}
			if err := storageError(b.DeleteBucket([]byte(name))); err != nil {
				return err
			}
			found = true
		}
		if !found {
			return &dirsync.Error{Kind: dirsync.NotFound, Err: fmt.Errorf("there is no sync %q", name)}
		}
		t.committed = append(t.committed, func() {
			s.state.Lock()
			defer s.state.Unlock()
			for _, part := range [...]string{bucketSyncs, bucketGroups, bucketMemberships} {
				delete(s.syncs, place{part, name})
			}
		})
		return nil
	})
}
