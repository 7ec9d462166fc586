package graphtest_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"dirsync/graph/graphtest"
)

// post sends a body of JSON.
func (c *client) post(path, body string) response {
	c.tb.Helper()
	req, err := http.NewRequestWithContext(c.tb.Context(), http.MethodPost, c.url+path, strings.NewReader(body))
	if err != nil {
		c.tb.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", "application/json")
	return c.do(req)
}

func TestAvailableExtensions(t *testing.T) {
	const path = "/v1.0/directoryObjects/getAvailableExtensionProperties"
	tenant := &graphtest.Tenant{Extensions: []graphtest.Extension{{Name: "costCentre", AppName: "HR"}}}
	names := tenant.AddExtension(
		graphtest.Extension{Name: "badge", AppID: "11111111-2222-3333-4444-555555555555", DataType: "Integer", Targets: []string{"User", "Group"}},
		graphtest.Extension{Name: "msDS", OnPremises: true, MultiValued: true})
	if got, want := strings.Join(names, " "), "extension_11111111222233334444555555555555_badge extension_"+graphtest.GeneratedExtension+"_msDS"; got != want {
		t.Errorf("names: got %s, want %s", got, want)
	}
	c := connect(t, tenant)
	if r := c.post(path, `{}`); r.status != http.StatusForbidden || r.code() != "Authorization_RequestDenied" {
		t.Errorf("with the roles of a new tenant: got %d %s", r.status, r.body)
	}
	tenant.Set(func(t *graphtest.Tenant) { t.Roles = []string{"User.Read.All", "Application.Read.All"} })
	c.token = accessToken(t, tenant)
	for _, tt := range []struct{ body, want string }{
		{`{}`, "costCentre badge msDS"},
		{``, "costCentre badge msDS"},
		{`{"isSyncedFromOnPremises":true}`, "msDS"},
		{`{"isSyncedFromOnPremises":false}`, "costCentre badge"},
	} {
		r := c.post(path, tt.body)
		var answer struct {
			Value []struct{ ID, Name string }
		}
		if err := json.Unmarshal(r.body, &answer); err != nil || r.status != http.StatusOK {
			t.Fatalf("%s: got %d %s", tt.body, r.status, r.body)
		}
		var got []string
		for _, v := range answer.Value {
			got = append(got, v.Name[strings.LastIndex(v.Name, "_")+1:])
			if v.ID == "" {
				t.Errorf("%s has no id", v.Name)
			}
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: got %s, want %s", tt.body, got, tt.want)
		}
	}
	r := c.post(path, `{}`)
	for _, want := range []string{
		`"appDisplayName":"HR","dataType":"String","deletedDateTime":null,`,
		`"isMultiValued":false,"isSyncedFromOnPremises":false,"name":"extension_11111111222233334444555555555555_badge","targetObjects":["User","Group"]`,
		`"isMultiValued":true,"isSyncedFromOnPremises":true,"name":"` + names[1] + `","targetObjects":["User"]`,
	} {
		if !strings.Contains(string(r.body), want) {
			t.Errorf("got %s, want %s in it", r.body, want)
		}
	}
	if r := c.post(path, `{"isSynced`); r.status != http.StatusBadRequest {
		t.Errorf("broken JSON: got %d", r.status)
	}
	if r := c.get(path); r.status != http.StatusMethodNotAllowed {
		t.Errorf("GET: got %d", r.status)
	}
	if got := tenant.Requests().Extensions; got != 8 {
		t.Errorf("requests counted: got %d, want 8", got)
	}
}

// TestExtensionsOfOneTypeComeTogether follows the delta query overview: when a directory extension changes, all of the
// same data type are sent. What a definition says comes before what a value looks like.
func TestExtensionsOfOneTypeComeTogether(t *testing.T) {
	tenant := &graphtest.Tenant{}
	p := tenant.AddExtension(graphtest.Extension{Name: "a"}, graphtest.Extension{Name: "b"}, graphtest.Extension{Name: "since", DataType: "DateTime"})
	id := tenant.Add(graphtest.User{p[0]: "1", p[1]: "2", p[2]: "2026-01-01T00:00:00Z", "displayName": "A"})[0]
	c := connect(t, tenant)
	_, link := c.drain(c.start("$select=displayName," + strings.Join(p, ",")))
	tenant.Update(id, map[string]any{p[0]: nil})
	c.prefer = "return=minimal"
	rows, _ := c.drain(link)
	if got, want := show(rows), `{"`+p[0]+`":null,"`+p[1]+`":"2","id":"`+id+`"}`; got != want {
		t.Errorf("a cleared extension:\n got %s\nwant %s", got, want)
	}
	if r := c.get("/v1.0/users/" + id + "?$select=" + p[2]); !strings.Contains(string(r.body), `"`+p[2]+`":"2026-01-01T00:00:00Z"`) {
		t.Errorf("a look-up: got %s", r.body)
	}
}
