package dirsynctest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"dirsync"
)

// Source is a dirsync.Source that lives in memory and behaves like a directory service on a bad day: rounds without a
// snapshot, rows that come twice, tombstones of strangers, empty pages, cursors that expire, values that a full round
// leaves out because they are empty. Make one with NewSource. It may be used from several goroutines.
type Source struct {
	// Fault, when set, is asked before each page ("Read") and each look-up ("LookUp"). A first error fails the call
	// before the page is delivered, a second one right after it was.
	Fault func(op string) (before, after error)
	// PageSize is the number of rows of a page; zero means 3.
	PageSize int
	// FromNow makes a round from the zero Cursor tell of nobody: it is complete at once, and the next one tells what has
	// changed since. It is what a source does whose people are looked up because they are in a group.
	FromNow bool

	mu      sync.Mutex
	rand    *rand.Rand // nil: kind
	objects map[dirsync.ID]*object
	clock   uint64 // counts changes
	epoch   int    // of delta cursors
	pages   int    // epoch of page cursors
	sent    int
}

var (
	_ dirsync.Source         = (*Source)(nil)
	_ dirsync.RequestCounter = (*Source)(nil)
)

type object struct {
	id      dirsync.ID
	attrs   map[string]any // nil value: cleared
	gone    dirsync.Gone
	goneAt  uint64
	changed uint64
}

// position is what a cursor of this source says.
type position struct {
	Epoch, Pages int
	Start        uint64 // the clock when the round began
	At           uint64 // everything changed up to here was delivered
	Full, Middle bool
}

// NewSource returns an empty source. With a seed other than zero it is unkind in ways that the seed decides.
func NewSource(seed uint64) *Source {
	s := &Source{objects: map[dirsync.ID]*object{}}
	if seed != 0 {
		s.rand = rand.New(rand.NewPCG(seed, 0))
	}
	return s
}

// Put adds a person, changes some attributes of one (nil clears), or brings one back.
func (s *Source) Put(id dirsync.ID, attrs map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[id]
	if o == nil {
		o = &object{id: id, attrs: map[string]any{}}
		s.objects[id] = o
	}
	for k, v := range attrs {
		o.attrs[k] = v
	}
	o.gone = dirsync.Present
	s.touch(o)
}

// Remove deletes a person, softly first and for good the second time.
func (s *Source) Remove(id dirsync.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.objects[id]; o != nil && o.gone != dirsync.GoneHard {
		o.gone++
		s.touch(o)
		o.goneAt = s.clock
	}
}

// ExpireCursors makes every cursor given out so far unknown.
func (s *Source) ExpireCursors() { s.mu.Lock(); s.epoch++; s.mu.Unlock() }

// ExpirePages makes every cursor from the middle of a round unknown.
func (s *Source) ExpirePages() { s.mu.Lock(); s.pages++; s.mu.Unlock() }

func (s *Source) touch(o *object) {
	s.clock++
	o.changed = s.clock
}

// Attrs returns a person's attributes, and whether they are there.
func (s *Source) Attrs(id dirsync.ID) (map[string]any, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[id]
	if o == nil || o.gone != dirsync.Present {
		return nil, false
	}
	return o.attrs, true
}

// Deleted tells whether somebody was deleted and can be restored.
func (s *Source) Deleted(id dirsync.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[id]
	return o != nil && o.gone == dirsync.GoneSoft
}

