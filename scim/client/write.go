package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"dirsync"
	"dirsync/scim"
)

// change is what is to be different of an account that is there.
type change struct {
	values dirsync.Values
	active *bool
	// person, if not empty, is whose it is from now on.
	person dirsync.ID
	// whole says that all that the account then holds must be known.
	whole bool
}

// empty tells a change of nothing.
func (m change) empty() bool { return len(m.values) == 0 && m.active == nil && m.person == "" }

// document is a new user.
func (w *work) document(values dirsync.Values) *scim.Object {
	p := w.c.profile
	schemas := []string{w.v.urn}
	o := scim.NewObject(scim.Member{Name: "schemas"})
	if !p.NoExternalID && w.ch.Person != "" {
		o.Set("externalId", string(w.ch.Person))
	}
	if !p.NoUpdate && w.v.urn == scim.UserURN {
		o.Set("active", true)
	}
	for _, v := range values {
		f := w.v.shape.find(v.Field)
		if v.Value.IsNull() {
			continue
		}
		for _, place := range f.places {
			x, err := place.encode(f.Field, w.target(v.Value))
			if err != nil {
				continue // it was checked before
			}
			place.put(o, x)
			if urn := place.path.URN; urn != "" && !slices.Contains(schemas, urn) {
				schemas = append(schemas, urn)
			}
		}
	}
	if name := displayName(values); p.DisplayName && w.v.urn == scim.UserURN && !w.v.shape.display && name != "" {
		o.Set("displayName", name)
	}
	for _, urn := range w.v.always(p) {
		if !slices.ContainsFunc(schemas, func(s string) bool { return strings.EqualFold(s, urn) }) {
			schemas = append(schemas, urn)
		}
	}
	list := make([]any, len(schemas))
	for i, s := range schemas {
		list[i] = s
	}
	o.Set("schemas", list)
	return o
}

// always are the URNs that every resource must name.
func (v *view) always(p Profile) []string {
	if v.urn != scim.UserURN {
		return nil
	}
	return p.Schemas
}

func displayName(values dirsync.Values) string {
	first, _ := values.Get(dirsync.FirstName)
	last, _ := values.Get(dirsync.LastName)
	return strings.TrimSpace(first.Text + " " + last.Text)
}

// modify changes an account that is there. Its errors are of kind NotFound if it is not.
func (w *work) modify(ctx context.Context, id string, m change) (dirsync.Account, error) {
	if err := w.check(m.values, false); err != nil {
		// Whoever is not there is told so first: the values do not matter then.
		there, lookErr := w.v.dir.exists(ctx, id)
		switch {
		case lookErr != nil:
			return dirsync.Account{}, w.wrap(lookErr)
		case !there:
			return dirsync.Account{}, w.fault(dirsync.NotFound, fmt.Errorf("account %s is not there", id))
		}
		return dirsync.Account{}, err
	}
	if m.empty() {
		return w.reread(ctx, id)
	}
	if w.c.profile.NoUpdate {
		return dirsync.Account{}, w.off("change users")
	}
	var o *scim.Object
	var err error
	if !w.c.usesPut() {
		o, err = w.patch(ctx, id, m)
		if status := said(err); (status == http.StatusNotImplemented || status == http.StatusMethodNotAllowed) && w.c.noPatch() {
			o, err = w.replace(ctx, id, m)
		} else if err == nil {
			o, err = w.confirm(ctx, id, m, o)
		}
	} else {
		o, err = w.replace(ctx, id, m)
	}
	if err != nil {
		return dirsync.Account{}, w.failed(ctx, id, m, err)
	}
	return w.modified(ctx, id, m, o)
}

func (w *work) reread(ctx context.Context, id string) (dirsync.Account, error) {
	o, err := w.v.dir.get(ctx, id)
	if err != nil {
		return dirsync.Account{}, w.wrap(err)
	}
	a := w.account(o)
	switch {
	case w.c.profile.NoExternalID:
		a.Source = w.ch.Person
	case a.Source == "":
		a.Source, _ = w.v.dir.owner(id) // it need not say
	}
	return a, nil
}

