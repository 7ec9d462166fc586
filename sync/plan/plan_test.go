package plan_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dirsync"
	"dirsync/sync/plan"
)

func text(s string) dirsync.Value {
	if s == "" {
		return dirsync.Value{}
	}
	return dirsync.Value{Type: dirsync.Text, Text: s}
}

// user makes the values of somebody called name who joined on a day that is written once.
func user(name, joined string) dirsync.Values {
	return dirsync.Values{{Field: "joined", Value: text(joined)}, {Field: "name", Value: text(name)}}
}

const day = 24 * time.Hour

func at(days int) time.Time {
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(days) * day)
}

func TestDecide(t *testing.T) {
	remove := plan.Policy{WhenDeleted: plan.Delete, WhenOutOfScope: plan.Delete}
	graced := remove
	graced.Grace = 30 * day
	here := plan.Wanted{InScope: true, Values: user("Ana", "2020"), CreateOnly: []string{"joined"}}
	active := dirsync.Link{Account: "a1", Active: true, Held: user("Ana", "2020")}
	inactive := dirsync.Link{Account: "a1", Held: user("Ana", "2020"), DeactivatedAt: at(10)}
	doubt := func(l dirsync.Link, kind dirsync.ChangeKind) dirsync.Link { l.Doubt = kind; return l }
	renamed, bad, blocked, outside := here, here, here, here
	renamed.Values = user("Ana B", "2021")
	bad.Faults = []dirsync.Fault{{Field: "name", Reason: "is required"}}
	blocked.Blocked = true
	outside.InScope = false

	for _, tt := range []struct {
		name   string
		gone   dirsync.Gone
		goneAt time.Time
		link   dirsync.Link
		want   plan.Wanted
		policy plan.Policy
		kind   dirsync.ChangeKind // zero: no change
		after  dirsync.Values
		wait   time.Time
		reject bool
	}{
		{name: "new", want: here, kind: dirsync.Create, after: user("Ana", "2020")},
		{name: "new and invalid", want: bad, reject: true},
		{name: "new and blocked", want: blocked},
		{name: "new and out of scope", want: outside},
		{name: "new and gone", gone: dirsync.GoneSoft, want: here},
		{name: "equal", link: active, want: here},
		{name: "differs", link: active, want: renamed, kind: dirsync.Update, after: dirsync.Values{{Field: "name", Value: text("Ana B")}}},
		{name: "invalid", link: active, want: bad, reject: true},
		{name: "invalid while inactive", link: inactive, want: bad, reject: true},
		{name: "blocked", link: active, want: blocked, kind: dirsync.Deactivate},
		{name: "blocked and invalid", link: active, want: func() plan.Wanted { w := bad; w.Blocked = true; return w }(), kind: dirsync.Deactivate},
		{name: "blocked and inactive", link: inactive, want: blocked},
		{name: "back", link: inactive, want: here, kind: dirsync.Reactivate},
		{name: "back with a new name", link: inactive, want: renamed, kind: dirsync.Reactivate, after: dirsync.Values{{Field: "name", Value: text("Ana B")}}},

		{name: "gone, deactivate", gone: dirsync.GoneSoft, link: active, want: here, kind: dirsync.Deactivate},
		{name: "gone for good, deactivate", gone: dirsync.GoneHard, link: active, want: here, kind: dirsync.Deactivate},
		{name: "gone, deactivated", gone: dirsync.GoneSoft, link: inactive, want: here},
		{name: "gone, in doubt", gone: dirsync.GoneSoft, link: doubt(inactive, dirsync.Reactivate), want: here, kind: dirsync.Deactivate},
		{name: "gone, delete", gone: dirsync.GoneSoft, link: active, want: here, policy: remove, kind: dirsync.Delete},
		{name: "gone, delete the inactive", gone: dirsync.GoneSoft, link: inactive, want: here, policy: remove, kind: dirsync.Delete},
		{name: "gone, creation in doubt", gone: dirsync.GoneSoft, link: dirsync.Link{Doubt: dirsync.Create}, want: here, policy: remove, kind: dirsync.Delete},
		{name: "gone with bad data, delete", gone: dirsync.GoneSoft, link: active, want: bad, policy: remove, kind: dirsync.Delete},
		{name: "gone, grace begins", gone: dirsync.GoneSoft, goneAt: at(12), link: active, want: here, policy: graced, kind: dirsync.Deactivate},
		{name: "gone, grace runs", gone: dirsync.GoneSoft, goneAt: at(12), link: inactive, want: here, policy: graced, wait: at(42)},
		{name: "gone, grace over", gone: dirsync.GoneSoft, goneAt: at(-20), link: dirsync.Link{Account: "a1", DeactivatedAt: at(-20)}, want: here, policy: graced, kind: dirsync.Delete},
		{name: "gone, grace over, deletion in doubt", gone: dirsync.GoneSoft, goneAt: at(-20), link: doubt(dirsync.Link{Account: "a1", DeactivatedAt: at(-20)}, dirsync.Delete), want: here, policy: graced, kind: dirsync.Delete},
		{name: "back within grace", link: inactive, want: here, policy: graced, kind: dirsync.Reactivate},
		{name: "out of scope", link: active, want: outside, kind: dirsync.Deactivate},
		{name: "out of scope, delete", link: active, want: outside, policy: remove, kind: dirsync.Delete},

		{name: "creation in doubt", link: dirsync.Link{Doubt: dirsync.Create}, want: here, kind: dirsync.Create, after: user("Ana", "2020")},
		{name: "deletion in doubt", link: doubt(active, dirsync.Delete), want: here, kind: dirsync.Create, after: user("Ana", "2020")},
		{name: "update in doubt", link: doubt(active, dirsync.Update), want: here, kind: dirsync.Update, after: dirsync.Values{{Field: "name", Value: text("Ana")}}},
		{name: "deactivation in doubt", link: doubt(active, dirsync.Deactivate), want: here, kind: dirsync.Reactivate, after: dirsync.Values{{Field: "name", Value: text("Ana")}}},
		{name: "in doubt and invalid", link: doubt(active, dirsync.Update), want: bad, reject: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := dirsync.Person{Seq: 7, ID: "p", Gone: tt.gone, GoneAt: tt.goneAt, Link: tt.link, Owed: dirsync.Owed{Mark: 3}}
			got := plan.Decide(p, tt.want, tt.policy, at(15))
			if got.Seq != 7 || got.Mark != 3 {
				t.Errorf("decision is for seq %d, mark %d", got.Seq, got.Mark)
			}
			var kind dirsync.ChangeKind
			var after dirsync.Values
			if got.Change != nil {
				kind, after = got.Change.Kind, got.Change.After
			}
			if kind != tt.kind {
				t.Errorf("got %s, want %s", kind, tt.kind)
			}
			if diff := cmp.Diff(tt.after, after); diff != "" {
				t.Errorf("after (-want +got):\n%s", diff)
			}
			if got.Wait != !tt.wait.IsZero() || !got.Next.Due.Equal(tt.wait) {
				t.Errorf("waits %v until %v, want until %v", got.Wait, got.Next.Due, tt.wait)
			}
			if (got.Rejection != nil) != tt.reject {
				t.Errorf("rejection %v, want %v", got.Rejection, tt.reject)
			}
		})
	}
}

