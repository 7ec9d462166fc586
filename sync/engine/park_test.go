package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"dirsync"
	"dirsync/sync/engine"
	"dirsync/sync/plan"
)

// throttled makes every second call of some kind fail until the target has been left alone for an hour.
func throttled(w *world, op string) {
	var until time.Time
	calls := 0
	w.now = time.Now()
	w.target.Fault = func(is string) (error, error) {
		if is != op {
			return nil, nil
		}
		if calls++; calls%2 == 1 {
			until = time.Now().Add(time.Hour)
		}
		if time.Now().Before(until) {
			return &dirsync.Error{Op: op, Kind: dirsync.Throttled, RetryAt: until, Err: errors.New("too many requests")}, nil
		}
		return nil, nil
	}
}

// A target that wants to be left alone for hours fails no run: the run waits, says until when, and goes on.
func TestParks(t *testing.T) {
	for _, op := range []string{"ApplyAll", "Find", "Users"} {
		t.Run(op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, m := newWorld(0), testMapping(t)
				staff(w, 9)
				w.join = []string{dirsync.EmailAddress}
				throttled(w, op)
				e := w.engine(m)
				e.Now = time.Now
				parked := 0
				e.Progress = func(p engine.Progress) {
					if p.Parked.IsZero() {
						return
					}
					parked++
					runs, err := w.store.Runs(t.Context(), 0, 1)
					if err != nil || len(runs) != 1 || !runs[0].Parked.Equal(p.Parked) {
						t.Errorf("the journal has %+v (%v), want a run that waits until %s", runs, err, p.Parked)
					}
				}
				began := time.Now()
				r, err := e.Run(t.Context(), engine.Options{Compare: true})
				if err != nil || r.Status != dirsync.Success || r.Counts.Created != 9 || !r.Parked.IsZero() {
					t.Fatalf("got %+v, %v", r, err)
				}
				if took := time.Since(began); parked == 0 || took != time.Duration(parked)*time.Hour {
					t.Errorf("the run waited %d times and took %s", parked, took)
				}
				if n := len(w.target.Accounts()); n != 9 {
					t.Errorf("there are %d accounts, want 9", n)
				}
			})
		})
	}
}

// A run that waits can be stopped, and nobody is lost by that.
func TestParkedRunStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, m := newWorld(0), testMapping(t)
		staff(w, 3)
		throttled(w, "ApplyAll")
		e := w.engine(m)
		e.Now = time.Now
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		if r, err := e.Run(ctx, engine.Options{}); !errors.Is(err, context.DeadlineExceeded) || r.Status != dirsync.Failure || r.Phase != dirsync.PhaseEnded {
			t.Fatalf("got %+v, %v", r, err)
		}
		w.target.Fault = nil
		if r := w.run(t, m); r.Status != dirsync.Success || r.Counts.Created != 3 {
			t.Errorf("the next run: %+v", r)
		}
	})
}

// A run whose groups wait waits, too, and says so.
func TestParksForItsGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, m := newWorld(0), testMapping(t)
		w.withTeams(0, false)
		staff(w, 3)
		calls := 0
		w.teams.target.Fault = func(string) (error, error) {
			if calls++; calls == 1 {
				return &dirsync.Error{Kind: dirsync.Throttled}, nil
			}
			return nil, nil
		}
		e := w.engine(m)
		e.Now = time.Now
		var told []bool
		e.Progress = func(p engine.Progress) {
			if n := len(told); n == 0 || told[n-1] == p.Parked.IsZero() {
				told = append(told, !p.Parked.IsZero())
			}
			if runs, err := w.store.Runs(t.Context(), 0, 1); err != nil || !runs[0].Parked.Equal(p.Parked) {
				t.Errorf("the journal has %+v (%v), want %s", runs, err, p.Parked)
			}
		}
		if r, err := e.Run(t.Context(), engine.Options{}); err != nil || r.Counts.Created != 3 || r.Groups.Counts.Created != 2 {
			t.Fatalf("got %+v, %v", r, err)
		}
		if want := []bool{false, true, false}; !slices.Equal(told, want) {
			t.Errorf("told %v, want %v", told, want)
		}
	})
}

// A run that does not get to write that it waits, or that its process does not outlive, is not one that waits for ever.
func TestParkedRunThatIsCutOff(t *testing.T) {
	for name, dies := range map[string]bool{"the journal fails": false, "the process dies": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, m := newWorld(0), testMapping(t)
				staff(w, 3)
				throttled(w, "ApplyAll")
				e := w.engine(m)
				e.Now = time.Now
				ctx, stop := context.WithTimeout(t.Context(), time.Minute)
				defer stop()
				saves := 0
				w.store.Fault = func(op string) (error, error) {
					if op != "SaveRun" {
						return nil, nil
					}
					saves++ // the plan, what is to be applied, and then that it waits
					if !dies && saves == 3 || dies && saves > 3 {
						return errDead, nil
					}
					return nil, nil
				}
				if _, err := e.Run(ctx, engine.Options{}); err == nil {
					t.Fatal("the fault went unnoticed")
				}
				w.store.Fault, w.target.Fault = nil, nil
				w.run(t, m)
				runs, err := w.store.Runs(t.Context(), 0, 10)
				if err != nil || len(runs) != 2 {
					t.Fatal(runs, err)
				}
				for _, r := range runs {
					if !r.Parked.IsZero() || r.Phase != dirsync.PhaseEnded {
						t.Errorf("run %d has ended (%s) and waits until %s", r.ID, r.Phase, r.Parked)
					}
				}
			})
		})
	}
}

