package main

import (
	"context"

	"dirsync"
)

// This is how commands and the API look at the holds of what clients push.

// find finds a hold by its number; false if it is none of these.
func (g *pushGuard) find(ctx context.Context, id dirsync.HoldID) (dirsync.Hold, bool, error) {
	found, err := g.holds.Holds(ctx, id+1, 1)
	if err != nil || len(found) == 0 || found[0].ID != id {
		return dirsync.Hold{}, false, err
	}
	h, _, err := g.current(ctx, found[0])
	return h, err == nil, err
}

// all lists the holds, newest first: the open ones, or those that were decided as well.
func (g *pushGuard) all(ctx context.Context, decided bool) ([]dirsync.Hold, error) {
	var out []dirsync.Hold
	for before := dirsync.HoldID(0); ; {
		page, err := g.holds.Holds(ctx, before, 100)
		if err != nil {
			return nil, err
		}
		for _, h := range page {
			before = h.ID
			if h, _, err = g.current(ctx, h); err != nil {
				return nil, err
			}
			if decided || h.Status == dirsync.HoldOpen && h.People > 0 {
				out = append(out, h)
			}
		}
		if len(page) < 100 {
			return out, nil
		}
	}
}

// listed are the open holds. Before the list of those who wait is known, for which everybody would have to be looked at, they are
// as they were last written down.
func (g *pushGuard) listed(ctx context.Context) ([]dirsync.Hold, error) {
	g.loading.Lock()
	loaded := g.loaded
	g.loading.Unlock()
	if loaded {
		return g.all(ctx, false)
	}
	holds, err := g.holds.Holds(ctx, 0, 100)
	if err != nil {
		return nil, err
	}
	var open []dirsync.Hold
	for _, h := range holds {
		switch {
		case h.Status != dirsync.HoldOpen:
		case h.Digest == pendingDigest(nil):
			return g.all(ctx, false) // It was made by a process that was killed before it looked at it.
		default:
			open = append(open, h)
		}
	}
	return open, nil
}

// glance is how many holds are open and how many are on them, as they were when they were last looked at.
func (g *pushGuard) glance() (holds, people int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, h := range g.waiting {
		people += h.People
	}
	return len(g.waiting), people
}
