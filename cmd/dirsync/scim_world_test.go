package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dirsync"
	"dirsync/dirsynctest"
	"dirsync/mapping"
	"dirsync/scim"
	"dirsync/scim/client"
	"dirsync/scim/scimtest"
	"dirsync/sync/engine"
	"dirsync/sync/plan"
)

// scimWorld is a source, a store and an application that lists, filters, answers and fails in its own way. It must be made
// and used in a synctest bubble, whose clock is everybody's.
type scimWorld struct {
	t      testing.TB
	src    *dirsynctest.Source
	store  *dirsynctest.Store
	app    *scimtest.App
	client *client.Client
	// at is where people are written: app, or a house.
	at     application
	config client.Config
	policy plan.Policy
	join   []string
	teams  *scimTeams
	faults scimFaults
	// forgets says that the application keeps no externalId.
	forgets bool
	// before are the strangers as they were, accounts the account that each person was first given.
	before   string
	accounts map[dirsync.ID]string
}

// scimTeams is the part of a world that is about groups.
type scimTeams struct {
	src     *dirsynctest.GroupSource
	store   *dirsynctest.Store
	members dirsynctest.Members
	scope   []string
}

// scimTeamIDs are the groups: sales and support are chosen; berlin and cell may be nested in them and in one another.
func scimTeamIDs() []dirsync.ID { return []dirsync.ID{"g-sales", "g-support", "g-berlin", "g-cell"} }

// oddity is a way to be special: what the application does, and what its profile must say of it, if anything.
type oddity struct {
	name    string
	quirks  func(*scimtest.Quirks)
	profile func(*client.Profile)
	// not are the oddities that it cannot be together with. Alone says that such an application cannot have groups: members
	// are written with PATCH, and which group is which is in externalId.
	not   []string
	alone bool
}

