package dirsynctest

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"dirsync"
)

// orphan makes an account that belongs to nobody, as somebody else would.
func (t *targetTest) orphan(v dirsync.Values) dirsync.Account {
	t.Helper()
	a, err := t.Apply(t.ctx, dirsync.Change{Kind: dirsync.Create, After: v})
	if err != nil || a.ID == "" || a.Source != "" {
		t.Fatalf("got %v and %v, want an account that belongs to nobody", a, err)
	}
	return a
}

func (t *targetTest) adoptsOrphans() {
	a := t.orphan(t.full("Ada", "Lovelace", "ada@a.example"))
	b := t.orphan(t.full("Bob", "Byron", "bob@a.example"))
	t.apply(dirsync.Change{Kind: dirsync.Deactivate, Account: b.ID})
	c := create(1, t.full("Robert", "King", "robert@a.example"))
	c.Account, c.CreateOnly = b.ID, []string{t.Second.Name}
	want := dirsync.Account{ID: b.ID, Source: personID(1), Active: true, Values: t.full("Robert", "Byron", "robert@a.example")}
	t.same("adopted", plain(t.apply(c)), want)
	t.same("accounts", t.users(), []dirsync.Account{plain(a), want})
	c.Person = personID(2)
	if e := t.refused(c, dirsync.Conflict); e.Other == "" {
		t.Errorf("got %+v, want whose the account is", e)
	}
	t.same("found by its new person", plain(t.apply(create(1, nil))), want)
	// Whoever has an account already gets no second one.
	c = create(1, t.part("Bobby", "bobby@a.example"))
	c.Account = a.ID
	want.Values = t.full("Bobby", "Byron", "bobby@a.example")
	t.same("adopted by its person, whatever account was found since", plain(t.apply(c)), want)
	t.same("accounts then", t.users(), []dirsync.Account{plain(a), want})
}

func (t *targetTest) finds() {
	finder, ok := t.Target.(dirsync.Finder)
	if !ok {
		t.Skip("it finds nobody")
	}
	if _, err := finder.Find(t.ctx, "no such field", nil); dirsync.KindOf(err) != dirsync.Invalid {
		t.Errorf("got %v for a field that there is not, want Invalid", err)
	}
	if !t.Address.Unique {
		return
	}
	a := t.apply(create(1, t.full("Ada", "Lovelace", "ada@a.example")))
	b := t.orphan(t.full("Bob", "Byron", "Bob@a.example"))
	gone := t.apply(create(2, t.full("Eve", "E", "eve@a.example")))
	t.apply(dirsync.Change{Kind: dirsync.Delete, Account: gone.ID, Person: personID(2)})
	find := func(texts ...string) [][]dirsync.Account {
		t.Helper()
		var values []dirsync.Value
		for _, text := range texts {
			values = append(values, dirsync.Value{Type: t.Address.Type, Text: text})
		}
		out, err := finder.Find(t.ctx, t.Address.Name, values)
		if err != nil {
			t.Fatal(err)
		}
		for i := range out {
			for k := range out[i] {
				out[i][k] = plain(out[i][k])
			}
		}
		return out
	}
	t.same("found", find("BOB@a.example", "nobody@a.example", "ada@a.example", "eve@a.example", "bob@a.example"),
		[][]dirsync.Account{{plain(b)}, nil, {plain(a)}, nil, {plain(b)}})
	t.same("found none", find(), [][]dirsync.Account{})
	ctx, cancel := context.WithCancel(t.ctx)
	cancel()
	if _, err := finder.Find(ctx, t.Address.Name, []dirsync.Value{{}}); err == nil {
		t.Error("a cancelled search went on")
	}
}

// restoring skips the test unless the target can bring back what it deleted.
func (t *targetTest) restoring() {
	t.Helper()
	if !restores(t.Target) {
		t.Skip("what it deletes does not come back")
	}
}

func restores(target dirsync.Target) bool {
	r, ok := target.(dirsync.Restorer)
	return ok && r.Restores() > 0
}

func (t *targetTest) restores() {
	t.restoring()
	other := t.apply(create(2, t.full("Bob", "Byron", "bob@a.example")))
	a := t.apply(create(1, t.full("Ada", "Lovelace", "ada@a.example")))
	t.apply(dirsync.Change{Kind: dirsync.Deactivate, Account: a.ID, Person: personID(1)})
	t.apply(dirsync.Change{Kind: dirsync.Delete, Account: a.ID, Person: personID(1)})
	c := dirsync.Change{Kind: dirsync.Create, Person: personID(1), Account: a.ID, After: t.full("Adele", "King", "ada@a.example"),
		CreateOnly: []string{t.Second.Name}}
	want := dirsync.Account{ID: a.ID, Source: personID(1), Active: true, Values: t.full("Adele", "Lovelace", "ada@a.example")}
	t.same("came back", plain(t.apply(c)), want)
	t.same("accounts", t.users(), []dirsync.Account{want, plain(other)})
	t.same("deleted again", t.apply(dirsync.Change{Kind: dirsync.Delete, Person: personID(1)}), dirsync.Account{})
	c.After = nil
	t.same("came back as it was", plain(t.apply(c)), want)
	t.same("can be changed", plain(t.apply(dirsync.Change{Kind: dirsync.Update, Person: personID(1), After: t.part("Ann", "ann@a.example")})).Values,
		t.full("Ann", "Lovelace", "ann@a.example"))
}

