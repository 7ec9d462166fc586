package dirsynctest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"dirsync"
	"dirsync/sync/engine"
)

// TestStore checks that a store keeps the promises of engine.Store. open makes a new, empty one each time; it is called
// several hundred times.
func TestStore(t *testing.T, open func(t *testing.T) engine.Store) {
	for _, test := range []struct {
		name string
		run  func(*storeTest)
	}{
		{"an empty store is empty", (*storeTest).empty},
		{"merge adds, changes and removes", (*storeTest).merges},
		{"merge takes a batch in order", (*storeTest).mergesInOrder},
		{"a full round shows who is missing", (*storeTest).rounds},
		{"a doubt lasts until somebody is sure", (*storeTest).unsure},
		{"debts are raised, put off and settled", (*storeTest).debts},
		{"owing everybody keeps what was owed", (*storeTest).owesAll},
		{"owing some owes nobody else", (*storeTest).owesSome},
		{"decisions are kept", (*storeTest).decides},
		{"outcomes are kept", (*storeTest).settles},
		{"a raised debt survives its settlement", (*storeTest).settlesLate},
		{"a crash leaves doubt", (*storeTest).doubts},
		{"runs are numbered and listed", (*storeTest).runs},
		{"lists come in pages", (*storeTest).pages},
		{"what is unknown is an error without effect", (*storeTest).refuses},
		{"holds are numbered and listed", (*storeTest).holds},
		{"marks are kept, replaced and taken away", (*storeTest).marks},
		{"plans can be looked up", (*storeTest).looksUpPlans},
		{"what is known of accounts can be corrected", (*storeTest).corrects},
		{"the latest changes of a person are found", (*storeTest).tellsChangesOf},
		{"a round that is redone leaves doubt", (*storeTest).redoes},
		{"a decision about nobody has no effect", (*storeTest).refusesDecisions},
		{"nothing that goes in or out is shared", (*storeTest).copies},
		{"a cancelled call has no effect", (*storeTest).cancels},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.run(&storeTest{T: t, Store: open(t), ctx: context.Background(), now: storeEpoch()})
		})
	}
	t.Run("behaves like the model whatever happens", func(t *testing.T) { storeProperty(t, open) })
}

// storeEpoch is when the tests of a store begin.
func storeEpoch() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// storeTest is one test with its store.
type storeTest struct {
	*testing.T
	engine.Store
	ctx   context.Context
	now   time.Time
	state dirsync.ReadState
}

func (t *storeTest) must(err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// same compares, disregarding the difference between an empty and a nil slice.
func (t *storeTest) same(what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%s: -want +got\n%s", what, diff)
	}
}

// record makes a record of pairs of a name and a JSON value.
func record(n int, pairs ...string) dirsync.Record {
	r := dirsync.Record{ID: personID(n)}
	for i := 0; i < len(pairs); i += 2 {
		r.Attrs = append(r.Attrs, dirsync.Attribute{Name: pairs[i], Raw: json.RawMessage(pairs[i+1])})
	}
	r.Attrs = dirsync.NewAttributes(r.Attrs)
	return r
}

func tombstone(n int, gone dirsync.Gone) dirsync.Record {
	return dirsync.Record{ID: personID(n), Gone: gone}
}

func (t *storeTest) merge(records ...dirsync.Record) dirsync.Merged {
	t.Helper()
	m, err := t.Merge(t.ctx, records, t.state, t.now)
	t.must(err)
	return m
}

// person returns somebody without the mark of their debt, which may be any number.
func (t *storeTest) person(n int) dirsync.Person {
	t.Helper()
	p, err := t.Person(t.ctx, personID(n))
	t.must(err)
	p.Owed.Mark = min(p.Owed.Mark, 1)
	return p
}

func (t *storeTest) totals() dirsync.Totals {
	t.Helper()
	totals, err := t.Totals(t.ctx)
	t.must(err)
	return totals
}

// owed returns who is owed and due, with their marks.
func (t *storeTest) owed() []dirsync.Person {
	t.Helper()
	people, err := t.Owed(t.ctx, t.now, 0, 1000)
	t.must(err)
	return people
}

func (t *storeTest) owedSeqs() []dirsync.Seq {
	t.Helper()
	var out []dirsync.Seq
	for _, p := range t.owed() {
		out = append(out, p.Seq)
	}
	return out
}

func (t *storeTest) run() dirsync.RunID {
	t.Helper()
	id, err := t.NewRun(t.ctx, dirsync.Run{Sync: "test", Status: dirsync.Running, Phase: dirsync.PhasePlan, Started: t.now})
	t.must(err)
	return id
}

