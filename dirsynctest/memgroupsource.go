package dirsynctest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"

	"dirsync"
)

// GroupSource is a dirsync.GroupSource that lives in memory, and is as unkind as Source is: slices of one group come on
// several pages and mixed with those of others, some twice, some of the time with members removed who were never told of.
// Make one with NewGroupSource. It may be used from several goroutines.
type GroupSource struct {
	// Fault is as in Source; its operations are "ReadGroups", "LookUpGroups" and "Members".
	Fault func(op string) (before, after error)
	// Chosen names are object ids or values of displayName. Nested follows groups in groups, All every group.
	Names  []string
	Nested bool
	All    bool
	// Deleted, when set, tells users who were deleted and can be restored. They stay members, and no list has them.
	Deleted func(dirsync.ID) bool

	mu     sync.Mutex
	rand   *rand.Rand
	groups map[dirsync.ID]*group
	clock  uint64
	epoch  int
	pages  int
	sent   int
}

var (
	_ dirsync.GroupSource    = (*GroupSource)(nil)
	_ dirsync.RequestCounter = (*GroupSource)(nil)
)

type group struct {
	object
	members map[dirsync.ID]*link
}

// link is a membership that is, or was once.
type link struct {
	kind    dirsync.Kind
	there   bool
	changed uint64
}

// place is what a cursor of a GroupSource says.
type place struct {
	Epoch, Pages int
	Middle       bool
	// New says that nothing was read from here yet: such a cursor never expires.
	New bool
	// Chosen are the pinned names, At how far each followed group is read.
	Chosen []dirsync.ChosenGroup
	At     map[dirsync.ID]uint64
}

// NewGroupSource returns a source without groups; the seed is as in NewSource.
func NewGroupSource(seed uint64) *GroupSource {
	s := &GroupSource{groups: map[dirsync.ID]*group{}}
	if seed != 0 {
		s.rand = rand.New(rand.NewPCG(seed, 2))
	}
	return s
}

// Put adds a group, renames one, or brings one back.
func (s *GroupSource) Put(id dirsync.ID, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[id]
	if g == nil {
		g = &group{members: map[dirsync.ID]*link{}}
		g.id = id
		s.groups[id] = g
	}
	if g.gone != dirsync.Present { // a restored group is told like a new one
		for _, l := range g.members {
			s.clock++
			l.changed = s.clock
		}
	}
	g.attrs, g.gone = map[string]any{"displayName": name}, dirsync.Present
	s.clock++
	g.changed = s.clock
}

// Remove deletes a group, softly first and for good the second time. Its members are told to nobody.
func (s *GroupSource) Remove(id dirsync.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.groups[id]; g != nil && g.gone != dirsync.GoneHard {
		g.gone++
		s.clock++
		g.changed, g.goneAt = s.clock, s.clock
	}
}

// Join puts a member into a group, Leave takes one out.
func (s *GroupSource) Join(id, member dirsync.ID, kind dirsync.Kind) { s.set(id, member, kind, true) }

// Leave takes a member out of a group.
func (s *GroupSource) Leave(id, member dirsync.ID) { s.set(id, member, dirsync.KindUser, false) }

func (s *GroupSource) set(id, member dirsync.ID, kind dirsync.Kind, there bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[id]
	if g == nil || g.gone != dirsync.Present {
		return
	}
	l := g.members[member]
	if l == nil {
		if !there {
			return
		}
		l = &link{kind: kind}
		g.members[member] = l
	}
	if l.there != there {
		s.clock++
		l.there, l.changed = there, s.clock
	}
}

// ExpireCursors and ExpirePages are as in Source.
func (s *GroupSource) ExpireCursors() { s.mu.Lock(); s.epoch++; s.mu.Unlock() }

// ExpirePages makes every cursor from the middle of a round unknown.
func (s *GroupSource) ExpirePages() { s.mu.Lock(); s.pages++; s.mu.Unlock() }

