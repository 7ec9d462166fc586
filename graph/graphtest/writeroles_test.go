package graphtest_test

import (
	"net/http"
	"strings"
	"testing"

	"dirsync/graph/graphtest"
)

// as signs in with other permissions.
func (c *client) as(roles ...string) {
	c.tenant.Set(func(t *graphtest.Tenant) { t.Roles = roles })
	c.token = accessToken(c.tb, c.tenant)
}

// Each write is allowed by its own permissions and refused without them, before anything is looked at or changed.
func TestPermissionsToWrite(t *testing.T) {
	const none = 403
	type try struct {
		method, path, body string
		ok                 int
	}
	for name, test := range map[string]struct {
		try      try
		may, not []string // permissions, several joined by a plus
	}{
		"create":         {try{"POST", "/users", newUser("bob", ""), 201}, []string{"User.Create", "User.ReadWrite.All", "Directory.ReadWrite.All"}, []string{"", "User.Read.All", "User.ReadUpdate.All", "User.EnableDisableAccount.All"}},
		"update":         {try{"PATCH", "/users/{u}", `{"jobTitle":"x"}`, 204}, []string{"User.ReadUpdate.All", "User.ReadWrite.All", "Directory.ReadWrite.All"}, []string{"", "User.Read.All", "User.Create", "User.EnableDisableAccount.All+User.Read.All"}},
		"nothing":        {try{"PATCH", "/users/{u}", `{}`, 204}, []string{"User.ReadUpdate.All"}, []string{"User.Read.All"}},
		"block":          {try{"PATCH", "/users/{u}", `{"accountEnabled":false}`, 204}, []string{"User.EnableDisableAccount.All+User.Read.All", "User.ReadWrite.All"}, []string{"User.EnableDisableAccount.All", "User.ReadUpdate.All"}},
		"block and more": {try{"PATCH", "/users/{u}", `{"accountEnabled":false,"jobTitle":"x"}`, 204}, []string{"User.EnableDisableAccount.All+User.Read.All+User.ReadUpdate.All", "User.ReadWrite.All"}, []string{"User.EnableDisableAccount.All+User.Read.All", "User.ReadUpdate.All"}},
		"mails":          {try{"PATCH", "/users/{u}", `{"otherMails":["x@example.com"]}`, 204}, []string{"User-Mail.ReadWrite.All", "User.ReadWrite.All"}, []string{"User.ReadUpdate.All"}},
		"telephones":     {try{"PATCH", "/users/{u}", `{"businessPhones":["1"],"mobilePhone":"2"}`, 204}, []string{"User-Phone.ReadWrite.All", "User.ReadWrite.All"}, []string{"User.ReadUpdate.All"}},
		"password":       {try{"PATCH", "/users/{u}", `{` + password + `}`, 204}, []string{"User-PasswordProfile.ReadWrite.All", "User.ReadWrite.All"}, []string{"User.ReadUpdate.All"}},
		"leaving":        {try{"PATCH", "/users/{u}", `{"employeeLeaveDateTime":"2026-01-01T00:00:00Z"}`, 204}, []string{"User.Read.All+User-LifeCycleInfo.ReadWrite.All"}, []string{"User.ReadWrite.All", "User-LifeCycleInfo.ReadWrite.All"}},
		"leaving, new":   {try{"POST", "/users", newUser("bob", `"employeeLeaveDateTime":"2026-01-01T00:00:00Z"`), 201}, []string{"User.ReadWrite.All+User-LifeCycleInfo.ReadWrite.All"}, []string{"User.ReadWrite.All"}},
		"identities":     {try{"PATCH", "/users/{u}", `{"identities":[{"signInType":"userPrincipalName"}]}`, 204}, []string{"User.ManageIdentities.All"}, []string{"User.ReadWrite.All"}},
		"delete":         {try{"DELETE", "/users/{u}", "", 204}, []string{"User.DeleteRestore.All", "User.ReadWrite.All"}, []string{"", "Directory.ReadWrite.All", "User.ReadUpdate.All"}},
		"restore":        {try{"POST", "/directory/deletedItems/{d}/restore", "{}", 200}, []string{"User.DeleteRestore.All", "User.ReadWrite.All"}, []string{"", "Directory.ReadWrite.All", "Group.ReadWrite.All"}},
		"purge":          {try{"DELETE", "/directory/deletedItems/{d}", "", 204}, []string{"User.DeleteRestore.All", "User.ReadWrite.All"}, []string{"", "Group.ReadWrite.All"}},
		"nobody's purge": {try{"DELETE", "/directory/deletedItems/x", "", 404}, []string{"User.DeleteRestore.All", "Group.ReadWrite.All"}, []string{""}},
		"manager":        {try{"PUT", "/users/{u}/manager/$ref", `{"@odata.id":"https://graph.microsoft.com/v1.0/users/{v}"}`, 204}, []string{"User.ReadWrite.All", "Directory.ReadWrite.All"}, []string{"User.ReadUpdate.All"}},
		"no manager":     {try{"DELETE", "/users/{v}/manager/$ref", "", 204}, []string{"User.ReadWrite.All", "Directory.ReadWrite.All"}, []string{"User.ReadUpdate.All"}},
		"new group":      {try{"POST", "/groups", newGroup("x", ""), 201}, []string{"Group.Create", "Group.ReadWrite.All", "Directory.ReadWrite.All"}, []string{"", "GroupMember.ReadWrite.All", "Group.Read.All"}},
		"new team":       {try{"POST", "/groups", newGroup("x", `"members@odata.bind":["https://graph.microsoft.com/v1.0/users/{u}"]`), 201}, []string{"Group.Create+User.Read.All", "Group.ReadWrite.All"}, []string{"Group.Create"}},
		"group":          {try{"PATCH", "/groups/{g}", `{"description":"x"}`, 204}, []string{"Group.ReadWrite.All", "Directory.ReadWrite.All"}, []string{"Group.Create", "GroupMember.ReadWrite.All"}},
		"no group":       {try{"DELETE", "/groups/{g}", "", 204}, []string{"Group.ReadWrite.All"}, []string{"Group.Create", "Directory.ReadWrite.All"}},
		"join":           {try{"POST", "/groups/{g}/members/$ref", `{"@odata.id":"https://graph.microsoft.com/v1.0/directoryObjects/{u}"}`, 204}, []string{"GroupMember.ReadWrite.All", "Group.ReadWrite.All", "Directory.ReadWrite.All"}, []string{"GroupMember.Read.All", "Group.Create"}},
		"join many":      {try{"PATCH", "/groups/{g}", `{"members@odata.bind":["https://graph.microsoft.com/v1.0/directoryObjects/{u}"]}`, 204}, []string{"GroupMember.ReadWrite.All", "Group.ReadWrite.All"}, []string{"GroupMember.Read.All"}},
		"join and more":  {try{"PATCH", "/groups/{g}", `{"description":"x","members@odata.bind":["https://graph.microsoft.com/v1.0/directoryObjects/{u}"]}`, 204}, []string{"Group.ReadWrite.All"}, []string{"GroupMember.ReadWrite.All"}},
		"leave":          {try{"DELETE", "/groups/{g}/members/{v}/$ref", "", 204}, []string{"GroupMember.ReadWrite.All", "Group.ReadWrite.All"}, []string{"GroupMember.Read.All", "User.ReadWrite.All"}},
		"the trap":       {try{"DELETE", "/groups/{g}/members/{v}", "", 204}, []string{"User.ReadWrite.All"}, []string{"Group.ReadWrite.All", "GroupMember.ReadWrite.All"}},
		"administrators": {try{"POST", "/groups", newGroup("x", `"isAssignableToRole":true`), 201}, []string{"Group.ReadWrite.All+RoleManagement.ReadWrite.Directory"}, []string{"Group.ReadWrite.All"}},
		"domains":        {try{"GET", "/domains", "", 200}, []string{"Domain.Read.All", "Directory.Read.All"}, []string{"User.ReadWrite.All"}},
	} {
		t.Run(name, func(t *testing.T) {
			for n, roles := range append(test.may, test.not...) {
				tenant := &graphtest.Tenant{}
				u := addPeople(tenant, "U", "V", "D")
				tenant.SetManager(u[1], u[0])
				tenant.Delete(u[2])
				g := tenant.AddGroup(graphtest.Group{"mailNickname": "g"})[0]
				tenant.AddMembers(g, u[1])
				fill := strings.NewReplacer("{u}", u[0], "{v}", u[1], "{d}", u[2], "{g}", g)
				c := connect(t, tenant)
				c.as(strings.Split(roles, "+")...)
				want, code := test.try.ok, ""
				if n >= len(test.may) {
					want, code = none, "Authorization_RequestDenied"
				}
				send := func() response {
					return c.call(test.try.method, "/v1.0"+fill.Replace(test.try.path), fill.Replace(test.try.body))
				}
				if r := send(); r.status != want || code != "" && r.code() != code {
					t.Errorf("%q: got %d %s, want %d", roles, r.status, r.body, want)
				}
				tenant.SetFaults(graphtest.Faults{Denied: true})
				if r := send(); r.status != none {
					t.Errorf("%q, denied: got %d %s", roles, r.status, r.body)
				}
			}
		})
	}
}

