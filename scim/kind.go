package scim

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Extension is a schema that extends a resource type.
type Extension struct {
	Schema *Schema
	// Required refuses resources without it.
	Required bool
}

// ResourceType says what a kind of resource looks like (RFC 7643 section 6). Make it with NewResourceType. It is safe
// for use by many goroutines; its schemas must not be changed any more.
type ResourceType struct {
	Name, Endpoint, Description string

	core       *Schema
	extensions []Extension
	common     []Attribute
	urns       []string
}

// NewResourceType returns the resource type with the given name, such as "User", and endpoint, such as "/Users". The
// error says everything that is wrong with the schemas.
func NewResourceType(name, endpoint string, core *Schema, extensions ...Extension) (*ResourceType, error) {
	t := &ResourceType{Name: name, Endpoint: endpoint, Description: core.Description, core: core, extensions: extensions,
		common: commonAttributes(), urns: []string{core.ID}}
	wrong := []error{core.Check()}
	for _, a := range t.common {
		if find(core.Attributes, a.Name) != nil {
			wrong = append(wrong, fmt.Errorf("schema %s: %q is an attribute that every resource has anyway; remove it", core.ID, a.Name))
		}
	}
	for _, x := range extensions {
		wrong = append(wrong, x.Schema.Check())
		for _, urn := range t.urns {
			if sameName(urn, x.Schema.ID) {
				wrong = append(wrong, fmt.Errorf("schema %s: given twice", urn))
			}
		}
		t.urns = append(t.urns, x.Schema.ID)
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("resource type %s: %w", name, err)
	}
	return t, nil
}

// URNs returns the URNs of the core schema and the extensions, for ParseFilter and ParsePath.
func (t *ResourceType) URNs() []string { return t.urns[:len(t.urns):len(t.urns)] }

// Schemas returns the core schema and the extensions.
func (t *ResourceType) Schemas() []*Schema {
	all := []*Schema{t.core}
	for _, x := range t.extensions {
		all = append(all, x.Schema)
	}
	return all
}

// MarshalJSON returns the representation that /ResourceTypes answers, without meta.location.
func (t *ResourceType) MarshalJSON() ([]byte, error) {
	type extension struct {
		Schema   string `json:"schema"`
		Required bool   `json:"required"`
	}
	list := []extension{}
	for _, x := range t.extensions {
		list = append(list, extension{x.Schema.ID, x.Required})
	}
	return json.Marshal(struct {
		Schemas     []string    `json:"schemas"`
		ID          string      `json:"id"`
		Name        string      `json:"name"`
		Endpoint    string      `json:"endpoint"`
		Description string      `json:"description"`
		Schema      string      `json:"schema"`
		Extensions  []extension `json:"schemaExtensions"`
	}{[]string{ResourceTypeURN}, t.Name, t.Name, t.Endpoint, t.Description, t.core.ID, list})
}

// Find returns the attribute and sub-attribute that a path names, and the path in the standard's form: with the URN for
// the attributes of an extension and without it for the others. An extension's attribute is also found without its URN
// if nothing else has that name, because Entra writes "manager". The last result is false if there is no such attribute.
// For the URN of an extension alone, attr and sub are nil.
func (t *ResourceType) Find(p Path) (canonical Path, attr, sub *Attribute, ok bool) {
	urn, attr := t.attribute(p.URN, p.Name)
	canonical = Path{URN: urn, Filter: p.Filter}
	if attr == nil {
		return canonical, nil, nil, p.Name == "" && urn != ""
	}
	canonical.Name = attr.Name
	if p.Sub == "" {
		return canonical, attr, nil, true
	}
	if sub = attr.sub(p.Sub); sub == nil {
		return canonical, attr, nil, false
	}
	canonical.Sub = sub.Name
	return canonical, attr, sub, true
}

// attribute finds an attribute by URN and name, and returns the URN of its extension, or "" for the core.
func (t *ResourceType) attribute(urn, name string) (string, *Attribute) {
	if urn == "" || sameName(urn, t.core.ID) {
		if a := find(t.common, name); a != nil {
			return "", a
		}
		if a := find(t.core.Attributes, name); a != nil {
			return "", a
		}
		if urn != "" || name == "" {
			return "", nil
		}
		var found *Attribute
		for _, x := range t.extensions {
			if a := find(x.Schema.Attributes, name); a != nil {
				if found != nil {
					return "", nil
				}
				found, urn = a, x.Schema.ID
			}
		}
		return urn, found
	}
	if x := t.extension(urn); x != nil {
		return x.ID, find(x.Attributes, name)
	}
	return "", nil
}

// extension returns the schema of an extension, or nil.
func (t *ResourceType) extension(urn string) *Schema {
	for _, x := range t.extensions {
		if sameName(x.Schema.ID, urn) {
			return x.Schema
		}
	}
	return nil
}

// holder returns the object in which the attributes of a URN are: the resource itself for "".
func holder(o *Object, urn string) *Object {
	if urn == "" {
		return o
	}
	return o.Object(urn)
}

// each calls fn for every attribute that a resource can have, schemas excepted.
func (t *ResourceType) each(fn func(urn string, a *Attribute)) {
	for i := range t.common {
		if t.common[i].Name != "schemas" {
			fn("", &t.common[i])
		}
	}
	for i := range t.core.Attributes {
		fn("", &t.core.Attributes[i])
	}
	for _, x := range t.extensions {
		for i := range x.Schema.Attributes {
			fn(x.Schema.ID, &x.Schema.Attributes[i])
		}
	}
}

// withSchemas sets schemas to the core schema and the extensions that have data, as the first member.
func (t *ResourceType) withSchemas(o *Object) *Object {
	list := []any{t.core.ID}
	for _, x := range t.extensions {
		if o.Object(x.Schema.ID).Len() > 0 {
			list = append(list, x.Schema.ID)
		}
	}
	if have, ok := o.Get("schemas"); ok {
		if !Equal(have, list) {
			o.Set("schemas", list)
		}
		return o
	}
	return &Object{members: append([]Member{{"schemas", list}}, o.members...)}
}
