package server_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"dirsync/scim"
	"dirsync/scim/server"
)

// crew makes a small population: bjensen, jsmith and mandy, of whom mandy is inactive, and two groups.
func crew(t *testing.T, change ...func(*server.Config)) *rig {
	r := newRig(t, change...)
	r.do("POST", "/Users", `{'userName':'bjensen','externalId':'7','displayName':'Babs','title':'Tour Guide','userType':'Employee','name':{'familyName':'Jensen'},
		'emails':[{'value':'bjensen@example.com','type':'work','primary':true},{'value':'babs@jensen.org','type':'home'}],
		'`+scim.EnterpriseURN+`':{'department':'Tours','employeeNumber':'100','manager':{'value':'u00000003'}},'`+acmeURN+`':{'Level':7,'Remote':true,'Tags':['a','b']}}`).want(201)
	r.pass(time.Hour)
	r.do("POST", "/Users", `{'userName':'jsmith','externalId':'8','displayName':'James','userType':'Intern','name':{'familyName':'Smith'},
		'emails':[{'value':'jsmith@example.org','type':'work'}],'`+acmeURN+`':{'Level':10}}`).want(201)
	r.pass(time.Hour)
	r.do("POST", "/Users", `{'userName':'Mandy','displayName':'mandy','active':false,'emails':[{'value':'mandy@other.net','type':'other'}]}`).want(201)
	r.group("Tour Guides", "u00000001", "u00000002")
	r.group("Crew \\\"A\\\"", "u00000002")
	r.group("Nobody")
	return r
}

