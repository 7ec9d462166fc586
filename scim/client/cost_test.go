package client_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dirsync"
	"dirsync/scim"
	"dirsync/scim/client"
	"dirsync/scim/scimtest"
)

func id(n int) dirsync.ID { return dirsync.ID(fmt.Sprintf("00000000-0000-4000-8000-%012d", n)) }

func values(first, last, email string) dirsync.Values {
	return dirsync.Values{}.
		Set(dirsync.FirstName, dirsync.Value{Type: dirsync.Text, Text: first}).
		Set(dirsync.LastName, dirsync.Value{Type: dirsync.Text, Text: last}).
		Set(dirsync.EmailAddress, dirsync.Value{Type: dirsync.Email, Text: email})
}

func joiner(n int) dirsync.Change {
	return dirsync.Change{Kind: dirsync.Create, Person: id(n), After: values("First", fmt.Sprint("Last", n), fmt.Sprintf("user%d@a.example", n))}
}

func joiners(from, to int) (out []dirsync.Change) {
	for n := from; n < to; n++ {
		out = append(out, joiner(n))
	}
	return out
}

// all applies changes and fails the test if one fails.
func all(t testing.TB, target dirsync.Batcher, changes []dirsync.Change) []dirsync.Account {
	t.Helper()
	out := make([]dirsync.Account, len(changes))
	for i, a := range target.ApplyAll(t.Context(), changes) {
		if a.Err != nil {
			t.Fatalf("change %d: %v", i, a.Err)
		}
		out[i] = a.Account
	}
	return out
}

func TestRequestsOfARun(t *testing.T) {
	app := scimtest.New()
	accounts := all(t, open(t, app), joiners(0, 950))
	if got, want := app.Requests(), (scimtest.Requests{Total: 951, List: 1, Post: 950}); got != want {
		t.Fatalf("the first run sent %+v, want %+v", got, want)
	}
	// A new process: 950 are there, ten pages long; 300 come, 100 change, and 50 go.
	app.ResetRequests()
	c := open(t, app)
	all(t, c, joiners(1000, 1300))
	var changes []dirsync.Change
	for n := range 100 {
		changes = append(changes, dirsync.Change{Kind: dirsync.Update, Person: id(n), Account: accounts[n].ID,
			Before: dirsync.Values{{Field: dirsync.LastName, Value: dirsync.Value{Type: dirsync.Text, Text: fmt.Sprint("Last", n)}}},
			After:  dirsync.Values{{Field: dirsync.LastName, Value: dirsync.Value{Type: dirsync.Text, Text: "King"}}}})
	}
	for n := 100; n < 150; n++ {
		changes = append(changes, dirsync.Change{Kind: dirsync.Deactivate, Person: id(n), Account: accounts[n].ID})
	}
	all(t, c, changes)
	got := app.Requests()
	want := scimtest.Requests{Total: 460, List: 10, Post: 300, Patch: 150}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got.Total != c.Requests() {
		t.Errorf("the client counts %d requests, the application %d", c.Requests(), got.Total)
	}
	// Nobody changed: nothing is sent.
	app.ResetRequests()
	all(t, c, nil)
	if got := app.Requests().Total; got != 0 {
		t.Errorf("got %d requests for nothing to do", got)
	}
}

