package graph

import (
	"context"
	"crypto/rand"
	"errors"
	"math/big"
	"strings"
)

// Passwords says what becomes of the first passwords of new accounts. Each is made up at random, long enough for any
// policy, and has to be changed at the first sign-in. It is never kept, logged, or part of an error.
//
// The zero Passwords tell nobody: then people set one by themselves, with self-service password reset or a temporary
// access pass, or an administrator does.
type Passwords struct {
	// Length is how many characters a password has, from 16 to 256; zero means 24.
	Length int
	// Deliver, when set, is told the password of each account that was made, once, before anything else happens to the
	// account. It may be called from several goroutines. If it fails, the account is there and its change is reported as
	// failed; the next try adopts the account, and has no password to tell: then somebody has to reset it.
	Deliver func(ctx context.Context, account, userPrincipalName, password string) error
}

const (
	shortestPassword = 16
	defaultPassword  = 24
	longestPassword  = 256
)

func (p Passwords) length() int {
	if p.Length == 0 {
		return defaultPassword
	}
	return p.Length
}

func (p Passwords) check() error {
	if n := p.length(); n < shortestPassword || n > longestPassword {
		return errors.New("the length of passwords is from 16 to 256 characters")
	}
	return nil
}

// password is a secret that does not print.
type password string

func (password) String() string   { return "***" }
func (password) GoString() string { return "***" }

// alphabets are the kinds of characters of which Entra wants three of four (Microsoft document "Microsoft Entra password
// policies"). Characters that look alike are left out, and so are signs that JSON or an address would write otherwise, so
// that a password that somebody repeats is recognised.
func alphabets() []string {
	return []string{"abcdefghijkmnpqrstuvwxyz", "ABCDEFGHJKLMNPQRSTUVWXYZ", "23456789", "-_.~"}
}

// newPassword makes a password with a character of each kind. It has nothing of the account's name in it.
func newPassword(length int, name string) (password, error) {
	all := strings.Join(alphabets(), "")
	for {
		chars := make([]byte, length)
		for i := range chars {
			from := all
			if i < len(alphabets()) {
				from = alphabets()[i]
			}
			n, err := below(len(from))
			if err != nil {
				return "", err
			}
			chars[i] = from[n]
		}
		for i := len(chars) - 1; i > 0; i-- { // so that nobody knows where the kinds are
			n, err := below(i + 1)
			if err != nil {
				return "", err
			}
			chars[i], chars[n] = chars[n], chars[i]
		}
		if name = strings.ToLower(name); len(name) < 3 || !strings.Contains(strings.ToLower(string(chars)), name) {
			return password(chars), nil
		}
	}
}

func below(n int) (int, error) {
	b, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		return 0, err
	}
	return int(b.Int64()), nil
}

// hide takes the password out of a text that comes from outside.
func (p password) hide(text string) string {
	if p == "" {
		return text
	}
	return strings.ReplaceAll(text, string(p), "***")
}
