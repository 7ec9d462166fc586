package main

import (
	"context"
	"fmt"
	"time"

	"dirsync"
	"dirsync/notify"
)

// How often the daemon looks after what no run reports.
const (
	// lookEvery is how often it looks whether anything below is due.
	lookEvery = time.Minute
	// probeEvery is how often it asks a tenant that lets nobody in.
	probeEvery = time.Hour
	// credentialEvery is how often it looks when credentials end.
	credentialEvery = 24 * time.Hour
	// overdueEvery is how often it looks for syncs without a success.
	overdueEvery = 15 * time.Minute
)

// expiryWarnings are how long before the end of a credential people are told, the earliest first.
func expiryWarnings() []time.Duration {
	const day = 24 * time.Hour
	return []time.Duration{30 * day, 14 * day, 7 * day, day}
}

// housekeep looks after what no run reports, until ctx ends: syncs without a success, credentials that end, and tenants
// that let nobody in.
func (d *daemon) housekeep(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var overdue, credentials time.Time
	probes := map[string]time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := d.now()
		if elapsed(now, overdue) >= overdueEvery {
			overdue = now
			d.lookForOverdue(ctx, now)
		}
		if elapsed(now, credentials) >= credentialEvery {
			credentials = now
			d.lookAtCredentials(ctx, now)
			d.lookAtTokens(ctx, now)
		}
		for _, w := range d.all() {
			if _, p := w.state(); p == nil || elapsed(now, probes[w.name]) < probeEvery && !probes[w.name].Before(p.Since) {
				continue
			}
			if probes[w.name].IsZero() {
				probes[w.name] = now // it has been asked just now, by whatever failed
				continue
			}
			probes[w.name] = now
			w.probe(ctx)
		}
	}
}

// elapsed is how long ago a moment was, whatever the clock did; for the zero time, for ever.
func elapsed(now, then time.Time) time.Duration {
	if then.IsZero() || now.Before(then) {
		return 1<<63 - 1
	}
	return now.Sub(then)
}

// probe asks both ends of the sync whether they let us in again.
func (w *worker) probe(ctx context.Context) {
	cfg := w.d.config()
	sc := cfg.Syncs[w.name]
	if sc == nil {
		return
	}
	if err := w.d.reach(ctx, cfg, sc); err != nil {
		w.d.log.Info().Str("sync", w.name).Err(err).Msg("it still lets nobody in")
		return
	}
	w.resume(ctx, true)
}

// reach finds out whether both ends of a sync let us in.
func (d *daemon) reach(ctx context.Context, cfg *Config, sc *Sync) error {
	from, err := d.origin(cfg, d.st, sc, false)
	if err != nil {
		return err
	}
	defer from.close()
	if tenant, ok := from.(entraOrigin); ok {
		_, err = tenant.client.CheckFor(ctx, needs(cfg, sc.From.Entra))
	} else {
		err = from.verify(ctx)
	}
	if err != nil {
		return err
	}
	to, err := d.destination(cfg, d.st, sc, false)
	if err != nil {
		return err
	}
	defer to.close()
	return to.verify(ctx)
}

// lookAtCredentials warns of credentials that end soon. Only some kinds say when they end.
func (d *daemon) lookAtCredentials(ctx context.Context, now time.Time) {
	cfg := d.config()
	for _, w := range d.all() {
		sc := cfg.Syncs[w.name]
		if _, p := w.state(); sc == nil || p != nil {
			continue
		}
		for _, tenant := range []string{sc.From.Entra, sc.To.Entra} {
			if tenant != "" {
				d.lookAtCredential(ctx, cfg, w.name, tenant, now)
			}
		}
	}
}

