package graph_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dirsync"
	"dirsync/graph"
	"dirsync/graph/graphtest"
)

func firstRead(how graph.FirstRead) func(*graph.Config) {
	return func(c *graph.Config) { c.FirstRead = how }
}

// Everybody is read, as plainly as by the delta query, at a fraction of the requests; and nobody is asked for twice
// because of it.
func TestFirstReadInParallel(t *testing.T) {
	const people = 4000
	w := serve(t, &graphtest.Tenant{}, firstRead(graph.FirstParallel))
	w.Generate(people, 1)
	s := w.client.Users(wantProperties())
	got := knownPeople(t, w, s)
	if got, want := w.Requests().List, people/999+maxParts+2; got > want {
		t.Errorf("%d lists were asked for, want at most %d, the sample and the count included", got, want)
	}
	if got, want := w.Requests().Delta, 2; got != want {
		t.Errorf("%d delta requests, want %d: the token before, and the catching up after", got, want)
	}
	plain := readAs(t, w, graph.FirstPlain)
	for id, attrs := range plain {
		for _, a := range attrs {
			if raw, ok := got[id].Get(a.Name); !ok || string(raw) != string(a.Raw) {
				t.Fatalf("%s: %s: got %s, want %s as the delta query says it", id, a.Name, raw, a.Raw)
			}
		}
	}
}

// knownPeople reads a first round, checks it, and returns what is known after it.
func knownPeople(t *testing.T, w *world, s *graph.Source) people {
	t.Helper()
	got := people{}
	err := s.Read(t.Context(), "", func(p dirsync.Page) error {
		got.take(p.Records)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	checkPeople(t, w, got, wantProperties())
	return got
}

// readAs reads everybody in one way.
func readAs(t *testing.T, w *world, how graph.FirstRead) people {
	t.Helper()
	cfg := w.config
	cfg.FirstRead = how
	return knownPeople(t, w, w.connect(t, cfg).Users(wantProperties()))
}

// Listed people are whole: what is not set is null, and whoever has no manager has none.
func TestListedPeopleAreWhole(t *testing.T) {
	w := serve(t, &graphtest.Tenant{}, firstRead(graph.FirstParallel))
	ids := w.Add(graphtest.User{"userPrincipalName": "Boss@contoso.com", "displayName": "Boss"}, graphtest.User{"userPrincipalName": "'odd@contoso.com", "department": "Ops"})
	w.SetManager(ids[1], ids[0])
	got := map[string]string{}
	err := w.client.Users([]string{"department", "manager"}).Read(t.Context(), "", func(p dirsync.Page) error {
		for _, r := range p.Records {
			row := fmt.Sprint(r.Whole)
			for _, a := range r.Attrs {
				row += fmt.Sprintf(" %s=%s", a.Name, a.Raw)
			}
			got[string(r.ID)] = row
		}
		return nil
	})
	want := map[string]string{
		ids[0]: `true accountEnabled=true department=null displayName="Boss" manager=null userPrincipalName="Boss@contoso.com"`,
		ids[1]: `true accountEnabled=true department="Ops" displayName=null manager="` + ids[0] + `" userPrincipalName="'odd@contoso.com"`,
	}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("got  %v, %v\nwant %v", got, err, want)
	}
}

// A small tenant is not asked for more than its people; a large one is read in parallel.
func TestFirstReadChooses(t *testing.T) {
	for _, test := range []struct {
		people      int
		counted     string
		list, delta int
	}{{150, "", 0, 1}, {900, "", 1, 5}, {900, "50000", 1, 5}, {900, "50001", 1 + 1 + maxParts + 1, 3}} {
		w := serve(t, &graphtest.Tenant{})
		w.Generate(test.people, 1)
		w.Hook = func(r *http.Request) graphtest.Fault {
			if n := w.Requests().Delta; strings.HasSuffix(r.URL.Path, "$count") && test.counted != "" && n == 1 {
				return graphtest.Fault{Status: http.StatusOK, Body: test.counted}
			}
			return graphtest.Fault{}
		}
		knownPeople(t, w, w.client.Users(wantProperties()))
		if r := w.Requests(); r.List > test.list || r.Delta != test.delta {
			t.Errorf("%d people: %d lists and %d delta pages, want at most %d and %d", test.people, r.List, r.Delta, test.list, test.delta)
		}
	}
	for name, fault := range map[string]graphtest.Fault{"refused": graphtest.BareError(400), "forbidden": graphtest.BareError(403), "no number": graphtest.HTMLPage(200)} {
		w := serve(t, &graphtest.Tenant{Faults: graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.List, Fault: fault}}}})
		w.Generate(300, 1)
		knownPeople(t, w, w.client.Users(wantProperties()))
		if got := w.Requests().List; got != 1 {
			t.Errorf("%s: %d lists were asked for, want one", name, got)
		}
	}
}

