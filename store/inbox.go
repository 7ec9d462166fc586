package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// MaxNotes is how many notes somebody's inbox holds. When there are more, those that were read go first, then those that
// were not; the oldest of them first.
const MaxNotes = 1000

// InboxNote is a row of somebody's inbox.
type InboxNote struct {
	// User is whose it is, and ID tells it from that person's others: 1 to 4,096 bytes each.
	User, ID string
	At       time.Time
	Read     bool
	// Body is everything else, kept as it is given.
	Body []byte
}

// The layout: in the bucket inbox lie
//
//	notes         user, id → note
//	noteOrders    by user, user, unread, at, id → nothing
//	              by age, at, user, id → nothing
const (
	bucketInbox      = "inbox"
	bucketNotes      = "notes"
	bucketNoteOrders = "noteOrders"

	orderUser = 'u'
	orderAge  = 't'
)

// appendUser writes a user so that no user's keys begin as another's do.
func appendUser(b []byte, user string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(user))), user...)
}

// userOf takes apart the key of a note.
func userOf(key []byte) (user, id string, err error) {
	if len(key) < 2 || len(key) < 2+int(binary.BigEndian.Uint16(key)) {
		return "", "", errRow
	}
	n := 2 + int(binary.BigEndian.Uint16(key))
	return string(key[2:n]), string(key[n:]), nil
}

func (n InboxNote) key() []byte { return append(appendUser(nil, n.User), n.ID...) }

// place is where the note is in the list of its user.
func (n InboxNote) place() []byte {
	return append(appendMoment(appendBool(appendUser([]byte{orderUser}, n.User), !n.Read), n.At), n.ID...)
}

// orders are the keys of a note in the orders.
func (n InboxNote) orders() [][]byte {
	return [][]byte{n.place(), append(appendMoment([]byte{orderAge}, n.At), n.key()...)}
}

func (n InboxNote) check() error {
	return errors.Join(checkName("user of a note", n.User), checkName("id of a note", n.ID), checkBody("note", n.Body))
}

func appendNote(b []byte, n InboxNote) []byte {
	b = appendBool(appendTime(append(b, rowVersion), n.At), n.Read)
	return append(appendUint(b, uint64(len(n.Body))), n.Body...)
}

func decodeNote(d *decoder, key []byte) (n InboxNote, err error) {
	if n.User, n.ID, err = userOf(key); err != nil {
		return n, err
	}
	n.At, n.Read, n.Body = d.time(), d.bool(), d.bytes()
	return n, d.end()
}

// inboxTx is a transaction that works on the inboxes.
type inboxTx struct {
	*tx
	shelf
}

func (n *Notifications) inbox(fn func(*inboxTx) error) func(*tx) error {
	return func(t *tx) error {
		f, err := t.shelf("note", bucketInbox, bucketNotes, bucketNoteOrders)
		if err != nil {
			return err
		}
		return fn(&inboxTx{t, f})
	}
}

// note reads a note that comes out.
func (x *inboxTx) note(key []byte) (InboxNote, error) {
	body, err := x.must(key)
	if err != nil {
		return InboxNote{}, err
	}
	n, err := decodeNote(decodeOwned(body), key)
	if err != nil {
		return n, corrupt(fmt.Errorf("note %q: %w", key, err))
	}
	return n, nil
}

// Add adds notes, all or nothing. One whose User and ID are there already is left as it is, read or not. Of more than
// MaxNotes of a user some are removed. What cannot be kept, such as a note of nobody, is an error of kind Invalid.
func (n *Notifications) Add(ctx context.Context, notes []InboxNote) error {
	return unchanged(n.s.update(ctx, "keep notes", n.inbox(func(x *inboxTx) error {
		users := map[string]bool{}
		for _, note := range notes {
			if err := note.check(); err != nil {
				return err
			}
			there, err := x.get(note.key())
			if err != nil {
				return err
			}
			if there != nil {
				continue
			}
			users[note.User] = true
			if err := x.put(note.key(), appendNote(nil, note), nil, note.orders()); err != nil {
				return err
			}
		}
		if len(users) == 0 {
			return errUnchanged
		}
		for user := range users {
			if err := x.bound(user); err != nil {
				return err
			}
		}
		return nil
	})))
}

