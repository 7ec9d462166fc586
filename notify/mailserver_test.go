package notify_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"io"
	"log"
	"math/big"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"

	"dirsync/notify"
)

const (
	mailUser     = "dirsync@contoso.com"
	mailPassword = "correct horse/battery+staple="
)

// mailServer is a real SMTP server in this process.
type mailServer struct {
	*gosmtp.Server
	port  int
	roots *x509.CertPool
	// mechanisms are offered to sign in; none: nobody has to.
	mechanisms []string
	// refuse, if it is set, is asked at MAIL, RCPT and DATA, with the recipient's address for the last two; an error is the
	// answer. At DATA the message counts as taken if it returns errDropAfter, and the connection is cut without an answer.
	refuse func(stage, to string) error

	mu    sync.Mutex
	taken []taken
}

// taken is a message that the server has accepted, or would have told so.
type taken struct {
	to string
	*mail.Message
	raw string
}

// errDrop cuts the connection; errDropAfter does so having taken the message.
var (
	errDrop      = &gosmtp.SMTPError{Code: 1}
	errDropAfter = &gosmtp.SMTPError{Code: 2}
)

type serverOptions struct{ implicit, noTLS bool }

// newMailServer starts a server on a free port of 127.0.0.1.
func newMailServer(t testing.TB, o serverOptions) *mailServer {
	t.Helper()
	s := &mailServer{}
	s.Server = gosmtp.NewServer(gosmtp.BackendFunc(func(c *gosmtp.Conn) (gosmtp.Session, error) {
		return &session{server: s, conn: c}, nil
	}))
	s.Domain = "mail.test"
	s.ErrorLog = log.New(io.Discard, "", 0)
	s.AllowInsecureAuth = true
	cert, roots := certificate(t)
	s.roots = roots
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if !o.noTLS && !o.implicit {
		s.TLSConfig = config
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.port = l.Addr().(*net.TCPAddr).Port
	if o.implicit {
		l = tls.NewListener(l, config)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	// Close does not know the listener yet if Serve has not begun.
	t.Cleanup(func() { _ = s.Close(); _ = l.Close(); <-done })
	return s
}

func certificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// config is that of a client of s.
func (s *mailServer) config() notify.SMTP {
	return notify.SMTP{Host: "127.0.0.1", Port: s.port, From: "dirsync <dirsync@contoso.com>", Hello: "dirsync.test", Roots: s.roots}
}

func (s *mailServer) sender(t *testing.T) notify.Sender {
	t.Helper()
	return newSMTP(t, s.config())
}

func newSMTP(t *testing.T, c notify.SMTP) notify.Sender {
	t.Helper()
	sender, err := notify.NewSMTP(c)
	if err != nil {
		t.Fatal(err)
	}
	return sender
}

func (s *mailServer) all() []taken {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]taken(nil), s.taken...)
}

// takeOne returns the only message that was taken, and forgets it.
func (s *mailServer) takeOne(t *testing.T) taken {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.taken) != 1 {
		t.Fatalf("got %d messages, want 1", len(s.taken))
	}
	m := s.taken[0]
	s.taken = nil
	return m
}

// mailbox lists what reached one address, however it is written.
func (s *mailServer) mailbox(to string) []taken {
	var list []taken
	for _, m := range s.all() {
		if strings.EqualFold(m.to, to) {
			list = append(list, m)
		}
	}
	return list
}

type session struct {
	server *mailServer
	conn   *gosmtp.Conn
	signed bool
	to     string
}

func (s *session) ask(stage, to string) error {
	if len(s.server.mechanisms) > 0 && !s.signed {
		return &gosmtp.SMTPError{Code: 530, EnhancedCode: gosmtp.EnhancedCode{5, 7, 0}, Message: "Authentication required"}
	}
	if s.server.refuse == nil {
		return nil
	}
	err := s.server.refuse(stage, to)
	if err == errDrop {
		_ = s.conn.Conn().Close()
	}
	return err
}

func (s *session) Reset()        { s.to = "" }
func (s *session) Logout() error { return nil }

func (s *session) Mail(string, *gosmtp.MailOptions) error { return s.ask("MAIL", "") }

func (s *session) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	s.to = to
	return s.ask("RCPT", to)
}

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	answer := s.ask("DATA", s.to)
	if answer != nil && answer != errDropAfter {
		return answer
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return &gosmtp.SMTPError{Code: 554, Message: "this is no message: " + err.Error()}
	}
	s.server.mu.Lock()
	s.server.taken = append(s.server.taken, taken{s.to, m, string(raw)})
	s.server.mu.Unlock()
	if answer == errDropAfter {
		_ = s.conn.Conn().Close() // only now: whoever sees it finds the message taken
	}
	return answer
}

func (s *session) AuthMechanisms() []string { return s.server.mechanisms }

// Auth signs in. When it fails, it repeats what it was given, as careless servers do.
func (s *session) Auth(mechanism string) (sasl.Server, error) {
	check := func(ok bool, saw string) error {
		if !ok {
			return &gosmtp.SMTPError{Code: 535, EnhancedCode: gosmtp.EnhancedCode{5, 7, 8}, Message: "wrong credential: " + saw}
		}
		s.signed = true
		return nil
	}
	switch mechanism {
	case sasl.Plain:
		return sasl.NewPlainServer(func(_, user, password string) error {
			return check(user == mailUser && password == mailPassword, user+" "+password)
		}), nil
	case "LOGIN":
		return &dialogue{questions: []string{"Username:", "Password:"}, end: func(answers []string) error {
			return check(answers[0] == mailUser && answers[1] == mailPassword, strings.Join(answers, " "))
		}}, nil
	case "CRAM-MD5":
		return &dialogue{questions: []string{"<1@mail.test>"}, end: func(answers []string) error {
			h := hmac.New(md5.New, []byte(mailPassword))
			h.Write([]byte("<1@mail.test>"))
			return check(answers[0] == mailUser+" "+hex.EncodeToString(h.Sum(nil)), answers[0])
		}}, nil
	case "XOAUTH2":
		return &dialogue{end: func(answers []string) error {
			return check(answers[0] == "user="+mailUser+"\x01auth=Bearer "+mailPassword+"\x01\x01", strings.ReplaceAll(answers[0], "\x01", " "))
		}}, nil
	}
	return nil, gosmtp.ErrAuthUnknownMechanism
}

// dialogue is a sasl.Server that asks questions; without any, it takes the first response.
type dialogue struct {
	questions []string
	asked     int
	answers   []string
	end       func(answers []string) error
}

func (d *dialogue) Next(response []byte) ([]byte, bool, error) {
	if d.asked > 0 || len(d.questions) == 0 {
		d.answers = append(d.answers, string(response))
	}
	if d.asked < len(d.questions) {
		d.asked++
		return []byte(d.questions[d.asked-1]), false, nil
	}
	return nil, true, d.end(d.answers)
}
