package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dirsync"
	"dirsync/graph"
	"dirsync/mapping"
)

// connectView is what connect found out and did.
type connectView struct {
	Tenant      string   `json:"tenant"`
	ID          string   `json:"id,omitempty"`
	Name        string   `json:"name,omitempty"`
	Domain      string   `json:"domain,omitempty"`
	Cloud       string   `json:"cloud"`
	Reads       []string `json:"reads"`
	ReadsGroups bool     `json:"reads_groups,omitempty"`
	Needed      []string `json:"permissions_needed,omitempty"`
	Permissions []string `json:"permissions"`
	Missing     []string `json:"missing,omitempty"`
	Config      string   `json:"config"`
	// Written tells that the id was written into the configuration, and Known that it was there before.
	Written bool   `json:"written"`
	Known   bool   `json:"known"`
	Error   string `json:"error,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

// connectFlags are what the command line says.
type connectFlags struct {
	yes, noBrowser bool
	wait           time.Duration
	port           int
	redirect       string
}

func (a *app) connectCommand() *cobra.Command {
	var f connectFlags
	c := &cobra.Command{
		Use:   "connect [TENANT]",
		Short: "Have an administrator grant the permissions, and note the tenant's id",
		Long: `connect asks an administrator of a tenant, in their browser, to grant the
application its permissions, and waits until they have taken effect. It shows
which tenant that was, and writes its id into the configuration once somebody has
confirmed it. Nothing else in the file is changed, and nobody is read.

TENANT is a tenant's name in the configuration, and may be left out if there is
only one. Its id may still be missing there. If it has one, every other tenant is
refused.

The application must have http://localhost as a redirect URI of type Web, and the
browser must run on this machine; with --port, it may be on another one that
forwards the port: ssh -L 8123:127.0.0.1:8123 this-machine.

Exit codes: 0 the tenant is connected, and its id is in the configuration; 1 it was
refused or failed, and nothing was written; 2 the command line or the configuration
is wrong; 3 the permissions were granted, but nobody confirmed the tenant, so that
nothing was written.`,
		Example: `  dirsync connect -c config.yaml
  dirsync connect contoso --no-browser --port 8123
  dirsync connect contoso --yes -o json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.wait <= 0 || f.port < 0 || f.port > 65535 {
				return usageError("--wait must be longer than nothing, and --port between 0 and 65535")
			}
			cfg, name, err := a.openTenant(args)
			if err != nil {
				return err
			}
			return a.connect(cmd.Context(), cfg, name, f)
		},
	}
	flags := c.Flags()
	flags.BoolVarP(&f.yes, "yes", "y", false, "write the id without asking whether it is the right tenant")
	flags.BoolVar(&f.noBrowser, "no-browser", false, "only print the link")
	flags.DurationVar(&f.wait, "wait", 15*time.Minute, "how long to wait for the answer and for the permissions to take effect")
	flags.IntVar(&f.port, "port", 0, "the port of 127.0.0.1 to which the browser comes back; 0 takes any free `port`")
	flags.StringVar(&f.redirect, "redirect-uri", "", "the registered redirect `uri`, if it is not http://localhost; it must lead to --port")
	return c
}

// openTenant reads the configuration, in which ids of tenants may be missing, and picks the tenant that is meant.
func (a *app) openTenant(args []string) (*Config, string, error) {
	cfg, _, err := loadOpenConfig(a.configPath)
	if err != nil {
		return nil, "", err
	}
	if err := checkMappings(cfg, slices.Sorted(maps.Keys(cfg.Syncs))); err != nil {
		return nil, "", err
	}
	names := slices.Sorted(maps.Keys(cfg.Tenants))
	switch {
	case len(args) == 0 && len(names) == 1:
		return cfg, names[0], nil
	case len(args) == 0:
		return nil, "", usageError("which tenant? %s has: %s\nSee: dirsync connect --help", a.configPath, strings.Join(names, ", "))
	case cfg.Tenants[args[0]] == nil:
		return nil, "", usageError("there is no tenant %q in %s; it has: %s", args[0], a.configPath, strings.Join(names, ", "))
	}
	return cfg, args[0], nil
}

