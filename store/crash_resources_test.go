//go:build linux

package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"dirsync"
)

// keepResources has eight callers change resources for ever, each their own and all the same group, and prints every
// answer when it has come: "kept id version document" or "gone id". Before a resource is deleted, it prints "going id".
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
	select {}
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
	version, document map[string]string
	in, going, gone   map[string]bool
}

func (a *answers) read(line string) error {
	var what, id, version, document string
	n, err := fmt.Sscan(line, &what, &id, &version, &document)
	switch {
	case what == "kept" && n == 4:
		a.version[id], a.document[id] = version, document
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
	path := filepath.Join(t.TempDir(), "dirsync.db")
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 6))
	times := 20
	if testing.Short() {
		times = 4
	}
	a := &answers{map[string]string{}, map[string]string{}, map[string]bool{}, map[string]bool{}, map[string]bool{}}
	for i := range times {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(20+r.IntN(250))*time.Millisecond)
		cmd := child(ctx, "resources", path, i)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		for line, err := lines.ReadString('\n'); err == nil; line, err = lines.ReadString('\n') {
			if err := a.read(line); err != nil { // a line that was cut off has no end
				t.Fatal(err)
			}
		}
		err = cmd.Wait()
		cancel()
		if e, ok := errors.AsType[*exec.ExitError](err); !ok || e.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("the process ended by itself: %v", err)
		}
		w := &writer{path: path}
		if err := w.open(); err != nil {
			t.Fatal(err)
		}
		sound(t, w.s)
		if err := a.hold(w); err != nil {
			t.Fatalf("after %d deaths: %v", i+1, err)
		}
		if err := w.s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(a.version) < times || len(a.gone) == 0 {
		t.Errorf("got answers about %d resources, %d of which are gone", len(a.version), len(a.gone))
	}
	t.Logf("%d resources after %d deaths, %d of them gone", len(a.version), times, len(a.gone))
}
