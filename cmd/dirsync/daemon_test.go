package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"dirsync"
	"dirsync/graph/graphtest"
	"dirsync/notify"
	"dirsync/store"
	"dirsync/sync/schedule"
)

// TestServeLeavesNothing runs the daemon within this process, and counts its goroutines afterwards.
func TestServeLeavesNothing(t *testing.T) {
	tenant, config := newTenant(t, 10)
	manually(t, config)
	already := goleak.IgnoreCurrent()
	a := newApp(io.Discard, io.Discard)
	a.configPath, a.replicaLag = config, time.Nanosecond
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ran := make(chan error, 1)
	err := a.serve(ctx, make(chan os.Signal), func(d *daemon) {
		go func() {
			defer cancel()
			ran <- func() error {
				news, err := d.Progress(ctx, "staff")
				if err != nil {
					return err
				}
				if err := d.SyncNow(ctx, "staff", "test"); err != nil {
					return err
				}
				for p := range news {
					if p.Phase == string(dirsync.PhaseEnded) {
						break
					}
				}
				if err := d.reload(); err != nil {
					return err
				}
				_, err = d.Status(ctx)
				return err
			}()
		}()
	})
	if err != nil {
		t.Error(err)
	}
	if err := <-ran; err != nil {
		t.Error(err)
	}
	if tenant.Requests().Total == 0 {
		t.Error("nobody was asked")
	}
	// The server of the simulated tenant closes its side of a connection in its own time.
	goleak.VerifyNone(t, already, goleak.IgnoreAnyFunction("net/http.(*conn).serve"), goleak.IgnoreAnyFunction("net/http.(*http2serverConn).serve"))
}

// idle makes a daemon in which no loop runs.
func idle(t *testing.T, config string) *daemon {
	t.Helper()
	a := newApp(io.Discard, io.Discard)
	a.configPath, a.replicaLag, a.log = config, time.Nanosecond, zerolog.Nop()
	cfg, _, err := a.load(nil)
	if err != nil {
		t.Fatal(err)
	}
	st, err := a.openStore(cfg, false)
	if err != nil {
		t.Fatal(err)
	}
	d := newDaemon(a, cfg, st)
	d.ctx = t.Context()
	if d.teller, err = d.newTeller(cfg); err != nil {
		t.Fatal(err)
	}
	for name := range cfg.Syncs {
		w, err := d.newWorker(t.Context(), cfg, name)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		d.workers[name] = w
		w.start(ctx)
		t.Cleanup(func() { cancel(); w.wait() })
	}
	t.Cleanup(func() { _ = st.Close() })
	return d
}

// told lists what people would be told now.
func told(t *testing.T, d *daemon) (kinds []string) {
	t.Helper()
	state, err := newNotifyStore(d.st).State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range state.Waiting {
		kinds = append(kinds, string(n.Kind))
	}
	return kinds
}

// TestProbe pauses a sync whose tenant refuses it, and lets the daemon find out that it is let in again.
func TestProbe(t *testing.T) {
	tenant, config := newTenant(t, 5)
	appendTo(t, config, "    schedule: weekly on sunday at 02:00\n")
	d := idle(t, config)
	w, err := d.worker("staff")
	if err != nil {
		t.Fatal(err)
	}
	tenant.SetFaults(graphtest.Faults{Denied: true})
	if w.runDue(t.Context(), schedule.Todo{Slot: time.Now()}) != schedule.Ended {
		t.Error("the run was not taken for ended")
	}
	if _, p := w.state(); p == nil {
		t.Fatal("the schedule is not paused")
	}
	if got, want := fmt.Sprint(told(t, d)), "[consent_withdrawn]"; got != want {
		t.Errorf("told %s, want %s", got, want)
	}
	before := len(runsOf(t, d))
	if w.runDue(t.Context(), schedule.Todo{Slot: time.Now()}) != schedule.Ended || len(runsOf(t, d)) != before {
		t.Error("a scheduled run was made while the schedule was paused")
	}
	w.probe(t.Context())
	if _, p := w.state(); p == nil || !p.Missed {
		t.Errorf("the pause is %+v after a probe that was refused", p)
	}
	tenant.SetFaults(graphtest.Faults{})
	w.probe(t.Context())
	if _, p := w.state(); p != nil {
		t.Error("the schedule is still paused")
	}
	if got, want := fmt.Sprint(told(t, d)), "[consent_withdrawn recovered]"; got != want {
		t.Errorf("told %s, want %s", got, want)
	}
	// What was left out is made up for, without anybody asking.
	news := d.feed.Watch(t.Context(), "staff")
	for p := range news {
		if p.Phase == string(dirsync.PhaseEnded) && p.Status == string(dirsync.Success) {
			break
		}
	}
}

// TestNoNetwork takes the network away from a run and from a reading: both are made again before the next time of the schedule.
func TestNoNetwork(t *testing.T) {
	tenant := &graphtest.Tenant{}
	tenant.Generate(5, 1)
	server, err := graphtest.Start(tenant)
	if err != nil {
		t.Fatal(err)
	}
	config := setUp(t, t.TempDir(), server.URL, server.CA, tenant.Identity())
	d := idle(t, config)
	w, err := d.worker("staff")
	if err != nil {
		t.Fatal(err)
	}
	server.Close()
	if got := w.runDue(t.Context(), schedule.Todo{Run: true, Slot: time.Now()}); got != schedule.Failed {
		t.Errorf("the run: got %v, want one that is made again", got)
	}
	if got := w.readDue(t.Context(), schedule.Todo{Run: true, Slot: time.Now()}); got != schedule.Failed {
		t.Errorf("the reading: got %v, want one that is made again", got)
	}
	if _, p := w.state(); p != nil {
		t.Errorf("the schedule is paused: %+v", p)
	}
	if got, want := fmt.Sprint(told(t, d)), "[run_failed]"; got != want {
		t.Errorf("told %s, want %s", got, want)
	}
	for kind, want := range map[dirsync.ErrorKind]schedule.Ending{dirsync.Unknown: schedule.Failed, dirsync.Storage: schedule.Failed,
		dirsync.Throttled: schedule.Failed, dirsync.Invalid: schedule.Ended, dirsync.Permission: schedule.Ended} {
		if got := ending(&dirsync.Error{Kind: kind}); got != want {
			t.Errorf("%v: got %v, want %v", kind, got, want)
		}
	}
	if got := ending(nil); got != schedule.Ended {
		t.Errorf("no error: got %v", got)
	}
}

