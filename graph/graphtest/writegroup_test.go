package graphtest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"dirsync/graph/graphtest"
)

// newGroup is the body of a creation, with more properties behind those that every group needs.
func newGroup(name, more string) string {
	if more != "" {
		more = "," + more
	}
	return `{"displayName":"` + name + `","mailEnabled":false,"mailNickname":"` + name + `","securityEnabled":true` + more + `}`
}

func refTo(set, id string) string { return "https://graph.microsoft.com/v1.0/" + set + "/" + id }

func bind(links ...string) string {
	return `"members@odata.bind":["` + strings.Join(links, `","`) + `"]`
}

func TestLifeOfAGroup(t *testing.T) {
	tenant := &graphtest.Tenant{}
	u := addPeople(tenant, "A", "B", "C")
	c := writer(t, tenant)
	start := c.url + "/v1.0/groups/delta?$select=displayName,members"
	_, link := c.drain(start)
	r := c.call(http.MethodPost, "/v1.0/groups", newGroup("Sales", bind(refTo("users", u[0]))))
	id, _ := r.fields(t)["id"].(string)
	if r.status != http.StatusCreated || !strings.Contains(string(r.body), `#groups/$entity","`) || r.fields(t)["displayName"] != "Sales" || r.fields(t)["securityEnabled"] != true {
		t.Fatalf("create: got %d %s", r.status, r.body)
	}
	user := func(id string, gone bool) string {
		if gone {
			return `{"@odata.type":"#microsoft.graph.user","@removed":{"reason":"deleted"},"id":"` + id + `"}`
		}
		return `{"@odata.type":"#microsoft.graph.user","id":"` + id + `"}`
	}
	shown := func(name, members string) string {
		return `{"displayName":"` + name + `","id":"` + id + `"` + members + `}`
	}
	for n, step := range []struct{ method, path, body, want string }{
		{"PATCH", "", `{"displayName":"Sales"}`, shown("Sales", `,"members@delta":[`+user(u[0], false)+`]`)},
		{"PATCH", "", `{"displayName":"Vendita",` + bind(refTo("directoryObjects", u[1])) + `}`, shown("Vendita", `,"members@delta":[`+user(u[1], false)+`]`)},
		{"POST", "/members/$ref", `{"@odata.id":"` + refTo("users", u[2]) + `"}`, shown("Vendita", `,"members@delta":[`+user(u[2], false)+`]`)},
		{"DELETE", "/members/" + u[0] + "/$ref", "", shown("Vendita", `,"members@delta":[`+user(u[0], true)+`]`)},
		{"DELETE", "", "", `{"@removed":{"reason":"deleted"},"id":"` + id + `"}`},
	} {
		if r := c.call(step.method, "/v1.0/groups/"+id+step.path, step.body); r.status != http.StatusNoContent || len(r.body) > 0 {
			t.Errorf("step %d: got %d %s", n, r.status, r.body)
		}
		var rows []row
		if rows, link = c.drain(link); show(rows) != step.want {
			t.Errorf("step %d: the round shows\n%s, want\n%s", n, show(rows), step.want)
		}
	}
	for _, method := range []string{"PATCH", "DELETE"} {
		if r := c.call(method, "/v1.0/groups/"+id, `{}`); r.status != http.StatusNotFound {
			t.Errorf("%s afterwards: got %d %s", method, r.status, r.body)
		}
	}
}

