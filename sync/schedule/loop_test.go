package schedule_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dirsync/sync/schedule"
)

// daemon is a process that runs one loop after the other, on one store. The test holds mu except while it waits.
type daemon struct {
	t     *testing.T
	mu    sync.Mutex
	clock schedule.Clock
	// stored is what survives the process.
	stored schedule.State
	saves  int
	// broken is what the store answers, if it does not work.
	broken error
	told   []error
	// skew is how wrong the system's clock is.
	skew time.Duration
	// failing is how many of the next runs fail: in part, if owed says after how long that is due again.
	failing int
	owed    time.Duration
	// length is how long a run takes.
	length time.Duration
	// whole are the runs that ended, began those that began.
	whole, began []schedule.Todo
	active       int
	loop         *schedule.Loop
	kill         func()
}

func newDaemon(t *testing.T, length time.Duration, text string, z *time.Location, p schedule.Policy) *daemon {
	d := &daemon{t: t, length: length, clock: schedule.Clock{Name: "staff", Schedule: parse(t, text, z), Policy: p}}
	d.mu.Lock()
	d.start()
	return d
}

// released runs fn while the loop may do what it wants.
func (d *daemon) released(fn func()) {
	d.mu.Unlock()
	fn()
	synctest.Wait()
	d.mu.Lock()
}

// wait lets time pass.
func (d *daemon) wait(length time.Duration) {
	d.released(func() { <-time.After(length) })
}

func (d *daemon) syncNow() (err error) {
	d.released(func() { err = d.loop.SyncNow(d.t.Context()) })
	return err
}

func (d *daemon) reload(c schedule.Clock) (err error) {
	d.released(func() { err = d.loop.Reload(d.t.Context(), c) })
	return err
}

func (d *daemon) stop() { d.released(d.kill) }

func (d *daemon) now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Now().Add(d.skew)
}

func (d *daemon) start() {
	ctx, cancel := context.WithCancel(context.Background())
	d.loop = schedule.NewLoop(d.clock, d.stored, schedule.Callbacks{
		Run: d.run,
		Save: func(s schedule.State) error {
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.broken != nil {
				return d.broken
			}
			d.saves++
			d.stored = stored(d.t, s)
			return nil
		},
		Problem: func(err error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.told = append(d.told, err)
		},
		Now:  d.now,
		Owed: func() time.Time { return d.now().Add(d.owed) },
	})
	over := make(chan struct{})
	loop := d.loop
	d.released(func() { go func() { loop.Run(ctx); close(over) }() })
	d.kill = func() { cancel(); <-over }
}

func (d *daemon) run(ctx context.Context, todo schedule.Todo) schedule.Ending {
	d.mu.Lock()
	d.began = append(d.began, todo)
	if d.active++; d.active > 1 {
		d.t.Error("two runs at a time")
	}
	d.mu.Unlock()
	timer := time.NewTimer(d.length)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		todo = schedule.Todo{}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.active--
	if !todo.Run {
		return schedule.Stopped
	}
	if d.failing > 0 {
		d.failing--
		if d.owed > 0 {
			return schedule.Partly
		}
		return schedule.Failed
	}
	d.whole = append(d.whole, todo)
	return schedule.Ended
}

