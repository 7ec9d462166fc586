package store_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"dirsync"
	"dirsync/dirsynctest"
	"dirsync/store"
)

func TestDirectoryKeepsResources(t *testing.T) {
	dirsynctest.Resources(t, func(t *testing.T) dirsync.ResourceStore {
		s := open(t, store.Options{})
		s.SetSizes(40, 7)
		d, err := s.Directory()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { sound(t, s) })
		return d
	})
}

// twoViews is a directory that a sync and a client write to.
type twoViews struct {
	t *testing.T
	s *store.Store
	d *store.Directory
}

func newTwoViews(t *testing.T) *twoViews {
	s := open(t, store.Options{})
	s.SetSizes(6, 3)
	d, err := s.Directory(dirsync.Field{Name: "office", Type: dirsync.Text})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sound(t, s) })
	return &twoViews{t, s, d}
}

func (v *twoViews) apply(c dirsync.Change) dirsync.Account {
	v.t.Helper()
	a, err := v.d.Apply(v.t.Context(), c)
	if err != nil {
		v.t.Fatal(err)
	}
	return a
}

func (v *twoViews) create(r dirsync.Resource, members ...string) dirsync.Resource {
	v.t.Helper()
	out, err := v.d.CreateResource(v.t.Context(), r, members)
	if err != nil {
		v.t.Fatal(err)
	}
	return out
}

func (v *twoViews) resource(id string) dirsync.Resource {
	v.t.Helper()
	kind := dirsync.KindUser
	if id[0] == 'g' {
		kind = dirsync.KindGroup
	}
	r, err := v.d.Resource(v.t.Context(), kind, id)
	if err != nil {
		v.t.Fatal(err)
	}
	return r
}

func (v *twoViews) edit(id string, fn func(*dirsync.ResourceEdit)) (dirsync.Resource, error) {
	kind := dirsync.KindUser
	if id[0] == 'g' {
		kind = dirsync.KindGroup
	}
	return v.d.EditResource(v.t.Context(), kind, id, func(r dirsync.Resource) (dirsync.ResourceEdit, error) {
		e := dirsync.ResourceEdit{Resource: r}
		fn(&e)
		return e, nil
	})
}

func (v *twoViews) find(kind dirsync.Kind, key dirsync.ResourceKey, value string) string {
	v.t.Helper()
	found, err := v.d.FindResources(v.t.Context(), kind, key, value, 10)
	if err != nil {
		v.t.Fatal(err)
	}
	var ids []string
	for _, r := range found {
		ids = append(ids, r.ID)
	}
	return strings.Join(ids, " ")
}

