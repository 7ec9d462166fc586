//go:build linux

package store_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"dirsync"
	"dirsync/store"
)

// teller tells people something in round after round. Each round is four transactions, and what they leave behind shows
// which of them was the last.
type teller struct {
	s *store.Store
	n *store.Notifications
}

// round puts two messages together with the state, delivers one of them into an inbox and records it, and notes the
// round.
func (w teller) round(i int) error {
	ctx := context.Background()
	if err := w.n.Put(ctx, fmt.Append(nil, i), []store.Message{aMessage(2 * i), aMessage(2*i + 1)}); err != nil {
		return err
	}
	if err := w.n.Add(ctx, []store.InboxNote{aNote("anna", i), aNote("bert", i)}); err != nil {
		return err
	}
	if err := w.n.Record(ctx, aMessage(2*i).ID, ended(2*i)); err != nil {
		return err
	}
	if i%7 == 0 {
		// What has ended in the rounds before the last five goes.
		if _, err := w.n.PruneMessages(ctx, ended(2*(i-5)).Ended); err != nil {
			return err
		}
	}
	return w.s.SetNote(ctx, "round", fmt.Append(nil, i))
}

// next finds out with which round to go on: the one after the last that is noted. It fails unless all that is there
// belongs together.
func (w teller) next() (int, error) {
	ctx := context.Background()
	findings, err := w.s.Verify(ctx)
	if err != nil || len(findings) > 0 {
		return 0, fmt.Errorf("%v, %w", findings, err)
	}
	noted, begun := -1, -1
	for name, to := range map[string]*int{"round": &noted, "state": &begun} {
		b, err := w.s.Note(ctx, name)
		if name == "state" {
			b, err = w.n.State(ctx)
		}
		if err != nil {
			return 0, err
		}
		if b != nil {
			if _, err := fmt.Sscan(string(b), to); err != nil {
				return 0, err
			}
		}
	}
	if begun < noted || begun > noted+1 {
		return 0, fmt.Errorf("round %d is noted, and round %d was begun", noted, begun)
	}
	open, err1 := w.n.Messages(ctx, "waiting", nil, 1_000_000)
	anna, err2 := w.n.Unread(ctx, "anna")
	bert, err3 := w.n.Unread(ctx, "bert")
	if err := errors.Join(err1, err2, err3); err != nil {
		return 0, err
	}
	// In a round that was begun and not ended, both messages wait, or one.
	waiting := len(open) - (noted + 1)
	if begun == noted && waiting != 0 || begun > noted && waiting != 1 && waiting != 2 {
		return 0, fmt.Errorf("%d messages wait after round %d, and round %d was begun", len(open), noted, begun)
	}
	notes := min(anna, bert)
	if anna != bert || notes < min(noted+1, store.MaxNotes) || notes > begun+1 {
		return 0, fmt.Errorf("%d and %d notes after round %d, and round %d was begun", anna, bert, noted, begun)
	}
	return noted + 1, nil
}

// tell is what the process does that will be killed.
func (w *writer) tell() {
	teller := teller{w.s, w.s.Notifications()}
	i, err := teller.next()
	w.must(err)
	for ; ; i++ {
		w.must(teller.round(i))
		fmt.Println(i)
	}
}

// TestKilledTeller ends a process at random moments, and looks at what it leaves behind each time.
func TestKilledTeller(t *testing.T) {
	last := -1
	dies(t, "tell", filepath.Join(t.TempDir(), "dirsync.db"), deaths(), 60*time.Millisecond, func(line string) error {
		_, err := fmt.Sscan(line, &last)
		return err
	}, func(_ int, w *writer) error {
		next, err := teller{w.s, w.s.Notifications()}.next()
		if err == nil && next <= last {
			err = fmt.Errorf("round %d had ended, and the next is %d", last, next)
		}
		return err
	})
	if last < 0 {
		t.Error("nothing was ever written")
	}
	t.Logf("%d rounds and %d deaths", last+1, deaths())
}

// tellFully is what the process does whose file may not grow, or not even be written, beyond a limit.
func (w *writer) tellFully() {
	signal.Ignore(syscall.SIGXFSZ)
	teller, failed := teller{w.s, w.s.Notifications()}, 0
	for i := range 24 {
		info, err := os.Stat(w.path)
		w.must(err)
		size := info.Size()
		if i%2 == 0 {
			size = w.r.Int64N(size)
		}
		next, err := teller.next()
		w.must(err)
		limit(uint64(size))
		for range 8 {
			if err = teller.round(next); err != nil {
				break
			}
			next++
		}
		limit(math.MaxUint64)
		if err != nil {
			failed++
			if dirsync.KindOf(err) != dirsync.Storage || dirsync.HintOf(err) == "" {
				w.must(fmt.Errorf("got %w (%v), want Storage with a hint", err, dirsync.KindOf(err)))
			}
		}
		again, err := teller.next()
		w.must(err)
		if again < next {
			w.must(fmt.Errorf("the next round was %d, and is %d", next, again))
		}
		w.must(teller.round(again))
	}
	if failed < 8 {
		w.must(fmt.Errorf("only %d of 24 attempts failed", failed))
	}
	w.must(w.s.Close())
}

// TestFullDiskTeller writes in a process whose disk is full now and then.
func TestFullDiskTeller(t *testing.T) {
	out, err := child(context.Background(), "tell fully", filepath.Join(t.TempDir(), "dirsync.db"), 1).Output() // what went wrong is on the standard error, which is ours
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
