package graph_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"dirsync"
	"dirsync/graph"
	"dirsync/graph/graphtest"
)

// browser is an administrator at work: it opens the link, and keeps what it got to see.
type browser struct {
	t     *testing.T
	w     *world
	link  *url.URL
	seen  chan string
	visit func(b *browser)
}

// show is what Consent calls with the link. The redirect URI gets registered, as an administrator would have done.
func (b *browser) show(link string) error {
	u, err := url.Parse(link)
	if err != nil {
		return err
	}
	b.link = u
	b.w.Set(func(t *graphtest.Tenant) { t.Redirects = []string{b.back()} })
	go b.visit(b)
	return nil
}

func (b *browser) back() string { return b.link.Query().Get("redirect_uri") }

// open opens an address and remembers the page.
func (b *browser) open(address string) {
	resp, err := b.w.server.Client().Get(address)
	if err != nil {
		b.seen <- err.Error()
		return
	}
	defer func() { _ = resp.Body.Close() }()
	page, _ := io.ReadAll(resp.Body)
	b.seen <- fmt.Sprintf("%d %s %v", resp.StatusCode, page, resp.Header)
}

// answer comes back with an answer of one's own instead of opening the link.
func (b *browser) answer(query url.Values) { b.open(b.back() + "/?" + query.Encode()) }

func newBrowser(t *testing.T, w *world, visit func(*browser)) *browser {
	return &browser{t: t, w: w, seen: make(chan string, 10), visit: visit}
}

func TestConsent(t *testing.T) {
	for name, tenant := range map[string]string{"named": graphtest.DefaultID, "by domain": "contoso.com", "whichever it is": ""} {
		t.Run(name, func(t *testing.T) {
			tokens := 0
			w := serve(t, &graphtest.Tenant{Roles: []string{}})
			// Consent takes three tokens to take effect, and one more for the permission that can be done without.
			w.Set(func(tt *graphtest.Tenant) {
				tt.Hook = func(r *http.Request) graphtest.Fault {
					if !strings.HasSuffix(r.URL.Path, "/token") {
						return graphtest.Fault{}
					}
					roles := [][]string{{}, {}, {"User.Read.All"}, nil}[min(tokens, 3)]
					tokens++
					w.Set(func(tt *graphtest.Tenant) { tt.Roles = roles })
					return graphtest.Fault{}
				}
			})
			w.Generate(3, 1)
			b := newBrowser(t, w, func(b *browser) { b.open(b.link.String()) })
			cfg := w.config
			cfg.Tenant = tenant
			r, err := graph.Consent{Config: cfg, Show: b.show}.Ask(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got := fmt.Sprint(r.Tenant, r.Roles, r.Missing)
			if want := "{" + graphtest.DefaultID + " Contoso contoso.com [contoso.onmicrosoft.com contoso.com]} [Organization.Read.All User.Read.All] []"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if tokens != 4 {
				t.Errorf("%d tokens were asked for, want 4", tokens)
			}
			q := b.link.Query()
			where := map[string]string{graphtest.DefaultID: graphtest.DefaultID, "contoso.com": "contoso.com", "": "organizations"}[tenant]
			if got, want := b.link.Path, "/"+where+"/v2.0/adminconsent"; got != want {
				t.Errorf("got path %s, want %s", got, want)
			}
			if q.Get("client_id") != graphtest.DefaultClientID || q.Get("scope") != w.server.URL+"/.default" || len(q.Get("state")) < 40 || !strings.HasPrefix(b.back(), "http://localhost:") {
				t.Errorf("got %s", b.link)
			}
			seen := <-b.seen
			if !strings.HasPrefix(seen, "200 ") || !strings.Contains(seen, "The permissions were granted.") || strings.Contains(seen, q.Get("state")) || strings.Contains(seen, graphtest.DefaultID) {
				t.Errorf("the browser saw %s", seen)
			}
		})
	}
}

// Permissions that never come are missed, after the wait that was allowed.
func TestConsentWithoutEffect(t *testing.T) {
	for name, test := range map[string]struct {
		roles   []string
		missing string
		wait    time.Duration
		kind    dirsync.ErrorKind
	}{
		"nothing":         {[]string{}, "[User.Read.All Organization.Read.All]", 5 * time.Minute, dirsync.Permission},
		"no organization": {[]string{"User.Read.All"}, "[Organization.Read.All]", 30 * time.Second, dirsync.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			w := serve(t, &graphtest.Tenant{})
			w.Set(func(tt *graphtest.Tenant) {
				tt.Hook = func(*http.Request) graphtest.Fault {
					w.Set(func(tt *graphtest.Tenant) { tt.Roles = test.roles })
					return graphtest.Fault{}
				}
			})
			w.Generate(3, 1)
			b := newBrowser(t, w, func(b *browser) { b.open(b.link.String()) })
			start := w.clock.Now()
			r, err := graph.Consent{Config: w.config, Show: b.show, Patience: 5 * time.Minute}.Ask(t.Context())
			if got := fmt.Sprint(r.Missing); dirsync.KindOf(err) != test.kind || got != test.missing {
				t.Errorf("got %s, %v, want %s (%v)", got, err, test.missing, test.kind)
			}
			if got := w.clock.Now().Sub(start); got > test.wait || got < test.wait-20*time.Second {
				t.Errorf("waited %v, want about %v", got, test.wait)
			}
		})
	}
}

