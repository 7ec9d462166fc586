package dirsynctest

import (
	"context"
	"errors"
	"slices"
	"time"

	"pgregory.net/rapid"

	"dirsync"
	"dirsync/sync/engine"
)

// hold makes an open hold of a run.
func (t *storeTest) hold(run dirsync.RunID, digest string) dirsync.Hold {
	t.Helper()
	h := dirsync.Hold{Sync: "test", Kind: dirsync.Removal, Groups: true, Run: run, Count: 7, Allowed: 5, People: 3, Reason: "too many",
		Digest: digest, Created: t.now, Expires: t.now.Add(time.Hour), Status: dirsync.HoldOpen}
	id, err := t.NewHold(t.ctx, h)
	t.must(err)
	h.ID = id
	return h
}

func (t *storeTest) holds() {
	run := t.run()
	var want []dirsync.Hold
	for _, digest := range []string{"a", "b", "c", "d"} {
		h := t.hold(run, digest)
		if len(want) > 0 && h.ID <= want[0].ID {
			t.Fatalf("hold %d comes after hold %d", h.ID, want[0].ID)
		}
		want = slices.Insert(want, 0, h)
	}
	want[1].Status, want[1].By, want[1].At, want[1].Why = dirsync.HoldRejected, "anna", t.now, "they stay"
	t.must(t.SaveHold(t.ctx, want[1]))
	for _, test := range []struct {
		what   string
		before dirsync.HoldID
		limit  int
		want   []dirsync.Hold
	}{
		{"all", 0, 10, want},
		{"the newest two", 0, 2, want[:2]},
		{"those before", want[1].ID, 10, want[2:]},
		{"one before", want[0].ID, 1, want[1:2]},
		{"before the oldest", want[3].ID, 10, nil},
		{"before one that is not there", want[0].ID + 100, 1, want[:1]},
		{"none", 0, 0, nil},
	} {
		got, err := t.Holds(t.ctx, test.before, test.limit)
		t.must(err)
		t.same(test.what, got, test.want)
	}
	unknown := want[0]
	unknown.ID += 100
	if err := t.SaveHold(t.ctx, unknown); dirsync.KindOf(err) != dirsync.NotFound {
		t.Errorf("got %v for a hold that is not there, want NotFound", err)
	}
}

func (t *storeTest) marked() []dirsync.Mark {
	t.Helper()
	out, err := t.Marked(t.ctx, 0, 100)
	t.must(err)
	return out
}

func (t *storeTest) marks() {
	t.merge(record(1), record(2), record(3), tombstone(3, dirsync.GoneSoft))
	none, err := t.Marks(t.ctx, []dirsync.Seq{1, 2})
	t.must(err)
	if none != nil {
		t.Errorf("got %v where nobody has a mark, want nil", none)
	}
	kept := dirsync.Mark{Seq: 1, Kind: dirsync.Kept, Danger: dirsync.Deletion, Digest: "d", Hold: 3, Undone: 4, By: "anna", Why: "stays", At: t.now}
	all := dirsync.Mark{Seq: 1, Kind: dirsync.Kept, Digest: "e", At: t.now}
	approved := dirsync.Mark{Seq: 1, Kind: dirsync.Approved, Danger: dirsync.Blanking, Digest: "f"}
	other := dirsync.Mark{Seq: 3, Kind: dirsync.Kept, Danger: dirsync.Removal, Digest: "g"}
	t.must(t.Mark(t.ctx, []dirsync.Mark{other, approved, kept, all}))
	t.same("marked", t.marked(), []dirsync.Mark{all, kept, approved, other})
	t.same("totals", t.totals(), dirsync.Totals{People: 2, Gone: 1, Owed: 3, Kept: 2})
	got, err := t.Marks(t.ctx, []dirsync.Seq{3, 2, 99, 1, 3})
	t.must(err)
	t.same("marks", got, [][]dirsync.Mark{{other}, nil, nil, {all, kept, approved}, {other}})

	first, err := t.Marked(t.ctx, 0, 1)
	t.must(err)
	t.same("the first person's, however many", first, []dirsync.Mark{all, kept, approved})
	next, err := t.Marked(t.ctx, 1, 1)
	t.must(err)
	t.same("the next person's", next, []dirsync.Mark{other})
	end, err := t.Marked(t.ctx, 3, 1)
	t.must(err)
	t.same("none after the last", len(end), 0)

	all.Kind, kept.Kind = dirsync.Approved, dirsync.Approved
	t.must(t.Mark(t.ctx, []dirsync.Mark{all}))
	t.same("one of two replaced", t.totals().Kept, 2)
	t.must(t.Mark(t.ctx, []dirsync.Mark{kept}))
	t.same("both replaced", t.totals().Kept, 1)
	t.same("replaced", t.marked(), []dirsync.Mark{all, kept, approved, other})
	t.must(t.Unmark(t.ctx, []dirsync.Mark{{Seq: 3, Danger: dirsync.Removal}, {Seq: 3, Danger: dirsync.Deletion}, {Seq: 99}, {Seq: 1}}))
	t.same("taken away", t.marked(), []dirsync.Mark{kept, approved})
	t.same("nobody is kept", t.totals().Kept, 0)
	t.must(t.Unmark(t.ctx, []dirsync.Mark{kept, approved, kept}))
	none, err = t.Marks(t.ctx, []dirsync.Seq{1})
	t.must(err)
	if none != nil {
		t.Errorf("got %v where nobody has a mark any more, want nil", none)
	}
}

