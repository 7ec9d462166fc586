package main

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dirsync"
	"dirsync/graph"
	"dirsync/graph/graphtest"
)

var large = flag.Bool("large", false, "run the benchmarks of a million people too")

// tenantAddress is what the tenant's process says when it is ready.
type tenantAddress struct{ URL, CA string }

func envOr(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

func waitForEnd() { _, _ = io.Copy(io.Discard, os.Stdin) }

// tenantProcess starts a tenant of n people in a process of its own, and stops it with the benchmark.
func tenantProcess(b *testing.B, n int, env ...string) tenantAddress {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childVariable+"=tenant", fmt.Sprint("DIRSYNC_TEST_PEOPLE=", n), "GOMEMLIMIT=off")
	cmd.Env = append(cmd.Env, env...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = stdin.Close(); _ = cmd.Wait() })
	var addr tenantAddress
	if err := json.NewDecoder(bufio.NewReader(stdout)).Decode(&addr); err != nil {
		b.Fatal(err)
	}
	return addr
}

// peak runs a command and returns how long it took and the highest anonymous memory that its process had, in bytes.
func peak(b *testing.B, cmd *exec.Cmd) (took time.Duration, rss int64) {
	b.Helper()
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			if exit, ok := err.(*exec.ExitError); err != nil && !(ok && exit.ExitCode() == exitPartial) {
				b.Fatalf("%v\n%s", err, out.String())
			}
			return time.Since(began), rss
		case <-tick.C:
			rss = max(rss, rssAnon(cmd.Process.Pid))
		}
	}
}

// rssAnon is a process's anonymous memory in bytes; the mapped store file belongs to the page cache and is not in it.
func rssAnon(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		var kb int64
		if n, _ := fmt.Sscanf(line, "RssAnon: %d kB", &kb); n == 1 {
			return kb << 10
		}
	}
	return 0
}

// BenchmarkFirstRun is a real `dirsync run` into an empty store, against a tenant in another process on the same
// machine. Beside it the same pages are only fetched and decoded, and the ratio is printed.
func BenchmarkFirstRun(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			if n > 100_000 && !*large {
				b.Skip("-large runs it: it takes minutes")
			}
			addr := tenantProcess(b, n)
			var took, bare time.Duration
			var rss, size int64
			for b.Loop() {
				dir := b.TempDir()
				config := setUp(b, dir, addr.URL, []byte(addr.CA), (&graphtest.Tenant{}).Identity())
				t, r := peak(b, benchChild(b, "run", "-c", config, "-o", "json"))
				took, rss = took+t, max(rss, r)
				bare += bareRead(b, addr, n)
				if info, err := os.Stat(filepath.Join(dir, "dirsync.db")); err == nil {
					size = info.Size()
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/took.Seconds(), "users/s")
			b.ReportMetric(float64(n)*float64(b.N)/bare.Seconds(), "bare-users/s")
			b.ReportMetric(took.Seconds()/bare.Seconds(), "run/bare")
			b.ReportMetric(float64(rss)/(1<<20), "peak-RssAnon-MB")
			b.ReportMetric(float64(size)/float64(n), "B/user")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkNothingChanged is a run over people of whom none has changed, and of whom no two want one address, because
// such a conflict is tried again in every run. It prints the time of the run, and that of the whole process, which
// reads through the store's file before it trusts it.
func BenchmarkNothingChanged(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			addr := tenantProcess(b, n, "DIRSYNC_TEST_UNIQUE=1")
			config := setUp(b, b.TempDir(), addr.URL, []byte(addr.CA), (&graphtest.Tenant{}).Identity())
			peak(b, benchChild(b, "run", "-c", config))
			var inRun, inProcess time.Duration
			var requests, written int
			for b.Loop() {
				began := time.Now()
				out, err := benchChild(b, "run", "-c", config, "-o", "json").Output()
				inProcess += time.Since(began)
				if exit, ok := err.(*exec.ExitError); err != nil && !(ok && exit.ExitCode() == exitPartial) {
					b.Fatal(err)
				}
				var view runsView
				if err := json.Unmarshal(out, &view); err != nil || len(view.Runs) != 1 {
					b.Fatalf("%v\n%s", err, out)
				}
				r := view.Runs[0]
				inRun += r.Ended.Sub(r.Started)
				requests, written = r.Requests.Source, r.Created+r.Updated+r.Deactivated+r.Reactivated+r.Deleted
			}
			b.ReportMetric(float64(inRun.Microseconds())/float64(b.N)/1000, "run-ms")
			b.ReportMetric(float64(inProcess.Microseconds())/float64(b.N)/1000, "process-ms")
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(requests), "requests")
			b.ReportMetric(float64(written), "writes")
		})
	}
}

func benchChild(b *testing.B, args ...string) *exec.Cmd {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), childVariable+"=dirsync")
	return cmd
}

// bareRead fetches and decodes everybody and does nothing else.
func bareRead(b *testing.B, addr tenantAddress, n int) time.Duration {
	b.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(addr.CA))
	identity := (&graphtest.Tenant{}).Identity()
	client, err := graph.New(graph.Config{
		Tenant: identity.ID, ClientID: identity.ClientID, Credential: graph.Credential{Secret: identity.Secret},
		Authority: addr.URL, BaseURL: addr.URL + "/v1.0", RootCAs: pool, FirstRead: graph.FirstPlain,
	})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	began, got := time.Now(), 0
	source := client.Users([]string{"givenName", "surname", "mail", "department", "officeLocation"})
	err = source.Read(context.Background(), "", func(p dirsync.Page) error {
		got += len(p.Records)
		return nil
	})
	if err != nil || got < n {
		b.Fatalf("read %d of %d: %v", got, n, err)
	}
	return time.Since(began)
}
