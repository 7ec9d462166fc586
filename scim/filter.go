package scim

import (
	"slices"
	"strings"
)

// Filter is a parsed filter (RFC 7644 section 3.4.2.2): And, Or, Not, Compare, Present or ValuePath. String prints it
// so that ParseFilter reads the same filter again.
type Filter interface {
	String() string
	print(b []byte) []byte
}

// Op is a comparison operator, in lower case.
type Op string

// The comparison operators. The ninth, "pr", is Present.
const (
	Eq Op = "eq" // equal
	Ne Op = "ne" // not equal; also true when there is no value at all
	Co Op = "co" // contains
	Sw Op = "sw" // starts with
	Ew Op = "ew" // ends with
	Gt Op = "gt" // greater than: by letters, numbers or time
	Ge Op = "ge"
	Lt Op = "lt"
	Le Op = "le"
)

// ops lists the operators; it is a function because a variable could be changed.
func ops() [9]Op { return [...]Op{Eq, Ne, Co, Sw, Ew, Gt, Ge, Lt, Le} }

// And is true when all of its filters are; it binds more tightly than Or.
type And []Filter

// Or is true when one of its filters is.
type Or []Filter

// Not is true when its filter is not.
type Not struct{ Filter Filter }

// Compare compares an attribute with a value: nil, bool, string or json.Number.
type Compare struct {
	Path  Path
	Op    Op
	Value any
}

// Present is true when an attribute has a value that is not empty.
type Present struct{ Path Path }

// ValuePath is true when one value of a multi-valued attribute satisfies the filter in the path's brackets.
type ValuePath struct{ Path Path }

// Path names an attribute, or a part of it (RFC 7644 figure 7): "userName", "name.familyName", "emails[type eq
// "work"].value", "urn:…:User:employeeNumber". An extension as a whole has a URN and no Name.
type Path struct {
	// URN is the schema in front of the name, without the last colon, or "".
	URN string
	// Name is the attribute.
	Name string
	// Filter selects values of a multi-valued attribute; nil selects all.
	Filter Filter
	// Sub is the sub-attribute, or "".
	Sub string
}

// IsZero says whether the path names nothing, which is what a path-less PATCH operation has.
func (p Path) IsZero() bool { return p.URN == "" && p.Name == "" }

// String prints the path in the standard's form, with a colon behind the URN.
func (p Path) String() string {
	if p.URN == "" && p.Filter == nil && p.Sub == "" {
		return p.Name
	}
	return string(p.print(nil))
}

func (p Path) print(b []byte) []byte {
	b = append(b, p.URN...)
	if p.URN != "" && p.Name != "" {
		b = append(b, ':')
	}
	b = append(b, p.Name...)
	if p.Filter != nil {
		b = append(p.Filter.print(append(b, '[')), ']')
	}
	if p.Sub != "" {
		b = append(append(b, '.'), p.Sub...)
	}
	return b
}

func (f And) String() string       { return string(f.print(nil)) }
func (f Or) String() string        { return string(f.print(nil)) }
func (f Not) String() string       { return string(f.print(nil)) }
func (f Compare) String() string   { return string(f.print(nil)) }
func (f Present) String() string   { return string(f.print(nil)) }
func (f ValuePath) String() string { return string(f.print(nil)) }

func (f And) print(b []byte) []byte {
	for i, term := range f {
		if i > 0 {
			b = append(b, " and "...)
		}
		if or, ok := term.(Or); ok && len(or) > 1 {
			b = append(or.print(append(b, '(')), ')')
			continue
		}
		b = term.print(b)
	}
	return b
}

func (f Or) print(b []byte) []byte {
	for i, term := range f {
		if i > 0 {
			b = append(b, " or "...)
		}
		b = term.print(b)
	}
	return b
}

func (f Not) print(b []byte) []byte {
	return append(f.Filter.print(append(b, "not ("...)), ')')
}

func (f Compare) print(b []byte) []byte {
	b = append(f.Path.print(b), ' ')
	b = append(append(b, f.Op...), ' ')
	out, err := appendValue(b, f.Value)
	if err != nil {
		return append(b, "null"...) // Only a filter that somebody built with a value of no JSON type.
	}
	return out
}

func (f Present) print(b []byte) []byte { return append(f.Path.print(b), " pr"...) }

func (f ValuePath) print(b []byte) []byte { return f.Path.print(b) }

// Required returns the comparisons of equality that a resource must satisfy for the filter to be true: the ones that
// stand alone or joined by "and". A store can look one of them up in an index and test only what it finds. Comparisons
// within brackets are not among them.
func Required(f Filter) []Compare {
	switch f := f.(type) {
	case Compare:
		if f.Op == Eq && f.Path.Filter == nil {
			return []Compare{f}
		}
	case And:
		var all []Compare
		for _, term := range f {
			all = append(all, Required(term)...)
		}
		return all
	}
	return nil
}

// pinned returns the sub-attributes that a filter in brackets fixes, such as type for [type eq "work"], and whether it
// does nothing else. From such a filter the element that it looks for can be made.
func pinned(f Filter) ([]Compare, bool) {
	switch f := f.(type) {
	case Compare:
		if f.Op == Eq && f.Path.Sub == "" && f.Path.URN == "" && f.Value != nil {
			return []Compare{f}, true
		}
	case And:
		var all []Compare
		for _, term := range f {
			one, ok := pinned(term)
			if !ok {
				return nil, false
			}
			all = append(all, one...)
		}
		for i, c := range all {
			if slices.ContainsFunc(all[:i], func(o Compare) bool { return strings.EqualFold(o.Path.Name, c.Path.Name) }) {
				return nil, false
			}
		}
		return all, true
	}
	return nil, false
}
