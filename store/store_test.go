package store_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"dirsync/dirsynctest"
	"dirsync/store"
	"dirsync/sync/engine"
)

// open opens a new store in a folder of its own.
func open(t testing.TB, opts store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(filepath.Join(t.TempDir(), "dirsync.db"), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestStoreConforms(t *testing.T) {
	s, n := open(t, store.Options{}), 0
	dirsynctest.TestStore(t, func(*testing.T) engine.Store {
		n++
		return s.Sync(fmt.Sprint("sync ", n))
	})
}
