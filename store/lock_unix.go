//go:build unix && !solaris && !aix

package store

import (
	"errors"
	"os"
	"syscall"
	"time"
)

var errLocked = errors.New("another process has the store open")

// lock takes the lock that bbolt will take again on the same file, so that nobody can write between the check of the
// file and its use. It waits for at most patience.
func lock(f *os.File, exclusive bool, patience time.Duration) error {
	how := syscall.LOCK_SH
	if exclusive {
		how = syscall.LOCK_EX
	}
	deadline := time.Now().Add(patience)
	for {
		err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		switch {
		case err == nil || !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			return err
		case time.Now().After(deadline):
			return errLocked
		}
		time.Sleep(20 * time.Millisecond)
	}
}
