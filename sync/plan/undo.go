package plan

import (
	"slices"

	"dirsync"
)

// Undone is what it takes to undo one change.
type Undone struct {
	// Change is the way back; nil when there is nothing to do.
	Change *dirsync.Change
	// Since are the fields, or "the account", that are not as the change left them any more. They are left out of Change,
	// unless everything was asked for.
	Since []string
	// Nothing says why there is nothing to do, when there is not.
	Nothing string
}

// Undo finds the way back from a change that was made to p, as the plan had it. With all, what has changed since is taken
// back as well.
func Undo(c dirsync.Change, p dirsync.Person, all bool) Undone {
	link := p.Link
	back := &dirsync.Change{Person: p.ID, Seq: p.Seq, Mark: p.Owed.Mark, Account: link.Account, User: c.User, Name: c.Name,
		Why: "is taken back"}
	switch c.Kind {
	case dirsync.Delete:
		if link.Account != "" {
			return Undone{Since: []string{"the account"}, Nothing: "there is an account again"}
		}
		back.Kind, back.Account, back.After = dirsync.Create, c.Account, c.Before
	case dirsync.Deactivate:
		if link.Active && !link.InDoubt() {
			return Undone{Nothing: "the account is active"}
		}
		back.Kind = dirsync.Reactivate
	case dirsync.Reactivate, dirsync.Create:
		return undoArrival(c, back, link, all)
	default:
		return undoValues(c, back, link, all)
	}
	if link.Account == "" && c.Kind != dirsync.Delete {
		return Undone{Nothing: "there is no account any more"}
	}
	return Undone{Change: back}
}

// undoArrival takes back that somebody got an active account. One that was joined gets back the values that it had.
func undoArrival(c dirsync.Change, back *dirsync.Change, link dirsync.Link, all bool) Undone {
	since := changedSince(c, link)
	switch {
	case link.Account == "":
		return Undone{Nothing: "there is no account any more"}
	case c.Kind == dirsync.Create && c.Join != "":
		return undoValues(c, back, link, all)
	case !link.Active && !link.InDoubt():
		return Undone{Nothing: "the account is inactive"}
	case len(since) > 0 && !all && !link.InDoubt():
		return Undone{Since: since, Nothing: "the account was changed since"}
	}
	back.Kind = dirsync.Deactivate
	return Undone{Change: back, Since: since}
}

// undoValues gives fields their values of before.
func undoValues(c dirsync.Change, back *dirsync.Change, link dirsync.Link, all bool) Undone {
	if link.Account == "" {
		return Undone{Nothing: "there is no account any more"}
	}
	if !link.Active {
		return Undone{Nothing: "the account is inactive"}
	}
	since := changedSince(c, link)
	back.Kind = dirsync.Update
	for _, f := range c.After {
		was, _ := c.Before.Get(f.Field)
		is, _ := link.Held.Get(f.Field)
		if is.Same(was) && !link.InDoubt() || slices.Contains(since, f.Field) && !all {
			continue
		}
		back.Before = append(back.Before, dirsync.FieldValue{Field: f.Field, Value: is})
		back.After = append(back.After, dirsync.FieldValue{Field: f.Field, Value: was})
	}
	if len(back.After) == 0 {
		u := Undone{Since: since, Nothing: "it is as it was before"}
		if len(since) > 0 {
			u.Nothing = "what it changed was changed since"
		}
		return u
	}
	return Undone{Change: back, Since: since}
}

// changedSince lists the fields of a change that hold neither what they had before nor what it gave them.
func changedSince(c dirsync.Change, link dirsync.Link) []string {
	var out []string
	for _, f := range c.After {
		was, _ := c.Before.Get(f.Field)
		is, _ := link.Held.Get(f.Field)
		kept := c.Kind == dirsync.Create && c.Join == "" && slices.Contains(c.CreateOnly, f.Field)
		if !is.Same(f.Value) && !is.Same(was) && !kept && !link.InDoubt() {
			out = append(out, f.Field)
		}
	}
	return out
}