func TestAdministrators(t *testing.T) {
	tenant := &graphtest.Tenant{}
	u := addPeople(tenant, "Root", "Clerk", "Gone")
	tenant.Administrators = []string{strings.ToUpper(u[0]), u[2]}
	tenant.Delete(u[2])
	c := writer(t, tenant)
	for body, want := range map[string]int{
		`{"jobTitle":"x"}`: 204, `{"jobTitle":"x","accountEnabled":false}`: 403, `{"otherMails":[]}`: 403, `{"mobilePhone":"1"}`: 403,
		`{"businessPhones":[]}`: 403, `{"userPrincipalName":"x@contoso.com"}`: 403, `{"onPremisesImmutableId":"x"}`: 403, `{` + password + `}`: 403,
	} {
		if r := c.call(http.MethodPatch, "/v1.0/users/"+u[0], body); r.status != want || want == 403 && r.code() != "Authorization_RequestDenied" {
			t.Errorf("%s: got %d %s, want %d", body, r.status, r.body, want)
		}
	}
	again := []struct {
		method, path string
		ok           int
	}{{"POST", "/directory/deletedItems/" + u[2] + "/restore", 200}, {"DELETE", "/users/" + u[0], 204}, {"DELETE", "/directory/deletedItems/" + u[0], 204}}
	for _, try := range again[:2] {
		if r := c.call(try.method, "/v1.0"+try.path, ""); r.status != http.StatusForbidden {
			t.Errorf("%s %s: got %d %s", try.method, try.path, r.status, r.body)
		}
	}
	if r := c.call(http.MethodPatch, "/v1.0/users/"+u[1], `{"accountEnabled":false}`); r.status != http.StatusNoContent {
		t.Errorf("a clerk: got %d %s", r.status, r.body)
	}
	tenant.Set(func(t *graphtest.Tenant) { t.AppAdministrator = true })
	if r := c.call(http.MethodPatch, "/v1.0/users/"+u[0], `{"accountEnabled":false}`); r.status != http.StatusNoContent {
		t.Errorf("with a higher role: got %d %s", r.status, r.body)
	}
	for _, try := range again {
		if r := c.call(try.method, "/v1.0"+try.path, ""); r.status != try.ok {
			t.Errorf("with a higher role: %s %s: got %d %s", try.method, try.path, r.status, r.body)
		}
	}
}

