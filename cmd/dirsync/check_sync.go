package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"dirsync"
	"dirsync/store"
)

// syncCheckView is what check found out about one sync.
type syncCheckView struct {
	Sync   string       `json:"sync"`
	Fields int          `json:"fields"`
	Reads  []string     `json:"reads"`
	Chosen []chosenView `json:"chosen_groups,omitempty"`
	// Primed says that the beginning of the first reading is marked; see engine.Engine.Prime.
	Primed bool `json:"first_reading_primed,omitempty"`
	// Undefined are the directory extensions that the sync fills and the tenant does not have.
	Undefined []string `json:"undefined_extensions,omitempty"`
	Error     string   `json:"error,omitempty"`
}

// checkStore opens the store and checks every sync of a tenant that there is a client for.
func (a *app) checkStore(ctx context.Context, cfg *Config, names []string, clients map[string]reached, apps []appCheckView) ([]syncCheckView, error) {
	st, err := a.openStore(cfg, false)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(a.noteForsaken(ctx, cfg, st), checkFeedOf(ctx, cfg, st)); err != nil {
		return nil, errors.Join(err, a.closeStore(st))
	}
	views, err := a.checkSyncs(ctx, cfg, st, names, clients, apps)
	if err == nil && !a.json() {
		a.printf("Store %s: opens\n", clean(st.Path()))
	}
	return views, errors.Join(err, a.closeStore(st))
}

// checkSyncs compiles every mapping, and reports all faults of all of them at once; and finds every group that is named.
func (a *app) checkSyncs(ctx context.Context, cfg *Config, st *store.Store, names []string, clients map[string]reached, apps []appCheckView) ([]syncCheckView, error) {
	views, all := []syncCheckView{}, &ConfigError{File: cfg.Path}
	for _, name := range names {
		sc := cfg.Syncs[name]
		tenant := clients[sc.From.Entra]
		deaf := func(v appCheckView) bool {
			return v.err != nil && (v.Application == sc.From.SCIM || v.Application == sc.To.SCIM)
		}
		if sc.From.Entra != "" && tenant.client == nil || slices.ContainsFunc(apps, deaf) {
			continue // why, was said above
		}
		var from origin = entraOrigin{a, tenant.client}
		if sc.From.Entra == "" {
			var err error
			if from, err = a.origin(cfg, st, sc, false); err != nil {
				return views, err
			}
		}
		w, err := a.join(ctx, cfg, st, name, from, false)
		if ce, ok := errors.AsType[*ConfigError](err); ok {
			all.Faults = append(all.Faults, ce.Faults...)
			continue
		}
		if err != nil {
			return views, err
		}
		v := syncCheckView{Sync: name, Fields: len(w.config.Fields), Reads: w.mapping.Properties()}
		if !a.json() {
			a.printf("Sync %s: %s mapped; reads %s\n", clean(name), counted(v.Fields, "field", "fields"), strings.Join(v.Reads, ", "))
		}
		if err := checkWritten(ctx, w, &v, clients); err != nil {
			v.Error = err.Error()
			a.exit(fmt.Errorf("sync %s: %w", name, err))
		}
		if tenant.works || w.config.From.Directory {
			if err := a.checkGroups(ctx, w, &v); err != nil {
				v.Error = err.Error()
				a.exit(fmt.Errorf("sync %s: %w", name, err))
			}
		}
		if tenant.works {
			a.prime(ctx, w, &v)
		}
		views = append(views, v)
	}
	if len(all.Faults) > 0 {
		return views, all
	}
	return views, nil
}

// checkWritten finds out what the mapping cannot write to a tenant that works.
func checkWritten(ctx context.Context, w *wired, v *syncCheckView, clients map[string]reached) error {
	to, ok := w.to.(entraTarget)
	if !ok || !clients[w.config.To.Entra].works {
		return nil
	}
	missing, notes, err := undefined(ctx, w.config, to.writer)
	if err != nil || len(missing) == 0 || len(notes) > 0 {
		return err
	}
	v.Undefined = missing
	return &dirsync.Error{Op: "check what is written", Kind: dirsync.Invalid,
		Err:  fmt.Errorf("the tenant has no directory extension %s", strings.Join(missing, ", ")),
		Hint: "Define it in an app registration of the tenant, or take its name from dirsync fields " + w.name + "."}
}

