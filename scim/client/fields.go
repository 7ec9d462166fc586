package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"dirsync"
	"dirsync/scim"
)

// FieldPath says where the application keeps a field.
type FieldPath struct {
	// Field is the field as mappings see it. Its Type decides how values are written: a Number as a JSON number, a Boolean
	// as true or false, a Reference as the target's own id of the other person, a TextList as a list, all others as
	// strings. Dates and times are written in Field.Format if that is made of YYYY, MM, DD, HH, mm and ss, else as ISO 8601.
	Field dirsync.Field
	// Path is a SCIM path (RFC 7644 section 3.5.2): "title", "name.givenName", "emails[type eq \"work\"].value",
	// "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager". The schema of an extension ends at the last
	// colon. In brackets there may be comparisons with eq, joined by and.
	Path string
	// AsText writes a Number or a Boolean as a string.
	AsText bool
}

// DefaultFields are the three fields that every target has: the e-mail address is the user name as well.
func DefaultFields() []FieldPath {
	email := dirsync.Field{Name: dirsync.EmailAddress, Label: "E-mail", Type: dirsync.Email, Required: true, Unique: true}
	return []FieldPath{
		{Field: dirsync.Field{Name: dirsync.FirstName, Label: "First name", Type: dirsync.Text, Required: true}, Path: "name.givenName"},
		{Field: dirsync.Field{Name: dirsync.LastName, Label: "Last name", Type: dirsync.Text, Required: true}, Path: "name.familyName"},
		{Field: email, Path: `emails[type eq "work"].value`},
		{Field: email, Path: "userName"},
	}
}

// shape is what a configured user looks like.
type shape struct {
	fields []field
	// name is the field that makes the user name.
	name string
	// references says that some field names another person.
	references bool
	display    bool // some field is kept in displayName
}

// field is a field with all its places.
type field struct {
	dirsync.Field
	places []place
	// shown is true once the target has shown a value of it, of anybody.
	shown *atomic.Bool
}

// place is where a field is kept.
type place struct {
	path   scim.Path
	equals []scim.Compare // what selects the value, for a path with brackets
	asText bool
	// wrapped says that a value is an object whose "value" it is: a manager, or the values of emails without a sub-attribute.
	wrapped, many bool
}

// newShape checks the fields.
func newShape(paths []FieldPath) (*shape, error) {
	s := &shape{}
	var wrong []error
	for _, fp := range paths {
		if err := s.add(fp); err != nil {
			wrong = append(wrong, err)
		}
	}
	for _, name := range []string{dirsync.FirstName, dirsync.LastName, dirsync.EmailAddress} {
		if s.find(name) == nil {
			wrong = append(wrong, fmt.Errorf("field %s has no path, and every target has it", name))
		}
	}
	if s.name == "" {
		wrong = append(wrong, errors.New("no field is kept in userName, which every user needs; add one, usually email"))
	} else if f := s.find(s.name); !f.Required || !f.Unique {
		f.Required, f.Unique = true, true // whatever was said: the standard has it so
	}
	return s, errors.Join(wrong...)
}

// newGroupShape checks the fields of groups.
func newGroupShape(paths []FieldPath) (*shape, error) {
	s := &shape{name: groupName}
	name := FieldPath{Field: dirsync.Field{Name: groupName, Label: "Name", Type: dirsync.Text, Required: true}, Path: "displayName"}
	var wrong []error
	for _, fp := range append([]FieldPath{name}, paths...) {
		if err := s.add(fp); err != nil {
			wrong = append(wrong, fmt.Errorf("groups: %w", err))
		}
	}
	return s, errors.Join(wrong...)
}

func (s *shape) add(fp FieldPath) error {
	name := fp.Field.Name
	switch {
	case name == "":
		return fmt.Errorf("the path %q belongs to no field", fp.Path)
	case name == dirsync.GroupsField:
		return fmt.Errorf("field %s is made of the memberships and has no path", name)
	case !slices.Contains(types(), fp.Field.Type):
		return fmt.Errorf("field %s has the type %q; use one of %v", name, fp.Field.Type, types())
	}
	p, err := newPlace(fp)
	if err != nil {
		return fmt.Errorf("field %s: %w", name, err)
	}
	for _, f := range s.fields {
		for _, other := range f.places {
			if strings.EqualFold(other.path.String(), p.path.String()) {
				return fmt.Errorf("fields %s and %s are both kept in %s", f.Name, name, p.path)
			}
		}
	}
	if p.core("userName") {
		s.name = name
	}
	s.display = s.display || p.core("displayName")
	s.references = s.references || fp.Field.Type == dirsync.Reference
	if f := s.find(name); f != nil {
		f.places = append(f.places, p)
		return nil
	}
	s.fields = append(s.fields, field{Field: fp.Field, places: []place{p}, shown: new(atomic.Bool)})
	return nil
}

