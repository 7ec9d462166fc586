package notify_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dirsync/notify"
)

func start() time.Time { return time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC) }

// step is one call of Decide.
type step struct {
	after time.Duration
	news  []notify.News
	want  string // headlines, "" for nothing
}

func bad(kind notify.Kind, print string) notify.News {
	return notify.News{Kind: kind, Sync: "staff", Fingerprint: print}
}

func heads(news []notify.News) string {
	var all []string
	for _, n := range news {
		h := string(n.Kind)
		if n.Fingerprint != "" {
			h += " " + n.Fingerprint
		}
		if n.Reminder > 0 {
			h += fmt.Sprintf(" (%d)", n.Reminder)
		}
		all = append(all, h)
	}
	return strings.Join(all, ", ")
}

func TestDecide(t *testing.T) {
	const day = 24 * time.Hour
	daily := notify.Policy{Repeat: []time.Duration{day, 3 * day, 7 * day}}
	fails, fine := bad(notify.RunFailed, "a"), bad(notify.Recovered, "")
	for _, test := range []struct {
		name   string
		policy notify.Policy
		steps  []step
	}{
		{"the same trouble is told once, then at growing distances", daily, []step{
			{0, []notify.News{fails}, "run_failed a"},
			{time.Hour, []notify.News{fails}, ""},
			{22 * time.Hour, nil, ""},
			{time.Hour, nil, "run_failed a (1)"},
			{2 * day, []notify.News{fails}, ""},
			{day, []notify.News{fails}, "run_failed a (2)"},
			{6 * day, nil, ""},
			{day, nil, "run_failed a (3)"},
			{7 * day, nil, "run_failed a (4)"},
		}},
		{"its end is told once", daily, []step{
			{0, []notify.News{fine}, ""},
			{0, []notify.News{fails}, "run_failed a"},
			{time.Hour, []notify.News{fine}, "recovered"},
			{time.Hour, []notify.News{fine}, ""},
			{30 * day, nil, ""},
			{0, []notify.News{fails}, "run_failed a"},
		}},
		{"other trouble takes its place, and back", daily, []step{
			{0, []notify.News{fails}, "run_failed a"},
			{time.Hour, []notify.News{bad(notify.PartialSuccess, "b")}, "partial_success b"},
			{time.Hour, []notify.News{fails}, ""},
			{day, nil, "run_failed a (1)"},
			{time.Hour, []notify.News{fine}, "recovered"},
			{30 * day, nil, ""},
		}},
		{"other kinds last beside it", daily, []step{
			{0, []notify.News{fails, bad(notify.ChangesHeld, "h")}, "run_failed a, changes_held h"},
			{day, nil, "changes_held h (1), run_failed a (1)"},
		}},
		{"a good run says nothing of a credential", daily, []step{
			{0, []notify.News{bad(notify.CredentialExpiring, "c")}, "credential_expiring c"},
			{time.Hour, []notify.News{fine}, ""},
			{day, nil, "credential_expiring c (1)"},
			{0, []notify.News{{Kind: notify.Recovered, Sync: "staff", Ends: []notify.Kind{notify.CredentialExpiring}}}, "recovered"},
		}},
		{"another sync's end is not ours", daily, []step{
			{0, []notify.News{fails}, "run_failed a"},
			{0, []notify.News{{Kind: notify.Recovered, Sync: "sales"}}, ""},
		}},
		{"what happens together is told together", notify.Policy{Window: time.Minute}, []step{
			{0, []notify.News{fails}, ""},
			{59 * time.Second, []notify.News{bad(notify.Overdue, "")}, ""},
			{time.Second, nil, "run_failed a, overdue"},
			{time.Hour, []notify.News{fine}, ""},
			{time.Minute, nil, "recovered"},
		}},
		{"a test is always told", daily, []step{
			{0, []notify.News{{Kind: notify.Test}, {Kind: notify.Test}}, "test, test"},
			{time.Second, []notify.News{{Kind: notify.Test}}, "test"},
		}},
		{"the zero policy repeats nothing", notify.Policy{}, []step{
			{0, []notify.News{fails}, "run_failed a"},
			{1000 * day, []notify.News{fails}, ""},
		}},
		{"a clock that was ahead does not keep it quiet", notify.Policy{Repeat: []time.Duration{day}, Window: time.Minute}, []step{
			{10000 * day, []notify.News{fails}, ""},
			{-10000 * day, nil, ""},
			{time.Minute, nil, "run_failed a"},
			{day, nil, ""},
			{time.Minute, nil, "run_failed a (1)"},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			now, state := start(), notify.State{}
			for i, s := range test.steps {
				now = now.Add(s.after)
				var tell []notify.News
				state, tell = test.policy.Decide(state, s.news, now)
				if got := heads(tell); got != s.want {
					t.Fatalf("step %d: got %q, want %q", i, got, s.want)
				}
			}
		})
	}
}

