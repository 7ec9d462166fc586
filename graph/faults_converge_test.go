package graph_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"dirsync"
	"dirsync/graph/graphtest"
)

// faultSwitch sets one field of graphtest.Faults to something that goes wrong.
type faultSwitch struct {
	field string
	set   func(r *reader, f *graphtest.Faults)
}

// faultSwitches are all switches that concern the reading of people.
func faultSwitches() []faultSwitch {
	type faults = graphtest.Faults
	n := func(r *reader, from, to int) int { return from + r.rand.IntN(to-from+1) }
	seconds := func(r *reader, to int) time.Duration { return time.Duration(n(r, 1, to)) * time.Second }
	return []faultSwitch{
		{"PageSize", func(r *reader, f *faults) { f.PageSize = n(r, 1, 9) }},
		{"ListPage", func(r *reader, f *faults) { f.ListPage = n(r, 1, 20) }},
		{"VaryPages", func(r *reader, f *faults) { f.VaryPages, f.PageSize = true, n(r, 1, 9) }},
		{"EmptyPages", func(r *reader, f *faults) { f.EmptyPages, f.PageSize = n(r, 2, 4), n(r, 1, 9) }},
		{"Repeat", func(r *reader, f *faults) { f.Repeat, f.PageSize = n(r, 1, 4), n(r, 1, 9) }},
		{"OlderFirst", func(r *reader, f *faults) { f.OlderFirst, f.Repeat, f.PageSize = true, n(r, 1, 2), n(r, 1, 9) }},
		{"Replay", func(r *reader, f *faults) { f.Replay = n(r, 1, 9) }},
		{"Strangers", func(r *reader, f *faults) { f.Strangers = n(r, 1, 4) }},
		{"Shuffle", func(r *reader, f *faults) { f.Shuffle = true }},
		{"Extras", func(r *reader, f *faults) { f.Extras = true }},
		{"Lag", func(r *reader, f *faults) { f.Lag, r.lagged = seconds(r, 7200), true }},
		{"LagRounds", func(r *reader, f *faults) { f.LagRounds, r.lagged = n(r, 1, 2), true }},
		{"Spread", func(r *reader, f *faults) { f.Spread, r.lagged = seconds(r, 20), true }},
		{"IndexLag", func(r *reader, f *faults) { f.IndexLag = seconds(r, 7200) }},
		{"TokenPadding", func(r *reader, f *faults) { f.TokenPadding = n(r, 1, 3000) }},
		{"Loop", func(r *reader, f *faults) { f.Loop, f.PageSize = n(r, 1, 4), n(r, 1, 9) }},
		{"ForeignLinks", func(r *reader, f *faults) { f.ForeignLinks = "https://evil.example" }},
		{"DeltaLife", func(r *reader, f *faults) { f.DeltaLife, f.Rejection = seconds(r, 7200), r.rejection() }},
		{"Rejection", func(r *reader, f *faults) { f.Rejection, f.DeltaLife = r.rejection(), time.Minute }},
		{"RejectDelta", func(r *reader, f *faults) { f.RejectDelta, f.Rejection = true, r.rejection() }},
		{"PageLife", func(r *reader, f *faults) { f.PageLife, f.PageSize = seconds(r, 120), n(r, 1, 4) }},
		{"ExpirePage", func(r *reader, f *faults) { f.ExpirePage, f.PageSize = n(r, 2, 4), n(r, 1, 4) }},
		{"ExpirePageTimes", func(r *reader, f *faults) {
			f.ExpirePage, f.ExpirePageTimes, f.PageSize = n(r, 2, 4), n(r, 1, 2), n(r, 1, 4)
		}},
		{"AccessLife", func(r *reader, f *faults) { f.AccessLife = seconds(r, 600) }},
		{"EnforceBudget", func(r *reader, f *faults) { f.EnforceBudget = true }},
		{"Budget", func(r *reader, f *faults) { f.EnforceBudget, f.Budget = true, n(r, 6, 20) }},
		{"Limited", func(r *reader, f *faults) { f.Limited = true }},
		{"Denied", func(r *reader, f *faults) { f.Denied = true }},
		{"UnknownIdentity", func(r *reader, f *faults) { f.UnknownIdentity = true }},
		{"Challenge", func(r *reader, f *faults) { f.Challenge = true }},
		{"NoMessage", func(r *reader, f *faults) { f.NoMessage, f.RejectDelta, f.Rejection = true, true, r.rejection() }},
		{"SignIn", func(r *reader, f *faults) { f.SignIn = []int{7000222, 7000215, 700016, 90002, 53003}[r.rand.IntN(5)] }},
		{"SecretFrom", func(r *reader, f *faults) { f.SecretFrom = r.clock.Now().Add(seconds(r, 600)) }},
		{"ByIDsWide", func(_ *reader, f *faults) { f.ByIDsWide = true }},
		{"ByIDsPlain", func(_ *reader, f *faults) { f.ByIDsPlain = true }},
		{"Rules", func(r *reader, f *faults) {
			for range n(r, 1, 3) {
				on := []graphtest.Kind{graphtest.Delta, graphtest.List, graphtest.Get, graphtest.Deleted, graphtest.Token, graphtest.Discovery, graphtest.ByIDs, ""}[r.rand.IntN(8)]
				f.Rules = append(f.Rules, graphtest.Rule{On: on, Skip: r.rand.IntN(9), Every: n(r, 1, 4), Times: r.rand.IntN(4), Fault: r.fault()})
			}
		}},
	}
}

