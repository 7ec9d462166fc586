package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"dirsync"
	"dirsync/scim"
)

// call is one request, or one operation of a bulk request, that is being answered.
type call struct {
	s   *Server
	ctx context.Context
	who Principal
	// base is the address in front of "/Users".
	base string
	// query are the parameters of the URL.
	query param
	// match and noneMatch are the headers If-Match and If-None-Match.
	match, noneMatch string
	event            Event
	scratch          []byte
}

// ServeHTTP answers one request. Whatever stands in front of /Users and the other endpoints is the prefix under which the
// server is mounted.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	started := s.now()
	ctx, cancel := context.WithTimeout(r.Context(), s.limits.Timeout)
	defer cancel()
	out := &reply{w: w, head: r.Method == http.MethodHead, timeout: s.limits.Timeout}
	c := &call{s: s, ctx: ctx, event: Event{Time: started, Method: r.Method}}
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler { //nolint:errorlint // it is compared in this way by net/http, too
				panic(p)
			}
			c.logPanic(p)
			c.fail(out, &failure{wire: scim.Error{Status: 500, Detail: "the server could not do this; its log says why"}})
		}
		c.event.Status = out.status
		c.report()
		out.finish()
	}()
	if err := c.serve(out, r); err != nil {
		c.fail(out, err)
	}
}

// serve answers a request, or says why not.
func (c *call) serve(out *reply, r *http.Request) error {
	t := c.s.target(r)
	c.base, c.query = t.base, t.query
	if len(t.parts) > 0 {
		c.event.Resource = t.parts[0]
	}
	if err := c.signIn(r); err != nil {
		return err
	}
	if wait := c.s.rates.take(c.who.Name, c.s.now(), c.s.limits, 1); wait > 0 {
		return tooMany(wait)
	}
	if t.bad != nil {
		return t.bad
	}
	c.match = strings.Join(r.Header.Values("If-Match"), ",")
	c.noneMatch = strings.Join(r.Header.Values("If-None-Match"), ",")
	return c.route(out, r, t.parts)
}

func tooMany(wait time.Duration) error {
	return &failure{wire: scim.Error{Status: http.StatusTooManyRequests, Detail: "this token sends more requests than it may"}, retry: wait}
}

// signIn finds out whose request it is.
func (c *call) signIn(r *http.Request) error {
	header := r.Header.Values("Authorization")
	none := &failure{wire: scim.Error{Status: http.StatusUnauthorized, Detail: "a bearer token is needed: Authorization: Bearer …"}}
	if len(header) != 1 {
		return none
	}
	scheme, token, _ := strings.Cut(strings.TrimSpace(header[0]), " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > 4096 {
		return none
	}
	who, err := c.s.config.Authenticate(c.ctx, token)
	if err != nil {
		switch dirsync.KindOf(err) {
		case dirsync.Unavailable, dirsync.Throttled, dirsync.Locked, dirsync.Storage, dirsync.Corrupt:
			return &failure{wire: scim.Error{Status: http.StatusServiceUnavailable, Detail: "tokens cannot be checked now"}, retry: time.Second, cause: err}
		}
		return &failure{wire: scim.Error{Status: http.StatusUnauthorized, Detail: "the token is not one of this server's, or is not valid any more"}}
	}
	c.who, c.event.Token = who, who.Name
	return nil
}

// may says whether the token has a scope, or the one that includes it.
func (c *call) may(scopes ...Scope) bool {
	for _, have := range c.who.Scopes {
		for _, want := range scopes {
			if have == want {
				return true
			}
		}
	}
	return false
}

func (c *call) mayRead(k *kind) error {
	if !c.may(k.read, k.write) {
		return refuse(http.StatusForbidden, "", "the token lacks the scope %s", k.read)
	}
	return nil
}

func (c *call) mayWrite(k *kind) error {
	if !c.may(k.write) {
		return refuse(http.StatusForbidden, "", "the token lacks the scope %s", k.write)
	}
	return nil
}

