package realservers_test

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"dirsync"
	"dirsync/scim"
	"dirsync/scim/client"
	"dirsync/scim/scimtest"
)

var installed = flag.String("realservers", "", "the folder in which the servers are installed; see the documentation of the package")

const token = "r3al-t0ken"

// server is one that runs.
type server struct {
	name, url string
	profile   client.Profile
	// hidesMembers is true where groups never show who is in them; the tests then have another way to know.
	hidesMembers bool
	// keepsNames is true where nobody can have a name that somebody had once.
	keepsNames bool

	mu     sync.Mutex
	counts map[string]int
	lose   func(*http.Request) bool
}

// start runs a server until the test ends.
func start(t *testing.T, s *server) *server {
	t.Helper()
	if *installed == "" {
		t.Skip("the real servers are not installed; .ci/run realservers installs and tests them")
	}
	program, err := os.ReadFile(filepath.Join(s.name, "server.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", "--input-type=module", "--eval", string(program))
	cmd.Dir = filepath.Join(*installed, s.name) // where its packages are
	cmd.Env = append(os.Environ(), "TOKEN="+token)
	var said strings.Builder
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", s.name, err)
	}
	t.Cleanup(func() {
		_ = in.Close() // the server ends with it
		_ = cmd.Wait()
		if t.Failed() && said.Len() > 0 {
			t.Logf("%s said:\n%s", s.name, said.String())
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%s did not start: %v\n%s", s.name, err, said.String())
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	s.url = strings.TrimSpace(line)
	return s
}

// RoundTrip counts what is sent, by method, holds it against the rules, and loses what is to be lost.
func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.counts[r.Method]++
	lose := s.lose != nil && s.lose(r)
	s.mu.Unlock()
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && lose {
		_ = resp.Body.Close()
		return nil, io.ErrUnexpectedEOF
	}
	return resp, err
}

// reset forgets the counts and returns them.
func (s *server) reset() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.counts
	s.counts = map[string]int{}
	return was
}

func writes(counts map[string]int) int {
	n := 0
	for method, c := range counts {
		if method != http.MethodGet {
			n += c
		}
	}
	return n
}

const enterprise = scim.EnterpriseURN + ":"

// open makes a new client, as a new process would.
func (s *server) open(t *testing.T) (*client.Client, client.Groups) {
	t.Helper()
	field := func(name, path string, kind dirsync.Type) client.FieldPath {
		return client.FieldPath{Field: dirsync.Field{Name: name, Type: kind}, Path: path}
	}
	fields := append(client.DefaultFields(), field("title", "title", dirsync.Text), field("department", enterprise+"department", dirsync.Text),
		field("manager", enterprise+"manager", dirsync.Reference), field("mobile", `phoneNumbers[type eq "mobile"].value`, dirsync.Phone))
	profile := s.profile
	profile.PerSecond = 1000
	c, err := client.New(client.Config{Name: s.name, BaseURL: s.url, Token: token, Profile: profile, Fields: fields,
		Transport: scimtest.Watch(s, func(violation string) { t.Error(violation) }, token)})
	if err != nil {
		t.Fatal(err)
	}
	groups, err := c.Groups()
	if err != nil {
		t.Fatal(err)
	}
	return c, groups
}

// members reads the ids of who is in a group, past the client.
func (s *server) members(t *testing.T, account string) []string {
	t.Helper()
	target := s.url + "/Groups/" + account
	if s.hidesMembers {
		target = s.url[:strings.Index(s.url, "/api/")] + "/members/" + account
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var out []string
	if s.hidesMembers {
		var list []struct {
			User string `json:"user_id"`
		}
		err = json.NewDecoder(resp.Body).Decode(&list)
		for _, m := range list {
			out = append(out, m.User)
		}
	} else {
		var group struct{ Members []struct{ Value string } }
		err = json.NewDecoder(resp.Body).Decode(&group)
		for _, m := range group.Members {
			out = append(out, m.Value)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

func person(n int) dirsync.ID { return dirsync.ID(fmt.Sprintf("00000000-0000-4000-8000-%012d", n)) }
func group(n int) dirsync.ID  { return dirsync.ID(fmt.Sprintf("99999999-0000-4000-8000-%012d", n)) }

func text(s string) dirsync.Value { return dirsync.Value{Type: dirsync.Text, Text: s} }
