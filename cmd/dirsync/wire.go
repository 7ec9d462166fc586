package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
	name   string
	config *Sync
	from   origin
	to     destination
	engine *engine.Engine
	// directory is the embedded directory, and nil where people go elsewhere.
	directory *store.Directory
	sync      *store.Sync
	mapping   *mapping.Mapping
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
	from, err := a.origin(cfg, st, cfg.Syncs[name], false)
	if err != nil {
		return nil, err
	}
	return a.join(ctx, cfg, st, name, from, false)
}

// join is wire with a source that is there already. Muted, the target cannot be asked anything; see speechless.
func (a *app) join(ctx context.Context, cfg *Config, st *store.Store, name string, from origin, mute bool) (*wired, error) {
	sc, state := cfg.Syncs[name], st.Sync(name)
	to, err := a.destination(cfg, st, sc, mute)
	if err != nil {
		return nil, err
	}
	m, protect, err := a.mappingOf(ctx, cfg, name, from, to)
	if err != nil {
		return nil, err
	}
	w := &wired{name: name, config: sc, from: from, to: to, sync: state, mapping: m, protection: protect}
	if d, ok := to.(directoryTarget); ok {
		w.directory = d.Directory
	}
	w.engine = &engine.Engine{
		Sync: name, Target: to.target(), TargetID: sc.To.identity(cfg), Store: state, Mapping: m, Blocked: blockedAt(sc.From),
		Policy: plan.Policy{WhenDeleted: action(string(sc.WhenDeleted)), WhenOutOfScope: action(string(sc.WhenOutOfScope)),
			WhenBlocked: action(string(sc.WhenBlocked)), Grace: time.Duration(sc.Grace)},
		Limits:    limits(sc.Limits),
		Protected: protect.protected(), ProtectedBy: protect.identity(),
		Join: sc.findsBy(mute), Batch: to.batch(),
		Now: a.now, Log: a.log,
	}
	if w.engine.Source, err = from.source(sc, together(m.Properties(), protect.properties())); err != nil {
		return nil, err
	}
	if w.engine.Groups, err = groupsOf(name, sc.From, from, state, to); err != nil {
		return nil, err
	}
	if sc.From.Directory && sc.To.Entra != "" && !sc.To.WriteBack {
		w.engine.Outside, w.engine.OutsideBy = comeFrom(cfg, st, sc.To.Entra, false), "those of "+sc.To.Entra
		if g := w.engine.Groups; g != nil {
			g.Outside, g.OutsideBy = comeFrom(cfg, st, sc.To.Entra, true), w.engine.OutsideBy
		}
	}
	w.engine.Clashes = clashes(cfg, st, name)
	for _, delay := range sc.Retry {
		w.engine.Retry = append(w.engine.Retry, time.Duration(delay))
	}
	return w, nil
}

// mappingOf compiles what a sync's mapping and protection say, against what its two ends have.
func (a *app) mappingOf(ctx context.Context, cfg *Config, name string, from origin, to destination) (*mapping.Mapping, *protection, error) {
	has, err := from.fields(ctx, cfg.Syncs[name])
	if err != nil {
		return nil, nil, err
	}
	takes, err := a.fillable(ctx, cfg, cfg.Syncs[name], to)
	if err != nil {
		return nil, nil, err
	}
	m, err := compile(cfg, name, has, takes)
	if err != nil {
		return nil, nil, err
	}
	protect, err := compileProtection(cfg, name, has)
	return m, protect, err
}

// tenant is the client of the tenant that people come from; nil if they come from elsewhere.
func (w *wired) tenant() *graph.Client {
	if o, ok := w.from.(entraOrigin); ok {
		return o.client
	}
	return nil
}

// verify makes sure, before anything is written, that both ends are what was meant and let us in.
func (w *wired) verify(ctx context.Context) error {
	if err := w.from.verify(ctx); err != nil {
		return err
	}
	return w.to.verify(ctx)
}

func (w *wired) close() {
	w.from.close()
	w.to.close()
}

// groupsOf says what a sync does about groups; nil if nothing.
func groupsOf(name string, from From, origin origin, state *store.Sync, to destination) (*engine.Groups, error) {
	o, ok := origin.(groupOrigin)
	if !from.HasGroups() || !ok {
		return nil, nil //nolint:nilnil // it does nothing about them
	}
	g := &engine.Groups{
		Source: o.groupSource(from.chosen(), from.Groups.Which == AllGroups, from.Users.Nested),
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
		return g, nil
	}
	var err error
	g.Target, err = to.groups(name, state)
	return g, err
}

