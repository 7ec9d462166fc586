package notify

import (
	"fmt"
	"slices"
	"strings"

	"dirsync"
)

// OfRun makes the news of a run that has ended: RunFailed, PartialSuccess, ChangesHeld, or, for a Success, Recovered,
// which is told only if there was trouble. A run that kept back changes is both ChangesHeld and PartialSuccess if other
// people were left behind as well. rows are who was rejected or failed and why, of total; link leads to the run.
//
// Trouble is the same the next time if the same people are left behind for the same reasons, whatever numbers the reasons
// hold, and if the very same list of changes is held. A run that has not ended makes no news.
func OfRun(run dirsync.Run, rows []Row, total int, link string) []News {
	n := News{Sync: run.Sync, Run: run.ID, At: run.Ended, Counts: run.Counts, Link: link}
	switch run.Status {
	case dirsync.Success:
		n.Kind = Recovered
		return []News{n}
	case dirsync.Failure:
		n.Kind, n.Reason, n.Fingerprint = RunFailed, run.Error, Fingerprint(run.Error)
		return []News{n}
	case dirsync.PartialSuccess:
	default:
		return nil
	}
	holds, left := run.Holds, run.Counts.Rejected+run.Counts.Failed+len(run.Warnings)
	if g := run.Groups; g != nil {
		holds, left = slices.Concat(holds, g.Holds), left+g.Counts.Rejected+g.Counts.Failed
	}
	var all []News
	if len(holds) > 0 {
		all = append(all, held(n, holds))
	}
	if len(holds) == 0 || left > 0 {
		n.Kind, n.Table, n.Total = PartialSuccess, rows, total
		n.Reason = strings.Join(run.Warnings, " ")
		if n.Reason == "" && len(rows) == 0 {
			n.Reason = run.Error
		}
		parts := []string{fmt.Sprint(max(total, len(rows))), changing.ReplaceAllString(n.Reason, "#")}
		for _, r := range rows {
			parts = append(parts, r.Who, r.What, changing.ReplaceAllString(r.Why, "#"))
		}
		n.Fingerprint = digest(parts)
		all = append(all, n)
	}
	return all
}

// held makes n the news of holds.
func held(n News, holds []dirsync.Hold) News {
	n.Kind = ChangesHeld
	var parts []string
	for _, h := range holds {
		who := "people"
		if h.Groups {
			who = "groups"
		}
		what := h.Kind.String()
		if h.ID != 0 {
			what += ", hold " + h.Name()
		}
		n.Table = append(n.Table, Row{Who: fmt.Sprintf("%d %s", max(h.Count, h.People), who), What: what, Why: h.Reason})
		parts = append(parts, h.Kind.String(), who, fmt.Sprint(h.Count), h.Digest)
	}
	n.Fingerprint = digest(parts)
	return n
}
