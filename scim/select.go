package scim

import (
	"slices"
)

// selected edits the values that the filter in the path's brackets selects.
func (e *edit) selected(list []any) (any, error) {
	test, err := e.t.compile(e.path.Filter, e.attr, 0)
	if err != nil {
		return nil, err
	}
	var hits []int
	for i, v := range list {
		if test(v) {
			hits = append(hits, i)
		}
	}
	if len(hits) == 0 {
		if e.op == Remove {
			return orNil(list), nil
		}
		return e.create(list)
	}
	if e.sub == nil && e.op == Remove {
		out := slices.Clone(list)
		for _, i := range hits {
			out[i] = nil
		}
		return orNil(slices.DeleteFunc(out, func(v any) bool { return v == nil })), nil
	}
	return e.edit(list, hits)
}

// everywhere edits a sub-attribute of all values: emails.type without brackets.
func (e *edit) everywhere(list []any) (any, error) {
	if len(list) == 0 {
		if e.op == Remove {
			return nil, nil
		}
		list = []any{NewObject(Member{e.sub.Name, e.value})}
		return orNil(list), nil
	}
	if len(list) > 1 && e.op != Remove && e.sub.Name == "value" {
		return nil, refuse(NoTarget, "%s could be any of %d values; select one, as in %s[type eq \"work\"].value", e.name, len(list), e.attr.Name)
	}
	hits := make([]int, len(list))
	for i := range hits {
		hits[i] = i
	}
	return e.edit(list, hits)
}

// edit edits some values of a list.
func (e *edit) edit(list []any, hits []int) (any, error) {
	out := list
	changed := false
	for _, i := range hits {
		next, err := e.one(list[i])
		if err != nil {
			return nil, err
		}
		if sameValue(next, list[i]) {
			continue
		}
		if !changed {
			out, changed = slices.Clone(list), true
		}
		out[i] = next
	}
	if !changed {
		return orNil(list), nil
	}
	if e.op != Remove {
		out = onePrimary(out, hits)
	}
	return orNil(onceEach(out)), nil
}

// onceEach leaves out the values that are nil, and all but the first of those that have become the same. The list must be
// the caller's own.
func onceEach(list []any) []any {
	seen := make(map[string]bool, len(list))
	return slices.DeleteFunc(list, func(v any) bool {
		if v == nil {
			return true
		}
		key := canonicalText(v)
		was := seen[key]
		seen[key] = true
		return was
	})
}

// one edits one value.
func (e *edit) one(v any) (any, error) {
	if e.sub != nil {
		return e.part(v)
	}
	next := e.value
	if e.op == Add {
		next = mergeObjects(v, e.value)
	} else if o, ok := e.value.(*Object); ok {
		// What the filter fixes stays if the new value does not say otherwise: emails[type eq "work"] stays "work".
		next = e.withPinned(o)
	}
	if err := e.keepImmutable(v, next); err != nil {
		return nil, err
	}
	if Equal(v, next) {
		return v, nil
	}
	return next, nil
}

// withPinned adds to a value what the filter fixes.
func (e *edit) withPinned(o *Object) *Object {
	fixed, ok := pinned(e.path.Filter)
	if !ok {
		return o
	}
	out := o
	for _, c := range fixed {
		sub := e.attr.sub(c.Path.Name)
		if sub == nil {
			continue
		}
		if _, has := out.Get(sub.Name); has {
			continue
		}
		if v, err := sub.coerce(e.name, c.Value, nil); err == nil && v != nil {
			out = withMember(out, sub.Name, v)
		}
	}
	return out
}

// create makes the value that a filter describes and does not find, as Entra expects of
// {"op":"Replace","path":"emails[type eq \"work\"].value"} for somebody without an address.
func (e *edit) create(list []any) (any, error) {
	none := refuse(NoTarget, "no value of %s is selected by the filter in the path", e.attr.Name)
	fixed, ok := pinned(e.path.Filter)
	if !ok || e.attr.Type != Complex || e.op == Replace && !e.usual(fixed) {
		return nil, none
	}
	fresh := &Object{}
	if e.sub != nil {
		fresh.Set(e.sub.Name, e.value)
	} else {
		fresh = e.value.(*Object).copy()
	}
	before := fresh.Len()
	fresh = e.withPinned(fresh)
	if test, err := e.t.compile(e.path.Filter, e.attr, 0); err != nil || !test(fresh) || before == 0 {
		return nil, none
	}
	if e.attr.complete(e.attr.Name, nil, fresh) != nil {
		return nil, none
	}
	out := append(slices.Clone(list), any(fresh))
	return onePrimary(out, []int{len(list)}), nil
}

// usual says whether a replacement may create what a filter describes: something of a usual type, or what is primary.
// Anything else is more likely an error, for which the standard has noTarget.
func (e *edit) usual(fixed []Compare) bool {
	for _, c := range fixed {
		switch asciiLower(c.Path.Name) {
		case "primary":
			if b, _ := asBool(c.Value); b {
				return true
			}
		case "type":
			s, _ := c.Value.(string)
			types := []string{"work", "home", "mobile", "other"}
			if sub := e.attr.sub("type"); sub != nil {
				types = append(types, sub.CanonicalValues...)
			}
			if slices.ContainsFunc(types, func(t string) bool { return FoldCase(t) == FoldCase(s) }) {
				return true
			}
		}
	}
	return false
}
