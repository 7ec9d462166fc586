package main

import (
	"testing"
	"time"

	"dirsync"
)

// TestReadings says when a reading is due, and how its age is told.
func TestReadings(t *testing.T) {
	now := time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	read := func(age time.Duration) dirsync.ReadState { return dirsync.ReadState{Completed: now.Add(-age)} }
	open, confirming := read(time.Minute), read(time.Minute)
	open.Open, confirming.Confirming = true, true
	tests := []struct {
		name         string
		users        dirsync.ReadState
		groups       *dirsync.ReadState
		due          bool
		state, round string // of the users' reading
	}{
		{"never", dirsync.ReadState{}, nil, true, neverRead, ""},
		{"never, and under way", dirsync.ReadState{Open: true}, nil, true, neverRead, "open"},
		{"young", read(23 * time.Hour), nil, false, readFresh, ""},
		{"old enough", read(day), nil, true, readFresh, ""},
		{"twice as old", read(2 * day), nil, true, readFresh, ""},
		{"more than that", read(2*day + 1), nil, true, readLate, ""},
		{"six days", read(6 * day), nil, true, readLate, ""},
		{"more than six days", read(6*day + 1), nil, true, readDying, ""},
		{"seven days", read(7 * day), nil, true, readDying, ""},
		{"more than seven days", read(7*day + 1), nil, true, readOutlived, ""},
		{"broken off", open, nil, true, readFresh, "open"},
		{"broken off before its look-ups", confirming, nil, true, readFresh, "confirming"},
		{"of a clock that was ahead", read(-time.Hour), nil, false, readFresh, ""},
		{"both young", read(time.Hour), ptr(read(2 * time.Hour)), false, readFresh, ""},
		{"groups old", read(time.Hour), ptr(read(day)), true, readFresh, ""},
		{"groups never", read(time.Hour), &dirsync.ReadState{}, true, readFresh, ""},
		{"groups broken off", read(time.Hour), &open, true, readFresh, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := readings{users: tt.users, groups: tt.groups}
			if got := r.due(day, now); got != tt.due {
				t.Errorf("due: got %v, want %v", got, tt.due)
			}
			v := viewReading("users", tt.users, day, now)
			if v.State != tt.state || v.Round != tt.round {
				t.Errorf("got %q %q, want %q %q", v.State, v.Round, tt.state, tt.round)
			}
			if want := tt.users.Completed.Add(7 * day); !v.LastRead.IsZero() && !v.TokenDies.Equal(want) {
				t.Errorf("forgotten at %v, want %v", v.TokenDies, want)
			}
		})
	}
}

func ptr[T any](v T) *T { return &v }
