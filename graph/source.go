package graph

import (
	"context"
	"fmt"
	"hash/maphash"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"

	abs "github.com/microsoft/kiota-abstractions-go"
	khttp "github.com/microsoft/kiota-http-go"
	"github.com/microsoftgraph/msgraph-sdk-go/users"

	"dirsync"
)

// Source reads the users of a tenant. It is safe for concurrent use.
type Source struct {
	client   *Client
	selected []string
	invalid  error
	sent     atomic.Int64
	extended extended
}

var (
	_ dirsync.Source         = (*Source)(nil)
	_ dirsync.RequestCounter = (*Source)(nil)
)

// alwaysSelected are read whatever the mapping uses: to name people to people, and to know who may sign in.
func alwaysSelected() []string {
	return []string{"id", "userPrincipalName", "displayName", "accountEnabled"}
}

// Users makes a Source that reads the given properties of users, and always userPrincipalName, displayName and
// accountEnabled. A property inside another is named by its path, employeeOrgData/division; the whole outer property
// is read then. Read and LookUp fail with kind Invalid if a property cannot be read at all.
func (c *Client) Users(properties []string) *Source {
	s := &Source{client: c, selected: alwaysSelected(), extended: newExtended()}
	for _, p := range properties {
		outer, _, _ := strings.Cut(p, "/")
		if err := checkProperty(outer); err != nil && s.invalid == nil {
			s.invalid = &dirsync.Error{Op: s.op(), Kind: dirsync.Invalid, Field: p, Err: err}
		}
		if !slices.Contains(s.selected, outer) {
			s.selected = append(s.selected, outer)
		}
	}
	slices.Sort(s.selected[len(alwaysSelected()):])
	return s
}

var propertyForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,255}$`)

func checkProperty(name string) error {
	if !propertyForm.MatchString(name) {
		return fmt.Errorf("%q is no property of a user: a name has only letters, digits and underscores", name)
	}
	for _, f := range Catalogue() {
		if f.Name == name && f.Refused != "" {
			return fmt.Errorf("%s cannot be read: %s", name, f.Refused)
		}
	}
	return nil
}

// Name says which tenant is read: by its name once Tenant has told it, and otherwise by the configured tenant.
func (s *Source) Name() string {
	name := s.client.cfg.Tenant
	if t := s.client.tenant.Load(); t != nil && t.Name != "" {
		name = t.Name
	}
	return "Microsoft Entra ID (" + name + ")"
}

// Requests counts the requests that were sent for this Source, for tokens and retries included.
func (s *Source) Requests() int { return int(s.sent.Load()) }

func (*Source) op() string { return "read users" }

// The prefetched pages: one waits in the channel while the next is being fetched.
const prefetch = 1

// maxPages ends rounds that no tenant can need: a hundred million people at two hundred a page.
const maxPages = 500_000

// fetched is a page on its way from the fetcher to fn, or the error that ended fetching.
type fetched struct {
	page dirsync.Page
	err  error
}

// Read walks one round of users/delta; see dirsync.Source. While fn works on one page, up to two more are fetched.
//
// A round that Graph refuses to go on with is reported, never restarted here: ErrCursorExpired when the delta token is
// no longer known, ErrPageExpired when a page link is not.
func (s *Source) Read(ctx context.Context, since dirsync.Cursor, fn func(dirsync.Page) error) error {
	if s.invalid != nil {
		return s.invalid
	}
	start, err := s.parseCursor(since)
	if err != nil {
		return err
	}
	inner, cancel := context.WithCancel(context.WithValue(ctx, counterKey{}, &s.sent))
	pages := make(chan fetched, prefetch)
	go func() {
		defer close(pages)
		s.fetch(inner, start, pages)
	}()
	defer func() {
		cancel()
		for range pages { // until the fetcher has ended
		}
	}()
	for f := range pages {
		if f.err != nil {
			return f.err
		}
		if ctx.Err() != nil {
			break
		}
		if err := fn(f.page); err != nil {
			return err
		}
		if f.page.Complete {
			return nil
		}
	}
	return s.client.sendError(ctx, s.op(), context.Cause(ctx))
}

// fetch sends page after page, or an error, until the round is complete or ctx ends.
func (s *Source) fetch(ctx context.Context, at mark, pages chan<- fetched) {
	var (
		decode = newDecoder()
		seed   = maphash.MakeSeed()
		seen   = map[uint64]bool{}
	)
	for n := 1; ; n++ {
		if at.Link != "" {
			seen[maphash.String(seed, at.Link)] = true
		}
		page, next, err := s.page(ctx, decode, at)
		switch {
		case err != nil:
		case !page.Complete && (seen[maphash.String(seed, next.Link)] || n >= maxPages):
			err = &dirsync.Error{Op: s.op(), Kind: dirsync.Unavailable,
				Err:  fmt.Errorf("after %d pages Microsoft Graph leads back to a page that was read already", n),
				Hint: "This is a fault of the service that passes. The next run goes on from here."}
		}
		select {
		case pages <- fetched{page, err}:
		case <-ctx.Done():
			return
		}
		if err != nil || page.Complete {
			return
		}
		at = next
	}
}

// page reads one page and says where to go on.
func (s *Source) page(ctx context.Context, decode *decoder, at mark) (dirsync.Page, mark, error) {
	info, err := s.deltaRequest(ctx, at)
	a, err := s.client.send(ctx, s.op(), info, err)
	if err != nil {
		return dirsync.Page{}, mark{}, err
	}
	if a.status != http.StatusOK {
		if expired := startOver(a, at); expired != nil {
			return dirsync.Page{}, mark{}, fmt.Errorf("%s: %w", s.op(), expired)
		}
		return dirsync.Page{}, mark{}, s.client.graphError(s.op(), a)
	}
	got, err := decode.page(a.body)
	if err != nil {
		return dirsync.Page{}, mark{}, s.client.decodeError(s.op(), a, err)
	}
	next := mark{Tenant: s.client.cfg.Tenant, Select: at.Select, Link: got.link, Inside: !got.complete}
	if err := s.client.checkLink(next.Link); err != nil {
		return dirsync.Page{}, mark{}, &dirsync.Error{Op: s.op(), Kind: dirsync.Unavailable, Err: err,
			Hint: "Something between here and Microsoft Graph rewrites its answers, or the configured address of Graph is not the one it calls itself by."}
	}
	return dirsync.Page{Records: got.records, Next: next.cursor(), Complete: got.complete}, next, nil
}

// deltaRequest builds the request for a link as it is, or the first request of all. Options go into the first request
// only; Graph keeps them in the links' tokens.
func (s *Source) deltaRequest(ctx context.Context, at mark) (*abs.RequestInformation, error) {
	builder := users.NewUsersRequestBuilderInternal(s.client.pathParameters(), s.client.adapter).Delta()
	if at.Link != "" {
		return builder.WithUrl(at.Link).ToGetRequestInformation(ctx, &users.DeltaRequestBuilderGetRequestConfiguration{
			Options: []abs.RequestOption{&khttp.ParametersNameDecodingOptions{}}, // a link is opaque, to the letter
		})
	}
	params := users.DeltaRequestBuilderGetQueryParameters{Select: at.Select}
	return builder.ToGetRequestInformation(ctx, &users.DeltaRequestBuilderGetRequestConfiguration{QueryParameters: &params})
}

// Asked returns the properties that a round asks for; see dirsync.Asker.
func (s *Source) Asked() []string { return slices.Clone(s.selected) }
