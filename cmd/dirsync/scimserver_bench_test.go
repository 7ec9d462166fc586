package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"dirsync/scim/server"
	"dirsync/store"
)

var pushPeople = flag.Int("people", 100_000, "how many users the directory of BenchmarkPushing has; half of them are in one group")

// BenchmarkPushing measures a daemon in a process of its own, as clients see it, with 64 connections beside it on the same
// machine: requests a second, and the daemon's memory.
//
//	go test ./cmd/dirsync -run xxx -bench Pushing -benchtime 20000x
func BenchmarkPushing(b *testing.B) {
	dir := b.TempDir()
	config := pushConfigIn(b, dir, unlimited)
	n := *pushPeople
	token, group := fillDirectory(b, dir, config, n)
	s := serving(b, config)
	p := pushTo(b, s, 0)
	base, err := url.Parse(p.base)
	if err != nil {
		b.Fatal(err)
	}
	id := func(i int) string { return fmt.Sprintf("u%08d", i%n+1) }
	const patch = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"%s","path":"%s","value":%s}]}`
	var posted atomic.Int64
	for _, bench := range []struct {
		name   string
		status int
		// request is the method, the path and the body of the i-th request.
		request func(i int) (method, path, body string)
	}{
		{"filter", 200, func(i int) (string, string, string) {
			return "GET", "/Users?filter=" + url.QueryEscape(`userName eq "PERSON`+strconv.Itoa(i*7919%n)+`@contoso.com"`), ""
		}},
		{"get", 200, func(i int) (string, string, string) { return "GET", "/Users/" + id(i*7919), "" }},
		{"post", 201, func(int) (string, string, string) { return "POST", "/Users", pushedPerson(n + int(posted.Add(1))) }},
		{"patch", 200, func(i int) (string, string, string) {
			return "PATCH", "/Users/" + id(i*7919), fmt.Sprintf(patch, "Replace", "title", `"title `+strconv.Itoa(i)+`"`)
		}},
		{"member", 204, func(i int) (string, string, string) {
			return "PATCH", "/Groups/" + group, fmt.Sprintf(patch, "Add", "members", `[{"value":"`+id(n/2+i)+`"}]`)
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			var next, wrong atomic.Int64
			var all sync.WaitGroup
			before := residentKB(s.cmd.Process.Pid)
			b.ResetTimer()
			for range 64 {
				all.Go(func() {
					err := rawRequests(base.Host, func() []byte {
						i := int(next.Add(1)) - 1
						if i >= b.N {
							return nil
						}
						method, path, body := bench.request(i)
						return fmt.Appendf(nil, "%s %s%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/scim+json\r\nContent-Length: %d\r\n\r\n%s",
							method, base.Path, path, base.Host, token, len(body), body)
					}, func(status int) {
						if status != bench.status {
							wrong.Add(1)
						}
					})
					if err != nil {
						b.Error(err)
					}
				})
			}
			all.Wait()
			b.StopTimer()
			if wrong.Load() > 0 {
				b.Errorf("%d of %d answers were not %d", wrong.Load(), b.N, bench.status)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
			b.ReportMetric(float64(residentKB(s.cmd.Process.Pid))/1024, "MB")
			b.ReportMetric(float64(residentKB(s.cmd.Process.Pid)-before)/1024, "MB-more")
		})
	}
}

// BenchmarkStatusWhilePushing asks a daemon how everything stands while eight clients change people as fast as they can.
//
//	go test ./cmd/dirsync -run xxx -bench StatusWhilePushing -benchtime 500x -people 20000
func BenchmarkStatusWhilePushing(b *testing.B) {
	dir := b.TempDir()
	config := pushConfigIn(b, dir, unlimited)
	token, _ := fillDirectory(b, dir, config, *pushPeople)
	s := serving(b, config)
	p := pushTo(b, s, 0)
	base, err := url.Parse(p.base)
	if err != nil {
		b.Fatal(err)
	}
	var all sync.WaitGroup
	var over atomic.Bool
	var sent atomic.Int64
	for range 8 {
		all.Go(func() {
			err := rawRequests(base.Host, func() []byte {
				if over.Load() {
					return nil
				}
				i := sent.Add(1)
				body := fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"title","value":"title %d"}]}`, i)
				return fmt.Appendf(nil, "PATCH %s/Users/u%08d HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/scim+json\r\nContent-Length: %d\r\n\r\n%s",
					base.Path, int(i*7919)%*pushPeople+1, base.Host, token, len(body), body)
			}, func(int) {})
			if err != nil {
				b.Error(err)
			}
		})
	}
	c := s.client()
	took := make([]time.Duration, 0, b.N)
	b.ResetTimer()
	for range b.N {
		began := time.Now()
		if v, err := c.Status(b.Context()); err != nil || v.SCIM == nil {
			b.Fatal(v, err)
		}
		took = append(took, time.Since(began))
	}
	b.StopTimer()
	over.Store(true)
	all.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(sent.Load())/b.Elapsed().Seconds(), "requests/s")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(0, "ns/op")
}

