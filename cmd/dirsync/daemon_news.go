package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"dirsync"
	"dirsync/notify"
	"dirsync/store"
	"dirsync/sync/schedule"
	"dirsync/web"
)

// pause says that nothing scheduled runs, because the tenant lets nobody in: every run would fail in the same way, and
// knock on a door whose owner has shut it.
type pause struct {
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"`
	// Hint says what a person can do about it.
	Hint string `json:"hint,omitempty"`
	// Missed says that a run or a reading was left out since.
	Missed bool `json:"missed,omitempty"`
}

// shut tells errors that stay until a person at the tenant does something.
func shut(err error) bool {
	kind := dirsync.KindOf(err)
	return kind == dirsync.Unauthorized || kind == dirsync.Permission
}

// skips tells whether a run is left out because the sync is paused. Whoever asks for a run gets one: it is the surest way
// to find out whether the door is open again.
func (w *worker) skips(todo schedule.Todo) bool {
	w.mu.Lock()
	p := w.paused
	w.mu.Unlock()
	if p == nil || todo.Asked {
		return false
	}
	missed := *p
	missed.Missed = true
	w.keepPause(&missed)
	w.d.log.Warn().Str("sync", w.name).Str("reason", p.Reason).Msg("a run was left out, because the schedule is paused")
	return true
}

// keepPause pauses the schedule, or for nil lets it go on.
func (w *worker) keepPause(p *pause) {
	w.mu.Lock()
	w.paused = p
	w.mu.Unlock()
	var v any
	if p != nil {
		v = p
	}
	if err := w.d.keepNote(notePause+w.name, v); err != nil {
		w.d.log.Error().Str("sync", w.name).Err(err).Msg("it could not be stored that the schedule is paused")
	}
}

// stumble looks at why a run or a reading failed, and pauses the schedule if there is no use in trying.
func (w *worker) stumble(ctx context.Context, err error) {
	_, paused := w.state()
	if !shut(err) || paused != nil {
		return
	}
	p := &pause{Since: w.d.now(), Reason: err.Error(), Hint: dirsync.HintOf(err), Missed: true}
	w.keepPause(p)
	w.d.log.Error().Str("sync", w.name).Err(err).Str("hint", p.Hint).Msg("the schedule is paused until the tenant lets us in again; it is asked every hour")
	w.d.tell(ctx, notify.News{Kind: notify.ConsentWithdrawn, Sync: w.name, At: p.Since, Reason: sentence(p.Reason, p.Hint),
		Fingerprint: notify.Fingerprint(fmt.Sprint(dirsync.KindOf(err)))})
}

// resume lets a paused schedule go on, and makes up for what was left out.
func (w *worker) resume(ctx context.Context, run bool) {
	_, p := w.state()
	if p == nil {
		return
	}
	w.keepPause(nil)
	w.d.log.Info().Str("sync", w.name).Time("since", p.Since).Msg("the tenant lets us in again; the schedule goes on")
	w.d.tell(ctx, notify.News{Kind: notify.Recovered, Sync: w.name, At: w.d.now(), Ends: []notify.Kind{notify.ConsentWithdrawn}})
	if run && p.Missed {
		if err := w.applying.MakeUp(ctx); err != nil && !errors.Is(err, schedule.ErrOver) {
			w.notStored(err)
		}
	}
}

// outcome tells what came of a run, and pauses or resumes the schedule.
func (w *worker) outcome(ctx context.Context, r dirsync.Run, err error) {
	if err != nil {
		w.stumble(ctx, err)
	} else {
		w.resume(ctx, false)
	}
	if r.Status == "" { // the store itself could not be written
		r = dirsync.Run{Sync: w.name, Status: dirsync.Failure, Ended: w.d.now(), Error: err.Error()}
	}
	rows, total := w.left(ctx, r)
	news := notify.OfRun(r, rows, total, "")
	if r.Status == dirsync.PartialSuccess {
		// It has reached the tenant and the target, whoever was left behind.
		news = append(news, notify.News{Kind: notify.Recovered, Sync: w.name, Run: r.ID, At: r.Ended, Counts: r.Counts,
			Ends: []notify.Kind{notify.Overdue, notify.ConsentWithdrawn}})
	}
	if err != nil && len(news) > 0 && news[0].Kind == notify.RunFailed {
		news[0].Reason = sentence(news[0].Reason, dirsync.HintOf(err))
	}
	if shut(err) {
		news = nil // that the schedule is paused says it all
	}
	w.d.tell(ctx, news...)
}

// sentence joins an error and its hint.
func sentence(reason, hint string) string {
	if hint == "" {
		return reason
	}
	return reason + ". " + hint
}

