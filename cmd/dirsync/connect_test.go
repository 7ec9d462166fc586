package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"dirsync/graph/graphtest"
)

// browseCommand runs dirsync connect and plays the administrator at the browser, who opens the link that it prints:
//
//	browse accept ARG...       grants the permissions
//	browse decline ARG...      does not
//	browse powerless ARG...    is no administrator who may
//	browse other ID ARG...     comes back with the consent of another tenant
//	browse forged ARG...       first a stranger comes by, with a state that was never given out; then the permissions are granted
//	browse nobody ARG...       never opens the link
//	browse interrupt ARG...    presses Ctrl-C instead
//
// Its output is that of dirsync, with what differs each time replaced by PORT, STATE and TENANT, then what the browser
// showed, and the exit code. That the application's secret is never in it is checked each time.
func browseCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: browse ANSWER ARG...")
	}
	tenant, ok := ts.Value("tenant").(*graphtest.Tenant)
	if !ok {
		ts.Fatalf("no tenant")
	}
	b := browser{tenant: tenant, answer: args[0], client: trusting(ts.ReadFile("ca.pem"))}
	if args = args[1:]; b.answer == "other" {
		b.other, args = args[0], args[1:]
	}
	self, err := os.Executable()
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, append([]string{"connect"}, args...)...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), childVariable+"=dirsync", "DIRSYNC_CONFIG="+ts.Getenv("DIRSYNC_CONFIG"))
	link := make(chan string, 1)
	var stdout, stderr bytes.Buffer
	var mu sync.Mutex
	cmd.Stdout, cmd.Stderr = &linkFinder{mu: &mu, w: &stdout, found: link}, &linkFinder{mu: &mu, w: &stderr, found: link}
	ts.Check(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case l := <-link:
		if b.answer == "interrupt" {
			ts.Check(cmd.Process.Signal(os.Interrupt))
		} else {
			ts.Check(b.browse(l))
		}
		err = <-ended
	case err = <-ended:
	}
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		ts.Fatalf("run dirsync: %v", err)
	}
	if secret := tenant.Identity().Secret; strings.Contains(stdout.String()+stderr.String(), secret) {
		ts.Fatalf("the secret is in the output:\n%s%s", stdout.String(), stderr.String())
	}
	_, _ = io.WriteString(ts.Stdout(), b.plain(ts, stdout.String()))
	_, _ = fmt.Fprintf(ts.Stdout(), "%sexit %d\n", b.shown.String(), cmd.ProcessState.ExitCode())
	_, _ = io.WriteString(ts.Stderr(), b.plain(ts, stderr.String()))
	if neg == (err == nil) {
		ts.Fatalf("got %v\n%s%s", err, stdout.String(), stderr.String())
	}
}

// linkFinder passes text on and looks for the link in it.
type linkFinder struct {
	mu    *sync.Mutex
	w     *bytes.Buffer
	found chan<- string
}

var linkForm = regexp.MustCompile(`(https://\S+/adminconsent\?\S+)\n`)

func (l *linkFinder) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.w.Write(p)
	if m := linkForm.FindSubmatch(l.w.Bytes()); m != nil {
		select {
		case l.found <- string(m[1]):
		default: // it was found before
		}
	}
	return n, err
}

type browser struct {
	tenant        *graphtest.Tenant
	answer, other string
	client        *http.Client
	shown         strings.Builder

	redirect, state string
}

func trusting(ca string) *http.Client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(ca))
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
}

// browse opens the link, or does what the answer says instead.
func (b *browser) browse(link string) error {
	u, err := url.Parse(link)
	if err != nil {
		return err
	}
	b.redirect, b.state = u.Query().Get("redirect_uri"), u.Query().Get("state")
	b.tenant.Set(func(t *graphtest.Tenant) { t.Redirects = append(t.Redirects, b.redirect) })
	granted := url.Values{"admin_consent": {"True"}, "state": {b.state}, "tenant": {b.other}}
	switch b.answer {
	case "nobody":
		return nil
	case "accept":
		return b.get(link)
	case "decline":
		b.tenant.SetFaults(graphtest.Faults{ConsentError: "access_denied"})
		defer b.tenant.SetFaults(graphtest.Faults{})
		return b.get(link)
	case "powerless":
		return b.get(b.redirect + "?" + url.Values{"error": {"access_denied"}, "state": {b.state}, "error_description": {
			"AADSTS90094: Admin consent is required for the permissions requested by this application."}}.Encode())
	case "other":
		return b.get(b.redirect + "?" + granted.Encode())
	case "forged":
		granted.Set("state", "guessed")
		granted.Set("tenant", "0c3c5d0e-3a53-4a0e-8d8a-6f2b7f0f7a11")
		return errors.Join(b.get(b.redirect+"?"+granted.Encode()), b.get(link))
	default:
		return fmt.Errorf("browse %s: no such answer", b.answer)
	}
}

