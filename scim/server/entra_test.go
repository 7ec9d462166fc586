package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"dirsync"
	"dirsync/scim"
	"dirsync/scim/server"
)

// The requests here are those that the documentation of Entra's provisioning service shows, and that its SCIM validator
// sends, in every dialect: the default one, aadOptscim062020, and the old customappsso.

const entraUser = `{'schemas':['urn:ietf:params:scim:schemas:core:2.0:User','urn:ietf:params:scim:schemas:extension:enterprise:2.0:User'],
 'externalId':'0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef','userName':'Test_User_ab6490ee-1e48-479e-a20b-2d77186b5dd1','active':true,
 'emails':[{'primary':true,'type':'work','value':'Test_User_fd0ea19b@testuser.com'}],
 'meta':{'resourceType':'User'},
 'name':{'formatted':'givenName familyName','familyName':'familyName','givenName':'givenName'},'roles':[]}`

const entraGroup = `{'schemas':['urn:ietf:params:scim:schemas:core:2.0:Group','http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group'],
 'externalId':'8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159','displayName':'displayName','meta':{'resourceType':'Group'}}`

func TestEntraTestConnection(t *testing.T) {
	r := newRig(t)
	for _, path := range []string{
		"/Users?filter=userName+eq+%22non-existent%22",
		"/Users?filter=emails%5Btype+eq+%22work%22%5D.value+eq+%22non-existent%22",
		"/Users?filter=externalId%20eq%20jyoung",
		"/Users?filter=id%20eq%20%22no%22%20and%20manager%20eq%20%222819c223%22&attributes=id",
		"/Groups?excludedAttributes=members&filter=displayName%20eq%20%22BestGroup%22",
		"/Groups?filter=id+eq+%22g1%22+and+members+eq+%22u1%22&attributes=id",
	} {
		r.do("GET", path, "").want(200).has("totalResults", "0").has("Resources", "[]").has("startIndex", "1").has("itemsPerPage", "0")
	}
	// The flag of the tenant URL, where it belongs and where it has been seen.
	r.user("anna")
	for _, url := range []string{
		"/Users?aadOptscim062020&filter=userName+eq+%22anna%22",
		"/Users/?aadOptscim062020=&filter=userName+eq+%22ANNA%22",
		"?aadOptscim062020/Users?filter=userName+eq+%22anna%22",
		"/?aadOptscim062020/Users&filter=userName+eq+%22anna%22",
	} {
		r.do("GET", url, "").want(200).has("totalResults", "1").has("Resources.0.userName", "'anna'").
			has("Resources.0.meta.location", "'"+base+"/Users/u00000001'")
	}
	r.do("GET", "/?aadOptscim062020/Users/u00000001", "").want(200).has("id", "'u00000001'")
}

