package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"dirsync"
	"dirsync/graph"
	"dirsync/notify"
)

// GraphMailConfig is a mailbox of a tenant that sends e-mail through Microsoft Graph. Its zero value sends no mail.
type GraphMailConfig struct {
	// Tenant is the name of one of the tenants of the configuration, whose application sends.
	Tenant string `yaml:"tenant"`
	// From is the address of the mailbox.
	From string `yaml:"from"`
}

// checkGraphMail checks the mailbox, and that there is no mail server besides it.
func (d *decoder) checkGraphMail(path string, g GraphMailConfig, c *Config) {
	if !d.said(path) || d.broken(path) {
		return
	}
	if d.said("notify.smtp") {
		d.faultAt(path, "is there besides notify.smtp; e-mail goes one way, so take one of them out")
	}
	if at := path + ".tenant"; d.required(at, g.Tenant, "the name of a tenant of this file: contoso") && c.Tenants[g.Tenant] == nil && !d.failed(at) && !d.failed("tenants") {
		d.unknownName(at, g.Tenant, "tenant", slices.Sorted(maps.Keys(c.Tenants)))
	}
	if at := path + ".from"; d.required(at, g.From, "the address of the mailbox that mail comes from: dirsync@example.com") && !isAddress(g.From) && !d.failed(at) {
		d.faultAt(at, "is %s, which is no e-mail address; write only the address of the mailbox, dirsync@example.com: the name that is shown is the mailbox's own", quoted(g.From))
	}
}

// graphMailer is a notify.Sender of e-mail through Microsoft Graph. Exchange does not recognise a mail that comes twice,
// so it is not repeatable.
type graphMailer struct {
	client *graph.Client
	from   string
}

// newGraphMailer makes a connection of its own: a mailbox that may send no more for a while must not make the reading of
// the tenant wait. Nothing is sent yet.
func newGraphMailer(a *app, t *Tenant, g GraphMailConfig) (notify.Sender, error) {
	client, err := a.client(t)
	if err != nil {
		return nil, fmt.Errorf("notify.graph: tenant %s: %w", g.Tenant, err)
	}
	return graphMailer{client: client, from: g.From}, nil
}

// Send sends one message to m.To.Address, with the same subject and HTML as by SMTP. That the mailbox is not there is an
// error of kind Permission here, because every message would meet it.
func (s graphMailer) Send(ctx context.Context, m notify.Message) (string, error) {
	// Mails are rare, so that no connection is kept for the next.
	defer s.client.Close()
	subject, _, html, err := notify.Render(m)
	if err != nil {
		return "", &dirsync.Error{Op: "send mail", Kind: dirsync.Invalid, Err: err}
	}
	err = s.client.SendMail(ctx, s.from, graph.Mail{ID: m.ID, Subject: subject, HTML: html,
		To: []graph.MailAddress{{Name: m.To.Name, Address: m.To.Address}}})
	switch e, ok := errors.AsType[*dirsync.Error](err); {
	case err == nil:
		return "Microsoft Graph has accepted it", nil
	case !ok:
		return "", err
	case errors.Is(err, graph.ErrMailUnsure):
		return "", &dirsync.Error{Op: e.Op, Kind: e.Kind, RetryAt: e.RetryAt, Hint: e.Hint, Err: fmt.Errorf("%w: %w", notify.ErrUnsure, e.Err)}
	case e.Kind == dirsync.NotFound:
		return "", &dirsync.Error{Op: e.Op, Kind: dirsync.Permission, Hint: e.Hint, Err: e.Err}
	}
	return "", err
}
