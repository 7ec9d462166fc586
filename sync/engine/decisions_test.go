package engine_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"dirsync"
	"dirsync/sync/engine"
	"dirsync/sync/plan"
)

// takeBack takes back all of a run.
func takeBack(t *testing.T, e *engine.Engine, run dirsync.RunID) (engine.UndoPreview, dirsync.Run, error) {
	t.Helper()
	take := engine.Taking{Run: run, By: "ana"}
	pv, err := e.PreviewUndo(t.Context(), take, func(engine.TakenBack) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	take.Digest = pv.Digest
	r, err := e.Undo(t.Context(), take)
	return pv, r, err
}

// surnames are those of the accounts.
func surnames(w *world) map[dirsync.ID]string {
	out := map[dirsync.ID]string{}
	for _, a := range w.target.Accounts() {
		v, _ := a.Values.Get(dirsync.LastName)
		out[a.Source] = v.Text
	}
	return out
}

// Where only those who left the scope are deleted, their grace period comes to its end, too.
func TestGraceWhereOnlyTheScopeDeletes(t *testing.T) {
	w, m := newWorld(0), scoped(t, `user.department == "Sales"`)
	w.policy = plan.Policy{WhenDeleted: plan.Deactivate, WhenOutOfScope: plan.Delete, Grace: 10 * day}
	staff(w, 3)
	for _, id := range ids("safe", 3) {
		w.src.Put(id, map[string]any{"department": "Sales"})
	}
	w.run(t, m)
	w.src.Put("safe-00", map[string]any{"department": "Legal"})
	w.src.Put("safe-01", map[string]any{"department": "Legal"})
	w.src.Remove("safe-02")
	if r := w.run(t, m); r.Counts.Deactivated != 3 || r.Counts.Deleted != 0 {
		t.Fatalf("got %+v", r.Counts)
	}
	w.now = w.now.Add(5 * day)
	w.src.Put("safe-01", map[string]any{"department": "Sales"})
	if r := w.run(t, m); r.Counts.Reactivated != 1 || r.Counts.Deleted != 0 {
		t.Fatalf("one comes back: %+v", r.Counts)
	}
	w.now = w.now.Add(6 * day)
	if r := w.run(t, m); r.Counts.Deleted != 1 || r.Counts.Changed() != 1 {
		t.Errorf("one is still out of scope, and one was deleted at the source, which deletes nobody: %+v", r.Counts)
	}
}

// An undoing is no way around protection.
func TestUndoSparesTheProtected(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	staff(w, 3)
	r := w.run(t, m)
	e := w.engine(m)
	e.Protected, e.ProtectedBy = func(p dirsync.Person) bool { return p.Shadow.Text("mail") == "p1@x.org" }, "one"
	pv, u, err := takeBack(t, e, r.ID)
	if err != nil || pv.Nothing != 1 || u.Counts.Deactivated != 2 {
		t.Fatalf("got %+v %+v %v", pv, u.Counts, err)
	}
	for _, a := range w.target.Accounts() {
		if want := a.Source == "safe-01"; a.Active != want {
			t.Errorf("%s is active: %v", a.Source, a.Active)
		}
	}
}

// What an undoing could not take back at once is taken back by the runs that follow, and seen until then.
func TestUndoThatFailedIsFinished(t *testing.T) {
	for _, kind := range []dirsync.ErrorKind{dirsync.Unavailable, dirsync.Conflict, dirsync.Unauthorized} {
		t.Run(fmt.Sprint(kind), func(t *testing.T) {
			w, m := newWorld(0), testMapping(t)
			staff(w, 3)
			w.run(t, m)
			for _, id := range ids("safe", 3) {
				w.src.Put(id, map[string]any{"surname": "Wrong"})
			}
			bad := w.run(t, m)
			w.target.FaultChange = func(c dirsync.Change) (error, error) {
				if c.Person == "safe-01" {
					return &dirsync.Error{Op: "write", Kind: kind, Err: errFault}, nil
				}
				return nil, nil
			}
			_, u, _ := takeBack(t, w.engine(m), bad.ID)
			if stopped := kind == dirsync.Unauthorized; u.Status == dirsync.Success || u.Counts.Updated != 2 || (len(u.Notes) == 1) != stopped {
				t.Fatalf("got %s %+v %q", u.Status, u.Counts, u.Notes)
			}
			if kind != dirsync.Unauthorized { // which stops the run for everybody
				if r := w.run(t, m); r.Status == dirsync.Success {
					t.Errorf("it fails for one still, and the run is a %s: %+v", r.Status, r.Counts)
				}
			}
			w.target.FaultChange = nil
			w.now = w.now.Add(day)
			if r := w.run(t, m); r.Counts.Updated != 1 || r.Status != dirsync.Success {
				t.Errorf("after the fault: %s %+v", r.Status, r.Counts)
			}
			for id, name := range surnames(w) {
				if name != "Test" {
					t.Errorf("%s is %s", id, name)
				}
			}
			if r := w.run(t, m); r.Counts.Changed() != 0 {
				t.Errorf("with nothing to do: %+v", r.Counts)
			}
		})
	}
}

// An undoing whose process dies is made certain by the next run, as it was confirmed.
func TestUndoThatWasKilledIsFinished(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	staff(w, 3)
	w.run(t, m)
	for _, id := range ids("safe", 3) {
		w.src.Remove(id)
	}
	bad := w.run(t, m)
	w.store.Fault = func(op string) (error, error) {
		if op == "Settle" || op == "Doubt" {
			return errDead, nil
		}
		return nil, nil
	}
	if _, _, err := takeBack(t, w.engine(m), bad.ID); !errors.Is(err, errDead) {
		t.Fatalf("got %v", err)
	}
	w.store.Fault = nil
	for range 2 {
		if r := w.run(t, m); r.Status != dirsync.Success || r.Counts.Deactivated != 0 {
			t.Errorf("got %s %+v", r.Status, r.Counts)
		}
		for _, id := range ids("safe", 3) {
			if p, err := w.store.Person(t.Context(), id); err != nil || p.Link.InDoubt() || !p.Link.Active {
				t.Errorf("%s: %+v %v", id, p.Link, err)
			}
		}
	}
	if n := active(w); n != 3 {
		t.Errorf("%d of 3 are active", n)
	}
}

// An undoing can be undone, and then everything is as the run had left it.
func TestUndoOfAnUndo(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	staff(w, 3)
	w.run(t, m)
	w.src.Remove("safe-00")
	w.src.Put("safe-01", map[string]any{"surname": "New"})
	bad := w.run(t, m)
	_, u, err := takeBack(t, w.engine(m), bad.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := takeBack(t, w.engine(m), bad.ID); dirsync.KindOf(err) != dirsync.Conflict {
		t.Errorf("taken back twice: %v", err)
	}
	if _, _, err := takeBack(t, w.engine(m), u.ID); err != nil {
		t.Fatal(err)
	}
	if n, got := active(w), surnames(w)["safe-01"]; n != 2 || got != "New" {
		t.Errorf("%d are active, and the surname is %s", n, got)
	}
	if r := w.run(t, m); r.Counts.Changed() != 0 || r.Status != dirsync.Success {
		t.Errorf("the next run: %s %+v", r.Status, r.Counts)
	}
}

// Some of a list are rejected one by one, and what is left is approved as a whole; nobody is decided twice by that.
func TestApproveWhatIsLeft(t *testing.T) {
	w, m, h := heldWorld(t)
	e := w.engine(m)
	if n, err := e.Reject(t.Context(), verdict(h, "safe-00", "safe-00")); err != nil || n != 1 {
		t.Fatalf("reject: %d, %v", n, err)
	}
	if n, err := e.Approve(t.Context(), verdict(h)); err != nil || n != 5 {
		t.Fatalf("approve: %d, %v", n, err)
	}
	if got, err := e.Hold(t.Context(), h.ID); err != nil || got.Status != dirsync.HoldApproved {
		t.Errorf("got %+v %v", got, err)
	}
	if r := w.run(t, m); r.Counts.Deactivated != 5 || r.Counts.Held != 0 {
		t.Errorf("got %+v %+v", r.Counts, r.Holds)
	}
}

// A rejection of a whole list overrides approvals of some that were not used yet.
func TestRejectionOverridesApprovals(t *testing.T) {
	w, m, h := heldWorld(t)
	e := w.engine(m)
	for _, id := range ids("safe", 5) {
		if n, err := e.Approve(t.Context(), verdict(h, id)); err != nil || n != 1 {
			t.Fatalf("approve %s: %d, %v", id, n, err)
		}
	}
	if _, err := e.Reject(t.Context(), verdict(h)); err != nil {
		t.Fatal(err)
	}
	if got, _ := e.Hold(t.Context(), h.ID); got.Status != dirsync.HoldRejected {
		t.Errorf("the hold is %s", got.Status)
	}
	if r := w.run(t, m); r.Counts.Deactivated != 0 || r.Counts.Held != 0 {
		t.Errorf("got %+v %+v", r.Counts, r.Holds)
	}
	// The configuration is no word of the source: who was rejected stays as they are.
	w.policy.WhenDeleted = plan.Delete
	if r := w.run(t, m); r.Counts.Changed() != 0 {
		t.Errorf("after a change of the configuration: %+v", r.Counts)
	}
}

// A hold that nobody decides stays one and the same, however many others come and go beside it.
func TestHoldOutlivesManyOthers(t *testing.T) {
	w, m, h := heldWorld(t)
	for i := range 110 {
		w.limits.Blankings = plan.Every(plan.Limit{Count: plan.Unbounded, Share: plan.Unbounded})
		w.src.Put("safe-10", map[string]any{"department": fmt.Sprint("D", i)})
		w.run(t, m)
		w.limits.Blankings = plan.Budget{}
		w.src.Put("safe-10", map[string]any{"department": nil})
		w.now = w.now.Add(time.Minute)
		w.run(t, m)
	}
	holds, err := w.store.Holds(t.Context(), 0, 1000)
	if err != nil || len(holds) < 110 {
		t.Fatalf("%d holds, %v", len(holds), err)
	}
	var open []dirsync.HoldID
	for _, x := range holds {
		if x.Status == dirsync.HoldOpen {
			open = append(open, x.ID)
		}
	}
	if len(open) != 2 || open[1] != h.ID {
		t.Errorf("open are %v, and the first was %d", open, h.ID)
	}
}

// Runs that were made while the clock was wrong hide nothing of what was taken away before them.
func TestLimitsSurviveTheClock(t *testing.T) {
	for _, wrong := range []time.Time{time.Unix(0, 0), time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)} {
		w, m := newWorld(0), testMapping(t)
		w.limits = plan.DefaultLimits()
		staff(w, 40)
		w.run(t, m)
		for _, id := range ids("safe", 5) {
			w.src.Remove(id)
		}
		if r := w.run(t, m); r.Counts.Deactivated != 5 {
			t.Fatalf("got %+v", r.Counts)
		}
		was := w.now
		w.now = wrong
		w.run(t, m)
		w.now = was.Add(time.Hour)
		w.src.Remove("safe-10")
		if r := w.run(t, m); r.Counts.Deactivated != 0 || r.Counts.Held != 1 {
			t.Errorf("five went this week already, and the clock said %s: %+v", wrong, r.Counts)
		}
	}
}

// Limits of nothing hold everything, and a share of few people is none.
func TestLimitsOfNothing(t *testing.T) {
	for _, limit := range []plan.Limit{{}, {Count: 500, Share: 0.05}, {Count: 0, Share: plan.Unbounded}} {
		w, m := newWorld(0), testMapping(t)
		w.limits.Deactivations = plan.Every(limit)
		staff(w, 3)
		w.run(t, m)
		w.src.Remove("safe-00")
		if r := w.run(t, m); r.Counts.Deactivated != 0 || r.Counts.Held != 1 || r.Status != dirsync.PartialSuccess {
			t.Errorf("%v: %s %+v", limit, r.Status, r.Counts)
		}
	}
}