func TestEntraUser(t *testing.T) {
	r := newRig(t)
	made := r.do("POST", "/Users", entraUser).want(201)
	id := made.id()
	r.do("POST", "/Users", entraUser).want(409, "uniqueness")
	r.do("POST", "/Users", strings.ToUpper(entraUser[:0])+strings.Replace(entraUser, "Test_User_ab6490ee", "TEST_user_AB6490EE", 1)).want(409, "uniqueness")
	r.do("GET", "/Users?filter=userName+eq+%22test_user_AB6490EE-1e48-479e-a20b-2d77186b5dd1%22", "").want(200).has("totalResults", "1").has("Resources.0.id", "'"+id+"'")
	r.do("GET", "/Users?filter=externalId+eq+%220a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef%22", "").want(200).has("totalResults", "1")
	r.do("GET", "/Users?filter=externalId+eq+%220A21f0f2-8d2a-4f8e-bf98-7363c4aed4ef%22", "").want(200).has("totalResults", "0")
	r.do("GET", "/Users?filter=emails%5Btype+eq+%22work%22%5D.value+eq+%22test_user_fd0ea19b@testuser.com%22", "").want(200).has("totalResults", "1")
	r.do("GET", "/Users?filter=emails%5Btype+eq+%22home%22%5D.value+eq+%22test_user_fd0ea19b@testuser.com%22", "").want(200).has("totalResults", "0")
	const enterprise = "<urn:ietf:params:scim:schemas:extension:enterprise:2.0:User>"
	manager := r.user("manager")
	for _, c := range []struct{ name, ops, path, want string }{
		{"multi-valued", `{'op':'Replace','path':'emails[type eq \'work\'].value','value':'updatedEmail@microsoft.com'},{'op':'Replace','path':'name.familyName','value':'updatedFamilyName'}`,
			"emails.0.value", "'updatedEmail@microsoft.com'"},
		{"and its companion", `{'op':'Replace','path':'nickName','value':'Babs'}`, "name.familyName", "'updatedFamilyName'"},
		{"an element that is not there", `{'op':'Add','path':'phoneNumbers[type eq \'mobile\'].value','value':'+1 555'}`, "phoneNumbers", "[{'value':'+1 555','type':'mobile'}]"},
		{"replaced, and not there", `{'op':'Replace','path':'addresses[type eq \'work\'].locality','value':'Berlin'}`, "addresses", "[{'locality':'Berlin','type':'work'}]"},
		{"extension", `{'op':'Replace','path':'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber','value':'Eqpj'}`, enterprise + ".employeeNumber", "'Eqpj'"},
		{"extension, customappsso", `{'op':'Add','path':'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User.department','value':'IT'}`, enterprise + ".department", "'IT'"},
		{"disable, text", `{'op':'Replace','path':'active','value':'False'}`, "active", "false"},
		{"enable, text", `{'op':'Replace','path':'active','value':'True'}`, "active", "true"},
		{"disable, boolean", `{'op':'replace','path':'active','value':false}`, "active", "false"},
		{"enable, pathless", `{'op':'replace','value':{'active':true}}`, "active", "true"},
		{"pathless, dotted", `{'op':'replace','value':{'displayName':'Bjfe','name.givenName':'Kkom','name.familyName':'Unua','urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber':'Aklq'}}`,
			"name", "{'formatted':'givenName familyName','familyName':'Unua','givenName':'Kkom'}"},
		{"pathless, nested", `{'op':'Replace','value':{'name':{'givenName':'G'}}}`, "name", "{'formatted':'givenName familyName','familyName':'Unua','givenName':'G'}"},
		{"manager, bare", `{'op':'Add','path':'manager','value':'` + manager + `'}`, enterprise + ".manager", "{'value':'" + manager + "'}"},
		{"manager, removed by text", `{'op':'Replace','path':'manager','value':''}`, enterprise + ".manager", ""},
		{"manager, list", `{'op':'Add','path':'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager','value':[{'$ref':null,'value':'` + manager + `'}]}`, enterprise + ".manager", "{'value':'" + manager + "'}"},
		{"manager, replaced", `{'op':'Replace','path':'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager','value':{'value':'` + id + `'}}`, enterprise + ".manager.value", "'" + id + "'"},
		{"manager, removed", `{'op':'Remove','path':'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager'}`, enterprise + ".manager", ""},
		{"role, complex", `{'op':'Add','path':'roles','value':[{'value':'{\'id\':\'r1\',\'value\':\'admin\',\'displayName\':\'Admin\'}'}]}`, "roles", "[{'value':'admin','display':'Admin'}]"},
		{"role, primary", `{'op':'Add','path':'roles[primary eq \'True\'].value','value':'user'}`, "roles.1", "{'value':'user','primary':true}"},
		{"rename", `{'op':'Replace','path':'userName','value':'5b50642d-79fc-4410-9e90-4c077cdd1a59@testuser.com'}`, "userName", "'5b50642d-79fc-4410-9e90-4c077cdd1a59@testuser.com'"},
		{"what nobody knows", `{'op':'Add','path':'facsimileTelephoneNumber','value':'1'},{'op':'Replace','path':'title','value':'T'}`, "title", "'T'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := r.do("PATCH", "/Users/"+id+"?aadOptscim062020", patch(strings.ReplaceAll(c.ops, `\'`, `\"`))).want(200)
			a.t = t
			a.has(c.path, c.want)
			b := r.do("GET", "/Users/"+id, "")
			b.t = t
			b.want(200).has(c.path, c.want)
		})
	}
	if e := r.last(); e.Method != "GET" || e.ID != id || e.Token != "entra" {
		t.Errorf("event %+v", e)
	}
	r.do("DELETE", "/Users/"+id, "").want(204)
	r.do("DELETE", "/Users/"+id, "").want(404)
	r.do("GET", "/Users/"+id, "").want(404)
	r.do("DELETE", "/Users/5171a35d82074e068ce2", "").want(404)
}

