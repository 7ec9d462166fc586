package graph

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"dirsync"
)

// tokens keeps one access token and replaces it when it is about to end or was refused.
type tokens struct {
	cfg   Config
	scope string
	send  http.RoundTripper // retries by itself
	pair  keyPair           // of a certificate credential
	// explain classifies a sign-in that went wrong.
	explain func(last lastAnswer, err error) *dirsync.Error

	// busy is a lock that a waiting caller can give up on. It guards what follows.
	busy    chan struct{}
	current accessToken

	// roles are those of the last token.
	roles atomic.Pointer[[]string]
}

// accessToken is a token with the span of our clock in which it is used.
type accessToken struct {
	text         string
	renew, until time.Time
}

// lastAnswer is what the sign-in service said last. The libraries hide it behind texts of their own.
type lastAnswer struct {
	answer
	err error
}

type lastAnswerKey struct{}

func newTokens(cfg Config, scope string, send http.RoundTripper) (*tokens, error) {
	t := &tokens{cfg: cfg, scope: scope, send: send, busy: make(chan struct{}, 1)}
	if file := cfg.Credential.Certificate; len(file) > 0 {
		var err error
		if t.pair, err = parseCertificate(file, cfg.Credential.Password); err != nil {
			return nil, fmt.Errorf("the certificate file cannot be used: %w", err)
		}
	}
	// Making a credential checks what it is made of, and asks nobody.
	if _, err := t.credential(); err != nil {
		return nil, fmt.Errorf("the credential cannot be used: %s", redact(err.Error(), cfg.Credential))
	}
	return t, nil
}

// get returns a token that is good for some minutes. With claims, or when the kept token is the refused one, it asks
// for a new one. Callers who come together cause one request.
func (t *tokens) get(ctx context.Context, claims, refused string) (accessToken, error) {
	select {
	case t.busy <- struct{}{}:
		defer func() { <-t.busy }()
	case <-ctx.Done():
		return accessToken{}, context.Cause(ctx)
	}
	if c := t.current; c.text != "" && c.text != refused && t.cfg.Now().Before(c.renew) {
		return c, nil
	}
	fresh, err := t.fetch(ctx, claims)
	if err != nil {
		return accessToken{}, err
	}
	t.current = fresh
	return fresh, nil
}

func (t *tokens) fetch(ctx context.Context, claims string) (accessToken, error) {
	if err := t.cfg.Credential.checkFederated(); err != nil {
		return accessToken{}, t.explain(lastAnswer{}, err)
	}
	if t.cfg.Credential.ManagedIdentity != "" && claims == "" {
		// Managed identities share one cache in the library, which serves a refused token again. Only claims pass it by.
		claims = "{}"
	}
	// A credential caches its token and cannot be told that Graph refused it, so each token has a credential of its own.
	cred, err := t.credential()
	if err != nil {
		return accessToken{}, t.explain(lastAnswer{}, err)
	}
	last := new(lastAnswer)
	// The library puts thirty seconds on requests without a deadline. Our own limits are to hold instead.
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, lastAnswerKey{}, last), t.patience())
	defer cancel()
	got, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{t.scope}, Claims: claims, EnableCAE: true})
	if err != nil {
		return accessToken{}, t.explain(*last, err)
	}
	// The library counts from the machine's clock, so only the token's length of life is taken over.
	now, life := t.cfg.Now(), time.Until(got.ExpiresOn)
	token := accessToken{text: got.Token, renew: now.Add(life - min(5*time.Minute, life/4)), until: now.Add(life)}
	roles := token.claims().granted()
	t.roles.Store(&roles)
	return token, nil
}

// patience is how long a sign-in may take. The Azure CLI is a program that answers within seconds or hangs.
func (t *tokens) patience() time.Duration {
	if t.cfg.Credential.AzureCLI {
		return time.Minute
	}
	return 15 * time.Minute
}

// granted adds to an advice about permissions which of them the last token has.
func (t *tokens) granted() string {
	switch roles := t.roles.Load(); {
	case roles == nil:
		return ""
	case len(*roles) == 0:
		return " So far the application has been granted nothing."
	default:
		return " So far it has been granted " + clip(strings.Join(*roles, ", ")) + "."
	}
}

