package mapping

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// entraTime is how Entra's language writes a moment: "M/d/yyyy h:mm:ss tt", always in UTC.
const entraTime = "1/2/2006 3:04:05 PM"

// parseEntraDate reads a date as CDate does: ISO 8601 with or without a time and a zone, or Microsoft's own form. Without a
// zone it is UTC.
func parseEntraDate(s string) (time.Time, bool) {
	s = strings.TrimSpace(s)
	if len(s) > 64 {
		return time.Time{}, false
	}
	for _, layout := range []string{
		time.RFC3339Nano, "2006-01-02", "2006-01-02Z07:00", "2006-01-02T15:04:05.999999999", "2006-01-02T15:04Z07:00", "2006-01-02T15:04",
		"2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04:05 Z07:00",
		entraTime, "1/2/2006 3:04 PM", "1/2/2006 15:04:05", "1/2/2006 15:04", "1/2/2006",
	} {
		if t, err := time.Parse(layout, s); err == nil {
			t, err = inCalendar(t.UTC())
			return t, err == nil
		}
	}
	return time.Time{}, false
}

func entraMoment(t time.Time) (entraValue, error) {
	t, err := inCalendar(t.UTC())
	return entraValue{kind: kindMoment, when: t}, err
}

func entraCDate(x *entraRun, args []*entraNode) (entraValue, error) {
	t, ok, err := x.moment(args[0])
	if !ok || err != nil {
		return entraValue{}, err
	}
	return entraMoment(t)
}

// intervals are the units of DateAdd and DateDiff. Microsoft documents all but w, which is a week there and here.
const intervals = "yyyy m d ww w h n s"

func checkInterval(n *entraNode) *entraError {
	a := n.args[0]
	if a.kind == entraText && !slices.Contains(strings.Fields(intervals), a.text) {
		return entraErrorAt(a.at, "write one of "+intervals, "%s does not know the interval %q", n.text, shown(a.text))
	}
	return nil
}

func entraDateAdd(x *entraRun, args []*entraNode) (entraValue, error) {
	interval, _, err := x.text(args[0])
	if err != nil {
		return entraValue{}, err
	}
	n, err := x.integer(args[1], "the value of DateAdd")
	if err != nil {
		return entraValue{}, err
	}
	t, ok, err := x.moment(args[2])
	if !ok || err != nil {
		return entraValue{}, err
	}
	const most = int64(10_000 * 366 * 86400) // seconds of all the years that there are
	n = max(min(n, most), -most)
	switch interval {
	case "yyyy":
		return entraMoment(addMonths(t, 12*max(min(n, 10_000), -10_000)))
	case "m":
		return entraMoment(addMonths(t, max(min(n, 120_000), -120_000)))
	case "d":
		return entraMoment(addSeconds(t, 86400*max(min(n, most/86400), -most/86400)))
	case "ww", "w":
		return entraMoment(addSeconds(t, 7*86400*max(min(n, most/86400/7), -most/86400/7)))
	case "h":
		return entraMoment(addSeconds(t, 3600*max(min(n, most/3600), -most/3600)))
	case "n":
		return entraMoment(addSeconds(t, 60*max(min(n, most/60), -most/60)))
	case "s":
		return entraMoment(addSeconds(t, n))
	}
	return entraValue{}, exprErrorf("DateAdd does not know the interval %q", shown(interval))
}

// addMonths keeps to the last day of a shorter month, as .NET does: a month after 31 January is 28 February.
func addMonths(t time.Time, n int64) time.Time {
	first := time.Date(t.Year(), t.Month()+time.Month(n), 1, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), t.Location())
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(t.Day(), last)-1)
}

func addSeconds(t time.Time, n int64) time.Time {
	return time.Unix(t.Unix()+n, int64(t.Nanosecond())).UTC()
}

