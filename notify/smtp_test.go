package notify_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"dirsync"
	"dirsync/notify"
)

func mailTo(address string) notify.Message {
	return notify.Message{ID: "ABC123", Channel: notify.EmailChannel, To: notify.Recipient{Name: "Zoë Ångström", Address: address},
		News: []notify.News{{Kind: notify.RunFailed, Sync: "staff", Run: 41, At: start(), Reason: "read users: no answer"}}, Created: start()}
}

func smtpError(code int, text string) error {
	return &gosmtp.SMTPError{Code: code, EnhancedCode: gosmtp.EnhancedCode{code / 100, 1, 1}, Message: text}
}

func TestMail(t *testing.T) {
	s := newMailServer(t, serverOptions{})
	answer, err := s.sender(t).Send(t.Context(), mailTo("zoe@example.com"))
	if err != nil {
		t.Fatal(err)
	}
	if answer == "" {
		t.Error("the server's answer is missing")
	}
	all := s.all()
	if len(all) != 1 {
		t.Fatalf("got %d messages, want 1", len(all))
	}
	m := all[0]
	for header, want := range map[string]string{
		"Message-Id": "<ABC123@contoso.com>", "Subject": "dirsync: staff failed", "Auto-Submitted": "auto-generated",
		"From": `"dirsync" <dirsync@contoso.com>`, "Date": "Sun, 01 Mar 2026 02:00:00 +0000",
	} {
		if got := m.Header.Get(header); got != want {
			t.Errorf("%s: got %q, want %q", header, got, want)
		}
	}
	to, err := m.Header.AddressList("To")
	if err != nil || len(to) != 1 || *to[0] != (mail.Address{Name: "Zoë Ångström", Address: "zoe@example.com"}) {
		t.Errorf("To: got %v, %v", to, err)
	}
	bodies := alternatives(t, m.Message)
	if !strings.Contains(bodies["text/plain"], "read users: no answer") || !strings.Contains(bodies["text/html"], "read users: no answer") {
		t.Errorf("got %q", bodies)
	}
}

// alternatives returns the parts of a message by type, decoded.
func alternatives(t *testing.T, m *mail.Message) map[string]string {
	t.Helper()
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("content type %q: %v", kind, err)
	}
	parts := map[string]string{}
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return parts
		}
		if err != nil {
			t.Fatal(err)
		}
		kind, params, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
		if err != nil || !strings.EqualFold(params["charset"], "utf-8") {
			t.Errorf("part: %q, %v, %v", kind, params, err)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		parts[kind] = strings.ReplaceAll(string(body), "\r\n", "\n")
	}
}

func TestMailSignsIn(t *testing.T) {
	for _, test := range []struct {
		auth       notify.Mechanism
		mechanisms string
	}{
		{notify.Plain, "PLAIN"}, {notify.Login, "LOGIN"}, {notify.CRAMMD5, "CRAM-MD5"}, {notify.XOAUTH2, "XOAUTH2"},
		{notify.Automatic, "LOGIN PLAIN CRAM-MD5"}, {notify.Automatic, "LOGIN"}, {notify.Automatic, "PLAIN"},
	} {
		for _, o := range []serverOptions{{}, {implicit: true}} {
			t.Run(fmt.Sprintf("%q of %s, implicit %v", test.auth, test.mechanisms, o.implicit), func(t *testing.T) {
				s := newMailServer(t, o)
				s.mechanisms = strings.Fields(test.mechanisms)
				c := s.config()
				c.Username, c.Secret, c.Auth = mailUser, notify.FixedSecret(mailPassword), test.auth
				if o.implicit {
					c.TLS = notify.Implicit
				}
				if _, err := newSMTP(t, c).Send(t.Context(), mailTo("zoe@example.com")); err != nil {
					t.Error(err)
				}
				if got := len(s.all()); got != 1 {
					t.Errorf("got %d messages, want 1", got)
				}
			})
		}
	}
}

