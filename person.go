package dirsync

import "time"

// Seq numbers the people of one sync in the order in which they were first met, from 1. Stores key people by it,
// because keys in arrival order cost a fraction of what random GUIDs cost.
type Seq uint64

// Person is what is remembered of one object of the source.
type Person struct {
	Seq  Seq
	ID   ID
	Kind Kind
	// Gone is what the source last said of the person's existence, and GoneAt when that was first known.
	Gone   Gone
	GoneAt time.Time
	// Shadow is the merged latest record.
	Shadow Attributes
	// Link is the person's account in the target.
	Link Link
	// Owed says why the person must be planned, if they must.
	Owed Owed
}

// Link joins a person to an account of the target. The zero Link means that the person has no account that we know
// of and that nothing was ever tried.
type Link struct {
	// Account is the target's own id of the account; empty when there is none, or none known.
	Account string
	// Active is the status that we last gave the account. An account that somebody else deactivated counts as active.
	Active bool
	// Held are the values that the target is known to hold.
	Held Values
	// Doubt is the kind of a change that was tried and whose outcome is unknown; zero when there is none. While it is
	// set the target may hold Held or what was tried, and there may be an account although Account is empty. Such a
	// person is never taken to be up to date.
	Doubt ChangeKind
	// DeactivatedAt is when we deactivated the account; zero while it is active.
	DeactivatedAt time.Time
	// Joined is the field by which an account that was there before us was found to be this person's; empty when we made
	// the account, or found it by the object id.
	Joined string
}

// IsZero tells a person without an account from one that has, or may have, one.
func (l Link) IsZero() bool { return l.Account == "" && l.Doubt == 0 }

// InDoubt says that the outcome of the last change is unknown.
func (l Link) InDoubt() bool { return l.Doubt != 0 }

// WithDoubt returns l with one more change in doubt. A doubt that stood before is not forgotten: the kind that is
// remembered is one whose repetition makes certain of both.
func (l Link) WithDoubt(kind ChangeKind) Link {
	switch {
	case l.Doubt == 0 || l.Doubt == kind:
		l.Doubt = kind
	case l.Doubt == Create || l.Doubt == Delete || kind == Create || kind == Delete:
		l.Doubt = Create // whether there is an account, and everything about it
	default:
		l.Doubt = Reactivate // its status and its values
	}
	return l
}

// Owed says that a person must be planned again. The zero Owed means that nothing is owed.
type Owed struct {
	// Mark tells one debt from the next. Whoever settles a debt names the mark that they acted on, and the debt stands
	// if a newer record has raised it meanwhile.
	Mark uint64
	Why  Why
	// Since is when the person first became owed, and Due when to look at them next; a zero Due means now.
	Since, Due time.Time
	// Attempts counts the failed changes since the last success, and Error says why the last of them failed.
	Attempts int
	Error    string
}

// Why says what made a person owed.
type Why uint8

// The reasons why a person is owed a look.
const (
	WhyRecord    Why = iota + 1 // their record changed
	WhyConfig                   // the mapping, scope or policy changed
	WhyFailed                   // a change failed
	WhyDoubt                    // a change may have half-happened
	WhyHeld                     // a change was held back
	WhyGrace                    // a deletion waits for the grace period to end
	WhyConflict                 // another person has what this one needs
	WhyGroups                   // they joined or left a group, or a group of theirs did
	WhyDrift                    // the target is not as it was left
	WhyAsked                    // a person asked for it
	WhyReference                // somebody whom they refer to has no account yet
)

func (w Why) String() string {
	switch w {
	case WhyRecord:
		return "record changed"
	case WhyConfig:
		return "configuration changed"
	case WhyFailed:
		return "change failed"
	case WhyDoubt:
		return "outcome unknown"
	case WhyHeld:
		return "held"
	case WhyGrace:
		return "in grace"
	case WhyConflict:
		return "conflict"
	case WhyGroups:
		return "groups changed"
	case WhyDrift:
		return "target changed"
	case WhyAsked:
		return "asked for"
	case WhyReference:
		return "waits for somebody else's account"
	default:
		return "nothing"
	}
}

// Rejection says why a record cannot make a valid user. A rejected person is never applied, never stops a run, and is
// tried again when their record or the configuration changes, or, where another person is in the way, at every run.
type Rejection struct {
	ID ID
	// User is the name by which people find the person at the source: the user principal name, or else the id.
	User string
	// Name is the display name.
	Name string
	// Faults has at least one entry.
	Faults []Fault
}

// Fault is one bad value.
type Fault struct {
	// Field is the target's field, Value what the source has for it (empty when it has nothing), and Reason a phrase
	// that can follow the field's name: "is required, but givenName is empty".
	Field, Value, Reason string
}

// Reason joins all faults into one sentence that can follow the first fault's field name.
func (r Rejection) Reason() string {
	var s string
	for i, f := range r.Faults {
		if i > 0 {
			s += "; " + f.Field + " "
		}
		s += f.Reason
	}
	return s
}

// Totals count the people of one sync.
type Totals struct {
	// People are the objects that the source holds as far as we know; Gone those that it held once.
	People, Gone int
	// Active and Inactive are the accounts that people are linked to.
	Active, Inactive int
	// Rejected are the people whose records make no valid user, Owed those who must be planned again.
	Rejected, Owed int
	// Differing are the accounts that differ from the source in a field that is written only once; see Decision.Differs.
	Differing int
	// Kept are the people of whom somebody has decided that they stay as they are.
	Kept int
	// Failing are those of the owed whose last change failed: Owed.Attempts is not zero.
	Failing int
}