// TestResourcesOfASync: what a sync has made is shown to clients, and is not theirs to write.
func TestResourcesOfASync(t *testing.T) {
	v := newTwoViews(t)
	a := v.apply(dirsync.Change{Kind: dirsync.Create, Person: "p", After: who("Ann", "Ann")})
	got := v.resource(a.ID)
	want := dirsync.Resource{ID: a.ID, Kind: dirsync.KindUser, Version: got.Version, Created: a.Created, Updated: a.Updated, Name: "Ann@a.example",
		Emails: []string{"Ann@a.example"}, Active: true, Values: who("Ann", "Ann"), Source: "p"}
	if diff := cmp.Diff(want, got); diff != "" || got.Version == 0 {
		t.Errorf("-want +got\n%s", diff)
	}
	for _, key := range []dirsync.ResourceKey{dirsync.ByName, dirsync.ByEmail} {
		if found := v.find(dirsync.KindUser, key, "ANN@a.example"); found != a.ID {
			t.Errorf("key %d: found %q, want %s", key, found, a.ID)
		}
	}
	for what, fn := range map[string]func(*dirsync.ResourceEdit){
		"a name":    func(e *dirsync.ResourceEdit) { e.Resource.Name = "ann" },
		"pending":   func(e *dirsync.ResourceEdit) { e.Resource.Pending = dirsync.Delete },
		"a status":  func(e *dirsync.ResourceEdit) { e.Resource.Active = false },
		"a value":   func(e *dirsync.ResourceEdit) { e.Resource.Values = nil },
		"a delete":  func(e *dirsync.ResourceEdit) { e.Delete = true },
		"documents": func(e *dirsync.ResourceEdit) { e.Resource.Document = []byte("{}") },
	} {
		if _, err := v.edit(a.ID, fn); dirsync.KindOf(err) != dirsync.Invalid || dirsync.HintOf(err) == "" {
			t.Errorf("%s: got %v, want Invalid with a hint", what, err)
		}
	}
	if r, err := v.edit(a.ID, func(*dirsync.ResourceEdit) {}); err != nil || r.Version != got.Version {
		t.Errorf("an edit that changes nothing: got version %d and %v, want %d", r.Version, err, got.Version)
	}
	// Users of a sync may be members of a client's group, but a sync's group has the members that the sync says.
	own := v.create(dirsync.Resource{Kind: dirsync.KindGroup, Name: "own"}, a.ID)
	addGroups(t, v.d, "synced")
	if _, err := v.edit("g00000002", func(e *dirsync.ResourceEdit) { e.Add = []string{a.ID} }); dirsync.KindOf(err) != dirsync.Invalid {
		t.Errorf("got %v for a member of a sync's group, want Invalid", err)
	}
	// The sync says its groups, and leaves the client's alone.
	v.apply(dirsync.Change{Kind: dirsync.Update, Person: "p", After: inGroups("synced")})
	groups, err := v.d.ResourceGroups(t.Context(), a.ID, 10)
	if want := []dirsync.ResourceMember{{ID: own.ID, Name: "own"}, {ID: "g00000002", Name: "synced"}}; err != nil || !slices.Equal(groups, want) {
		t.Errorf("got %v and %v, want %v", groups, err, want)
	}
}

// TestNamesAcrossViews: no two users have the same name, whoever has made them.
func TestNamesAcrossViews(t *testing.T) {
	v := newTwoViews(t)
	synced := v.apply(dirsync.Change{Kind: dirsync.Create, Person: "p", After: who("P", "p")})
	client := v.create(dirsync.Resource{Name: "client@a.example", Active: true, Values: mail("elsewhere")})
	refused := func(what string, err error, field, other string) {
		t.Helper()
		if e, ok := errors.AsType[*dirsync.Error](err); !ok || e.Kind != dirsync.Conflict || e.Field != field || !strings.Contains(e.Other, other) {
			t.Errorf("%s: got %#v, want a Conflict of %s with %s", what, err, field, other)
		}
	}
	_, err := v.d.CreateResource(t.Context(), dirsync.Resource{Name: "P@a.example"}, nil)
	refused("a client takes the address of a sync's user for a name", err, "userName", synced.ID)
	_, err = v.edit(client.ID, func(e *dirsync.ResourceEdit) { e.Resource.Name = "p@A.example" })
	refused("a client renames to it", err, "userName", synced.ID)
	_, err = v.d.Apply(t.Context(), dirsync.Change{Kind: dirsync.Create, Person: "q", After: who("Q", "Client")})
	refused("a sync takes the name of a client's user for an address", err, dirsync.EmailAddress, client.ID)
	_, err = v.d.Apply(t.Context(), dirsync.Change{Kind: dirsync.Update, Person: "p", After: mail("client")})
	refused("a sync moves an address there", err, dirsync.EmailAddress, client.ID)
	// In one batch, whoever leaves a name makes way for whoever takes it, whatever their order.
	out := v.d.ApplyAll(t.Context(), []dirsync.Change{{Kind: dirsync.Update, Person: "p", After: mail("client")}, {Kind: dirsync.Delete, Account: client.ID}})
	if err := errors.Join(out[0].Err, out[1].Err); err != nil {
		t.Error(err)
	}
	// Now the old name of p is free, and the deleted account cannot come back under its own.
	v.create(dirsync.Resource{Name: "p@a.example"})
	_, err = v.d.Apply(t.Context(), dirsync.Change{Kind: dirsync.Create, Account: client.ID})
	refused("a deleted account comes back", err, dirsync.EmailAddress, synced.ID)
	v.apply(dirsync.Change{Kind: dirsync.Delete, Person: "p"})
	if a := v.apply(dirsync.Change{Kind: dirsync.Create, Account: client.ID}); a.ID != client.ID {
		t.Errorf("got %v, want the account that was deleted", a)
	}
	if r := v.resource(client.ID); r.Name != "client@a.example" || r.Version <= client.Version {
		t.Errorf("got %+v, want the name of before and a new version", r)
	}
}

