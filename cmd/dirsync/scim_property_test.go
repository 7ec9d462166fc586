package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"dirsync"
	"dirsync/mapping"
	"dirsync/scim/client"
	"dirsync/scim/scimtest"
	"dirsync/sync/engine"
	"dirsync/sync/plan"
)

// TestSCIMFaults goes through worlds in which an application of random oddities loses answers, with and without their
// effect, throttles, and is hidden behind somebody else's pages of HTML, while the source and the store fail and the
// process dies. Through all of it nobody is doubled, nobody who is there loses anything and strangers are left alone; once
// the faults end the application becomes what the source wants, and comparing it finds nothing.
//
//	go test -run TestSCIMFaults ./cmd/dirsync -rapid.checks 20000
func TestSCIMFaults(t *testing.T) {
	m := scimWorldMapping(t)
	rapid.Check(t, func(r *rapid.T) { inBubble(t, func(t *testing.T) { scimFaultsWorld(t, r, m, false, false) }) })
}

// TestSCIMFaultsWithGroups is TestSCIMFaults with groups, their members, and often a scope that is made of groups.
func TestSCIMFaultsWithGroups(t *testing.T) {
	m := scimWorldMapping(t)
	rapid.Check(t, func(r *rapid.T) { inBubble(t, func(t *testing.T) { scimFaultsWorld(t, r, m, true, false) }) })
}

// TestSCIMFaultsOfCreateOnly is TestSCIMFaults with an application that only takes new users and keeps nothing by which to
// tell whose they are. Whatever happens it is never asked for anything else, everybody is made once, and nothing of what
// the source says later is sent.
func TestSCIMFaultsOfCreateOnly(t *testing.T) {
	m := scimWorldMapping(t, func(s *mapping.Spec) { s.SyncUpdates = new(bool) })
	ziflow, _ := client.ProfileNamed("ziflow")
	only := oddity{name: "create-only", quirks: func(q *scimtest.Quirks) { q.CreateOnly, q.NoExternalID = true, true }, profile: func(p *client.Profile) {
		perSecond, concurrency := p.PerSecond, p.Concurrency
		*p = ziflow
		p.PerSecond, p.Concurrency = perSecond, concurrency
	}}
	fits := []string{"filters ignored", "filters refused", "400 for 409", "three on a page", "one on a page", "errors in HTML", "lag", "slow", "cursors forced"}
	rapid.Check(t, func(r *rapid.T) {
		inBubble(t, func(t *testing.T) {
			chosen := []oddity{only}
			for _, o := range oddities() {
				if slices.Contains(fits, o.name) && rapid.IntRange(0, 4).Draw(r, o.name) == 4 {
					chosen = append(chosen, o)
				}
			}
			w := newSCIMWorld(t, rapid.Uint64Min(1).Draw(r, "unkindness"), chosen, rapid.SampledFrom([]int{1, 1, 4}).Draw(r, "concurrency"))
			w.policy = plan.Policy{WhenDeleted: plan.Keep, WhenOutOfScope: plan.Keep, WhenBlocked: plan.Keep}
			w.join = []string{dirsync.EmailAddress}
			everyone := peopleNamed("safe", 8)
			for i, id := range everyone {
				w.src.Put(id, personNamed(fmt.Sprint("P", i), fmt.Sprintf("p%d@x.org", i)))
			}
			w.app.Put("/Users", stranger)
			w.before = strangers(t, w.app)
			for range rapid.IntRange(1, 6).Draw(r, "steps") {
				w.step(r, m, everyone)
			}
			for range 2 {
				if _, err := w.engine(m, true).Run(context.Background(), engine.Options{RetryNow: true}); err != nil {
					r.Fatalf("without faults: %v", err)
				}
				w.check(r.Fatalf)
				pass(5 * time.Minute)
			}
			for _, id := range everyone {
				attrs, _ := w.src.Attrs(id)
				u, has := w.users(r.Fatalf)[id]
				if name, _ := attrs["givenName"].(string); name != "" && (!has || u.mail != attrs["mail"]) {
					r.Fatalf("%s has no account of their own: %+v", id, u)
				}
			}
			if n := w.app.Requests(); n.Put+n.Patch+n.Delete > 0 || len(w.app.Users()) > len(everyone)+1 {
				r.Fatalf("%d users, %+v", len(w.app.Users()), n)
			}
		})
	})
}

