package dirsynctest

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"dirsync"
	"dirsync/sync/engine"
)

// storeProperty does random things to a store and to the model, and compares everything that can be seen after each.
func storeProperty(t *testing.T, open func(t *testing.T) engine.Store) {
	rapid.Check(t, func(r *rapid.T) {
		p := &pair{T: r, ctx: context.Background(), model: NewStore(), store: open(t), now: storeEpoch(), state: dirsync.ReadState{Round: 1}}
		r.Repeat(map[string]func(*rapid.T){
			"merge":     p.merge,
			"new round": p.newRound,
			"end round": p.endRound,
			"owe all":   p.oweAll,
			"owe some":  p.oweSome,
			"new run":   p.newRun,
			"save run":  p.saveRun,
			"decide":    p.decide,
			"settle":    p.settle,
			"doubt":     p.doubt,
			"new hold":  p.newHold,
			"save hold": p.saveHold,
			"mark":      p.mark,
			"unmark":    p.unmark,
			"correct":   p.correct,
			"later": func(r *rapid.T) {
				p.now = p.now.Add(time.Duration(rapid.IntRange(1, 90).Draw(r, "minutes")) * time.Minute)
			},
			"": func(r *rapid.T) { p.compare(r) },
		})
	})
}

// pair is a store and the model of it.
type pair struct {
	*rapid.T
	ctx   context.Context
	model *Store
	store engine.Store
	now   time.Time
	state dirsync.ReadState
	runs  []runPair
	holds []holdPair
}

// runPair is one run, as each of the two numbers it.
type runPair struct{ model, store dirsync.RunID }

func (p *pair) both(r *rapid.T, what string, model, store error) {
	r.Helper()
	if model != nil || store != nil {
		r.Fatalf("%s: the store says %v, the model %v", what, store, model)
	}
}

func (p *pair) equal(r *rapid.T, what string, store, model any) {
	r.Helper()
	if reflect.DeepEqual(store, model) { // nearly always, and far quicker
		return
	}
	if diff := cmp.Diff(model, store, cmpopts.EquateEmpty()); diff != "" {
		r.Fatalf("%s: -model +store\n%s", what, diff)
	}
}

func drawRecord(r *rapid.T) dirsync.Record {
	rec := dirsync.Record{ID: personID(rapid.IntRange(1, 8).Draw(r, "person"))}
	if rapid.IntRange(0, 3).Draw(r, "gone") == 0 {
		rec.Gone = rapid.SampledFrom([]dirsync.Gone{dirsync.GoneSoft, dirsync.GoneHard}).Draw(r, "how")
		return rec
	}
	rec.Whole = rapid.IntRange(0, 3).Draw(r, "whole") == 0
	for _, name := range []string{"a", "b", "mail"} {
		if v := rapid.SampledFrom([]string{"", "", "null", "1", `"x"`}).Draw(r, name); v != "" {
			rec.Attrs = append(rec.Attrs, dirsync.Attribute{Name: name, Raw: json.RawMessage(v)})
		}
	}
	return rec
}

func (p *pair) merge(r *rapid.T) {
	records := rapid.SliceOfN(rapid.Custom(drawRecord), 0, 6).Draw(r, "records")
	p.state.Open = p.state.Open && rapid.IntRange(0, 2).Draw(r, "completes") != 0
	p.state.Page = dirsync.Cursor(rapid.StringN(0, 3, -1).Draw(r, "page"))
	m, errM := p.model.Merge(p.ctx, records, p.state, p.now)
	s, errS := p.store.Merge(p.ctx, records, p.state, p.now)
	p.both(r, "Merge", errM, errS)
	p.equal(r, "merged", s, m)
}

func (p *pair) newRound(r *rapid.T) {
	p.state.Round++
	p.drawState(r)
	p.both(r, "SetReadState", p.model.SetReadState(p.ctx, p.state), p.store.SetReadState(p.ctx, p.state))
}

// drawState draws what is said about a round, whether or not it makes sense.
func (p *pair) drawState(r *rapid.T) {
	p.state.Open, p.state.Full, p.state.Redo = rapid.Bool().Draw(r, "open"), rapid.Bool().Draw(r, "full"), rapid.Bool().Draw(r, "redo")
}

