package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"dirsync/scim/server"
	"dirsync/web"
)

// noNotes are notes that nobody keeps.
type noNotes struct{}

func (noNotes) Note(context.Context, string) ([]byte, error)  { return nil, nil }
func (noNotes) SetNote(context.Context, string, []byte) error { return nil }

// doorRig is a doorway, and one valid token.
type doorRig struct {
	*doorway
	t      *testing.T
	tokens *tokenBook
	valid  string
}

func newDoorRig(t *testing.T, trust ProxyTrust) *doorRig {
	tokens, err := openTokens(t.Context(), noNotes{}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	r := &doorRig{t: t, tokens: tokens, doorway: &doorway{log: zerolog.Nop(), metrics: web.NewMetrics("test"), trust: trust, guesses: newGuesses()}}
	if r.valid, err = tokens.create(t.Context(), scimToken{Name: "entra", Scopes: server.Scopes()}); err != nil {
		t.Fatal(err)
	}
	return r
}

// knock sends a request, and returns what the doorway answers; 0 if it lets it in.
func (r *doorRig) knock(from, token string, forwarded ...string) (status int, retry string) {
	r.t.Helper()
	req := httptest.NewRequest("GET", "/scim/v2/Users", nil)
	req.RemoteAddr = from
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for _, f := range forwarded {
		req.Header.Add("X-Forwarded-For", f)
	}
	w := httptest.NewRecorder()
	if r.admit(w, req, r.tokens) {
		return 0, ""
	}
	if body := w.Body.String(); !strings.Contains(body, `"status":"429"`) || token != "" && strings.Contains(body, token) || w.Header().Get("Content-Type") != "application/scim+json" || w.Header().Get("Connection") != "close" {
		r.t.Errorf("got %s %s", w.Header().Get("Content-Type"), body)
	}
	return w.Code, w.Header().Get("Retry-After")
}

// wrong sends so many wrong tokens, all of which are to be answered so.
func (r *doorRig) wrong(n, want int, from string, forwarded ...string) {
	r.t.Helper()
	for i := range n {
		if got, retry := r.knock(from, fmt.Sprintf("dss_guess%d", i), forwarded...); got != want || (retry != "") != (want != 0) {
			r.t.Fatalf("wrong token %d from %s %v: got %d, Retry-After %q; want %d", i, from, forwarded, got, retry, want)
		}
	}
}

// TestWrongTokensOfSCIMClientsWait keeps whoever guesses waiting, and nobody else.
func TestWrongTokensOfSCIMClientsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newDoorRig(t, ProxyTrust{})
		const attacker = "192.0.2.1:4000"
		r.wrong(pushGuesses, 0, attacker) // answered with 401 by the server
		r.wrong(3, 429, "192.0.2.1:5000")
		if got, retry := r.knock(attacker, "dss_guess"); got != 429 || retry != "3" {
			t.Errorf("got %d, Retry-After %s, want 429 and 3", got, retry)
		}
		// The same address with the right token, another address, and whoever has no token to guess with.
		for what, knock := range map[string][2]string{"the right token": {attacker, r.valid}, "another address": {"192.0.2.2:1", "dss_guess"}, "no token": {attacker, ""}} {
			if got, _ := r.knock(knock[0], knock[1]); got != 0 {
				t.Errorf("%s: got %d, want to be let in", what, got)
			}
		}
		r.wrong(1, 429, attacker)               // the right token has forgiven nothing
		r.wrong(1, 429, attacker, "192.0.2.99") // and without a proxy nobody is believed to come from elsewhere
		time.Sleep(pushGuessEvery)
		r.wrong(1, 0, attacker)
		r.wrong(1, 429, attacker)
		time.Sleep(time.Minute)
		r.wrong(pushGuesses, 0, attacker)
		r.wrong(1, 429, attacker)

		// An attacker with IPv6 has a /64 at least.
		for i := range pushGuesses {
			r.wrong(1, 0, fmt.Sprintf("[2001:db8::%x]:1", i))
		}
		r.wrong(1, 429, "[2001:db8::ffff]:1")
		r.wrong(1, 0, "[2001:db8:0:1::1]:1")
		r.wrong(1, 429, "[::ffff:192.0.2.1]:1") // an IPv4 address by another name

		// A token that is revoked is a wrong one at once.
		if err := r.tokens.revoke(t.Context(), "entra"); err != nil {
			t.Fatal(err)
		}
		if got, _ := r.knock(attacker, r.valid); got != 429 {
			t.Errorf("a token that was revoked: got %d, want 429", got)
		}
		if n, _ := r.figures(nil); n.TurnedAway != 11 {
			t.Errorf("got %d turned away, want 11", n.TurnedAway)
		}
	})
}