func (t *targetTest) refusesToRestore() {
	t.restoring()
	a := t.apply(create(1, t.full("Ada", "Lovelace", "ada@a.example")))
	t.apply(dirsync.Change{Kind: dirsync.Delete, Person: personID(1)})
	c := dirsync.Change{Kind: dirsync.Create, Person: personID(1), Account: a.ID}
	stranger := c
	stranger.Person = personID(2)
	if e := t.refused(stranger, dirsync.Conflict); e.Other == "" {
		t.Errorf("got %+v, want whose the account was", e)
	}
	if t.Address.Unique {
		t.apply(create(3, t.full("Eve", "E", "Ada@a.example")))
		if e := t.refused(c, dirsync.Conflict); e.Field != t.Address.Name || e.Other == "" {
			t.Errorf("got %+v, want the address, and who has it now", e)
		}
		c.After = t.part("Ada", "free@a.example")
		t.same("came back with another address", t.apply(c).ID, a.ID)
		t.apply(dirsync.Change{Kind: dirsync.Delete, Person: personID(1)})
	}
	b := t.apply(create(1, t.full("Ada", "Second", "second@a.example")))
	c.After = t.part("Adele", "second@a.example")
	t.same("adopted by the person, who has another one now", plain(t.apply(c)),
		dirsync.Account{ID: b.ID, Source: personID(1), Active: true, Values: t.full("Adele", "Second", "second@a.example")})
}

// targetProperty applies random changes to a target and to the model, and compares what came of them.
func targetProperty(t *testing.T, shape Shape, open func(t *testing.T) dirsync.Target) {
	rapid.Check(t, func(r *rapid.T) {
		ctx, model, target := context.Background(), NewTarget(), open(t)
		model.schema, model.Restore = shape.fields(), restores(target)
		ids := map[string]string{"": ""} // of accounts, past and present: what the model calls them and what the target does
		known := []string{""}
		r.Repeat(map[string]func(*rapid.T){
			"apply": func(r *rapid.T) {
				c := drawChange(r, shape)
				inModel := c
				inModel.Account = rapid.SampledFrom(known).Draw(r, "account")
				c.Account = ids[inModel.Account]
				m, errM := model.Apply(ctx, inModel)
				s, errS := target.Apply(ctx, c)
				if dirsync.KindOf(errM) != dirsync.KindOf(errS) || (errM == nil) != (errS == nil) {
					r.Fatalf("%v: the target says %v, the model %v", c, errS, errM)
				}
				if was, ok := ids[m.ID]; ok && was != s.ID {
					r.Fatalf("%v: the target speaks of %q, the model of %q", c, s.ID, was)
				} else if !ok {
					ids[m.ID], known = s.ID, append(known, m.ID)
				}
				m.ID = s.ID
				if diff := cmp.Diff(plain(m), plain(s), cmpopts.EquateEmpty()); diff != "" {
					r.Fatalf("%v: -model +target\n%s", c, diff)
				}
			},
			"": func(r *rapid.T) {
				m, errM := accounts(ctx, model)
				s, errS := accounts(ctx, target)
				if errM != nil || errS != nil {
					r.Fatal(errM, errS)
				}
				for i := range m {
					m[i].ID = ids[m[i].ID]
				}
				if diff := cmp.Diff(m, s, cmpopts.EquateEmpty()); diff != "" {
					r.Fatalf("-model +target\n%s", diff)
				}
			},
		})
	})
}

func drawChange(r *rapid.T, shape Shape) dirsync.Change {
	c := dirsync.Change{Kind: rapid.SampledFrom(dirsync.ChangeKinds()).Draw(r, "kind"),
		Person: personID(rapid.IntRange(1, 5).Draw(r, "person"))}
	for _, f := range shape.fields() {
		switch v := rapid.SampledFrom([]string{"-", "", "a", "A", "b", "c", "d"}).Draw(r, f.Name); v {
		case "-":
		case "":
			c.After = c.After.Set(f.Name, dirsync.Value{})
		default:
			c.After = c.After.Set(f.Name, dirsync.Value{Type: f.Type, Text: v + "@a.example"})
		}
	}
	if rapid.Bool().Draw(r, "create only") {
		c.CreateOnly = []string{shape.Second.Name}
	}
	return c
}
