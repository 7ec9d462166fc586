package realservers_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"

	"dirsync"
)

const people = 120

// kept is what a sync remembers of a person or a group: the account and the values that it holds.
type kept struct {
	account string
	active  bool
	held    dirsync.Values
}

// world is what is wanted, and what is remembered.
type world struct {
	*testing.T
	s              *server
	people, groups map[dirsync.ID]dirsync.Values
	asleep         map[dirsync.ID]bool
	users, teams   map[dirsync.ID]kept
	gone           map[string]bool
}

// user are the wanted values of person n.
func user(n int) dirsync.Values {
	v := dirsync.Values{}.Set(dirsync.FirstName, text("First")).Set(dirsync.LastName, text(fmt.Sprintf("Läst%d", n))).
		Set(dirsync.EmailAddress, dirsync.Value{Type: dirsync.Email, Text: fmt.Sprintf("user%d@a.example", n)}).
		Set("title", text("Engineer")).Set("department", text(fmt.Sprintf("D%d", n%7))).
		Set("mobile", dirsync.Value{Type: dirsync.Phone, Text: fmt.Sprintf("+4930%06d", n)}).
		Set("manager", dirsync.Value{}).Set(dirsync.GroupsField, dirsync.NewList([]string{string(group(n % 3))}))
	if n > 0 {
		v = v.Set("manager", dirsync.Value{Type: dirsync.Reference, Text: string(person((n - 1) / 4))})
	}
	return v
}

