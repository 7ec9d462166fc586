package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"dirsync"
)

// poster sends JSON to one web address, which may hold a secret and is therefore never shown.
type poster struct {
	op string
	// address is read anew for each message.
	address Secret
	// private allows http and the addresses of private networks.
	private bool
	// repeatable says that the receiver recognises what comes twice.
	repeatable bool
	client     *http.Client
}

func newPoster(op string, address Secret, private, repeatable bool, transport http.RoundTripper) poster {
	if transport == nil {
		dialer := &net.Dialer{Timeout: 30 * time.Second}
		if !private {
			dialer.ControlContext = publicOnly
		}
		transport = &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: 15 * time.Second,
			// A kept connection may be dead by the next message, and then nobody knows whether that one arrived.
			DisableKeepAlives: true}
	}
	return poster{op: op, address: address, private: private, repeatable: repeatable, client: &http.Client{
		Transport: transport,
		// A redirect would carry the message to somebody whom nobody has chosen.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// publicOnly refuses to connect to this machine and to private networks, after names were resolved, so that a name
// cannot lead there either.
func publicOnly(_ context.Context, _, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return err
	}
	if ip = ip.Unmap(); !ip.IsGlobalUnicast() || ip.IsPrivate() || carrierGrade().Contains(ip) {
		return errPrivate
	}
	return nil
}

// carrierGrade is the shared address space of RFC 6598.
func carrierGrade() netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, 0, 0}), 10)
}

var errPrivate = errors.New("the address is in a private network")

// post sends body once.
func (p poster) post(ctx context.Context, body []byte, header func(http.Header) error) (string, error) {
	address, err := p.address(ctx)
	if err != nil {
		return "", fault(p.op, dirsync.Unavailable, "Look whether the address can be read.", fmt.Errorf("read the address: %w", safe(err)))
	}
	secrets := urlSecrets(address)
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "https" && (u.Scheme != "http" || !p.private)) {
		return "", fault(p.op, dirsync.Permission, "Write an address that begins with https://. For http, or a private network, set private: true.",
			errors.New("the address is not usable"))
	}
	var begun atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { begun.Store(true) }}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return "", fault(p.op, dirsync.Permission, "", errors.New("the address is not usable"))
	}
	// With GetBody gone, net/http does not send the request again by itself when a kept connection turns out dead.
	req.GetBody = nil
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "dirsync")
	if err := header(req.Header); err != nil {
		return "", err
	}
	res, err := p.client.Do(req)
	if err != nil {
		return "", p.broken(err, begun.Load(), secrets)
	}
	defer res.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(res.Body, 2048))
	answer := hide(strings.TrimSpace(res.Status+" "+string(said)), secrets...)
	if kind, ok := statusKind(res.StatusCode); !ok {
		e := fault(p.op, kind, statusHint(res.StatusCode), fmt.Errorf("the server answered %s", answer))
		e.RetryAt = retryAfter(res.Header.Get("Retry-After"), time.Now())
		return "", e
	}
	return answer, nil
}

// broken classifies a request without an answer.
func (p poster) broken(err error, begun bool, secrets []string) error {
	// The outer error repeats the address.
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	if errors.Is(err, errPrivate) {
		return fault(p.op, dirsync.Permission, "If it is meant to be there, set private: true.", errPrivate)
	}
	if begun && !p.repeatable {
		err = fmt.Errorf("%w: %w", ErrUnsure, err)
	}
	return fault(p.op, dirsync.Unavailable, "", safe(err, secrets...))
}

// statusKind says what a status means; ok for success.
func statusKind(code int) (kind dirsync.ErrorKind, ok bool) {
	switch {
	case code >= 200 && code < 300:
		return 0, true
	case code == http.StatusTooManyRequests:
		return dirsync.Throttled, false
	case code >= 500 || code == http.StatusRequestTimeout || code == http.StatusTooEarly:
		return dirsync.Unavailable, false
	case code == http.StatusUnauthorized:
		return dirsync.Unauthorized, false
	case code >= 300 && code < 400, code == http.StatusForbidden, code == http.StatusNotFound, code == http.StatusMethodNotAllowed,
		code == http.StatusGone:
		return dirsync.Permission, false
	default:
		return dirsync.Invalid, false
	}
}

func statusHint(code int) string {
	switch {
	case code == http.StatusUnauthorized:
		return "Look at the address and the secret."
	case code >= 300 && code < 400:
		return "Redirects are not followed; write the address that it leads to."
	case code == http.StatusForbidden, code == http.StatusNotFound, code == http.StatusGone, code == http.StatusMethodNotAllowed:
		return "Look at the address; there may be a new one."
	}
	return ""
}

// retryAfter reads the Retry-After field of RFC 9110 section 10.2.3, seconds or a date; zero for none.
func retryAfter(value string, now time.Time) time.Time {
	if seconds, err := strconv.ParseUint(strings.TrimSpace(value), 10, 32); err == nil {
		return now.Add(time.Duration(seconds) * time.Second)
	}
	if at, err := http.ParseTime(value); err == nil {
		return at
	}
	return time.Time{}
}

// urlSecrets lists everything in an address that may be a secret: all of it, but for the scheme and the parts that are
// too short to be one.
func urlSecrets(address string) []string {
	secrets := []string{address}
	add := func(s string) {
		if len(s) >= 6 {
			secrets = append(secrets, s)
		}
	}
	u, err := url.Parse(address)
	if err != nil {
		return secrets
	}
	add(u.Host)
	add(u.Hostname())
	add(u.RequestURI())
	if u.User != nil {
		add(u.User.Username())
		password, _ := u.User.Password()
		add(password)
	}
	for part := range strings.SplitSeq(u.EscapedPath(), "/") {
		add(part)
		if plain, err := url.PathUnescape(part); err == nil {
			add(plain)
		}
	}
	for _, values := range u.Query() {
		for _, v := range values {
			add(v)
		}
	}
	return secrets
}
