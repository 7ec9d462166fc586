package graph_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"dirsync"
	"dirsync/graph"
	"dirsync/graph/graphtest"
)

// lookedUp is what a look-up says, and of how many records.
func lookedUp(t *testing.T, s dirsync.Source, ids []dirsync.ID) people {
	t.Helper()
	got, calls := people{}, 0
	err := s.LookUp(t.Context(), ids, func(r dirsync.Record) error {
		if calls++; r.Whole != (r.Gone == dirsync.Present) {
			t.Errorf("%s is %s, and whole is %v", r.ID, r.Gone, r.Whole)
		}
		got.take([]dirsync.Record{r})
		return nil
	})
	if err != nil || calls != len(ids) {
		t.Fatalf("got %d records of %d, %v", calls, len(ids), err)
	}
	return got
}

func allIDs(w *world) []dirsync.ID {
	var ids []dirsync.ID
	for _, u := range w.Users() {
		ids = append(ids, dirsync.ID(fmt.Sprint(u["id"])))
	}
	return ids
}

// Many people cost few requests, and everything that is said of them is as it would be of each alone.
func TestLookUpMany(t *testing.T) {
	const properties = "givenName surname mail department businessPhones employeeHireDate onPremisesExtensionAttributes/extensionAttribute1"
	extension := graphtest.Extension{Name: "badge"}.Property()
	boss := append(strings.Fields(properties), "manager")
	for name, test := range map[string]struct {
		properties []string
		faults     graphtest.Faults
		want       graphtest.Requests
	}{
		"by ids":                 {strings.Fields(properties), graphtest.Faults{}, graphtest.Requests{ByIDs: 3}},
		"with an extension":      {append(strings.Fields(properties), extension), graphtest.Faults{}, graphtest.Requests{ByIDs: 3}},
		"with managers":          {boss, graphtest.Faults{}, graphtest.Requests{List: 137}},
		"extras":                 {strings.Fields(properties), graphtest.Faults{Extras: true}, graphtest.Requests{ByIDs: 3}},
		"without a permission":   {strings.Fields(properties), graphtest.Faults{ByIDsWide: true}, graphtest.Requests{ByIDs: 3, List: 137}},
		"$select is disregarded": {strings.Fields(properties), graphtest.Faults{ByIDsPlain: true}, graphtest.Requests{ByIDs: 3, List: 137}},
		"short pages":            {boss, graphtest.Faults{PageSize: 10}, graphtest.Requests{List: 137, Get: 136 * 5}},
	} {
		t.Run(name, func(t *testing.T) {
			w := serve(t, &graphtest.Tenant{Faults: test.faults})
			w.Generate(2050, 3)
			w.Update(fmt.Sprint(w.Users()[7]["id"]), map[string]any{extension: "x-7"})
			ids := allIDs(w)
			w.ResetRequests()
			s := w.client.Users(test.properties)
			got := lookedUp(t, s, ids)
			checkPeople(t, w, got, slices.DeleteFunc(slices.Clone(test.properties), func(p string) bool { return p == "manager" }))
			for _, u := range w.Users() {
				id := dirsync.ID(fmt.Sprint(u["id"]))
				if boss, _ := u["manager"].(string); got[id].Text("manager") != boss && slices.Contains(test.properties, "manager") {
					t.Fatalf("%s: got manager %q, want %q", id, got[id].Text("manager"), boss)
				}
			}
			count := w.Requests()
			if test.want.List > 0 && count.ByIDs > 0 && count.ByIDs < test.want.ByIDs {
				count.ByIDs = test.want.ByIDs // not all were on their way when the first was refused
			}
			if got := (graphtest.Requests{ByIDs: count.ByIDs, List: count.List, Get: count.Get}); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			if test.want.List > 0 {
				w.ResetRequests()
				lookedUp(t, s, ids[:30])
				if got := w.Requests().ByIDs; got != 0 {
					t.Errorf("getByIds was asked again %d times, although it has not answered", got)
				}
			}
		})
	}
}