func TestEntraGroup(t *testing.T) {
	r := newRig(t)
	made := r.do("POST", "/Groups", entraGroup).want(201).has("members", "[]")
	id := made.id()
	r.do("POST", "/Groups", entraGroup).want(409, "uniqueness")
	r.do("GET", "/Groups/"+id+"?excludedAttributes=members", "").want(200).has("members", "").has("displayName", "'displayName'")
	r.do("GET", "/Groups?excludedAttributes=members&filter=displayName%20eq%20%22DISPLAYNAME%22", "").want(200).has("totalResults", "1").has("Resources.0.members", "")
	r.do("PATCH", "/Groups/"+id, patch(`{'op':'Replace','path':'displayName','value':'1879db59-3bdf-4490-ad68-ab880a269474updatedDisplayName'}`)).want(200)
	r.do("PATCH", "/Groups/"+id, patch(`{'op':'Replace','path':'externalId','value':'x'}`)).want(200).has("externalId", "'x'")
	a, b, c := r.user("a"), r.user("b"), r.user("c")
	members := func() string {
		var out []string
		for _, v := range r.do("GET", "/Groups/"+id, "").want(200).body.List("members") {
			o, _ := v.(*scim.Object)
			name, _ := o.Text("display")
			out = append(out, name)
		}
		return strings.Join(out, "")
	}
	for _, step := range []struct{ ops, want string }{
		{fmt.Sprintf(`{'op':'Add','path':'members','value':[{'$ref':null,'value':'%s'}]}`, a), "a"},
		{fmt.Sprintf(`{'op':'Add','path':'members','value':[{'$ref':null,'value':'%s'},{'$ref':null,'value':'%s'}]}`, a, b), "ab"},
		{fmt.Sprintf(`{'op':'add','value':{'members':[{'value':'%s'}]}}`, c), "abc"},
		{fmt.Sprintf(`{'op':'Remove','path':'members','value':[{'$ref':null,'value':'%s'}]}`, b), "ac"},
		{fmt.Sprintf(`{'op':'remove','path':'members[value eq \"%s\"]'}`, a), "c"},
		{fmt.Sprintf(`{'op':'remove','path':'members[value eq \"%s\"]'}`, a), "c"},
		{fmt.Sprintf(`{'op':'Remove','path':'members','value':[{'value':'%s'}]},{'op':'Add','path':'members','value':[{'value':'%s'}]}`, c, b), "b"},
		{fmt.Sprintf(`{'op':'Replace','path':'members','value':[{'value':'%s'},{'value':'%s'}]}`, a, c), "ac"},
		{`{'op':'Remove','path':'members','value':[]}`, "ac"},
		{fmt.Sprintf(`{'op':'remove','path':'members[value eq \"%s\" or display eq \"C\"]'}`, a), ""},
		{fmt.Sprintf(`{'op':'add','path':'members','value':{'value':'%s'}}`, a), "a"},
		{`{'op':'Replace','path':'members','value':null}`, ""},
		{fmt.Sprintf(`{'op':'add','path':'members','value':[{'value':'%s'}]},{'op':'remove','path':'members[type eq \"User\"]'},{'op':'add','path':'members','value':[{'value':'%s'}]}`, a, b), "b"},
		{`{'op':'remove','path':'members'}`, ""},
	} {
		r.do("PATCH", "/Groups/"+id, patch(step.ops)).want(200)
		if got := members(); got != step.want {
			t.Errorf("%s: members %q, want %q", step.ops, got, step.want)
		}
	}
	for _, bad := range []struct{ ops, scimType string }{
		{`{'op':'Add','path':'members','value':[{'value':'nobody'}]}`, "invalidValue"},
		{`{'op':'Add','path':'members','value':[{'display':'x'}]}`, "invalidValue"},
		{`{'op':'Add','path':'members','value':[{'value':'` + id + `'}]}`, "invalidValue"},
		{`{'op':'Replace','path':'members[value eq \"u1\"].value','value':'u2'}`, "mutability"},
		{`{'op':'Replace','path':'displayName','value':''}`, "invalidValue"},
		{`{'op':'Remove','path':'displayName'}`, "mutability"},
	} {
		r.do("PATCH", "/Groups/"+id, patch(bad.ops)).want(400, bad.scimType)
	}
	// All or nothing.
	r.do("PATCH", "/Groups/"+id, patch(`{'op':'Add','path':'members','value':[{'value':'`+a+`'}]},{'op':'Replace','path':'displayName','value':5},{'op':'add','path':'meta.version','value':'x'}`)).want(400, "mutability")
	if got := members(); got != "" {
		t.Errorf("members %q after a PATCH that failed", got)
	}
	r.do("DELETE", "/Groups/"+id, "").want(204)
	r.do("DELETE", "/Groups/"+id, "").want(404)
}

