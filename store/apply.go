package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"dirsync"
)

// Apply implements dirsync.Target.
func (a *accounts) Apply(ctx context.Context, c dirsync.Change) (dirsync.Account, error) {
	out := a.ApplyAll(ctx, []dirsync.Change{c})
	return out[0].Account, out[0].Err
}

// ApplyAll implements dirsync.Batcher, in one transaction. One change can make way for another whatever their order:
// addresses may be handed on along a chain and exchanged in a circle. A change that cannot be made leaves no trace.
func (a *accounts) ApplyAll(ctx context.Context, changes []dirsync.Change) []dirsync.Applied {
	out := make([]dirsync.Applied, len(changes))
	if len(changes) == 0 {
		return out
	}
	err := a.update(ctx, "write "+a.noun+"s", func(x *accountsTx) error {
		for from := 0; from < len(changes); {
			subjects, err := x.distinct(changes[from:])
			if err != nil {
				return err
			}
			to := from + len(subjects)
			if err := x.applyBatch(changes[from:to], subjects, out[from:to]); err != nil {
				return err
			}
			from = to
		}
		return nil
	})
	if err == nil {
		return out
	}
	if _, ok := errors.AsType[*dirsync.Error](err); !ok {
		err = &dirsync.Error{Op: "write " + a.noun + "s", Err: err}
	}
	for i := range out {
		out[i] = dirsync.Applied{Err: err}
	}
	return out
}

// subject is the account that a change speaks of.
type subject struct {
	seq uint64 // 0: there is none
	was account
	// deleted says that it is not there, and can be brought back.
	deleted bool
}

// distinct finds how far from one change on no account occurs twice, and the subjects of these changes: what happens to
// the same account must happen in order, and only changes to different ones may overtake each other.
func (x *accountsTx) distinct(changes []dirsync.Change) ([]subject, error) {
	out := make([]subject, 0, len(changes))
	people := make(map[dirsync.ID]struct{}, len(changes))
	accounts := make(map[uint64]struct{}, len(changes))
	named := make(map[string]struct{})
	for _, c := range changes {
		s, err := x.subject(c)
		if err != nil {
			return nil, err
		}
		_, again := people[c.Person]
		again = again && c.Person != ""
		if s.seq != 0 {
			_, known := accounts[s.seq]
			_, joined := people[s.was.Source]
			again = again || known || joined && s.was.Source != ""
			accounts[s.seq] = struct{}{}
			people[s.was.Source] = struct{}{}
		} else if c.Account != "" {
			_, known := named[c.Account]
			again = again || known
			named[c.Account] = struct{}{}
		}
		if again {
			return out, nil
		}
		people[c.Person] = struct{}{}
		out = append(out, s)
	}
	return out, nil
}

// subject finds the account that a change speaks of.
func (x *accountsTx) subject(c dirsync.Change) (subject, error) {
	named := x.a.seq(c.Account)
	if c.Kind == dirsync.Create && c.Person != "" {
		// An earlier try may have made one already, whatever account was found to be theirs since.
		seq, r, err := x.holder(lookupKey{tagSource, string(c.Person)}, 0)
		if seq != 0 || err != nil {
			return subject{seq: seq, was: r}, err
		}
	}
	if named != 0 {
		if r, ok, err := x.account(named, true); ok || err != nil {
			return subject{seq: named, was: r}, err
		}
	}
	if c.Account != "" && c.Kind != dirsync.Create {
		return subject{}, nil
	}
	if c.Person != "" && c.Kind != dirsync.Create {
		seq, r, err := x.holder(lookupKey{tagSource, string(c.Person)}, 0)
		if seq != 0 || err != nil {
			return subject{seq: seq, was: r}, err
		}
	}
	if named != 0 {
		if r, ok, err := x.restorable(named); ok || err != nil {
			return subject{seq: named, was: r, deleted: true}, err
		}
	}
	return subject{}, nil
}

// pending is a change that another account is in the way of, so far.
type pending struct {
	at   int
	edit edit
}

