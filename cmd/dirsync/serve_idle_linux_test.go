package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

var (
	idlePeople = flag.Int("idle-people", 2000, "how many people the tenant of TestIdle has")
	idleFor    = flag.Duration("idle-for", 10*time.Second, "how long TestIdle watches a daemon that has nothing to do")
)

// TestIdle says what a daemon costs while it has nothing to do, after it has synced everybody: memory, wake-ups, and the
// time from the start of its process until it is ready.
func TestIdle(t *testing.T) {
	_, config := newTenant(t, *idlePeople)
	manually(t, config)
	s := serving(t, config)
	s.signal(syscall.SIGUSR1)
	s.await(0, ended("success")...)
	s.stop(syscall.SIGTERM)
	began := time.Now()
	s = serving(t, config)
	took := time.Since(began)
	from := s.said()
	s.signal(syscall.SIGUSR1)
	s.await(from, ended("success")...)
	// What a run leaves behind is given back within a moment.
	<-time.After(time.Second)
	rss := anonymous(t, s.cmd.Process.Pid)
	woken, switched := wakings(t, s.cmd.Process.Pid, *idleFor)
	t.Logf("%d people: ready after %v; idle for %v with %.1f MB RssAnon, %d wake-ups, %d switches of threads",
		*idlePeople, took.Round(time.Millisecond), *idleFor, float64(rss)/1024, woken, switched)
	if limit := 40 << 10; rss > limit && !raceDetector {
		t.Errorf("%d KB of anonymous memory, want at most %d", rss, limit)
	}
	if limit := int(idleFor.Seconds()); woken > limit {
		t.Errorf("%d wake-ups in %v, want at most one a second", woken, *idleFor)
	}
}

// wakings watches a process, and counts how often it woke up, whatever number of threads took part in that, and how often
// these began to wait again.
func wakings(t *testing.T, pid int, length time.Duration) (woken, switched int) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	first := switches(t, pid)
	last, awake := first, false
	for end := time.Now().Add(length); time.Now().Before(end); <-tick.C {
		now := switches(t, pid)
		if now != last && !awake {
			woken++
		}
		awake, last = now != last, now
	}
	return woken, last - first
}

// anonymous is the anonymous memory of a process, in KB.
func anonymous(t *testing.T, pid int) int {
	t.Helper()
	return statusField(t, fmt.Sprintf("/proc/%d/status", pid), "RssAnon:")
}

// switches counts how often the threads of a process have begun to wait.
func switches(t *testing.T, pid int) int {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, task := range tasks {
		sum += statusField(t, task, "voluntary_ctxt_switches:")
	}
	return sum
}

func statusField(t *testing.T, path, name string) int {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), name); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("%s has no %s", path, name)
	return 0
}
