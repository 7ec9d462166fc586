package schedule

import (
	"regexp"
	"strings"
	"time"
)

// Window is a stretch of time in which nothing scheduled begins: one that comes every week, or days of the calendar. It
// is an immutable value; the zero Window covers nothing.
//
// It begins when the clock in its zone first shows its beginning or a later time, and ends when the clock first shows its
// end, which is not part of it.
type Window struct {
	text  string
	zone  *time.Location
	named bool
	// A window of the week covers start to end minutes of the weekdays in the set; an end at or before the start is on
	// the following day.
	weekdays   uint8
	start, end int
	// A window of the calendar covers the days from first to before after, as civil midnights.
	first, after time.Time
}

const windowHint = "write, for example, mon-fri 08:00-18:00 or 2026-12-24..2026-12-27"

var dateShape = regexp.MustCompile(`^\d{4}`)

// ParseWindow reads a window, in one of these forms, each with a zone after it or without (fallback counts, and nil means
// UTC):
//
//	mon-fri 08:00-18:00      on these days between these times
//	fri 22:00-06:00          into the following day
//	sat, sun                 all day
//	08:00-18:00              every day
//	2026-12-24..2026-12-27   these days, the last one included
//	2026-12-24               this day
//
// An error is always a *ParseError.
func ParseWindow(text string, fallback *time.Location) (Window, error) {
	r, err := newReader(text, true)
	if err != nil {
		return Window{}, err
	}
	w := Window{zone: fallback}
	switch t := r.peek(); {
	case t.text == "":
		return w, r.fail(t, "there is no blackout here", windowHint)
	case dateShape.MatchString(t.text):
		err = w.calendar(r)
	default:
		err = w.week(r)
	}
	if err != nil {
		return Window{}, err
	}
	if t := r.peek(); t.text != "" {
		day, _, _ := strings.Cut(t.text, "-")
		if _, err := r.weekday(token{day, t.column}, ""); err == nil || t.text[0] >= '0' && t.text[0] <= '9' || t.text == "," {
			return Window{}, r.fail(t, t.quoted()+" follows, but the blackout has ended", "days stand before times, days of the calendar are covered whole, and other times are a blackout of their own")
		}
		zone := r.rest()
		if w.zone, err = r.zone(zone); err != nil {
			return Window{}, err
		}
		w.named = true
	}
	return w, nil
}

// String returns the canonical form, from which ParseWindow makes the same window.
func (w Window) String() string {
	if w.named {
		return w.text + " " + w.zone.String()
	}
	return w.text
}

// calendar reads one date or two.
func (w *Window) calendar(r *reader) error {
	t := r.next()
	from, to, ranged := strings.Cut(t.text, "..")
	first, err := r.date(token{from, t.column})
	if err != nil {
		return err
	}
	last := first
	if ranged {
		at := t.from(len(from) + 2)
		at.text = to
		if last, err = r.date(at); err != nil {
			return err
		}
		if last.Before(first) {
			return r.fail(at, "this ends before it begins", "write the earlier day first")
		}
	}
	w.first, w.after = first, last.AddDate(0, 0, 1)
	w.text = first.Format(time.DateOnly)
	if !last.Equal(first) {
		w.text += ".." + last.Format(time.DateOnly)
	}
	return nil
}

func (r *reader) date(t token) (time.Time, error) {
	if t.text == "" {
		return time.Time{}, r.fail(t, "a day of the calendar is missing here", windowHint)
	}
	d, err := time.Parse(time.DateOnly, t.text)
	if err != nil {
		return d, r.fail(t, t.quoted()+" is not a day of the calendar", "write year, month and day, as in 2026-12-24")
	}
	return d, nil
}

// week reads "mon-fri 08:00-18:00", either half of which may be missing.
func (w *Window) week(r *reader) error {
	t := r.peek()
	w.weekdays = allWeekdays
	if c := t.text[0]; c < '0' || c > '9' {
		if err := w.days(r); err != nil {
			return err
		}
	}
	w.text = daySet(w.weekdays)
	t = r.peek()
	if t.text == "" || t.text[0] < '0' || t.text[0] > '9' {
		w.end = 24 * 60
		return nil
	}
	r.next()
	from, _, ranged := strings.Cut(t.text, "-")
	if !ranged {
		return r.fail(t, t.quoted()+" is not a stretch of time", "write two times, as in 08:00-18:00")
	}
	var err error
	if w.start, err = r.timeOfDay(token{from, t.column}, 24*60-1); err != nil {
		return err
	}
	if w.end, err = r.timeOfDay(t.from(len(from)+1), 24*60); err != nil {
		return err
	}
	if w.start == w.end {
		return r.fail(t, "this ends when it begins", "for whole days leave the times out")
	}
	w.text += " " + clockTime(w.start/60, w.start%60) + "-" + clockTime(w.end/60, w.end%60)
	if w.end < w.start {
		w.end += 24 * 60
	}
	return nil
}

// days reads "mon-fri", "sat, sun" or "mon and wed-fri".
func (w *Window) days(r *reader) error {
	w.weekdays = 0
	for {
		t := r.next()
		from, to, ranged := strings.Cut(t.text, "-")
		first, err := r.weekday(token{from, t.column}, windowHint)
		if err != nil {
			return err
		}
		last := first
		if ranged {
			at := t.from(len(from) + 1)
			at.text = to
			if last, err = r.weekday(at, windowHint); err != nil {
				return err
			}
		}
		for day := first; ; day = (day + 1) % 7 {
			w.weekdays |= 1 << day
			if day == last {
				break
			}
		}
		if !r.separator() {
			return nil
		}
	}
}

// daySet writes weekdays as "mon-fri" or "tue,sat-sun".
func daySet(set uint8) string {
	order := weekOrder()
	var parts []string
	for i := 0; i < len(order); i++ {
		if set>>order[i]&1 == 0 {
			continue
		}
		j := i
		for j+1 < len(order) && set>>order[j+1]&1 == 1 {
			j++
		}
		part := dayNames()[order[i]][:3]
		if j > i {
			part += "-" + dayNames()[order[j]][:3]
		}
		parts = append(parts, part)
		i = j
	}
	return strings.Join(parts, ",")
}

// covers tells whether an instant is inside, and when the window then ends.
func (w Window) covers(at time.Time) (end time.Time, inside bool) {
	zone := w.zone
	if zone == nil {
		zone = time.UTC
	}
	consider := func(from, to time.Time) {
		if f, t := instant(from, zone), instant(to, zone); !at.Before(f) && at.Before(t) && t.After(end) {
			end, inside = t, true
		}
	}
	if !w.after.IsZero() {
		consider(w.first, w.after)
		return end, inside
	}
	// A window that began the day before may last until now, and a change of the clocks may have moved us by a day.
	today := midnight(civil(at, zone))
	for back := -2; back <= 1; back++ {
		day := today.AddDate(0, 0, back)
		if w.weekdays>>day.Weekday()&1 == 1 {
			consider(day.Add(time.Duration(w.start)*time.Minute), day.Add(time.Duration(w.end)*time.Minute))
		}
	}
	return end, inside
}
