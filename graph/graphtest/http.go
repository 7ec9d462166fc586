package graphtest

import (
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// request is one request on its way through the tenant. Its methods run with the tenant locked.
type request struct {
	t     *Tenant
	r     *http.Request
	kind  Kind
	path  []string // segments of the path, decoded
	query url.Values
	body  []byte
	now   time.Time
	id    string
	roles []string // of the access token
}

// answer is what a request is answered with.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// ServeHTTP answers for the sign-in service (/{tenant}/...) and for Graph (/v1.0/...).
func (t *Tenant) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var fault Fault
	t.mu.Lock()
	hook := t.Hook
	t.mu.Unlock()
	if hook != nil {
		fault = hook(r)
	}
	q := &request{t: t, r: r, path: split(r.URL.Path)}
	q.kind = kindOf(q.path)
	body, err := readBody(r)
	q.body = body
	a := t.answer(q, fault, err)
	q.send(w, a)
}

func split(path string) []string {
	return strings.FieldsFunc(path, func(c rune) bool { return c == '/' })
}

// maxBody is more than any request here needs.
const maxBody = 1 << 20

// readBody reads a request's body, which Graph's own clients compress.
func readBody(r *http.Request) ([]byte, error) {
	var in io.Reader = io.LimitReader(r.Body, maxBody)
	if strings.EqualFold(r.Header.Get("Content-Encoding"), "gzip") {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("read a compressed body: %w", err)
		}
		in = io.LimitReader(z, maxBody)
	}
	b, err := io.ReadAll(in)
	if err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	return b, nil
}

func (t *Tenant) answer(q *request, fault Fault, bodyErr error) answer {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests.add(q.kind)
	q.now = t.now()
	q.id = guid(t.identity().ID, "request", strconv.Itoa(t.requests.Total))
	t.sweep()
	var a answer
	query, err := url.ParseQuery(q.r.URL.RawQuery)
	switch {
	case err != nil || bodyErr != nil:
		a = q.fail(http.StatusBadRequest, "BadRequest", "The request is malformed.")
	default:
		q.query = query
		a = q.serve()
	}
	if fault.Status != 0 {
		a = answer{status: fault.Status, body: []byte(fault.Body)}
	}
	if a.status == http.StatusTooManyRequests {
		t.requests.Throttled++
	}
	return a
}

// kindOf sorts a request by its path.
func kindOf(path []string) Kind {
	if len(path) >= 2 && path[0] != "v1.0" {
		switch strings.Join(path[1:], "/") {
		case "v2.0/.well-known/openid-configuration":
			return Discovery
		case "oauth2/v2.0/token":
			return Token
		}
		return Other
	}
	switch {
	case len(path) == 2 && path[1] == "organization":
		return Organization
	case len(path) == 2 && path[1] == "users":
		return List
	case len(path) == 3 && path[1] == "users" && isDelta(path[2]):
		return Delta
	case len(path) == 3 && path[1] == "users":
		return Get
	case len(path) == 2 && strings.HasPrefix(path[1], "users('") && strings.HasSuffix(path[1], "')"):
		return Get
	case len(path) == 4 && path[1] == "directory" && path[2] == "deletedItems":
		return Deleted
	default:
		return Other
	}
}

func isDelta(segment string) bool {
	switch strings.TrimSuffix(segment, "()") {
	case "delta", "microsoft.graph.delta":
		return true
	}
	return false
}

func (q *request) serve() answer {
	switch q.kind {
	case Discovery:
		return q.discovery()
	case Token:
		return q.token()
	}
	if a, ok := q.authorize(); !ok {
		return a
	}
	if q.r.Method != http.MethodGet {
		return q.fail(http.StatusMethodNotAllowed, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
	}
	switch q.kind {
	case Delta:
		return q.delta()
	case Organization:
		return q.organization()
	default:
		return q.fail(http.StatusNotFound, "ResourceNotFound", "Resource not found for the segment '"+strings.Join(q.path, "/")+"'.")
	}
}

// base is the scheme and host under which the request came in.
func (q *request) base() string {
	scheme := "https"
	if q.r.TLS == nil {
		scheme = "http"
	}
	return scheme + "://" + q.r.Host
}

// fail makes Graph's error answer.
func (q *request) fail(status int, code, message string) answer {
	b := append([]byte(`{"error":{"code":`), mustString(code)...)
	if !q.t.Faults.NoMessage {
		b = appendString(append(b, `,"message":`...), message)
	}
	b = append(b, `,"innerError":{"date":"`...)
	b = q.now.UTC().AppendFormat(b, "2006-01-02T15:04:05") // without a zone, as the service sends it
	b = appendString(append(b, `","request-id":`...), q.id)
	b = appendString(append(b, `,"client-request-id":`...), q.clientID())
	b = append(b, `}}}`...)
	return answer{status: status, body: b}
}

func mustString(s string) []byte { return appendString(nil, s) }

// clientID is the request's id as the client numbers it, or the server's own when it sent none.
func (q *request) clientID() string {
	return or(q.r.Header.Get("client-request-id"), q.id)
}

const jsonType = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"

func (q *request) send(w http.ResponseWriter, a answer) {
	h := w.Header()
	h.Set("Date", q.now.UTC().Format(http.TimeFormat))
	h.Set("request-id", q.id)
	h.Set("client-request-id", q.clientID())
	h.Set("Content-Type", jsonType)
	maps.Copy(h, a.header)
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // the client may have hung up, which is its own affair
}
