package scim

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestErrorMessage(t *testing.T) {
	data, err := (&Error{Status: 409, SCIMType: Uniqueness, Detail: "userName is taken"}).MarshalJSON()
	want := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"409","scimType":"uniqueness","detail":"userName is taken"}`
	if err != nil || string(data) != want {
		t.Errorf("got %s, %v, want %s", data, err, want)
	}
	for _, c := range []struct {
		status int
		body   string
		want   Error
	}{
		{409, want, Error{409, "uniqueness", "userName is taken"}},
		{0, `{"status":400,"scimType":"invalidFilter"}`, Error{400, "invalidFilter", ""}},
		{0, `{"status":"404","detail":"gone"}`, Error{404, "", "gone"}},
		{500, ``, Error{500, "", ""}},
		{0, ``, Error{500, "", ""}},
		{502, "<!DOCTYPE html><HTML><head><Title>502 Bad &amp; Gateway</title></head><script>x</script>", Error{502, "", "an HTML page: 502 Bad & Gateway"}},
		{502, "<html>", Error{502, "", "an HTML page"}},
		{503, "Service\r\n\tUnavailable\x00\x1b[31m", Error{503, "", "Service Unavailable[31m"}},
		{429, `{"error":{"code":"TooManyRequests","message":"slow down"}}`, Error{429, "", "slow down"}},
		{400, `{"Errors":[{"description":"bad","code":400}]}`, Error{400, "", "bad"}},
		{0, `{"Errors":{"description":"bad","code":"404"}}`, Error{404, "", "bad"}},
		{401, `{"error":"invalid_token","error_description":"expired"}`, Error{401, "", "expired"}},
		{400, `"just text"`, Error{400, "", "just text"}},
		{400, `[]`, Error{400, "", ""}},
	} {
		if got := ReadError(c.status, []byte(c.body)); *got != c.want {
			t.Errorf("%s: got %#v, want %#v", c.body, *got, c.want)
		}
	}
	if got := ReadError(500, []byte(strings.Repeat("é", 1000))).Detail; len(got) > maxDetail || !strings.HasSuffix(got, "é…") {
		t.Errorf("got %d bytes: %s", len(got), got)
	}
	if got := AsError(errors.New("secret")); got.Status != 500 || got.Detail != "" {
		t.Errorf("got %v", got)
	}
	if got := AsError(fmt.Errorf("x: %w", refuse(NoTarget, "y"))); got.SCIMType != NoTarget {
		t.Errorf("got %v", got)
	}
	for e, want := range map[Error]string{{404, "", ""}: "status 404", {400, "tooMany", ""}: "tooMany"} {
		if got := e.Error(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestListResponse(t *testing.T) {
	for _, c := range []struct {
		list ListResponse
		want string
	}{
		{ListResponse{StartIndex: 1}, `{'schemas':['urn:ietf:params:scim:api:messages:2.0:ListResponse'],'totalResults':0,'startIndex':1,'itemsPerPage':0,'Resources':[]}`},
		{ListResponse{TotalResults: 5, StartIndex: 2, ItemsPerPage: 1, Resources: []*Object{NewObject(Member{"id", "1"})}},
			`{'schemas':['urn:ietf:params:scim:api:messages:2.0:ListResponse'],'totalResults':5,'startIndex':2,'itemsPerPage':1,'Resources':[{'id':'1'}]}`},
		{ListResponse{TotalResults: -1, NextCursor: "n", PreviousCursor: "p"}, `{'schemas':['urn:ietf:params:scim:api:messages:2.0:ListResponse'],'itemsPerPage':0,'previousCursor':'p','nextCursor':'n','Resources':[]}`},
	} {
		data, err := c.list.MarshalJSON()
		if got := strings.ReplaceAll(string(data), `"`, "'"); err != nil || got != c.want {
			t.Errorf("got %s, %v, want %s", got, err, c.want)
		}
		read, err := ReadListResponse(object(t, c.want))
		if c.list.TotalResults < 0 {
			c.list.Resources = nil
		}
		if err != nil || !reflect.DeepEqual(*read, c.list) {
			t.Errorf("%s: read %+v, %v", c.want, read, err)
		}
	}
	l, err := ReadListResponse(object(t, `{'TOTALRESULTS':'7','resources':[{'id':'1'},{'id':'2'}],'itemsPerPage':100,'startIndex':-3,'nextCursor':'c'}`))
	if err != nil || l.TotalResults != 7 || l.ItemsPerPage != 2 || l.StartIndex != 0 || l.NextCursor != "c" {
		t.Errorf("got %+v, %v", l, err)
	}
	for body, want := range map[string]string{
		`{'id':'1'}`:        "invalidSyntax: the answer is not a SCIM list: it has neither Resources nor totalResults",
		`{'Resources':{}}`:  "invalidSyntax: the answer is not a SCIM list: Resources is an object",
		`{'Resources':[1]}`: "invalidSyntax: resource 1 of the list is a number",
	} {
		_, err := ReadListResponse(object(t, body))
		if got := errorText(t, err); got != want {
			t.Errorf("%s: got %s, want %s", body, got, want)
		}
	}
}

