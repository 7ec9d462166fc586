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

	"dirsync"
)

// Shape says which fields of a target the suite writes. Which of them are Required, Unique and of which Type decides
// about what the target must refuse.
type Shape struct {
	// First and Second are texts, and Address is an address of whoever the account is for.
	First, Second, Address dirsync.Field
}

// Users is the shape of a target of users.
func Users() Shape {
	return Shape{
		First:   dirsync.Field{Name: dirsync.FirstName, Type: dirsync.Text, Required: true},
		Second:  dirsync.Field{Name: dirsync.LastName, Type: dirsync.Text, Required: true},
		Address: dirsync.Field{Name: dirsync.EmailAddress, Type: dirsync.Email, Required: true, Unique: true},
	}
}

// Groups is the shape of a target of groups.
func Groups() Shape {
	return Shape{
		First:   dirsync.Field{Name: "name", Type: dirsync.Text, Required: true},
		Second:  dirsync.Field{Name: "description", Type: dirsync.Text},
		Address: dirsync.Field{Name: "mail", Type: dirsync.Text},
	}
}

func (s Shape) fields() []dirsync.Field { return []dirsync.Field{s.First, s.Second, s.Address} }

// values makes values of some fields, in the shape's order; "-" leaves one out.
func (s Shape) values(texts ...string) (out dirsync.Values) {
	for i, f := range s.fields()[:len(texts)] {
		if texts[i] != "-" {
			out = out.Set(f.Name, dirsync.Value{Type: f.Type, Text: texts[i]})
		}
	}
	return out
}

// TestTarget checks that a target of users keeps the promises of dirsync.Target, and of dirsync.Batcher, dirsync.Finder
// and dirsync.Restorer if it is one. open makes a new one without accounts each time; it is called a few hundred times.
func TestTarget(t *testing.T, open func(t *testing.T) dirsync.Target) { TestTargetOf(t, Users(), open) }

// TestTargetOf is TestTarget for a target of another shape.
func TestTargetOf(t *testing.T, shape Shape, open func(t *testing.T) dirsync.Target) {
	for _, test := range []struct {
		name string
		run  func(*targetTest)
	}{
		{"describes itself", (*targetTest).describes},
		{"create makes an account once", (*targetTest).creates},
		{"create adopts", (*targetTest).adopts},
		{"create adopts what belongs to nobody", (*targetTest).adoptsOrphans},
		{"update writes what it may", (*targetTest).updates},
		{"deactivate, reactivate, delete", (*targetTest).leaves},
		{"what is not there", (*targetTest).missing},
		{"addresses are unique", (*targetTest).conflicts},
		{"bad values are refused", (*targetTest).refuses},
		{"listing stops with its reader", (*targetTest).lists},
		{"a cancelled call fails", (*targetTest).cancels},
		{"batches", (*targetTest).batches},
		{"accounts are found by their values", (*targetTest).finds},
		{"deleted accounts come back", (*targetTest).restores},
		{"deleted accounts stay away when they are in the way", (*targetTest).refusesToRestore},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.run(&targetTest{T: t, Target: open(t), Shape: shape, ctx: context.Background()})
		})
	}
	t.Run("behaves like the model whatever happens", func(t *testing.T) { targetProperty(t, shape, open) })
}

// targetTest is one test with its target.
type targetTest struct {
	*testing.T
	dirsync.Target
	Shape
	ctx context.Context
}

// full are the values that every target takes.
func (t *targetTest) full(first, second, address string) dirsync.Values {
	return t.Shape.values(first, second, address)
}

// part are some values of an account that is there.
func (t *targetTest) part(first, address string) dirsync.Values {
	return t.Shape.values(first, "-", address)
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
	for _, f := range t.Shape.fields() {
		want := f.Name
		i := slices.IndexFunc(fields, func(f dirsync.Field) bool { return f.Name == want })
		if i < 0 || fields[i].Type == "" || fields[i].Refused != "" {
			t.Errorf("%s is not among the fields %v", want, fields)
		}
	}
	t.same("number of accounts", len(t.users()), 0)
}

func (t *targetTest) creates() {
	a := t.apply(create(1, t.full("Ada", "Lovelace", "ada@a.example")))
	if a.ID == "" {
		t.Fatal("an account without an id")
	}
	want := dirsync.Account{ID: a.ID, Source: personID(1), Active: true, Values: t.full("Ada", "Lovelace", "ada@a.example")}
	t.same("account", plain(a), want)
	b := t.apply(create(2, t.full("Bob", "Byron", "bob@a.example")))
	if b.ID == a.ID {
		t.Fatal("two accounts have the same id")
	}
	t.same("accounts", t.users(), []dirsync.Account{want, plain(b)})
}

