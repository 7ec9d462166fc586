package dirsynctest_test

import (
	"testing"

	"dirsync"
	"dirsync/dirsynctest"
)

func TestMemoryTargetRestores(t *testing.T) {
	dirsynctest.TestTarget(t, func(*testing.T) dirsync.Target {
		target := dirsynctest.NewTarget()
		target.Restore = true
		return target
	})
}

func TestMemoryGroupTarget(t *testing.T) {
	dirsynctest.TestTargetOf(t, dirsynctest.Groups(), func(*testing.T) dirsync.Target { return dirsynctest.NewGroupTarget() })
}