// Whatever cannot be listed, or cannot be proved to have been listed, is read by the delta query after all.
func TestFirstReadFallsBack(t *testing.T) {
	list := func(f graphtest.Fault, skip int) graphtest.Faults {
		return graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.List, Skip: skip, Fault: f}}}
	}
	odd := graphtest.User{"userPrincipalName": "über@contoso.com", "displayName": "Odd"}
	for name, test := range map[string]struct {
		faults graphtest.Faults
		user   graphtest.User
		hook   func(*http.Request) graphtest.Fault
		waits  int
	}{
		"a name that begins otherwise": {user: odd, waits: 1},
		"filters are refused":          {faults: list(graphtest.BareError(400), 0)},
		"a filter is refused":          {faults: list(graphtest.BareError(501), 20), waits: 2},
		"lists are not there":          {faults: list(graphtest.BareError(404), 0)},
		"the count is refused": {hook: func(r *http.Request) graphtest.Fault {
			if strings.HasSuffix(r.URL.Path, "$count") {
				return graphtest.BareError(400)
			}
			return graphtest.Fault{}
		}, waits: 1},
		"a list is empty": {hook: func(r *http.Request) graphtest.Fault {
			if strings.HasPrefix(r.URL.Query().Get("$filter"), "userPrincipalName ge 's' and") {
				return graphtest.Fault{Status: 200, Body: `{"value":[]}`}
			}
			return graphtest.Fault{}
		}, waits: 2 + 4},
		"filters are dropped": {hook: func(r *http.Request) graphtest.Fault {
			query := r.URL.Query()
			query.Del("$filter")
			r.URL.RawQuery = query.Encode()
			return graphtest.Fault{}
		}, waits: 2},
		"the latest token is refused": {hook: func(r *http.Request) graphtest.Fault {
			if strings.Contains(r.URL.RawQuery, "latest") {
				return graphtest.BareError(400)
			}
			return graphtest.Fault{}
		}},
		"the latest token is a whole round": {hook: func(r *http.Request) graphtest.Fault {
			if strings.Contains(r.URL.RawQuery, "latest") {
				return graphtest.Fault{Status: 200, Body: `{"value":[{"id":"1"}],"@odata.nextLink":"https://` + r.Host + `/v1.0/users/delta?$skiptoken=x"}`}
			}
			return graphtest.Fault{}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			test.faults.PageSize = 50
			w := serve(t, &graphtest.Tenant{Faults: test.faults, Hook: test.hook}, firstRead(graph.FirstParallel))
			w.Generate(300, 1)
			if test.user != nil {
				w.Add(test.user)
			}
			deleted, next := "", dirsync.Cursor("")
			s, got := w.client.Users(wantProperties()), people{}
			err := s.Read(t.Context(), "", func(p dirsync.Page) error {
				got.take(p.Records)
				next = p.Next
				for i := 0; i < len(p.Records) && deleted == ""; i++ {
					// Somebody who was listed already, and whom the delta query from its beginning would not mention.
					if id := string(p.Records[i].ID); managesNobody(w, id) {
						deleted = id
						w.Delete(id)
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			got.read(t, s, next)
			checkPeople(t, w, got, wantProperties())
			if got := len(w.clock.waits()); got != test.waits {
				t.Errorf("waited %d times for the replicas and the index, want %d", got, test.waits)
			}
		})
	}
}

// In a tenant that takes fifty milliseconds for an answer, a million people are read at least eight times as fast as by
// the delta query, the wait for the replicas included. The million is scaled: twenty thousand people on pages a fiftieth
// of the size are as many answers one after the other, and the clock counts nothing else.
func TestFirstReadIsFast(t *testing.T) {
	const people, scale, latency = 20_000, 50, 50 * time.Millisecond
	var took [2]time.Duration
	for i, how := range []graph.FirstRead{graph.FirstPlain, graph.FirstParallel} {
		synctest.Test(t, func(t *testing.T) {
			w := inProcess(t, &graphtest.Tenant{Now: time.Now}, func(c *graph.Config) { c.FirstRead, c.Now, c.Sleep = how, nil, nil })
			w.Generate(people, 1)
			w.SetFaults(graphtest.Faults{PageSize: 200 / scale, ListPage: 1000 / scale})
			w.Hook = func(*http.Request) graphtest.Fault { return graphtest.Fault{Delay: latency} }
			start, got := time.Now(), 0
			err := w.client.Users([]string{"department"}).Read(t.Context(), "", func(p dirsync.Page) error {
				got += len(p.Records)
				return nil
			})
			if took[i] = time.Since(start); err != nil || got != people {
				t.Errorf("%s: got %d people, %v, want %d", how, got, err, people)
			}
			if r := w.Requests(); how == graph.FirstParallel && r.List+r.Delta > people*scale/1000+maxParts+4 {
				t.Errorf("%d requests for %d pages, want at most one more for each part and four", r.List+r.Delta, people*scale/1000)
			}
		})
	}
	t.Logf("%v by the delta query, %v in parallel", took[0], took[1])
	if took[1]*8 > took[0] {
		t.Errorf("reading in parallel takes %v and by the delta query %v, want an eighth of it at most", took[1], took[0])
	}
}

// maxParts is how many parts a tenant is read in at most: one more than there are letters and bounds of a sample.
const maxParts = 26 + 15 + 1

// managesNobody tells whom a test can delete so that what becomes of their reports' links, which the service leaves open,
// does not matter.
func managesNobody(w *world, id string) bool {
	return !slices.ContainsFunc(w.Users(), func(u graphtest.User) bool { return u["manager"] == id })
}

// When one is told to wait, all wait; and throttling within the limits never costs a reading.
func TestFirstReadIsThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{Tenant: &graphtest.Tenant{Faults: graphtest.Faults{PageSize: 2}}}
		w.Generate(500, 1)
		who := w.Identity()
		c := w.connect(t, graph.Config{Tenant: who.ID, ClientID: who.ClientID, Credential: graph.Credential{Secret: who.Secret}, FirstRead: graph.FirstParallel,
			Authority: "https://graph.example", BaseURL: "https://graph.example", Transport: w.Transport()})
		var mu sync.Mutex
		var told time.Time
		early, worst, asked, refused := 0, 0, 0, 0
		w.Hook = func(r *http.Request) graphtest.Fault {
			mu.Lock()
			defer mu.Unlock()
			if strings.HasSuffix(r.URL.Path, "/token") {
				return graphtest.Fault{}
			}
			if time.Now().Before(told) {
				early++
				worst = max(worst, early)
			}
			if asked++; asked%100 == 0 {
				told, early, refused = time.Now().Add(100*time.Second), 0, refused+1
				return graphtest.Throttled("100")
			}
			return graphtest.Fault{}
		}
		start, got := time.Now(), people{}
		got.read(t, c.Users(wantProperties()), "")
		checkPeople(t, w, got, wantProperties())
		// Those that are on their way cannot be called back; a second each may have left before the answer was understood.
		if worst > 16 || refused < 2 {
			t.Errorf("%d requests came before the time that was told, of %d; %d were refused", worst, asked, refused)
		}
		if took, want := time.Since(start), time.Duration(refused)*100*time.Second; took < want || took > want+time.Minute {
			t.Errorf("the reading took %v, want %v and hardly more", took, want)
		}
	})
	// The service's own budget, a tight one, is kept to by being told.
	w := serve(t, &graphtest.Tenant{Faults: graphtest.Faults{EnforceBudget: true, Budget: 12, PageSize: 20}}, firstRead(graph.FirstParallel))
	w.Generate(500, 1)
	knownPeople(t, w, w.client.Users(wantProperties()))
}