func TestFilters(t *testing.T) {
	r := crew(t)
	for _, c := range []struct{ filter, want string }{
		{`userName eq "BJensen"`, "bjensen"}, {`USERNAME Eq "bjensen"`, "bjensen"}, {`urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J"`, "jsmith"},
		{`id eq "u00000002"`, "jsmith"}, {`id eq "U00000002"`, ""}, {`id eq ""`, ""}, {`externalId eq "7"`, "bjensen"}, {`externalId eq 7`, "bjensen"},
		{`displayName eq "MANDY"`, "Mandy"}, {`emails eq "babs@jensen.org"`, "bjensen"}, {`emails.value eq "BABS@jensen.org"`, "bjensen"},
		{`emails[type eq "work"].value eq "babs@jensen.org"`, ""}, {`emails[value eq "babs@jensen.org"]`, "bjensen"}, {`emails[value eq "babs@jensen.org" and type eq "work"]`, ""},
		{`emails[type eq "work" and value co "@example.com"]`, "bjensen"}, {`emails co "example.com" or emails.value co "example.org"`, "bjensen jsmith"},
		{`userName eq "bjensen" or userName eq "mandy" or id eq "u00000001"`, "Mandy bjensen"}, {`userName eq "bjensen" or title pr`, "bjensen"},
		{`userName eq "bjensen" and active eq true`, "bjensen"}, {`active eq false and userName eq "bjensen"`, ""}, {`active eq "False"`, "Mandy"},
		{`userName ne "bjensen"`, "Mandy jsmith"}, {`name.familyName co "S"`, "bjensen jsmith"}, {`name.familyName ew "th"`, "jsmith"}, {`title pr`, "bjensen"}, {`not (title pr)`, "Mandy jsmith"},
		{`userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")`, "bjensen"}, {`userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")`, "Mandy"},
		{`meta.created gt "2026-03-04T12:30:00Z"`, "Mandy jsmith"}, {`meta.created le "2026-03-04T13:00:00Z"`, "bjensen jsmith"}, {`meta.resourceType eq "User"`, "Mandy bjensen jsmith"},
		{scim.EnterpriseURN + `:department eq "tours"`, "bjensen"}, {`department eq "tours"`, ""}, {`manager eq "u00000003"`, "bjensen"}, {`id eq "u00000001" and manager eq "u00000003"`, "bjensen"},
		{acmeURN + `:Level gt 8`, "jsmith"}, {acmeURN + `:Level eq 7.0`, "bjensen"}, {acmeURN + `:Tags eq "b"`, "bjensen"}, {acmeURN + `:Remote eq true`, "bjensen"},
		{`groups.value eq "g00000002"`, "jsmith"}, {`groups pr`, "bjensen jsmith"}, {`groups[display eq "Tour Guides"]`, "bjensen jsmith"},
		{`noSuch eq "x"`, ""}, {`noSuch pr or userName eq "mandy"`, "Mandy"}, {`userName eq "nobody" and title gt "a"`, ""}, {`userName gt "bjensen" and userName lt "mandy"`, "jsmith"},
	} {
		got := r.do("GET", "/Users?filter="+url.QueryEscape(c.filter), "").want(200)
		if got.names() != c.want {
			t.Errorf("%s: got %q, want %q", c.filter, got.names(), c.want)
		}
		got.has("totalResults", fmt.Sprint(len(strings.Fields(c.want))))
	}
	for _, c := range []struct{ filter, want string }{
		{`displayName eq "tour guides"`, "Tour Guides"}, {`displayName eq "Crew \"A\""`, `Crew "A"`}, {`members.value eq "u00000002"`, `Crew "A" Tour Guides`}, {`members eq "u00000001"`, "Tour Guides"},
		{`members[value eq "u00000001"]`, "Tour Guides"}, {`members eq "u00000009"`, ""}, {`id eq "g00000001" and members eq "u00000001"`, "Tour Guides"}, {`id eq "g00000002" and members eq "u00000001"`, ""},
		{`members pr`, `Crew "A" Tour Guides`}, {`not (members pr)`, "Nobody"}, {`members.value ne "u00000002"`, "Nobody Tour Guides"}, {`members[value ne "u00000001" and value ne "u00000002"]`, ""},
		{`not (members[value eq "u00000001"])`, `Crew "A" Nobody`}, {`members.type eq "User" and displayName sw "T"`, "Tour Guides"},
	} {
		if got := r.do("GET", "/Groups?filter="+url.QueryEscape(c.filter), "").want(200).names(); got != c.want {
			t.Errorf("%s: got %q, want %q", c.filter, got, c.want)
		}
	}
	for _, filter := range []string{`userName`, `userName xx "a"`, `active gt true`, `userName eq`, `(userName eq "a"`, `userName eq "a" and`, `emails[type eq`, `name eq "x"`,
		`meta.created gt "yesterday"`, strings.Repeat("(", 100) + `userName pr` + strings.Repeat(")", 100), `userName eq "` + strings.Repeat("x", 20_000) + `"`} {
		for _, path := range []string{"/Users", "/"} {
			r.do("GET", path+"?filter="+url.QueryEscape(filter), "").want(400, "invalidFilter")
		}
	}
	for _, filter := range []string{`members.display eq "x"`, `members.value sw "u"`, `members[display eq "x"]`} {
		r.do("GET", "/Groups?filter="+url.QueryEscape(filter), "").want(400, "invalidFilter")
	}
	// A filter that cannot be read is no reason to answer with everybody.
	for _, query := range []string{"filter=userName+eq+%zz", `filter=userName+eq+"a;b"`, "filter=%"} {
		if a := r.do("GET", "/Users?"+strings.ReplaceAll(query, `"`, "%22"), ""); a.status != 400 && a.names() != "" {
			t.Errorf("%s: %d %s", query, a.status, a.names())
		}
	}
	// Names are compared in all languages as they are when they are made unique.
	r.user("STRASSE")
	r.do("POST", "/Users", `{'userName':'straße'}`).want(409, "uniqueness")
	r.do("GET", "/Users?filter="+url.QueryEscape(`userName eq "straße"`), "").want(200).has("Resources.0.userName", "'STRASSE'")
}

// TestIndexed counts what the store is asked: what has an index costs the same among a thousand as among three.
func TestIndexed(t *testing.T) {
	r := crew(t)
	for n := range 1000 {
		r.store.add(resourceOf(n))
	}
	for _, filter := range []string{`userName eq "jsmith"`, `id eq "u00000002"`, `externalId eq "8"`, `displayName eq "James"`, `emails.value eq "jsmith@example.org"`,
		`emails[type eq "work"].value eq "jsmith@example.org"`, `active eq true and userName eq "jsmith"`, `id eq "u00000002" and (title eq "x" or not (title pr))`,
		`userName eq "jsmith" or externalId eq "8"`} {
		before := r.store.reads
		r.do("GET", "/Users?filter="+url.QueryEscape(filter), "").want(200).has("totalResults", "1")
		if n := r.store.reads - before; n > 2 {
			t.Errorf("%s reads %d users", filter, n)
		}
	}
	if err := r.server.Resume(t.Context()); err != nil { // It looks at everybody, once.
		t.Fatal(err)
	}
	before := r.store.reads
	r.do("GET", "/Users?startIndex=900&count=5", "").want(200).has("totalResults", "1003").has("itemsPerPage", "5")
	if n := r.store.reads - before; n > 10 {
		t.Errorf("a page of 5 reads %d users", n)
	}
}