// fail answers with an error.
func (c *call) fail(out *reply, err error) {
	f := asFailure(err)
	c.event.SCIMType, c.event.Detail = f.wire.SCIMType, f.wire.Detail
	c.logFailure(f)
	if out.sent {
		// A part of the answer is on its way. Only a broken connection says that the rest will not come.
		out.abort = true
		return
	}
	out.reset()
	h := out.w.Header()
	if f.wire.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
		h.Set("Connection", "close") // Whoever has no token must not keep a connection that others could have.
	}
	if f.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(max(1, int((f.retry+time.Second-1)/time.Second))))
	}
	if f.allow != "" {
		h.Set("Allow", f.allow)
	}
	body, err := f.wire.MarshalJSON()
	if err != nil {
		body = []byte(`{}`) // Encoding an error cannot fail.
	}
	out.status, out.buf = f.wire.Status, body
}

// logFailure says what went wrong on this side.
func (c *call) logFailure(f *failure) {
	if f.wire.Status >= 500 {
		c.s.config.Log.Error().Err(f.cause).Int("status", f.wire.Status).Str("method", c.event.Method).Str("resource", c.event.Resource).
			Str("id", c.event.ID).Str("token", c.who.Name).Msg("answer a SCIM request")
	}
}

// logPanic says where a panic came from. Its text may hold what a client has sent, unless it is the runtime's own.
func (c *call) logPanic(p any) {
	text := fmt.Sprintf("%T", p)
	if err, ok := p.(error); ok {
		if re, ok := errors.AsType[runtime.Error](err); ok {
			text = re.Error()
		}
	}
	c.s.config.Log.Error().Str("panic", text).Bytes("stack", debug.Stack()).Str("method", c.event.Method).
		Str("resource", c.event.Resource).Msg("answer a SCIM request")
}

// report hands the event over.
func (c *call) report() {
	if c.s.config.Observe == nil {
		return
	}
	if c.event.Status >= http.StatusBadRequest {
		c.event.Changed, c.event.Held = nil, false
	}
	c.event.Duration = c.s.now().Sub(c.event.Time)
	c.s.config.Observe(c.event)
}

// reply is an answer that is being written. It is sent at once when it is complete, so that a late error can still be
// answered; one that grows large is sent in parts.
type reply struct {
	w       http.ResponseWriter
	status  int
	buf     []byte
	head    bool // there is no body
	sent    bool
	abort   bool
	timeout time.Duration
}

// atOnce is how large an answer may be that is sent at once, in bytes.
const atOnce = 256 << 10

// grow sends what there is if it is much.
func (r *reply) grow() error {
	if len(r.buf) < atOnce {
		return nil
	}
	if r.head {
		r.buf = r.buf[:0]
		return nil
	}
	_ = http.NewResponseController(r.w).SetWriteDeadline(time.Now().Add(r.timeout)) // for this part; see ServeHTTP
	if !r.sent {
		r.header()
		r.w.WriteHeader(r.status)
		r.sent = true
	}
	_, err := r.w.Write(r.buf)
	r.buf = r.buf[:0]
	return err
}

func (r *reply) header() {
	h := r.w.Header()
	h.Set("Content-Type", scim.MediaType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "private, no-cache")
}

// reset forgets an answer of which nothing was sent.
func (r *reply) reset() {
	for _, name := range []string{"ETag", "Location", "Allow"} {
		r.w.Header().Del(name)
	}
	r.buf = r.buf[:0]
}

// finish sends the rest.
func (r *reply) finish() {
	if r.abort {
		panic(http.ErrAbortHandler)
	}
	if !r.sent {
		r.header()
		if len(r.buf) > 0 && !r.head {
			r.w.Header().Set("Content-Length", strconv.Itoa(len(r.buf)))
		}
		if r.status == http.StatusNoContent || r.status == http.StatusNotModified {
			r.w.Header().Del("Content-Type")
		}
		r.w.WriteHeader(r.status)
	}
	if !r.head && len(r.buf) > 0 {
		_, _ = r.w.Write(r.buf) // Whoever went away is not told.
	}
}
