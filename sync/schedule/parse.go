package schedule

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"dirsync"
)

// Parse reads a schedule. Letter case and extra white space count for nothing. The forms:
//
//	weekly on sunday at 02:00
//	weekly on sunday and wednesday at 02:00 Europe/Berlin
//	weekdays at 07:00                                  Monday to Friday
//	daily at 06:30, 12:30 and 18:30
//	monthly on the 1st and 15th at 03:00               the 31st means the last day where there is none
//	monthly on the last day at 03:00
//	monthly on the last friday at 22:00                also first to fourth
//	hourly, hourly at :15
//	every 6 hours, every 15 minutes                    elapsed time, see Every
//	manually                                           never
//	0 2 * * 0, @weekly, @every 6h                      cron
//
// A zone may follow, or stand before the whole as TZ=… or CRON_TZ=…; without one it is fallback, and nil means UTC. It is
// refused where it would mean nothing. An error is always a *ParseError. A schedule that was parsed has slots, except for
// "manually".
//
// Cron expressions have five fields: minute, hour, day of the month, month, day of the week, each *, a number or a name, a
// range, a list, with /steps. 0 and 7 are both Sunday. If both kinds of day are restricted, a day that fits one of them is
// taken (POSIX, crontab).
func Parse(text string, fallback *time.Location) (Schedule, error) {
	r, err := newReader(text, true)
	if err != nil {
		return Schedule{}, err
	}
	if isCron(r.peek()) {
		r.tokens = lex(text, false)
	}
	prefix, err := r.zonePrefix()
	if err != nil {
		return Schedule{}, err
	}
	first := r.next()
	var s Schedule
	switch {
	case first.text == "":
		return s, r.fail(first, "there is no schedule here", "write, for example, weekly on sunday at 02:00")
	case strings.HasPrefix(first.text, "@"):
		s, err = r.descriptor(first)
	case isCron(first):
		s, err = r.cron(first)
	default:
		s, err = r.words(first)
	}
	if err != nil {
		return Schedule{}, err
	}
	return r.end(s, first, prefix, fallback)
}

// zonePrefix reads TZ=Europe/Berlin, if it is there.
func (r *reader) zonePrefix() (*token, error) {
	t := r.peek()
	name, ok := namesZone(t)
	if !ok {
		return nil, nil
	}
	r.next()
	zone := t.from(len(name) + 1)
	if zone.text == "" {
		return nil, r.fail(zone, "a time zone is missing here", "write it without a space: TZ=Europe/Berlin")
	}
	again := r.peek()
	if _, ok := namesZone(again); ok {
		return nil, r.fail(again, again.quoted()+" stands where the schedule belongs", "the time zone was named already")
	}
	return &zone, nil
}

// namesZone tells TZ=Europe/Berlin, and returns what stands before the sign.
func namesZone(t token) (name string, ok bool) {
	name, _, found := strings.Cut(t.text, "=")
	return name, found && (strings.EqualFold(name, "TZ") || strings.EqualFold(name, "CRON_TZ"))
}

// end reads the zone that may follow, and nothing else.
func (r *reader) end(s Schedule, first token, prefix *token, fallback *time.Location) (Schedule, error) {
	var named token
	switch rest := r.peek(); {
	case rest.text != "" && prefix != nil:
		return Schedule{}, r.fail(rest, rest.quoted()+" follows, but the schedule has ended", "the time zone was named at the beginning already")
	case rest.text != "" && (rest.text == "," || hasTimeShape.MatchString(rest.text)):
		return Schedule{}, r.fail(rest, rest.quoted()+" follows, but the schedule has ended", "put a comma or \"and\" between times, and only a time zone after them")
	case rest.text != "":
		named = r.rest()
	case prefix != nil:
		named = *prefix
	}
	if named.text != "" && (s.kind == never || s.kind == elapsed) {
		hint := "leave it out; every counts elapsed time, which is the same in every zone"
		if s.kind == never {
			hint = "leave it out"
		}
		return Schedule{}, r.fail(named, fmt.Sprintf("%s has no effect after %s", named.quoted(), first.quoted()), hint)
	}
	if s.kind == never || s.kind == elapsed {
		return s, nil
	}
	s.zone = fallback
	if named.text != "" {
		zone, err := r.zone(named)
		if err != nil {
			return Schedule{}, err
		}
		s.zone, s.named = zone, true
	}
	return s, nil
}

const weeklyHint = "write, for example, weekly on sunday at 02:00"

