package graphtest_test

import (
	"net/http"
	"strings"
	"testing"

	"dirsync/graph/graphtest"
)

func TestDomains(t *testing.T) {
	for name, test := range map[string]struct {
		tenant *graphtest.Tenant
		want   string // name, type, and what is special of it
	}{
		"zero":    {&graphtest.Tenant{}, "contoso.onmicrosoft.com Managed initial, contoso.com Managed default"},
		"initial": {&graphtest.Tenant{Domain: "x.onmicrosoft.com"}, "x.onmicrosoft.com Managed default initial"},
		"more": {&graphtest.Tenant{Domains: []string{"fabrikam.example", "CONTOSO.com"}, Federated: []string{"Fabrikam.example"}},
			"contoso.onmicrosoft.com Managed initial, contoso.com Managed default, fabrikam.example Federated"},
	} {
		t.Run(name, func(t *testing.T) {
			c := writer(t, test.tenant)
			describe := func(path, list, id, kind string) string {
				var all []string
				doc := c.get(path).fields(t)
				value, _ := doc["value"].([]any)
				if list != "" {
					one, _ := value[0].(map[string]any)
					value, _ = one[list].([]any)
				}
				for _, v := range value {
					d, _ := v.(map[string]any)
					s := strings.Join([]string{d[id].(string), d[kind].(string)}, " ")
					for _, what := range []string{"Default", "Initial"} {
						if d["is"+what] == true {
							s += " " + strings.ToLower(what)
						}
					}
					all = append(all, s)
				}
				return strings.Join(all, ", ")
			}
			if got := describe("/v1.0/domains", "", "id", "authenticationType"); got != test.want {
				t.Errorf("domains: got %s, want %s", got, test.want)
			}
			if got := describe("/v1.0/organization", "verifiedDomains", "name", "type"); got != test.want {
				t.Errorf("organization: got %s, want %s", got, test.want)
			}
		})
	}
	tenant := &graphtest.Tenant{}
	c := writer(t, tenant)
	for path, want := range map[string]int{"/v1.0/domains/Contoso.com": 200, "/v1.0/domains/example.com": 404} {
		if r := c.get(path); r.status != want {
			t.Errorf("%s: got %d %s, want %d", path, r.status, r.body, want)
		}
	}
	if r := c.call(http.MethodPost, "/v1.0/domains", `{"id":"x"}`); r.status != http.StatusMethodNotAllowed {
		t.Errorf("POST: got %d", r.status)
	}
	if got := tenant.Requests().Domains; got != 3 {
		t.Errorf("counted %d requests, want 3", got)
	}
}
