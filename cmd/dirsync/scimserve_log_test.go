package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"dirsync"
	"dirsync/scim"
	"dirsync/scim/server"
	"dirsync/web"
)

// logRig is a history whose clock the test moves.
type logRig struct {
	*pushLog
	t  *testing.T
	mu sync.Mutex
	at time.Time
}

func newLogRig(t *testing.T) *logRig {
	r := &logRig{t: t, at: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)}
	var err error
	if r.pushLog, err = openPushLog(filepath.Join(t.TempDir(), "history"), r.clock, zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *logRig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at
}

// event adds a request, some time after the one before.
func (r *logRig) event(after time.Duration, method, id string, change ...func(*server.Event)) {
	r.mu.Lock()
	r.at = r.at.Add(after)
	e := server.Event{Time: r.at, Token: "entra", Method: method, Resource: "User", ID: id, Name: id + "@contoso.com", Status: 200}
	r.mu.Unlock()
	for _, fn := range change {
		fn(&e)
	}
	r.add(e)
}

// read describes what is asked for.
func (r *logRig) read(q pushQuery) string {
	r.t.Helper()
	if err := r.sync(); err != nil {
		r.t.Fatal(err)
	}
	list, err := readPushLog(r.dir, q)
	if err != nil {
		r.t.Fatal(err)
	}
	var out []string
	for _, e := range list {
		out = append(out, e.Method+" "+e.ID)
	}
	return strings.Join(out, ", ")
}

