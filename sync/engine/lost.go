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
		if err != nil {
			return err
		}
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
				break
			}
		}
	}
	return nil
}

// lookBack is how many changes of a person are looked through for the one that made their account.
const lookBack = 10

// tried returns what somebody was to get by a creation whose outcome is unknown; nothing if there is no such.
func (j *joining) tried(ctx context.Context, seq dirsync.Seq) (dirsync.Values, error) {
	changes, err := j.owners.e.Store.ChangesOf(ctx, seq, lookBack)
	if err != nil {
		return nil, fmt.Errorf("look for what was tried before: %w", err)
	}
	for _, c := range changes {
		switch {
		case c.Outcome.Result == dirsync.Refused || c.Outcome.Change.Kind.Destructive():
		case c.Outcome.Change.Kind == dirsync.Create && c.Outcome.Result != dirsync.Done:
			return c.Outcome.Change.After, nil
		default:
			return nil, nil
		}
	}
	return nil, nil
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
