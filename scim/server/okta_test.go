package server_test

import (
	"net/url"
	"strings"
	"testing"

	"dirsync/scim"
)

// TestOkta are the requests of Okta's guide to building a SCIM service.
func TestOkta(t *testing.T) {
	r := newRig(t)
	r.do("GET", "/Users?startIndex=1&count=2", "").want(200).has("totalResults", "0")
	r.do("GET", "/Users?filter="+url.QueryEscape(`userName eq "test.user@okta.local"`)+"&startIndex=1&count=100", "").want(200).has("Resources", "[]")
	const user = `'schemas':['urn:ietf:params:scim:schemas:core:2.0:User'],'userName':'test.user@okta.local','name':{'givenName':'Test','familyName':'User'},
		'emails':[{'primary':true,'value':'test.user@okta.local','type':'work'}],'displayName':'Test User','locale':'en-US','externalId':'00ujl29u0le5T6Aj10h7'`
	made := r.do("POST", "/Users", `{`+user+`,'groups':[],'password':'1mz050nq','active':true}`).want(201)
	id := made.id()
	if strings.Contains(made.text, "1mz050nq") {
		t.Error("the password is in the answer")
	}
	r.do("POST", "/Users", `{`+user+`}`).want(409, "uniqueness")
	r.do("GET", "/Users/"+id, "").want(200)
	// An update of the profile is a PUT of what was read.
	whole := strings.ReplaceAll(r.do("GET", "/Users/"+id, "").text, `"`, `'`)
	whole = strings.NewReplacer(`'familyName':'User'`, `'familyName':'Changed'`, `\'`, `\"`).Replace(whole)
	r.do("PUT", "/Users/"+id, whole).want(200).has("name.familyName", "'Changed'").has("meta.resourceType", "'User'")
	r.do("PATCH", "/Users/"+id, patch(`{'op':'replace','value':{'active':false}}`)).want(200).has("active", "false")
	r.do("GET", "/Users?filter="+url.QueryEscape(`userName eq "test.user@okta.local"`), "").want(200).has("Resources.0.active", "false")
	r.do("PUT", "/Users/"+id, `{`+user+`,'active':true}`).want(200).has("active", "true")
	other := r.user("other@okta.local")

	r.do("GET", "/Groups?startIndex=1&count=100", "").want(200).has("totalResults", "0")
	group := r.do("POST", "/Groups", `{'schemas':['urn:ietf:params:scim:schemas:core:2.0:Group'],'displayName':'Test SCIMv2','members':[]}`).want(201).has("members", "[]").id()
	r.do("GET", "/Groups?filter="+url.QueryEscape(`displayName eq "Test SCIMv2"`)+"&startIndex=1&count=100", "").want(200).has("totalResults", "1")
	// A rename names the id, too.
	r.do("PATCH", "/Groups/"+group, patch(`{'op':'replace','value':{'id':'`+group+`','displayName':'Test SCIMv2 renamed'}}`)).want(200).has("displayName", "'Test SCIMv2 renamed'")
	r.do("PATCH", "/Groups/"+group, patch(`{'op':'add','path':'members','value':[{'value':'`+id+`','display':'test.user@okta.local'}]},{'op':'add','path':'members','value':[{'value':'`+other+`','display':'other'}]}`)).
		want(200).has("members.1.value", "'"+other+"'")
	r.do("PATCH", "/Groups/"+group, patch(quoted(`{'op':'remove','path':'members[value eq \'`+id+`\']'}`))).want(200).has("members.1", "")
	r.do("PATCH", "/Groups/"+group, patch(`{'op':'replace','path':'members','value':[{'value':'`+id+`','display':'test'}]}`)).want(200).has("members.0.value", "'"+id+"'")
	r.do("PUT", "/Groups/"+group, `{'schemas':['`+scim.GroupURN+`'],'id':'`+group+`','displayName':'Test','members':[{'value':'`+other+`'}]}`).want(200).has("members.0.value", "'"+other+"'")
	r.do("GET", "/Groups/"+group+"?excludedAttributes=members", "").want(200).has("members", "")
	r.do("DELETE", "/Groups/"+group, "").want(204)
	// Okta never deletes users, but its validators do.
	r.do("DELETE", "/Users/"+id, "").want(204)
	r.do("GET", "/Users/abcdefgh12345678", "").want(404)
}
