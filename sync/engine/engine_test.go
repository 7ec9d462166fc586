package engine_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"dirsync"
	"dirsync/dirsynctest"
	"dirsync/mapping"
	"dirsync/sync/engine"
	"dirsync/sync/plan"
)

// TestMain makes the property tests worth their name by default: the faults that they have found took up to two
// thousand worlds to meet.
func TestMain(m *testing.M) {
	flag.Parse()
	set := false
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == "rapid.checks" })
	if !set {
		if err := flag.Set("rapid.checks", "3000"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m)
}

func counts(r dirsync.Run) dirsync.Counts { return r.Counts }

func staff(w *world, n int) {
	for i, id := range ids("safe", n) {
		w.src.Put(id, person(fmt.Sprint("P", i), fmt.Sprintf("p%d@x.org", i)))
	}
}

func TestFirstAndSecondRun(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	staff(w, 9)
	w.src.Put("room", map[string]any{"displayName": "Room 1", "userPrincipalName": "room1@x.org", "mail": "room1@x.org"})
	w.src.Put("blocked", map[string]any{"givenName": "B", "surname": "B", "mail": "b@x.org", "accountEnabled": false})

	first := w.run(t, m)
	want := dirsync.Counts{Read: 11, Created: 9, Rejected: 1, Unchanged: 1}
	if diff := cmp.Diff(want, counts(first)); diff != "" {
		t.Errorf("first run (-want +got):\n%s", diff)
	}
	if first.Status != dirsync.PartialSuccess || first.Phase != dirsync.PhaseEnded || first.ID != 1 {
		t.Errorf("first run ended %+v", first)
	}
	rejected, _, err := w.store.Rejections(t.Context(), 0, 10)
	wantRejected := []dirsync.Rejection{{ID: "room", User: "room1@x.org", Name: "Room 1", Faults: []dirsync.Fault{
		{Field: "first_name", Reason: "is required, but givenName is empty"}, {Field: "last_name", Reason: "is required, but surname is empty"}}}}
	if diff := cmp.Diff(wantRejected, rejected); diff != "" || err != nil {
		t.Errorf("rejections (-want +got), %v:\n%s", err, diff)
	}

	second := w.run(t, m)
	want = dirsync.Counts{Rejected: 1, Unchanged: 10}
	if diff := cmp.Diff(want, counts(second)); diff != "" {
		t.Errorf("second run (-want +got):\n%s", diff)
	}
	if second.Status != dirsync.PartialSuccess || second.Requests.Source != 1 {
		t.Errorf("second run: %+v, want partial success with one request", second)
	}
	if n := len(w.target.Applied()); n != 9 {
		t.Errorf("the target saw %d changes, want 9", n)
	}
}

