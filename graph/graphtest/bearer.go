package graphtest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// claims are those of an access token for Graph, which has the form of version 1 whatever endpoint issued it. Clients
// must take it for opaque; it is signed here with a key that only the tenant knows.
type claims struct {
	Aud    string   `json:"aud"`
	Iss    string   `json:"iss"`
	Iat    int64    `json:"iat"`
	Nbf    int64    `json:"nbf"`
	Exp    int64    `json:"exp"`
	Name   string   `json:"app_displayname"`
	AppID  string   `json:"appid"`
	AppACR string   `json:"appidacr"`
	IdTyp  string   `json:"idtyp"`
	OID    string   `json:"oid"`
	Roles  []string `json:"roles,omitempty"`
	Sub    string   `json:"sub"`
	Tid    string   `json:"tid"`
	Uti    string   `json:"uti"`
	Ver    string   `json:"ver"`
	Wids   []string `json:"wids"`
	// Answers says that the token was asked for in answer to a claims challenge.
	Answers bool `json:"xms_answers,omitempty"`
}

// issue makes an access token. Its roles are those consented to at this moment, and it keeps them.
func (q *request) issue(wanted string, life time.Duration) (string, error) {
	who := q.t.identity()
	roles := q.t.Roles
	if roles == nil {
		roles = []string{"User.Read.All", "Organization.Read.All"}
	}
	principal := guid(who.ID, "principal", who.ClientID)
	c := claims{
		Aud: "https://graph.microsoft.com", Iss: "https://sts.windows.net/" + who.ID + "/",
		Iat: q.now.Unix() - 300, Nbf: q.now.Unix() - 300, Exp: q.now.Add(life).Unix(),
		Name: "dirsync", AppID: who.ClientID, AppACR: "1", IdTyp: "app", OID: principal, Sub: principal,
		Roles: slices.Clone(roles), Tid: who.ID, Uti: q.id[:22], Ver: "1.0",
		Wids: []string{"0997a1d0-0d1d-4acb-b408-d5ca73121e90"},
		// The claims of a challenge ask for a token not made before a moment; those that libraries always send do not.
		Answers: strings.Contains(wanted, `"nbf"`),
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encode an access token: %w", err)
	}
	enc := base64.RawURLEncoding
	signed := enc.EncodeToString([]byte(`{"typ":"JWT","nonce":"`+q.id+`","alg":"RS256","x5t":"c2ltdWxhdGVk","kid":"c2ltdWxhdGVk"}`)) +
		"." + enc.EncodeToString(payload)
	return signed + "." + enc.EncodeToString(q.t.seal(signed)), nil
}

// seal signs a token with a key of this tenant's alone, so that a token of another is no good here.
func (t *Tenant) seal(signed string) []byte {
	m := hmac.New(sha256.New, []byte("graphtest access "+t.identity().ID))
	m.Write([]byte(signed))
	return m.Sum(nil)
}

const bearerChallenge = `Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", client_id="` + graphID + `"`

// authorize checks the access token of a request to Graph. When it is not good, the answer says so.
func (q *request) authorize() (answer, bool) {
	scheme, token, _ := strings.Cut(q.r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return q.unauthorized("Access token is empty.", ""), false
	}
	parts := strings.Split(token, ".")
	var c claims
	if len(parts) != 3 || decodePart(parts[1], &c) != nil {
		return q.unauthorized("CompactToken parsing failed with error code: 80049217", ""), false
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	f := &q.t.Faults
	switch {
	case err != nil || !hmac.Equal(signature, q.t.seal(parts[0]+"."+parts[1])):
		return q.unauthorized("Access token validation failure. Invalid signature.", ""), false
	case q.now.Unix() >= c.Exp || q.now.Unix() < c.Nbf:
		return q.unauthorized("Access token has expired or is not yet valid.", ""), false
	case f.Challenge && !c.Answers:
		wanted := fmt.Sprintf(`{"access_token":{"nbf":{"essential":true,"value":"%d"}}}`, q.now.Unix())
		return q.unauthorized("Continuous access evaluation resulted in challenge with result: InteractionRequired and code: TokenCreatedWithOutdatedPolicies",
			`, error="insufficient_claims", claims="`+base64.StdEncoding.EncodeToString([]byte(wanted))+`"`), false
	case f.UnknownIdentity:
		return q.fail(http.StatusForbidden, "Authorization_IdentityNotFound", "The identity of the calling application could not be established."), false
	}
	q.roles = c.Roles
	return answer{}, true
}

func (q *request) unauthorized(message, challenge string) answer {
	a := q.fail(http.StatusUnauthorized, "InvalidAuthenticationToken", message)
	a.header = http.Header{"Www-Authenticate": {bearerChallenge + challenge}}
	return a
}

// userRoles are the application permissions each of which suffices to read users (Graph reference, user: delta), and
// organizationRoles to read the organization.
func userRoles() []string {
	return []string{"User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"}
}

// groupRoles are the application permissions each of which suffices to read groups and their members (Graph reference,
// group: delta), hiddenRole the one that it takes besides where the membership is hidden, and deviceRoles and
// principalRoles what shows members of these kinds in full.
func groupRoles() []string {
	return []string{"GroupMember.Read.All", "GroupMember.ReadWrite.All", "Group.Read.All", "Group.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"}
}

const hiddenRole = "Member.Read.Hidden"

func deviceRoles() []string {
	return []string{"Device.Read.All", "Directory.Read.All", "Directory.ReadWrite.All"}
}

func principalRoles() []string {
	return []string{"Application.Read.All", "Application.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"}
}

// byIDRoles are those of which each suffices to ask for objects by their ids at all. What is shown of them is another
// question; see appendMember. The document of getByIds names the directory's alone, and says at once that applications
// can do with less.
func (q *request) byIDRoles() []string {
	if q.t.Faults.ByIDsWide {
		return []string{"Directory.Read.All", "Directory.ReadWrite.All"}
	}
	return slices.Concat(userRoles(), groupRoles(), deviceRoles(), principalRoles())
}

// mayReadHidden tells whether members of groups with hidden membership can be shown.
func (q *request) mayReadHidden() bool { return slices.Contains(q.roles, hiddenRole) }

// has tells whether the token carries one of the roles.
func (q *request) has(roles []string) bool {
	return slices.ContainsFunc(roles, func(role string) bool { return slices.Contains(q.roles, role) })
}

func organizationRoles() []string {
	return []string{"Organization.Read.All", "Organization.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"}
}

// permitted serves a request whose token carries one of the roles that it takes.
func (q *request) permitted(roles func() []string, serve func() answer) answer {
	if !q.has(roles()) || q.t.Faults.Denied {
		return q.fail(http.StatusForbidden, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
	}
	return serve()
}
