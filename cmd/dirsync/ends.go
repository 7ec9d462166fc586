package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

	"dirsync"
	"dirsync/graph"
	"dirsync/scim/client"
	"dirsync/scim/server"
	"dirsync/store"
)

// origin is where a sync's people come from, ready to be read. Nothing is sent before it is asked for something.
type origin interface {
	// fields lists what a mapping may use. Only a mapping of directory extensions makes it ask the tenant.
	fields(ctx context.Context, sc *Sync) ([]dirsync.Field, error)
	// source reads these properties of people.
	source(sc *Sync, properties []string) (dirsync.Source, error)
	// verify makes sure, before anything is written, that this is what was meant and that it lets us in.
	verify(ctx context.Context) error
	close()
}

// destination is where a sync's people go.
type destination interface {
	target() dirsync.Target
	// groups is the target of groups of a sync, of whose groups state keeps what became of them.
	groups(name string, state *store.Sync) (dirsync.Target, error)
	verify(ctx context.Context) error
	// batch is how many changes are sent before their outcomes are written down; zero is the engine's own figure.
	batch() int
	close()
}

// groupOrigin is an origin of groups as well.
type groupOrigin interface {
	// groupSource reads these groups, and who is in them.
	groupSource(chosen []string, all, nested bool) dirsync.GroupSource
}

// entraOrigin is a tenant that people are read from.
type entraOrigin struct {
	a      *app
	client *graph.Client
}

func (o entraOrigin) fields(ctx context.Context, sc *Sync) ([]dirsync.Field, error) {
	return o.a.sourceFields(ctx, sc, o.client)
}

func (o entraOrigin) source(sc *Sync, properties []string) (dirsync.Source, error) {
	if len(sc.From.Users.Groups) > 0 {
		return o.client.MembersOnly(properties), nil
	}
	return o.client.Users(properties), nil
}

func (o entraOrigin) verify(ctx context.Context) error {
	_, err := o.client.Tenant(ctx)
	return err
}

func (o entraOrigin) close() { o.client.Close() }

func (o entraOrigin) groupSource(chosen []string, all, nested bool) dirsync.GroupSource {
	return o.client.Groups(graph.GroupsConfig{Chosen: chosen, All: all, Nested: nested})
}

// scimOrigin is an application that people are imported from.
type scimOrigin struct {
	app    *Application
	client *client.Client
}

func (o scimOrigin) fields(ctx context.Context, sc *Sync) ([]dirsync.Field, error) {
	s, err := o.client.Source(o.app.properties()...)
	if err != nil {
		return nil, err
	}
	return s.Fields(ctx)
}

func (o scimOrigin) source(*Sync, []string) (dirsync.Source, error) {
	return o.client.Source(o.app.properties()...)
}

// verify asks for one person: that is what will be read.
func (o scimOrigin) verify(ctx context.Context) error { return o.client.Reach(ctx) }

func (o scimOrigin) close() {}

// directoryOrigin is the embedded directory as a source.
type directoryOrigin struct{ *store.Directory }

func (o directoryOrigin) fields(ctx context.Context, _ *Sync) ([]dirsync.Field, error) {
	return o.Directory.Source().Fields(ctx)
}

func (o directoryOrigin) source(*Sync, []string) (dirsync.Source, error) {
	return o.Directory.Source(), nil
}
func (o directoryOrigin) verify(context.Context) error { return nil }
func (o directoryOrigin) close()                       {}

func (o directoryOrigin) groupSource(chosen []string, all, nested bool) dirsync.GroupSource {
	return o.Directory.GroupSource(chosen, all, nested)
}

// directoryTarget is the embedded directory as a target.
type directoryTarget struct {
	*store.Directory
	notes noted
}

func (t directoryTarget) target() dirsync.Target { return t.Directory }
func (t directoryTarget) groups(string, *store.Sync) (dirsync.Target, error) {
	return &welcoming{Groups: t.Directory.Groups(), resources: t.Directory, notes: t.notes}, nil
}
func (t directoryTarget) verify(context.Context) error { return nil }
func (t directoryTarget) batch() int                   { return 0 }
func (t directoryTarget) close()                       {}

// scimTarget is an application that people are provisioned to.
type scimTarget struct{ *client.Client }

func (t scimTarget) target() dirsync.Target { return t.Client }
func (t scimTarget) groups(string, *store.Sync) (dirsync.Target, error) {
	return t.Client.Groups()
}
func (t scimTarget) close() {}

