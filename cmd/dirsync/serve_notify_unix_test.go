//go:build unix

package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"dirsync/store"
	"dirsync/sync/schedule"
)

// TestServiceManager is a service manager that a daemon tells how it stands.
func TestServiceManager(t *testing.T) {
	dir, err := os.MkdirTemp("", "ds")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	socket := filepath.Join(dir, "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	t.Setenv("WATCHDOG_USEC", "200000")
	await := func(want ...string) {
		t.Helper()
		if err := manager.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		for buf := make([]byte, 4096); ; {
			n, err := manager.Read(buf)
			if err != nil {
				t.Fatalf("waiting for %q: %v", want, err)
			}
			if containsAll(string(buf[:n]), want) {
				return
			}
		}
	}
	_, config := newTenant(t, 1)
	manually(t, config)
	s := serving(t, config)
	await("READY=1", "STATUS=waiting for somebody to ask for a run")
	await("WATCHDOG=1")
	if err := os.WriteFile(config, []byte(strings.Replace(read(t, config), "manually", "every 6 hours", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	s.signal(syscall.SIGHUP)
	await("RELOADING=1", "MONOTONIC_USEC=")
	await("READY=1", "STATUS=next: staff in ")
	if code := s.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit %d", code)
	}
	await("STOPPING=1")
}

// TestCatchUp starts a daemon after it was down when several runs were due: one makes up for all of them, and by the other
// policy none.
func TestCatchUp(t *testing.T) {
	for _, test := range []struct {
		missed string
		runs   int
	}{{"run now", 1}, {"next slot", 0}} {
		t.Run(test.missed, func(t *testing.T) {
			_, config := newTenant(t, 3)
			appendTo(t, config, "    schedule: { at: daily at 02:00, missed: "+test.missed+" }\n")
			s := serving(t, config)
			s.stop(syscall.SIGTERM)
			daysLater(t, config)
			s = serving(t, config)
			if test.runs > 0 {
				s.await(0, `"asked_by":"schedule"`)
				s.await(0, ended("success")...)
			}
			v, err := s.client().Sync(t.Context(), "staff")
			if err != nil || v.Next.Before(time.Now()) {
				t.Errorf("the next run is at %v, %v", v.Next, err)
			}
			s.stop(syscall.SIGTERM)
			if got := len(journal(t, config)); got != test.runs {
				t.Errorf("got %d runs, want %d", got, test.runs)
			}
		})
	}
}

// daysLater makes it three days since the daemon stopped.
func daysLater(t *testing.T, config string) {
	t.Helper()
	st, err := store.Open(filepath.Join(filepath.Dir(config), "dirsync.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := st.Note(t.Context(), noteSchedule+"staff")
	if err != nil || b == nil {
		t.Fatalf("nothing is stored of the schedule: %s, %v", b, err)
	}
	var state schedule.State
	if err := json.Unmarshal(b, &state); err != nil {
		t.Fatal(err)
	}
	const days = 3 * 24 * time.Hour
	state.Slot, state.Next, state.Seen = state.Slot.Add(-days), state.Next.Add(-days), state.Seen.Add(-days)
	if b, err = json.Marshal(state); err != nil {
		t.Fatal(err)
	}
	if err := st.SetNote(t.Context(), noteSchedule+"staff", b); err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
}
