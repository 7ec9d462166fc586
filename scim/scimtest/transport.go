package scimtest

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
)

// errRefused stands for a connection that was refused.
var errRefused = errors.New("connection refused")

// Transport returns a transport that hands requests to the application in process, whatever host they are for. No network
// is touched, so that a test inside testing/synctest, whose clock stands still while somebody waits for a socket, can use
// it. The base URL is then any, "https://app.example/scim/v2".
func (a *App) Transport() http.RoundTripper { return transport{a} }

type transport struct{ app *App }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if r.URL.Scheme == "https" {
		in.TLS = &tls.ConnectionState{HandshakeComplete: true}
	}
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	w := &recorder{header: http.Header{}, status: http.StatusOK}
	broken := w.serve(t.app, in)
	_ = in.Body.Close() // a transport must close it; there is nobody to tell about an error
	switch {
	case r.Context().Err() != nil:
		return nil, r.Context().Err()
	case errors.Is(broken, errRefused):
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: broken}
	case broken != nil && w.body.Len() == 0:
		return nil, io.ErrUnexpectedEOF
	}
	var body io.Reader = &w.body
	if broken != nil {
		body = io.MultiReader(body, cut{})
	}
	return &http.Response{Status: strconv.Itoa(w.status) + " " + http.StatusText(w.status), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: w.header, Body: io.NopCloser(body), ContentLength: -1, Request: r}, nil
}

// cut is the rest of a body that never came.
type cut struct{}

func (cut) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// recorder keeps an answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header         { return w.header }
func (w *recorder) WriteHeader(status int)      { w.status = status }
func (w *recorder) Write(b []byte) (int, error) { return w.body.Write(b) }

// serve lets the application answer, and returns why it broke off, if it did.
func (w *recorder) serve(a *App, r *http.Request) (broken error) {
	defer func() {
		if p := recover(); p != nil {
			err, ok := p.(error)
			if !ok || !errors.Is(err, http.ErrAbortHandler) && !errors.Is(err, errRefused) {
				panic(p)
			}
			broken = err
		}
	}()
	a.ServeHTTP(w, r)
	return nil
}
