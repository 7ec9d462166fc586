package client

import (
	"context"
	"maps"
	"net/http"

	"dirsync"
	"dirsync/scim"
)

// confirm looks at the answer to a PATCH for whether it did what it says. Some targets answer 200 to a path that they do
// not understand, or to the removal of an element, and keep what was there. Then the change is written with PUT, and if
// that does it, everything else is from then on. A field that PUT does not change either is one that the target shows
// otherwise than it was written, or never: it is not looked at again.
func (w *work) confirm(ctx context.Context, id string, m change, o *scim.Object) (*scim.Object, error) {
	if w.c.profile.Write != WriteAuto || o == nil || identifier(o) != id {
		return o, nil
	}
	kept := w.kept(m, o, true)
	if len(kept) == 0 {
		return o, nil
	}
	w.c.log.Debug().Str("op", w.call("", "", nil).op).Strs("fields", kept).Msg("the target answers PATCH with success and keeps what was there; trying PUT")
	put, err := w.replace(ctx, id, m)
	status := said(err)
	switch {
	case err == nil && put != nil && len(w.kept(m, put, true)) < len(kept):
		w.c.noPatch()
		o = put
	case err != nil && status != http.StatusNotImplemented && status != http.StatusMethodNotAllowed && status != http.StatusNotFound && status != http.StatusForbidden:
		return nil, w.partly(err)
	}
	still := w.kept(m, o, false)
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	for _, field := range still {
		w.v.odd[field] = true
	}
	return o, nil
}

// kept are the fields of a change whose new values an answer does not show, but what was there before, or nothing. A
// third value is what the target made of the new one. Strictly, so is an address in other letter case.
func (w *work) kept(m change, o *scim.Object, strictly bool) (out []string) {
	if active, said := o.Bool("active"); m.active != nil && said && active != *m.active && w.v.urn == scim.UserURN {
		out = append(out, "active")
	}
	w.c.mu.Lock()
	odd := maps.Clone(w.v.odd)
	w.c.mu.Unlock()
	for _, v := range m.values {
		if odd[v.Field] {
			continue
		}
		f := w.v.shape.find(v.Field)
		p := f.places[0]
		var shown dirsync.Value
		if x, ok := p.lookup(o); ok {
			shown = p.decode(f.Field, x)
		}
		was, known := w.ch.Before.Get(v.Field)
		switch want := w.target(v.Value); {
		case shown == want || !strictly && shown.Same(want):
		case v.Value.IsNull() || shown.IsNull() || !known || shown.Same(was) || was.Type == dirsync.Reference:
			out = append(out, v.Field)
		}
	}
	return out
}
