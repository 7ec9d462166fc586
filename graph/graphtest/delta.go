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
	// maxPage is the most user rows that the service puts on a page; a client cannot raise it.
	maxPage = 200
	// maxLinks is the most links to members of groups that it puts there.
	maxLinks = 500
	// deltaLife is how long the service promises to know a delta token (Graph, delta query overview).
	deltaLife = 7 * 24 * time.Hour
	// pageLife is how long page tokens live here; the service says only that it is short.
	pageLife = time.Hour
)

// delta answers one page of a round, or begins one.
func (q *request) delta(d *directory) answer {
	opt, err := parseOptions(q.query)
	if err != nil {
		return q.refuse(err)
	}
	if len(opt.others) > 0 {
		return q.refuse(badQuery("Request_UnsupportedQuery", "The query option '%s' is not supported by delta queries.", opt.others[0]))
	}
	if opt.skip != "" && opt.hasDelta {
		return q.refuse(badQuery("BadRequest", "A request can carry $skiptoken or $deltatoken, but not both."))
	}
	follows := opt.skip != "" || opt.hasDelta && opt.delta != "" && !strings.EqualFold(opt.delta, "latest")
	if follows && (opt.fields != nil || opt.hasFilter) {
		return q.refuse(badQuery("BadRequest", "Query options are part of the token and cannot be given beside it."))
	}
	if err := d.checkSelect(opt.fields, true); err != nil {
		return q.refuse(err)
	}
	var ids []string
	if opt.hasFilter {
		if ids, err = parseIDs(opt.filter); err != nil {
			return q.refuse(err)
		}
	}
	var c cursor
	switch {
	case opt.skip != "":
		if c, err = decodeCursor(q.t.identity().ID, opt.skip); err != nil || c.Page == 0 || c.List || c.Groups != (d.members != nil) {
			return q.refuse(badQuery("BadRequest", "The $skiptoken is badly formed."))
		}
		if q.pageExpired(d, c) {
			return q.fail(http.StatusBadRequest, "Directory_ExpiredPageToken", "The specified page token value has expired and can no longer be included in your request.")
		}
	case follows:
		if c, err = decodeCursor(q.t.identity().ID, opt.delta); err != nil || c.Page != 0 || c.List || c.Groups != (d.members != nil) {
			return q.refuse(badQuery("BadRequest", "The $deltatoken is badly formed."))
		}
		if q.deltaExpired(d, c) {
			return q.reject(d, c)
		}
		c = q.begin(d, cursor{Since: c.Since, Select: c.Select, IDs: c.IDs})
	default:
		c = q.begin(d, cursor{First: true, Select: opt.fields, IDs: ids})
		if opt.delta != "" { // "latest": only the link
			c.Pos, c.Strangers = ^uint32(0), 0
		}
	}
	return q.page(d, c)
}

// begin fixes the bounds of a round.
func (q *request) begin(d *directory, c cursor) cursor {
	f := &q.t.Faults
	d.round++
	c.Page, c.Groups = 1, d.members != nil
	c.End = max(q.t.visible(d, q.now), c.Since)
	if c.First {
		c.Strangers = uint32(max(f.Strangers, 0))
	} else {
		c.Base = c.Since
		c.Since -= min(c.Since, uint32(max(f.Replay, 0)))
	}
	if f.Shuffle {
		c.Order = mix(f.Seed^d.round) | 1
	}
	return c
}

// visible is the position of the log up to which changes can be seen by now.
func (t *Tenant) visible(d *directory, now time.Time) uint32 {
	log, f := d.log, &t.Faults
	n := len(log)
	lag := f.Lag
	if f.Spread > 0 {
		lag += time.Duration(mix(f.Seed^uint64(t.requests.Total+t.requests.Inner)*0x9e3779b97f4a7c15) % uint64(f.Spread+1))
	}
	if lag > 0 {
		limit := now.Add(-lag).UnixNano()
		n = sort.Search(n, func(i int) bool { return log[i].at > limit })
	}
	if f.LagRounds > 0 {
		n = sort.Search(n, func(i int) bool { return log[i].round+uint64(f.LagRounds) >= d.round })
	}
	return uint32(n)
}

func (q *request) pageExpired(d *directory, c cursor) bool {
	f := &q.t.Faults
	if f.ExpirePage > 0 && c.Page == f.ExpirePage && (f.ExpirePageTimes == 0 || q.t.expired < f.ExpirePageTimes) {
		q.t.expired++
		return true
	}
	life := f.PageLife
	if life == 0 {
		life = pageLife
	}
	return q.older(c, life) || int64(c.End) > int64(len(d.log))
}

func (q *request) deltaExpired(d *directory, c cursor) bool {
	f := &q.t.Faults
	life := f.DeltaLife
	if life == 0 {
		life = deltaLife
	}
	// A token from beyond the log was made by an earlier life of this tenant, which nobody remembers.
	return f.RejectDelta || q.older(c, life) || int64(c.Since) > int64(len(d.log))
}

func (q *request) older(c cursor, life time.Duration) bool {
	return q.now.Sub(time.UnixMilli(c.Issued)) > life
}

