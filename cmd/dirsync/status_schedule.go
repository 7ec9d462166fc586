package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"dirsync/store"
	"dirsync/sync/schedule"
)

// scheduleView is when the daemon runs a sync next, as programs read it.
type scheduleView struct {
	Schedule string `json:"schedule"`
	// Off says that the sync is switched off.
	Off bool `json:"off,omitempty"`
	// NextRun is when the daemon runs it next, as it last knew; absent when it never ran, or only somebody's wish starts a run.
	NextRun time.Time `json:"next_run,omitzero"`
	// PausedSince and Paused say since when and why nothing scheduled runs; absent when the schedule is not paused.
	PausedSince time.Time `json:"paused_since,omitzero"`
	Paused      string    `json:"paused,omitempty"`
}

// statusOfSchedule reads what the daemon keeps of a sync in the store, whether it runs or not.
func statusOfSchedule(ctx context.Context, sc *Sync, st *store.Store, name string) (scheduleView, error) {
	v := scheduleView{Schedule: sc.Schedule.Schedule.String(), Off: !sc.Enabled}
	var state schedule.State
	var paused *pause
	for note, to := range map[string]any{noteSchedule: &state, notePause: &paused} {
		b, err := st.Note(ctx, note+name)
		if err != nil {
			return v, fmt.Errorf("read the schedule: %w", err)
		}
		if len(b) > 0 && json.Unmarshal(b, to) != nil {
			continue // the daemon forgets it as well
		}
	}
	v.NextRun = state.Next
	if paused != nil {
		v.PausedSince, v.Paused = paused.Since, sentence(paused.Reason, paused.Hint)
	}
	return v, nil
}

// printSchedule says when a sync runs next, or why it does not.
func (a *app) printSchedule(v statusView) {
	now := a.now()
	switch {
	case v.Off:
		a.printf("\n%s: switched off; enabled: true in the configuration switches it on\n", clean(v.Sync))
	case v.Paused != "":
		a.printf("\n%s: %s since %s: %s\n", clean(v.Sync), a.style.paint(red, "the schedule is paused"), when(v.PausedSince, now), clean(v.Paused))
		a.printf("  the daemon asks every hour whether it is let in again; dirsync sync-now asks at once\n")
	case v.NextRun.After(now):
		a.printf("\n%s: the next run is %s (%s)\n", clean(v.Sync), when(v.NextRun, now), clean(v.Schedule))
	}
}

// knownSince is since when a sync is known to the daemon; from now on, if it was not yet.
func (d *daemon) knownSince(ctx context.Context, name string) (time.Time, error) {
	var since time.Time
	if err := d.readNote(ctx, noteKnown+name, &since); err != nil || !since.IsZero() {
		return since, err
	}
	since = d.now()
	return since, d.keepNote(noteKnown+name, since)
}
