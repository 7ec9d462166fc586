package schedule_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/robfig/cron/v3"
	"pgregory.net/rapid"

	"dirsync/sync/schedule"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func parse(t testing.TB, text string, fallback *time.Location) schedule.Schedule {
	t.Helper()
	s, err := schedule.Parse(text, fallback)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return s
}

// instants lists slots, in the form that shows the offset.
func instants(s schedule.Schedule, after time.Time, n int) string {
	var out []string
	for range n {
		after = s.Next(after)
		out = append(out, after.Format("Mon 2006-01-02T15:04:05Z07:00"))
	}
	return strings.Join(out, "\n")
}

func TestForms(t *testing.T) {
	for _, tc := range []struct{ text, canonical, next string }{
		{"weekly on sunday at 02:00", "", "Sun 2026-03-08T02:00:00Z"},
		{" Weekly  ON Sundays, wed and wednesday at 2:00 europe/berlin ", "!", ""},
		{"weekly on sun and wed at 2:00 Europe/Berlin", "weekly on wednesday and sunday at 02:00 Europe/Berlin", "Wed 2026-03-04T02:00:00+01:00\nSun 2026-03-08T02:00:00+01:00"},
		{"weekly on fri, mon, and tue at 02:00", "weekly on monday, tuesday and friday at 02:00", "Tue 2026-03-03T02:00:00Z"},
		{"weekdays at 07:00 Asia/Kolkata", "", "Tue 2026-03-03T07:00:00+05:30\nWed 2026-03-04T07:00:00+05:30"},
		{"daily at 06:30", "", "Tue 2026-03-03T06:30:00Z"},
		{"DAILY AT 18:30,6:30 and 06:30", "daily at 06:30 and 18:30", "Mon 2026-03-02T18:30:00Z\nTue 2026-03-03T06:30:00Z"},
		{"hourly", "", "Mon 2026-03-02T13:00:00Z"},
		{"hourly at :00", "hourly", "Mon 2026-03-02T13:00:00Z"},
		{"hourly at :15 Asia/Kolkata", "", "Mon 2026-03-02T18:15:00+05:30"},
		{"every 6 hours", "", "Mon 2026-03-02T18:00:00Z\nTue 2026-03-03T00:00:00Z"},
		{"every 15 minutes", "", "Mon 2026-03-02T12:15:00Z"},
		{"every minute", "", "Mon 2026-03-02T12:01:00Z"},
		{"every 1 hours", "every hour", "Mon 2026-03-02T13:00:00Z"},
		{"every 90m", "every 90 minutes", "Mon 2026-03-02T13:30:00Z"},
		{"every 2 days", "every 48 hours", "Wed 2026-03-04T00:00:00Z\nFri 2026-03-06T00:00:00Z"},
		{"monthly on the 1st at 03:00", "", "Wed 2026-04-01T03:00:00Z"},
		{"monthly on 15 and the first at 03:00 UTC", "monthly on the 1st and 15th at 03:00 UTC", "Sun 2026-03-15T03:00:00Z\nWed 2026-04-01T03:00:00Z"},
		{"monthly on the 31st at 03:00", "", "Tue 2026-03-31T03:00:00Z\nThu 2026-04-30T03:00:00Z\nSun 2026-05-31T03:00:00Z"},
		{"monthly on the 29th and 30th at 03:00", "", "Sun 2026-03-29T03:00:00Z\nMon 2026-03-30T03:00:00Z"},
		{"monthly on the 15th and last day at 03:00", "", "Sun 2026-03-15T03:00:00Z\nTue 2026-03-31T03:00:00Z"},
		{"monthly on the last friday at 22:00", "", "Fri 2026-03-27T22:00:00Z\nFri 2026-04-24T22:00:00Z"},
		{"monthly on the 2nd tue at 22:00", "monthly on the second tuesday at 22:00", "Tue 2026-03-10T22:00:00Z\nTue 2026-04-14T22:00:00Z"},
		{"monthly on the first monday at 13:00", "", "Mon 2026-03-02T13:00:00Z\nMon 2026-04-06T13:00:00Z"},
		{"manually", "", "Mon 0001-01-01T00:00:00Z"},
		{"0 2 * * 0 Europe/Berlin", "", "Sun 2026-03-08T02:00:00+01:00"},
		{"CRON_TZ=Europe/Berlin 0 2 * * 7", "0 2 * * 7 Europe/Berlin", "Sun 2026-03-08T02:00:00+01:00"},
		{"TZ=UTC 0 2 * * SUN", "0 2 * * sun UTC", "Sun 2026-03-08T02:00:00Z"},
		{"0 2 * * 6-7", "", "Sat 2026-03-07T02:00:00Z\nSun 2026-03-08T02:00:00Z\nSat 2026-03-14T02:00:00Z"},
		{"0 2 13 * 7", "", "Sun 2026-03-08T02:00:00Z\nFri 2026-03-13T02:00:00Z"},
		{"0 2 13 * fri", "", "Fri 2026-03-06T02:00:00Z\nFri 2026-03-13T02:00:00Z"},
		{"0 2 1,15 * *", "", "Sun 2026-03-15T02:00:00Z\nWed 2026-04-01T02:00:00Z"},
		{"*/20 8-10/2 ? mar-apr mon-fri", "", "Tue 2026-03-03T08:00:00Z\nTue 2026-03-03T08:20:00Z\nTue 2026-03-03T08:40:00Z\nTue 2026-03-03T10:00:00Z"},
		{"0 0 29 2 *", "", "Tue 2028-02-29T00:00:00Z\nSun 2032-02-29T00:00:00Z"},
		{"0 0 30 2,3 *", "", "Mon 2026-03-30T00:00:00Z\nTue 2027-03-30T00:00:00Z"},
		{"0 0 31 2 mon", "", "Mon 2027-02-01T00:00:00Z"},
		{"@weekly", "weekly on sunday at 00:00", "Sun 2026-03-08T00:00:00Z"},
		{"@Monthly Europe/Berlin", "monthly on the 1st at 00:00 Europe/Berlin", "Wed 2026-04-01T00:00:00+02:00"},
		{"TZ=Europe/Berlin @midnight", "daily at 00:00 Europe/Berlin", "Tue 2026-03-03T00:00:00+01:00"},
		{"TZ=Europe/Berlin daily at 06:30", "daily at 06:30 Europe/Berlin", "Tue 2026-03-03T06:30:00+01:00"},
		{"@hourly", "hourly", "Mon 2026-03-02T13:00:00Z"},
		{"@yearly", "0 0 1 1 *", "Fri 2027-01-01T00:00:00Z"},
		{"@every 1h30m", "every 90 minutes", "Mon 2026-03-02T13:30:00Z"},
	} {
		s, err := schedule.Parse(tc.text, nil)
		if tc.canonical == "!" {
			if err == nil {
				t.Errorf("%q was accepted", tc.text)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", tc.text, err)
			continue
		}
		if tc.canonical == "" {
			tc.canonical = tc.text
		}
		if got := s.String(); got != tc.canonical {
			t.Errorf("%q: got %q, want %q", tc.text, got, tc.canonical)
		}
		if again := parse(t, s.String(), nil); again.String() != s.String() {
			t.Errorf("%q: got %q again, want %q", tc.text, again.String(), s.String())
		}
		now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC) // a Monday
		if got := instants(s, now, strings.Count(tc.next, "\n")+1); got != tc.next {
			t.Errorf("%q: got\n%s, want\n%s", tc.text, got, tc.next)
		}
	}
}

