package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"dirsync"
)

// resourceWriter changes resources in a transaction that it shares with others.
type resourceWriter struct{ users, groups *accountsTx }

func (w *resourceWriter) of(kind dirsync.Kind) *accountsTx {
	if kind == dirsync.KindGroup {
		return w.groups
	}
	return w.users
}

// CreateResource implements dirsync.ResourceStore.
func (d *Directory) CreateResource(ctx context.Context, r dirsync.Resource, members []string) (out dirsync.Resource, err error) {
	op := "create " + r.Kind.String()
	if _, err := d.of(r.Kind); err != nil {
		return out, named(op, err)
	}
	err = d.write(ctx, op, func(w *resourceWriter) (func() error, error) {
		x := w.of(r.Kind)
		e := edit{now: account{Account: dirsync.Account{Active: true, Created: x.s.opts.Now().UTC()}}}
		if err := w.lay(x, &e, r); err != nil {
			return nil, err
		}
		moves, err := w.moves(r.Kind, 0, dirsync.ResourceEdit{Add: members})
		if err != nil {
			return nil, err
		}
		return func() error {
			if err := x.put(&e); err != nil {
				return err
			}
			if err := w.move(e.seq, moves); err != nil {
				return err
			}
			if len(moves) > 0 {
				if err := x.keep(e.seq, &e.now); err != nil {
					return err
				}
			}
			out, err = x.resource(e.now)
			return err
		}, nil
	})
	if err != nil {
		return dirsync.Resource{}, err
	}
	return out, nil
}

// EditResource implements dirsync.ResourceStore. An account that belongs to a sync is not changed: that is an
// *dirsync.Error of kind Invalid, unless the edit changes nothing. Of Remove, ids of nobody are not looked at; whoever is
// in Add as well stays. fn may run on another goroutine than the caller's; if it panics, so does EditResource.
func (d *Directory) EditResource(ctx context.Context, kind dirsync.Kind, id string, fn func(dirsync.Resource) (dirsync.ResourceEdit, error)) (out dirsync.Resource, err error) {
	op := "change " + kind.String() + " " + strconv.Quote(id)
	if _, err := d.of(kind); err != nil {
		return out, named(op, err)
	}
	err = d.write(ctx, op, func(w *resourceWriter) (func() error, error) {
		x := w.of(kind)
		seq := x.a.seq(id)
		r, ok, err := x.account(seq, true)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, missing(kind, id)
		}
		if out, err = x.resource(r); err != nil {
			return nil, err
		}
		theirs := out
		theirs.Emails, theirs.Values, theirs.Document = slices.Clone(out.Emails), slices.Clone(out.Values), bytes.Clone(out.Document)
		want, err := call(fn, theirs)
		if err != nil {
			return nil, err
		}
		return w.edit(x, seq, r, want, &out)
	})
	if err != nil {
		return dirsync.Resource{}, err
	}
	return out, nil
}

// edit plans a change of a resource that is there. out is what it is, and becomes what it is then.
func (w *resourceWriter) edit(x *accountsTx, seq uint64, r account, want dirsync.ResourceEdit, out *dirsync.Resource) (func() error, error) {
	if want.Delete {
		if r.Source != "" {
			return nil, owned(r)
		}
		return func() error {
			e := x.removal(seq, r)
			if x == w.groups {
				delete(w.users.known, seq)
			}
			return x.put(&e)
		}, nil
	}
	e := edit{seq: seq, was: r, now: r}
	if err := w.lay(x, &e, want.Resource); err != nil {
		return nil, err
	}
	moves, err := w.moves(x.a.kind(), seq, want)
	switch {
	case err != nil:
		return nil, err
	case e.same && len(moves) == 0:
		return nil, nil
	case r.Source != "":
		return nil, owned(r)
	}
	return func() error {
		if err := w.move(seq, moves); err != nil {
			return err
		}
		if e.same {
			e.same, e.now.Updated = false, x.s.opts.Now().UTC()
		}
		if err := x.put(&e); err != nil {
			return err
		}
		var err error
		*out, err = x.resource(e.now)
		return err
	}, nil
}

func owned(r account) error {
	return &dirsync.Error{ID: r.Source, Kind: dirsync.Invalid, Err: fmt.Errorf("%s belongs to a sync", r.ID),
		Hint: "Change it where it comes from."}
}

// lay lays what a client says over an account, and refuses what cannot be kept.
func (w *resourceWriter) lay(x *accountsTx, e *edit, r dirsync.Resource) error {
	if err := w.check(x, r); err != nil {
		return err
	}
	// Values of fields that are no longer there stay.
	values := slices.DeleteFunc(slices.Clone(e.was.Values), func(v dirsync.FieldValue) bool { return slices.Contains(x.a.names, v.Field) })
	for _, v := range r.Values {
		values = values.Set(v.Field, v.Value)
	}
	values, err := x.unseen(e.was, values)
	if err != nil {
		return err
	}
	s := &said{name: r.Name, display: r.Display, external: r.ExternalID, emails: slices.Clone(r.Emails), pending: r.Pending,
		document: bytes.Clone(r.Document)}
	e.now.Active = r.Active
	if x.a.kind() == dirsync.KindGroup {
		s.name, e.now.Active = "", true
		values = values.Set(groupName, dirsync.Value{Type: dirsync.Text, Text: r.Name})
	}
	e.now.Values, e.now.said = notNull(values), s
	if e.now.in, err = x.cleaned(e.was.in); err != nil {
		return err
	}
	if e.seq != 0 && e.was.said == nil && sameResource(x.a.resource(e.was), x.a.resource(e.now)) {
		e.now.said = nil // the client has said what was known, so it is as if it had said nothing
	}
	if err := x.weigh(e); err != nil || e.same {
		return err
	}
	return w.conflict(x, e, r.Name)
}

