package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"dirsync"
)

// How long it is worth keeping what people were told. Nothing goes by itself: PruneMessages and PruneNotes remove what is
// older than the moment that they are given.
const (
	// KeepMessages is for messages whose delivery has ended.
	KeepMessages = 30 * 24 * time.Hour
	// KeepNotes is for the notes in an inbox, read or not.
	KeepNotes = 400 * 24 * time.Hour
)

// Notifications are what people are to be told, and what they find in their inboxes: those of the whole store, whatever
// sync they are about. What a message says and how its delivery went is kept as it is given; only what it is found by
// is understood here.
//
// Each method is one transaction: when it returns nil all of it is durable, when it returns an error none of it is (an
// error of the disk itself may leave it durable all the same). A context that has ended makes it fail without effect. A
// method that would change nothing writes nothing. What goes in must stay as it is until the method returns; what comes
// out belongs to the caller. Times come back in UTC.
type Notifications struct{ s *Store }

// Notifications returns the outbox and the inboxes of the store.
func (s *Store) Notifications() *Notifications { return &Notifications{s} }

// Message is a row of the outbox.
type Message struct {
	// ID tells it from all others: 1 to 4,096 bytes.
	ID string
	// Channel is what it goes through; Due can pass over channels.
	Channel string
	Created time.Time
	// Body is what is delivered, and Delivery how far it has come.
	Body     []byte
	Delivery Delivery
}

// Delivery is how far a message has come.
type Delivery struct {
	// Status is a word by which messages are listed, of at most 255 bytes.
	Status string
	// Open deliveries are to be tried from Due on, and are never pruned. Others have Ended.
	Open       bool
	Due, Ended time.Time
	// Body is everything else.
	Body []byte
}

// The layout: in the bucket notify lies "state", as it was put, and
//
//	messages          id → message
//	messageOrders     all, created, id → nothing
//	                  by status, status, created, id → nothing
//	                  due, when, id → nothing: of the open
//	                  ended, when, id → nothing: of the others
const (
	bucketNotify        = "notify"
	bucketMessages      = "messages"
	bucketMessageOrders = "messageOrders"

	orderAll    = 'a'
	orderStatus = 's'
	orderDue    = 'd'
	orderEnded  = 'e'

	maxStatus = 255
)

func appendMessage(b []byte, m Message) []byte {
	b = appendTime(appendString(append(b, rowVersion), m.Channel), m.Created)
	b = appendBool(appendString(b, m.Delivery.Status), m.Delivery.Open)
	b = appendTime(appendTime(b, m.Delivery.Due), m.Delivery.Ended)
	b = append(appendUint(b, uint64(len(m.Delivery.Body))), m.Delivery.Body...)
	return append(appendUint(b, uint64(len(m.Body))), m.Body...)
}

func decodeMessage(d *decoder, id string) (Message, error) {
	m := Message{ID: id, Channel: d.string(), Created: d.time()}
	m.Delivery = Delivery{Status: d.string(), Open: d.bool(), Due: d.time(), Ended: d.time(), Body: d.bytes()}
	m.Body = d.bytes()
	return m, d.end()
}

// statusOrder begins the order of the messages of one status, or of all for "".
func statusOrder(status string) []byte {
	if status == "" {
		return []byte{orderAll}
	}
	return append([]byte{orderStatus, byte(len(status))}, status...)
}

// orders are the keys of a message in the orders.
func (m Message) orders() [][]byte {
	end := append([]byte{orderEnded}, appendMoment(nil, m.Delivery.Ended)...)
	if m.Delivery.Open {
		end = append([]byte{orderDue}, appendMoment(nil, m.Delivery.Due)...)
	}
	out := [][]byte{append(end, m.ID...), append(appendMoment(statusOrder(""), m.Created), m.ID...)}
	if m.Delivery.Status != "" {
		out = append(out, append(appendMoment(statusOrder(m.Delivery.Status), m.Created), m.ID...))
	}
	return out
}

