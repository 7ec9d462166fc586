package server

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"dirsync"
	"dirsync/scim"
)

// The store must not be asked while it edits a resource. What an edit has to know from elsewhere it says in its error; then
// that is found out, and the edit begins again.

// known is what was found out for an edit.
type known struct {
	// verdict is what the guard says about kind; none if it was not asked.
	verdict Verdict
	kind    dirsync.ChangeKind
	// people are the ids of those whom references mean, "" for nobody.
	people map[string]string
}

// question is the error of an edit that has to know more.
type question struct {
	// kind is a change that the guard must be asked about, zero for none; resource is what it sees.
	kind     dirsync.ChangeKind
	resource dirsync.Resource
	// people are the references that must be looked up.
	people []string
}

func (*question) Error() string { return "the edit has to know more" }

// maxQuestions is how often an edit begins again. More than twice takes somebody who changes the resource all the time.
const maxQuestions = 8

// edit changes a resource, and finds out what fn has to know.
func (c *call) edit(k *kind, id string, fn func(dirsync.Resource, *known) (dirsync.ResourceEdit, error)) (dirsync.Resource, error) {
	var have known
	for range maxQuestions {
		r, err := c.s.config.Store.EditResource(c.ctx, k.of, id, func(r dirsync.Resource) (dirsync.ResourceEdit, error) {
			return fn(r, &have)
		})
		ask, ok := errors.AsType[*question](err)
		if !ok {
			if dirsync.KindOf(err) == dirsync.NotFound {
				return r, notFound(k)
			}
			if err == nil {
				k.unseen.note(&r)
			}
			return r, err
		}
		if err := c.findOut(ask, &have); err != nil {
			return r, err
		}
	}
	return dirsync.Resource{}, busy()
}

func busy() error {
	return &failure{wire: scim.Error{Status: http.StatusServiceUnavailable, Detail: "somebody else changes the resource all the time"}, retry: time.Second}
}

func (c *call) findOut(ask *question, have *known) error {
	if ask.kind != 0 {
		verdict, err := c.s.config.Guard(c.ctx, c.who, ask.resource, ask.kind)
		if err != nil {
			return err
		}
		if verdict < Allow || verdict > Deactivate {
			return refuse(http.StatusForbidden, "", "the change is not allowed")
		}
		have.verdict, have.kind = verdict, ask.kind
	}
	return c.lookUp(ask.people, have)
}

// lookUp finds out whom references mean.
func (c *call) lookUp(people []string, have *known) error {
	if have.people == nil {
		have.people = map[string]string{}
	}
	for _, text := range people {
		id, err := c.s.person(c.ctx, text)
		if err != nil {
			return err
		}
		have.people[text] = id
	}
	return nil
}

// guarded returns the verdict on a change, or the question.
func (c *call) guarded(r dirsync.Resource, kind dirsync.ChangeKind, have *known) (Verdict, error) {
	if c.s.config.Guard == nil {
		return Allow, nil
	}
	if have.verdict == 0 || have.kind != kind {
		return 0, &question{kind: kind, resource: r}
	}
	return have.verdict, nil
}

// writable says whether a client may change a resource as it is.
func (c *call) writable(k *kind, r *dirsync.Resource) error {
	c.event.Name = r.Name
	switch {
	case invisible(r):
		return notFound(k)
	case r.Source != "":
		return owned(k)
	case c.match != "" && !scim.MatchETag(c.match, tag(r)), c.noneMatch != "" && scim.MatchETag(c.noneMatch, tag(r)):
		return refuse(http.StatusPreconditionFailed, "", "the resource is not in the version that the request asks for")
	}
	return nil
}

func owned(k *kind) error {
	return refuse(http.StatusForbidden, "", "this %s is kept in step by a sync of the directory and cannot be changed here", strings.ToLower(k.Name))
}

// The most bytes of an attribute by which resources are found, and the most addresses of a user.
const (
	maxKey    = 1024
	maxEmails = 100
)

// take puts a resource as a client sent it, in the form of scim.ResourceType.Accept, into r, which is as it was. Before is
// what the client knew of r; nil if it knew nothing. Take makes o its own.
func (c *call) take(k *kind, before, o *scim.Object, r *dirsync.Resource, have *known) error {
	name, _ := o.Text(k.name)
	if strings.TrimSpace(name) == "" {
		return refuse(http.StatusBadRequest, scim.InvalidValue, "%s is required and must not be empty", k.name)
	}
	r.Name, r.ExternalID, r.Display = name, "", ""
	r.ExternalID, _ = o.Text("externalId")
	if k.of == dirsync.KindUser {
		r.Display, _ = o.Text("displayName")
	}
	for _, a := range [...]struct{ name, text string }{{k.name, r.Name}, {"externalId", r.ExternalID}, {"displayName", r.Display}} {
		if len(a.text) > maxKey {
			return refuse(http.StatusBadRequest, scim.InvalidValue, "%s is longer than %d bytes", a.name, maxKey)
		}
	}
	var flags byte
	if k.of == dirsync.KindUser {
		waiting, err := c.takeValues(before, o, r, have)
		if err != nil {
			return err
		}
		if waiting {
			flags = waits
		}
		if err := takeEmails(o, r); err != nil {
			return err
		}
		// The guard comes last, so that it is not asked about what is refused anyway.
		if err := c.takeActive(o, r, have); err != nil {
			return err
		}
	}
	return c.s.write(k, r, o, flags)
}

