package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"dirsync"
)

// ErrNoDaemon says that no daemon listens on a socket. Whoever gets it opens the store itself.
var ErrNoDaemon = errors.New("no daemon is running")

// Client asks a daemon through its socket. It is a Daemon itself, and its errors have the kinds, the hints and the texts
// that the daemon's have. Its methods may be called from several goroutines.
type Client struct {
	http *http.Client
	// base is "http://dirsync": who is there is decided by the socket.
	base string
}

// Dial finds the daemon that listens on a socket. Where there is none, the error wraps ErrNoDaemon.
func Dial(socket string) (*Client, error) {
	if err := socketFits(socket); err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: 5 * time.Second}
	conn, err := dialer.DialContext(context.Background(), "unix", socket)
	op := "reach the daemon"
	switch {
	case err == nil:
		_ = conn.Close()
	case absent(err):
		return nil, &dirsync.Error{Op: op, Kind: dirsync.Unavailable, Err: fmt.Errorf("%w at %s", ErrNoDaemon, socket), Hint: "Start it with: dirsync serve"}
	case errors.Is(err, fs.ErrPermission):
		return nil, &dirsync.Error{Op: op, Kind: dirsync.Permission, Err: err, Hint: "Only the user that the daemon runs as, and root, may ask it."}
	default:
		return nil, &dirsync.Error{Op: op, Kind: dirsync.Unavailable, Err: err}
	}
	return newClient(func(ctx context.Context) (net.Conn, error) { return dialer.DialContext(ctx, "unix", socket) }), nil
}

// absent tells the errors of a socket that nobody listens on.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}

func newClient(dial func(context.Context) (net.Conn, error)) *Client {
	return &Client{base: "http://dirsync", http: &http.Client{
		Transport: &http.Transport{
			DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
			DisableCompression: true, MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// maxAnswer bounds what is read of an answer that is no stream.
const maxAnswer = 64 << 20

// send makes a request and returns its answer, if it was done. The caller closes the body.
func (c *Client) send(ctx context.Context, method, path string, query url.Values, body any) (*http.Response, error) {
	var payload io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("ask the daemon: %w", err)
		}
		payload = bytes.NewReader(b)
	}
	address := c.base + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, address, payload) //nolint:gosec // who is asked is decided by the socket, not by the address
	if err != nil {
		return nil, fmt.Errorf("ask the daemon: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req) //nolint:gosec // as above
	if err != nil {
		return nil, broken(ctx, err)
	}
	if res.StatusCode/100 == 2 {
		return res, nil
	}
	defer res.Body.Close()
	var p Problem
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&p); err != nil || p.Code == "" {
		return nil, &dirsync.Error{Op: "ask the daemon", Kind: dirsync.Unavailable, Err: fmt.Errorf("it answered %s, and not as an API of this kind", res.Status)}
	}
	return nil, p.err()
}

// broken makes an error of a connection that did not hold. The address in the original would only confuse.
func broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	e := &dirsync.Error{Op: "ask the daemon", Kind: dirsync.Unavailable, Err: err}
	if absent(err) {
		e.Err = ErrNoDaemon
	} else if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		e.Err = errors.New("it ended before it had answered")
		e.Hint = "Look at what has become of it with: dirsync status"
	}
	return e
}

// call makes a request and reads its answer into a value.
func call[T any](ctx context.Context, c *Client, method, path string, query url.Values, body any) (T, error) {
	var into T
	res, err := c.send(ctx, method, path, query, body)
	if err != nil {
		return into, err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&into); err != nil {
		if ctx.Err() != nil {
			return into, ctx.Err()
		}
		return into, &dirsync.Error{Op: "ask the daemon", Kind: dirsync.Unavailable, Err: fmt.Errorf("its answer cannot be read: %w", err),
			Hint: "Are the daemon and this command of the same version?"}
	}
	return into, nil
}

func get[T any](ctx context.Context, c *Client, path string, query url.Values) (T, error) {
	return call[T](ctx, c, http.MethodGet, path, query, nil)
}

func post[T any](ctx context.Context, c *Client, path string, body any) (T, error) {
	return call[T](ctx, c, http.MethodPost, path, nil, body)
}

// list reads pages until there are limit rows or no more. after is where to begin; nil is the beginning.
func list[P, T any](ctx context.Context, c *Client, path string, query url.Values, after any, limit int, rows func(P) ([]T, string)) ([]T, error) {
	next := ""
	if after != nil {
		next = position(after)
	}
	var out []T
	for limit > len(out) {
		q := url.Values{"limit": {strconv.Itoa(min(limit-len(out), maxLimit))}}
		for name, values := range query {
			q[name] = values
		}
		if next != "" {
			q.Set("after", next)
		}
		p, err := get[P](ctx, c, path, q)
		if err != nil {
			return nil, err
		}
		var more []T
		more, next = rows(p)
		out = append(out, more...)
		if next == "" || len(more) == 0 {
			break
		}
	}
	return out, nil
}

// from is a position to begin after; the zero one is the beginning.
func from[T comparable](key T) any {
	var zero T
	if key == zero {
		return nil
	}
	return key
}

func syncPath(name, rest string) string { return "/v1/syncs/" + url.PathEscape(name) + rest }

func runPath(id dirsync.RunID, rest string) string {
	return "/v1/runs/" + strconv.FormatUint(uint64(id), 10) + rest
}

func holdPath(id dirsync.HoldID, rest string) string {
	return "/v1/holds/" + strconv.FormatUint(uint64(id), 10) + rest
}
