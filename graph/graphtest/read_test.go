package graphtest_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"dirsync/graph/graphtest"
)

func TestOrganization(t *testing.T) {
	c := connect(t, &graphtest.Tenant{Name: "Fabrikam", Domain: "fabrikam.com"})
	var got struct {
		Context string `json:"@odata.context"`
		Value   []struct {
			ID, DisplayName string
			TenantType      *string
			VerifiedDomains []struct {
				Name, Type, Capabilities string
				IsDefault, IsInitial     bool
			}
		}
	}
	r := c.get("/v1.0/organization")
	if err := json.Unmarshal(r.body, &got); err != nil || len(got.Value) != 1 {
		t.Fatalf("got %s, %v", r.body, err)
	}
	o := got.Value[0]
	if o.ID != graphtest.DefaultID || o.DisplayName != "Fabrikam" || o.TenantType == nil || !strings.HasSuffix(got.Context, "/v1.0/$metadata#organization") {
		t.Errorf("got %s", r.body)
	}
	if d := o.VerifiedDomains; len(d) != 2 || d[0].Name != "fabrikam.onmicrosoft.com" || !d[0].IsInitial || d[1].Name != "fabrikam.com" || !d[1].IsDefault {
		t.Errorf("domains: got %+v", d)
	}
	if r := c.get("/v1.0/organization?$select=id,displayName"); strings.Contains(string(r.body), "tenantType") || strings.Contains(string(r.body), "verifiedDomains") {
		t.Errorf("selected: got %s", r.body)
	}
}

func TestGetUser(t *testing.T) {
	tenant := &graphtest.Tenant{}
	boss := tenant.Add(graphtest.User{"displayName": "Boss", "userPrincipalName": "boss@contoso.com"})[0]
	id := tenant.Add(graphtest.User{"displayName": "Ana", "userPrincipalName": "Ana_fabrikam.com#EXT#@contoso.com", "givenName": "Ana", "manager": nil})[0]
	tenant.SetManager(id, boss)
	tenant.Update(id, map[string]any{"givenName": nil})
	c := connect(t, tenant)
	defaults := `"businessPhones":[],"displayName":"Ana","givenName":null,"jobTitle":null,"mail":null,"mobilePhone":null,"officeLocation":null,"preferredLanguage":null,"surname":null,"userPrincipalName":"Ana_fabrikam.com#EXT#@contoso.com","id":"` + id + `"}`
	for _, tt := range []struct {
		name, path string
		want       string
	}{
		{"by id", "/v1.0/users/" + id, defaults},
		{"by id in upper case", "/v1.0/users/" + strings.ToUpper(id), defaults},
		{"by name", "/v1.0/users/ana_fabrikam.com%23EXT%23@contoso.com", defaults},
		{"by name in quotes", "/v1.0/users('ana_fabrikam.com%23EXT%23@contoso.com')", defaults},
		{"selected", "/v1.0/users/" + id + "?$select=accountEnabled,surname,givenName,userType", `"accountEnabled":true,"surname":null,"givenName":null,"userType":"Member","id":"` + id + `"}`},
		{"expanded", "/v1.0/users/" + id + "?$select=id&$expand=manager($select=id)", `"manager":{"@odata.type":"#microsoft.graph.user","id":"` + boss + `"},"id":"` + id + `"}`},
		{"expanded without one", "/v1.0/users/" + boss + "?$select=id&$expand=manager", `/$metadata#users(id)/$entity","id":"` + boss + `"}`},
		{"manager", "/v1.0/users/" + id + "/manager?$select=displayName", `"@odata.type":"#microsoft.graph.user","displayName":"Boss","id":"` + boss + `"}`},
		{"a property that delta cannot track", "/v1.0/users/" + id + "?$select=skills", `"skills":null,"id":"` + id + `"}`},
	} {
		r := c.get(tt.path)
		if r.status != http.StatusOK || !strings.HasSuffix(string(r.body), tt.want) || !json.Valid(r.body) {
			t.Errorf("%s:\n got %d %s\nwant …%s", tt.name, r.status, r.body, tt.want)
		}
	}
	tenant.Update(id, map[string]any{"businessPhones": []string{"1"}})
	tenant.Update(id, map[string]any{"businessPhones": nil})
	if r := c.get("/v1.0/users/" + id); !strings.HasSuffix(string(r.body), defaults) {
		t.Errorf("after a list was cleared: got %s", r.body)
	}
	for path, want := range map[string]string{"/v1.0/users": "2", "/v1.0/users?$select=mail": "1", "/v1.0/users?$top=5": "1",
		"/v1.0/users?$select=mail&$expand=manager": "2", "/v1.0/users/" + id: "2", "/v1.0/users/delta": "1", "/v1.0/users/delta?$select=mail": "1"} {
		if got := c.get(path).header.Get("x-ms-resource-unit"); got != want {
			t.Errorf("%s: cost: got %s, want %s", path, got, want)
		}
	}
	tenant.Delete(boss)
	for name, path := range map[string]string{
		"deleted user": "/v1.0/users/" + boss, "by name": "/v1.0/users/boss@contoso.com", "deleted manager": "/v1.0/users/" + id + "/manager",
		"nobody": "/v1.0/users/nobody@contoso.com",
	} {
		if r := c.get(path); r.status != 404 || r.code() != "Request_ResourceNotFound" {
			t.Errorf("%s: got %d %s", name, r.status, r.body)
		}
	}
	for name, path := range map[string]string{
		"unknown property": "/v1.0/users/" + id + "?$select=x", "other expand": "/v1.0/users/" + id + "?$expand=memberOf",
		"filter": "/v1.0/users?$filter=startswith(mail,'a')", "unknown resource": "/v1.0/devices", "search": "/v1.0/users?$search=x",
		"huge page": "/v1.0/users?$top=1000", "page of nothing": "/v1.0/users?$top=0",
	} {
		if r := c.get(path); r.status != 400 {
			t.Errorf("%s: got %d %s", name, r.status, r.body)
		}
	}
}

