package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"dirsync"
	"dirsync/scim"
	"dirsync/scim/server"
)

func TestHostileBodies(t *testing.T) {
	r := newRig(t, func(c *server.Config) { c.Limits.Body = 100_000 })
	id := r.user("anna")
	g := r.group("g", id)
	long := strings.Repeat("x", 2000)
	for _, c := range []struct {
		name, method, path, body, scimType string
		status                             int
	}{
		{"no JSON", "POST", "/Users", `<xml/>`, "invalidSyntax", 400}, {"cut off", "POST", "/Users", `{'userName':'a`, "invalidSyntax", 400}, {"empty", "POST", "/Users", "", "invalidSyntax", 400},
		{"a list", "POST", "/Users", `[]`, "invalidSyntax", 400}, {"null", "POST", "/Users", `null`, "invalidSyntax", 400}, {"two values", "POST", "/Users", `{}{}`, "invalidSyntax", 400},
		{"deep", "POST", "/Users", strings.Repeat(`{'a':`, 5000) + "1" + strings.Repeat("}", 5000), "invalidSyntax", 400}, {"a name twice", "POST", "/Users", `{'userName':'a','USERNAME':'b'}`, "invalidSyntax", 400},
		{"not UTF-8", "POST", "/Users", "{'userName':'a\xff'}", "invalidSyntax", 400}, {"half a pair", "POST", "/Users", `{'userName':'\ud800'}`, "invalidSyntax", 400},
		{"large", "POST", "/Users", `{'userName':'` + strings.Repeat("x", 200_000) + `'}`, "", 413},
		{"no name", "POST", "/Users", `{}`, "invalidValue", 400}, {"null name", "POST", "/Users", `{'userName':null}`, "invalidValue", 400}, {"empty name", "POST", "/Users", `{'userName':''}`, "invalidValue", 400},
		{"blank name", "POST", "/Users", `{'userName':' \t'}`, "invalidValue", 400}, {"a name that is a number", "POST", "/Users", `{'userName':5}`, "", 201}, {"a name that is an object", "POST", "/Users", `{'userName':{}}`, "invalidValue", 400},
		{"long name", "POST", "/Users", `{'userName':'` + long + `'}`, "invalidValue", 400}, {"long externalId", "POST", "/Users", `{'userName':'b','externalId':'` + long + `'}`, "invalidValue", 400},
		{"long address", "POST", "/Users", `{'userName':'b','emails':[{'value':'` + long + `'}]}`, "invalidValue", 400}, {"many addresses", "POST", "/Users", `{'userName':'b','emails':[` + strings.TrimSuffix(many(101, `{'value':'%d@x'},`), ",") + `]}`, "invalidValue", 400},
		{"a bad address", "POST", "/Users", `{'userName':'b','emails':[{'type':'work','value':'not an address'}]}`, "invalidValue", 400},
		{"control character", "POST", "/Users", `{'userName':'b','name':{'givenName':'a\u0000b'}}`, "invalidValue", 400},
		{"emails as text", "POST", "/Users", `{'userName':'c','emails':'c@x.org'}`, "", 201}, {"active as a number", "POST", "/Users", `{'userName':'d','active':1}`, "invalidValue", 400},
		{"a long reference", "POST", "/Users", `{'userName':'d','manager':'` + long + `'}`, "invalidValue", 400},
		{"no name of a group", "POST", "/Groups", `{}`, "invalidValue", 400}, {"members as text", "POST", "/Groups", `{'displayName':'m','members':'x'}`, "invalidValue", 400},
		{"a member without value", "POST", "/Groups", `{'displayName':'m','members':[{'type':'User'}]}`, "invalidValue", 400}, {"a member of many letters", "POST", "/Groups", `{'displayName':'m','members':[{'value':'` + long + `'}]}`, "invalidValue", 400},
		{"members: null", "POST", "/Groups", `{'displayName':'n','members':null}`, "", 201},
		{"too many operations", "PATCH", "/Users/" + id, patch(strings.TrimSuffix(many(1001, `{'op':'add','path':'title','value':'%d'},`), ",")), "tooMany", 413},
		{"a bad path", "PATCH", "/Groups/" + g, patch(`{'op':'add','path':'members[','value':'x'}`), "invalidPath", 400}, {"a path that is a number", "PATCH", "/Users/" + id, patch(`{'op':'add','path':5,'value':'x'}`), "invalidPath", 400},
		{"members of nothing", "PATCH", "/Groups/" + g, patch(`{'op':'remove','path':'members[noSuch eq \"x\"]'}`), "", 200}, {"a filter of members", "PATCH", "/Groups/" + g, patch(`{'op':'remove','path':'members[type gt true]'}`), "invalidFilter", 400},
		{"a search that is none", "POST", "/Users/.search", `{'filter':5}`, "invalidValue", 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := r.do(c.method, c.path, c.body)
			a.t = t
			if a.want(c.status, c.scimType); a.status >= 400 {
				if detail, _ := a.body.Text("detail"); detail == "" || strings.Contains(detail, "xxxxx") {
					t.Errorf("detail %q", detail)
				}
			}
		})
	}
	for _, c := range []struct {
		header string
		status int
	}{
		{"Content-Type: text/html", 415}, {"Content-Type: application/x-www-form-urlencoded", 415}, {"Content-Type: application/json; charset=iso-8859-1", 415}, {"Content-Type: ;;", 415}, {"Content-Encoding: gzip", 415},
		{"Content-Type: application/json; charset=UTF-8", 400}, {"Content-Type: Application/SCIM+JSON;charset=utf-8", 400}, {"Content-Encoding: identity", 400}, {"Content-Type: ", 400},
	} {
		r.do("POST", "/Users", `{'title':'x'}`, c.header).want(c.status)
	}
}