// words reads everything that begins with a word.
func (r *reader) words(first token) (Schedule, error) {
	forms := []string{"weekly", "daily", "weekdays", "monthly", "hourly", "every", "manually"}
	switch first.lower() {
	case "weekly":
		return r.weekly()
	case "weekdays":
		d := everyDay()
		d.weekday = 1<<time.Monday | 1<<time.Tuesday | 1<<time.Wednesday | 1<<time.Thursday | 1<<time.Friday
		return r.at("weekdays", d, "write, for example, weekdays at 07:00")
	case "daily":
		return r.at("daily", everyDay(), "write, for example, daily at 06:30")
	case "monthly":
		return r.monthly()
	case "hourly":
		return r.hourly()
	case "every":
		return r.every()
	case "manually":
		return Schedule{}, nil
	}
	hint := "write one of " + strings.Join(forms, ", ") + ", or a cron expression"
	if slices.Contains([]string{"never", "manual", "off", "none"}, first.lower()) {
		hint = "did you mean manually?"
	} else if near := dirsync.Nearest(first.text, forms); near != "" {
		hint = "did you mean " + near + "?"
	}
	return Schedule{}, r.fail(first, "no schedule begins with "+first.quoted(), hint)
}

// weekly reads "on sunday, wednesday and friday at 02:00".
func (r *reader) weekly() (Schedule, error) {
	if err := r.expect("on", weeklyHint); err != nil {
		return Schedule{}, err
	}
	d := everyDay()
	d.weekday = 0
	for {
		day, err := r.weekday(r.next(), weeklyHint)
		if err != nil {
			return Schedule{}, err
		}
		d.weekday |= 1 << day
		if !r.separator() {
			break
		}
	}
	var names []string
	for _, i := range weekOrder() {
		if d.weekday>>i&1 == 1 {
			names = append(names, dayNames()[i])
		}
	}
	return r.at("weekly on "+enumerate(names), d, weeklyHint)
}

// weekOrder are the days from Monday on, as people list them.
func weekOrder() []time.Weekday {
	return []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday, time.Saturday, time.Sunday}
}

func enumerate(items []string) string {
	if len(items) < 2 {
		return strings.Join(items, "")
	}
	return strings.Join(items[:len(items)-1], ", ") + " and " + items[len(items)-1]
}

// at reads "at 06:30 and 18:30" and completes the schedule.
func (r *reader) at(form string, d days, hint string) (Schedule, error) {
	if err := r.expect("at", hint); err != nil {
		return Schedule{}, err
	}
	s := Schedule{kind: wall, days: d}
	for {
		minutes, err := r.timeOfDay(r.next(), 24*60-1)
		if err != nil {
			return Schedule{}, err
		}
		s.times = append(s.times, uint16(minutes))
		if !r.separator() {
			break
		}
	}
	slices.Sort(s.times)
	s.times = slices.Compact(s.times)
	var names []string
	for _, m := range s.times {
		names = append(names, clockTime(int(m)/60, int(m)%60))
	}
	s.text = form + " at " + enumerate(names)
	return s, nil
}

const monthlyHint = "write, for example, monthly on the 1st at 03:00, or monthly on the last friday at 22:00"

// monthly reads "on the 1st and 15th at 03:00", "on the last day at …" and "on the last friday at …".
func (r *reader) monthly() (Schedule, error) {
	if err := r.expect("on", monthlyHint); err != nil {
		return Schedule{}, err
	}
	d := everyDay()
	d.monthday, d.clamp = 0, true
	lastDay, count := false, 0
	for {
		if r.peek().is("the") {
			r.next()
		}
		first := r.peek()
		n, err := r.ordinal(r.next())
		if err != nil {
			return Schedule{}, err
		}
		count++
		switch t := r.peek(); {
		case t.is("day"):
			r.next()
			if n > 0 {
				d.monthday |= 1 << n
				break
			}
			d.monthday |= 1 << 31
			lastDay = true
		case n < 0 || t.text != "" && t.text != "," && !t.is("and") && !t.is("at"):
			if d.nth != 0 || count > 1 {
				return Schedule{}, r.fail(first, "only one such day can be named", "make a cron expression or a sync of its own of the other")
			}
			return r.nthWeekday(first, n)
		default:
			d.monthday |= 1 << n
		}
		if !r.separator() {
			break
		}
	}
	var names []string
	for n := 1; n <= 31; n++ {
		switch {
		case d.monthday>>n&1 == 0:
		case n == 31 && lastDay:
			names = append(names, "last day")
		default:
			names = append(names, ordinalName(n))
		}
	}
	return r.at("monthly on the "+enumerate(names), d, monthlyHint)
}

// nthWeekday reads the day and the time of "last friday at 22:00".
func (r *reader) nthWeekday(first token, n int) (Schedule, error) {
	day, err := r.weekday(r.next(), monthlyHint)
	if err != nil {
		return Schedule{}, err
	}
	name := dayNames()[day]
	if n > 4 {
		return Schedule{}, r.fail(first, fmt.Sprintf("not every month has a %s %s", ordinalName(n), name), "write first to fourth, or last")
	}
	d := everyDay()
	d.weekday, d.nth = 1<<day, n
	ordinal := "last"
	if n > 0 {
		ordinal = ordinalWords()[n]
	}
	return r.at("monthly on the "+ordinal+" "+name, d, monthlyHint)
}

