package plan

import (
	"fmt"
	"math"

	"dirsync"
)

// Unbounded as a Count or Share means no such bound.
const Unbounded = -1

// Limit bounds how much of one danger may go through without being asked. The zero Limit lets nothing through.
type Limit struct {
	// Count is the most whatever the size of the population.
	Count int
	// Share is the most as a fraction of all accounts, 0.05 for five per cent.
	Share float64
	// Floor is how much always goes through, so that a share does not stop a small company from letting one person go.
	Floor int
}

// Allowed is the largest number that goes through: the smaller of Count and Share, but never below Floor. Without any
// bound no number is too large.
func (l Limit) Allowed(population int) int {
	allowed := math.MaxInt
	if l.Count >= 0 {
		allowed = l.Count
	}
	if l.Share >= 0 {
		// The small addition makes 29 % of 100 what everybody takes it to be, which binary fractions do not.
		allowed = min(allowed, int(math.Floor(l.Share*float64(population)+1e-6)))
	}
	return max(allowed, l.Floor)
}

// Budget bounds one danger in a run, in any 24 hours, and in any 7 days, so that a trickle is seen as well as a flood.
type Budget struct{ Run, Day, Week Limit }

// Every returns the budget that has the same limit for a run, a day and a week.
func Every(l Limit) Budget { return Budget{Run: l, Day: l, Week: l} }

// Limits are the limits of one sync.
type Limits struct {
	// Deletes and Deactivations count accounts, Removals memberships, and Blankings values.
	Deletes, Deactivations, Removals, Blankings Budget
	// Groups is for the deletions and the deactivations of groups.
	Groups Budget
}

// Of returns the budget for one danger.
func (l Limits) Of(d dirsync.Danger) Budget {
	switch d {
	case dirsync.Deletion:
		return l.Deletes
	case dirsync.Deactivation:
		return l.Deactivations
	case dirsync.Removal:
		return l.Removals
	default:
		return l.Blankings
	}
}

// DefaultLimits let a business shed a handful of people a week, and stop at a twentieth of everybody or at 500, which
// is where Microsoft's own Entra Connect stops.
func DefaultLimits() Limits {
	l := Every(Limit{Count: 500, Share: 0.05, Floor: 5})
	return Limits{Deletes: l, Deactivations: l, Removals: l, Blankings: l, Groups: Every(Limit{Count: 10, Share: 0.05, Floor: 1})}
}

// Spent is what was taken away lately without a person having been asked.
type Spent struct{ Day, Week dirsync.Spent }

// Guard returns what a plan takes away too much of: planned is what it would take without having been asked, spent what
// earlier runs took. Everything of such a danger is to be held, not only what is above the limit: which of it would be
// wrong nobody can tell. population is the number of accounts that are linked to people.
func Guard(planned dirsync.Spent, spent Spent, population int, limits Limits) []dirsync.Hold {
	var holds []dirsync.Hold
	for _, d := range dirsync.Dangers() {
		n, budget := planned.Of(d), limits.Of(d)
		if n == 0 {
			continue
		}
		for _, w := range []struct {
			limit  Limit
			before int
			when   string
		}{
			{budget.Run, 0, ""}, {budget.Day, spent.Day.Of(d), "in 24 hours"}, {budget.Week, spent.Week.Of(d), "in 7 days"},
		} {
			allowed := w.limit.Allowed(population)
			if n+w.before <= allowed {
				continue
			}
			h := dirsync.Hold{Kind: d, Count: n, Allowed: max(0, allowed-w.before)}
			h.Reason = fmt.Sprintf("%s with %d accounts are more than the %d that may go through unasked", counted(n, d), population, allowed)
			if w.before > 0 {
				h.Reason = fmt.Sprintf("%s, after %d before, with %d accounts are more than the %d that may go through unasked %s",
					counted(n, d), w.before, population, allowed, w.when)
			}
			h.Reason += " (" + w.limit.String() + ")"
			holds = append(holds, h)
			break
		}
	}
	return holds
}

// counted says how much of a danger, in words: "60 deactivations".
func counted(n int, d dirsync.Danger) string {
	words := map[dirsync.Danger][2]string{
		dirsync.Deletion: {"deletion", "deletions"}, dirsync.Deactivation: {"deactivation", "deactivations"},
		dirsync.Removal:  {"removal from a group", "removals from groups"},
		dirsync.Blanking: {"value that would be blanked", "values that would be blanked"},
	}[d]
	if n == 1 {
		return "1 " + words[0]
	}
	return fmt.Sprintf("%d %s", n, words[1])
}

// String says the limit as the configuration does.
func (l Limit) String() string {
	s := ""
	if l.Count >= 0 {
		s += fmt.Sprintf("count %d, ", l.Count)
	}
	if l.Share >= 0 {
		s += fmt.Sprintf("share %g%%, ", l.Share*100)
	}
	return s + fmt.Sprintf("floor %d", l.Floor)
}

// Status is how a run ends whose parts ended like this. failing are the people whose last change failed.
func Status(r dirsync.Run, failing int, err error) dirsync.RunStatus {
	c := r.Counts
	switch {
	case err != nil:
		return dirsync.Failure
	case c.Rejected > 0 || c.Held > 0 || c.Failed > 0 || failing > 0 || len(r.Warnings) > 0,
		r.Groups != nil && r.Groups.Status != dirsync.Success:
		return dirsync.PartialSuccess
	default:
		return dirsync.Success
	}
}
