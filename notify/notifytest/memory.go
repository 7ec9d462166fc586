package notifytest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"dirsync"
	"dirsync/notify"
)

// Memory is a notify.Outbox and a notify.Inbox that forgets everything with the process. The zero value is empty and
// ready. Like a store on a disk it keeps everything encoded, so nothing is shared.
type Memory struct {
	// Hook, if it is set, is called before every method with its name. It says whether the method takes effect, and what
	// it returns: a method can fail without effect, and fail having taken effect.
	Hook func(op string) (apply bool, err error)

	mu       sync.Mutex
	state    []byte
	messages map[string][]byte
	notes    map[noteKey][]byte
}

type noteKey struct{ user, id string }

var (
	_ notify.Outbox = (*Memory)(nil)
	_ notify.Inbox  = (*Memory)(nil)
)

func (m *Memory) do(ctx context.Context, op string, fn func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	apply, err := true, error(nil)
	if m.Hook != nil {
		apply, err = m.Hook(op)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.messages == nil {
		m.messages, m.notes = map[string][]byte{}, map[noteKey][]byte{}
	}
	if apply {
		if fnErr := fn(); fnErr != nil {
			return fnErr
		}
	}
	return err
}

// State implements notify.Outbox.
func (m *Memory) State(ctx context.Context) (s notify.State, err error) {
	err = m.do(ctx, "State", func() error {
		if m.state == nil {
			return nil
		}
		return json.Unmarshal(m.state, &s)
	})
	return s, err
}

// Put implements notify.Outbox.
func (m *Memory) Put(ctx context.Context, state notify.State, messages []notify.Message) error {
	return m.do(ctx, "Put", func() error {
		s, err := json.Marshal(state)
		if err != nil {
			return err
		}
		added := map[string][]byte{}
		for _, x := range messages {
			if added[x.ID], err = json.Marshal(x); err != nil {
				return err
			}
		}
		m.state = s
		for id, x := range added {
			if m.messages[id] == nil {
				m.messages[id] = x
			}
		}
		return nil
	})
}

// Due implements notify.Outbox.
func (m *Memory) Due(ctx context.Context, now time.Time, skip []string, limit int) (due []notify.Message, err error) {
	err = m.do(ctx, "Due", func() error {
		all, err := m.all()
		for _, x := range all {
			if x.Delivery.Status == notify.Waiting && !x.Delivery.Due.After(now) && !slices.Contains(skip, x.Channel) {
				due = append(due, x)
			}
		}
		slices.SortFunc(due, func(a, b notify.Message) int {
			return cmp.Or(a.Delivery.Due.Compare(b.Delivery.Due), strings.Compare(a.ID, b.ID))
		})
		due = due[:min(len(due), limit)]
		return err
	})
	return due, err
}

// Record implements notify.Outbox.
func (m *Memory) Record(ctx context.Context, id string, d notify.Delivery) error {
	return m.do(ctx, "Record", func() error {
		var x notify.Message
		if m.messages[id] == nil {
			return &dirsync.Error{Op: "record a delivery", Kind: dirsync.NotFound, Err: fmt.Errorf("there is no message %q", id)}
		}
		if err := json.Unmarshal(m.messages[id], &x); err != nil {
			return err
		}
		x.Delivery = d
		b, err := json.Marshal(x)
		m.messages[id] = b
		return err
	})
}

// Messages implements notify.Outbox.
func (m *Memory) Messages(ctx context.Context, status notify.Status, before *notify.Message, limit int) (list []notify.Message, err error) {
	newer := func(a, b notify.Message) int {
		return cmp.Or(b.Created.Compare(a.Created), strings.Compare(b.ID, a.ID))
	}
	err = m.do(ctx, "Messages", func() error {
		all, err := m.all()
		for _, x := range all {
			if (status == "" || x.Delivery.Status == status) && (before == nil || newer(*before, x) < 0) {
				list = append(list, x)
			}
		}
		slices.SortFunc(list, newer)
		list = list[:min(len(list), limit)]
		return err
	})
	return list, err
}

// PruneMessages implements notify.Outbox.
func (m *Memory) PruneMessages(ctx context.Context, before time.Time) (n int, err error) {
	err = m.do(ctx, "PruneMessages", func() error {
		all, err := m.all()
		for _, x := range all {
			if x.Delivery.Status != notify.Waiting && x.Delivery.Ended.Before(before) {
				delete(m.messages, x.ID)
				n++
			}
		}
		return err
	})
	return n, err
}

// PruneNotes implements notify.Inbox.
func (m *Memory) PruneNotes(ctx context.Context, before time.Time) (n int, err error) {
	err = m.do(ctx, "PruneNotes", func() error {
		for k, b := range m.notes {
			var x notify.Note
			if err := json.Unmarshal(b, &x); err != nil {
				return err
			}
			if x.At.Before(before) {
				delete(m.notes, k)
				n++
			}
		}
		return nil
	})
	return n, err
}

func (m *Memory) all() ([]notify.Message, error) {
	var all []notify.Message
	for _, b := range m.messages {
		var x notify.Message
		if err := json.Unmarshal(b, &x); err != nil {
			return nil, err
		}
		all = append(all, x)
	}
	return all, nil
}

// Add implements notify.Inbox.
func (m *Memory) Add(ctx context.Context, notes []notify.Note) error {
	return m.do(ctx, "Add", func() error {
		for _, n := range notes {
			k := noteKey{n.User, n.ID}
			if m.notes[k] != nil {
				continue
			}
			b, err := json.Marshal(n)
			if err != nil {
				return err
			}
			m.notes[k] = b
		}
		return nil
	})
}

// Notes implements notify.Inbox.
func (m *Memory) Notes(ctx context.Context, user string, after *notify.Note, limit int) (list []notify.Note, err error) {
	err = m.do(ctx, "Notes", func() error {
		for k, b := range m.notes {
			var n notify.Note
			if err := json.Unmarshal(b, &n); err != nil {
				return err
			}
			if k.user == user && (after == nil || compareNotes(*after, n) < 0) {
				list = append(list, n)
			}
		}
		slices.SortFunc(list, compareNotes)
		list = list[:min(len(list), limit)]
		return nil
	})
	return list, err
}

// compareNotes orders notes as Inbox.Notes promises.
func compareNotes(a, b notify.Note) int {
	read := func(n notify.Note) int {
		if n.Read {
			return 1
		}
		return 0
	}
	return cmp.Or(read(a)-read(b), b.At.Compare(a.At), strings.Compare(b.ID, a.ID))
}

// Unread implements notify.Inbox.
func (m *Memory) Unread(ctx context.Context, user string) (n int, err error) {
	err = m.do(ctx, "Unread", func() error {
		for k, b := range m.notes {
			var x notify.Note
			if err := json.Unmarshal(b, &x); err != nil {
				return err
			}
			if k.user == user && !x.Read {
				n++
			}
		}
		return nil
	})
	return n, err
}

// Mark implements notify.Inbox.
func (m *Memory) Mark(ctx context.Context, user string, ids []string, read bool) error {
	return m.do(ctx, "Mark", func() error {
		for _, id := range ids {
			k := noteKey{user, id}
			if m.notes[k] == nil {
				continue
			}
			var n notify.Note
			if err := json.Unmarshal(m.notes[k], &n); err != nil {
				return err
			}
			n.Read = read
			b, err := json.Marshal(n)
			if err != nil {
				return err
			}
			m.notes[k] = b
		}
		return nil
	})
}
