package dirsynctest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"dirsync"
)

// Target is a dirsync.Target, with batches, that lives in memory. It keeps the contract to the letter: it knows its
// fields and refuses others, holds e-mail addresses (and every other Unique field) unique without regard to letter
// case, and gives its accounts the ids u1, u2, …, which it never gives again. Make one with NewTarget. It may be used
// from several goroutines.
type Target struct {
	// Fault, when set, is asked at the start of every method, with the method's name: "Apply", "ApplyAll", "Users",
	// "Fields". A first error makes the call fail without effect, a second one makes it fail having taken effect.
	Fault func(op string) (before, after error)
	// FaultChange, when set, is asked in the same way for every change that Apply or ApplyAll is given, so that some of
	// a batch can fail.
	FaultChange func(c dirsync.Change) (before, after error)
	// Now is the clock; NewTarget sets one that always says 2026-01-01 00:00 UTC.
	Now func() time.Time

	// Restore makes the target keep every deleted account for good, and bring it back when it is asked to; see
	// dirsync.Restorer. Set it before the target is used.
	Restore bool

	// Forget makes the target keep no Source: it finds accounts by their id only, and never says whose one is, as if it had
	// no place for that; see dirsync.Forgetful. Accounts tells all the same. Set it before the target is used.
	Forget bool

	// Members, when set, is where the users are who are in the groups of this target: a group that is deleted takes all
	// memberships in it along. Set it before the target is used.
	Members *Target

	mu       sync.Mutex
	schema   []dirsync.Field
	deleted  []dirsync.Account
	accounts []dirsync.Account // in the order in which they were made
	last     int
	applied  []dirsync.Change
}

var (
	_ dirsync.Target   = (*Target)(nil)
	_ dirsync.Batcher  = (*Target)(nil)
	_ dirsync.Restorer = (*Target)(nil)

	_ dirsync.Forgetful = (*Target)(nil)
)

// NewTarget returns a target without accounts. Its fields are first_name, last_name and email, all required, and
// then extra.
func NewTarget(extra ...dirsync.Field) *Target {
	schema := []dirsync.Field{
		{Name: dirsync.FirstName, Label: "First name", Type: dirsync.Text, Required: true},
		{Name: dirsync.LastName, Label: "Last name", Type: dirsync.Text, Required: true},
		{Name: dirsync.EmailAddress, Label: "E-mail", Type: dirsync.Email, Required: true, Unique: true},
	}
	epoch := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return &Target{schema: append(schema, extra...), Now: func() time.Time { return epoch }}
}

// NewGroupTarget returns a target of groups without any. Its fields are name, which is required, description and mail.
func NewGroupTarget() *Target {
	t := NewTarget()
	t.schema = []dirsync.Field{{Name: "name", Type: dirsync.Text, Required: true}, {Name: "description", Type: dirsync.Text}, {Name: "mail", Type: dirsync.Text}}
	return t
}

// Put adds an account as somebody else would have made it, under the given ID, or the next one when that is empty,
// and returns it. It checks nothing.
func (t *Target) Put(a dirsync.Account) dirsync.Account {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a.ID == "" {
		t.last++
		a.ID = fmt.Sprintf("u%d", t.last)
	}
	a.Values = t.whole(a.Values)
	t.accounts = slices.DeleteFunc(t.accounts, func(is dirsync.Account) bool { return is.ID == a.ID })
	t.accounts = append(t.accounts, a)
	return cloneAccount(a)
}

// Remove takes an account away, as somebody else would. An id that is not there is no error.
func (t *Target) Remove(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.IndexFunc(t.accounts, func(a dirsync.Account) bool { return a.ID == id }); i >= 0 {
		t.remove(i)
	}
}

func (t *Target) remove(at int) {
	if t.Members != nil {
		t.Members.leave(t.accounts[at].Source)
	}
	t.accounts = slices.Delete(t.accounts, at, at+1)
}

// leave takes everybody out of a group.
func (t *Target) leave(group dirsync.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, a := range t.accounts {
		if in, _ := a.Values.Get(dirsync.GroupsField); slices.Contains(in.List(), string(group)) {
			left := slices.DeleteFunc(in.List(), func(id string) bool { return id == string(group) })
			t.accounts[i].Values = slices.Clone(a.Values).Set(dirsync.GroupsField, dirsync.NewList(left))
		}
	}
}

