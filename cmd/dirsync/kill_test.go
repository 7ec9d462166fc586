package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/text/unicode/norm"

	"dirsync"
	"dirsync/graph/graphtest"
	"dirsync/store"
)

var kills = flag.Int("kills", 50, "how often TestKill kills a running dirsync")

// TestKill kills a real dirsync at random moments while its tenant keeps changing. After every kill the store is whole
// and nobody has lost anything; in the end the directory is what the tenant says. Most of the kills are of a sync of
// everybody, the others of one of chosen groups and the people in them.
func TestKill(t *testing.T) {
	t.Run("everybody", func(t *testing.T) {
		testKill(t, *kills-*kills*2/5, func(*killWorld) string { return "{ entra: contoso }" })
	})
	t.Run("groups", func(t *testing.T) {
		testKill(t, *kills*2/5, func(w *killWorld) string { return w.makeGroups() })
	})
}

// testKill kills n runs of a sync whose people come from what prepare returns.
func testKill(t *testing.T, n int, prepare func(*killWorld) string) {
	const people = 3000
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	tenant := &graphtest.Tenant{Roles: []string{"User.Read.All", "Organization.Read.All", "GroupMember.Read.All"}}
	tenant.Generate(people, 1)
	server := start(t, tenant)
	dir := t.TempDir()
	config := setUp(t, dir, server.URL, server.CA, tenant.Identity())
	w := &killWorld{t: t, tenant: tenant, path: filepath.Join(dir, "dirsync.db"), safe: map[string]bool{}, accounts: map[dirsync.ID]string{}, phases: map[dirsync.Phase]int{}}
	for i, u := range candidates(tenant.Users()) {
		w.ids = append(w.ids, text(u, "id"))
		w.safe[text(u, "id")] = i%2 == 0
	}
	unguarded(t, config, prepare(w))

	// The length of the first run has to be guessed, since it is killed as well.
	lengths := map[string]time.Duration{"": time.Second, "reading": 100 * time.Millisecond, "planning": 100 * time.Millisecond}
	hits := 0
	for tries := 0; hits < n; tries++ {
		if tries > 20*n+20 {
			t.Fatalf("only %d of %d processes were still running when they were to be killed", hits, tries)
		}
		w.change(rnd, 300)
		tenant.SetFaults(unkindness(rnd))
		stop := w.keepChanging(rnd.Uint64())
		// From the start of the process, from the end of its reading, or from the end of its planning.
		from := []string{"", "reading", "planning"}[rnd.IntN(3)]
		killed, took := killRun(t, config, from, time.Duration(rnd.Int64N(int64(lengths[from]))))
		stop()
		if killed {
			hits++
			w.phases[w.phase()]++
		} else {
			lengths[from] = took + time.Millisecond
		}
		w.check()
	}
	tenant.SetFaults(graphtest.Faults{})
	for range 2 {
		if killed, _ := killRun(t, config, "", time.Minute); killed {
			t.Fatal("a run without a kill took more than a minute")
		}
	}
	w.check()
	w.compare()
	t.Logf("killed in these phases: %v", w.phases)
	t.Logf("%d kills; %d requests, %d people at the end", hits, tenant.Requests().Total, len(tenant.Users()))
}

// killRun starts a run and kills it some time after it has begun, or has ended the phase that it calls by that name on
// its standard error. It returns whether the process was killed, and if not how long it took from there.
func killRun(t *testing.T, config, from string, after time.Duration) (killed bool, took time.Duration) {
	t.Helper()
	cmd := child(t, "run", "-c", config)
	var out bytes.Buffer
	cmd.Stdout = &out
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	lines := bufio.NewScanner(stderr)
	for from != "" && lines.Scan() {
		fmt.Fprintln(&said, lines.Text())
		if strings.HasPrefix(lines.Text(), from+":") {
			break
		}
	}
	began := time.Now()
	ended := make(chan error, 1)
	go func() {
		for lines.Scan() {
			fmt.Fprintln(&said, lines.Text())
		}
		ended <- cmd.Wait()
	}()
	deadline, cancel := context.WithTimeout(t.Context(), after)
	defer cancel()
	select {
	case err = <-ended:
	case <-deadline.Done():
		_ = cmd.Process.Signal(syscall.SIGKILL)
		err, killed = <-ended, true
	}
	if exit := (*exec.ExitError)(nil); !killed && err != nil && !(errors.As(err, &exit) && exit.ExitCode() == exitPartial) {
		t.Fatalf("run: %v\n%s%s", err, out.String(), said.String())
	}
	return killed, time.Since(began)
}

// unguarded says where people come from, and lifts the limits, which would rightly hold what 300 changes at once do.
func unguarded(t *testing.T, config, from string) {
	t.Helper()
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("{ entra: contoso }"), []byte(from), 1)
	// The floor matters while accounts are in doubt, since these are not among the accounts of which the share is taken.
	const none = "{ count: 100000, share: 100%, floor: 100000 }"
	limits := "    limits: { deactivations: " + none + ", blankings: " + none
	if strings.Contains(from, "groups") {
		limits += ", removals: " + none + ", groups: " + none
	}
	limits += " }\n"
	if err := os.WriteFile(config, append(text, limits...), 0o600); err != nil {
		t.Fatal(err)
	}
}

