package graphtest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"dirsync/graph/graphtest"
)

// granted is a tenant whose application may read users and groups.
func granted() *graphtest.Tenant {
	return &graphtest.Tenant{Roles: []string{"User.Read.All", "GroupMember.Read.All"}}
}

// addPeople adds users with these display names.
func addPeople(tenant *graphtest.Tenant, names ...string) []string {
	var users []graphtest.User
	for _, name := range names {
		users = append(users, graphtest.User{"displayName": name})
	}
	return tenant.Add(users...)
}

// sortedIDs follows a list to its end and returns its ids in order.
func (c *client) sortedIDs(path string) []string {
	c.tb.Helper()
	out, _, _ := c.listed(path, "id")
	slices.Sort(out)
	return out
}

func sorted(ids ...string) []string {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return ids
}

func TestGroupsNeedARole(t *testing.T) {
	tenant := &graphtest.Tenant{}
	id := tenant.AddGroup(graphtest.Group{})[0]
	user := addPeople(tenant, "A")[0]
	c := connect(t, tenant)
	paths := []string{"/v1.0/groups", "/v1.0/groups/" + id, "/v1.0/groups/delta", "/v1.0/groups/" + id + "/members",
		"/v1.0/groups/" + id + "/transitiveMembers/graph.user", "/v1.0/directory/deletedItems/microsoft.graph.group", "/v1.0/groups/$count"}
	for _, path := range paths {
		if r := c.get(path); r.status != http.StatusForbidden || r.code() != "Authorization_RequestDenied" {
			t.Errorf("%s with the roles of a new tenant: got %d %s", path, r.status, r.body)
		}
	}
	check := "/v1.0/users/" + user + "/checkMemberGroups"
	if r := c.post(check, `{"groupIds":["`+id+`"]}`); r.status != http.StatusForbidden {
		t.Errorf("%s: got %d", check, r.status)
	}
	for _, role := range []string{"GroupMember.Read.All", "Group.Read.All", "Directory.Read.All"} {
		tenant.Set(func(t *graphtest.Tenant) { t.Roles = []string{role} })
		c.token = accessToken(t, tenant)
		c.headers = eventually()
		for _, path := range paths {
			if r := c.get(path); r.status != http.StatusOK {
				t.Errorf("%s with %s: got %d %s", path, role, r.status, r.body)
			}
		}
	}
	want := graphtest.Requests{GroupList: 8, GroupGet: 4, GroupDelta: 4, Members: 4, AllMembers: 4, CheckGroups: 1, Deleted: 4, Total: 33, Token: 4}
	if got := tenant.Requests(); got != want {
		t.Errorf("requests:\n got %+v\nwant %+v", got, want)
	}
}

func TestGetAndListGroups(t *testing.T) {
	tenant := granted()
	all := tenant.AddGroup(
		graphtest.Group{"displayName": "Sales", "uniqueName": "sales", "description": "Who sells"},
		graphtest.Group{"displayName": "Sales", "groupTypes": []string{"Unified"}, "mailEnabled": true, "securityEnabled": false},
		graphtest.Group{"displayName": "Support North"})
	c := connect(t, tenant)
	body := `"createdDateTime":`
	for _, path := range []string{"/v1.0/groups/" + all[0], "/v1.0/groups/" + strings.ToUpper(all[0]), "/v1.0/groups('" + all[0] + "')", "/v1.0/groups(uniqueName='sales')"} {
		r := c.get(path)
		for _, want := range []string{`#groups/$entity",`, body, `"description":"Who sells"`, `"groupTypes":[]`, `"membershipRule":null`, `"visibility":null`, `"id":"` + all[0] + `"`} {
			if r.status != http.StatusOK || !json.Valid(r.body) || !strings.Contains(string(r.body), want) {
				t.Errorf("%s: got %d %s, want %s", path, r.status, r.body, want)
			}
		}
	}
	if r := c.get("/v1.0/groups/" + all[1] + "?$select=groupTypes,members"); !strings.HasSuffix(string(r.body), `#groups(groupTypes,members,id)/$entity","groupTypes":["Unified"],"id":"`+all[1]+`"}`) {
		t.Errorf("selected: got %s", r.body)
	}
	for filter, want := range map[string][]string{
		"startswith(displayName,'sa')":                all[:2],
		"displayName eq 'support north'":              all[2:],
		"uniqueName eq 'sales'":                       all[:1],
		"id eq '" + all[1] + "'":                      all[1:2],
		"groupTypes/any(c:c eq 'Unified')":            all[1:2],
		"securityEnabled eq true":                     {all[0], all[2]},
		"id eq '" + all[0] + "' or id eq 'x'":         all[:1],
		"mailEnabled eq false and displayName eq 'x'": nil,
	} {
		if got, _, _ := c.listed("/v1.0/groups?"+query("$filter", filter, "$top", "1"), "id"); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", filter, got, want)
		}
	}
	if got, _, _ := c.listed("/v1.0/groups?"+query("$orderby", "displayName desc"), "displayName"); fmt.Sprint(got) != "[Support North Sales Sales]" {
		t.Errorf("ordered: got %v", got)
	}
	c.headers = eventually()
	if got, count, _ := c.listed("/v1.0/groups?"+query("$search", `"displayName:nor"`, "$count", "true"), "id"); !slices.Equal(got, all[2:]) || count != 1 {
		t.Errorf("searched: got %v, counted %d", got, count)
	}
	if r := c.get("/v1.0/groups/$count"); string(r.body) != "3" {
		t.Errorf("counted: got %s", r.body)
	}
	for path, want := range map[string]int{"/v1.0/groups/x": 404, "/v1.0/groups(uniqueName='x')": 404, "/v1.0/groups/" + all[0] + "/owners": 400,
		"/v1.0/groups/x/members": 404, "/v1.0/groups/" + all[0] + "/members/graph.car": 400, "/v1.0/groups?$select=surname": 400,
		"/v1.0/groups?$expand=members": 400, "/v1.0/groups/" + all[0] + "/members?$filter=id%20eq%20'x'": 400,
		"/v1.0/groups/" + all[0] + "/members?$select=nonsense": 400, "/v1.0/groups/" + all[0] + "/members?$orderby=id": 400, "/v1.0/groups/" + all[0] + "/members?$top=1000": 400} {
		if r := c.get(path); r.status != want || want == 404 && r.code() != "Request_ResourceNotFound" {
			t.Errorf("%s: got %d %s, want %d", path, r.status, r.body, want)
		}
	}
}

