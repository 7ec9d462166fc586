package client

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"dirsync"
	"dirsync/scim"
)

// fault makes the error that crosses the border of this package.
func (c *Client) fault(k call, kind dirsync.ErrorKind, err error) *dirsync.Error {
	return &dirsync.Error{Op: k.op, ID: k.person, Kind: kind, Err: err}
}

// outside gives an error that the gate or the sign-in made the operation and person that it stopped.
func (c *Client) outside(k call, err error) error {
	e, ok := errors.AsType[*dirsync.Error](err)
	if !ok {
		return c.fault(k, dirsync.Unavailable, err)
	}
	out := &dirsync.Error{Op: k.op, ID: k.person, Kind: e.Kind, RetryAt: e.RetryAt, Hint: e.Hint, Err: err}
	if out.Hint == "" && e.Kind == dirsync.Throttled {
		out.Hint = throttledHint
	}
	return out
}

const throttledHint = "The target asks to be left alone for longer than a run waits. Nobody is lost: the next run goes on. Lower the rate in the profile if this happens often."

// classify says what an answer means to whoever must decide: the only place where statuses become kinds.
//
//	no answer, 5xx           Unavailable
//	429, 503 with a wait     Throttled, with RetryAt
//	401                      Unauthorized
//	403                      Permission
//	404, 410                 NotFound
//	409, 400 of a duplicate  Conflict
//	400, 413, 422, others    Invalid
func (c *Client) classify(k call, r *refusal, after time.Duration) error {
	e := c.fault(k, dirsync.Unavailable, r)
	if r.answer == nil {
		e.Hint = "Check the base URL, the network, and the target's status page."
		return e
	}
	if after > 0 {
		e.RetryAt = time.Now().Add(after)
	}
	switch status := r.answer.Status; {
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable && after > 0:
		e.Kind, e.Hint = dirsync.Throttled, throttledHint
	case status == http.StatusUnauthorized:
		e.Kind, e.Hint = dirsync.Unauthorized, "Make a new token in the target's settings and put it into the configuration."
	case status == http.StatusForbidden:
		e.Kind, e.Hint = dirsync.Permission, "Give the token's owner the right to administer users, or use a token that has it."
	case status == http.StatusNotFound || status == http.StatusGone:
		e.Kind = dirsync.NotFound
	case duplicate(r.answer):
		e.Kind = dirsync.Conflict
	case status >= 400 && status < 500 && status != http.StatusRequestTimeout:
		e.Kind = dirsync.Invalid
		if status == http.StatusMethodNotAllowed {
			e.Hint = "The target does not do this. Choose its profile, or switch the operation off."
		}
	}
	return e
}

// duplicate tells an answer that says that somebody else has what must be unique: 409, or what some targets say with 400.
func duplicate(e *scim.Error) bool {
	if e.Status == http.StatusConflict || strings.EqualFold(e.SCIMType, scim.Uniqueness) {
		return true
	}
	if e.Status != http.StatusBadRequest {
		return false
	}
	text := strings.ToLower(e.Detail)
	for _, word := range []string{"already exist", "exists already", "duplicate", "already taken", "already in use", "must be unique", "has already been"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// scrub takes secrets out of a text that the target wrote.
func (c *Client) scrub(text string) string {
	secrets := c.secrets
	if c.tokens != nil {
		secrets = append(secrets[:len(secrets):len(secrets)], c.tokens.given()...)
	}
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "***")
		}
	}
	return text
}
