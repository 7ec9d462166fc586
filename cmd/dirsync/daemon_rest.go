package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"dirsync"
	"dirsync/store"
)

// rest is how the daemon puts another file in the place of its store: nobody is inside, nothing runs, and whoever comes is
// asked to come again. Its zero value is awake.
type rest struct {
	mu sync.Mutex
	// resting is closed when the rest is over; nil while there is none.
	resting chan struct{}
	inside  int
	// left is told whenever somebody has left.
	left chan struct{}
}

// enter lets somebody use the store until leave is called.
func (r *rest) enter() (leave func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.resting != nil {
		return nil, &dirsync.Error{Op: "ask the daemon", Kind: dirsync.Unavailable, Err: errors.New("its store is being replaced, by dirsync compact or dirsync restore"),
			Hint: "Try again in a moment."}
	}
	r.inside++
	return sync.OnceFunc(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.inside--
		select {
		case r.left <- struct{}{}:
		default: // nobody waits, or who waits has been told
		}
	}), nil
}

// over is closed when the rest is over; nil when there is none.
func (r *rest) over() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.resting
}

// begin lets nobody in any more, and waits until those inside have left.
func (r *rest) begin(ctx context.Context) (end func(), err error) {
	r.mu.Lock()
	if r.resting != nil {
		r.mu.Unlock()
		return nil, &dirsync.Error{Op: "replace the store", Kind: dirsync.Locked, Err: errors.New("somebody else is replacing it")}
	}
	r.resting, r.left = make(chan struct{}), make(chan struct{}, 1)
	r.mu.Unlock()
	end = func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		close(r.resting)
		r.resting = nil
	}
	for {
		r.mu.Lock()
		inside := r.inside
		r.mu.Unlock()
		if inside == 0 {
			return end, nil
		}
		select {
		case <-r.left:
		case <-ctx.Done():
			end()
			return nil, ctx.Err()
		}
	}
}

// leaveWithin is how long those may take who use the store when it is to be replaced: everybody else is sent away meanwhile.
const leaveWithin = 30 * time.Second

// swap has fn put another file in the place of the store. Runs that are under way end first, and until then nothing is
// different for anybody; then all work ends, the store is closed, and after fn everything goes on with whatever file is
// there, also if fn has failed. note is told what is waited for. When the store cannot be opened again the daemon ends.
func (d *daemon) swap(ctx context.Context, note func(sync string), fn func() error) error {
	workers := d.all()
	for _, w := range workers {
		release, err := w.take(ctx, func() { note(w.name) })
		if err != nil {
			return err
		}
		defer release()
	}
	soon, cancel := context.WithTimeout(ctx, leaveWithin)
	defer cancel()
	end, err := d.rest.begin(soon)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &dirsync.Error{Op: "replace the store", Kind: dirsync.Locked, Err: errors.New("other commands or requests are using it"), Hint: "Wait for their end, and try again."}
	case err != nil:
		return err
	}
	defer end()
	d.reloads.Lock()
	defer d.reloads.Unlock()
	if !slices.Equal(workers, d.all()) {
		return &dirsync.Error{Op: "replace the store", Kind: dirsync.Conflict, Err: errors.New("the configuration has changed meanwhile"), Hint: "Try again."}
	}
	d.log.Info().Msg("all work rests, because the store is being replaced")
	d.pause()
	for _, w := range workers {
		w.remove()
	}
	d.keeping.Wait()
	d.telling().stop()
	err = errors.Join(d.st.Close(), fn())
	if again := d.resume(); again != nil {
		d.broken <- again
		return errors.Join(err, again)
	}
	d.log.Info().AnErr("error", err).Msg("the work goes on")
	return err
}

// resume opens the store again and starts everything anew.
func (d *daemon) resume() error {
	cfg := d.config()
	opts := storeOptions(cfg)
	opts.Now = d.now
	st, err := store.Open(cfg.Store.Path, opts)
	if err != nil {
		return err
	}
	d.mu.Lock()
	clear(d.workers)
	d.mu.Unlock()
	d.st = st
	return d.start(d.ctx)
}
