package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"dirsync"
	"dirsync/mapping"
	"dirsync/sync/engine"
	"dirsync/sync/plan"
)

// heldWorld has twenty people with accounts, of whom six were deleted, and a run that holds their deactivation.
func heldWorld(t *testing.T) (*world, *mapping.Mapping, dirsync.Hold) {
	t.Helper()
	w, m := newWorld(0), testMapping(t)
	w.limits = plan.DefaultLimits()
	staff(w, 20)
	w.run(t, m)
	for _, id := range ids("safe", 6) {
		w.src.Remove(id)
	}
	r := w.run(t, m)
	if len(r.Holds) != 1 || r.Holds[0].Kind != dirsync.Deactivation || r.Holds[0].People != 6 || r.Counts.Held != 6 {
		t.Fatalf("got %+v %+v", r.Counts, r.Holds)
	}
	return w, m, r.Holds[0]
}

func verdict(h dirsync.Hold, people ...dirsync.ID) engine.Verdict {
	return engine.Verdict{Hold: h.ID, Digest: h.Digest[:8], People: people, By: "ana", Why: "they left with the spin-off"}
}

func TestApproveAppliesExactlyTheList(t *testing.T) {
	w, m, h := heldWorld(t)
	w.src.Remove("safe-10") // after the list was made
	if n, err := w.engine(m).Approve(t.Context(), verdict(h)); err != nil || n != 6 {
		t.Fatalf("approve: %d, %v", n, err)
	}
	r := w.run(t, m)
	if r.Counts.Deactivated != 7 || len(r.Holds) != 0 || r.Spent.Deactivations != 1 {
		t.Fatalf("the six that were approved and the one that may go unasked: %+v %+v %+v", r.Counts, r.Holds, r.Spent)
	}
	got, err := w.engine(m).Hold(t.Context(), h.ID)
	if err != nil || got.Status != dirsync.HoldApproved || got.By != "ana" {
		t.Errorf("the hold: %+v %v", got, err)
	}
	if _, err := w.engine(m).Approve(t.Context(), verdict(h)); dirsync.KindOf(err) != dirsync.Conflict {
		t.Errorf("approved twice: %v", err)
	}
}

func TestApproveRefusesAChangedWorld(t *testing.T) {
	w, m, h := heldWorld(t)
	w.src.Put("safe-00", nil)
	if _, _, err := w.engine(m).Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := w.engine(m).Approve(t.Context(), verdict(h))
	changed, ok := errors.AsType[*engine.ChangedError](err)
	if !ok || changed.Count != 1 || changed.People[0].ID != "safe-00" {
		t.Fatalf("got %v", err)
	}
	if r := w.run(t, m); r.Counts.Deactivated != 0 || r.Counts.Held != 5 || r.Holds[0].ID == h.ID {
		t.Errorf("nothing was approved: %+v %+v", r.Counts, r.Holds)
	}
	if old, _ := w.engine(m).Hold(t.Context(), h.ID); old.Status != dirsync.HoldReplaced {
		t.Errorf("the old hold is %s", old.Status)
	}
	if _, err := w.engine(m).Approve(t.Context(), verdict(h)); dirsync.KindOf(err) != dirsync.Conflict {
		t.Errorf("approved an old list: %v", err)
	}
}

// Whoever comes back between the approval and the run is not touched by it.
func TestApprovalIsForOneChangeOnly(t *testing.T) {
	w, m, h := heldWorld(t)
	if _, err := w.engine(m).Approve(t.Context(), verdict(h)); err != nil {
		t.Fatal(err)
	}
	w.src.Put("safe-00", nil)
	if r := w.run(t, m); r.Counts.Deactivated != 5 {
		t.Fatalf("got %+v", r.Counts)
	}
	w.src.Remove("safe-00") // and goes again: nobody has approved that
	w.limits.Deactivations = plan.Budget{}
	if r := w.run(t, m); r.Counts.Deactivated != 0 || r.Counts.Held != 1 {
		t.Errorf("got %+v", r.Counts)
	}
}