// inBubble runs fn in a synctest bubble. Rapid unwinds with panics, which must not end in the bubble's goroutine.
func inBubble(t *testing.T, fn func(t *testing.T)) {
	t.Helper()
	var unwound any
	synctest.Test(t, func(t *testing.T) {
		defer func() { unwound = recover() }()
		fn(t)
	})
	switch {
	case unwound == nil:
	case fmt.Sprintf("%T", unwound) == "rapid.invalidData":
		panic(unwound) // from another line than failures, since that is how rapid tells what it is shrinking
	default:
		panic(unwound)
	}
}

// scimFaultsWorld is one world. With atHome the application is this project's own server.
func scimFaultsWorld(t *testing.T, r *rapid.T, m *mapping.Mapping, groups, atHome bool) {
	chosen := choose(rand.New(rand.NewPCG(rapid.Uint64().Draw(r, "oddities"), 0)), rapid.IntRange(0, 5).Draw(r, "how odd"), groups)
	if atHome {
		chosen = slices.DeleteFunc(chosen, func(o oddity) bool { return o.quirks != nil })
	}
	for _, o := range chosen {
		r.Logf("oddity: %s", o.name)
	}
	w := newSCIMWorld(t, rapid.Uint64Min(1).Draw(r, "unkindness"), chosen, rapid.SampledFrom([]int{1, 1, 4}).Draw(r, "concurrency"))
	if atHome {
		openHouse(t, true).moveIn(w)
	}
	action := plan.Action(rapid.IntRange(0, 1).Draw(r, "policy"))
	w.policy = plan.Policy{WhenDeleted: action, WhenOutOfScope: action}
	if !groups {
		w.policy.Grace = time.Duration(rapid.SampledFrom([]int{0, 0, 10}).Draw(r, "grace")) * 24 * time.Hour
	}
	everyone := append(peopleNamed("safe", 4), peopleNamed("risk", 4)...)
	if groups {
		w.withTeams(rapid.Uint64Min(1).Draw(r, "unkindness of groups"), rapid.Bool().Draw(r, "scoped"))
		w.teams.src.Join("g-sales", "g-berlin", dirsync.KindGroup)
	}
	for i, id := range everyone {
		w.src.Put(id, personNamed(fmt.Sprint("P", i), fmt.Sprintf("p%d@x.org", i)))
		if groups && safePerson(id) {
			w.teams.src.Join("g-sales", id, dirsync.KindUser)
		}
	}
	w.at.Put("/Users", stranger)
	w.before = strangers(t, w.at)
	if !groups && rapid.Bool().Draw(r, "join") {
		w.join = []string{dirsync.EmailAddress}
		for i := range rapid.IntRange(0, 3).Draw(r, "accounts that were there") {
			w.at.Put("/Users", strings.NewReplacer("stranger@other.example", fmt.Sprintf("P%d@x.org", 3*i)).Replace(stranger))
		}
	}
	for range rapid.IntRange(1, 8).Draw(r, "steps") {
		w.step(r, m, everyone)
	}
	w.finish(r, m)
}

// step changes something and makes a run that may fail.
func (w *scimWorld) step(r *rapid.T, m *mapping.Mapping, everyone []dirsync.ID) {
	if rapid.Bool().Draw(r, "changes") {
		w.mutate(r, everyone)
	}
	if w.teams != nil && rapid.Bool().Draw(r, "groups change") {
		w.mutateTeams(r, everyone)
	}
	pass(time.Duration(rapid.IntRange(1, 400).Draw(r, "hours")) * time.Hour)
	every := rapid.SampledFrom([]*scimtest.Fault{nil, nil, nil, nil, nil, nil, nil, nil,
		{Status: http.StatusNotFound, Body: "<html>Not found</html>"}, {Status: http.StatusOK, Body: "<html>Sign in</html>"},
		{Status: http.StatusServiceUnavailable}, {Status: http.StatusUnauthorized}}).Draw(r, "outage")
	w.faults.arm(rapid.Uint64().Draw(r, "faults"), rapid.SampledFrom([]int{0, 3, 15, 40}).Draw(r, "percent"),
		rapid.SampledFrom([]int{0, 5, 20, 60}).Draw(r, "dying"), every)
	opts := engine.Options{RetryNow: rapid.Bool().Draw(r, "retry now"), Compare: rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(r, "compare") == 1}
	ran, err := w.engine(m, rapid.Bool().Draw(r, "another process")).Run(context.Background(), opts)
	r.Logf("run %d: %s %+v %v", ran.ID, ran.Status, ran.Counts, err) // it may fail; what it leaves behind may not be wrong
	if w.faults.disarm() {
		w.client = nil
	}
	w.check(r.Fatalf)
}

