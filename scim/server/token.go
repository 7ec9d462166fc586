package server

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"strings"
)

// TokenPrefix begins every token, so that scanners for leaked secrets, and people, recognize one.
const TokenPrefix = "dss_"

const tokenBytes = 32

// TokenHash is all that is kept of a token: its SHA-256. A token has 256 random bits, so that nobody finds it by trying and
// a slow hash would protect nothing.
type TokenHash [sha256.Size]byte

// NewToken returns a new token, to be shown once and never kept, and its hash.
func NewToken() (token string, hash TokenHash) {
	b := make([]byte, tokenBytes, tokenBytes+crc32.Size)
	_, _ = rand.Read(b) // It never fails, it ends the program instead.
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	token = TokenPrefix + strings.ToLower(encoding().EncodeToString(b))
	return token, HashToken(token)
}

func encoding() *base32.Encoding { return base32.StdEncoding.WithPadding(base32.NoPadding) }

// HashToken returns the hash of any text.
func HashToken(token string) TokenHash { return sha256.Sum256([]byte(token)) }

// CheckToken tells a token that NewToken may have made from one that was cut, or mistyped, or belongs elsewhere. The error
// repeats nothing of it.
func CheckToken(token string) error {
	rest, ok := strings.CutPrefix(token, TokenPrefix)
	if !ok {
		return errors.New("it does not begin with " + TokenPrefix)
	}
	b, err := encoding().DecodeString(strings.ToUpper(rest))
	switch {
	case err != nil || len(b) != tokenBytes+crc32.Size || rest != strings.ToLower(rest):
		return errors.New("it is not complete; copy all of it")
	case crc32.ChecksumIEEE(b[:tokenBytes]) != binary.BigEndian.Uint32(b[tokenBytes:]):
		return errors.New("a character of it is wrong; copy it instead of typing it")
	}
	return nil
}

// ParseTokenHash reads what TokenHash.String wrote.
func ParseTokenHash(text string) (TokenHash, error) {
	b, err := hex.DecodeString(strings.TrimPrefix(strings.TrimSpace(text), "sha256:"))
	if err != nil || len(b) != sha256.Size {
		// The text is not repeated: it might be the token itself.
		return TokenHash{}, errors.New("the hash of a token has 64 hexadecimal digits")
	}
	return TokenHash(b), nil
}

// String returns the hash in hexadecimal.
func (h TokenHash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText is String.
func (h TokenHash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText is ParseTokenHash.
func (h *TokenHash) UnmarshalText(text []byte) (err error) {
	*h, err = ParseTokenHash(string(text))
	return err
}

// Equal compares in constant time.
func (h TokenHash) Equal(other TokenHash) bool {
	return subtle.ConstantTimeCompare(h[:], other[:]) == 1
}
