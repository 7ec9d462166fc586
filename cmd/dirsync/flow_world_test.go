package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
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

// entraWorld is a source, a store and a tenant that loses answers, throttles, lags and fails in its own way. It must be
// made and used in a synctest bubble, whose clock is everybody's.
type entraWorld struct {
	t        testing.TB
	src      *dirsynctest.Source
	store    *dirsynctest.Store
	tenant   *graphtest.Tenant
	client   *graph.Client
	writer   *graph.Writer
	policy   plan.Policy
	faults   scimFaults // of the source and the store, and when the process dies
	unkind   entraFaults
	accounts map[dirsync.ID]string
}

// TestEntraFaults goes through worlds in which a tenant loses answers, with and without their effect, in batches and with
// them, throttles, and shows what was written late, while the source and the store fail and the process dies. Through all
// of it nobody is doubled, nobody who is there loses anything and strangers are left alone; once the faults end the tenant
// becomes what the source wants, and comparing it finds nothing.
//
//	go test -run TestEntraFaults ./cmd/dirsync -rapid.checks 2500
func TestEntraFaults(t *testing.T) {
	m := entraWorldMapping(t)
	for name, action := range map[string]plan.Action{"deactivate": plan.Deactivate, "delete": plan.Delete} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(r *rapid.T) { inBubble(t, func(t *testing.T) { entraFaultsWorld(t, r, m, action) }) })
		})
	}
}

func entraWorldMapping(t testing.TB) *mapping.Mapping {
	t.Helper()
	source, err := dirsynctest.NewSource(0).Fields(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m, problems := mapping.Compile([]mapping.Spec{
		{Field: "displayName", From: "displayName"}, {Field: "userPrincipalName", From: "mail"},
		{Field: "givenName", From: "givenName"}, {Field: "department", From: "department"},
	}, mapping.Expression{}, source, graph.WriteCatalogue())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return m
}

// entraFaults decide what becomes of requests, in batches and alone.
type entraFaults struct {
	mu      sync.Mutex
	rand    *rand.Rand
	percent int
}

func (f *entraFaults) arm(seed uint64, percent int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rand, f.percent = rand.New(rand.NewPCG(seed, 2)), percent
}

func (f *entraFaults) answer(r *http.Request) graphtest.Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.percent == 0 || strings.Contains(r.URL.Path, "openid") || f.rand.IntN(100) >= f.percent {
		return graphtest.Fault{}
	}
	all := []graphtest.Fault{{Status: 503}, {Status: 503, Apply: true}, {Status: 504}, {Status: 504, Apply: true}, {Status: 500, Apply: true}, {Reset: true},
		graphtest.HTMLPage(502), graphtest.Throttled("4"), graphtest.Throttled(""), graphtest.Throttled("2.128"), {Truncate: true}}
	return all[f.rand.IntN(len(all))]
}

// mortal is the way to the tenant of a process that may die, before or after a request has arrived.
type mortal struct {
	http.RoundTripper
	faults *scimFaults
}

func (m mortal) RoundTrip(r *http.Request) (*http.Response, error) {
	before, after := m.faults.next("send")
	if before != nil {
		return nil, before
	}
	a, err := m.RoundTripper.RoundTrip(r)
	if after != nil && err == nil {
		return nil, errors.Join(after, a.Body.Close())
	}
	return a, err
}

