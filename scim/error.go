package scim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The values of scimType: RFC 7644 table 9, and RFC 9865 section 2.1 for the last three.
const (
	InvalidFilter = "invalidFilter"
	TooMany       = "tooMany"
	Uniqueness    = "uniqueness"
	Mutability    = "mutability"
	InvalidSyntax = "invalidSyntax"
	InvalidPath   = "invalidPath"
	NoTarget      = "noTarget"
	InvalidValue  = "invalidValue"
	InvalidVers   = "invalidVers"
	Sensitive     = "sensitive"
	InvalidCursor = "invalidCursor"
	ExpiredCursor = "expiredCursor"
	InvalidCount  = "invalidCount"
)

// Error is a SCIM error (RFC 7644 section 3.12): what this package returns for everything it refuses, what a server
// sends, and what a client was sent.
type Error struct {
	// Status is the HTTP status, such as 400.
	Status int
	// SCIMType is one of the constants above, or what a server sent, or "".
	SCIMType string
	// Detail is a sentence for people, without any value that was sent.
	Detail string
}

// Error returns the detail, with the scimType in front, such as "invalidPath: …".
func (e *Error) Error() string {
	switch {
	case e.SCIMType != "" && e.Detail != "":
		return e.SCIMType + ": " + e.Detail
	case e.Detail != "":
		return e.Detail
	case e.SCIMType != "":
		return e.SCIMType
	}
	return "status " + strconv.Itoa(e.Status)
}

// MarshalJSON returns the message of RFC 7644 section 3.12, in which the status is a string.
func (e *Error) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Schemas  []string `json:"schemas"`
		Status   string   `json:"status"`
		SCIMType string   `json:"scimType,omitempty"`
		Detail   string   `json:"detail,omitempty"`
	}{[]string{ErrorURN}, strconv.Itoa(e.Status), e.SCIMType, e.Detail})
}

// AsError returns the *Error in err's chain, and for any other error one with status 500 and no detail, because what
// an unknown error says is not meant for a client.
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Status: 500}
}

// refuse returns a 400 with a scimType.
func refuse(scimType, format string, args ...any) *Error {
	return &Error{Status: 400, SCIMType: scimType, Detail: fmt.Sprintf(format, args...)}
}

// The most of a foreign error text that is kept, in bytes.
const maxDetail = 500

// ReadError makes an *Error of any answer with an error status, whatever its body is: a SCIM error with the status as
// string or number, the JSON of another API, a page of HTML, plain text or nothing. The HTTP status wins over the one
// in the body, unless it is 0. Detail is shortened to 500 bytes and cleared of control characters; it is the other
// side's text, so a client must still remove its own secrets from it.
func ReadError(status int, body []byte) *Error {
	e := &Error{Status: status}
	body = bytes.TrimSpace(body)
	value, err := Read(body, Limits{})
	switch {
	case len(body) == 0:
	case err == nil:
		e.fill(value)
	case body[0] == '<':
		e.Detail = pageTitle(string(body))
	default:
		e.Detail = string(body)
	}
	e.SCIMType = clean(e.SCIMType, 64)
	e.Detail = clean(e.Detail, maxDetail)
	if e.Status == 0 {
		e.Status = 500
	}
	return e
}

// fill takes over what a JSON body says, looking where the APIs of this world put their texts.
func (e *Error) fill(value any) {
	switch v := value.(type) {
	case string:
		e.Detail = v
	case []any:
		if len(v) > 0 {
			e.fill(v[0])
		}
	case *Object:
		if e.Status == 0 {
			e.Status = statusOf(v)
		}
		if s, ok := v.Text("scimType"); ok {
			e.SCIMType = s
		}
		for _, name := range []string{"detail", "message", "description", "error_description", "errorMessage", "title"} {
			if s, ok := v.Text(name); ok && s != "" {
				e.Detail = s
				return
			}
		}
		for _, name := range []string{"error", "errors"} {
			if inner, ok := v.Get(name); ok && e.Detail == "" {
				e.fill(inner)
			}
		}
	}
}

func statusOf(o *Object) int {
	for _, name := range []string{"status", "code"} {
		v, _ := o.Get(name)
		text, _ := v.(string)
		if n, ok := v.(json.Number); ok {
			text = n.String()
		}
		if n, err := strconv.Atoi(strings.TrimSpace(text)); err == nil && n >= 100 && n <= 599 {
			return n
		}
	}
	return 0
}

// pageTitle says what an HTML page is about.
func pageTitle(page string) string {
	page = page[:min(len(page), 1<<16)]
	low := asciiLower(page)
	if _, rest, ok := strings.Cut(low, "<title"); ok {
		start := len(low) - len(rest)
		if _, after, ok := strings.Cut(page[start:], ">"); ok {
			title, _, _ := strings.Cut(after, "<")
			if title = strings.TrimSpace(html.UnescapeString(title)); title != "" {
				return "an HTML page: " + title
			}
		}
	}
	return "an HTML page"
}

// clean makes one line of printable text of at most n bytes.
func clean(s string, n int) string {
	s = strings.ToValidUTF8(s[:min(len(s), 4*n)], "")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= n {
		return s
	}
	for n -= len("…"); n > 0 && !utf8.RuneStart(s[n]); n-- {
	}
	return s[:n] + "…"
}
