package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"dirsync/graph/graphtest"
)

// freePort is an address of this machine on which nobody listens.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestServeSecrets gives the daemon a secret of every kind, lets everything fail, and looks for them in the log, in every
// answer of the API, in the metrics, in the output of commands, and in the arguments and the environment of the process.
func TestServeSecrets(t *testing.T) {
	tenant, config := newTenant(t, 20)
	dir := filepath.Dir(config)
	secrets := map[string]string{}
	place := func(name, value string) string {
		secrets[name] = value
		if err := os.WriteFile(filepath.Join(dir, name), []byte(value+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return "file:" + name
	}
	secrets["client secret"] = tenant.Identity().Secret
	listen, metrics := freePort(t), freePort(t)
	closed := freePort(t)
	_, port, _ := net.SplitHostPort(closed)
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails
	token := place("token", "token-"+rand.Text())
	appendTo(t, config, fmt.Sprintf(`    schedule: manually
    notify: [it@contoso.com]
notify:
  smtp: { host: 127.0.0.1, port: %s, tls: none, username: dirsync, password: %q, from: dirsync@contoso.com }
  teams: [ { name: teams, url: %q } ]
  chat: [ { name: chat, url: %q } ]
  webhooks: [ { name: hook, url: %q, secrets: [%q], private: true } ]
  window: 0s
serve: { listen: %q, metrics: %q, tokens: [ { name: ci, token: %q } ] }
`, port, place("password", "smtp-"+rand.Text()), place("teams", "https://"+closed+"/teams-"+rand.Text()), place("chat", "slack://hook:"+rand.Text()+"@"+rand.Text()),
		place("hook", "http://"+closed+"/hook-"+rand.Text()), place("signing", "whsec_"+base64.StdEncoding.EncodeToString(key)), listen, metrics, token))
	s := serving(t, config)
	var seen bytes.Buffer
	ask := func(address, path, bearer string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if bearer != "" {
			req.Header.Set("Authorization", "Bearer "+bearer)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		fmt.Fprintln(&seen, res.Status, res.Header)
		if _, err := io.Copy(&seen, res.Body); err != nil {
			t.Fatal(err)
		}
		if want := map[bool]int{true: http.StatusOK, false: http.StatusUnauthorized}[bearer == secrets["token"] || address == metrics]; res.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, res.Status, want)
		}
	}
	from := s.said()
	s.signal(syscall.SIGUSR1)
	s.await(from, ended("partial success")...)
	tenant.SetFaults(graphtest.Faults{SignIn: 7000215}) // invalid client secret
	from = s.said()
	s.signal(syscall.SIGUSR1)
	s.await(from, ended("failure")...)
	s.await(from, "could not be delivered")
	for _, args := range [][]string{{"status"}, {"notify", "test"}, {"notify", "test", "it@contoso.com"}, {"run"}, {"check"}, {"run", "-v"}, {"inbox"}, {"history", "-o", "json"}} {
		stdout, stderr, _ := run(t, append(args, "-c", config)...)
		seen.WriteString(stdout + stderr)
	}
	for _, path := range []string{"/v1/status", "/v1/syncs/staff/runs", "/metrics"} {
		ask(listen, path, secrets["token"])
	}
	ask(listen, "/v1/status", "wrong")
	ask(metrics, "/metrics", "")
	s.signal(syscall.SIGHUP)
	s.await(from, "reloaded")
	for _, name := range []string{"cmdline", "environ"} {
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", s.cmd.Process.Pid, name)); err == nil {
			seen.Write(b)
		}
	}
	if code := s.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit %d", code)
	}
	all := seen.String() + s.log()
	if len(all) < 5000 || !strings.Contains(all, `host="127.0.0.1"`) {
		t.Fatalf("there is too little to look at: %s", all)
	}
	for name, secret := range secrets {
		for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)), strings.TrimPrefix(secret, "whsec_")} {
			if i := strings.Index(all, form); i >= 0 {
				t.Errorf("the %s is told: %s", name, all[max(0, i-200):min(len(all), i+100)])
			}
		}
		// The secret part of an address is as bad as the whole. What is random may end in a slash and a few letters, which are
		// anywhere.
		if i := strings.LastIndexAny(secret, "/-:@"); i > 0 && name != "client secret" && len(secret)-i > 8 && strings.Contains(all, secret[i+1:]) {
			t.Errorf("the end of the %s is told", name)
		}
	}
}
