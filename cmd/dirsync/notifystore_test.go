package main

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"dirsync"
	"dirsync/notify"
	"dirsync/notify/notifytest"
	"dirsync/store"
)

// openNotifyStore makes an empty store, which must be sound at the end of the test.
func openNotifyStore(t *testing.T) (notifyStore, *store.Store) {
	t.Helper()
	st, err := store.Open(filepath.Join(t.TempDir(), "dirsync.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		findings, err := st.Verify(context.Background()) // that of the test is over
		if err != nil || len(findings) > 0 {
			t.Errorf("got %v and %v, want a sound store", findings, err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return newNotifyStore(st), st
}

func TestNotifyStoreConforms(t *testing.T) {
	t.Run("outbox", func(t *testing.T) {
		notifytest.TestOutbox(t, func(t *testing.T) notify.Outbox { n, _ := openNotifyStore(t); return n })
	})
	t.Run("inbox", func(t *testing.T) {
		notifytest.TestInbox(t, func(t *testing.T) notify.Inbox { n, _ := openNotifyStore(t); return n })
	})
}

// TestNotifyStoreReadsWhatItCannotKnow gives it rows that another version might have written.
func TestNotifyStoreReadsWhatItCannotKnow(t *testing.T) {
	n, st := openNotifyStore(t)
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	rows := st.Notifications()
	for _, err := range []error{
		rows.Put(t.Context(), []byte("{"), []store.Message{{ID: "M1", Created: now, Body: []byte(`{"news":7}`), Delivery: store.Delivery{Open: true}}}),
		rows.Add(t.Context(), []store.InboxNote{{User: "a", ID: "1", At: now, Body: []byte("[]")}}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err1 := n.State(t.Context())
	_, err2 := n.Due(t.Context(), now, nil, 9)
	_, err3 := n.Messages(t.Context(), "", nil, 9)
	_, err4 := n.Notes(t.Context(), "a", nil, 9)
	for _, err := range []error{err1, err2, err3, err4} {
		if dirsync.KindOf(err) != dirsync.Corrupt || dirsync.HintOf(err) == "" {
			t.Errorf("got %v, want Corrupt with a hint", err)
		}
	}
}
