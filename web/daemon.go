package web

import (
	"context"
	"fmt"
	"time"

	"dirsync"
)

// Daemon is what the API shows and does. Its errors are *dirsync.Error wherever somebody can do something about them;
// what has none is answered as an internal error, and only the log says what it was.
//
// Methods that return slices return at most limit rows, in order, beginning after the given key, of which the zero value
// means the beginning; fewer than limit rows means that there are no more. What is unknown is an error of kind NotFound. What is returned belongs to the caller.
type Daemon interface {
	Observer
	Journal
	Safety
	People
	Ready
}

// Observer says how everything stands.
type Observer interface {
	// Status says how the daemon and all syncs stand. It is asked every few seconds and answers from memory or in a few
	// reads: within 10 ms.
	Status(ctx context.Context) (Status, error)
	// Sync says how one sync stands.
	Sync(ctx context.Context, name string) (SyncStatus, error)
	// Progress tells how far the runs of one sync have come: first how it stands, then whatever is new, until ctx is done
	// or the channel is closed. It is closed early for a reader that does not keep up. Feed does all of that.
	Progress(ctx context.Context, sync string) (<-chan Progress, error)
	// SyncNow asks for a run. It returns when the wish is safe, not when the run has ended; if one is under way, another
	// one follows.
	SyncNow(ctx context.Context, sync, by string) error
}

// Journal is what has happened.
type Journal interface {
	// Runs lists the runs of one sync with numbers below before, newest first.
	Runs(ctx context.Context, sync string, before dirsync.RunID, limit int) ([]Run, error)
	Run(ctx context.Context, id dirsync.RunID) (Run, error)
	// Changes lists what a run planned for people and what came of it, in the order of the plan.
	Changes(ctx context.Context, run dirsync.RunID, after dirsync.PlanKey, limit int) ([]Change, error)
	// PreviewUndo says what taking back a run would do, and changes nothing. At most MaxPreview lines are told.
	PreviewUndo(ctx context.Context, u Undo) (UndoPreview, error)
	// Undo takes a run back, as a run of its own. It returns that run as soon as it has begun; if what would be done is not
	// what the digest says, it is a Conflict and nothing is done.
	Undo(ctx context.Context, u Undo) (Run, error)
}

// Safety is what waits for somebody's decision.
type Safety interface {
	// Holds lists the holds with numbers below before, newest first: of one sync, or of all for "", and in one state, or in
	// any for "".
	Holds(ctx context.Context, sync string, status dirsync.HoldStatus, before dirsync.HoldID, limit int) ([]Hold, error)
	Hold(ctx context.Context, id dirsync.HoldID) (Hold, error)
	// HeldChanges lists the changes on a hold's list, in the order of the plan.
	HeldChanges(ctx context.Context, id dirsync.HoldID, after dirsync.PlanKey, limit int) ([]HeldChange, error)
	// Approve lets the next run do what a hold's list says, Reject leaves the people on it as they are. Both return how
	// many people were decided about. If a run would do something else by now, Approve is a Conflict that wraps a
	// *ChangedError. Reject needs a reason.
	Approve(ctx context.Context, v Verdict) (int, error)
	Reject(ctx context.Context, v Verdict) (int, error)
}

// People is what concerns single people.
type People interface {
	// Explain says what is known of one person and what a run would do about them. The person is named by id or by user
	// principal name.
	Explain(ctx context.Context, sync, person string) (Explanation, error)
	// ExplainPushed says what is known of the users and groups of the directory that go by a name, and that SCIM clients push,
	// or that no sync has made. It never returns none.
	ExplainPushed(ctx context.Context, person string) ([]Pushed, error)
	// Inbox lists what somebody was told in the application: the unread before the read, each newest first.
	Inbox(ctx context.Context, user string, after NoteKey, limit int) (Inbox, error)
	// MarkNotes makes notes of one user read or unread, passing over ids that they do not have, and returns how many are
	// unread then.
	MarkNotes(ctx context.Context, user string, ids []string, read bool) (int, error)
}

// Ready says whether the daemon does its work.
type Ready interface {
	// Ready returns nil when the store is open and the schedule runs, and otherwise says what is wrong.
	Ready(ctx context.Context) error
}

// Verdict is what somebody decides about a hold.
type Verdict struct {
	// Hold is the hold's number, and Digest the digest of the list that was seen, or its beginning of at least eight
	// characters.
	Hold   dirsync.HoldID
	Digest string
	// People are those whom it is about; nil means everybody on the list, and an empty list is never passed.
	People []dirsync.ID
	// By says who decides, Why for what reason.
	By, Why string
}

// Undo says which run to take back.
type Undo struct {
	Run dirsync.RunID
	// People are those whom it is about; nil means everybody, and an empty list is never passed.
	People []dirsync.ID
	// All takes back what was changed since, too.
	All bool
	// Digest is that of the preview that was seen, or its beginning of at least eight characters. PreviewUndo ignores it,
	// and By and Why.
	Digest  string
	By, Why string
}

// NoteKey says where a page of an inbox ended; see Daemon.Inbox.
type NoteKey struct {
	ID   string    `json:"id"`
	Read bool      `json:"read"`
	At   time.Time `json:"at"`
}

// MaxPreview is how many lines of an undoing are told.
const MaxPreview = 100

// ChangedError says that the world is not what it was when a list was made. Nothing was decided.
type ChangedError struct {
	// People are the first of them, Count how many they are.
	People []ChangedPerson
	Count  int
}

func (e *ChangedError) Error() string {
	return fmt.Sprintf("for %d of the people on the list a run would do something else by now", e.Count)
}

// ChangedPerson is somebody on a hold's list of whom the list is not true any more.
type ChangedPerson struct {
	ID   string `json:"id"`
	User string `json:"user"`
	Name string `json:"name,omitempty"`
	// Now says what a run would do instead, in words.
	Now string `json:"now"`
}
