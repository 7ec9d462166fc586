package graph

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dirsync"
)

// script is a network that plays one step for each attempt, and the last step for all that follow.
type script struct {
	steps []step
	n     int
	at    []time.Duration // when each attempt came
	start time.Time
}

type step func(*http.Request) (*http.Response, error)

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	s.at = append(s.at, time.Since(s.start))
	do := s.steps[min(s.n, len(s.steps)-1)]
	s.n++
	return do(r)
}

func says(status int, header ...string) step {
	return func(*http.Request) (*http.Response, error) {
		resp := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}")), ContentLength: -1}
		for i := 0; i+1 < len(header); i += 2 {
			resp.Header.Set(header[i], header[i+1])
		}
		return resp, nil
	}
}

func fails(err error) step {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// streams answers 200 with a body.
func streams(body io.Reader) step {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(body), ContentLength: -1}, nil
	}
}

// hangs never answers.
func hangs(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// stalls sends some bytes and no more, until the attempt ends.
func stalls(r *http.Request) (*http.Response, error) {
	in, out := io.Pipe()
	go func() {
		_, _ = out.Write([]byte("half"))
		<-r.Context().Done()
		out.CloseWithError(r.Context().Err())
	}()
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: in, ContentLength: -1}, nil
}

// drips sends a byte every twenty seconds, which is slow but no standstill.
func drips(r *http.Request) (*http.Response, error) {
	in, out := io.Pipe()
	go func() {
		for range 10 {
			timer := time.NewTimer(20 * time.Second)
			<-timer.C
			if _, err := out.Write([]byte("x")); err != nil {
				return
			}
		}
		_ = out.Close()
	}()
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: in, ContentLength: -1}, nil
}

func retry(s *script) *retrying {
	s.start = time.Now()
	return &retrying{next: s, limits: defaultLimits(), now: time.Now, sleep: sleep, sent: new(atomic.Int64), skew: new(atomic.Int64)}
}

func dialError() error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
}

// Time stands still but for the waits, so the moments of all attempts are exact where there is no jitter.
func TestRetry(t *testing.T) {
	for name, test := range map[string]struct {
		steps []step
		want  string // the outcome
		at    []time.Duration
		least int // attempts, where at is open because of jitter
	}{
		"at once":                {steps: []step{says(200)}, want: "200", at: []time.Duration{0}},
		"seconds":                {steps: []step{says(429, "Retry-After", "10"), says(200)}, want: "200", at: []time.Duration{0, 10 * time.Second}},
		"fraction":               {steps: []step{says(429, "Retry-After", "0.5"), says(429, "Retry-After", "2.128"), says(200)}, want: "200", at: []time.Duration{0, 500 * time.Millisecond, 2628 * time.Millisecond}},
		"date":                   {steps: []step{says(503, "Retry-After", "Sat, 01 Jan 2000 00:00:30 GMT"), says(200)}, want: "200", at: []time.Duration{0, 30 * time.Second}},
		"date in the past":       {steps: []step{says(503, "Retry-After", "Fri, 31 Dec 1999 23:00:00 GMT"), says(200)}, want: "200", least: 2},
		"zero":                   {steps: []step{says(429, "Retry-After", "0"), says(200)}, want: "200", least: 2},
		"nonsense":               {steps: []step{says(429, "Retry-After", "soon"), says(429, "Retry-After", "-5"), says(429, "Retry-After", "NaN"), says(200)}, want: "200", least: 4},
		"beyond one wait":        {steps: []step{says(429, "Retry-After", "121")}, want: "429", at: []time.Duration{0}},
		"beyond all reason":      {steps: []step{says(429, "Retry-After", "1e300")}, want: "429", at: []time.Duration{0}},
		"beyond all waits":       {steps: []step{says(429, "Retry-After", "120")}, want: "429", at: []time.Duration{0, 2 * time.Minute, 4 * time.Minute, 6 * time.Minute, 8 * time.Minute, 10 * time.Minute}},
		"beyond all attempts":    {steps: []step{says(503, "Retry-After", "1")}, want: "503", least: 8},
		"every passing status":   {steps: []step{says(500), says(502), says(503), says(504), says(429), says(200)}, want: "200", least: 6},
		"not passing":            {steps: []step{says(501)}, want: "501", at: []time.Duration{0}},
		"refused":                {steps: []step{says(403)}, want: "403", at: []time.Duration{0}},
		"dropped":                {steps: []step{fails(io.ErrUnexpectedEOF), fails(errors.New("connection reset by peer")), says(200)}, want: "200", least: 3},
		"dropped in the body":    {steps: []step{streams(io.MultiReader(strings.NewReader("half"), broken{})), says(200)}, want: "200", least: 2},
		"dropped for good":       {steps: []step{fails(io.ErrUnexpectedEOF)}, want: "unexpected EOF", least: 8},
		"nobody there":           {steps: []step{fails(dialError())}, want: "dial tcp: connection refused", least: 4},
		"not trusted":            {steps: []step{fails(x509.UnknownAuthorityError{})}, want: "x509: certificate signed by unknown authority", at: []time.Duration{0}},
		"no answer, then one":    {steps: []step{hangs, says(200)}, want: "200", least: 2},
		"never an answer":        {steps: []step{hangs}, want: "no answer came within the time limit", least: 8},
		"standstill in the body": {steps: []step{stalls, says(200)}, want: "200", least: 2},
		"slow, but alive":        {steps: []step{drips}, want: "200", at: []time.Duration{0}},
		"too large":              {steps: []step{streams(io.LimitReader(endless{}, 65<<20))}, want: "the answer is larger than allowed", at: []time.Duration{0}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // it begins on 2000-01-01
				s := &script{steps: test.steps}
				tr := retry(s)
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://graph.example/", nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := tr.RoundTrip(req)
				got := fmt.Sprint(err)
				if err == nil {
					got = fmt.Sprint(resp.StatusCode)
				}
				if got != test.want {
					t.Errorf("got %s, want %s", got, test.want)
				}
				if test.at != nil && fmt.Sprint(s.at) != fmt.Sprint(test.at) {
					t.Errorf("attempts came at %v, want %v", s.at, test.at)
				}
				if test.least > 0 && len(s.at) != test.least {
					t.Errorf("%d attempts were made, want %d", len(s.at), test.least)
				}
				if total := s.at[len(s.at)-1]; total > 20*time.Minute {
					t.Errorf("the last attempt came after %v", total)
				}
				if got := tr.sent.Load(); got != int64(len(s.at)) {
					t.Errorf("%d requests were counted, %d made", got, len(s.at))
				}
			})
		})
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestRetryObeysItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []step{says(429, "Retry-After", "60")}}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Second, cancel)
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "https://graph.example/", nil)
		tr := retry(s)
		if _, err := tr.RoundTrip(req); !errors.Is(err, context.Canceled) || time.Since(s.start) != 5*time.Second {
			t.Errorf("got %v after %v, want context.Canceled after 5s", err, time.Since(s.start))
		}
	})
	// A wait that the deadline would cut off is not begun: the answer says more than "deadline exceeded".
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []step{says(429, "Retry-After", "60")}}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "https://graph.example/", nil)
		tr := retry(s)
		resp, err := tr.RoundTrip(req)
		if err != nil || resp.StatusCode != 429 || time.Since(s.start) != 0 {
			t.Errorf("got %v, %v after %v, want 429 at once", resp, err, time.Since(s.start))
		}
	})
}

