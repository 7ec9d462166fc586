package server_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"dirsync/scim"
)

// TestRFC7644Filters are the examples of section 3.4.2.2, in its order. That ETag and meta.version, Location and
// meta.location are the same, and the content type of every answer, is seen to by every request of these tests.
func TestRFC7644Filters(t *testing.T) {
	r := newRig(t)
	r.do("POST", "/Users", `{'userName':'bjensen','title':'Tour Guide','userType':'Employee','name':{'familyName':'O\u0027Malley'},'emails':[{'type':'work','value':'bjensen@example.com'}],
		'`+scim.EnterpriseURN+`':{'department':'Tours'}}`).want(201)
	r.pass(48 * 3600e9)
	r.do("POST", "/Users", `{'userName':'James','userType':'Intern','emails':[{'type':'home','value':'james@example.org'}],'ims':[{'type':'xmpp','value':'james@foo.com'}]}`).want(201)
	for _, c := range []struct{ filter, want string }{
		{`userName eq "bjensen"`, "bjensen"},
		{`name.familyName co "O'Malley"`, "bjensen"},
		{`userName sw "J"`, "James"},
		{`urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J"`, "James"},
		{`title pr`, "bjensen"},
		{`meta.lastModified gt "2026-03-05T04:42:34Z"`, "James"},
		{`meta.lastModified ge "2026-03-06T12:00:00Z"`, "James"},
		{`meta.lastModified lt "2026-03-05T04:42:34Z"`, "bjensen"},
		{`meta.lastModified le "2026-03-04T12:00:00Z"`, "bjensen"},
		{`title pr and userType eq "Employee"`, "bjensen"},
		{`title pr or userType eq "Intern"`, "James bjensen"},
		{`schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`, "bjensen"},
		{`userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")`, "bjensen"},
		{`userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")`, ""},
		{`userType eq "Employee" and (emails.type eq "work")`, "bjensen"},
		{`userType eq "Employee" and emails[type eq "work" and value co "@example.com"]`, "bjensen"},
		{`emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]`, "James bjensen"},
	} {
		if got := r.do("GET", "/Users?filter="+url.QueryEscape(c.filter), "").want(200).names(); got != c.want {
			t.Errorf("%s: got %q, want %q", c.filter, got, c.want)
		}
		body := `{'schemas':['` + scim.SearchURN + `'],'filter':'` + strings.ReplaceAll(strings.ReplaceAll(c.filter, `"`, `\"`), `'`, `\u0027`) + `'}`
		if got := r.do("POST", "/Users/.search", body).want(200).names(); got != c.want {
			t.Errorf("%s, in a body: got %q, want %q", c.filter, got, c.want)
		}
	}
}

