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
// regard to case where the schema says so, else everything. The type (see kindOf) tells two with the same identity apart
// if both have one.
type identity struct {
	whole bool // text is the whole value, not its "value"
	text  string
}

func (a *Attribute) identity(e any) identity {
	if o, ok := e.(*Object); ok {
		if value, ok := o.Text("value"); ok {
			if sub := a.sub("value"); sub == nil || !sub.CaseExact {
				value = FoldCase(value)
			}
			return identity{text: value}
		}
	}
	return identity{true, canonicalText(e)}
}

// kindOf is the type of a value, or "".
func (a *Attribute) kindOf(e any) string {
	o, _ := e.(*Object)
	kind, _ := o.Text("type")
	return FoldCase(kind)
}

// places remembers where the values of a list are. It looks only for values that were asked for in advance, so that a
// large list needs one look at each of its values, and no memory for them.
type places struct {
	attr  *Attribute
	index map[identity][]place
}

type place struct {
	kind string
	at   int
}

// places finds the values in the list that are the same as one of the wanted.
func (a *Attribute) places(list, wanted []any) *places {
	p := &places{a, make(map[identity][]place, len(wanted))}
	for _, e := range wanted {
		p.index[a.identity(e)] = nil
	}
	for i, e := range list {
		id := a.identity(e)
		if _, ok := p.index[id]; ok {
			p.index[id] = append(p.index[id], place{a.kindOf(e), i})
		}
	}
	return p
}

// find returns where a wanted value is, or -1. Of several places it prefers the one with the very same type.
func (p *places) find(e any) int {
	kind := p.attr.kindOf(e)
	found := -1
	for _, at := range p.index[p.attr.identity(e)] {
		if at.kind == kind {
			return at.at
		}
		if found < 0 && (at.kind == "" || kind == "") {
			found = at.at
		}
	}
	return found
}

// put notes that a wanted value now is at a place.
func (p *places) put(e any, at int) {
	id := p.attr.identity(e)
	p.index[id] = append(p.index[id], place{p.attr.kindOf(e), at})
}

// appendNew adds values to a list. One that is there already is not added again; what else is said of it is merged into
// it. It returns a new list if anything changed, and where the values are that were to be primary.
func (a *Attribute) appendNew(list, more []any) (out []any, primary []int) {
	where := a.places(list, more)
	out = list
	own := false
	for _, e := range more {
		at, first := where.find(e), isPrimary(e)
		if at >= 0 {
			merged := mergeObjects(out[at], a.mergeable(out[at], e))
			if sameValue(merged, out[at]) {
				if first {
					primary = append(primary, at)
				}
				continue
			}
			e = merged
		}
		if !own {
			out, own = append(make([]any, 0, len(list)+len(more)), list...), true
		}
		if at < 0 {
			at = len(out)
			out = append(out, e)
		} else {
			out[at] = e
		}
		where.put(e, at)
		if first {
			primary = append(primary, at)
		}
	}
	return out, primary
}

// mergeable leaves out of a value that is merged into another one what is immutable and set there: the $ref that a client
// makes up for a member must not be an error.
func (a *Attribute) mergeable(old, more any) any {
	o, _ := old.(*Object)
	n, ok := more.(*Object)
	if !ok {
		return more
	}
	out := n
	for name := range n.All() {
		have, _ := o.Get(name)
		if sub := a.sub(name); sub != nil && sub.Mutability == Immutable && !empty(have) {
			out = withMember(out, name, nil)
		}
	}
	return out
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

// without removes the listed values, and is the old list if none was in it. One that is listed without a type is
// removed whatever its type is.
func (a *Attribute) without(list, listed []any) []any {
	victims := make(map[identity][]string, len(listed))
	for _, e := range listed {
		id := a.identity(e)
		victims[id] = append(victims[id], a.kindOf(e))
	}
	out := list
	own := false
	kept := 0
	for i, e := range list {
		kinds := victims[a.identity(e)]
		if len(kinds) > 0 && (slices.Contains(kinds, "") || slices.Contains(kinds, a.kindOf(e))) {
			if !own {
				out, own = slices.Clone(list), true
				kept = i
			}
			continue
		}
		if own {
			out[kept] = e
			kept++
		}
	}
	if !own {
		return list
	}
	return out[:kept:kept]
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
