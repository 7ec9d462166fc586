package server_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"dirsync/scim"
	"dirsync/scim/server"
)

// TestHostileTypes puts a value of every JSON type in the place of every attribute and part of one, in every way in which
// one can be written, and in the place of every member of every message. Each is taken or refused with 400, and nothing that
// was refused has changed anything.
func TestHostileTypes(t *testing.T) {
	values := []string{`null`, `true`, `-1`, `1e308`, `''`, `'x\ud83d\ude00'`, `[]`, `{}`, `[null]`, `[[]]`, `[{}]`, `[1,'a',true]`, `{'value':{}}`, `{'value':[]}`, `{'value':1}`,
		`[{'value':{'value':'x'}}]`, `{'a':{'b':{'c':[]}}}`, `'{\'value\':\'x\'}'`}
	r := newRig(t, func(c *server.Config) { c.Observe = nil })
	who, manager := r.user("who"), r.user("manager")
	group := r.group("g", who)
	tried, taken := 0, 0
	send := func(method, path, body string) {
		t.Helper()
		tried++
		before := r.do("GET", path, "")
		a := r.do(method, path, quoted(body))
		switch {
		case a.status == 200 || a.status == 201:
			taken++
		case a.status != 400 && a.status != 409:
			t.Fatalf("%s %s %s: %d %s", method, path, body, a.status, a.text)
		case before.status == 200 && r.do("GET", path, "").text != before.text:
			t.Fatalf("%s %s %s: %d, and something has changed", method, path, body, a.status)
		}
	}
	for _, kind := range []struct{ name, core, id, start string }{{"User", scim.UserURN, who, `'userName':'who'`}, {"Group", scim.GroupURN, group, `'displayName':'g'`}} {
		urns := []string{kind.core}
		if kind.name == "User" {
			urns = append(urns, scim.EnterpriseURN, acmeURN)
		}
		for _, path := range everyPath(published(r, kind.name, kind.core, urns[1:]...)) {
			for _, value := range values {
				for _, op := range []string{"add", "replace", "remove"} {
					send("PATCH", "/"+kind.name+"s/"+kind.id, patch(`{'op':'`+op+`','path':'`+path+`','value':`+value+`}`))
				}
				send("PATCH", "/"+kind.name+"s/"+kind.id, patch(`{'op':'replace','value':{'`+path+`':`+value+`}}`))
				send("PUT", "/"+kind.name+"s/"+kind.id, `{`+kind.start+`,'x`+path+`':1,'`+path+`':`+value+`}`)
			}
		}
	}
	t.Logf("%d values were tried and %d taken", tried, taken)
	for message, form := range map[string]string{"/Users/" + manager: `{'schemas':%s,'Operations':%s}`, "/Bulk": `{'schemas':%s,'failOnErrors':%s,'Operations':%s}`,
		"/Users/.search": `{'schemas':%s,'filter':%s,'sortBy':%s,'sortOrder':%s,'startIndex':%s,'count':%s,'attributes':%s}`,
		"/.search":       `{'cursor':%s,'excludedAttributes':%s,'filter':%s}`, "/Users": `{'schemas':%s,'userName':%s}`} {
		for place := range strings.Count(form, "%s") {
			for _, value := range values {
				members := make([]any, strings.Count(form, "%s"))
				for i := range members {
					members[i] = `null`
				}
				members[place] = value
				method := "POST"
				if strings.HasPrefix(message, "/Users/u") {
					method = "PATCH"
				}
				if a := r.do(method, message, quoted(fmt.Sprintf(form, members...))); a.status >= 500 || a.status >= 300 && a.status < 400 {
					t.Errorf("%s: %d %s", fmt.Sprintf(form, members...), a.status, a.text)
				}
			}
		}
	}
	for _, value := range values {
		for _, op := range []string{`{'op':%s,'path':'title','value':'x'}`, `{'op':'add','path':%s,'value':'x'}`, `{'op':'remove','path':%s}`, `%s`} {
			send("PATCH", "/Users/"+manager, patch(fmt.Sprintf(op, value)))
		}
		for _, op := range []string{`{'method':%s,'path':'/Users','bulkId':'b','data':{}}`, `{'method':'POST','path':%s,'bulkId':'b','data':{}}`, `{'method':'POST','path':'/Users','bulkId':%s,'data':{}}`,
			`{'method':'POST','path':'/Users','bulkId':'b','data':%s}`, `{'method':'DELETE','path':'/Users/none','version':%s}`, `%s`} {
			if a := r.do("POST", "/Bulk", quoted(bulkOf(0, fmt.Sprintf(op, value)))); a.status != 200 && a.status != 400 {
				t.Errorf("%s with %s: %d %s", op, value, a.status, a.text)
			}
		}
	}
}

