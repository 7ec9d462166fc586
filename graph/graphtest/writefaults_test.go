package graphtest_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"dirsync/graph/graphtest"
)

func TestWritesAreLimited(t *testing.T) {
	clock := newClock()
	tenant := &graphtest.Tenant{Now: clock.now, Faults: graphtest.Faults{EnforceWrites: true, WriteLimit: 5}}
	c := writer(t, tenant)
	id := c.made("ada", "")
	patch := func() response { return c.call(http.MethodPatch, "/v1.0/users/"+id, `{"jobTitle":"x"}`) }
	clock.advance(time.Minute)
	// In a batch each request is counted and throttled by itself, and reads and refusals cost nothing.
	var requests []string
	for n := range 8 {
		requests = append(requests, wrapped(fmt.Sprint("w", n), "PATCH", "/users/"+id, `{"jobTitle":"`+fmt.Sprint(n)+`"}`))
	}
	got, _ := c.batch(append(requests, bare("read", "GET", "/users/"+id), wrapped("bad", "PATCH", "/users/"+id, `{"displayName":null}`))...)
	status := map[int]int{}
	for id, g := range got {
		status[g.Status]++
		if g.Status == 429 && (g.Headers["Retry-After"] != "90" || g.code() != "TooManyRequests" || g.Headers["X-Ms-Throttle-Information"] != "WriteLimitExceeded") {
			t.Errorf("%s: got %+v %s", id, g, g.Body)
		}
	}
	if status[204] != 4 || status[429] < 4 || got["read"].Status != 200 || status[429]+status[400] != 5 {
		t.Errorf("got %v and, of a read, %d", status, got["read"].Status)
	}
	if n := tenant.Requests().Throttled; n != status[429] {
		t.Errorf("counted %d as throttled, want %d", n, status[429])
	}
	clock.advance(90*time.Second - time.Millisecond)
	if r := patch(); r.status != http.StatusTooManyRequests || r.header.Get("Retry-After") != "1" || r.header.Get("x-ms-throttle-information") != "WriteLimitExceeded" {
		t.Errorf("just before the first one leaves the window: got %d %v", r.status, r.header)
	}
	clock.advance(time.Millisecond)
	if r := patch(); r.status != http.StatusNoContent || r.header.Get("x-ms-throttle-limit-percentage") != "1.00" {
		t.Errorf("then: got %d %v", r.status, r.header)
	}
	tenant.Set(func(t *graphtest.Tenant) { t.Faults.BareThrottle = true })
	if r := patch(); r.status != http.StatusTooManyRequests || r.header.Get("Retry-After") != "" {
		t.Errorf("bare: got %d %v", r.status, r.header)
	}
	tenant.SetFaults(graphtest.Faults{EnforceBudget: true, Budget: 2, BareThrottle: true})
	for _, want := range []int{204, 204, 429} { // a write costs a resource unit, too
		if r := patch(); r.status != want || r.header.Get("Retry-After") != "" {
			t.Errorf("of resource units: got %d %v, want %d", r.status, r.header, want)
		}
	}
}

func TestThreeThousandWrites(t *testing.T) {
	clock := newClock()
	tenant := &graphtest.Tenant{Now: clock.now, Faults: graphtest.Faults{EnforceWrites: true}}
	c := writer(t, tenant)
	c.http.CloseIdleConnections()
	c.http = &http.Client{Transport: tenant.Transport()}
	id := c.made("ada", "")
	var requests []string
	for n := range 20 {
		requests = append(requests, wrapped(fmt.Sprint(n), "PATCH", "/users/"+id, `{"jobTitle":"x"}`))
	}
	written := 1
	for range 160 {
		got, _ := c.batch(requests...)
		for _, g := range got {
			if g.Status == 204 {
				written++
			}
		}
	}
	if written != 3000 {
		t.Errorf("%d writes were let through, want 3000", written)
	}
}

