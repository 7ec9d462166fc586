package main

import (
	"context"
	"strings"
	"time"

	"dirsync"
	"dirsync/scim/server"
	"dirsync/store"
	"dirsync/web"
)

// pushTally is what the doorway remembers of requests: what was answered since the start, and the last one of each token.
type pushTally struct {
	since time.Time
	// classes are counts by the hundreds of the status, waits those who were turned away without a look at their token.
	classes [6]int
	waits   int
	last    map[string]pushEntry
}

// answered counts a request that was answered.
func (d *doorway) answered(e server.Event) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if class := e.Status / 100; class > 0 && class < len(d.tally.classes) {
		d.tally.classes[class]++
	}
	if e.Token != "" {
		d.tally.last[e.Token] = viewEvent(e)
	}
}

// began says since when is counted, and what is remembered of the time before.
func (d *doorway) began(at time.Time, before map[string]pushEntry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tally.since, d.tally.last = at, before
}

// figures are what was answered, and the last request of each token.
func (d *doorway) figures(tokens []scimToken) (*web.SCIMAnswered, map[string]pushEntry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	last := map[string]pushEntry{}
	for _, t := range tokens {
		if e, ok := d.tally.last[t.Name]; ok {
			last[t.Name] = e
		}
	}
	c := d.tally.classes
	return &web.SCIMAnswered{Since: d.tally.since, Done: c[2], Unchanged: c[3], Refused: c[4], Failed: c[5], TurnedAway: d.tally.waits}, last
}

