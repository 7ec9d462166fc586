package schedule_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dirsync/sync/schedule"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestMessages shows what people are told, each fault with a mark under its column.
func TestMessages(t *testing.T) {
	var b strings.Builder
	show := func(text string, err error) {
		b.WriteString(text + "\n")
		e, ok := err.(*schedule.ParseError)
		if !ok {
			t.Errorf("%q: got %v, want a ParseError", text, err)
			return
		}
		b.WriteString(strings.Repeat(" ", e.Column-1) + "^ " + e.Error() + "\n\n")
	}
	for _, text := range []string{
		"", "   ", "sundays", "weekley on sunday at 02:00", "never", "weekly", "weekly sunday at 02:00", "weekly on", "weekly on sundy at 02:00",
		"weekly on sunday", "weekly on sunday monday at 02:00", "weekly on sunday and at 02:00", "weekly on xyz at 02:00", "weekly on sunday at",
		"weekly on sunday at 2am", "weekly on sunday at 25:00", "weekly on sunday at 02:60", "weekly on sunday at 24:00", "weekly on sunday at 2",
		"daily", "daily at 02:00 14:00", "daily at 02:00, Europe/Berlin", "daily at 02:00 Europe/Berlim", "daily at 02:00 europe/berlin",
		"daily at 02:00 CEST", "daily at 02:00 W. Europe Standard Time", "daily at 02:00 Local", "daily at 02:00 ../../etc/passwd", "daily at 02:00 Europe",
		"weekdays", "hourly at 15", "hourly at :60", "hourly at", "hourly :15",
		"monthly on the 32nd at 03:00", "monthly on the 0th at 03:00", "monthly on the frist at 03:00", "monthly on the fifth friday at 03:00",
		"monthly on the last friday and 1st at 03:00", "monthly on the 1st and last friday at 03:00", "monthly on the last at 03:00",
		"monthly on the last fryday at 03:00", "monthly at 03:00", "monthly on the",
		"every", "every 30 seconds", "every 0 minutes", "every 400 days", "every 6 ours", "every 6", "every sunday", "every day at 02:00", "every week", "every six hours",
		"every 6 hours Europe/Berlin", "TZ=UTC every 6 hours", "manually Europe/Berlin", "manually at 02:00",
		"0 2 * *", "0 0 2 * * sun", "0 0 2 * * 0", "61 2 * * 0", "0 24 * * 0", "0 2 0 * *", "0 2 * 13 *", "0 2 * * 8", "0 2 * * sunn", "0 2 * jun-jul-aug *",
		"0 2 * * fri-mon", "0 2 * * 7-3", "0 2 * * 7/2", "0,+5 * * * *", "*/0 * * * *", "*/90 * * * *", "*/x * * * *", "*-5 * * * *", "1,,2 * * * *", ", * * * *", "0 2 L * *", "0 2 * * 5#1", "0 2 30 2 *", "0 2 31 4,6,9,11 *",
		"? * * * *", "0 2 * * 0 Europe/Berlim", "0 2 * * 0 UTC UTC", "TZ=UTC", "TZ=0", "TZ= 0 2 * * 0", "CRON_TZ=Nowhere 0 2 * * 0", "TZ=UTC 0 2 * * 0 UTC", "TZ=UTC TZ=UTC 0 2 * * 0", "TZ=UTC @weekly UTC",
		"@reboot", "@weekley", "@every", "@every 30s", "@every 0s", "@every -1h", "@every 1h30s", "@every soon", "@every 6h UTC", "täglich um 02:00",
		"daily at 02:00 \x00\x1b[31m",
	} {
		_, err := schedule.Parse(text, nil)
		show(strings.ReplaceAll(text, "\x00\x1b", "␀␛"), err)
	}
	b.WriteString("Blackouts\n\n")
	for _, text := range []string{"", "mon-fry 08:00-18:00", "mon- 08:00-18:00", "mon-fri 08:00", "mon-fri 08:00-25:00", "mon-fri 08:00-08:00", "08:00-18:00 mon-fri",
		"mon-fri 24:00-08:00", "mon, tue, 08:00-09:00", "2026-12-24..2026-12-23", "2026-02-30", "2026-12-24..", "2026-12-24...2026-12-26", "24.12.2026", "2026-12-24 08:00-09:00", "mon-fri 08:00-18:00 Mars"} {
		_, err := schedule.ParseWindow(text, nil)
		show(text, err)
	}
	golden(t, "messages.txt", b.String())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what was agreed; run go test -update if it is meant. Got:\n%s", file, got)
	}
}

func TestHostileText(t *testing.T) {
	for _, text := range []string{strings.Repeat("daily ", 200), "daily at \xff", strings.Repeat("x", 400)} {
		_, err := schedule.Parse(text, nil)
		if err == nil || len(err.Error()) > 300 {
			t.Errorf("%.20q…: got %v", text, err)
		}
		if _, err = schedule.ParseWindow(text, nil); err == nil || len(err.Error()) > 300 {
			t.Errorf("%.20q…: got %v", text, err)
		}
	}
}
