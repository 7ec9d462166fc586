package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"dirsync"
	"dirsync/scim"
)

// Apply implements dirsync.Target.
func (c *Client) Apply(ctx context.Context, ch dirsync.Change) (dirsync.Account, error) {
	out := c.ApplyAll(ctx, []dirsync.Change{ch})
	return out[0].Account, out[0].Err
}

// view is one kind of resource of the application: its users or its groups.
type view struct {
	dir   *directory
	shape *shape
	// urn is the core schema, one what one of them is called, ignored are fields that are not kept and not missed.
	urn, one string
	ignored  []string
	// odd are the fields that the target shows otherwise than they were written; see work.confirm. Client.mu guards it.
	odd map[string]bool
}

// work is one change on its way.
type work struct {
	c  *Client
	v  *view
	ch dirsync.Change
	// refs are the target's ids of the people whom values name, and waiting the fields that name nobody who is there yet.
	refs    map[dirsync.ID]string
	waiting []string
	// groups says which of the groups the account is in that this sync knows, nil if the target did not say.
	groups []string
	said   bool
}

func (w *work) call(method, path string, body *scim.Object) call {
	return call{op: w.ch.Kind.String() + " " + w.v.one, person: w.ch.Person, method: method, path: path, body: body}
}

func (w *work) fault(kind dirsync.ErrorKind, err error) *dirsync.Error {
	return w.c.fault(w.call("", "", nil), kind, err)
}

// apply carries out a change, memberships excepted.
func (w *work) apply(ctx context.Context) (dirsync.Account, error) {
	if err := ctx.Err(); err != nil {
		return dirsync.Account{}, w.fault(dirsync.Unavailable, err)
	}
	if err := w.resolve(ctx); err != nil {
		return dirsync.Account{}, err
	}
	if w.ch.Kind == dirsync.Create {
		return w.create(ctx)
	}
	id := w.ch.Account
	if id == "" {
		var err error
		if id, err = w.v.dir.find(ctx, w.ch.Person); err != nil {
			return dirsync.Account{}, w.wrap(err)
		}
	}
	leaving := w.ch.Kind == dirsync.Delete || w.ch.Kind == dirsync.Deactivate
	if id == "" || id == "." || id == ".." {
		if leaving {
			return dirsync.Account{}, nil
		}
		return dirsync.Account{}, w.fault(dirsync.NotFound, errors.New("the person has no account"))
	}
	if w.ch.Kind == dirsync.Delete {
		return dirsync.Account{}, w.delete(ctx, id)
	}
	m := change{}
	if w.ch.Kind != dirsync.Update {
		active := w.ch.Kind == dirsync.Reactivate
		m.active = &active
	}
	if !leaving {
		m.values = w.values(w.ch.Writes())
	}
	if m.empty() && w.belongs() {
		return dirsync.Account{ID: id, Source: w.ch.Person, Active: true}, nil // only memberships differ, and it is known which
	}
	a, err := w.modify(ctx, id, m)
	if dirsync.KindOf(err) == dirsync.NotFound {
		w.v.dir.forgot(id)
		if leaving {
			return dirsync.Account{}, nil
		}
	}
	return a, err
}

// belongs tells a change whose memberships can be written without looking at the account first.
func (w *work) belongs() bool {
	_, wanted := w.ch.Writes().Get(dirsync.GroupsField)
	_, known := w.ch.Before.Get(dirsync.GroupsField)
	return wanted && known && w.c.memberships(dirsync.GroupsField)
}

// wrap gives an error of a request that was made on the way the operation and person that it stops.
func (w *work) wrap(err error) error {
	if e, ok := errors.AsType[*dirsync.Error](err); ok {
		return &dirsync.Error{Op: w.ch.Kind.String() + " " + w.v.one, ID: w.ch.Person, Kind: e.Kind, RetryAt: e.RetryAt, Hint: e.Hint, Err: err}
	}
	return w.fault(dirsync.Unavailable, err)
}

// values are those of the user's own fields: memberships are kept with the groups.
func (w *work) values(all dirsync.Values) dirsync.Values {
	return slices.DeleteFunc(slices.Clone(all), func(v dirsync.FieldValue) bool {
		return w.c.memberships(v.Field) || slices.Contains(w.waiting, v.Field) || slices.Contains(w.v.ignored, v.Field)
	})
}

