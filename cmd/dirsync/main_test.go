package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"dirsync/graph/graphtest"
)

// childVariable makes the test binary be dirsync itself, so that tests can start and kill a real process.
const childVariable = "DIRSYNC_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childVariable) {
	case "dirsync":
		hurried()
	case "tenant":
		serveTenant()
		return
	}
	testscript.Main(m, map[string]func(){"dirsync": hurried})
}

// hurried is dirsync against simulated tenants: these have one replica, so nobody need wait for the others.
func hurried() {
	a := newApp(os.Stdout, os.Stderr)
	a.replicaLag = time.Nanosecond
	a.main()
}

// child is a command that runs this dirsync in a process of its own.
func child(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), childVariable+"=dirsync")
	return cmd
}

// setUp writes a configuration for a tenant that is served at url into dir, and returns the configuration's path.
func setUp(t testing.TB, dir, url string, ca []byte, identity graphtest.Identity) string {
	t.Helper()
	for name, text := range map[string]string{
		"config.yaml": strings.NewReplacer("ID", identity.ID, "CLIENT", identity.ClientID, "URL", url).Replace(`
tenants:
  contoso:
    id: ID
    client_id: CLIENT
    credential: { secret: "file:secret" }
    authority: URL
    graph: URL/v1.0
    ca: file:ca.pem
store: { path: dirsync.db }
directory:
  fields:
    - { name: department }
    - { name: office }
syncs:
  staff:
    from: { entra: contoso }
    to: directory
    fields:
      first_name: givenName
      last_name: surname
      email: mail
      department: department
      office: { from: officeLocation, sync_updates: false }
`),
		"secret": identity.Secret + "\n",
		"ca.pem": string(ca),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "config.yaml")
}

// start serves a tenant for as long as the test runs.
func start(t testing.TB, tenant *graphtest.Tenant) *graphtest.Server {
	t.Helper()
	server, err := graphtest.Start(tenant)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server
}
