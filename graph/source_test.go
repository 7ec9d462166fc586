package graph_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"dirsync"
	"dirsync/dirsynctest"
	"dirsync/graph"
	"dirsync/graph/graphtest"
)

func TestSource(t *testing.T) {
	for _, how := range []graph.FirstRead{graph.FirstAuto, graph.FirstPlain, graph.FirstParallel} {
		t.Run(string(how), func(t *testing.T) { testSource(t, how) })
	}
}

func testSource(t *testing.T, how graph.FirstRead) {
	dirsynctest.TestSource(t, func(t *testing.T) dirsynctest.SourceFixture {
		w := serve(t, &graphtest.Tenant{Faults: graphtest.Faults{PageSize: 3, PageLife: time.Minute, DeltaLife: 10 * time.Hour}}, func(c *graph.Config) { c.FirstRead = how })
		return dirsynctest.SourceFixture{
			Source: w.client.Users([]string{"department"}),
			Put: func(id dirsync.ID, attrs map[string]any) {
				if _, there := w.User(string(id)); there {
					w.Update(string(id), attrs)
				} else if attrs == nil {
					w.Restore(string(id))
				} else {
					u := graphtest.User{"id": string(id)}
					maps.Copy(u, attrs)
					w.Add(u)
				}
			},
			Remove:        func(id dirsync.ID) { w.Delete(string(id)) },
			Purge:         func(id dirsync.ID) { w.Purge(string(id)) },
			ExpirePages:   func() { w.clock.pass(2 * time.Minute) },
			ExpireCursors: func() { w.clock.pass(11 * time.Hour) },
		}
	})
}

// wantProperties are what the tests of whole populations read.
func wantProperties() []string {
	return []string{"givenName", "surname", "mail", "jobTitle", "department", "officeLocation", "mobilePhone", "businessPhones",
		"employeeId", "employeeHireDate", "manager", "onPremisesExtensionAttributes/extensionAttribute1", "employeeOrgData/division"}
}

// checkPeople compares what was read with what the tenant holds, property by property.
func checkPeople(t *testing.T, w *world, got people, properties []string) {
	t.Helper()
	there := w.Users()
	if len(got) != len(there) {
		t.Errorf("got %d people, want %d", len(got), len(there))
	}
	names := []string{"userPrincipalName", "displayName", "accountEnabled"}
	for _, p := range properties {
		name, _, _ := strings.Cut(p, "/")
		names = append(names, name)
	}
	for _, u := range there {
		id := dirsync.ID(fmt.Sprint(u["id"]))
		attrs, ok := got[id]
		if !ok {
			t.Errorf("%s is there, but was not read", id)
			continue
		}
		for _, name := range names {
			want := "null"
			switch v := u[name].(type) {
			case json.RawMessage:
				want = string(v)
			case string:
				want = `"` + v + `"`
			}
			g := "null"
			if raw, ok := attrs.Get(name); ok {
				g = string(raw)
			}
			if (g == "[]" || g == "null") && (want == "[]" || want == "null") {
				continue // the service says of collections that they are empty, rather than null
			}
			if g != want {
				t.Errorf("%s: %s: got %s, want %s", id, name, g, want)
			}
		}
	}
}

