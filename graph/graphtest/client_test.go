package graphtest_test

import (
	"encoding/json"
	"io"
	"iter"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"dirsync/graph/graphtest"
)

// client is a naive client of a served tenant: it follows links and fails the test at anything it did not expect.
type client struct {
	tb     testing.TB
	tenant *graphtest.Tenant
	url    string
	http   *http.Client
	token  string
	prefer string
	// headers are sent with every GET besides.
	headers map[string]string
}

func connect(tb testing.TB, tenant *graphtest.Tenant) *client {
	tb.Helper()
	s, err := graphtest.Start(tenant)
	if err != nil {
		tb.Fatal(err)
	}
	c := &client{tb: tb, tenant: tenant, url: s.URL, http: s.Client()}
	tb.Cleanup(func() {
		c.http.CloseIdleConnections()
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	c.token = accessToken(tb, tenant)
	return c
}

// response is an answer, read to its end.
type response struct {
	status int
	header http.Header
	body   []byte
	err    error // of reading the body
}

// code is the error code of Graph in the answer.
func (r response) code() string {
	var e struct{ Error struct{ Code string } }
	if json.Unmarshal(r.body, &e) != nil {
		return ""
	}
	return e.Error.Code
}

func (c *client) try(url string) (response, error) {
	c.tb.Helper()
	if strings.HasPrefix(url, "/") {
		url = c.url + url
	}
	req, err := http.NewRequestWithContext(c.tb.Context(), http.MethodGet, url, nil)
	if err != nil {
		c.tb.Fatal(err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if c.prefer != "" {
		req.Header.Set("Prefer", c.prefer)
	}
	for name, value := range c.headers {
		req.Header.Set(name, value)
	}
	return c.send(req)
}

func (c *client) send(req *http.Request) (response, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return response{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return response{resp.StatusCode, resp.Header, b, err}, nil
}

// do sends a request that must be answered in full.
func (c *client) do(req *http.Request) response {
	c.tb.Helper()
	r, err := c.send(req)
	if err == nil {
		err = r.err
	}
	if err != nil {
		c.tb.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	return r
}

// get is try for requests that must be answered in full, whatever the status.
func (c *client) get(url string) response {
	c.tb.Helper()
	r, err := c.try(url)
	if err == nil {
		err = r.err
	}
	if err != nil {
		c.tb.Fatalf("GET %s: %v", url, err)
	}
	return r
}

// page is one page of a round or a list.
type page struct {
	Context string            `json:"@odata.context"`
	Value   []json.RawMessage `json:"value"`
	Next    string            `json:"@odata.nextLink"`
	Delta   string            `json:"@odata.deltaLink"`
}

func (c *client) page(url string) page {
	c.tb.Helper()
	r := c.get(url)
	if r.status != http.StatusOK {
		c.tb.Fatalf("GET %s: %d %s", url, r.status, r.body)
	}
	var p page
	if err := json.Unmarshal(r.body, &p); err != nil {
		c.tb.Fatalf("GET %s: %v in %s", url, err, r.body)
	}
	if p.Next != "" && p.Delta != "" {
		c.tb.Fatalf("GET %s: both links", url)
	}
	return p
}

func (c *client) start(query string) string { return c.url + "/v1.0/users/delta?" + query }

// round yields the pages from a link to the end of the round.
func (c *client) round(link string) iter.Seq[page] {
	return func(yield func(page) bool) {
		for n := 0; link != ""; n++ {
			if n > 100_000 {
				c.tb.Fatal("the round does not end")
			}
			p := c.page(link)
			if !yield(p) {
				return
			}
			if p.Next == "" && p.Delta == "" {
				c.tb.Fatal("a page without links")
			}
			link = p.Next
		}
	}
}

// row is a decoded row.
type row map[string]any

func (r row) id() string { s, _ := r["id"].(string); return s }

// removed is the reason of a tombstone, "" for a live row.
func (r row) removed() string {
	m, _ := r["@removed"].(map[string]any)
	s, _ := m["reason"].(string)
	return s
}

// drain reads a round to its end and returns its rows in order and the delta link.
func (c *client) drain(link string) (rows []row, delta string) {
	c.tb.Helper()
	for p := range c.round(link) {
		for _, raw := range p.Value {
			var r row
			if err := json.Unmarshal(raw, &r); err != nil {
				c.tb.Fatal(err)
			}
			rows = append(rows, r)
		}
		delta = p.Delta
	}
	return rows, delta
}

// clock is a clock that moves when it is told to.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}
