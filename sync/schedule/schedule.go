package schedule

import (
	"fmt"
	"time"
)

// Schedule is when something runs: a row of slots. It is an immutable value; the zero Schedule is "manually", which has
// none.
type Schedule struct {
	kind kind
	// text is the canonical form without the zone.
	text string
	// every is the distance between the slots of an elapsed schedule, in whole minutes.
	every time.Duration
	// days and times are the slots of the other kinds. times are minutes of the day, sorted.
	days  days
	times []uint16
	// zone is nil for UTC. named says that the text named it.
	zone  *time.Location
	named bool
}

// kind is how slots become instants.
type kind uint8

const (
	never   kind = iota
	wall         // each slot once: when the clock first shows its time or a later one
	shown        // as often as the clock shows the slot's time
	elapsed      // multiples of every since 1970-01-01 00:00 UTC
)

// The limits of Every.
const (
	Shortest = time.Minute
	Longest  = 366 * 24 * time.Hour
)

// Every makes the schedule "every 6 hours" from a length of time: a whole number of minutes from Shortest to Longest.
func Every(d time.Duration) (Schedule, error) {
	switch {
	case d < Shortest:
		return Schedule{}, fmt.Errorf("%s is too short; the shortest is every minute", d)
	case d > Longest:
		return Schedule{}, fmt.Errorf("%d hours are too long; the longest are %d hours", int64(d/time.Hour), int64(Longest/time.Hour))
	case d%time.Minute != 0:
		return Schedule{}, fmt.Errorf("%s is not a whole number of minutes", d)
	}
	text := fmt.Sprintf("every %d minutes", d/time.Minute)
	switch {
	case d == time.Minute:
		text = "every minute"
	case d == time.Hour:
		text = "every hour"
	case d%time.Hour == 0:
		text = fmt.Sprintf("every %d hours", d/time.Hour)
	}
	return Schedule{kind: elapsed, text: text, every: d}, nil
}

// Manual tells the schedule without slots.
func (s Schedule) Manual() bool { return s.kind == never }

// String returns the canonical form: lower case, one space, times in four digits, and the zone if the text had named
// one. Parse makes the same schedule of it, given the same fallback zone.
func (s Schedule) String() string {
	switch {
	case s.kind == never:
		return "manually"
	case s.named:
		return s.text + " " + s.zone.String()
	}
	return s.text
}

// Zone is the zone whose clock counts: the one that was named, or the fallback. It is UTC for schedules to which zones
// mean nothing.
func (s Schedule) Zone() *time.Location {
	if s.zone == nil {
		return time.UTC
	}
	return s.zone
}

// identity tells schedules apart, the fallback zone included.
func (s Schedule) identity() string {
	if s.named || s.zone == nil {
		return s.String()
	}
	return s.String() + " " + s.zone.String()
}

// Next returns the first slot strictly after a time, in the schedule's zone and without a monotonic reading. It is the
// zero time when there is none: for "manually", and beyond the year 9999.
func (s Schedule) Next(after time.Time) time.Time {
	after = after.Round(0)
	if s.kind == never || after.Year() > 9999 {
		return time.Time{}
	}
	if after.Year() < 1 {
		after = time.Time{}
	}
	switch s.kind {
	case elapsed:
		return s.nextElapsed(after)
	case shown:
		return s.nextShown(after)
	}
	return s.nextWall(after)
}

func (s Schedule) nextElapsed(after time.Time) time.Time {
	step := int64(s.every / time.Second)
	n := after.Unix() / step * step // before 1970 this rounds up already
	if n <= after.Unix() {
		n += step
	}
	return time.Unix(n, 0).In(s.Zone())
}

// nextWall looks for the first slot that the clock had not yet reached at after. Slots and their instants are in the
// same order, so the first with an instant after it is the one.
func (s Schedule) nextWall(after time.Time) time.Time {
	zone := s.Zone()
	for w := civil(after, zone); ; {
		slot, ok := s.nextCivil(w.Truncate(time.Minute).Add(time.Minute))
		if !ok {
			return time.Time{}
		}
		w = slot
		at := instant(slot, zone)
		if at.After(after) && !s.madeUpFor(slot, at) {
			return at
		}
	}
}

// madeUpFor tells a slot on a day that the zone left out, when the schedule has slots on the day after it anyway.
func (s Schedule) madeUpFor(slot, at time.Time) bool {
	if civil(at, s.Zone()).Equal(slot) {
		return false
	}
	day := midnight(slot)
	tomorrow := day.AddDate(0, 0, 1)
	return s.days.match(tomorrow) && instant(day, s.Zone()).Equal(instant(tomorrow, s.Zone()))
}

// nextShown goes through the periods between changes of the clock, in each of which slots and instants are one.
func (s Schedule) nextShown(after time.Time) time.Time {
	zone := s.Zone()
	from := after.Truncate(time.Second).Add(time.Second).In(zone)
	for {
		w := civil(from, zone)
		slot, ok := s.nextCivil(w.Add(time.Minute - 1).Truncate(time.Minute))
		if !ok {
			return time.Time{}
		}
		at := from.Add(slot.Sub(w))
		_, end := from.ZoneBounds()
		if end.IsZero() || at.Before(end) {
			return at
		}
		from = end
	}
}

// last returns the latest slot at or before a time, or the zero time when there is none in the ten years before it. It
// looks back by steps, so that it costs little for slots that are a minute apart and for those that are years apart.
func (s Schedule) last(at time.Time) time.Time {
	const day = 24 * time.Hour
	for _, back := range [...]time.Duration{time.Hour, 26 * time.Hour, 9 * day, 64 * day, 800 * day, 10 * 366 * day} {
		slot := s.Next(at.Add(-back - 1))
		if slot.IsZero() || slot.After(at) {
			continue
		}
		for {
			next := s.Next(slot)
			if next.IsZero() || next.After(at) {
				return slot
			}
			slot = next
		}
	}
	return time.Time{}
}
