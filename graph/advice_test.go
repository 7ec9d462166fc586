package graph_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"dirsync"
	"dirsync/graph"
	"dirsync/graph/graphtest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// certificate makes a self-signed certificate and the PEM file that signs in with it.
func certificate(t testing.TB) (*x509.Certificate, []byte) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "dirsync"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return cert, append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
}

func TestCertificate(t *testing.T) {
	cert, file := certificate(t)
	w := serve(t, &graphtest.Tenant{Certificate: cert, Now: time.Now}, func(c *graph.Config) {
		c.Credential, c.Now = graph.Credential{Certificate: file}, time.Now
	})
	w.Generate(3, 1)
	got := people{}
	got.read(t, w.client.Users(nil), "")
	checkPeople(t, w, got, nil)
}

// situations are all the ways in which sign-in and Graph say no, each with what sets it up.
type situation struct {
	name   string
	faults graphtest.Faults
	tenant *graphtest.Tenant
	change func(*graph.Config)
	// skew is what our clock is ahead of the service's.
	skew time.Duration
}

func situations(t testing.TB) []situation {
	_, file := certificate(t)
	other, _ := certificate(t)
	delta := func(f graphtest.Fault) graphtest.Faults {
		return graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.Delta, Fault: f}}}
	}
	token := func(f graphtest.Fault) graphtest.Faults {
		return graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.Token, Fault: f}}}
	}
	// Said in full here, so that the golden text depends on it alone.
	expired := graphtest.Fault{Status: 401, Header: http.Header{"Www-Authenticate": {`Bearer realm="", error="invalid_token"`}},
		Body: `{"error":{"code":"InvalidAuthenticationToken","message":"Access token has expired or is not yet valid.","innerError":{"date":"2021-05-18T19:03:10"}}}`}
	list := []situation{
		{name: "wrong secret", change: func(c *graph.Config) { c.Credential.Secret = "the~wrong.one" }},
		{name: "wrong secret and a clock that is slow", change: func(c *graph.Config) { c.Credential.Secret = "the~wrong.one" }, skew: -20 * time.Minute},
		{name: "unknown tenant", change: func(c *graph.Config) { c.Tenant = "11111111-2222-3333-4444-555555555555" }},
		{name: "unknown application", change: func(c *graph.Config) { c.ClientID = "11111111-2222-3333-4444-555555555555" }},
		{name: "mistyped application", change: func(c *graph.Config) { c.ClientID = "00000000-0000-0000-0000-000000000000" }},
		{name: "certificate that is not registered", change: func(c *graph.Config) { c.Credential, c.Now = graph.Credential{Certificate: file}, time.Now },
			tenant: &graphtest.Tenant{Certificate: other, Now: time.Now}},
		{name: "another cloud's Graph", change: func(c *graph.Config) { c.BaseURL = "https://graph.example/v1.0" }},
	}
	for _, code := range []int{7000222, 700024, 700027, 7000112, 65001, 650056, 650052, 53003, 530035, 900023, 90038, 900382, 50194, 9001023,
		1002012, 70011, 28002, 70003, 7000218, 90055, 50196, 50034, 7000229, 70021} {
		list = append(list, situation{name: fmt.Sprint("sign-in error ", code), faults: graphtest.Faults{SignIn: code}})
	}
	return append(list,
		situation{name: "clock refused, and it is fast", faults: graphtest.Faults{SignIn: 700024}, skew: 3 * time.Hour},
		situation{name: "sign-in answers in HTML", faults: token(graphtest.HTMLPage(200))},
		situation{name: "sign-in is unavailable", faults: token(graphtest.HTMLPage(503))},
		situation{name: "sign-in is throttled", faults: token(graphtest.Throttled("900"))},
		situation{name: "sign-in answers nothing", faults: token(graphtest.Empty(400))},
		situation{name: "sign-in breaks the connection", faults: token(graphtest.Fault{Reset: true})},
		situation{name: "no permission", faults: graphtest.Faults{Denied: true}},
		situation{name: "no permission but for ids", faults: graphtest.Faults{Limited: true}},
		situation{name: "application not in the tenant", faults: graphtest.Faults{UnknownIdentity: true}},
		situation{name: "licence missing", faults: delta(graphtest.Fault{Status: 403, Body: `{"error":{"code":"Authentication_RequestFromNonPremiumTenantOrB2CTenant","message":"Neither tenant is B2C or tenant doesn't have premium license"}}`})},
		situation{name: "token not accepted", faults: delta(expired)},
		situation{name: "token not accepted, and the clock is slow", faults: delta(expired), skew: -10 * time.Minute},
		situation{name: "throttled", faults: delta(graphtest.Throttled("600"))},
		situation{name: "unavailable", faults: delta(graphtest.HTMLPage(503))},
		situation{name: "an empty error", faults: delta(graphtest.Empty(502))},
		situation{name: "a bare error", faults: delta(graphtest.BareError(400))},
		situation{name: "bad request", faults: delta(graphtest.Fault{Status: 400, Body: `{"error":{"code":"BadRequest","message":"Invalid request for delta query: $select is not supported for: x"}}`})},
		situation{name: "not found", faults: delta(graphtest.Fault{Status: 404, Body: `{"error":{"code":"UnknownError","message":""}}`})},
		situation{name: "teapot", faults: delta(graphtest.HTMLPage(418))},
		situation{name: "redirect", faults: delta(graphtest.Fault{Status: 302, Header: http.Header{"Location": {"https://portal.example/?$skiptoken=abc"}}})},
		situation{name: "web page", faults: delta(graphtest.HTMLPage(200))},
		situation{name: "connection broken", faults: delta(graphtest.Fault{Reset: true})},
		situation{name: "certificate not trusted", change: func(c *graph.Config) { c.RootCAs = x509.NewCertPool() }},
		situation{name: "nobody listens", change: func(c *graph.Config) { c.Authority = "https://127.0.0.1:1" }},
		situation{name: "no such host", change: func(c *graph.Config) {
			c.Transport = failing{&net.DNSError{Err: "no such host", Name: "login.example", IsNotFound: true}}
		}},
	)
}

