package graphtest

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// graphID is the application id of Microsoft Graph in every tenant.
const graphID = "00000003-0000-0000-c000-000000000000"

// discovery answers with the OpenID configuration of the tenant. Sign-in libraries check that the issuer's host is the
// authority's own, and they meet an unknown tenant here and not at the token endpoint.
func (q *request) discovery() answer {
	if a, ok := q.checkTenant(); !ok {
		return a
	}
	id := q.t.identity().ID
	issuer := id
	if strings.EqualFold(q.path[0], "common") || strings.EqualFold(q.path[0], "organizations") {
		id, issuer = q.path[0], "{tenantid}"
	}
	host := q.base() + "/"
	return q.json(http.StatusOK, map[string]any{
		"issuer":                                host + issuer + "/v2.0",
		"authorization_endpoint":                host + id + "/oauth2/v2.0/authorize",
		"token_endpoint":                        host + id + "/oauth2/v2.0/token",
		"device_authorization_endpoint":         host + id + "/oauth2/v2.0/devicecode",
		"end_session_endpoint":                  host + id + "/oauth2/v2.0/logout",
		"jwks_uri":                              host + id + "/discovery/v2.0/keys",
		"userinfo_endpoint":                     q.base() + "/oidc/userinfo",
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "private_key_jwt", "client_secret_basic"},
		"response_types_supported":              []string{"code", "id_token", "code id_token", "id_token token"},
		"response_modes_supported":              []string{"query", "fragment", "form_post"},
		"scopes_supported":                      []string{"openid", "profile", "email", "offline_access"},
		"subject_types_supported":               []string{"pairwise"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"tenant_region_scope":                   "EU",
		"cloud_instance_name":                   "microsoftonline.com",
		"cloud_graph_host_name":                 "graph.windows.net",
		"msgraph_host":                          q.r.Host,
	})
}

// checkTenant refuses a tenant that is not this one. A tenant can be named by its id or its domain.
func (q *request) checkTenant() (answer, bool) {
	who, name := q.t.identity(), q.path[0]
	switch {
	case strings.EqualFold(name, who.ID), strings.EqualFold(name, who.Domain),
		strings.EqualFold(name, "common"), strings.EqualFold(name, "organizations"):
		return answer{}, true
	case !isGUID(name) && !strings.Contains(name, "."):
		return q.refuseSignIn(900023, name), false
	}
	return q.refuseSignIn(90002, name), false
}

// isGUID tells the usual form of a GUID, in either letter case.
func isGUID(s string) bool {
	for i, c := range []byte(s) {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if !strings.ContainsRune("0123456789abcdefABCDEF", rune(c)) {
			return false
		}
	}
	return len(s) == 36
}

// token answers a client credentials request. The checks come in the order in which the service is known to make them:
// tenant, form of the request, application, scope, credential.
func (q *request) token() answer {
	if a, ok := q.checkTenant(); !ok {
		return a
	}
	form, err := url.ParseQuery(string(q.body))
	if err != nil || q.r.Method != http.MethodPost {
		return q.refuseSignIn(900144, "grant_type")
	}
	who := q.t.identity()
	client := form.Get("client_id")
	switch grant := form.Get("grant_type"); {
	case grant == "":
		return q.refuseSignIn(900144, "grant_type")
	case grant != "client_credentials":
		return q.refuseSignIn(70003, grant)
	case strings.EqualFold(q.path[0], "common") || strings.EqualFold(q.path[0], "organizations"):
		return q.refuseSignIn(9001023, q.path[0])
	case client == "":
		return q.refuseSignIn(900144, "client_id")
	case !isGUID(client) || strings.Trim(client, "0-") == "":
		return q.refuseSignIn(700038, client)
	case !strings.EqualFold(client, who.ClientID):
		return q.refuseSignIn(700016, client)
	}
	if code, about := q.checkScope(form.Get("scope")); code != 0 {
		return q.refuseSignIn(code, about)
	}
	if code := q.checkCredential(form); code != 0 {
		return q.refuseSignIn(code, "")
	}
	if code := q.t.Faults.SignIn; code != 0 {
		return q.refuseSignIn(code, "")
	}
	life := q.t.Faults.AccessLife
	if life == 0 {
		life = 3599 * time.Second
	}
	token, err := q.issue(form.Get("claims"), life)
	if err != nil {
		return q.fail(http.StatusInternalServerError, "generalException", err.Error())
	}
	seconds := int(life / time.Second)
	return q.json(http.StatusOK, map[string]any{
		"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token,
	})
}

// checkScope wants exactly one resource, Graph, followed by /.default. The OpenID scopes that sign-in libraries add are
// ignored. The resource may be named by its public address, by its id, or by the host that this request came to.
func (q *request) checkScope(scope string) (code int, about string) {
	resource := ""
	for s := range strings.FieldsSeq(scope) {
		switch s {
		case "openid", "offline_access", "profile", "email":
			continue
		}
		name, ok := strings.CutSuffix(s, "/.default")
		if !ok || resource != "" {
			return 1002012, scope
		}
		resource = name
	}
	switch strings.TrimSuffix(resource, "/") {
	case "":
		return 900144, "scope"
	case "https://graph.microsoft.com", graphID, q.base():
		return 0, ""
	}
	return 500011, resource
}

func (q *request) checkCredential(form url.Values) (code int) {
	secret, assertion := form.Get("client_secret"), form.Get("client_assertion")
	switch {
	case assertion != "":
		if form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
			return 7000218
		}
		return q.checkAssertion(assertion)
	case secret == "":
		return 7000218
	case subtle.ConstantTimeCompare([]byte(secret), []byte(q.t.identity().Secret)) == 0,
		q.now.Before(q.t.Faults.SecretFrom):
		return 7000215
	}
	return 0
}

