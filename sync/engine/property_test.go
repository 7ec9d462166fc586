package engine_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dirsync"
	"dirsync/sync/engine"
	"dirsync/sync/plan"
)

// Every call to the source, the store and the target may fail without effect, fail having taken effect, or work, and
// the process may die at any of them. Through all of it nobody is doubled, nobody who is there loses anything, and
// once the faults end the target becomes what the source wants.
func TestFaults(t *testing.T) {
	m := testMapping(t)
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(rapid.Uint64Min(1).Draw(t, "unkindness"))
		w.policy = plan.Policy{
			WhenDeleted: plan.Action(rapid.IntRange(0, 1).Draw(t, "policy")),
			Grace:       time.Duration(rapid.SampledFrom([]int{0, 0, 10}).Draw(t, "grace")) * day,
		}
		w.policy.WhenOutOfScope = w.policy.WhenDeleted
		everyone := append(ids("safe", 5), ids("risk", 5)...)
		for i, id := range everyone {
			w.src.Put(id, person(fmt.Sprint("P", i), fmt.Sprintf("p%d@x.org", i)))
		}
		if rapid.Bool().Draw(t, "join") {
			w.join = []string{dirsync.EmailAddress}
			for i := range rapid.IntRange(0, 4).Draw(t, "accounts that were there") {
				w.target.Put(dirsync.Account{Active: true, Values: dirsync.Values{}.Set(dirsync.EmailAddress, dirsync.Value{Type: dirsync.Email, Text: fmt.Sprintf("P%d@x.org", 3*i)})})
			}
		}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "changes") {
				w.mutate(t, everyone)
			}
			w.now = w.now.Add(time.Duration(rapid.IntRange(1, 400).Draw(t, "hours")) * time.Hour)
			w.faults.arm(rapid.Uint64().Draw(t, "faults"), rapid.SampledFrom([]int{0, 3, 15, 40}).Draw(t, "percent"), rapid.SampledFrom([]int{0, 10, 50, 150}).Draw(t, "dying"))
			_, err := w.engine(m).Run(context.Background(), engine.Options{RetryNow: rapid.Bool().Draw(t, "retry now")})
			_ = err // the run may fail; what it leaves behind may not be wrong
			w.faults.disarm()
			w.check(t.Fatalf)
		}
		// Without faults two runs suffice, and after the grace period one more: a conflict may need somebody to go first.
		for range 3 {
			if _, err := w.engine(m).Run(context.Background(), engine.Options{RetryNow: true}); err != nil {
				t.Fatalf("without faults: %v", err)
			}
			w.check(t.Fatalf)
			w.now = w.now.Add(w.policy.Grace)
		}
		w.settled(func(format string, args ...any) {
			t.Fatalf(format+"\n%s\n%v", append(args, w.src, w.target.Accounts())...)
		})
		r, err := w.engine(m).Run(context.Background(), engine.Options{})
		if err != nil || r.Counts.Changed() != 0 {
			t.Fatalf("a run with nothing to do: %+v %v", r, err)
		}
	})
}

// mutate changes something at the source.
func (w *world) mutate(t *rapid.T, everyone []dirsync.ID) {
	for range rapid.IntRange(1, 4).Draw(t, "mutations") {
		id := rapid.SampledFrom(everyone).Draw(t, "who")
		pick := func(label string, from ...any) any { return rapid.SampledFrom(from).Draw(t, label) }
		switch rapid.IntRange(0, 9).Draw(t, "what") {
		case 0, 1:
			w.src.Put(id, map[string]any{"department": pick("department", nil, "Sales", "Legal")})
		case 2:
			w.src.Put(id, map[string]any{"givenName": pick("given name", nil, "", "Ana", "Bo")})
		case 3:
			w.src.Put(id, map[string]any{"mail": fmt.Sprintf("p%d@x.org", rapid.IntRange(0, 11).Draw(t, "mail"))})
		case 4: // two people swap their addresses
			other := rapid.SampledFrom(everyone).Draw(t, "with")
			a, _ := w.src.Attrs(id)
			b, _ := w.src.Attrs(other)
			if a == nil || b == nil {
				continue
			}
			am, bm := a["mail"], b["mail"]
			w.src.Put(id, map[string]any{"mail": bm})
			w.src.Put(other, map[string]any{"mail": am})
		case 5:
			if !safe(id) {
				w.src.Put(id, map[string]any{"accountEnabled": pick("enabled", true, false)})
			}
		case 6:
			if !safe(id) {
				w.src.Remove(id)
			}
		case 7: // back again, or as they were
			w.src.Put(id, person("Back", fmt.Sprintf("back-%s@x.org", id)))
		case 8:
			w.src.ExpireCursors()
		case 9:
			w.src.ExpirePages()
		}
	}
}
