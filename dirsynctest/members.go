package dirsynctest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"dirsync"
	"dirsync/sync/engine"
)

// TestMemberships checks that something keeps the promises of engine.Memberships. open makes new, empty memberships each
// time; it is called about a hundred times.
func TestMemberships(t *testing.T, open func(t *testing.T) engine.Memberships) {
	for _, test := range []struct {
		name string
		run  func(*membersTest)
	}{
		{"nobody is in a group at first", (*membersTest).empty},
		{"members join, leave and come back", (*membersTest).joins},
		{"lists come in pages, in the order of arrival", (*membersTest).pages},
		{"groups in groups are told apart", (*membersTest).nests},
		{"memberships are owed until they are settled", (*membersTest).owes},
		{"a full round shows which are missing", (*membersTest).rounds},
		{"a cancelled call has no effect", (*membersTest).cancels},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.run(&membersTest{T: t, Memberships: open(t), ctx: context.Background(), now: storeEpoch()})
		})
	}
	t.Run("behaves like the model whatever happens", func(t *testing.T) { membersProperty(t, open) })
}

// membersTest is one test with its memberships.
type membersTest struct {
	*testing.T
	engine.Memberships
	ctx   context.Context
	now   time.Time
	state dirsync.ReadState
}

func (t *membersTest) must(err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (t *membersTest) same(what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%s: -want +got\n%s", what, diff)
	}
}

func groupID(n int) dirsync.ID { return dirsync.ID(fmt.Sprintf("99999999-0000-4000-8000-%012d", n)) }

// joins makes the record of a membership, of a group in a group if the member is one.
func joins(group, member dirsync.ID) dirsync.Record {
	m := dirsync.Membership{Group: group, Member: member}
	if member[0] == '9' {
		m.Kind = dirsync.KindGroup
	}
	return dirsync.Record{ID: m.ID(), Kind: m.Kind, Whole: true}
}

func quits(group, member dirsync.ID) dirsync.Record {
	r := joins(group, member)
	r.Whole, r.Gone = false, dirsync.GoneHard
	return r
}

func (t *membersTest) merge(records ...dirsync.Record) dirsync.Merged {
	t.Helper()
	m, err := t.Merge(t.ctx, records, t.state, t.now)
	t.must(err)
	return m
}

func (t *membersTest) groupsOf(members ...dirsync.ID) [][]dirsync.ID {
	t.Helper()
	out, err := t.GroupsOf(t.ctx, members)
	t.must(err)
	return out
}

// membersOf lists the members of a group, two at a time.
func (t *membersTest) membersOf(group dirsync.ID) (out []dirsync.ID) {
	t.Helper()
	for after := dirsync.Seq(0); ; {
		rows, last, err := t.MembersOf(t.ctx, group, after, 2)
		t.must(err)
		for _, m := range rows {
			t.same("the group of a member", m.Group, group)
			out = append(out, m.Member)
		}
		if len(rows) < 2 {
			return out
		}
		if last <= after {
			t.Fatalf("the key went from %d to %d", after, last)
		}
		after = last
	}
}

func (t *membersTest) empty() {
	t.same("groups", t.groupsOf(personID(1), personID(2)), make([][]dirsync.ID, 2))
	t.same("groups of nobody", t.groupsOf(), [][]dirsync.ID{})
	t.same("members", t.membersOf(groupID(1)), []dirsync.ID(nil))
	rows, last, err := t.Nested(t.ctx, 7, 10)
	t.must(err)
	t.same("nested", len(rows), 0)
	t.same("key", last, dirsync.Seq(7))
	totals, err := t.Totals(t.ctx)
	t.must(err)
	t.same("totals", totals, dirsync.Totals{})
}

