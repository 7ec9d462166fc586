package main

import (
	"context"
	"errors"
	"fmt"

	"dirsync"
	"dirsync/graph"
	"dirsync/store"
	"dirsync/sync/engine"
)

// access is what a command needs of the store and of the two ends of a sync.
type access uint8

// The kinds of access.
const (
	looking    access = iota // at the store, which several processes may do at a time; nobody is asked
	comparing                // looking at the store, and asking the targets
	deciding                 // writing to the store; nobody is asked
	takingBack               // writing to the store and to the targets; no source is asked
	running                  // writing to the store, and asking the sources and targets
)

// writes tells access that writes to the store.
func (how access) writes() bool { return how >= deciding }

// speaks tells access that asks the targets for something.
func (how access) speaks() bool { return how == comparing || how == takingBack || how == running }

// joined joins all parts of some syncs, or of all, and calls fn while the store is open.
func (a *app) joined(ctx context.Context, names []string, how access, fn func([]*wired) error) error {
	cfg, names, err := a.load(names)
	if err != nil {
		return err
	}
	st, err := a.openStore(cfg, !how.writes())
	if err != nil {
		return err
	}
	if err := a.noteForsaken(ctx, cfg, st); err != nil {
		return errors.Join(err, a.closeStore(st))
	}
	if how.writes() {
		if err := rightFeed(ctx, cfg, st); err != nil {
			return errors.Join(err, a.closeStore(st))
		}
		for _, name := range names {
			release, err := a.hold(ctx, name)
			if err != nil {
				return err
			}
			defer release()
		}
	}
	ws, err := a.joinAll(ctx, cfg, st, names, how)
	if err == nil {
		err = fn(ws)
	}
	for _, w := range ws {
		w.close()
	}
	return errors.Join(err, a.closeStore(st))
}

func (a *app) joinAll(ctx context.Context, cfg *Config, st *store.Store, names []string, how access) ([]*wired, error) {
	var ws []*wired
	for _, name := range names {
		w, err := a.wireFor(ctx, cfg, st, name, how)
		if err != nil {
			return ws, fmt.Errorf("sync %s: %w", name, err)
		}
		ws = append(ws, w)
	}
	return ws, nil
}

func (a *app) wireFor(ctx context.Context, cfg *Config, st *store.Store, name string, how access) (*wired, error) {
	sc := cfg.Syncs[name]
	// Only the tenant knows the types of directory extensions.
	if _, known := offline(cfg, sc); how == running || !known {
		return a.wire(ctx, cfg, st, name)
	}
	from, err := a.origin(cfg, st, sc, true)
	if err != nil {
		return nil, err
	}
	return a.join(ctx, cfg, st, name, from, !how.speaks())
}

// speechless is a client that asks nobody anything, for commands that look at what was read before: they work without
// the right to read the credential.
func speechless(t *Tenant) (*graph.Client, error) {
	return graph.New(graph.Config{Tenant: t.ID, Cloud: graph.Cloud(t.Cloud), Authority: t.Authority, BaseURL: t.Graph,
		Credential: graph.Credential{AzureCLI: true}})
}

// person finds somebody by object id, by the account's id or e-mail address in the target, or by the names that people
// go by at the source. All but the last is asked of indexes. sure finds out whether the name could mean somebody else,
// too, for which everybody has to be looked at unless it is an id or their user principal name.
func (w *wired) person(ctx context.Context, key string, sure bool) (dirsync.Person, error) {
	p, err := w.sync.Person(ctx, dirsync.ID(dirsync.Fold(key)))
	if err == nil || dirsync.KindOf(err) != dirsync.NotFound {
		return p, err
	}
	if w.directory == nil {
		return find(ctx, w.sync, key)
	}
	switch account, err := w.directory.Lookup(ctx, key); {
	case dirsync.KindOf(err) == dirsync.NotFound:
	case err != nil:
		return p, err
	case account.Source == "":
		return p, &dirsync.Error{Op: "find " + key, Kind: dirsync.NotFound, Err: fmt.Errorf("the account %s was not made by a sync and is nobody's", account.ID),
			Hint: "No sync touches it. dirsync users show " + account.ID + " shows it."}
	default:
		p, err := w.sync.Person(ctx, account.Source)
		switch {
		case err != nil && dirsync.KindOf(err) != dirsync.NotFound:
			return p, err
		case err == nil && (!sure || account.ID == key || dirsync.Fold(p.Shadow.Text("userPrincipalName")) == dirsync.Fold(key)):
			return p, nil
		}
	}
	return find(ctx, w.sync, key)
}

// somebody is a person in one of the syncs.
type somebody struct {
	w *wired
	p dirsync.Person
}

// whose finds somebody in each sync that knows them.
func whose(ctx context.Context, ws []*wired, key string, sure bool) ([]somebody, error) {
	var found []somebody
	var missing error
	for _, w := range ws {
		p, err := w.person(ctx, key, sure)
		switch {
		case dirsync.KindOf(err) == dirsync.NotFound:
			if missing == nil {
				missing = err
			}
		case err != nil:
			return nil, err
		default:
			found = append(found, somebody{w, p})
		}
	}
	if len(found) == 0 && missing == nil {
		missing = &dirsync.Error{Op: "find " + key, Kind: dirsync.NotFound, Err: errors.New("nobody goes by that name")}
	}
	if len(found) == 0 {
		return nil, missing
	}
	return found, nil
}

// people finds each of keys, who is to be in one sync only, and returns them by sync, in the order of ws.
func people(ctx context.Context, ws []*wired, keys []string) ([][]dirsync.Person, error) {
	out := make([][]dirsync.Person, len(ws))
	seen := map[dirsync.ID]bool{}
	for _, key := range keys {
		found, err := whose(ctx, ws, key, true)
		if err != nil {
			return nil, err
		}
		if len(found) > 1 {
			return nil, usageError("%s is in several syncs (%s, %s); say with --sync which is meant", key, found[0].w.name, found[1].w.name)
		}
		for i, w := range ws {
			if w == found[0].w && !seen[found[0].p.ID] {
				out[i] = append(out[i], found[0].p)
				seen[found[0].p.ID] = true
			}
		}
	}
	return out, nil
}

// part is an engine of a sync: of its people, or of its groups.
type part struct {
	w      *wired
	engine *engine.Engine
	groups bool
}

// parts are the engines of some syncs, those of groups behind those of people.
func parts(ctx context.Context, ws []*wired) ([]part, error) {
	var out []part
	for _, w := range ws {
		out = append(out, part{w, w.engine, false})
		g, err := w.engine.OfGroups(ctx)
		if err != nil {
			return nil, fmt.Errorf("sync %s: %w", w.name, err)
		}
		if g != nil {
			out = append(out, part{w, g, true})
		}
	}
	return out, nil
}

// only is the value of --sync as names of syncs.
func only(sync string) []string {
	if sync == "" {
		return nil
	}
	return []string{sync}
}
