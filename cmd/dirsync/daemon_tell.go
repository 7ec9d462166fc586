package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"dirsync/notify"
)

// teller is a notifier that delivers in the background. A reload makes a new one; what was told and not delivered is in the
// store, where the next one finds it.
type teller struct {
	*notify.Notifier
	cancel context.CancelFunc
	done   chan struct{}
}

// newTeller makes the notifier of a configuration. Nothing is delivered before start.
func (d *daemon) newTeller(cfg *Config) (*teller, error) {
	n, err := newNotifier(d.app, cfg, newNotifyStore(d.st))
	if err != nil {
		return nil, err
	}
	return &teller{Notifier: n}, nil
}

// start delivers until stop is called. It goes on while the runs end, so ctx is not what stops it.
func (t *teller) start(ctx context.Context) {
	ctx, t.cancel = context.WithCancel(context.WithoutCancel(ctx))
	t.done = make(chan struct{})
	go func() {
		defer close(t.done)
		_ = t.Run(ctx) // it returns nil, and logs what it meets
	}()
}

// stop breaks off what is being delivered; the outbox knows how far it was.
func (t *teller) stop() {
	if t.cancel != nil {
		t.cancel()
		<-t.done
	}
}

// tell takes in news. What cannot be stored is in the log at least.
func (d *daemon) tell(ctx context.Context, news ...notify.News) {
	if len(news) == 0 {
		return
	}
	if err := d.telling().Tell(context.WithoutCancel(ctx), d.now(), news...); err != nil {
		d.log.Error().Err(err).Str("news", news[0].Headline()).Msg("the news could not be stored, so nobody is told")
	}
}

// newNotifier joins the parts that a configuration names.
func newNotifier(a *app, cfg *Config, box notifyStore) (*notify.Notifier, error) {
	n := cfg.Notify
	c := notify.Config{Policy: notify.Policy{Window: time.Duration(n.Window)}, Retry: notify.DefaultRetry(),
		Syncs: map[string][]notify.Recipient{}, Outbox: box, Inbox: box, Log: a.log}
	for _, d := range n.Repeat {
		c.Policy.Repeat = append(c.Policy.Repeat, time.Duration(d))
	}
	for name, sc := range cfg.Syncs {
		list := []notify.Recipient{}
		for _, r := range slices.Concat(n.Recipients, sc.Notify) {
			list = append(list, r.recipient())
		}
		c.Syncs[name] = list
	}
	if cfg.Serve.SCIM != nil {
		c.Syncs[pushed] = []notify.Recipient{}
		for _, r := range n.Recipients {
			c.Syncs[pushed] = append(c.Syncs[pushed], r.recipient())
		}
	}
	if n.SMTP.Host != "" {
		settings := n.SMTP.settings()
		var err error
		if settings.Roots, err = certificates(n.SMTP.CA); err != nil {
			return nil, err
		}
		if c.Mail, err = notify.NewSMTP(settings); err != nil {
			return nil, err
		}
	}
	if n.Graph.Tenant != "" {
		var err error
		if c.Mail, err = newGraphMailer(a, cfg.Tenants[n.Graph.Tenant], n.Graph); err != nil {
			return nil, err
		}
	}
	add := func(name string, syncs []string, s notify.Sender, err error) error {
		c.Channels = append(c.Channels, notify.Channel{Name: name, Sender: s, Syncs: syncs})
		return err
	}
	var errs []error
	for _, p := range n.Teams {
		s, err := notify.NewTeams(notify.Teams{Address: p.URL.whenUsed()})
		errs = append(errs, add(p.Name, p.Syncs, s, err))
	}
	for _, p := range n.Chat {
		s, err := notify.NewChat(p.URL.whenUsed())
		errs = append(errs, add(p.Name, p.Syncs, s, err))
	}
	for _, w := range n.Webhooks {
		hook := notify.Webhook{Address: w.URL.reveal(), Private: w.Private}
		for _, secret := range w.Secrets {
			hook.Secrets = append(hook.Secrets, secret.whenUsed())
		}
		s, err := notify.NewWebhook(hook)
		errs = append(errs, add(w.Name, w.Syncs, s, err))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return notify.New(c)
}

// certificates reads what is trusted instead of the system's certificates; nil for those.
func certificates(path FilePath) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(string(path))
	if err != nil {
		return nil, fmt.Errorf("read the trusted certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("read the trusted certificates: " + string(path) + " holds no PEM certificate")
	}
	return pool, nil
}
