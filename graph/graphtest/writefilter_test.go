package graphtest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

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

// Once something was written, those who have a name are looked up and no longer looked for. The answers must be the same.
func TestLookingUpIsLookingFor(t *testing.T) {
	clock := newClock()
	read, written := &graphtest.Tenant{Now: clock.now}, &graphtest.Tenant{Now: clock.now}
	for _, tenant := range []*graphtest.Tenant{read, written} {
		tenant.Generate(600, 3)
		tenant.Roles = []string{"User.ReadWrite.All"}
	}
	a, b := connect(t, read), connect(t, written)
	b.call(http.MethodPatch, "/v1.0/users/"+written.IDs()[0], `{"mail":"nobody@contoso.com"}`)
	b.call(http.MethodPatch, "/v1.0/users/"+written.IDs()[0], `{"mail":"nobody2@contoso.com"}`)
	first := written.IDs()[0]
	read.Update(first, map[string]any{"mail": "nobody2@contoso.com"})
	anchor := "extension_" + graphtest.GeneratedExtension + "_costCentre"
	for round := range 3 {
		ids := read.IDs()
		name := func(n int, property string) string {
			u, _ := read.User(ids[n])
			return strings.Trim(fmt.Sprintf("%s", u[property]), `"`)
		}
		upn := func(n int) string { return name(n, "userPrincipalName") }
		for _, filter := range []string{
			"userPrincipalName eq '" + strings.ToUpper(upn(5)) + "'", "userPrincipalName in ('" + upn(7) + "','x','" + upn(6) + "')",
			"mail eq '" + name(498, "mail") + "'", "mail eq 'nobody@contoso.com' or mail eq 'NOBODY2@contoso.com'",
			anchor + " eq '" + name(9, anchor) + "' or userPrincipalName eq '" + upn(3) + "'", "employeeId eq '100011' and accountEnabled eq true",
			"userPrincipalName eq '" + upn(8) + "' or surname eq '" + name(2, "surname") + "'", "mail eq null", "userPrincipalName eq 'x' or startswith(displayName,'A')",
		} {
			path := "/v1.0/users?$select=id&$top=7&$filter=" + url.QueryEscape(filter)
			if got, want := fmt.Sprint(b.sortedIDs(path)), fmt.Sprint(a.sortedIDs(path)); got != want {
				t.Errorf("round %d: %s: got %s, want %s", round, filter, got, want)
			}
		}
		for _, key := range []string{upn(4), "x@contoso.com", strings.ToUpper(upn(5))} {
			if got, want := b.get("/v1.0/users/"+key+"?$select=id"), a.get("/v1.0/users/"+key+"?$select=id"); got.status != want.status || got.status == 200 && got.fields(t)["id"] != want.fields(t)["id"] {
				t.Errorf("round %d: %s: got %d %s, want %d %s", round, key, got.status, got.body, want.status, want.body)
			}
		}
		five, eight := upn(5)+"x", upn(8)+"y"
		for _, tenant := range []*graphtest.Tenant{read, written} {
			tenant.Update(ids[5], map[string]any{"userPrincipalName": five})
			tenant.Delete(ids[6])
			tenant.SetFaults(graphtest.Faults{Lag: time.Duration(round) * time.Minute}) // so that the last round shows the past
			tenant.Update(ids[8], map[string]any{"userPrincipalName": eight, "mail": nil, anchor: "z"})
		}
	}
}