// Only the right state is an answer, and only once; nothing of it is shown.
func TestConsentBelievesNobody(t *testing.T) {
	w := serve(t, &graphtest.Tenant{})
	w.Generate(3, 1)
	good := func(b *browser) url.Values {
		return url.Values{"admin_consent": {"True"}, "tenant": {graphtest.DefaultID}, "state": {b.link.Query().Get("state")}}
	}
	b := newBrowser(t, w, func(b *browser) {
		for _, spoil := range []func(url.Values){
			func(q url.Values) { q.Del("state") },
			func(q url.Values) { q.Set("state", "<script>alert(1)</script>") },
			func(q url.Values) { q.Add("state", q.Get("state")) },
			func(q url.Values) { q.Set("state", q.Get("state")[1:]) },
		} {
			q := good(b)
			spoil(q)
			b.answer(q)
		}
		b.answer(good(b))
		b.answer(good(b))
	})
	if _, err := (graph.Consent{Config: w.config, Show: b.show}).Ask(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if seen := <-b.seen; !strings.HasPrefix(seen, "400 ") || strings.Contains(seen, "alert") || !strings.Contains(seen, "default-src 'none'") {
			t.Errorf("without the right state the browser saw %s", seen)
		}
	}
	if seen := <-b.seen; !strings.HasPrefix(seen, "200 ") {
		t.Errorf("with the right state the browser saw %s", seen)
	}
	if seen := <-b.seen; strings.HasPrefix(seen, "200 ") {
		t.Errorf("a state was good twice: %s", seen)
	}
}

// The tenant in the address is what anybody may have written there.
func TestConsentProvesTheTenant(t *testing.T) {
	other := "11111111-2222-3333-4444-555555555555"
	w := serve(t, &graphtest.Tenant{})
	w.Generate(3, 1)
	for configured, want := range map[string]string{
		"":                  "verify the tenant: sign in: AADSTS90002",
		"contoso.com":       "ask for consent: the answer comes from tenant " + other + ", but contoso.com is configured",
		graphtest.DefaultID: "ask for consent: the answer comes from tenant " + other + ", but " + graphtest.DefaultID + " is configured",
	} {
		b := newBrowser(t, w, func(b *browser) {
			b.answer(url.Values{"admin_consent": {"True"}, "tenant": {other}, "state": {b.link.Query().Get("state")}})
		})
		cfg := w.config
		cfg.Tenant = configured
		_, err := graph.Consent{Config: cfg, Show: b.show}.Ask(t.Context())
		if err == nil || !strings.HasPrefix(strings.Replace(err.Error(), "check the connection", "verify the tenant", 1), want) {
			t.Errorf("%q: got %v, want %s", configured, err, want)
		}
	}
}

func TestConsentEnds(t *testing.T) {
	w := serve(t, &graphtest.Tenant{})
	ctx, cancel := context.WithCancel(t.Context())
	b := newBrowser(t, w, func(*browser) { cancel() })
	_, err := graph.Consent{Config: w.config, Show: b.show}.Ask(ctx)
	if !errors.Is(err, context.Canceled) || !strings.Contains(dirsync.HintOf(err), "Nobody answered in time") {
		t.Errorf("got %v > %s, want context.Canceled", err, dirsync.HintOf(err))
	}
	broken := errors.New("no browser")
	_, err = graph.Consent{Config: w.config, Show: func(string) error { return broken }}.Ask(t.Context())
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, err = graph.Consent{Config: w.config, Port: l.Addr().(*net.TCPAddr).Port}.Ask(t.Context())
	if dirsync.KindOf(err) != dirsync.Invalid || !strings.Contains(dirsync.HintOf(err), "Another program uses the port") {
		t.Errorf("got %v for a port that is taken", err)
	}
	for _, spoil := range []func(*graph.Config){
		func(c *graph.Config) { c.ClientID = "" },
		func(c *graph.Config) { c.Credential = graph.Credential{ManagedIdentity: "system"} },
	} {
		cfg := w.config
		spoil(&cfg)
		if _, err = (graph.Consent{Config: cfg}).Ask(t.Context()); dirsync.KindOf(err) != dirsync.Invalid {
			t.Errorf("got %v, want kind invalid", err)
		}
	}
}

