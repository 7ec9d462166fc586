package graphtest_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"dirsync/graph/graphtest"
)

// writer is a tenant whose application may write everything, and a client of it.
func writer(tb testing.TB, tenant *graphtest.Tenant) *client {
	tb.Helper()
	if tenant.Roles == nil {
		tenant.Roles = []string{"User.ReadWrite.All", "Group.ReadWrite.All", "Directory.ReadWrite.All"}
	}
	return connect(tb, tenant)
}

// call sends a request with a body of JSON, or without one.
func (c *client) call(method, path, body string) response {
	c.tb.Helper()
	r, err := c.tryCall(method, path, body)
	if err == nil {
		err = r.err
	}
	if err != nil {
		c.tb.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

func (c *client) tryCall(method, path, body string) (response, error) {
	c.tb.Helper()
	req, err := http.NewRequestWithContext(c.tb.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.tb.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.prefer != "" {
		req.Header.Set("Prefer", c.prefer)
	}
	return c.send(req)
}

// failure is an error as Graph sends it.
type failure struct {
	Code, Message string
	Details       []struct{ Code, Message, Target string }
}

func (r response) failure(tb testing.TB) failure {
	tb.Helper()
	var e struct{ Error failure }
	if err := json.Unmarshal(r.body, &e); err != nil {
		tb.Fatalf("%d %s: %v", r.status, r.body, err)
	}
	return e.Error
}

// fields are an object in an answer.
func (r response) fields(tb testing.TB) map[string]any {
	tb.Helper()
	var out map[string]any
	if err := json.Unmarshal(r.body, &out); err != nil {
		tb.Fatalf("%d %s: %v", r.status, r.body, err)
	}
	return out
}

const password = `"passwordProfile":{"password":"xWwvJ]6NMw+bWH-d"}`

// newUser is the body of a creation, with more properties behind those that every user needs.
func newUser(local, more string) string {
	if more != "" {
		more = "," + more
	}
	return `{"accountEnabled":true,"displayName":"` + local + `","mailNickname":"` + local + `","userPrincipalName":"` + local + `@contoso.com",` + password + more + `}`
}

// made creates a user and returns the id.
func (c *client) made(local, more string) string {
	c.tb.Helper()
	r := c.call(http.MethodPost, "/v1.0/users", newUser(local, more))
	if r.status != http.StatusCreated {
		c.tb.Fatalf("creating %s: got %d %s", local, r.status, r.body)
	}
	id, _ := r.fields(c.tb)["id"].(string)
	return id
}

func TestLifeOfAUser(t *testing.T) {
	tenant := &graphtest.Tenant{}
	c := writer(t, tenant)
	_, link := c.drain(c.start("$select=displayName,jobTitle,accountEnabled,mail"))
	r := c.call(http.MethodPost, "/v1.0/users", newUser("ada", `"jobTitle":"Countess","mail":"ada@contoso.com"`))
	id, _ := r.fields(t)["id"].(string)
	if got, want := show([]row{r.fields(t)}), `{"@odata.context":"`+c.url+`/v1.0/$metadata#users/$entity","businessPhones":[],"displayName":"ada","givenName":null,"id":"`+id+
		`","jobTitle":"Countess","mail":"ada@contoso.com","mobilePhone":null,"officeLocation":null,"preferredLanguage":null,"surname":null,"userPrincipalName":"ada@contoso.com"}`; r.status != http.StatusCreated || got != want {
		t.Errorf("create: got %d\n%s, want 201\n%s", r.status, got, want)
	}
	if got := r.header.Get("Location"); !strings.Contains(got, id) {
		t.Errorf("Location: got %q", got)
	}
	if r := c.get("/v1.0/users/ada@contoso.com?$select=accountEnabled,userType,proxyAddresses,mailNickname"); !strings.Contains(string(r.body), `"accountEnabled":true,"userType":"Member","proxyAddresses":["SMTP:ada@contoso.com"],"mailNickname":"ada"`) {
		t.Errorf("read: got %s", r.body)
	}
	for n, step := range []struct{ method, path, body, want string }{
		{http.MethodPatch, "/v1.0/users/" + id, `{"jobTitle":null,"accountEnabled":false}`, `{"accountEnabled":false,"displayName":"ada","id":"` + id + `","jobTitle":null,"mail":"ada@contoso.com"}`},
		{http.MethodPatch, "/v1.0/users/ADA@contoso.com", `{"displayName":"Ada"}`, `{"accountEnabled":false,"displayName":"Ada","id":"` + id + `","jobTitle":null,"mail":"ada@contoso.com"}`},
		{http.MethodPatch, "/v1.0/users('" + id + "')", `{"displayName":"Ada"}`, ""},
		{http.MethodDelete, "/v1.0/users/" + id, "", `{"@removed":{"reason":"changed"},"id":"` + id + `"}`},
	} {
		if r := c.call(step.method, step.path, step.body); r.status != http.StatusNoContent || len(r.body) != 0 || r.header.Get("Content-Type") != "" {
			t.Errorf("step %d: got %d %s %s, want 204 and nothing", n, r.status, r.header.Get("Content-Type"), r.body)
		}
		var rows []row
		if rows, link = c.drain(link); show(rows) != step.want {
			t.Errorf("step %d: the round shows %s, want %s", n, show(rows), step.want)
		}
	}
	mangled := strings.ReplaceAll(id, "-", "") + "ada@contoso.com"
	for _, path := range []string{"/v1.0/directory/deletedItems/" + id, "/v1.0/directory/deletedItems/microsoft.graph.user"} {
		if r := c.get(path); !strings.Contains(string(r.body), `"userPrincipalName":"`+mangled+`"`) {
			t.Errorf("%s: got %s, want the name mangled", path, r.body)
		}
	}
	r = c.call(http.MethodPost, "/v1.0/directory/deletedItems/"+id+"/restore", "")
	if r.status != http.StatusOK || r.fields(t)["userPrincipalName"] != "ada@contoso.com" || r.fields(t)["@odata.type"] != "#microsoft.graph.user" {
		t.Errorf("restore: got %d %s", r.status, r.body)
	}
	for _, path := range []string{"/v1.0/users/" + id, "/v1.0/directory/deletedItems/" + id} {
		if r := c.call(http.MethodDelete, path, ""); r.status != http.StatusNoContent {
			t.Errorf("DELETE %s: got %d %s", path, r.status, r.body)
		}
		if r := c.call(http.MethodDelete, path, ""); r.status != http.StatusNotFound || r.code() != "Request_ResourceNotFound" {
			t.Errorf("DELETE %s again: got %d %s", path, r.status, r.body)
		}
	}
	if rows, _ := c.drain(link); show(rows) == "" || rows[len(rows)-1].removed() != "deleted" {
		t.Errorf("after the purge: got %s", show(rows))
	}
	if got := tenant.Requests(); got.CreateUser != 1 || got.UpdateUser != 3 || got.DeleteUser != 3 || got.RestoreDeleted != 1 || got.PurgeDeleted != 2 || got.Writes != 10 {
		t.Errorf("counted: got %+v", got)
	}
}

func TestConflicts(t *testing.T) {
	upn := "Another object with the same value for property userPrincipalName already exists."
	tenant := &graphtest.Tenant{}
	c := writer(t, tenant)
	ada := c.made("ada", `"mail":"a.lovelace@contoso.com","onPremisesImmutableId":"AbC="`)
	bob := c.made("bob", "")
	group := tenant.AddGroup(graphtest.Group{"proxyAddresses": []string{"SMTP:all@contoso.com"}})[0]
	for name, test := range map[string]struct{ method, path, body, target, owner string }{
		"a new name":         {http.MethodPost, "/v1.0/users", newUser("ADA", ""), "userPrincipalName", "User_" + ada},
		"another's name":     {http.MethodPatch, "/v1.0/users/" + bob, `{"userPrincipalName":"Ada@Contoso.com"}`, "userPrincipalName", "User_" + ada},
		"a new mail":         {http.MethodPost, "/v1.0/users", newUser("carl", `"mail":"A.Lovelace@contoso.com"`), "proxyAddresses", "User_" + ada},
		"another's mail":     {http.MethodPatch, "/v1.0/users/" + bob, `{"mail":"a.lovelace@contoso.com"}`, "proxyAddresses", "User_" + ada},
		"a group's address":  {http.MethodPatch, "/v1.0/users/" + bob, `{"mail":"all@contoso.com"}`, "proxyAddresses", "Group_" + group},
		"an immutable id":    {http.MethodPatch, "/v1.0/users/" + bob, `{"onPremisesImmutableId":"AbC="}`, "onPremisesImmutableId", "User_" + ada},
		"a nickname, if set": {http.MethodPatch, "/v1.0/users/" + bob, `{"mailNickname":"Ada"}`, "mailNickname", "User_" + ada},
	} {
		t.Run(name, func(t *testing.T) {
			message := strings.Replace(upn, "userPrincipalName", test.target, 1)
			for shape, details := range map[graphtest.Conflict]int{graphtest.ConflictDetail: 1, graphtest.ConflictNamed: 2, graphtest.ConflictVague: 0} {
				tenant.SetFaults(graphtest.Faults{Conflict: shape, UniqueNicknames: true})
				r := c.call(test.method, test.path, test.body)
				e := r.failure(t)
				if r.status != http.StatusBadRequest || e.Code != "Request_BadRequest" || len(e.Details) != details || e.Message == message != (details > 0) {
					t.Fatalf("shape %d: got %d %s", shape, r.status, r.body)
				}
				if d := e.Details; details > 0 && (d[0].Code != "ObjectConflict" || d[0].Target != test.target || d[0].Message != message) ||
					details > 1 && (d[1].Code != "ConflictingObjects" || d[1].Target != test.owner) {
					t.Errorf("shape %d: got %s", shape, r.body)
				}
			}
			tenant.SetFaults(graphtest.Faults{NoDetails: true, UniqueNicknames: true})
			if e := c.call(test.method, test.path, test.body).failure(t); e.Details != nil || e.Message != message {
				t.Errorf("without details: got %+v", e)
			}
		})
	}
	if got := len(tenant.Users()); got != 2 {
		t.Errorf("got %d users, want the two that there were", got)
	}
	// What is one's own already, or what somebody has let go of, is free.
	tenant.SetFaults(graphtest.Faults{})
	for _, step := range []struct{ method, path, body string }{
		{http.MethodPatch, "/v1.0/users/" + ada, `{"userPrincipalName":"ADA@contoso.com","mail":"A.Lovelace@contoso.com","onPremisesImmutableId":"AbC="}`},
		{http.MethodPatch, "/v1.0/users/" + ada, `{"userPrincipalName":"countess@contoso.com"}`},
		{http.MethodPatch, "/v1.0/users/" + bob, `{"userPrincipalName":"ada@contoso.com","mailNickname":"ada","onPremisesImmutableId":"abc="}`},
		{http.MethodDelete, "/v1.0/users/" + bob, ""},
		{http.MethodPatch, "/v1.0/users/" + ada, `{"userPrincipalName":"ada@contoso.com"}`},
	} {
		if r := c.call(step.method, step.path, step.body); r.status != http.StatusNoContent {
			t.Errorf("%s %s: got %d %s", step.method, step.body, r.status, r.body)
		}
	}
}
