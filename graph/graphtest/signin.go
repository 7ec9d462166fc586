package graphtest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

func (q *request) discovery() answer {
	base, tenant := q.base(), q.t.identity().ID
	doc := map[string]any{
		"issuer":                 base + "/" + tenant + "/v2.0",
		"authorization_endpoint": base + "/" + tenant + "/oauth2/v2.0/authorize",
		"token_endpoint":         base + "/" + tenant + "/oauth2/v2.0/token",
		"jwks_uri":               base + "/" + tenant + "/discovery/v2.0/keys",
	}
	b, err := marshal(doc)
	if err != nil {
		return q.fail(http.StatusInternalServerError, "generalException", "internal error")
	}
	return answer{status: http.StatusOK, body: b}
}

func (q *request) token() answer {
	form, err := url.ParseQuery(string(q.body))
	if err != nil {
		return answer{status: http.StatusBadRequest, body: []byte(`{"error":"invalid_request"}`)}
	}
	if form.Get("client_secret") != q.t.identity().Secret {
		return answer{status: http.StatusUnauthorized, body: []byte(`{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided.","error_codes":[7000215]}`)}
	}
	roles := q.t.Roles
	if roles == nil {
		roles = []string{"User.Read.All", "Organization.Read.All"}
	}
	token := q.t.issue(claims{Tid: q.t.identity().ID, Roles: roles, Exp: q.now.Add(time.Hour).Unix()})
	return answer{status: http.StatusOK, body: []byte(`{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"` + token + `"}`)}
}

// claims are those of an access token for Graph.
type claims struct {
	Tid   string   `json:"tid"`
	Roles []string `json:"roles,omitempty"`
	Exp   int64    `json:"exp"`
}

func (t *Tenant) issue(c claims) string {
	payload, err := json.Marshal(c)
	if err != nil {
		return ""
	}
	enc := base64.RawURLEncoding
	head := enc.EncodeToString([]byte(`{"typ":"JWT","alg":"RS256"}`)) + "." + enc.EncodeToString(payload)
	return head + "." + enc.EncodeToString(t.sign(head))
}

func (t *Tenant) sign(head string) []byte {
	m := hmac.New(sha256.New, []byte("graphtest access "+t.identity().ID))
	m.Write([]byte(head))
	return m.Sum(nil)
}

func (q *request) authorize() (answer, bool) {
	bearer, _ := strings.CutPrefix(q.r.Header.Get("Authorization"), "Bearer ")
	var c claims
	if parts := strings.Split(bearer, "."); len(parts) == 3 {
		sig, err := base64.RawURLEncoding.DecodeString(parts[2])
		payload, err2 := base64.RawURLEncoding.DecodeString(parts[1])
		if err == nil && err2 == nil && hmac.Equal(sig, q.t.sign(parts[0]+"."+parts[1])) {
			if json.Unmarshal(payload, &c) == nil && q.now.Unix() < c.Exp {
				q.roles = c.Roles
				if slices.Contains(c.Roles, "User.Read.All") {
					return answer{}, true
				}
				return q.fail(http.StatusForbidden, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."), false
			}
		}
	}
	a := q.fail(http.StatusUnauthorized, "InvalidAuthenticationToken", "Access token has expired or is not yet valid.")
	a.header = http.Header{"Www-Authenticate": {`Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize"`}}
	return a, false
}

func (q *request) organization() answer {
	id := q.t.identity()
	b, err := marshal(map[string]any{"value": []any{map[string]any{
		"id": id.ID, "displayName": id.Name,
		"verifiedDomains": []any{map[string]any{"name": id.Domain, "isDefault": true, "isInitial": false, "type": "Managed", "capabilities": "Email, OfficeCommunicationsOnline"}},
	}}})
	if err != nil {
		return q.fail(http.StatusInternalServerError, "generalException", "internal error")
	}
	return answer{status: http.StatusOK, body: b}
}