func many(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func TestRate(t *testing.T) {
	r := newRig(t, func(c *server.Config) { c.Limits.Rate, c.Limits.Burst = 10, 5 })
	for range 5 {
		r.do("GET", "/Users", "").want(200)
	}
	a := r.do("GET", "/Users", "").want(429)
	if got := a.header.Get("Retry-After"); got != "1" {
		t.Errorf("Retry-After %q", got)
	}
	r.do("GET", "/Users", "", "Authorization: Bearer only users:read").want(200) // another token
	r.pass(100 * time.Millisecond)
	r.do("GET", "/Users", "").want(200)
	r.do("GET", "/Users", "").want(429)
	r.pass(time.Minute)
	// The operations of a bulk request count.
	ops := strings.TrimSuffix(many(40, `{'method':'DELETE','path':'/Users/x%d'},`), ",")
	r.do("POST", "/Bulk", bulkOf(0, ops)).want(200)
	if got := r.do("GET", "/Users", "").want(429).header.Get("Retry-After"); got != "4" {
		t.Errorf("Retry-After %q", got)
	}
	r.pass(4 * time.Second)
	r.do("POST", "/Bulk", bulkOf(0, ops)).want(200)
}

// TestStoreFails meets every error of a store in every method.
func TestStoreFails(t *testing.T) {
	r := newRig(t)
	id := r.user("anna")
	g := r.group("g", id)
	for _, c := range []struct {
		err    error
		status int
	}{
		{errDisk, 500}, {&dirsync.Error{Op: "x", Kind: dirsync.Unavailable}, 503}, {&dirsync.Error{Op: "x", Kind: dirsync.Locked}, 503}, {errors.New("secret-in-text"), 500},
		{&dirsync.Error{Op: "x", Kind: dirsync.Corrupt}, 500}, {context.DeadlineExceeded, 503}, {&dirsync.Error{Op: "x", Kind: dirsync.Permission}, 403},
	} {
		r.store.fail = func(string) error { return c.err }
		for _, q := range []struct{ method, path, body string }{
			{"GET", "/Users", ""}, {"GET", "/Users/" + id, ""}, {"GET", "/Users?filter=userName+eq+%22a%22", ""}, {"GET", "/Users?filter=title+pr", ""}, {"GET", "/Users?sortBy=userName", ""},
			{"POST", "/Users", `{'userName':'b'}`}, {"POST", "/Users", `{'userName':'b','externalId':'x'}`}, {"POST", "/Users", withManager("b", "x")}, {"PUT", "/Users/" + id, `{'userName':'b'}`},
			{"PATCH", "/Users/" + id, patch(`{'op':'add','path':'title','value':'x'}`)}, {"DELETE", "/Users/" + id, ""}, {"GET", "/Groups/" + g, ""}, {"GET", "/Groups?filter=members+eq+%22x%22", ""},
			{"PATCH", "/Groups/" + g, patch(`{'op':'add','path':'members','value':[{'value':'` + id + `'}]}`)},
		} {
			a := r.do(q.method, q.path, q.body).want(c.status)
			if strings.Contains(a.text, "secret") || strings.Contains(a.text, "device") {
				t.Errorf("the answer says too much: %s", a.text)
			}
			if (c.status == 503) != (a.header.Get("Retry-After") != "") {
				t.Errorf("Retry-After %q with %d", a.header.Get("Retry-After"), c.status)
			}
		}
	}
	// Fails in the middle of an answer.
	r.store.fail = func(op string) error {
		if op == "read members" || op == "read groups" {
			return errDisk
		}
		return nil
	}
	r.do("GET", "/Groups/"+g, "").want(500)
	r.do("GET", "/Users/"+id, "").want(500)
	r.do("GET", "/Users", "").want(500)
	r.store.fail = nil
	r.do("GET", "/Users/"+id, "").want(200)
}

// TestPanic: nothing that panics ends the program, or says what a client has sent.
func TestPanic(t *testing.T) {
	var logged bytes.Buffer
	r := newRig(t, func(c *server.Config) { c.Log = zerolog.New(&logged) })
	id := r.user("anna")
	r.store.fail = func(string) error { panic("with the value hunter2") }
	r.do("GET", "/Users/"+id, "").want(500)
	r.store.mu.Unlock() // as the panic left it
	r.store.fail = nil
	if e := r.last(); e.Status != 500 {
		t.Errorf("event %+v", e)
	}
	if text := logged.String(); !strings.Contains(text, "panic") || !strings.Contains(text, "server_test") || strings.Contains(text, "hunter2") {
		t.Errorf("logged %s", text)
	}
	r.do("GET", "/Users/"+id, "").want(200)
}

// TestSecrets sends what must not be repeated, in every place there is, and looks for it in answers to others, events and
// the log.
func TestSecrets(t *testing.T) {
	var logged bytes.Buffer
	r := newRig(t, func(c *server.Config) { c.Log = zerolog.New(&logged).Level(zerolog.TraceLevel) })
	const secret = "hunter2correcthorse"
	id := r.user("anna")
	var answers strings.Builder
	for _, q := range []struct{ method, path, body string }{
		{"POST", "/Users", `{'userName':'b','password':'` + secret + `'}`}, {"POST", "/Users", `{'userName':'b','active':'` + secret + `'}`},
		{"PATCH", "/Users/" + id, patch(`{'op':'replace','path':'password','value':'` + secret + `'}`)}, {"PATCH", "/Users/" + id, patch(`{'op':'replace','path':'active','value':'` + secret + `'}`)},
		{"PATCH", "/Users/" + id, patch(`{'op':'replace','path':'emails[type eq \"` + secret + `\"].value','value':'x'}`)}, {"PUT", "/Users/" + id, `{'userName':'anna','password':'` + secret + `'}`},
		{"PATCH", "/Users/" + id, patch(`{'op':'replace','path':'` + acmeURN + `:Office','value':'` + secret + `'}`)}, {"PATCH", "/Users/" + id, patch(`{'op':'replace','path':'` + acmeURN + `:Joined','value':'` + secret + `'}`)},
		{"GET", "/Users?filter=" + url.QueryEscape(`password eq "`+secret+`"`), ""}, {"GET", "/Users?filter=" + url.QueryEscape(`active gt "`+secret+`"`), ""}, {"POST", "/Users", `{` + secret},
	} {
		a := r.do(q.method, q.path, q.body)
		answers.WriteString(a.text)
	}
	for _, header := range []string{"Bearer " + secret, "Basic " + secret} {
		answers.WriteString(r.do("GET", "/Users", "", "Authorization: "+header).want(401).text)
	}
	r.store.fail = func(string) error { return errDisk }
	answers.WriteString(r.do("POST", "/Users", `{'userName':'c','title':'`+secret+`'}`).want(500).text)
	r.store.fail = nil
	events, err := json.Marshal(r.events)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"an answer": answers.String(), "the log": logged.String(), "an event": string(events)} {
		if strings.Contains(text, secret) {
			t.Errorf("%s has the secret: %s", name, text)
		}
	}
	if kept, _ := r.store.get(dirsync.KindUser, id); strings.Contains(string(kept.Document), secret) {
		t.Error("the password is kept")
	}
	if !strings.Contains(logged.String(), "no space left") {
		t.Errorf("the log does not say why: %s", logged.String())
	}
}

