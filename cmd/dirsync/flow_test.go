package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dirsync"
	"dirsync/graph/graphtest"
	"dirsync/store"
	"dirsync/web"
)

// outbound is a directory whose people go to a simulated tenant.
type outbound struct {
	t      testing.TB
	tenant *graphtest.Tenant
	dir    string
	out    bytes.Buffer
}

func newOutbound(t testing.TB) *outbound {
	t.Helper()
	o := &outbound{t: t, tenant: &graphtest.Tenant{Roles: entraRoles()}, dir: t.TempDir()}
	server := start(t, o.tenant)
	config := setUp(t, o.dir, server.URL, server.CA, o.tenant.Identity())
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(text), "syncs:")
	text = []byte(head + `syncs:
  outbound:
    from: directory
    to: { entra: contoso, anchor: onPremisesExtensionAttributes/extensionAttribute15, passwords: file:passwords.csv }
    fields:
      displayName: { expr: user.first_name + " " + user.last_name }
      userPrincipalName: email
      givenName: first_name
      surname: last_name
      department: department
`)
	if err := os.WriteFile(config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return o
}

// run runs a command line in this process and returns what it wrote.
func (o *outbound) run(want int, args ...string) string {
	o.t.Helper()
	var out bytes.Buffer
	a := newApp(&out, &out)
	a.replicaLag = time.Nanosecond
	got := a.run(o.t.Context(), append(args, "-c", filepath.Join(o.dir, "config.yaml")))
	o.out.Write(out.Bytes())
	if got != want {
		o.t.Fatalf("%s: exit code %d, want %d\n%s", strings.Join(args, " "), got, want, out.String())
	}
	return out.String()
}

// edit changes the embedded directory.
func (o *outbound) edit(fn func(context.Context, *store.Directory)) {
	o.t.Helper()
	st, err := store.Open(filepath.Join(o.dir, "dirsync.db"), store.Options{})
	if err != nil {
		o.t.Fatal(err)
	}
	d, err := st.Directory(dirsync.Field{Name: "department", Type: dirsync.Text}, dirsync.Field{Name: "office", Type: dirsync.Text})
	if err != nil {
		o.t.Fatal(err)
	}
	fn(o.t.Context(), d)
	if err := st.Close(); err != nil {
		o.t.Fatal(err)
	}
}

func (o *outbound) apply(changes ...dirsync.Change) []dirsync.Applied {
	o.t.Helper()
	var out []dirsync.Applied
	o.edit(func(ctx context.Context, d *store.Directory) {
		out = d.ApplyAll(ctx, changes)
		for _, a := range out {
			if a.Err != nil {
				o.t.Fatal(a.Err)
			}
		}
	})
	return out
}

func ownPerson(n int) dirsync.Change {
	text := func(s string) dirsync.Value { return dirsync.Value{Type: dirsync.Text, Text: s} }
	return dirsync.Change{Kind: dirsync.Create, After: dirsync.Values{}.With(dirsync.Values{
		{Field: dirsync.FirstName, Value: text(fmt.Sprint("First", n))}, {Field: dirsync.LastName, Value: text(fmt.Sprint("Last", n))},
		{Field: dirsync.EmailAddress, Value: dirsync.Value{Type: dirsync.Email, Text: fmt.Sprintf("person%d@contoso.com", n)}}, {Field: "department", Value: text("A")}})}
}

// A thousand updates are fifty batches, and one question whether it is the right tenant; a run without changes is the
// question alone.
func TestAThousandUpdatesAreFiftyBatches(t *testing.T) {
	const people = 1000
	o := newOutbound(t)
	var changes []dirsync.Change
	for n := range people {
		changes = append(changes, ownPerson(n))
	}
	made := o.apply(changes...)
	o.run(exitOK, "run")
	if got := len(o.tenant.Users()); got != people {
		t.Fatalf("the tenant has %d people, want %d", got, people)
	}
	changes = nil
	for _, a := range made {
		changes = append(changes, dirsync.Change{Kind: dirsync.Update, Account: a.Account.ID,
			After: dirsync.Values{{Field: "department", Value: dirsync.Value{Type: dirsync.Text, Text: "B"}}}})
	}
	o.apply(changes...)
	o.tenant.ResetRequests()
	o.run(exitOK, "run")
	n := o.tenant.Requests()
	if n.Batch > people/20 || n.UpdateUser != people || n.Graph() > people/20+1 {
		t.Errorf("%d updates took %d batches with %d requests, and %d requests to Graph in all; want at most 50 batches and one more", people, n.Batch, n.Inner, n.Graph())
	}
	t.Logf("%d updates: %d batches with %d requests; %d requests to Graph", n.UpdateUser, n.Batch, n.Inner, n.Graph())
	o.tenant.ResetRequests()
	o.run(exitOK, "run")
	if n := o.tenant.Requests(); n.Graph() != 1 || n.Writes != 0 {
		t.Errorf("a run without changes made %d requests and %d writes, want the one for the tenant", n.Graph(), n.Writes)
	}
}

