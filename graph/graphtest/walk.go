package graphtest

import (
	"slices"
	"sort"
	"strconv"
)

// walk fills one page with the candidates of a round. The candidates of a first round are all objects made before it
// began, those of any other the entries of the log since the last one; either way a row shows its object as it is when
// the page is made, so that there is no snapshot, just as in the service.
type walk struct {
	d    *directory
	c    cursor // moves on as the page fills
	rows row
	size int
	// room is how many links to members the page has left; a row takes at most share of them, when that is not zero.
	// Late lets new objects come before the rest of those that did not fit on the page before.
	room, share int
	late        bool
	// repeat makes every so manieth candidate come again on the next page, older shows it before its last change at
	// the first time.
	repeat int
	older  bool

	objects uint32   // candidates that are objects or entries
	total   uint32   // those and the strangers
	chosen  []uint32 // the objects of a filter, in order of creation
	again   []uint32 // to be repeated on the next page
	parts   []part   // to be continued there
	n       int      // rows on the page
}

// candidates counts them.
func (w *walk) candidates() {
	d := w.d
	switch {
	case w.c.IDs != nil:
		for _, id := range w.c.IDs {
			if i, ok := d.byID[id]; ok && d.objects[i].created <= w.c.End {
				w.chosen = append(w.chosen, i)
			}
		}
		slices.Sort(w.chosen)
		w.objects = uint32(len(w.chosen))
		if !w.c.First {
			w.objects = w.c.End - w.c.Since
		}
	case w.c.First:
		w.objects = uint32(sort.Search(len(d.objects), func(i int) bool { return d.objects[i].created > w.c.End }))
	default:
		w.objects = w.c.End - w.c.Since
	}
	w.total = w.objects + w.c.Strangers
	w.c.Pos = min(w.c.Pos, w.total)
}

func (w *walk) done() bool {
	return w.c.Pos >= w.total && len(w.again) == 0 && len(w.parts) == 0 && w.size > 0
}

// part is a group of whose members some did not fit, and the link to go on with.
type part struct {
	Group uint32 `json:"g"`
	From  uint32 `json:"f"`
}

// manyParts is how many unfinished groups make a page go on with them before it begins others.
const manyParts = 8

// fill appends the rows of the page. Repeated rows come first and are never repeated again; the rest of groups that did
// not fit on the page before comes before what is new, or, where they are to be interleaved, after it.
func (w *walk) fill(b []byte) []byte {
	if w.size == 0 {
		return b // what is to be repeated or continued stays in the cursor
	}
	for _, i := range w.c.Again {
		switch {
		case int(i) >= len(w.d.objects): // a token of an earlier life of this tenant
		case w.full():
			w.again = append(w.again, i)
		default:
			b = w.add(b, part{Group: i}, &w.rows)
		}
	}
	late := w.late && len(w.c.Parts) < manyParts
	if !late {
		b = w.resume(b)
	}
	for ; w.c.Pos < w.total && !w.full(); w.c.Pos++ {
		i, stranger, ok := w.candidate(w.shuffled(w.c.Pos))
		switch {
		case !ok:
		case stranger:
			b = append(w.d.appendTombstone(b, guid("stranger", strconv.Itoa(int(i))), i%2 == 0, w.rows.extras), ',')
			w.n++
		case w.repeat > 0 && int(w.c.Pos+1)%w.repeat == 0:
			b = w.first(b, i)
			w.again = append(w.again, i)
		default:
			b = w.add(b, part{Group: i}, &w.rows)
		}
	}
	if late {
		b = w.resume(b)
	}
	w.c.Again, w.c.Parts = w.again, w.parts
	if w.n > 0 {
		b = b[:len(b)-1] // the comma after the last row
	}
	return b
}

// full tells whether nothing more fits on the page. Where there are members to tell of, that is also when there is no
// room for a single link.
func (w *walk) full() bool {
	return w.n == w.size || w.d.members != nil && w.room == 0
}

