package server

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"dirsync/scim"
)

// discover answers what the server says of itself (RFC 7644 section 4).
func (c *call) discover(out *reply, endpoint string, rest []string) error {
	if filter := c.all("filter")[0]; strings.TrimSpace(filter) != "" {
		return refuse(http.StatusForbidden, "", "/%s cannot be filtered", endpoint)
	}
	if len(rest) > 1 || len(rest) == 1 && endpoint == "ServiceProviderConfig" {
		return refuse(http.StatusNotFound, "", "there is nothing at this address")
	}
	if endpoint == "ServiceProviderConfig" {
		return c.sendObject(out, c.described(c.s.provider(), "ServiceProviderConfig", "/ServiceProviderConfig"))
	}
	var all []*scim.Object
	if endpoint == "Schemas" {
		schemas := []*scim.Schema{}
		for _, k := range c.s.kinds {
			schemas = append(schemas, k.Schemas()...)
		}
		for _, schema := range append(schemas, scim.ServiceProviderConfigSchema(), scim.ResourceTypeSchema(), schemaSchema()) {
			all = append(all, c.described(schema, "Schema", "/Schemas/"+url.PathEscape(schema.ID)))
		}
	} else {
		for _, k := range c.s.kinds {
			all = append(all, c.described(k.ResourceType, "ResourceType", "/ResourceTypes/"+k.Name))
		}
	}
	if len(rest) == 0 {
		body, err := (&scim.ListResponse{TotalResults: len(all), StartIndex: 1, ItemsPerPage: len(all), Resources: all}).MarshalJSON()
		if err != nil {
			return err
		}
		out.status, out.buf = http.StatusOK, append(out.buf, body...)
		return nil
	}
	for _, o := range all {
		if id, _ := o.Text("id"); strings.EqualFold(id, rest[0]) {
			return c.sendObject(out, o)
		}
	}
	return refuse(http.StatusNotFound, "", "there is no such entry in /%s", endpoint)
}

func (c *call) sendObject(out *reply, o *scim.Object) error {
	body, err := o.MarshalJSON()
	if err != nil {
		return err
	}
	out.status, out.buf = http.StatusOK, append(out.buf, body...)
	return nil
}

// described is something that describes the server, with its address.
func (c *call) described(v json.Marshaler, typ, path string) *scim.Object {
	converted, err := scim.Convert(v)
	o, ok := converted.(*scim.Object)
	if err != nil || !ok {
		return &scim.Object{} // New has checked what it is made of.
	}
	o.Set("meta", scim.NewObject(scim.Member{Name: "resourceType", Value: typ}, scim.Member{Name: "location", Value: c.base + path}))
	return o
}

// provider says what this server can do.
func (s *Server) provider() *scim.ServiceProviderConfig {
	return &scim.ServiceProviderConfig{
		DocumentationURI: s.config.Documentation,
		Patch:            !s.config.Users.NoUpdate || !s.config.Groups.NoUpdate,
		Sort:             true, ETag: true, Bulk: true, Filter: true,
		MaxOperations: s.limits.Operations, MaxPayload: s.limits.Body, MaxResults: s.limits.MaxPage,
		Pagination: scim.Pagination{Cursor: true, Index: true, Default: "index", DefaultPageSize: s.limits.Page, MaxPageSize: s.limits.MaxPage,
			CursorTimeout: s.limits.Cursor},
		Authentications: []scim.Authentication{{Type: "oauthbearertoken", Name: "Bearer token", Primary: true,
			Description: "A token that an administrator of this directory has made, in the header Authorization.",
			SpecURI:     "https://www.rfc-editor.org/info/rfc6750"}},
	}
}

// schemaSchema is the schema of schemas (RFC 7643 section 8.7.2), as far as this server's have attributes.
func schemaSchema() *scim.Schema {
	word := func(name, description string, required bool) scim.Attribute {
		return scim.Attribute{Name: name, Required: required, Mutability: scim.ReadOnly, Description: description}
	}
	yes := func(name, description string) scim.Attribute {
		return scim.Attribute{Name: name, Type: scim.Boolean, Mutability: scim.ReadOnly, Description: description}
	}
	list := func(name, description string) scim.Attribute {
		return scim.Attribute{Name: name, MultiValued: true, Mutability: scim.ReadOnly, Description: description}
	}
	return &scim.Schema{ID: scim.SchemaURN, Name: "Schema", Description: "Describes the attributes of resources", Attributes: []scim.Attribute{
		word("name", "The name of the schema.", true), word("description", "What the schema is for.", false),
		{Name: "attributes", Type: scim.Complex, MultiValued: true, Required: true, Mutability: scim.ReadOnly, Description: "The attributes, and in subAttributes their parts.",
			SubAttributes: []scim.Attribute{
				word("name", "The attribute's name.", true), word("type", "The type of its values.", true), yes("multiValued", "Whether it is a list."),
				word("description", "What it is.", false), yes("required", "Whether resources must have it."), list("canonicalValues", "The usual values."),
				yes("caseExact", "Whether letter case matters."), word("mutability", "Who may change it.", true), word("returned", "When it is shown.", true),
				word("uniqueness", "Among whom values must be unique.", true), list("referenceTypes", "What it may refer to."),
			}},
	}}
}
