package graphtest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"dirsync/graph/graphtest"
)

// FuzzQuery sends any query to the places that take one, with and without a token that is nearly right, and demands an
// answer in JSON that is not a server's error.
func FuzzQuery(f *testing.F) {
	tenant := &graphtest.Tenant{Faults: graphtest.Faults{PageSize: 2}}
	tenant.Generate(5, 1)
	tenant.Roles = []string{"Directory.Read.All"}
	group := tenant.AddGroup(graphtest.Group{"uniqueName": "x"})[0]
	tenant.AddMembers(group, append(tenant.IDs(), group)...)
	token := accessToken(f, tenant)
	get := func(target, query, prefer string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, authority+target, nil)
		r.URL.RawQuery = query
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Prefer", prefer)
		r.Header.Set("ConsistencyLevel", "eventual")
		w := httptest.NewRecorder()
		tenant.ServeHTTP(w, r)
		return w
	}
	var first page
	if err := json.Unmarshal(get("/v1.0/users/delta", "$select=mail", "").Body.Bytes(), &first); err != nil {
		f.Fatal(err)
	}
	link, err := url.Parse(first.Next)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(link.RawQuery, "")
	f.Add(strings.Replace(link.RawQuery, "skip", "delta", 1), "return=minimal")
	f.Add("$select=id,displayName&$filter=id%20eq%20'a'%20or%20id%20eq%20'b'", "odata.maxpagesize=1")
	f.Add("%24select=manager&$deltaToken=latest", "odata.maxpagesize=\"-1\"")
	f.Add("$filter=id eq ''' or id eq 'x'&$top=-1&$skiptoken=", "=,=,return")
	f.Add("$expand=manager($select=id)&$top=999&a;b&%", "")
	f.Add("$filter=startswith(displayName,'a') and not (createdDateTime ge 2020-01-01T00:00:00Z)&$count=true&$orderby=displayName desc&$top=1", "")
	f.Add("$filter=groupTypes/any(c:c eq 'Unified') or id ne ''''&$search=%22displayName:a b%22&$count=true", "")
	f.Add("$select=members,displayName&$deltatoken=", "odata.maxpagesize=1")
	f.Fuzz(func(t *testing.T, query, prefer string) {
		for _, path := range []string{"/v1.0/users/delta", "/v1.0/users", "/v1.0/users/x", "/v1.0/organization", "/v1.0/directory/deletedItems/graph.user",
			"/v1.0/groups", "/v1.0/groups/delta", "/v1.0/groups/" + group + "/members", "/v1.0/groups/" + group + "/transitiveMembers/graph.user", "/v1.0/groups(uniqueName='x')"} {
			w := get(path, query, prefer)
			if w.Code >= 500 || !json.Valid(w.Body.Bytes()) {
				t.Errorf("%s?%s: %d %s", path, query, w.Code, w.Body)
			}
		}
	})
}

// FuzzSignIn sends any form and any bearer token.
func FuzzSignIn(f *testing.F) {
	tenant := &graphtest.Tenant{}
	f.Add("contoso.com", form().Encode(), accessToken(f, tenant))
	f.Add(graphtest.DefaultID, "client_assertion=e30.e30.AA&grant_type=client_credentials", "e30.e30.AA")
	f.Add("common", "%", "..")
	f.Fuzz(func(t *testing.T, name, body, bearer string) {
		r := httptest.NewRequest(http.MethodPost, authority, strings.NewReader(body))
		r.URL.Path = "/" + name + "/oauth2/v2.0/token"
		w := httptest.NewRecorder()
		tenant.ServeHTTP(w, r)
		if w.Code >= 500 || !json.Valid(w.Body.Bytes()) {
			t.Errorf("form %q: %d %s", body, w.Code, w.Body)
		}
		if strings.Contains(w.Body.String(), graphtest.DefaultSecret) {
			t.Errorf("form %q: the answer holds the secret", body)
		}
		r = httptest.NewRequest(http.MethodGet, authority+"/v1.0/users/delta", nil)
		r.Header["Authorization"] = []string{"Bearer " + bearer}
		w = httptest.NewRecorder()
		tenant.ServeHTTP(w, r)
		if w.Code >= 500 || !json.Valid(w.Body.Bytes()) {
			t.Errorf("token %q: %d %s", bearer, w.Code, w.Body)
		}
	})
}