// TestTimeout: a store that does not answer is not waited for.
func TestTimeout(t *testing.T) {
	r := newRig(t, func(c *server.Config) { c.Store, c.Limits.Timeout = waits{newMemory()}, 20*time.Millisecond })
	a := r.do("GET", "/Users/u00000001", "").want(503)
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

// waits is a store that never answers a look-up by id.
type waits struct{ *memory }

func (w waits) Resource(ctx context.Context, _ dirsync.Kind, _ string) (dirsync.Resource, error) {
	<-ctx.Done()
	return dirsync.Resource{}, ctx.Err()
}

func TestBadConfig(t *testing.T) {
	field := func(typ dirsync.Type, path string) server.FieldPath {
		return server.FieldPath{Field: dirsync.Field{Name: "f", Type: typ, Options: []string{"a"}}, Path: path}
	}
	for _, c := range []struct {
		name, want string
		fields     []server.FieldPath
	}{
		{"unknown attribute", "needs a schema", []server.FieldPath{field(dirsync.Text, "colour")}},
		{"unknown type", "use one of", []server.FieldPath{field("words", "title")}},
		{"own attribute", "not for a field to fill", []server.FieldPath{field(dirsync.Text, "externalId")}},
		{"groups", "not for a field to fill", []server.FieldPath{field(dirsync.TextList, "groups")}},
		{"several values", "select one", []server.FieldPath{field(dirsync.Text, "emails.value")}},
		{"one value", "cannot hold a list", []server.FieldPath{field(dirsync.TextList, "title")}},
		{"parts", "has parts", []server.FieldPath{field(dirsync.Text, "name")}},
		{"brackets", "comparisons with eq", []server.FieldPath{field(dirsync.Text, `emails[type ne "work"].value`)}},
		{"brackets in a schema", "attributes of the standard only", []server.FieldPath{field(dirsync.Text, `urn:x:y:z:User:a[type eq "b"].value`)}},
		{"twice", "both kept in", []server.FieldPath{field(dirsync.Text, "title"), {Field: dirsync.Field{Name: "g", Type: dirsync.Text}, Path: "TITLE"}}},
		{"two types", "is both", []server.FieldPath{field(dirsync.Text, "title"), field(dirsync.Number, "nickName")}},
		{"format", "format", []server.FieldPath{{Field: dirsync.Field{Name: "d", Type: dirsync.Date, Format: "DD/MM"}, Path: "title"}}},
		{"no options", "no options", []server.FieldPath{{Field: dirsync.Field{Name: "d", Type: dirsync.Choice}, Path: "title"}}},
		{"no name", "cannot be called", []server.FieldPath{{Path: "title"}}},
		{"bad name in a schema", "is not a name", []server.FieldPath{field(dirsync.Text, "urn:x:y:z:User:Employee type")}},
		{"no URN", "is not a URN", []server.FieldPath{field(dirsync.Text, "kissflow:User:a")}},
		{"the same in a schema", "given twice", []server.FieldPath{field(dirsync.Text, "urn:x:y:z:User:a"), {Field: dirsync.Field{Name: "g", Type: dirsync.Text}, Path: "urn:x:y:z:User:a"}}},
		{"a path that is none", "invalidPath", []server.FieldPath{field(dirsync.Text, "title[")}},
	} {
		_, err := server.New(server.Config{Store: newMemory(), Authenticate: authenticate, Fields: c.fields})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for _, url := range []string{"people.example", "ftp://x/y", "https://user:secret@x/y", "https://x/?q", "https://"} {
		if _, err := server.New(server.Config{Store: newMemory(), Authenticate: authenticate, URL: url}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", url, err)
		}
	}
	if _, err := server.New(server.Config{}); err == nil {
		t.Error("a server without a store")
	}
	s, err := server.New(server.Config{Store: newMemory(), Authenticate: authenticate, Fields: []server.FieldPath{
		field(dirsync.TextList, "roles"), {Field: dirsync.Field{Name: "p", Type: dirsync.Text}, Path: "urn:x:y:z:User:home.city"}, {Field: dirsync.Field{Name: "q", Type: dirsync.Text}, Path: "urn:x:y:z:User:home.street"}}})
	if err != nil || len(s.Fields()) != 3 {
		t.Errorf("%v, %v", s, err)
	}
}

// FuzzRequests hands the server raw requests. It may refuse them, and nothing else may happen.
func FuzzRequests(f *testing.F) {
	for _, seed := range []struct{ method, target, body string }{
		{"GET", "/scim/v2/Users?filter=userName+eq+%22anna%22&cursor=&count=1", ""}, {"POST", "/scim/v2/Users", `{"userName":"b"}`}, {"PATCH", "/scim/v2/Groups/g00000001", `{"Operations":[{"op":"Remove","path":"members","value":[{"value":"u00000001"}]}]}`},
		{"PUT", "/scim/v2/Users/u00000001", `{"userName":"c","active":"False"}`}, {"POST", "/scim/v2/Bulk", `{"Operations":[{"method":"POST","bulkId":"x","path":"/Users","data":{"userName":"bulkId:x"}}]}`},
		{"POST", "/scim/v2/.search", `{"filter":"members pr","sortBy":"name.givenName","attributes":["members"]}`}, {"GET", "/scim/?aad/Schemas/urn%3Aietf", ""}, {"DELETE", "/scim/v2/Groups/g00000001", ""}, {"GET", "//%2f/Users/;x?%00", ""},
		{"PATCH", "/scim/v2/Users/u00000001", `{"Operations":[{"op":"Add","path":"urn:kissflow:scim:schemas:extension:Ac 12.x:2:User.Joined","value":"06/06/2019"}]}`},
	} {
		f.Add(seed.method, seed.target, seed.body)
	}
	f.Fuzz(func(t *testing.T, method, target, body string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || method == "" {
			t.Skip("not a request that a server would see")
		}
		r := newRig(t)
		r.group("g", r.user("anna"))
		req := &http.Request{Method: method, URL: u, Host: "people.example", Header: http.Header{"Authorization": {"Bearer all"}, "Content-Type": {scim.MediaType}}, Body: httptest.NewRequest("POST", "/", strings.NewReader(body)).Body, ContentLength: int64(len(body))}
		a := r.serve(req)
		if a.status < 200 || a.status > 599 || a.status == 500 {
			t.Errorf("%s %s: %d %s", method, target, a.status, a.text)
		}
		if a.status >= 400 && method != "HEAD" && a.text == "" {
			t.Errorf("%s %s: %d without a body", method, target, a.status)
		}
		// Whatever it was, the server still works.
		r.do("GET", "/Users", "").want(200)
	})
}
