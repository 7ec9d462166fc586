package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"dirsync"
)

// Door is a place where the Server can be reached. It is open as soon as it exists; Serve answers whoever comes.
type Door struct {
	listener net.Listener
	http     *http.Server
	secure   bool
	// remove takes away what was left on the disk; nil for nothing.
	remove func()
	stop   context.CancelFunc
}

// grace is how long requests that are under way may take to end when the daemon stops.
const grace = 10 * time.Second

// Addr is the path of the socket, or the address with the port that was given.
func (d *Door) Addr() string { return d.listener.Addr().String() }

// Serve answers until ctx is done. Then streams and commands are told to end, other requests may take ten seconds to do so,
// and the door is closed. It returns nil unless the door broke before that.
func (d *Door) Serve(ctx context.Context) error {
	broken := make(chan error, 1)
	go func() {
		if d.secure {
			broken <- d.http.ServeTLS(d.listener, "", "")
		} else {
			broken <- d.http.Serve(d.listener)
		}
	}()
	select {
	case err := <-broken:
		d.Close()
		return fmt.Errorf("serve %s: %w", d.Addr(), err)
	case <-ctx.Done():
	}
	d.stop()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	_ = d.http.Shutdown(last) // who does not end in time is cut off by Close
	d.Close()
	if err := <-broken; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", d.Addr(), err)
	}
	return nil
}

// Close closes the door without waiting for anybody. It may be called more than once, and instead of Serve.
func (d *Door) Close() {
	d.stop()
	_ = d.http.Close()
	_ = d.listener.Close()
	if d.remove != nil {
		d.remove()
	}
}

func (s *Server) open(l net.Listener, at place, tokens []Token, hosts []string) *Door {
	stop, cancel := context.WithCancel(context.Background())
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true) // its deadlines mean the same for one request as for the connection
	return &Door{listener: l, stop: cancel, http: &http.Server{
		Handler: s.handler(stop, at, tokens, hosts), Protocols: protocols,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader,
		ErrorLog:       log.New(complaints{s}, "", 0),
	}}
}

// complaints are what net/http says of broken connections, TLS handshakes above all.
type complaints struct{ server *Server }

func (c complaints) Write(b []byte) (int, error) {
	c.server.Log.Debug().Str("complaint", redact(strings.TrimSpace(string(b)))).Msg("connection")
	return len(b), nil
}

// TCP says where and to whom the API is offered over TCP.
type TCP struct {
	// Addr is what to listen on: "127.0.0.1:8420", "[::]:8420". Port 0 is any free one.
	Addr string
	// TLS is required unless Addr is an address of the loopback interface. It has at least a certificate.
	TLS *tls.Config
	// Tokens say who may ask. At least one.
	Tokens []Token
	// Hosts are the names that the daemon goes by, without a port. Addresses and localhost need not be listed.
	Hosts []string
}

// OpenTCP opens the API's door for whoever has a token.
func (s *Server) OpenTCP(t TCP) (*Door, error) {
	op := "listen on " + t.Addr
	local, err := loopback(t.Addr)
	switch {
	case err != nil:
		return nil, &dirsync.Error{Op: op, Kind: dirsync.Invalid, Err: err, Hint: "Write an address and a port: 127.0.0.1:8420"}
	case t.TLS == nil && !local:
		return nil, &dirsync.Error{Op: op, Kind: dirsync.Invalid, Err: errors.New("others could read tokens on the way, because there is no certificate"),
			Hint: "Give a certificate and a key, or listen on 127.0.0.1."}
	case t.TLS != nil && len(t.TLS.Certificates) == 0 && t.TLS.GetCertificate == nil && t.TLS.GetConfigForClient == nil:
		return nil, &dirsync.Error{Op: op, Kind: dirsync.Invalid, Err: errors.New("the certificate is missing"), Hint: "Give a certificate and a key."}
	case len(t.Tokens) == 0:
		return nil, &dirsync.Error{Op: op, Kind: dirsync.Invalid, Err: errors.New("nobody could use it, because there is no token"),
			Hint: "Make a token, and give its SHA-256 in the configuration."}
	}
	l, err := listen(t.Addr)
	if err != nil {
		return nil, err
	}
	d := s.open(bound(l), tcpDoor, t.Tokens, t.Hosts)
	if t.TLS != nil {
		config := t.TLS.Clone()
		config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
		d.http.TLSConfig, d.secure = config, true
	}
	return d, nil
}

