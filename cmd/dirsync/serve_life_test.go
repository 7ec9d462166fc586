package main

import (
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"dirsync"
	"dirsync/graph/graphtest"
)

// TestReload changes the configuration of a running daemon: what is good takes effect, what is bad changes nothing.
func TestReload(t *testing.T) {
	_, config := newTenant(t, 5)
	good := read(t, config)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(good + "    schedule: manually\n")
	s := serving(t, config)
	schedule := func() string {
		t.Helper()
		v, err := s.client().Sync(t.Context(), "staff")
		if err != nil {
			t.Fatal(err)
		}
		if v.Schedule != "manually" && v.Next.IsZero() {
			t.Errorf("%s has no next run", v.Schedule)
		}
		return v.Schedule
	}
	if got := schedule(); got != "manually" {
		t.Errorf("got %s", got)
	}

	from := s.said()
	write(good + "    schedule: every 6 hours\n")
	s.signal(syscall.SIGHUP)
	s.await(from, "the configuration was reloaded")
	if got := schedule(); got != "every 6 hours" {
		t.Errorf("got %s", got)
	}

	// A changed file is noticed without a signal.
	for name, bad := range map[string]struct{ text, want string }{
		"a fault":       {good + "    schedule: every 6 fortnights\n", "fortnights"},
		"another store": {strings.Replace(good, "dirsync.db", "other.db", 1), "the path of the store has changed"},
		"other fields":  {strings.Replace(good, "name: office", "name: bureau", 1), "bureau"},
	} {
		from = s.said()
		write(bad.text)
		if name != "a fault" {
			s.signal(syscall.SIGHUP)
		}
		line := s.await(from, "the old one stays")
		if name == "a fault" && !strings.Contains(line, "schedule") {
			t.Errorf("%s: said %s", name, line)
		}
		if got := schedule(); got != "every 6 hours" {
			t.Errorf("%s: got %s", name, got)
		}
		if v, err := s.client().Status(t.Context()); err != nil || !v.Ready || !strings.Contains(v.Problem, bad.want) {
			t.Errorf("%s: the status is %+v, %v; want the problem %q", name, v, err, bad.want)
		}
	}

	from = s.said()
	write(strings.Replace(good, "  staff:", "  people:", 1))
	s.signal(syscall.SIGHUP)
	s.await(from, "the configuration was reloaded")
	if v, err := s.client().Status(t.Context()); err != nil || v.Problem != "" || len(v.Syncs) != 1 || v.Syncs[0].Name != "people" {
		t.Errorf("the status is %+v, %v", v, err)
	}
	from = s.said()
	s.signal(syscall.SIGUSR1)
	s.await(from, append(ended("success"), `"sync":"people"`)...)
	if code := s.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("stopped with exit code %d", code)
	}
}

// whenRead is when the tenant was last read, which dirsync test does as well.
var whenRead = regexp.MustCompile(`"(last_read|token_dies)": "[^"]*"`)

