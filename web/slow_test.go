package web

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener of connections in memory, whose deadlines follow the simulated clock.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	over  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), over: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.over:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.over) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (p *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours
}

// simulated serves through pipes in a bubble with a clock of its own.
func simulated(t *testing.T, s *Server, fn func(p *pipes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		d := s.open(p, socketDoor, nil, nil)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- d.Serve(ctx) }()
		fn(p)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// cutOff reads until the connection ends and returns how long that took.
func cutOff(c net.Conn) time.Duration {
	began := time.Now()
	_, _ = io.Copy(io.Discard, c)
	return time.Since(began)
}

// TestSlowClients holds how long somebody may take to say what they want.
func TestSlowClients(t *testing.T) {
	for name, tc := range map[string]struct {
		say  string
		wait time.Duration
	}{
		"says nothing":       {"", headerTimeout},
		"stops in a header":  {"GET /v1/status HTTP/1.1\r\nHost: d\r\nX-Long: ", headerTimeout},
		"stops in the body":  {"POST /v1/syncs/staff/sync-now HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", readTimeout},
		"asks nothing else":  {"GET /livez HTTP/1.1\r\nHost: d\r\n\r\n", idleTimeout},
		"has a large header": {"GET /livez HTTP/1.1\r\nHost: d\r\nX-Long: " + strings.Repeat("x", 2*maxHeader), 500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			simulated(t, &Server{Daemon: newMemory()}, func(p *pipes) {
				c := p.dial()
				defer c.Close()
				go func() { _, _ = io.WriteString(c, tc.say) }()
				if got := cutOff(c); got < tc.wait/2 || got > tc.wait+time.Second {
					t.Errorf("cut off after %v, want about %v", got, tc.wait)
				}
			})
		})
	}
}

// readHeaders reads exactly the headers of an answer.
func readHeaders(c net.Conn) {
	var got []byte
	for one := make([]byte, 1); !strings.HasSuffix(string(got), "\r\n\r\n"); got = append(got, one[0]) {
		if _, err := c.Read(one); err != nil {
			return
		}
	}
}

// TestSlowReaders holds how long somebody may take to read, and that it holds nobody else up.
func TestSlowReaders(t *testing.T) {
	for name, tc := range map[string]struct {
		say  string
		wait time.Duration
	}{
		"an answer": {"GET /v1/status HTTP/1.1\r\nHost: d\r\n\r\n", writeTimeout},
		"a stream":  {"GET /v1/syncs/staff/progress HTTP/1.1\r\nHost: d\r\n\r\n", streamTimeout},
		"a command": {"POST /v1/exec HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{\"args\":[\"x\"]}", execTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			ended := make(chan struct{})
			exec := func(ctx context.Context, _ Command, stdout, _ io.Writer) int {
				defer close(ended)
				for ctx.Err() == nil {
					_, _ = stdout.Write(make([]byte, maxFrame))
				}
				return 0
			}
			simulated(t, &Server{Daemon: m, Exec: exec}, func(p *pipes) {
				c := p.dial()
				defer c.Close()
				_, _ = io.WriteString(c, tc.say)
				readHeaders(c) // and then they read no more
				began := time.Now()
				for range 100 * backlog { // a run goes on telling
					m.feed.Tell(Progress{Sync: "staff"})
				}
				if got := time.Since(began); got != 0 {
					t.Errorf("telling waited for %v", got)
				}
				<-time.After(tc.wait + time.Second) // simulated
				synctest.Wait()
				if name == "a command" {
					<-ended
				}
				_, err := c.Write([]byte("x"))
				if err == nil {
					t.Error("the connection is still open")
				}
			})
		})
	}
}

