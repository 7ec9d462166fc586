package server_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"sync"
	"time"

	"dirsync"
)

// memory is a dirsync.ResourceStore in memory. It keeps every promise of the interface that a server can notice, and none
// beyond: it fails when a caller asks it from within an edit, and runs edits twice now and then.
type memory struct {
	mu    sync.Mutex
	kinds [2]shelf
	now   func() time.Time
	// twice makes every edit run twice, as a store may that commits many callers together.
	twice bool
	// editing is set while an edit runs.
	editing bool
	// fail, if not nil, is asked before each call.
	fail func(op string) error
	// reads counts resources that were handed out, members those that were.
	reads, members int
	// unique is a field of the directory that no two users share.
	unique string
}

// shelf is what there is of one kind.
type shelf struct {
	ids   []string // in the order in which they were made
	last  int
	byID  map[string]*entry
	index [5]map[string][]string
}

type entry struct {
	r       dirsync.Resource
	members map[string]bool // of a group
	sorted  []string        // members in order, nil when it must be made anew
	groups  map[string]bool // of a user
}

func newMemory() *memory {
	m := &memory{now: time.Now}
	for i := range m.kinds {
		m.kinds[i].byID = map[string]*entry{}
		for k := range m.kinds[i].index {
			m.kinds[i].index[k] = map[string][]string{}
		}
	}
	return m
}

func (m *memory) enter(ctx context.Context, op string) (func(), error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	if m.editing {
		panic("the store is asked from within an edit")
	}
	if m.fail != nil {
		if err := m.fail(op); err != nil {
			m.mu.Unlock()
			return nil, err
		}
	}
	return m.mu.Unlock, nil
}

func missing(op string) error { return &dirsync.Error{Op: op, Kind: dirsync.NotFound} }

func copyOf(r dirsync.Resource) dirsync.Resource {
	r.Emails, r.Values, r.Document = slices.Clone(r.Emails), slices.Clone(r.Values), slices.Clone(r.Document)
	return r
}

func (m *memory) Resource(ctx context.Context, kind dirsync.Kind, id string) (dirsync.Resource, error) {
	done, err := m.enter(ctx, "read a resource")
	if err != nil {
		return dirsync.Resource{}, err
	}
	defer done()
	e := m.kinds[kind].byID[id]
	if e == nil {
		return dirsync.Resource{}, missing("read a resource")
	}
	m.reads++
	return copyOf(e.r), nil
}

func keyOf(key dirsync.ResourceKey, text string) string {
	if key == dirsync.ByExternalID {
		return text
	}
	return dirsync.Fold(text)
}

func (m *memory) FindResources(ctx context.Context, kind dirsync.Kind, key dirsync.ResourceKey, value string, limit int) ([]dirsync.Resource, error) {
	done, err := m.enter(ctx, "find resources")
	if err != nil {
		return nil, err
	}
	defer done()
	var out []dirsync.Resource
	for _, id := range m.kinds[kind].index[key][keyOf(key, value)] {
		if len(out) < limit {
			m.reads++
			out = append(out, copyOf(m.kinds[kind].byID[id].r))
		}
	}
	return out, nil
}

func (m *memory) Resources(ctx context.Context, kind dirsync.Kind, after string, skip, limit int) ([]dirsync.Resource, error) {
	done, err := m.enter(ctx, "list resources")
	if err != nil {
		return nil, err
	}
	defer done()
	s := &m.kinds[kind]
	i := sort.SearchStrings(s.ids, after)
	if i < len(s.ids) && s.ids[i] == after {
		i++
	}
	var out []dirsync.Resource
	for i += skip; i < len(s.ids) && len(out) < limit; i++ {
		m.reads++
		out = append(out, copyOf(s.byID[s.ids[i]].r))
	}
	return out, nil
}

func (m *memory) CountResources(ctx context.Context, kind dirsync.Kind) (int, error) {
	done, err := m.enter(ctx, "count resources")
	if err != nil {
		return 0, err
	}
	defer done()
	return len(m.kinds[kind].ids), nil
}

// keys are the index entries of a resource.
func keys(r *dirsync.Resource) [5][]string {
	var k [5][]string
	k[dirsync.ByName] = []string{dirsync.Fold(r.Name)}
	if r.Display != "" {
		k[dirsync.ByDisplay] = []string{dirsync.Fold(r.Display)}
	}
	if r.ExternalID != "" {
		k[dirsync.ByExternalID] = []string{r.ExternalID}
	}
	for _, e := range r.Emails {
		if f := dirsync.Fold(e); !slices.Contains(k[dirsync.ByEmail], f) {
			k[dirsync.ByEmail] = append(k[dirsync.ByEmail], f)
		}
	}
	return k
}

