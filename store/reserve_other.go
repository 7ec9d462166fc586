//go:build !linux

package store

// reserve is how much of the address space the file is given when it is opened: none beyond what it needs.
func reserve() int { return 0 }
