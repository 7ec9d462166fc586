package main

import (
	"context"
	"encoding/json"
	"errors"
	"runtime/debug"
	"sync"
	"time"

	"dirsync"
	"dirsync/store"
	"dirsync/sync/engine"
	"dirsync/sync/schedule"
	"dirsync/web"
)

// worker is what the daemon has of one sync: a loop that runs it, a loop that reads its tenant in between, and the lock by
// which one thing at a time is done about it.
type worker struct {
	d    *daemon
	name string
	// busy holds one token while somebody runs, reads or decides about the sync.
	busy              chan struct{}
	applying, reading *schedule.Loop
	cancel            context.CancelFunc
	ended             sync.WaitGroup

	// mu guards what follows: what the loops showed last and when, who has asked for the next run, why nothing runs, and when
	// the first of what failed in the last run is due.
	mu          sync.Mutex
	apply, read schedule.State
	looked      [2]time.Time
	askedBy     string
	paused      *pause
	firstDue    time.Time
}

// The names of the notes in which the store keeps what a worker remembers.
const (
	noteSchedule = "schedule/"
	noteReading  = "reading/"
	notePause    = "pause/"
)

// newWorker goes on from what the store remembers of a sync.
func (d *daemon) newWorker(ctx context.Context, cfg *Config, name string) (*worker, error) {
	w := &worker{d: d, name: name, busy: make(chan struct{}, 1)}
	for _, note := range []struct {
		name string
		to   any
	}{{noteSchedule, &w.apply}, {noteReading, &w.read}, {notePause, &w.paused}} {
		if err := d.readNote(ctx, note.name+name, note.to); err != nil {
			return nil, err
		}
	}
	apply, read := clocks(cfg, name)
	w.applying = schedule.NewLoop(apply, w.apply, schedule.Callbacks{
		Run: w.runDue, Owed: w.owed, Now: d.now, Problem: w.notStored,
		Save:  func(s schedule.State) error { return d.keepNote(noteSchedule+name, s) },
		Watch: func(s schedule.State) { w.seen(0, s) },
	})
	w.reading = schedule.NewLoop(read, w.read, schedule.Callbacks{
		Run: w.readDue, Now: d.now, Problem: w.notStored,
		Save:  func(s schedule.State) error { return d.keepNote(noteReading+name, s) },
		Watch: func(s schedule.State) { w.seen(1, s) },
	})
	// Until the loops have looked at the clock for the first time, what is shown is what they are going to find.
	w.apply, _ = apply.Started(w.apply, d.now())
	w.read, _ = read.Started(w.read, d.now())
	return w, nil
}

// clocks say when a sync runs, and when it is read in between. Readings of syncs that share a time are spread over a tenth
// of their distance, and at most over ten minutes.
func clocks(cfg *Config, name string) (apply, read schedule.Clock) {
	sc := cfg.Syncs[name]
	apply = schedule.Clock{Name: name, Schedule: sc.Schedule.Schedule, Policy: sc.Schedule.Policy}
	apply.Policy.Retry = schedule.Retries()
	read = schedule.Clock{Name: name + " (reading)", Policy: schedule.Policy{Retry: schedule.Retries()}}
	every := time.Duration(sc.ReadEvery).Truncate(time.Minute)
	if s, err := schedule.Every(every); err == nil { // the configuration was checked: an hour to six days
		read.Schedule = s
	}
	read.Policy.Jitter = min(every/10, 10*time.Minute)
	return apply, read
}

// readNote reads a note of the store as JSON. One that cannot be read is told and forgotten: it says when to run, and no
// more than a run too many or too late can come of that.
func (d *daemon) readNote(ctx context.Context, name string, to any) error {
	b, err := d.st.Note(ctx, name)
	if err != nil || b == nil {
		return err
	}
	if err := json.Unmarshal(b, to); err != nil {
		d.log.Warn().Str("note", name).Err(err).Msg("what was remembered cannot be read, and is forgotten")
	}
	return nil
}

