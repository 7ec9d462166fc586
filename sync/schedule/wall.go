package schedule

import (
	"slices"
	"time"
)

// A civil time is what a clock on the wall shows, without a zone. It is written as a time.Time in UTC, so that it can be
// computed with: the 02:30 that does not exist in Berlin is an ordinary civil time.

// civil returns what the clock shows in zone at an instant.
func civil(at time.Time, zone *time.Location) time.Time {
	_, offset := at.In(zone).Zone()
	return at.UTC().Add(time.Duration(offset) * time.Second)
}

// instant returns the first instant at which the clock in zone shows a civil time or a later one.
func instant(civil time.Time, zone *time.Location) time.Time {
	// No zone is further than 26 hours from UTC, so a clock cannot show this time two days before it is this time in UTC.
	at := civil.Add(-48 * time.Hour).In(zone)
	for {
		_, offset := at.Zone()
		start, end := at.ZoneBounds()
		found := civil.Add(-time.Duration(offset) * time.Second).In(zone)
		if end.IsZero() || found.Before(end) {
			if !start.IsZero() && found.Before(start) {
				return start
			}
			return found
		}
		at = end
	}
}

// midnight returns the beginning of a civil time's day.
func midnight(civil time.Time) time.Time {
	y, m, d := civil.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// days says which days have slots. The zero value has none.
type days struct {
	months   uint16 // bits 1 to 12
	monthday uint32 // bits 1 to 31
	weekday  uint8  // bits 0 (Sunday) to 6
	// either takes a day that fits one of monthday and weekday, as cron does when both are restricted.
	either bool
	// clamp lets a monthday beyond the end of a month mean its last day.
	clamp bool
	// nth takes only the first to fourth of such weekdays in a month, or the last when it is -1; zero takes all.
	nth int
}

// The days that restrict nothing.
const (
	allMonths    = 1<<13 - 2
	allMonthdays = 1<<32 - 2
	allWeekdays  = 1<<7 - 1
)

func everyDay() days {
	return days{months: allMonths, monthday: allMonthdays, weekday: allWeekdays}
}

// match tells whether the day of a civil time has slots.
func (d days) match(civil time.Time) bool {
	if d.months>>civil.Month()&1 == 0 {
		return false
	}
	day := civil.Day()
	length := monthLength(civil.Year(), civil.Month())
	byMonth := d.monthday>>day&1 == 1 || d.clamp && day == length && d.monthday>>day != 0
	byWeek := d.weekday>>civil.Weekday()&1 == 1
	switch {
	case d.nth > 0:
		byWeek = byWeek && (day-1)/7+1 == d.nth
	case d.nth < 0:
		byWeek = byWeek && day+7 > length
	}
	if d.either {
		return byMonth || byWeek
	}
	return byMonth && byWeek
}

func monthLength(year int, month time.Month) int {
	return time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// possible tells whether any day at all has slots.
func (d days) possible() bool {
	if d.either && d.weekday != 0 {
		return true
	}
	for m := time.January; m <= time.December; m++ {
		if d.months>>m&1 == 1 && d.monthday&(2<<monthLength(2000, m)-1) != 0 {
			return true
		}
	}
	return false
}

// nextCivil returns the first slot at or after a civil time, which is at a full minute.
func (s Schedule) nextCivil(from time.Time) (time.Time, bool) {
	minute := uint16(from.Hour()*60 + from.Minute())
	day := midnight(from)
	// Eight years lie between 29 February 1896 and 1904; nothing that is possible is further apart.
	for limit := day.AddDate(9, 0, 0); day.Before(limit); minute = 0 {
		if s.days.months>>day.Month()&1 == 0 {
			y, m, _ := day.Date()
			day = time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC)
			continue
		}
		if s.days.match(day) {
			if i, _ := slices.BinarySearch(s.times, minute); i < len(s.times) {
				return day.Add(time.Duration(s.times[i]) * time.Minute), true
			}
		}
		day = day.AddDate(0, 0, 1)
	}
	return time.Time{}, false
}