func TestRefusedOfGroups(t *testing.T) {
	tenant := &graphtest.Tenant{}
	u := addPeople(tenant, "In", "Out", "Gone")
	tenant.Delete(u[2])
	device := tenant.AddObjects(graphtest.Device, "Laptop")[0]
	g := tenant.AddGroup(graphtest.Group{"uniqueName": "taken"}, graphtest.Group{"groupTypes": []string{"Unified"}, "mailEnabled": true, "mailNickname": "m365"},
		graphtest.Group{"groupTypes": []string{"DynamicMembership"}, "membershipRule": "true"}, graphtest.Group{"mailEnabled": true},
		graphtest.Group{"isAssignableToRole": true}, graphtest.Group{"groupTypes": []string{"Unified"}, "mailEnabled": true})
	tenant.AddMembers(g[0], u[0])
	c := writer(t, tenant)
	out := refTo("users", u[1])
	const exists = "One or more added object references already exist for the following modified properties: 'members'."
	for name, test := range map[string]struct {
		method, path, body string
		status             int
		message            string
	}{
		"no name":             {"POST", "", strings.Replace(newGroup("x", ""), "displayName", "description", 1), 400, "A value is required for property 'displayName' of resource 'Group'."},
		"no nickname":         {"POST", "", strings.Replace(newGroup("x", ""), "mailNickname", "description", 1), 400, "A value is required for property 'mailNickname'"},
		"not said if secure":  {"POST", "", strings.Replace(newGroup("x", ""), `,"securityEnabled":true`, "", 1), 400, "A value is required for property 'securityEnabled'"},
		"a bad nickname":      {"POST", "", newGroup("x y", ""), 400, "'mailNickname'"},
		"mail-enabled":        {"POST", "", strings.Replace(newGroup("x", ""), `"mailEnabled":false`, `"mailEnabled":true`, 1), 400, "does not currently support writes of mail-enabled groups"},
		"neither":             {"POST", "", strings.Replace(newGroup("x", ""), `"securityEnabled":true`, `"securityEnabled":false`, 1), 400, "'securityEnabled'"},
		"unknown type":        {"POST", "", newGroup("x", `"groupTypes":["Team"]`), 400, "'groupTypes'"},
		"types of numbers":    {"POST", "", newGroup("x", `"groupTypes":[1]`), 400, "'groupTypes'"},
		"a rule alone":        {"POST", "", newGroup("x", `"membershipRule":"true"`), 400, "'membershipRule'"},
		"no mail":             {"POST", "", newGroup("x", `"groupTypes":["Unified"]`), 400, "'mailEnabled'"},
		"hidden":              {"POST", "", newGroup("x", `"visibility":"HiddenMembership"`), 400, "'visibility'"},
		"a taken nickname":    {"POST", "", strings.Replace(newGroup("M365", `"groupTypes":["Unified"]`), `"mailEnabled":false`, `"mailEnabled":true`, 1), 400, "property mailNickname already exists"},
		"a taken unique name": {"POST", "", newGroup("x", `"uniqueName":"Taken"`), 400, "property uniqueName already exists"},
		"a new stranger":      {"POST", "", newGroup("x", bind(refTo("users", "11111111-2222-4333-8444-555555555555"))), 404, "11111111"},
		"a strange owner":     {"POST", "", newGroup("x", `"owners@odata.bind":["`+refTo("users", u[2])+`"]`), 404, u[2]},
		"read-only":           {"PATCH", "/" + g[0], `{"mail":"x@contoso.com"}`, 400, "'mail' is read-only"},
		"its type":            {"PATCH", "/" + g[0], `{"groupTypes":["Unified"]}`, 400, "'groupTypes' is read-only"},
		"unknown":             {"PATCH", "/" + g[0], `{"nonsense":1}`, 400, "nonsense"},
		"the other's name":    {"PATCH", "/" + g[5], `{"mailNickname":"M365"}`, 400, "property mailNickname already exists"},
		"nobody":              {"PATCH", "/" + u[0], `{}`, 404, u[0]},
		"twenty-one":          {"PATCH", "/" + g[0], "{" + bind(manyRefs(21)...) + "}", 400, "20"},
		"no list":             {"PATCH", "/" + g[0], `{"members@odata.bind":"` + out + `"}`, 400, "@odata.bind"},
		"null":                {"PATCH", "/" + g[0], `{"members@odata.bind":null}`, 400, "@odata.bind"},
		"one twice":           {"PATCH", "/" + g[0], "{" + bind(out, out) + "}", 400, exists},
		"one is in":           {"PATCH", "/" + g[0], "{" + bind(out, refTo("users", u[0])) + "}", 400, exists},
		"one is gone":         {"PATCH", "/" + g[0], "{" + bind(out, refTo("directoryObjects", u[2])) + "}", 404, u[2]},
		"is in":               {"POST", "/" + g[0] + "/members/$ref", `{"@odata.id":"` + refTo("users", u[0]) + `"}`, 400, exists},
		"of another kind":     {"POST", "/" + g[0] + "/members/$ref", `{"@odata.id":"` + refTo("groups", u[1]) + `"}`, 404, u[1]},
		"no link":             {"POST", "/" + g[0] + "/members/$ref", `{}`, 400, "@odata.id"},
		"itself":              {"POST", "/" + g[0] + "/members/$ref", `{"@odata.id":"` + refTo("groups", g[0]) + `"}`, 400, "itself"},
		"nested in a team":    {"POST", "/" + g[1] + "/members/$ref", `{"@odata.id":"` + refTo("groups", g[0]) + `"}`, 400, "Nesting"},
		"by rule":             {"POST", "/" + g[2] + "/members/$ref", `{"@odata.id":"` + out + `"}`, 403, "Insufficient"},
		"by Exchange":         {"POST", "/" + g[3] + "/members/$ref", `{"@odata.id":"` + out + `"}`, 400, "mail-enabled security groups"},
		"administrators":      {"POST", "/" + g[4] + "/members/$ref", `{"@odata.id":"` + out + `"}`, 403, "Insufficient"},
		"administrators name": {"PATCH", "/" + g[4], `{"description":"x"}`, 403, "Insufficient"},
		"no administrators":   {"DELETE", "/" + g[4], "", 403, "Insufficient"},
		"not in":              {"DELETE", "/" + g[0] + "/members/" + u[1] + "/$ref", "", 404, u[1]},
		"stranger not in":     {"DELETE", "/" + g[0] + "/members/x/$ref", "", 404, "x"},
		"in no group":         {"DELETE", "/x/members/" + u[0] + "/$ref", "", 404, "x"},
	} {
		t.Run(name, func(t *testing.T) {
			before := fmt.Sprint(tenant.Groups(), tenant.Members(g[0]))
			r := c.call(test.method, "/v1.0/groups"+test.path, test.body)
			if e := r.failure(t); r.status != test.status || !strings.Contains(e.Message, test.message) {
				t.Errorf("got %d %s, want %d %s", r.status, r.body, test.status, test.message)
			}
			if after := fmt.Sprint(tenant.Groups(), tenant.Members(g[0])); after != before {
				t.Errorf("it changed something: %s became %s", before, after)
			}
		})
	}
	if r := c.call(http.MethodPatch, "/v1.0/groups/"+g[0], "{"+bind(refTo("devices", device), refTo("groups", g[1]), c.url+"/v1.0/directoryObjects/"+u[1])+"}"); r.status != http.StatusNoContent || len(tenant.Members(g[0])) != 4 {
		t.Errorf("members of three kinds: got %d %s, %v", r.status, r.body, tenant.Members(g[0]))
	}
}

