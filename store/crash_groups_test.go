//go:build linux

package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"dirsync"
	"dirsync/store"
)

// lookAtGroups reads how many memberships and groups there ever were.
func (w *writer) lookAtGroups() error {
	ctx := context.Background()
	totals, err := w.y.Members().Totals(ctx)
	if err != nil {
		return err
	}
	w.people = totals.People + totals.Gone
	totals, err = w.y.Groups().Totals(ctx)
	w.accounts = totals.People + totals.Gone
	return err
}

// groupStep is one pass: groups and who is in them are read, and the directory follows, with accounts that are deleted
// and come back. Now and then the store is compacted, or replaced by its backup.
func (w *writer) groupStep() error {
	ctx, now := context.Background(), time.Unix(1_800_000_000, 0)
	state := dirsync.ReadState{Round: 1, Open: true}
	m := w.y.Members()
	var records []dirsync.Record
	for range 30 {
		ms := dirsync.Membership{Group: guid(w.r.IntN(20)), Member: guid(w.r.IntN(200))}
		r := dirsync.Record{ID: ms.ID(), Whole: true}
		if w.r.IntN(4) == 0 {
			r = dirsync.Record{ID: ms.ID(), Gone: dirsync.GoneHard}
		}
		records = append(records, r)
	}
	if _, err := m.Merge(ctx, records, state, now); err != nil {
		return err
	}
	owed, err := m.Owed(ctx, now, 0, 50)
	if err != nil {
		return err
	}
	var decisions []dirsync.Decision
	for _, p := range owed {
		decisions = append(decisions, dirsync.Decision{Seq: p.Seq, Mark: p.Owed.Mark})
	}
	if err := m.Decide(ctx, 0, decisions); err != nil {
		return err
	}
	group := dirsync.Record{ID: guid(w.r.IntN(20)), Kind: dirsync.KindGroup, Attrs: dirsync.Attributes{{Name: "displayName", Raw: text(fmt.Sprint(w.r.IntN(9)))}}}
	if _, err := w.y.Groups().Merge(ctx, []dirsync.Record{group}, state, now); err != nil {
		return err
	}
	if err := w.applyGroups(ctx); err != nil {
		return err
	}
	if w.r.IntN(6) == 0 {
		if err := w.maintain(ctx); err != nil {
			return err
		}
	}
	return w.lookAtGroups()
}

// applyGroups changes the directory's groups and users, and does not mind what cannot be.
func (w *writer) applyGroups(ctx context.Context) error {
	var changes []dirsync.Change
	kind := func() dirsync.ChangeKind { return dirsync.ChangeKinds()[w.r.IntN(5)] }
	for range 5 {
		changes = append(changes, dirsync.Change{Kind: kind(), Person: guid(w.r.IntN(20)), After: named("group")})
	}
	changes[0].Kind, changes[0].Account = dirsync.Create, fmt.Sprintf("g%08d", 1+w.r.IntN(20))
	results := w.d.Groups().ApplyAll(ctx, changes)
	there, err := w.d.Groups().List(ctx, "", 100)
	if err != nil {
		return err
	}
	changes = nil
	for range 20 {
		n := w.r.IntN(200)
		var in []string
		for range min(len(there), w.r.IntN(4)) {
			in = append(in, string(there[w.r.IntN(len(there))].Source))
		}
		changes = append(changes, dirsync.Change{Kind: dirsync.Create, Person: guid(n), After: benchValues(n).With(inGroups(in...))})
		if w.r.IntN(3) == 0 {
			changes = append(changes, dirsync.Change{Kind: dirsync.Delete, Person: guid(w.r.IntN(200))})
		}
	}
	changes[1].Account = fmt.Sprintf("u%08d", 1+w.r.IntN(100))
	for _, r := range append(results, w.d.ApplyAll(ctx, changes)...) {
		kinds := []dirsync.ErrorKind{dirsync.Conflict, dirsync.NotFound}
		if r.Err != nil && !slices.Contains(kinds, dirsync.KindOf(r.Err)) {
			return r.Err
		}
	}
	return nil
}

// maintain compacts the store, or puts a backup in its place.
func (w *writer) maintain(ctx context.Context) error {
	saved := w.path + ".backup"
	if err := os.Remove(saved); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if _, err := w.s.Compact(ctx, saved); err != nil {
		return err
	}
	if err := w.s.Close(); err != nil {
		return err
	}
	if w.r.IntN(2) == 0 {
		if _, err := store.Compact(ctx, w.path, store.Options{}); err != nil {
			return err
		}
	} else {
		kept, err := store.Restore(ctx, saved, w.path, true, store.Options{})
		if err := errors.Join(err, os.Remove(kept)); err != nil {
			return err
		}
	}
	return w.open()
}

// TestKilledWithGroups ends a process at random moments that writes groups and memberships, compacts and restores.
func TestKilledWithGroups(t *testing.T) {
	memberships, groups := 0, 0
	dies(t, "groups", filepath.Join(t.TempDir(), "dirsync.db"), deaths(), 400*time.Millisecond, func(line string) error {
		_, err := fmt.Sscan(line, &memberships, &groups)
		return err
	}, func(_ int, w *writer) error {
		if err := w.lookAtGroups(); err != nil {
			return err
		}
		if w.people < memberships || w.accounts < groups {
			return fmt.Errorf("%d memberships and %d groups were written, and only %d and %d are there", memberships, groups, w.people, w.accounts)
		}
		memberships, groups = w.people, w.accounts
		return nil
	})
	if memberships == 0 || groups == 0 {
		t.Error("nothing was ever written")
	}
	t.Logf("%d memberships and %d groups after %d deaths", memberships, groups, deaths())
}