// unkindness is what the service may do to a reading without making it fail.
func unkindness(rnd *rand.Rand) graphtest.Faults {
	some := func(n int) int { return rnd.IntN(2) * (2 + rnd.IntN(n)) }
	f := graphtest.Faults{
		Seed: rnd.Uint64(), PageSize: rnd.IntN(2) * (20 + rnd.IntN(180)), VaryPages: rnd.IntN(2) == 0, EmptyPages: some(5), Repeat: some(9),
		OlderFirst: rnd.IntN(2) == 0, Replay: some(50), Strangers: some(5), Shuffle: rnd.IntN(2) == 0, Extras: rnd.IntN(2) == 0,
	}
	if f.OlderFirst {
		// The switches change between two attempts at one round. An old state that is replayed in the first attempt, and
		// not replayed in the second, would never be put right by the tenant; no client could survive that, and a service
		// that keeps what it replays in its tokens does not do it.
		f.Replay = 0
	}
	switch rnd.IntN(8) {
	case 0:
		f.RejectDelta, f.Rejection = true, graphtest.Rejection(rnd.IntN(6))
	case 1:
		f.ExpirePage, f.ExpirePageTimes = 2, 1
	}
	return f
}

// killWorld is a tenant that changes, and the store of the processes that are killed.
type killWorld struct {
	t      *testing.T
	tenant *graphtest.Tenant
	path   string
	mu     sync.Mutex
	ids    []string
	hired  int
	// safe people are never deleted, blocked or spoilt; they must never lose their account.
	safe     map[string]bool
	accounts map[dirsync.ID]string
	groups   killGroups
	// phases counts the kills by what the newest run was doing; ended is before it began or after it ended.
	phases map[dirsync.Phase]int
}

// phase is what the newest run was doing when its process ended.
func (w *killWorld) phase() (phase dirsync.Phase) {
	w.t.Helper()
	w.open(func(st *store.Store, _ *store.Directory) {
		runs, err := st.Sync("staff").Runs(w.t.Context(), 0, 1)
		if err != nil {
			w.t.Fatal(err)
		}
		phase = dirsync.PhaseEnded
		if len(runs) == 1 {
			phase = runs[0].Phase
		}
	})
	return phase
}

// change makes n changes in the tenant.
func (w *killWorld) change(rnd *rand.Rand, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for range n {
		id := w.ids[rnd.IntN(len(w.ids))]
		_, present := w.tenant.User(id)
		switch what := rnd.IntN(12); {
		case !present && what < 4:
			w.tenant.Restore(id)
		case !present:
		case what < 4:
			w.tenant.Update(id, map[string]any{"department": fmt.Sprint("D", rnd.IntN(9))})
		case what < 6:
			w.tenant.Update(id, map[string]any{"surname": fmt.Sprint("S", rnd.IntN(9))})
		case what == 6:
			w.tenant.Update(id, map[string]any{"department": nil})
		case what == 7:
			w.hired++
			name := fmt.Sprint("hired", w.hired)
			w.ids = append(w.ids, w.tenant.Add(graphtest.User{"givenName": name, "surname": "New", "displayName": name, "mail": name + "@contoso.com"})...)
		case w.safe[id]:
		case what == 8:
			w.tenant.Update(id, map[string]any{"accountEnabled": rnd.IntN(2) == 0})
		case what == 9:
			w.tenant.Update(id, map[string]any{"givenName": []any{nil, "G1", "G2"}[rnd.IntN(3)]})
		case what == 10 && rnd.IntN(10) == 0: // few, so that the guard lets them pass
			w.tenant.Delete(id)
		}
	}
	w.changeGroups(rnd, n)
}

// keepChanging changes the tenant while a process reads it, until stop is called.
func (w *killWorld) keepChanging(seed uint64) (stop func()) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				w.change(rnd, 3)
			}
		}
	}()
	return func() { close(done); <-ended }
}