// Every way in which consent is refused has advice of its own.
func TestConsentAdvice(t *testing.T) {
	w := serve(t, &graphtest.Tenant{Faults: graphtest.Faults{ConsentError: "access_denied"}})
	say := func(code int, text string) string {
		return fmt.Sprintf("AADSTS%d: %s\r\nTrace ID: 1\r\nCorrelation ID: 2", code, text)
	}
	var out bytes.Buffer
	for _, test := range []struct{ name, code, description string }{
		{"declined", "", ""}, // as the simulated service says it
		{"declined, older form", "permission_denied", "The admin canceled the request"},
		{"no name", "", "\x1b[31m"},
		{"not an administrator", "access_denied", say(90094, "Admin consent is required for the permissions requested by this application.")},
		{"not an administrator of enough rank", "access_denied", say(90093, "Graph returned forbidden.")},
		{"a personal account", "access_denied", say(500200, "User account 'x' is a personal Microsoft account.")},
		{"another tenant's account", "access_denied", say(50020, "User account from identity provider does not exist in tenant.")},
		{"unknown account", "access_denied", say(50034, "The user account does not exist in the directory.")},
		{"not assigned", "access_denied", say(50105, "Your administrator has configured the application to block users.")},
		{"application not found", "unauthorized_client", say(700016, "Application with identifier was not found in the directory.")},
		{"another application's tenant", "unauthorized_client", "The client does not exist or is not enabled for consumers."},
		{"redirect not registered", "invalid_request", say(50011, "The redirect URI does not match.")},
		{"being added", "access_denied", say(650051, "The service principal name is already present.")},
		{"service not in the tenant", "access_denied", say(650052, "The app needs access to a service that your organization has not subscribed to.")},
		{"nothing to grant", "access_denied", say(650056, "Misconfigured application.")},
		{"conditional access", "access_denied", say(53003, "Access has been blocked by Conditional Access policies.")},
		{"second factor", "interaction_required", say(50076, "You must use multi-factor authentication.")},
		{"interrupted", "interaction_required", "Somebody closed the window."},
		{"another cloud", "invalid_request", say(900382, "Confidential Client is not supported in Cross Cloud request.")},
		{"scope", "invalid_scope", "x"},
		{"resource", "invalid_resource", say(500011, "The resource principal was not found.")},
		{"disabled", "unauthorized_client", say(7000112, "Application is disabled.")},
		{"busy", "temporarily_unavailable", ""},
		{"unheard of", "odd", say(99999999, "What?")},
		{"no answer", "-", ""},
	} {
		b := newBrowser(t, w, func(b *browser) {
			q := url.Values{"admin_consent": {"True"}, "state": {b.link.Query().Get("state")}}
			switch {
			case test.code == "" && test.description == "":
				b.open(b.link.String())
				return
			case test.code != "-":
				q.Set("tenant", graphtest.DefaultID)
				q.Set("error", test.code)
				q.Set("error_description", test.description)
			}
			b.answer(q)
		})
		_, err := graph.Consent{Config: w.config, Show: b.show}.Ask(t.Context())
		fmt.Fprintf(&out, "# %s\n%v\n%v\n> %s\n\n", test.name, dirsync.KindOf(err), err, dirsync.HintOf(err))
		if seen := <-b.seen; !strings.Contains(seen, "The permissions were not granted.") || strings.Contains(seen, "AADSTS") {
			t.Errorf("%s: the browser saw %s", test.name, seen)
		}
	}
	const golden = "testdata/consent.txt"
	got := bytes.ReplaceAll(out.Bytes(), []byte(w.server.URL), []byte("https://server"))
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the advice has changed; look at it and run with -update:\n%s", got)
	}
}
