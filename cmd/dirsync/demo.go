package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"dirsync"
	"dirsync/graph/graphtest"
	"dirsync/store"
)

// demoView is what programs read of a demonstration.
type demoView struct {
	Tenant struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"tenant"`
	Runs       []demoRunView   `json:"runs"`
	Rejections []rejectionView `json:"rejections"`
}

type demoRunView struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	figures
}

// demo is one demonstration.
type demo struct {
	*app
	dir    string
	tenant *graphtest.Tenant
	view   demoView
}

func (a *app) demoCommand() *cobra.Command {
	var dir, file string
	var users int
	var once bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch dirsync at work on a simulated tenant; needs nothing",
		Long: `demo needs no tenant and no configuration. It starts a simulated Microsoft Entra
tenant in this process, on this machine's loopback address, and keeps the embedded
directory in step with it: it verifies the tenant, previews the mapping and makes a
first run. Then people are hired, renamed, moved, blocked, deleted, restored and
given bad data, and a second run shows its plan and its result.

With --dir everything is kept, with a configuration beside it that the other commands
understand; a later demo with the same --dir goes on where this one stopped.

Exit codes: 0 the demonstration ran, rejected people included; 1 failed; 2 the command
line is wrong.`,
		Example: `  dirsync demo
  dirsync demo --once --users 100000
  dirsync demo --once --tenant recorded-users.json -o json
  dirsync demo --dir /tmp/demo && dirsync users list -c /tmp/demo/config.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if users < 1 || users > 5_000_000 {
				return usageError("--users %d: choose between 1 and 5,000,000", users)
			}
			d := &demo{app: a, dir: dir, tenant: &graphtest.Tenant{}}
			if err := d.people(file, users); err != nil {
				return err
			}
			return d.run(cmd.Context(), once)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "keep the store and a configuration in this `folder`")
	cmd.Flags().StringVar(&file, "tenant", "", "load people from recorded Graph JSON, {\"value\":[...]}, instead of making them up")
	cmd.Flags().IntVar(&users, "users", 200, "how many people the simulated tenant has")
	cmd.Flags().BoolVar(&once, "once", false, "stop after the first run")
	return cmd
}

// people fills the tenant.
func (d *demo) people(file string, users int) error {
	if file == "" {
		d.tenant.Generate(users, 1)
		return nil
	}
	f, err := os.Open(file)
	if err != nil {
		return usageError("--tenant: %w", plainFileError(err))
	}
	defer func() { _ = f.Close() }()
	if _, err := d.tenant.Load(f); err != nil {
		return usageError("--tenant %s: %w", file, err)
	}
	return nil
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
	cfg, _, err := d.load(nil)
	if err != nil {
		return err
	}
	st, err := d.openStore(cfg, false)
	if err != nil {
		return err
	}
	err = d.play(ctx, cfg, st, once)
	if err := errors.Join(err, st.Close()); err != nil {
		return err
	}
	if d.json() {
		return writeJSON(d.stdout, d.view)
	}
	if kept {
		d.printf("\nEverything is in %s. Look around:\n", clean(d.dir))
		for _, verb := range []string{"users list", "history", "show 1", "status"} {
			d.printf("  dirsync %s -c %s\n", verb, clean(d.configPath))
		}
	}
	return nil
}

