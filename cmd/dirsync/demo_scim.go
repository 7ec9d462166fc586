package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"dirsync/scim/scimtest"
)

// demoApp is an application of the demonstration that people are provisioned to, served on this machine's loopback address.
type demoApp struct {
	*scimtest.App
	name string
	url  string
	http *http.Server

	mu sync.Mutex
	// lose is after how many creations the answer to one is lost, zero when that has happened; lost counts the lost ones.
	lose, lost int
}

// demoAppView is what programs read of such an application.
type demoAppView struct {
	Name      string `json:"name"`
	Users     int    `json:"users"`
	Groups    int    `json:"groups"`
	Requests  int    `json:"requests"`
	Throttled int    `json:"throttled"`
	Lost      int    `json:"answers_lost"`
}

const (
	// demoToken opens the simulated applications.
	demoToken = "simulated-application"
	// demoPace is how many requests a second a simulated application takes; it refuses what is above.
	demoPace = 100
)

// demoApplications follows the tenant in the configurations; what is filled in is the application's name and address. The
// ceiling is above what the application takes, so that it has to say so.
const demoApplications = `
applications:
  %s:
    url: %s
    token: file:app-token
    limits: { per_second: 300 }
    fields:
      - { name: department, path: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department" }
      - { name: job_title, label: Job title, path: title }
      - { name: office, path: "addresses[type eq \"work\"].locality" }
`

// demoStaffSCIM and demoSalesSCIM are the rest of the configurations.
const (
	demoStaffSCIM = `
store: { path: dirsync.db }

syncs:
  staff:
    from: { entra: simulated }
    to: { scim: crm }
    fields:
      first_name: givenName
      last_name: surname
      email: mail
      department: department
      job_title: jobTitle
      office: { from: officeLocation, sync_updates: false }
    when_deleted: deactivate
`
	demoSalesSCIM = `
# An application has one owner, so this is another one, in a file of its own.
store: { path: sales.db }

syncs:
  sales:
    from: { entra: simulated, users: { groups: [Sales, Support] } }
    to: { scim: tickets }
    fields: { first_name: givenName, last_name: surname, email: mail }
`
)

// startApps serves the applications until stop is called.
func (d *demo) startApps() (stop func(), err error) {
	stop = func() {
		for _, a := range d.apps {
			_ = a.http.Close()
		}
	}
	for _, name := range []string{"crm", "tickets"} {
		a := &demoApp{App: scimtest.New(), name: name, lose: 7}
		a.Token, a.Hook = demoToken, a.fault
		a.Quirks.PerSecond, a.Quirks.RetryAfter = demoPace, "fraction"
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			stop()
			return nil, err
		}
		a.url = "http://" + l.Addr().String() + "/scim/v2"
		a.http = &http.Server{Handler: a.App, ReadHeaderTimeout: time.Minute}
		go func() { _ = a.http.Serve(l) }() // it always ends with an error, that of being closed
		d.apps = append(d.apps, a)
	}
	return stop, nil
}

// fault loses the answer to one creation, which takes effect.
func (a *demoApp) fault(r scimtest.Request) scimtest.Fault {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.Method != http.MethodPost || r.Path != "/Users" || a.lose == 0 {
		return scimtest.Fault{}
	}
	if a.lose--; a.lose > 0 {
		return scimtest.Fault{}
	}
	a.lost++
	return scimtest.Fault{Drop: true, Apply: true}
}

// ends are the rest of both configurations, behind what is said of the tenant.
func (d *demo) ends() (staff, sales string, err error) {
	if d.apps == nil {
		return demoStaff, demoSales, nil
	}
	if err := os.WriteFile(filepath.Join(d.dir, "app-token"), []byte(demoToken+"\n"), 0o600); err != nil {
		return "", "", err
	}
	app := func(i int) string { return fmt.Sprintf(demoApplications, d.apps[i].name, d.apps[i].url) }
	return app(0) + demoStaffSCIM, app(1) + demoSalesSCIM, nil
}

// checkApp shows what an application says of itself.
func (d *demo) checkApp(ctx context.Context) error {
	if d.apps == nil || d.json() {
		return nil
	}
	defer func(path string) { d.configPath = path }(d.configPath)
	d.configPath = filepath.Join(d.dir, "config.yaml")
	cfg, _, err := d.load(nil)
	if err != nil {
		return err
	}
	views := d.checkApplications(ctx, cfg)
	return errors.Join(d.printApplications(views), views[0].err)
}

// asked says what an application was sent since the last time, and that nobody is there twice.
func (d *demo) asked(i int) {
	if d.apps == nil {
		return
	}
	a := d.apps[i]
	n := a.Requests()
	if d.json() {
		v := &d.view.Applications[i]
		v.Name, v.Users, v.Groups = a.name, len(a.Users()), len(a.App.Groups())
		v.Requests, v.Throttled, v.Lost = n.Total, n.Throttled, a.lost
		return
	}
	a.ResetRequests()
	d.printf("\nThe application was sent %s: %s to make users and groups, %s to change or delete them, %s to change members, and %s to look.\n",
		counted(n.Total, "request", "requests"), number(n.Post), number(n.Patch+n.Put+n.Delete-n.Members), number(n.Members), number(n.List+n.Get+n.Discovery))
	if n.Throttled > 0 {
		d.printf("%s refused because they came too fast. They were sent again, more slowly.\n", counted(n.Throttled, "of them was", "of them were"))
	}
	a.mu.Lock()
	lost := a.lost
	a.lost = 0
	a.mu.Unlock()
	if lost > 0 {
		d.printf("The answer to one creation was lost after it had taken effect. It was looked for before it was sent again: of %s, nobody is there twice.\n",
			counted(len(a.Users()), "user", "users"))
	}
}

// listAppGroups shows the groups of an application.
func (d *demo) listAppGroups(a *demoApp) error {
	t := NewTable(d.style, "ID", "GROUP", "MEMBERS")
	for _, g := range a.App.Groups() {
		id, _ := g.Text("id")
		name, _ := g.Text("displayName")
		t.Row(id, name, a.Members(name))
	}
	return t.Write(d.stdout)
}
