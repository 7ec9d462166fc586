package graph

import (
	"bufio"
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

// BenchmarkFirstRead reads everybody of a large tenant that takes fifty milliseconds for each answer, in both ways.
func BenchmarkFirstRead(b *testing.B) {
	const people = 200_000
	cfg := startTenant(b, people, 50*time.Millisecond)
	for _, how := range []FirstRead{FirstPlain, FirstParallel} {
		b.Run(string(how), func(b *testing.B) {
			cfg.FirstRead = how
			c, err := New(cfg)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(c.Close)
			s, n := c.Users(benchProperties()), 0
			for b.Loop() {
				got := 0
				err := s.Read(b.Context(), "", func(p dirsync.Page) error {
					got += len(p.Records)
					return nil
				})
				if err != nil || got != people {
					b.Fatalf("got %d people and %v, want %d", got, err, people)
				}
				n++
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(n), "s/read")
			b.ReportMetric(float64(s.Requests())/float64(n), "requests/read")
			b.ReportMetric(0, "ns/op")
		})
	}
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
