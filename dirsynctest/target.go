package dirsynctest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"dirsync"
)

// TestTarget checks that a target keeps the promises of dirsync.Target, and of dirsync.Batcher if it is one. open makes
// a new one without accounts each time; it is called a few hundred times.
func TestTarget(t *testing.T, open func(t *testing.T) dirsync.Target) {
	for _, test := range []struct {
		name string
		run  func(*targetTest)
	}{
		{"describes itself", (*targetTest).describes},
		{"create makes an account once", (*targetTest).creates},
		{"create adopts", (*targetTest).adopts},
		{"update writes what it may", (*targetTest).updates},
		{"deactivate, reactivate, delete", (*targetTest).leaves},
		{"what is not there", (*targetTest).missing},
		{"addresses are unique", (*targetTest).conflicts},
		{"bad values are refused", (*targetTest).refuses},
		{"listing stops with its reader", (*targetTest).lists},
		{"a cancelled call fails", (*targetTest).cancels},
		{"batches", (*targetTest).batches},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(&targetTest{T: t, Target: open(t), ctx: context.Background()}) })
	}
	t.Run("behaves like the model whatever happens", func(t *testing.T) { targetProperty(t, open) })
}

// targetTest is one test with its target.
type targetTest struct {
	*testing.T
	dirsync.Target
	ctx context.Context
}

// full are the values that every target takes.
func full(first, last, email string) dirsync.Values {
	return values(first, email).Set(dirsync.LastName, dirsync.Value{Type: dirsync.Text, Text: last})
}

func create(n int, v dirsync.Values) dirsync.Change {
	return dirsync.Change{Kind: dirsync.Create, Person: personID(n), After: v}
}

// apply applies a change twice, which must be the same as once, and returns what the account then is.
func (t *targetTest) apply(c dirsync.Change) dirsync.Account {
	t.Helper()
	first, err := t.Apply(t.ctx, c)
	if err != nil {
		t.Fatalf("%v: %v", c.Kind, err)
	}
	second, err := t.Apply(t.ctx, c)
	if err != nil {
		t.Fatalf("%v again: %v", c.Kind, err)
	}
	t.same(c.Kind.String()+" again", plain(second), plain(first))
	return first
}

// refused applies a change that must fail, and returns the error.
func (t *targetTest) refused(c dirsync.Change, kind dirsync.ErrorKind) *dirsync.Error {
	t.Helper()
	before := t.users()
	_, err := t.Apply(t.ctx, c)
	e, ok := errors.AsType[*dirsync.Error](err)
	if !ok || e.Kind != kind {
		t.Fatalf("%v: got %v, want an *Error of kind %v", c.Kind, err, kind)
	}
	t.same("accounts after what was refused", t.users(), before)
	return e
}

// plain is an account without its times.
func plain(a dirsync.Account) dirsync.Account {
	a.Created, a.Updated = time.Time{}, time.Time{}
	a.Values = slices.DeleteFunc(slices.Clone(a.Values), func(v dirsync.FieldValue) bool { return v.Value.IsNull() })
	return a
}

// users returns all accounts, by source id and then by id.
func (t *targetTest) users() []dirsync.Account {
	t.Helper()
	out, err := accounts(t.ctx, t.Target)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func accounts(ctx context.Context, target dirsync.Target) ([]dirsync.Account, error) {
	var out []dirsync.Account
	err := target.Users(ctx, func(a dirsync.Account) error {
		out = append(out, plain(a))
		return nil
	})
	slices.SortFunc(out, func(a, b dirsync.Account) int {
		if a.Source != b.Source && a.Source < b.Source || a.Source == b.Source && a.ID < b.ID {
			return -1
		}
		return 1
	})
	return out, err
}

func (t *targetTest) same(what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%s: -want +got\n%s", what, diff)
	}
}