// rawRequests sends requests over one connection, one after the other, until next returns nil. It does less for each than
// net/http, so that what is measured is the daemon.
func rawRequests(host string, next func() []byte, answered func(status int)) error {
	conn, err := net.Dial("tcp", host)
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 64<<10)
	for {
		request := next()
		if request == nil {
			return nil
		}
		if _, err := conn.Write(request); err != nil {
			return err
		}
		status, err := readAnswer(in)
		if err != nil {
			return err
		}
		answered(status)
	}
}

// readAnswer reads an answer and forgets its body.
func readAnswer(in *bufio.Reader) (status int, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil || len(line) < 12 {
		return 0, errors.Join(errors.New("no status line"), err)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, err
	}
	length := 0
	for {
		if line, err = in.ReadSlice('\n'); err != nil {
			return 0, err
		}
		if len(line) <= 2 {
			break
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, err
			}
		}
	}
	_, err = io.CopyN(io.Discard, in, int64(length))
	return status, err
}

// pushedPerson is a user as Entra creates one.
func pushedPerson(n int) string {
	return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],`+
		`"externalId":"0a21f0f2-8d2a-4f8e-bf98-%012d","userName":"person%d@contoso.com","active":true,"displayName":"Person %d","title":"Engineer",`+
		`"emails":[{"primary":true,"type":"work","value":"person%d@contoso.com"}],"name":{"familyName":"Person","givenName":"Number %d"},`+
		`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Sales","employeeNumber":"%d"}}`, n, n, n, n, n, n)
}

// fillDirectory makes n users and a group of half of them through the server itself, without a network, and a token.
func fillDirectory(b *testing.B, dir, config string, n int) (token, group string) {
	b.Helper()
	cfg, err := LoadConfig(config)
	if err != nil {
		b.Fatal(err)
	}
	st, err := store.Open(filepath.Join(dir, "dirsync.db"), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	if err := rightFeed(b.Context(), cfg, st); err != nil {
		b.Fatal(err)
	}
	a := newApp(nil, nil)
	a.log = zerolog.Nop()
	tokens, err := openTokens(b.Context(), st, a.now)
	if err != nil {
		b.Fatal(err)
	}
	if token, err = tokens.create(b.Context(), scimToken{Name: "bench", Scopes: server.Scopes()}); err != nil {
		b.Fatal(err)
	}
	p, err := newPushing(a, cfg, st, tokens)
	if err != nil {
		b.Fatal(err)
	}
	do := func(path, body string) string {
		req := httptest.NewRequest("POST", "/scim/v2"+path, strings.NewReader(body))
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/scim+json")
		w := httptest.NewRecorder()
		if p.handler.Load().ServeHTTP(w, req); w.Code != http.StatusCreated {
			b.Errorf("POST: %d %s", w.Code, w.Body)
		}
		return w.Body.String()
	}
	began := time.Now()
	var next atomic.Int64
	var all sync.WaitGroup
	for range 256 {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && !b.Failed(); i = int(next.Add(1)) - 1 {
				do("/Users", pushedPerson(i))
			}
		})
	}
	all.Wait()
	var members strings.Builder
	for i := range n / 2 {
		fmt.Fprintf(&members, `,{"value":"u%08d"}`, i+1)
	}
	group = made(b, do("/Groups", `{"displayName":"half","members":[`+members.String()[1:]+`]}`))
	b.Logf("%d users and a group of %d were made in %v, in this process", n, n/2, time.Since(began).Round(time.Millisecond))
	if err := st.Close(); err != nil {
		b.Fatal(err)
	}
	runtime.GC()
	return token, group
}

// residentKB is the anonymous memory of a process in kilobytes, as far as the system says it: what it holds beside files.
func residentKB(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			n, _ := strconv.Atoi(strings.Fields(rest)[0])
			return n
		}
	}
	return 0
}
