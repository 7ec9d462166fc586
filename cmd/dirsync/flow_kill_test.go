package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"dirsync"
	"dirsync/graph/graphtest"
	"dirsync/store"
)

// TestKillOutbound kills a real dirsync at random moments while it writes to a tenant that loses answers, with and without
// their effect, and throttles. After every kill nobody is doubled, nobody has lost an account and strangers are untouched;
// in the end the tenant is what the directory says. It makes two fifths of -kills.
//
//	go test -run TestKillOutbound ./cmd/dirsync -kills 200
func TestKillOutbound(t *testing.T) {
	const people = 200
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	o := newOutbound(t)
	o.tenant.Add(graphtest.User{"displayName": "Strange R", "userPrincipalName": "stranger@contoso.com", "department": "Elsewhere"})
	var mu sync.Mutex
	unkind, wild := rand.New(rand.NewPCG(seed, 1)), true
	o.tenant.Set(func(tenant *graphtest.Tenant) {
		tenant.Hook = func(*http.Request) graphtest.Fault {
			mu.Lock()
			defer mu.Unlock()
			if !wild || unkind.IntN(60) > 0 {
				return graphtest.Fault{}
			}
			all := []graphtest.Fault{{Status: 503}, {Status: 503, Apply: true}, {Status: 504, Apply: true}, {Reset: true}, graphtest.Throttled("0.05")}
			return all[unkind.IntN(len(all))]
		}
	})
	var ids []string
	change := func(n int) {
		var changes []dirsync.Change
		for range n {
			if len(ids) < people {
				changes = append(changes, ownPerson(len(ids)+len(changes)))
				continue
			}
			field := []string{"department", dirsync.FirstName}[rnd.IntN(2)]
			changes = append(changes, dirsync.Change{Kind: dirsync.Update, Account: ids[rnd.IntN(len(ids))],
				After: dirsync.Values{{Field: field, Value: dirsync.Value{Type: dirsync.Text, Text: fmt.Sprint("V", rnd.IntN(9))}}}})
			if len(changes) == n {
				break
			}
		}
		for i, a := range o.apply(changes...) {
			if changes[i].Kind == dirsync.Create {
				ids = append(ids, a.Account.ID)
			}
		}
	}
	change(people / 2)
	config, accounts := filepath.Join(o.dir, "config.yaml"), map[dirsync.ID]string{}
	check := func() map[dirsync.ID]graphtest.User {
		t.Helper()
		users := owned(o.tenant, t.Fatalf)
		for id, u := range users {
			if first := accounts[id]; first != "" && first != text(u, "id") {
				t.Fatalf("%s had account %s and now has %s", id, first, text(u, "id"))
			}
			accounts[id] = text(u, "id")
		}
		if len(users) != len(accounts) {
			t.Fatalf("%d people had accounts, and %d have one now", len(accounts), len(users))
		}
		return users
	}
	lengths := map[string]time.Duration{"": time.Second, "reading": time.Second, "planning": 700 * time.Millisecond}
	hits, times := 0, max(1, *kills*2/5)
	for tries := 0; hits < times; tries++ {
		if tries > 20*times+20 {
			t.Fatalf("only %d of %d processes were still running when they were to be killed", hits, tries)
		}
		change(40)
		from := []string{"", "reading", "planning"}[rnd.IntN(3)]
		killed, took := killRun(t, config, from, time.Duration(rnd.Int64N(int64(lengths[from]))))
		if killed {
			hits++
		} else {
			lengths[from] = max(took, 20*time.Millisecond)
		}
		check()
	}
	mu.Lock()
	wild = false
	mu.Unlock()
	for range 2 {
		if killed, _ := killRun(t, config, "", time.Minute); killed {
			t.Fatal("a run without a kill took more than a minute")
		}
	}
	users := check()
	o.edit(func(ctx context.Context, d *store.Directory) {
		err := d.Users(ctx, func(a dirsync.Account) error {
			value := func(name string) string { v, _ := a.Values.Get(name); return v.Text }
			u := users[dirsync.ID(a.ID)]
			want := strings.Join([]string{value("email"), value("first_name"), value("department")}, " ")
			if got := strings.Join([]string{text(u, "userPrincipalName"), text(u, "givenName"), text(u, "department")}, " "); got != want {
				t.Errorf("%s is %q in the tenant, want %q", a.ID, got, want)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	n := o.tenant.Requests()
	t.Logf("%d kills; %d people; %d batches, %d creations, %d updates", hits, len(ids), n.Batch, n.CreateUser, n.UpdateUser)
}
