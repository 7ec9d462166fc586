package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dirsync"
	"dirsync/scim"
	"dirsync/scim/server"
)

const base = "https://people.example/scim/v2"

// rig is a server with all that a test needs around it.
type rig struct {
	t      testing.TB
	store  *memory
	server *server.Server

	mu     sync.Mutex
	now    time.Time
	events []server.Event
}

// noon is when tests begin.
func noon() time.Time { return time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC) }

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *rig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

// last is the latest event.
func (r *rig) last() server.Event {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.events) == 0 {
		r.t.Fatal("there was no event")
	}
	return r.events[len(r.events)-1]
}

// authenticate knows the token "all", and tokens that name their scopes.
func authenticate(_ context.Context, token string) (server.Principal, error) {
	switch token {
	case "all":
		return server.Principal{Name: "entra", Scopes: server.Scopes()}, nil
	case "broken":
		return server.Principal{}, &dirsync.Error{Op: "read tokens", Kind: dirsync.Storage, Err: errors.New("disk")}
	}
	if scopes, ok := strings.CutPrefix(token, "only "); ok {
		p := server.Principal{Name: scopes}
		for s := range strings.FieldsSeq(scopes) {
			p.Scopes = append(p.Scopes, server.Scope(s))
		}
		return p, nil
	}
	return server.Principal{}, errors.New("unknown token " + token)
}

const acmeURN = "urn:kissflow:scim:schemas:extension:Ac 12.x:2:User"

// acmeFields are the three of everybody, the enterprise manager, and one field of each type under a URN whose account id
// holds a space and a dot.
func acmeFields() []server.FieldPath {
	fields := server.DefaultFields()
	add := func(f dirsync.Field, path string) { fields = append(fields, server.FieldPath{Field: f, Path: path}) }
	add(dirsync.Field{Name: "manager", Type: dirsync.Reference}, scim.EnterpriseURN+":manager")
	add(dirsync.Field{Name: "boss", Type: dirsync.Reference}, acmeURN+":Boss_1")
	add(dirsync.Field{Name: "department", Type: dirsync.Text, MaxLength: 20}, acmeURN+":Department")
	add(dirsync.Field{Name: "level", Label: "Level", Type: dirsync.Number, Unique: true}, acmeURN+":Level")
	add(dirsync.Field{Name: "salary", Type: dirsync.Currency}, acmeURN+":Salary")
	add(dirsync.Field{Name: "joining_date", Type: dirsync.Date, Format: "DD/MM/YYYY"}, acmeURN+":Joined")
	add(dirsync.Field{Name: "seen", Type: dirsync.DateTime}, acmeURN+":Seen")
	add(dirsync.Field{Name: "remote", Type: dirsync.Boolean}, acmeURN+":Remote")
	add(dirsync.Field{Name: "office", Type: dirsync.Choice, Options: []string{"Berlin", "Chennai"}}, acmeURN+":Office")
	add(dirsync.Field{Name: "phone", Type: dirsync.Phone}, acmeURN+":Phone")
	add(dirsync.Field{Name: "tags", Type: dirsync.TextList}, acmeURN+":Tags")
	return fields
}

func newRig(t testing.TB, change ...func(*server.Config)) *rig {
	t.Helper()
	r := &rig{t: t, store: newMemory(), now: noon()}
	r.store.now = r.clock
	r.store.twice = true
	c := server.Config{Store: r.store, Authenticate: authenticate, Fields: acmeFields(), URL: base, Now: r.clock,
		Limits: server.Limits{Rate: -1},
		Observe: func(e server.Event) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.events = append(r.events, e)
		}}
	for _, fn := range change {
		fn(&c)
	}
	s, err := server.New(c)
	if err != nil {
		t.Fatal(err)
	}
	r.server = s
	return r
}

// response is an answer, with its body read.
type response struct {
	t      testing.TB
	status int
	header http.Header
	text   string
	body   *scim.Object
}

