package store_test

import (
	"context"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"dirsync/store"
)

// TestVerifyFinds breaks a sound store in ways that every single row survives.
func TestVerifyFinds(t *testing.T) {
	last := func(b *bolt.Bucket) []byte { k, _ := b.Cursor().Last(); return k }
	for _, test := range []struct {
		name  string
		spoil func(staff, directory *bolt.Bucket) error
		says  string
	}{
		{"an index entry is missing", func(staff, _ *bolt.Bucket) error {
			b := staff.Bucket([]byte("index"))
			return b.Delete(last(b))
		}, "is not in the index"},
		{"a person is missing", func(staff, _ *bolt.Bucket) error {
			b := staff.Bucket([]byte("people"))
			return b.Delete(last(b))
		}, "the number of people"},
		{"a debt is missing", func(staff, _ *bolt.Bucket) error {
			b := staff.Bucket([]byte("owed"))
			return b.Delete(last(b))
		}, "the number of the owed"},
		{"a link is missing", func(staff, _ *bolt.Bucket) error {
			b := staff.Bucket([]byte("links"))
			return b.Delete(last(b))
		}, "the number of active accounts"},
		{"the list of the present is missing", func(staff, _ *bolt.Bucket) error {
			return staff.Bucket([]byte("bits")).Delete([]byte("p\x00\x00\x00\x00\x00\x00\x00\x00"))
		}, "list of the present"},
		{"the runs are missing", func(staff, _ *bolt.Bucket) error {
			return staff.DeleteBucket([]byte("runs"))
		}, "but not the run"},
		{"an account is missing", func(_, directory *bolt.Bucket) error {
			b := directory.Bucket([]byte("users"))
			return b.Delete(last(b))
		}, "the number of users"},
		{"an address cannot be found", func(_, directory *bolt.Bucket) error {
			b := directory.Bucket([]byte("index"))
			return b.Delete(last(b))
		}, "cannot be found by its"},
		{"a row lies under another key", func(_, directory *bolt.Bucket) error {
			b := directory.Bucket([]byte("users"))
			_, v := b.Cursor().First()
			return b.Put(last(b), append([]byte(nil), v...))
		}, "damaged row"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path, _ := sample(t)
			db, err := bolt.Open(path, 0o600, &bolt.Options{NoFreelistSync: true})
			if err != nil {
				t.Fatal(err)
			}
			err = db.Update(func(tx *bolt.Tx) error {
				return test.spoil(tx.Bucket([]byte("syncs")).Bucket([]byte("staff")), tx.Bucket([]byte("directory")))
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			s, err := store.Open(path, store.Options{})
			if err != nil {
				t.Fatal(err)
			}
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
