package scim

import (
	"slices"
)

// canonicalText is the same for values that are Equal, apart from different spellings of the same number.
func canonicalText(v any) string {
	return string(appendCanonical(nil, v))
}

func appendCanonical(b []byte, v any) []byte {
	switch v := v.(type) {
	case *Object:
		// Few values have more than four members, so that sorting them needs no memory.
		var few [4]int
		order := few[:0]
		for i := range v.members {
			order = append(order, i)
		}
		slices.SortFunc(order, func(i, j int) int { return compareNames(v.members[i].Name, v.members[j].Name) })
		b = append(b, '{')
		for _, i := range order {
			for _, c := range []byte(v.members[i].Name) {
				b = append(b, lowerByte(c))
			}
			b = append(appendCanonical(append(b, 0), v.members[i].Value), 0)
		}
		return append(b, '}')
	case []any:
		b = append(b, '[')
		for _, e := range v {
			b = append(appendCanonical(b, e), 0)
		}
		return append(b, ']')
	case string:
		// The length in front keeps strings with zero bytes apart.
		n := len(v)
		b = append(b, '"', byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
		return append(b, v...)
	}
	b, _ = appendValue(b, v)
	return b
}

func compareNames(a, b string) int {
	for i := range min(len(a), len(b)) {
		if x, y := lowerByte(a[i]), lowerByte(b[i]); x != y {
			return int(x) - int(y)
		}
	}
	return len(a) - len(b)
}

// identity is what makes two values of a multi-valued attribute the same one: the "value" of a complex value, without
// regard to case where the schema says so, else everything. The second result is the type, which tells two values with
// the same "value" apart if both have one.
func (a *Attribute) identity(e any) (key, kind string) {
	if o, ok := e.(*Object); ok {
		if value, ok := o.Text("value"); ok {
			if sub := a.sub("value"); sub == nil || !sub.CaseExact {
				value = FoldCase(value)
			}
			kind, _ = o.Text("type")
			return "v" + value, FoldCase(kind)
		}
	}
	return "e" + canonicalText(e), ""
}

// alike says whether two types do not tell values apart.
func alike(a, b string) bool { return a == b || a == "" || b == "" }

// places finds values in a list by what makes them the same one.
type places struct {
	attr  *Attribute
	index map[string][]place
}

type place struct {
	kind string
	at   int
}

func (a *Attribute) places(list []any) *places {
	p := &places{a, make(map[string][]place, len(list))}
	for i, e := range list {
		p.put(e, i)
	}
	return p
}

func (p *places) put(e any, at int) {
	key, kind := p.attr.identity(e)
	p.index[key] = append(p.index[key], place{kind, at})
}

// find returns where a value is, or -1. Of several it prefers the one with the very same type.
func (p *places) find(e any) int {
	key, kind := p.attr.identity(e)
	found := -1
	for _, at := range p.index[key] {
		if at.kind == kind {
			return at.at
		}
		if alike(at.kind, kind) && found < 0 {
			found = at.at
		}
	}
	return found
}

// appendNew adds values to a list. One that is there already is not added again; what else is said of it is merged into
// it. It returns a new list if anything changed, and which values were touched.
func (a *Attribute) appendNew(list, more []any) (out []any, touched []int) {
	where := a.places(list)
	out = list
	own := false
	for _, e := range more {
		at := where.find(e)
		if at >= 0 {
			merged := mergeObjects(out[at], e)
			if sameValue(merged, out[at]) {
				touched = append(touched, at)
				continue
			}
			e = merged
		}
		if !own {
			out, own = slices.Grow(slices.Clone(list), len(more)), true
		}
		if at < 0 {
			at = len(out)
			out = append(out, e)
		} else {
			out[at] = e
		}
		where.put(e, at)
		touched = append(touched, at)
	}
	return out, touched
}

// mergeObjects returns the old value with the members of the new one put over its own; the old one if that changes
// nothing.
func mergeObjects(old, more any) any {
	o, ok := old.(*Object)
	n, ok2 := more.(*Object)
	if !ok || !ok2 {
		return old
	}
	out := o
	for name, v := range n.All() {
		if have, there := out.Get(name); !there || !Equal(have, v) {
			if out == o {
				out = o.copy()
			}
			out.Set(name, v)
		}
	}
	return out
}

// without removes the listed values, and is the old list if none was in it.
func (a *Attribute) without(list, listed []any) []any {
	victims := a.places(listed)
	gone := func(e any) bool {
		key, kind := a.identity(e)
		for _, v := range victims.index[key] {
			if v.kind == "" || v.kind == kind {
				return true
			}
		}
		return false
	}
	if !slices.ContainsFunc(list, gone) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), gone)
}

// onePrimary leaves at most one value primary: the last of the touched ones that is, if any is (RFC 7644 section 3.5.2).
// The list must be the caller's own.
func onePrimary(list []any, touched []int) []any {
	keep := -1
	for _, i := range touched {
		if isPrimary(list[i]) {
			keep = i
		}
	}
	if keep < 0 {
		return list
	}
	out := list
	for i, e := range list {
		if i != keep && isPrimary(e) {
			if &out[0] == &list[0] {
				out = slices.Clone(list)
			}
			out[i] = withMember(e.(*Object), "primary", false)
		}
	}
	return out
}