func entraFaultsWorld(t *testing.T, r *rapid.T, m *mapping.Mapping, action plan.Action) {
	w := &entraWorld{t: t, src: dirsynctest.NewSource(rapid.Uint64Min(1).Draw(r, "unkindness")), store: dirsynctest.NewStore(),
		tenant: &graphtest.Tenant{Domain: "x.org", Roles: entraRoles()}, policy: plan.Policy{WhenDeleted: action, WhenOutOfScope: action}, accounts: map[dirsync.ID]string{}}
	w.src.Fault, w.store.Fault, w.tenant.Hook = w.faults.next, w.faults.next, w.unkind.answer
	w.tenant.Faults = graphtest.Faults{Seed: rapid.Uint64().Draw(r, "choices of the tenant"), EnforceWrites: true,
		Lag:      time.Duration(rapid.SampledFrom([]int{0, 0, 8}).Draw(r, "lag")) * time.Second,
		Spread:   time.Duration(rapid.SampledFrom([]int{0, 0, 10}).Draw(r, "spread")) * time.Second,
		Conflict: graphtest.Conflict(rapid.IntRange(0, 1).Draw(r, "shape of conflicts"))}
	w.tenant.Add(graphtest.User{"displayName": "Strange R", "userPrincipalName": "stranger@x.org", "department": "Elsewhere"})
	everyone := append(peopleNamed("safe", 4), peopleNamed("risk", 4)...)
	for i, id := range everyone {
		w.src.Put(id, personNamed(fmt.Sprint("P", i), fmt.Sprintf("p%d@x.org", i)))
	}
	for range rapid.IntRange(1, 6).Draw(r, "steps") {
		w.mutate(r, everyone)
		pass(time.Duration(rapid.IntRange(1, 400).Draw(r, "hours")) * time.Hour)
		seed, percent := rapid.Uint64().Draw(r, "faults"), rapid.SampledFrom([]int{0, 3, 15, 40}).Draw(r, "percent")
		w.faults.arm(seed, percent/4, rapid.SampledFrom([]int{0, 5, 20, 60}).Draw(r, "dying"), nil)
		w.unkind.arm(seed, percent)
		opts := engine.Options{RetryNow: rapid.Bool().Draw(r, "retry now"), Compare: rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(r, "compare") == 1}
		ran, err := w.engine(m, rapid.Bool().Draw(r, "another process")).Run(context.Background(), opts)
		r.Logf("run %d: %s %+v %v", ran.ID, ran.Status, ran.Counts, err) // it may fail; what it leaves behind may not be wrong
		w.unkind.arm(0, 0)
		if w.faults.disarm() {
			w.client = nil
		}
		w.check(r.Fatalf)
	}
	w.finish(r, m)
}

// engine is a process that goes on with the client of the one before, or with a new one.
func (w *entraWorld) engine(m *mapping.Mapping, fresh bool) *engine.Engine {
	if w.client == nil || fresh {
		who := w.tenant.Identity()
		client, err := graph.New(graph.Config{Tenant: who.ID, ClientID: who.ClientID, Credential: graph.Credential{Secret: who.Secret},
			Authority: "https://tenant.example", BaseURL: "https://tenant.example", Transport: mortal{w.tenant.Transport(), &w.faults}})
		if err != nil {
			w.t.Fatal(err)
		}
		w.client = client
		if w.writer, err = client.Writer(graph.WriterConfig{Properties: []string{"displayName", "userPrincipalName", "givenName", "department"},
			Anchor: "onPremisesExtensionAttributes/" + anchorNumber, AllowBlock: true, AllowDelete: true}); err != nil {
			w.t.Fatal(err)
		}
	}
	free := plan.Every(plan.Limit{Count: plan.Unbounded, Share: plan.Unbounded})
	return &engine.Engine{
		Sync: "outbound", Source: w.src, Target: w.writer, Store: w.store, Mapping: m, Join: []string{"userPrincipalName"},
		Blocked: func(attrs dirsync.Attributes) bool {
			raw, _ := attrs.Get("accountEnabled")
			return string(raw) == "false"
		},
		Policy: w.policy, Limits: plan.Limits{Deletes: free, Deactivations: free, Removals: free, Blankings: free, Groups: free}, Batch: 4,
	}
}

// mutate changes something at the source.
func (w *entraWorld) mutate(r *rapid.T, everyone []dirsync.ID) {
	for range rapid.IntRange(0, 4).Draw(r, "mutations") {
		id := rapid.SampledFrom(everyone).Draw(r, "who")
		pick := func(label string, from ...any) any { return rapid.SampledFrom(from).Draw(r, label) }
		switch rapid.IntRange(0, 8).Draw(r, "what") {
		case 0, 1:
			w.src.Put(id, map[string]any{"department": pick("department", nil, "Sales", "Legal")})
		case 2:
			w.src.Put(id, map[string]any{"givenName": pick("given name", nil, "Ana", "Bo")})
		case 3:
			w.src.Put(id, map[string]any{"mail": fmt.Sprintf("p%d@x.org", rapid.IntRange(0, 9).Draw(r, "mail"))})
		case 4:
			w.src.Put(id, map[string]any{"displayName": pick("name", nil, "Ana Silva", "Bo Ek")})
		case 5:
			if !safePerson(id) {
				w.src.Put(id, map[string]any{"accountEnabled": pick("enabled", true, false)})
			}
		case 6:
			if !safePerson(id) {
				w.src.Remove(id)
			}
		case 7:
			w.src.Put(id, personNamed("Back", fmt.Sprintf("back-%s@x.org", id)))
		case 8:
			w.src.ExpireCursors()
		}
	}
}

