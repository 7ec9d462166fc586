package scim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Type is the type of an attribute (RFC 7643 section 2.3). The zero value means string.
type Type string

// The types.
const (
	String    Type = "string"
	Boolean   Type = "boolean"
	Decimal   Type = "decimal"
	Integer   Type = "integer"
	DateTime  Type = "dateTime"
	Binary    Type = "binary"
	Reference Type = "reference"
	Complex   Type = "complex"
)

// Mutable says who may change an attribute. The zero value means readWrite.
type Mutable string

// Who may change an attribute (RFC 7643 section 7).
const (
	ReadWrite Mutable = "readWrite"
	ReadOnly  Mutable = "readOnly"
	Immutable Mutable = "immutable"
	WriteOnly Mutable = "writeOnly"
)

// Returned says when an attribute is shown. The zero value means default.
type Returned string

// When an attribute is shown (RFC 7643 section 7).
const (
	Always    Returned = "always"
	ByDefault Returned = "default"
	OnRequest Returned = "request"
	Never     Returned = "never"
)

// Unique says among whom a value must be unique. The zero value means none.
type Unique string

// Among whom a value must be unique (RFC 7643 section 7).
const (
	NotUnique    Unique = "none"
	UniqueServer Unique = "server"
	UniqueGlobal Unique = "global"
)

// MarshalText returns the name, also of the zero value.
func (t Type) MarshalText() ([]byte, error) { return textOr(string(t), string(String)), nil }

// MarshalText returns the name, also of the zero value.
func (m Mutable) MarshalText() ([]byte, error) { return textOr(string(m), string(ReadWrite)), nil }

// MarshalText returns the name, also of the zero value.
func (r Returned) MarshalText() ([]byte, error) { return textOr(string(r), string(ByDefault)), nil }

// MarshalText returns the name, also of the zero value.
func (u Unique) MarshalText() ([]byte, error) { return textOr(string(u), string(NotUnique)), nil }

func textOr(s, zero string) []byte {
	if s == "" {
		s = zero
	}
	return []byte(s)
}

// Attribute describes one attribute (RFC 7643 section 7). Its zero values are the defaults of section 2.2.
type Attribute struct {
	Name          string      `json:"name"`
	Type          Type        `json:"type"`
	SubAttributes []Attribute `json:"subAttributes,omitempty"`
	MultiValued   bool        `json:"multiValued"`
	Description   string      `json:"description"`
	Required      bool        `json:"required"`
	// CanonicalValues are suggestions: other values are accepted, unless Closed.
	CanonicalValues []string `json:"canonicalValues,omitempty"`
	CaseExact       bool     `json:"caseExact"`
	Mutability      Mutable  `json:"mutability"`
	Returned        Returned `json:"returned"`
	Uniqueness      Unique   `json:"uniqueness"`
	ReferenceTypes  []string `json:"referenceTypes,omitempty"`
	// Closed refuses values that are not canonical. The standard has no word for it, so it is not part of the JSON.
	Closed bool `json:"-"`
}

// Schema describes the attributes of a resource, or of an extension (RFC 7643 section 7).
type Schema struct {
	// ID is the URN.
	ID          string
	Name        string
	Description string
	Attributes  []Attribute
}

// MarshalJSON returns the representation that /Schemas answers, without meta.location, which only the server knows.
func (s *Schema) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Schemas     []string    `json:"schemas"`
		ID          string      `json:"id"`
		Name        string      `json:"name"`
		Description string      `json:"description"`
		Attributes  []Attribute `json:"attributes"`
	}{[]string{SchemaURN}, s.ID, s.Name, s.Description, s.Attributes})
}

// Check says what is wrong with a schema, all of it at once: a URN that is none, names that are none or given twice,
// unknown types, sub-attributes where there can be none.
func (s *Schema) Check() error {
	var wrong []string
	if !strings.HasPrefix(asciiLower(s.ID), "urn:") || len(s.ID) < len("urn:a:b") || strings.ContainsAny(s.ID, "[]\"()\n\r\t") || s.ID[len(s.ID)-1] == ':' {
		wrong = append(wrong, fmt.Sprintf("the id %q is not a URN such as urn:example:scim:schemas:extension:acme:2.0:User", s.ID))
	}
	wrong = append(wrong, checkAttributes(s.Attributes, "", false)...)
	if wrong == nil {
		return nil
	}
	return fmt.Errorf("schema %s: %s", s.ID, strings.Join(wrong, "; "))
}

