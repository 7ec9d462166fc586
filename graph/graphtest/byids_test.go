package graphtest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"dirsync/graph/graphtest"
)

// values are the rows of an answer, as JSON with sorted names.
func (r response) values(t *testing.T) string {
	t.Helper()
	var doc struct{ Value []map[string]any }
	if err := json.Unmarshal(r.body, &doc); err != nil || r.status != http.StatusOK {
		t.Fatalf("got %d %s", r.status, r.body)
	}
	var lines []string
	for _, row := range doc.Value {
		b, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(b))
	}
	return strings.Join(lines, "\n")
}

func quotedIDs(ids ...string) string { return `"` + strings.Join(ids, `","`) + `"` }

func TestGetByIDs(t *testing.T) {
	tenant := granted()
	u := tenant.Add(graphtest.User{"displayName": "A", "department": "Sales"}, graphtest.User{"displayName": "B"}, graphtest.User{"displayName": "C"})
	tenant.Delete(u[2])
	g := tenant.AddGroup(graphtest.Group{"displayName": "G"})[0]
	device := tenant.AddObjects(graphtest.Device, "Laptop")[0]
	c := connect(t, tenant)
	const path = "/v1.0/directoryObjects/getByIds"
	body := `{"ids":[` + quotedIDs(u[1], u[2], "11111111-2222-4333-8444-555555555555", g, device, u[0]) + `],"types":["user"]}`

	r := c.post(path+"?$select=id,displayName,department", body)
	want := `{"@odata.type":"#microsoft.graph.user","department":null,"displayName":"B","id":"` + u[1] + `"}` + "\n" +
		`{"@odata.type":"#microsoft.graph.user","department":"Sales","displayName":"A","id":"` + u[0] + `"}`
	if got := r.values(t); got != want {
		t.Errorf("got\n%s\nwant, without who is not there or no user,\n%s", got, want)
	}
	if got, want := r.header.Get("x-ms-resource-unit"), "2"; got != want {
		t.Errorf("with $select it cost %s, want %s", got, want)
	}
	r = c.post(path, strings.Replace(body, `,"types":["user"]`, "", 1))
	if got := r.values(t); strings.Count(got, "\n") != 3 || !strings.Contains(got, `"displayName":"G"`) || !strings.Contains(got, `"@odata.type":"#microsoft.graph.device"`) {
		t.Errorf("without types: got\n%s", got)
	}
	if got, want := r.header.Get("x-ms-resource-unit"), "5"; got != want {
		t.Errorf("without $select it cost %s, want %s", got, want)
	}

	tenant.SetFaults(graphtest.Faults{ByIDsPlain: true})
	if got := c.post(path+"?$select=department", body).values(t); strings.Contains(got, "department") || !strings.Contains(got, "userPrincipalName") {
		t.Errorf("$select was not disregarded: %s", got)
	}
	tenant.SetFaults(graphtest.Faults{ByIDsWide: true})
	if r := c.post(path, body); r.status != http.StatusForbidden || r.code() != "Authorization_RequestDenied" {
		t.Errorf("without a permission for the directory: got %d %s", r.status, r.body)
	}
	tenant.SetFaults(graphtest.Faults{})
	tenant.Set(func(t *graphtest.Tenant) { t.Roles = []string{"GroupMember.Read.All"} })
	c.token = accessToken(t, tenant)
	want = `{"@odata.type":"#microsoft.graph.user","displayName":null,"id":"` + u[0] + `"}`
	if got := c.post(path+"?$select=displayName", `{"ids":[`+quotedIDs(u[0])+`]}`).values(t); got != want {
		t.Errorf("without User.Read.All: got %s, want %s", got, want)
	}
	for _, bad := range []string{``, `[]`, `{}`, `{"ids":["a"],"types":["user","world"]}`, `{"ids":[` + quotedIDs(make([]string, 1001)...) + `]}`} {
		if r := c.post(path, bad); r.status != http.StatusBadRequest {
			t.Errorf("%.40s: got %d", bad, r.status)
		}
	}
	if r := c.post(path+"?$top=5", body); r.status != http.StatusBadRequest {
		t.Errorf("$top: got %d", r.status)
	}
	if got, want := tenant.Requests().ByIDs, 11; got != want {
		t.Errorf("%d requests were counted, want %d", got, want)
	}
}

func TestFilterIn(t *testing.T) {
	tenant := &graphtest.Tenant{}
	ids := addPeople(tenant, "A", "B", "C")
	c := connect(t, tenant)
	in := func(property string, values ...string) string {
		return "/v1.0/users?$filter=" + url.QueryEscape(property+" in ('"+strings.Join(values, "','")+"')")
	}
	if got, want := fmt.Sprint(c.sortedIDs(in("id", ids[2], strings.ToUpper(ids[0]), "x"))), fmt.Sprint(sorted(ids[0], ids[2])); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var many []string
	for n := range 16 {
		many = append(many, fmt.Sprint(n))
	}
	for _, bad := range []string{in("id", many...), "/v1.0/users?$filter=id%20in%20()", "/v1.0/users?$filter=id%20in%20('a'", "/v1.0/users?$filter=id%20in%20('a'%20'b')", in("city", "a")} {
		if r := c.get(bad); r.status != http.StatusBadRequest {
			t.Errorf("%s: got %d", bad, r.status)
		}
	}
}
