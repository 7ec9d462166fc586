package graph

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"dirsync"
)

// Consent has an administrator grant the application its permissions in a tenant, in their browser, and waits until the
// grant has taken effect (Microsoft document "Admin consent on the Microsoft identity platform").
//
// The browser is sent back to a port of this machine. What it brings along is believed for one thing only: that
// somebody has answered the question that was asked here, which a random state proves. Which tenant it was is proved by
// signing in there and reading the organization.
type Consent struct {
	// Config says as whom to ask, and where. Without a Tenant, whichever tenant the administrator signs in to is taken;
	// the caller must have it confirmed before anything is read from it.
	Config Config
	// Needs says for what the permissions are; the report is that of Client.CheckFor them.
	Needs Needs
	// Port is the port of 127.0.0.1 to which the browser comes back. Zero takes any free one.
	Port int
	// RedirectURI is the address to which the browser is sent back, which must be registered with the application as a
	// redirect URI. Empty means http://localhost with the port; Entra disregards the port of a registered
	// http://localhost. An address of one's own must lead to the Port.
	RedirectURI string
	// Show is called once, with the link that the administrator must open, when somebody listens for the answer. Its
	// error ends Ask.
	Show func(link string) error
	// Patience is how long to wait for the permissions to appear in tokens, which takes seconds to minutes. Zero means ten
	// minutes. How long the administrator may take is up to the context.
	Patience time.Duration
}

const (
	consentOp = "ask for consent"
	// anyTenant stands in for a tenant that is not chosen yet, while everything else is checked.
	anyTenant       = "organizations.invalid"
	defaultPatience = 10 * time.Minute
	// afterglow is how long permissions that can be done without are waited for once the others are there.
	afterglow = 30 * time.Second
)

// Ask asks and waits. The Report is that of Client.CheckFor in the tenant that has consented: Tenant says which it was,
// Roles what was granted, Missing what was not. It is filled as far as Ask came, with an error too. A refusal is an
// error of kind Permission with advice; when ctx ends first, errors.Is finds its reason.
func (c Consent) Ask(ctx context.Context) (Report, error) {
	cfg := c.Config
	if cfg.Tenant == "" {
		cfg.Tenant = anyTenant
	}
	client, err := New(cfg)
	if err != nil {
		return Report{}, err
	}
	defer client.Close()
	if client.cfg.Credential.ownsClient() {
		return Report{}, &dirsync.Error{Op: consentOp, Kind: dirsync.Invalid, Err: errors.New("this kind of credential has no consent page"),
			Hint: client.grant()}
	}
	tenant, err := c.browse(ctx, client)
	if err != nil {
		return Report{}, err
	}
	if configured := strings.ToLower(strings.TrimSpace(c.Config.Tenant)); isGUID(configured) && tenant != configured {
		return Report{}, client.otherTenant(consentOp, tenant)
	}
	if c.Config.Tenant == "" {
		cfg.Tenant = tenant
		if client, err = New(cfg); err != nil {
			return Report{}, err
		}
		defer client.Close()
	}
	c.await(ctx, client)
	report, err := client.CheckFor(ctx, c.Needs)
	if err == nil && report.Tenant.ID != tenant {
		err = client.otherTenant(consentOp, tenant)
	}
	return report, err
}

// browse sends the administrator's browser off and returns the tenant that it says has consented.
func (c Consent) browse(ctx context.Context, client *Client) (string, error) {
	random := make([]byte, 32)
	_, _ = rand.Read(random) // it never fails, or ends the program
	w := &waiting{client: client, state: base64.RawURLEncoding.EncodeToString(random), done: make(chan consented, 1)}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(c.Port)))
	if err != nil {
		return "", &dirsync.Error{Op: consentOp, Kind: dirsync.Invalid, Err: fmt.Errorf("listen for the browser to come back: %w", err),
			Hint: "Another program uses the port. Choose another, or none for any that is free."}
	}
	server := &http.Server{Handler: w, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l) // it always ends with an error, and closing it is what makes it end
	}()
	defer func() {
		// The browser is to get its page; whoever dawdles is cut off.
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close()
		}
		<-ended
	}()
	redirect := c.RedirectURI
	if redirect == "" {
		redirect = "http://localhost:" + strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	}
	if err := c.Show(c.link(client, redirect, w.state)); err != nil {
		return "", &dirsync.Error{Op: consentOp, Err: err}
	}
	select {
	case got := <-w.done:
		return got.tenant, got.err
	case <-ctx.Done():
		e := client.networkError(ctx, consentOp, "", nil)
		e.Hint = "Nobody answered in time. The link can only be used while somebody waits for the answer: ask again."
		return "", e
	}
}

