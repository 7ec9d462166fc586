package schedule

import (
	"slices"
	"time"
)

// Clock decides when one sync runs. Its methods are pure: each takes the State that was stored, what has happened and
// when, and returns the State to store and what to do now. The package comment says what may be relied on.
//
// Times may have any zone and may go backwards; what is kept is in UTC. At every return, storing the State or failing to
// leaves a state from which the next call goes on; only what happened in between may then be forgotten.
type Clock struct {
	// Name tells syncs apart, for their jitter.
	Name     string
	Schedule Schedule
	Policy   Policy
}

// State is what a Clock remembers, to be stored as JSON. The zero State is that of a sync that was never started: its
// first run is at the first slot from then on, or when somebody asks.
type State struct {
	// Next is when the next scheduled run begins, for people; zero if none will. It is in the past while that run waits
	// for another to end.
	Next time.Time `json:"next,omitzero"`
	// LastRun is the last run that ended.
	LastRun LastRun `json:"last_run,omitzero"`
	// Run is the run that is under way. If its Began is zero there is none.
	Run Run `json:"run,omitzero"`
	// Asked says that somebody asked for a run that has not begun yet.
	Asked bool `json:"asked,omitzero"`
	// Slot is the earliest slot that is not dealt with, and Due the one that came due and whose run has not begun.
	Slot time.Time `json:"slot,omitzero"`
	Due  time.Time `json:"due,omitzero"`
	// Again is the slot whose run has failed, if it is to run again.
	Again Again `json:"again,omitzero"`
	// Seen is the latest that the clock was believed to be.
	Seen time.Time `json:"seen,omitzero"`
	// Ran are the slots that ran, oldest first; few spans, because each covers all slots from its first to its last.
	Ran []Span `json:"ran,omitempty"`
	// Schedule is the schedule that the slots are of.
	Schedule string `json:"schedule,omitempty"`
}

// Run is one run: for a slot, because somebody asked, or both.
type Run struct {
	Began time.Time `json:"began,omitzero"`
	// Slot is zero for a run that is for no slot.
	Slot  time.Time `json:"slot,omitzero"`
	Asked bool      `json:"asked,omitzero"`
}

// Again is a slot whose run has failed, in whole or in part. The zero Again is none.
type Again struct {
	Slot time.Time `json:"slot,omitzero"`
	// Failed is how many of its runs have failed, in whole or in part.
	Failed int `json:"failed,omitzero"`
	// At is when it runs again, outside of blackouts; zero while that run is due or under way. Later says that this is later
	// than Policy.Retry has it, because nothing that failed is due before.
	At    time.Time `json:"at,omitzero"`
	Later bool      `json:"later,omitzero"`
}

// LastRun is a run that ended.
type LastRun struct {
	Run
	Ended time.Time `json:"ended,omitzero"`
}

