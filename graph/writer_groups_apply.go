package graph

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"dirsync"
)

// Apply implements dirsync.Target.
func (g *GroupWriter) Apply(ctx context.Context, c dirsync.Change) (dirsync.Account, error) {
	out := g.ApplyAll(ctx, []dirsync.Change{c})
	return out[0].Account, out[0].Err
}

// ApplyAll implements dirsync.Batcher. Changes of different groups are made side by side.
func (g *GroupWriter) ApplyAll(ctx context.Context, changes []dirsync.Change) []dirsync.Applied {
	out := make([]dirsync.Applied, len(changes))
	p := g.w.client.newPost(writeGroups)
	var chains [][]int
	at := map[string]int{}
	for i, c := range changes {
		// A group is spoken of by the source's id or by its own; a change that has both joins the two.
		chain, known := len(chains), false
		for _, key := range []string{"source " + string(c.Person), "id " + strings.ToLower(c.Account)} {
			if n, ok := at[key]; ok && !strings.HasSuffix(key, " ") {
				chain, known = n, true
			}
		}
		if !known {
			chains = append(chains, nil)
		}
		at["source "+string(c.Person)], at["id "+strings.ToLower(c.Account)] = chain, chain
		chains[chain] = append(chains[chain], i)
	}
	ended := ctx.Err() != nil
	p.each(context.WithValue(ctx, counterKey{}, &g.w.sent), len(chains), func(n int) {
		for _, i := range chains[n] {
			k := &groupWork{g: g, p: p, ch: changes[i]}
			if ended || ctx.Err() != nil {
				out[i].Err = k.wrap(g.w.client.sendError(ctx, writeGroups, context.Cause(ctx)))
				continue
			}
			if out[i].Account, out[i].Err = k.run(); out[i].Err != nil {
				out[i].Account = dirsync.Account{}
			}
		}
	})
	return out
}

// groupWork is one change of a group on its way.
type groupWork struct {
	g  *GroupWriter
	p  *post
	ch dirsync.Change
}

func (k *groupWork) fault(kind dirsync.ErrorKind, err error) *dirsync.Error {
	return &dirsync.Error{Op: k.ch.Kind.String() + " group", ID: k.ch.Person, Kind: kind, Err: err}
}

func (k *groupWork) wrap(err error) error {
	e := k.fault(dirsync.KindOf(err), bare(err))
	e.RetryAt, e.Hint = dirsync.RetryAt(err), dirsync.HintOf(err)
	return e
}

// partly is the error of a change of which a part may have taken effect.
func (k *groupWork) partly(err error) error {
	e, ok := errors.AsType[*dirsync.Error](k.wrap(err))
	if ok && (e.Kind == dirsync.Conflict || e.Kind == dirsync.Invalid || e.Kind == dirsync.NotFound) {
		e.Kind = dirsync.Unavailable
	}
	return e
}

func (k *groupWork) run() (dirsync.Account, error) {
	if k.ch.Kind == dirsync.Delete && !k.g.w.cfg.AllowDelete {
		e := k.fault(dirsync.Invalid, errors.New("deleting groups of Microsoft Entra ID is switched off"))
		e.Hint = "Nothing was sent. Switch deleting on for this sync, or keep the groups that are gone from the source."
		return dirsync.Account{}, e
	}
	if err := k.check(); err != nil {
		return dirsync.Account{}, err
	}
	id := strings.ToLower(k.ch.Account)
	if mine := k.g.known.of(k.ch.Person); id == "" || k.ch.Kind == dirsync.Create && mine != "" {
		id = mine
	}
	var r dirsync.Record
	var there bool
	var err error
	if isGUID(id) {
		if r, there, err = k.g.get(k.p, id); err != nil {
			return dirsync.Account{}, k.wrap(err)
		}
	}
	switch {
	case k.ch.Kind == dirsync.Create && !there:
		k.g.known.forget(k.ch.Person)
		return k.create()
	case !there && (k.ch.Kind == dirsync.Delete || k.ch.Kind == dirsync.Deactivate):
		return dirsync.Account{}, nil
	case !there:
		return dirsync.Account{}, k.fault(dirsync.NotFound, fmt.Errorf("group %s is not there", id))
	case k.ch.Kind == dirsync.Deactivate:
		return k.owned(groupAccount(r)), nil
	case unfit(r) != "":
		return dirsync.Account{}, k.unfit(r)
	case k.ch.Kind == dirsync.Delete:
		return dirsync.Account{}, k.delete(id)
	}
	return k.update(r)
}

// owned is an account as Apply answers it: the caller keeps whose it is.
func (k *groupWork) owned(a dirsync.Account) dirsync.Account {
	k.g.known.met(k.ch.Person, a.ID)
	return a
}