// anchorOf is whose an account is.
func anchorOf(u graphtest.User) dirsync.ID {
	var attributes map[string]string
	if raw, ok := u["onPremisesExtensionAttributes"].(json.RawMessage); ok {
		_ = json.Unmarshal(raw, &attributes) // the tenant's own JSON
	}
	return dirsync.ID(attributes[anchorNumber])
}

// owned are the accounts by whose they are. No two are the same person's, and nobody's are as they were.
func owned(tenant *graphtest.Tenant, fail func(string, ...any)) map[dirsync.ID]graphtest.User {
	out := map[dirsync.ID]graphtest.User{}
	for _, u := range tenant.Users() {
		id := anchorOf(u)
		if other, twice := out[id]; twice && id != "" {
			fail("%s has two accounts, %s and %s", id, text(other, "id"), text(u, "id"))
		}
		if id == "" && (text(u, "department") != "Elsewhere" || !enabled(u)) {
			fail("a stranger was touched: %v", u)
		}
		out[id] = u
	}
	if out[""] == nil {
		fail("the stranger is gone")
	}
	delete(out, "")
	return out
}

// check asserts what must hold at every moment, faults or no faults.
func (w *entraWorld) check(fail func(string, ...any)) {
	users := owned(w.tenant, fail)
	for id, u := range users {
		if first, ok := w.accounts[id]; ok && first != text(u, "id") && safePerson(id) {
			fail("%s had account %s and now has %s", id, first, text(u, "id"))
		}
		w.accounts[id] = text(u, "id")
	}
	for id, first := range w.accounts {
		if u, ok := users[id]; safePerson(id) && (!ok || !enabled(u)) {
			fail("%s was never gone nor blocked at the source, and has lost account %s (there: %v)", id, first, ok)
		}
	}
}

// finish makes runs without faults, and looks at the result.
func (w *entraWorld) finish(r *rapid.T, m *mapping.Mapping) {
	fatal := func(format string, args ...any) {
		r.Fatalf(format+"\n%s\n%s", append(args, w.src, strings.Join(entraUsers(w.tenant), "\n"))...)
	}
	for range 3 { // a conflict may need somebody to go first
		ran, err := w.engine(m, true).Run(context.Background(), engine.Options{RetryNow: true})
		r.Logf("without faults: run %d: %s %+v %v", ran.ID, ran.Status, ran.Counts, err)
		if err != nil {
			fatal("without faults: %v", err)
		}
		w.check(fatal)
		pass(5 * time.Minute)
	}
	w.settled(fatal)
	e := w.engine(m, true)
	ran, err := e.Run(context.Background(), engine.Options{})
	if err != nil || ran.Counts.Changed() != 0 {
		fatal("a run with nothing to do: %+v %v", ran, err)
	}
	sum, err := e.Compare(context.Background(), false, func(d engine.Drift) error {
		fatal("comparing finds %+v", d)
		return nil
	})
	if err != nil {
		fatal("compare: %v (%+v)", err, sum)
	}
}

// settled asserts that the tenant is what the source wants.
func (w *entraWorld) settled(fail func(string, ...any)) {
	users, holder := owned(w.tenant, fail), map[string]string{}
	for _, u := range w.tenant.Users() {
		holder[dirsync.Fold(text(u, "userPrincipalName"))] = text(u, "id")
	}
	for _, id := range append(peopleNamed("safe", 4), peopleNamed("risk", 4)...) {
		attrs, present := w.src.Attrs(id)
		str := func(name string) string { s, _ := attrs[name].(string); return s }
		u, has := users[id]
		taken := holder[dirsync.Fold(str("mail"))]
		switch {
		case !present || attrs["accountEnabled"] == false:
			if has && enabled(u) {
				fail("%s is gone or blocked and can sign in", id)
			}
		case str("displayName") == "" || taken != "" && (!has || taken != text(u, "id")): // rejected, and left as they are
		case !has || !enabled(u):
			fail("%s has no account that they can sign in with", id)
		case text(u, "userPrincipalName") != str("mail") || text(u, "department") != str("department") || text(u, "givenName") != str("givenName") || text(u, "displayName") != str("displayName"):
			fail("%s is %v, want %v", id, u, attrs)
		}
	}
}
