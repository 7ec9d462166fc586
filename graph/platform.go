package graph

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"dirsync"
)

// managedError classifies a managed identity that gave no token.
func (c *Client) managedError(last lastAnswer, err error) *dirsync.Error {
	e := &dirsync.Error{Op: signInOp, Kind: dirsync.Unauthorized}
	fault := parseSignInFault(last.body)
	if fault.Error == "" && len(fault.Codes) == 0 {
		var appService struct{ Message string }
		if json.Unmarshal(last.body, &appService) == nil {
			fault.Description = appService.Message
		}
	}
	switch says := redact(fault.says(), c.cfg.Credential); {
	case last.err != nil:
		e.Kind, e.Err = dirsync.Unavailable, errors.New("no endpoint for managed identities answers: "+cleanError(last.err))
		e.Hint = "This machine is not in Azure, or has no managed identity. Enable one for it, or use another kind of credential."
	case last.status == 0:
		e.Err = errors.New("the managed identity cannot be used: " + libraryText(err))
		e.Hint = "Use another kind of credential on this machine."
	case last.status == http.StatusTooManyRequests:
		e.Kind, e.Err = dirsync.Throttled, errors.New("the endpoint for managed identities is asked too often")
		e.Hint = "Other programs on this machine share the endpoint. The next run tries again."
	case last.status >= 500, last.status == http.StatusGone:
		e.Kind, e.Err = dirsync.Unavailable, errors.New("the endpoint for managed identities answered "+describe(last.status, fault.Error))
		e.Hint = "The endpoint is starting or being updated, which takes about a minute. The next run tries again."
	case len(fault.Codes) > 0:
		e.Err = errors.New(says)
		e.Kind, e.Hint = c.judgeSignIn(last.answer, fault)
	case says != "":
		e.Err = errors.New("the endpoint for managed identities answered " + describe(last.status, fault.Error) + ": " + says)
		e.Hint = "The identity is not assigned to this machine. Assign it, or name one that is: system, or the client id of a user-assigned identity."
	default:
		e.Err = errors.New("the endpoint for managed identities answered HTTP " + describe(last.status, "")[len("HTTP "):] + " with " + kindOfBody(last.answer))
		e.Hint = "Something else answers in the endpoint's place. Use another kind of credential on this machine."
	}
	if wait, ok := retryAfter(last.header, c.cfg.Now()); ok {
		e.RetryAt = c.cfg.Now().Add(wait)
	}
	return e
}

// cliError classifies an Azure CLI that gave no token.
func (c *Client) cliError(err error) *dirsync.Error {
	text := libraryText(err)
	e := &dirsync.Error{Op: signInOp, Kind: dirsync.Unauthorized, Err: errors.New("the Azure CLI gave no token: " + redact(text, c.cfg.Credential)),
		Hint: "Sign in with az login --tenant " + c.cfg.Tenant + " and try again."}
	if strings.Contains(text, "not found on path") {
		e.Hint = "Install the Azure CLI, sign in with az login --tenant " + c.cfg.Tenant + ", and try again. For anything but trying out, use a certificate or another kind of credential."
	}
	return e
}

// federatedError classifies a workload identity whose token could not even be read.
func federatedError(err error) *dirsync.Error {
	return &dirsync.Error{Op: signInOp, Kind: dirsync.Unauthorized, Err: err,
		Hint: "Check the path: in Kubernetes it is in AZURE_FEDERATED_TOKEN_FILE, if the pod has the label azure.workload.identity/use: \"true\" and a service account with a client id."}
}

// libraryText is what a sign-in library says, without its own name and its links.
func libraryText(err error) string {
	text := cleanError(err)
	if name, rest, ok := strings.Cut(text, ": "); ok && strings.HasSuffix(name, "Credential") {
		text = rest
	}
	text, _, _ = strings.Cut(text, "To troubleshoot, visit")
	return strings.TrimRight(clip(text), ". ")
}

// isEnded tells errors of a caller who wanted no answer any more.
func isEnded(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// ask says what an administrator has to do so that the application may read, as words that follow "have an
// administrator". A managed identity has no consent page, and the Azure CLI's rights are its user's.
func (c *Client) ask() string {
	if c.cfg.Credential.ownsClient() {
		return "assign the permission to the identity, with New-MgServicePrincipalAppRoleAssignment"
	}
	return "open " + c.ConsentURL()
}

// The permissions without which people cannot be read, the tenant's name, groups, and groups that hide their members.
const (
	userPermission   = "User.Read.All"
	tenantPermission = "Organization.Read.All"
	groupPermission  = "GroupMember.Read.All"
	hiddenPermission = "Member.Read.Hidden"
)

// permissionError is a refusal with the permission that it is for. The journal and the notifications keep an error's text
// and not its hint, so the name has to be in the text.
type permissionError struct {
	permission string
	err        error
}

func needed(permission string, err error) error { return &permissionError{permission, err} }

func (e *permissionError) Error() string { return e.permission + " is needed: " + e.err.Error() }

func (e *permissionError) Unwrap() error { return e.err }

// grant is advice to grant the one permission without which nobody can be read.
func (c *Client) grant() string { return c.grantOf(userPermission, "the users") }

// grantOf is advice to grant a permission to read something of the tenant.
func (c *Client) grantOf(permission, what string) string {
	switch {
	case c.cfg.Credential.AzureCLI:
		return "Sign in to the Azure CLI as somebody who may read " + what + " of the tenant, or use the credential of an application that has " + permission + "."
	case c.cfg.Credential.ownsClient():
		return "Grant " + permission + ": have an administrator " + c.ask() + "."
	}
	return "Grant the application permission " + permission + ": add it to the app registration, then have an administrator " + c.ask() + "."
}
