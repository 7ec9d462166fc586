package dirsynctest

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"dirsync"
	"dirsync/sync/engine"
)

// Store is an engine.Store that lives in memory: the plainest thing that keeps the promises of the interface, so that
// it can serve as the model against which other stores are tested, and as the store under the engine's own tests.
// Make one with NewStore. It copies everything that goes in or out, and it may be used from several goroutines.
type Store struct {
	// Fault, when set, is asked at the start of every method, with the method's name: "Merge". A first error makes the
	// call fail without effect, a second one makes it fail having taken effect. Set it before the store is used, or
	// from within itself; it is called without the lock held, and may look at the store.
	Fault func(op string) (before, after error)

	mu      sync.Mutex
	state   dirsync.ReadState
	people  []*person // the person with Seq n is people[n-1]
	ids     map[dirsync.ID]*person
	mark    uint64
	runs    map[dirsync.RunID]*run
	lastRun dirsync.RunID
	safety
}

var _ engine.Store = (*Store)(nil)

// person is a Person and what else is remembered of them.
type person struct {
	dirsync.Person
	rejection *dirsync.Rejection
	differs   bool
	seen      uint64 // the round that last mentioned them while everybody was read; 0: none
	unsure    bool   // whether that mention left out what the shadow holds
	noted     bool   // whether a round that may have to be redone mentioned them
}

type run struct {
	dirsync.Run
	plan     map[dirsync.PlanKey]dirsync.Change
	outcomes map[dirsync.PlanKey]dirsync.Outcome
	progress dirsync.PlanKey
}

// NewStore returns an empty store.
func NewStore() *Store {
	return &Store{ids: map[dirsync.ID]*person{}, runs: map[dirsync.RunID]*run{}}
}

