package engine

import (
	"cmp"
	"context"
	"time"

	"dirsync"
)

// firstPark is how long a target is left alone that says that it was asked too much, but not until when; it doubles each
// time, up to longestPark, which bounds what a target may ask for, too: a header can be wrong.
const (
	firstPark   = time.Minute
	longestPark = 6 * time.Hour
)

// patiently calls do, which is safe to repeat, for as long as the target wants to be left alone. That is no failure: a run
// waits, says until when, and goes on. Only whoever ends ctx ends the waiting.
func (e *Engine) patiently(ctx context.Context, r *dirsync.Run, do func() error) error {
	for delay := firstPark; ; delay = min(2*delay, longestPark) {
		err := do()
		if dirsync.KindOf(err) != dirsync.Throttled {
			return err
		}
		if waited := e.park(ctx, r, err, delay); waited != nil {
			return waited
		}
	}
}

// park waits until the target may be asked again. While it waits, the run in the journal says until when.
func (e *Engine) park(ctx context.Context, r *dirsync.Run, throttled error, delay time.Duration) error {
	now := e.now()
	if at := dirsync.RetryAt(throttled); at.After(now) {
		delay = at.Sub(now)
	}
	delay = min(delay, longestPark)
	err := e.parked(ctx, r, now.Add(delay))
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
