package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"path"
	"reflect"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"dirsync"
)

// Server answers for one Daemon, at any number of doors. Its exported fields are set once, before the first door opens.
type Server struct {
	Daemon Daemon
	// Exec runs command lines that come through the socket; nil refuses them.
	Exec ExecFunc
	// Metrics are shown at /metrics and count the requests; nil has none.
	Metrics *Metrics
	// Enter is asked before the Daemon is, and leave is called after it has answered. An error refuses the request. It is not
	// asked for signs of life, metrics, streams and commands. Nil lets everybody in.
	Enter func() (leave func(), err error)
	Log   zerolog.Logger
	// Now is the clock; nil means time.Now. Timers are the runtime's in any case.
	Now func() time.Time

	failures Guesses
	// streams counts the streams and commands that are open.
	mu      sync.Mutex
	streams int
}

// The patience of the server. A write is one answer, or one event of a stream.
const (
	headerTimeout = 10 * time.Second
	readTimeout   = 30 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 16 << 10
	// heartbeatEvery keeps a stream from looking dead, and finds readers who are gone.
	heartbeatEvery = 15 * time.Second
	// maxStreams is how many streams and commands may be open at once.
	maxStreams = 64
)

func (s *Server) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// place is which door a request has come through.
type place int

const (
	socketDoor place = iota
	tcpDoor
	metricsDoor
)

// handler serves one door.
type handler struct {
	server *Server
	place  place
	tokens []Token
	hosts  []string
	mux    *http.ServeMux
	routes map[string]route
	// stop ends when the door closes, and with it every stream.
	stop context.Context
}

// route is one path and method.
type route struct {
	method, path string
	// doors are those that have the route.
	doors []place
	// open routes need no token. changes says that the route is not for tokens that may only look.
	open, changes bool
	// free routes ask nothing that Server.Enter guards.
	free  bool
	serve func(h *handler, w http.ResponseWriter, r *http.Request) error
}

func (r route) pattern() string { return r.method + " " + r.path }

func (s *Server) handler(stop context.Context, at place, tokens []Token, hosts []string) *handler {
	h := &handler{server: s, place: at, tokens: tokens, hosts: hosts, mux: http.NewServeMux(), routes: map[string]route{}, stop: stop}
	for _, rt := range routes() {
		for _, door := range rt.doors {
			if door != at {
				continue
			}
			h.routes[rt.pattern()] = rt
			h.mux.HandleFunc(rt.pattern(), func(w http.ResponseWriter, r *http.Request) {
				if err := h.admit(w, r, rt); err != nil {
					h.fail(w, r, err)
				} else if err := h.enter(w, r, rt); err != nil {
					h.fail(w, r, err)
				}
			})
		}
	}
	return h
}

// enter answers a request that was admitted.
func (h *handler) enter(w http.ResponseWriter, r *http.Request, rt route) error {
	if h.server.Enter != nil && !rt.free {
		leave, err := h.server.Enter()
		if err != nil {
			return err
		}
		defer leave()
	}
	return rt.serve(h, w, r)
}

// ServeHTTP is the way of every request: look at who asks and on whose behalf, find the route, answer, and count.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := h.server.now()
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	seen := &watched{ResponseWriter: w}
	defer func() {
		fault := recover()
		if fault != nil && fault != http.ErrAbortHandler { //nolint:errorlint // the very value is what net/http looks for
			h.server.Log.Error().Interface("panic", fault).Bytes("stack", debug.Stack()).Str("route", routeOf(r)).Msg("a request made the daemon stumble")
			if seen.status == 0 {
				h.fail(seen, r, errors.New("panic"))
				fault = nil
			}
		}
		took := h.server.now().Sub(began)
		h.server.Metrics.answered(routeOf(r), seen.status, took)
		h.server.Log.Debug().Str("method", r.Method).Str("route", routeOf(r)).Int("status", seen.status).Dur("took", took).Str("from", r.RemoteAddr).Msg("request")
		if fault != nil {
			panic(http.ErrAbortHandler) // the answer has begun: only breaking the connection tells that it is not whole
		}
	}()
	if err := h.guard(r); err != nil {
		h.fail(seen, r, err)
		return
	}
	// The mux would redirect paths that are not clean; nobody who means well sends them.
	if _, pattern := h.mux.Handler(r); pattern == "" || path.Clean(r.URL.EscapedPath()) != r.URL.EscapedPath() {
		h.stray(seen, r)
		return
	}
	h.mux.ServeHTTP(seen, r)
}