func (t *storeTest) looksUpPlans() {
	t.merge(record(1), record(2), record(3))
	run, owed := t.run(), t.owed()
	create, remove, update := planned(dirsync.Create, owed[0]), planned(dirsync.Delete, owed[2]), planned(dirsync.Update, owed[1])
	update.Asked, update.Join = dirsync.Blanking|dirsync.Removal, dirsync.EmailAddress
	t.plan(run, create, remove, update)
	keys := []dirsync.PlanKey{keyOf(update), {Kind: dirsync.Create, Seq: 2}, keyOf(create), {}, keyOf(remove), keyOf(update), {Kind: dirsync.Create, Seq: 99}}
	got, err := t.Planned(t.ctx, run, keys)
	t.must(err)
	t.same("planned", got, []dirsync.Change{update, {}, create, {}, remove, update, {}})
	for what, run := range map[string]dirsync.RunID{"a run without a plan": t.run(), "no run": run + 100} {
		got, err := t.Planned(t.ctx, run, keys)
		t.must(err)
		t.same(what, got, make([]dirsync.Change, len(keys)))
	}
	got, err = t.Planned(t.ctx, run, nil)
	t.must(err)
	t.same("nothing", len(got), 0)
}

func (t *storeTest) corrects() {
	t.merge(record(1), record(2), record(3))
	run, owed := t.run(), t.owed()
	changes := []dirsync.Change{planned(dirsync.Create, owed[0]), planned(dirsync.Create, owed[1])}
	t.plan(run, changes...)
	one, two := done(changes[0], "a1"), done(changes[1], "a2")
	one.Differs, two.Differs = true, true
	t.must(t.Settle(t.ctx, run, []dirsync.Outcome{one, two}, keyOf(changes[1])))
	since := t.now
	t.now = t.now.Add(time.Hour)
	link := dirsync.Link{Account: "a1", Held: values("x", "x@a.example"), DeactivatedAt: t.now, Joined: dirsync.EmailAddress}
	found := dirsync.Link{Account: "a3", Active: true}
	t.must(t.Correct(t.ctx, map[dirsync.Seq]dirsync.Link{1: link, 2: {}, 3: found}, t.now))
	t.same("changed", t.person(1).Link, link)
	t.same("forgotten", t.person(2).Link, dirsync.Link{})
	t.same("found", t.person(3).Link, found)
	t.same("owed", t.person(2).Owed, dirsync.Owed{Mark: 1, Why: dirsync.WhyDrift, Since: t.now})
	t.same("owed before", t.person(3).Owed, dirsync.Owed{Mark: 1, Why: dirsync.WhyDrift, Since: since})
	totals := dirsync.Totals{People: 3, Active: 1, Inactive: 1, Owed: 3, Differing: 1}
	t.same("totals", t.totals(), totals)
	err := t.Correct(t.ctx, map[dirsync.Seq]dirsync.Link{1: {}, 99: found}, t.now)
	if dirsync.KindOf(err) != dirsync.NotFound {
		t.Errorf("got %v for nobody, want NotFound", err)
	}
	t.same("totals after an error", t.totals(), totals)
	t.must(t.Correct(t.ctx, nil, t.now))
}