func (t *membersTest) joins() {
	a, b, ann, bob := groupID(1), groupID(2), personID(1), personID(2)
	t.same("merged", t.merge(joins(b, ann), joins(a, ann), joins(a, bob), quits(b, bob)), dirsync.Merged{Added: 3, Unknown: 1})
	t.same("groups, sorted", t.groupsOf(bob, personID(9), ann), [][]dirsync.ID{{a}, nil, {a, b}})
	t.same("members", t.membersOf(a), []dirsync.ID{ann, bob})
	t.same("merged again", t.merge(joins(a, ann)), dirsync.Merged{Same: 1})

	t.same("left", t.merge(quits(a, ann)), dirsync.Merged{Removed: 1})
	t.same("groups after leaving", t.groupsOf(ann, bob), [][]dirsync.ID{{b}, {a}})
	t.same("members after leaving", t.membersOf(a), []dirsync.ID{bob})
	totals, err := t.Totals(t.ctx)
	t.must(err)
	t.same("totals", totals, dirsync.Totals{People: 2, Gone: 1, Owed: 3})

	t.same("came back", t.merge(joins(a, ann)), dirsync.Merged{Changed: 1})
	t.same("groups after coming back", t.groupsOf(ann), [][]dirsync.ID{{a, b}})
	t.same("members after coming back", t.membersOf(a), []dirsync.ID{ann, bob})
	t.same("left and came back at once", t.merge(quits(a, ann), joins(a, ann), quits(a, bob)), dirsync.Merged{Removed: 2, Changed: 1})
	t.same("members then", t.membersOf(a), []dirsync.ID{ann})
}

func (t *membersTest) pages() {
	var want []dirsync.ID
	for n := 9; n > 0; n-- {
		t.merge(joins(groupID(1), personID(n)), joins(groupID(n), personID(n)))
		if n%4 == 0 {
			t.merge(quits(groupID(1), personID(n)))
			continue
		}
		want = append(want, personID(n))
	}
	t.same("members", t.membersOf(groupID(1)), want)
	rows, last, err := t.MembersOf(t.ctx, groupID(1), 0, 100)
	t.must(err)
	t.same("all at once", len(rows), len(want))
	rows, again, err := t.MembersOf(t.ctx, groupID(1), last, 100)
	t.must(err)
	t.same("after the last", len(rows), 0)
	t.same("its key", again, last)
	rows, _, err = t.MembersOf(t.ctx, groupID(1), 0, 0)
	t.must(err)
	t.same("none", len(rows), 0)
}

func (t *membersTest) nests() {
	t.merge(joins(groupID(1), personID(1)), joins(groupID(1), groupID(2)), joins(groupID(2), groupID(3)), joins(groupID(3), groupID(1)))
	t.merge(quits(groupID(2), groupID(3)))
	var got []dirsync.Membership
	for after := dirsync.Seq(0); ; {
		rows, last, err := t.Nested(t.ctx, after, 1)
		t.must(err)
		if got = append(got, rows...); len(rows) < 1 {
			break
		}
		after = last
	}
	t.same("nested", got, []dirsync.Membership{
		{Group: groupID(1), Member: groupID(2), Kind: dirsync.KindGroup}, {Group: groupID(3), Member: groupID(1), Kind: dirsync.KindGroup}})
	t.same("groups of a group", t.groupsOf(groupID(2)), [][]dirsync.ID{{groupID(1)}})
	rows, _, err := t.MembersOf(t.ctx, groupID(1), 0, 10)
	t.must(err)
	t.same("kinds", []dirsync.Kind{rows[0].Kind, rows[1].Kind}, []dirsync.Kind{dirsync.KindUser, dirsync.KindGroup})
}

func (t *membersTest) owes() {
	t.merge(joins(groupID(1), personID(1)), joins(groupID(1), personID(2)), joins(groupID(2), groupID(1)))
	owed, err := t.Owed(t.ctx, t.now, 0, 10)
	t.must(err)
	var decisions []dirsync.Decision
	for i, want := range []dirsync.Record{joins(groupID(1), personID(1)), joins(groupID(1), personID(2)), joins(groupID(2), groupID(1))} {
		p := owed[i]
		t.same("owed", []any{p.Seq, p.ID, p.Kind, p.Owed.Why, len(p.Shadow), p.Link}, []any{dirsync.Seq(i + 1), want.ID, want.Kind, dirsync.WhyRecord, 0, dirsync.Link{}})
		decisions = append(decisions, dirsync.Decision{Seq: p.Seq, Mark: p.Owed.Mark})
	}
	t.merge(quits(groupID(1), personID(2)))
	t.must(t.Decide(t.ctx, 0, decisions))
	owed, err = t.Owed(t.ctx, t.now, 0, 10)
	t.must(err)
	if len(owed) != 1 || owed[0].Seq != 2 || owed[0].Gone != dirsync.GoneHard {
		t.Fatalf("got %v, want the one that ended meanwhile", owed)
	}
	t.must(t.Decide(t.ctx, 0, []dirsync.Decision{{Seq: 2, Mark: owed[0].Owed.Mark}}))
	unknown, err := t.Owe(t.ctx, []dirsync.ID{joins(groupID(1), personID(9)).ID, owed[0].ID}, dirsync.WhyGroups, t.now)
	t.must(err)
	t.same("unknown", unknown, []dirsync.ID{joins(groupID(1), personID(9)).ID})
	totals, err := t.Totals(t.ctx)
	t.must(err)
	t.same("totals", totals, dirsync.Totals{People: 2, Gone: 1, Owed: 1})
	t.must(t.OweAll(t.ctx, dirsync.WhyConfig, t.state, t.now))
	totals, err = t.Totals(t.ctx)
	t.must(err)
	t.same("all owed", totals.Owed, 3)
}

