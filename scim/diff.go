package scim

import (
	"slices"
)

// Dialect says how patches must be written for a target that does not understand all that the standard allows. The zero
// value is plain RFC 7644: one operation for each attribute or part of it, all in one request.
type Dialect struct {
	// Together puts what is added or replaced without brackets into one replace without a path, the form that Okta sends
	// and many servers were tested with.
	Together bool
	// Dotted writes the names in that operation as paths, such as "name.givenName", as Entra's aadOptscim062020 does;
	// otherwise they are nested objects.
	Dotted bool
	// RemoveByValue removes values of a list with one operation that lists them, Entra's default dialect; otherwise there
	// is one operation with a filter, such as members[value eq "x"], for each.
	RemoveByValue bool
	// Capitalized writes "Add", "Remove" and "Replace".
	Capitalized bool
	// TextBooleans writes "True" and "False" for booleans.
	TextBooleans bool
	// MaxValues is the most values that are added to and removed from lists in one request, such as 100 members for AWS
	// IAM Identity Center; 0 for no limit.
	MaxValues int
	// MaxOperations is the most operations in one request; 0 for no limit. 1 suits servers that read the first only.
	MaxOperations int
}

// Diff returns the patches that make one resource of another, to be sent in this order: none if nothing differs. It
// looks at the attributes of this resource type only, and neither at read-only ones nor at a write-only one that after
// leaves out, because a server does not show it. Lists are compared without regard to order. Values of lists are told
// apart by their type where that is unique, as with emails, else by their value, as with members; where neither says
// enough, the list is replaced as a whole.
//
// Both resources must be in the form of Accept. An immutable attribute that differs is an *Error with mutability.
func (t *ResourceType) Diff(before, after *Object, d Dialect) ([]*Patch, error) {
	var ops []Operation
	var err error
	t.each(func(urn string, a *Attribute) {
		if err != nil || a.Mutability == ReadOnly {
			return
		}
		was, _ := holder(before, urn).Get(a.Name)
		is, _ := holder(after, urn).Get(a.Name)
		if sameSet(was, is) || is == nil && a.Mutability == WriteOnly {
			return
		}
		path := Path{URN: urn, Name: a.Name}
		if a.Mutability == Immutable && was != nil {
			err = refuse(Mutability, "%s cannot be changed once it is set", path)
			return
		}
		var more []Operation
		more, err = t.diffAttribute(path, a, was, is, d)
		ops = append(ops, more...)
	})
	if err != nil {
		return nil, err
	}
	return split(ops, d), nil
}

// sameSet is Equal without regard to the order of lists.
func sameSet(a, b any) bool {
	if Equal(a, b) {
		return true
	}
	x, ok := a.([]any)
	y, ok2 := b.([]any)
	if !ok || !ok2 || len(x) != len(y) {
		return false
	}
	// Most of the values of a large list are usually the very same objects on both sides, and need no closer look.
	same := make(map[*Object]int, len(x))
	for _, e := range x {
		if o, ok := e.(*Object); ok {
			same[o]++
		}
	}
	var rest []any
	for _, e := range y {
		if o, ok := e.(*Object); ok && same[o] > 0 {
			same[o]--
		} else {
			rest = append(rest, e)
		}
	}
	count := make(map[string]int, len(rest))
	for _, e := range rest {
		count[canonicalText(e)]++
	}
	for _, e := range x {
		if o, ok := e.(*Object); ok {
			if same[o] == 0 {
				continue
			}
			same[o]--
		}
		key := canonicalText(e)
		if count[key]--; count[key] < 0 {
			return false
		}
	}
	return true
}

