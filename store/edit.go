package store

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"dirsync"
)

// edit is what a change makes of an account.
type edit struct {
	seq    uint64 // 0: an account to be made
	was    account
	now    account
	gone   bool // the account is to be removed
	back   bool // a deleted account is brought back
	same   bool // there is nothing to write
	taken  []lookupKey
	leaves []lookupKey
	// claims is a name that the account has from now on, and frees one that it has no longer, folded.
	claims, frees string
}

// plan works out what a change would do, without regard to other accounts.
func (x *accountsTx) plan(c dirsync.Change, s subject) (e edit, err error) {
	e = edit{seq: s.seq, was: s.was, now: s.was, back: s.deleted}
	switch {
	case c.Kind < dirsync.Delete || c.Kind > dirsync.Create:
		return edit{}, x.refuse(c, "", "", "there is no change of this kind")
	case s.seq == 0 && (c.Kind == dirsync.Delete || c.Kind == dirsync.Deactivate):
		e.same = true
		return e, nil
	case s.seq == 0 && c.Kind != dirsync.Create:
		return edit{}, &dirsync.Error{Op: x.op(c), ID: c.Person, Kind: dirsync.NotFound}
	case c.Kind == dirsync.Delete:
		return x.removal(s.seq, s.was), nil
	case s.seq == 0:
		e.now.Account = dirsync.Account{Source: c.Person, Active: true, Created: x.s.opts.Now().UTC()}
		err = x.lay(&e, c, c.After)
	case c.Kind == dirsync.Deactivate:
		e.now.Active = false
		e.now.said = s.was.said.settled(dirsync.Deactivate)
		e.now.in, err = x.cleaned(s.was.in)
	default:
		if c.Kind == dirsync.Create {
			if s.was.Source != "" && s.was.Source != c.Person {
				return edit{}, &dirsync.Error{Op: x.op(c), ID: c.Person, Kind: dirsync.Conflict, Other: string(s.was.Source),
					Err: fmt.Errorf("account %s belongs to %s", s.was.ID, s.was.Source)}
			}
			e.now.Source = c.Person
		}
		e.now.Active = s.was.Active || c.Kind != dirsync.Update
		err = x.lay(&e, c, c.Writes())
	}
	if err != nil {
		return edit{}, err
	}
	return e, x.weigh(&e)
}

// lay lays values over those that an account has, and refuses what cannot be kept.
func (x *accountsTx) lay(e *edit, c dirsync.Change, writes dirsync.Values) (err error) {
	groups, said := writes.Get(dirsync.GroupsField)
	said = said && x.a.groups != nil
	if said {
		writes = slices.DeleteFunc(slices.Clone(writes), func(v dirsync.FieldValue) bool { return v.Field == dirsync.GroupsField })
	}
	if err := x.validate(c, writes, e.was); err != nil {
		return err
	}
	e.now.Values = notNull(e.was.Values.With(writes))
	e.now.said = e.was.said.moved(e.was.Values, e.now.Values)
	if said {
		e.now.in, err = x.enrol(c, groups, e.was.in)
	} else {
		e.now.in, err = x.cleaned(e.was.in)
	}
	return err
}

// weigh finds out which keys an edit takes and leaves, and whether it changes anything.
func (x *accountsTx) weigh(e *edit) error {
	after := x.a.keysOf(e.now)
	x.rename(e)
	if e.seq == 0 || e.back {
		e.taken = after
		if e.now.Updated = x.s.opts.Now().UTC(); e.seq == 0 {
			e.now.Updated = e.now.Created
		}
		return nil
	}
	before := x.a.keysOf(e.was)
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
	// That groups were forgotten in which the user was is no change of the user's.
	in, err := x.cleaned(e.was.in)
	if err != nil {
		return err
	}
	e.same = e.now.Active == e.was.Active && e.now.Source == e.was.Source && e.now.Values.Equal(e.was.Values) && slices.Equal(e.now.in, in) &&
		e.now.said.equal(e.was.said)
	if !e.same {
		e.now.Updated = x.s.opts.Now().UTC()
	}
	return nil
}

// cleaned leaves out groups that are not there and will never come back.
func (x *accountsTx) cleaned(in []uint64) ([]uint64, error) {
	if len(in) == 0 {
		return nil, nil
	}
	return x.living(in)
}

// op says what a change does, for errors.
func (x *accountsTx) op(c dirsync.Change) string { return c.Kind.String() + " " + x.a.noun }

func notNull(values dirsync.Values) dirsync.Values {
	return slices.DeleteFunc(slices.Clone(values), func(v dirsync.FieldValue) bool { return v.Value.IsNull() })
}

func (x *accountsTx) refuse(c dirsync.Change, field, value, reason string) error {
	if field != "" {
		reason = field + " " + reason
	}
	return &dirsync.Error{Op: x.op(c), ID: c.Person, Kind: dirsync.Invalid, Field: field, Value: value,
		Err: errors.New(reason)}
}

// removal is the edit that removes an account.
func (x *accountsTx) removal(seq uint64, was account) edit {
	e := edit{seq: seq, was: was, gone: true, leaves: x.a.keysOf(was)}
	if x.told > 0 {
		e.frees = dirsync.Fold(x.a.nameOf(was))
	}
	return e
}

// validate refuses values that the schema does not allow, on top of those that the account has. What a client has left out
// may stay out.
func (x *accountsTx) validate(c dirsync.Change, writes dirsync.Values, was account) error {
	if err := x.allowed(c, writes); err != nil {
		return err
	}
	for _, f := range x.a.schema {
		if !f.Required {
			continue
		}
		v, ok := writes.Get(f.Name)
		if !ok && was.said != nil {
			continue
		}
		if !ok {
			v, _ = was.Values.Get(f.Name)
		}
		if v.IsNull() || v.Text == "" {
			return x.refuse(c, f.Name, "", "is required")
		}
	}
	return nil
}

// allowed refuses values that are not of the schema.
func (x *accountsTx) allowed(c dirsync.Change, writes dirsync.Values) error {
	for _, v := range writes {
		i := slices.IndexFunc(x.a.schema, func(f dirsync.Field) bool { return f.Name == v.Field })
		if i < 0 {
			return x.refuse(c, v.Field, v.Value.Text, "is not a field of the directory's "+x.a.noun+"s")
		}
		if v.Value.IsNull() {
			continue
		}
		switch f := x.a.schema[i]; {
		case v.Value.Type != f.Type:
			return x.refuse(c, v.Field, v.Value.Text, fmt.Sprintf("must be a %s, and this is a %s", f.Type, v.Value.Type))
		case f.Type == dirsync.Choice && !slices.Contains(f.Options, v.Value.Text):
			return x.refuse(c, v.Field, v.Value.Text, "is none of the field's options")
		case f.MaxLength > 0 && utf8.RuneCountInString(v.Value.Text) > f.MaxLength:
			return x.refuse(c, v.Field, v.Value.Text, fmt.Sprintf("is longer than %d characters", f.MaxLength))
		}
	}
	return nil
}
