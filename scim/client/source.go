package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"dirsync"
	"dirsync/scim"
)

// Source reads an application's users: a dirsync.Source whose ids are the application's own. Its attributes have the names
// that Microsoft Graph uses for the same things, so that mappings read alike.
//
// SCIM tells nobody who was deleted. So only a round from the beginning shows who is gone, by not mentioning them; a round
// in between asks for what changed since (RFC 7644 section 3.4.2.2 has the filter), if the application understands that,
// and a cursor is given up as expired once the last full round is FullEvery ago, or when the application does not.
type Source struct {
	// FullEvery is how long after a full round the next one is due; a day if zero.
	FullEvery time.Duration

	c     *Client
	shape *shape
}

var _ dirsync.Source = (*Source)(nil)

// overlap is how far a round reaches back behind the beginning of the one before: clocks differ, and lists lag.
const overlap = 5 * time.Minute

// Source returns a source of the application's users. extra are attributes beside the usual ones, or kept elsewhere than
// those: Field.Name is the attribute. Errors are *Error of kind Invalid.
func (c *Client) Source(extra ...FieldPath) (*Source, error) {
	s := &shape{}
	var wrong []error
	usual := slices.DeleteFunc(sourceFields(), func(fp FieldPath) bool {
		return slices.ContainsFunc(extra, func(x FieldPath) bool { return x.Field.Name == fp.Field.Name })
	})
	for _, fp := range append(usual, extra...) {
		if fp.Path == "active" {
			p := scim.Path{Name: "active"}
			s.fields = append(s.fields, field{Field: fp.Field, places: []place{{path: p}}})
			continue
		}
		if err := s.add(fp); err != nil {
			wrong = append(wrong, err)
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, &dirsync.Error{Op: "configure the SCIM source", Kind: dirsync.Invalid, Err: err}
	}
	return &Source{c: c, shape: s}, nil
}

func sourceFields() []FieldPath {
	const enterprise = scim.EnterpriseURN + ":"
	text := func(name, path string) FieldPath {
		return FieldPath{Field: dirsync.Field{Name: name, Type: dirsync.Text}, Path: path}
	}
	return []FieldPath{
		text("userPrincipalName", "userName"), text("displayName", "displayName"), text("givenName", "name.givenName"),
		text("surname", "name.familyName"),
		{Field: dirsync.Field{Name: "mail", Type: dirsync.Email}, Path: `emails[type eq "work"].value`},
		{Field: dirsync.Field{Name: "accountEnabled", Type: dirsync.Boolean}, Path: "active"},
		text("jobTitle", "title"), text("userType", "userType"), text("preferredLanguage", "preferredLanguage"),
		text("mobilePhone", `phoneNumbers[type eq "mobile"].value`), text("officePhone", `phoneNumbers[type eq "work"].value`),
		text("employeeId", enterprise+"employeeNumber"), text("department", enterprise+"department"),
		text("companyName", enterprise+"organization"), text("costCenter", enterprise+"costCenter"), text("division", enterprise+"division"),
		{Field: dirsync.Field{Name: "manager", Type: dirsync.Reference}, Path: enterprise + "manager"},
	}
}

// Name implements dirsync.Source.
func (s *Source) Name() string { return s.c.name }

// Requests implements dirsync.RequestCounter, for the whole Client.
func (s *Source) Requests() int { return s.c.Requests() }

// Fields implements dirsync.Source.
func (s *Source) Fields(context.Context) ([]dirsync.Field, error) { return s.shape.public(), nil }

// place in a round, as a cursor carries it.
type position struct {
	// Version is 1.
	Version int `json:"v"`
	// Full is when the last full round began, Since what the round under way asks for; zero for everybody. Began is when it
	// began. All by the application's clock, where it tells.
	Full, Since, Began time.Time
	// Open says that a round is under way; Start and Cursor are where it goes on.
	Open   bool   `json:",omitempty"`
	Start  int    `json:",omitempty"`
	Cursor string `json:",omitempty"`
	// Size is how many people the first page of the round had, Total what the last page claimed there were, and Top who was
	// first on it.
	Size, Total int    `json:",omitempty"`
	Top         string `json:",omitempty"`
	// Back is how often the round went back a few people, because some who were before them had left.
	Back int `json:",omitempty"`
}

// mostBack is how often a round goes back: some targets count what is on the page, which is less on the last one.
const mostBack = 4

// back moves p to where those are now who stood there when the list was longer, if it has become shorter. Numbered pages
// (RFC 7644 section 3.4.2.4) would leave out as many as have left.
func (p *position) back(list *scim.ListResponse) bool {
	left := p.Total - list.TotalResults
	if p.Cursor != "" || p.Start <= 1 || left <= 0 || list.TotalResults <= 0 || p.Back >= mostBack {
		return false
	}
	p.Start, p.Total, p.Top = max(1, p.Start-left), list.TotalResults, ""
	p.Back++
	return true
}

func (p position) encode() dirsync.Cursor {
	b, _ := json.Marshal(p) // strings, numbers and times
	return dirsync.Cursor(b)
}

// parsePosition reads a cursor. What this version did not write is one that has expired.
func parsePosition(c dirsync.Cursor) (position, error) {
	var p position
	if c == "" {
		return p, nil
	}
	if err := json.Unmarshal([]byte(c), &p); err != nil || p.Version != 1 || p.Began.IsZero() || p.Open && p.Start < 1 && p.Cursor == "" {
		return p, fmt.Errorf("the cursor is none of this source: %w", dirsync.ErrCursorExpired)
	}
	return p, nil
}

// Read implements dirsync.Source.
func (s *Source) Read(ctx context.Context, since dirsync.Cursor, fn func(dirsync.Page) error) error {
	p, err := parsePosition(since)
	if err != nil {
		return err
	}
	every := s.FullEvery
	if every <= 0 {
		every = 24 * time.Hour
	}
	switch {
	case since == "":
		p = position{Version: 1, Open: true, Start: 1}
	case !p.Open && (p.Full.IsZero() || time.Since(p.Full) >= every):
		return fmt.Errorf("deletions show only when everybody is read again: %w", dirsync.ErrCursorExpired)
	case !p.Open:
		p = position{Version: 1, Full: p.Full, Since: p.Began.Add(-overlap), Open: true, Start: 1} // a round of its own
	}
	for {
		page, next, err := s.page(ctx, p)
		if err != nil {
			return err
		}
		if err := fn(page); err != nil {
			return err
		}
		if page.Complete {
			return nil
		}
		p = next
	}
}

// page reads one page and tells where the next one is.
func (s *Source) page(ctx context.Context, p position) (dirsync.Page, position, error) {
	c := s.c
	k := call{op: "read users", method: http.MethodGet, path: "/Users", query: url.Values{"count": {strconv.Itoa(c.profile.PageSize)}}}
	if p.Cursor != "" || c.profile.Cursor {
		k.query.Set("cursor", p.Cursor)
	} else {
		k.query.Set("startIndex", strconv.Itoa(p.Start))
	}
	if !p.Since.IsZero() {
		filter := scim.Compare{Path: scim.Path{Name: "meta", Sub: "lastModified"}, Op: scim.Gt, Value: p.Since.UTC().Format(time.RFC3339)}
		k.query.Set("filter", filter.String())
	}
	list, date, err := s.fetch(ctx, k, p)
	if err != nil {
		return dirsync.Page{}, p, err
	}
	if p.Began.IsZero() {
		if p.Began = date; p.Began.IsZero() {
			p.Began = time.Now().UTC().Truncate(time.Second)
		}
		if p.Since.IsZero() {
			p.Full = p.Began
		}
	}
	page := dirsync.Page{}
	for i, o := range list.Resources {
		if identifier(o) == "" {
			return dirsync.Page{}, p, c.fault(k, dirsync.Unavailable, fmt.Errorf("resource %d of the page has no id", i+1))
		}
		if modified := stamp(o.Object("meta"), "lastModified"); !p.Since.IsZero() && !modified.After(p.Since) {
			// The filter was not understood: what it leaves out then cannot be known either.
			return dirsync.Page{}, p, fmt.Errorf("%s does not filter by the time of the last change: %w", c.name, dirsync.ErrCursorExpired)
		}
		page.Records = append(page.Records, s.record(o))
	}
	n, byCursor := len(list.Resources), k.query.Has("cursor")
	if p.back(list) {
		page.Next = p.encode()
		return page, p, nil
	}
	if p.Start == 1 && p.Cursor == "" {
		p.Size = n
	}
	again := !byCursor && n > 0 && identifier(list.Resources[0]) == p.Top
	if again && list.TotalResults > n {
		return dirsync.Page{}, p, c.fault(k, dirsync.Unavailable, fmt.Errorf("the application claims %d people, but each page has the same %d; set cursor in its profile, or a larger page size", list.TotalResults, n))
	}
	p.Start, p.Cursor, p.Total, p.Top = p.Start+n, list.NextCursor, max(list.TotalResults, 0), ""
	if n > 0 {
		p.Top = identifier(list.Resources[0])
	}
	if list.NextCursor == "" && (n == 0 || byCursor || again || ended(n, p.Size, p.Start-1, list.TotalResults) && !c.profile.Miscounts) {
		page.Complete = true
		p = position{Version: p.Version, Full: p.Full, Began: p.Began}
	}
	page.Next = p.encode()
	return page, p, nil
}

// fetch reads one page. What refuses a page behind the end has shown everybody.
func (s *Source) fetch(ctx context.Context, k call, p position) (*scim.ListResponse, time.Time, error) {
	answer, err := s.c.page(ctx, k)
	if err != nil && p.Cursor == "" && p.Start > 1 && p.Start-1 == p.Total && refusesBeyond(err) {
		return &scim.ListResponse{TotalResults: p.Total}, time.Time{}, nil
	}
	if err != nil {
		return nil, time.Time{}, s.lost(err, p)
	}
	list, err := scim.ReadListResponse(answer.object)
	if err != nil {
		return nil, time.Time{}, s.c.fault(k, dirsync.Unavailable, err)
	}
	return list, answer.date, nil
}

// lost says what an error means to whoever reads a round.
func (s *Source) lost(err error, p position) error {
	var r *refusal
	if !errors.As(err, &r) || r.answer == nil {
		return err
	}
	kind := strings.ToLower(r.answer.SCIMType)
	switch status := r.answer.Status; {
	case p.Cursor != "" && (kind == strings.ToLower(scim.ExpiredCursor) || kind == strings.ToLower(scim.InvalidCursor) || status == http.StatusGone):
		return fmt.Errorf("%w: %w", dirsync.ErrPageExpired, err)
	case !p.Since.IsZero() && (status == http.StatusBadRequest || status == http.StatusForbidden || status == http.StatusNotImplemented):
		return fmt.Errorf("%w: %w", dirsync.ErrCursorExpired, err)
	}
	return err
}

// record is a user with every attribute: what the application leaves out is known to be unset.
func (s *Source) record(o *scim.Object) dirsync.Record {
	r := dirsync.Record{ID: dirsync.ID(identifier(o)), Whole: true}
	attrs := make([]dirsync.Attribute, 0, len(s.shape.fields))
	for _, f := range s.shape.fields {
		var v dirsync.Value
		if x, ok := f.places[0].lookup(o); ok {
			v = f.places[0].decode(f.Field, x)
		}
		raw, err := v.MarshalJSON()
		if err != nil {
			raw = []byte("null")
		}
		attrs = append(attrs, dirsync.Attribute{Name: f.Name, Raw: raw})
	}
	r.Attrs = dirsync.NewAttributes(attrs)
	return r
}

// LookUp implements dirsync.Source, with one request for each id. Who is deleted is deleted for good, as far as SCIM tells.
func (s *Source) LookUp(ctx context.Context, ids []dirsync.ID, fn func(dirsync.Record) error) error {
	for _, id := range ids {
		record := dirsync.Record{ID: id, Gone: dirsync.GoneHard}
		if id != "" && id != "." && id != ".." {
			o, err := s.c.users.dir.get(ctx, string(id))
			switch {
			case err == nil:
				record = s.record(o)
			case dirsync.KindOf(err) != dirsync.NotFound:
				return err
			}
		}
		if err := fn(record); err != nil {
			return err
		}
	}
	return nil
}
