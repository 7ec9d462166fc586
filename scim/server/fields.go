package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"dirsync"
	"dirsync/scim"
)

// FieldPath says where users have a field of the directory.
type FieldPath struct {
	// Field decides by its Type what is accepted. Options are what a Choice may be. Format is how dates are written, of YYYY,
	// MM, DD, HH, mm and ss; ISO 8601 is understood anyway.
	Field dirsync.Field
	// Path is a SCIM path (RFC 7644 section 3.5.2): "title", "name.givenName", "emails[type eq \"work\"].value",
	// "urn:kissflow:scim:schemas:extension:ACCOUNT:2:User:FIELD". The schema of an extension ends at the last colon and may
	// hold any character but quotes, brackets and control characters. In brackets there may be comparisons with eq, joined
	// by and.
	//
	// A field may have several paths: the first that has a value counts.
	Path string
}

// DefaultFields are the three fields that every target has.
func DefaultFields() []FieldPath {
	email := dirsync.Field{Name: dirsync.EmailAddress, Label: "E-mail", Type: dirsync.Email}
	return []FieldPath{
		{Field: dirsync.Field{Name: dirsync.FirstName, Label: "First name", Type: dirsync.Text}, Path: "name.givenName"},
		{Field: dirsync.Field{Name: dirsync.LastName, Label: "Last name", Type: dirsync.Text}, Path: "name.familyName"},
		{Field: email, Path: `emails[type eq "work"].value`},
		{Field: email, Path: "emails[primary eq true].value"},
	}
}

// field is a field with all its places.
type field struct {
	dirsync.Field
	places []place
}

// place is where a field is kept.
type place struct {
	path scim.Path
	// equals selects one of several values.
	equals []scim.Compare
	// object says that a value is an object whose "value" it is, as a manager is.
	object bool
}