// Whatever the service does that it is allowed to do, a reader ends with what the tenant holds.
func TestReadUnderFaults(t *testing.T) {
	throttled := func(f graphtest.Fault) graphtest.Faults {
		return graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.Delta, Every: 3, Fault: f}}}
	}
	for name, faults := range map[string]graphtest.Faults{
		"none":                       {},
		"pages vary":                 {VaryPages: true, Seed: 3},
		"empty pages":                {EmptyPages: 2},
		"rows twice":                 {Repeat: 3, OlderFirst: true},
		"replay":                     {Replay: 7},
		"strangers":                  {Strangers: 9},
		"shuffled":                   {Shuffle: true, Seed: 5},
		"extras":                     {Extras: true},
		"long tokens":                {TokenPadding: 9000},
		"everything":                 {VaryPages: true, EmptyPages: 3, Repeat: 2, OlderFirst: true, Replay: 5, Strangers: 3, Shuffle: true, Extras: true, TokenPadding: 3000, Seed: 11},
		"throttled":                  throttled(graphtest.Throttled("10")),
		"throttled, fraction":        throttled(graphtest.Throttled("2.128")),
		"throttled, no wait":         throttled(graphtest.Throttled("")),
		"throttled, date":            throttled(graphtest.ThrottledUntil(newClock().now.Add(20 * time.Second))),
		"unavailable":                throttled(graphtest.HTMLPage(http.StatusServiceUnavailable)),
		"bad gateway":                throttled(graphtest.HTMLPage(http.StatusBadGateway)),
		"gateway timeout":            throttled(graphtest.Empty(http.StatusGatewayTimeout)),
		"internal error":             throttled(graphtest.BareError(http.StatusInternalServerError)),
		"connection reset":           throttled(graphtest.Fault{Reset: true}),
		"connection reset, HTTP/1.1": throttled(graphtest.Fault{Reset: true}),
		"token expired":              throttled(graphtest.AccessExpired()),
		"short-lived tokens":         {AccessLife: 3 * time.Minute},
		"claims challenge":           {Challenge: true},
		"sign-in is throttled":       {Rules: []graphtest.Rule{{On: graphtest.Token, Times: 2, Fault: graphtest.Throttled("45")}}},
		"discovery unavailable":      {Rules: []graphtest.Rule{{On: graphtest.Discovery, Times: 3, Fault: graphtest.HTMLPage(http.StatusServiceUnavailable)}}},
	} {
		t.Run(name, func(t *testing.T) {
			if faults.PageSize == 0 {
				faults.PageSize = 7
			}
			w := serve(t, &graphtest.Tenant{Faults: faults})
			w.Generate(60, 1)
			client := w.client
			if name == "connection reset, HTTP/1.1" {
				cfg := w.config
				cfg.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: cfg.RootCAs}, TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}
				client = w.connect(t, cfg)
			}
			s := client.Users(wantProperties())
			got := people{}
			next := got.read(t, s, "")
			checkPeople(t, w, got, wantProperties())
			ids := slices.Sorted(maps.Keys(got))
			w.Update(string(ids[3]), map[string]any{"department": nil, "displayName": "Renamed"})
			w.SetManager(string(ids[4]), string(ids[5]))
			w.SetManager(string(ids[6]), "")
			w.Delete(string(ids[7]))
			w.Purge(string(ids[8]))
			w.clock.pass(50 * time.Minute)
			next = got.read(t, s, next)
			checkPeople(t, w, got, wantProperties())
			w.Restore(string(ids[7]))
			got.read(t, s, next)
			checkPeople(t, w, got, wantProperties())
		})
	}
}

func TestCursorsExpire(t *testing.T) {
	for name, shape := range map[string]graphtest.Rejection{
		"400 syncStateNotFound": graphtest.BadRequest, "410 with Location": graphtest.Gone, "410 resyncRequired": graphtest.GoneResync,
		"410 without Location": graphtest.GoneNoLocation, "410 nested": graphtest.GoneNested, "400 unsupported query": graphtest.UnsupportedQuery,
	} {
		t.Run(name, func(t *testing.T) {
			w := serve(t, &graphtest.Tenant{Faults: graphtest.Faults{Rejection: shape, NoMessage: true}})
			w.Generate(5, 1)
			s, got := w.client.Users(nil), people{}
			next := got.read(t, s, "")
			w.clock.pass(8 * 24 * time.Hour)
			before := w.Requests().Delta
			_, pages, err := got.try(s, next)
			if !errors.Is(err, dirsync.ErrCursorExpired) || pages != 0 {
				t.Errorf("got %v and %d pages, want ErrCursorExpired and none", err, pages)
			}
			if got := w.Requests().Delta - before; got != 1 {
				t.Errorf("%d requests were made, want one: a Location is not followed", got)
			}
			got.read(t, s, got.read(t, s, ""))
		})
	}
}

