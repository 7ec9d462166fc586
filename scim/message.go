package scim

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// ListResponse is one page of resources (RFC 7644 section 3.4.2, RFC 9865 section 2).
type ListResponse struct {
	// TotalResults is the number of resources on all pages; -1 if the server does not know, which only cursors allow.
	TotalResults int
	// StartIndex is the number of the first resource on the page, from 1; 0 with cursors.
	StartIndex int
	// ItemsPerPage is the number of resources on this page.
	ItemsPerPage int
	// NextCursor asks for the next page; "" on the last one. A server may send it to a client that has not asked for
	// cursors, which then must follow it.
	NextCursor string
	// PreviousCursor asks for the page before; "" where there is none.
	PreviousCursor string
	Resources      []*Object
}

// MarshalJSON returns the message. Resources is always there, because Entra wants it in an empty answer too.
func (l *ListResponse) MarshalJSON() ([]byte, error) {
	o := NewObject(Member{"schemas", []any{ListURN}})
	number := func(name string, n int) { o.Set(name, json.Number(strconv.Itoa(n))) }
	if l.TotalResults >= 0 {
		number("totalResults", l.TotalResults)
	}
	if l.StartIndex > 0 {
		number("startIndex", l.StartIndex)
	}
	number("itemsPerPage", l.ItemsPerPage)
	if l.PreviousCursor != "" {
		o.Set("previousCursor", l.PreviousCursor)
	}
	if l.NextCursor != "" {
		o.Set("nextCursor", l.NextCursor)
	}
	list := make([]any, len(l.Resources))
	for i, r := range l.Resources {
		list[i] = r
	}
	o.Set("Resources", list)
	return o.MarshalJSON()
}

// ReadListResponse reads a page that a server sent: with "Resources" in any letter case or absent, with numbers as
// strings, with or without schemas. ItemsPerPage is what was counted, not what was claimed. An answer without both
// Resources and totalResults is not a page, and an error.
func ReadListResponse(o *Object) (*ListResponse, error) {
	l := &ListResponse{TotalResults: -1}
	n, counted := o.Int("totalResults")
	if counted && n >= 0 {
		l.TotalResults = n
	}
	l.StartIndex, _ = o.Int("startIndex")
	l.StartIndex = max(l.StartIndex, 0)
	l.NextCursor, _ = o.Text("nextCursor")
	l.PreviousCursor, _ = o.Text("previousCursor")
	value, has := o.Get("Resources")
	list, isList := value.([]any)
	switch {
	case !has && !counted:
		return nil, refuse(InvalidSyntax, "the answer is not a SCIM list: it has neither Resources nor totalResults")
	case has && value != nil && !isList:
		return nil, refuse(InvalidSyntax, "the answer is not a SCIM list: Resources is %s", describe(value))
	}
	for i, v := range list {
		r, ok := v.(*Object)
		if !ok {
			return nil, refuse(InvalidSyntax, "resource %d of the list is %s", i+1, describe(v))
		}
		l.Resources = append(l.Resources, r)
	}
	l.ItemsPerPage = len(l.Resources)
	return l, nil
}

// Search is what to list: the query of a GET, or the body of a POST to /.search (RFC 7644 sections 3.4.2 and 3.4.3). The
// texts are as they were sent; ParseFilter, ParsePath and ParseProjection read them.
type Search struct {
	Attributes, ExcludedAttributes string
	Filter                         string
	SortBy                         string
	Descending                     bool
	// StartIndex is 1 if it was not given or was less.
	StartIndex int
	// Count is the most resources wanted: 0 for the total only, -1 if it was not given.
	Count int
	// UseCursor says that a page by cursor is wanted; Cursor is "" for the first.
	UseCursor bool
	Cursor    string
}

// ReadSearch reads the body of a POST to /.search.
func ReadSearch(o *Object) (*Search, error) {
	return readSearch(func(name string) (any, bool) { return o.Get(name) })
}

