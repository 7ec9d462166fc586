//go:build linux

package store_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"dirsync"
)

// editStep changes some of the directory's users, makes new ones, and deletes and forgets others. Most have a manager, who
// may be there or not.
func (w *writer) editStep() error {
	ctx := context.Background()
	var changes []dirsync.Change
	for range 1 + w.r.IntN(30) {
		n := w.r.IntN(300)
		c := dirsync.Change{Kind: dirsync.ChangeKinds()[w.r.IntN(5)], After: benchValues(w.r.IntN(300))}
		if w.r.IntN(3) > 0 {
			c.After = c.After.With(under(string(guid(w.r.IntN(300)))))
		}
		if w.r.IntN(2) == 0 {
			c.Person = guid(n)
		} else {
			c.Account = fmt.Sprintf("u%08d", n)
		}
		changes = append(changes, c)
	}
	for _, r := range w.d.ApplyAll(ctx, changes) {
		kinds := []dirsync.ErrorKind{dirsync.Conflict, dirsync.NotFound}
		if r.Err != nil && !slices.Contains(kinds, dirsync.KindOf(r.Err)) {
			return r.Err
		}
	}
	err := w.d.Forget(ctx, fmt.Sprintf("u%08d", w.r.IntN(300)))
	if err != nil && dirsync.KindOf(err) != dirsync.Invalid {
		return err
	}
	return nil
}

// TestKilledWhileEdited ends a process at random moments that changes the directory, and goes on reading after each
// death from where it stopped. Whoever reads so must know the directory.
func TestKilledWhileEdited(t *testing.T) {
	var reader follower
	steps := 0
	dies(t, "edit", filepath.Join(t.TempDir(), "dirsync.db"), deaths(), 250*time.Millisecond, func(string) error {
		steps++
		return nil
	}, func(death int, w *writer) error {
		if death%5 == 4 { // now and then several deaths lie between two readings
			return nil
		}
		return errors.Join(reader.settle(w.d.Source()), reader.agrees(w.d))
	})
	if steps == 0 || len(reader.people) == 0 {
		t.Error("nothing was ever written")
	}
	led := 0
	for _, attrs := range reader.people {
		if attrs["manager"] != "" {
			led++
		}
	}
	if led == 0 {
		t.Error("nobody has a manager")
	}
	t.Logf("%d people, %d of them with a manager who is there, after %d steps and %d deaths", len(reader.people), led, steps, deaths())
}
