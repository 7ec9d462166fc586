package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"dirsync"
	"dirsync/web"
)

// glance is how everything stood a moment ago. While a run is under way, the daemon answers from it, without waiting for the
// disk and for the run: whoever watches a long run gets an answer at once, however many people it is about. It is the
// run itself that brings it up to date, between its batches.
type glance struct {
	mu   sync.Mutex
	view *web.Status
	// due is when it is worth while to look again.
	due time.Time
	// looking is held by whoever looks.
	looking sync.Mutex
}

// glanceEvery is how old a glance may become while a run gets on, and glanceShare how much of a run's time, one part of so
// many, looking may take.
const (
	glanceEvery = time.Second
	glanceShare = 50
)

// look brings the glance up to date, if it is time.
func (d *daemon) look(ctx context.Context) {
	if !d.glance.looking.TryLock() {
		return
	}
	defer d.glance.looking.Unlock()
	d.glance.mu.Lock()
	due := d.glance.due
	d.glance.mu.Unlock()
	began := time.Now()
	if began.Before(due) {
		return
	}
	v, err := d.standing(ctx)
	d.glance.mu.Lock()
	defer d.glance.mu.Unlock()
	d.glance.view, d.glance.due = &v, time.Now().Add(max(glanceEvery, glanceShare*time.Since(began)))
	if err != nil {
		d.glance.view = nil // whoever asks is told why
	}
}

// lookAway forgets the glance, because a run has ended.
func (d *daemon) lookAway() {
	d.glance.mu.Lock()
	defer d.glance.mu.Unlock()
	d.glance.view, d.glance.due = nil, time.Time{}
}

// glimpse is the glance, with what is known without asking the store; false if no run is under way.
func (d *daemon) glimpse() (web.Status, bool) {
	runs := map[string]*web.Progress{}
	workers := d.all()
	for _, w := range workers {
		if p, ok := d.feed.Last(w.name); ok && p.Status == string(dirsync.Running) {
			runs[w.name] = &p
		}
	}
	d.glance.mu.Lock()
	seen := d.glance.view
	d.glance.mu.Unlock()
	if len(runs) == 0 || seen == nil {
		return web.Status{}, false
	}
	v := *seen
	d.mu.Lock()
	v.Problem = d.problem
	d.mu.Unlock()
	if err := d.awake(); err != nil {
		v.Ready, v.Problem = false, err.Error()
	}
	if now := d.pushStanding(); now != nil && v.SCIM != nil {
		now.Users, now.Groups = v.SCIM.Users, v.SCIM.Groups
		v.SCIM = now
	}
	v.Syncs = slices.Clone(seen.Syncs)
	for i := range v.Syncs {
		s := &v.Syncs[i]
		if s.LastRun != nil {
			last := *s.LastRun
			s.LastRun = &last
		}
		s.Running = runs[s.Name]
	}
	return v, true
}