func TestDeletedGroups(t *testing.T) {
	clock := newClock()
	tenant := granted()
	tenant.Now = clock.now
	all := tenant.AddGroup(graphtest.Group{"displayName": "Team", "groupTypes": []string{"Unified"}}, graphtest.Group{"displayName": "Security"})
	user := addPeople(tenant, "A")[0]
	tenant.AddMembers(all[0], user)
	c := connect(t, tenant)
	tenant.DeleteGroup(all[0])
	tenant.DeleteGroup(all[1])
	for _, id := range all {
		if r := c.get("/v1.0/groups/" + id); r.status != http.StatusNotFound || r.code() != "Request_ResourceNotFound" {
			t.Errorf("deleted: got %d %s", r.status, r.body)
		}
	}
	if got := c.sortedIDs("/v1.0/directory/deletedItems/microsoft.graph.group"); !slices.Equal(got, all[:1]) {
		t.Errorf("the bin: got %v", got)
	}
	r := c.get("/v1.0/directory/deletedItems/" + all[0])
	for _, want := range []string{`"@odata.type":"#microsoft.graph.group"`, `"displayName":"Team"`, `"deletedDateTime":"2026-03-02T06:00:00Z"`} {
		if !strings.Contains(string(r.body), want) {
			t.Errorf("one of the bin: got %d %s, want %s", r.status, r.body, want)
		}
	}
	if r := c.get("/v1.0/directory/deletedItems/" + all[1]); r.status != http.StatusNotFound {
		t.Errorf("deleted for good: got %d", r.status)
	}
	tenant.RestoreGroup(all[0])
	if got := c.sortedIDs("/v1.0/groups/" + all[0] + "/members"); !slices.Equal(got, []string{user}) {
		t.Errorf("members of a restored group: got %v", got)
	}
	tenant.SetFaults(graphtest.Faults{SoftGroups: true})
	soft := tenant.AddGroup(graphtest.Group{})[0]
	tenant.DeleteGroup(soft)
	if r := c.get("/v1.0/directory/deletedItems/" + soft); r.status != http.StatusOK {
		t.Errorf("a security group, softly: got %d", r.status)
	}
	clock.advance(30 * 24 * time.Hour)
	c.token = accessToken(t, tenant)
	if r := c.get("/v1.0/directory/deletedItems/" + soft); r.status != http.StatusNotFound {
		t.Errorf("after thirty days: got %d", r.status)
	}
	if got := tenant.Groups(); len(got) != 1 || got[0]["id"] != all[0] {
		t.Errorf("groups: got %v", got)
	}
}