func (k *groupWork) unfit(r dirsync.Record) error {
	e := k.fault(dirsync.Invalid, fmt.Errorf("group %s (%s) %s", clip(r.Attrs.Text(groupTitle)), r.ID, unfit(r)))
	e.Field, e.Other = groupNameField, string(r.ID)
	e.Hint = "Leave this group out of the sync, or let the sync make a security group of its own in place of it."
	return e
}

// check says which value cannot be written.
func (k *groupWork) check() error {
	if k.ch.Kind.Destructive() {
		return nil
	}
	values := k.ch.After
	if _, named := values.Get(groupNameField); !named && k.ch.Kind == dirsync.Create {
		values = slices.Clone(values).Set(groupNameField, dirsync.Value{})
	}
	for _, v := range values {
		if reason := groupFault(v); reason != "" {
			e := k.fault(dirsync.Invalid, errors.New(v.Field+" "+reason))
			e.Field, e.Value = v.Field, v.Value.Text
			return e
		}
	}
	return nil
}

// document is what a write says of a group.
func (k *groupWork) document(values dirsync.Values) map[string]any {
	doc := map[string]any{}
	for field, property := range map[string]string{groupNameField: groupTitle, groupDescriptionField: "description"} {
		if v, said := values.Get(field); said && v.IsNull() {
			doc[property] = nil
		} else if said {
			doc[property] = v.Text
		}
	}
	return doc
}

// update gives a group that is there what is wanted.
func (k *groupWork) update(r dirsync.Record) (dirsync.Account, error) {
	id := string(r.ID)
	account := groupAccount(r)
	doc := k.document(k.ch.Writes())
	if len(doc) == 0 {
		return k.owned(account), nil
	}
	body, _ := json.Marshal(doc) // texts always marshal
	a, err := k.g.patiently(k.p, func() *parcel {
		return &parcel{method: http.MethodPatch, path: "/groups/" + id, body: body, again: true}
	}, id)
	switch {
	case err != nil:
		return dirsync.Account{}, k.wrap(err)
	case isNowhere(a):
		k.g.known.forget(k.ch.Person)
		return dirsync.Account{}, k.fault(dirsync.NotFound, fmt.Errorf("group %s is not there", id))
	case a.status/100 != 2:
		return dirsync.Account{}, k.refused(a)
	}
	account.Values = account.Values.With(k.ch.Writes())
	return k.owned(account), nil
}

// delete deletes a group that is there.
func (k *groupWork) delete(id string) error {
	a, err := k.g.patiently(k.p, func() *parcel {
		return &parcel{method: http.MethodDelete, path: "/groups/" + id, again: true}
	}, id)
	switch {
	case err != nil:
		return k.wrap(err)
	case a.status/100 != 2 && !isNowhere(a):
		return k.refused(a)
	}
	k.g.known.left(id, k.g.w.client.cfg.Now())
	return nil
}

// nickname is what a new group is made with, and found again by: the beginning of its name, for those who see it, and what
// tells its source's id.
func (g *GroupWriter) nickname(name string, group dirsync.ID) string {
	letters := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return -1
	}, name)
	sum := sha256.Sum256([]byte(g.cfg.Scope + "\x00" + string(group)))
	return letters[:min(len(letters), 32)] + "-" + hex.EncodeToString(sum[:8])
}

// create makes a group, unless an earlier try has made it.
func (k *groupWork) create() (dirsync.Account, error) {
	name, _ := k.ch.After.Get(groupNameField)
	doc := k.document(slices.DeleteFunc(slices.Clone(k.ch.After), func(v dirsync.FieldValue) bool { return v.Value.IsNull() }))
	nickname := k.g.nickname(name.Text, k.ch.Person)
	doc[nicknameName], doc["mailEnabled"], doc["securityEnabled"] = nickname, false, true
	body, _ := json.Marshal(doc) // texts always marshal
	heard := k.g.w.began
	for n := 0; ; n++ {
		r, err := k.earlier(name, nickname, heard)
		switch {
		case err != nil && n > 0:
			return dirsync.Account{}, k.partly(err)
		case err != nil:
			return dirsync.Account{}, k.wrap(err)
		case r != nil && unfit(*r) != "":
			return dirsync.Account{}, k.unfit(*r)
		case r != nil:
			k.g.known.appeared(string(r.ID), k.g.w.client.cfg.Now()) // it may be as young as this call
			return k.update(*r)
		}
		a, err := k.p.ask(&parcel{method: http.MethodPost, path: "/groups", body: body})
		switch {
		case errors.Is(err, errUnsure) && n+1 < mostTries:
			heard = k.g.w.client.cfg.Now()
			continue
		case errors.Is(err, errUnsure) || err != nil && n > 0:
			return dirsync.Account{}, k.partly(err)
		case err != nil:
			return dirsync.Account{}, k.wrap(err)
		case a.status/100 != 2:
			if err = k.refused(a); n > 0 {
				err = k.partly(err)
			}
			return dirsync.Account{}, err
		}
		var made struct{ ID, CreatedDateTime string }
		if json.Unmarshal(a.body, &made) != nil || !isGUID(made.ID) {
			heard = k.g.w.client.cfg.Now() // it is there, and the answer does not say which it is
			if n+1 < mostTries {
				continue
			}
			return dirsync.Account{}, k.partly(k.fault(dirsync.Unavailable, errors.New("the group was made, but the answer does not say which it is")))
		}
		account := dirsync.Account{ID: strings.ToLower(made.ID), Active: true, Values: slices.Clone(k.ch.After), Unsaid: []string{groupMailField}}
		account.Created, _ = time.Parse(time.RFC3339, made.CreatedDateTime)
		k.g.known.appeared(account.ID, k.g.w.client.cfg.Now())
		return k.owned(account), nil
	}
}

