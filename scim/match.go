package scim

import (
	"encoding/json"
	"strings"
	"time"
	"unicode"
)

// FoldCase gives strings that differ only in letter case the same form. It is how values are compared whose attribute
// is not caseExact, so an index over such values must use it for its keys.
func FoldCase(s string) string {
	ascii := true
	for i := range len(s) {
		if s[i] >= 0x80 {
			ascii = false
			break
		}
	}
	if ascii {
		return asciiLower(s)
	}
	return strings.Map(func(r rune) rune {
		least := r
		for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
			least = min(least, other)
		}
		if 'A' <= least && least <= 'Z' {
			least += 'a' - 'A'
		}
		return least
	}, s)
}

// Predicate is a filter made ready for the resources of one type. It is safe for use by many goroutines.
type Predicate struct{ test test }

// test says whether a resource, or within brackets one value of an attribute, satisfies a filter.
type test func(v any) bool

// Match says whether a resource satisfies the filter.
func (p *Predicate) Match(o *Object) bool { return p.test(o) }

// Compile checks a filter against the schemas and makes it ready. A nil filter matches everything. These are refused
// with invalidFilter: an order (gt, ge, lt, le) or a part (co, sw, ew) of booleans, an order of binary values, a value
// that cannot be one of the attribute's type, a complex attribute that has no value of its own, and every attribute that
// is never returned, because filters could guess it letter by letter.
//
// Whatever names an attribute that the type does not have is false. An attribute without a value is "ne" to everything
// and "eq" to null. Of several values one that matches is enough. Strings compare by the attribute's caseExact.
func (t *ResourceType) Compile(f Filter) (*Predicate, error) {
	if f == nil {
		return &Predicate{func(any) bool { return true }}, nil
	}
	test, err := t.compile(f, nil, 0)
	if err != nil {
		return nil, err
	}
	return &Predicate{test}, nil
}

// compile makes a test of a filter; within brackets, in is the attribute whose values are tested.
func (t *ResourceType) compile(f Filter, in *Attribute, depth int) (test, error) {
	if depth > 4*MaxFilterDepth {
		return nil, refuse(InvalidFilter, "the filter is nested too deeply")
	}
	switch f := f.(type) {
	case And:
		tests, err := t.compileAll(f, in, depth)
		return func(v any) bool {
			for _, test := range tests {
				if !test(v) {
					return false
				}
			}
			return true
		}, err
	case Or:
		tests, err := t.compileAll(f, in, depth)
		return func(v any) bool {
			for _, test := range tests {
				if test(v) {
					return true
				}
			}
			return false
		}, err
	case Not:
		inner, err := t.compile(f.Filter, in, depth+1)
		return func(v any) bool { return !inner(v) }, err
	case Compare:
		return t.compileCompare(f, in, depth)
	case Present:
		return t.compilePresent(f.Path, in, depth)
	case ValuePath:
		return t.compilePresent(f.Path, in, depth)
	}
	return nil, refuse(InvalidFilter, "a part of the filter is missing")
}

func (t *ResourceType) compileAll(filters []Filter, in *Attribute, depth int) ([]test, error) {
	tests := make([]test, 0, len(filters))
	for _, f := range filters {
		test, err := t.compile(f, in, depth+1)
		if err != nil {
			return nil, err
		}
		tests = append(tests, test)
	}
	return tests, nil
}

func never(any) bool { return false }