// do sends a request. In the body single quotes stand for double ones. Headers come as "Name: value".
func (r *rig) do(method, path, body string, headers ...string) response {
	r.t.Helper()
	req := httptest.NewRequest(method, base+path, strings.NewReader(strings.ReplaceAll(body, "'", `"`)))
	req.Header.Set("Authorization", "Bearer all")
	if body != "" {
		req.Header.Set("Content-Type", scim.MediaType)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	return r.serve(req)
}

func (r *rig) serve(req *http.Request) response {
	r.t.Helper()
	w := httptest.NewRecorder()
	r.server.ServeHTTP(w, req)
	a := response{t: r.t, status: w.Code, header: w.Header(), text: w.Body.String()}
	if a.text != "" {
		o, err := scim.ReadObject(w.Body.Bytes(), scim.Limits{})
		if err != nil {
			r.t.Fatalf("%s %s: the answer is not JSON: %v\n%s", req.Method, req.URL, err, a.text)
		}
		a.body = o
		if got := a.header.Get("Content-Type"); got != scim.MediaType {
			r.t.Errorf("%s %s: Content-Type %q, want %q", req.Method, req.URL, got, scim.MediaType)
		}
	}
	if meta := a.body.Object("meta"); a.status < 300 && meta != nil {
		version, versioned := meta.Text("version")
		location, _ := meta.Text("location")
		if got := a.header.Get("ETag"); versioned && (got != version || !strings.HasPrefix(version, `W/"`)) {
			r.t.Errorf("%s %s: ETag %s, meta.version %s", req.Method, req.URL, got, version)
		}
		if got := a.header.Get("Location"); got != location && (got != "" || a.status == http.StatusCreated) || !strings.Contains(location, "://") {
			r.t.Errorf("%s %s: Location %q, meta.location %q", req.Method, req.URL, got, location)
		}
	}
	if a.status >= 400 && a.text != "" {
		if got, _ := a.body.Text("status"); got != fmt.Sprint(a.status) || !slices.Contains(a.body.Texts("schemas"), scim.ErrorURN) {
			r.t.Errorf("%s %s: not a SCIM error: %s", req.Method, req.URL, a.text)
		}
	}
	return a
}

// want checks the status and, for an error, the scimType.
func (a response) want(status int, scimType ...string) response {
	a.t.Helper()
	got := ""
	if a.body != nil {
		got, _ = a.body.Text("scimType")
	}
	if a.status != status || len(scimType) > 0 && got != scimType[0] {
		a.t.Fatalf("got %d %s, want %d %v\n%s", a.status, got, status, scimType, a.text)
	}
	return a
}

// at returns what is at a path of names and numbers with dots between them; a URN with dots stands in <>.
func (a response) at(path string) any {
	var v any = a.body
	for path != "" {
		var name string
		if rest, ok := strings.CutPrefix(path, "<"); ok {
			name, path, _ = strings.Cut(rest, ">")
			path = strings.TrimPrefix(path, ".")
		} else {
			name, path, _ = strings.Cut(path, ".")
		}
		switch in := v.(type) {
		case *scim.Object:
			v, _ = in.Get(name)
		case []any:
			n := 0
			if _, err := fmt.Sscan(name, &n); err != nil || n >= len(in) {
				return nil
			}
			v = in[n]
		default:
			return nil
		}
	}
	return v
}

// has checks what is at a path, as JSON with single quotes; "" is nothing.
func (a response) has(path, want string) response {
	a.t.Helper()
	if got := text(a.t, a.at(path)); got != want {
		a.t.Errorf("%s: got %s, want %s\n%s", path, got, want, a.text)
	}
	return a
}

func text(t testing.TB, v any) string {
	t.Helper()
	if v == nil {
		return ""
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), `"`, "'")
}

func (a response) id() string {
	a.t.Helper()
	id, _ := a.body.Text("id")
	if id == "" {
		a.t.Fatalf("no id: %s", a.text)
	}
	return id
}