// settleAll settles everybody who is due.
func (t *storeTest) settleAll(run dirsync.RunID) {
	t.Helper()
	var decisions []dirsync.Decision
	for _, p := range t.owed() {
		decisions = append(decisions, dirsync.Decision{Seq: p.Seq, Mark: p.Owed.Mark})
	}
	t.must(t.Decide(t.ctx, run, decisions))
}

func values(first, email string) dirsync.Values {
	return dirsync.Values{}.Set(dirsync.FirstName, dirsync.Value{Type: dirsync.Text, Text: first}).
		Set(dirsync.EmailAddress, dirsync.Value{Type: dirsync.Email, Text: email})
}

// planned makes a change for somebody who is owed.
func planned(kind dirsync.ChangeKind, p dirsync.Person) dirsync.Change {
	name := fmt.Sprintf("n%d", p.Seq)
	return dirsync.Change{Kind: kind, Person: p.ID, Seq: p.Seq, Mark: p.Owed.Mark, Account: p.Link.Account, User: name + "@a.example",
		Name: name, Before: values(name, "old@a.example"), After: values(name, name+"@a.example").Set("phone", dirsync.Value{}),
		CreateOnly: []string{dirsync.FirstName}, Why: "because"}
}

func (t *storeTest) plan(run dirsync.RunID, changes ...dirsync.Change) {
	t.Helper()
	var decisions []dirsync.Decision
	for _, c := range changes {
		decisions = append(decisions, dirsync.Decision{Seq: c.Seq, Mark: c.Mark, Change: &c})
	}
	t.must(t.Decide(t.ctx, run, decisions))
}

func done(c dirsync.Change, account string) dirsync.Outcome {
	return dirsync.Outcome{Change: c, Result: dirsync.Done, Link: dirsync.Link{Account: account, Active: true, Held: c.After}}
}

func keyOf(c dirsync.Change) dirsync.PlanKey { return dirsync.PlanKey{Kind: c.Kind, Seq: c.Seq} }

func (t *storeTest) empty() {
	state, err := t.ReadState(t.ctx)
	t.must(err)
	t.same("state", state, dirsync.ReadState{})
	t.same("totals", t.totals(), dirsync.Totals{})
	people, err := t.People(t.ctx, 0, 10)
	t.must(err)
	missing, err := t.Unconfirmed(t.ctx, 1, 0, 10)
	t.must(err)
	runs, err := t.Runs(t.ctx, 0, 10)
	t.must(err)
	rejections, _, err := t.Rejections(t.ctx, 0, 10)
	t.must(err)
	standings, err := t.Standings(t.ctx, []dirsync.Seq{1, 2})
	t.must(err)
	t.same("standings", standings, make([]dirsync.Standing, 2))
	if n := len(people) + len(missing) + len(runs) + len(rejections) + len(t.owed()); n != 0 {
		t.Errorf("got %d rows, want none", n)
	}
	_, err = t.Person(t.ctx, personID(1))
	if got := dirsync.KindOf(err); got != dirsync.NotFound {
		t.Errorf("got %v, want NotFound", err)
	}
	t.must(t.EndRound(t.ctx, dirsync.ReadState{Round: 3}))
	t.must(t.OweAll(t.ctx, dirsync.WhyConfig, dirsync.ReadState{Round: 4}, t.now))
	state, err = t.ReadState(t.ctx)
	t.must(err)
	t.same("state", state, dirsync.ReadState{Round: 4})
	want := dirsync.ReadState{Base: "b", Page: "p", Round: 7, Open: true, Full: true, Confirming: true, Completed: t.now, Fingerprint: "f"}
	t.must(t.SetReadState(t.ctx, want))
	state, err = t.ReadState(t.ctx)
	t.must(err)
	t.same("state", state, want)
}