func oddities() []oddity {
	return []oddity{
		{name: "no patch", quirks: func(q *scimtest.Quirks) { q.PatchUnsupported = true }, not: []string{"first operation", "strict paths"}, alone: true},
		{name: "no put", quirks: func(q *scimtest.Quirks) { q.PutUnsupported = true }, not: []string{"no patch"}},
		{name: "no content", quirks: func(q *scimtest.Quirks) { q.NoContent = true }},
		{name: "no content, read again", quirks: func(q *scimtest.Quirks) { q.NoContent = true }, profile: func(p *client.Profile) { p.Reread = true }},
		{name: "one on a page", quirks: func(q *scimtest.Quirks) { q.PageSize = 1 }, not: []string{"totals of the page"}},
		{name: "three on a page", quirks: func(q *scimtest.Quirks) { q.PageSize = 3 }, not: []string{"totals of the page", "one on a page"}},
		{name: "totals of the page", quirks: func(q *scimtest.Quirks) { q.WrongTotal, q.PageSize = true, 3 }, profile: func(p *client.Profile) { p.PageSize = 3 }},
		{name: "cursors forced", quirks: func(q *scimtest.Quirks) { q.ForceCursor = true }, not: []string{"totals of the page"}},
		{name: "cursors wanted", profile: func(p *client.Profile) { p.Cursor = true }},
		{name: "resources in lower case", quirks: func(q *scimtest.Quirks) { q.LowerResources = true }},
		{name: "filters ignored", quirks: func(q *scimtest.Quirks) { q.FilterIgnored = true }},
		{name: "filters refused", quirks: func(q *scimtest.Quirks) { q.FilterRefused = true }},
		{name: "no filter of externalId", quirks: func(q *scimtest.Quirks) { q.NoExternalFilter = true }},
		{name: "externalId is never found", quirks: func(q *scimtest.Quirks) { q.EmptyExternalFilter = true }},
		{name: "400 for 404", quirks: func(q *scimtest.Quirks) { q.BadForMissing = true }},
		{name: "400 for 409", quirks: func(q *scimtest.Quirks) { q.BadForDuplicate = true }},
		{name: "first operation", quirks: func(q *scimtest.Quirks) { q.FirstOperation = true }, profile: func(p *client.Profile) { p.Dialect.MaxOperations = 1 }},
		{name: "strict paths", quirks: func(q *scimtest.Quirks) { q.StrictTarget = true }},
		{name: "another dialect", profile: func(p *client.Profile) {
			p.Dialect = scim.Dialect{Together: true, Dotted: true, Capitalized: true, TextBooleans: true}
		}, not: []string{"first operation"}},
		{name: "exact names", quirks: func(q *scimtest.Quirks) { q.ExactNames = true }},
		{name: "delete deactivates", quirks: func(q *scimtest.Quirks) { q.DeleteDeactivates = true }, profile: func(p *client.Profile) { p.DeleteDeactivates = true }},
		{name: "display name required", quirks: func(q *scimtest.Quirks) { q.Required = []string{"displayName"} }, profile: func(p *client.Profile) { p.DisplayName = true }},
		{name: "one address", quirks: func(q *scimtest.Quirks) { q.OneEmail = true }},
		{name: "members hidden", quirks: func(q *scimtest.Quirks) { q.HideMembers = true }},
		{name: "groups hidden", quirks: func(q *scimtest.Quirks) { q.HideGroups = true }},
		{name: "strict members", quirks: func(q *scimtest.Quirks) { q.StrictMembers = true }},
		{name: "two members a request", quirks: func(q *scimtest.Quirks) { q.MaxMembers = 2 }, profile: func(p *client.Profile) { p.MaxMembers = 2 }},
		{name: "removed by value", profile: func(p *client.Profile) { p.Dialect.RemoveByValue = true }},
		{name: "status as a number", quirks: func(q *scimtest.Quirks) { q.NumberStatus = true }},
		{name: "errors in HTML", quirks: func(q *scimtest.Quirks) { q.HTMLErrors = true }},
		{name: "no discovery", quirks: func(q *scimtest.Quirks) { q.NoDiscovery = true }},
		{name: "discovery that lies", quirks: func(q *scimtest.Quirks) { q.FalseConfig = true }},
		{name: "lag", quirks: func(q *scimtest.Quirks) { q.Lag = 30 * time.Second }},
		{name: "slow", quirks: func(q *scimtest.Quirks) { q.PerSecond, q.RetryAfter = 2, "seconds" }},
		{name: "slow by the date", quirks: func(q *scimtest.Quirks) { q.PerSecond, q.RetryAfter = 2, "date" }, not: []string{"slow"}},
		{name: "slow without a time", quirks: func(q *scimtest.Quirks) { q.PerSecond, q.RetryAfter = 2, "none" }, not: []string{"slow", "slow by the date"}},
		{name: "no externalId", quirks: func(q *scimtest.Quirks) { q.NoExternalID = true }, profile: func(p *client.Profile) { p.NoExternalID = true },
			not: []string{"delete deactivates"}, alone: true},
	}
}

// choose picks the oddities of a world.
func choose(rnd *rand.Rand, n int, groups bool) (chosen []oddity) {
	all := slices.DeleteFunc(oddities(), func(o oddity) bool { return groups && o.alone })
	for range n {
		o := all[rnd.IntN(len(all))]
		if !slices.ContainsFunc(chosen, func(c oddity) bool {
			return c.name == o.name || slices.Contains(c.not, o.name) || slices.Contains(o.not, c.name)
		}) {
			chosen = append(chosen, o)
		}
	}
	return chosen
}

func newSCIMWorld(t testing.TB, seed uint64, chosen []oddity, concurrency int) *scimWorld {
	w := &scimWorld{t: t, src: dirsynctest.NewSource(seed), store: dirsynctest.NewStore(), app: scimtest.New(), accounts: map[dirsync.ID]string{}}
	w.at = w.app
	p := client.Profile{PerSecond: 1e5, Concurrency: concurrency}
	for _, o := range chosen {
		if o.quirks != nil {
			o.quirks(&w.app.Quirks)
		}
		if o.profile != nil {
			o.profile(&p)
		}
	}
	w.forgets = p.NoExternalID
	w.config = client.Config{Name: "App", BaseURL: "https://app.example/scim/v2", Token: "app-token", Profile: p, Fields: scimWorldFields(),
		Transport: scimtest.Watch(w.app.Transport(), func(violation string) { t.Error(violation) }, "app-token")}
	w.src.Fault, w.store.Fault, w.app.Hook = w.faults.next, w.faults.next, w.faults.answer
	return w
}

