package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"dirsync"
)

// What stands in a preview for what is not known before.
const (
	madeUp         = "<made up>"
	newAccount     = "<the new account>"
	theirAccount   = "<the person's account>"
	bossAccount    = "<the manager's account>"
	asItIs         = "<as it is>"
	managerSegment = "/manager/$ref"
)

// Preview implements dirsync.Previewer. These are the requests within a batch that write; those that look for the person
// beforehand are left out. An account that is to be joined is taken to be there, and one that has no id yet to be new. It
// may ask the tenant for the types of directory extensions, as Fields does.
func (w *Writer) Preview(ctx context.Context, c dirsync.Change) ([]dirsync.Sending, error) {
	k := &work{w: w, ctx: ctx, ch: c}
	if err := k.forbidden(); err != nil {
		return nil, err
	}
	if err := w.shape(ctx); err != nil {
		return nil, err
	}
	if c.Kind == dirsync.Create && !isGUID(c.Account) {
		return k.previewNew()
	}
	id := theirAccount
	if c.Account != "" {
		id = c.Account
	} else if known := w.known.of(c.Person); known != "" {
		id = known
	}
	if c.Kind == dirsync.Delete {
		return []dirsync.Sending{{Method: http.MethodDelete, Path: "/users/" + id}}, nil
	}
	m := modification{id: id}
	if c.Kind != dirsync.Deactivate {
		m.values = c.Writes()
	}
	switch c.Kind {
	case dirsync.Update:
	case dirsync.Create:
		m.enabled = k.woken()
	default:
		enabled := c.Kind != dirsync.Deactivate
		m.enabled = &enabled
	}
	m.claim = c.Kind == dirsync.Create && w.cfg.Anchor != "" && c.Person != ""
	if err := k.check(m.values, false, c.Before); err != nil {
		return nil, err
	}
	doc := k.patch(m, m.values)
	if object, ok := doc[orgData].(map[string]any); ok && halved(m.values) {
		for _, part := range []string{division, costCenter} {
			if _, inner, _ := strings.Cut(part, "/"); object[inner] == nil && !said(m.values, part) {
				object[inner] = asItIs // it is read before, because both have to be sent
			}
		}
	}
	var out []dirsync.Sending
	if len(doc) > 0 {
		s, err := k.sending(http.MethodPatch, "/users/"+id, doc)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return k.previewManager(out, id, m.values)
}

func said(values dirsync.Values, field string) bool {
	_, ok := values.Get(field)
	return ok
}

// previewNew is how a new account is made.
func (k *work) previewNew() ([]dirsync.Sending, error) {
	if k.w.cfg.Anchor != "" && len(k.ch.Person) > k.w.longestAnchor() {
		return nil, k.tooLong()
	}
	b, err := k.draft()
	if err != nil {
		return nil, err
	}
	b.doc["passwordProfile"] = profile(madeUp)
	s, err := k.sending(http.MethodPost, "/users", b.doc)
	if err != nil {
		return nil, err
	}
	values := slices.DeleteFunc(slices.Clone(k.ch.After), func(v dirsync.FieldValue) bool { return v.Value.IsNull() })
	return k.previewManager([]dirsync.Sending{s}, newAccount, values) // a new account has no manager to take away
}

// previewManager adds how the manager is written, if that is spoken of.
func (k *work) previewManager(out []dirsync.Sending, id string, values dirsync.Values) ([]dirsync.Sending, error) {
	boss, spoken := values.Get(managerName)
	switch {
	case !spoken:
		return k.previewGroups(out, id)
	case boss.IsNull():
		return k.previewGroups(append(out, dirsync.Sending{Method: http.MethodDelete, Path: "/users/" + id + managerSegment}), id)
	}
	account := bossAccount
	if known := k.w.known.of(dirsync.ID(boss.Text)); known != "" {
		account = known
	}
	s, err := k.sending(http.MethodPut, "/users/"+id+managerSegment, k.w.managerOf(account))
	if err != nil {
		return nil, err
	}
	return k.previewGroups(append(out, s), id)
}

// sending is a request with a document. Angle brackets stay legible.
func (k *work) sending(method, path string, doc any) (dirsync.Sending, error) {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	if err := e.Encode(doc); err != nil {
		return dirsync.Sending{}, k.fault(dirsync.Invalid, errors.New("the values cannot be written as JSON"))
	}
	return dirsync.Sending{Method: method, Path: path, Body: bytes.TrimSpace(body.Bytes())}, nil
}