// A target that says neither until when nor how long is asked again after longer and longer waits.
func TestParksWithoutATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, m := newWorld(0), testMapping(t)
		staff(w, 1)
		left := 4
		w.target.Fault = func(op string) (error, error) {
			if left--; op == "ApplyAll" && left >= 0 {
				return &dirsync.Error{Op: op, Kind: dirsync.Throttled}, nil
			}
			return nil, nil
		}
		e, began := w.engine(m), time.Now()
		e.Now = time.Now
		if r, err := e.Run(t.Context(), engine.Options{}); err != nil || r.Counts.Created != 1 {
			t.Fatalf("got %+v, %v", r, err)
		}
		if took, want := time.Since(began), (1+2+4+8)*time.Minute; took != want {
			t.Errorf("it took %s, want %s", took, want)
		}
	})
}

// What a target cannot say of its accounts, whose they are, is known from the links: nobody is joined to somebody else's
// account, and nobody's account is taken for missing.
func TestForgetfulTarget(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	w.target.Forget = true
	w.join = []string{dirsync.EmailAddress}
	staff(w, 5)
	w.target.Put(dirsync.Account{Active: true, Values: dirsync.Values{}.Set(dirsync.EmailAddress, dirsync.Value{Type: dirsync.Email, Text: "P0@x.org"})})
	if r := w.run(t, m); r.Counts.Created != 5 || len(w.target.Accounts()) != 5 {
		t.Fatalf("first run: %+v, %d accounts", r.Counts, len(w.target.Accounts()))
	}
	w.src.Put("thief", person("Thief", "p1@x.org"))
	r := w.run(t, m)
	if r.Counts.Rejected != 1 || r.Counts.Changed() != 0 {
		t.Errorf("somebody with the address of somebody else: %+v", r.Counts)
	}
	n, err := w.engine(m).Compare(t.Context(), true, func(d engine.Drift) error {
		t.Errorf("a difference: %+v", d)
		return nil
	})
	if want := (engine.DriftCounts{Accounts: 5}); err != nil || n != want {
		t.Errorf("compared: %+v, %v; want %+v", n, err, want)
	}
	gone := w.target.Accounts()[2]
	w.target.Remove(gone.ID)
	w.target.Put(dirsync.Account{ID: "x1", Active: true, Values: dirsync.Values{}.Set(dirsync.EmailAddress, dirsync.Value{Type: dirsync.Email, Text: "other@x.org"})})
	n, err = w.engine(m).Compare(t.Context(), true, func(d engine.Drift) error {
		if !d.Missing || d.Person.ID != gone.Source {
			return fmt.Errorf("an unexpected difference: %+v", d)
		}
		return nil
	})
	if want := (engine.DriftCounts{Accounts: 5, Foreign: 1, Missing: 1}); err != nil || n != want {
		t.Errorf("compared: %+v, %v; want %+v", n, err, want)
	}
}

// Somebody who may not sign in keeps their account where the policy says so.
func TestKeepsTheBlocked(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	staff(w, 2)
	w.run(t, m)
	w.src.Put("safe-00", map[string]any{"accountEnabled": false})
	w.policy.WhenBlocked = plan.Keep
	if r := w.run(t, m); r.Counts.Changed() != 0 {
		t.Errorf("kept: %+v", r.Counts)
	}
	w.policy.WhenBlocked = plan.Deactivate
	if r := w.run(t, m); r.Counts.Deactivated != 1 {
		t.Errorf("when the policy changes: %+v", r.Counts)
	}
}

// Whom Outside names is none of this sync's people, and is told why; when it says something else, everybody is looked at
// again.
func TestOutside(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	staff(w, 3)
	e := w.engine(m)
	e.OutsideBy = "first"
	e.Outside = func(_ context.Context, p dirsync.Person) (string, error) {
		if p.ID == "safe-01" {
			return "came from elsewhere", nil
		}
		return "", nil
	}
	if r, err := e.Run(t.Context(), engine.Options{}); err != nil || r.Counts.Created != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	p, err := w.store.Person(t.Context(), "safe-01")
	if err != nil {
		t.Fatal(err)
	}
	if x, err := e.Explain(t.Context(), p); err != nil || x.Wanted.Outside != "came from elsewhere" {
		t.Errorf("explained as %+v, %v", x, err)
	}
	e.Outside, e.OutsideBy = nil, ""
	if r, err := e.Run(t.Context(), engine.Options{}); err != nil || r.Counts.Created != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}
