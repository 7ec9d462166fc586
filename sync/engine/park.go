package engine

import (
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
	r.Parked = now.Add(delay)
	if err := e.Store.SaveRun(ctx, *r); err != nil {
		return err
	}
	e.Log.Info().Str("sync", e.Sync).Uint64("run", uint64(r.ID)).Time("until", r.Parked).Err(throttled).Msg("the target wants to be left alone; the run waits")
	e.last.Parked = r.Parked
	if e.Progress != nil {
		e.Progress(e.last)
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	var err error
	select {
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
	}
	r.Parked, e.last.Parked = time.Time{}, time.Time{}
	if saved := e.Store.SaveRun(context.WithoutCancel(ctx), *r); err == nil {
		err = saved
	}
	return err
}
