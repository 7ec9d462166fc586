package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"dirsync"
)

// firstPark is how long a target is left alone that says that it was asked too much, but not until when; it doubles each
// time, up to longestPark, which bounds what a target may ask for, too: a header can be wrong.
const (
	firstPark   = time.Minute
	longestPark = 6 * time.Hour
)

// DefaultPatience lets a bad day of the target pass, and leaves a source that forgets its cursors after seven days the time
// to be read: as long as a run waits, nothing else is done about its sync.
const DefaultPatience = 24 * time.Hour

// patiently calls do, which is safe to repeat, for as long as the target wants to be left alone. That is no failure: a run
// waits, says until when, and goes on. But a target that lets nothing through whatever it is given in time is no better than
// one that is down: when the waiting, since something last got through, would come to more than the engine's patience, it is
// given up. Whoever ends ctx ends the waiting, too.
func (e *Engine) patiently(ctx context.Context, r *dirsync.Run, do func() error) error {
	delay, idle, through := firstPark, time.Duration(0), e.through
	for ; ; delay = min(2*delay, longestPark) {
		err := do()
		if dirsync.KindOf(err) != dirsync.Throttled {
			return err
		}
		if through != e.through {
			delay, idle, through = firstPark, 0, e.through
		}
		wait := delay
		if now := e.now(); dirsync.RetryAt(err).After(now) {
			wait = dirsync.RetryAt(err).Sub(now)
		}
		wait = min(wait, longestPark)
		if idle += wait; idle > cmp.Or(e.Patience, DefaultPatience) {
			return e.impatient(err, idle-wait)
		}
		if waited := e.park(ctx, r, err, wait); waited != nil {
			return waited
		}
	}
}

// impatient says that the target has been waited for long enough.
func (e *Engine) impatient(throttled error, idle time.Duration) error {
	err := errors.New(e.Target.Name() + " wants to be left alone for longer than a run waits")
	if idle > 0 {
		err = fmt.Errorf("%s has let nothing through in %s of waiting", e.Target.Name(), idle)
	}
	return &dirsync.Error{Op: "wait for the target", Kind: dirsync.Throttled, RetryAt: dirsync.RetryAt(throttled),
		Err: fmt.Errorf("%w: %w", err, throttled),
		Hint: "Nobody is lost: those who were not changed stay owed, and the next run goes on with them. " +
			"Ask whoever runs the target why it refuses."}
}

// park waits until the target may be asked again. While it waits, the run in the journal says until when.
func (e *Engine) park(ctx context.Context, r *dirsync.Run, throttled error, delay time.Duration) error {
	err := e.parked(ctx, r, e.now().Add(delay))
	if err == nil {
		e.Log.Info().Str("sync", e.Sync).Uint64("run", uint64(r.ID)).Time("until", r.Parked).Err(throttled).Msg("the target wants to be left alone; the run waits")
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-timer.C:
			e.waited += delay
		}
	}
	return cmp.Or(err, e.parked(context.WithoutCancel(ctx), r, time.Time{}))
}

// parked says until when a run waits, or that it waits no more. A run that waits for its groups waits, too.
func (e *Engine) parked(ctx context.Context, r *dirsync.Run, until time.Time) error {
	r.Parked, e.last.Parked = until, until
	if err := e.Store.SaveRun(ctx, *r); err != nil {
		return err
	}
	if e.Progress != nil {
		e.Progress(e.last)
	}
	if e.parks != nil {
		return e.parks(ctx, until)
	}
	return nil
}
