package schedule_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dirsync/sync/schedule"
)

// TestDocumentation reads every example of docs/schedules.md.
func TestDocumentation(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "schedules.md"))
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	var language string
	var after time.Time
	var s schedule.Schedule
	for i, line := range strings.Split(string(page), "\n") {
		if fence, ok := strings.CutPrefix(line, "```"); ok {
			language, s, after = fence, schedule.Schedule{}, time.Time{}
			continue
		}
		var err error
		switch {
		case language == "":
			continue
		case language == "schedule", language == "runs" && s.Manual():
			s, err = schedule.Parse(line, nil)
			if err == nil && language == "schedule" && s.Manual() != (line == "manually") {
				t.Errorf("line %d: %s runs never", i+1, line)
			}
		case language == "blackout":
			_, err = schedule.ParseWindow(line, nil)
		case language == "runs" && after.IsZero():
			after, err = time.ParseInLocation("after 2006-01-02 15:04", line, s.Zone())
		case language == "runs":
			after = s.Next(after)
			if got := after.Format("Mon 2006-01-02 15:04 MST"); got != line {
				t.Errorf("line %d: got %s, want %s", i+1, got, line)
			}
		default:
			t.Errorf("line %d: nobody tests examples in %s", i+1, language)
		}
		if err != nil {
			t.Errorf("line %d: %s: %v", i+1, line, err)
		}
		read++
	}
	if read < 40 {
		t.Errorf("only %d lines were read", read)
	}
}
