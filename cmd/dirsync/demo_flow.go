package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"dirsync/graph/graphtest"
)

// outboundFlow is the flow of the demonstration in which people go from the directory to a tenant.
const outboundFlow = "directory-to-entra"

// demoOutbound is the rest of that configuration.
const demoOutbound = `
store: { path: dirsync.db }

directory:
  fields:
    - { name: department, label: Department }
    - { name: manager, label: Manager, type: reference }

syncs:
  outbound:
    description: New colleagues get an account in Entra
    from: directory
    to:
      entra: simulated
      anchor: onPremisesExtensionAttributes/extensionAttribute15
      passwords: file:passwords.csv
    fields:
      displayName: { expr: user.first_name + " " + user.last_name }
      userPrincipalName: email
      givenName: first_name
      surname: last_name
      department: department
      usageLocation: { value: DE }
      manager: manager
`

// flowDemo is the demonstration of people who go from the directory to a tenant.
type flowDemo struct {
	*app
	dir    string
	tenant *graphtest.Tenant
	view   flowDemoView
}

// flowDemoView is what programs read of it.
type flowDemoView struct {
	// Steps are the commands with the requests to Microsoft Graph that each has made.
	Steps []flowStepView `json:"steps"`
	Users []flowUserView `json:"users"`
}

type flowStepView struct {
	Command  string `json:"command"`
	Exit     int    `json:"exit"`
	Requests int    `json:"requests"`
	Writes   int    `json:"writes"`
}

type flowUserView struct {
	Name       string `json:"name"`
	User       string `json:"user"`
	Department string `json:"department,omitempty"`
	Manager    string `json:"manager,omitempty"`
}

func (a *app) demoFlow(ctx context.Context, dir string) (err error) {
	if dir == "" {
		if dir, err = os.MkdirTemp("", "dirsync-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	d := &flowDemo{app: a, dir: dir, tenant: &graphtest.Tenant{Roles: []string{"User.ReadWrite.All", "Organization.Read.All"}}}
	d.tenant.Add(graphtest.User{"displayName": "Grace Hopper", "givenName": "Grace", "surname": "Hopper", "userPrincipalName": "grace@contoso.com", "department": "Navy"})
	server, err := graphtest.Start(d.tenant)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	if err := d.configure(server); err != nil {
		return err
	}
	if err := d.play(ctx); err != nil {
		return err
	}
	if d.json() {
		return writeJSON(d.stdout, d.view)
	}
	return nil
}

func (d *flowDemo) configure(server *graphtest.Server) error {
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	who := d.tenant.Identity()
	for name, text := range map[string]string{
		"config.yaml": fmt.Sprintf(demoTenant, who.ID, who.ClientID, server.URL, server.URL) + demoOutbound,
		"secret":      who.Secret + "\n",
		"ca.pem":      string(server.CA),
	} {
		if err := os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// play goes through the demonstration: every command is one that anybody can type.
func (d *flowDemo) play(ctx context.Context) error {
	for _, s := range []struct {
		title    string
		commands [][]string
		users    bool
	}{
		{"1. Is it the right tenant, and may it be written? This one is simulated in this process; nothing leaves this machine", [][]string{{"check"}}, false},
		{"2. Two people are added to the embedded directory. One of them has an account in the tenant already", [][]string{
			{"users", "add", "first_name=Ada", "last_name=King", "email=ada@contoso.com", "department=Research"},
			{"users", "add", "first_name=Grace", "last_name=Hopper", "email=grace@contoso.com", "department=Navy", "manager=ada@contoso.com"}}, false},
		{"3. What exactly would be sent? Nothing is, and no password is shown", [][]string{{"test", "--user", "ada@contoso.com"}, {"test", "--user", "grace@contoso.com"}}, false},
		{"4. The first run: one is made, the other is matched by name and not doubled", [][]string{{"run"}}, true},
		{"5. An update", [][]string{{"users", "set", "ada@contoso.com", "department=Engines"}, {"run"}}, true},
		{"6. A refusal: this domain is not the tenant's. It concerns this person alone", [][]string{
			{"users", "add", "first_name=Far", "last_name=Away", "email=far@elsewhere.example"}, {"run"}}, false},
		{"7. The domain is put right", [][]string{{"users", "set", "far@elsewhere.example", "email=far@contoso.com"}, {"run"}}, true},
		{"8. And when nothing has changed? Nothing is written, and one question is asked: whether it is the right tenant", [][]string{{"run"}}, false},
	} {
		if !d.json() {
			d.printf("\n%s\n", d.style.paint(green, s.title))
		}
		for _, c := range s.commands {
			if err := d.do(ctx, c); err != nil {
				return err
			}
		}
		if s.users {
			if err := d.users(); err != nil {
				return err
			}
		}
	}
	return nil
}

// do runs a command line, and shows it.
func (d *flowDemo) do(ctx context.Context, args []string) error {
	a := newApp(d.stdout, io.Discard)
	a.style, a.now, a.replicaLag = d.style, d.now, time.Nanosecond // the simulated tenant has one replica
	line := "dirsync"
	for _, arg := range args {
		line += " " + arg
	}
	if d.json() {
		a.stdout = io.Discard
	} else {
		d.printf("\n$ %s\n\n", line)
	}
	before := d.tenant.Requests()
	code := a.run(ctx, append([]string{"-c", filepath.Join(d.dir, "config.yaml")}, args...))
	after := d.tenant.Requests()
	step := flowStepView{line, code, after.Graph() - before.Graph(), after.Writes - before.Writes}
	d.view.Steps = append(d.view.Steps, step)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case code != exitOK && code != exitPartial:
		return fmt.Errorf("%s ended with exit code %d", line, code)
	case !d.json() && args[0] == "run":
		d.printf("  the tenant was asked %s, and written to %s\n", counted(step.Requests, "time", "times"), counted(step.Writes, "time", "times"))
	}
	return nil
}

// users shows who is in the tenant.
func (d *flowDemo) users() error {
	names, all := map[string]string{}, d.tenant.Users()
	slices.SortFunc(all, func(x, y graphtest.User) int {
		return strings.Compare(text(x, "userPrincipalName"), text(y, "userPrincipalName"))
	})
	for _, u := range all {
		names[text(u, "id")] = text(u, "displayName")
	}
	d.view.Users = nil
	t := NewTable(d.style, "IN THE TENANT", "USER", "DEPARTMENT", "MANAGER", "WHOSE")
	for _, u := range all {
		v := flowUserView{names[text(u, "id")], text(u, "userPrincipalName"), text(u, "department"), names[text(u, "manager")]}
		d.view.Users = append(d.view.Users, v)
		var whose struct{ ExtensionAttribute15 string }
		if raw, ok := u["onPremisesExtensionAttributes"].(json.RawMessage); ok {
			_ = json.Unmarshal(raw, &whose) // the tenant's own JSON
		}
		t.Row(v.Name, v.User, v.Department, v.Manager, whose.ExtensionAttribute15)
	}
	if d.json() {
		return nil
	}
	d.printf("\n")
	return t.Write(d.stdout)
}
