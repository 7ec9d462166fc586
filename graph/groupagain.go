package graph

import "dirsync"

// Again returns a Cursor that begins from the beginning, with the chosen names still meaning what they mean in c; see
// dirsync.GroupSource.
func (g *GroupSource) Again(c dirsync.Cursor) dirsync.Cursor {
	was, err := readGroupMark(c)
	if c == "" || err != nil || len(was.Chosen) == 0 {
		return ""
	}
	for _, p := range was.Chosen {
		if !isGUID(string(p.ID)) { // what nobody here has written means nothing
			return ""
		}
	}
	m := groupMark{Tenant: was.Tenant, Select: groupProperties(), All: g.cfg.All, Nested: g.cfg.Nested, Chosen: was.Chosen}
	if m.All {
		m.Streams = []stream{{First: true}}
		return m.cursor()
	}
	for _, name := range g.cfg.Chosen {
		if id, ok := was.pin(name); ok && !m.followed()[id] {
			m.Found = append(m.Found, id)
		}
	}
	return m.cursor()
}
