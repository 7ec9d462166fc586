package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"dirsync"
)

// TestClientIsTheDaemon asks everything twice: the daemon itself, and through the socket. The answers are the same.
func TestClientIsTheDaemon(t *testing.T) {
	m := newMemory()
	c := dialed(t, &Server{Daemon: m})
	ctx := t.Context()
	verdict := Verdict{Hold: 3, Digest: testDigest[:8], People: []dirsync.ID{"p0", "p1"}, By: "ann", Why: "they left"}
	undo := Undo{Run: 7, People: []dirsync.ID{"p0"}, All: true, Digest: testDigest, By: "ann", Why: "wrong"}
	for name, ask := range map[string]func(d Daemon) (any, error){
		"status":       func(d Daemon) (any, error) { return d.Status(ctx) },
		"sync":         func(d Daemon) (any, error) { return d.Sync(ctx, "staff") },
		"sync unknown": func(d Daemon) (any, error) { return d.Sync(ctx, "x/../y ?#%") },
		"sync now":     func(d Daemon) (any, error) { return nil, d.SyncNow(ctx, "staff", "ann") },
		"runs":         func(d Daemon) (any, error) { return d.Runs(ctx, "staff", 0, 100) },
		"some runs":    func(d Daemon) (any, error) { return d.Runs(ctx, "staff", 6, 3) },
		"all runs":     func(d Daemon) (any, error) { return d.Runs(ctx, "staff", 0, 5000) },
		"run":          func(d Daemon) (any, error) { return d.Run(ctx, 7) },
		"no run":       func(d Daemon) (any, error) { return d.Run(ctx, 70) },
		"changes":      func(d Daemon) (any, error) { return d.Changes(ctx, 7, dirsync.PlanKey{}, 2) },
		"more changes": func(d Daemon) (any, error) {
			return d.Changes(ctx, 7, dirsync.PlanKey{Kind: dirsync.Delete, Seq: 2}, 2)
		},
		"preview":        func(d Daemon) (any, error) { return d.PreviewUndo(ctx, Undo{Run: 7, People: []dirsync.ID{"p0"}}) },
		"undo":           func(d Daemon) (any, error) { return d.Undo(ctx, undo) },
		"holds":          func(d Daemon) (any, error) { return d.Holds(ctx, "", "", 0, 2) },
		"open holds":     func(d Daemon) (any, error) { return d.Holds(ctx, "staff", dirsync.HoldOpen, 3, 10) },
		"hold":           func(d Daemon) (any, error) { return d.Hold(ctx, 3) },
		"no hold":        func(d Daemon) (any, error) { return d.Hold(ctx, 9) },
		"held":           func(d Daemon) (any, error) { return d.HeldChanges(ctx, 3, dirsync.PlanKey{}, 3) },
		"approve":        func(d Daemon) (any, error) { return d.Approve(ctx, verdict) },
		"reject":         func(d Daemon) (any, error) { return d.Reject(ctx, verdict) },
		"approve all":    func(d Daemon) (any, error) { return d.Approve(ctx, Verdict{Hold: 3, Digest: testDigest, By: "ann"}) },
		"explain":        func(d Daemon) (any, error) { return d.Explain(ctx, "staff", "añn+x@contoso.com") },
		"inbox":          func(d Daemon) (any, error) { return d.Inbox(ctx, "u1", NoteKey{}, 2) },
		"rest of inbox":  func(d Daemon) (any, error) { return d.Inbox(ctx, "u1", NoteKey{ID: "n1", At: noon()}, 10) },
		"mark":           func(d Daemon) (any, error) { return d.MarkNotes(ctx, "u1", []string{"n1"}, true) },
		"mark as unread": func(d Daemon) (any, error) { return d.MarkNotes(ctx, "u1", []string{"n1"}, false) },
		"ready":          func(d Daemon) (any, error) { return nil, d.Ready(ctx) },
	} {
		want, wantErr := ask(m)
		asked := m.last()
		got, gotErr := ask(c)
		if asked != m.last() {
			t.Errorf("%s: the daemon was asked for\n%s\nwant\n%s", name, m.last(), asked)
		}
		wantJSON, _ := json.Marshal(want)
		gotJSON, _ := json.Marshal(got)
		if wantErr == nil && !bytes.Equal(wantJSON, gotJSON) && plainLists(string(wantJSON)) != plainLists(string(gotJSON)) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, gotJSON, wantJSON)
		}
		if fmt.Sprint(gotErr) != fmt.Sprint(wantErr) || dirsync.KindOf(gotErr) != dirsync.KindOf(wantErr) || dirsync.HintOf(gotErr) != dirsync.HintOf(wantErr) {
			t.Errorf("%s: got the error %v (%v), want %v (%v)", name, gotErr, dirsync.KindOf(gotErr), wantErr, dirsync.KindOf(wantErr))
		}
	}
}

