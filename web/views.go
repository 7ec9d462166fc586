package web

import (
	"encoding/json"
	"time"
)

// The structs of this file are the API. Times are RFC 3339 with any precision, absent when there is none; numbers of runs
// and holds are texts, because they are names and nobody calculates with them; kinds, states and results are the words of
// package dirsync. A list is never null.

// Status says how the daemon stands.
type Status struct {
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	// Ready tells whether the daemon does its work, and Problem what is wrong if it does not.
	Ready   bool         `json:"ready"`
	Problem string       `json:"problem,omitempty"`
	Syncs   []SyncStatus `json:"syncs"`
	// StoreBytes is the size of the store's file.
	StoreBytes int64  `json:"store_bytes"`
	Outbox     Outbox `json:"outbox"`
	// SCIM is how the SCIM server stands; absent when the configuration has none.
	SCIM *SCIMStatus `json:"scim,omitempty"`
}

// Outbox counts messages to people: those that wait to be delivered, those that were given up, and those of which nobody
// knows whether they arrived. Oldest is when the oldest that waits was written.
type Outbox struct {
	Waiting int       `json:"waiting"`
	GivenUp int       `json:"given_up"`
	Unsure  int       `json:"unsure"`
	Oldest  time.Time `json:"oldest,omitzero"`
}

// Syncs are all syncs, by name.
type Syncs struct {
	Syncs []SyncStatus `json:"syncs"`
}

// SyncStatus says how one sync stands.
type SyncStatus struct {
	Name   string `json:"name"`
	Source string `json:"source"`
	Target string `json:"target"`
	// Schedule is as the configuration has it; Next is when the next run is due, absent when only somebody's wish starts one.
	Schedule string    `json:"schedule"`
	Next     time.Time `json:"next,omitzero"`
	// Paused says that nothing runs although it would be due, and Problem why, or what else somebody has to do.
	Paused  bool   `json:"paused"`
	Problem string `json:"problem,omitempty"`
	// Running is how far the run under way has come, absent when there is none.
	Running *Progress `json:"running,omitempty"`
	LastRun *Run      `json:"last_run,omitempty"`
	// LastSuccess is when a run last ended as success or partial success.
	LastSuccess time.Time `json:"last_success,omitzero"`
	// LastRead is when the source was last read to the end, and TokenAge how old, in seconds, that makes the delta token.
	LastRead  time.Time `json:"last_read,omitzero"`
	TokenAge  int64     `json:"token_age_seconds,omitempty"`
	Totals    Totals    `json:"totals"`
	OpenHolds int       `json:"open_holds"`
}

// Totals count the people and accounts of one sync.
type Totals struct {
	// People are at the source, Gone were there once.
	People int `json:"people"`
	Gone   int `json:"gone"`
	// Active and Inactive are accounts.
	Active   int `json:"active"`
	Inactive int `json:"inactive"`
	// Rejected people make no valid user, Owed ones must be planned again, and Failing are those owed whose last change failed.
	Rejected int `json:"rejected"`
	Owed     int `json:"owed"`
	Failing  int `json:"failing"`
	// Differing accounts are meant to differ from the source; Kept people stay as they are because somebody decided so.
	Differing int `json:"differing"`
	Kept      int `json:"kept"`
}

// Progress says how far a run has come.
type Progress struct {
	Sync string `json:"sync"`
	// Run is the run that this is about: the one under way or the last one; absent when there was none yet.
	Run   string `json:"run,omitempty"`
	Phase string `json:"phase"`
	// Done counts records in the phase read, people in plan, and changes in apply. Total is how many there will be; absent
	// when nobody knows.
	Done  int `json:"done"`
	Total int `json:"total,omitempty"`
	// Parked is until when the run waits, because the target wants to be left alone; absent while it does not. Left is about
	// how many seconds the changes that are left will take at the pace so far; absent when nobody knows.
	Parked time.Time `json:"parked,omitzero"`
	Left   int64     `json:"left_seconds,omitempty"`
	// Status is that of the run: "running", or how it ended; absent when there was none yet.
	Status string    `json:"status,omitempty"`
	At     time.Time `json:"at"`
}