// TestApplyOnResources: what a sync or a person writes to a client's account is seen by the client.
func TestApplyOnResources(t *testing.T) {
	v := newTwoViews(t)
	r := v.create(dirsync.Resource{Name: "ann", Display: "Ann", Active: true, Emails: []string{"Ann@a.example", "x@a.example"}, Values: mail("ann"), Document: []byte("{}")})
	// The client has said no last name, and nobody else must either.
	office := dirsync.Values{{Field: "office", Value: dirsync.Value{Type: dirsync.Text, Text: "Berlin"}}}
	v.apply(dirsync.Change{Kind: dirsync.Update, Account: r.ID, After: office})
	if _, err := v.d.Apply(t.Context(), dirsync.Change{Kind: dirsync.Update, Account: r.ID, After: dirsync.Values{{Field: dirsync.EmailAddress}}}); dirsync.KindOf(err) != dirsync.Invalid {
		t.Errorf("got %v for an address that is taken away, want Invalid", err)
	}
	v.apply(dirsync.Change{Kind: dirsync.Update, Account: r.ID, After: mail("new")})
	got := v.resource(r.ID)
	if want := []string{"new@a.example", "x@a.example"}; !slices.Equal(got.Emails, want) || got.Name != "ann" || string(got.Document) != "{}" {
		t.Errorf("got %+v, want the addresses %v and the rest as it was", got, want)
	}
	if got, want := v.find(dirsync.KindUser, dirsync.ByEmail, "NEW@a.example")+v.find(dirsync.KindUser, dirsync.ByEmail, "ann@a.example"), r.ID; got != want {
		t.Errorf("found %q, want %s by the new address alone", got, want)
	}
	for _, step := range []struct {
		pending dirsync.ChangeKind
		then    dirsync.ChangeKind
		want    dirsync.ChangeKind
	}{
		{dirsync.Deactivate, dirsync.Deactivate, 0},
		{dirsync.Delete, dirsync.Deactivate, dirsync.Delete},
		{dirsync.Delete, dirsync.Reactivate, dirsync.Delete},
	} {
		if _, err := v.edit(r.ID, func(e *dirsync.ResourceEdit) { e.Resource.Pending = step.pending }); err != nil {
			t.Fatal(err)
		}
		v.apply(dirsync.Change{Kind: step.then, Account: r.ID})
		if got := v.resource(r.ID).Pending; got != step.want {
			t.Errorf("%v was pending and %v happened: got %v, want %v", step.pending, step.then, got, step.want)
		}
	}
	// Once a sync has joined the account, it is the sync's.
	a := v.apply(dirsync.Change{Kind: dirsync.Create, Person: "p", Account: r.ID, After: who("Ann", "new")})
	if got := v.resource(r.ID); a.ID != r.ID || got.Source != "p" || got.Name != "ann" {
		t.Errorf("got %+v, want the same account, of the sync", got)
	}
	if _, err := v.edit(r.ID, func(e *dirsync.ResourceEdit) { e.Resource.Name = "other" }); dirsync.KindOf(err) != dirsync.Invalid {
		t.Errorf("got %v, want Invalid", err)
	}
	records, _, _ := round(t, v.d.Source(), "")
	if len(records) != 1 || records[0].Attrs.Text("userName") != "ann" || records[0].Attrs.Text("source") != "p" {
		t.Errorf("got %v, want the name that the client has said", records)
	}
	if got, err := v.d.Lookup(t.Context(), "ANN"); err != nil || got.ID != r.ID {
		t.Errorf("looked up by name: got %v and %v", got, err)
	}
}

