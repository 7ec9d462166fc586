package dirsynctest_test

import (
	"testing"

	"dirsync/dirsynctest"
	"dirsync/sync/engine"
)

func TestMemoryMemberships(t *testing.T) {
	dirsynctest.TestMemberships(t, func(*testing.T) engine.Memberships { return dirsynctest.NewMembers() })
}
