package graph_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"dirsync"
	"dirsync/graph"
	"dirsync/graph/graphtest"
)

// reader reads a tenant by the contract of dirsync.Source, as an engine does, through whatever goes wrong.
type reader struct {
	*world
	t      *testing.T
	rand   *rand.Rand
	source *graph.Source
	known  people
	// base is where the last complete round ended, at where to go on.
	base, at dirsync.Cursor
	// doubt are, in a full round, the people who are not mentioned yet, or without a value that is known of them.
	doubt map[dirsync.ID]bool
	full  bool
	// deleted were deleted once. What their reports' links to them say then, the service leaves open.
	deleted map[dirsync.ID]bool
	// since are who was there when the round under way began.
	since                  []string
	lagged                 bool
	errs, rounds, restarts int
}

// ways makes every other reader read its first rounds in parallel.
func ways(seed uint64) func(*graph.Config) {
	return func(c *graph.Config) { c.FirstRead = []graph.FirstRead{graph.FirstPlain, graph.FirstParallel}[seed%2] }
}

// TestConverge changes a tenant at random while it is read under random faults. In the end, when the faults are over,
// the reader must know exactly what the tenant holds; and at no time may it hold somebody for gone who was never
// deleted.
func TestConverge(t *testing.T) {
	total := reader{}
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := &reader{t: t, world: serve(t, &graphtest.Tenant{}, ways(seed)), rand: rand.New(rand.NewPCG(seed, 9)), known: people{}, deleted: map[dirsync.ID]bool{}}
			r.source = r.client.Users([]string{"department", "manager", "employeeOrgData/division"})
			r.Generate(r.rand.IntN(40)+1, seed)
			for range 12 {
				r.SetFaults(r.faults())
				for range r.rand.IntN(6) {
					r.change()
				}
				r.step(r.rand.IntN(8))
				r.clock.pass(time.Duration(r.rand.IntN(100)) * time.Minute)
				if r.rand.IntN(10) == 0 {
					r.clock.pass(8 * 24 * time.Hour)
				}
			}
			r.SetFaults(graphtest.Faults{PageSize: 5})
			if r.lagged {
				// What a replica that lagged behind has said of somebody in good faith is put right by reading everybody anew.
				r.at, r.base = "", ""
			}
			// When all is quiet, the round under way and one more must be enough.
			for quiet, n := r.rounds, 0; r.rounds < quiet+2 && n < 10; n++ {
				r.step(1000)
			}
			checkPeople(t, r.world, r.known, []string{"department", "employeeOrgData"})
			checkManagers(t, r.world, r.known, r.deleted)
			total.errs, total.rounds, total.restarts = total.errs+r.errs, total.rounds+r.rounds, total.restarts+r.restarts
		})
	}
	t.Logf("%d rounds were completed, %d restarted, %d errors met", total.rounds, total.restarts, total.errs)
	if total.errs == 0 || total.restarts == 0 {
		t.Error("the faults were too kind to prove anything")
	}
}

func (r *reader) faults() graphtest.Faults {
	f := graphtest.Faults{Seed: r.rand.Uint64(), PageSize: 1 + r.rand.IntN(9), Rejection: graphtest.Rejection(r.rand.IntN(6))}
	some := func(n int) bool { return r.rand.IntN(n) == 0 }
	f.VaryPages, f.Shuffle, f.Extras, f.OlderFirst = some(2), some(2), some(3), some(3)
	if some(3) {
		f.EmptyPages = 2 + r.rand.IntN(3)
	}
	if some(3) {
		f.Repeat = 1 + r.rand.IntN(4)
	}
	if some(3) {
		f.Replay = r.rand.IntN(9)
	}
	if some(4) {
		f.Strangers = r.rand.IntN(4)
	}
	if some(8) {
		f.LagRounds, r.lagged = 1, true
	}
	if some(4) {
		f.IndexLag = time.Duration(r.rand.IntN(20)) * time.Second
	}
	if some(6) {
		f.ExpirePage, f.ExpirePageTimes = 2+r.rand.IntN(3), 1
	}
	f.RejectDelta, f.Challenge, f.Limited, f.Denied = some(15), some(6), some(15), some(15)
	for _, kind := range []graphtest.Kind{graphtest.Delta, graphtest.List, graphtest.Get, graphtest.Deleted, graphtest.Token} {
		if some(3) {
			f.Rules = append(f.Rules, graphtest.Rule{On: kind, Skip: r.rand.IntN(3), Every: 1 + r.rand.IntN(4), Times: r.rand.IntN(4), Fault: r.fault()})
		}
	}
	return f
}

func (r *reader) fault() graphtest.Fault {
	all := []graphtest.Fault{graphtest.Throttled("3"), graphtest.Throttled(""), graphtest.Throttled("4000"), graphtest.HTMLPage(503),
		graphtest.HTMLPage(200), graphtest.BadJSON(), graphtest.Empty(500), graphtest.Empty(404), graphtest.HTMLPage(404), graphtest.BareError(400),
		graphtest.AccessExpired(), {Reset: true}, {Truncate: true}, {Status: http.StatusFound}, graphtest.BareError(403), graphtest.Empty(200)}
	return all[r.rand.IntN(len(all))]
}

