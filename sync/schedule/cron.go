package schedule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// field is one of the five fields of a cron expression.
type field struct {
	name     string // what its numbers are called
	min, max int
	names    []string // in place of the numbers from min on
}

func cronFields() []field {
	return []field{
		{"minutes", 0, 59, nil},
		{"hours", 0, 23, nil},
		{"days of the month", 1, 31, nil},
		{"months", 1, 12, []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
		{"days of the week", 0, 7, []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
	}
}

// isCron tells the first word of a cron expression.
func isCron(t token) bool {
	if t.text == "" {
		return false
	}
	c := t.text[0]
	upper := strings.ToUpper(t.text)
	return c >= '0' && c <= '9' || c == '*' || c == '?' || c == '@' || strings.HasPrefix(upper, "TZ=") || strings.HasPrefix(upper, "CRON_TZ=")
}

// cron reads the five fields.
func (r *reader) cron(first token) (Schedule, error) {
	fields := cronFields()
	tokens := []token{first}
	for len(tokens) < len(fields) && len(r.tokens) > 0 {
		tokens = append(tokens, r.next())
	}
	const shape = "write minute, hour, day of the month, month and day of the week, as in 0 2 * * sun"
	if len(tokens) < len(fields) {
		return Schedule{}, r.fail(r.peek(), fmt.Sprintf("a cron expression has five fields, and this has %d", len(tokens)), shape)
	}
	if t := r.peek(); t.text != "" {
		if c := t.text[0]; !zoneName.MatchString(t.text) || c >= '0' && c <= '9' || slices.Contains(fields[4].names, t.lower()) {
			return Schedule{}, r.fail(t, "a cron expression has five fields, and none for seconds", shape)
		}
	}
	var sets [5]uint64
	var stars [5]bool
	var words []string
	for i, f := range fields {
		var err error
		if sets[i], stars[i], err = r.cronField(tokens[i], f); err != nil {
			return Schedule{}, err
		}
		words = append(words, tokens[i].lower())
	}
	sets[4] = (sets[4] | sets[4]>>7) & allWeekdays // 7 is Sunday too
	s := Schedule{kind: wall, text: strings.Join(words, " "), days: days{
		months:   uint16(sets[3]),
		monthday: uint32(sets[2]),
		weekday:  uint8(sets[4]),
		either:   !stars[2] && !stars[4],
	}}
	if !s.days.possible() {
		return Schedule{}, r.fail(tokens[2], "this day does not exist in any of these months", "write 28 or less, or monthly on the last day at 03:00")
	}
	for _, hour := range setOf(sets[1]) {
		for _, minute := range setOf(sets[0]) {
			s.times = append(s.times, uint16(hour*60+minute))
		}
	}
	if sets[1] == 1<<24-1 {
		s.kind = shown
	}
	return s, nil
}

// cronField reads a list of items; star says that one of them restricts nothing.
func (r *reader) cronField(t token, f field) (set uint64, star bool, err error) {
	start := 0
	for i := range len(t.text) + 1 {
		if i < len(t.text) && t.text[i] != ',' {
			continue
		}
		item := t.from(start)
		item.text = t.text[start:i]
		s, all, err := r.cronItem(item, f)
		if err != nil {
			return 0, false, err
		}
		set, star, start = set|s, star || all, i+1
	}
	return set, star, nil
}

// cronItem reads "*", "5", "mon-fri", "*/15" or "8-18/2".
func (r *reader) cronItem(t token, f field) (set uint64, star bool, err error) {
	values, _, stepped := strings.Cut(t.text, "/")
	low, high, step := f.min, f.max, 1
	if f.max == 7 {
		high = 6 // "*" means each day once
	}
	if star = values == "*" || values == "?" && (f.max == 31 || f.max == 7); !star {
		first, second, ranged := strings.Cut(values, "-")
		at := t
		at.text = first
		if low, err = r.cronValue(at, f); err != nil {
			return 0, false, err
		}
		switch {
		case ranged:
			at = t.from(len(first) + 1)
			at.text = second
			if high, err = r.cronValue(at, f); err != nil {
				return 0, false, err
			}
		case !stepped:
			high = low
		}
		if high < low {
			return 0, false, r.fail(t, fmt.Sprintf("the range %s ends before it begins", t.quoted()), f.turned(low, high))
		}
	}
	if stepped {
		at := t.from(len(values) + 1)
		if !number.MatchString(at.text) || strings.Trim(at.text, "0") == "" {
			return 0, false, r.fail(at, at.quoted()+" is not a step", "write a number, as in */15")
		}
		step, _ = strconv.Atoi(at.text) // six digits, as the expression says
		if step > f.max-f.min {
			return 0, false, r.fail(at, fmt.Sprintf("a step of %d is beyond all %s (%d to %d)", step, f.name, f.min, f.max),
				"for a longer time write, for example, every 90 minutes")
		}
	}
	for v := low; v <= high; v += step {
		set |= 1 << v
	}
	return set, star && step == 1, nil
}

// turned is the hint for a range that goes over the end, such as fri-mon.
func (f field) turned(low, high int) string {
	return fmt.Sprintf("write %s-%s,%s-%s", f.value(low), f.value(f.last()), f.value(f.min), f.value(high))
}

// last is the highest number that a star covers.
func (f field) last() int {
	if f.max == 7 {
		return 6
	}
	return f.max
}

func (f field) value(n int) string {
	if i := n - f.min; i < len(f.names) {
		return f.names[i]
	}
	return strconv.Itoa(n)
}

// cronValue reads one number or name.
func (r *reader) cronValue(t token, f field) (int, error) {
	if i := slices.Index(f.names, t.lower()); i >= 0 {
		return f.min + i, nil
	}
	shape := fmt.Sprintf("write %d to %d", f.min, f.max)
	if number.MatchString(t.text) {
		n, _ := strconv.Atoi(t.text) // six digits, as the expression says
		if n < f.min || n > f.max {
			return 0, r.fail(t, fmt.Sprintf("%d is not among the %s", n, f.name), shape)
		}
		return n, nil
	}
	if len(f.names) > 0 {
		shape += fmt.Sprintf(" or %s to %s", f.names[0], f.names[len(f.names)-1])
		if near := nearest(t.text, f.names); near != "" && t.text != "" {
			shape = "did you mean " + near + "?"
		}
	}
	switch {
	case t.text == "":
		return 0, r.fail(t, "a number is missing here", shape)
	case strings.ContainsAny(t.text, "#LlWw") && (f.max == 31 || f.max == 7):
		shape = "for such days write monthly on the last day at 03:00, or monthly on the last friday at 22:00"
	}
	return 0, r.fail(t, t.quoted()+" is not among the "+f.name, shape)
}

// descriptor reads @weekly and its kin.
func (r *reader) descriptor(first token) (Schedule, error) {
	meanings := map[string]string{
		"@hourly": "hourly", "@daily": "daily at 00:00", "@midnight": "daily at 00:00", "@weekly": "weekly on sunday at 00:00",
		"@monthly": "monthly on the 1st at 00:00", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
	}
	if meaning, ok := meanings[first.lower()]; ok {
		return Parse(meaning, nil)
	}
	if !first.is("@every") {
		hint := "write @hourly, @daily, @weekly, @monthly, @yearly or @every 6h"
		if near := nearest(first.text, []string{"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually", "@every"}); near != "" {
			hint = "did you mean " + near + "?"
		}
		return Schedule{}, r.fail(first, "no schedule is called "+first.quoted(), hint)
	}
	t := r.next()
	d, err := time.ParseDuration(t.lower())
	if err != nil {
		message := t.quoted() + " is not a length of time"
		if t.text == "" {
			message = "a length of time is missing here"
		}
		return Schedule{}, r.fail(t, message, "write hours and minutes, as in @every 6h or @every 90m")
	}
	return r.interval(t, d)
}
