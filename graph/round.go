package graph

import (
	"context"
	"fmt"
	"hash/maphash"

	"dirsync"
)

// The prefetched pages: one waits in the channel while the next is being fetched.
const prefetch = 1

// maxPages ends rounds that no tenant can need: a hundred million people at two hundred a page.
const maxPages = 500_000

// rewrittenHint is advice about links that lead away.
const rewrittenHint = "Something between here and Microsoft Graph rewrites its answers, or the configured address of Graph is not the one it calls itself by."

// fetched is a page on its way from the fetcher to fn, or the error that ended fetching.
type fetched struct {
	page dirsync.Page
	next mark
	err  error
}

// Read walks one round; see dirsync.Source. While fn works on one page, up to two more are fetched. A first round may be
// read in parallel; see FirstRead.
//
// A round that Graph refuses to go on with is reported, never restarted here: ErrCursorExpired when the delta token is
// no longer known, ErrPageExpired when a page link is not.
func (s *Source) Read(ctx context.Context, since dirsync.Cursor, fn func(dirsync.Page) error) error {
	if s.invalid != nil {
		return s.invalid
	}
	start, err := s.parseCursor(since)
	if err != nil {
		return err
	}
	ctx = context.WithValue(ctx, counterKey{}, &s.sent)
	var ahead *fetched
	switch how := s.client.cfg.FirstRead; {
	case since == "" && s.membersOnly:
		return s.readFromNow(ctx, start, fn)
	case start.First != nil, since == "" && how == FirstParallel:
		return s.readFirst(ctx, start, fn)
	case since == "" && how == FirstAuto:
		// The first page alone says whether the question for the number of people is worth asking.
		page, next, err := s.page(ctx, newDecoder(), start)
		if err != nil {
			return err
		}
		if !page.Complete && s.isLarge(ctx) {
			// The page is not used: it was read before the token from which on changes are told.
			return s.readFirst(ctx, start, fn)
		}
		ahead = &fetched{page: page, next: next}
	}
	return s.walk(ctx, start, ahead, func(p dirsync.Page, _ mark) error { return fn(p) })
}

// isLarge tells whether a tenant is known to be worth reading in parallel.
func (s *Source) isLarge(ctx context.Context) bool {
	n, err := s.count(ctx)
	return err == nil && n > worthParallel
}

// walk walks the delta query from a mark to the end of the round and calls fn for each page, with where to go on. A page
// that is there already is given as ahead.
func (s *Source) walk(ctx context.Context, at mark, ahead *fetched, fn func(dirsync.Page, mark) error) error {
	inner, cancel := context.WithCancel(ctx)
	pages := make(chan fetched, prefetch)
	go func() {
		defer close(pages)
		s.fetch(inner, at, ahead, pages)
	}()
	defer func() {
		cancel()
		for range pages { // until the fetcher has ended
		}
	}()
	for f := range pages {
		if f.err != nil {
			return f.err
		}
		if ctx.Err() != nil {
			break
		}
		if err := fn(f.page, f.next); err != nil {
			return err
		}
		if f.page.Complete {
			return nil
		}
	}
	return s.client.sendError(ctx, s.op(), context.Cause(ctx))
}

// fetch sends page after page, or an error, until the round is complete or ctx ends.
func (s *Source) fetch(ctx context.Context, at mark, ahead *fetched, pages chan<- fetched) {
	decode, trail := newDecoder(), newTrail()
	if at.Link != "" {
		trail.crosses(at.Link)
	}
	for {
		var f fetched
		if ahead != nil {
			f, ahead = *ahead, nil
		} else {
			f.page, f.next, f.err = s.page(ctx, decode, at)
		}
		if f.err == nil && !f.page.Complete && trail.crosses(f.next.Link) {
			f.err = trail.error(s.op())
		}
		select {
		case pages <- f:
		case <-ctx.Done():
			return
		}
		if f.err != nil || f.page.Complete {
			return
		}
		at = f.next
	}
}

// trail knows the links that were followed, so that nobody goes in circles.
type trail struct {
	seed maphash.Seed
	seen map[uint64]bool
}

func newTrail() *trail { return &trail{seed: maphash.MakeSeed(), seen: map[uint64]bool{}} }

// crosses tells whether a link was followed before, or too many were.
func (t *trail) crosses(link string) bool {
	key := maphash.String(t.seed, link)
	before := t.seen[key]
	t.seen[key] = true
	return before || len(t.seen) > maxPages
}

func (t *trail) error(op string) error {
	return &dirsync.Error{Op: op, Kind: dirsync.Unavailable,
		Err:  fmt.Errorf("after %d pages Microsoft Graph leads back to a page that was read already", len(t.seen)),
		Hint: "This is a fault of the service that passes. The next run goes on from here."}
}