// failing is a network on which every attempt ends with one error.
type failing struct{ err error }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: f.err}
}

func (s situation) meet(t testing.TB) (*world, error) {
	t.Helper()
	tenant := s.tenant
	if tenant == nil {
		tenant = &graphtest.Tenant{Faults: s.faults}
	}
	w := serve(t, tenant, func(c *graph.Config) {
		if s.change != nil {
			s.change(c)
		}
		now := c.Now
		c.Now = func() time.Time { return now().Add(s.skew) }
	})
	w.Generate(3, 1)
	_, _, err := (people{}).try(w.client.Users(nil), "")
	return w, err
}

// varying are the parts of an error that differ from run to run: ids, and sizes that depend on the server's port.
var varying = regexp.MustCompile(`[0-9a-f-]{36}\]|\d+ bytes|stream ID \d+`)

func TestAdvice(t *testing.T) {
	var b bytes.Buffer
	for _, s := range situations(t) {
		w, err := s.meet(t)
		if err == nil {
			t.Errorf("%s: no error", s.name)
			continue
		}
		e, _ := errors.AsType[*dirsync.Error](err)
		later := ""
		if !e.RetryAt.IsZero() {
			later = ", come back in " + e.RetryAt.Sub(w.clock.Now().Add(s.skew)).Round(time.Second).String()
		}
		text := fmt.Sprintf("# %s\n%s%s\n%v\n> %s\n\n", s.name, e.Kind, later, err, dirsync.HintOf(err))
		text = strings.NewReplacer(w.server.URL, "https://server", strings.TrimPrefix(w.server.URL, "https://"), "server").Replace(text)
		b.WriteString(varying.ReplaceAllString(text, "…"))
	}
	const golden = "testdata/advice.txt"
	if *update {
		if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("the advice has changed; look at it and run with -update:\n%s", b.Bytes())
	}
}

