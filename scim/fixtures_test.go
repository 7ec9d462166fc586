package scim

import (
	"encoding/json"
	"strings"
	"testing"
)

const kissflowURN = "urn:kissflow:scim:schemas:extension:Ac 12.x:2:User"

// userType is a user with the enterprise extension and one made from a configuration, whose account id holds a space and
// a dot.
func userType(t testing.TB) *ResourceType {
	t.Helper()
	custom := &Schema{ID: kissflowURN, Name: "Fields", Description: "Fields of the application", Attributes: []Attribute{
		{Name: "Level_1", Type: Integer},
		{Name: "Salary", Type: Decimal},
		{Name: "Hired", Type: DateTime},
		{Name: "Remote", Type: Boolean},
		{Name: "Badge", Mutability: Immutable},
		{Name: "Size", CanonicalValues: []string{"S", "M", "L"}, Closed: true},
		{Name: "tags", MultiValued: true},
		{Name: "boss", Type: Reference, ReferenceTypes: []string{"User"}},
		{Name: "secretHint", Returned: OnRequest},
	}}
	kind, err := NewResourceType("User", "/Users", User(), Extension{Schema: EnterpriseUser()}, Extension{Schema: custom})
	if err != nil {
		t.Fatal(err)
	}
	return kind
}

func groupType(t testing.TB) *ResourceType {
	t.Helper()
	kind, err := NewResourceType("Group", "/Groups", Group())
	if err != nil {
		t.Fatal(err)
	}
	return kind
}

// object reads JSON in which single quotes stand for double ones.
func object(t testing.TB, text string) *Object {
	t.Helper()
	o, err := ReadObject([]byte(strings.ReplaceAll(text, "'", `"`)), Limits{})
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return o
}

func text(t testing.TB, v any) string {
	t.Helper()
	b, err := appendValue(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(b) {
		t.Fatalf("not JSON: %s", b)
	}
	return strings.ReplaceAll(string(b), `"`, "'")
}

// errorText is the scimType and detail of an error of this package, and "" for none.
func errorText(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	if AsError(err).Status == 500 {
		t.Fatalf("not an *Error: %v", err)
	}
	return err.Error()
}

func codes(quirks []Quirk) string {
	var all []string
	for _, q := range quirks {
		all = append(all, string(q.Code))
	}
	return strings.Join(all, " ")
}
