package schedule_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dirsync/sync/schedule"
)

func window(t testing.TB, texts ...string) []schedule.Window {
	t.Helper()
	var out []schedule.Window
	for _, text := range texts {
		w, err := schedule.ParseWindow(text, nil)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := schedule.ParseWindow(w.String(), nil); err != nil || again.String() != w.String() {
			t.Errorf("%q: %q comes back as %q, %v", text, w, again, err)
		}
		out = append(out, w)
	}
	return out
}

// TestClock tells small stories: each line is an event at a time, and what came of it.
func TestClock(t *testing.T) {
	weekly, daily, hourly := "weekly on sunday at 02:00", "daily at 02:00", "hourly"
	for _, tc := range []struct {
		name, schedule string
		policy         schedule.Policy
		story          string
	}{
		{"an ordinary week", weekly, schedule.Policy{}, `
			2026-03-02 12:00 started -> wait 2026-03-08 02:00
			2026-03-08 01:59 tick -> wait 2026-03-08 02:00
			2026-03-08 02:00 tick -> run slot 2026-03-08 02:00
			2026-03-08 02:00 began -> wait 2026-03-15 02:00
			2026-03-08 02:40 ended -> wait 2026-03-15 02:00`},
		{"weeks missed while down are one run", weekly, schedule.Policy{}, `
			2026-03-02 12:00 started -> wait 2026-03-08 02:00
			2026-03-24 12:00 started -> run slot 2026-03-22 02:00
			2026-03-24 12:00 began -> wait 2026-03-29 02:00
			2026-03-24 12:10 ended -> wait 2026-03-29 02:00`},
		{"or none", weekly, schedule.Policy{Missed: schedule.NextSlot}, `
			2026-03-02 12:00 started -> wait 2026-03-08 02:00
			2026-03-24 12:00 started -> wait 2026-03-29 02:00
			2026-03-29 02:04 started -> run slot 2026-03-29 02:00`},
		{"asked for during a run, twice, is one more run", daily, schedule.Policy{}, `
			2026-03-02 12:00 started -> wait 2026-03-03 02:00
			2026-03-02 12:01 now -> run asked
			2026-03-02 12:01 began -> wait 2026-03-03 02:00
			2026-03-02 12:02 now -> wait 2026-03-03 02:00
			2026-03-02 12:03 now -> wait 2026-03-03 02:00
			2026-03-02 12:04 ended -> run asked
			2026-03-02 12:04 began -> wait 2026-03-03 02:00
			2026-03-02 12:05 ended -> wait 2026-03-03 02:00`},
		{"due during a run, several times, is one run afterwards, missed or not", hourly, schedule.Policy{Missed: schedule.NextSlot}, `
			2026-03-02 12:30 started -> wait 2026-03-02 13:00
			2026-03-02 12:31 now -> run asked
			2026-03-02 12:31 began -> wait 2026-03-02 13:00
			2026-03-02 13:00 tick -> wait 2026-03-02 14:00
			2026-03-02 14:00 tick -> wait 2026-03-02 15:00
			2026-03-02 14:20 ended -> run slot 2026-03-02 14:00
			2026-03-02 14:20 began -> wait 2026-03-02 15:00
			2026-03-02 14:30 ended -> wait 2026-03-02 15:00`},
		{"a run that was cut off begins again, and a wish survives", weekly, schedule.Policy{Missed: schedule.NextSlot}, `
			2026-03-08 01:00 started -> wait 2026-03-08 02:00
			2026-03-08 02:00 tick -> run slot 2026-03-08 02:00
			2026-03-08 02:00 began -> wait 2026-03-15 02:00
			2026-03-08 02:10 now -> wait 2026-03-15 02:00
			2026-03-09 09:00 started -> run slot 2026-03-08 02:00 asked
			2026-03-09 09:00 began -> wait 2026-03-15 02:00
			2026-03-09 09:20 ended -> wait 2026-03-15 02:00`},
		{"blackouts put off to their end, once", hourly, schedule.Policy{Blackouts: window(t, "mon-fri 08:00-18:00")}, `
			2026-03-02 07:30 started -> wait 2026-03-02 18:00
			2026-03-02 09:30 tick -> wait 2026-03-02 18:00
			2026-03-02 18:00 tick -> run slot 2026-03-02 18:00
			2026-03-02 18:00 began -> wait 2026-03-02 19:00
			2026-03-02 18:10 ended -> wait 2026-03-02 19:00`},
		{"a person's wish does not wait for their end, and the slots that do still run", hourly, schedule.Policy{Blackouts: window(t, "mon-fri 08:00-18:00", "2026-03-02")}, `
			2026-03-02 07:30 started -> wait 2026-03-03 00:00
			2026-03-02 09:30 now -> run asked
			2026-03-02 09:30 began -> wait 2026-03-03 00:00
			2026-03-02 09:40 ended -> wait 2026-03-03 00:00`},
		{"what waits for a run does not begin in a blackout", daily, schedule.Policy{Blackouts: window(t, "08:00-18:00")}, `
			2026-03-02 01:30 started -> wait 2026-03-02 02:00
			2026-03-02 01:40 now -> run asked
			2026-03-02 01:40 began -> wait 2026-03-02 02:00
			2026-03-02 02:00 tick -> wait 2026-03-03 02:00
			2026-03-02 08:30 ended -> wait 2026-03-02 18:00
			2026-03-02 18:00 tick -> run slot 2026-03-02 02:00`},
		{"put back, the clock doubles nothing", hourly, schedule.Policy{}, `
			2026-03-02 01:30 started -> wait 2026-03-02 02:00
			2026-03-02 02:00 tick -> run slot 2026-03-02 02:00
			2026-03-02 02:00 began -> wait 2026-03-02 03:00
			2026-03-02 02:01 ended -> wait 2026-03-02 03:00
			2026-03-02 03:00 tick -> run slot 2026-03-02 03:00
			2026-03-02 03:00 began -> wait 2026-03-02 04:00
			2026-03-02 01:10 tick -> wait 2026-03-02 04:00
			2026-03-02 01:20 ended -> wait 2026-03-02 04:00
			2026-03-02 04:00 tick -> run slot 2026-03-02 04:00`},
		{"a clock that was wrong for a while does not keep slots from running", weekly, schedule.Policy{}, `
			2026-03-02 12:00 started -> wait 2026-03-08 02:00
			2099-01-01 00:00 tick -> run slot 2098-12-28 02:00
			2099-01-01 00:00 began -> wait 2099-01-04 02:00
			2099-01-01 00:10 ended -> wait 2099-01-04 02:00
			2026-03-02 12:20 tick -> wait 2026-03-08 02:00
			2026-03-08 02:00 tick -> run slot 2026-03-08 02:00
			2026-03-08 02:00 began -> wait 2026-03-15 02:00`},
		{"what a wrong clock jumped over runs once it is right", weekly, schedule.Policy{}, `
			2026-03-08 01:00 started -> wait 2026-03-08 02:00
			2026-03-08 02:00 tick -> run slot 2026-03-08 02:00
			2026-03-08 02:00 began -> wait 2026-03-15 02:00
			2026-03-08 02:10 ended -> wait 2026-03-15 02:00
			2099-01-01 00:00 tick -> run slot 2098-12-28 02:00
			2099-01-01 00:00 began -> wait 2099-01-04 02:00
			2099-01-01 00:10 ended -> wait 2099-01-04 02:00
			2026-03-08 01:30 tick -> wait 2026-03-15 02:00`},
		{"missed slots are made up for, but not by the one that ran already", hourly, schedule.Policy{}, `
			2026-03-02 12:30 started -> wait 2026-03-02 13:00
			2026-03-02 20:10 tick -> run slot 2026-03-02 20:00
			2026-03-02 20:10 began -> wait 2026-03-02 21:00
			2026-03-02 20:20 ended -> wait 2026-03-02 21:00
			2026-03-02 12:40 tick -> wait 2026-03-02 13:00
			2026-03-02 20:30 started -> run slot 2026-03-02 13:00
			2026-03-02 20:30 began -> wait 2026-03-02 21:00`},
		{"put back while a slot waits, the clock does not double it", daily, schedule.Policy{}, `
			2026-03-02 01:30 now -> run asked
			2026-03-02 01:30 began -> wait 2026-03-02 02:00
			2026-03-02 02:10 tick -> wait 2026-03-03 02:00
			2026-03-02 01:00 tick -> wait 2026-03-03 02:00
			2026-03-02 01:10 ended -> run slot 2026-03-02 02:00
			2026-03-02 01:10 began -> wait 2026-03-03 02:00
			2026-03-02 01:00 tick -> wait 2026-03-03 02:00
			2026-03-02 01:20 ended -> wait 2026-03-03 02:00`},
		{"what ran of another schedule is not taken for what ran of this one", hourly, schedule.Policy{}, `
			2026-03-02 01:30 started -> wait 2026-03-02 02:00
			2026-03-02 02:00 tick -> run slot 2026-03-02 02:00
			2026-03-02 02:00 began -> wait 2026-03-02 03:00
			2026-03-02 02:01 ended -> wait 2026-03-02 03:00
			2026-03-02 03:00 tick -> run slot 2026-03-02 03:00
			2026-03-02 03:00 began -> wait 2026-03-02 04:00
			2026-03-02 03:01 ended -> wait 2026-03-02 04:00
			2026-03-02 03:10 reload hourly at :30 -> wait 2026-03-02 03:30
			2026-03-02 02:10 tick -> wait 2026-03-02 02:30`},
		{"a run that failed is made again after growing pauses, until one does not fail", weekly, schedule.Policy{Retry: schedule.Retries()}, `
			2026-03-08 01:00 started -> wait 2026-03-08 02:00
			2026-03-08 02:00 tick -> run slot 2026-03-08 02:00
			2026-03-08 02:00 began -> wait 2026-03-15 02:00
			2026-03-08 02:10 failed -> wait 2026-03-08 02:15
			2026-03-08 02:15 tick -> run slot 2026-03-08 02:00 again 1
			2026-03-08 02:15 began -> wait 2026-03-15 02:00
			2026-03-08 02:20 failed -> wait 2026-03-08 02:35
			2026-03-08 02:35 tick -> run slot 2026-03-08 02:00 again 2
			2026-03-08 02:35 began -> wait 2026-03-15 02:00
			2026-03-08 02:36 started -> run slot 2026-03-08 02:00 again 2
			2026-03-08 02:36 began -> wait 2026-03-15 02:00
			2026-03-08 02:40 failed -> wait 2026-03-08 03:40
			2026-03-08 03:00 started -> wait 2026-03-08 03:40
			2026-03-08 03:40 tick -> run slot 2026-03-08 02:00 again 3
			2026-03-08 03:40 began -> wait 2026-03-15 02:00
			2026-03-08 03:50 ended -> wait 2026-03-15 02:00
			2026-03-15 02:00 tick -> run slot 2026-03-15 02:00
			2026-03-15 02:00 began -> wait 2026-03-22 02:00
			2026-03-15 02:10 failed -> wait 2026-03-15 02:15`},
		{"or until the next slot", hourly, schedule.Policy{Retry: schedule.Retries()}, `
			2026-03-02 01:30 started -> wait 2026-03-02 02:00
			2026-03-02 02:00 tick -> run slot 2026-03-02 02:00
			2026-03-02 02:00 began -> wait 2026-03-02 03:00
			2026-03-02 02:10 failed -> wait 2026-03-02 02:15
			2026-03-02 02:15 tick -> run slot 2026-03-02 02:00 again 1
			2026-03-02 02:15 began -> wait 2026-03-02 03:00
			2026-03-02 02:50 failed -> wait 2026-03-02 03:00
			2026-03-02 03:00 tick -> run slot 2026-03-02 03:00
			2026-03-02 03:00 began -> wait 2026-03-02 04:00
			2026-03-02 04:10 failed -> run slot 2026-03-02 04:00`},
		{"the machine was off when it was to be made again, and a slot has come meanwhile", hourly, schedule.Policy{Retry: schedule.Retries()}, `
			2026-03-02 01:30 started -> wait 2026-03-02 02:00
			2026-03-02 02:00 tick -> run slot 2026-03-02 02:00
			2026-03-02 02:00 began -> wait 2026-03-02 03:00
			2026-03-02 02:10 failed -> wait 2026-03-02 02:15
			2026-03-02 05:10 started -> run slot 2026-03-02 05:00
			2026-03-02 05:10 began -> wait 2026-03-02 06:00
			2026-03-02 05:20 ended -> wait 2026-03-02 06:00`},
		{"it is not made again in a blackout", daily, schedule.Policy{Retry: schedule.Retries(), Blackouts: window(t, "02:05-18:00")}, `
			2026-03-02 01:30 started -> wait 2026-03-02 02:00
			2026-03-02 02:00 tick -> run slot 2026-03-02 02:00
			2026-03-02 02:00 began -> wait 2026-03-03 02:00
			2026-03-02 02:03 failed -> wait 2026-03-02 18:00
			2026-03-02 12:00 tick -> wait 2026-03-02 18:00
			2026-03-02 18:00 tick -> run slot 2026-03-02 02:00 again 1`},
		{"what somebody asks for does instead of it, if it does not fail", weekly, schedule.Policy{Retry: schedule.Retries()}, `
			2026-03-08 01:00 started -> wait 2026-03-08 02:00
			2026-03-08 02:00 tick -> run slot 2026-03-08 02:00
			2026-03-08 02:00 began -> wait 2026-03-15 02:00
			2026-03-08 02:10 failed -> wait 2026-03-08 02:15
			2026-03-08 02:11 now -> run asked
			2026-03-08 02:11 began -> wait 2026-03-08 02:15
			2026-03-08 02:12 failed -> wait 2026-03-08 02:15
			2026-03-08 02:13 now -> run asked
			2026-03-08 02:13 began -> wait 2026-03-08 02:15
			2026-03-08 02:14 ended -> wait 2026-03-15 02:00`},
		{"nobody's wish is repeated", weekly, schedule.Policy{Retry: schedule.Retries()}, `
			2026-03-02 12:00 now -> run asked
			2026-03-02 12:00 began -> wait 2026-03-08 02:00
			2026-03-02 12:01 failed -> wait 2026-03-08 02:00`},
		{"a clock that was wrong does not put it off", weekly, schedule.Policy{Retry: schedule.Retries()}, `
			2026-03-08 01:00 started -> wait 2026-03-08 02:00
			2026-03-08 02:00 tick -> run slot 2026-03-08 02:00
			2026-03-08 02:00 began -> wait 2026-03-15 02:00
			2026-03-11 02:10 failed -> wait 2026-03-11 02:15
			2026-03-08 02:12 tick -> wait 2026-03-08 02:17
			2026-03-08 02:17 tick -> run slot 2026-03-08 02:00 again 1`},
		{"with no pauses, or another schedule that has no slots, it is not made again", weekly, schedule.Policy{Retry: schedule.Retries()}, `
			2026-03-08 01:00 started -> wait 2026-03-08 02:00
			2026-03-08 02:00 tick -> run slot 2026-03-08 02:00
			2026-03-08 02:00 began -> wait 2026-03-15 02:00
			2026-03-08 02:10 failed -> wait 2026-03-08 02:15
			2026-03-08 02:11 reload manually -> wait
			2026-03-08 02:30 tick -> wait`},
		{"what was left out is made up for, outside of blackouts", daily, schedule.Policy{Blackouts: window(t, "08:00-18:00")}, `
			2026-03-02 01:30 started -> wait 2026-03-02 02:00
			2026-03-02 02:00 tick -> run slot 2026-03-02 02:00
			2026-03-02 02:00 began -> wait 2026-03-03 02:00
			2026-03-02 02:01 ended -> wait 2026-03-03 02:00
			2026-03-02 12:00 make up -> wait 2026-03-02 18:00
			2026-03-02 12:01 make up -> wait 2026-03-02 18:00
			2026-03-02 18:00 tick -> run slot 2026-03-02 02:00
			2026-03-02 18:00 began -> wait 2026-03-03 02:00
			2026-03-02 18:10 ended -> wait 2026-03-03 02:00
			2026-03-02 19:00 make up -> run slot 2026-03-02 02:00`},
		{"where there are no slots nothing was left out", "manually", schedule.Policy{}, `
			2026-03-02 12:00 make up -> wait`},
		{"manually runs when somebody asks", "manually", schedule.Policy{}, `
			2026-03-02 12:00 started -> wait
			2027-03-02 12:00 tick -> wait
			2027-03-02 12:00 now -> run asked
			2027-03-02 12:00 began -> wait
			2027-03-02 12:10 ended -> wait`},
		{"another schedule begins now", weekly, schedule.Policy{}, `
			2026-03-02 12:00 started -> wait 2026-03-08 02:00
			2026-03-04 12:00 reload daily at 06:00 -> wait 2026-03-05 06:00
			2026-03-04 12:01 reload manually -> wait
			2026-03-06 12:00 reload hourly -> wait 2026-03-06 13:00`},
		{"a slot that is waiting outlives another schedule", weekly, schedule.Policy{Blackouts: window(t, "sun 00:00-12:00")}, `
			2026-03-02 12:00 started -> wait 2026-03-08 12:00
			2026-03-08 03:00 reload weekly on monday at 02:00 -> wait 2026-03-08 12:00
			2026-03-08 12:00 tick -> run slot 2026-03-08 02:00
			2026-03-08 12:00 began -> wait 2026-03-09 02:00
			2026-03-08 12:10 ended -> wait 2026-03-09 02:00`},
		{"what failed in part runs again when it is due", weekly, schedule.Policy{Retry: schedule.Retries()}, `
			2026-03-02 12:00 started -> wait 2026-03-08 02:00
			2026-03-08 02:00 tick -> run slot 2026-03-08 02:00
			2026-03-08 02:00 began -> wait 2026-03-15 02:00
			2026-03-08 02:30 owes 2026-03-08 02:41 -> wait 2026-03-08 02:41
			2026-03-08 02:40 started -> wait 2026-03-08 02:41
			2026-03-08 02:41 tick -> run slot 2026-03-08 02:00 again 1
			2026-03-08 02:41 began -> wait 2026-03-15 02:00
			2026-03-08 02:50 owes 2026-03-09 02:30 -> wait 2026-03-09 02:30
			2026-03-09 02:30 tick -> run slot 2026-03-08 02:00 again 2
			2026-03-09 02:30 began -> wait 2026-03-15 02:00
			2026-03-09 02:35 ended -> wait 2026-03-15 02:00`},
		{"what is due at once does not run at once", weekly, schedule.Policy{Retry: schedule.Retries()}, `
			2026-03-08 01:00 started -> wait 2026-03-08 02:00
			2026-03-08 02:00 tick -> run slot 2026-03-08 02:00
			2026-03-08 02:00 began -> wait 2026-03-15 02:00
			2026-03-08 02:30 owes -> wait 2026-03-08 02:35
			2026-03-08 02:35 tick -> run slot 2026-03-08 02:00 again 1
			2026-03-08 02:35 began -> wait 2026-03-15 02:00
			2026-03-08 02:40 owes 2026-03-08 02:00 -> wait 2026-03-08 02:55`},
		{"what failed in part after the next slot is left to that", daily, schedule.Policy{Retry: schedule.Retries()}, `
			2026-03-02 01:00 started -> wait 2026-03-02 02:00
			2026-03-02 02:00 tick -> run slot 2026-03-02 02:00
			2026-03-02 02:00 began -> wait 2026-03-03 02:00
			2026-03-02 02:30 owes 2026-03-03 02:30 -> wait 2026-03-03 02:00`},
		{"a clock that was ahead does not put off what failed in part", weekly, schedule.Policy{Retry: schedule.Retries()}, `
			2026-03-08 02:00 started -> wait 2026-03-15 02:00
			2026-03-08 03:00 now -> run asked
			2026-03-08 03:00 began -> wait 2026-03-15 02:00
			2026-03-08 03:10 owes 2026-03-14 02:00 -> wait 2026-03-09 03:10`},
		{"what somebody asked for and failed in part runs again", weekly, schedule.Policy{Retry: schedule.Retries()}, `
			2026-03-05 12:00 started -> wait 2026-03-08 02:00
			2026-03-05 12:00 now -> run asked
			2026-03-05 12:00 began -> wait 2026-03-08 02:00
			2026-03-05 12:10 owes 2026-03-05 12:25 -> wait 2026-03-05 12:25
			2026-03-05 12:25 tick -> run slot 2026-03-01 02:00 again 1
			2026-03-05 12:25 began -> wait 2026-03-08 02:00
			2026-03-05 12:30 ended -> wait 2026-03-08 02:00
			2026-03-08 02:00 tick -> run slot 2026-03-08 02:00`},
		{"by hand, nothing runs again by itself", "manually", schedule.Policy{Retry: schedule.Retries()}, `
			2026-03-05 12:00 now -> run asked
			2026-03-05 12:00 began -> wait
			2026-03-05 12:10 owes 2026-03-05 12:25 -> wait`},
		{"two runs never overlap, whoever begins them", daily, schedule.Policy{}, `
			2026-03-02 12:00 now -> run asked
			2026-03-02 12:00 began -> wait 2026-03-03 02:00
			2026-03-02 12:01 began -> wait 2026-03-03 02:00
			2026-03-02 12:02 ended -> wait 2026-03-03 02:00
			2026-03-02 12:03 ended -> wait 2026-03-03 02:00`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := schedule.Clock{Name: "staff", Schedule: parse(t, tc.schedule, nil), Policy: tc.policy}
			var s schedule.State
			for _, line := range strings.Split(strings.TrimSpace(tc.story), "\n") {
				line = strings.TrimSpace(line)
				now, err := time.Parse("2006-01-02 15:04", line[:16])
				if err != nil {
					t.Fatal(err)
				}
				event, want, _ := strings.Cut(line[17:], " -> ")
				var todo schedule.Todo
				switch event {
				case "started":
					s, todo = c.Started(s, now)
				case "tick":
					s, todo = c.Tick(s, now)
				case "now":
					s, todo = c.SyncNow(s, now)
				case "began":
					s, todo = c.RunBegan(s, now)
				case "ended":
					s, todo = c.RunEnded(s, now)
				case "failed":
					s, todo = c.RunFailed(s, now)
				case "make up":
					s, todo = c.MakeUp(s, now)
				case "owes":
					s, todo = c.RunOwes(s, time.Time{}, now)
				default:
					if due, ok := strings.CutPrefix(event, "owes "); ok {
						at, err := time.Parse("2006-01-02 15:04", due)
						if err != nil {
							t.Fatal(err)
						}
						s, todo = c.RunOwes(s, at, now)
						break
					}
					c.Schedule = parse(t, strings.TrimPrefix(event, "reload "), nil)
					s, todo = c.Reloaded(s, now)
				}
				if got := told(todo); got != want {
					t.Fatalf("%s\ngot %s", line, got)
				}
				s = stored(t, s)
			}
		})
	}
}