func (r *reader) rejection() graphtest.Rejection { return graphtest.Rejection(r.rand.IntN(6)) }

// TestFaultSwitches notices a switch that nobody turns.
func TestFaultSwitches(t *testing.T) {
	elsewhere := []string{"Seed", "ConsentError", // none of a reading's business
		"LinkPage", "Interleave", "SoftGroups", "SilentPurge", // of groups
		// of writing: TestWriterConverges turns them
		"EnforceWrites", "WriteLimit", "BareThrottle", "ShyExtensions", "Conflict", "UniqueNicknames", "NoDetails", "ObeyReturn"}
	for _, s := range faultSwitches() {
		elsewhere = append(elsewhere, s.field)
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[graphtest.Faults]()) {
		if !slices.Contains(elsewhere, f.Name) {
			t.Errorf("graphtest.Faults has a switch %s, and no test turns it on while people are read", f.Name)
		}
	}
}

// TestFaults reads a tenant that changes all the time, under each fault alone and under random combinations of all, in
// both ways of a first reading. At no time may anybody be lost or taken for gone who is there, and once the faults stop
// what is known must be what is there.
func TestFaults(t *testing.T) {
	switches := faultSwitches()
	var mu sync.Mutex
	total := reader{}
	eachSeed(t, func(t *testing.T, seed uint64) {
		r := &reader{t: t, world: inProcess(t, &graphtest.Tenant{}, ways(seed)), rand: rand.New(rand.NewPCG(seed, 33)), known: people{}, deleted: map[dirsync.ID]bool{}}
		r.source = r.client.Users([]string{"department", "manager"})
		r.Generate(r.rand.IntN(12)+1, seed)
		alone := int(seed/2) % (2 * len(switches)) // every other seed of the rest combines
		for range 6 {
			f := graphtest.Faults{Seed: r.rand.Uint64()}
			if alone < len(switches) {
				switches[alone].set(r, &f)
			} else {
				for range 1 + r.rand.IntN(6) {
					switches[r.rand.IntN(len(switches))].set(r, &f)
				}
			}
			r.SetFaults(f)
			for range r.rand.IntN(4) {
				r.change()
			}
			r.step(r.rand.IntN(8))
			r.clock.pass(time.Duration(r.rand.IntN(90)) * time.Minute)
			if r.rand.IntN(12) == 0 {
				r.clock.pass(8 * 24 * time.Hour)
			}
		}
		r.settle()
		mu.Lock()
		total.errs, total.rounds, total.restarts = total.errs+r.errs, total.rounds+r.rounds, total.restarts+r.restarts
		mu.Unlock()
		if t.Failed() {
			name := "a combination"
			if alone < len(switches) {
				name = switches[alone].field
			}
			t.Fatalf("seed %d, %s, %s", seed, name, r.config.FirstRead)
		}
	})
	t.Logf("%d rounds were completed, %d restarted, %d errors met", total.rounds, total.restarts, total.errs)
	if total.errs == 0 || total.restarts == 0 {
		t.Error("the faults were too kind to prove anything")
	}
}

// settle ends the faults, reads on until the round under way and one more are complete, and holds what is known against
// what is there.
func (r *reader) settle() {
	r.t.Helper()
	r.SetFaults(graphtest.Faults{PageSize: 5})
	if r.lagged {
		// What a replica that lagged behind has said of somebody in good faith is put right by reading everybody anew.
		r.at, r.base = "", ""
	}
	for quiet, n := r.rounds, 0; r.rounds < quiet+2; n++ {
		if n == 10 {
			r.t.Fatal(fmt.Errorf("after ten readings without faults no round is complete"))
		}
		r.step(1000)
	}
	checkPeople(r.t, r.world, r.known, []string{"department"})
	checkManagers(r.t, r.world, r.known, r.deleted)
}
