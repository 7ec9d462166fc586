package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"dirsync"
	"dirsync/store"
)

// aMessage makes a message with something in every field.
func aMessage(i int) store.Message {
	at := time.Date(2026, 3, 1, 12, 0, i, i, time.UTC)
	return store.Message{ID: fmt.Sprintf("M%04d", i), Channel: "email", Created: at, Body: fmt.Appendf(nil, "{%d}", i),
		Delivery: store.Delivery{Status: "waiting", Open: true, Due: at, Body: []byte("first")}}
}

func ended(i int) store.Delivery {
	return store.Delivery{Status: "sent", Ended: aMessage(i).Created.Add(time.Hour), Body: []byte("250 ok")}
}

func aNote(user string, i int) store.InboxNote {
	return store.InboxNote{User: user, ID: fmt.Sprintf("n%04d", i), At: aMessage(i).Created, Body: fmt.Appendf(nil, "<%d>", i)}
}

func check(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// told writes some messages, notes and named values, and returns everything that can be read of them.
func told(t testing.TB, s *store.Store) {
	t.Helper()
	ctx, n := context.Background(), s.Notifications()
	var messages []store.Message
	for i := range 20 {
		messages = append(messages, aMessage(i))
	}
	check(t, n.Put(ctx, []byte(`{"waiting":[]}`), messages), n.Record(ctx, "M0003", ended(3)), n.Record(ctx, "M0007", ended(7)),
		n.Add(ctx, []store.InboxNote{aNote("anna", 1), aNote("anna", 2), aNote("anna\x00", 1), aNote("\xff\xff", 4)}),
		n.Mark(ctx, "anna", []string{"n0002"}, true),
		s.SetNote(ctx, "schedule/staff", []byte(`{"next":"2026-03-01T00:00:00Z"}`)), s.SetNote(ctx, "paused", []byte{0, 255}))
}

// everything reads all that told has written.
func everything(s *store.Store) (out []any, err error) {
	ctx, n := context.Background(), s.Notifications()
	late := aMessage(0).Created.AddDate(1, 0, 0)
	add := func(v any, e error) { out, err = append(out, v), errors.Join(err, e) }
	add(n.State(ctx))
	add(n.Messages(ctx, "", nil, 1000))
	add(n.Messages(ctx, "waiting", nil, 1000))
	add(n.Messages(ctx, "sent", nil, 1000))
	add(n.Due(ctx, late, []string{"chat"}, 1000))
	for _, user := range []string{"anna", "anna\x00", "\xff\xff"} {
		add(n.Notes(ctx, user, nil, 1000))
		add(n.Unread(ctx, user))
	}
	add(s.Note(ctx, "schedule/staff"))
	add(s.Note(ctx, "paused"))
	return out, err
}

func TestNotificationsSurvive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dirsync.db")
	s := openAt(t, path, store.Options{})
	told(t, s)
	want, err := everything(s)
	check(t, err)
	m := aMessage(3)
	m.Delivery = ended(3)
	if d := cmp.Diff([]store.Message{aMessage(7), m}, want[3], cmp.Transformer("sent", func(m store.Message) string {
		m.Delivery = store.Delivery{}
		return fmt.Sprint(m)
	})); d != "" {
		t.Error(d)
	}
	var backup bytes.Buffer
	check(t, s.Backup(t.Context(), &backup))
	sound(t, s)
	check(t, s.Close())
	copied := filepath.Join(t.TempDir(), "backup.db")
	check(t, os.WriteFile(copied, backup.Bytes(), 0o600))
	for _, test := range []struct {
		path string
		opts store.Options
	}{{path, store.Options{}}, {path, store.Options{ReadOnly: true}}, {copied, store.Options{}}} {
		s := openAt(t, test.path, test.opts)
		got, err := everything(s)
		check(t, err)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%+v: %s", test, d)
		}
		sound(t, s)
		check(t, s.Close())
	}
}

// TestIdleNotificationsWriteNothing repeats everything that a daemon does when nothing happens.
func TestIdleNotificationsWriteNothing(t *testing.T) {
	s := open(t, store.Options{})
	told(t, s)
	ctx, n := t.Context(), s.Notifications()
	before, err := s.Stats(ctx)
	check(t, err)
	long := aMessage(0).Created.AddDate(-1, 0, 0)
	_, err1 := n.PruneMessages(ctx, long)
	_, err2 := n.PruneNotes(ctx, long)
	_, err3 := everything(s)
	check(t, err1, err2, err3, n.Put(ctx, []byte(`{"waiting":[]}`), nil), n.Put(ctx, []byte(`{"waiting":[]}`), []store.Message{aMessage(1)}),
		n.Record(ctx, "M0003", ended(3)), n.Add(ctx, nil), n.Add(ctx, []store.InboxNote{aNote("anna", 1)}),
		n.Mark(ctx, "anna", []string{"n0002", "unknown"}, true), n.Mark(ctx, "nobody", []string{"n0002"}, true),
		s.SetNote(ctx, "paused", []byte{0, 255}), s.SetNote(ctx, "never there", nil))
	after, err := s.Stats(ctx)
	check(t, err)
	if before.Transactions != after.Transactions || before.PagesWritten != after.PagesWritten {
		t.Errorf("got %+v, want %+v", after, before)
	}
	check(t, s.SetNote(ctx, "paused", nil))
	if v, err := s.Note(ctx, "paused"); v != nil || err != nil {
		t.Errorf("got %q and %v, want nothing", v, err)
	}
	if after, err = s.Stats(ctx); err != nil || after.Transactions != before.Transactions+1 {
		t.Errorf("got %+v and %v, want one transaction more than %+v", after, err, before)
	}
}