// plainLists makes empty lists of null ones.
func plainLists(s string) string { return strings.ReplaceAll(s, "null", "[]") }

// TestErrorsCrossTheSocket holds that an error is at the other end what it was.
func TestErrorsCrossTheSocket(t *testing.T) {
	m := newMemory()
	c := dialed(t, &Server{Daemon: m, Now: noon})
	for kind := dirsync.Unavailable; kind <= dirsync.Storage; kind++ {
		for _, want := range []error{
			&dirsync.Error{Op: "approve hold 3", ID: "p1", Kind: kind, Hint: "Do this.", Field: "email", Value: "v", Other: "o", RetryAt: noon().Add(time.Hour), Err: errors.New("it is so")},
			&dirsync.Error{Op: "approve hold 3", Kind: kind},
			fmt.Errorf("staff: %w", &dirsync.Error{Op: "look", ID: "p1", Kind: kind, Err: errors.New("it is so")}),
		} {
			m.fails("Approve", want)
			_, got := c.Approve(t.Context(), Verdict{Hold: 3, Digest: testDigest})
			g, w := asError(t, got), asError(t, want)
			if g.Kind != w.Kind || g.Hint != w.Hint || got.Error() != want.Error() || g.Field != w.Field || g.Value != w.Value || g.Other != w.Other || !g.RetryAt.Equal(w.RetryAt) {
				t.Errorf("got  %+v (%v)\nwant %+v (%v)", g, got, w, want)
			}
		}
	}
	changed := &ChangedError{People: []ChangedPerson{{"p1", "u1", "Ann", "nothing"}}, Count: 30}
	m.fails("Approve", &dirsync.Error{Op: "approve hold 3", Kind: dirsync.Conflict, Err: changed})
	_, err := c.Approve(t.Context(), Verdict{Hold: 3, Digest: testDigest})
	if got, ok := errors.AsType[*ChangedError](err); !ok || !reflect.DeepEqual(got, changed) {
		t.Errorf("got %v, want %v", err, changed)
	}
}

func asError(t *testing.T, err error) *dirsync.Error {
	t.Helper()
	e, ok := errors.AsType[*dirsync.Error](err)
	if !ok {
		t.Fatalf("%v is no *dirsync.Error", err)
	}
	return e
}

// TestNoDaemon holds what tells a command to open the store itself.
func TestNoDaemon(t *testing.T) {
	dir := t.TempDir()
	if _, err := Dial(dir + "/d.sock"); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("no socket: got %v, want ErrNoDaemon", err)
	}
	stale(t, dir+"/stale.sock")
	if _, err := Dial(dir + "/stale.sock"); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("a stale socket: got %v, want ErrNoDaemon", err)
	}
	if _, err := Dial(dir + "/" + strings.Repeat("x", 120)); dirsync.KindOf(err) != dirsync.Invalid || dirsync.HintOf(err) == "" {
		t.Errorf("a long path: got %v, want Invalid with a hint", err)
	}
	if err := os.WriteFile(dir+"/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(dir + "/file"); err == nil {
		t.Error("a plain file: got no error")
	}
}

// TestClientProgress holds that watching begins with how things stand and ends with the context.
func TestClientProgress(t *testing.T) {
	m := newMemory()
	c := dialed(t, &Server{Daemon: m})
	ctx, cancel := context.WithCancel(t.Context())
	first := Progress{Sync: "staff", Run: "7", Phase: "read", Done: 1, Total: 9, Status: "running", At: noon()}
	m.feed.Tell(first)
	news, err := c.Progress(ctx, "staff")
	if err != nil {
		t.Fatal(err)
	}
	if got := <-news; got != first {
		t.Errorf("got %v, want %v", got, first)
	}
	second := first
	second.Done = 2
	m.feed.Tell(second)
	if got := <-news; got != second {
		t.Errorf("got %v, want %v", got, second)
	}
	cancel()
	for range news {
	}
	if _, err := c.Progress(t.Context(), "nobody"); dirsync.KindOf(err) != dirsync.NotFound {
		t.Errorf("got %v, want NotFound", err)
	}
}

// BenchmarkStatus is the whole way of dirsync status through the socket.
func BenchmarkStatus(b *testing.B) {
	c := dialed(b, &Server{Daemon: newMemory(), Metrics: NewMetrics("test")})
	for b.Loop() {
		if _, err := c.Status(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