// A first password is in its file and nowhere else: no log, error, output, history or notification, and not in the store.
func TestPasswordsAreInTheirFileAlone(t *testing.T) {
	o := newOutbound(t)
	for n := range 3 {
		o.apply(ownPerson(n))
	}
	// The answer to one of them is lost.
	o.tenant.SetFaults(graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.CreateUser, Times: 1, Fault: graphtest.Fault{Status: 504, Apply: true}}}})
	o.run(exitOK, "run", "-v")
	o.tenant.SetFaults(graphtest.Faults{})
	for _, args := range [][]string{{"history"}, {"show", "1"}, {"show", "1", "-o", "json"}, {"explain", "person1@contoso.com"}, {"inbox"}, {"status"},
		{"test", "--user", "person1@contoso.com"}, {"users", "list"}, {"compare"}} {
		o.run(exitOK, args...)
	}
	file := filepath.Join(o.dir, "passwords.csv")
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the file of passwords: %v, %v", info, err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil || len(rows) != 3 {
		t.Fatalf("got %d rows, %v; want 3", len(rows), err)
	}
	for _, row := range rows {
		if ok, must := o.tenant.SignsIn(row[2], row[3]); !ok || !must {
			t.Errorf("%s signs in with what is in the file: %v, and must change it: %v", row[1], ok, must)
		}
		if strings.Contains(o.out.String(), row[3]) {
			t.Errorf("the password of %s was printed", row[1])
		}
		err := filepath.WalkDir(o.dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || path == file || !entry.Type().IsRegular() {
				return err
			}
			content, err := os.ReadFile(path)
			if bytes.Contains(content, []byte(row[3])) {
				t.Errorf("the password of %s is in %s", row[1], filepath.Base(path))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// The daemon has the store open, so it is the daemon that changes the directory for whoever types the command; the next run
// takes the change along.
func TestUsersAreChangedThroughTheDaemon(t *testing.T) {
	o := newOutbound(t)
	config := filepath.Join(o.dir, "config.yaml")
	d := idle(t, config)
	do := func(want int, args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if got := d.exec(t.Context(), web.Command{Args: append([]string{"--config", config}, args...), Dir: o.dir}, &out, &out); got != want {
			t.Fatalf("%s: exit code %d, want %d\n%s", strings.Join(args, " "), got, want, out.String())
		}
		return out.String()
	}
	do(exitOK, "users", "add", "first_name=Ada", "last_name=King", "email=ada@contoso.com")
	do(exitOK, "run")
	do(exitOK, "users", "set", "ada@contoso.com", "department=Engines")
	do(exitUsage, "users", "set", "ada@contoso.com", "email=nowhere")
	do(exitOK, "users", "deactivate", "ada@contoso.com")
	do(exitOK, "users", "reactivate", "ada@contoso.com")
	do(exitOK, "run")
	want := "enabled Ada King <ada@contoso.com> mail -, department Engines, of u00000001"
	if got := strings.Join(entraUsers(o.tenant), "\n"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A sync that is switched off is begun by nobody: not by the daemon, and not by whoever asks it for a run.
func TestTheDaemonDoesNotRunWhatIsSwitchedOff(t *testing.T) {
	o := newOutbound(t)
	config := filepath.Join(o.dir, "config.yaml")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("  outbound:\n"), []byte("  outbound:\n    enabled: false\n    schedule: every 1m\n"), 1)
	if err := os.WriteFile(config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	o.apply(ownPerson(1))
	d := idle(t, config)
	if err := d.SyncNow(t.Context(), "outbound", "test"); err == nil || !strings.Contains(err.Error(), "switched off") {
		t.Errorf("got %v, want that the sync is switched off", err)
	}
	var out bytes.Buffer
	if got := d.exec(t.Context(), web.Command{Args: []string{"--config", config, "run", "outbound"}, Dir: o.dir}, &out, &out); got != exitUsage {
		t.Errorf("exit code %d: %s", got, out.String())
	}
	if n := o.tenant.Requests().Graph(); n > 0 {
		t.Errorf("the tenant was asked %d times", n)
	}
}

// An administrator is asked for what the syncs write, and for no more.
func TestPermissionsAreThoseOfWhatIsWritten(t *testing.T) {
	o := newOutbound(t)
	config := filepath.Join(o.dir, "config.yaml")
	for _, test := range []struct{ more, want string }{
		{"", "User.Read.All Organization.Read.All User.Create User.ReadUpdate.All"},
		{"    when_deleted: delete\n    when_blocked: deactivate\n",
			"User.Read.All Organization.Read.All User.Create User.DeleteRestore.All User.EnableDisableAccount.All User.ReadUpdate.All"},
	} {
		text, err := os.ReadFile(config)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(config, append(text, test.more...), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := LoadConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(neededPermissions(cfg, "contoso"), " "); got != test.want {
			t.Errorf("got %s\nwant %s", got, test.want)
		}
	}
}
