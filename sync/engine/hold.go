package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"dirsync"
	"dirsync/sync/plan"
)

// holdFor is how long a hold can be decided. After that a later run makes a new one, whose list is up to date.
const holdFor = 30 * 24 * time.Hour

// guard decides what of a plan is held back, and writes the holds down: into the run, which is what apply goes by, and
// under names of their own, by which people decide them.
func (e *Engine) guard(ctx context.Context, r *dirsync.Run, t *tally) error {
	totals, err := e.Store.Totals(ctx)
	if err != nil {
		return fmt.Errorf("count the accounts: %w", err)
	}
	spent, err := e.spent(ctx, r.ID)
	if err != nil {
		return err
	}
	r.Holds = holds(t, spent, totals, e.Limits)
	return e.nameHolds(ctx, r, t)
}

// holds says what of a plan is above its limits, or waits for a decision already.
func holds(t *tally, spent plan.Spent, totals dirsync.Totals, limits plan.Limits) []dirsync.Hold {
	found := plan.Guard(t.takes, spent, totals.Active+totals.Inactive, limits)
	for _, d := range dirsync.Dangers() {
		n := t.stuck.Of(d)
		i := indexOf(found, d)
		switch {
		case n == 0:
		case i >= 0:
			found[i].Count += n
		default:
			// Whatever else is of the kind waits with it, however little that is.
			more := t.takes.Of(d)
			h := dirsync.Hold{Kind: d, Count: n + more, Allowed: limits.Of(d).Run.Allowed(totals.Active + totals.Inactive)}
			h.Reason = fmt.Sprintf("nobody has decided yet about what was held before (%d)", n)
			if more > 0 {
				h.Reason += fmt.Sprintf(", and what is new of the kind waits with it (%d)", more)
			}
			found = append(found, h)
		}
	}
	return found
}

func indexOf(holds []dirsync.Hold, d dirsync.Danger) int {
	for i, h := range holds {
		if h.Kind == d {
			return i
		}
	}
	return -1
}

// held returns the dangers of which a run holds everything that nobody has approved. While a hold waits for its decision,
// whatever else is of its kind waits with it.
func held(r dirsync.Run) dirsync.Danger {
	var all dirsync.Danger
	for _, h := range r.Holds {
		all |= h.Kind
	}
	return all
}

// sent returns what of a planned change goes to the target when these dangers are held, and whether anything does.
func sent(c dirsync.Change, held dirsync.Danger) (dirsync.Change, bool) {
	return c.Without(held &^ c.Asked)
}

// spent counts what the runs of the last seven days took away without having been asked. current is not counted.
func (e *Engine) spent(ctx context.Context, current dirsync.RunID) (plan.Spent, error) {
	var s plan.Spent
	now := e.now()
	// Runs are in order of their numbers and not of time, because clocks are put right now and then. It takes a hundred
	// old ones in a row to believe that all before them are old, too.
	for before := current; ; {
		runs, err := e.Store.Runs(ctx, before, 100)
		if err != nil {
			return s, fmt.Errorf("count what was taken away before: %w", err)
		}
		old := 0
		for _, r := range runs {
			before = r.ID
			age := now.Sub(r.Started)
			if !r.Ended.IsZero() {
				age = now.Sub(r.Ended)
			}
			if age >= 7*24*time.Hour {
				old++
				continue
			}
			s.Week = s.Week.Plus(r.Spent)
			if age < 24*time.Hour {
				s.Day = s.Day.Plus(r.Spent)
			}
		}
		if len(runs) < 100 || old == len(runs) {
			return s, nil
		}
	}
}

// openHolds lists the holds of this sync that nobody has decided yet, and that can still be decided.
func (e *Engine) openHolds(ctx context.Context) ([]dirsync.Hold, error) {
	open, err := e.undecided(ctx)
	return slices.DeleteFunc(open, func(h dirsync.Hold) bool { return !e.now().Before(h.Expires) }), err
}

// undecided lists the holds of this sync that nobody has decided yet, expired or not, newest first. There may be any number
// of others between them: a list that changes with every run makes a new hold each time, while another one stays.
func (e *Engine) undecided(ctx context.Context) ([]dirsync.Hold, error) {
	var open []dirsync.Hold
	for before := dirsync.HoldID(0); ; {
		batch, err := e.Store.Holds(ctx, before, 100)
		if err != nil {
			return nil, fmt.Errorf("list the holds: %w", err)
		}
		for _, h := range batch {
			before = h.ID
			if h.Status == dirsync.HoldOpen {
				open = append(open, h)
			}
		}
		// An open hold is never older than what can be decided.
		if len(batch) < 100 || e.now().Sub(batch[len(batch)-1].Created) > 2*holdFor {
			return open, nil
		}
	}
}

