package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"dirsync"
	"dirsync/graph/graphtest"
	"dirsync/store"
	"dirsync/web"
)

// service is a real `dirsync serve` in a process of its own.
type service struct {
	t      testing.TB
	config string
	cmd    *exec.Cmd
	ended  chan struct{}
	err    error

	mu    sync.Mutex
	lines []string
	news  chan struct{} // closed and replaced whenever there is a new line
}

// serving starts the daemon of a configuration and waits until it is ready.
func serving(t testing.TB, config string) *service {
	t.Helper()
	s := starting(t, config, "serve", "-c", config)
	s.await(0, `"message":"ready"`)
	return s
}

// starting starts a command that goes on until it is stopped.
func starting(t testing.TB, config string, args ...string) *service {
	t.Helper()
	s := &service{t: t, config: config, cmd: child(t, args...), ended: make(chan struct{}), news: make(chan struct{})}
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stdout = s.cmd.Stderr
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.ended)
		lines := bufio.NewScanner(stderr)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			s.mu.Lock()
			s.lines = append(s.lines, lines.Text())
			close(s.news)
			s.news = make(chan struct{})
			s.mu.Unlock()
		}
		s.err = s.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.ended
		if t.Failed() {
			t.Logf("the daemon said:\n%s", s.log())
		}
	})
	return s
}

func (s *service) log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

// said is how many lines there are.
func (s *service) said() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lines)
}

// since are the lines after the first from ones.
func (s *service) since(from int) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lines[min(from, len(s.lines)):])
}

// await waits for a line after the first from ones that has all of parts.
func (s *service) await(from int, parts ...string) string {
	s.t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	for {
		s.mu.Lock()
		news := s.news
		for _, line := range s.lines[min(from, len(s.lines)):] {
			if containsAll(line, parts) {
				s.mu.Unlock()
				return line
			}
		}
		s.mu.Unlock()
		select {
		case <-news:
		case <-s.ended:
			if !strings.Contains(s.log(), parts[0]) {
				s.t.Fatalf("the daemon ended before it said %q: %v\n%s", parts, s.err, s.log())
			}
		case <-deadline.C:
			s.t.Fatalf("the daemon has not said %q within a minute:\n%s", parts, s.log())
		}
	}
}

func containsAll(s string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(s, p) {
			return false
		}
	}
	return true
}

func (s *service) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// stop stops the daemon and returns its exit code.
func (s *service) stop(sig os.Signal) int {
	s.t.Helper()
	s.signal(sig)
	<-s.ended
	if exit := (*exec.ExitError)(nil); errors.As(s.err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

func (s *service) client() *web.Client {
	s.t.Helper()
	c, err := web.Dial(filepath.Join(filepath.Dir(s.config), "dirsync.sock"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(c.Close)
	return c
}

// dirsync runs another command in a process of its own.
func run(t testing.TB, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := child(t, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return out.String(), errs.String(), exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), 0
}

// manually makes a configuration's syncs run only when somebody asks.
func manually(t testing.TB, config string) {
	t.Helper()
	appendTo(t, config, "    schedule: manually\n")
}

func appendTo(t testing.TB, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// newTenant serves a tenant and writes a configuration for it.
func newTenant(t testing.TB, people int) (*graphtest.Tenant, string) {
	t.Helper()
	tenant := &graphtest.Tenant{}
	tenant.Generate(people, 1)
	server := start(t, tenant)
	return tenant, setUp(t, t.TempDir(), server.URL, server.CA, tenant.Identity())
}

// gate lets readings of the tenant wait, so that a run is under way for as long as a test needs it.
type gate struct {
	came, open chan struct{}
	once       sync.Once
}

// shutGate makes every reading of users wait at the gate.
func shutGate(tenant *graphtest.Tenant) *gate {
	g := &gate{came: make(chan struct{}, 100), open: make(chan struct{})}
	tenant.Set(func(t *graphtest.Tenant) { t.Hook = g.hook })
	return g
}

func (g *gate) hook(r *http.Request) graphtest.Fault {
	if strings.Contains(r.URL.Path, "/users/delta") {
		select {
		case g.came <- struct{}{}:
		default:
		}
		<-g.open
	}
	return graphtest.Fault{}
}

func (g *gate) opens() { g.once.Do(func() { close(g.open) }) }

func ended(by string) []string {
	return []string{`"message":"the run has ended"`, by}
}

// TestServe starts a daemon, asks for runs in every way, and stops it.
func TestServe(t *testing.T) {
	tenant, config := newTenant(t, 50)
	manually(t, config)
	s := serving(t, config)
	from := s.said()
	s.signal(syscall.SIGUSR1)
	s.await(from, `"asked_by":"signal"`)
	s.await(from, ended(`"status":"partial success"`)...)

	from = s.said()
	if _, stderr, code := run(t, "sync-now", "-c", config); code != exitOK {
		t.Fatalf("sync-now: exit %d: %s", code, stderr)
	}
	s.await(from, ended("success")...)

	from = s.said()
	if err := s.client().SyncNow(t.Context(), "staff", "a program"); err != nil {
		t.Fatal(err)
	}
	s.await(from, `"asked_by":"a program"`)
	s.await(from, ended("success")...)

	// Pressed, however often, during a run, it means one more run afterwards.
	from = s.said()
	g := shutGate(tenant)
	if err := s.client().SyncNow(t.Context(), "staff", "first"); err != nil {
		t.Fatal(err)
	}
	<-g.came
	for range 3 {
		if err := s.client().SyncNow(t.Context(), "staff", "again"); err != nil {
			t.Fatal(err)
		}
	}
	g.opens()
	s.await(from, `"a run begins"`, `"asked_by":"again"`)
	stdout, stderr, code := run(t, "run", "-c", config)
	if code != exitPartial || !strings.Contains(stdout, "ended as partial success") {
		t.Errorf("run through the daemon: exit %d\n%s%s", code, stdout, stderr)
	}
	if code := s.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("stopped with exit code %d", code)
	}
	if _, err := os.Lstat(filepath.Join(filepath.Dir(config), "dirsync.sock")); err == nil {
		t.Error("the socket is left behind")
	}
	runs := journal(t, config)
	if len(runs) != 6 {
		t.Errorf("got %d runs, want 6: %v", len(runs), runs)
	}
}

// journal lists all runs, oldest first, and checks that all of them are closed and none overlaps another.
func journal(t testing.TB, config string) []dirsync.Run {
	t.Helper()
	st, err := store.Open(filepath.Join(filepath.Dir(config), "dirsync.db"), store.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	runs, err := st.Sync("staff").Runs(context.WithoutCancel(t.Context()), 0, 100000)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range runs {
		if r.Phase != dirsync.PhaseEnded {
			t.Errorf("run %d is not closed: %s", r.ID, r.Phase)
		}
		if i > 0 && runs[i-1].Started.Before(r.Ended) {
			t.Errorf("run %d began at %s, before run %d had ended at %s", runs[i-1].ID, runs[i-1].Started, r.ID, r.Ended)
		}
	}
	return runs
}
