package client

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"unicode"

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

// kept are the fields of a change of which an answer shows that they are not as written: what was there before, or
// something that was to go. That nothing is shown says something only of a field that the target does show, because PUT
// could lose what it hides; and what is alike is what the target made of the new value, unless letter case is all that
// differs. Strictly, an address in other letter case is not as written.
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
		want := w.target(v.Value)
		var untouched bool
		switch {
		case shown == want || !strictly && shown.Same(want):
		case shown.IsNull():
			untouched = f.shown.Load()
		case want.IsNull() || want.Type == dirsync.Reference:
			untouched = true
		case known:
			untouched = shown.Same(was)
		default:
			untouched = shown.Same(want) || dirsync.Fold(shown.Text) == dirsync.Fold(want.Text) || !alike(shown.Text, want.Text)
		}
		if untouched {
			out = append(out, v.Field)
		}
	}
	return out
}

// alike tells texts one of which has all letters and digits of the other, in their order: "+49 30 1" and "030-1".
func alike(a, b string) bool {
	plain := func(s string) string {
		return strings.Map(func(r rune) rune {
			if unicode.IsLetter(r) || unicode.IsDigit(r) {
				return r
			}
			return -1
		}, dirsync.Fold(s))
	}
	a, b = plain(a), plain(b)
	return strings.Contains(a, b) || strings.Contains(b, a)
}
