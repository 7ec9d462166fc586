package main

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"dirsync"
	"dirsync/web"
)

// awaitEnd waits until a run of staff has ended that the feed is about to tell of, and returns how it ended.
func awaitEnd(t *testing.T, news <-chan web.Progress) web.Progress {
	t.Helper()
	for p := range news {
		if p.Phase == string(dirsync.PhaseEnded) && p.Run != "" {
			return p
		}
	}
	t.Fatal("the progress ended before the run")
	return web.Progress{}
}

// TestUndoThroughAPI changes people in the tenant, explains one of them, takes the run back and looks at the directory, all of
// it by the typed API of a real daemon.
func TestUndoThroughAPI(t *testing.T) {
	tenant, config := newTenant(t, 30)
	manually(t, config)
	s := serving(t, config)
	client, ctx := s.client(), t.Context()
	syncNow := func() web.Run {
		t.Helper()
		from := s.said()
		if err := client.SyncNow(ctx, "staff", "test"); err != nil {
			t.Fatal(err)
		}
		s.await(from, `"message":"the run has ended"`)
		runs, err := client.Runs(ctx, "staff", 0, 1)
		if err != nil || len(runs) != 1 {
			t.Fatalf("got %v, %v", runs, err)
		}
		return runs[0]
	}
	syncNow()
	moved := candidates(tenant.Users())[:3]
	was := map[string]string{}
	for _, u := range moved {
		was[text(u, "id")] = text(u, "department")
		tenant.Update(text(u, "id"), map[string]any{"department": "Nowhere"})
	}
	bad := syncNow()
	if bad.Counts.Updated != len(moved) {
		t.Fatalf("got %+v", bad)
	}

	x, err := client.Explain(ctx, "staff", text(moved[0], "userPrincipalName"))
	if err != nil || x.Person != text(moved[0], "id") || !strings.Contains(string(x.Held), "Nowhere") || len(x.Changes) != 2 || x.Changes[0].Run != bad.ID {
		t.Errorf("explained as %+v, %v", x, err)
	}
	if _, err := client.Explain(ctx, "staff", "nobody@nowhere"); dirsync.KindOf(err) != dirsync.NotFound {
		t.Errorf("nobody: got %v, want NotFound", err)
	}

	var id dirsync.RunID
	if _, err := fmt.Sscan(bad.ID, &id); err != nil {
		t.Fatal(err)
	}
	preview, err := client.PreviewUndo(ctx, web.Undo{Run: id})
	if err != nil || preview.Total != len(moved) || len(preview.Lines) != len(moved) || preview.Counts["update"] != len(moved) {
		t.Fatalf("the preview is %+v, %v", preview, err)
	}
	if _, err := client.Undo(ctx, web.Undo{Run: id, Digest: strings.Repeat("0", 64), By: "ann"}); dirsync.KindOf(err) != dirsync.Conflict {
		t.Errorf("another list: got %v, want Conflict", err)
	}
	news, err := client.Progress(ctx, "staff")
	if err != nil {
		t.Fatal(err)
	}
	from := s.said()
	undone, err := client.Undo(ctx, web.Undo{Run: id, Digest: preview.Digest, By: "ann", Why: "they have not moved"})
	if err != nil || undone.Undoes != bad.ID {
		t.Fatalf("got %+v, %v", undone, err)
	}
	s.await(from, `"message":"the run has ended"`)
	for p := awaitEnd(t, news); p.Run != undone.ID; p = awaitEnd(t, news) {
	}
	for _, u := range moved {
		x, err := client.Explain(ctx, "staff", text(u, "id"))
		if want := was[text(u, "id")]; err != nil || !strings.Contains(string(x.Held), want) || strings.Contains(string(x.Held), "Nowhere") {
			t.Errorf("afterwards: %s, %v, want %s", x.Held, err, want)
		}
	}
	if code := s.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit %d", code)
	}
	if runs := journal(t, config); len(runs) != 3 || !strings.Contains(runs[0].AskedBy, "ann") {
		t.Errorf("the journal has %+v", runs)
	}
}

// stepsSeen is a standard error that is shown steps.
type stepsSeen struct {
	bytes.Buffer
	phases []string
}

func (s *stepsSeen) Step(step web.Step) {
	if !slices.Contains(s.phases, step.Phase) {
		s.phases = append(s.phases, step.Phase)
	}
}

// TestStepsThroughSocket has the daemon make a run for somebody at a terminal, who is shown how far it has come.
func TestStepsThroughSocket(t *testing.T) {
	_, config := newTenant(t, 300)
	manually(t, config)
	s := serving(t, config)
	var seen stepsSeen
	code, err := s.client().Exec(t.Context(), web.Command{Args: []string{"run", "-c", config}}, io.Discard, &seen)
	if err != nil || code != exitPartial {
		t.Fatalf("exit %d, %v: %s", code, err, seen.String())
	}
	for _, phase := range []dirsync.Phase{dirsync.PhaseRead, dirsync.PhasePlan, dirsync.PhaseApply} {
		if !slices.Contains(seen.phases, phaseWords(phase)) {
			t.Errorf("%s is not among the phases %v", phaseWords(phase), seen.phases)
		}
	}
	if strings.Contains(seen.String(), phaseWords(dirsync.PhaseRead)) {
		t.Errorf("steps are written as lines, too: %s", seen.String())
	}
	s.stop(syscall.SIGTERM)
}

// TestShownHere holds that what is shown of a command in the daemon is out of the way before its output is written.
func TestShownHere(t *testing.T) {
	var out bytes.Buffer
	here := &shownHere{a: newApp(&out, &out)}
	here.Step(web.Step{Phase: "reading", Done: 5, Total: 9})
	fmt.Fprintln(besides{here, &out}, "a table")
	here.Step(web.Step{Phase: "applying", Done: 2})
	fmt.Fprintln(here, "a note")
	here.end()
	if got := strings.Join(strings.Fields(out.String()), " "); got != "reading: 5 of 9 in 0 s a table applying: 2 in 0 s a note" {
		t.Errorf("got %q", got)
	}
}

// TestPathsOfSockets keeps the API beside the store, wherever that is.
func TestPathsOfSockets(t *testing.T) {
	cfg := &Config{}
	cfg.Store.Path = filepath.FromSlash("/srv/x/people.db")
	if got, want := socketPath(cfg), filepath.FromSlash("/srv/x/dirsync.sock"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
