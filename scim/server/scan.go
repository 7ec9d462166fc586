package server

import (
	"context"
	"net/http"
	"time"

	"dirsync"
	"dirsync/scim"
)

// scanAtOnce is how many resources are read from the store at a time: as many as may all be as large as they can be.
const scanAtOnce = 100

// tooSlow says that everybody could not be read in time, and how far it came.
type tooSlow struct {
	kind  int
	after string
}

func (*tooSlow) Error() string { return "reading everybody takes too long" }

func (*tooSlow) Unwrap() error {
	return refuse(http.StatusBadRequest, scim.TooMany, "no index answers this, and reading everybody takes too long; ask for eq of id, userName, externalId, "+
		"emails.value or displayName, or page with a cursor")
}

// each calls fn for all that match, in an order that does not change, until it returns false. The object is the resource
// as the filter saw it, nil if it did not have to.
func (l *listing) each(from cursor, fn func(item, *scim.Object) (bool, error)) error {
	for i := from.kind; i < len(l.kinds); i++ {
		q, after := &l.queries[i], ""
		if i == from.kind {
			after = from.after
		}
		var seen *scim.Object
		test := func(r *dirsync.Resource) (bool, error) {
			if seen = nil; q.test == nil {
				return true, nil
			}
			o, err := l.matchable(l.kinds[i], r, q.look)
			seen = o
			return err == nil && q.test.Match(o), err
		}
		var stopped bool
		var err error
		if q.lookups != nil {
			stopped, err = l.found(i, after, test, func(it item) (bool, error) { return fn(it, seen) })
		} else {
			stopped, err = l.walk(i, after, 0, test, func(it item) (bool, error) { return fn(it, seen) })
		}
		if stopped || err != nil {
			return err
		}
	}
	return nil
}

// found goes through what the indexes find.
func (l *listing) found(i int, after string, test func(*dirsync.Resource) (bool, error), fn func(item) (bool, error)) (stopped bool, err error) {
	found, err := l.find(l.kinds[i], l.queries[i].lookups)
	if err != nil {
		return false, err
	}
	for _, r := range found {
		if after != "" && r.ID <= after {
			continue
		}
		ok, err := test(&r)
		if err == nil && ok {
			ok, err = fn(item{i, r})
			if err == nil && !ok {
				return true, nil
			}
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

// walk goes through everybody, in the order in which they were made. A test makes it a scan, of which only so many run at
// once, and not for long.
func (l *listing) walk(i int, after string, skip int, test func(*dirsync.Resource) (bool, error), fn func(item) (bool, error)) (stopped bool, err error) {
	scan := l.queries[i].test != nil || l.order != nil
	if scan {
		done, err := l.s.scanning(l.ctx)
		if err != nil {
			return false, err
		}
		defer done()
	}
	for {
		size := scanAtOnce
		if !scan {
			size = min(size, l.count+1)
		}
		page, err := l.s.config.Store.Resources(l.ctx, l.kinds[i].of, after, skip, size)
		if err != nil {
			return false, err
		}
		for n := range page {
			if invisible(&page[n]) {
				continue
			}
			ok := true
			if test != nil {
				if ok, err = test(&page[n]); err != nil {
					return false, err
				}
			}
			if !ok {
				continue
			}
			if ok, err = fn(item{i, page[n]}); err != nil || !ok {
				return !ok, err
			}
		}
		if len(page) < size {
			return false, nil
		}
		after, skip = page[len(page)-1].ID, 0
		if scan && time.Now().After(l.deadline) {
			return false, &tooSlow{i, after}
		}
	}
}

// scanning waits for its turn to read everybody.
func (s *Server) scanning(ctx context.Context) (done func(), err error) {
	select {
	case s.scans <- struct{}{}:
		return func() { <-s.scans }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