func (a *app) connect(ctx context.Context, cfg *Config, name string, f connectFlags) error {
	t := cfg.Tenants[name]
	gc, err := a.graphConfig(t)
	if err != nil {
		return fmt.Errorf("tenant %s: %w", name, err)
	}
	v := connectView{Tenant: name, ID: t.ID, Cloud: t.Cloud, Reads: []string{}, ReadsGroups: needs(cfg, name).Groups, Needed: neededPermissions(cfg, name),
		Permissions: []string{}, Config: cfg.Path}
	report, err := a.ask(ctx, gc, needs(cfg, name), f)
	if report.Tenant.ID != "" {
		v.ID, v.Name, v.Domain, v.Missing = report.Tenant.ID, report.Tenant.Name, report.Tenant.Domain, report.Missing
		v.Permissions = append(v.Permissions, report.Roles...)
		gc.Tenant = v.ID
		v.Reads = tenantReads(cfg, name, gc)
		if err := a.printConnect(v); err != nil {
			return err
		}
	}
	if err != nil {
		err = fmt.Errorf("tenant %s: %w", name, err)
		v.Error, v.Hint = err.Error(), dirsync.HintOf(err)
		return errors.Join(a.finishConnect(v), err)
	}
	if v.Known = t.ID == v.ID; !v.Known {
		confirmed, err := a.confirmed(ctx, v, f)
		if err != nil {
			return err
		}
		if !confirmed {
			return errors.Join(a.finishConnect(v), &exitError{code: exitPartial})
		}
		if v.Written, err = writeTenantID(cfg.Path, name, v.ID); err != nil {
			v.Error = err.Error()
			return errors.Join(a.finishConnect(v), err)
		}
		v.Known = !v.Written
	}
	return a.finishConnect(v)
}

// ask shows the link, waits and tells how long it still will.
func (a *app) ask(ctx context.Context, gc graph.Config, n graph.Needs, f connectFlags) (graph.Report, error) {
	limited, cancel := context.WithTimeout(ctx, f.wait)
	defer cancel()
	stop := func() {}
	report, err := graph.Consent{
		Config: gc, Needs: n, Port: f.port, RedirectURI: f.redirect,
		Show: func(link string) error {
			out := a.stdout
			if a.json() {
				out = a.stderr
			}
			if _, err := fmt.Fprintf(out, "Open this link as an administrator of the tenant:\n\n  %s\n\n", clean(link)); err != nil {
				return fmt.Errorf("show the link: %w", err)
			}
			if !f.noBrowser && !a.json() && isTerminal(a.stdout) {
				a.open(link)
			}
			stop = countDown(a.stderr, isTerminal(a.stderr), f.wait)
			return nil
		},
	}.Ask(limited)
	stop()
	switch {
	case err == nil:
		return report, nil
	case ctx.Err() != nil:
		return report, errors.New("stopped before there was an answer; nothing was written")
	case limited.Err() != nil && report.Tenant.ID == "":
		return report, &dirsync.Error{Op: "ask for consent", Kind: dirsync.Unavailable,
			Err:  fmt.Errorf("there was no answer within %s", roughly(f.wait)),
			Hint: "The link works only while somebody waits for the answer. Run dirsync connect again, with a longer --wait if need be."}
	}
	return report, err
}

// open opens a link in the browser of this machine, if it has one. That it could not is no fault: the link is printed.
func (a *app) open(link string) {
	opener := "xdg-open"
	switch {
	case runtime.GOOS == "darwin":
		opener = "open"
	case os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "":
		return // it would start a browser for terminals in this one, or none
	}
	path, err := exec.LookPath(opener)
	if err != nil {
		return
	}
	cmd := exec.Command(path, link) //nolint:gosec // the opener of this system, and a link that was made here
	if err := cmd.Start(); err != nil {
		return
	}
	go func() { _ = cmd.Wait() }() // some openers end with the browser only
	a.note("Opened in the browser.")
}