// Users returns who is in any of the groups, directly or, with nested, through others: the truth, for tests. Groups that
// were deleted still count.
func (s *GroupSource) Users(nested bool, groups ...dirsync.ID) map[dirsync.ID]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	users, seen := map[dirsync.ID]bool{}, map[dirsync.ID]bool{}
	for todo := groups; len(todo) > 0; todo = todo[1:] {
		g := s.groups[todo[0]]
		if g == nil || seen[g.id] {
			continue
		}
		seen[g.id] = true
		for id, l := range g.members {
			switch {
			case !l.there:
			case l.kind == dirsync.KindUser:
				users[id] = true
			case nested:
				todo = append(slices.Clone(todo), id)
			}
		}
	}
	return users
}

// Name implements dirsync.Source.
func (s *GroupSource) Name() string { return "test groups" }

// Fields implements dirsync.Source.
func (s *GroupSource) Fields(context.Context) ([]dirsync.Field, error) {
	return []dirsync.Field{{Name: "displayName", Type: dirsync.Text}}, nil
}

// Requests implements dirsync.RequestCounter.
func (s *GroupSource) Requests() int { s.mu.Lock(); defer s.mu.Unlock(); return s.sent }

// Chosen implements dirsync.GroupSource.
func (s *GroupSource) Chosen(c dirsync.Cursor) []dirsync.ChosenGroup {
	var p place
	if json.Unmarshal([]byte(c), &p) != nil {
		return nil
	}
	return slices.DeleteFunc(p.Chosen, func(g dirsync.ChosenGroup) bool { return !slices.Contains(s.Names, g.Name) })
}