// Accounts returns all accounts in the order in which they were made. Faults do not touch it.
func (t *Target) Accounts() []dirsync.Account {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]dirsync.Account, len(t.accounts))
	for i, a := range t.accounts {
		out[i] = cloneAccount(a)
	}
	return out
}

// Applied returns every change that was asked for so far, in order, those that failed included.
func (t *Target) Applied() []dirsync.Change {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.applied)
}

// Name implements dirsync.Target.
func (t *Target) Name() string { return "test target" }

func (t *Target) fault(ctx context.Context, op string) (before, after error) {
	if err := ctx.Err(); err != nil {
		return err, nil
	}
	if t.Fault == nil {
		return nil, nil
	}
	return t.Fault(op)
}

// Fields implements dirsync.Target.
func (t *Target) Fields(ctx context.Context) ([]dirsync.Field, error) {
	before, after := t.fault(ctx, "Fields")
	if before != nil {
		return nil, before
	}
	return slices.Clone(t.schema), after
}

// Users implements dirsync.Target. An error after the fact comes once every account was delivered.
func (t *Target) Users(ctx context.Context, fn func(dirsync.Account) error) error {
	before, after := t.fault(ctx, "Users")
	if before != nil {
		return before
	}
	for _, a := range t.Accounts() {
		if err := fn(t.told(a)); err != nil {
			return err
		}
	}
	return after
}

// Forgets implements dirsync.Forgetful.
func (t *Target) Forgets() bool { return t.Forget }

// told is an account as the target tells of it.
func (t *Target) told(a dirsync.Account) dirsync.Account {
	if t.Forget {
		a.Source = ""
	}
	return a
}

// Restores implements dirsync.Restorer: for a century if Restore is set.
func (t *Target) Restores() time.Duration {
	if !t.Restore {
		return 0
	}
	return 100 * 365 * 24 * time.Hour
}

// Apply implements dirsync.Target.
func (t *Target) Apply(ctx context.Context, c dirsync.Change) (dirsync.Account, error) {
	before, after := t.fault(ctx, "Apply")
	if before != nil {
		return dirsync.Account{}, before
	}
	a, err := t.applyOne(c)
	if err == nil && after != nil {
		return dirsync.Account{}, after
	}
	return a, err
}

// ApplyAll implements dirsync.Batcher.
func (t *Target) ApplyAll(ctx context.Context, changes []dirsync.Change) []dirsync.Applied {
	out := make([]dirsync.Applied, len(changes))
	before, after := t.fault(ctx, "ApplyAll")
	for i, c := range changes {
		if before != nil {
			out[i].Err = before
			continue
		}
		a, err := t.applyOne(c)
		if err == nil && after != nil {
			a, err = dirsync.Account{}, after
		}
		out[i] = dirsync.Applied{Account: a, Err: err}
	}
	return out
}

