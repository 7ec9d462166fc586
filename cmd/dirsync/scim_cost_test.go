package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"dirsync/graph/graphtest"
	"dirsync/scim/scimtest"
)

// TestSCIMRequests counts what the command sends to an application: once a user to make them all, once a change afterwards,
// and once to knock at the door when nothing has changed.
func TestSCIMRequests(t *testing.T) {
	for _, groups := range []bool{false, true} {
		t.Run(fmt.Sprint("groups ", groups), func(t *testing.T) { testSCIMRequests(t, groups) })
	}
}

func testSCIMRequests(t *testing.T, groups bool) {
	const people, page, strangersThere = 600, 100, 250
	tenant := &graphtest.Tenant{Roles: []string{"User.Read.All", "Organization.Read.All", "GroupMember.Read.All"}}
	var ids []string
	for i := range people {
		name := fmt.Sprintf("user%04d", i)
		ids = append(ids, tenant.Add(graphtest.User{"givenName": name, "surname": "Test", "displayName": name, "mail": name + "@contoso.com", "department": "Sales"})...)
	}
	var teams []string
	from := "{ entra: contoso }"
	if groups {
		teams = tenant.AddGroup(graphtest.Group{"displayName": "Sales"}, graphtest.Group{"displayName": "Support"})
		for i, id := range ids {
			tenant.AddMembers(teams[i%2], id)
		}
		from = "{ entra: contoso, users: { groups: [Sales, Support] } }"
	}
	server := start(t, tenant)
	app := scimtest.New()
	for i := range strangersThere {
		app.Put("/Users", strings.ReplaceAll(stranger, "stranger@", fmt.Sprintf("stranger%d@", i)))
	}
	config := setUp(t, t.TempDir(), server.URL, server.CA, tenant.Identity())
	unguarded(t, config, from)
	toApplication(t, config, serveApp(t, app))
	run := func(what string, most int) {
		t.Helper()
		app.ResetRequests()
		var out, errs bytes.Buffer
		a := newApp(&out, &errs)
		a.replicaLag = time.Nanosecond // the simulated tenant has one replica
		if code := a.run(t.Context(), []string{"run", "-c", config}); code != exitOK {
			t.Fatalf("%s: exit %d\n%s%s", what, code, out.String(), errs.String())
		}
		n := app.Requests()
		t.Logf("%s: %+v", what, n)
		if n.Total > most {
			t.Errorf("%s: %d requests, want at most %d: %+v\n%s", what, n.Total, most, n, out.String())
		}
	}
	members := 0
	if groups {
		members = 2 + 2*(people/200+people/100) // the groups, and their members: at most a hundred at once, of each batch
	}
	run("the first run", people+strangersThere/page+4+members)
	run("nothing new", 1)
	const k = 9
	for i, id := range ids[:k] {
		switch i % 3 {
		case 0:
			tenant.Update(id, map[string]any{"department": "Legal"})
		case 1:
			tenant.Update(id, map[string]any{"accountEnabled": false})
		case 2:
			tenant.Delete(id)
		}
	}
	run("nine changes", k+1)
	joiner := tenant.Add(graphtest.User{"givenName": "new", "surname": "Test", "displayName": "new", "mail": "new@contoso.com"})
	if groups {
		tenant.AddMembers(teams[0], joiner...)
	}
	// Whether somebody is there already is asked for, once the list has shown that asking works.
	run("one joiner", strangersThere/page+10)
}