func TestFallbackZone(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	s := parse(t, "daily at 06:30", berlin)
	if got, want := s.String()+" "+s.Zone().String(), "daily at 06:30 Europe/Berlin"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := instants(s, time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC), 1), "Wed 2026-07-01T06:30:00+02:00"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if s = parse(t, "daily at 06:30 UTC", berlin); s.Zone() != time.UTC {
		t.Errorf("got %s, want UTC", s.Zone())
	}
}

// TestChanges shows slots around changes of the clocks.
func TestChanges(t *testing.T) {
	for _, tc := range []struct{ name, text, after, want string }{
		{"left out in spring", "weekly on sunday at 02:00 Europe/Berlin", "2026-03-22T12:00:00Z",
			"Sun 2026-03-29T03:00:00+02:00\nSun 2026-04-05T02:00:00+02:00"},
		{"left out in spring, within the hour", "daily at 02:30 Europe/Berlin", "2026-03-28T12:00:00Z",
			"Sun 2026-03-29T03:00:00+02:00\nMon 2026-03-30T02:30:00+02:00"},
		{"several in the gap are one", "*/15 2 * * * Europe/Berlin", "2026-03-28T12:00:00Z",
			"Sun 2026-03-29T03:00:00+02:00\nMon 2026-03-30T02:00:00+02:00"},
		{"twice in autumn", "daily at 02:30 Europe/Berlin", "2026-10-24T12:00:00Z",
			"Sun 2026-10-25T02:30:00+02:00\nMon 2026-10-26T02:30:00+01:00"},
		{"asked between the two", "daily at 02:30 Europe/Berlin", "2026-10-25T01:15:00Z",
			"Mon 2026-10-26T02:30:00+01:00"},
		{"hours as they pass, in spring", "hourly Europe/Berlin", "2026-03-28T23:30:00Z",
			"Sun 2026-03-29T01:00:00+01:00\nSun 2026-03-29T03:00:00+02:00\nSun 2026-03-29T04:00:00+02:00"},
		{"hours as they pass, in autumn", "hourly at :30 Europe/Berlin", "2026-10-25T00:00:00Z",
			"Sun 2026-10-25T02:30:00+02:00\nSun 2026-10-25T02:30:00+01:00\nSun 2026-10-25T03:30:00+01:00"},
		{"cron with any hour is the same", "30 * * * sun Europe/Berlin", "2026-10-25T00:00:00Z",
			"Sun 2026-10-25T02:30:00+02:00\nSun 2026-10-25T02:30:00+01:00\nSun 2026-10-25T03:30:00+01:00"},
		{"half an hour", "daily at 02:15 Australia/Lord_Howe", "2026-10-03T00:00:00Z",
			"Sun 2026-10-04T02:30:00+11:00\nMon 2026-10-05T02:15:00+11:00"},
		{"half an hour twice", "daily at 01:45 Australia/Lord_Howe", "2026-04-04T12:00:00Z",
			"Sun 2026-04-05T01:45:00+11:00\nMon 2026-04-06T01:45:00+10:30"},
		{"midnight is left out", "daily at 00:00 America/Santiago", "2026-09-05T12:00:00Z",
			"Sun 2026-09-06T01:00:00-03:00\nMon 2026-09-07T00:00:00-03:00"},
		{"a day is left out", "daily at 02:30 Pacific/Apia", "2011-12-29T00:00:00Z",
			"Thu 2011-12-29T02:30:00-10:00\nSat 2011-12-31T02:30:00+14:00"},
		{"a day is left out of a weekly schedule", "weekly on friday at 02:30 Pacific/Apia", "2011-12-25T00:00:00Z",
			"Sat 2011-12-31T00:00:00+14:00\nFri 2012-01-06T02:30:00+14:00"},
		{"two hours", "daily at 02:30 Antarctica/Troll", "2026-03-28T12:00:00Z",
			"Sun 2026-03-29T03:00:00+02:00\nMon 2026-03-30T02:30:00+02:00"},
		{"the end of the day is left out", "daily at 23:59 America/Nuuk", "2026-03-28T12:00:00Z",
			"Sun 2026-03-29T00:00:00-01:00\nSun 2026-03-29T23:59:00-01:00"},
		{"before anybody kept zones", "daily at 12:00 Europe/Berlin", "0001-01-01T00:00:00Z",
			"Mon 0001-01-01T12:00:00+00:53"},
	} {
		after, err := time.Parse(time.RFC3339, tc.after)
		if err != nil {
			t.Fatal(err)
		}
		if got := instants(parse(t, tc.text, nil), after, strings.Count(tc.want, "\n")+1); got != tc.want {
			t.Errorf("%s: %s: got\n%s, want\n%s", tc.name, tc.text, got, tc.want)
		}
	}
}

