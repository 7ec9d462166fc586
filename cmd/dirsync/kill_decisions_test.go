package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"dirsync"
	"dirsync/graph/graphtest"
	"dirsync/store"
)

// TestKillDecisions kills whoever decides, too: approvals and undoings besides runs, with limits that hold nearly
// everything, a directory in which some people had accounts before, and deletions that wait for the end of their grace
// period. Through all of it the store is whole, and whoever was never deleted nor blocked keeps their account; once
// everything is approved the directory is what the tenant says.
func TestKillDecisions(t *testing.T) {
	w, config, rnd := decisionWorld(t)
	lengths := map[string]time.Duration{"run": time.Second, "approve": 200 * time.Millisecond, "undo": 200 * time.Millisecond}
	hits, did := 0, map[string]int{}
	for tries := 0; hits < *kills/2; tries++ {
		if tries > 20**kills+20 {
			t.Fatalf("only %d of %d processes were still running when they were to be killed", hits, tries)
		}
		w.change(rnd, 200)
		verb, args := w.decision(rnd, config)
		after := time.Minute // one in three comes to its end, or there would be nothing to decide
		if rnd.IntN(3) > 0 {
			after = time.Duration(rnd.Int64N(int64(lengths[verb])))
		}
		killed, took := killVerb(t, after, append([]string{verb, "-c", config}, args...)...)
		if killed {
			hits++
			did["killed "+verb]++
		} else {
			did[verb]++
			lengths[verb] = took + time.Millisecond
		}
		w.check()
	}
	t.Logf("%v", did)
	w.settle(config)
	w.check()
	w.compare()
}

// decisionWorld is a tenant of a few hundred people, of whom some have accounts before the first run.
func decisionWorld(t *testing.T) (*killWorld, string, *rand.Rand) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	tenant := &graphtest.Tenant{}
	tenant.Generate(300, 1)
	server := start(t, tenant)
	dir := t.TempDir()
	config := setUp(t, dir, server.URL, server.CA, tenant.Identity())
	w := &killWorld{t: t, tenant: tenant, path: filepath.Join(dir, "dirsync.db"), safe: map[string]bool{}, accounts: map[dirsync.ID]string{}, phases: map[dirsync.Phase]int{}}
	for i, u := range candidates(tenant.Users()) {
		w.ids = append(w.ids, text(u, "id"))
		w.safe[text(u, "id")] = i%2 == 0
	}
	b, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, "    limits: { deactivations: { count: 1, floor: 0 }, blankings: { count: 2, floor: 0 } }\n"...)
	if err := os.WriteFile(config, b, 0o600); err != nil {
		t.Fatal(err)
	}
	w.open(func(_ *store.Store, d *store.Directory) {
		for _, u := range candidates(tenant.Users())[:20] {
			v := dirsync.Values{}.Set(dirsync.EmailAddress, dirsync.Value{Type: dirsync.Email, Text: text(u, "mail")}).
				Set(dirsync.FirstName, dirsync.Value{Type: dirsync.Text, Text: "Before"}).Set(dirsync.LastName, dirsync.Value{Type: dirsync.Text, Text: "Us"})
			if _, err := d.Apply(t.Context(), dirsync.Change{Kind: dirsync.Create, After: v}); err != nil {
				t.Fatal(err)
			}
		}
	})
	return w, config, rand.New(rand.NewPCG(seed, 0))
}

// decision picks what to do next: a run, mostly, or something about an open hold, or taking back the newest run for some
// of those who are not safe.
func (w *killWorld) decision(rnd *rand.Rand, config string) (verb string, args []string) {
	w.t.Helper()
	switch rnd.IntN(6) {
	case 0, 3:
		if holds := w.openHolds(config); len(holds) > 0 {
			return "approve", []string{holds[rnd.IntN(len(holds))]}
		}
	case 1, 2:
		if args := w.undoing(rnd, config); args != nil {
			return "undo", args
		}
	}
	return "run", nil
}