func told(todo schedule.Todo) string {
	const layout = " 2006-01-02 15:04"
	s := "wait"
	switch {
	case todo.Run:
		s = "run"
		if !todo.Slot.IsZero() {
			s += " slot" + todo.Slot.Format(layout)
		}
		if todo.Asked {
			s += " asked"
		}
		if todo.Failed > 0 {
			s += fmt.Sprint(" again ", todo.Failed)
		}
	case !todo.Wake.IsZero():
		s += todo.Wake.Format(layout)
	}
	return s
}

// stored sends a state through JSON, as a store would.
func stored(t interface{ Fatal(...any) }, s schedule.State) schedule.State {
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var out schedule.State
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestJitter(t *testing.T) {
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	distinct := map[time.Duration]bool{}
	for i := range 50 {
		c := schedule.Clock{Name: fmt.Sprint("sync", i), Schedule: parse(t, "daily at 02:00", nil), Policy: schedule.Policy{Jitter: 10 * time.Minute}}
		_, first := c.Started(schedule.State{}, at)
		_, again := c.Started(schedule.State{}, at.Add(time.Hour))
		late := first.Wake.Sub(time.Date(2026, 3, 3, 2, 0, 0, 0, time.UTC))
		if !again.Wake.Equal(first.Wake) || late < 0 || late > 10*time.Minute {
			t.Errorf("%s: %s late, then %s", c.Name, late, again.Wake)
		}
		distinct[late] = true
		c.Schedule, c.Policy.Jitter = parse(t, "every minute", nil), time.Hour
		if _, todo := c.Started(schedule.State{}, at); todo.Wake.After(at.Add(2*time.Minute - time.Second)) {
			t.Errorf("%s: as late as the next slot: %s", c.Name, todo.Wake)
		}
	}
	if len(distinct) < 40 {
		t.Errorf("only %d of 50 syncs run at times of their own", len(distinct))
	}
}

func TestPolicyCheck(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		policy schedule.Policy
		fault  string
	}{
		{schedule.Policy{}, ""},
		{schedule.Policy{Jitter: -1}, "less than nothing"},
		{schedule.Policy{Blackouts: window(t, "mon-fri 08:00-18:00 Europe/Berlin", "sat,sun", "2026-12-24..2027-01-06")}, ""},
		{schedule.Policy{Blackouts: window(t, "00:00-12:00", "12:00-24:00")}, "no moment free"},
		{schedule.Policy{Blackouts: window(t, "mon-sun")}, "no moment free"},
		{schedule.Policy{Blackouts: window(t, "18:00-08:00", "mon and tue-wed, thu", "fri-sun 07:00-18:30")}, "no moment free"},
		{schedule.Policy{Blackouts: window(t, "2026-01-01..2027-12-31")}, "no moment free"},
	} {
		err := tc.policy.Check(now)
		if err == nil != (tc.fault == "") || err != nil && !strings.Contains(err.Error(), tc.fault) {
			t.Errorf("%v: got %v, want %q", tc.policy, err, tc.fault)
		}
	}
	// Even unchecked, such a policy only keeps things from running.
	c := schedule.Clock{Schedule: parse(t, "hourly", nil), Policy: schedule.Policy{Blackouts: window(t, "mon-sun")}}
	s, _ := c.Started(schedule.State{}, now)
	if s, todo := c.Tick(s, now.Add(3*time.Hour)); todo.Run || !todo.Wake.IsZero() || !s.Next.IsZero() {
		t.Errorf("got %+v", todo)
	}
}

