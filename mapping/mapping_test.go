package mapping

import (
	"encoding/json"
	"testing"

	"dirsync"
)

func attrs(kv ...string) dirsync.Attributes {
	var as []dirsync.Attribute
	for i := 0; i < len(kv); i += 2 {
		as = append(as, dirsync.Attribute{Name: kv[i], Raw: json.RawMessage(kv[i+1])})
	}
	return dirsync.NewAttributes(as)
}

var (
	testSource = []dirsync.Field{
		{Name: "givenName", Type: dirsync.Text},
		{Name: "surname", Type: dirsync.Text},
		{Name: "mail", Type: dirsync.Email},
	}
	testSpecs = []Spec{
		{Field: "first_name", From: "givenName"},
		{Field: "last_name", From: "surname"},
		{Field: "email", From: "mail"},
	}
)

func TestDirect(t *testing.T) {
	m, problems := Compile(testSpecs, Expression{}, testSource, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	r := m.Map("1", attrs("givenName", `" Ada "`, "surname", `"Lovelace"`, "mail", `"Ada@Example.COM"`))
	got, _ := json.Marshal(r.Values)
	if want := `{"email":"Ada@example.com","first_name":"Ada","last_name":"Lovelace"}`; string(got) != want || len(r.Faults) > 0 {
		t.Errorf("got %s %v, want %s", got, r.Faults, want)
	}
	r = m.Map("1", attrs("givenName", `null`, "surname", `{}`, "mail", `"x"`))
	if len(r.Faults) != 3 {
		t.Errorf("got %v", r.Faults)
	}
}
