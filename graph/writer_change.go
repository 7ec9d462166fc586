package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"dirsync"
)

// change updates, deactivates or reactivates an account that is there.
func (k *work) change() (dirsync.Account, error) {
	id, err := k.resolve()
	if err != nil || id == "" {
		return k.missing(id, err)
	}
	m := modification{id: id}
	if k.ch.Kind != dirsync.Deactivate {
		m.values = k.ch.Writes()
	}
	if k.ch.Kind != dirsync.Update {
		enabled := k.ch.Kind == dirsync.Reactivate
		m.enabled = &enabled
	}
	fault := k.check(m.values, false, k.ch.Before)
	if fault != nil || k.mustRead(m.values) {
		r, there, err := k.w.get(k.p, id)
		if err != nil || !there {
			return k.missing(id, err) // whoever is not there is told so first: the values do not matter then
		}
		m.before = &r
		fault = k.check(m.values, false, k.w.account(r).Values)
	}
	if fault != nil {
		return dirsync.Account{}, fault
	}
	return k.modify(m)
}

// mustRead tells whether the account has to be read before it is written: when it is not known what it holds, or when a
// part of a property would take the rest of it away.
func (k *work) mustRead(values dirsync.Values) bool {
	if len(k.ch.Before) == 0 {
		return true
	}
	for _, v := range values {
		if _, known := k.ch.Before.Get(v.Field); !known {
			return true
		}
	}
	return halved(values)
}

const (
	orgData    = "employeeOrgData"
	division   = orgData + "/division"
	costCenter = orgData + "/costCenter"
)

// halved tells whether one part of employeeOrgData is written without the other (Graph document "Update user": both have
// to be sent).
func halved(values dirsync.Values) bool {
	_, one := values.Get(division)
	_, other := values.Get(costCenter)
	return one != other
}

// missing is what there is to say of a change of an account that is not there.
func (k *work) missing(id string, err error) (dirsync.Account, error) {
	if err != nil {
		return dirsync.Account{}, k.wrap(err)
	}
	if id != "" && k.w.known.of(k.ch.Person) == id {
		k.w.known.forget(k.ch.Person)
	}
	if k.ch.Kind == dirsync.Deactivate {
		gone, err := k.gone(id)
		switch {
		case err != nil:
			return dirsync.Account{}, k.wrap(err)
		case gone:
			return dirsync.Account{}, nil
		}
		return dirsync.Account{}, k.fault(dirsync.Unavailable, fmt.Errorf("account %s is there for a part of the service only", id))
	}
	if id == "" {
		return dirsync.Account{}, k.fault(dirsync.NotFound, errors.New("the person has no account"))
	}
	switch _, there, err := k.heardOf(id); {
	case err != nil:
		return dirsync.Account{}, k.wrap(err)
	case there:
		return dirsync.Account{}, k.fault(dirsync.Unavailable, fmt.Errorf("account %s is there for a part of the service only", id))
	}
	return dirsync.Account{}, k.fault(dirsync.NotFound, fmt.Errorf("account %s is not there", id))
}

// check says which value cannot be written into an account that holds others. New accounts need all required ones.
func (k *work) check(values dirsync.Values, isNew bool, held dirsync.Values) error {
	refuse := func(v dirsync.FieldValue, reason string) error {
		e := k.fault(dirsync.Invalid, errors.New(v.Field+" "+reason))
		e.Field, e.Value = v.Field, v.Value.Text
		return e
	}
	for _, v := range values {
		if v.Field == dirsync.GroupsField && k.w.groups.Load() != nil {
			if reason := groupsFault(v.Value); reason != "" {
				return refuse(v, reason)
			}
			continue
		}
		f := k.w.field(v.Field)
		if f == nil {
			return refuse(v, "is not among the properties that are written")
		}
		if reason := f.fault(v.Value); reason != "" {
			return refuse(v, reason)
		}
		if now, known := held.Get(v.Field); f.fixed && v.Value.IsNull() && !isNew && !(known && now.IsNull()) {
			return refuse(v, "cannot be cleared, only changed")
		}
	}
	for _, f := range k.w.all() {
		if v, _ := values.Get(f.Name); isNew && f.Required && v.IsNull() {
			return refuse(dirsync.FieldValue{Field: f.Name}, "is required")
		}
	}
	return nil
}

// modification is what is to be different of an account that is there.
type modification struct {
	id      string
	values  dirsync.Values
	enabled *bool
	// claim says that the account becomes the person's.
	claim bool
	// before is the account as it was read; nil if it was not.
	before *dirsync.Record
}

