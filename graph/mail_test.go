package graph_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"dirsync"
	"dirsync/graph"
	"dirsync/graph/graphtest"
)

const sender = "dirsync@contoso.com"

// maySend are roles with which an application may send mail.
func maySend() []string { return []string{"User.Read.All", graph.MailPermission} }

func letter() graph.Mail {
	return graph.Mail{ID: "ABC123", Subject: "dirsync: staff failed", HTML: "<p>Zoë & <b>co</b></p>",
		To: []graph.MailAddress{{Name: "Zoë", Address: "zoe@example.com"}, {Address: "it@example.com"}}}
}

func TestSendMail(t *testing.T) {
	w := serve(t, &graphtest.Tenant{Roles: maySend()})
	if err := w.client.SendMail(t.Context(), sender, letter()); err != nil {
		t.Fatal(err)
	}
	want := []graphtest.Mail{{From: sender, Subject: "dirsync: staff failed", HTML: "<p>Zoë & <b>co</b></p>",
		To:      []graphtest.MailAddress{{Name: "Zoë", Address: "zoe@example.com"}, {Address: "it@example.com"}},
		Headers: map[string]string{"x-dirsync-message-id": "ABC123"}, At: w.clock.Now()}}
	if got := w.Mails(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Every answer has its kind, says whether the mail may have been sent, and is asked for once unless it is certain that the
// mail was not taken.
func TestSendMailFails(t *testing.T) {
	on := func(f graphtest.Fault) []graphtest.Rule {
		return []graphtest.Rule{{On: graphtest.SendMail, Fault: f}}
	}
	for name, test := range map[string]struct {
		tenant *graphtest.Tenant
		faults graphtest.Faults
		kind   dirsync.ErrorKind
		unsure bool
		asked  int // requests for the mail
		sent   int
		says   []string // in the error and its hint
	}{
		"no permission": {tenant: &graphtest.Tenant{Roles: []string{"User.Read.All"}}, kind: dirsync.Permission, asked: 1,
			says: []string{"Mail.Send is needed: ", "ErrorAccessDenied", "RBAC for applications", sender, "granted User.Read.All"}},
		"another mailbox": {tenant: &graphtest.Tenant{Senders: []string{"hr@contoso.com"}}, kind: dirsync.Permission, asked: 1,
			says: []string{"Mail.Send", "application access policy"}},
		"no mailbox": {tenant: &graphtest.Tenant{Mailboxes: []string{"hr@contoso.com"}}, kind: dirsync.NotFound, asked: 1,
			says: []string{"MailboxNotEnabledForRESTAPI", sender, "has a mailbox"}},
		"no such user": {tenant: &graphtest.Tenant{Domain: "other.example"}, kind: dirsync.NotFound, asked: 1, says: []string{"ErrorInvalidUser"}},
		"refused":      {faults: graphtest.Faults{Rules: on(graphtest.BareError(400))}, kind: dirsync.Invalid, asked: 1},
		"too large":    {faults: graphtest.Faults{Rules: on(graphtest.Fault{Status: 413})}, kind: dirsync.Invalid, asked: 1},
		"too many, once": {faults: graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.SendMail, Times: 1,
			Fault: graphtest.Fault{Status: 429, Header: http.Header{"Retry-After": {"7"}}}}}}, asked: 2, sent: 1},
		"too many for long": {faults: graphtest.Faults{Rules: on(graphtest.Fault{Status: 429, Header: http.Header{"Retry-After": {"3600"}}})},
			kind: dirsync.Throttled, asked: 1, says: []string{"30 messages a minute"}},
		"not now": {faults: graphtest.Faults{Rules: on(graphtest.Fault{Status: 503, Header: http.Header{"Retry-After": {"1"}}})},
			kind: dirsync.Unavailable, asked: 1, says: []string{"was not sent"}},
		"an error inside": {faults: graphtest.Faults{Rules: on(graphtest.Fault{Status: 500})}, kind: dirsync.Unavailable, asked: 1},
		"a gateway gave up, and it was sent": {faults: graphtest.Faults{Rules: on(graphtest.Fault{Status: 504, Apply: true})},
			kind: dirsync.Unavailable, unsure: true, asked: 1, sent: 1},
		"a gateway was cut off": {faults: graphtest.Faults{Rules: on(graphtest.HTMLPage(502))}, kind: dirsync.Unavailable, unsure: true, asked: 1},
		"another success":       {faults: graphtest.Faults{Rules: on(graphtest.HTMLPage(200))}, kind: dirsync.Unavailable, unsure: true, asked: 1},
		"cut off after it was taken": {faults: graphtest.Faults{Rules: on(graphtest.Fault{Reset: true})},
			kind: dirsync.Unavailable, unsure: true, asked: 1, sent: 1, says: []string{"the mail may have been sent: ", "has arrived"}},
		"redirected": {faults: graphtest.Faults{Rules: on(graphtest.Fault{Status: 307, Header: http.Header{"Location": {"https://evil.example/"}}})},
			kind: dirsync.Unavailable, asked: 1},
		"a new token is wanted": {faults: graphtest.Faults{Challenge: true}, asked: 2, sent: 1},
		"nobody may sign in":    {faults: graphtest.Faults{SignIn: 7000215}, kind: dirsync.Unauthorized},
		"the sign-in service fails once": {faults: graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.Token, Times: 1,
			Fault: graphtest.Fault{Status: 503}}}}, asked: 1, sent: 1},
	} {
		t.Run(name, func(t *testing.T) {
			tenant := test.tenant
			if tenant == nil {
				tenant = new(graphtest.Tenant)
			}
			if tenant.Faults = test.faults; tenant.Roles == nil {
				tenant.Roles = maySend()
			}
			w := serve(t, tenant)
			err := w.client.SendMail(t.Context(), sender, letter())
			if got, want := err != nil, test.kind != dirsync.Unknown; got != want || dirsync.KindOf(err) != test.kind {
				t.Errorf("got %v (%v), want kind %v", err, dirsync.KindOf(err), test.kind)
			}
			if got := errors.Is(err, graph.ErrMailUnsure); got != test.unsure {
				t.Errorf("unsure is %v of %v, want %v", got, err, test.unsure)
			}
			for _, part := range test.says {
				if text := fmt.Sprint(err, "\n", dirsync.HintOf(err)); !strings.Contains(text, part) {
					t.Errorf("%q is not in %s", part, text)
				}
			}
			if got := w.Requests().SendMail; got != test.asked {
				t.Errorf("asked %d times, want %d", got, test.asked)
			}
			if got := len(w.Mails()); got != test.sent {
				t.Errorf("sent %d times, want %d", got, test.sent)
			}
			if e, ok := errors.AsType[*dirsync.Error](err); ok && test.kind == dirsync.Throttled && !e.RetryAt.Equal(w.clock.Now().Add(time.Hour)) {
				t.Errorf("try again at %v, want in an hour", e.RetryAt)
			}
		})
	}
}

