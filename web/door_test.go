package web

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dirsync"
)

// stale leaves a socket behind on which nobody listens.
func stale(t *testing.T, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestSocket(t *testing.T) {
	dir := t.TempDir()
	path := dir + "/d.sock"
	stale(t, path)
	s := &Server{Daemon: newMemory()}
	d, err := s.OpenSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Serve(ctx) }()

	info, err := os.Lstat(path)
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("got %v, %v, want a socket with mode 0600", info.Mode(), err)
	}
	if names, _ := filepath.Glob(dir + "/*"); len(names) != 1 {
		t.Errorf("got %v in the folder, want the socket alone", names)
	}
	if d.Addr() != path {
		t.Errorf("got the address %s, want %s", d.Addr(), path)
	}
	c, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := s.OpenSocket(path); dirsync.KindOf(err) != dirsync.Locked || dirsync.HintOf(err) == "" {
		t.Errorf("a second daemon: got %v, want Locked with a hint", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("got %v after the end, want no socket", err)
	}
	d.Close() // once more is fine
}

func TestSocketOfSomebodyElse(t *testing.T) {
	dir := t.TempDir()
	s := &Server{Daemon: newMemory()}
	if err := os.WriteFile(dir+"/file", []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.OpenSocket(dir + "/file"); dirsync.KindOf(err) != dirsync.Conflict {
		t.Errorf("a file: got %v, want Conflict", err)
	}
	if text, err := os.ReadFile(dir + "/file"); string(text) != "precious" {
		t.Errorf("the file is %q, %v", text, err)
	}
	if _, err := s.OpenSocket(dir + "/missing/d.sock"); dirsync.KindOf(err) != dirsync.Storage {
		t.Errorf("no folder: got %v, want Storage", err)
	}
	if _, err := s.OpenSocket(dir + "/" + strings.Repeat("x", 120)); dirsync.KindOf(err) != dirsync.Invalid || !strings.Contains(err.Error(), "this system allows 10") {
		t.Errorf("a long path: got %v", err)
	}
	// A door that closes late takes nobody else's socket away.
	d, err := s.OpenSocket(dir + "/d.sock")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(dir + "/d.sock"); err != nil {
		t.Fatal(err)
	}
	stale(t, dir+"/d.sock")
	d.Close()
	if _, err := os.Lstat(dir + "/d.sock"); err != nil {
		t.Errorf("the other one's socket: %v", err)
	}
}

// certificate makes a key and a certificate for localhost.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestTCPNeeds(t *testing.T) {
	token := []Token{tokenFor(t, "ops", "secret-token")}
	cert := &tls.Config{Certificates: []tls.Certificate{certificate(t)}}
	for name, tc := range map[string]struct {
		tcp TCP
		ok  bool
	}{
		"loopback":            {TCP{Addr: "127.0.0.1:0", Tokens: token}, true},
		"loopback with TLS":   {TCP{Addr: "127.0.0.1:0", Tokens: token, TLS: cert}, true},
		"localhost":           {TCP{Addr: "localhost:0", Tokens: token}, true},
		"no token":            {TCP{Addr: "127.0.0.1:0"}, false},
		"no token with TLS":   {TCP{Addr: "127.0.0.1:0", TLS: cert}, false},
		"no TLS":              {TCP{Addr: "0.0.0.0:0", Tokens: token}, false},
		"no TLS, any address": {TCP{Addr: ":0", Tokens: token}, false},
		"no TLS, IPv6":        {TCP{Addr: "[::]:0", Tokens: token}, false},
		"no TLS, a name":      {TCP{Addr: "db.localhost.example:0", Tokens: token}, false},
		"no certificate":      {TCP{Addr: "127.0.0.1:0", Tokens: token, TLS: &tls.Config{}}, false},
		"no port":             {TCP{Addr: "127.0.0.1", Tokens: token}, false},
		"nothing":             {TCP{Tokens: token}, false},
	} {
		d, err := (&Server{Daemon: newMemory()}).OpenTCP(tc.tcp)
		if (err == nil) != tc.ok {
			t.Errorf("%s: got %v, want ok=%v", name, err, tc.ok)
		}
		if err == nil {
			d.Close()
		} else if dirsync.KindOf(err) != dirsync.Invalid || dirsync.HintOf(err) == "" {
			t.Errorf("%s: got %v, want Invalid with a hint", name, err)
		}
	}
}

func TestTLS(t *testing.T) {
	cert := certificate(t)
	d, err := (&Server{Daemon: newMemory()}).OpenTCP(TCP{Addr: "127.0.0.1:0", Tokens: []Token{tokenFor(t, "ops", "secret-token")},
		TLS: &tls.Config{Certificates: []tls.Certificate{cert}}})
	serving(t, d, err)
	pool := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(leaf)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	defer client.CloseIdleConnections()
	req, _ := http.NewRequest(http.MethodGet, "https://"+d.Addr()+"/v1/status", nil)
	req.Header.Set("Authorization", "Bearer secret-token")
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 {
		t.Errorf("got %d, want 200", res.StatusCode)
	}
	if conn, err := tls.Dial("tcp", d.Addr(), &tls.Config{RootCAs: pool, MaxVersion: tls.VersionTLS11}); err == nil {
		conn.Close()
		t.Error("TLS 1.1 was accepted")
	}
	res, err = http.Get("http://" + d.Addr() + "/v1/status")
	if err == nil {
		defer res.Body.Close()
		if res.StatusCode != 400 {
			t.Errorf("without TLS: got %d, want 400", res.StatusCode)
		}
	}
}

// TestMetricsDoor holds that the door without a token shows nothing else.
func TestMetricsDoor(t *testing.T) {
	m := newMemory()
	d, err := (&Server{Daemon: m, Metrics: NewMetrics("test")}).OpenMetrics("127.0.0.1:0")
	serving(t, d, err)
	for path, want := range map[string]int{"/metrics": 200, "/livez": 200, "/readyz": 200, "/v1/status": 404, "/v1/exec": 404, "/v1/openapi.yaml": 404} {
		res, err := http.Get("http://" + d.Addr() + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: got %d, want %d", path, res.StatusCode, want)
		}
	}
	if _, err := (&Server{}).OpenMetrics("nonsense"); dirsync.KindOf(err) != dirsync.Invalid {
		t.Errorf("got %v, want Invalid", err)
	}
	var b bytes.Buffer
	m.down = &dirsync.Error{Op: "open /secret/path", Kind: dirsync.Storage}
	res, err := http.Get("http://" + d.Addr() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = b.ReadFrom(res.Body)
	if res.StatusCode != 503 || strings.Contains(b.String(), "/secret/path") {
		t.Errorf("not ready: got %d %s, want 503 without what only the log should say", res.StatusCode, b.String())
	}
}