// guard refuses what is wrong with any path.
func (h *handler) guard(r *http.Request) error {
	if h.place == tcpDoor {
		if err := ownName(r.Host, h.hosts); err != nil {
			return err
		}
	}
	if err := sameOrigin(r); err != nil {
		h.server.Metrics.refused(codeCrossOrigin)
		return err
	}
	if (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.ContentLength != 0 {
		return badRequest("a request that only looks has no body", "")
	}
	return nil
}

// admit lets a request pass if its token may use the route.
func (h *handler) admit(w http.ResponseWriter, r *http.Request, rt route) error {
	if h.place != tcpDoor || rt.open {
		return nil
	}
	t, err := h.authenticate(r)
	if err != nil {
		return err
	}
	if rt.changes && t.ReadOnly {
		h.server.Metrics.refused(codeReadOnly)
		return &refusal{code: codeReadOnly, detail: "the token may look and not change"}
	}
	if asks, ok := w.(*watched); ok {
		asks.caller = t.Name
	}
	return nil
}

func (h *handler) authenticate(r *http.Request) (Token, error) {
	now := h.server.now()
	if wait := h.server.failures.Wait(r.RemoteAddr, now); wait > 0 {
		h.server.Metrics.refused(codeFailures)
		return Token{}, &refusal{code: codeFailures, detail: "too many wrong tokens came from this address", hint: "Wait, and correct the token.", retryAfter: wait}
	}
	t, ok := caller(h.tokens, r.Header.Values("Authorization"))
	if !ok {
		h.server.failures.Wrong(r.RemoteAddr, now)
		h.server.Metrics.refused(codeBadToken)
		return Token{}, &refusal{code: codeBadToken, detail: "the bearer token is missing or wrong", hint: "Send the header Authorization: Bearer TOKEN."}
	}
	return t, nil
}

// stray answers requests for which there is no route: to callers without a token they look like all others.
func (h *handler) stray(w http.ResponseWriter, r *http.Request) {
	if h.place == tcpDoor {
		if _, err := h.authenticate(r); err != nil {
			h.fail(w, r, err)
			return
		}
	}
	probe := &watched{ResponseWriter: discard{http.Header{}}}
	h.mux.ServeHTTP(probe, r)
	if allow := probe.Header().Get("Allow"); allow != "" {
		w.Header().Set("Allow", allow)
		h.fail(w, r, &refusal{code: codeBadMethod, detail: "this path has no method " + short(redact(r.Method)), hint: "It has " + allow + "."})
		return
	}
	hint := "/v1/openapi.yaml lists the paths that there are."
	if h.place == metricsDoor {
		hint = "There are /metrics, /livez and /readyz."
	}
	h.fail(w, r, &refusal{code: codeNoSuchPath, detail: "there is no such path", hint: hint})
}

// routeOf is the path of a request as the API has it: never what the caller wrote, which may name people.
func routeOf(r *http.Request) string {
	if r.Pattern == "" {
		return "none"
	}
	return r.Pattern
}

// watched remembers how a request was answered, and by whom it came.
type watched struct {
	http.ResponseWriter
	status int
	caller string
}

func (w *watched) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *watched) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController find the connection.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// discard is an answer that nobody gets.
type discard struct{ header http.Header }

func (d discard) Header() http.Header       { return d.header }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

// author is who decides: whoever the caller says, and the token that vouches for it.
func author(w http.ResponseWriter, by string) string {
	asks, ok := w.(*watched)
	switch {
	case !ok || asks.caller == "":
		if by == "" {
			return "control socket"
		}
		return by
	case by == "":
		return "token " + asks.caller
	default:
		return by + " (token " + asks.caller + ")"
	}
}

// send answers with JSON. The time that the caller has for reading begins now, not when the request came.
func (h *handler) send(w http.ResponseWriter, status int, media string, v any) {
	filled := reflect.New(reflect.TypeOf(v))
	filled.Elem().Set(reflect.ValueOf(v))
	fill(filled.Elem())
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(filled.Interface()); err != nil {
		h.server.Log.Error().Err(err).Msg("an answer could not be written as JSON")
		status, media = http.StatusInternalServerError, "application/problem+json"
		b.Reset()
		b.WriteString(`{"type":"about:blank","title":"Internal Server Error","status":500,"detail":"the answer could not be written","code":"internal"}` + "\n")
	}
	w.Header().Set("Content-Type", media)
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout)) // a test's recorder has no deadlines
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // whoever is gone is gone
}

// fill makes empty lists of nil ones, so that no list is ever null.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			fill(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && v.Field(i).CanSet() {
				fill(v.Field(i))
			}
		}
	case reflect.Slice:
		if v.IsNil() && v.CanSet() && v.Type().Elem().Kind() != reflect.Uint8 {
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		}
		if v.Type().Elem().Kind() == reflect.Struct {
			for i := range v.Len() {
				fill(v.Index(i))
			}
		}
	case reflect.Map:
		if v.IsNil() && v.CanSet() {
			v.Set(reflect.MakeMap(v.Type()))
		}
	}
}

// enter takes one of the places for streams; leave gives it back.
func (s *Server) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams >= maxStreams {
		return &refusal{code: codeStreams, detail: "too many streams or commands are open", hint: "Close some, or try again later.", retryAfter: heartbeatEvery}
	}
	s.streams++
	return nil
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams--
}

// ready asks the daemon whether it does its work.
func (s *Server) ready(ctx context.Context) error {
	if err := s.Daemon.Ready(ctx); err != nil {
		return &dirsync.Error{Op: "be ready", Kind: dirsync.Unavailable, Err: errors.New("the daemon is not ready"), Hint: "dirsync status says why."}
	}
	return nil
}
