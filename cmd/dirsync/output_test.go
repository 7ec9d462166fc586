package main

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vbauerster/mpb/v8"
)

func TestTable(t *testing.T) {
	table := NewTable(style{}, "USER", "NAME", "CHANGES", "NOTE")
	table.Row("adele@contoso.com", "Adele Vance", 7, "moved to Berlin")
	table.Row("li@contoso.com", "李小龍", 1234567, "")
	table.Row("müller@contoso.com", "Zoë Mu\u0308ller", -12)
	table.Row("eve@contoso.com", "Eve\x1b[2J\u202eevE\n\tX\x00\u2028", nil, "👩\u200d💻 here")
	table.Row("한글@contoso.com", painted{red, "Ｗｉｄｅ"}, painted{yellow, 0}, time.Duration(0))
	var b bytes.Buffer
	if err := table.Write(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/output/table.txt", b.String())
	if table.Len() != 5 {
		t.Errorf("got %d rows, want 5", table.Len())
	}
}

func TestTableInColour(t *testing.T) {
	table := NewTable(style{colored: true}, "RESULT", "COUNT")
	table.Row(painted{green, "done"}, 10)
	table.Row(painted{red, "failed \x1b[31m"}, painted{yellow, 2})
	table.Row(painted{red, ""}, painted{plain, 3})
	var b bytes.Buffer
	if err := table.Write(&b); err != nil {
		t.Fatal(err)
	}
	want := "\x1b[2mRESULT\x1b[0m           \x1b[2mCOUNT\x1b[0m\n" +
		"\x1b[32mdone\x1b[0m                10\n" +
		"\x1b[31mfailed \\x1b[31m\x1b[0m      \x1b[33m2\x1b[0m\n" +
		"                     3\n"
	if got := b.String(); got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

func TestTableWithoutRows(t *testing.T) {
	var b bytes.Buffer
	if err := NewTable(style{}, "USER", "NAME").Write(&b); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), "USER  NAME\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// brokenWriter is a pipe whose reader has gone.
type brokenWriter struct{}

var errBroken = errors.New("broken pipe")

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestOutputErrors(t *testing.T) {
	if err := NewTable(style{}, "A").Write(brokenWriter{}); !errors.Is(err, errBroken) {
		t.Errorf("table: got %v", err)
	}
	if err := writeJSON(brokenWriter{}, 1); !errors.Is(err, errBroken) {
		t.Errorf("JSON: got %v", err)
	}
	if err := writeJSON(&bytes.Buffer{}, math.NaN()); err == nil {
		t.Error("JSON: NaN was written")
	}
}

func TestClean(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", "Adele Vance", "Adele Vance"},
		{"letters of many scripts", "Zoë 李小龍 شهرزاد Привет", "Zoë 李小龍 شهرزاد Привет"},
		{"combining marks", "Mu\u0308ller", "Mu\u0308ller"},
		{"emoji with joiner and variation", "👩\u200d💻 ❤\ufe0f", "👩\u200d💻 ❤\ufe0f"},
		{"Persian with its joiner", "می\u200cخواهم", "می\u200cخواهم"},
		{"colours", "\x1b[31mred\x1b[0m", `\x1b[31mred\x1b[0m`},
		{"window title", "\x1b]0;owned\a", `\x1b]0;owned\x07`},
		{"C1 control", "\u009b2J", `\u009b2J`},
		{"lines and tabs", "a\nb\tc\rd", `a\nb\tc\x0dd`},
		{"zero and delete", "\x00\x7f", `\x00\x7f`},
		{"right-to-left override", "a\u202eb\u202c", `a\u202eb\u202c`},
		{"isolates and marks", "\u2066\u2069\u200e\u200f\u061c", `\u2066\u2069\u200e\u200f\u061c`},
		{"line separators", "\u2028\u2029", `\u2028\u2029`},
		{"zero width space and BOM", "a\u200bb\ufeff", `a\u200bb\ufeff`},
		{"soft hyphen", "a\u00adb", `a\u00adb`},
		{"tags", "a\U000e0041", `a\U000e0041`},
		{"variation selectors beyond the first sixteen", "a\U000e0100", `a\U000e0100`},
		{"private use", "\ue000", `\ue000`},
		{"broken bytes", "a\xffb", "a\ufffdb"},
		{"empty", "", ""},
	}
	for _, tt := range tests {
		if got := clean(tt.in); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// FuzzClean looks for anything that gets through to a terminal.
func FuzzClean(f *testing.F) {
	for _, s := range []string{"Adele", "\x1b[2J", "\u202e", "\xff\x9b", "👩\u200d💻"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s)
		for _, r := range got {
			if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
				t.Fatalf("%q became %q", s, got)
			}
		}
		if again := clean(got); !strings.Contains(got, "\ufffd") && again != got {
			t.Fatalf("%q became %q, and that %q", s, got, again)
		}
	})
}

func TestWriteJSON(t *testing.T) {
	var b bytes.Buffer
	err := writeJSON(&b, struct {
		Name string `json:"name"`
		List []int  `json:"list"`
	}{"Zoë <z@contoso.com> & Co", []int{1}})
	want := "{\n  \"name\": \"Zoë <z@contoso.com> & Co\",\n  \"list\": [\n    1\n  ]\n}\n"
	if b.String() != want || err != nil {
		t.Errorf("got %s %v\nwant %s", &b, err, want)
	}
}

