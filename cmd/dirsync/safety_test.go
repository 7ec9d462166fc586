package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// FuzzWrapped breaks texts into lines that are never too wide and lose nothing but blanks.
func FuzzWrapped(f *testing.F) {
	for _, s := range []string{"", "a", "two words", strings.Repeat("x", 300), strings.Repeat("李", 90), "a " + strings.Repeat("é", 200) + " b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = clean(s)
		const width = 20
		lines := wrapped(s, width)
		for _, line := range lines {
			if textWidth(line) > width {
				t.Errorf("%q is %d wide", line, textWidth(line))
			}
		}
		if got, want := strings.Join(strings.Fields(strings.Join(lines, "")), ""), strings.Join(strings.Fields(s), ""); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if cut := fit(s, width); textWidth(cut) > width {
			t.Errorf("%q is %d wide", cut, textWidth(cut))
		}
	})
}

// FuzzSince reads days, moments and lengths of time, and refuses everything else with what to write instead.
func FuzzSince(f *testing.F) {
	for _, s := range []string{"", "30d", "2026-03-01", "2026-03-01T02:00:00Z", "yesterday", "-1d", "99999999d"} {
		f.Add(s)
	}
	now := time.Date(2026, 3, 31, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		got, err := since(s, now)
		if err == nil && s == "30d" && !got.Equal(now.AddDate(0, 0, -30)) {
			t.Errorf("got %v", got)
		}
		if err != nil && !strings.Contains(err.Error(), "2026-03-01") {
			t.Errorf("%v says not what to write", err)
		}
	})
}

// FuzzHoldName finds no hold by any name in no sync, and never panics.
func FuzzHoldName(f *testing.F) {
	for _, s := range []string{"", "1", "3-1a2b3c4d", "3-1A2B3C4D", "0-00000000", "99999999999999999999-1a2b3c4d", "-", "3-xyz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := findHold(context.Background(), nil, s, true); err == nil {
			t.Errorf("%q was found", s)
		}
	})
}

// TestNewFileReplacesNothing makes files that are there in full or not at all, and never in another one's place.
func TestNewFileReplacesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "copy.db")
	writeText := func(text string) func(io.Writer) error {
		return func(w io.Writer) error { _, err := io.WriteString(w, text); return err }
	}
	n, err := newFile(path, writeText("first"))
	if err != nil || n != 5 {
		t.Fatalf("got %d, %v", n, err)
	}
	if _, err := newFile(path, writeText("second")); err == nil {
		t.Error("replaced a file")
	}
	if _, err := newFile(path+"2", func(io.Writer) error { return io.ErrUnexpectedEOF }); err == nil {
		t.Error("a failure was no failure")
	}
	text, err := os.ReadFile(path)
	if err != nil || string(text) != "first" {
		t.Errorf("got %q, %v", text, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestBytesWords says sizes as people do.
func TestBytesWords(t *testing.T) {
	for n, want := range map[int64]string{0: "0 bytes", 1: "1 byte", 1024: "1 KB", 1025: "2 KB", 3 << 20: "3.0 MB", 5 << 30: "5.0 GB"} {
		if got := bytesWords(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}