func (t *storeTest) merges() {
	t.state = dirsync.ReadState{Round: 1, Open: true, Page: "two"}
	t.same("merged", t.merge(record(1, "a", `"1"`, "b", `"2"`), record(2, "a", "null"), tombstone(3, dirsync.GoneSoft)),
		dirsync.Merged{Added: 2, Unknown: 1})
	state, err := t.ReadState(t.ctx)
	t.must(err)
	t.same("state", state, t.state)
	t.same("totals", t.totals(), dirsync.Totals{People: 2, Owed: 2})
	owed := dirsync.Owed{Mark: 1, Why: dirsync.WhyRecord, Since: t.now}
	t.same("person", t.person(1), dirsync.Person{Seq: 1, ID: personID(1), Shadow: record(1, "a", `"1"`, "b", `"2"`).Attrs, Owed: owed})

	t.settleAll(t.run())
	t.same("totals when settled", t.totals(), dirsync.Totals{People: 2})
	t.now = t.now.Add(time.Hour)
	t.same("merged again", t.merge(record(1, "a", `"1"`), record(2)), dirsync.Merged{Same: 2})
	t.same("totals when nothing changed", t.totals(), dirsync.Totals{People: 2})

	t.same("merged a change", t.merge(record(1, "b", "null", "c", "3")), dirsync.Merged{Changed: 1})
	owed.Since = t.now
	t.same("changed person", t.person(1),
		dirsync.Person{Seq: 1, ID: personID(1), Shadow: record(1, "a", `"1"`, "b", "null", "c", "3").Attrs, Owed: owed})
	whole := record(1, "c", "3")
	whole.Whole = true
	t.same("merged a whole record", t.merge(whole), dirsync.Merged{Changed: 1})
	t.same("replaced person", t.person(1).Shadow, whole.Attrs)

	t.same("merged a deletion", t.merge(tombstone(2, dirsync.GoneSoft)), dirsync.Merged{Removed: 1})
	gone := dirsync.Person{Seq: 2, ID: personID(2), Gone: dirsync.GoneSoft, GoneAt: t.now, Shadow: record(2, "a", "null").Attrs, Owed: owed}
	t.same("gone person", t.person(2), gone)
	t.same("totals with one gone", t.totals(), dirsync.Totals{People: 1, Gone: 1, Owed: 2})
	t.settleAll(t.run())
	t.now = t.now.Add(time.Hour)
	t.same("merged more deletions", t.merge(tombstone(2, dirsync.GoneSoft), tombstone(2, dirsync.GoneHard), tombstone(2, dirsync.GoneSoft)),
		dirsync.Merged{Same: 3})
	gone.Gone, gone.Owed = dirsync.GoneHard, dirsync.Owed{}
	t.same("person gone for good", t.person(2), gone)

	t.same("merged a return", t.merge(record(2)), dirsync.Merged{Changed: 1})
	gone.Gone, gone.GoneAt, gone.Owed = dirsync.Present, time.Time{}, dirsync.Owed{Mark: 1, Why: dirsync.WhyRecord, Since: t.now}
	t.same("returned person", t.person(2), gone)
	t.same("totals after the return", t.totals(), dirsync.Totals{People: 2, Owed: 1})
}

func (t *storeTest) mergesInOrder() {
	m := t.merge(record(1, "a", "1"), record(1, "a", "2"), tombstone(1, dirsync.GoneHard), record(1, "b", "3"), record(2), tombstone(2, dirsync.GoneSoft))
	t.same("merged", m, dirsync.Merged{Added: 2, Changed: 2, Removed: 2})
	t.same("person", t.person(1).Shadow, record(1, "a", "2", "b", "3").Attrs)
	t.same("totals", t.totals(), dirsync.Totals{People: 1, Gone: 1, Owed: 2})
	t.same("gone", t.person(2).Gone, dirsync.GoneSoft)
	group := record(3)
	group.Kind = dirsync.KindGroup
	t.merge(group)
	t.same("kind", t.person(3).Kind, dirsync.KindGroup)
}

func (t *storeTest) unconfirmed(round uint64) []int {
	t.Helper()
	got, err := t.Unconfirmed(t.ctx, round, 0, 100)
	t.must(err)
	var out []int
	for _, c := range got {
		t.same("id", c.ID, personID(int(c.Seq)))
		out = append(out, int(c.Seq))
	}
	return out
}

func (t *storeTest) rounds() {
	t.merge(record(1), record(2), record(3), record(4), tombstone(4, dirsync.GoneSoft))
	t.same("missing before any full round", t.unconfirmed(1), []int{1, 2, 3})
	t.state = dirsync.ReadState{Round: 2, Open: true, Full: true}
	t.merge(record(2), record(5))
	t.same("missing", t.unconfirmed(2), []int{1, 3})
	t.merge(tombstone(3, dirsync.GoneSoft), record(4))
	t.same("missing after a deletion and a return", t.unconfirmed(2), []int{1})

	t.state.Round = 3
	t.merge(record(1))
	t.same("missing after a restart", t.unconfirmed(3), []int{2, 4, 5})
	t.merge(tombstone(1, dirsync.GoneSoft))
	t.merge(record(1))
	t.same("seen, gone and back", t.unconfirmed(3), []int{2, 4, 5})

	t.state.Full = false
	t.merge(record(2))
	t.same("a mention outside of a full round counts for nothing", t.unconfirmed(3), []int{2, 4, 5})
	t.must(t.EndRound(t.ctx, dirsync.ReadState{Round: 3}))
	t.same("missing after the end", t.unconfirmed(3), []int{1, 2, 4, 5})
}