func (t *storeTest) tellsChangesOf() {
	t.merge(record(1), record(2))
	owed := t.owed()
	first, second := t.run(), t.run()
	create, remove, update := planned(dirsync.Create, owed[0]), planned(dirsync.Delete, owed[0]), planned(dirsync.Update, owed[0])
	t.plan(first, create, planned(dirsync.Create, owed[1]))
	t.plan(second, update, remove)
	t.run()
	t.must(t.Settle(t.ctx, first, []dirsync.Outcome{done(create, "a1")}, keyOf(create)))
	refused := dirsync.Outcome{Change: update, Result: dirsync.Refused, Rejection: rejection(1, "is bad"), Error: "no", Link: t.person(1).Link}
	t.must(t.Settle(t.ctx, second, []dirsync.Outcome{refused}, keyOf(update)))
	refused.Link = dirsync.Link{}
	want := []engine.PersonChange{{Run: second, Outcome: dirsync.Outcome{Change: remove}}, {Run: second, Outcome: refused},
		{Run: first, Outcome: dirsync.Outcome{Change: create, Result: dirsync.Done}}}
	for limit := range 4 {
		got, err := t.ChangesOf(t.ctx, 1, limit)
		t.must(err)
		t.same("changes", got, want[:limit])
	}
	got, err := t.ChangesOf(t.ctx, 99, 10)
	t.must(err)
	t.same("changes of nobody", len(got), 0)
}

// redoes goes through rounds that are not of everybody, of which some are begun again.
func (t *storeTest) redoes() {
	batch := func(open, full, redo bool, records ...dirsync.Record) {
		t.Helper()
		t.state.Open, t.state.Full, t.state.Redo = open, full, redo
		t.merge(records...)
	}
	whole := func(n int) dirsync.Record { r := record(n); r.Whole = true; return r }
	batch(false, true, false, record(1), record(2), record(3), record(4), record(5), record(6), tombstone(6, dirsync.GoneSoft))
	t.must(t.EndRound(t.ctx, dirsync.ReadState{Round: 1}))

	t.state.Round = 2
	batch(true, false, false, record(1), tombstone(2, dirsync.GoneHard), tombstone(99, dirsync.GoneHard))
	batch(true, false, true, record(7), tombstone(6, dirsync.GoneHard))
	batch(false, false, true, record(3), whole(4))
	t.same("whom any attempt mentioned", t.unconfirmed(2), []int{1, 2, 3, 4, 6, 7})
	page, err := t.Unconfirmed(t.ctx, 2, 2, 2)
	t.must(err)
	t.same("some of them", page, []dirsync.Candidate{{Seq: 3, ID: personID(3)}, {Seq: 4, ID: personID(4)}})
	batch(false, false, true, whole(1), tombstone(2, dirsync.GoneHard), record(3), whole(5), tombstone(6, dirsync.GoneSoft))
	t.same("who was not looked up yet", t.unconfirmed(2), []int{3, 4, 7})
	t.must(t.EndRound(t.ctx, dirsync.ReadState{Round: 2, Redo: true}))
	t.same("nobody after the end", t.unconfirmed(2), []int(nil))

	batch(true, false, false, record(1))
	batch(false, false, false, record(3))
	batch(false, false, true, record(4))
	t.same("nobody after a round that was read at once", t.unconfirmed(2), []int(nil))

	batch(true, false, false, record(1))
	batch(true, true, false, record(3))
	batch(false, true, false, record(4), record(5), record(7))
	t.same("a round of everybody shows who is missing", t.unconfirmed(2), []int{1})
	t.must(t.EndRound(t.ctx, dirsync.ReadState{Round: 2}))
	batch(true, false, true, record(5))
	batch(false, false, true)
	t.same("and forgets whom the round before it mentioned", t.unconfirmed(2), []int{5})
}

