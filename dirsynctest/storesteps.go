package dirsynctest

import (
	"errors"
	"slices"
	"time"

	"dirsync"
)

func (t *storeTest) debts() {
	t.merge(record(1), record(2), record(3))
	t.same("owed", t.owedSeqs(), []dirsync.Seq{1, 2, 3})
	run, owed := t.run(), t.owed()
	later := t.now.Add(time.Hour)
	t.must(t.Decide(t.ctx, run, []dirsync.Decision{
		{Seq: 1, Mark: owed[0].Owed.Mark},
		{Seq: 2, Mark: owed[1].Owed.Mark, Wait: true, Next: dirsync.Owed{Why: dirsync.WhyGrace, Due: later, Attempts: 2, Error: "e"}},
		{Seq: 3, Mark: owed[2].Owed.Mark + 1000},
	}))
	t.same("still due", t.owedSeqs(), []dirsync.Seq{3})
	t.same("totals", t.totals(), dirsync.Totals{People: 3, Owed: 2, Failing: 1})
	waiting := dirsync.Owed{Mark: 1, Why: dirsync.WhyGrace, Since: t.now, Due: later, Attempts: 2, Error: "e"}
	t.same("waiting", t.person(2).Owed, waiting)
	since := t.now
	t.now = later
	t.same("due later", t.owedSeqs(), []dirsync.Seq{2, 3})

	before := t.owed()[0].Owed.Mark
	t.merge(record(2, "a", "1"))
	waiting.Why, waiting.Due, waiting.Since = dirsync.WhyRecord, time.Time{}, since
	t.same("raised", t.person(2).Owed, waiting)
	if t.owed()[0].Owed.Mark == before {
		t.Error("a raised debt has the same mark")
	}
	t.must(t.Decide(t.ctx, run, []dirsync.Decision{{Seq: 2, Mark: before}}))
	t.same("settled with an old mark", t.person(2).Owed, waiting)
}

func (t *storeTest) owesAll() {
	t.merge(record(1), record(2), record(3), tombstone(3, dirsync.GoneSoft), record(4))
	run, owed := t.run(), t.owed()
	due := t.now.Add(24 * time.Hour)
	t.must(t.Decide(t.ctx, run, []dirsync.Decision{
		{Seq: 1, Mark: owed[0].Owed.Mark},
		{Seq: 2, Mark: owed[1].Owed.Mark, Wait: true, Next: dirsync.Owed{Why: dirsync.WhyFailed, Due: due, Attempts: 3, Error: "no"}},
	}))
	t0 := t.now
	t.now = t.now.Add(time.Hour)
	t.state = dirsync.ReadState{Round: 1, Fingerprint: "new"}
	t.must(t.OweAll(t.ctx, dirsync.WhyConfig, t.state, t.now))
	state, err := t.ReadState(t.ctx)
	t.must(err)
	t.same("state", state, t.state)
	t.same("owed", t.owedSeqs(), []dirsync.Seq{1, 2, 3, 4})
	t.same("totals", t.totals(), dirsync.Totals{People: 3, Gone: 1, Owed: 4, Failing: 1})
	t.same("owed anew", t.person(1).Owed, dirsync.Owed{Mark: 1, Why: dirsync.WhyConfig, Since: t.now})
	t.same("owed before", t.person(2).Owed, dirsync.Owed{Mark: 1, Why: dirsync.WhyConfig, Since: t0, Attempts: 3, Error: "no"})
	if t.owed()[1].Owed.Mark == owed[1].Owed.Mark {
		t.Error("the mark is the same")
	}
	t1 := t.now
	t.merge(record(5))
	t.settle(run, 1)
	t.now = t.now.Add(time.Hour)
	t.must(t.OweAll(t.ctx, dirsync.WhyConfig, t.state, t.now))
	t.same("owed a second time", t.person(1).Owed.Since, t.now)
	t.same("owed since the first time", t.person(4).Owed.Since, t0)
	t.same("owed by record", t.person(5).Owed.Since, t1)
	t.merge(record(4, "x", "1"), record(1, "x", "1"))
	t.same("raised", t.person(4).Owed, dirsync.Owed{Mark: 1, Why: dirsync.WhyRecord, Since: t0})
	t.same("raised a fresh one", t.person(1).Owed, dirsync.Owed{Mark: 1, Why: dirsync.WhyRecord, Since: t.now})
	t.settleAll(run)
	t.same("totals when settled", t.totals(), dirsync.Totals{People: 4, Gone: 1})
	t.same("nobody is owed", t.owedSeqs(), []dirsync.Seq(nil))
}