// TestOddZones runs a daily schedule through every change of the clocks of fifteen years, once on each day that there was.
func TestOddZones(t *testing.T) {
	for _, tc := range []struct {
		zone     string
		from, to int
	}{
		{"Australia/Lord_Howe", 2020, 2035}, {"Antarctica/Troll", 2020, 2035}, {"Africa/Cairo", 2020, 2035}, {"America/Santiago", 2020, 2035},
		{"Africa/Casablanca", 2020, 2035}, {"Africa/El_Aaiun", 2020, 2035}, {"America/Nuuk", 2020, 2035}, {"Asia/Gaza", 2020, 2035},
		{"America/Havana", 2020, 2035}, {"Asia/Beirut", 2020, 2035}, {"Pacific/Apia", 2009, 2024}, {"Pacific/Kwajalein", 1990, 1996},
		{"America/Caracas", 2005, 2018}, {"Asia/Pyongyang", 2014, 2020}, {"Atlantic/Azores", 2020, 2035}, {"Pacific/Kiritimati", 1992, 1997},
	} {
		z := zone(t, tc.zone)
		for _, text := range []string{"daily at 02:30", "daily at 00:00", "daily at 23:59"} {
			s := parse(t, text, z)
			want := map[string]int{}
			start, end := time.Date(tc.from, 1, 1, 12, 0, 0, 0, z), time.Date(tc.to, 12, 31, 12, 0, 0, 0, z)
			// Going by six hours meets every day that there was.
			for at := start; at.Before(end); at = at.Add(6 * time.Hour) {
				want[at.Format(time.DateOnly)] = 1
			}
			got := map[string]int{}
			for at := s.Next(start.Add(-12 * time.Hour).Add(-1)); at.Before(end); at = s.Next(at) {
				day := at
				if text == "daily at 23:59" && at.Hour() == 0 {
					day = at.Add(-time.Minute) // the clock went over 23:59 and midnight at once
				}
				got[day.Format(time.DateOnly)]++
			}
			first, last := start.Format(time.DateOnly), end.Format(time.DateOnly)
			for day := range want {
				if got[day] != 1 && day != first && day != last {
					t.Errorf("%s %s: %s has %d runs", text, tc.zone, day, got[day])
				}
			}
			for day, n := range got {
				if want[day] != 1 && day != first && day != last {
					t.Errorf("%s %s: %s has %d runs, and there was no such day", text, tc.zone, day, n)
				}
			}
		}
	}
}

