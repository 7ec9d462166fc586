package graph

import (
	"context"
	"sync"
	"time"
)

// The published limit of writes of an application in a tenant is 3,000 in two minutes and a half (Graph document
// "Microsoft Graph service-specific throttling limits", identity and access). It is a sliding window, and the service's
// clock is not ours, so a little of it is left alone.
const (
	mostWrites  = 2900
	writeWindow = 151 * time.Second
)

// writeGate is what every write of one Client passes, in batches or not, so that all of them together keep to the limit.
// The zero writeGate is open.
type writeGate struct {
	mu sync.Mutex
	// spent are the writes of the last window, oldest first.
	spent []writesAt
	sum   int
	until time.Time // nobody passes before
}

type writesAt struct {
	at time.Time
	n  int
}

// pass waits until n writes may be sent; n is at most the size of a batch.
func (g *writeGate) pass(ctx context.Context, n int, now func() time.Time, sleep func(context.Context, time.Duration) error) error {
	for n > 0 {
		wait := g.reserve(n, now())
		if wait <= 0 {
			break
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// reserve takes n writes and returns zero, or takes nothing and returns how long to wait before asking again.
func (g *writeGate) reserve(n int, now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	if wait := g.until.Sub(now); wait > 0 {
		return wait
	}
	for len(g.spent) > 0 {
		// A clock that was set back would otherwise keep the gate shut for as long.
		if age := now.Sub(g.spent[0].at); age >= 0 && age < writeWindow {
			break
		}
		g.sum -= g.spent[0].n
		g.spent = g.spent[1:]
	}
	if g.sum+n > mostWrites {
		return max(g.spent[0].at.Add(writeWindow).Sub(now), time.Millisecond)
	}
	g.spent = append(g.spent, writesAt{now, n})
	g.sum += n
	return 0
}

// close lets nobody pass before a moment.
func (g *writeGate) close(until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if until.After(g.until) {
		g.until = until
	}
}