// Whoever is not in the answer is asked for alone, and everybody of whom only an id came.
func TestLookUpManyGone(t *testing.T) {
	w := serve(t, &graphtest.Tenant{})
	w.Add(make([]graphtest.User, 40)...)
	ids := allIDs(w)
	w.Delete(string(ids[3]))
	w.Purge(string(ids[5]))
	ids = append(ids, "11111111-2222-4333-8444-555555555555")
	gone := map[dirsync.ID]dirsync.Gone{}
	err := w.client.Users(nil).LookUp(t.Context(), ids, func(r dirsync.Record) error {
		if r.Gone != dirsync.Present {
			gone[r.ID] = r.Gone
		}
		return nil
	})
	want := map[dirsync.ID]dirsync.Gone{ids[3]: dirsync.GoneSoft, ids[5]: dirsync.GoneHard, ids[40]: dirsync.GoneHard}
	if err != nil || fmt.Sprint(gone) != fmt.Sprint(want) {
		t.Errorf("got %v, %v, want %v", gone, err, want)
	}
	if got := w.Requests(); got.ByIDs != 1 || got.Get != 3+2 {
		t.Errorf("got %+v, want one request for all, and five for those who were left out", got)
	}
	if err := w.client.Users(nil).LookUp(t.Context(), append(ids, "ada@contoso.com"), func(dirsync.Record) error { return nil }); dirsync.KindOf(err) != dirsync.Invalid {
		t.Errorf("a name in an id's place: got %v", err)
	}
}

func TestLookUpManyLimited(t *testing.T) {
	w := serve(t, &graphtest.Tenant{Roles: []string{"GroupMember.Read.All", "Organization.Read.All"}})
	w.Add(make([]graphtest.User, 40)...)
	ids := allIDs(w)
	for name, faults := range map[string]graphtest.Faults{"no permission": {}, "limited": {Limited: true}} {
		w.SetFaults(faults)
		calls := 0
		err := w.client.Users(nil).LookUp(t.Context(), ids, func(dirsync.Record) error { calls++; return nil })
		if dirsync.KindOf(err) != dirsync.Permission || calls != 0 || !strings.Contains(dirsync.HintOf(err), "User.Read.All") {
			t.Errorf("%s: got %d records, %v (%s)", name, calls, err, dirsync.HintOf(err))
		}
	}
}

// What goes wrong on the way is an error of the look-up, or made up for; it never makes anybody appear gone or half.
func TestLookUpManyUnderFaults(t *testing.T) {
	for name, test := range map[string]struct {
		fault graphtest.Fault
		want  dirsync.ErrorKind
	}{
		"throttled":    {graphtest.Throttled("3"), dirsync.Unknown},
		"a page":       {graphtest.HTMLPage(503), dirsync.Unknown},
		"reset":        {graphtest.Fault{Reset: true}, dirsync.Unknown},
		"cut short":    {graphtest.Fault{Truncate: true}, dirsync.Unavailable},
		"bad JSON":     {graphtest.BadJSON(), dirsync.Unavailable},
		"empty":        {graphtest.Empty(200), dirsync.Unavailable},
		"nobody":       {graphtest.Fault{Status: 200, Body: `{"value":[]}`}, dirsync.Unknown},
		"no such path": {graphtest.HTMLPage(404), dirsync.Unknown},
		"bad request":  {graphtest.Refused(400, "BadRequest"), dirsync.Unknown},
		"a redirect":   {graphtest.Fault{Status: http.StatusFound}, dirsync.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			for _, kind := range []graphtest.Kind{graphtest.ByIDs, graphtest.List} {
				w := serve(t, &graphtest.Tenant{Faults: graphtest.Faults{Rules: []graphtest.Rule{{On: kind, Times: 1, Fault: test.fault}}}})
				w.Generate(60, 5)
				properties := []string{"department"}
				if kind == graphtest.List {
					properties = append(properties, "manager")
				}
				got := people{}
				err := w.client.Users(properties).LookUp(t.Context(), allIDs(w), func(r dirsync.Record) error {
					got.take([]dirsync.Record{r})
					return nil
				})
				if dirsync.KindOf(err) != test.want || (err == nil) != (test.want == dirsync.Unknown) {
					t.Errorf("%s: got %v, want kind %v", kind, err, test.want)
				}
				if err == nil {
					checkPeople(t, w, got, []string{"department"})
				}
			}
		})
	}
}