// demoConfig is the configuration of a demonstration; what is filled in are the tenant's addresses.
const demoConfig = `# Made by dirsync demo. The tenant is simulated and ends with the demonstration.
tenants:
  simulated:
    id: %s
    client_id: %s
    credential: { secret: "file:secret" }
    authority: %s
    graph: %s/v1.0
    ca: file:ca.pem

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

// configure writes what an administrator would write, so that the demonstration goes the way that a real sync goes.
func (d *demo) configure(server *graphtest.Server) error {
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	identity := d.tenant.Identity()
	d.view.Tenant.ID, d.view.Tenant.Name = identity.ID, identity.Name
	d.configPath = filepath.Join(d.dir, "config.yaml")
	for name, text := range map[string]string{
		"config.yaml": fmt.Sprintf(demoConfig, identity.ID, identity.ClientID, server.URL, server.URL),
		"secret":      identity.Secret + "\n",
		"ca.pem":      string(server.CA),
	} {
		if err := os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// play is the demonstration.
func (d *demo) play(ctx context.Context, cfg *Config, st *store.Store, once bool) error {
	w, err := d.wire(ctx, cfg, st, "staff")
	if err != nil {
		return err
	}
	d.step("1. Is it the right tenant?")
	if err := d.verify(ctx, w); err != nil {
		return err
	}
	d.step("2. What would the mapping make of everybody? (dirsync test)")
	if err := d.preview(ctx, w); err != nil {
		return err
	}
	d.step("3. The first run (dirsync run)")
	if err := d.sync(ctx, w); err != nil || once {
		return err
	}
	d.step("4. A week goes by in the tenant")
	if err := d.week(); err != nil {
		return err
	}
	d.step("5. What would the second run do? (dirsync plan)")
	if !d.json() {
		if err := d.read(ctx, w); err != nil {
			return err
		}
		if _, err := d.planOne(ctx, w, 20); err != nil && !said(err) {
			return err
		}
	}
	d.step("6. The second run (dirsync run)")
	return d.sync(ctx, w)
}

func (d *demo) step(title string) {
	if !d.json() {
		d.printf("\n%s\n\n", d.style.paint(green, title))
	}
}

func (d *demo) verify(ctx context.Context, w *wired) error {
	report, err := w.client.Check(ctx)
	if err != nil {
		return err
	}
	if d.json() {
		return nil
	}
	d.printf("This tenant is simulated in this process; nothing leaves this machine.\n\n")
	return d.printCheck([]checkView{viewReport("simulated", report.Tenant.ID, report)})
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
	d.view.Runs = append(d.view.Runs, demoRunView{v.ID, v.Status, v.figures})
	d.view.Rejections, err = rejections(ctx, w.sync, 0)
	return err
}

// week makes in the tenant what a week makes in a company.
func (d *demo) week() error {
	users := candidates(d.tenant.Users())
	if latin := slices.DeleteFunc(slices.Clone(users), notLatin); len(latin) >= 8 {
		users = latin // easier to follow for most who watch; all scripts are in the directory anyway
	}
	if len(users) < 8 {
		return &dirsync.Error{Op: "demo", Kind: dirsync.Invalid, Err: errors.New("the tenant has fewer than eight people with names and mail"),
			Hint: "Add --once, or load a larger tenant."}
	}
	t := NewTable(d.style, "WHAT", "WHO", "HOW")
	domain := d.tenant.Identity().Domain
	for i, name := range [][2]string{{"Nadia", "Benali"}, {"Tomás", "Ó Briain"}} {
		upn := "hired" + strconv.Itoa(i+1) + "@" + domain
		d.tenant.Add(graphtest.User{"givenName": name[0], "surname": name[1], "displayName": name[0] + " " + name[1], "userPrincipalName": upn,
			"mail": upn, "department": "Sales", "jobTitle": "Consultant", "officeLocation": "B1"})
		t.Row("hired", name[0]+" "+name[1], upn)
	}
	change := func(i int, what, how string, props map[string]any) {
		d.tenant.Update(text(users[i], "id"), props)
		t.Row(what, text(users[i], "displayName"), how)
	}
	change(0, "renamed", "surname "+text(users[0], "surname")+" -> Fernández", map[string]any{"surname": "Fernández"})
	change(1, "moved", "department "+text(users[1], "department")+" -> Legal", map[string]any{"department": "Legal"})
	change(2, "moved office", "the mapping writes the office only once", map[string]any{"officeLocation": "Somewhere else"})
	change(3, "blocked", "may not sign in", map[string]any{"accountEnabled": false})
	change(4, "given bad data", "the first name is gone", map[string]any{"givenName": nil})
	d.tenant.Delete(text(users[5], "id"))
	t.Row("deleted", text(users[5], "displayName"), "can be restored for thirty days")
	d.tenant.Delete(text(users[6], "id"))
	d.tenant.Restore(text(users[6], "id"))
	t.Row("deleted and restored", text(users[6], "displayName"), "as if nothing had happened")
	if d.json() {
		return nil
	}
	return t.Write(d.stdout)
}

// candidates are those people to whom the week can happen: complete, not blocked, and in the tenant's order.
func candidates(users []graphtest.User) []graphtest.User {
	seen := map[string]int{}
	for _, u := range users {
		seen[text(u, "mail")]++
	}
	var out []graphtest.User
	for _, u := range users {
		mail := text(u, "mail")
		if text(u, "givenName") != "" && text(u, "surname") != "" && mail != "" && seen[mail] == 1 && enabled(u) {
			out = append(out, u)
		}
	}
	return out
}

func text(u graphtest.User, name string) string {
	switch v := u[name].(type) {
	case string:
		return v
	case json.RawMessage:
		var s string
		if json.Unmarshal(v, &s) == nil {
			return s
		}
	}
	return ""
}

func notLatin(u graphtest.User) bool {
	return strings.ContainsFunc(text(u, "displayName"), func(r rune) bool { return unicode.IsLetter(r) && !unicode.Is(unicode.Latin, r) })
}

func enabled(u graphtest.User) bool {
	raw, _ := u["accountEnabled"].(json.RawMessage)
	return string(raw) != "false"
}
