package client

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"

	"dirsync"
	"dirsync/scim"
)

// walk is one listing of everything behind an endpoint.
type walk struct {
	c    *Client
	call call
	seed maphash.Seed
	seen map[uint64]uint8 // the pass in which a resource was last seen
	// Of this pass: its number, what its last page claims to be the total (-1: nothing), what its first page claimed, how
	// many resources the first page had, the resources of all its pages, and how many different ones.
	pass, total, first, size, rows, found int
	moved                                 bool
	requests                              int
	// calm tells whether this client itself has added or removed nobody since the pass began: one who comes and one who
	// goes leave the total as it was.
	calm func() bool
	// page, if not nil, is told of each page before its resources, with how many pages are expected to follow.
	page func(resources []*scim.Object, more int) error
}

// passes is how often a listing is walked that changes while it is read.
const passes = 4

// each calls fn for every resource, each once, and returns nil only if the list was complete: SCIM's lists have no
// snapshot (RFC 7644 section 3.4.2.4), so that a list whose total changes under way, or that shows fewer than it counts,
// may have left somebody out and is walked again. Errors of fn are returned as they are.
func (w *walk) each(ctx context.Context, fn func(*scim.Object) error) error {
	w.seed, w.seen = maphash.MakeSeed(), map[uint64]uint8{}
	for w.pass = 1; ; w.pass++ {
		before := w.found
		if err := w.once(ctx, fn); err != nil {
			return err
		}
		short := w.total > w.found && !w.c.profile.Miscounts
		quiet := w.calm()
		switch {
		case !w.moved && !short && (quiet || w.pass >= passes):
			return nil
		case !w.moved && short && quiet && w.pass > 1 && w.found == before, w.pass >= passes:
			return w.incomplete()
		}
	}
}

// errShort is the error of a list that never shows as many as it counts.
var errShort = errors.New("")

// incomplete says that somebody may have been left out.
func (w *walk) incomplete() error {
	e := w.c.fault(w.call, dirsync.Unavailable, fmt.Errorf("the list changed each time it was read; of %d there, %d were seen", w.total, len(w.seen)))
	if !w.moved && w.total > w.found {
		e.Err = fmt.Errorf("the list counts %d but shows %d, whenever it is read%w", w.total, w.found, errShort)
		e.Hint = "Somebody may be there who is not shown, so nobody is taken for missing or new. If the target counts what it never shows, say so: miscounts: true."
	}
	return e
}

// once walks the list once, from the first page to the last.
func (w *walk) once(ctx context.Context, fn func(*scim.Object) error) error {
	w.total, w.first, w.size, w.rows, w.found, w.moved, w.calm = -1, -1, 0, 0, 0, false, w.c.stirring.watch()
	cursors := map[string]bool{}
	last := ""
	for cursor := ""; ; {
		page, err := w.fetch(ctx, w.rows+1, cursor, w.c.profile.PageSize)
		if err != nil {
			if w.rows > 0 && w.rows == w.total && cursor == "" && refusesBeyond(err) {
				return nil // there is nothing behind the end
			}
			return err
		}
		n := len(page.Resources)
		if w.moved = w.moved || w.first >= 0 && page.TotalResults >= 0 && page.TotalResults != w.first && page.TotalResults > n && w.rows < w.first; w.first < 0 {
			w.first, w.size = page.TotalResults, n
		}
		if n > 0 || w.total < 0 {
			w.total = page.TotalResults // a page behind the end may count nothing
		}
		if err := w.deliver(page, w.rows+1, fn); err != nil {
			return err
		}
		same := n > 0 && identifier(page.Resources[0]) == last
		if n > 0 {
			last = identifier(page.Resources[0])
		}
		w.rows += n
		switch {
		case page.NextCursor != "":
			if cursors[page.NextCursor] {
				return w.c.fault(w.call, dirsync.Unavailable, errors.New("the pages of the list lead in a circle"))
			}
			cursors[page.NextCursor], cursor = true, page.NextCursor
		case n == 0 || cursor != "" || w.c.profile.Cursor:
			return nil
		case same && page.TotalResults > n:
			return w.c.fault(w.call, dirsync.Unavailable, fmt.Errorf("the target claims %d resources, but each page has the same %d; set cursor in its profile, or a larger page size", w.total, n))
		case same:
			return nil // all there is, once more
		case ended(n, w.size, w.rows, page.TotalResults) && !w.c.profile.Miscounts:
			return nil
		}
	}
}

