package graphtest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
)

// cursor is what a delta or page token carries: where a round stands and what was asked for at its beginning.
type cursor struct {
	// Page is the number of the page that the token leads to, from 2; zero in a delta token.
	Page int `json:"n,omitempty"`
	// Since and End are positions in the log. A round that follows another shows what happened after Since, up to and
	// including End; a first round shows the objects made up to End. A delta token has only Since.
	Since uint32 `json:"s,omitempty"`
	End   uint32 `json:"e,omitempty"`
	First bool   `json:"f,omitempty"`
	// Base is what Since was before the round was made to replay earlier changes.
	Base uint32 `json:"b,omitempty"`
	// Pos is how many candidates of the round have been looked at.
	Pos uint32 `json:"p,omitempty"`
	// Order shuffles the candidates when it is not zero, and Strangers are the unknown objects among them.
	Order     uint64 `json:"o,omitempty"`
	Strangers uint32 `json:"x,omitempty"`
	// Again are objects that the next page repeats.
	Again []uint32 `json:"a,omitempty"`
	// Parts are groups that it goes on with.
	Parts []part `json:"m,omitempty"`
	// Select and IDs are the options of the initial request; nil is none, which for Select differs from empty.
	Select []string `json:"l"`
	IDs    []string `json:"i,omitempty"`
	// Groups says that the token is of groups and not of users.
	Groups bool `json:"g,omitempty"`
	// List marks the page token of a plain list: Pos is then an object, Of the list's path, and Advanced says that the
	// list comes from the index, which must be accepted on every page.
	List     bool   `json:"u,omitempty"`
	Of       string `json:"of,omitempty"`
	Advanced bool   `json:"v,omitempty"`
	// Issued is when the token was made, in Unix milliseconds.
	Issued int64 `json:"t"`
}

var errToken = errors.New("not a token of this tenant")

// encodeCursor makes a token that says nothing to whoever reads it and that cannot be made by anybody else, so that a
// client that takes links apart or builds its own fails here as it would fail in earnest.
func encodeCursor(tenant string, c cursor, padding int) (string, error) {
	plain, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encode a token: %w", err)
	}
	for ; padding > 0; padding-- {
		plain = append(plain, ' ')
	}
	seal, mac, err := cursorKeys(tenant)
	if err != nil {
		return "", err
	}
	// The nonce follows from the content, so that equal states make equal tokens.
	h := hmac.New(sha256.New, mac)
	h.Write(plain)
	nonce := h.Sum(nil)[:seal.NonceSize()]
	return base64.RawURLEncoding.EncodeToString(seal.Seal(nonce, nonce, plain, nil)), nil
}

func decodeCursor(tenant, token string) (cursor, error) {
	var c cursor
	sealed, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return c, errToken
	}
	seal, _, err := cursorKeys(tenant)
	if err != nil {
		return c, err
	}
	if len(sealed) < seal.NonceSize() {
		return c, errToken
	}
	plain, err := seal.Open(nil, sealed[:seal.NonceSize()], sealed[seal.NonceSize():], nil)
	if err != nil {
		return c, errToken
	}
	if err := json.Unmarshal(plain, &c); err != nil {
		return c, errToken
	}
	return c, nil
}

func cursorKeys(tenant string) (cipher.AEAD, []byte, error) {
	key := sha256.Sum256([]byte("graphtest token " + tenant))
	block, err := aes.NewCipher(key[:16])
	if err != nil {
		return nil, nil, fmt.Errorf("make the key of tokens: %w", err)
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		return nil, nil, fmt.Errorf("make the key of tokens: %w", err)
	}
	return seal, key[16:], nil
}