func (t *ResourceType) compileCompare(f Compare, in *Attribute, depth int) (test, error) {
	if f.Value == nil && (f.Op == Eq || f.Op == Ne) {
		present, err := t.compilePresent(f.Path, in, depth)
		if err != nil || f.Op == Ne {
			return present, err
		}
		return func(v any) bool { return !present(v) }, nil
	}
	get, err := t.getter(f.Path, in, depth)
	if err != nil {
		return nil, err
	}
	if get == nil {
		return never, nil
	}
	leaf := get.leaf
	if leaf.Type == Complex {
		if leaf = leaf.sub("value"); leaf == nil {
			return nil, refuse(InvalidFilter, "%s has no value of its own; compare one of its parts, such as %s.%s",
				get.name, get.name, get.leaf.SubAttributes[0].Name)
		}
		get.sub = leaf
	}
	compare, err := comparer(get.name, leaf, f.Op, f.Value)
	if err != nil {
		return nil, err
	}
	return func(v any) bool {
		found, some := false, false
		get.each(v, func(v any) bool {
			some = true
			found = compare(v)
			return !found
		})
		return found || !some && f.Op == Ne
	}, nil
}

func (t *ResourceType) compilePresent(p Path, in *Attribute, depth int) (test, error) {
	if p.Name == "" && in == nil && p.URN != "" {
		if x := t.extension(p.URN); x != nil {
			return func(v any) bool { o, _ := v.(*Object); return o.Object(x.ID).Len() > 0 }, nil
		}
		return never, nil
	}
	get, err := t.getter(p, in, depth)
	if err != nil {
		return nil, err
	}
	if get == nil {
		return never, nil
	}
	return func(v any) bool {
		found := false
		get.each(v, func(v any) bool {
			found = !empty(v)
			return !found
		})
		return found
	}, nil
}

// empty says whether a value counts as unassigned: null, "", and lists and objects of nothing else.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		for _, e := range v {
			if !empty(e) {
				return false
			}
		}
		return true
	case *Object:
		for _, e := range v.All() {
			if !empty(e) {
				return false
			}
		}
		return true
	}
	return false
}

// getter finds the values that a path means.
type getter struct {
	urn, name string // name is the attribute as its schema spells it, with the sub-attribute, for errors
	attr, sub *Attribute
	leaf      *Attribute
	filter    test
	within    bool // the values are sub-attributes of the value that is tested
}

// getter returns nil when there is no such attribute.
func (t *ResourceType) getter(p Path, in *Attribute, depth int) (*getter, error) {
	if in != nil {
		return subGetter(p, in)
	}
	canonical, attr, sub, ok := t.Find(p)
	if !ok || attr == nil {
		return nil, nil
	}
	g := &getter{urn: canonical.URN, attr: attr, sub: sub, leaf: attr}
	canonical.Filter = nil
	g.name = canonical.String()
	if sub != nil {
		g.leaf = sub
	}
	if attr.Returned == Never || g.leaf.Returned == Never {
		return nil, refuse(InvalidFilter, "%s is never shown, so it cannot be filtered or sorted by", g.name)
	}
	if p.Filter != nil {
		if !attr.MultiValued {
			return nil, refuse(InvalidFilter, "%s has one value at most, so [...] cannot select among them", g.name)
		}
		var err error
		if g.filter, err = t.compile(p.Filter, attr, depth+1); err != nil {
			return nil, err
		}
	}
	return g, nil
}

func subGetter(p Path, in *Attribute) (*getter, error) {
	if p.URN != "" || p.Sub != "" {
		return nil, nil
	}
	sub := in.sub(p.Name)
	if sub == nil && sameName(p.Name, "value") && in.Type != Complex {
		sub = &Attribute{Name: "value", Type: in.Type, CaseExact: in.CaseExact}
	}
	if sub == nil {
		return nil, nil
	}
	if sub.Returned == Never {
		return nil, refuse(InvalidFilter, "%s.%s is never shown, so it cannot be filtered by", in.Name, sub.Name)
	}
	return &getter{name: in.Name + "." + sub.Name, sub: sub, leaf: sub, within: true}, nil
}

// each calls fn for every value there is, until it returns false.
func (g *getter) each(v any, fn func(any) bool) {
	if g.within {
		if part, ok := part(v, g.sub); ok {
			fn(part)
		}
		return
	}
	o, _ := v.(*Object)
	value, _ := holder(o, g.urn).Get(g.attr.Name)
	list, many := value.([]any)
	if !many {
		if value == nil {
			return
		}
		list = []any{value}
	}
	for _, e := range list {
		if g.filter != nil && !g.filter(e) {
			continue
		}
		if g.sub != nil {
			p, ok := part(e, g.sub)
			if !ok {
				continue
			}
			e = p
		}
		if e != nil && !fn(e) {
			return
		}
	}
}

