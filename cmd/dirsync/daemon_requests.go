package main

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"strconv"
	"time"

	"dirsync/web"
)

// counting sends single attempts, and counts them for the metrics.
type counting struct {
	next    *http.Transport
	metrics *web.Metrics
}

// newCounting makes what sends a daemon's requests. roots are trusted instead of the system's; nil means those.
func newCounting(roots *x509.CertPool, metrics *web.Metrics) counting {
	next := &http.Transport{}
	if usual, ok := http.DefaultTransport.(*http.Transport); ok {
		next = usual.Clone()
	}
	next.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	next.ForceAttemptHTTP2, next.MaxIdleConns, next.MaxIdleConnsPerHost = true, 32, 16
	return counting{next, metrics}
}

// RoundTrip implements http.RoundTripper.
func (c counting) RoundTrip(req *http.Request) (*http.Response, error) {
	began := time.Now()
	resp, err := c.next.RoundTrip(req)
	status := 0
	if err == nil {
		status = resp.StatusCode
	}
	c.metrics.Request(req.URL.Hostname(), req.Method, status, time.Since(began))
	if status == http.StatusTooManyRequests {
		wait, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // a date, or nothing, counts as no time
		c.metrics.Throttled(req.URL.Hostname(), time.Duration(max(wait, 0))*time.Second)
	}
	return resp, err
}

// CloseIdleConnections lets http.Client let go of them.
func (c counting) CloseIdleConnections() { c.next.CloseIdleConnections() }
