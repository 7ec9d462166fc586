package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"dirsync"
	"dirsync/scim"
)

// Report is what Check found.
type Report struct {
	// Users and Groups are how many the application says that it has; -1 if it does not say, or has none.
	Users, Groups int
	// Says is what the application claims to support. It is shown and not believed. Nil if it publishes nothing.
	Says *scim.ServiceProviderConfig
	// Fields are the configured fields, place by place.
	Fields []FieldReport
	// Schemas are the URNs of the schemas that it publishes.
	Schemas []string
	// Notes are what an administrator should know, as sentences.
	Notes []string
}

// FieldReport says of one place of a field whether the application seems to have it.
type FieldReport struct {
	Field, Path string
	// Known is false if the application publishes no schema that could tell. Problem is what is wrong, as a phrase that can
	// follow the path: "is not in the schema urn:…"; empty for nothing.
	Known   bool
	Problem string
}

// Check reaches the application, signs in, and finds out what it says of itself and of the configured fields. It changes
// nothing there. The error is why people could not be provisioned at all; everything else is in the Report.
func (c *Client) Check(ctx context.Context) (Report, error) {
	r := Report{Users: -1, Groups: -1}
	total, err := c.count(ctx, "check users", "/Users")
	if err != nil {
		return r, err
	}
	r.Users = total
	if !c.profile.NoGroups {
		r.Groups, err = c.count(ctx, "check groups", "/Groups")
		switch {
		case ctx.Err() != nil:
			return r, err
		case err != nil:
			r.Groups = -1
			r.Notes = append(r.Notes, "Groups cannot be synced: "+err.Error()+".")
		}
	}
	config, err := c.do(ctx, call{op: "read what the application supports", method: http.MethodGet, path: "/ServiceProviderConfig"})
	if err == nil {
		r.Says = scim.ReadServiceProviderConfig(config.object)
		c.compare(&r)
	} else if err := c.optional(ctx, &r, "what it supports", err); err != nil {
		return r, err
	}
	kinds := 0
	if o, err := c.do(ctx, call{op: "read the resource types", method: http.MethodGet, path: "/ResourceTypes"}); err == nil {
		kinds = len(o.object.List("Resources"))
		for _, kind := range o.object.List("Resources") {
			inner, _ := kind.(*scim.Object)
			if endpoint, _ := inner.Text("endpoint"); strings.Trim(endpoint, "/") == "Groups" {
				kinds = -1
			}
		}
	} else if err := c.optional(ctx, &r, "its resource types", err); err != nil {
		return r, err
	}
	if kinds > 0 && !c.profile.NoGroups {
		r.Notes = append(r.Notes, "Groups are not among the resource types that it publishes.")
	}
	schemas, err := c.schemas(ctx)
	if err != nil {
		if err := c.optional(ctx, &r, "its schemas", err); err != nil {
			return r, err
		}
	}
	for _, s := range schemas {
		r.Schemas = append(r.Schemas, s.ID)
	}
	for _, f := range c.users.shape.fields {
		for _, p := range f.places {
			r.Fields = append(r.Fields, p.report(f, schemas))
		}
	}
	return r, nil
}

// optional notes that something is not published, which many applications do not do, and returns errors of another kind.
func (c *Client) optional(ctx context.Context, r *Report, what string, err error) error {
	if kind := dirsync.KindOf(err); ctx.Err() != nil || kind == dirsync.Unauthorized || kind == dirsync.Throttled {
		return err
	}
	r.Notes = append(r.Notes, "It does not publish "+what+", so that cannot be compared.")
	return nil
}

// count asks for one resource, and for how many there are.
func (c *Client) count(ctx context.Context, op, path string) (int, error) {
	page, err := c.list(ctx, call{op: op, method: http.MethodGet, path: path, query: url.Values{"startIndex": {"1"}, "count": {"1"}}})
	if err != nil {
		return -1, err
	}
	return page.TotalResults, nil
}

// compare tells where the profile and what the application claims do not fit.
func (c *Client) compare(r *Report) {
	note := func(format string, args ...any) { r.Notes = append(r.Notes, fmt.Sprintf(format, args...)) }
	if !r.Says.Patch && c.profile.Write == WritePatch {
		note("It says that it has no PATCH, which is all that its profile allows.")
	}
	if !r.Says.Filter && c.profile.Filter == FilterWorks {
		note("It says that it does not filter, which its profile relies on.")
	}
	if n := r.Says.MaxResults; n > 0 && n < c.profile.PageSize {
		note("It answers at most %d resources at once; each listing takes as many requests more.", n)
	}
	if c.profile.Irreversible {
		note("What is deleted there never comes back. Deactivate those who leave.")
	}
}

// schemas are those that the application publishes.
func (c *Client) schemas(ctx context.Context) ([]*scim.Schema, error) {
	k := call{op: "read the schemas", method: http.MethodGet, path: "/Schemas"}
	page, err := c.list(ctx, k)
	if err != nil {
		return nil, err
	}
	var out []*scim.Schema
	for _, o := range page.Resources {
		if s, err := scim.ReadSchema(o); err == nil {
			out = append(out, s)
		}
	}
	return out, nil
}

// report looks a place up in what is published.
func (p place) report(f field, schemas []*scim.Schema) FieldReport {
	r := FieldReport{Field: f.Name, Path: p.path.String()}
	urn := p.path.URN
	if urn == "" {
		urn = scim.UserURN
	}
	for _, s := range schemas {
		if !strings.EqualFold(s.ID, urn) {
			continue
		}
		r.Known = true
		r.Problem = p.problem(f, s)
		return r
	}
	if len(schemas) > 0 && p.path.URN != "" {
		r.Known, r.Problem = true, "is in a schema that the application does not publish: "+urn
	}
	return r
}

func (p place) problem(f field, s *scim.Schema) string {
	for i := range s.Attributes {
		a := &s.Attributes[i]
		if !strings.EqualFold(a.Name, p.path.Name) {
			continue
		}
		if p.path.Sub != "" && a.Type == scim.Complex && len(a.SubAttributes) > 0 {
			for j := range a.SubAttributes {
				if sub := &a.SubAttributes[j]; strings.EqualFold(sub.Name, p.path.Sub) {
					return unfit(f, sub)
				}
			}
			return "has no part " + p.path.Sub + " in the schema " + s.ID
		}
		return unfit(f, a)
	}
	return "is not in the schema " + s.ID
}

// unfit tells an attribute that cannot take a field.
func unfit(f field, a *scim.Attribute) string {
	switch {
	case a.Mutability == scim.ReadOnly:
		return "is read-only"
	case f.Type == dirsync.Number && a.Type == scim.String, f.Type == dirsync.Boolean && a.Type == scim.String:
		return "is a string: write it as text"
	case f.Type == dirsync.TextList && !a.MultiValued:
		return "holds one value, not a list"
	}
	return ""
}
