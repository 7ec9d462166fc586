package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"dirsync"
	"dirsync/store"
	"dirsync/web"
)

// daemon runs all syncs of a configuration on their schedules, in one process that has the store open:
//
//	signals, socket, file ──► daemon ──► worker, one a sync ──► engine
//	                            │           two loops (apply, read), one lock
//	                            ├──► teller: who is told
//	                            └──► doors: the API, for people, programs and every other verb
//
// What it has to remember is in the store, as notes by name: when each sync runs next, and whether it is paused. So it
// may be killed at any moment, and the next one goes on.
type daemon struct {
	*app
	st      *store.Store
	started time.Time
	feed    web.Feed
	glance  glance

	// pushing is what SCIM clients push, entrance where they come in, and history what they have sent; nil where the
	// configuration has no SCIM server.
	pushing  *pushing
	entrance *doorway
	history  *pushLog

	// ctx ends when the daemon begins to stop. loops are what has to end before it has stopped.
	ctx   context.Context //nolint:containedctx // it lives as long as the daemon
	loops sync.WaitGroup
	// rest is for replacing the store. keeping is what pause ends, beside the workers and the teller.
	rest    rest
	keeping sync.WaitGroup
	pause   context.CancelFunc
	// broken is told what the daemon cannot go on after.
	broken chan error
	// lanes bound how many syncs run at a time, and with that the memory.
	lanes chan struct{}

	// reloads lets one reload run at a time.
	reloads sync.Mutex
	// mu guards what a reload replaces, and problem, which says why the file as it is now is not used.
	mu      sync.Mutex
	cfg     *Config
	workers map[string]*worker
	teller  *teller
	problem string
}

// newDaemon makes a daemon of an open store. Nothing runs yet.
func newDaemon(a *app, cfg *Config, st *store.Store) *daemon {
	d := &daemon{app: a, st: st, started: a.now(), cfg: cfg, workers: map[string]*worker{},
		lanes: make(chan struct{}, maxRuns), broken: make(chan error, 8)}
	// Runs write nothing for people; what is noted on the way goes to the log.
	quiet := *a
	quiet.stderr, quiet.metrics = logLines{a.log}, web.NewMetrics(version())
	quiet.format = jsonLog
	d.app = &quiet
	return d
}

// logLines writes what is meant for people into the log, a line an event.
type logLines struct{ log zerolog.Logger }

func (l logLines) Write(b []byte) (int, error) {
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" {
			l.log.Info().Msg(line)
		}
	}
	return len(b), nil
}

// config is the configuration that counts now. Nobody changes it.
func (d *daemon) config() *Config {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cfg
}

// worker finds the worker of a sync.
func (d *daemon) worker(name string) (*worker, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if w := d.workers[name]; w != nil {
		return w, nil
	}
	return nil, &dirsync.Error{Op: "find the sync", Kind: dirsync.NotFound, Err: fmt.Errorf("there is no sync %q", name),
		Hint: "dirsync status lists the syncs."}
}

// telling is the notifier that counts now; nil before the start.
func (d *daemon) telling() *teller {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.teller
}

// all are the workers, by name.
func (d *daemon) all() []*worker {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []*worker
	for _, name := range slices.Sorted(maps.Keys(d.workers)) {
		out = append(out, d.workers[name])
	}
	return out
}

// start starts everything that runs until ctx ends.
func (d *daemon) start(ctx context.Context) error {
	d.ctx = ctx
	if err := rightFeed(ctx, d.cfg, d.st); err != nil {
		return err
	}
	t, err := d.newTeller(d.cfg)
	if err != nil {
		return err
	}
	if d.pushing, err = d.newPushing(ctx); err != nil {
		return err
	}
	var ready []*worker
	for _, name := range slices.Sorted(maps.Keys(d.cfg.Syncs)) {
		w, err := d.newWorker(ctx, d.cfg, name)
		if err != nil {
			return err
		}
		ready = append(ready, w)
	}
	t.start(ctx)
	d.mu.Lock()
	d.teller = t
	for _, w := range ready {
		d.workers[w.name] = w
	}
	d.mu.Unlock()
	for _, w := range ready {
		w.start(ctx)
	}
	keep, pause := context.WithCancel(ctx)
	d.pause = pause
	d.keeping.Go(func() { d.housekeep(keep) })
	if p := d.pushing; p != nil {
		d.keeping.Go(func() { p.keep(keep, d.tellHeld) })
	}
	return nil
}

// stopped waits until everything has ended, the teller last, so that what the last runs had to tell is in the outbox.
func (d *daemon) stopped() {
	for _, w := range d.all() {
		w.wait()
	}
	d.loops.Wait()
	d.keeping.Wait()
	if t := d.telling(); t != nil {
		t.stop()
	}
}

// syncNow asks for a run of some syncs, or of all; every one that could be asked for is.
func (d *daemon) syncNow(ctx context.Context, names []string, by string) error {
	var errs []error
	workers := d.all()
	if len(names) > 0 {
		workers = nil
		for _, name := range names {
			w, err := d.worker(name)
			if err != nil {
				return err
			}
			if w.off() {
				return errOff(name)
			}
			workers = append(workers, w)
		}
	}
	for _, w := range workers {
		if w.off() {
			continue
		}
		if err := w.syncNow(ctx, by); err != nil {
			errs = append(errs, fmt.Errorf("sync %s: %w", w.name, err))
		}
	}
	return errors.Join(errs...)
}