// TestRFC7644Examples are those of sections 3.4 to 3.9 that no other test holds.
func TestRFC7644Examples(t *testing.T) {
	r := crew(t)
	// 3.4.2: attributes of a list.
	a := r.do("GET", "/Users?attributes=userName", "").want(200).has("totalResults", "3").has("schemas", "['"+scim.ListURN+"']")
	for _, v := range a.body.List("Resources") {
		var names []string
		for name := range v.(*scim.Object).All() {
			names = append(names, name)
		}
		if slices.Sort(names); strings.Join(names, " ") != "id schemas userName" {
			t.Errorf("shown are %v", names)
		}
	}
	// 3.4.2.4: a page by number.
	r.do("GET", "/Users?startIndex=1&count=10", "").want(200).has("totalResults", "3").has("itemsPerPage", "3").has("startIndex", "1")
	r.do("GET", "/Users?startIndex=2&count=1", "").want(200).has("totalResults", "3").has("itemsPerPage", "1").has("startIndex", "2").has("Resources.0.userName", "'jsmith'")
	// 3.4.3: a search in the root.
	a = r.do("POST", "/.search", `{'schemas':['`+scim.SearchURN+`'],'attributes':['displayName','userName'],'filter':'displayName sw \"t\" or displayName sw \"b\"','startIndex':1,'count':10}`).want(200)
	if got := a.names(); got != "Tour Guides bjensen" {
		t.Errorf("found %s", got)
	}
	// 3.7.1: two groups that are each other's members, which groups cannot be here; both say so, and neither is made.
	b := r.do("POST", "/Bulk", bulkOf(0, `{'method':'POST','path':'/Groups','bulkId':'qwerty','data':{'schemas':['`+scim.GroupURN+`'],'displayName':'Group A','members':[{'type':'Group','value':'bulkId:ytrewq'}]}}`,
		`{'method':'POST','path':'/Groups','bulkId':'ytrewq','data':{'schemas':['`+scim.GroupURN+`'],'displayName':'Group B','members':[{'type':'Group','value':'bulkId:qwerty'}]}}`)).want(200)
	for n := range 2 {
		if status, _ := b.at(fmt.Sprintf("Operations.%d.status", n)).(string); status != "400" && status != "409" {
			t.Errorf("operation %d: %s\n%s", n+1, status, b.text)
		}
		b.has(fmt.Sprintf("Operations.%d.method", n), "'POST'").has(fmt.Sprintf("Operations.%d.location", n), "")
	}
	r.do("GET", "/Groups?filter="+url.QueryEscape(`displayName sw "Group"`), "").want(200).has("totalResults", "0")
	// 3.8: the type of an answer is always the same, whatever is asked for.
	for _, accept := range []string{"application/json", "application/scim+json; charset=utf-8", "*/*", "text/html;q=0.9, application/json;q=0.1", "nonsense"} {
		r.do("GET", "/Users/u00000001", "", "Accept: "+accept).want(200)
		r.do("GET", "/Users/none", "", "Accept: "+accept).want(404)
	}
	// 3.9: both at once are refused, unknown parameters are not.
	r.do("GET", "/Users?attributes=userName&excludedAttributes=title", "").want(400, "invalidValue")
	r.do("GET", "/Users?attributes=userName&what=ever&x", "").want(200).has("totalResults", "3")
}

// TestRFC9865Examples are those of the pages by cursor.
func TestRFC9865Examples(t *testing.T) {
	r := crew(t)
	first := r.do("GET", "/Users?cursor&count=2", "").want(200).has("itemsPerPage", "2").has("startIndex", "") // a parameter without "="
	next, _ := first.body.Text("nextCursor")
	if next == "" || url.QueryEscape(next) != next {
		t.Fatalf("nextCursor %q", next)
	}
	last := r.do("GET", "/Users?cursor="+next+"&count=2", "").want(200).has("itemsPerPage", "1").has("nextCursor", "")
	if got := append(first.ids(), last.ids()...); len(got) != 3 || got[2] == got[0] {
		t.Errorf("pages of %v", got)
	}
	// Whoever asks for neither kind of page gets what the configuration says is the default: numbers.
	r.do("GET", "/Users?count=2", "").want(200).has("nextCursor", "").has("startIndex", "1")
	// The body of a search, whose first page has an empty cursor.
	r.do("POST", "/Users/.search", `{'schemas':['`+scim.SearchURN+`'],'attributes':['userName'],'filter':'userName pr','cursor':'','count':2}`).want(200).has("itemsPerPage", "2")
	r.do("GET", "/Users?cursor="+next+"&count=3", "").want(400, "invalidCount")
	r.do("GET", "/Users?cursor=&count=100000", "").want(400, "invalidCount")
	r.do("GET", "/Users?cursor=nonsense", "").want(400, "invalidCursor")
}

