package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"dirsync"
	"dirsync/store"
)

// pushConfig is a configuration that SCIM clients fill, with one field of its own.
const pushConfig = `
store: { path: dirsync.db }
directory:
  fed_by: scim
  fields:
    - { name: department }
serve:
  log: json
  scim:
    listen: 127.0.0.1:0
    rate: 1000000
    fields: { department: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department" }
`

// pushConfigIn writes a configuration, with more lines of serve.scim.
func pushConfigIn(t testing.TB, dir, more string) string {
	t.Helper()
	config := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(config, []byte(pushConfig+more), 0o600); err != nil {
		t.Fatal(err)
	}
	return config
}

// unlimited are limits that hold nothing.
const unlimited = `    limits:
      deletes: { count: 1000000, share: 100%, floor: 1000000 }
      deactivations: { count: 1000000, share: 100%, floor: 1000000 }
      groups: { count: 1000000, share: 100%, floor: 1000000 }
`

// pusher is a SCIM client of a daemon.
type pusher struct {
	t      testing.TB
	base   string
	token  string
	client *http.Client
}

// pushTo makes a token, and a client that has it. The daemon must say where it is.
func pushTo(t testing.TB, s *service, from int) *pusher {
	t.Helper()
	var said struct{ URL string }
	line := s.await(from, `"message":"listening for SCIM clients"`)
	if err := json.Unmarshal([]byte(line), &said); err != nil {
		t.Fatal(err)
	}
	out, errs, code := run(t, "token", "create", fmt.Sprintf("client%d", s.cmd.Process.Pid), "-o", "json", "-c", s.config)
	var made newTokenView
	if err := json.Unmarshal([]byte(out), &made); code != 0 || err != nil {
		t.Fatalf("token create: exit %d, %v: %s%s", code, err, out, errs)
	}
	if made.BaseURL != said.URL {
		t.Errorf("got the base URL %s, want %s", made.BaseURL, said.URL)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 128}
	t.Cleanup(transport.CloseIdleConnections)
	return &pusher{t: t, base: made.BaseURL, token: made.Token, client: &http.Client{Transport: transport, Timeout: time.Minute}}
}