// errRestart says that a changed configuration needs another process.
func errRestart(what string) error {
	return &dirsync.Error{Op: "reload the configuration", Kind: dirsync.Invalid, Err: errors.New(what + " has changed"), Hint: "Restart the daemon."}
}

// reload reads the configuration again. If it has any fault, or changes what only a restart can change, all stays as it is.
func (d *daemon) reload() error {
	d.reloads.Lock()
	defer d.reloads.Unlock()
	err := d.replace()
	d.mu.Lock()
	d.problem = ""
	if err != nil {
		d.problem = "the changed configuration is not used: " + err.Error()
	}
	d.mu.Unlock()
	if err == nil {
		d.log.Info().Str("file", d.configPath).Int("syncs", len(d.config().Syncs)).Msg("the configuration was reloaded")
		d.warnForsaken()
		return nil
	}
	if e, ok := errors.AsType[*ConfigError](err); ok {
		for _, f := range e.Faults {
			d.log.Error().Str("fault", e.line(f)).Msg("the changed configuration has a fault; the old one stays")
		}
		return err
	}
	d.log.Error().Err(err).Str("hint", dirsync.HintOf(err)).Msg("the changed configuration cannot be used; the old one stays")
	return err
}

// replace puts a new configuration in place of the old one. A run that is under way goes on as it began.
func (d *daemon) replace() error {
	old := d.config()
	cfg, err := LoadConfig(d.configPath)
	if err != nil {
		return err
	}
	if err := checkMappings(cfg, slices.Sorted(maps.Keys(cfg.Syncs))); err != nil {
		return err
	}
	switch {
	case cfg.Store.Path != old.Store.Path:
		return errRestart("the path of the store")
	case cfg.Directory.FedBy.String() != old.Directory.FedBy.String():
		return errRestart("who fills the directory")
	case (cfg.Serve.SCIM == nil) != (old.Serve.SCIM == nil):
		return errRestart("whether there is a SCIM server")
	case !slices.EqualFunc(cfg.Directory.Fields, old.Directory.Fields, sameFields):
		return errRestart("the list of the directory's fields")
	}
	t, err := d.newTeller(cfg)
	if err != nil {
		return err
	}
	if d.pushing != nil {
		if err := d.pushing.reload(d.ctx, cfg); err != nil {
			return err
		}
	}
	if !sameDoors(cfg.Serve, old.Serve) {
		d.log.Warn().Msg("the addresses, certificate and tokens under serve take effect at the next restart")
	}
	d.telling().stop()
	t.start(d.ctx)
	d.mu.Lock()
	d.cfg, d.teller = cfg, t
	d.mu.Unlock()
	var errs []error
	for _, w := range d.all() {
		if cfg.Syncs[w.name] != nil {
			errs = append(errs, w.reload(d.ctx, cfg))
			continue
		}
		w.remove()
		d.mu.Lock()
		delete(d.workers, w.name)
		d.mu.Unlock()
		d.log.Info().Str("sync", w.name).Msg("the sync is no longer configured")
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Syncs)) {
		if _, err := d.worker(name); err == nil {
			continue
		}
		w, err := d.newWorker(d.ctx, cfg, name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		d.mu.Lock()
		d.workers[name] = w
		d.mu.Unlock()
		w.start(d.ctx)
	}
	return errors.Join(errs...)
}

func sameFields(a, b DirectoryField) bool {
	x, y := a.Field(), b.Field()
	return x.Name == y.Name && x.Label == y.Label && x.Type == y.Type && x.Required == y.Required && x.Unique == y.Unique &&
		x.Format == y.Format && x.MaxLength == y.MaxLength && slices.Equal(x.Options, y.Options)
}

func sameDoors(a, b ServeConfig) bool {
	return a.Listen == b.Listen && a.TLS == b.TLS && a.Metrics == b.Metrics && sameSCIM(a.SCIM, b.SCIM) && slices.EqualFunc(a.Tokens, b.Tokens, func(a, b TokenConfig) bool {
		return a.Name == b.Name && a.ReadOnly == b.ReadOnly && a.Token.describe() == b.Token.describe()
	})
}

// maxRuns is how many syncs may run at the same time. Others wait, so that a hundred of them that share a time need no more
// memory than two.
const maxRuns = 2

// enter waits for a lane.
func (d *daemon) enter(ctx context.Context) (leave func(), err error) {
	select {
	case d.lanes <- struct{}{}:
		return func() { <-d.lanes }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// minThreads is on how many threads the daemon computes at least, however few processors there are. A goroutine that wants to
// answer somebody waits for as long as 10 ms until a run makes room on its thread; a thread of its own gets its turn from
// the system at once.
const minThreads = 4

// bound bounds the heap for as long as the daemon lives, see runMemory, and lets it answer while it works. Whoever starts
// the process may have another opinion of both.
func (d *daemon) bound() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(runMemory)
	}
	if os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) < minThreads {
		runtime.GOMAXPROCS(minThreads)
	}
}
