package graph

import (
	"context"
	"time"

	"dirsync"
)

// phasePrimed is a first round of which nothing but its beginning is there: the token, and when it was taken.
const phasePrimed = "primed"

// Prime marks the beginning of a first round that is to be read in parallel; see dirsync.Primer. When that is read
// later, as little as is left of Config.ReplicaLag is waited for, which is nothing after half a minute. The Cursor is
// zero where everybody is read by the delta query, or from now on, because there is nothing to be gained.
func (s *Source) Prime(ctx context.Context) (dirsync.Cursor, error) {
	how := s.client.cfg.FirstRead
	if s.invalid != nil || s.membersOnly || how == FirstPlain {
		return "", s.invalid
	}
	ctx = context.WithValue(ctx, counterKey{}, &s.sent)
	if how == FirstAuto && !s.isLarge(ctx) {
		return "", nil
	}
	m := mark{Version: markVersion, Tenant: s.client.cfg.Tenant, Select: s.selected, Inside: true}
	link, err := s.latest(ctx, m)
	if err != nil || link == "" {
		return "", err
	}
	m.First = &firstRound{Phase: phasePrimed, Then: link, Taken: s.client.cfg.Now()}
	return m.cursor(), nil
}

// left is how long must still be waited until every replica knows what any of them knew when the token was taken. A
// clock that was put back meanwhile costs the whole wait.
func (f *first) left() time.Duration {
	lag := f.client.cfg.ReplicaLag
	if age := f.client.cfg.Now().Sub(f.mark.First.Taken); age > 0 {
		return max(0, lag-age)
	}
	return lag
}
