// Package plan decides what to change for one person, and whether a whole plan may be dared.
//
// It is pure: no clock, no log, no I/O, no map order. Equal inputs give equal plans.
package plan

import (
	"cmp"
	"slices"
	"time"

	"dirsync"
)

// Action is what becomes of the account of somebody who left.
type Action uint8

// The actions. The zero Action deactivates, because that can be undone.
const (
	Deactivate Action = iota
	Delete
	Keep // leave the account as it is
)

func (a Action) String() string {
	switch a {
	case Delete:
		return "delete"
	case Keep:
		return "keep"
	default:
		return "deactivate"
	}
}

// Policy says how to treat people who leave.
type Policy struct {
	// WhenDeleted is for people who were deleted at the source, and WhenOutOfScope for those who left the scope.
	WhenDeleted, WhenOutOfScope Action
	// WhenBlocked is for people whom the source does not let sign in: Deactivate, or Keep.
	WhenBlocked Action
	// Grace is how long an account stays deactivated before it is deleted; zero deletes at once. It has no meaning
	// for an Action other than Delete.
	Grace time.Duration
}

// Deletes tells whether anybody is ever deleted, in whichever way they left.
func (p Policy) Deletes() bool { return p.WhenDeleted == Delete || p.WhenOutOfScope == Delete }

// Wanted is what the mapping makes of a person's shadow.
type Wanted struct {
	// User and Name are for people: the sign-in name and the display name.
	User, Name string
	// InScope says that the person is one of those whom this sync is about. Somebody of whom bad data makes it
	// impossible to tell is in scope, with a fault.
	InScope bool
	// Outside says why somebody is not in scope, as in "is in none of the chosen groups"; empty: the expression says so.
	Outside string
	// Protected says that the person's account is never deactivated or deleted.
	Protected bool
	// Blocked says that the source does not let the person sign in.
	Blocked bool
	// Values are all mapped fields. They mean nothing when there are Faults.
	Values dirsync.Values
	// Faults say why the record makes no valid user.
	Faults []dirsync.Fault
	// CreateOnly names the fields that are written when the account is made and never again.
	CreateOnly []string
	// Pending says that something is still missing in Values that will be known later: the person stays owed.
	Pending bool
}

// Decide says what to do for one owed person.
//
//	person                     | account                  | decision
//	---------------------------+--------------------------+-------------------------------------------------
//	gone, or out of scope      | none                     | nothing
//	  policy deactivate        | active                   | deactivate
//	                           | inactive by us           | nothing
//	  policy delete, no grace  | any                      | delete
//	  policy delete, grace     | active                   | deactivate; the deletion stays owed
//	                           | inactive, grace running  | wait
//	                           | inactive, grace over     | delete
//	in scope and:              |                          |
//	blocked from sign-in       | none, or inactive        | nothing
//	  policy deactivate        | active                   | deactivate, whatever the record's values are
//	  policy keep              | active                   | nothing
//	invalid                    | any                      | reject, and leave the account as it is
//	valid                      | none                     | create (or adopt what is there for this person)
//	                           | active, equal            | nothing
//	                           | active, differs          | update the differing fields
//	                           | inactive by us           | reactivate, with the differing fields
//
// Somebody who is protected is never deactivated or deleted. An account in doubt, because the outcome of an earlier change is unknown, is never equal to anything: the change is
// made again in full. That is harmless, because targets make themselves hold what a change says whatever they held.
func Decide(p dirsync.Person, w Wanted, policy Policy, now time.Time) dirsync.Decision {
	d := dirsync.Decision{Seq: p.Seq, Mark: p.Owed.Mark}
	if _, after := Drift(p, w); p.Gone == dirsync.Present && len(after) > 0 {
		d.Differs = true
	}
	switch {
	case p.Gone != dirsync.Present:
		return leave(d, p, w, policy.WhenDeleted, policy, now, "was deleted at the source")
	case !w.InScope:
		return leave(d, p, w, policy.WhenOutOfScope, policy, now, cmp.Or(w.Outside, "left the scope"))
	case w.Blocked:
		switch {
		case !mayBeActive(p.Link) || policy.WhenBlocked == Keep:
		case w.Protected:
			d.Protected = true
		default:
			d.Change = change(dirsync.Deactivate, p, w, "may not sign in any more")
		}
	case len(w.Faults) > 0:
		d.Rejection = &dirsync.Rejection{ID: p.ID, User: w.User, Name: w.Name, Faults: w.Faults}
	default:
		if d.Change = keep(p, w); d.Change == nil && w.Pending {
			d.Wait, d.Next = true, dirsync.Owed{Why: dirsync.WhyGroups, Since: p.Owed.Since}
		}
	}
	return d
}

