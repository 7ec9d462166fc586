package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dirsync/graph"
)

// checkView is what check found out about one tenant.
type checkView struct {
	Tenant       string    `json:"tenant"`
	ID           string    `json:"id"`
	Name         string    `json:"name,omitempty"`
	Domain       string    `json:"domain,omitempty"`
	Cloud        string    `json:"cloud,omitempty"`
	Needed       []string  `json:"permissions_needed,omitempty"`
	Optional     []string  `json:"permissions_optional,omitempty"`
	Permissions  []string  `json:"permissions"`
	Missing      []string  `json:"missing,omitempty"`
	TokenExpires time.Time `json:"token_expires,omitzero"`
	// CredentialExpires is when nobody can sign in with the certificate or client secret any more, if that is known.
	CredentialExpires time.Time `json:"credential_expires,omitzero"`
	ClockSkew         string    `json:"clock_skew,omitempty"`
	ConsentURL        string    `json:"consent_url,omitempty"`
	Error             string    `json:"error,omitempty"`
	// Domains are the verified ones, where people are written.
	Domains []string `json:"verified_domains,omitempty"`
	err     error
	groups  bool
	// writes says that people are written there.
	writes bool
}

func (a *app) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check the configuration, the store, each tenant and each application",
		Long: `check reads the configuration, compiles every mapping, opens the store, signs in to
every tenant and verifies that it is the one that was configured and that users
may be read. It shows which permissions are needed, granted and missing, and when
the credential expires: a certificate always, a client secret if the application
has Application.Read.All. Of a tenant that people are written to it shows the verified
domains, and what the mapping cannot write there. It finds the groups that the
configuration names. It signs in to every application, shows what that says of itself
and whether it has a place for every field; and it shows where the SCIM server keeps
the directory's fields. Nobody is read into the store and nothing is written to a target.

Exit codes: 0 all is well; 1 something is not; 2 the command line or the
configuration is wrong.`,
		Example: "  dirsync check -c config.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, names, err := a.load(nil)
			if err != nil {
				return err
			}
			return a.check(cmd.Context(), cfg, names)
		},
	}
}

func (a *app) check(ctx context.Context, cfg *Config, names []string) error {
	clients := map[string]reached{}
	views := []checkView{}
	failed := false
	for _, name := range slices.Sorted(maps.Keys(cfg.Tenants)) {
		t := cfg.Tenants[name]
		v := viewReport(name, t.ID, graph.Report{})
		client, err := a.client(t)
		if err == nil {
			var r graph.Report
			r, err = client.CheckFor(ctx, needs(cfg, name))
			clients[name] = reached{client, err == nil}
			v = viewReport(name, t.ID, r)
		}
		if err != nil {
			v.Error, v.err, failed = err.Error(), err, true
		}
		v.Cloud, v.Needed = t.Cloud, neededPermissions(cfg, name)
		v.uses(cfg, name)
		views = append(views, v)
	}
	apps := a.checkApplications(ctx, cfg)
	push := a.checkPushing(cfg)
	failed = failed || push != nil && push.err != nil || slices.ContainsFunc(apps, func(v appCheckView) bool { return v.err != nil })
	if !a.json() {
		if err := errors.Join(a.printCheck(views), a.printApplications(apps), a.printPushCheck(push)); err != nil {
			return err
		}
	}
	syncs, err := a.checkStore(ctx, cfg, names, clients, apps)
	if a.json() {
		err = errors.Join(err, writeJSON(a.stdout, struct {
			Tenants      []checkView     `json:"tenants"`
			Applications []appCheckView  `json:"applications,omitempty"`
			SCIM         *pushCheckView  `json:"scim,omitempty"`
			Syncs        []syncCheckView `json:"syncs"`
		}{views, apps, push, syncs}))
	}
	if err != nil {
		return err
	}
	if failed || slices.ContainsFunc(syncs, func(v syncCheckView) bool { return v.Error != "" }) {
		return &exitError{code: exitFailed}
	}
	return nil
}

// reached is the client of a tenant, and whether it works.
type reached struct {
	client *graph.Client
	works  bool
}

// needs says what the syncs of a tenant read.
func needs(cfg *Config, name string) graph.Needs {
	var n graph.Needs
	for _, sc := range cfg.Syncs {
		n.Groups = n.Groups || sc.From.Entra == name && sc.From.HasGroups()
	}
	n.Mail, n.Writes = cfg.Notify.Graph.Tenant == name, writePermissions(cfg, name)
	return n
}

// neededPermissions are the application permissions that a tenant's runs need. Of the Azure CLI none, since there it is a
// person who reads.
func neededPermissions(cfg *Config, name string) []string {
	if cfg.Tenants[name].Credential.AzureCLI {
		return nil
	}
	return needs(cfg, name).Permissions()
}