// IDs lists everybody who was ever there, in order.
func (s *Source) IDs() []dirsync.ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []dirsync.ID
	for id := range s.objects {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Name implements dirsync.Source.
func (s *Source) Name() string { return "test source" }

// Fields implements dirsync.Source.
func (s *Source) Fields(context.Context) ([]dirsync.Field, error) {
	return []dirsync.Field{
		{Name: "displayName", Type: dirsync.Text}, {Name: "givenName", Type: dirsync.Text}, {Name: "surname", Type: dirsync.Text},
		{Name: "mail", Type: dirsync.Email}, {Name: "department", Type: dirsync.Text}, {Name: "accountEnabled", Type: dirsync.Boolean},
	}, nil
}

// Requests implements dirsync.RequestCounter.
func (s *Source) Requests() int { s.mu.Lock(); defer s.mu.Unlock(); return s.sent }

// Read implements dirsync.Source.
func (s *Source) Read(ctx context.Context, since dirsync.Cursor, fn func(dirsync.Page) error) error {
	pos, err := s.parse(since)
	if err != nil {
		return err
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		before, after := s.fault("Read")
		if before != nil {
			return before
		}
		page := s.page(&pos)
		if err := fn(page); err != nil {
			return err
		}
		if after != nil {
			return after
		}
		if page.Complete {
			return nil
		}
	}
}

func (s *Source) parse(since dirsync.Cursor) (position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if since == "" && s.FromNow {
		return position{Epoch: s.epoch, Pages: s.pages, Start: s.clock, At: s.clock}, nil
	}
	if since == "" {
		return position{Epoch: s.epoch, Pages: s.pages, Start: s.clock, Full: true}, nil
	}
	var pos position
	if err := json.Unmarshal([]byte(since), &pos); err != nil {
		return pos, &dirsync.Error{Op: "read users", Kind: dirsync.Invalid, Err: fmt.Errorf("cursor: %w", err)}
	}
	switch {
	case pos.Middle && pos.Pages != s.pages:
		return pos, dirsync.ErrPageExpired
	case pos.Epoch != s.epoch:
		return pos, dirsync.ErrCursorExpired
	case !pos.Middle:
		pos.Pages, pos.Start = s.pages, s.clock
	}
	return pos, nil
}

// page makes the page after pos and moves pos behind it.
func (s *Source) page(pos *position) dirsync.Page {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []*object
	for _, o := range s.objects {
		// Whoever was deleted before a full round began is never mentioned in it.
		if o.changed > pos.At && !(pos.Full && o.gone != dirsync.Present && o.goneAt <= pos.Start) {
			due = append(due, o)
		}
	}
	slices.SortFunc(due, func(a, b *object) int { return cmp.Compare(a.changed, b.changed) })
	size := s.PageSize
	if size == 0 {
		size = 3
	}
	var p dirsync.Page
	pos.Middle = true
	if s.chance(10) {
		due = due[:min(len(due), 0)] // an empty page that is not the last one
	} else {
		p.Complete = len(due) <= size
		due = due[:min(len(due), size)]
	}
	for _, o := range due {
		pos.At = o.changed
		p.Records = append(p.Records, o.record(false, pos.Full))
		if s.chance(10) {
			p.Records = append(p.Records, o.record(false, pos.Full))
		}
	}
	if s.chance(10) {
		p.Records = append(p.Records, dirsync.Record{ID: "stranger", Gone: dirsync.GoneHard})
	}
	if p.Complete {
		*pos = position{Epoch: s.epoch, At: pos.At}
		if s.chance(5) && pos.At > 0 {
			pos.At-- // the last change is told again in the next round
		}
	}
	next, _ := json.Marshal(*pos)
	p.Next = dirsync.Cursor(next)
	return p
}

func (s *Source) chance(percent int) bool { return s.rand != nil && s.rand.IntN(100) < percent }

func (s *Source) fault(op string) (before, after error) {
	s.mu.Lock()
	s.sent++
	s.mu.Unlock()
	if s.Fault != nil {
		return s.Fault(op)
	}
	return nil, nil
}

// LookUp implements dirsync.Source.
func (s *Source) LookUp(ctx context.Context, ids []dirsync.ID, fn func(dirsync.Record) error) error {
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return err
		}
		before, after := s.fault("LookUp")
		if before != nil {
			return before
		}
		s.mu.Lock()
		r := dirsync.Record{ID: id, Gone: dirsync.GoneHard}
		if o := s.objects[id]; o != nil {
			r = o.record(true, false)
		}
		s.mu.Unlock()
		if err := fn(r); err != nil {
			return err
		}
		if after != nil {
			return after
		}
	}
	return nil
}

// record is the object as a row. The rows of a full round leave out what is empty, as if it had never been set; all
// others say null.
func (o *object) record(whole, full bool) dirsync.Record {
	if o.gone != dirsync.Present {
		return dirsync.Record{ID: o.id, Gone: o.gone}
	}
	r := dirsync.Record{ID: o.id, Whole: whole}
	var attrs []dirsync.Attribute
	for name, v := range o.attrs {
		if v == nil && full {
			continue
		}
		raw, err := json.Marshal(v)
		if err != nil {
			raw = []byte("null")
		}
		attrs = append(attrs, dirsync.Attribute{Name: name, Raw: raw})
	}
	r.Attrs = dirsync.NewAttributes(attrs)
	return r
}

// String lists the people, for messages of failed tests.
func (s *Source) String() string {
	var b strings.Builder
	for _, id := range s.IDs() {
		s.mu.Lock()
		o := s.objects[id]
		fmt.Fprintf(&b, "%s: %v gone=%v\n", id, o.attrs, o.gone)
		s.mu.Unlock()
	}
	return b.String()
}