// part returns a sub-attribute of a value. What is not an object is its own "value".
func part(v any, sub *Attribute) (any, bool) {
	o, ok := v.(*Object)
	if !ok {
		return v, v != nil && sub.Name == "value"
	}
	p, _ := o.Get(sub.Name)
	return p, p != nil
}

// comparer returns the comparison of an attribute's value with the one in the filter.
func comparer(name string, a *Attribute, op Op, want any) (func(any) bool, error) {
	ordered := op == Gt || op == Ge || op == Lt || op == Le
	partial := op == Co || op == Sw || op == Ew
	cannot := func() (func(any) bool, error) {
		return nil, refuse(InvalidFilter, "%s is of the type %s, which cannot be compared with %s", name, a.kind(), op)
	}
	wrong := func() (func(any) bool, error) {
		return nil, refuse(InvalidFilter, "%s is of the type %s; the filter compares it with %s that is none", name, a.kind(), describe(want))
	}
	if want == nil {
		return nil, refuse(InvalidFilter, "%s is compared with null by %s; only eq and ne can do that", name, op)
	}
	switch a.kind() {
	case Boolean:
		if ordered || partial {
			return cannot()
		}
		w, ok := asBool(want)
		if !ok {
			return wrong()
		}
		return func(v any) bool { b, ok := asBool(v); return ok && (b == w) == (op == Eq) }, nil
	case Integer, Decimal:
		if partial {
			return cannot()
		}
		w, ok := asNumber(want)
		if !ok {
			return wrong()
		}
		return func(v any) bool { n, ok := asNumber(v); return ok && holds(op, compareNumbers(n, w)) }, nil
	case DateTime:
		if partial {
			break // The letters of the date: sw "2011-05" is useful and harmless.
		}
		s, _ := want.(string)
		w, ok := parseTime(s)
		if !ok {
			return wrong()
		}
		return func(v any) bool {
			s, _ := v.(string)
			at, ok := parseTime(s)
			return ok && holds(op, at.Compare(w))
		}, nil
	case Binary:
		if ordered {
			return cannot()
		}
	}
	return textComparer(name, a, op, want)
}

func textComparer(name string, a *Attribute, op Op, want any) (func(any) bool, error) {
	w, ok := want.(string)
	if n, isNumber := want.(json.Number); isNumber {
		w, ok = n.String(), true // externalId eq 4711
	}
	if !ok {
		return nil, refuse(InvalidFilter, "%s is of the type %s; the filter compares it with %s", name, a.kind(), describe(want))
	}
	fold := FoldCase
	if a.CaseExact || a.Type == Binary {
		fold = func(s string) string { return s }
	}
	w = fold(w)
	return func(v any) bool {
		s, ok := v.(string)
		if n, isNumber := v.(json.Number); isNumber {
			s, ok = n.String(), true
		}
		if !ok {
			return false
		}
		s = fold(s)
		switch op {
		case Co:
			return strings.Contains(s, w)
		case Sw:
			return strings.HasPrefix(s, w)
		case Ew:
			return strings.HasSuffix(s, w)
		}
		return holds(op, strings.Compare(s, w))
	}, nil
}

// holds says whether an operator is true of two values that compare as n says.
func holds(op Op, n int) bool {
	switch op {
	case Eq:
		return n == 0
	case Ne:
		return n != 0
	case Gt:
		return n > 0
	case Ge:
		return n >= 0
	case Lt:
		return n < 0
	case Le:
		return n <= 0
	}
	return false
}

// parseTime reads an xsd:dateTime, also without a zone, which then is UTC, and a date alone.
func parseTime(s string) (time.Time, bool) {
	for _, layout := range [...]string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