func (c Consent) link(client *Client, redirect, state string) string {
	tenant := c.Config.Tenant
	if tenant == "" {
		tenant = "organizations" // not common, for which only the older form of the page is meant
	}
	query := url.Values{"client_id": {client.cfg.ClientID}, "scope": {client.tokens.scope}, "redirect_uri": {redirect}, "state": {state}}
	return client.cfg.Authority + "/" + url.PathEscape(tenant) + "/v2.0/adminconsent?" + query.Encode()
}

// await waits until the permissions are in the tokens, or patience ends. What does not come, Check will miss.
func (c Consent) await(ctx context.Context, client *Client) {
	patience := c.Patience
	if patience == 0 {
		patience = defaultPatience
	}
	now := client.cfg.Now
	end, pause, last, enough := now().Add(patience), 2*time.Second, "", false
	for ctx.Err() == nil {
		token, err := client.tokens.get(ctx, "", last)
		last = token.text
		roles := token.claims().Roles
		switch {
		case err != nil && !patient(err):
			return
		case err == nil && c.Needs.granted(roles) && holds(roles, "Organization") && len(lacking(c.Needs.Writes, roles)) == 0:
			return
		case err == nil && c.Needs.granted(roles) && !enough:
			enough = true
			if soon := now().Add(afterglow); soon.Before(end) {
				end = soon
			}
		}
		if !now().Add(pause).Before(end) || client.cfg.Sleep(ctx, pause) != nil {
			return
		}
		pause = min(pause*3/2, 15*time.Second)
	}
}

// holds tells whether roles let the application read what is called so, of its own or as part of the directory.
func holds(roles []string, what string) bool {
	return slices.ContainsFunc([]string{what, "Directory"}, func(what string) bool {
		return slices.Contains(roles, what+".Read.All") || slices.Contains(roles, what+".ReadWrite.All")
	})
}

// patient tells errors of a sign-in that pass when consent has spread: the application is not known yet, or its secret,
// or the service is busy.
func patient(err error) bool {
	switch dirsync.KindOf(err) {
	case dirsync.Unavailable, dirsync.Throttled:
		return true
	}
	for _, code := range []string{"AADSTS700016", "AADSTS7000229", "AADSTS7000215", "AADSTS65001", "AADSTS650052", "AADSTS650056"} {
		if strings.Contains(err.Error(), code+":") {
			return true
		}
	}
	return false
}

// waiting is what the browser comes back to.
type waiting struct {
	client *Client
	state  string
	done   chan consented

	mu   sync.Mutex
	used bool
}

// consented is how an administrator has answered.
type consented struct {
	tenant string
	err    error
}

// The pages that a browser may get to see. Nothing of the request is ever on them.
const (
	grantedPage  = "The permissions were granted. You can close this window and go back to where you came from."
	declinedPage = "The permissions were not granted. Close this window and go back to where you came from, where it says what to do."
	strangerPage = "This address does not belong to a question that is being asked at the moment. Ask again, and use the new link."
)

// ServeHTTP takes the administrator's answer. A request without the right state is nobody's answer, and changes nothing.
func (w *waiting) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		page(rw, http.StatusMethodNotAllowed, strangerPage)
	case err != nil || !w.take(query["state"], r.Method):
		page(rw, http.StatusBadRequest, strangerPage)
	case r.Method == http.MethodHead:
		page(rw, http.StatusOK, "")
	default:
		got := w.judge(query)
		if got.err != nil {
			page(rw, http.StatusOK, declinedPage)
		} else {
			page(rw, http.StatusOK, grantedPage)
		}
		w.done <- got
	}
}

// take tells whether state is the one that was given out. It is taken once; a HEAD only looks.
func (w *waiting) take(states []string, method string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(states) != 1 || w.used || subtle.ConstantTimeCompare([]byte(states[0]), []byte(w.state)) != 1 {
		return false
	}
	w.used = method != http.MethodHead
	return true
}

// judge reads the answer. The error comes first: admin_consent=True is there when the administrator has declined, too.
func (w *waiting) judge(query url.Values) consented {
	if code := query.Get("error"); code != "" || query.Get("error_description") != "" {
		return consented{err: w.client.consentError(code, query.Get("error_description"))}
	}
	tenant := query["tenant"]
	if !strings.EqualFold(query.Get("admin_consent"), "True") || len(tenant) != 1 || !isGUID(tenant[0]) {
		return consented{err: &dirsync.Error{Op: consentOp, Kind: dirsync.Unavailable,
			Err:  errors.New("the browser came back without an answer: neither consent with a tenant nor an error"),
			Hint: "Ask again. If it happens every time, look for something between the browser and this machine that changes addresses."}}
	}
	return consented{tenant: strings.ToLower(tenant[0])}
}

func page(rw http.ResponseWriter, status int, text string) {
	h := rw.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Connection", "close")
	rw.WriteHeader(status)
	_, _ = fmt.Fprintf(rw, "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Permissions</title><p>%s</p></html>\n", text)
}
