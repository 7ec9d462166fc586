package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"dirsync"
)

// Apply implements dirsync.Target.
func (d *Directory) Apply(ctx context.Context, c dirsync.Change) (dirsync.Account, error) {
	out := d.ApplyAll(ctx, []dirsync.Change{c})
	return out[0].Account, out[0].Err
}

// ApplyAll implements dirsync.Batcher, in one transaction. One change can make way for another whatever their order:
// addresses may be handed on along a chain and exchanged in a circle. A change that cannot be made leaves no trace.
func (d *Directory) ApplyAll(ctx context.Context, changes []dirsync.Change) []dirsync.Applied {
	out := make([]dirsync.Applied, len(changes))
	if len(changes) == 0 {
		return out
	}
	err := d.update(ctx, "write users", func(x *dirTx) error {
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
		err = &dirsync.Error{Op: "write users", Err: err}
	}
	for i := range out {
		out[i] = dirsync.Applied{Err: err}
	}
	return out
}

// subject is the account that a change speaks of.
type subject struct {
	seq uint64 // 0: there is none
	was dirsync.Account
}

// distinct finds how far from one change on no account occurs twice, and the subjects of these changes: what happens to
// the same account must happen in order, and only changes to different ones may overtake each other.
func (x *dirTx) distinct(changes []dirsync.Change) ([]subject, error) {
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
func (x *dirTx) subject(c dirsync.Change) (subject, error) {
	if c.Account != "" {
		if seq := accountSeq(c.Account); seq != 0 {
			if a, ok, err := x.account(seq, true); ok || err != nil {
				return subject{seq, a}, err
			}
		}
		if c.Kind != dirsync.Create {
			return subject{}, nil
		}
	}
	if c.Person == "" {
		return subject{}, nil
	}
	seq, a, err := x.holder(uniqueKey{tagSource, string(c.Person)}, 0)
	return subject{seq, a}, err
}

// pending is a change that another account is in the way of, so far.
type pending struct {
	at   int
	edit edit
}

// applyBatch applies changes to different accounts. The error is only for what spoils the whole transaction.
func (x *dirTx) applyBatch(changes []dirsync.Change, subjects []subject, out []dirsync.Applied) error {
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
		err := x.conflict(changes[w.at], w.edit)
		if dirsync.KindOf(err) == dirsync.Conflict {
			out[w.at].Err = err
			continue
		}
		if err == nil {
			err = x.write(&w.edit)
			out[w.at].Account = x.d.result(w.edit)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// try applies one change. done is false when another account is in its way.
func (x *dirTx) try(c dirsync.Change, s subject, at int, out []dirsync.Applied) (p pending, done bool, err error) {
	e, err := x.plan(c, s)
	if err == nil {
		err = x.conflict(c, e)
	}
	var refused *dirsync.Error
	ok := false
	if err != nil {
		refused, ok = errors.AsType[*dirsync.Error](err)
	}
	switch {
	case err != nil && !ok:
		return pending{}, false, err
	case err != nil && refused.Kind == dirsync.Conflict && refused.Field != "":
		return pending{at, e}, false, nil
	case err != nil && (refused.Kind == dirsync.Conflict || refused.Kind == dirsync.Invalid || refused.Kind == dirsync.NotFound):
		out[at].Err = refused
		return pending{}, true, nil
	case err != nil:
		return pending{}, false, err
	}
	if err := x.write(&e); err != nil {
		return pending{}, false, err
	}
	out[at].Account = x.d.result(e)
	return pending{}, true, nil
}

// edit is what a change makes of an account.
type edit struct {
	seq    uint64 // 0: an account to be made
	was    dirsync.Account
	now    dirsync.Account
	gone   bool // the account is to be removed
	same   bool // there is nothing to write
	taken  []uniqueKey
	leaves []uniqueKey
}

func (d *Directory) result(e edit) dirsync.Account {
	if e.gone || e.now.ID == "" {
		return dirsync.Account{}
	}
	return d.show(e.now)
}

// plan works out what a change would do, without regard to other accounts.
func (x *dirTx) plan(c dirsync.Change, s subject) (e edit, err error) {
	seq, was := s.seq, s.was
	e = edit{seq: seq, was: was, now: was}
	switch {
	case c.Kind < dirsync.Delete || c.Kind > dirsync.Create:
		return edit{}, x.refuse(c, "", "", "there is no change of this kind")
	case seq == 0 && (c.Kind == dirsync.Delete || c.Kind == dirsync.Deactivate):
		e.same = true
		return e, nil
	case seq == 0 && c.Kind != dirsync.Create:
		return edit{}, &dirsync.Error{Op: c.Kind.String() + " user", ID: c.Person, Kind: dirsync.NotFound}
	case c.Kind == dirsync.Delete:
		e.gone, e.leaves = true, x.d.keysOf(was)
		return e, nil
	case c.Kind == dirsync.Deactivate:
		e.now.Active = false
	case seq == 0:
		e.now = dirsync.Account{Source: c.Person, Active: true, Values: c.After, Created: x.s.opts.Now().UTC()}
		err = x.validate(c, c.After, dirsync.Values{})
	default:
		if c.Kind == dirsync.Create {
			if was.Source != "" && was.Source != c.Person {
				return edit{}, &dirsync.Error{Op: "create user", ID: c.Person, Kind: dirsync.Conflict, Other: string(was.Source),
					Err: fmt.Errorf("account %s belongs to %s", was.ID, was.Source)}
			}
			e.now.Source = c.Person
		}
		e.now.Active = was.Active || c.Kind != dirsync.Update
		writes := c.Writes()
		e.now.Values = was.Values.With(writes)
		err = x.validate(c, writes, was.Values)
	}
	if err != nil {
		return edit{}, err
	}
	e.now.Values = notNull(e.now.Values)
	after := x.d.keysOf(e.now)
	if seq == 0 {
		e.taken = after
		e.now.Updated = e.now.Created
		return e, nil
	}
	before := x.d.keysOf(was)
	for _, k := range before {
		if !slices.Contains(after, k) {
			e.leaves = append(e.leaves, k)
		}
	}
	for _, k := range after {
		if !slices.Contains(before, k) {
			e.taken = append(e.taken, k)
		}
	}
	e.same = e.now.Active == was.Active && e.now.Source == was.Source && e.now.Values.Equal(was.Values)
	if !e.same {
		e.now.Updated = x.s.opts.Now().UTC()
	}
	return e, nil
}

func notNull(values dirsync.Values) dirsync.Values {
	return slices.DeleteFunc(slices.Clone(values), func(v dirsync.FieldValue) bool { return v.Value.IsNull() })
}

func (x *dirTx) refuse(c dirsync.Change, field, value, reason string) error {
	if field != "" {
		reason = field + " " + reason
	}
	return &dirsync.Error{Op: c.Kind.String() + " user", ID: c.Person, Kind: dirsync.Invalid, Field: field, Value: value,
		Err: errors.New(reason)}
}

// validate refuses values that the schema does not allow, on top of those that the account has.
func (x *dirTx) validate(c dirsync.Change, writes, has dirsync.Values) error {
	for _, v := range writes {
		i := slices.IndexFunc(x.d.schema, func(f dirsync.Field) bool { return f.Name == v.Field })
		if i < 0 {
			return x.refuse(c, v.Field, v.Value.Text, "is not a field of the directory")
		}
		if v.Value.IsNull() {
			continue
		}
		switch f := x.d.schema[i]; {
		case v.Value.Type != f.Type:
			return x.refuse(c, v.Field, v.Value.Text, fmt.Sprintf("must be a %s, and this is a %s", f.Type, v.Value.Type))
		case f.Type == dirsync.Choice && !slices.Contains(f.Options, v.Value.Text):
			return x.refuse(c, v.Field, v.Value.Text, "is none of the field's options")
		case f.MaxLength > 0 && utf8.RuneCountInString(v.Value.Text) > f.MaxLength:
			return x.refuse(c, v.Field, v.Value.Text, fmt.Sprintf("is longer than %d characters", f.MaxLength))
		}
	}
	for _, f := range x.d.schema {
		if !f.Required {
			continue
		}
		v, ok := writes.Get(f.Name)
		if !ok {
			v, _ = has.Get(f.Name)
		}
		if v.IsNull() || v.Text == "" {
			return x.refuse(c, f.Name, "", "is required")
		}
	}
	return nil
}

// conflict finds another account that has what an edit takes.
func (x *dirTx) conflict(c dirsync.Change, e edit) error {
	for _, k := range e.taken {
		if e.seq == 0 && k.tag == tagSource {
			continue // an account of this person would have been found
		}
		seq, other, err := x.holder(k, e.seq)
		if err != nil {
			return err
		}
		if seq != 0 {
			return x.conflictWith(c, e, k, other)
		}
	}
	return nil
}

func (x *dirTx) conflictWith(c dirsync.Change, e edit, k uniqueKey, other dirsync.Account) error {
	err := &dirsync.Error{Op: c.Kind.String() + " user", ID: c.Person, Kind: dirsync.Conflict, Field: k.what(), Other: describe(other)}
	err.Value = k.text
	if k.tag != tagSource {
		v, _ := e.now.Values.Get(k.tag)
		err.Value = v.Text
	}
	err.Err = fmt.Errorf("%s %s belongs to %s", err.Field, err.Value, err.Other)
	return err
}

// describe says who an account is, for people.
func describe(a dirsync.Account) string {
	first, _ := a.Values.Get(dirsync.FirstName)
	last, _ := a.Values.Get(dirsync.LastName)
	email, _ := a.Values.Get(dirsync.EmailAddress)
	s := first.Text
	if s != "" && last.Text != "" {
		s += " "
	}
	s += last.Text
	if email.Text != "" {
		s += " <" + email.Text + ">"
	}
	return s + " (" + a.ID + ")"
}

// applyWaiting makes those of the waiting changes that can be made together with others of them, and returns the rest.
func (x *dirTx) applyWaiting(waiting []pending, out []dirsync.Applied) (left []pending, err error) {
	leaving := map[leave]*pending{}
	for i, p := range waiting {
		for _, k := range p.edit.leaves {
			leaving[leave{p.edit.seq, k}] = &waiting[i]
		}
	}
	done, holders := map[int]bool{}, map[uniqueKey]uint64{}
	for i, p := range waiting {
		if done[p.at] {
			continue
		}
		together, err := x.together(&waiting[i], leaving, holders)
		if err != nil {
			return nil, err
		}
		for _, p := range together {
			if err := x.write(&p.edit); err != nil {
				return nil, err
			}
			out[p.at].Account, done[p.at] = x.d.result(p.edit), true
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
func (x *dirTx) together(p *pending, leaving map[leave]*pending, holders map[uniqueKey]uint64) ([]*pending, error) {
	set, in, taken := []*pending{p}, map[int]bool{p.at: true}, map[uniqueKey]bool{}
	for i := 0; i < len(set); i++ {
		for _, k := range set[i].edit.taken {
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
	}
	return set, nil
}

// leave is a key that an account gives up.
type leave struct {
	seq uint64
	key uniqueKey
}

// write makes an edit happen.
func (x *dirTx) write(e *edit) error {
	if e.same {
		return nil
	}
	for _, k := range e.leaves {
		x.lost = true
		if err := x.unindex(x.d.keys, k.hash(), e.seq); err != nil {
			return err
		}
	}
	if e.gone {
		x.count--
		return storageError(x.users.Delete(seqKey(e.seq)))
	}
	if e.seq == 0 {
		seq, err := x.users.NextSequence()
		if err != nil {
			return storageError(err)
		}
		e.seq, e.now.ID = seq, accountID(seq)
		x.count++
	}
	for _, k := range e.taken {
		if err := x.index(x.d.keys, k.hash(), e.seq); err != nil {
			return err
		}
	}
	x.buf = appendAccount(x.buf[:0], e.now)
	return put(x.users, seqKey(e.seq), x.arena.keep(x.buf))
}