// Counts are a run's figures. Except for Read they count people.
type Counts struct {
	Read        int `json:"read"`
	Created     int `json:"created"`
	Updated     int `json:"updated"`
	Deactivated int `json:"deactivated"`
	Reactivated int `json:"reactivated"`
	Deleted     int `json:"deleted"`
	Unchanged   int `json:"unchanged"`
	Rejected    int `json:"rejected"`
	Held        int `json:"held"`
	Failed      int `json:"failed"`
}

// Run is one pass of one sync.
type Run struct {
	ID     string `json:"id"`
	Sync   string `json:"sync"`
	Status string `json:"status"`
	// Phase is how far it came: "read", "plan", "apply", "ended".
	Phase   string    `json:"phase"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended,omitzero"`
	AskedBy string    `json:"asked_by"`
	// Undoes is the run that this one takes back; absent when it is an ordinary one.
	Undoes string `json:"undoes,omitempty"`
	Counts Counts `json:"counts"`
	// Requests count what was sent to each side, retries included.
	Requests Requests `json:"requests"`
	// Groups is what became of the groups, where they are synced.
	Groups   *GroupRun `json:"groups,omitempty"`
	Holds    []Hold    `json:"holds"`
	Error    string    `json:"error,omitempty"`
	Warnings []string  `json:"warnings"`
	Notes    []string  `json:"notes"`
}

// Requests count what a run sent to each side.
type Requests struct {
	Source int `json:"source"`
	Target int `json:"target"`
}

// GroupRun is the part of a run that was about groups; its counts count groups. Its changes are those of the run with its
// number.
type GroupRun struct {
	Run    string `json:"run"`
	Status string `json:"status"`
	Counts Counts `json:"counts"`
	Holds  []Hold `json:"holds"`
}

// Runs is one page of runs, newest first. Next is where to go on, absent at the end.
type Runs struct {
	Runs []Run  `json:"runs"`
	Next string `json:"next,omitempty"`
}

// Change is what a plan intends for one person, or for one group in the part of a run that is about groups, and what came
// of it.
type Change struct {
	Kind string `json:"change"`
	// Person is the object id at the source.
	Person string `json:"id"`
	User   string `json:"user"`
	Name   string `json:"name,omitempty"`
	// Account is the target's own id; absent when there is none or none is known.
	Account string `json:"account,omitempty"`
	// Why is a phrase that follows the person's name: "was deleted at the source".
	Why string `json:"why"`
	// Before and After are objects of values by field; see dirsync.Change. Absent when empty.
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
	// Result is what came of it, Error why it failed.
	Result string `json:"result"`
	Error  string `json:"error,omitempty"`
	// Seq is where the change stands in the plan, among those of its kind.
	Seq uint64 `json:"seq"`
}

// Changes is one page of changes.
type Changes struct {
	Changes []Change `json:"changes"`
	Next    string   `json:"next,omitempty"`
}

