package scim

// ServiceProviderConfigSchema returns the schema of RFC 7643 section 8.7.2, with the pagination of RFC 9865.
func ServiceProviderConfigSchema() *Schema {
	feature := func(name, description string, more ...Attribute) Attribute {
		supported := Attribute{Name: "supported", Type: Boolean, Required: true, Mutability: ReadOnly, Description: "Whether the operation is supported."}
		return Attribute{Name: name, Type: Complex, Required: true, Mutability: ReadOnly, Description: description, SubAttributes: append([]Attribute{supported}, more...)}
	}
	number := func(name, description string, required bool) Attribute {
		return Attribute{Name: name, Type: Integer, Required: required, Mutability: ReadOnly, Description: description}
	}
	word := func(name, description string, required bool) Attribute {
		return Attribute{Name: name, Required: required, Mutability: ReadOnly, Description: description}
	}
	link := func(name, description string) Attribute {
		return Attribute{Name: name, Type: Reference, ReferenceTypes: []string{"external"}, Mutability: ReadOnly, Description: description}
	}
	yes := func(name, description string) Attribute {
		return Attribute{Name: name, Type: Boolean, Required: true, Mutability: ReadOnly, Description: description}
	}
	method := word("type", "The authentication scheme.", true)
	method.CanonicalValues = []string{"oauth", "oauth2", "oauthbearertoken", "httpbasic", "httpdigest"}
	return &Schema{ID: ConfigURN, Name: "Service Provider Configuration", Description: "The service provider's configuration", Attributes: []Attribute{
		link("documentationUri", "The service provider's documentation for people."),
		feature("patch", "Whether and how PATCH is supported."),
		feature("bulk", "Whether and how bulk requests are supported.",
			number("maxOperations", "The most operations in one request.", true), number("maxPayloadSize", "The largest body in bytes.", true)),
		feature("filter", "Whether and how filters are supported.", number("maxResults", "The most resources in one answer.", true)),
		feature("changePassword", "Whether passwords can be changed."),
		feature("sort", "Whether results can be sorted."),
		feature("etag", "Whether resources have entity tags."),
		{Name: "pagination", Type: Complex, Mutability: ReadOnly, Description: "Whether and how results are paged.", SubAttributes: []Attribute{
			yes("cursor", "Whether pages by cursor are supported."), yes("index", "Whether pages by index are supported."),
			word("defaultPaginationMethod", "What a request gets that asks for neither.", false),
			number("defaultPageSize", "The size of a page that is not asked for.", false), number("maxPageSize", "The largest page.", false),
			number("cursorTimeout", "How many seconds a cursor lives at least.", false),
		}},
		{Name: "authenticationSchemes", Type: Complex, MultiValued: true, Required: true, Mutability: ReadOnly, Description: "How clients sign in.", SubAttributes: []Attribute{
			method, word("name", "The common name of the scheme.", true), word("description", "A description of the scheme.", true),
			link("specUri", "The specification of the scheme."), link("documentationUri", "The scheme's documentation for people."),
		}},
	}}
}

// ResourceTypeSchema returns the schema of RFC 7643 section 8.7.2.
func ResourceTypeSchema() *Schema {
	urn := func(name, description string) Attribute {
		return Attribute{Name: name, Type: Reference, ReferenceTypes: []string{"uri"}, Required: true, CaseExact: true, Mutability: ReadOnly, Description: description}
	}
	return &Schema{ID: ResourceTypeURN, Name: "ResourceType", Description: "The kinds of resource of a SCIM server", Attributes: []Attribute{
		{Name: "name", Required: true, Mutability: ReadOnly, Description: "The name of the resource type."},
		{Name: "description", Mutability: ReadOnly, Description: "What the resource type is for."},
		urn("endpoint", "The endpoint, relative to the base URL."),
		urn("schema", "The URN of the core schema."),
		{Name: "schemaExtensions", Type: Complex, MultiValued: true, Mutability: ReadOnly, Description: "The extensions of the resource type.", SubAttributes: []Attribute{
			urn("schema", "The URN of the extension."),
			{Name: "required", Type: Boolean, Required: true, Mutability: ReadOnly, Description: "Whether resources must have the extension."},
		}},
	}}
}

// ReadResourceType makes a resource type of what a server published under /ResourceTypes and /Schemas. It is forgiving:
// attributes that every resource has may be part of the schema, and an extension without a published schema is left out.
// The core schema must be among the schemas.
func ReadResourceType(o *Object, schemas []*Schema) (*ResourceType, error) {
	byURN := func(urn string) *Schema {
		for _, s := range schemas {
			if sameName(s.ID, urn) {
				return s
			}
		}
		return nil
	}
	name, _ := o.Text("name")
	endpoint, _ := o.Text("endpoint")
	urn, _ := o.Text("schema")
	published := byURN(urn)
	if published == nil {
		return nil, refuse(InvalidSyntax, "the server publishes no schema %q for its resource type %q", clean(urn, 120), clean(name, 80))
	}
	core := *published
	core.Attributes = nil
	common := commonAttributes()
	for _, a := range published.Attributes {
		if find(common, a.Name) == nil {
			core.Attributes = append(core.Attributes, a)
		}
	}
	var extensions []Extension
	for _, v := range o.List("schemaExtensions") {
		x, _ := v.(*Object)
		urn, _ := x.Text("schema")
		required, _ := x.Bool("required")
		if s := byURN(urn); s != nil {
			extensions = append(extensions, Extension{s, required})
		}
	}
	t, err := NewResourceType(name, endpoint, &core, extensions...)
	if err != nil {
		return nil, err
	}
	if d, ok := o.Text("description"); ok {
		t.Description = d
	}
	return t, nil
}
