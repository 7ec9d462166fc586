package web

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"dirsync"
)

// Problem is the answer to a request that was not done: problem details as of RFC 9457, with members of our own from Code on.
type Problem struct {
	// Type is "about:blank": Code says more than an address could.
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Detail says what is wrong with this request, for people and without secrets.
	Detail string `json:"detail"`
	// Code is stable: programs decide by it. Codes lists them.
	Code string `json:"code"`
	// Hint says what somebody can do about it; absent when there is nothing to say.
	Hint string `json:"hint,omitempty"`
	// RetryAt is the earliest moment at which trying again makes sense; absent when nobody said.
	RetryAt time.Time `json:"retry_at,omitzero"`
	// Op, Person, Field, Value and Other are those of dirsync.Error; absent when they are empty there.
	Op     string `json:"op,omitempty"`
	Person string `json:"person,omitempty"`
	Field  string `json:"field,omitempty"`
	Value  string `json:"value,omitempty"`
	Other  string `json:"other,omitempty"`
	// Changed are the first people on a hold's list of whom the list is not true any more, and ChangedCount says how many
	// they are. Only approving a hold has them.
	Changed      []ChangedPerson `json:"changed,omitempty"`
	ChangedCount int             `json:"changed_count,omitempty"`
}

// code is one entry of the list of codes.
type code struct {
	code   string
	status int
	means  string
	kind   dirsync.ErrorKind
}

// The codes that mean something about the request itself. Those that mean something about the world are the kinds of
// dirsync.Error.
const (
	codeBadRequest   = "bad_request"
	codeBadToken     = "bad_token"
	codeReadOnly     = "read_only"
	codeCrossOrigin  = "cross_origin"
	codeNoSuchPath   = "no_such_path"
	codeBadMethod    = "method_not_allowed"
	codeTooLarge     = "too_large"
	codeBadMediaType = "unsupported_media_type"
	codeWrongHost    = "wrong_host"
	codeFailures     = "too_many_failures"
	codeStreams      = "too_many_streams"
	codeInternal     = "internal"
)

// codes lists all codes. The kinds of dirsync.Error that are about what the daemon itself was refused are 502, because 401
// and 403 would say that the caller's token is wrong.
func codes() []code {
	return []code{
		{codeBadRequest, 400, "the request cannot be understood; nothing was done", dirsync.Invalid},
		{codeBadToken, 401, "the bearer token is missing or wrong", dirsync.Unauthorized},
		{codeReadOnly, 403, "the token may look and not change", dirsync.Permission},
		{codeCrossOrigin, 403, "a browser asks on behalf of another site", dirsync.Permission},
		{codeNoSuchPath, 404, "there is no such path", dirsync.NotFound},
		{codeBadMethod, 405, "the path has no such method; the header Allow lists those that it has", dirsync.Invalid},
		{codeTooLarge, 413, "the body is larger than 1 MiB", dirsync.Invalid},
		{codeBadMediaType, 415, "the body is not application/json", dirsync.Invalid},
		{codeWrongHost, 421, "the daemon does not go by the name in the header Host", dirsync.Permission},
		{codeFailures, 429, "too many wrong tokens came from this address; the header Retry-After says when to try again", dirsync.Throttled},
		{codeStreams, 503, "too many streams or commands are open", dirsync.Unavailable},
		{"not_found", 404, "there is no such sync, run, hold or person", dirsync.NotFound},
		{"conflict", 409, "the world is not as the request supposes; nothing was done", dirsync.Conflict},
		{"locked", 409, "another process, or a run, holds what is needed", dirsync.Locked},
		{"invalid", 422, "the request is understood and refused; nothing was done", dirsync.Invalid},
		{"unauthorized", 502, "the tenant or the application refuses the credential of the daemon", dirsync.Unauthorized},
		{"permission", 502, "the tenant or the application does not allow it to the daemon", dirsync.Permission},
		{"unavailable", 503, "something that is needed does not answer, or the daemon is not ready; try again", dirsync.Unavailable},
		{"throttled", 503, "the tenant or the application wants fewer requests; try again at retry_at", dirsync.Throttled},
		{"corrupt", 500, "stored data is damaged", dirsync.Corrupt},
		{"storage", 500, "the disk is full or fails", dirsync.Storage},
		{codeInternal, 500, "a fault of the daemon; its log says more", dirsync.Unknown},
	}
}

// codeNamed finds a code; an unknown one is internal.
func codeNamed(name string) code {
	all := codes()
	for _, c := range all {
		if c.code == name {
			return c
		}
	}
	return all[len(all)-1]
}

