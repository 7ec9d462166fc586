package store_test

import (
	"os"
	"runtime"
	"syscall"
	"testing"
)

// asNobody calls fn with the file permissions of somebody who owns nothing, if this is root, who may read everything.
// Only this thread's access to files is affected (setfsuid(2)), so other tests keep theirs.
func asNobody(t *testing.T, fn func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		fn()
		return
	}
	const nobody = 65534
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SETFSUID, nobody, 0, 0); int(errno) != 0 {
		t.Fatal(errno)
	}
	defer func() { _, _, _ = syscall.RawSyscall(syscall.SYS_SETFSUID, 0, 0, 0) }()
	fn()
}