// TestNext holds against minute by minute counting what Next says, in zones and around instants of all kinds.
func TestNext(t *testing.T) {
	zones := strings.Fields("UTC Europe/Berlin America/New_York Australia/Lord_Howe Antarctica/Troll America/Santiago Pacific/Apia Africa/Casablanca Asia/Kolkata")
	rapid.Check(t, func(t *rapid.T) {
		z, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		text := rapid.SampledFrom([]string{"daily at 02:30 and 01:45", "weekly on sunday at 02:00", "*/7 2,3 * * *", "hourly at :15", "*/30 * * * 0",
			"monthly on the last sunday at 02:10", "every 45 minutes", "weekly on friday at 12:00"}).Draw(t, "text")
		s, err := schedule.Parse(text, z)
		if err != nil {
			t.Fatal(err)
		}
		after := time.Date(rapid.SampledFrom([]int{2011, 2024, 2026}).Draw(t, "year"), time.Month(rapid.IntRange(1, 13).Draw(t, "month")), 1, 0, 0, 0, 0, z).
			AddDate(0, 0, rapid.IntRange(0, 31).Draw(t, "day")).Add(time.Duration(rapid.IntRange(0, 86400).Draw(t, "second")) * time.Second)
		first := s.Next(after)
		if !first.After(after) {
			t.Fatalf("%s is not after %s", first, after)
		}
		// Everything between lies before the same slot, and everything after it before a later one.
		for range 5 {
			between := after.Add(time.Duration(rapid.Int64Range(0, int64(first.Sub(after))-1).Draw(t, "between")))
			if got := s.Next(between); !got.Equal(first) {
				t.Fatalf("Next(%s) = %s, but Next(%s) = %s", between, got, after, first)
			}
		}
		if got := s.Next(first); !got.After(first) {
			t.Fatalf("Next(%s) = %s", first, got)
		}
	})
}