// do runs one method under the lock, as Fault wants it.
func (s *Store) do(ctx context.Context, op string, fn func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var after error
	if s.Fault != nil {
		var before error
		if before, after = s.Fault(op); before != nil {
			return before
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := fn(); err != nil {
		return err
	}
	return after
}

// ReadState implements engine.Reading.
func (s *Store) ReadState(ctx context.Context) (state dirsync.ReadState, err error) {
	err = s.do(ctx, "ReadState", func() error { state = s.state; return nil })
	return state, err
}

// SetReadState implements engine.Reading.
func (s *Store) SetReadState(ctx context.Context, state dirsync.ReadState) error {
	return s.do(ctx, "SetReadState", func() error { s.state = state; return nil })
}

// Merge implements engine.Reading.
func (s *Store) Merge(ctx context.Context, records []dirsync.Record, state dirsync.ReadState, now time.Time) (m dirsync.Merged, err error) {
	err = s.do(ctx, "Merge", func() error {
		s.mark++
		if !state.Full && !state.Open && !state.Redo {
			s.forgetNoted()
		}
		for _, r := range records {
			s.merge(r, state, now, &m)
			s.note(r, state)
		}
		s.state = state
		return nil
	})
	if err != nil {
		return dirsync.Merged{}, err
	}
	return m, nil
}

func (s *Store) merge(r dirsync.Record, state dirsync.ReadState, now time.Time, m *dirsync.Merged) {
	p := s.ids[r.ID]
	switch {
	case r.Gone != dirsync.Present && p == nil:
		m.Unknown++
		return
	case r.Gone != dirsync.Present && p.Gone != dirsync.Present:
		p.Gone = max(p.Gone, r.Gone)
		m.Same++
		return
	case r.Gone != dirsync.Present:
		p.Gone, p.GoneAt = r.Gone, now
		s.owe(p, dirsync.WhyRecord, now)
		m.Removed++
		return
	case p == nil:
		p = &person{Person: dirsync.Person{Seq: dirsync.Seq(len(s.people) + 1), ID: r.ID, Kind: r.Kind}}
		s.people, s.ids[r.ID] = append(s.people, p), p
		p.Shadow = cloneAttributes(r.Attrs)
		s.owe(p, dirsync.WhyRecord, now)
		m.Added++
		s.see(p, r.Whole, false, state)
		return
	}
	unsaid := p.Shadow.Unsaid(r.Attrs, state.AskedFor())
	shadow := cloneAttributes(r.Attrs)
	if !r.Whole {
		shadow = p.Shadow.Merge(shadow)
	}
	if p.Gone != dirsync.Present || !shadow.Equal(p.Shadow) {
		p.Shadow, p.Gone, p.GoneAt = shadow, dirsync.Present, time.Time{}
		s.owe(p, dirsync.WhyRecord, now)
		m.Changed++
	} else {
		m.Same++
	}
	s.see(p, r.Whole, unsaid, state)
}

// see notes that a present person was mentioned.
func (s *Store) see(p *person, whole, unsaid bool, state dirsync.ReadState) {
	if !state.Full {
		return
	}
	if p.seen != state.Round {
		p.seen, p.unsure = state.Round, false
	}
	p.unsure = !whole && (p.unsure || unsaid)
}

// note keeps in mind whom a round mentions that is not of everybody. s.state is still the state before the batch.
func (s *Store) note(r dirsync.Record, state dirsync.ReadState) {
	p := s.ids[r.ID]
	switch completing := !state.Open && s.state.Open; {
	case p == nil || state.Full:
	case state.Open || state.Redo && completing:
		p.noted = true
	case r.Whole || r.Gone != dirsync.Present:
		p.noted = false
	}
}

func (s *Store) forgetNoted() {
	for _, p := range s.people {
		p.noted = false
	}
}

// redone tells whether the last round is complete, was not of everybody, and was begun more than once.
func redone(state dirsync.ReadState) bool { return state.Redo && !state.Full && !state.Open }

// owe gives p a new debt, or a new mark to the one that stands.
func (s *Store) owe(p *person, why dirsync.Why, now time.Time) {
	if p.Owed.Mark == 0 {
		p.Owed.Since = now
	}
	p.Owed.Mark, p.Owed.Why, p.Owed.Due = s.mark, why, time.Time{}
}

// Unconfirmed implements engine.Reading.
func (s *Store) Unconfirmed(ctx context.Context, round uint64, after dirsync.Seq, limit int) (out []dirsync.Candidate, err error) {
	err = s.do(ctx, "Unconfirmed", func() error {
		for p := range s.from(after) {
			if len(out) == limit {
				return nil
			}
			doubtful := p.Gone == dirsync.Present && (p.seen != round || p.unsure)
			if redone(s.state) {
				doubtful = p.noted
			}
			if doubtful {
				out = append(out, dirsync.Candidate{Seq: p.Seq, ID: p.ID, Kind: p.Kind})
			}
		}
		return nil
	})
	return out, err
}

// from walks the people after a Seq.
func (s *Store) from(after dirsync.Seq) func(func(*person) bool) {
	return func(yield func(*person) bool) {
		for i := int(after); i < len(s.people); i++ {
			if !yield(s.people[i]) {
				return
			}
		}
	}
}

// EndRound implements engine.Reading.
func (s *Store) EndRound(ctx context.Context, state dirsync.ReadState) error {
	return s.do(ctx, "EndRound", func() error {
		for _, p := range s.people {
			p.seen, p.unsure = 0, false
		}
		s.forgetNoted()
		s.state = state
		return nil
	})
}

// OweAll implements engine.Planning.
func (s *Store) OweAll(ctx context.Context, why dirsync.Why, state dirsync.ReadState, now time.Time) error {
	return s.do(ctx, "OweAll", func() error {
		s.mark++
		for _, p := range s.people {
			s.owe(p, why, now)
		}
		s.state = state
		return nil
	})
}

// Owed implements engine.Planning.
func (s *Store) Owed(ctx context.Context, now time.Time, after dirsync.Seq, limit int) (out []dirsync.Person, err error) {
	err = s.do(ctx, "Owed", func() error {
		for p := range s.from(after) {
			if len(out) == limit {
				return nil
			}
			if p.Owed.Mark != 0 && !p.Owed.Due.After(now) {
				out = append(out, clonePerson(p.Person))
			}
		}
		return nil
	})
	return out, err
}

// Totals implements engine.Journal.
func (s *Store) Totals(ctx context.Context) (t dirsync.Totals, err error) {
	err = s.do(ctx, "Totals", func() error {
		for _, p := range s.people {
			if p.Gone == dirsync.Present {
				t.People++
			} else {
				t.Gone++
			}
			switch {
			case p.Link.Account == "":
			case p.Link.Active:
				t.Active++
			default:
				t.Inactive++
			}
			if p.rejection != nil {
				t.Rejected++
			}
			if p.Owed.Mark != 0 {
				t.Owed++
			}
			if p.differs {
				t.Differing++
			}
			if p.Owed.Mark != 0 && p.Owed.Attempts != 0 {
				t.Failing++
			}
		}
		t.Kept = s.kept()
		return nil
	})
	return t, err
}

// Person implements engine.Journal.
func (s *Store) Person(ctx context.Context, id dirsync.ID) (out dirsync.Person, err error) {
	err = s.do(ctx, "Person", func() error {
		p := s.ids[id]
		if p == nil {
			return &dirsync.Error{Op: "find person", ID: id, Kind: dirsync.NotFound}
		}
		out = clonePerson(p.Person)
		return nil
	})
	return out, err
}

// People implements engine.Journal.
func (s *Store) People(ctx context.Context, after dirsync.Seq, limit int) (out []dirsync.Person, err error) {
	err = s.do(ctx, "People", func() error {
		for p := range s.from(after) {
			if len(out) == limit {
				return nil
			}
			out = append(out, clonePerson(p.Person))
		}
		return nil
	})
	return out, err
}

// Rejections implements engine.Journal.
func (s *Store) Rejections(ctx context.Context, after dirsync.Seq, limit int) (out []dirsync.Rejection, last dirsync.Seq, err error) {
	last = after
	err = s.do(ctx, "Rejections", func() error {
		for p := range s.from(after) {
			if len(out) == limit {
				return nil
			}
			if p.rejection != nil {
				out, last = append(out, cloneRejection(*p.rejection)), p.Seq
			}
		}
		return nil
	})
	return out, last, err
}

func cloneAttributes(as dirsync.Attributes) dirsync.Attributes {
	out := make(dirsync.Attributes, len(as))
	for i, a := range as {
		out[i] = dirsync.Attribute{Name: a.Name, Raw: append(json.RawMessage{}, a.Raw...)}
	}
	return out
}

func clonePerson(p dirsync.Person) dirsync.Person {
	p.Shadow = cloneAttributes(p.Shadow)
	p.Link = cloneLink(p.Link)
	return p
}

func cloneLink(l dirsync.Link) dirsync.Link {
	l.Held = slices.Clone(l.Held)
	return l
}

func cloneRejection(r dirsync.Rejection) dirsync.Rejection {
	r.Faults = slices.Clone(r.Faults)
	return r
}

func cloneChange(c dirsync.Change) dirsync.Change {
	c.Before, c.After, c.CreateOnly = slices.Clone(c.Before), slices.Clone(c.After), slices.Clone(c.CreateOnly)
	return c
}

func cloneRun(r dirsync.Run) dirsync.Run {
	r.Holds, r.Warnings, r.Notes = slices.Clone(r.Holds), slices.Clone(r.Warnings), slices.Clone(r.Notes)
	if r.Groups != nil {
		groups := *r.Groups
		groups.Holds = slices.Clone(groups.Holds)
		r.Groups = &groups
	}
	return r
}