// refusesDecisions checks that what concerns nobody has no effect, and that every method looks at its context.
func (t *storeTest) refusesDecisions() {
	t.merge(record(1))
	run := t.run()
	t.hold(run, "a")
	err := t.Mark(t.ctx, []dirsync.Mark{{Seq: 1, Kind: dirsync.Kept}, {Seq: 99, Kind: dirsync.Kept}})
	if e, ok := errors.AsType[*dirsync.Error](err); !ok || e.Kind != dirsync.NotFound {
		t.Errorf("got %v for the mark of nobody, want NotFound", err)
	}
	ctx, cancel := context.WithCancel(t.ctx)
	cancel()
	mark := []dirsync.Mark{{Seq: 1, Kind: dirsync.Kept}}
	for name, err := range map[string]error{
		"NewHold":   second(t.NewHold(ctx, dirsync.Hold{})),
		"SaveHold":  t.SaveHold(ctx, dirsync.Hold{ID: 1}),
		"Holds":     second(t.Holds(ctx, 0, 1)),
		"Mark":      t.Mark(ctx, mark),
		"Unmark":    t.Unmark(ctx, mark),
		"Marks":     second(t.Marks(ctx, []dirsync.Seq{1})),
		"Marked":    second(t.Marked(ctx, 0, 1)),
		"Planned":   second(t.Planned(ctx, run, nil)),
		"Correct":   t.Correct(ctx, map[dirsync.Seq]dirsync.Link{1: {Account: "a"}}, t.now),
		"ChangesOf": second(t.ChangesOf(ctx, 1, 1)),
	} {
		if err == nil {
			t.Errorf("%s went on with a cancelled context", name)
		}
	}
	t.same("totals", t.totals(), dirsync.Totals{People: 1, Owed: 1})
	t.same("marks", len(t.marked()), 0)
	holds, err := t.Holds(t.ctx, 0, 10)
	t.must(err)
	t.same("holds", len(holds), 1)
}

// holdPair is one hold, as each of the two stores of a pair numbers it.
type holdPair struct{ model, store dirsync.HoldID }

func (p *pair) drawHold(r *rapid.T) (model, store dirsync.Hold) {
	run := p.aRun(r)
	h := dirsync.Hold{Sync: "test", Kind: rapid.SampledFrom(dirsync.Dangers()).Draw(r, "danger"), Count: rapid.IntRange(0, 9).Draw(r, "count"),
		Digest: "d", Created: p.now, Status: rapid.SampledFrom([]dirsync.HoldStatus{dirsync.HoldOpen, dirsync.HoldApproved}).Draw(r, "status")}
	model, store = h, h
	model.Run, store.Run = run.model, run.store
	return model, store
}

func (p *pair) newHold(r *rapid.T) {
	hm, hs := p.drawHold(r)
	m, errM := p.model.NewHold(p.ctx, hm)
	s, errS := p.store.NewHold(p.ctx, hs)
	p.both(r, "NewHold", errM, errS)
	p.holds = append(p.holds, holdPair{m, s})
}

func (p *pair) saveHold(r *rapid.T) {
	if len(p.holds) == 0 {
		r.Skip("there is no hold")
	}
	hm, hs := p.drawHold(r)
	hold := rapid.SampledFrom(p.holds).Draw(r, "hold")
	hm.ID, hs.ID = hold.model, hold.store
	p.both(r, "SaveHold", p.model.SaveHold(p.ctx, hm), p.store.SaveHold(p.ctx, hs))
}

// drawMarks draws marks of people, of whom the last may be unknown.
func (p *pair) drawMarks(r *rapid.T) []dirsync.Mark {
	return rapid.SliceOfN(rapid.Custom(func(r *rapid.T) dirsync.Mark {
		return dirsync.Mark{Seq: dirsync.Seq(rapid.IntRange(1, 8).Draw(r, "person")), At: p.now,
			Kind:   rapid.SampledFrom([]dirsync.MarkKind{dirsync.Approved, dirsync.Kept}).Draw(r, "kind"),
			Danger: rapid.SampledFrom([]dirsync.Danger{0, dirsync.Deletion, dirsync.Removal}).Draw(r, "danger"),
			Digest: rapid.SampledFrom([]string{"", "d"}).Draw(r, "digest"), By: "anna", Hold: 3}
	}), 0, 5).Draw(r, "marks")
}