// userType makes the resource type of users: the standard's schemas, and those of the fields.
func userType(paths []FieldPath) (*scim.ResourceType, []field, error) {
	core := scim.User()
	// A password is not kept, and what is not kept is not published: it is left out like any unknown attribute.
	core.Attributes = slices.DeleteFunc(core.Attributes, func(a scim.Attribute) bool { return a.Name == "password" })
	extensions := []scim.Extension{{Schema: scim.EnterpriseUser()}}
	var wrong []error
	for _, fp := range paths {
		if err := checkField(fp.Field); err != nil {
			wrong = append(wrong, err)
			continue
		}
		urn := schemaOf(fp.Path)
		if urn == "" || strings.EqualFold(urn, core.ID) || strings.EqualFold(urn, scim.EnterpriseURN) {
			continue
		}
		var err error
		if extensions, err = addAttribute(extensions, urn, fp); err != nil {
			wrong = append(wrong, err)
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, nil, err
	}
	t, err := scim.NewResourceType("User", "/Users", core, extensions...)
	if err != nil {
		return nil, nil, err
	}
	fields, err := findPlaces(t, paths)
	return t, fields, err
}

// groupType is the resource type of groups. A group without a name could not be told from another.
func groupType() (*scim.ResourceType, error) {
	core := scim.Group()
	for i := range core.Attributes {
		a := &core.Attributes[i]
		switch a.Name {
		case "displayName":
			a.Required, a.Uniqueness = true, scim.UniqueServer
		case "members":
			a.SubAttributes = append(a.SubAttributes, scim.Attribute{Name: "display", Mutability: scim.Immutable, Description: "The name of the member."})
			for j := range a.SubAttributes {
				switch sub := &a.SubAttributes[j]; sub.Name {
				case "value":
					sub.CaseExact = true // An id, and ids are.
				case "$ref":
					sub.ReferenceTypes = []string{"User"} // There are no groups within groups.
				case "type":
					sub.CanonicalValues = []string{"User"}
				}
			}
		}
	}
	return scim.NewResourceType("Group", "/Groups", core)
}

func checkField(f dirsync.Field) error {
	known := []dirsync.Type{dirsync.Text, dirsync.Email, dirsync.Phone, dirsync.Number, dirsync.Currency, dirsync.Boolean, dirsync.Date,
		dirsync.DateTime, dirsync.Choice, dirsync.Reference, dirsync.TextList}
	switch {
	case f.Name == "" || f.Name == dirsync.GroupsField:
		return fmt.Errorf("a field cannot be called %q", f.Name)
	case !slices.Contains(known, f.Type):
		return fmt.Errorf("field %s has the type %q; use one of %v", f.Name, f.Type, known)
	case f.Type == dirsync.Choice && len(f.Options) == 0:
		return fmt.Errorf("field %s is a choice and has no options", f.Name)
	}
	return checkFormat(f)
}

// schemaOf is the URN at the beginning of a path: up to the last colon in front of brackets.
func schemaOf(path string) string {
	head, _, _ := strings.Cut(path, "[")
	if i := strings.LastIndexByte(head, ':'); i >= 0 {
		return strings.TrimSpace(head[:i])
	}
	return ""
}

// addAttribute puts a field's attribute into the schema with a URN, which is made if it is not there.
func addAttribute(extensions []scim.Extension, urn string, fp FieldPath) ([]scim.Extension, error) {
	name := strings.TrimSpace(fp.Path[strings.LastIndexByte(fp.Path, ':')+1:])
	if strings.ContainsAny(fp.Path, "[]") {
		return nil, fmt.Errorf("field %s: brackets can be used with the attributes of the standard only, not in %s", fp.Field.Name, fp.Path)
	}
	i := slices.IndexFunc(extensions, func(x scim.Extension) bool { return strings.EqualFold(x.Schema.ID, urn) })
	if i < 0 {
		i = len(extensions)
		extensions = append(extensions, scim.Extension{Schema: &scim.Schema{ID: urn, Name: "User", Description: "Fields of this directory"}})
	}
	schema := extensions[i].Schema
	parent, part, nested := strings.Cut(name, ".")
	if !nested {
		schema.Attributes = append(schema.Attributes, attributeOf(fp.Field, name))
		return extensions, nil
	}
	for j := range schema.Attributes {
		if a := &schema.Attributes[j]; strings.EqualFold(a.Name, parent) && a.Type == scim.Complex {
			a.SubAttributes = append(a.SubAttributes, attributeOf(fp.Field, part))
			return extensions, nil
		}
	}
	schema.Attributes = append(schema.Attributes, scim.Attribute{Name: parent, Type: scim.Complex, Description: parent,
		SubAttributes: []scim.Attribute{attributeOf(fp.Field, part)}})
	return extensions, nil
}

// attributeOf describes a field as /Schemas publishes it. The types are those that Entra offers for it: whatever has a form
// of its own, such as a date, is a string. Nothing is required, because clients push people of whom they know a name only.
func attributeOf(f dirsync.Field, name string) scim.Attribute {
	a := scim.Attribute{Name: name, Description: f.Label}
	if a.Description == "" {
		a.Description = f.Name
	}
	if f.Unique {
		a.Uniqueness = scim.UniqueServer
	}
	switch f.Type {
	case dirsync.Number:
		a.Type = scim.Decimal
	case dirsync.Boolean:
		a.Type = scim.Boolean
	case dirsync.Reference:
		a.Type, a.ReferenceTypes, a.CaseExact = scim.Reference, []string{"User"}, true
	case dirsync.TextList:
		a.MultiValued = true
	case dirsync.Choice:
		a.CanonicalValues = f.Options
	case dirsync.Date, dirsync.DateTime, dirsync.Currency, dirsync.Phone, dirsync.Email:
		a.Description += ": " + accepted(f)
	}
	return a
}

// findPlaces finds all paths in the schemas.
func findPlaces(t *scim.ResourceType, paths []FieldPath) ([]field, error) {
	var fields []field
	var wrong []error
	taken := map[string]string{}
	for _, fp := range paths {
		p, err := newPlace(t, fp)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("field %s: %w", fp.Field.Name, err))
			continue
		}
		key := strings.ToLower(p.path.String())
		if other, ok := taken[key]; ok {
			wrong = append(wrong, fmt.Errorf("fields %s and %s are both kept in %s", other, fp.Field.Name, p.path))
			continue
		}
		taken[key] = fp.Field.Name
		i := slices.IndexFunc(fields, func(f field) bool { return f.Name == fp.Field.Name })
		if i < 0 {
			i = len(fields)
			fields = append(fields, field{Field: fp.Field})
		} else if fields[i].Type != fp.Field.Type {
			wrong = append(wrong, fmt.Errorf("field %s is both %s and %s", fp.Field.Name, fields[i].Type, fp.Field.Type))
		}
		fields[i].places = append(fields[i].places, p)
	}
	slices.SortFunc(fields, func(a, b field) int { return strings.Compare(a.Name, b.Name) })
	return fields, errors.Join(wrong...)
}

