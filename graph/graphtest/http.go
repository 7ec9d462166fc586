package graphtest

import (
	"bytes"
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
	inner bool     // it came in a batch
	steps []step   // of a batch that is to be worked off
}

// answer is what a request is answered with.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// ServeHTTP answers for the sign-in service (/{tenant}/...) and for Graph (/v1.0/...).
func (t *Tenant) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q, a, fault := t.exchange(r, false)
	if q.send(w, a, fault) && cap(a.body) > 1<<16 {
		t.buffers.Put(a.body[:0]) //nolint:staticcheck // one allocation of a slice header a page is cheaper than the page
	}
}

// exchange makes the answer to one request, alone or out of a batch, and says what is to go wrong with it.
func (t *Tenant) exchange(r *http.Request, inner bool) (*request, answer, Fault) {
	t.mu.Lock()
	hook := t.Hook
	t.mu.Unlock()
	q := &request{t: t, r: r, path: split(r.URL.Path), inner: inner}
	q.kind = kindOf(r.Method, q.path)
	// The body is read before the hook is asked, which may read it, too.
	raw, broken := io.ReadAll(io.LimitReader(r.Body, maxBody))
	var fault Fault
	if hook != nil {
		r.Body = io.NopCloser(bytes.NewReader(raw))
		fault = hook(r)
	}
	if q.body = raw; broken == nil {
		q.body, broken = plainBody(r, raw)
	}
	if broken == nil {
		q.query, broken = url.ParseQuery(r.URL.RawQuery)
	}
	a, fault := t.answer(q, fault, broken)
	if q.steps != nil {
		body, cut := q.workOff()
		if fault.Status == 0 {
			a.body = body
		}
		fault.Reset = fault.Reset || cut
	}
	if fault.Delay > 0 {
		timer := time.NewTimer(fault.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
		}
	}
	return q, a, fault
}

func split(path string) []string {
	return strings.FieldsFunc(path, func(c rune) bool { return c == '/' })
}

// maxBody is more than any request here needs.
const maxBody = 1 << 20