func (s *shape) find(name string) *field {
	for i := range s.fields {
		if s.fields[i].Name == name {
			return &s.fields[i]
		}
	}
	return nil
}

func types() []dirsync.Type {
	return []dirsync.Type{dirsync.Text, dirsync.Email, dirsync.Phone, dirsync.Number, dirsync.Currency, dirsync.Boolean, dirsync.Date,
		dirsync.DateTime, dirsync.Choice, dirsync.Reference, dirsync.TextList}
}

func newPlace(fp FieldPath) (place, error) {
	path, err := scim.ParsePath(fp.Path, schemaOf(fp.Path)...)
	if err != nil {
		return place{}, err
	}
	if strings.EqualFold(path.URN, scim.UserURN) {
		path.URN = ""
	}
	p := place{path: path, asText: fp.AsText, many: fp.Field.Type == dirsync.TextList}
	if path.Name == "" {
		return p, fmt.Errorf("the path %s names a schema, not an attribute", fp.Path)
	}
	for _, own := range []string{"id", "externalId", "active", "schemas", "meta", "groups", "password"} {
		if p.core(own) {
			return p, fmt.Errorf("%s is not for a field to fill", own)
		}
	}
	switch f := path.Filter.(type) {
	case nil:
	case scim.Compare:
		p.equals = []scim.Compare{f}
	case scim.And:
		for _, one := range f {
			cmp, ok := one.(scim.Compare)
			if !ok {
				return p, fmt.Errorf("in the brackets of %s only comparisons with eq can be used", fp.Path)
			}
			p.equals = append(p.equals, cmp)
		}
	default:
		return p, fmt.Errorf("in the brackets of %s only comparisons with eq can be used", fp.Path)
	}
	for _, cmp := range p.equals {
		if cmp.Op != scim.Eq || cmp.Value == nil || cmp.Path.Sub != "" {
			return p, fmt.Errorf("in the brackets of %s only comparisons with eq can be used", fp.Path)
		}
	}
	if path.Filter != nil && path.Sub == "" {
		p.path.Sub = "value"
	}
	if path.Filter != nil && p.many {
		return p, fmt.Errorf("%s is one value and cannot hold a list", fp.Path)
	}
	if attr := attribute(p.path); attr != nil && p.path.Sub == "" && attr.Type == scim.Complex {
		if p.wrapped = p.many || fp.Field.Type == dirsync.Reference; !p.wrapped {
			return p, fmt.Errorf("%s has parts; name one, such as %s.%s", fp.Path, fp.Path, attr.SubAttributes[0].Name)
		}
	}
	return p, checkFormat(fp.Field)
}

// schemaOf is the URN at the beginning of a path, up to the last colon in front of brackets. It may hold any character.
func schemaOf(path string) []string {
	head, _, _ := strings.Cut(path, "[")
	colon := strings.LastIndexByte(head, ':')
	if colon < 0 {
		return nil
	}
	return []string{head[:colon]}
}

// attribute is what the standard's schemas say of a path's attribute; nil for all others.
func attribute(p scim.Path) *scim.Attribute {
	for _, s := range []*scim.Schema{scim.User(), scim.EnterpriseUser()} {
		if p.URN != "" && !strings.EqualFold(p.URN, s.ID) || p.URN == "" && s.ID != scim.UserURN {
			continue
		}
		for i := range s.Attributes {
			if strings.EqualFold(s.Attributes[i].Name, p.Name) {
				return &s.Attributes[i]
			}
		}
	}
	return nil
}

func (p place) core(name string) bool {
	return p.path.URN == "" && strings.EqualFold(p.path.Name, name)
}

// Fields implements dirsync.Target: the fields that were configured, and groups of a user. It sends nothing; see Check for
// what the target itself says that it has.
func (c *Client) Fields(context.Context) ([]dirsync.Field, error) {
	return c.users.shape.public(), nil
}

func (s *shape) public() []dirsync.Field {
	out := make([]dirsync.Field, len(s.fields))
	for i, f := range s.fields {
		out[i] = f.Field
	}
	return out
}

// missing are those of names that have no place.
func (s *shape) missing(names ...string) (out []string) {
	for _, name := range names {
		if s.find(name) == nil {
			out = append(out, name)
		}
	}
	return out
}
