package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"dirsync"
	"dirsync/graph"
	"dirsync/mapping"
	"dirsync/store"
	"dirsync/sync/engine"
	"dirsync/sync/plan"
)

// wired is one sync with all its parts joined.
type wired struct {
	name    string
	config  *Sync
	client  *graph.Client
	engine  *engine.Engine
	target  *store.Directory
	sync    *store.Sync
	mapping *mapping.Mapping
	// protection is nil where nobody is protected.
	protection *protection
}

// load reads the configuration and the names of the syncs to work on: those given, or all in order of their names.
func (a *app) load(names []string) (*Config, []string, error) {
	cfg, err := a.readConfig()
	if err != nil {
		return nil, nil, err
	}
	all := slices.Sorted(maps.Keys(cfg.Syncs))
	if err := checkMappings(cfg, all); err != nil {
		return nil, nil, err
	}
	if len(names) == 0 {
		return cfg, all, nil
	}
	for _, name := range names {
		if cfg.Syncs[name] == nil {
			return nil, nil, usageError("there is no sync %q in %s; it has: %s", name, a.configPath, strings.Join(all, ", "))
		}
	}
	return cfg, names, nil
}

// openStore opens the store of a configuration.
func (a *app) openStore(cfg *Config, readOnly bool) (*store.Store, error) {
	if a.host != nil {
		return a.host.st, nil
	}
	opts := storeOptions(cfg)
	opts.ReadOnly, opts.Now = readOnly, a.now
	st, err := store.Open(cfg.Store.Path, opts)
	if err != nil {
		return nil, err
	}
	for _, note := range st.Notes() {
		a.note("note: %s", note)
	}
	return st, nil
}

// wire joins the parts of one sync. Nothing is sent yet.
func (a *app) wire(ctx context.Context, cfg *Config, st *store.Store, name string) (*wired, error) {
	sc := cfg.Syncs[name]
	client, err := a.client(cfg.Tenants[sc.From.Entra])
	if err != nil {
		return nil, fmt.Errorf("tenant %s: %w", sc.From.Entra, err)
	}
	return a.join(ctx, cfg, st, name, client)
}

// join is wire with a client that is there already.
func (a *app) join(ctx context.Context, cfg *Config, st *store.Store, name string, client *graph.Client) (*wired, error) {
	sc := cfg.Syncs[name]
	target, err := st.Directory(cfg.Directory.FieldList()...)
	if err != nil {
		return nil, err
	}
	from, err := a.sourceFields(ctx, sc, client)
	if err != nil {
		return nil, err
	}
	to, err := target.Fields(ctx)
	if err != nil {
		return nil, err
	}
	m, err := compile(cfg, name, from, to)
	if err != nil {
		return nil, err
	}
	protect, err := compileProtection(cfg, name, from)
	if err != nil {
		return nil, err
	}
	state, properties := st.Sync(name), together(m.Properties(), protect.properties())
	w := &wired{name: name, config: sc, client: client, target: target, sync: state, mapping: m, protection: protect}
	w.engine = &engine.Engine{
		Sync: name, Source: client.Users(properties), Target: target, Store: state, Mapping: m, Blocked: graph.Blocked,
		Policy: plan.Policy{WhenDeleted: action(string(sc.WhenDeleted)), WhenOutOfScope: action(string(sc.WhenOutOfScope)),
			Grace: time.Duration(sc.Grace)},
		Limits:    limits(sc.Limits),
		Protected: protect.protected(), ProtectedBy: protect.identity(),
		Join:   sc.Join,
		Groups: groupsOf(sc.From, client, state, target),
		Now:    a.now, Log: a.log,
	}
	for _, delay := range sc.Retry {
		w.engine.Retry = append(w.engine.Retry, time.Duration(delay))
	}
	if len(sc.From.Users.Groups) > 0 {
		w.engine.Source = client.MembersOnly(properties)
	}
	return w, nil
}

// groupsOf says what a sync does about groups; nil if nothing.
func groupsOf(from From, client *graph.Client, state *store.Sync, target *store.Directory) *engine.Groups {
	if !from.HasGroups() {
		return nil
	}
	g := &engine.Groups{
		Source: client.Groups(graph.GroupsConfig{Chosen: from.chosen(), All: from.Groups.Which == AllGroups, Nested: from.Users.Nested}),
		Store:  state.Groups(), Members: state.Members(),
		Scope: from.Users.Groups, Nested: from.Users.Nested,
	}
	switch from.Groups.Which {
	case AllGroups:
		g.AllSynced = true
	case ChosenGroups:
		g.Synced = from.Users.Groups
	case ListedGroups:
		g.Synced = from.Groups.Names
	default:
		return g
	}
	g.Target = target.Groups()
	return g
}

// action is a policy in the words of package plan.
func action(word string) plan.Action {
	switch word {
	case string(DeleteDeleted):
		return plan.Delete
	case string(KeepOutOfScope):
		return plan.Keep
	}
	return plan.Deactivate
}

// limits are the limits in the words of package plan.
func limits(l Limits) plan.Limits {
	limit := func(l Limit) plan.Limit { return plan.Limit{Count: l.Count, Share: float64(l.Share), Floor: l.Floor} }
	budget := func(b Budget) plan.Budget {
		return plan.Budget{Run: limit(Limit{b.Count, b.Share, b.Floor}), Day: limit(*b.PerDay), Week: limit(*b.PerWeek)}
	}
	return plan.Limits{Deletes: budget(l.Deletes), Deactivations: budget(l.Deactivations), Removals: budget(l.Removals),
		Blankings: budget(l.Blankings), Groups: budget(l.Groups)}
}