func TestApproveSomeAndRejectSome(t *testing.T) {
	w, m, h := heldWorld(t)
	if n, err := w.engine(m).Approve(t.Context(), verdict(h, "safe-00", "safe-01")); err != nil || n != 2 {
		t.Fatalf("approve: %d, %v", n, err)
	}
	r := w.run(t, m)
	if r.Counts.Deactivated != 2 || r.Counts.Held != 4 {
		t.Fatalf("two were approved, and the rest waits although it is few: %+v", r.Counts)
	}
	v := verdict(r.Holds[0])
	v.Why = ""
	if _, err := w.engine(m).Reject(t.Context(), v); dirsync.KindOf(err) != dirsync.Invalid {
		t.Errorf("rejected without a reason: %v", err)
	}
	if n, err := w.engine(m).Reject(t.Context(), verdict(r.Holds[0])); err != nil || n != 4 {
		t.Fatalf("reject: %d, %v", n, err)
	}
	for range 2 {
		if r := w.run(t, m); r.Counts.Deactivated != 0 || r.Counts.Held != 0 || r.Status != dirsync.Success {
			t.Fatalf("after the rejection: %s %+v", r.Status, r.Counts)
		}
	}
	w.src.Put("safe-02", nil) // their record changes, and the decision is over
	w.run(t, m)
	w.src.Remove("safe-02")
	if r := w.run(t, m); r.Counts.Deactivated != 1 {
		t.Errorf("after their record has changed: %+v", r.Counts)
	}
	if _, err := w.engine(m).Approve(t.Context(), verdict(h, "nobody")); err == nil {
		t.Error("approved somebody who is not on the list")
	}
}

func TestHoldsExpire(t *testing.T) {
	w, m, h := heldWorld(t)
	w.now = w.now.Add(31 * day)
	if _, err := w.engine(m).Approve(t.Context(), verdict(h)); dirsync.KindOf(err) != dirsync.Conflict {
		t.Fatalf("approved an expired hold: %v", err)
	}
	if r := w.run(t, m); r.Holds[0].ID == h.ID || r.Counts.Held != 6 {
		t.Errorf("got %+v", r.Holds)
	}
}

// A trickle is seen as well as a flood: five go in one week, and the sixth waits.
func TestTrickleIsSeen(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	w.limits = plan.DefaultLimits()
	staff(w, 20)
	w.run(t, m)
	for i, id := range ids("safe", 6) {
		w.now = w.now.Add(20 * time.Hour)
		w.src.Remove(id)
		r := w.run(t, m)
		if want := i < 5; (r.Counts.Deactivated == 1) != want {
			t.Fatalf("day %d: %+v %+v", i, r.Counts, r.Holds)
		}
	}
}

func TestHoldsOnlyThePartThatTakesAway(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	w.limits.Blankings = plan.Every(plan.Limit{Count: 2})
	for i, id := range ids("safe", 5) {
		w.src.Put(id, person(fmt.Sprint("P", i), fmt.Sprintf("p%d@x.org", i)))
		w.src.Put(id, map[string]any{"department": "Sales"})
	}
	w.run(t, m)
	for _, id := range ids("safe", 3) {
		w.src.Put(id, map[string]any{"department": nil, "surname": "New"})
	}
	r := w.run(t, m)
	if r.Counts.Updated != 3 || r.Counts.Held != 3 || len(r.Holds) != 1 || r.Holds[0].Kind != dirsync.Blanking {
		t.Fatalf("got %+v %+v", r.Counts, r.Holds)
	}
	for _, a := range w.target.Accounts() {
		if v, _ := a.Values.Get("department"); v.Text != "Sales" {
			t.Errorf("%s has lost the department", a.Source)
		}
	}
	if _, err := w.engine(m).Approve(t.Context(), verdict(r.Holds[0])); err != nil {
		t.Fatal(err)
	}
	if r := w.run(t, m); r.Counts.Updated != 3 || r.Counts.Held != 0 {
		t.Errorf("got %+v", r.Counts)
	}
}