func (w *killWorld) openHolds(config string) []string {
	w.t.Helper()
	var view struct {
		Holds []struct {
			Hold string `json:"hold"`
		} `json:"holds"`
	}
	w.ask(&view, "holds", "-c", config, "-o", "json")
	var names []string
	for _, h := range view.Holds {
		names = append(names, h.Hold)
	}
	return names
}

// undoing previews the taking back of the newest run, and returns the arguments that confirm it.
func (w *killWorld) undoing(rnd *rand.Rand, config string) []string {
	w.t.Helper()
	run, people := dirsync.RunID(0), []string(nil)
	w.open(func(st *store.Store, _ *store.Directory) {
		for range 100 {
			id := w.ids[rnd.IntN(len(w.ids))]
			// Whoever is gone and taken back has an account for good: nothing new is ever said of them.
			p, err := st.Sync("staff").Person(w.t.Context(), dirsync.ID(id))
			if err == nil && p.Gone == dirsync.Present && !w.safe[id] {
				people = append(people, id)
			}
		}
		if runs, err := st.Sync("staff").Runs(w.t.Context(), 0, 5); err == nil && len(runs) > 0 {
			run = runs[rnd.IntN(len(runs))].ID
		}
	})
	if run == 0 || people == nil {
		return nil
	}
	args := append([]string{fmt.Sprint(run)}, people...)
	var view struct {
		Undo struct {
			Confirm string `json:"confirm"`
		} `json:"undo"`
	}
	if !w.tryAsk(&view, append([]string{"undo", "-c", config, "-o", "json"}, args...)...) || view.Undo.Confirm == "" {
		return nil // nothing of that run was about them
	}
	return append(args, "--confirm", view.Undo.Confirm)
}

// settle makes everybody's record new, so that no decision about them stands, and approves whatever is held.
func (w *killWorld) settle(config string) {
	w.t.Helper()
	for i, u := range w.tenant.Users() {
		w.tenant.Update(text(u, "id"), map[string]any{"displayName": fmt.Sprint("Settled ", i)})
	}
	for range 8 {
		if killed, _ := killVerb(w.t, time.Minute, "run", "-c", config); killed {
			w.t.Fatal("a run without a kill took more than a minute")
		}
		for _, name := range w.openHolds(config) {
			if killed, _ := killVerb(w.t, time.Minute, "approve", "-c", config, name); killed {
				w.t.Fatal("an approval without a kill took more than a minute")
			}
		}
	}
}

// ask runs a command and reads its JSON.
func (w *killWorld) ask(to any, args ...string) {
	w.t.Helper()
	if !w.tryAsk(to, args...) {
		w.t.Fatalf("%q failed", args)
	}
}

func (w *killWorld) tryAsk(to any, args ...string) bool {
	w.t.Helper()
	out, err := child(w.t, args...).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == exitFailed {
		return false
	}
	if err := json.Unmarshal(out, to); err != nil {
		w.t.Fatalf("%q: %v\n%s", args, err, out)
	}
	return true
}

// killVerb starts a command and kills it some time later. It returns whether it was killed, and if not how long it took.
func killVerb(t *testing.T, after time.Duration, args ...string) (killed bool, took time.Duration) {
	t.Helper()
	cmd := child(t, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	deadline, cancel := context.WithTimeout(t.Context(), after)
	defer cancel()
	var err error
	select {
	case err = <-ended:
	case <-deadline.Done():
		_ = cmd.Process.Signal(syscall.SIGKILL)
		err, killed = <-ended, true
	}
	// A decision may be refused, because the world has changed since it was offered.
	exit := (*exec.ExitError)(nil)
	refused := args[0] != "run" && errors.As(err, &exit) && exit.ExitCode() == exitFailed
	if !killed && err != nil && !refused && !(errors.As(err, &exit) && exit.ExitCode() == exitPartial) {
		t.Fatalf("%q: %v\n%s", args, err, out.String())
	}
	return killed, time.Since(began)
}