// leave decides for somebody who should have no active account any more.
func leave(d dirsync.Decision, p dirsync.Person, w Wanted, action Action, policy Policy, now time.Time, why string) dirsync.Decision {
	link := p.Link
	if link.IsZero() || action == Keep {
		return d
	}
	if w.Protected {
		d.Protected = mayBeActive(link) || action == Delete
		return d
	}
	if action == Deactivate {
		if mayBeActive(link) {
			d.Change = change(dirsync.Deactivate, p, w, why)
		}
		return d
	}
	if policy.Grace <= 0 {
		d.Change = change(dirsync.Delete, p, w, why)
		return d
	}
	due := GraceEnds(p.GoneAt, link, policy)
	switch {
	case !link.DeactivatedAt.IsZero() && !now.Before(due):
		d.Change = change(dirsync.Delete, p, w, why+", and the grace period has ended")
	case mayBeActive(link):
		d.Change = change(dirsync.Deactivate, p, w, why+"; to be deleted when the grace period ends")
	default:
		d.Wait = true
		d.Next = dirsync.Owed{Why: dirsync.WhyGrace, Since: p.Owed.Since, Due: due}
	}
	return d
}

// mayBeActive tells whether the target may think that the account is active. An update in doubt leaves only the values
// in doubt.
func mayBeActive(link dirsync.Link) bool {
	return link.Active || link.InDoubt() && link.Doubt != dirsync.Update
}

// GraceEnds is when the account of somebody who left may be deleted. The days count from when both are true: the
// person has left, and the account is inactive.
func GraceEnds(goneAt time.Time, link dirsync.Link, policy Policy) time.Time {
	since := link.DeactivatedAt
	if goneAt.After(since) {
		since = goneAt
	}
	return since.Add(policy.Grace)
}

// keep decides for somebody who should have an active account that holds w.Values.
func keep(p dirsync.Person, w Wanted) *dirsync.Change {
	link := p.Link
	switch {
	case link.Account == "" || link.Doubt == dirsync.Create || link.Doubt == dirsync.Delete:
		c := change(dirsync.Create, p, w, "is new")
		if link.InDoubt() {
			c.Why = "the outcome of an earlier change is unknown"
		}
		c.After, c.CreateOnly = w.Values, w.CreateOnly
		return c
	case link.InDoubt():
		// What was tried decides what to try again: an update must not wake an account that the target's own
		// administrator has put to sleep.
		kind := dirsync.Update
		if link.Doubt != dirsync.Update || !link.Active {
			kind = dirsync.Reactivate
		}
		c := change(kind, p, w, "the outcome of an earlier change is unknown")
		c.Before, c.After = split(w, func(string, dirsync.Value) bool { return true }, link.Held)
		return c
	}
	before, after := split(w, func(field string, v dirsync.Value) bool {
		held, _ := link.Held.Get(field) // what was never written and what was cleared are both empty
		return !held.Same(v)
	}, link.Held)
	switch {
	case !link.Active:
		c := change(dirsync.Reactivate, p, w, "is back")
		c.Before, c.After = before, after
		return c
	case len(after) > 0:
		c := change(dirsync.Update, p, w, "changed")
		c.Before, c.After = before, after
		return c
	}
	return nil
}