// An error that says nothing about lists is an error.
func TestFirstReadFails(t *testing.T) {
	for name, test := range map[string]struct {
		fault graphtest.Fault
		kind  dirsync.ErrorKind
	}{
		"unavailable": {graphtest.HTMLPage(503), dirsync.Unavailable}, "throttled": {graphtest.Throttled("3600"), dirsync.Throttled},
		"forbidden": {graphtest.BareError(403), dirsync.Permission}, "a web page": {graphtest.HTMLPage(200), dirsync.Unavailable},
		"cut short": {graphtest.Fault{Truncate: true}, dirsync.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			w := serve(t, &graphtest.Tenant{Faults: graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.List, Skip: 3, Fault: test.fault}}}}, firstRead(graph.FirstParallel))
			w.Generate(50, 1)
			if _, _, err := (people{}).try(w.client.Users(nil), ""); dirsync.KindOf(err) != test.kind || dirsync.HintOf(err) == "" {
				t.Errorf("got %v (%v), want kind %v with advice", err, dirsync.KindOf(err), test.kind)
			}
		})
	}
	abroad := &graphtest.Tenant{}
	other := serve(t, abroad)
	for name, faults := range map[string]graphtest.Faults{"another host": {ForeignLinks: other.server.URL}, "in circles": {Loop: 1}} {
		faults.PageSize = 1
		w := serve(t, &graphtest.Tenant{Faults: faults}, firstRead(graph.FirstParallel))
		w.Generate(50, 1)
		if _, _, err := (people{}).try(w.client.Users(nil), ""); name == "another host" && (err == nil || abroad.Requests().Total != 0) {
			t.Errorf("%s: got %v and %d requests abroad", name, err, abroad.Requests().Total)
		}
	}
}

