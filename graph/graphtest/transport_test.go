package graphtest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dirsync/graph/graphtest"
)

// TestTransport reads a tenant in process, inside a bubble whose clock moves by itself.
func TestTransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := &graphtest.Tenant{}
		tenant.Generate(300, 1)
		c := &client{tb: t, tenant: tenant, url: authority, http: &http.Client{Transport: tenant.Transport()}}
		resp, err := c.http.PostForm(authority+"/"+graphtest.DefaultID+"/oauth2/v2.0/token", form())
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("sign in: %v, %v", resp, err)
		}
		resp.Body.Close()
		c.token = accessToken(t, tenant)
		rows, link := c.drain(c.start("$select=mail"))
		if len(rows) != 300 || !strings.HasPrefix(link, authority+"/v1.0/users/delta?$deltatoken=") {
			t.Errorf("got %d rows and %s", len(rows), link)
		}

		time.Sleep(8 * 24 * time.Hour) // virtual
		c.token = accessToken(t, tenant)
		if r := c.get(link); r.code() != "syncStateNotFound" {
			t.Errorf("after eight days: got %d %s", r.status, r.body)
		}

		tenant.SetFaults(graphtest.Faults{Rules: []graphtest.Rule{{Fault: graphtest.Fault{Delay: time.Minute}}}})
		start := time.Now()
		c.get(c.start("$select=mail"))
		if got := time.Since(start); got != time.Minute {
			t.Errorf("a slow answer took %v, want 1m", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.start("$select=mail"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := c.http.Do(req); !errors.Is(err, context.DeadlineExceeded) {
			if err == nil {
				resp.Body.Close()
			}
			t.Errorf("a client without patience: got %v", err)
		}

		tenant.SetFaults(graphtest.Faults{Rules: []graphtest.Rule{{Fault: graphtest.Fault{Reset: true}}}})
		r, err := c.try(c.start("$select=mail"))
		if err != nil || !errors.Is(r.err, io.ErrUnexpectedEOF) || len(r.body) == 0 {
			t.Errorf("reset: got %v, %v and %d bytes", err, r.err, len(r.body))
		}
		if _, err := c.try("http://tenant.example/v1.0/users/delta"); err == nil {
			t.Error("a token was taken without encryption")
		}
	})
}
