package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"dirsync"
	"dirsync/notify"
	"dirsync/store"
	"dirsync/web"
)

// The daemon answers for the API itself.
var _ web.Daemon = (*daemon)(nil)

// runName is a run's number as the API has it, and "" for none.
func runName(id dirsync.RunID) string {
	if id == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(id), 10)
}

// Status implements web.Observer.
func (d *daemon) Status(ctx context.Context) (web.Status, error) {
	if v, ok := d.glimpse(); ok {
		return v, nil
	}
	return d.standing(ctx)
}

// standing says how everything stands, in a few reads of the store.
func (d *daemon) standing(ctx context.Context) (web.Status, error) {
	v := web.Status{Version: version(), Started: d.started, Ready: true}
	d.mu.Lock()
	v.Problem = d.problem
	d.mu.Unlock()
	if err := d.Ready(ctx); err != nil {
		v.Ready, v.Problem = false, err.Error()
	}
	for _, w := range d.all() {
		s, err := w.status(ctx)
		if err != nil {
			return v, err
		}
		v.Syncs = append(v.Syncs, s)
	}
	if info, err := os.Stat(d.st.Path()); err == nil {
		v.StoreBytes = info.Size()
	}
	var err error
	if v.SCIM, err = d.pushStatus(ctx); err != nil {
		return v, err
	}
	v.Outbox, err = d.outbox(ctx)
	return v, err
}

// Sync implements web.Observer.
func (d *daemon) Sync(ctx context.Context, name string) (web.SyncStatus, error) {
	w, err := d.worker(name)
	if err != nil {
		return web.SyncStatus{}, err
	}
	if v, ok := d.glimpse(); ok {
		if i := slices.IndexFunc(v.Syncs, func(s web.SyncStatus) bool { return s.Name == name }); i >= 0 {
			return v.Syncs[i], nil
		}
	}
	return w.status(ctx)
}

// status says how a sync stands, in a few reads of the store.
func (w *worker) status(ctx context.Context) (web.SyncStatus, error) {
	cfg, s := w.d.config(), w.d.st.Sync(w.name)
	sc := cfg.Syncs[w.name]
	if sc == nil { // it has just been taken away
		return web.SyncStatus{Name: w.name}, nil
	}
	state, paused := w.state()
	v := web.SyncStatus{Name: w.name, Source: sc.From.String(), Target: sc.To.String(), Schedule: sc.Schedule.Schedule.String(), Next: state.Next}
	if paused != nil {
		v.Paused, v.Problem = true, sentence(paused.Reason, paused.Hint)
	}
	if p, ok := w.d.feed.Last(w.name); ok && p.Status == string(dirsync.Running) {
		v.Running = &p
	}
	runs, err := s.Runs(ctx, 0, 100)
	if err != nil {
		return v, err
	}
	for i, r := range runs {
		if i == 0 {
			last := web.RunView(r)
			v.LastRun = &last
		}
		if r.Status == dirsync.Success || r.Status == dirsync.PartialSuccess {
			v.LastSuccess = r.Ended
			break
		}
	}
	read, err := readingsOf(ctx, sc, s)
	if err != nil {
		return v, err
	}
	if v.LastRead = read.completed(); !v.LastRead.IsZero() {
		v.TokenAge = int64(max(0, w.d.now().Sub(v.LastRead)) / time.Second)
	}
	totals, err := s.Totals(ctx)
	if err != nil {
		return v, err
	}
	v.Totals = web.TotalsView(totals)
	open, err := openHolds(ctx, s)
	v.OpenHolds = len(open)
	return v, err
}

// Progress implements web.Observer.
func (d *daemon) Progress(ctx context.Context, sync string) (<-chan web.Progress, error) {
	if _, err := d.worker(sync); err != nil {
		return nil, err
	}
	return d.feed.Watch(ctx, sync), nil
}

// SyncNow implements web.Observer.
func (d *daemon) SyncNow(ctx context.Context, sync, by string) error {
	return d.syncNow(ctx, []string{sync}, by)
}

// Runs implements web.Journal.
func (d *daemon) Runs(ctx context.Context, sync string, before dirsync.RunID, limit int) ([]web.Run, error) {
	if _, err := d.worker(sync); err != nil {
		return nil, err
	}
	runs, err := d.st.Sync(sync).Runs(ctx, before, limit)
	if err != nil {
		return nil, err
	}
	out := make([]web.Run, len(runs))
	for i, r := range runs {
		out[i] = web.RunView(r)
	}
	return out, nil
}

// find finds a run, the worker whose it is, and the part of the store that has its changes: a run has a part about groups,
// with a number of its own.
func (d *daemon) find(ctx context.Context, id dirsync.RunID) (*worker, dirsync.Run, *store.Sync, error) {
	for _, w := range d.all() {
		s := d.st.Sync(w.name)
		r, found, err := findRun(ctx, s, id)
		switch {
		case err != nil:
			return nil, r, nil, err
		case found && r.ID != id:
			return w, r, s.Groups(), nil
		case found:
			return w, r, s, nil
		}
	}
	return nil, dirsync.Run{}, nil, &dirsync.Error{Op: fmt.Sprintf("find run %d", id), Kind: dirsync.NotFound, Hint: "dirsync history lists the runs that there are."}
}

