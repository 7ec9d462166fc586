package main

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"dirsync"
	"dirsync/sync/engine"
)

// exportedView is one change of one person and the run that made it, as programs read it.
type exportedView struct {
	Time    time.Time `json:"time"`
	Run     string    `json:"run"`
	Sync    string    `json:"sync"`
	AskedBy string    `json:"asked_by"`
	// Undoes is the run that this one took back, if it did.
	Undoes string `json:"undoes,omitempty"`
	// Groups says that the change is of a group and not of a person.
	Groups bool `json:"groups,omitempty"`
	changeView
	change dirsync.Change
}

// viewExported says what a run did to somebody. run may be unknown; then only its number is.
func viewExported(r dirsync.Run, id dirsync.RunID, o dirsync.Outcome, holds []dirsync.Hold) exportedView {
	v := exportedView{Time: r.Started, Run: strconv.FormatUint(uint64(id), 10), Sync: r.Sync, AskedBy: r.AskedBy, changeView: viewChange(o.Change), change: o.Change}
	v.Result, v.Error = resultOf(o, holds), o.Error
	if !r.Ended.IsZero() {
		v.Time = r.Ended
	}
	if r.Undoes != 0 {
		v.Undoes = strconv.FormatUint(uint64(r.Undoes), 10)
	}
	return v
}

// export is which changes are wanted.
type export struct {
	since time.Time
	who   string
}

// exportHistory writes one line of JSON for each change, the newest run first. Memory holds one batch.
func (a *app) exportHistory(ctx context.Context, names []string, x export) error {
	return a.joined(ctx, names, looking, func(ws []*wired) error {
		if x.who == "" {
			for _, w := range ws {
				if err := a.exportRuns(ctx, w, x.since); err != nil {
					return fmt.Errorf("export the history of %s: %w", w.name, err)
				}
			}
			return nil
		}
		found, err := whose(ctx, ws, x.who, true)
		if err != nil {
			return err
		}
		for _, who := range found {
			if err := a.exportPerson(ctx, who, x.since); err != nil {
				return fmt.Errorf("export the history of %s: %w", x.who, err)
			}
		}
		return nil
	})
}

// exportRuns writes every change of a sync's runs.
func (a *app) exportRuns(ctx context.Context, w *wired, since time.Time) error {
	for before := dirsync.RunID(0); ; {
		runs, err := w.sync.Runs(ctx, before, 50)
		if err != nil || len(runs) == 0 {
			return err
		}
		for _, r := range runs {
			before = r.ID
			if r.Started.Before(since) {
				return nil // older ones follow
			}
			if g := r.Groups; g != nil {
				if err := a.exportOutcomes(ctx, w.sync.Groups(), r, g.Run, g.Holds, true); err != nil {
					return err
				}
			}
			if err := a.exportOutcomes(ctx, w.sync, r, r.ID, r.Holds, false); err != nil {
				return err
			}
		}
	}
}

func (a *app) exportOutcomes(ctx context.Context, s engine.Journal, r dirsync.Run, id dirsync.RunID, holds []dirsync.Hold, groups bool) error {
	return eachOutcome(ctx, s, id, func(batch []dirsync.Outcome) error {
		for _, o := range batch {
			v := viewExported(r, r.ID, o, holds)
			v.Groups = groups
			if err := writeJSONLine(a.stdout, v); err != nil {
				return err
			}
		}
		return nil
	})
}

// exportPerson writes every change of one person.
func (a *app) exportPerson(ctx context.Context, who somebody, since time.Time) error {
	// A sync keeps the changes of so many runs at the most, and a person has few in each of them.
	changes, err := who.w.sync.ChangesOf(ctx, who.p.Seq, math.MaxInt)
	if err != nil {
		return err
	}
	for _, c := range changes {
		r, found, err := findRun(ctx, who.w.sync, c.Run)
		if err != nil {
			return err
		}
		if found && r.Started.Before(since) {
			continue
		}
		if err := writeJSONLine(a.stdout, viewExported(r, c.Run, c.Outcome, r.Holds)); err != nil {
			return err
		}
	}
	return nil
}

// since reads a day, a moment or a length of time before now.
func since(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, ok := parseDuration(s); ok {
		return now.Add(-time.Duration(d)), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usageError("--since %s: write a day (2026-03-01), a moment (2026-03-01T02:00:00Z) or a length of time (30d)", s)
}
