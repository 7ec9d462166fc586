package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"dirsync"
)

// readView is what came of reading one sync, as programs read it.
type readView struct {
	Sync string `json:"sync"`
	// Read says that the tenant was read; if not, the last reading is young enough.
	Read bool `json:"read"`
	// Users and Groups count the records that came.
	Users  int  `json:"users"`
	Groups *int `json:"groups,omitempty"`
	// Owed are the people whom the next run looks at.
	Owed int `json:"owed"`
	// Completed is when the last complete reading ended, Due when the next is due, and TokensDie when the tenant forgets
	// where it ended.
	Completed time.Time `json:"completed,omitzero"`
	Due       time.Time `json:"due,omitzero"`
	TokensDie time.Time `json:"tokens_die,omitzero"`
}

func (a *app) readCommand() *cobra.Command {
	var now bool
	cmd := &cobra.Command{
		Use:   "read [SYNC...]",
		Short: "Read what is new in the tenant, and change nobody",
		Long: `read brings what dirsync knows of the tenant up to date and writes nothing to any
target; a run does so later, from what was read. It is for a timer between runs that
are far apart: Microsoft Graph forgets after seven days where a reading ended, and
then everybody has to be read again.

It reads the syncs whose last complete reading is older than their read_every, and
with --now all of them.

Exit codes: 0 read, or not due yet; 1 failed; 2 the command line or the configuration
is wrong.`,
		Example: "  dirsync read\n  dirsync read staff --now -o json",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			views := []readView{}
			args, err := a.switchedOn(args)
			if err != nil {
				return err
			}
			err = a.each(cmd.Context(), args, func(w *wired) error {
				v, err := a.readOne(cmd.Context(), w, now)
				if err == nil {
					views = append(views, v)
				}
				return err
			})
			if a.json() && len(views) > 0 {
				err = errors.Join(err, writeJSON(a.stdout, map[string]any{"reads": views}))
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&now, "now", false, "read even if the last reading is young enough")
	return cmd
}

// readOne reads one sync if its reading is due, and prints what came of it for people.
func (a *app) readOne(ctx context.Context, w *wired, now bool) (readView, error) {
	v := readView{Sync: w.name}
	before, err := w.readings(ctx)
	if err != nil {
		return v, err
	}
	if v.Read = now || before.due(time.Duration(w.config.ReadEvery), a.now()); v.Read {
		if err := a.read(ctx, w); err != nil {
			return v, err
		}
	}
	after, err := w.readings(ctx)
	if err != nil {
		return v, err
	}
	v.Users = after.users.Fresh - before.users.Fresh
	if after.groups != nil {
		n := after.groups.Fresh - before.groups.Fresh
		v.Groups = &n
	}
	totals, err := w.sync.Totals(ctx)
	if err != nil {
		return v, fmt.Errorf("count who is owed: %w", err)
	}
	v.Owed, v.Completed = totals.Owed, after.completed()
	v.Due = v.Completed.Add(time.Duration(w.config.ReadEvery))
	if w.tenant() != nil {
		v.TokensDie = v.Completed.Add(tokenLife)
	}
	if !a.json() {
		a.printRead(v)
	}
	return v, nil
}

func (a *app) printRead(v readView) {
	now := a.now()
	if !v.Read {
		a.printf("%s: read %s, which is young enough; due again %s. --now reads at once.\n", clean(v.Sync), when(v.Completed, now), when(v.Due, now))
		return
	}
	records := counted(v.Users, "record of users", "records of users")
	if v.Groups != nil {
		records += fmt.Sprintf(" and %s of groups", number(*v.Groups))
	}
	a.printf("%s: read %s. The next run looks at %s. Due again %s", clean(v.Sync), records, counted(v.Owed, "person", "people"), when(v.Due, now))
	if !v.TokensDie.IsZero() {
		a.printf("; the tenant forgets where this ended %s, on %s", when(v.TokensDie, now), stamp(v.TokensDie, now.Location()))
	}
	a.printf(".\n")
}

// readings are where a sync's readings stand.
type readings struct {
	users dirsync.ReadState
	// groups is nil where no groups are read.
	groups *dirsync.ReadState
}

func (w *wired) readings(ctx context.Context) (readings, error) {
	return readingsOf(ctx, w.config, w.sync)
}

// completed is when the older of the readings was completed; zero when one never was.
func (r readings) completed() time.Time {
	if r.groups != nil && r.groups.Completed.Before(r.users.Completed) {
		return r.groups.Completed
	}
	return r.users.Completed
}

// due tells whether it is time to read: never read, broken off, or too long ago.
func (r readings) due(every time.Duration, now time.Time) bool {
	unfinished := func(s dirsync.ReadState) bool { return s.Open || s.Confirming }
	return r.completed().IsZero() || unfinished(r.users) || r.groups != nil && unfinished(*r.groups) || now.Sub(r.completed()) >= every
}

// tokenLife is how long Microsoft Graph keeps the place where a reading of users or groups has ended (Graph document "Use
// delta query to track changes in Microsoft Graph data").
const tokenLife = 7 * 24 * time.Hour
