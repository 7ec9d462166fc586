package graphtest

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// consent plays the page on which an administrator grants an application its permissions. There is nobody to ask:
// unless Faults.ConsentError says otherwise, opening the page consents, and tokens issued from then on carry the
// default roles. Both forms are known, /{tenant}/v2.0/adminconsent, which needs a scope and sends it back, and the older
// /{tenant}/adminconsent. The redirect says admin_consent=True when it was declined, too.
func (q *request) consent() answer {
	if a, ok := q.checkTenant(); !ok {
		return a
	}
	v2, who := len(q.path) == 3, q.t.identity()
	back := q.query.Get("redirect_uri")
	switch {
	case strings.EqualFold(q.path[0], "common") && v2:
		return consentPage(http.StatusBadRequest, "AADSTS900144: The tenant must be named; 'common' is not supported here.")
	case !strings.EqualFold(q.query.Get("client_id"), who.ClientID):
		return consentPage(http.StatusBadRequest, "AADSTS700016: Application with identifier '"+q.query.Get("client_id")+"' was not found in the directory '"+who.Name+"'.")
	case v2 && !strings.HasSuffix(q.query.Get("scope"), "/.default"):
		return consentPage(http.StatusBadRequest, "AADSTS900144: The request body must contain the following parameter: 'scope'.")
	case back != "" && !slices.Contains(q.t.Redirects, back):
		return consentPage(http.StatusBadRequest, "AADSTS50011: The redirect URI '"+back+"' specified in the request does not match the redirect URIs configured for the application '"+who.ClientID+"'.")
	case back == "" && len(q.t.Redirects) > 0:
		back = q.t.Redirects[0]
	}
	result := url.Values{"admin_consent": {"True"}}
	if state := q.query.Get("state"); state != "" {
		result.Set("state", state)
	}
	declined := q.t.Faults.ConsentError
	if declined != "" {
		result.Set("error", declined)
		result.Set("error_description", fmt.Sprintf("AADSTS65004: The resource owner or authorization server denied the request.\r\nTrace ID: %s\r\nCorrelation ID: %s\r\nTimestamp: %s",
			q.id, q.clientID(), q.now.UTC().Format("2006-01-02 15:04:05Z")))
	} else {
		q.t.Roles = nil
		result.Set("tenant", who.ID)
		if v2 {
			result.Set("scope", q.query.Get("scope"))
		}
	}
	if back == "" {
		if declined != "" {
			return consentPage(http.StatusForbidden, "AADSTS65004: The administrator declined.")
		}
		return consentPage(http.StatusOK, "The permissions were granted.")
	}
	separator := "?"
	if strings.Contains(back, "?") {
		separator = "&"
	}
	return answer{status: http.StatusFound, header: http.Header{"Location": {back + separator + result.Encode()}}}
}

// consentPage is what a browser shows when it is not sent on.
func consentPage(status int, text string) answer {
	return answer{status: status, header: http.Header{"Content-Type": {"text/html; charset=utf-8"}},
		body: []byte("<!DOCTYPE html><title>Permissions</title><p>" + html.EscapeString(text) + "</p>\n")}
}