// failed words why a change was refused.
func (w *work) failed(ctx context.Context, id string, m change, err error) error {
	w.v.dir.unsure(id)
	switch {
	case ctx.Err() != nil:
		return w.fault(dirsync.Unavailable, err)
	case said(err) == http.StatusBadRequest:
		switch there, lookErr := w.v.dir.exists(ctx, id); {
		case lookErr != nil:
			return w.fault(dirsync.Unavailable, errors.Join(err, lookErr))
		case !there:
			return w.fault(dirsync.NotFound, err) // 400 where 404 is meant
		}
	}
	if dirsync.KindOf(err) != dirsync.Conflict {
		return w.refused(ctx, err, m.values)
	}
	name, _ := m.values.Get(w.v.shape.name)
	other, lookErr := w.v.dir.holder(ctx, name.Text)
	if lookErr != nil || other == nil || identifier(other) == id {
		other = nil
	}
	return w.conflict(err, m.values, other)
}

// modified is the account after a change. A target may answer without it; then it is read only if more must be known than
// what was written.
func (w *work) modified(ctx context.Context, id string, m change, o *scim.Object) (dirsync.Account, error) {
	person := m.person
	if person == "" {
		person = w.ch.Person
		if owner, sure := w.v.dir.owner(id); sure {
			person = owner
		}
	}
	name, _ := m.values.Get(w.v.shape.name)
	if o == nil && (m.whole || w.c.profile.Reread || w.joinsBlindly()) {
		read, err := w.v.dir.get(ctx, id)
		if err != nil {
			return dirsync.Account{}, w.unsettled(err)
		}
		o = read
	}
	if o != nil && identifier(o) == id {
		a := w.account(o)
		w.owned(&a, m.person, name.Text)
		return a, nil
	}
	if person != "" {
		w.v.dir.noted(id, person, name.Text)
	} else {
		w.v.dir.changed(id, name.Text)
	}
	a := dirsync.Account{ID: id, Source: person, Active: m.active == nil || *m.active}
	if w.ch.Kind != dirsync.Deactivate {
		a.Values = slices.Clone(m.values)
	}
	return a, nil
}

// owned notes whose an account is. An answer that does not say need not mean that it is nobody's: then it is whose it has
// just become, or whose it is known to be.
func (w *work) owned(a *dirsync.Account, person dirsync.ID, name string) {
	owner := a.Source
	if owner == "" {
		if owner = person; owner == "" {
			owner, _ = w.v.dir.owner(a.ID)
		}
	}
	if owner == "" {
		w.v.dir.changed(a.ID, name)
		return
	}
	w.v.dir.noted(a.ID, owner, name)
	if !w.c.profile.NoExternalID {
		a.Source = owner
	}
}

// joinsBlindly tells a change of memberships of which it is not known which there are already. Some targets make somebody
// a member twice.
func (w *work) joinsBlindly() bool {
	v, wanted := w.ch.Writes().Get(dirsync.GroupsField)
	return wanted && !v.IsNull() && w.c.memberships(dirsync.GroupsField) && (!w.belongs() || w.doubtful())
}

// unsettled says that a change took effect of which it could not be learned what it left.
func (w *work) unsettled(err error) error {
	return w.fault(dirsync.Unavailable, fmt.Errorf("the change was made, but what the account holds now could not be read: %w", err))
}

// patch sends what differs. The object is nil if the target answered without one.
func (w *work) patch(ctx context.Context, id string, m change) (*scim.Object, error) {
	ops := w.operations(m, w.ch.Before, nil)
	o, err := w.send(ctx, id, ops)
	if said(err) != http.StatusBadRequest || !noTarget(err) {
		return o, err
	}
	// A value path selected nothing: what there is decides whether to add or to leave out.
	current, readErr := w.v.dir.get(ctx, id)
	if readErr != nil {
		return nil, errors.Join(err, readErr)
	}
	return w.send(ctx, id, w.operations(m, nil, current))
}

func noTarget(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.answer != nil && (strings.EqualFold(r.answer.SCIMType, scim.NoTarget) ||
		r.answer.SCIMType == "" && strings.Contains(strings.ToLower(r.answer.Detail), "target"))
}