func TestCheck(t *testing.T) {
	report := func(tenant *graphtest.Tenant) string {
		w := serve(t, tenant)
		w.Add(graphtest.User{"displayName": "Ada"})
		r, err := w.client.Check(t.Context())
		text := fmt.Sprintf("%s %q roles=%v missing=%v expires in %v skew %v", r.Tenant.ID, r.Tenant.Name, r.Roles, r.Missing,
			r.TokenExpires.Sub(w.clock.Now()).Round(time.Minute), r.ClockSkew.Round(time.Second))
		if got, want := r.ConsentURL, w.server.URL+"/"+graphtest.DefaultID+"/adminconsent?client_id="+graphtest.DefaultClientID; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		return fmt.Sprint(text, " ", dirsync.KindOf(err))
	}
	id := graphtest.DefaultID
	for name, test := range map[string]struct {
		tenant *graphtest.Tenant
		want   string
	}{
		"all is well":            {&graphtest.Tenant{}, id + ` "Contoso" roles=[Organization.Read.All User.Read.All] missing=[] expires in 1h0m0s skew 0s error`},
		"no organization":        {&graphtest.Tenant{Roles: []string{"User.Read.All"}}, id + ` "" roles=[User.Read.All] missing=[Organization.Read.All] expires in 1h0m0s skew 0s error`},
		"a greater permission":   {&graphtest.Tenant{Roles: []string{"Directory.Read.All"}}, id + ` "Contoso" roles=[Directory.Read.All] missing=[] expires in 1h0m0s skew 0s error`},
		"no users":               {&graphtest.Tenant{Roles: []string{"Organization.Read.All"}}, id + ` "Contoso" roles=[Organization.Read.All] missing=[User.Read.All] expires in 1h0m0s skew 0s permission missing`},
		"no roles":               {&graphtest.Tenant{Roles: []string{}}, id + ` "" roles=[] missing=[User.Read.All Organization.Read.All] expires in 1h0m0s skew 0s permission missing`},
		"an unknown identity":    {&graphtest.Tenant{Faults: graphtest.Faults{UnknownIdentity: true}}, ` "" roles=[Organization.Read.All User.Read.All] missing=[] expires in 1h0m0s skew 0s unauthorized`},
		"a proxy that refuses":   {&graphtest.Tenant{Faults: graphtest.Faults{Rules: []graphtest.Rule{{Fault: graphtest.HTMLPage(403)}}}}, ` "" roles=[Organization.Read.All User.Read.All] missing=[] expires in 1h0m0s skew 0s permission missing`},
		"users without a name":   {&graphtest.Tenant{Faults: graphtest.Faults{Limited: true}}, id + ` "Contoso" roles=[Organization.Read.All User.Read.All] missing=[User.Read.All] expires in 1h0m0s skew 0s permission missing`},
		"the service is away":    {&graphtest.Tenant{Faults: graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.Organization, Fault: graphtest.HTMLPage(503)}}}}, ` "" roles=[Organization.Read.All User.Read.All] missing=[] expires in`},
		"a tenant in disguise":   {&graphtest.Tenant{Faults: graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.Organization, Fault: graphtest.Fault{Status: 200, Body: `{"value":[{"id":"11111111-2222-3333-4444-555555555555","displayName":"Fabrikam"}]}`}}}}}, ` "" roles=[Organization.Read.All User.Read.All] missing=[] expires in 1h0m0s skew 0s permission missing`},
		"no organization at all": {&graphtest.Tenant{Faults: graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.Organization, Fault: graphtest.Fault{Status: 200, Body: `{"value":[]}`}}}}}, ` "" roles=[Organization.Read.All User.Read.All] missing=[] expires in 1h0m0s skew 0s unavailable`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := report(test.tenant); !strings.HasPrefix(got, test.want) {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestTenantInDisguise(t *testing.T) {
	body := `{"value":[{"id":"11111111-2222-3333-4444-555555555555","displayName":"Fabrikam","verifiedDomains":[{"name":"fabrikam.com","isDefault":true}]}]}`
	w := serve(t, &graphtest.Tenant{Faults: graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.Organization, Fault: graphtest.Fault{Status: 200, Body: body}}}}})
	for _, tenant := range []string{graphtest.DefaultID, "contoso.com"} {
		cfg := w.config
		cfg.Tenant = tenant
		_, err := w.connect(t, cfg).Tenant(t.Context())
		want := "verify the tenant: the answer comes from tenant 11111111-2222-3333-4444-555555555555, but " + tenant + " is configured"
		if err == nil || err.Error() != want || dirsync.KindOf(err) != dirsync.Permission {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	w.SetFaults(graphtest.Faults{})
	cfg := w.config
	cfg.Tenant = "Contoso.com"
	got, err := w.connect(t, cfg).Tenant(t.Context())
	if err != nil || got.ID != graphtest.DefaultID {
		t.Errorf("got %v, %v for a tenant by its domain", got, err)
	}
}
