package scimtest_test

import (
	"net/http"
	"strings"
	"testing"

	"dirsync/scim"
	"dirsync/scim/scimtest"
)

func TestViolations(t *testing.T) {
	const user = `"schemas":["` + scim.UserURN + `"]`
	const patch = `"schemas":["` + scim.PatchURN + `"],"Operations":`
	for _, test := range []struct{ method, path, body, want string }{
		{"POST", "/Users", `{` + user + `,"userName":"a","name":{"givenName":"A"},"emails":[{"value":"a@a.example"}]}`, ""},
		{"POST", "/Users", `{` + user + `,"userName":null}`, "userName is null"},
		{"POST", "/Users", `{` + user + `,"emails":[{"value":null}]}`, "is null"},
		{"POST", "/Users", `{` + user + `,"id":"7"}`, "the server's own"},
		{"PUT", "/Users/7", `{` + user + `,"id":"7","userName":"a"}`, ""},
		{"PUT", "/Users/7", `{` + user + `,"meta":{}}`, "the server's own"},
		{"PUT", "/Users/7", `{` + user + `,"groups":[]}`, "groups is read-only"},
		{"PUT", "/Users/7", `{` + user + `,"` + scim.EnterpriseURN + `":{"manager":{"value":"1","displayName":"B"}}}`, "manager.displayName is read-only"},
		{"POST", "/Users", `{"schemas":[],"userName":"a"}`, "no schemas"},
		{"POST", "/Users", `[]`, "no object"},
		{"POST", "/Users", `{` + user + `,"userName":"s3cret"}`, "a secret is in the body"},
		{"POST", "/token", `client_secret=s3cret`, ""},
		{"GET", "/Users?filter=s3cret", ``, "a secret is in the URL"},
		{"DELETE", "/Users/7", `{}`, "there is a body"},
		{"PATCH", "/Users/7", `{` + patch + `[{"op":"replace","path":"title","value":"x"},{"op":"remove","path":"emails"},{"op":"Add","value":{"title":"x"}}]}`, ""},
		{"PATCH", "/Users/7", `{` + patch + `[]}`, "no operations"},
		{"PATCH", "/Users/7", `{` + patch + `[{"op":"remove"}]}`, "removes everything"},
		{"PATCH", "/Users/7", `{` + patch + `[{"op":"replace","path":"title"}]}`, "has no value"},
		{"PATCH", "/Users/7", `{` + patch + `[{"op":"replace","path":"title","value":null}]}`, "is null"},
		{"PATCH", "/Users/7", `{` + patch + `[{"op":"replace","path":"groups[value eq \"1\"]","value":"x"}]}`, "read-only"},
		{"PATCH", "/Users/7", `{` + patch + `[{"op":"set","path":"title","value":"x"}]}`, "is none"},
		{"PATCH", "/Users/7", `{` + patch + `[{"op":"add","value":"x"}]}`, "neither a path nor an object"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), test.method, "https://app.example/scim/v2"+test.path, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer s3cret")
		r.Header.Set("Content-Type", scim.MediaType)
		got := strings.Join(scimtest.Violations(r, []byte(test.body), "s3cret"), "; ")
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s %s %s: got %q, want %q", test.method, test.path, test.body, got, test.want)
		}
	}
}