// TestGroupNamesAcrossViews: a source may have groups of the same name; a client may not.
func TestGroupNamesAcrossViews(t *testing.T) {
	v := newTwoViews(t)
	own := v.create(dirsync.Resource{Kind: dirsync.KindGroup, Name: "Sales", Display: "D", ExternalID: "x"})
	for _, p := range []dirsync.ID{"s1", "s2"} {
		if _, err := v.d.Groups().Apply(t.Context(), dirsync.Change{Kind: dirsync.Create, Person: p, After: named("sales")}); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := v.find(dirsync.KindGroup, dirsync.ByName, "SALES"), "g00000001 g00000002 g00000003"; got != want {
		t.Errorf("found %q, want %s", got, want)
	}
	if _, err := v.d.CreateResource(t.Context(), dirsync.Resource{Kind: dirsync.KindGroup, Name: "sALES"}, nil); dirsync.KindOf(err) != dirsync.Conflict {
		t.Errorf("got %v, want Conflict", err)
	}
	// Whoever has the name may go on with it.
	if _, err := v.edit(own.ID, func(e *dirsync.ResourceEdit) { e.Resource.Name, e.Resource.Document = "SALES", []byte("x") }); err != nil {
		t.Error(err)
	}
	if _, err := v.d.Groups().Apply(t.Context(), dirsync.Change{Kind: dirsync.Update, Account: own.ID, After: named("Renamed")}); err != nil {
		t.Fatal(err)
	}
	got := v.resource(own.ID)
	if got.Name != "Renamed" || got.Display != "D" || !got.Active || v.find(dirsync.KindGroup, dirsync.ByDisplay, "d")+v.find(dirsync.KindGroup, dirsync.ByExternalID, "x") != own.ID+own.ID {
		t.Errorf("got %+v, want the new name and the rest as it was", got)
	}
	list, err := v.d.Groups().List(t.Context(), "", 1)
	if name, _ := list[0].Values.Get("name"); err != nil || name.Text != "Renamed" {
		t.Errorf("got %v and %v", list, err)
	}
}

// TestResourcesSurvive reads resources from a file that was closed, compacted, and restored.
func TestResourcesSurvive(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	path, saved := filepath.Join(dir, "dirsync.db"), filepath.Join(dir, "backup.db")
	var want []dirsync.Resource
	var members []dirsync.ResourceMember
	for step, prepare := range []func() error{
		func() error { return nil },
		func() error { _, err := store.Compact(ctx, path, store.Options{}); return err },
		func() error { _, err := store.Restore(ctx, saved, path, true, store.Options{}); return err },
	} {
		if err := prepare(); err != nil {
			t.Fatal(err)
		}
		s := openAt(t, path, store.Options{})
		s.SetSizes(6, 3)
		d, err := s.Directory()
		if err != nil {
			t.Fatal(err)
		}
		if step == 0 {
			var ids []string
			for n := range 30 {
				r, err := d.CreateResource(ctx, benchResource(n), nil)
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, r.ID)
			}
			if _, err := d.CreateResource(ctx, dirsync.Resource{Kind: dirsync.KindGroup, Name: "all"}, ids); err != nil {
				t.Fatal(err)
			}
			if want, err = d.Resources(ctx, dirsync.KindUser, "", 0, 100); err != nil {
				t.Fatal(err)
			}
			if members, err = d.ResourceMembers(ctx, "g00000001", "", 100); err != nil || len(members) != 30 {
				t.Fatal(members, err)
			}
			if _, err := s.Compact(ctx, saved); err != nil {
				t.Fatal(err)
			}
		}
		got, err := d.Resources(ctx, dirsync.KindUser, "", 0, 100)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("step %d: %v, -want +got\n%s", step, err, diff)
		}
		if got, err := d.ResourceMembers(ctx, "g00000001", "", 100); err != nil || !slices.Equal(got, members) {
			t.Errorf("step %d: got %v and %v", step, got, err)
		}
		for _, r := range want {
			for key, value := range map[dirsync.ResourceKey]string{dirsync.ByName: r.Name, dirsync.ByDisplay: r.Display, dirsync.ByExternalID: r.ExternalID, dirsync.ByEmail: r.Emails[0]} {
				if found, err := d.FindResources(ctx, dirsync.KindUser, key, value, 2); err != nil || len(found) != 1 || found[0].ID != r.ID {
					t.Errorf("step %d: %q: found %v and %v", step, value, found, err)
				}
			}
		}
		if step == 2 {
			// What was given as a version after the backup is never given again.
			r, err := d.EditResource(ctx, dirsync.KindUser, want[0].ID, func(r dirsync.Resource) (dirsync.ResourceEdit, error) {
				r.Name = "other"
				return dirsync.ResourceEdit{Resource: r}, nil
			})
			if err != nil || r.Version < 1<<32 {
				t.Errorf("got version %d and %v, want one far ahead", r.Version, err)
			}
		}
		sound(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestManyChangesAreOne: callers who come at once share a transaction, and what is wrong with one is not the others'.
func TestManyChangesAreOne(t *testing.T) {
	v := newTwoViews(t)
	shared := v.create(dirsync.Resource{Name: "shared"})
	before, err := v.s.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// While somebody writes, everybody else lines up.
	const callers = 60
	var wg sync.WaitGroup
	errs, panics := make([]error, callers), make([]any, callers)
	v.s.Hold(func() {
		for n := range callers {
			wg.Go(func() {
				defer func() { panics[n] = recover() }()
				switch n % 6 {
				case 0, 1:
					_, errs[n] = v.d.CreateResource(t.Context(), dirsync.Resource{Name: fmt.Sprint("user ", n)}, nil)
				case 2:
					_, errs[n] = v.d.CreateResource(t.Context(), dirsync.Resource{Name: "SHARED"}, nil)
				case 3:
					_, errs[n] = v.edit(shared.ID, func(e *dirsync.ResourceEdit) { e.Resource.Document = append(e.Resource.Document, 'x') })
				case 4:
					_, errs[n] = v.edit(shared.ID, func(*dirsync.ResourceEdit) { panic(n) })
				case 5:
					_, errs[n] = v.d.CreateResource(t.Context(), dirsync.Resource{Kind: dirsync.KindGroup, Name: fmt.Sprint("group ", n)}, []string{shared.ID, "nobody"})
				}
			})
		}
		v.d.Wait(callers)
	})
	wg.Wait()
	for n := range callers {
		want := map[int]dirsync.ErrorKind{2: dirsync.Conflict, 5: dirsync.Invalid}[n%6]
		if dirsync.KindOf(errs[n]) != want || (errs[n] == nil) != (want == 0) {
			t.Errorf("caller %d: got %v, want kind %v", n, errs[n], want)
		}
		if (n%6 == 4) != (panics[n] == any(n)) {
			t.Errorf("caller %d: got the panic %v", n, panics[n])
		}
	}
	after, err := v.s.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n, err := v.d.CountResources(t.Context(), dirsync.KindUser); n != 1+callers/3 || err != nil {
		t.Errorf("got %d users and %v, want %d", n, err, 1+callers/3)
	}
	if got := v.resource(shared.ID).Document; len(got) != callers/6 {
		t.Errorf("got %q, want %d changes", got, callers/6)
	}
	// One transaction for the first of them, and one for the others; flushing indexes takes a few of its own.
	t.Logf("%d changes took %d transactions", callers, after.Transactions-before.Transactions)
	if n := after.Transactions - before.Transactions; n > callers/2 {
		t.Errorf("%d changes took %d transactions", callers, n)
	}
}

// TestEditEndsItsGoroutine: a test that gives up in the middle of an edit leaves no lock behind.
func TestEditEndsItsGoroutine(t *testing.T) {
	v := newTwoViews(t)
	r := v.create(dirsync.Resource{Name: "ann"})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := v.edit(r.ID, func(*dirsync.ResourceEdit) { runtime.Goexit() })
		t.Errorf("it went on: %v", err)
	})
	wg.Wait()
	if _, err := v.edit(r.ID, func(e *dirsync.ResourceEdit) { e.Resource.Name = "bob" }); err != nil {
		t.Error(err)
	}
}

