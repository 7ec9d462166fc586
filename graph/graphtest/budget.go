package graphtest

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// charge is what one request took of a budget.
type charge struct {
	at    time.Time
	units int
}

// The times in which an application can spend its budgets in one tenant, and how many requests may write in theirs
// (Graph, limits of the identity service).
const (
	budgetWindow = 10 * time.Second
	writeWindow  = 150 * time.Second
	writeLimit   = 3000
)

// purse is one budget, as far as one request is concerned.
type purse struct {
	spent  *[]charge
	limit  int
	cost   int
	window time.Duration
	// what is how x-ms-throttle-information calls it when it is empty.
	what string
}

// purses are those that the request has to pay from.
func (q *request) purses() []purse {
	f := &q.t.Faults
	var out []purse
	if f.EnforceBudget {
		out = append(out, purse{&q.t.spent, q.t.budget(), q.cost(), budgetWindow, "ResourceUnitLimitExceeded"})
	}
	if f.EnforceWrites && q.kind.writes() {
		limit := f.WriteLimit
		if limit == 0 {
			limit = writeLimit
		}
		out = append(out, purse{&q.t.written, limit, 1, writeWindow, "WriteLimitExceeded"})
	}
	return out
}

// budget is how many resource units the application has in a window: by the number of the tenant's users, or as set.
func (t *Tenant) budget() int {
	switch n := t.people.living; {
	case t.Faults.Budget > 0:
		return t.Faults.Budget
	case n < 50:
		return 3500
	case n <= 500:
		return 5000
	default:
		return 8000
	}
}

// sum forgets what was spent before the window that ends now, and adds up the rest. A clock that was set back empties
// the window.
func (p purse) sum(now time.Time) int {
	units := 0
	kept := (*p.spent)[:0]
	for _, c := range *p.spent {
		if age := now.Sub(c.at); age >= 0 && age < p.window {
			kept = append(kept, c)
			units += c.units
		}
	}
	*p.spent = kept
	return units
}

// budgeted serves a request if the budgets allow it, and says how much of one is used once that is worth mentioning. A
// request that is refused for what it asks, or for want of a permission, costs nothing, and here neither does one that
// is throttled.
func (q *request) budgeted(serve func() answer) answer {
	purses := q.purses()
	for _, p := range purses {
		if spent := p.sum(q.now); spent+p.cost > p.limit {
			return q.overBudget(p, spent)
		}
	}
	a := serve()
	share := 0.0
	for _, p := range purses {
		if a.status != http.StatusBadRequest && a.status != http.StatusForbidden && p.cost > 0 {
			*p.spent = append(*p.spent, charge{q.now, p.cost})
		}
		share = max(share, float64(p.sum(q.now))/float64(p.limit))
	}
	if share > 0.8 {
		if a.header == nil {
			a.header = make(http.Header)
		}
		a.header.Set("X-Ms-Throttle-Limit-Percentage", strconv.FormatFloat(share, 'f', 2, 64))
	}
	return a
}

// overBudget answers a request that a budget does not allow, and says when it will: in whole seconds, the earliest that
// are enough.
func (q *request) overBudget(p purse, spent int) answer {
	who := q.t.identity()
	wait, left := p.window, spent
	for _, c := range *p.spent {
		if left -= c.units; left+p.cost <= p.limit {
			wait = c.at.Add(p.window).Sub(q.now)
			break
		}
	}
	after := strconv.Itoa(max(1, int(math.Ceil(wait.Seconds()))))
	if q.t.Faults.BareThrottle {
		after = ""
	}
	f := Throttled(after)
	f.Header.Set("X-Ms-Throttle-Information", p.what)
	f.Header.Set("X-Ms-Throttle-Scope", fmt.Sprintf("Tenant_Application/ReadWrite/%s/%s", who.ClientID, who.ID))
	f.Header.Set("X-Ms-Throttle-Limit-Percentage", strconv.FormatFloat(float64(spent+p.cost)/float64(p.limit), 'f', 2, 64))
	return answer{status: f.Status, header: f.Header, body: []byte(f.Body)}
}
