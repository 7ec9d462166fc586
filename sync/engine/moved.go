package engine

import (
	"context"
	"fmt"

	"dirsync"
)

// sameTarget makes sure, before anything is planned, that the accounts that are remembered are those of this target, and
// remembers which one it is. In another one, their ids are nobody's, or, worse, somebody else's: where an application
// counts its accounts, the first of every one of them is called 1.
func (e *Engine) sameTarget(ctx context.Context, r *dirsync.Run) error {
	if e.TargetID == "" || e.group != nil { // the groups go where their people go
		return nil
	}
	state, err := e.Store.ReadState(ctx)
	if err != nil || state.Target == e.TargetID {
		return err
	}
	if err := e.patiently(ctx, r, func() error { return e.recognise(ctx) }); err != nil {
		return err
	}
	if state.Target != "" {
		r.Notes = append(r.Notes, fmt.Sprintf("people go to %s now and no more to %s; the accounts there are the same", e.TargetID, state.Target))
	}
	state.Target = e.TargetID
	return e.Store.SetReadState(ctx, state)
}

// recognise is an error of kind Invalid if the target is another one than that in which this sync has made accounts. It may
// be the same one under another name: then the accounts are there, and say that they are those people's.
func (e *Engine) recognise(ctx context.Context) error {
	state, err := e.Store.ReadState(ctx)
	if err != nil || e.TargetID == "" || state.Target == "" || state.Target == e.TargetID {
		return err
	}
	known := 0
	if err := e.eachIn(ctx, e.Store, func(p dirsync.Person) error {
		if p.Link.Account != "" {
			known++
		}
		return nil
	}); err != nil || known == 0 {
		return err
	}
	same, owners := 0, newOwners(e)
	if err := e.Target.Users(ctx, func(a dirsync.Account) error {
		p, found, err := owners.of(ctx, a.ID)
		if found && (a.Source == p.ID || a.Source == "" && alike(p.Link.Held, a.Values)) {
			same++
		}
		return err
	}); err != nil {
		return fmt.Errorf("list %s: %w", e.Target.Name(), err)
	}
	if 2*same > known {
		return nil
	}
	err = fmt.Errorf("people went to %s until now and are to go to %s, where %d of %d accounts are found: it is another target",
		state.Target, e.TargetID, same, known)
	return &dirsync.Error{Op: "look for the accounts of this sync", Kind: dirsync.Invalid, Err: err,
		Hint: "Nothing was changed. Put back what was there, if this was a mistake. Otherwise give the sync another name: " +
			"under that it begins from nothing, finds the accounts that are there already, and leaves those of the old target as they are."}
}

// alike tells whether an account can be the one that holds what is remembered, where it does not say whose it is: what it
// shows of that is the same, the most of it at least.
func alike(held, shown dirsync.Values) bool {
	same, other := 0, 0
	for _, f := range held {
		switch is, said := shown.Get(f.Field); {
		case !said || f.Value.IsNull():
		case is.Same(f.Value):
			same++
		default:
			other++
		}
	}
	return same > other
}