// stirring counts the requests of a client that add or remove somebody. Between its beginning and its end, nobody knows
// when one takes effect.
type stirring struct{ begun, ended atomic.Int64 }

// watch returns a function that tells whether no such request has been under way since.
func (s *stirring) watch() func() bool {
	ended := s.ended.Load() // before begun, so that what ends in between counts as under way
	begun := s.begun.Load()
	return func() bool { return begun == ended && begun == s.begun.Load() }
}

// ended tells whether a page is the last one of a list: it is the shortest so far, and completes the total. A list of one
// page, or of whole pages only, that claims to be everything is not believed until an empty page follows: some targets
// count what is on the page, or what they would show at most.
func ended(page, size, rows, total int) bool { return page < size && rows == total }

// refusesBeyond tells the answer of targets to whom a page behind the end is a mistake.
func refusesBeyond(err error) bool {
	status := said(err)
	return status == http.StatusBadRequest || status == http.StatusNotFound || status == http.StatusRequestedRangeNotSatisfiable
}

// deliver hands on what is new on a page.
func (w *walk) deliver(page *scim.ListResponse, start int, fn func(*scim.Object) error) error {
	if w.page != nil {
		more := 0
		if n := len(page.Resources); n > 0 {
			more = max(0, (page.TotalResults-start-n)/n+1)
		}
		if err := w.page(page.Resources, more); err != nil {
			return err
		}
	}
	for i, o := range page.Resources {
		id := identifier(o)
		if id == "" {
			return w.c.fault(w.call, dirsync.Unavailable, fmt.Errorf("resource %d of the list has no id", start+i))
		}
		key := maphash.String(w.seed, id)
		before := w.seen[key]
		w.seen[key] = uint8(w.pass)
		if int(before) != w.pass {
			w.found++
		}
		if before != 0 {
			continue
		}
		if err := fn(o); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) fetch(ctx context.Context, start int, cursor string, count int) (*scim.ListResponse, error) {
	k := w.call
	k.method = http.MethodGet
	query := url.Values{}
	for name, v := range w.call.query {
		query[name] = v
	}
	query.Set("count", strconv.Itoa(count))
	switch {
	case cursor != "" || w.c.profile.Cursor:
		query.Set("cursor", cursor)
	default:
		query.Set("startIndex", strconv.Itoa(start))
	}
	k.query = query
	w.requests++
	return w.c.list(ctx, k)
}

// list fetches one page.
func (c *Client) list(ctx context.Context, k call) (*scim.ListResponse, error) {
	answer, err := c.page(ctx, k)
	if err != nil {
		return nil, err
	}
	page, err := scim.ReadListResponse(answer.object)
	if err != nil {
		return nil, c.fault(k, dirsync.Unavailable, err)
	}
	return page, nil
}

// page is do for a page of a list. Where a larger page is asked for than the target makes, RFC 9865 section 2.1 lets it
// answer with an error: from then on it is not asked for any size.
func (c *Client) page(ctx context.Context, k call) (*reply, error) {
	if c.uncounted.Load() {
		k = k.withoutCount()
	}
	got, err := c.do(ctx, k)
	if k.query.Has("count") && tooManyAsked(err) {
		c.uncounted.Store(true)
		got, err = c.do(ctx, k.withoutCount())
	}
	return got, err
}

// tooManyAsked tells the answer to a count that the target does not take.
func tooManyAsked(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.answer != nil && r.answer.Status == http.StatusBadRequest && strings.EqualFold(r.answer.SCIMType, scim.InvalidCount)
}

func (k call) withoutCount() call {
	k.query = maps.Clone(k.query)
	k.query.Del("count")
	return k
}

// identifier is the target's id of a resource, which some write as a number; "" if it has none that can be used in a path.
func identifier(o *scim.Object) string {
	v, _ := o.Get("id")
	id := plain(v)
	if id == "." || id == ".." || len(id) > 1024 {
		return ""
	}
	return id
}
