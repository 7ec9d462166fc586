package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/text/unicode/norm"

	"dirsync"
	"dirsync/graph/graphtest"
	"dirsync/scim/scimtest"
	"dirsync/store"
)

// TestKillSCIM kills a real dirsync at random moments while it provisions to an application that loses answers, with and
// without their effect, breaks off in the middle, and throttles, and while tenant and application change. After every kill
// nobody is doubled, nobody who should be there has lost an account, and strangers are untouched; in the end the
// application is what the tenant says. Each of both halves makes a fifth of -kills.
//
//	go test -run TestKillSCIM ./cmd/dirsync -kills 200
func TestKillSCIM(t *testing.T) {
	t.Run("everybody", func(t *testing.T) {
		testKillSCIM(t, max(1, *kills/5), func(*killWorld) string { return "{ entra: contoso }" })
	})
	t.Run("groups", func(t *testing.T) {
		testKillSCIM(t, max(1, *kills/5), func(w *killWorld) string { return w.makeGroups() })
	})
}

// killApp is an application that is unkind while wild, and somebody who works in it.
type killApp struct {
	*scimtest.App
	mu   sync.Mutex
	rnd  *rand.Rand
	wild bool
	// storm is how many more requests are throttled.
	storm int
	// before are the strangers as they were.
	before string
}

// answer is what becomes of a request: one in forty ends badly, and now and then many in a row are throttled.
func (a *killApp) answer(scimtest.Request) scimtest.Fault {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case !a.wild:
		return scimtest.Fault{}
	case a.storm > 0:
		a.storm--
		return scimtest.Fault{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"0.05"}}}
	case a.rnd.IntN(100) == 0:
		a.storm = a.rnd.IntN(15)
	case a.rnd.IntN(40) == 0:
		faults := []scimtest.Fault{{Drop: true}, {Drop: true, Apply: true}, {Cut: true}, {Status: http.StatusBadGateway, Apply: true},
			{Status: http.StatusInternalServerError, Apply: true}, {Status: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {"0.1"}}}}
		return faults[a.rnd.IntN(len(faults))]
	}
	return scimtest.Fault{}
}

func (a *killApp) tame(wild bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wild = wild
}

// testKillSCIM kills n runs of a sync whose people come from what prepare returns.
func testKillSCIM(t *testing.T, times int, prepare func(*killWorld) string) {
	const people = 300
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	tenant := &graphtest.Tenant{Roles: []string{"User.Read.All", "Organization.Read.All", "GroupMember.Read.All"}}
	tenant.Generate(people, 1)
	server := start(t, tenant)
	app := &killApp{App: scimtest.New(), rnd: rand.New(rand.NewPCG(seed, 1))}
	app.Hook = app.answer
	for i := range 3 {
		app.Put("/Users", strings.ReplaceAll(stranger, "stranger@", fmt.Sprintf("stranger%d@", i)))
	}
	app.before = strangers(t, app.App)
	web := serveApp(t, app)
	dir := t.TempDir()
	config := setUp(t, dir, server.URL, server.CA, tenant.Identity())
	w := &killWorld{t: t, tenant: tenant, path: filepath.Join(dir, "dirsync.db"), safe: map[string]bool{}, accounts: map[dirsync.ID]string{}, phases: map[dirsync.Phase]int{}}
	for i, u := range candidates(tenant.Users()) {
		w.ids = append(w.ids, text(u, "id"))
		w.safe[text(u, "id")] = i%2 == 0
	}
	unguarded(t, config, prepare(w))
	toApplication(t, config, web)

	lengths := map[string]time.Duration{"": time.Second, "reading": time.Second, "planning": 700 * time.Millisecond}
	hits := 0
	for tries := 0; hits < times; tries++ {
		if tries > 20*times+20 {
			t.Fatalf("only %d of %d processes were still running when they were to be killed", hits, tries)
		}
		w.change(rnd, 60)
		app.tame(true)
		stop := w.keepChanging(rnd.Uint64())
		from := []string{"", "reading", "planning"}[rnd.IntN(3)]
		killed, took := killRun(t, config, from, time.Duration(rnd.Int64N(int64(lengths[from]))))
		stop()
		if killed {
			hits++
			w.phases[w.phase()]++
		} else {
			lengths[from] = max(took, 20*time.Millisecond)
		}
		w.checkApp(app)
	}
	app.tame(false)
	for range 2 {
		if killed, _ := killRun(t, config, "", time.Minute); killed {
			t.Fatal("a run without a kill took more than a minute")
		}
	}
	w.checkApp(app)
	w.compareApp(app)
	n := app.Requests()
	t.Logf("killed in these phases: %v", w.phases)
	t.Logf("%d kills; %d requests, of them %d throttled; %d people at the end", hits, n.Total, n.Throttled, len(tenant.Users()))
}

