package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	abs "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoft/kiota-abstractions-go/authentication"
	khttp "github.com/microsoft/kiota-http-go"
	graphcore "github.com/microsoftgraph/msgraph-sdk-go-core"
	"github.com/microsoftgraph/msgraph-sdk-go/organization"

	"dirsync"
)

// Client talks to one tenant as one application. It is safe for concurrent use, and makes no request before it is
// asked for something.
type Client struct {
	cfg     Config
	base    *url.URL
	tokens  *tokens
	adapter *graphcore.GraphRequestAdapterBase
	sent    atomic.Int64
	skew    atomic.Int64
	tenant  atomic.Pointer[Tenant]
	// writes is the pace of everything that is written in the tenant.
	writes writeGate
}

// New makes a Client. An error names everything that is wrong with cfg; no request is made.
func New(cfg Config) (*Client, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, &dirsync.Error{Op: "prepare the connection to Microsoft Graph", Kind: dirsync.Invalid, Err: err}
	}
	base, err := url.Parse(cfg.BaseURL)
	if err != nil {
		return nil, &dirsync.Error{Op: "prepare the connection to Microsoft Graph", Kind: dirsync.Invalid, Err: err}
	}
	c := &Client{cfg: cfg, base: base}
	retries := &retrying{next: cfg.Transport, limits: defaultLimits(), now: cfg.Now, sleep: cfg.Sleep, log: cfg.Log, sent: &c.sent, skew: &c.skew, gate: new(gate)}
	if c.tokens, err = newTokens(cfg, base.Scheme+"://"+base.Host+"/.default", c.signInTransport(retries)); err != nil {
		return nil, &dirsync.Error{Op: "prepare the connection to Microsoft Graph", Kind: dirsync.Invalid, Err: err}
	}
	c.tokens.explain = c.signInError
	// Of the SDK's middleware, only what decorates a request is used. Its retries, redirects and compressed request
	// bodies would act behind our back.
	pipeline := khttp.NewCustomTransportWithParentTransport(
		&authorizing{next: retries, tokens: c.tokens, base: base},
		khttp.NewParametersNameDecodingHandler(),
		khttp.NewUserAgentHandler(),
		graphcore.NewGraphTelemetryHandler(&graphcore.GraphClientOptions{}),
	)
	httpClient := &http.Client{
		Transport:     pipeline,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	// Tokens are put on below the SDK, per attempt; its own provider would send a request to an unknown host without
	// a token and without a word.
	c.adapter, err = graphcore.NewGraphRequestAdapterBaseWithParseNodeFactoryAndSerializationWriterFactoryAndHttpClient(
		&authentication.AnonymousAuthenticationProvider{}, graphcore.GraphClientOptions{}, nil, nil, httpClient)
	if err != nil {
		return nil, &dirsync.Error{Op: "prepare the connection to Microsoft Graph", Err: err}
	}
	c.adapter.SetBaseUrl(cfg.BaseURL)
	return c, nil
}

// signInTransport is what tokens are asked for with; the pace of Graph is no business of theirs. An endpoint for managed
// identities is on the machine or is not there at all, so that nobody waits long for one.
func (c *Client) signInTransport(retries *retrying) http.RoundTripper {
	own := *retries
	own.gate, own.repeatable = nil, true
	if c.cfg.Credential.ManagedIdentity != "" {
		own.next, own.limits.connects = c.cfg.local, 1
	}
	return &own
}

// answer is one answer of a service, complete.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func takeAnswer(resp *http.Response) (answer, error) {
	a := answer{status: resp.StatusCode, header: resp.Header}
	if whole, ok := resp.Body.(*wholeBody); ok {
		a.body = whole.data
		return a, nil
	}
	var err error
	a.body, err = io.ReadAll(resp.Body)
	return a, err
}

// send sends a request of the SDK and returns the answer, whatever its status. Errors are *dirsync.Error.
func (c *Client) send(ctx context.Context, op string, info *abs.RequestInformation, err error) (answer, error) {
	if err != nil {
		return answer{}, &dirsync.Error{Op: op, Kind: dirsync.Invalid, Err: errors.New("the request could not be built")}
	}
	var got answer
	handler := abs.NewRequestHandlerOption()
	handler.SetResponseHandler(func(native any, _ abs.ErrorMappings) (any, error) {
		resp, ok := native.(*http.Response)
		if !ok {
			return nil, errors.New("the adapter gave no HTTP response")
		}
		var err error
		got, err = takeAnswer(resp)
		return nil, err
	})
	info.AddRequestOptions([]abs.RequestOption{handler})
	info.Headers.TryAdd("User-Agent", "dirsync")
	start := c.cfg.Now()
	if _, err := c.adapter.SendPrimitive(ctx, info, "[]byte", nil); err != nil {
		return answer{}, c.sendError(ctx, op, err)
	}
	c.cfg.Log.Debug().Str("op", op).Int("status", got.status).Int("bytes", len(got.body)).
		Dur("took", c.cfg.Now().Sub(start)).Str("request_id", requestID(got.header)).Msg("asked Microsoft Graph")
	return got, nil
}

