package graph

import (
	"errors"
	"slices"
	"strings"

	"dirsync"
)

// consentError says why an administrator's browser came back without consent. The texts come from whoever sent the
// browser, so they are made fit for a log, and nothing depends on them.
func (c *Client) consentError(code, description string) *dirsync.Error {
	fault := signInFault{Error: code, Description: description}
	if m := aadstsForm.FindStringSubmatch(description); m != nil {
		fault.Codes = []int{number(m[1])}
	}
	text := redact(fault.says(), c.cfg.Credential)
	if text == "" {
		text = "the administrator's answer is an error without a name"
	}
	e := &dirsync.Error{Op: consentOp, Kind: dirsync.Permission, Err: errors.New(text)}
	e.Kind, e.Hint = c.judgeConsent(fault)
	return e
}

// consentAdvice is the table of what can be done about a consent that was not given. What has to do with the
// application rather than with who consents is in signInAdvice.
func consentAdvice() []advice {
	const declined = "The administrator declined. Ask again when they are ready to accept; the page lists what is asked for, and nothing is read before."
	return []advice{
		{[]int{65004}, dirsync.Permission, declined},
		{[]int{90094, 90093, 90095}, dirsync.Permission, "Whoever signed in may not grant this. For permissions of Microsoft Graph it takes a Privileged Role Administrator or a Global Administrator; a Cloud Application Administrator is not enough."},
		{[]int{500200, 500201, 50020, 500202}, dirsync.Permission, "The account that signed in is a personal one, or not of this tenant. Sign in with a work account of tenant {tenant}, in a private window if the browser offers only others."},
		{[]int{50034}, dirsync.Permission, "The account is not known in tenant {tenant}. Sign in with a work account of that tenant."},
		{[]int{50105}, dirsync.Permission, "The application admits only users who are assigned to it. Have an administrator assign theirs under Enterprise applications, Users and groups, or switch Assignment required off."},
		{[]int{50011, 500113, 900971}, dirsync.Invalid, "The redirect URI is not registered. Add http://localhost as a redirect URI of type Web under Authentication of the app registration {client}."},
		{[]int{700016, 700038}, dirsync.Unauthorized, "No application {client} is known there. Check the client id; if it is registered in another tenant, make it multitenant there."},
		{[]int{650052}, dirsync.Permission, "The tenant has no subscription to a service of which the application wants permissions. Remove those permissions from the app registration {client}, and ask again."},
		{[]int{650056, 650057}, dirsync.Invalid, "The app registration {client} lists no permissions to grant. Add the application permissions User.Read.All and Organization.Read.All of Microsoft Graph under API permissions, and ask again."},
		{[]int{650051, 650054}, dirsync.Unavailable, "The application is just being added to the tenant. Ask again after a minute."},
		{[]int{90072, 90086, 90002, 900023}, dirsync.Permission, "The account or the tenant {tenant} is not known at {authority}. Check the tenant id, and whether the tenant belongs to another national cloud."},
		{[]int{50076, 50079, 50074}, dirsync.Permission, "The sign-in was not completed with a second factor. Ask again, and complete it."},
	}
}

func (c *Client) judgeConsent(fault signInFault) (dirsync.ErrorKind, string) {
	fill := strings.NewReplacer("{tenant}", c.tenantName(), "{client}", c.cfg.ClientID, "{authority}", c.cfg.Authority, "{scope}", c.tokens.scope,
		"{ask}", "open the link again", "{clouds}", cloudNames())
	for _, row := range append(consentAdvice(), signInAdvice()...) {
		if slices.ContainsFunc(fault.Codes, func(code int) bool { return slices.Contains(row.codes, code) }) {
			return row.kind, fill.Replace(row.hint)
		}
	}
	switch strings.ToLower(fault.Error) {
	case "access_denied", "consent_required", "permission_denied":
		return dirsync.Permission, consentAdvice()[0].hint
	case "interaction_required", "login_required":
		return dirsync.Permission, "The sign-in was not completed. Ask again, and complete it."
	case "temporarily_unavailable", "server_error":
		return dirsync.Unavailable, "The sign-in service is not available at the moment. Ask again after some minutes."
	case "unauthorized_client":
		return dirsync.Permission, fill.Replace("The application {client} may not ask this tenant. If it is registered in another tenant, make it multitenant there; otherwise check the client id.")
	case "invalid_scope", "invalid_resource", "invalid_request":
		return dirsync.Invalid, "The sign-in service does not understand the question. Check the client id, and that the Graph address belongs to the same cloud as the authority."
	}
	return dirsync.Permission, "Look the code up at https://login.microsoftonline.com/error, and ask again."
}

// tenantName is the configured tenant as words.
func (c *Client) tenantName() string {
	if c.cfg.Tenant == anyTenant {
		return "that you want to connect"
	}
	return c.cfg.Tenant
}
