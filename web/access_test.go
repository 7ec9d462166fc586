package web

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"dirsync"
)

func tokenFor(t testing.TB, name, secret string) Token {
	t.Helper()
	sum := sha256.Sum256([]byte(secret))
	token, err := ParseToken(name, "sha256:"+hex.EncodeToString(sum[:]))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

const secretToken = "s3cret-token-of-ops"

// tcpHandler is the API as it is offered over TCP.
func tcpHandler(t testing.TB, s *Server) http.Handler {
	t.Helper()
	look := tokenFor(t, "dashboard", "look-only")
	look.ReadOnly = true
	return s.handler(t.Context(), tcpDoor, []Token{tokenFor(t, "ops", secretToken), look}, []string{"dirsync.contoso.com"})
}

// request makes a request as a program with a good token sends it; edit changes that.
func request(method, target, body string, edit func(*http.Request)) *http.Request {
	var r *http.Request
	if body == "" {
		r = httptest.NewRequest(method, target, nil)
	} else {
		r = httptest.NewRequest(method, target, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
	}
	r.Host = "127.0.0.1:8420"
	r.Header.Set("Authorization", "Bearer "+secretToken)
	if edit != nil {
		edit(r)
	}
	return r
}

// answer sends a request and reads the problem, if it is one.
func answer(h http.Handler, r *http.Request) (*httptest.ResponseRecorder, Problem) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var p Problem
	if strings.HasPrefix(w.Header().Get("Content-Type"), "application/problem+json") {
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			p.Code = "no JSON: " + err.Error()
		}
	}
	return w, p
}

