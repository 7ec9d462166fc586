package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dirsync"
	"dirsync/dirsynctest"
	"dirsync/mapping"
	"dirsync/sync/engine"
	"dirsync/sync/plan"
)

const day = 24 * time.Hour

// world is a source, a store and a target, and a clock that the test moves.
type world struct {
	src    *dirsynctest.Source
	store  *dirsynctest.Store
	target *dirsynctest.Target
	now    time.Time
	policy plan.Policy
	limits plan.Limits
	faults faults
	// join are the fields by which accounts that were there are found.
	join []string
	// teams are the groups; nil: there are none.
	teams *teams
	// accounts remembers the account that each person was first given.
	accounts map[dirsync.ID]string
}

func newWorld(seed uint64) *world {
	w := &world{
		src: dirsynctest.NewSource(seed), store: dirsynctest.NewStore(),
		target:   dirsynctest.NewTarget(dirsync.Field{Name: "department", Type: dirsync.Text}),
		now:      time.Date(2026, 1, 4, 2, 0, 0, 0, time.UTC),
		accounts: map[dirsync.ID]string{},
	}
	free := plan.Every(plan.Limit{Count: plan.Unbounded, Share: plan.Unbounded})
	w.limits = plan.Limits{Deletes: free, Deactivations: free, Removals: free, Blankings: free, Groups: free}
	w.src.Fault, w.store.Fault, w.target.Fault = w.faults.next, w.faults.next, w.faults.next
	w.target.FaultChange = func(dirsync.Change) (error, error) { return w.faults.next("change") }
	return w
}

// faults decides what becomes of each call. The zero value lets everything work.
type faults struct {
	mu   sync.Mutex
	rand *rand.Rand
	// percent of the calls fail; dying of a thousand kill the process: nothing works any more until reborn.
	percent, dying int
	dead           bool
}

var (
	errFault = errors.New("a fault")
	errDead  = errors.New("the process is dead")
)

func (f *faults) next(op string) (before, after error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.dead:
		return errDead, nil
	case f.rand == nil:
		return nil, nil
	case f.rand.IntN(1000) < f.dying:
		f.dead = true
		if f.rand.IntN(2) == 0 {
			return errDead, nil
		}
		return nil, errDead
	case f.rand.IntN(100) >= f.percent:
		return nil, nil
	}
	err := &dirsync.Error{Op: op, Kind: dirsync.Unavailable, Err: errFault}
	if f.rand.IntN(2) == 0 {
		return err, nil
	}
	return nil, err
}

// arm makes calls fail; disarm ends that, and brings a dead process back.
func (f *faults) arm(seed uint64, percent, dying int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rand, f.percent, f.dying = rand.New(rand.NewPCG(seed, 1)), percent, dying
}

func (f *faults) disarm() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rand, f.dead = nil, false
}

func testMapping(t testing.TB) *mapping.Mapping {
	t.Helper()
	return compile(t, dirsynctest.NewTarget(dirsync.Field{Name: "department", Type: dirsync.Text}))
}