func TestSearch(t *testing.T) {
	q, err := url.ParseQuery(`aadOptscim062020&Filter=userName+eq+%22a%22&startIndex=0&count=-5&sortBy=userName&sortOrder=descending&attributes=a,b.c&cursor=`)
	if err != nil {
		t.Fatal(err)
	}
	want := Search{Attributes: "a,b.c", Filter: `userName eq "a"`, SortBy: "userName", Descending: true, StartIndex: 1, Count: 0, UseCursor: true}
	got, err := SearchFromQuery(q)
	if err != nil || *got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	again, err := SearchFromQuery(got.Query())
	if err != nil || *again != want {
		t.Errorf("got %+v, %v, want %+v", again, err, want)
	}
	again, err = ReadSearch(got.Document())
	if err != nil || *again != want {
		t.Errorf("got %+v, %v, want %+v", again, err, want)
	}
	none, err := SearchFromQuery(nil)
	if err != nil || *none != (Search{StartIndex: 1, Count: -1}) || len(none.Query()) != 0 {
		t.Errorf("got %+v, %v", none, err)
	}
	// The example of RFC 7644 section 3.4.3.
	got, err = ReadSearch(object(t, escaped(`{'schemas':['urn:ietf:params:scim:api:messages:2.0:SearchRequest'],'attributes':['displayName','userName'],'filter':'displayName sw \'smith\'','startIndex':1,'count':10}`)))
	if err != nil || *got != (Search{Attributes: "displayName,userName", Filter: `displayName sw "smith"`, StartIndex: 1, Count: 10}) {
		t.Errorf("got %+v, %v", got, err)
	}
	for body, want := range map[string]string{
		`{'filter':1}`:           "invalidValue: filter must be a string; it is a number",
		`{'count':'x'}`:          "invalidCount: count must be a whole number",
		`{'startIndex':[]}`:      "invalidValue: startIndex must be a whole number",
		`{'sortOrder':'upside'}`: "invalidValue: sortOrder must be ascending or descending",
	} {
		_, err := ReadSearch(object(t, body))
		if got := errorText(t, err); got != want {
			t.Errorf("%s: got %s, want %s", body, got, want)
		}
	}
}

func TestBulk(t *testing.T) {
	// The example of RFC 7644 section 3.7.2, shortened.
	body := `{'schemas':['urn:ietf:params:scim:api:messages:2.0:BulkRequest'],'failOnErrors':1,'Operations':[
	 {'method':'POST','bulkId':'qwerty','path':'/Users','data':{'userName':'Alice'}},
	 {'method':'PATCH','version':'W/x','path':'/Groups/1','data':{'members':[{'value':'bulkId:qwerty'},{'value':'bulkId:qwerty'}]}},
	 {'method':'DELETE','path':'/Users/2'}]}`
	b, err := ReadBulk(object(t, body), 3)
	if err != nil || !Equal(b.Document(), object(t, body)) {
		t.Fatalf("got %+v, %v", b, err)
	}
	if got := strings.Join(BulkReferences(b.Operations[1].Data), " "); got != "qwerty" {
		t.Errorf("got %s", got)
	}
	v, err := ResolveBulk(b.Operations[1].Data, func(id string) (string, bool) { return "92b725cd", id == "qwerty" })
	if err != nil || text(t, v) != `{'members':[{'value':'92b725cd'},{'value':'92b725cd'}]}` {
		t.Errorf("got %v, %v", v, err)
	}
	if _, err := ResolveBulk("bulkId:x", func(string) (string, bool) { return "", false }); err == nil || AsError(err).Status != 409 {
		t.Errorf("got %v, want 409", err)
	}
	if _, err := ReadBulk(object(t, body), 2); err == nil || AsError(err).Status != 413 {
		t.Errorf("got %v, want 413", err)
	}
	for body, want := range map[string]string{
		`{}`:                                  "invalidSyntax: a bulk request needs a list named Operations",
		`{'failOnErrors':-1,'Operations':[]}`: "invalidValue: failOnErrors must be a whole number",
		`{'Operations':[1]}`:                  "invalidSyntax: operation 1: it is a number; it must be an object",
		`{'Operations':[{'method':'GET','path':'/Users'}]}`:                          "invalidSyntax: operation 1: method must be POST, PUT, PATCH or DELETE",
		`{'Operations':[{'method':'POST','path':'/Users','data':{}}]}`:               "invalidValue: operation 1: a POST needs a bulkId",
		`{'Operations':[{'method':'PUT','path':'/Users/1'}]}`:                        "invalidValue: operation 1: a PUT needs an object named data",
		`{'Operations':[{'method':'DELETE','path':'https://evil.example/Users/1'}]}`: "invalidValue: operation 1: path must be an endpoint such as /Users",
	} {
		_, err := ReadBulk(object(t, body), 10)
		if got := errorText(t, err); got != want {
			t.Errorf("%s: got %s, want %s", body, got, want)
		}
	}
	results := []BulkResult{{Method: "POST", BulkID: "qwerty", Location: "https://example.com/v2/Users/1", Version: "W/x", Status: 201},
		{Method: "POST", BulkID: "b", Status: 400, Response: object(t, `{'detail':'x'}`)}}
	got, err := ReadBulkResults(BulkDocument(results))
	if err != nil || !reflect.DeepEqual(got, results) {
		t.Errorf("got %+v, %v", got, err)
	}
	got, err = ReadBulkResults(object(t, `{'operations':[{'method':'post','status':201},{'status':{'code':'409'}},{}]}`))
	if err != nil || got[0].Status != 201 || got[0].Method != "POST" || got[1].Status != 409 || got[2].Status != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, body := range []string{`{}`, `{'Operations':['x']}`} {
		if _, err := ReadBulkResults(object(t, body)); err == nil {
			t.Errorf("%s must be refused", body)
		}
	}
}