func (s *shelf) put(r *dirsync.Resource, there bool) {
	for k, texts := range keys(r) {
		for _, text := range texts {
			ids := s.index[k][text]
			i, found := slices.BinarySearch(ids, r.ID)
			switch {
			case there && !found:
				s.index[k][text] = slices.Insert(ids, i, r.ID)
			case !there && found && len(ids) == 1:
				delete(s.index[k], text)
			case !there && found:
				s.index[k][text] = slices.Delete(ids, i, i+1)
			}
		}
	}
}

// conflict says who has what r needs.
func (m *memory) conflict(r *dirsync.Resource) error {
	if r.Name == "" {
		return &dirsync.Error{Op: "keep a resource", Kind: dirsync.Invalid, Field: "userName"}
	}
	s := &m.kinds[r.Kind]
	for _, id := range s.index[dirsync.ByName][dirsync.Fold(r.Name)] {
		if id != r.ID {
			field := "userName"
			if r.Kind == dirsync.KindGroup {
				field = "displayName"
			}
			return &dirsync.Error{Op: "keep a resource", Kind: dirsync.Conflict, Field: field, Value: r.Name, Other: id}
		}
	}
	if v, ok := r.Values.Get(m.unique); ok && m.unique != "" {
		for _, id := range s.ids {
			if w, ok := s.byID[id].r.Values.Get(m.unique); ok && id != r.ID && w.Same(v) {
				return &dirsync.Error{Op: "keep a resource", Kind: dirsync.Conflict, Field: m.unique, Value: v.Text, Other: id}
			}
		}
	}
	return nil
}

func (m *memory) checkMembers(ids []string) error {
	for _, id := range ids {
		if m.kinds[dirsync.KindUser].byID[id] == nil {
			return &dirsync.Error{Op: "change members", Kind: dirsync.Invalid, Field: "members", Value: id}
		}
	}
	return nil
}

func (m *memory) CreateResource(ctx context.Context, r dirsync.Resource, members []string) (dirsync.Resource, error) {
	done, err := m.enter(ctx, "create a resource")
	if err != nil {
		return dirsync.Resource{}, err
	}
	defer done()
	r = copyOf(r)
	r.ID, r.Source = "", ""
	if err := m.conflict(&r); err != nil {
		return dirsync.Resource{}, err
	}
	if err := m.checkMembers(members); err != nil {
		return dirsync.Resource{}, err
	}
	return m.insert(r, members), nil
}

func (m *memory) insert(r dirsync.Resource, members []string) dirsync.Resource {
	s := &m.kinds[r.Kind]
	s.last++
	r.ID = fmt.Sprintf("%c%08d", "ug"[r.Kind], s.last)
	r.Version, r.Created = 1, m.now()
	r.Updated = r.Created
	e := &entry{r: r, members: map[string]bool{}, groups: map[string]bool{}}
	s.byID[r.ID] = e
	s.ids = append(s.ids, r.ID)
	s.put(&r, true)
	m.join(e, members, true)
	return copyOf(r)
}

func (m *memory) join(e *entry, users []string, in bool) (changed bool) {
	for _, id := range users {
		user := m.kinds[dirsync.KindUser].byID[id]
		if e.members[id] == in || user == nil {
			continue
		}
		changed, e.sorted = true, nil
		if in {
			e.members[id], user.groups[e.r.ID] = true, true
		} else {
			delete(e.members, id)
			delete(user.groups, e.r.ID)
		}
	}
	return changed
}

func (m *memory) EditResource(ctx context.Context, kind dirsync.Kind, id string, fn func(dirsync.Resource) (dirsync.ResourceEdit, error)) (dirsync.Resource, error) {
	done, err := m.enter(ctx, "change a resource")
	if err != nil {
		return dirsync.Resource{}, err
	}
	defer done()
	s := &m.kinds[kind]
	e := s.byID[id]
	if e == nil {
		return dirsync.Resource{}, missing("change a resource")
	}
	edit, err := m.run(e, fn)
	if err != nil {
		return dirsync.Resource{}, err
	}
	if edit.Delete {
		m.join(e, slices.Collect(maps.Keys(e.members)), false)
		for g := range maps.Clone(e.groups) {
			group := m.kinds[dirsync.KindGroup].byID[g]
			m.join(group, []string{id}, false)
			group.r.Version++
			group.r.Updated = m.now()
		}
		s.put(&e.r, false)
		delete(s.byID, id)
		s.ids = slices.DeleteFunc(s.ids, func(x string) bool { return x == id })
		return copyOf(e.r), nil
	}
	next := copyOf(edit.Resource)
	next.ID, next.Kind, next.Version, next.Created, next.Updated, next.Source = e.r.ID, e.r.Kind, e.r.Version, e.r.Created, e.r.Updated, e.r.Source
	if err := cmp.Or(m.conflict(&next), m.checkMembers(edit.Add)); err != nil {
		return dirsync.Resource{}, err
	}
	changed := !same(next, e.r)
	if edit.Only {
		for id := range maps.Clone(e.members) {
			if !slices.Contains(edit.Add, id) {
				changed = m.join(e, []string{id}, false) || changed
			}
		}
	}
	changed = m.join(e, edit.Remove, false) || changed
	changed = m.join(e, edit.Add, true) || changed
	if changed {
		next.Version++
		next.Updated = m.now()
	}
	s.put(&e.r, false)
	e.r = next
	s.put(&e.r, true)
	return copyOf(e.r), nil
}

