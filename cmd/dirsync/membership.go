package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"dirsync"
	"dirsync/store"
	"dirsync/sync/engine"
)

// groupNames says what the groups of a sync are called: their display names, as far as they were read, and otherwise
// their ids.
func groupNames(ctx context.Context, s *store.Sync) func(id string) string {
	groups, known := s.Groups(), map[string]string{}
	return func(id string) string {
		name, ok := known[id]
		if !ok {
			name = id
			if p, err := groups.Person(ctx, dirsync.ID(id)); err == nil {
				name = groupTitle(p)
			}
			known[id] = name
		}
		return name
	}
}

// groupTitle is what people call a group that was read.
func groupTitle(p dirsync.Person) string {
	if name := strings.Join(strings.Fields(p.Shadow.Text("displayName")), " "); name != "" {
		return name
	}
	return string(p.ID)
}

// groupKind says what kind of group it is, as Microsoft's pages name the kinds (Graph document "group resource type").
func groupKind(attrs dirsync.Attributes) string {
	is := func(name string) bool {
		raw, _ := attrs.Get(name)
		return string(raw) == "true"
	}
	var types []string
	raw, _ := attrs.Get("groupTypes")
	_ = json.Unmarshal(raw, &types) // what is no list names no type
	kind := "security group"
	switch {
	case slices.Contains(types, "Unified"):
		kind = "Microsoft 365 group"
	case is("mailEnabled") && is("securityEnabled"):
		kind = "mail-enabled security group"
	case is("mailEnabled"):
		kind = "distribution list"
	}
	if slices.Contains(types, "DynamicMembership") {
		kind += ", dynamic"
	}
	return kind
}

// groupRef is a group as programs read it.
type groupRef struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// pathView says how somebody is in a group: the groups from the one that they are a direct member of up to that one.
type pathView struct {
	Path []groupRef `json:"path"`
	// Scope says that being in the last group makes them one of the sync's people.
	Scope bool `json:"scope"`
}

// String is the path for people.
func (v pathView) String() string { return v.arrows(" -> ") }

// arrows joins the names of the groups with an arrow.
func (v pathView) arrows(arrow string) string {
	names := make([]string, len(v.Path))
	for i, g := range v.Path {
		names[i] = g.Name
	}
	return strings.Join(names, arrow)
}

// paths says how somebody is in the chosen groups, by the shortest way into each of them. Where a sync chooses no groups,
// it is about the groups that the target gets.
func (w *wired) paths(ctx context.Context, person dirsync.ID) ([]pathView, error) {
	g := w.engine.Groups
	if g == nil {
		return nil, nil
	}
	state, err := g.Store.ReadState(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the chosen groups: %w", err)
	}
	scope, shown := map[dirsync.ID]bool{}, map[dirsync.ID]bool{}
	for _, c := range g.Source.Chosen(state.Base) {
		scope[c.ID] = slices.Contains(g.Scope, c.Name)
		shown[c.ID] = true
	}
	from, order, err := climb(ctx, g, person)
	if err != nil {
		return nil, fmt.Errorf("find the groups of %s: %w", person, err)
	}
	name := groupNames(ctx, w.sync)
	var out []pathView
	for _, id := range order {
		if !shown[id] && !(g.AllSynced && len(g.Scope) == 0) {
			continue
		}
		v := pathView{Scope: scope[id]}
		for at := id; at != ""; at = from[at] {
			v.Path = append(v.Path, groupRef{string(at), name(string(at))})
		}
		slices.Reverse(v.Path)
		out = append(out, v)
	}
	return out, nil
}

// climb finds all groups that somebody is in, the nearest first, and for each the group through which they are in it;
// none for those that they are a direct member of. Groups may be nested in circles.
func climb(ctx context.Context, g *engine.Groups, person dirsync.ID) (from map[dirsync.ID]dirsync.ID, order []dirsync.ID, err error) {
	from = map[dirsync.ID]dirsync.ID{}
	for level := []dirsync.ID{person}; len(level) > 0; {
		above, err := g.Members.GroupsOf(ctx, level)
		if err != nil {
			return nil, nil, err
		}
		var next []dirsync.ID
		for i, groups := range above {
			for _, id := range groups {
				if _, seen := from[id]; seen {
					continue
				}
				if from[id] = level[i]; level[i] == person {
					from[id] = ""
				}
				next = append(next, id)
			}
		}
		order = append(order, next...)
		if !g.Nested {
			break
		}
		level = next
	}
	return from, order, nil
}

// countMembers counts the direct members of a group, users and groups apart.
func countMembers(ctx context.Context, members engine.Memberships, group dirsync.ID) (users, groups int, err error) {
	const limit = 5000
	var after dirsync.Seq
	for {
		batch, last, err := members.MembersOf(ctx, group, after, limit)
		if err != nil {
			return 0, 0, fmt.Errorf("count the members of group %s: %w", group, err)
		}
		for _, m := range batch {
			if m.Kind == dirsync.KindGroup {
				groups++
			} else {
				users++
			}
		}
		if len(batch) < limit {
			return users, groups, nil
		}
		after = last
	}
}