func TestPaging(t *testing.T) {
	r := newRig(t, func(c *server.Config) { c.Limits.Page, c.Limits.MaxPage = 10, 20 })
	var all []string
	for n := range 47 {
		all = append(all, r.store.add(resourceOf(n)).ID)
	}
	a := r.do("GET", "/Users", "").want(200).has("totalResults", "47").has("startIndex", "1").has("itemsPerPage", "10")
	if got := len(a.body.List("Resources")); got != 10 {
		t.Errorf("%d on a page", got)
	}
	r.do("GET", "/Users?count=0", "").want(200).has("totalResults", "47").has("itemsPerPage", "0").has("Resources", "[]")
	r.do("GET", "/Users?count=-5&startIndex=-3", "").want(200).has("totalResults", "47").has("startIndex", "1").has("itemsPerPage", "0")
	r.do("GET", "/Users?count=1000", "").want(200).has("itemsPerPage", "20")
	r.do("GET", "/Users?startIndex=48", "").want(200).has("totalResults", "47").has("startIndex", "48").has("itemsPerPage", "0")
	r.do("GET", "/Users?count=x", "").want(400, "invalidCount")
	r.do("GET", "/Users?cursor=&count=21", "").want(400, "invalidCount")
	for _, query := range []string{"", "filter=" + url.QueryEscape(`userName sw "user"`), "sortBy=userName&sortOrder=descending", "filter=" + url.QueryEscape(`userName sw "user"`) + "&sortBy=meta.created"} {
		for _, count := range []string{"7", "10", "20"} {
			if got := r.byIndex(query, count); !slices.Equal(sorted(got), all) {
				t.Errorf("by index, %s, %s: %v", query, count, got)
			}
			if got := r.byCursor(query, count); !slices.Equal(sorted(got), all) {
				t.Errorf("by cursor, %s, %s: %v", query, count, got)
			}
		}
	}
}

func (a response) ids() (ids []string) {
	for _, v := range a.body.List("Resources") {
		o, _ := v.(*scim.Object)
		id, _ := o.Text("id")
		ids = append(ids, id)
	}
	return ids
}

// byIndex lists as a careful client does: it goes on behind as many as it got, until it has all.
func (r *rig) byIndex(query, count string) (ids []string) {
	for start := 1; ; {
		a := r.do("GET", fmt.Sprintf("/Users?%s&startIndex=%d&count=%s", query, start, count), "").want(200)
		page := a.ids()
		ids = append(ids, page...)
		start += len(page)
		total, _ := a.body.Int("totalResults")
		if len(page) == 0 || start > total {
			return ids
		}
	}
}

func (r *rig) byCursor(query, count string) (ids []string) {
	for cursor := ""; ; {
		a := r.do("GET", fmt.Sprintf("/Users?%s&cursor=%s&count=%s", query, cursor, count), "").want(200).has("startIndex", "")
		ids = append(ids, a.ids()...)
		next, more := a.body.Text("nextCursor")
		if !more {
			return ids
		}
		cursor = url.QueryEscape(next)
		if cursor != next {
			r.t.Errorf("the cursor %q holds reserved characters", next)
		}
	}
}

