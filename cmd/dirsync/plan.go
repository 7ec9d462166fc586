package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"dirsync"
	"dirsync/sync/engine"
)

// planView is a plan as programs read it.
type planView struct {
	Sync       string          `json:"sync"`
	Counts     map[string]int  `json:"counts"`
	Holds      []holdView      `json:"holds,omitempty"`
	Changes    []changeView    `json:"changes"`
	Rejections []rejectionView `json:"rejections"`
	Waiting    int             `json:"waiting"`
	Differing  int             `json:"differing"`
}

func (a *app) planCommand() *cobra.Command {
	var limit int
	var noRead bool
	cmd := &cobra.Command{
		Use:   "plan [SYNC...]",
		Short: "Show what run would do, without doing it",
		Long: `plan reads what is new in the tenant and shows every change that a run would make
now: who would be created, updated, deactivated or deleted and which values would
change, who would be rejected and why, and what the limits would hold back.
Nothing is written to the target.

Exit codes: 0 there is a plan and all of it would go through; 1 failed; 2 the
command line or the configuration is wrong; 3 some people would be rejected or
held back.`,
		Example: "  dirsync plan\n  dirsync plan staff --limit 0",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			views := []planView{}
			err := a.each(cmd.Context(), args, func(w *wired) error {
				if !noRead {
					if err := a.read(cmd.Context(), w); err != nil {
						return err
					}
				}
				view, err := a.planOne(cmd.Context(), w, limit)
				views = append(views, view)
				return err
			})
			if a.json() && len(views) > 0 {
				if err := writeJSON(a.stdout, struct {
					Plans []planView `json:"plans"`
				}{views}); err != nil {
					return err
				}
			}
			return err
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "show at most this many changes of each kind; 0 shows all")
	cmd.Flags().BoolVar(&noRead, "no-read", false, "plan from what was read last, without asking the tenant")
	return cmd
}

// read brings the shadow up to the tenant.
func (a *app) read(ctx context.Context, w *wired) error {
	progress := newProgress(a.stderr, a.json())
	defer progress.Close()
	w.engine.Progress = func(p engine.Progress) { progress.Show(phaseWords(p.Phase), p.Done, p.Total) }
	if _, err := w.client.Tenant(ctx); err != nil {
		return err
	}
	_, notes, err := w.engine.Read(ctx)
	progress.Close()
	for _, n := range notes {
		a.note("note: %s", clean(n))
	}
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	return nil
}

// planOne makes the plan of one sync, and prints it for people. Memory holds at most limit changes of a kind.
func (a *app) planOne(ctx context.Context, w *wired, limit int) (planView, error) {
	view := planView{Sync: w.name, Counts: map[string]int{}, Changes: []changeView{}, Rejections: []rejectionView{}}
	shown := map[dirsync.ChangeKind][]dirsync.Change{}
	keep := func(n int) bool { return limit <= 0 || n < limit || a.json() }
	pv, err := w.engine.Plan(ctx, func(_ dirsync.Person, d dirsync.Decision) error {
		switch {
		case d.Change != nil && keep(len(shown[d.Change.Kind])):
			shown[d.Change.Kind] = append(shown[d.Change.Kind], *d.Change)
		case d.Rejection != nil && keep(len(view.Rejections)):
			view.Rejections = append(view.Rejections, viewRejection(*d.Rejection))
		}
		return nil
	})
	if err != nil {
		return view, fmt.Errorf("plan: %w", err)
	}
	view.Holds, view.Waiting, view.Differing = viewHolds(pv.Holds), pv.Waiting, pv.Differing
	for _, kind := range dirsync.ChangeKinds() {
		view.Counts[kind.String()] = pv.Counts[kind]
		for _, c := range shown[kind] {
			view.Changes = append(view.Changes, viewChange(c))
		}
	}
	if !a.json() {
		if err := a.printPlan(w.name, pv, shown); err != nil {
			return view, err
		}
		if err := a.printRejections(view.Rejections, pv.Rejected); err != nil {
			return view, err
		}
	}
	if pv.Rejected > 0 || len(pv.Holds) > 0 {
		return view, &exitError{code: exitPartial}
	}
	return view, nil
}

func (a *app) printPlan(name string, pv engine.Preview, shown map[dirsync.ChangeKind][]dirsync.Change) error {
	total := 0
	t := NewTable(a.style, "CHANGE", "USER", "NAME", "WHY", "VALUES")
	for _, kind := range dirsync.ChangeKinds() {
		total += pv.Counts[kind]
		for _, c := range shown[kind] {
			t.Row(painted{kindColor(kind), kind.String()}, c.User, c.Name, c.Why, diff(c))
		}
		if more := pv.Counts[kind] - len(shown[kind]); more > 0 {
			t.Row(kind.String(), fmt.Sprintf("… and %s more", number(more)))
		}
	}
	if total == 0 {
		a.printf("%s: nothing to do.\n", clean(name))
	} else {
		a.printf("%s: %s planned\n\n", clean(name), counted(total, "change", "changes"))
		if err := t.Write(a.stdout); err != nil {
			return err
		}
	}
	for _, h := range pv.Holds {
		a.printf("\nheld: %s. A run would leave these people as they are.\n", clean(h.Reason))
	}
	if pv.Differing > 0 {
		a.printf("\n%s of these stays different in fields whose updates are off; dirsync test says which.\n",
			counted(pv.Differing, "account", "accounts"))
	}
	if pv.Waiting > 0 {
		a.printf("\n%s for the end of the grace period.\n", counted(pv.Waiting, "deletion waits", "deletions wait"))
	}
	return nil
}

func kindColor(k dirsync.ChangeKind) color {
	switch k {
	case dirsync.Delete, dirsync.Deactivate:
		return red
	case dirsync.Create, dirsync.Reactivate:
		return green
	}
	return yellow
}