// TestMailRefusals checks how answers are classified.
func TestMailRefusals(t *testing.T) {
	for _, test := range []struct {
		name   string
		server serverOptions
		auth   string
		refuse func(stage, to string) error
		config func(*notify.SMTP)
		kind   dirsync.ErrorKind
		unsure bool
		says   string
	}{
		{name: "mailbox unknown", refuse: at("RCPT", smtpError(550, "no such user")), kind: dirsync.Invalid, says: "no such user"},
		{name: "greylisted", refuse: at("RCPT", smtpError(451, "try later")), kind: dirsync.Unavailable, says: "try later"},
		{name: "content refused", refuse: at("DATA", smtpError(554, "spam")), kind: dirsync.Invalid, says: "spam"},
		{name: "full for now", refuse: at("DATA", smtpError(452, "disk full")), kind: dirsync.Unavailable, says: "disk full"},
		{name: "sender refused", refuse: at("MAIL", smtpError(550, "send as denied")), kind: dirsync.Permission, says: "send as denied"},
		{name: "cut before the message", refuse: at("RCPT", errDrop), kind: dirsync.Unavailable},
		{name: "cut after the message", refuse: at("DATA", errDropAfter), kind: dirsync.Unavailable, unsure: true},
		{name: "must sign in", auth: "PLAIN", kind: dirsync.Unauthorized, says: "Authentication required"},
		{name: "wrong password", auth: "PLAIN", config: signIn("wrong password"), kind: dirsync.Unauthorized, says: "535"},
		{name: "wrong password, LOGIN", auth: "LOGIN", config: signIn("wrong password"), kind: dirsync.Unauthorized, says: "535"},
		{name: "wrong token", auth: "XOAUTH2", config: func(c *notify.SMTP) { signIn("wrong token")(c); c.Auth = notify.XOAUTH2 }, kind: dirsync.Unauthorized, says: "535"},
		{name: "nothing in common", auth: "CRAM-MD5", config: func(c *notify.SMTP) { signIn(mailPassword)(c); c.Auth = notify.Plain }, kind: dirsync.Unauthorized, says: "PLAIN"},
		{name: "no sign-in offered", config: signIn(mailPassword), kind: dirsync.Unauthorized, says: "AUTH"},
		{name: "password unreadable", auth: "PLAIN", config: func(c *notify.SMTP) {
			c.Username, c.Secret = mailUser, func(context.Context) (string, error) { return "", errors.New("no file") }
		}, kind: dirsync.Unavailable, says: "no file"},
		{name: "no STARTTLS", server: serverOptions{noTLS: true}, kind: dirsync.Permission, says: "STARTTLS"},
		{name: "another's certificate", config: func(c *notify.SMTP) { c.Roots = nil }, kind: dirsync.Permission, says: "certificate"},
		{name: "another's name", config: func(c *notify.SMTP) { c.Host = "localhost" }, kind: dirsync.Permission, says: "certificate"},
		{name: "nobody there", config: func(c *notify.SMTP) { c.Port = closedPort(t) }, kind: dirsync.Unavailable, says: "refused"},
		{name: "bad address", config: func(c *notify.SMTP) {}, kind: dirsync.Invalid, says: "is not an e-mail address"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newMailServer(t, test.server)
			s.refuse, s.mechanisms = test.refuse, strings.Fields(test.auth)
			c := s.config()
			if test.config != nil {
				test.config(&c)
			}
			m := mailTo("zoe@example.com")
			if test.name == "bad address" {
				m.To.Address = "zoe@example.com>\r\nRCPT TO:<all@example.com"
			}
			_, err := newSMTP(t, c).Send(t.Context(), m)
			if err == nil {
				t.Fatal("it was sent")
			}
			if got := dirsync.KindOf(err); got != test.kind || errors.Is(err, notify.ErrUnsure) != test.unsure || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got kind %v, %v; want %v, unsure %v, %q", got, err, test.kind, test.unsure, test.says)
			}
			for _, secret := range []string{mailPassword, "wrong password", "wrong token"} {
				if strings.Contains(err.Error()+dirsync.HintOf(err), secret) {
					t.Errorf("the secret is in the error: %v", err)
				}
			}
		})
	}
}

func at(stage string, err error) func(string, string) error {
	return func(s, _ string) error {
		if s == stage {
			return err
		}
		return nil
	}
}

func signIn(password string) func(*notify.SMTP) {
	return func(c *notify.SMTP) { c.Username, c.Secret = mailUser, notify.FixedSecret(password) }
}

