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
	defer func() { _ = a.closeStore(st) }() // opened for reading: there is nothing to lose
	return fn(cfg, st, names)
}

func (a *app) historyCommand() *cobra.Command {
	var limit int
	var exporting bool
	var from string
	var x export
	cmd := &cobra.Command{
		Use:   "history [SYNC...]",
		Short: "List the latest runs",
		Long: `history lists the latest runs, newest first. Details of one are shown by
dirsync show RUN.

With --export it writes every change of every run that is kept, as JSON lines for
programs: one object a change, with the run, who asked for it, the values before and
after, and what came of it. --since and --person choose among them.

Exit codes: 0 listed; 1 failed; 2 the command line or the configuration is wrong.`,
		Example: "  dirsync history\n  dirsync history staff --limit 100 -o json\n" +
			"  dirsync history --export --since 30d > changes.jsonl\n  dirsync history --export --person adele@contoso.com",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if x.since, err = since(from, a.now()); err != nil {
				return err
			}
			switch {
			case exporting:
				return a.exportHistory(cmd.Context(), args, x)
			case from != "" || x.who != "":
				return usageError("--since and --person go with --export")
			}
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
	cmd.Flags().BoolVar(&exporting, "export", false, "write every change as a line of JSON")
	cmd.Flags().StringVar(&from, "since", "", "export changes from this `day` on, or of the last 30d")
	cmd.Flags().StringVar(&x.who, "person", "", "export the changes of this `person` only")
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
	titles := []string{"RUN", "SYNC", "STARTED", "TOOK", "STATUS", "READ", "CREATED", "UPDATED", "DEACTIVATED", "REACTIVATED", "DELETED", "REJECTED", "HELD", "FAILED"}
	grouped := slices.ContainsFunc(runs, func(r dirsync.Run) bool { return r.Groups != nil })
	if grouped {
		titles = append(titles, "GROUPS CHANGED")
	}
	t := NewTable(a.style, titles...)
	for _, r := range runs {
		took := ""
		if !r.Ended.IsZero() {
			took = roughly(r.Ended.Sub(r.Started))
		}
		c := r.Counts
		row := []any{int(r.ID), r.Sync, when(r.Started, now), took, painted{statusColor(r.Status), string(r.Status)},
			c.Read, c.Created, c.Updated, c.Deactivated, c.Reactivated, c.Deleted, c.Rejected, c.Held, c.Failed}
		if r.Groups != nil {
			row = append(row, r.Groups.Counts.Changed())
		}
		t.Row(row...)
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
					r, found, err := findRun(cmd.Context(), st.Sync(name), dirsync.RunID(id))
					if err != nil {
						return fmt.Errorf("find the run: %w", err)
					}
					if found {
						return a.printShow(cmd.Context(), st.Sync(name), r)
					}
				}
				return &dirsync.Error{Op: "show run " + args[0], Kind: dirsync.NotFound, Hint: "dirsync history lists the runs that there are."}
			})
		},
	}
}

// findRun finds a run by its number, or by that of the part of it that was about groups.
func findRun(ctx context.Context, s engine.Journal, id dirsync.RunID) (r dirsync.Run, found bool, err error) {
	// The groups' part begins and ends within its run, so no other run of the sync lies between the two numbers.
	runs, err := s.Runs(ctx, id+1, 1)
	if err != nil || len(runs) == 0 {
		return dirsync.Run{}, false, err
	}
	r = runs[0]
	return r, r.ID == id || r.Groups != nil && r.Groups.Run == id, nil
}

// printShow streams the changes, of which there may be a million.
func (a *app) printShow(ctx context.Context, s *store.Sync, r dirsync.Run) error {
	if a.json() {
		return a.showJSON(ctx, s, r)
	}
	if err := a.printRun(r); err != nil {
		return err
	}
	if g := r.Groups; g != nil {
		if err := a.printOutcomes(ctx, s, s.Groups(), g.Run, g.Holds, "GROUP"); err != nil {
			return err
		}
	}
	return a.printOutcomes(ctx, s, s, r.ID, r.Holds, "USER")
}

// printOutcomes streams the changes of people or of groups that one plan has; those of s name the groups in them.
func (a *app) printOutcomes(ctx context.Context, s *store.Sync, of engine.Journal, run dirsync.RunID, holds []dirsync.Hold, who string) error {
	name, first := groupNames(ctx, s), true
	return eachOutcome(ctx, of, run, func(batch []dirsync.Outcome) error {
		if first {
			a.printf("\n")
			first = false
		}
		titles := []string{"CHANGE", who, "NAME", "RESULT", "WHY", "VALUES"}
		if who == "GROUP" {
			titles[2] = "ID"
		}
		t := NewTable(a.style, titles...)
		for _, o := range batch {
			result := resultOf(o, holds)
			if o.Error != "" {
				result += ": " + o.Error
			}
			c := o.Change
			second := c.Name
			if who == "GROUP" {
				second = string(c.Person)
			}
			t.Row(painted{kindColor(c.Kind), c.Kind.String()}, c.User, second, result, whyWords(c), diff(c, name))
		}
		return t.Write(a.stdout)
	})
}

// resultOf is what came of a change; the guard's holds stand in the run and not with each person.
func resultOf(o dirsync.Outcome, holds []dirsync.Hold) string {
	for _, h := range holds {
		if o.Result == 0 && o.Change.Dangers()&^o.Change.Asked&h.Kind != 0 {
			return dirsync.HeldBack.String()
		}
	}
	return o.Result.String()
}

func (a *app) showJSON(ctx context.Context, s *store.Sync, r dirsync.Run) error {
	view := struct {
		Run          runView      `json:"run"`
		GroupChanges []changeView `json:"group_changes,omitempty"`
		Changes      []changeView `json:"changes"`
	}{Run: viewRun(r)}
	var err error
	if r.Groups != nil {
		if view.GroupChanges, err = outcomeViews(ctx, s.Groups(), r.Groups.Run, r.Groups.Holds); err != nil {
			return err
		}
	}
	if view.Changes, err = outcomeViews(ctx, s, r.ID, r.Holds); err != nil {
		return err
	}
	return writeJSON(a.stdout, view)
}

func outcomeViews(ctx context.Context, s engine.Journal, run dirsync.RunID, holds []dirsync.Hold) ([]changeView, error) {
	changes := []changeView{}
	err := eachOutcome(ctx, s, run, func(batch []dirsync.Outcome) error {
		for _, o := range batch {
			v := viewChange(o.Change)
			v.Result, v.Error = resultOf(o, holds), o.Error
			changes = append(changes, v)
		}
		return nil
	})
	return changes, err
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