func TestMembers(t *testing.T) {
	tenant := granted()
	people := addPeople(tenant, "A", "B", "C", "D")
	device := tenant.AddObjects(graphtest.Device, "Laptop")[0]
	robot := tenant.AddObjects(graphtest.ServicePrincipal, "Robot")[0]
	g := tenant.AddGroup(graphtest.Group{"displayName": "Top"}, graphtest.Group{"displayName": "Nested"}, graphtest.Group{"displayName": "Circle"})
	tenant.AddMembers(g[0], people[0], g[1], device)
	tenant.AddMembers(g[1], people[1], people[0], g[2], robot)
	tenant.AddMembers(g[2], people[2], people[3], g[0])
	tenant.RemoveMembers(g[2], people[3], people[0])
	c := connect(t, tenant)

	top := "/v1.0/groups/" + g[0]
	for path, want := range map[string][]string{
		"/members":                                sorted(people[0], g[1], device),
		"/members?$top=1":                         sorted(people[0], g[1], device),
		"/members/microsoft.graph.user":           {people[0]},
		"/members/graph.group?$select=id":         {g[1]},
		"/members/microsoft.graph.device":         {device},
		"/transitiveMembers":                      sorted(people[0], people[1], people[2], g[1], g[2], device, robot),
		"/transitiveMembers?$top=2":               sorted(people[0], people[1], people[2], g[1], g[2], device, robot),
		"/transitiveMembers/graph.user?$top=1":    sorted(people[:3]...),
		"/transitiveMembers/graph.group":          sorted(g[1], g[2]),
		"/transitiveMembers/graph.orgContact":     nil,
		"/transitiveMembers/microsoft.graph.user": sorted(people[:3]...),
	} {
		if got := c.sortedIDs(top + path); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
	}
	if got, want := tenant.TransitiveUsers(g[0]), sorted(people[:3]...); !slices.Equal(got, want) {
		t.Errorf("the truth: got %v, want %v", got, want)
	}
	if got, want := tenant.Members(g[0]), []string{people[0], g[1], device}; !slices.Equal(got, want) {
		t.Errorf("direct members: got %v, want %v", got, want)
	}
	body := string(c.get(top + "/members?$select=displayName,userPrincipalName,groupTypes").body)
	for _, want := range []string{
		`{"@odata.type":"#microsoft.graph.user","displayName":"A","userPrincipalName":"user`,
		`{"@odata.type":"#microsoft.graph.group","displayName":"Nested","groupTypes":[],"id":"` + g[1] + `"}`,
		`{"@odata.type":"#microsoft.graph.device","id":"` + device + `","displayName":null,"userPrincipalName":null}`, // no Device.Read.All
	} {
		if !strings.Contains(body, want) {
			t.Errorf("members: got %s, want %s", body, want)
		}
	}
	if body := string(c.get(top + "/members/graph.user?$select=displayName").body); !strings.Contains(body, `/v1.0/$metadata#users(displayName,id)","value":[{"displayName":"A","id":"`) {
		t.Errorf("cast: got %s", body)
	}

	c.headers = eventually()
	if got, count, _ := c.listed(top+"/transitiveMembers?$count=true&$top=3", "id"); count != 7 || len(got) != 7 {
		t.Errorf("counted %d of %d", count, len(got))
	}
	if r := c.get(top + "/members/microsoft.graph.user/$count"); string(r.body) != "1" {
		t.Errorf("$count: got %d %s", r.status, r.body)
	}
	c.headers = nil
	if r := c.get(top + "/members/$count"); r.code() != "Request_BadRequest" {
		t.Errorf("$count without the header: got %d %s", r.status, r.body)
	}
	for path, want := range map[string]string{"/members": "3", "/members?$select=id": "2", "/transitiveMembers": "5", "/transitiveMembers?$select=id": "4", "": "1"} {
		if got := c.get(top + path).header.Get("x-ms-resource-unit"); got != want {
			t.Errorf("%s: cost: got %s, want %s", path, got, want)
		}
	}

	// Who is deleted is no member to be seen, and one again when restored.
	tenant.Delete(people[2])
	if got := c.sortedIDs(top + "/transitiveMembers/graph.user"); !slices.Equal(got, sorted(people[:2]...)) {
		t.Errorf("after a deletion: got %v", got)
	}
	tenant.Restore(people[2])
	if got := c.sortedIDs(top + "/transitiveMembers/graph.user"); !slices.Equal(got, sorted(people[:3]...)) {
		t.Errorf("after a restore: got %v", got)
	}
}

