package dirsynctest

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"dirsync"
)

// resourceModel is what a store of resources must be like: the simplest thing that keeps the contract.
type resourceModel struct {
	// all has the resources of both kinds by their ids, which are the store's, and order the ids as they were made.
	all   map[string]dirsync.Resource
	order []string
	// in has the members of each group.
	in map[string]map[string]bool
}

// create returns the error that is due, or adds what the store has made.
func (m *resourceModel) create(r dirsync.Resource, members []string, made dirsync.Resource) error {
	if err := cmp.Or(m.conflict(r, ""), m.members(members)); err != nil {
		return err
	}
	r.ID = made.ID
	m.all[r.ID], m.in[r.ID] = r, map[string]bool{}
	m.order = append(m.order, r.ID)
	for _, id := range members {
		m.in[r.ID][id] = true
	}
	return nil
}

func (m *resourceModel) conflict(r dirsync.Resource, self string) error {
	for _, id := range m.order {
		other := m.all[id]
		if id == self || other.Kind != r.Kind {
			continue
		}
		a, _ := r.Values.Get(dirsync.EmailAddress)
		b, _ := other.Values.Get(dirsync.EmailAddress)
		if dirsync.Fold(r.Name) == dirsync.Fold(other.Name) || !a.IsNull() && a.Same(b) {
			return &dirsync.Error{Kind: dirsync.Conflict}
		}
	}
	return nil
}

func (m *resourceModel) members(ids []string) error {
	for _, id := range ids {
		if r, ok := m.all[id]; !ok || r.Kind != dirsync.KindUser {
			return &dirsync.Error{Kind: dirsync.Invalid}
		}
	}
	return nil
}

// edit returns the error that is due, and whether anything changes.
func (m *resourceModel) edit(id string, e dirsync.ResourceEdit) (changed bool, err error) {
	r, ok := m.all[id]
	if !ok {
		return false, &dirsync.Error{Kind: dirsync.NotFound}
	}
	if e.Delete {
		delete(m.all, id)
		delete(m.in, id)
		m.order = slices.DeleteFunc(m.order, func(o string) bool { return o == id })
		for _, in := range m.in {
			delete(in, id)
		}
		return true, nil
	}
	e.Resource.ID, e.Resource.Kind = id, r.Kind
	if err := cmp.Or(m.conflict(e.Resource, id), m.members(e.Add)); err != nil {
		return false, err
	}
	in := maps.Clone(m.in[id])
	if e.Only {
		clear(in)
	}
	for _, user := range e.Remove {
		delete(in, user)
	}
	for _, user := range e.Add {
		in[user] = true
	}
	changed = !maps.Equal(in, m.in[id]) || !gocmp.Equal(content(r), content(e.Resource))
	m.all[id], m.in[id] = e.Resource, in
	return changed, nil
}

// resourceWalk does the same to a store and to a model.
type resourceWalk struct {
	*resourceTest
	m resourceModel
	r *rand.Rand
	// versions are all that resources ever had.
	versions map[string]map[uint64]bool
}

func (t *resourceTest) walks() {
	w := &resourceWalk{resourceTest: t, m: resourceModel{all: map[string]dirsync.Resource{}, in: map[string]map[string]bool{}}, versions: map[string]map[uint64]bool{}}
	for seed := range uint64(3) { // one after the other in one store
		w.T.Run(fmt.Sprint(seed), func(tt *testing.T) {
			t.T, w.r = tt, rand.New(rand.NewPCG(seed, 9))
			for range 150 {
				if w.r.IntN(3) == 0 {
					w.make()
				} else {
					w.change()
				}
				if w.r.IntN(10) == 0 {
					w.compare()
				}
				if tt.Failed() {
					return
				}
			}
			w.compare()
		})
	}
}