func newPlace(t *scim.ResourceType, fp FieldPath) (place, error) {
	path, err := scim.ParsePath(fp.Path, t.URNs()...)
	if err != nil {
		return place{}, err
	}
	path, attr, sub, ok := t.Find(path)
	if !ok || attr == nil {
		return place{}, fmt.Errorf("there is no attribute %s; an attribute that the standard does not have needs a schema, as in urn:example:scim:schemas:extension:acme:2.0:User:%s",
			fp.Path, fp.Field.Name)
	}
	p := place{path: path}
	list := fp.Field.Type == dirsync.TextList
	switch {
	case path.URN == "" && slices.Contains([]string{"id", "externalId", "active", "schemas", "meta", "groups"}, path.Name),
		attr.Mutability == scim.ReadOnly, sub != nil && sub.Mutability == scim.ReadOnly:
		return p, fmt.Errorf("%s is not for a field to fill", fp.Path)
	case path.Filter != nil && (!attr.MultiValued || list):
		return p, fmt.Errorf("in %s brackets select one value where there is one, or where a list is wanted", fp.Path)
	case path.Filter == nil && attr.MultiValued && (!list || sub != nil && sub.Name != "value"):
		return p, fmt.Errorf("%s can have several values; select one, as in emails[type eq \"work\"].value", fp.Path)
	case !attr.MultiValued && list:
		return p, fmt.Errorf("%s is one value and cannot hold a list", fp.Path)
	}
	if p.equals, err = comparisons(path.Filter); err != nil {
		return p, fmt.Errorf("%s: %w", fp.Path, err)
	}
	if attr.MultiValued && path.Filter == nil {
		p.path.Sub = "" // The list as a whole: its entries are texts, or objects with a "value".
	} else if attr.Type == scim.Complex && sub == nil {
		p.object = true
		if _, _, value, _ := t.Find(scim.Path{URN: path.URN, Name: path.Name, Sub: "value"}); value == nil {
			return p, fmt.Errorf("%s has parts; name one, such as %s.%s", fp.Path, fp.Path, attr.SubAttributes[0].Name)
		}
	}
	return p, nil
}

// comparisons takes a filter in brackets apart.
func comparisons(f scim.Filter) ([]scim.Compare, error) {
	var all []scim.Compare
	terms, ok := f.(scim.And)
	if !ok && f != nil {
		terms = scim.And{f}
	}
	for _, term := range terms {
		c, ok := term.(scim.Compare)
		if !ok || c.Op != scim.Eq || c.Value == nil || c.Path.Sub != "" || c.Path.URN != "" {
			return nil, errors.New("in brackets only comparisons with eq can be used, joined by and")
		}
		all = append(all, c)
	}
	return all, nil
}

// in returns what a user has in a place, nil for nothing.
func (p *place) in(o *scim.Object) any {
	if p.path.URN != "" {
		o = o.Object(p.path.URN)
	}
	v, _ := o.Get(p.path.Name)
	if p.equals != nil {
		list, _ := v.([]any)
		v = nil
		for _, e := range list {
			if element, ok := e.(*scim.Object); ok && p.selects(element) {
				v = element
				break
			}
		}
	}
	name := p.path.Sub
	if p.object {
		name = "value"
	}
	if inner, ok := v.(*scim.Object); ok && name != "" {
		v, _ = inner.Get(name)
	}
	return v
}

func (p *place) selects(element *scim.Object) bool {
	for _, c := range p.equals {
		have, _ := element.Get(c.Path.Name)
		switch want := c.Value.(type) {
		case string:
			text, ok := have.(string)
			if !ok || scim.FoldCase(text) != scim.FoldCase(want) {
				return false
			}
		case bool:
			if have != want {
				return false
			}
		default:
			if n, ok := want.(json.Number); !ok || have != n {
				return false
			}
		}
	}
	return true
}

// of returns what a user has of a field, and in which place: in the first that has something. Without a value it is the
// first place.
func (f *field) of(o *scim.Object) (any, *place) {
	for i := range f.places {
		if v := f.places[i].in(o); v != nil {
			return v, &f.places[i]
		}
	}
	return nil, &f.places[0]
}