// plan are the changes that turn what is remembered into what is wanted, in the order of a run.
func plan(want map[dirsync.ID]dirsync.Values, asleep map[dirsync.ID]bool, have map[dirsync.ID]kept) (out []dirsync.Change) {
	for _, id := range slices.Sorted(maps.Keys(have)) {
		if _, ok := want[id]; !ok {
			out = append(out, dirsync.Change{Kind: dirsync.Delete, Person: id, Account: have[id].account, Before: have[id].held})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(want)) {
		h, there := have[id]
		ch := dirsync.Change{Kind: dirsync.Update, Person: id, Account: h.account}
		switch {
		case !there:
			ch.Kind, ch.After = dirsync.Create, want[id]
		case asleep[id]:
			if ch.Kind = dirsync.Deactivate; !h.active {
				continue
			}
		default:
			for _, v := range want[id] {
				if was, _ := h.held.Get(v.Field); !was.Same(v.Value) {
					ch.Before, ch.After = append(ch.Before, dirsync.FieldValue{Field: v.Field, Value: was}), append(ch.After, v)
				}
			}
			if !h.active {
				ch.Kind = dirsync.Reactivate
			} else if len(ch.After) == 0 {
				continue
			}
		}
		out = append(out, ch)
	}
	slices.SortStableFunc(out, func(a, b dirsync.Change) int { return int(a.Kind) - int(b.Kind) })
	return out
}

// run makes the target hold what is wanted, as a new process, and returns how many requests of each method that took.
func (w *world) run() map[string]int {
	w.Helper()
	c, groups := w.s.open(w.T)
	w.s.reset()
	teams := plan(w.groups, nil, w.teams)
	gone := slices.IndexFunc(teams, func(ch dirsync.Change) bool { return ch.Kind != dirsync.Delete })
	if gone < 0 {
		gone = len(teams)
	}
	w.apply(groups, teams[gone:], w.teams)
	w.apply(c, plan(w.people, w.asleep, w.users), w.users)
	w.apply(groups, teams[:gone], w.teams)
	return w.s.reset()
}

func (w *world) apply(target dirsync.Batcher, changes []dirsync.Change, have map[dirsync.ID]kept) {
	w.Helper()
	for part := range slices.Chunk(changes, 50) {
		for i, a := range target.ApplyAll(w.Context(), part) {
			ch := part[i]
			h := have[ch.Person]
			switch {
			case a.Err != nil:
				w.Fatalf("%v %s: %v", ch.Kind, ch.Person, a.Err)
			case ch.Kind == dirsync.Delete:
				w.gone[ch.Account] = true // some targets keep who is gone as a member
				delete(have, ch.Person)
				continue
			case a.Account.ID == "" || ch.Kind == dirsync.Create && a.Account.Source != ch.Person:
				w.Fatalf("%v %s: got %+v", ch.Kind, ch.Person, a.Account)
			}
			have[ch.Person] = kept{account: a.Account.ID, active: ch.Kind != dirsync.Deactivate, held: h.held.With(ch.Writes())}
		}
	}
}

// check compares everything that is there with what is wanted, as a new process, and nothing is written.
func (w *world) check(step string) {
	w.Helper()
	c, groups := w.s.open(w.T)
	w.s.reset()
	w.compare(step, c, w.people, w.users)
	w.compare(step, groups, w.groups, w.teams)
	if n := writes(w.s.reset()); n != 0 {
		w.Errorf("%s: %d writes to compare", step, n)
	}
	for id, team := range w.teams {
		var want []string
		for p, v := range w.people {
			if in, _ := v.Get(dirsync.GroupsField); slices.Contains(in.List(), string(id)) {
				want = append(want, w.users[p].account)
			}
		}
		slices.Sort(want)
		got := slices.DeleteFunc(w.s.members(w.T, team.account), func(account string) bool { return w.gone[account] })
		if !slices.Equal(got, want) {
			w.Errorf("%s: group %s has %d members, want %d:\n%v\n%v", step, id, len(got), len(want), got, want)
		}
	}
}

func (w *world) compare(step string, target dirsync.Target, want map[dirsync.ID]dirsync.Values, have map[dirsync.ID]kept) {
	w.Helper()
	seen := 0
	err := target.Users(w.Context(), func(a dirsync.Account) error {
		seen++
		values, ok := want[a.Source]
		if !ok || a.ID != have[a.Source].account || a.Active == w.asleep[a.Source] {
			w.Errorf("%s: got account %s of %q, active %v, want account %q", step, a.ID, a.Source, a.Active, have[a.Source].account)
			return nil
		}
		for _, v := range values {
			got, said := a.Values.Get(v.Field)
			if v.Field == dirsync.GroupsField && !said {
				continue // checked past the client
			}
			if !got.Same(v.Value) && !w.asleep[a.Source] {
				w.Errorf("%s: %s of %s is %v, want %v", step, v.Field, a.Source, got, v.Value)
			}
		}
		return nil
	})
	if err != nil {
		w.Fatalf("%s: %v", step, err)
	}
	if seen != len(want) {
		w.Errorf("%s: got %d accounts, want %d", step, seen, len(want))
	}
}

func TestRealServers(t *testing.T) {
	for _, s := range []*server{{name: "scimmy"}, {name: "polis", hidesMembers: true, keepsNames: true}} {
		t.Run(s.name, func(t *testing.T) {
			s.counts = map[string]int{}
			start(t, s)
			w := &world{T: t, s: s, people: map[dirsync.ID]dirsync.Values{}, groups: map[dirsync.ID]dirsync.Values{}, asleep: map[dirsync.ID]bool{},
				users: map[dirsync.ID]kept{}, teams: map[dirsync.ID]kept{}, gone: map[string]bool{}}
			w.life()
		})
	}
}

// life is what happens to people and groups in a year.
func (w *world) life() {
	for n := range 3 {
		w.groups[group(n)] = dirsync.Values{}.Set("name", text(fmt.Sprintf("Team %d", n)))
	}
	for n := range people {
		w.people[person(n)] = user(n)
	}
	counts := w.run()
	w.Logf("first run of %d people in 3 groups: %v", people, counts)
	if got, want := counts[http.MethodPost], people+3; got != want {
		w.Errorf("the first run sent %d POSTs, want %d", got, want)
	}
	w.check("first run")

	if counts := w.run(); len(counts) != 0 {
		w.Errorf("a second run sent %v, want nothing", counts)
	}

	set := func(n int, field string, v dirsync.Value) {
		w.people[person(n)] = slices.Clone(w.people[person(n)]).Set(field, v)
	}
	step := func(name string, most int) {
		w.Helper()
		counts := w.run()
		w.Logf("%s: %v", name, counts)
		if got := counts[http.MethodPost] + counts[http.MethodPut] + counts[http.MethodPatch] + counts[http.MethodDelete]; got > most {
			w.Errorf("%s: %d writes, want at most %d", name, got, most)
		}
		w.check(name)
		if counts := w.run(); len(counts) != 0 {
			w.Errorf("%s: a second run sent %v, want nothing", name, counts)
		}
	}

	set(3, "title", text("Architect"))
	set(4, "title", dirsync.Value{})
	set(5, "department", text("Sales & Support"))
	set(6, "department", dirsync.Value{})
	set(7, "mobile", dirsync.Value{Type: dirsync.Phone, Text: "+49301"})
	set(8, "mobile", dirsync.Value{})
	set(9, "manager", dirsync.Value{Type: dirsync.Reference, Text: string(person(10))})
	set(10, "manager", dirsync.Value{})
	step("changes", 8+8) // each once more, if what PATCH does not do is learned while all are under way

	set(11, dirsync.LastName, text("King"))
	set(11, dirsync.EmailAddress, dirsync.Value{Type: dirsync.Email, Text: "king@a.example"})
	w.groups[group(1)] = dirsync.Values{}.Set("name", text("Team One"))
	step("a rename of a person and of a group", 2)

	if !w.s.keepsNames {
		mine, _ := w.people[person(12)].Get(dirsync.EmailAddress)
		set(12, dirsync.EmailAddress, dirsync.Value{Type: dirsync.Email, Text: "moved@a.example"})
		set(13, dirsync.EmailAddress, mine)
		step("a name that another one gets", 2)
	}

	if w.s.keepsNames { // whoever has a name that somebody had once is refused, and nothing is doubled
		late := user(300)
		mail, _ := user(11).Get(dirsync.EmailAddress)
		c, _ := w.s.open(w.T)
		_, err := c.Apply(w.Context(), dirsync.Change{Kind: dirsync.Create, Person: person(300), After: late.Set(dirsync.EmailAddress, mail).Set("manager", dirsync.Value{})})
		if dirsync.KindOf(err) != dirsync.Conflict {
			w.Errorf("got %v, want a conflict about a name that somebody had once", err)
		}
		w.check("a name that was taken once")
	}

	w.asleep[person(20)], w.asleep[person(21)] = true, true
	step("a deactivation", 2)
	delete(w.asleep, person(20))
	delete(w.asleep, person(21))
	set(21, "title", text("Returner"))
	step("a return", 2)

	for n := 30; n < 60; n++ {
		set(n, dirsync.GroupsField, dirsync.NewList([]string{string(group(0)), string(group(2))}))
	}
	set(60, dirsync.GroupsField, dirsync.Value{})
	step("joins and leaves", 3)

	delete(w.groups, group(2))
	w.groups[group(4)] = dirsync.Values{}.Set("name", text("New team"))
	for n := range people {
		v, _ := w.people[person(n)].Get(dirsync.GroupsField)
		var in []string
		for _, id := range v.List() {
			if id == string(group(2)) {
				id = string(group(4))
			}
			in = append(in, id)
		}
		set(n, dirsync.GroupsField, dirsync.NewList(in))
	}
	step("a group that goes and one that comes", 2+6) // in three batches

	for n := 100; n < 105; n++ {
		delete(w.people, person(n))
	}
	w.people[person(201)] = user(201).Set("manager", dirsync.Value{})
	step("leavers and a joiner", 6+2)

	w.lost()
	w.forgotten()
	w.imported()
}

// lost loses the answers to a creation and to a change that took effect.
func (w *world) lost() {
	lost := map[string]bool{}
	w.s.lose = func(r *http.Request) bool {
		if r.Method == http.MethodGet || lost[r.Method] {
			return false
		}
		lost[r.Method] = true
		return true
	}
	w.people[person(204)] = user(204).Set("manager", dirsync.Value{})
	w.people[person(2)] = slices.Clone(w.people[person(2)]).Set("title", text("Lost"))
	w.Logf("answers are lost: %v", w.run())
	w.s.lose = nil
	if len(lost) < 2 {
		w.Errorf("lost only %v", lost)
	}
	w.check("lost answers")
}

// forgotten is a new installation that finds everybody there: all are adopted, nobody is doubled.
func (w *world) forgotten() {
	clear(w.users)
	clear(w.teams)
	counts := w.run()
	w.Logf("everything was forgotten: %v", counts)
	if counts[http.MethodPost] != 0 {
		w.Errorf("%d were made again", counts[http.MethodPost])
	}
	w.check("everything was forgotten")
}

// imported reads everybody from there.
func (w *world) imported() {
	c, _ := w.s.open(w.T)
	source, err := c.Source()
	if err != nil {
		w.Fatal(err)
	}
	mails := map[string]bool{}
	err = source.Read(w.Context(), "", func(p dirsync.Page) error {
		for _, r := range p.Records {
			mails[r.Attrs.Text("mail")] = true
		}
		return nil
	})
	if err != nil || len(mails) != len(w.people) {
		w.Errorf("got %d people and %v, want %d", len(mails), err, len(w.people))
	}
	err = source.LookUp(w.Context(), []dirsync.ID{"nobody", dirsync.ID(w.users[person(1)].account)}, func(r dirsync.Record) error {
		if (r.Gone != dirsync.Present) != (r.ID == "nobody") {
			w.Errorf("got %+v", r)
		}
		return nil
	})
	if err != nil {
		w.Error(err)
	}
	if _, err := c.Check(w.Context()); err != nil {
		w.Error(err)
	}
}
