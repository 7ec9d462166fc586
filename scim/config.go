package scim

import (
	"encoding/json"
	"time"
)

// ServiceProviderConfig says what a server can do (RFC 7643 section 5, RFC 9865 section 4).
type ServiceProviderConfig struct {
	// DocumentationURI is left out if it is "", because validators refuse empty URIs.
	DocumentationURI                        string
	Patch, ChangePassword, Sort, ETag, Bulk bool
	// MaxOperations and MaxPayload (in bytes) bound a bulk request.
	MaxOperations, MaxPayload int
	Filter                    bool
	// MaxResults is the most resources that a filter answers; 0 if a server does not say.
	MaxResults      int
	Pagination      Pagination
	Authentications []Authentication
}

// Pagination says how a server pages.
type Pagination struct {
	Cursor, Index bool
	// Default is "cursor" or "index", what a request gets that asks for neither; "" if a server does not say.
	Default string
	// DefaultPageSize and MaxPageSize count resources; 0 if a server does not say.
	DefaultPageSize, MaxPageSize int
	// CursorTimeout is how long a cursor lives at least, in whole seconds on the wire; 0 if a server does not say.
	CursorTimeout time.Duration
}

// Authentication is one way to sign in to a server.
type Authentication struct {
	// Type is oauth, oauth2, oauthbearertoken, httpbasic or httpdigest.
	Type, Name, Description   string
	SpecURI, DocumentationURI string
	Primary                   bool
}

// MarshalJSON returns the resource, without meta.location, which only the server knows. The sizes of bulk are there even
// if bulk is not supported, and authenticationSchemes is a list even if it is empty, because validators want that.
func (c *ServiceProviderConfig) MarshalJSON() ([]byte, error) {
	type feature struct {
		Supported bool `json:"supported"`
	}
	type bulk struct {
		Supported  bool `json:"supported"`
		Operations int  `json:"maxOperations"`
		Payload    int  `json:"maxPayloadSize"`
	}
	type filter struct {
		Supported  bool `json:"supported"`
		MaxResults int  `json:"maxResults"`
	}
	type pagination struct {
		Cursor      bool   `json:"cursor"`
		Index       bool   `json:"index"`
		Default     string `json:"defaultPaginationMethod,omitempty"`
		DefaultSize int    `json:"defaultPageSize,omitempty"`
		MaxSize     int    `json:"maxPageSize,omitempty"`
		Timeout     int64  `json:"cursorTimeout,omitempty"`
	}
	type scheme struct {
		Type          string `json:"type"`
		Name          string `json:"name"`
		Description   string `json:"description"`
		SpecURI       string `json:"specUri,omitempty"`
		Documentation string `json:"documentationUri,omitempty"`
		Primary       bool   `json:"primary,omitempty"`
	}
	schemes := []scheme{}
	for _, a := range c.Authentications {
		schemes = append(schemes, scheme{a.Type, a.Name, a.Description, a.SpecURI, a.DocumentationURI, a.Primary})
	}
	p := c.Pagination
	return json.Marshal(struct {
		Schemas        []string   `json:"schemas"`
		Documentation  string     `json:"documentationUri,omitempty"`
		Patch          feature    `json:"patch"`
		Bulk           bulk       `json:"bulk"`
		Filter         filter     `json:"filter"`
		ChangePassword feature    `json:"changePassword"`
		Sort           feature    `json:"sort"`
		ETag           feature    `json:"etag"`
		Pagination     pagination `json:"pagination"`
		Schemes        []scheme   `json:"authenticationSchemes"`
	}{[]string{ConfigURN}, c.DocumentationURI, feature{c.Patch}, bulk{c.Bulk, c.MaxOperations, c.MaxPayload},
		filter{c.Filter, c.MaxResults}, feature{c.ChangePassword}, feature{c.Sort}, feature{c.ETag},
		pagination{p.Cursor, p.Index, p.Default, p.DefaultPageSize, p.MaxPageSize, int64(p.CursorTimeout / time.Second)}, schemes})
}

// ReadServiceProviderConfig reads what a server says of itself, or of the first server in a list, because some answer
// with a list. What is missing or of the wrong type counts as not supported; without pagination, index is taken to be,
// because servers had nothing else before RFC 9865. It never fails: a client must check in practice anyway.
func ReadServiceProviderConfig(o *Object) *ServiceProviderConfig {
	if list := o.List("Resources"); len(list) > 0 {
		o, _ = list[0].(*Object)
	}
	supports := func(name string) bool {
		b, ok := o.Object(name).Bool("supported")
		return ok && b
	}
	number := func(in *Object, name string) int {
		n, _ := in.Int(name)
		return max(n, 0)
	}
	c := &ServiceProviderConfig{Patch: supports("patch"), ChangePassword: supports("changePassword"), Sort: supports("sort"),
		ETag: supports("etag"), Bulk: supports("bulk"), Filter: supports("filter"), Pagination: Pagination{Index: true}}
	c.DocumentationURI, _ = o.Text("documentationUri")
	c.MaxOperations = number(o.Object("bulk"), "maxOperations")
	c.MaxPayload = number(o.Object("bulk"), "maxPayloadSize")
	c.MaxResults = number(o.Object("filter"), "maxResults")
	if p := o.Object("pagination"); p != nil {
		c.Pagination.Cursor, _ = p.Bool("cursor")
		c.Pagination.Index, _ = p.Bool("index")
		c.Pagination.Default, _ = p.Text("defaultPaginationMethod")
		c.Pagination.DefaultPageSize = number(p, "defaultPageSize")
		c.Pagination.MaxPageSize = number(p, "maxPageSize")
		c.Pagination.CursorTimeout = time.Duration(min(number(p, "cursorTimeout"), 1<<31)) * time.Second
	}
	for _, v := range o.List("authenticationSchemes") {
		s, _ := v.(*Object)
		a := Authentication{}
		a.Type, _ = s.Text("type")
		a.Name, _ = s.Text("name")
		a.Description, _ = s.Text("description")
		a.SpecURI, _ = s.Text("specUri")
		a.DocumentationURI, _ = s.Text("documentationUri")
		a.Primary, _ = s.Bool("primary")
		c.Authentications = append(c.Authentications, a)
	}
	return c
}
