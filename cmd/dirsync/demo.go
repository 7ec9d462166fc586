package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dirsync/graph/graphtest"
)

// demoView is what programs read of a demonstration.
type demoView struct {
	Tenant struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"tenant"`
	// Applications are those that people went to, with --target scim.
	Applications []demoAppView   `json:"applications,omitempty"`
	Runs         []demoRunView   `json:"runs"`
	Rejections   []rejectionView `json:"rejections"`
}

type demoRunView struct {
	ID     string `json:"id"`
	Sync   string `json:"sync"`
	Status string `json:"status"`
	figures
	Groups   *groupRunView `json:"groups,omitempty"`
	Warnings []string      `json:"warnings,omitempty"`
}

// demo is one demonstration: of everybody, and of the people in two groups.
type demo struct {
	*app
	dir          string
	tenant       *graphtest.Tenant
	staff, sales *wired
	// apps are the applications that people go to, that of everybody first; none where they go to the directory.
	apps []*demoApp
	view demoView
	// spaced says that what was shown last has ended with an empty line.
	spaced bool
}

const demoHelp = `demo needs no tenant and no configuration. It starts a simulated Microsoft Entra
tenant in this process, on this machine's loopback address, and keeps the embedded
directory in step with it: it verifies the tenant, previews the mapping and makes a
first run; and it keeps a second directory in step with two groups and the people in
them. Then people are hired, renamed, moved, blocked, deleted, restored and given bad
data, they join and leave groups, a group is renamed and another deleted, and second
runs show their plans and results. In the end somebody's script deletes many people at
once: that is held, some of it is approved, explained and taken back.

With --target scim they go to two simulated applications that speak SCIM 2.0 instead,
which refuse requests that come too fast, and lose an answer. What they were sent is
counted.

With --flow directory-to-entra it goes the other way: people who are added to the embedded
directory appear in the simulated tenant. It shows the exact requests, an update, somebody
who is there already, what the tenant refuses, and a run that has nothing to write.

With --serve it runs the daemon instead, on a tenant in which something happens every
few seconds, shows the mails that it sends, and says how to ask it for a run.

With --scim-server it runs the daemon with a SCIM server over an empty directory, and
says how to push users into it, and how to connect Microsoft Entra ID.

With --dir everything is kept, with a configuration beside it that the other commands
understand; a later demo with the same --dir goes on where this one stopped.

Exit codes: 0 the demonstration ran, rejected people included; 1 failed; 2 the command
line is wrong.`

func (a *app) demoCommand() *cobra.Command {
	var dir, file, target, flow string
	var users int
	var once, serves, scimServer bool
	var every time.Duration
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch dirsync at work on a simulated tenant; needs nothing",
		Long:  demoHelp,
		Example: `  dirsync demo
  dirsync demo --target scim
  dirsync demo --flow directory-to-entra
  dirsync demo --serve
  dirsync demo --scim-server
  dirsync demo --once --users 100000
  dirsync demo --once --tenant recorded-users.json -o json
  dirsync demo --dir /tmp/demo && dirsync users list -c /tmp/demo/config.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if dir, err = absolute(dir); err != nil {
				return err
			}
			if scimServer {
				if err := checkSCIMFlags(cmd.Flags().Changed); err != nil {
					return err
				}
				return (&demo{app: a, dir: dir}).scimServer(cmd.Context())
			}
			if every <= 0 {
				return usageError("--every %s: choose a length of time, such as 10s", every)
			}
			if users < 1 || users > 5_000_000 {
				return usageError("--users %d: choose between 1 and 5,000,000", users)
			}
			switch {
			case flow != "" && flow != outboundFlow:
				return usageError("--flow %s: the only one is %s", flow, outboundFlow)
			case flow != "":
				return a.demoFlow(cmd.Context(), dir)
			}
			if target != embedded && target != "scim" {
				return usageError("--target %s: choose directory or scim", target)
			}
			if target == "scim" && (serves || dir != "") {
				return usageError("--target scim: the simulated applications end with the demonstration; leave --serve and --dir out")
			}
			d := &demo{app: a, dir: dir, tenant: &graphtest.Tenant{Roles: []string{"User.Read.All", "Organization.Read.All", "GroupMember.Read.All"}}}
			if err := d.people(file, users); err != nil {
				return err
			}
			d.groups()
			if serves {
				return d.serveDemo(cmd.Context(), every)
			}
			if target == "scim" {
				stop, err := d.startApps()
				if err != nil {
					return err
				}
				defer stop()
				d.view.Applications = make([]demoAppView, len(d.apps))
			}
			return d.run(cmd.Context(), once)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "keep the store and a configuration in this `folder`")
	cmd.Flags().StringVar(&target, "target", embedded, "where people go: directory, the embedded one, or scim, simulated applications")
	cmd.Flags().StringVar(&file, "tenant", "", "load people from recorded Graph JSON, {\"value\":[...]}, instead of making them up")
	cmd.Flags().IntVar(&users, "users", 200, "how many people the simulated tenant has")
	cmd.Flags().BoolVar(&once, "once", false, "stop after the first run")
	cmd.Flags().StringVar(&flow, "flow", "", "show another flow: directory-to-entra")
	cmd.Flags().BoolVar(&serves, "serve", false, "run the daemon on the simulated tenant, until it is stopped")
	cmd.Flags().BoolVar(&scimServer, "scim-server", false, "run the daemon with a SCIM server over an empty directory, until it is stopped")
	cmd.Flags().DurationVar(&every, "every", 10*time.Second, "with --serve: how often something happens in the tenant")
	cmd.MarkFlagsMutuallyExclusive("once", "serve")
	for _, other := range []string{"once", "serve", "target", "tenant", "users"} {
		cmd.MarkFlagsMutuallyExclusive("flow", other)
	}
	return cmd
}