// Requests counts the requests sent so far, for tokens and retries included.
func (c *Client) Requests() int { return int(c.sent.Load()) }

// Tenant is who is at the other end.
type Tenant struct {
	// ID is the directory id, a GUID in lower case.
	ID string
	// Name is the organization's display name and Domain its default domain. Both are empty when the application may
	// not read the organization.
	Name, Domain string
	// Domains are all domains of the tenant that are verified, in which people can have their names.
	Domains []string
}

// Tenant asks who is at the other end. It refuses any tenant but the configured one, with an error of kind Permission.
// An application without Organization.Read.All gets a Tenant that has only its ID, which the sign-in itself proves.
func (c *Client) Tenant(ctx context.Context) (Tenant, error) {
	const op = "verify the tenant"
	token, err := c.tokens.get(ctx, "", "")
	if err != nil {
		return Tenant{}, c.sendError(ctx, op, err)
	}
	issued := strings.ToLower(token.claims().Tenant)
	if issued != "" && isGUID(c.cfg.Tenant) && issued != c.cfg.Tenant {
		return Tenant{}, c.otherTenant(op, issued)
	}
	params := organization.OrganizationRequestBuilderGetQueryParameters{Select: []string{"id", "displayName", "verifiedDomains"}}
	builder := organization.NewOrganizationRequestBuilderInternal(c.pathParameters(), c.adapter)
	info, err := builder.ToGetRequestInformation(ctx, &organization.OrganizationRequestBuilderGetRequestConfiguration{QueryParameters: &params})
	a, err := c.send(ctx, op, info, err)
	if err != nil {
		return Tenant{}, err
	}
	var t Tenant
	switch {
	case notPermitted(a):
		// Reading users needs no permission to read the organization, so its absence is no reason to stop.
		if t.ID = issued; t.ID == "" && isGUID(c.cfg.Tenant) {
			t.ID = c.cfg.Tenant
		}
		if t.ID == "" {
			return Tenant{}, c.graphError(op, a)
		}
	case a.status != http.StatusOK:
		return Tenant{}, c.graphError(op, a)
	default:
		if t, err = c.readTenant(op, a); err != nil {
			return Tenant{}, err
		}
	}
	c.tenant.Store(&t)
	return t, nil
}

// notPermitted tells Graph's own refusal of something that the application has no permission for. A 403 of a proxy, or
// of Graph that does not know the application at all, is something else.
func notPermitted(a answer) bool {
	return a.status == http.StatusForbidden && parseGraphError(a.body).is("Authorization_RequestDenied")
}

func (c *Client) readTenant(op string, a answer) (Tenant, error) {
	var doc struct {
		Value []struct {
			ID, DisplayName string
			VerifiedDomains []struct {
				Name      string
				IsDefault bool
			}
		}
	}
	if err := json.Unmarshal(a.body, &doc); err != nil {
		return Tenant{}, c.broken(op, a, "the organization")
	}
	if len(doc.Value) != 1 || !isGUID(doc.Value[0].ID) {
		return Tenant{}, c.broken(op, a, "exactly one organization with an id")
	}
	org := doc.Value[0]
	t := Tenant{ID: strings.ToLower(org.ID), Name: org.DisplayName}
	known := isGUID(c.cfg.Tenant) && t.ID == c.cfg.Tenant
	for _, d := range org.VerifiedDomains {
		t.Domains = append(t.Domains, d.Name)
		if d.IsDefault {
			t.Domain = d.Name
		}
		known = known || strings.EqualFold(d.Name, c.cfg.Tenant)
	}
	// Without its domains a tenant that is configured by domain cannot be checked beyond the sign-in, which went there.
	if !known && (isGUID(c.cfg.Tenant) || len(org.VerifiedDomains) > 0) {
		return Tenant{}, c.otherTenant(op, t.ID)
	}
	return t, nil
}

func (c *Client) otherTenant(op, id string) error {
	return &dirsync.Error{Op: op, Kind: dirsync.Permission,
		Err:  fmt.Errorf("the answer comes from tenant %s, but %s is configured", clip(id), c.cfg.Tenant),
		Hint: "Check the tenant id in the configuration. Nothing was read, so that one organization's people never reach another's accounts."}
}

// ConsentURL is the page on which an administrator of the tenant grants the application's permissions. It is empty for a
// managed identity, whose permissions are assigned by other means, and for the Azure CLI.
func (c *Client) ConsentURL() string {
	if c.cfg.Credential.ownsClient() {
		return ""
	}
	return c.cfg.Authority + "/" + url.PathEscape(c.cfg.Tenant) + "/adminconsent?client_id=" + url.QueryEscape(c.cfg.ClientID)
}

func (c *Client) clockSkew() time.Duration { return time.Duration(c.skew.Load()) }

// pathParameters are what the SDK's builders expand their templates with. The adapter writes into the map, so each
// request has its own.
func (c *Client) pathParameters() map[string]string {
	return map[string]string{"baseurl": c.cfg.BaseURL}
}

// Close lets go of idle connections. The Client can be used again afterwards.
func (c *Client) Close() {
	(&http.Client{Transport: c.cfg.Transport}).CloseIdleConnections()
}