// do sends a request, whose body has single quotes instead of double ones. A status of 0 says that no answer came.
func (p *pusher) do(method, path, body string) (status int, answer string) {
	req, err := http.NewRequest(method, p.base+path, strings.NewReader(strings.ReplaceAll(body, "'", `"`)))
	if err != nil {
		p.t.Error(err)
		return 0, ""
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	req.Header.Set("Content-Type", "application/scim+json")
	resp, err := p.client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(text)
}

// want sends a request that is to be answered so.
func (p *pusher) want(status int, method, path, body string, parts ...string) string {
	p.t.Helper()
	got, answer := p.do(method, path, body)
	if got != status || !containsAll(answer, parts) {
		p.t.Fatalf("%s %s: got %d, want %d and %q\n%s", method, path, got, status, parts, answer)
	}
	return answer
}

// made is the id in an answer.
func made(t testing.TB, answer string) string {
	t.Helper()
	var v struct{ ID string }
	if err := json.Unmarshal([]byte(answer), &v); err != nil || v.ID == "" {
		t.Fatalf("no id in %s", answer)
	}
	return v.ID
}

// TestPushing takes a daemon through what happens to it while clients push: certificates and tokens are replaced, the store is
// compacted, the configuration is changed, and it is stopped and started again.
func TestPushing(t *testing.T) {
	dir := t.TempDir()
	roots := x509.NewCertPool()
	certifyHost(t, dir, roots, 1)
	config := pushConfigIn(t, dir, "    tls: { certificate: file:tls.pem, key: file:tls.key }\n")
	s := serving(t, config)
	p := pushTo(t, s, 0)
	p.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}
	p.want(201, "POST", "/Users", `{'userName':'ana@contoso.com','externalId':'x1'}`)
	for _, tt := range []struct{ name, token string }{{"no", ""}, {"another", "dss_" + strings.Repeat("a", 60)}, {"half a", p.token[:30]}} {
		other := *p
		other.token = tt.token
		if got, answer := other.do("GET", "/Users", ""); got != 401 {
			t.Errorf("%s token: got %d %s, want 401", tt.name, got, answer)
		}
	}
	// An old version of TLS, and no TLS at all, is not answered.
	old := *p
	old.client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, MaxVersion: tls.VersionTLS11}}}
	if got, answer := old.do("GET", "/Users", ""); got != 0 {
		t.Errorf("TLS 1.1: got %d %s", got, answer)
	}

	// The store is compacted, and made anew by the way; the tokens are in it.
	if _, errs, code := run(t, "compact", "-c", config); code != 0 {
		t.Fatalf("compact: exit %d: %s", code, errs)
	}
	p.want(200, "GET", "/Users/u00000001", "", `"userName":"ana@contoso.com"`)

	// A reload takes the policy over, and refuses what only a restart can change.
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	from := s.said()
	rewrite(t, config, string(text)+"    operations: { delete: false }\n")
	s.signal(syscall.SIGHUP)
	s.await(from, "the configuration was reloaded")
	p.want(405, "DELETE", "/Users/u00000001", "")
	from = s.said()
	rewrite(t, config, strings.Replace(string(text), "fed_by: scim", "fed_by: syncs", 1))
	s.signal(syscall.SIGHUP)
	s.await(from, "fault")
	from = s.said()
	rewrite(t, config, string(text))
	s.signal(syscall.SIGHUP)
	s.await(from, "the configuration was reloaded")
	p.want(204, "DELETE", "/Users/u00000001", "")
	p.want(201, "POST", "/Users", `{'userName':'bo@contoso.com'}`)

	if code := s.stop(syscall.SIGTERM); code != 0 {
		t.Fatalf("exit %d", code)
	}
	if log := s.log(); strings.Contains(log, p.token) || strings.Contains(log, p.token[4:20]) {
		t.Error("a token is in the log")
	}
	for _, name := range []string{"dirsync.db", "config.yaml"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || bytes.Contains(data, []byte(p.token[4:])) {
			t.Errorf("%s: a token is in it, or %v", name, err)
		}
	}
	again := serving(t, config)
	again.await(0, `"message":"listening for SCIM clients"`)
	out, _, _ := run(t, "requests", "-c", config, "-o", "json")
	if strings.Contains(out, p.token[4:20]) || !strings.Contains(out, "bo@contoso.com") {
		t.Errorf("the history: %s", out)
	}
	if out, _, _ = run(t, "users", "list", "-c", config); !strings.Contains(out, "u00000001  inactive") || !strings.Contains(out, "u00000002  active") {
		t.Errorf("the users: %s", out)
	}
}

