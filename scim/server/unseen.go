package server

import (
	"context"
	"slices"
	"sync"
	"time"

	"dirsync"
)

// Lists by number have to count, and pass over, those whom clients do not see: those whose deletion waits for approval, and
// those who were deleted and are kept. The store does not know them, so the server remembers who they are, and makes sure of
// it before it counts on it: somebody else may have brought them back.

// unseen knows whom of one kind clients do not see.
type unseen struct {
	// loading lets one look at everybody, once; loaded says that it is done.
	loading sync.Mutex
	loaded  bool

	mu  sync.Mutex
	ids map[string]bool
	// sure is when it was last made sure that all of them are unseen.
	sure time.Time
}

// To make sure of that many is cheap enough for each list; of more it is done now and then.
const (
	unseenAtOnce = 1000
	unseenAgain  = 5 * time.Second
)

// note notes how a resource is after an edit.
func (u *unseen) note(r *dirsync.Resource) {
	hidden := invisible(r)
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case hidden && u.ids == nil:
		u.ids = map[string]bool{r.ID: true}
	case hidden:
		u.ids[r.ID] = true
	default:
		delete(u.ids, r.ID)
	}
}

// look looks for those who are unseen since before the start, once.
func (u *unseen) look(ctx context.Context, s *Server, k *kind) error {
	u.loading.Lock()
	defer u.loading.Unlock()
	for after := ""; !u.loaded; {
		page, err := s.config.Store.Resources(ctx, k.of, after, 0, scanAtOnce)
		if err != nil {
			return err
		}
		for i := range page {
			if invisible(&page[i]) { // It is not noted that others are seen, because that may be over by now.
				u.note(&page[i])
			}
		}
		if u.loaded = len(page) < scanAtOnce; !u.loaded {
			after = page[len(page)-1].ID
		}
	}
	return nil
}

// unseenOf returns the ids of those of a kind whom clients do not see, in the order of the store.
func (s *Server) unseenOf(ctx context.Context, k *kind) ([]string, error) {
	u := &k.unseen
	if err := u.look(ctx, s, k); err != nil {
		return nil, err
	}
	u.mu.Lock()
	ids := make([]string, 0, len(u.ids))
	for id := range u.ids {
		ids = append(ids, id)
	}
	sure := len(ids) > unseenAtOnce && time.Since(u.sure) < unseenAgain
	u.mu.Unlock()
	slices.Sort(ids)
	if sure {
		return ids, nil
	}
	var still []string
	for _, id := range ids {
		r, err := s.config.Store.Resource(ctx, k.of, id)
		switch {
		case err != nil && dirsync.KindOf(err) != dirsync.NotFound:
			return nil, err
		case err == nil && invisible(&r):
			still = append(still, id)
		default:
			u.mu.Lock()
			delete(u.ids, id)
			u.mu.Unlock()
		}
	}
	u.mu.Lock()
	u.sure = time.Now()
	u.mu.Unlock()
	return still, nil
}

// passOver finds where a list begins that passes over so many whom clients see: behind an id, and behind so many more of the
// store's. The store skips at little cost, so it is skipped as if all were seen, and then as many again as were not.
func (l *listing) passOver(k *kind, n int, unseen []string) (after string, skip int, err error) {
	for n > 0 && len(unseen) > 0 {
		next, err := l.s.config.Store.Resources(l.ctx, k.of, after, n, 1)
		if err != nil || len(next) == 0 {
			return after, n, err
		}
		at, here := slices.BinarySearch(unseen, next[0].ID)
		if at == 0 {
			break // All of them were seen.
		}
		unseen, after, n = unseen[at:], next[0].ID, at
		if here {
			unseen = unseen[1:]
		} else {
			n--
		}
	}
	return after, n, nil
}