func TestInboxIsBounded(t *testing.T) {
	s := open(t, store.Options{})
	ctx, n := t.Context(), s.Notifications()
	var notes []store.InboxNote
	for i := range store.MaxNotes {
		notes = append(notes, aNote("anna", i))
	}
	check(t, n.Add(ctx, notes), n.Mark(ctx, "anna", []string{"n0500", "n0600"}, true))
	for i, want := range []string{"n0000", "n0000", "n0001", "n0002"} { // the two that were read go first, then the oldest
		check(t, n.Add(ctx, []store.InboxNote{aNote("anna", 2000+i), aNote("bert", i)}))
		list, err := n.Notes(ctx, "anna", nil, 2*store.MaxNotes)
		check(t, err)
		unread := slices.IndexFunc(list, func(x store.InboxNote) bool { return x.Read })
		if unread < 0 {
			unread = len(list)
		}
		if len(list) != store.MaxNotes || list[unread-1].ID != want {
			t.Errorf("after %d more: got %d notes, the oldest unread %s; want %d and %s", i+1, len(list), list[unread-1].ID, store.MaxNotes, want)
		}
	}
	if got, err := n.Unread(ctx, "bert"); got != 4 || err != nil {
		t.Errorf("got %d and %v, want 4", got, err)
	}
	pruned, err := n.PruneNotes(ctx, aNote("", 10).At)
	if want := 8 + 4; pruned != want || err != nil {
		t.Errorf("got %d and %v, want %d", pruned, err, want)
	}
	sound(t, s)
}

func TestNotificationsRefuse(t *testing.T) {
	s := open(t, store.Options{})
	ctx, n := t.Context(), s.Notifications()
	long, huge := strings.Repeat("x", 5000), make([]byte, 17<<20)
	message := func(change func(*store.Message)) error {
		m := aMessage(1)
		change(&m)
		return n.Put(ctx, []byte("new"), []store.Message{aMessage(0), m})
	}
	for name, err := range map[string]error{
		"no id":           message(func(m *store.Message) { m.ID = "" }),
		"a long id":       message(func(m *store.Message) { m.ID = long }),
		"a long status":   message(func(m *store.Message) { m.Delivery.Status = long }),
		"a huge message":  message(func(m *store.Message) { m.Body = huge }),
		"a huge delivery": message(func(m *store.Message) { m.Delivery.Body = huge }),
		"a huge state":    n.Put(ctx, huge, nil),
		"nobody's note":   n.Add(ctx, []store.InboxNote{aNote("anna", 0), aNote("", 1)}),
		"a long user":     n.Add(ctx, []store.InboxNote{aNote("anna", 0), aNote(long, 1)}),
		"a huge note":     n.Add(ctx, []store.InboxNote{{User: "anna", ID: "1", Body: huge}}),
		"a note no name":  s.SetNote(ctx, "", []byte("x")),
		"a long name":     s.SetNote(ctx, long, []byte("x")),
		"a huge value":    s.SetNote(ctx, "x", huge),
		"a note without":  n.Add(ctx, []store.InboxNote{{User: "anna"}}),
	} {
		if dirsync.KindOf(err) != dirsync.Invalid || len(fmt.Sprint(err)) > 300 {
			t.Errorf("%s: got %v, want Invalid", name, err)
		}
	}
	for _, id := range []string{"", "unknown", long} {
		if err := n.Record(ctx, id, ended(1)); dirsync.KindOf(err) != dirsync.NotFound || len(err.Error()) > 300 {
			t.Errorf("got %v, want NotFound", err)
		}
	}
	// What cannot be there is not found, and nothing of a refused call was kept.
	list, err1 := n.Messages(ctx, long, nil, 9)
	notes, err2 := n.Notes(ctx, long, nil, 9)
	unread, err3 := n.Unread(ctx, long)
	value, err4 := s.Note(ctx, long)
	check(t, err1, err2, err3, err4, n.Mark(ctx, long, []string{"1"}, true), n.Mark(ctx, "anna", []string{long}, true))
	all, err1 := n.Messages(ctx, "", nil, 9)
	inbox, err2 := n.Notes(ctx, "anna", nil, 9)
	state, err3 := n.State(ctx)
	check(t, err1, err2, err3)
	if got := len(list) + len(notes) + unread + len(value) + len(all) + len(inbox) + len(state); got != 0 {
		t.Errorf("got %d things, want none", got)
	}
}

