package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"dirsync"
	"dirsync/store"
)

// noteFedBy is the note in which the store keeps who fills the directory.
const noteFedBy = "directory/fed_by"

// feedOf is who fills the directory of a store, as the store remembers it; empty if nobody has yet. Whoever is in it, and
// was not made by a SCIM client, was made by a sync.
func feedOf(ctx context.Context, cfg *Config, st *store.Store) (FedBy, error) {
	text, err := st.Note(ctx, noteFedBy)
	if err != nil {
		return "", fmt.Errorf("find out who fills the directory: %w", err)
	}
	directory, err := st.Directory(cfg.Directory.FieldList()...)
	if err != nil {
		return "", err
	}
	users, err := directory.CountResources(ctx, dirsync.KindUser)
	if err != nil {
		return "", err
	}
	groups, err := directory.CountResources(ctx, dirsync.KindGroup)
	switch {
	case err != nil || users+groups == 0:
		return "", err
	case text == nil:
		return FedBySyncs, nil
	}
	return FedBy(text), nil
}

// rightFeed makes sure that the directory is filled by whom the configuration names, before anything is written.
func rightFeed(ctx context.Context, cfg *Config, st *store.Store) error {
	by, err := feedOf(ctx, cfg, st)
	if err != nil {
		return err
	}
	want := FedBy(cfg.Directory.FedBy.String())
	if by == want {
		return nil
	}
	if by == "" {
		return st.SetNote(ctx, noteFedBy, []byte(want)) // Whoever comes first.
	}
	return wrongFeed(by, want)
}

func (a *app) directoryCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "directory",
		Short:   "Decide who fills the embedded directory",
		Example: "  dirsync directory switch scim",
	}
	cmd.AddCommand(a.directorySwitchCommand())
	return cmd
}

// switchView is what a switch does, as programs read it.
type switchView struct {
	From string `json:"from"`
	To   string `json:"to"`
	// Users and Groups are kept, whatever is switched; Owned are those whose owner changes.
	Users       int `json:"users"`
	Groups      int `json:"groups"`
	OwnedUsers  int `json:"owned_users"`
	OwnedGroups int `json:"owned_groups"`
	// ClientGroups are those that no sync has had; counted on the way to syncs only.
	ClientGroups int  `json:"client_groups"`
	Pending      int  `json:"pending"`
	Done         bool `json:"done"`
}

func (a *app) directorySwitchCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "switch scim|syncs",
		Short: "Hand the directory over to SCIM clients, or to syncs",
		Long: `switch changes who fills the embedded directory. The store remembers who does, and
nothing runs while the configuration (directory.fed_by) says otherwise. Write the new
configuration first, stop the daemon, and then switch.

Nobody is deleted, deactivated or changed by it, and every user keeps their id:

  to scim   What a sync knew people by, their object id, becomes their externalId. A
            client finds them by that, or by the userName, which is the e-mail address
            until the client says another one.
  to syncs  Object ids that clients gave as externalId are taken away. The next run of a
            sync takes back whom it had before, and finds the others by their e-mail
            addresses (join). Whom it does not find stays, and is nobody's. A group that
            clients have made becomes the sync's when the sync is to make the same one:
            by the object id that they gave it, or, without one, by its name.

It says how many that are, and asks. Without a terminal it does so with --yes only.

Exit codes: 0 done, or there was nothing to do; 1 failed; 2 the command line or the
configuration is wrong; 3 nobody said yes, and nothing was done.`,
		Example:   "  dirsync directory switch scim\n  dirsync directory switch syncs --yes",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{string(FedBySCIM), string(FedBySyncs)},
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, _, err := a.load(nil)
			if err != nil {
				return err
			}
			to := FedBy(args[0])
			if cfg.Directory.FedBy.String() != args[0] {
				return usageError("%s says directory.fed_by: %s; write %s first, so that everything goes on as you want it", a.configPath, cfg.Directory.FedBy, to)
			}
			st, err := a.openStore(cfg, false)
			if dirsync.KindOf(err) == dirsync.Locked {
				return &dirsync.Error{Op: "switch", Kind: dirsync.Locked, Err: err, Hint: "Stop the daemon first: it may be writing to the directory."}
			}
			if err != nil {
				return err
			}
			return errors.Join(a.switchFeed(cmd.Context(), cfg, st, to, yes), a.closeStore(st))
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do it without asking")
	return cmd
}

// switchFeed says what a switch does, asks, and does it.
func (a *app) switchFeed(ctx context.Context, cfg *Config, st *store.Store, to FedBy, yes bool) error {
	by, err := feedOf(ctx, cfg, st)
	if err != nil {
		return err
	}
	directory, err := st.Directory(cfg.Directory.FieldList()...)
	if err != nil {
		return err
	}
	v := switchView{From: by.String(), To: to.String()}
	if by == "" || by == to {
		v.Done, v.From = true, to.String()
		if err := st.SetNote(ctx, noteFedBy, []byte(to)); err != nil {
			return err
		}
		if a.json() {
			return writeJSON(a.stdout, v)
		}
		a.printf("The directory is filled by %s; there is nothing to hand over.\n", to)
		return nil
	}
	if err := v.count(ctx, directory, to); err != nil {
		return err
	}
	if to == FedBySyncs {
		stray, err := strayGroups(ctx, cfg, st, directory)
		if err != nil {
			return err
		}
		v.ClientGroups = len(stray)
	}
	if !a.json() {
		a.printSwitch(v)
	}
	if v.Pending > 0 {
		return &dirsync.Error{Op: "switch", Kind: dirsync.Conflict, Err: fmt.Errorf("%s of clients wait for approval",
			counted(v.Pending, "deletion or deactivation", "deletions or deactivations")), Hint: "Decide them first: dirsync holds."}
	}
	if yes, err = a.saysYes(ctx, yes, "Hand them over? [y/N] "); err != nil {
		return err
	}
	if yes {
		if err := a.handOver(ctx, cfg, st, directory, to); err != nil {
			return err
		}
		v.Done = true
	}
	if a.json() {
		if err := writeJSON(a.stdout, v); err != nil {
			return err
		}
	} else if yes {
		a.printf("Done: the directory is filled by %s from now on.\n", to)
	} else {
		a.printf("Nothing was done, because nobody said yes; --yes does so unasked.\n")
	}
	if !yes {
		return &exitError{code: exitPartial}
	}
	return nil
}

