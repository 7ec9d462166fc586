package web

import (
	"encoding/json"
	"strconv"

	"dirsync"
)

// RunView returns a run as the API shows it.
func RunView(r dirsync.Run) Run {
	v := Run{
		ID: runName(r.ID), Sync: r.Sync, Status: string(r.Status), Phase: string(r.Phase), Started: r.Started, Ended: r.Ended,
		AskedBy: r.AskedBy, Undoes: runName(r.Undoes), Counts: Counts(r.Counts), Requests: Requests(r.Requests),
		Holds: holdViews(r.Holds), Error: r.Error, Warnings: texts(r.Warnings), Notes: texts(r.Notes),
	}
	if g := r.Groups; g != nil {
		v.Groups = &GroupRun{Run: runName(g.Run), Status: string(g.Status), Counts: Counts(g.Counts), Holds: holdViews(g.Holds)}
	}
	return v
}

// ChangeView returns a planned change, and what came of it, as the API shows it. The zero Result means that it was not tried.
func ChangeView(o dirsync.Outcome) Change {
	c := o.Change
	return Change{
		Kind: c.Kind.String(), Person: string(c.Person), User: c.User, Name: c.Name, Account: c.Account, Why: c.Why,
		Before: ValuesView(c.Before), After: ValuesView(c.After), Result: o.Result.String(), Error: o.Error, Seq: uint64(c.Seq),
	}
}

// HoldView returns a hold as the API shows it.
func HoldView(h dirsync.Hold) Hold {
	return Hold{
		ID: strconv.FormatUint(uint64(h.ID), 10), Name: h.Name(), Sync: h.Sync, Kind: h.Kind.String(), Groups: h.Groups, Run: runName(h.Run),
		Count: h.Count, Allowed: h.Allowed, People: h.People, Reason: h.Reason, Digest: h.Digest, Created: h.Created, Expires: h.Expires,
		Status: string(h.Status), By: h.By, At: h.At, Why: h.Why,
	}
}

// TotalsView returns the figures of a sync as the API shows them.
func TotalsView(t dirsync.Totals) Totals {
	return Totals{People: t.People, Gone: t.Gone, Active: t.Active, Inactive: t.Inactive, Rejected: t.Rejected, Owed: t.Owed,
		Failing: t.Failing, Differing: t.Differing, Kept: t.Kept}
}

// ValuesView returns values as an object by field, and nil for none.
func ValuesView(vs dirsync.Values) json.RawMessage {
	if len(vs) == 0 {
		return nil
	}
	b, err := vs.MarshalJSON()
	if err != nil { // a text is always written
		return nil
	}
	return b
}

func holdViews(holds []dirsync.Hold) []Hold {
	out := make([]Hold, len(holds))
	for i, h := range holds {
		out[i] = HoldView(h)
	}
	return out
}

// texts returns a list that is written as [] and not as null when it is empty.
func texts(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// runName is a run's number as a text, and "" for none.
func runName(id dirsync.RunID) string {
	if id == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(id), 10)
}

// numberOf reads a number as runName writes it; zero is none.
func numberOf(text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// planKey is where a change stands in its plan.
func (c Change) planKey() dirsync.PlanKey {
	var kind dirsync.ChangeKind
	if err := kind.UnmarshalText([]byte(c.Kind)); err != nil {
		return dirsync.PlanKey{}
	}
	return dirsync.PlanKey{Kind: kind, Seq: dirsync.Seq(c.Seq)}
}
