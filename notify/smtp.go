package notify

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/mail"
	"net/textproto"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
	gosmtp "github.com/wneessen/go-mail/smtp"

	"dirsync"
)

// Encryption says how the way to the mail server is protected.
type Encryption string

// The kinds of encryption.
const (
	// STARTTLS demands it after connecting in the clear (RFC 3207); the default. Port 587.
	STARTTLS Encryption = "starttls"
	// Implicit begins with TLS (RFC 8314). Port 465.
	Implicit Encryption = "implicit"
	// Opportunistic encrypts if the server offers it; whoever sits in between can prevent it. Port 25.
	Opportunistic Encryption = "opportunistic"
	// Unencrypted never encrypts. Port 25.
	Unencrypted Encryption = "none"
)

// Mechanism is how to sign in to the mail server.
type Mechanism string

// The mechanisms.
const (
	// Automatic takes the best that the server offers of SCRAM-SHA-256, CRAM-MD5, PLAIN and LOGIN; the default.
	Automatic Mechanism = ""
	Plain     Mechanism = "plain"
	Login     Mechanism = "login"
	CRAMMD5   Mechanism = "cram-md5"
	// XOAUTH2 signs in with an access token, which Secret returns, as Microsoft 365 and Google demand.
	XOAUTH2 Mechanism = "xoauth2"
)

// SMTP is the configuration of a mail server.
type SMTP struct {
	Host string
	// Port zero means the usual one of TLS.
	Port int
	// TLS empty means STARTTLS.
	TLS Encryption
	// Username empty means that nobody signs in.
	Username string
	Secret   Secret
	Auth     Mechanism
	// From is the address that mail comes from, with a display name or without: "dirsync <dirsync@contoso.com>".
	From string
	// Hello is the name by which we greet; empty means the name of this machine.
	Hello string
	// Roots are the authorities that the server's certificate may come from; nil means those of the system.
	Roots *x509.CertPool
}

// mailer is a Sender of e-mail.
type mailer struct {
	SMTP
	from *mail.Address
	// domain is the right side of From, for the Message-ID.
	domain string
}

// NewSMTP checks c and returns a Sender of e-mail. It connects for each message anew, because they are rare.
//
// Nothing that signs in is sent in the clear except to this machine itself.
func NewSMTP(c SMTP) (Sender, error) {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Host == "" || clean(c.Host, 253) != c.Host || strings.ContainsAny(c.Host, "/ ") {
		bad("the host %q is not the name of a server", clean(c.Host, MaxCell))
	}
	c.TLS = cmp.Or(c.TLS, STARTTLS)
	switch c.TLS {
	case STARTTLS:
		c.Port = cmp.Or(c.Port, 587)
	case Implicit:
		c.Port = cmp.Or(c.Port, 465)
	case Opportunistic, Unencrypted:
		c.Port = cmp.Or(c.Port, 25)
	default:
		bad("tls %q is unknown; use starttls, implicit, opportunistic or none", clean(string(c.TLS), MaxCell))
	}
	if c.Port < 1 || c.Port > 65535 {
		bad("the port %d is not between 1 and 65535", c.Port)
	}
	switch c.Auth {
	case Automatic, Plain, Login, CRAMMD5:
	case XOAUTH2:
		if (c.TLS == Opportunistic || c.TLS == Unencrypted) && !loopback(c.Host) {
			bad("xoauth2 sends an access token and needs tls: starttls or implicit")
		}
	default:
		bad("auth %q is unknown; use plain, login, cram-md5 or xoauth2, or leave it out", clean(string(c.Auth), MaxCell))
	}
	if (c.Username == "") != (c.Secret == nil) {
		bad("signing in needs both a user name and a password")
	}
	if c.Username == "" && c.Auth != Automatic {
		bad("auth %s needs a user name", c.Auth)
	}
	m := mailer{SMTP: c}
	from, err := mail.ParseAddress(c.From)
	if err != nil || clean(c.From, 320) != c.From {
		bad("from %q is not an e-mail address; write dirsync <dirsync@example.com>", clean(c.From, MaxCell))
	} else {
		m.from, m.domain = from, from.Address[strings.LastIndexByte(from.Address, '@')+1:]
		if strings.ContainsAny(m.domain, "[]<>() \"") {
			m.domain = "dirsync.invalid"
		}
	}
	if len(errs) > 0 {
		return nil, fault("smtp", dirsync.Invalid, "", errors.Join(errs...))
	}
	return m, nil
}

func loopback(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }

