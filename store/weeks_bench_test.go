package store_test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"dirsync"
	"dirsync/store"
)

// BenchmarkHundredWeeks is a first run and then a hundred weekly ones in which one person in a hundred changes, and what
// the file has become then, before and after it is compacted:
//
//	go test ./store -run '^$' -bench HundredWeeks -benchtime 1x -timeout 30m
func BenchmarkHundredWeeks(b *testing.B) {
	for range b.N {
		now := time.Date(2026, 1, 4, 2, 0, 0, 0, time.UTC)
		path := filepath.Join(b.TempDir(), "dirsync.db")
		opts := store.Options{Now: func() time.Time { return now }}
		s := openAt(b, path, opts)
		firstRun(b, s, *benchPeople)
		first, err := os.Stat(path)
		if err != nil {
			b.Fatal(err)
		}
		r := rand.New(rand.NewPCG(1, 1))
		for range 100 {
			now = now.Add(7 * 24 * time.Hour)
			weeklyRun(b, s, r, now)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		c, err := store.Compact(context.Background(), path, store.Options{})
		if err != nil {
			b.Fatal(err)
		}
		s = openAt(b, path, opts)
		for range 10 {
			now = now.Add(7 * 24 * time.Hour)
			weeklyRun(b, s, r, now)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		later, err := os.Stat(path)
		if err != nil {
			b.Fatal(err)
		}
		mb := func(n int64) float64 { return float64(n) / (1 << 20) }
		b.ReportMetric(mb(first.Size()), "first-MB")
		b.ReportMetric(mb(c.Before), "before-MB")
		b.ReportMetric(mb(c.After), "after-MB")
		b.ReportMetric(float64(c.Before)/float64(c.After), "before/after")
		b.ReportMetric(float64(later.Size())/float64(c.After), "ten-weeks-later/after")
		b.ReportMetric(0, "ns/op")
	}
}

// weeklyRun takes one person in a hundred through a change of their record, an update of their account, and its outcome.
func weeklyRun(tb testing.TB, s *store.Store, r *rand.Rand, now time.Time) {
	tb.Helper()
	ctx, y := context.Background(), s.Sync("staff")
	d, err := filledDirectory(s)
	if err != nil {
		tb.Fatal(err)
	}
	var records []dirsync.Record
	for range *benchPeople / 100 {
		n := r.IntN(*benchPeople)
		records = append(records, dirsync.Record{ID: guid(n), Attrs: dirsync.Attributes{{Name: "surname", Raw: text("Changed " + now.Format("2006-01-02"))}}})
	}
	if _, err := y.Merge(ctx, records, dirsync.ReadState{Round: 2}, now); err != nil {
		tb.Fatal(err)
	}
	run := dirsync.Run{Sync: "staff", Started: now, Phase: dirsync.PhaseEnded, Status: dirsync.Success}
	if run.ID, err = y.NewRun(ctx, run); err != nil {
		tb.Fatal(err)
	}
	last := dirsync.Values{{Field: dirsync.LastName, Value: dirsync.Value{Type: dirsync.Text, Text: "Changed " + now.Format("2006-01-02")}}}
	for after := dirsync.Seq(0); ; {
		owed, err := y.Owed(ctx, now, after, benchBatch)
		if err != nil {
			tb.Fatal(err)
		}
		var decisions []dirsync.Decision
		var changes []dirsync.Change
		for _, p := range owed {
			before, _ := p.Link.Held.Get(dirsync.LastName)
			c := dirsync.Change{Kind: dirsync.Update, Person: p.ID, Seq: p.Seq, Mark: p.Owed.Mark, Account: p.Link.Account, User: p.Shadow.Text("userPrincipalName"),
				Name: p.Shadow.Text("displayName"), Before: dirsync.Values{{Field: dirsync.LastName, Value: before}}, After: last, Why: "changed in the tenant"}
			changes = append(changes, c)
			decisions = append(decisions, dirsync.Decision{Seq: p.Seq, Mark: p.Owed.Mark, Change: &c})
			after = p.Seq
		}
		if err := y.Decide(ctx, run.ID, decisions); err != nil {
			tb.Fatal(err)
		}
		var outcomes []dirsync.Outcome
		for i, a := range d.ApplyAll(ctx, changes) {
			if a.Err != nil {
				tb.Fatal(a.Err)
			}
			outcomes = append(outcomes, dirsync.Outcome{Change: changes[i], Result: dirsync.Done, Link: dirsync.Link{Account: a.Account.ID, Active: true, Held: a.Account.Values}})
		}
		if err := y.Settle(ctx, run.ID, outcomes, dirsync.PlanKey{Kind: dirsync.Update, Seq: after}); err != nil {
			tb.Fatal(err)
		}
		if len(owed) < benchBatch {
			break
		}
	}
	if err := y.SaveRun(ctx, run); err != nil {
		tb.Fatal(err)
	}
}
