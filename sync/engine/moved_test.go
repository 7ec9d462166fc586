package engine_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"dirsync"
	"dirsync/dirsynctest"
	"dirsync/sync/engine"
	"dirsync/sync/plan"
)

// moved is the engine of a world whose people go to what is called so.
func (w *world) moved(t *testing.T, id string) *engine.Engine {
	e := w.engine(testMapping(t))
	e.TargetID = id
	return e
}

// A configuration that names another target all of a sudden changes nobody there: the ids of accounts that are remembered
// may be those of anybody. Put back, everything goes on.
func TestAnotherTarget(t *testing.T) {
	for _, forget := range []bool{false, true} {
		t.Run(fmt.Sprintf("forgetful: %v", forget), func(t *testing.T) {
			w := newWorld(0)
			w.target.Forget, w.policy = forget, plan.Policy{WhenDeleted: plan.Delete}
			staff(w, 5)
			w.join = []string{dirsync.EmailAddress}
			first, err := w.moved(t, "the application A").Run(t.Context(), engine.Options{})
			if err != nil || first.Counts.Created != 5 {
				t.Fatalf("got %+v, %v", first.Counts, err)
			}
			mine := w.target
			w.target = dirsynctest.NewTarget(dirsync.Field{Name: "department", Type: dirsync.Text})
			w.target.Forget = forget
			for i, a := range mine.Accounts() {
				a.Source = ""
				a.Values = dirsync.Values{}.Set(dirsync.EmailAddress, dirsync.Value{Type: dirsync.Email, Text: fmt.Sprintf("stranger%d@y.org", i)}).
					Set(dirsync.LastName, dirsync.Value{Type: dirsync.Text, Text: "Test"})
				w.target.Put(a)
			}
			strangers := w.target.Accounts()
			w.src.Remove("safe-01")
			w.src.Put("safe-02", map[string]any{"givenName": "Ada"})
			for range 2 {
				r, err := w.moved(t, "the application B").Run(t.Context(), engine.Options{Compare: true, RetryNow: true})
				if dirsync.KindOf(err) != dirsync.Invalid || r.Status != dirsync.Failure || r.Counts.Changed() != 0 {
					t.Errorf("got %+v, %v", r.Counts, err)
				}
				for _, want := range []string{"the application A", "the application B", "0 of 5"} {
					if !strings.Contains(fmt.Sprint(err), want) {
						t.Errorf("%q is not in %q", want, err)
					}
				}
			}
			e := w.moved(t, "the application B")
			if _, err := e.Plan(t.Context(), func(dirsync.Person, dirsync.Decision) error { return nil }); dirsync.KindOf(err) != dirsync.Invalid {
				t.Errorf("a plan: %v", err)
			}
			if _, err := e.Compare(t.Context(), true, func(engine.Drift) error { return nil }); dirsync.KindOf(err) != dirsync.Invalid {
				t.Errorf("a comparison: %v", err)
			}
			pv, err := e.PreviewUndo(t.Context(), engine.Taking{Run: first.ID}, func(engine.TakenBack) error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			if _, err := e.Undo(t.Context(), engine.Taking{Run: first.ID, Digest: pv.Digest}); dirsync.KindOf(err) != dirsync.Invalid {
				t.Errorf("an undoing: %v", err)
			}
			if got := w.target.Accounts(); !slices.EqualFunc(got, strangers, func(a, b dirsync.Account) bool { return a.Values.Equal(b.Values) && a.Active == b.Active }) {
				t.Errorf("strangers were changed: %+v", got)
			}
			w.target = mine
			r, err := w.moved(t, "the application A").Run(t.Context(), engine.Options{RetryNow: true})
			if err != nil || r.Counts.Deleted != 1 || r.Counts.Updated != 1 || r.Counts.Changed() != 2 {
				t.Errorf("put back: got %+v, %v", r.Counts, err)
			}
		})
	}
}

// The same target under another name is known by its accounts, and so is one to which nobody has gone yet.
func TestSameTargetUnderAnotherName(t *testing.T) {
	for _, forget := range []bool{false, true} {
		t.Run(fmt.Sprintf("forgetful: %v", forget), func(t *testing.T) {
			w := newWorld(0)
			w.target.Forget = forget
			w.join = []string{dirsync.EmailAddress}
			for i, id := range []string{"", "the application A", "the application B", "the application C", "the application C"} {
				if i == 2 {
					staff(w, 5)
					w.run(t, testMapping(t))
				}
				if i > 2 {
					w.src.Put("safe-02", map[string]any{"givenName": fmt.Sprint("Ada", i)})
					w.target.Remove(w.target.Accounts()[0].ID) // somebody has tidied up
				}
				r, err := w.moved(t, id).Run(t.Context(), engine.Options{})
				if err != nil || i > 2 && r.Counts.Updated != 1 {
					t.Errorf("%d, %s: got %+v, %v", i, id, r.Counts, err)
				}
				if said := len(r.Notes) > 0 && strings.Contains(r.Notes[0], "the same"); said != (i == 2 || i == 3) {
					t.Errorf("%d, %s: the notes are %q", i, id, r.Notes)
				}
			}
		})
	}
}

// blind is a target that neither lists nor finds anybody, though everybody is there.
type blind struct{ *dirsynctest.Target }

func (blind) Users(context.Context, func(dirsync.Account) error) error { return nil }

func (blind) Find(_ context.Context, _ string, values []dirsync.Value) ([][]dirsync.Account, error) {
	return make([][]dirsync.Account, len(values)), nil
}

// A target that shows nobody for a while is compared. Whoever seems to be missing is made certain at the account that they
// had, so that nobody gets a second one, nobody is rejected, and nobody who leaves at the same time keeps theirs.
func TestTargetThatShowsNobody(t *testing.T) {
	for _, forget := range []bool{false, true} {
		t.Run(fmt.Sprintf("forgetful: %v", forget), func(t *testing.T) {
			w, m := newWorld(0), testMapping(t)
			w.target.Forget, w.join = forget, []string{dirsync.EmailAddress}
			staff(w, 5)
			w.run(t, m)
			before := w.target.Accounts()
			w.src.Remove("safe-01")
			w.src.Put("safe-02", map[string]any{"mail": "renamed@x.org"})
			e := w.engine(m)
			e.Target = blind{w.target}
			r, err := e.Run(t.Context(), engine.Options{Compare: true})
			if err != nil || r.Counts.Rejected != 0 || r.Counts.Failed != 0 || r.Counts.Deactivated != 1 {
				t.Errorf("got %+v, %v", r.Counts, err)
			}
			after := w.target.Accounts()
			if !slices.EqualFunc(before, after, func(a, b dirsync.Account) bool { return a.ID == b.ID }) {
				t.Errorf("there were %+v\nand are %+v", before, after)
			}
			if r := w.run(t, m); r.Counts.Changed() != 0 || r.Status != dirsync.Success {
				t.Errorf("afterwards: %+v", r.Counts)
			}
		})
	}
}

// Somebody whose account was removed in the target, and made again there by hand, is joined to the new one.
func TestAccountMadeAgainByHand(t *testing.T) {
	for _, forget := range []bool{false, true} {
		t.Run(fmt.Sprintf("forgetful: %v", forget), func(t *testing.T) {
			w, m := newWorld(0), testMapping(t)
			w.target.Forget, w.join = forget, []string{dirsync.EmailAddress}
			staff(w, 3)
			w.run(t, m)
			old := w.target.Accounts()[1]
			w.target.Remove(old.ID)
			w.target.Put(dirsync.Account{ID: "x1", Active: true, Values: old.Values})
			r, err := w.engine(m).Run(t.Context(), engine.Options{Compare: true})
			if err != nil || r.Counts.Rejected != 0 || r.Counts.Created != 1 || len(w.target.Accounts()) != 3 {
				t.Errorf("got %+v, %v", r.Counts, err)
			}
			if p, err := w.store.Person(t.Context(), old.Source); err != nil || p.Link.Account != "x1" || p.Link.Joined != dirsync.EmailAddress {
				t.Errorf("got %+v, %v", p.Link, err)
			}
		})
	}
}
