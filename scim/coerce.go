package scim

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// coerce brings what somebody sent for an attribute into the form that is stored: a list without duplicates where the
// attribute is multi-valued, else one value, of the attribute's type. It returns nil for what means "unassigned". What is
// right already is returned as it is, without a copy.
func (a *Attribute) coerce(name string, v any, q *quirks) (any, error) {
	list, isList := v.([]any)
	switch {
	case v == nil:
		return nil, nil
	case a.MultiValued && isList:
		return a.coerceList(name, list, q)
	case a.MultiValued:
		one, err := a.coerceOne(name, v, q)
		if one == nil || err != nil {
			return nil, err
		}
		q.add(NotAList, fmt.Sprintf("%s was one value; taken as a list of one", name))
		return []any{one}, nil
	case isList && len(list) == 0:
		return nil, nil
	case isList && len(list) == 1:
		q.add(ListOfOne, fmt.Sprintf("%s was a list of one; taken as the value in it", name))
		return a.coerceOne(name, list[0], q)
	case isList:
		return nil, refuse(InvalidValue, "%s takes one value; %d were given", name, len(list))
	}
	return a.coerceOne(name, v, q)
}

func (a *Attribute) coerceList(name string, list []any, q *quirks) (any, error) {
	out := list
	changed, primary := false, -1
	seen := make(map[string]bool, len(list))
	kept := 0
	for i, e := range list {
		one, err := a.coerceOne(name, e, q)
		if err != nil {
			return nil, err
		}
		key := ""
		if one != nil {
			key = canonicalText(one)
		}
		drop := one == nil || seen[key]
		if one != nil && drop {
			q.add(DuplicateValue, fmt.Sprintf("%s held the same value twice; one is kept", name))
		}
		seen[key] = true
		if !drop && isPrimary(one) {
			if primary >= 0 {
				q.add(SecondPrimary, fmt.Sprintf("%s held two primary values; the first stays primary", name))
				one = withMember(one.(*Object), "primary", false)
			}
			primary = i
		}
		if (drop || !sameValue(one, e)) && !changed {
			changed, out = true, slices.Clone(list)
		}
		if drop {
			continue
		}
		if changed {
			out[kept] = one
		}
		kept++
	}
	if kept == 0 {
		return nil, nil
	}
	return out[:kept:kept], nil
}

// sameValue says whether coercing changed nothing.
func sameValue(a, b any) bool {
	switch a := a.(type) {
	case *Object:
		b, ok := b.(*Object)
		return ok && a == b
	case []any:
		b, ok := b.([]any)
		return ok && len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
	}
	switch b.(type) {
	case *Object, []any:
		return false
	}
	return a == b
}

func isPrimary(v any) bool {
	o, _ := v.(*Object)
	p, _ := o.Get("primary")
	return p == true
}

// withMember returns a copy of an object in which one member is set, or removed if v is nil.
func withMember(o *Object, name string, v any) *Object {
	c := o.copy()
	if v == nil {
		c.Delete(name)
	} else {
		c.Set(name, v)
	}
	return c
}

// coerceOne is coerce for one of the values.
func (a *Attribute) coerceOne(name string, v any, q *quirks) (any, error) {
	if v == nil {
		return nil, nil
	}
	if isEmptyText(v) && a.kind() != String {
		q.add(EmptyText, fmt.Sprintf("%s was an empty string; taken as no value", name))
		return nil, nil
	}
	if o, ok := v.(*Object); ok && a.kind() == Reference {
		if inner, has := o.Get("value"); has {
			q.add(WrappedValue, fmt.Sprintf("%s was an object; its \"value\" is taken", name))
			return a.coerceOne(name, inner, q)
		}
	}
	mismatch := func() (any, error) {
		return nil, refuse(InvalidValue, "%s must be of the type %s; it is %s", name, a.kind(), describe(v))
	}
	switch a.kind() {
	case Complex:
		return a.coerceComplex(name, v, q)
	case Boolean:
		b, ok := asBool(v)
		if !ok {
			return mismatch()
		}
		if _, isText := v.(string); isText {
			q.add(StringBoolean, fmt.Sprintf("%s was a string; taken as a boolean", name))
		}
		return b, nil
	case Integer:
		n, ok := asInteger(v)
		if !ok {
			return mismatch()
		}
		if number, isNumber := v.(json.Number); isNumber {
			return number, nil
		}
		q.add(StringNumber, fmt.Sprintf("%s was a string; taken as a number", name))
		return json.Number(strconv.FormatInt(n, 10)), nil
	case Decimal:
		n, ok := asNumber(v)
		if !ok {
			return mismatch()
		}
		if _, isText := v.(string); isText {
			q.add(StringNumber, fmt.Sprintf("%s was a string; taken as a number", name))
		}
		return n, nil
	}
	s, ok := v.(string)
	if n, isNumber := v.(json.Number); isNumber && a.kind() != DateTime && a.kind() != Binary {
		q.add(NumberText, fmt.Sprintf("%s was a number; taken as text", name))
		s, ok = n.String(), true
	}
	if !ok {
		return mismatch()
	}
	return a.coerceText(name, s)
}