// TestYear runs a year of weekly syncs in a process that is restarted, killed in the middle of runs, asleep, asked for
// runs, and whose system's clock is set, all by chance: one run ends for each Sunday.
func TestYear(t *testing.T) {
	for i, name := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"} {
		for _, unkind := range []bool{false, true} {
			if !unkind && name != "Australia/Lord_Howe" {
				continue // one quiet year is enough; each takes half a million looks at the clock
			}
			synctest.Test(t, func(t *testing.T) {
				z := zone(t, name)
				start := time.Now()
				end := start.AddDate(1, 0, 0)
				d := newDaemon(t, 40*time.Minute, "weekly on sunday at 02:00", z, schedule.Policy{})
				chance := rand.New(rand.NewPCG(uint64(i), 1))
				asked := 0
				for time.Now().Before(end) {
					if !unkind {
						d.wait(24 * time.Hour)
						continue
					}
					d.wait(time.Duration(chance.IntN(48*60)) * time.Minute)
					switch chance.IntN(4) {
					case 0: // down, for less than a week
						d.stop()
						d.wait(time.Duration(chance.IntN(100)) * time.Hour)
						d.start()
					case 1: // killed in the next run, if it is soon
						d.wait(time.Duration(chance.IntN(60)) * time.Minute)
						d.stop()
						d.start()
					case 2: // a clock that is up to three hours wrong, this way or the other
						d.skew = time.Duration(chance.IntN(360)-180) * time.Minute
						d.wait(time.Duration(chance.IntN(300)) * time.Minute)
						d.skew = 0
					case 3:
						asked++
						if err := d.syncNow(); err != nil {
							t.Error(err)
						}
					}
				}
				d.stop()
				want := 0
				y, m, day := start.In(z).Date()
				for at := start; at.Before(d.stored.Seen); day++ {
					at = time.Date(y, m, day, 2, 0, 0, 0, z)
					if at.After(start) && at.Before(d.stored.Seen) && at.Weekday() == time.Sunday {
						want++
					}
				}
				slots := map[time.Time]int{}
				for _, r := range d.whole {
					if !r.Slot.IsZero() {
						slots[r.Slot]++
					}
				}
				ran := 0
				for slot, n := range slots {
					if local := slot.In(z); n != 1 || local.Weekday() != time.Sunday {
						t.Errorf("%s: %d runs for %s", name, n, local)
					}
					if !slot.After(d.stored.Seen) {
						ran++
					}
				}
				// The last one may have been stopped in the middle; then it is remembered.
				if slot := d.stored.Run.Slot; !slot.IsZero() {
					ran++
				}
				t.Logf("%s: %d Sundays, %d runs for them, %d asked for, %d begun, %d writes", name, want, ran, asked, len(d.began), d.saves)
				if want != 52 && want != 53 || ran != want {
					t.Errorf("%s: got %d runs in %d weeks", name, ran, want)
				}
			})
		}
	}
}

func TestSyncNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDaemon(t, time.Hour, "weekly on sunday at 02:00", nil, schedule.Policy{})
		for range 3 {
			if err := d.syncNow(); err != nil {
				t.Fatal(err)
			}
			d.wait(time.Minute)
		}
		d.wait(3 * time.Hour)
		if got := len(d.whole); got != 2 {
			t.Errorf("got %d runs, want one, and one more for those who asked meanwhile", got)
		}
		d.broken = errors.New("the disk is full")
		if err := d.syncNow(); !errors.Is(err, d.broken) {
			t.Errorf("got %v, want that the wish is not stored", err)
		}
		d.broken = nil
		d.wait(time.Hour)
		if got := len(d.began); got != 2 {
			t.Errorf("got %d runs, want none that was refused", got)
		}
		d.stop()
		if err := d.syncNow(); !errors.Is(err, schedule.ErrOver) {
			t.Errorf("got %v, want ErrOver", err)
		}
	})
}

func TestSyncNowGivesUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := schedule.NewLoop(schedule.Clock{}, schedule.State{}, schedule.Callbacks{})
	if err := l.SyncNow(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestBrokenStore keeps the store from working when a slot comes due, and again when its run ends.
func TestBrokenStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDaemon(t, 10*time.Minute, "daily at 02:00", nil, schedule.Policy{})
		d.broken = errors.New("the disk is full")
		d.stop()
		d.stored = schedule.State{}
		d.start()
		d.wait(90 * time.Minute)
		d.broken = nil
		d.wait(20 * time.Minute) // 01:50
		d.broken = errors.New("the disk is full")
		d.wait(time.Hour)
		if len(d.began) > 0 {
			t.Error("a run began of which nobody would have known")
		}
		if len(d.told) < 60 {
			t.Errorf("the problem was told %d times", len(d.told))
		}
		d.broken = nil
		d.wait(5 * time.Minute)
		d.broken = errors.New("the disk is full")
		d.wait(time.Hour)
		if len(d.whole) != 1 || d.stored.Run.Began.IsZero() {
			t.Fatalf("got %d runs, stored %+v", len(d.whole), d.stored)
		}
		d.broken = nil
		d.wait(2 * time.Minute)
		if len(d.began) != 1 || !d.stored.Run.Began.IsZero() || d.stored.LastRun.Ended.IsZero() {
			t.Errorf("got %d runs, stored %+v", len(d.began), d.stored)
		}
		d.stop()
	})
}

func TestCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDaemon(t, time.Hour, "daily at 02:00", nil, schedule.Policy{Missed: schedule.NextSlot})
		d.wait(150 * time.Minute)
		d.stop()
		if len(d.began) != 1 || len(d.whole) != 0 || d.stored.Run.Began.IsZero() {
			t.Fatalf("began %d, ended %d", len(d.began), len(d.whole))
		}
		d.wait(time.Hour)
		d.start()
		d.wait(2 * time.Hour)
		d.stop()
		if len(d.began) != 2 || len(d.whole) != 1 || !d.whole[0].Slot.Equal(d.began[0].Slot) {
			t.Errorf("began %v, ended %v", d.began, d.whole)
		}
	})
}