var tagForm = regexp.MustCompile(`<title>[^<]*</title>|<[^>]*>`)

func (b *browser) get(link string) error {
	r, err := b.client.Get(link)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	_, _ = fmt.Fprintf(&b.shown, "browser: %s\n", strings.TrimSpace(tagForm.ReplaceAllString(string(body), "")))
	return err
}

// openerCommand is the browser that a script's own xdg-open stands for:
//
//	opener ANSWER FILE    answers, as browse does, the link that will be written to FILE, which is a named pipe
//	opener wait           waits for it to have done so
func openerCommand(ts *testscript.TestScript, neg bool, args []string) {
	switch tenant, ok := ts.Value("tenant").(*graphtest.Tenant); {
	case neg || !ok || len(args) == 0:
		ts.Fatalf("usage: opener ANSWER FILE | opener wait")
	case args[0] == "wait":
		opened, _ := ts.Value("opened").(chan error)
		ts.Check(<-opened)
	default:
		opened, _ := ts.Value("opened").(chan error)
		b := browser{tenant: tenant, answer: args[0], client: trusting(ts.ReadFile("ca.pem"))}
		pipe := ts.MkAbs(args[1])
		go func() {
			link, err := os.ReadFile(pipe)
			if err == nil {
				err = b.browse(strings.TrimSpace(string(link)))
			}
			opened <- err
		}()
	}
}

// plain replaces what differs each time.
func (b *browser) plain(ts *testscript.TestScript, text string) string {
	pairs := []string{ts.Getenv("TENANT"), "TENANT", url.QueryEscape(ts.Getenv("TENANT")), "TENANT", ts.Getenv("WORK"), "WORK"}
	if u, err := url.Parse(b.redirect); err == nil && b.state != "" {
		pairs = append(pairs, url.QueryEscape(b.state), "STATE", "localhost%3A"+u.Port(), "localhost%3APORT")
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// certify makes a certificate with its key that is valid for some days, and lets the tenant accept it.
func certify(ts *testscript.TestScript, tenant *graphtest.Tenant, days string) {
	n, err := strconv.Atoi(days)
	ts.Check(err)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	ts.Check(err)
	template := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "dirsync"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Duration(n)*24*time.Hour + time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	ts.Check(err)
	cert, err := x509.ParseCertificate(der)
	ts.Check(err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	out := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})...)
	ts.Check(os.WriteFile(ts.MkAbs("certificate.pem"), out, 0o600))
	tenant.Set(func(t *graphtest.Tenant) { t.Certificate = cert })
}

// TestAskYes takes y and yes for a yes, and everything else for a no.
func TestAskYes(t *testing.T) {
	for in, want := range map[string]bool{"y\n": true, "YES\n": true, " yes \r\n": true, "y": true,
		"\n": false, "": false, "n\n": false, "yesterday\n": false, "\x00": false} {
		var out bytes.Buffer
		a := &app{stdout: &out, now: time.Now}
		got, err := a.askYes(t.Context(), strings.NewReader(in), "Well? ")
		if got != want || err != nil || out.String() != "Well? " {
			t.Errorf("%q: got %v %v %q, want %v", in, got, err, out.String(), want)
		}
	}
}

// TestAskYesStopped ends the question when the program is told to stop, though nobody types.
func TestAskYesStopped(t *testing.T) {
	in, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a := &app{stdout: io.Discard, now: time.Now}
	if got, err := a.askYes(ctx, in, "Well? "); got || err == nil || err.Error() != "stopped before the tenant was confirmed; nothing was written" {
		t.Errorf("got %v %v", got, err)
	}
}

// TestCountDown shows what is left, and leaves an empty line.
func TestCountDown(t *testing.T) {
	var out bytes.Buffer
	countDown(&out, true, 15*time.Minute)()
	const text = "waiting for the administrator and for the permissions to take effect: "
	if got := out.String(); !strings.HasPrefix(got, "\r\x1b[K"+text+"15 min left; Ctrl-C stops") || !strings.HasSuffix(got, "\r\x1b[K") {
		t.Errorf("got %q", got)
	}
	out.Reset()
	countDown(&out, false, 15*time.Minute)()
	if got, want := out.String(), text+"15 min at most; Ctrl-C stops\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestExpiry(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		at   time.Time
		want any
	}{
		{now.Add(-time.Hour), painted{red, "on 2026-03-01, which is over; replace it"}},
		{now, painted{red, "on 2026-03-01, which is over; replace it"}},
		{now.Add(12 * 24 * time.Hour), painted{yellow, "in 12 days, on 2026-03-13; replace it before"}},
		{now.Add(expiryWarning - time.Second), painted{yellow, "in 30 days, on 2026-03-31; replace it before"}},
		{now.Add(expiryWarning), "on 2026-03-31"},
	}
	for _, tt := range tests {
		if got := expiry(tt.at, now); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.at, got, tt.want)
		}
	}
}
