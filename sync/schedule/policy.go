package schedule

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"
)

// Missed is what happens to slots that nobody was there to run.
type Missed uint8

// The ways to treat missed slots.
const (
	// RunNow makes up for all of them with one run.
	RunNow Missed = iota
	// NextSlot leaves them out. Slots that had to wait, for another run or for the end of a blackout, are not missed.
	NextSlot
)

func (m Missed) String() string {
	if m == NextSlot {
		return "next slot"
	}
	return "run now"
}

// MarshalText writes "run now" or "next slot".
func (m Missed) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (m *Missed) UnmarshalText(text []byte) error {
	for _, known := range []Missed{RunNow, NextSlot} {
		if string(text) == known.String() {
			*m = known
			return nil
		}
	}
	return fmt.Errorf("%.40q is not a way to treat missed runs; write run now or next slot", text)
}

// Late is how late a slot may be noticed and still run although missed slots are left out: a restart of the daemon at the
// wrong minute must not cost a week.
const Late = 5 * time.Minute

// Policy is what bends a schedule. The zero Policy makes up for missed slots at once and has no jitter and no blackouts.
type Policy struct {
	Missed Missed
	// Jitter spreads runs that share a slot: each begins up to so much after it, in whole seconds, the same for the same
	// slot of the same sync whoever computes it, and never as late as the next slot.
	Jitter time.Duration
	// Blackouts are when nothing scheduled begins. A slot inside one runs at its end, plus jitter. All slots inside one
	// are one run.
	Blackouts []Window
	// Retry are the pauses after the first failed run for a slot, the second and so on, before it is run again; the last
	// one goes on. It ends with a run that does not fail, and where the next slot comes first. Empty: a slot has one run.
	Retry []time.Duration
}

// Retries are good pauses for runs that may fail because a network or a service is away: 5 and 15 minutes, 1 and 3 hours,
// then every 6 hours.
func Retries() []time.Duration {
	return []time.Duration{5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour}
}

// retry is the pause after so many failed runs for one slot; false if there is no other run for it.
func (p Policy) retry(failed int) (time.Duration, bool) {
	if len(p.Retry) == 0 {
		return 0, false
	}
	return p.Retry[min(max(failed, 1), len(p.Retry))-1], true
}

// Check refuses a policy under which nothing could ever run, or run within a year from now.
func (p Policy) Check(now time.Time) error {
	if p.Jitter < 0 {
		return fmt.Errorf("a jitter of %s is less than nothing; write a length of time such as 10m", p.Jitter)
	}
	if free := p.free(now); free.IsZero() || free.After(now.AddDate(1, 0, 0)) {
		return fmt.Errorf("the blackouts leave no moment free within a year, so that nothing would run; leave some time between them")
	}
	return nil
}

// free returns the first moment at or after a time that is in no blackout, or the zero time if there is none for years.
func (p Policy) free(at time.Time) time.Time {
	limit := at.AddDate(2, 0, 0)
	for moved := true; moved; {
		moved = false
		for _, w := range p.Blackouts {
			if end, inside := w.covers(at); inside {
				at, moved = end, true
			}
		}
		if at.After(limit) {
			return time.Time{}
		}
	}
	return at
}

// due returns when a slot's run begins, or the zero time for never.
func (c Clock) due(slot time.Time) time.Time {
	at := c.Policy.free(slot)
	if at.IsZero() || c.Policy.Jitter < time.Second {
		return at
	}
	// Jitter that would lead into the next blackout is left out: it would put the run off again, perhaps for ever.
	if later := at.Add(c.jitter(slot)); c.Policy.free(later).Equal(later) {
		return later
	}
	return at
}

// jitter is how long after it a slot runs.
func (c Clock) jitter(slot time.Time) time.Duration {
	most := c.Policy.Jitter
	if next := c.Schedule.Next(slot); !next.IsZero() {
		most = min(most, next.Sub(slot)-time.Second)
	}
	seed := binary.BigEndian.AppendUint64([]byte(c.Name), uint64(slot.Unix()))
	sum := sha256.Sum256(seed)
	return time.Duration(binary.BigEndian.Uint64(sum[:])%(uint64(most/time.Second)+1)) * time.Second
}