// prime marks the beginning of a large tenant's first reading, which is faster if that was done some time before. What
// goes wrong with it is no fault of the configuration and changes nothing but the time. While somebody does anything
// about the sync, it is being read and there is nothing to prepare.
func (a *app) prime(ctx context.Context, w *wired, v *syncCheckView) {
	release, free := a.tryHold(w.name)
	if !free {
		return
	}
	defer release()
	var err error
	if v.Primed, err = w.engine.Prime(ctx); err != nil {
		a.log.Info().Str("sync", w.name).Err(err).Msg("the first reading is not prepared")
	}
	if v.Primed && !a.json() {
		a.printf("The first reading of %s is prepared: begun half a minute from now or later, it waits for nothing\n", clean(w.name))
	}
}

// checkGroups finds the groups that a sync names, and shows them.
func (a *app) checkGroups(ctx context.Context, w *wired, v *syncCheckView) error {
	if w.engine.Groups == nil {
		return nil
	}
	var err error
	if v.Chosen, err = a.resolve(ctx, w); err != nil || a.json() || len(v.Chosen) == 0 {
		return err
	}
	a.printf("\n")
	if err := a.chosenTable(map[string][]chosenView{w.name: v.Chosen}, []string{w.name}).Write(a.stdout); err != nil {
		return err
	}
	a.printf("\n")
	return nil
}

// resolve asks the tenant for the groups that a sync names. A name that was found by an earlier reading is not looked for
// again: it means the same group, whatever that is called by now. It reads a page of groups at most, which shows whether
// they may be read.
func (a *app) resolve(ctx context.Context, w *wired) ([]chosenView, error) {
	from, source := w.config.From, w.engine.Groups.Source
	state, err := w.engine.Groups.Store.ReadState(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the chosen groups: %w", err)
	}
	found := source.Chosen(state.Base)
	missing := slices.DeleteFunc(from.chosen(), func(name string) bool {
		return slices.ContainsFunc(found, func(c dirsync.ChosenGroup) bool { return c.Name == name })
	})
	if len(missing) > 0 || len(found) == 0 {
		o, ok := w.from.(groupOrigin)
		if !ok {
			return nil, nil
		}
		fresh := o.groupSource(missing, from.Groups.Which == AllGroups, false)
		var at dirsync.Cursor
		err := fresh.Read(ctx, "", func(p dirsync.Page) error {
			at = p.Next
			return errEnough
		})
		if err != nil && !errors.Is(err, errEnough) {
			return nil, err
		}
		found = append(found, fresh.Chosen(at)...)
	}
	views, ids := make([]chosenView, len(found)), make([]dirsync.ID, len(found))
	for i, c := range found {
		views[i], ids[i] = chosenView{Chosen: c.Name, ID: string(c.ID)}, c.ID
	}
	slices.Sort(ids)
	err = source.LookUp(ctx, slices.Compact(ids), func(r dirsync.Record) error {
		for i := range views {
			if v := &views[i]; v.ID == string(r.ID) {
				v.State = groupThere
				if r.Gone != dirsync.Present {
					v.State = r.Gone.String()
					continue
				}
				v.Name, v.Kind = groupTitle(dirsync.Person{ID: r.ID, Shadow: r.Attrs}), groupKind(r.Attrs)
			}
		}
		return nil
	})
	for i := range views {
		if err == nil && views[i].State == groupThere {
			err = countSome(ctx, source, &views[i])
		}
	}
	return views, err
}

// countSome counts a group's direct members as far as the first answer has them.
func countSome(ctx context.Context, source dirsync.GroupSource, v *chosenView) error {
	err := source.Members(ctx, dirsync.ID(v.ID), func(members []dirsync.Membership) error {
		if v.More = v.Users+v.Groups > 0; v.More {
			return errEnough
		}
		for _, m := range members {
			if m.Kind == dirsync.KindGroup {
				v.Groups++
			} else {
				v.Users++
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	return nil
}