func (t *targetTest) describes() {
	if t.Name() == "" {
		t.Error("it has no name")
	}
	fields, err := t.Fields(t.ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{dirsync.FirstName, dirsync.LastName, dirsync.EmailAddress} {
		i := slices.IndexFunc(fields, func(f dirsync.Field) bool { return f.Name == want })
		if i < 0 || fields[i].Type == "" || fields[i].Refused != "" {
			t.Errorf("%s is not among the fields %v", want, fields)
		}
	}
	t.same("number of accounts", len(t.users()), 0)
}

func (t *targetTest) creates() {
	a := t.apply(create(1, full("Ada", "Lovelace", "ada@a.example")))
	if a.ID == "" {
		t.Fatal("an account without an id")
	}
	want := dirsync.Account{ID: a.ID, Source: personID(1), Active: true, Values: full("Ada", "Lovelace", "ada@a.example")}
	t.same("account", plain(a), want)
	b := t.apply(create(2, full("Bob", "Byron", "bob@a.example")))
	if b.ID == a.ID {
		t.Fatal("two accounts have the same id")
	}
	t.same("accounts", t.users(), []dirsync.Account{want, plain(b)})
}

func (t *targetTest) adopts() {
	a := t.apply(create(1, full("Ada", "Lovelace", "ada@a.example")))
	t.apply(dirsync.Change{Kind: dirsync.Deactivate, Person: personID(1), Account: a.ID})
	c := create(1, full("Adele", "King", "king@a.example"))
	c.CreateOnly = []string{dirsync.FirstName}
	got := t.apply(c)
	t.same("adopted", plain(got), dirsync.Account{ID: a.ID, Source: personID(1), Active: true, Values: full("Ada", "King", "king@a.example")})
	c.Account = a.ID
	t.same("adopted by its id", t.apply(c).ID, a.ID)
	c.Account = "no such id"
	t.same("adopted by its person, the id being stale", t.apply(c).ID, a.ID)
	t.same("number of accounts", len(t.users()), 1)
}

func (t *targetTest) updates() {
	a := t.apply(create(1, full("Ada", "Lovelace", "ada@a.example")))
	c := dirsync.Change{Kind: dirsync.Update, Person: personID(1), Account: a.ID, After: values("Adele", "king@a.example"),
		CreateOnly: []string{dirsync.EmailAddress}}
	want := dirsync.Account{ID: a.ID, Source: personID(1), Active: true, Values: full("Adele", "Lovelace", "ada@a.example")}
	t.same("updated", plain(t.apply(c)), want)
	c.Account, c.CreateOnly = "", nil
	want.Values = full("Adele", "Lovelace", "king@a.example")
	t.same("updated by person", plain(t.apply(c)), want)
	t.same("accounts", t.users(), []dirsync.Account{want})

	t.apply(dirsync.Change{Kind: dirsync.Deactivate, Person: personID(1)})
	c.After = values("Ann", "ann@a.example")
	want.Active, want.Values = false, full("Ann", "Lovelace", "ann@a.example")
	t.same("updated while inactive", plain(t.apply(c)), want)
	t.same("an address in other letters", plain(t.apply(dirsync.Change{Kind: dirsync.Update, Person: personID(1),
		After: values("Ann", "Ann@a.example")})).Values, full("Ann", "Lovelace", "Ann@a.example"))
}

func (t *targetTest) leaves() {
	a := t.apply(create(1, full("Ada", "Lovelace", "ada@a.example")))
	b := t.apply(create(2, full("Bob", "Byron", "bob@a.example")))
	want := plain(a)
	want.Active = false
	t.same("deactivated", plain(t.apply(dirsync.Change{Kind: dirsync.Deactivate, Person: personID(1), Account: a.ID})), want)
	want.Active, want.Values = true, full("Ada", "King", "ada@a.example")
	t.same("reactivated", plain(t.apply(dirsync.Change{Kind: dirsync.Reactivate, Person: personID(1), Account: a.ID,
		After: dirsync.Values{}.Set(dirsync.LastName, dirsync.Value{Type: dirsync.Text, Text: "King"})})), want)
	t.same("deleted", t.apply(dirsync.Change{Kind: dirsync.Delete, Person: personID(1)}), dirsync.Account{})
	t.same("accounts", t.users(), []dirsync.Account{plain(b)})
	again := t.apply(create(1, full("Ada", "Lovelace", "ada@a.example")))
	if again.ID == a.ID || again.ID == b.ID {
		t.Errorf("id %s was given again", again.ID)
	}
	t.same("deleted by id", t.apply(dirsync.Change{Kind: dirsync.Delete, Account: again.ID, Person: personID(1)}), dirsync.Account{})
	t.apply(create(3, full("Ada", "Lovelace", "ada@a.example")))
}

func (t *targetTest) missing() {
	t.apply(create(1, full("Ada", "Lovelace", "ada@a.example")))
	for _, c := range []dirsync.Change{{Person: personID(9)}, {Person: personID(1), Account: "no such id"}} {
		for _, kind := range []dirsync.ChangeKind{dirsync.Deactivate, dirsync.Delete} {
			c.Kind = kind
			t.same(kind.String()+" of nobody", t.apply(c), dirsync.Account{})
		}
		for _, kind := range []dirsync.ChangeKind{dirsync.Update, dirsync.Reactivate} {
			c.Kind, c.After = kind, values("X", "x@a.example")
			_ = t.refused(c, dirsync.NotFound)
		}
	}
	t.same("number of accounts", len(t.users()), 1)
}

func (t *targetTest) conflicts() {
	t.apply(create(1, full("Ada", "Lovelace", "ada@a.example")))
	b := t.apply(create(2, full("Bob", "Byron", "bob@a.example")))
	for name, c := range map[string]dirsync.Change{
		"create": create(3, full("Eve", "E", "ADA@a.example")),
		"update": {Kind: dirsync.Update, Person: personID(2), Account: b.ID, After: values("Bobby", "Ada@A.example")},
	} {
		e := t.refused(c, dirsync.Conflict)
		if e.Field != dirsync.EmailAddress || e.Other == "" || e.Value == "" || e.ID != c.Person {
			t.Errorf("%s: got %+v, want the field, the value, who has it, and the person", name, e)
		}
	}
	t.apply(dirsync.Change{Kind: dirsync.Deactivate, Person: personID(1)})
	_ = t.refused(create(3, full("Eve", "E", "ada@a.example")), dirsync.Conflict)
	t.apply(dirsync.Change{Kind: dirsync.Delete, Person: personID(1)})
	t.apply(create(3, full("Eve", "E", "ada@a.example")))
}

func (t *targetTest) refuses() {
	t.apply(create(1, full("Ada", "Lovelace", "ada@a.example")))
	for name, test := range map[string]struct {
		c     dirsync.Change
		field string
	}{
		"no address":        {create(2, full("Bob", "B", "b@a.example").Set(dirsync.EmailAddress, dirsync.Value{})), dirsync.EmailAddress},
		"no last name":      {create(2, values("Bob", "bob@a.example")), dirsync.LastName},
		"an unknown field":  {create(2, full("Bob", "B", "bob@a.example").Set("no such field", dirsync.Value{Type: dirsync.Text, Text: "x"})), "no such field"},
		"the wrong type":    {create(2, full("Bob", "B", "bob@a.example").Set(dirsync.FirstName, dirsync.Value{Type: dirsync.Date, Text: "2026-01-01"})), dirsync.FirstName},
		"a cleared address": {dirsync.Change{Kind: dirsync.Update, Person: personID(1), After: dirsync.Values{{Field: dirsync.EmailAddress}}}, dirsync.EmailAddress},
	} {
		if e := t.refused(test.c, dirsync.Invalid); e.Field != test.field {
			t.Errorf("%s: got field %q, want %q", name, e.Field, test.field)
		}
	}
}

func (t *targetTest) lists() {
	for n := 1; n <= 3; n++ {
		t.apply(create(n, full("N", "N", fmt.Sprintf("n%d@a.example", n))))
	}
	stop, calls := errors.New("stop"), 0
	err := t.Users(t.ctx, func(dirsync.Account) error { calls++; return stop })
	if !errors.Is(err, stop) || calls != 1 {
		t.Errorf("got %v after %d calls, want the reader's error after the first", err, calls)
	}
}

func (t *targetTest) cancels() {
	ctx, cancel := context.WithCancel(t.ctx)
	cancel()
	if _, err := t.Apply(ctx, create(1, full("N", "N", "n@a.example"))); err == nil {
		t.Error("a cancelled change went on")
	}
	if err := t.Users(ctx, func(dirsync.Account) error { return nil }); err == nil {
		t.Error("a cancelled listing went on")
	}
	t.same("number of accounts", len(t.users()), 0)
}

func (t *targetTest) batches() {
	b, ok := t.Target.(dirsync.Batcher)
	if !ok {
		t.Skip("it applies changes one by one")
	}
	t.same("nothing", len(b.ApplyAll(t.ctx, nil)), 0)
	out := b.ApplyAll(t.ctx, []dirsync.Change{
		create(1, full("Ada", "Lovelace", "ada@a.example")),
		create(2, values("Bob", "bob@a.example")),
		create(3, full("Eve", "E", "ADA@a.example")),
		{Kind: dirsync.Update, Person: personID(1), After: values("Adele", "adele@a.example")},
		{Kind: dirsync.Update, Person: personID(9), After: values("X", "x@a.example")},
		{Kind: dirsync.Delete, Person: personID(9)},
		create(4, full("Dan", "D", "dan@a.example")),
	})
	for i, want := range []dirsync.ErrorKind{0, dirsync.Invalid, dirsync.Conflict, 0, dirsync.NotFound, 0, 0} {
		if got := dirsync.KindOf(out[i].Err); got != want || (want == 0) != (out[i].Err == nil) {
			t.Errorf("change %d: got %v, want kind %v", i, out[i].Err, want)
		}
	}
	t.same("accounts", t.users(), []dirsync.Account{
		{ID: out[0].Account.ID, Source: personID(1), Active: true, Values: full("Adele", "Lovelace", "adele@a.example")},
		{ID: out[6].Account.ID, Source: personID(4), Active: true, Values: full("Dan", "D", "dan@a.example")},
	})
	ctx, cancel := context.WithCancel(t.ctx)
	cancel()
	if out := b.ApplyAll(ctx, []dirsync.Change{create(5, full("N", "N", "n@a.example"))}); len(out) != 1 || out[0].Err == nil {
		t.Errorf("got %v for a cancelled batch, want an error", out)
	}
}

// targetProperty applies random changes to a target and to the model, and compares what came of them.
func targetProperty(t *testing.T, open func(t *testing.T) dirsync.Target) {
	rapid.Check(t, func(r *rapid.T) {
		ctx, model, target := context.Background(), NewTarget(), open(t)
		r.Repeat(map[string]func(*rapid.T){
			"apply": func(r *rapid.T) {
				c := dirsync.Change{Kind: rapid.SampledFrom(dirsync.ChangeKinds()).Draw(r, "kind"),
					Person: personID(rapid.IntRange(1, 5).Draw(r, "person"))}
				for _, f := range []string{dirsync.FirstName, dirsync.LastName, dirsync.EmailAddress} {
					v := rapid.SampledFrom([]string{"-", "", "a", "A", "b", "c", "d"}).Draw(r, f)
					typ := dirsync.Text
					if f == dirsync.EmailAddress {
						typ = dirsync.Email
					}
					switch v {
					case "-":
					case "":
						c.After = c.After.Set(f, dirsync.Value{})
					default:
						c.After = c.After.Set(f, dirsync.Value{Type: typ, Text: v + "@a.example"})
					}
				}
				if rapid.Bool().Draw(r, "create only") {
					c.CreateOnly = []string{dirsync.LastName}
				}
				m, errM := model.Apply(ctx, c)
				s, errS := target.Apply(ctx, c)
				if dirsync.KindOf(errM) != dirsync.KindOf(errS) || (errM == nil) != (errS == nil) {
					r.Fatalf("%v: the target says %v, the model %v", c, errS, errM)
				}
				m.ID, s.ID = "", ""
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
					m[i].ID = ""
				}
				for i := range s {
					s[i].ID = ""
				}
				if diff := cmp.Diff(m, s, cmpopts.EquateEmpty()); diff != "" {
					r.Fatalf("-model +target\n%s", diff)
				}
			},
		})
	})
}
