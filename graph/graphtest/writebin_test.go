package graphtest_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"dirsync/graph/graphtest"
)

func TestManagers(t *testing.T) {
	tenant := &graphtest.Tenant{}
	u := addPeople(tenant, "Clerk", "Boss", "Gone")
	tenant.Delete(u[2])
	group := tenant.AddGroup(graphtest.Group{})[0]
	c := writer(t, tenant)
	_, link := c.drain(c.start("$select=manager"))
	upn, _ := c.get("/v1.0/users/" + u[1] + "?$select=userPrincipalName").fields(t)["userPrincipalName"].(string)
	path := "/v1.0/users/" + u[0] + "/manager/$ref"
	for name, test := range map[string]struct {
		path, body string
		want       int
	}{
		"nobody has one":    {"/v1.0/users/x/manager/$ref", `{"@odata.id":"` + refTo("users", u[1]) + `"}`, 404},
		"nobody is one":     {path, `{"@odata.id":"` + refTo("users", "x") + `"}`, 404},
		"gone":              {path, `{"@odata.id":"` + refTo("users", u[2]) + `"}`, 404},
		"a group":           {path, `{"@odata.id":"` + refTo("directoryObjects", group) + `"}`, 404},
		"said to be one":    {path, `{"@odata.id":"` + refTo("groups", group) + `"}`, 400},
		"no link":           {path, `{}`, 400},
		"no text":           {path, `{"@odata.id":5}`, 400},
		"relative":          {path, `{"@odata.id":"/users/` + u[1] + `"}`, 400},
		"of another server": {path, `{"@odata.id":"https://example.com/v1.0/users/` + u[1] + `"}`, 400},
		"without TLS":       {path, `{"@odata.id":"http://graph.microsoft.com/v1.0/users/` + u[1] + `"}`, 400},
		"with a password":   {path, `{"@odata.id":"https://x:y@graph.microsoft.com/v1.0/users/` + u[1] + `"}`, 400},
		"without a version": {path, `{"@odata.id":"https://graph.microsoft.com/users/` + u[1] + `"}`, 400},
		"without a key":     {path, `{"@odata.id":"https://graph.microsoft.com/v1.0/users/"}`, 400},
		"of something else": {path, `{"@odata.id":"https://graph.microsoft.com/v1.0/sites/` + u[1] + `"}`, 400},
		"deeper":            {path, `{"@odata.id":"` + refTo("users", u[1]) + `/manager"}`, 400},
		"no URL":            {path, `{"@odata.id":"https://graph.microsoft.com/%zz"}`, 400},
	} {
		if r := c.call(http.MethodPut, test.path, test.body); r.status != test.want {
			t.Errorf("%s: got %d %s, want %d", name, r.status, r.body, test.want)
		}
	}
	if r := c.call(http.MethodDelete, path, ""); r.status != http.StatusNotFound {
		t.Errorf("no manager to take away: got %d %s", r.status, r.body)
	}
	for n, body := range []string{refTo("users", u[1]), c.url + "/beta/directoryObjects/" + u[1], c.url + "/v1.0/users/" + upn, "https://graph.microsoft.com/v1.0/users('" + u[1] + "')"} {
		if r := c.call(http.MethodPut, path, `{"@odata.id":"`+body+`"}`); r.status != http.StatusNoContent {
			t.Errorf("%s: got %d %s", body, r.status, r.body)
		}
		rows, next := c.drain(link)
		want := `{"id":"` + u[0] + `","manager@delta":[{"@odata.type":"#microsoft.graph.user","id":"` + u[1] + `"}]}`
		if n > 0 {
			want = "" // it was so before
		}
		if show(rows) != want {
			t.Errorf("%s: the round shows %s, want %s", body, show(rows), want)
		}
		link = next
	}
	if r := c.get("/v1.0/users/" + u[0] + "/manager"); r.fields(t)["id"] != u[1] {
		t.Errorf("got %s", r.body)
	}
	if r := c.call(http.MethodDelete, path, ""); r.status != http.StatusNoContent {
		t.Errorf("delete: got %d %s", r.status, r.body)
	}
	if rows, _ := c.drain(link); !strings.Contains(show(rows), `"@removed":{"reason":"deleted"}`) {
		t.Errorf("the round shows %s", show(rows))
	}
	if r := c.get(path); r.status != http.StatusBadRequest {
		t.Errorf("GET: got %d", r.status)
	}
}

