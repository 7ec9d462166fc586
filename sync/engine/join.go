package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"dirsync"
)

// joining finds, for people who would get an account, one that was in the target before and belongs to nobody. It never
// guesses: where more than one account, or more than one person, could be meant, nobody is joined and the person is
// rejected with the reason.
type joining struct {
	finder dirsync.Finder
	// fields are those by which accounts are found, the surest first.
	fields []string
	// claimed has the accounts that were found for somebody in this planning. They are few once the first run is over;
	// during that run they are what memory is spent on, some sixty bytes each.
	claimed map[string]dirsync.Seq
	// disputed has the accounts of which nobody can tell whose they are, with the reason as a phrase. Whoever was to be
	// joined to one is refused when the plan is applied, and tried again by every run: the dispute may be over by then.
	disputed map[string]string
	owners   *owners
	// patiently waits while the target wants to be left alone.
	patiently func(do func() error) error
}

// find looks for the accounts of those of people who would get one.
func (j *joining) find(ctx context.Context, people []dirsync.Person, decisions []dirsync.Decision) error {
	if err := j.findLost(ctx, people, decisions); err != nil {
		return err
	}
	var open []int
	for i, d := range decisions {
		// Somebody whose creation is in doubt may have an account already, which the target finds first; and an account that
		// seems to be missing may have been made again by hand.
		if d.Change != nil && d.Change.Kind == dirsync.Create && (d.Change.Account == "" || people[i].Link.Doubt == dirsync.Create && d.Change.Account == people[i].Link.Account) {
			open = append(open, i)
		}
	}
	for _, field := range j.fields {
		var who []int
		var values []dirsync.Value
		for _, i := range open {
			if v, ok := decisions[i].Change.After.Get(field); ok && !v.IsNull() {
				who, values = append(who, i), append(values, v)
			}
		}
		if len(who) == 0 {
			continue
		}
		found, err := j.look(ctx, field, values)
		if err != nil {
			return err
		}
		for n, i := range who {
			if j.settle(&decisions[i], field, values[n], found[n]) {
				open = slices.DeleteFunc(open, func(k int) bool { return k == i })
			}
		}
	}
	return nil
}

// own says whose accounts they are, where the target cannot.
func (j *joining) own(ctx context.Context, found [][]dirsync.Account) error {
	for _, accounts := range found {
		for i, a := range accounts {
			if p, known, err := j.owners.of(ctx, a.ID); err != nil {
				return err
			} else if known {
				accounts[i].Source = p.ID
			}
		}
	}
	return nil
}

// settle decides with the accounts that hold a person's value, and tells whether there is nothing left to look for.
func (j *joining) settle(d *dirsync.Decision, field string, value dirsync.Value, accounts []dirsync.Account) bool {
	var free []dirsync.Account
	for _, a := range accounts {
		if a.Source == "" {
			free = append(free, a)
		}
	}
	c := d.Change
	switch {
	case len(free) == 0:
		return false // nobody has it, or somebody whose it is: that the target itself decides
	case len(accounts) > 1:
		var ids []string
		for _, a := range accounts {
			ids = append(ids, a.ID)
		}
		j.dispute(free[0].ID, fmt.Sprintf("is held by several accounts (%s) that were there before; which is theirs has to be decided by a person", strings.Join(ids, ", ")))
	}
	account := free[0]
	if _, twice := j.claimed[account.ID]; twice {
		j.dispute(account.ID, fmt.Sprintf("is that of the account %s, which was there before, and several people have it; whose it is has to be decided by a person", account.ID))
	}
	j.claimed[account.ID] = c.Seq
	c.Account, c.Join = account.ID, field
	for _, f := range c.After {
		old, _ := account.Values.Get(f.Field)
		c.Before = c.Before.Set(f.Field, old)
	}
	c.Why = "is new here, and an account with the same " + field + " was there before"
	return true
}

func (j *joining) dispute(account, reason string) {
	if j.disputed == nil {
		j.disputed = map[string]string{}
	}
	j.disputed[account] = reason
}

// refusal is why somebody is not joined to the account that was found for them; nil when they are.
func refusal(c *dirsync.Change, disputed map[string]string) *dirsync.Rejection {
	if c == nil || c.Join == "" || disputed[c.Account] == "" {
		return nil
	}
	value, _ := c.After.Get(c.Join)
	return &dirsync.Rejection{ID: c.Person, User: c.User, Name: c.Name,
		Faults: []dirsync.Fault{{Field: c.Join, Value: value.Text, Reason: disputed[c.Account]}}}
}