// reject refuses an expired delta token in the shape that is set.
func (q *request) reject(d *directory, c cursor) answer {
	const gone = "The sync state generation is not found. The delta token is expired and data must be synchronized again."
	initial := q.base() + "/v1.0/" + d.set() + "/delta?"
	switch q.t.Faults.Rejection {
	case Gone:
		a := q.fail(http.StatusGone, "syncStateNotFound", gone)
		a.header = http.Header{"Location": {initial + "$deltatoken="}}
		return a
	case GoneResync:
		a := q.fail(http.StatusGone, "resyncRequired", "Resync required. Replace any local items with the server's version.")
		if c.Select != nil {
			initial += "$select=" + url.QueryEscape(strings.Join(append(slices.Clone(c.Select), "id"), ","))
		}
		a.header = http.Header{"Location": {initial}}
		return a
	case GoneNoLocation:
		return q.fail(http.StatusGone, "SyncStateNotFound", "The sync state generation is not found; generation=149;[highest=157].")
	case GoneNested:
		b := appendString([]byte(`{"error":{"code":"badRequest","message":`), gone)
		b = appendString(append(b, `,"innererror":{"code":"syncStateNotFound","innererror":{"code":"resyncRequired"},"request-id":`...), q.id)
		return answer{status: http.StatusGone, body: append(b, `}}}`...)}
	case UnsupportedQuery:
		return q.fail(http.StatusBadRequest, "Request_UnsupportedQuery", "DeltaLink older than 30 days is not supported.")
	default:
		return q.fail(http.StatusBadRequest, "syncStateNotFound", gone)
	}
}

// page writes the page at which c stands.
func (q *request) page(d *directory, c cursor) answer {
	f := &q.t.Faults
	prefer := parsePrefer(q.r.Header.Values("Prefer"))
	sel := d.choose(c.Select, true)
	r := row{sel: &sel, since: c.Since, base: c.Base, first: c.First, view: max(q.t.visible(d, q.now), c.End),
		minimal: prefer.minimal, limited: f.Limited, extras: f.Extras, types: q.t.extensionTypes(),
		who: q.t.who, shut: !q.mayReadHidden()}
	w := walk{d: d, c: c, rows: r, repeat: f.Repeat, older: f.OlderFirst, size: q.pageSize(prefer, c)}
	w.room, w.share, w.late = q.linkRoom(prefer, c), 0, f.Interleave
	if f.Interleave {
		w.share = max(1, w.room/3)
	}
	w.candidates()

	b, _ := q.t.buffers.Get().([]byte)
	b = append(append(b[:0], `{"@odata.context":"`...), q.base()...)
	context := sel.context()
	if f.Extras {
		context = "directoryObjects" // the service, too, gets it wrong now and then
	}
	b = append(append(b, `/v1.0/$metadata#`...), context...)
	b = append(b, `",`...)
	if f.Extras {
		b = append(b, `"@microsoft.graph.tips":"Use $select to choose only the properties your app needs.",`...)
	}
	b = append(b, `"value":[`...)
	b = w.fill(b)
	b = append(b, `],`...)
	b, err := q.appendLink(b, c, &w)
	if err != nil {
		return q.fail(http.StatusInternalServerError, "generalException", err.Error())
	}
	a := answer{status: http.StatusOK, body: append(b, '}')}
	var applied []string
	if prefer.page > 0 {
		applied = append(applied, "odata.maxpagesize="+itoa(min(prefer.page, maxPage)))
	}
	if prefer.minimal {
		applied = append(applied, "return=minimal")
	}
	if applied != nil {
		a.header = http.Header{"Preference-Applied": {strings.Join(applied, ",")}}
	}
	return a
}

// pageSize is how many rows a page has at most; zero makes an empty page.
func (q *request) pageSize(prefer preferences, c cursor) int {
	f := &q.t.Faults
	if f.EmptyPages > 0 && c.Page%f.EmptyPages == 0 && c.Page > 0 {
		return 0
	}
	size := maxPage
	if f.PageSize > 0 {
		size = min(size, f.PageSize)
	}
	if prefer.page > 0 {
		size = min(size, prefer.page)
	}
	if f.VaryPages {
		size = 1 + int(mix(f.Seed+uint64(c.Page)*0x9e3779b97f4a7c15)%uint64(size))
	}
	return size
}

// linkRoom is how many links to members a page has at most.
func (q *request) linkRoom(prefer preferences, c cursor) int {
	f := &q.t.Faults
	room := maxLinks
	if f.LinkPage > 0 {
		room = min(room, f.LinkPage)
	}
	if prefer.page > 0 {
		room = min(room, prefer.page)
	}
	if f.VaryPages {
		room = 1 + int(mix(f.Seed+uint64(c.Page)*0xd1342543de82ef95)%uint64(room))
	}
	return room
}

// appendLink ends a page with the link to the next one or, when the round is over, to the next round.
func (q *request) appendLink(b []byte, from cursor, w *walk) ([]byte, error) {
	f := &q.t.Faults
	name, param, to := `"@odata.nextLink":"`, "$skiptoken=", w.c
	switch {
	case f.Loop > 0 && from.Page >= f.Loop:
		if to = from; to.Issued == 0 {
			to.Issued = q.now.UnixMilli()
		}
	case w.done():
		name, param = `"@odata.deltaLink":"`, "$deltatoken="
		to = cursor{Groups: from.Groups, Since: from.End, Select: from.Select, IDs: from.IDs, Issued: q.now.UnixMilli()}
	default:
		to.Page++
		to.Issued = q.now.UnixMilli()
	}
	token, err := encodeCursor(q.t.identity().ID, to, f.TokenPadding)
	if err != nil {
		return nil, err
	}
	b = append(append(b, name...), or(f.ForeignLinks, q.base())...)
	b = append(append(append(append(b, `/v1.0/`...), w.d.set()...), `/delta?`...), param...)
	return append(append(b, token...), '"'), nil
}
