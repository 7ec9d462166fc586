package scim

import (
	"slices"
)

// Change is what a PATCH did to one attribute.
type Change struct {
	// Path names the attribute, never a part of it.
	Path Path
	// Before and After are its values, nil for none. Both are nil for an attribute that is never returned, such as a
	// password, so that a log of changes holds no secret.
	Before, After any
}

// Added returns the values of a multi-valued attribute that were not there before.
func (c Change) Added() []any { return missing(c.After, c.Before) }

// Removed returns the values of a multi-valued attribute that are not there any more.
func (c Change) Removed() []any { return missing(c.Before, c.After) }

// missing returns the elements of one list that are not in the other.
func missing(from, in any) []any {
	list, _ := from.([]any)
	other, _ := in.([]any)
	have := make(map[string]bool, len(other))
	for _, e := range other {
		have[canonicalText(e)] = true
	}
	var out []any
	for _, e := range list {
		if !have[canonicalText(e)] {
			out = append(out, e)
		}
	}
	return out
}

// Apply carries out a patch on a resource: all of it, in which case it returns the new resource and what changed, or
// nothing, in which case it returns an *Error. Another order of a list is no change. The resource that was given stays as it was in both cases, and shares
// with the new one what did not change. A patch that changes nothing returns no changes: meta.lastModified must then
// stay as well, which like all of meta is the caller's business.
//
// The patch comes from ParsePatch or Diff; one made by hand is checked in the same way. The rules are those of RFC 7644
// section 3.5.2, with three allowances: a value path that selects nothing makes the value that it describes, for add
// always and for replace if its type is a usual one; setting one value primary unsets the others; and removing the
// "value" of an element removes an element of which only labels are left.
func (t *ResourceType) Apply(o *Object, patch *Patch) (*Object, []Change, error) {
	a := applier{t: t, out: o.copy(), owned: map[string]bool{}}
	for i := 0; i < len(patch.Operations); {
		op, n := t.gather(patch.Operations[i:])
		if err := a.apply(op); err != nil {
			return nil, nil, atOperation(op.At, err)
		}
		i += n
	}
	var changes []Change
	for _, p := range a.touched {
		_, attr, _, _ := t.Find(p)
		before, _ := holder(o, p.URN).Get(p.Name)
		after, _ := holder(a.out, p.URN).Get(p.Name)
		if sameSet(before, after) {
			continue
		}
		if err := attr.complete(p.String(), before, after); err != nil {
			return nil, nil, err
		}
		if attr.Returned == Never {
			before, after = nil, nil
		}
		changes = append(changes, Change{Path: p, Before: before, After: after})
	}
	if len(changes) == 0 {
		return o, nil, nil
	}
	return t.withSchemas(a.out), changes, nil
}

// gather joins operations on the same multi-valued attribute that follow each other, because clients send the members
// of a group one by one, and each operation on a large group costs a look at all its members. It returns how many
// operations it joined.
func (t *ResourceType) gather(ops []Operation) (Operation, int) {
	first, ok := t.listed(ops[0])
	if !ok {
		return ops[0], 1
	}
	values := slices.Clone(first.Value.([]any))
	n := 1
	for n < len(ops) {
		next, ok := t.listed(ops[n])
		if !ok || next.Op != first.Op || next.Path.URN != first.Path.URN || next.Path.Name != first.Path.Name {
			break
		}
		values = append(values, next.Value.([]any)...)
		n++
	}
	if n == 1 {
		return ops[0], 1
	}
	first.Value = values
	return first, n
}

// listed says whether an operation adds listed values to a multi-valued attribute or removes them from it. The removal
// of members[value eq "x"] is rewritten as the removal of the listed value x. Values that are primary are not joined,
// because the last of them counts.
func (t *ResourceType) listed(op Operation) (Operation, bool) {
	if op.Op == Replace || op.Path.Sub != "" {
		return op, false
	}
	_, attr := t.attribute(op.Path.URN, op.Path.Name)
	if attr == nil || !attr.MultiValued {
		return op, false
	}
	if op.Path.Filter == nil {
		list, ok := op.Value.([]any)
		return op, ok && !slices.ContainsFunc(list, isPrimary)
	}
	c, ok := op.Path.Filter.(Compare)
	if !ok || op.Op != Remove || c.Op != Eq || !sameName(c.Path.Name, "value") || c.Path.URN != "" || c.Path.Sub != "" {
		return op, false
	}
	if sub := attr.sub("value"); attr.Type != Complex || sub == nil || sub.kind() != String {
		return op, false
	}
	if _, isText := c.Value.(string); !isText {
		return op, false
	}
	op.Path.Filter = nil
	op.Value = []any{NewObject(Member{"value", c.Value})}
	return op, true
}

type applier struct {
	t       *ResourceType
	out     *Object
	owned   map[string]bool // the extensions whose object is a copy already
	touched []Path
	parsed  bool // the operations come from a patchParser, so that their values have the right types
}

// set gives an attribute its value, or removes it for nil.
func (a *applier) set(p Path, v any) {
	if !slices.ContainsFunc(a.touched, func(q Path) bool { return q.URN == p.URN && q.Name == p.Name }) {
		a.touched = append(a.touched, Path{URN: p.URN, Name: p.Name})
	}
	in := a.out
	if p.URN != "" {
		in = holder(a.out, p.URN)
		if !a.owned[p.URN] {
			in = in.copy()
			a.owned[p.URN] = true
			a.out.Set(p.URN, in)
		}
	}
	if v != nil {
		in.Set(p.Name, v)
		if p.URN != "" {
			a.out.Set(p.URN, in)
		}
		return
	}
	in.Delete(p.Name)
	if p.URN != "" && in.Len() == 0 {
		a.out.Delete(p.URN)
		a.owned[p.URN] = false
	}
}