// OpenMetrics opens a door for metrics and signs of life alone. It asks for no token and has no TLS: what it shows names
// syncs and hosts, and no person.
func (s *Server) OpenMetrics(addr string) (*Door, error) {
	if _, err := loopback(addr); err != nil {
		return nil, &dirsync.Error{Op: "listen on " + addr, Kind: dirsync.Invalid, Err: err, Hint: "Write an address and a port: 127.0.0.1:9420"}
	}
	l, err := listen(addr)
	if err != nil {
		return nil, err
	}
	return s.open(bound(l), metricsDoor, nil, nil), nil
}

func listen(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, &dirsync.Error{Op: "listen", Kind: dirsync.Unavailable, Err: err, Hint: "Is the address one of this machine, and its port free?"}
	}
	return l, nil
}

// loopback tells whether an address can be reached from this machine only. A name other than localhost never counts.
func loopback(addr string) (bool, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false, err
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback(), nil
	}
	return host == "localhost", nil
}

// maxSocketPath is the longest path of a socket: sun_path has 108 bytes on Linux and 104 on BSD and macOS, the last a zero.
func maxSocketPath() int {
	if runtime.GOOS == "linux" {
		return 107
	}
	return 103
}

// socketFits refuses paths that the system would refuse with "invalid argument".
func socketFits(path string) error {
	if n := len(path); n > maxSocketPath() {
		return &dirsync.Error{Op: "use the control socket", Kind: dirsync.Invalid,
			Err: fmt.Errorf("its path %s has %d bytes, and this system allows %d", path, n, maxSocketPath()), Hint: "Put the store into a folder with a shorter name."}
	}
	return nil
}

// OpenSocket opens the control socket, which only the daemon's own user and root can use. A socket that another process
// left behind is replaced; one that somebody answers on is an error of kind Locked, and so is a file of another kind one of
// kind Conflict. The socket is removed when the door closes.
//
// It is made in a folder of its own, closed to others before and in the right mode, and only then moved to path, so that
// there is no moment at which somebody else could connect, whatever the umask.
func (s *Server) OpenSocket(path string) (*Door, error) {
	const op = "open the control socket"
	if err := socketFits(path); err != nil {
		return nil, err
	}
	if err := unused(path); err != nil {
		return nil, err
	}
	refuse := func(err error) error {
		return &dirsync.Error{Op: op, Kind: dirsync.Storage, Err: err, Hint: "The daemon must be able to write to the folder of its store."}
	}
	nursery, err := os.MkdirTemp(filepath.Dir(path), ".s*")
	if err != nil {
		return nil, refuse(err)
	}
	defer func() { _ = os.RemoveAll(nursery) }() // an empty folder that stays behind harms nobody
	young := filepath.Join(nursery, "s")
	if err := socketFits(young); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", young)
	if err != nil {
		return nil, refuse(err)
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	if err := errors.Join(os.Chmod(young, 0o600), os.Rename(young, path)); err != nil {
		_ = l.Close()
		return nil, refuse(err)
	}
	made, err := os.Lstat(path)
	if err != nil {
		_ = l.Close()
		return nil, refuse(err)
	}
	d := s.open(named{l, path}, socketDoor, nil, nil)
	d.remove = func() {
		// By now the path may be somebody else's.
		if there, err := os.Lstat(path); err == nil && os.SameFile(made, there) {
			_ = os.Remove(path)
		}
	}
	return d, nil
}

// named is a listener that has moved.
type named struct {
	net.Listener
	path string
}

func (n named) Addr() net.Addr { return &net.UnixAddr{Name: n.path, Net: "unix"} }

// unused makes sure that nobody answers at path, and that nothing is there but perhaps a socket.
func unused(path string) error {
	const op = "open the control socket"
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &dirsync.Error{Op: op, Kind: dirsync.Storage, Err: err}
	}
	if info.Mode().Type() != os.ModeSocket {
		return &dirsync.Error{Op: op, Kind: dirsync.Conflict, Err: fmt.Errorf("%s is there already and is no socket", path), Hint: "Move it out of the way."}
	}
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(context.Background(), "unix", path)
	switch {
	case err == nil:
		_ = conn.Close()
		return &dirsync.Error{Op: op, Kind: dirsync.Locked, Err: fmt.Errorf("another daemon answers at %s", path), Hint: "Stop it first, or give this one a store of its own."}
	case absent(err):
		return nil
	default:
		return &dirsync.Error{Op: op, Kind: dirsync.Unavailable, Err: err, Hint: "Does another user run a daemon there?"}
	}
}