func (p *pair) mark(r *rapid.T) {
	marks := p.drawMarks(r)
	errM, errS := p.model.Mark(p.ctx, marks), p.store.Mark(p.ctx, marks)
	if dirsync.KindOf(errM) != dirsync.NotFound || dirsync.KindOf(errS) != dirsync.NotFound {
		p.both(r, "Mark", errM, errS)
	}
}

func (p *pair) unmark(r *rapid.T) {
	marks := p.drawMarks(r)
	p.both(r, "Unmark", p.model.Unmark(p.ctx, marks), p.store.Unmark(p.ctx, marks))
}

func (p *pair) correct(r *rapid.T) {
	model, _ := p.people(r)
	links := map[dirsync.Seq]dirsync.Link{}
	for _, person := range model {
		if rapid.Bool().Draw(r, "correct") {
			links[person.Seq] = drawLink(r, p.now)
		}
	}
	p.both(r, "Correct", p.model.Correct(p.ctx, links, p.now), p.store.Correct(p.ctx, links, p.now))
}

func drawLink(r *rapid.T, now time.Time) dirsync.Link {
	return rapid.SampledFrom([]dirsync.Link{{}, {Account: "a", Active: true, Held: values("x", "x@a.example")}, {Account: "a", DeactivatedAt: now},
		{Doubt: dirsync.Create}, {Account: "b", Active: true, Doubt: dirsync.Update, Joined: "email"}, {Joined: "id"}}).Draw(r, "link")
}

// compareSafety compares what was decided by people, and what they may ask for.
func (p *pair) compareSafety(r *rapid.T, seqs []dirsync.Seq) {
	p.compareMarks(r, seqs)
	hm, errM := p.model.Holds(p.ctx, 0, 1000)
	hs, errS := p.store.Holds(p.ctx, 0, 1000)
	p.both(r, "Holds", errM, errS)
	runs, holds := map[dirsync.RunID]dirsync.RunID{}, map[dirsync.HoldID]dirsync.HoldID{}
	for _, run := range p.runs {
		runs[run.store] = run.model
	}
	for _, hold := range p.holds {
		holds[hold.store] = hold.model
	}
	for i := range hs {
		hs[i].ID, hs[i].Run = holds[hs[i].ID], runs[hs[i].Run]
	}
	p.equal(r, "holds", hs, hm)
	for _, seq := range append(seqs, 1000) {
		m, errM := p.model.ChangesOf(p.ctx, seq, 3)
		s, errS := p.store.ChangesOf(p.ctx, seq, 3)
		p.both(r, "ChangesOf", errM, errS)
		for i := range m {
			m[i].Outcome.Change.Mark = 0
		}
		for i := range s {
			s[i].Run, s[i].Outcome.Change.Mark = runs[s[i].Run], 0
		}
		p.equal(r, "changes", s, m)
	}
	if len(p.runs) == 0 {
		return
	}
	var keys []dirsync.PlanKey
	for _, kind := range dirsync.ChangeKinds() {
		for _, seq := range seqs {
			keys = append(keys, dirsync.PlanKey{Kind: kind, Seq: seq})
		}
	}
	run := p.runs[len(p.runs)-1]
	m, errM := p.model.Planned(p.ctx, run.model, keys)
	s, errS := p.store.Planned(p.ctx, run.store, keys)
	p.both(r, "Planned", errM, errS)
	for i := range keys {
		m[i].Mark, s[i].Mark = 0, 0
	}
	p.equal(r, "planned", s, m)
}

func (p *pair) compareMarks(r *rapid.T, seqs []dirsync.Seq) {
	m, errM := p.model.Marks(p.ctx, append(seqs, 1000))
	s, errS := p.store.Marks(p.ctx, append(seqs, 1000))
	p.both(r, "Marks", errM, errS)
	if (m == nil) != (s == nil) {
		r.Fatalf("the store's marks are nil: %v, the model's: %v", s == nil, m == nil)
	}
	p.equal(r, "marks", s, m)
	all, errM := p.model.Marked(p.ctx, 0, 1000)
	var got []dirsync.Mark
	for after := dirsync.Seq(0); ; {
		page, errS := p.store.Marked(p.ctx, after, 2)
		p.both(r, "Marked", errM, errS)
		got = append(got, page...)
		if len(page) < 2 {
			break
		}
		after = page[len(page)-1].Seq
	}
	p.equal(r, "all marks", got, all)
}
