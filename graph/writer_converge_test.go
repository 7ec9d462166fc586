package graph_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"dirsync"
	"dirsync/graph"
	"dirsync/graph/graphtest"
)

var writerSeeds = flag.Int("writer-seeds", 40, "how many random courses of writing TestWriterConverges takes")

// TestWriterConverges makes random changes in a tenant that fails at random, and tries again as an engine would. In the
// end the tenant holds what was wanted, each person has one account, and nobody else was touched.
func TestWriterConverges(t *testing.T) {
	for seed := range uint64(*writerSeeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			newWriterCourse(t, seed).run()
		})
	}
}

// writerCourse is one random course of changes and faults.
type writerCourse struct {
	*world
	t      *testing.T
	mu     sync.Mutex
	rand   *rand.Rand
	writer *graph.Writer
	cfg    graph.WriterConfig
	quiet  bool
	// wanted are the values of everybody who is to have an account, and links what an engine would know of them.
	wanted map[dirsync.ID]dirsync.Values
	links  map[dirsync.ID]*writerLink
	// told are the passwords that were delivered, by account.
	told map[string]string
}

type writerLink struct {
	account string
	doubt   bool
	dead    string // the account that was deleted last
}

const coursePeople = 14

func newWriterCourse(t *testing.T, seed uint64) *writerCourse {
	rnd := rand.New(rand.NewPCG(seed, 11))
	tenant := writable()
	tenant.Faults.Seed = seed
	tenant.Faults.EnforceWrites, tenant.Faults.WriteLimit = rnd.IntN(4) == 0, 40
	tenant.Faults.BareThrottle = rnd.IntN(2) == 0
	tenant.Faults.ShyExtensions = rnd.IntN(4) == 0
	tenant.Faults.UniqueNicknames = rnd.IntN(4) == 0
	tenant.Faults.NoDetails = rnd.IntN(6) == 0
	tenant.Faults.ObeyReturn = rnd.IntN(4) == 0
	tenant.Faults.ListPage = rnd.IntN(3)
	tenant.Faults.Conflict = []graphtest.Conflict{graphtest.ConflictDetail, graphtest.ConflictNamed, graphtest.ConflictVague}[rnd.IntN(3)]
	switch rnd.IntN(3) {
	case 0:
		tenant.Faults.Lag = 20 * time.Second
	case 1:
		tenant.Faults.Spread = 40 * time.Second
	}
	c := &writerCourse{world: inProcess(t, tenant, func(cfg *graph.Config) { cfg.ReplicaLag = 45 * time.Second }), t: t, rand: rnd, wanted: map[dirsync.ID]dirsync.Values{}, links: map[dirsync.ID]*writerLink{}, told: map[string]string{}}
	c.cfg = writing("department", "businessPhones", "employeeHireDate", "manager", "onPremisesExtensionAttributes/extensionAttribute3", "employeeOrgData/division", "employeeOrgData/costCenter")
	c.cfg.Passwords.Deliver = func(_ context.Context, account, _, password string) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.told[account] = password
		return nil
	}
	tenant.Hook = c.fault
	c.writer = writer(t, c.client, c.cfg)
	return c
}

func (c *writerCourse) some(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rand.IntN(n) == 0
}

// fault is what goes wrong with a request, inner ones included.
func (c *writerCourse) fault(r *http.Request) graphtest.Fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.quiet || !strings.HasPrefix(r.URL.Path, "/v1.0/") || c.rand.IntN(12) > 0 {
		return graphtest.Fault{}
	}
	return []graphtest.Fault{
		{Status: 503}, {Status: 503, Apply: true}, {Status: 504, Apply: true}, {Status: 500, Apply: true},
		graphtest.HTMLPage(502), {Reset: true}, graphtest.Throttled(""), graphtest.Throttled("3"), graphtest.Throttled("0.5"),
		{Status: 503, Header: http.Header{"Retry-After": {"2"}}},
	}[c.rand.IntN(10)]
}

func (c *writerCourse) run() {
	stranger := c.Add(graphtest.User{"userPrincipalName": "stranger@a.example", "displayName": "Stranger", "department": "S"})[0]
	before, _ := c.User(stranger)
	const rounds = 12
	for round := range rounds {
		if c.quiet = round >= rounds-3; c.quiet {
			c.clock.pass(5 * time.Minute) // until every replica has heard
		} else if c.some(4) {
			c.writer = writer(c.t, c.client, c.cfg) // the process died
		}
		c.clock.pass(time.Duration(c.rand.IntN(90)) * time.Second)
		c.round(round == rounds-1)
	}
	if after, _ := c.User(stranger); fmt.Sprint(after) != fmt.Sprint(before) {
		c.t.Errorf("a stranger was changed: %v", after)
	}
	c.check()
}

// values are what somebody is to have. Only managers name others, and only those who are wanted.
func (c *writerCourse) values(n int) dirsync.Values {
	v := dirsync.Values{}.
		Set("displayName", text(fmt.Sprint("Person ", n, " ", c.rand.IntN(5)))).
		Set("userPrincipalName", email(fmt.Sprintf("p%d.%d@a.example", n, c.rand.IntN(3)))).
		Set("department", maybe(c.rand, text(fmt.Sprint("D", c.rand.IntN(3))))).
		Set("businessPhones", maybe(c.rand, dirsync.NewList([]string{fmt.Sprint("+49 30 ", c.rand.IntN(9))}))).
		Set("employeeHireDate", maybe(c.rand, dirsync.Value{Type: dirsync.DateTime, Text: fmt.Sprintf("2026-01-0%dT00:00:00Z", 1+c.rand.IntN(9))})).
		Set("employeeOrgData/division", maybe(c.rand, text(fmt.Sprint("V", c.rand.IntN(3))))).
		Set("employeeOrgData/costCenter", maybe(c.rand, text(fmt.Sprint("C", c.rand.IntN(3))))).
		Set("onPremisesExtensionAttributes/extensionAttribute3", maybe(c.rand, text(fmt.Sprint("X", c.rand.IntN(3)))))
	boss := dirsync.Value{}
	if other := c.rand.IntN(coursePeople); other != n && c.rand.IntN(2) == 0 {
		boss = dirsync.Value{Type: dirsync.Reference, Text: string(person(other))}
	}
	return v.Set("manager", boss)
}