func (t *membersTest) rounds() {
	t.merge(joins(groupID(1), personID(1)), joins(groupID(1), personID(2)), joins(groupID(2), personID(1)))
	t.state = dirsync.ReadState{Round: 2, Open: true, Full: true}
	t.merge(joins(groupID(1), personID(2)), joins(groupID(3), personID(3)))
	missing, err := t.Unconfirmed(t.ctx, 2, 0, 10)
	t.must(err)
	t.same("missing", missing, []dirsync.Candidate{{Seq: 1, ID: joins(groupID(1), personID(1)).ID}, {Seq: 3, ID: joins(groupID(2), personID(1)).ID}})
	t.must(t.EndRound(t.ctx, dirsync.ReadState{Round: 2}))
	state, err := t.ReadState(t.ctx)
	t.must(err)
	t.same("state", state, dirsync.ReadState{Round: 2})
	t.must(t.SetReadState(t.ctx, dirsync.ReadState{Round: 3}))
}

func (t *membersTest) cancels() {
	ctx, cancel := context.WithCancel(t.ctx)
	cancel()
	_, _, ofErr := t.MembersOf(ctx, groupID(1), 0, 1)
	_, _, nestedErr := t.Nested(ctx, 0, 1)
	for name, err := range map[string]error{
		"Merge":     second(t.Merge(ctx, []dirsync.Record{joins(groupID(1), personID(1))}, t.state, t.now)),
		"GroupsOf":  second(t.GroupsOf(ctx, []dirsync.ID{personID(1)})),
		"MembersOf": ofErr,
		"Nested":    nestedErr,
		"Decide":    t.Decide(ctx, 0, nil),
		"Owe":       second(t.Owe(ctx, nil, dirsync.WhyGroups, t.now)),
		"Totals":    second(t.Totals(ctx)),
	} {
		if err == nil {
			t.Errorf("%s went on with a cancelled context", name)
		}
	}
	t.same("members", t.membersOf(groupID(1)), []dirsync.ID(nil))
}

// membersProperty does random things to memberships and to the model, and compares all that can be seen after each.
func membersProperty(t *testing.T, open func(t *testing.T) engine.Memberships) {
	rapid.Check(t, func(r *rapid.T) {
		p := &membersPair{ctx: context.Background(), now: storeEpoch(), model: NewMembers(), store: open(t), state: dirsync.ReadState{Round: 1}}
		r.Repeat(map[string]func(*rapid.T){
			"merge":  p.merge,
			"round":  p.round,
			"owe":    p.owe,
			"settle": p.settle,
			"":       p.compare,
		})
	})
}

// membersPair is memberships and the model of them.
type membersPair struct {
	ctx   context.Context
	now   time.Time
	model Members
	store engine.Memberships
	state dirsync.ReadState
}

func drawMember(r *rapid.T) dirsync.ID {
	n := rapid.IntRange(1, 5).Draw(r, "member")
	if rapid.IntRange(0, 2).Draw(r, "is group") == 0 {
		return groupID(n)
	}
	return personID(n)
}

func (p *membersPair) agree(r *rapid.T, what string, store, model any, errs ...error) {
	r.Helper()
	for _, err := range errs {
		if err != nil {
			r.Fatalf("%s: %v", what, err)
		}
	}
	if diff := cmp.Diff(model, store, cmpopts.EquateEmpty()); diff != "" {
		r.Fatalf("%s: -model +store\n%s", what, diff)
	}
}

