package dirsynctest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"dirsync"
)

// Decide implements engine.Planning.
func (s *Store) Decide(ctx context.Context, id dirsync.RunID, decisions []dirsync.Decision) error {
	return s.do(ctx, "Decide", func() error {
		r, err := s.run(id)
		if err != nil {
			return err
		}
		for _, d := range decisions {
			if _, err := s.known("decide", d.Seq); err != nil {
				return err
			}
		}
		for _, d := range decisions {
			p, _ := s.known("decide", d.Seq)
			current := p.Owed.Mark != 0 && p.Owed.Mark == d.Mark
			switch {
			case d.Change != nil:
				r.plan[dirsync.PlanKey{Kind: d.Change.Kind, Seq: d.Seq}] = cloneChange(*d.Change)
			case !current:
			case d.Wait:
				p.Owed = next(p.Owed, d.Next)
			default:
				p.Owed = dirsync.Owed{}
			}
			p.differs = d.Differs
			p.rejection = nil
			if d.Rejection != nil {
				rejection := cloneRejection(*d.Rejection)
				p.rejection = &rejection
			}
		}
		return nil
	})
}

// next is what a debt becomes when somebody who acted on it says that it goes on.
func next(owed, to dirsync.Owed) dirsync.Owed {
	to.Mark = owed.Mark
	if to.Since.IsZero() {
		to.Since = owed.Since
	}
	return to
}

func (s *Store) known(op string, seq dirsync.Seq) (*person, error) {
	if seq < 1 || int(seq) > len(s.people) {
		return nil, &dirsync.Error{Op: fmt.Sprintf("%s: person %d", op, seq), Kind: dirsync.NotFound}
	}
	return s.people[seq-1], nil
}

func (s *Store) run(id dirsync.RunID) (*run, error) {
	r := s.runs[id]
	if r == nil {
		return nil, &dirsync.Error{Op: fmt.Sprintf("find run %d", id), Kind: dirsync.NotFound}
	}
	return r, nil
}

// keys returns the plan's keys in order.
func (r *run) keys() []dirsync.PlanKey {
	return slices.SortedFunc(maps.Keys(r.plan), comparePlanKeys)
}

func comparePlanKeys(a, b dirsync.PlanKey) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Seq, b.Seq))
}

// Plan implements engine.Applying.
func (s *Store) Plan(ctx context.Context, id dirsync.RunID, kind dirsync.ChangeKind, after dirsync.Seq, limit int) (out []dirsync.Change, err error) {
	err = s.do(ctx, "Plan", func() error {
		r, err := s.run(id)
		if err != nil {
			return err
		}
		for _, k := range r.keys() {
			if k.Kind == kind && k.Seq > after && len(out) < limit {
				out = append(out, cloneChange(r.plan[k]))
			}
		}
		return nil
	})
	return out, err
}

// Settle implements engine.Applying.
func (s *Store) Settle(ctx context.Context, id dirsync.RunID, outcomes []dirsync.Outcome, progress dirsync.PlanKey) error {
	return s.do(ctx, "Settle", func() error {
		r, err := s.run(id)
		if err != nil {
			return err
		}
		for _, o := range outcomes {
			if _, err := s.known("settle", o.Change.Seq); err != nil {
				return err
			}
		}
		s.mark++
		for _, o := range outcomes {
			p, _ := s.known("settle", o.Change.Seq)
			p.Link = cloneLink(o.Link)
			s.settleDebt(p, o)
			if o.Link.IsZero() || o.Result == dirsync.Done && o.Change.Kind == dirsync.Create {
				p.differs = o.Differs && !o.Link.IsZero()
			}
			switch {
			case o.Rejection != nil:
				rejection := cloneRejection(*o.Rejection)
				p.rejection = &rejection
			case o.Result == dirsync.Done:
				p.rejection = nil
			}
			kept := dirsync.Outcome{Result: o.Result, Error: o.Error}
			if o.Rejection != nil {
				rejection := cloneRejection(*o.Rejection)
				kept.Rejection = &rejection
			}
			r.outcomes[dirsync.PlanKey{Kind: o.Change.Kind, Seq: o.Change.Seq}] = kept
		}
		r.progress = progress
		return nil
	})
}

