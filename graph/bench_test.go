package graph

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"dirsync"
	"dirsync/graph/graphtest"
)

// delayVariable adds this much time to each answer of that tenant, as a network and a service far away do.
const delayVariable = "DIRSYNC_GRAPH_BENCH_DELAY"

// tenantVariable makes the test binary serve a tenant of so many people instead of running tests, so that benchmarks
// measure the reader and not the simulation in the same process.
const tenantVariable = "DIRSYNC_GRAPH_BENCH_TENANT"

func TestMain(m *testing.M) {
	if n, err := strconv.Atoi(os.Getenv(tenantVariable)); err == nil {
		os.Exit(serveTenant(n))
	}
	os.Exit(m.Run())
}

// address is what the other process says of itself on its first line.
type address struct {
	URL string
	CA  []byte
}

// serveTenant serves until its standard input ends, which happens when the benchmark's process does.
func serveTenant(n int) int {
	tenant := &graphtest.Tenant{}
	if delay, err := time.ParseDuration(os.Getenv(delayVariable)); err == nil {
		tenant.Hook = func(*http.Request) graphtest.Fault { return graphtest.Fault{Delay: delay} }
	}
	tenant.Generate(n, 1)
	s, err := graphtest.Start(tenant)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := json.NewEncoder(os.Stdout).Encode(address{s.URL, s.CA}); err != nil {
		return 1
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = s.Close()
	return 0
}

func startTenant(b *testing.B, n int, delay time.Duration) Config {
	b.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), tenantVariable+"="+strconv.Itoa(n), delayVariable+"="+delay.String())
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		b.Fatal(err)
	}
	var a address
	if err := json.Unmarshal(line, &a); err != nil {
		b.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.CA)
	return Config{Tenant: graphtest.DefaultID, ClientID: graphtest.DefaultClientID, Credential: Credential{Secret: graphtest.DefaultSecret},
		Authority: a.URL, BaseURL: a.URL + "/v1.0", RootCAs: roots, FirstRead: FirstPlain}
}

const benchPeople = 100_000

func benchProperties() []string {
	return []string{"givenName", "surname", "mail", "jobTitle", "department", "officeLocation", "mobilePhone", "employeeId", "employeeHireDate"}
}

