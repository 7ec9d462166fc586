package graph

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"dirsync"
)

// mark is what a Cursor of this package says: where to go on, and what the link that leads there was asked for.
type mark struct {
	// Version is that of this layout. A cursor of another version has expired.
	Version int `json:"v"`
	// Tenant is the configured tenant.
	Tenant string `json:"t"`
	// Inside tells a link from the middle of a round from one that begins a round.
	Inside bool `json:"p,omitempty"`
	// Select are the properties that the link's round was begun with. Graph keeps them in the link's token.
	Select []string `json:"s"`
	Link   string   `json:"l"`
	// FromNow says that reading was begun at a moment rather than at the beginning: nobody was read who did not change
	// since then.
	FromNow bool `json:"m,omitempty"`
	// First is set within a first round that is read in parallel. Its phase says what Link means.
	First *firstRound `json:"f,omitempty"`
}

const markVersion = 1

func (m mark) cursor() dirsync.Cursor {
	m.Version = markVersion
	// A mark has only texts and numbers, which always marshal.
	text, _ := json.Marshal(m)
	return dirsync.Cursor(text)
}

// parseCursor reads a cursor back. Whatever cannot be used any more has expired, because reading from the beginning is
// always right; only a cursor of another tenant is refused, because then everything else is in question too.
func (s *Source) parseCursor(cursor dirsync.Cursor) (mark, error) {
	if cursor == "" {
		return mark{Version: markVersion, Tenant: s.client.cfg.Tenant, Select: s.selected}, nil
	}
	var m mark
	switch err := json.Unmarshal([]byte(cursor), &m); {
	case err != nil:
		return mark{}, fmt.Errorf("%w: the kept position cannot be read", dirsync.ErrCursorExpired)
	case m.Version != markVersion:
		return mark{}, fmt.Errorf("%w: the kept position is of another version", dirsync.ErrCursorExpired)
	case isGUID(m.Tenant) && isGUID(s.client.cfg.Tenant) && m.Tenant != s.client.cfg.Tenant:
		return mark{}, &dirsync.Error{Op: s.op(), Kind: dirsync.Invalid,
			Err:  fmt.Errorf("reading had stopped in tenant %s, but %s is configured", m.Tenant, s.client.cfg.Tenant),
			Hint: "A sync belongs to one tenant. Use a new sync and store for another tenant, or put the tenant id right."}
	}
	for _, property := range s.selected {
		if !slices.Contains(m.Select, property) {
			return mark{}, fmt.Errorf("%w: %s was not asked for when reading began", dirsync.ErrCursorExpired, property)
		}
	}
	if m.FromNow && !s.membersOnly {
		return mark{}, fmt.Errorf("%w: not everybody was read when reading began", dirsync.ErrCursorExpired)
	}
	check := s.client.checkLink(m.Link)
	if m.First != nil {
		check = s.client.checkFirst(m)
	}
	if check != nil {
		return mark{}, fmt.Errorf("%w: %w", dirsync.ErrCursorExpired, check)
	}
	return m, nil
}

// checkLink says why a link must not be followed. Links come from outside and are sent a token, so one is followed
// only where the very first request would go: the configured host, by https, to users/delta.
func (c *Client) checkLink(link string) error { return c.checkDelta(link, "users") }

// checkDelta is checkLink for the delta query of a set, users or groups.
func (c *Client) checkDelta(link, set string) error {
	path, err := c.checkHost(link)
	if err == nil && !c.isDelta(path, set) {
		err = fmt.Errorf("the link to the next page leads away from %s/delta and was not followed", set)
	}
	return err
}

// checkList is checkLink for a link to the next page of a list of users.
func (c *Client) checkList(link string) error { return c.checkPath(link, "users") }

// checkPath is checkLink for a link to the next page of what is at a path below the root.
func (c *Client) checkPath(link, wanted string) error {
	path, err := c.checkHost(link)
	if err == nil && !strings.EqualFold(path, c.base.Path+"/"+wanted) {
		err = fmt.Errorf("the link to the next page leads away from %s and was not followed", wanted)
	}
	return err
}

// checkHost returns a link's path if it leads to the configured host.
func (c *Client) checkHost(link string) (string, error) {
	u, err := url.Parse(link)
	if err != nil {
		return "", errors.New("the link to the next page is no URL")
	}
	if !sameOrigin(c.base, u) || u.User != nil {
		return "", fmt.Errorf("the link to the next page leads to %s instead of %s and was not followed", clip(u.Scheme+"://"+u.Host), c.base.Host)
	}
	return strings.TrimSuffix(u.Path, "/"), nil
}

func (c *Client) isDelta(path, set string) bool {
	base := strings.ToLower(c.base.Path) + "/" + set + "/"
	return isDeltaPath(path) && strings.HasPrefix(strings.ToLower(path), base) && !strings.Contains(path[len(base):], "/")
}

// isDeltaPath tells the spellings of the function's name at the end of a path.
func isDeltaPath(path string) bool {
	path = strings.TrimSuffix(strings.ToLower(path), "()")
	return strings.HasSuffix(path, "/delta") || strings.HasSuffix(path, "/microsoft.graph.delta")
}