func (s *Store) settleDebt(p *person, o dirsync.Outcome) {
	switch {
	case p.Owed.Mark == 0 && o.Owed == nil:
	case p.Owed.Mark == 0:
		// Nothing was owed, but the change says that something is: a debt too many costs a look, one too few a person.
		p.Owed = next(dirsync.Owed{Mark: s.mark}, *o.Owed)
	case p.Owed.Mark != o.Change.Mark:
		p.Owed.Due = time.Time{}
	case o.Owed != nil:
		p.Owed = next(p.Owed, *o.Owed)
	default:
		p.Owed = dirsync.Owed{}
	}
}

// Doubt implements engine.Applying.
func (s *Store) Doubt(ctx context.Context, id dirsync.RunID, n int, skip func(dirsync.Change) bool, now time.Time) (marked int, err error) {
	err = s.do(ctx, "Doubt", func() error {
		r, err := s.run(id)
		if err != nil {
			return err
		}
		s.mark++
		for _, k := range r.keys() {
			if marked >= n {
				return nil
			}
			if comparePlanKeys(k, r.progress) <= 0 || skip != nil && skip(r.plan[k]) {
				continue
			}
			p, err := s.known("doubt", k.Seq)
			if err != nil {
				return err
			}
			p.Link = p.Link.WithDoubt(k.Kind)
			s.owe(p, dirsync.WhyDoubt, now)
			marked++
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return marked, nil
}

// NewRun implements engine.Journal.
func (s *Store) NewRun(ctx context.Context, r dirsync.Run) (id dirsync.RunID, err error) {
	err = s.do(ctx, "NewRun", func() error {
		s.lastRun++
		id = s.lastRun
		r = cloneRun(r)
		r.ID = id
		s.runs[id] = &run{Run: r, plan: map[dirsync.PlanKey]dirsync.Change{}, outcomes: map[dirsync.PlanKey]dirsync.Outcome{}}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return id, nil
}

// SaveRun implements engine.Journal.
func (s *Store) SaveRun(ctx context.Context, r dirsync.Run) error {
	return s.do(ctx, "SaveRun", func() error {
		kept, err := s.run(r.ID)
		if err != nil {
			return err
		}
		kept.Run = cloneRun(r)
		return nil
	})
}

// Runs implements engine.Journal.
func (s *Store) Runs(ctx context.Context, before dirsync.RunID, limit int) (out []dirsync.Run, err error) {
	err = s.do(ctx, "Runs", func() error {
		id := s.lastRun
		if before != 0 {
			id = min(id, before-1)
		}
		for ; id > 0 && len(out) < limit; id-- {
			out = append(out, cloneRun(s.runs[id].Run))
		}
		return nil
	})
	return out, err
}

// Outcomes implements engine.Journal. What is remembered of an outcome is its Change as planned, its Result, its
// Rejection and its Error; the link and the debt are with the person.
func (s *Store) Outcomes(ctx context.Context, id dirsync.RunID, after dirsync.PlanKey, limit int) (out []dirsync.Outcome, err error) {
	err = s.do(ctx, "Outcomes", func() error {
		r, err := s.run(id)
		if err != nil {
			return err
		}
		for _, k := range r.keys() {
			if len(out) == limit {
				return nil
			}
			if comparePlanKeys(k, after) <= 0 {
				continue
			}
			o := r.outcomes[k]
			o.Change = cloneChange(r.plan[k])
			if o.Rejection != nil {
				rejection := cloneRejection(*o.Rejection)
				o.Rejection = &rejection
			}
			out = append(out, o)
		}
		return nil
	})
	return out, err
}

// Standings implements engine.Applying.
func (s *Store) Standings(ctx context.Context, people []dirsync.Seq) (out []dirsync.Standing, err error) {
	err = s.do(ctx, "Standings", func() error {
		for _, seq := range people {
			var standing dirsync.Standing
			if p, err := s.known("standings", seq); err == nil {
				standing = dirsync.Standing{Link: cloneLink(p.Link), Owed: p.Owed}
			}
			out = append(out, standing)
		}
		return nil
	})
	return out, err
}