// TestKissflow follows the guide of an application with a schema of its own: version "2", and an account id that no parser
// of URNs likes.
func TestKissflow(t *testing.T) {
	r := newRig(t)
	boss := r.user("boss")
	made := r.do("POST", "/Users", `{'schemas':['urn:ietf:params:scim:schemas:core:2.0:User'],'externalId':'5f0c1','userName':'anna@contoso.com','active':'True',
		'emails':[{'primary':true,'type':'work','value':'anna@contoso.com'}],'name':{'givenName':'Anna','familyName':'Schmidt'},
		'facsimileTelephoneNumber':'1','state':'Bayern','addresses':[{'type':'work','locality':'Berlin'}],
		'`+acmeURN+`':{'Boss_1':'`+boss+`','Department':'Sales','Level':'5','Salary':'eur 12.50','Joined':'06/06/2019','Seen':'2026-03-04T13:00:00+01:00','Remote':'True','Office':'berlin','Phone':'+49 (0)30 90-18 20','Tags':['x','y']}}`).want(201)
	kept, _ := r.store.get(dirsync.KindUser, made.id())
	var got []string
	for _, f := range kept.Values {
		got = append(got, f.Field+"="+string(f.Value.Type)+":"+f.Value.Text)
	}
	want := []string{"boss=reference:" + boss, "department=text:Sales", "email=email:anna@contoso.com", "first_name=text:Anna", "joining_date=date:2019-06-06",
		"last_name=text:Schmidt", "level=number:5", "office=choice:Berlin", "phone=phone:+4930901820", "remote=boolean:true", "salary=currency:EUR 12.5",
		"seen=datetime:2026-03-04T12:00:00Z", `tags=text list:["x","y"]`}
	if !slices.Equal(got, want) {
		t.Errorf("values\n got %q\nwant %q", got, want)
	}
	// What was sent is given back as it was sent, in the types of the schema.
	made.has("<"+acmeURN+">", "{'Boss_1':'"+boss+"','Department':'Sales','Level':5,'Salary':'eur 12.50','Joined':'06/06/2019','Seen':'2026-03-04T13:00:00+01:00','Remote':true,'Office':'berlin','Phone':'+49 (0)30 90-18 20','Tags':['x','y']}").
		has("schemas", "['"+scim.UserURN+"','"+acmeURN+"']").has("addresses.0.locality", "'Berlin'")
	var quirks []string
	for _, q := range r.last().Quirks {
		quirks = append(quirks, string(q.Code))
	}
	slices.Sort(quirks)
	if got := strings.Join(slices.Compact(quirks), " "); got != "missingSchema stringBoolean stringNumber unknownAttribute" {
		t.Errorf("quirks %s", got)
	}
	for _, c := range []struct{ attr, value, want string }{
		{"Joined", "'June sixth'", "Joined must be a date in the form DD/MM/YYYY or YYYY-MM-DD"},
		{"Level", "'five'", "must be of the type decimal"},
		{"Remote", "'perhaps'", "must be of the type boolean"},
		{"Office", "'Rome'", "Office must be one of: Berlin, Chennai"},
		{"Salary", "'13.70'", "must be an amount with its currency, such as EUR 12.50"},
		{"Seen", "'yesterday'", "must be a time such as"},
		{"Phone", "'030 901820'", "must be a phone number with its country code"},
		{"Department", "'A name of more than twenty letters'", "is longer than 20 characters"},
		{"Tags", "[{'x':1}]", "Tags"},
	} {
		for _, path := range []string{acmeURN + ":" + c.attr, acmeURN + "." + c.attr} {
			a := r.do("PATCH", "/Users/"+made.id(), patch(`{'op':'Replace','path':'`+path+`','value':`+c.value+`}`)).want(400, "invalidValue")
			detail, _ := a.body.Text("detail")
			if !strings.Contains(detail, c.want) || !strings.Contains(detail, c.attr) || strings.Contains(detail, strings.Trim(c.value, "'")) {
				t.Errorf("%s: %s", path, detail)
			}
		}
	}
	// A unique field is one for everybody.
	r.store.unique = "level"
	a := r.do("POST", "/Users", `{'userName':'ben','`+acmeURN+`':{'Level':5}}`).want(409, "uniqueness")
	if detail, _ := a.body.Text("detail"); !strings.Contains(detail, acmeURN+":Level") {
		t.Errorf("detail %q", detail)
	}
}

