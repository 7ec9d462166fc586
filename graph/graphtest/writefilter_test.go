package graphtest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"dirsync/graph/graphtest"
)

// What somebody who writes must find again can be found by equality, by up to fifteen values at once.
func TestFiltersOfAnchors(t *testing.T) {
	tenant := &graphtest.Tenant{}
	anchor := tenant.AddExtension(graphtest.Extension{Name: "anchor"})[0]
	var ids []string
	for n := range 3 {
		ids = append(ids, tenant.Add(graphtest.User{anchor: fmt.Sprint("A", n), "employeeId": fmt.Sprint("E", n), "mail": fmt.Sprintf("m%d@contoso.com", n),
			"userPrincipalName": fmt.Sprintf("u%d@contoso.com", n), "onPremisesExtensionAttributes": map[string]any{"extensionAttribute3": fmt.Sprint("X", n)}})...)
	}
	c := connect(t, tenant)
	path := func(filter string) string { return "/v1.0/users?$select=id&$filter=" + url.QueryEscape(filter) }
	ors := func(property string, n int) string {
		var clauses []string
		for i := range n {
			clauses = append(clauses, fmt.Sprintf("%s eq 'A%d'", property, i))
		}
		return strings.Join(clauses, " or ")
	}
	const inner = "onPremisesExtensionAttributes/extensionAttribute3"
	for filter, want := range map[string][]string{
		anchor + " eq 'a1'": ids[1:2], ors(anchor, 15): ids, anchor + " eq null": nil,
		inner + " eq 'x2' or " + inner + " eq 'X0'": {ids[0], ids[2]}, "onPremisesExtensionAttributes/extensionAttribute15 eq 'X0'": nil,
		"employeeId eq 'E0'": ids[:1], "mail in ('M0@contoso.com','m2@contoso.com')": {ids[0], ids[2]},
		"userPrincipalName eq 'U1@contoso.com'": ids[1:2], "userPrincipalName in ('u1@contoso.com','nobody@contoso.com')": ids[1:2],
	} {
		if got := c.sortedIDs(path(filter)); fmt.Sprint(got) != fmt.Sprint(sorted(want...)) {
			t.Errorf("%s: got %v, want %v", filter, got, want)
		}
	}
	for _, bad := range []string{ors(anchor, 16), "onPremisesExtensionAttributes/extensionAttribute16 eq 'x'", "onPremisesExtensionAttributes/extensionAttribute01 eq 'x'", "city/x eq 'x'"} {
		if r := c.get(path(bad)); r.status != http.StatusBadRequest {
			t.Errorf("%.60s: got %d %s", bad, r.status, r.body)
		}
	}
	tenant.SetFaults(graphtest.Faults{ShyExtensions: true})
	for _, filter := range []string{anchor + " eq 'A1'", inner + " eq 'X1'"} {
		if r := c.get(path(filter)); r.status != http.StatusBadRequest || r.code() != "Request_UnsupportedQuery" {
			t.Errorf("%s, plainly: got %d %s", filter, r.status, r.body)
		}
		got, _ := c.batch(`{"id":"1","method":"GET","url":"/users?$count=true&$filter=` + url.QueryEscape(filter) + `","headers":{"ConsistencyLevel":"eventual"}}`)
		if g := got["1"]; g.Status != http.StatusOK || !strings.Contains(string(g.Body), ids[1]) {
			t.Errorf("%s, advanced and in a batch: got %d %s", filter, g.Status, g.Body)
		}
	}
}

func TestBinWithCasts(t *testing.T) {
	tenant := &graphtest.Tenant{}
	anchor := tenant.AddExtension(graphtest.Extension{Name: "anchor"})[0]
	id := tenant.Add(graphtest.User{anchor: "A", "userPrincipalName": "a@contoso.com"})[0]
	tenant.Delete(id)
	c := connect(t, tenant)
	want := `"userPrincipalName":"` + strings.ReplaceAll(id, "-", "") + `a@contoso.com","` + anchor + `":"A"`
	for _, cast := range []string{"", "/microsoft.graph.user", "/graph.user"} {
		if r := c.get("/v1.0/directory/deletedItems/" + id + cast + "?$select=userPrincipalName," + anchor); r.status != http.StatusOK || !strings.Contains(string(r.body), want) {
			t.Errorf("%s: got %d %s", cast, r.status, r.body)
		}
	}
	for _, bad := range []string{"/v1.0/directory/deletedItems/" + id + "/graph.group", "/v1.0/directory/deletedItems/x/graph.user"} {
		if r := c.get(bad); r.status != http.StatusNotFound {
			t.Errorf("%s: got %d %s", bad, r.status, r.body)
		}
	}
	if r := c.get("/v1.0/directory/deletedItems/microsoft.graph.user?$filter=startswith(userPrincipalName,'" + strings.ReplaceAll(id, "-", "")[:8] + "')"); !strings.Contains(string(r.body), id) {
		t.Errorf("a filter of mangled names: got %s", r.body)
	}
}

func TestExpandedManagers(t *testing.T) {
	tenant := &graphtest.Tenant{}
	anchor := tenant.AddExtension(graphtest.Extension{Name: "anchor"})[0]
	ids := tenant.Add(graphtest.User{anchor: "boss"}, graphtest.User{anchor: "clerk"})
	tenant.SetManager(ids[1], ids[0])
	c := connect(t, tenant)
	for _, path := range []string{"/v1.0/users/" + ids[1] + "?", "/v1.0/users?$top=999&"} {
		r := c.get(path + "$select=id," + anchor + "&$expand=" + url.QueryEscape("manager($select=id,"+anchor+")"))
		if want := `"` + anchor + `":"clerk","manager":{"@odata.type":"#microsoft.graph.user","` + anchor + `":"boss","id":"` + ids[0] + `"},"id":"` + ids[1] + `"`; !strings.Contains(string(r.body), want) {
			t.Errorf("%s: got %s, want %s in it", path, r.body, want)
		}
	}
}