// plainBody is a request's body as it was before it was compressed, which Graph's own clients do.
func plainBody(r *http.Request, raw []byte) ([]byte, error) {
	if !strings.EqualFold(r.Header.Get("Content-Encoding"), "gzip") {
		return raw, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("read a compressed body: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(z, maxBody))
	if err != nil {
		return nil, fmt.Errorf("read a compressed body: %w", err)
	}
	return b, nil
}

// answer counts a request, decides what goes wrong with it, and makes the answer. The hook's fault comes before rules.
func (t *Tenant) answer(q *request, fault Fault, broken error) (answer, Fault) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests.add(q.kind, q.inner)
	q.now = t.now()
	q.id = guid(t.identity().ID, "request", strconv.Itoa(t.requests.Total+t.requests.Inner))
	t.sweep()
	if rule := t.matching(q.kind, q.now); fault.isZero() {
		fault = rule
	}
	var a answer
	if fault.Status == 0 || fault.Apply {
		switch {
		case broken != nil && q.kind == Token:
			a = q.refuseSignIn(900144, "the request's body")
		case broken != nil:
			a = q.fail(http.StatusBadRequest, "BadRequest", "The request is malformed: "+broken.Error())
		default:
			a = q.serve()
		}
	}
	if fault.Status != 0 {
		a = answer{status: fault.Status, body: []byte(fault.Body)}
	}
	if a.status == http.StatusTooManyRequests {
		t.requests.Throttled++
	}
	return a, fault
}

// kindOf sorts a request by its path and, when it writes, by its method.
func kindOf(method string, path []string) Kind {
	if k := kindOfWrite(method, path); k != "" {
		return k
	}
	if len(path) < 2 {
		return Other
	}
	if path[0] != "v1.0" {
		switch strings.Join(path[1:], "/") {
		case "v2.0/.well-known/openid-configuration":
			return Discovery
		case "oauth2/v2.0/token":
			return Token
		case "adminconsent", "v2.0/adminconsent":
			return Consent
		}
		return Other
	}
	switch n := len(path); {
	case n == 2 && path[1] == "organization":
		return Organization
	case (n == 2 || n == 3) && path[1] == "domains":
		return Domains
	case path[1] == "groups" || strings.HasPrefix(path[1], "groups("):
		return kindOfGroups(path)
	case n == 4 && path[1] == "users" && strings.TrimPrefix(path[3], "microsoft.graph.") == "checkMemberGroups":
		return CheckGroups
	case n == 4 && path[1] == "users" && strings.TrimPrefix(path[3], "microsoft.graph.") == "sendMail":
		return SendMail
	case n == 2 && path[1] == "users", n == 3 && path[1] == "users" && path[2] == countSegment:
		return List
	case n == 3 && path[1] == "users" && isDelta(path[2]):
		return Delta
	case n == 3 && path[1] == "users",
		n == 4 && path[1] == "users" && path[3] == managerProperty,
		n == 2 && strings.HasPrefix(path[1], "users('") && strings.HasSuffix(path[1], "')"):
		return Get
	case (n == 4 || n == 5 && isCast(path[4])) && path[1] == "directory" && path[2] == "deletedItems":
		return Deleted
	case n == 3 && path[1] == "directoryObjects" && strings.TrimPrefix(path[2], "microsoft.graph.") == "getAvailableExtensionProperties":
		return Extensions
	case n == 3 && path[1] == "directoryObjects" && strings.TrimPrefix(path[2], "microsoft.graph.") == "getByIds":
		return ByIDs
	default:
		return Other
	}
}

// isDelta tells the spellings of the function: the Graph SDK for Go, for one, sends the parentheses.
func isDelta(segment string) bool {
	switch strings.TrimSuffix(segment, "()") {
	case "delta", "microsoft.graph.delta":
		return true
	}
	return false
}

func (q *request) serve() answer {
	switch {
	case q.kind == Discovery:
		return q.discovery()
	case q.kind == Token:
		return q.token()
	case q.kind == Consent:
		return q.consent()
	case len(q.path) == 0 || q.path[0] != "v1.0":
		return q.fail(http.StatusNotFound, "ResourceNotFound", "Invalid version: the simulated tenant knows v1.0 only.")
	}
	if a, ok := q.authorize(); !ok {
		return a
	}
	return q.budgeted(q.serveGraph)
}

// serveGraph answers a request to Graph whose access token is good.
func (q *request) serveGraph() answer {
	if q.kind != Other && !q.kind.writes() && q.r.Method != q.method() {
		return q.fail(http.StatusMethodNotAllowed, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
	}
	switch q.kind {
	case Delta:
		return q.permitted(userRoles, func() answer { return q.delta(&q.t.people) })
	case Organization:
		return q.permitted(organizationRoles, q.organization)
	case List:
		return q.permitted(userRoles, func() answer { return q.list(&q.t.people) })
	case Get:
		return q.permitted(userRoles, q.get)
	case Deleted:
		return q.deleted()
	case GroupList:
		return q.permitted(groupRoles, func() answer { return q.list(q.t.teams()) })
	case GroupGet:
		return q.permitted(groupRoles, q.getGroup)
	case GroupDelta:
		return q.permitted(groupRoles, func() answer { return q.delta(q.t.teams()) })
	case Members, AllMembers:
		return q.permitted(groupRoles, q.membersOf)
	case CheckGroups:
		return q.permitted(groupRoles, func() answer { return q.permitted(userRoles, q.checkGroups) })
	case Extensions:
		return q.permitted(extensionRoles, q.extensions)
	case ByIDs:
		return q.permitted(q.byIDRoles, q.byIDs)
	case SendMail:
		return q.sendMail()
	case Domains:
		return q.permitted(domainRoles, q.domains)
	case Batch:
		return q.batch()
	default:
		if q.kind.writes() {
			return q.write()
		}
		return q.fail(http.StatusBadRequest, "BadRequest", "Resource not found for the segment '"+q.path[len(q.path)-1]+"'.")
	}
}

// method is the one method that the resource knows.
func (q *request) method() string {
	switch q.kind {
	case Extensions, CheckGroups, ByIDs, SendMail, Batch:
		return http.MethodPost
	}
	return http.MethodGet
}

// base is the scheme and host under which the request came in.
func (q *request) base() string {
	if q.r.TLS == nil {
		return "http://" + q.r.Host
	}
	return "https://" + q.r.Host
}

// detail is one of the details of an error, which only some parts of the service send.
type detail struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Target  string `json:"target"`
}

// fail makes Graph's error answer: innerError is spelled so on the wire, and its date has no zone.
func (q *request) fail(status int, code, message string, details ...detail) answer {
	b := appendString([]byte(`{"error":{"code":`), code)
	if !q.t.Faults.NoMessage {
		b = appendString(append(b, `,"message":`...), message)
	}
	if raw, err := marshal(details); err == nil && len(details) > 0 && !q.t.Faults.NoDetails {
		b = append(append(b, `,"details":`...), raw...)
	}
	b = append(b, `,"innerError":{"date":"`...)
	b = q.now.UTC().AppendFormat(b, "2006-01-02T15:04:05")
	b = appendString(append(b, `","request-id":`...), q.id)
	b = appendString(append(b, `,"client-request-id":`...), q.clientID())
	return answer{status: status, body: append(b, `}}}`...)}
}

// clientID is the request's id as the client gave it, or the server's own when it gave none.
func (q *request) clientID() string { return or(q.r.Header.Get("client-request-id"), q.id) }

const (
	graphType  = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
	diagnostic = `{"ServerInfo":{"DataCenter":"West Europe","Slice":"E","Ring":"5","ScaleUnit":"003","RoleInstance":"AM4PEPF0001A2B3"}}`
)

// cost is what a request takes of the tenant's budget, in resource units: two for a list or a look-up of users, three
// for the members of a group, five for the transitive ones, four for checkMemberGroups, five for getByIds and one for
// anything else; one less with $select (of getByIds three) or a $top below twenty, one more with $expand, and never less
// than one (Graph, limits of the identity service). A batch costs nothing, and each request in it what it costs alone.
func (q *request) cost() int {
	units := 1
	switch q.kind {
	case Batch:
		return 0
	case List, Get:
		units = 2
	case Members:
		units = 3
	case AllMembers:
		units = 5
	case CheckGroups:
		units = 4
	case ByIDs:
		units = 5
	}
	if q.query.Has("$select") {
		units--
		if q.kind == ByIDs {
			units -= 2
		}
	}
	if top, err := strconv.Atoi(q.query.Get("$top")); err == nil && top < 20 {
		units--
	}
	if q.query.Has("$expand") {
		units++
	}
	return max(units, 1)
}

// headers are those of the answer: the ones that every answer has, its own, and those that the fault adds.
func (q *request) headers(a answer, fault Fault) http.Header {
	h := make(http.Header, 12)
	if q.kind == Discovery || q.kind == Token || q.kind == Consent {
		h.Set("Content-Type", "application/json; charset=utf-8")
		h.Set("x-ms-request-id", q.id)
	} else {
		h.Set("Content-Type", graphType)
		h.Set("OData-Version", "4.0")
		h.Set("request-id", q.id)
		h.Set("client-request-id", q.clientID())
		h.Set("x-ms-ags-diagnostic", diagnostic)
		if q.kind != Batch {
			h.Set("x-ms-resource-unit", itoa(q.cost()))
		}
	}
	if a.status == http.StatusNoContent {
		h.Del("Content-Type")
	}
	maps.Copy(h, a.header)
	for name, values := range fault.Header {
		h[http.CanonicalHeaderKey(name)] = values
	}
	return h
}

// send writes the answer and breaks it if the fault says so.
// It reports whether nobody holds on to the body any longer: when a stream is closed early, the server may still be
// busy with it.
func (q *request) send(w http.ResponseWriter, a answer, fault Fault) bool {
	h := w.Header()
	h.Set("Date", q.now.UTC().Format(http.TimeFormat))
	maps.Copy(h, q.headers(a, fault))
	if fault.Truncate {
		a.body = a.body[:len(a.body)/2]
	}
	if a.status != http.StatusNoContent {
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	if fault.Reset {
		if a.status == http.StatusNoContent {
			panic(http.ErrAbortHandler) // without a body the status would be the whole answer
		}
		// One byte at least is promised and kept back, so that the client cannot take what came for the whole.
		h.Set("Content-Length", strconv.Itoa(len(a.body)+1))
		w.WriteHeader(a.status)
		_, _ = w.Write(a.body[:len(a.body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(a.status)
	_, err := w.Write(a.body) // the client may have hung up, which is its own affair
	return err == nil
}