// resume goes on with the groups that did not fit on the page before.
func (w *walk) resume(b []byte) []byte {
	for _, p := range w.c.Parts {
		switch {
		case int(p.Group) >= len(w.d.objects):
		case w.full():
			w.parts = append(w.parts, p)
		default:
			b = w.add(b, p, &w.rows)
		}
	}
	return b
}

// add appends a row, of a group from a link on; what does not fit is kept for the next page.
func (w *walk) add(b []byte, p part, r *row) []byte {
	b, s := w.row(b, p, r, false)
	if s.more {
		w.parts = append(w.parts, part{p.Group, s.next})
	}
	return b
}

// row appends a row.
func (w *walk) row(b []byte, p part, r *row, contrary bool) ([]byte, slice) {
	s := slice{group: p.Group, from: p.From, room: w.room, contrary: contrary}
	if w.share > 0 {
		s.room = min(s.room, w.share)
	}
	of := &s
	if w.d.members == nil {
		of = nil
	}
	out, ok := w.d.appendObject(b, &w.d.objects[p.Group], r, of)
	if !ok {
		return b, slice{}
	}
	w.n++
	w.room -= s.used
	return append(out, ','), s
}

// first appends the first of two deliveries of an object, which may show it as it was before its last change, and
// members who turned more than once as they are not. Whatever does not fit is left to the second.
func (w *walk) first(b []byte, i uint32) []byte {
	r := w.rows
	if w.older {
		r.scalars = w.before(&w.d.objects[i])
	}
	b, _ = w.row(b, part{Group: i}, &r, w.older && !r.first)
	return b
}

// shuffled maps the positions of a round onto themselves: p to a*p+c modulo their number, where a has no factor in
// common with it, so that each comes exactly once.
func (w *walk) shuffled(p uint32) uint32 {
	if w.c.Order == 0 || w.total < 2 {
		return p
	}
	n := uint64(w.total)
	a := w.c.Order%n | 1
	for gcd(a, n) != 1 {
		a += 2
	}
	return uint32((a%n*uint64(p) + w.c.Order>>32) % n)
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// candidate returns the object at position p, or the number of a stranger, or that there is nothing to tell there.
// Half of the strangers come before the objects and half after.
func (w *walk) candidate(p uint32) (i uint32, stranger, ok bool) {
	front := (w.c.Strangers + 1) / 2
	switch {
	case p < front:
		return p, true, true
	case p-front >= w.objects:
		return p - w.objects, true, true
	}
	p -= front
	if !w.c.First {
		return w.entry(w.c.Since + p + 1)
	}
	if w.chosen != nil || w.c.IDs != nil {
		return w.chosen[p], false, true
	}
	return p, false, true
}

// entry returns the object of the entry at position p if that is its last one in the round that anybody asked for.
func (w *walk) entry(p uint32) (i uint32, stranger, ok bool) {
	d := w.d
	i = d.log[p-1].object
	if w.c.IDs != nil && !slices.Contains(w.chosen, i) {
		return 0, false, false
	}
	for last := d.objects[i].last; last >= p; last = d.log[last-1].prev {
		if last <= w.c.End && w.relevant(&d.log[last-1]) {
			return i, false, last == p
		}
	}
	return 0, false, false
}

// relevant tells whether an entry surfaces its object: a change does only when it touches what was selected.
func (w *walk) relevant(e *entry) bool {
	switch e.kind {
	case changed:
	case linked:
		return w.rows.sel.members
	default:
		return true
	}
	for _, old := range e.old {
		if w.rows.sel.wants(w.d, old.prop) {
			return true
		}
	}
	return false
}

// before is the position of the log just before the object's last visible change. It is the present one if the object
// never changed, and also if that change was told by an earlier round already: a round that is begun again need not
// replay the object, and then nothing would put the older state right.
func (w *walk) before(o *object) uint32 {
	for p := o.last; p > w.c.Base; p = w.d.log[p-1].prev {
		if p > w.rows.view || w.d.log[p-1].kind == linked {
			continue
		}
		if w.d.log[p-1].kind == changed {
			return p - 1
		}
		break
	}
	return w.rows.view
}

// mix scrambles a number (the finalizer of splitmix64).
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

func itoa(n int) string { return strconv.Itoa(n) }