// TestRefused is the table of who and what is refused over TCP.
func TestRefused(t *testing.T) {
	header := func(name string, values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header[name] = values }
	}
	host := func(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }
	long := `{"by":"` + strings.Repeat("x", 1<<20) + `"}`
	for name, tc := range map[string]struct {
		method, path, body string
		edit               func(*http.Request)
		status             int
		code               string
	}{
		"a good token":                   {"GET", "/v1/status", "", nil, 200, ""},
		"a lower-case scheme":            {"GET", "/v1/status", "", header("Authorization", "bearer "+secretToken), 200, ""},
		"no token":                       {"GET", "/v1/status", "", header("Authorization"), 401, "bad_token"},
		"a wrong token":                  {"GET", "/v1/status", "", header("Authorization", "Bearer nope"), 401, "bad_token"},
		"an empty token":                 {"GET", "/v1/status", "", header("Authorization", "Bearer "), 401, "bad_token"},
		"the hash":                       {"GET", "/v1/status", "", header("Authorization", "Bearer "+fmt.Sprintf("%x", sha256.Sum256([]byte(secretToken)))), 401, "bad_token"},
		"another scheme":                 {"GET", "/v1/status", "", header("Authorization", "Basic "+secretToken), 401, "bad_token"},
		"two tokens":                     {"GET", "/v1/status", "", header("Authorization", "Bearer nope", "Bearer "+secretToken), 401, "bad_token"},
		"a token in the query":           {"GET", "/v1/status?access_token=" + secretToken, "", header("Authorization"), 401, "bad_token"},
		"an unknown path, no token":      {"GET", "/v1/nothing", "", header("Authorization"), 401, "bad_token"},
		"an unknown path":                {"GET", "/v1/nothing", "", nil, 404, "no_such_path"},
		"a path to be cleaned":           {"GET", "/v1/../v1/status", "", nil, 404, "no_such_path"},
		"another method":                 {"DELETE", "/v1/status", "", nil, 405, "method_not_allowed"},
		"a preflight":                    {"OPTIONS", "/v1/status", "", header("Origin", "https://evil.example"), 403, "cross_origin"},
		"exec":                           {"POST", "/v1/exec", `{"args":["status"]}`, nil, 404, "no_such_path"},
		"alive":                          {"GET", "/livez", "", header("Authorization"), 200, ""},
		"ready":                          {"GET", "/readyz", "", header("Authorization"), 200, ""},
		"metrics":                        {"GET", "/metrics", "", header("Authorization"), 401, "bad_token"},
		"looking only":                   {"GET", "/v1/status", "", header("Authorization", "Bearer look-only"), 200, ""},
		"changing with looking only":     {"POST", "/v1/syncs/staff/sync-now", "{}", header("Authorization", "Bearer look-only"), 403, "read_only"},
		"previewing with looking only":   {"POST", "/v1/runs/7/undo/preview", "{}", header("Authorization", "Bearer look-only"), 200, ""},
		"another site":                   {"GET", "/v1/status", "", header("Origin", "https://evil.example"), 403, "cross_origin"},
		"no site":                        {"POST", "/v1/syncs/staff/sync-now", "{}", header("Origin", "null"), 403, "cross_origin"},
		"the same site":                  {"GET", "/v1/status", "", header("Origin", "https://127.0.0.1:8420"), 200, ""},
		"another port":                   {"GET", "/v1/status", "", header("Origin", "https://127.0.0.1:8421"), 403, "cross_origin"},
		"a browser says cross-site":      {"GET", "/v1/status", "", header("Sec-Fetch-Site", "cross-site"), 403, "cross_origin"},
		"a browser says same-site":       {"GET", "/v1/status", "", header("Sec-Fetch-Site", "same-site"), 403, "cross_origin"},
		"a browser says same-origin":     {"GET", "/v1/status", "", header("Sec-Fetch-Site", "same-origin"), 200, ""},
		"alive for another site":         {"GET", "/livez", "", header("Origin", "https://evil.example"), 403, "cross_origin"},
		"a rebound name":                 {"GET", "/v1/status", "", host("evil.example:8420"), 421, "wrong_host"},
		"a name that begins like ours":   {"GET", "/v1/status", "", host("dirsync.contoso.com.evil.example"), 421, "wrong_host"},
		"our name":                       {"GET", "/v1/status", "", host("DIRSYNC.contoso.com."), 200, ""},
		"localhost":                      {"GET", "/v1/status", "", host("localhost:8420"), 200, ""},
		"an IPv6 address":                {"GET", "/v1/status", "", host("[::1]:8420"), 200, ""},
		"a short address":                {"GET", "/v1/status", "", host("127.1"), 421, "wrong_host"},
		"no host":                        {"GET", "/v1/status", "", host(""), 421, "wrong_host"},
		"a body with GET":                {"GET", "/v1/status", "{}", nil, 400, "bad_request"},
		"a form":                         {"POST", "/v1/syncs/staff/sync-now", "by=me", header("Content-Type", "application/x-www-form-urlencoded"), 415, "unsupported_media_type"},
		"a plain text":                   {"POST", "/v1/syncs/staff/sync-now", "{}", header("Content-Type", "text/plain"), 415, "unsupported_media_type"},
		"no content type":                {"POST", "/v1/syncs/staff/sync-now", "{}", header("Content-Type"), 415, "unsupported_media_type"},
		"another charset":                {"POST", "/v1/syncs/staff/sync-now", "{}", header("Content-Type", "application/json; charset=utf-16"), 415, "unsupported_media_type"},
		"UTF-8":                          {"POST", "/v1/syncs/staff/sync-now", "{}", header("Content-Type", "application/json; charset=UTF-8"), 202, ""},
		"a compressed body":              {"POST", "/v1/syncs/staff/sync-now", "{}", header("Content-Encoding", "gzip"), 415, "unsupported_media_type"},
		"a large body":                   {"POST", "/v1/syncs/staff/sync-now", long, nil, 413, "too_large"},
		"an empty body":                  {"POST", "/v1/syncs/staff/sync-now", "", header("Content-Type", "application/json"), 400, "bad_request"},
		"an unknown parameter":           {"GET", "/v1/status?verbose=1", "", nil, 400, "bad_request"},
		"a parameter twice":              {"GET", "/v1/holds?sync=a&sync=b", "", nil, 400, "bad_request"},
		"a bad limit":                    {"GET", "/v1/holds?limit=0", "", nil, 400, "bad_request"},
		"a large limit":                  {"GET", "/v1/holds?limit=501", "", nil, 400, "bad_request"},
		"an empty limit":                 {"GET", "/v1/holds?limit=", "", nil, 400, "bad_request"},
		"a bad after":                    {"GET", "/v1/holds?after=zzz", "", nil, 400, "bad_request"},
		"a foreign after":                {"GET", "/v1/holds?after=" + position(map[string]int{"x": 1}), "", nil, 400, "bad_request"},
		"an empty after":                 {"GET", "/v1/holds?after=", "", nil, 400, "bad_request"},
		"a bad status":                   {"GET", "/v1/holds?status=nonsense", "", nil, 400, "bad_request"},
		"a bad run":                      {"GET", "/v1/runs/-1", "", nil, 400, "bad_request"},
		"run zero":                       {"GET", "/v1/runs/0", "", nil, 400, "bad_request"},
		"no run":                         {"GET", "/v1/runs/99", "", nil, 404, "not_found"},
		"a hold by number":               {"GET", "/v1/holds/3", "", nil, 200, ""},
		"a hold by name":                 {"GET", "/v1/holds/3-1a2b3c4d", "", nil, 200, ""},
		"a hold with another digest":     {"GET", "/v1/holds/3-ffffffff", "", nil, 404, "not_found"},
		"approving by number":            {"POST", "/v1/holds/3/approve", "{}", nil, 400, "bad_request"},
		"approving by a short digest":    {"POST", "/v1/holds/3-1a2b/approve", "{}", nil, 400, "bad_request"},
		"approving by name":              {"POST", "/v1/holds/3-1a2b3c4d/approve", "{}", nil, 200, ""},
		"approving nobody":               {"POST", "/v1/holds/3-1a2b3c4d/approve", `{"people":[]}`, nil, 400, "bad_request"},
		"approving null":                 {"POST", "/v1/holds/3-1a2b3c4d/approve", `{"people":null}`, nil, 400, "bad_request"},
		"approving with a null in it":    {"POST", "/v1/holds/3-1a2b3c4d/approve", `{"people":["p",null]}`, nil, 400, "bad_request"},
		"approving with another case":    {"POST", "/v1/holds/3-1a2b3c4d/approve", `{"People":["p"]}`, nil, 400, "bad_request"},
		"a reason of two lines":          {"POST", "/v1/holds/3-1a2b3c4d/reject", `{"reason":"a\nb"}`, nil, 400, "bad_request"},
		"undoing without a digest":       {"POST", "/v1/runs/7/undo", `{"all":true}`, nil, 400, "bad_request"},
		"undoing with a digest":          {"POST", "/v1/runs/7/undo", `{"digest":"1a2b3c4d"}`, nil, 202, ""},
		"explaining nobody":              {"GET", "/v1/syncs/staff/explain", "", nil, 400, "bad_request"},
		"an inbox of nobody":             {"GET", "/v1/inbox", "", nil, 400, "bad_request"},
		"marking nothing":                {"POST", "/v1/inbox/mark", `{"user":"u1"}`, nil, 400, "bad_request"},
		"a name with a line feed":        {"GET", "/v1/syncs/a%0Ab", "", nil, 400, "bad_request"},
		"a parameter with a line feed":   {"GET", "/v1/syncs/staff/explain?person=a%0Ab", "", nil, 400, "bad_request"},
		"a parameter that is no text":    {"GET", "/v1/syncs/staff/explain?person=%ff", "", nil, 400, "bad_request"},
		"a query that cannot be escaped": {"GET", "/v1/syncs/staff/explain?person=%zz", "", nil, 400, "bad_request"},
	} {
		h := tcpHandler(t, &Server{Daemon: newMemory(), Now: noon, Exec: echo, Metrics: NewMetrics("test")})
		w, p := answer(h, request(tc.method, tc.path, tc.body, tc.edit))
		if w.Code != tc.status || p.Code != tc.code {
			t.Errorf("%s: got %d %q, want %d %q: %s", name, w.Code, p.Code, tc.status, tc.code, w.Body)
		}
		if p.Code != "" && (p.Status != w.Code || p.Detail == "" || p.Title == "" || p.Type == "") {
			t.Errorf("%s: the problem is not whole: %+v", name, p)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: got %s: %s, want %s", name, name, got, want)
			}
		}
		for name := range w.Header() {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s: got %s; no other site may read this", name, name)
			}
		}
	}
}