func (p *membersPair) merge(r *rapid.T) {
	var records []dirsync.Record
	for range rapid.IntRange(0, 12).Draw(r, "records") {
		group, member := groupID(rapid.IntRange(1, 4).Draw(r, "group")), drawMember(r)
		if rapid.IntRange(0, 2).Draw(r, "leaves") == 0 {
			records = append(records, quits(group, member))
		} else {
			records = append(records, joins(group, member))
		}
	}
	m, errM := p.model.Merge(p.ctx, records, p.state, p.now)
	s, errS := p.store.Merge(p.ctx, records, p.state, p.now)
	p.agree(r, "Merge", s, m, errS, errM)
}

func (p *membersPair) round(r *rapid.T) {
	p.state.Round++
	p.state.Open, p.state.Full = rapid.Bool().Draw(r, "open"), rapid.Bool().Draw(r, "full")
	set := func(m engine.Memberships) error { return m.SetReadState(p.ctx, p.state) }
	if rapid.Bool().Draw(r, "ends") {
		set = func(m engine.Memberships) error { return m.EndRound(p.ctx, p.state) }
	}
	p.agree(r, "round", nil, nil, set(p.store), set(p.model))
}

func (p *membersPair) owe(r *rapid.T) {
	if rapid.IntRange(0, 4).Draw(r, "all") == 0 {
		p.agree(r, "OweAll", nil, nil, p.store.OweAll(p.ctx, dirsync.WhyConfig, p.state, p.now), p.model.OweAll(p.ctx, dirsync.WhyConfig, p.state, p.now))
		return
	}
	ids := []dirsync.ID{joins(groupID(rapid.IntRange(1, 4).Draw(r, "group")), drawMember(r)).ID, joins(groupID(1), personID(1)).ID}
	m, errM := p.model.Owe(p.ctx, ids, dirsync.WhyGroups, p.now)
	s, errS := p.store.Owe(p.ctx, ids, dirsync.WhyGroups, p.now)
	p.agree(r, "Owe", s, m, errS, errM)
}

func (p *membersPair) settle(r *rapid.T) {
	n := rapid.IntRange(1, 20).Draw(r, "n")
	for _, of := range []engine.Memberships{p.store, p.model} {
		owed, err := of.Owed(p.ctx, p.now, 0, n)
		var decisions []dirsync.Decision
		for _, o := range owed {
			decisions = append(decisions, dirsync.Decision{Seq: o.Seq, Mark: o.Owed.Mark})
		}
		p.agree(r, "Decide", nil, nil, err, of.Decide(p.ctx, 0, decisions))
	}
}

func (p *membersPair) compare(r *rapid.T) {
	var all []dirsync.ID
	for n := 1; n <= 5; n++ {
		all = append(all, personID(n), groupID(n))
		m, _, errM := p.model.MembersOf(p.ctx, groupID(n), 0, 100)
		var s []dirsync.Membership
		for after := dirsync.Seq(0); ; {
			rows, last, err := p.store.MembersOf(p.ctx, groupID(n), after, 3)
			p.agree(r, "MembersOf", nil, nil, err)
			if s = append(s, rows...); len(rows) < 3 {
				break
			}
			after = last
		}
		p.agree(r, "MembersOf", s, m, errM)
	}
	m, errM := p.model.GroupsOf(p.ctx, all)
	s, errS := p.store.GroupsOf(p.ctx, all)
	p.agree(r, "GroupsOf", s, m, errS, errM)
	nm, lastM, errM := p.model.Nested(p.ctx, 0, 100)
	ns, lastS, errS := p.store.Nested(p.ctx, 0, 100)
	p.agree(r, "Nested", ns, nm, errS, errM)
	p.agree(r, "the key behind Nested", lastS, lastM)
	tm, errM := p.model.Totals(p.ctx)
	ts, errS := p.store.Totals(p.ctx)
	p.agree(r, "Totals", ts, tm, errS, errM)
	om, errM := p.model.Owed(p.ctx, p.now, 0, 100)
	os, errS := p.store.Owed(p.ctx, p.now, 0, 100)
	p.agree(r, "Owed", unmarked(os), unmarked(om), errS, errM)
	um, errM := p.model.Unconfirmed(p.ctx, p.state.Round, 0, 100)
	us, errS := p.store.Unconfirmed(p.ctx, p.state.Round, 0, 100)
	p.agree(r, "Unconfirmed", us, um, errS, errM)
	stateM, errM := p.model.ReadState(p.ctx)
	stateS, errS := p.store.ReadState(p.ctx)
	p.agree(r, "ReadState", stateS, stateM, errS, errM)
}
