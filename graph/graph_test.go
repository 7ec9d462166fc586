package graph_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"dirsync"
	"dirsync/graph"
	"dirsync/graph/graphtest"
)

// clock is the time of a test: it goes on when somebody sleeps, or when the test says so.
type clock struct {
	mu    sync.Mutex
	now   time.Time
	slept []time.Duration
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	c.now, c.slept = c.now.Add(d), append(c.slept, d)
	return nil
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *clock) waits() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.slept
}

// world is a simulated tenant that is served, and a client for it. Both have one clock.
type world struct {
	*graphtest.Tenant
	server *graphtest.Server
	client *graph.Client
	clock  *clock
	config graph.Config
}

// serve starts tenant and connects to it as configured; change may spoil the configuration.
func serve(t testing.TB, tenant *graphtest.Tenant, change ...func(*graph.Config)) *world {
	t.Helper()
	w := &world{Tenant: tenant, clock: newClock()}
	if tenant.Now == nil {
		tenant.Now = w.clock.Now
	}
	var err error
	if w.server, err = graphtest.Start(tenant); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.server.Close() })
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(w.server.CA)
	who := tenant.Identity()
	w.config = graph.Config{
		Tenant: who.ID, ClientID: who.ClientID, Credential: graph.Credential{Secret: who.Secret},
		Authority: w.server.URL, BaseURL: w.server.URL + "/v1.0", RootCAs: roots,
		Now: w.clock.Now, Sleep: w.clock.Sleep,
	}
	for _, f := range change {
		f(&w.config)
	}
	w.client = w.connect(t, w.config)
	return w
}