// TestLimitedMembers may read groups and not users: members are a type and an id.
func TestLimitedMembers(t *testing.T) {
	tenant := &graphtest.Tenant{Roles: []string{"GroupMember.Read.All"}}
	user := addPeople(tenant, "A")[0]
	g := tenant.AddGroup(graphtest.Group{}, graphtest.Group{"visibility": "HiddenMembership", "groupTypes": []string{"Unified"}})
	tenant.AddMembers(g[0], user, g[1])
	hidden := addPeople(tenant, "Hidden")[0]
	tenant.AddMembers(g[1], hidden)
	c := connect(t, tenant)
	for _, path := range []string{"/members/microsoft.graph.user", "/transitiveMembers/graph.user"} {
		p := c.page("/v1.0/groups/" + g[0] + path + "?$select=displayName,mail")
		if got, want := string(p.Value[0]), `{"@odata.type":"#microsoft.graph.user","id":"`+user+`","displayName":null,"mail":null}`; got != want || len(p.Value) != 1 {
			t.Errorf("%s: got %s, want %s", path, p.Value, want)
		}
	}
	if r := c.get("/v1.0/groups/" + g[1] + "/members"); r.status != http.StatusForbidden {
		t.Errorf("hidden membership: got %d %s", r.status, r.body)
	}
	if rows, _ := c.drain(c.url + "/v1.0/groups/delta?$select=members"); strings.Contains(show(rows), hidden) {
		t.Errorf("hidden membership in a round: got %s", show(rows))
	}
	tenant.Set(func(t *graphtest.Tenant) { t.Roles = append(t.Roles, "Member.Read.Hidden", "User.Read.All") })
	c.token = accessToken(t, tenant)
	if got := c.sortedIDs("/v1.0/groups/" + g[0] + "/transitiveMembers/graph.user"); !slices.Equal(got, sorted(user, hidden)) {
		t.Errorf("hidden membership, permitted: got %v", got)
	}
	if rows, _ := c.drain(c.url + "/v1.0/groups/delta?$select=members"); !strings.Contains(show(rows), hidden) {
		t.Errorf("hidden membership in a round, permitted: got %s", show(rows))
	}
}

func TestCheckMemberGroups(t *testing.T) {
	tenant := granted()
	people := addPeople(tenant, "A", "B")
	g := tenant.AddGroup(graphtest.Group{}, graphtest.Group{}, graphtest.Group{})
	tenant.AddMembers(g[0], g[1])
	tenant.AddMembers(g[1], people[0], g[0])
	tenant.AddMembers(g[2], people[1])
	c := connect(t, tenant)
	ask := func(user string, groups ...string) response {
		raw, _ := json.Marshal(map[string]any{"groupIds": groups})
		return c.post("/v1.0/users/"+user+"/checkMemberGroups", string(raw))
	}
	r := ask(people[0], g[2], g[0], g[1], g[0], "unknown")
	var got struct{ Value []string }
	if err := json.Unmarshal(r.body, &got); err != nil || !slices.Equal(got.Value, g[:2]) || r.header.Get("x-ms-resource-unit") != "4" {
		t.Errorf("got %d %s, cost %s", r.status, r.body, r.header.Get("x-ms-resource-unit"))
	}
	if r := ask(people[0], g[2]); !strings.HasSuffix(string(r.body), `"value":[]}`) {
		t.Errorf("in none: got %s", r.body)
	}
	for name, r := range map[string]response{"too many": ask(people[0], make([]string, 21)...), "none": ask(people[0]), "no JSON": c.post("/v1.0/users/"+people[0]+"/checkMemberGroups", "{")} {
		if r.status != http.StatusBadRequest {
			t.Errorf("%s: got %d", name, r.status)
		}
	}
	if r := ask("nobody", g[0]); r.status != http.StatusNotFound {
		t.Errorf("nobody: got %d", r.status)
	}
	if r := c.get("/v1.0/users/" + people[0] + "/checkMemberGroups"); r.status != http.StatusMethodNotAllowed {
		t.Errorf("GET: got %d", r.status)
	}
}

// TestMembersWhileTheyChange loses nobody who was a member all the time, on either list.
func TestMembersWhileTheyChange(t *testing.T) {
	for _, list := range []string{"/members", "/transitiveMembers"} {
		tenant := granted()
		tenant.Generate(50, 1)
		people := tenant.IDs()
		g := tenant.AddGroup(graphtest.Group{})[0]
		tenant.AddMembers(g, people...)
		c := connect(t, tenant)
		seen := map[string]int{}
		gone := 0
		for link := c.url + "/v1.0/groups/" + g + list + "?$top=7"; link != ""; {
			p := c.page(link)
			for _, raw := range p.Value {
				var r row
				if err := json.Unmarshal(raw, &r); err != nil {
					t.Fatal(err)
				}
				seen[r.id()]++
			}
			tenant.RemoveMembers(g, people[gone], people[gone+1]) // these were delivered already
			gone += 2
			link = p.Next
		}
		for _, id := range people {
			if seen[id] != 1 {
				t.Errorf("%s: %s was delivered %d times", list, id, seen[id])
			}
		}
	}
}