// sourceFields lists what a sync's mapping may use. Only a mapping that names directory extensions needs the tenant's
// word for their types.
func (a *app) sourceFields(ctx context.Context, sc *Sync, client *graph.Client) ([]dirsync.Field, error) {
	texts := mappingTexts(sc)
	if !namesExtensions(texts) {
		return graph.Catalogue(), nil
	}
	source := client.Users(nil)
	fields, err := source.Fields(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range source.Notes() {
		a.note("note: %s", clean(n))
	}
	return graph.AssumeExtensions(fields, texts...), nil
}

// mappingTexts are all texts of a sync's mapping that may name properties.
func mappingTexts(sc *Sync) []string {
	texts := []string{sc.Where.Text, sc.Protect.Where.Text}
	for _, f := range sc.Fields {
		texts = append(texts, f.From, f.Expr, f.Entra)
	}
	return texts
}

func namesExtensions(texts []string) bool {
	return len(graph.AssumeExtensions(nil, texts...)) > 0
}

// checkMappings compiles every mapping, so that each mistake in them is known before anything is opened or asked. A
// mapping of directory extensions has to wait, because only the tenant knows their types. The error is a *ConfigError
// with all faults of all syncs.
func checkMappings(cfg *Config, names []string) error {
	from := graph.Catalogue()
	to := append(mapping.Mandatory(), cfg.Directory.FieldList()...)
	all := &ConfigError{File: cfg.Path}
	for _, name := range names {
		if namesExtensions(mappingTexts(cfg.Syncs[name])) {
			continue
		}
		_, err := compile(cfg, name, from, to)
		_, other := compileProtection(cfg, name, from)
		for _, err := range []error{err, other} {
			if ce, ok := errors.AsType[*ConfigError](err); ok {
				all.Faults = append(all.Faults, ce.Faults...)
			}
		}
	}
	if len(all.Faults) > 0 {
		return all
	}
	return nil
}

// compile checks one sync's mapping. The error is a *ConfigError with every fault in it.
func compile(cfg *Config, name string, from, to []dirsync.Field) (*mapping.Mapping, error) {
	sc := cfg.Syncs[name]
	m, problems := mapping.Compile(sc.Fields.Specs(), sc.Where.Expression(), from, to)
	if len(problems) == 0 {
		return m, nil
	}
	ce := &ConfigError{File: cfg.Path}
	for _, p := range problems {
		path := "syncs." + name + ".fields"
		switch p.Field {
		case "":
		case mapping.WhereField:
			path = "syncs." + name + ".where"
		default:
			path += "." + p.Field
		}
		ce.Faults = append(ce.Faults, configFault(p, path))
	}
	return nil, ce
}

// client makes the connection to a tenant, without using it yet.
func (a *app) client(t *Tenant) (*graph.Client, error) {
	gc, err := a.graphConfig(t)
	if err != nil {
		return nil, err
	}
	return graph.New(gc)
}

// graphConfig says in the words of package graph how to talk to a tenant. It reads the credential from its place.
func (a *app) graphConfig(t *Tenant) (graph.Config, error) {
	gc := graph.Config{
		Tenant: t.ID, ClientID: t.ClientID, Cloud: graph.Cloud(t.Cloud), Authority: t.Authority, BaseURL: t.Graph,
		Now: a.now, Log: a.log,
		ReplicaLag: a.replicaLag,
	}
	var err error
	if gc.Credential, err = t.Credential.reveal(); err != nil {
		return graph.Config{}, err
	}
	if t.CA != "" {
		pem, err := os.ReadFile(string(t.CA))
		if err != nil {
			return graph.Config{}, fmt.Errorf("read the trusted certificates: %w", err)
		}
		gc.RootCAs = x509.NewCertPool()
		if !gc.RootCAs.AppendCertsFromPEM(pem) {
			return graph.Config{}, errors.New("read the trusted certificates: " + string(t.CA) + " holds no PEM certificate")
		}
	}
	// The endpoint of a managed identity must not be asked through a proxy, which only graph's own transport sees to.
	if a.metrics != nil && t.Credential.ManagedIdentity == "" {
		gc.Transport = newCounting(gc.RootCAs, a.metrics)
	}
	return gc, nil
}

// each opens the store and calls fn for each of the syncs, one after the other. It goes on after an error, so that one
// sync's failure does not stop the others, and returns the worst.
func (a *app) each(ctx context.Context, names []string, fn func(*wired) error) error {
	cfg, names, err := a.load(names)
	if err != nil {
		return err
	}
	st, err := a.openStore(cfg, false)
	if err != nil {
		return err
	}
	var worst error
	for _, name := range names {
		err := a.withSync(ctx, cfg, st, name, fn)
		if err != nil && len(names) > 1 && !said(err) {
			a.exit(fmt.Errorf("sync %s: %w", name, err))
			err = &exitError{code: exitFailed}
		}
		if worst == nil || said(worst) && err != nil {
			worst = err
		}
	}
	return errors.Join(worst, a.closeStore(st))
}

// withSync calls fn for one sync, while nobody else does anything about it.
func (a *app) withSync(ctx context.Context, cfg *Config, st *store.Store, name string, fn func(*wired) error) error {
	release, err := a.hold(ctx, name)
	if err != nil {
		return err
	}
	defer release()
	w, err := a.wire(ctx, cfg, st, name)
	if err != nil {
		return err
	}
	return fn(w)
}

// said tells an error that only carries an exit code.
func said(err error) bool {
	e, ok := errors.AsType[*exitError](err)
	return ok && e.err == nil
}