func (t *Target) applyOne(c dirsync.Change) (dirsync.Account, error) {
	var before, after error
	if t.FaultChange != nil {
		before, after = t.FaultChange(c)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.applied = append(t.applied, cloneChange(c))
	if before != nil {
		return dirsync.Account{}, before
	}
	a, err := t.apply(c)
	if err == nil {
		err = after
	}
	if err != nil {
		return dirsync.Account{}, err
	}
	return t.told(cloneAccount(a)), nil
}

func (t *Target) apply(c dirsync.Change) (dirsync.Account, error) {
	at := t.find(c)
	switch {
	case at < 0 && (c.Kind == dirsync.Deactivate || c.Kind == dirsync.Delete):
		return dirsync.Account{}, nil
	case at < 0 && c.Kind != dirsync.Create:
		return dirsync.Account{}, &dirsync.Error{Op: c.Kind.String() + " user", ID: c.Person, Kind: dirsync.NotFound}
	case c.Kind == dirsync.Delete:
		if t.Restore {
			t.deleted = append(t.deleted, t.accounts[at])
		}
		t.remove(at)
		return dirsync.Account{}, nil
	}
	next := dirsync.Account{Source: c.Person, Active: true, Values: c.After, Created: t.Now()}
	back := -1
	if at < 0 && c.Account != "" {
		back = slices.IndexFunc(t.deleted, func(a dirsync.Account) bool { return a.ID == c.Account })
	}
	if at >= 0 || back >= 0 {
		if back >= 0 {
			next = cloneAccount(t.deleted[back])
		} else {
			next = cloneAccount(t.accounts[at])
		}
		if c.Kind != dirsync.Deactivate {
			next.Values = next.Values.With(c.Writes())
		}
		switch c.Kind {
		case dirsync.Create:
			if next.Source != "" && next.Source != c.Person && !t.Forget {
				return dirsync.Account{}, &dirsync.Error{Op: "create user", ID: c.Person, Kind: dirsync.Conflict,
					Other: string(next.Source), Err: fmt.Errorf("account %s is joined to %s", next.ID, next.Source)}
			}
			next.Source, next.Active = c.Person, true
		case dirsync.Reactivate:
			next.Active = true
		case dirsync.Deactivate:
			next.Active = false
		}
	}
	next.Values = t.whole(next.Values)
	if c.Kind != dirsync.Deactivate {
		if err := t.check(c, next); err != nil {
			return dirsync.Account{}, err
		}
	}
	next.Updated = t.Now()
	if at >= 0 {
		t.accounts[at] = next
		return next, nil
	}
	if back >= 0 {
		t.deleted = slices.Delete(t.deleted, back, back+1)
	} else {
		t.last++
		next.ID = fmt.Sprintf("u%d", t.last)
	}
	t.accounts = append(t.accounts, next)
	return next, nil
}

// find returns the place of the account that c speaks of, or -1.
func (t *Target) find(c dirsync.Change) int {
	at := -1
	if t.Forget {
		return slices.IndexFunc(t.accounts, func(a dirsync.Account) bool { return c.Account != "" && a.ID == c.Account })
	}
	if c.Kind == dirsync.Create {
		// An earlier try may have made one already, whatever account was found to be theirs since.
		at = slices.IndexFunc(t.accounts, func(a dirsync.Account) bool { return a.Source != "" && a.Source == c.Person })
	}
	if c.Account != "" && at < 0 {
		at = slices.IndexFunc(t.accounts, func(a dirsync.Account) bool { return a.ID == c.Account })
	}
	if c.Account == "" && at < 0 {
		at = slices.IndexFunc(t.accounts, func(a dirsync.Account) bool { return a.Source != "" && a.Source == c.Person })
	}
	return at
}

// whole makes values speak of every field, with the null value for those that are empty.
func (t *Target) whole(values dirsync.Values) dirsync.Values {
	values = slices.Clone(values)
	for _, f := range t.schema {
		if _, ok := values.Get(f.Name); !ok {
			values = values.Set(f.Name, dirsync.Value{})
		}
	}
	return values
}

// check refuses values that the schema does not allow, or that another account has.
func (t *Target) check(c dirsync.Change, next dirsync.Account) error {
	op := c.Kind.String() + " user"
	for _, v := range next.Values {
		i := slices.IndexFunc(t.schema, func(f dirsync.Field) bool { return f.Name == v.Field })
		reason := ""
		switch {
		case i < 0:
			reason = "is not a field of this target"
		case v.Value.IsNull() && t.schema[i].Required:
			reason = "is required"
		case !v.Value.IsNull() && v.Value.Type != t.schema[i].Type:
			reason = fmt.Sprintf("is a %s, not a %s", t.schema[i].Type, v.Value.Type)
		}
		if reason != "" {
			return &dirsync.Error{Op: op, ID: c.Person, Kind: dirsync.Invalid, Field: v.Field, Value: v.Value.Text,
				Err: fmt.Errorf("%s %s", v.Field, reason)}
		}
	}
	for _, f := range t.schema {
		mine, _ := next.Values.Get(f.Name)
		if !f.Unique || mine.IsNull() {
			continue
		}
		for _, other := range t.accounts {
			theirs, _ := other.Values.Get(f.Name)
			if other.ID != next.ID && !theirs.IsNull() && dirsync.Fold(theirs.Text) == dirsync.Fold(mine.Text) {
				return &dirsync.Error{Op: op, ID: c.Person, Kind: dirsync.Conflict, Field: f.Name, Value: mine.Text,
					Other: other.ID, Err: fmt.Errorf("%s %s belongs to account %s", f.Name, mine.Text, other.ID)}
			}
		}
	}
	return nil
}

func cloneAccount(a dirsync.Account) dirsync.Account {
	a.Values = slices.Clone(a.Values)
	return a
}
