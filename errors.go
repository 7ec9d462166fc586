package dirsync

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrorKind is what an error means to whoever must decide what to do next. Clients classify at the edge; the engine
// decides.
type ErrorKind uint8

// The kinds of error.
const (
	Unknown      ErrorKind = iota
	Unavailable            // no answer, a broken answer, or the service says that it cannot now: try again
	Throttled              // too many requests: try again at RetryAt
	Unauthorized           // the credential is wrong, expired or not accepted
	Permission             // signed in, but not allowed
	NotFound               // no such object
	Conflict               // another object has the value that must be unique; nothing was changed
	Invalid                // the values or the request are refused; nothing was changed
	Locked                 // another process holds the resource
	Corrupt                // stored data is damaged
	Storage                // the disk is full or fails
)

func (k ErrorKind) String() string {
	switch k {
	case Unavailable:
		return "unavailable"
	case Throttled:
		return "throttled"
	case Unauthorized:
		return "unauthorized"
	case Permission:
		return "permission missing"
	case NotFound:
		return "not found"
	case Conflict:
		return "conflict"
	case Invalid:
		return "invalid"
	case Locked:
		return "locked"
	case Corrupt:
		return "corrupt"
	case Storage:
		return "storage"
	default:
		return "error"
	}
}

// Error is every error that crosses a package border and that somebody must act on. Its text never holds a secret.
type Error struct {
	// Op is what was being done, in words that read well before a colon: "read users".
	Op string
	// ID is the person concerned, if one is.
	ID   ID
	Kind ErrorKind
	// RetryAt is the earliest moment at which trying again makes sense; zero when nobody said.
	RetryAt time.Time
	// Field and Value are the value that was refused, and Other who holds it already, for Conflict and Invalid.
	Field, Value, Other string
	// Hint says what a person can do about it, as a sentence.
	Hint string
	Err  error
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.ID != "" {
		fmt.Fprintf(&b, " (%s)", e.ID)
	}
	switch {
	case e.Err != nil && b.Len() > 0:
		b.WriteString(": " + e.Err.Error())
	case e.Err != nil:
		b.WriteString(e.Err.Error())
	default:
		b.WriteString(": " + e.Kind.String())
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the outermost *Error in err's chain, and Unknown when there is none.
func KindOf(err error) ErrorKind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Unknown
}

// RetryAt returns when the first *Error in err's chain says that trying again makes sense; zero when it does not say.
func RetryAt(err error) time.Time {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.RetryAt
	}
	return time.Time{}
}

// HintOf returns the first hint in err's chain, from the outside in, or "".
func HintOf(err error) string {
	for err != nil {
		e, ok := errors.AsType[*Error](err)
		if !ok {
			return ""
		}
		if e.Hint != "" {
			return e.Hint
		}
		err = e.Err
	}
	return ""
}