func (p *pair) endRound(r *rapid.T) {
	p.drawState(r)
	p.both(r, "EndRound", p.model.EndRound(p.ctx, p.state), p.store.EndRound(p.ctx, p.state))
}

func (p *pair) oweAll(r *rapid.T) {
	p.state.Fingerprint = fmt.Sprint(p.now.Unix())
	p.both(r, "OweAll", p.model.OweAll(p.ctx, dirsync.WhyConfig, p.state, p.now), p.store.OweAll(p.ctx, dirsync.WhyConfig, p.state, p.now))
}

func (p *pair) oweSome(r *rapid.T) {
	var ids []dirsync.ID
	for range rapid.IntRange(0, 4).Draw(r, "how many") {
		ids = append(ids, personID(rapid.IntRange(1, 10).Draw(r, "person")))
	}
	why := rapid.SampledFrom([]dirsync.Why{dirsync.WhyGroups, dirsync.WhyAsked}).Draw(r, "why")
	m, errM := p.model.Owe(p.ctx, ids, why, p.now)
	s, errS := p.store.Owe(p.ctx, ids, why, p.now)
	p.both(r, "Owe", errM, errS)
	p.equal(r, "unknown", s, m)
}

func (p *pair) newRun(r *rapid.T) {
	run := dirsync.Run{Sync: "test", Started: p.now, Status: dirsync.Running}
	m, errM := p.model.NewRun(p.ctx, run)
	s, errS := p.store.NewRun(p.ctx, run)
	p.both(r, "NewRun", errM, errS)
	p.runs = append(p.runs, runPair{m, s})
}

// aRun draws one of the latest runs, making one when there is none.
func (p *pair) aRun(r *rapid.T) runPair {
	if len(p.runs) == 0 {
		p.newRun(r)
	}
	return rapid.SampledFrom(p.runs[max(0, len(p.runs)-3):]).Draw(r, "run")
}

func (p *pair) saveRun(r *rapid.T) {
	run := p.aRun(r)
	saved := dirsync.Run{Sync: "test", Started: p.now, Phase: rapid.SampledFrom([]dirsync.Phase{dirsync.PhaseApply, dirsync.PhaseEnded}).Draw(r, "phase")}
	m, s := saved, saved
	m.ID, s.ID = run.model, run.store
	p.both(r, "SaveRun", p.model.SaveRun(p.ctx, m), p.store.SaveRun(p.ctx, s))
}

func (p *pair) drawOwed(r *rapid.T) dirsync.Owed {
	return dirsync.Owed{Why: rapid.SampledFrom([]dirsync.Why{dirsync.WhyFailed, dirsync.WhyGrace, dirsync.WhyHeld}).Draw(r, "why"),
		Due:      p.now.Add(time.Duration(rapid.IntRange(-10, 60).Draw(r, "due")) * time.Minute),
		Attempts: rapid.IntRange(0, 2).Draw(r, "attempts"), Error: rapid.SampledFrom([]string{"", "down"}).Draw(r, "error")}
}

func drawRejection(r *rapid.T, id dirsync.ID) *dirsync.Rejection {
	if rapid.IntRange(0, 2).Draw(r, "rejected") != 0 {
		return nil
	}
	return &dirsync.Rejection{ID: id, User: "u", Faults: []dirsync.Fault{{Field: "email", Reason: rapid.SampledFrom([]string{"r", "s"}).Draw(r, "reason")}}}
}

