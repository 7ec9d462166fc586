package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dirsync"
	"dirsync/dirsynctest"
	"dirsync/scim"
	"dirsync/scim/client"
	"dirsync/scim/scimtest"
	"dirsync/scim/server"
	"dirsync/store"
)

const houseToken = "house-token-7f3a"

// house is this project's own SCIM server over its own store.
type house struct {
	t         testing.TB
	server    http.Handler
	directory *store.Directory
	url       string
	// send is how clients reach it.
	send *http.Transport
}

// openHouse serves an empty directory: on this machine's network or, for a bubble of testing/synctest, whose clock stands
// still while somebody waits for a socket, through pipes in the process. Both speak HTTP.
func openHouse(t testing.TB, piped bool, change ...func(*server.Config)) *house {
	t.Helper()
	h := &house{t: t}
	st, err := store.Open(filepath.Join(t.TempDir(), "house.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	department := dirsync.Field{Name: "department", Type: dirsync.Text}
	if h.directory, err = st.Directory(department); err != nil {
		t.Fatal(err)
	}
	c := server.Config{Store: h.directory, Limits: server.Limits{Rate: -1},
		Fields: append(server.DefaultFields(), server.FieldPath{Field: department, Path: scim.EnterpriseURN + ":department"}),
		Authenticate: func(_ context.Context, token string) (server.Principal, error) {
			if token != houseToken {
				return server.Principal{}, errors.New("no such token")
			}
			return server.Principal{Name: "client", Scopes: server.Scopes()}, nil
		}}
	if piped {
		c.URL = "https://house.example/scim/v2"
	}
	for _, fn := range change {
		fn(&c)
	}
	if h.server, err = server.New(c); err != nil {
		t.Fatal(err)
	}
	stop := h.serve(piped)
	t.Cleanup(func() {
		h.send.CloseIdleConnections()
		stop()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func (h *house) serve(piped bool) (stop func()) {
	if !piped {
		web := httptest.NewServer(h.server)
		h.url, h.send = web.URL+"/scim/v2", web.Client().Transport.(*http.Transport)
		return web.Close
	}
	p := &pipes{made: make(chan net.Conn), closed: make(chan struct{})}
	web := &http.Server{Handler: h.server, ReadHeaderTimeout: time.Minute}
	var running sync.WaitGroup
	running.Go(func() { _ = web.Serve(p) }) // It ends with an error that says that it was closed.
	// Nobody listens in on a pipe, so that it needs no TLS.
	h.url, h.send = "https://house.example/scim/v2", &http.Transport{DialTLSContext: p.dial}
	return func() {
		_ = web.Close()
		running.Wait()
	}
}

// pipes is a network within the process.
type pipes struct {
	made   chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.made <- there:
		return here, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.made:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// Addr implements net.Listener.
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "house", Net: "pipe"} }

// client is a new one, as a new process has. Each of its requests is held against the rules of good clients.
func (h *house) client(change ...func(*client.Config)) *client.Client {
	h.t.Helper()
	cfg := client.Config{Name: "House", BaseURL: h.url, Token: houseToken, Fields: scimWorldFields(),
		Transport: scimtest.Watch(h.send, func(violation string) { h.t.Error(violation) }, houseToken)}
	cfg.Profile.PerSecond = 1e6
	for _, fn := range change {
		fn(&cfg)
	}
	c, err := client.New(cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// do sends a request past all clients and faults.
func (h *house) do(method, path, body string) *scim.Object {
	h.t.Helper()
	req := httptest.NewRequest(method, "http://house.example/scim/v2"+path, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+houseToken)
	w := httptest.NewRecorder()
	h.server.ServeHTTP(w, req)
	if w.Code >= http.StatusBadRequest {
		h.t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	if w.Body.Len() == 0 {
		return nil
	}
	o, err := scim.ReadObject(w.Body.Bytes(), scim.Limits{})
	if err != nil {
		h.t.Fatal(err)
	}
	return o
}

func (h *house) list(endpoint string) (out []*scim.Object) {
	h.t.Helper()
	for _, v := range h.do(http.MethodGet, endpoint+"?count=1000", "").List("Resources") {
		o, _ := v.(*scim.Object)
		out = append(out, o)
	}
	return out
}

// Users implements application.
func (h *house) Users() []*scim.Object { return h.list("/Users") }

// Groups implements application.
func (h *house) Groups() []*scim.Object { return h.list("/Groups") }

// Put implements application.
func (h *house) Put(endpoint, body string) string {
	id, _ := h.do(http.MethodPost, endpoint, body).Text("id")
	return id
}

// TestBothEnds: what this project's SCIM client writes to its own server keeps every promise of a target, in each of the
// ways in which the client can be told to write.
func TestBothEnds(t *testing.T) {
	two := func(c *server.Config) { c.Limits.Page, c.Limits.MaxPage = 2, 2 }
	for _, c := range []struct {
		name   string
		client func(*client.Profile)
		server func(*server.Config)
	}{
		{name: "as it is"},
		{name: "PUT, two on a page", client: func(p *client.Profile) { p.Write = client.WritePut }, server: two},
		{name: "Entra's default dialect", client: func(p *client.Profile) {
			p.Dialect = scim.Dialect{Capitalized: true, TextBooleans: true, RemoveByValue: true, MaxOperations: 1}
		}},
		{name: "aadOptscim062020", client: func(p *client.Profile) { p.Dialect = scim.Dialect{Together: true, Dotted: true} }},
		{name: "Okta's dialect, cursors, two on a page", client: func(p *client.Profile) { p.Dialect, p.Cursor = scim.Dialect{Together: true}, true }, server: two},
	} {
		t.Run(c.name, func(t *testing.T) {
			dirsynctest.TestTarget(t, func(t *testing.T) dirsync.Target {
				h := openHouse(t, false, func(cfg *server.Config) {
					if c.server != nil {
						c.server(cfg)
					}
				})
				return h.client(func(cfg *client.Config) {
					if c.client != nil {
						c.client(&cfg.Profile)
					}
				})
			})
		})
	}
}

// TestFaultsAtHome is TestSCIMFaults with this project's own server as the application: answers are lost, with and without
// their effect, requests arrive twice, the process dies, and nobody is doubled or lost.
//
//	go test -run TestFaultsAtHome ./cmd/dirsync -rapid.checks 5000
func TestFaultsAtHome(t *testing.T) {
	m := scimWorldMapping(t)
	for _, groups := range []bool{false, true} {
		t.Run(fmt.Sprintf("groups %v", groups), func(t *testing.T) {
			rapid.Check(t, func(r *rapid.T) { inBubble(t, func(t *testing.T) { scimFaultsWorld(t, r, m, groups, true) }) })
		})
	}
}

// moveIn makes the house the application of a world.
func (h *house) moveIn(w *scimWorld) {
	w.at = h
	w.config.BaseURL, w.config.Token = h.url, houseToken
	w.config.Transport = scimtest.Watch(&unkind{h.send, &w.faults}, func(violation string) { h.t.Error(violation) }, houseToken)
}

// unkind is a network in which requests and answers are lost, arrive late or twice, and in which somebody else answers.
type unkind struct {
	next   http.RoundTripper
	faults *scimFaults
}

// RoundTrip implements http.RoundTripper.
func (u *unkind) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close() // It was read.
	}
	send := func() (*http.Response, error) {
		again := r.Clone(r.Context())
		again.Body, again.GetBody = io.NopCloser(bytes.NewReader(body)), nil
		resp, err := u.next.RoundTrip(again)
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return nil, err
		}
		resp.Body = io.NopCloser(bytes.NewReader(text))
		return resp, nil
	}
	fault := u.faults.answer(scimtest.Request{Method: r.Method})
	if fault.Delay > 0 {
		select {
		case <-time.After(fault.Delay):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if failing := fault.Status != 0 || fault.Drop || fault.Refuse; failing {
		if fault.Apply {
			_, _ = send()
		}
		switch {
		case fault.Refuse:
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
		case fault.Drop:
			return nil, io.ErrUnexpectedEOF
		}
		header := fault.Header
		if header == nil {
			header = http.Header{}
		}
		return &http.Response{Status: strconv.Itoa(fault.Status), StatusCode: fault.Status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: header, Body: io.NopCloser(strings.NewReader(fault.Body)), ContentLength: int64(len(fault.Body)), Request: r}, nil
	}
	resp, err := send()
	if err == nil && u.faults.again() {
		resp, err = send()
	}
	if err == nil && fault.Cut {
		text, _ := io.ReadAll(resp.Body)
		resp.Body, resp.ContentLength = io.NopCloser(io.MultiReader(bytes.NewReader(text[:len(text)/2]), brokenOff{})), -1
	}
	return resp, err
}

// brokenOff is the rest of a body that never came.
type brokenOff struct{}

func (brokenOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// again says whether a request arrives a second time, and only the second answer is heard.
func (f *scimFaults) again() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rand != nil && !f.dead && f.percent > 0 && f.rand.IntN(15) == 0
}

// TestReadingAtHome reads this project's own server as a source, by number and by cursor, while people come and go: everybody
// who is there all the time is told of, whatever page they stand on, and whoever has changed since is told of in the round
// that follows.
func TestReadingAtHome(t *testing.T) {
	for _, byCursor := range []bool{false, true} {
		t.Run(fmt.Sprintf("cursor %v", byCursor), func(t *testing.T) {
			var late time.Duration
			h := openHouse(t, false, func(c *server.Config) { c.Now = func() time.Time { return time.Now().Add(late) } })
			var ids []string
			person := func(n int) string {
				return fmt.Sprintf(`{"userName":"p%d@x.org","title":"Engineer","name":{"givenName":"P%d","familyName":"F"},"emails":[{"type":"work","value":"p%d@x.org"}]}`, n, n, n)
			}
			for n := range 40 {
				ids = append(ids, h.Put("/Users", person(n)))
			}
			read := func(profile client.Profile) *client.Source {
				source, err := h.client(func(c *client.Config) { c.Profile, c.Profile.PerSecond = profile, 1e6 }).Source()
				if err != nil {
					t.Fatal(err)
				}
				return source
			}
			source := read(client.Profile{PageSize: 5, Cursor: byCursor})
			seen, pages := map[dirsync.ID]string{}, 0
			var end dirsync.Cursor
			err := source.Read(t.Context(), "", func(p dirsync.Page) error {
				for _, r := range p.Records {
					seen[r.ID] = r.Attrs.Text("jobTitle")
				}
				if pages++; pages <= 4 { // somebody leaves each of the first pages, and one of those to come
					h.do(http.MethodDelete, "/Users/"+ids[(pages-1)*5+2], "")
					h.do(http.MethodDelete, "/Users/"+ids[40-pages], "")
				}
				end = p.Next
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			there := map[dirsync.ID]bool{}
			for _, u := range h.Users() {
				id, _ := u.Text("id")
				there[dirsync.ID(id)] = true
				if seen[dirsync.ID(id)] != "Engineer" {
					t.Errorf("%s was there all the time and was not told of", id)
				}
			}
			if len(there) != 32 {
				t.Fatalf("%d are there, want 32", len(there))
			}
			// Later rounds tell of changes: of a client's, and of who has come.
			late = time.Hour
			h.do(http.MethodPatch, "/Users/"+ids[0], `{"schemas":["`+scim.PatchURN+`"],"Operations":[{"op":"replace","path":"title","value":"Chief"}]}`)
			came := dirsync.ID(h.Put("/Users", person(100)))
			seen = map[dirsync.ID]string{}
			err = source.Read(t.Context(), end, func(p dirsync.Page) error {
				for _, r := range p.Records {
					seen[r.ID] = r.Attrs.Text("jobTitle")
				}
				return nil
			})
			if err != nil || seen[dirsync.ID(ids[0])] != "Chief" || seen[came] != "Engineer" {
				t.Errorf("got %v and %v in the second round", seen, err)
			}
			if _, ok := seen[dirsync.ID(ids[2])]; ok {
				t.Errorf("%s is gone, and was told of", ids[2])
			}
			gone := map[dirsync.ID]dirsync.Gone{dirsync.ID(ids[0]): dirsync.Present, dirsync.ID(ids[2]): dirsync.GoneHard, "..": dirsync.GoneHard, "u1/../u2": dirsync.GoneHard}
			for id, want := range gone {
				err := source.LookUp(t.Context(), []dirsync.ID{id}, func(r dirsync.Record) error {
					if r.Gone != want {
						t.Errorf("%s: got %v, want %v", id, r.Gone, want)
					}
					return nil
				})
				if err != nil {
					t.Errorf("%s: %v", id, err)
				}
			}
			if err := source.Read(t.Context(), "nonsense", func(dirsync.Page) error { return nil }); !errors.Is(err, dirsync.ErrCursorExpired) {
				t.Errorf("got %v for a strange cursor", err)
			}
		})
	}
}

// TestGroupsAtHome: groups and who is in them, as far as the promises of a target of groups apply: names are all that the
// server keeps of a group, no two have the same, and a group cannot be inactive.
func TestGroupsAtHome(t *testing.T) {
	h := openHouse(t, false)
	ctx := t.Context()
	open := func() (*client.Client, client.Groups) {
		c := h.client()
		groups, err := c.Groups()
		if err != nil {
			t.Fatal(err)
		}
		return c, groups
	}
	named := func(name string) dirsync.Values {
		return dirsync.Values{{Field: "name", Value: dirsync.Value{Type: dirsync.Text, Text: name}}}
	}
	apply := func(target dirsync.Target, c dirsync.Change) dirsync.Account {
		t.Helper()
		first, err := target.Apply(ctx, c)
		if err != nil {
			t.Fatalf("%v %s: %v", c.Kind, c.Person, err)
		}
		again, err := target.Apply(ctx, c)
		if err != nil || again.ID != first.ID || !again.Values.Equal(first.Values) {
			t.Fatalf("%v %s again: got %+v and %v, want %+v", c.Kind, c.Person, again, err, first)
		}
		return first
	}
	people, groups := open()
	sales := apply(groups, dirsync.Change{Kind: dirsync.Create, Person: "g-sales", After: named("Sales")})
	support := apply(groups, dirsync.Change{Kind: dirsync.Create, Person: "g-support", After: named("Support")})
	if sales.Source != "g-sales" || !sales.Active || !sales.Values.Equal(named("Sales")) {
		t.Errorf("got %+v", sales)
	}
	for _, c := range []dirsync.Change{{Kind: dirsync.Create, Person: "g-other", After: named("SALES")}, {Kind: dirsync.Update, Person: "g-support", Account: support.ID, After: named("sales")}} {
		_, err := groups.Apply(ctx, c)
		if e, ok := errors.AsType[*dirsync.Error](err); !ok || e.Kind != dirsync.Conflict || e.Field != "name" {
			t.Errorf("%v: got %v, want a conflict about the name", c.Kind, err)
		}
	}
	const most = 250
	member := func(n int, kind dirsync.ChangeKind, in ...string) dirsync.Change {
		v := dirsync.Values{}.Set(dirsync.GroupsField, dirsync.NewList(in))
		if kind == dirsync.Create {
			text := func(s string) dirsync.Value { return dirsync.Value{Type: dirsync.Text, Text: s} }
			v = v.Set(dirsync.FirstName, text("P")).Set(dirsync.LastName, text("F")).Set(dirsync.EmailAddress, dirsync.Value{Type: dirsync.Email, Text: fmt.Sprintf("p%d@x.org", n)})
		}
		return dirsync.Change{Kind: kind, Person: dirsync.ID(fmt.Sprintf("p-%03d", n)), After: v}
	}
	var accounts [most]string
	var held [most]dirsync.Values
	batch := func(c *client.Client, kind dirsync.ChangeKind, in func(n int) []string) {
		t.Helper()
		var changes []dirsync.Change
		for n := range most {
			ch := member(n, kind, in(n)...)
			ch.Account, ch.Before = accounts[n], held[n]
			held[n] = dirsync.Values{}.Set(dirsync.GroupsField, dirsync.NewList(in(n)))
			changes = append(changes, ch)
		}
		for n, a := range c.ApplyAll(ctx, changes) {
			if a.Err != nil {
				t.Fatal(a.Err)
			}
			accounts[n] = a.Account.ID
		}
	}
	counts := func(sales, support int) {
		t.Helper()
		got := map[string]int{}
		for _, g := range appGroups(h) {
			got[g.external] = len(g.members)
		}
		if got["g-sales"] != sales || got["g-support"] != support {
			t.Errorf("got %v members, want %d and %d", got, sales, support)
		}
	}
	batch(people, dirsync.Create, func(n int) []string { return []string{"g-sales"} })
	counts(most, 0)
	people, groups = open() // another process
	before := people.Requests()
	batch(people, dirsync.Update, func(n int) []string {
		return [][]string{{"g-sales"}, {"g-sales", "g-support"}, {"g-support"}, nil, {"g-sales"}}[n%5]
	})
	counts(most*3/5, most*2/5)
	if n := people.Requests() - before; n > 20 {
		t.Errorf("%d people changed their groups with %d requests, want at most 20", most, n)
	}
	apply(groups, dirsync.Change{Kind: dirsync.Update, Person: "g-sales", Account: sales.ID, After: named("Sales and more")})
	counts(most*3/5, most*2/5)
	apply(groups, dirsync.Change{Kind: dirsync.Delete, Person: "g-support", Account: support.ID})
	seen := 0
	err := groups.Users(ctx, func(a dirsync.Account) error {
		seen++
		if a.ID != sales.ID || !a.Values.Equal(named("Sales and more")) {
			t.Errorf("got %+v", a)
		}
		return nil
	})
	if err != nil || seen != 1 {
		t.Errorf("got %d groups and %v, want one", seen, err)
	}
	for _, u := range h.Users() {
		if in := u.List("groups"); len(in) > 1 {
			t.Fatalf("a user is in %d groups, of one", len(in))
		}
	}
}
