package server_test

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"dirsync/scim"
	"dirsync/scim/server"
)

// fullUser is the example of RFC 7643 section 8.2, enterpriseUser adds that of section 8.3.
const fullUser = `{'schemas':['urn:ietf:params:scim:schemas:core:2.0:User'],'id':'2819c223-7f76-453a-919d-413861904646','externalId':'701984','userName':'bjensen@example.com',
 'name':{'formatted':'Ms. Barbara J Jensen, III','familyName':'Jensen','givenName':'Barbara','middleName':'Jane','honorificPrefix':'Ms.','honorificSuffix':'III'},
 'displayName':'Babs Jensen','nickName':'Babs','profileUrl':'https://login.example.com/bjensen',
 'emails':[{'value':'bjensen@example.com','type':'work','primary':true},{'value':'babs@jensen.org','type':'home'}],
 'addresses':[{'type':'work','streetAddress':'100 Universal City Plaza','locality':'Hollywood','region':'CA','postalCode':'91608','country':'USA','formatted':'100 Universal City Plaza\nHollywood, CA 91608 USA'},
  {'type':'home','streetAddress':'456 Hollywood Blvd','locality':'Hollywood','region':'CA','postalCode':'91608','country':'USA','formatted':'456 Hollywood Blvd\nHollywood, CA 91608 USA'}],
 'phoneNumbers':[{'value':'555-555-5555','type':'work'},{'value':'555-555-4444','type':'mobile'}],'ims':[{'value':'someaimhandle','type':'aim'}],
 'photos':[{'value':'https://photos.example.com/profilephoto/72930000000Ccne/F','type':'photo'},{'value':'https://photos.example.com/profilephoto/72930000000Ccne/T','type':'thumbnail'}],
 'userType':'Employee','title':'Tour Guide','preferredLanguage':'en-US','locale':'en-US','timezone':'America/Los_Angeles','active':true,'password':'t1meMa$heen',
 'groups':[{'value':'e9e30dba-f08f-4109-8486-d5c6a331660a','$ref':'https://example.com/v2/Groups/e9e30dba','display':'Tour Guides'}],
 'x509Certificates':[{'value':'MIIDQzCCAqygAwIBAgICEAAwDQYJKoZIhvcNAQEFBQAwTjELMAkGA1UEBhMCVVMx'}],
 'meta':{'resourceType':'User','created':'2010-01-23T04:56:22Z','lastModified':'2011-05-13T04:42:34Z','version':'W/\'a330bc54f0671c9\'','location':'https://example.com/v2/Users/2819c223'}}`

const enterpriseUser = `'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User':{'employeeNumber':'701984','costCenter':'4130','organization':'Universal Studios','division':'Theme Park',
  'department':'Tour Operations','manager':{'value':'26118915-6090-4610-87e4-49d8ca9f808d','$ref':'../Users/26118915-6090-4610-87e4-49d8ca9f808d','displayName':'John Smith'}}}`

func quoted(s string) string { return strings.ReplaceAll(s, `\'`, `\"`) }

func TestRFC7643Examples(t *testing.T) {
	r := newRig(t)
	full := quoted(fullUser)
	a := r.do("POST", "/Users", full).want(201)
	sent, _ := scim.ReadObject([]byte(strings.ReplaceAll(full, "'", `"`)), scim.Limits{})
	for name, v := range sent.All() {
		switch name {
		case "id", "groups", "meta", "password":
			if got, _ := a.body.Get(name); got != nil && scim.Equal(got, v) {
				t.Errorf("%s was taken from the client", name)
			}
		default:
			if got, _ := a.body.Get(name); !scim.Equal(got, v) {
				t.Errorf("%s: got %s, want %s", name, text(t, got), text(t, v))
			}
		}
	}
	// The password is neither kept nor answered, nor does a filter find it.
	if kept, _ := r.store.get(0, a.id()); strings.Contains(string(kept.Document), "t1meMa") || strings.Contains(a.text, "t1meMa") {
		t.Error("the password was kept")
	}
	r.do("GET", "/Users?filter="+url.QueryEscape(`password sw "t"`), "").want(200).has("totalResults", "0")
	b := r.do("POST", "/Users", quoted(`{'userName':'other','schemas':['`+scim.UserURN+`','`+scim.EnterpriseURN+`'],`+enterpriseUser)).want(201)
	b.has("<"+scim.EnterpriseURN+">.costCenter", "'4130'").has("<"+scim.EnterpriseURN+">.manager.value", "'26118915-6090-4610-87e4-49d8ca9f808d'").
		has("schemas", "['"+scim.UserURN+"','"+scim.EnterpriseURN+"']")
	g := r.do("POST", "/Groups", `{'schemas':['urn:ietf:params:scim:schemas:core:2.0:Group'],'id':'e9e30dba','displayName':'Tour Guides',
		'members':[{'value':'`+a.id()+`','$ref':'https://example.com/v2/Users/2819c223','display':'Babs Jensen'},{'value':'`+b.id()+`','display':'Mandy Pepperidge'}]}`).want(201)
	g.has("members.0", "{'value':'"+a.id()+"','$ref':'"+base+"/Users/"+a.id()+"','display':'Babs Jensen','type':'User'}")
	r.do("GET", "/Users/"+a.id(), "").want(200).has("groups", "[{'value':'"+g.id()+"','$ref':'"+base+"/Groups/"+g.id()+"','display':'Tour Guides','type':'direct'}]")
}