// draw makes up a resource.
func (w *resourceWalk) draw(kind dirsync.Kind) dirsync.Resource {
	pick := func(texts ...string) string { return texts[w.r.IntN(len(texts))] }
	r := dirsync.Resource{Kind: kind, Name: pick("a", "B", "é", "STRASSE", "straße", "f@x.example", "g@x.example", "h") + pick("", "1", "2"), Active: true,
		ExternalID: pick("", "e", "E", "f"), Document: []byte(pick("", "{}", strings.Repeat("long ", 300)))}
	if kind == dirsync.KindGroup {
		return r
	}
	r.Active, r.Display = w.r.IntN(3) > 0, pick("", "One", "one", "Two")
	for range w.r.IntN(3) {
		if e := pick("f@x.example", "G@x.example", "i@x.example"); !slices.Contains(r.Emails, e) {
			r.Emails = append(r.Emails, e)
		}
	}
	if w.r.IntN(2) == 0 {
		r.Values = r.Values.Set(dirsync.EmailAddress, dirsync.Value{Type: dirsync.Email, Text: pick("f", "g", "i", "J") + "@x.example"})
	}
	if w.r.IntN(2) == 0 {
		r.Values = r.Values.Set(dirsync.LastName, dirsync.Value{Type: dirsync.Text, Text: pick("Last", "Name")})
	}
	r.Pending = []dirsync.ChangeKind{0, 0, 0, dirsync.Delete, dirsync.Deactivate}[w.r.IntN(5)]
	return r
}

