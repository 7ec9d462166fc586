package graphtest

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"strconv"
)

// Transport returns a transport that hands requests to the tenant in process, whatever https host they are for. No
// network is touched, so that a test inside testing/synctest, whose clock stands still while somebody waits for a
// socket, can use the tenant. Base URLs are then any host's, "https://tenant.example" and "https://tenant.example/v1.0".
func (t *Tenant) Transport() http.RoundTripper { return transport{t} }

type transport struct{ t *Tenant }

// RoundTrip implements http.RoundTripper. A connection that the tenant breaks shows as a body that ends too early.
func (tr transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" {
		closeBody(r)
		return nil, errors.New("the simulated tenant answers https only")
	}
	in := r.Clone(r.Context())
	in.TLS, in.RequestURI = &tls.ConnectionState{HandshakeComplete: true}, r.URL.RequestURI()
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := &recorder{header: make(http.Header), status: http.StatusOK}
	whole := w.serve(tr.t, in)
	closeBody(r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if !whole && !w.begun {
		return nil, io.ErrUnexpectedEOF
	}
	var body io.Reader = bytes.NewReader(w.body.Bytes())
	if !whole {
		body = io.MultiReader(body, broken{})
	}
	length, err := strconv.ParseInt(w.header.Get("Content-Length"), 10, 64)
	if err != nil {
		length = -1
	}
	if r.Method == http.MethodHead {
		body = http.NoBody
	}
	return &http.Response{
		Status: strconv.Itoa(w.status) + " " + http.StatusText(w.status), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(body), ContentLength: length, Request: r,
	}, nil
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close() // a transport must close it; there is nobody to tell about an error
	}
}

// recorder keeps an answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
	begun  bool // the status was written
}

func (w *recorder) Header() http.Header         { return w.header }
func (w *recorder) WriteHeader(status int)      { w.status, w.begun = status, true }
func (w *recorder) Write(b []byte) (int, error) { return w.body.Write(b) }

// serve lets the tenant answer and reports whether it did so to the end.
func (w *recorder) serve(t *Tenant, r *http.Request) (whole bool) {
	defer func() {
		if p := recover(); p != nil {
			if err, ok := p.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				panic(p)
			}
			whole = false
		}
	}()
	t.ServeHTTP(w, r)
	return true
}

// broken is the end of a body that was cut off.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