// Span is all slots of a schedule from First to Last, both included.
type Span struct {
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// mostSpans bounds State.Ran. A new span begins only where slots were left out.
const mostSpans = 8

// Todo is what to do after an event.
type Todo struct {
	// Run says that a run is to begin now. The caller calls RunBegan, and RunEnded when it has ended. Slot and Asked say
	// what for.
	Run   bool
	Slot  time.Time
	Asked bool
	// Failed is how many runs for this slot have failed before.
	Failed int
	// Wake is when Tick should be called next, at the latest; zero if nothing but another event can change anything.
	// Whoever cannot trust timers to notice a clock that was set, or a machine that slept, calls it every minute.
	Wake time.Time
}

// Started takes a stored State up again when the process starts. A run that was under way was cut off and is due again.
func (c Clock) Started(s State, now time.Time) (State, Todo) {
	if !s.Run.Began.IsZero() {
		s.Asked = s.Asked || s.Run.Asked
		if s.Due.IsZero() {
			s.Due = s.Run.Slot
		}
		s.Run = Run{}
	}
	return c.Reloaded(s, now)
}

// Reloaded takes the State over from a Clock whose schedule or policy may have been another. A slot that has come and is
// still waiting keeps waiting, unless the schedule is now "manually"; slots that the new schedule would have had in the
// past are not missed.
func (c Clock) Reloaded(s State, now time.Time) (State, Todo) {
	if identity := c.Schedule.identity(); s.Schedule != identity {
		s.Schedule = identity
		if s.Slot.After(now) || c.Schedule.Manual() {
			s.Slot = time.Time{}
		}
		if c.Schedule.Manual() {
			s.Due, s.Again = time.Time{}, Again{}
		}
		// Between its ends a span speaks of slots of the old schedule.
		var ends []Span
		for _, span := range s.Ran {
			ends = append(ends, Span{span.Last, span.Last})
		}
		s.Ran = ends
	}
	return c.Tick(s, now)
}

// Tick looks at the clock.
func (c Clock) Tick(s State, now time.Time) (State, Todo) {
	now = now.Round(0).UTC()
	if c.Schedule.Manual() {
		s.Seen = now
		return c.todo(s, now)
	}
	if s.Slot.IsZero() {
		s.Slot = c.nextSlot(s, now)
	} else if now.Before(s.Seen) {
		// The clock was put back, so slots that had been jumped over come once more.
		if slot := c.nextSlot(s, now); !slot.IsZero() && slot.Before(s.Slot) {
			s.Slot = slot
		}
	}
	s.Seen = now
	s = c.again(s, now)
	if s.Slot.IsZero() || s.Slot.After(now) {
		return c.todo(s, now)
	}
	// Of several slots that have passed the last one stands for all.
	if slot := c.Schedule.last(now).UTC(); slot.After(s.Slot) && !c.done(s, slot) {
		s.Slot = slot
	}
	if due := c.due(s.Slot); !due.IsZero() && !due.After(now) {
		if c.Policy.Missed == RunNow || now.Sub(due) <= Late {
			s.Due, s.Again = s.Slot, Again{}
		}
		s.Slot = c.nextSlot(s, now)
	}
	return c.todo(s, now)
}

// again makes a slot due whose run has failed, when it is time.
func (c Clock) again(s State, now time.Time) State {
	if s.Again.At.IsZero() {
		return s
	}
	pause, retries := c.Policy.retry(s.Again.Failed)
	if !retries {
		s.Again = Again{}
		return s
	}
	// A clock that was ahead for a while must not put it off; a day is the longest that anything is.
	if s.Again.Later {
		pause = max(pause, 24*time.Hour)
	}
	if s.Again.At.After(now.Add(pause)) {
		s.Again.At = now.Add(pause)
	}
	if !s.Again.At.After(now) {
		if s.Again.At = (time.Time{}); s.Due.IsZero() {
			s.Due = s.Again.Slot
		}
	}
	return s
}

// SyncNow is somebody asking for a run.
func (c Clock) SyncNow(s State, now time.Time) (State, Todo) {
	s.Asked = true
	return c.Tick(s, now)
}

// MakeUp makes one run due for all slots that have passed and whose runs were left out, for a reason that is over now. It is
// a scheduled run: it does not begin in a blackout. Where there are no slots nothing was left out.
func (c Clock) MakeUp(s State, now time.Time) (State, Todo) {
	s, _ = c.Tick(s, now)
	if s.Due.IsZero() && !c.Schedule.Manual() {
		s.Due = c.Schedule.last(s.Seen).UTC()
	}
	return c.todo(s, s.Seen)
}

// RunBegan says that a run has begun. It is for whatever is due or asked for. While a run is under way it changes nothing.
func (c Clock) RunBegan(s State, now time.Time) (State, Todo) {
	s, todo := c.Tick(s, now)
	if !s.Run.Began.IsZero() {
		return s, todo
	}
	s.Run = Run{Began: s.Seen, Slot: s.Due, Asked: s.Asked}
	s.Due, s.Asked = time.Time{}, false
	return c.todo(s, s.Seen)
}

// RunEnded says that the run has ended, and that another one for the same slot is of no use: it went well, or it failed for
// a reason that does not pass by itself. What it leaves owed is the engine's business. A run that was stopped before it
// could end is not over; nothing is said of it, and Started makes it due again.
func (c Clock) RunEnded(s State, now time.Time) (State, Todo) {
	s, ended := c.ended(s, now)
	if ended {
		s.Again = Again{}
	}
	return c.Tick(s, now)
}

// RunFailed says that the run has ended, and has failed for a reason that may pass. If it was for a slot, that runs again as
// Policy.Retry says, unless the next slot comes first; a wish is not repeated, because whoever had it is told.
func (c Clock) RunFailed(s State, now time.Time) (State, Todo) {
	slot := s.Run.Slot
	s, ended := c.ended(s, now)
	if ended && !slot.IsZero() {
		s = c.repeat(s, slot, time.Time{})
	}
	return c.Tick(s, now)
}

// RunOwes says that the run has ended, and that a part of what it was to do has failed and is due again at a certain time.
// There is another run then, for the same slot, but never sooner than Policy.Retry says and not if the next slot comes first.
// After a run that somebody asked for it is the last slot that runs again; where there are no slots, nothing does.
func (c Clock) RunOwes(s State, due, now time.Time) (State, Todo) {
	slot := s.Run.Slot
	s, ended := c.ended(s, now)
	if ended && !c.Schedule.Manual() {
		if slot.IsZero() {
			slot = s.Again.Slot
		}
		if slot.IsZero() {
			slot = c.Schedule.last(now).UTC()
		}
		s = c.repeat(s, slot, due.Round(0).UTC())
	}
	return c.Tick(s, now)
}

// repeat plans another run for a slot, after the run that has just ended and not before a certain time.
func (c Clock) repeat(s State, slot, due time.Time) State {
	failed := 1
	if s.Again.Slot.Equal(slot) {
		failed += s.Again.Failed
	}
	s.Again = Again{}
	pause, retries := c.Policy.retry(failed)
	if !retries || !s.Due.IsZero() || c.Schedule.Manual() {
		return s
	}
	again := Again{Slot: slot, Failed: failed, At: s.LastRun.Ended.Add(pause)}
	if due.After(again.At) {
		again.At, again.Later = due, true
	}
	if next := c.nextDue(s); next.IsZero() || c.Policy.free(again.At).Before(next) {
		s.Again = again
	}
	return s
}

// ended closes the run that is under way; false if there is none.
func (c Clock) ended(s State, now time.Time) (State, bool) {
	if s.Run.Began.IsZero() {
		return s, false
	}
	s.LastRun = LastRun{Run: s.Run, Ended: now.Round(0).UTC()}
	if !s.Run.Slot.IsZero() {
		s.Ran = c.ran(s.Ran, s.Run.Slot)
	}
	s.Run = Run{}
	return s, true
}

// todo says what s asks for.
func (c Clock) todo(s State, now time.Time) (State, Todo) {
	s.Next = c.nextDue(s)
	if at := s.Again.At; !at.IsZero() {
		if at = c.Policy.free(at).UTC(); !at.IsZero() && (s.Next.IsZero() || at.Before(s.Next)) {
			s.Next = at
		}
	}
	todo := Todo{Wake: s.Next}
	free := now
	if !s.Due.IsZero() {
		free = c.Policy.free(now)
		s.Next = free
		if free.Equal(now) {
			s.Next = s.Due
		}
	}
	switch waits := !s.Due.IsZero(); {
	case !s.Run.Began.IsZero():
	case s.Asked, waits && free.Equal(now):
		todo = Todo{Run: true, Slot: s.Due, Asked: s.Asked, Wake: now}
		if waits && s.Due.Equal(s.Again.Slot) {
			todo.Failed = s.Again.Failed
		}
		return s, todo
	case waits && !free.IsZero() && (todo.Wake.IsZero() || free.Before(todo.Wake)):
		todo.Wake = free
	}
	return s, todo
}

// nextDue is when the run for the next slot begins; the zero time for never.
func (c Clock) nextDue(s State) time.Time {
	if s.Slot.IsZero() {
		return time.Time{}
	}
	return c.due(s.Slot).UTC()
}

// done tells whether a slot ran or is about to.
func (c Clock) done(s State, slot time.Time) bool {
	return slot.Equal(s.Due) || slot.Equal(s.Run.Slot) || slices.ContainsFunc(s.Ran, func(span Span) bool { return span.covers(slot) })
}

func (s Span) covers(slot time.Time) bool { return !slot.Before(s.First) && !slot.After(s.Last) }

// nextSlot returns the first slot after a time that is not done.
func (c Clock) nextSlot(s State, after time.Time) time.Time {
	slot := c.Schedule.Next(after)
	for !slot.IsZero() && c.done(s, slot) {
		for _, span := range s.Ran {
			if !slot.Before(span.First) && span.Last.After(slot) {
				slot = span.Last
			}
		}
		slot = c.Schedule.Next(slot)
	}
	return slot.UTC()
}

// ran returns the spans with one more slot.
func (c Clock) ran(spans []Span, slot time.Time) []Span {
	if slices.ContainsFunc(spans, func(s Span) bool { return s.covers(slot) }) {
		return spans // it has run again
	}
	spans = slices.Clone(spans)
	i, _ := slices.BinarySearchFunc(spans, slot, func(s Span, t time.Time) int { return s.First.Compare(t) })
	switch {
	case i > 0 && c.Schedule.Next(spans[i-1].Last).Equal(slot):
		spans[i-1].Last = slot
	default:
		spans = slices.Insert(spans, i, Span{slot, slot})
	}
	// Spans that have grown together become one.
	for j := len(spans) - 1; j > 0; j-- {
		if c.Schedule.Next(spans[j-1].Last).Equal(spans[j].First) {
			spans[j-1].Last = spans[j].Last
			spans = slices.Delete(spans, j, j+1)
		}
	}
	return spans[max(0, len(spans)-mostSpans):]
}