// A reading that breaks off anywhere goes on from there, and misses nothing that happened in between.
func TestFirstReadGoesOn(t *testing.T) {
	stop := errors.New("stop")
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 3))
		faults := graphtest.Faults{PageSize: 2 + r.IntN(5)}
		w := serve(t, &graphtest.Tenant{Faults: faults}, firstRead(graph.FirstParallel))
		w.Generate(60, seed)
		if seed%4 == 3 {
			w.Add(graphtest.User{"userPrincipalName": "ñandu@contoso.com"})
		}
		got, at, complete, rounds := people{}, dirsync.Cursor(""), false, 0
		for ; !complete; rounds++ {
			if rounds > 1000 {
				t.Fatal("the round does not end")
			}
			pages := r.IntN(5)
			err := w.client.Users(wantProperties()).Read(t.Context(), at, func(p dirsync.Page) error {
				got.take(p.Records)
				at, complete = p.Next, p.Complete
				if pages--; pages < 0 && !complete {
					return stop
				}
				return nil
			})
			if err != nil && err != stop {
				t.Fatal(err)
			}
			if ids := slices.Sorted(maps.Keys(got)); len(ids) > 0 && r.IntN(3) == 0 && !complete {
				id := string(ids[r.IntN(len(ids))])
				_, there := w.User(id)
				switch n := r.IntN(3); {
				case !there:
				case n == 0 && managesNobody(w, id):
					w.Delete(id)
				case n == 1:
					w.Update(id, map[string]any{"userPrincipalName": fmt.Sprintf("%crenamed%d@contoso.com", 'a'+rune(r.IntN(26)), rounds)})
				default:
					w.Add(graphtest.User{"displayName": "Newcomer"})
				}
			}
		}
		got.read(t, w.client.Users(wantProperties()), at) // what changed during the last pages
		checkPeople(t, w, got, wantProperties())
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// While a large tenant is read, people come, go, and change their names from one part into another, and the index lags.
// What is known in the end is what is true.
func TestFirstReadWhileAllChanges(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 4))
		lag := time.Duration(r.IntN(30)) * time.Second
		w := serve(t, &graphtest.Tenant{Faults: graphtest.Faults{PageSize: 1 + r.IntN(9), IndexLag: lag, Shuffle: r.IntN(2) == 0}}, firstRead(graph.FirstParallel))
		w.Generate(50, seed)
		change := func() {
			w.clock.pass(time.Duration(r.IntN(900)) * time.Millisecond)
			there := w.Users()
			id := fmt.Sprint(there[r.IntN(len(there))]["id"])
			switch r.IntN(6) {
			case 0:
				w.Delete(id)
			case 1:
				w.Purge(id)
			case 2:
				w.Add(graphtest.User{"userPrincipalName": fmt.Sprintf("%cnew%d@contoso.com", 'a'+rune(r.IntN(26)), r.IntN(1<<30)), "department": "Sales"})
			case 3:
				w.Update(id, map[string]any{"department": nil})
			case 4:
				w.SetManager(id, fmt.Sprint(there[r.IntN(len(there))]["id"]))
			default:
				w.Update(id, map[string]any{"userPrincipalName": fmt.Sprintf("%cx%d@contoso.com", 'a'+rune(r.IntN(26)), r.IntN(1<<30))})
			}
		}
		for range 20 {
			change() // before the token: the index has not heard of all of it
		}
		var busy atomic.Int32
		w.Set(func(tt *graphtest.Tenant) {
			tt.Hook = func(*http.Request) graphtest.Fault {
				if n := busy.Add(1); n < 60 && mixed(seed, n)%2 == 0 {
					w.Update(fmt.Sprint(w.Users()[0]["id"]), map[string]any{"department": fmt.Sprint("Team ", n)})
				}
				return graphtest.Fault{}
			}
		})
		got, next, pages := people{}, dirsync.Cursor(""), 0
		s := w.client.Users([]string{"department", "mail"})
		err := s.Read(t.Context(), "", func(p dirsync.Page) error {
			got.take(p.Records)
			next = p.Next
			if pages++; pages < 40 {
				change()
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		w.Set(func(tt *graphtest.Tenant) { tt.Hook = nil })
		got.read(t, s, next) // what changed during the last pages
		checkPeople(t, w, got, []string{"department", "mail"})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// mixed is chance without a lock, for hooks that are called by several at a time.
func mixed(seed uint64, n int32) uint64 { return seed*2654435761 ^ uint64(n)*40503 }
