package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"dirsync"
)

// Token is somebody who may use the API over TCP. The token itself is known to nobody but its holder.
type Token struct {
	// Name says who it is, in the log and as the author of decisions.
	Name string
	// SHA256 is the hash of the token's bytes.
	SHA256 [sha256.Size]byte
	// ReadOnly tokens may look and not change.
	ReadOnly bool
}

// ParseToken reads a token's hash as it stands in a configuration: SHA-256 in hexadecimal, with or without "sha256:" before.
// The error never repeats what was given, because it might be the token itself.
func ParseToken(name, hash string) (Token, error) {
	t := Token{Name: name}
	b, err := hex.DecodeString(strings.TrimPrefix(strings.TrimSpace(hash), "sha256:"))
	if err != nil || len(b) != sha256.Size {
		return Token{}, &dirsync.Error{Op: "read the token " + name, Kind: dirsync.Invalid, Err: fmt.Errorf("its hash is not 64 hexadecimal digits"),
			Hint: "Give the SHA-256 of the token and not the token itself: printf %s \"$TOKEN\" | sha256sum"}
	}
	t.SHA256 = [sha256.Size]byte(b)
	if t.SHA256 == sha256.Sum256(nil) {
		return Token{}, &dirsync.Error{Op: "read the token " + name, Kind: dirsync.Invalid, Err: fmt.Errorf("its hash is that of an empty token"),
			Hint: "The variable with the token was not set when it was hashed."}
	}
	return t, nil
}

// caller finds whose token a request carries. All tokens are compared, each in constant time, and what is compared are
// hashes: how long it takes says nothing about any of them.
func caller(tokens []Token, header []string) (Token, bool) {
	if len(header) != 1 {
		return Token{}, false
	}
	scheme, secret, _ := strings.Cut(header[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || secret == "" {
		return Token{}, false
	}
	sum := sha256.Sum256([]byte(secret))
	found := -1
	for i, t := range tokens {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], t.SHA256[:]), i, found)
	}
	if found < 0 {
		return Token{}, false
	}
	return tokens[found], true
}

// sameOrigin refuses what a browser sends on behalf of another site. Browsers say so in Origin or Sec-Fetch-Site, and let
// no script change that; programs send neither.
func sameOrigin(r *http.Request) error {
	wrong := &refusal{code: codeCrossOrigin, detail: "a browser asks on behalf of another site", hint: "Only pages of the daemon itself may use the API."}
	if site := r.Header.Values("Sec-Fetch-Site"); len(site) > 1 || len(site) == 1 && site[0] != "same-origin" && site[0] != "none" {
		return wrong
	}
	for _, origin := range r.Header.Values("Origin") {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
			return wrong
		}
	}
	return nil
}

// ownName refuses names that the daemon does not go by. Addresses are fine: nobody can make an address mean something else.
func ownName(host string, own []string) error {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil || name == "localhost" {
		return nil
	}
	if slices.ContainsFunc(own, func(o string) bool { return strings.EqualFold(o, name) }) {
		return nil
	}
	return &refusal{code: codeWrongHost, detail: "the daemon does not go by the name in the header Host", hint: "Add the name to those of the API in the configuration, or use the address."}
}
