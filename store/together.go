package store

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// Waiting for the disk takes longer than everything else, and costs the same for one change as for many. So callers who
// change resources line up, and whoever comes first takes everybody who waits into one transaction. Those who come in the
// meantime are taken by the next one.
//
// A request first looks and decides, and fails without a trace if it cannot be; then it writes. Should the writing itself
// fail, which only damage can cause, everything is done again without that request.

// queue are the requests that wait for a transaction.
type queue struct {
	mu      sync.Mutex
	waiting []*request
	taken   int // those whose turn it is
	// lead holds a token while somebody leads.
	lead chan struct{}
}

// maxTogether bounds how many requests one transaction takes.
const maxTogether = 256

// request is one change of resources.
type request struct {
	ctx context.Context
	op  string
	// plan looks and decides, and returns how to write what was decided; nil writes nothing.
	plan func(*resourceWriter) (write func() error, err error)
	// done is closed when err, or panicked, says how it ended.
	done     chan struct{}
	err      error
	panicked *panicked
}

// panicked is what an edit panicked with.
type panicked struct{ value any }

func (*panicked) Error() string { return "an edit panicked" }

// editError is an error of a caller's own function, which is returned as it is.
type editError struct{ error }

func (e *editError) Unwrap() error { return e.error }

// write takes its turn to change resources, and returns when the change is durable.
func (d *Directory) write(ctx context.Context, op string, plan func(*resourceWriter) (func() error, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r, q := &request{ctx: ctx, op: op, plan: plan, done: make(chan struct{})}, &d.queue
	q.mu.Lock()
	q.waiting = append(q.waiting, r)
	q.mu.Unlock()
	for finished := false; !finished; {
		select {
		case <-r.done:
			finished = true
		case q.lead <- struct{}{}:
			d.leadOn(r)
		}
	}
	if r.panicked != nil {
		panic(r.panicked.value)
	}
	if own, ok := r.err.(*editError); ok { //nolint:errorlint // it is made here and wrapped by nobody
		return own.error
	}
	return named(op, r.err)
}

// leadOn runs those who wait, unless r, whose goroutine this is, has had its turn already.
func (d *Directory) leadOn(r *request) {
	q := &d.queue
	defer func() { <-q.lead }()
	select {
	case <-r.done:
		return
	default:
	}
	q.mu.Lock()
	n := min(len(q.waiting), maxTogether)
	batch := q.waiting[:n:n]
	q.waiting, q.taken = slices.Clone(q.waiting[n:]), n
	q.mu.Unlock()
	returned := false
	defer func() {
		q.mu.Lock()
		q.taken = 0
		q.mu.Unlock()
		for _, r := range batch {
			if !returned {
				r.err = errAbandoned
			}
			close(r.done)
		}
	}()
	d.together(context.WithoutCancel(r.ctx), batch)
	returned = true
}

// errAbandoned is what others get when an edit ends the goroutine that leads them (runtime.Goexit), as a test does.
var errAbandoned = errors.New("an edit that shared the transaction has ended its goroutine")

// together runs requests in one transaction.
func (d *Directory) together(ctx context.Context, batch []*request) {
	for len(batch) > 0 {
		var spoiler *request
		err := d.update(ctx, "", func(x *accountsTx) (err error) {
			if _, err := x.groupsOf(); err != nil {
				return err
			}
			spoiler, err = runAll(x, batch)
			if x.groupsTx.lost {
				x.committed = append(x.committed, func() { d.groups.moved.Add(1) })
			}
			return err
		})
		switch {
		case err == nil || errors.Is(err, errUnchanged):
			return
		case spoiler == nil || isPanic(err):
			for _, r := range batch {
				if r.err == nil {
					r.err = err
				}
			}
			return
		}
		spoiler.err = err
		batch = slices.DeleteFunc(slices.Clone(batch), func(r *request) bool { return r == spoiler })
	}
}

// runAll runs requests one after the other. The error is that of the spoiler, whose writing has failed half-way.
func runAll(x *accountsTx, batch []*request) (spoiler *request, err error) {
	w, wrote := &resourceWriter{users: x, groups: x.groupsTx}, false
	for _, r := range batch {
		r.err, r.panicked = r.ctx.Err(), nil
		if r.err != nil {
			continue
		}
		write, err := r.plan(w)
		if err != nil {
			r.panicked, _ = errors.AsType[*panicked](err)
			r.err = err
			continue
		}
		if write == nil {
			continue
		}
		wrote = true
		if err := write(); err != nil {
			return r, err
		}
	}
	if !wrote {
		return nil, errUnchanged
	}
	return nil, nil
}

// call runs a caller's function. A panic is the caller's, and must neither look like damage of the file nor end others.
func call[T, R any](fn func(T) (R, error), arg T) (out R, err error) {
	returned := false
	defer func() {
		if !returned {
			err = &panicked{recover()}
		}
	}()
	if out, err = fn(arg); err != nil {
		err = &editError{err}
	}
	returned = true
	return out, err
}