// TestBlackoutEveryDay has a slot inside a blackout that leaves one minute a day, and jitter that does not fit into it.
func TestBlackoutEveryDay(t *testing.T) {
	c := schedule.Clock{Name: "staff", Schedule: parse(t, "daily at 12:00", nil),
		Policy: schedule.Policy{Jitter: 6 * time.Hour, Blackouts: window(t, "00:00-23:59")}}
	s, todo := c.Started(schedule.State{}, time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC))
	runs := 0
	for range 10 {
		at := todo.Wake
		if s, todo = c.Tick(s, at); todo.Run {
			runs++
			s, _ = c.RunBegan(s, at)
			s, todo = c.RunEnded(s, at)
		}
	}
	if runs != 10 {
		t.Errorf("got %d runs in 10 days", runs)
	}
}

func TestBlackouts(t *testing.T) {
	for _, tc := range []struct{ blackout, now, want string }{
		{"mon-fri 08:00-18:00", "2026-03-02T07:58:30Z", "2026-03-02T07:59:00Z"},
		{"mon-fri 08:00-18:00", "2026-03-02T07:59:00Z", "2026-03-02T18:00:00Z"},
		{"mon-fri 08:00-18:00", "2026-03-02T17:59:00Z", "2026-03-02T18:00:00Z"},
		{"mon-fri 08:00-18:00", "2026-03-01T12:00:00Z", "2026-03-01T12:01:00Z"},
		{"fri-mon 08:00-24:00", "2026-03-01T12:00:00Z", "2026-03-02T00:00:00Z"},
		{"fri 22:00-06:00", "2026-03-07T03:00:00Z", "2026-03-07T06:00:00Z"},
		{"fri 22:00-06:00", "2026-03-06T03:00:00Z", "2026-03-06T03:01:00Z"},
		{"sat, sun", "2026-03-07T03:00:00Z", "2026-03-09T00:00:00Z"},
		{"sat and sun", "2026-03-07T03:00:00Z", "2026-03-09T00:00:00Z"},
		{"08:00-18:00 Asia/Kolkata", "2026-03-07T03:00:00Z", "2026-03-07T12:30:00Z"},
		{"2026-12-24..2026-12-27 Pacific/Auckland", "2026-12-23T12:00:00Z", "2026-12-27T11:00:00Z"},
		{"2026-12-24 UTC", "2026-12-24T12:00:00Z", "2026-12-25T00:00:00Z"},
		{"0001-01-01", "2026-12-24T12:00:00Z", "2026-12-24T12:01:00Z"},
		// A beginning that is left out in spring is the first moment after the gap; an end that comes twice is the first.
		{"02:30-04:00 Europe/Berlin", "2026-03-29T00:59:00Z", "2026-03-29T02:00:00Z"},
		{"02:15-02:45 Europe/Berlin", "2026-03-29T00:59:00Z", "2026-03-29T01:00:00Z"},
		{"01:00-02:30 Europe/Berlin", "2026-10-25T00:10:00Z", "2026-10-25T00:30:00Z"},
		{"01:00-02:30 Europe/Berlin", "2026-10-25T01:10:00Z", "2026-10-25T01:11:00Z"},
	} {
		now, err := time.Parse(time.RFC3339, tc.now)
		if err != nil {
			t.Fatal(err)
		}
		c := schedule.Clock{Schedule: parse(t, "every minute", nil), Policy: schedule.Policy{Blackouts: window(t, tc.blackout)}}
		if _, todo := c.Started(schedule.State{}, now); todo.Wake.Format(time.RFC3339) != tc.want {
			t.Errorf("%s at %s: got %s, want %s", tc.blackout, tc.now, todo.Wake.Format(time.RFC3339), tc.want)
		}
	}
	if got, want := fmt.Sprint(window(t, "SUN, Monday-wed and sat 8:00-9:30 utc", "2026-12-24..2026-12-24", "mon-sun")),
		"[mon-wed,sat-sun 08:00-09:30 UTC 2026-12-24 mon-sun]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestStored shows what is stored of a sync in the middle of its third run.
func TestStored(t *testing.T) {
	c := schedule.Clock{Name: "staff", Schedule: parse(t, "daily at 02:00 Europe/Berlin", nil)}
	at := time.Date(2026, 3, 27, 12, 0, 0, 0, zone(t, "Asia/Tokyo"))
	s, todo := c.Started(schedule.State{}, at)
	for range 2 {
		at = todo.Wake
		s, _ = c.RunBegan(s, at)
		s, todo = c.RunEnded(s, at.Add(10*time.Minute))
	}
	s, _ = c.SyncNow(s, at.Add(time.Hour))
	s, _ = c.RunBegan(s, at.Add(time.Hour))
	s, _ = c.SyncNow(s, at.Add(2*time.Hour))
	got, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "state.json", string(got)+"\n")
}

