package main

import (
	"context"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"dirsync"
	"dirsync/sync/engine"
)

// runsView is what programs read of finished runs.
type runsView struct {
	Runs       []runView       `json:"runs"`
	Rejections []rejectionView `json:"rejections"`
}

func (a *app) runCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "run [SYNC...]",
		Short: "Read, plan and apply now",
		Long: `run reads what is new in the tenant, plans every person who is owed a change, holds
back destructive changes above the limits, applies the rest and prints what came
of it. People whose change failed before are tried again at once.

It may be interrupted at any moment: what was not done stays owed, and the next
run makes certain of whatever was under way. Without a name, all syncs run, one
after the other.
` + exitHelp,
		Example: "  dirsync run\n  dirsync run staff -o json",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			view := runsView{Runs: []runView{}, Rejections: []rejectionView{}}
			err := a.each(cmd.Context(), args, func(w *wired) error {
				return a.runOne(cmd.Context(), w, "command line", &view)
			})
			if a.json() && len(view.Runs) > 0 {
				if err := writeJSON(a.stdout, view); err != nil {
					return err
				}
			}
			return err
		},
	}
}

// runOne makes one run, prints it, or adds it to view for programs. A run that was not a full success gives an
// exitError.
func (a *app) runOne(ctx context.Context, w *wired, askedBy string, view *runsView) error {
	progress := newProgress(a.stderr, a.json())
	w.engine.Progress = func(p engine.Progress) { progress.Show(phaseWords(p.Phase), p.Done, p.Total) }
	defer progress.Close()
	if _, err := w.client.Tenant(ctx); err != nil { // before anything is written: is it the tenant that was meant?
		return err
	}
	unbound := boundMemory()
	r, err := w.engine.Run(ctx, engine.Options{AskedBy: askedBy, RetryNow: true})
	unbound()
	progress.Close()
	if r.ID == 0 {
		return err
	}
	limit := 20
	if a.json() {
		limit = 0
	}
	rejected, listErr := rejections(context.WithoutCancel(ctx), w.sync, limit)
	if err == nil {
		err = listErr
	}
	if a.json() {
		view.Runs = append(view.Runs, viewRun(r))
		view.Rejections = append(view.Rejections, rejected...)
	} else {
		if err := a.printRun(r); err != nil {
			return err
		}
		if err := a.printRejections(rejected, r.Counts.Rejected); err != nil {
			return err
		}
	}
	if err == nil && r.Status != dirsync.Success {
		return &exitError{code: exitPartial}
	}
	return err
}

// runMemory is what a run's heap stays within, however many people there are: enough for its batches, and little enough
// to sit beside the application. The collector works harder to keep it, which a million people take a few seconds of.
const runMemory = 44 << 20

// boundMemory bounds the heap until the function that it returns is called, unless whoever started the process has an
// opinion of their own.
func boundMemory() (unbound func()) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	was := debug.SetMemoryLimit(runMemory)
	return func() { debug.SetMemoryLimit(was) }
}

func phaseWords(p dirsync.Phase) string {
	switch p {
	case dirsync.PhaseRead:
		return "reading"
	case dirsync.PhasePlan:
		return "planning"
	default:
		return "applying"
	}
}