// Run implements web.Journal.
func (d *daemon) Run(ctx context.Context, id dirsync.RunID) (web.Run, error) {
	_, r, _, err := d.find(ctx, id)
	if err != nil {
		return web.Run{}, err
	}
	return web.RunView(r), nil
}

// Changes implements web.Journal.
func (d *daemon) Changes(ctx context.Context, run dirsync.RunID, after dirsync.PlanKey, limit int) ([]web.Change, error) {
	_, _, s, err := d.find(ctx, run)
	if err != nil {
		return nil, err
	}
	outcomes, err := s.Outcomes(ctx, run, after, limit)
	if err != nil {
		return nil, err
	}
	out := make([]web.Change, len(outcomes))
	for i, o := range outcomes {
		out[i] = web.ChangeView(o)
	}
	return out, nil
}

// Holds implements web.Safety.
func (d *daemon) Holds(ctx context.Context, sync string, status dirsync.HoldStatus, before dirsync.HoldID, limit int) ([]web.Hold, error) {
	workers := d.all()
	var all []dirsync.Hold
	if sync == "" || sync == pushed && d.pushing != nil {
		var err error
		if all, err = d.pushedHeld(ctx, status, before); err != nil {
			return nil, err
		}
	}
	switch {
	case sync == pushed && d.pushing != nil:
		workers = nil
	case sync != "":
		w, err := d.worker(sync)
		if err != nil {
			return nil, err
		}
		workers = []*worker{w}
	}
	for _, w := range workers {
		for _, part := range []*store.Sync{d.st.Sync(w.name), d.st.Sync(w.name).Groups()} {
			some, err := somePages(func(before dirsync.HoldID) ([]dirsync.Hold, error) { return part.Holds(ctx, before, 100) }, before, limit,
				func(h dirsync.Hold) bool { return status == "" || holdStatus(h, d.now()) == status })
			if err != nil {
				return nil, err
			}
			all = append(all, some...)
		}
	}
	slices.SortFunc(all, func(a, b dirsync.Hold) int { return cmp.Compare(b.ID, a.ID) })
	out := []web.Hold{}
	for _, h := range all[:min(limit, len(all))] {
		out = append(out, d.holdView(h))
	}
	return out, nil
}

// somePages gathers up to limit of the holds that keep wants.
func somePages(page func(dirsync.HoldID) ([]dirsync.Hold, error), before dirsync.HoldID, limit int, keep func(dirsync.Hold) bool) ([]dirsync.Hold, error) {
	var out []dirsync.Hold
	for {
		batch, err := page(before)
		if err != nil {
			return nil, err
		}
		for _, h := range batch {
			if before = h.ID; keep(h) {
				out = append(out, h)
			}
		}
		if len(batch) < 100 || len(out) >= limit {
			return out, nil
		}
	}
}

// holdView is a hold as the API has it; one that has run out of time is expired, even before a run has written that down.
func (d *daemon) holdView(h dirsync.Hold) web.Hold {
	h.Status = holdStatus(h, d.now())
	return web.HoldView(h)
}

// inboxUser finds whose inbox is meant: an account's id, or its e-mail address.
func (d *daemon) inboxUser(ctx context.Context, user string) (string, error) {
	directory, err := d.st.Directory(d.config().Directory.FieldList()...)
	if err != nil {
		return "", err
	}
	account, err := directory.Lookup(ctx, user)
	if dirsync.KindOf(err) == dirsync.NotFound {
		return user, nil // whoever is not in the directory any more may still have notes
	}
	return account.ID, err
}

// Inbox implements web.People.
func (d *daemon) Inbox(ctx context.Context, user string, after web.NoteKey, limit int) (web.Inbox, error) {
	v := web.Inbox{User: user}
	id, err := d.inboxUser(ctx, user)
	if err != nil {
		return v, err
	}
	box := newNotifyStore(d.st)
	if v.Unread, err = box.Unread(ctx, id); err != nil {
		return v, err
	}
	var last *notify.Note
	if after != (web.NoteKey{}) {
		last = &notify.Note{User: id, ID: after.ID, Read: after.Read, At: after.At}
	}
	notes, err := box.Notes(ctx, id, last, limit)
	for _, n := range notes {
		v.Notes = append(v.Notes, web.Note{ID: n.ID, Kind: string(n.Kind), Title: n.Title, Text: n.Text, Link: n.Link, At: n.At, Read: n.Read})
	}
	return v, err
}

// MarkNotes implements web.People.
func (d *daemon) MarkNotes(ctx context.Context, user string, ids []string, read bool) (int, error) {
	id, err := d.inboxUser(ctx, user)
	if err != nil {
		return 0, err
	}
	box := newNotifyStore(d.st)
	if err := box.Mark(ctx, id, ids, read); err != nil {
		return 0, err
	}
	return box.Unread(ctx, id)
}
