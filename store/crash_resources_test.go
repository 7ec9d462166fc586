//go:build linux

package store_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"dirsync"
)

// keepResources has eight callers change resources for ever, each their own and all the same group, and prints every
// answer when it has come: "kept id version document" or "gone id". Before a resource is deleted, it prints "going id". A
// ninth is a sync, whose people have managers; what a client is told of them it prints as "told id version manager".
func (w *writer) keepResources() {
	ctx := context.Background()
	groups, err := w.d.FindResources(ctx, dirsync.KindGroup, dirsync.ByName, "all", 1)
	w.must(err)
	if len(groups) == 0 {
		g, err := w.d.CreateResource(ctx, dirsync.Resource{Kind: dirsync.KindGroup, Name: "all"}, nil)
		w.must(err)
		groups = append(groups, g)
	}
	var mu sync.Mutex
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf(format+"\n", args...)
	}
	for caller := range 8 {
		r := rand.New(rand.NewPCG(w.r.Uint64(), uint64(caller)))
		go func() {
			for {
				w.must(w.keepOne(ctx, r, groups[0].ID, say))
			}
		}()
	}
	for {
		w.must(w.lead(ctx, say))
	}
}

// lead is what the sync does: somebody comes with a manager who may come later, or goes, and somebody is looked at.
func (w *writer) lead(ctx context.Context, say func(string, ...any)) error {
	n := w.r.IntN(60)
	c := dirsync.Change{Kind: []dirsync.ChangeKind{dirsync.Create, dirsync.Create, dirsync.Delete}[w.r.IntN(3)], Person: guid(n),
		After: benchValues(n).With(under(string(guid(w.r.IntN(60)))))}
	if _, err := w.d.Apply(ctx, c); err != nil {
		return err
	}
	a, err := w.d.Lookup(ctx, string(guid(w.r.IntN(60))))
	if dirsync.KindOf(err) == dirsync.NotFound {
		return nil
	}
	r, err2 := w.d.Resource(ctx, dirsync.KindUser, a.ID)
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	manager, _ := r.Values.Get("manager")
	say("told %s %d %s", r.ID, r.Version, cmp.Or(manager.Text, "-"))
	return nil
}

// keepOne is the life of a resource.
func (w *writer) keepOne(ctx context.Context, r *rand.Rand, group string, say func(string, ...any)) error {
	u, err := w.d.CreateResource(ctx, dirsync.Resource{Name: fmt.Sprint(r.Uint64()), Document: []byte("0")}, nil)
	if err != nil {
		return err
	}
	say("kept %s %d %s", u.ID, u.Version, u.Document)
	for n := range r.IntN(5) {
		u, err = w.d.EditResource(ctx, u.Kind, u.ID, func(r dirsync.Resource) (dirsync.ResourceEdit, error) {
			r.Document = fmt.Append(nil, n+1)
			return dirsync.ResourceEdit{Resource: r}, nil
		})
		if err != nil {
			return err
		}
		say("kept %s %d %s", u.ID, u.Version, u.Document)
	}
	g, err := w.d.EditResource(ctx, dirsync.KindGroup, group, func(r dirsync.Resource) (dirsync.ResourceEdit, error) {
		return dirsync.ResourceEdit{Resource: r, Add: []string{u.ID}}, nil
	})
	if err != nil {
		return err
	}
	say("kept %s %d -", g.ID, g.Version)
	say("in %s", u.ID)
	if r.IntN(3) > 0 {
		return nil
	}
	say("going %s", u.ID)
	_, err = w.d.EditResource(ctx, u.Kind, u.ID, func(dirsync.Resource) (dirsync.ResourceEdit, error) {
		return dirsync.ResourceEdit{Delete: true}, nil
	})
	if err == nil {
		say("gone %s", u.ID)
	}
	return err
}

// answers are what a process has answered before it died.
type answers struct {
	version, document, manager map[string]string
	in, going, gone            map[string]bool
}

func (a *answers) read(line string) error {
	var what, id, version, document string
	n, err := fmt.Sscan(line, &what, &id, &version, &document)
	switch {
	case what == "kept" && n == 4:
		a.version[id], a.document[id] = version, document
		return nil
	case what == "told" && n == 4:
		// Nobody else changes them, but who comes and goes: what was told last may have been told of before.
		a.version[id], a.manager[id], a.going[id] = version, document, true
		return nil
	case what == "in" && n == 2:
		a.in[id] = true
		return nil
	case what == "going" && n == 2:
		a.going[id] = true
		return nil
	case what == "gone" && n == 2:
		a.gone[id] = true
		return nil
	default:
		return fmt.Errorf("%q: %w", line, err)
	}
}

// hold checks that everything that was answered is there.
func (a *answers) hold(w *writer) error {
	ctx := context.Background()
	for id, version := range a.version {
		kind := dirsync.KindUser
		if id[0] == 'g' {
			kind = dirsync.KindGroup
		}
		r, err := w.d.Resource(ctx, kind, id)
		switch {
		case dirsync.KindOf(err) == dirsync.NotFound && a.going[id]:
			continue
		case err != nil:
			return err
		case a.gone[id]:
			return fmt.Errorf("%s was deleted, and is there", id)
		}
		var want uint64
		if _, err := fmt.Sscan(version, &want); err != nil {
			return err
		}
		if r.Version < want || r.Version == want && kind == dirsync.KindUser && string(r.Document) != a.document[id] {
			return fmt.Errorf("%s is of version %d and says %q; what was answered is version %d, which says %q", id, r.Version, r.Document, want, a.document[id])
		}
		if told := a.manager[id]; told != "" && r.Version == want {
			if manager, _ := r.Values.Get("manager"); cmp.Or(manager.Text, "-") != told {
				return fmt.Errorf("%s of version %d has the manager %q; what was answered is %q", id, want, manager.Text, told)
			}
		}
		if kind == dirsync.KindUser && a.in[id] {
			in, err := w.d.IsMember(ctx, "g00000001", []string{id})
			if err != nil || !in[0] {
				return fmt.Errorf("%s is in the group: %v and %w", id, in, err)
			}
		}
	}
	return nil
}

// TestKilledWhileAnswering ends a process at random moments that many change resources with. What was answered is there.
func TestKilledWhileAnswering(t *testing.T) {
	a := &answers{version: map[string]string{}, document: map[string]string{}, manager: map[string]string{},
		in: map[string]bool{}, going: map[string]bool{}, gone: map[string]bool{}}
	dies(t, "resources", filepath.Join(t.TempDir(), "dirsync.db"), deaths(), 250*time.Millisecond, a.read, func(_ int, w *writer) error { return a.hold(w) })
	led := 0
	for _, manager := range a.manager {
		if manager != "-" {
			led++
		}
	}
	if len(a.version) < deaths() || len(a.gone) == 0 || len(a.manager) > 50 && (led == 0 || led == len(a.manager)) {
		t.Errorf("got answers about %d resources, %d of which are gone; and about %d with a manager among %d of a sync", len(a.version), len(a.gone), led, len(a.manager))
	}
	t.Logf("%d resources after %d deaths, %d of them gone; %d of %d of a sync have a manager who is there", len(a.version), deaths(), len(a.gone), led, len(a.manager))
}
