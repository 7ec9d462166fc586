package server_test

import (
	"encoding/json"
	"strings"
	"testing"

	"dirsync/scim/server"
)

func TestToken(t *testing.T) {
	token, hash := server.NewToken()
	if !strings.HasPrefix(token, server.TokenPrefix) || len(token) < 50 || strings.ToLower(token) != token {
		t.Errorf("token of %d characters", len(token))
	}
	if err := server.CheckToken(token); err != nil {
		t.Error(err)
	}
	if !server.HashToken(token).Equal(hash) || server.HashToken(token+"x").Equal(hash) {
		t.Error("the hash does not tell tokens apart")
	}
	other, _ := server.NewToken()
	if other == token {
		t.Error("the same token twice")
	}
	text, err := json.Marshal(hash)
	var back server.TokenHash
	if err != nil || json.Unmarshal(text, &back) != nil || back != hash {
		t.Errorf("%s, %v", text, err)
	}
	if parsed, err := server.ParseTokenHash(" sha256:" + strings.ToUpper(hash.String())); err != nil || parsed != hash {
		t.Errorf("%v, %v", parsed, err)
	}
	swapped := []byte(token)
	swapped[10], swapped[11] = swapped[11], swapped[10]
	for _, bad := range []string{"", token[1:], token[:len(token)-1], token + "a", strings.ToUpper(token), string(swapped) + "", "dss_", "dss_ö" + token[5:], hash.String()} {
		if bad == token {
			continue // Two equal characters were swapped.
		}
		err := server.CheckToken(bad)
		if err == nil {
			t.Errorf("%q is taken", bad)
		} else if bad != "" && len(bad) > 4 && strings.Contains(err.Error(), bad[4:]) {
			t.Errorf("the error repeats the token: %v", err)
		}
	}
	for _, bad := range []string{"", token, hash.String()[1:]} {
		if _, err := server.ParseTokenHash(bad); err == nil || strings.Contains(err.Error(), "dss_") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestScopes(t *testing.T) {
	r := newRig(t)
	user := r.user("anna")
	group := r.group("g")
	type request struct{ method, path, body string }
	read := map[string][]request{
		"users":  {{"GET", "/Users", ""}, {"GET", "/Users/" + user, ""}, {"POST", "/Users/.search", `{}`}},
		"groups": {{"GET", "/Groups", ""}, {"GET", "/Groups/" + group, ""}, {"POST", "/Groups/.search", `{}`}},
	}
	write := map[string][]request{
		"users": {{"POST", "/Users", `{'userName':'x'}`}, {"PUT", "/Users/" + user, `{'userName':'anna'}`}, {"PATCH", "/Users/" + user, patch(`{'op':'add','path':'title','value':'x'}`)},
			{"DELETE", "/Users/u00000002", ""}},
		"groups": {{"POST", "/Groups", `{'displayName':'x'}`}, {"PUT", "/Groups/" + group, `{'displayName':'g'}`}, {"PATCH", "/Groups/" + group, patch(`{'op':'add','path':'externalId','value':'x'}`)},
			{"DELETE", "/Groups/g00000002", ""}},
	}
	for _, scope := range server.Scopes() {
		token := "Authorization: Bearer only " + string(scope)
		of, may, _ := strings.Cut(string(scope), ":")
		for kind, requests := range read {
			for _, q := range requests {
				a := r.do(q.method, q.path, q.body, token)
				if got, want := a.status == 403, kind != of; got != want {
					t.Errorf("%s: %s %s: %d", scope, q.method, q.path, a.status)
				}
			}
		}
		for kind, requests := range write {
			for _, q := range requests {
				a := r.do(q.method, q.path, q.body, token)
				if got, want := a.status == 403, kind != of || may != "write"; got != want {
					t.Errorf("%s: %s %s: %d", scope, q.method, q.path, a.status)
				}
			}
		}
		r.do("GET", "/Schemas", "", token).want(200)
	}
}

func TestSignIn(t *testing.T) {
	r := newRig(t)
	for _, header := range []string{"", "Bearer", "Bearer ", "Basic all", "all", "Bearer wrong", "Bearer " + strings.Repeat("x", 10_000), "BearerX all"} {
		for _, path := range []string{"/Users", "/ServiceProviderConfig", "/nothing", "/Users?filter=%zz"} {
			a := r.do("GET", path, "", "Authorization: "+header).want(401)
			if got := a.header.Get("WWW-Authenticate"); got != "Bearer" {
				t.Errorf("WWW-Authenticate %q", got)
			}
			if got := a.header.Get("Connection"); got != "close" {
				t.Errorf("whoever is not signed in keeps the connection: %q", got)
			}
		}
	}
	r.do("GET", "/Users?access_token=all", "", "Authorization: ").want(401)
	a := r.do("GET", "/Users", "", "Authorization: Bearer broken").want(503)
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}