// keepNote keeps a note as JSON; nil takes it away. It does so even while the daemon stops.
func (d *daemon) keepNote(name string, v any) error {
	var b []byte
	if v != nil {
		var err error
		if b, err = json.Marshal(v); err != nil {
			return err
		}
	}
	return d.st.SetNote(context.WithoutCancel(d.ctx), name, b)
}

func (w *worker) notStored(err error) {
	w.d.log.Error().Str("sync", w.name).Err(err).Str("hint", dirsync.HintOf(err)).Msg("the schedule could not be stored; it is tried again")
}

func (w *worker) seen(loop int, s schedule.State) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looked[loop] = w.d.now()
	if loop == 0 {
		w.apply = s
	} else {
		w.read = s
	}
}

// alive tells whether both loops have looked at the clock lately; they do so every minute.
func (w *worker) alive(now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	const late = 3 * time.Minute
	return now.Sub(w.looked[0]) < late && now.Sub(w.looked[1]) < late
}

// state is how the schedule stands.
func (w *worker) state() (apply schedule.State, paused *pause) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.apply, w.paused
}

func (w *worker) start(ctx context.Context) {
	ctx, w.cancel = context.WithCancel(ctx)
	now := w.d.now()
	w.mu.Lock()
	w.looked = [2]time.Time{now, now}
	w.mu.Unlock()
	w.ended.Go(func() { w.prime(ctx) })
	w.ended.Go(func() { w.applying.Run(ctx) })
	w.ended.Go(func() { w.reading.Run(ctx) })
	w.d.known(ctx, w.name)
}

// prime marks the beginning of a sync's first reading, which is faster in a large tenant if that was done some time before.
// It gives up soon, since a run may be waiting, and nothing depends on it.
func (w *worker) prime(ctx context.Context) {
	release, free := w.tryTake()
	if !free {
		return
	}
	defer release()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if state, err := w.d.st.Sync(w.name).ReadState(ctx); err != nil || state.Base != "" || state.Open {
		return
	}
	joined, err := w.d.wire(ctx, w.d.config(), w.d.st, w.name)
	if err == nil {
		defer joined.close()
		err = joined.from.verify(ctx)
	}
	primed := false
	if err == nil {
		primed, err = joined.engine.Prime(ctx)
	}
	switch {
	case err != nil:
		w.d.log.Info().Str("sync", w.name).Err(err).Msg("the first reading is not prepared")
	case primed:
		w.d.log.Info().Str("sync", w.name).Msg("the first reading is prepared")
	}
}

// wait waits until nothing of the worker runs any more.
func (w *worker) wait() { w.ended.Wait() }

// remove stops the worker and waits for the batch under way.
func (w *worker) remove() {
	w.cancel()
	w.wait()
}

// reload takes over a schedule that may have changed.
func (w *worker) reload(ctx context.Context, cfg *Config) error {
	apply, read := clocks(cfg, w.name)
	return errors.Join(w.applying.Reload(ctx, apply), w.reading.Reload(ctx, read))
}

// syncNow asks for a run; it returns when the wish is stored.
func (w *worker) syncNow(ctx context.Context, by string) error {
	w.mu.Lock()
	w.askedBy = by
	w.mu.Unlock()
	if err := w.applying.SyncNow(ctx); err != nil {
		return err
	}
	w.d.log.Info().Str("sync", w.name).Str("by", by).Msg("a run was asked for")
	return nil
}