func TestStyle(t *testing.T) {
	// A buffer is no terminal, whatever the environment says.
	s := newStyle(&bytes.Buffer{}, func(string) string { return "" })
	if got := s.paint(red, "x"); got != "x" {
		t.Errorf("got %q, want x", got)
	}
	tests := []struct {
		name, noColor, term string
		want                bool
	}{
		{"terminal", "", "xterm", true},
		{"NO_COLOR", "1", "xterm", false},
		{"dumb", "", "dumb", false},
	}
	for _, tt := range tests {
		env := map[string]string{"NO_COLOR": tt.noColor, "TERM": tt.term}
		if got := wantsColor(true, func(k string) string { return env[k] }); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestRoughly(t *testing.T) {
	tests := []struct {
		in   time.Duration
		want string
	}{
		{0, "0 s"}, {999 * time.Microsecond, "0 s"}, {42 * time.Millisecond, "42 ms"}, {400 * time.Millisecond, "0.4 s"},
		{9949 * time.Millisecond, "9.9 s"}, {9950 * time.Millisecond, "10 s"}, {12 * time.Second, "12 s"},
		{59600 * time.Millisecond, "1 min"}, {200 * time.Second, "3 min 20 s"}, {time.Hour - time.Second, "59 min 59 s"},
		{time.Hour - 400*time.Millisecond, "1 h"}, {125 * time.Minute, "2 h 5 min"}, {24*time.Hour - time.Second, "1 day"},
		{25 * time.Hour, "1 day 1 h"}, {48*time.Hour - time.Minute, "2 days"}, {96 * time.Hour, "4 days"},
		{-time.Minute, "-1 min"},
	}
	for _, tt := range tests {
		if got := roughly(tt.in); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestWhen(t *testing.T) {
	now := time.Date(2026, 3, 1, 2, 0, 5, 0, time.UTC)
	tests := []struct {
		in   time.Time
		want string
	}{
		{time.Time{}, "never"}, {now, "just now"}, {now.Add(-4 * time.Second), "just now"}, {now.Add(-5 * time.Minute), "5 min ago"},
		{now.Add(2*time.Hour + 5*time.Minute), "in 2 h 5 min"}, {now.Add(-40 * 24 * time.Hour), "2026-01-20"},
		{now.Add(40 * 24 * time.Hour), "2026-04-10"},
	}
	for _, tt := range tests {
		if got := when(tt.in, now); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.in, got, tt.want)
		}
	}
	if got, want := stamp(now, time.FixedZone("CET", 3600)), "2026-03-01 03:00:05 CET"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := stamp(time.Time{}, time.UTC); got != "never" {
		t.Errorf("got %q, want never", got)
	}
}

func TestNumbers(t *testing.T) {
	for in, want := range map[int]string{0: "0", 12: "12", 123: "123", 1234: "1,234", -123: "-123", -1234: "-1,234", 1234567: "1,234,567"} {
		if got := number(in); got != want {
			t.Errorf("%d: got %q, want %q", in, got, want)
		}
	}
	if got := counted(1, "user", "users") + ", " + counted(2000, "user", "users"); got != "1 user, 2,000 users" {
		t.Errorf("got %q", got)
	}
}

// TestProgressLines runs a long task whose progress goes to a log.
func TestProgressLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		p := newProgress(&b, false)
		for i := range 25 {
			p.Show("read", 1000*i, 0)
			<-time.After(time.Second)
		}
		p.Show("apply", 0, 30)
		for i := range 31 {
			p.Show("apply", i, 30)
		}
		p.Show("a\x1b[2Jb", 1, 1)
		p.Close()
		p.Close()
		p.Show("late", 1, 1)
		want := "read: 10,000\nread: 20,000\nread: 24,000 in 25 s\napply: 30 of 30 in 0 s\na\\x1b[2Jb: 1 of 1 in 0 s\n"
		if got := b.String(); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}

// TestProgressSilent writes nothing where a program reads the output and nobody watches.
func TestProgressSilent(t *testing.T) {
	var b bytes.Buffer
	p := newProgress(&b, true)
	p.Show("read", 1, 2)
	p.Close()
	if b.Len() > 0 {
		t.Errorf("got %q", b.String())
	}
}

// TestProgressBars drives the bar as a terminal would see it, from several goroutines, and through every way a phase
// may end.
func TestProgressBars(t *testing.T) {
	var b bytes.Buffer
	p := newBars(&b, mpb.WithAutoRefresh())
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() { p.Show("read", i, 0) })
	}
	wg.Wait()
	p.Show("plan", 50, 50)
	p.Show("apply", 3000, 5000)
	p.Show("apply", 4000, 5000)
	p.Close()
	p.Close()
	p.Show("late", 1, 1)
	got := b.String()
	for _, want := range []string{"read", "plan", "50", "apply", "4,000 of 5,000"} {
		if !strings.Contains(got, want) {
			t.Errorf("the bars do not show %q:\n%q", want, got)
		}
	}
	if strings.Contains(got, "late") {
		t.Errorf("shown after Close: %q", got)
	}
}
