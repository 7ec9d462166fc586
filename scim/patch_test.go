package scim

import (
	"fmt"
	"strings"
	"testing"
)

const patchHead = `{'schemas':['urn:ietf:params:scim:api:messages:2.0:PatchOp'],'Operations':[`

// patched applies operations, given as JSON, and returns the new resource, the changes' paths and the quirks. It checks
// that the resource that was given stays as it was, and that a failure changes nothing.
func patched(t *testing.T, kind *ResourceType, before, operations string) (after *Object, changes []Change, quirks []Quirk, err error) {
	t.Helper()
	o := object(t, before)
	copied := o.Clone()
	p, quirks, err := kind.ParsePatch(object(t, patchHead+operations+`]}`))
	if err == nil {
		after, changes, err = kind.Apply(o, p)
	}
	if !Equal(o, copied) {
		t.Errorf("%s: the resource that was given is now %s", operations, text(t, o))
	}
	if err != nil && after != nil {
		t.Errorf("%s: a resource in spite of %v", operations, err)
	}
	return after, changes, quirks, err
}

func paths(changes []Change) string {
	var all []string
	for _, c := range changes {
		all = append(all, c.Path.String())
	}
	return strings.Join(all, " ")
}

const core = `{'schemas':['urn:ietf:params:scim:schemas:core:2.0:User'],`
const withEnterprise = `{'schemas':['urn:ietf:params:scim:schemas:core:2.0:User','urn:ietf:params:scim:schemas:extension:enterprise:2.0:User'],`
const enterprise = `'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User'`

