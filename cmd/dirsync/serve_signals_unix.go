//go:build unix

package main

import (
	"os"
	"syscall"
)

// The signals that the daemon knows beside those that stop it.
const (
	reloadSignal  = syscall.SIGHUP
	syncNowSignal = syscall.SIGUSR1
)

func daemonSignals() []os.Signal {
	return []os.Signal{reloadSignal, syncNowSignal, syscall.SIGTERM, os.Interrupt}
}

// inode tells a file from one that has taken its place.
func inode(info os.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(s.Ino) //nolint:unconvert // other systems number in other types
	}
	return 0
}