func TestServiceProviderConfig(t *testing.T) {
	c := &ServiceProviderConfig{Patch: true, Filter: true, MaxResults: 200, Sort: true, ETag: true, Pagination: Pagination{Cursor: true, Index: true, Default: "index", DefaultPageSize: 100, MaxPageSize: 200, CursorTimeout: time.Hour},
		Authentications: []Authentication{{Type: "oauthbearertoken", Name: "Bearer token", Description: "A long-lived token", Primary: true}}}
	data, err := c.MarshalJSON()
	want := `{'schemas':['urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig'],'patch':{'supported':true},'bulk':{'supported':false,'maxOperations':0,'maxPayloadSize':0},` +
		`'filter':{'supported':true,'maxResults':200},'changePassword':{'supported':false},'sort':{'supported':true},'etag':{'supported':true},` +
		`'pagination':{'cursor':true,'index':true,'defaultPaginationMethod':'index','defaultPageSize':100,'maxPageSize':200,'cursorTimeout':3600},` +
		`'authenticationSchemes':[{'type':'oauthbearertoken','name':'Bearer token','description':'A long-lived token','primary':true}]}`
	if got := strings.ReplaceAll(string(data), `"`, "'"); err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	if got := ReadServiceProviderConfig(object(t, want)); !reflect.DeepEqual(got, c) {
		t.Errorf("got %+v, want %+v", got, c)
	}
	if got := ReadServiceProviderConfig(object(t, `{'Resources':[{'patch':{'supported':'true'},'bulk':5,'filter':{'maxResults':-1}}]}`)); !got.Patch || got.Bulk || got.MaxResults != 0 || !got.Pagination.Index {
		t.Errorf("got %+v", got)
	}
	ReadServiceProviderConfig(nil)
	ReadServiceProviderConfig(object(t, `{'Resources':[1],'authenticationSchemes':[1]}`))
}

func TestETag(t *testing.T) {
	if got, want := ETag("3694e05e9dff590"), `W/"3694e05e9dff590"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := ETag("a\"b\r\nc d"), `W/"abcd"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	tag := ETag("a,b")
	for header, want := range map[string]bool{
		``: false, `*`: true, `W/"a,b"`: true, `"a,b"`: true, `w/"a,b"`: true, `W/"x", W/"a,b"`: true, `"x","y"`: false, `W/"x" , *`: true, `"a,b`: false, `W/`: false, `,,,`: false, `"a`: false,
	} {
		if got := MatchETag(header, tag); got != want {
			t.Errorf("%s: got %v, want %v", header, got, want)
		}
	}
	if !MatchETag("plain", ETag("plain")) || MatchETag("*", "") {
		t.Error("a tag without quotes must match, and nothing a resource that is not there")
	}
}
