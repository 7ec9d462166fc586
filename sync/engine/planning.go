package engine

import (
	"context"
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
		p.join = &joining{finder: finder, fields: e.Join, claimed: map[string]dirsync.Seq{}}
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
	if p.join != nil {
		if err := p.join.find(ctx, people, decisions); err != nil {
			return nil, err
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