// entraDateDiff counts as Visual Basic does, which agrees with every row of Microsoft's table: years and months of the
// calendar, weeks that begin on Sunday, and of everything smaller the whole units that have passed.
func entraDateDiff(x *entraRun, args []*entraNode) (entraValue, error) {
	interval, _, err := x.text(args[0])
	if err != nil {
		return entraValue{}, err
	}
	from, ok, err := x.moment(args[1])
	if !ok || err != nil {
		return entraValue{}, err
	}
	to, ok, err := x.moment(args[2])
	if !ok || err != nil {
		return entraValue{}, err
	}
	var n int64
	switch interval {
	case "yyyy":
		n = int64(to.Year() - from.Year())
	case "m":
		n = int64(12*(to.Year()-from.Year()) + int(to.Month()) - int(from.Month()))
	case "d":
		n = wholeUnits(from, to, 86400)
	case "w":
		n = wholeUnits(from, to, 7*86400)
	case "ww":
		n = wholeUnits(from.AddDate(0, 0, -int(from.Weekday())), to.AddDate(0, 0, -int(to.Weekday())), 86400) / 7
	case "h":
		n = wholeUnits(from, to, 3600)
	case "n":
		n = wholeUnits(from, to, 60)
	case "s":
		n = wholeUnits(from, to, 1)
	default:
		return entraValue{}, exprErrorf("DateDiff does not know the interval %q", shown(interval))
	}
	return entraString(strconv.FormatInt(n, 10)), nil
}

// wholeUnits counts the units of so many seconds between two moments, towards zero.
func wholeUnits(from, to time.Time, seconds int64) int64 {
	if to.Before(from) {
		return -wholeUnits(to, from, seconds)
	}
	n := to.Unix() - from.Unix()
	if to.Nanosecond() < from.Nanosecond() {
		n--
	}
	return n / seconds
}

// fileEpoch is the second, counted from 1970, at which the time of Active Directory begins: 1 January 1601.
const fileEpoch = -11_644_473_600

const ticksPerSecond = 10_000_000

func entraDateFromNum(x *entraRun, args []*entraNode) (entraValue, error) {
	v, err := x.value(args[0])
	if err != nil || v.isEmpty() {
		return entraValue{}, err
	}
	n, err := x.integer(args[0], "the value of DateFromNum")
	if err != nil {
		return entraValue{}, err
	}
	if n < 0 {
		return entraValue{}, exprErrorf("the value of DateFromNum must not be below zero")
	}
	return entraMoment(time.Unix(fileEpoch+n/ticksPerSecond, n%ticksPerSecond*100))
}

func entraNumFromDate(x *entraRun, args []*entraNode) (entraValue, error) {
	t, ok, err := x.moment(args[0])
	if !ok || err != nil {
		return entraValue{}, err
	}
	if t.Unix() < fileEpoch {
		return entraValue{}, exprErrorf("Active Directory knows no dates before 1601")
	}
	return entraString(strconv.FormatInt((t.Unix()-fileEpoch)*ticksPerSecond+int64(t.Nanosecond())/100, 10)), nil
}

// checkFormats reads the formats of FormatDateTime when they are constants. The styles in between only say how lenient
// .NET is to be; all are accepted and none makes a difference.
func checkFormats(n *entraNode) *entraError {
	if s := n.args[1]; s.kind != entraOmitted && s.kind != entraText {
		return entraErrorAt(s.at, "", "the styles must be a constant text")
	}
	for i, a := range n.args[2:] {
		if a.kind != entraText {
			return entraErrorAt(a.at, "", "the formats must be constant texts")
		}
		layout, err := parseNetLayout(a.text)
		if err == nil && i == 0 {
			err = layout.readable()
		}
		if err != nil {
			return entraErrorAt(a.at, `write a .NET format such as "yyyy-MM-dd"`, "the format %q cannot be used: %v", shown(a.text), err)
		}
		a.layout = layout
	}
	return nil
}

func entraFormatDateTime(x *entraRun, args []*entraNode) (entraValue, error) {
	v, err := x.value(args[0])
	if err != nil || v.isEmpty() {
		return entraValue{}, err
	}
	t := v.when
	if v.kind != kindMoment {
		s, _, err := v.asText()
		if err != nil {
			return entraValue{}, err
		}
		var ok bool
		if t, ok = args[2].layout.parse(s); !ok {
			return entraValue{}, exprErrorf("%q is not a date in the form %s", shown(s), args[2].text)
		}
	}
	return entraString(args[3].layout.format(t.UTC())), nil
}
