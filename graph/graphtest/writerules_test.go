package graphtest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"dirsync/graph/graphtest"
)

func long(n int) string { return strings.Repeat("ü", n) }

// Every property that can be written is held against its rule, in a creation and in an update alike.
func TestRulesOfValues(t *testing.T) {
	tenant := &graphtest.Tenant{Domains: []string{"Fabrikam.example"}}
	ext := func(e graphtest.Extension) string { return tenant.AddExtension(e)[0] }
	name, badge, since := ext(graphtest.Extension{Name: "name"}), ext(graphtest.Extension{Name: "badge", DataType: "Integer"}), ext(graphtest.Extension{Name: "since", DataType: "DateTime"})
	tags, big := ext(graphtest.Extension{Name: "tags", MultiValued: true}), ext(graphtest.Extension{Name: "big", DataType: "LargeInteger"})
	blob, on, ofGroups := ext(graphtest.Extension{Name: "blob", DataType: "Binary"}), ext(graphtest.Extension{Name: "on", DataType: "Boolean"}), ext(graphtest.Extension{Name: "g", Targets: []string{"Group"}})
	c := writer(t, tenant)
	id := c.made("ada", `"mail":"ada@contoso.com"`)
	text := func(n int) string { return `"` + long(n) + `"` }
	mails := func(n int) string {
		return `["x@contoso.com"` + strings.Repeat(`,"y@contoso.com"`, n-1) + `]`
	}
	for property, values := range map[string]struct{ good, bad []string }{
		"accountEnabled":          {[]string{"true", "false"}, []string{"null", `"true"`, "1"}},
		"displayName":             {[]string{text(256)}, []string{text(257), "null", `""`, "5", "[]"}},
		"givenName":               {[]string{text(64), "null"}, []string{text(65), `""`, "true"}},
		"department":              {[]string{text(64), "null"}, []string{text(65)}},
		"companyName":             {[]string{text(64), "null"}, []string{text(65)}},
		"mobilePhone":             {[]string{`"+49 30 1"`, "null"}, []string{text(65), "[]"}},
		"jobTitle":                {[]string{text(128), "null"}, []string{text(129)}},
		"city":                    {[]string{text(128), "null"}, []string{text(129)}},
		"postalCode":              {[]string{text(40), "null"}, []string{text(41)}},
		"streetAddress":           {[]string{text(1024), "null"}, []string{text(1025)}},
		"employeeId":              {[]string{text(16), "null"}, []string{text(17)}},
		"usageLocation":           {[]string{`"DE"`}, []string{"null", `"DEU"`, `"D1"`, `""`}},
		"userType":                {[]string{`"Guest"`, `"Member"`}, []string{`"Staff"`}},
		"ageGroup":                {[]string{`"Adult"`, "null"}, []string{`"Old"`}},
		"consentProvidedForMinor": {[]string{`"Granted"`, "null"}, []string{`"Yes"`}},
		"mailNickname":            {[]string{`"a.b'c"`}, []string{`"a b"`, `"a@b"`, `"ä"`, "null", `"` + strings.Repeat("a", 65) + `"`}},
		"mail":                    {[]string{`"Ada@elsewhere.example"`}, []string{`"ada"`, `"ä@contoso.com"`, `"a@b@c"`, "null", `""`}},
		"otherMails":              {[]string{mails(250), "[]"}, []string{mails(251), "null", `"a@b.c"`, `["a"]`, "[1]"}},
		"businessPhones":          {[]string{`["1"]`, "[]"}, []string{`["1","2"]`, `"1"`, "null", "[1]", `[""]`}},
		"userPrincipalName": {[]string{`"A.b'c-d_e!f#g^h~i@contoso.com"`, `"ada@FABRIKAM.example"`, `"ada@contoso.onmicrosoft.com"`},
			[]string{`"ada"`, `"adä@contoso.com"`, `"a b@contoso.com"`, `"a.@contoso.com"`, `"` + strings.Repeat("a", 65) + `@contoso.com"`, `"ada@example.com"`, "null", `"@contoso.com"`, `"a@b@contoso.com"`}},
		"employeeHireDate":              {[]string{`"2026-01-01T00:00:00Z"`, `"2026-01-01T00:00:00+01:00"`, "null"}, []string{`"2026-01-01"`, "5", `"tomorrow"`}},
		"employeeOrgData":               {[]string{`{"costCenter":"1","division":null}`, "null"}, []string{`{"costCenter":"1"}`, `{"costCenter":1,"division":"x"}`, `"x"`}},
		"onPremisesExtensionAttributes": {[]string{`{"extensionAttribute1":"x","extensionAttribute15":null}`, "{}"}, []string{`{"extensionAttribute16":"x"}`, `{"extensionAttribute1":""}`, `{"extensionAttribute1":1}`, "null", "[]"}},
		"onPremisesImmutableId":         {[]string{`"x="`, "null"}, []string{`""`}},
		"showInAddressList":             {[]string{"false", "null"}, []string{`"no"`}},
		name:                            {[]string{text(256), "null"}, []string{text(257), `""`, "5", `["x"]`}},
		badge:                           {[]string{"5", "-2147483648", "null"}, []string{`"5"`, "2147483648", "1.5"}},
		big:                             {[]string{"9007199254740993"}, []string{"1e30", "true"}},
		since:                           {[]string{`"2026-01-01T00:00:00Z"`}, []string{`"2026-01-01"`}},
		tags:                            {[]string{`["a","b"]`, "null"}, []string{`"a"`, `[1]`}},
		blob:                            {[]string{`"AAEC"`}, []string{`"?"`}},
		on:                              {[]string{"true"}, []string{`"true"`}},
		ofGroups:                        {nil, []string{`"x"`}},
		"extension_" + strings.Repeat("0", 32) + "_x": {nil, []string{`"x"`}},
		"id":                    {nil, []string{`"x"`}},
		"createdDateTime":       {nil, []string{`"2026-01-01T00:00:00Z"`}},
		"proxyAddresses":        {nil, []string{`["SMTP:a@contoso.com"]`}},
		"onPremisesSyncEnabled": {nil, []string{"true"}},
		"imAddresses":           {nil, []string{"[]"}},
		"signInActivity":        {nil, []string{"{}"}},
		"manager@odata.bind":    {nil, []string{`"https://graph.microsoft.com/v1.0/users/` + id + `"`}},
		"nonsense":              {nil, []string{`"x"`}},
	} {
		for _, v := range values.good {
			r := c.call(http.MethodPatch, "/v1.0/users/"+id, `{"`+property+`":`+v+`}`)
			if r.status != http.StatusNoContent {
				t.Errorf("%s %.40s: got %d %s", property, v, r.status, r.body)
			}
		}
		before := fmt.Sprint(tenant.Users())
		for _, v := range values.bad {
			for _, r := range []response{
				c.call(http.MethodPatch, "/v1.0/users/"+id, `{"`+property+`":`+v+`}`),
				c.call(http.MethodPost, "/v1.0/users", newUser("bob", `"`+property+`":`+v)),
			} {
				message := r.failure(t).Message
				if r.status != http.StatusBadRequest || r.code() != "Request_BadRequest" || !strings.Contains(message, strings.TrimSuffix(property, "@odata.bind")) {
					t.Errorf("%s %.40s: got %d %s, want it refused by its name", property, v, r.status, r.body)
				}
			}
		}
		if after := fmt.Sprint(tenant.Users()); after != before {
			t.Errorf("%s: what was refused changed something", property)
		}
	}
	u, _ := tenant.User(id)
	if got := fmt.Sprintf("%s", u["onPremisesExtensionAttributes"]); !strings.Contains(got, `"extensionAttribute1":"x"`) || !strings.Contains(got, `"extensionAttribute9":null`) {
		t.Errorf("the extension attributes are not merged: %s", got)
	}
}