// Send sends one message to m.To.Address. Its Message-ID is made of m.ID and the domain of the sender.
func (s mailer) Send(ctx context.Context, m Message) (string, error) {
	const op = "send mail"
	msg, err := s.compose(m)
	if err != nil {
		return "", fault(op, dirsync.Invalid, "", safe(err))
	}
	var secret string
	if s.Secret != nil {
		if secret, err = s.Secret(ctx); err != nil {
			return "", fault(op, dirsync.Unavailable, "Look whether the password or token can be read.",
				fmt.Errorf("read the password: %w", safe(err)))
		}
		if secret == "" {
			return "", fault(op, dirsync.Unauthorized, "Set the password.", errors.New("the password is empty"))
		}
	}
	// What a server sees of the secret it may repeat in its answer.
	blobs := []string{secret, "\x00" + s.Username + "\x00" + secret,
		"user=" + s.Username + "\x01auth=Bearer " + secret + "\x01\x01"}
	if secret == "" {
		blobs = nil
	}
	var wire guardedDialer
	client, err := gomail.NewClient(s.Host, s.options(ctx, secret, &wire)...)
	if err != nil {
		return "", fault(op, dirsync.Permission, "Look at the settings under notify.smtp.", safe(err, blobs...))
	}
	// Whatever happens, the connection is cut and not ended politely: after an error in the middle of a message, the
	// polite QUIT would first end the message, and a torn one would be delivered.
	defer wire.close()
	conn, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return "", s.dialFault(op, err, blobs)
	}
	err = client.SendWithSMTPClient(conn, msg)
	if msg.IsDelivered() {
		// That the server then does not answer RSET does not matter any more.
		_ = conn.Quit()
		return hide(msg.ServerResponse(), blobs...), nil
	}
	if err == nil {
		err = errors.New("the message was not sent")
	}
	return "", s.sendFault(op, err, blobs)
}

// compose makes the mail of a message. It is the same for every attempt.
func (s mailer) compose(m Message) (*gomail.Msg, error) {
	if err := checkAddress(m.To.Address); err != nil {
		return nil, err
	}
	if m.ID == "" || strings.Trim(m.ID, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return nil, fmt.Errorf("the message id %q has other signs than letters and digits", clean(m.ID, MaxCell))
	}
	subjectLine, text, html, err := Render(m)
	if err != nil {
		return nil, err
	}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithEncoding(gomail.EncodingQP))
	msg.FromMailAddress(s.from)
	msg.ToMailAddress(&mail.Address{Name: clean(m.To.Name, MaxCell), Address: m.To.Address})
	msg.Subject(subjectLine)
	msg.SetDateWithValue(m.Created)
	msg.SetMessageIDWithValue(m.ID + "@" + s.domain)
	// RFC 3834 section 5; the second is Exchange's. Both keep absence notices away.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader("X-Auto-Response-Suppress", "All")
	msg.SetBoundary("dirsync" + m.ID)
	msg.SetBodyString(gomail.TypeTextPlain, text)
	msg.AddAlternativeString(gomail.TypeTextHTML, html)
	return msg, nil
}

func (s mailer) options(ctx context.Context, secret string, wire *guardedDialer) []gomail.Option {
	timeout := 30 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		timeout = max(time.Second, time.Until(deadline))
	}
	config := &tls.Config{ServerName: s.Host, RootCAs: s.Roots, MinVersion: tls.VersionTLS12}
	options := []gomail.Option{gomail.WithTimeout(timeout), gomail.WithoutNoop(), gomail.WithTLSConfig(config)}
	switch s.TLS {
	case Implicit:
		options = append(options, gomail.WithSSL())
		wire.tls = config
	case Opportunistic:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSOpportunistic))
	case Unencrypted:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	options = append(options, gomail.WithPort(s.Port), gomail.WithDialContextFunc(wire.dialer(ctx)))
	if s.Hello != "" {
		options = append(options, gomail.WithHELO(s.Hello))
	}
	if s.Username == "" {
		return options
	}
	options = append(options, gomail.WithUsername(s.Username), gomail.WithPassword(secret))
	switch s.Auth {
	case Plain:
		return append(options, gomail.WithSMTPAuth(gomail.SMTPAuthPlain))
	case Login:
		return append(options, gomail.WithSMTPAuth(gomail.SMTPAuthLogin))
	case CRAMMD5:
		return append(options, gomail.WithSMTPAuth(gomail.SMTPAuthCramMD5))
	case XOAUTH2:
		return append(options, gomail.WithSMTPAuth(gomail.SMTPAuthXOAUTH2))
	default:
		return append(options, gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthCramMD5,
			gomail.SMTPAuthPlain, gomail.SMTPAuthLogin))
	}
}

