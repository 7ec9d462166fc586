package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"dirsync"
	"dirsync/store"
)

// forgetView is a sync that is forgotten, as programs read it.
type forgetView struct {
	Sync     string `json:"sync"`
	People   int    `json:"people"`
	Accounts int    `json:"accounts"`
	Groups   int    `json:"groups"`
	Done     bool   `json:"done"`
}

func (a *app) forgetCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "forget SYNC",
		Short: "Let go of a sync that the configuration has no more",
		Long: `forget takes everything out of the store that is known of a sync: its people and
groups, its runs, and what it holds back. Its accounts stay as they are, in the directory
and in applications, and no sync keeps them from then on: whoever leaves keeps theirs. In
the directory they can then be changed by hand (users deactivate, users delete), and
another sync of the same tenant takes over those whom it finds.

A sync that the configuration still has is not forgotten. One that only has another name
there is better given its old name back.

It says what it would forget; with --yes it does.

Exit codes: 0 forgotten; 1 failed; 2 the command line or the configuration is wrong;
3 it was shown, and nothing was done.`,
		Example: "  dirsync forget staff\n  dirsync forget staff --yes",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, _, err := a.load(nil)
			if err != nil {
				return err
			}
			if cfg.Syncs[args[0]] != nil {
				return usageError("%s has the sync %s; take it out there first", a.configPath, args[0])
			}
			st, err := a.openStore(cfg, !yes)
			if err != nil {
				return err
			}
			return errors.Join(a.forget(cmd.Context(), cfg, st, args[0], yes), a.closeStore(st))
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do it")
	return cmd
}

func (a *app) forget(ctx context.Context, cfg *Config, st *store.Store, name string, yes bool) error {
	totals, err := st.Sync(name).Totals(ctx)
	if err != nil {
		return err
	}
	groups, err := st.Sync(name).Groups().Totals(ctx)
	if err != nil {
		return err
	}
	if err := a.knows(ctx, cfg, st, name); err != nil {
		return err
	}
	v := forgetView{Sync: name, People: totals.People + totals.Gone, Accounts: totals.Active + totals.Inactive, Groups: groups.Active + groups.Inactive, Done: yes}
	if yes {
		// When it ran is forgotten first: without it a sync only begins anew.
		for _, note := range []string{noteSchedule, noteReading, notePause} {
			if err := st.SetNote(ctx, note+name, nil); err != nil {
				return err
			}
		}
		if err := st.ForgetSync(ctx, name); err != nil {
			return err
		}
	}
	switch {
	case a.json():
		err = writeJSON(a.stdout, v)
	case yes:
		a.printf("%s is forgotten; %s and %s stay, and no sync keeps them.\n", clean(name), counted(v.Accounts, "account", "accounts"), counted(v.Groups, "group", "groups"))
	default:
		a.printf("The store knows %s of %s, with %s and %s. These would stay, and no sync would keep them any more.\n\nNothing was done. dirsync forget %s --yes forgets.\n",
			counted(v.People, "person", "people"), clean(name), counted(v.Accounts, "account", "accounts"), counted(v.Groups, "group", "groups"), clean(name))
	}
	if err == nil && !yes {
		err = &exitError{code: exitPartial}
	}
	return err
}

// knows tells whether the store knows a sync, and which else it could forget.
func (a *app) knows(ctx context.Context, cfg *Config, st *store.Store, name string) error {
	names, err := st.Syncs(ctx)
	if err != nil {
		return err
	}
	var others []string
	for _, n := range names {
		if n == name {
			return nil
		}
		if cfg.Syncs[n] == nil {
			others = append(others, n)
		}
	}
	missing := &dirsync.Error{Op: "forget", Kind: dirsync.NotFound, Err: fmt.Errorf("the store knows no sync %q", name), Hint: "Every sync that it knows is in the configuration."}
	if len(others) > 0 {
		missing.Hint = "It knows these that the configuration does not have: " + strings.Join(others, ", ") + "."
	}
	return missing
}
