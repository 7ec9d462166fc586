package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"dirsync"
	"dirsync/scim"
)

// failure is an error as it is answered.
type failure struct {
	wire scim.Error
	// retry is when to come back, allow the methods that there are.
	retry time.Duration
	allow string
	// cause is for the log.
	cause error
}

func (f *failure) Error() string { return f.wire.Error() }
func (f *failure) Unwrap() error { return f.cause }

func refuse(status int, scimType, format string, args ...any) error {
	return &failure{wire: scim.Error{Status: status, SCIMType: scimType, Detail: fmt.Sprintf(format, args...)}}
}

func notFound(k *kind) error {
	return refuse(http.StatusNotFound, "", "there is no such %s", strings.ToLower(k.Name))
}

// gone says that an error is about a resource that is not there.
func gone(err error) bool {
	f, ok := errors.AsType[*failure](err)
	return ok && f.wire.Status == http.StatusNotFound
}

// asFailure says how any error is answered.
func asFailure(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if e, ok := errors.AsType[*scim.Error](err); ok && e.Status >= 400 && e.Status <= 599 {
		return &failure{wire: *e}
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &failure{wire: scim.Error{Status: 503, Detail: "the request took too long"}, retry: time.Second, cause: err}
	}
	e, ok := errors.AsType[*dirsync.Error](err)
	if !ok {
		return &failure{wire: scim.Error{Status: 500, Detail: "the server could not do this; its log says why"}, cause: err}
	}
	switch e.Kind {
	case dirsync.NotFound:
		return &failure{wire: scim.Error{Status: 404, Detail: "there is no such resource"}}
	case dirsync.Conflict:
		return &failure{wire: scim.Error{Status: 409, SCIMType: scim.Uniqueness, Detail: attribute(e.Field) + " is in use by another resource"}}
	case dirsync.Invalid:
		return &failure{wire: scim.Error{Status: 400, SCIMType: scim.InvalidValue, Detail: "the directory does not accept the value of " + attribute(e.Field)}, cause: err}
	case dirsync.Unavailable, dirsync.Throttled, dirsync.Locked:
		return &failure{wire: scim.Error{Status: 503, Detail: "the directory is busy; try again"}, retry: time.Second, cause: err}
	case dirsync.Permission:
		return &failure{wire: scim.Error{Status: 403, Detail: "the directory does not allow this"}, cause: err}
	default:
		return &failure{wire: scim.Error{Status: 500, Detail: "the server could not do this; its log says why"}, cause: err}
	}
}

func attribute(field string) string {
	if field == "" {
		return "an attribute"
	}
	return field
}