func TestListUsers(t *testing.T) {
	tenant := &graphtest.Tenant{}
	tenant.Generate(250, 1)
	var want []string
	for _, u := range tenant.Users() {
		want = append(want, u["id"].(string))
	}
	tenant.Delete(want[7])
	want = slices.Delete(want, 7, 8)
	c := connect(t, tenant)
	for path, pages := range map[string]int{
		"/v1.0/users":                                      3,
		"/v1.0/users?$top=999":                             1,
		"/v1.0/users?$top=60&$select=id":                   5,
		"/v1.0/users?$select=mail&$count=true":             3,
		"/v1.0/users?$top=125&$expand=manager($select=id)": 2,
	} {
		var got []string
		n := 0
		for link := path; link != ""; n++ {
			p := c.page(link)
			for _, raw := range p.Value {
				var r row
				if err := json.Unmarshal(raw, &r); err != nil {
					t.Fatal(err)
				}
				if _, has := r["accountEnabled"]; has {
					t.Errorf("%s: accountEnabled without being asked for", path)
				}
				got = append(got, r.id())
			}
			link = p.Next
		}
		if !slices.Equal(got, want) || n != pages {
			t.Errorf("%s: got %d people on %d pages, want %d on %d", path, len(got), n, len(want), pages)
		}
	}
	first := c.page("/v1.0/users?$top=5")
	skip := first.Next[strings.Index(first.Next, "$skiptoken="):]
	if r := c.get("/v1.0/users/delta?" + skip); r.status != 400 {
		t.Errorf("a list's token in a delta query: got %d", r.status)
	}
	delta := c.page(c.start("$select=id"))
	if r := c.get("/v1.0/users?" + delta.Next[strings.Index(delta.Next, "$skiptoken="):]); r.status != 400 {
		t.Errorf("a round's token in a list: got %d", r.status)
	}
}

func TestDeletedItems(t *testing.T) {
	clock := newClock()
	tenant := &graphtest.Tenant{Now: clock.now}
	all := tenant.Add(graphtest.User{"displayName": "A"}, graphtest.User{"displayName": "B"})
	c := connect(t, tenant)
	if r := c.get("/v1.0/directory/deletedItems/" + all[0]); r.status != 404 || r.code() != "Request_ResourceNotFound" {
		t.Errorf("present: got %d %s", r.status, r.body)
	}
	tenant.Delete(all[0])
	r := c.get("/v1.0/directory/deletedItems/" + all[0])
	for _, want := range []string{`"@odata.type":"#microsoft.graph.user"`, `"displayName":"A"`, `"deletedDateTime":"2026-03-02T06:00:00Z"`, `"id":"` + all[0] + `"`} {
		if r.status != 200 || !strings.Contains(string(r.body), want) {
			t.Errorf("deleted: got %d %s, want %s", r.status, r.body, want)
		}
	}
	for _, kind := range []string{"microsoft.graph.user", "graph.user"} {
		if p := c.page("/v1.0/directory/deletedItems/" + kind + "?$select=displayName"); len(p.Value) != 1 || !strings.Contains(string(p.Value[0]), all[0]) {
			t.Errorf("the bin: got %s", p.Value)
		}
	}
	clock.advance(30*24*time.Hour - time.Second)
	c.token = accessToken(t, tenant)
	if r := c.get("/v1.0/directory/deletedItems/" + all[0]); r.status != 200 {
		t.Errorf("before thirty days are over: got %d", r.status)
	}
	clock.advance(time.Second)
	if r := c.get("/v1.0/directory/deletedItems/" + all[0]); r.status != 404 {
		t.Errorf("after thirty days: got %d", r.status)
	}
	// Somebody who was restored and deleted again has thirty new days.
	tenant.Delete(all[1])
	clock.advance(20 * 24 * time.Hour)
	tenant.Restore(all[1])
	tenant.Delete(all[1])
	clock.advance(20 * 24 * time.Hour)
	c.token = accessToken(t, tenant)
	if r := c.get("/v1.0/directory/deletedItems/" + all[1]); r.status != 200 {
		t.Errorf("deleted twice, after twenty days: got %d", r.status)
	}
}

func TestMethodsAndPlaces(t *testing.T) {
	tenant := &graphtest.Tenant{}
	c := connect(t, tenant)
	for method, want := range map[string]int{http.MethodPost: 405, http.MethodDelete: 405, http.MethodHead: 405} {
		req, err := http.NewRequestWithContext(t.Context(), method, c.url+"/v1.0/users/delta", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+c.token)
		resp, err := c.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: got %d, want %d", method, resp.StatusCode, want)
		}
	}
	for path, want := range map[string]int{"/": 404, "/beta/users/delta": 404, "/v1.0": 400, "/v1.0/$crossJoin": 400, "/v1.0/$batch": 405, "/x": 404} {
		if r := c.get(path); r.status != want {
			t.Errorf("%s: got %d %s, want %d", path, r.status, r.body, want)
		}
	}
}