// TestPushCertificates replaces the certificate while the server runs.
func TestPushCertificates(t *testing.T) {
	dir := t.TempDir()
	roots := x509.NewCertPool()
	certifyHost(t, dir, roots, 1)
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	f := &certificateFiles{certificate: filepath.Join(dir, "tls.pem"), key: filepath.Join(dir, "tls.key"), now: func() time.Time { return now }}
	if err := f.read(); err != nil {
		t.Fatal(err)
	}
	serial := func() int64 {
		t.Helper()
		pair, err := f.current(nil)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(pair.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf.SerialNumber.Int64()
	}
	step := func(what string, want int64) {
		t.Helper()
		now = now.Add(lookAgain)
		if got := serial(); got != want {
			t.Errorf("%s: got certificate %d, want %d", what, got, want)
		}
	}
	step("unchanged", 1)
	if err := os.WriteFile(f.certificate, []byte("half a certifi"), 0o600); err != nil {
		t.Fatal(err)
	}
	step("half-way", 1)
	certifyHost(t, dir, roots, 2)
	step("replaced", 2)
	if err := os.Remove(f.key); err != nil {
		t.Fatal(err)
	}
	step("gone", 2)
}

// certifyHost writes a certificate for this machine, which roots trust.
func certifyHost(t testing.TB, dir string, roots *x509.CertPool, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	roots.AppendCertsFromPEM(certificate)
	for name, text := range map[string][]byte{"tls.pem": certificate, "tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// rewrite replaces a file in one step.
func rewrite(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// TestPushTogether has 64 clients write at once through the whole daemon: one name makes one user, and no member is lost.
func TestPushTogether(t *testing.T) {
	s := serving(t, pushConfigIn(t, t.TempDir(), unlimited))
	p := pushTo(t, s, 0)
	const n = 64
	users := make([]string, n)
	for i := range users {
		users[i] = made(t, p.want(201, "POST", "/Users", fmt.Sprintf(`{'userName':'user%d@contoso.com'}`, i)))
	}
	members := make([]string, n/2)
	for i := range members {
		members[i] = `{'value':'` + users[i] + `'}`
	}
	group := made(t, p.want(201, "POST", "/Groups", `{'displayName':'all','members':[`+strings.Join(members, ",")+`]}`))
	var created, conflicts atomic.Int32
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			switch status, answer := p.do("POST", "/Users", fmt.Sprintf(`{'userName':'%s'}`, [2]string{"same@contoso.com", "SAME@contoso.com"}[i%2])); status {
			case 201:
				created.Add(1)
			case 409:
				conflicts.Add(1)
			default:
				t.Errorf("POST: %d %s", status, answer)
			}
			op := [2]string{"Remove", "Add"}[2*i/n]
			body := fmt.Sprintf(`{'schemas':['urn:ietf:params:scim:api:messages:2.0:PatchOp'],'Operations':[{'op':'%s','path':'members','value':[{'value':'%s'}]}]}`, op, users[i])
			if status, answer := p.do("PATCH", "/Groups/"+group, body); status != 200 {
				t.Errorf("PATCH: %d %s", status, answer)
			}
		})
	}
	all.Wait()
	if created.Load() != 1 || conflicts.Load() != n-1 {
		t.Errorf("got %d users and %d conflicts, want 1 and %d", created.Load(), conflicts.Load(), n-1)
	}
	answer := p.want(200, "GET", "/Groups/"+group, "")
	for i, id := range users {
		if got := strings.Contains(answer, `"`+id+`"`); got != (i >= n/2) {
			t.Errorf("user %d is a member: %v", i, got)
		}
	}
	if code := s.stop(syscall.SIGTERM); code != 0 {
		t.Fatalf("exit %d", code)
	}
	verifyStore(t, s.config)
}

// verifyStore reads the whole store.
func verifyStore(t testing.TB, config string) {
	t.Helper()
	if out, errs, code := run(t, "verify", "-c", config); code != 0 {
		t.Fatalf("verify: exit %d: %s%s", code, out, errs)
	}
}

// TestKillPushing kills a daemon at random moments while clients push: whatever was answered is there afterwards.
func TestKillPushing(t *testing.T) {
	config := pushConfigIn(t, t.TempDir(), unlimited)
	w := &pushWorld{t: t, users: map[string]pushedUser{}, group: map[string]bool{}}
	rounds := max(2, *kills/5)
	var p *pusher
	for round := range rounds {
		s := serving(t, config)
		p = pushTo(t, s, 0)
		w.check(p)
		if w.groupID == "" {
			w.groupID = made(t, p.want(201, "POST", "/Groups", `{'displayName':'all'}`))
		}
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for n := range 16 {
			all.Go(func() { w.push(ctx, p, round*100+n) })
		}
		killed := time.After(time.Duration(20+37*round%300) * time.Millisecond)
		<-killed
		s.signal(syscall.SIGKILL)
		<-s.ended
		cancel()
		all.Wait()
		verifyStore(t, config)
	}
	s := serving(t, config)
	p = pushTo(t, s, 0)
	w.check(p)
	t.Logf("%d kills, %d users, %d members", rounds, len(w.users), len(w.group))
	if len(w.users) < rounds {
		t.Errorf("only %d users were made in %d rounds", len(w.users), rounds)
	}
}

// pushedUser is what a client was last told of a user.
type pushedUser struct {
	id, title string
	gone      bool
	// doubt says that a change was sent and not answered.
	doubt bool
}

// pushWorld is what clients were told.
type pushWorld struct {
	t       *testing.T
	groupID string

	mu    sync.Mutex
	users map[string]pushedUser // by userName
	group map[string]bool       // members, by id; false: they left
}

// push makes users, changes some, deletes some and puts them into the group, until nobody answers.
func (w *pushWorld) push(ctx context.Context, p *pusher, seed int) {
	for n := 0; ctx.Err() == nil; n++ {
		name := fmt.Sprintf("u%d-%d@contoso.com", seed, n)
		u := pushedUser{doubt: true}
		status, answer := p.do("POST", "/Users", `{'userName':'`+name+`','title':'0'}`)
		if status == 201 {
			u = pushedUser{id: made(w.t, answer), title: "0"}
		}
		w.keep(name, u)
		if status == 0 {
			return
		}
		if status != 201 {
			w.t.Errorf("POST: %d %s", status, answer)
			return
		}
		if !w.step(p, name, u, n) {
			return
		}
	}
}

// step does one more thing to a user; false when nobody answers.
func (w *pushWorld) step(p *pusher, name string, u pushedUser, n int) bool {
	const head = `{'schemas':['urn:ietf:params:scim:api:messages:2.0:PatchOp'],'Operations':[`
	want, method, path, body := 200, "PATCH", "/Users/"+u.id, head+`{'op':'Replace','path':'title','value':'1'}]}`
	switch n % 4 {
	case 1:
		want, method, body = 204, "DELETE", ""
	case 2:
		path, body = "/Groups/"+w.groupID+"?excludedAttributes=members", head+`{'op':'Add','path':'members','value':[{'value':'`+u.id+`'}]}]}`
	}
	status, answer := p.do(method, path, body)
	switch {
	case n%4 == 2:
		w.mu.Lock()
		if status == want {
			w.group[u.id] = true
		}
		w.mu.Unlock()
	case status == 0:
		u.doubt = true
		w.keep(name, u)
	case n%4 == 1:
		u.gone = true
		w.keep(name, u)
	default:
		u.title = "1"
		w.keep(name, u)
	}
	if status != want && status != 0 {
		w.t.Errorf("%s %s: %d %s", method, path, status, answer)
	}
	return status == want
}

func (w *pushWorld) keep(name string, u pushedUser) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.users[name] = u
}