// check refuses a message that cannot be kept.
func (m Message) check() error {
	return errors.Join(checkName("id of a message", m.ID), checkBody("message", m.Body), m.Delivery.check())
}

func (d Delivery) check() error {
	if len(d.Status) > maxStatus {
		return &dirsync.Error{Kind: dirsync.Invalid, Err: fmt.Errorf("the status has %d bytes, more than %d", len(d.Status), maxStatus)}
	}
	return checkBody("delivery", d.Body)
}

// outboxTx is a transaction that works on the outbox.
type outboxTx struct {
	*tx
	shelf
}

func (n *Notifications) outbox(fn func(*outboxTx) error) func(*tx) error {
	return func(t *tx) error {
		f, err := t.shelf("message", bucketNotify, bucketMessages, bucketMessageOrders)
		if err != nil {
			return err
		}
		return fn(&outboxTx{t, f})
	}
}

// message reads a message that comes out.
func (x *outboxTx) message(id []byte) (Message, error) {
	body, err := x.must(id)
	if err != nil {
		return Message{}, err
	}
	m, err := decodeMessage(decodeOwned(body), string(id))
	return m, messageError(id, err)
}

func messageError(id []byte, err error) error {
	if err == nil {
		return nil
	}
	return corrupt(fmt.Errorf("message %q: %w", id, err))
}

// State returns what Put kept last, nil at first.
func (n *Notifications) State(ctx context.Context) (state []byte, err error) {
	err = n.s.view(ctx, "read the state of the notifications", func(t *tx) error {
		root, err := t.top(bucketNotify)
		if err != nil {
			return err
		}
		body, err := get(root, []byte(keyState))
		state = bytes.Clone(body)
		return err
	})
	return state, err
}

// Put keeps state and adds messages, all or nothing. A message whose ID is there already is left as it is. What cannot be
// kept, such as a message without ID, is an error of kind Invalid.
func (n *Notifications) Put(ctx context.Context, state []byte, messages []Message) error {
	return unchanged(n.s.update(ctx, "keep messages", n.outbox(func(x *outboxTx) error {
		changed, err := x.putState(state)
		if err != nil {
			return err
		}
		for _, m := range messages {
			if err := m.check(); err != nil {
				return err
			}
			there, err := x.get([]byte(m.ID))
			if err != nil {
				return err
			}
			if there != nil {
				continue
			}
			changed = true
			if err := x.put([]byte(m.ID), appendMessage(nil, m), nil, m.orders()); err != nil {
				return err
			}
		}
		if !changed {
			return errUnchanged
		}
		return nil
	})))
}

func (x *outboxTx) putState(state []byte) (changed bool, err error) {
	if err := checkBody("state of the notifications", state); err != nil {
		return false, err
	}
	root, err := x.top(bucketNotify)
	if err != nil {
		return false, err
	}
	was, err := get(root, []byte(keyState))
	if err != nil || was != nil && bytes.Equal(was, state) {
		return false, err
	}
	return true, put(root, []byte(keyState), bytes.Clone(state))
}

// Due lists the messages that are Open, whose Due is not after now, and whose Channel is not in skip: at most limit,
// ordered by Due and then by ID.
func (n *Notifications) Due(ctx context.Context, now time.Time, skip []string, limit int) (due []Message, err error) {
	latest := appendMoment(nil, now)
	err = n.s.view(ctx, "list messages that are due", n.outbox(func(x *outboxTx) error {
		return x.ascend([]byte{orderDue}, func(rest []byte) (bool, error) {
			if len(due) >= limit || len(rest) < momentSize || bytes.Compare(rest[:momentSize], latest) > 0 {
				return false, nil
			}
			id := rest[momentSize:]
			if len(skip) > 0 {
				body, err := x.must(id)
				if err != nil {
					return false, err
				}
				if slices.Contains(skip, decode(body).string()) {
					return true, nil
				}
			}
			m, err := x.message(id)
			due = append(due, m)
			return true, err
		})
	}))
	if err != nil {
		return nil, err
	}
	return due, nil
}

