package graphtest

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// charge is what one request took of the budget.
type charge struct {
	at    time.Time
	units int
}

// budgetWindow is the time in which an application can spend its budget in one tenant (Graph, limits of the identity
// service).
const budgetWindow = 10 * time.Second

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

// spending forgets what was spent before the window that ends now, and adds up the rest. A clock that was set back
// empties the window.
func (t *Tenant) spending(now time.Time) int {
	units := 0
	kept := t.spent[:0]
	for _, c := range t.spent {
		if age := now.Sub(c.at); age >= 0 && age < budgetWindow {
			kept = append(kept, c)
			units += c.units
		}
	}
	t.spent = kept
	return units
}

// budgeted serves a request if the budget allows it, and says how much of the budget is used once that is worth
// mentioning. A request that is refused for what it asks, or for want of a permission, costs nothing, and here neither
// does one that is throttled.
func (q *request) budgeted(serve func() answer) answer {
	if !q.t.Faults.EnforceBudget {
		return serve()
	}
	limit, spent, cost := q.t.budget(), q.t.spending(q.now), q.cost()
	if spent+cost > limit {
		return q.overBudget(spent, cost, limit)
	}
	a := serve()
	if a.status != http.StatusBadRequest && a.status != http.StatusForbidden {
		q.t.spent = append(q.t.spent, charge{q.now, cost})
		spent += cost
	}
	if share := float64(spent) / float64(limit); share > 0.8 {
		if a.header == nil {
			a.header = make(http.Header)
		}
		a.header.Set("X-Ms-Throttle-Limit-Percentage", strconv.FormatFloat(share, 'f', 2, 64))
	}
	return a
}

// overBudget answers a request that the budget does not allow, and says when it will: in whole seconds, the earliest
// that are enough.
func (q *request) overBudget(spent, cost, limit int) answer {
	who := q.t.identity()
	wait, left := budgetWindow, spent
	for _, c := range q.t.spent {
		if left -= c.units; left+cost <= limit {
			wait = c.at.Add(budgetWindow).Sub(q.now)
			break
		}
	}
	f := Throttled(strconv.Itoa(max(1, int(math.Ceil(wait.Seconds())))))
	f.Header.Set("X-Ms-Throttle-Scope", fmt.Sprintf("Tenant_Application/ReadWrite/%s/%s", who.ClientID, who.ID))
	f.Header.Set("X-Ms-Throttle-Limit-Percentage", strconv.FormatFloat(float64(spent+cost)/float64(limit), 'f', 2, 64))
	return answer{status: f.Status, header: f.Header, body: []byte(f.Body)}
}