// TestRFC7644Patch are the examples of section 3.5.2.
func TestRFC7644Patch(t *testing.T) {
	r := newRig(t)
	id := r.do("POST", "/Users", quoted(fullUser)).want(201).id()
	babs, james := r.user("babs"), r.user("james")
	group := r.group("TourGuides")
	for _, c := range []struct{ path, ops, at, want string }{
		{"/Groups/" + group, `{'op':'add','path':'members','value':[{'display':'Babs Jensen','$ref':'https://example.com/v2/Users/x','value':'` + babs + `'}]}`, "members.0.value", "'" + babs + "'"},
		{"/Users/" + id, `{'op':'add','value':{'emails':[{'value':'babs@example.com','type':'other'}],'nickname':'Babette'}}`, "nickName", "'Babette'"},
		{"/Groups/" + group, `{'op':'remove','path':'members[value eq \'` + babs + `\']'}`, "members", "[]"},
		{"/Users/" + id, `{'op':'remove','path':'emails[type eq \'work\' and value ew \'example.com\']'}`, "emails", "[{'value':'babs@jensen.org','type':'home'},{'value':'babs@example.com','type':'other'}]"},
		{"/Groups/" + group, `{'op':'remove','path':'members'},{'op':'add','path':'members','value':[{'display':'Babs Jensen','value':'` + babs + `'},{'display':'James Smith','value':'` + james + `'}]}`, "members.1.value", "'" + james + "'"},
		{"/Groups/" + group, `{'op':'replace','path':'members','value':[{'display':'James Smith','value':'` + james + `'}]}`, "members.0.value", "'" + james + "'"},
		{"/Users/" + id, `{'op':'replace','path':'addresses[type eq \'work\']','value':{'type':'work','streetAddress':'911 Universal City Plaza','locality':'Hollywood','country':'US'}}`, "addresses.0.streetAddress", "'911 Universal City Plaza'"},
		{"/Users/" + id, `{'op':'replace','path':'addresses[type eq \'work\'].streetAddress','value':'1010 Broadway Ave'}`, "addresses.0.streetAddress", "'1010 Broadway Ave'"},
		{"/Users/" + id, `{'op':'replace','value':{'emails':[{'value':'bjensen@example.com','type':'work','primary':true},{'value':'babs@jensen.org','type':'home'}],'nickname':'Babs'}}`, "emails.1.value", "'babs@jensen.org'"},
	} {
		r.do("PATCH", c.path, patch(quoted(c.ops))).want(200).has(c.at, c.want)
	}
	before := r.do("GET", "/Users/"+id, "").text
	for _, c := range []struct {
		body, scimType string
		status         int
	}{
		{patch(`{'op':'replace','path':'emails[type eq \'pager\'].value','value':'x'}`), "noTarget", 400},
		{patch(`{'op':'remove'}`), "noTarget", 400},
		{patch(`{'op':'remove','path':'userName'}`), "mutability", 400},
		{patch(`{'op':'replace','path':'userName','value':''}`), "invalidValue", 400},
		{patch(`{'op':'replace','path':'id','value':'x'}`), "mutability", 400},
		{patch(`{'op':'replace','path':'emails[','value':'x'}`), "invalidPath", 400},
		{patch(`{'op':'replace','path':'active','value':'perhaps'}`), "invalidValue", 400},
		{patch(`{'op':'move','path':'title'}`), "invalidSyntax", 400},
		{patch(``), "invalidSyntax", 400},
		{`{'schemas':[]}`, "invalidSyntax", 400},
		// The first operation is fine, and undone by the second.
		{patch(`{'op':'replace','path':'title','value':'x'},{'op':'replace','path':'active','value':'perhaps'}`), "invalidValue", 400},
	} {
		r.do("PATCH", "/Users/"+id, quoted(c.body)).want(c.status, c.scimType)
	}
	if got := r.do("GET", "/Users/"+id, "").text; got != before {
		t.Errorf("a PATCH that failed changed something:\n%s\n%s", got, before)
	}
	// What is there already changes nothing, lastModified and version included.
	r.pass(3600e9)
	if got := r.do("PATCH", "/Users/"+id, patch(`{'op':'add','path':'nickName','value':'Babs'}`)).want(200).text; got != before {
		t.Errorf("an addition of what is there changed something:\n%s\n%s", got, before)
	}
	if e := r.last(); len(e.Changed) > 0 {
		t.Errorf("changed %v", e.Changed)
	}
}

