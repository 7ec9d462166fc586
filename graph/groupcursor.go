package graph

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"dirsync"
)

// groupMark is what a Cursor of a GroupSource says: which groups are followed, and where in each stream to go on.
type groupMark struct {
	// Version is that of this layout, and Kind tells it from a position among users.
	Version int    `json:"v"`
	Kind    string `json:"k"`
	// Tenant is the configured tenant.
	Tenant string `json:"t"`
	// Select are the properties that the streams were begun with. Graph keeps them in the tokens.
	Select []string `json:"s"`
	// All says that there is one stream, of every group, and Nested that groups in groups were followed all along.
	All    bool `json:"a,omitempty"`
	Nested bool `json:"n,omitempty"`
	// Chosen are the names with the groups that they were found to be.
	Chosen  []pinned `json:"c,omitempty"`
	Streams []stream `json:"g,omitempty"`
	// Found are groups that are to be followed as soon as the streams are read.
	Found []dirsync.ID `json:"o,omitempty"`
}

// pinned is a name and what it was found to mean.
type pinned struct {
	Name string     `json:"n"`
	ID   dirsync.ID `json:"i"`
}

// stream is one delta query of groups, with its own tokens.
//
// A delta query can name at most fifty groups (Graph document "group: delta"), and names them in its tokens, so that
// groups which are followed later need streams of their own. One request for each stream is what a round costs when
// nothing has changed. Streams are never packed anew between rounds, because a group can be moved to another stream only
// by reading it from the beginning, and such a reading does not tell who has left in between. A round from the beginning
// packs them.
type stream struct {
	// IDs are the groups; none are all groups of the tenant.
	IDs []dirsync.ID `json:"i,omitempty"`
	// Link is where to go on: empty at the beginning, a page when Inside, and else where a round begins.
	Link   string `json:"l,omitempty"`
	Inside bool   `json:"p,omitempty"`
	// Done says that the stream is read to its end in the round under way.
	Done bool `json:"d,omitempty"`
	// First says that the round under way is the first one of this stream, and Unseen are the groups of which it has said
	// nothing so far.
	First  bool         `json:"f,omitempty"`
	Unseen []dirsync.ID `json:"u,omitempty"`
}

const (
	groupMarkVersion = 1
	groupMarkKind    = "groups"
	// streamIDs is how many groups a delta query can name.
	streamIDs = 50
)

func (m groupMark) cursor() dirsync.Cursor {
	m.Version, m.Kind = groupMarkVersion, groupMarkKind
	// A mark has only texts and truth values, which always marshal.
	text, _ := json.Marshal(m)
	return dirsync.Cursor(text)
}

// finished tells whether a round is at its end.
func (m groupMark) finished() bool {
	return len(m.Found) == 0 && !slices.ContainsFunc(m.Streams, func(s stream) bool { return !s.Done || len(s.Unseen) > 0 })
}

// next is where the following round begins.
func (m groupMark) next() groupMark {
	m.Streams = slices.Clone(m.Streams)
	for i := range m.Streams {
		m.Streams[i].Done, m.Streams[i].First = false, false
	}
	return m
}

// followed are all groups that a mark is about.
func (m groupMark) followed() map[dirsync.ID]bool {
	known := map[dirsync.ID]bool{}
	for _, s := range m.Streams {
		for _, id := range s.IDs {
			known[id] = true
		}
	}
	for _, id := range m.Found {
		known[id] = true
	}
	return known
}

// pin returns the group of a name.
func (m groupMark) pin(name string) (dirsync.ID, bool) {
	i := slices.IndexFunc(m.Chosen, func(p pinned) bool { return p.Name == name })
	if i < 0 {
		return "", false
	}
	return m.Chosen[i].ID, true
}

// Chosen says which groups the chosen names were found to be; see dirsync.GroupSource.
func (g *GroupSource) Chosen(c dirsync.Cursor) []dirsync.ChosenGroup {
	m, err := readGroupMark(c)
	if c == "" || err != nil {
		return nil
	}
	var out []dirsync.ChosenGroup
	for _, name := range g.cfg.Chosen {
		if id, ok := m.pin(name); ok {
			out = append(out, dirsync.ChosenGroup{Name: name, ID: id})
		}
	}
	return out
}

func readGroupMark(cursor dirsync.Cursor) (groupMark, error) {
	var m groupMark
	switch err := json.Unmarshal([]byte(cursor), &m); {
	case err != nil, m.Kind != groupMarkKind:
		return groupMark{}, errors.New("the kept position cannot be read")
	case m.Version != groupMarkVersion:
		return groupMark{}, errors.New("the kept position is of another version")
	}
	return m, nil
}

// parseCursor reads a cursor back. As for users, whatever cannot be used any more has expired, and only a cursor of
// another tenant is refused.
func (g *GroupSource) parseCursor(cursor dirsync.Cursor) (groupMark, error) {
	if cursor == "" {
		m := groupMark{Tenant: g.client.cfg.Tenant, Select: groupProperties(), All: g.cfg.All, Nested: g.cfg.Nested}
		if m.All {
			m.Streams = []stream{{First: true}}
		}
		return m, nil
	}
	m, err := readGroupMark(cursor)
	if err != nil {
		return groupMark{}, fmt.Errorf("%w: %w", dirsync.ErrCursorExpired, err)
	}
	if isGUID(m.Tenant) && isGUID(g.client.cfg.Tenant) && m.Tenant != g.client.cfg.Tenant {
		return groupMark{}, &dirsync.Error{Op: groupsOp, Kind: dirsync.Invalid,
			Err:  fmt.Errorf("reading had stopped in tenant %s, but %s is configured", clip(m.Tenant), g.client.cfg.Tenant),
			Hint: "A sync belongs to one tenant. Use a new sync and store for another tenant, or put the tenant id right."}
	}
	if err := g.usable(m); err != nil {
		return groupMark{}, fmt.Errorf("%w: %w", dirsync.ErrCursorExpired, err)
	}
	m.Nested = m.Nested && g.cfg.Nested
	return m, nil
}

// usable says why a mark does not carry what is asked for, or cannot be gone on from.
func (g *GroupSource) usable(m groupMark) error {
	for _, property := range groupProperties() {
		if !slices.Contains(m.Select, property) {
			return fmt.Errorf("%s was not asked for when reading began", property)
		}
	}
	switch {
	case m.All != g.cfg.All:
		return errors.New("it is another question whether all groups are read")
	case g.cfg.Nested && !m.Nested && !m.All:
		return errors.New("groups in groups were not followed when reading began")
	case m.All && (len(m.Streams) != 1 || len(m.Found) > 0):
		return errors.New("all groups are not in one stream")
	}
	for _, s := range m.Streams {
		if m.All != (len(s.IDs) == 0) || len(s.IDs) > streamIDs || s.Link == "" && (s.Inside || s.Done) {
			return errors.New("a stream is none")
		}
		if s.Link != "" {
			if err := g.client.checkDelta(s.Link, "groups"); err != nil {
				return err
			}
		}
		if err := allGUIDs(slices.Concat(s.IDs, s.Unseen)); err != nil {
			return err
		}
	}
	for _, p := range m.Chosen {
		if err := allGUIDs([]dirsync.ID{p.ID}); err != nil {
			return err
		}
	}
	return allGUIDs(m.Found)
}

func allGUIDs(ids []dirsync.ID) error {
	if slices.ContainsFunc(ids, func(id dirsync.ID) bool { return !isGUID(string(id)) }) {
		return errors.New("an id is none")
	}
	return nil
}
