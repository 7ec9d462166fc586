package notify

import (
	"errors"
	"time"

	"dirsync"
)

// Retry says how long to keep trying.
type Retry struct {
	// Waits are the pauses after the first failed attempt, the second and so on; the last goes on. Empty means a minute.
	Waits []time.Duration
	// For is how long after a message was written it is tried at all. An attempt that fails after that is the last.
	For time.Duration
	// Refusals is how many times a server must refuse a message for good until it is believed. Less than one means one.
	Refusals int
	// Rest is how long a channel is left alone that does not accept our credential or our settings.
	Rest time.Duration
}

// DefaultRetry waits 1, 5 and 30 minutes, 2 hours, then 6 hours, for three days; believes the third refusal; and tries a
// stopped channel again after six hours, seldom enough not to lock an account.
func DefaultRetry() Retry {
	return Retry{
		Waits: []time.Duration{time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 6 * time.Hour},
		For:   72 * time.Hour, Refusals: 3, Rest: 6 * time.Hour,
	}
}

// maxDoubts is how many attempts without an outcome end a message: the first may have delivered it, and the second is
// the one repetition.
const maxDoubts = 2

// begin returns d with an attempt under way. The second result is false when there must be no attempt, because the last
// one, which a dead process began, was one doubt too many.
func begin(d Delivery, repeatable bool, now time.Time) (Delivery, bool) {
	if d.Trying && !repeatable {
		if d.Doubts++; d.Doubts >= maxDoubts {
			d.Trying, d.Status, d.Ended, d.Due = false, Unsure, now, time.Time{}
			d.Answer = "the program ended while it was sending, so it may have arrived"
			return d, false
		}
	}
	d.Trying = true
	d.Attempts++
	return d, true
}

// settle returns what becomes of a message of which an attempt under way has ended at now. stop says that the error is
// one of the channel: the attempt does not count, and the others need not be tried.
func (r Retry) settle(m Message, answer string, err error, repeatable bool, now time.Time) (d Delivery, stop bool) {
	d = m.Delivery
	d.Trying = false
	if err == nil {
		d.Status, d.Answer, d.Ended, d.Due = Sent, clean(answer, 400), now, time.Time{}
		return d, false
	}
	d.Answer = clean(err.Error(), 400)
	d.Due = now.Add(r.wait(d.Attempts))
	var e *dirsync.Error
	errors.As(err, &e)
	if e != nil && e.RetryAt.After(d.Due) {
		d.Due = plainTime(e.RetryAt)
		if latest := now.Add(24 * time.Hour); d.Due.After(latest) {
			d.Due = latest
		}
	}
	end := func(s Status) { d.Status, d.Ended, d.Due = s, now, time.Time{} }
	kind := dirsync.KindOf(err)
	switch {
	case errors.Is(err, ErrUnsure) && !repeatable:
		if d.Doubts++; d.Doubts >= maxDoubts {
			end(Unsure)
		}
	case kind == dirsync.Unauthorized || kind == dirsync.Permission:
		d.Attempts--
		d.Due = m.Delivery.Due
		return d, true
	case kind == dirsync.Invalid || kind == dirsync.NotFound:
		if d.Refused++; d.Refused >= r.Refusals {
			end(GivenUp)
		}
	}
	if d.Status == Waiting && !now.Before(m.Created.Add(r.For)) {
		if d.Doubts > 0 {
			end(Unsure)
		} else {
			end(GivenUp)
		}
	}
	return d, false
}

func (r Retry) wait(attempts int) time.Duration {
	if len(r.Waits) == 0 {
		return time.Minute
	}
	return r.Waits[min(max(attempts, 1), len(r.Waits))-1]
}