// TestAllow holds what a wrong method is told.
func TestAllow(t *testing.T) {
	w, _ := answer(tcpHandler(t, &Server{Daemon: newMemory()}), request("PUT", "/v1/syncs/staff/sync-now", "{}", nil))
	if got := w.Header().Get("Allow"); got != "POST" {
		t.Errorf("got Allow: %s, want POST", got)
	}
}

// TestWrongTokensWait holds that whoever guesses must wait, that nobody else must, and that waiting ends.
func TestWrongTokensWait(t *testing.T) {
	now := noon()
	h := tcpHandler(t, &Server{Daemon: newMemory(), Now: func() time.Time { return now }})
	try := func(from, token string) (int, string) {
		w, _ := answer(h, request("GET", "/v1/status", "", func(r *http.Request) {
			r.RemoteAddr = from
			r.Header.Set("Authorization", "Bearer "+token)
		}))
		return w.Code, w.Header().Get("Retry-After")
	}
	for i := range maxFailures {
		if got, _ := try("192.0.2.1:1000", "guess"); got != 401 {
			t.Fatalf("attempt %d: got %d, want 401", i, got)
		}
	}
	if got, wait := try("192.0.2.1:2000", secretToken); got != 429 || wait != "6" {
		t.Errorf("got %d, Retry-After %s, want 429 and 6, even with the right token", got, wait)
	}
	if got, _ := try("192.0.2.2:1000", secretToken); got != 200 {
		t.Errorf("somebody else: got %d, want 200", got)
	}
	now = now.Add(forgiveEvery)
	if got, _ := try("192.0.2.1:3000", secretToken); got != 200 {
		t.Errorf("after waiting: got %d, want 200", got)
	}
	for i := range maxFailures + 1 { // an attacker with IPv6 has a /64 at least
		got, _ := try(fmt.Sprintf("[2001:db8::%x]:1", i), "guess")
		if want := map[bool]int{true: 401, false: 429}[i < maxFailures]; got != want {
			t.Errorf("IPv6 attempt %d: got %d, want %d", i, got, want)
		}
	}
}

