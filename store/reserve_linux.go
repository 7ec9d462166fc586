package store

import (
	"math"
	"strconv"
	"syscall"
)

// reserve is how much of the address space the file is given when it is opened. bbolt maps the file anew when it outgrows
// its place, and must wait for everybody who reads, while whoever wants to begin to read waits for it: a backup that goes
// on for a minute would hold up everything. Space that nothing lies in costs nothing, so the file gets more than it will
// ever need, unless somebody has limited it (ulimit -v), or there is not much of it.
func reserve() int {
	const enough = int64(32) << 30
	var limit syscall.Rlimit
	if strconv.IntSize < 64 || syscall.Getrlimit(syscall.RLIMIT_AS, &limit) != nil || limit.Cur < math.MaxInt64 {
		return 0
	}
	return int(enough)
}