func (t *ResourceType) diffAttribute(path Path, a *Attribute, was, is any, d Dialect) ([]Operation, error) {
	old, _ := was.([]any)
	list, _ := is.([]any)
	switch {
	case is == nil && !a.MultiValued:
		return []Operation{{Op: Remove, Path: path}}, nil
	case was == nil:
		return []Operation{{Op: Add, Path: path, Value: is}}, nil
	case a.MultiValued && a.Type == Complex:
		for _, try := range []func() ([]Operation, bool){
			func() ([]Operation, bool) { return diffByType(path, a, old, list) },
			func() ([]Operation, bool) { return diffByValue(path, a, old, list, d) },
		} {
			if ops, ok := try(); ok && t.leadsTo(path, was, is, ops) {
				return ops, nil
			}
		}
	case a.MultiValued && is != nil:
	case a.Type == Complex:
		if ops := diffParts(path, a, was, is); t.leadsTo(path, was, is, ops) {
			return ops, nil
		}
		return []Operation{{Op: Remove, Path: path}, {Op: Add, Path: path, Value: is}}, nil
	}
	if is == nil {
		return []Operation{{Op: Remove, Path: path}}, nil
	}
	return []Operation{{Op: Replace, Path: path, Value: is}}, nil
}

// leadsTo tries operations out, so that a diff that is too clever is never sent.
func (t *ResourceType) leadsTo(path Path, was, is any, ops []Operation) bool {
	a := applier{t: t, out: &Object{}, owned: map[string]bool{}}
	if was != nil {
		a.set(path, was)
	}
	for i := 0; i < len(ops); {
		op, n := t.gather(ops[i:])
		if a.apply(op) != nil {
			return false
		}
		i += n
	}
	got, _ := holder(a.out, path.URN).Get(path.Name)
	return sameSet(got, is)
}

// diffParts changes the sub-attributes of one complex value that differ, under a path with or without a filter.
func diffParts(path Path, a *Attribute, was, is any) []Operation {
	o, _ := was.(*Object)
	n, _ := is.(*Object)
	var ops []Operation
	for name, v := range n.All() {
		sub := a.sub(name)
		have, there := o.Get(name)
		if sub == nil || sub.Mutability == ReadOnly || Equal(have, v) {
			continue
		}
		path.Sub = sub.Name
		op := Replace
		if !there {
			op = Add
		}
		ops = append(ops, Operation{Op: op, Path: path, Value: v})
	}
	for name := range o.All() {
		sub := a.sub(name)
		if _, stays := n.Get(name); stays || sub == nil || sub.Mutability == ReadOnly {
			continue
		}
		path.Sub = sub.Name
		ops = append(ops, Operation{Op: Remove, Path: path})
	}
	return ops
}

// byKey indexes values by a sub-attribute, if it is a string, and another one, in each of them.
func byKey(list []any, name string) (map[string]*Object, bool) {
	index := make(map[string]*Object, len(list))
	for _, e := range list {
		o, _ := e.(*Object)
		s, ok := o.Text(name)
		if key := FoldCase(s); !ok || s == "" || index[key] != nil {
			return nil, false
		} else {
			index[key] = o
		}
	}
	return index, true
}

// selecting is a path that selects the value with a sub-attribute of this value's.
func selecting(path Path, name string, o *Object) Path {
	s, _ := o.Text(name)
	path.Filter = Compare{Path{Name: name}, Eq, s}
	return path
}

// diffByType changes emails[type eq "work"].value and its like.
func diffByType(path Path, a *Attribute, old, list []any) ([]Operation, bool) {
	was, ok := byKey(old, "type")
	is, ok2 := byKey(list, "type")
	if !ok || !ok2 || a.sub("type") == nil {
		return nil, false
	}
	var ops []Operation
	for _, e := range old {
		o := e.(*Object)
		s, _ := o.Text("type")
		if next := is[FoldCase(s)]; next != nil {
			ops = append(ops, diffParts(selecting(path, "type", o), a, o, next)...)
		} else {
			ops = append(ops, Operation{Op: Remove, Path: selecting(path, "type", o)})
		}
	}
	return append(ops, fresh(path, list, func(o *Object) bool { s, _ := o.Text("type"); return was[FoldCase(s)] == nil })...), true
}