// TestZiflow is an application that takes four attributes, once.
func TestZiflow(t *testing.T) {
	r := newRig(t, func(c *server.Config) {
		c.Fields = nil
		c.Users = server.Actions{NoUpdate: true, NoDelete: true}
		c.Groups = server.Actions{NoCreate: true, NoUpdate: true, NoDelete: true}
	})
	id := r.do("POST", "/Users", `{'userName':'anna@contoso.com','emails':[{'type':'work','value':'anna@contoso.com'}],'name':{'givenName':'Anna','familyName':'Schmidt'}}`).want(201).id()
	kept, _ := r.store.get(dirsync.KindUser, id)
	if len(kept.Values) != 3 {
		t.Errorf("values %v", kept.Values)
	}
	a := r.do("PATCH", "/Users/"+id, patch(`{'op':'Replace','path':'title','value':'x'}`)).want(405)
	if got := a.header.Get("Allow"); got != "GET, OPTIONS" {
		t.Errorf("Allow %q", got)
	}
	r.do("DELETE", "/Users/"+id, "").want(405)
	r.do("POST", "/Groups", entraGroup).want(405)
	r.do("GET", "/Groups?filter=displayName+eq+%22x%22", "").want(200).has("totalResults", "0")
	r.do("GET", "/ServiceProviderConfig", "").want(200).has("patch.supported", "false")
	bulk := r.do("POST", "/Bulk", `{'schemas':['`+scim.BulkURN+`'],'Operations':[{'method':'DELETE','path':'/Users/`+id+`'}]}`).want(200)
	bulk.has("Operations.0.status", "'405'")
}

// TestConvert: whoever knows more of values than the server can make them.
func TestConvert(t *testing.T) {
	r := newRig(t, func(c *server.Config) {
		c.Convert = func(f dirsync.Field, text string) (dirsync.Value, string) {
			if f.Type != dirsync.Phone {
				return dirsync.Value{Type: f.Type, Text: text}, ""
			}
			if digits, ok := strings.CutPrefix(text, "030 "); ok {
				return dirsync.Value{Type: f.Type, Text: "+4930" + digits}, ""
			}
			return dirsync.Value{}, "is not a phone number that exists"
		}
	})
	id := r.user("anna")
	r.do("PATCH", "/Users/"+id, patch(`{'op':'Add','path':'`+acmeURN+`:Phone','value':'030 901820'}`)).want(200).has("<"+acmeURN+">.Phone", "'030 901820'")
	kept, _ := r.store.get(dirsync.KindUser, id)
	if v, _ := kept.Values.Get("phone"); v.Text != "+4930901820" {
		t.Errorf("phone %v", v)
	}
	a := r.do("PATCH", "/Users/"+id, patch(`{'op':'Add','path':'`+acmeURN+`:Phone','value':'7'}`)).want(400, "invalidValue")
	if detail, _ := a.body.Text("detail"); !strings.Contains(detail, "Phone is not a phone number that exists; it must be a phone number") {
		t.Errorf("detail %q", detail)
	}
}
