package schedule

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/robfig/cron/v3"
)

// TestParserIsGuarded hands the library what Parse never lets through. An error must come of it, and no panic.
func TestParserIsGuarded(t *testing.T) {
	for text, want := range map[string]string{
		"TZ=UTC":                "the parser gave up: runtime error: slice bounds",
		"TZ=0":                  "the parser gave up: runtime error: slice bounds",
		"CRON_TZ=UTC 0 2 * * 0": "a zone was named in the expression",
		"":                      "empty spec string",
		"0 2 * *":               "expected exactly 5 fields, found 4: [0 2 * *]",
		"@every -1h":            "1s is too short; the shortest is every minute",
	} {
		got := ""
		if _, err := parseSpec(text); err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	r := &reader{text: "TZ=UTC"}
	_, err := r.spec(token{"TZ=UTC", 1}, "TZ=UTC")
	want := "column 1: this cron expression cannot be read: the parser gave up: runtime error: slice bounds"
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestLibraryTakes shows why the checks stand in front of the library: it takes all of these.
func TestLibraryTakes(t *testing.T) {
	for _, text := range []string{"*-5 * * * *", "1,,2 * * * *", ", * * * *", "? * * * *", "+5 * * * *", "*/90 * * * *", "0 0 30 2 *", "@every 0s", "@every -1h"} {
		if _, err := cron.ParseStandard(text); err != nil {
			t.Errorf("%q: the library refuses it now: %v", text, err)
		}
		if s, err := Parse(text, nil); err == nil {
			t.Errorf("%q was accepted as %s", text, s)
		}
	}
}

// TestLibraryNext shows why the library's Next is not used.
func TestLibraryNext(t *testing.T) {
	for _, tc := range []struct{ name, text, after, theirs, ours string }{
		{"a week is left out", "0 2 * * 0", "2026-03-22T12:00:00Z", "2026-04-05T02:00:00+02:00", "2026-03-29T03:00:00+02:00"},
		{"a run comes twice", "30 2 * * *", "2026-10-25T00:30:00Z", "2026-10-25T02:30:00+01:00", "2026-10-26T02:30:00+01:00"},
	} {
		after, err := time.Parse(time.RFC3339, tc.after)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := cron.ParseStandard("CRON_TZ=Europe/Berlin " + tc.text)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := Parse(tc.text+" Europe/Berlin", nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := theirs.Next(after).In(ours.Zone()).Format(time.RFC3339); got != tc.theirs {
			t.Errorf("%s: the library has changed: got %s, want %s", tc.name, got, tc.theirs)
		}
		if got := ours.Next(after).Format(time.RFC3339); got != tc.ours {
			t.Errorf("%s: got %s, want %s", tc.name, got, tc.ours)
		}
	}
}

// FuzzSpec hands the library anything at all.
func FuzzSpec(f *testing.F) {
	for _, text := range []string{"0 2 * * 0", "*/5 1-3/2 1,15 jan-mar sun", "@weekly", "@every 6h", "TZ=UTC", "CRON_TZ=", "TZ=Europe/Berlin 0 2 * * 0"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseSpec(text)
		if err == nil && s.Manual() {
			t.Errorf("%q: it never runs", text)
		}
		if err != nil && err.Error() == "" {
			t.Errorf("%q: an error that says nothing", text)
		}
	})
}