// TestDiscoveryHasNoHoles: validators refuse empty texts, and every document says what it is and where.
func TestDiscoveryHasNoHoles(t *testing.T) {
	r := newRig(t)
	var empty func(path string, v any)
	empty = func(path string, v any) {
		switch v := v.(type) {
		case *scim.Object:
			for name, inner := range v.All() {
				empty(path+"."+name, inner)
			}
		case []any:
			for i, inner := range v {
				empty(fmt.Sprint(path, ".", i), inner)
			}
		case string:
			if v == "" {
				t.Errorf("%s is empty", path)
			}
		case nil:
			t.Errorf("%s is null", path)
		}
	}
	for _, path := range []string{"/ServiceProviderConfig", "/ResourceTypes", "/ResourceTypes/User", "/ResourceTypes/Group", "/Schemas", "/Schemas/" + scim.UserURN, "/Schemas/" + scim.GroupURN, "/Schemas/" + scim.EnterpriseURN} {
		a := r.do("GET", path+"?aadOptscim062020&startIndex=5&count=1&attributes=x&sortBy=name", "").want(200)
		empty(path, a.body)
		if a.at("Resources") == nil {
			a.has("meta.location", "'"+base+path+"'")
		}
		r.do("GET", path+"?filter=name+eq+%22User%22", "").want(403)
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
			r.do(method, path, `{}`).want(405)
		}
	}
}

// TestEntraRoles are the three ways in which Entra maps app roles.
func TestEntraRoles(t *testing.T) {
	r := newRig(t)
	id := r.user("anna")
	role := func(name string) string {
		return `{'value':'{\'id\':\'id-` + name + `\',\'value\':\'` + name + `\',\'displayName\':\'The ` + name + `\'}'}`
	}
	for _, c := range []struct{ name, ops, want string }{
		{"AppRoleAssignmentsComplex adds", `{'op':'Add','path':'roles','value':[` + role("admin") + `,` + role("user") + `]}`, "[{'value':'admin','display':'The admin'},{'value':'user','display':'The user'}]"},
		{"what is there already", `{'op':'Add','path':'roles','value':[` + role("admin") + `]}`, "[{'value':'admin','display':'The admin'},{'value':'user','display':'The user'}]"},
		{"AssertiveAppRoleAssignmentsComplex replaces", `{'op':'Replace','path':'roles','value':[` + role("user") + `,` + role("guest") + `]}`, "[{'value':'user','display':'The user'},{'value':'guest','display':'The guest'}]"},
		{"no role is left", `{'op':'Replace','path':'roles','value':[]}`, ""},
		{"SingleAppRoleAssignment", `{'op':'Add','path':'roles[primary eq \'True\'].value','value':'admin'}`, "[{'value':'admin','primary':true}]"},
		{"another one", `{'op':'Replace','path':'roles[primary eq \'True\'].value','value':'user'}`, "[{'value':'user','primary':true}]"},
	} {
		a := r.do("PATCH", "/Users/"+id, quoted(patch(c.ops)))
		if a.status != 200 || text(t, a.at("roles")) != c.want {
			t.Errorf("%s: %d %s, want %s", c.name, a.status, text(t, a.at("roles")), c.want)
		}
	}
	r.do("GET", "/Users?filter="+url.QueryEscape(`roles[primary eq "True"].value eq "user"`), "").want(200).has("totalResults", "1")
	r.do("GET", "/Users?filter="+url.QueryEscape(`roles[primary eq "False"].value eq "user"`), "").want(200).has("totalResults", "0")
}