func checkAttributes(attributes []Attribute, prefix string, sub bool) (wrong []string) {
	seen := map[string]bool{}
	for i := range attributes {
		a := &attributes[i]
		name := prefix + a.Name
		say := func(format string, args ...any) {
			wrong = append(wrong, fmt.Sprintf("%q ", name)+fmt.Sprintf(format, args...))
		}
		if !validName(a.Name) {
			say("is not a name: use letters, digits, - and _")
		}
		if seen[asciiLower(a.Name)] {
			say("is given twice")
		}
		seen[asciiLower(a.Name)] = true
		if !slices.Contains([]Type{"", String, Boolean, Decimal, Integer, DateTime, Binary, Reference, Complex}, a.Type) {
			say("has the unknown type %q", a.Type)
		}
		if !slices.Contains([]Mutable{"", ReadWrite, ReadOnly, Immutable, WriteOnly}, a.Mutability) {
			say("has the unknown mutability %q", a.Mutability)
		}
		if !slices.Contains([]Returned{"", Always, ByDefault, OnRequest, Never}, a.Returned) {
			say("has the unknown returned %q", a.Returned)
		}
		if !slices.Contains([]Unique{"", NotUnique, UniqueServer, UniqueGlobal}, a.Uniqueness) {
			say("has the unknown uniqueness %q", a.Uniqueness)
		}
		switch {
		case a.Type != Complex && len(a.SubAttributes) > 0:
			say("has sub-attributes but is not complex")
		case a.Type == Complex && sub:
			say("is complex within a complex attribute, which SCIM does not allow")
		case a.Type == Complex && len(a.SubAttributes) == 0:
			say("is complex and has no sub-attributes")
		case a.Closed && len(a.CanonicalValues) == 0:
			say("is closed but has no values to choose from")
		}
		wrong = append(wrong, checkAttributes(a.SubAttributes, name+".", true)...)
	}
	return wrong
}

// ReadSchema reads a schema that a server published. It is forgiving, because a client must live with what servers
// publish: unknown characteristics become the defaults, and attributes without a usable name are left out.
func ReadSchema(o *Object) (*Schema, error) {
	s := &Schema{}
	s.ID, _ = o.Text("id")
	s.Name, _ = o.Text("name")
	s.Description, _ = o.Text("description")
	if s.ID == "" {
		return nil, refuse(InvalidSyntax, "a schema without an id")
	}
	s.Attributes = readAttributes(o.List("attributes"), false)
	return s, nil
}

func readAttributes(list []any, sub bool) []Attribute {
	var all []Attribute
	for _, v := range list {
		o, _ := v.(*Object)
		a := Attribute{
			CanonicalValues: o.Texts("canonicalValues"),
			ReferenceTypes:  o.Texts("referenceTypes"),
			Type:            choice(o, "type", String, Boolean, Decimal, Integer, DateTime, Binary, Reference, Complex),
			Mutability:      choice(o, "mutability", ReadWrite, ReadOnly, Immutable, WriteOnly),
			Returned:        choice(o, "returned", ByDefault, Always, OnRequest, Never),
			Uniqueness:      choice(o, "uniqueness", NotUnique, UniqueServer, UniqueGlobal),
		}
		a.Name, _ = o.Text("name")
		a.Description, _ = o.Text("description")
		a.MultiValued, _ = o.Bool("multiValued")
		a.Required, _ = o.Bool("required")
		a.CaseExact, _ = o.Bool("caseExact")
		if !validName(a.Name) || find(all, a.Name) != nil {
			continue
		}
		if !sub {
			a.SubAttributes = readAttributes(o.List("subAttributes"), true)
		}
		switch {
		case len(a.SubAttributes) > 0:
			a.Type = Complex
		case a.Type == Complex:
			continue
		}
		all = append(all, a)
	}
	return all
}

// choice returns the one of the known words that a member names, in any letter case, else the first.
func choice[T ~string](o *Object, name string, known ...T) T {
	text, _ := o.Text(name)
	for _, k := range known {
		if sameName(string(k), text) {
			return k
		}
	}
	return known[0]
}

func find(attributes []Attribute, name string) *Attribute {
	for i := range attributes {
		if sameName(attributes[i].Name, name) {
			return &attributes[i]
		}
	}
	return nil
}

// sub returns a sub-attribute. Multi-valued complex attributes have the ones of RFC 7643 section 2.4 even if the schema
// does not list them: the schema of Group lists no display, and the examples of the same document use it.
func (a *Attribute) sub(name string) *Attribute {
	if found := find(a.SubAttributes, name); found != nil || !a.MultiValued || a.Type != Complex {
		return found
	}
	switch asciiLower(name) {
	case "type":
		return &Attribute{Name: "type"}
	case "primary":
		return &Attribute{Name: "primary", Type: Boolean}
	case "display":
		return &Attribute{Name: "display"}
	case "value":
		return &Attribute{Name: "value"}
	case "$ref":
		return &Attribute{Name: "$ref", Type: Reference}
	}
	return nil
}

// kind is the type, with the zero value resolved.
func (a *Attribute) kind() Type {
	if a.Type == "" {
		return String
	}
	return a.Type
}