func (t *storeTest) owesSome() {
	t.merge(record(1), record(2), record(3), tombstone(3, dirsync.GoneSoft), record(4), record(5))
	run, owed := t.run(), t.owed()
	due := t.now.Add(24 * time.Hour)
	t.must(t.Decide(t.ctx, run, []dirsync.Decision{
		{Seq: 1, Mark: owed[0].Owed.Mark}, {Seq: 3, Mark: owed[2].Owed.Mark}, {Seq: 4, Mark: owed[3].Owed.Mark}, {Seq: 5, Mark: owed[4].Owed.Mark},
		{Seq: 2, Mark: owed[1].Owed.Mark, Wait: true, Next: dirsync.Owed{Why: dirsync.WhyFailed, Due: due, Attempts: 3, Error: "no"}},
	}))
	t0 := t.now
	t.now = t.now.Add(time.Hour)
	unknown, err := t.Owe(t.ctx, []dirsync.ID{personID(9), personID(3), personID(2), personID(8), personID(1), personID(1)}, dirsync.WhyGroups, t.now)
	t.must(err)
	t.same("unknown", unknown, []dirsync.ID{personID(9), personID(8)})
	t.same("owed", t.owedSeqs(), []dirsync.Seq{1, 2, 3})
	t.same("owed anew", t.person(1).Owed, dirsync.Owed{Mark: 1, Why: dirsync.WhyGroups, Since: t.now})
	t.same("gone and owed", t.person(3).Owed, dirsync.Owed{Mark: 1, Why: dirsync.WhyGroups, Since: t.now})
	t.same("owed before", t.person(2).Owed, dirsync.Owed{Mark: 1, Why: dirsync.WhyGroups, Since: t0, Attempts: 3, Error: "no"})
	if t.owed()[1].Owed.Mark == owed[1].Owed.Mark {
		t.Error("the mark is the same")
	}
	t.must(t.OweAll(t.ctx, dirsync.WhyConfig, t.state, t.now))
	t.now = t.now.Add(time.Hour)
	_, err = t.Owe(t.ctx, []dirsync.ID{personID(4)}, dirsync.WhyGroups, t.now)
	t.must(err)
	t.same("owed together with everybody", t.person(4).Owed, dirsync.Owed{Mark: 1, Why: dirsync.WhyGroups, Since: t.now.Add(-time.Hour)})
	t.same("totals", t.totals(), dirsync.Totals{People: 4, Gone: 1, Owed: 5, Failing: 1})
	unknown, err = t.Owe(t.ctx, nil, dirsync.WhyGroups, t.now)
	t.must(err)
	t.same("unknown of none", len(unknown), 0)
}

// settle settles one person who is due.
func (t *storeTest) settle(run dirsync.RunID, seq dirsync.Seq) {
	t.Helper()
	for _, p := range t.owed() {
		if p.Seq == seq {
			t.must(t.Decide(t.ctx, run, []dirsync.Decision{{Seq: p.Seq, Mark: p.Owed.Mark}}))
		}
	}
}

func rejection(n int, reason string) *dirsync.Rejection {
	return &dirsync.Rejection{ID: personID(n), User: "u@a.example", Name: "U", Faults: []dirsync.Fault{
		{Field: dirsync.EmailAddress, Value: "x", Reason: reason}, {Field: "age", Reason: "is required"}}}
}

func (t *storeTest) rejections() []dirsync.Rejection {
	t.Helper()
	out, _, err := t.Rejections(t.ctx, 0, 100)
	t.must(err)
	return out
}