// take waits until nobody else does anything about the sync. waits is called first if somebody does.
func (w *worker) take(ctx context.Context, waits func()) (release func(), err error) {
	select {
	case w.busy <- struct{}{}:
	default:
		waits()
		select {
		case w.busy <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return func() { <-w.busy }, nil
}

// tryTake is take for what need not be done now.
func (w *worker) tryTake() (release func(), free bool) {
	select {
	case w.busy <- struct{}{}:
		return func() { <-w.busy }, true
	default:
		return nil, false
	}
}

func (w *worker) waits() { w.d.log.Info().Str("sync", w.name).Msg("waiting for what is under way") }

// asked returns who has asked for the run that begins now.
func (w *worker) asked(todo schedule.Todo) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	by := w.askedBy
	w.askedBy = ""
	switch {
	case !todo.Asked && todo.Failed > 0:
		return "schedule, again"
	case !todo.Asked:
		return "schedule"
	case by == "": // before a restart
		return "sync now"
	}
	return by
}

// turn waits until it is this sync's turn to do something that takes long: nobody else does anything about it, and a lane is
// free.
func (w *worker) turn(ctx context.Context) (over func(), err error) {
	release, err := w.take(ctx, w.waits)
	if err != nil {
		return nil, err
	}
	leave, err := w.d.enter(ctx)
	if err != nil {
		release()
		return nil, err
	}
	return func() { leave(); release() }, nil
}

// runDue is a run of the loop. While the sync is paused, only a person makes it run.
func (w *worker) runDue(ctx context.Context, todo schedule.Todo) schedule.Ending {
	if w.skips(todo) {
		return schedule.Ended
	}
	over, err := w.turn(ctx)
	if err != nil {
		return schedule.Stopped
	}
	defer over()
	r, err := w.run(ctx, engine.Options{AskedBy: w.asked(todo), RetryNow: todo.Asked})
	if err != nil && ctx.Err() != nil {
		w.d.log.Info().Str("sync", w.name).Uint64("run", uint64(r.ID)).Msg("the run was stopped; it begins again at the next start")
		return schedule.Stopped
	}
	w.outcome(context.WithoutCancel(ctx), r, err)
	if err == nil && w.failing(ctx) {
		return schedule.Partly
	}
	return ending(err)
}

// failing tells whether there are people or groups whose last change failed, and when the first of them is to be tried
// again. If the store cannot say, the schedule is as though there were nobody.
func (w *worker) failing(ctx context.Context) (some bool) {
	var first time.Time
	people := w.d.st.Sync(w.name)
	for _, y := range []*store.Sync{people, people.Groups()} {
		due, who, err := y.Failing(context.WithoutCancel(ctx), 1)
		if err != nil {
			w.d.log.Error().Str("sync", w.name).Err(err).Msg("when to try again what failed is not known; it waits for the next time of the schedule")
			return false
		}
		if len(who) > 0 && (!some || due.Before(first)) {
			first, some = due, true
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.firstDue = first
	return some
}

// owed is when the first of what failed in the last run is to be tried again.
func (w *worker) owed() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.firstDue
}

// ending says whether it is worth while to try again before the next time of the schedule. What only a person can put right
// is not: a refusal pauses the schedule, and a fault stays until somebody mends it.
func ending(err error) schedule.Ending {
	if err == nil {
		return schedule.Ended
	}
	switch dirsync.KindOf(err) {
	case dirsync.Unauthorized, dirsync.Permission, dirsync.Invalid, dirsync.NotFound, dirsync.Conflict, dirsync.Corrupt:
		return schedule.Ended
	default: // no network, a service that is down, a full disk
		return schedule.Failed
	}
}

// run makes one run. A run that could not even begin is written into the journal as one that failed.
func (w *worker) run(ctx context.Context, opts engine.Options) (dirsync.Run, error) {
	d, began := w.d, w.d.now()
	d.log.Info().Str("sync", w.name).Str("asked_by", opts.AskedBy).Msg("a run begins")
	d.metrics.RunBegan(w.name)
	d.feed.Tell(web.Progress{Sync: w.name, Phase: string(dirsync.PhaseRead), Status: string(dirsync.Running), At: began})
	d.look(ctx)
	r, err := w.pass(ctx, opts)
	if err != nil && r.ID == 0 && ctx.Err() == nil {
		r = w.unbegun(ctx, dirsync.Run{Sync: w.name, Status: dirsync.Failure, Phase: dirsync.PhaseEnded, Started: began, Ended: d.now(),
			AskedBy: opts.AskedBy, Error: err.Error()})
	}
	d.over(w.name, r)
	d.ran(context.WithoutCancel(ctx), w.name, r)
	debug.FreeOSMemory() // a daemon is idle for days
	return r, err
}

// over tells whoever watches that a run has ended.
func (d *daemon) over(name string, r dirsync.Run) {
	d.feed.Tell(web.Progress{Sync: name, Run: runName(r.ID), Phase: string(dirsync.PhaseEnded), Done: r.Counts.Changed(),
		Status: orElse(string(r.Status), string(dirsync.Failure)), At: d.now()})
	d.lookAway()
}

// pass joins the parts anew, so that a credential that was replaced is read, and runs the engine.
func (w *worker) pass(ctx context.Context, opts engine.Options) (dirsync.Run, error) {
	d := w.d
	joined, err := d.wire(ctx, d.config(), d.st, w.name)
	if err != nil {
		return dirsync.Run{}, err
	}
	defer joined.close()
	if err := joined.verify(ctx); err != nil { // before anything is written: is it the tenant that was meant?
		return dirsync.Run{}, err
	}
	joined.engine.Progress = w.progress(ctx, joined.sync)
	return joined.engine.Run(ctx, opts)
}

// progress tells whoever watches how far a run has come.
func (w *worker) progress(ctx context.Context, s *store.Sync) func(engine.Progress) {
	run := ""
	return func(p engine.Progress) {
		if run == "" {
			if runs, err := s.Runs(ctx, 0, 1); err == nil && len(runs) == 1 {
				run = runName(runs[0].ID)
			}
		}
		w.d.feed.Tell(web.Progress{Sync: w.name, Run: run, Phase: string(p.Phase), Done: p.Done, Total: p.Total,
			Parked: p.Parked, Left: int64(p.Left.Seconds()), Status: string(dirsync.Running), At: w.d.now()})
		w.d.look(ctx)
	}
}

// unbegun writes a run into the journal that could not begin. Where the last run was cut off it is only returned, because
// the engine goes by the last run in the journal when it makes certain of what that one has changed.
func (w *worker) unbegun(ctx context.Context, r dirsync.Run) dirsync.Run {
	s := w.d.st.Sync(w.name)
	runs, err := s.Runs(ctx, 0, 1)
	if err != nil || len(runs) > 0 && runs[0].Phase != dirsync.PhaseEnded {
		return r
	}
	if id, err := s.NewRun(ctx, r); err == nil {
		r.ID = id
	}
	return r
}

// off tells a sync that is switched off: nothing is begun for it.
func (w *worker) off() bool {
	sc := w.d.config().Syncs[w.name]
	return sc != nil && !sc.Enabled
}

// readDue is a reading of the loop: it brings what is known of the tenant up to date, and changes nobody.
func (w *worker) readDue(ctx context.Context, _ schedule.Todo) schedule.Ending {
	if _, paused := w.state(); paused != nil || w.off() {
		return schedule.Ended
	}
	over, err := w.turn(ctx)
	if err != nil {
		return schedule.Stopped
	}
	defer over()
	began := w.d.now()
	err = w.readOnce(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		return schedule.Stopped
	case err != nil:
		w.d.log.Error().Str("sync", w.name).Err(err).Str("hint", dirsync.HintOf(err)).Msg("the tenant could not be read; it is tried again, and the next run reads it too")
		w.stumble(context.WithoutCancel(ctx), err)
	default:
		w.d.log.Info().Str("sync", w.name).Dur("took", w.d.now().Sub(began)).Msg("the tenant was read")
	}
	w.d.measure(context.WithoutCancel(ctx), w.name)
	debug.FreeOSMemory()
	return ending(err)
}

func (w *worker) readOnce(ctx context.Context) error {
	joined, err := w.d.wire(ctx, w.d.config(), w.d.st, w.name)
	if err != nil {
		return err
	}
	defer joined.close()
	return w.d.read(ctx, joined)
}