// nameHolds gives every hold of a run its name: that of the open hold with the same list, or a new one in the place of
// the open hold with another list. Holds of which nothing is left are over.
func (e *Engine) nameHolds(ctx context.Context, r *dirsync.Run, t *tally) error {
	open, err := e.undecided(ctx)
	if err != nil {
		return err
	}
	for _, old := range open {
		if indexOf(r.Holds, old.Kind) >= 0 {
			continue
		}
		old.Status, old.At = dirsync.HoldOver, e.now()
		if !e.now().Before(old.Expires) {
			old.Status = dirsync.HoldExpired
		}
		if err := e.Store.SaveHold(ctx, old); err != nil {
			return fmt.Errorf("close a hold: %w", err)
		}
	}
	for i := range r.Holds {
		if err := e.nameHold(ctx, r, &r.Holds[i], open); err != nil {
			return fmt.Errorf("keep a hold: %w", err)
		}
	}
	return nil
}

func (e *Engine) nameHold(ctx context.Context, r *dirsync.Run, h *dirsync.Hold, open []dirsync.Hold) error {
	var list plan.List
	err := e.heldChanges(ctx, r.ID, h.Kind, func(_ dirsync.Change, digest string) error {
		list.Add(digest)
		return nil
	})
	if err != nil {
		return err
	}
	now := e.now()
	h.Sync, h.Groups, h.Run, h.Digest, h.People = e.Sync, e.group != nil, r.ID, list.Digest(), list.People
	h.Created, h.Expires, h.Status = now, now.Add(holdFor), dirsync.HoldOpen
	for _, old := range open {
		if old.Kind != h.Kind {
			continue
		}
		if old.Digest == h.Digest && now.Before(old.Expires) {
			h.ID, h.Run, h.Created, h.Expires = old.ID, old.Run, old.Created, old.Expires
			continue
		}
		old.Status, old.At = dirsync.HoldReplaced, now
		if !now.Before(old.Expires) {
			old.Status = dirsync.HoldExpired
		}
		if err := e.Store.SaveHold(ctx, old); err != nil {
			return err
		}
	}
	if h.ID == 0 {
		h.ID, err = e.Store.NewHold(ctx, *h)
	}
	return err
}

// heldChanges calls fn for every change in a run's plan that takes something away by danger d without having been asked,
// in order of the plan, with the digest of that.
func (e *Engine) heldChanges(ctx context.Context, run dirsync.RunID, d dirsync.Danger, fn func(dirsync.Change, string) error) error {
	for _, kind := range dirsync.ChangeKinds() {
		for after := dirsync.Seq(0); ; {
			changes, err := e.Store.Plan(ctx, run, kind, after, e.batch())
			if err != nil {
				return err
			}
			if len(changes) == 0 {
				break
			}
			after = changes[len(changes)-1].Seq
			for _, c := range changes {
				digest := plan.Digest(c, d)
				if digest == "" || c.Asked.Has(d) {
					continue
				}
				if err := fn(c, digest); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// stuck counts what of the decisions is on the list of an open hold: it waits for a decision whatever the limits say.
func (e *Engine) stuck(ctx context.Context, open []dirsync.Hold, decisions []dirsync.Decision, t *tally) error {
	for _, h := range open {
		var keys []dirsync.PlanKey
		var mine []*dirsync.Change
		for _, d := range decisions {
			if c := d.Change; c != nil && c.Takes(h.Kind) > 0 && !c.Asked.Has(h.Kind) {
				keys, mine = append(keys, dirsync.PlanKey{Kind: c.Kind, Seq: c.Seq}), append(mine, c)
			}
		}
		if len(keys) == 0 {
			continue
		}
		planned, err := e.Store.Planned(ctx, h.Run, keys)
		if err != nil {
			return err
		}
		for i, c := range mine {
			if digest := plan.Digest(planned[i], h.Kind); digest != "" && digest == plan.Digest(*c, h.Kind) {
				t.stuck.Add(h.Kind, c.Takes(h.Kind))
				t.takes.Add(h.Kind, -c.Takes(h.Kind))
			}
		}
	}
	return nil
}