func scimWorldFields() []client.FieldPath {
	return append(client.DefaultFields(), client.FieldPath{Field: dirsync.Field{Name: "department", Type: dirsync.Text}, Path: scim.EnterpriseURN + ":department"})
}

// scimWorldMapping is the mapping of every world.
func scimWorldMapping(t testing.TB, change ...func(*mapping.Spec)) *mapping.Mapping {
	t.Helper()
	source, err := dirsynctest.NewSource(0).Fields(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var fields []dirsync.Field
	for _, f := range scimWorldFields() {
		if !slices.ContainsFunc(fields, func(other dirsync.Field) bool { return other.Name == f.Field.Name }) {
			fields = append(fields, f.Field)
		}
	}
	specs := []mapping.Spec{
		{Field: dirsync.FirstName, From: "givenName"}, {Field: dirsync.LastName, From: "surname"},
		{Field: dirsync.EmailAddress, From: "mail"}, {Field: "department", From: "department"},
	}
	for i := range specs {
		for _, fn := range change {
			fn(&specs[i])
		}
	}
	m, problems := mapping.Compile(specs, mapping.Expression{}, source, fields)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return m
}

func (w *scimWorld) withTeams(seed uint64, scoped bool) {
	w.teams = &scimTeams{src: dirsynctest.NewGroupSource(seed), store: dirsynctest.NewStore(), members: dirsynctest.NewMembers()}
	g := w.teams
	g.src.Deleted, g.src.Names, g.src.Nested = w.src.Deleted, []string{"sales", "support"}, true
	if scoped {
		g.scope, w.src.FromNow = []string{"sales", "support"}, true
	}
	for _, id := range scimTeamIDs() {
		g.src.Put(id, string(id[2:]))
	}
	g.src.Fault, g.store.Fault, g.members.Fault = w.faults.next, w.faults.next, w.faults.next
}

// engine is a process that goes on with the client of the one before, or with a new one.
func (w *scimWorld) engine(m *mapping.Mapping, fresh bool) *engine.Engine {
	if w.client == nil || fresh {
		var err error
		if w.client, err = client.New(w.config); err != nil {
			w.t.Fatal(err)
		}
	}
	free := plan.Every(plan.Limit{Count: plan.Unbounded, Share: plan.Unbounded})
	e := &engine.Engine{
		Sync: "staff", Source: w.src, Target: w.client, Store: w.store, Mapping: m, Join: w.join,
		Blocked: func(attrs dirsync.Attributes) bool {
			raw, _ := attrs.Get("accountEnabled")
			return string(raw) == "false"
		},
		Policy: w.policy, Limits: plan.Limits{Deletes: free, Deactivations: free, Removals: free, Blankings: free, Groups: free}, Batch: 4,
	}
	if g := w.teams; g != nil {
		groups, err := w.client.Groups()
		if err != nil {
			w.t.Fatal(err)
		}
		e.Groups = &engine.Groups{Source: g.src, Store: g.store, Members: g.members, Scope: g.scope, Nested: true, Target: groups, Synced: []string{"sales", "support"}}
	}
	return e
}

// scimFaults decides what becomes of each call and request. The zero value lets everything work.
type scimFaults struct {
	mu   sync.Mutex
	rand *rand.Rand
	// percent of the calls fail; dying of a thousand kill the process: nothing works any more until it is reborn.
	percent, dying int
	dead           bool
	// every, if not nil, is what every request is answered.
	every *scimtest.Fault
}

var errSCIMFault, errSCIMDead = errors.New("a fault"), errors.New("the process is dead")

// next is what becomes of a call to the source or the store.
func (f *scimFaults) next(op string) (before, after error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.dead:
		return errSCIMDead, nil
	case f.rand == nil:
		return nil, nil
	case f.rand.IntN(1000) < f.dying:
		f.dead = true
		if f.rand.IntN(2) == 0 {
			return errSCIMDead, nil
		}
		return nil, errSCIMDead
	case f.rand.IntN(400) >= f.percent: // four times as rare as those of the application
		return nil, nil
	}
	err := &dirsync.Error{Op: op, Kind: dirsync.Unavailable, Err: errSCIMFault}
	if f.rand.IntN(2) == 0 {
		return err, nil
	}
	return nil, err
}

