package graphtest

import (
	"slices"
	"sort"
)

// memberships are who belongs to which group: one belonging for each object of the directory of groups.
type memberships struct{ of []belonging }

// belonging are the links of one group, in the order in which members first joined, so that a page can say where it
// stopped. A link stays in the list when the member has left.
type belonging struct {
	links []link
	where map[ref]uint32 // into links
}

// link is one member of one group: the positions of the groups' log at which the member joined, left, joined again.
type link struct {
	member ref
	turns  []uint32
}

// ref names any object that can be a member: its kind in the two highest bits, and its index among those of its kind.
type ref uint32

const (
	userRef ref = iota << 30
	groupRef
	otherRef
)

func (r ref) kind() ref     { return r &^ (1<<30 - 1) }
func (r ref) index() uint32 { return uint32(r & (1<<30 - 1)) }

// turned counts the joins and leaves up to a position.
func (l *link) turned(view uint32) int {
	if n := len(l.turns); n == 0 || l.turns[n-1] <= view { // as most are
		return n
	}
	return sort.Search(len(l.turns), func(i int) bool { return l.turns[i] > view })
}

// there tells whether the member belonged to the group at a position.
func (l *link) there(view uint32) bool { return l.turned(view)%2 == 1 }

// links returns those of a group.
func (d *directory) links(group uint32) *belonging {
	if n := int(group) + 1; len(d.members.of) < n {
		d.members.of = append(d.members.of, make([]belonging, n-len(d.members.of))...)
	}
	return &d.members.of[group]
}

// turn makes members join or leave; those who have are left as they are. All of it is one entry of the log, with the
// position at, which must be recorded when turn reports that something changed.
func (b *belonging) turn(members []ref, join bool, at uint32) bool {
	if b.where == nil {
		b.where = make(map[ref]uint32, len(members))
	}
	arena := make([]uint32, 0, len(members)) // so that a large group is not an allocation for each member
	moved := false
	for _, m := range members {
		i, known := b.where[m]
		switch {
		case known && len(b.links[i].turns)%2 == 1 == join, !known && !join:
			continue
		case known:
			b.links[i].turns = append(b.links[i].turns, at)
		default:
			arena = append(arena, at)
			n := len(arena)
			b.where[m] = uint32(len(b.links))
			b.links = append(b.links, link{m, arena[n-1 : n : n]})
		}
		moved = true
	}
	return moved
}

// now are the members who belong to the group at the moment.
func (b *belonging) now() []ref {
	var out []ref
	for i := range b.links {
		if len(b.links[i].turns)%2 == 1 {
			out = append(out, b.links[i].member)
		}
	}
	return out
}

// turn makes members join or leave a group and logs it; t.mu is held.
func (t *Tenant) turn(group uint32, leave, join []ref) {
	d := t.teams()
	b, at := d.links(group), uint32(len(d.log)+1)
	left := b.turn(leave, false, at)
	if joined := b.turn(join, true, at); left || joined {
		d.record(t.now(), group, linked, nil)
	}
}

// unlink takes a member that was deleted for good out of every group, which the service has been seen to keep to itself.
func (t *Tenant) unlink(member ref) {
	if t.Faults.SilentPurge {
		return
	}
	for g := range t.teams().members.of {
		if i, ok := t.groups.members.of[g].where[member]; ok && len(t.groups.members.of[g].links[i].turns)%2 == 1 {
			t.turn(uint32(g), []ref{member}, nil)
		}
	}
}

// slice says which links of a group one row is to show, and what came of it.
type slice struct {
	group uint32
	from  uint32 // the link to begin with
	room  int    // how many links at most
	// contrary shows links that turned more than once as they are not, to be put right on the next page.
	contrary bool

	used int    // how many were shown
	more bool   // whether any are left,
	next uint32 // and the first of them
}

