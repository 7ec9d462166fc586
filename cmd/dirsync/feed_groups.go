package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"dirsync"
	"dirsync/store"
	"dirsync/sync/engine"
)

// Groups that clients have made stay when a directory goes back to syncs. A sync that is to make one of them would make it a
// second time, beside the first. So they are noted, and the sync is given the one that there is: that of the same object id,
// which clients send as externalId, or else of the same name.

// noteLeftGroups is the note of the groups that clients have left behind.
const noteLeftGroups = "directory/left_groups"

// leftGroup is a group that clients have left behind. Object is its object id, as far as they have said it.
type leftGroup struct {
	ID     string     `json:"id"`
	Object dirsync.ID `json:"object,omitempty"`
}

// leaveGroups notes the groups that no sync had before. It must be called before their external ids
// are taken away. What is noted already stays, because a switch that was cut off is done again.
func leaveGroups(ctx context.Context, cfg *Config, st *store.Store, directory *store.Directory) error {
	before, err := leftGroups(ctx, st)
	if err != nil {
		return err
	}
	known := map[string]dirsync.ID{}
	for _, g := range before {
		known[g.ID] = g.Object
	}
	found, err := strayGroups(ctx, cfg, st, directory)
	if err != nil {
		return err
	}
	for i, g := range found {
		if g.Object == "" {
			found[i].Object = known[g.ID]
		}
	}
	text, err := json.Marshal(found)
	if err == nil {
		err = st.SetNote(ctx, noteLeftGroups, text)
	}
	if err != nil {
		return fmt.Errorf("note the groups that clients have made: %w", err)
	}
	return nil
}

// strayGroups are the groups that no sync of the configuration has had.
func strayGroups(ctx context.Context, cfg *Config, st *store.Store, directory dirsync.ResourceStore) ([]leftGroup, error) {
	had := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(cfg.Syncs)) {
		if !cfg.Syncs[name].To.Directory {
			continue
		}
		for after, more := dirsync.Seq(0), true; more; {
			groups, err := st.Sync(name).Groups().People(ctx, after, pendingAtOnce)
			if err != nil {
				return nil, err
			}
			for _, g := range groups {
				after = g.Seq
				had[g.Link.Account] = true
			}
			more = len(groups) == pendingAtOnce
		}
	}
	var out []leftGroup
	for after := ""; ; {
		page, err := directory.Resources(ctx, dirsync.KindGroup, after, 0, pendingAtOnce)
		if err != nil {
			return nil, err
		}
		for _, r := range page {
			after = r.ID
			if r.Source != "" || had[r.ID] {
				continue
			}
			g := leftGroup{ID: r.ID}
			if isGUID(strings.ToLower(r.ExternalID)) {
				g.Object = dirsync.ID(strings.ToLower(r.ExternalID))
			}
			out = append(out, g)
		}
		if len(page) < pendingAtOnce {
			return out, nil
		}
	}
}

// leftGroups reads the note.
func leftGroups(ctx context.Context, st noted) ([]leftGroup, error) {
	text, err := st.Note(ctx, noteLeftGroups)
	if err != nil || len(text) == 0 {
		return nil, err
	}
	var out []leftGroup
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, &dirsync.Error{Op: "read which groups clients have left behind", Kind: dirsync.Corrupt, Err: err,
			Hint: "Restore a backup of the store."}
	}
	return out, nil
}

// welcoming are the groups of the directory, in which a sync finds those that clients have left behind.
type welcoming struct {
	*store.Groups
	resources dirsync.ResourceStore
	notes     noted

	// mu guards what the note said when it was first needed, and which of them were given away since.
	mu    sync.Mutex
	read  bool
	left  []leftGroup
	given map[string]bool
}

// Apply implements dirsync.Target.
func (w *welcoming) Apply(ctx context.Context, c dirsync.Change) (dirsync.Account, error) {
	out := w.ApplyAll(ctx, []dirsync.Change{c})
	return out[0].Account, out[0].Err
}

// ApplyAll implements dirsync.Batcher.
func (w *welcoming) ApplyAll(ctx context.Context, changes []dirsync.Change) []dirsync.Applied {
	changes = slices.Clone(changes)
	if err := w.find(ctx, changes); err != nil {
		out := make([]dirsync.Applied, len(changes))
		for i := range out {
			out[i].Err = err
		}
		return out
	}
	return w.Groups.ApplyAll(ctx, changes)
}

// find names the groups that are there already in changes that are to make them.
func (w *welcoming) find(ctx context.Context, changes []dirsync.Change) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, c := range changes {
		if c.Kind != dirsync.Create || c.Account != "" || c.Person == "" {
			continue
		}
		if !w.read {
			var err error
			if w.left, err = leftGroups(ctx, w.notes); err != nil {
				return err
			}
			w.read, w.given = true, map[string]bool{}
		}
		if len(w.left) == 0 {
			return nil
		}
		id, err := w.same(ctx, c)
		if err != nil {
			return err
		}
		if changes[i].Account = id; id != "" {
			w.given[id] = true
		}
	}
	return nil
}

// same is the one group that is the same as one that is to be made; "" if there is none, or if there are several.
func (w *welcoming) same(ctx context.Context, c dirsync.Change) (string, error) {
	name, _ := c.After.Get(engine.GroupName)
	named, err := w.resources.FindResources(ctx, dirsync.KindGroup, dirsync.ByName, name.Text, 10)
	if err != nil {
		return "", err
	}
	var byName []string
	for _, g := range w.left {
		switch {
		case w.given[g.ID]:
		case g.Object != "":
			if g.Object == c.Person {
				return w.free(ctx, g.ID)
			}
		case slices.ContainsFunc(named, func(r dirsync.Resource) bool { return r.ID == g.ID && r.Source == "" }):
			byName = append(byName, g.ID)
		}
	}
	if len(byName) == 1 {
		return byName[0], nil
	}
	return "", nil
}

// free returns the id of a group if it is there and nobody's.
func (w *welcoming) free(ctx context.Context, id string) (string, error) {
	r, err := w.resources.Resource(ctx, dirsync.KindGroup, id)
	if dirsync.KindOf(err) == dirsync.NotFound || err == nil && r.Source != "" {
		return "", nil
	}
	return r.ID, err
}