func TestPagesExpire(t *testing.T) {
	w := serve(t, &graphtest.Tenant{Faults: graphtest.Faults{PageSize: 2, ExpirePage: 3, ExpirePageTimes: 1}})
	w.Generate(9, 1)
	s, got := w.client.Users(nil), people{}
	_, pages, err := got.try(s, "")
	if !errors.Is(err, dirsync.ErrPageExpired) || pages != 2 {
		t.Errorf("got %v after %d pages, want ErrPageExpired after 2", err, pages)
	}
	got.read(t, s, "")
	checkPeople(t, w, got, nil)
}

// What says nothing about a token must never cost it.
func TestNothingElseExpiresACursor(t *testing.T) {
	for name, fault := range map[string]graphtest.Fault{
		"401": graphtest.AccessExpired(), "403": graphtest.BareError(403), "404": graphtest.BareError(404), "408": graphtest.Empty(408),
		"429": graphtest.Throttled("7200"), "500": graphtest.Empty(500), "503": graphtest.HTMLPage(503), "504": graphtest.Empty(504),
		"200": graphtest.HTMLPage(200), "400": graphtest.BareError(400),
		"503 with the code": {Status: 503, Body: `{"error":{"code":"syncStateNotFound"}}`},
		"401 with the code": {Status: 401, Body: `{"error":{"code":"resyncRequired"}}`},
		"429 with the code": {Status: 429, Body: `{"error":{"code":"Directory_ExpiredPageToken"}}`, Header: http.Header{"Retry-After": {"999"}}},
		"reset":             {Reset: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := serve(t, &graphtest.Tenant{Faults: graphtest.Faults{PageSize: 2}})
			w.Generate(5, 1)
			s, got := w.client.Users(nil), people{}
			next := got.read(t, s, "")
			w.SetFaults(graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.Delta, Fault: fault}}})
			_, _, err := got.try(s, next)
			if err == nil || errors.Is(err, dirsync.ErrCursorExpired) || errors.Is(err, dirsync.ErrPageExpired) {
				t.Errorf("got %v, want another error", err)
			}
			if dirsync.KindOf(err) == dirsync.Unknown || dirsync.HintOf(err) == "" {
				t.Errorf("got %v: it has no kind or no advice", err)
			}
		})
	}
	// A first request carries no token, so it can lose none.
	w := serve(t, &graphtest.Tenant{Faults: graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.Delta, Fault: graphtest.BareError(410)}}}})
	_, _, err := (people{}).try(w.client.Users(nil), "")
	if err == nil || errors.Is(err, dirsync.ErrCursorExpired) {
		t.Errorf("got %v for a first request, want another error", err)
	}
}