// patchCases go through users: RFC 7644 section 3.5.2, then the dialects.
func patchCases() []struct{ name, before, ops, after, changes, quirks string } {
	const u = `'userName':'a'`
	return []struct{ name, before, ops, after, changes, quirks string }{
		{"add without a path", core + u + `}`, `{'op':'add','value':{'emails':[{'value':'babs@jensen.org','type':'home'}],'nickName':'Babs'}}`,
			core + u + `,'emails':[{'value':'babs@jensen.org','type':'home'}],'nickName':'Babs'}`, "emails nickName", ""},
		{"add appends", core + u + `,'emails':[{'value':'x','type':'work'}]}`, `{'op':'add','path':'emails','value':[{'value':'y','type':'home'}]}`,
			core + u + `,'emails':[{'value':'x','type':'work'},{'value':'y','type':'home'}]}`, "emails", ""},
		{"add what is there", core + u + `,'emails':[{'value':'x','type':'work'}]}`, `{'op':'add','path':'emails','value':[{'type':'work','value':'x'}]}`,
			core + u + `,'emails':[{'value':'x','type':'work'}]}`, "", ""},
		{"add merges a complex value", core + u + `,'name':{'givenName':'A'}}`, `{'op':'add','path':'name','value':{'familyName':'B'}}`,
			core + u + `,'name':{'givenName':'A','familyName':'B'}}`, "name", ""},
		{"replace keeps unspecified parts", core + u + `,'name':{'givenName':'A','familyName':'B'}}`, `{'op':'replace','value':{'name':{'familyName':'C'}}}`,
			core + u + `,'name':{'givenName':'A','familyName':'C'}}`, "name", ""},
		{"replace acts as add", core + u + `}`, `{'op':'replace','path':'title','value':'T'}`, core + u + `,'title':'T'}`, "title", ""},
		{"replace a list", core + u + `,'emails':[{'value':'x'}]}`, `{'op':'replace','path':'emails','value':[{'value':'y'}]}`, core + u + `,'emails':[{'value':'y'}]}`, "emails", ""},
		{"replace the selected value", core + u + `,'addresses':[{'type':'work','streetAddress':'1','locality':'L'},{'type':'home','locality':'H'}]}`,
			`{'op':'replace','path':'addresses[type eq \'work\']','value':{'type':'work','streetAddress':'2'}}`,
			core + u + `,'addresses':[{'type':'work','streetAddress':'2'},{'type':'home','locality':'H'}]}`, "addresses", ""},
		{"replace a part of it", core + u + `,'addresses':[{'type':'work','streetAddress':'1','locality':'L'}]}`,
			`{'op':'replace','path':'addresses[type eq \'work\'].streetAddress','value':'2'}`, core + u + `,'addresses':[{'type':'work','streetAddress':'2','locality':'L'}]}`, "addresses", ""},
		{"remove a simple one", core + u + `,'title':'T'}`, `{'op':'remove','path':'title'}`, core + u + `}`, "title", ""},
		{"remove what is absent", core + u + `}`, `{'op':'remove','path':'title'},{'op':'remove','path':'emails[type eq \'work\']'},{'op':'remove','path':'name.givenName'}`, core + u + `}`, "", ""},
		{"remove the last part", core + u + `,'name':{'givenName':'A'}}`, `{'op':'remove','path':'name.givenName'}`, core + u + `}`, "name", ""},
		{"remove selected", core + u + `,'emails':[{'value':'x','type':'work'},{'value':'y','type':'home'}]}`,
			`{'op':'remove','path':'emails[type eq \'work\' and value co \'x\']'}`, core + u + `,'emails':[{'value':'y','type':'home'}]}`, "emails", ""},
		{"one primary", core + u + `,'emails':[{'value':'x','primary':true}]}`, `{'op':'add','path':'emails','value':[{'value':'y','primary':true}]}`,
			core + u + `,'emails':[{'value':'x','primary':false},{'value':'y','primary':true}]}`, "emails", ""},
		{"one primary, beside the old one", core + u + `,'emails':[{'value':'x','type':'home','primary':true}]}`,
			`{'op':'add','path':'emails','value':[{'value':'y','primary':true},{'value':'x'}]}`,
			core + u + `,'emails':[{'value':'x','type':'home','primary':false},{'value':'y','primary':true}]}`, "emails", ""},
		{"two that become the same", core + u + `,'roles':[{'value':'x'},{'value':'y'},{'value':'z'}]}`, `{'op':'replace','path':'roles[value ne \'z\']','value':{'value':'w'}}`,
			core + u + `,'roles':[{'value':'w'},{'value':'z'}]}`, "roles", ""},
		{"a part of all values", core + u + `,'emails':[{'value':'x','display':'d'},{'value':'y','display':'e'}]}`, `{'op':'remove','path':'emails.display'}`,
			core + u + `,'emails':[{'value':'x'},{'value':'y'}]}`, "emails", ""},
		{"a URN in the path adds the schema", core + u + `}`, `{'op':'add','path':'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber','value':'7'}`,
			withEnterprise + u + `,` + enterprise + `:{'employeeNumber':'7'}}`, EnterpriseURN + ":employeeNumber", ""},
		{"the last attribute takes the schema along", withEnterprise + u + `,` + enterprise + `:{'employeeNumber':'7'}}`,
			`{'op':'remove','path':'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber'}`, core + u + `}`, EnterpriseURN + ":employeeNumber", ""},
		{"remove an extension", withEnterprise + u + `,` + enterprise + `:{'employeeNumber':'7','department':'D'}}`,
			`{'op':'remove','path':'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User'}`, core + u + `}`, EnterpriseURN + ":employeeNumber " + EnterpriseURN + ":department", ""},
		{"an extension as an object", core + u + `}`, `{'op':'add','value':{'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User':{'employeeNumber':'7','manager':{'value':'m','displayName':'x'}}}}`,
			withEnterprise + u + `,` + enterprise + `:{'employeeNumber':'7','manager':{'value':'m'}}}`, EnterpriseURN + ":employeeNumber " + EnterpriseURN + ":manager", "readOnlyIgnored"},
		{"the core's URN", core + u + `}`, `{'op':'add','path':'urn:ietf:params:scim:schemas:core:2.0:User:title','value':'T'}`, core + u + `,'title':'T'}`, "title", ""},
		{"order counts", core + u + `}`, `{'op':'add','path':'title','value':'A'},{'op':'remove','path':'title'},{'op':'add','path':'title','value':'B'}`, core + u + `,'title':'B'}`, "title", ""},

		{"Entra: capitals and one operation a path", core + u + `,'emails':[{'type':'work','value':'x'}]}`,
			`{'op':'Replace','path':'emails[type eq \'work\'].value','value':'updatedEmail@microsoft.com'},{'op':'Replace','path':'name.familyName','value':'updatedFamilyName'},{'op':'Replace','path':'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber','value':'Eqpj'}`,
			withEnterprise + u + `,'emails':[{'type':'work','value':'updatedEmail@microsoft.com'}],'name':{'familyName':'updatedFamilyName'},` + enterprise + `:{'employeeNumber':'Eqpj'}}`,
			"emails name " + EnterpriseURN + ":employeeNumber", "opCase opCase opCase"},
		{"Entra: disable", core + u + `,'active':true}`, `{'op':'Replace','path':'active','value':'False'}`, core + u + `,'active':false}`, "active", "opCase stringBoolean"},
		{"Entra: create the element", core + u + `}`, `{'op':'Add','path':'emails[type eq \'work\'].value','value':'x'},{'op':'Replace','path':'phoneNumbers[type eq \'mobile\'].value','value':'1'},{'op':'Add','path':'addresses[type eq \'work\'].formatted','value':'f'}`,
			core + u + `,'emails':[{'value':'x','type':'work'}],'phoneNumbers':[{'value':'1','type':'mobile'}],'addresses':[{'formatted':'f','type':'work'}]}`, "emails phoneNumbers addresses", "opCase opCase opCase"},
		{"Entra: a role by primary", core + u + `}`, `{'op':'Add','path':'roles[primary eq \'True\'].value','value':'admin'}`, core + u + `,'roles':[{'value':'admin','primary':true}]}`, "roles", "opCase"},
		{"Entra: roles as JSON in a string", core + u + `}`, `{'op':'Add','path':'roles','value':[{'value':'{\'id\':\'1\',\'value\':\'admin\',\'displayName\':\'Admin\'}'}]}`,
			core + u + `,'roles':[{'value':'admin','display':'Admin'}]}`, "roles", "opCase encodedRole"},
		{"Entra with the flag: dotted and qualified names", core + u + `}`, `{'op':'replace','value':{'displayName':'Bjfe','name.givenName':'Kkom','name.familyName':'Unua','urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber':'Aklq'}}`,
			withEnterprise + u + `,'displayName':'Bjfe','name':{'givenName':'Kkom','familyName':'Unua'},` + enterprise + `:{'employeeNumber':'Aklq'}}`,
			"displayName name " + EnterpriseURN + ":employeeNumber", "dottedName dottedName qualifiedName"},
		{"Entra: manager as a string without its URN", core + u + `}`, `{'op':'Add','path':'manager','value':'m'}`, withEnterprise + u + `,` + enterprise + `:{'manager':{'value':'m'}}}`, EnterpriseURN + ":manager", "opCase unqualifiedExtension bareValue"},
		{"Entra: manager as a list", core + u + `}`, `{'op':'Add','path':'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager','value':[{'$ref':null,'value':'m'}]}`,
			withEnterprise + u + `,` + enterprise + `:{'manager':{'value':'m'}}}`, EnterpriseURN + ":manager", "opCase listOfOne"},
		{"Entra: manager cleared by Add", withEnterprise + u + `,` + enterprise + `:{'manager':{'value':'m'}}}`, `{'op':'Add','path':'manager','value':''}`, core + u + `}`, EnterpriseURN + ":manager", "opCase unqualifiedExtension emptyText replaceWithNull"},
		{"Entra: manager cleared by Replace", withEnterprise + u + `,` + enterprise + `:{'manager':{'value':'m'}}}`, `{'op':'Replace','path':'manager','value':{'value':''}}`, core + u + `}`, EnterpriseURN + ":manager", "opCase unqualifiedExtension emptyText replaceWithNull"},
		{"Entra: manager cleared by a list", withEnterprise + u + `,` + enterprise + `:{'manager':{'value':'m'}}}`, `{'op':'Add','path':'manager','value':[{'value':''}]}`, core + u + `}`, EnterpriseURN + ":manager", "opCase unqualifiedExtension emptyText replaceWithNull"},
		{"Entra: manager removed with its value", withEnterprise + u + `,` + enterprise + `:{'manager':{'value':'m'}}}`, `{'op':'Remove','path':'manager','value':'m'}`, core + u + `}`, EnterpriseURN + ":manager", "opCase unqualifiedExtension"},
		{"Entra: address removed", core + u + `,'emails':[{'type':'work','value':'x','primary':true}]}`, `{'op':'Remove','path':'emails[type eq \'work\'].value'}`, core + u + `}`, "emails", "opCase"},
		{"customappsso: a dot behind the URN", core + u + `}`, `{'op':'Add','path':'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User.department','value':'D'},{'op':'Add','path':'urn:kissflow:scim:schemas:extension:Ac 12.x:2:User.Level_1','value':'3'}`,
			`{'schemas':['urn:ietf:params:scim:schemas:core:2.0:User','urn:ietf:params:scim:schemas:extension:enterprise:2.0:User','urn:kissflow:scim:schemas:extension:Ac 12.x:2:User'],` + u + `,` + enterprise + `:{'department':'D'},'urn:kissflow:scim:schemas:extension:Ac 12.x:2:User':{'Level_1':3}}`,
			EnterpriseURN + ":department " + kissflowURN + ":Level_1", "opCase dottedURN opCase dottedURN stringNumber"},
		{"customappsso: no quotes in the filter", core + u + `}`, `{'op':'Add','path':'emails[type eq work].value','value':'x'}`, core + u + `,'emails':[{'value':'x','type':'work'}]}`, "emails", "opCase"},
		{"Okta: without a path, with an id", core + u + `,'id':'1','active':true}`, `{'op':'replace','value':{'id':'1','active':false}}`, core + u + `,'id':'1','active':false}`, "active", ""},
		{"an empty path", core + u + `}`, `{'op':'replace','path':'','value':{'TITLE':'T'}}`, core + u + `,'title':'T'}`, "title", "emptyPath"},
		{"null and empty lists", core + u + `,'title':'T','emails':[{'value':'x'}],'name':{'givenName':'A','familyName':'B'}}`,
			`{'op':'replace','value':{'title':null,'emails':[],'name':{'givenName':null}}},{'op':'add','value':{'nickName':null}}`, core + u + `,'name':{'familyName':'B'}}`, "title emails name", "replaceWithNull replaceWithNull replaceWithNull"},
		{"unknown attributes", core + u + `}`, `{'op':'replace','path':'shoeSize','value':'1'},{'op':'add','value':{'x y':1,'hat':{'a':1},'emails':[{'value':'v','smell':'s'}]}}`,
			core + u + `,'emails':[{'value':'v'}]}`, "emails", "unknownAttribute unknownAttribute unknownAttribute unknownAttribute"},
		{"numbers for text, text for lists", core + u + `}`, `{'op':'add','value':{'title':5,'emails':'x','phoneNumbers':['1',{'value':'1'}]}}`,
			core + u + `,'title':'5','emails':[{'value':'x'}],'phoneNumbers':[{'value':'1'}]}`, "title emails phoneNumbers", "numberText bareValue notAList bareValue duplicateValue"},
		{"two primaries in one list", core + u + `}`, `{'op':'add','path':'emails','value':[{'value':'x','primary':true},{'value':'y','primary':'True'}]}`,
			core + u + `,'emails':[{'value':'x','primary':true},{'value':'y','primary':false}]}`, "emails", "stringBoolean secondPrimary"},
		{"an immutable attribute once", core + u + `}`, `{'op':'add','path':'urn:kissflow:scim:schemas:extension:Ac 12.x:2:User:Badge','value':'b'},{'op':'replace','path':'badge','value':'b'}`,
			`{'schemas':['urn:ietf:params:scim:schemas:core:2.0:User','urn:kissflow:scim:schemas:extension:Ac 12.x:2:User'],` + u + `,'urn:kissflow:scim:schemas:extension:Ac 12.x:2:User':{'Badge':'b'}}`, kissflowURN + ":Badge", "unqualifiedExtension"},
	}
}

