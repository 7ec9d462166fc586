package graph

import (
	"context"
	"net/http"
	"testing"
	"time"
)

// In no ten seconds more passes than the service grants, however many ask.
func TestGateKeepsTheBudget(t *testing.T) {
	var g gate
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	sleep := func(_ context.Context, d time.Duration) error { now = now.Add(d); return nil }
	var passed []time.Time
	for range 20_000 {
		if err := g.pass(t.Context(), 1, func() time.Time { return now }, sleep); err != nil {
			t.Fatal(err)
		}
		passed = append(passed, now)
	}
	from, most := 0, 0
	for to := range passed {
		for passed[to].Sub(passed[from]) >= 10*time.Second {
			from++
		}
		most = max(most, to-from+1)
	}
	if most > 7600 || most < 7000 {
		t.Errorf("%d units passed within ten seconds, want nearly 7,500 and no more", most)
	}
}

func TestGate(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	share := func(v string) http.Header { return http.Header{"X-Ms-Throttle-Limit-Percentage": {v}} }
	for name, test := range map[string]struct {
		before func(*gate)
		want   time.Duration // of the second of two that come together
	}{
		"open":                   {func(*gate) {}, 0},
		"somebody was told":      {func(g *gate) { g.close(now.Add(3 * time.Second)) }, 3 * time.Second},
		"told twice":             {func(g *gate) { g.close(now.Add(3 * time.Second)); g.close(now.Add(time.Second)) }, 3 * time.Second},
		"it is over":             {func(g *gate) { g.close(now.Add(-time.Second)) }, 0},
		"near the limit":         {func(g *gate) { g.observe(share("0.9")) }, 100 * time.Millisecond},
		"beyond it":              {func(g *gate) { g.observe(share("1.8")) }, time.Second},
		"far beyond":             {func(g *gate) { g.observe(share("1e300")) }, time.Second},
		"no number":              {func(g *gate) { g.observe(share("NaN")) }, 0},
		"words":                  {func(g *gate) { g.observe(share("much")) }, 0},
		"near, and then no more": {func(g *gate) { g.observe(share("0.9")); g.observe(http.Header{}) }, 0},
	} {
		var g gate
		test.before(&g)
		waited := g.reserve(1, now)
		if waited == 0 {
			waited = g.reserve(1, now)
		}
		if got := waited.Round(time.Millisecond); got != test.want {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
	// A clock that is set back does not lock anybody out.
	var g gate
	g.reserve(burst, now)
	if got := g.reserve(1, now.Add(-time.Hour)); got > time.Second {
		t.Errorf("after the clock was set back: wait %v", got)
	}
}

func TestUnits(t *testing.T) {
	for path, want := range map[string]float64{
		"/v1.0/users/delta()?$select=id": 1, "/v1.0/users/delta?$deltatoken=x": 1, "/v1.0/users/1?$select=id": 1,
		"/v1.0/users/1?$select=id&$expand=manager": 2, "/v1.0/users?$top=999": 2, "/v1.0/organization": 2,
		"/v1.0/groups/delta()?$select=id,members&$filter=x": 1, "/v1.0/groups/1/members?$select=id": 2, "/v1.0/groups/1/members": 3,
		"/v1.0/directoryObjects/getByIds?$select=id": 2, "/v1.0/directoryObjects/getByIds": 5,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://graph.example"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := units(r); got != want {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
	}
}
