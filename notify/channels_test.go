package notify_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"dirsync"
	"dirsync/notify"
)

// example is a message with everything in it.
func example() notify.Message {
	partial := notify.News{Kind: notify.PartialSuccess, Sync: "staff", Run: 41, At: start(), Total: 332, Link: "https://dirsync.contoso.com/runs/41?tab=people&x=1",
		Counts: dirsync.Counts{Read: 1200, Created: 3, Updated: 17, Unchanged: 848, Rejected: 330, Failed: 2}}
	for i := range 30 {
		partial.Table = append(partial.Table, notify.Row{Who: fmt.Sprintf("user%d@contoso.com", i), What: "joining_date",
			Why: `is "June sixth", and must be DD/MM/YYYY`})
	}
	partial.Table[1] = notify.Row{Who: "Zoë <b>Ångström</b> & Söhne, 名前 " + strings.Repeat("x", 300), What: "office", Why: "line one\r\nline two \u202eevil"}
	failed := notify.News{Kind: notify.RunFailed, Sync: "sales", Run: 42, At: start().Add(time.Hour), Reason: "read users: the tenant answered 503 @everyone <!channel> [here](https://evil.example)"}
	news := []notify.News{partial, failed,
		{Kind: notify.ChangesHeld, Sync: "staff", Run: 41, At: start(), Table: []notify.Row{{Who: "12 people", What: "delete", Why: "10 are allowed"}}},
		{Kind: notify.Recovered, Sync: "guests", Run: 40, At: start(), Link: "javascript:alert(1)"}}
	// What is told has gone through the policy.
	p := notify.Policy{Repeat: []time.Duration{24 * time.Hour}}
	state, _ := p.Decide(notify.State{}, []notify.News{failed, {Kind: notify.Overdue, Sync: "guests"}}, start().Add(-48*time.Hour))
	_, tell := p.Decide(state, news, start())
	return notify.Message{ID: "ABC123", Channel: notify.EmailChannel, To: notify.Recipient{Name: "Zoë", Address: "zoe@example.com", User: "u"},
		News: tell, Created: start()}
}

func TestGolden(t *testing.T) {
	s := newMailServer(t, serverOptions{})
	if _, err := s.sender(t).Send(t.Context(), example()); err != nil {
		t.Fatal(err)
	}
	m := s.takeOne(t)
	bodies := alternatives(t, m.Message)
	card := posted(t, func(a notify.Secret, rt http.RoundTripper) (notify.Sender, error) {
		return notify.NewTeams(notify.Teams{Address: a, Transport: rt})
	})
	hook := posted(t, func(a notify.Secret, rt http.RoundTripper) (notify.Sender, error) {
		return notify.NewWebhook(notify.Webhook{Address: a, Secrets: []notify.Secret{notify.FixedSecret(signingSecret('a'))}, Transport: rt})
	})
	for name, got := range map[string]string{"mail.txt": m.Header.Get("Subject") + "\n\n" + bodies["text/plain"], "mail.html": bodies["text/html"],
		"teams.json": indent(t, card), "webhook.json": indent(t, hook)} {
		golden(t, name, got)
	}
}

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; go test ./notify -run Golden -update shows how. Got:\n%s", file, got)
	}
}

func indent(t *testing.T, body string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatal(err)
	}
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b) + "\n"
}

// posted returns the body that a Sender posts of the example.
func posted(t *testing.T, make func(notify.Secret, http.RoundTripper) (notify.Sender, error)) string {
	t.Helper()
	var got string
	sender, err := make(notify.FixedSecret("https://example.com/hook"), roundTrip(func(r *http.Request) (*http.Response, error) {
		b, err := io.ReadAll(r.Body)
		got = string(b)
		return &http.Response{StatusCode: 202, Status: "202 Accepted", Body: http.NoBody, Header: http.Header{}}, err
	}))
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := sender.Send(t.Context(), example()); err != nil || answer != "202 Accepted" {
		t.Fatalf("got %q, %v", answer, err)
	}
	return got
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func signingSecret(c byte) string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(c), 32)))
}