// BenchmarkRead reads everybody of a tenant in another process, as a first run does, up to the point where a store
// would take the pages over.
func BenchmarkRead(b *testing.B) {
	c, err := New(startTenant(b, benchPeople, 0))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	s := c.Users(benchProperties())
	b.ReportAllocs()
	users := 0
	for b.Loop() {
		got := 0
		err := s.Read(b.Context(), "", func(p dirsync.Page) error {
			got += len(p.Records)
			return nil
		})
		if err != nil || got != benchPeople {
			b.Fatalf("got %d people and %v, want %d", got, err, benchPeople)
		}
		users += got
	}
	b.ReportMetric(float64(users)/b.Elapsed().Seconds(), "users/s")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkFirstRead reads everybody of a large tenant in another process that takes fifty milliseconds for each answer,
// in both ways, and checks that the parallel one takes an eighth of the time at most. The wait for the replicas, which is
// the same for tenants of any size and nobody's work, is left out here and told as s/wait; TestFirstReadIsFast has it in.
// A reading that was primed half a minute before waits for nothing.
// With "still" nothing delays the answers, and what is measured is what the reader itself can do.
func BenchmarkFirstRead(b *testing.B) {
	const people = 200_000
	cfg := startTenant(b, people, 50*time.Millisecond)
	var plain, parallel time.Duration
	b.Run("plain", func(b *testing.B) { plain = benchFirstRead(b, cfg, FirstPlain, people, false) })
	b.Run("parallel", func(b *testing.B) { benchFirstRead(b, cfg, FirstParallel, people, false) })
	b.Run("primed", func(b *testing.B) {
		parallel = benchFirstRead(b, cfg, FirstParallel, people, true)
		if plain > 0 {
			b.ReportMetric(plain.Seconds()/parallel.Seconds(), "times-plain")
			if plain < 8*parallel {
				b.Fatalf("plain takes %v and parallel %v, want an eighth of it at most", plain, parallel)
			}
		}
	})
	still := startTenant(b, people, 0)
	b.Run("still/plain", func(b *testing.B) { benchFirstRead(b, still, FirstPlain, people, false) })
	b.Run("still/parallel", func(b *testing.B) { benchFirstRead(b, still, FirstParallel, people, false) })
}

// benchFirstRead returns how long one reading takes.
func benchFirstRead(b *testing.B, cfg Config, how FirstRead, people int, primed bool) time.Duration {
	b.Helper()
	var waited, ahead time.Duration
	cfg.FirstRead = how
	cfg.Now = func() time.Time { return time.Now().Add(ahead) }
	cfg.Sleep = func(ctx context.Context, d time.Duration) error {
		if waited += d; d == replicaLag {
			return ctx.Err()
		}
		return sleep(ctx, d)
	}
	c, err := New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	s, n := c.Users(benchProperties()), 0
	begin := dirsync.Cursor("")
	if primed {
		if begin, err = s.Prime(b.Context()); err != nil || begin == "" {
			b.Fatalf("prime: %q %v", begin, err)
		}
		ahead = 30 * time.Second // half a minute goes by before the reading
	}
	b.ReportAllocs()
	for b.Loop() {
		got := 0
		err := s.Read(b.Context(), begin, func(p dirsync.Page) error {
			got += len(p.Records)
			return nil
		})
		if err != nil || got != people {
			b.Fatalf("got %d people and %v, want %d", got, err, people)
		}
		n++
	}
	if primed && waited > 0 {
		b.Fatalf("waited %v", waited)
	}
	requests := float64(s.Requests()) / float64(n)
	if most := float64(people/listTop + quantiles + 26 + 8); how == FirstParallel && requests > most {
		b.Fatalf("%v requests a reading, want at most %v", requests, most)
	}
	b.ReportMetric(float64(people*n)/b.Elapsed().Seconds(), "users/s")
	b.ReportMetric(requests, "requests/read")
	b.ReportMetric(waited.Seconds()/float64(n), "s/wait")
	b.ReportMetric(b.Elapsed().Seconds()/float64(n), "s/read")
	b.ReportMetric(0, "ns/op")
	return b.Elapsed() / time.Duration(n)
}

// BenchmarkFetchAndDecode is the least that reading can cost: net/http and the decoder, page after page, and nothing
// else. What BenchmarkRead adds are the SDK, the retries, the checks of links and the hand-over; what it saves is the
// waiting, because it fetches ahead.
func BenchmarkFetchAndDecode(b *testing.B) {
	c, err := New(startTenant(b, benchPeople, 0))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	token, err := c.tokens.get(b.Context(), "", "")
	if err != nil {
		b.Fatal(err)
	}
	client := &http.Client{Transport: c.cfg.Transport}
	s := c.Users(benchProperties())
	info, err := s.deltaRequest(b.Context(), mark{Select: s.selected})
	if err != nil {
		b.Fatal(err)
	}
	info.PathParameters["baseurl"] = c.cfg.BaseURL
	first, err := info.GetUri()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	users := 0
	for b.Loop() {
		d := newDecoder()
		for link, done := first.String(), false; !done; {
			req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, link, nil)
			if err != nil {
				b.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+token.text)
			resp, err := client.Do(req)
			if err != nil {
				b.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil {
				b.Fatal(err)
			}
			page, err := d.page(body)
			if err != nil {
				b.Fatal(err)
			}
			users += len(page.records)
			link, done = page.link, page.complete
		}
	}
	b.ReportMetric(float64(users)/b.Elapsed().Seconds(), "users/s")
	b.ReportMetric(0, "ns/op")
}
