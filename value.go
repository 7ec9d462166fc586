package dirsync

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// Type is the type of a field.
type Type string

// The types of fields. Their canonical forms, in which alone they are compared and stored:
const (
	Text      Type = "text"      // Unicode NFC, outer white space removed, letter case kept
	Email     Type = "email"     // local part as given, domain in lower-case ASCII; compared without regard to case
	Phone     Type = "phone"     // E.164, an extension after ";ext="
	Number    Type = "number"    // decimal without exponent, grouping, leading or trailing zeros
	Currency  Type = "currency"  // ISO 4217 code, a space, a number: "EUR 12.5"
	Boolean   Type = "boolean"   // "true" or "false"
	Date      Type = "date"      // 2006-01-02
	DateTime  Type = "datetime"  // RFC 3339 in UTC, fraction without trailing zeros
	Choice    Type = "choice"    // one of the field's options, spelled as there
	Reference Type = "reference" // the ID of another person
	TextList  Type = "text list" // a JSON array of texts, in the source's order
)

// Value is one typed value in canonical form, so that two values are == exactly when they mean the same. The zero
// Value is null: nothing is there, or what was there is to be cleared.
type Value struct {
	Type Type
	Text string
}

// IsNull tells the null value.
func (v Value) IsNull() bool { return v.Type == "" }

// String returns the canonical form, and "" for null.
func (v Value) String() string { return v.Text }

// Same tells whether two values need no update from one to the other. E-mail addresses that differ in letter case alone
// reach the same person; everything else is the same when it is equal.
func (v Value) Same(other Value) bool {
	return v == other || v.Type == Email && other.Type == Email && Fold(v.Text) == Fold(other.Text)
}

// NewList returns a TextList, and null for an empty one.
func NewList(texts []string) Value {
	if len(texts) == 0 {
		return Value{}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(texts) // a list of strings
	return Value{Type: TextList, Text: strings.TrimRight(b.String(), "\n")}
}

// List returns the texts of a TextList, in a slice of their own. It is nil for anything else.
func (v Value) List() []string {
	var out []string
	if v.Type != TextList || json.Unmarshal([]byte(v.Text), &out) != nil {
		return nil
	}
	return out
}

// MarshalJSON writes null, a boolean, a number, a list of strings or a string, by the value's type.
func (v Value) MarshalJSON() ([]byte, error) {
	switch v.Type {
	case "":
		return []byte("null"), nil
	case Boolean, Number, TextList:
		if json.Valid([]byte(v.Text)) {
			return []byte(v.Text), nil
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v.Text); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// Values are the values of some of a user's fields, sorted by field name and without duplicates. A field that is
// absent is not spoken of; one with the null value is empty.
type Values []FieldValue

// FieldValue is the value of one field of the target.
type FieldValue struct {
	Field string
	Value Value
}

// Get returns a field's value; the second result is false when the field is not spoken of.
func (vs Values) Get(field string) (Value, bool) {
	i, ok := vs.find(field)
	if !ok {
		return Value{}, false
	}
	return vs[i].Value, true
}

// Set returns vs with one field set. It may change vs in place, as append does.
func (vs Values) Set(field string, v Value) Values {
	i, ok := vs.find(field)
	if ok {
		vs[i].Value = v
		return vs
	}
	return slices.Insert(vs, i, FieldValue{field, v})
}

// With returns a new Values that holds what vs holds, overlaid by newer.
func (vs Values) With(newer Values) Values {
	out := make(Values, 0, len(vs)+len(newer))
	out = append(out, vs...)
	for _, f := range newer {
		out = out.Set(f.Field, f.Value)
	}
	return out
}

// Equal tells whether both speak of the same fields with the same values.
func (vs Values) Equal(other Values) bool { return slices.Equal(vs, other) }

func (vs Values) find(field string) (int, bool) {
	return slices.BinarySearchFunc(vs, field, func(f FieldValue, name string) int { return strings.Compare(f.Field, name) })
}

// MarshalJSON writes an object with the fields in order of their names.
func (vs Values) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, f := range vs {
		if i > 0 {
			b = append(b, ',')
		}
		name, err := json.Marshal(f.Field)
		if err != nil {
			return nil, err
		}
		value, err := f.Value.MarshalJSON()
		if err != nil {
			return nil, err
		}
		b = append(append(append(b, name...), ':'), value...)
	}
	return append(b, '}'), nil
}

// Field describes one field that a source offers or a target takes.
type Field struct {
	// Name is how the mapping names the field: "givenName", "joining_date".
	Name string
	// Label is what people call it; empty means the same as Name.
	Label string
	Type  Type
	// Required means that no user can be without it; Unique that no two users share a value, letter case disregarded.
	Required, Unique bool
	// Options are what a Choice may hold.
	Options []string
	// Format is how the values are written outside, for dates and numbers: "DD/MM/YYYY".
	Format string
	// MaxLength is the longest value in characters; zero means no limit.
	MaxLength int
	// Refused says why a field cannot be used, and what to use instead. Empty for every usable field.
	Refused string
}

// The three fields that every target has and every mapping must fill.
const (
	FirstName    = "first_name"
	LastName     = "last_name"
	EmailAddress = "email"
)

// GroupsField is the field that says which groups a user is in. No mapping fills it: where groups are synced, its value
// is made of the memberships. It is a TextList of the source's group ids, sorted; null where groups are not synced.
const GroupsField = "groups"