// TestDamagedResource: a row that cannot be read is the trouble of those who ask for it.
func TestDamagedResource(t *testing.T) {
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "dirsync.db")
	s := openAt(t, path, store.Options{})
	d, err := s.Directory()
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		if _, err := d.CreateResource(ctx, benchResource(n), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// A store that is opened again makes its index from the rows, so the damage comes while it is open.
	s = openAt(t, path, store.Options{})
	defer s.Close()
	if d, err = s.Directory(); err != nil {
		t.Fatal(err)
	}
	s.Damage(t, "directory", "users", 2)
	var wg sync.WaitGroup
	errs := make([]error, 9)
	s.Hold(func() {
		for n := range errs {
			wg.Go(func() {
				id := fmt.Sprintf("u%08d", n%3+1)
				_, errs[n] = d.EditResource(ctx, dirsync.KindUser, id, func(r dirsync.Resource) (dirsync.ResourceEdit, error) {
					r.Document = fmt.Appendf(nil, "%d", n)
					return dirsync.ResourceEdit{Resource: r}, nil
				})
			})
		}
		d.Wait(len(errs))
	})
	wg.Wait()
	for n, err := range errs {
		want := dirsync.ErrorKind(0)
		if n%3 == 1 {
			want = dirsync.Corrupt
		}
		if dirsync.KindOf(err) != want || (err == nil) != (want == 0) {
			t.Errorf("caller %d: got %v, want kind %v", n, err, want)
		}
	}
}

