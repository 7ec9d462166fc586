package graph_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"dirsync"
	"dirsync/graph"
	"dirsync/graph/graphtest"
)

// spy remembers every secret that goes over the wire, so that a test can look for them elsewhere.
type spy struct {
	mu   sync.Mutex
	next http.RoundTripper
	seen []string
}

func (s *spy) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		s.seen = append(s.seen, bearer)
	}
	for name, values := range r.URL.Query() {
		if strings.Contains(strings.ToLower(name), "token") {
			s.seen = append(s.seen, values...)
		}
	}
	if r.Body != nil && r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		_, _ = b.ReadFrom(body)
		form, _ := url.ParseQuery(b.String())
		s.seen = append(s.seen, form["client_secret"]...)
		s.seen = append(s.seen, form["client_assertion"]...)
	}
	return s.next.RoundTrip(r)
}

func (s *spy) CloseIdleConnections() { (&http.Client{Transport: s.next}).CloseIdleConnections() }

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Whatever goes wrong, no secret, token, assertion or link token is in the error or the log.
func TestSecretsStaySecret(t *testing.T) {
	const secret = "S3cret~with/odd=chars&more"
	list := situations(t)
	echo := func(f graphtest.Fault, kind graphtest.Kind) graphtest.Faults {
		return graphtest.Faults{Rules: []graphtest.Rule{{On: kind, Fault: f}}}
	}
	// A hostile server says back what it was told.
	list = append(list,
		situation{name: "secret echoed", faults: echo(graphtest.Fault{Status: 401, Body: `{"error":"invalid_client","error_description":"AADSTS7000215: wrong: ` + secret + ` or ` + url.QueryEscape(secret) + `","error_codes":[7000215]}`}, graphtest.Token)},
		situation{name: "token echoed", faults: echo(graphtest.Fault{Status: 400, Body: `{"error":{"code":"BadRequest","message":"bad eyJhbGciOiJub25lIn0.eyJ0aWQiOiJ4In0.c2lnbmF0dXJl and $skiptoken=abcdefgh"}}`}, graphtest.Delta)},
		situation{name: "password of a certificate", change: func(c *graph.Config) {
			c.Credential = graph.Credential{Certificate: fixture(t, "encrypted.pem"), Password: certificatePassword}
		}},
		situation{name: "all is well"},
	)
	for _, s := range list {
		t.Run(s.name, func(t *testing.T) {
			log, watch := &lockedBuffer{}, &spy{}
			tenant := s.tenant
			if tenant == nil {
				tenant = &graphtest.Tenant{Secret: secret, Faults: s.faults}
			}
			tenant.Faults.PageSize = 1
			w := serve(t, tenant, func(c *graph.Config) {
				if s.change != nil {
					s.change(c)
				}
				c.Log = zerolog.New(log).Level(zerolog.TraceLevel)
			})
			watch.next = w.server.Client().Transport
			if w.config.Transport == nil {
				w.config.Transport = watch
			}
			c := w.connect(t, w.config)
			w.Generate(3, 1)
			said := fmt.Sprintf("%v %+v %#v %s", w.config, w.config, w.config, w.config.Credential)
			var cursor dirsync.Cursor
			var err error
			for range 2 {
				cursor, _, err = (people{}).try(c.Users(nil), cursor)
				said += fmt.Sprintf("\n%v %+v %#v %s", err, err, err, dirsync.HintOf(err))
			}
			_, err = c.Check(t.Context())
			said += fmt.Sprint(err, dirsync.HintOf(err))
			err = c.Users(nil).LookUp(t.Context(), []dirsync.ID{"11111111-2222-3333-4444-555555555555"}, func(dirsync.Record) error { return nil })
			said += fmt.Sprint(err, dirsync.HintOf(err)) + log.String()
			if cred, err := json.Marshal(w.config.Credential); err != nil || string(cred) != `"***"` {
				t.Errorf("the credential prints as %s, %v", cred, err)
			}
			hidden := append(watch.seen, w.config.Credential.Secret, url.QueryEscape(w.config.Credential.Secret), string(w.config.Credential.Certificate), w.config.Credential.Password,
				"c2lnbmF0dXJl", "abcdefgh", "skiptoken=abc")
			for _, h := range hidden {
				if h != "" && strings.Contains(said, h) {
					t.Errorf("%q can be read in\n%s", h, said)
				}
			}
			if s.name == "all is well" && (len(watch.seen) < 8 || log.String() == "") {
				t.Errorf("only %d secrets were seen on the wire and %d bytes logged", len(watch.seen), len(log.String()))
			}
		})
	}
}

// A token is never sent to a host that it is not for, whoever asks.
func TestTokensStayAtHome(t *testing.T) {
	abroad := &graphtest.Tenant{}
	other := serve(t, abroad)
	w := serve(t, &graphtest.Tenant{Faults: graphtest.Faults{PageSize: 1, ForeignLinks: other.server.URL}})
	w.Generate(3, 1)
	if _, _, err := (people{}).try(w.client.Users(nil), ""); err == nil {
		t.Error("a link to another host was followed")
	}
	// Not even a cursor that somebody has tampered with leads there.
	w.SetFaults(graphtest.Faults{})
	cursor := people{}.read(t, w.client.Users(nil), "")
	for _, link := range []string{other.server.URL + "/v1.0/users/delta?$deltatoken=x", w.server.URL + "/v1.0/users", w.server.URL + "/beta/users/delta",
		"http://" + strings.TrimPrefix(w.server.URL, "https://") + "/v1.0/users/delta", w.server.URL + "/v1.0/users/../groups/delta", "//users/delta",
		strings.Replace(w.server.URL, "https://", "https://"+"user:pass@", 1) + "/v1.0/users/delta"} {
		var fields map[string]any
		if err := json.Unmarshal([]byte(cursor), &fields); err != nil {
			t.Fatal(err)
		}
		fields["l"] = link
		spoiled, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		before := w.Requests().Total
		if _, _, err := (people{}).try(w.client.Users(nil), dirsync.Cursor(spoiled)); err == nil || w.Requests().Total != before {
			t.Errorf("%s: got %v and %d requests, want an error and none", link, err, w.Requests().Total-before)
		}
	}
	if got := abroad.Requests().Total; got != 0 {
		t.Errorf("the other host was asked %d times", got)
	}
}
