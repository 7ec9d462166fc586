package plan

import (
	"fmt"
	"math"

	"dirsync"
)

// Unbounded as a Count or Share means no such bound.
const Unbounded = -1

// Limit bounds how many destructive changes of one kind a run may make without being asked. The zero Limit lets none
// through.
type Limit struct {
	// Count is the most changes whatever the size of the population.
	Count int
	// Share is the most changes as a fraction of all accounts, 0.05 for five per cent.
	Share float64
	// Floor is how many changes always go through, so that a share does not stop a small company from letting one
	// person go.
	Floor int
}

// Allowed is the largest number of changes that goes through: the smaller of Count and Share, but never below Floor.
// Without any bound no number is too large.
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

// Limits are the limits of one sync.
type Limits struct {
	Deletes, Deactivations Limit
	// Groups is for the deletions and the deactivations of groups.
	Groups Limit
}

// DefaultLimits let a business shed a handful of people a week, and stop at a twentieth of everybody or at 500, which
// is where Microsoft's own Entra Connect stops.
func DefaultLimits() Limits {
	l := Limit{Count: 500, Share: 0.05, Floor: 5}
	return Limits{Deletes: l, Deactivations: l, Groups: Limit{Count: 10, Share: 0.05, Floor: 1}}
}

// Guard returns the kinds of change of which a plan has too many. All changes of such a kind are held, not only those
// above the limit: which of them would be the wrong ones nobody can tell. population is the number of accounts that
// are linked to people.
func Guard(counts map[dirsync.ChangeKind]int, population int, limits Limits) []dirsync.Hold {
	var holds []dirsync.Hold
	for _, g := range []struct {
		kind  dirsync.ChangeKind
		words string
		limit Limit
	}{
		{dirsync.Delete, "deletions", limits.Deletes},
		{dirsync.Deactivate, "deactivations", limits.Deactivations},
	} {
		n, allowed := counts[g.kind], g.limit.Allowed(population)
		if n <= allowed {
			continue
		}
		holds = append(holds, dirsync.Hold{
			Kind: g.kind, Count: n, Allowed: allowed,
			Reason: fmt.Sprintf("%d %s of %d accounts are more than the %d that may go through unasked (%s)",
				n, g.words, population, allowed, g.limit),
		})
	}
	return holds
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
