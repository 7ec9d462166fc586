package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"dirsync"
	"dirsync/sync/engine"
	"dirsync/web"
)

// joinedParts joins the engines of a sync, of people and of groups. Nobody is asked but for the types of extensions.
func (w *worker) joinedParts(ctx context.Context, how access) ([]part, func(), error) {
	joined, err := w.d.wireFor(ctx, w.d.config(), w.d.st, w.name, how)
	if err != nil {
		return nil, nil, err
	}
	ps, err := parts(ctx, []*wired{joined})
	if err != nil {
		joined.close()
		return nil, nil, err
	}
	return ps, joined.close, nil
}

// whoseHold finds a hold and the worker whose it is.
func (d *daemon) whoseHold(ctx context.Context, id dirsync.HoldID) (*worker, dirsync.Hold, error) {
	for _, w := range d.all() {
		s := d.st.Sync(w.name)
		for _, part := range []interface {
			Holds(context.Context, dirsync.HoldID, int) ([]dirsync.Hold, error)
		}{s, s.Groups()} {
			found, err := part.Holds(ctx, id+1, 1)
			if err != nil {
				return nil, dirsync.Hold{}, err
			}
			if len(found) == 1 && found[0].ID == id {
				return w, found[0], nil
			}
		}
	}
	return nil, dirsync.Hold{}, &dirsync.Error{Op: fmt.Sprintf("find hold %d", id), Kind: dirsync.NotFound, Hint: "dirsync holds lists them."}
}

// Hold implements web.Safety.
func (d *daemon) Hold(ctx context.Context, id dirsync.HoldID) (web.Hold, error) {
	if h, ok, err := d.pushedHold(ctx, id); ok || err != nil {
		return d.holdView(h), err
	}
	_, h, err := d.whoseHold(ctx, id)
	if err != nil {
		return web.Hold{}, err
	}
	return d.holdView(h), nil
}

// withHold calls fn with the engine that a hold is of.
func (d *daemon) withHold(ctx context.Context, id dirsync.HoldID, decides bool, fn func(*engine.Engine, dirsync.Hold) error) error {
	w, h, err := d.whoseHold(ctx, id)
	if err != nil {
		return err
	}
	if decides {
		release, err := w.take(ctx, w.waits)
		if err != nil {
			return err
		}
		defer release()
	}
	ps, done, err := w.joinedParts(ctx, deciding)
	if err != nil {
		return err
	}
	defer done()
	for _, p := range ps {
		if p.groups == h.Groups {
			return fn(p.engine, h)
		}
	}
	return &dirsync.Error{Op: "find hold " + h.Name(), Kind: dirsync.NotFound, Err: errors.New("the sync has no groups any more")}
}

// HeldChanges implements web.Safety.
func (d *daemon) HeldChanges(ctx context.Context, id dirsync.HoldID, after dirsync.PlanKey, limit int) ([]web.HeldChange, error) {
	if h, ok, err := d.pushedHold(ctx, id); ok || err != nil {
		if err != nil {
			return nil, err
		}
		return d.pushedChanges(ctx, h, after, limit)
	}
	var out []web.HeldChange
	err := d.withHold(ctx, id, false, func(e *engine.Engine, h dirsync.Hold) error {
		err := e.HeldChanges(ctx, h, func(c engine.HeldChange) error {
			key := dirsync.PlanKey{Kind: c.Change.Kind, Seq: c.Change.Seq}
			if key.Kind < after.Kind || key.Kind == after.Kind && key.Seq <= after.Seq {
				return nil
			}
			if len(out) == limit {
				return errEnough
			}
			out = append(out, web.HeldChange{Change: web.ChangeView(dirsync.Outcome{Change: c.Change}), Decided: c.Decided})
			return nil
		})
		if errors.Is(err, errEnough) {
			return nil
		}
		return err
	})
	return out, err
}

// Approve implements web.Safety.
func (d *daemon) Approve(ctx context.Context, v web.Verdict) (n int, err error) {
	if h, ok, err := d.pushedHold(ctx, v.Hold); ok && err == nil {
		return d.decidePushed(ctx, h, v, true)
	}
	return d.decide(ctx, v, (*engine.Engine).Approve)
}

// Reject implements web.Safety.
func (d *daemon) Reject(ctx context.Context, v web.Verdict) (n int, err error) {
	if h, ok, err := d.pushedHold(ctx, v.Hold); ok && err == nil {
		return d.decidePushed(ctx, h, v, false)
	}
	return d.decide(ctx, v, (*engine.Engine).Reject)
}