// codeOf returns the code that stands for a kind of error.
func codeOf(kind dirsync.ErrorKind) code {
	switch kind {
	case dirsync.Unavailable:
		return codeNamed("unavailable")
	case dirsync.Throttled:
		return codeNamed("throttled")
	case dirsync.Unauthorized:
		return codeNamed("unauthorized")
	case dirsync.Permission:
		return codeNamed("permission")
	case dirsync.NotFound:
		return codeNamed("not_found")
	case dirsync.Conflict:
		return codeNamed("conflict")
	case dirsync.Invalid:
		return codeNamed("invalid")
	case dirsync.Locked:
		return codeNamed("locked")
	case dirsync.Corrupt:
		return codeNamed("corrupt")
	case dirsync.Storage:
		return codeNamed("storage")
	default:
		return codeNamed(codeInternal)
	}
}

// refusal is an error about the request itself.
type refusal struct {
	code, detail, hint string
	retryAfter         time.Duration
}

func (e *refusal) Error() string { return e.detail }

func badRequest(detail, hint string) error {
	return &refusal{code: codeBadRequest, detail: detail, hint: hint}
}

// problemOf says what an error means to the caller.
func problemOf(err error, now time.Time) Problem {
	if r, ok := errors.AsType[*refusal](err); ok {
		c := codeNamed(r.code)
		p := problem(c, r.detail)
		p.Hint = r.hint
		if r.retryAfter > 0 {
			p.RetryAt = now.Add(r.retryAfter).UTC()
		}
		return p
	}
	e, ok := errors.AsType[*dirsync.Error](err)
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		p := problem(codeOf(dirsync.Unavailable), "it took too long, or the daemon is stopping")
		p.Hint = "Look at what has become of it before you try again."
		return p
	case !ok || e.Kind == dirsync.Unknown:
		// Nobody has vouched for the text of such an error, so only the log gets it.
		return problem(codeNamed(codeInternal), "the daemon could not do this; its log says why")
	}
	p := problem(codeOf(e.Kind), redact(err.Error()))
	p.Hint, p.Op, p.Person = redact(dirsync.HintOf(err)), redact(e.Op), string(e.ID)
	p.Field, p.Value, p.Other = e.Field, redact(e.Value), redact(e.Other)
	if !e.RetryAt.IsZero() {
		p.RetryAt = e.RetryAt.UTC()
	}
	if c, ok := errors.AsType[*ChangedError](err); ok {
		p.Changed, p.ChangedCount = c.People, c.Count
	}
	return p
}

func problem(c code, detail string) Problem {
	return Problem{Type: "about:blank", Title: http.StatusText(c.status), Status: c.status, Detail: detail, Code: c.code}
}

// err turns a problem back into an error, at the other end.
func (p Problem) err() error {
	e := &dirsync.Error{Op: p.Op, ID: dirsync.ID(p.Person), Kind: codeNamed(p.Code).kind, RetryAt: p.RetryAt, Hint: p.Hint,
		Field: p.Field, Value: p.Value, Other: p.Other}
	// Detail is the whole text. What Error would write before the cause once more is taken away; where the text begins with
	// something else, it stays whole and speaks for itself.
	detail, ours := strings.CutPrefix(p.Detail, (&dirsync.Error{Op: e.Op, ID: e.ID, Err: errors.New("")}).Error())
	switch {
	case e.Op == "":
		e.Op = "ask the daemon"
	case !ours:
		e.Op, e.ID = "", ""
	}
	switch {
	case p.ChangedCount > 0:
		e.Err = &ChangedError{People: p.Changed, Count: p.ChangedCount}
	case detail != "" && detail != e.Kind.String():
		e.Err = errors.New(detail)
	}
	return e
}

// secrets finds what looks like a credential. Errors hold none by contract; this is for the one that breaks it.
var secrets = regexp.MustCompile(`(?i)(bearer\s+|(?:client_secret|client_assertion|assertion|password|passwd|access_token|refresh_token|id_token)["']?\s*[=:]\s*["']?|[?&](?:sig|code|token|secret)=)[A-Za-z0-9._~+/%=-]{4,}`)

// redact takes what looks like a credential out of a text, and what is no text for one line.
func redact(text string) string {
	text = secrets.ReplaceAllString(text, "${1}***")
	return strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\n' && r != '\t' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
}

// fail answers with a problem. What nobody foresaw goes to the log.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	now := h.server.now()
	p := problemOf(err, now)
	if p.Status >= 500 && p.Code == codeInternal {
		h.server.Log.Error().Str("method", r.Method).Str("route", routeOf(r)).Str("error", redact(err.Error())).Msg("a request could not be done")
	}
	header := w.Header()
	if wait := p.RetryAt.Sub(now); wait > 0 {
		header.Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	}
	if p.Code == codeBadToken {
		header.Set("WWW-Authenticate", `Bearer realm="dirsync"`)
	}
	h.send(w, p.Status, "application/problem+json", p)
}
