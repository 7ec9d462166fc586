package main

import (
	"context"
	"testing"

	"dirsync"
)

// meanwhile is a store in which something else happens right before or right after an edit.
type meanwhile struct {
	dirsync.ResourceStore
	before, after func()
}

func (m *meanwhile) EditResource(ctx context.Context, kind dirsync.Kind, id string, fn func(dirsync.Resource) (dirsync.ResourceEdit, error)) (dirsync.Resource, error) {
	before, after := m.before, m.after
	m.before, m.after = nil, nil
	if before != nil {
		before()
	}
	r, err := m.ResourceStore.EditResource(ctx, kind, id, fn)
	if after != nil {
		after()
	}
	return r, err
}

// watched puts a store in which something else happens under the server.
func (r *pushRig) watched() *meanwhile {
	r.t.Helper()
	m := &meanwhile{ResourceStore: r.resources}
	r.resources, r.guard.resources = m, m
	cfg, err := LoadConfig(r.config)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.configure(cfg); err != nil {
		r.t.Fatal(err)
	}
	return m
}

// TestDecidedWhileAskedAgain: what a client asks for while a hold is being decided is not a part of the decision, and is not
// forgotten either.
func TestDecidedWhileAskedAgain(t *testing.T) {
	const none = "    when_deleted: delete\n    limits: { deletes: { count: 0 }, deactivations: { count: 0 } }\n"
	t.Run("the same again, behind the decision", func(t *testing.T) {
		r := newPushRig(t, none)
		id := r.people("a", 1)[0]
		r.do(204, "DELETE", "/Users/"+id, "")
		m := r.watched()
		m.after = func() { r.do(204, "DELETE", "/Users/"+id, "") }
		if n, err := r.decide(false); n != 1 || err != nil {
			t.Fatalf("got %d, %v", n, err)
		}
		r.look()
		if got, want := r.pending(dirsync.KindUser, id)+"; "+r.held(), "waits to delete; 2 1 deletion of 1"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
	t.Run("something graver, in front of the decision", func(t *testing.T) {
		r := newPushRig(t, none)
		id := r.people("a", 1)[0]
		r.do(200, "PATCH", "/Users/"+id, setInactive)
		m := r.watched()
		m.before = func() { r.do(204, "DELETE", "/Users/"+id, "") }
		if _, err := r.decide(true); err != nil {
			t.Fatal(err)
		}
		r.look()
		if got, want := r.pending(dirsync.KindUser, id)+"; "+r.held(), "waits to delete; 2 1 deletion of 1"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}