// world draws anything that the planner may ever be asked.
func world(t *rapid.T) (dirsync.Person, plan.Wanted, plan.Policy, time.Time) {
	name := rapid.SampledFrom([]string{"", "Ana", "Bo"})
	days := rapid.IntRange(0, 100)
	p := dirsync.Person{Seq: 1, ID: "p", Gone: rapid.SampledFrom([]dirsync.Gone{0, 0, 1, 2}).Draw(t, "gone")}
	if p.Gone != dirsync.Present {
		p.GoneAt = at(days.Draw(t, "gone at"))
	}
	switch rapid.IntRange(0, 2).Draw(t, "link") {
	case 1:
		p.Link = dirsync.Link{Account: "a", Active: true, Held: user(name.Draw(t, "held"), name.Draw(t, "held joined"))}
	case 2:
		p.Link = dirsync.Link{Account: "a", DeactivatedAt: at(days.Draw(t, "since")), Held: user(name.Draw(t, "held"), "")}
	}
	p.Link.Doubt = rapid.SampledFrom([]dirsync.ChangeKind{0, 0, 0, dirsync.Delete, dirsync.Deactivate, dirsync.Reactivate, dirsync.Update, dirsync.Create}).Draw(t, "doubt")
	w := plan.Wanted{
		InScope: rapid.Bool().Draw(t, "in scope"), Blocked: rapid.Bool().Draw(t, "blocked"),
		Values: user(name.Draw(t, "name"), name.Draw(t, "joined")), CreateOnly: []string{"joined"},
	}
	if rapid.Bool().Draw(t, "bad") {
		w.Faults = []dirsync.Fault{{Field: "name", Reason: "is bad"}}
	}
	action := plan.Action(rapid.IntRange(0, 1).Draw(t, "policy"))
	pol := plan.Policy{WhenDeleted: action, WhenOutOfScope: action, Grace: time.Duration(rapid.IntRange(0, 40).Draw(t, "grace")) * day}
	return p, w, pol, at(days.Draw(t, "now"))
}