func TestNextEnds(t *testing.T) {
	for _, text := range []string{"daily at 02:00", "hourly", "every hour", "manually"} {
		if got := parse(t, text, nil).Next(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)); !got.IsZero() {
			t.Errorf("%s: got %s, want the zero time", text, got)
		}
		parse(t, text, nil).Next(time.Date(-200000, 1, 1, 0, 0, 0, 0, time.UTC))
	}
	var manually schedule.Schedule
	if got := manually.Next(time.Now()); !got.IsZero() || !manually.Manual() || manually.String() != "manually" || manually.Zone() != time.UTC {
		t.Errorf("the zero schedule: %s, next %s", manually, got)
	}
	if got, want := parse(t, "every 6 hours", nil).Next(time.Unix(-1, 0)).Unix(), int64(0); got != want {
		t.Errorf("got %d, want %d", got, want)
	}
}

// TestCronAgrees compares our Next with that of the library whose parser reads the expression, in UTC, where it has no
// faults of its own.
func TestCronAgrees(t *testing.T) {
	names := [][]string{nil, nil, nil, {"jan", "Jun", "dec"}, {"sun", "Wed", "sat"}}
	item := func(i, low, high int) *rapid.Generator[string] {
		return rapid.Custom(func(t *rapid.T) string {
			n := rapid.IntRange(low, high)
			from, to, step := n.Draw(t, "from"), n.Draw(t, "to"), rapid.IntRange(1, 5).Draw(t, "step")
			forms := []string{"*", "*", fmt.Sprint(from), fmt.Sprintf("%d-%d", min(from, to), max(from, to)), fmt.Sprintf("*/%d", step),
				fmt.Sprintf("%d-%d/%d", min(from, to), max(from, to), step), fmt.Sprintf("%d/%d", from, step), fmt.Sprintf("%d-%d", from, to)}
			return rapid.SampledFrom(append(forms, names[i]...)).Draw(t, "item")
		})
	}
	compared := 0
	rapid.Check(t, func(t *rapid.T) {
		var fields []string
		for i, limits := range [][2]int{{0, 59}, {0, 23}, {1, 31}, {1, 12}, {0, 6}} {
			items := rapid.SliceOfN(item(i, limits[0], limits[1]), 1, 3).Draw(t, "field")
			fields = append(fields, strings.Join(items, ","))
		}
		text := strings.Join(fields, " ")
		theirs, err := cron.ParseStandard(text)
		ours, oursErr := schedule.Parse(text, nil)
		at := time.Date(2026, 1, 31, 23, 0, 0, 0, time.UTC)
		if oursErr != nil {
			// We refuse more: dates that never come, and steps that are beyond the field.
			if err == nil && !theirs.Next(at).IsZero() && !strings.Contains(oursErr.Error(), "step") {
				t.Fatalf("%s: %v", text, oursErr)
			}
			return
		}
		if err != nil {
			t.Fatalf("%s is accepted, although %v", text, err)
		}
		compared++
		for range 20 {
			next := theirs.Next(at)
			if got := ours.Next(at); !got.Equal(next) {
				if next.IsZero() {
					return // they give up after five years
				}
				t.Fatalf("%s after %s: got %s, want %s", text, at, got, next)
			}
			at = next
		}
	})
	if compared < 30 {
		t.Errorf("only %d expressions were compared", compared)
	}
}