// FuzzState takes up what no Clock has stored: the worst that may come of it is a wrong moment, never a hang or a panic.
func FuzzState(f *testing.F) {
	f.Add([]byte(`{"slot":"9999-12-31T23:59:59Z","due":"0001-01-01T00:00:01Z","seen":"2026-01-01T00:00:00Z"}`), int64(1772000000))
	f.Add([]byte(`{"ran":[{"first":"2026-01-01T00:00:00Z","last":"2000-01-01T00:00:00Z"},{"first":"2000-01-01T00:00:00Z","last":"9000-01-01T00:00:00Z"}]}`), int64(1772000000))
	c := schedule.Clock{Schedule: parse(f, "every 15 minutes", nil), Policy: schedule.Policy{Jitter: time.Hour, Retry: schedule.Retries()}}
	f.Add([]byte(`{"again":{"slot":"2026-01-01T00:00:00Z","failed":-7,"at":"9999-01-01T00:00:00Z"},"slot":"2026-01-01T00:00:00Z"}`), int64(1772000000))
	f.Fuzz(func(t *testing.T, text []byte, unix int64) {
		var s schedule.State
		if json.Unmarshal(text, &s) != nil {
			return
		}
		now := time.Unix(unix%(1<<35), 0)
		s, _ = c.Started(s, now)
		s, _ = c.RunBegan(s, now)
		s, _ = c.RunFailed(s, now.Add(time.Hour))
		s, _ = c.RunBegan(s, now.Add(2*time.Hour))
		s, _ = c.RunOwes(s, time.Unix(unix, 0), now.Add(2*time.Hour))
		s, _ = c.RunBegan(s, now.Add(3*time.Hour))
		s, _ = c.RunEnded(s, now.Add(3*time.Hour))
		s, _ = c.MakeUp(s, now)
		if s, todo := c.SyncNow(s, now.Add(-time.Hour)); !todo.Run || !s.Asked {
			t.Errorf("somebody asked, and nothing runs: %+v", todo)
		}
	})
}

