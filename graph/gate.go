package graph

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// gate is what every request for Graph of one Client passes, attempt by attempt, so that all of them together keep to
// the service's limits: a pause that one of them was told to make, all of them make.
//
// The published budget of an application in a tenant is 8,000 resource units in ten seconds, and less in tenants of at
// most 500 people (Graph document "Microsoft Graph service-specific throttling limits", identity and access). What may
// pass here in ten seconds is at most burst + 10*perSecond = 7,500 units, and a tenant of 500 people gives no reason for
// more than the 3,500 or 5,000 that it has.
type gate struct {
	mu sync.Mutex
	// until is when somebody may pass again, next when the next one may, and pace how far apart two have to be.
	until, next time.Time
	pace        time.Duration
	// spent is what of the burst is used up, as of at.
	spent float64
	at    time.Time
}

const (
	burst     = 3000.0
	perSecond = 450.0
	// calm is the share of its limit up to which the service does not mention it.
	calm = 0.8
)

// pass waits until a request that costs so many resource units may be sent.
func (g *gate) pass(ctx context.Context, units float64, now func() time.Time, sleep func(context.Context, time.Duration) error) error {
	for {
		wait := g.reserve(units, now())
		if wait <= 0 {
			return nil
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// reserve takes the units and returns zero, or takes nothing and returns how long to wait before asking again.
func (g *gate) reserve(units float64, now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.spent = max(0, g.spent-max(0, now.Sub(g.at).Seconds())*perSecond)
	if g.at = now; g.next.Sub(now) > time.Second {
		g.next = now // the clock was set back
	}
	wait := max(g.until.Sub(now), g.next.Sub(now))
	if over := g.spent + units - burst; over > 0 {
		wait = max(wait, time.Duration(over/perSecond*float64(time.Second))+time.Millisecond)
	}
	if wait > 0 {
		return wait
	}
	g.spent += units
	g.next = now.Add(g.pace)
	return 0
}

// close lets nobody pass before a moment.
func (g *gate) close(until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if until.After(g.until) {
		g.until = until
	}
}

// observe takes note of how much of the limit is used, which answers say once it is more than 80 percent. The nearer
// the limit, the further apart the next requests are: ten milliseconds for each percent above that, a second at most.
func (g *gate) observe(h http.Header) {
	share, err := strconv.ParseFloat(h.Get("X-Ms-Throttle-Limit-Percentage"), 64)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pace = 0
	if err == nil && share > calm {
		g.pace = time.Duration(min(share-calm, 1) * float64(time.Second))
	}
}

// units is what a request costs at most: two for users, three for the members of a group, five for objects by their ids
// and one for delta queries; one less for a selection (three less of objects by their ids), and one more for an expansion.
// What is inside of a batch is counted by whoever made the batch.
func units(r *http.Request) float64 {
	if inside, ok := r.Context().Value(unitsKey{}).(float64); ok {
		return inside
	}
	query := r.URL.Query()
	cost, selected := 2.0, 1.0
	switch path := strings.ToLower(r.URL.Path); {
	case isDeltaPath(path):
		cost, selected = 1, 0
	case strings.HasSuffix(path, "/getbyids"):
		cost, selected = 5, 3
	case strings.HasSuffix(path, "/members"):
		cost = 3
	}
	if query.Has("$select") {
		cost -= selected
	}
	if query.Has("$expand") {
		cost++
	}
	return cost
}
