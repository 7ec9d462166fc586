package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"dirsync"
)

// signInFault is an error body of the sign-in service (Microsoft identity platform, "Microsoft Entra authentication and
// authorization error codes").
type signInFault struct {
	Error       string
	Description string `json:"error_description"`
	Codes       []int  `json:"error_codes"`
}

var aadstsForm = regexp.MustCompile(`AADSTS(\d{4,8})`)

func parseSignInFault(body []byte) signInFault {
	var raw struct {
		Error       json.RawMessage
		Description json.RawMessage `json:"error_description"`
		Codes       json.RawMessage `json:"error_codes"`
	}
	if json.Unmarshal(body, &raw) != nil {
		return signInFault{}
	}
	f := signInFault{Error: plain(raw.Error), Description: plain(raw.Description)}
	if json.Unmarshal(raw.Codes, &f.Codes) != nil {
		f.Codes = nil
	}
	// error_codes is what programs are to read. The text stands in where it is missing.
	if m := aadstsForm.FindStringSubmatch(f.Description); len(f.Codes) == 0 && m != nil {
		f.Codes = []int{number(m[1])}
	}
	return f
}

// number reads the few digits that a form has found.
func number(digits string) int {
	n, _ := strconv.Atoi(digits)
	return n
}

// says returns the sentence of the description that speaks to people, without the identifiers that trail it.
func (f signInFault) says() string {
	text, _, _ := strings.Cut(f.Description, "Trace ID:")
	if text = clip(text); text != "" {
		return text
	}
	return clip(f.Error)
}

const signInOp = "sign in"

// signInError classifies a sign-in that gave no token.
func (c *Client) signInError(last lastAnswer, err error) *dirsync.Error {
	switch cred := c.cfg.Credential; {
	case (cred.ownsClient() || cred.WorkloadIdentity != "") && last.status == 0 && isEnded(err):
		return &dirsync.Error{Op: signInOp, Err: err}
	case cred.ManagedIdentity != "":
		return c.managedError(last, err)
	case cred.AzureCLI:
		return c.cliError(err)
	case cred.WorkloadIdentity != "" && last.status == 0 && last.err == nil:
		return federatedError(err)
	}
	service := "the sign-in service at " + strings.TrimPrefix(c.cfg.Authority, "https://")
	if last.err != nil {
		return c.networkError(context.Background(), signInOp, service, last.err)
	}
	e := &dirsync.Error{Op: signInOp, Kind: dirsync.Unavailable}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || last.status == 0 {
		e.Err = fmt.Errorf("%s gave no answer: %w", service, errors.New(redact(cleanError(err), c.cfg.Credential)))
		e.Hint = "Check the credential and the authority in the configuration."
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			e.Kind, e.Err, e.Hint = dirsync.Unknown, err, ""
		}
		return e
	}
	fault := parseSignInFault(last.body)
	if fault.Error == "" && len(fault.Codes) == 0 {
		e.Err = fmt.Errorf("%s answered HTTP %d with %s instead of a token", service, last.status, kindOfBody(last.answer))
		e.Hint = "Check the authority and the tenant id in the configuration, and what stands between this machine and the authority."
	} else {
		e.Err = errors.New(redact(fault.says(), c.cfg.Credential))
		e.Kind, e.Hint = c.judgeSignIn(last.answer, fault)
	}
	switch {
	case last.status == http.StatusTooManyRequests:
		e.Kind, e.Hint = dirsync.Throttled, "Too many sign-ins were asked for. The next run tries again."
	case last.status >= 500:
		e.Kind, e.Hint = dirsync.Unavailable, "The sign-in service is not available at the moment. The next run tries again."
	}
	if wait, ok := retryAfter(last.header, c.cfg.Now()); ok {
		e.RetryAt = c.cfg.Now().Add(wait)
	}
	return e
}

// advice is one row of the table of sign-in errors.
type advice struct {
	codes []int
	kind  dirsync.ErrorKind
	hint  string
}

