package store_test

import (
	"context"
	"encoding/binary"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"dirsync"
	"dirsync/store"
)

// groupSample writes a store with groups, memberships and a directory whose groups have members, and returns its path.
func groupSample(t testing.TB) string {
	t.Helper()
	ctx, now := context.Background(), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	path := filepath.Join(t.TempDir(), "dirsync.db")
	s := openAt(t, path, store.Options{})
	s.SetSizes(4, 2)
	y := s.Sync("staff")
	state := dirsync.ReadState{Round: 1, Full: true, Open: true}
	groups, memberships := []dirsync.Record{}, []dirsync.Record{}
	for g := range 8 {
		groups = append(groups, dirsync.Record{ID: guid(g), Kind: dirsync.KindGroup})
		for m := range 4 {
			memberships = append(memberships, dirsync.Record{ID: dirsync.Membership{Group: guid(g), Member: guid(100 + m)}.ID(), Whole: true})
		}
	}
	if _, err := y.Groups().Merge(ctx, groups, state, now); err != nil {
		t.Fatal(err)
	}
	if _, err := y.Members().Merge(ctx, memberships, state, now); err != nil {
		t.Fatal(err)
	}
	d, err := s.Directory()
	if err != nil {
		t.Fatal(err)
	}
	addGroups(t, d, "z", "y", "x")
	for _, p := range []string{"a", "b", "c", "d"} {
		if _, err := d.Apply(ctx, dirsync.Change{Kind: dirsync.Create, Person: dirsync.ID(p), After: who(p, p).With(inGroups("y", "z"))}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []dirsync.Change{{Kind: dirsync.Delete, Person: "b"}, {Kind: dirsync.Delete, Person: "c"}} {
		if _, err := d.Apply(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	sound(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestVerifyFindsInGroups breaks what is kept of groups in ways that every single row survives.
func TestVerifyFindsInGroups(t *testing.T) {
	path := func(tx *bolt.Tx, names ...string) *bolt.Bucket {
		b := tx.Bucket([]byte(names[0]))
		for _, name := range names[1:] {
			b = b.Bucket([]byte(name))
		}
		return b
	}
	first := func(b *bolt.Bucket) []byte { k, _ := b.Cursor().First(); return append([]byte(nil), k...) }
	last := func(b *bolt.Bucket) []byte { k, _ := b.Cursor().Last(); return append([]byte(nil), k...) }
	drop := func(pick func(*bolt.Bucket) []byte, names ...string) func(*bolt.Tx) error {
		return func(tx *bolt.Tx) error {
			b := path(tx, names...)
			return b.Delete(pick(b))
		}
	}
	for _, test := range []struct {
		name  string
		spoil func(*bolt.Tx) error
		says  string
	}{
		{"a group is missing", drop(last, "groups", "staff", "people"), "the groups of sync staff: the number of people"},
		{"a group's index entry is missing", drop(first, "groups", "staff", "index"), "the groups of sync staff: person"},
		{"a membership's index entry is missing", drop(last, "memberships", "staff", "index"), "the memberships of sync staff: person"},
		{"a membership's debt is missing", drop(last, "memberships", "staff", "owed"), "the number of the owed"},
		{"the index claims too much", func(tx *bolt.Tx) error {
			key := []byte("indexed")
			return path(tx, "memberships", "staff").Put(key, store.Seal(key, binary.AppendUvarint(nil, 999)))
		}, "the index is written up to person 999"},
		{"no membership", func(tx *bolt.Tx) error {
			from := path(tx, "groups", "staff", "people")
			to := path(tx, "memberships", "staff", "people")
			k, v := from.Cursor().First()
			return to.Put(append([]byte(nil), k...), append([]byte(nil), v...))
		}, "which names no group and member"},
		{"a size is wrong", func(tx *bolt.Tx) error {
			b := path(tx, "directoryGroups", "sizes")
			k := first(b)
			return b.Put(k, store.Seal(k, []byte{1, 7}))
		}, "the size of group g00000001 is kept as 7, but there are 2"},
		{"a size of nobody", func(tx *bolt.Tx) error {
			k := []byte{0, 0, 0, 0, 0, 0, 0, 9}
			return path(tx, "directoryGroups", "sizes").Put(k, store.Seal(k, []byte{1, 7}))
		}, "has a size, and nobody is in it"},
		{"a group of the directory is missing", drop(first, "directoryGroups", "groups"), "the number of groups"},
		{"a group cannot be found", drop(last, "directoryGroups", "index"), "cannot be found by its"},
		{"a deleted user is missing", drop(last, "directory", "deleted"), "the number of deleted users is kept as 2, but there are 1"},
		{"a deleted user would stay for ever", drop(last, "directory", "deletedOrder"), "would never be forgotten"},
		{"a deleted user is there", func(tx *bolt.Tx) error {
			b := path(tx, "directory", "deleted")
			k, users := first(b), path(tx, "directory", "users")
			_, v := users.Cursor().First()
			return users.Put(k, append([]byte(nil), v...))
		}, "is there all the same"},
		{"the users cannot be found", func(tx *bolt.Tx) error {
			b := path(tx, "directory", "index")
			cursor := b.Cursor()
			for k, _ := cursor.First(); k != nil; k, _ = cursor.Next() {
				if err := cursor.Delete(); err != nil {
					return err
				}
			}
			return nil
		}, "cannot be found by the group g00000001"},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := groupSample(t)
			db, err := bolt.Open(file, 0o600, &bolt.Options{NoFreelistSync: true})
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Update(test.spoil); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			s := openAt(t, file, store.Options{})
			defer s.Close()
			if _, err := s.Directory(); err != nil {
				t.Fatal(err)
			}
			findings, err := s.Verify(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(findings, "\n"); !strings.Contains(got, test.says) {
				t.Errorf("got %q, want something that says %q", got, test.says)
			}
		})
	}
}
