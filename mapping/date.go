package mapping

import (
	"fmt"
	"strings"
	"time"
)

const (
	isoDate     = "YYYY-MM-DD"
	dateLayout  = "2006-01-02"
	notDate     = "is not a date"
	notDateTime = "is not a date and time"
)

// pattern is a way to write dates: a layout of package time, and the zone of times that carry none.
type pattern struct {
	// source is the pattern as people write it: "DD/MM/YYYY".
	source string
	layout string
	// zone is the zone that the pattern names, nil when it names none; zoned that the values carry their own.
	zone  *time.Location
	zoned bool
	clock bool
}

// patternTokens are the parts of a pattern, a longer one before any that it begins with.
const patternTokens = "YYYY MM DD HH mm ss Z M D H"

// parsePattern reads a pattern made of YYYY, MM or M, DD or D, and, for a date and time, HH or H, mm, ss and Z, with
// spaces, the characters / - . , : and the T of ISO 8601 in between. A zone for times that carry none stands at
// the end in brackets: "DD/MM/YYYY HH:mm [Europe/Berlin]".
func parsePattern(source string) (pattern, error) {
	p := pattern{source: source}
	rest := source
	if i := strings.IndexByte(rest, '['); i >= 0 {
		name, ok := strings.CutSuffix(rest[i+1:], "]")
		zone, err := time.LoadLocation(name)
		if !ok || err != nil || name == "" || name == "Local" {
			return p, fmt.Errorf("%s ends in a time zone that is not known", source)
		}
		p.zone, rest = zone, strings.TrimRight(rest[:i], " ")
	}
	seen := map[string]bool{}
	var layout strings.Builder
	for rest != "" {
		token, goes := nextToken(rest)
		if token == "" {
			c := rest[0]
			if !strings.ContainsRune(" /-.,:T", rune(c)) {
				return p, fmt.Errorf("%s holds %q, which is no part of a date", source, rest[:1])
			}
			layout.WriteByte(c)
			rest = rest[1:]
			continue
		}
		unit := token[:1]
		if seen[unit] {
			return p, fmt.Errorf("%s has %s twice", source, token)
		}
		seen[unit] = true
		layout.WriteString(goes)
		rest = rest[len(token):]
	}
	if !seen["Y"] || !seen["M"] || !seen["D"] {
		return p, fmt.Errorf("%s lacks a day, a month or a year", source)
	}
	p.layout, p.clock, p.zoned = layout.String(), seen["H"], seen["Z"]
	if (seen["m"] || seen["s"] || seen["Z"]) && !seen["H"] || seen["s"] && !seen["m"] {
		return p, fmt.Errorf("%s has minutes, seconds or a zone, but no hours", source)
	}
	if p.zoned && p.zone != nil {
		return p, fmt.Errorf("%s has two zones", source)
	}
	return p, nil
}

// nextToken returns the token at the beginning of a pattern and what package time calls it.
func nextToken(s string) (token, layout string) {
	for t := range strings.FieldsSeq(patternTokens) {
		if !strings.HasPrefix(s, t) {
			continue
		}
		switch t {
		case "YYYY":
			return t, "2006"
		case "MM":
			return t, "01"
		case "DD":
			return t, "02"
		case "HH":
			return t, "15"
		case "mm":
			return t, "04"
		case "ss":
			return t, "05"
		case "Z":
			return t, "Z07:00"
		case "M":
			return t, "1"
		case "D":
			return t, "2"
		case "H":
			return t, "15"
		}
	}
	return "", ""
}

// parse reads a date or time written in the pattern. What is read must be written in the same way again, so that
// 31/02/2019 and 6/6/2019 are refused where DD/MM/YYYY is asked for.
func (p pattern) parse(s string) (time.Time, string) {
	zone := p.zone
	if zone == nil {
		zone = time.UTC
	}
	t, err := time.ParseInLocation(p.layout, s, zone)
	if err != nil || t.Year() < 1 || !p.same(t, s) {
		what := notDate
		if p.clock {
			what = notDateTime
		}
		return time.Time{}, what + " in the form " + p.source
	}
	return t, ""
}

// format writes a moment in the pattern, in the pattern's zone or else in UTC.
func (p pattern) format(t time.Time) string {
	if p.zone != nil {
		return t.In(p.zone).Format(p.layout)
	}
	return t.UTC().Format(p.layout)
}

// same tells whether t, written in the pattern, is s again. A zone may be written in several ways.
func (p pattern) same(t time.Time, s string) bool {
	if p.zoned {
		return true
	}
	return t.Format(p.layout) == s || strings.Contains(p.source, "H") && !strings.Contains(p.source, "HH")
}

// parseISODate reads 2006-01-02. It is the commonest format by far, and so is read by hand.
func parseISODate(s string) (time.Time, bool) {
	if len(s) != 10 || s[4] != '-' || s[7] != '-' || !allDigits(s[:4]) || !allDigits(s[5:7]) || !allDigits(s[8:]) {
		return time.Time{}, false
	}
	y, m, d := atoi(s[:4]), atoi(s[5:7]), atoi(s[8:])
	t := time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC)
	if y < 1 || int(t.Month()) != m || t.Day() != d {
		return time.Time{}, false
	}
	return t, true
}

func atoi(digits string) int {
	n := 0
	for i := range len(digits) {
		n = n*10 + int(digits[i]-'0')
	}
	return n
}

// parseISODateTime reads RFC 3339, the seconds optional, the zone not: a time without a zone is a different moment in
// every country.
func parseISODateTime(s string) (time.Time, string) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err == nil && t.Year() >= 1 && t.UTC().Year() <= 9999 && t.UTC().Year() >= 1 && !strings.Contains(s, ",") {
		return t, ""
	}
	if t, err = time.Parse("2006-01-02T15:04Z07:00", s); err == nil && t.UTC().Year() >= 1 && t.UTC().Year() <= 9999 {
		return t, ""
	}
	for _, layout := range []string{"2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04"} {
		if _, err := time.Parse(layout, s); err == nil {
			return time.Time{}, notDateTime + ": it names no time zone"
		}
	}
	return time.Time{}, notDateTime + " in the form 2019-06-06T09:30:00Z"
}

func canonicalDate(t time.Time) string { return t.Format(dateLayout) }

func canonicalDateTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
