package engine

import (
	"context"
	"fmt"
	"slices"

	"dirsync"
)

// Drift says that an account is not as this sync left it.
type Drift struct {
	Person dirsync.Person
	// Fields are those whose values are others; Was is what the target was known to hold, Is what it holds.
	Was, Is dirsync.Values
	// Missing says that the account is not there, Slept that somebody has deactivated it, and Woken that somebody has made
	// it active again after it was deactivated.
	Missing, Slept, Woken bool
	// Repaired says that the next planning puts it right: in fields that are kept in step, and where somebody who has left
	// got in again. An account that the target's own administrator has put to sleep is not woken.
	Repaired bool
}

// DriftCounts sum up a comparison.
type DriftCounts struct {
	// Accounts are all that were listed; Foreign those of them that do not belong to this sync, which are never touched.
	Accounts, Foreign int
	// Differing, Missing, Slept and Woken count the accounts of this sync that are not as it left them.
	Differing, Missing, Slept, Woken int
}

// Compare lists the target, compares it with what this sync has left there, and calls fn for each difference. With
// repair, what is found is written down, and whoever it concerns is planned again by the next run. Nothing is taken for
// missing unless the list was complete.
func (e *Engine) Compare(ctx context.Context, repair bool, fn func(Drift) error) (DriftCounts, error) {
	if err := e.recognise(ctx); err != nil {
		return DriftCounts{}, err
	}
	cmp := &comparing{e: e, repair: repair, fn: fn, links: map[dirsync.Seq]dirsync.Link{}, owners: e.owners()}
	if err := e.Target.Users(ctx, func(a dirsync.Account) error { return cmp.account(ctx, a) }); err != nil {
		return cmp.n, fmt.Errorf("list %s: %w", e.Target.Name(), err)
	}
	err := e.eachIn(ctx, e.Store, func(p dirsync.Person) error { return cmp.unseen(ctx, p) })
	if err != nil {
		return cmp.n, err
	}
	return cmp.n, cmp.flush(ctx)
}

type comparing struct {
	e      *Engine
	repair bool
	fn     func(Drift) error
	n      DriftCounts
	// seen has a bit for each person whose account was listed.
	seen   []uint64
	links  map[dirsync.Seq]dirsync.Link
	owners *owners
}

// account compares one account.
func (c *comparing) account(ctx context.Context, a dirsync.Account) error {
	c.n.Accounts++
	p, known, err := c.owners.of(ctx, a.ID)
	if !known && err == nil {
		if a.Source == "" {
			c.n.Foreign++
			return nil
		}
		p, err = c.e.Store.Person(ctx, a.Source)
	}
	switch {
	case dirsync.KindOf(err) == dirsync.NotFound:
		c.n.Foreign++
		return nil
	case err != nil:
		return err
	case p.Link.Account != a.ID:
		if p.Link.Account != "" {
			c.n.Foreign++
		}
		return nil
	}
	word := int(p.Seq / 64)
	for len(c.seen) <= word {
		c.seen = append(c.seen, 0)
	}
	c.seen[word] |= 1 << (p.Seq % 64)
	if p.Link.InDoubt() {
		return nil // it is made certain anyway
	}
	return c.differing(ctx, p, a)
}

func (c *comparing) differing(ctx context.Context, p dirsync.Person, a dirsync.Account) error {
	d := Drift{Person: p}
	for _, f := range p.Link.Held {
		if is, _ := a.Values.Get(f.Field); !is.Same(f.Value) && !slices.Contains(a.Unsaid, f.Field) {
			d.Was, d.Is = append(d.Was, f), append(d.Is, dirsync.FieldValue{Field: f.Field, Value: is})
		}
	}
	d.Slept, d.Woken = p.Link.Active && !a.Active, !p.Link.Active && a.Active
	if len(d.Was) == 0 && !d.Slept && !d.Woken {
		return nil
	}
	c.n.Differing += min(1, len(d.Was))
	c.n.Slept += one(d.Slept)
	c.n.Woken += one(d.Woken)
	link := p.Link
	link.Held = link.Held.With(d.Is)
	link.Active = link.Active || d.Woken
	return c.found(ctx, d, link, len(d.Was) > 0 || d.Woken)
}

// unseen deals with somebody whose account was not listed.
func (c *comparing) unseen(ctx context.Context, p dirsync.Person) error {
	word := int(p.Seq / 64)
	if p.Link.Account == "" || p.Link.InDoubt() || word < len(c.seen) && c.seen[word]&(1<<(p.Seq%64)) != 0 {
		return nil
	}
	c.n.Missing++
	return c.found(ctx, Drift{Person: p, Missing: true}, dirsync.Link{Account: p.Link.Account, Doubt: dirsync.Create}, true)
}

func (c *comparing) found(ctx context.Context, d Drift, link dirsync.Link, repairable bool) error {
	if d.Repaired = c.repair && repairable; d.Repaired {
		c.links[d.Person.Seq] = link
	}
	if err := c.fn(d); err != nil {
		return err
	}
	if len(c.links) < c.e.batch() {
		return nil
	}
	return c.flush(ctx)
}

func (c *comparing) flush(ctx context.Context) error {
	if len(c.links) == 0 {
		return nil
	}
	err := c.e.Store.Correct(ctx, c.links, c.e.now())
	clear(c.links)
	return err
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// compareTarget compares the target within a run.
func (e *Engine) compareTarget(ctx context.Context, r *dirsync.Run, repair bool) error {
	var n DriftCounts
	err := e.patiently(ctx, r, func() (err error) { // comparing twice finds the same
		n, err = e.Compare(ctx, repair, func(Drift) error { return nil })
		return err
	})
	if err != nil {
		return err
	}
	if n.Differing+n.Missing+n.Slept+n.Woken == 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("the target was compared: all of %d accounts are as they were left", n.Accounts-n.Foreign))
		return nil
	}
	r.Notes = append(r.Notes, fmt.Sprintf("the target was compared: of %d accounts, %d hold other values than they were given, %d are missing, "+
		"%d were deactivated there and %d were woken there", n.Accounts-n.Foreign, n.Differing, n.Missing, n.Slept, n.Woken))
	return nil
}