// left lists the first people whom a run left as they were, and counts them all: those who stand rejected, and those whose
// last change failed, in this run or, if they were not due again, in one before.
func (w *worker) left(ctx context.Context, r dirsync.Run) (rows []notify.Row, total int) {
	if r.Status != dirsync.PartialSuccess {
		return nil, 0
	}
	s := w.d.st.Sync(w.name)
	rejected, err := rejections(ctx, s, notify.MaxRows)
	for _, v := range rejected {
		rows = append(rows, notify.Row{Who: orElse(v.User, v.ID), What: v.Field, Why: v.Reason})
	}
	total = r.Counts.Rejected
	for _, y := range []*store.Sync{s, s.Groups()} {
		totals, e := y.Totals(ctx)
		_, failing, e2 := y.Failing(ctx, max(0, notify.MaxRows-len(rows)))
		total += totals.Failing
		err = errors.Join(err, e, e2)
		for _, p := range failing {
			row := notify.Row{Who: string(p.ID), Why: p.Owed.Error}
			if last, e := y.ChangesOf(ctx, p.Seq, 1); e == nil && len(last) > 0 {
				row.Who, row.What = orElse(last[0].Outcome.Change.User, row.Who), last[0].Outcome.Change.Kind.String()
			}
			rows = append(rows, row)
		}
	}
	if err != nil {
		w.d.log.Error().Str("sync", w.name).Err(err).Msg("the people whom the run left as they were could not be listed")
	}
	return rows, total
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// ran counts a run and writes one line about it.
func (d *daemon) ran(ctx context.Context, name string, r dirsync.Run) {
	if r.Sync == "" {
		r.Sync = name
	}
	if r.Status != "" {
		d.metrics.RunEnded(r)
	}
	line := d.log.Info()
	if r.Status != dirsync.Success {
		line = d.log.Warn()
	}
	c := r.Counts
	line.Str("sync", name).Uint64("run", uint64(r.ID)).Str("status", string(r.Status)).Dur("took", r.Ended.Sub(r.Started)).
		Int("read", c.Read).Int("created", c.Created).Int("updated", c.Updated).Int("deactivated", c.Deactivated).
		Int("reactivated", c.Reactivated).Int("deleted", c.Deleted).Int("rejected", c.Rejected).Int("held", c.Held).Int("failed", c.Failed)
	if r.Error != "" {
		line.Str("error", r.Error)
	}
	line.Msg("the run has ended")
	d.measure(ctx, name)
}

// known shows the metrics of a sync before it has run.
func (d *daemon) known(ctx context.Context, name string) {
	runs, err := d.st.Sync(name).Runs(ctx, 0, 500)
	if err != nil {
		return
	}
	if since, err := d.knownSince(ctx, name); err == nil {
		if sc := d.config().Syncs[name]; sc != nil && sc.Schedule.Schedule.Manual() {
			since = time.Time{} // nobody misses a run that nobody asks for
		}
		d.metrics.Known(name, since, runs)
	}
	d.measure(ctx, name)
}

// measure brings the gauges up to date.
func (d *daemon) measure(ctx context.Context, name string) {
	s := d.st.Sync(name)
	if t, err := s.Totals(ctx); err == nil {
		d.metrics.Totals(name, t)
	}
	if holds, err := openHolds(ctx, s); err == nil {
		d.metrics.Holds(name, holds)
	}
	if sc := d.config().Syncs[name]; sc != nil {
		if r, err := readingsOf(ctx, sc, s); err == nil {
			d.metrics.Token(name, "users", r.users.Completed)
			if r.groups != nil {
				d.metrics.Token(name, "groups", r.groups.Completed)
			}
		}
	}
	if info, err := os.Stat(d.st.Path()); err == nil {
		d.metrics.StoreSize(info.Size())
	}
	if box, err := d.outbox(ctx); err == nil {
		d.metrics.Outbox(box)
	}
}

// openHolds lists what waits for approval, of people and of groups.
func openHolds(ctx context.Context, s *store.Sync) ([]dirsync.Hold, error) {
	var open []dirsync.Hold
	for _, part := range []*store.Sync{s, s.Groups()} {
		holds, err := part.Holds(ctx, 0, 100)
		if err != nil {
			return nil, err
		}
		for _, h := range holds {
			if h.Status == dirsync.HoldOpen {
				open = append(open, h)
			}
		}
	}
	return open, nil
}

// outbox counts the messages that have not arrived, as far as a page of each reaches.
func (d *daemon) outbox(ctx context.Context) (web.Outbox, error) {
	var box web.Outbox
	messages := newNotifyStore(d.st)
	for _, count := range []struct {
		status notify.Status
		to     *int
	}{{notify.Waiting, &box.Waiting}, {notify.GivenUp, &box.GivenUp}, {notify.Unsure, &box.Unsure}} {
		list, err := messages.Messages(ctx, count.status, nil, 1000)
		if err != nil {
			return box, err
		}
		if *count.to = len(list); len(list) > 0 && count.status == notify.Waiting {
			box.Oldest = list[len(list)-1].Created
		}
	}
	return box, nil
}