// sameResource tells whether a client sees the same.
func sameResource(a, b dirsync.Resource) bool {
	return a.Name == b.Name && a.Display == b.Display && a.ExternalID == b.ExternalID && slices.Equal(a.Emails, b.Emails) &&
		a.Active == b.Active && a.Values.Equal(b.Values) && bytes.Equal(a.Document, b.Document) && a.Pending == b.Pending
}

// nameAttribute is what clients call the name of a resource.
func nameAttribute(kind dirsync.Kind) string {
	if kind == dirsync.KindGroup {
		return "displayName"
	}
	return "userName"
}

// check refuses what no resource can be.
func (w *resourceWriter) check(x *accountsTx, r dirsync.Resource) error {
	refuse := func(field, value string, err error) error {
		return &dirsync.Error{Kind: dirsync.Invalid, Field: field, Value: value, Err: err}
	}
	if err := checkName("name", r.Name); err != nil {
		return refuse(nameAttribute(x.a.kind()), "", err)
	}
	for _, texts := range [][]string{{"displayName", r.Display}, {"externalId", r.ExternalID}, append([]string{"emails"}, r.Emails...)} {
		for _, text := range texts[1:] {
			if len(text) > maxName {
				return refuse(texts[0], "", fmt.Errorf("%s has %d bytes, more than %d", texts[0], len(text), maxName))
			}
		}
	}
	if r.Pending != 0 && !r.Pending.Destructive() {
		return refuse("", "", errors.New("only a deletion and a deactivation can be pending"))
	}
	if err := checkBody("document", r.Document); err != nil {
		return err
	}
	return x.allowed(dirsync.Change{Kind: dirsync.Update}, r.Values)
}

// conflict finds another resource that has what an edit takes.
func (w *resourceWriter) conflict(x *accountsTx, e *edit, name string) error {
	seq, other, err := x.namesake(e)
	field := nameAttribute(x.a.kind())
	if folded := dirsync.Fold(name); x.a.kind() == dirsync.KindGroup && (e.seq == 0 || folded != dirsync.Fold(x.a.nameOf(e.was))) {
		seq, other, err = x.holder(lookupKey{groupName, folded}, e.seq)
	}
	if seq == 0 && err == nil {
		var k lookupKey
		seq, other, k, err = x.rival(e)
		v, _ := e.now.Values.Get(k.tag)
		field, name = k.tag, v.Text
	}
	if seq == 0 || err != nil {
		return err
	}
	return &dirsync.Error{Kind: dirsync.Conflict, Field: field, Value: name, Other: other.ID, Err: fmt.Errorf("%s %s belongs to %s", field, name, other.ID)}
}

// memberMove is that a user joins or leaves a group.
type memberMove struct {
	user uint64
	join bool
}

// moves finds out who joins and who leaves a group.
func (w *resourceWriter) moves(kind dirsync.Kind, group uint64, want dirsync.ResourceEdit) ([]memberMove, error) {
	if kind != dirsync.KindGroup {
		if len(want.Add)+len(want.Remove) > 0 || want.Only {
			return nil, &dirsync.Error{Kind: dirsync.Invalid, Field: "members", Err: errors.New("a user has no members")}
		}
		return nil, nil
	}
	var out []memberMove
	stays := make(map[uint64]bool, len(want.Add))
	for _, id := range want.Add {
		seq := w.users.a.seq(id)
		r, ok, err := w.users.account(seq, false)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, &dirsync.Error{Kind: dirsync.Invalid, Field: "members", Value: id, Err: fmt.Errorf("there is no user %q", id)}
		}
		if !stays[seq] && (group == 0 || !contains(r.in, group)) {
			out = append(out, memberMove{seq, true})
		}
		stays[seq] = true
	}
	if group == 0 {
		return out, nil
	}
	var leavers []uint64
	if want.Only {
		leavers = w.users.all(w.users.a.keys, groupHash(group))
	}
	for _, id := range want.Remove {
		leavers = append(leavers, w.users.a.seq(id))
	}
	slices.Sort(leavers)
	for _, seq := range slices.Compact(leavers) {
		if stays[seq] || seq == 0 {
			continue
		}
		r, ok, err := w.users.account(seq, false)
		if err != nil {
			return nil, err
		}
		if ok && contains(r.in, group) {
			out = append(out, memberMove{seq, false})
		}
	}
	return out, nil
}

// move writes who joins and who leaves a group.
func (w *resourceWriter) move(group uint64, moves []memberMove) error {
	now := w.users.s.opts.Now().UTC()
	for _, m := range moves {
		r, _, err := w.users.account(m.user, true)
		if err != nil {
			return err
		}
		e := edit{seq: m.user, was: r, now: r}
		if e.now.in, err = w.users.cleaned(r.in); err != nil {
			return err
		}
		e.now.in, e.now.Updated = slices.Clone(e.now.in), now
		i, in := slices.BinarySearch(e.now.in, group)
		switch {
		case m.join && !in:
			e.now.in = slices.Insert(e.now.in, i, group)
		case !m.join && in:
			e.now.in = slices.Delete(e.now.in, i, i+1)
		}
		if err := w.users.put(&e); err != nil {
			return err
		}
	}
	return nil
}