func TestPreconditions(t *testing.T) {
	r := newRig(t)
	a := r.do("POST", "/Users", quoted(fullUser)).want(201)
	id, tag := a.id(), a.header.Get("ETag")
	r.do("GET", "/Users/"+id, "", "If-None-Match: "+tag).want(304)
	r.do("GET", "/Users/"+id, "", `If-None-Match: W/"other"`).want(200)
	r.do("GET", "/Users/"+id, "", `If-Match: W/"other"`).want(412)
	change := patch(`{'op':'replace','path':'title','value':'x'}`)
	for _, c := range []struct{ method, body, header string }{
		{"PATCH", change, `If-Match: W/"other"`}, {"PUT", quoted(fullUser), `If-Match: "7", W/"8"`}, {"DELETE", "", `If-Match: W/"other"`},
		{"PATCH", change, "If-None-Match: *"}, {"PUT", quoted(fullUser), "If-None-Match: " + tag}, {"POST", quoted(fullUser), "If-Match: *"},
	} {
		path := "/Users/" + id
		if c.method == "POST" {
			path = "/Users"
		}
		r.do(c.method, path, c.body, c.header).want(412)
	}
	b := r.do("PATCH", "/Users/"+id, change, "If-Match: "+tag).want(200)
	if b.header.Get("ETag") == tag {
		t.Error("the version stays after a change")
	}
	r.do("PATCH", "/Users/"+id, patch(`{'op':'replace','path':'title','value':'y'}`), "If-Match: "+tag).want(412)
	r.do("DELETE", "/Users/"+id, "", "If-Match: *").want(204)
	r.do("POST", "/Users", quoted(fullUser), "If-None-Match: *").want(201)
}

func TestPut(t *testing.T) {
	r := newRig(t)
	id := r.do("POST", "/Users", quoted(fullUser)).want(201).id()
	r.do("PATCH", "/Users/"+id, patch(`{'op':'replace','path':'active','value':false}`)).want(200)
	a := r.do("PUT", "/Users/"+id+"?attributes=userName,active,title,emails.value", `{'userName':'BJENSEN@example.com','title':null,'emails':[{'value':'b@x.org'}]}`).want(200)
	// Nobody becomes active because a client did not mention it.
	a.has("active", "false").has("userName", "'BJENSEN@example.com'").has("title", "").has("emails", "[{'value':'b@x.org'}]").has("meta", "").has("id", "'"+id+"'")
	r.do("PUT", "/Users/"+id, `{'title':'x'}`).want(400, "invalidValue")
	r.user("other")
	r.do("PUT", "/Users/"+id, `{'userName':'OTHER'}`).want(409, "uniqueness")
	u := r.user("u")
	g := r.group("g", u)
	r.do("PUT", "/Groups/"+g, `{'displayName':'G'}`).want(200).has("members.0.value", "'"+u+"'")
	r.do("PUT", "/Groups/"+g, `{'displayName':'G','members':[{'value':'`+id+`'}]}`).want(200).has("members.0.value", "'"+id+"'").has("members.1", "")
	if e := r.last(); strings.Join(e.Changed, " ") != "members" {
		t.Errorf("changed %v", e.Changed)
	}
	r.do("PUT", "/Groups/"+g, `{'displayName':'G','members':null}`).want(200).has("members.0.value", "'"+id+"'")
	r.do("PUT", "/Groups/"+g, `{'displayName':'G','`+scim.GroupURN+`:members':[{'value':'`+u+`'}]}`).want(200).has("members.0.value", "'"+u+"'").has("members.1", "")
	r.do("PUT", "/Groups/"+g, `{'displayName':'G','members':[]}`).want(200).has("members", "[]")
	r.do("PUT", "/Groups/"+g, `{'displayName':''}`).want(400, "invalidValue")
	r.group("h")
	r.do("PUT", "/Groups/"+g, `{'displayName':'H'}`).want(409, "uniqueness")
}

