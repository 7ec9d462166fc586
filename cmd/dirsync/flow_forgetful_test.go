package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dirsync"
	"dirsync/dirsynctest"
	"dirsync/graph"
	"dirsync/graph/graphtest"
	"dirsync/mapping"
	"dirsync/sync/engine"
	"dirsync/sync/plan"
)

// anchorlessWorld is a tenant that keeps nowhere whose an account is. The test knows it by the given name, which nobody
// else has and nobody changes; the sync goes by the user principal name.
type anchorlessWorld struct{ *entraWorld }

// TestEntraFaultsWithoutAnchor goes through worlds as TestEntraFaults does, in which nothing in the tenant says whose an
// account is. People get other names, processes die and begin again at once, and nobody is doubled, as long as nobody takes
// a name that was somebody else's.
//
//	go test -run TestEntraFaultsWithoutAnchor ./cmd/dirsync -rapid.checks 2500
func TestEntraFaultsWithoutAnchor(t *testing.T) {
	m := entraWorldMapping(t)
	rapid.Check(t, func(r *rapid.T) { inBubble(t, func(t *testing.T) { anchorlessFaults(t, r, m) }) })
}

func anchorlessFaults(t *testing.T, r *rapid.T, m *mapping.Mapping) {
	w := anchorlessWorld{&entraWorld{t: t, src: dirsynctest.NewSource(rapid.Uint64Min(1).Draw(r, "unkindness")), store: dirsynctest.NewStore(),
		tenant: &graphtest.Tenant{Domain: "x.org", Roles: entraRoles()}, policy: plan.Policy{}, accounts: map[dirsync.ID]string{}}}
	w.src.Fault, w.store.Fault, w.tenant.Hook = w.faults.next, w.faults.next, w.unkind.answer
	w.tenant.Faults = graphtest.Faults{Seed: rapid.Uint64().Draw(r, "choices of the tenant"), EnforceWrites: true,
		Lag:    time.Duration(rapid.SampledFrom([]int{0, 0, 8}).Draw(r, "lag")) * time.Second,
		Spread: time.Duration(rapid.SampledFrom([]int{0, 0, 10}).Draw(r, "spread")) * time.Second}
	everyone := append(peopleNamed("safe", 3), peopleNamed("risk", 3)...)
	for _, id := range everyone {
		w.src.Put(id, w.person(id, 0))
	}
	for range rapid.IntRange(1, 6).Draw(r, "steps") {
		w.change(r, everyone)
		pass(time.Duration(rapid.SampledFrom([]int{0, 1, 15, 72_000}).Draw(r, "seconds")) * time.Second)
		seed, percent := rapid.Uint64().Draw(r, "faults"), rapid.SampledFrom([]int{0, 3, 15, 40}).Draw(r, "percent")
		w.faults.arm(seed, percent/4, rapid.SampledFrom([]int{0, 5, 20, 60}).Draw(r, "dying"), nil)
		w.unkind.arm(seed, percent)
		ran, err := w.process(m, rapid.Bool().Draw(r, "another process")).Run(context.Background(), engine.Options{RetryNow: rapid.Bool().Draw(r, "retry now")})
		r.Logf("run %d: %s %+v %v", ran.ID, ran.Status, ran.Counts, err) // it may fail; what it leaves behind may not be wrong
		w.unkind.arm(0, 0)
		if w.faults.disarm() {
			w.client = nil
		}
		w.look(r.Fatalf)
	}
	for range 3 {
		if ran, err := w.process(m, true).Run(context.Background(), engine.Options{RetryNow: true}); err != nil {
			r.Fatalf("without faults: run %d: %v", ran.ID, err)
		}
		w.look(r.Fatalf)
		pass(5 * time.Minute)
	}
	users := w.look(r.Fatalf)
	for _, id := range everyone {
		attrs, present := w.src.Attrs(id)
		u, has := users[id]
		switch mail, _ := attrs["mail"].(string); {
		case !present:
			if has && enabled(u) {
				r.Fatalf("%s is gone and can sign in as %s", id, text(u, "userPrincipalName"))
			}
		case !has || !enabled(u) || text(u, "userPrincipalName") != mail:
			r.Fatalf("%s is %v, want %v", id, u, attrs)
		}
	}
	if ran, err := w.process(m, true).Run(context.Background(), engine.Options{Compare: true}); err != nil || ran.Counts.Changed() != 0 {
		r.Fatalf("a run with nothing to do: %+v %v", ran, err)
	}
}

// person is somebody with one of a few user principal names of their own.
func (anchorlessWorld) person(id dirsync.ID, name int) map[string]any {
	p := personNamed(string(id), fmt.Sprintf("%s-%d@x.org", id, name))
	p["displayName"] = "Person " + string(id)
	return p
}

// process is engine without an anchor.
func (w anchorlessWorld) process(m *mapping.Mapping, fresh bool) *engine.Engine {
	fresh = fresh || w.client == nil
	e := w.engine(m, fresh)
	if fresh {
		var err error
		if w.writer, err = w.client.Writer(graph.WriterConfig{Properties: []string{"displayName", "userPrincipalName", "givenName", "department"}, AllowBlock: true}); err != nil {
			w.t.Fatal(err)
		}
	}
	e.Target = w.writer
	return e
}

// change changes something at the source.
func (w anchorlessWorld) change(r *rapid.T, everyone []dirsync.ID) {
	for range rapid.IntRange(0, 4).Draw(r, "mutations") {
		id := rapid.SampledFrom(everyone).Draw(r, "who")
		switch what := rapid.IntRange(0, 5).Draw(r, "what"); {
		case what == 0:
			w.src.Put(id, map[string]any{"department": rapid.SampledFrom([]any{nil, "Sales", "Legal"}).Draw(r, "department")})
		case what == 1 && !safePerson(id):
			w.src.Remove(id)
		default:
			w.src.Put(id, w.person(id, rapid.IntRange(0, 3).Draw(r, "name")))
		}
	}
}

// look returns the accounts by whose they are. No two are the same person's, and nobody who is there loses theirs.
func (w anchorlessWorld) look(fail func(string, ...any)) map[dirsync.ID]graphtest.User {
	users := map[dirsync.ID]graphtest.User{}
	for _, u := range w.tenant.Users() {
		id := dirsync.ID(text(u, "givenName"))
		if other, twice := users[id]; twice {
			fail("%s has two accounts, %s and %s", id, text(other, "userPrincipalName"), text(u, "userPrincipalName"))
		}
		users[id] = u
		if first, ok := w.accounts[id]; ok && first != text(u, "id") {
			fail("%s had account %s and now has %s", id, first, text(u, "id"))
		}
		w.accounts[id] = text(u, "id")
	}
	for id := range w.accounts {
		if u, ok := users[id]; safePerson(id) && (!ok || !enabled(u)) {
			fail("%s was never gone at the source, and has lost their account (there: %v)", id, ok)
		}
	}
	return users
}
