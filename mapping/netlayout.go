package mapping

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// netLayout is a custom date and time format string of .NET ("Custom date and time format strings" in Microsoft's
// .NET documentation), in the invariant culture.
type netLayout struct{ tokens []netToken }

// netToken is a letter that is repeated, or literal text.
type netToken struct {
	letter  byte // d f F H h K M m s t y z; 0 for a literal
	count   int
	literal string
}

// parseNetLayout reads a format. Of the formats of a single letter it knows those that are the same in every culture.
func parseNetLayout(s string) (*netLayout, error) {
	switch s {
	case "":
		return nil, errors.New("it is empty")
	case "s":
		s = "yyyy-MM-ddTHH:mm:ss"
	case "u":
		s = "yyyy-MM-dd HH:mm:ss'Z'"
	case "o", "O":
		s = "yyyy-MM-ddTHH:mm:ss.fffffffK"
	case "d":
		s = "MM/dd/yyyy"
	}
	if len(s) == 1 {
		return nil, fmt.Errorf("%s is not available", s)
	}
	l := &netLayout{}
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case strings.IndexByte("dfFHhKMmstyz", c) >= 0:
			n := 1
			for i+n < len(s) && s[i+n] == c && c != 'K' {
				n++
			}
			if n > longestToken(c) {
				return nil, fmt.Errorf("%s is too long", s[i:i+n])
			}
			l.tokens = append(l.tokens, netToken{letter: c, count: n})
			i += n
		case c == '\'' || c == '"':
			end := strings.IndexByte(s[i+1:], c)
			if end < 0 {
				return nil, errors.New("a quotation mark is never closed")
			}
			l.literal(s[i+1 : i+1+end])
			i += end + 2
		case c == '\\':
			if i+1 == len(s) {
				return nil, errors.New("it ends in a backslash")
			}
			l.literal(s[i+1 : i+2])
			i += 2
		case c == '%':
			i++
		default:
			l.literal(s[i : i+1])
			i++
		}
	}
	return l, nil
}

// longestToken is how often a letter may be repeated.
func longestToken(c byte) int {
	switch c {
	case 'd', 'M':
		return 4
	case 'y':
		return 5
	case 'f', 'F':
		return 7
	case 'z':
		return 3
	case 'K':
		return 1
	}
	return 2
}

func (l *netLayout) literal(s string) {
	if n := len(l.tokens); n > 0 && l.tokens[n-1].letter == 0 {
		l.tokens[n-1].literal += s
		return
	}
	l.tokens = append(l.tokens, netToken{literal: s})
}

// readable tells why a date cannot be read by the layout.
func (l *netLayout) readable() error {
	var year, month, day bool
	for _, t := range l.tokens {
		year = year || t.letter == 'y'
		month = month || t.letter == 'M'
		day = day || t.letter == 'd' && t.count <= 2
	}
	if !year || !month || !day {
		return errors.New("it lacks a day, a month or a year")
	}
	return nil
}

// format writes a moment.
func (l *netLayout) format(t time.Time) string {
	var b strings.Builder
	for _, k := range l.tokens {
		k.format(&b, t)
	}
	return b.String()
}

func (k netToken) format(b *strings.Builder, t time.Time) {
	number := func(n int) { fmt.Fprintf(b, "%0*d", min(k.count, 2), n) }
	switch k.letter {
	case 0:
		b.WriteString(k.literal)
	case 'd':
		switch k.count {
		case 3:
			b.WriteString(t.Weekday().String()[:3])
		case 4:
			b.WriteString(t.Weekday().String())
		default:
			number(t.Day())
		}
	case 'M':
		switch k.count {
		case 3:
			b.WriteString(t.Month().String()[:3])
		case 4:
			b.WriteString(t.Month().String())
		default:
			number(int(t.Month()))
		}
	case 'y':
		if k.count <= 2 {
			number(t.Year() % 100)
		} else {
			fmt.Fprintf(b, "%0*d", k.count, t.Year())
		}
	case 'H':
		number(t.Hour())
	case 'h':
		number((t.Hour()+11)%12 + 1)
	case 'm':
		number(t.Minute())
	case 's':
		number(t.Second())
	case 'f', 'F':
		digits := fmt.Sprintf("%09d", t.Nanosecond())[:k.count]
		if k.letter == 'F' {
			digits = strings.TrimRight(digits, "0")
		}
		b.WriteString(digits)
	case 't':
		b.WriteString(t.Format("PM")[:k.count])
	case 'z', 'K':
		k.formatZone(b, t)
	}
}

func (k netToken) formatZone(b *strings.Builder, t time.Time) {
	_, offset := t.Zone()
	sign := '+'
	if offset < 0 {
		sign, offset = '-', -offset
	}
	hours, minutes := offset/3600, offset/60%60
	switch {
	case k.letter == 'K' && offset == 0:
		b.WriteByte('Z')
	case k.letter == 'K' || k.count == 3:
		fmt.Fprintf(b, "%c%02d:%02d", sign, hours, minutes)
	default:
		fmt.Fprintf(b, "%c%0*d", sign, k.count, hours)
	}
}

