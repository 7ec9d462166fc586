package server_test

import (
	"fmt"
	"strings"
	"testing"

	"dirsync/scim"
	"dirsync/scim/server"
)

func bulkOf(failOnErrors int, operations ...string) string {
	return fmt.Sprintf(`{'schemas':['%s'],'failOnErrors':%d,'Operations':[%s]}`, scim.BulkURN, failOnErrors, strings.Join(operations, ","))
}

// TestBulk is the example of RFC 7644 section 3.7.
func TestBulk(t *testing.T) {
	r := newRig(t)
	bob := r.user("bob")
	dave := r.user("dave")
	a := r.do("POST", "/Bulk", quoted(bulkOf(1,
		`{'method':'POST','path':'/Users','bulkId':'qwerty','data':{'schemas':['urn:ietf:params:scim:schemas:core:2.0:User'],'userName':'Alice'}}`,
		`{'method':'PUT','path':'/Users/`+bob+`','version':'W/\'1\'','data':{'schemas':['urn:ietf:params:scim:schemas:core:2.0:User'],'userName':'Bob'}}`,
		`{'method':'PATCH','path':'/Users/`+bob+`','data':{'schemas':['urn:ietf:params:scim:api:messages:2.0:PatchOp'],'Operations':[{'op':'remove','path':'nickName'},{'op':'add','path':'userName','value':'Dave2'}]}}`,
		`{'method':'DELETE','path':'/Users/`+dave+`','version':'W/\'1\''}`))).want(200)
	a.has("schemas", "['urn:ietf:params:scim:api:messages:2.0:BulkResponse']").has("Operations.0.status", "'201'").has("Operations.0.bulkId", "'qwerty'").
		has("Operations.1.status", "'200'").has("Operations.2.status", "'200'").has("Operations.3.status", "'204'").has("Operations.3.location", "'"+base+"/Users/"+dave+"'")
	r.do("GET", "/Users?filter=userName+eq+%22dave2%22", "").want(200).has("Resources.0.id", "'"+bob+"'")
	if len(r.events) < 5 {
		t.Fatalf("%d events", len(r.events))
	}
	var got []string
	for _, e := range r.events[len(r.events)-6 : len(r.events)-1] {
		got = append(got, fmt.Sprint(e.Operation, e.Method, e.Resource, e.Status))
	}
	if want := "1POSTUser201 2PUTUser200 3PATCHUser200 4DELETEUser204 0POSTBulk200"; strings.Join(strings.Fields(strings.ReplaceAll(strings.Join(got, "|"), " ", "")), "") != strings.ReplaceAll(want, " ", "|") {
		t.Errorf("events %v", got)
	}
}

func TestBulkReferences(t *testing.T) {
	r := newRig(t)
	// The group comes first, and names a user who is made after it.
	a := r.do("POST", "/Bulk", bulkOf(0,
		`{'method':'POST','path':'/Groups','bulkId':'ytrewq','data':{'displayName':'Tour Guides','members':[{'type':'User','value':'bulkId:qwerty'}]}}`,
		`{'method':'POST','path':'/Users','bulkId':'qwerty','data':{'userName':'Alice'}}`,
		`{'method':'PATCH','path':'/Users/bulkId:qwerty','data':{'Operations':[{'op':'add','path':'title','value':'T'}]}}`)).want(200)
	a.has("Operations.0.status", "'201'").has("Operations.1.status", "'201'").has("Operations.2.status", "'200'")
	r.do("GET", "/Groups/g00000001", "").want(200).has("members.0.value", "'u00000001'").has("members.0.display", "'Alice'")
	r.do("GET", "/Users/u00000001", "").want(200).has("title", "'T'")
	// Two who are each other's managers, and one who is their own.
	a = r.do("POST", "/Bulk", bulkOf(0,
		`{'method':'POST','path':'/Users','bulkId':'x','data':{'userName':'x','`+scim.EnterpriseURN+`':{'department':'D','manager':{'value':'bulkId:y'}}}}`,
		`{'method':'POST','path':'/Users','bulkId':'y','data':{'userName':'y','manager':'bulkId:x'}}`)).want(200)
	a.has("Operations.0.status", "'201'").has("Operations.1.status", "'201'")
	if x, y := r.manager("u00000002"), r.manager("u00000003"); x != "u00000003" || y != "u00000002" {
		t.Errorf("managers %q %q", x, y)
	}
	r.do("GET", "/Users/u00000002", "").want(200).has("<"+scim.EnterpriseURN+">.department", "'D'").has("meta.version", a.version(0))
	a2 := r.do("POST", "/Bulk", bulkOf(0, `{'method':'POST','path':'/Users','bulkId':'me','data':{'userName':'me','manager':'bulkId:me'}}`)).want(200).has("Operations.0.status", "'201'")
	if me := r.manager("u00000004"); me != "u00000004" {
		t.Errorf("manager %q\n%s", me, a2.text)
	}
	// What never comes, and what is made by an operation that fails.
	a = r.do("POST", "/Bulk", bulkOf(0,
		`{'method':'POST','path':'/Groups','bulkId':'g','data':{'displayName':'g','members':[{'value':'bulkId:none'}]}}`,
		`{'method':'POST','path':'/Users','bulkId':'bad','data':{'title':'x'}}`,
		`{'method':'POST','path':'/Groups','bulkId':'h','data':{'displayName':'h','members':[{'value':'bulkId:bad'}]}}`,
		`{'method':'DELETE','path':'/Users/bulkId:bad'}`)).want(200)
	a.has("Operations.0.status", "'409'").has("Operations.1.status", "'400'").has("Operations.1.response.scimType", "'invalidValue'").has("Operations.1.location", "").
		has("Operations.2.status", "'409'").has("Operations.3.status", "'409'")
	r.do("GET", "/Groups?filter=displayName+eq+%22g%22", "").want(200).has("totalResults", "0")
	r.do("POST", "/Bulk", bulkOf(0, `{'method':'POST','path':'/Users','bulkId':'x','data':{'userName':'p'}}`, `{'method':'POST','path':'/Users','bulkId':'x','data':{'userName':'q'}}`)).want(400, "invalidValue")
}

