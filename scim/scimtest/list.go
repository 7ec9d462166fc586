package scimtest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"dirsync/scim"
)

// list answers a page.
func (c *call) list(t *table) answer {
	q := c.Quirks
	s, err := scim.SearchFromQuery(c.request.Query)
	if err != nil {
		return c.fail(scim.AsError(err))
	}
	if s.Count == 0 && q.RefuseZero {
		return c.fail(&scim.Error{Status: 400, SCIMType: scim.InvalidValue, Detail: "count must not be 0."})
	}
	all, refusal := c.matching(t, s.Filter)
	if refusal != nil {
		return c.fail(refusal)
	}
	size := q.PageSize
	if size <= 0 {
		size = 100
	}
	count := s.Count
	if count < 0 {
		count = size
		if q.DefaultPage > 0 {
			count = q.DefaultPage
		}
	}
	count = min(count, size)
	start := s.StartIndex
	if q.IgnoreStart {
		start = 1
	}
	byCursor := q.ForceCursor || s.UseCursor
	if byCursor {
		start = 1
		if s.Cursor != "" {
			n, err := strconv.Atoi(strings.TrimPrefix(s.Cursor, "c"))
			if err != nil || n < 1 {
				return c.fail(&scim.Error{Status: 400, SCIMType: scim.InvalidCursor, Detail: "No such cursor."})
			}
			start = n
		}
	}
	page := scim.ListResponse{TotalResults: len(all)}
	from := min(start-1, len(all))
	to := min(from+count, len(all))
	for _, e := range all[from:to] {
		page.Resources = append(page.Resources, c.shown(t, e))
	}
	page.ItemsPerPage = len(page.Resources)
	if byCursor {
		if to < len(all) && count > 0 {
			page.NextCursor = "c" + strconv.Itoa(to+1)
		}
	} else {
		page.StartIndex = start
	}
	if q.WrongTotal {
		page.TotalResults = len(page.Resources)
	}
	if page.TotalResults += q.Uncounted; q.MostTotal > 0 {
		page.TotalResults = min(page.TotalResults, q.MostTotal)
	}
	body, err := json.Marshal(&page)
	if err != nil {
		return c.fail(&scim.Error{Status: 500})
	}
	if q.LowerResources {
		body = []byte(strings.Replace(string(body), `"Resources":`, `"resources":`, 1))
	}
	return answer{http.StatusOK, http.Header{"Content-Type": {scim.MediaType}}, body}
}

// matching are the resources that a filter selects and that lists show already.
func (c *call) matching(t *table, filter string) ([]*entry, *scim.Error) {
	q := c.Quirks
	visible := func(e *entry) bool { return q.Lag == 0 || c.Now().Sub(e.created) >= q.Lag }
	external := strings.HasPrefix(strings.ToLower(filter), "externalid")
	switch {
	case filter != "" && (q.FilterRefused || external && q.NoExternalFilter):
		return nil, &scim.Error{Status: 400, SCIMType: scim.InvalidFilter, Detail: "Filters are not supported."}
	case external && q.EmptyExternalFilter:
		return nil, nil
	case q.FilterIgnored:
		filter = ""
	}
	candidates := t.entries
	match := func(*entry) bool { return true }
	if filter != "" {
		f, err := scim.ParseFilter(filter, t.kind.URNs()...)
		if err != nil {
			return nil, scim.AsError(err)
		}
		p, err := t.kind.Compile(f)
		if err != nil {
			return nil, scim.AsError(err)
		}
		if e, ok := t.byIndex(f); ok {
			candidates = nil
			if e != nil {
				candidates = []*entry{e}
			}
		}
		match = func(e *entry) bool { return p.Match(c.shown(t, e)) }
	}
	var out []*entry
	for _, e := range candidates {
		if visible(e) && match(e) {
			out = append(out, e)
		}
	}
	return out, nil
}

// byIndex answers a comparison with the unique attribute; false if the filter is another.
func (t *table) byIndex(f scim.Filter) (*entry, bool) {
	cmp, ok := f.(scim.Compare)
	if !ok || cmp.Op != scim.Eq || !strings.EqualFold(cmp.Path.Name, t.key) {
		return nil, false
	}
	text, _ := cmp.Value.(string)
	if !t.exact {
		text = scim.FoldCase(text)
	}
	return t.byKey[text], true
}

// discovery answers the endpoints that say what the application can do.
func (c *call) discovery(parts []string) answer {
	q := c.Quirks
	if q.NoDiscovery || len(parts) > 2 {
		return c.fail(&scim.Error{Status: http.StatusNotFound})
	}
	if c.request.Method != http.MethodGet {
		return c.fail(&scim.Error{Status: http.StatusMethodNotAllowed})
	}
	var v any
	switch parts[0] {
	case "ServiceProviderConfig":
		size := q.PageSize
		v = &scim.ServiceProviderConfig{Patch: !q.PatchUnsupported && !q.FalseConfig, Filter: !q.FilterRefused && !q.FalseConfig, ETag: true,
			MaxResults: size, Pagination: scim.Pagination{Index: !q.ForceCursor, Cursor: true},
			Authentications: []scim.Authentication{{Type: "oauthbearertoken", Name: "Bearer token", Description: "A token."}}}
	case "Schemas":
		v = resources(append(c.users.kind.Schemas(), c.groups.kind.Schemas()...))
	case "ResourceTypes":
		v = resources([]*scim.ResourceType{c.users.kind, c.groups.kind})
	default:
		return c.fail(&scim.Error{Status: http.StatusNotFound})
	}
	body, err := json.Marshal(v)
	if err != nil {
		return c.fail(&scim.Error{Status: 500})
	}
	return answer{http.StatusOK, http.Header{"Content-Type": {scim.MediaType}}, body}
}

// resources is a list of anything.
func resources[T any](list []T) any {
	return map[string]any{"schemas": []string{scim.ListURN}, "totalResults": len(list), "Resources": list}
}