// TestWebhookVerifies checks signatures with the reference library, during a rotation too, and over a retry.
func TestWebhookVerifies(t *testing.T) {
	var ids []string
	fail := true
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		for secret, want := range map[string]bool{signingSecret('a'): true, signingSecret('b'): true, signingSecret('c'): false} {
			reference, err := standardwebhooks.NewWebhook(secret)
			if err != nil {
				t.Error(err)
				continue
			}
			if err := reference.Verify(body, r.Header); (err == nil) != want {
				t.Errorf("%s: %v", secret, err)
			}
			if err := reference.Verify(append(body, ' '), r.Header); err == nil {
				t.Error("a changed body was verified")
			}
		}
		ids = append(ids, r.Header.Get("webhook-id"))
		if fail {
			fail = false
			w.Header().Set("Retry-After", "7200")
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	sender, err := notify.NewWebhook(notify.Webhook{Address: notify.FixedSecret(server.URL + "/x"), Private: true,
		Secrets: []notify.Secret{notify.FixedSecret(signingSecret('a')), notify.FixedSecret(signingSecret('b'))}})
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	_, err = sender.Send(t.Context(), example())
	e, ok := errors.AsType[*dirsync.Error](err)
	if !ok || e.Kind != dirsync.Unavailable || e.RetryAt.Before(before.Add(2*time.Hour)) || errors.Is(err, notify.ErrUnsure) {
		t.Errorf("got %+v", err)
	}
	if _, err = sender.Send(t.Context(), example()); err != nil {
		t.Error(err)
	}
	if len(ids) != 2 || ids[0] != "ABC123" || ids[1] != ids[0] {
		t.Errorf("ids: %v", ids)
	}
}

const token = "T0K3N/in.the~path-0123456789"

// TestNoSecretIsShown lets every channel fail in every way, and looks for what must not be seen.
func TestNoSecretIsShown(t *testing.T) {
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(500)
		fmt.Fprintf(w, "you asked for %s with %s and said %v", r.URL, r.URL.Query().Get("sig"), r.Header)
	}))
	defer echo.Close()
	redirect := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, echo.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	defer redirect.Close()
	cut := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }))
	defer cut.Close()
	query := "/" + url.PathEscape(token) + "?sig=" + url.QueryEscape(token)
	closed := fmt.Sprintf("http://127.0.0.1:%d", closedPort(t))
	host := strings.TrimPrefix(echo.URL, "http://")
	key := signingSecret('s')
	hook := func(address, key string, private bool) (notify.Sender, error) {
		return notify.NewWebhook(notify.Webhook{Address: notify.FixedSecret(address), Secrets: []notify.Secret{notify.FixedSecret(key)}, Private: private})
	}
	for _, test := range []struct {
		name   string
		sender func() (notify.Sender, error)
		kind   dirsync.ErrorKind
		unsure bool
	}{
		{"webhook, answer repeats everything", func() (notify.Sender, error) { return hook(echo.URL+query, key, true) }, dirsync.Unavailable, false},
		{"webhook, redirect", func() (notify.Sender, error) { return hook(redirect.URL+query, key, true) }, dirsync.Permission, false},
		{"webhook, cut", func() (notify.Sender, error) { return hook(cut.URL+query, key, true) }, dirsync.Unavailable, false},
		{"webhook, nobody there", func() (notify.Sender, error) { return hook(closed+query, key, true) }, dirsync.Unavailable, false},
		{"webhook, private network", func() (notify.Sender, error) {
			return hook(strings.Replace(echo.URL, "http:", "https:", 1)+query, key, false)
		}, dirsync.Permission, false},
		{"webhook, http", func() (notify.Sender, error) { return hook(echo.URL+query, key, false) }, dirsync.Permission, false},
		{"webhook, broken address", func() (notify.Sender, error) { return hook("https://%zz"+token, key, true) }, dirsync.Permission, false},
		{"webhook, broken secret", func() (notify.Sender, error) { return hook(echo.URL+query, "whsec_"+token, true) }, dirsync.Unauthorized, false},
		{"webhook, secret without prefix", func() (notify.Sender, error) { return hook(echo.URL+query, token, true) }, dirsync.Unauthorized, false},
		{"webhook, short secret", func() (notify.Sender, error) { return hook(echo.URL+query, "whsec_QUJD", true) }, dirsync.Unauthorized, false},
		{"teams, cut", func() (notify.Sender, error) {
			return notify.NewTeams(notify.Teams{Address: notify.FixedSecret("https://example.com" + query), Transport: through(cut)})
		}, dirsync.Unavailable, true},
		{"teams, answer repeats everything", func() (notify.Sender, error) {
			return notify.NewTeams(notify.Teams{Address: notify.FixedSecret("https://example.com" + query), Transport: through(echo)})
		}, dirsync.Unavailable, false},
		{"chat, unknown", func() (notify.Sender, error) { return notify.NewChat(notify.FixedSecret("nosuch://" + token)) }, dirsync.Permission, false},
		{"chat, not an address", func() (notify.Sender, error) { return notify.NewChat(notify.FixedSecret("%%" + token + "\x00")) }, dirsync.Permission, false},
		{"chat, bad slack token", func() (notify.Sender, error) { return notify.NewChat(notify.FixedSecret("slack://hook:" + token)) }, dirsync.Permission, false},
		{"chat, generic", func() (notify.Sender, error) {
			return notify.NewChat(notify.FixedSecret("generic+" + echo.URL + query))
		}, dirsync.Permission, false},
		{"chat, cut", func() (notify.Sender, error) {
			return notify.NewChat(notify.FixedSecret("gotify://" + strings.TrimPrefix(cut.URL, "http://") + "/Aaa.bbb.ccc.ddd?disabletls=yes"))
		}, dirsync.Unavailable, true},
		{"chat, nobody there", func() (notify.Sender, error) {
			return notify.NewChat(notify.FixedSecret("gotify://" + strings.TrimPrefix(closed, "http://") + "/Aaa.bbb.ccc.ddd?disabletls=yes"))
		}, dirsync.Unavailable, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			sender, err := test.sender()
			if err != nil {
				t.Fatal(err)
			}
			b := newBench(t, noMail(), notify.Channel{Name: "ops", Sender: sender})
			tried := b.Test(t.Context(), b.now, notify.Recipient{})
			err = tried[0].Err
			if got := dirsync.KindOf(err); err == nil || got != test.kind || errors.Is(err, notify.ErrUnsure) != test.unsure {
				t.Errorf("got %v, %v; want %v, unsure %v", got, err, test.kind, test.unsure)
			}
			b.tell(bad(notify.RunFailed, "a"))
			b.deliver(0)
			b.deliver(time.Hour)
			list, listErr := b.memory.Messages(t.Context(), "", nil, 100)
			if listErr != nil {
				t.Fatal(listErr)
			}
			everything := fmt.Sprintf("%v %+v %#v %v %+v %s %s", err, err, err, dirsync.HintOf(err), list, b.log.String(), b.notes("u-ann"))
			for _, secret := range []string{token, url.PathEscape(token), url.QueryEscape(token), "T0K3N", "0123456789", "Aaa.bbb", host, key, key[6:],
				strings.TrimPrefix(closed, "http://"), "QUJD"} {
				if strings.Contains(everything, secret) {
					t.Errorf("%q can be seen in %s", secret, everything)
				}
			}
		})
	}
}