// escaped turns \' within the single-quoted JSON of the cases into an escaped double quote.
func escaped(s string) string {
	return strings.ReplaceAll(s, `\'`, `\"`)
}

func TestPatch(t *testing.T) {
	kind := userType(t)
	for _, c := range patchCases() {
		t.Run(c.name, func(t *testing.T) {
			after, changes, quirks, err := patched(t, kind, c.before, escaped(c.ops))
			if err != nil {
				t.Fatal(err)
			}
			if want := object(t, c.after); !Equal(after, want) {
				t.Errorf("got  %s\nwant %s", text(t, after), text(t, want))
			}
			if got := paths(changes); got != c.changes {
				t.Errorf("changed %s, want %s", got, c.changes)
			}
			if got := codes(quirks); got != c.quirks {
				t.Errorf("quirks %s, want %s", got, c.quirks)
			}
			again, _, err := kind.Apply(after, &Patch{})
			if err != nil || again != after {
				t.Errorf("an empty patch makes %v, %v", again, err)
			}
		})
	}
}

func TestPatchMembers(t *testing.T) {
	kind := groupType(t)
	const head = `{'schemas':['urn:ietf:params:scim:schemas:core:2.0:Group'],'displayName':'G'`
	abc := head + `,'members':[{'value':'a','type':'User','display':'A'},{'value':'B'},{'value':'c'}]}`
	for _, c := range []struct{ name, ops, after, added, removed, quirks string }{
		{"RFC: remove all", `{'op':'remove','path':'members'}`, head + `}`, `[]`, `a B c`, ``},
		{"RFC: remove one", `{'op':'remove','path':'members[value eq \'b\']'}`, head + `,'members':[{'value':'a','type':'User','display':'A'},{'value':'c'}]}`, ``, `B`, ``},
		{"RFC: replace all", `{'op':'replace','path':'members','value':[{'value':'d'},{'value':'c'}]}`, head + `,'members':[{'value':'d'},{'value':'c'}]}`, `d`, `a B`, ``},
		{"RFC: add", `{'op':'add','path':'members','value':[{'display':'Babs','$ref':'https://example.com/v2/Users/d','value':'d'}]}`,
			head + `,'members':[{'value':'a','type':'User','display':'A'},{'value':'B'},{'value':'c'},{'display':'Babs','$ref':'https://example.com/v2/Users/d','value':'d'}]}`, `d`, ``, ``},
		{"Entra: add what is there", `{'op':'Add','path':'members','value':[{'$ref':null,'value':'a'}]}`, abc, ``, ``, `opCase`},
		{"Entra: remove with values", `{'op':'Remove','path':'members','value':[{'$ref':null,'value':'a'},{'value':'zzz'}]}`, head + `,'members':[{'value':'B'},{'value':'c'}]}`, ``, `a`, `opCase removeWithValue`},
		{"Entra: remove with one value", `{'op':'Remove','path':'members','value':{'value':'a'}}`, head + `,'members':[{'value':'B'},{'value':'c'}]}`, ``, `a`, `opCase removeWithValue notAList`},
		{"remove bare ids", `{'op':'remove','path':'members','value':['a','b']}`, head + `,'members':[{'value':'c'}]}`, ``, `a B`, `removeWithValue bareValue bareValue`},
		{"remove an empty list removes nothing", `{'op':'Remove','path':'members','value':[]}`, abc, ``, ``, `opCase removeWithValue`},
		{"Entra: replace with null", `{'op':'Replace','path':'members','value':null}`, head + `}`, ``, `a B c`, `opCase replaceWithNull`},
		{"Entra: replace with nothing", `{'op':'Replace','path':'members','value':[]}`, head + `}`, ``, `a B c`, `opCase replaceWithNull`},
		{"one by one", `{'op':'remove','path':'members[value eq \'a\']'},{'op':'remove','path':'members[value eq \'c\']'},{'op':'remove','path':'members','value':[{'value':'b'}]},{'op':'add','path':'members','value':[{'value':'x'}]},{'op':'add','path':'members','value':[{'value':'y'}]}`,
			head + `,'members':[{'value':'x'},{'value':'y'}]}`, `x y`, `a B c`, `removeWithValue`},
		{"another order is no change", `{'op':'replace','path':'members','value':[{'value':'c'},{'value':'B'},{'value':'a','type':'User','display':'A'}]}`, abc, ``, ``, ``},
		{"what is immutable stays", `{'op':'add','path':'members','value':[{'value':'A','type':'User','display':'AA'}]}`, head + `,'members':[{'value':'a','type':'User','display':'AA'},{'value':'B'},{'value':'c'}]}`, `a`, `a`, ``},
		{"Okta: rename and members without a path", `{'op':'replace','value':{'id':'g','displayName':'G','members':[{'value':'c','display':'C'}]}}`, head + `,'members':[{'value':'c','display':'C'}]}`, `c`, `a B c`, ``},
	} {
		t.Run(c.name, func(t *testing.T) {
			after, changes, quirks, err := patched(t, kind, abc, escaped(c.ops))
			if err != nil {
				t.Fatal(err)
			}
			if want := object(t, c.after); !Equal(after, want) {
				t.Errorf("got  %s\nwant %s", text(t, after), text(t, want))
			}
			if got := codes(quirks); got != c.quirks {
				t.Errorf("quirks %s, want %s", got, c.quirks)
			}
			ids := func(list []any) string {
				var all []string
				for _, e := range list {
					id, _ := e.(*Object).Text("value")
					all = append(all, id)
				}
				return strings.Join(all, " ")
			}
			for _, change := range changes {
				if change.Path.Name != "members" {
					continue
				}
				if got := ids(change.Added()); got != strings.Trim(c.added, "[]") {
					t.Errorf("added %s, want %s", got, c.added)
				}
				if got := ids(change.Removed()); got != c.removed {
					t.Errorf("removed %s, want %s", got, c.removed)
				}
			}
			if len(changes) == 0 && c.added+c.removed != "" {
				t.Error("no changes")
			}
		})
	}
}

