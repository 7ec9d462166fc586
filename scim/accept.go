package scim

import "fmt"

// Accept brings a resource that a client sent, with POST, into the form that is stored: known attributes only, of the
// right types, spelled as in the schemas; null and empty lists left out; read-only attributes left out, because the
// server sets them (RFC 7644 section 3.3); and schemas naming the core schema and the extensions that have data. What
// ParsePatch understands of a value without a path is understood here too. Canonical values are suggestions.
//
// Errors are *Error with 400 and invalidValue, if a value has the wrong type or what is required is missing.
func (t *ResourceType) Accept(in *Object) (*Object, []Quirk, error) {
	out, q, err := t.take(in)
	if err == nil {
		err = t.require(out)
	}
	if err != nil {
		return nil, nil, err
	}
	return out, q.list, nil
}

// AcceptReplacement is Accept for PUT (RFC 7644 section 3.5.1), with the resource that is stored: its read-only
// attributes are kept whatever the client says, and so are the write-only and immutable ones that it leaves out. An
// immutable attribute with another value is refused with mutability. All else that is left out is gone.
func (t *ResourceType) AcceptReplacement(in, stored *Object) (*Object, []Quirk, error) {
	out, q, err := t.take(in)
	if err != nil {
		return nil, nil, err
	}
	a := applier{t: t, out: out, owned: map[string]bool{}}
	t.each(func(urn string, attr *Attribute) {
		have, _ := holder(stored, urn).Get(attr.Name)
		next, _ := holder(a.out, urn).Get(attr.Name)
		path := Path{URN: urn, Name: attr.Name}
		switch {
		case have == nil:
		case attr.Mutability == ReadOnly, next == nil && (attr.Mutability == WriteOnly || attr.Mutability == Immutable):
			a.set(path, have)
		case attr.Mutability == Immutable && !Equal(have, next) && err == nil:
			err = refuse(Mutability, "%s cannot be changed once it is set", path)
		case attr.Type == Complex && !attr.MultiValued:
			a.set(path, attr.keepParts(have, next))
		}
	})
	if err != nil {
		return nil, nil, err
	}
	out = t.withSchemas(a.out)
	if err := t.require(out); err != nil {
		return nil, nil, err
	}
	return out, q.list, nil
}

// Receive is Accept for what a server sent, for a client that compares it with what it wants: nothing is required, and a
// value that cannot be understood is left out and reported instead of being an error. Read-only attributes are left out
// as well, because a client cannot change them; the id is in the resource that was given.
func (t *ResourceType) Receive(in *Object) (*Object, []Quirk) {
	a := applier{t: t, out: &Object{}, owned: map[string]bool{}}
	q := &quirks{}
	one := func(name string, v any) {
		p := patchParser{t: t, q: q}
		before := a.out
		a.out, a.owned = before.copy(), map[string]bool{}
		err := p.members("", Add, NewObject(Member{name, v}))
		for i := 0; i < len(p.out) && err == nil; i++ {
			err = a.apply(p.out[i])
		}
		if err != nil {
			a.out, a.owned = before, map[string]bool{}
			q.add(Unusable, fmt.Sprintf("%s; left out", AsError(err).Detail))
		}
	}
	for name, v := range in.All() {
		data, ok := v.(*Object)
		if x := t.extension(name); x != nil && ok {
			for inner, v := range data.All() {
				one(x.ID, NewObject(Member{inner, v}))
			}
			continue
		}
		one(name, v)
	}
	return t.withSchemas(a.out), q.list
}

// keepParts carries the read-only parts of a complex value over to its replacement, unless its "value" is another one:
// the displayName of a manager belongs to that manager.
func (a *Attribute) keepParts(have, next any) any {
	o, ok := have.(*Object)
	n, ok2 := next.(*Object)
	if !ok || !ok2 {
		return next
	}
	was, _ := o.Get("value")
	is, _ := n.Get("value")
	if !Equal(was, is) {
		return next
	}
	for name, v := range o.All() {
		if sub := a.sub(name); sub != nil && sub.Mutability == ReadOnly {
			n = withMember(n, sub.Name, v)
		}
	}
	return n
}

// take makes a resource of what a client sent, without asking for what is required. It is the same as adding it all to
// an empty resource.
func (t *ResourceType) take(in *Object) (*Object, *quirks, error) {
	p := patchParser{t: t, q: &quirks{}}
	if err := p.members("", Add, in); err != nil {
		return nil, nil, err
	}
	a := applier{t: t, out: &Object{}, owned: map[string]bool{}, parsed: true}
	for _, op := range p.out {
		if err := a.apply(op); err != nil {
			return nil, nil, err
		}
	}
	out := t.withSchemas(a.out)
	t.compareSchemas(in, out, p.q)
	return out, p.q, nil
}

// compareSchemas reports where schemas does not fit the data.
func (t *ResourceType) compareSchemas(in, out *Object, q *quirks) {
	sent := in.Texts("schemas")
	named := func(urn string) bool {
		for _, s := range sent {
			if sameName(s, urn) {
				return true
			}
		}
		return false
	}
	for _, urn := range out.Texts("schemas") {
		if !named(urn) {
			q.add(MissingSchema, fmt.Sprintf("schemas does not name %s, which has data", urn))
		}
	}
	for _, urn := range sent {
		if !sameName(urn, t.core.ID) && t.extension(urn) == nil {
			q.add(UnknownSchema, fmt.Sprintf("schemas names %q, which is not known; left out", clean(urn, 120)))
		}
	}
}

// require says what is missing.
func (t *ResourceType) require(o *Object) error {
	check := func(urn string, attributes []Attribute) error {
		for i := range attributes {
			a := &attributes[i]
			v, _ := holder(o, urn).Get(a.Name)
			if a.Required && a.Mutability != ReadOnly && empty(v) {
				return refuse(InvalidValue, "%s is required", Path{URN: urn, Name: a.Name})
			}
			if empty(v) || a.Type != Complex {
				continue
			}
			if err := a.complete(Path{URN: urn, Name: a.Name}.String(), nil, v); err != nil {
				return err
			}
		}
		return nil
	}
	if err := check("", t.core.Attributes); err != nil {
		return err
	}
	for _, x := range t.extensions {
		has := o.Object(x.Schema.ID).Len() > 0
		if x.Required && !has {
			return refuse(InvalidValue, "%s is required", x.Schema.ID)
		}
		if has {
			if err := check(x.Schema.ID, x.Schema.Attributes); err != nil {
				return err
			}
		}
	}
	return nil
}
