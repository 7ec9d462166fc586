package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"dirsync"
	"dirsync/graph"
	"dirsync/store"
)

// entraTarget is a tenant that people are written to.
type entraTarget struct {
	client *graph.Client
	writer *graph.Writer
}

func (t entraTarget) target() dirsync.Target { return t.writer }

// groups writes groups. Which group of the tenant is which, the sync remembers: the tenant cannot say.
func (t entraTarget) groups(name string, state *store.Sync) (dirsync.Target, error) {
	return t.writer.Groups(graph.GroupWriting{Scope: name, Links: func(ctx context.Context, id dirsync.ID) (string, error) {
		g, err := state.Groups().Person(ctx, id)
		if dirsync.KindOf(err) == dirsync.NotFound {
			return "", nil
		}
		return g.Link.Account, err
	}, All: func(ctx context.Context, fn func(dirsync.ID, string)) error {
		for after := dirsync.Seq(0); ; {
			groups, err := state.Groups().People(ctx, after, 1000)
			if err != nil || len(groups) == 0 {
				return err
			}
			for _, g := range groups {
				if after = g.Seq; g.Link.Account != "" {
					fn(g.ID, g.Link.Account)
				}
			}
		}
	}}), nil
}

func (t entraTarget) verify(ctx context.Context) error {
	_, err := t.client.Tenant(ctx)
	return err
}

// batch is ten of the service's own batches, so that a crash leaves few in doubt.
func (t entraTarget) batch() int { return 200 }

func (t entraTarget) close() { t.client.Close() }

// entraTarget joins a tenant as a target. Mute, it asks nobody anything and needs no secret.
func (a *app) entraTarget(cfg *Config, sc *Sync, mute bool) (destination, error) {
	connect := a.client
	if mute {
		connect = speechless
	}
	client, err := connect(cfg.Tenants[sc.To.Entra])
	if err != nil {
		return nil, fmt.Errorf("tenant %s: %w", sc.To.Entra, err)
	}
	wc := writerConfig(sc)
	if sc.To.Passwords != "" {
		wc.Passwords.Deliver = (&passwordFile{path: string(sc.To.Passwords), now: a.now}).add
	}
	w, err := client.Writer(wc)
	if err != nil {
		client.Close()
		return nil, fmt.Errorf("tenant %s: %w", sc.To.Entra, err)
	}
	return entraTarget{client, w}, nil
}

// fillable lists what a sync's mapping may fill. Only a mapping that fills directory extensions needs a tenant's word for their
// types.
func (a *app) fillable(ctx context.Context, cfg *Config, sc *Sync, to destination) ([]dirsync.Field, error) {
	if sc.To.Entra != "" && !namesExtensions(sc.Fields.names()) {
		return cfg.targetFields(sc), nil
	}
	fields, err := to.target().Fields(ctx)
	if t, ok := to.(entraTarget); ok && err == nil && len(t.writer.Notes()) > 0 {
		fields = graph.AssumeExtensions(fields, sc.Fields.names()...) // nobody could say which there are
		for _, n := range t.writer.Notes() {
			a.note("note: %s", clean(n))
		}
	}
	return fields, err
}

// undefined are the directory extensions that a sync fills, or keeps the anchor in, and the tenant does not have. notes say
// why that may not be so.
func undefined(ctx context.Context, sc *Sync, w *graph.Writer) (missing, notes []string, err error) {
	names := append(sc.Fields.names(), sc.To.Anchor)
	if !namesExtensions(names) {
		return nil, nil, nil
	}
	fields, err := w.Fields(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		known := slices.ContainsFunc(fields, func(f dirsync.Field) bool { return f.Name == name })
		if !known && namesExtensions([]string{name}) {
			missing = append(missing, name)
		}
	}
	return missing, w.Notes(), nil
}

// fillsExtensions tells whether a sync to a tenant fills directory extensions of it.
func fillsExtensions(cfg *Config, tenant string) bool {
	for _, sc := range cfg.Syncs {
		if sc.To.Entra == tenant && namesExtensions(append(sc.Fields.names(), sc.To.Anchor)) {
			return true
		}
	}
	return false
}

// writePermissions are the application permissions that the syncs to a tenant need, in the order in which a Writer names
// them; nil if nobody is written there, and for the Azure CLI, since there it is a person who writes.
func writePermissions(cfg *Config, tenant string) []string {
	var all []string
	if t := cfg.Tenants[tenant]; t == nil || t.Credential.AzureCLI {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Syncs)) {
		sc := cfg.Syncs[name]
		if sc.To.Entra != tenant {
			continue
		}
		client, err := speechless(cfg.Tenants[tenant])
		if err != nil {
			continue // whoever signs in is told
		}
		if w, err := client.Writer(writerConfig(sc)); err == nil { // the configuration was checked
			if sc.From.Groups.Which != NoGroups {
				w.Groups(graph.GroupWriting{Scope: name})
			}
			for _, p := range w.Permissions() {
				if !slices.Contains(all, p) {
					all = append(all, p)
				}
			}
		}
		client.Close()
	}
	return all
}

// passwordFile is a file that the first passwords of new users are added to, for whoever hands them out: one line each, as
// CSV, with the time, the user principal name, the object id and the password. Only its owner may read it.
type passwordFile struct {
	path string
	now  func() time.Time
	one  sync.Mutex
}

// add writes one line, and has it on the disk when it returns. Its errors hold no password.
func (f *passwordFile) add(_ context.Context, account, name, password string) (err error) {
	f.one.Lock()
	defer f.one.Unlock()
	file, err := os.OpenFile(f.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("keep a first password in %s: %w", f.path, plainFileError(err))
	}
	defer func() {
		if closed := file.Close(); err == nil {
			err = closed
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("keep a first password in %s: %w", f.path, plainFileError(err))
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("keep a first password in %s: others may read that file; chmod 600 it", f.path)
	}
	var line bytes.Buffer
	w := csv.NewWriter(&line)
	_ = w.Write([]string{f.now().UTC().Format(time.RFC3339), name, account, password})
	w.Flush()
	if _, err := file.Write(line.Bytes()); err != nil {
		return fmt.Errorf("keep a first password in %s: %w", f.path, plainFileError(err))
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("keep a first password in %s: %w", f.path, plainFileError(err))
	}
	return nil
}
