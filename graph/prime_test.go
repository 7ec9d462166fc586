package graph_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"dirsync"
	"dirsync/graph"
	"dirsync/graph/graphtest"
)

// A first reading that was primed waits only for what is left of the replicas' lag, costs one request more for it, and is
// true of everybody, whatever has happened since.
func TestPrime(t *testing.T) {
	for name, test := range map[string]struct{ before, waits time.Duration }{
		"at once":                {0, 20 * time.Second},
		"after five seconds":     {5 * time.Second, 15 * time.Second},
		"after half a minute":    {30 * time.Second, 0},
		"after six days":         {6 * 24 * time.Hour, 0},
		"the clock was put back": {-time.Hour, 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			waited := time.Duration(0)
			w := inProcess(t, &graphtest.Tenant{}, firstRead(graph.FirstParallel), func(c *graph.Config) {
				c.ReplicaLag = 0 // the default
				sleep := c.Sleep
				c.Sleep = func(ctx context.Context, d time.Duration) error { waited += d; return sleep(ctx, d) }
			})
			w.Generate(60, 1)
			ids := w.IDs()
			s := w.client.Users(wantProperties())
			begin, err := s.Prime(t.Context())
			if err != nil || begin == "" || w.Requests().Delta != 1 {
				t.Fatalf("got %q, %v with %+v", begin, err, w.Requests())
			}
			w.Update(ids[0], map[string]any{"department": "Moved"})
			w.Delete(lonely(w, ids[1:]))
			w.Add(graphtest.User{"displayName": "Newcomer"})
			w.clock.pass(test.before)
			got := people{}
			next := got.read(t, s, begin)
			if waited != test.waits {
				t.Errorf("waited %v, want %v", waited, test.waits)
			}
			checkPeople(t, w, got, wantProperties())
			if _, pages, err := got.try(s, next); err != nil || pages != 1 {
				t.Errorf("the next round: %d pages, %v", pages, err)
			}
		})
	}
}

// lonely is the first of ids who manages nobody.
func lonely(w *world, ids []string) string {
	for _, id := range ids {
		if managesNobody(w, id) {
			return id
		}
	}
	return ""
}

// There is nothing to prime where everybody is read plainly, or is not read at all.
func TestPrimeNothing(t *testing.T) {
	for name, test := range map[string]struct {
		how      graph.FirstRead
		source   func(*graph.Client) *graph.Source
		requests int
	}{
		"plain":        {graph.FirstPlain, func(c *graph.Client) *graph.Source { return c.Users(nil) }, 0},
		"small":        {graph.FirstAuto, func(c *graph.Client) *graph.Source { return c.Users(nil) }, 1},
		"members only": {graph.FirstParallel, func(c *graph.Client) *graph.Source { return c.MembersOnly(nil) }, 0},
	} {
		w := inProcess(t, &graphtest.Tenant{}, firstRead(test.how))
		w.Generate(20, 1)
		begin, err := test.source(w.client).Prime(t.Context())
		if n := w.Requests().Graph(); begin != "" || err != nil || n != test.requests {
			t.Errorf("%s: got %q, %v with %d requests, want %d", name, begin, err, n, test.requests)
		}
	}
}

// A beginning that is too old, or is of other properties, is told as expired, so that whoever reads begins anew.
func TestPrimeExpires(t *testing.T) {
	w := inProcess(t, &graphtest.Tenant{}, firstRead(graph.FirstParallel))
	w.Generate(60, 1)
	s := w.client.Users(nil)
	begin, err := s.Prime(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := (people{}).try(w.client.Users([]string{"department"}), begin); !errors.Is(err, dirsync.ErrCursorExpired) {
		t.Errorf("other properties: got %v", err)
	}
	w.clock.pass(8 * 24 * time.Hour)
	w.SetFaults(graphtest.Faults{DeltaLife: 7 * 24 * time.Hour})
	if _, _, err := (people{}).try(s, begin); !errors.Is(err, dirsync.ErrCursorExpired) {
		t.Errorf("after eight days: got %v", err)
	}
	w.SetFaults(graphtest.Faults{Denied: true})
	if begin, err := s.Prime(t.Context()); begin != "" || dirsync.KindOf(err) != dirsync.Permission {
		t.Errorf("without the permission: got %q, %v", begin, err)
	}
}
