package graphtest

import (
	"crypto/sha256"
	"encoding/json"
	"strings"
)

// secret is what the tenant keeps of a password: not the password.
type secret struct {
	hash   [sha256.Size]byte
	change bool
}

// SignsIn tells whether a present user who may sign in has this password, and whether it must be changed at the next
// sign-in. Passwords are kept only as hashes, and only those that were set by requests.
func (t *Tenant) SignsIn(id, password string) (ok, mustChange bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o, _ := t.people.find(strings.ToLower(id))
	if o == nil || o.state != present {
		return false, false
	}
	enabled, _ := get(o.attrs, t.people.number("accountEnabled"))
	s, known := t.secrets[o.id]
	return known && string(enabled) == "true" && s.hash == sha256.Sum256([]byte(password)), s.change
}

// readSecret reads a passwordProfile. Without a password in it there is nothing to keep, which only an update may do.
func (q *request) readSecret(raw json.RawMessage, principal string) (s secret, given bool, r *refusal) {
	var profile struct {
		Password *string `json:"password"`
		Change   *bool   `json:"forceChangePasswordNextSignIn"`
		MFA      *bool   `json:"forceChangePasswordNextSignInWithMfa"`
	}
	if json.Unmarshal(raw, &profile) != nil {
		return s, false, invalid("passwordProfile", "User")
	}
	// The service asks for a change unless it is told not to.
	s.change = profile.Change == nil || *profile.Change || profile.MFA != nil && *profile.MFA
	if profile.Password == nil {
		return s, false, nil
	}
	if !q.strong(*profile.Password, principal) {
		return s, false, aboutProperty("passwordProfile", "InvalidValue",
			"The specified password does not comply with password complexity requirements. Please provide a different password.")
	}
	s.hash = sha256.Sum256([]byte(*profile.Password))
	return s, true, nil
}

// strong tells a password that the service takes: 8 to 256 characters of ASCII, of at least three of the four classes, and
// five points, of which each banned word and each character beside them gives one (Microsoft Entra, "Password policies"
// and "Eliminate bad passwords using Microsoft Entra Password Protection"). The real list of banned words is not public.
func (q *request) strong(password, principal string) bool {
	if n := len(password); n < 8 || n > 256 || !isASCII(password) {
		return false
	}
	classes := 0
	for _, in := range []func(c rune) bool{
		func(c rune) bool { return c >= 'a' && c <= 'z' }, func(c rune) bool { return c >= 'A' && c <= 'Z' },
		func(c rune) bool { return c >= '0' && c <= '9' },
		func(c rune) bool { return strings.ContainsRune(" @#$%^&*-_!+=[]{}|\\:',.?/`~\"();<>", c) },
	} {
		if strings.ContainsFunc(password, in) {
			classes++
		}
	}
	local, _, _ := strings.Cut(strings.ToLower(principal), "@")
	plain := strings.NewReplacer("0", "o", "1", "l", "$", "s", "@", "a").Replace(strings.ToLower(password))
	points := 0
	for _, banned := range []string{local, strings.ToLower(q.t.identity().Name), "password", "welcome", "qwerty", "letmein", "l23456"} {
		if len(banned) >= 4 && strings.Contains(plain, banned) {
			points += strings.Count(plain, banned)
			plain = strings.ReplaceAll(plain, banned, "")
		}
	}
	return classes >= 3 && points+len(plain) >= 5
}