func (p *pair) decide(r *rapid.T) {
	run := p.aRun(r)
	model, store := p.people(r)
	var dm, ds []dirsync.Decision
	for i := range model {
		if !rapid.Bool().Draw(r, "decide") {
			continue
		}
		d := dirsync.Decision{Seq: model[i].Seq, Differs: rapid.Bool().Draw(r, "differs")}
		switch rapid.IntRange(0, 3).Draw(r, "decision") {
		case 0, 1:
			kind := rapid.SampledFrom(dirsync.ChangeKinds()).Draw(r, "kind")
			c := planned(kind, model[i])
			d.Change = &c
		case 2:
			d.Wait, d.Next = true, p.drawOwed(r)
		}
		if d.Change == nil && !d.Wait {
			d.Rejection = drawRejection(r, model[i].ID)
		}
		m, s := d, d
		m.Mark, s.Mark = model[i].Owed.Mark, store[i].Owed.Mark
		if rapid.IntRange(0, 4).Draw(r, "stale") == 0 {
			m.Mark, s.Mark = 1<<60, 1<<60
		}
		if d.Change != nil {
			c := *d.Change
			c.Mark = s.Mark
			s.Change = &c
			m.Change.Mark = m.Mark
		}
		dm, ds = append(dm, m), append(ds, s)
	}
	p.both(r, "Decide", p.model.Decide(p.ctx, run.model, dm), p.store.Decide(p.ctx, run.store, ds))
}

func (p *pair) settle(r *rapid.T) {
	run := p.aRun(r)
	model, errM := p.model.Outcomes(p.ctx, run.model, dirsync.PlanKey{}, 100)
	store, errS := p.store.Outcomes(p.ctx, run.store, dirsync.PlanKey{}, 100)
	p.both(r, "Outcomes", errM, errS)
	if len(model) == 0 {
		r.Skip("nothing is planned")
	}
	var om, os []dirsync.Outcome
	for i := range model {
		if !rapid.Bool().Draw(r, "settle") {
			continue
		}
		o := dirsync.Outcome{Result: rapid.SampledFrom([]dirsync.Result{dirsync.Done, dirsync.Done, dirsync.Failed, dirsync.Refused, dirsync.HeldBack}).Draw(r, "result")}
		o.Differs = rapid.Bool().Draw(r, "differs")
		o.Link = drawLink(r, p.now)
		if o.Result != dirsync.Done || rapid.IntRange(0, 5).Draw(r, "more") == 0 {
			owed := p.drawOwed(r)
			o.Owed, o.Error = &owed, "down"
		}
		if o.Result == dirsync.Refused {
			o.Rejection = drawRejection(r, model[i].Change.Person)
		}
		m, s := o, o
		m.Change, s.Change = model[i].Change, store[i].Change
		om, os = append(om, m), append(os, s)
	}
	progress := keyOf(rapid.SampledFrom(model).Draw(r, "progress").Change)
	p.both(r, "Settle", p.model.Settle(p.ctx, run.model, om, progress), p.store.Settle(p.ctx, run.store, os, progress))
}

func (p *pair) doubt(r *rapid.T) {
	run := p.aRun(r)
	n := rapid.IntRange(-1, 5).Draw(r, "n")
	kinds := rapid.SliceOfN(rapid.SampledFrom(dirsync.ChangeKinds()), 0, 2).Draw(r, "skip")
	skip := func(c dirsync.Change) bool { return slices.Contains(kinds, c.Kind) }
	m, errM := p.model.Doubt(p.ctx, run.model, n, skip, p.now)
	s, errS := p.store.Doubt(p.ctx, run.store, n, skip, p.now)
	p.both(r, "Doubt", errM, errS)
	p.equal(r, "in doubt", s, m)
}

// people reads everybody from both, three at a time from the store.
func (p *pair) people(r *rapid.T) (model, store []dirsync.Person) {
	model, errM := p.model.People(p.ctx, 0, 1000)
	for after := dirsync.Seq(0); ; {
		rows, errS := p.store.People(p.ctx, after, 3)
		p.both(r, "People", errM, errS)
		store = append(store, rows...)
		if len(rows) < 3 {
			break
		}
		after = rows[2].Seq
	}
	if len(model) != len(store) {
		r.Fatalf("the store has %d people, the model %d", len(store), len(model))
	}
	return model, store
}