// applyBatch applies changes to different accounts. The error is only for what spoils the whole transaction.
func (x *accountsTx) applyBatch(changes []dirsync.Change, subjects []subject, out []dirsync.Applied) error {
	var waiting []pending
	for i, c := range changes {
		p, done, err := x.try(c, subjects[i], i, out)
		if err != nil {
			return err
		}
		if !done {
			waiting = append(waiting, p)
		}
	}
	for len(waiting) > 0 {
		left, err := x.applyWaiting(waiting, out)
		if err != nil {
			return err
		}
		if len(left) == len(waiting) {
			break
		}
		waiting = left
	}
	for _, w := range waiting {
		// Who is in the way may have changed since the change was first tried.
		err := x.conflict(changes[w.at], &w.edit)
		if dirsync.KindOf(err) == dirsync.Conflict {
			out[w.at].Err = err
			continue
		}
		if err == nil {
			out[w.at].Account, err = x.make(&w.edit)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// try applies one change. done is false when another account is in its way.
func (x *accountsTx) try(c dirsync.Change, s subject, at int, out []dirsync.Applied) (p pending, done bool, err error) {
	e, err := x.plan(c, s)
	planned := err == nil
	if planned {
		err = x.conflict(c, &e)
	}
	var refused *dirsync.Error
	ok := false
	if err != nil {
		refused, ok = errors.AsType[*dirsync.Error](err)
	}
	switch {
	case err != nil && !ok:
		return pending{}, false, err
	case err != nil && planned && refused.Kind == dirsync.Conflict:
		return pending{at, e}, false, nil
	case err != nil && (refused.Kind == dirsync.Conflict || refused.Kind == dirsync.Invalid || refused.Kind == dirsync.NotFound):
		out[at].Err = refused
		return pending{}, true, nil
	case err != nil:
		return pending{}, false, err
	}
	out[at].Account, err = x.make(&e)
	return pending{}, err == nil, err
}

// make makes an edit happen, and returns what the account then is.
func (x *accountsTx) make(e *edit) (dirsync.Account, error) {
	if err := x.put(e); err != nil || e.gone || e.now.ID == "" {
		return dirsync.Account{}, err
	}
	return x.show(e.now)
}

// rival finds another account that has a key that an edit takes, and says which; the account's number is 0 when there is
// none.
func (x *accountsTx) rival(e *edit) (seq uint64, other account, k lookupKey, err error) {
	for _, k = range e.taken {
		if e.seq == 0 && k.tag == tagSource || !x.a.unique(k) {
			continue // an account of this person would have been found
		}
		if seq, other, err = x.holder(k, e.seq); seq != 0 || err != nil {
			break
		}
	}
	return seq, other, k, err
}

// conflict finds another account that has what an edit takes.
func (x *accountsTx) conflict(c dirsync.Change, e *edit) error {
	seq, other, k, err := x.rival(e)
	if seq == 0 && err == nil {
		k = lookupKey{tagUserName, e.claims}
		seq, other, err = x.namesake(e)
	}
	if seq == 0 || err != nil {
		return err
	}
	refused := &dirsync.Error{Op: x.op(c), ID: c.Person, Kind: dirsync.Conflict, Field: k.what(), Value: k.text, Other: x.describe(other)}
	switch k.tag {
	case tagSource:
	case tagUserName:
		refused.Field, refused.Value = dirsync.EmailAddress, x.a.nameOf(e.now)
		refused.Err = fmt.Errorf("%s is the user name of %s", refused.Value, refused.Other)
		return refused
	default:
		v, _ := e.now.Values.Get(k.tag)
		refused.Value = v.Text
	}
	refused.Err = fmt.Errorf("%s %s belongs to %s", refused.Field, refused.Value, refused.Other)
	return refused
}

// describe says who an account is, for people.
func (x *accountsTx) describe(r account) string {
	if x.a.users != nil {
		name, _ := r.Values.Get(groupName)
		return name.Text + " (" + r.ID + ")"
	}
	first, _ := r.Values.Get(dirsync.FirstName)
	last, _ := r.Values.Get(dirsync.LastName)
	email, _ := r.Values.Get(dirsync.EmailAddress)
	s := first.Text
	if s != "" && last.Text != "" {
		s += " "
	}
	if s += last.Text; s == "" && r.said != nil {
		s = cmp.Or(r.said.display, r.said.name)
	}
	if email.Text != "" {
		s += " <" + email.Text + ">"
	}
	return s + " (" + r.ID + ")"
}

// applyWaiting makes those of the waiting changes that can be made together with others of them, and returns the rest.
func (x *accountsTx) applyWaiting(waiting []pending, out []dirsync.Applied) (left []pending, err error) {
	leaving := map[leave]*pending{}
	for i, p := range waiting {
		for _, k := range p.edit.leaves {
			leaving[leave{p.edit.seq, k}] = &waiting[i]
		}
		if p.edit.frees != "" {
			leaving[leave{p.edit.seq, lookupKey{tagUserName, p.edit.frees}}] = &waiting[i]
		}
	}
	done, holders := map[int]bool{}, map[lookupKey]uint64{}
	for i, p := range waiting {
		if done[p.at] {
			continue
		}
		together, err := x.together(&waiting[i], leaving, holders)
		if err != nil {
			return nil, err
		}
		for _, p := range together {
			if out[p.at].Account, err = x.make(&p.edit); err != nil {
				return nil, err
			}
			done[p.at] = true
		}
		if len(together) > 0 {
			clear(holders)
		}
	}
	for _, p := range waiting {
		if !done[p.at] {
			left = append(left, p)
		}
	}
	return left, nil
}

// together finds the changes that have to be made together with p, p first: those that leave what p takes, those that
// leave what these take, and so on to the end of the chain or around the circle. There are none when somebody else is
// in the way at the end, or when two of them take the same.
func (x *accountsTx) together(p *pending, leaving map[leave]*pending, holders map[lookupKey]uint64) ([]*pending, error) {
	set, in, taken := []*pending{p}, map[int]bool{p.at: true}, map[lookupKey]bool{}
	for i := 0; i < len(set); i++ {
		for _, k := range set[i].edit.taken {
			if !x.a.unique(k) {
				continue
			}
			if taken[k] {
				return nil, nil
			}
			taken[k] = true
			seq, known := holders[k]
			if !known {
				var err error
				if seq, _, err = x.holder(k, set[i].edit.seq); err != nil {
					return nil, err
				}
				holders[k] = seq
			}
			if seq == 0 {
				continue
			}
			next := leaving[leave{seq, k}]
			if next == nil {
				return nil, nil
			}
			if !in[next.at] {
				set, in[next.at] = append(set, next), true
			}
		}
		e := &set[i].edit
		seq, _, err := x.namesake(e)
		if err != nil {
			return nil, err
		}
		name := lookupKey{tagUserName, e.claims}
		if e.claims != "" && taken[name] {
			return nil, nil
		}
		taken[name] = true
		if seq == 0 {
			continue
		}
		next := leaving[leave{seq, name}]
		if next == nil {
			return nil, nil
		}
		if !in[next.at] {
			set, in[next.at] = append(set, next), true
		}
	}
	return set, nil
}

// leave is a key that an account gives up.
type leave struct {
	seq uint64
	key lookupKey
}

// put writes an edit.
func (x *accountsTx) put(e *edit) error {
	if e.same {
		return nil
	}
	for _, k := range e.leaves {
		x.lost = true
		x.shift(k, false)
		if err := x.unindex(x.a.keys, k.hash(), e.seq); err != nil {
			return err
		}
	}
	if e.gone {
		x.count--
		x.hole(e.seq, 1)
		if e.was.said != nil {
			x.told--
		}
		if err := x.moveMember(e.seq, e.was.in, nil); err != nil {
			return err
		}
		if err := x.keepDeleted(e.seq, e.was); err != nil {
			return err
		}
		return storageError(x.rows.Delete(seqKey(e.seq)))
	}
	was := e.was.in
	if e.now.said != nil && (e.was.said == nil || e.back) {
		x.told++
	}
	switch {
	case e.back:
		if err := x.undelete(e.seq); err != nil {
			return err
		}
		x.count++
		x.hole(e.seq, ^uint64(0))
		was = nil
		if err := x.log(e.seq, 0, joinsBack); err != nil {
			return err
		}
	case e.seq == 0:
		seq, err := x.rows.NextSequence()
		if err != nil {
			return storageError(err)
		}
		e.seq, e.now.ID = seq, x.a.id(seq)
		x.count++
		if err := x.log(e.seq, 0, joinsNew); err != nil {
			return err
		}
	}
	for _, k := range e.taken {
		x.shift(k, e.now.number == 0)
		if err := x.index(x.a.keys, k.hash(), e.seq); err != nil {
			return err
		}
	}
	if err := x.moveMember(e.seq, was, e.now.in); err != nil {
		return err
	}
	return x.keep(e.seq, &e.now)
}
