package engine_test

import (
	"context"
	"fmt"
	"time"

	"testing"

	"pgregory.net/rapid"

	"dirsync"
	"dirsync/mapping"
	"dirsync/sync/engine"
	"dirsync/sync/plan"
)

// loss is an account that somebody was using and that a run took away.
type loss struct {
	at time.Time
	id dirsync.ID
}

// budgeted is a world in which little may be taken away unasked.
type budgeted struct {
	*world
	m     *mapping.Mapping
	limit plan.Limit
	// asked are those whose loss somebody has approved since they were last there, taken those of a run that was undone.
	asked map[dirsync.ID]bool
	// losses are those that nobody was asked about.
	losses []loss
}

func (b *budgeted) active() map[dirsync.ID]bool {
	out := map[dirsync.ID]bool{}
	for _, a := range b.target.Accounts() {
		if a.Active && a.Source != "" {
			out[a.Source] = true
		}
	}
	return out
}

// watch calls fn, and asserts that what it took away unasked stays within the limit in every seven days.
func (b *budgeted) watch(t *rapid.T, fn func()) {
	before := b.active()
	fn()
	after := b.active()
	for id := range before {
		if !after[id] && !b.asked[id] {
			b.losses = append(b.losses, loss{b.now, id})
		}
	}
	for id := range after {
		if !before[id] {
			delete(b.asked, id)
		}
	}
	n := 0
	for _, l := range b.losses {
		if b.now.Sub(l.at) < 7*day {
			n++
		}
	}
	if allowed := b.limit.Allowed(100); n > allowed {
		t.Fatalf("%d accounts were taken away unasked in seven days, where %d may be: %v", n, allowed, b.losses)
	}
}

// decide approves or rejects what is held, if anything is.
func (b *budgeted) decide(t *rapid.T, approve bool) {
	e := b.engine(b.m)
	holds, err := b.store.Holds(context.Background(), 0, 20)
	if err != nil {
		return
	}
	for _, h := range holds {
		if h.Status != dirsync.HoldOpen {
			continue
		}
		var people []dirsync.ID
		err := e.HeldChanges(context.Background(), h, func(l engine.HeldChange) error {
			if people == nil || rapid.Bool().Draw(t, "him too") {
				people = append(people, l.Change.Person)
			}
			return nil
		})
		if err != nil || len(people) == 0 {
			continue
		}
		v := engine.Verdict{Hold: h.ID, Digest: h.Digest, People: people, By: "test", Why: "test"}
		if !approve {
			_, _ = e.Reject(context.Background(), v)
			continue
		}
		// It may have been written down for some of them even if it fails.
		if _, err := e.Approve(context.Background(), v); dirsync.KindOf(err) != dirsync.Conflict {
			for _, id := range people {
				b.asked[id] = true
			}
		}
	}
}

// undo takes back the last run, for those who are not safe.
func (b *budgeted) undo(t *rapid.T) {
	e := b.engine(b.m)
	runs, err := b.store.Runs(context.Background(), 0, 5)
	if err != nil || len(runs) == 0 {
		return
	}
	take := engine.Taking{Run: rapid.SampledFrom(runs).Draw(t, "run").ID, People: ids("risk", 6), All: rapid.Bool().Draw(t, "all")}
	pv, err := e.PreviewUndo(context.Background(), take, func(l engine.TakenBack) error {
		if l.Back.Change != nil && l.Back.Change.Kind.Destructive() {
			b.asked[l.Was.Person] = true
		}
		return nil
	})
	if err != nil {
		return
	}
	take.Digest = pv.Digest
	_, _ = e.Undo(context.Background(), take)
}

// Through all faults, approvals, rejections, undoings and comparisons, no more is taken away unasked in any seven days
// than the limits allow, nobody who is safe loses anything, and once everything is approved and the faults are over the
// target is what the source wants.
func TestBudgetsHoldThroughFaults(t *testing.T) {
	m := testMapping(t)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 2).Draw(t, "limit")
		b := &budgeted{world: newWorld(rapid.Uint64Min(1).Draw(t, "unkindness")), m: m, asked: map[dirsync.ID]bool{},
			limit: plan.Limit{Count: n, Share: plan.Unbounded, Floor: n}}
		b.limits.Deletes, b.limits.Deactivations = plan.Every(b.limit), plan.Every(b.limit)
		action := plan.Action(rapid.IntRange(0, 1).Draw(t, "policy"))
		if action == plan.Delete {
			b.limit.Count, b.limit.Floor = 2*n, 2*n // so many deletions, and so many deactivations
		}
		b.policy = plan.Policy{WhenDeleted: action, WhenOutOfScope: action, Grace: time.Duration(rapid.SampledFrom([]int{0, 10}).Draw(t, "grace")) * day}
		everyone := append(ids("safe", 3), ids("risk", 6)...)
		for i, id := range everyone {
			b.src.Put(id, person(fmt.Sprint("P", i), fmt.Sprintf("p%d@x.org", i)))
		}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "changes") {
				b.mutate(t, everyone)
			}
			b.now = b.now.Add(time.Duration(rapid.IntRange(1, 80).Draw(t, "hours")) * time.Hour)
			b.faults.arm(rapid.Uint64().Draw(t, "faults"), rapid.SampledFrom([]int{0, 3, 15}).Draw(t, "percent"), rapid.SampledFrom([]int{0, 10, 50}).Draw(t, "dying"))
			b.watch(t, func() {
				switch rapid.IntRange(0, 7).Draw(t, "who acts") {
				case 0, 1:
					b.decide(t, true)
				case 2:
					b.decide(t, false)
				case 3:
					b.undo(t)
				default:
					_, _ = b.engine(m).Run(context.Background(), engine.Options{RetryNow: rapid.Bool().Draw(t, "retry now"), Compare: rapid.Bool().Draw(t, "compare")})
				}
			})
			b.faults.disarm()
			b.check(t.Fatalf)
		}
		b.finish(t)
	})
}

// finish makes everybody's record new, so that no decision stands any more, and approves whatever is held.
func (b *budgeted) finish(t *rapid.T) {
	gone := map[dirsync.ID]bool{}
	for i, id := range b.src.IDs() {
		_, there := b.src.Attrs(id)
		gone[id] = !there
		b.src.Put(id, map[string]any{"displayName": fmt.Sprint("Finish ", i)})
	}
	if _, err := b.engine(b.m).Run(context.Background(), engine.Options{RetryNow: true}); err != nil {
		t.Fatalf("without faults: %v", err)
	}
	for _, id := range b.src.IDs() {
		if gone[id] {
			b.src.Remove(id)
		}
	}
	for range 5 {
		if _, err := b.engine(b.m).Run(context.Background(), engine.Options{RetryNow: true}); err != nil {
			t.Fatalf("without faults: %v", err)
		}
		b.check(t.Fatalf)
		b.approveAll(t)
		b.now = b.now.Add(b.policy.Grace)
	}
	b.settled(func(format string, args ...any) {
		holds, _ := b.store.Holds(context.Background(), 0, 5)
		t.Fatalf(format+"\n%s\n%v\n%+v", append(args, b.src, b.target.Accounts(), holds)...)
	})
}

func (b *budgeted) approveAll(t *rapid.T) {
	holds, err := b.store.Holds(context.Background(), 0, 20)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range holds {
		if h.Status != dirsync.HoldOpen {
			continue
		}
		if _, err := b.engine(b.m).Approve(context.Background(), engine.Verdict{Hold: h.ID, Digest: h.Digest, By: "test"}); err != nil {
			t.Fatalf("approve %s: %v", h.Name(), err)
		}
	}
}