// modify changes an account. Its errors are of kind NotFound if it is not there.
//
// What is wanted is written even where the account was read to hold it: what was read may be what it was before a write
// of which nobody knows. Only if that is refused the differences alone are tried, because the rest need not be allowed
// then: for an account that is mastered on-premises, or that of an administrator.
func (k *work) modify(m modification) (dirsync.Account, error) {
	if doc := k.patch(m, m.values); len(doc) > 0 {
		a, err := k.sendPatch(m.id, doc)
		if err == nil && m.before != nil && (a.status == http.StatusBadRequest || a.status == http.StatusForbidden) {
			if less, fewer := k.differing(m); fewer && len(less) == 0 {
				a.status = http.StatusNoContent
			} else if fewer {
				a, err = k.sendPatch(m.id, less)
			}
		}
		switch {
		case err != nil:
			return dirsync.Account{}, k.wrap(err)
		case isNowhere(a):
			return k.missing(m.id, nil)
		case a.status/100 != 2:
			return dirsync.Account{}, k.refused(a, m.values, m.id)
		}
		k.effect = true
	}
	k.wish(m.id, m.values)
	return k.modified(m), nil
}

// patch is the document that makes an account hold values and what else m says.
func (k *work) patch(m modification, values dirsync.Values) map[string]any {
	values = slices.DeleteFunc(slices.Clone(values), func(v dirsync.FieldValue) bool {
		f := k.w.field(v.Field)
		return f != nil && f.fixed && v.Value.IsNull() // it is clear already; see check
	})
	doc := k.w.document(values, false)
	if object, ok := doc[orgData].(map[string]any); ok && m.before != nil {
		for _, part := range []string{division, costCenter} {
			_, inner, _ := strings.Cut(part, "/")
			if _, said := object[inner]; said {
				continue
			}
			object[inner] = nil
			if raw := inside(m.before.Attrs, part); raw != nil {
				object[inner] = raw
			}
		}
	}
	if m.enabled != nil {
		doc[enabledName] = *m.enabled
	}
	if m.claim {
		k.w.putAnchor(doc, k.ch.Person)
	}
	return doc
}

// differing is the document of what the account does not hold already, and whether that is less than everything.
func (k *work) differing(m modification) (doc map[string]any, fewer bool) {
	now := k.w.account(*m.before)
	values := slices.DeleteFunc(slices.Clone(m.values), func(v dirsync.FieldValue) bool {
		held, _ := now.Values.Get(v.Field)
		return v.Value.Same(held)
	})
	less := m
	if m.enabled != nil && *m.enabled == now.Active {
		less.enabled = nil
	}
	return k.patch(less, values), len(values) < len(m.values) || less.enabled != m.enabled
}

func (k *work) sendPatch(id string, doc map[string]any) (answer, error) {
	body, err := json.Marshal(doc)
	if err != nil {
		return answer{}, k.fault(dirsync.Invalid, errors.New("the values cannot be written as JSON"))
	}
	return k.w.patiently(k.p, func() *parcel {
		return &parcel{method: http.MethodPatch, path: "/users/" + id, body: body, again: true}
	}, id)
}

// modified is the account after a change.
func (k *work) modified(m modification) dirsync.Account {
	a := dirsync.Account{ID: m.id, Source: k.ch.Person, Active: true, Values: slices.Clone(m.values)}
	if m.before != nil {
		a = k.w.account(*m.before)
		a.Values = a.Values.With(m.values)
	}
	if m.enabled != nil {
		a.Active = *m.enabled
	}
	if m.claim {
		a.Source = k.ch.Person
	}
	return a
}

// wish notes that a manager is to be written when everybody is there.
func (k *work) wish(id string, values dirsync.Values) {
	k.id = id
	if v, said := values.Get(managerName); said {
		k.boss = &v
	}
}

// gone makes sure that an account is not there any more: that one part of the service does not know it may also mean that
// it was made just now, by somebody else or before this program was started, and then whoever left would stay.
func (k *work) gone(id string) (bool, error) {
	if id == "" || k.w.known.deleted(id, k.w.client.cfg.Now()) {
		return true, nil
	}
	if _, kept, err := k.binned(id); kept || err != nil {
		return kept, err
	}
	if err := k.p.pause(k.w.client.cfg.ReplicaLag); err != nil {
		return false, err
	}
	_, there, err := k.w.get(k.p, id)
	return !there && err == nil, err
}