// resolve finds the accounts of the people whom values name. Those who are not there yet are left out, and written when
// they are.
func (w *work) resolve(ctx context.Context) error {
	for _, v := range w.ch.Writes() {
		if v.Value.Type != dirsync.Reference {
			continue
		}
		other := dirsync.ID(v.Value.Text)
		id, err := w.v.dir.find(ctx, other)
		if err != nil {
			return w.wrap(err)
		}
		if id == "" {
			w.waiting = append(w.waiting, v.Field)
			continue
		}
		if w.refs == nil {
			w.refs = map[dirsync.ID]string{}
		}
		w.refs[other] = id
	}
	return nil
}

// check says which value cannot be written. New accounts need all required fields.
func (w *work) check(values dirsync.Values, isNew bool) error {
	refuse := func(v dirsync.FieldValue, format string, args ...any) error {
		e := w.fault(dirsync.Invalid, fmt.Errorf("%s "+format, append([]any{v.Field}, args...)...))
		e.Field, e.Value = v.Field, v.Value.Text
		return e
	}
	for _, v := range values {
		f := w.v.shape.find(v.Field)
		switch {
		case f == nil:
			return refuse(v, "is not a field of this target")
		case v.Value.IsNull():
			if f.Required {
				return refuse(v, "is required")
			}
			continue
		case v.Value.Type != f.Type:
			return refuse(v, "is a %s, not a %s", f.Type, v.Value.Type)
		case f.Type == dirsync.Choice && len(f.Options) > 0 && !slices.Contains(f.Options, v.Value.Text):
			return refuse(v, "is none of the options")
		case f.MaxLength > 0 && len([]rune(v.Value.Text)) > f.MaxLength:
			return refuse(v, "is longer than %d characters", f.MaxLength)
		}
		for _, p := range f.places {
			if _, err := p.encode(f.Field, w.target(v.Value)); err != nil {
				return refuse(v, "%w", err)
			}
		}
	}
	if !isNew {
		return nil
	}
	for _, f := range w.v.shape.fields {
		if v, _ := values.Get(f.Name); f.Required && v.IsNull() {
			return refuse(dirsync.FieldValue{Field: f.Name}, "is required")
		}
	}
	return nil
}

// target is a value as the target knows it: with its own id of another person.
func (w *work) target(v dirsync.Value) dirsync.Value {
	if v.Type == dirsync.Reference {
		v.Text = w.refs[dirsync.ID(v.Text)]
	}
	return v
}

// create makes an account, or adopts the one that is there.
func (w *work) create(ctx context.Context) (dirsync.Account, error) {
	people := w.v.dir
	id, err := people.find(ctx, w.ch.Person)
	if err != nil {
		return dirsync.Account{}, w.wrap(err)
	}
	if id == "" && w.ch.Account != "" {
		if id, err = w.free(ctx, w.ch.Account); err != nil {
			return dirsync.Account{}, err
		}
	}
	if id != "" {
		a, err := w.adopt(ctx, id)
		if dirsync.KindOf(err) != dirsync.NotFound {
			return a, err
		}
		people.forgot(id) // somebody has removed it meanwhile
	}
	if w.c.profile.NoCreate {
		return dirsync.Account{}, w.off("add users")
	}
	values := w.values(w.ch.After)
	if err := w.check(values, true); err != nil {
		return dirsync.Account{}, err
	}
	return w.post(ctx, values)
}

// free returns an account's id if it belongs to nobody, or to this person, and "" if it is not there.
func (w *work) free(ctx context.Context, id string) (string, error) {
	owner, sure := w.v.dir.owner(id)
	if !sure || owner != "" && owner != w.ch.Person {
		o, err := w.v.dir.get(ctx, id)
		switch {
		case dirsync.KindOf(err) == dirsync.NotFound:
			return "", nil
		case err != nil:
			return "", w.wrap(err)
		}
		if said := source(o); said != "" {
			owner = said
		} else if !w.c.profile.NoExternalID {
			// It is nobody's, or the target says whose accounts are in lists only.
			if err := w.v.dir.refresh(ctx, 0, nil); err != nil {
				return "", w.wrap(err)
			}
			owner, _ = w.v.dir.owner(id)
		}
	}
	if owner != "" && owner != w.ch.Person {
		e := w.fault(dirsync.Conflict, fmt.Errorf("account %s is joined to %s", id, owner))
		e.Other = string(owner)
		return "", e
	}
	return id, nil
}