// uses says for what a tenant is used, and what may be needed besides.
func (v *checkView) uses(cfg *Config, name string) {
	n := needs(cfg, name)
	v.groups, v.writes = n.Groups, len(n.Writes) > 0
	if !v.writes {
		v.Domains = nil
	}
	if v.groups && len(v.Needed) > 0 {
		v.Optional = append(v.Optional, hiddenPermission)
	}
	if v.writes && len(v.Needed) > 0 && fillsExtensions(cfg, name) {
		v.Optional = append(v.Optional, extensionPermission)
	}
}

// extensionPermission is needed besides where directory extensions are written that are no texts.
const extensionPermission = "Application.Read.All"

// hiddenPermission is needed besides where a group that is read hides its members.
const hiddenPermission = "Member.Read.Hidden"

func optionalWords(optional []string) string {
	var words []string
	if slices.Contains(optional, hiddenPermission) {
		words = append(words, hiddenPermission+" (for groups that hide their members)")
	}
	if slices.Contains(optional, extensionPermission) {
		words = append(words, extensionPermission+" (for the types of directory extensions)")
	}
	return strings.Join(words, ", ")
}

func viewReport(name, id string, r graph.Report) checkView {
	v := checkView{
		Tenant: name, ID: id, Name: r.Tenant.Name, Domain: r.Tenant.Domain, Permissions: r.Roles,
		Missing: r.Missing, TokenExpires: r.TokenExpires, CredentialExpires: r.CredentialExpires, Domains: r.Tenant.Domains,
	}
	if len(r.Missing) > 0 {
		v.ConsentURL = r.ConsentURL
	}
	if r.ClockSkew > time.Minute || r.ClockSkew < -time.Minute {
		v.ClockSkew = roughly(r.ClockSkew)
	}
	return v
}

func (a *app) printCheck(views []checkView) error {
	for _, v := range views {
		a.printf("Tenant %s\n", clean(v.Tenant))
		t := NewTable(a.style, "  CHECK", "RESULT")
		t.Row("  tenant id", v.ID)
		for _, row := range [][2]string{
			{"cloud", v.Cloud}, {"name", v.Name}, {"default domain", v.Domain}, {"verified domains", strings.Join(v.Domains, ", ")},
			{"permissions needed", strings.Join(v.Needed, ", ")}, {"permissions optional", optionalWords(v.Optional)}, {"permissions granted", strings.Join(v.Permissions, ", ")},
		} {
			if row[1] != "" {
				t.Row("  "+row[0], row[1])
			}
		}
		if len(v.Missing) > 0 {
			t.Row("  permissions missing", painted{red, strings.Join(v.Missing, ", ")})
			if v.ConsentURL != "" {
				t.Row("  to grant them", "dirsync connect "+v.Tenant+", or "+v.ConsentURL)
			}
		}
		if !v.CredentialExpires.IsZero() {
			t.Row("  credential expires", expiry(v.CredentialExpires, a.now()))
		}
		if !v.TokenExpires.IsZero() {
			t.Row("  token expires", when(v.TokenExpires, a.now()))
		}
		if v.ClockSkew != "" {
			t.Row("  clock", painted{yellow, "this machine's clock is off by " + v.ClockSkew})
		}
		what := "  reading users"
		if v.groups {
			what += " and groups"
		}
		if v.err == nil && v.writes {
			t.Row("  writing users", writingWords(v))
		}
		if v.err == nil {
			t.Row(what, painted{green, "works"})
		} else {
			t.Row(what, painted{red, "does not work"})
		}
		if err := t.Write(a.stdout); err != nil {
			return err
		}
		if v.err != nil {
			a.exit(fmt.Errorf("tenant %s: %w", v.Tenant, v.err))
		}
		a.printf("\n")
	}
	return nil
}

// writingWords says what is known of writing without having tried it.
func writingWords(v checkView) any {
	if len(v.Missing) > 0 {
		return painted{yellow, "is refused unless a role of the directory allows it; see the missing permissions"}
	}
	return painted{green, "is granted"}
}

// expiryWarning is how long before a credential's end people are warned.
const expiryWarning = 30 * 24 * time.Hour

// expiry is a table cell that says when a credential ends.
func expiry(at, now time.Time) any {
	day := at.In(now.Location()).Format(time.DateOnly)
	switch left := at.Sub(now); {
	case left <= 0:
		return painted{red, "on " + day + ", which is over; replace it"}
	case left < expiryWarning:
		return painted{yellow, "in " + roughly(left) + ", on " + day + "; replace it before"}
	}
	return "on " + day
}

// plainly is a cell of a table without its colour.
func plainly(cell any) any {
	if p, ok := cell.(painted); ok {
		return p.value
	}
	return cell
}