func TestUndo(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	w.policy = plan.Policy{WhenDeleted: plan.Delete}
	staff(w, 5)
	w.run(t, m)
	ids := map[dirsync.ID]string{}
	for _, a := range w.target.Accounts() {
		ids[a.Source] = a.ID
	}
	w.src.Put("safe-00", map[string]any{"surname": "Changed"})
	w.src.Remove("safe-01")
	w.src.Put("joiner", person("Jo", "jo@x.org"))
	w.src.Put("safe-02", map[string]any{"accountEnabled": false})
	bad := w.run(t, m)
	e := w.engine(m)
	take := engine.Taking{Run: bad.ID, By: "ana"}
	pv, err := e.PreviewUndo(t.Context(), take, func(engine.TakenBack) error { return nil })
	if err != nil || pv.Counts[dirsync.Create] != 1 || pv.Counts[dirsync.Update] != 1 || pv.Counts[dirsync.Deactivate] != 1 || pv.Counts[dirsync.Reactivate] != 1 {
		t.Fatalf("preview: %+v %v", pv, err)
	}
	take.Digest = "0000000000"
	if _, err := e.Undo(t.Context(), take); dirsync.KindOf(err) != dirsync.Conflict {
		t.Fatalf("undone without having been seen: %v", err)
	}
	take.Digest = pv.Digest
	r, err := e.Undo(t.Context(), take)
	if err != nil || r.Counts.Changed() != 4 || r.Undoes != bad.ID || r.Status != dirsync.Success {
		t.Fatalf("undo: %+v %v", r, err)
	}
	asBefore := func() {
		t.Helper()
		for _, a := range w.target.Accounts() {
			surname, _ := a.Values.Get(dirsync.LastName)
			if want := a.Source != "joiner"; a.Active != want || want && surname.Text != "Test" {
				t.Errorf("%s: active %v, surname %q", a.Source, a.Active, surname.Text)
			}
		}
		if len(w.target.Accounts()) != 6 {
			t.Errorf("%d accounts", len(w.target.Accounts()))
		}
	}
	asBefore()
	if r := w.run(t, m); r.Counts.Changed() != 0 { // it does not do it all again
		t.Fatalf("the next run: %+v", r.Counts)
	}
	asBefore()
	w.src.Put("safe-00", map[string]any{"surname": "Again"})
	if r := w.run(t, m); r.Counts.Updated != 1 {
		t.Errorf("after the record has changed: %+v", r.Counts)
	}
}

func TestUndoLeavesOutWhatHasChangedSince(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	staff(w, 2)
	w.run(t, m)
	w.src.Put("safe-00", map[string]any{"surname": "One", "department": "Sales"})
	bad := w.run(t, m)
	w.src.Put("safe-00", map[string]any{"surname": "Two"})
	w.run(t, m)
	var lines []engine.TakenBack
	e := w.engine(m)
	pv, err := e.PreviewUndo(t.Context(), engine.Taking{Run: bad.ID}, func(b engine.TakenBack) error { lines = append(lines, b); return nil })
	if err != nil || pv.Since != 1 || len(lines) != 1 || len(lines[0].Back.Change.After) != 1 || lines[0].Back.Since[0] != dirsync.LastName {
		t.Fatalf("got %+v %+v %v", pv, lines, err)
	}
	all, err := e.PreviewUndo(t.Context(), engine.Taking{Run: bad.ID, All: true}, func(engine.TakenBack) error { return nil })
	if err != nil || all.Digest == pv.Digest {
		t.Fatalf("got %+v %v", all, err)
	}
	if _, err := e.Undo(t.Context(), engine.Taking{Run: bad.ID, All: true, Digest: all.Digest}); err != nil {
		t.Fatal(err)
	}
	for _, a := range w.target.Accounts() {
		if v, _ := a.Values.Get(dirsync.LastName); v.Text != "Test" {
			t.Errorf("%s is %q", a.Source, v.Text)
		}
	}
}

func TestProtected(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	staff(w, 3)
	w.run(t, m)
	w.src.Remove("safe-00")
	w.src.Put("safe-01", map[string]any{"accountEnabled": false})
	w.src.Remove("safe-02")
	e := w.engine(m)
	e.Protected, e.ProtectedBy = func(p dirsync.Person) bool { return p.ID != "safe-02" }, "all but one"
	r, err := e.Run(t.Context(), engine.Options{})
	if err != nil || r.Counts.Deactivated != 1 || len(r.Notes) == 0 {
		t.Fatalf("got %+v %v %v", r.Counts, r.Notes, err)
	}
	if r := w.run(t, m); r.Counts.Deactivated != 2 { // nobody is protected any more
		t.Errorf("got %+v %v", r.Counts, r.Notes)
	}
}