// coerceText checks the types that are strings in JSON.
func (a *Attribute) coerceText(name, s string) (any, error) {
	switch a.kind() {
	case DateTime:
		if _, ok := parseTime(s); !ok {
			return nil, refuse(InvalidValue, "%s must be a time such as 2008-01-23T04:56:22Z", name)
		}
	case Binary:
		if !isBase64(s) {
			return nil, refuse(InvalidValue, "%s must be base64", name)
		}
	}
	if a.Closed && !slices.ContainsFunc(a.CanonicalValues, func(c string) bool {
		return c == s || !a.CaseExact && FoldCase(c) == FoldCase(s)
	}) {
		return nil, refuse(InvalidValue, "%s must be one of: %s", name, clean(strings.Join(a.CanonicalValues, ", "), 200))
	}
	return s, nil
}

// isBase64 takes both alphabets, with and without padding, and lines.
func isBase64(s string) bool {
	s = strings.TrimRight(strings.Join(strings.Fields(s), ""), "=")
	_, err := base64.RawStdEncoding.DecodeString(s)
	if err != nil {
		_, err = base64.RawURLEncoding.DecodeString(s)
	}
	return err == nil
}

func (a *Attribute) coerceComplex(name string, v any, q *quirks) (any, error) {
	o, ok := v.(*Object)
	if !ok {
		if _, isList := v.([]any); isList || a.sub("value") == nil {
			return nil, refuse(InvalidValue, "%s must be an object with parts such as %s; it is %s", name, a.SubAttributes[0].Name, describe(v))
		}
		q.add(BareValue, fmt.Sprintf("%s was %s; taken as its \"value\"", name, describe(v)))
		o = NewObject(Member{"value", v})
	}
	if sameName(a.Name, "roles") {
		o = decodeRole(name, o, q)
	}
	out := o
	change := func() *Object {
		if out == o {
			out = o.copy()
		}
		return out
	}
	for i, m := range o.members {
		sub := a.sub(m.Name)
		if sub == nil || sub.Mutability == ReadOnly {
			if m.Value != nil && sub == nil {
				q.add(UnknownAttribute, fmt.Sprintf("%s.%s is not known; left out", name, clean(m.Name, 80)))
			} else if m.Value != nil {
				q.add(ReadOnlyIgnored, fmt.Sprintf("%s.%s is read-only; left out", name, sub.Name))
			}
			change().Delete(m.Name)
			continue
		}
		value, err := sub.coerce(name+"."+sub.Name, m.Value, q)
		switch {
		case err != nil:
			return nil, err
		case value == nil:
			change().Delete(m.Name)
		case !sameValue(value, m.Value):
			change().Set(m.Name, value)
		}
		if sub.Name != o.members[i].Name && value != nil {
			respell(change(), sub.Name)
		}
	}
	if out.Len() == 0 {
		return nil, nil
	}
	return out, nil
}

// complete says which required part the values of a complex attribute lack. Those that are among the old ones, the very
// same objects, are not looked at: an operation is not to blame for what was there before.
func (a *Attribute) complete(name string, old, v any) error {
	if !slices.ContainsFunc(a.SubAttributes, func(sub Attribute) bool { return sub.Required }) {
		return nil
	}
	known := map[*Object]bool{}
	for _, e := range elements(old) {
		known[e] = true
	}
	for _, e := range elements(v) {
		for i := range a.SubAttributes {
			sub := &a.SubAttributes[i]
			if part, _ := e.Get(sub.Name); sub.Required && empty(part) && !known[e] {
				return refuse(InvalidValue, "%s.%s is required", name, sub.Name)
			}
		}
	}
	return nil
}

// elements returns the objects that a value is or holds.
func elements(v any) []*Object {
	if o, ok := v.(*Object); ok {
		return []*Object{o}
	}
	var all []*Object
	list, _ := v.([]any)
	for _, e := range list {
		if o, ok := e.(*Object); ok {
			all = append(all, o)
		}
	}
	return all
}

// respell gives a member the spelling of its schema.
func respell(o *Object, name string) {
	if i := o.find(name); i >= 0 {
		o.members[i].Name = name
	}
}

// decodeRole opens the string in which Entra's AppRoleAssignmentsComplex packs a role:
// {"value":"{\"id\":\"…\",\"value\":\"…\",\"displayName\":\"…\"}"}.
func decodeRole(name string, o *Object, q *quirks) *Object {
	text, _ := o.Text("value")
	if !strings.HasPrefix(text, "{") {
		return o
	}
	inner, err := ReadObject([]byte(text), Limits{})
	if err != nil {
		return o
	}
	value, _ := inner.Text("value")
	if value == "" {
		value, _ = inner.Text("id")
	}
	if value == "" {
		return o
	}
	q.add(EncodedRole, fmt.Sprintf("%s.value was JSON within a string; its value and displayName are taken", name))
	out := withMember(o, "value", value)
	if display, ok := inner.Text("displayName"); ok && display != "" {
		if _, has := o.Get("display"); !has {
			out.Set("display", display)
		}
	}
	return out
}
