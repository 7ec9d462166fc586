package main

import (
	"context"
	"fmt"

	"dirsync/store"
)

// forsaken says which syncs of the store, among those that have accounts, the configuration does not name. A sync that was
// given another name looks like that, and so does one that was taken away: in both cases nobody keeps its accounts in step
// any more, and who has left since is never noticed.
func forsaken(ctx context.Context, cfg *Config, st *store.Store) ([]string, error) {
	names, err := st.Syncs(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, name := range names {
		if cfg.Syncs[name] != nil {
			continue
		}
		totals, err := st.Sync(name).Totals(ctx)
		if err != nil {
			return nil, err
		}
		if n := totals.Active + totals.Inactive; n > 0 {
			out = append(out, fmt.Sprintf("the store knows a sync %q with %s, which the configuration does not have: nobody keeps them in step. "+
				"If it only has another name now, give it the old one back; under a new name it begins anew, and never notices who has left meanwhile. "+
				"dirsync forget %s lets go of it.", name, counted(n, "account", "accounts"), name))
		}
	}
	return out, nil
}

// noteForsaken tells whoever has called a command.
func (a *app) noteForsaken(ctx context.Context, cfg *Config, st *store.Store) error {
	notes, err := forsaken(ctx, cfg, st)
	for _, note := range notes {
		a.note("note: %s", note)
	}
	return err
}

// warnForsaken tells the log.
func (d *daemon) warnForsaken() {
	notes, err := forsaken(d.ctx, d.config(), d.st)
	if err != nil {
		d.log.Error().Err(err).Msg("which syncs the store knows could not be listed")
	}
	for _, note := range notes {
		d.log.Warn().Msg(note)
	}
}
