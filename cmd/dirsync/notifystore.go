package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"dirsync"
	"dirsync/notify"
	"dirsync/store"
)

// notifyStore keeps what package notify is to remember in the store: it is a notify.Outbox and a notify.Inbox. The store
// knows what rows are found by, and this the rest, which it keeps as JSON.
type notifyStore struct{ rows *store.Notifications }

var (
	_ notify.Outbox = notifyStore{}
	_ notify.Inbox  = notifyStore{}
)

func newNotifyStore(st *store.Store) notifyStore { return notifyStore{st.Notifications()} }

// strangeRow is the error for a row that is whole, and says something that this program does not understand.
func strangeRow(what string, err error) error {
	return &dirsync.Error{Op: "read " + what, Kind: dirsync.Corrupt, Err: err,
		Hint: "It was probably written by another version of dirsync: use that version."}
}

// State implements notify.Outbox.
func (n notifyStore) State(ctx context.Context) (s notify.State, err error) {
	b, err := n.rows.State(ctx)
	if err != nil || len(b) == 0 {
		return s, err
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return notify.State{}, strangeRow("the state of the notifications", err)
	}
	return s, nil
}

// Put implements notify.Outbox.
func (n notifyStore) Put(ctx context.Context, state notify.State, messages []notify.Message) error {
	b, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("keep the state of the notifications: %w", err)
	}
	rows := make([]store.Message, len(messages))
	for i, m := range messages {
		if rows[i], err = messageRow(m); err != nil {
			return fmt.Errorf("keep message %q: %w", m.ID, err)
		}
	}
	return n.rows.Put(ctx, b, rows)
}

// messageRow is a message as it is kept; its Delivery, which changes, lies apart from the rest.
func messageRow(m notify.Message) (row store.Message, err error) {
	row = store.Message{ID: m.ID, Channel: m.Channel, Created: m.Created}
	if row.Delivery, err = deliveryRow(m.Delivery); err != nil {
		return row, err
	}
	m.Delivery = notify.Delivery{}
	row.Body, err = json.Marshal(m)
	return row, err
}

func deliveryRow(d notify.Delivery) (store.Delivery, error) {
	b, err := json.Marshal(d)
	return store.Delivery{Status: string(d.Status), Open: d.Status == notify.Waiting, Due: d.Due, Ended: d.Ended, Body: b}, err
}

func messagesOf(rows []store.Message, err error) ([]notify.Message, error) {
	if err != nil {
		return nil, err
	}
	var list []notify.Message
	for _, row := range rows {
		var m notify.Message
		if err := json.Unmarshal(row.Body, &m); err != nil {
			return nil, strangeRow("message "+row.ID, err)
		}
		m.Delivery = notify.Delivery{}
		if err := json.Unmarshal(row.Delivery.Body, &m.Delivery); err != nil {
			return nil, strangeRow("the delivery of message "+row.ID, err)
		}
		list = append(list, m)
	}
	return list, nil
}

// Due implements notify.Outbox.
func (n notifyStore) Due(ctx context.Context, now time.Time, skip []string, limit int) ([]notify.Message, error) {
	return messagesOf(n.rows.Due(ctx, now, skip, limit))
}

// Record implements notify.Outbox.
func (n notifyStore) Record(ctx context.Context, id string, d notify.Delivery) error {
	row, err := deliveryRow(d)
	if err != nil {
		return fmt.Errorf("record the delivery of message %q: %w", id, err)
	}
	return n.rows.Record(ctx, id, row)
}

// Messages implements notify.Outbox.
func (n notifyStore) Messages(ctx context.Context, status notify.Status, before *notify.Message, limit int) ([]notify.Message, error) {
	var below *store.Message
	if before != nil {
		below = &store.Message{ID: before.ID, Created: before.Created}
	}
	return messagesOf(n.rows.Messages(ctx, string(status), below, limit))
}

// PruneMessages implements notify.Outbox.
func (n notifyStore) PruneMessages(ctx context.Context, before time.Time) (int, error) {
	return n.rows.PruneMessages(ctx, before)
}

// Add implements notify.Inbox. An inbox holds at most store.MaxNotes.
func (n notifyStore) Add(ctx context.Context, notes []notify.Note) error {
	rows := make([]store.InboxNote, len(notes))
	for i, x := range notes {
		rows[i] = store.InboxNote{User: x.User, ID: x.ID, At: x.At, Read: x.Read}
		x.Read = false
		b, err := json.Marshal(x)
		if err != nil {
			return fmt.Errorf("keep note %q: %w", x.ID, err)
		}
		rows[i].Body = b
	}
	return n.rows.Add(ctx, rows)
}

// Notes implements notify.Inbox.
func (n notifyStore) Notes(ctx context.Context, user string, after *notify.Note, limit int) ([]notify.Note, error) {
	var below *store.InboxNote
	if after != nil {
		below = &store.InboxNote{User: user, ID: after.ID, At: after.At, Read: after.Read}
	}
	rows, err := n.rows.Notes(ctx, user, below, limit)
	if err != nil {
		return nil, err
	}
	var list []notify.Note
	for _, row := range rows {
		var x notify.Note
		if err := json.Unmarshal(row.Body, &x); err != nil {
			return nil, strangeRow("note "+row.ID, err)
		}
		x.Read = row.Read
		list = append(list, x)
	}
	return list, nil
}

// Unread implements notify.Inbox.
func (n notifyStore) Unread(ctx context.Context, user string) (int, error) {
	return n.rows.Unread(ctx, user)
}

// Mark implements notify.Inbox.
func (n notifyStore) Mark(ctx context.Context, user string, ids []string, read bool) error {
	return n.rows.Mark(ctx, user, ids, read)
}

// PruneNotes implements notify.Inbox.
func (n notifyStore) PruneNotes(ctx context.Context, before time.Time) (int, error) {
	return n.rows.PruneNotes(ctx, before)
}