// Hold is a list of destructive changes that were kept back.
type Hold struct {
	ID string `json:"id"`
	// Name is the number and the beginning of the digest: what people call the hold, and what approving it takes.
	Name string `json:"name"`
	Sync string `json:"sync"`
	// Kind is what is held: "deletion", "deactivation", "removal", "blanking".
	Kind   string `json:"kind"`
	Groups bool   `json:"groups"`
	Run    string `json:"run"`
	// Count is how much the plan would take away, Allowed how much of it would have gone through, and People how many are
	// on the list.
	Count   int       `json:"count"`
	Allowed int       `json:"allowed"`
	People  int       `json:"people"`
	Reason  string    `json:"reason"`
	Digest  string    `json:"digest"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	Status  string    `json:"status"`
	// By, At and Why say who decided, when, and for what reason; absent while the hold is open.
	By  string    `json:"by,omitempty"`
	At  time.Time `json:"at,omitzero"`
	Why string    `json:"why,omitempty"`
}

// Holds is one page of holds, newest first.
type Holds struct {
	Holds []Hold `json:"holds"`
	Next  string `json:"next,omitempty"`
}

// HeldChange is one line of a hold's list.
type HeldChange struct {
	Change Change `json:"change"`
	// Decided is what somebody has decided about it: "approved", "kept"; absent when nobody has.
	Decided string `json:"decided,omitempty"`
}

// HeldChanges is one page of a hold's list.
type HeldChanges struct {
	Changes []HeldChange `json:"changes"`
	Next    string       `json:"next,omitempty"`
}

// Decided says about how many people something was decided.
type Decided struct {
	People int `json:"people"`
}

// UndoPreview is what taking back a run would do.
type UndoPreview struct {
	Run string `json:"run"`
	// Digest identifies the list of changes; empty when there is nothing to take back. It is what undoing takes.
	Digest string `json:"digest"`
	// Counts are the changes by kind, without the kinds of which there are none.
	Counts map[string]int `json:"counts"`
	// Nothing counts the changes that need no undoing, Since the people of whom something was changed since.
	Nothing int `json:"nothing"`
	Since   int `json:"since"`
	// Lines are the first MaxPreview changes of the run, in the order of its plan; Total is how many they are.
	Lines []UndoLine `json:"lines"`
	Total int        `json:"total"`
}

// UndoLine is one line of an undoing.
type UndoLine struct {
	// Was is the change that was made, Back the way back, absent when there is none, and Nothing says why there is none.
	Was     Change  `json:"was"`
	Back    *Change `json:"back,omitempty"`
	Nothing string  `json:"nothing,omitempty"`
	// Since are the fields that are not as the change left them any more. They are left as they are.
	Since []string `json:"since"`
}

// Explanation is what is known of one person, and what a run would do about them.
type Explanation struct {
	Sync   string `json:"sync"`
	Person string `json:"id"`
	User   string `json:"user"`
	Name   string `json:"name,omitempty"`
	// Present tells whether the source has them, GoneAt since when it has not.
	Present bool      `json:"present"`
	GoneAt  time.Time `json:"gone_at,omitzero"`
	// Summary says in sentences what is so and why, the most important first.
	Summary []string `json:"summary"`
	// Account is the target's own id of their account, absent when there is none.
	Account string `json:"account,omitempty"`
	Active  bool   `json:"active"`
	// Held are the values that the target is known to hold, Wanted those that the mapping makes; objects by field.
	Held   json.RawMessage `json:"held,omitempty"`
	Wanted json.RawMessage `json:"wanted,omitempty"`
	// Faults say why the record makes no valid user; empty when it does.
	Faults []Fault `json:"faults"`
	// Decision is what a run would do now, absent when it would do nothing.
	Decision *Change `json:"decision,omitempty"`
	// Owed says why they must be looked at again, and Due when; absent when they need not.
	Owed     string    `json:"owed,omitempty"`
	Due      time.Time `json:"due,omitzero"`
	Attempts int       `json:"attempts,omitempty"`
	// GraceEnds is when the account is deleted; absent when it is not going to be.
	GraceEnds time.Time `json:"grace_ends,omitzero"`
	// Holds are the open holds that have them on their list.
	Holds []Hold `json:"holds"`
	// Changes are the latest ones, newest first.
	Changes []PersonChange `json:"changes"`
	// LastRequest is the latest request of a SCIM client about their account that was no mere look; absent when none is
	// remembered.
	LastRequest *SCIMRequest `json:"last_request,omitempty"`
}

// Fault is one bad value of a record.
type Fault struct {
	Field string `json:"field"`
	Value string `json:"value"`
	// Reason is a phrase that follows the field's name.
	Reason string `json:"reason"`
}

// PersonChange is one change of a person, and the run that made it.
type PersonChange struct {
	Run    string    `json:"run"`
	At     time.Time `json:"at,omitzero"`
	Change Change    `json:"change"`
}

// Note is one message in somebody's inbox.
type Note struct {
	ID    string `json:"id"`
	Kind  string `json:"kind"`
	Title string `json:"title"`
	// Text is plain and may have several lines.
	Text string    `json:"text,omitempty"`
	Link string    `json:"link,omitempty"`
	At   time.Time `json:"at"`
	Read bool      `json:"read"`
}

// Inbox is one page of somebody's inbox.
type Inbox struct {
	User string `json:"user"`
	// Unread counts all that they have not read yet, on whatever page.
	Unread int    `json:"unread"`
	Notes  []Note `json:"notes"`
	Next   string `json:"next,omitempty"`
}

// Marked says how many notes are unread after some were marked.
type Marked struct {
	Unread int `json:"unread"`
}

// Asked confirms that a run was asked for.
type Asked struct {
	Sync  string `json:"sync"`
	Asked bool   `json:"asked"`
}

// Health is a sign of life.
type Health struct {
	Status string `json:"status"`
}