func compile(t testing.TB, target dirsync.Target, more ...mapping.Spec) *mapping.Mapping {
	t.Helper()
	source, err := dirsynctest.NewSource(0).Fields(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fields, err := target.Fields(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	specs := append([]mapping.Spec{
		{Field: dirsync.FirstName, From: "givenName"}, {Field: dirsync.LastName, From: "surname"},
		{Field: dirsync.EmailAddress, From: "mail"}, {Field: "department", From: "department"},
	}, more...)
	m, problems := mapping.Compile(specs, mapping.Expression{}, source, fields)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return m
}

func (w *world) engine(m *mapping.Mapping) *engine.Engine {
	return &engine.Engine{
		Sync: "staff", Source: w.src, Target: w.target, Store: w.store, Mapping: m,
		Blocked: func(attrs dirsync.Attributes) bool {
			raw, _ := attrs.Get("accountEnabled")
			return string(raw) == "false"
		},
		Groups: w.engineGroups(), Join: w.join,
		Policy: w.policy, Limits: w.limits, Batch: 4, Now: func() time.Time { return w.now },
	}
}

// run makes one run. It fails the test when the run fails and no fault was armed.
func (w *world) run(t testing.TB, m *mapping.Mapping) dirsync.Run {
	t.Helper()
	r, err := w.engine(m).Run(context.Background(), engine.Options{AskedBy: "test", RetryNow: true})
	if err != nil {
		t.Fatalf("run %d: %v", r.ID, err)
	}
	return r
}

func person(name, mail string) map[string]any {
	return map[string]any{"displayName": name + " Test", "givenName": name, "surname": "Test", "mail": mail, "accountEnabled": true}
}

// check asserts what must hold at every moment, faults or no faults.
func (w *world) check(fail func(string, ...any)) {
	bySource := map[dirsync.ID]dirsync.Account{}
	for _, a := range w.target.Accounts() {
		if a.Source == "" {
			continue // nobody's
		}
		if other, ok := bySource[a.Source]; ok {
			fail("%s has two accounts, %s and %s", a.Source, other.ID, a.ID)
		}
		bySource[a.Source] = a
		if first, ok := w.accounts[a.Source]; ok && first != a.ID && safe(a.Source) {
			fail("%s had account %s and now has %s", a.Source, first, a.ID)
		}
		w.accounts[a.Source] = a.ID
	}
	for id := range w.accounts {
		if a, ok := bySource[id]; safe(id) && (!ok || !a.Active) {
			fail("%s was never gone nor blocked at the source, and has lost account %s (there: %v)", id, w.accounts[id], ok)
		}
	}
}

// safe people are changed in all ways by the tests, but never deleted and never blocked.
func safe(id dirsync.ID) bool { return strings.HasPrefix(string(id), "safe") }

// settled asserts that the target is what the source wants it to be.
func (w *world) settled(fail func(string, ...any)) {
	accounts := map[dirsync.ID]dirsync.Account{}
	holders := map[string]dirsync.ID{}
	wanting := map[string]int{}
	for _, id := range w.src.IDs() {
		if attrs, present := w.src.Attrs(id); present {
			mail, _ := attrs["mail"].(string)
			wanting[strings.ToLower(mail)]++
		}
	}
	for _, a := range w.target.Accounts() {
		if a.Source != "" {
			accounts[a.Source] = a
		}
		mail, _ := a.Values.Get(dirsync.EmailAddress)
		holders[strings.ToLower(mail.Text)] = a.Source
	}
	for _, id := range w.src.IDs() {
		attrs, present := w.src.Attrs(id)
		present = present && w.wants(id)
		a, has := accounts[id]
		str := func(name string) string { s, _ := attrs[name].(string); return s }
		valid := str("givenName") != "" && str("surname") != "" && str("mail") != ""
		switch {
		case !present && has && a.Active:
			fail("%s is gone and has an active account", id)
		case !present && has && w.policy.WhenDeleted == plan.Delete && w.policy.Grace == 0:
			fail("%s is gone and still has an account", id)
		case !present:
		case attrs["accountEnabled"] == false:
			if has && a.Active {
				fail("%s is blocked and has an active account", id)
			}
		case !valid: // left as it was, whatever that is
		default:
			holder, held := holders[strings.ToLower(str("mail"))]
			if holder != id && holder != "" || held && holder == "" && (wanting[strings.ToLower(str("mail"))] > 1 || has) {
				continue // rejected, because somebody else has the address, or because it could be more than one person's
			}
			if !has || !a.Active {
				fail("%s is there and has no active account (has one: %v)", id, has)
				continue
			}
			for field, attr := range map[string]string{dirsync.FirstName: "givenName", dirsync.LastName: "surname", dirsync.EmailAddress: "mail", "department": "department"} {
				if got, _ := a.Values.Get(field); got.Text != str(attr) {
					fail("%s: %s is %q, want %q", id, field, got.Text, str(attr))
				}
			}
		}
	}
	for id := range accounts {
		if !slices.Contains(w.src.IDs(), id) {
			fail("account of %q, who never was", id)
		}
	}
}

func ids(prefix string, n int) []dirsync.ID {
	out := make([]dirsync.ID, n)
	for i := range out {
		out[i] = dirsync.ID(fmt.Sprintf("%s-%02d", prefix, i))
	}
	return out
}

// scoped is the tests' mapping for those of whom an expression is true.
func scoped(t testing.TB, where string) *mapping.Mapping {
	t.Helper()
	source, _ := dirsynctest.NewSource(0).Fields(t.Context())
	fields, _ := dirsynctest.NewTarget(dirsync.Field{Name: "department", Type: dirsync.Text}).Fields(t.Context())
	specs := []mapping.Spec{
		{Field: dirsync.FirstName, From: "givenName"}, {Field: dirsync.LastName, From: "surname"},
		{Field: dirsync.EmailAddress, From: "mail"}, {Field: "department", From: "department"},
	}
	m, problems := mapping.Compile(specs, mapping.Expression{Text: where}, source, fields)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return m
}