// TestPagingAround deletes and adds while somebody pages with a cursor: everybody who is there all the time is listed, once.
func TestPagingAround(t *testing.T) {
	r := newRig(t)
	var ids []string
	for n := range 30 {
		ids = append(ids, r.store.add(resourceOf(n)).ID)
	}
	var got []string
	for cursor, n := "", 0; ; n++ {
		a := r.do("GET", "/Users?count=4&cursor="+cursor, "").want(200)
		got = append(got, a.ids()...)
		var more bool
		if cursor, more = a.body.Text("nextCursor"); !more {
			break
		}
		if n < 3 {
			r.do("DELETE", "/Users/"+ids[n*4+3], "").want(204) // the last one of the page
			r.user(fmt.Sprint("new", n))
		}
	}
	if want := append(slices.Clone(ids), "u00000031", "u00000032", "u00000033"); !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestCursors(t *testing.T) {
	r := newRig(t)
	for n := range 5 {
		r.store.add(resourceOf(n))
	}
	next, _ := r.do("GET", "/Users?cursor=&count=2", "").want(200).has("totalResults", "").body.Text("nextCursor")
	follow := func(query string) response { return r.do("GET", "/Users?cursor="+next+query, "") }
	if got := follow("").want(200).ids(); len(got) != 2 {
		t.Errorf("the count of the first page is forgotten: %v", got)
	}
	follow("&count=3").want(400, "invalidCount")
	follow("&filter="+url.QueryEscape(`title pr`)).want(400, "invalidCursor")
	r.do("GET", "/Groups?cursor="+next, "").want(400, "invalidCursor")
	for _, bad := range []string{"x", next[1:], next[:len(next)-2], next + "AA", strings.Repeat("A", 5000), "%00"} {
		r.do("GET", "/Users?count=2&cursor="+bad, "").want(400, "invalidCursor")
	}
	r.pass(time.Hour)
	follow("&count=2").want(200)
	r.pass(time.Second)
	follow("&count=2").want(400, "expiredCursor")
	// Each page makes the next cursor anew, so that a long listing does not expire as a whole.
	a := r.do("POST", "/Users/.search", `{'schemas':['`+scim.SearchURN+`'],'cursor':'','count':2}`).want(200)
	r.pass(50 * time.Minute)
	cursor, _ := a.body.Text("nextCursor")
	a = r.do("POST", "/Users/.search", `{'schemas':['`+scim.SearchURN+`'],'cursor':'`+cursor+`','count':2}`).want(200)
	r.pass(50 * time.Minute)
	cursor, _ = a.body.Text("nextCursor")
	if got := r.do("POST", "/Users/.search", `{'cursor':'`+cursor+`'}`).want(200).ids(); len(got) != 1 {
		t.Errorf("the last page has %v", got)
	}
	r.do("GET", "/Users?cursor=&count=0", "").want(200).has("totalResults", "5").has("Resources", "[]")
}

// TestCursorKey: servers with the same key understand each other's cursors, others do not.
func TestCursorKey(t *testing.T) {
	cursors := map[string]string{}
	for _, key := range []string{"one", "two", ""} {
		r := newRig(t, func(c *server.Config) { c.CursorKey = []byte(key) })
		for n := range 3 {
			r.store.add(resourceOf(n))
		}
		cursors[key], _ = r.do("GET", "/Users?cursor=&count=1", "").want(200).body.Text("nextCursor")
		for other, cursor := range cursors {
			want := 400
			if other == key {
				want = 200
			}
			r.do("GET", "/Users?cursor="+cursor, "").want(want)
		}
	}
}

func TestSort(t *testing.T) {
	r := crew(t)
	for _, c := range []struct{ query, want string }{
		{"sortBy=userName", "bjensen jsmith Mandy"}, {"sortBy=userName&sortOrder=descending", "Mandy jsmith bjensen"}, {"sortBy=title", "bjensen jsmith Mandy"},
		{"sortBy=title&sortOrder=descending", "jsmith Mandy bjensen"}, {"sortBy=emails", "bjensen jsmith Mandy"}, {"sortBy=name.familyName&startIndex=2&count=1", "jsmith"},
		{"sortBy=" + url.QueryEscape(acmeURN+":Level") + "&sortOrder=descending&count=2", "Mandy jsmith"}, {"sortBy=active", "Mandy bjensen jsmith"}, {"sortBy=noSuch", "bjensen jsmith Mandy"},
		{"sortBy=userName&filter=" + url.QueryEscape(`userName eq "mandy" or userName eq "bjensen"`), "bjensen Mandy"}, {"sortBy=meta.created&sortOrder=descending&attributes=userName", "Mandy jsmith bjensen"},
	} {
		var got []string
		for _, v := range r.do("GET", "/Users?"+c.query, "").want(200).body.List("Resources") {
			o, _ := v.(*scim.Object)
			name, _ := o.Text("userName")
			got = append(got, name)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %v, want %s", c.query, got, c.want)
		}
	}
	r.do("GET", "/Users?sortBy=name", "").want(400)
	r.do("GET", "/Users?sortBy=emails[", "").want(400, "invalidPath")
	r.do("GET", "/Users?sortOrder=upwards", "").want(400, "invalidValue")
	r.do("GET", "/Groups?sortBy=members", "").want(400, "invalidPath")
	few := crew(t, func(c *server.Config) { c.Limits.Sorted = 2 })
	few.do("GET", "/Users?sortBy=userName", "").want(400, "tooMany")
}

// TestRoot asks for users and groups at once.
func TestRoot(t *testing.T) {
	r := crew(t)
	r.do("GET", "/", "").want(200).has("totalResults", "6").has("Resources.5.displayName", "'Nobody'")
	r.do("GET", "", "").want(200).has("totalResults", "6")
	if got := r.do("GET", "/?filter="+url.QueryEscape(`displayName sw "B" or displayName sw "T" or title pr`), "").want(200).names(); got != "Tour Guides bjensen" {
		t.Errorf("got %s", got)
	}
	if got := r.do("POST", "/.search", `{'filter':'meta.resourceType eq \"Group\"','attributes':['displayName'],'count':2,'startIndex':2}`).want(200).has("totalResults", "3").names(); got != `Crew "A" Nobody` {
		t.Errorf("got %s", got)
	}
	if got := r.do("GET", "/?count=2&startIndex=3", "").want(200).names(); got != "Mandy Tour Guides" {
		t.Errorf("got %s", got)
	}
	if got := r.do("GET", "/?sortBy=displayName&count=3", "").want(200).names(); got != `Crew "A" bjensen jsmith` {
		t.Errorf("got %s", got)
	}
	var all []string
	for cursor := ""; ; {
		a := r.do("GET", "/?count=2&cursor="+cursor, "").want(200)
		all = append(all, a.ids()...)
		var more bool
		if cursor, more = a.body.Text("nextCursor"); !more {
			break
		}
	}
	if len(all) != 6 {
		t.Errorf("by cursor: %v", all)
	}
	// Of both, a token sees those that it may see.
	if got := r.do("GET", "/", "", "Authorization: Bearer only groups:read").want(200).names(); got != `Crew "A" Nobody Tour Guides` {
		t.Errorf("got %s", got)
	}
	r.do("GET", "/", "", "Authorization: Bearer only nothing").want(403)
}

func TestScanLimit(t *testing.T) {
	r := newRig(t, func(c *server.Config) { c.Limits.Scan = time.Nanosecond })
	for n := range 1200 {
		r.store.add(resourceOf(n))
	}
	r.do("GET", "/Users?filter="+url.QueryEscape(`title pr`), "").want(400, "tooMany")
	r.do("GET", "/Users?sortBy=userName", "").want(400, "tooMany")
	r.do("GET", "/Users?filter="+url.QueryEscape(`userName eq "user7@example.com"`), "").want(200).has("totalResults", "1")
	r.do("GET", "/Users", "").want(200).has("totalResults", "1200")
	// With a cursor even a slow server gets through, some at a time.
	if got := r.byCursor("filter="+url.QueryEscape(`userName ew "99@example.com"`), "100"); len(got) != 12 {
		t.Errorf("got %v", got)
	}
}

// TestPageBytes: a page ends early when its resources are large, and nobody is lost.
func TestPageBytes(t *testing.T) {
	r := newRig(t, func(c *server.Config) { c.Limits.PageBytes = 100 << 10 })
	for n := range 40 {
		size := 5 << 10
		if n == 7 {
			size = 200 << 10 // larger than a page
		}
		r.do("POST", "/Users", fmt.Sprintf(`{'userName':'user%d','profileUrl':'%s'}`, n, strings.Repeat("x", size))).want(201)
	}
	for _, query := range []string{"attributes=id", "attributes=id&filter=" + url.QueryEscape("profileUrl pr"), "attributes=id&sortBy=userName"} {
		if got := r.byIndex(query, "1000"); len(got) != 40 {
			t.Errorf("by index, %s: %d of 40", query, len(got))
		}
		if got := r.byCursor(query, "1000"); len(got) != 40 {
			t.Errorf("by cursor, %s: %d of 40", query, len(got))
		}
	}
	if got := len(r.do("GET", "/Users?attributes=id&count=1000", "").want(200).ids()); got != 7 {
		t.Errorf("%d on one page", got)
	}
	r.do("POST", "/Users", fmt.Sprintf(`{'userName':'x','profileUrl':'%s'}`, strings.Repeat("x", 300<<10))).want(413)
}

// TestSlowBody: whoever sends a body in drops is not waited for.
func TestSlowBody(t *testing.T) {
	r := newRig(t, func(c *server.Config) { c.Limits.Timeout = 50 * time.Millisecond })
	web := httptest.NewServer(r.server)
	defer web.Close()
	conn, err := net.Dial("tcp", web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /Users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer all\r\nContent-Length: 100\r\n\r\n{")
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.Contains(answer, " 400 ") {
		t.Errorf("%q, %v", answer, err)
	}
}