// verify knocks at the door. An application that wants to be left alone is there; a run waits for it once there is something
// to do.
func (t scimTarget) verify(ctx context.Context) error {
	if err := t.Client.Reach(ctx); dirsync.KindOf(err) != dirsync.Throttled {
		return err
	}
	return nil
}

// batch is small, because requests are slow: what was done is written down every few seconds, and a crash leaves few in doubt.
func (t scimTarget) batch() int { return 200 }

// origin joins where the people of a sync come from. Speechless, it asks nobody anything and needs no secret; see speechless.
func (a *app) origin(cfg *Config, st *store.Store, sc *Sync, mute bool) (origin, error) {
	switch {
	case sc.From.Directory:
		d, err := st.Directory(cfg.Directory.FieldList()...)
		if err != nil {
			return nil, err
		}
		return directoryOrigin{d}, nil
	case sc.From.SCIM != "":
		c, err := a.application(cfg, sc.From.SCIM, mute)
		if err != nil {
			return nil, err
		}
		return scimOrigin{cfg.Applications[sc.From.SCIM], c}, nil
	default:
		connect := a.client
		if mute {
			connect = speechless
		}
		c, err := connect(cfg.Tenants[sc.From.Entra])
		if err != nil {
			return nil, fmt.Errorf("tenant %s: %w", sc.From.Entra, err)
		}
		return entraOrigin{a, c}, nil
	}
}

// destination joins where the people of a sync go.
func (a *app) destination(cfg *Config, st *store.Store, sc *Sync, mute bool) (destination, error) {
	if sc.To.Entra != "" {
		return a.entraTarget(cfg, sc, mute)
	}
	if sc.To.SCIM != "" {
		c, err := a.application(cfg, sc.To.SCIM, mute)
		if err != nil {
			return nil, err
		}
		return scimTarget{c}, nil
	}
	d, err := st.Directory(cfg.Directory.FieldList()...)
	if err != nil {
		return nil, err
	}
	return directoryTarget{d, st}, nil
}

// application makes the connection to an application, without using it yet. Mute, it has no secret.
func (a *app) application(cfg *Config, name string, mute bool) (*client.Client, error) {
	cc, err := a.applicationConfig(name, cfg.Applications[name], mute)
	if err != nil {
		return nil, fmt.Errorf("application %s: %w", name, err)
	}
	c, err := client.New(cc)
	if err != nil {
		return nil, fmt.Errorf("application %s: %w", name, err)
	}
	return c, nil
}

// applicationConfig says in the words of package client how to talk to an application. It reads the secret from its place.
func (a *app) applicationConfig(name string, app *Application, mute bool) (client.Config, error) {
	cc := client.Config{Name: name, BaseURL: app.URL, Profile: app.profile(), Fields: app.paths(), Log: a.log,
		UserAgent: "dirsync/" + version()}
	if mute {
		cc.Token = "nobody"
		return cc, nil
	}
	var err error
	switch {
	case app.OAuth != nil:
		cc.OAuth = &client.OAuth{TokenURL: app.OAuth.TokenURL, ClientID: app.OAuth.ClientID, Scope: app.OAuth.Scope, InBody: app.OAuth.InBody}
		cc.OAuth.Secret, err = app.OAuth.Secret.Reveal()
	default:
		if cc.Token, err = app.Token.Reveal(); err == nil {
			err = checkOwnToken(cc.Token)
		}
	}
	if err == nil && app.CA != "" {
		cc.RootCAs, err = trusted(string(app.CA))
	}
	if err == nil && a.metrics != nil {
		cc.Transport = newCounting(cc.RootCAs, a.metrics)
	}
	return cc, err
}

// checkOwnToken finds out whether a token of another dirsync was copied as a whole, before anybody is asked with it.
func checkOwnToken(token string) error {
	if !strings.HasPrefix(token, server.TokenPrefix) {
		return nil // of some other application, which alone knows
	}
	if err := server.CheckToken(token); err != nil {
		return &dirsync.Error{Op: "read the token, which is one of a dirsync", Kind: dirsync.Invalid, Err: err,
			Hint: "dirsync token create, or rotate, there has shown it. It begins with " + server.TokenPrefix + "; what is kept of it cannot be shown again."}
	}
	return nil
}

// trusted reads the certificates that are trusted instead of the system's.
func trusted(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the trusted certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("read the trusted certificates: " + path + " holds no PEM certificate")
	}
	return pool, nil
}