// takeActive makes a user active or not. Whose deactivation waits for approval is inactive to the client.
func (c *call) takeActive(o *scim.Object, r *dirsync.Resource, have *known) error {
	want, said := o.Bool("active")
	switch {
	case !said || want:
		r.Active, r.Pending = true, 0
	case !shownActive(r):
	default:
		verdict, err := c.guarded(*r, dirsync.Deactivate, have)
		if err != nil {
			return err
		}
		if verdict == Hold {
			r.Pending, c.event.Held = dirsync.Deactivate, true
		} else {
			r.Active = false
		}
	}
	return nil
}

// takeValues makes the typed values. It says whether somebody is referred to who is not here.
func (c *call) takeValues(before, o *scim.Object, r *dirsync.Resource, have *known) (waiting bool, err error) {
	values := slices.Clone(r.Values)
	var ask question
	for i := range c.s.fields {
		f := &c.s.fields[i]
		v, p := f.of(o)
		was, _ := f.of(before)
		same := before != nil && scim.Equal(was, v)
		if old, _ := r.Values.Get(f.Name); same && !old.IsNull() {
			continue
		}
		var value dirsync.Value
		if f.Type == dirsync.Reference {
			value, err = have.reference(f, p, v, &ask)
			waiting = waiting || v != nil && value.IsNull()
		} else {
			value, err = c.s.decode(f, p, v)
		}
		switch {
		case err != nil && !same: // What was there before is not this request's fault.
			return false, err
		case value.IsNull():
			values = slices.DeleteFunc(values, func(fv dirsync.FieldValue) bool { return fv.Field == f.Name })
		default:
			values = values.Set(f.Name, value)
		}
	}
	if ask.people != nil {
		return false, &ask
	}
	r.Values = values
	return waiting, nil
}

// reference is the value of a reference; null as long as nobody is known whom it means.
func (have *known) reference(f *field, p *place, v any, ask *question) (dirsync.Value, error) {
	text, ok := plain(v)
	if !ok || len(text) > maxKey {
		return dirsync.Value{}, refuse(http.StatusBadRequest, scim.InvalidValue, "%s must be %s", p.path, accepted(f.Field))
	}
	id, looked := have.people[text]
	switch {
	case text == "":
	case !looked:
		ask.people = append(ask.people, text)
	case id != "":
		return dirsync.Value{Type: dirsync.Reference, Text: id}, nil
	}
	return dirsync.Value{}, nil
}

// takeEmails makes the addresses by which a user is found.
func takeEmails(o *scim.Object, r *dirsync.Resource) error {
	list := o.List("emails")
	if len(list) > maxEmails {
		return refuse(http.StatusBadRequest, scim.InvalidValue, "emails has more than %d values", maxEmails)
	}
	r.Emails = nil
	for _, e := range list {
		element, _ := e.(*scim.Object)
		text, _ := element.Text("value")
		if len(text) > maxKey {
			return refuse(http.StatusBadRequest, scim.InvalidValue, "emails.value is longer than %d bytes", maxKey)
		}
		if text != "" && !slices.Contains(r.Emails, text) {
			r.Emails = append(r.Emails, text)
		}
	}
	return nil
}

// changed are the names of the attributes in which two resources differ.
func changed(before, after *scim.Object) (names []string) {
	differ := func(urn string, a, b *scim.Object, skip bool) {
		for name, v := range b.All() {
			if skip && (name == "schemas" || strings.Contains(name, ":")) {
				continue
			}
			if was, _ := a.Get(name); !scim.Equal(was, v) {
				names = append(names, urn+name)
			}
		}
		for name := range a.All() {
			if _, still := b.Get(name); !still && !(skip && strings.Contains(name, ":")) {
				names = append(names, urn+name)
			}
		}
	}
	differ("", before, after, true)
	for _, side := range []*scim.Object{after, before} {
		for name := range side.All() {
			if strings.Contains(name, ":") && (side == after || after.Object(name) == nil) {
				differ(name+":", before.Object(name), after.Object(name), false)
			}
		}
	}
	return names
}