func (t *targetTest) adopts() {
	a := t.apply(create(1, t.full("Ada", "Lovelace", "ada@a.example")))
	t.apply(dirsync.Change{Kind: dirsync.Deactivate, Person: personID(1), Account: a.ID})
	c := create(1, t.full("Adele", "King", "king@a.example"))
	c.CreateOnly = []string{t.First.Name}
	got := t.apply(c)
	t.same("adopted", plain(got), dirsync.Account{ID: a.ID, Source: personID(1), Active: true, Values: t.full("Ada", "King", "king@a.example")})
	c.Account = a.ID
	t.same("adopted by its id", t.apply(c).ID, a.ID)
	c.Account = "no such id"
	t.same("adopted by its person, the id being stale", t.apply(c).ID, a.ID)
	t.same("number of accounts", len(t.users()), 1)
}

func (t *targetTest) updates() {
	a := t.apply(create(1, t.full("Ada", "Lovelace", "ada@a.example")))
	c := dirsync.Change{Kind: dirsync.Update, Person: personID(1), Account: a.ID, After: t.part("Adele", "king@a.example"),
		CreateOnly: []string{t.Address.Name}}
	want := dirsync.Account{ID: a.ID, Source: personID(1), Active: true, Values: t.full("Adele", "Lovelace", "ada@a.example")}
	t.same("updated", plain(t.apply(c)), want)
	c.Account, c.CreateOnly = "", nil
	want.Values = t.full("Adele", "Lovelace", "king@a.example")
	t.same("updated by person", plain(t.apply(c)), want)
	t.same("accounts", t.users(), []dirsync.Account{want})

	t.apply(dirsync.Change{Kind: dirsync.Deactivate, Person: personID(1)})
	c.After = t.part("Ann", "ann@a.example")
	want.Active, want.Values = false, t.full("Ann", "Lovelace", "ann@a.example")
	t.same("updated while inactive", plain(t.apply(c)), want)
	t.same("an address in other letters", plain(t.apply(dirsync.Change{Kind: dirsync.Update, Person: personID(1),
		After: t.part("Ann", "Ann@a.example")})).Values, t.full("Ann", "Lovelace", "Ann@a.example"))
}

func (t *targetTest) leaves() {
	a := t.apply(create(1, t.full("Ada", "Lovelace", "ada@a.example")))
	b := t.apply(create(2, t.full("Bob", "Byron", "bob@a.example")))
	want := plain(a)
	want.Active = false
	t.same("deactivated", plain(t.apply(dirsync.Change{Kind: dirsync.Deactivate, Person: personID(1), Account: a.ID})), want)
	want.Active, want.Values = true, t.full("Ada", "King", "ada@a.example")
	t.same("reactivated", plain(t.apply(dirsync.Change{Kind: dirsync.Reactivate, Person: personID(1), Account: a.ID,
		After: dirsync.Values{}.Set(t.Second.Name, dirsync.Value{Type: dirsync.Text, Text: "King"})})), want)
	t.same("deleted", t.apply(dirsync.Change{Kind: dirsync.Delete, Person: personID(1)}), dirsync.Account{})
	t.same("accounts", t.users(), []dirsync.Account{plain(b)})
	again := t.apply(create(1, t.full("Ada", "Lovelace", "ada@a.example")))
	if again.ID == a.ID || again.ID == b.ID {
		t.Errorf("id %s was given again", again.ID)
	}
	t.same("deleted by id", t.apply(dirsync.Change{Kind: dirsync.Delete, Account: again.ID, Person: personID(1)}), dirsync.Account{})
	t.apply(create(3, t.full("Ada", "Lovelace", "ada@a.example")))
}

func (t *targetTest) missing() {
	t.apply(create(1, t.full("Ada", "Lovelace", "ada@a.example")))
	for _, c := range []dirsync.Change{{Person: personID(9)}, {Person: personID(1), Account: "no such id"}} {
		for _, kind := range []dirsync.ChangeKind{dirsync.Deactivate, dirsync.Delete} {
			c.Kind = kind
			t.same(kind.String()+" of nobody", t.apply(c), dirsync.Account{})
		}
		for _, kind := range []dirsync.ChangeKind{dirsync.Update, dirsync.Reactivate} {
			c.Kind, c.After = kind, t.part("X", "x@a.example")
			_ = t.refused(c, dirsync.NotFound)
		}
	}
	t.same("number of accounts", len(t.users()), 1)
}