// split returns, of the wanted values that may be written to an existing account and that pass want, what is held
// before and what is to be held after.
func split(w Wanted, want func(string, dirsync.Value) bool, held dirsync.Values) (before, after dirsync.Values) {
	for _, f := range w.Values {
		if slices.Contains(w.CreateOnly, f.Field) || !want(f.Field, f.Value) {
			continue
		}
		old, _ := held.Get(f.Field)
		before = append(before, dirsync.FieldValue{Field: f.Field, Value: old})
		after = append(after, f)
	}
	return before, after
}

func change(kind dirsync.ChangeKind, p dirsync.Person, w Wanted, why string) *dirsync.Change {
	c := &dirsync.Change{
		Kind: kind, Person: p.ID, Seq: p.Seq, Mark: p.Owed.Mark, Account: p.Link.Account,
		User: w.User, Name: w.Name, Why: why,
	}
	if kind == dirsync.Delete {
		c.Before = p.Link.Held
	}
	return c
}

// Drift lists the fields of CreateOnly in which the source and an existing account differ: by configuration they are
// reported and not repaired. Before is what the target holds, after what the source has.
func Drift(p dirsync.Person, w Wanted) (before, after dirsync.Values) {
	if p.Link.Account == "" || !w.InScope || len(w.Faults) > 0 {
		return nil, nil
	}
	for _, field := range w.CreateOnly {
		want, ok := w.Values.Get(field)
		held, _ := p.Link.Held.Get(field)
		if ok && !want.Same(held) {
			before = before.Set(field, held)
			after = after.Set(field, want)
		}
	}
	return before, after
}

// Partly is what Settle has returned for a change that did not write everything, because it took something back or because a
// part of it is held: what an earlier change in doubt did to the rest is as uncertain as before.
func Partly(settled, before dirsync.Link) dirsync.Link {
	if before.InDoubt() && before.Doubt != dirsync.Deactivate && !settled.InDoubt() && !settled.IsZero() {
		settled.Doubt = dirsync.Update
	}
	return settled
}

// Settle returns what is known of a person's account after change c was applied and the target answered with account.
func Settle(link dirsync.Link, c dirsync.Change, account dirsync.Account, now time.Time) dirsync.Link {
	if c.Kind == dirsync.Delete || account.ID == "" {
		return dirsync.Link{}
	}
	next := dirsync.Link{Account: account.ID, Active: true, Held: link.Held, Joined: link.Joined}
	if c.Join != "" && account.ID == c.Account {
		next.Joined = c.Join
	}
	if c.Kind == dirsync.Deactivate {
		next.Active, next.DeactivatedAt = false, link.DeactivatedAt
		if link.Active || link.DeactivatedAt.IsZero() {
			next.DeactivatedAt = now
		}
		// The status is certain now. What an earlier change in doubt did to the values is not, unless the target says what
		// it holds.
		switch {
		case !link.InDoubt() || link.Doubt == dirsync.Deactivate:
		case len(account.Values) == 0 || slices.ContainsFunc(link.Held, func(f dirsync.FieldValue) bool { return slices.Contains(account.Unsaid, f.Field) }):
			next.Doubt = dirsync.Update
		default:
			next.Held = account.Values
			for _, f := range link.Held {
				if _, said := account.Values.Get(f.Field); !said {
					next.Held = next.Held.With(dirsync.Values{{Field: f.Field}})
				}
			}
		}
		return next
	}
	next.Held = link.Held.With(c.Writes())
	for _, field := range c.CreateOnly {
		// An adopted account keeps what it had in these fields, so only its own answer says what it holds.
		if v, ok := account.Values.Get(field); ok {
			next.Held = next.Held.Set(field, v)
		} else {
			next.Held = next.Held.Set(field, dirsync.Value{})
		}
	}
	return next
}
