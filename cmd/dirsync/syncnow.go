package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"dirsync"
	"dirsync/sync/engine"
	"dirsync/web"
)

func (a *app) syncNowCommand() *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use:   "sync-now [SYNC...]",
		Short: "Ask the daemon for a run",
		Long: `sync-now asks the daemon for a run of some syncs, or of all, at once. While a run of
a sync is under way, asking, however often, means one more run after it.

Without a daemon use dirsync run.

Exit codes: 0 asked for; 1 failed, or no daemon is running; 2 the command line or the
configuration is wrong. With --wait they are those of dirsync run: 3 says that some
people were rejected, held back or failed.`,
		Example: "  dirsync sync-now\n  dirsync sync-now staff --wait",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, names, err := a.daemonOf(args)
			if err != nil {
				return err
			}
			defer client.Close()
			return a.syncNow(cmd.Context(), client, names, wait)
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait for the runs, and print what came of them")
	return cmd
}

// daemonOf finds the daemon, and the syncs that are meant.
func (a *app) daemonOf(names []string) (*web.Client, []string, error) {
	cfg, err := LoadConfig(a.configPath)
	if err != nil {
		return nil, nil, err
	}
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(cfg.Syncs))
	}
	client, err := web.Dial(socketPath(cfg))
	if errors.Is(err, web.ErrNoDaemon) {
		return nil, nil, &dirsync.Error{Op: "reach the daemon", Kind: dirsync.Unavailable, Err: errors.New("no daemon is running"),
			Hint: "Start it with dirsync serve, or make a run without it: dirsync run"}
	}
	return client, names, err
}

func (a *app) syncNow(ctx context.Context, client *web.Client, names []string, wait bool) error {
	last := map[string]uint64{}
	for _, name := range names {
		s, err := client.Sync(ctx, name)
		if err != nil {
			return err
		}
		if s.LastRun != nil {
			if last[name], err = strconv.ParseUint(s.LastRun.ID, 10, 64); err != nil {
				return fmt.Errorf("ask the daemon: %q is no run", s.LastRun.ID)
			}
		}
	}
	for _, name := range names {
		if err := client.SyncNow(ctx, name, a.decider()); err != nil {
			return fmt.Errorf("sync %s: %w", name, err)
		}
	}
	if !wait {
		if a.json() {
			return writeJSON(a.stdout, struct {
				Asked []string `json:"asked"`
			}{names})
		}
		for _, name := range names {
			a.printf("%s: a run was asked for\n", clean(name))
		}
		return nil
	}
	var worst error
	var runs []web.Run
	for _, name := range names {
		r, err := a.awaitRun(ctx, client, name, last[name])
		if err != nil {
			return err
		}
		runs = append(runs, r)
		switch dirsync.RunStatus(r.Status) {
		case dirsync.Success:
		case dirsync.PartialSuccess:
			if worst == nil {
				worst = &exitError{code: exitPartial}
			}
		default:
			worst = &exitError{code: exitFailed}
		}
		if !a.json() {
			a.printAwaited(r)
		}
	}
	if a.json() {
		return errors.Join(writeJSON(a.stdout, struct {
			Runs []web.Run `json:"runs"`
		}{runs}), worst)
	}
	return worst
}

// awaitEvery is how often the journal is looked at, in case an event was missed.
const awaitEvery = 2 * time.Second

// awaitRun waits until a run of a sync has ended that began after the one with the number last.
func (a *app) awaitRun(ctx context.Context, client *web.Client, name string, last uint64) (web.Run, error) {
	progress := newProgress(a.stderr, a.json())
	defer progress.Close()
	watched, cancel := context.WithCancel(ctx)
	defer cancel()
	news, err := client.Progress(watched, name)
	if err != nil {
		return web.Run{}, err
	}
	tick := time.NewTicker(awaitEvery)
	defer tick.Stop()
	for {
		runs, err := client.Runs(ctx, name, 0, 10)
		if err != nil {
			return web.Run{}, err
		}
		// The oldest of those that began since is the one that was asked for.
		for _, r := range slices.Backward(runs) {
			if id, err := strconv.ParseUint(r.ID, 10, 64); err == nil && id > last && r.Phase == string(dirsync.PhaseEnded) {
				return r, nil
			}
		}
		select {
		case <-ctx.Done():
			return web.Run{}, ctx.Err()
		case <-tick.C:
		case p, open := <-news:
			if !open {
				news = nil
				continue
			}
			if p.Status == string(dirsync.Running) {
				a.showProgress(progress, engine.Progress{Phase: dirsync.Phase(p.Phase), Done: p.Done, Total: p.Total,
					Parked: p.Parked, Left: time.Duration(p.Left) * time.Second})
			}
		}
	}
}

// printAwaited prints a run as dirsync run does, as far as the API tells.
func (a *app) printAwaited(r web.Run) {
	a.printf("%s: run %s ended as %s in %s\n", clean(r.Sync), clean(r.ID), a.style.paint(statusColor(dirsync.RunStatus(r.Status)), clean(r.Status)),
		roughly(r.Ended.Sub(r.Started)))
	if r.Error != "" {
		a.printf("  error: %s\n", clean(r.Error))
	}
	_ = a.runTable(dirsync.Run{Counts: dirsync.Counts(r.Counts), Groups: groupRunOf(r.Groups)}).Write(a.stdout)
	if r.Status != string(dirsync.Success) {
		a.printf("  dirsync show %s says more\n", clean(r.ID))
	}
}

func groupRunOf(g *web.GroupRun) *dirsync.GroupRun {
	if g == nil {
		return nil
	}
	return &dirsync.GroupRun{Status: dirsync.RunStatus(g.Status), Counts: dirsync.Counts(g.Counts)}
}
