package server_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"dirsync"
	"dirsync/scim"
	"dirsync/scim/server"
)

// TestTogether has 64 clients do the same at once: one name makes one user, and no membership and no attribute is lost.
func TestTogether(t *testing.T) {
	r := newRig(t)
	const n = 64
	users := make([]string, n)
	for i := range users {
		users[i] = r.user(fmt.Sprint("user", i))
	}
	group := r.group("g", users[:n/2]...)
	var made, conflicts atomic.Int32
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			a := r.do("POST", "/Users", fmt.Sprintf(`{'userName':'%s'}`, [2]string{"Same", "sAME"}[i%2]))
			switch a.status {
			case 201:
				made.Add(1)
			case 409:
				conflicts.Add(1)
			}
			op := fmt.Sprintf(`{'op':'Add','path':'members','value':[{'value':'%s'}]}`, users[i])
			if i < n/2 {
				op = fmt.Sprintf(`{'op':'Remove','path':'members','value':[{'value':'%s'}]}`, users[i])
			}
			if a := r.do("PATCH", "/Groups/"+group, patch(op)); a.status != 200 {
				t.Errorf("PATCH %d: %s", a.status, a.text)
			}
			if a := r.do("PATCH", "/Users/"+users[0], patch(fmt.Sprintf(`{'op':'Add','path':'entitlements','value':[{'value':'e%d'}]}`, i))); a.status != 200 {
				t.Errorf("PATCH %d: %s", a.status, a.text)
			}
		})
	}
	all.Wait()
	if made.Load() != 1 || conflicts.Load() != n-1 {
		t.Errorf("%d made, %d conflicts", made.Load(), conflicts.Load())
	}
	a := r.do("GET", "/Groups/"+group, "").want(200)
	got := map[string]bool{}
	for _, v := range a.body.List("members") {
		o, _ := v.(*scim.Object)
		id, _ := o.Text("value")
		got[id] = true
	}
	for i, id := range users {
		if got[id] != (i >= n/2) {
			t.Errorf("user %d: member %v", i, got[id])
		}
	}
	if list := r.do("GET", "/Users/"+users[0], "").want(200).body.List("entitlements"); len(list) != n {
		t.Errorf("%d entitlements", len(list))
	}
}

// TestLargeGroup: a group of 50,000 is changed without reading its members, and read without having it in memory.
func TestLargeGroup(t *testing.T) {
	r := newRig(t)
	r.store.twice = false
	const n = 50_000
	ids := make([]string, n)
	for i := range ids {
		ids[i] = r.store.add(resourceOf(i)).ID
	}
	group := r.group("large", ids...)
	r.store.members = 0
	for _, op := range []string{
		`{'op':'Remove','path':'members','value':[{'$ref':null,'value':'` + ids[7] + `'}]}`, quoted(`{'op':'remove','path':'members[value eq \'` + ids[8] + `\']'}`),
		`{'op':'Add','path':'members','value':[{'$ref':null,'value':'` + ids[7] + `'}]}`, `{'op':'Replace','path':'displayName','value':'still large'}`,
	} {
		a := r.do("PATCH", "/Groups/"+group, patch(op)).want(204)
		if a.header.Get("ETag") == "" || a.text != "" {
			t.Errorf("answered %q, %v", a.text, a.header)
		}
		r.do("PATCH", "/Groups/"+group+"?excludedAttributes=members", patch(op)).want(200)
	}
	// The answer looks at no more than it could show.
	if r.store.members > 4*1001 {
		t.Errorf("%d members were read", r.store.members)
	}
	r.store.members = 0
	r.do("GET", "/Groups/"+group+"?excludedAttributes=members", "").want(200)
	r.do("GET", "/Groups?excludedAttributes=members", "").want(200)
	r.do("GET", "/Groups?filter=id+eq+%22"+group+"%22+and+members+eq+%22"+ids[8]+"%22&attributes=id", "").want(200).has("totalResults", "0")
	if r.store.members != 0 {
		t.Errorf("%d members were read", r.store.members)
	}
	if got := len(r.do("GET", "/Groups/"+group, "").want(200).body.List("members")); got != n-1 {
		t.Errorf("%d members, want %d", got, n-1)
	}
	if got := len(r.do("PATCH", "/Groups/"+group+"?attributes=members", patch(`{'op':'add','path':'externalId','value':'x'}`)).want(200).body.List("members")); got != n-1 {
		t.Errorf("%d members, want %d", got, n-1)
	}
	largest := 0
	w := &parts{header: http.Header{}, largest: &largest}
	req := httptest.NewRequest("GET", base+"/Groups/"+group, nil)
	req.Header.Set("Authorization", "Bearer all")
	r.server.ServeHTTP(w, req)
	if largest > 512<<10 || w.total < 4<<20 {
		t.Errorf("%d bytes were sent, %d at once", w.total, largest)
	}
}

