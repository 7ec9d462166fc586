package dirsync

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Page is one page of a round.
type Page struct {
	Records []Record
	// Next is where to go on once this page's records are safe: within the round, or, when Complete, at its end.
	Next Cursor
	// Complete says that the round has ended: everything was delivered, and Next begins the following round.
	Complete bool
}

// ErrCursorExpired says that a source no longer knows a cursor, or that the cursor does not carry what is asked for
// now. Everything must be read again from the zero Cursor; what was read before is not wrong.
var ErrCursorExpired = errors.New("the source no longer knows where reading had stopped")

// ErrPageExpired says that a cursor from the middle of a round has expired. The round must be begun again from the
// cursor at which it was begun.
var ErrPageExpired = errors.New("the source no longer knows this page of the round")

// Source is where people come from.
//
// A round is one walk from a cursor to a Complete page. A round from the zero Cursor delivers everybody who is there;
// any other round delivers what changed since its cursor was made. Within a round the same object may be delivered
// several times, in any order, and again in later rounds: what was said last holds. There is no snapshot: a round
// shows each object as it was at some moment while the round was read.
type Source interface {
	// Name says what is read, for people: "Microsoft Entra ID (contoso)".
	Name() string
	// Fields lists what can be mapped.
	Fields(ctx context.Context) ([]Field, error)
	// Read calls fn for each page from since to the end of that round, one at a time and in order, and returns the
	// first error of fn as it is. A page that was not read and understood in full is never delivered. Read returns
	// nil only after a Complete page. It reports ErrCursorExpired and ErrPageExpired, and otherwise an *Error.
	Read(ctx context.Context, since Cursor, fn func(Page) error) error
	// LookUp asks for single objects by id and calls fn once for each, with a Whole record or a tombstone. An object
	// of which neither its presence nor its absence could be proved makes LookUp fail with an *Error.
	LookUp(ctx context.Context, ids []ID, fn func(Record) error) error
}

// GroupSource is a Source of groups. Its records are of KindGroup, carry the direct members that joined or left (users
// and groups; other kinds of member are left out), and come only of the groups that it was made to follow: those that
// were chosen, all groups that are nested in them if it was made to, or all groups of the tenant.
//
// A round from the zero Cursor delivers every followed group and every member. Any round delivers, of each group that it
// follows for the first time, Fresh records with all members, or a tombstone. A group that cannot be read makes Read fail: a
// membership of which nobody may know is never delivered as an empty one.
type GroupSource interface {
	Source
	// Chosen says which groups the chosen names were found to be when c was made, in the order in which they were
	// chosen. A group that was renamed since then is still the same. It is empty for the zero Cursor.
	Chosen(c Cursor) []ChosenGroup
	// Again returns a Cursor from which a round begins from the beginning, as from the zero Cursor, but with the chosen
	// names meaning the groups that they mean in c, even if c has expired. It is the zero Cursor when c means nothing.
	Again(c Cursor) Cursor
	// Members calls fn for all direct members of one group, users and groups, and returns nil only if there are no
	// others. A group that is not there is an *Error of kind NotFound.
	Members(ctx context.Context, group ID, fn func([]Membership) error) error
}

// ChosenGroup is a group that was chosen by name or id.
type ChosenGroup struct {
	// Name is what the configuration says: an object id, or a name.
	Name string
	ID   ID
}

// Account is one user of the target.
type Account struct {
	// ID is the target's own id: stable, never reused.
	ID string
	// Source is the object id that the account was made for or joined to; empty when it is not ours.
	Source ID
	Active bool
	Values Values
	// Unsaid are fields that the target does not show, though it may hold something: Values say nothing about them.
	Unsaid []string
	// Created and Updated are the target's own times, zero where it keeps none.
	Created, Updated time.Time
}

// Target is where people go.
type Target interface {
	// Name says what is written, for people.
	Name() string
	// Fields lists what can be written.
	Fields(ctx context.Context) ([]Field, error)
	// Users calls fn for every account there, so that existing ones can be matched and drift can be seen.
	Users(ctx context.Context, fn func(Account) error) error
	// Apply makes the target hold what c wants, whatever it held before, and returns what it then holds:
	//
	//   - Create makes an account for c.Person. If one is there for that person already, or if c.Account names one that
	//     belongs to nobody, it is adopted, made active, and given c.Writes(); its Source is c.Person from then on. If
	//     c.Account names one that belongs to another person, that is a Conflict.
	//   - Update writes c.Writes() to the account, Reactivate does so and makes it active. If the account is not there
	//     the error's kind is NotFound.
	//   - Deactivate makes the account inactive and keeps its values. Delete removes it. For an account that is not
	//     there both succeed, with the zero Account.
	//
	// An account is found by c.Account, or, when that is empty, by c.Person; for a Create first by c.Person, because an
	// earlier try may have made one. Applying the same change twice is the same
	// as applying it once. An error says nothing about whether the change took effect, except for the kinds Conflict
	// and Invalid, which promise that it did not. Errors are *Error.
	Apply(ctx context.Context, c Change) (Account, error)
}

// Batcher is a Target that applies many changes at the cost of few.
type Batcher interface {
	// ApplyAll applies changes as Apply would, one after the other, and returns one Applied for each, in their order.
	// One that fails does not stop the others.
	ApplyAll(ctx context.Context, changes []Change) []Applied
}

// Finder is a Target that can find accounts by the value of a field without listing everybody.
type Finder interface {
	// Find returns, for each value and in their order, the accounts that hold it in field, by the rules by which the
	// target compares: at most three each, which is enough to know that a match is ambiguous. Only fields for which the
	// target keeps an index can be asked for (the Unique ones); others are an *Error of kind Invalid.
	Find(ctx context.Context, field string, values []Value) ([][]Account, error)
}

// Applied is what came of one change of a batch.
type Applied struct {
	Account Account
	Err     error
}

// Asker is a Source that can tell which attributes its readings ask for.
type Asker interface{ Asked() []string }

// Primer is a Source whose first round is faster if its beginning was marked some time before it is read.
type Primer interface {
	// Prime returns a Cursor that begins from the beginning, as the zero Cursor does, or the zero Cursor when nothing can
	// be gained. It expires like any other.
	Prime(ctx context.Context) (Cursor, error)
}

// Forgetful is a Target that may not be able to say whose its accounts are: Account.Source is then empty for all of them,
// and the links that a sync remembers are all there is. Without it, an account without a Source belongs to nobody.
type Forgetful interface{ Forgets() bool }

// Referrer is a Target that keeps a Reference as its own id of the other account, and cannot keep one to somebody who has
// none there yet.
type Referrer interface {
	// Unresolved returns, by person, the fields of references that changes were to write and that are not there, because
	// whom they name has no account yet. It forgets them: from then on whoever calls it has to see to them.
	Unresolved() map[ID][]string
}

// Previewer is a Target that can show what it would send.
type Previewer interface {
	// Preview returns the requests that Apply would send for c if all went well, in their order, and sends nothing. What is
	// not known before, such as the id of an account that is yet to be made, or is a secret, is replaced by a word in angle
	// brackets: "<made up>". An error is the one that Apply would answer without sending anything.
	Preview(ctx context.Context, c Change) ([]Sending, error)
}

// Sending is one request.
type Sending struct {
	Method string `json:"method"`
	// Path begins behind the target's base URL: "/users".
	Path string `json:"path"`
	// Body is JSON; nil for none.
	Body json.RawMessage `json:"body,omitempty"`
}

// RequestCounter is a Source or Target that can tell how many requests it has sent, retries included.
type RequestCounter interface{ Requests() int }