func (t *storeTest) decides() {
	t.merge(record(1), record(2), record(3), record(4))
	run, owed := t.run(), t.owed()
	create, update := planned(dirsync.Create, owed[0]), planned(dirsync.Update, owed[1])
	t.must(t.Decide(t.ctx, run, []dirsync.Decision{
		{Seq: 1, Mark: owed[0].Owed.Mark, Change: &create},
		{Seq: 2, Mark: owed[1].Owed.Mark, Change: &update},
		{Seq: 3, Mark: owed[2].Owed.Mark, Rejection: rejection(3, "is bad")},
		{Seq: 4, Mark: owed[3].Owed.Mark + 1000, Rejection: rejection(4, "is old")},
	}))
	t.same("owed", t.owedSeqs(), []dirsync.Seq{1, 2, 4})
	t.same("rejected", t.rejections(), []dirsync.Rejection{*rejection(3, "is bad"), *rejection(4, "is old")})
	t.same("totals", t.totals(), dirsync.Totals{People: 4, Owed: 3, Rejected: 2})
	for kind, want := range map[dirsync.ChangeKind][]dirsync.Change{dirsync.Create: {create}, dirsync.Update: {update}, dirsync.Delete: nil} {
		got, err := t.Plan(t.ctx, run, kind, 0, 10)
		t.must(err)
		t.same("plan", got, want)
	}
	outcomes, err := t.Outcomes(t.ctx, run, dirsync.PlanKey{}, 10)
	t.must(err)
	t.same("outcomes of a plan", outcomes, []dirsync.Outcome{{Change: update}, {Change: create}})

	t.must(t.Decide(t.ctx, run, []dirsync.Decision{
		{Seq: 3, Rejection: rejection(3, "is worse")},
		{Seq: 4, Mark: owed[3].Owed.Mark + 1000},
	}))
	t.same("rejected anew", t.rejections(), []dirsync.Rejection{*rejection(3, "is worse")})
	t.must(t.Decide(t.ctx, run, []dirsync.Decision{{Seq: 3, Mark: 5}}))
	t.same("totals", t.totals(), dirsync.Totals{People: 4, Owed: 3})
}

func (t *storeTest) settles() {
	t.merge(record(1), record(2), record(3), record(4))
	run, owed := t.run(), t.owed()
	create, update := planned(dirsync.Create, owed[0]), planned(dirsync.Update, owed[1])
	other, held := planned(dirsync.Create, owed[2]), planned(dirsync.Delete, owed[3])
	t.plan(run, create, update, other, held)
	due := t.now.Add(time.Hour)
	heldLink := dirsync.Link{Account: "a4", Active: false, DeactivatedAt: t.now, Doubt: dirsync.Delete}
	t.must(t.Settle(t.ctx, run, []dirsync.Outcome{
		{Change: held, Result: dirsync.HeldBack, Link: heldLink, Owed: &dirsync.Owed{Why: dirsync.WhyHeld, Mark: 77}, Error: "too many"},
		{Change: update, Result: dirsync.Failed, Link: dirsync.Link{Account: "a2", Active: true}, Owed: &dirsync.Owed{
			Why: dirsync.WhyFailed, Since: t.now.Add(-time.Minute), Due: due, Attempts: 1, Error: "down"}, Error: "down"},
	}, keyOf(update)))
	t.must(t.Settle(t.ctx, run, []dirsync.Outcome{
		done(create, "a1"),
		{Change: other, Result: dirsync.Refused, Rejection: rejection(3, "is taken"), Owed: &dirsync.Owed{Why: dirsync.WhyConflict}},
	}, keyOf(other)))
	t.same("totals", t.totals(), dirsync.Totals{People: 4, Active: 2, Inactive: 1, Rejected: 1, Owed: 3, Failing: 1})
	t.same("done", t.person(1).Link, dirsync.Link{Account: "a1", Active: true, Held: create.After})
	t.same("done owes nothing", t.person(1).Owed, dirsync.Owed{})
	t.same("failed", t.person(2).Owed, dirsync.Owed{Mark: 1, Why: dirsync.WhyFailed, Since: t.now.Add(-time.Minute), Due: due, Attempts: 1, Error: "down"})
	t.same("refused", t.person(3).Owed, dirsync.Owed{Mark: 1, Why: dirsync.WhyConflict, Since: t.now})
	t.same("held", t.person(4).Link, heldLink)
	standings, err := t.Standings(t.ctx, []dirsync.Seq{4, 99, 1})
	t.must(err)
	for i := range standings {
		standings[i].Owed.Mark = min(standings[i].Owed.Mark, 1)
	}
	t.same("standings", standings, []dirsync.Standing{{Link: heldLink, Owed: t.person(4).Owed}, {}, {Link: t.person(1).Link}})
	outcomes, err := t.Outcomes(t.ctx, run, dirsync.PlanKey{}, 10)
	t.must(err)
	t.same("outcomes", outcomes, []dirsync.Outcome{
		{Change: held, Result: dirsync.HeldBack, Error: "too many"},
		{Change: update, Result: dirsync.Failed, Error: "down"},
		{Change: create, Result: dirsync.Done},
		{Change: other, Result: dirsync.Refused, Rejection: rejection(3, "is taken")},
	})

	t.must(t.Settle(t.ctx, run, []dirsync.Outcome{done(other, "a3"), {Change: create, Result: dirsync.Failed, Error: "gone"}}, keyOf(other)))
	t.same("settled twice", t.totals(), dirsync.Totals{People: 4, Active: 2, Inactive: 1, Owed: 2, Failing: 1})
	outcomes, err = t.Outcomes(t.ctx, run, keyOf(update), 10)
	t.must(err)
	t.same("outcomes of the second settlement", outcomes, []dirsync.Outcome{
		{Change: create, Result: dirsync.Failed, Error: "gone"}, {Change: other, Result: dirsync.Done}})
	t.same("forgotten link", t.person(1).Link, dirsync.Link{})
}