// What is no mail is refused before anybody is asked.
func TestSendMailChecks(t *testing.T) {
	w := serve(t, &graphtest.Tenant{Roles: maySend()})
	for name, change := range map[string]func(from *string, m *graph.Mail){
		"no sender":       func(from *string, _ *graph.Mail) { *from = "" },
		"another path":    func(from *string, _ *graph.Mail) { *from = "../groups" },
		"an encoded path": func(from *string, _ *graph.Mail) { *from = "a%2Fb@contoso.com" },
		"no id":           func(_ *string, m *graph.Mail) { m.ID = "" },
		"two lines of id": func(_ *string, m *graph.Mail) { m.ID = "a\r\nBcc: x@example.com" },
		"nobody":          func(_ *string, m *graph.Mail) { m.To = nil },
		"no address":      func(_ *string, m *graph.Mail) { m.To[0].Address = "zoe" },
		"two addresses":   func(_ *string, m *graph.Mail) { m.To[0].Address = "a@example.com, b@example.com" },
	} {
		from, m := sender, letter()
		change(&from, &m)
		if err := w.client.SendMail(t.Context(), from, m); dirsync.KindOf(err) != dirsync.Invalid {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if got := w.Requests().Total; got != 0 {
		t.Errorf("%d requests were made", got)
	}
}

// Where nobody is there the mail was not sent; where somebody waits too long for the answer it may have been.
func TestSendMailWithoutAnswer(t *testing.T) {
	w := serve(t, &graphtest.Tenant{Roles: maySend()})
	if err := w.client.SendMail(t.Context(), sender, letter()); err != nil { // so that there is a token
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w.Set(func(tenant *graphtest.Tenant) {
		tenant.Hook = func(*http.Request) graphtest.Fault {
			cancel()
			return graphtest.Fault{Delay: time.Minute} // it ends with the request
		}
	})
	err := w.client.SendMail(ctx, sender, letter())
	if !errors.Is(err, graph.ErrMailUnsure) || !errors.Is(err, context.Canceled) || dirsync.KindOf(err) != dirsync.Unavailable {
		t.Errorf("got %v (%v), want unsure", err, dirsync.KindOf(err))
	}
	// A connection that cannot be made carries nothing. (One that breaks may have: that is unsure, too.)
	cfg := w.config
	cfg.Transport = noMail{w.server.Client().Transport}
	w.Set(func(tenant *graphtest.Tenant) { tenant.Hook = nil })
	err = w.connect(t, cfg).SendMail(t.Context(), sender, letter())
	if err == nil || errors.Is(err, graph.ErrMailUnsure) || dirsync.KindOf(err) != dirsync.Unavailable {
		t.Errorf("got %v (%v), want unavailable", err, dirsync.KindOf(err))
	}
}

// noMail makes no connection for sending mail.
type noMail struct{ http.RoundTripper }

func (n noMail) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.Contains(r.URL.Path, "sendMail") {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	return n.RoundTripper.RoundTrip(r)
}

// Neither the secret, nor a token, nor what the mail says is in an error or the log.
func TestSendMailKeepsSecrets(t *testing.T) {
	tenant := &graphtest.Tenant{Roles: maySend()}
	var log bytes.Buffer
	var wire *spy
	w := serve(t, tenant, func(c *graph.Config) { c.Log = zerolog.New(&log) })
	wire = &spy{next: w.server.Client().Transport}
	cfg := w.config
	cfg.Transport = wire
	client := w.connect(t, cfg)
	secret := tenant.Identity().Secret
	for _, status := range []int{0, 400, 403, 404, 500, 504} {
		tenant.Set(func(tenant *graphtest.Tenant) {
			tenant.Hook = func(r *http.Request) graphtest.Fault {
				if status == 0 || !strings.Contains(r.URL.Path, "sendMail") {
					return graphtest.Fault{}
				}
				return graphtest.Fault{Status: status, Body: fmt.Sprintf(`{"error":{"code":"x","message":"%s %s"}}`, secret, r.Header.Get("Authorization"))}
			}
		})
		if err := client.SendMail(t.Context(), sender, letter()); err != nil {
			fmt.Fprintln(&log, err, dirsync.HintOf(err))
		}
	}
	if len(wire.seen) < 6 || !strings.Contains(log.String(), "504") {
		t.Fatalf("there is too little to look at: %d, %s", len(wire.seen), log.String())
	}
	for _, s := range append(wire.seen, secret, letter().HTML) {
		if strings.Contains(log.String(), s) {
			t.Errorf("%q is told", s)
		}
	}
}
