package graphtest

import (
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strings"
	"time"
)

const (
	defaultTop = 100 // Graph's page size for lists, and the most that $top can ask for
	maxTop     = 999
)

// listing is one page of a plain list in the making.
type listing struct {
	opt options
	sel selection
	// advanced says that the query is one that the service answers from its index: ConsistencyLevel: eventual was sent,
	// and $count=true or $search is in it.
	advanced bool
	c        cursor
	size     int
	// view is the position of the log as of which objects are shown.
	view uint32
	// match decides who is in the list, besides the state; nil is everybody.
	match condition
	// names is what the filter leaves of the user principal names, and keys are those of which everybody in the list has
	// one, if there are any.
	names span
	keys  []string
	// set is what @odata.context calls the list, and path where the list is, for the link to the next page.
	set, path string
}

// list answers one page of GET /users or GET /groups, or the bare number of what it would show.
func (q *request) list(d *directory) answer {
	l, err := q.listing(d, d.set(), "/v1.0/"+d.set())
	if err != nil {
		return q.refuse(err)
	}
	if q.path[len(q.path)-1] == countSegment {
		return q.number(len(q.matching(d, &l, present)))
	}
	return q.listOf(d, l, present)
}

// countSegment ends the path of a request for a number alone.
const countSegment = "$count"

// number answers .../$count, as text and only for who accepts the index.
func (q *request) number(n int) answer {
	if !q.eventual() {
		return q.refuse(badQuery("Request_BadRequest", "$count is not currently supported."))
	}
	return answer{status: http.StatusOK, header: http.Header{"Content-Type": {"text/plain"}}, body: []byte(itoa(n))}
}

// eventual tells whether the request accepts answers from the index, which lags.
func (q *request) eventual() bool {
	return strings.EqualFold(strings.TrimSpace(q.r.Header.Get("ConsistencyLevel")), "eventual")
}

// listing reads the options of a list and its page token.
func (q *request) listing(d *directory, set, path string) (listing, error) {
	l := listing{set: set, path: path, size: defaultTop, view: q.t.visible(d, q.now)}
	var err error
	if l.opt, err = parseOptions(q.query); err != nil {
		return l, err
	}
	if l.sel, err = q.plainSelection(d, &l.opt); err != nil {
		return l, err
	}
	counted := l.opt.count || q.path[len(q.path)-1] == countSegment
	l.advanced = q.eventual() && (counted || l.opt.search != "")
	if err := q.conditions(d, &l); err != nil {
		return l, err
	}
	if err := q.sized(&l); err != nil {
		return l, err
	}
	if err := q.placedAt(d, &l); err != nil {
		return l, err
	}
	if lag := q.t.Faults.IndexLag; l.advanced && lag > 0 {
		l.view = min(l.view, d.until(q.now.Add(-lag)))
	}
	return l, nil
}

// sized decides how many rows a page of a list has.
func (q *request) sized(l *listing) error {
	if l.opt.top > maxTop {
		return badQuery("Request_UnsupportedQuery", "Invalid page size specified: '%d'. Must be between 1 and 999 inclusive.", l.opt.top)
	}
	if l.opt.top > 0 {
		l.size = l.opt.top
	}
	if f := &q.t.Faults; f.ListPage > 0 {
		l.size = min(l.size, f.ListPage)
	} else if f.PageSize > 0 {
		l.size = min(l.size, f.PageSize)
	}
	return nil
}

// placedAt reads where in a list the page is.
func (q *request) placedAt(d *directory, l *listing) error {
	l.c = cursor{List: true, Of: l.path}
	if l.opt.skip != "" {
		var err error
		if l.c, err = decodeCursor(q.t.identity().ID, l.opt.skip); err != nil || !l.c.List || l.c.Of != l.path {
			return badQuery("BadRequest", "The $skiptoken is badly formed.")
		}
		if q.pageExpired(d, l.c) || l.c.Advanced && !l.advanced {
			return badQuery("Directory_ExpiredPageToken", "The specified page token value has expired and can no longer be included in your request.")
		}
	}
	l.c.Advanced = l.advanced
	return nil
}