// TestRequestsAreBounded counts a first run of N people beside strangers, with groups and managers, and then k changes: at
// most N + N/page, and k, and a few.
func TestRequestsAreBounded(t *testing.T) {
	const n, page, few = 2000, 100, 12
	app := scimtest.New()
	for i := range n {
		app.Put("/Users", fmt.Sprintf(`{"userName":"stranger%d@a.example"}`, i))
	}
	run := func(changes []dirsync.Change) (accounts []dirsync.Account, requests int) {
		c := open(t, app, withManager)
		groups, err := c.Groups()
		if err != nil {
			t.Fatal(err)
		}
		all(t, groups, []dirsync.Change{{Kind: dirsync.Create, Person: id(9001), After: dirsync.Values{{Field: "name", Value: dirsync.Value{Type: dirsync.Text, Text: "Sales"}}}}})
		app.ResetRequests()
		for part := range slices.Chunk(changes, 1000) {
			accounts = append(accounts, all(t, c, part)...)
		}
		return accounts, app.Requests().Total
	}
	first := joiners(0, n)
	for i := range first {
		first[i].After = first[i].After.Set(dirsync.GroupsField, groupsOf(id(9001)))
		if i > 0 {
			first[i].After = first[i].After.Set("manager", dirsync.Value{Type: dirsync.Reference, Text: string(id((i - 1) / 8))})
		}
	}
	accounts, got := run(first)
	if most := n + n/page + n/100 + few; got > most { // a PATCH of the group for each hundred who join
		t.Errorf("the first run of %d people took %d requests, want at most %d", n, got, most)
	}
	t.Logf("first run of %d people beside as many: %d requests", n, got)
	var changes []dirsync.Change
	for i := range 300 {
		changes = append(changes, dirsync.Change{Kind: dirsync.Update, Person: id(i), Account: accounts[i].ID, Before: accounts[i].Values,
			After: dirsync.Values{{Field: dirsync.LastName, Value: dirsync.Value{Type: dirsync.Text, Text: "King"}}}})
	}
	if _, got = run(changes); got > len(changes)+few {
		t.Errorf("%d changes took %d requests", len(changes), got)
	}
	t.Logf("%d changes: %d requests", len(changes), got)
}

// BenchmarkFirstRun is a first run of a thousand people into an empty application that answers at once: what the client
// itself costs, and how many requests.
func BenchmarkFirstRun(b *testing.B) {
	const n = 1000
	requests := 0
	for b.Loop() {
		app := scimtest.New()
		all(b, open(b, app), joiners(0, n))
		requests = app.Requests().Total
	}
	b.ReportMetric(float64(requests)/n, "requests/person")
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/n, "µs/person")
}

// TestWholeConcurrency makes accounts as fast as eight requests at once that take 20 ms each allow.
func TestWholeConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := scimtest.New()
		app.Hook = func(scimtest.Request) scimtest.Fault { return scimtest.Fault{Delay: 20 * time.Millisecond} }
		c := open(t, app)
		start := time.Now()
		for from := 0; from < 10_000; from += 1000 {
			all(t, c, joiners(from, from+1000))
		}
		took := time.Since(start)
		share := float64(app.Requests().Total) / took.Seconds() / (8 / 0.02)
		if share < 0.90 || share > 1.01 {
			t.Errorf("%.1f percent of what eight at once allow, want at least 90", share*100)
		}
		t.Logf("%d requests in %v of simulated time, %.1f percent", app.Requests().Total, took, share*100)
	})
}