func TestPagesThatAreNoData(t *testing.T) {
	for name, test := range map[string]struct {
		faults graphtest.Faults
		kind   dirsync.ErrorKind
		want   string
	}{
		"a web page": {once(graphtest.HTMLPage(200)), dirsync.Unavailable, "a web page came instead of data"},
		"bad JSON":   {once(graphtest.BadJSON()), dirsync.Unavailable, "the answer is broken JSON"},
		"cut short":  {once(graphtest.Fault{Truncate: true}), dirsync.Unavailable, "the answer is broken JSON"},
		"empty":      {once(graphtest.Empty(200)), dirsync.Unavailable, "the answer is empty"},
		"endless":    {graphtest.Faults{Loop: 2}, dirsync.Unavailable, "leads back to a page that was read already"},
		"abroad":     {graphtest.Faults{ForeignLinks: "https://127.0.0.1:1"}, dirsync.Unavailable, "leads to https://127.0.0.1:1 instead of"},
		"plain http": {graphtest.Faults{ForeignLinks: "http://127.0.0.1"}, dirsync.Unavailable, "leads to http://127.0.0.1 instead of"},
		"nameless":   {graphtest.Faults{Limited: true}, dirsync.Permission, "sends users without their names, only ids"},
		"denied":     {graphtest.Faults{Denied: true, NoMessage: true}, dirsync.Permission, "HTTP 403, Authorization_RequestDenied"},
		"no roles":   {graphtest.Faults{UnknownIdentity: true}, dirsync.Unauthorized, "Authorization_IdentityNotFound"},
	} {
		t.Run(name, func(t *testing.T) {
			faults := test.faults
			faults.PageSize = 2
			w := serve(t, &graphtest.Tenant{Faults: faults})
			w.Generate(20, 1)
			got := people{}
			_, pages, err := got.try(w.client.Users(nil), "")
			if err == nil || !strings.Contains(err.Error(), test.want) || dirsync.KindOf(err) != test.kind {
				t.Errorf("got %v (%v), want %q (%v)", err, dirsync.KindOf(err), test.want, test.kind)
			}
			if dirsync.HintOf(err) == "" {
				t.Errorf("got no advice with %v", err)
			}
			if test.kind == dirsync.Permission && strings.Contains(err.Error(), "names") && !strings.Contains(dirsync.HintOf(err), "User.Read.All") {
				t.Errorf("the advice %q does not name User.Read.All", dirsync.HintOf(err))
			}
			if pages > 2 {
				t.Errorf("%d pages were delivered, want at most two", pages)
			}
		})
	}
}

// once spoils the second page of a round, for as long as it is asked for.
func once(f graphtest.Fault) graphtest.Faults {
	return graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.Delta, Skip: 1, Fault: f}}}
}

func TestComeBackLater(t *testing.T) {
	w := serve(t, &graphtest.Tenant{Faults: graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.Delta, Fault: graphtest.Throttled("3600")}}}})
	_, _, err := (people{}).try(w.client.Users(nil), "")
	e, ok := errors.AsType[*dirsync.Error](err)
	if !ok || e.Kind != dirsync.Throttled || !e.RetryAt.Equal(w.clock.Now().Add(time.Hour)) {
		t.Errorf("got %#v, want to be throttled for an hour", err)
	}
	if got := w.clock.waits(); len(got) != 0 {
		t.Errorf("waited %v, want no wait that is too short to help", got)
	}
	if got := w.Requests().Delta; got != 1 {
		t.Errorf("%d requests were made, want one", got)
	}
}

func TestLookUp(t *testing.T) {
	w := serve(t, &graphtest.Tenant{})
	ids := w.Add(
		graphtest.User{"displayName": "Boss"},
		graphtest.User{"displayName": "Ada", "department": "Engines"},
		graphtest.User{"displayName": "Removed"},
		graphtest.User{"displayName": "Purged"},
	)
	w.SetManager(ids[1], ids[0])
	w.Delete(ids[2])
	w.Purge(ids[3])
	stranger := "99999999-0000-4000-8000-000000000000"
	s := w.client.Users([]string{"department", "manager"})
	look := func() map[dirsync.ID]string {
		out := map[dirsync.ID]string{}
		ask := []dirsync.ID{dirsync.ID(stranger), dirsync.ID(strings.ToUpper(ids[1]))}
		for _, id := range ids {
			if id != ids[1] {
				ask = append(ask, dirsync.ID(id))
			}
		}
		err := s.LookUp(t.Context(), ask, func(r dirsync.Record) error {
			row := r.Gone.String()
			if r.Whole {
				row = "whole"
			}
			for _, a := range r.Attrs {
				if a.Name != "userPrincipalName" {
					row += fmt.Sprintf(" %s=%s", a.Name, a.Raw)
				}
			}
			out[r.ID] = row
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	want := map[dirsync.ID]string{
		dirsync.ID(ids[0]):   `whole accountEnabled=true department=null displayName="Boss" manager=null`,
		dirsync.ID(ids[1]):   `whole accountEnabled=true department="Engines" displayName="Ada" manager="` + ids[0] + `"`,
		dirsync.ID(ids[2]):   "deleted, can be restored",
		dirsync.ID(ids[3]):   "deleted for good",
		dirsync.ID(stranger): "deleted for good",
	}
	if got := look(); !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	w.SetFaults(graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.Deleted, Fault: graphtest.Fault{Status: 403, Body: `{"error":{"code":"Authorization_RequestDenied"}}`}}}})
	want[dirsync.ID(ids[3])], want[dirsync.ID(stranger)] = "deleted, can be restored", "deleted, can be restored"
	if got := look(); !maps.Equal(got, want) {
		t.Errorf("without the right to see deleted items: got  %v\nwant %v", got, want)
	}
}