func (t *storeTest) settlesLate() {
	t.merge(record(1), record(2))
	run, owed := t.run(), t.owed()
	changes := []dirsync.Change{planned(dirsync.Create, owed[0]), planned(dirsync.Create, owed[1])}
	t.plan(run, changes...)
	t.merge(record(1, "a", "1"))
	later := dirsync.Owed{Why: dirsync.WhyFailed, Due: t.now.Add(time.Hour), Attempts: 1}
	t.must(t.Settle(t.ctx, run, []dirsync.Outcome{
		{Change: changes[0], Result: dirsync.Failed, Link: dirsync.Link{Doubt: dirsync.Create}, Owed: &later}, done(changes[1], "a2"),
	}, keyOf(changes[1])))
	t.same("raised", t.person(1).Owed, dirsync.Owed{Mark: 1, Why: dirsync.WhyRecord, Since: t.now})
	t.same("in doubt", t.person(1).Link, dirsync.Link{Doubt: dirsync.Create})
	t.same("settled", t.person(2).Owed, dirsync.Owed{})
	t.must(t.Settle(t.ctx, run, []dirsync.Outcome{{Change: changes[1], Result: dirsync.Failed, Link: dirsync.Link{Account: "a2", Active: true}, Owed: &later}}, keyOf(changes[1])))
	t.same("owed although nothing was", t.person(2).Owed.Due, later.Due)
	t.same("totals", t.totals(), dirsync.Totals{People: 2, Active: 1, Owed: 2, Failing: 1})
}

func (t *storeTest) doubts() {
	for n := 1; n <= 6; n++ {
		t.merge(record(n))
	}
	run, owed := t.run(), t.owed()
	kinds := []dirsync.ChangeKind{dirsync.Create, dirsync.Create, dirsync.Update, dirsync.Update, dirsync.Delete, dirsync.Create}
	var changes []dirsync.Change
	for i, p := range owed {
		changes = append(changes, planned(kinds[i], p))
	}
	t.plan(run, changes...)
	t.must(t.Settle(t.ctx, run, []dirsync.Outcome{done(changes[4], ""), done(changes[2], "a3")}, keyOf(changes[2])))
	t.settle(run, 2)
	t.now = t.now.Add(time.Hour)
	n, err := t.Doubt(t.ctx, run, 2, nil, t.now)
	t.must(err)
	t.same("marked", n, 2)
	for i, want := range []dirsync.ChangeKind{dirsync.Create, 0, 0, dirsync.Update, 0, 0} {
		t.same("doubt", t.person(i+1).Link.Doubt, want)
	}
	t.same("owed", t.person(4).Owed, dirsync.Owed{Mark: 1, Why: dirsync.WhyDoubt, Since: t.now.Add(-time.Hour)})
	n, err = t.Doubt(t.ctx, run, 100, func(c dirsync.Change) bool { return c.Kind == dirsync.Update }, t.now)
	t.must(err)
	t.same("marked without updates", n, 3)
	t.same("owed again", t.person(2).Owed, dirsync.Owed{Mark: 1, Why: dirsync.WhyDoubt, Since: t.now})
	var asked []dirsync.Change
	n, err = t.Doubt(t.ctx, run, 100, func(c dirsync.Change) bool { asked = append(asked, c); return true }, t.now)
	t.must(err)
	t.same("marked when all are to be left out", n, 0)
	t.same("what is asked about", asked, []dirsync.Change{changes[3], changes[0], changes[1], changes[5]})
	n, err = t.Doubt(t.ctx, run, 0, nil, t.now)
	t.must(err)
	t.same("marked of none", n, 0)
	t.same("totals", t.totals(), dirsync.Totals{People: 6, Active: 1, Owed: 4})
}

