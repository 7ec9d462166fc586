package scim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Object is a JSON object whose names ignore the case of ASCII letters (RFC 7643 section 2.1) and keep their order and
// spelling. Its values are nil, bool, string, json.Number, []any and *Object, and nothing else; Convert makes such
// values of anything that encoding/json understands.
//
// The zero value is an empty object. A nil *Object reads as an empty one. An Object must not be written to by two
// goroutines at once, nor read while it is written to.
type Object struct{ members []Member }

// Member is one name and its value.
type Member struct {
	Name  string
	Value any
}

// NewObject returns an object with the given members; of two with the same name the last one counts.
func NewObject(members ...Member) *Object {
	o := &Object{members: make([]Member, 0, len(members))}
	for _, m := range members {
		o.Set(m.Name, m.Value)
	}
	return o
}

// Len returns the number of members.
func (o *Object) Len() int {
	if o == nil {
		return 0
	}
	return len(o.members)
}

func (o *Object) find(name string) int {
	if o != nil {
		for i := range o.members {
			if sameName(o.members[i].Name, name) {
				return i
			}
		}
	}
	return -1
}

// Get returns the value of a name, and whether it is there. A member that is null is there, with the value nil.
func (o *Object) Get(name string) (any, bool) {
	if i := o.find(name); i >= 0 {
		return o.members[i].Value, true
	}
	return nil, false
}

// Set gives a name a value: in its place and spelling when the name is there, else as the last member.
func (o *Object) Set(name string, value any) {
	if i := o.find(name); i >= 0 {
		o.members[i].Value = value
		return
	}
	o.members = append(o.members, Member{name, value})
}

// Delete removes a member and says whether it was there.
func (o *Object) Delete(name string) bool {
	i := o.find(name)
	if i >= 0 {
		o.members = slices.Delete(o.members, i, i+1)
	}
	return i >= 0
}

// All yields the names and values in their order. The object must not be changed meanwhile.
func (o *Object) All() iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		if o == nil {
			return
		}
		for i := range o.members {
			if !yield(o.members[i].Name, o.members[i].Value) {
				return
			}
		}
	}
}

// Text returns a value that is a string, and whether it is one.
func (o *Object) Text(name string) (string, bool) {
	v, _ := o.Get(name)
	s, ok := v.(string)
	return s, ok
}

// Bool returns a value that is true or false; the strings that mean them, in any letter case, count as well because
// Entra sends those.
func (o *Object) Bool(name string) (value, ok bool) {
	v, _ := o.Get(name)
	return asBool(v)
}

// Int returns a value that is a whole number; a string of digits counts as well.
func (o *Object) Int(name string) (int, bool) {
	v, _ := o.Get(name)
	n, ok := asInteger(v)
	if int64(int(n)) != n {
		return 0, false
	}
	return int(n), ok
}

// Object returns a value that is an object, else nil.
func (o *Object) Object(name string) *Object {
	v, _ := o.Get(name)
	inner, _ := v.(*Object)
	return inner
}

// List returns a value that is a list, else nil.
func (o *Object) List(name string) []any {
	v, _ := o.Get(name)
	list, _ := v.([]any)
	return list
}

// Texts returns the strings in a list, and a lone string as a list of one.
func (o *Object) Texts(name string) []string {
	v, _ := o.Get(name)
	if s, ok := v.(string); ok {
		return []string{s}
	}
	var texts []string
	list, _ := v.([]any)
	for _, e := range list {
		if s, ok := e.(string); ok {
			texts = append(texts, s)
		}
	}
	return texts
}

// copy returns an object with the same members, which shares their values.
func (o *Object) copy() *Object {
	if o == nil {
		return &Object{}
	}
	return &Object{members: slices.Clone(o.members)}
}

// Clone returns a deep copy.
func (o *Object) Clone() *Object {
	c := o.copy()
	for i := range c.members {
		c.members[i].Value = CloneValue(c.members[i].Value)
	}
	return c
}

// CloneValue returns a deep copy of a value.
func CloneValue(v any) any {
	switch v := v.(type) {
	case *Object:
		return v.Clone()
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = CloneValue(v[i])
		}
		return list
	}
	return v
}

// Equal says whether two values are the same JSON: names ignore letter case and order, lists do not, numbers compare
// by value, and strings exactly. What a schema knows better, such as caseExact, is not considered here.
func Equal(a, b any) bool {
	switch a := a.(type) {
	case *Object:
		b, ok := b.(*Object)
		if !ok || a.Len() != b.Len() {
			return false
		}
		if a == b {
			return true
		}
		for name, v := range a.All() {
			if w, ok := b.Get(name); !ok || !Equal(v, w) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, Equal)
	case json.Number:
		b, ok := b.(json.Number)
		return ok && compareNumbers(a, b) == 0
	}
	switch b.(type) {
	case *Object, []any:
		return false
	}
	return a == b
}

// MarshalJSON writes the members in their order, without escaping what only HTML cares about.
func (o *Object) MarshalJSON() ([]byte, error) {
	return appendValue(nil, o)
}

// UnmarshalJSON is Read with the default limits.
func (o *Object) UnmarshalJSON(data []byte) error {
	read, err := ReadObject(data, Limits{})
	if err == nil {
		*o = *read
	}
	return err
}

// Convert makes a value for an Object of a Go value, in the way of encoding/json.
func Convert(v any) (any, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return Read(data, Limits{})
}

// appendValue writes a value as JSON.
func appendValue(b []byte, v any) ([]byte, error) {
	var err error
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		if v {
			return append(b, "true"...), nil
		}
		return append(b, "false"...), nil
	case string:
		return appendText(b, v), nil
	case json.Number:
		if !validNumber(string(v)) {
			return nil, fmt.Errorf("write a resource: %.20q is not a JSON number", string(v))
		}
		return append(b, v...), nil
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendValue(b, e); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case *Object:
		if v == nil {
			return append(b, "null"...), nil
		}
		b = append(b, '{')
		for i := range v.members {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendText(b, v.members[i].Name), ':')
			if b, err = appendValue(b, v.members[i].Value); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	}
	return nil, fmt.Errorf("write a resource: a value has the Go type %T; Convert it first", v)
}

// appendText writes a JSON string. Only what JSON itself forbids is escaped, so that a filter printed with it stays
// readable; strings without such bytes are copied.
func appendText(b []byte, s string) []byte {
	plain := true
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= 0x80 {
			plain = false
			break
		}
	}
	if plain {
		return append(append(append(b, '"'), s...), '"')
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return append(b, `""`...) // Encoding a string cannot fail.
	}
	return append(b, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...)
}

// sameName compares attribute names and URNs without regard to the case of ASCII letters, and of these only: for
// strings.EqualFold the Kelvin sign is a k.
func sameName(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if a[i] != b[i] && lowerByte(a[i]) != lowerByte(b[i]) {
			return false
		}
	}
	return true
}

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// asciiLower is the form under which names are keys of maps.
func asciiLower(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return 'A' <= r && r <= 'Z' }) < 0 {
		return s
	}
	b := []byte(s)
	for i := range b {
		b[i] = lowerByte(b[i])
	}
	return string(b)
}
