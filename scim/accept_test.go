package scim

import (
	"strings"
	"testing"
)

// entraUser is what Entra posts for a new user.
const entraUser = `{'schemas':['urn:ietf:params:scim:schemas:core:2.0:User','urn:ietf:params:scim:schemas:extension:enterprise:2.0:User'],
 'externalId':'0a21f0f2','userName':'Test_User_00aa','active':true,'emails':[{'primary':true,'type':'work','value':'a@example.com'}],
 'meta':{'resourceType':'User'},'name':{'formatted':'givenName familyName','familyName':'familyName','givenName':'givenName'},'roles':[],
 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User':{'manager':'123456','department':null},
 'urn:kissflow:scim:schemas:extension:Ac 12.x:2:User':{'Level_1':'4'}}`

func TestAccept(t *testing.T) {
	kind := userType(t)
	for _, c := range []struct{ name, in, want, quirks string }{
		{"Entra's user", entraUser, `{'schemas':['urn:ietf:params:scim:schemas:core:2.0:User','urn:ietf:params:scim:schemas:extension:enterprise:2.0:User','urn:kissflow:scim:schemas:extension:Ac 12.x:2:User'],
			'externalId':'0a21f0f2','userName':'Test_User_00aa','active':true,'emails':[{'primary':true,'type':'work','value':'a@example.com'}],
			'name':{'formatted':'givenName familyName','familyName':'familyName','givenName':'givenName'},
			'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User':{'manager':{'value':'123456'}},'urn:kissflow:scim:schemas:extension:Ac 12.x:2:User':{'Level_1':4}}`,
			"bareValue stringNumber missingSchema"},
		{"the least", `{'USERNAME':'a'}`, core + `'userName':'a'}`, "missingSchema"},
		{"the example of RFC 7644 section 3.3", core + `'userName':'bjensen','externalId':'bjensen','name':{'formatted':'Ms. Barbara J Jensen III','familyName':'Jensen','givenName':'Barbara'}}`,
			core + `'userName':'bjensen','externalId':'bjensen','name':{'formatted':'Ms. Barbara J Jensen III','familyName':'Jensen','givenName':'Barbara'}}`, ""},
		{"what the server sets", core + `'userName':'a','id':'1','groups':[{'value':'g'}],'meta':{'created':'x'}}`, core + `'userName':'a'}`, "readOnlyIgnored"},
		{"another schema", `{'schemas':['urn:ietf:params:scim:schemas:core:2.0:User','http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group'],'userName':'a'}`, core + `'userName':'a'}`, "unknownSchema"},
		{"dotted names and brackets", core + `'userName':'a','name.givenName':'G','emails[type eq \'work\'].value':'x','manager':'m'}`,
			withEnterprise + `'userName':'a','name':{'givenName':'G'},'emails':[{'value':'x','type':'work'}],` + enterprise + `:{'manager':{'value':'m'}}}`,
			"dottedName dottedName unqualifiedExtension bareValue missingSchema"},
		{"nothing in many forms", core + `'userName':'a','title':null,'emails':[],'phoneNumbers':[null,{}],'name':{},'roles':[{'value':null}],'active':''}`, core + `'userName':'a'}`, "emptyText"},
		{"a reference in an object", `{'schemas':['urn:ietf:params:scim:schemas:core:2.0:User','` + kissflowURN + `'],'userName':'a','` + kissflowURN + `':{'boss':[{'$ref':null,'value':'m'}]}}`,
			`{'schemas':['urn:ietf:params:scim:schemas:core:2.0:User','` + kissflowURN + `'],'userName':'a','` + kissflowURN + `':{'boss':'m'}}`, "listOfOne wrappedValue"},
		{"the same twice", core + `'userName':'a','emails':[{'value':'x','type':'work'},{'type':'work','value':'x'},{'value':'x'}]}`, core + `'userName':'a','emails':[{'value':'x','type':'work'}]}`, "duplicateValue"},
		{"values that are not canonical", core + `'userName':'a','emails':[{'value':'x','type':'yacht'}],'x509Certificates':[{'value':'MIID QzCC'}]}`, core + `'userName':'a','emails':[{'value':'x','type':'yacht'}],'x509Certificates':[{'value':'MIID QzCC'}]}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, quirks, err := kind.Accept(object(t, escaped(c.in)))
			if err != nil {
				t.Fatal(err)
			}
			if want := object(t, c.want); !Equal(out, want) {
				t.Errorf("got  %s\nwant %s", text(t, out), text(t, want))
			}
			if got := codes(quirks); got != c.quirks {
				t.Errorf("quirks %s, want %s", got, c.quirks)
			}
		})
	}
}

func TestAcceptErrors(t *testing.T) {
	strict := Group()
	strict.Attributes[0].Required = true
	strict.Attributes[1].SubAttributes[0].Required = true
	group, err := NewResourceType("Group", "/Groups", strict, Extension{Schema: &Schema{ID: "urn:x:y", Attributes: []Attribute{{Name: "z", Required: true}, {Name: "w"}}}})
	if err != nil {
		t.Fatal(err)
	}
	must, err := NewResourceType("User", "/Users", User(), Extension{EnterpriseUser(), true})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		kind     *ResourceType
		in, want string
	}{
		{userType(t), `{}`, "userName is required"},
		{userType(t), `{'userName':null}`, "userName is required"},
		{userType(t), `{'userName':''}`, "userName is required and cannot be empty"},
		{userType(t), `{'userName':'a','active':1}`, "active must be of the type boolean; it is a number"},
		{userType(t), `{'userName':'a','emails':[[]]}`, "emails must be an object with parts such as value; it is a list"},
		{userType(t), `{'userName':'a','urn:ietf:params:scim:schemas:extension:enterprise:2.0:User':[]}`, "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User must be an object; it is a list"},
		{group, `{'members':[]}`, "displayName is required"},
		{group, `{'displayName':'G','members':[{'type':'User'}]}`, "members.value is required"},
		{group, `{'displayName':'G','urn:x:y':{'w':'1'}}`, "urn:x:y:z is required"},
		{must, `{'userName':'a'}`, EnterpriseURN + " is required"},
	} {
		_, _, err := c.kind.Accept(object(t, c.in))
		if got, want := errorText(t, err), "invalidValue: "+c.want; got != want {
			t.Errorf("%s: got %s, want %s", c.in, got, want)
		}
	}
}

func TestAcceptReplacement(t *testing.T) {
	kind := userType(t)
	stored := object(t, `{'schemas':['urn:ietf:params:scim:schemas:core:2.0:User','urn:kissflow:scim:schemas:extension:Ac 12.x:2:User'],'id':'1','userName':'a','title':'T','password':'p',
		'groups':[{'value':'g'}],'meta':{'created':'2020-01-01T00:00:00Z'},
		'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User':{'manager':{'value':'m','displayName':'M'}},'urn:kissflow:scim:schemas:extension:Ac 12.x:2:User':{'Badge':'b','Level_1':1}}`)
	for _, c := range []struct{ in, want string }{
		{core + `'id':'2','userName':'b','meta':{'created':'x'},'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User':{'manager':{'value':'m'}}}`,
			`{'schemas':['urn:ietf:params:scim:schemas:core:2.0:User','urn:ietf:params:scim:schemas:extension:enterprise:2.0:User','urn:kissflow:scim:schemas:extension:Ac 12.x:2:User'],'id':'1','userName':'b','password':'p',
			'groups':[{'value':'g'}],'meta':{'created':'2020-01-01T00:00:00Z'},'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User':{'manager':{'value':'m','displayName':'M'}},'urn:kissflow:scim:schemas:extension:Ac 12.x:2:User':{'Badge':'b'}}`},
	} {
		copied := stored.Clone()
		out, _, err := kind.AcceptReplacement(object(t, c.in), stored)
		if err != nil {
			t.Fatal(err)
		}
		if want := object(t, c.want); !Equal(out, want) {
			t.Errorf("got  %s\nwant %s", text(t, out), text(t, want))
		}
		if !Equal(stored, copied) {
			t.Error("the stored resource changed")
		}
	}
	for in, want := range map[string]string{
		core + `'userName':'a','badge':'c'}`: "mutability: " + kissflowURN + ":Badge cannot be changed once it is set",
		core + `'title':'a'}`:                "invalidValue: userName is required",
	} {
		_, _, err := kind.AcceptReplacement(object(t, in), stored)
		if got := errorText(t, err); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestProject(t *testing.T) {
	kind := userType(t)
	o := object(t, `{'schemas':['urn:ietf:params:scim:schemas:core:2.0:User'],'id':'1','userName':'a','password':'p','name':{'givenName':'G','familyName':'F'},
		'emails':[{'value':'x','type':'work'},{'type':'home'}],'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User':{'department':'D','manager':{'value':'m'}},
		'urn:kissflow:scim:schemas:extension:Ac 12.x:2:User':{'secretHint':'h'},'alien':1}`)
	const all = `'id':'1','userName':'a','name':{'givenName':'G','familyName':'F'},'emails':[{'value':'x','type':'work'},{'type':'home'}],`
	for _, c := range []struct{ attributes, excluded, want string }{
		{"", "", withEnterprise + all + enterprise + `:{'department':'D','manager':{'value':'m'}}}`},
		{"userName", "", core + `'id':'1','userName':'a'}`},
		{"USERNAME, name.givenname", "", core + `'id':'1','userName':'a','name':{'givenName':'G'}}`},
		{"emails.value", "", core + `'id':'1','emails':[{'value':'x'}]}`},
		{"password,shoe", "", core + `'id':'1'}`},
		{"manager", "", withEnterprise + `'id':'1',` + enterprise + `:{'manager':{'value':'m'}}}`},
		{EnterpriseURN + ":manager.value," + UserURN + ":userName", "", withEnterprise + `'id':'1','userName':'a',` + enterprise + `:{'manager':{'value':'m'}}}`},
		{EnterpriseURN, "", withEnterprise + `'id':'1',` + enterprise + `:{'department':'D','manager':{'value':'m'}}}`},
		{kissflowURN + ":secrethint", "", `{'schemas':['urn:ietf:params:scim:schemas:core:2.0:User','urn:kissflow:scim:schemas:extension:Ac 12.x:2:User'],'id':'1','urn:kissflow:scim:schemas:extension:Ac 12.x:2:User':{'secretHint':'h'}}`},
		{"", "id,schemas,name.familyName,emails," + EnterpriseURN, core + `'id':'1','userName':'a','name':{'givenName':'G'}}`},
		{"", "department", withEnterprise + all + enterprise + `:{'manager':{'value':'m'}}}`},
	} {
		p, err := ParseProjection(c.attributes, c.excluded, kind.URNs()...)
		if err != nil {
			t.Fatal(err)
		}
		copied := o.Clone()
		if got, want := kind.Project(o, p), object(t, c.want); !Equal(got, want) {
			t.Errorf("%s -%s:\ngot  %s\nwant %s", c.attributes, c.excluded, text(t, got), text(t, want))
		}
		if !Equal(o, copied) {
			t.Errorf("%s -%s: the resource changed", c.attributes, c.excluded)
		}
	}
	for _, c := range [][2]string{{"a", "b"}, {"a b", ""}, {"emails[type pr]", ""}, {"", "a["}, {strings.Repeat("a,", MaxFilterBytes), ""}} {
		if _, err := ParseProjection(c[0], c[1]); err == nil || AsError(err).Status != 400 {
			t.Errorf("%.20q: got %v, want an error", c, err)
		}
	}
	groups := groupType(t)
	for _, c := range []struct {
		attributes, excluded string
		want                 bool
	}{{"", "", true}, {"", "members", false}, {"displayName", "", false}, {"members.value", "", true}} {
		p, err := ParseProjection(c.attributes, c.excluded)
		if err != nil {
			t.Fatal(err)
		}
		if got := groups.Asks(p, Path{Name: "members"}); got != c.want {
			t.Errorf("%v: got %v, want %v", c, got, c.want)
		}
	}
}

func TestSchemas(t *testing.T) {
	for _, s := range []*Schema{User(), Group(), EnterpriseUser()} {
		if err := s.Check(); err != nil {
			t.Error(err)
		}
		data, err := s.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		o, err := ReadObject(data, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		read, err := ReadSchema(o)
		if err != nil {
			t.Fatal(err)
		}
		again, err := read.MarshalJSON()
		if err != nil || string(again) != string(data) {
			t.Errorf("%s: written, read and written again it differs: %v\n%s\n%s", s.ID, err, data, again)
		}
	}
	bad := &Schema{ID: "acme", Attributes: []Attribute{{Name: "a b"}, {Name: "c"}, {Name: "C", Type: "text"}, {Name: "d", Type: Complex}, {Name: "e", SubAttributes: []Attribute{{Name: "f"}}},
		{Name: "g", Type: Complex, SubAttributes: []Attribute{{Name: "h", Type: Complex}}}, {Name: "i", Closed: true, Mutability: "no", Returned: "no", Uniqueness: "no"}}}
	err := bad.Check()
	for _, want := range []string{`the id "acme" is not a URN`, `"a b" is not a name`, `"C" is given twice`, `"C" has the unknown type "text"`, `"d" is complex and has no sub-attributes`,
		`"e" has sub-attributes but is not complex`, `"g.h" is complex within`, `"i" is closed but`, `unknown mutability`, `unknown returned`, `unknown uniqueness`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to say %s", err, want)
		}
	}
	_, err = NewResourceType("User", "/Users", &Schema{ID: "urn:a:b", Attributes: []Attribute{{Name: "ID"}}}, Extension{Schema: &Schema{ID: "URN:A:B"}})
	for _, want := range []string{`"id" is an attribute that every resource has anyway`, "given twice"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to say %s", err, want)
		}
	}
	published := object(t, `{'id':'urn:a:b','attributes':[{'name':'x','type':'STRING','mutability':'writeonce'},{'name':'no name'},{'name':'y','subAttributes':[{'name':'z'}]},{'name':'w','type':'complex'},{'name':'X'},5]}`)
	s, err := ReadSchema(published)
	if err != nil || len(s.Attributes) != 2 || s.Attributes[0].Type != String || s.Attributes[0].Mutability != ReadWrite || s.Attributes[1].Type != Complex || s.Check() != nil {
		t.Errorf("got %+v, %v", s, err)
	}
	if _, err := ReadSchema(&Object{}); err == nil {
		t.Error("a schema without an id must be refused")
	}
	kind := userType(t)
	data, err := kind.MarshalJSON()
	want := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],"id":"User","name":"User","endpoint":"/Users","description":"User Account","schema":"urn:ietf:params:scim:schemas:core:2.0:User",` +
		`"schemaExtensions":[{"schema":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User","required":false},{"schema":"urn:kissflow:scim:schemas:extension:Ac 12.x:2:User","required":false}]}`
	if err != nil || string(data) != want || len(kind.Schemas()) != 3 {
		t.Errorf("got %s, %v", data, err)
	}
}
