package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"dirsync"
	"dirsync/scim/server"
)

// noteTokens is the note in which the store keeps who may use the SCIM server.
const noteTokens = "scim/tokens"

// scimToken is somebody who may use the SCIM server. Of the token itself its hash is kept, and nothing else.
type scimToken struct {
	// Name says whose it is: in the history, and in every command.
	Name   string           `json:"name"`
	Hash   server.TokenHash `json:"hash"`
	Scopes []server.Scope   `json:"scopes"`
	// Created is when the token was made or rotated last, by By. Expires is when it ends; zero: never.
	Created time.Time `json:"created"`
	By      string    `json:"by"`
	Expires time.Time `json:"expires,omitzero"`
	// Used is when it was used last, to the minute; zero: never.
	Used time.Time `json:"used,omitzero"`
	// Before is the token that this one has replaced. It is good until BeforeEnds. Earlier are those that were replaced before
	// that, and are still good.
	Before     *server.TokenHash `json:"before,omitempty"`
	BeforeEnds time.Time         `json:"before_ends,omitzero"`
	Earlier    []earlierToken    `json:"earlier,omitempty"`
}

// earlierToken is a token that was replaced more than once; who still uses it is not shut out before its time.
type earlierToken struct {
	Hash server.TokenHash `json:"hash"`
	Ends time.Time        `json:"ends"`
}

// expired tells whether it has ended.
func (t *scimToken) expired(now time.Time) bool { return !t.Expires.IsZero() && !now.Before(t.Expires) }

// noted is what the store has for small things.
type noted interface {
	Note(ctx context.Context, name string) ([]byte, error)
	SetNote(ctx context.Context, name string, value []byte) error
}

// tokenBook keeps the tokens of the SCIM server, and finds them by their hashes.
type tokenBook struct {
	store noted
	now   func() time.Time

	// mu lets one change be written at a time.
	mu sync.Mutex
	// page is what is known; it is replaced as a whole.
	page atomic.Pointer[tokenPage]
}

// tokenPage are tokens at one moment. Nobody changes it, except for the times of the last use.
type tokenPage struct {
	tokens []scimToken
	// used are the times of the last use as Unix seconds, in the order of tokens.
	used   []atomic.Int64
	byHash map[server.TokenHash]tokenEntry
}

// tokenEntry is one way in: whose it is, and until when; the zero time is for ever.
type tokenEntry struct {
	at   int
	ends time.Time
}

// openTokens reads the book.
func openTokens(ctx context.Context, st noted, now func() time.Time) (*tokenBook, error) {
	b := &tokenBook{store: st, now: now}
	text, err := st.Note(ctx, noteTokens)
	if err != nil {
		return nil, fmt.Errorf("read the tokens: %w", err)
	}
	var tokens []scimToken
	if text != nil {
		if err := json.Unmarshal(text, &tokens); err != nil {
			return nil, &dirsync.Error{Op: "read the tokens", Kind: dirsync.Corrupt, Err: err,
				Hint: "Restore a backup of the store; nobody is let in by a list that cannot be read."}
		}
	}
	b.page.Store(newTokenPage(tokens))
	return b, nil
}

func newTokenPage(tokens []scimToken) *tokenPage {
	p := &tokenPage{tokens: tokens, used: make([]atomic.Int64, len(tokens)), byHash: map[server.TokenHash]tokenEntry{}}
	for i, t := range tokens {
		if !t.Used.IsZero() {
			p.used[i].Store(t.Used.Unix())
		}
		p.byHash[t.Hash] = tokenEntry{i, t.Expires}
		if t.Before != nil {
			p.byHash[*t.Before] = tokenEntry{i, t.BeforeEnds}
		}
		for _, e := range t.Earlier {
			p.byHash[e.Hash] = tokenEntry{i, e.Ends}
		}
	}
	return p
}

// list returns all tokens by name, with when they were used last.
func (b *tokenBook) list() []scimToken { return b.page.Load().list() }

func (p *tokenPage) list() []scimToken {
	out := slices.Clone(p.tokens)
	for i := range out {
		if used := p.used[i].Load(); used != 0 {
			out[i].Used = time.Unix(used, 0).UTC()
		}
	}
	return out
}

// errNoToken is for whoever is not let in. It does not say why.
var errNoToken = errors.New("this is no token of this server, or it has ended")

// authenticate says whose a token is. Its cost does not depend on how many there are, and its time does not depend on how much
// of a token is right: what is looked up is a hash of it.
func (b *tokenBook) authenticate(_ context.Context, token string) (server.Principal, error) {
	p, hash, now := b.page.Load(), server.HashToken(token), b.now()
	e, ok := p.byHash[hash]
	if !ok || !e.ends.IsZero() && !now.Before(e.ends) {
		return server.Principal{}, errNoToken
	}
	if at := now.Unix(); at > p.used[e.at].Load() {
		p.used[e.at].Store(at)
	}
	t := &p.tokens[e.at]
	return server.Principal{Name: t.Name, Scopes: t.Scopes}, nil
}