// delete deletes an account; one that is not there is what was wanted. The tenant keeps it for thirty days.
func (k *work) delete() error {
	id, err := k.resolve()
	if err != nil || id == "" {
		return err
	}
	for n := 0; ; n++ {
		a, err := k.w.patiently(k.p, func() *parcel {
			return &parcel{method: http.MethodDelete, path: "/users/" + id, again: true}
		}, id)
		if err == nil && isNowhere(a) {
			var gone bool
			if gone, err = k.gone(id); err == nil && !gone && n == 0 {
				continue
			} else if err == nil && !gone {
				err = k.fault(dirsync.Unavailable, fmt.Errorf("account %s is there for a part of the service only", id))
			}
		}
		switch {
		case err != nil:
			return k.wrap(err)
		case a.status/100 != 2 && !isNowhere(a):
			return k.refused(a, nil, id)
		}
		break
	}
	k.id = id
	k.w.known.left(id, k.w.client.cfg.Now())
	k.w.held.remove(id)
	return nil
}

// managers writes who reports to whom, of those who were written and of those who have waited for somebody who is there
// now.
func (b *writing) managers(ctx context.Context) {
	last := map[string]*work{} // by account: only what was wanted last counts
	for _, k := range b.works {
		switch {
		case k.err != nil || k.id == "":
		case k.ch.Kind == dirsync.Delete:
			delete(last, k.id)
		case k.boss != nil:
			last[k.id] = k
		}
	}
	var unknown []dirsync.ID
	for _, k := range last {
		if boss := dirsync.ID(k.boss.Text); !k.boss.IsNull() && b.w.known.of(boss) == "" {
			unknown = append(unknown, boss)
		}
	}
	slices.Sort(unknown)
	found, err := b.ask(ctx, slices.Compact(unknown))
	var todo []*work
	for _, k := range b.works {
		switch {
		case last[k.id] != k:
		case err != nil:
			k.err = k.partly(k.wrap(err))
		default:
			if one := found[dirsync.ID(k.boss.Text)]; len(one) > 0 {
				k.bossID = string(one[0].ID)
			}
			todo = append(todo, k)
		}
	}
	for id, who := range b.w.held.ready(func(p dirsync.ID) bool { return b.w.known.of(p) != "" }) {
		if last[id] == nil {
			todo = append(todo, &work{w: b.w, p: b.p, ctx: ctx, id: id, late: true, boss: &dirsync.Value{Type: dirsync.Reference, Text: string(who.boss)},
				ch: dirsync.Change{Kind: dirsync.Update, Person: who.person, Account: id}})
		}
	}
	b.p.each(ctx, len(todo), func(i int) { todo[i].manager() })
}

// manager writes the manager of an account that is there.
func (k *work) manager() {
	boss := dirsync.ID(k.boss.Text)
	if id := k.w.known.of(boss); id != "" {
		k.bossID = id
	}
	l := parcel{method: http.MethodDelete, path: "/users/" + k.id + managerSegment, again: true}
	switch {
	case k.boss.IsNull():
	case k.bossID == "":
		k.await(boss)
		return
	default:
		l.method = http.MethodPut
		l.body, _ = json.Marshal(k.w.managerOf(k.bossID)) // texts always marshal
	}
	k.w.held.remove(k.id)
	a, err := k.w.patiently(k.p, func() *parcel { again := l; return &again }, k.id, k.bossID)
	if err == nil && isNowhere(a) {
		err = k.nobody(boss)
	} else if err == nil && a.status/100 != 2 {
		err = k.refused(a, dirsync.Values{{Field: managerName, Value: *k.boss}}, k.id)
	}
	switch {
	case err == nil:
	case k.late:
		// Nobody asked for it this time, so it goes on waiting.
		k.w.client.cfg.Log.Info().Str("account", k.id).Str("reason", clip(err.Error())).Msg("a manager could not be written")
		if dirsync.KindOf(err) != dirsync.NotFound {
			k.await(boss)
		}
	default:
		if k.err = k.wrap(err); k.effect {
			k.err = k.partly(k.err)
		}
	}
}

// managerOf is the document that names an account as somebody's manager.
func (w *Writer) managerOf(account string) map[string]string {
	return map[string]string{"@odata.id": w.client.cfg.BaseURL + "/users/" + account}
}

// nobody says who of the two is not there. A manager who has gone is waited for.
func (k *work) nobody(boss dirsync.ID) error {
	_, there, err := k.w.get(k.p, k.id)
	switch {
	case err != nil:
		return err
	case !there:
		_, err := k.missing(k.id, nil)
		return err
	case !k.boss.IsNull():
		k.w.known.forget(boss)
		k.await(boss)
	}
	return nil
}

func (k *work) await(boss dirsync.ID) {
	k.w.held.add(k.id, subordinate{person: k.ch.Person, boss: boss})
	k.account.Values = slices.DeleteFunc(k.account.Values, func(v dirsync.FieldValue) bool { return v.Field == managerName })
}