// TestVerifyFindsNotifications breaks what told has written in ways that bbolt does not notice.
func TestVerifyFindsNotifications(t *testing.T) {
	first := func(b *bolt.Bucket) []byte { k, _ := b.Cursor().First(); return k }
	flip := func(b *bolt.Bucket, key []byte) error {
		v := bytes.Clone(b.Get(key))
		v[len(v)/2] ^= 1
		return b.Put(key, v)
	}
	for name, test := range map[string]struct {
		spoil func(outbox, inbox, clockwork *bolt.Bucket) error
		says  string
		reads bool // whether reading goes on as if nothing were wrong
	}{
		"a damaged message": {spoil: func(o, _, _ *bolt.Bucket) error { b := o.Bucket([]byte("messages")); return flip(b, first(b)) }, says: "damaged row"},
		"a damaged state":   {spoil: func(o, _, _ *bolt.Bucket) error { return flip(o, []byte("state")) }, says: "state of the notifications"},
		"a damaged note":    {spoil: func(_, i, _ *bolt.Bucket) error { b := i.Bucket([]byte("notes")); return flip(b, first(b)) }, says: "damaged row"},
		"a damaged value":   {spoil: func(_, _, c *bolt.Bucket) error { return flip(c, []byte("paused")) }, says: "paused"},
		"a lost message": {spoil: func(o, _, _ *bolt.Bucket) error { b := o.Bucket([]byte("messages")); return b.Delete(first(b)) },
			says: "how often messages are listed"},
		"a lost note": {spoil: func(_, i, _ *bolt.Bucket) error { b := i.Bucket([]byte("notes")); return b.Delete(first(b)) },
			says: "how often notes are listed"},
		"an unlisted message": {spoil: func(o, _, _ *bolt.Bucket) error { b := o.Bucket([]byte("messageOrders")); return b.Delete(first(b)) },
			says: "is not listed", reads: true},
		"lost orders": {spoil: func(_, i, _ *bolt.Bucket) error { return i.DeleteBucket([]byte("noteOrders")) }, says: "orders are missing", reads: true},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "dirsync.db")
			s := openAt(t, path, store.Options{})
			told(t, s)
			check(t, s.Close())
			db, err := bolt.Open(path, 0o600, &bolt.Options{NoFreelistSync: true})
			check(t, err)
			check(t, db.Update(func(tx *bolt.Tx) error {
				return test.spoil(tx.Bucket([]byte("notify")), tx.Bucket([]byte("inbox")), tx.Bucket([]byte("clockwork")))
			}), db.Close())
			s = openAt(t, path, store.Options{})
			defer s.Close()
			findings, err := s.Verify(t.Context())
			check(t, err)
			if got := strings.Join(findings, "\n"); !strings.Contains(got, test.says) {
				t.Errorf("got %q, want something that says %q", got, test.says)
			}
			if _, err := everything(s); (err == nil) != test.reads || err != nil && dirsync.KindOf(err) != dirsync.Corrupt {
				t.Errorf("got %v, want Corrupt", err)
			}
		})
	}
}

func TestStats(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dirsync.db")
	s := openAt(t, path, store.Options{})
	ctx := t.Context()
	sums := func(s *store.Store) store.Stats {
		t.Helper()
		got, err := s.Stats(ctx)
		check(t, err)
		info, err := os.Stat(path)
		check(t, err)
		if got.FileBytes != info.Size() || got.UsedBytes+got.FreeBytes != got.FileBytes || got.UsedBytes <= 0 || got.PageBytes < 1024 || got.Readers != 0 {
			t.Errorf("got %+v of a file of %d bytes", got, info.Size())
		}
		return got
	}
	empty := sums(s)
	check(t, s.SetNote(ctx, "x", make([]byte, 1<<20)))
	full := sums(s)
	check(t, s.SetNote(ctx, "x", nil), s.SetNote(ctx, "y", []byte("y")))
	freed := sums(s)
	if full.UsedBytes < empty.UsedBytes+1<<20 || full.PagesWritten < empty.PagesWritten+256 || full.Transactions != empty.Transactions+1 {
		t.Errorf("got %+v after %+v", full, empty)
	}
	if freed.FreeBytes < 1<<20 || freed.FileBytes < full.FileBytes {
		t.Errorf("got %+v after %+v", freed, full)
	}
	check(t, s.Close())
	s = openAt(t, path, store.Options{})
	if again := sums(s); again.UsedBytes > freed.UsedBytes || again.PagesWritten != 0 {
		t.Errorf("got %+v after %+v", again, freed)
	}
	check(t, s.Close())
	s = openAt(t, path, store.Options{ReadOnly: true})
	defer s.Close()
	if got := sums(s); got.UsedBytes < freed.UsedBytes {
		t.Errorf("for looking only: got %+v after %+v", got, freed)
	}
}
