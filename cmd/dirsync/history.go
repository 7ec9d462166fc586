package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"dirsync"
	"dirsync/store"
	"dirsync/sync/engine"
)

// look opens the store for reading only and calls fn with it and the names of the syncs.
func (a *app) look(names []string, fn func(*Config, *store.Store, []string) error) error {
	cfg, names, err := a.load(names)
	if err != nil {
		return err
	}
	st, err := a.openStore(cfg, true)
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }() // opened for reading: there is nothing to lose
	return fn(cfg, st, names)
}

func (a *app) historyCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "history [SYNC...]",
		Short: "List the latest runs",
		Long: `history lists the latest runs, newest first. Details of one are shown by
dirsync show RUN.

Exit codes: 0 listed; 1 failed; 2 the command line or the configuration is wrong.`,
		Example: "  dirsync history\n  dirsync history staff --limit 100 -o json",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(args, func(_ *Config, st *store.Store, names []string) error {
				var runs []dirsync.Run
				for _, name := range names {
					of, err := st.Sync(name).Runs(cmd.Context(), 0, limit)
					if err != nil {
						return fmt.Errorf("list the runs: %w", err)
					}
					runs = append(runs, of...)
				}
				slices.SortFunc(runs, func(x, y dirsync.Run) int { return int(y.ID) - int(x.ID) })
				return a.printHistory(runs[:min(len(runs), limit)])
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 20, "how many runs")
	return cmd
}

func (a *app) printHistory(runs []dirsync.Run) error {
	if a.json() {
		view := runsView{Runs: []runView{}}
		for _, r := range runs {
			view.Runs = append(view.Runs, viewRun(r))
		}
		return writeJSON(a.stdout, struct {
			Runs []runView `json:"runs"`
		}{view.Runs})
	}
	if len(runs) == 0 {
		a.printf("There was no run yet. Begin with: dirsync run\n")
		return nil
	}
	now := a.now()
	t := NewTable(a.style, "RUN", "SYNC", "STARTED", "TOOK", "STATUS", "READ", "CREATED", "UPDATED", "DEACTIVATED", "REACTIVATED", "DELETED", "REJECTED", "HELD", "FAILED")
	for _, r := range runs {
		took := ""
		if !r.Ended.IsZero() {
			took = roughly(r.Ended.Sub(r.Started))
		}
		c := r.Counts
		t.Row(int(r.ID), r.Sync, when(r.Started, now), took, painted{statusColor(r.Status), string(r.Status)},
			c.Read, c.Created, c.Updated, c.Deactivated, c.Reactivated, c.Deleted, c.Rejected, c.Held, c.Failed)
	}
	return t.Write(a.stdout)
}

func (a *app) showCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show RUN",
		Short: "Show one run with every change before and after",
		Long: `show prints one run: its figures, what was held back and why, and every planned
change with the values before and after and what came of it. The numbers of the
runs are listed by dirsync history.

Exit codes: 0 shown; 1 failed, or there is no such run; 2 the command line or the
configuration is wrong.`,
		Example: "  dirsync show 12\n  dirsync show 12 -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseUint(args[0], 10, 64)
			if err != nil || id == 0 {
				return usageError("show %q: a run is named by its number; dirsync history lists them", args[0])
			}
			return a.look(nil, func(_ *Config, st *store.Store, names []string) error {
				for _, name := range names {
					runs, err := st.Sync(name).Runs(cmd.Context(), dirsync.RunID(id+1), 1)
					if err != nil {
						return fmt.Errorf("find the run: %w", err)
					}
					if len(runs) == 1 && runs[0].ID == dirsync.RunID(id) {
						return a.printShow(cmd.Context(), st.Sync(name), runs[0])
					}
				}
				return &dirsync.Error{Op: "show run " + args[0], Kind: dirsync.NotFound, Hint: "dirsync history lists the runs that there are."}
			})
		},
	}
}

// printShow streams the changes, of which there may be a million.
func (a *app) printShow(ctx context.Context, s engine.Store, r dirsync.Run) error {
	if a.json() {
		return a.showJSON(ctx, s, r)
	}
	if err := a.printRun(r); err != nil {
		return err
	}
	first := true
	return eachOutcome(ctx, s, r.ID, func(batch []dirsync.Outcome) error {
		if first {
			a.printf("\n")
			first = false
		}
		t := NewTable(a.style, "CHANGE", "USER", "NAME", "RESULT", "WHY", "VALUES")
		for _, o := range batch {
			result := resultOf(o, r)
			if o.Error != "" {
				result += ": " + o.Error
			}
			t.Row(painted{kindColor(o.Change.Kind), o.Change.Kind.String()}, o.Change.User, o.Change.Name, result, o.Change.Why, diff(o.Change))
		}
		return t.Write(a.stdout)
	})
}

// resultOf is what came of a change; the guard's holds stand in the run and not with each person.
func resultOf(o dirsync.Outcome, r dirsync.Run) string {
	for _, h := range r.Holds {
		if o.Result == 0 && o.Change.Dangers()&^o.Change.Asked&h.Kind != 0 {
			return dirsync.HeldBack.String()
		}
	}
	return o.Result.String()
}

func (a *app) showJSON(ctx context.Context, s engine.Store, r dirsync.Run) error {
	changes := []changeView{}
	err := eachOutcome(ctx, s, r.ID, func(batch []dirsync.Outcome) error {
		for _, o := range batch {
			v := viewChange(o.Change)
			v.Result, v.Error = resultOf(o, r), o.Error
			changes = append(changes, v)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return writeJSON(a.stdout, struct {
		Run     runView      `json:"run"`
		Changes []changeView `json:"changes"`
	}{viewRun(r), changes})
}

func eachOutcome(ctx context.Context, s engine.Journal, run dirsync.RunID, fn func([]dirsync.Outcome) error) error {
	const limit = 500
	var after dirsync.PlanKey
	for {
		batch, err := s.Outcomes(ctx, run, after, limit)
		if err != nil {
			return fmt.Errorf("list the changes: %w", err)
		}
		if len(batch) == 0 {
			return nil
		}
		if err := fn(batch); err != nil {
			return err
		}
		last := batch[len(batch)-1].Change
		after = dirsync.PlanKey{Kind: last.Kind, Seq: last.Seq}
	}
}