// action is a policy in the words of package plan.
func action(word string) plan.Action {
	switch word {
	case string(DeleteDeleted):
		return plan.Delete
	case string(KeepDeleted):
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
	all := &ConfigError{File: cfg.Path}
	for _, name := range names {
		from, known := offline(cfg, cfg.Syncs[name])
		if !known {
			continue
		}
		_, err := compile(cfg, name, from, cfg.targetFields(cfg.Syncs[name]))
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

// blockedAt tells from a record that the source does not let the person sign in.
func blockedAt(from From) func(dirsync.Attributes) bool {
	if !from.Directory {
		return graph.Blocked
	}
	return func(attrs dirsync.Attributes) bool {
		raw, _ := attrs.Get("active")
		return string(raw) == "false"
	}
}

// comeFrom tells of people of the directory who came from a tenant, or of groups, so that they are not written back to it,
// or from nobody knows where.
func comeFrom(cfg *Config, st *store.Store, tenant string, groups bool) func(context.Context, dirsync.Person) (string, error) {
	return func(ctx context.Context, p dirsync.Person) (string, error) {
		id := dirsync.ID(p.Shadow.Text("source"))
		if id == "" {
			return "", nil
		}
		names, err := st.Syncs(ctx)
		if err != nil {
			return "", err
		}
		why := "came from a source that is not configured any more"
		for _, name := range names {
			sc := cfg.Syncs[name]
			if sc == nil || !sc.To.Directory {
				continue
			}
			known := st.Sync(name)
			if groups {
				known = known.Groups()
			}
			switch _, err := known.Person(ctx, id); {
			case dirsync.KindOf(err) == dirsync.NotFound:
			case err != nil:
				return "", err
			case sc.From.Entra == tenant:
				return "came from " + tenant + " itself, by the sync " + name, nil
			default:
				why = ""
			}
		}
		return why, nil
	}
}

// offline lists what a sync's mapping may use, if that and what it may fill is known without asking anybody.
func offline(cfg *Config, sc *Sync) ([]dirsync.Field, bool) {
	if sc.To.Entra != "" && namesExtensions(sc.Fields.names()) {
		return nil, false
	}
	if app := cfg.Applications[sc.From.SCIM]; app != nil {
		fields, err := app.sourceFields()
		return fields, err == nil
	}
	if sc.From.Directory {
		return store.SourceFields(cfg.Directory.FieldList()...), true
	}
	return graph.Catalogue(), !namesExtensions(mappingTexts(sc))
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
		if gc.RootCAs, err = trusted(string(t.CA)); err != nil {
			return graph.Config{}, err
		}
	}
	// The endpoint of a managed identity must not be asked through a proxy, which only graph's own transport sees to.
	if a.metrics != nil && t.Credential.ManagedIdentity == "" {
		gc.Transport = newCounting(gc.RootCAs, a.metrics)
	}
	return gc, nil
}

// switchedOn leaves out the syncs that are switched off, unless they were asked for by name, which is a mistake.
func (a *app) switchedOn(names []string) ([]string, error) {
	cfg, all, err := a.load(names)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, usageError("%s has no syncs, because SCIM clients fill the directory: there is nothing to run", a.configPath)
	}
	on := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return !cfg.Syncs[name].Enabled })
	switch {
	case len(on) == len(all):
		return names, nil
	case len(names) > 0:
		off := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return cfg.Syncs[name].Enabled })
		return nil, errOff(off[0])
	case len(on) == 0:
		return nil, usageError("every sync of %s is switched off (enabled: false)", a.configPath)
	}
	for _, name := range all {
		if !cfg.Syncs[name].Enabled {
			a.note("note: the sync %s is switched off and left out", name)
		}
	}
	return on, nil
}

func errOff(name string) error {
	return &exitError{code: exitUsage, err: &dirsync.Error{Op: "begin", Kind: dirsync.Invalid, Err: fmt.Errorf("the sync %s is switched off", name),
		Hint: "Write enabled: true in the configuration to switch it on."}}
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
	if err := errors.Join(a.noteForsaken(ctx, cfg, st), rightFeed(ctx, cfg, st)); err != nil {
		return errors.Join(err, a.closeStore(st))
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
