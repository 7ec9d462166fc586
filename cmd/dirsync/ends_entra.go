package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"dirsync"
	"dirsync/graph"
)

// entraTarget is a tenant that people are written to.
type entraTarget struct {
	client *graph.Client
	writer *graph.Writer
}

func (t entraTarget) target() dirsync.Target { return t.writer }

func (t entraTarget) groups() (dirsync.Target, error) {
	return nil, &dirsync.Error{Op: "prepare writing groups", Kind: dirsync.Invalid, Err: errors.New("groups are not written to a tenant")}
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
func fillable(ctx context.Context, cfg *Config, sc *Sync, to destination) ([]dirsync.Field, error) {
	if sc.To.Entra != "" && !namesExtensions(sc.Fields.names()) {
		return cfg.targetFields(sc), nil
	}
	return to.target().Fields(ctx)
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