func manyRefs(n int) []string {
	var out []string
	for i := range n {
		out = append(out, refTo("users", fmt.Sprintf("11111111-2222-4333-8444-%012d", i)))
	}
	return out
}

func TestRestoredGroups(t *testing.T) {
	tenant := &graphtest.Tenant{}
	u := addPeople(tenant, "A")
	g := tenant.AddGroup(graphtest.Group{"groupTypes": []string{"Unified"}}, graphtest.Group{"mailNickname": "s"})
	tenant.AddMembers(g[0], u[0])
	c := writer(t, tenant)
	for n, want := range []int{200, 404} {
		if r := c.call(http.MethodDelete, "/v1.0/groups/"+g[n], ""); r.status != http.StatusNoContent {
			t.Errorf("delete %d: got %d %s", n, r.status, r.body)
		}
		if r := c.call(http.MethodPost, "/v1.0/directory/deletedItems/"+g[n]+"/restore", "{}"); r.status != want {
			t.Errorf("restore %d: got %d %s, want %d", n, r.status, r.body, want)
		}
	}
	if got := tenant.Members(g[0]); fmt.Sprint(got) != fmt.Sprint(u) {
		t.Errorf("members of the restored group: got %v", got)
	}
	tenant.DeleteGroup(g[0])
	if r := c.call(http.MethodDelete, "/v1.0/directory/deletedItems/"+g[0], ""); r.status != http.StatusNoContent {
		t.Errorf("purge: got %d %s", r.status, r.body)
	}
}

// Whoever forgets the last segment of the path deletes the person and not the membership, as the reference warns.
func TestMembershipOrPerson(t *testing.T) {
	tenant := &graphtest.Tenant{}
	u := addPeople(tenant, "A", "B")
	g := tenant.AddGroup(graphtest.Group{})[0]
	tenant.AddMembers(g, u...)
	c := writer(t, tenant)
	for n, suffix := range []string{"/$ref", ""} {
		if r := c.call(http.MethodDelete, "/v1.0/groups/"+g+"/members/"+u[n]+suffix, ""); r.status != http.StatusNoContent {
			t.Errorf("%q: got %d %s", suffix, r.status, r.body)
		}
		if _, there := tenant.User(u[n]); there != (suffix != "") {
			t.Errorf("%q: the person is there: %v", suffix, there)
		}
	}
}
