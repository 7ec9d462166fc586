package dirsync

import (
	"strings"
	"time"
)

// ReadState is where the reading of a source stands. The engine owns its transitions; the store only keeps it, in
// the same transaction as the records that it speaks of.
type ReadState struct {
	// Base is where the last complete round ended and the next, or the one under way, begins. Zero: never read.
	Base Cursor `json:"base,omitempty"`
	// Begin is where a round begins that reads everybody again; zero: at the zero Cursor. See GroupSource.Again.
	Begin Cursor `json:"begin,omitempty"`
	// Page is where to go on in the round under way; zero at its beginning.
	Page Cursor `json:"page,omitempty"`
	// Round numbers the rounds from 1. It grows whenever a round begins, a restarted one included.
	Round uint64 `json:"round"`
	// Open says that a round is under way, Full that this round (or the last one) reads everybody.
	Open bool `json:"open"`
	Full bool `json:"full"`
	// Redo says that this round began again after a first attempt had delivered something, without being Full. What has
	// changed back between the two attempts is then not told a second time, so everybody whom any attempt mentioned is
	// looked up at the end.
	Redo bool `json:"redo,omitempty"`
	// Asked are the names of the attributes that the round asks for, sorted and separated by blanks; empty when the
	// source does not say. It matters to what a full round leaves out; see Attributes.Unsaid.
	Asked string `json:"asked,omitempty"`
	// Confirming says that a full round, or one that was redone, is complete, but that the people in doubt are not all
	// looked up yet. Until they are, nothing may be planned.
	Confirming bool `json:"confirming"`
	// Completed is when the last round was completed, Confirming included.
	Completed time.Time `json:"completed,omitzero"`
	// Fresh counts the records that were merged since the last run planned: what that run will have read, however many
	// readings it took.
	Fresh int `json:"fresh,omitempty"`
	// Fingerprint identifies the configuration by which everybody was last planned.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Target identifies the target in which the accounts are that people are linked to; empty when that was never said.
	Target string `json:"target,omitempty"`
}

// AskedFor returns the names in Asked, and nil when it is empty.
func (s ReadState) AskedFor() []string {
	if s.Asked == "" {
		return nil
	}
	return strings.Fields(s.Asked)
}

// Merged counts what a batch of records did to the shadow.
type Merged struct{ Added, Changed, Removed, Same, Unknown int }

// Candidate is somebody of whom a look-up must say whether they are still there.
type Candidate struct {
	Seq  Seq
	ID   ID
	Kind Kind
}

// PlanKey orders a plan: by kind, then by the order in which people were first met.
type PlanKey struct {
	Kind ChangeKind
	Seq  Seq
}

// Standing is what is known of a person's account, and what is owed to them.
type Standing struct {
	Link Link
	Owed Owed
}
