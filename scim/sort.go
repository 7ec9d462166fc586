package scim

import (
	"encoding/json"
	"strings"
	"time"
)

// Order returns a comparison of two resources by an attribute, for slices.SortStableFunc (RFC 7644 section 3.4.2.3).
// Resources without a value come last in ascending and first in descending order; of several values the primary one
// counts, else the first. An attribute that does not exist leaves every order as it is. Errors are those of Compile.
func (t *ResourceType) Order(by Path, descending bool) (func(a, b *Object) int, error) {
	get, err := t.getter(by, nil, 0)
	if err != nil {
		return nil, err
	}
	if get == nil {
		return func(a, b *Object) int { return 0 }, nil
	}
	leaf := get.leaf
	if leaf.Type == Complex {
		if leaf = leaf.sub("value"); leaf == nil {
			return nil, refuse(InvalidPath, "%s cannot be sorted by; name one of its parts, such as %s.%s",
				get.name, get.name, get.leaf.SubAttributes[0].Name)
		}
		get.sub = leaf
	}
	return func(a, b *Object) int {
		x, y := get.sortKey(a), get.sortKey(b)
		n := 0
		switch {
		case x == nil && y == nil:
		case x == nil:
			n = 1
		case y == nil:
			n = -1
		default:
			n = compareKeys(leaf, x, y)
		}
		if descending {
			n = -n
		}
		return n
	}, nil
}

// sortKey is the value that counts, or nil.
func (g *getter) sortKey(o *Object) any {
	value, _ := holder(o, g.urn).Get(g.attr.Name)
	if list, ok := value.([]any); ok {
		if value = nil; len(list) > 0 {
			value = list[0]
		}
		for _, e := range list {
			if element, ok := e.(*Object); ok {
				if primary, _ := element.Bool("primary"); primary {
					value = e
					break
				}
			}
		}
	}
	if g.sub != nil {
		value, _ = part(value, g.sub)
	}
	if empty(value) {
		return nil
	}
	return value
}

func compareKeys(a *Attribute, x, y any) int {
	switch a.kind() {
	case Boolean:
		b, _ := asBool(x)
		c, _ := asBool(y)
		switch {
		case b == c:
			return 0
		case c:
			return -1
		}
		return 1
	case Integer, Decimal:
		m, _ := asNumber(x)
		n, _ := asNumber(y)
		return compareNumbers(m, n)
	case DateTime:
		return keyTime(x).Compare(keyTime(y))
	}
	s, t := keyText(x), keyText(y)
	if a.CaseExact || a.Type == Binary {
		return strings.Compare(s, t)
	}
	return strings.Compare(FoldCase(s), FoldCase(t))
}

func keyTime(v any) time.Time {
	t, _ := parseTime(keyText(v))
	return t
}

func keyText(v any) string {
	if n, ok := v.(json.Number); ok {
		return n.String()
	}
	s, _ := v.(string)
	return s
}