// adopt makes an account that is there the person's, active, and gives it what may be written.
func (w *work) adopt(ctx context.Context, id string) (dirsync.Account, error) {
	active := true
	m := change{values: w.values(w.ch.Writes()), active: &active, person: w.ch.Person, whole: len(w.ch.CreateOnly) > 0}
	if owner, sure := w.v.dir.owner(id); sure && owner == w.ch.Person {
		m.person = "" // it is theirs already
	}
	if w.c.profile.NoUpdate {
		m = change{}
	}
	a, err := w.modify(ctx, id, m)
	if err == nil && a.Source == "" {
		a.Source = w.ch.Person // it does not say
	}
	return a, err
}

// off refuses what the profile switches off.
func (w *work) off(what string) error {
	e := w.fault(dirsync.Invalid, fmt.Errorf("the profile %s does not %s", w.c.profile.Name, what))
	e.Hint = "Nothing was sent. Write every field only when the account is made, and keep the accounts of those who leave; or choose another profile."
	return e
}

// post sends a new account. When the answer is lost, the account is looked for before it is sent again.
func (w *work) post(ctx context.Context, values dirsync.Values) (dirsync.Account, error) {
	people := w.v.dir
	name, _ := values.Get(w.v.shape.name)
	var lost error
	for n := 1; ; n++ {
		answer, err := w.c.do(ctx, w.call(http.MethodPost, people.endpoint, w.document(values)))
		if err == nil {
			return w.posted(ctx, answer, values, name.Text)
		}
		mayBeThere := unsure(err)
		if mayBeThere {
			people.doubt(w.ch.Person)
			lost = err
		}
		if ctx.Err() != nil || !mayBeThere && dirsync.KindOf(err) != dirsync.Conflict {
			return dirsync.Account{}, w.refused(ctx, err, values)
		}
		calm := w.c.stirring.watch()
		mine, other, failed := w.look(ctx, name.Text)
		for again := 0; again < 2 && failed == nil && mine == "" && other == nil && !mayBeThere && w.v.dir.listing(); again++ {
			// Somebody has the name, but the list left them out: it has no snapshot, and shifts while others come and go.
			mine, other, failed = w.look(ctx, name.Text)
		}
		switch {
		case failed != nil:
			return dirsync.Account{}, w.undecided(errors.Join(err, failed))
		case mine != "":
			return w.adopt(ctx, mine)
		case !mayBeThere && other == nil && (lost != nil || w.v.dir.listing() && !calm()):
			// The target has it and does not show it yet, which is very likely what was sent first; or the list shifted while
			// others came and went.
			return dirsync.Account{}, w.undecided(errors.Join(err, lost))
		case !mayBeThere:
			return dirsync.Account{}, w.conflict(err, values, other)
		case n >= 3:
			return dirsync.Account{}, w.undecided(err)
		}
	}
}

// undecided says that a creation may have taken effect.
func (w *work) undecided(err error) error {
	w.v.dir.doubt(w.ch.Person)
	return w.fault(dirsync.Unavailable, err)
}

// look finds the person's account, or that of whoever has the user name.
func (w *work) look(ctx context.Context, name string) (mine string, other *scim.Object, err error) {
	people := w.v.dir
	if id, sure := people.known(w.ch.Person); sure && id != "" {
		return id, nil, nil
	}
	if w.ch.Person != "" && people.mayAsk("externalId") {
		found, err := people.ask(ctx, "externalId", string(w.ch.Person))
		if err == nil && len(found) > 0 {
			return identifier(found[0]), nil, nil
		}
		if err != nil && !errors.Is(err, errNoFilter) {
			return "", nil, err
		}
	}
	other, err = people.holder(ctx, name)
	if err != nil || other == nil {
		// A listing may have been made on the way, and knows by now.
		if id, sure := people.known(w.ch.Person); sure && err == nil && w.ch.Person != "" {
			return id, nil, nil
		}
		return "", nil, err
	}
	if owner := source(other); w.ch.Person != "" && (owner == w.ch.Person || owner == "" && w.c.profile.NoExternalID) {
		return identifier(other), nil, nil
	}
	return "", other, nil
}

