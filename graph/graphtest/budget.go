package graphtest

import "time"

// charge is what one request took of the budget.
type charge struct {
	at    time.Time
	units int
}
