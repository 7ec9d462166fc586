package dirsynctest

import (
	"cmp"
	"context"
	"slices"
	"time"

	"dirsync"
	"dirsync/sync/engine"
)

// safety is what a Store keeps of people's decisions.
type safety struct {
	holds    map[dirsync.HoldID]dirsync.Hold
	lastHold dirsync.HoldID
	marks    []dirsync.Mark // in order of person and danger
}

// NewHold implements engine.Safety.
func (s *Store) NewHold(ctx context.Context, h dirsync.Hold) (id dirsync.HoldID, err error) {
	err = s.do(ctx, "NewHold", func() error {
		if s.holds == nil {
			s.holds = map[dirsync.HoldID]dirsync.Hold{}
		}
		s.lastHold++
		id = s.lastHold
		h.ID = id
		s.holds[id] = h
		return nil
	})
	if err != nil {
		return 0, err
	}
	return id, nil
}

// SaveHold implements engine.Safety.
func (s *Store) SaveHold(ctx context.Context, h dirsync.Hold) error {
	return s.do(ctx, "SaveHold", func() error {
		if _, ok := s.holds[h.ID]; !ok {
			return &dirsync.Error{Op: "save hold", Kind: dirsync.NotFound}
		}
		s.holds[h.ID] = h
		return nil
	})
}

// Holds implements engine.Safety.
func (s *Store) Holds(ctx context.Context, before dirsync.HoldID, limit int) (out []dirsync.Hold, err error) {
	err = s.do(ctx, "Holds", func() error {
		for _, h := range s.holds {
			if before == 0 || h.ID < before {
				out = append(out, h)
			}
		}
		slices.SortFunc(out, func(a, b dirsync.Hold) int { return cmp.Compare(b.ID, a.ID) })
		out = out[:max(0, min(limit, len(out)))]
		return nil
	})
	return out, err
}

func compareMarks(a, b dirsync.Mark) int {
	return cmp.Or(cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.Danger, b.Danger))
}

// Mark implements engine.Safety.
func (s *Store) Mark(ctx context.Context, marks []dirsync.Mark) error {
	return s.do(ctx, "Mark", func() error {
		for _, m := range marks {
			if _, err := s.known("mark", m.Seq); err != nil {
				return err
			}
		}
		for _, m := range marks {
			i, found := slices.BinarySearchFunc(s.marks, m, compareMarks)
			if found {
				s.marks[i] = m
			} else {
				s.marks = slices.Insert(s.marks, i, m)
			}
		}
		return nil
	})
}

// Unmark implements engine.Safety.
func (s *Store) Unmark(ctx context.Context, marks []dirsync.Mark) error {
	return s.do(ctx, "Unmark", func() error {
		for _, m := range marks {
			if i, found := slices.BinarySearchFunc(s.marks, m, compareMarks); found {
				s.marks = slices.Delete(s.marks, i, i+1)
			}
		}
		return nil
	})
}

// Marks implements engine.Safety.
func (s *Store) Marks(ctx context.Context, people []dirsync.Seq) (out [][]dirsync.Mark, err error) {
	err = s.do(ctx, "Marks", func() error {
		if len(s.marks) == 0 {
			return nil
		}
		out = make([][]dirsync.Mark, len(people))
		for i, seq := range people {
			for _, m := range s.marks {
				if m.Seq == seq {
					out[i] = append(out[i], m)
				}
			}
		}
		return nil
	})
	return out, err
}

// Marked implements engine.Safety.
func (s *Store) Marked(ctx context.Context, after dirsync.Seq, limit int) (out []dirsync.Mark, err error) {
	err = s.do(ctx, "Marked", func() error {
		for _, m := range s.marks {
			// All marks of one person are in one answer, so that the next one can begin after them.
			if m.Seq > after && (len(out) < limit || len(out) > 0 && m.Seq == out[len(out)-1].Seq) {
				out = append(out, m)
			}
		}
		return nil
	})
	return out, err
}

// kept counts the people with a mark that says that they stay as they are.
func (s *Store) kept() int {
	people := map[dirsync.Seq]bool{}
	for _, m := range s.marks {
		if m.Kind == dirsync.Kept {
			people[m.Seq] = true
		}
	}
	return len(people)
}

// Planned implements engine.Safety.
func (s *Store) Planned(ctx context.Context, id dirsync.RunID, keys []dirsync.PlanKey) (out []dirsync.Change, err error) {
	err = s.do(ctx, "Planned", func() error {
		out = make([]dirsync.Change, len(keys))
		for i, k := range keys {
			if r := s.runs[id]; r != nil {
				if c, ok := r.plan[k]; ok {
					out[i] = cloneChange(c)
				}
			}
		}
		return nil
	})
	return out, err
}

// Correct implements engine.Safety.
func (s *Store) Correct(ctx context.Context, links map[dirsync.Seq]dirsync.Link, now time.Time) error {
	return s.do(ctx, "Correct", func() error {
		for seq := range links {
			if _, err := s.known("correct", seq); err != nil {
				return err
			}
		}
		s.mark++
		for seq, link := range links {
			p, _ := s.known("correct", seq)
			p.Link = cloneLink(link)
			p.differs = p.differs && !link.IsZero()
			s.owe(p, dirsync.WhyDrift, now)
		}
		return nil
	})
}

// ChangesOf implements engine.Safety.
func (s *Store) ChangesOf(ctx context.Context, person dirsync.Seq, limit int) (out []engine.PersonChange, err error) {
	err = s.do(ctx, "ChangesOf", func() error {
		for id := s.lastRun; id > 0 && len(out) < limit; id-- {
			r := s.runs[id]
			if r == nil {
				continue
			}
			for _, kind := range dirsync.ChangeKinds() {
				k := dirsync.PlanKey{Kind: kind, Seq: person}
				c, ok := r.plan[k]
				if !ok || len(out) == limit {
					continue
				}
				o := r.outcomes[k]
				o.Change = cloneChange(c)
				if o.Rejection != nil {
					rejection := cloneRejection(*o.Rejection)
					o.Rejection = &rejection
				}
				out = append(out, engine.PersonChange{Run: id, Outcome: o})
			}
		}
		return nil
	})
	return out, err
}
