package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"dirsync"
)

// graphFault is an error body of Graph, of which any part may be missing.
type graphFault struct {
	code, message string
	// codes are code and all codes inside of it, the more specific ones last.
	codes []string
}

// is tells whether any of the fault's codes is the given one. Services spell one code in different letter case.
func (f graphFault) is(code string) bool {
	return slices.ContainsFunc(f.codes, func(c string) bool { return strings.EqualFold(c, code) })
}

// parseGraphError reads an error body (Graph document "Microsoft Graph error responses and resource types"). Bodies of
// gateways are empty or web pages; the SDK's own type panics on some. Whatever cannot be read gives the zero fault.
func parseGraphError(body []byte) graphFault {
	var doc struct{ Error json.RawMessage }
	if json.Unmarshal(body, &doc) != nil {
		return graphFault{}
	}
	var f graphFault
	inner := doc.Error
	for depth := 0; depth < 16 && len(inner) > 0; depth++ {
		var level struct{ Code, Message, InnerError json.RawMessage } // innerError and innererror alike
		if json.Unmarshal(inner, &level) != nil {
			break
		}
		code, message := plain(level.Code), plain(level.Message)
		if code != "" {
			f.codes = append(f.codes, code)
		}
		if depth == 0 {
			f.code, f.message = code, message
		} else if f.message == "" {
			f.message = message
		}
		inner = level.InnerError
	}
	if f.code == "" && len(f.codes) > 0 {
		f.code = f.codes[0]
	}
	return f
}

// plain returns a JSON text or number as a string.
func plain(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var n json.Number
	if json.Unmarshal(raw, &n) == nil {
		return n.String()
	}
	return ""
}

// startOver tells whether Graph refuses to go on from a link, and returns ErrCursorExpired or ErrPageExpired then.
//
// Graph says so in four ways: 410 with any code; 4xx with syncStateNotFound or resyncRequired; 400 with
// Request_UnsupportedQuery ("DeltaLink older than 30 days is not supported."); and, for a page link,
// Directory_ExpiredPageToken. Only a request that carried a token can have lost it, and 401, 403, 408 and 429 speak of
// something else: a token thrown away for them would cost a full reading, and a full reading cannot see deletions.
//
// The Location of a 410 is not followed. It leads to what our own first request asks for, except that it is chosen by
// the answer: our own has the properties that are wanted now and goes to a host that we know.
func startOver(a answer, at mark) error {
	if at.Link == "" || a.status < 400 || a.status > 499 {
		return nil
	}
	switch a.status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return nil
	}
	fault := parseGraphError(a.body)
	expired := a.status == http.StatusGone || fault.is("syncStateNotFound") || fault.is("resyncRequired") ||
		a.status == http.StatusBadRequest && fault.is("Request_UnsupportedQuery")
	switch {
	case expired:
	case !fault.is("Directory_ExpiredPageToken"):
		return nil
	case at.Inside:
		return fmt.Errorf("%w (%s)", dirsync.ErrPageExpired, describe(a.status, fault.code))
	}
	// A round that cannot even begin from its link would not begin the second time.
	return fmt.Errorf("%w (%s)", dirsync.ErrCursorExpired, describe(a.status, fault.code))
}

func describe(status int, code string) string {
	if code == "" {
		return "HTTP " + strconv.Itoa(status)
	}
	return "HTTP " + strconv.Itoa(status) + ", " + clip(code)
}

// graphError classifies an answer of Graph that is not what was asked for.
func (c *Client) graphError(op string, a answer) error {
	fault := parseGraphError(a.body)
	text := "Microsoft Graph answered " + describe(a.status, fault.code)
	switch {
	case fault.message != "":
		text += ": " + clip(redact(fault.message, c.cfg.Credential))
	case fault.code == "":
		text += " with " + kindOfBody(a)
	}
	if id := requestID(a.header); id != "" {
		text += " [request " + id + "]"
	}
	e := &dirsync.Error{Op: op, Err: errors.New(text)}
	e.Kind, e.Hint = c.judge(a, fault)
	if notPermitted(a) {
		e.Err = needed(userPermission, e.Err)
	}
	if e.Kind == dirsync.Throttled || e.Kind == dirsync.Unavailable {
		if wait, ok := retryAfter(a.header, c.cfg.Now()); ok {
			e.RetryAt = c.cfg.Now().Add(wait)
		}
	}
	return e
}

// judge is the table of what Graph's refusals mean and what can be done about them.
func (c *Client) judge(a answer, fault graphFault) (dirsync.ErrorKind, string) {
	switch status := a.status; {
	case status == http.StatusTooManyRequests:
		return dirsync.Throttled, "Microsoft Graph limits how much is read at a time. The next run goes on where this one stopped; other applications of the tenant share the limit."
	case fault.is("Authorization_IdentityNotFound"):
		return dirsync.Unauthorized, "The application is not, or not yet, known in the tenant. Have an administrator " + c.ask() + " and try again after some minutes."
	case status == http.StatusUnauthorized:
		return dirsync.Unauthorized, "Microsoft Graph does not accept the token, not even a new one. Check that the authority and the Graph address belong to the same cloud." + c.clockHint()
	case status == http.StatusForbidden && fault.is("Authentication_RequestFromNonPremiumTenantOrB2CTenant"):
		return dirsync.Permission, "A property that is read needs a Microsoft Entra ID P1 licence. Take it out of the mapping."
	case status == http.StatusForbidden:
		return dirsync.Permission, c.grant() + " New permissions take effect within about an hour." + c.tokens.granted()
	case status == http.StatusNotFound:
		return dirsync.NotFound, "Check the Graph address: it must end in /v1.0."
	case status >= 500 || status == http.StatusRequestTimeout || status == 509:
		return dirsync.Unavailable, "Microsoft Graph is not available at the moment. Nothing is lost: the next run goes on where this one stopped."
	case status == http.StatusBadRequest:
		return dirsync.Invalid, "Microsoft Graph does not understand the request. The message names the property that it refuses, if it is one."
	case status >= 300 && status < 400:
		return dirsync.Unavailable, "Redirects are not followed, because the token is for Microsoft Graph alone. Check the proxy and the Graph address."
	}
	return dirsync.Unavailable, "This is no answer that Microsoft Graph gives. Check the Graph address and what stands between it and this machine."
}