// handOver does what a switch has said. The note is written last: whatever a crash leaves half done is done again.
func (a *app) handOver(ctx context.Context, cfg *Config, st *store.Store, directory *store.Directory, to FedBy) error {
	if to == FedBySyncs {
		if err := leaveGroups(ctx, cfg, st, directory); err != nil {
			return err
		}
	}
	if err := directory.HandOver(ctx, to == FedBySCIM); err != nil {
		return err
	}
	var err error
	if to == FedBySyncs {
		err = a.reclaim(ctx, cfg, st)
	} else {
		err = st.SetNote(ctx, noteLeftGroups, nil)
	}
	if err != nil {
		return err
	}
	return st.SetNote(ctx, noteFedBy, []byte(to))
}

// reclaim makes the syncs of the directory uncertain of the accounts that they had: whatever clients have made of these, the
// next run makes them again what the source says, and its own. Whoever came meanwhile is joined as on a first run.
func (a *app) reclaim(ctx context.Context, cfg *Config, st *store.Store) error {
	for _, name := range slices.Sorted(maps.Keys(cfg.Syncs)) {
		if !cfg.Syncs[name].To.Directory {
			continue
		}
		for _, part := range []*store.Sync{st.Sync(name), st.Sync(name).Groups()} {
			for after, more := dirsync.Seq(0), true; more; {
				people, err := part.People(ctx, after, pendingAtOnce)
				if err != nil {
					return err
				}
				links := map[dirsync.Seq]dirsync.Link{}
				for _, p := range people {
					if after = p.Seq; !p.Link.IsZero() {
						links[p.Seq] = p.Link.WithDoubt(dirsync.Create)
					}
				}
				if len(links) > 0 {
					err = part.Correct(ctx, links, a.now())
				}
				if err != nil {
					return fmt.Errorf("sync %s: %w", name, err)
				}
				more = len(people) == pendingAtOnce
			}
		}
	}
	return nil
}

// count counts whom a switch is about.
func (v *switchView) count(ctx context.Context, directory dirsync.ResourceStore, to FedBy) error {
	for _, kind := range []dirsync.Kind{dirsync.KindUser, dirsync.KindGroup} {
		total, owned := &v.Users, &v.OwnedUsers
		if kind == dirsync.KindGroup {
			total, owned = &v.Groups, &v.OwnedGroups
		}
		for after := ""; ; {
			page, err := directory.Resources(ctx, kind, after, 0, pendingAtOnce)
			if err != nil {
				return err
			}
			for _, r := range page {
				*total++
				if to == FedBySCIM && r.Source != "" || to == FedBySyncs && isGUID(strings.ToLower(r.ExternalID)) {
					*owned++
				}
				if r.Pending != 0 {
					v.Pending++
				}
			}
			if len(page) < pendingAtOnce {
				break
			}
			after = page[len(page)-1].ID
		}
	}
	return nil
}

func (a *app) printSwitch(v switchView) {
	a.printf("The directory is filled by %s, and will be filled by %s.\n\n", v.From, v.To)
	a.printf("  kept       %s and %s, under the ids that they have\n", counted(v.Users, "user", "users"), counted(v.Groups, "group", "groups"))
	owned := counted(v.OwnedUsers, "user", "users") + " and " + counted(v.OwnedGroups, "group", "groups")
	if v.To == string(FedBySCIM) {
		a.printf("  owner      %s were made by syncs and become free for clients to write\n", owned)
		a.printf("  found by   the object id, which becomes the externalId, or by the e-mail address as userName\n")
		a.printf("  others     were nobody's, and clients can write them already\n")
	} else {
		a.printf("  owner      the next run of a sync takes back whom it had before, and joins whom it finds; others are nobody's\n")
		a.printf("  found by   the e-mail address (join)\n")
		if v.ClientGroups > 0 {
			a.printf("  groups     %s by clients; each becomes the sync's when the sync is to make the same one: that of the object id\n"+
				"             which is its externalId, or, without one, of its name. Until then it stays, with its members, and is nobody's\n",
				counted(v.ClientGroups, "was made", "were made"))
		}
		a.printf("  forgotten  the externalIds of %s that are object ids\n", owned)
	}
	a.printf("\nNobody is deleted, deactivated or changed by this.\n\n")
}

// saysYes asks a question, if there is anybody to be asked.
func (a *app) saysYes(ctx context.Context, yes bool, question string) (bool, error) {
	if yes || a.json() || !isTerminal(os.Stdin) || !isTerminal(a.stdout) {
		return yes, nil
	}
	return a.askYes(ctx, os.Stdin, question)
}