// check asks for everybody of whom the clients know something for certain.
func (w *pushWorld) check(p *pusher) {
	w.t.Helper()
	for name, u := range w.users {
		if u.doubt {
			// One at most, whatever became of the request.
			answer := p.want(200, "GET", "/Users?filter=userName+eq+%22"+name+"%22", "")
			var list struct{ TotalResults int }
			if err := json.Unmarshal([]byte(answer), &list); err != nil || list.TotalResults > 1 {
				w.t.Errorf("%s: %d of them, %v", name, list.TotalResults, err)
			}
			continue
		}
		status, answer := p.do("GET", "/Users/"+u.id, "")
		switch {
		case u.gone && status != 404:
			w.t.Errorf("%s was deleted, and is answered with %d", name, status)
		case !u.gone && (status != 200 || !strings.Contains(answer, `"title":"`+u.title+`"`)):
			w.t.Errorf("%s was answered with title %s, and now is %d %s", name, u.title, status, answer)
		}
	}
	if w.groupID == "" {
		return
	}
	answer := p.want(200, "GET", "/Groups/"+w.groupID, "")
	for id := range w.group {
		if !strings.Contains(answer, `"`+id+`"`) {
			w.t.Errorf("%s joined the group, and is not in it", id)
		}
	}
}

// TestPushBehindProxy answers nobody but the proxy.
func TestPushBehindProxy(t *testing.T) {
	for _, tt := range []struct {
		trust string
		want  int
	}{{"true", 401}, {"[127.0.0.0/8]", 401}, {"[10.1.2.3]", 0}} {
		config := pushConfigIn(t, t.TempDir(), "    url: https://people.example/scim/v2\n    behind_proxy: "+tt.trust+"\n")
		s := serving(t, config)
		var said struct{ At string }
		if err := json.Unmarshal([]byte(s.await(0, `"message":"listening for SCIM clients"`)), &said); err != nil {
			t.Fatal(err)
		}
		p := &pusher{t: t, base: "http://" + said.At + "/scim/v2", client: &http.Client{Timeout: time.Minute}}
		if got, answer := p.do("GET", "/Users", ""); got != tt.want {
			t.Errorf("%s: got %d %s, want %d", tt.trust, got, answer, tt.want)
		}
		if code := s.stop(syscall.SIGTERM); code != 0 {
			t.Errorf("exit %d", code)
		}
	}
}