func TestPushLog(t *testing.T) {
	r := newLogRig(t)
	odd := func(e *server.Event) { e.Quirks = []scim.Quirk{{Code: scim.OpCase, Text: "Replace, not replace"}} }
	refused := func(e *server.Event) { e.Status, e.Detail = 409, "userName is in use by another resource" }
	r.event(0, "POST", "u1")
	r.event(time.Second, "GET", "u1")
	r.event(time.Second, "PATCH", "u1", odd)
	r.event(time.Second, "POST", "", refused)
	r.event(time.Second, "DELETE", "u2")
	r.event(time.Second, "GET", "u2", func(e *server.Event) { e.Status = 404 })
	for _, tt := range []struct {
		query pushQuery
		want  string
	}{
		{pushQuery{limit: 10}, "GET u2, DELETE u2, POST , PATCH u1, POST u1"},
		{pushQuery{limit: 2}, "GET u2, DELETE u2"},
		{pushQuery{limit: 10, reads: true}, "GET u2, DELETE u2, POST , PATCH u1, GET u1, POST u1"},
		{pushQuery{limit: 10, ids: []string{"u1"}}, "PATCH u1, POST u1"},
		{pushQuery{limit: 10, ids: []string{"u"}}, ""},
		{pushQuery{limit: 10, names: []string{"U1@contoso.com"}}, "PATCH u1, POST u1"},
		{pushQuery{limit: 10, quirks: true}, "PATCH u1"},
		{pushQuery{limit: 10, failed: true}, "GET u2, POST "},
	} {
		if got := r.read(tt.query); got != tt.want {
			t.Errorf("%+v: got  %q\nwant %q", tt.query, got, tt.want)
		}
	}

	// A line that a crash has cut off, and lines of others, are passed over.
	names := pushLogNames(r.dir, pushLogWrites)
	if len(names) != 1 {
		t.Fatalf("got the files %v", names)
	}
	for _, junk := range []string{`{"time":"2026-03-04T12:`, "\x00\x00", strings.Repeat("x", 2<<20) + "\n", "[]\n{}\n", "null\n"} {
		appendTo(t, names[0], junk)
	}
	r.event(time.Second, "PUT", "u3")
	if got := r.read(pushQuery{limit: 1}); got != "PUT u3" {
		t.Errorf("got %q", got)
	}
	info, err := os.Stat(names[0])
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// TestPushLogBounds: the history grows neither old nor large, and looking pushes no change out of it.
func TestPushLogBounds(t *testing.T) {
	r := newLogRig(t)
	r.event(0, "POST", "first")
	long := func(e *server.Event) { e.Changed = []string{strings.Repeat("x", 1000)} }
	size := func(sort string) (total int64) {
		for _, name := range pushLogNames(r.dir, sort) {
			if info, err := os.Stat(name); err == nil {
				total += info.Size()
			}
		}
		return total
	}
	for range (pushLogFiles + 2) * pushLogFile / 1_000_000 {
		for range 900 {
			r.event(time.Millisecond, "GET", "u1", long)
		}
		if err := r.sync(); err != nil {
			t.Fatal(err)
		}
	}
	if got := size(pushLogReads); got < 4*pushLogFile || got > (pushLogFiles+1)*pushLogFile {
		t.Errorf("got %d bytes of requests that look", got)
	}
	if got := r.read(pushQuery{limit: 10}); got != "POST first" {
		t.Errorf("got %q", got)
	}
	// More at once than there is room for is counted, and never waited for.
	stuck := &pushLog{news: make(chan struct{}, 1), much: make(chan struct{}, 1)} // whose disk does not take anything
	for range 2 * pushLogWait / 1000 {
		e := server.Event{Method: "PATCH"}
		long(&e)
		stuck.add(e)
	}
	if size := stuck.waits[0].Len(); stuck.lost == 0 || size > pushLogWait || size < pushLogWait-2000 {
		t.Errorf("%d bytes wait, and %d requests were left out", size, stuck.lost)
	}
	if err := r.sync(); err != nil {
		t.Fatal(err)
	}
	// After thirty days without a request the next one tidies up; files are as old as their last line.
	for _, name := range pushLogNames(r.dir, pushLogReads) {
		if err := os.Chtimes(name, r.at, r.at); err != nil {
			t.Fatal(err)
		}
	}
	r.event(pushLogKeep, "GET", "last")
	if got := r.read(pushQuery{limit: 1 << 20, reads: true}); got != "GET last, POST first" && got != "GET last" {
		t.Errorf("got %.200q", got)
	}
}

// FuzzPushLog: whatever is in the files of the history, reading it ends and does not panic.
func FuzzPushLog(f *testing.F) {
	f.Add([]byte(`{"time":"2026-03-04T12:00:00Z","method":"POST","id":"u1","status":201}` + "\n"))
	f.Add([]byte("{\n\n[]"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		name := filepath.Join(dir, "writes-1.jsonl")
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, q := range []pushQuery{{limit: 3}, {limit: 1, ids: []string{"u1"}}, {limit: 2, quirks: true}, {limit: 1 << 30, names: []string{"a"}}} {
			list, err := readPushLog(dir, q)
			if err != nil || len(list) > q.limit {
				t.Errorf("got %d of %d, %v", len(list), q.limit, err)
			}
			for _, e := range list {
				_ = requestWords(e.SCIMRequest, time.Now())
			}
		}
	})
}

// TestPushedHoldsAPI decides holds through the API of the daemon, which has them beside those of syncs.
func TestPushedHoldsAPI(t *testing.T) {
	s := serving(t, pushConfigIn(t, t.TempDir(), "    when_deleted: delete\n    limits: { deletes: { count: 0 } }\n"))
	p := pushTo(t, s, 0)
	for i := range 3 {
		id := made(t, p.want(201, "POST", "/Users", fmt.Sprintf(`{'userName':'u%d'}`, i)))
		p.want(204, "DELETE", "/Users/"+id, "")
	}
	c, ctx := s.client(), t.Context()
	for _, sync := range []string{"", pushed} {
		holds, err := c.Holds(ctx, sync, dirsync.HoldOpen, 0, 10)
		if err != nil || len(holds) != 1 || holds[0].People != 3 || holds[0].Sync != pushed {
			t.Fatalf("holds of %q: %+v, %v", sync, holds, err)
		}
	}
	h, err := c.Hold(ctx, 1)
	if err != nil || h.Kind != "deletion" || h.Digest == "" {
		t.Fatalf("got %+v, %v", h, err)
	}
	list, err := c.HeldChanges(ctx, 1, dirsync.PlanKey{}, 2)
	if err != nil || len(list) != 2 || list[0].Change.User != "u0" || list[0].Change.Kind != "delete" {
		t.Fatalf("got %+v, %v", list, err)
	}
	if list, err = c.HeldChanges(ctx, 1, dirsync.PlanKey{Kind: dirsync.Delete, Seq: dirsync.Seq(list[1].Change.Seq)}, 2); err != nil || len(list) != 1 || list[0].Change.User != "u2" {
		t.Fatalf("the second page: %+v, %v", list, err)
	}
	if n, err := c.Reject(ctx, web.Verdict{Hold: 1, Digest: h.Digest, People: []dirsync.ID{"u00000002"}, By: "ann", Why: "stays"}); n != 1 || err != nil {
		t.Fatalf("reject: %d, %v", n, err)
	}
	if _, err := c.Approve(ctx, web.Verdict{Hold: 1, Digest: h.Digest, By: "ann"}); dirsync.KindOf(err) != dirsync.Conflict {
		t.Fatalf("the old list: %v", err)
	}
	if h, err = c.Hold(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Approve(ctx, web.Verdict{Hold: 1, Digest: h.Digest, By: "ann"}); n != 2 || err != nil {
		t.Fatalf("approve: %d, %v", n, err)
	}
	p.want(200, "GET", "/Users?count=0", "", `"totalResults":1`)
	if h, err = c.Hold(ctx, 1); err != nil || h.Status != string(dirsync.HoldApproved) || h.By == "" {
		t.Errorf("got %+v, %v", h, err)
	}
	if _, err := c.Hold(ctx, 2); dirsync.KindOf(err) != dirsync.NotFound {
		t.Errorf("a hold that is not there: %v", err)
	}
}