// TestVerifyFindsInResources breaks what is kept of resources, in ways that every single row survives.
func TestVerifyFindsInResources(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(users *bolt.Bucket) error
		says  string
	}{
		{"an index", func(users *bolt.Bucket) error { return users.DeleteBucket([]byte("index")) }, "cannot be found by its"},
		{"holes", func(users *bolt.Bucket) error { return users.DeleteBucket([]byte("holes")) }, "number of missing users"},
		{"a hole too many", func(users *bolt.Bucket) error {
			key := binary.BigEndian.AppendUint64(nil, 0)
			return users.Bucket([]byte("holes")).Put(key, store.Seal(key, []byte{1, 2}))
		}, "are kept as missing"},
		{"a count", func(users *bolt.Bucket) error {
			return users.Put([]byte("count"), store.Seal([]byte("count"), []byte{1, 3, 1, 7}))
		}, "of whom clients have said something"},
		{"a name twice", func(users *bolt.Bucket) error {
			rows := users.Bucket([]byte("users"))
			key := binary.BigEndian.AppendUint64(nil, 2)
			row := bytes.ReplaceAll(rows.Get(key)[:len(rows.Get(key))-4], []byte("name2"), []byte("name1"))
			return rows.Put(key, store.Seal(key, row))
		}, "have the same user name"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, path := context.Background(), filepath.Join(t.TempDir(), "dirsync.db")
			s := openAt(t, path, store.Options{})
			s.SetSizes(2, 2)
			d, err := s.Directory()
			if err != nil {
				t.Fatal(err)
			}
			for n := range 4 {
				if _, err := d.CreateResource(ctx, dirsync.Resource{Name: fmt.Sprint("name", n+1)}, nil); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := d.Apply(ctx, dirsync.Change{Kind: dirsync.Delete, Account: "u00000004"}); err != nil {
				t.Fatal(err)
			}
			sound(t, s)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			spoil(t, path, func(tx *bolt.Tx) error { return test.spoil(tx.Bucket([]byte("directory"))) })
			s = openAt(t, path, store.Options{})
			defer s.Close()
			if _, err := s.Directory(); err != nil {
				t.Fatal(err)
			}
			findings, err := s.Verify(ctx)
			if got := strings.Join(findings, "\n"); err != nil || !strings.Contains(got, test.says) {
				t.Errorf("got %q and %v, want something that says %q", got, err, test.says)
			}
		})
	}
}