// TestPushReadsOnly: while syncs fill the directory, clients read, whatever their scopes are.
func TestPushReadsOnly(t *testing.T) {
	_, config := newTenant(t, 20)
	manually(t, config)
	appendTo(t, config, "serve:\n  log: json\n  scim: { listen: 127.0.0.1:0 }\n")
	if out, errs, code := run(t, "run", "-c", config); code != exitOK && code != exitPartial {
		t.Fatalf("run: exit %d: %s%s", code, out, errs)
	}
	s := serving(t, config)
	p := pushTo(t, s, 0)
	p.want(200, "GET", "/Users", "", `"totalResults":`)
	p.want(403, "POST", "/Users", `{'userName':'x'}`)
	out, _, _ := run(t, "token", "create", "all", "--scopes", "users:write", "-o", "json", "-c", config)
	var made newTokenView
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		t.Fatal(err)
	}
	p.token = made.Token
	p.want(403, "POST", "/Users", `{'userName':'x'}`, "users:write")
	p.want(200, "GET", "/Users?count=1", "")
	p.want(403, "GET", "/Groups", "")
}

// TestDirectorySwitch hands a directory from a sync to clients and back.
func TestDirectorySwitch(t *testing.T) {
	tenant, config := newTenant(t, 20)
	manually(t, config)
	dir := filepath.Dir(config)
	if out, errs, code := run(t, "run", "-c", config); code != exitOK && code != exitPartial {
		t.Fatalf("run: exit %d: %s%s", code, out, errs)
	}
	var before []dirsync.Account
	withDirectory(t, dir, func(d *store.Directory) {
		if err := d.Users(t.Context(), func(a dirsync.Account) error { before = append(before, a); return nil }); err != nil {
			t.Fatal(err)
		}
	})
	other := filepath.Join(dir, "scim.yaml")
	rewrite(t, other, pushConfig+"    when_deleted: delete\n")
	refused := func(config string, args ...string) {
		t.Helper()
		_, errs, code := run(t, append(args, "-c", config)...)
		if code != 1 || !strings.Contains(errs, "both at once would undo each other's changes") || !strings.Contains(errs, "dirsync directory switch") {
			t.Errorf("%v: exit %d: %s", args, code, errs)
		}
	}
	refused(other, "serve")
	refused(other, "check")
	if _, errs, code := run(t, "directory", "switch", "scim", "-c", config); code != exitUsage || !strings.Contains(errs, "says directory.fed_by: syncs") {
		t.Errorf("with the old configuration: exit %d: %s", code, errs)
	}
	out, errs, code := run(t, "directory", "switch", "scim", "-c", other)
	if code != exitPartial || !strings.Contains(out, "Nothing was done, because nobody said yes") || !strings.Contains(out, fmt.Sprintf("kept       %d users", len(before))) {
		t.Errorf("unasked: exit %d: %s%s", code, out, errs)
	}
	refused(other, "serve")
	if out, errs, code = run(t, "directory", "switch", "scim", "--yes", "-c", other); code != 0 || !strings.Contains(out, "Done: the directory is filled by scim") {
		t.Fatalf("switch: exit %d: %s%s", code, out, errs)
	}
	refused(config, "run")

	s := serving(t, other)
	p := pushTo(t, s, 0)
	for _, a := range before {
		email, _ := a.Values.Get(dirsync.EmailAddress)
		p.want(200, "GET", "/Users?filter=externalId+eq+%22"+string(a.Source)+"%22", "", `"totalResults":1`, `"id":"`+a.ID+`"`)
		p.want(200, "GET", "/Users?filter=userName+eq+%22"+strings.ToUpper(email.Text)+"%22", "", `"totalResults":1`, `"id":"`+a.ID+`"`)
	}
	first := before[0]
	p.want(200, "PATCH", "/Users/"+first.ID, `{'schemas':['urn:ietf:params:scim:api:messages:2.0:PatchOp'],'Operations':[{'op':'Replace','path':'name.givenName','value':'Changed'}]}`)
	p.want(201, "POST", "/Users", `{'userName':'pushed','externalId':'not-a-guid'}`)
	if _, errs, code := run(t, "directory", "switch", "syncs", "--yes", "-c", config); code != 1 || !strings.Contains(errs, "Stop the daemon") {
		t.Errorf("while the daemon runs: exit %d: %s", code, errs)
	}
	s.stop(syscall.SIGTERM)

	// Back again: the next run joins everybody by e-mail address, under the ids that they have, and repairs what changed.
	if out, errs, code = run(t, "directory", "switch", "syncs", "--yes", "-c", config); code != 0 || !strings.Contains(out, "Done: the directory is filled by syncs") {
		t.Fatalf("switch back: exit %d: %s%s", code, out, errs)
	}
	if out, errs, code := run(t, "run", "-c", config); code != exitOK && code != exitPartial {
		t.Fatalf("run: exit %d: %s%s", code, out, errs)
	}
	withDirectory(t, dir, func(d *store.Directory) {
		for _, a := range before {
			now, err := d.Lookup(t.Context(), a.ID)
			if err != nil || now.Source != a.Source || !now.Values.Equal(a.Values) || now.Active != a.Active {
				t.Errorf("before %+v\nnow    %+v, %v", a, now, err)
			}
		}
		found, err := d.FindResources(t.Context(), dirsync.KindUser, dirsync.ByName, "pushed", 1)
		if err != nil || len(found) != 1 || found[0].Source != "" {
			t.Errorf("whom a client made: %+v, %v", found, err)
		}
		n, err := d.Count(t.Context())
		if err != nil || n != len(before)+1 {
			t.Errorf("got %d users, want %d: %v", n, len(before)+1, err)
		}
	})
	_ = tenant
	verifyStore(t, config)
}