// Do sends one request of the sign-in library. The library obeys what the discovery document says about where the
// token endpoint is; the credential goes to the authority's own host all the same, and nowhere else.
func (t *tokens) Do(req *http.Request) (*http.Response, error) {
	last, _ := req.Context().Value(lastAnswerKey{}).(*lastAnswer)
	if last == nil {
		last = new(lastAnswer)
	}
	if t.cfg.Credential.ManagedIdentity != "" {
		// The platform says where its endpoint is, by environment variables. No credential of ours goes there.
	} else if want, err := url.Parse(t.cfg.Authority); err != nil || !sameOrigin(want, req.URL) {
		last.err = fmt.Errorf("the sign-in service sends to %s, which is not %s", req.URL.Host, t.cfg.Authority)
		return nil, last.err
	}
	resp, err := t.send.RoundTrip(req)
	*last = lastAnswer{err: err}
	if err == nil {
		last.answer, err = takeAnswer(resp)
		resp.Body = io.NopCloser(bytes.NewReader(last.body))
	}
	return resp, err
}

func sameOrigin(a, b *url.URL) bool {
	return strings.EqualFold(a.Scheme, b.Scheme) && strings.EqualFold(hostPort(a), hostPort(b))
}

func hostPort(u *url.URL) string {
	if u.Port() == "" && u.Scheme == "https" {
		return u.Hostname() + ":443"
	}
	return u.Hostname() + ":" + u.Port()
}

// authorizing puts the token on requests for Graph, and on those alone. It stands outside of the retries, so that a
// refused token is replaced once, whatever happened before.
type authorizing struct {
	next   http.RoundTripper
	tokens *tokens
	base   *url.URL
}

// RoundTrip sends req with a token, and once more with a new token when Graph refuses the first.
func (a *authorizing) RoundTrip(req *http.Request) (*http.Response, error) {
	if !sameOrigin(a.base, req.URL) {
		return nil, fmt.Errorf("a request for %s was not sent, because the token is for %s", req.URL.Host, a.base.Host)
	}
	ctx := req.Context()
	// The body is needed for each of the two times.
	body, err := takeBody(req)
	if err != nil {
		return nil, err
	}
	token, err := a.tokens.get(ctx, "", "")
	if err != nil {
		return nil, err
	}
	resp, err := a.next.RoundTrip(withToken(req, body, token))
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	token, err = a.tokens.get(ctx, claimsChallenge(resp.Header), token.text)
	if err != nil {
		return nil, err
	}
	resp, err = a.next.RoundTrip(withToken(req, body, token))
	if err == nil {
		// The adapter would answer a challenge with a third attempt, and its parser panics on claims without quotes.
		resp.Header.Del("WWW-Authenticate")
	}
	return resp, err
}

func withToken(req *http.Request, body []byte, token accessToken) *http.Request {
	req = req.Clone(req.Context())
	if body != nil {
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
	req.Header.Set("Authorization", "Bearer "+token.text)
	return req
}

var claimsForm = regexp.MustCompile(`(?i)\bclaims\s*=\s*"([^"]*)"`)

// claimsChallenge returns what continuous access evaluation wants to see in the next token, as JSON, or "". A challenge
// that is not understood is treated as none: a new token may do, and if not, the second 401 is reported.
func claimsChallenge(h http.Header) string {
	for _, v := range h.Values("WWW-Authenticate") {
		m := claimsForm.FindStringSubmatch(v)
		if m == nil {
			continue
		}
		for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
			if claims, err := enc.DecodeString(m[1]); err == nil && json.Valid(claims) {
				return string(claims)
			}
		}
	}
	return ""
}

// tokenClaims are what a token says about itself. Tokens are opaque by contract, so this serves diagnostics only, and
// a token that cannot be read has none.
type tokenClaims struct {
	Tenant string   `json:"tid"`
	Roles  []string `json:"roles"`
	// Scopes are what a person has let the Azure CLI do, separated by spaces.
	Scopes string `json:"scp"`
}

// granted are the permissions in a token, whoever granted them.
func (c tokenClaims) granted() []string {
	if c.Roles == nil && c.Scopes != "" {
		return strings.Fields(c.Scopes)
	}
	return c.Roles
}

func (t accessToken) claims() tokenClaims {
	var c tokenClaims
	parts := strings.Split(t.text, ".")
	if len(parts) != 3 {
		return c
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil || json.Unmarshal(payload, &c) != nil {
		return tokenClaims{}
	}
	return c
}