// countDown tells how long we still wait: every second on a terminal, and once elsewhere. The function that it returns
// ends it and leaves the line empty.
func countDown(w io.Writer, terminal bool, wait time.Duration) (stop func()) {
	const text = "waiting for the administrator and for the permissions to take effect: "
	if !terminal {
		_, _ = fmt.Fprintf(w, "%s%s at most; Ctrl-C stops\n", text, roughly(wait))
		return func() {}
	}
	quit, ended := make(chan struct{}), make(chan struct{})
	show := func(left time.Duration) {
		_, _ = fmt.Fprintf(w, "\r\x1b[K%s%s left; Ctrl-C stops", text, roughly(left.Round(time.Second)))
	}
	end := time.Now().Add(wait)
	show(wait) // and not what is left when a busy machine finds the time
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				show(max(0, time.Until(end)))
			case <-quit:
				_, _ = io.WriteString(w, "\r\x1b[K")
				return
			}
		}
	}()
	return func() { close(quit); <-ended }
}

// confirmed tells whether somebody says that this is the tenant that they mean. Without a terminal nobody can.
func (a *app) confirmed(ctx context.Context, v connectView, f connectFlags) (bool, error) {
	if f.yes || a.json() || !isTerminal(os.Stdin) || !isTerminal(a.stdout) {
		return f.yes, nil
	}
	return a.askYes(ctx, os.Stdin, "Is this the tenant that you mean? Its id is then written into "+clean(v.Config)+". [y/N] ")
}

// askYes asks a question. Everything but y and yes is a no, and so is the end of the input.
func (a *app) askYes(ctx context.Context, in io.Reader, question string) (bool, error) {
	a.printf("%s", question)
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(in).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case got := <-answer:
		return got == "y" || got == "yes", nil
	case <-ctx.Done():
		a.printf("\n")
		return false, errors.New("stopped before the tenant was confirmed; nothing was written")
	}
}

// tenantReads lists the properties of users that the syncs of a tenant read, sorted. Nothing is sent for it.
func tenantReads(cfg *Config, name string, gc graph.Config) []string {
	reads := []string{}
	client, err := graph.New(gc)
	if err != nil {
		return reads // whoever uses gc for more has been told
	}
	defer client.Close()
	to := append(mapping.Mandatory(), cfg.Directory.FieldList()...)
	for _, sync := range slices.Sorted(maps.Keys(cfg.Syncs)) {
		sc := cfg.Syncs[sync]
		if sc.From.Entra != name {
			continue
		}
		from := graph.AssumeExtensions(graph.Catalogue(), mappingTexts(sc)...)
		if m, err := compile(cfg, sync, from, to); err == nil {
			reads = append(reads, client.Users(m.Properties()).Asked()...)
		}
	}
	slices.Sort(reads)
	return slices.Compact(reads)
}

// printConnect shows people which tenant has answered.
func (a *app) printConnect(v connectView) error {
	if a.json() {
		return nil
	}
	a.printf("Tenant %s\n", clean(v.Tenant))
	t := NewTable(a.style, "  CHECK", "RESULT")
	for _, row := range [][2]string{
		{"tenant id", v.ID}, {"cloud", v.Cloud}, {"name", v.Name}, {"default domain", v.Domain},
		{"permissions needed", strings.Join(v.Needed, ", ")}, {"permissions granted", strings.Join(v.Permissions, ", ")},
	} {
		if row[1] != "" {
			t.Row("  "+row[0], row[1])
		}
	}
	if len(v.Missing) > 0 {
		t.Row("  permissions missing", painted{red, strings.Join(v.Missing, ", ")})
	}
	if len(v.Reads) > 0 {
		t.Row("  will be read", "of users: "+strings.Join(v.Reads, ", "))
	}
	if v.ReadsGroups {
		t.Row("", "of groups: names, kinds and members")
	}
	if err := t.Write(a.stdout); err != nil {
		return err
	}
	a.printf("\n")
	return nil
}

// finishConnect says what became of the configuration, or writes the one document.
func (a *app) finishConnect(v connectView) error {
	switch {
	case a.json():
		return writeJSON(a.stdout, v)
	case v.Error != "":
	case v.Written:
		a.printf("The id was written into %s. Next: dirsync check\n", clean(v.Config))
	case v.Known:
		a.printf("The id is in %s already. Next: dirsync check\n", clean(v.Config))
	default:
		a.printf("This would be written into %s under tenants.%s:\n\n  id: %s\n\nNothing was written, because nobody confirmed that this is the right tenant; "+
			"--yes does so unasked.\n", clean(v.Config), clean(v.Tenant), v.ID)
	}
	return nil
}