// netReading is a date while it is read.
type netReading struct {
	rest                                    string
	year, month, day, hour, minute, seconds int
	nano, offset                            int
	half                                    byte // a or p; 0 when the layout has none
	twelve                                  bool
	ok                                      bool
}

// parse reads a moment. Without a zone it is UTC. White space around it is allowed, as it is in .NET by default.
func (l *netLayout) parse(s string) (time.Time, bool) {
	r := &netReading{rest: strings.TrimSpace(s), ok: true}
	for _, k := range l.tokens {
		r.read(k)
	}
	if r.twelve && r.half != 0 {
		r.ok = r.ok && r.hour >= 1 && r.hour <= 12
		r.hour %= 12
		if r.half == 'p' {
			r.hour += 12
		}
	}
	if !r.ok || r.rest != "" || r.hour > 23 || r.minute > 59 || r.seconds > 59 || r.year < 1 {
		return time.Time{}, false
	}
	t := time.Date(r.year, time.Month(r.month), r.day, r.hour, r.minute, r.seconds, r.nano, time.UTC)
	if int(t.Month()) != r.month || t.Day() != r.day {
		return time.Time{}, false
	}
	t, err := inCalendar(t.Add(-time.Duration(r.offset) * time.Minute))
	return t, err == nil
}

func (r *netReading) read(k netToken) {
	switch k.letter {
	case 0:
		r.word(k.literal)
	case 'd':
		if k.count > 2 {
			r.name(k.count == 3, 7, func(i int) string { return time.Weekday(i).String() })
			return
		}
		r.day = r.number(k.count, 2)
	case 'M':
		if k.count > 2 {
			r.month = 1 + r.name(k.count == 3, 12, func(i int) string { return time.Month(i + 1).String() })
			return
		}
		r.month = r.number(k.count, 2)
	case 'y':
		if k.count > 2 {
			r.year = r.number(max(k.count, 4), max(k.count, 4))
			return
		}
		// .NET takes two digits for the years from 1950 to 2049.
		if r.year = r.number(k.count, 2); r.year < 50 {
			r.year += 100
		}
		r.year += 1900
	case 'H':
		r.hour = r.number(k.count, 2)
	case 'h':
		r.twelve = true
		r.hour = r.number(k.count, 2)
	case 'm':
		r.minute = r.number(k.count, 2)
	case 's':
		r.seconds = r.number(k.count, 2)
	case 'f', 'F':
		r.fraction(k)
	case 't':
		r.afternoon(k.count)
	case 'z', 'K':
		r.zone(k)
	}
}

func (r *netReading) word(s string) {
	rest, ok := strings.CutPrefix(r.rest, s)
	r.rest, r.ok = rest, r.ok && ok
}

// number reads at least and at most so many digits.
func (r *netReading) number(least, most int) int {
	n, i := 0, 0
	for i < len(r.rest) && i < most && r.rest[i] >= '0' && r.rest[i] <= '9' {
		n = n*10 + int(r.rest[i]-'0')
		i++
	}
	r.rest, r.ok = r.rest[i:], r.ok && i >= least
	return n
}

// name reads one of n names, in any letter case, and returns which.
func (r *netReading) name(short bool, n int, name func(int) string) int {
	for i := range n {
		full := name(i)
		if short {
			full = full[:3]
		}
		if len(r.rest) >= len(full) && strings.EqualFold(r.rest[:len(full)], full) {
			r.rest = r.rest[len(full):]
			return i
		}
	}
	r.ok = false
	return 0
}

func (r *netReading) fraction(k netToken) {
	least := k.count
	if k.letter == 'F' {
		least = 0
	}
	before := len(r.rest)
	n := r.number(least, k.count)
	for range 9 - (before - len(r.rest)) {
		n *= 10
	}
	r.nano = n
}

func (r *netReading) afternoon(count int) {
	if len(r.rest) < count {
		r.ok = false
		return
	}
	word := strings.ToLower(r.rest[:count])
	r.ok = r.ok && strings.HasPrefix("am", word) || r.ok && strings.HasPrefix("pm", word)
	r.half, r.rest = word[0], r.rest[count:]
}

// zone reads +01:00, +01 or Z. K, which may also stand for nothing, reads nothing where there is no zone.
func (r *netReading) zone(k netToken) {
	if r.rest == "" {
		r.ok = r.ok && k.letter == 'K'
		return
	}
	sign := 1
	switch r.rest[0] {
	case 'Z':
		r.rest = r.rest[1:]
		return
	case '-':
		sign = -1
	case '+':
	default:
		r.ok = false
		return
	}
	r.rest = r.rest[1:]
	hours := r.number(1, 2)
	minutes := 0
	if k.letter == 'K' || k.count == 3 {
		r.word(":")
		minutes = r.number(2, 2)
	}
	if hours > 14 || minutes > 59 {
		r.ok = false
	}
	r.offset = sign * (hours*60 + minutes)
}