// earlier looks for the group that an earlier try has made, by this process or by one that ended just before it began. That
// there is none is believed only when every replica has had the time to hear of what was made until a moment.
func (k *groupWork) earlier(name dirsync.Value, nickname string, until time.Time) (*dirsync.Record, error) {
	now := k.g.w.client.cfg.Now
	heard := until.Add(k.g.w.client.cfg.ReplicaLag)
	for {
		at := now()
		found, err := k.g.filtered(k.p, anyOf(nicknameName, []string{nickname}))
		if err != nil {
			return nil, err
		}
		found = slices.DeleteFunc(found, func(r dirsync.Record) bool {
			raw, _ := r.Attrs.Get(groupTitle)
			return decode(name.Type, raw) != name || r.Attrs.Text(nicknameName) != nickname || k.g.known.deleted(string(r.ID), now())
		})
		switch {
		case len(found) == 1:
			return &found[0], nil
		case len(found) > 1: // more than anybody can choose from
			e := k.fault(dirsync.Conflict, fmt.Errorf("two groups may be this one: %s and %s", found[0].ID, found[1].ID))
			e.Field, e.Value, e.Other = groupNameField, name.Text, string(found[0].ID)
			e.Hint = "Delete the one that is not needed, or give it another mail nickname."
			return nil, e
		case !at.Before(heard):
			return nil, nil //nolint:nilnil // there is none
		}
		if err := k.p.pause(heard.Sub(now())); err != nil {
			return nil, err
		}
	}
}

// refused words an answer for the group that it is about.
func (k *groupWork) refused(a answer) error {
	e, ok := errors.AsType[*dirsync.Error](k.g.refused(k.p, a))
	if !ok {
		return k.wrap(k.g.fault(k.p.op, a))
	}
	e.Op, e.ID = k.ch.Kind.String()+" group", k.ch.Person
	r := parseRefusal(a.body)
	if r.duplicate() {
		e.Kind, e.Field, e.Other = dirsync.Conflict, r.property(), r.holder()
		e.Hint = "Another group has what this one needs; give one of the two another name."
	}
	return e
}

// refused classifies an answer to a write of groups or of who is in them.
func (g *GroupWriter) refused(p *post, a answer) error {
	c := g.w.client
	base, ok := errors.AsType[*dirsync.Error](c.graphError(p.op, a))
	if !ok {
		base = &dirsync.Error{Op: p.op, Kind: dirsync.Unavailable}
	}
	if other, ok := errors.AsType[*permissionError](base.Err); ok {
		base.Err = other.err // the permission to read users is not what is needed here
	}
	r := parseRefusal(a.body)
	switch {
	case a.status == http.StatusForbidden:
		base.Kind = dirsync.Permission
		var roles []string
		if last := c.tokens.roles.Load(); last != nil {
			roles = *last
		}
		base.Hint = "The application may write groups in general, so it is this one: it may have dynamic membership, or roles." + c.tokens.granted()
		if !slices.Contains(roles, groupWritePermission) && !slices.Contains(roles, "Directory.ReadWrite.All") {
			base.Err = needed(groupWritePermission, base.Err)
			base.Hint = c.grantOf(groupWritePermission, "and change the groups") + c.tokens.granted()
		}
	case a.status == http.StatusBadRequest || a.status == http.StatusConflict || a.status == http.StatusUnprocessableEntity:
		base.Kind = dirsync.Invalid
		base.Hint = "Microsoft Entra ID does not take this; the message says why."
		if r.mentions("on-premises mastered", "directory sync objects", "undergoing migration") {
			base.Hint = "The group is synchronised from an on-premises directory, which alone may change it."
		}
	}
	return base
}
