package client

import (
	"context"
	"net/http"

	"dirsync"
	"dirsync/scim"
)

// What stands in a preview for what is not known before.
const (
	theirAccount  = "<the person's account>"
	otherAccount  = "<the account of whom this names>"
	everyElse     = "<everything else>"
	stayingAsItIs = "<as it is>"
)

// Preview implements dirsync.Previewer: the requests that write the user's own attributes, in the dialect of the profile.
// Those that look for the person beforehand and those that write memberships, which are kept with the groups, are left
// out, and so is what depends on an answer: another dialect, or PUT where the application turns out to have no PATCH.
func (c *Client) Preview(_ context.Context, ch dirsync.Change) ([]dirsync.Sending, error) {
	w := &work{c: c, v: c.users, ch: ch, refs: map[dirsync.ID]string{}}
	for _, v := range ch.Writes() {
		if other := dirsync.ID(v.Value.Text); v.Value.Type == dirsync.Reference {
			w.refs[other] = otherAccount
			if id, sure := w.v.dir.known(other); sure && id != "" {
				w.refs[other] = id
			}
		}
	}
	leaving := ch.Kind == dirsync.Delete || ch.Kind == dirsync.Deactivate
	path := w.v.dir.endpoint + "/" + theirAccount
	if ch.Account != "" {
		path = w.v.dir.path(ch.Account)
	}
	switch {
	case ch.Kind == dirsync.Create && ch.Account == "":
		if c.profile.NoCreate {
			return nil, w.off("add users")
		}
		values := w.values(ch.After)
		if err := w.check(values, true); err != nil {
			return nil, err
		}
		return w.sendings(http.MethodPost, w.v.dir.endpoint, w.document(values))
	case ch.Kind == dirsync.Delete:
		return []dirsync.Sending{{Method: http.MethodDelete, Path: path}}, nil
	}
	m := change{}
	if ch.Kind != dirsync.Update {
		active := ch.Kind != dirsync.Deactivate
		m.active = &active
	}
	if !leaving {
		m.values = w.values(ch.Writes())
	}
	if ch.Kind == dirsync.Create {
		m.person = ch.Person
	}
	if err := w.check(m.values, false); err != nil {
		return nil, err
	}
	switch {
	case m.empty():
		return nil, nil
	case c.profile.NoUpdate:
		return nil, w.off("change users")
	case c.usesPut():
		o := w.document(ch.Before.With(m.values))
		if m.active != nil {
			o.Set("active", *m.active)
		}
		o.Set(everyElse, stayingAsItIs)
		return w.sendings(http.MethodPut, path, o)
	}
	var out []dirsync.Sending
	ops, d := w.operations(m, ch.Before, nil), c.profile.Dialect
	size := len(ops)
	if d.MaxOperations > 0 {
		size = d.MaxOperations
	}
	for n := 0; n < len(ops); n += size {
		part, err := w.sendings(http.MethodPatch, path, (&scim.Patch{Operations: ops[n:min(n+size, len(ops))]}).Document(d))
		if err != nil {
			return nil, err
		}
		out = append(out, part...)
	}
	return out, nil
}

func (w *work) sendings(method, path string, o *scim.Object) ([]dirsync.Sending, error) {
	body, err := o.MarshalJSON()
	if err != nil {
		return nil, w.fault(dirsync.Invalid, err)
	}
	return []dirsync.Sending{{Method: method, Path: path, Body: body}}, nil
}