func (w *world) connect(t testing.TB, cfg graph.Config) *graph.Client {
	t.Helper()
	c, err := graph.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// people is the state that a reader keeps by the contract of dirsync.Source.
type people map[dirsync.ID]dirsync.Attributes

func (p people) take(records []dirsync.Record) {
	for _, r := range records {
		switch {
		case r.Gone != dirsync.Present:
			delete(p, r.ID)
		case r.Whole:
			p[r.ID] = r.Attrs
		default:
			p[r.ID] = p[r.ID].Merge(r.Attrs)
		}
	}
}

// read reads one round and returns where the next begins.
func (p people) read(t testing.TB, s dirsync.Source, since dirsync.Cursor) dirsync.Cursor {
	t.Helper()
	next, _, err := p.try(s, since)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func (p people) try(s dirsync.Source, since dirsync.Cursor) (dirsync.Cursor, int, error) {
	pages := 0
	err := s.Read(context.Background(), since, func(page dirsync.Page) error {
		p.take(page.Records)
		since = page.Next
		pages++
		return nil
	})
	return since, pages, err
}

func TestTenant(t *testing.T) {
	w := serve(t, &graphtest.Tenant{})
	got, err := w.client.Tenant(t.Context())
	want := graph.Tenant{ID: graphtest.DefaultID, Name: "Contoso", Domain: "contoso.com", Domains: []string{"contoso.onmicrosoft.com", "contoso.com"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if got, want := w.client.Users(nil).Name(), "Microsoft Entra ID (Contoso)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTenantByDomain(t *testing.T) {
	w := serve(t, &graphtest.Tenant{}, func(c *graph.Config) { c.Tenant = "Contoso.com" })
	if got, want := w.client.Users(nil).Name(), "Microsoft Entra ID (contoso.com)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	got, err := w.client.Tenant(t.Context())
	if err != nil || got.ID != graphtest.DefaultID {
		t.Errorf("got %v, %v, want the tenant with this domain", got, err)
	}
}

func TestRequests(t *testing.T) {
	w := serve(t, &graphtest.Tenant{})
	w.Add(graphtest.User{"displayName": "Ada"})
	a, b := w.client.Users(nil), w.client.Users(nil)
	people{}.read(t, a, "")
	people{}.read(t, b, "")
	people{}.read(t, b, "")
	if got, want := [3]int{w.client.Requests(), a.Requests(), b.Requests()}, [3]int{5, 3, 2}; got != want {
		t.Errorf("got %v, want %v: discovery, token and a page; then pages", got, want)
	}
	if got, want := w.Requests().Total, 5; got != want {
		t.Errorf("the tenant counted %d requests, want %d", got, want)
	}
}

func TestConfig(t *testing.T) {
	good := graph.Config{Tenant: graphtest.DefaultID, ClientID: graphtest.DefaultClientID, Credential: graph.Credential{Secret: "s3cret-value"}}
	if _, err := graph.New(good); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		spoil func(*graph.Config)
		want  string
	}{
		"no tenant":       {func(c *graph.Config) { c.Tenant = "" }, "the tenant id is missing: it is on the overview page of Entra ID, as Tenant ID"},
		"bad tenant":      {func(c *graph.Config) { c.Tenant = "a/b" }, `the tenant id "a/b" is neither a GUID nor a domain`},
		"common":          {func(c *graph.Config) { c.Tenant = "common" }, `the tenant id "common" is neither a GUID nor a domain`},
		"no client":       {func(c *graph.Config) { c.ClientID = " " }, "the client id is missing: it is on the overview page of the app registration, as Application (client) ID"},
		"bad client":      {func(c *graph.Config) { c.ClientID = "me" }, `the client id "me" is no GUID`},
		"no credential":   {func(c *graph.Config) { c.Credential = graph.Credential{} }, "the credential is missing: give a client secret, a certificate, a workload identity or a managed identity"},
		"two credentials": {func(c *graph.Config) { c.Credential.Certificate = []byte("x") }, "the credential has both a secret and a certificate: keep one"},
		"bad certificate": {func(c *graph.Config) { c.Credential = graph.Credential{Certificate: []byte("s3cret-value")} }, "the certificate file cannot be used: it must hold a certificate and its RSA private key, as PEM or PKCS#12"},
		"http authority":  {func(c *graph.Config) { c.Authority = "http://login.example" }, `the authority "http://login.example" must begin with https://, because credentials are sent there`},
		"graph query":     {func(c *graph.Config) { c.BaseURL = "https://graph.example/v1.0?x=1" }, `the Graph address "https://graph.example/v1.0?x=1" must be a plain address: https://host or https://host/path`},
		"graph password":  {func(c *graph.Config) { c.BaseURL = "https://a:b@graph.example" }, `the Graph address "https://a:xxxxx@graph.example" must be a plain address: https://host or https://host/path`},
		"no URL":          {func(c *graph.Config) { c.BaseURL = "https://[" }, "the Graph address is no URL"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			test.spoil(&cfg)
			_, err := graph.New(cfg)
			want := "prepare the connection to Microsoft Graph: " + test.want
			if err == nil || err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
			if got, want := dirsync.KindOf(err), dirsync.Invalid; got != want {
				t.Errorf("got kind %v, want %v", got, want)
			}
		})
	}
}

// The read must not go on when its reader has failed, and the reader's error must come back as it is.
func TestReadStopsWithItsReader(t *testing.T) {
	w := serve(t, &graphtest.Tenant{Faults: graphtest.Faults{PageSize: 1}})
	w.Generate(20, 1)
	stop := errors.New("stop")
	calls := 0
	err := w.client.Users(nil).Read(t.Context(), "", func(dirsync.Page) error {
		calls++
		if calls == 3 {
			return stop
		}
		return nil
	})
	if err != stop || calls != 3 {
		t.Errorf("got %v after %d pages, want the reader's own error after 3", err, calls)
	}
	if got := w.Requests().Delta; got > 6 {
		t.Errorf("%d pages were asked for, want at most three ahead of the third", got)
	}
}

func TestReadIsCancelled(t *testing.T) {
	w := serve(t, &graphtest.Tenant{Faults: graphtest.Faults{PageSize: 1}})
	w.Generate(20, 1)
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	err := w.client.Users(nil).Read(ctx, "", func(dirsync.Page) error {
		calls++
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) || calls != 1 {
		t.Errorf("got %v after %d pages, want context.Canceled after 1", err, calls)
	}
}

// A sign-in that is cut off is no failed sign-in.
func TestSignInIsCancelled(t *testing.T) {
	w := serve(t, &graphtest.Tenant{Faults: graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.Token, Fault: graphtest.Throttled("30")}}}})
	for name, end := range map[string]struct {
		cause, want error
	}{"without a cause": {nil, context.Canceled}, "with a cause": {errors.New("shutting down"), context.Canceled}} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			cfg := w.config
			cfg.Sleep = func(ctx context.Context, d time.Duration) error {
				cancel(end.cause)
				return context.Cause(ctx)
			}
			c := w.connect(t, cfg)
			err := c.Users(nil).Read(ctx, "", func(dirsync.Page) error { return nil })
			if !errors.Is(err, end.want) || end.cause != nil && !errors.Is(err, end.cause) {
				t.Errorf("read: got %v, want %v and %v", err, end.want, end.cause)
			}
			if _, err := c.Tenant(ctx); !errors.Is(err, end.want) {
				t.Errorf("tenant: got %v, want %v", err, end.want)
			}
			if _, err := c.Check(ctx); !errors.Is(err, end.want) {
				t.Errorf("check: got %v, want %v", err, end.want)
			}
		})
	}
}