func TestMissedText(t *testing.T) {
	for _, m := range []schedule.Missed{schedule.RunNow, schedule.NextSlot} {
		text, err := m.MarshalText()
		var again schedule.Missed
		if err != nil || again.UnmarshalText(text) != nil || again != m {
			t.Errorf("%s comes back as %s", m, again)
		}
	}
	var m schedule.Missed
	if err := m.UnmarshalText([]byte("later")); err == nil || !strings.Contains(err.Error(), "write run now or next slot") {
		t.Errorf("got %v", err)
	}
}

// world is one sync under a clock that may be set, in a process that may die. It checks after every event what may never
// happen.
type world struct {
	t       *rapid.T
	clock   schedule.Clock
	state   schedule.State
	now     time.Time
	running schedule.Todo
	busy    bool
	// ended counts the runs of each slot that ended; wished says that a run was asked for and has not begun.
	ended  map[string]int
	wished bool
}

func (w *world) event(e func(schedule.Clock, schedule.State, time.Time) (schedule.State, schedule.Todo)) schedule.Todo {
	state, todo := e(w.clock, w.state, w.now)
	w.state = stored(w.t, state)
	if todo.Run && w.busy {
		w.t.Fatalf("%s: a second run is to begin", w.now)
	}
	if todo.Run && !todo.Slot.IsZero() && w.ended[todo.Slot.String()] > 0 {
		w.t.Fatalf("%s: slot %s is to run again", w.now, todo.Slot)
	}
	if todo.Asked && !w.wished {
		w.t.Fatalf("%s: a run that nobody asked for", w.now)
	}
	if w.wished && !w.busy && !todo.Run {
		w.t.Fatalf("%s: somebody asked, and nothing runs", w.now)
	}
	return todo
}