// everyPath are the paths of all attributes of a resource type and of their parts.
func everyPath(kind *scim.ResourceType) (paths []string) {
	paths = append(paths, "id", "schemas", "externalId", "meta", "meta.created", "nobody.knows")
	for i, s := range kind.Schemas() {
		prefix := ""
		if i > 0 {
			prefix = s.ID + ":"
		}
		for _, a := range s.Attributes {
			paths = append(paths, prefix+a.Name)
			for _, sub := range a.SubAttributes {
				paths = append(paths, prefix+a.Name+"."+sub.Name)
				if a.MultiValued {
					paths = append(paths, prefix+a.Name+`[type eq \'work\'].`+sub.Name)
				}
			}
		}
	}
	return paths
}

// TestHostileFilters asks with filters that are deep, long, or not what they seem, in URLs and in bodies.
func TestHostileFilters(t *testing.T) {
	r := newRig(t)
	r.user("anna")
	for name, filter := range map[string]string{
		"deep parentheses": strings.Repeat("(", 50_000) + "title pr" + strings.Repeat(")", 50_000), "unclosed": strings.Repeat("(", 50_000), "deep not": strings.Repeat("not (", 20_000) + "title pr" + strings.Repeat(")", 20_000),
		"deep brackets": strings.Repeat("emails[", 5_000) + "type pr" + strings.Repeat("]", 5_000), "many terms": strings.Repeat("title pr or ", 50_000) + "title pr", "a long word": strings.Repeat("a", 100_000) + " pr",
		"many dots": "name" + strings.Repeat(".a", 10_000) + " pr", "many colons": "urn" + strings.Repeat(":a", 10_000) + " pr", "a long number": "title eq " + strings.Repeat("9", 100_000), "NUL": "userName\x00 eq \"a\"",
		"not UTF-8": "userName eq \"\xff\xfe\"", "half a pair": `userName eq "\ud800"`, "unfinished text": `userName eq "a`, "a control character": "userName eq \"a\nb\"", "a bare operator": "eq eq", "two filters": `title pr title pr`,
		"a huge number": "meta.created eq 1e999999999", "an object": `userName eq {"a":1}`, "a list": `userName eq ["a"]`, "order of null": "title gt null", "brackets in brackets": `emails[type eq "a" and value[type eq "b"]]`,
	} {
		if a := r.do("GET", "/Users?filter="+escapeAll(filter), ""); a.status != 400 || text(t, a.at("scimType")) != "'invalidFilter'" {
			t.Errorf("%s: %d %.200s", name, a.status, a.text)
		}
		body, err := scim.NewObject(scim.Member{Name: "filter", Value: filter}).MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if a := r.do("POST", "/Users/.search", string(body)); a.status != 400 && (a.status != 200 || a.names() != "") {
			t.Errorf("%s, in a body: %d %.200s", name, a.status, a.text)
		}
		b := r.do("PATCH", "/Users/u00000001", patch(`{"op":"add","path":`+string(jsonText(t, "emails["+filter+"].value"))+`,"value":"x"}`))
		if b.status != 400 {
			t.Errorf("%s, in a path: %d %.200s", name, b.status, b.text)
		}
	}
	for _, query := range []string{"startIndex=99999999999999999999", "count=1.5", "count=0x10", "count=%00", "startIndex=one", "sortOrder=%ff", "attributes=a,,b%20c", "attributes=%5B%5D", "excludedAttributes=a[b",
		"sortBy=%00", "cursor=%ff%fe", "cursor=" + strings.Repeat("A", 30_000), "filter=%", "filter=%zz", "attributes=" + strings.Repeat("a,", 50_000)} {
		if a := r.do("GET", "/Users?"+query, ""); a.status != 400 {
			t.Errorf("%.60s: %d %.200s", query, a.status, a.text)
		}
	}
}