// noMail is a Sender of mail for tests that are about something else.
func noMail() notify.Sender { return &recorder{} }

// through leads every request to a server, whatever its address.
func through(s *httptest.Server) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		target, err := url.Parse(s.URL)
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.URL.Scheme, r.URL.Host = target.Scheme, target.Host
		return http.DefaultTransport.RoundTrip(r)
	})
}

// TestChat sends to a chat service for real, as far as it can be reached without the network, and checks that what was
// said cannot mention anybody.
func TestChat(t *testing.T) {
	var body string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		body = string(b)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"id":1}`)
	}))
	defer server.Close()
	sender, err := notify.NewChat(notify.FixedSecret("gotify://" + strings.TrimPrefix(server.URL, "http://") + "/Aaa.bbb.ccc.ddd?disabletls=yes"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sender.Send(t.Context(), example()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"staff succeeded in part", "sales failed", "https://dirsync.contoso.com/runs/41"} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is missing in %s", want, body)
		}
	}
	for _, no := range []string{"@everyone", "<!channel>", "](", "Ångström", "user3@", "javascript"} {
		if strings.Contains(body, no) {
			t.Errorf("%q is in %s", no, body)
		}
	}
}

func TestOfRun(t *testing.T) {
	run := dirsync.Run{ID: 41, Sync: "staff", Ended: start()}
	for _, test := range []struct {
		name   string
		change func(*dirsync.Run)
		want   string
	}{
		{"running", func(r *dirsync.Run) { r.Status = dirsync.Running }, ""},
		{"success", func(r *dirsync.Run) { r.Status = dirsync.Success }, "recovered"},
		{"failure", func(r *dirsync.Run) { r.Status, r.Error = dirsync.Failure, "read users: no" }, "run_failed"},
		{"partial", func(r *dirsync.Run) { r.Status, r.Counts.Rejected = dirsync.PartialSuccess, 1 }, "partial_success"},
		{"held", func(r *dirsync.Run) {
			r.Status, r.Holds = dirsync.PartialSuccess, []dirsync.Hold{{Kind: dirsync.Deletion, Count: 12, Allowed: 10, Reason: "Too many."}}
		}, "changes_held"},
		{"held and partial", func(r *dirsync.Run) {
			r.Status, r.Counts.Failed, r.Holds = dirsync.PartialSuccess, 1, []dirsync.Hold{{Kind: dirsync.Deletion, Count: 12}}
		}, "changes_held partial_success"},
	} {
		r := run
		test.change(&r)
		var got []string
		for _, n := range notify.OfRun(r, nil, 1, "") {
			got = append(got, string(n.Kind))
			if n.Sync != "staff" || n.Run != 41 || !n.At.Equal(start()) || (n.Kind != notify.Recovered && n.Fingerprint == "") {
				t.Errorf("%s: %+v", test.name, n)
			}
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: got %v, want %s", test.name, got, test.want)
		}
	}
}

// TestOfRunFingerprints checks what counts as the same trouble.
func TestOfRunFingerprints(t *testing.T) {
	print := func(rows []notify.Row, total int, warnings ...string) string {
		return notify.OfRun(dirsync.Run{Status: dirsync.PartialSuccess, Warnings: warnings}, rows, total, "")[0].Fingerprint
	}
	row := notify.Row{Who: "user3@contoso.com", What: "office", Why: "request 17 failed"}
	base := print([]notify.Row{row}, 1)
	if got := print([]notify.Row{{Who: row.Who, What: row.What, Why: "request 18 failed"}}, 1); got != base {
		t.Error("the number of a request made it another trouble")
	}
	for name, other := range map[string]string{
		"another person":    print([]notify.Row{{Who: "user4@contoso.com", What: row.What, Why: row.Why}}, 1),
		"another field":     print([]notify.Row{{Who: row.Who, What: "phone", Why: row.Why}}, 1),
		"another reason":    print([]notify.Row{{Who: row.Who, What: row.What, Why: "is required"}}, 1),
		"one more in total": print([]notify.Row{row}, 2),
		"a warning":         print([]notify.Row{row}, 1, "the group Sales was deleted"),
	} {
		if other == base {
			t.Errorf("%s is the same trouble", name)
		}
	}
	held := func(digest string) string {
		return notify.OfRun(dirsync.Run{Status: dirsync.PartialSuccess, Holds: []dirsync.Hold{{ID: 3, Kind: dirsync.Deletion, Count: 12, Digest: digest}}}, nil, 0, "")[0].Fingerprint
	}
	if first, again := held("1a2b3c4d5e"), held("1a2b3c4d5e"); first != again || first == held("1a2b3c4d5f") {
		t.Error("a held list is told from another by its digest")
	}
}

// FuzzChannels feeds addresses and answers from outside to the channels: none may panic.
func FuzzChannels(f *testing.F) {
	f.Add("https://example.com/x", "whsec_QUJD", "12", "ok", 429)
	f.Add("slack://hook:a-b-c@webhook", "", "Sun, 06 Nov 1994 08:49:37 GMT", "\x00", 301)
	f.Add("://", "whsec_", "-1", "https://example.com/x", 200)
	f.Add("gotify://[::1", "whsec_%", "99999999999999999999", "", 999)
	f.Fuzz(func(t *testing.T, address, secret, retry, said string, status int) {
		if status < 100 || status > 999 {
			return
		}
		sender, err := notify.NewWebhook(notify.Webhook{Address: notify.FixedSecret(address), Secrets: []notify.Secret{notify.FixedSecret(secret), notify.FixedSecret(signingSecret('a'))},
			Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: status, Status: "status", Body: io.NopCloser(strings.NewReader(said)), Header: http.Header{"Retry-After": {retry}}}, nil
			})})
		if err != nil {
			t.Fatal(err)
		}
		answer, err := sender.Send(t.Context(), example())
		if (err == nil) == (answer == "") {
			t.Errorf("got %q and %v", answer, err)
		}
		chat, err := notify.NewChat(notify.FixedSecret(address))
		if err != nil {
			t.Fatal(err)
		}
		// The context has ended, so nothing is sent, only understood or not.
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := chat.Send(ctx, example()); err == nil {
			t.Error("it was sent")
		}
	})
}
