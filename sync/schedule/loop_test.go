package schedule_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"dirsync/sync/schedule"
)

// daemon is a process that runs one loop after the other, on one store.
type daemon struct {
	t     *testing.T
	clock schedule.Clock
	// stored is what survives the process.
	stored schedule.State
	saves  int
	// broken is what the store answers, if it does not work.
	broken error
	told   []error
	// skew is how wrong the system's clock is.
	skew time.Duration
	// length is how long a run takes.
	length time.Duration
	// whole are the runs that ended, began those that began.
	whole, began []schedule.Todo
	active       int
	loop         *schedule.Loop
	stop         func()
}

func (d *daemon) now() time.Time { return time.Now().Add(d.skew) }

func (d *daemon) start() {
	ctx, cancel := context.WithCancel(context.Background())
	d.loop = schedule.NewLoop(d.clock, d.stored, schedule.Callbacks{
		Run: d.run,
		Save: func(s schedule.State) error {
			if d.broken != nil {
				return d.broken
			}
			d.saves++
			d.stored = stored(d.t, s)
			return nil
		},
		Problem: func(err error) { d.told = append(d.told, err) },
		Now:     d.now,
	})
	over := make(chan struct{})
	go func() { d.loop.Run(ctx); close(over) }()
	d.stop = func() { cancel(); <-over }
	synctest.Wait()
}

func (d *daemon) run(ctx context.Context, todo schedule.Todo) bool {
	d.began = append(d.began, todo)
	if d.active++; d.active > 1 {
		d.t.Error("two runs at a time")
	}
	defer func() { d.active-- }()
	timer := time.NewTimer(d.length)
	defer timer.Stop()
	select {
	case <-timer.C:
		d.whole = append(d.whole, todo)
		return true
	case <-ctx.Done():
		return false
	}
}

// wait lets time pass.
func wait(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// TestYear runs a year of weekly syncs in a process that is restarted, killed in the middle of runs, asleep, asked for
// runs, and whose system's clock is set, all by chance: one run ends for each Sunday.
func TestYear(t *testing.T) {
	for i, name := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"} {
		for _, unkind := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				z := zone(t, name)
				start := time.Now()
				end := start.AddDate(1, 0, 0)
				d := &daemon{t: t, length: 40 * time.Minute, clock: schedule.Clock{Name: name, Schedule: parse(t, "weekly on sunday at 02:00", z)}}
				chance := rand.New(rand.NewPCG(uint64(i), 1))
				d.start()
				asked := 0
				for time.Now().Before(end) {
					if !unkind {
						wait(24 * time.Hour)
						continue
					}
					wait(time.Duration(chance.IntN(48*60)) * time.Minute)
					switch chance.IntN(4) {
					case 0: // down, for less than a week
						d.stop()
						wait(time.Duration(chance.IntN(100)) * time.Hour)
						d.start()
					case 1: // killed in the next run, if it is soon
						wait(time.Duration(chance.IntN(60)) * time.Minute)
						d.stop()
						d.start()
					case 2: // a clock that is up to three hours wrong, this way or the other
						d.skew = time.Duration(chance.IntN(360)-180) * time.Minute
						wait(time.Duration(chance.IntN(300)) * time.Minute)
						d.skew = 0
					case 3:
						asked++
						if err := d.loop.SyncNow(t.Context()); err != nil {
							t.Error(err)
						}
					}
				}
				d.stop()
				want := 0
				y, m, day := start.In(z).Date()
				for at := time.Date(y, m, day, 3, 0, 0, 0, z); at.Before(d.stored.Seen); at = at.AddDate(0, 0, 1) {
					if at.After(start) && at.Weekday() == time.Sunday {
						want++
					}
				}
				slots := map[time.Time]int{}
				for _, r := range d.whole {
					if !r.Slot.IsZero() {
						slots[r.Slot]++
					}
				}
				for slot, n := range slots {
					if local := slot.In(z); n != 1 || local.Weekday() != time.Sunday {
						t.Errorf("%s: %d runs for %s", name, n, local)
					}
				}
				t.Logf("%s: %d Sundays, %d runs for them, %d asked for, %d begun, %d writes", name, want, len(slots), asked, len(d.began), d.saves)
				if want != 52 && want != 53 || len(slots) != want && len(slots) != want-1 {
					t.Errorf("%s: got %d runs in %d weeks", name, len(slots), want)
				}
				for at := d.clock.Schedule.Next(start); at.Before(d.stored.Seen.Add(-d.length - time.Hour)); at = d.clock.Schedule.Next(at) {
					if slots[at.UTC()] != 1 {
						t.Errorf("%s: no run for %s", name, at)
					}
				}
			})
		}
	}
}

func TestSyncNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &daemon{t: t, length: time.Hour, clock: schedule.Clock{Schedule: parse(t, "weekly on sunday at 02:00", nil)}}
		d.start()
		for range 3 {
			if err := d.loop.SyncNow(t.Context()); err != nil {
				t.Fatal(err)
			}
			wait(time.Minute)
		}
		wait(3 * time.Hour)
		if got := len(d.whole); got != 2 {
			t.Errorf("got %d runs, want one, and one more for those who asked meanwhile", got)
		}
		d.broken = errors.New("the disk is full")
		if err := d.loop.SyncNow(t.Context()); !errors.Is(err, d.broken) {
			t.Errorf("got %v, want that the wish is not stored", err)
		}
		d.broken = nil
		wait(time.Hour)
		if got := len(d.began); got != 2 {
			t.Errorf("got %d runs, want none that was refused", got)
		}
		d.stop()
		if err := d.loop.SyncNow(t.Context()); !errors.Is(err, schedule.ErrOver) {
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
		d := &daemon{t: t, length: 10 * time.Minute, clock: schedule.Clock{Schedule: parse(t, "daily at 02:00", nil)}}
		d.broken = errors.New("the disk is full")
		d.start()
		wait(90 * time.Minute)
		d.broken = nil
		wait(20 * time.Minute) // 01:50
		d.broken = errors.New("the disk is full")
		wait(time.Hour)
		if len(d.began) > 0 {
			t.Error("a run began of which nobody would have known")
		}
		if len(d.told) < 60 {
			t.Errorf("the problem was told %d times", len(d.told))
		}
		d.broken = nil
		wait(5 * time.Minute)
		d.broken = errors.New("the disk is full")
		wait(time.Hour)
		if len(d.whole) != 1 || d.stored.Run.Began.IsZero() {
			t.Fatalf("got %d runs, stored %+v", len(d.whole), d.stored)
		}
		d.broken = nil
		wait(2 * time.Minute)
		if len(d.began) != 1 || !d.stored.Run.Began.IsZero() || d.stored.LastRun.Ended.IsZero() {
			t.Errorf("got %d runs, stored %+v", len(d.began), d.stored)
		}
		d.stop()
	})
}

func TestCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &daemon{t: t, length: time.Hour, clock: schedule.Clock{Schedule: parse(t, "daily at 02:00", nil), Policy: schedule.Policy{Missed: schedule.NextSlot}}}
		d.start()
		wait(150 * time.Minute)
		d.stop()
		if len(d.began) != 1 || len(d.whole) != 0 || d.stored.Run.Began.IsZero() {
			t.Fatalf("began %d, ended %d", len(d.began), len(d.whole))
		}
		wait(time.Hour)
		d.start()
		wait(2 * time.Hour)
		d.stop()
		if len(d.began) != 2 || len(d.whole) != 1 || !d.whole[0].Slot.Equal(d.began[0].Slot) {
			t.Errorf("began %v, ended %v", d.began, d.whole)
		}
	})
}

// TestReload replaces the schedule while a run is under way.
func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &daemon{t: t, length: time.Hour, clock: schedule.Clock{Schedule: parse(t, "daily at 02:00", nil)}}
		d.start()
		wait(150 * time.Minute)
		next := schedule.Clock{Schedule: parse(t, "hourly at :45", nil)}
		if err := d.loop.Reload(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		wait(85 * time.Minute) // 03:55
		if len(d.whole) != 1 || len(d.began) != 2 || d.began[1].Slot.Minute() != 45 {
			t.Errorf("began %v, ended %v", d.began, d.whole)
		}
		d.broken = errors.New("the disk is full")
		if err := d.loop.Reload(t.Context(), schedule.Clock{}); err == nil {
			t.Error("a schedule was replaced that could not be stored")
		}
		d.broken = nil
		wait(90 * time.Minute)
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
		d := &daemon{t: t, length: time.Minute, clock: schedule.Clock{Schedule: parse(t, "every 6 hours", nil)}}
		d.start()
		d.skew = 19 * time.Hour
		wait(time.Minute + time.Second)
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
