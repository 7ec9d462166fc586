package main

import (
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"dirsync/scim"
	"dirsync/web"
)

// Wrong tokens are forgiven one by one: an address may send pushGuesses at once, and then as many a minute. Some of what an
// honest client with an old token sends is still answered with 401, so that its owner learns what is wrong.
const (
	pushGuesses    = 20
	pushGuessEvery = time.Minute / pushGuesses
)

// newGuesses remembers from where wrong tokens come.
func newGuesses() *web.Guesses { return &web.Guesses{Most: pushGuesses, Every: pushGuessEvery} }

// admit answers whoever sends wrong tokens from an address from which too many came, and lets everybody else in. A valid token
// is let in whatever else comes from its address: there may be many clients behind one, and nobody can lock them out.
func (d *doorway) admit(w http.ResponseWriter, r *http.Request, tokens *tokenBook) bool {
	token, sent := bearer(r)
	if !sent {
		return true // There is nothing to guess, and the server says what is missing.
	}
	if _, err := tokens.authenticate(r.Context(), token); err == nil {
		return true
	}
	from, now := clientAddr(r, d.trust), tokens.now()
	if wait := d.guesses.Wait(from, now); wait > 0 {
		d.refused(now, true)
		w.Header().Set("Connection", "close") // It would hold a place that a client could have.
		answerPush(w, http.StatusTooManyRequests, "too many wrong tokens came from this address; correct the token", wait)
		return false
	}
	d.guesses.Wrong(from, now)
	return true
}

// bearer is the token of a request, as the server reads it.
func bearer(r *http.Request) (string, bool) {
	header := r.Header.Values("Authorization")
	if len(header) != 1 {
		return "", false
	}
	scheme, token, _ := strings.Cut(strings.TrimSpace(header[0]), " ")
	token = strings.TrimSpace(token)
	return token, strings.EqualFold(scheme, "Bearer") && token != ""
}

// clientAddr is the address of a client, with a port. Behind a proxy it is the last one of X-Forwarded-For that is no proxy
// itself: whatever stands before it may be the client's invention.
func clientAddr(r *http.Request, trust ProxyTrust) string {
	if !trust.IsSet() {
		return r.RemoteAddr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		addr, ok := hopAddr(strings.TrimSpace(hop))
		if !ok {
			break // The proxy does not say, or not so that it can be understood: all its clients count as one.
		}
		if !trust.trusts(addr) {
			return netip.AddrPortFrom(addr, 0).String()
		}
	}
	return r.RemoteAddr
}

// hopAddr reads an address as proxies write it: with a port or without one, and IPv6 in brackets or bare.
func hopAddr(text string) (netip.Addr, bool) {
	if at, err := netip.ParseAddrPort(text); err == nil {
		return at.Addr(), true
	}
	if inside, ok := strings.CutPrefix(text, "["); ok {
		text, _ = strings.CutSuffix(inside, "]")
	}
	addr, err := netip.ParseAddr(text)
	return addr, err == nil
}

// answerPush answers a SCIM client in the server's place.
func answerPush(w http.ResponseWriter, status int, detail string, retry time.Duration) {
	body, _ := (&scim.Error{Status: status, Detail: detail}).MarshalJSON() // it has two texts
	h := w.Header()
	h.Set("Content-Type", scim.MediaType)
	h.Set("Retry-After", strconv.Itoa(max(1, int((retry+time.Second-1)/time.Second))))
	w.WriteHeader(status)
	_, _ = w.Write(body) // whoever went away is not told
}