// fresh adds the values that are new.
func fresh(path Path, list []any, isNew func(*Object) bool) []Operation {
	var values []any
	for _, e := range list {
		if isNew(e.(*Object)) {
			values = append(values, e)
		}
	}
	if values == nil {
		return nil
	}
	return []Operation{{Op: Add, Path: path, Value: values}}
}

// diffByValue adds and removes members and their like. A value of which only other parts changed is changed in place.
func diffByValue(path Path, a *Attribute, old, list []any, d Dialect) ([]Operation, bool) {
	was, ok := byKey(old, "value")
	is, ok2 := byKey(list, "value")
	if !ok || !ok2 || a.sub("value") == nil {
		return nil, false
	}
	var ops []Operation
	var gone []any
	for _, e := range old {
		o := e.(*Object)
		s, _ := o.Text("value")
		switch next := is[FoldCase(s)]; {
		case next != nil:
			ops = append(ops, diffParts(selecting(path, "value", o), a, o, next)...)
		case d.RemoveByValue:
			gone = append(gone, NewObject(Member{"value", s}))
		default:
			ops = append(ops, Operation{Op: Remove, Path: selecting(path, "value", o)})
		}
	}
	if gone != nil {
		ops = append(ops, Operation{Op: Remove, Path: path, Value: gone})
	}
	return append(ops, fresh(path, list, func(o *Object) bool { s, _ := o.Text("value"); return was[FoldCase(s)] == nil })...), true
}

// split divides operations into requests that a target takes.
func split(ops []Operation, d Dialect) []*Patch {
	var patches []*Patch
	var now []Operation
	values := 0
	flush := func() {
		if len(now) > 0 {
			patches = append(patches, &Patch{now})
		}
		now, values = nil, 0
	}
	if d.Together {
		ops = togetherFirst(ops)
	}
	for i, op := range ops {
		if d.MaxOperations > 0 && len(now) >= d.MaxOperations && !(d.Together && i > 0 && joins(now[len(now)-1]) && joins(op)) {
			flush()
		}
		list, _ := op.Value.([]any)
		if d.MaxValues <= 0 || op.Op == Replace {
			now = append(now, op)
			continue
		}
		if op.Op == Remove && op.Path.Filter != nil {
			list = []any{nil} // It counts as one value.
		}
		for len(list) > 0 {
			room := d.MaxValues - values
			if room <= 0 || d.MaxOperations > 0 && len(now) >= d.MaxOperations {
				flush()
				continue
			}
			n := min(room, len(list))
			part := op
			if op.Value != nil {
				part.Value = list[:n:n]
			}
			now = append(now, part)
			values += n
			list = list[n:]
		}
		if _, isList := op.Value.([]any); !isList && (op.Op != Remove || op.Path.Filter == nil) {
			now = append(now, op)
		}
	}
	flush()
	return patches
}

// joins says whether an operation can be part of one replace without a path.
func joins(op Operation) bool {
	if op.Op == Remove || op.Path.Filter != nil {
		return false
	}
	_, isList := op.Value.([]any)
	return !isList || op.Op == Replace
}

// togetherFirst moves what becomes one operation to the front. Operations on different attributes do not depend on each
// other, and the ones on the same attribute keep their order, except for the parts of a single value, where a removal
// and a setting concern different parts.
func togetherFirst(ops []Operation) []Operation {
	removed := map[string]bool{}
	for _, op := range ops {
		if op.Op == Remove && op.Path.Filter == nil && op.Path.Sub == "" && op.Value == nil {
			removed[op.Path.String()] = true
		}
	}
	first := func(op Operation) bool {
		return joins(op) && !removed[plainPath(Path{URN: op.Path.URN, Name: op.Path.Name})]
	}
	out := make([]Operation, 0, len(ops))
	for _, op := range ops {
		if first(op) {
			out = append(out, op)
		}
	}
	rest := slices.DeleteFunc(slices.Clone(ops), first)
	return append(out, rest...)
}