// expires is when the certificate ends; zero if there is none.
func (f *certificateFiles) expires() time.Time {
	if f == nil {
		return time.Time{}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pair.Leaf.NotAfter
}

// pushStanding says how the SCIM server of a daemon stands, from memory alone but for counts, which are left out; nil if there
// is none.
func (d *daemon) pushStanding() *web.SCIMStatus {
	if d.pushing == nil {
		return nil
	}
	cfg := d.config()
	v := &web.SCIMStatus{Listen: d.entrance.Addr(), Listening: true, URL: d.scimURL(cfg), FedBy: cfg.Directory.FedBy.String(),
		CertificateExpires: d.entrance.files.expires()}
	tokens := d.pushing.tokens.list()
	var last map[string]pushEntry
	v.Answered, last = d.entrance.figures(tokens)
	v.Tokens = viewTokens(tokens, last, d.now())
	v.OpenHolds, v.Held = d.pushing.guard.glance()
	return v
}

// pushStatus is pushStanding with the counts, for which the store is asked.
func (d *daemon) pushStatus(ctx context.Context) (*web.SCIMStatus, error) {
	v := d.pushStanding()
	if v == nil {
		return nil, nil //nolint:nilnil // there is none
	}
	return v, countPushed(ctx, d.pushing.resources, v)
}

func countPushed(ctx context.Context, resources dirsync.ResourceStore, v *web.SCIMStatus) (err error) {
	if v.Users, err = resources.CountResources(ctx, dirsync.KindUser); err == nil {
		v.Groups, err = resources.CountResources(ctx, dirsync.KindGroup)
	}
	return err
}

func viewTokens(tokens []scimToken, last map[string]pushEntry, now time.Time) []web.SCIMToken {
	views := []web.SCIMToken{}
	for _, t := range tokens {
		v := web.SCIMToken{Name: t.Name, LastUsed: t.Used, Expires: t.Expires, Expired: t.expired(now)}
		if e, ok := last[t.Name]; ok {
			r := e.SCIMRequest
			v.LastRequest = &r
		}
		views = append(views, v)
	}
	return views
}

// feedStatus is where the SCIM server stands, as programs read it.
type feedStatus struct {
	web.SCIMStatus
	// Holds are the open ones.
	Holds []heldView `json:"holds"`
	open  []dirsync.Hold
}

// statusOfPushing says where the SCIM server stands; nil if the configuration has none. Without a daemon it is what the store,
// the history and the files know.
func (a *app) statusOfPushing(ctx context.Context, cfg *Config, st *store.Store) (*feedStatus, error) {
	if cfg.Serve.SCIM == nil {
		return nil, nil //nolint:nilnil // there is none
	}
	v := &feedStatus{Holds: []heldView{}}
	var guard *pushGuard
	if a.host != nil && a.host.pushing != nil {
		s, err := a.host.pushStatus(ctx)
		if err != nil {
			return nil, err
		}
		v.SCIMStatus, guard = *s, a.host.pushing.guard
	} else {
		p, err := a.pushStopped(ctx, cfg, st, &v.SCIMStatus)
		if err != nil {
			return nil, err
		}
		guard = p.guard
	}
	holds, err := guard.listed(ctx)
	if err != nil {
		return nil, err
	}
	v.open, v.OpenHolds, v.Held = holds, len(holds), 0
	for _, h := range holds {
		v.Held += h.People
		v.Holds = append(v.Holds, viewHeld(h, a.now()))
	}
	return v, nil
}

// pushStopped fills in how a SCIM server stands that does not run.
func (a *app) pushStopped(ctx context.Context, cfg *Config, st *store.Store, v *web.SCIMStatus) (*pushing, error) {
	check := a.checkPushing(cfg)
	v.Listen, v.URL, v.FedBy, v.CertificateExpires = cfg.Serve.SCIM.Listen, check.URL, cfg.Directory.FedBy.String(), check.CertificateExpires
	tokens, err := openTokens(ctx, st, a.now)
	if err != nil {
		return nil, err
	}
	v.Tokens = viewTokens(tokens.list(), lastOfTokens(pushFolder(cfg)), a.now())
	p, err := newPushing(a, cfg, st, tokens)
	if err != nil {
		return nil, err
	}
	return p, countPushed(ctx, p.resources, v)
}

func (a *app) printPushing(v *feedStatus) error {
	if v == nil {
		return nil
	}
	now := a.now()
	a.printf("SCIM server at %s\n", clean(v.URL))
	by := "syncs fill; SCIM clients may read"
	if v.FedBy == string(FedBySCIM) {
		by = "SCIM clients fill"
	}
	a.fact("directory", "%s and %s, which %s", counted(v.Users, "user", "users"), counted(v.Groups, "group", "groups"), by)
	if v.Listening {
		a.fact("listens at", "%s", v.Listen)
	} else {
		a.fact("listens at", "%s, when the daemon runs; it does not now", v.Listen)
	}
	if !v.CertificateExpires.IsZero() {
		a.fact("certificate", "expires %v", plainly(expiry(v.CertificateExpires, now)))
	}
	if n := v.Answered; n != nil {
		text := number(n.Done+n.Unchanged) + " done, " + number(n.Refused) + " refused, " + number(n.Failed) + " failed"
		if n.TurnedAway > 0 {
			text += ", " + number(n.TurnedAway) + " turned away after too many wrong tokens"
		}
		a.fact("requests", "%s; since the start %s", text, when(n.Since, now))
	}
	for _, h := range v.open {
		a.fact("held", "%s: decide with dirsync holds %s", heldWhat(h), h.Name())
	}
	if len(v.Tokens) == 0 {
		a.fact("tokens", "none, so nobody can use it; dirsync token create NAME makes one")
		return nil
	}
	a.printf("\n")
	t := NewTable(a.style, "TOKEN", "LAST USED", "LAST REQUEST", "STATUS", "ENDS")
	for _, k := range v.Tokens {
		what, status := "", painted{plain, ""}
		if r := k.LastRequest; r != nil {
			what, status.value = strings.TrimSpace(r.Method+" "+r.Resource+" "+orElse(r.Name, r.ID)), r.Status
			if r.Status >= 400 {
				status.color = red
			}
		}
		used := k.LastUsed
		if k.LastRequest != nil && k.LastRequest.Time.After(used) {
			used = k.LastRequest.Time
		}
		t.Row(k.Name, when(used, now), what, status, endOf(k.Expires, k.Expired))
	}
	return t.Write(a.stdout)
}