func (w *world) tick() {
	if todo := w.event(schedule.Clock.Tick); todo.Run {
		w.running, w.busy, w.wished = todo, true, false
		w.event(schedule.Clock.RunBegan)
	}
}

func (w *world) end() {
	w.busy = false
	if slot := w.running.Slot; !slot.IsZero() {
		w.ended[slot.String()]++
	}
	w.event(schedule.Clock.RunEnded)
}

// TestWorld lets anything happen in any order: restarts, crashes in the middle of a run, clocks set back and forth, wishes.
func TestWorld(t *testing.T) {
	texts := []string{"weekly on sunday at 02:00 Europe/Berlin", "daily at 02:30 Australia/Lord_Howe", "hourly", "every 6 hours", "monthly on the last friday at 22:00"}
	policies := []schedule.Policy{{}, {Missed: schedule.NextSlot}, {Jitter: 30 * time.Minute},
		{Blackouts: window(t, "mon-fri 08:00-18:00 Europe/Berlin"), Jitter: time.Hour}, {Retry: schedule.Retries()},
		{Missed: schedule.NextSlot, Blackouts: window(t, "mon-fri 08:00-18:00 Europe/Berlin"), Retry: schedule.Retries()}}
	rapid.Check(t, func(t *rapid.T) {
		w := &world{t: t, ended: map[string]int{}, now: time.Date(2026, 3, 20, 0, 0, 0, 0, time.UTC)}
		s, err := schedule.Parse(rapid.SampledFrom(texts).Draw(t, "schedule"), nil)
		if err != nil {
			t.Fatal(err)
		}
		w.clock = schedule.Clock{Name: "staff", Schedule: s, Policy: rapid.SampledFrom(policies).Draw(t, "policy")}
		w.event(schedule.Clock.Started)
		start, jumped, failed := w.now, false, false
		kinds := []string{"wait", "wait", "wait", "wait", "minutes", "restart", "ask", "end", "end", "fail", "owe"}
		if rapid.Bool().Draw(t, "jumps") {
			kinds = append(kinds, "jump")
		}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			switch rapid.SampledFrom(kinds).Draw(t, "what") {
			case "wait":
				w.now = w.now.Add(time.Duration(rapid.IntRange(1, 3*24*60).Draw(t, "minutes")) * time.Minute)
			case "minutes":
				w.now = w.now.Add(time.Duration(rapid.IntRange(1, 30).Draw(t, "minutes")) * time.Minute)
			case "fail":
				if w.busy {
					w.busy, failed = false, true
					w.event(schedule.Clock.RunFailed)
				}
			case "owe":
				if w.busy {
					w.busy, failed = false, true
					due := w.now.Add(time.Duration(rapid.IntRange(-60, 10*24*60).Draw(t, "due")) * time.Minute)
					w.event(func(c schedule.Clock, s schedule.State, now time.Time) (schedule.State, schedule.Todo) {
						return c.RunOwes(s, due, now)
					})
					if again := w.state.Again.Slot; !again.IsZero() {
						delete(w.ended, again.String())
					}
				}
			case "jump":
				jumped = true
				w.now = w.now.Add(time.Duration(rapid.IntRange(-40*24*60, 40*24*60).Draw(t, "jump")) * time.Minute)
			case "restart":
				if w.busy {
					w.busy, w.wished = false, w.wished || w.running.Asked
				}
				w.event(schedule.Clock.Started)
			case "ask":
				w.wished = true
				w.event(schedule.Clock.SyncNow)
			case "end":
				if w.busy {
					w.end()
				}
			}
			w.tick()
		}
		// However it went, once it is over the latest slot has been run, and nothing is left to do.
		for range 3 {
			if w.busy {
				w.end()
			}
			w.tick()
		}
		if w.busy {
			t.Fatal("runs follow each other without end")
		}
		latest := time.Time{}
		for slot := s.Next(start); !slot.After(w.now); slot = s.Next(slot) {
			latest = slot
		}
		if strict := w.clock.Policy.Missed == schedule.RunNow && w.clock.Policy.Jitter == 0; strict && !jumped && !failed && !latest.IsZero() && w.ended[latest.UTC().String()] != 1 {
			t.Fatalf("at %s slot %s was lost", w.now, latest)
		}
		if len(w.state.Ran) > 8 {
			t.Fatalf("%d spans are remembered", len(w.state.Ran))
		}
	})
}