// Only Graph's own word for it proves that somebody is gone.
func TestLookUpProvesNothing(t *testing.T) {
	for name, fault := range map[string]graphtest.Fault{
		"404 of a gateway":  graphtest.HTMLPage(404),
		"404 without body":  graphtest.Empty(404),
		"404 for a segment": {Status: 404, Body: `{"error":{"code":"BadRequest","message":"Resource not found for the segment 'users'."}}`},
		"403":               {Status: 403, Body: `{"error":{"code":"Authorization_RequestDenied"}}`},
		"403 of a proxy":    graphtest.HTMLPage(403),
		"410":               graphtest.Empty(410), "400": graphtest.BareError(400), "503": graphtest.HTMLPage(503),
		"200 in HTML":      graphtest.HTMLPage(200),
		"200 empty":        graphtest.Empty(200),
		"somebody else":    {Status: 200, Body: `{"id":"11111111-0000-4000-8000-000000000000","userPrincipalName":"x@y"}`},
		"nobody":           {Status: 200, Body: `{"userPrincipalName":"x@y"}`},
		"a limited object": {Status: 200, Body: `{"id":"99999999-0000-4000-8000-000000000000","userPrincipalName":null}`},
		"204":              graphtest.Empty(204),
	} {
		for _, kind := range []graphtest.Kind{graphtest.Get, graphtest.Deleted} {
			if kind == graphtest.Deleted && (name == "403" || name == "a limited object") {
				continue // there they do say something
			}
			t.Run(name+" for "+string(kind), func(t *testing.T) {
				w := serve(t, &graphtest.Tenant{Faults: graphtest.Faults{Rules: []graphtest.Rule{{On: kind, Fault: fault}}}})
				id := dirsync.ID("99999999-0000-4000-8000-000000000000")
				err := w.client.Users(nil).LookUp(t.Context(), []dirsync.ID{id}, func(r dirsync.Record) error {
					t.Errorf("got %+v", r)
					return nil
				})
				e, ok := errors.AsType[*dirsync.Error](err)
				if !ok || e.ID != id || e.Kind == dirsync.Unknown {
					t.Errorf("got %v, want an error with kind and person", err)
				}
			})
		}
	}
	w := serve(t, &graphtest.Tenant{})
	err := w.client.Users(nil).LookUp(t.Context(), []dirsync.ID{"ada@contoso.com"}, func(dirsync.Record) error { return nil })
	if dirsync.KindOf(err) != dirsync.Invalid || w.Requests().Total != 0 {
		t.Errorf("got %v and %d requests, want a name refused without a request", err, w.Requests().Total)
	}
}

// A user who is restored between the two questions must not be taken for purged.
func TestLookUpMeetsARestoredUser(t *testing.T) {
	tenant := &graphtest.Tenant{}
	w := serve(t, tenant)
	id := w.Add(graphtest.User{"displayName": "Ada"})[0]
	w.Delete(id)
	w.Set(func(tt *graphtest.Tenant) {
		tt.Hook = func(r *http.Request) graphtest.Fault {
			if strings.Contains(r.URL.Path, "deletedItems") {
				w.Restore(id)
			}
			return graphtest.Fault{}
		}
	})
	var got dirsync.Record
	err := w.client.Users(nil).LookUp(t.Context(), []dirsync.ID{dirsync.ID(id)}, func(r dirsync.Record) error {
		got = r
		return nil
	})
	if err != nil || got.Gone != dirsync.Present || !got.Whole {
		t.Errorf("got %+v, %v, want the user", got, err)
	}
}

