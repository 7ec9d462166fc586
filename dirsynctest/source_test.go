package dirsynctest_test

import (
	"testing"

	"dirsync"
	"dirsync/dirsynctest"
)

// The source in memory passes the suite that every other source must pass, kind and unkind.
func TestMemorySource(t *testing.T) {
	for name, seed := range map[string]uint64{"kind": 0, "unkind": 7} {
		t.Run(name, func(t *testing.T) {
			dirsynctest.TestSource(t, func(*testing.T) dirsynctest.SourceFixture {
				s := dirsynctest.NewSource(seed)
				return dirsynctest.SourceFixture{Source: s, Put: s.Put, Remove: s.Remove, Purge: func(id dirsync.ID) {
					s.Remove(id)
					s.Remove(id)
				}, ExpirePages: s.ExpirePages, ExpireCursors: s.ExpireCursors}
			})
		})
	}
}
