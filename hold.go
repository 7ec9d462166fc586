package dirsync

import (
	"fmt"
	"strings"
	"time"
)

// Danger is what a change takes away from somebody, and what limits bound. Several may be combined, as bits.
type Danger uint8

// The dangers.
const (
	Deletion     Danger = 1 << iota // the account goes
	Deactivation                    // nobody can use the account any more
	Removal                         // a membership in a group goes
	Blanking                        // a value goes, and nothing takes its place
)

// Dangers are all of them, one by one, the gravest first.
func Dangers() []Danger { return []Danger{Deletion, Deactivation, Removal, Blanking} }

// Has tells whether all of other is in d.
func (d Danger) Has(other Danger) bool { return d&other == other }

// String names what d combines: "deletion", or "removal, blanking".
func (d Danger) String() string {
	var names []string
	for _, one := range Dangers() {
		if d.Has(one) {
			names = append(names, map[Danger]string{Deletion: "deletion", Deactivation: "deactivation", Removal: "removal", Blanking: "blanking"}[one])
		}
	}
	return strings.Join(names, ", ")
}

// MarshalText writes the names.
func (d Danger) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText writes. It also reads the names of the kinds of change that earlier versions
// wrote into the journal: "delete" and "deactivate".
func (d *Danger) UnmarshalText(text []byte) error {
	*d = 0
	for name := range strings.SplitSeq(string(text), ", ") {
		found := name == ""
		for _, one := range Dangers() {
			if name == one.String() || name == "delete" && one == Deletion || name == "deactivate" && one == Deactivation {
				*d |= one
				found = true
			}
		}
		if !found {
			return fmt.Errorf("there is no danger %q", name)
		}
	}
	return nil
}

// HoldID numbers the holds of a store from 1, across all its syncs.
type HoldID uint64

// HoldStatus is what became of a hold.
type HoldStatus string

// The states of a hold. Only an open one can be approved or rejected.
const (
	HoldOpen     HoldStatus = "open"
	HoldApproved HoldStatus = "approved"
	HoldRejected HoldStatus = "rejected"
	// HoldReplaced: a later run would do something else, and made a hold of its own.
	HoldReplaced HoldStatus = "replaced"
	// HoldOver: a later run had nothing to hold any more.
	HoldOver    HoldStatus = "over"
	HoldExpired HoldStatus = "expired"
)

// Hold is a list of destructive changes that a run kept back, because they were more than may go through unasked. The
// list is in the plan of its run.
type Hold struct {
	ID   HoldID
	Sync string
	// Kind is what is held; one danger.
	Kind Danger
	// Groups says that the hold is about groups and not about people.
	Groups bool `json:",omitempty"`
	// Run is the run whose plan has the list. A later run that would hold the very same list leaves the hold as it is.
	Run RunID
	// Count is how much the plan would take away, and Allowed how much of that would have gone through. People are on
	// the list.
	Count, Allowed, People int
	// Reason explains the numbers in a sentence.
	Reason string
	// Digest identifies the list: whoever approves says which list they have seen. It is a SHA-256 in hexadecimal.
	Digest           string
	Created, Expires time.Time
	Status           HoldStatus
	// By, At and Why say who decided, when, and what they gave as a reason.
	By  string    `json:",omitempty"`
	At  time.Time `json:",omitzero"`
	Why string    `json:",omitempty"`
}

// Name is how people name the hold: its number and the beginning of its digest, "3-1a2b3c4d".
func (h Hold) Name() string {
	return fmt.Sprintf("%d-%s", h.ID, h.Digest[:min(8, len(h.Digest))])
}

// Mark is what somebody has decided about one person.
type Mark struct {
	Seq Seq
	// Kind is what was decided, and Danger what about. A person has at most one mark for each danger, and one for none
	// in particular, which is about everything.
	Kind   MarkKind
	Danger Danger
	// Digest is what was decided about: for Approved, the change; for Kept, the person as the source had them. The mark
	// means nothing once that is something else.
	Digest string
	// Hold is the hold that was decided, and Undone the run that took something back; zero when it was neither.
	Hold   HoldID
	Undone RunID
	By     string
	Why    string
	At     time.Time
}

// MarkKind is what was decided.
type MarkKind uint8

// The kinds of marks. Approved lets exactly one change through. Kept leaves the person as they are in the target, until
// the source has something else to say of them.
const (
	Approved MarkKind = iota + 1
	Kept
)

func (k MarkKind) String() string {
	switch k {
	case Approved:
		return "approved"
	case Kept:
		return "kept"
	default:
		return "nothing"
	}
}