// parts is a ResponseWriter that looks at how large the parts are.
type parts struct {
	header  http.Header
	largest *int
	total   int
}

func (p *parts) Header() http.Header { return p.header }
func (p *parts) WriteHeader(int)     {}
func (p *parts) Write(b []byte) (int, error) {
	*p.largest = max(*p.largest, len(b))
	p.total += len(b)
	return len(b), nil
}

// TestBrokenStream: when the store fails in the middle of a long answer, the client must see that it is not complete.
func TestBrokenStream(t *testing.T) {
	r := newRig(t)
	r.store.twice = false
	var ids []string
	for i := range 5000 {
		ids = append(ids, r.store.add(resourceOf(i)).ID)
	}
	group := r.group("g", ids...)
	calls := 0
	r.store.fail = func(op string) error {
		if op == "read members" {
			if calls++; calls > 4 {
				return errDisk
			}
		}
		return nil
	}
	web := httptest.NewServer(r.server)
	defer web.Close()
	req, err := http.NewRequestWithContext(t.Context(), "GET", web.URL+"/scim/v2/Groups/"+group, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer all")
	res, err := web.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err == nil {
		t.Errorf("the answer looks complete: %d, %d bytes", res.StatusCode, len(body))
	}
}

// TestPatchModel: a PATCH by HTTP does what scim.Apply does to a model, for random patches of a user and of a group.
func TestPatchModel(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { patchModel(t, rand.New(rand.NewPCG(seed, 7))) })
	}
}

func patchModel(t *testing.T, random *rand.Rand) {
	r := newRig(t)
	var people []string
	for i := range 5 {
		people = append(people, r.user(fmt.Sprint("p", i)))
	}
	user := r.do("POST", "/Users", quoted(fullUser)).want(201)
	group := r.do("POST", "/Groups", `{'displayName':'g','externalId':'x'}`).want(201)
	models := map[string]*scim.Object{"/Users/" + user.id(): user.body, "/Groups/" + group.id(): group.body}
	types := map[string]*scim.ResourceType{}
	core := scim.User()
	acme := &scim.Schema{ID: acmeURN, Attributes: []scim.Attribute{{Name: "Department"}, {Name: "Level", Type: scim.Decimal}, {Name: "Remote", Type: scim.Boolean}, {Name: "Tags", MultiValued: true}}}
	types["/Users/"+user.id()], _ = scim.NewResourceType("User", "/Users", core, scim.Extension{Schema: scim.EnterpriseUser()}, scim.Extension{Schema: acme})
	named := scim.Group()
	named.Attributes[0].Required = true
	types["/Groups/"+group.id()], _ = scim.NewResourceType("Group", "/Groups", named)
	pick := func(list ...string) string { return list[random.IntN(len(list))] }
	member := func() string { return `{'value':'` + pick(people...) + `'}` }
	userOp := func() string {
		return pick(
			`{'op':'replace','path':'title','value':'`+pick("a", "b")+`'}`, `{'op':'Remove','path':'title'}`, `{'op':'add','path':'name','value':{'middleName':'`+pick("x", "y")+`'}}`, `{'op':'remove','path':'name.middleName'}`,
			`{'op':'Replace','path':'emails[type eq \'`+pick("work", "home", "other")+`\'].value','value':'`+pick("a@x.org", "b@x.org")+`'}`, `{'op':'remove','path':'emails[type eq \'`+pick("work", "home", "other")+`\']'}`,
			`{'op':'add','path':'emails','value':[{'value':'c@x.org','type':'other','primary':`+pick("true", "false")+`}]}`, `{'op':'Replace','path':'active','value':'`+pick("True", "False")+`'}`,
			`{'op':'add','value':{'nickName':'`+pick("n", "m")+`','name.givenName':'G','`+acmeURN+`:Level':`+pick("1", "2.50")+`}}`, `{'op':'replace','path':'`+acmeURN+`:Tags','value':['`+pick("a", "b")+`','c']}`,
			`{'op':'remove','path':'`+acmeURN+`:`+pick("Tags", "Level", "Remote")+`'}`, `{'op':'Add','path':'`+acmeURN+`.Remote','value':'`+pick("true", "False", "maybe")+`'}`, `{'op':'add','path':'phoneNumbers[type eq \'fax\'].value','value':'1'}`,
			`{'op':'replace','path':'addresses[type eq \'pager\'].locality','value':'x'}`, `{'op':'replace','path':'emails[type eq \'nope\'].value','value':'x'}`, `{'op':'remove','path':'emails'}`, `{'op':'replace','path':'displayName','value':`+pick("null", "'D'", "5")+`}`,
			`{'op':'add','path':'roles','value':[{'value':'`+pick("r", "s")+`'}]}`, `{'op':'Remove','path':'roles','value':[{'value':'r'}]}`, `{'op':'remove','path':'userName'}`, `{'op':'replace','path':'userName','value':'`+pick("new1", "new2")+`'}`)
	}
	groupOp := func() string {
		return pick(
			`{'op':'add','path':'members','value':[`+member()+`,`+member()+`]}`, `{'op':'Remove','path':'members','value':[`+member()+`]}`, `{'op':'remove','path':'members[value eq \'`+pick(people...)+`\']'}`,
			`{'op':'replace','path':'members','value':[`+member()+`]}`, `{'op':'remove','path':'members'}`, `{'op':'replace','value':{'members':[`+member()+`,`+member()+`],'externalId':'`+pick("y", "z")+`'}}`,
			`{'op':'replace','path':'displayName','value':'`+pick("g", "h")+`'}`, `{'op':'remove','path':'displayName'}`, `{'op':'remove','path':'externalId'}`, `{'op':'remove','path':'members[value eq \'`+pick(people...)+`\' or value eq \'`+pick(people...)+`\']'}`,
			`{'op':'add','path':'displayName','value':{}}`, `{'op':'remove','path':'members','value':[]}`)
	}
	for range 30 {
		path, op := "/Users/"+user.id(), userOp
		if random.IntN(2) == 0 {
			path, op = "/Groups/"+group.id(), groupOp
		}
		ops := op()
		for range random.IntN(3) {
			ops += "," + op()
		}
		body := quoted(patch(ops))
		wanted, err := applied(types[path], models[path], body)
		a := r.do("PATCH", path, body)
		if (err != nil) != (a.status != 200) {
			t.Fatalf("%s\nthe model says %v, the server %d %s", ops, err, a.status, a.text)
		}
		if err != nil {
			if got, _ := a.body.Text("scimType"); got != scim.AsError(err).SCIMType || a.status != scim.AsError(err).Status {
				t.Fatalf("%s\nthe model says %v, the server %d %s", ops, err, a.status, a.text)
			}
		} else {
			models[path] = wanted
		}
		got := r.do("GET", path, "").want(200)
		if x, y := normal(got.body), normal(models[path]); !scim.Equal(x, y) {
			t.Fatalf("%s\ngot  %s\nwant %s", ops, text(t, x), text(t, y))
		}
	}
}