func TestLookUpIsCancelled(t *testing.T) {
	w := serve(t, &graphtest.Tenant{})
	ctx, cancel := context.WithCancel(t.Context())
	var ids []dirsync.ID
	for _, id := range w.Add(make([]graphtest.User, 50)...) {
		ids = append(ids, dirsync.ID(id))
	}
	err := w.client.Users(nil).LookUp(ctx, ids, func(dirsync.Record) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// Nothing runs on after a Read or LookUp has returned, however it ended.
func TestNoGoroutineIsLeft(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	w := serve(t, &graphtest.Tenant{Faults: graphtest.Faults{PageSize: 1}})
	w.Generate(30, 1)
	s := w.client.Users(nil)
	got := people{}
	got.read(t, s, "")
	stop := errors.New("stop")
	ctx, cancel := context.WithCancel(t.Context())
	var ids []dirsync.ID
	for id := range got {
		ids = append(ids, id)
	}
	_ = s.Read(ctx, "", func(dirsync.Page) error { return stop })
	_ = s.LookUp(ctx, ids, func(dirsync.Record) error { return stop })
	func() {
		defer func() { _ = recover() }()
		_ = s.Read(ctx, "", func(dirsync.Page) error { panic("stop") })
	}()
	_ = s.Read(ctx, "", func(dirsync.Page) error { cancel(); return nil })
	_ = s.LookUp(ctx, ids, func(dirsync.Record) error { return nil })
	w.client.Close()
	_ = w.server.Close()
	goleak.VerifyNone(t, ignore)
}

func TestFields(t *testing.T) {
	w := serve(t, &graphtest.Tenant{})
	fields, err := w.client.Users(nil).Fields(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var properties []string
	byName := map[string]dirsync.Field{}
	for _, f := range fields {
		if _, twice := byName[f.Name]; twice {
			t.Errorf("%s is there twice", f.Name)
		}
		byName[f.Name] = f
		if f.Refused == "" {
			properties = append(properties, f.Name)
		}
	}
	// Whatever is offered, the tenant lets be read; whatever is refused, it refuses.
	w.Generate(3, 1)
	(people{}).read(t, w.client.Users(properties), "")
	for name, want := range map[string]dirsync.Type{"mail": dirsync.Email, "manager": dirsync.Reference, "accountEnabled": dirsync.Boolean,
		"employeeHireDate": dirsync.DateTime, "onPremisesExtensionAttributes/extensionAttribute15": dirsync.Text, "businessPhones": dirsync.TextList} {
		if got := byName[name].Type; got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	for _, name := range strings.Fields("aboutMe birthday cloudLicensing deviceEnrollmentLimit hireDate interests mailboxSettings mySite pastProjects preferredName print responsibilities schools signInActivity skills photo licenseAssignmentStates memberOf") {
		if byName[name].Refused == "" {
			t.Errorf("%s is not refused, but changes to it are not reported", name)
		}
	}
}

func TestBlocked(t *testing.T) {
	attrs := func(name, raw string) dirsync.Attributes {
		return dirsync.Attributes{{Name: name, Raw: json.RawMessage(raw)}}
	}
	for raw, want := range map[string]bool{"false": true, "true": false, "null": false, `"false"`: false} {
		if got := graph.Blocked(attrs("accountEnabled", raw)); got != want {
			t.Errorf("accountEnabled %s: got %v, want %v", raw, got, want)
		}
	}
	if graph.Blocked(nil) {
		t.Error("somebody of whom nothing is said is blocked")
	}
}