// signInAdvice is the table. {tenant}, {client}, {ask}, {authority} and {scope} stand for what is configured, and
// {clouds} for what can be.
func signInAdvice() []advice {
	return []advice{
		{[]int{700016, 7000229}, dirsync.Unauthorized, "The application {client} is not known in tenant {tenant}. Check the client id and the tenant id; if both are right, have an administrator of the tenant {ask}."},
		{[]int{700038}, dirsync.Unauthorized, "The client id {client} is mistyped. Copy the Application (client) ID from the app registration's overview page."},
		{[]int{7000215}, dirsync.Unauthorized, "The client secret is wrong. Paste the secret's Value, not its Secret ID. A new secret takes up to a minute to work."},
		{[]int{7000222}, dirsync.Unauthorized, "The client secret has expired. Create a new one under Certificates & secrets of the app registration and put it in place of the old one, or use a certificate."},
		{[]int{90002, 900023, 50059, 900021}, dirsync.Unauthorized, "There is no tenant {tenant} at {authority}. Check the tenant id, and whether the tenant belongs to another national cloud; cloud is one of {clouds}."},
		{[]int{90038, 900382, 900383}, dirsync.Unauthorized, "The tenant {tenant} belongs to another national cloud than {authority}. Set cloud to the tenant's own, which is one of {clouds}."},
		{[]int{500011}, dirsync.Unauthorized, "The tenant does not know {scope}. The Graph address belongs to another cloud than the tenant. Set cloud to the tenant's own, which is one of {clouds}, and leave the addresses out."},
		{[]int{650052}, dirsync.Permission, "The tenant has no subscription to a service of which the application wants permissions. Remove those permissions from the app registration {client}, and ask for consent again."},
		{[]int{65001, 650056, 650057}, dirsync.Permission, "The application has no consent in the tenant. Have an administrator {ask}; it needs User.Read.All, and Organization.Read.All for the tenant's name."},
		{[]int{7000218}, dirsync.Unauthorized, "The request reached the sign-in service without its credential. Look for a proxy that changes requests."},
		{[]int{700027, 700021, 7000214}, dirsync.Unauthorized, "The tenant does not know the certificate. Upload the certificate, without its key, under Certificates & secrets of the app registration {client}."},
		{[]int{70021, 700211, 700212, 700213}, dirsync.Unauthorized, "The application {client} does not trust this workload. Compare issuer, subject and audience in the message with the ones under Certificates & secrets, Federated credentials, of the app registration."},
		{[]int{700024}, dirsync.Unauthorized, "The sign-in was signed at a time that the service does not accept. Compare this machine's clock with a time server's."},
		{[]int{7000112}, dirsync.Unauthorized, "The application {client} is disabled in the tenant. Have an administrator enable sign-in under Enterprise applications, Properties."},
		{[]int{53003, 530035, 53000, 53001}, dirsync.Permission, "A Conditional Access policy blocks the application. Have an administrator exempt it, or allow the network address that this machine comes from."},
		{[]int{50194, 9001023}, dirsync.Unauthorized, "Configure the tenant's own id: applications cannot sign in to a shared address such as common."},
		{[]int{70011, 28002, 1002012, 70003}, dirsync.Invalid, "The sign-in service does not understand what it is asked for. Check the Graph address; if it is right, this is a defect of this program."},
		{[]int{90055, 50196}, dirsync.Throttled, "The sign-in service is asked too often. Wait some minutes; if nothing else uses the application, look for a process that restarts all the time."},
	}
}

func (c *Client) judgeSignIn(a answer, fault signInFault) (dirsync.ErrorKind, string) {
	fill := strings.NewReplacer("{tenant}", c.cfg.Tenant, "{client}", c.cfg.ClientID, "{ask}", c.ask(),
		"{authority}", c.cfg.Authority, "{scope}", c.tokens.scope, "{clouds}", cloudNames())
	for _, row := range signInAdvice() {
		if slices.ContainsFunc(fault.Codes, func(code int) bool { return slices.Contains(row.codes, code) }) {
			return row.kind, fill.Replace(row.hint) + c.clockHint()
		}
	}
	switch {
	case strings.EqualFold(fault.Error, "invalid_tenant"):
		return dirsync.Unauthorized, fill.Replace("There is no tenant {tenant} at {authority}. Check the tenant id, and whether the tenant belongs to another national cloud.")
	case strings.EqualFold(fault.Error, "invalid_client"), a.status == http.StatusUnauthorized:
		return dirsync.Unauthorized, fill.Replace("The sign-in service does not accept the credential of application {client}. Check the client id and the credential.") + c.clockHint()
	case strings.EqualFold(fault.Error, "temporarily_unavailable"):
		return dirsync.Unavailable, "The sign-in service is not available at the moment. The next run tries again."
	}
	return dirsync.Unauthorized, fill.Replace("Look the code up at https://login.microsoftonline.com/error, and check the tenant id {tenant}, the client id {client} and the credential.") + c.clockHint()
}
