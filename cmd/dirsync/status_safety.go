package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"dirsync"
	"dirsync/store"
)

// safetyTotals are what waits for people to decide, and for time to pass.
type safetyTotals struct {
	// Kept are the people of whom somebody has decided that they stay as they are.
	Kept int `json:"kept"`
	// Holds are the names of the holds that wait for a decision.
	Holds []string `json:"open_holds"`
	// InGrace counts the accounts that are deleted when their grace period ends, and FirstDeletion is when the first of
	// these ends. With more than maxGraceWalk people owed, there may be more: InGraceMore.
	InGrace       int       `json:"in_grace"`
	InGraceMore   bool      `json:"in_grace_more,omitempty"`
	FirstDeletion time.Time `json:"first_deletion,omitzero"`
}

// maxGraceWalk is how many of the owed are looked at, so that a status takes no longer when everybody is owed.
const maxGraceWalk = 20_000

// statusOfSafety finds what waits for people, and for time to pass.
func (a *app) statusOfSafety(ctx context.Context, s *store.Sync, t dirsync.Totals) (safetyTotals, error) {
	v := safetyTotals{Kept: t.Kept, Holds: []string{}}
	for _, of := range []*store.Sync{s, s.Groups()} {
		holds, err := of.Holds(ctx, 0, 200) // an open one is among the latest
		if err != nil {
			return v, fmt.Errorf("list the holds: %w", err)
		}
		for _, h := range holds {
			if holdStatus(h, a.now()) == dirsync.HoldOpen {
				v.Holds = append(v.Holds, h.Name())
			}
		}
	}
	walked := 0
	err := eachEverOwed(ctx, s, a.now(), func(p dirsync.Person) error {
		if walked++; walked > maxGraceWalk {
			v.InGraceMore = true
			return errEnough
		}
		if p.Owed.Why == dirsync.WhyGrace {
			if v.InGrace++; v.FirstDeletion.IsZero() || p.Owed.Due.Before(v.FirstDeletion) {
				v.FirstDeletion = p.Owed.Due
			}
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return v, err
}

// eachEverOwed calls fn for everybody who is owed a look, however far away that is.
func eachEverOwed(ctx context.Context, s *store.Sync, now time.Time, fn func(dirsync.Person) error) error {
	const limit = 1000
	for after := dirsync.Seq(0); ; {
		batch, err := s.Owed(ctx, now.AddDate(1000, 0, 0), after, limit)
		if err != nil {
			return fmt.Errorf("list the owed: %w", err)
		}
		for _, p := range batch {
			after = p.Seq
			if err := fn(p); err != nil {
				return err
			}
		}
		if len(batch) < limit {
			return nil
		}
	}
}

func (a *app) printSafety(v statusView) {
	name, now := clean(v.Sync), a.now()
	if n := len(v.Holds); n > 0 {
		a.printf("\n%s: %s for a decision: %s. dirsync holds HOLD shows who is concerned.\n", name, counted(n, "hold waits", "holds wait"), strings.Join(v.Holds, ", "))
	}
	if v.InGrace > 0 {
		least := ""
		if v.InGraceMore {
			least = "at least "
		}
		a.printf("\n%s: %s%s deleted when the grace period ends, the first on %s (%s), unless they come back.\n", name, least,
			counted(v.InGrace, "account is", "accounts are"), day(v.FirstDeletion, now), when(v.FirstDeletion, now))
	}
	if v.Kept > 0 {
		a.printf("\n%s: %s as they are because somebody has decided so; dirsync ignored lists them.\n", name, counted(v.Kept, "person stays", "people stay"))
	}
}