// What was just written is not there yet on every replica, for reads and for writes alike, while names are taken at once.
func TestWritesLag(t *testing.T) {
	clock := newClock()
	tenant := &graphtest.Tenant{Now: clock.now, Faults: graphtest.Faults{Lag: time.Minute}}
	boss := addPeople(tenant, "Boss")[0]
	group := tenant.AddGroup(graphtest.Group{})[0]
	clock.advance(time.Hour)
	c := writer(t, tenant)
	id := c.made("ada", "")
	g := c.call(http.MethodPost, "/v1.0/groups", newGroup("g", "")).fields(t)["id"].(string)
	tries := []struct {
		method, path, body string
		want               int
	}{
		{"GET", "/users/" + id, "", 200},
		{"GET", "/users/ada@contoso.com", "", 200},
		{"PATCH", "/users/" + id, `{"jobTitle":"x"}`, 204},
		{"PUT", "/users/" + id + "/manager/$ref", `{"@odata.id":"` + refTo("users", boss) + `"}`, 204},
		{"PUT", "/users/" + boss + "/manager/$ref", `{"@odata.id":"` + refTo("users", id) + `"}`, 204},
		{"POST", "/groups/" + group + "/members/$ref", `{"@odata.id":"` + refTo("users", id) + `"}`, 204},
		{"PATCH", "/groups/" + g, `{"description":"x"}`, 204},
		{"DELETE", "/groups/" + g, "", 204},
		{"DELETE", "/users/" + id, "", 204},
	}
	for _, try := range tries {
		if r := c.call(try.method, "/v1.0"+try.path, try.body); r.status != http.StatusNotFound || r.code() != "Request_ResourceNotFound" {
			t.Errorf("at once: %s %s: got %d %s", try.method, try.path, r.status, r.body)
		}
	}
	if r := c.call(http.MethodPost, "/v1.0/users", newUser("ada", "")); r.status != http.StatusBadRequest || r.failure(t).Details[0].Target != "userPrincipalName" {
		t.Errorf("the name again: got %d %s", r.status, r.body)
	}
	if got := c.sortedIDs("/v1.0/users?$select=id"); fmt.Sprint(got) != fmt.Sprint([]string{boss}) {
		t.Errorf("listed at once: %v", got)
	}
	clock.advance(time.Minute)
	for _, try := range tries {
		if r := c.call(try.method, "/v1.0"+try.path, try.body); r.status != try.want {
			t.Errorf("later: %s %s: got %d %s", try.method, try.path, r.status, r.body)
		}
	}
	// Who was deleted a moment ago can still be seen, but not written, nor yet be brought back.
	for path, want := range map[string]int{"GET /users/" + id: 200, "PATCH /users/" + id: 404, "DELETE /users/" + id: 404, "POST /directory/deletedItems/" + id + "/restore": 404} {
		method, path, _ := strings.Cut(path, " ")
		if r := c.call(method, "/v1.0"+path, "{}"); r.status != want {
			t.Errorf("%s %s: got %d %s, want %d", method, path, r.status, r.body, want)
		}
	}
	clock.advance(time.Minute)
	if r := c.call(http.MethodPost, "/v1.0/directory/deletedItems/"+id+"/restore", "{}"); r.status != http.StatusOK {
		t.Errorf("restore: got %d %s", r.status, r.body)
	}
}

// A write can have happened although its answer says otherwise, or never comes.
func TestLostAnswers(t *testing.T) {
	gateway := graphtest.HTMLPage(http.StatusGatewayTimeout)
	gateway.Apply = true
	for name, fault := range map[string]graphtest.Fault{"504": gateway, "reset": {Reset: true}} {
		for _, inProcess := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " in process ", inProcess), func(t *testing.T) {
				tenant := &graphtest.Tenant{}
				c := writer(t, tenant)
				if inProcess {
					c.http.CloseIdleConnections()
					c.http = &http.Client{Transport: tenant.Transport()}
				}
				id := c.made("bob", "")
				lost := func(kind graphtest.Kind, method, path, body string) {
					t.Helper()
					tenant.SetFaults(graphtest.Faults{Rules: []graphtest.Rule{{On: kind, Fault: fault}}})
					r, err := c.tryCall(method, path, body)
					if fault.Status != 0 && (err != nil || r.status != fault.Status) || fault.Status == 0 && err == nil && r.err == nil {
						t.Errorf("%s: got %d %s, %v, %v", kind, r.status, r.body, err, r.err)
					}
					tenant.SetFaults(graphtest.Faults{})
				}
				lost(graphtest.CreateUser, http.MethodPost, "/v1.0/users", newUser("ada", ""))
				if r := c.get("/v1.0/users/ada@contoso.com"); r.status != http.StatusOK {
					t.Errorf("ada: got %d", r.status)
				}
				lost(graphtest.UpdateUser, http.MethodPatch, "/v1.0/users/"+id, `{"jobTitle":"x"}`)
				if r := c.get("/v1.0/users/" + id); r.fields(t)["jobTitle"] != "x" {
					t.Errorf("bob: got %s", r.body)
				}
				lost(graphtest.Batch, http.MethodPost, "/v1.0/$batch", `{"requests":[`+wrapped("1", "POST", "/users", newUser("carl", ""))+`]}`)
				if r := c.get("/v1.0/users/carl@contoso.com"); r.status != http.StatusOK {
					t.Errorf("carl: got %d", r.status)
				}
				lost(graphtest.DeleteUser, http.MethodDelete, "/v1.0/users/"+id, "")
				if _, there := tenant.User(id); there {
					t.Error("bob is there")
				}
				// Without taking effect nothing happens.
				tenant.SetFaults(graphtest.Faults{Rules: []graphtest.Rule{{Fault: graphtest.HTMLPage(504)}}})
				r := c.call(http.MethodPost, "/v1.0/$batch", `{"requests":[`+wrapped("1", "POST", "/users", newUser("dora", ""))+`]}`)
				if r.status != http.StatusGatewayTimeout || len(tenant.Users()) != 2 {
					t.Errorf("got %d, and there are %d people", r.status, len(tenant.Users()))
				}
			})
		}
	}
}