func (m *memory) run(e *entry, fn func(dirsync.Resource) (dirsync.ResourceEdit, error)) (edit dirsync.ResourceEdit, err error) {
	m.editing = true
	defer func() { m.editing = false }()
	if m.twice {
		_, _ = fn(copyOf(e.r))
	}
	return fn(copyOf(e.r))
}

func same(a, b dirsync.Resource) bool {
	return a.Name == b.Name && a.Display == b.Display && a.ExternalID == b.ExternalID && slices.Equal(a.Emails, b.Emails) &&
		a.Active == b.Active && a.Values.Equal(b.Values) && bytes.Equal(a.Document, b.Document) && a.Pending == b.Pending
}

func (m *memory) ResourceMembers(ctx context.Context, group, after string, limit int) ([]dirsync.ResourceMember, error) {
	done, err := m.enter(ctx, "read members")
	if err != nil {
		return nil, err
	}
	defer done()
	e := m.kinds[dirsync.KindGroup].byID[group]
	if e == nil {
		return nil, missing("read members")
	}
	if e.sorted == nil {
		e.sorted = slices.Sorted(maps.Keys(e.members))
	}
	i, found := slices.BinarySearch(e.sorted, after)
	if found {
		i++
	}
	var out []dirsync.ResourceMember
	for ; i < len(e.sorted) && len(out) < limit; i++ {
		m.members++
		out = append(out, m.member(dirsync.KindUser, e.sorted[i]))
	}
	return out, nil
}

func (m *memory) member(kind dirsync.Kind, id string) dirsync.ResourceMember {
	r := m.kinds[kind].byID[id].r
	return dirsync.ResourceMember{ID: id, Name: cmp.Or(r.Display, r.Name)}
}

func (m *memory) IsMember(ctx context.Context, group string, users []string) ([]bool, error) {
	done, err := m.enter(ctx, "read members")
	if err != nil {
		return nil, err
	}
	defer done()
	e := m.kinds[dirsync.KindGroup].byID[group]
	if e == nil {
		return nil, missing("read members")
	}
	out := make([]bool, len(users))
	for i, id := range users {
		out[i] = e.members[id]
	}
	return out, nil
}

func (m *memory) ResourceGroups(ctx context.Context, user string, limit int) ([]dirsync.ResourceMember, error) {
	done, err := m.enter(ctx, "read groups")
	if err != nil {
		return nil, err
	}
	defer done()
	e := m.kinds[dirsync.KindUser].byID[user]
	if e == nil {
		return nil, missing("read groups")
	}
	if len(e.groups) == 0 {
		return nil, nil
	}
	var out []dirsync.ResourceMember
	for _, id := range slices.Sorted(maps.Keys(e.groups)) {
		if len(out) < limit {
			out = append(out, m.member(dirsync.KindGroup, id))
		}
	}
	return out, nil
}

// change changes a resource as somebody else would: a sync, or a person.
func (m *memory) change(kind dirsync.Kind, id string, fn func(*dirsync.Resource)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := &m.kinds[kind]
	e := s.byID[id]
	s.put(&e.r, false)
	fn(&e.r)
	e.r.Version++
	e.r.Updated = m.now()
	s.put(&e.r, true)
}

// add makes a resource as a sync would.
func (m *memory) add(r dirsync.Resource) dirsync.Resource {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.insert(r, nil)
}

// get returns a resource as it is kept.
func (m *memory) get(kind dirsync.Kind, id string) (dirsync.Resource, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.kinds[kind].byID[id]
	if e == nil {
		return dirsync.Resource{}, false
	}
	return copyOf(e.r), true
}

var errDisk = &dirsync.Error{Op: "write", Kind: dirsync.Storage, Err: errors.New("no space left on device")}

func resourceOf(n int) dirsync.Resource {
	return dirsync.Resource{Kind: dirsync.KindUser, Name: fmt.Sprintf("user%d@example.com", n), Active: true}
}
