package graphtest_test

import (
	"net/http"
	"testing"
	"time"

	"dirsync/graph/graphtest"
)

func TestBudget(t *testing.T) {
	clock := newClock()
	tenant := &graphtest.Tenant{Now: clock.now, Faults: graphtest.Faults{EnforceBudget: true, Budget: 10}}
	id := addPeople(tenant, "A")[0]
	c := connect(t, tenant)
	share := func(r response) string { return r.header.Get("x-ms-throttle-limit-percentage") }
	for n, want := range []string{"", "", "", "", "1.00"} { // a look-up costs two
		if r := c.get("/v1.0/users/" + id); r.status != http.StatusOK || share(r) != want {
			t.Errorf("look-up %d: got %d, used %q, want %q", n+1, r.status, share(r), want)
		}
		clock.advance(time.Second)
	}
	r := c.get("/v1.0/users/delta")
	if r.status != http.StatusTooManyRequests || r.code() != "TooManyRequests" || share(r) != "1.10" {
		t.Errorf("over the budget: got %d %s, used %q", r.status, r.body, share(r))
	}
	for name, want := range map[string]string{
		"Retry-After": "5", "x-ms-throttle-information": "ResourceUnitLimitExceeded",
		"x-ms-throttle-scope": "Tenant_Application/ReadWrite/" + graphtest.DefaultClientID + "/" + graphtest.DefaultID,
	} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if got := tenant.Requests().Throttled; got != 1 {
		t.Errorf("throttled: got %d", got)
	}
	// Until the first look-up leaves the window nothing is allowed, and then as much as it took.
	clock.advance(5*time.Second - time.Millisecond)
	if r := c.get("/v1.0/users/delta"); r.status != http.StatusTooManyRequests || r.header.Get("Retry-After") != "1" {
		t.Errorf("just before: got %d, Retry-After %q", r.status, r.header.Get("Retry-After"))
	}
	clock.advance(time.Millisecond)
	for n, want := range []int{200, 200, 429} {
		if r := c.get("/v1.0/users/delta"); r.status != want {
			t.Errorf("round %d: got %d, want %d", n+1, r.status, want)
		}
	}
	// What is refused costs nothing, and signing in is no business of Graph's.
	clock.advance(10 * time.Second)
	for range 20 {
		if r := c.get("/v1.0/users?$select=nonsense"); r.status != http.StatusBadRequest {
			t.Fatalf("got %d", r.status)
		}
		c.token = accessToken(t, tenant)
	}
	if r := c.get("/v1.0/users"); r.status != http.StatusOK || share(r) != "" {
		t.Errorf("after refusals: got %d, used %q", r.status, share(r))
	}
}

// TestBudgetOfTheService spends what the service grants tenants of three sizes.
func TestBudgetOfTheService(t *testing.T) {
	for people, want := range map[int]int{1: 3500, 49: 3500, 50: 5000, 500: 5000, 501: 8000} {
		clock := newClock()
		tenant := &graphtest.Tenant{Now: clock.now, Roles: []string{"Directory.Read.All"}, Faults: graphtest.Faults{EnforceBudget: true}}
		tenant.Generate(people, 1)
		gone := addPeople(tenant, "Gone") // who is deleted does not count
		tenant.Delete(gone[0])
		g := tenant.AddGroup(graphtest.Group{})[0]
		c := connect(t, tenant)
		c.http.CloseIdleConnections()
		c.http = &http.Client{Transport: tenant.Transport()} // thousands of requests, and nothing of them is about the network
		got := 0
		for ; got <= want; got += 5 {
			if r := c.get("/v1.0/groups/" + g + "/transitiveMembers"); r.status != http.StatusOK {
				break
			}
		}
		if got != want {
			t.Errorf("%d people: got %d units, want %d", people, got, want)
		}
	}
}