// withDirectory calls fn with the directory of a store, with the fields that both configurations of a switch have.
func withDirectory(t testing.TB, dir string, fn func(*store.Directory)) {
	t.Helper()
	st, err := store.Open(filepath.Join(dir, "dirsync.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := st.Directory(dirsync.Field{Name: "department", Type: dirsync.Text}, dirsync.Field{Name: "office", Type: dirsync.Text})
	if err != nil {
		t.Fatal(err)
	}
	fn(d)
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestPushedHoldIsTold: people are told of what is held, and when nothing is any more.
func TestPushedHoldIsTold(t *testing.T) {
	mails := make(chan string, 10)
	sink, err := startMailSink(func(to, subject string) { mails <- to + ": " + subject })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sink.Close)
	config := pushConfigIn(t, t.TempDir(), "    limits: { deactivations: { count: 0 } }\nnotify:\n  smtp: { host: 127.0.0.1, port: "+sink.port()+
		", tls: none, from: dirsync@contoso.com }\n  recipients: [it@contoso.com]\n  window: 0s\n")
	s := serving(t, config)
	p := pushTo(t, s, 0)
	id := made(t, p.want(201, "POST", "/Users", `{'userName':'ana@contoso.com'}`))
	p.want(200, "PATCH", "/Users/"+id, setInactive, `"active":false`)
	await := func(parts ...string) {
		t.Helper()
		select {
		case got := <-mails:
			if !containsAll(got, parts) {
				t.Errorf("got the mail %q, want one with %q", got, parts)
			}
		case <-time.After(time.Minute):
			t.Fatalf("no mail with %q", parts)
		}
	}
	await("it@contoso.com", "scim", "wait for approval")
	holds, err := s.client().Holds(t.Context(), pushed, dirsync.HoldOpen, 0, 1)
	if err != nil || len(holds) != 1 {
		t.Fatalf("got %+v, %v", holds, err)
	}
	if out, errs, code := run(t, "approve", holds[0].Name, "-c", config); code != 0 {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	await("it@contoso.com", "scim")
}

// TestDemoRequests runs the very lines that the demonstration prints, in a shell.
func TestDemoRequests(t *testing.T) {
	for _, tool := range []string{"sh", "curl", "awk"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed, so nobody can run what is printed", tool)
		}
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yaml")
	s := starting(t, config, "demo", "--scim-server", "--dir", dir)
	s.await(0, "Ctrl-C stops the demonstration")
	var lines []string
	for _, line := range s.since(0) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "export ") || strings.HasPrefix(line, "curl ") || strings.HasPrefix(line, "for ") || strings.HasPrefix(line, "HOLD=") || strings.Contains(line, " users list ") {
			lines = append(lines, line+"; echo")
		}
	}
	// In another folder, and without a dirsync where the shell looks for programs.
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", strings.Join(lines, "\n"))
	cmd.Dir, cmd.Env = t.TempDir(), append(os.Environ(), childVariable+"=dirsync")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{`"userName":"adele@contoso.com"`, `"totalResults":1`, `"department":"Legal"`, "Adele", "2019-06-06", `"facsimileTelephoneNumber" is not known`,
		"4 deactivations", "scim", " 201\n", " 204\n", "rejected for 1 of the 4 on it", "approved for everybody on it", "comes from    no sync", "6 users", "SCIM server at"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("what was printed does not show %q", want)
		}
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
}

// TestSCIMServerGuide: the configuration of the guide is one, and so are its commands.
func TestSCIMServerGuide(t *testing.T) {
	text := read(t, "../../docs/scim-server.md")
	_, rest, found := strings.Cut(text, "```yaml\n")
	example, _, ended := strings.Cut(rest, "```")
	if !found || !ended {
		t.Fatal("the guide has no configuration")
	}
	var plain strings.Builder
	for line := range strings.Lines(example) {
		plain.WriteString(strings.TrimPrefix(line, "   "))
	}
	cfg, err := parseConfig("/etc/dirsync/config.yaml", []byte(plain.String()))
	if err != nil || cfg.Serve.SCIM == nil || cfg.Serve.SCIM.TLS.Key != "/etc/dirsync/tls.key" {
		t.Fatalf("%+v, %v", cfg, err)
	}
	root := newApp(io.Discard, io.Discard).rootCommand()
	for _, m := range regexp.MustCompile("(?m)(?:^    |`)dirsync ([a-z -]+)").FindAllStringSubmatch(text, -1) {
		words := strings.Fields(m[1])
		if cmd, _, err := root.Find(words); err != nil || cmd == root {
			t.Errorf("dirsync %s is no command: %v", m[1], err)
		}
	}
}