// decodeError says what came in place of data. It is nil when err is.
func (c *Client) decodeError(op string, a answer, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, errLimited) {
		return &dirsync.Error{Op: op, Kind: dirsync.Permission, Err: needed(userPermission, err),
			Hint: c.grant() + c.tokens.granted()}
	}
	return &dirsync.Error{Op: op, Kind: dirsync.Unavailable,
		Err:  fmt.Errorf("the answer of Microsoft Graph (HTTP %d, %s) cannot be read: %w", a.status, kindOfBody(a), err),
		Hint: "Nothing of this answer was used. If it happens again, look for a proxy that changes answers, and report it together with the request id in the log."}
}

func (c *Client) broken(op string, a answer, wanted string) error {
	return c.decodeError(op, a, errors.New("it does not hold "+wanted))
}

func kindOfBody(a answer) string {
	media, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
	switch {
	case len(a.body) == 0:
		return "an empty body"
	case media == "":
		return fmt.Sprintf("%d bytes", len(a.body))
	}
	return fmt.Sprintf("%d bytes of %s", len(a.body), clip(media))
}

// sendError classifies the error of a request that got no answer. An error that is classified already, because the
// sign-in failed, keeps its kind and advice.
func (c *Client) sendError(ctx context.Context, op string, err error) error {
	if inner, ok := errors.AsType[*dirsync.Error](err); ok && ctx.Err() == nil {
		return &dirsync.Error{Op: op, Kind: inner.Kind, RetryAt: inner.RetryAt, Err: inner}
	}
	return c.networkError(ctx, op, "Microsoft Graph at "+c.base.Host, err)
}

// networkError says why a service was not reached.
func (c *Client) networkError(ctx context.Context, op, service string, err error) *dirsync.Error {
	e := &dirsync.Error{Op: op, Kind: dirsync.Unavailable}
	if ctx.Err() != nil {
		// Somebody wanted it to end. That is nobody's fault, and errors.Is must go on finding the reason.
		e.Kind, e.Err = dirsync.Unknown, ctx.Err()
		if cause := context.Cause(ctx); !errors.Is(ctx.Err(), cause) {
			e.Err = fmt.Errorf("%w: %w", ctx.Err(), cause)
		}
		return e
	}
	e.Err = fmt.Errorf("%s: %s", service, redact(cleanError(err), c.cfg.Credential))
	var (
		dns  *net.DNSError
		call *net.OpError
	)
	switch {
	case isTLSProblem(err):
		e.Hint = "The server's certificate is not trusted. If a proxy inspects encrypted traffic, exempt this address from it, or name its certificate authority in the configuration." + c.clockHint()
	case errors.As(err, &dns):
		e.Hint = "The address could not be resolved. Check the machine's network, its DNS servers, and the address in the configuration."
	case errors.As(err, &call) && call.Op == "dial":
		e.Hint = "No connection could be made. Check the machine's network, firewall and proxy: outgoing HTTPS to this address must be allowed."
	case errors.Is(err, errHeaderTimeout), errors.Is(err, errIdleTimeout):
		e.Hint = "The connection stands, but no answer comes. Check the proxy and firewall, and try again."
	default:
		e.Hint = "The connection broke. The next run goes on where this one stopped; if it breaks every time, check the proxy and firewall."
	}
	return e
}

// cleanError returns an error's text without the address that net/http puts in front of it, which holds tokens.
func cleanError(err error) string {
	var at *url.Error
	for errors.As(err, &at) {
		err = at.Err
	}
	return clip(err.Error())
}

var (
	jwtForm  = regexp.MustCompile(`\beyJ[A-Za-z0-9_=-]{8,}(\.[A-Za-z0-9_=-]+)*`)
	linkForm = regexp.MustCompile(`(?i)((?:\$|%24)?(?:delta|skip)token=)[^&\s"']+`)
)

// redact takes whatever is secret out of a text that comes from outside.
func redact(text string, credential Credential) string {
	if credential.Secret != "" {
		text = strings.ReplaceAll(text, credential.Secret, "***")
		text = strings.ReplaceAll(text, url.QueryEscape(credential.Secret), "***")
	}
	if credential.Password != "" {
		text = strings.ReplaceAll(text, credential.Password, "***")
	}
	text = jwtForm.ReplaceAllString(text, "***")
	return linkForm.ReplaceAllString(text, "${1}***")
}

// clip makes a text from outside fit for one line of a log: without control characters, and short.
func clip(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, s)
	s = strings.TrimSpace(s)
	if runes := []rune(s); len(runes) > 400 {
		return string(runes[:400]) + "…"
	}
	return s
}

func requestID(h http.Header) string {
	if id := h.Get("request-id"); isGUID(id) {
		return id
	}
	return ""
}

// clockHint adds advice when our clock and the service's differ by more than tokens allow for.
func (c *Client) clockHint() string {
	skew := c.clockSkew()
	if skew.Abs() <= 5*time.Minute {
		return ""
	}
	side := "behind"
	if skew < 0 {
		side = "ahead of"
	}
	return fmt.Sprintf(" This machine's clock is %.0f minutes %s the service's: set it right, by NTP.", skew.Abs().Minutes(), side)
}