// A request's body goes out whole with every attempt.
func TestRetrySendsTheBodyAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		read := func(status int) step {
			return func(r *http.Request) (*http.Response, error) {
				b, err := io.ReadAll(r.Body)
				got = append(got, fmt.Sprint(string(b), r.ContentLength, err))
				return says(status)(r)
			}
		}
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://login.example/token", strings.NewReader("grant=x"))
		if _, err := retry(&script{steps: []step{read(503), read(500), read(200)}}).RoundTrip(req); err != nil {
			t.Fatal(err)
		}
		if want := []string{"grant=x7 <nil>", "grant=x7 <nil>", "grant=x7 <nil>"}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestClaimsChallenge(t *testing.T) {
	const claims = `{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}`
	const encoded = "eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZSwidmFsdWUiOiIxNzAwMDAwMDAwIn19fQ"
	for header, want := range map[string]string{
		`Bearer realm="", error="insufficient_claims", claims="` + encoded + `=="`: claims,
		`Bearer claims="` + encoded + `", error="insufficient_claims"`:             claims,
		`Bearer realm="", authorization_uri="https://login.example/authorize"`:     "",
		`Bearer claims=unquoted`:      "",
		`Bearer claims="not base64!"`: "",
		`Bearer claims="bm90IGpzb24"`: "",
		``:                            "",
	} {
		if got := claimsChallenge(http.Header{"Www-Authenticate": {header}}); got != want {
			t.Errorf("%s: got %q, want %q", header, got, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, v := range []string{"10", "2.128", "Sat, 01 Jan 2000 00:00:30 GMT", "", "-1", "1e999", "0x10", "NaN", " 5 "} {
		f.Add(v)
	}
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, v string) {
		wait, ok := retryAfter(http.Header{"Retry-After": {v}}, now)
		if wait < 0 || !ok && wait != 0 {
			t.Errorf("%q: got %v, %v", v, wait, ok)
		}
	})
}

func FuzzCursor(f *testing.F) {
	c, err := New(Config{Tenant: "6f89cf12-978b-4d23-ac18-9ef0c127cf87", ClientID: "00d88624-0b5a-4d4c-9b4f-0f3d2b1c8928", Credential: Credential{Secret: "x"}})
	if err != nil {
		f.Fatal(err)
	}
	s := c.Users([]string{"mail"})
	f.Add(string(mark{Tenant: c.cfg.Tenant, Select: s.selected, Link: "https://graph.microsoft.com/v1.0/users/delta?$deltatoken=x"}.cursor()))
	f.Add(`{"v":1,"s":null,"l":"https://graph.microsoft.com:443/v1.0/users/delta()"}`)
	f.Add(`{"v":1,"l":"//x"}`)
	f.Fuzz(func(t *testing.T, text string) {
		m, err := s.parseCursor(dirsync.Cursor(text))
		if err != nil || text == "" || m.First != nil { // see FuzzFirstCursor
			return
		}
		if err := c.checkLink(m.Link); err != nil {
			t.Errorf("%q was accepted, but %v", text, err)
		}
		again, err := s.parseCursor(m.cursor())
		if err != nil || fmt.Sprint(again) != fmt.Sprint(m) {
			t.Errorf("got %+v, %v, want %+v", again, err, m)
		}
	})
}
