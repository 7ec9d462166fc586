package client

import (
	"context"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"dirsync"
)

// gate is what every request of one Client passes, attempt by attempt, so that all workers together keep to what the
// target bears: a pause that one of them was told to make, all of them make.
//
// Rate and concurrency begin at their ceiling and at half of it. A 429 halves both, at most once a second, because one
// overload makes many requests fail at once; every round of successes gives some of it back.
type gate struct {
	mu      sync.Mutex
	limiter *rate.Limiter
	// top is the ceiling of requests a second and most that of requests at the same time; at is how many may be now.
	top         float64
	most, at    int
	flying      int
	waiting     []chan struct{}
	until       time.Time // nobody passes before
	why         dirsync.ErrorKind
	halved      time.Time
	good, bad   int           // successes since the last rise; failures in a row
	strikes     int           // times that the pace was halved since the last rise
	took        time.Duration // of a request, smoothed
	maxWait     time.Duration
	unavailable error // what the last failure was
}

const (
	// breaks is the number of requests in a row without a usable answer after which the gate closes for a while.
	breaks = 8
	// longestPause bounds what one absurd Retry-After can do to a Client that lives long.
	longestPause = time.Hour
)

func newGate(perSecond float64, concurrency int, maxWait time.Duration) *gate {
	// A tenth of a second's worth may go at once, so that the rate is kept although timers are late.
	return &gate{limiter: rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond/10))), top: perSecond,
		most: concurrency, at: max(1, (concurrency+1)/2), maxWait: maxWait}
}

// enter waits until a request may be sent. It does not wait longer than maxWait for a pause to end, but says when it does.
func (g *gate) enter(ctx context.Context) error {
	for {
		if err := g.pause(ctx); err != nil {
			return err
		}
		if err := g.slot(ctx); err != nil {
			return err
		}
		if err := g.token(ctx); err != nil {
			g.exit()
			return err
		}
		if !g.closed() {
			return nil
		}
		g.exit()
	}
}

func (g *gate) closed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return time.Now().Before(g.until)
}

// pause waits for the gate to open.
func (g *gate) pause(ctx context.Context) error {
	g.mu.Lock()
	wait, until, why, last := time.Until(g.until), g.until, g.why, g.unavailable
	g.mu.Unlock()
	if wait <= 0 {
		return ctx.Err()
	}
	if wait > g.maxWait {
		return &dirsync.Error{Op: "wait for the target", Kind: why, RetryAt: until, Err: last}
	}
	return sleep(ctx, wait)
}

// token waits for the rate. The limiter's own Wait would refuse, with an error of its own, what a deadline makes useless.
func (g *gate) token(ctx context.Context) error {
	r := g.limiter.Reserve()
	if err := sleep(ctx, r.Delay()); err != nil {
		r.Cancel()
		return err
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// slot waits for one of the requests that may be under way at once, first come, first served.
func (g *gate) slot(ctx context.Context) error {
	g.mu.Lock()
	if g.flying < g.at {
		g.flying++
		g.mu.Unlock()
		return nil
	}
	ready := make(chan struct{})
	g.waiting = append(g.waiting, ready)
	g.mu.Unlock()
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, w := range g.waiting {
		if w == ready {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			return ctx.Err()
		}
	}
	g.release() // it was given meanwhile
	return ctx.Err()
}

func (g *gate) exit() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.release()
}

func (g *gate) release() {
	g.flying--
	for g.flying < g.at && len(g.waiting) > 0 {
		close(g.waiting[0])
		g.waiting = g.waiting[1:]
		g.flying++
	}
}

// succeeded notes a usable answer, and how long it took; zero says nothing about that.
func (g *gate) succeeded(took time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.bad = 0
	if took > 0 && g.took == 0 {
		g.took = took
	} else if took > 0 {
		g.took += (took - g.took) / 8
	}
	if g.good++; g.good < max(g.at, 4) {
		return
	}
	g.good, g.strikes = 0, 0
	g.at = min(g.most, g.at+1)
	if now := float64(g.limiter.Limit()); now < g.top {
		g.limiter.SetLimit(rate.Limit(min(g.top, now+max(now/20, g.top/200))))
	}
}

// throttled notes that the target wants to be left alone for so long.
func (g *gate) throttled(wait time.Duration, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.bad, g.good = 0, 0
	g.close(now.Add(min(wait, longestPause)), dirsync.Throttled, err)
	if now.Sub(g.halved) < time.Second {
		return
	}
	g.halved = now
	g.strikes++
	g.at = max(1, g.at/2)
	g.limiter.SetLimit(rate.Limit(max(g.top/64, float64(g.limiter.Limit())/2)))
}

// failed notes that no usable answer came. After several in a row the gate closes, longer each time up to a minute, and
// then lets one request through to see.
func (g *gate) failed(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.good = 0
	if g.bad++; g.bad < breaks {
		return
	}
	g.at = 1
	pause := min(time.Minute, time.Second<<min(g.bad-breaks, 6))
	g.close(time.Now().Add(pause), dirsync.Unavailable, err)
}

func (g *gate) close(until time.Time, why dirsync.ErrorKind, err error) {
	if until.After(g.until) {
		g.until, g.why, g.unavailable = until, why, err
	}
}

// estimate is how long so many requests take at the present pace.
func (g *gate) estimate(n int) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	perSecond := float64(g.limiter.Limit())
	if g.took > 0 {
		perSecond = min(perSecond, float64(g.most)/g.took.Seconds())
	}
	seconds := float64(n)/perSecond + max(0, time.Until(g.until).Seconds())
	return time.Duration(min(seconds, math.MaxInt32) * float64(time.Second))
}
