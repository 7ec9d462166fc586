package engine

import (
	"context"
	"slices"
	"time"

	"dirsync"
	"dirsync/sync/plan"
)

// planning decides about people, a batch at a time: by the planner, by what people have decided before, and by which
// accounts are there already.
type planning struct {
	e      *Engine
	now    time.Time
	circle *circle
	// open are the holds that wait for a decision.
	open []dirsync.Hold
	join *joining
	t    *tally
}

// begin reads what a planning needs to know beforehand.
func (e *Engine) begin(ctx context.Context, t *tally) (*planning, error) {
	p := &planning{e: e, now: e.now(), t: t}
	var err error
	if p.circle, err = e.circle(ctx); err != nil {
		return nil, err
	}
	if p.open, err = e.openHolds(ctx); err != nil {
		return nil, err
	}
	t.planned, t.circle = map[dirsync.ChangeKind]int{}, p.circle
	if finder, ok := e.Target.(dirsync.Finder); ok && len(e.Join) > 0 && e.group == nil {
		p.join = &joining{finder: finder, fields: e.Join, claimed: map[string]dirsync.Seq{}, owners: e.owners(),
			patiently: func(do func() error) error { return do() }}
	}
	return p, nil
}

// decide decides about people.
func (p *planning) decide(ctx context.Context, people []dirsync.Person) ([]dirsync.Decision, error) {
	wanted, direct, err := p.e.wantedAll(ctx, people, p.circle)
	if err != nil {
		return nil, err
	}
	seqs := make([]dirsync.Seq, len(people))
	for i, person := range people {
		seqs[i] = person.Seq
	}
	marks, err := p.e.Store.Marks(ctx, seqs)
	if err != nil {
		return nil, err
	}
	decisions := make([]dirsync.Decision, len(people))
	for i, person := range people {
		d := plan.Decide(person, wanted[i], p.e.Policy, p.now)
		if marks != nil && len(marks[i]) > 0 {
			d = decided(d, person, direct[i], marks[i])
		}
		decisions[i] = d
	}
	if err := p.resume(ctx, people, wanted, marks, decisions); err != nil {
		return nil, err
	}
	if p.join != nil {
		if err := p.join.find(ctx, people, decisions); err != nil {
			return nil, err
		}
	}
	for i := range decisions {
		waits, err := p.e.awaits(ctx, decisions[i].Change)
		if err != nil {
			return nil, err
		}
		if waits {
			decisions[i].Change, decisions[i].Wait = nil, true
			decisions[i].Next = dirsync.Owed{Why: dirsync.WhyReference, Since: people[i].Owed.Since}
		}
	}
	for i, d := range decisions {
		if d.Protected {
			p.t.protected++
		}
		if d.Change == nil {
			continue
		}
		p.t.plan(*d.Change)
		if people[i].Owed.Why != dirsync.WhyConflict {
			p.t.news++
		}
		if people[i].Gone == dirsync.Present {
			p.t.present++
		}
	}
	return decisions, p.e.stuck(ctx, p.open, decisions, p.t)
}

// decided lays over a decision what somebody has decided before.
func decided(d dirsync.Decision, p dirsync.Person, groups []dirsync.ID, marks []dirsync.Mark) dirsync.Decision {
	d, kept := plan.Respect(d, marks, plan.PersonDigest(p, groups))
	asked, approved := plan.Approved(d.Change, marks)
	if d.Change != nil {
		d.Change.Asked = asked
	}
	d.Void = append(kept, approved...)
	return d
}

// resume goes on with undoings that have not come to their end for somebody: a change that failed, that the target
// refused, or of which nobody knows whether it happened, is made again as it was confirmed. Otherwise the person would
// stay for good as the failure has left them, because whoever is taken back is kept as they are.
func (p *planning) resume(ctx context.Context, people []dirsync.Person, wanted []plan.Wanted, marks [][]dirsync.Mark, decisions []dirsync.Decision) error {
	for i := range marks {
		d := &decisions[i]
		at := slices.IndexFunc(marks[i], func(m dirsync.Mark) bool { return m.Kind == dirsync.Kept && m.Danger == 0 && m.Undone != 0 })
		if at < 0 || d.Change != nil || slices.Contains(d.Void, marks[i][at]) || !unfinished(people[i]) {
			continue
		}
		keys := make([]dirsync.PlanKey, 0, len(dirsync.ChangeKinds()))
		for _, kind := range dirsync.ChangeKinds() {
			keys = append(keys, dirsync.PlanKey{Kind: kind, Seq: people[i].Seq})
		}
		planned, err := p.e.Store.Planned(ctx, marks[i][at].Undone, keys)
		if err != nil {
			return err
		}
		for _, c := range planned {
			link := people[i].Link
			switch {
			case c.Kind == 0, c.Kind.Destructive() && wanted[i].Protected:
				continue
			case link.Account != "":
				c.Account = link.Account
			case c.Kind != dirsync.Create:
				continue // there is nothing any more that could be put right
			}
			c.Mark, c.Asked = people[i].Owed.Mark, c.Dangers()
			d.Change = &c
		}
	}
	return nil
}

// unfinished tells whether the last change of somebody has not come to its end.
func unfinished(p dirsync.Person) bool {
	switch {
	case p.Owed.Attempts > 0 || p.Owed.Why == dirsync.WhyConflict:
		return true
	default:
		return p.Link.InDoubt() && p.Owed.Why != dirsync.WhyDrift
	}
}