func runsOf(t *testing.T, d *daemon) []dirsync.Run {
	t.Helper()
	runs, err := d.st.Sync("staff").Runs(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	return runs
}

// TestOverdue raises the alarm for a sync that never succeeds, whatever the reason, and takes it back.
func TestOverdue(t *testing.T) {
	_, config := newTenant(t, 5)
	d := idle(t, config)
	now := time.Now()
	d.lookForOverdue(t.Context(), now)
	if got := told(t, d); len(got) != 0 {
		t.Errorf("told %v of a sync that has just been configured", got)
	}
	d.lookForOverdue(t.Context(), now.Add(8*24*time.Hour-time.Minute))
	if got := told(t, d); len(got) != 0 {
		t.Errorf("told %v too early", got)
	}
	d.lookForOverdue(t.Context(), now.Add(8*24*time.Hour+time.Minute))
	d.lookForOverdue(t.Context(), now.Add(8*24*time.Hour+time.Hour))
	if got, want := fmt.Sprint(told(t, d)), "[overdue]"; got != want {
		t.Errorf("told %s, want %s", got, want)
	}
	w, err := d.worker("staff")
	if err != nil {
		t.Fatal(err)
	}
	w.runDue(t.Context(), schedule.Todo{Asked: true})
	if got, want := fmt.Sprint(told(t, d)), "[overdue recovered]"; got != want {
		t.Errorf("told %s, want %s", got, want)
	}
}

// TestPatience says how long a sync may be without a success.
func TestPatience(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for _, test := range []struct {
		schedule string
		overdue  time.Duration
		want     time.Duration
	}{
		{"weekly on sunday at 02:00", 8 * day, 8 * day},
		{"weekly on sunday at 02:00", 2 * day, 8 * day},
		{"daily at 02:00", 2 * day, 2 * day},
		{"every 6 hours", time.Hour, 30 * time.Hour},
		{"monthly on the 1st at 02:00", 8 * day, 31 * day},
		{"manually", 8 * day, 8 * day},
	} {
		s, err := schedule.Parse(test.schedule, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := patience(&Sync{Schedule: ScheduleConfig{Schedule: s}}, test.overdue, now); got != test.want {
			t.Errorf("%s, %v: got %v, want %v", test.schedule, test.overdue, got, test.want)
		}
	}
}

// TestExpiryNews warns of a credential once at each of its marks, and says when there is a new one.
func TestExpiryNews(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	seen := map[string]bool{}
	for _, test := range []struct {
		left time.Duration
		kind notify.Kind
		// news says that it is another warning than those before.
		news bool
	}{
		{31 * day, notify.Recovered, false}, {30 * day, notify.CredentialExpiring, true}, {20 * day, notify.CredentialExpiring, false},
		{14 * day, notify.CredentialExpiring, true}, {7 * day, notify.CredentialExpiring, true}, {2 * day, notify.CredentialExpiring, false},
		{day, notify.CredentialExpiring, true}, {-day, notify.CredentialExpiring, false}, {300 * day, notify.Recovered, false},
	} {
		ends := now.Add(40 * day)
		n := expiryNews("staff", "contoso", ends, ends.Add(-test.left))
		if n.Kind != test.kind {
			t.Errorf("%v before the end: got %s, want %s", test.left, n.Kind, test.kind)
		}
		if n.Kind == notify.CredentialExpiring && seen[n.Fingerprint] == test.news {
			t.Errorf("%v before the end: another warning: %v, want %v", test.left, !seen[n.Fingerprint], test.news)
		}
		seen[n.Fingerprint] = true
		if test.left < 0 != strings.Contains(n.Reason, "has ended") {
			t.Errorf("%v before the end: says %q", test.left, n.Reason)
		}
	}
}

// TestInTime waits for the end of the daemon, but not for ever and not for a second signal.
func TestInTime(t *testing.T) {
	closed := make(chan struct{})
	close(closed)
	never := make(chan struct{})
	second := make(chan os.Signal, 3)
	second <- reloadSignal
	second <- syncNowSignal
	second <- syscall.SIGTERM
	for _, test := range []struct {
		name    string
		ended   chan struct{}
		signals chan os.Signal
		within  time.Duration
		want    bool
	}{
		{"ended", closed, nil, time.Minute, true},
		{"too long", never, nil, time.Millisecond, false},
		{"a second signal", never, second, time.Minute, false},
	} {
		if got := inTime(test.ended, test.signals, test.within); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

// TestBrokenNotes lets what the store remembers of a schedule be nonsense: it is forgotten, and nothing stops.
func TestBrokenNotes(t *testing.T) {
	_, config := newTenant(t, 1)
	st, err := store.Open(filepath.Join(filepath.Dir(config), "dirsync.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{noteSchedule, noteReading, notePause, noteKnown} {
		if err := st.SetNote(t.Context(), name+"staff", []byte("{nonsense")); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	d := idle(t, config)
	if _, err := d.Status(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := d.lastGood(t.Context(), "staff"); err != nil {
		t.Error(err)
	}
}