func TestAttributes(t *testing.T) {
	r := newRig(t)
	id := r.do("POST", "/Users?attributes=userName", quoted(fullUser)).want(201).has("userName", "'bjensen@example.com'").has("title", "").id()
	for _, c := range []struct{ query, want string }{
		{"attributes=userName", "id schemas userName"},
		{"attributes=name.givenName,emails.value", "id schemas name emails"},
		{"attributes=urn:ietf:params:scim:schemas:core:2.0:User:title", "id schemas title"},
		{"attributes=noSuch", "id schemas"},
		{"attributes=id&attributes=title", "id schemas title"},
		{"excludedAttributes=id,schemas,emails,addresses,phoneNumbers,ims,photos,x509Certificates,name,meta,profileUrl,locale,timezone", "id schemas externalId userName displayName nickName userType title preferredLanguage active"},
	} {
		a := r.do("GET", "/Users/"+id+"?"+c.query, "").want(200)
		var names []string
		for name := range a.body.All() {
			names = append(names, name)
		}
		if got := strings.Join(sorted(names), " "); got != strings.Join(sorted(strings.Fields(c.want)), " ") {
			t.Errorf("%s: got %s", c.query, got)
		}
	}
	r.do("GET", "/Users/"+id+"?attributes=a&excludedAttributes=b", "").want(400, "invalidValue")
	g := r.group("g", id)
	r.do("GET", "/Groups/"+g+"?attributes=members.value", "").want(200).has("members", "[{'value':'"+id+"'}]").has("displayName", "")
	r.do("GET", "/Groups/"+g+"?excludedAttributes=members.$ref,members.display", "").want(200).has("members", "[{'value':'"+id+"','type':'User'}]")
	r.do("GET", "/Groups/"+g+"?attributes=members.type,displayName", "").want(200).has("members", "[{'type':'User'}]").has("displayName", "'g'")
	read := r.store.members
	r.do("GET", "/Groups/"+g+"?excludedAttributes=members", "").want(200).has("members", "")
	r.do("GET", "/Groups?attributes=displayName", "").want(200)
	if r.store.members != read {
		t.Error("members were read that nobody wants to see")
	}
}

func TestDiscovery(t *testing.T) {
	r := newRig(t)
	r.do("GET", "/ServiceProviderConfig", "").want(200).has("patch.supported", "true").has("bulk", "{'supported':true,'maxOperations':1000,'maxPayloadSize':8388608}").
		has("authenticationSchemes.0.type", "'oauthbearertoken'").has("meta.resourceType", "'ServiceProviderConfig'").has("documentationUri", "").
		has("pagination", "{'cursor':true,'index':true,'defaultPaginationMethod':'index','defaultPageSize':100,'maxPageSize':1000,'cursorTimeout':3600}")
	r.do("GET", "/ServiceProviderConfigs?unknown=x", "").want(200).has("patch.supported", "true")
	a := r.do("GET", "/ResourceTypes", "").want(200).has("totalResults", "2").has("Resources.0.name", "'User'").has("Resources.1.endpoint", "'/Groups'")
	a.has("Resources.0.schemaExtensions", "[{'schema':'"+scim.EnterpriseURN+"','required':false},{'schema':'"+acmeURN+"','required':false}]")
	r.do("GET", "/ResourceTypes/User", "").want(200).has("meta", "{'resourceType':'ResourceType','location':'"+base+"/ResourceTypes/User'}")
	r.do("GET", "/ResourceTypes/Robot", "").want(404)
	all := r.do("GET", "/Schemas", "").want(200).has("totalResults", "7")
	for _, v := range all.body.List("Resources") {
		schema, _ := v.(*scim.Object)
		id, _ := schema.Text("id")
		location, _ := schema.Object("meta").Text("location")
		if got := r.do("GET", strings.TrimPrefix(location, base), "").want(200); got.text == "" || text(t, got.at("id")) != "'"+id+"'" {
			t.Errorf("%s leads to %s", location, got.text)
		}
	}
	custom := r.do("GET", "/Schemas/"+url.PathEscape(acmeURN), "").want(200)
	types := map[string]string{}
	for _, v := range custom.body.List("attributes") {
		o, _ := v.(*scim.Object)
		name, _ := o.Text("name")
		typ, _ := o.Text("type")
		types[name] = typ
		if many, _ := o.Bool("multiValued"); many {
			types[name] += " list"
		}
	}
	for name, want := range map[string]string{"Boss_1": "reference", "Department": "string", "Level": "decimal", "Salary": "string", "Joined": "string", "Seen": "string",
		"Remote": "boolean", "Office": "string", "Phone": "string", "Tags": "string list"} {
		if types[name] != want {
			t.Errorf("%s is of the type %q, want %q", name, types[name], want)
		}
	}
	for _, endpoint := range []string{"/Schemas", "/ResourceTypes", "/ServiceProviderConfig"} {
		r.do("GET", endpoint+"?filter=name+eq+%22User%22", "").want(403)
		r.do("POST", endpoint, `{}`).want(405)
		r.do("PUT", endpoint, `{}`).want(405)
	}
	r.do("GET", "/Me", "").want(501)
	r.do("GET", "/Schemas/"+scim.UserURN+"/x", "").want(404)
}