func (t *targetTest) conflicts() {
	if !t.Address.Unique {
		t.Skip("several may share an address")
	}
	t.apply(create(1, t.full("Ada", "Lovelace", "ada@a.example")))
	b := t.apply(create(2, t.full("Bob", "Byron", "bob@a.example")))
	for name, c := range map[string]dirsync.Change{
		"create": create(3, t.full("Eve", "E", "ADA@a.example")),
		"update": {Kind: dirsync.Update, Person: personID(2), Account: b.ID, After: t.part("Bobby", "Ada@A.example")},
	} {
		e := t.refused(c, dirsync.Conflict)
		if e.Field != t.Address.Name || e.Other == "" || e.Value == "" || e.ID != c.Person {
			t.Errorf("%s: got %+v, want the field, the value, who has it, and the person", name, e)
		}
	}
	t.apply(dirsync.Change{Kind: dirsync.Deactivate, Person: personID(1)})
	_ = t.refused(create(3, t.full("Eve", "E", "ada@a.example")), dirsync.Conflict)
	t.apply(dirsync.Change{Kind: dirsync.Delete, Person: personID(1)})
	t.apply(create(3, t.full("Eve", "E", "ada@a.example")))
}

func (t *targetTest) refuses() {
	t.apply(create(1, t.full("Ada", "Lovelace", "ada@a.example")))
	for name, test := range map[string]struct {
		c       dirsync.Change
		field   string
		allowed bool
	}{
		"no address":        {create(2, t.full("Bob", "B", "b@a.example").Set(t.Address.Name, dirsync.Value{})), t.Address.Name, !t.Address.Required},
		"no second text":    {create(2, t.part("Bob", "bob@a.example")), t.Second.Name, !t.Second.Required},
		"no first text":     {create(2, t.Shape.values("-", "B", "bob@a.example")), t.First.Name, !t.First.Required},
		"an unknown field":  {create(2, t.full("Bob", "B", "bob@a.example").Set("no such field", dirsync.Value{Type: dirsync.Text, Text: "x"})), "no such field", false},
		"the wrong type":    {create(2, t.full("Bob", "B", "bob@a.example").Set(t.First.Name, dirsync.Value{Type: dirsync.Date, Text: "2026-01-01"})), t.First.Name, false},
		"a cleared address": {dirsync.Change{Kind: dirsync.Update, Person: personID(1), After: dirsync.Values{{Field: t.Address.Name}}}, t.Address.Name, !t.Address.Required},
		"a cleared text":    {dirsync.Change{Kind: dirsync.Update, Person: personID(1), After: dirsync.Values{{Field: t.First.Name}}}, t.First.Name, !t.First.Required},
	} {
		if test.allowed {
			continue
		}
		if e := t.refused(test.c, dirsync.Invalid); e.Field != test.field {
			t.Errorf("%s: got field %q, want %q", name, e.Field, test.field)
		}
	}
}

func (t *targetTest) lists() {
	for n := 1; n <= 3; n++ {
		t.apply(create(n, t.full("N", "N", fmt.Sprintf("n%d@a.example", n))))
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
	if _, err := t.Apply(ctx, create(1, t.full("N", "N", "n@a.example"))); err == nil {
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
		create(1, t.full("Ada", "Lovelace", "ada@a.example")),
		create(2, t.Shape.values("-", "B", "bob@a.example")),
		create(3, t.full("Eve", "E", "ADA@a.example")),
		{Kind: dirsync.Update, Person: personID(1), After: t.part("Adele", "adele@a.example")},
		{Kind: dirsync.Update, Person: personID(9), After: t.part("X", "x@a.example")},
		{Kind: dirsync.Delete, Person: personID(9)},
		create(4, t.full("Dan", "D", "dan@a.example")),
	})
	wants := []dirsync.ErrorKind{0, dirsync.Invalid, dirsync.Conflict, 0, dirsync.NotFound, 0, 0}
	if !t.Address.Unique {
		wants[2] = 0
	}
	for i, want := range wants {
		if got := dirsync.KindOf(out[i].Err); got != want || (want == 0) != (out[i].Err == nil) {
			t.Errorf("change %d: got %v, want kind %v", i, out[i].Err, want)
		}
	}
	want := []dirsync.Account{
		{ID: out[0].Account.ID, Source: personID(1), Active: true, Values: t.full("Adele", "Lovelace", "adele@a.example")},
		{ID: out[2].Account.ID, Source: personID(3), Active: true, Values: t.full("Eve", "E", "ADA@a.example")},
		{ID: out[6].Account.ID, Source: personID(4), Active: true, Values: t.full("Dan", "D", "dan@a.example")},
	}
	if t.Address.Unique {
		want = slices.Delete(want, 1, 2)
	}
	t.same("accounts", t.users(), want)
	ctx, cancel := context.WithCancel(t.ctx)
	cancel()
	if out := b.ApplyAll(ctx, []dirsync.Change{create(5, t.full("N", "N", "n@a.example"))}); len(out) != 1 || out[0].Err == nil {
		t.Errorf("got %v for a cancelled batch, want an error", out)
	}
}