func (d *daemon) decide(ctx context.Context, v web.Verdict, as func(*engine.Engine, context.Context, engine.Verdict) (int, error)) (n int, err error) {
	err = d.withHold(ctx, v.Hold, true, func(e *engine.Engine, h dirsync.Hold) error {
		n, err = as(e, ctx, engine.Verdict{Hold: v.Hold, Digest: v.Digest, People: v.People, By: v.By, Why: v.Why})
		if err == nil {
			d.log.Info().Str("sync", h.Sync).Str("hold", h.Name()).Int("people", n).Str("by", v.By).Msg("a hold was decided")
			d.measure(ctx, h.Sync)
		}
		return err
	})
	changed, ok := errors.AsType[*engine.ChangedError](err)
	if !ok {
		return n, err
	}
	theirs := &web.ChangedError{Count: changed.Count}
	for _, p := range changed.People {
		theirs.People = append(theirs.People, web.ChangedPerson{ID: string(p.ID), User: p.User, Name: p.Name, Now: p.Now})
	}
	return 0, &dirsync.Error{Op: "decide", Kind: dirsync.Conflict, Err: theirs, Hint: dirsync.HintOf(err)}
}

// undoParts finds a run and what there is to take back of it, groups first.
func (d *daemon) undoParts(ctx context.Context, w *worker, r dirsync.Run, u web.Undo) (*undoing, func(), error) {
	ps, done, err := w.joinedParts(ctx, deciding)
	if err != nil {
		return nil, nil, err
	}
	taken := &undoing{w: ps[0].w, run: r}
	slices.Reverse(ps)
	for _, p := range ps {
		up := undoPart{part: p, taking: engine.Taking{Run: r.ID, People: u.People, All: u.All, By: u.By}}
		if p.groups {
			if r.Groups == nil || u.People != nil {
				continue
			}
			up.taking.Run = r.Groups.Run
		}
		taken.parts = append(taken.parts, up)
	}
	return taken, done, nil
}

// whole is the digest of all parts together; empty when there is nothing to take back.
func (u *undoing) whole() string {
	var digests []string
	for _, p := range u.parts {
		if p.preview.Digest != "" {
			digests = append(digests, p.preview.Digest)
		}
	}
	if len(digests) < 2 {
		return strings.Join(digests, "")
	}
	sum := sha256.Sum256([]byte(strings.Join(digests, " ")))
	return hex.EncodeToString(sum[:])
}

// PreviewUndo implements web.Journal.
func (d *daemon) PreviewUndo(ctx context.Context, u web.Undo) (web.UndoPreview, error) {
	v := web.UndoPreview{Run: runName(u.Run), Counts: map[string]int{}}
	w, r, _, err := d.find(ctx, u.Run)
	if err != nil {
		return v, err
	}
	taken, done, err := d.undoParts(ctx, w, r, u)
	if err != nil {
		return v, err
	}
	defer done()
	err = taken.look(ctx, func(_ undoPart, b engine.TakenBack) error {
		if v.Total++; len(v.Lines) == web.MaxPreview {
			return nil
		}
		line := web.UndoLine{Was: web.ChangeView(dirsync.Outcome{Change: b.Was, Result: dirsync.Done}), Nothing: b.Back.Nothing, Since: b.Back.Since}
		if b.Back.Change != nil {
			back := web.ChangeView(dirsync.Outcome{Change: *b.Back.Change})
			line.Back = &back
		}
		v.Lines = append(v.Lines, line)
		return nil
	})
	sum := taken.summary()
	v.Run, v.Digest, v.Counts, v.Nothing, v.Since = runName(r.ID), taken.whole(), sum.Counts, sum.Nothing, sum.Since
	return v, err
}

// Undo implements web.Journal.
func (d *daemon) Undo(ctx context.Context, u web.Undo) (web.Run, error) {
	w, r, _, err := d.find(ctx, u.Run)
	if err != nil {
		return web.Run{}, err
	}
	release, err := w.take(ctx, w.waits)
	if err != nil {
		return web.Run{}, err
	}
	taken, done, err := d.undoParts(ctx, w, r, u)
	if err != nil {
		release()
		return web.Run{}, err
	}
	end := func() { done(); release() }
	op := fmt.Sprintf("undo run %d", r.ID)
	if err := taken.look(ctx, nil); err != nil {
		end()
		return web.Run{}, err
	}
	switch whole := taken.whole(); {
	case whole == "":
		end()
		return web.Run{}, &dirsync.Error{Op: op, Kind: dirsync.Conflict, Err: errors.New("there is nothing to take back")}
	case len(u.Digest) < 8 || !strings.HasPrefix(whole, u.Digest):
		end()
		return web.Run{}, &dirsync.Error{Op: op, Kind: dirsync.Conflict, Err: errors.New("it would not do what was shown"),
			Hint: "Look at what it would do now, and confirm that."}
	}
	return d.takeBack(w, taken, end)
}