// open opens the store that the killed process left behind, and closes it with the test's step.
func (w *killWorld) open(fn func(*store.Store, *store.Directory)) {
	w.t.Helper()
	st, err := store.Open(w.path, store.Options{})
	if err != nil {
		w.t.Fatalf("the store after a kill: %v", err)
	}
	d, err := st.Directory(dirsync.Field{Name: "department", Type: dirsync.Text}, dirsync.Field{Name: "office", Type: dirsync.Text})
	if err != nil {
		w.t.Fatal(err)
	}
	fn(st, d)
	if err := st.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// check asserts what must hold after every kill.
func (w *killWorld) check() {
	w.t.Helper()
	w.open(func(st *store.Store, d *store.Directory) {
		st.Sync("staff")
		broken, err := st.Verify(w.t.Context())
		if err != nil || len(broken) > 0 {
			w.t.Fatalf("the store is not whole: %v\n%s", err, strings.Join(broken, "\n"))
		}
		seen := map[dirsync.ID]bool{}
		err = d.Users(w.t.Context(), func(a dirsync.Account) error {
			if a.Source == "" {
				return nil // nobody's
			}
			switch first := w.accounts[a.Source]; {
			case seen[a.Source]:
				w.t.Fatalf("%s has two accounts", a.Source)
			case first != "" && first != a.ID:
				w.t.Fatalf("%s had account %s and now has %s", a.Source, first, a.ID)
			case w.safe[string(a.Source)] && !a.Active:
				w.t.Fatalf("%s was never deleted nor blocked, and is inactive", a.Source)
			}
			seen[a.Source], w.accounts[a.Source] = true, a.ID
			return nil
		})
		if err != nil {
			w.t.Fatal(err)
		}
		for id, account := range w.accounts {
			if !seen[id] {
				w.t.Fatalf("account %s of %s is gone", account, id)
			}
		}
	})
}

// compare asserts that the directory is what the tenant says.
func (w *killWorld) compare() {
	w.t.Helper()
	w.open(func(st *store.Store, d *store.Directory) {
		rows, err := rejections(w.t.Context(), st.Sync("staff"), 0)
		if err != nil {
			w.t.Fatal(err)
		}
		rejected := map[string]rejectionView{}
		for _, r := range rows {
			rejected[r.ID] = r
		}
		accounts := map[string]dirsync.Account{}
		if err := d.Users(w.t.Context(), func(a dirsync.Account) error { accounts[string(a.Source)] = a; return nil }); err != nil {
			w.t.Fatal(err)
		}
		faults := 0
		fail := func(format string, args ...any) {
			if faults++; faults <= 10 {
				w.t.Errorf(format, args...)
			}
		}
		present, wanted, members := map[string]bool{}, w.groups.wanted(), w.groups.members()
		for _, u := range w.tenant.Users() {
			id := text(u, "id")
			if wanted != nil && !wanted[id] {
				continue // and has no active account, see below
			}
			present[id] = true
			a, has := accounts[id]
			r, isRejected := rejected[id]
			valid := text(u, "givenName") != "" && text(u, "surname") != "" && text(u, "mail") != ""
			switch {
			case !enabled(u):
				if has && a.Active {
					fail("%s is blocked and has an active account", id)
				}
			case !valid && !isRejected:
				fail("%s has no names or no mail and is not rejected", id)
			case !valid:
			case isRejected && r.Field == dirsync.EmailAddress: // somebody else has the address
			case isRejected:
				fail("%s is rejected: %s %s", id, r.Field, r.Reason)
			case !has || !a.Active:
				fail("%s is there and has no active account", id)
			default:
				checkMember(a, members, fail)
				for field, property := range map[string]string{"first_name": "givenName", "last_name": "surname", "department": "department"} {
					got, _ := a.Values.Get(field)
					if want := norm.NFC.String(strings.TrimSpace(text(u, property))); got.Text != want {
						p, err := st.Sync("staff").Person(w.t.Context(), dirsync.ID(id))
						fail("%s: %s is %q, want %q; the shadow has %q, held are %v, doubt %v, owed %+v, %v",
							id, field, got.Text, want, p.Shadow.Text(property), p.Link.Held, p.Link.Doubt, p.Owed, err)
					}
				}
			}
		}
		for id, a := range accounts {
			if id != "" && !present[id] && a.Active {
				fail("%s is gone, or in no chosen group, and has an active account", id)
			}
		}
		w.groups.compare(w.t.Context(), d, fail)
		if faults > 10 {
			w.t.Errorf("… and %d more", faults-10)
		}
		if runs, err := st.Sync("staff").Runs(w.t.Context(), 0, 2); faults > 0 {
			w.t.Errorf("the last runs are %+v, %v", runs, err)
		}
	})
}

// serveTenant is a process that serves a simulated tenant of DIRSYNC_TEST_PEOPLE people and writes where on its
// standard output. With DIRSYNC_TEST_UNIQUE no two of them have one address. It ends with its standard input.
func serveTenant() {
	var n int
	if _, err := fmt.Sscan(envOr("DIRSYNC_TEST_PEOPLE", "1000"), &n); err != nil {
		panic(err)
	}
	tenant := &graphtest.Tenant{}
	tenant.Generate(n, 1)
	if os.Getenv("DIRSYNC_TEST_UNIQUE") != "" {
		seen := map[string]bool{}
		for _, u := range tenant.Users() {
			mail := strings.ToLower(text(u, "mail"))
			if mail != "" && seen[mail] {
				tenant.Update(text(u, "id"), map[string]any{"mail": text(u, "id") + "@contoso.com"})
			}
			seen[mail] = true
		}
	}
	server, err := graphtest.Start(tenant)
	if err != nil {
		panic(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(tenantAddress{server.URL, string(server.CA)}); err != nil {
		panic(err)
	}
	waitForEnd()
	server.Close()
}
