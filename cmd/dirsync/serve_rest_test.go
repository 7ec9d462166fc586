package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"dirsync"
	"dirsync/graph/graphtest"
)

// TestReplaceTheStore compacts the store of a running daemon, and restores a backup, while runs are under way and asked for.
func TestReplaceTheStore(t *testing.T) {
	tenant, config := newTenant(t, 60)
	manually(t, config)
	s := serving(t, config)
	backup := filepath.Join(t.TempDir(), "backup.db")
	if _, stderr, code := run(t, "sync-now", "--wait", "-c", config); code != exitPartial && code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if _, stderr, code := run(t, "backup", backup, "-c", config); code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	store := filepath.Join(filepath.Dir(config), "dirsync.db")
	file := func() os.FileInfo {
		t.Helper()
		info, err := os.Stat(store)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	before := file()

	// A run is under way: compacting waits for it, and nobody else notices.
	g := shutGate(tenant)
	if err := s.client().SyncNow(t.Context(), "staff", "test"); err != nil {
		t.Fatal(err)
	}
	<-g.came
	compact := starting(t, config, "compact", "-c", config)
	compact.await(0, "waiting for its end")
	if v, err := s.client().Status(t.Context()); err != nil || v.Syncs[0].Running == nil {
		t.Errorf("the status meanwhile: %+v, %v", v, err)
	}
	from := s.said()
	s.signal(syscall.SIGUSR1)
	g.opens()
	tenant.Set(func(t *graphtest.Tenant) { t.Hook = nil })
	compact.await(0, " before, ")
	if <-compact.ended; compact.err != nil {
		t.Errorf("compact: %v", compact.err)
	}
	if os.SameFile(before, file()) {
		t.Error("the store is the file that it was")
	}
	s.await(from, "the work goes on")
	s.await(from, ended(`"run":3`)...) // what was asked for meanwhile is not lost

	// What cannot be restored changes nothing, and the daemon goes on.
	bad := filepath.Join(t.TempDir(), "bad.db")
	if err := os.WriteFile(bad, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := run(t, "restore", bad, "--replace", "-c", config); code != exitFailed || !strings.Contains(stderr, "bad.db") {
		t.Errorf("a damaged backup: exit %d: %s", code, stderr)
	}
	runs, err := s.client().Runs(t.Context(), "staff", 0, 100)
	if err != nil || len(runs) < 3 {
		t.Errorf("got %d runs, %v", len(runs), err)
	}
	if stdout, stderr, code := run(t, "restore", backup, "--replace", "-c", config); code != exitOK || !strings.Contains(stdout, "is kept as") {
		t.Errorf("restore: exit %d: %s%s", code, stdout, stderr)
	}
	if runs, err = s.client().Runs(t.Context(), "staff", 0, 100); err != nil || len(runs) != 1 {
		t.Errorf("got %d runs after the restoring, %v, want the one of the backup", len(runs), err)
	}
	if stdout, stderr, code := run(t, "sync-now", "--wait", "-c", config); code != exitPartial && code != exitOK {
		t.Errorf("sync-now: exit %d: %s%s", code, stdout, stderr)
	}
	if code := s.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit %d", code)
	}
	journal(t, config)
	if stdout, stderr, code := run(t, "verify", "-c", config); code != 0 {
		t.Errorf("verify: exit %d: %s%s", code, stdout, stderr)
	}
}

// TestRest lets nobody in while one has the store alone, and waits for those who are inside.
func TestRest(t *testing.T) {
	var r rest
	leave, err := r.enter()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.begin(ctx); !errors.Is(err, context.Canceled) || r.over() != nil {
		t.Errorf("got %v, want that it gives up while somebody is inside", err)
	}
	began := make(chan func())
	go func() {
		end, err := r.begin(t.Context())
		if err != nil {
			t.Error(err)
		}
		began <- end
	}()
	for r.over() == nil {
		runtime.Gosched()
	}
	if _, err := r.enter(); dirsync.KindOf(err) != dirsync.Unavailable {
		t.Errorf("got %v, want Unavailable", err)
	}
	if _, err := r.begin(t.Context()); dirsync.KindOf(err) != dirsync.Locked {
		t.Errorf("got %v, want Locked", err)
	}
	leave()
	leave()
	end, over := <-began, r.over()
	end()
	<-over
	if leave, err = r.enter(); err != nil {
		t.Error(err)
	}
	leave()
}