// Again implements dirsync.GroupSource.
func (s *GroupSource) Again(c dirsync.Cursor) dirsync.Cursor {
	chosen := s.Chosen(c)
	if len(chosen) == 0 {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := place{New: true, Chosen: chosen, At: map[dirsync.ID]uint64{}}
	for _, g := range chosen {
		p.At[g.ID] = 0
	}
	text, _ := json.Marshal(p)
	return dirsync.Cursor(text)
}

// Read implements dirsync.Source.
func (s *GroupSource) Read(ctx context.Context, since dirsync.Cursor, fn func(dirsync.Page) error) error {
	p, err := s.parse(since)
	if err != nil {
		return err
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		before, after := s.fault("ReadGroups")
		if before != nil {
			return before
		}
		page := s.page(&p)
		if err := fn(page); err != nil || after != nil {
			return cmp.Or(err, after)
		}
		if page.Complete {
			return nil
		}
	}
}

func (s *GroupSource) fault(op string) (before, after error) {
	s.mu.Lock()
	s.sent++
	s.mu.Unlock()
	if s.Fault != nil {
		return s.Fault(op)
	}
	return nil, nil
}

func (s *GroupSource) parse(since dirsync.Cursor) (place, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := place{Epoch: s.epoch, Pages: s.pages, At: map[dirsync.ID]uint64{}}
	if since != "" {
		if err := json.Unmarshal([]byte(since), &p); err != nil {
			return p, &dirsync.Error{Op: "read groups", Kind: dirsync.Invalid, Err: fmt.Errorf("cursor: %w", err)}
		}
		if p.New {
			p.New, p.Epoch, p.Pages = false, s.epoch, s.pages
		}
		switch {
		case p.Middle && p.Pages != s.pages:
			return p, dirsync.ErrPageExpired
		case p.Epoch != s.epoch:
			return p, dirsync.ErrCursorExpired
		}
		p.Pages = s.pages
	}
	for _, name := range s.Names {
		if slices.ContainsFunc(p.Chosen, func(c dirsync.ChosenGroup) bool { return c.Name == name }) {
			continue
		}
		id, ok := s.find(name)
		if !ok {
			return p, &dirsync.Error{Op: "read groups", Kind: dirsync.Invalid, Err: fmt.Errorf("there is no group %q", name)}
		}
		p.Chosen = append(p.Chosen, dirsync.ChosenGroup{Name: name, ID: id})
		if _, known := p.At[id]; !known {
			p.At[id] = 0
		}
	}
	return p, nil
}

func (s *GroupSource) find(name string) (dirsync.ID, bool) {
	for _, id := range slices.Sorted(maps.Keys(s.groups)) {
		if g := s.groups[id]; string(id) == name || g.attrs["displayName"] == name && g.gone == dirsync.Present {
			return id, true
		}
	}
	return "", false
}

// news is one thing that a group has to tell.
type news struct {
	group   *group
	member  dirsync.ID // empty: the group itself
	changed uint64
}

// page makes the page after p and moves p behind it.
func (s *GroupSource) page(p *place) dirsync.Page {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.All {
		for id := range s.groups {
			if _, known := p.At[id]; !known {
				p.At[id] = 0
			}
		}
	}
	due := s.due(p)
	page := dirsync.Page{Complete: len(due) <= 3}
	due = due[:min(3, len(due))]
	if s.chance(10) {
		page.Complete, due = false, nil
	}
	p.Middle = true
	for _, n := range due {
		page.Records = append(page.Records, s.record(n))
		if s.chance(10) {
			page.Records = append(page.Records, s.record(n))
		}
		p.At[n.group.id] = n.changed
		if l := n.group.members[n.member]; s.Nested && l != nil && l.there && l.kind == dirsync.KindGroup {
			if _, known := p.At[n.member]; !known {
				p.At[n.member] = 0
				page.Complete = false
			}
		}
	}
	if page.Complete {
		p.Middle = false
		for id, at := range p.At {
			if at > 0 && s.chance(5) {
				p.At[id]-- // the last change is told again in the next round
			}
		}
	}
	next, _ := json.Marshal(*p)
	page.Next = dirsync.Cursor(next)
	return page
}

// due lists what is to be told, in an order that mixes the groups.
func (s *GroupSource) due(p *place) []news {
	var due []news
	for id, at := range p.At {
		g := s.groups[id]
		if g == nil {
			continue
		}
		if g.changed > at {
			due = append(due, news{group: g, changed: g.changed})
		}
		for member, l := range g.members {
			if g.gone == dirsync.Present && l.changed > at && (at > 0 || l.there || s.rand != nil && l.changed%3 == 0) {
				due = append(due, news{group: g, member: member, changed: l.changed})
			}
		}
	}
	slices.SortFunc(due, func(a, b news) int { return cmp.Compare(a.changed, b.changed) })
	return due
}

func (s *GroupSource) record(n news) dirsync.Record {
	if n.member == "" {
		r := n.group.object.record(false, false)
		r.Kind = dirsync.KindGroup
		return r
	}
	r, l := n.group.object.record(false, false), n.group.members[n.member]
	r.Kind = dirsync.KindGroup
	r.Members = []dirsync.MemberChange{{ID: n.member, Kind: l.kind, Removed: !l.there}}
	return r
}

func (s *GroupSource) chance(percent int) bool { return s.rand != nil && s.rand.IntN(100) < percent }

// LookUp implements dirsync.Source.
func (s *GroupSource) LookUp(ctx context.Context, ids []dirsync.ID, fn func(dirsync.Record) error) error {
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return err
		}
		before, after := s.fault("LookUpGroups")
		if before != nil {
			return before
		}
		s.mu.Lock()
		r := dirsync.Record{ID: id, Gone: dirsync.GoneHard}
		if g := s.groups[id]; g != nil {
			r = g.object.record(true, false)
		}
		r.Kind = dirsync.KindGroup
		s.mu.Unlock()
		if err := fn(r); err != nil || after != nil {
			return cmp.Or(err, after)
		}
	}
	return nil
}

// Members implements dirsync.GroupSource.
func (s *GroupSource) Members(ctx context.Context, id dirsync.ID, fn func([]dirsync.Membership) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	before, after := s.fault("Members")
	if before != nil {
		return before
	}
	s.mu.Lock()
	g := s.groups[id]
	var out []dirsync.Membership
	gone := g == nil || g.gone != dirsync.Present
	if !gone {
		for member, l := range g.members {
			switch {
			case !l.there || l.kind == dirsync.KindUser && s.Deleted != nil && s.Deleted(member):
			case l.kind == dirsync.KindGroup && s.groups[member] != nil && s.groups[member].gone != dirsync.Present:
			default:
				out = append(out, dirsync.Membership{Group: id, Member: member, Kind: l.kind})
			}
		}
	}
	s.mu.Unlock()
	if gone {
		return &dirsync.Error{Op: "list members", ID: id, Kind: dirsync.NotFound, Err: errors.New("there is no such group")}
	}
	slices.SortFunc(out, func(a, b dirsync.Membership) int { return cmp.Compare(a.Member, b.Member) })
	for page := range slices.Chunk(out, 3) {
		if err := fn(page); err != nil {
			return err
		}
	}
	return after
}