func drawNews(r *rapid.T) notify.News {
	kinds := []notify.Kind{notify.RunFailed, notify.PartialSuccess, notify.ChangesHeld, notify.Overdue, notify.CredentialExpiring,
		notify.ConsentWithdrawn, notify.Recovered, notify.Recovered, notify.Test, "something new"}
	return notify.News{Kind: rapid.SampledFrom(kinds).Draw(r, "kind"), Sync: rapid.SampledFrom([]string{"", "staff", "sales"}).Draw(r, "sync"),
		Fingerprint: rapid.SampledFrom([]string{"", "a", "b"}).Draw(r, "fingerprint"), At: start()}
}

// TestDecideProperties walks through random histories and compares what is told with what may be told.
func TestDecideProperties(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		p := notify.Policy{Window: time.Duration(rapid.IntRange(0, 3).Draw(r, "window")) * time.Minute}
		for range rapid.IntRange(0, 3).Draw(r, "repeats") {
			p.Repeat = append(p.Repeat, time.Duration(rapid.IntRange(10, 100).Draw(r, "repeat"))*time.Minute)
		}
		now, state := start(), notify.State{}
		open := map[notify.Key]int{}       // how often trouble that lasts was told
		told := map[notify.Key]time.Time{} // when it was last decided to be told
		expected, got := 0, 0
		for range rapid.IntRange(1, 40).Draw(r, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 60).Draw(r, "minutes")) * time.Minute)
			news := rapid.SliceOfN(rapid.Custom(drawNews), 0, 3).Draw(r, "news")
			before, _ := json.Marshal(state)
			next, tell := p.Decide(state, news, now)
			if after, _ := json.Marshal(state); string(after) != string(before) {
				r.Fatalf("Decide changed its argument: %s, then %s", before, after)
			}
			if again, tellAgain := p.Decide(state, news, now); !cmp.Equal(again, next) || !cmp.Equal(tellAgain, tell) {
				r.Fatalf("Decide twice: %s", cmp.Diff(next, again))
			}
			var stored notify.State
			if b, err := json.Marshal(next); err != nil || json.Unmarshal(b, &stored) != nil || !cmp.Equal(stored, next) {
				r.Fatalf("the state does not survive JSON: %s", cmp.Diff(next, stored))
			}
			// Everything that was decided to be told is told once: what waits now, and what waited before.
			added := len(next.Waiting) + len(tell) - len(state.Waiting)
			if added < 0 {
				r.Fatalf("%d pieces of news got lost", -added)
			}
			expected, got = expected+added, got+len(tell)
			if p.Window == 0 && len(next.Waiting) > 0 {
				r.Fatalf("there is no window, but %d wait", len(next.Waiting))
			}
			if len(next.Waiting) > 0 && !now.Before(next.WaitingSince.Add(p.Window)) {
				r.Fatal("the window is over, but news waits")
			}
			// Either all that waits is told, or nothing.
			fresh := append(slices.Clone(next.Waiting), tell...)[len(state.Waiting):]
			checkFresh(r, p, now, news, fresh, open, told)
			state = next
		}
		// Whatever waits is told in the end.
		_, tell := p.Decide(state, nil, now.Add(p.Window))
		if got += min(len(tell), len(state.Waiting)); got != expected {
			r.Fatalf("%d were told of %d", got, expected)
		}
	})
}

