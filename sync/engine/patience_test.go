package engine_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dirsync"
	"dirsync/sync/engine"
)

// A target that answers that it is asked too much, whatever it is given in time, is given up at last: the run ends as a
// failure that says so, and when the target comes to itself everybody is there, once.
func TestTargetThatNeverHasTime(t *testing.T) {
	for name, test := range map[string]struct {
		op       string
		asks     time.Duration // zero: it does not say for how long
		patience time.Duration
		want     time.Duration
	}{
		"while writing":         {op: "ApplyAll", asks: time.Hour, want: 24 * time.Hour},
		"while looking":         {op: "Find", asks: time.Hour, want: 24 * time.Hour},
		"while comparing":       {op: "Users", asks: time.Hour, want: 24 * time.Hour},
		"without saying how":    {op: "ApplyAll", want: (1 + 2 + 4 + 8 + 16 + 32 + 64 + 128 + 256 + 360 + 360) * time.Minute},
		"less patiently":        {op: "ApplyAll", asks: time.Hour, patience: 90 * time.Minute, want: time.Hour},
		"asking for too much":   {op: "ApplyAll", asks: time.Hour, patience: time.Minute, want: 0},
		"asking for centuries":  {op: "ApplyAll", asks: 1e6 * time.Hour, want: 24 * time.Hour},
		"asking for no time":    {op: "ApplyAll", asks: -time.Hour, want: (1 + 2 + 4 + 8 + 16 + 32 + 64 + 128 + 256 + 360 + 360) * time.Minute},
		"patient with a minute": {op: "ApplyAll", patience: 7 * time.Minute, want: 7 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, m := newWorld(0), testMapping(t)
				staff(w, 9)
				w.join = []string{dirsync.EmailAddress}
				w.target.Fault = func(op string) (error, error) {
					if op != test.op {
						return nil, nil
					}
					e := &dirsync.Error{Op: op, Kind: dirsync.Throttled, Err: errors.New("too many requests")}
					if test.asks != 0 {
						e.RetryAt = time.Now().Add(test.asks)
					}
					return e, nil
				}
				e, began := w.engine(m), time.Now()
				e.Now, e.Patience = time.Now, test.patience
				r, err := e.Run(t.Context(), engine.Options{Compare: true})
				if took := time.Since(began); took != test.want {
					t.Errorf("it took %s, want %s", took, test.want)
				}
				if dirsync.KindOf(err) != dirsync.Throttled || dirsync.HintOf(err) == "" || r.Status != dirsync.Failure || r.Phase != dirsync.PhaseEnded || !r.Parked.IsZero() {
					t.Errorf("got %+v, %v", r, err)
				}
				if !strings.Contains(r.Error, "wait for the target: ") || !strings.Contains(r.Error, "too many requests") {
					t.Errorf("the journal says %q", r.Error)
				}
				w.target.Fault = nil
				if r := w.run(t, m); r.Status != dirsync.Success || r.Counts.Created != 9 || len(w.target.Accounts()) != 9 {
					t.Errorf("the next run: %+v", r)
				}
			})
		})
	}
}

// A target that lets one through now and then is waited for as long as it takes.
func TestTargetThatHasLittleTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, m := newWorld(0), testMapping(t)
		staff(w, 9)
		var next time.Time
		w.target.FaultChange = func(dirsync.Change) (error, error) {
			if now := time.Now(); now.Before(next) {
				return &dirsync.Error{Kind: dirsync.Throttled, RetryAt: now.Add(5 * time.Hour), Err: errors.New("too many requests")}, nil
			}
			next = time.Now().Add(time.Hour)
			return nil, nil
		}
		e, began := w.engine(m), time.Now()
		e.Now = time.Now
		r, err := e.Run(t.Context(), engine.Options{})
		if err != nil || r.Status != dirsync.Success || r.Counts.Created != 9 {
			t.Errorf("got %+v, %v", r, err)
		}
		if took, want := time.Since(began), 8*5*time.Hour; took != want {
			t.Errorf("it took %s, want %s", took, want)
		}
	})
}