func TestPatchErrors(t *testing.T) {
	kind := userType(t)
	const before = core + `'id':'1','userName':'a','emails':[{'value':'x','type':'work'},{'value':'y','type':'home'}],'urn:kissflow:scim:schemas:extension:Ac 12.x:2:User':{'Badge':'b'}}`
	for _, c := range []struct{ ops, want string }{
		{`{'op':'remove'}`, "noTarget: operation 1: a removal needs a path"},
		{`{'op':'remove','path':'userName'}`, "mutability: operation 1: userName is required and cannot be removed"},
		{`{'op':'replace','path':'userName','value':null}`, "mutability: operation 1: userName is required and cannot be removed"},
		{`{'op':'replace','path':'userName','value':''}`, "invalidValue: operation 1: userName is required and cannot be empty"},
		{`{'op':'replace','path':'id','value':'2'}`, "mutability: operation 1: id is read-only"},
		{`{'op':'add','path':'groups','value':[{'value':'g'}]}`, "mutability: operation 1: groups is read-only"},
		{`{'op':'replace','path':'meta.created','value':'x'}`, "mutability: operation 1: meta.created is read-only"},
		{`{'op':'add','path':'manager.displayName','value':'x'}`, "mutability: operation 1: urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.displayName is read-only"},
		{`{'op':'add','path':'title','value':'T'},{'op':'replace','path':'badge','value':'c'}`, "mutability: operation 2: Badge cannot be changed once it is set"},
		{`{'op':'remove','path':'badge'}`, "mutability: operation 1: Badge cannot be changed once it is set"},
		{`{'op':'replace','path':'emails[type eq \'pager\'].value','value':'z'}`, "noTarget: operation 1: no value of emails is selected by the filter in the path"},
		{`{'op':'replace','path':'emails[value co \'q\'].value','value':'z'}`, "noTarget: operation 1: no value of emails is selected by the filter in the path"},
		{`{'op':'replace','path':'emails.value','value':'z'}`, `noTarget: operation 1: emails.value could be any of 2 values; select one, as in emails[type eq "work"].value`},
		{`{'op':'replace','path':'name[givenName eq \'x\']','value':'z'}`, "invalidPath: operation 1: name has one value at most, so [...] cannot select among them"},
		{`{'op':'replace','path':'emails[type gt','value':'z'}`, "invalidPath: operation 1: expected a value at position 15 of the path"},
		{`{'op':'replace','path':'emails[primary gt true].value','value':'z'}`, "invalidFilter: operation 1: emails.primary is of the type boolean, which cannot be compared with gt"},
		{`{'op':'replace','path':5,'value':'z'}`, "invalidPath: operation 1: path is a number; it must be a string"},
		{`{'op':'replace','path':'active','value':'perhaps'}`, "invalidValue: operation 1: active must be of the type boolean; it is a string"},
		{`{'op':'replace','path':'userName','value':{'a':1}}`, "invalidValue: operation 1: userName must be of the type string; it is an object"},
		{`{'op':'replace','path':'title','value':['a','b']}`, "invalidValue: operation 1: title takes one value; 2 were given"},
		{`{'op':'replace','path':'name','value':'x'}`, "invalidValue: operation 1: name must be an object with parts such as formatted; it is a string"},
		{`{'op':'replace','path':'size','value':'XXL'}`, "invalidValue: operation 1: urn:kissflow:scim:schemas:extension:Ac 12.x:2:User:Size must be one of: S, M, L"},
		{`{'op':'replace','path':'hired','value':'06/06/2019'}`, "invalidValue: operation 1: urn:kissflow:scim:schemas:extension:Ac 12.x:2:User:Hired must be a time such as 2008-01-23T04:56:22Z"},
		{`{'op':'replace','path':'x509Certificates','value':[{'value':'§'}]}`, "invalidValue: operation 1: x509Certificates.value must be base64"},
		{`{'op':'replace','path':'emails','value':[{'smell':1},{'smell':2}]}`, "invalidValue: operation 1: emails: none of the 2 values can be used"},
		{`{'op':'replace','path':'emails[type eq \'work\']','value':[{'value':'1'},{'value':'2'}]}`, "invalidValue: operation 1: emails[...] takes one value; 2 were given"},
		{`{'op':'replace','value':'x'}`, "invalidValue: operation 1: without a path the value must be an object; it is a string"},
		{`{'op':'add','path':'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User','value':'x'}`, "invalidValue: operation 1: urn:ietf:params:scim:schemas:extension:enterprise:2.0:User must be an object; it is a string"},
		{`{'op':'move','path':'title'}`, `invalidSyntax: operation 1: unknown op "move"; there are add, remove and replace`},
		{`{'op':'add','path':'title'}`, "invalidValue: operation 1: an addition needs a value"},
		{`{'op':'replace','path':'emails'}`, "invalidValue: operation 1: a replacement of emails needs a value"},
		{`{'op':'Replace','path':'emails[type eq \'work\']'}`, "invalidValue: operation 1: a replacement of emails needs a value"},
		{`{'op':'replace'}`, "invalidValue: operation 1: without a path the value must be an object; it is null"},
		{`{'path':'title'}`, "invalidSyntax: operation 1: op is missing"},
		{`'x'`, "invalidSyntax: operation 1: it is a string; it must be an object"},
		{``, "invalidSyntax: a PATCH needs at least one operation"},
	} {
		_, _, _, err := patched(t, kind, before, escaped(c.ops))
		if got := errorText(t, err); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.ops, got, c.want)
		}
		if err != nil && AsError(err).Status != 400 {
			t.Errorf("%s: status %d", c.ops, AsError(err).Status)
		}
	}
	for body, want := range map[string]string{
		`{}`:                 "invalidSyntax: a PATCH needs a list named Operations",
		`{'operations':'x'}`: "invalidSyntax: a PATCH needs a list named Operations",
		`{'Operations':[` + strings.TrimSuffix(strings.Repeat(`{'op':'remove','path':'a'},`, MaxOperations+1), ",") + `]}`: "tooMany: 1001 operations; at most 1000 are taken",
	} {
		_, _, err := kind.ParsePatch(object(t, body))
		if got := errorText(t, err); got != want {
			t.Errorf("%.40s: got %s, want %s", body, got, want)
		}
	}
	p, quirks, err := kind.ParsePatch(object(t, `{'operations':{'OP':'add','Path':'title','VALUE':'x'}}`))
	if err != nil || len(p.Operations) != 1 || codes(quirks) != "missingSchema singleOperation" {
		t.Errorf("got %v, %v, %v", p, codes(quirks), err)
	}
}