func TestMasteredOnPremises(t *testing.T) {
	tenant := &graphtest.Tenant{}
	cloud, forest := tenant.AddExtension(graphtest.Extension{Name: "cloud"})[0], tenant.AddExtension(graphtest.Extension{Name: "forest", OnPremises: true})[0]
	id := tenant.Add(graphtest.User{"displayName": "A", "onPremisesSyncEnabled": true})[0]
	was := tenant.Add(graphtest.User{"displayName": "B", "onPremisesSyncEnabled": false})[0]
	group := tenant.AddGroup(graphtest.Group{"onPremisesSyncEnabled": true})[0]
	c := writer(t, tenant)
	const mastered = "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects currently undergoing migration."
	link := `{"@odata.id":"https://graph.microsoft.com/v1.0/users/` + was + `"}`
	for _, try := range []struct {
		method, path, body string
		ok                 bool
	}{
		{"PATCH", "/users/" + id, `{"displayName":"x"}`, false},
		{"PATCH", "/users/" + id, `{"accountEnabled":false}`, false},
		{"PATCH", "/users/" + id, `{"usageLocation":"DE","onPremisesExtensionAttributes":{"extensionAttribute1":"x"}}`, false},
		{"PATCH", "/users/" + id, `{"` + forest + `":"x"}`, false},
		{"PATCH", "/users/" + id, `{"usageLocation":"DE","` + cloud + `":"x"}`, true},
		{"PUT", "/users/" + id + "/manager/$ref", link, false},
		{"DELETE", "/users/" + id + "/manager/$ref", "", false},
		{"PATCH", "/users/" + was, `{"displayName":"x","` + forest + `":"x"}`, true},
		{"PATCH", "/groups/" + group, `{"displayName":"x"}`, false},
		{"PATCH", "/groups/" + group, `{"members@odata.bind":["https://graph.microsoft.com/v1.0/users/` + was + `"]}`, false},
		{"POST", "/groups/" + group + "/members/$ref", link, false},
		{"DELETE", "/groups/" + group, "", false},
	} {
		r := c.call(try.method, "/v1.0"+try.path, try.body)
		if try.ok && r.status != http.StatusNoContent || !try.ok && (r.status != http.StatusBadRequest || r.code() != "Request_BadRequest" || r.failure(t).Message != mastered) {
			t.Errorf("%s %s %s: got %d %s", try.method, try.path, try.body, r.status, r.body)
		}
	}
}