// TestRetry lets runs fail, over a restart of the process: the slot runs until one of its runs does not fail.
func TestRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDaemon(t, time.Minute, "daily at 02:00", nil, schedule.Policy{Retry: schedule.Retries()})
		d.failing = 3
		d.wait(2*time.Hour + 3*time.Minute)
		if len(d.began) != 1 || d.stored.Again.Failed != 1 {
			t.Fatalf("began %v, stored %+v", d.began, d.stored)
		}
		d.stop()
		d.start()
		d.wait(3 * time.Hour)
		if len(d.began) != 4 || len(d.whole) != 1 || d.whole[0].Failed != 3 || !d.whole[0].Slot.Equal(d.began[0].Slot) {
			t.Errorf("began %v, ended well %v", d.began, d.whole)
		}
		d.wait(20 * time.Hour)
		if len(d.began) != 4 || d.stored.Again != (schedule.Again{}) {
			t.Errorf("began %v, stored %+v", d.began, d.stored)
		}
		d.stop()
	})
}

// TestPartly lets runs fail in part: the slot runs again when what failed is due, over a restart of the process.
func TestPartly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDaemon(t, time.Minute, "weekly on sunday at 02:00", nil, schedule.Policy{Retry: schedule.Retries()})
		d.failing, d.owed = 2, 40*time.Minute
		d.wait(26*time.Hour + 3*time.Minute)
		if len(d.began) != 1 || !d.stored.Again.At.Equal(d.stored.LastRun.Ended.Add(d.owed)) {
			t.Fatalf("began %v, stored %+v", d.began, d.stored)
		}
		d.stop()
		d.start()
		d.wait(37 * time.Minute)
		if len(d.began) != 1 {
			t.Errorf("before it is due: began %v", d.began)
		}
		d.wait(time.Hour)
		if len(d.began) != 3 || len(d.whole) != 1 || d.whole[0].Failed != 2 || !d.whole[0].Slot.Equal(d.began[0].Slot) {
			t.Errorf("began %v, ended well %v", d.began, d.whole)
		}
		d.stop()
	})
}

// TestMakeUp asks for what was left out.
func TestMakeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDaemon(t, time.Minute, "daily at 02:00", nil, schedule.Policy{Blackouts: window(t, "08:00-18:00")})
		d.wait(9 * time.Hour)
		var err error
		d.released(func() { err = d.loop.MakeUp(d.t.Context()) })
		d.wait(8 * time.Hour)
		if err != nil || len(d.whole) != 1 {
			t.Errorf("within the blackout: %v, %v", err, d.whole)
		}
		d.wait(2 * time.Hour)
		if len(d.whole) != 2 || d.whole[1].Asked {
			t.Errorf("after it: %v", d.whole)
		}
		d.stop()
	})
}

// TestReload replaces the schedule while a run is under way.
func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDaemon(t, time.Hour, "daily at 02:00", nil, schedule.Policy{})
		d.wait(150 * time.Minute)
		next := schedule.Clock{Schedule: parse(t, "hourly at :45", nil)}
		if err := d.reload(next); err != nil {
			t.Fatal(err)
		}
		d.wait(85 * time.Minute) // 03:55
		if len(d.whole) != 1 || len(d.began) != 2 || d.began[1].Slot.Minute() != 45 {
			t.Errorf("began %v, ended %v", d.began, d.whole)
		}
		d.broken = errors.New("the disk is full")
		if err := d.reload(schedule.Clock{}); err == nil {
			t.Error("a schedule was replaced that could not be stored")
		}
		d.broken = nil
		d.wait(90 * time.Minute)
		if len(d.began) < 4 {
			t.Errorf("the schedule before does not go on: began %v", d.began)
		}
		d.stop()
	})
}

// TestSuspended has the system's clock go on by hours that no timer has seen.
func TestSuspended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		d := newDaemon(t, time.Minute, "every 6 hours", nil, schedule.Policy{})
		d.skew = 19 * time.Hour
		d.wait(time.Minute + time.Second)
		if len(d.began) != 1 || d.began[0].Slot.Hour() != 18 {
			t.Errorf("got %v, want one run for the last slot", d.began)
		}
		d.stop()
		l := schedule.NewLoop(schedule.Clock{}, schedule.State{}, schedule.Callbacks{
			Save:  func(schedule.State) error { return nil },
			Watch: func(schedule.State) { looks++ },
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		l.Run(ctx)
		if looks < 59 || looks > 61 {
			t.Errorf("a loop without anything to do looked %d times in an hour", looks)
		}
	})
}