// A link is opaque: it goes back to the letter, however it is spelled.
func TestLinksAreNotTouched(t *testing.T) {
	const token = "$skiptoken=a%2Db%7Ec%24%2e+d%20e~&x=%3D"
	var asked string
	w := serve(t, &graphtest.Tenant{Hook: func(r *http.Request) graphtest.Fault {
		switch {
		case strings.Contains(r.URL.RawQuery, "skiptoken"):
			asked = r.URL.RawQuery
			return graphtest.Fault{Status: 200, Body: `{"value":[],"@odata.deltaLink":"https://` + r.Host + `/v1.0/users/delta?$deltatoken=x"}`}
		case strings.Contains(r.URL.Path, "delta"):
			return graphtest.Fault{Status: 200, Body: `{"value":[],"@odata.nextLink":"https://` + r.Host + `/v1.0/users/delta?` + token + `"}`}
		}
		return graphtest.Fault{}
	}})
	people{}.read(t, w.client.Users(nil), "")
	if asked != token {
		t.Errorf("got %s, want %s", asked, token)
	}
}

func TestSelectIsCovered(t *testing.T) {
	w := serve(t, &graphtest.Tenant{})
	w.Add(graphtest.User{"displayName": "Ada", "givenName": "Ada", "department": "Engines"})
	before := people{}
	cursor := before.read(t, w.client.Users([]string{"givenName", "department"}), "")
	if _, _, err := (people{}).try(w.client.Users([]string{"department"}), cursor); err != nil {
		t.Errorf("a cursor that has more than is asked for: %v", err)
	}
	if _, _, err := (people{}).try(w.client.Users([]string{"surname"}), cursor); !errors.Is(err, dirsync.ErrCursorExpired) {
		t.Errorf("got %v, want ErrCursorExpired for a property that was not asked for", err)
	}
	asked := w.Requests().Delta
	for _, bad := range []dirsync.Cursor{"x", "{}", `{"v":2}`, "null", "[]"} {
		if _, _, err := (people{}).try(w.client.Users(nil), bad); !errors.Is(err, dirsync.ErrCursorExpired) {
			t.Errorf("cursor %q: got %v, want ErrCursorExpired", bad, err)
		}
	}
	other := w.config
	other.Tenant = "11111111-2222-3333-4444-555555555555"
	_, _, err := (people{}).try(w.connect(t, other).Users(nil), cursor)
	if got, want := dirsync.KindOf(err), dirsync.Invalid; got != want {
		t.Errorf("a cursor of another tenant: got %v, want kind %v", err, want)
	}
	if got, want := w.Requests().Delta, asked; got != want {
		t.Errorf("%d requests were made for cursors that cannot be used", got-want)
	}
}

func TestRefusedProperties(t *testing.T) {
	w := serve(t, &graphtest.Tenant{})
	for property, want := range map[string]string{
		"hireDate":       "read users: hireDate cannot be read: it is kept outside of the directory, so changes to it are not reported; use employeeHireDate",
		"a,b":            `read users: "a,b" is no property of a user: a name has only letters, digits and underscores`,
		"":               `read users: "" is no property of a user: a name has only letters, digits and underscores`,
		"x&$filter=true": `read users: "x&$filter=true" is no property of a user: a name has only letters, digits and underscores`,
	} {
		s := w.client.Users([]string{property})
		if _, _, err := (people{}).try(s, ""); err == nil || err.Error() != want || dirsync.KindOf(err) != dirsync.Invalid {
			t.Errorf("%s: got %v, want %s", property, err, want)
		}
		if err := s.LookUp(t.Context(), []dirsync.ID{"x"}, nil); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", property, err, want)
		}
	}
	if got := w.Requests().Total; got != 0 {
		t.Errorf("%d requests were made", got)
	}
}

// Redirects go nowhere, least of all with a token.
func TestRedirectsAreNotFollowed(t *testing.T) {
	var strayed int
	w := serve(t, &graphtest.Tenant{Hook: func(r *http.Request) graphtest.Fault {
		switch r.URL.Path {
		case "/elsewhere":
			strayed++
		case "/v1.0/users/delta()":
			return graphtest.Fault{Status: http.StatusFound, Header: http.Header{"Location": {"/elsewhere"}}}
		}
		return graphtest.Fault{}
	}})
	_, _, err := (people{}).try(w.client.Users(nil), "")
	if got, want := dirsync.KindOf(err), dirsync.Unavailable; got != want || strayed != 0 {
		t.Errorf("got %v and %d requests elsewhere, want kind %v and none", err, strayed, want)
	}
}