// A person who is there, in scope and may sign in never loses anything, and bad data changes nothing at all.
func TestNothingIsTakenFromThosePresent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, w, pol, now := world(t)
		d := plan.Decide(p, w, pol, now)
		if d.Change == nil {
			return
		}
		if p.Gone == dirsync.Present && w.InScope && !w.Blocked && d.Change.Kind.Destructive() {
			t.Fatalf("%s of somebody who is there", d.Change.Kind)
		}
		if p.Gone == dirsync.Present && w.InScope && len(w.Faults) > 0 && d.Change.Kind != dirsync.Deactivate {
			t.Fatalf("%s from bad data", d.Change.Kind)
		}
		if pol.WhenDeleted == plan.Deactivate && d.Change.Kind == dirsync.Delete {
			t.Fatal("deleted although the policy is to deactivate")
		}
	})
}

// Whatever is decided, once it is settled there is nothing more to do at that moment: plans converge in one step.
func TestDecisionsConverge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, w, pol, now := world(t)
		d := plan.Decide(p, w, pol, now)
		if d.Change == nil {
			return
		}
		account := dirsync.Account{ID: "a", Values: d.Change.After}
		silent := rapid.Bool().Draw(t, "the target does not say what it holds")
		if d.Change.Kind == dirsync.Deactivate && !silent {
			account.Values = user(rapid.SampledFrom([]string{"", "Ana", "Bo"}).Draw(t, "holds"), "2020")
		}
		p.Link = plan.Settle(p.Link, *d.Change, account, now)
		if p.Link.InDoubt() && !(silent && d.Change.Kind == dirsync.Deactivate && p.Link.Doubt == dirsync.Update) {
			t.Fatal("still in doubt after a success")
		}
		if again := plan.Decide(p, w, pol, now); again.Change != nil && (pol.Grace > 0 || again.Change.Kind != dirsync.Delete) {
			if again.Change.Kind == dirsync.Delete && d.Change.Kind == dirsync.Deactivate {
				return // a deactivation that was in doubt, and whose grace is over now that it is certain
			}
			t.Fatalf("after %s the same wish wants %s %v", d.Change.Kind, again.Change.Kind, again.Change.After)
		}
	})
}