// conditions reads $filter, $search and $orderby and holds them against what the service answers.
func (q *request) conditions(d *directory, l *listing) error {
	opt := &l.opt
	if opt.hasFilter {
		match, p, err := d.parseListFilter(opt.filter, q.t.Faults.ShyExtensions)
		if err != nil {
			return err
		}
		if p.advanced && !l.advanced {
			return unsupportedFilter(opt.filter)
		}
		l.match, l.names = match, p.span
		if !p.loose {
			l.keys = p.keys
		}
	}
	if opt.search != "" {
		if !q.eventual() {
			return badQuery("Request_UnsupportedQuery", "Request with $search query parameter only works through MSGraph with a special request header: 'ConsistencyLevel: eventual'")
		}
		found, err := d.parseSearch(opt.search)
		if err != nil {
			return err
		}
		if filtered := l.match; filtered != nil {
			l.match = func(o *object, attrs []byte) bool { return filtered(o, attrs) && found(o, attrs) }
		} else {
			l.match = found
		}
	}
	if opt.orderby != "" {
		if (opt.hasFilter || opt.search != "") && !l.advanced {
			return badQuery("Request_UnsupportedQuery", "Sorting not supported for current query.")
		}
		name, direction, _ := strings.Cut(opt.orderby, " ")
		sortable := name == "displayName" || name == "userPrincipalName" && d.members == nil
		if !sortable || direction != "" && !strings.EqualFold(direction, "asc") && !strings.EqualFold(direction, "desc") {
			return badQuery("Request_UnsupportedQuery", "Sorting by '%s' is not supported.", opt.orderby)
		}
	}
	return nil
}

// parseSearch reads "displayName:word", quotes included: the words must begin words of the property.
func (d *directory) parseSearch(v string) (condition, error) {
	name, words, ok := strings.Cut(strings.Trim(v, `"`), ":")
	if !ok || len(v) < 2 || v[0] != '"' || v[len(v)-1] != '"' {
		return nil, badQuery("BadRequest", "Syntax error: a $search is a property and words in quotes, \"displayName:words\".")
	}
	switch name {
	case "displayName", "description", "mail", "userPrincipalName":
	default:
		return nil, badQuery("Request_UnsupportedQuery", "The property '%s' cannot be searched.", name)
	}
	p := filterParser{d: d}
	value, wanted := p.value(name), strings.Fields(strings.ToLower(words))
	return func(o *object, attrs []byte) bool {
		s, ok := text(value(o, attrs))
		have := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return strings.ContainsRune(" \t-_.@,", r) })
		for _, w := range wanted {
			ok = ok && slices.ContainsFunc(have, func(h string) bool { return strings.HasPrefix(h, w) })
		}
		return ok
	}, nil
}

// seen is an object as a list shows it, and whether it is in the list.
func (l *listing) seen(d *directory, o *object, want state) ([]byte, bool) {
	attrs, st := o.attrs, o.state
	if o.last > l.view {
		attrs, st = d.at(o, l.view)
	}
	if want == softDeleted && st == want {
		attrs = d.mangled(o, attrs)
	}
	return attrs, st == want && (l.match == nil || l.match(o, attrs))
}

// candidates are those among whom everybody from the place of the page on is who can be in the list, in order of
// creation. It is false when that is everybody, as it is where the list shows the past.
func (l *listing) candidates(d *directory) ([]uint32, bool) {
	if l.opt.orderby != "" {
		return nil, false
	}
	users, ok := d.listed(l.opt.filter)
	if !ok {
		if int(l.view) < len(d.log) {
			return nil, false
		}
		if users, ok = d.having(l.keys); !ok {
			users, ok = d.within(l.names)
		}
	}
	at, _ := slices.BinarySearch(users, l.c.Pos)
	return users[at:], ok
}