func TestMethodsAndAddresses(t *testing.T) {
	r := newRig(t)
	id := r.user("anna")
	for _, c := range []struct {
		method, path, allow string
		status              int
	}{
		{"PUT", "/Users", "GET, POST, OPTIONS", 405}, {"DELETE", "/Groups", "GET, POST, OPTIONS", 405}, {"POST", "/Users/" + id, "GET, PUT, PATCH, DELETE, OPTIONS", 405},
		{"TRACE", "/Users/" + id, "GET, PUT, PATCH, DELETE, OPTIONS", 405}, {"GET", "/Bulk", "POST, OPTIONS", 405}, {"GET", "/.search", "POST, OPTIONS", 405},
		{"GET", "/Users/.search", "POST, OPTIONS", 405}, {"POST", "/", "GET, OPTIONS", 405}, {"OPTIONS", "/Users", "GET, POST, OPTIONS", 204},
		{"OPTIONS", "/Users/" + id, "GET, PUT, PATCH, DELETE, OPTIONS", 204}, {"OPTIONS", "/Bulk", "POST, OPTIONS", 204}, {"OPTIONS", "/Schemas", "GET, OPTIONS", 204},
		{"GET", "/Users/" + id + "/name", "", 404}, {"GET", "/Robots", "", 404}, {"GET", "/Users//", "", 200}, {"GET", "/users/" + id, "", 200}, {"GET", "/Users/" + id + "/", "", 200},
		{"POST", "/Bulk/x", "", 404}, {"POST", "/.search/x", "", 404}, {"GET", "/Users/" + strings.Repeat("x", 300), "", 404},
	} {
		a := r.do(c.method, c.path, "").want(c.status)
		if got := a.header.Get("Allow"); got != c.allow {
			t.Errorf("%s %s: Allow %q, want %q", c.method, c.path, got, c.allow)
		}
	}
	full := r.do("GET", "/Users/"+id, "").want(200)
	head := r.do("HEAD", "/Users/"+id, "").want(200)
	if head.text != "" || head.header.Get("ETag") != full.header.Get("ETag") {
		t.Errorf("HEAD answers %q, %v", head.text, head.header)
	}
}

// TestMounted serves under other prefixes, with and without being told the address.
func TestMounted(t *testing.T) {
	for _, c := range []struct{ url, request, location string }{
		{"", "https://a.example/v1/scim/v2/Users", "https://a.example/v1/scim/v2/Users/u00000001"},
		{"", "http://a.example/Users", "http://a.example/Users/u00000001"},
		{"https://b.example/Users/scim/", "https://b.example/Users/scim/Users", "https://b.example/Users/scim/Users/u00000001"},
		{"https://b.example/scim", "http://127.0.0.1:8080/inside/Users", "https://b.example/scim/Users/u00000001"},
	} {
		r := newRig(t, func(s *server.Config) { s.URL = c.url })
		req := httptest.NewRequest("POST", c.request, strings.NewReader(`{"userName":"anna"}`))
		req.Header.Set("Authorization", "bearer  all")
		if got := r.serve(req).want(201).header.Get("Location"); got != c.location {
			t.Errorf("%s: Location %s, want %s", c.request, got, c.location)
		}
	}
}