// closedPort returns a port on which nobody listens.
func closedPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// TestMailSlow checks that a server that says nothing is left when the time is over, wherever it stops talking.
func TestMailSlow(t *testing.T) {
	t.Run("no greeting", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		c := notify.SMTP{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, From: "dirsync@contoso.com"}
		_, err = newSMTP(t, c).Send(ctx, mailTo("zoe@example.com"))
		if dirsync.KindOf(err) != dirsync.Unavailable || errors.Is(err, notify.ErrUnsure) {
			t.Errorf("got %v", err)
		}
	})
	for stage, unsure := range map[string]bool{"MAIL": false, "RCPT": false, "DATA": true} {
		t.Run(stage, func(t *testing.T) {
			s := newMailServer(t, serverOptions{})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s.refuse = func(now, _ string) error {
				if now == stage {
					// The server is in the middle of it when our time ends; it never answers.
					cancel()
					<-t.Context().Done()
				}
				return nil
			}
			_, err := s.sender(t).Send(ctx, mailTo("zoe@example.com"))
			if dirsync.KindOf(err) != dirsync.Unavailable || errors.Is(err, notify.ErrUnsure) != unsure {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestNewSMTPRefuses(t *testing.T) {
	good := notify.SMTP{Host: "mail.contoso.com", From: "dirsync@contoso.com"}
	if _, err := notify.NewSMTP(good); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		change func(*notify.SMTP)
		says   string
	}{
		{func(c *notify.SMTP) { c.Host = "" }, "host"},
		{func(c *notify.SMTP) { c.Host = "a\r\nb" }, "host"},
		{func(c *notify.SMTP) { c.Host = "unix:///tmp/x" }, "host"},
		{func(c *notify.SMTP) { c.Port = -1 }, "port"},
		{func(c *notify.SMTP) { c.TLS = "ssl" }, "tls"},
		{func(c *notify.SMTP) { c.Auth = "ntlm" }, "auth"},
		{func(c *notify.SMTP) { c.Username = "x" }, "password"},
		{func(c *notify.SMTP) { c.Secret = notify.FixedSecret("x") }, "user name"},
		{func(c *notify.SMTP) { c.Auth = notify.Plain }, "user name"},
		{func(c *notify.SMTP) { signIn("x")(c); c.Auth, c.TLS = notify.XOAUTH2, notify.Unencrypted }, "xoauth2"},
		{func(c *notify.SMTP) { c.From = "nobody" }, "from"},
		{func(c *notify.SMTP) { c.From = "a@b.c\r\nBcc: d@e.f" }, "from"},
	} {
		c := good
		test.change(&c)
		if _, err := notify.NewSMTP(c); err == nil || !strings.Contains(err.Error(), test.says) || dirsync.KindOf(err) != dirsync.Invalid {
			t.Errorf("got %v, want an error about %s", err, test.says)
		}
	}
}

// TestMailInTheClear checks that mail can go in the clear if it must, and a password cannot.
func TestMailInTheClear(t *testing.T) {
	for _, tls := range []notify.Encryption{notify.Opportunistic, notify.Unencrypted} {
		s := newMailServer(t, serverOptions{noTLS: true})
		c := s.config()
		c.TLS = tls
		if _, err := newSMTP(t, c).Send(t.Context(), mailTo("zoe@example.com")); err != nil {
			t.Errorf("%s: %v", tls, err)
		}
	}
	s := newMailServer(t, serverOptions{})
	c := s.config()
	c.TLS = notify.Opportunistic
	if _, err := newSMTP(t, c).Send(t.Context(), mailTo("zoe@example.com")); err != nil {
		t.Errorf("opportunistic, with STARTTLS: %v", err)
	}
}

// FuzzMail checks that no text can leave its place: headers stay what they are, and the mail can be read.
func FuzzMail(f *testing.F) {
	f.Add("Zoë", "staff", "no answer", "x@y.z", "why", "https://example.com/")
	f.Add("a\r\nBcc: evil@example.com", "s\r\n\r\n<script>", "r\n.\r\nMAIL FROM:<x@y.z>", "<img src=x>", "\x00\xff\u202e", "javascript:alert(1)")
	f.Add(strings.Repeat("ä", 3000), strings.Repeat("x", 3000), strings.Repeat("y ", 3000), "", "", "http://a b/")
	s := newMailServer(f, serverOptions{noTLS: true})
	c := s.config()
	c.TLS = notify.Unencrypted
	sender, err := notify.NewSMTP(c)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name, sync, reason, who, why, link string) {
		m := mailTo("zoe@example.com")
		m.To.Name = name
		m.News = []notify.News{{Kind: notify.PartialSuccess, Sync: sync, Reason: reason, Table: []notify.Row{{Who: who, Why: why}}, Link: link}}
		if _, err := sender.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		got := s.takeOne(t)
		if got.to != "zoe@example.com" || len(got.Header) != 9 || len(got.Header["To"]) != 1 {
			t.Errorf("to %s, headers %v", got.to, got.Header)
		}
		if to, err := got.Header.AddressList("To"); err != nil || len(to) != 1 || to[0].Address != "zoe@example.com" {
			t.Errorf("To: %v, %v", to, err)
		}
		for _, line := range strings.Split(got.raw, "\r\n") {
			if len(line) > 998 || strings.ContainsAny(line, "\r\n\x00") {
				t.Errorf("a line of %d bytes: %.100q", len(line), line)
			}
		}
		bodies := alternatives(t, got.Message)
		if len(bodies) != 2 || strings.Contains(bodies["text/html"], "<script") || strings.Contains(bodies["text/html"], "<img") ||
			strings.Contains(strings.ToLower(bodies["text/html"]), `href="javascript`) {
			t.Errorf("got %q", bodies)
		}
	})
}
