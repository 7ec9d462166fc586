package graph

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// limits bound one request with all its attempts.
type limits struct {
	attempts int           // of a request that the service answers badly
	connects int           // of a request that does not reach the service at all
	wait     time.Duration // the longest single wait
	total    time.Duration // all waits together
	headers  time.Duration // from sending a request to the first byte of its answer
	idle     time.Duration // between two reads of an answer's body
	body     int           // bytes of an answer's body
}

func defaultLimits() limits {
	return limits{attempts: 8, connects: 4, wait: 2 * time.Minute, total: 10 * time.Minute,
		headers: time.Minute, idle: 30 * time.Second, body: 64 << 20}
}

// newTransport makes what sends single attempts. There is no time-out over a whole exchange: limits.headers and
// limits.idle bound what may stall without cutting off a slow but living answer.
func newTransport(roots *x509.CertPool) *http.Transport {
	dialer := &net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 15 * time.Second,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        32,
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     90 * time.Second,
	}
}

// newLocalTransport makes what asks for a managed identity: the machine itself, at an address that no proxy can reach,
// which answers at once or is not there.
func newLocalTransport() *http.Transport {
	t := newTransport(nil)
	t.Proxy, t.DialContext = nil, (&net.Dialer{Timeout: 3 * time.Second}).DialContext
	return t
}

// retrying is the one layer of retries. It sends a request until the service gives an answer that stands, reads each
// answer's body in full within its attempt, and returns the last answer when the limits are reached: it never waits
// shorter than the service asked, it rather gives up and lets the caller come back.
//
// Every request that passes here may be repeated, because they are reads and requests for tokens, but for those whose
// context has a oneShot: they are sent again only if they were certainly not taken.
type retrying struct {
	next   http.RoundTripper
	limits limits
	now    func() time.Time
	sleep  func(context.Context, time.Duration) error
	log    zerolog.Logger
	sent   *atomic.Int64
	// gate is passed by every attempt; nil lets all pass.
	gate *gate
	// skew is the service's clock minus ours, in nanoseconds, by the last answer.
	skew *atomic.Int64
	// repeatable says that every request may be repeated, for whatever oneShot it is needed.
	repeatable bool
}

var (
	errHeaderTimeout = errors.New("no answer came within the time limit")
	errIdleTimeout   = errors.New("the answer stalled")
	errTooLarge      = errors.New("the answer is larger than allowed")
)

// RoundTrip sends req as often as it takes.
func (t *retrying) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := takeBody(req)
	if err != nil {
		return nil, err
	}
	ctx, waited := req.Context(), time.Duration(0)
	var shot *oneShot
	if !t.repeatable {
		shot, _ = ctx.Value(oneShotKey{}).(*oneShot)
	}
	for n := 1; ; n++ {
		if t.gate != nil {
			if err := t.gate.pass(ctx, units(req), t.now, t.sleep); err != nil {
				return nil, err
			}
		}
		resp, err := t.shoot(req, body, shot)
		wait, again := t.again(ctx, resp, err, n)
		again = again && shot.allows(resp)
		t.tell(resp, wait, again)
		if !again || waited+wait > t.limits.total || !t.worthWaiting(ctx, wait) {
			return resp, err
		}
		event := t.log.Info().Str("host", req.URL.Host).Int("attempt", n).Dur("wait", wait)
		if err != nil {
			event.Str("reason", cleanError(err))
		} else {
			event.Int("status", resp.StatusCode)
		}
		event.Msg("trying a request again")
		if err := t.sleep(ctx, wait); err != nil {
			return nil, err
		}
		waited += wait
	}
}

// shoot is attempt, and notes in shot when a request without an answer may have been taken: unless no connection for it
// was made, which is known of a transport that tells how far it is.
func (t *retrying) shoot(req *http.Request, body []byte, shot *oneShot) (*http.Response, error) {
	if shot == nil {
		return t.attempt(req, body)
	}
	var asked, got atomic.Bool
	trace := &httptrace.ClientTrace{
		GetConn: func(string) { asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { got.Store(true) },
	}
	resp, err := t.attempt(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)), body)
	if err != nil && !unreached(err) && (got.Load() || !asked.Load()) {
		shot.lost.Store(true)
	}
	return resp, err
}

// allows tells whether what came of an attempt, an answer or none, leaves no doubt that the request was not taken. Nil
// allows everything.
func (s *oneShot) allows(resp *http.Response) bool {
	switch {
	case s == nil:
		return true
	case resp == nil:
		return !s.lost.Load()
	}
	return resp.StatusCode == http.StatusTooManyRequests
}

// tell lets everybody else know what an answer says about the pace. Of a wait that is beyond the limits nobody is told,
// because then nobody waits: the caller gives up and comes back later.
func (t *retrying) tell(resp *http.Response, wait time.Duration, again bool) {
	if t.gate == nil || resp == nil {
		return
	}
	t.gate.observe(resp.Header)
	if again && (resp.StatusCode == http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "") {
		t.gate.close(t.now().Add(wait))
	}
}

