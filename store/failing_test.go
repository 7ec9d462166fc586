package store_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"dirsync"
	"dirsync/store"
)

// TestFailing asks who is to be tried again first: nobody, those who failed, not those who wait for something else, and
// all of them once everybody is owed a look.
func TestFailing(t *testing.T) {
	ctx, now := context.Background(), time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	s := open(t, store.Options{})
	for name, y := range map[string]*store.Sync{"people": s.Sync("staff"), "groups": s.Sync("staff").Groups()} {
		check := func(want time.Time, who ...dirsync.ID) {
			t.Helper()
			for _, limit := range []int{1, 10} {
				due, people, err := y.Failing(ctx, limit)
				var ids []dirsync.ID
				for _, p := range people {
					ids = append(ids, p.ID)
				}
				if first := who[:min(limit, len(who))]; err != nil || !slices.Equal(ids, first) || !due.Equal(want) {
					t.Errorf("%s: got %s, %s, %v, want %s, %s", name, due, ids, err, want, first)
				}
			}
		}
		check(time.Time{})
		state := dirsync.ReadState{Round: 1}
		if _, err := y.Merge(ctx, []dirsync.Record{{ID: "a"}, {ID: "b"}, {ID: "c"}, {ID: "d"}}, state, now); err != nil {
			t.Fatal(err)
		}
		check(time.Time{})
		people, err := y.Owed(ctx, now, 0, 10)
		if err != nil || len(people) != 4 {
			t.Fatalf("%d owed, %v", len(people), err)
		}
		next := []dirsync.Owed{
			{Why: dirsync.WhyGrace, Due: now.Add(time.Minute), Attempts: 2, Error: "before"},
			{Why: dirsync.WhyFailed, Due: now.Add(time.Hour), Attempts: 1, Error: "down"},
			{Why: dirsync.WhyFailed, Due: now.Add(15 * time.Minute), Attempts: 3, Error: "down"},
			{Why: dirsync.WhyRecord, Due: now.Add(time.Second)},
		}
		run, err := y.NewRun(ctx, dirsync.Run{Sync: "staff", Started: now})
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range people {
			if err := y.Decide(ctx, run, []dirsync.Decision{{Seq: p.Seq, Mark: p.Owed.Mark, Wait: true, Next: next[i]}}); err != nil {
				t.Fatal(err)
			}
		}
		check(now.Add(15*time.Minute), people[1].ID, people[2].ID)
		third, err := y.Person(ctx, people[2].ID)
		if err != nil {
			t.Fatal(err)
		}
		if err := y.Decide(ctx, run, []dirsync.Decision{{Seq: third.Seq, Mark: third.Owed.Mark}}); err != nil {
			t.Fatal(err)
		}
		check(now.Add(time.Hour), people[1].ID)
		if err := y.OweAll(ctx, dirsync.WhyConfig, state, now); err != nil {
			t.Fatal(err)
		}
		check(time.Time{}, people[0].ID, people[1].ID)
	}
}