// matching returns the objects of the whole list: in order of creation or, with $orderby, in the order asked for.
func (q *request) matching(d *directory, l *listing, want state) []uint32 {
	var out []uint32
	for i := range d.objects {
		if _, ok := l.seen(d, &d.objects[i], want); ok {
			out = append(out, uint32(i))
		}
	}
	if l.opt.orderby == "" {
		return out
	}
	name, direction, _ := strings.Cut(l.opt.orderby, " ")
	p := filterParser{d: d}
	value := p.value(name)
	keys := make(map[uint32]string, len(out))
	for _, i := range out {
		attrs, _ := l.seen(d, &d.objects[i], want)
		s, _ := text(value(&d.objects[i], attrs))
		keys[i] = strings.ToLower(s)
	}
	sort.SliceStable(out, func(a, b int) bool {
		if strings.EqualFold(direction, "desc") {
			return keys[out[a]] > keys[out[b]]
		}
		return keys[out[a]] < keys[out[b]]
	})
	return out
}

// listOf answers one page of the objects in a state.
func (q *request) listOf(d *directory, l listing, want state) answer {
	b := q.beginList(&l, strings.Replace(l.sel.context(), d.set(), l.set, 1))
	if l.advanced && l.opt.count && l.opt.skip == "" {
		b = append(append(append(b, `"@odata.count":`...), itoa(len(q.matching(d, &l, want)))...), ',')
	}
	b = append(b, `"value":[`...)
	var order []uint32
	end := len(d.objects)
	if l.opt.orderby != "" {
		order = q.matching(d, &l, want)
		end = len(order)
	}
	near, narrow := l.candidates(d)
	rows := 0
	for ; int(l.c.Pos) < end; l.c.Pos++ {
		i := l.c.Pos
		switch {
		case order != nil:
			i = order[i]
		case narrow && len(near) == 0:
			l.c.Pos = uint32(end)
			continue
		case narrow:
			i, near = near[0], near[1:]
			l.c.Pos = i
		}
		attrs, ok := l.seen(d, &d.objects[i], want)
		if !ok {
			continue
		}
		if rows == l.size {
			break // there is somebody left for another page
		}
		if rows++; rows > 1 {
			b = append(b, ',')
		}
		b = append(q.appendPlain(append(b, '{'), d, &d.objects[i], attrs, &l.sel), '}')
	}
	return q.endList(append(b, ']'), &l, int(l.c.Pos) < end)
}

// beginList begins the answer of a list, in a buffer that may have been used before.
func (q *request) beginList(l *listing, context string) []byte {
	b, _ := q.t.buffers.Get().([]byte)
	b = append(append(b[:0], `{"@odata.context":"`...), q.base()...)
	return append(append(append(b, `/v1.0/$metadata#`...), context...), `",`...)
}

// endList ends it, with a link to the next page when there is more. The link repeats the query's options, and the
// token stands for the place in the list alone.
func (q *request) endList(b []byte, l *listing, more bool) answer {
	if !more {
		return answer{status: http.StatusOK, body: append(b, '}')}
	}
	l.c.Issued = q.now.UnixMilli()
	token, err := encodeCursor(q.t.identity().ID, l.c, q.t.Faults.TokenPadding)
	if err != nil {
		return q.fail(http.StatusInternalServerError, "generalException", err.Error())
	}
	link := or(q.t.Faults.ForeignLinks, q.base()) + l.path + "?"
	for _, o := range []struct{ name, value string }{{"$expand", l.opt.expand}, {"$filter", l.opt.filter}, {"$search", l.opt.search}, {"$orderby", l.opt.orderby}} {
		if o.value != "" {
			link += o.name + "=" + url.QueryEscape(o.value) + "&"
		}
	}
	if l.opt.count {
		link += "$count=true&"
	}
	if l.opt.fields != nil {
		link += "$select=" + url.QueryEscape(strings.Join(append(slices.Clone(l.opt.fields), "id"), ",")) + "&"
	}
	if l.opt.top > 0 {
		link += "$top=" + itoa(l.opt.top) + "&"
	}
	b = appendString(append(b, `,"@odata.nextLink":`...), link+"$skiptoken="+token)
	return answer{status: http.StatusOK, body: append(b, '}')}
}

// until is the position of the log at a moment.
func (d *directory) until(at time.Time) uint32 {
	limit := at.UnixNano()
	return uint32(sort.Search(len(d.log), func(i int) bool { return d.log[i].at > limit }))
}
