package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"dirsync"
	"dirsync/web"
)

// The bounds of whoever knocks at the doorway. Answers that are long are given more time as they are written.
const (
	pushHeaderTime = 10 * time.Second
	pushReadTime   = time.Minute
	pushWriteTime  = 2 * time.Minute
	pushIdleTime   = 2 * time.Minute
	pushHeaderSize = 64 << 10
	// pushConns is how many connections there may be at once. Whoever comes then waits until one ends.
	pushConns = 1024
	// pushStop is how long requests may take to end when the server stops.
	pushStop = 10 * time.Second
)

// doorway is where SCIM clients come in. It is open as soon as it exists.
type doorway struct {
	listener net.Listener
	files    *certificateFiles // nil: a proxy does TLS, or nobody
	tls      *tls.Config
	log      zerolog.Logger
	metrics  *web.Metrics

	// trust is from where a proxy comes, and guesses who sends wrong tokens.
	trust   ProxyTrust
	guesses *web.Guesses

	// mu guards how many were turned away since that was last said, and what was answered since the start.
	mu      sync.Mutex
	turned  int
	saidOff time.Time
	tally   pushTally
}

// openDoorway listens as the configuration says.
func openDoorway(c *SCIMConfig, log zerolog.Logger, metrics *web.Metrics) (*doorway, error) {
	d := &doorway{log: log, metrics: metrics, trust: c.BehindProxy, guesses: newGuesses(), tally: pushTally{last: map[string]pushEntry{}}}
	if c.TLS.IsSet() {
		d.files = &certificateFiles{certificate: string(c.TLS.Certificate), key: string(c.TLS.Key), log: log, now: time.Now}
		if err := d.files.read(); err != nil {
			return nil, &dirsync.Error{Op: "read the certificate of serve.scim", Kind: dirsync.Invalid, Err: err}
		}
		d.tls = &tls.Config{GetCertificate: d.files.current, MinVersion: tls.VersionTLS12}
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, &dirsync.Error{Op: "listen for SCIM clients", Kind: dirsync.Unavailable, Err: err,
			Hint: "Another process may listen there; serve.scim.listen says where this one does."}
	}
	d.listener = &guarded{Listener: l, trust: c.BehindProxy, places: make(chan struct{}, pushConns), closed: make(chan struct{})}
	return d, nil
}

// close closes the doorway without waiting for anybody. It may be called on nil.
func (d *doorway) close() {
	if d != nil {
		_ = d.listener.Close()
	}
}

// Addr is the address, with the port that was given.
func (d *doorway) Addr() string { return d.listener.Addr().String() }

// serve answers until ctx ends; then requests that are under way may end.
func (d *doorway) serve(ctx context.Context, h http.Handler) error {
	s := &http.Server{Handler: h, TLSConfig: d.tls, ReadHeaderTimeout: pushHeaderTime, ReadTimeout: pushReadTime, WriteTimeout: pushWriteTime,
		IdleTimeout: pushIdleTime, MaxHeaderBytes: pushHeaderSize, ErrorLog: stdlog.New(lastWord{d.log}, "", 0)}
	ended := make(chan error, 1)
	go func() {
		if d.tls != nil {
			ended <- s.ServeTLS(d.listener, "", "")
			return
		}
		ended <- s.Serve(d.listener)
	}()
	select {
	case err := <-ended:
		return fmt.Errorf("serve SCIM clients: %w", err)
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), pushStop)
	defer cancel()
	if err := s.Shutdown(last); err != nil {
		_ = s.Close() // Nothing is lost: what was not answered is asked for again.
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve SCIM clients: %w", err)
	}
	return nil
}

// refused notes that somebody without a valid token was turned away, and says so once a minute. waits tells those whose token
// was not even answered, because too many wrong ones came from their address.
func (d *doorway) refused(at time.Time, waits bool) {
	if d == nil {
		return
	}
	d.metrics.PushRefused(waits)
	d.mu.Lock()
	defer d.mu.Unlock()
	if waits {
		d.tally.waits++
	}
	if d.turned++; at.Sub(d.saidOff) >= time.Minute {
		d.log.Warn().Int("requests", d.turned).Msg("SCIM clients without a valid token were turned away")
		d.turned, d.saidOff = 0, at
	}
}

// lastWord is the log of net/http: whoever breaks off a connection is no event.
type lastWord struct{ log zerolog.Logger }

func (l lastWord) Write(b []byte) (int, error) {
	l.log.Debug().Bytes("said", b).Msg("a connection of a SCIM client ended badly")
	return len(b), nil
}

// guarded is a listener of at most as many connections as it has places, from trusted addresses if there are any.
type guarded struct {
	net.Listener
	trust  ProxyTrust
	places chan struct{}
	once   sync.Once
	closed chan struct{}
}

// Accept waits for a connection that may come in, and for a place.
func (g *guarded) Accept() (net.Conn, error) {
	select {
	case g.places <- struct{}{}:
	case <-g.closed:
		return nil, net.ErrClosed
	}
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			<-g.places
			return nil, err
		}
		if g.trust.IsSet() && !g.trusts(c.RemoteAddr()) {
			_ = c.Close() // It is not the proxy, and what it would send is not encrypted.
			continue
		}
		return &guardedConn{Conn: c, leave: sync.OnceFunc(func() { <-g.places })}, nil
	}
}

func (g *guarded) trusts(a net.Addr) bool {
	at, err := netip.ParseAddrPort(a.String())
	return err == nil && g.trust.trusts(at.Addr())
}

// Close stops listening.
func (g *guarded) Close() error {
	g.once.Do(func() { close(g.closed) })
	return g.Listener.Close()
}

// guardedConn gives its place back when it is closed.
type guardedConn struct {
	net.Conn
	leave func()
}

func (c *guardedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// certificateFiles are a certificate and its key, read again when the files change: certificates live for weeks, and the
// daemon for months.
type certificateFiles struct {
	certificate, key string
	log              zerolog.Logger
	now              func() time.Time

	mu     sync.Mutex
	pair   *tls.Certificate
	states [2]fileState
	looked time.Time
}

// lookAgain is how often the files are looked at, when somebody comes.
const lookAgain = 5 * time.Second

// read reads both files.
func (f *certificateFiles) read() error {
	states := [2]fileState{stateOf(f.certificate), stateOf(f.key)}
	pair, err := tls.LoadX509KeyPair(f.certificate, f.key)
	if err != nil {
		return err
	}
	f.pair, f.states, f.looked = &pair, states, f.now()
	return nil
}

// current is the certificate as it is in the files. While they do not fit together, as in the middle of being replaced, it is
// the one before.
func (f *certificateFiles) current(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if elapsed(now, f.looked) < lookAgain {
		return f.pair, nil
	}
	f.looked = now
	if f.states == [2]fileState{stateOf(f.certificate), stateOf(f.key)} {
		return f.pair, nil
	}
	if err := f.read(); err != nil {
		f.log.Error().Err(err).Msg("the certificate of serve.scim has changed and cannot be used; the old one stays")
		return f.pair, nil
	}
	f.log.Info().Msg("the certificate of serve.scim was replaced")
	return f.pair, nil
}
