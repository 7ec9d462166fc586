package store_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"dirsync"
	"dirsync/store"
)

const benchMemberships = 200_000

// benchMembership is the n-th of many memberships: one group in four has nearly everybody, the others some.
func benchMembership(n int) dirsync.Record {
	group, member := n%200, n/4
	if n%4 == 0 {
		group = 0 // 50,000 members
	}
	return dirsync.Record{ID: dirsync.Membership{Group: guid(1_000_000 + group), Member: guid(member)}.ID(), Whole: true}
}

// fillMemberships merges the memberships as a first reading does, and settles them.
func fillMemberships(tb testing.TB, s *store.Store) (merged, settled time.Duration) {
	tb.Helper()
	ctx, now, m := context.Background(), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), s.Sync("staff").Members()
	state := dirsync.ReadState{Round: 1, Open: true, Full: true}
	for from := 0; from < benchMemberships; from += benchBatch {
		records := make([]dirsync.Record, benchBatch)
		for i := range records {
			records[i] = benchMembership(from + i)
		}
		start := time.Now()
		if _, err := m.Merge(ctx, records, state, now); err != nil {
			tb.Fatal(err)
		}
		merged += time.Since(start)
	}
	start := time.Now()
	if err := m.EndRound(ctx, state); err != nil {
		tb.Fatal(err)
	}
	for after := dirsync.Seq(0); ; {
		owed, err := m.Owed(ctx, now, after, benchBatch)
		if err != nil {
			tb.Fatal(err)
		}
		decisions := make([]dirsync.Decision, len(owed))
		for i, p := range owed {
			decisions[i] = dirsync.Decision{Seq: p.Seq, Mark: p.Owed.Mark}
			after = p.Seq
		}
		if err := m.Decide(ctx, 0, decisions); err != nil {
			tb.Fatal(err)
		}
		if len(owed) < benchBatch {
			return merged, time.Since(start)
		}
	}
}

// BenchmarkMemberships keeps 200,000 memberships, in batches of 2,000:
//
//	go test ./store -run '^$' -bench Memberships -benchtime 1x
func BenchmarkMemberships(b *testing.B) {
	for range b.N {
		path := filepath.Join(b.TempDir(), "dirsync.db")
		s := openAt(b, path, store.Options{})
		before := rss("RssAnon")
		stop := peak()
		merged, settled := fillMemberships(b, s)
		most := stop()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(benchMemberships/merged.Seconds(), "merge/s")
		b.ReportMetric(benchMemberships/settled.Seconds(), "settle/s")
		b.ReportMetric(float64(info.Size())/benchMemberships, "B/each")
		b.ReportMetric(most-before, "more-MB")
		b.ReportMetric(0, "ns/op")
	}
}

// BenchmarkGroupsOf finds the groups of 2,000 people, and BenchmarkMembersOf lists the 50,000 members of a group.
func BenchmarkGroupsOf(b *testing.B) {
	s := open(b, store.Options{})
	fillMemberships(b, s)
	m, n := s.Sync("staff").Members(), 0
	for b.Loop() {
		ids := make([]dirsync.ID, benchBatch)
		for i := range ids {
			n++
			ids[i] = guid(n * 7919 % (benchMemberships / 4))
		}
		groups, err := m.GroupsOf(context.Background(), ids)
		if err != nil || len(groups[0]) == 0 {
			b.Fatal(groups[0], err)
		}
	}
}

func BenchmarkMembersOf(b *testing.B) {
	s := open(b, store.Options{})
	fillMemberships(b, s)
	m := s.Sync("staff").Members()
	for b.Loop() {
		n := 0
		for after, full := dirsync.Seq(0), true; full; {
			rows, last, err := m.MembersOf(context.Background(), guid(1_000_000), after, benchBatch)
			if err != nil {
				b.Fatal(err)
			}
			n, after, full = n+len(rows), last, len(rows) == benchBatch
		}
		if n != benchMemberships/4 {
			b.Fatal(n)
		}
	}
}

// BenchmarkDirectoryMemberships puts everybody into four of 200 groups, one of which then has them all, as a first run
// with groups does:
//
//	go test ./store -run '^$' -bench DirectoryMemberships -benchtime 1x
func BenchmarkDirectoryMemberships(b *testing.B) {
	for range b.N {
		path := filepath.Join(b.TempDir(), "dirsync.db")
		s := openAt(b, path, store.Options{})
		d, err := s.Directory()
		if err != nil {
			b.Fatal(err)
		}
		names := make([]string, 200)
		for i := range names {
			names[i] = string(guid(1_000_000 + i))
		}
		addGroups(b, d, names...)
		stop := peak()
		var applied time.Duration
		for from := 0; from < *benchPeople; from += benchBatch {
			changes := make([]dirsync.Change, benchBatch)
			for i := range changes {
				n := from + i
				groups := inGroups(names[0], names[1+n%50], names[51+n%70], names[121+n%79])
				changes[i] = dirsync.Change{Kind: dirsync.Create, Person: guid(n), After: benchValues(n).With(groups)}
			}
			start := time.Now()
			for _, a := range d.ApplyAll(context.Background(), changes) {
				if a.Err != nil {
					b.Fatal(a.Err)
				}
			}
			applied += time.Since(start)
		}
		most := stop()
		start := time.Now()
		if _, err := d.Groups().List(context.Background(), "", 1000); err != nil {
			b.Fatal(err)
		}
		listed := time.Since(start)
		start = time.Now()
		if _, err := d.Groups().Apply(context.Background(), dirsync.Change{Kind: dirsync.Delete, Account: "g00000001"}); err != nil {
			b.Fatal(err)
		}
		deleted := time.Since(start)
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(*benchPeople)/applied.Seconds(), "users/s")
		b.ReportMetric(float64(info.Size())/float64(*benchPeople), "B/user")
		b.ReportMetric(most, "peak-MB")
		b.ReportMetric(float64(listed.Microseconds())/1000, "list-ms")
		b.ReportMetric(float64(deleted.Microseconds())/1000, "delete-ms")
		b.ReportMetric(0, "ns/op")
	}
}
