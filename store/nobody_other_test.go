//go:build !linux

package store_test

import (
	"os"
	"testing"
)

// asNobody calls fn, unless this is root, who may read everything.
func asNobody(t *testing.T, fn func()) {
	t.Helper()
	if os.Geteuid() == 0 {
		t.Skip("root may read everything, and only Linux can lay that right down for one thread")
	}
	fn()
}