// TestFailuresAreBounded holds that an attacker with many addresses fills no memory, and that those who fail most stay known.
func TestFailuresAreBounded(t *testing.T) {
	var f Guesses
	for range 2 * maxFailures {
		f.Wrong("192.0.2.1:1", noon())
	}
	for i := range 3 * maxAddresses {
		f.Wrong(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255), noon())
	}
	if n := len(f.until); n > maxAddresses {
		t.Errorf("got %d addresses, want %d at most", n, maxAddresses)
	}
	if f.Wait("192.0.2.1:1", noon()) == 0 {
		t.Error("the worst address was forgotten")
	}
	f.Wrong("nonsense", noon())
}

func TestParseToken(t *testing.T) {
	empty := sha256.Sum256(nil)
	for _, hash := range []string{"", "s3cret-token", "sha256:", strings.Repeat("g", 64), strings.Repeat("a", 63), hex.EncodeToString(empty[:])} {
		_, err := ParseToken("ops", hash)
		if dirsync.KindOf(err) != dirsync.Invalid || dirsync.HintOf(err) == "" {
			t.Errorf("%q: got %v, want Invalid with a hint", hash, err)
		}
		if hash != "" && strings.Contains(fmt.Sprintf("%v %+v %s", err, err, dirsync.HintOf(err)), strings.TrimPrefix(hash, "sha256:")) && hash != "sha256:" {
			t.Errorf("%q: the error repeats what may be a token: %v", hash, err)
		}
	}
}

// TestNoSecretLeaves sends tokens wherever they might end up, and looks for them in all that comes out.
func TestNoSecretLeaves(t *testing.T) {
	var logged strings.Builder
	m := newMemory()
	metrics := NewMetrics("test")
	h := tcpHandler(t, &Server{Daemon: m, Metrics: metrics, Log: zerolog.New(&logged).Level(zerolog.TraceLevel), Now: noon})
	var out strings.Builder
	send := func(r *http.Request) {
		w, _ := answer(h, r)
		fmt.Fprintln(&out, w.Header(), w.Body)
	}
	const leak = "8Q~verySecretValue.0123456789"
	m.fails("Status", fmt.Errorf("get https://login.example/token?client_secret=%s: no", leak))
	send(request("GET", "/v1/status", "", nil))
	m.fails("Status", &dirsync.Error{Op: "sign in", Kind: dirsync.Unauthorized, Err: fmt.Errorf("Authorization: Bearer %s and client_secret=%s and {\"client_secret\": \"%s\"}", leak, leak, leak),
		Hint: "password: " + leak, Value: "https://x/?sig=" + leak})
	send(request("GET", "/v1/status", "", nil))
	send(request("GET", "/v1/status", "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+leak) }))
	send(request("GET", "/v1/status?token="+leak, "", nil))
	send(request("GET", "/v1/nothing/"+leak, "", nil))
	send(request("POST", "/v1/syncs/staff/sync-now", `{"token":true, "by":"`+leak+`"}`, nil))
	w := httptest.NewRecorder()
	metrics.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for where, text := range map[string]string{"the log": logged.String(), "an answer": out.String(), "the metrics": w.Body.String()} {
		for _, secret := range []string{leak, secretToken, "verySecretValue"} {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("%s has %q: …%s", where, secret, text[max(0, i-80):i+len(secret)])
			}
		}
	}
	if !strings.Contains(logged.String(), "GET /v1/status") || !strings.Contains(out.String(), "sign in") {
		t.Errorf("the test saw nothing:\n%s\n%s", logged.String(), out.String())
	}
}

// TestAuthor holds that a token cannot decide in somebody else's name without saying which token it was.
func TestAuthor(t *testing.T) {
	m := newMemory()
	h := tcpHandler(t, &Server{Daemon: m})
	for body, want := range map[string]string{`{"by":"ann"}`: "SyncNow staff by ann (token ops)", `{}`: "SyncNow staff by token ops"} {
		answer(h, request("POST", "/v1/syncs/staff/sync-now", body, nil))
		if got := m.last(); got != want {
			t.Errorf("%s: got %q, want %q", body, got, want)
		}
	}
	local := (&Server{Daemon: m}).handler(t.Context(), socketDoor, nil, nil)
	for body, want := range map[string]string{`{"by":"ann"}`: "SyncNow staff by ann", `{}`: "SyncNow staff by control socket"} {
		answer(local, request("POST", "/v1/syncs/staff/sync-now", body, nil))
		if got := m.last(); got != want {
			t.Errorf("%s: got %q, want %q", body, got, want)
		}
	}
}
