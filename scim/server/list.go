package server

import (
	"errors"
	"hash/fnv"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"dirsync"
	"dirsync/scim"
)

// listing is one list that is being made.
type listing struct {
	*call
	kinds []*kind
	ask   *scim.Search
	// count is how many are wanted, start the number of the first, from 1.
	count, start int
	paged        bool // by cursor
	cursor       cursor
	queries      []kindQuery
	by           scim.Path
	order        func(a, b *scim.Object) int
	deadline     time.Time

	page  []item
	bytes int
	total int // -1: unknown
	next  *cursor
}

// kindQuery is a query made ready for one kind of resource.
type kindQuery struct {
	plan
	show scim.Projection
	test *scim.Predicate // of plan.rest, nil for none; for a scan of all
	look look
}

// item is one entry of a list.
type item struct {
	kind int
	r    dirsync.Resource
}

// all returns the values of a parameter in any letter case.
func (c *call) all(name string) []string {
	if v, ok := c.query[name]; ok {
		return []string{strings.Join(v, ",")}
	}
	for key, v := range c.query {
		if strings.EqualFold(key, name) {
			return []string{strings.Join(v, ",")}
		}
	}
	return []string{""}
}

// search answers POST to /.search.
func (c *call) search(out *reply, r *http.Request, kinds []*kind) error {
	if err := allow(r, http.MethodPost); err != nil {
		return options(out, err)
	}
	body, err := c.body(out, r)
	if err != nil {
		return err
	}
	ask, err := scim.ReadSearch(body)
	if err != nil {
		return err
	}
	return c.list(out, kinds, ask)
}

// list answers with a list of one kind or of both; without a Search it is in the URL.
func (c *call) list(out *reply, kinds []*kind, ask *scim.Search) (err error) {
	if ask == nil {
		if ask, err = scim.SearchFromQuery(c.query); err != nil {
			return err
		}
		if len(c.query) > 0 {
			ask.Attributes, ask.ExcludedAttributes = c.all("attributes")[0], c.all("excludedAttributes")[0]
		}
	}
	l := &listing{call: c, ask: ask, deadline: time.Now().Add(c.s.limits.Scan)}
	var denied error
	for _, k := range kinds {
		if err := c.mayRead(k); err != nil {
			denied = err
			continue
		}
		l.kinds = append(l.kinds, k)
	}
	if len(l.kinds) == 0 {
		return denied
	}
	if err := l.prepare(); err != nil {
		return err
	}
	if err := l.read(); err != nil {
		return err
	}
	return l.write(out)
}

// prepare reads what is asked for.
func (l *listing) prepare() error {
	var urns []string
	for _, k := range l.kinds {
		urns = append(urns, k.URNs()...)
	}
	var filter scim.Filter
	if strings.TrimSpace(l.ask.Filter) != "" {
		var err error
		if filter, err = scim.ParseFilter(l.ask.Filter, urns...); err != nil {
			return err
		}
	}
	for _, k := range l.kinds {
		q, err := l.queryOf(k, filter)
		if err != nil {
			return err
		}
		l.queries = append(l.queries, q)
	}
	if err := l.sort(urns); err != nil {
		return err
	}
	return l.pages()
}

func (l *listing) queryOf(k *kind, filter scim.Filter) (q kindQuery, err error) {
	if q.show, err = scim.ParseProjection(l.ask.Attributes, l.ask.ExcludedAttributes, k.URNs()...); err != nil || filter == nil {
		return q, err
	}
	// What the schemas refuse is refused, whether or not an index would find it.
	if q.test, err = k.Compile(filter); err != nil {
		return q, err
	}
	q.plan = k.planOf(filter)
	rest := filter
	if q.lookups != nil {
		if rest = q.rest; rest == nil {
			q.test = nil
			return q, nil
		}
		if q.test, err = k.Compile(rest); err != nil {
			return q, err
		}
	}
	q.look, err = k.lookAt(rest)
	return q, err
}

func (l *listing) sort(urns []string) error {
	if strings.TrimSpace(l.ask.SortBy) == "" {
		return nil
	}
	path, err := scim.ParsePath(l.ask.SortBy, urns...)
	if err != nil {
		return err
	}
	if path.Filter != nil {
		return refuse(http.StatusBadRequest, scim.InvalidPath, "sortBy takes an attribute without brackets")
	}
	for _, k := range l.kinds {
		if _, attr, _, ok := k.Find(path); ok && attr != nil {
			if k.of == dirsync.KindGroup && attr.Name == "members" {
				return refuse(http.StatusBadRequest, scim.InvalidPath, "groups cannot be sorted by their members")
			}
			l.by = path
			l.order, err = k.Order(path, l.ask.Descending)
			return err
		}
	}
	return nil // An attribute that nobody has leaves every order as it is.
}

