package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/mattn/go-isatty"
)

// isTerminal tells whether w is a terminal, where a person watches.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// color is one of the few colours that output has. They repeat what the words say and never replace them.
type color string

// The colours, as the parameters of the ANSI sequence.
const (
	plain  color = ""
	faint  color = "2"
	red    color = "31"
	green  color = "32"
	yellow color = "33"
)

// style says whether output has colours. The zero style has none.
type style struct{ colored bool }

// newStyle is the style for w: colours on a terminal, unless NO_COLOR is set to anything (https://no-color.org) or the
// terminal is dumb.
func newStyle(w io.Writer, getenv func(string) string) style {
	return style{colored: wantsColor(isTerminal(w), getenv)}
}

func wantsColor(terminal bool, getenv func(string) string) bool {
	return terminal && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
}

// paint returns s in a colour. s must be clean.
func (st style) paint(c color, s string) string {
	if !st.colored || c == plain || s == "" {
		return s
	}
	return "\x1b[" + string(c) + "m" + s + "\x1b[0m"
}

// painted is a table cell with a colour.
type painted struct {
	color color
	value any
}

// number writes n with a comma before each group of three digits: "1,234,567".
func number(n int) string {
	s := strconv.Itoa(n)
	first := 0
	if n < 0 {
		first = 1
	}
	for i := len(s) - 3; i > first; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// counted writes a number and its noun: "1 user", "2 users". Nouns whose plural is more than an s are given as such.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// roughly writes a length of time for people in at most two units: "0.4 s", "12 s", "3 min 20 s", "2 h 5 min", "4 days".
func roughly(d time.Duration) string {
	if d < 0 {
		return "-" + roughly(-d)
	}
	switch {
	case d < time.Millisecond:
		return "0 s"
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 9950*time.Millisecond:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	s := int64(d.Round(time.Second) / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return two(s/60, "min", s%60, "s")
	}
	if m := (s + 30) / 60; m < 24*60 {
		return two(m/60, "h", m%60, "min")
	}
	if h := (s + 1800) / 3600; h < 48 {
		return two(1, "day", h-24, "h")
	}
	return fmt.Sprintf("%d days", (s+12*3600)/(24*3600))
}

func two(a int64, unit string, b int64, smaller string) string {
	if b == 0 {
		return fmt.Sprintf("%d %s", a, unit)
	}
	return fmt.Sprintf("%d %s %d %s", a, unit, b, smaller)
}

// when writes a moment as people speak of it, seen from now: "just now", "5 min ago", "in 2 h 5 min", and the date
// itself when it is more than a month away. The zero time is "never".
func when(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	d := now.Sub(t)
	switch {
	case d > 30*24*time.Hour, d < -30*24*time.Hour:
		return t.In(now.Location()).Format("2006-01-02")
	case d > -time.Second && d < 5*time.Second:
		return "just now"
	case d < 0:
		return "in " + roughly(-d)
	default:
		return roughly(d) + " ago"
	}
}

// stamp writes a moment exactly, in the time zone of loc: "2026-03-01 02:00:05 CET". The zero time is "never".
func stamp(t time.Time, loc *time.Location) string {
	if t.IsZero() {
		return "never"
	}
	return t.In(loc).Format("2006-01-02 15:04:05 MST")
}