// Somebody whose name or address was given away in the meantime comes back only if the request says how.
func TestRestoreConflicts(t *testing.T) {
	for name, test := range map[string]struct {
		taker, body string
		status      int
		target      string // of the conflict
		upn, mail   string // afterwards
	}{
		"nothing taken":                {`"carl"`, `{}`, 200, "", "ada@contoso.com", "ada@fabrikam.example"},
		"name taken":                   {`"ada"`, `{}`, 400, "userPrincipalName", "", ""},
		"name taken, no body":          {`"ada"`, ``, 400, "userPrincipalName", "", ""},
		"another name":                 {`"ada"`, `{"newUserPrincipalName":"ada2@contoso.com"}`, 200, "", "ada2@contoso.com", "ada@fabrikam.example"},
		"another taken name":           {`"ada"`, `{"newUserPrincipalName":"BOB@contoso.com"}`, 400, "userPrincipalName", "", ""},
		"another domain":               {`"ada"`, `{"newUserPrincipalName":"ada@example.com"}`, 400, "userPrincipalName", "", ""},
		"another bad name":             {`"ada"`, `{"newUserPrincipalName":"ada"}`, 400, "userPrincipalName", "", ""},
		"mail taken":                   {`"carl","mail":"ADA@fabrikam.example"`, `{}`, 400, "proxyAddresses", "", ""},
		"mail let go":                  {`"carl","mail":"ADA@fabrikam.example"`, `{"autoReconcileProxyConflict":true}`, 200, "", "ada@contoso.com", ""},
		"old mail taken":               {`"carl","mail":"old@fabrikam.example"`, `{}`, 400, "proxyAddresses", "", ""},
		"old mail let go":              {`"carl","mail":"old@fabrikam.example"`, `{"autoReconcileProxyConflict":true}`, 200, "", "ada@contoso.com", "ada@fabrikam.example"},
		"both":                         {`"ada","mail":"ADA@fabrikam.example"`, `{"autoReconcileProxyConflict":true,"newUserPrincipalName":"ada2@contoso.com"}`, 200, "", "ada2@contoso.com", ""},
		"immutable id taken":           {`"carl","onPremisesImmutableId":"X"`, `{}`, 400, "onPremisesImmutableId", "", ""},
		"no JSON":                      {`"carl"`, `{`, 400, "", "", ""},
		"not an answer to the request": {`"carl"`, `{"autoReconcileProxyConflict":"yes"}`, 400, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			tenant := &graphtest.Tenant{}
			c := writer(t, tenant)
			c.made("bob", "")
			ada := c.made("ada", `"mail":"old@fabrikam.example","onPremisesImmutableId":"X"`)
			if r := c.call(http.MethodPatch, "/v1.0/users/"+ada, `{"mail":"ada@fabrikam.example"}`); r.status != http.StatusNoContent {
				t.Fatalf("got %d %s", r.status, r.body)
			}
			tenant.Delete(ada)
			local, more, _ := strings.Cut(strings.TrimPrefix(test.taker, `"`), `"`)
			c.made(local, strings.TrimPrefix(more, ","))
			r := c.call(http.MethodPost, "/v1.0/directory/deletedItems/"+ada+"/microsoft.graph.restore", test.body)
			if r.status != test.status {
				t.Fatalf("got %d %s, want %d", r.status, r.body, test.status)
			}
			u, there := tenant.User(ada)
			if there != (test.status == 200) {
				t.Fatalf("the user is there: %v", there)
			}
			if !there {
				if e := r.failure(t); test.target != "" && (len(e.Details) != 1 || e.Details[0].Target != test.target) {
					t.Errorf("got %s, want the target %s", r.body, test.target)
				}
				if r := c.get("/v1.0/directory/deletedItems/" + ada); r.status != http.StatusOK {
					t.Errorf("in the bin: got %d", r.status)
				}
				return
			}
			text := func(name string) string {
				raw, _ := u[name].(json.RawMessage)
				return strings.Trim(string(raw), `"`)
			}
			if got := text("userPrincipalName"); got != test.upn || r.fields(t)["userPrincipalName"] != test.upn {
				t.Errorf("name: got %s, want %s", got, test.upn)
			}
			if got := text("mail"); got != test.mail {
				t.Errorf("mail: got %s, want %s", got, test.mail)
			}
		})
	}
}

func TestBinIsEmptiedAfterThirtyDays(t *testing.T) {
	clock := newClock()
	tenant := &graphtest.Tenant{Now: clock.now}
	c := writer(t, tenant)
	path := "/v1.0/directory/deletedItems/"
	for wait, want := range map[time.Duration]int{30*24*time.Hour - time.Second: 200, 30 * 24 * time.Hour: 404} {
		id := c.made("ada", "")
		if r := c.call(http.MethodDelete, "/v1.0/users/"+id, ""); r.status != http.StatusNoContent {
			t.Fatalf("got %d", r.status)
		}
		clock.advance(wait)
		c.token = accessToken(t, tenant)
		if r := c.call(http.MethodPost, path+id+"/restore", "{}"); r.status != want {
			t.Errorf("after %v: got %d %s, want %d", wait, r.status, r.body, want)
		}
		c.call(http.MethodDelete, "/v1.0/users/"+id, "")
		c.call(http.MethodDelete, path+id, "")
	}
}