// guardedDialer opens the connection of one attempt. It ends with the attempt's context, whatever the client is waiting
// for, and brings at most a mebibyte, so that a server cannot keep us reading.
type guardedDialer struct {
	tls  *tls.Config // for Implicit
	conn *guardedConn
	stop func() bool
}

const maxAnswers = 1 << 20

func (d *guardedDialer) dialer(life context.Context) gomail.DialContextFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		d.conn = &guardedConn{Conn: conn, in: io.LimitReader(conn, maxAnswers), life: life}
		d.stop = context.AfterFunc(life, func() { _ = conn.Close() })
		if d.tls == nil {
			return d.conn, nil
		}
		// go-mail takes the connection for encrypted because it is a *tls.Conn.
		secure := tls.Client(d.conn, d.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		return secure, nil
	}
}

func (d *guardedDialer) close() {
	if d.conn != nil {
		d.stop()
		_ = d.conn.Conn.Close()
	}
}

type guardedConn struct {
	net.Conn
	in   io.Reader
	life context.Context //nolint:containedctx // it is the life of the connection, which is that of one call
}

func (c *guardedConn) Read(p []byte) (int, error) { return c.in.Read(p) }

// SetDeadline never allows more than the attempt has.
func (c *guardedConn) SetDeadline(t time.Time) error {
	if end, ok := c.life.Deadline(); ok && (t.IsZero() || end.Before(t)) {
		t = end
	}
	return c.Conn.SetDeadline(t)
}

// dialFault classifies what went wrong before a message was begun.
func (s mailer) dialFault(op string, err error, blobs []string) error {
	short := safe(err, blobs...)
	if answer, ok := errors.AsType[*textproto.Error](err); ok {
		switch code := answer.Code; {
		case code == 530 || code == 534 || code == 535 || code == 538 || code == 504:
			return fault(op, dirsync.Unauthorized, "Look at the user name, the password and auth under notify.smtp.", short)
		case strings.Contains(err.Error(), "SMTP AUTH failed") && code >= 500:
			return fault(op, dirsync.Unauthorized, "Look at the user name, the password and auth under notify.smtp.", short)
		}
		return fault(op, dirsync.Unavailable, "", short)
	}
	certificate := new(tls.CertificateVerificationError)
	switch text := err.Error(); {
	case errors.As(err, &certificate):
		return fault(op, dirsync.Permission, "The server's certificate is not accepted; look at host, or at the authorities that this machine trusts.", short)
	case strings.Contains(text, "STARTTLS"):
		return fault(op, dirsync.Permission, "The server offers no STARTTLS; look at host and port, or choose tls: implicit.", short)
	case errors.Is(err, gosmtp.ErrUnencrypted):
		return fault(op, dirsync.Permission, "A password is not sent in the clear; choose tls: starttls or implicit.", short)
	case errors.Is(err, gomail.ErrPlainAuthNotSupported), errors.Is(err, gomail.ErrLoginAuthNotSupported),
		errors.Is(err, gomail.ErrCramMD5AuthNotSupported), errors.Is(err, gomail.ErrXOauth2AuthNotSupported),
		errors.Is(err, gomail.ErrNoSupportedAuthDiscovered), strings.Contains(text, "does not support SMTP AUTH"),
		strings.Contains(text, "SMTP AUTH failed") && errors.Is(err, gosmtp.ErrUnexpectedServerChallange):
		return fault(op, dirsync.Unauthorized, "The server does not offer this way of signing in; look at auth under notify.smtp.", short)
	}
	return fault(op, dirsync.Unavailable, "", short)
}

// sendFault classifies what went wrong with a message.
func (s mailer) sendFault(op string, err error, blobs []string) error {
	short := safe(err, blobs...)
	e, ok := errors.AsType[*gomail.SendError](err)
	if !ok {
		return fault(op, dirsync.Unavailable, "", short)
	}
	switch code := e.ErrorCode(); {
	case e.Reason == gomail.ErrSMTPDataClose && code == 0:
		// The whole message is out, and no answer came.
		return fault(op, dirsync.Unavailable, "", safe(fmt.Errorf("%w: %w", ErrUnsure, err), blobs...))
	case code == 530 || code == 535 || code == 538:
		return fault(op, dirsync.Unauthorized, "The server demands that we sign in; look at username and password under notify.smtp.", short)
	case e.Reason == gomail.ErrSMTPMailFrom && code >= 500:
		return fault(op, dirsync.Permission, "The server does not let us send from this address; look at from under notify.smtp.", short)
	case code >= 500:
		return fault(op, dirsync.Invalid, "", short)
	}
	return fault(op, dirsync.Unavailable, "", short)
}