func TestJoinersMoversLeavers(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	staff(w, 20)
	w.run(t, m)
	w.src.Put("safe-00", map[string]any{"department": "Sales"})
	w.src.Put("safe-01", map[string]any{"accountEnabled": false})
	w.src.Remove("safe-02")
	w.src.Put("new", person("New", "new@x.org"))
	w.src.Put("safe-03", map[string]any{"givenName": nil}) // bad data: left as they are
	r := w.run(t, m)
	want := dirsync.Counts{Read: 5, Created: 1, Updated: 1, Deactivated: 2, Rejected: 1, Unchanged: 16}
	if diff := cmp.Diff(want, counts(r)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var order []string
	for _, c := range w.target.Applied()[20:] {
		order = append(order, c.Kind.String()+" "+string(c.Person))
	}
	if got, want := strings.Join(order, ", "), "deactivate safe-01, deactivate safe-02, update safe-00, create new"; got != want {
		t.Errorf("order: %s, want %s", got, want)
	}
	w.src.Put("safe-01", map[string]any{"accountEnabled": true})
	w.src.Put("safe-02", nil)
	r = w.run(t, m)
	want = dirsync.Counts{Read: 2, Reactivated: 2, Rejected: 1, Unchanged: 18}
	if diff := cmp.Diff(want, counts(r)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What was written down on failure must come out right for one that the target cannot say anything about.
func TestFailedChangeIsTriedAgain(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	staff(w, 3)
	broken := errors.New("broken pipe")
	w.target.FaultChange = func(c dirsync.Change) (error, error) {
		if c.Person == "safe-01" {
			return nil, &dirsync.Error{Op: "create user", ID: c.Person, Kind: dirsync.Unavailable, Err: broken}
		}
		return nil, nil
	}
	r := w.run(t, m)
	if r.Status != dirsync.PartialSuccess || r.Counts.Failed != 1 || r.Counts.Created != 2 {
		t.Fatalf("got %s %+v", r.Status, r.Counts)
	}
	run := func(retryNow bool) dirsync.Run {
		t.Helper()
		r, err := w.engine(m).Run(t.Context(), engine.Options{RetryNow: retryNow})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := run(false); r.Counts.Failed != 0 || r.Status != dirsync.PartialSuccess || r.Counts.Unchanged != 2 {
		t.Errorf("before the next try is due: %s %+v", r.Status, r.Counts)
	}
	p, err := w.store.Person(t.Context(), "safe-01")
	if err != nil || p.Owed.Attempts != 1 || !p.Owed.Due.Equal(w.now.Add(engine.DefaultRetry()[0])) || p.Link.Doubt != dirsync.Create {
		t.Errorf("owed %+v, link %+v, %v", p.Owed, p.Link, err)
	}
	w.now = w.now.Add(engine.DefaultRetry()[0])
	if r := run(false); r.Counts.Failed != 1 {
		t.Errorf("when it is due: %+v", r.Counts)
	}
	if p, _ := w.store.Person(t.Context(), "safe-01"); p.Owed.Attempts != 2 || !p.Owed.Due.Equal(w.now.Add(engine.DefaultRetry()[1])) {
		t.Errorf("after the second failure: %+v", p.Owed)
	}
	w.target.FaultChange = nil
	if r := run(true); r.Status != dirsync.Success || len(w.target.Accounts()) != 3 {
		t.Errorf("at once: %s %+v, %d accounts", r.Status, r.Counts, len(w.target.Accounts()))
	}
}

func TestGuardHoldsOnlyWhatDestroys(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	w.policy.WhenDeleted = plan.Delete
	w.limits = plan.DefaultLimits()
	staff(w, 20)
	w.run(t, m)
	for _, id := range ids("safe", 6) {
		w.src.Remove(id)
	}
	w.src.Put("safe-10", map[string]any{"department": "Sales"})
	w.src.Put("new", person("New", "new@x.org"))
	for range 2 { // held again, not forgotten
		r := w.run(t, m)
		if r.Status != dirsync.PartialSuccess || r.Counts.Held != 6 || r.Counts.Deleted != 0 || len(r.Holds) != 1 {
			t.Fatalf("got %s %+v %v", r.Status, r.Counts, r.Holds)
		}
	}
	if got := len(w.target.Accounts()); got != 21 {
		t.Errorf("%d accounts, want all 20 and the new one", got)
	}
	w.src.Put("safe-00", nil) // one comes back, and the rest would be few enough, but nobody has decided yet
	r := w.run(t, m)
	if r.Counts.Deleted != 0 || r.Counts.Held != 5 || len(r.Holds) != 1 {
		t.Fatalf("got %s %+v %v", r.Status, r.Counts, r.Holds)
	}
	if n, err := w.engine(m).Approve(t.Context(), engine.Verdict{Hold: r.Holds[0].ID, Digest: r.Holds[0].Digest[:8], By: "test"}); err != nil || n != 5 {
		t.Fatalf("approve: %d %v", n, err)
	}
	if r := w.run(t, m); r.Counts.Deleted != 5 || r.Counts.Held != 0 || r.Status != dirsync.Success || r.Spent != (dirsync.Spent{}) {
		t.Errorf("got %s %+v", r.Status, r)
	}
}

func TestGrace(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	w.policy = plan.Policy{WhenDeleted: plan.Delete, Grace: 30 * day}
	staff(w, 2)
	w.run(t, m)
	w.src.Remove("safe-00")
	w.src.Remove("safe-01")
	if r := w.run(t, m); r.Counts.Deactivated != 2 {
		t.Fatalf("got %+v", r.Counts)
	}
	w.now = w.now.Add(29 * day)
	w.src.Put("safe-01", nil)
	if r := w.run(t, m); r.Counts.Deleted != 0 || r.Counts.Reactivated != 1 {
		t.Errorf("on day 29: %+v", r.Counts)
	}
	w.now = w.now.Add(day)
	if r := w.run(t, m); r.Counts.Deleted != 1 || len(w.target.Accounts()) != 1 {
		t.Errorf("on day 30: %+v", r.Counts)
	}
}

// A reading that stops in the middle leads to no change at all, and costs nobody anything once it is completed.
func TestFailedReadChangesNothing(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	staff(w, 20)
	w.run(t, m)
	for i := range 3 {
		w.src.Remove(ids("safe", 3)[i])
	}
	for _, id := range ids("safe", 20)[3:] {
		w.src.Put(id, map[string]any{"department": "Sales"})
	}
	reads := 0
	w.src.Fault = func(string) (error, error) {
		if reads++; reads == 3 {
			return &dirsync.Error{Op: "read users", Kind: dirsync.Unavailable, Err: errors.New("503")}, nil
		}
		return nil, nil
	}
	r, err := w.engine(m).Run(t.Context(), engine.Options{})
	if err == nil || r.Status != dirsync.Failure || r.Counts.Changed() != 0 || len(w.target.Applied()) != 20 {
		t.Fatalf("got %v %s %+v", err, r.Status, r.Counts)
	}
	if !strings.Contains(r.Error, "read: read users: 503") {
		t.Errorf("error %q", r.Error)
	}
	reads = 10
	if r := w.run(t, m); r.Counts.Deactivated != 3 || r.Counts.Updated != 17 || r.Counts.Read != 20 {
		t.Errorf("completed: %+v", r.Counts)
	}
	if pages := reads - 10; pages != 5 {
		t.Errorf("%d pages, want 5: the two already read are not read again", pages)
	}
}

// The tombstones of what was deleted while the cursor was expired never come. Whoever is not mentioned is looked up.
func TestExpiredCursorLosesAndDeletesNobody(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	staff(w, 12)
	w.run(t, m)
	w.src.Remove("safe-04")
	w.src.Put("safe-05", map[string]any{"department": "Sales"})
	w.src.ExpireCursors()
	lookUps := 0
	w.src.Fault = func(op string) (error, error) {
		if op == "LookUp" {
			lookUps++
		}
		return nil, nil
	}
	r := w.run(t, m)
	want := dirsync.Counts{Read: 12, Deactivated: 1, Updated: 1, Unchanged: 10}
	if diff := cmp.Diff(want, counts(r)); diff != "" || lookUps != 1 {
		t.Errorf("with %d look-ups (-want +got):\n%s", lookUps, diff)
	}
	if len(r.Notes) != 1 || !strings.HasPrefix(r.Notes[0], "everybody was read again") {
		t.Errorf("notes %q", r.Notes)
	}
}

func TestLookUpThatFailsProvesNothing(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	staff(w, 4)
	w.run(t, m)
	w.src.Remove("safe-01")
	w.src.ExpireCursors()
	w.src.Fault = func(op string) (error, error) {
		if op == "LookUp" {
			return &dirsync.Error{Op: "look up users", Kind: dirsync.Permission}, nil
		}
		return nil, nil
	}
	if _, err := w.engine(m).Run(t.Context(), engine.Options{}); err == nil {
		t.Fatal("want an error")
	}
	if n := len(w.target.Applied()); n != 4 {
		t.Errorf("%d changes, want the first 4 and no more", n)
	}
	w.src.Fault = nil
	if r := w.run(t, m); r.Counts.Deactivated != 1 {
		t.Errorf("afterwards: %+v", r.Counts)
	}
}

func TestSourceThatAlwaysBeginsAgainIsGivenUp(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	staff(w, 20)
	w.src.Fault = func(string) (error, error) { w.src.ExpirePages(); return nil, dirsync.ErrPageExpired }
	_, err := w.engine(m).Run(t.Context(), engine.Options{})
	if dirsync.KindOf(err) != dirsync.Unavailable {
		t.Errorf("got %v", err)
	}
}

func TestTargetThatIsDownStopsTheRun(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	staff(w, 60)
	w.target.FaultChange = func(c dirsync.Change) (error, error) {
		return &dirsync.Error{Op: "create user", ID: c.Person, Kind: dirsync.Unavailable, Err: errors.New("connection refused")}, nil
	}
	r, err := w.engine(m).Run(t.Context(), engine.Options{})
	if err == nil || r.Status != dirsync.Failure || len(w.target.Applied()) != 20 {
		t.Errorf("got %v %s after %d changes, want it to stop after 20", err, r.Status, len(w.target.Applied()))
	}
	w.target.FaultChange = nil
	if r := w.run(t, m); r.Counts.Created != 60 || r.Status != dirsync.Success {
		t.Errorf("afterwards: %s %+v", r.Status, r.Counts)
	}
}

// A credential that is refused is nobody's personal failure: it costs no waiting time.
func TestRefusedCredentialCostsNobodyTime(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	staff(w, 8)
	w.target.Fault = func(string) (error, error) {
		return &dirsync.Error{Op: "sign in", Kind: dirsync.Unauthorized}, nil
	}
	if _, err := w.engine(m).Run(t.Context(), engine.Options{}); dirsync.KindOf(err) != dirsync.Unauthorized {
		t.Fatalf("got %v", err)
	}
	w.target.Fault = nil
	r, err := w.engine(m).Run(t.Context(), engine.Options{})
	if err != nil || r.Counts.Created != 8 || r.Status != dirsync.Success {
		t.Errorf("at once afterwards: %v %s %+v", err, r.Status, r.Counts)
	}
}

// Whoever has an address keeps it; the other is rejected, and gets it as soon as it is free, in whatever order.
func TestTwoPeopleOneAddress(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	w.src.Put("a", person("Ana", "same@x.org"))
	w.src.Put("b", person("Bo", "SAME@x.org"))
	r := w.run(t, m)
	if r.Counts.Created != 1 || r.Counts.Rejected != 1 || r.Counts.Failed != 0 || r.Status != dirsync.PartialSuccess {
		t.Fatalf("got %s %+v", r.Status, r.Counts)
	}
	rejected, _, _ := w.store.Rejections(t.Context(), 0, 10)
	want := []dirsync.Rejection{{ID: "b", User: "SAME@x.org", Name: "Bo Test", Faults: []dirsync.Fault{
		{Field: "email", Value: "SAME@x.org", Reason: "is already used by u1"}}}}
	if diff := cmp.Diff(want, rejected); diff != "" {
		t.Errorf("rejections (-want +got):\n%s", diff)
	}
	w.src.Put("a", map[string]any{"mail": "ana@x.org"})
	if r := w.run(t, m); r.Counts.Created != 1 || r.Counts.Rejected != 0 || r.Status != dirsync.Success {
		t.Errorf("once it is free: %s %+v", r.Status, r.Counts)
	}
	// A chain against the order of people: b waits for what c lets go of later in the same run.
	w.src.Put("c", person("Cy", "c@x.org"))
	w.run(t, m)
	w.src.Put("b", map[string]any{"mail": "c@x.org"})
	w.src.Put("c", map[string]any{"mail": "cy@x.org"})
	if r := w.run(t, m); r.Counts.Updated != 2 || r.Status != dirsync.Success {
		t.Errorf("a chain: %s %+v", r.Status, r.Counts)
	}
}

func TestAccountRemovedInTheTargetComesBack(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	w.src.Put("a", person("Ana", "a@x.org"))
	w.run(t, m)
	w.target.Remove("u1")
	w.src.Put("a", map[string]any{"department": "Sales"})
	if r := w.run(t, m); r.Status != dirsync.PartialSuccess {
		t.Errorf("got %s %+v", r.Status, r.Counts)
	}
	if r := w.run(t, m); r.Status != dirsync.Success || r.Counts.Created != 1 {
		t.Errorf("got %s %+v", r.Status, r.Counts)
	}
}

// The option that is switched on later reaches the people whom reading has already passed over.
func TestChangedConfigPlansEverybodyAgain(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	staff(w, 3)
	w.src.Put("room", map[string]any{"displayName": "Room", "mail": "room@x.org", "surname": "Room"})
	w.run(t, m)
	all := "all"
	source, _ := w.src.Fields(t.Context())
	fields, _ := w.target.Fields(t.Context())
	m2, problems := mapping.Compile([]mapping.Spec{
		{Field: dirsync.FirstName, From: "givenName", Default: &all}, {Field: dirsync.LastName, From: "surname"}, {Field: dirsync.EmailAddress, From: "mail"},
	}, mapping.Expression{}, source, fields)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var planned int
	pv, err := w.engine(m2).Plan(t.Context(), func(_ dirsync.Person, d dirsync.Decision) error { planned++; return nil })
	if err != nil || planned != 1 || pv.Counts[dirsync.Create] != 1 {
		t.Errorf("preview: %d %+v %v", planned, pv, err)
	}
	r := w.run(t, m2)
	if r.Counts.Created != 1 || r.Counts.Read != 0 || r.Counts.Rejected != 0 || r.Status != dirsync.Success {
		t.Errorf("got %s %+v", r.Status, r.Counts)
	}
}

func TestPlanWritesNothing(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	staff(w, 5)
	e := w.engine(m)
	if c, _, err := e.Read(t.Context()); err != nil || c.Read != 5 {
		t.Fatalf("read %+v %v", c, err)
	}
	before, _ := w.store.People(t.Context(), 0, 10)
	pv, err := e.Plan(t.Context(), func(dirsync.Person, dirsync.Decision) error { return nil })
	if err != nil || pv.Counts[dirsync.Create] != 5 {
		t.Fatalf("plan %+v %v", pv, err)
	}
	after, _ := w.store.People(t.Context(), 0, 10)
	if diff := cmp.Diff(before, after, cmpopts.EquateEmpty()); diff != "" || len(w.target.Applied()) != 0 {
		t.Errorf("something changed: %s", diff)
	}
}

func TestCancelledRunIsClosed(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	staff(w, 30)
	ctx, cancel := context.WithCancel(t.Context())
	w.target.Fault = func(op string) (error, error) {
		if len(w.target.Applied()) >= 8 {
			cancel()
		}
		return nil, nil
	}
	r, err := w.engine(m).Run(ctx, engine.Options{})
	if !errors.Is(err, context.Canceled) || r.Status != dirsync.Failure || r.Phase != dirsync.PhaseEnded {
		t.Fatalf("got %v %s %s", err, r.Status, r.Phase)
	}
	w.target.Fault = nil
	if r := w.run(t, m); r.Status != dirsync.Success || len(w.target.Accounts()) != 30 {
		t.Errorf("afterwards: %s, %d accounts", r.Status, len(w.target.Accounts()))
	}
}

// asking is a source that tells what it asks for.
type asking struct {
	*dirsynctest.Source
	asked []string
}

func (a asking) Asked() []string { return a.asked }

// What a full round leaves out may have been cleared, so those people are looked up; but not for what the round does
// not ask for any more.
func TestLeftOutValuesAreLookedUpOnlyIfAskedFor(t *testing.T) {
	for _, tt := range []struct {
		asked   []string
		lookUps int
	}{
		{[]string{"accountEnabled", "department", "displayName", "givenName", "mail", "surname"}, 1},
		{[]string{"accountEnabled", "displayName", "givenName", "mail", "surname"}, 0},
	} {
		w, m := newWorld(0), testMapping(t)
		staff(w, 3)
		w.src.Put("safe-01", map[string]any{"department": "Sales"})
		w.run(t, m)
		w.src.Put("safe-01", map[string]any{"department": nil})
		w.src.ExpireCursors()
		lookUps := 0
		w.src.Fault = func(op string) (error, error) {
			if op == "LookUp" {
				lookUps++
			}
			return nil, nil
		}
		e := w.engine(m)
		e.Source = asking{w.src, tt.asked}
		if _, err := e.Run(t.Context(), engine.Options{}); err != nil {
			t.Fatal(err)
		}
		if lookUps != tt.lookUps {
			t.Errorf("asking for %v: %d look-ups, want %d", tt.asked, lookUps, tt.lookUps)
		}
	}
}

func TestSurvey(t *testing.T) {
	w := newWorld(0)
	once := false
	m := compileOnce(t, &once)
	w.src.Put("a", person("Ana", "same@x.org"))
	w.src.Put("b", person("Bo", "SAME@x.org"))
	w.src.Put("c", person("Cy", "c@x.org"))
	w.src.Put("d", map[string]any{"displayName": "Room", "mail": "room@x.org"})
	w.src.Put("e", map[string]any{"displayName": "Out", "accountEnabled": false})
	e := w.engine(m)
	survey := func() (engine.Survey, []string) {
		t.Helper()
		if _, _, err := e.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		var who []string
		s, err := e.Survey(t.Context(), func(r dirsync.Rejection) error {
			who = append(who, string(r.ID)+" "+r.Faults[0].Field)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return s, who
	}
	s, who := survey()
	if diff := cmp.Diff([]string{"d first_name", "b email"}, who); diff != "" || s.Rejected != 2 || s.Blocked != 1 || s.People != 4 {
		t.Errorf("rejected %d, blocked %d, people %d (-want +got):\n%s", s.Rejected, s.Blocked, s.People, diff)
	}
	w.run(t, m)
	// Whoever holds the address keeps it, although somebody who was met earlier wants it now.
	w.src.Put("a", map[string]any{"mail": "c@x.org", "department": "Sales"})
	s, who = survey()
	if diff := cmp.Diff([]string{"d first_name", "a email"}, who); diff != "" || s.Drift["department"] != 1 {
		t.Errorf("drift %v (-want +got):\n%s", s.Drift, diff)
	}
	if n := len(w.target.Applied()); n != 4 { // three, and b once more
		t.Errorf("%d changes reached the target", n)
	}
}

// compileOnce is the usual mapping with a department that is written once.
func compileOnce(t *testing.T, no *bool) *mapping.Mapping {
	t.Helper()
	target := dirsynctest.NewTarget(dirsync.Field{Name: "department", Type: dirsync.Text})
	source, _ := dirsynctest.NewSource(0).Fields(t.Context())
	fields, _ := target.Fields(t.Context())
	m, problems := mapping.Compile([]mapping.Spec{
		{Field: dirsync.FirstName, From: "givenName"}, {Field: dirsync.LastName, From: "surname"},
		{Field: dirsync.EmailAddress, From: "mail"}, {Field: "department", From: "department", SyncUpdates: no},
	}, mapping.Expression{}, source, fields)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return m
}
