package engine

import (
	"context"
	"fmt"

	"dirsync"
)

// findLost finds accounts that may have been made without anybody having learned of it, in a target that cannot say whose
// its accounts are. Nobody else will: whoever has left since would keep theirs, and whoever was renamed would get a second
// one. An account is theirs if it holds what they were to get and belongs to nobody: had it been there before, they would
// have been joined to it.
func (j *joining) findLost(ctx context.Context, people []dirsync.Person, decisions []dirsync.Decision) error {
	if j.owners == nil {
		return nil
	}
	for i := range decisions {
		c := decisions[i].Change
		if c == nil || c.Account != "" || !people[i].Link.InDoubt() {
			continue
		}
		tried, err := j.tried(ctx, c.Seq)
		if err == nil && tried.Account != "" {
			err = j.recall(ctx, c, tried)
		} else if err == nil {
			err = j.recognise(ctx, c, tried.After)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// recall has somebody get the account again that was found for them when they were last planned: whatever it was to be
// changed to, nobody knows whether it was, so that it cannot be found by that.
func (j *joining) recall(ctx context.Context, c *dirsync.Change, tried dirsync.Change) error {
	p, known, err := j.owners.of(ctx, tried.Account)
	if err != nil || known && p.Seq != c.Seq {
		return err // it has become somebody else's
	}
	if _, taken := j.claimed[tried.Account]; !taken {
		j.claimed[tried.Account], c.Account, c.Join = c.Seq, tried.Account, tried.Join
	}
	return nil
}

// recognise finds the account that was made of values.
func (j *joining) recognise(ctx context.Context, c *dirsync.Change, tried dirsync.Values) error {
	for _, field := range j.fields {
		value, ok := tried.Get(field)
		if !ok || value.IsNull() {
			continue
		}
		found, err := j.look(ctx, field, []dirsync.Value{value})
		if err != nil {
			return err
		}
		if len(found[0]) != 1 || found[0][0].Source != "" {
			continue // whose it is nobody can tell, or it is somebody else's by now
		}
		account := found[0][0]
		if _, taken := j.claimed[account.ID]; !taken {
			j.claimed[account.ID], c.Account = c.Seq, account.ID
			for _, f := range c.After {
				old, _ := account.Values.Get(f.Field)
				c.Before = c.Before.Set(f.Field, old)
			}
			return nil
		}
	}
	return nil
}

// lookBack is how many changes of a person are looked through for the one that made their account.
const lookBack = 10

// tried is the creation whose outcome is unknown, or that went on from one; the zero Change if there is none.
func (j *joining) tried(ctx context.Context, seq dirsync.Seq) (dirsync.Change, error) {
	changes, err := j.owners.e.Store.ChangesOf(ctx, seq, lookBack)
	if err != nil {
		return dirsync.Change{}, fmt.Errorf("look for what was tried before: %w", err)
	}
	for _, o := range changes {
		switch c := o.Outcome.Change; {
		case o.Outcome.Result == dirsync.Refused && (c.Account == "" || c.Join != ""):
			// Nothing came of it, and whose the account is was in doubt.
		case c.Kind == dirsync.Create && o.Outcome.Result != dirsync.Done:
			return c, nil
		case !c.Kind.Destructive():
			return dirsync.Change{}, nil
		}
	}
	return dirsync.Change{}, nil
}

// look finds the accounts that hold values, with whose they are.
func (j *joining) look(ctx context.Context, field string, values []dirsync.Value) (found [][]dirsync.Account, err error) {
	err = j.patiently(func() (err error) {
		found, err = j.finder.Find(ctx, field, values)
		return err
	})
	if err == nil {
		err = j.own(ctx, found)
	}
	if err != nil {
		return nil, fmt.Errorf("look for accounts that are there already: %w", err)
	}
	return found, nil
}
