package main

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestDemoServe runs the demonstration of the daemon, and presses sync now in every way that it explains.
func TestDemoServe(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	config := filepath.Join(dir, "config.yaml")
	s := starting(t, config, "demo", "--serve", "--dir", dir, "--every", "1h", "--users", "60")
	s.await(0, "ready")
	s.await(0, "the run has ended")
	s.await(0, "mail to it@contoso.com: ", "succeeded in part")
	from := s.said()
	s.signal(syscall.SIGUSR1)
	s.await(from, "the run has ended")
	if stdout, stderr, code := run(t, "sync-now", "--wait", "-c", config); code != exitPartial && code != exitOK || !strings.Contains(stdout, "ended as") {
		t.Errorf("sync-now: exit %d: %s%s", code, stdout, stderr)
	}
	from = s.said()
	if err := s.client().SyncNow(t.Context(), "staff", "curl"); err != nil {
		t.Fatal(err)
	}
	s.await(from, "the run has ended")
	if stdout, stderr, code := run(t, "status", "-c", config); code != exitPartial && code != exitOK || !strings.Contains(stdout, "staff") {
		t.Errorf("status: exit %d: %s%s", code, stdout, stderr)
	}
	if code := s.stop(syscall.SIGINT); code != 0 {
		t.Errorf("exit %d", code)
	}
}
