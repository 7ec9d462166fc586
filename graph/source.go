package graph

import (
	"context"
	"fmt"
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
	// membersOnly makes a round from the beginning one from now on; see Client.MembersOnly.
	membersOnly bool
	// noByIDs says that Graph does not tell what is asked for of many people by their ids.
	noByIDs atomic.Bool
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
	next := mark{Tenant: s.client.cfg.Tenant, Select: at.Select, Link: got.link, Inside: !got.complete, FromNow: at.FromNow}
	if err := s.client.checkLink(next.Link); err != nil {
		return dirsync.Page{}, mark{}, &dirsync.Error{Op: s.op(), Kind: dirsync.Unavailable, Err: err, Hint: rewrittenHint}
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

// Asked returns the properties that a round asks for, sorted; see dirsync.Asker.
func (s *Source) Asked() []string { return slices.Sorted(slices.Values(s.selected)) }