// bound removes what a user has beyond MaxNotes.
func (x *inboxTx) bound(user string) error {
	var keys [][]byte
	err := x.ascend(appendUser([]byte{orderUser}, user), func(rest []byte) (bool, error) {
		if len(rest) < 1+momentSize {
			return false, corrupt(fmt.Errorf("a list of notes: %w", errRow))
		}
		keys = append(keys, append(appendUser(nil, user), rest[1+momentSize:]...))
		return true, nil
	})
	if err != nil {
		return err
	}
	return x.dropAll(keys[:max(0, len(keys)-MaxNotes)])
}

func (x *inboxTx) dropAll(keys [][]byte) error {
	for _, key := range keys {
		note, err := x.note(key)
		if err != nil {
			return err
		}
		if err := x.drop(key, note.orders()); err != nil {
			return err
		}
	}
	return nil
}

// Notes lists the notes of a user: the unread before the read, then newest first, then by ID descending; at most limit,
// those after the given one, of which Read, At and ID count; nil begins.
func (n *Notifications) Notes(ctx context.Context, user string, after *InboxNote, limit int) (list []InboxNote, err error) {
	if len(user) > maxName {
		return nil, ctx.Err() // nobody is called that
	}
	var below []byte
	if after != nil {
		below = InboxNote{User: user, ID: after.ID, At: after.At, Read: after.Read}.place()
	}
	err = n.s.view(ctx, "list notes", n.inbox(func(x *inboxTx) error {
		return x.descend(appendUser([]byte{orderUser}, user), below, func(rest []byte) (bool, error) {
			if len(list) >= limit || len(rest) < 1+momentSize {
				return false, nil
			}
			note, err := x.note(append(appendUser(nil, user), rest[1+momentSize:]...))
			list = append(list, note)
			return true, err
		})
	}))
	if err != nil {
		return nil, err
	}
	return list, nil
}

// Unread counts the unread notes of a user.
func (n *Notifications) Unread(ctx context.Context, user string) (unread int, err error) {
	if len(user) > maxName {
		return 0, ctx.Err()
	}
	err = n.s.view(ctx, "count notes", n.inbox(func(x *inboxTx) error {
		return x.ascend(appendBool(appendUser([]byte{orderUser}, user), true), func([]byte) (bool, error) {
			unread++
			return true, nil
		})
	}))
	return unread, err
}

// Mark makes notes of a user read or unread. Ids that this user does not have are passed over, whoever has them.
func (n *Notifications) Mark(ctx context.Context, user string, ids []string, read bool) error {
	return unchanged(n.s.update(ctx, "mark notes", n.inbox(func(x *inboxTx) error {
		changed := false
		for _, id := range ids {
			key := InboxNote{User: user, ID: id}.key()
			if len(user) > maxName || len(id) > maxName {
				continue
			}
			body, err := x.get(key)
			if err != nil {
				return err
			}
			if body == nil {
				continue
			}
			note, err := x.note(key)
			if err != nil {
				return err
			}
			if note.Read == read {
				continue
			}
			had := note.orders()
			note.Read, changed = read, true
			if err := x.put(key, appendNote(nil, note), had, note.orders()); err != nil {
				return err
			}
		}
		if !changed {
			return errUnchanged
		}
		return nil
	})))
}

// PruneNotes removes the notes from before a moment, read or not, and returns how many.
func (n *Notifications) PruneNotes(ctx context.Context, before time.Time) (pruned int, err error) {
	earliest := appendMoment(nil, before)
	err = unchanged(n.s.update(ctx, "prune notes", n.inbox(func(x *inboxTx) error {
		var keys [][]byte
		err := x.ascend([]byte{orderAge}, func(rest []byte) (bool, error) {
			if len(rest) < momentSize || bytes.Compare(rest[:momentSize], earliest) >= 0 {
				return false, nil
			}
			keys = append(keys, bytes.Clone(rest[momentSize:]))
			return true, nil
		})
		if err != nil {
			return err
		}
		if pruned = len(keys); pruned == 0 {
			return errUnchanged
		}
		return x.dropAll(keys)
	})))
	if err != nil {
		return 0, err
	}
	return pruned, nil
}

// inbox checks what Verify promises of the notes.
func (v *verifier) inbox(t *tx) error {
	f, err := t.shelf("note", bucketInbox, bucketNotes, bucketNoteOrders)
	if err != nil {
		return err
	}
	return v.shelf(f, func(key, body []byte) ([][]byte, error) {
		n, err := decodeNote(decode(body), key)
		return n.orders(), err
	})
}