// Equal inputs give equal plans.
func TestDecideIsPure(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, w, pol, now := world(t)
		a, b := plan.Decide(p, w, pol, now), plan.Decide(p, w, pol, now)
		if diff := cmp.Diff(a, b); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestSettleKeepsWhatAnAdoptedAccountHas(t *testing.T) {
	c := dirsync.Change{Kind: dirsync.Create, After: user("Ana", "2020"), CreateOnly: []string{"joined"}}
	got := plan.Settle(dirsync.Link{}, c, dirsync.Account{ID: "a", Values: user("Ana", "1999")}, at(0))
	want := dirsync.Link{Account: "a", Active: true, Held: user("Ana", "1999")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("link (-want +got):\n%s", diff)
	}
}

// An address that only changes its letter case is no news.
func TestLetterCaseOfAnAddressIsNoUpdate(t *testing.T) {
	mail := func(s string) dirsync.Values {
		return dirsync.Values{{Field: "email", Value: dirsync.Value{Type: dirsync.Email, Text: s}}}
	}
	p := dirsync.Person{Link: dirsync.Link{Account: "a", Active: true, Held: mail("Ana@x.org")}}
	if d := plan.Decide(p, plan.Wanted{InScope: true, Values: mail("ana@x.org")}, plan.Policy{}, at(0)); d.Change != nil {
		t.Errorf("got %v", d.Change)
	}
	if d := plan.Decide(p, plan.Wanted{InScope: true, Values: mail("anna@x.org")}, plan.Policy{}, at(0)); d.Change == nil {
		t.Error("another address is an update")
	}
}

// An update whose outcome is unknown may have written values. Deactivating the account settles its status and not
// them: when the person comes back, they are written again, or compared with what the target said that it holds.
func TestDoubtAboutValuesSurvivesDeactivation(t *testing.T) {
	held, wanted := user("Ana", "2020"), user("Ana", "2020") // the update in doubt wanted Bo, and is not wanted any more
	link := dirsync.Link{Account: "a", Active: true, Held: held, Doubt: dirsync.Update}
	c := dirsync.Change{Kind: dirsync.Deactivate}
	for name, tt := range map[string]struct {
		says dirsync.Values
		want dirsync.Values
	}{
		"the target says nothing":     {nil, dirsync.Values{{Field: "name", Value: text("Ana")}}},
		"the update had taken effect": {user("Bo", "2020"), dirsync.Values{{Field: "name", Value: text("Ana")}}},
		"it had not":                  {user("Ana", "2020"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := dirsync.Person{Link: plan.Settle(link, c, dirsync.Account{ID: "a", Values: tt.says}, at(0))}
			d := plan.Decide(p, plan.Wanted{InScope: true, Values: wanted, CreateOnly: []string{"joined"}}, plan.Policy{}, at(1))
			if d.Change == nil || d.Change.Kind != dirsync.Reactivate {
				t.Fatalf("got %v, want a reactivation", d.Change)
			}
			if diff := cmp.Diff(tt.want, d.Change.After); diff != "" {
				t.Errorf("writes (-want +got):\n%s", diff)
			}
			p.Gone = dirsync.GoneSoft
			if d := plan.Decide(p, plan.Wanted{}, plan.Policy{}, at(1)); d.Change != nil {
				t.Errorf("and while they are gone: %v", d.Change.Kind)
			}
		})
	}
}

func TestDrift(t *testing.T) {
	w := plan.Wanted{InScope: true, Values: user("Ana", "2021"), CreateOnly: []string{"joined"}}
	p := dirsync.Person{Link: dirsync.Link{Account: "a", Active: true, Held: user("Bo", "2020")}}
	before, after := plan.Drift(p, w)
	if diff := cmp.Diff(dirsync.Values{{Field: "joined", Value: text("2020")}}, before); diff != "" {
		t.Errorf("before (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(dirsync.Values{{Field: "joined", Value: text("2021")}}, after); diff != "" {
		t.Errorf("after (-want +got):\n%s", diff)
	}
}

func TestGuard(t *testing.T) {
	for _, tt := range []struct {
		name        string
		limit       plan.Limit
		n, accounts int
		held        bool
	}{
		{"below everything", plan.Limit{Count: 10, Share: 0.05, Floor: 5}, 3, 1000, false},
		{"at the count", plan.Limit{Count: 10, Share: plan.Unbounded}, 10, 1000, false},
		{"above the count", plan.Limit{Count: 10, Share: plan.Unbounded}, 11, 1000, true},
		{"at the share", plan.Limit{Count: plan.Unbounded, Share: 0.05}, 50, 1000, false},
		{"above the share", plan.Limit{Count: plan.Unbounded, Share: 0.05}, 51, 1000, true},
		{"the smaller one counts", plan.Limit{Count: 500, Share: 0.05}, 51, 1000, true},
		{"the floor wins over the share", plan.Limit{Count: 500, Share: 0.05, Floor: 5}, 5, 8, false},
		{"above the floor", plan.Limit{Count: 500, Share: 0.05, Floor: 5}, 6, 8, true},
		{"everybody", plan.DefaultLimits().Deletes.Run, 100000, 100000, true},
		{"no limit", plan.Limit{Count: plan.Unbounded, Share: plan.Unbounded}, 100000, 100000, false},
		{"nothing may go", plan.Limit{}, 1, 10, true},
		{"nothing goes", plan.Limit{}, 0, 10, false},
		{"nobody may go unasked from a small company", plan.Limit{Count: 500, Share: 0.0001}, 1, 10, true},
		{"a share that is no binary fraction", plan.Limit{Count: 500, Share: 0.29}, 29, 100, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := plan.Guard(dirsync.Spent{Deletions: tt.n}, plan.Spent{}, tt.accounts, plan.Limits{Deletes: plan.Every(tt.limit)})
			if (len(got) == 1) != tt.held {
				t.Errorf("got %v, want held %v", got, tt.held)
			}
		})
	}
}

func TestGuardSaysWhy(t *testing.T) {
	got := plan.Guard(dirsync.Spent{Deactivations: 60}, plan.Spent{}, 1000, plan.DefaultLimits())
	want := []dirsync.Hold{{Kind: dirsync.Deactivation, Count: 60, Allowed: 50,
		Reason: "60 deactivations with 1000 accounts are more than the 50 that may go through unasked (count 500, share 5%, floor 5)"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("holds (-want +got):\n%s", diff)
	}
}

func BenchmarkDecide(b *testing.B) {
	w := plan.Wanted{InScope: true, Values: user("Ana", "2020"), CreateOnly: []string{"joined"}}
	p := dirsync.Person{Link: dirsync.Link{Account: "a", Active: true, Held: user("Ana", "2020")}}
	b.ReportAllocs()
	for b.Loop() {
		plan.Decide(p, w, plan.Policy{}, at(0))
	}
}

// One doubt on top of another must not hide the first.
func TestDoubtsAddUp(t *testing.T) {
	for _, tt := range []struct{ first, second, want dirsync.ChangeKind }{
		{0, dirsync.Update, dirsync.Update},
		{dirsync.Update, dirsync.Update, dirsync.Update},
		{dirsync.Update, dirsync.Deactivate, dirsync.Reactivate},
		{dirsync.Deactivate, dirsync.Update, dirsync.Reactivate},
		{dirsync.Reactivate, dirsync.Deactivate, dirsync.Reactivate},
		{dirsync.Create, dirsync.Deactivate, dirsync.Create},
		{dirsync.Deactivate, dirsync.Delete, dirsync.Create},
		{dirsync.Delete, dirsync.Create, dirsync.Create},
	} {
		if got := (dirsync.Link{Doubt: tt.first}).WithDoubt(tt.second).Doubt; got != tt.want {
			t.Errorf("%v, then %v: got %v, want %v", tt.first, tt.second, got, tt.want)
		}
	}
}
