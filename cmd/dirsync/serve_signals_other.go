//go:build !unix

package main

import (
	"os"
	"syscall"
)

// Where there are no such signals nothing ever sends them; the API and the file's own changes do the same.
const (
	reloadSignal  = syscall.Signal(-1)
	syncNowSignal = syscall.Signal(-2)
)

func daemonSignals() []os.Signal { return []os.Signal{syscall.SIGTERM, os.Interrupt} }

// inode is always 0: the size and the time of a file have to do.
func inode(os.FileInfo) uint64 { return 0 }
