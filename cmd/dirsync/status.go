package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"dirsync"
	"dirsync/store"
)

// statusView is where a sync stands, as programs read it.
type statusView struct {
	Sync      string `json:"sync"`
	People    int    `json:"people"`
	Gone      int    `json:"gone"`
	Active    int    `json:"active"`
	Inactive  int    `json:"inactive"`
	Rejected  int    `json:"rejected"`
	Owed      int    `json:"owed"`
	Failing   int    `json:"failing"`
	Differing int    `json:"differing"`
	safetyTotals
	scheduleView
	LastRead    time.Time `json:"last_read,omitzero"`
	Reading     bool      `json:"reading_unfinished"`
	LastRun     *runView  `json:"last_run,omitempty"`
	LastSuccess time.Time `json:"last_success,omitzero"`
	// Readings are of users and, where they are read, of groups.
	Readings []readingView `json:"readings"`
	// Groups counts the groups that were read, where the sync reads any.
	Groups *groupTotals `json:"groups,omitempty"`
	// Chosen are the groups that the configuration names.
	Chosen []chosenView `json:"chosen_groups,omitempty"`
	status dirsync.RunStatus
	every  Duration
}

// groupTotals count a sync's groups: those at the source, those that were there once, and those in the target.
type groupTotals struct {
	Read   int `json:"read"`
	Gone   int `json:"gone"`
	Linked int `json:"linked"`
	Owed   int `json:"owed"`
}

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status [SYNC...]",
		Short: "Show where each sync stands",
		Long: `status shows, for each sync, how its last run ended and when one last ended well,
how many people and accounts there are, and how many people are rejected, owed a
change or failing; what is held and waits for a decision, whose account is deleted
when a grace period ends, and who stays as they are; how old its readings are and when
the tenant forgets where they ended; and what became of the groups that the
configuration names. Of the SCIM server it shows where it listens, who fills the
directory, when its certificate ends, what was answered since the start, what is held,
and the last request of each token.

Exit codes: 0 the last run of every sync was a success; 1 failed, or the last run
of some sync was a failure; 2 the command line or the configuration is wrong;
3 some people are rejected, held or failing, or there was no run yet.`,
		Example: "  dirsync status\n  dirsync status -o json",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(args, func(cfg *Config, st *store.Store, names []string) error {
				if err := a.noteForsaken(cmd.Context(), cfg, st); err != nil {
					return err
				}
				views := []statusView{}
				for _, name := range names {
					v, err := a.status(cmd.Context(), cfg, st, name)
					if err != nil {
						return fmt.Errorf("status of %s: %w", name, err)
					}
					views = append(views, v)
				}
				push, err := a.statusOfPushing(cmd.Context(), cfg, st)
				if err != nil {
					return fmt.Errorf("status of the SCIM server: %w", err)
				}
				if err := a.printStatus(views, push); err != nil {
					return err
				}
				return statusCode(views, push)
			})
		},
	}
}

func (a *app) status(ctx context.Context, cfg *Config, st *store.Store, name string) (statusView, error) {
	s, v := st.Sync(name), statusView{Sync: name}
	t, err := s.Totals(ctx)
	if err != nil {
		return v, err
	}
	v.People, v.Gone, v.Active, v.Inactive, v.Rejected, v.Owed, v.Failing, v.Differing = t.People, t.Gone, t.Active, t.Inactive, t.Rejected, t.Owed, t.Failing, t.Differing
	if v.safetyTotals, err = a.statusOfSafety(ctx, s, t); err != nil {
		return v, err
	}
	if err := a.statusOfReadings(ctx, cfg, s, &v); err != nil {
		return v, err
	}
	if v.scheduleView, err = statusOfSchedule(ctx, cfg.Syncs[name], st, name); err != nil {
		return v, err
	}
	runs, err := s.Runs(ctx, 0, 500)
	if err != nil {
		return v, err
	}
	if len(runs) > 0 {
		last := viewRun(runs[0])
		v.LastRun, v.status = &last, runs[0].Status
	}
	for _, r := range runs {
		if r.Status == dirsync.Success || r.Status == dirsync.PartialSuccess {
			v.LastSuccess = r.Ended
			break
		}
	}
	return v, nil
}

func (a *app) printStatus(views []statusView, push *feedStatus) error {
	if a.json() {
		return writeJSON(a.stdout, struct {
			Syncs []statusView `json:"syncs"`
			SCIM  *feedStatus  `json:"scim,omitempty"`
		}{views, push})
	}
	if len(views) == 0 {
		return a.printPushing(push)
	}
	now := a.now()
	t := NewTable(a.style, "SYNC", "LAST RUN", "STATUS", "PEOPLE", "ACTIVE", "INACTIVE", "REJECTED", "OWED", "FAILING")
	for _, v := range views {
		began, word := "never", painted{yellow, "no run yet"}
		if v.LastRun != nil {
			began, word = when(v.LastRun.Started, now), painted{statusColor(v.status), string(v.status)}
		}
		t.Row(v.Sync, began, word, v.People, v.Active, v.Inactive, v.Rejected, v.Owed, v.Failing)
	}
	if err := t.Write(a.stdout); err != nil {
		return err
	}
	if err := a.printReadings(views); err != nil {
		return err
	}
	for _, v := range views {
		a.printParked(v)
		a.printSchedule(v)
		a.printSafety(v)
		a.printDiffering(v.Sync, v.Differing)
		if v.status == dirsync.Failure {
			a.printf("\n%s: the last run failed: %s\n", clean(v.Sync), clean(v.LastRun.Error))
			if v.LastSuccess.IsZero() {
				a.printf("  no run has ended well yet\n")
			} else {
				a.printf("  the last run that changed what it could ended %s\n", when(v.LastSuccess, now))
			}
		}
	}
	if push != nil {
		a.printf("\n")
	}
	return a.printPushing(push)
}

// printParked says until when a run waits, and about how long it takes then, which only the daemon that makes it knows.
func (a *app) printParked(v statusView) {
	if v.LastRun == nil || v.status != dirsync.Running || v.LastRun.Parked.IsZero() {
		return
	}
	var left time.Duration
	if a.host != nil {
		if p, known := a.host.feed.Last(v.Sync); known {
			left = time.Duration(p.Left) * time.Second
		}
	}
	words, _ := waitWords(v.LastRun.Parked, left, a.now())
	a.printf("\n%s: the run %s\n", clean(v.Sync), words)
}

// printDiffering says how many accounts differ from the source because the configuration wants it so.
func (a *app) printDiffering(sync string, n int) {
	if n > 0 {
		a.printf("\n%s: %s from the source in fields whose updates are off; dirsync test says which.\n",
			clean(sync), counted(n, "account differs", "accounts differ"))
	}
}

func statusCode(views []statusView, push *feedStatus) error {
	code := exitOK
	if push != nil && len(push.Holds) > 0 {
		code = exitPartial
	}
	for _, v := range views {
		switch {
		case v.Off && v.status != dirsync.Failure: // nothing is expected of it
		case v.status == dirsync.Success && len(v.Holds) == 0:
		case v.status == dirsync.Failure:
			return &exitError{code: exitFailed}
		default:
			code = exitPartial
		}
	}
	if code == exitOK {
		return nil
	}
	return &exitError{code: code}
}