func text(s string) dirsync.Value  { return dirsync.Value{Type: dirsync.Text, Text: s} }
func email(s string) dirsync.Value { return dirsync.Value{Type: dirsync.Email, Text: s} }

func maybe(rnd *rand.Rand, v dirsync.Value) dirsync.Value {
	if rnd.IntN(3) == 0 {
		return dirsync.Value{}
	}
	return v
}

// round makes some changes, leavers first, as an engine would. In the last one everybody is written once more.
func (c *writerCourse) round(last bool) {
	var changes []dirsync.Change
	for _, kind := range []dirsync.ChangeKind{dirsync.Delete, dirsync.Update, dirsync.Create} {
		for n := range coursePeople {
			if change, ok := c.change(n, kind, last); ok {
				changes = append(changes, change)
			}
		}
	}
	for i, a := range c.writer.ApplyAll(c.t.Context(), changes) {
		ch, link := changes[i], c.links[changes[i].Person]
		switch kind := dirsync.KindOf(a.Err); {
		case a.Err == nil && ch.Kind == dirsync.Delete:
			*link = writerLink{dead: link.account}
		case a.Err == nil:
			*link = writerLink{account: a.Account.ID}
			if a.Account.Source != ch.Person || !a.Account.Active {
				c.t.Fatalf("%v of %s: got %+v", ch.Kind, ch.Person, a.Account)
			}
		case kind == dirsync.NotFound && !c.quiet:
			*link = writerLink{doubt: true}
		case kind == dirsync.Unavailable && !c.quiet, kind == dirsync.Throttled && !last:
			link.doubt = true
		default:
			c.t.Fatalf("%v of %s: %v (%v)", ch.Kind, ch.Person, a.Err, kind)
		}
	}
}

// change is what becomes of one person, if it is of this kind.
func (c *writerCourse) change(n int, kind dirsync.ChangeKind, last bool) (dirsync.Change, bool) {
	id := person(n)
	link := c.links[id]
	if link == nil {
		link = &writerLink{}
		c.links[id] = link
	}
	if kind == dirsync.Delete && !c.quiet { // once a round, before anything else
		switch _, there := c.wanted[id]; {
		case there && c.some(7):
			delete(c.wanted, id)
		case !there && c.some(3), there && c.some(2):
			c.wanted[id] = c.values(n)
		}
	}
	values, there := c.wanted[id]
	ch := dirsync.Change{Kind: kind, Person: id, Account: link.account, After: values}
	switch kind {
	case dirsync.Delete:
		ch.After = nil
		return ch, !there && (link.account != "" || link.doubt)
	case dirsync.Update:
		ch.Kind = []dirsync.ChangeKind{dirsync.Update, dirsync.Reactivate}[c.rand.IntN(2)]
		if c.some(2) { // what an engine believes decides whether the account is read first, and about nothing else
			for _, v := range values {
				ch.Before = ch.Before.Set(v.Field, dirsync.Value{})
			}
		}
		return ch, there && link.account != "" && !link.doubt
	default:
		if ch.Account == "" && link.dead != "" && !link.doubt && c.some(2) {
			ch.Account = link.dead // whoever comes back gets their account back
		}
		return ch, there && (link.account == "" || link.doubt) || last && there && link.doubt
	}
}

// check compares the tenant with what was wanted.
func (c *writerCourse) check() {
	accounts := map[dirsync.ID]graphtest.User{}
	ids := map[string]dirsync.ID{}
	for _, u := range c.Users() {
		var owner dirsync.ID
		if raw, ok := u[anchor].(json.RawMessage); ok {
			_ = json.Unmarshal(raw, &owner)
		}
		if owner == "" {
			if string(u["displayName"].(json.RawMessage)) != `"Stranger"` {
				c.t.Errorf("somebody has no anchor: %v", u)
			}
			continue
		}
		if accounts[owner] != nil {
			c.t.Errorf("%s has two accounts", owner)
		}
		accounts[owner] = u
		ids[u["id"].(string)] = owner
	}
	if len(accounts) != len(c.wanted) {
		c.t.Errorf("got %d accounts, want %d", len(accounts), len(c.wanted))
	}
	c.clock.pass(time.Hour) // until every replica has heard
	seen := 0
	err := writer(c.t, c.client, c.cfg).Users(c.t.Context(), func(a dirsync.Account) error {
		if a.Source == "" {
			return nil
		}
		seen++
		want := c.wanted[a.Source]
		if boss, _ := want.Get("manager"); !boss.IsNull() && c.wanted[dirsync.ID(boss.Text)] == nil {
			// Whoever is not there is waited for, and until then the manager stays who it was.
			is, _ := a.Values.Get("manager")
			want = want.With(dirsync.Values{{Field: "manager", Value: is}})
		}
		if !a.Active || !a.Values.Equal(want) {
			c.t.Errorf("%s: got %v %v\nwant %v", a.Source, a.Active, a.Values, want)
		}
		return nil
	})
	if err != nil || seen != len(c.wanted) {
		c.t.Errorf("the list has %d people, %v, want %d", seen, err, len(c.wanted))
	}
}