// refuseSignIn answers as the token endpoint does when it refuses. About is what the message is about, where the
// application and tenant do not say it.
func (q *request) refuseSignIn(code int, about string) answer {
	status, short, text := q.signInError(code, about)
	at := q.now.UTC().Format("2006-01-02 15:04:05Z")
	correlation := q.clientID()
	body := map[string]any{
		"error": short,
		"error_description": fmt.Sprintf("AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s",
			code, text, q.id, correlation, at),
		"error_codes": []int{code}, "timestamp": at, "trace_id": q.id, "correlation_id": correlation,
	}
	if code != 700038 && code != 70003 { // captured answers with these two have no address
		body["error_uri"] = q.base() + "/error?code=" + strconv.Itoa(code)
	}
	if code == 53003 || code == 530035 {
		body["suberror"] = "message_only"
		body["claims"] = `{"access_token":{"capolids":{"essential":true,"values":["` + guid(q.t.identity().ID, "policy") + `"]}}}`
	}
	return q.json(status, body)
}

// signInError knows what the service says for an AADSTS number. The statuses of 90002, 900023, 65001, 700027 and
// 7000112 vary between reports.
func (q *request) signInError(code int, about string) (status int, short, text string) {
	who := q.t.identity()
	unauthorized, bad := http.StatusUnauthorized, http.StatusBadRequest
	switch code {
	case 700016:
		return bad, "unauthorized_client", fmt.Sprintf("Application with identifier '%s' was not found in the directory '%s'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.", or(about, who.ClientID), who.Name)
	case 700038:
		return bad, "unauthorized_client", or(about, who.ClientID) + " is not a valid application identifier."
	case 7000215:
		return unauthorized, "invalid_client", fmt.Sprintf("Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '%s'.", who.ClientID)
	case 7000222:
		return unauthorized, "invalid_client", fmt.Sprintf("The provided client secret keys for app '%s' are expired. Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds.", who.ClientID)
	case 90002:
		return bad, "invalid_tenant", fmt.Sprintf("Tenant '%s' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.", or(about, who.ID))
	case 900023:
		return bad, "invalid_request", fmt.Sprintf("Specified tenant identifier '%s' is neither a valid DNS name, nor a valid external domain.", or(about, who.ID))
	case 900144:
		return bad, "invalid_request", fmt.Sprintf("The request body must contain the following parameter: '%s'.", or(about, "grant_type"))
	case 7000218:
		return unauthorized, "invalid_client", "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
	case 700027:
		return unauthorized, "invalid_client", "The certificate with identifier used to sign the client assertion is not registered on application, or client assertion failed signature validation. [Reason - The key was not found.]"
	case 700024:
		return unauthorized, "invalid_client", fmt.Sprintf("Client assertion is not within its valid time range. Current time: %s.", q.now.UTC().Format("2006-01-02T15:04:05.0000000Z"))
	case 700023:
		return unauthorized, "invalid_client", "Client assertion audience claim does not match Realm issuer. Review the documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials."
	case 50027:
		return bad, "invalid_request", "JWT token is invalid or malformed."
	case 7000112:
		return bad, "unauthorized_client", fmt.Sprintf("Application '%s'(%s) is disabled.", who.ClientID, "dirsync")
	case 500011:
		return bad, "invalid_resource", fmt.Sprintf("The resource principal named %s was not found in the tenant named %s. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant.", or(about, "https://graph.microsoft.us"), who.Name)
	case 1002012, 70011, 28002:
		return bad, "invalid_scope", fmt.Sprintf("The provided value for scope %s is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).", or(about, "User.Read"))
	case 70003:
		return bad, "unsupported_grant_type", fmt.Sprintf("The app requested an unsupported grant type '%s'.", or(about, "password"))
	case 9001023:
		return bad, "invalid_request", "The grant type is not supported over the /common or /consumers endpoints. Please use the /organizations or tenant-specific endpoint."
	case 50194:
		return bad, "invalid_request", fmt.Sprintf("Application '%s' is not configured as a multi-tenant application. Usage of the /common endpoint is not supported for such apps created after '10/15/2018'. Use a tenant-specific endpoint or configure the application to be multi-tenant.", who.ClientID)
	case 53003, 530035:
		return bad, "invalid_grant", "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance."
	case 65001:
		return bad, "invalid_grant", fmt.Sprintf("The user or administrator has not consented to use the application with ID '%s' named 'dirsync'. Send an interactive authorization request for this user and resource.", who.ClientID)
	case 650052, 650056:
		return bad, "invalid_client", "Misconfigured application. This could be due to one of the following: the client has not listed any permissions for 'Microsoft Graph' in the requested permissions in the client's application registration."
	case 90038, 900382:
		return bad, "invalid_request", fmt.Sprintf("Tenant '%s' request is being redirected to the National Cloud 'MicrosoftOnline.US'.", who.ID)
	case 90055:
		return http.StatusTooManyRequests, "temporarily_unavailable", "Tenant request rate exceeded allowable limit. Please try again later."
	case 50196:
		return bad, "invalid_grant", "The server terminated an operation because it encountered a client request loop. Please contact your app vendor."
	default:
		return bad, "invalid_request", "The request was refused."
	}
}

// json answers with v.
func (q *request) json(status int, v any) answer {
	b, err := marshal(v)
	if err != nil {
		return q.fail(http.StatusInternalServerError, "generalException", err.Error())
	}
	return answer{status: status, body: b}
}