// finish makes runs without faults, and looks at the result.
func (w *scimWorld) finish(r *rapid.T, m *mapping.Mapping) {
	fatal := func(format string, args ...any) {
		text := ""
		for _, u := range appUsers(w.at) {
			text += fmt.Sprintf("\n%+v", u)
		}
		r.Fatalf(format+"\n%s%s\n%+v", append(args, w.src, text, appGroups(w.at))...)
	}
	// Two runs suffice, and after the grace period one more: a conflict may need somebody to go first.
	for range 3 {
		ran, err := w.engine(m, true).Run(context.Background(), engine.Options{RetryNow: true})
		r.Logf("without faults: run %d: %s %+v %v", ran.ID, ran.Status, ran.Counts, err)
		if err != nil {
			fatal("without faults: %v", err)
		}
		w.check(fatal)
		pass(w.policy.Grace + 5*time.Minute)
	}
	w.settled(fatal)
	w.settledGroups(fatal)
	e := w.engine(m, true)
	ran, err := e.Run(context.Background(), engine.Options{})
	if err != nil || ran.Counts.Changed() != 0 || ran.Groups != nil && ran.Groups.Counts.Changed() != 0 {
		fatal("a run with nothing to do: %+v %v", ran, err)
	}
	if n := ran.Requests.Target; n > 0 && ran.Counts.Rejected == 0 {
		fatal("a run with nothing to do sent %d requests", n)
	}
	sum, err := e.Compare(context.Background(), false, func(d engine.Drift) error {
		fatal("comparing finds %+v", d)
		return nil
	})
	if err != nil {
		fatal("compare: %v (%+v)", err, sum)
	}
}

// mutate changes something at the source.
func (w *scimWorld) mutate(r *rapid.T, everyone []dirsync.ID) {
	for range rapid.IntRange(1, 4).Draw(r, "mutations") {
		id := rapid.SampledFrom(everyone).Draw(r, "who")
		pick := func(label string, from ...any) any { return rapid.SampledFrom(from).Draw(r, label) }
		what := rapid.IntRange(0, 9).Draw(r, "what")
		if w.forgets && (what == 3 || what == 4 || what == 7) {
			what = 0 // where nothing but the name says whose an account is, a name that changes while it is in doubt is lost
		}
		switch what {
		case 0, 1:
			w.src.Put(id, map[string]any{"department": pick("department", nil, "Sales", "Legal")})
		case 2:
			w.src.Put(id, map[string]any{"givenName": pick("given name", nil, "", "Ana", "Bo")})
		case 3:
			w.src.Put(id, map[string]any{"mail": fmt.Sprintf("p%d@x.org", rapid.IntRange(0, 9).Draw(r, "mail"))})
		case 4: // two people swap their addresses
			other := rapid.SampledFrom(everyone).Draw(r, "with")
			a, _ := w.src.Attrs(id)
			b, _ := w.src.Attrs(other)
			if a == nil || b == nil {
				continue
			}
			am, bm := a["mail"], b["mail"]
			w.src.Put(id, map[string]any{"mail": bm})
			w.src.Put(other, map[string]any{"mail": am})
		case 5:
			if !safePerson(id) {
				w.src.Put(id, map[string]any{"accountEnabled": pick("enabled", true, false)})
			}
		case 6:
			if !safePerson(id) {
				w.src.Remove(id)
			}
		case 7: // back again, or as they were
			w.src.Put(id, personNamed("Back", fmt.Sprintf("back-%s@x.org", id)))
		case 8:
			w.src.ExpireCursors()
		case 9:
			w.src.ExpirePages()
		}
	}
}

// mutateTeams changes who is in which group, and the groups. Safe people never leave sales, which is never deleted.
func (w *scimWorld) mutateTeams(r *rapid.T, everyone []dirsync.ID) {
	g := w.teams.src
	for range rapid.IntRange(1, 5).Draw(r, "team mutations") {
		team := rapid.SampledFrom(scimTeamIDs()).Draw(r, "team")
		who := rapid.SampledFrom(everyone).Draw(r, "member")
		switch rapid.IntRange(0, 7).Draw(r, "team change") {
		case 0, 1, 2:
			g.Join(team, who, dirsync.KindUser)
		case 3, 4:
			if !safePerson(who) || team != "g-sales" {
				g.Leave(team, who)
			}
		case 5: // nested, in circles too
			other := rapid.SampledFrom(scimTeamIDs()).Draw(r, "other team")
			if rapid.Bool().Draw(r, "joins") {
				g.Join(team, other, dirsync.KindGroup)
			} else {
				g.Leave(team, other)
			}
		case 6:
			// A chosen group can be found under its name only until that was understood once.
			if state, err := w.teams.store.ReadState(context.Background()); err != nil || state.Base+state.Begin == "" {
				continue
			}
			g.Put(team, rapid.SampledFrom([]string{"renamed ", "other ", ""}).Draw(r, "name")+string(team[2:]))
		case 7:
			if rapid.Bool().Draw(r, "cursors") {
				g.ExpireCursors()
			} else {
				g.ExpirePages()
			}
		}
	}
}