// TestSkipping passes over resources of which many are gone, and compares with a list.
func TestSkipping(t *testing.T) {
	ctx := context.Background()
	s := open(t, store.Options{})
	d, err := s.Directory()
	if err != nil {
		t.Fatal(err)
	}
	const people = 5000
	changes := make([]dirsync.Change, people)
	for n := range changes {
		changes[n] = dirsync.Change{Kind: dirsync.Create, Person: guid(n), After: benchValues(n)}
	}
	d.ApplyAll(ctx, changes)
	r := rand.New(rand.NewPCG(1, 2))
	changes = nil
	for n := 1; n <= people; n++ {
		// A block in which all are gone, one in which none is, and others with some.
		if block := n / 1024; block == 1 || block != 3 && r.IntN(3) == 0 {
			changes = append(changes, dirsync.Change{Kind: dirsync.Delete, Account: fmt.Sprintf("u%08d", n)})
		}
	}
	d.ApplyAll(ctx, changes)
	for range 20 {
		d.Apply(ctx, dirsync.Change{Kind: dirsync.Create, Account: changes[r.IntN(len(changes))].Account, Person: guid(0)})
	}
	sound(t, s)
	all, err := d.Resources(ctx, dirsync.KindUser, "", 0, people)
	if err != nil {
		t.Fatal(err)
	}
	for range 2000 {
		from, skip, limit := r.IntN(people+10), r.IntN(people), 1+r.IntN(3)
		after := ""
		if from > 0 {
			after = fmt.Sprintf("u%08d", from)
		}
		i, _ := slices.BinarySearchFunc(all, fmt.Sprintf("u%08d", from+1), func(r dirsync.Resource, id string) int { return strings.Compare(r.ID, id) })
		i = min(i+skip, len(all))
		want := all[i:min(i+limit, len(all))]
		got, err := d.Resources(ctx, dirsync.KindUser, after, skip, limit)
		if err != nil || len(got) != len(want) || len(got) > 0 && got[0].ID != want[0].ID {
			t.Fatalf("after %q, skip %d: got %d and %v, want %d", after, skip, len(got), err, len(want))
		}
	}
	if _, err := d.Resources(ctx, dirsync.KindUser, "nobody", 0, 1); dirsync.KindOf(err) != dirsync.Invalid {
		t.Errorf("got %v, want Invalid", err)
	}
	for _, id := range []string{"u18446744073709551615", "u99999999999999999"} {
		if got, err := d.Resources(ctx, dirsync.KindUser, id, 0, 1); len(got) != 0 || dirsync.KindOf(err) != dirsync.Invalid {
			t.Errorf("after %s: got %v and %v, want Invalid", id, got, err)
		}
	}
}