// TestWeekdays counts the days itself that a field means, because robfig/cron reads the field for us and does not know 7.
func TestWeekdays(t *testing.T) {
	for low := range 8 {
		for high := low; high < 8; high++ {
			for step := 1; step < 8; step++ {
				text := fmt.Sprintf("0 12 * * %d-%d/%d", low, high, step)
				if step == 1 {
					text = fmt.Sprintf("0 12 * * %d-%d", low, high)
				}
				want := map[time.Weekday]bool{}
				for day := low; day <= high; day += step {
					want[time.Weekday(day%7)] = true
				}
				s, at := parse(t, text, nil), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
				for end := at.AddDate(0, 0, 14); at.Before(end); at = at.AddDate(0, 0, 1) {
					runs := s.Next(at).Before(at.AddDate(0, 0, 1))
					if runs != want[at.Weekday()] {
						t.Errorf("%s: on %s got %t, want %t", text, at.Weekday(), runs, want[at.Weekday()])
					}
				}
			}
		}
	}
}

func TestEvery(t *testing.T) {
	for _, tc := range []struct {
		d    time.Duration
		want string
	}{
		{24 * time.Hour, "every 24 hours"}, {time.Minute, "every minute"}, {time.Hour, "every hour"},
		{0, "0s is too short; the shortest is every minute"}, {-time.Hour, "-1h0m0s is too short; the shortest is every minute"},
		{90 * time.Second, "1m30s is not a whole number of minutes"}, {1 << 62, "1281023 hours are too long; the longest are 8784 hours"},
	} {
		s, err := schedule.Every(tc.d)
		got := s.String()
		if err != nil {
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.d, got, tc.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"weekly on sunday and mon at 02:00 Europe/Berlin", "monthly on the last friday at 22:00", "monthly on the 1st, 2nd and last day at 3:00",
		"*/5 2 1-5,7 jan-mar sun UTC", "TZ=UTC", "TZ=0", "CRON_TZ=Europe/Berlin @weekly", "@every 90m", "every 6 hours", "hourly at :15", "0 0 30 2 *", "0 2 * * 5-7/2", "0 2 7 * 0-7,7", "*-5 * * * *", "TZ=UTC TZ=UTC", "@every 0s", ",", "daily at ,", "TZ=../../etc/passwd daily at 02:00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := schedule.Parse(text, nil)
		if err != nil {
			if e, ok := err.(*schedule.ParseError); !ok || e.Column < 1 || e.Column > len(text)+1 || e.Message == "" {
				t.Errorf("%q: %#v", text, err)
			}
			return
		}
		again, err := schedule.Parse(s.String(), nil)
		if err != nil || again.String() != s.String() {
			t.Fatalf("%q: %q comes back as %q, %v", text, s, again, err)
		}
		at := time.Date(2026, 3, 28, 22, 0, 0, 0, time.UTC)
		for range 3 {
			next := s.Next(at)
			if other := again.Next(at); !other.Equal(next) {
				t.Fatalf("%q: %s and %s after %s", text, next, other, at)
			}
			if next.IsZero() != s.Manual() || !s.Manual() && !next.After(at) {
				t.Fatalf("%q: %s after %s", text, next, at)
			}
			at = at.Add(7 * time.Hour)
		}
	})
}

func FuzzParseWindow(f *testing.F) {
	for _, text := range []string{"mon-fri 08:00-18:00 Europe/Berlin", "sat, sun", "fri 22:00-06:00", "2026-12-24..2026-12-27 UTC", "0000-12-31", "9999-12-31"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w, err := schedule.ParseWindow(text, nil)
		if err != nil {
			if e, ok := err.(*schedule.ParseError); !ok || e.Column < 1 || e.Column > len(text)+1 || e.Message == "" {
				t.Errorf("%q: %#v", text, err)
			}
			return
		}
		again, err := schedule.ParseWindow(w.String(), nil)
		if err != nil || again.String() != w.String() {
			t.Fatalf("%q: %q comes back as %q, %v", text, w, again, err)
		}
		c := schedule.Clock{Schedule: parse(t, "every hour", nil)}
		at := time.Date(2026, 3, 28, 22, 0, 0, 0, time.UTC)
		c.Policy.Blackouts = []schedule.Window{w}
		_, first := c.Started(schedule.State{}, at)
		c.Policy.Blackouts = []schedule.Window{again}
		if _, second := c.Started(schedule.State{}, at); !second.Wake.Equal(first.Wake) {
			t.Fatalf("%q: %s and %s", text, first.Wake, second.Wake)
		}
	})
}
