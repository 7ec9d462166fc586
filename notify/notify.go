// Package notify tells people when something happened to a sync, and keeps trying until they know.
//
// The command reports News. A Policy decides what of it is told: the same trouble once, then again at growing distances
// while it lasts, and its end once. What is told becomes one Message for each recipient and channel, in an Outbox that
// survives a restart, and a Notifier delivers what is due: by e-mail, into the in-app Inbox, to Teams, to chat services
// and to signed webhooks. The outbox is the truth: a process that is killed at any line goes on from there.
//
// # How often a message can arrive
//
// A message is never lost, and nobody gets it twice beyond what the wire makes unavoidable. SMTP cannot tell whether a
// message was taken when the connection breaks between the end of the message and the server's answer (RFC 5321 section
// 4.5.3.2.6 and RFC 1047). Such a message is sent once more, with the same Message-ID, by which servers and mail programs
// recognise it. If the second answer is lost, too, it is not sent a third time: it ends as Unsure. A process that is
// killed while it sends leaves the same doubt. Webhooks carry an id by which the receiver recognises a repetition, and
// the inbox recognises it itself, so both are repeated until they succeed.
package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"dirsync"
)

// Kind says what happened.
type Kind string

// The kinds of news.
const (
	// RunFailed says that a run ended as a Failure.
	RunFailed Kind = "run_failed"
	// PartialSuccess says that a run left some people as they were: rejected or failed.
	PartialSuccess Kind = "partial_success"
	// ChangesHeld says that changes wait for somebody's approval.
	ChangesHeld Kind = "changes_held"
	// Overdue says that no run has succeeded for too long, for whatever reason: the alarm for what reports nothing.
	Overdue Kind = "overdue"
	// CredentialExpiring says that a secret or a certificate ends soon.
	CredentialExpiring Kind = "credential_expiring" //nolint:gosec // the name of a kind, no credential
	// ConsentWithdrawn says that the tenant no longer allows what was granted.
	ConsentWithdrawn Kind = "consent_withdrawn"
	// Recovered says that trouble has ended; see News.Ends.
	Recovered Kind = "recovered"
	// Test is told always, and means nothing.
	Test Kind = "test"
)

// What one piece of news may hold. Anything longer is cut with an ellipsis before it is stored.
const (
	// MaxRows is how many rows of a table are told; Total says how many there are.
	MaxRows = 20
	// MaxCell and MaxReason are the lengths of a cell and of the reason, in characters.
	MaxCell   = 200
	MaxReason = 1000
)

// News is something that happened to a sync.
type News struct {
	Kind Kind `json:"kind"`
	// Sync is the name of the sync. Empty means that it concerns all of them.
	Sync string `json:"sync,omitempty"`
	// Run is the run that it happened in; zero for none.
	Run dirsync.RunID `json:"run,omitempty"`
	At  time.Time     `json:"at"`
	// Fingerprint tells one trouble from another of the same sync and kind; Fingerprint makes one.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Reason says what is wrong in a sentence, without secrets.
	Reason string `json:"reason,omitempty"`
	// Table is who is concerned and why: the first MaxRows of Total. A Total below len(Table) means len(Table).
	Table []Row `json:"table,omitempty"`
	Total int   `json:"total,omitempty"`
	// Link leads to the run in the console: an http or https address, or empty.
	Link   string         `json:"link,omitempty"`
	Counts dirsync.Counts `json:"counts,omitzero"`
	// Ends, for Recovered, are the kinds of trouble that are over. Empty means what a run that ended as a Success proves
	// to be over: RunFailed, PartialSuccess, ChangesHeld, Overdue and ConsentWithdrawn.
	Ends []Kind `json:"ends,omitempty"`

	// What follows is filled in by Policy.Decide.

	// Since is when the trouble was first reported; Reminder counts how often it was told before.
	Since    time.Time `json:"since,omitzero"`
	Reminder int       `json:"reminder,omitempty"`
}

// Row is one line of a table: who, what was to be done or which field it is about, and why it was not.
type Row struct {
	Who  string `json:"who"`
	What string `json:"what,omitempty"`
	Why  string `json:"why"`
}

// Recipient is somebody who is told. At least one of Address and User is there.
type Recipient struct {
	// Name is for people; it may be empty.
	Name string `json:"name,omitempty"`
	// Address is an e-mail address without a display name; empty for no e-mail.
	Address string `json:"address,omitempty"`
	// User is the id of an account in the directory, whose inbox is used; empty for none.
	User string `json:"user,omitempty"`
}

// Key tells whether two pieces of news are about the same trouble.
type Key struct {
	Sync        string `json:"sync,omitempty"`
	Kind        Kind   `json:"kind"`
	Fingerprint string `json:"fingerprint,omitempty"`
}

// Key returns what n is about.
func (n News) Key() Key { return Key{n.Sync, n.Kind, n.Fingerprint} }

// Headline says in a few words what happened: "staff failed".
func (n News) Headline() string {
	name := n.Sync
	if name == "" {
		name = "all syncs"
	}
	switch n.Kind {
	case RunFailed:
		name += " failed"
	case PartialSuccess:
		name += " succeeded in part"
	case ChangesHeld:
		name += ": changes wait for approval"
	case Overdue:
		name += " is overdue"
	case CredentialExpiring:
		name += ": a credential expires soon"
	case ConsentWithdrawn:
		name += ": the consent was withdrawn"
	case Recovered:
		name += " works again"
	case Test:
		name = "this is a test"
	default:
		name += ": " + string(n.Kind)
	}
	return clean(name, MaxCell)
}

// Fingerprint makes a short text that is the same for the same parts. Numbers and object ids within the parts do not
// matter, so that an error that names a request or a time is the same trouble the next time.
func Fingerprint(parts ...string) string {
	for i, p := range parts {
		if i == 0 {
			parts = slices.Clone(parts)
		}
		parts[i] = changing.ReplaceAllString(p, "#")
	}
	return digest(parts)
}

// digest makes a short text of parts; other parts make another.
func digest(parts []string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}

var changing = regexp.MustCompile(`(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b|[0-9]+`)

// trim returns n without anything that could not be shown: see MaxRows, MaxCell and MaxReason.
func (n News) trim() News {
	n.Total = max(n.Total, len(n.Table))
	rows := n.Table[:min(len(n.Table), MaxRows)]
	n.Table = nil
	for _, r := range rows {
		n.Table = append(n.Table, Row{clean(r.Who, MaxCell), clean(r.What, MaxCell), clean(r.Why, MaxCell)})
	}
	n.Reason = clean(n.Reason, MaxReason)
	n.Link = webLink(n.Link)
	n.At = plainTime(n.At)
	n.Ends = append([]Kind(nil), n.Ends...)
	n.Since, n.Reminder = time.Time{}, 0
	return n
}

// plainTime returns t as it comes back from a store: in UTC and without the monotonic clock.
func plainTime(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Round(0)
}

// clean makes one line of a text from outside: whatever could begin a new line, a header or a command of the terminal, or
// turn the direction of writing, becomes a blank. It is at most limit characters long.
func clean(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r < 0x20, r >= 0x7f && r < 0xa0, r == 0xfffd, r >= 0x200e && r <= 0x200f, r >= 0x2028 && r <= 0x202e,
			r >= 0x2066 && r <= 0x2069, r == 0xfeff:
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, " "))
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit-1]) + "…"
}