func (t *storeTest) runs() {
	var want []dirsync.Run
	for i := range 5 {
		r := dirsync.Run{Sync: "test", Status: dirsync.Running, Phase: dirsync.PhaseRead, Started: t.now.Add(time.Duration(i) * time.Minute), AskedBy: "test"}
		id, err := t.NewRun(t.ctx, r)
		t.must(err)
		if i > 0 && id <= want[0].ID {
			t.Fatalf("run %d comes after run %d", id, want[0].ID)
		}
		r.ID = id
		want = append([]dirsync.Run{r}, want...)
	}
	want[2].Status, want[2].Phase, want[2].Ended = dirsync.PartialSuccess, dirsync.PhaseEnded, t.now.Add(time.Hour)
	want[2].Counts = dirsync.Counts{Read: 1, Created: 2, Updated: 3, Deactivated: 4, Reactivated: 5, Deleted: 6, Unchanged: 7, Rejected: 8, Held: 9, Failed: 10}
	want[2].Requests, want[2].Batch, want[2].Error = dirsync.Requests{Source: 1, Target: 2}, 7, "e"
	want[2].Holds = []dirsync.Hold{{Kind: dirsync.Deletion, Count: 3, Allowed: 2, Reason: "too many"}}
	want[2].Spent, want[2].Undoes = dirsync.Spent{Deletions: 1, Deactivations: 2, Removals: 3, Blankings: 4}, want[4].ID
	want[2].Groups = &dirsync.GroupRun{Run: 12, Status: dirsync.Success, Counts: dirsync.Counts{Created: 1}, Holds: []dirsync.Hold{{ID: 3, Kind: dirsync.Removal}}}
	want[2].Warnings, want[2].Notes = []string{"warning"}, []string{"note"}
	t.must(t.SaveRun(t.ctx, want[2]))
	got, err := t.Runs(t.ctx, 0, 10)
	t.must(err)
	t.same("runs", got, want)
	got[2].Groups.Holds[0].Count, got[2].Warnings[0] = 9, "changed"
	got, err = t.Runs(t.ctx, 0, 10)
	t.must(err)
	t.same("runs after the caller changed them", got, want)
	got, err = t.Runs(t.ctx, 0, 2)
	t.must(err)
	t.same("two runs", got, want[:2])
	got, err = t.Runs(t.ctx, want[1].ID, 2)
	t.must(err)
	t.same("the next two", got, want[2:4])
	got, err = t.Runs(t.ctx, want[4].ID, 2)
	t.must(err)
	t.same("none is older", len(got), 0)
	got, err = t.Runs(t.ctx, want[0].ID+100, 1)
	t.must(err)
	t.same("before one that is not there", got, want[:1])
}

