package main

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"dirsync"
	"dirsync/sync/engine"
)

// runsView is what programs read of finished runs.
type runsView struct {
	Rejections []rejectionView `json:"rejections"`
	Runs       []runView       `json:"runs"`
}

// runsWriter writes a runsView whose rejections need not fit into memory.
type runsWriter struct {
	w     io.Writer
	runs  []runView
	began bool
	err   error
}

func (o *runsWriter) write(text string) {
	if o.err == nil {
		_, o.err = io.WriteString(o.w, text)
	}
}

// add writes the people who stand rejected after a run, and keeps the run for the end.
func (o *runsWriter) add(ctx context.Context, w *wired, r dirsync.Run) error {
	if o.runs == nil {
		o.write("{\n  \"rejections\": [")
	}
	o.runs = append(o.runs, viewRun(r))
	err := eachRejection(ctx, w.sync, func(v rejectionView) error {
		b, err := indented(v, "    ")
		if err != nil {
			return err
		}
		if o.began {
			o.write(",")
		}
		o.began = true
		o.write("\n    " + b)
		return o.err
	})
	return errors.Join(err, o.err)
}

// close ends the document, if one was begun.
func (o *runsWriter) close() error {
	if o.runs == nil {
		return nil
	}
	b, err := indented(o.runs, "  ")
	if o.began {
		o.write("\n  ")
	}
	o.write("],\n  \"runs\": " + b + "\n}\n")
	return errors.Join(err, o.err)
}

func (a *app) runCommand() *cobra.Command {
	var full bool
	cmd := &cobra.Command{
		Use:   "run [SYNC...]",
		Short: "Read, plan and apply now",
		Long: `run reads what is new in the tenant, plans every person who is owed a change, holds
back destructive changes above the limits, applies the rest and prints what came
of it. People whose change failed before are tried again at once.

It may be interrupted at any moment: what was not done stays owed, and the next
run makes certain of whatever was under way. Without a name, all syncs run, one
after the other.

With --full it also lists the target and puts right what somebody else has changed
there, in the fields that are kept in step; with drift: report in the configuration it
only tells. dirsync compare shows what that would be.
` + exitHelp,
		Example: "  dirsync run\n  dirsync run staff --full -o json",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			out := &runsWriter{w: a.stdout}
			args, err := a.switchedOn(args)
			if err != nil {
				return err
			}
			err = a.each(cmd.Context(), args, func(w *wired) error {
				var r dirsync.Run
				r, err := a.runWith(cmd.Context(), w, engine.Options{AskedBy: "command line", Compare: full, Report: w.config.Drift == ReportDrift})
				if a.json() && r.ID != 0 {
					err = errors.Join(err, out.add(context.WithoutCancel(cmd.Context()), w, r))
				}
				return err
			})
			return errors.Join(err, out.close())
		},
	}
	cmd.Flags().BoolVar(&full, "full", false, "compare the target with what was left there, too")
	return cmd
}

// runOne makes an ordinary run; see runWith.
func (a *app) runOne(ctx context.Context, w *wired, askedBy string) (dirsync.Run, error) {
	return a.runWith(ctx, w, engine.Options{AskedBy: askedBy})
}

// runWith makes one run, and prints it unless programs read the output. People whose change failed before are tried again
// at once. A run that was not a full success gives an exitError. The Run has no ID if none was begun.
func (a *app) runWith(ctx context.Context, w *wired, opts engine.Options) (dirsync.Run, error) {
	opts.RetryNow = true
	progress := newProgress(a.stderr, a.json())
	defer progress.Close()
	if err := w.verify(ctx); err != nil { // before anything is written: is it the tenant that was meant?
		return dirsync.Run{}, err
	}
	tell := a.follow(ctx, w)
	w.engine.Progress = func(p engine.Progress) {
		a.showProgress(progress, p)
		tell(p)
	}
	unbound := boundMemory()
	r, err := w.engine.Run(ctx, opts)
	unbound()
	a.followed(ctx, w, r, err)
	progress.Close()
	if r.ID != 0 && !a.json() {
		if err := a.printRun(r); err != nil {
			return r, err
		}
		rejected, err := rejections(context.WithoutCancel(ctx), w.sync, 20)
		if err != nil {
			return r, err
		}
		if err := a.printRejections(rejected, r.Counts.Rejected); err != nil {
			return r, err
		}
	}
	if err == nil && r.Status != dirsync.Success {
		return r, &exitError{code: exitPartial}
	}
	return r, err
}

// runMemory is what a run's heap stays within, however many people there are: enough for its batches, and little enough
// to sit beside the application. The collector works harder to keep it, which a million people take a few seconds of.
const runMemory = 40 << 20

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
