package scim

import (
	"slices"
	"strings"
)

// Document returns the body of a PATCH request in a dialect. The zero Dialect is the standard.
func (p *Patch) Document(d Dialect) *Object {
	list := []any{}
	var together *Object
	for _, op := range p.Operations {
		if d.Together && joins(op) {
			if together == nil {
				together = &Object{}
				list = append(list, NewObject(Member{"op", d.word(Replace)}, Member{"value", together}))
			}
			d.put(together, op)
			continue
		}
		together = nil // What follows a removal must not be done before it.
		o := NewObject(Member{"op", d.word(op.Op)})
		if !op.Path.IsZero() {
			o.Set("path", op.Path.String())
		}
		if op.Value != nil {
			o.Set("value", d.value(op.Value))
		}
		list = append(list, o)
	}
	return NewObject(Member{"schemas", []any{PatchURN}}, Member{"Operations", list})
}

// MarshalJSON is Document in the standard's dialect.
func (p *Patch) MarshalJSON() ([]byte, error) { return p.Document(Dialect{}).MarshalJSON() }

func (d Dialect) word(op OpKind) string {
	if d.Capitalized {
		return strings.ToUpper(string(op[:1])) + string(op[1:])
	}
	return string(op)
}

// put sets what an operation sets in the value of an operation without a path.
func (d Dialect) put(o *Object, op Operation) {
	if d.Dotted {
		o.Set(op.Path.String(), d.value(op.Value))
		return
	}
	for _, name := range []string{op.Path.URN, op.Path.Name} {
		if name == "" || name == op.Path.Name && op.Path.Sub == "" {
			continue
		}
		inner := o.Object(name)
		if inner == nil {
			inner = &Object{}
			o.Set(name, inner)
		}
		o = inner
	}
	name := op.Path.Name
	if op.Path.Sub != "" {
		name = op.Path.Sub
	}
	o.Set(name, d.value(op.Value))
}

// value writes the booleans of a value in the dialect.
func (d Dialect) value(v any) any {
	if !d.TextBooleans {
		return CloneValue(v)
	}
	switch v := v.(type) {
	case bool:
		if v {
			return "True"
		}
		return "False"
	case []any:
		list := slices.Clone(v)
		for i := range list {
			list[i] = d.value(list[i])
		}
		return list
	case *Object:
		o := v.copy()
		for i := range o.members {
			o.members[i].Value = d.value(o.members[i].Value)
		}
		return o
	}
	return v
}