func (d *daemon) lookAtCredential(ctx context.Context, cfg *Config, sync, tenant string, now time.Time) {
	client, err := d.client(cfg.Tenants[tenant])
	if err != nil {
		d.log.Warn().Str("tenant", tenant).Err(err).Msg("the credential cannot be read")
		return
	}
	defer client.Close()
	report, err := client.CheckFor(ctx, needs(cfg, tenant))
	if !report.CredentialExpires.IsZero() {
		d.metrics.Credential(tenant, report.CredentialExpires)
		d.tell(ctx, expiryNews(sync, tenant, report.CredentialExpires, now))
	} else if err != nil && ctx.Err() == nil {
		d.log.Warn().Str("tenant", tenant).Err(err).Msg("the credential could not be looked at")
	}
}

// expiryNews says that a credential ends soon, or that it does not. Each of the warnings is news of its own.
func expiryNews(sync, tenant string, ends, now time.Time) notify.News {
	left := ends.Sub(now)
	n := notify.News{Kind: notify.Recovered, Sync: sync, At: now, Ends: []notify.Kind{notify.CredentialExpiring}}
	for _, warning := range expiryWarnings() {
		if left > warning {
			continue
		}
		n.Kind, n.Ends = notify.CredentialExpiring, nil
		n.Fingerprint = notify.Fingerprint(tenant) + "-" + warning.String() + "-" + ends.UTC().Format(time.DateOnly)
	}
	if n.Kind == notify.CredentialExpiring {
		n.Reason = fmt.Sprintf("the credential of the tenant %s ends on %s; make a new one in the app registration, and put it where the configuration says",
			tenant, ends.UTC().Format(time.DateOnly))
		if left <= 0 {
			n.Reason = fmt.Sprintf("the credential of the tenant %s has ended on %s; nobody can sign in with it any more", tenant, ends.UTC().Format(time.DateOnly))
		}
	}
	return n
}

// lookForOverdue raises the alarm for syncs that have had no success for too long, whatever the reason: the run that never
// begins reports nothing.
func (d *daemon) lookForOverdue(ctx context.Context, now time.Time) {
	cfg := d.config()
	for _, w := range d.all() {
		sc := cfg.Syncs[w.name]
		if sc == nil || sc.Schedule.Schedule.Manual() {
			continue
		}
		last, err := d.lastGood(ctx, w.name)
		if err != nil {
			d.log.Error().Str("sync", w.name).Err(err).Msg("the journal cannot be read")
			continue
		}
		if limit := patience(sc, time.Duration(cfg.Serve.Overdue), now); now.Sub(last) > limit {
			d.log.Error().Str("sync", w.name).Time("since", last).Msg("no run has succeeded for too long")
			d.tell(ctx, notify.News{Kind: notify.Overdue, Sync: w.name, At: now, Fingerprint: "overdue",
				Reason: fmt.Sprintf("no run has succeeded since %s; dirsync status and the log say more", last.UTC().Format("2006-01-02 15:04 MST"))})
		}
	}
}

// patience is how long a sync may be without a success: as configured, and at least a day more than the time between two
// of its runs.
func patience(sc *Sync, overdue time.Duration, now time.Time) time.Duration {
	s := sc.Schedule.Schedule
	first := s.Next(now)
	if first.IsZero() {
		return overdue
	}
	return max(overdue, s.Next(first).Sub(first)+24*time.Hour)
}

// noteKnown is since when a sync is known, for one that never succeeded.
const noteKnown = "known/"

// lastGood is when a run of a sync last ended well, at least in part; without one, since when the sync is known.
func (d *daemon) lastGood(ctx context.Context, name string) (time.Time, error) {
	for before := dirsync.RunID(0); ; {
		runs, err := d.st.Sync(name).Runs(ctx, before, 100)
		if err != nil {
			return time.Time{}, err
		}
		for _, r := range runs {
			if r.Status == dirsync.Success || r.Status == dirsync.PartialSuccess {
				return r.Ended, nil
			}
		}
		if len(runs) < 100 {
			break
		}
		before = runs[len(runs)-1].ID
	}
	return d.knownSince(ctx, name)
}
