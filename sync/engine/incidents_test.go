package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"dirsync"
	"dirsync/dirsynctest"
	"dirsync/sync/engine"
	"dirsync/sync/plan"
)

// What has happened to others, and must not happen here. Each test is named for the accident.

// broken is a source of which some answers are wrong.
type broken struct {
	*dirsynctest.Source
	read func(ctx context.Context, since dirsync.Cursor, fn func(dirsync.Page) error) error
}

func (b broken) Read(ctx context.Context, since dirsync.Cursor, fn func(dirsync.Page) error) error {
	return b.read(ctx, since, fn)
}

// In the full reading of a learning platform one call to Graph failed. Whoever was not in the answers so far was taken
// for gone, and 5,160 accounts were suspended.
func TestIncidentFailedGraphCallSuspended5160Accounts(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	staff(w, 60)
	w.run(t, m)
	w.src.ExpireCursors() // everybody is read again
	reads := 0
	w.src.Fault = func(op string) (error, error) {
		if reads++; op == "Read" && reads == 7 {
			return &dirsync.Error{Op: "read users", Kind: dirsync.Unavailable, Err: errors.New("502 from a gateway")}, nil
		}
		return nil, nil
	}
	r, err := w.engine(m).Run(t.Context(), engine.Options{})
	if err == nil || r.Status != dirsync.Failure || r.Counts.Changed() != 0 {
		t.Fatalf("got %s %+v %v", r.Status, r.Counts, err)
	}
	w.src.Fault = nil
	if r := w.run(t, m); r.Counts.Changed() != 0 || r.Status != dirsync.Success {
		t.Fatalf("the next run: %s %+v", r.Status, r.Counts)
	}
	if n := active(w); n != 60 {
		t.Errorf("%d of 60 are active", n)
	}
}

func active(w *world) int {
	n := 0
	for _, a := range w.target.Accounts() {
		if a.Active {
			n++
		}
	}
	return n
}

// A nested security group was not expanded. About a thousand people who were in it, and not in the chosen group itself,
// were suspended, some of them every day.
func TestIncidentNestedGroupWasNotExpanded(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	w.withTeams(0, true)
	for i, id := range ids("safe", 12) {
		w.src.Put(id, person(fmt.Sprint("P", i), fmt.Sprintf("p%d@x.org", i)))
		w.teams.src.Join([]dirsync.ID{"g-sales", "g-berlin", "g-cell"}[i%3], id, dirsync.KindUser)
	}
	w.teams.src.Join("g-sales", "g-berlin", dirsync.KindGroup)
	w.teams.src.Join("g-berlin", "g-cell", dirsync.KindGroup)
	w.teams.src.Join("g-cell", "g-sales", dirsync.KindGroup) // in a circle
	for range 3 {
		w.run(t, m)
		if n := active(w); n != 12 {
			t.Fatalf("%d of 12 are active", n)
		}
		w.teams.src.ExpireCursors()
		w.now = w.now.Add(day)
	}
}

// In the filter of an LDAP source a letter was wrong. It matched nobody, and with "delete not found objects" all users
// were deleted, with everything that they had.
func TestIncidentFilterTypoDeletedEverybody(t *testing.T) {
	w := newWorld(0)
	w.limits = plan.DefaultLimits()
	w.policy = plan.Policy{WhenDeleted: plan.Delete, WhenOutOfScope: plan.Delete}
	staff(w, 40)
	w.run(t, testMapping(t))
	r := w.run(t, scoped(t, `user.department == "Slaes"`))
	if r.Counts.Deleted != 0 || r.Counts.Held != 40 || active(w) != 40 || r.Status != dirsync.PartialSuccess {
		t.Fatalf("got %s %+v", r.Status, r.Counts)
	}
	if r := w.run(t, testMapping(t)); r.Counts.Held != 0 || r.Status != dirsync.Success {
		t.Fatalf("after the letter was put right: %s %+v", r.Status, r.Counts)
	}
	if h, _ := w.engine(testMapping(t)).Hold(t.Context(), r.Holds[0].ID); h.Status != dirsync.HoldOver {
		t.Errorf("the hold is %s", h.Status)
	}
}

// One user was renamed, the look-up by the old name failed, and no sync ran for two and a half days.
func TestIncidentOneRenameStoppedAllSyncs(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	staff(w, 10)
	w.run(t, m)
	before, err := w.store.Person(t.Context(), "safe-03")
	if err != nil {
		t.Fatal(err)
	}
	w.src.Put("safe-03", map[string]any{"mail": "married@x.org", "surname": "Married"})
	w.src.Put("safe-04", map[string]any{"mail": "p3@x.org"}) // and somebody gets the old address
	w.src.Put("safe-05", map[string]any{"givenName": nil})   // and one record is bad
	w.src.Put("safe-06", map[string]any{"department": "Sales"})
	r := w.run(t, m)
	if r.Counts.Updated != 3 || r.Counts.Rejected != 1 || r.Status != dirsync.PartialSuccess {
		t.Fatalf("got %s %+v", r.Status, r.Counts)
	}
	after, err := w.store.Person(t.Context(), "safe-03")
	if err != nil || after.Link.Account != before.Link.Account {
		t.Errorf("account %s, was %s; %v", after.Link.Account, before.Link.Account, err)
	}
}

// The identity provider answered with an empty list, and the target was emptied.
func TestIncidentEmptyAnswerEmptiedTheTarget(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	staff(w, 30)
	w.run(t, m)
	e := w.engine(m)
	w.src.ExpireCursors()
	e.Source = broken{w.src, func(ctx context.Context, since dirsync.Cursor, fn func(dirsync.Page) error) error {
		if since != "" {
			return dirsync.ErrCursorExpired
		}
		return fn(dirsync.Page{Next: "empty", Complete: true})
	}}
	r, err := e.Run(t.Context(), engine.Options{})
	if err != nil || r.Counts.Changed() != 0 || active(w) != 30 {
		t.Fatalf("got %+v %v, %d are active", r.Counts, err, active(w))
	}
}

// A release cleared the delta tokens, and then failing and reading everything again took turns for ever.
func TestIncidentClearedTokenReadTheWorldAgain(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	staff(w, 30)
	w.run(t, m)
	w.src.ExpireCursors()
	r := w.run(t, m)
	if r.Counts.Changed() != 0 || r.Status != dirsync.Success || len(r.Notes) != 1 {
		t.Fatalf("read again: %s %+v %q", r.Status, r.Counts, r.Notes)
	}
	if r := w.run(t, m); r.Counts.Read != 0 || r.Requests.Source != 1 || len(r.Notes) != 0 {
		t.Fatalf("and then only what is new: %+v, %d requests, %q", r.Counts, r.Requests.Source, r.Notes)
	}
}

// "Create accounts" was switched on later, and those whom the delta had passed over until then were never created.
func TestIncidentOptionSwitchedOnLaterMissedThoseBefore(t *testing.T) {
	w := newWorld(0)
	staff(w, 10)
	w.src.Put("safe-00", map[string]any{"department": "Sales"})
	if r := w.run(t, scoped(t, `user.department == "Sales"`)); r.Counts.Created != 1 {
		t.Fatalf("got %+v", r.Counts)
	}
	r := w.run(t, testMapping(t))
	if r.Counts.Created != 9 || r.Counts.Read != 0 {
		t.Fatalf("got %+v", r.Counts)
	}
}