// compare compares everything that can be seen, marks aside: each store gives its own.
func (p *pair) compare(r *rapid.T) {
	model, store := p.people(r)
	owed := map[dirsync.Seq]uint64{}
	var seqs []dirsync.Seq
	for i := range model {
		owed[store[i].Seq] = store[i].Owed.Mark
		seqs = append(seqs, model[i].Seq)
	}
	p.equal(r, "people", unmarked(store), unmarked(model))
	for _, later := range []time.Duration{0, 24 * time.Hour} {
		m, errM := p.model.Owed(p.ctx, p.now.Add(later), 0, 1000)
		s, errS := p.store.Owed(p.ctx, p.now.Add(later), 0, 1000)
		p.both(r, "Owed", errM, errS)
		for _, person := range s {
			if person.Owed.Mark != owed[person.Seq] {
				r.Fatalf("person %d has mark %d in one list and %d in the other", person.Seq, person.Owed.Mark, owed[person.Seq])
			}
		}
		p.equal(r, "owed", unmarked(s), unmarked(m))
	}
	sm, errM := p.model.Standings(p.ctx, append(seqs, 1000))
	ss, errS := p.store.Standings(p.ctx, append(seqs, 1000))
	p.both(r, "Standings", errM, errS)
	for i := range sm {
		sm[i].Owed.Mark, ss[i].Owed.Mark = min(sm[i].Owed.Mark, 1), min(ss[i].Owed.Mark, 1)
	}
	p.equal(r, "standings", ss, sm)
	for _, person := range model {
		m, errM := p.model.Person(p.ctx, person.ID)
		s, errS := p.store.Person(p.ctx, person.ID)
		p.both(r, "Person", errM, errS)
		p.equal(r, "person", unmarked([]dirsync.Person{s}), unmarked([]dirsync.Person{m}))
	}
	tm, errM := p.model.Totals(p.ctx)
	ts, errS := p.store.Totals(p.ctx)
	p.both(r, "Totals", errM, errS)
	p.equal(r, "totals", ts, tm)
	um, errM := p.model.Unconfirmed(p.ctx, p.state.Round, 0, 1000)
	us, errS := p.store.Unconfirmed(p.ctx, p.state.Round, 0, 1000)
	p.both(r, "Unconfirmed", errM, errS)
	p.equal(r, "unconfirmed", us, um)
	rm, _, errM := p.model.Rejections(p.ctx, 0, 1000)
	rs, _, errS := p.store.Rejections(p.ctx, 0, 1000)
	p.both(r, "Rejections", errM, errS)
	p.equal(r, "rejections", rs, rm)
	p.compareRuns(r)
	p.compareSafety(r, seqs)
}

func (p *pair) compareRuns(r *rapid.T) {
	m, errM := p.model.Runs(p.ctx, 0, 1000)
	s, errS := p.store.Runs(p.ctx, 0, 1000)
	p.both(r, "Runs", errM, errS)
	for i := range min(len(m), len(s)) {
		m[i].ID, s[i].ID = 0, 0
	}
	p.equal(r, "runs", s, m)
	for _, run := range p.runs {
		m, errM := p.model.Outcomes(p.ctx, run.model, dirsync.PlanKey{}, 1000)
		s, errS := p.store.Outcomes(p.ctx, run.store, dirsync.PlanKey{}, 1000)
		p.both(r, "Outcomes", errM, errS)
		for i := range m {
			m[i].Change.Mark = 0
		}
		for i := range s {
			s[i].Change.Mark = 0
		}
		p.equal(r, "outcomes", s, m)
		for _, kind := range dirsync.ChangeKinds() {
			plan, err := p.store.Plan(p.ctx, run.store, kind, 0, 1000)
			p.both(r, "Plan", nil, err)
			var want []dirsync.Change
			for _, o := range m {
				if o.Change.Kind == kind {
					want = append(want, o.Change)
				}
			}
			for i := range plan {
				plan[i].Mark = 0
			}
			p.equal(r, "plan", plan, want)
		}
	}
}

// unmarked returns people whose debts have the mark 1, if any.
func unmarked(people []dirsync.Person) []dirsync.Person {
	out := slices.Clone(people)
	for i := range out {
		out[i].Owed.Mark = min(out[i].Owed.Mark, 1)
	}
	return out
}