// someone is an id, mostly of somebody who is there.
func (w *resourceWalk) someone(kind dirsync.Kind) string {
	var ids []string
	for _, id := range w.m.order {
		if w.m.all[id].Kind == kind {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 || w.r.IntN(30) == 0 {
		return "u99999999"
	}
	return ids[w.r.IntN(len(ids))]
}

func (w *resourceWalk) some() (ids []string) {
	for range w.r.IntN(4) {
		ids = append(ids, w.someone(dirsync.KindUser))
	}
	return ids
}

func (w *resourceWalk) agree(what string, got, want error) {
	w.Helper()
	if dirsync.KindOf(got) != dirsync.KindOf(want) || (got == nil) != (want == nil) {
		w.Errorf("%s: the store says %v, the model %v", what, got, want)
	}
}

// version notes the version of a resource that has changed, or not.
func (w *resourceWalk) version(r dirsync.Resource, changed bool) {
	w.Helper()
	if w.versions[r.ID] == nil {
		w.versions[r.ID] = map[uint64]bool{}
	}
	if w.versions[r.ID][r.Version] == changed {
		w.Errorf("%s: version %d after an edit, of which it is %v that it has changed something", r.Name, r.Version, changed)
	}
	w.versions[r.ID][r.Version] = true
}

func (w *resourceWalk) make() {
	kind, members := dirsync.KindUser, []string(nil)
	if w.r.IntN(3) == 0 {
		kind, members = dirsync.KindGroup, w.some()
	}
	r := w.draw(kind)
	made, err := w.s.CreateResource(w.Context(), r, members)
	w.agree("create", err, w.m.create(r, members, made))
	if err == nil {
		w.version(made, true)
		w.is(made)
	}
}

func (w *resourceWalk) change() {
	kind := dirsync.Kind(w.r.IntN(2))
	id, edit := w.someone(kind), dirsync.ResourceEdit{}
	if kind == dirsync.KindGroup {
		edit.Add, edit.Remove, edit.Only = w.some(), w.some(), w.r.IntN(4) == 0
		edit.Remove = slices.DeleteFunc(edit.Remove, func(id string) bool { return slices.Contains(edit.Add, id) || w.m.all[id].ID == "" })
	}
	fresh, keep := w.draw(kind), w.r.IntN(3) == 0
	edit.Delete = w.r.IntN(6) == 0
	got, err := w.s.EditResource(w.Context(), kind, id, func(r dirsync.Resource) (dirsync.ResourceEdit, error) {
		if edit.Resource = fresh; keep {
			edit.Resource = r
		}
		return edit, nil
	})
	if r, ok := w.m.all[id]; keep && ok {
		edit.Resource = r
	}
	was := w.versions[id]
	changed, want := w.m.edit(id, edit)
	w.agree("edit", err, want)
	if err != nil || edit.Delete {
		return
	}
	if w.is(got); changed || was[got.Version] {
		w.version(got, changed)
	}
}

// compare looks at the whole store.
func (w *resourceWalk) compare() {
	w.Helper()
	for _, kind := range []dirsync.Kind{dirsync.KindUser, dirsync.KindGroup} {
		got, err := w.s.Resources(w.Context(), kind, "", 0, 10_000)
		n, err2 := w.s.CountResources(w.Context(), kind)
		if err := errors.Join(err, err2); err != nil {
			w.Fatal(err)
		}
		var want []dirsync.Resource
		for _, id := range w.m.order {
			if w.m.all[id].Kind == kind {
				want = append(want, w.m.all[id])
			}
		}
		if n != len(want) {
			w.Errorf("got %d %ss, want %d", n, kind, len(want))
		}
		ids := func(rs []dirsync.Resource) (out []string) {
			for _, r := range rs {
				out = append(out, r.ID)
			}
			return out
		}
		if diff := gocmp.Diff(ids(want), ids(got)); diff != "" {
			w.Fatalf("-model +store\n%s", diff)
		}
		for i := range want {
			w.one(want[i], got[i])
		}
	}
}

// one compares one resource, the ways in which it can be found, and its groups and members.
func (w *resourceWalk) one(want, got dirsync.Resource) {
	w.Helper()
	if want.Kind == dirsync.KindGroup {
		got.Values = nil // what a store may know of groups, their names included
		var members []dirsync.Resource
		for _, id := range slices.Sorted(maps.Keys(w.m.in[want.ID])) {
			members = append(members, w.m.all[id])
		}
		w.in(want, members...)
	} else {
		groups, err := w.s.ResourceGroups(w.Context(), want.ID, 1000)
		var of []string
		for _, id := range w.m.order {
			if w.m.in[id][want.ID] {
				of = append(of, id)
			}
		}
		var is []string
		for _, g := range groups {
			is = append(is, g.ID)
		}
		if slices.Sort(is); err != nil || !slices.Equal(is, slices.Sorted(slices.Values(of))) {
			w.Errorf("%s is in %v and %v, want %v", want.Name, is, err, of)
		}
	}
	if diff := gocmp.Diff(content(want), content(got)); diff != "" {
		w.Errorf("%s: -model +store\n%s", want.ID, diff)
	}
	keys := map[dirsync.ResourceKey][]string{dirsync.ByName: {want.Name}, dirsync.ByDisplay: {want.Display}, dirsync.ByExternalID: {want.ExternalID}, dirsync.ByEmail: want.Emails}
	for key, values := range keys {
		for _, value := range values {
			found, err := w.s.FindResources(w.Context(), want.Kind, key, value, 1000)
			if err != nil || value != "" && !slices.Equal(w.holders(want.Kind, key, value), idsOf(found)) {
				w.Errorf("key %d, %q: found %v and %v, want %v", key, value, idsOf(found), err, w.holders(want.Kind, key, value))
			}
		}
	}
}

func idsOf(rs []dirsync.Resource) (out []string) {
	for _, r := range rs {
		out = append(out, r.ID)
	}
	return out
}

// holders are the ids of those of the model who have a value in a key.
func (w *resourceWalk) holders(kind dirsync.Kind, key dirsync.ResourceKey, value string) (out []string) {
	for _, id := range w.m.order {
		r := w.m.all[id]
		texts := map[dirsync.ResourceKey][]string{dirsync.ByName: {r.Name}, dirsync.ByDisplay: {r.Display}, dirsync.ByExternalID: {r.ExternalID}, dirsync.ByEmail: r.Emails}[key]
		has := slices.ContainsFunc(texts, func(text string) bool {
			return text == value || key != dirsync.ByExternalID && dirsync.Fold(text) == dirsync.Fold(value)
		})
		if r.Kind == kind && has {
			out = append(out, id)
		}
	}
	return out
}