// pages finds out which page is wanted.
func (l *listing) pages() error {
	limits := l.s.limits
	l.paged, l.start, l.count = l.ask.UseCursor, l.ask.StartIndex, l.ask.Count
	if l.paged && l.count > limits.MaxPage {
		return refuse(http.StatusBadRequest, scim.InvalidCount, "count must be from 0 to %d", limits.MaxPage)
	}
	if l.count < 0 {
		l.count = limits.Page
	}
	l.count = min(l.count, limits.MaxPage)
	if !l.paged {
		return nil
	}
	query := l.hash()
	if l.ask.Cursor == "" {
		l.cursor = cursor{query: query, count: l.count}
		return nil
	}
	var err error
	if l.cursor, err = l.s.openCursor(l.ask.Cursor, query); err != nil {
		return err
	}
	if l.ask.Count >= 0 && l.ask.Count != l.cursor.count {
		return refuse(http.StatusBadRequest, scim.InvalidCount, "count must be the same for each page")
	}
	l.count = min(l.cursor.count, limits.MaxPage)
	return nil
}

// hash tells one query from another.
func (l *listing) hash() uint64 {
	h := fnv.New64a()
	for _, k := range l.kinds {
		_, _ = io.WriteString(h, k.Name+"\x00")
	}
	_, _ = io.WriteString(h, l.ask.Filter+"\x00"+scim.FoldCase(l.ask.SortBy)+"\x00"+strconv.FormatBool(l.ask.Descending))
	return h.Sum64()
}

// read finds the resources of the page.
func (l *listing) read() error {
	if l.order != nil {
		return l.sorted()
	}
	plain := true
	for _, q := range l.queries {
		plain = plain && q.all == nil
	}
	if plain && (!l.paged || l.count == 0) {
		return l.numbered()
	}
	if l.paged {
		return l.following()
	}
	// By number, with a filter: everybody must be looked at, because all that match are counted.
	err := l.each(cursor{}, func(it item, _ *scim.Object) (bool, error) {
		l.total++
		if l.total >= l.start && len(l.page) < l.count && l.fits(it) {
			l.page = append(l.page, it)
		}
		return true, nil
	})
	return err
}

// fits says whether a resource fits into the page, and counts its size. A page has one resource at least, and none after
// one that did not fit.
func (l *listing) fits(it item) bool {
	l.bytes += len(it.r.Document) + 512
	return l.bytes <= l.s.limits.PageBytes || len(l.page) == 0
}

// numbered is a list of everybody by number.
func (l *listing) numbered() error {
	skip, full := l.start-1, false
	for i, k := range l.kinds {
		unseen, err := l.s.unseenOf(l.ctx, k)
		if err != nil {
			return err
		}
		n, err := l.s.config.Store.CountResources(l.ctx, k.of)
		if err != nil {
			return err
		}
		n = max(0, n-len(unseen))
		l.total += n
		if skip >= n || full || l.count == 0 {
			skip = max(0, skip-n)
			continue
		}
		after, more, err := l.passOver(k, skip, unseen)
		if err != nil {
			return err
		}
		full, err = l.walk(i, after, more, nil, func(it item) (bool, error) {
			if len(l.page) == l.count || !l.fits(it) {
				return false, nil
			}
			l.page = append(l.page, it)
			return true, nil
		})
		if err != nil {
			return err
		}
		skip = 0
	}
	if l.start == 1 && !full && l.count > 0 {
		l.total = len(l.page) // All of them were seen.
	}
	return nil
}

// following is a page by cursor.
func (l *listing) following() error {
	l.total = -1
	from := l.cursor
	from.issued = time.Time{}
	if l.count == 0 {
		l.total = 0
		return l.each(from, func(item, *scim.Object) (bool, error) { l.total++; return true, nil })
	}
	last := from
	err := l.each(from, func(it item, _ *scim.Object) (bool, error) {
		if len(l.page) == l.count || !l.fits(it) {
			l.next = &last
			return false, nil
		}
		l.page = append(l.page, it)
		last.kind, last.after = it.kind, it.r.ID
		return true, nil
	})
	if slow, ok := errors.AsType[*tooSlow](err); ok {
		// What was found so far is a page, and the next one goes on where this one ended.
		last.kind, last.after = slow.kind, slow.after
		l.next = &last
		return nil
	}
	return err
}

// write answers with the page. What it says of it stands in front, because the resources may be sent in parts.
func (l *listing) write(out *reply) error {
	out.status = http.StatusOK
	b := append(out.buf, `{"schemas":["`+scim.ListURN+`"]`...)
	number := func(name string, n int) {
		b = append(append(b, `,"`...), name...)
		b = strconv.AppendInt(append(b, `":`...), int64(n), 10)
	}
	if l.total >= 0 {
		number("totalResults", l.total)
	}
	if !l.paged {
		number("startIndex", l.start)
	}
	number("itemsPerPage", len(l.page))
	if l.next != nil {
		b = appendString(append(b, `,"nextCursor":`...), l.s.sealCursor(*l.next))
	}
	out.buf = append(b, `,"Resources":[`...)
	for n := range l.page {
		if n > 0 {
			out.buf = append(out.buf, ',')
		}
		it := &l.page[n]
		if err := l.show(out, l.kinds[it.kind], &it.r, l.queries[it.kind].show); err != nil {
			return err
		}
		if err := out.grow(); err != nil {
			return err
		}
	}
	if len(l.page) == 1 {
		l.event.Name, l.event.ID = l.page[0].r.Name, l.page[0].r.ID
	}
	out.buf = append(out.buf, "]}"...)
	return nil
}