// TestFewJoinersOfMany asks for three people instead of listing a thousand.
func TestFewJoinersOfMany(t *testing.T) {
	app := scimtest.New()
	all(t, open(t, app), joiners(0, 1000))
	app.ResetRequests()
	c := open(t, app)
	all(t, c, joiners(2000, 2003))
	// The first page, one control of the filter, three questions.
	if got, want := app.Requests(), (scimtest.Requests{Total: 8, List: 5, Post: 3}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	app.ResetRequests()
	all(t, c, joiners(2003, 2004))
	if got, want := app.Requests(), (scimtest.Requests{Total: 2, List: 1, Post: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func groupsOf(ids ...dirsync.ID) dirsync.Value {
	var texts []string
	for _, g := range ids {
		texts = append(texts, string(g))
	}
	slices.Sort(texts)
	return dirsync.NewList(texts)
}

func TestMembersInBatches(t *testing.T) {
	for _, w := range []struct {
		name    string
		quirks  scimtest.Quirks
		profile client.Profile
	}{
		{name: "by the book"},
		{name: "a hundred at once, members hidden", quirks: scimtest.Quirks{MaxMembers: 100, HideMembers: true, HideGroups: true}},
		{name: "removed by value", profile: client.Profile{Dialect: scim.Dialect{RemoveByValue: true}}},
	} {
		t.Run(w.name, func(t *testing.T) {
			app := scimtest.New()
			app.Quirks = w.quirks
			c := open(t, app, func(cfg *client.Config) { cfg.Profile = w.profile; cfg.Profile.PerSecond = 1e6 })
			groups, err := c.Groups()
			if err != nil {
				t.Fatal(err)
			}
			all(t, groups, []dirsync.Change{
				{Kind: dirsync.Create, Person: id(9001), After: dirsync.Values{{Field: "name", Value: dirsync.Value{Type: dirsync.Text, Text: "Sales"}}}},
				{Kind: dirsync.Create, Person: id(9002), After: dirsync.Values{{Field: "name", Value: dirsync.Value{Type: dirsync.Text, Text: "Support"}}}},
			})
			changes := joiners(0, 250)
			for i := range changes {
				changes[i].After = changes[i].After.Set(dirsync.GroupsField, groupsOf(id(9001)))
			}
			app.ResetRequests()
			accounts := all(t, c, changes)
			if got, want := app.Requests().Members, 3; got != want {
				t.Errorf("got %d requests for 250 members, want %d", got, want)
			}
			if got := accounts[0].Values; len(got) != 4 {
				t.Errorf("got %v, want the groups among the values", got)
			}
			// Everybody moves from one group to the other, and nothing else about them changes.
			for i := range changes {
				changes[i] = dirsync.Change{Kind: dirsync.Update, Person: id(i), Account: accounts[i].ID,
					Before: dirsync.Values{{Field: dirsync.GroupsField, Value: groupsOf(id(9001))}},
					After:  dirsync.Values{{Field: dirsync.GroupsField, Value: groupsOf(id(9002))}}}
			}
			app.ResetRequests()
			all(t, c, changes)
			if got, want := app.Requests(), (scimtest.Requests{Total: 6, Patch: 6, Members: 6}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			all(t, c, changes) // twice is the same as once
			app.Quirks.HideMembers = false
			if got, want := membersOf(app), map[string]int{"Sales": 0, "Support": 250}; fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got members %v, want %v", got, want)
			}
		})
	}
}

func membersOf(app *scimtest.App) map[string]int {
	out := map[string]int{}
	for _, g := range app.Groups() {
		name, _ := g.Text("displayName")
		out[name] = app.Members(name)
	}
	return out
}

// TestManagersComeFirst makes a whole tree of people with one POST each, whatever their order.
func TestManagersComeFirst(t *testing.T) {
	app := scimtest.New()
	c := open(t, app, withManager)
	var changes []dirsync.Change
	for n := 30; n >= 0; n-- {
		ch := joiner(n)
		if n > 0 {
			ch.After = ch.After.Set("manager", dirsync.Value{Type: dirsync.Reference, Text: string(id((n - 1) / 3))})
		}
		changes = append(changes, ch)
	}
	all(t, c, changes)
	if got, want := app.Requests(), (scimtest.Requests{Total: 32, List: 1, Post: 31}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	checkManagers(t, c, map[int]int{1: 0, 4: 1, 30: 9})
}

func TestManagersWhoComeLater(t *testing.T) {
	app := scimtest.New()
	c := open(t, app, withManager)
	boss := func(n, manager int) dirsync.Change {
		ch := joiner(n)
		ch.After = ch.After.Set("manager", dirsync.Value{Type: dirsync.Reference, Text: string(id(manager))})
		return ch
	}
	all(t, c, []dirsync.Change{boss(1, 2), boss(3, 2), boss(5, 6), boss(6, 5)}) // the last two in a circle
	if got, want := c.Waiting(), 2; got != want {
		t.Errorf("got %d references that wait, want %d", got, want)
	}
	all(t, c, []dirsync.Change{joiner(2)})
	if got, want := c.Waiting(), 0; got != want {
		t.Errorf("got %d references that wait, want %d", got, want)
	}
	checkManagers(t, c, map[int]int{1: 2, 3: 2, 5: 6, 6: 5})
	all(t, c, []dirsync.Change{boss(7, 8), boss(9, 8)})
	want := map[dirsync.ID][]string{id(7): {"manager"}, id(9): {"manager"}}
	if got := c.Unresolved(); !maps.EqualFunc(got, want, slices.Equal[[]string]) {
		t.Errorf("unresolved: %v, want %v", got, want)
	}
	if got := c.Unresolved(); len(got) != 0 {
		t.Errorf("unresolved once more: %v", got)
	}
}

// TestWaitingReferencesAfterARestart is what becomes of a manager who came after the program ended: the account shows no
// manager, which is not what it was given, and so a comparison finds it; one PATCH puts it right.
func TestWaitingReferencesAfterARestart(t *testing.T) {
	app := scimtest.New()
	ch := joiner(1)
	boss := dirsync.Value{Type: dirsync.Reference, Text: string(id(2))}
	ch.After = ch.After.Set("manager", boss)
	account := all(t, open(t, app, withManager), []dirsync.Change{ch})[0]
	c := open(t, app, withManager) // the program has ended
	all(t, c, []dirsync.Change{joiner(2)})
	shown := func() (out dirsync.Value) {
		t.Helper()
		err := c.Users(t.Context(), func(a dirsync.Account) error {
			if a.ID == account.ID {
				out, _ = a.Values.Get("manager")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if got := shown(); !got.IsNull() {
		t.Fatalf("got the manager %v, want none: nobody remembers", got)
	}
	app.ResetRequests()
	all(t, c, []dirsync.Change{{Kind: dirsync.Update, Person: id(1), Account: account.ID, Before: dirsync.Values{{Field: "manager"}},
		After: dirsync.Values{{Field: "manager", Value: boss}}}})
	if got, want := app.Requests(), (scimtest.Requests{Total: 1, Patch: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := shown(); got != boss {
		t.Errorf("got the manager %v, want %v", got, boss)
	}
}

func withManager(cfg *client.Config) {
	cfg.Fields = append(client.DefaultFields(), client.FieldPath{
		Field: dirsync.Field{Name: "manager", Type: dirsync.Reference}, Path: scim.EnterpriseURN + ":manager"})
}

func checkManagers(t *testing.T, c *client.Client, want map[int]int) {
	t.Helper()
	err := c.Users(t.Context(), func(a dirsync.Account) error {
		for n, boss := range want {
			got, _ := a.Values.Get("manager")
			if a.Source == id(n) && got.Text != string(id(boss)) {
				t.Errorf("the manager of %d is %q, want %q", n, got.Text, id(boss))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestWholeCeiling makes ten thousand accounts at a ceiling of 25 requests a second, and uses all of it.
func TestWholeCeiling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := scimtest.New()
		app.Quirks.PerSecond = 25
		app.Hook = func(r scimtest.Request) scimtest.Fault {
			return scimtest.Fault{Delay: time.Duration(50+r.N*37%200) * time.Millisecond}
		}
		c := open(t, app, func(cfg *client.Config) { cfg.Profile.PerSecond = 25 })
		start := time.Now()
		for from := 0; from < 10_000; from += 1000 {
			all(t, c, joiners(from, from+1000))
		}
		took, n := time.Since(start), app.Requests()
		if n.Post != 10_000 || n.Throttled > 0 {
			t.Errorf("got %+v, want 10000 POSTs and nobody throttled", n)
		}
		if share := float64(n.Total) / took.Seconds() / 25; share < 0.97 || share > 1.01 {
			t.Errorf("%d requests took %v: %.1f percent of the ceiling", n.Total, took, share*100)
		}
		t.Logf("%d requests in %v of simulated time", n.Total, took)
		if got := c.Estimate(2500); got < 95*time.Second || got > 110*time.Second {
			t.Errorf("got an estimate of %v for 2500 requests, want about 100s", got)
		}
	})
}

// TestPaceIsLearned meets a limit far below the configured ceiling, said in every form.
func TestPaceIsLearned(t *testing.T) {
	for _, form := range []string{"seconds", "date", "fraction", "none"} {
		t.Run(form, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				app := scimtest.New()
				app.Quirks.PerSecond, app.Quirks.RetryAfter = 10, form
				app.Hook = func(scimtest.Request) scimtest.Fault { return scimtest.Fault{Delay: 100 * time.Millisecond} }
				c := open(t, app, func(cfg *client.Config) { cfg.Profile.PerSecond = 100 })
				start := time.Now()
				all(t, c, joiners(0, 1000))
				n := app.Requests()
				if len(app.Users()) != 1000 {
					t.Fatalf("got %d users", len(app.Users()))
				}
				if took := time.Since(start); took > 4*time.Minute || n.Throttled > 300 {
					t.Errorf("1000 creations at 10 a second took %v, with %d of %d throttled", took, n.Throttled, n.Total)
				}
				t.Logf("%v, %d of %d throttled", time.Since(start), n.Throttled, n.Total)
			})
		})
	}
}

// TestLongThrottlingStopsTheRun says when to come back, and sends nothing more until then.
func TestLongThrottlingStopsTheRun(t *testing.T) {
	for name, header := range map[string]string{"an hour": "3600", "absurd": "99999999999999999999", "infinite": "1e400", "a fraction": "3600.5",
		"a date in seventy years": "Wed, 21 Oct 2099 07:28:00 GMT"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				app := scimtest.New()
				app.Hook = func(r scimtest.Request) scimtest.Fault {
					if r.Method == http.MethodPost && r.N > 20 {
						return scimtest.Fault{Status: 429, Header: http.Header{"Retry-After": {header}}}
					}
					return scimtest.Fault{}
				}
				c := open(t, app)
				out := c.ApplyAll(t.Context(), joiners(0, 200))
				done, throttled := 0, 0
				for _, a := range out {
					if a.Err == nil {
						done++
					} else if e := a.Err.(*dirsync.Error); e.Kind == dirsync.Throttled && e.ID != "" && e.Hint != "" &&
						e.RetryAt.After(time.Now().Add(59*time.Minute)) && e.RetryAt.Before(time.Now().Add(25*time.Hour)) {
						throttled++
					}
				}
				if got := c.Estimate(100); got < 59*time.Minute || got > 2*time.Hour {
					t.Errorf("got an estimate of %v, want the pause and a little", got)
				}
				if done == 0 || done+throttled != 200 || len(app.Users()) != done {
					t.Errorf("got %d done and %d throttled of 200, %d users", done, throttled, len(app.Users()))
				}
				if n := app.Requests().Total; n > 40 {
					t.Errorf("%d requests were sent, most of them after the target had asked for quiet", n)
				}
			})
		})
	}
}

// TestBreaker leaves a target alone that is down, and goes on when it is back.
func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := scimtest.New()
		start := time.Now()
		app.Hook = func(scimtest.Request) scimtest.Fault {
			if since := time.Since(start); since > time.Second && since < 40*time.Second {
				return scimtest.Fault{Status: 503, Body: "<h1>down</h1>"}
			}
			return scimtest.Fault{Delay: 100 * time.Millisecond}
		}
		c := open(t, app, func(cfg *client.Config) { cfg.Profile.PerSecond = 100 })
		changes := joiners(0, 400)
		for range 6 {
			var left []dirsync.Change
			for i, a := range c.ApplyAll(t.Context(), changes) {
				if a.Err != nil {
					left = append(left, changes[i])
				}
			}
			changes = left
		}
		if len(changes) > 0 || len(app.Users()) != 400 {
			t.Errorf("%d are left, and there are %d users", len(changes), len(app.Users()))
		}
		n := app.Requests().Total
		if n > 1200 {
			t.Errorf("%d requests for 400 people", n)
		}
		t.Logf("%d requests, %v", n, time.Since(start))
	})
}

// TestMemory keeps some hundred bytes an account, and less where ids are GUIDs.
func TestMemory(t *testing.T) {
	const people = 100_000
	pages := pager(func(n int) string {
		return fmt.Sprintf(`{"id":"11111111-0000-4000-8000-%012d","externalId":"%s","userName":"user%d@a.example","active":true}`, n, id(n), n)
	}, people)
	c, err := client.New(client.Config{BaseURL: base, Token: "t", Transport: pages, Profile: client.Profile{PerSecond: 1e9, PageSize: 1000}})
	if err != nil {
		t.Fatal(err)
	}
	before := heap()
	n := 0
	if err := c.Users(context.Background(), func(dirsync.Account) error { n++; return nil }); err != nil || n != people {
		t.Fatal(n, err)
	}
	each := float64(heap()-before) / people
	t.Logf("%.0f bytes an account", each)
	if each > 150 {
		t.Errorf("%.0f bytes an account are remembered, want at most 150", each)
	}
	runtime.KeepAlive(c)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// pager answers lists of any length without keeping them.
func pager(user func(n int) string, total int) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		var start, count int
		_, _ = fmt.Sscan(r.URL.Query().Get("startIndex"), &start)
		_, _ = fmt.Sscan(r.URL.Query().Get("count"), &count)
		var b strings.Builder
		fmt.Fprintf(&b, `{"totalResults":%d,"Resources":[`, total)
		for n := start; n < start+count && n <= total; n++ {
			if n > start {
				b.WriteByte(',')
			}
			b.WriteString(user(n))
		}
		b.WriteString("]}")
		return answer(200, b.String()), nil
	})
}