func ordinalWords() []string { return []string{"", "first", "second", "third", "fourth", "fifth"} }

func ordinalName(n int) string {
	suffix := "th"
	if n < 11 || n > 13 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return strconv.Itoa(n) + suffix
}

var ordinalShape = regexp.MustCompile(`^(\d{1,2})(st|nd|rd|th)?$`)

// ordinal reads "1st", "first" or "last", which is -1.
func (r *reader) ordinal(t token) (int, error) {
	word := t.lower()
	if word == "" || word == "," {
		return 0, r.fail(t, "a day is missing here", monthlyHint)
	}
	if word == "last" {
		return -1, nil
	}
	if n := slices.Index(ordinalWords(), word); n > 0 {
		return n, nil
	}
	m := ordinalShape.FindStringSubmatch(word)
	if m == nil {
		hint := monthlyHint
		if near := dirsync.Nearest(word, append(ordinalWords()[1:], "last")); near != "" {
			hint = "did you mean " + near + "?"
		}
		return 0, r.fail(t, t.quoted()+" is not a day of the month", hint)
	}
	n, _ := strconv.Atoi(m[1]) // two digits, as the expression says
	if n < 1 || n > 31 {
		return 0, r.fail(t, fmt.Sprintf("no month has a day %d", n), "write 1st to 31st, or last day")
	}
	return n, nil
}

var pastTheHour = regexp.MustCompile(`^:([0-5]\d)$`)

// hourly reads "at :15", if it is there.
func (r *reader) hourly() (Schedule, error) {
	s := Schedule{kind: shown, days: everyDay(), text: "hourly"}
	minute := 0
	if r.peek().is("at") {
		r.next()
		t := r.next()
		m := pastTheHour.FindStringSubmatch(t.text)
		if m == nil {
			message := t.quoted() + " is not a minute of the hour"
			if t.text == "" || t.text == "," {
				message = "a minute of the hour is missing here"
			}
			return s, r.fail(t, message, "write, for example, hourly at :15")
		}
		minute, _ = strconv.Atoi(m[1]) // two digits, as the expression says
	}
	if minute > 0 {
		s.text = fmt.Sprintf("hourly at :%02d", minute)
	}
	if t := r.peek(); strings.HasPrefix(t.text, ":") {
		return s, r.fail(t, t.quoted()+" stands where \"at\" belongs", "write, for example, hourly at :15")
	}
	for hour := range 24 {
		s.times = append(s.times, uint16(hour*60+minute))
	}
	return s, nil
}

var number = regexp.MustCompile(`^\d{1,6}$`)

// every reads "6 hours", "hour" or "6h".
func (r *reader) every() (Schedule, error) {
	const hint = "write, for example, every 6 hours or every 15 minutes"
	first := r.next()
	if first.text == "" || first.text == "," {
		return Schedule{}, r.fail(first, "a length of time is missing here", hint)
	}
	if d, err := time.ParseDuration(first.lower()); err == nil && first.text != "0" {
		return r.interval(first, d)
	}
	n, unit := 1, first
	if number.MatchString(first.text) {
		n, _ = strconv.Atoi(first.text) // six digits, as the expression says
		unit = r.next()
	}
	// A number of six digits does not overflow any of these.
	units := []struct {
		name   string
		length time.Duration
	}{{"minute", time.Minute}, {"hour", time.Hour}, {"day", 24 * time.Hour}}
	var names []string
	for _, u := range units {
		if unit.is(u.name) || unit.is(u.name+"s") {
			return r.interval(first, time.Duration(n)*u.length)
		}
		names = append(names, u.name, u.name+"s")
	}
	switch near := dirsync.Nearest(unit.text, names); {
	case unit.text == "" || unit.text == ",":
		return Schedule{}, r.fail(unit, "a unit is missing here", "write minutes, hours or days")
	case unit.is("second") || unit.is("seconds"):
		return Schedule{}, r.fail(unit, "seconds are too short", "the shortest is every minute")
	case slices.Contains(dayNames(), unit.lower()):
		return Schedule{}, r.fail(unit, "every counts elapsed time", "write, for example, weekly on "+unit.lower()+" at 02:00")
	case near != "":
		return Schedule{}, r.fail(unit, unit.quoted()+" is not a unit of time", "did you mean "+near+"?")
	case unit.is("week") || unit.is("weeks"):
		return Schedule{}, r.fail(unit, "every knows minutes, hours and days", weeklyHint+", or every 14 days")
	}
	return Schedule{}, r.fail(unit, unit.quoted()+" is not a length of time", hint)
}

// interval makes a schedule of elapsed time; at is where its length stands.
func (r *reader) interval(at token, d time.Duration) (Schedule, error) {
	s, err := Every(d)
	if err != nil {
		return s, r.fail(at, err.Error(), "")
	}
	if t := r.peek(); t.is("at") {
		return s, r.fail(t, "every counts elapsed time and has no time of day", "write, for example, daily at 02:00")
	}
	return s, nil
}
