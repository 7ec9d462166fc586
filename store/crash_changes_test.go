//go:build linux

package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"dirsync"
)

// editStep changes some of the directory's users, makes new ones, and deletes and forgets others.
func (w *writer) editStep() error {
	ctx := context.Background()
	var changes []dirsync.Change
	for range 1 + w.r.IntN(30) {
		n := w.r.IntN(300)
		c := dirsync.Change{Kind: dirsync.ChangeKinds()[w.r.IntN(5)], After: benchValues(w.r.IntN(300))}
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
	path := filepath.Join(t.TempDir(), "dirsync.db")
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 5))
	times := 25
	if testing.Short() {
		times = 5
	}
	var reader follower
	steps := 0
	for i := range times {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(20+r.IntN(250))*time.Millisecond)
		cmd := child(ctx, "edit", path, i)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(out); lines.Scan(); {
			steps++
		}
		err = cmd.Wait()
		cancel()
		if e, ok := errors.AsType[*exec.ExitError](err); !ok || e.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("the process ended by itself: %v", err)
		}
		w := &writer{path: path}
		if err := w.open(); err != nil {
			t.Fatal(err)
		}
		sound(t, w.s)
		if i%5 < 4 { // now and then several deaths lie between two readings
			if err := errors.Join(reader.settle(w.d.Source()), reader.agrees(w.d)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if steps == 0 || len(reader.people) == 0 {
		t.Error("nothing was ever written")
	}
	t.Logf("%d people after %d steps and %d deaths", len(reader.people), steps, times)
}