// answer is what becomes of a request.
func (f *scimFaults) answer(scimtest.Request) scimtest.Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.dead:
		return scimtest.Fault{Refuse: true}
	case f.rand == nil:
		return scimtest.Fault{}
	case f.rand.IntN(1000) < f.dying:
		f.dead = true // the request may still arrive; nobody hears the answer
		return scimtest.Fault{Drop: true, Apply: f.rand.IntN(2) == 0}
	case f.every != nil:
		return *f.every
	case f.rand.IntN(100) >= f.percent:
		return scimtest.Fault{}
	}
	faults := append(lost(), scimtest.Fault{Delay: 3 * time.Minute, Apply: true},
		scimtest.Fault{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"600"}}},
		scimtest.Fault{Status: http.StatusOK, Body: "<html>Sign in</html>"}, scimtest.Fault{Status: http.StatusOK, Body: "<html>Sign in</html>", Apply: true})
	return faults[f.rand.IntN(len(faults))]
}

// arm makes calls fail; disarm ends that, and brings a dead process back. It tells whether there was one.
func (f *scimFaults) arm(seed uint64, percent, dying int, every *scimtest.Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rand, f.percent, f.dying, f.every = rand.New(rand.NewPCG(seed, 1)), percent, dying, every
}

func (f *scimFaults) disarm() (died bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	died = f.dead
	f.rand, f.dead = nil, false
	return died
}

// safePerson tells people who are changed in all ways, but never deleted and never blocked.
func safePerson(id dirsync.ID) bool { return strings.HasPrefix(string(id), "safe") }

func peopleNamed(prefix string, n int) []dirsync.ID {
	out := make([]dirsync.ID, n)
	for i := range out {
		out[i] = dirsync.ID(fmt.Sprintf("%s-%02d", prefix, i))
	}
	return out
}

func personNamed(name, mail string) map[string]any {
	return map[string]any{"displayName": name + " Test", "givenName": name, "surname": "Test", "mail": mail, "accountEnabled": true}
}

// users are the application's users by whose they are; nobody's are left out. Of an application that keeps no externalId
// the store says it.
func (w *scimWorld) users(fail func(string, ...any)) map[dirsync.ID]appUser {
	owner := map[string]dirsync.ID{}
	if w.forgets {
		people, err := w.store.People(w.t.Context(), 0, 1000)
		if err != nil {
			fail("people: %v", err)
		}
		for _, p := range people {
			if p.Link.Account != "" {
				owner[p.Link.Account] = p.ID
			}
		}
	}
	out := map[dirsync.ID]appUser{}
	for _, u := range appUsers(w.at) {
		id := dirsync.ID(u.external)
		if w.forgets {
			id = owner[u.id]
		}
		if id == "" {
			continue
		}
		if other, twice := out[id]; twice {
			fail("%s has two accounts, %s and %s", id, other.id, u.id)
		}
		out[id] = u
	}
	return out
}

// check asserts what must hold at every moment, faults or no faults.
func (w *scimWorld) check(fail func(string, ...any)) {
	users := w.users(fail)
	for id, u := range users {
		if first, ok := w.accounts[id]; ok && first != u.id && safePerson(id) {
			fail("%s had account %s and now has %s", id, first, u.id)
		}
		w.accounts[id] = u.id
	}
	for id, first := range w.accounts {
		if u, ok := users[id]; safePerson(id) && (!ok && !w.forgets || ok && !u.active) {
			fail("%s was never gone nor blocked at the source, and has lost account %s (there: %v)", id, first, ok)
		}
	}
	if now := strangers(w.t, w.at); now != w.before {
		fail("a stranger was touched: %s, was %s", now, w.before)
	}
}
