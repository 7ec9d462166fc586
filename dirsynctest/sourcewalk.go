package dirsynctest

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"dirsync"
)

// converges makes random changes between and within rounds, loses cursors, and resumes anywhere. Whoever reads by the
// contract must know everybody in the end: those who were read once and not reported gone, or looked up when a full
// round did not mention them.
func (t *sourceTest) converges() {
	for seed := range uint64(20) { // one after the other in one tenant
		t.T.Run(fmt.Sprint(seed), func(tt *testing.T) {
			w := &walker{sourceTest: &sourceTest{T: tt, SourceFixture: t.SourceFixture, want: t.want},
				rand: rand.New(rand.NewPCG(seed, 1)), got: shadow{}, base: int(seed) * 100,
				away: map[dirsync.ID]map[string]string{}, dead: map[dirsync.ID]bool{}}
			w.walk()
		})
	}
}

// walker reads a source that changes all the time.
type walker struct {
	*sourceTest
	rand       *rand.Rand
	got        shadow
	away       map[dirsync.ID]map[string]string // who was removed and can return, with what they had
	dead       map[dirsync.ID]bool              // who was purged
	base       int
	start, now dirsync.Cursor
	// seen are, in a full round, the people whom it mentioned (true), or mentioned without a value that is known of
	// them (false), which only a look-up can settle.
	seen map[dirsync.ID]bool
}

func (w *walker) walk() {
	for range 30 {
		for range w.rand.IntN(5) {
			w.change()
		}
		switch w.rand.IntN(12) {
		case 0:
			w.ExpirePages()
		case 1:
			w.ExpireCursors()
		}
		w.step(1 + w.rand.IntN(4))
	}
	// When everything is quiet, the round under way and one more must be enough.
	for range 1000 {
		if w.now == w.start && w.now != "" {
			break
		}
		w.step(1000)
	}
	w.step(-1)
	w.same(w.got)
}

func (w *walker) change() {
	n := w.base + w.rand.IntN(12)
	id := personID(n)
	had, away := w.away[id]
	_, there := w.want[id]
	switch roll := w.rand.IntN(8); {
	case w.dead[id]:
	case away && roll == 0:
		w.Purge(id)
		w.dead[id] = true
		delete(w.away, id)
	case away && roll < 4:
		w.Put(id, nil)
		w.want[id] = had
		delete(w.away, id)
	case away:
	case there && roll < 2:
		w.away[id] = w.remove(n)
	case roll < 4:
		w.put(n, map[string]any{"displayName": fmt.Sprintf("Person %d.%d", n, roll), w.Second: nil})
	default:
		w.put(n, map[string]any{"displayName": fmt.Sprintf("Person %d", n), w.Second: []string{"Sales", "Support", "Ops"}[roll%3]})
	}
}

// step reads up to a number of pages, or a round to its end without changes if that is negative. It does what an engine
// does: it keeps the cursor with each page, begins the round again when a page has expired, and everything when the
// cursor has.
func (w *walker) step(pages int) {
	stop, quiet := errors.New("stop"), pages < 0 || pages >= 1000
	if w.now == "" {
		w.seen = map[dirsync.ID]bool{}
	}
	err := w.Source.Read(w.Context(), w.now, func(p dirsync.Page) error {
		w.wellFormed(p)
		w.meet(p.Records)
		w.got.take(p.Records)
		w.now = p.Next
		if p.Complete {
			w.start = p.Next
			w.confirm()
			return nil
		}
		if pages--; pages == 0 {
			return stop
		}
		if !quiet && w.rand.IntN(3) == 0 {
			w.change()
		}
		return nil
	})
	switch {
	case err == nil, err == stop:
	case errors.Is(err, dirsync.ErrPageExpired):
		w.now = w.start
	case errors.Is(err, dirsync.ErrCursorExpired):
		w.now, w.start = "", ""
	default:
		w.Fatal(err)
	}
}

// meet notes whom a full round mentions.
func (w *walker) meet(records []dirsync.Record) {
	if w.seen == nil {
		return
	}
	for _, r := range records {
		if r.Gone != dirsync.Present {
			delete(w.seen, r.ID)
			continue
		}
		sure, met := w.seen[r.ID]
		w.seen[r.ID] = sure || !met
		for name := range w.got[r.ID] {
			if _, said := r.Attrs.Get(name); !said && !r.Whole {
				w.seen[r.ID] = false
			}
		}
	}
}

// confirm looks up everybody whom a full round has left in doubt.
func (w *walker) confirm() {
	if w.seen == nil {
		return
	}
	var ids []dirsync.ID
	for _, id := range slices.Sorted(maps.Keys(w.got)) {
		if !w.seen[id] {
			ids = append(ids, id)
		}
	}
	w.seen = nil
	err := w.Source.LookUp(w.Context(), ids, func(r dirsync.Record) error {
		w.got.take([]dirsync.Record{r})
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
}