func (r *reader) change() {
	there := r.Users()
	if len(there) == 0 || r.rand.IntN(4) == 0 {
		r.Add(graphtest.User{"displayName": "Newcomer", "department": "Sales"})
		return
	}
	id, other := fmt.Sprint(there[r.rand.IntN(len(there))]["id"]), fmt.Sprint(there[r.rand.IntN(len(there))]["id"])
	switch r.rand.IntN(7) {
	case 0:
		r.deleted[dirsync.ID(id)] = true
		r.Delete(id)
	case 1:
		r.deleted[dirsync.ID(id)] = true
		r.Purge(id)
	case 2:
		r.deleted[dirsync.ID(id)] = true
		r.Delete(id)
		r.Restore(id)
	case 3:
		r.Update(id, map[string]any{"department": nil})
	case 4:
		r.SetManager(id, other)
	case 5:
		r.SetManager(id, "")
	default:
		r.Update(id, map[string]any{"department": []string{"Ops", "Legal"}[r.rand.IntN(2)], "accountEnabled": r.rand.IntN(2) == 0})
	}
}

// checkManagers leaves out those who were deleted once.
func checkManagers(t *testing.T, w *world, known people, deleted map[dirsync.ID]bool) {
	t.Helper()
	for _, u := range w.Users() {
		id := dirsync.ID(fmt.Sprint(u["id"]))
		want, _ := u["manager"].(string)
		got := known[id].Text("manager")
		if got != want && !deleted[dirsync.ID(got)] && !deleted[dirsync.ID(want)] {
			t.Errorf("%s: got manager %q, want %q", id, got, want)
		}
	}
}

// step reads up to some pages and goes on as the answer says.
func (r *reader) step(pages int) {
	if r.at == "" {
		r.full, r.doubt = true, map[dirsync.ID]bool{}
		for id := range r.known {
			r.doubt[id] = true
		}
	}
	if r.at == r.base {
		r.since = r.IDs()
	}
	stop := errors.New("stop")
	err := r.source.Read(r.t.Context(), r.at, func(p dirsync.Page) error {
		r.take(p.Records)
		if p.Complete {
			if err := r.confirm(); err != nil {
				return err
			}
			r.checkNobodyIsLost()
			r.base, r.full, r.rounds = p.Next, false, r.rounds+1
		}
		r.at = p.Next
		if pages--; pages < 0 && !p.Complete {
			return stop
		}
		if r.rand.IntN(4) == 0 && pages < 900 {
			r.change()
		}
		return nil
	})
	switch {
	case err == nil, err == stop:
	case errors.Is(err, dirsync.ErrPageExpired):
		r.at, r.restarts = r.base, r.restarts+1
	case errors.Is(err, dirsync.ErrCursorExpired):
		r.at, r.base, r.restarts = "", "", r.restarts+1
	default:
		r.errs++
		if dirsync.KindOf(err) == dirsync.Unknown {
			r.t.Errorf("an error without a kind: %v", err)
		}
	}
}

// checkNobodyIsLost holds a round that is complete against its promise: whoever was there when it began, and was never
// deleted, is known.
func (r *reader) checkNobodyIsLost() {
	r.t.Helper()
	for _, id := range r.since {
		if _, known := r.known[dirsync.ID(id)]; !known && !r.lagged && !r.deleted[dirsync.ID(id)] {
			r.t.Errorf("%s was lost", id)
		}
	}
}

func (r *reader) take(records []dirsync.Record) {
	for _, rec := range records {
		if rec.Gone != dirsync.Present {
			delete(r.doubt, rec.ID)
			if _, there := r.User(string(rec.ID)); there && !r.deleted[rec.ID] {
				r.t.Errorf("%s was told to be gone, and never was", rec.ID)
			}
			continue
		}
		if !r.full {
			continue
		}
		if _, was := r.known[rec.ID]; was && !rec.Whole && r.known[rec.ID].Unsaid(rec.Attrs, r.source.Asked()) {
			r.doubt[rec.ID] = true
		} else {
			delete(r.doubt, rec.ID)
		}
	}
	r.known.take(records)
}

func (r *reader) confirm() error {
	if !r.full {
		return nil
	}
	return r.source.LookUp(r.t.Context(), slices.Sorted(maps.Keys(r.doubt)), func(rec dirsync.Record) error {
		// A replica that lags behind has not heard yet of somebody whom another has told of, and says so in good faith.
		if u, there := r.User(string(rec.ID)); there && rec.Gone != dirsync.Present && !r.lagged {
			r.t.Errorf("%s was taken for gone: %v", rec.ID, u)
		}
		r.known.take([]dirsync.Record{rec})
		delete(r.doubt, rec.ID)
		return nil
	})
}

// A person whose deletion fell between two readings, with the token lost, is found by look-up alone.
func TestDeletedInTheGap(t *testing.T) {
	w := serve(t, &graphtest.Tenant{})
	ids := w.Add(graphtest.User{"displayName": "Ada"}, graphtest.User{"displayName": "Grace"})
	s, got := w.client.Users(nil), people{}
	next := got.read(t, s, "")
	w.Delete(ids[1])
	w.clock.pass(9 * 24 * time.Hour)
	if _, _, err := got.try(s, next); !errors.Is(err, dirsync.ErrCursorExpired) {
		t.Fatalf("got %v, want ErrCursorExpired", err)
	}
	again := people{}
	again.read(t, s, "")
	var missing []dirsync.ID
	for id := range got {
		if _, ok := again[id]; !ok {
			missing = append(missing, id)
		}
	}
	var said []string
	err := s.LookUp(t.Context(), missing, func(r dirsync.Record) error {
		said = append(said, fmt.Sprint(r.ID, " ", r.Gone))
		return nil
	})
	if got, want := strings.Join(said, ", "), ids[1]+" deleted, can be restored"; err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}