func applied(kind *scim.ResourceType, o *scim.Object, body string) (*scim.Object, error) {
	read, err := scim.ReadObject([]byte(strings.ReplaceAll(body, "'", `"`)), scim.Limits{})
	if err != nil {
		return nil, err
	}
	p, _, err := kind.ParsePatch(read)
	if err != nil {
		return nil, err
	}
	out, _, err := kind.Apply(o, p)
	return out, err
}

// normal is a resource without what the server alone knows, and its members as a set.
func normal(o *scim.Object) *scim.Object {
	o = o.Clone()
	for _, name := range []string{"meta", "schemas", "groups"} {
		o.Delete(name)
	}
	ids := &scim.Object{}
	var list []string
	for _, v := range o.List("members") {
		m, _ := v.(*scim.Object)
		id, _ := m.Text("value")
		list = append(list, id)
	}
	for _, id := range sorted(list) {
		ids.Set(id, true)
	}
	o.Set("members", ids)
	return o
}

// TestServed goes through a real server and a real connection.
func TestServed(t *testing.T) {
	r := newRig(t, func(c *server.Config) { c.URL = "" })
	mux := http.NewServeMux()
	mux.Handle("/scim/v2/", r.server)
	web := httptest.NewServer(mux)
	defer web.Close()
	send := func(method, path, body string) (*http.Response, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, web.URL+"/scim/v2"+path, bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer all")
		req.Header.Set("Content-Type", "application/json; charset=utf-8")
		res, err := web.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(text)
	}
	res, _ := send("POST", "/Users", `{"userName":"anna"}`)
	if got := res.Header.Get("Location"); res.StatusCode != 201 || got != web.URL+"/scim/v2/Users/u00000001" {
		t.Errorf("%d, Location %s", res.StatusCode, got)
	}
	for _, path := range []string{"/Users/u00000001", "/Users", "/ServiceProviderConfig", "/Groups/x"} {
		get, body := send("GET", path, "")
		head, none := send("HEAD", path, "")
		if get.StatusCode != head.StatusCode || none != "" || head.Header.Get("Content-Type") != scim.MediaType || get.Header.Get("Content-Length") != strconv.Itoa(len(body)) {
			t.Errorf("%s: GET %d, HEAD %d %q, Content-Length %s of %d", path, get.StatusCode, head.StatusCode, none, get.Header.Get("Content-Length"), len(body))
		}
	}
	if res, body := send("DELETE", "/Users/u00000001", ""); res.StatusCode != 204 || body != "" {
		t.Errorf("DELETE %d %q", res.StatusCode, body)
	}
	if kept, ok := r.store.get(dirsync.KindUser, "u00000001"); ok {
		t.Errorf("kept %+v", kept)
	}
}
