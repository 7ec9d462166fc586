package schedule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"dirsync"
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
	_, zoned := namesZone(t)
	return zoned || c >= '0' && c <= '9' || c == '*' || c == '?' || c == '@'
}

// cron reads the five fields. Each is checked before the parser sees it, because the parser takes several faults for
// something else (see spec) and does not say where a fault is.
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
	var written, checked []string
	for i, f := range fields {
		plain, err := r.cronField(tokens[i], f)
		if err != nil {
			return Schedule{}, err
		}
		written, checked = append(written, tokens[i].lower()), append(checked, plain)
	}
	s, err := r.spec(first, strings.Join(checked, " "))
	if err != nil {
		return Schedule{}, err
	}
	s.text = strings.Join(written, " ")
	if !s.days.possible() {
		return Schedule{}, r.fail(tokens[2], "this day does not exist in any of these months", "write 28 or less, or monthly on the last day at 03:00")
	}
	return s, nil
}

// cronField checks a list of items and returns it as the parser is to read it.
func (r *reader) cronField(t token, f field) (string, error) {
	var items []string
	start := 0
	for i := range len(t.text) + 1 {
		if i < len(t.text) && t.text[i] != ',' {
			continue
		}
		item := t.from(start)
		item.text = t.text[start:i]
		plain, err := r.cronItem(item, f)
		if err != nil {
			return "", err
		}
		items, start = append(items, plain), i+1
	}
	return strings.Join(items, ","), nil
}

// cronItem checks "*", "5", "mon-fri", "*/15" or "8-18/2" and returns it as the parser is to read it.
func (r *reader) cronItem(t token, f field) (string, error) {
	values, _, stepped := strings.Cut(t.text, "/")
	low, high, step := f.min, f.last(), 1
	if values != "*" && (values != "?" || f.max != 31 && f.max != 7) {
		var err error
		first, second, ranged := strings.Cut(values, "-")
		at := t
		at.text = first
		if low, err = r.cronValue(at, f); err != nil {
			return "", err
		}
		switch {
		case ranged:
			at = t.from(len(first) + 1)
			at.text = second
			if high, err = r.cronValue(at, f); err != nil {
				return "", err
			}
		case !stepped:
			high = low
		}
		if high < low {
			return "", r.fail(t, fmt.Sprintf("the range %s ends before it begins", t.quoted()), f.turned(low, high, t.text[len(values):]))
		}
	}
	if stepped {
		at := t.from(len(values) + 1)
		if !number.MatchString(at.text) || strings.Trim(at.text, "0") == "" {
			return "", r.fail(at, at.quoted()+" is not a step", "write a number, as in */15")
		}
		step, _ = strconv.Atoi(at.text) // six digits, as the expression says
		if step > f.max-f.min {
			return "", r.fail(at, fmt.Sprintf("a step of %d is beyond all %s (%d to %d)", step, f.name, f.min, f.max),
				"for a longer time write, for example, every 90 minutes")
		}
	}
	if f.max == 7 && high == 7 {
		return sunday(low, step), nil
	}
	return t.text, nil
}

// sunday writes the days from low to 7 for a parser to which Sunday is 0 alone.
func sunday(low, step int) string {
	var items []string
	if low < 7 {
		items = append(items, fmt.Sprintf("%d-6/%d", low, step))
	}
	if (7-low)%step == 0 {
		items = append(items, "0")
	}
	return strings.Join(items, ",")
}

// turned is the hint for a range that goes over the end, such as fri-mon; step is what follows it, such as /2.
func (f field) turned(low, high int, step string) string {
	if low > f.last() { // Sunday as 7
		return fmt.Sprintf("write %s-%s%s", f.value(f.min), f.value(high), step)
	}
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
		if near := dirsync.Nearest(t.text, f.names); near != "" && t.text != "" {
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
	// In the canonical form they are written like everything else.
	canonical := map[string]string{
		"@hourly": "hourly", "@daily": "daily at 00:00", "@midnight": "daily at 00:00", "@weekly": "weekly on sunday at 00:00",
		"@monthly": "monthly on the 1st at 00:00", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
	}
	if text, ok := canonical[first.lower()]; ok {
		s, err := r.spec(first, first.lower())
		if err != nil {
			return Schedule{}, err
		}
		s.text = text
		return s, nil
	}
	if !first.is("@every") {
		hint := "write @hourly, @daily, @weekly, @monthly, @yearly or @every 6h"
		if near := dirsync.Nearest(first.text, []string{"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually", "@every"}); near != "" {
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
	// The parser would make one second of less than that, and drop parts of seconds.
	if s, err := r.interval(t, d); err != nil {
		return s, err
	}
	return r.spec(first, "@every "+t.lower())
}
