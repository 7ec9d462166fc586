package main

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"dirsync/graph/graphtest"
)

// managersConfig takes people from one tenant into the directory and on into another one. Whoever's department is Later is
// left out at first.
const managersConfig = `
tenants:
  contoso:
    id: FIRST-ID
    client_id: FIRST-CLIENT
    credential: { secret: "file:secret" }
    authority: FIRST-URL
    graph: FIRST-URL/v1.0
    ca: file:ca.pem
  fabrikam:
    id: SECOND-ID
    client_id: SECOND-CLIENT
    credential: { secret: "file:secret2" }
    authority: SECOND-URL
    graph: SECOND-URL/v1.0
    ca: file:ca2.pem
store: { path: dirsync.db }
directory:
  fields:
    - { name: manager, type: reference }
syncs:
  staff:
    from: { entra: contoso }
    to: directory
    where: user.department != "Later"
    when_deleted: delete
    schedule: manually
    fields: { first_name: givenName, last_name: surname, email: mail, manager: manager }
  partner:
    from: directory
    to: { entra: fabrikam, anchor: onPremisesExtensionAttributes/extensionAttribute15 }
    when_deleted: delete
    schedule: manually
    fields:
      displayName: { expr: user.first_name + " " + user.last_name }
      userPrincipalName: { expr: lower(user.first_name) + "@fabrikam.com" }
      manager: manager
serve:
  log: json
  scim:
    listen: 127.0.0.1:0
    fields: { manager: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager" }
`

// managers are two tenants with the directory between them.
type managers struct {
	*outbound
	second *graphtest.Tenant
}

func newManagers(t *testing.T) *managers {
	t.Helper()
	m := &managers{&outbound{t: t, tenant: &graphtest.Tenant{}, dir: t.TempDir()}, secondTenant()}
	text := managersConfig
	for name, tenant := range map[string]*graphtest.Tenant{"FIRST": m.tenant, "SECOND": m.second} {
		server, who := start(t, tenant), tenant.Identity()
		text = strings.NewReplacer(name+"-ID", who.ID, name+"-CLIENT", who.ClientID, name+"-URL", server.URL).Replace(text)
		suffix := map[string]string{"FIRST": "", "SECOND": "2"}[name]
		m.write("ca"+suffix+".pem", string(server.CA))
		m.write("secret"+suffix, who.Secret+"\n")
	}
	m.write("config.yaml", text)
	return m
}

func (m *managers) write(name, text string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// hire adds somebody to the first tenant.
func (m *managers) hire(name, department string) string {
	return m.tenant.Add(graphtest.User{"givenName": name, "surname": "X", "displayName": name + " X", "userPrincipalName": strings.ToLower(name) + "@contoso.com",
		"mail": strings.ToLower(name) + "@contoso.com", "department": department})[0]
}

// sync takes everybody all the way.
func (m *managers) sync() {
	m.t.Helper()
	m.run(exitOK, "run", "staff")
	m.run(exitOK, "run", "partner")
}

// reports are who reports to whom in the second tenant: "Bo to Ann".
func (m *managers) reports() string {
	names, out := map[string]string{}, []string{}
	users := m.second.Users()
	for _, u := range users {
		names[text(u, "id")], _, _ = strings.Cut(text(u, "displayName"), " ")
	}
	for _, u := range users {
		line := names[text(u, "id")]
		if boss := text(u, "manager"); boss != "" {
			line += " to " + names[boss]
		}
		out = append(out, line)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// TestManagersGoThroughTheDirectory: a reference names somebody else in each of three places. In the first tenant it is an
// object id of that tenant; clients of the directory are told the directory's id; and in the second tenant it is an object
// id of that one, also of a manager who comes in a later run, and no longer of one who has gone.
func TestManagersGoThroughTheDirectory(t *testing.T) {
	m := newManagers(t)
	ann, bo, cleo := m.hire("Ann", "Sales"), m.hire("Bo", "Sales"), m.hire("Cleo", "Later")
	m.tenant.SetManager(bo, ann)
	m.tenant.SetManager(ann, cleo)
	for _, step := range []struct {
		what    string
		change  func()
		reports string
		client  map[string]string // by name, whom clients of the directory take for the manager
	}{
		{"the manager's manager is left out", func() {}, "Ann, Bo to Ann", map[string]string{"Ann": "", "Bo": "Ann"}},
		{"she comes", func() { m.tenant.Update(cleo, map[string]any{"department": "Sales"}) }, "Ann to Cleo, Bo to Ann, Cleo", map[string]string{"Ann": "Cleo", "Bo": "Ann", "Cleo": ""}},
		{"nothing happens", func() {}, "Ann to Cleo, Bo to Ann, Cleo", map[string]string{"Ann": "Cleo"}},
		{"another manager", func() { m.tenant.SetManager(bo, cleo) }, "Ann to Cleo, Bo to Cleo, Cleo", map[string]string{"Bo": "Cleo"}},
		{"she leaves", func() { m.tenant.Delete(cleo) }, "Ann, Bo", map[string]string{"Ann": "", "Bo": ""}},
		{"she is back", func() { m.tenant.Restore(cleo) }, "Ann to Cleo, Bo to Cleo, Cleo", map[string]string{"Ann": "Cleo", "Bo": "Cleo"}},
	} {
		step.change()
		m.sync()
		if got := m.reports(); got != step.reports {
			t.Errorf("%s: the second tenant has %s, want %s", step.what, got, step.reports)
		}
		m.asClient(step.what, step.client)
	}
	// Once all is done nobody is owed anything.
	m.second.ResetRequests()
	m.sync()
	if n := m.second.Requests(); n.UpdateUser+n.ChangeManager+n.CreateUser+n.DeleteUser > 0 {
		t.Errorf("a run without changes has written: %+v", n)
	}
	verifyStore(t, filepath.Join(m.dir, "config.yaml"))
}

// asClient reads the directory as a SCIM client does.
func (m *managers) asClient(what string, want map[string]string) {
	m.t.Helper()
	s := serving(m.t, filepath.Join(m.dir, "config.yaml"))
	p := pushTo(m.t, s, 0)
	names, bosses := map[string]string{}, map[string]string{}
	var list struct {
		Resources []struct {
			ID         string
			Name       struct{ GivenName string }
			Enterprise struct {
				Manager struct {
					Value string
					Ref   string `json:"$ref"`
				}
			} `json:"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`
		}
	}
	if err := json.Unmarshal([]byte(p.want(200, "GET", "/Users", "")), &list); err != nil {
		m.t.Fatal(err)
	}
	for _, r := range list.Resources {
		names[r.ID], bosses[r.Name.GivenName] = r.Name.GivenName, r.Enterprise.Manager.Value
	}
	for name, boss := range want {
		if id := bosses[name]; names[id] != boss || id != "" && names[id] == "" {
			m.t.Errorf("%s: clients take %q (%s) for the manager of %s, want %q", what, id, names[id], name, boss)
		}
	}
	// What a client was told leads to the manager.
	for _, id := range bosses {
		if id != "" {
			p.want(200, "GET", "/Users/"+url.PathEscape(id), "", `"givenName":"`+names[id]+`"`)
		}
	}
	if code := s.stop(syscall.SIGTERM); code != 0 {
		m.t.Errorf("%s: exit %d", what, code)
	}
}