// takeBody takes the body out of req so that it can be sent again.
func takeBody(req *http.Request) ([]byte, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return nil, nil
	}
	defer func() { _ = req.Body.Close() }()
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, fmt.Errorf("take the request's body: %w", err)
	}
	return body, nil
}

// attempt sends req once and reads the answer in full.
func (t *retrying) attempt(req *http.Request, body []byte) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	defer cancel(nil)
	timer := time.AfterFunc(t.limits.headers, func() { cancel(errHeaderTimeout) })
	defer timer.Stop()
	once := req.Clone(ctx)
	if body != nil {
		once.Body, once.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		once.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	t.sent.Add(1)
	if n, ok := ctx.Value(counterKey{}).(*atomic.Int64); ok {
		n.Add(1)
	}
	resp, err := t.next.RoundTrip(once)
	if err != nil {
		return nil, because(ctx, err)
	}
	timer.Stop()
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		t.skew.Store(int64(date.Sub(t.now())))
	}
	stall := time.AfterFunc(t.limits.idle, func() { cancel(errIdleTimeout) })
	defer stall.Stop()
	data, err := t.readBody(resp, stall)
	_ = resp.Body.Close()
	if err != nil {
		return nil, because(ctx, err)
	}
	resp.Body, resp.ContentLength = &wholeBody{Reader: bytes.NewReader(data), data: data}, int64(len(data))
	return resp, nil
}

// counterKey finds, in a context, a further counter of requests: that of the Source on whose behalf they are sent.
type counterKey struct{}

// wholeBody is an answer's body that is in memory already, so that it need not be copied once more.
type wholeBody struct {
	*bytes.Reader
	data []byte
}

func (*wholeBody) Close() error { return nil }

// because prefers the reason for which an attempt was cut off to the error that the cutting caused.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

func (t *retrying) readBody(resp *http.Response, stall *time.Timer) ([]byte, error) {
	size := 16 << 10
	if n := resp.ContentLength; n > 0 {
		size = int(min(n, 4<<20)) + 1 // room to see the end without growing, but no faith in absurd claims
	}
	data := make([]byte, 0, size)
	for {
		if len(data) > t.limits.body {
			return nil, errTooLarge
		}
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
		n, err := resp.Body.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if err == io.EOF {
			return data, nil
		}
		if err != nil {
			return nil, fmt.Errorf("the answer broke off after %d bytes: %w", len(data), err)
		}
		stall.Reset(t.limits.idle)
	}
}

// again tells whether attempt n should be followed by another, and after what wait.
func (t *retrying) again(ctx context.Context, resp *http.Response, err error, n int) (time.Duration, bool) {
	if ctx.Err() != nil || n >= t.limits.attempts {
		return 0, false
	}
	if err != nil {
		if permanent(err) || unreached(err) && n >= t.limits.connects {
			return 0, false
		}
		return t.backoff(n), true
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
	default:
		return 0, false
	}
	// A wait of nothing at all is no answer to the question when to come back.
	if wait, ok := retryAfter(resp.Header, t.now()); ok && wait > 0 {
		return wait, wait <= t.limits.wait
	}
	return t.backoff(n), true
}

// worthWaiting is false when ctx would end first: then the answer that is there says more than a broken-off wait.
func (t *retrying) worthWaiting(ctx context.Context, wait time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return !ok || time.Until(deadline) > wait
}

// backoff doubles from a second, with full jitter so that many clients do not come back together.
func (t *retrying) backoff(n int) time.Duration {
	ceiling := min(time.Second<<min(n-1, 10), t.limits.wait)
	return rand.N(ceiling) + time.Millisecond
}

// retryAfter reads how long the service wants to be left alone: whole seconds or an HTTP date (RFC 9110 section
// 10.2.3), or seconds with a fraction, which Graph's own throttling page shows.
func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0, false
	}
	if date, err := http.ParseTime(v); err == nil {
		return max(0, date.Sub(now)), true
	}
	seconds, err := strconv.ParseFloat(v, 64)
	if err != nil || math.IsNaN(seconds) || seconds < 0 {
		return 0, false
	}
	// A day is beyond every limit here, and keeps absurd numbers from overflowing a Duration.
	return time.Duration(math.Ceil(min(seconds, 86400) * float64(time.Second))), true
}

// permanent tells errors that the next attempt would meet again.
func permanent(err error) bool {
	if errors.Is(err, errTooLarge) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	return isTLSProblem(err)
}

// unreached tells errors of a request that never reached the service.
func unreached(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return true
	}
	var dns *net.DNSError
	return errors.As(err, &dns)
}

// isTLSProblem tells a refused certificate or handshake from a dropped connection.
func isTLSProblem(err error) bool {
	var (
		verify  *tls.CertificateVerificationError
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
		alert   tls.AlertError
		noRoots x509.SystemRootsError
	)
	return errors.As(err, &verify) || errors.As(err, &unknown) || errors.As(err, &host) || errors.As(err, &invalid) ||
		errors.As(err, &record) || errors.As(err, &alert) || errors.As(err, &noRoots)
}