func (d *demo) run(ctx context.Context, once bool) (err error) {
	kept := d.dir != ""
	if !kept {
		if d.dir, err = os.MkdirTemp("", "dirsync-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()
	}
	server, err := graphtest.Start(d.tenant)
	if err != nil {
		return err
	}
	defer server.Close()
	if err := d.configure(server); err != nil {
		return err
	}
	if err := d.play(ctx, once); err != nil {
		return err
	}
	if d.json() {
		return writeJSON(d.stdout, d.view)
	}
	if kept {
		d.printf("\nEverything is in %s. Look around:\n", clean(d.dir))
		for _, verb := range []string{"users list -c config.yaml", "show 1 -c config.yaml", "holds -c config.yaml", "status -c sales.yaml", "groups list -c sales.yaml"} {
			command, file, _ := strings.Cut(verb, " -c ")
			d.printf("  %s %s -c %s\n", clean(itself()), command, clean(shellWord(filepath.Join(d.dir, file))))
		}
	}
	return nil
}

// demoTenant is how a demonstration's configurations begin; what is filled in are the tenant's addresses.
const demoTenant = `# Made by dirsync demo. The tenant is simulated and ends with the demonstration.
tenants:
  simulated:
    id: %s
    client_id: %s
    credential: { secret: "file:secret" }
    authority: %s
    graph: %s/v1.0
    ca: file:ca.pem
`

// demoStaff is the rest of the configuration for everybody.
const demoStaff = `
store: { path: dirsync.db }

directory:
  fields:
    - { name: department, label: Department }
    - { name: job_title, label: Job title }
    - { name: office, label: Office }

syncs:
  staff:
    from: { entra: simulated }
    to: directory
    fields:
      first_name: givenName
      last_name: surname
      email: mail
      department: department
      job_title: jobTitle
      office: { from: officeLocation, sync_updates: false }
    when_deleted: deactivate
`

// demoSales is the rest of the configuration for two groups and the people in them.
const demoSales = `
# A directory has one owner for each tenant, so this one is another, in a file of its own.
store: { path: sales.db }

syncs:
  sales:
    from: { entra: simulated, users: { groups: [Sales, Support] } }
    to: directory
    fields: { first_name: givenName, last_name: surname, email: mail }
`

// configure writes what an administrator would write, so that the demonstration goes the way that a real sync goes.
func (d *demo) configure(server *graphtest.Server) error {
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	identity := d.tenant.Identity()
	d.view.Tenant.ID, d.view.Tenant.Name = identity.ID, identity.Name
	d.replicaLag = time.Nanosecond // the simulated tenant has one replica
	tenant := fmt.Sprintf(demoTenant, identity.ID, identity.ClientID, server.URL, server.URL)
	staff, sales, err := d.ends()
	if err != nil {
		return err
	}
	for name, text := range map[string]string{
		"config.yaml": tenant + staff,
		"sales.yaml":  tenant + sales,
		"secret":      identity.Secret + "\n",
		"ca.pem":      string(server.CA),
	} {
		if err := os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// play opens both stores and makes the demonstration.
func (d *demo) play(ctx context.Context, once bool) error {
	return d.with(ctx, "config.yaml", "staff", &d.staff, func() error {
		return d.with(ctx, "sales.yaml", "sales", &d.sales, func() error {
			if err := d.first(ctx); err != nil || once {
				return err
			}
			return d.second(ctx)
		})
	})
}

// with calls fn while one sync of a configuration is joined.
func (d *demo) with(ctx context.Context, file, sync string, w **wired, fn func() error) error {
	d.configPath = filepath.Join(d.dir, file)
	cfg, _, err := d.load(nil)
	if err != nil {
		return err
	}
	st, err := d.openStore(cfg, false)
	if err != nil {
		return err
	}
	if *w, err = d.wire(ctx, cfg, st, sync); err == nil {
		err = fn()
	}
	return errors.Join(err, st.Close())
}

// first shows the tenant and makes the first runs.
func (d *demo) first(ctx context.Context) error {
	d.step("1. Is it the right tenant?")
	if err := d.verify(ctx, d.staff); err != nil {
		return err
	}
	if err := d.checkApp(ctx); err != nil {
		return err
	}
	d.step("2. What would the mapping make of everybody? (dirsync test)")
	if err := d.preview(ctx, d.staff); err != nil {
		return err
	}
	d.step("3. The first run (dirsync run)")
	if err := d.sync(ctx, d.staff); err != nil {
		return err
	}
	d.asked(0)
	d.step("4. Another " + d.noun() + " has only those who are in Sales, in which Sales Berlin is nested, or Support, and these two groups (dirsync run -c sales.yaml)")
	err := d.sync(ctx, d.sales)
	d.asked(1)
	if err != nil || d.json() {
		return err
	}
	d.printf("\n")
	if d.apps != nil {
		return d.listAppGroups(d.apps[1])
	}
	return d.listGroups(ctx, d.sales.directory.Groups(), 0)
}

// second lets a week go by and makes the second runs.
func (d *demo) second(ctx context.Context) error {
	d.step("5. A week goes by in the tenant")
	if err := d.week(); err != nil {
		return err
	}
	d.step("6. What would the second run do? (dirsync plan)")
	if err := d.plan(ctx, d.staff); err != nil {
		return err
	}
	d.step("7. The second run (dirsync run)")
	if err := d.sync(ctx, d.staff); err != nil {
		return err
	}
	d.asked(0)
	d.step("8. And in the groups? Who left the last of theirs is deactivated, who is in a deleted one is kept (dirsync plan, dirsync run)")
	if err := d.plan(ctx, d.sales); err != nil {
		return err
	}
	if !d.json() {
		d.printf("\n")
	}
	if err := d.sync(ctx, d.sales); err != nil {
		return err
	}
	d.asked(1)
	return d.accident(ctx)
}

// noun is what people go to.
func (d *demo) noun() string {
	if d.apps != nil {
		return "application"
	}
	return embedded
}

func (d *demo) step(title string) {
	if d.json() {
		return
	}
	if !d.spaced {
		d.printf("\n")
	}
	d.printf("%s\n\n", d.style.paint(green, title))
	d.spaced = false
}

func (d *demo) verify(ctx context.Context, w *wired) error {
	report, err := w.tenant().Check(ctx)
	if err != nil {
		return err
	}
	if d.json() {
		return nil
	}
	d.spaced = true
	d.printf("This tenant is simulated in this process; nothing leaves this machine.\n\n")
	return d.printCheck([]checkView{viewReport("simulated", report.Tenant.ID, report)})
}

// plan shows a plan to people.
func (d *demo) plan(ctx context.Context, w *wired) error {
	if d.json() {
		return nil
	}
	if err := d.read(ctx, w); err != nil {
		return err
	}
	if _, err := d.planOne(ctx, w, 20); err != nil && !said(err) {
		return err
	}
	return nil
}

// sync makes a run and shows it.
func (d *demo) sync(ctx context.Context, w *wired) error {
	r, err := d.runOne(ctx, w, "demo")
	if err != nil && !said(err) {
		return err
	}
	if !d.json() {
		return nil
	}
	v := viewRun(r)
	d.view.Runs = append(d.view.Runs, demoRunView{v.ID, v.Sync, v.Status, v.figures, v.Groups, v.Warnings})
	if w == d.staff {
		d.view.Rejections, err = rejections(ctx, w.sync, 0)
		return err
	}
	return nil
}