// toApplication makes the people of a configuration go to an application instead of the directory.
func toApplication(t *testing.T, config, url string) {
	t.Helper()
	body, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	s := strings.Replace(string(body), "    to: directory\n", "    to: { scim: app }\n", 1)
	s = strings.Replace(s, "store: {", `applications:
  app:
    url: `+url+`
    token: file:app-token
    limits: { per_second: 500 }
    fields:
      - { name: department, path: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department" }
      - { name: office, path: "addresses[type eq \"work\"].locality" }
store: {`, 1)
	if err := os.WriteFile(config, []byte(s), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(config), "app-token"), []byte("app-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// checkApp asserts what must hold after every kill.
func (w *killWorld) checkApp(app *killApp) {
	w.t.Helper()
	seen := map[dirsync.ID]bool{}
	for _, u := range appUsers(app.App) {
		id := dirsync.ID(u.external)
		if id == "" {
			continue
		}
		switch first := w.accounts[id]; {
		case seen[id]:
			w.t.Fatalf("%s has two accounts", id)
		case first != "" && first != u.id:
			w.t.Fatalf("%s had account %s and now has %s", id, first, u.id)
		case w.safe[u.external] && !u.active:
			w.t.Fatalf("%s was never deleted nor blocked, and is inactive", id)
		}
		seen[id], w.accounts[id] = true, u.id
	}
	for id, account := range w.accounts {
		if !seen[id] {
			w.t.Fatalf("account %s of %s is gone", account, id)
		}
	}
	if now := strangers(w.t, app.App); now != app.before {
		w.t.Fatalf("strangers are %s, were %s", now, app.before)
	}
	w.open(func(st *store.Store, _ *store.Directory) {
		if broken, err := st.Verify(w.t.Context()); err != nil || len(broken) > 0 {
			w.t.Fatalf("the store is not whole: %v\n%s", err, strings.Join(broken, "\n"))
		}
	})
}

// compareApp asserts that the application is what the tenant says.
func (w *killWorld) compareApp(app *killApp) {
	w.t.Helper()
	rejected := map[string]rejectionView{}
	w.open(func(st *store.Store, _ *store.Directory) {
		rows, err := rejections(w.t.Context(), st.Sync("staff"), 0)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, r := range rows {
			rejected[r.ID] = r
		}
	})
	users, groups := map[string]appUser{}, appGroups(app.App)
	for _, u := range appUsers(app.App) {
		users[u.external] = u
	}
	present, wanted, members := map[string]bool{}, w.groups.wanted(), w.groups.members()
	for _, p := range w.tenant.Users() {
		id := text(p, "id")
		if wanted != nil && !wanted[id] {
			continue // and has no active account, see below
		}
		present[id] = true
		u, has := users[id]
		r, isRejected := rejected[id]
		valid := text(p, "givenName") != "" && text(p, "surname") != "" && text(p, "mail") != ""
		switch {
		case !enabled(p):
			if has && u.active {
				w.t.Errorf("%s is blocked and has an active account", id)
			}
		case !valid && !isRejected:
			w.t.Errorf("%s has no names or no mail and is not rejected", id)
		case !valid:
		case isRejected && r.Field == dirsync.EmailAddress: // somebody else has the address
		case isRejected:
			w.t.Errorf("%s is rejected: %s %s", id, r.Field, r.Reason)
		case !has || !u.active:
			w.t.Errorf("%s is there and has no active account", id)
		default:
			tidy := func(property string) string { return norm.NFC.String(strings.TrimSpace(text(p, property))) }
			got, want := []string{u.first, u.last, u.department}, []string{tidy("givenName"), tidy("surname"), tidy("department")}
			if !slices.Equal(got, want) {
				w.t.Errorf("%s is %q, want %q", id, got, want)
			}
			var in []string
			for group, all := range members {
				if all[id] {
					in = append(in, group)
				}
			}
			slices.Sort(in)
			if got := inAppGroups(groups, u.id); !slices.Equal(got, in) {
				w.t.Errorf("%s is in %v, want %v", id, got, in)
			}
		}
	}
	for id, u := range users {
		if id != "" && !present[id] && u.active {
			w.t.Errorf("%s is gone, or in no chosen group, and has an active account", id)
		}
	}
	if got := len(groups); got != len(members) {
		w.t.Errorf("there are %d groups, want %d: %+v", got, len(members), groups)
	}
}