// takeBack takes a run back in the background, and returns the run of that as soon as it is in the journal.
func (d *daemon) takeBack(w *worker, taken *undoing, end func()) (web.Run, error) {
	began, ended := make(chan struct{}, 1), make(chan error, 1)
	before, err := w.lastRun()
	if err != nil {
		end()
		return web.Run{}, err
	}
	d.loops.Go(func() {
		defer end()
		var last dirsync.Run
		var errs []error
		d.metrics.RunBegan(w.name)
		tell := w.progress(d.ctx, d.st.Sync(w.name))
		for _, p := range taken.parts {
			if p.preview.Digest == "" {
				continue
			}
			p.taking.Digest = p.preview.Digest
			p.engine.Progress = func(now engine.Progress) {
				if !p.groups {
					tell(now)
				}
				select {
				case began <- struct{}{}:
				default:
				}
			}
			r, err := p.engine.Undo(d.ctx, p.taking)
			if errs = append(errs, err); !p.groups {
				last = r
			}
		}
		d.over(w.name, last)
		d.ran(context.WithoutCancel(d.ctx), w.name, last)
		ended <- errors.Join(errs...)
	})
	select {
	case <-began:
	case err := <-ended:
		if err != nil {
			return web.Run{}, err
		}
	}
	r, err := w.lastRun()
	if err == nil && r.ID == before.ID {
		err = &dirsync.Error{Op: "undo", Kind: dirsync.Unavailable, Err: errors.New("the run is not in the journal yet")}
	}
	return web.RunView(r), err
}

// lastRun is the latest run of the sync; the zero Run when there was none.
func (w *worker) lastRun() (dirsync.Run, error) {
	runs, err := w.d.st.Sync(w.name).Runs(context.WithoutCancel(w.d.ctx), 0, 1)
	if err != nil || len(runs) == 0 {
		return dirsync.Run{}, err
	}
	return runs[0], nil
}

// Explain implements web.People.
func (d *daemon) Explain(ctx context.Context, sync, person string) (web.Explanation, error) {
	w, err := d.worker(sync)
	if err != nil {
		return web.Explanation{}, err
	}
	joined, err := d.wireFor(ctx, d.config(), d.st, w.name, looking)
	if err != nil {
		return web.Explanation{}, err
	}
	defer joined.close()
	p, err := joined.person(ctx, person, false)
	if err != nil {
		return web.Explanation{}, err
	}
	x, err := joined.engine.Explain(ctx, p)
	if err != nil {
		return web.Explanation{}, err
	}
	known, err := d.hosted().explain(ctx, joined, p)
	if err != nil {
		return web.Explanation{}, err
	}
	v := web.Explanation{Sync: w.name, Person: string(p.ID), User: x.Wanted.User, Name: x.Wanted.Name, Present: p.Gone == dirsync.Present,
		GoneAt: known.GoneSince, Account: p.Link.Account, Active: p.Link.Active, Held: web.ValuesView(p.Link.Held),
		Wanted: web.ValuesView(x.Wanted.Values), GraceEnds: x.GraceEnds, LastRequest: known.LastRequest}
	v.Summary = append(v.Summary, wouldDo(known))
	if known.ScopeBecause != "" {
		v.Summary = append(v.Summary, known.ScopeBecause)
	}
	for _, f := range x.Wanted.Faults {
		v.Faults = append(v.Faults, web.Fault{Field: f.Field, Value: f.Value, Reason: f.Reason})
	}
	if x.Decision.Change != nil {
		c := web.ChangeView(dirsync.Outcome{Change: *x.Decision.Change})
		v.Decision = &c
	}
	if p.Owed.Why != 0 {
		v.Owed, v.Due, v.Attempts = p.Owed.Why.String(), p.Owed.Due, p.Owed.Attempts
	}
	for _, h := range x.Holds {
		v.Holds = append(v.Holds, d.holdView(h))
	}
	for _, c := range x.Changes {
		v.Changes = append(v.Changes, web.PersonChange{Run: runName(c.Run), At: x.Runs[c.Run].Started, Change: web.ChangeView(c.Outcome)})
	}
	return v, nil
}