// keepUses writes down when tokens were used last, if any was used in another minute than the store knows.
func (b *tokenBook) keepUses(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.page.Load()
	for i := range p.tokens {
		if used := p.used[i].Load(); used != 0 && time.Unix(used, 0).Sub(p.tokens[i].Used) >= time.Minute {
			return b.write(ctx, p.list())
		}
	}
	return nil
}

// write replaces everything, in the store first. The caller holds mu.
func (b *tokenBook) write(ctx context.Context, tokens []scimToken) error {
	text, err := json.Marshal(tokens)
	if err == nil {
		err = b.store.SetNote(ctx, noteTokens, text)
	}
	if err != nil {
		return fmt.Errorf("keep the tokens: %w", err)
	}
	b.page.Store(newTokenPage(tokens))
	return nil
}

// edit changes the list of tokens. Those of which nobody knows any more are forgotten on the way.
func (b *tokenBook) edit(ctx context.Context, fn func([]scimToken) ([]scimToken, error)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	tokens, now := b.page.Load().list(), b.now()
	for i := range tokens {
		if t := &tokens[i]; t.Before != nil && !now.Before(t.BeforeEnds) {
			t.Before, t.BeforeEnds = nil, time.Time{}
		}
		tokens[i].Earlier = slices.DeleteFunc(slices.Clone(tokens[i].Earlier), func(e earlierToken) bool { return !now.Before(e.Ends) })
	}
	tokens, err := fn(tokens)
	if err != nil {
		return err
	}
	slices.SortFunc(tokens, func(x, y scimToken) int { return strings.Compare(x.Name, y.Name) })
	return b.write(ctx, tokens)
}

// create adds a token and returns its text, which nobody can be shown again.
func (b *tokenBook) create(ctx context.Context, t scimToken) (string, error) {
	text, hash := server.NewToken()
	t.Hash, t.Created = hash, b.now().UTC()
	return text, b.edit(ctx, func(tokens []scimToken) ([]scimToken, error) {
		if findToken(tokens, t.Name) >= 0 {
			return nil, &dirsync.Error{Op: "create the token " + t.Name, Kind: dirsync.Conflict, Err: errors.New("there is one of that name"),
				Hint: "dirsync token rotate " + t.Name + " makes a new one in its place; dirsync token revoke " + t.Name + " ends it."}
		}
		return append(tokens, t), nil
	})
}

// rotate makes a new token in the place of one, which stays good for a while, as do those before it that still are; without an
// overlap all of them end. The new one lives as long as the old one was meant to.
func (b *tokenBook) rotate(ctx context.Context, name, by string, overlap time.Duration) (string, scimToken, error) {
	text, hash := server.NewToken()
	var made scimToken
	err := b.edit(ctx, func(tokens []scimToken) ([]scimToken, error) {
		i := findToken(tokens, name)
		if i < 0 {
			return nil, unknownToken("rotate", name)
		}
		t, now := &tokens[i], b.now().UTC()
		old, ends := t.Hash, now.Add(overlap)
		switch {
		case overlap <= 0:
			t.Earlier = nil // at once is meant of all
		case t.Before != nil:
			t.Earlier = append(t.Earlier, earlierToken{*t.Before, t.BeforeEnds})
		}
		t.Before, t.BeforeEnds = nil, time.Time{}
		if !t.Expires.IsZero() {
			if t.Expires.Before(ends) {
				ends = t.Expires
			}
			t.Expires = now.Add(t.Expires.Sub(t.Created))
		}
		if ends.After(now) {
			t.Before, t.BeforeEnds = &old, ends
		}
		t.Hash, t.Created, t.By = hash, now, by
		made = *t
		return tokens, nil
	})
	return text, made, err
}

// revoke ends a token, and those before it, at once.
func (b *tokenBook) revoke(ctx context.Context, name string) error {
	return b.edit(ctx, func(tokens []scimToken) ([]scimToken, error) {
		i := findToken(tokens, name)
		if i < 0 {
			return nil, unknownToken("revoke", name)
		}
		return slices.Delete(tokens, i, i+1), nil
	})
}

func findToken(tokens []scimToken, name string) int {
	return slices.IndexFunc(tokens, func(t scimToken) bool { return t.Name == name })
}

func unknownToken(verb, name string) error {
	return &dirsync.Error{Op: verb + " the token " + name, Kind: dirsync.NotFound, Err: errors.New("there is none of that name"),
		Hint: "dirsync token list lists them."}
}