func TestOutOfScopeHasAPolicyOfItsOwn(t *testing.T) {
	w := newWorld(0)
	staff(w, 2)
	everybody, none := testMapping(t), scoped(t, `user.department == "Sales"`)
	w.run(t, everybody)
	w.policy.WhenOutOfScope = plan.Keep
	if r := w.run(t, none); r.Counts.Changed() != 0 {
		t.Fatalf("keep: %+v", r.Counts)
	}
	w.policy.WhenOutOfScope = plan.Delete
	if r := w.run(t, none); r.Counts.Deleted != 2 {
		t.Fatalf("delete: %+v", r.Counts)
	}
}

func TestJoin(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	value := func(mail string) dirsync.Values {
		return dirsync.Values{}.Set(dirsync.EmailAddress, dirsync.Value{Type: dirsync.Email, Text: mail}).
			Set(dirsync.FirstName, dirsync.Value{Type: dirsync.Text, Text: "Old"}).Set(dirsync.LastName, dirsync.Value{Type: dirsync.Text, Text: "Name"})
	}
	old := w.target.Put(dirsync.Account{Active: true, Values: value("P0@x.org")})
	foreign := w.target.Put(dirsync.Account{Active: true, Values: value("else@x.org")})
	w.src.Put("safe-00", person("P0", "p0@x.org"))
	w.src.Put("safe-01", person("P1", "p1@x.org"))
	e := w.engine(m)
	e.Join = []string{dirsync.EmailAddress}
	r, err := e.Run(t.Context(), engine.Options{})
	if err != nil || r.Counts.Created != 2 || len(w.target.Accounts()) != 3 {
		t.Fatalf("got %+v %v", r.Counts, err)
	}
	p, err := w.store.Person(t.Context(), "safe-00")
	if err != nil || p.Link.Account != old.ID || p.Link.Joined != dirsync.EmailAddress {
		t.Errorf("got %+v %v", p.Link, err)
	}
	for _, a := range w.target.Accounts() {
		if name, _ := a.Values.Get(dirsync.FirstName); a.ID == foreign.ID && name.Text != "Old" || a.ID == old.ID && name.Text != "P0" {
			t.Errorf("got %+v", a)
		}
	}
	// Taken back, the account has again what it had before, and stays.
	pv, err := e.PreviewUndo(t.Context(), engine.Taking{Run: r.ID, People: []dirsync.ID{"safe-00"}}, func(engine.TakenBack) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Undo(t.Context(), engine.Taking{Run: r.ID, People: []dirsync.ID{"safe-00"}, Digest: pv.Digest}); err != nil {
		t.Fatal(err)
	}
	for _, a := range w.target.Accounts() {
		if name, _ := a.Values.Get(dirsync.FirstName); a.ID == old.ID && (name.Text != "Old" || !a.Active) {
			t.Errorf("got %+v", a)
		}
	}
}

// Nobody guesses: two people with the address of one account, and nobody gets it.
func TestAmbiguousJoinIsLeftToPeople(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	mail := dirsync.Values{}.Set(dirsync.EmailAddress, dirsync.Value{Type: dirsync.Email, Text: "p@x.org"})
	old := w.target.Put(dirsync.Account{Active: true, Values: mail})
	for i := range 9 { // in different batches
		w.src.Put(dirsync.ID(fmt.Sprintf("safe-%02d", i)), person(fmt.Sprint("P", i), fmt.Sprintf("p%d@x.org", i)))
	}
	w.src.Put("safe-00", map[string]any{"mail": "p@x.org"})
	w.src.Put("safe-08", map[string]any{"mail": "P@x.org"})
	e := w.engine(m)
	e.Join = []string{dirsync.EmailAddress}
	r, err := e.Run(t.Context(), engine.Options{})
	if err != nil || r.Counts.Created != 7 || r.Counts.Rejected != 2 || r.Status != dirsync.PartialSuccess {
		t.Fatalf("got %s %+v %v", r.Status, r.Counts, err)
	}
	for _, a := range w.target.Accounts() {
		if a.ID == old.ID && a.Source != "" {
			t.Errorf("joined to %s", a.Source)
		}
	}
}

func TestDrift(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	staff(w, 5)
	w.run(t, m)
	all := w.target.Accounts()
	change := func(i int, name string, active bool) {
		a := all[i]
		a.Active = active
		a.Values = a.Values.With(dirsync.Values{{Field: dirsync.FirstName, Value: dirsync.Value{Type: dirsync.Text, Text: name}}})
		w.target.Put(a)
	}
	change(0, "Elsewhere", true)
	change(1, "P1", false)
	w.target.Remove(all[2].ID)
	w.src.Remove("safe-03")
	w.run(t, m)
	change(3, "P3", true) // somebody who left got in again
	w.target.Put(dirsync.Account{Active: true, Values: dirsync.Values{}.Set(dirsync.EmailAddress, dirsync.Value{Type: dirsync.Email, Text: "own@x.org"})})
	var found []engine.Drift
	n, err := w.engine(m).Compare(t.Context(), false, func(d engine.Drift) error { found = append(found, d); return nil })
	if err != nil || n != (engine.DriftCounts{Accounts: 5, Foreign: 1, Differing: 1, Missing: 1, Slept: 1, Woken: 1}) || len(found) != 4 {
		t.Fatalf("got %+v %v", n, err)
	}
	if r := w.run(t, m); r.Counts.Changed() != 0 {
		t.Fatalf("only told, but changed: %+v", r.Counts)
	}
	r, err := w.engine(m).Run(t.Context(), engine.Options{Compare: true})
	if err != nil || r.Counts.Updated != 1 || r.Counts.Created != 1 || r.Counts.Deactivated != 1 || r.Counts.Changed() != 3 {
		t.Fatalf("got %+v %v %v", r.Counts, r.Notes, err)
	}
}

func TestIgnoreUntilChanged(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	staff(w, 2)
	w.src.Put("safe-00", map[string]any{"givenName": ""})
	if r := w.run(t, m); r.Counts.Rejected != 1 || r.Status != dirsync.PartialSuccess {
		t.Fatalf("got %+v", r.Counts)
	}
	e := w.engine(m)
	p, err := w.store.Person(t.Context(), "safe-00")
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Ignore(t.Context(), []dirsync.Person{p}, "ana", "a meeting room"); err != nil {
		t.Fatal(err)
	}
	if err := e.TryAgain(t.Context(), []dirsync.Person{p}); err != nil {
		t.Fatal(err)
	}
	if r := w.run(t, m); r.Counts.Rejected != 0 || r.Status != dirsync.Success {
		t.Fatalf("ignored: %s %+v", r.Status, r.Counts)
	}
	w.src.Put("safe-00", map[string]any{"department": "Sales"})
	if r := w.run(t, m); r.Counts.Rejected != 1 {
		t.Errorf("changed: %+v", r.Counts)
	}
}

func TestExplain(t *testing.T) {
	w, m, h := heldWorld(t)
	e := w.engine(m)
	p, err := w.store.Person(t.Context(), "safe-00")
	if err != nil {
		t.Fatal(err)
	}
	x, err := e.Explain(context.Background(), p)
	if err != nil || len(x.Holds) != 1 || x.Holds[0].ID != h.ID || len(x.Changes) != 2 || x.Decision.Change == nil {
		t.Fatalf("got %+v %v", x, err)
	}
}

// What a run has taken away counts although its process died before it could say so.
func TestLimitsCountWhatACrashLeft(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	w.limits.Deactivations = plan.Every(plan.Limit{Count: 2, Share: plan.Unbounded})
	staff(w, 20)
	w.run(t, m)
	w.src.Remove("safe-00")
	w.src.Remove("safe-01")
	settled := false
	w.store.Fault = func(op string) (error, error) {
		if settled {
			return errDead, nil
		}
		settled = op == "Settle"
		return nil, nil
	}
	if _, err := w.engine(m).Run(t.Context(), engine.Options{}); !errors.Is(err, errDead) {
		t.Fatalf("got %v", err)
	}
	w.store.Fault = nil
	w.src.Remove("safe-02")
	if r := w.run(t, m); r.Counts.Deactivated != 0 || r.Counts.Held != 1 {
		t.Errorf("two went this week already: %+v %+v", r.Counts, r.Holds)
	}
}
