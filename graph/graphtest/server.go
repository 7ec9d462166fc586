package graphtest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"time"
)

// Server serves a Tenant over TLS on a port of the loopback interface, because the sign-in libraries insist on https.
// Its URL is at once the authority ("https://127.0.0.1:1234", to which the tenant id is appended) and, with "/v1.0"
// appended, the base of Graph.
type Server struct {
	// URL has no slash at its end.
	URL string
	// CA is the certificate, in PEM, that a client must trust. Its key exists nowhere but in this process.
	CA []byte

	http *http.Server
	pool *x509.CertPool
	done chan struct{}
}

// Start serves t until Close.
func Start(t *Tenant) (*Server, error) {
	cert, ca, err := certificates()
	if err != nil {
		return nil, fmt.Errorf("make a certificate for the simulated tenant: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the simulated tenant: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	s := &Server{
		URL:  "https://" + l.Addr().String(),
		CA:   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw}),
		pool: pool,
		done: make(chan struct{}),
		http: &http.Server{
			Handler:           t,
			ReadHeaderTimeout: 10 * time.Second,
			// Clients that hang up and handshakes that fail are part of the tests and not worth a line.
			ErrorLog:  log.New(io.Discard, "", 0),
			TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
		},
	}
	go func() {
		defer close(s.done)
		_ = s.http.ServeTLS(l, "", "") // it always ends with an error, and Close is what makes it end
	}()
	return s, nil
}

// Client returns a new client that trusts the server. It keeps its own connections; CloseIdleConnections ends them.
func (s *Server) Client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: s.pool, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 16,
	}}
}

// Close stops serving at once, breaks all connections and waits until the listener has ended.
func (s *Server) Close() error {
	err := s.http.Close()
	<-s.done
	if err != nil {
		return fmt.Errorf("close the simulated tenant: %w", err)
	}
	return nil
}

// certificates makes a CA and a leaf for the loopback addresses, both good for a day around the present.
func certificates() (tls.Certificate, *x509.Certificate, error) {
	none := tls.Certificate{}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return none, nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return none, nil, err
	}
	now := time.Now()
	caTemplate := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Simulated tenant CA"},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(30 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, caTemplate, caTemplate, &caKey.PublicKey, caKey)
	if err != nil {
		return none, nil, err
	}
	ca, err := x509.ParseCertificate(caDER)
	if err != nil {
		return none, nil, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "127.0.0.1"},
		NotBefore: caTemplate.NotBefore, NotAfter: caTemplate.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, DNSNames: []string{"localhost"},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	if err != nil {
		return none, nil, err
	}
	return tls.Certificate{Certificate: [][]byte{bytes.Clone(der), ca.Raw}, PrivateKey: key}, ca, nil
}
