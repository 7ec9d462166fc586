package client

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"dirsync/scim"
)

// replace reads an account, changes it, and sends it back as a whole, for targets without PATCH.
func (w *work) replace(ctx context.Context, id string, m change) (*scim.Object, error) {
	get := w.v.dir.get
	if w.v.urn == scim.GroupURN {
		get = w.c.wholeGroup
	}
	read, err := get(ctx, id)
	if err != nil {
		return nil, err
	}
	o := read.Clone()
	tidy(o, w.v.urn)
	if m.active != nil && w.v.urn == scim.UserURN {
		o.Set("active", *m.active)
	}
	if m.person != "" && !w.c.profile.NoExternalID {
		o.Set("externalId", string(m.person))
	}
	schemas := o.Texts("schemas")
	for _, v := range m.values {
		f := w.v.shape.find(v.Field)
		for _, p := range f.places {
			var x any
			if !v.Value.IsNull() {
				if x, err = p.encode(f.Field, w.target(v.Value)); err != nil {
					return nil, err
				}
			}
			p.put(o, x)
			if urn := p.path.URN; x != nil && urn != "" && !slices.Contains(schemas, urn) {
				schemas = append(schemas, urn)
			}
		}
	}
	for _, op := range w.renamed(m) {
		o.Set(op.Path.Name, op.Value)
	}
	if len(schemas) == 0 {
		schemas = []string{w.v.urn}
	}
	list := make([]any, len(schemas))
	for i, s := range schemas {
		list[i] = s
	}
	o.Set("schemas", list)
	answer, err := w.c.do(ctx, w.call(http.MethodPut, w.v.dir.path(id), o))
	if err != nil {
		return nil, err
	}
	return answer.object, nil
}

// tidy takes out of a resource that was read what must not be sent back: null anywhere, and what the server alone may
// write. The id stays: the standard's own example has it (RFC 7644 section 3.5.1), and some servers want it.
func tidy(o *scim.Object, urn string) {
	o.Delete("meta")
	dropNulls(o)
	if urn == scim.GroupURN {
		dropReadOnly(o, scim.Group().Attributes)
		return
	}
	dropReadOnly(o, scim.User().Attributes)
	dropReadOnly(o.Object(scim.EnterpriseURN), scim.EnterpriseUser().Attributes)
}

// dropNulls takes out members that are null, in lists too.
func dropNulls(x any) any {
	switch x := x.(type) {
	case *scim.Object:
		var names []string
		for name, v := range x.All() {
			if v == nil {
				names = append(names, name)
			} else if list, ok := v.([]any); ok {
				x.Set(name, dropNulls(list))
			} else {
				dropNulls(v)
			}
		}
		for _, name := range names {
			x.Delete(name)
		}
	case []any:
		x = slices.DeleteFunc(slices.Clone(x), func(e any) bool { return e == nil })
		for i, e := range x {
			x[i] = dropNulls(e)
		}
		return x
	}
	return x
}

// dropReadOnly takes out the attributes that a schema says are read-only.
func dropReadOnly(o *scim.Object, attrs []scim.Attribute) {
	if o == nil {
		return
	}
	for i := range attrs {
		a := &attrs[i]
		v, has := o.Get(a.Name)
		switch {
		case !has || strings.EqualFold(a.Name, "id"):
			continue
		case a.Mutability == scim.ReadOnly:
			o.Delete(a.Name)
			continue
		}
		elements, isList := v.([]any)
		if !isList {
			elements = []any{v}
		}
		for _, e := range elements {
			if inner, ok := e.(*scim.Object); ok {
				dropReadOnly(inner, a.SubAttributes)
			}
		}
	}
}
