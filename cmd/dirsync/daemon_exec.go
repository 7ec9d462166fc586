package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"dirsync"
	"dirsync/store"
	"dirsync/sync/engine"
	"dirsync/web"
)

// exec runs a command line for somebody at a terminal, as if it had opened the store itself.
func (d *daemon) exec(ctx context.Context, c web.Command, stdout, stderr io.Writer) int {
	a := newApp(stdout, stderr)
	a.style, a.now, a.replicaLag = style{colored: c.Color}, d.now, d.replicaLag
	a.host, a.dir, a.metrics = d, c.Dir, d.metrics
	defer func() {
		if a.leave != nil {
			a.leave()
		}
	}()
	return a.run(ctx, c.Args)
}

// swap is daemon.swap for a command line; without a daemon fn has the store's file to itself anyway.
func (a *app) swap(ctx context.Context, fn func() error) error {
	if a.host == nil {
		return fn()
	}
	return a.host.swap(ctx, func(sync string) { a.note("%s: a run is under way; waiting for its end", clean(sync)) }, fn)
}

// path is a path that was given on the command line: a relative one begins where whoever gave it is.
func (a *app) path(name string) string {
	if a.dir == "" || name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(a.dir, name)
}

// ownConfig refuses a command line that names another configuration than the daemon's.
func (d *daemon) ownConfig(path string) error {
	theirs, err := os.Stat(path)
	if err == nil {
		var ours os.FileInfo
		if ours, err = os.Stat(d.configPath); err == nil && os.SameFile(ours, theirs) {
			return nil
		}
	}
	return &dirsync.Error{Op: "ask the daemon", Kind: dirsync.Conflict,
		Err:  errors.New("the daemon that has this store open runs with another configuration: " + d.configPath),
		Hint: "Name that one with -c, or stop the daemon."}
}

// readConfig reads the configuration; in the daemon it is the one that is in use.
func (a *app) readConfig() (*Config, error) {
	if a.host != nil {
		return a.host.config(), nil
	}
	return LoadConfig(a.configPath)
}

// closeStore closes what openStore has opened. The daemon's store stays open.
func (a *app) closeStore(st *store.Store) error {
	if a.host != nil {
		return nil
	}
	return st.Close()
}

// hold waits until nobody else does anything about a sync, in the daemon; outside of it the store's own lock says so.
func (a *app) hold(ctx context.Context, name string) (release func(), err error) {
	if a.host == nil {
		return func() {}, nil
	}
	w, err := a.host.worker(name)
	if err != nil {
		return nil, err
	}
	return w.take(ctx, func() { a.note("%s: a run is under way; waiting for its end", clean(name)) })
}

// follow makes a run that somebody asks for at the command line one that the daemon knows of.
func (a *app) follow(ctx context.Context, w *wired) func(engine.Progress) {
	if a.host == nil {
		return func(engine.Progress) {}
	}
	of, err := a.host.worker(w.name)
	if err != nil { // it is being taken away
		return func(engine.Progress) {}
	}
	a.host.metrics.RunBegan(w.name)
	return of.progress(ctx, w.sync)
}

// followed tells of such a run as of any other.
func (a *app) followed(ctx context.Context, w *wired, r dirsync.Run, err error) {
	if a.host == nil {
		return
	}
	of, missing := a.host.worker(w.name)
	if missing != nil {
		return
	}
	broken := ctx.Err() != nil && err != nil
	ctx = context.WithoutCancel(ctx)
	a.host.over(w.name, r)
	a.host.ran(ctx, w.name, r)
	if !broken {
		of.outcome(ctx, r, err)
	}
}

// tryHold is hold for what need not be done now: it does not wait.
func (a *app) tryHold(name string) (release func(), free bool) {
	if a.host == nil {
		return func() {}, true
	}
	w, err := a.host.worker(name)
	if err != nil {
		return nil, false
	}
	return w.tryTake()
}
