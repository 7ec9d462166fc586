package engine

import (
	"context"
	"fmt"

	"dirsync"
)

// settleReferences writes down which references could not be written in this run, because whom they name has no account
// yet: the links do not claim to hold them, and the people stay owed. What the process does not live to write down here is
// seen when the target is compared.
func (e *Engine) settleReferences(ctx context.Context) error {
	target, ok := e.Target.(dirsync.Referrer)
	if !ok {
		return nil
	}
	links := map[dirsync.Seq]dirsync.Link{}
	for id, fields := range target.Unresolved() {
		p, err := e.Store.Person(ctx, id)
		if dirsync.KindOf(err) == dirsync.NotFound {
			continue
		}
		if err != nil {
			return fmt.Errorf("write down unresolved references: %w", err)
		}
		if p.Link.IsZero() || p.Link.InDoubt() {
			continue // it is made certain anyway
		}
		for _, field := range fields {
			p.Link.Held = p.Link.Held.With(dirsync.Values{{Field: field}})
		}
		links[p.Seq] = p.Link
	}
	if len(links) == 0 {
		return nil
	}
	if err := e.Store.Correct(ctx, links, e.now()); err != nil {
		return fmt.Errorf("write down unresolved references: %w", err)
	}
	return nil
}

// awaits tells whether an update has nothing in it but references to people who have no account and get none in this run,
// as far as is known. Then there is nothing to do but wait for these.
func (e *Engine) awaits(ctx context.Context, c *dirsync.Change) (bool, error) {
	if _, ok := e.Target.(dirsync.Referrer); !ok || c == nil || c.Kind != dirsync.Update || len(c.After) == 0 {
		return false, nil
	}
	for _, f := range c.After {
		before, _ := c.Before.Get(f.Field)
		if f.Value.Type != dirsync.Reference || !before.IsNull() {
			return false, nil // something else is to be written, or taken away
		}
		p, err := e.Store.Person(ctx, dirsync.ID(f.Value.Text))
		switch {
		case dirsync.KindOf(err) == dirsync.NotFound:
		case err != nil:
			return false, err
		case !p.Link.IsZero() || p.Owed.Why != 0 && p.Gone == dirsync.Present:
			return false, nil // movers come before joiners, and the target remembers until then
		}
	}
	return true, nil
}
