package store_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"dirsync"
	"dirsync/dirsynctest"
	"dirsync/store"
	"dirsync/sync/engine"
)

var _ engine.Memberships = (*store.Members)(nil)

func TestGroupsConform(t *testing.T) {
	s, n := open(t, store.Options{}), 0
	dirsynctest.TestStore(t, func(*testing.T) engine.Store {
		n++
		return s.Sync(fmt.Sprint("sync ", n)).Groups()
	})
	sound(t, s)
	if names, err := s.Syncs(context.Background()); err != nil || len(names) != 0 {
		t.Errorf("got %d syncs and %v, want none", len(names), err)
	}
}

func TestMembershipsConform(t *testing.T) {
	s, n := open(t, store.Options{}), 0
	dirsynctest.TestMemberships(t, func(*testing.T) engine.Memberships {
		n++
		return s.Sync(fmt.Sprint("sync ", n)).Members()
	})
	sound(t, s)
}

// reopeningMembers are memberships whose store is closed and opened again now and then.
type reopeningMembers struct {
	engine.Memberships
	t     *testing.T
	file  *file
	name  string
	calls int
}

func (r *reopeningMembers) Merge(ctx context.Context, records []dirsync.Record, state dirsync.ReadState, now time.Time) (dirsync.Merged, error) {
	defer func() {
		if r.calls++; r.calls%3 == 0 {
			r.file.reopen(r.t)
			r.Memberships = r.file.s.Sync(r.name).Members()
		}
	}()
	return r.Memberships.Merge(ctx, records, state, now)
}

func TestMembershipsConformWhenOpenedAgain(t *testing.T) {
	f, n := &file{path: filepath.Join(t.TempDir(), "dirsync.db")}, 0
	f.reopen(t)
	defer func() { f.s.Close() }()
	all := t
	dirsynctest.TestMemberships(t, func(t *testing.T) engine.Memberships {
		if n++; n%20 == 0 {
			sound(t, f.s)
			f.path = filepath.Join(all.TempDir(), "dirsync.db")
			f.reopen(t)
		}
		name := fmt.Sprint("sync ", n)
		return &reopeningMembers{Memberships: f.s.Sync(name).Members(), t: t, file: f, name: name}
	})
	sound(t, f.s)
}

func TestPartsAreApart(t *testing.T) {
	ctx, now := context.Background(), time.Unix(1000, 0)
	s := open(t, store.Options{})
	y := s.Sync("staff")
	for _, part := range []engine.Reading{y, y.Groups(), y.Members()} {
		if _, err := part.Merge(ctx, []dirsync.Record{{ID: "a/b"}}, dirsync.ReadState{}, now); err != nil {
			t.Fatal(err)
		}
	}
	if y.Groups() != s.Sync("staff").Groups() {
		t.Error("the groups of one sync are two things")
	}
	var runs []dirsync.RunID
	for _, part := range []*store.Sync{y, y.Groups(), s.Sync("other").Groups(), y} {
		id, err := part.NewRun(ctx, dirsync.Run{})
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, id)
	}
	if want := []dirsync.RunID{1, 2, 3, 4}; !slices.Equal(runs, want) {
		t.Errorf("got runs %v, want %v", runs, want)
	}
	if kept, err := y.Groups().Runs(ctx, 0, 10); err != nil || len(kept) != 1 || kept[0].ID != 2 {
		t.Errorf("got %v and %v, want run 2 alone", kept, err)
	}
	if names, err := s.Syncs(ctx); err != nil || fmt.Sprint(names) != "[staff]" {
		t.Errorf("got %v and %v, want staff alone", names, err)
	}
	err := y.Members().Decide(ctx, 0, []dirsync.Decision{{Seq: 1, Change: &dirsync.Change{Kind: dirsync.Create}}})
	if dirsync.KindOf(err) != dirsync.Invalid {
		t.Errorf("got %v for a change of a membership, want Invalid", err)
	}
	if err := y.Members().Decide(ctx, 0, []dirsync.Decision{{Seq: 2}}); dirsync.KindOf(err) != dirsync.NotFound {
		t.Errorf("got %v for a membership that is not there, want NotFound", err)
	}
	sound(t, s)
}