// escapeAll escapes every byte for a query.
func escapeAll(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02x", s[i])
	}
	return b.String()
}

func jsonText(t *testing.T, s string) []byte {
	t.Helper()
	b, err := scim.NewObject(scim.Member{Name: "s", Value: s}).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return b[len(`{"s":`) : len(b)-1]
}

// TestHostileWire sends what no HTTP library would send, over a connection.
func TestHostileWire(t *testing.T) {
	r := newRig(t, func(c *server.Config) { c.Limits.Body, c.Limits.Timeout = 50_000, 2*time.Second })
	id := r.user("anna")
	r.group("g", id)
	web := httptest.NewServer(r.server)
	defer web.Close()
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, _ = w.Write([]byte(`{"userName":"zip"}`)) // A buffer takes everything.
	_ = w.Close()
	const auth = "Host: a.example\r\nAuthorization: Bearer all\r\nConnection: close\r\n"
	post := func(path, headers, body string) string {
		return "POST " + path + " HTTP/1.1\r\n" + auth + headers + "\r\n" + body
	}
	length := func(n int) string { return fmt.Sprintf("Content-Length: %d\r\n", n) }
	const user = `{"userName":"b"}`
	for _, c := range []struct {
		name, send string
		status     int
	}{
		{"HTTP/1.0", "GET /scim/v2/Users/" + id + " HTTP/1.0\r\nAuthorization: Bearer all\r\n\r\n", 200},
		{"HTTP/1.0 with a body", "POST /scim/v2/Users HTTP/1.0\r\nAuthorization: Bearer all\r\nContent-Length: 18\r\n\r\n" + `{"userName":"old"}`, 201},
		{"HTTP/1.0 without a length", "POST /scim/v2/Users HTTP/1.0\r\nAuthorization: Bearer all\r\n\r\n" + user, 400},
		{"absolute form", "GET http://evil.example/scim/v2/Users/" + id + " HTTP/1.1\r\n" + auth + "\r\n", 200},
		{"absolute form with a user", "GET http://u:p@evil.example/scim/v2/Users/" + id + " HTTP/1.1\r\n" + auth + "\r\n", 200},
		{"an asterisk", "OPTIONS * HTTP/1.1\r\n" + auth + "\r\n", 200}, // net/http answers it
		{"an authority", "CONNECT a.example:443 HTTP/1.1\r\n" + auth + "\r\n", 405},
		{"no slash", "GET scim/v2/Users HTTP/1.1\r\n" + auth + "\r\n", 400},
		{"a method in small letters", "get /scim/v2/Users HTTP/1.1\r\n" + auth + "\r\n", 405},
		{"a method that is none", "F@O /scim/v2/Users HTTP/1.1\r\n" + auth + "\r\n", 400},
		{"two tokens", "GET /scim/v2/Users HTTP/1.1\r\n" + auth + "Authorization: Bearer all\r\n\r\n", 401},
		{"an encoded slash", "GET /scim/v2/Users/..%2FGroups%2Fg00000001 HTTP/1.1\r\n" + auth + "\r\n", 404},
		{"dots", "GET /scim/v2/Users/../Groups/g00000001 HTTP/1.1\r\n" + auth + "\r\n", 404},
		{"encoded dots", "GET /scim/v2/Users/%2e%2e/Groups/g00000001 HTTP/1.1\r\n" + auth + "\r\n", 404},
		{"one encoded dot", "DELETE /scim/v2/Users/%2e HTTP/1.1\r\n" + auth + "\r\n", 404},
		{"NUL", "GET /scim/v2/Users/" + id + "%00 HTTP/1.1\r\n" + auth + "\r\n", 404},
		{"a line break", "GET /scim/v2/Users/%0d%0aSet-Cookie:x HTTP/1.1\r\n" + auth + "\r\n", 404},
		{"half an escape", "GET /scim/v2/Users/%2 HTTP/1.1\r\n" + auth + "\r\n", 400},
		{"bytes that are no text", "GET /scim/v2/Users/%ff%fe HTTP/1.1\r\n" + auth + "\r\n", 404},
		{"a semicolon", "GET /scim/v2/Users;a=b/" + id + " HTTP/1.1\r\n" + auth + "\r\n", 404},
		{"a backslash", "GET /scim/v2/Users\\" + id + " HTTP/1.1\r\n" + auth + "\r\n", 404},
		{"a huge header", "GET /scim/v2/Users HTTP/1.1\r\n" + auth + "X: " + strings.Repeat("x", 2<<20) + "\r\n\r\n", 431},
		{"an expectation", post("/scim/v2/Users", length(len(user))+"Expect: the-impossible\r\n", user), 417},
		{"compressed", post("/scim/v2/Users", length(zipped.Len())+"Content-Encoding: gzip\r\n", zipped.String()), 415},
		{"compressed, and silent about it", post("/scim/v2/Users", length(zipped.Len()), zipped.String()), 400},
		{"a byte order mark", post("/scim/v2/Users", length(len(user)+3), "\ufeff"+user), 400},
		{"UTF-16", post("/scim/v2/Users", length(2*len(user)), strings.Join(strings.Split(user, ""), "\x00")+"\x00"), 400},
		{"a length that is too long", post("/scim/v2/Users", length(1000), user), 400},
		{"a length that is too short", post("/scim/v2/Users", length(len(user)-1), user), 400},
		{"a length beyond the limit", post("/scim/v2/Users", length(1<<40), user), 413},
		{"a negative length", post("/scim/v2/Users", "Content-Length: -5\r\n", user), 400},
		{"two lengths", post("/scim/v2/Users", length(16)+length(17), user), 400},
		{"chunks without an end", post("/scim/v2/Users", "Transfer-Encoding: chunked\r\n", "10\r\n"+user), 400},
		{"chunks beyond the limit", post("/scim/v2/Users", "Transfer-Encoding: chunked\r\n", strings.Repeat("1000\r\n"+strings.Repeat(" ", 4096)+"\r\n", 40)), 413},
		{"a chunk that is none", post("/scim/v2/Users", "Transfer-Encoding: chunked\r\n", "xyz\r\n"), 400},
		{"an unknown coding", post("/scim/v2/Users", "Transfer-Encoding: gzip\r\n", user), 501},
		{"chunks", post("/scim/v2/Users", "Transfer-Encoding: chunked\r\n", "10\r\n"+user+"\r\n0\r\n\r\n"), 201},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", web.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			go func() {
				_, _ = io.WriteString(conn, c.send) // The server may have had enough of it.
				if c.name == "a length that is too long" || c.name == "chunks without an end" {
					_ = conn.(*net.TCPConn).CloseWrite() // Elsewhere it would look as if nobody waited for the answer.
				}
			}()
			method, _, _ := strings.Cut(c.send, " ")
			res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, _ := io.ReadAll(res.Body)
			if res.StatusCode != c.status {
				t.Errorf("got %d, want %d: %s", res.StatusCode, c.status, body)
			}
			if strings.Contains(string(body), "evil") || strings.Contains(res.Header.Get("Location"), "evil") || res.Header.Get("Set-Cookie") != "" {
				t.Errorf("the answer repeats what it was asked by: %v %s", res.Header, body)
			}
			// What net/http refuses by itself is plain text.
			if ours := res.Header.Get("Content-Type") == scim.MediaType; ours && res.StatusCode >= 400 {
				if o, err := scim.ReadObject(body, scim.Limits{}); err != nil || len(o.Texts("schemas")) != 1 {
					t.Errorf("not a SCIM error: %s", body)
				}
			}
		})
	}
	r.do("GET", "/Users/"+id, "").want(200)
}
