package store_test

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"dirsync"
	"dirsync/store"
)

// TestForgetSync forgets one of two syncs: nothing is left of it, the other one and the file are whole, and one of the same
// name begins anew.
func TestForgetSync(t *testing.T) {
	ctx, now := context.Background(), time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	path := filepath.Join(t.TempDir(), "dirsync.db")
	s := openAt(t, path, store.Options{})
	fill := func(y *store.Sync, ids ...dirsync.ID) {
		t.Helper()
		var records []dirsync.Record
		for _, id := range ids {
			records = append(records, dirsync.Record{ID: id})
		}
		if _, err := y.Merge(ctx, records, dirsync.ReadState{Round: 1}, now); err != nil {
			t.Fatal(err)
		}
		run, err := y.NewRun(ctx, dirsync.Run{Sync: "x", Started: now})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := y.NewHold(ctx, dirsync.Hold{Kind: dirsync.Deletion, Run: run, Status: dirsync.HoldOpen, Created: now}); err != nil {
			t.Fatal(err)
		}
	}
	fill(s.Sync("staff"), "a", "b")
	fill(s.Sync("staff").Groups(), "g")
	member := dirsync.Membership{Group: "g", Member: "a", Kind: dirsync.KindUser}
	if _, err := s.Sync("staff").Members().Merge(ctx, []dirsync.Record{{ID: member.ID(), Kind: member.Kind}}, dirsync.ReadState{Round: 1}, now); err != nil {
		t.Fatal(err)
	}
	fill(s.Sync("sales"), "a", "c")
	if err := s.ForgetSync(ctx, "nobody"); dirsync.KindOf(err) != dirsync.NotFound {
		t.Errorf("a sync that is not there: %v", err)
	}
	if err := s.ForgetSync(ctx, "staff"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		sound(t, s)
		names, err := s.Syncs(ctx)
		if err != nil || !slices.Equal(names, []string{"sales"}) {
			t.Errorf("got %s, %v", names, err)
		}
		for _, y := range []*store.Sync{s.Sync("staff"), s.Sync("staff").Groups()} {
			totals, err := y.Totals(ctx)
			runs, err2 := y.Runs(ctx, 0, 10)
			holds, err3 := y.Holds(ctx, 0, 10)
			if err != nil || err2 != nil || err3 != nil || totals != (dirsync.Totals{}) || len(runs)+len(holds) > 0 {
				t.Errorf("left: %+v %v %v, %v %v %v", totals, runs, holds, err, err2, err3)
			}
			if _, err := y.Person(ctx, "a"); dirsync.KindOf(err) != dirsync.NotFound {
				t.Errorf("a person: %v", err)
			}
		}
		if totals, err := s.Sync("staff").Members().Totals(ctx); err != nil || totals != (dirsync.Totals{}) {
			t.Errorf("memberships left: %+v, %v", totals, err)
		}
		if p, err := s.Sync("sales").Person(ctx, "c"); err != nil || p.Seq != 2 {
			t.Errorf("the other sync: %+v, %v", p, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openAt(t, path, store.Options{})
	}
	defer s.Close()
	fill(s.Sync("staff"), "z")
	if p, err := s.Sync("staff").Person(ctx, "z"); err != nil || p.Seq != 1 {
		t.Errorf("a new sync of that name: %+v, %v", p, err)
	}
	sound(t, s)
}