// SearchFromQuery reads the query of a GET. Parameters that it does not know are left alone; Entra adds its own. Names
// ignore letter case.
func SearchFromQuery(q url.Values) (*Search, error) {
	return readSearch(func(name string) (any, bool) {
		if v, ok := q[name]; ok && len(v) > 0 {
			return v[0], true
		}
		for _, key := range slices.Sorted(maps.Keys(q)) {
			if sameName(key, name) && len(q[key]) > 0 {
				return q[key][0], true
			}
		}
		return nil, false
	})
}

func readSearch(get func(string) (any, bool)) (*Search, error) {
	s := &Search{StartIndex: 1, Count: -1}
	for _, p := range []struct {
		name string
		to   *string
	}{{"filter", &s.Filter}, {"sortBy", &s.SortBy}, {"cursor", &s.Cursor}} {
		v, _ := get(p.name)
		text, ok := v.(string)
		if v != nil && !ok {
			return nil, refuse(InvalidValue, "%s must be a string; it is %s", p.name, describe(v))
		}
		*p.to = text
	}
	_, s.UseCursor = get("cursor")
	names := func(name string) string {
		v, _ := get(name)
		return strings.Join(NewObject(Member{"v", v}).Texts("v"), ",")
	}
	s.Attributes, s.ExcludedAttributes = names("attributes"), names("excludedAttributes")
	order, _ := get("sortOrder")
	text, _ := order.(string)
	switch asciiLower(text) {
	case "", "ascending":
	case "descending":
		s.Descending = true
	default:
		return nil, refuse(InvalidValue, "sortOrder must be ascending or descending")
	}
	number := func(name string, to *int, least int, scimType string) error {
		v, _ := get(name)
		if v == nil || isEmptyText(v) {
			return nil
		}
		n, ok := asInteger(v)
		if !ok || int64(int(n)) != n {
			return refuse(scimType, "%s must be a whole number", name)
		}
		*to = max(int(n), least)
		return nil
	}
	if err := number("startIndex", &s.StartIndex, 1, InvalidValue); err != nil {
		return nil, err
	}
	if err := number("count", &s.Count, 0, InvalidCount); err != nil {
		return nil, err
	}
	return s, nil
}

// Query returns the parameters for a GET; what is at its default is left out.
func (s *Search) Query() url.Values {
	q := url.Values{}
	for name, text := range map[string]string{"attributes": s.Attributes, "excludedAttributes": s.ExcludedAttributes,
		"filter": s.Filter, "sortBy": s.SortBy} {
		if text != "" {
			q.Set(name, text)
		}
	}
	if s.Descending {
		q.Set("sortOrder", "descending")
	}
	if s.StartIndex > 1 {
		q.Set("startIndex", strconv.Itoa(s.StartIndex))
	}
	if s.Count >= 0 {
		q.Set("count", strconv.Itoa(s.Count))
	}
	if s.UseCursor {
		q.Set("cursor", s.Cursor)
	}
	return q
}

// Document returns the body for a POST to /.search, which keeps personal data out of URLs.
func (s *Search) Document() *Object {
	o := NewObject(Member{"schemas", []any{SearchURN}})
	list := func(name, text string) {
		var names []any
		for n := range strings.SplitSeq(text, ",") {
			if n = strings.TrimSpace(n); n != "" {
				names = append(names, n)
			}
		}
		if names != nil {
			o.Set(name, names)
		}
	}
	list("attributes", s.Attributes)
	list("excludedAttributes", s.ExcludedAttributes)
	if s.Filter != "" {
		o.Set("filter", s.Filter)
	}
	if s.SortBy != "" {
		o.Set("sortBy", s.SortBy)
	}
	if s.Descending {
		o.Set("sortOrder", "descending")
	}
	if s.StartIndex > 1 {
		o.Set("startIndex", json.Number(strconv.Itoa(s.StartIndex)))
	}
	if s.Count >= 0 {
		o.Set("count", json.Number(strconv.Itoa(s.Count)))
	}
	if s.UseCursor {
		o.Set("cursor", s.Cursor)
	}
	return o
}
