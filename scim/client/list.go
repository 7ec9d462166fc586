package client

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"net/url"
	"strconv"

	"dirsync"
	"dirsync/scim"
)

// walk is one listing of everything behind an endpoint.
type walk struct {
	c        *Client
	call     call
	seed     maphash.Seed
	seen     map[uint64]struct{}
	total    int // what the last page claimed; -1 if none did
	first    int // what the first page of this pass claimed
	rows     int // resources in this pass
	moved    bool
	requests int
	// stirred is how often this client itself had begun or ended to add or remove somebody when the pass began: one who
	// comes and one who goes leave the total as it was.
	stirred int64
	// page, if not nil, is told of each page before its resources, with how many pages are expected to follow.
	page func(resources []*scim.Object, more int) error
}

// passes is how often a listing is walked that changes while it is read.
const passes = 4

// each calls fn for every resource, each once, and returns nil only if the list was complete: SCIM's lists have no
// snapshot (RFC 7644 section 3.4.2.4), so that a list whose total changes under way may have left somebody out and is
// walked again. Errors of fn are returned as they are.
func (w *walk) each(ctx context.Context, fn func(*scim.Object) error) error {
	w.seed, w.seen = maphash.MakeSeed(), map[uint64]struct{}{}
	for n := 1; ; n++ {
		before := w.rows
		if err := w.pass(ctx, fn); err != nil {
			return err
		}
		// What claims more than it shows, and shows the same again, has nothing more to show.
		whole := !w.moved && (w.total <= w.rows || n > 1 && w.rows == before)
		if whole && (n >= passes || w.stirred == w.c.stirred.Load()) {
			return nil
		}
		if n >= passes {
			return w.c.fault(w.call, dirsync.Unavailable, fmt.Errorf("the list changed each time it was read; of %d there, %d were seen", w.total, len(w.seen)))
		}
	}
}

// pass walks the list once, from the first page to the last.
func (w *walk) pass(ctx context.Context, fn func(*scim.Object) error) error {
	w.total, w.first, w.rows, w.moved, w.stirred = -1, -1, 0, false, w.c.stirred.Load()
	count := w.c.profile.PageSize
	cursors := map[string]bool{}
	last := ""
	for start, cursor := 1, ""; ; {
		page, err := w.fetch(ctx, start, cursor, count)
		if err != nil {
			return err
		}
		if w.moved = w.moved || w.first >= 0 && page.TotalResults >= 0 && page.TotalResults != w.first && page.TotalResults > len(page.Resources); w.first < 0 {
			w.first = page.TotalResults
		}
		w.total = page.TotalResults
		if err := w.deliver(page, start, fn); err != nil {
			return err
		}
		same := len(page.Resources) > 0 && identifier(page.Resources[0]) == last
		if len(page.Resources) > 0 {
			last = identifier(page.Resources[0])
		}
		start += len(page.Resources)
		w.rows += len(page.Resources)
		switch {
		case page.NextCursor != "":
			if cursors[page.NextCursor] {
				return w.c.fault(w.call, dirsync.Unavailable, errors.New("the pages of the list lead in a circle"))
			}
			cursors[page.NextCursor], cursor = true, page.NextCursor
			continue
		case len(page.Resources) == 0 || cursor != "" || w.c.profile.Cursor:
			return nil
		case same && page.TotalResults > len(page.Resources):
			return w.c.fault(w.call, dirsync.Unavailable, fmt.Errorf("the target claims %d resources, but each page has the same %d; set cursor in its profile, or a larger page size", w.total, len(page.Resources)))
		case same:
			return nil // all there is, once more
		case start > page.TotalResults && page.TotalResults >= 0 && !(len(page.Resources) >= count && page.TotalResults <= len(page.Resources)):
			return nil // a full page that claims to be everything is not believed: some targets count the page only
		}
	}
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
		if _, twice := w.seen[key]; twice {
			continue
		}
		w.seen[key] = struct{}{}
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
	answer, err := c.do(ctx, k)
	if err != nil {
		return nil, err
	}
	page, err := scim.ReadListResponse(answer.object)
	if err != nil {
		return nil, c.fault(k, dirsync.Unavailable, err)
	}
	return page, nil
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