// checkFresh checks the news that one step has decided to tell, against a plain account of what was told before.
func checkFresh(r *rapid.T, p notify.Policy, now time.Time, reported, fresh []notify.News, open map[notify.Key]int, told map[notify.Key]time.Time) {
	tests, wantTests := 0, 0
	for _, n := range reported {
		if n.Kind == notify.Test {
			wantTests++
		}
	}
	for _, n := range fresh {
		k := n.Key()
		switch {
		case n.Kind == notify.Test:
			tests++
		case n.Kind == notify.Recovered:
			ended := 0
			for o := range open {
				if o.Sync == n.Sync && slices.Contains(n.Ends, o.Kind) {
					delete(open, o)
					delete(told, o)
					ended++
				}
			}
			if ended == 0 {
				r.Fatalf("%+v ends nothing that was told", n)
			}
		case n.Reminder > 0:
			if len(p.Repeat) == 0 {
				r.Fatalf("%+v is repeated", n)
			}
			wait := p.Repeat[min(n.Reminder, len(p.Repeat))-1]
			if open[k] != n.Reminder || now.Sub(told[k]) < wait {
				r.Fatalf("%+v is repeated %v after it was told %d times", n, now.Sub(told[k]), open[k])
			}
			open[k], told[k] = open[k]+1, now
		default:
			if last, ok := told[k]; ok && now.Sub(last) < longest(p) {
				r.Fatalf("%+v is told as new %v after it was told", n, now.Sub(last))
			}
			open[k], told[k] = 1, now
		}
	}
	if tests != wantTests {
		r.Fatalf("%d tests were told of %d", tests, wantTests)
	}
	// After a step, every trouble that was reported, and not ended after that, was told at some time.
	for i, n := range reported {
		ended := slices.ContainsFunc(reported[i:], func(x notify.News) bool { return x.Kind == notify.Recovered && x.Sync == n.Sync })
		if _, ok := open[n.Key()]; !ok && !ended && n.Kind != notify.Test && n.Kind != notify.Recovered {
			r.Fatalf("%+v was never told", n)
		}
	}
}

// longest is a lower bound of how long stale trouble is remembered.
func longest(p notify.Policy) time.Duration {
	if len(p.Repeat) == 0 {
		return 7 * 24 * time.Hour
	}
	return slices.Min(p.Repeat)
}

func TestForget(t *testing.T) {
	p := notify.Policy{Window: time.Hour}
	state, _ := p.Decide(notify.State{}, []notify.News{bad(notify.RunFailed, "a"), {Kind: notify.Overdue, Sync: "sales"}, {Kind: notify.Test}}, start())
	kept := state.Forget(func(sync string) bool { return sync == "sales" })
	if got, want := heads(kept.Waiting), "overdue, test"; got != want || len(kept.Open) != 1 {
		t.Errorf("got %q and %d open, want %q and 1", got, len(kept.Open), want)
	}
	if len(state.Open) != 2 || len(state.Waiting) != 3 {
		t.Error("Forget changed its argument")
	}
}

func TestFingerprint(t *testing.T) {
	same := notify.Fingerprint("read users: request 6f89cf12-978b-4d23-ac18-9ef0c127cf87 at 12:00:01 answered")
	if got := notify.Fingerprint("read users: request 00d88624-0B5A-4d4c-9b4f-0f3d2b1c8928 at 9:15:59 answered"); got != same {
		t.Errorf("got %s and %s for the same trouble", same, got)
	}
	for _, parts := range [][]string{{"read groups"}, {"a", "b"}, {"ab"}, {"a", "b", ""}, {}} {
		if notify.Fingerprint(parts...) == same || notify.Fingerprint(parts...) == notify.Fingerprint("other") {
			t.Errorf("%q has the fingerprint of something else", parts)
		}
	}
	if notify.Fingerprint("a", "b") == notify.Fingerprint("ab") {
		t.Error("parts run together")
	}
}