// TestBothViewsFitTogether has a sync, an administrator and a client change the same people at random, opens the directory
// again, and looks each time whether everything fits together: indexes and figures, names that nobody shares, and a reader
// of the directory, who follows.
func TestBothViewsFitTogether(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newDirectoryWalk(t)
		defer func() { w.s.Close() }()
		var reader follower
		fine := func(err error) {
			if kind := dirsync.KindOf(err); err != nil && kind != dirsync.Conflict && kind != dirsync.NotFound && kind != dirsync.Invalid {
				r.Fatal(err)
			}
		}
		name := rapid.SampledFrom([]string{"a", "B", "c", "d"})
		account := rapid.Custom(func(r *rapid.T) string { return fmt.Sprintf("u%08d", rapid.IntRange(1, 9).Draw(r, "n")) })
		apply := func(r *rapid.T) {
			c := dirsync.Change{Kind: rapid.SampledFrom(dirsync.ChangeKinds()).Draw(r, "kind"), After: who("X", name.Draw(r, "address"))}
			if n := rapid.IntRange(0, 4).Draw(r, "person"); n > 0 {
				c.Person = dirsync.ID(fmt.Sprint("p", n))
			}
			if rapid.Bool().Draw(r, "by account") {
				c.Account = account.Draw(r, "account")
			}
			changes := []dirsync.Change{c}
			if rapid.Bool().Draw(r, "together") {
				changes = append(changes, dirsync.Change{Kind: dirsync.Update, Account: account.Draw(r, "other"), After: mail(name.Draw(r, "other address"))})
			}
			for _, out := range w.d.ApplyAll(t.Context(), changes) {
				fine(out.Err)
			}
		}
		draw := func(r *rapid.T) dirsync.Resource {
			out := dirsync.Resource{Name: name.Draw(r, "name") + "@a.example", Active: rapid.Bool().Draw(r, "active"), ExternalID: name.Draw(r, "external")}
			if rapid.Bool().Draw(r, "address") {
				out.Values = mail(name.Draw(r, "address"))
				out.Emails = []string{out.Values[0].Value.Text}
			}
			return out
		}
		create := func(r *rapid.T) {
			_, err := w.d.CreateResource(t.Context(), draw(r), nil)
			fine(err)
		}
		edit := func(r *rapid.T) {
			fresh, keep, remove := draw(r), rapid.Bool().Draw(r, "keep"), rapid.IntRange(0, 4).Draw(r, "delete") == 0
			_, err := w.d.EditResource(t.Context(), dirsync.KindUser, account.Draw(r, "account"), func(r dirsync.Resource) (dirsync.ResourceEdit, error) {
				if keep {
					fresh.Name, fresh.Values = r.Name, r.Values
				}
				return dirsync.ResourceEdit{Resource: fresh, Delete: remove}, nil
			})
			fine(err)
		}
		r.Repeat(map[string]func(*rapid.T){
			"apply": apply, "apply again": apply, "create": create, "edit": edit,
			"reopen": w.reopen,
			"read": func(r *rapid.T) {
				if err := reader.follow(w.d.Source(), 1); err != nil {
					r.Fatal(err)
				}
			},
			"": func(r *rapid.T) {
				findings, err := w.s.Verify(t.Context())
				if err != nil || len(findings) > 0 {
					r.Fatal(err, findings)
				}
				names := map[string]string{}
				all, err := w.d.Resources(t.Context(), dirsync.KindUser, "", 0, 100)
				if err != nil {
					r.Fatal(err)
				}
				for _, u := range all {
					if other := names[dirsync.Fold(u.Name)]; other != "" {
						r.Fatalf("%s and %s are both called %s", other, u.ID, u.Name)
					}
					names[dirsync.Fold(u.Name)] = u.ID
					found, err := w.d.FindResources(t.Context(), dirsync.KindUser, dirsync.ByName, u.Name, 2)
					if err != nil || len(found) != 1 || found[0].ID != u.ID {
						r.Fatalf("%s of %s: found %v and %v", u.Name, u.ID, found, err)
					}
				}
			},
		})
		if err := reader.settle(w.d.Source()); err != nil {
			r.Fatal(err)
		}
		if err := reader.agrees(w.d); err != nil {
			r.Fatal(err)
		}
	})
}