func (t *storeTest) unsure() {
	t.merge(record(1, "a", "1", "b", "2"), record(2, "a", "1", "b", "null"), record(3, "a", "1"))
	t.state = dirsync.ReadState{Round: 1, Open: true, Full: true}
	t.merge(record(1, "a", "1"), record(2, "a", "1"), record(3, "a", "1"))
	t.same("left out a value", t.unconfirmed(1), []int{1})
	t.merge(record(1, "a", "1", "b", "2"))
	t.same("a later mention that says all", t.unconfirmed(1), []int{1})
	whole := record(1, "a", "1")
	whole.Whole = true
	t.merge(whole)
	t.same("a whole record", t.unconfirmed(1), []int(nil))
	t.merge(record(3))
	t.same("doubt after certainty", t.unconfirmed(1), []int{3})
	t.merge(tombstone(3, dirsync.GoneSoft))
	t.same("a tombstone", t.unconfirmed(1), []int(nil))
	t.state.Round = 2
	t.merge(record(1, "a", "1"), record(2, "a", "1"))
	t.same("certain in the next round", t.unconfirmed(2), []int(nil))
}

// cancels also checks that every method looks at its context at all.
func (t *storeTest) cancels() {
	t.merge(record(1))
	ctx, cancel := context.WithCancel(t.ctx)
	cancel()
	run := t.run()
	for name, err := range map[string]error{
		"Merge":        second(t.Merge(ctx, []dirsync.Record{record(2)}, t.state, t.now)),
		"SetReadState": t.SetReadState(ctx, dirsync.ReadState{Round: 9}),
		"EndRound":     t.EndRound(ctx, dirsync.ReadState{Round: 9}),
		"Owe":          second(t.Owe(ctx, []dirsync.ID{personID(1)}, dirsync.WhyAsked, t.now)),
		"OweAll":       t.OweAll(ctx, dirsync.WhyConfig, dirsync.ReadState{Round: 9}, t.now),
		"Decide":       t.Decide(ctx, run, []dirsync.Decision{{Seq: 1, Mark: t.owed()[0].Owed.Mark}}),
		"Settle":       t.Settle(ctx, run, nil, dirsync.PlanKey{}),
		"NewRun":       second(t.NewRun(ctx, dirsync.Run{})),
		"SaveRun":      t.SaveRun(ctx, dirsync.Run{ID: run}),
		"Owed":         second(t.Owed(ctx, t.now, 0, 1)),
		"Totals":       second(t.Totals(ctx)),
		"Person":       second(t.Person(ctx, personID(1))),
	} {
		if err == nil {
			t.Errorf("%s went on with a cancelled context", name)
		}
	}
	t.same("totals", t.totals(), dirsync.Totals{People: 1, Owed: 1})
	state, err := t.ReadState(t.ctx)
	t.must(err)
	t.same("state", state, t.state)
	if runs, err := t.Runs(t.ctx, 0, 10); err != nil || len(runs) != 1 {
		t.Errorf("got %d runs and %v, want 1", len(runs), err)
	}
}

func second[T any](_ T, err error) error { return err }

func (t *storeTest) copies() {
	r := record(1, "a", `"1"`)
	t.merge(r)
	r.Attrs[0].Raw[1] = '9'
	p := t.person(1)
	t.same("after the caller changed the record", string(p.Shadow[0].Raw), `"1"`)
	p.Shadow[0].Raw[1] = '8'
	t.same("after the caller changed the person", string(t.person(1).Shadow[0].Raw), `"1"`)

	run, c := t.run(), planned(dirsync.Create, t.owed()[0])
	t.plan(run, c)
	want := c.After[0].Value.Text
	c.After[0].Value.Text = "changed"
	changes, err := t.Plan(t.ctx, run, dirsync.Create, 0, 10)
	t.must(err)
	t.same("planned", changes[0].After[0].Value.Text, want)
	t.must(t.Settle(t.ctx, run, []dirsync.Outcome{done(changes[0], "u1")}, keyOf(c)))
	held := slices.Clone(changes[0].After)
	changes[0].After[0].Value.Text = "changed"
	t.same("held", t.person(1).Link.Held, held)
}