func TestMemberImmutable(t *testing.T) {
	kind := groupType(t)
	_, _, _, err := patched(t, kind, `{'displayName':'G','members':[{'value':'a'}]}`, escaped(`{'op':'replace','path':'members[value eq \'a\'].value','value':'b'}`))
	if got, want := errorText(t, err), "mutability: operation 1: members.value cannot be changed once it is set"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestApplyByHand gives Apply what ParsePatch would never let through.
func TestApplyByHand(t *testing.T) {
	kind := userType(t)
	o := object(t, core+`'userName':'a','emails':[{'value':'x'}]}`)
	for _, c := range []struct {
		op   Operation
		want string
	}{
		{Operation{Op: Add, Path: Path{Name: "shoe"}, Value: "x"}, "invalidPath: shoe is not an attribute of User"},
		{Operation{Op: Add, Path: Path{}, Value: "x"}, "invalidPath:  is not an attribute of User"},
		{Operation{Op: Add, Path: Path{Name: "active"}, Value: "x"}, "invalidValue: active must be of the type boolean; it is a string"},
		{Operation{Op: Remove, Path: Path{Name: "id"}}, "mutability: id is read-only"},
		{Operation{Op: Remove, Path: Path{Name: "emails"}, Value: &Object{}}, ""},
		{Operation{Op: Add, Path: Path{Name: "title"}}, ""},
	} {
		after, changes, err := kind.Apply(o, &Patch{[]Operation{c.op}})
		if got := errorText(t, err); got != c.want {
			t.Errorf("%v: got %s, want %s", c.op, got, c.want)
		}
		if err == nil && (after != o || changes != nil) {
			t.Errorf("%v: it changed %v", c.op, paths(changes))
		}
	}
}

// TestSecrets proves that what was sent as a value is in no error, quirk or change.
func TestSecrets(t *testing.T) {
	kind := userType(t)
	const secret = "hunter2"
	for _, ops := range []string{
		`{'op':'Replace','path':'password','value':'hunter2'}`,
		`{'op':'Replace','value':{'password':{'value':'hunter2'}}}`,
		`{'op':'Replace','value':{'password':['hunter2','hunter2']}}`,
		`{'op':'Replace','path':'active','value':'hunter2'}`,
		`{'op':'Replace','path':'name','value':'hunter2'}`,
		`{'op':'Replace','path':'size','value':'hunter2'}`,
		`{'op':'Replace','path':'hired','value':'hunter2'}`,
		`{'op':'Replace','path':'shoe[value eq \'hunter2\'].x','value':'hunter2'}`,
		`{'op':'Replace','path':'emails[value eq \'hunter2\'].value','value':'hunter2'}`,
		`{'op':'Replace','path':'emails[value eq \'hunter2','value':'hunter2'}`,
		`{'op':'Replace','path':'emails[primary eq \'hunter2\']','value':'hunter2'}`,
	} {
		_, changes, quirks, err := patched(t, kind, core+`'userName':'a','password':'old hunter2'}`, escaped(ops))
		if said := fmt.Sprint(quirks, err, changes); strings.Contains(said, secret) {
			t.Errorf("%s: said %s", ops, said)
		}
	}
	_, err := ReadObject([]byte(`{"password":"hunter2`), Limits{})
	if strings.Contains(err.Error(), secret) {
		t.Error(err)
	}
}

func BenchmarkParsePatch(b *testing.B) {
	kind := userType(b)
	body := []byte(strings.ReplaceAll(escaped(patchHead+patchCases()[20].ops+`]}`), "'", `"`))
	for b.Loop() {
		o, err := ReadObject(body, Limits{})
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err := kind.ParsePatch(o); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkApply(b *testing.B) {
	kind, o := userType(b), object(b, babs)
	p, _, err := kind.ParsePatch(object(b, escaped(patchHead+patchCases()[20].ops+`]}`)))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := kind.Apply(o, p); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkApplyMembers removes and adds 500 members one by one in a group of 100,000.
func BenchmarkApplyMembers(b *testing.B) {
	kind := groupType(b)
	var members []any
	for i := range 100_000 {
		members = append(members, NewObject(Member{"value", fmt.Sprintf("54d382a4-2050-4c03-94d1-%012d", i)}, Member{"type", "User"}))
	}
	group := NewObject(Member{"displayName", "G"}, Member{"members", members})
	var ops []string
	for i := range 500 {
		ops = append(ops, fmt.Sprintf(`{'op':'remove','path':'members[value eq \'54d382a4-2050-4c03-94d1-%012d\']'}`, 7*i))
	}
	for i := range 500 {
		ops = append(ops, fmt.Sprintf(`{'op':'add','path':'members','value':[{'value':'new-%d'}]}`, i))
	}
	p, _, err := kind.ParsePatch(object(b, escaped(patchHead+strings.Join(ops, ",")+`]}`)))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := kind.Apply(group, p); err != nil {
			b.Fatal(err)
		}
	}
}
