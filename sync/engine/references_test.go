package engine_test

import (
	"context"
	"testing"

	"dirsync"
	"dirsync/dirsynctest"
	"dirsync/mapping"
	"dirsync/sync/engine"
)

// ownIDs is a target that cannot keep a reference to somebody who has no account there.
type ownIDs struct {
	*dirsynctest.Target
	waiting map[dirsync.ID][]string
	bosses  map[dirsync.ID]dirsync.ID
}

func (o *ownIDs) Unresolved() map[dirsync.ID][]string {
	out := o.waiting
	o.waiting = map[dirsync.ID][]string{}
	return out
}

func (o *ownIDs) ApplyAll(ctx context.Context, changes []dirsync.Change) []dirsync.Applied {
	for i, c := range changes {
		boss, ok := c.After.Get("manager")
		there := !ok || boss.IsNull()
		for _, a := range o.Accounts() {
			there = there || string(a.Source) == boss.Text
		}
		if there {
			delete(o.waiting, c.Person)
			continue
		}
		o.waiting[c.Person], o.bosses[c.Person] = []string{"manager"}, dirsync.ID(boss.Text)
		changes[i].After = c.After.With(dirsync.Values{{Field: "manager"}})
	}
	out := o.Target.ApplyAll(ctx, changes)
	for _, a := range o.Accounts() {
		for who, boss := range o.bosses {
			if _, waits := o.waiting[who]; waits && a.Source == boss {
				v := dirsync.Values{{Field: "manager", Value: dirsync.Value{Type: dirsync.Reference, Text: string(boss)}}}
				o.Target.ApplyAll(ctx, []dirsync.Change{{Kind: dirsync.Update, Person: who, After: v}})
				delete(o.waiting, who)
			}
		}
	}
	return out
}

// A reference to somebody who has no account is owed until they have one, in whichever run that is, and costs nothing
// meanwhile.
func TestReferencesWait(t *testing.T) {
	w := newWorld(0)
	manager := dirsync.Field{Name: "manager", Type: dirsync.Reference}
	w.target = dirsynctest.NewTarget(dirsync.Field{Name: "department", Type: dirsync.Text}, manager)
	target := &ownIDs{Target: w.target}
	boss := "boss"
	source, err := w.src.Fields(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fields, err := w.target.Fields(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m, problems := mapping.Compile([]mapping.Spec{{Field: dirsync.FirstName, From: "givenName"}, {Field: dirsync.LastName, From: "surname"},
		{Field: dirsync.EmailAddress, From: "mail"}, {Field: "manager", From: "manager"}}, mapping.Expression{},
		append(source, dirsync.Field{Name: "manager", Type: dirsync.Reference}), fields)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	run := func(want dirsync.Counts) {
		t.Helper()
		e := w.engine(m) // a new process each time
		e.Target = target
		target.waiting, target.bosses = map[dirsync.ID][]string{}, map[dirsync.ID]dirsync.ID{}
		r, err := e.Run(t.Context(), engine.Options{})
		r.Counts.Read = 0
		if err != nil || r.Counts != want || r.Status != dirsync.Success {
			t.Fatalf("got %+v %s %v, want %+v", r.Counts, r.Status, err, want)
		}
	}
	ann := person("Ann", "ann@x.org")
	ann["manager"] = map[string]any{"id": boss}
	w.src.Put("ann", ann)
	run(dirsync.Counts{Created: 1})
	run(dirsync.Counts{Unchanged: 1})
	p, err := w.store.Person(t.Context(), "ann")
	if held, _ := p.Link.Held.Get("manager"); err != nil || !held.IsNull() || p.Owed.Why != dirsync.WhyReference {
		t.Errorf("known of ann: %+v %+v, %v", p.Link, p.Owed, err)
	}
	w.src.Put(dirsync.ID(boss), person("Bo", "bo@x.org"))
	run(dirsync.Counts{Created: 1, Updated: 1})
	run(dirsync.Counts{Unchanged: 2})
	for _, a := range w.target.Accounts() {
		if v, _ := a.Values.Get("manager"); a.Source == "ann" && v.Text != boss {
			t.Errorf("ann's manager is %q", v.Text)
		}
	}
}