// conflict says who has what the person needs.
func (w *work) conflict(err error, values dirsync.Values, other *scim.Object) error {
	field := w.v.shape.name
	v, _ := values.Get(field)
	e := w.fault(dirsync.Conflict, fmt.Errorf("%s %s belongs to an account that the target does not show: %w", field, v.Text, err))
	e.Field, e.Value, e.Other = field, v.Text, "an account that the target does not show"
	if other != nil {
		e.Other = identifier(other)
		e.Err = fmt.Errorf("%s %s belongs to account %s", field, v.Text, e.Other)
	}
	return e
}

// refused words an answer for the person whom it is about.
func (w *work) refused(ctx context.Context, err error, values dirsync.Values) error {
	e, ok := errors.AsType[*dirsync.Error](err)
	if !ok || ctx.Err() != nil {
		return w.fault(dirsync.Unavailable, err)
	}
	if e.Kind == dirsync.Invalid && e.Field == "" {
		e.Field = w.mentioned(err, values)
	}
	return e
}

// mentioned guesses which field an error message of the target is about: the one whose attribute it names.
func (w *work) mentioned(err error, values dirsync.Values) string {
	text := strings.ToLower(err.Error())
	for _, v := range values {
		f := w.v.shape.find(v.Field)
		for _, p := range f.places {
			for _, name := range []string{p.path.Sub, p.path.Name} {
				if len(name) > 4 && name != "value" && strings.Contains(text, strings.ToLower(name)) {
					return v.Field
				}
			}
		}
	}
	return ""
}

// posted understands the answer to a POST. Some targets answer without a body, and say where the account is.
func (w *work) posted(ctx context.Context, answer *reply, values dirsync.Values, name string) (dirsync.Account, error) {
	people := w.v.dir
	o := answer.object
	if o == nil || identifier(o) == "" {
		id := lastSegment(answer.header.Get("Location"))
		if id == "" {
			mine, _, err := w.look(ctx, name)
			if err != nil || mine == "" {
				return dirsync.Account{}, w.undecided(errors.Join(errors.New("the target answered without an id"), err))
			}
			id = mine
		}
		var err error
		if o, err = people.get(ctx, id); err != nil {
			return dirsync.Account{}, w.undecided(err)
		}
	}
	a := w.account(o)
	if a.Source == "" {
		a.Source = w.ch.Person // it does not say, but nobody else can have made it
	}
	people.noted(a.ID, a.Source, name)
	if w.v == w.c.groups && o == answer.object && len(o.List("members")) == 0 {
		w.c.members.made(a.ID)
	}
	return a, nil
}

func lastSegment(location string) string {
	u, err := url.Parse(location)
	if err != nil || location == "" {
		return ""
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	id, err := url.PathUnescape(path[strings.LastIndexByte(path, '/')+1:])
	if err != nil || id == "Users" || id == "Groups" || id == "." || id == ".." {
		return ""
	}
	return id
}

// delete removes an account. One that is not there is what was wanted.
func (w *work) delete(ctx context.Context, id string) error {
	if w.c.profile.NoDelete {
		return w.off("delete users")
	}
	_, err := w.c.do(ctx, w.call(http.MethodDelete, w.v.dir.path(id), nil))
	if err != nil {
		w.v.dir.unsure(id)
	}
	var r *refusal
	page := errors.As(err, &r) && r.strange && r.answer == nil // a page of HTML, which may be the target's way to say yes
	switch {
	case dirsync.KindOf(err) == dirsync.NotFound:
	case said(err) == http.StatusBadRequest || page:
		there, lookErr := w.v.dir.exists(ctx, id)
		if lookErr != nil {
			return w.fault(dirsync.Unavailable, errors.Join(err, lookErr))
		}
		if there {
			return err
		}
	case err != nil:
		return err
	}
	if !w.c.profile.DeleteDeactivates {
		w.v.dir.forgot(id)
	}
	return nil
}

// account reads an account, and which groups it is in.
func (w *work) account(o *scim.Object) dirsync.Account {
	w.groups, w.said = w.c.groupsIn(o)
	a := w.c.account(w.v, o, func(id string) dirsync.ID {
		for person, known := range w.refs {
			if known == id {
				return person
			}
		}
		person, _ := w.v.dir.whose(id)
		return person
	})
	if w.v != w.c.users {
		return a
	}
	return w.c.inGroups(a, w.groups, w.said)
}
