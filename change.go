package dirsync

import (
	"fmt"
	"slices"
)

// ChangeKind is what a change does to one account. The kinds are numbered in the order in which a plan applies them:
// leavers, then movers, then joiners, so that names and addresses are free before somebody else needs them.
type ChangeKind uint8

// The kinds of change.
const (
	Delete ChangeKind = iota + 1
	Deactivate
	Reactivate
	Update
	Create
)

// ChangeKinds are all kinds in the order of a plan.
func ChangeKinds() []ChangeKind { return []ChangeKind{Delete, Deactivate, Reactivate, Update, Create} }

// Destructive tells the kinds that take something away from somebody and that the guard may hold back.
func (k ChangeKind) Destructive() bool { return k == Delete || k == Deactivate }

func (k ChangeKind) String() string {
	switch k {
	case Delete:
		return "delete"
	case Deactivate:
		return "deactivate"
	case Reactivate:
		return "reactivate"
	case Update:
		return "update"
	case Create:
		return "create"
	default:
		return "none"
	}
}

// MarshalText writes the kind's name.
func (k ChangeKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a kind's name, as MarshalText writes it.
func (k *ChangeKind) UnmarshalText(text []byte) error {
	for _, kind := range append(ChangeKinds(), 0) {
		if kind.String() == string(text) {
			*k = kind
			return nil
		}
	}
	return fmt.Errorf("there is no change of kind %q", text)
}

// Change is what a plan intends for one person.
type Change struct {
	Kind   ChangeKind
	Person ID
	Seq    Seq
	// Mark is the debt that this change settles; see Owed.Mark.
	Mark uint64
	// Account is the target's id of the account, empty when there is none or none is known.
	Account string
	// User and Name are for people: the user principal name and the display name at the source.
	User, Name string
	// Before are the values that the target is believed to hold, of the fields of After; for a Delete, of all fields.
	Before Values
	// After are the values to write. A Create has all fields of the mapping; an Update or Reactivate only those that
	// differ, or all of them when the last outcome is unknown; a Delete or Deactivate none.
	After Values
	// CreateOnly names those fields of After that are written only if the account is made now, never to one that is
	// there already.
	CreateOnly []string
	// Why says in a phrase what caused the change: "deleted at the source".
	Why string
	// Asked are the dangers of this change that a person has approved. They count against no limit.
	Asked Danger
	// Join says by which field an account that was there already was found to be this person's: "email". Empty: it was
	// not there, or is theirs already.
	Join string
}

// Removed returns the groups that c takes the person out of, sorted as in Before.
func (c Change) Removed() []string {
	if c.Kind == Create || c.Kind == Delete || c.Kind == Deactivate {
		return nil
	}
	after, ok := c.After.Get(GroupsField)
	if !ok {
		return nil
	}
	before, _ := c.Before.Get(GroupsField)
	return slices.DeleteFunc(before.List(), func(id string) bool { return slices.Contains(after.List(), id) })
}

// Blanked returns the fields whose value c takes away without another one in its place, in order.
func (c Change) Blanked() []string {
	if c.Kind == Create || c.Kind == Delete || c.Kind == Deactivate {
		return nil
	}
	var out []string
	for _, f := range c.Writes() {
		if before, _ := c.Before.Get(f.Field); f.Field != GroupsField && f.Value.IsNull() && !before.IsNull() {
			out = append(out, f.Field)
		}
	}
	return out
}

// Takes counts what c takes away of one danger: one account, or so many memberships or values.
func (c Change) Takes(d Danger) int {
	switch {
	case d == Deletion && c.Kind == Delete, d == Deactivation && c.Kind == Deactivate:
		return 1
	case d == Removal:
		return len(c.Removed())
	case d == Blanking:
		return len(c.Blanked())
	default:
		return 0
	}
}

// Dangers returns all dangers of c.
func (c Change) Dangers() Danger {
	var all Danger
	for _, d := range Dangers() {
		if c.Takes(d) > 0 {
			all |= d
		}
	}
	return all
}

// Without returns what is left of c when nothing of these dangers is done, and whether anything is.
func (c Change) Without(held Danger) (Change, bool) {
	held &= c.Dangers()
	if held == 0 {
		return c, true
	}
	if held.Has(Deletion) || held.Has(Deactivation) {
		return c, false
	}
	blanked := c.Blanked()
	var before, after Values
	for _, f := range c.After {
		old, _ := c.Before.Get(f.Field)
		switch {
		case held.Has(Blanking) && slices.Contains(blanked, f.Field):
			continue
		case held.Has(Removal) && f.Field == GroupsField:
			both := append(old.List(), f.Value.List()...)
			slices.Sort(both)
			if f.Value = NewList(slices.Compact(both)); f.Value == old {
				continue
			}
		}
		before, after = append(before, FieldValue{f.Field, old}), append(after, f)
	}
	c.Before, c.After = before, after
	return c, len(after) > 0 || c.Kind == Reactivate
}

// Writes returns the values of After that may be written to an account that exists already.
func (c Change) Writes() Values {
	if len(c.CreateOnly) == 0 {
		return c.After
	}
	out := make(Values, 0, len(c.After))
	for _, f := range c.After {
		if !slices.Contains(c.CreateOnly, f.Field) {
			out = append(out, f)
		}
	}
	return out
}

// Decision is what the planner makes of one owed person. Exactly one of the following holds: Change is set; Rejection
// is set; Wait is true and the person stays owed as Next says; or the person needs nothing and is settled.
type Decision struct {
	Seq  Seq
	Mark uint64
	// Change is to be applied.
	Change *Change
	// Rejection replaces the one that may stand against the person. When it is nil, a standing one is lifted.
	Rejection *Rejection
	// Differs says that the account is meant to stay different from the source, in fields that are written only once.
	Differs bool
	// Protected says that the account would have been deactivated or deleted, were its person not protected.
	Protected bool
	// Void are the marks of the person that mean nothing any more. They are taken away.
	Void []Mark
	// Wait keeps the person owed without a change: a deletion whose grace has not ended.
	Wait bool
	Next Owed
}

// Outcome is what came of one change, in the form in which it is remembered.
type Outcome struct {
	Change Change
	// Result says what happened.
	Result Result
	// Link is what is now known of the account. The zero Link forgets it.
	Link Link
	// Owed is set when the person stays owed, with the next Due, Attempts and Error. Its Mark is ignored.
	Owed *Owed
	// Rejection is set when the target itself refused the record.
	Rejection *Rejection
	// Differs, for a Create that is Done, says that the account it found is meant to stay different; see Decision.Differs.
	Differs bool
	// Error says why the change failed, for people, without secrets.
	Error string
}

// PersonChange is one change of a person, and the run that made it.
type PersonChange struct {
	Run     RunID
	Outcome Outcome
}

// Result is how a change ended.
type Result uint8

// The results of a change.
const (
	Done     Result = iota + 1
	Failed          // it will be tried again
	Refused         // the target rejected the record's values
	HeldBack        // the guard kept it back
)

func (r Result) String() string {
	switch r {
	case Done:
		return "done"
	case Failed:
		return "failed"
	case Refused:
		return "rejected"
	case HeldBack:
		return "held"
	default:
		return "not tried"
	}
}