// user makes a user and returns the id.
func (r *rig) user(name string) string {
	r.t.Helper()
	return r.do("POST", "/Users", `{'schemas':['`+scim.UserURN+`'],'userName':'`+name+`'}`).want(201).id()
}

// group makes a group with members and returns the id.
func (r *rig) group(name string, members ...string) string {
	r.t.Helper()
	list := make([]string, len(members))
	for i, id := range members {
		list[i] = `{'value':'` + id + `'}`
	}
	return r.do("POST", "/Groups", `{'schemas':['`+scim.GroupURN+`'],'displayName':'`+name+`','members':[`+strings.Join(list, ",")+`]}`).want(201).id()
}

// patch makes the body of a PATCH.
func patch(operations string) string {
	return `{'schemas':['` + scim.PatchURN + `'],'Operations':[` + operations + `]}`
}

// names are the userNames or displayNames of a list, sorted.
func (a response) names() string {
	a.t.Helper()
	var out []string
	for _, v := range a.body.List("Resources") {
		o, _ := v.(*scim.Object)
		name, ok := o.Text("userName")
		if !ok {
			name, _ = o.Text("displayName")
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestUserLife(t *testing.T) {
	r := newRig(t)
	made := r.do("POST", "/Users", `{'schemas':['urn:ietf:params:scim:schemas:core:2.0:User'],'externalId':'bjensen','userName':'bjensen',
		'name':{'formatted':'Ms. Barbara J Jensen III','familyName':'Jensen','givenName':'Barbara'}}`).want(201)
	id := made.id()
	made.has("meta.resourceType", "'User'").has("meta.created", "'2026-03-04T12:00:00Z'").has("meta.lastModified", "'2026-03-04T12:00:00Z'").
		has("meta.location", "'"+base+"/Users/"+id+"'").has("active", "true").has("name.familyName", "'Jensen'").
		has("schemas", "['urn:ietf:params:scim:schemas:core:2.0:User']")
	if got := made.header.Get("Location"); got != base+"/Users/"+id {
		t.Errorf("Location %q", got)
	}
	if got, want := made.header.Get("ETag"), text(t, made.at("meta.version")); "'"+got+"'" != strings.ReplaceAll(want, `\'`, `"`) {
		t.Errorf("ETag %s, meta.version %s", got, want)
	}
	kept, _ := r.store.get(dirsync.KindUser, id)
	if first, _ := kept.Values.Get(dirsync.FirstName); first.Text != "Barbara" || kept.Name != "bjensen" || kept.ExternalID != "bjensen" {
		t.Errorf("kept %+v", kept)
	}
	if got := r.do("GET", "/Users/"+id, "").want(200); got.text != made.text {
		t.Errorf("GET answers %s\nPOST answered %s", got.text, made.text)
	}
	r.pass(time.Minute)
	r.do("PUT", "/Users/"+id, `{'userName':'bjensen','id':'other','title':'Chief','emails':[{'value':'b@example.com','type':'work'}]}`).want(200).
		has("id", "'"+id+"'").has("title", "'Chief'").has("name", "").has("externalId", "").has("meta.lastModified", "'2026-03-04T12:01:00Z'")
	r.do("PATCH", "/Users/"+id, patch(`{'op':'replace','path':'active','value':false}`)).want(200).has("active", "false")
	if kept, _ = r.store.get(dirsync.KindUser, id); kept.Active || !slices.Equal(kept.Emails, []string{"b@example.com"}) {
		t.Errorf("kept %+v", kept)
	}
	r.do("GET", "/Users/"+id, "").want(200).has("active", "false")
	r.do("DELETE", "/Users/"+id, "").want(204)
	for _, method := range []string{"GET", "DELETE"} {
		r.do(method, "/Users/"+id, "").want(404)
	}
	r.do("PUT", "/Users/"+id, `{'userName':'bjensen'}`).want(404)
	r.do("PATCH", "/Users/"+id, patch(`{'op':'replace','path':'active','value':true}`)).want(404)
	r.user("bjensen")
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}
