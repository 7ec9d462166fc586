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
	f.Add("Contoso.Com", "client_id=simulated~secret.value&grant_type=client_credentials", "0")
	f.Fuzz(func(t *testing.T, name, body, bearer string) {
		r := httptest.NewRequest(http.MethodPost, authority, strings.NewReader(body))
		r.URL.Path = "/" + name + "/oauth2/v2.0/token"
		w := httptest.NewRecorder()
		tenant.ServeHTTP(w, r)
		if w.Code >= 500 || !json.Valid(w.Body.Bytes()) {
			t.Errorf("form %q: %d %s", body, w.Code, w.Body)
		}
		// The service repeats the names that it does not know, so whoever sends the secret as one of them reads it again.
		form, _ := url.ParseQuery(body)
		said := name + form.Get("client_id") + form.Get("scope") + form.Get("grant_type")
		if strings.Contains(w.Body.String(), graphtest.DefaultSecret) && !strings.Contains(said, graphtest.DefaultSecret) {
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

// FuzzWrite sends any body and any link to every place that takes one, alone and in a batch, and demands an answer in JSON
// that is not a server's error, and that what is read afterwards is still JSON.
func FuzzWrite(f *testing.F) {
	f.Add("/users", newUser("ada", `"mail":"ada@contoso.com","employeeOrgData":{"costCenter":null,"division":"x"}`))
	f.Add("/users/%s", `{"jobTitle":null,"businessPhones":[],"onPremisesExtensionAttributes":{"extensionAttribute1":"x"},"employeeHireDate":"9999-12-31T23:59:59.999Z"}`)
	f.Add("/users/%s", `{"extension_00d886240b5a4d4c9b4f0f3d2b1c8928_tags":["a",null],"passwordProfile":{"password":"aB3$xyzw"}}`)
	f.Add("/users/%s/manager/$ref", `{"@odata.id":"https://graph.microsoft.com/v1.0/users('x')"}`)
	f.Add("/groups/%s", `{"members@odata.bind":["https://graph.microsoft.com/v1.0/directoryObjects/a%2fb"],"groupTypes":[]}`)
	f.Add("/groups", newGroup("x", `"uniqueName":"x"`))
	f.Add("/$batch", `{"requests":[`+wrapped("1", "POST", "/users", "{}")+`,`+wrapped("2", "PATCH", "/users/%zz?a;b", "{}", "1")+`]}`)
	f.Add("/$batch", `{"requests":[`+bare("é", "BREW", "users/../groups#x")+`]}`)
	f.Add("/directory/deletedItems/%s/restore", `{"newUserPrincipalName":"x@contoso.com"}`)
	f.Fuzz(func(t *testing.T, path, body string) {
		tenant := &graphtest.Tenant{Roles: []string{"User.ReadWrite.All", "Group.ReadWrite.All", "Directory.ReadWrite.All"}}
		tenant.AddExtension(graphtest.Extension{Name: "tags", MultiValued: true})
		id := addPeople(tenant, "A")[0]
		gone := addPeople(tenant, "B")[0]
		tenant.Delete(gone)
		group := tenant.AddGroup(graphtest.Group{})[0]
		token := accessToken(t, tenant)
		send := func(method, path, body string) {
			r := httptest.NewRequest(method, authority, strings.NewReader(body))
			r.URL.Path = "/v1.0" + path
			r.Header.Set("Authorization", "Bearer "+token)
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			tenant.ServeHTTP(w, r)
			if w.Code >= 500 || w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
				t.Errorf("%s %s %s: %d %s", method, path, body, w.Code, w.Body)
			}
		}
		for _, of := range []string{id, group, gone} {
			for _, method := range []string{http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete} {
				send(method, strings.ReplaceAll(path, "%s", of), body)
			}
		}
		link, _ := json.Marshal(body)
		send(http.MethodPost, "/groups/"+group+"/members/$ref", `{"@odata.id":`+string(link)+`}`)
		send(http.MethodPatch, "/groups/"+group, `{"members@odata.bind":[`+string(link)+`]}`)
		send(http.MethodPut, "/users/"+id+"/manager/$ref", `{"@odata.id":`+string(link)+`}`)
		for _, path := range []string{"/users", "/groups", "/users/delta", "/groups/delta", "/directory/deletedItems/graph.user"} {
			send(http.MethodGet, path, "")
		}
	})
}