// Record replaces the Delivery of a message. An unknown id is an error of kind NotFound.
func (n *Notifications) Record(ctx context.Context, id string, d Delivery) error {
	return unchanged(n.s.update(ctx, "record a delivery", n.outbox(func(x *outboxTx) error {
		if err := d.check(); err != nil {
			return err
		}
		body, err := x.find(id)
		if err != nil {
			return err
		}
		m, err := decodeMessage(decodeOwned(body), id)
		if err != nil {
			return messageError([]byte(id), err)
		}
		had := m.orders()
		m.Delivery = d
		row := appendMessage(nil, m)
		if bytes.Equal(row, body) {
			return errUnchanged
		}
		return x.put([]byte(id), row, had, m.orders())
	})))
}

// find reads the row of a message that somebody asks for.
func (x *outboxTx) find(id string) (body []byte, err error) {
	if id != "" && len(id) <= maxName {
		body, err = x.get([]byte(id))
	}
	if err == nil && body == nil {
		err = &dirsync.Error{Kind: dirsync.NotFound, Err: fmt.Errorf("there is no message %q", cut(id))}
	}
	return body, err
}

// cut shortens a text from outside for an error.
func cut(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}

// Messages lists the messages of one status, or of all for "", newest first: by Created and then ID, both descending; at
// most limit, those below before, of which only Created and ID count; nil begins.
func (n *Notifications) Messages(ctx context.Context, status string, before *Message, limit int) (list []Message, err error) {
	if len(status) > maxStatus {
		return nil, ctx.Err() // nothing has such a status
	}
	prefix := statusOrder(status)
	var below []byte
	if before != nil {
		below = append(appendMoment(slices.Clone(prefix), before.Created), before.ID...)
	}
	err = n.s.view(ctx, "list messages", n.outbox(func(x *outboxTx) error {
		return x.descend(prefix, below, func(rest []byte) (bool, error) {
			if len(list) >= limit || len(rest) < momentSize {
				return false, nil
			}
			m, err := x.message(rest[momentSize:])
			list = append(list, m)
			return true, err
		})
	}))
	if err != nil {
		return nil, err
	}
	return list, nil
}

// PruneMessages removes the messages that are not Open and Ended before a moment, and returns how many.
func (n *Notifications) PruneMessages(ctx context.Context, before time.Time) (pruned int, err error) {
	earliest := appendMoment(nil, before)
	err = unchanged(n.s.update(ctx, "prune messages", n.outbox(func(x *outboxTx) error {
		var ids [][]byte
		err := x.ascend([]byte{orderEnded}, func(rest []byte) (bool, error) {
			if len(rest) < momentSize || bytes.Compare(rest[:momentSize], earliest) >= 0 {
				return false, nil
			}
			ids = append(ids, bytes.Clone(rest[momentSize:]))
			return true, nil
		})
		if err != nil {
			return err
		}
		for _, id := range ids {
			m, err := x.message(id)
			if err != nil {
				return err
			}
			if err := x.drop(id, m.orders()); err != nil {
				return err
			}
		}
		if pruned = len(ids); pruned == 0 {
			return errUnchanged
		}
		return nil
	})))
	if err != nil {
		return 0, err
	}
	return pruned, nil
}

// outbox checks what Verify promises of the messages.
func (v *verifier) outbox(t *tx) error {
	f, err := t.shelf("message", bucketNotify, bucketMessages, bucketMessageOrders)
	if err != nil {
		return err
	}
	root, err := t.top(bucketNotify)
	if err != nil {
		return err
	}
	if root != nil {
		if _, err := get(root, []byte(keyState)); err != nil {
			v.found("the state of the notifications: %v", err)
		}
	}
	return v.shelf(f, func(key, body []byte) ([][]byte, error) {
		m, err := decodeMessage(decode(body), string(key))
		return m.orders(), err
	})
}
