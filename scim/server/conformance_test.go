package server_test

import (
	"testing"

	"dirsync"
	"dirsync/dirsynctest"
)

// TestMemoryKeepsResources: the store that these tests use keeps the promises that the real one keeps.
func TestMemoryKeepsResources(t *testing.T) {
	dirsynctest.Resources(t, func(*testing.T) dirsync.ResourceStore {
		m := newMemory()
		m.unique = dirsync.EmailAddress
		return m
	})
}
