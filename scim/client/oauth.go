package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"dirsync"
)

// OAuth signs in with client credentials (RFC 6749 section 4.4). It prints without its secret.
type OAuth struct {
	// TokenURL is the token endpoint; it must be https unless it is on this machine.
	TokenURL         string
	ClientID, Secret string
	// Scope is what to ask for, with blanks between; empty asks for the default.
	Scope string
	// InBody sends id and secret in the form instead of as HTTP basic authentication, which section 2.3.1 prefers.
	InBody bool
}

// Format hides the secret whatever the verb.
func (o OAuth) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "OAuth{%s, client %s, secret ***}", o.TokenURL, o.ClientID)
}

// tokens keeps the access token, and has a new one before it expires.
type tokens struct {
	OAuth
	transport http.RoundTripper
	timeout   time.Duration
	sent      func()

	fetching lock
	mu       sync.Mutex
	token    string
	before   string // the token before, which an answer may still repeat
	until    time.Time
}

// forget gives up a token that was refused.
func (t *tokens) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.until = time.Time{}
}

// given are the tokens that an answer may repeat, the newest first.
func (t *tokens) given() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return []string{t.token, t.before}
}

// valid is the token that is there, empty if there is none that lasts.
func (t *tokens) valid() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Now().Before(t.until) {
		return t.token
	}
	return ""
}

// get returns a token. Whoever comes while one is fetched waits for that.
func (t *tokens) get(ctx context.Context) (string, error) {
	if token := t.valid(); token != "" {
		return token, nil
	}
	if err := t.fetching.acquire(ctx); err != nil {
		return "", err
	}
	defer t.fetching.release()
	if token := t.valid(); token != "" {
		return token, nil // somebody else has just fetched it
	}
	var last error
	for n := range 3 {
		if n > 0 {
			if err := sleep(ctx, time.Second<<n); err != nil {
				return "", err
			}
		}
		again, err := t.fetch(ctx)
		if err == nil {
			return t.given()[0], nil
		}
		last = err
		if !again || ctx.Err() != nil {
			break
		}
	}
	return "", last
}

// fetch asks once, and tells whether to ask again.
func (t *tokens) fetch(ctx context.Context) (again bool, err error) {
	fail := func(kind dirsync.ErrorKind, format string, args ...any) error {
		text := fmt.Sprintf(format, args...)
		for _, s := range []string{t.Secret, url.QueryEscape(t.Secret)} {
			text = strings.ReplaceAll(text, s, "***")
		}
		e := &dirsync.Error{Op: "sign in to the target", Kind: kind, Err: errors.New(text)}
		if kind == dirsync.Unauthorized {
			e.Hint = "Check the token URL, the client id, the secret and the scope."
		}
		return e
	}
	form := url.Values{"grant_type": {"client_credentials"}}
	if t.Scope != "" {
		form.Set("scope", t.Scope)
	}
	if t.InBody {
		form.Set("client_id", t.ClientID)
		form.Set("client_secret", t.Secret)
	}
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return false, fail(dirsync.Unauthorized, "%v", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if !t.InBody {
		req.SetBasicAuth(url.QueryEscape(t.ClientID), url.QueryEscape(t.Secret))
	}
	t.sent()
	resp, err := t.transport.RoundTrip(req)
	if err != nil {
		return true, fail(dirsync.Unavailable, "%v", err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return true, fail(dirsync.Unavailable, "the answer broke off: %v", err)
	}
	if resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests {
		return true, fail(dirsync.Unavailable, "the token endpoint answered %d", resp.StatusCode)
	}
	var body struct {
		Token   string      `json:"access_token"`
		Type    string      `json:"token_type"`
		Expires json.Number `json:"expires_in"`
		Error   string      `json:"error"`
		Detail  string      `json:"error_description"`
	}
	switch err := json.Unmarshal(data, &body); {
	case resp.StatusCode != http.StatusOK:
		return false, fail(dirsync.Unauthorized, "the token endpoint answered %d %.100q %.300q", resp.StatusCode, body.Error, body.Detail)
	case err != nil || body.Token == "" || strings.ContainsAny(body.Token, "\r\n"):
		return false, fail(dirsync.Unauthorized, "the token endpoint answered without an access token")
	case body.Type != "" && !strings.EqualFold(body.Type, "bearer"):
		return false, fail(dirsync.Unauthorized, "the token is a %.20q, not a bearer token", body.Type)
	}
	life := time.Hour
	if seconds, err := body.Expires.Float64(); err == nil && seconds > 0 {
		life = time.Duration(min(seconds, 86400) * float64(time.Second))
	}
	// Renewed a minute early, or a quarter of its life if that is shorter, so that it does not expire under way.
	t.mu.Lock()
	defer t.mu.Unlock()
	t.before, t.token, t.until = t.token, body.Token, time.Now().Add(life-min(time.Minute, life/4))
	return false, nil
}