// TestEntraValidator sends the two long requests of Microsoft's validator: every attribute of the default mappings in one
// PATCH, one operation each, added to a user who has a name only, and replaced.
func TestEntraValidator(t *testing.T) {
	const enterprise = scim.EnterpriseURN + ":"
	attributes := []struct{ path, at string }{
		{"displayName", "displayName"}, {"title", "title"}, {"preferredLanguage", "preferredLanguage"}, {"userType", "userType"}, {"nickName", "nickName"}, {"locale", "locale"}, {"timezone", "timezone"}, {"profileUrl", "profileUrl"},
		{"name.givenName", "name.givenName"}, {"name.familyName", "name.familyName"}, {"name.formatted", "name.formatted"}, {"name.middleName", "name.middleName"}, {"name.honorificPrefix", "name.honorificPrefix"},
		{`emails[type eq \'work\'].value`, "emails.0.value"}, {`emails[type eq \'work\'].primary`, ""}, {`phoneNumbers[type eq \'work\'].value`, "phoneNumbers.0.value"}, {`phoneNumbers[type eq \'mobile\'].value`, "phoneNumbers.1.value"}, {`phoneNumbers[type eq \'fax\'].value`, "phoneNumbers.2.value"},
		{`addresses[type eq \'work\'].formatted`, "addresses.0.formatted"}, {`addresses[type eq \'work\'].streetAddress`, "addresses.0.streetAddress"}, {`addresses[type eq \'work\'].locality`, "addresses.0.locality"},
		{`addresses[type eq \'work\'].region`, "addresses.0.region"}, {`addresses[type eq \'work\'].postalCode`, "addresses.0.postalCode"}, {`addresses[type eq \'work\'].country`, "addresses.0.country"}, {`addresses[type eq \'other\'].formatted`, "addresses.1.formatted"},
		{"externalId", "externalId"}, {enterprise + "employeeNumber", "<" + scim.EnterpriseURN + ">.employeeNumber"}, {enterprise + "department", "<" + scim.EnterpriseURN + ">.department"}, {enterprise + "costCenter", "<" + scim.EnterpriseURN + ">.costCenter"},
		{enterprise + "organization", "<" + scim.EnterpriseURN + ">.organization"}, {enterprise + "division", "<" + scim.EnterpriseURN + ">.division"}, {"urn:msfttest:cloud:scim:schemas:extension:custom:2.0:User:TestAttribute", ""},
	}
	for _, word := range []string{"Add", "Replace", "add", "replace"} {
		r := newRig(t)
		id := r.user("validator")
		for round := range 2 {
			var ops []string
			values := map[string]string{}
			for i, a := range attributes {
				value := fmt.Sprintf("'v%d-%d@x.org'", round, i)
				if strings.HasSuffix(a.path, ".primary") {
					value = [2]string{"'True'", "true"}[round]
				} else if a.at != "" {
					values[a.at] = value
				}
				ops = append(ops, `{'op':'`+word+`','path':'`+a.path+`','value':`+value+`}`)
			}
			r.do("PATCH", "/Users/"+id, quoted(patch(strings.Join(ops, ",")))).want(200)
			got := r.do("GET", "/Users/"+id, "").want(200).has("emails.0.primary", "true").has("emails.1", "").has("phoneNumbers.3", "").has("addresses.2", "")
			for at, value := range values {
				got.has(at, value)
			}
		}
	}
}

// TestNothing: null, an empty list and silence are the same, in POST and in PUT; and schemas name what has data.
func TestNothing(t *testing.T) {
	r := newRig(t)
	a := r.do("POST", "/Users", `{'schemas':['`+scim.UserURN+`','`+scim.EnterpriseURN+`','urn:alien:1.0:Thing'],'userName':'anna','title':null,'roles':[],'emails':null,'name':{'givenName':null},'`+scim.EnterpriseURN+`':{'department':null}}`).want(201)
	a.has("schemas", "['"+scim.UserURN+"']").has("title", "").has("roles", "").has("emails", "").has("name", "").has("<"+scim.EnterpriseURN+">", "")
	path := "/Users/" + a.id()
	r.do("PATCH", path, patch(`{'op':'add','value':{'title':'T','name':{'givenName':'A'},'department':'D'}}`)).want(200)
	r.do("PUT", path, `{'userName':'anna','title':null,'name':{},'roles':[],'`+scim.EnterpriseURN+`':null}`).want(200).has("title", "").has("name", "").has("<"+scim.EnterpriseURN+">", "").has("schemas", "['"+scim.UserURN+"']")
	g := r.do("POST", "/Groups", entraGroup).want(201).has("schemas", "['"+scim.GroupURN+"']")
	r.group("other")
	r.do("PATCH", "/Groups/"+g.id(), patch(`{'op':'Replace','path':'displayName','value':'OTHER'}`)).want(409, "uniqueness")
	r.user("ben")
	r.do("PATCH", path, patch(`{'op':'Replace','path':'userName','value':'BEN'}`)).want(409, "uniqueness")
}