func TestRequiredOfUsers(t *testing.T) {
	tenant := &graphtest.Tenant{Federated: []string{"contoso.onmicrosoft.com"}}
	c := writer(t, tenant)
	whole := map[string]string{"accountEnabled": "true", "displayName": `"Ada"`, "mailNickname": `"ada"`, "userPrincipalName": `"ada@contoso.com"`, "passwordProfile": `{"password":"xWwvJ]6NMw+bWH-d"}`}
	body := func(without string) string {
		var parts []string
		for k, v := range whole {
			if k != without {
				parts = append(parts, `"`+k+`":`+v)
			}
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	for name := range whole {
		e := c.call(http.MethodPost, "/v1.0/users", body(name)).failure(t)
		if want := "A value is required for property '" + name + "' of resource 'User'."; e.Code != "Request_BadRequest" || e.Message != want {
			t.Errorf("without %s: got %+v", name, e)
		}
	}
	federated := strings.Replace(body(""), "ada@contoso.com", "ada@contoso.onmicrosoft.com", 1)
	for more, want := range map[string]int{"": 400, `,"onPremisesImmutableId":"a_b"`: 400, `,"onPremisesImmutableId":"ab="`: 201} {
		if r := c.call(http.MethodPost, "/v1.0/users", federated[:len(federated)-1]+more+"}"); r.status != want {
			t.Errorf("in a federated domain with %q: got %d %s, want %d", more, r.status, r.body, want)
		}
	}
	for _, body := range []string{`[]`, `null`, `{`, `"x"`} {
		if r := c.call(http.MethodPost, "/v1.0/users", body); r.status != http.StatusBadRequest || r.code() != "BadRequest" {
			t.Errorf("%s: got %d %s", body, r.status, r.body)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+"/v1.0/users", strings.NewReader(body("")))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if r := c.do(req); r.status != http.StatusBadRequest || !strings.Contains(string(r.body), "JSON Content-Type") {
		t.Errorf("without a content type: got %d %s", r.status, r.body)
	}
	req.Body, req.ContentLength = http.NoBody, 0
	if r := c.call(http.MethodPost, "/v1.0/users", strings.Replace(body(""), `"displayName"`, `"@odata.type":"#microsoft.graph.user","displayName"`, 1)); r.status != http.StatusCreated {
		t.Errorf("with its type: got %d %s", r.status, r.body)
	}
}

func TestPasswords(t *testing.T) {
	tenant := &graphtest.Tenant{}
	c := writer(t, tenant)
	id := c.made("ada.lovelace", "")
	set := func(profile string) response {
		return c.call(http.MethodPatch, "/v1.0/users/"+id, `{"passwordProfile":`+profile+`}`)
	}
	for password, want := range map[string]int{
		"aB3$xyzw": 204, "Tr0ub4dor&3": 204, "correct horse 9": 204, strings.Repeat("aB3$", 64): 204,
		"aB3$xyz": 400, strings.Repeat("aB3$", 65): 400, "alllowercase": 400, "lower and space": 400, "12345678aaaa": 400, "pässwört3$X": 400,
		"Password1!": 400, "P@ssw0rd": 400, "Contoso1!": 400, "Ada.Lovelace1": 400, "": 400,
	} {
		r := set(`{"password":"` + password + `","forceChangePasswordNextSignIn":false}`)
		if r.status != want {
			t.Errorf("%q: got %d %s, want %d", password, r.status, r.body, want)
		}
		if strings.Contains(string(r.body), password) && password != "" {
			t.Errorf("%q: the answer holds it: %s", password, r.body)
		}
		if ok, change := tenant.SignsIn(id, password); ok != (want == 204) || ok && change {
			t.Errorf("%q: it signs in: %v, must be changed: %v", password, ok, change)
		}
	}
	if r := set(`{"password":"aB3$xyzw"}`); r.status != http.StatusNoContent {
		t.Fatalf("got %d %s", r.status, r.body)
	}
	if ok, change := tenant.SignsIn(id, "aB3$xyzw"); !ok || !change {
		t.Errorf("a password that does not say otherwise must be changed: got %v, %v", ok, change)
	}
	if r := set(`{"forceChangePasswordNextSignIn":false}`); r.status != http.StatusNoContent {
		t.Fatalf("got %d %s", r.status, r.body)
	}
	if ok, change := tenant.SignsIn(id, "aB3$xyzw"); !ok || change {
		t.Errorf("the profile without a password: got %v, %v", ok, change)
	}
	for _, bad := range []string{`"x"`, `{"password":5}`, `{"password":"aB3$xyzw","forceChangePasswordNextSignIn":"no"}`} {
		if r := set(bad); r.status != http.StatusBadRequest {
			t.Errorf("%s: got %d", bad, r.status)
		}
	}
	tenant.Update(id, map[string]any{"accountEnabled": false})
	if ok, _ := tenant.SignsIn(id, "aB3$xyzw"); ok {
		t.Error("somebody who may not sign in signs in")
	}
	if r := c.get("/v1.0/users/" + id + "?$select=passwordProfile"); !strings.Contains(string(r.body), `"passwordProfile":null`) {
		t.Errorf("the profile is shown: %s", r.body)
	}
	if r := c.call(http.MethodPost, "/v1.0/users", strings.Replace(newUser("bob", ""), `"password":"xWwvJ]6NMw+bWH-d"`, "", 1)); r.status != http.StatusBadRequest {
		t.Errorf("a profile without a password: got %d", r.status)
	}
}

func TestPropertiesKeptElsewhere(t *testing.T) {
	c := writer(t, &graphtest.Tenant{})
	id := c.made("ada", "")
	for body, want := range map[string]int{`{"aboutMe":"x"}`: 403, `{"aboutMe":"x","jobTitle":"y"}`: 400, `{"skills":["x"]}`: 403} {
		if r := c.call(http.MethodPatch, "/v1.0/users/"+id, body); r.status != want {
			t.Errorf("%s: got %d %s, want %d", body, r.status, r.body, want)
		}
	}
}

func TestReturnPreferences(t *testing.T) {
	tenant := &graphtest.Tenant{}
	c := writer(t, tenant)
	for _, obey := range []bool{false, true} {
		tenant.SetFaults(graphtest.Faults{ObeyReturn: obey})
		c.prefer = "return=minimal"
		r := c.call(http.MethodPost, "/v1.0/users", newUser(fmt.Sprint("ada", obey), ""))
		if want := map[bool]int{false: 201, true: 204}[obey]; r.status != want || (r.header.Get("OData-EntityId") != "") != obey || (len(r.body) == 0) != obey {
			t.Errorf("create, obeyed %v: got %d %s %v", obey, r.status, r.body, r.header)
		}
		c.prefer = "return=representation"
		r = c.call(http.MethodPatch, "/v1.0/users/"+fmt.Sprint("ada", obey)+"@contoso.com", `{"jobTitle":"x"}`)
		if want := map[bool]int{false: 204, true: 200}[obey]; r.status != want || (r.header.Get("Preference-Applied") != "") != obey || strings.Contains(string(r.body), `"jobTitle":"x"`) != obey {
			t.Errorf("update, obeyed %v: got %d %s", obey, r.status, r.body)
		}
		c.prefer = ""
	}
}