func (t *storeTest) pages() {
	var records []dirsync.Record
	for n := 1; n <= 7; n++ {
		records = append(records, record(n))
	}
	t.merge(records...)
	run, owed := t.run(), t.owed()
	var changes []dirsync.Change
	var decisions []dirsync.Decision
	for i, p := range owed {
		changes = append(changes, planned(dirsync.ChangeKinds()[i%2], p))
		decisions = append(decisions, dirsync.Decision{Seq: p.Seq, Rejection: rejection(int(p.Seq), "r")})
	}
	t.plan(run, changes...)
	t.must(t.Decide(t.ctx, run, decisions))
	all := []dirsync.Seq{1, 2, 3, 4, 5, 6, 7}
	t.same("people", walk(t, func(after dirsync.Seq) (seqs []dirsync.Seq) {
		rows, err := t.People(t.ctx, after, 3)
		t.must(err)
		for _, p := range rows {
			seqs = append(seqs, p.Seq)
		}
		return seqs
	}), all)
	t.same("owed", walk(t, func(after dirsync.Seq) (seqs []dirsync.Seq) {
		rows, err := t.Owed(t.ctx, t.now, after, 3)
		t.must(err)
		for _, p := range rows {
			seqs = append(seqs, p.Seq)
		}
		return seqs
	}), all)
	t.same("unconfirmed", walk(t, func(after dirsync.Seq) (seqs []dirsync.Seq) {
		rows, err := t.Unconfirmed(t.ctx, 1, after, 3)
		t.must(err)
		for _, c := range rows {
			seqs = append(seqs, c.Seq)
		}
		return seqs
	}), all)
	t.same("plan", walk(t, func(after dirsync.Seq) (seqs []dirsync.Seq) {
		rows, err := t.Plan(t.ctx, run, dirsync.Delete, after, 3)
		t.must(err)
		for _, c := range rows {
			seqs = append(seqs, c.Seq)
		}
		return seqs
	}), []dirsync.Seq{1, 3, 5, 7})
	last := dirsync.Seq(0)
	for _, want := range []int{3, 3, 1, 0} {
		rows, next, err := t.Rejections(t.ctx, last, 3)
		t.must(err)
		t.same("rejections", len(rows), want)
		t.same("the last of them", next, last+dirsync.Seq(want))
		last = next
	}
	var keys []dirsync.PlanKey
	for after := (dirsync.PlanKey{}); ; {
		rows, err := t.Outcomes(t.ctx, run, after, 3)
		t.must(err)
		for _, o := range rows {
			after = keyOf(o.Change)
			keys = append(keys, after)
		}
		if len(rows) < 3 {
			break
		}
	}
	var want []dirsync.PlanKey
	for _, c := range changes {
		want = append(want, keyOf(c))
	}
	slices.SortFunc(want, comparePlanKeys)
	t.same("outcomes", keys, want)
}

// walk goes through a list three at a time.
func walk(t *storeTest, page func(after dirsync.Seq) []dirsync.Seq) (all []dirsync.Seq) {
	t.Helper()
	for after := dirsync.Seq(0); ; {
		rows := page(after)
		all = append(all, rows...)
		if len(rows) < 3 {
			return all
		}
		after = rows[len(rows)-1]
	}
}

func (t *storeTest) refuses() {
	t.merge(record(1))
	run, mark := t.run(), t.owed()[0].Owed.Mark
	change := planned(dirsync.Create, t.owed()[0])
	stranger := change
	stranger.Seq = 99
	unknown := run + 100
	for name, err := range map[string]error{
		"Decide for nobody":      t.Decide(t.ctx, run, []dirsync.Decision{{Seq: 1, Mark: mark}, {Seq: 2}}),
		"Decide for Seq 0":       t.Decide(t.ctx, run, []dirsync.Decision{{Seq: 1, Mark: mark}, {}}),
		"Decide in no run":       t.Decide(t.ctx, unknown, []dirsync.Decision{{Seq: 1, Mark: mark}}),
		"Settle for nobody":      t.Settle(t.ctx, run, []dirsync.Outcome{done(change, "a1"), done(stranger, "a2")}, keyOf(change)),
		"Settle in no run":       t.Settle(t.ctx, unknown, []dirsync.Outcome{done(change, "a1")}, keyOf(change)),
		"Plan of no run":         second(t.Plan(t.ctx, unknown, dirsync.Create, 0, 1)),
		"Outcomes of no run":     second(t.Outcomes(t.ctx, unknown, dirsync.PlanKey{}, 1)),
		"Doubt of no run":        second(t.Doubt(t.ctx, unknown, 1, nil, t.now)),
		"SaveRun of no run":      t.SaveRun(t.ctx, dirsync.Run{ID: unknown}),
		"Person that is nowhere": second(t.Person(t.ctx, "nobody")),
	} {
		if e, ok := errors.AsType[*dirsync.Error](err); !ok || e.Kind != dirsync.NotFound {
			t.Errorf("%s: got %v, want an *Error of kind NotFound", name, err)
		}
	}
	t.same("totals", t.totals(), dirsync.Totals{People: 1, Owed: 1})
	outcomes, err := t.Outcomes(t.ctx, run, dirsync.PlanKey{}, 10)
	t.must(err)
	t.same("plan", len(outcomes), 0)
}