func TestMembersOnly(t *testing.T) {
	w := serve(t, &graphtest.Tenant{})
	w.Generate(300, 1)
	s := w.client.MembersOnly([]string{"department"})
	got := people{}
	next, pages, err := got.try(s, "")
	if err != nil || pages != 1 || len(got) != 0 {
		t.Fatalf("got %d people on %d pages, %v; want nobody on one", len(got), pages, err)
	}
	id := dirsync.ID(fmt.Sprint(w.Users()[3]["id"]))
	w.Update(string(id), map[string]any{"department": "Moved"})
	w.Update(fmt.Sprint(w.Users()[4]["id"]), map[string]any{"city": "Elsewhere"}) // which was not asked for
	after := got.read(t, s, next)
	if len(got) != 1 || got[id].Text("department") != "Moved" {
		t.Errorf("got %v, want the one who moved", got)
	}
	if got, want := w.Requests().Delta, 2; got != want {
		t.Errorf("got %d requests, want %d", got, want)
	}
	for _, c := range []dirsync.Cursor{next, after} {
		if _, _, err := (people{}).try(w.client.Users([]string{"department"}), c); !errors.Is(err, dirsync.ErrCursorExpired) {
			t.Errorf("a reader of everybody: got %v, want ErrCursorExpired", err)
		}
	}
	whole := people{}
	all := whole.read(t, w.client.Users([]string{"department"}), "")
	if _, _, err := (people{}).try(s, all); err != nil {
		t.Errorf("with a cursor that has more: got %v", err)
	}
}

// Whoever is looked up after the first round is known as they are, however far behind each other replicas of the
// directory are.
func TestMembersOnlyWithReplicas(t *testing.T) {
	for seed := range uint64(60) {
		w := inProcess(t, &graphtest.Tenant{Faults: graphtest.Faults{Seed: seed, Spread: 15 * time.Second}})
		w.Generate(30, seed)
		w.clock.pass(time.Hour)
		for i, id := range w.IDs() {
			w.Update(id, map[string]any{"department": fmt.Sprint("New ", i)})
			w.clock.pass(time.Second)
		}
		s := w.client.MembersOnly([]string{"department"})
		got := people{}
		next := got.read(t, s, "")
		maps.Copy(got, lookedUp(t, s, allIDs(w)))
		w.clock.pass(time.Minute)
		got.read(t, s, next)
		if checkPeople(t, w, got, []string{"department"}); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// Without a token from now on nobody is read; everybody least of all.
func TestMembersOnlyRefused(t *testing.T) {
	for name, fault := range map[string]graphtest.Fault{
		"bad request": graphtest.Refused(400, "Request_UnsupportedQuery"),
		"gone":        graphtest.Refused(410, "resyncRequired"),
		"a round":     {Status: 200, Body: `{"value":[{"id":"a"}],"@odata.nextLink":"https://x/v1.0/users/delta?$skiptoken=x"}`},
		"people":      {Status: 200, Body: `{"value":[{"id":"a"}],"@odata.deltaLink":"https://x/v1.0/users/delta?$deltatoken=x"}`},
		"elsewhere":   {Status: 200, Body: `{"value":[],"@odata.deltaLink":"https://evil.example/v1.0/users/delta?$deltatoken=x"}`},
	} {
		w := serve(t, &graphtest.Tenant{Faults: graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.Delta, Fault: fault}}}}, func(c *graph.Config) { c.FirstRead = graph.FirstParallel })
		w.Generate(20, 1)
		calls := 0
		err := w.client.MembersOnly(nil).Read(t.Context(), "", func(dirsync.Page) error { calls++; return nil })
		if dirsync.KindOf(err) != dirsync.Unavailable || calls != 0 || errors.Is(err, dirsync.ErrCursorExpired) {
			t.Errorf("%s: got %v and %d pages, want kind unavailable and none", name, err, calls)
		}
		if got := w.Requests().Delta; got != 1 {
			t.Errorf("%s: %d requests were made, want 1", name, got)
		}
	}
}
