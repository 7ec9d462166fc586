package scim

import (
	"fmt"
	"strings"
	"testing"
)

func TestUniqueValues(t *testing.T) {
	schema := &Schema{ID: "urn:a:b", Attributes: []Attribute{{Name: "n", Type: Integer, Uniqueness: UniqueGlobal}, {Name: "Exact", CaseExact: true, Uniqueness: UniqueServer},
		{Name: "tags", MultiValued: true, Uniqueness: UniqueServer}, {Name: "c", Type: Complex, MultiValued: true, SubAttributes: []Attribute{{Name: "value", Uniqueness: UniqueServer}, {Name: "x"}}}}}
	kind, err := NewResourceType("User", "/Users", User(), Extension{Schema: schema})
	if err != nil {
		t.Fatal(err)
	}
	o := object(t, `{'id':'1','userName':'BJensen','title':'T','urn:a:b':{'n':5,'exact':'Ab','tags':['A','b'],'c':[{'value':'V'},{'x':'1'}]}}`)
	want := "[{userName bjensen} {urn:a:b:n 5} {urn:a:b:Exact Ab} {urn:a:b:tags a} {urn:a:b:tags b} {urn:a:b:c.value v}]"
	if got := fmt.Sprint(kind.UniqueValues(o)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := kind.UniqueValues(nil); got != nil {
		t.Errorf("got %v", got)
	}
}

// TestPublished describes our own messages with our own schemas.
func TestPublished(t *testing.T) {
	for _, s := range []*Schema{ServiceProviderConfigSchema(), ResourceTypeSchema()} {
		if err := s.Check(); err != nil {
			t.Error(err)
		}
	}
	config, err := Convert(&ServiceProviderConfig{Patch: true, DocumentationURI: "https://example.com", Pagination: Pagination{Index: true},
		Authentications: []Authentication{{Type: "oauth2", Name: "n", Description: "d"}}})
	if err != nil {
		t.Fatal(err)
	}
	for name := range config.(*Object).All() {
		if name != "schemas" && find(ServiceProviderConfigSchema().Attributes, name) == nil {
			t.Errorf("the schema lacks %s", name)
		}
	}
}

func TestReadResourceType(t *testing.T) {
	kind := userType(t)
	published, err := Convert(kind)
	if err != nil {
		t.Fatal(err)
	}
	schemas := kind.Schemas()
	withID := *schemas[0]
	withID.Attributes = append([]Attribute{{Name: "id"}, {Name: "meta"}}, withID.Attributes...)
	read, err := ReadResourceType(published.(*Object), []*Schema{&withID, schemas[2]})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(read.URNs(), " "), UserURN+" "+kissflowURN; got != want || read.Endpoint != "/Users" || read.Name != "User" {
		t.Errorf("got %s, want %s", got, want)
	}
	_, err = ReadResourceType(published.(*Object), nil)
	if got, want := errorText(t, err), `invalidSyntax: the server publishes no schema "urn:ietf:params:scim:schemas:core:2.0:User" for its resource type "User"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestReceive(t *testing.T) {
	kind := userType(t)
	in := object(t, `{'id':'1','meta':{'created':'x'},'userName':{'odd':true},'title':'T','active':'yes','emails':[{'value':'x','primary':'True'}],'alien':1,
		'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User':{'department':'D','employeeNumber':[1,2],'manager':'m'}}`)
	out, quirks := kind.Receive(in)
	want := object(t, withEnterprise+`'title':'T','emails':[{'value':'x','primary':true}],`+enterprise+`:{'department':'D','manager':{'value':'m'}}}`)
	if !Equal(out, want) {
		t.Errorf("got %s, want %s", text(t, out), text(t, want))
	}
	if got, want := codes(quirks), "unusable unusable stringBoolean unknownAttribute unusable bareValue"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// ExampleResourceType_ParsePatch takes a request of Entra's default dialect and says what it did.
func ExampleResourceType_ParsePatch() {
	users, err := NewResourceType("User", "/Users", User(), Extension{Schema: EnterpriseUser()})
	if err != nil {
		panic(err)
	}
	stored, err := ReadObject([]byte(`{"userName":"ada","active":true}`), Limits{})
	if err != nil {
		panic(err)
	}
	body, err := ReadObject([]byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[
		{"op":"Replace","path":"active","value":"False"},
		{"op":"Add","path":"emails[type eq \"work\"].value","value":"ada@example.com"}]}`), Limits{})
	if err != nil {
		panic(err)
	}
	patch, quirks, err := users.ParsePatch(body)
	if err != nil {
		panic(err)
	}
	after, changes, err := users.Apply(stored, patch)
	if err != nil {
		panic(err)
	}
	for _, q := range quirks {
		fmt.Println(q.Code, "-", q.Text)
	}
	for _, c := range changes {
		fmt.Println("changed", c.Path)
	}
	text, err := after.MarshalJSON()
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
	// Output:
	// opCase - operation 1: op was "Replace"; the standard's spelling is "replace"
	// stringBoolean - active was a string; taken as a boolean
	// opCase - operation 2: op was "Add"; the standard's spelling is "add"
	// changed active
	// changed emails
	// {"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada","active":false,"emails":[{"value":"ada@example.com","type":"work"}]}
}