// Requests in a batch meet faults one by one, by rules and by the hook, which may read their bodies.
func TestFaultsInBatches(t *testing.T) {
	tenant := &graphtest.Tenant{}
	c := writer(t, tenant)
	gateway := graphtest.HTMLPage(http.StatusGatewayTimeout)
	gateway.Apply = true
	var mu sync.Mutex
	var asked []string
	tenant.Set(func(t *graphtest.Tenant) {
		t.Faults.Rules = []graphtest.Rule{{On: graphtest.CreateUser, Skip: 1, Every: 2, Fault: graphtest.Throttled("2.5")}}
		t.Hook = func(r *http.Request) graphtest.Fault {
			mu.Lock()
			defer mu.Unlock()
			body, _ := io.ReadAll(r.Body)
			asked = append(asked, r.Method+" "+r.URL.Path)
			switch {
			case r.URL.Path == "/v1.0/$batch":
			case strings.Contains(string(body), "lost@"):
				return gateway
			case strings.Contains(string(body), "cut@"):
				return graphtest.Fault{Truncate: true}
			}
			return graphtest.Fault{}
		}
	})
	var requests []string
	for n := range 6 {
		requests = append(requests, wrapped(fmt.Sprint(n), "POST", "/users", newUser(fmt.Sprint("user", n), "")))
	}
	got, _ := c.batch(requests...)
	status := map[int]int{}
	for id, g := range got {
		status[g.Status]++
		if g.Status == 429 && (g.Headers["Retry-After"] != "2.5" || g.code() != "TooManyRequests") {
			t.Errorf("%s: got %+v %s", id, g, g.Body)
		}
	}
	if status[201] != 3 || status[429] != 3 || len(tenant.Users()) != 3 {
		t.Errorf("got %v and %d people", status, len(tenant.Users()))
	}
	if len(asked) != 7 || asked[0] != "POST /v1.0/$batch" || asked[6] != "POST /v1.0/users" {
		t.Errorf("the hook was asked about %v", asked)
	}
	tenant.SetFaults(graphtest.Faults{})
	got, _ = c.batch(wrapped("lost", "POST", "/users", newUser("lost", "")), wrapped("cut", "POST", "/users", newUser("cut", "")))
	if g := got["lost"]; g.Status != 504 || g.Body[0] != '"' || !strings.Contains(g.Headers["Content-Type"], "text/html") {
		t.Errorf("lost: got %+v %s", g, g.Body)
	}
	if g := got["cut"]; g.Status != 201 || g.Body[0] != '"' {
		t.Errorf("cut: got %+v %s", g, g.Body)
	}
	for _, name := range []string{"lost", "cut"} {
		if r := c.get("/v1.0/users/" + name + "@contoso.com"); r.status != http.StatusOK {
			t.Errorf("%s: got %d, want it to have happened", name, r.status)
		}
	}
	tenant.SetFaults(graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.UpdateUser, Fault: graphtest.Fault{Reset: true}}}})
	r, err := c.tryCall(http.MethodPost, "/v1.0/$batch", `{"requests":[`+wrapped("1", "PATCH", "/users/lost@contoso.com", `{"jobTitle":"x"}`)+`]}`)
	if err == nil && r.err == nil {
		t.Errorf("a reset within: got %d %s, %v", r.status, r.body, r.err)
	}
}