func (a *applier) apply(op Operation) error {
	path, attr, sub, ok := a.t.Find(op.Path)
	if !ok || attr == nil {
		return refuse(InvalidPath, "%s is not an attribute of %s", clean(plainPath(op.Path), 120), a.t.Name)
	}
	name := plainPath(path)
	leaf := attr
	if sub != nil {
		leaf = sub
	}
	if attr.Mutability == ReadOnly || leaf.Mutability == ReadOnly {
		return refuse(Mutability, "%s is read-only", name)
	}
	value := op.Value
	switch {
	case a.parsed:
	case op.Op != Remove:
		var err error
		if value, err = a.t.operand(path, attr, leaf, op.Value, nil); err != nil {
			return err
		}
		if value == nil && op.Op == Add {
			return nil
		}
		if value == nil {
			op.Op = Remove
		}
	case value != nil && attr.MultiValued && path.Filter == nil:
		var err error
		if value, err = leaf.coerce(name, value, nil); err != nil || value == nil {
			return err
		}
	}
	current, _ := holder(a.out, path.URN).Get(attr.Name)
	edit := edit{t: a.t, op: op.Op, path: path, attr: attr, sub: sub, name: name, value: value}
	next, err := edit.run(current)
	if err != nil {
		return err
	}
	switch {
	case next == nil && attr.Required:
		return refuse(Mutability, "%s is required and cannot be removed", attr.Name)
	case empty(next) && attr.Required:
		return refuse(InvalidValue, "%s is required and cannot be empty", attr.Name)
	case attr.Mutability == Immutable && !empty(current) && !Equal(current, next):
		return refuse(Mutability, "%s cannot be changed once it is set", attr.Name)
	}
	if !sameValue(next, current) {
		a.set(path, next)
	}
	return nil
}

// edit is one operation on the value of one attribute.
type edit struct {
	t         *ResourceType
	op        OpKind
	path      Path
	attr, sub *Attribute
	name      string // the path without its filter, for errors
	value     any    // of the right type; nil for a removal that lists nothing
}

// run returns the attribute's next value, nil for none, without changing the current one.
func (e *edit) run(current any) (any, error) {
	if !e.attr.MultiValued {
		if e.path.Filter != nil {
			return nil, refuse(InvalidPath, "%s has one value at most, so [...] cannot select among them", e.name)
		}
		return e.single(current)
	}
	list, ok := current.([]any)
	if !ok && current != nil {
		list = []any{current}
	}
	switch {
	case e.path.Filter != nil:
		return e.selected(list)
	case e.sub != nil:
		return e.everywhere(list)
	}
	switch e.op {
	case Add:
		out, primary := e.attr.appendNew(list, e.value.([]any))
		return orNil(onePrimary(out, primary)), nil
	case Replace:
		out, primary := e.attr.appendNew(nil, e.value.([]any))
		return orNil(onePrimary(out, primary)), nil
	}
	if listed, ok := e.value.([]any); ok {
		return orNil(e.attr.without(list, listed)), nil
	}
	return nil, nil
}

func orNil(list []any) any {
	if len(list) == 0 {
		return nil
	}
	return list
}

// single edits an attribute with one value.
func (e *edit) single(current any) (any, error) {
	switch {
	case e.sub != nil:
		return e.part(current)
	case e.op == Remove:
		return nil, nil
	}
	if _, ok := current.(*Object); ok {
		if err := e.keepImmutable(current, e.value); err != nil {
			return nil, err
		}
		return mergeObjects(current, e.value), nil
	}
	return e.value, nil
}

// keepImmutable refuses to merge other values into immutable sub-attributes.
func (e *edit) keepImmutable(current, more any) error {
	o, _ := current.(*Object)
	n, _ := more.(*Object)
	for name, v := range n.All() {
		sub := e.attr.sub(name)
		have, _ := o.Get(name)
		if sub != nil && sub.Mutability == Immutable && !empty(have) && !Equal(have, v) {
			return refuse(Mutability, "%s.%s cannot be changed once it is set", e.attr.Name, sub.Name)
		}
	}
	return nil
}

// part edits the sub-attribute of one complex value, and returns the value's next form, nil if nothing is left of it.
func (e *edit) part(v any) (any, error) {
	o, ok := v.(*Object)
	if !ok {
		if o = (&Object{}); !empty(v) {
			o.Set("value", v)
		}
	}
	have, _ := o.Get(e.sub.Name)
	next := e.value
	if e.sub.MultiValued {
		list, _ := have.([]any)
		more, _ := e.value.([]any)
		switch {
		case e.op == Add:
			out, _ := e.sub.appendNew(list, more)
			next = orNil(out)
		case e.op == Remove && more != nil:
			next = orNil(e.sub.without(list, more))
		}
	} else if e.op == Remove {
		next = nil
	}
	switch {
	case Equal(have, next):
		return v, nil
	case e.sub.Mutability == Immutable && !empty(have):
		return nil, refuse(Mutability, "%s cannot be changed once it is set", e.name)
	case next == nil && e.sub.Required:
		return nil, refuse(Mutability, "%s is required and cannot be removed", e.name)
	}
	o = withMember(o, e.sub.Name, next)
	if o.Len() == 0 || next == nil && e.attr.MultiValued && e.sub.Name == "value" && onlyLabels(o) {
		return nil, nil
	}
	return o, nil
}

// onlyLabels says whether nothing but the type and primary is left of a value.
func onlyLabels(o *Object) bool {
	for name := range o.All() {
		if !sameName(name, "type") && !sameName(name, "primary") {
			return false
		}
	}
	return true
}