// TestWrongTokensBehindProxy counts for the client that the proxy names, and not for the proxy, nor for what a client invents.
func TestWrongTokensBehindProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newDoorRig(t, ProxyTrust{From: append(thisMachine(), netip.MustParsePrefix("10.0.0.0/24"))})
		const proxy = "127.0.0.1:9"
		r.wrong(pushGuesses, 0, proxy, "192.0.2.1")
		for _, same := range []string{"192.0.2.1:8080", "6.6.6.6, 192.0.2.1", "192.0.2.1, 10.0.0.7, 127.0.0.1", "nonsense, 192.0.2.1"} {
			r.wrong(1, 429, proxy, same)
		}
		r.wrong(1, 429, proxy, "6.6.6.6", "192.0.2.1") // two headers are one list
		for _, other := range []string{"192.0.2.2", "192.0.2.1, 192.0.2.3", "[2001:db8::1]:80", "[2001:db8:1::]", "2001:db8:2::"} {
			r.wrong(1, 0, proxy, other)
		}
		// A proxy that does not say where somebody comes from, or not so that it can be understood, is one address itself.
		for i := range pushGuesses {
			r.wrong(1, 0, proxy, []string{"", "unknown", "_hidden", "10.0.0.7", "192.0.2.300", "1.2.3.4, for=5"}[i%6])
		}
		r.wrong(1, 429, proxy)
		if got, _ := r.knock(proxy, r.valid); got != 0 {
			t.Errorf("the right token: got %d, want to be let in", got)
		}
	})
}

// TestGuessingAtTheDaemon sends wrong tokens to a daemon: some are answered with 401, the others with 429, and the status and
// the metrics say so.
func TestGuessingAtTheDaemon(t *testing.T) {
	s := serving(t, pushConfigIn(t, t.TempDir(), ""))
	p := pushTo(t, s, 0)
	wrong := *p
	wrong.token = "dss_" + strings.Repeat("a", 60)
	answers := map[int]int{}
	for range pushGuesses + 10 {
		got, _ := wrong.do("GET", "/Users", "")
		answers[got]++
	}
	if answers[401] < pushGuesses || answers[429] == 0 || answers[401]+answers[429] != pushGuesses+10 {
		t.Errorf("got %v", answers)
	}
	p.want(200, "GET", "/Users", "", `"totalResults":0`)
	status, err := s.client().Status(t.Context())
	if err != nil || status.SCIM == nil || status.SCIM.Answered.TurnedAway != answers[429] || status.SCIM.Answered.Refused != answers[401] {
		t.Errorf("got %+v, %v; want %v", status.SCIM, err, answers)
	}
	out, _, _ := run(t, "status", "-c", s.config)
	if want := fmt.Sprintf("1 done, %d refused, 0 failed, %d turned away after too many wrong tokens", answers[401], answers[429]); !strings.Contains(out, want) {
		t.Errorf("got %s, want %s", out, want)
	}
	if code := s.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit %d", code)
	}
	if strings.Contains(s.log(), wrong.token) {
		t.Error("a wrong token is in the log")
	}
}

func FuzzClientAddr(f *testing.F) {
	for _, text := range []string{"", "192.0.2.1", "[::1]:80, 10.0.0.1", "a,,b", "[", "[]:", "fe80::1%eth0"} {
		f.Add(text)
	}
	trust := ProxyTrust{From: thisMachine()}
	f.Fuzz(func(t *testing.T, text string) {
		r := &http.Request{RemoteAddr: "127.0.0.1:1", Header: http.Header{"X-Forwarded-For": {text}}}
		at, err := netip.ParseAddrPort(clientAddr(r, trust))
		if err != nil || trust.trusts(at.Addr()) && at.String() != r.RemoteAddr {
			t.Errorf("%q: got %v, %v", text, at, err)
		}
	})
}