// TestThroughSocket runs commands on the file and through the daemon, and compares what they say and how they end.
func TestThroughSocket(t *testing.T) {
	tenant, config := newTenant(t, 40)
	manually(t, config)
	appendTo(t, config, "    limits: { deactivations: { count: 1, floor: 0 } }\n")
	if _, stderr, code := run(t, "run", "-c", config); code != exitPartial {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	people := candidates(tenant.Users())
	for _, u := range people[:5] {
		tenant.Delete(text(u, "id"))
	}
	if _, stderr, code := run(t, "run", "-c", config); code != exitPartial {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	commands := [][]string{
		{"status", "-o", "json"}, {"users", "list"}, {"users", "list", "-o", "json"}, {"users", "export", "--format", "csv"},
		{"users", "show", text(people[7], "mail")}, {"holds", "-o", "json"}, {"history", "-o", "json"}, {"show", "2", "-o", "json"},
		{"explain", text(people[0], "mail"), "-o", "json"}, {"explain", "nobody@nowhere"}, {"groups", "list"}, {"show", "77"}, {"inbox"},
		{"run", "nonsense"}, {"users", "list", "--nonsense"}, {"test", "-o", "json"}, {"verify"}, {"ignored"}, {"undo", "1", "-o", "json"},
	}
	type said struct {
		stdout, stderr string
		code           int
	}
	alone := make([]said, len(commands))
	for i, c := range commands {
		alone[i].stdout, alone[i].stderr, alone[i].code = run(t, append(c, "-c", config)...)
	}
	s := serving(t, config)
	for i, c := range commands {
		var got said
		got.stdout, got.stderr, got.code = run(t, append(c, "-c", config)...)
		got.stdout, alone[i].stdout = whenRead.ReplaceAllString(got.stdout, ""), whenRead.ReplaceAllString(alone[i].stdout, "")
		if got != alone[i] {
			t.Errorf("%v: through the daemon\nexit %d\n%s%s\non the file\nexit %d\n%s%s", c, got.code, got.stdout, got.stderr, alone[i].code, alone[i].stdout, alone[i].stderr)
		}
	}
	// Files are where whoever asks for them is.
	elsewhere := t.TempDir()
	cmd := child(t, "backup", "copy.db", "-c", config)
	cmd.Dir = elsewhere
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("backup: %v: %s", err, out)
	}
	if stdout, stderr, code := run(t, "verify", filepath.Join(elsewhere, "copy.db"), "-c", config); code != 0 {
		t.Errorf("verify of the backup: exit %d: %s%s", code, stdout, stderr)
	}
	if stdout, stderr, code := run(t, "health", "-c", config); code != 0 || stdout != "ready\n" {
		t.Errorf("health: exit %d: %s%s", code, stdout, stderr)
	}
	other := filepath.Join(filepath.Dir(config), "other.yaml")
	if err := os.WriteFile(other, []byte(read(t, config)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := run(t, "status", "-c", other); code != exitFailed || !strings.Contains(stderr, "another configuration") {
		t.Errorf("with another configuration: exit %d: %s", code, stderr)
	}
	if _, stderr, code := run(t, "serve", "-c", config); code != exitFailed || !strings.Contains(stderr, "another process") {
		t.Errorf("a second daemon: exit %d: %s", code, stderr)
	}
	s.stop(syscall.SIGTERM)
	if _, stderr, code := run(t, "health", "-c", config); code != exitFailed || !strings.Contains(stderr, "no daemon is running") {
		t.Errorf("health without a daemon: exit %d: %s", code, stderr)
	}
	if _, stderr, code := run(t, "sync-now", "-c", config); code != exitFailed || !strings.Contains(stderr, "dirsync run") {
		t.Errorf("sync-now without a daemon: exit %d: %s", code, stderr)
	}
}

// TestStopInTheMiddle stops a daemon while it runs, softly and with SIGKILL; the next one goes on by itself.
func TestStopInTheMiddle(t *testing.T) {
	tenant, config := newTenant(t, 300)
	manually(t, config)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL, syscall.SIGINT} {
		s := serving(t, config)
		g := shutGate(tenant)
		if err := s.client().SyncNow(t.Context(), "staff", "test"); err != nil {
			t.Fatal(err)
		}
		<-g.came
		if code := s.stop(sig); code != 0 && sig != syscall.SIGKILL {
			t.Errorf("%v: exit %d", sig, code)
		}
		g.opens()
		tenant.Set(func(t *graphtest.Tenant) { t.Hook = nil })
		s = serving(t, config)
		s.await(0, ended("success")...)
		if code := s.stop(syscall.SIGTERM); code != 0 {
			t.Errorf("exit %d", code)
		}
	}
	runs := journal(t, config)
	if len(runs) != 6 {
		t.Errorf("got %d runs, want 6", len(runs))
	}
}

// TestPause lets a tenant refuse everything: the schedule pauses, stays paused over a restart, and goes on when somebody
// asks for a run and gets one.
func TestPause(t *testing.T) {
	tenant, config := newTenant(t, 5)
	appendTo(t, config, "    schedule: weekly on sunday at 02:00\n")
	s := serving(t, config)
	tenant.SetFaults(graphtest.Faults{Denied: true})
	from := s.said()
	s.signal(syscall.SIGUSR1)
	s.await(from, "the schedule is paused")
	s.stop(syscall.SIGTERM)
	s = serving(t, config)
	if v, err := s.client().Sync(t.Context(), "staff"); err != nil || !v.Paused || v.Problem == "" {
		t.Errorf("got %+v, %v, want a paused sync", v, err)
	}
	tenant.SetFaults(graphtest.Faults{})
	if stdout, stderr, code := run(t, "sync-now", "--wait", "-c", config); code != exitOK || !strings.Contains(stdout, "ended as success") {
		t.Errorf("sync-now --wait: exit %d: %s%s", code, stdout, stderr)
	}
	s.await(0, "the schedule goes on")
	if v, err := s.client().Sync(t.Context(), "staff"); err != nil || v.Paused {
		t.Errorf("got %+v, %v, want a sync that is not paused", v, err)
	}
}

var walk = flag.Duration("walk", 6*time.Second, "how long TestWalk goes on")

// TestWalk drives a real daemon through signals, commands, reloads and kills at random, while its tenant changes. In the
// end nobody has lost anything, no two runs have overlapped, and the directory is what the tenant says.
func TestWalk(t *testing.T) {
	const people = 400
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	tenant, config := newTenant(t, people)
	manually(t, config)
	appendTo(t, config, "    limits: { deactivations: { count: 100000, share: 100%, floor: 100000 }, blankings: { count: 100000, share: 100%, floor: 100000 } }\n")
	good := read(t, config)
	w := &killWorld{t: t, tenant: tenant, path: filepath.Join(filepath.Dir(config), "dirsync.db"), safe: map[string]bool{},
		accounts: map[dirsync.ID]string{}, phases: map[dirsync.Phase]int{}}
	for i, u := range candidates(tenant.Users()) {
		w.ids = append(w.ids, text(u, "id"))
		w.safe[text(u, "id")] = i%2 == 0
	}
	s := serving(t, config)
	steps := map[string]int{}
	for end := time.Now().Add(*walk); time.Now().Before(end); {
		step := []string{"change", "change", "usr1", "usr1", "sync-now", "api", "run", "status", "hup", "bad", "term", "kill", "read", "wait"}[rnd.IntN(14)]
		steps[step]++
		switch step {
		case "change":
			w.change(rnd, 20)
		case "usr1":
			s.signal(syscall.SIGUSR1)
		case "sync-now":
			run(t, "sync-now", "-c", config)
		case "api":
			if err := s.client().SyncNow(t.Context(), "staff", "walk"); err != nil {
				t.Fatal(err)
			}
		case "run", "status", "read":
			if stdout, stderr, code := run(t, step, "-c", config); code != exitOK && code != exitPartial {
				t.Fatalf("%s: exit %d: %s%s", step, code, stdout, stderr)
			}
		case "hup":
			s.signal(syscall.SIGHUP)
		case "bad":
			if err := os.WriteFile(config, []byte(good+"nonsense: 1\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			from := s.said()
			s.signal(syscall.SIGHUP)
			s.await(from, "nonsense")
			if err := os.WriteFile(config, []byte(good), 0o600); err != nil {
				t.Fatal(err)
			}
		case "term", "kill":
			sig := map[string]syscall.Signal{"term": syscall.SIGTERM, "kill": syscall.SIGKILL}[step]
			if code := s.stop(sig); code != 0 && step == "term" {
				t.Fatalf("stopped with exit code %d", code)
			}
			w.check()
			s = serving(t, config)
		case "wait":
			from := s.said()
			s.signal(syscall.SIGUSR1)
			s.await(from, ended("success")...)
		}
	}
	if _, stderr, code := run(t, "sync-now", "--wait", "-c", config); code != exitOK && code != exitPartial {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if code := s.stop(syscall.SIGTERM); code != 0 {
		t.Fatalf("stopped with exit code %d", code)
	}
	if _, stderr, code := run(t, "run", "-c", config); code != exitOK && code != exitPartial {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	w.check()
	w.compare()
	t.Logf("%v, %d runs", steps, len(journal(t, config)))
}