// send sends operations, in as many requests as the dialect wants.
func (w *work) send(ctx context.Context, id string, ops []scim.Operation) (*scim.Object, error) {
	if len(ops) == 0 {
		return nil, nil //nolint:nilnil // nothing is to be done, and nothing was answered
	}
	d, size := w.c.profile.Dialect, len(ops)
	if d.MaxOperations > 0 {
		size = d.MaxOperations
	}
	var last *scim.Object
	for n := 0; n < len(ops); n += size {
		part := ops[n:min(n+size, len(ops))]
		k := w.call(http.MethodPatch, w.v.dir.path(id), (&scim.Patch{Operations: part}).Document(d))
		answer, err := w.c.do(ctx, k)
		switch {
		case err != nil && n > 0:
			return nil, w.partly(err)
		case err != nil:
			return nil, err
		}
		last = answer.object
	}
	return last, nil
}

// operations makes the operations of a change. before, or what is there now, says whether a value path selects anything.
func (w *work) operations(m change, before dirsync.Values, current *scim.Object) []scim.Operation {
	var ops []scim.Operation
	if m.active != nil && w.v.urn == scim.UserURN {
		ops = append(ops, scim.Operation{Op: scim.Replace, Path: scim.Path{Name: "active"}, Value: *m.active})
	}
	if m.person != "" && !w.c.profile.NoExternalID {
		ops = append(ops, scim.Operation{Op: scim.Replace, Path: scim.Path{Name: "externalId"}, Value: string(m.person)})
	}
	added := map[string][]any{}
	var order []scim.Path
	for _, v := range m.values {
		f := w.v.shape.find(v.Field)
		old, spoken := before.Get(v.Field)
		for i, p := range f.places {
			missing := spoken && old.IsNull() && i == 0
			if current != nil {
				missing = !p.present(current)
			}
			if v.Value.IsNull() {
				if !missing {
					ops = append(ops, scim.Operation{Op: scim.Remove, Path: p.gone()})
				}
				continue
			}
			x, err := p.encode(f.Field, w.target(v.Value))
			if err != nil {
				continue // it was checked before
			}
			if p.path.Filter == nil || !missing {
				ops = append(ops, scim.Operation{Op: scim.Replace, Path: p.path, Value: x})
				continue
			}
			list := scim.Path{URN: p.path.URN, Name: p.path.Name}
			if added[list.String()] == nil {
				order = append(order, list)
			}
			added[list.String()] = append(added[list.String()], p.element(x, false))
		}
	}
	for _, list := range order {
		ops = append(ops, scim.Operation{Op: scim.Add, Path: list, Value: added[list.String()]})
	}
	ops = append(ops, w.renamed(m)...)
	// What somebody else may have comes first: where every operation is a request of its own, a conflict then changes
	// nothing.
	slices.SortStableFunc(ops, func(x, y scim.Operation) int {
		return cmp.Compare(unshared(x.Path, w.v.dir.key), unshared(y.Path, w.v.dir.key))
	})
	return ops
}

func unshared(p scim.Path, key string) int {
	if p.URN == "" && strings.EqualFold(p.Name, key) {
		return 0
	}
	return 1
}

// renamed keeps a display name in step that is made of first and last name.
func (w *work) renamed(m change) []scim.Operation {
	if !w.c.profile.DisplayName || w.v.shape.display || w.v.urn != scim.UserURN {
		return nil
	}
	all := w.ch.Before.With(m.values)
	_, first := m.values.Get(dirsync.FirstName)
	_, last := m.values.Get(dirsync.LastName)
	for _, field := range []string{dirsync.FirstName, dirsync.LastName} {
		if _, known := all.Get(field); !known || !first && !last {
			return nil
		}
	}
	return []scim.Operation{{Op: scim.Replace, Path: scim.Path{Name: "displayName"}, Value: displayName(all)}}
}

// present tells whether what a value path selects is there.
func (p place) present(o *scim.Object) bool {
	if p.path.Filter == nil {
		_, ok := p.lookup(o)
		return ok
	}
	if p.path.URN != "" {
		o = o.Object(p.path.URN)
	}
	return slices.ContainsFunc(o.List(p.path.Name), func(e any) bool {
		inner, ok := e.(*scim.Object)
		return ok && p.matches(inner)
	})
}

// gone is the path whose removal clears a place: the whole element of a list, because an element without its value is
// nothing.
func (p place) gone() scim.Path {
	path := p.path
	if path.Filter != nil && strings.EqualFold(path.Sub, "value") {
		path.Sub = ""
	}
	return path
}