// inTeams are the groups that the application should have somebody in.
func (w *scimWorld) inTeams(id dirsync.ID) []string {
	var in []string
	for _, g := range scimTeamIDs()[:2] {
		if w.teams.src.Users(true, g)[id] {
			in = append(in, string(g))
		}
	}
	return in
}

// wants tells whether the source and the scope want somebody to have an account.
func (w *scimWorld) wants(id dirsync.ID) bool {
	return w.teams == nil || len(w.teams.scope) == 0 || len(w.inTeams(id)) > 0
}

// settled asserts that the application is what the source wants it to be.
func (w *scimWorld) settled(fail func(string, ...any)) {
	users, holders, wanting := w.users(fail), map[string]appUser{}, map[string]int{}
	str := func(attrs map[string]any, name string) string { s, _ := attrs[name].(string); return s }
	for _, u := range appUsers(w.at) {
		holders[strings.ToLower(u.name)] = u
	}
	for _, id := range w.src.IDs() {
		if attrs, present := w.src.Attrs(id); present {
			wanting[strings.ToLower(str(attrs, "mail"))]++
		}
	}
	for _, id := range w.src.IDs() {
		attrs, present := w.src.Attrs(id)
		present = present && w.wants(id)
		u, has := users[id]
		mail := str(attrs, "mail")
		switch {
		case !present && has && u.active:
			fail("%s is gone and has an active account", id)
		case !present && has && w.policy.WhenDeleted == plan.Delete && w.policy.Grace == 0 && !w.app.Quirks.DeleteDeactivates:
			fail("%s is gone and still has an account", id)
		case !present:
		case attrs["accountEnabled"] == false:
			if has && u.active {
				fail("%s is blocked and has an active account", id)
			}
		case str(attrs, "givenName") == "" || str(attrs, "surname") == "" || mail == "": // left as it was, whatever that is
		default:
			if holder, held := holders[strings.ToLower(mail)]; held && (!has || holder.id != u.id) && (w.owned(users, holder) || wanting[strings.ToLower(mail)] > 1 || has || w.join == nil) {
				continue // rejected, because somebody else has the address, or because it could be more than one person's
			}
			if !has || !u.active {
				fail("%s is there and has no active account (has one: %v)", id, has)
				continue
			}
			got := []string{u.first, u.last, u.name, u.mail, u.department}
			if want := []string{str(attrs, "givenName"), str(attrs, "surname"), mail, mail, str(attrs, "department")}; !slices.Equal(got, want) {
				fail("%s is %q, want %q", id, got, want)
			}
		}
	}
	for id := range users {
		if !slices.Contains(w.src.IDs(), id) {
			fail("account of %q, who never was", id)
		}
	}
}

func (w *scimWorld) owned(users map[dirsync.ID]appUser, u appUser) bool {
	for _, other := range users {
		if other.id == u.id {
			return true
		}
	}
	return false
}

// settledGroups asserts that the application has the chosen groups, and that they have the members that the source says.
func (w *scimWorld) settledGroups(fail func(string, ...any)) {
	if w.teams == nil {
		return
	}
	groups := appGroups(w.at)
	if len(groups) != 2 {
		fail("there are %d groups, want 2: %+v", len(groups), groups)
	}
	for id, u := range w.users(fail) {
		attrs, present := w.src.Attrs(id)
		str := func(name string) string { s, _ := attrs[name].(string); return s }
		if !present || !u.active || str("givenName") == "" || str("surname") == "" || str("mail") == "" || attrs["accountEnabled"] == false {
			continue
		}
		want := w.inTeams(id)
		if u.name != str("mail") || len(w.teams.scope) > 0 && len(want) == 0 {
			continue // rejected, because somebody else has the address; or out of scope
		}
		if got := inAppGroups(groups, u.id); !slices.Equal(got, want) {
			fail("%s is in %v, want %v", id, got, want)
		}
	}
}

// pass lets time go by on the clock of testing/synctest, which waits for nobody.
func pass(d time.Duration) { <-time.After(d) }
