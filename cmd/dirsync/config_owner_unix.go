//go:build unix

package main

import (
	"os"
	"syscall"
)

// keepOwner gives a file the owner and group of another.
func keepOwner(f *os.File, like os.FileInfo) error {
	own, err := f.Stat()
	if err != nil {
		return err
	}
	want, wantKnown := like.Sys().(*syscall.Stat_t)
	got, gotKnown := own.Sys().(*syscall.Stat_t)
	if !wantKnown || !gotKnown || want.Uid == got.Uid && want.Gid == got.Gid {
		return nil
	}
	return f.Chown(int(want.Uid), int(want.Gid))
}