func (a response) version(n int) string {
	return text(a.t, a.at(fmt.Sprintf("Operations.%d.version", n)))
}

func TestBulkErrors(t *testing.T) {
	r := newRig(t, func(c *server.Config) { c.Limits.Operations, c.Limits.Body = 3, 2000 })
	id := r.user("anna")
	bad := `{'method':'DELETE','path':'/Users/none'}`
	good := `{'method':'POST','path':'/Users','bulkId':'b','data':{'userName':'ben'}}`
	a := r.do("POST", "/Bulk", bulkOf(2, bad, bad, good)).want(200)
	a.has("Operations.1.status", "'404'").has("Operations.1.response.schemas", "['"+scim.ErrorURN+"']").has("Operations.2", "")
	r.do("GET", "/Users?filter=userName+eq+%22ben%22", "").want(200).has("totalResults", "0")
	r.do("POST", "/Bulk", bulkOf(3, bad, bad, good)).want(200).has("Operations.2.status", "'201'")
	r.do("POST", "/Bulk", bulkOf(0, bad, bad, bad, bad)).want(413)
	r.do("POST", "/Bulk", bulkOf(0, strings.Replace(good, "ben", strings.Repeat("x", 3000), 1))).want(413)
	for _, op := range []string{
		`{'method':'PATCH','path':'/Users/` + id + `','version':'W/\'9\'','data':{'Operations':[{'op':'add','path':'title','value':'x'}]}}`,
		`{'method':'PUT','path':'/Users','data':{'userName':'x'}}`, `{'method':'POST','path':'/Users/` + id + `','bulkId':'x','data':{}}`,
		`{'method':'POST','path':'/Bulk','bulkId':'x','data':{}}`, `{'method':'DELETE','path':'/Users/` + id + `/name'}`, `{'method':'DELETE','path':'/Users/%zz'}`, `{'method':'DELETE','path':'/Me'}`,
	} {
		status, _ := r.do("POST", "/Bulk", quoted(bulkOf(0, op))).want(200).at("Operations.0.status").(string)
		if status != "404" && status != "412" {
			t.Errorf("%s: %s", op, status)
		}
	}
	for _, body := range []string{`{}`, `{'Operations':[5]}`, bulkOf(0, `{'method':'GET','path':'/Users'}`), bulkOf(0, `{'method':'POST','path':'/Users','data':{}}`), bulkOf(0, `{'method':'PUT','path':'/Users/1'}`), bulkOf(-1)} {
		r.do("POST", "/Bulk", body).want(400)
	}
	// Each operation needs its scope.
	a = r.do("POST", "/Bulk", bulkOf(0, `{'method':'POST','path':'/Users','bulkId':'b','data':{'userName':'carl'}}`, `{'method':'POST','path':'/Groups','bulkId':'c','data':{'displayName':'G'}}`), "Authorization: Bearer only groups:write").want(200)
	a.has("Operations.0.status", "'403'").has("Operations.1.status", "'201'")
	r.do("POST", "/Bulk", bulkOf(0, good), "Authorization: Bearer only users:read groups:read").want(403)
}

// TestBulkCircle: what was left out of a resource to break a circle is added, whatever becomes of other operations; and if it
// cannot be, the resource's own operation says so, and nothing is left of it.
func TestBulkCircle(t *testing.T) {
	r := newRig(t)
	a := r.do("POST", "/Bulk", bulkOf(1,
		`{'method':'POST','path':'/Users','bulkId':'x','data':{'userName':'x','manager':'bulkId:y'}}`,
		`{'method':'POST','path':'/Users','bulkId':'y','data':{'userName':'y','manager':'bulkId:x'}}`,
		`{'method':'POST','path':'/Groups','bulkId':'z','data':{'members':[{'value':'bulkId:x'}]}}`)).want(200)
	a.has("Operations.0.status", "'201'").has("Operations.1.status", "'201'").has("Operations.2.status", "'400'")
	if x, y := r.manager("u00000001"), r.manager("u00000002"); x != "u00000002" || y != "u00000001" {
		t.Errorf("managers %q %q", x, y)
	}
	a = r.do("POST", "/Bulk", bulkOf(0,
		`{'method':'POST','path':'/Groups','bulkId':'g','data':{'displayName':'g','members':[{'value':'bulkId:h'}]}}`,
		`{'method':'POST','path':'/Groups','bulkId':'h','data':{'displayName':'h','members':[{'value':'bulkId:g'}]}}`)).want(200)
	a.has("Operations.0.method", "'POST'").has("Operations.0.status", "'409'").has("Operations.0.location", "").has("Operations.1.status", "'400'")
	// It is not there: another try must not meet what the first one has left.
	r.do("GET", "/Groups", "").want(200).has("totalResults", "0")
}
