package main

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"dirsync/scim"
	"dirsync/scim/scimtest"
)

// appUser is a user of a simulated application, as tests look at one.
type appUser struct {
	id, external, name, first, last, mail, department string
	active                                            bool
}

// application is what tests look into: a simulated one, or this project's own server.
type application interface {
	// Users and Groups are all that are there, with all that is known of them.
	Users() []*scim.Object
	Groups() []*scim.Object
	// Put makes or replaces a resource of an endpoint, as somebody who works in the application would, and returns its id.
	Put(endpoint, body string) string
}

// appUsers are all users of an application, whatever it shows in lists.
func appUsers(app application) []appUser {
	var out []appUser
	for _, o := range app.Users() {
		text := func(o *scim.Object, name string) string { s, _ := o.Text(name); return s }
		u := appUser{id: text(o, "id"), external: text(o, "externalId"), name: text(o, "userName"), first: text(o.Object("name"), "givenName"),
			last: text(o.Object("name"), "familyName"), department: text(o.Object(scim.EnterpriseURN), "department"), active: true}
		if active, ok := o.Bool("active"); ok {
			u.active = active
		}
		for _, v := range o.List("emails") {
			if e, ok := v.(*scim.Object); ok && text(e, "type") == "work" {
				u.mail = text(e, "value")
			}
		}
		out = append(out, u)
	}
	return out
}

// appGroup is a group of a simulated application; members are ids of users, sorted.
type appGroup struct {
	id, external, name string
	members            []string
}

func appGroups(app application) []appGroup {
	var out []appGroup
	for _, o := range app.Groups() {
		var g appGroup
		g.id, _ = o.Text("id")
		g.external, _ = o.Text("externalId")
		g.name, _ = o.Text("displayName")
		for _, v := range o.List("members") {
			if m, ok := v.(*scim.Object); ok {
				id, _ := m.Text("value")
				g.members = append(g.members, id)
			}
		}
		slices.Sort(g.members)
		out = append(out, g)
	}
	return out
}

// inAppGroups are the external ids of the groups that a user is in, sorted.
func inAppGroups(groups []appGroup, user string) []string {
	var in []string
	for _, g := range groups {
		if slices.Contains(g.members, user) {
			in = append(in, g.external)
		}
	}
	slices.Sort(in)
	return in
}

// stranger is somebody's own account, which no sync may touch.
const stranger = `{"schemas":["` + scim.UserURN + `"],"userName":"stranger@other.example","displayName":"Stranger","active":true,
	"name":{"givenName":"Strange","familyName":"R"},"emails":[{"type":"work","value":"stranger@other.example"}]}`

// strangers are the accounts of an application that are nobody's, as JSON.
func strangers(t testing.TB, app application) string {
	t.Helper()
	var out []string
	for _, o := range app.Users() {
		if name, _ := o.Text("userName"); strings.HasPrefix(name, "stranger") {
			body, err := o.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, string(body))
		}
	}
	return strings.Join(out, "\n")
}

// lost are faults of an answer, with and without the effect of what was asked for.
func lost() []scimtest.Fault {
	return []scimtest.Fault{
		{Drop: true}, {Drop: true, Apply: true}, {Refuse: true}, {Cut: true}, {Status: http.StatusInternalServerError},
		{Status: http.StatusInternalServerError, Apply: true}, {Status: http.StatusBadGateway, Apply: true, Body: "<html>Bad gateway</html>"},
		{Status: http.StatusServiceUnavailable, Apply: true}, {Status: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {"2"}}},
		{Status: http.StatusGatewayTimeout, Apply: true}, {Status: http.StatusTooManyRequests},
		{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}}},
	}
}

// serveApp serves an application on this machine for as long as the test runs, and returns its base URL.
func serveApp(t testing.TB, app http.Handler) string {
	t.Helper()
	server := httptest.NewServer(app)
	t.Cleanup(server.Close)
	return server.URL + "/scim/v2"
}
