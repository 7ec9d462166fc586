package schedule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Callbacks are what a Loop calls, never two at a time, except that Run is called in a goroutine of its own.
type Callbacks struct {
	// Run is one run, and says how it ended. Required.
	Run func(ctx context.Context, todo Todo) Ending
	// Owed is when the first of what has failed is due again. It is asked after a run that ended Partly; nil, or a time that
	// has passed, is as soon as Policy.Retry says.
	Owed func() time.Time
	// Save stores the State. An event whose State cannot be stored did not happen: no run begins, somebody who asked is
	// told, and the end of a run is tried again within a minute. Required.
	Save func(State) error
	// Problem is told what Save returned when nobody is waiting to hear it. Optional.
	Problem func(error)
	// Watch is shown the State each time that the loop looks at the clock, at least every minute: for a sign of life. It
	// may differ from what was stored in Seen alone. Optional.
	Watch func(State)
	// Now is the system's clock; nil is time.Now. Timers are the runtime's in any case.
	Now func() time.Time
}

// Ending is how a run came to its end.
type Ending uint8

// The endings of a run.
const (
	// Ended: it is over. Whether it went well is not the schedule's business.
	Ended Ending = iota
	// Failed: it is over, and another one before the next slot may do better; see Policy.Retry.
	Failed
	// Partly: it is over, and a part of it has failed that another one may do; see Callbacks.Owed.
	Partly
	// Stopped: ctx was cancelled and it could not end. It begins again at the next start. Without that it is Ended.
	Stopped
)

// Loop drives a Clock with real timers.
type Loop struct {
	clock    Clock
	state    State
	calls    Callbacks
	requests chan request
	over     chan struct{}
	// running is set while a run is under way; unsaved is the event that is to be tried again.
	running bool
	unsaved event
}

// event is one of Clock's methods.
type event func(Clock, State, time.Time) (State, Todo)

// request is an event that somebody waits for; a clock that is not nil replaces the loop's.
type request struct {
	event  event
	clock  *Clock
	answer chan error
}

// recheck is the longest that the loop sleeps. Timers do not notice that the system's clock was set, nor, on Linux, how
// long a machine was suspended.
const recheck = time.Minute

// ErrOver says that the loop no longer runs.
var ErrOver = errors.New("the schedule is not running any more")

// NewLoop makes a loop that goes on from a stored State.
func NewLoop(c Clock, s State, calls Callbacks) *Loop {
	if calls.Now == nil {
		calls.Now = time.Now
	}
	if calls.Problem == nil {
		calls.Problem = func(error) {}
	}
	if calls.Owed == nil {
		calls.Owed = func() time.Time { return time.Time{} }
	}
	if calls.Watch == nil {
		calls.Watch = func(State) {}
	}
	return &Loop{clock: c, state: s, calls: calls, requests: make(chan request), over: make(chan struct{})}
}

// Run runs the loop until ctx is done and the run that was under way has returned. It is called once.
func (l *Loop) Run(ctx context.Context) {
	defer close(l.over)
	ended := make(chan Ending, 1)
	l.unsaved = Clock.Started
	for ctx.Err() == nil {
		timer := time.NewTimer(l.look(ctx, ended))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case how := <-ended:
			if how == Stopped && ctx.Err() == nil {
				how = Ended
			}
			l.ended(how)
		case r := <-l.requests:
			r.answer <- l.answer(r)
		}
		timer.Stop()
	}
	if l.running {
		l.ended(<-ended)
	}
	// The last chance; a problem has been told. An end that is not stored makes the run begin again, which is harmless.
	_ = l.settle()
}

// ended takes note of a run that has returned; one that was stopped is left for the next start.
func (l *Loop) ended(how Ending) {
	l.running = false
	switch how {
	case Ended:
		l.unsaved = Clock.RunEnded
	case Failed:
		l.unsaved = Clock.RunFailed
	case Partly:
		due := l.calls.Owed()
		l.unsaved = func(c Clock, s State, now time.Time) (State, Todo) { return c.RunOwes(s, due, now) }
	case Stopped:
	}
}

// SyncNow asks for a run. It returns nil when the wish is stored: it is then kept through anything. It does not wait for
// the run.
func (l *Loop) SyncNow(ctx context.Context) error {
	return l.request(ctx, request{event: Clock.SyncNow})
}

// MakeUp asks for one scheduled run in place of those that were left out; see Clock.MakeUp. It returns like SyncNow.
func (l *Loop) MakeUp(ctx context.Context) error {
	return l.request(ctx, request{event: Clock.MakeUp})
}

// Reload replaces schedule and policy. A run that is under way goes on.
func (l *Loop) Reload(ctx context.Context, c Clock) error {
	return l.request(ctx, request{event: Clock.Reloaded, clock: &c})
}

func (l *Loop) request(ctx context.Context, r request) error {
	r.answer = make(chan error, 1)
	select {
	case l.requests <- r:
		return <-r.answer // the loop answers at once
	case <-l.over:
		return ErrOver
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *Loop) answer(r request) error {
	// What happened before comes first; it would be lost if a later event were stored without it.
	if err := l.settle(); err != nil {
		return err
	}
	clock := l.clock
	if r.clock != nil {
		clock = *r.clock
	}
	if _, err := l.happen(clock, r.event); err != nil {
		return err
	}
	l.clock = clock
	return nil
}

// look does what is to be done and returns how long to sleep.
func (l *Loop) look(ctx context.Context, ended chan<- Ending) time.Duration {
	if l.settle() != nil {
		return recheck
	}
	todo, err := l.happen(l.clock, Clock.Tick)
	if err == nil && todo.Run {
		begin := todo
		if todo, err = l.happen(l.clock, Clock.RunBegan); err == nil {
			// A slot may have come due between the two.
			begin.Slot, begin.Asked = l.state.Run.Slot, l.state.Run.Asked
			l.running = true
			go func() { ended <- l.calls.Run(ctx, begin) }()
		}
	}
	l.calls.Watch(l.state)
	if err != nil {
		l.calls.Problem(err)
		return recheck
	}
	if todo.Wake.IsZero() {
		return recheck
	}
	return min(max(todo.Wake.Sub(l.calls.Now().Round(0)), 0), recheck)
}

// settle makes the event happen that could not be stored before.
func (l *Loop) settle() error {
	if l.unsaved == nil {
		return nil
	}
	if _, err := l.happen(l.clock, l.unsaved); err != nil {
		l.calls.Problem(err)
		return err
	}
	l.unsaved = nil
	return nil
}

// happen makes an event happen and stores what it changed; the time alone is not worth a write.
func (l *Loop) happen(c Clock, e event) (Todo, error) {
	next, todo := e(c, l.state, l.calls.Now())
	if !same(l.state, next) {
		if err := l.calls.Save(next); err != nil {
			return Todo{}, fmt.Errorf("store when to run: %w", err)
		}
	}
	l.state = next
	return todo, nil
}

// same compares all but Seen.
func same(a, b State) bool {
	return a.Next.Equal(b.Next) && a.LastRun == b.LastRun && a.Run == b.Run && a.Asked == b.Asked && a.Slot.Equal(b.Slot) &&
		a.Due.Equal(b.Due) && a.Again == b.Again && a.Schedule == b.Schedule && slices.Equal(a.Ran, b.Ran)
}