// TestLongStreams holds that a stream and a command may take hours, if they are read.
func TestLongStreams(t *testing.T) {
	m := newMemory()
	const hours = 5 * time.Hour
	exec := func(ctx context.Context, _ Command, stdout, _ io.Writer) int {
		select {
		case <-ctx.Done():
			return 1
		case <-time.After(hours):
			_, _ = io.WriteString(stdout, "at last")
			return 0
		}
	}
	simulated(t, &Server{Daemon: m, Exec: exec}, func(p *pipes) {
		client := newClient(func(context.Context) (net.Conn, error) { return p.dial(), nil })
		defer client.Close()
		var out strings.Builder
		if code, err := client.Exec(context.Background(), Command{Args: []string{"run"}}, &out, io.Discard); code != 0 || err != nil || out.String() != "at last" {
			t.Errorf("got %d, %v, %q", code, err, out.String())
		}

		res, err := client.send(context.Background(), http.MethodGet, "/v1/syncs/staff/progress", nil, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer res.Body.Close()
		if got := res.Header.Get("Content-Type"); got != "text/event-stream" {
			t.Errorf("got %s, want a stream of events", got)
		}
		beats, began := 0, time.Now()
		lines := bufio.NewScanner(res.Body)
		for beats < 100 && lines.Scan() {
			if strings.HasPrefix(lines.Text(), ": ") {
				beats++
			}
		}
		if got := time.Since(began); beats != 100 || got != 100*heartbeatEvery {
			t.Errorf("got %d heartbeats in %v, want 100 in %v", beats, got, 100*heartbeatEvery)
		}
		m.feed.Tell(Progress{Sync: "staff", Run: "7", Done: 5, At: time.Now()})
		var text []string
		for len(text) < 2 && lines.Scan() {
			if lines.Text() != "" && lines.Text()[0] != ':' {
				text = append(text, lines.Text())
			}
		}
		if len(text) != 2 || text[0] != "event: progress" || !strings.HasPrefix(text[1], `data: {"sync":"staff","run":"7"`) {
			t.Errorf("got %q", text)
		}
	})
}

// TestFeed holds the rules of telling: the latest first, everything after it, and whoever does not keep up is dropped.
func TestFeed(t *testing.T) {
	var f Feed
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	early := f.Watch(ctx, "staff")
	if _, ok := f.Last("staff"); ok {
		t.Error("there is news before there was any")
	}
	f.Tell(Progress{Sync: "staff", Done: 1})
	f.Tell(Progress{Sync: "other", Done: 9})
	late := f.Watch(ctx, "staff")
	f.Tell(Progress{Sync: "staff", Done: 2})
	for name, c := range map[string]<-chan Progress{"early": early, "late": late} {
		if x, y := <-c, <-c; x.Done != 1 || y.Done != 2 {
			t.Errorf("%s: got %d and %d, want 1 and 2", name, x.Done, y.Done)
		}
	}
	for i := range 2 * backlog {
		f.Tell(Progress{Sync: "staff", Done: i})
	}
	n := 0
	for range early {
		n++
	}
	if n != backlog {
		t.Errorf("a watcher who does not keep up got %d, want %d and then the end", n, backlog)
	}
	if p, ok := f.Last("staff"); !ok || p.Done != 2*backlog-1 {
		t.Errorf("the last is %v, %v", p, ok)
	}
	cancel()
	for range late {
	}
}

// TestConnectionsAreBounded holds that whoever opens many connections and says nothing keeps others waiting and no longer
// than it takes to see through them, and that a full door can be closed.
func TestConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		s := &Server{Daemon: newMemory()}
		d := s.open(bound(p), socketDoor, nil, nil)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- d.Serve(ctx) }()
		for range maxConns {
			defer p.dial().Close()
		}
		began := time.Now()
		client := newClient(func(context.Context) (net.Conn, error) { return p.dial(), nil })
		defer client.Close()
		if err := client.Ready(context.Background()); err != nil {
			t.Error(err)
		}
		if got := time.Since(began); got < headerTimeout/2 || got > headerTimeout+time.Second {
			t.Errorf("the next one waited for %v, want about %v", got, headerTimeout)
		}
		for range maxConns - 1 {
			defer p.dial().Close()
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// ponderous takes its time for deciding.
type ponderous struct{ *memory }

func (p ponderous) Approve(ctx context.Context, v Verdict) (int, error) {
	<-time.After(20 * time.Minute) // simulated
	return p.memory.Approve(ctx, v)
}

// TestLongDecisions holds that the patience of the server is with itself, too: what takes long is still answered.
func TestLongDecisions(t *testing.T) {
	simulated(t, &Server{Daemon: ponderous{newMemory()}}, func(p *pipes) {
		client := newClient(func(context.Context) (net.Conn, error) { return p.dial(), nil })
		defer client.Close()
		if n, err := client.Approve(context.Background(), Verdict{Hold: 3, Digest: testDigest}); n != 12 || err != nil {
			t.Errorf("got %d, %v, want 12", n, err)
		}
	})
}