// appendMembers writes the change of the links to a group's members: in a first round, or when the group was made or
// restored, all of them, and otherwise those that came or went since the last round. A link that went is a tombstone
// with the reason "deleted", whatever became of the member. Nothing to tell is no property.
func (d *directory) appendMembers(b []byte, o *object, r *row, s *slice) []byte {
	whole := r.first || d.reborn(o, r.since, r.view)
	links := d.links(s.group).links
	for ; int(s.from) < len(links); s.from++ {
		l := &links[s.from]
		turned := l.turned(r.view)
		here, moved := turned%2 == 1, turned != l.turned(r.since)
		if s.contrary && turned-l.turned(r.base) > 1 {
			here = !here
		}
		kind, id, purged := r.who(l.member)
		switch {
		case here && purged, !here && (r.first || !moved), here && !whole && !moved:
			continue
		case s.used == s.room:
			s.more, s.next = true, s.from
			return append(b, `],`...)
		case s.used == 0:
			b = append(b, `"members@delta":[`...)
		default:
			b = append(b, ',')
		}
		s.used++
		b = append(append(b, `{"@odata.type":"`...), kind...)
		b = append(append(b, `","id":"`...), id...)
		if here {
			b = append(b, `"}`...)
		} else {
			b = append(b, `","@removed":{"reason":"deleted"}}`...)
		}
	}
	if s.used > 0 {
		b = append(b, `],`...)
	}
	return b
}

// reborn tells whether an object was made or restored after since and up to view.
func (d *directory) reborn(o *object, since, view uint32) bool {
	for p := o.last; p > since; p = d.log[p-1].prev {
		if k := d.log[p-1].kind; p <= view && (k == created || k == restored) {
			return true
		}
	}
	return false
}

// who names a member for a delta row: its type, its id, and whether it was deleted for good.
func (t *Tenant) who(m ref) (kind, id string, purged bool) {
	switch m.kind() {
	case userRef:
		o := &t.people.objects[m.index()]
		return userObject, o.id, o.state == hardDeleted
	case groupRef:
		o := &t.groups.objects[m.index()]
		return groupObject, o.id, o.state == hardDeleted
	default:
		o := &t.others[m.index()]
		return o.kind.odataType(), o.id, false
	}
}

// views are the positions of the two logs as of which objects are shown.
type views struct{ people, groups uint32 }

// present tells whether a member is there to be shown.
func (t *Tenant) present(m ref, v views) bool {
	d, view := &t.people, v.people
	switch m.kind() {
	case groupRef:
		d, view = t.teams(), v.groups
	case otherRef:
		return true
	}
	o := &d.objects[m.index()]
	st := o.state
	if o.last > view {
		_, st = d.at(o, view)
	}
	return st == present
}

// closure are the direct and indirect members of groups who are there, each once, in an order that does not depend on
// where they are found, so that pages fit together. A nested group is among them, the groups asked for only when
// they are nested in each other. Groups that shut says are not looked into.
func (t *Tenant) closure(v views, shut func(group uint32) bool, groups ...uint32) []ref {
	d := t.teams()
	users, nested, others := make([]bool, len(t.people.objects)), make([]bool, len(d.objects)), make([]bool, len(t.others))
	open := slices.Clone(groups)
	looked := make([]bool, len(d.objects))
	for len(open) > 0 {
		g := open[len(open)-1]
		open = open[:len(open)-1]
		if looked[g] || shut != nil && shut(g) {
			continue
		}
		looked[g] = true
		for i := range d.links(g).links {
			l := &d.links(g).links[i]
			if !l.there(v.groups) || !t.present(l.member, v) {
				continue
			}
			switch n := l.member.index(); l.member.kind() {
			case userRef:
				users[n] = true
			case groupRef:
				nested[n], open = true, append(open, n)
			default:
				others[n] = true
			}
		}
	}
	if len(groups) == 1 {
		nested[groups[0]] = false // a cycle does not make a group its own member
	}
	var out []ref
	for _, kind := range []struct {
		of   ref
		have []bool
	}{{userRef, users}, {groupRef, nested}, {otherRef, others}} {
		for n, yes := range kind.have {
			if yes {
				out = append(out, kind.of|ref(n))
			}
		}
	}
	return out
}
