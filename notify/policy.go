package notify

import (
	"cmp"
	"slices"
	"time"
)

// Policy says how often the same trouble is told. The zero Policy tells everything at once and repeats nothing.
type Policy struct {
	// Repeat are the distances between telling the same trouble and telling it again while it lasts; the last one goes
	// on for ever. Empty means that it is told once.
	Repeat []time.Duration
	// Window is how long news waits for more, so that what happens together is told in one message.
	Window time.Duration
}

// DefaultPolicy repeats after a day, then three, then every seven, and gathers for a minute.
func DefaultPolicy() Policy {
	const day = 24 * time.Hour
	return Policy{Repeat: []time.Duration{day, 3 * day, 7 * day}, Window: time.Minute}
}

// State is what a Policy remembers. The zero State remembers nothing. It survives encoding as JSON unchanged.
type State struct {
	// Open is the trouble that lasts, sorted by Key.
	Open []Open `json:"open,omitempty"`
	// Waiting is news that will be told, at the end of the window that began at WaitingSince.
	Waiting      []News    `json:"waiting,omitempty"`
	WaitingSince time.Time `json:"waiting_since,omitzero"`
}

// Open is trouble that lasts.
type Open struct {
	// News is what was said of it last.
	News News `json:"news"`
	// Since is when it was first reported, Told when it was last told, and Times how often.
	Since time.Time `json:"since"`
	Told  time.Time `json:"told"`
	Times int       `json:"times"`
	// Stale says that other trouble has taken its place: it is not repeated, and only remembered in case it comes back.
	Stale bool `json:"stale,omitempty"`
}

// Decide takes in what was reported and returns what is to be told at now. It is pure: it does not change its arguments,
// and equal arguments give equal results. It must also be called from time to time without news, because windows end and
// trouble is to be repeated.
//
//	news        the same Key is            then
//	Test        -                          told
//	Recovered   -                          told if any trouble of its sync that it Ends was open; that trouble is closed
//	trouble     not open                   told; others of its lane become stale
//	trouble     open                       told again once the next of Repeat has passed since it was last told
//	none        open and not stale         the same
//
// RunFailed and PartialSuccess of a sync share one lane, because a run ends in one way; every other kind is a lane of its
// own. Everything that is told waits for the end of the window first.
func (p Policy) Decide(s State, news []News, now time.Time) (State, []News) {
	now = plainTime(now)
	next := State{Open: slices.Clone(s.Open), Waiting: slices.Clone(s.Waiting), WaitingSince: s.WaitingSince}
	// A clock that was ahead once must not keep everything quiet until it is reached again.
	for i := range next.Open {
		if next.Open[i].Told.After(now) {
			next.Open[i].Told = now
		}
	}
	if next.WaitingSince.After(now) {
		next.WaitingSince = now
	}
	for _, n := range news {
		if n = n.trim(); n.At.IsZero() {
			n.At = now
		}
		switch n.Kind {
		case Test:
			next.wait(n, now)
		case Recovered:
			next.close(n, now)
		default:
			next.report(n, now)
		}
	}
	p.remind(&next, now)
	next.Open = orNil(next.Open)
	if len(next.Waiting) == 0 || now.Before(next.WaitingSince.Add(p.Window)) {
		return next, nil
	}
	tell := next.Waiting
	next.Waiting, next.WaitingSince = nil, time.Time{}
	return next, tell
}

// Forget returns s without anything of the syncs that keep refuses: those that are no longer configured.
func (s State) Forget(keep func(sync string) bool) State {
	gone := func(n News) bool { return n.Sync != "" && !keep(n.Sync) }
	s.Open = orNil(slices.DeleteFunc(slices.Clone(s.Open), func(o Open) bool { return gone(o.News) }))
	s.Waiting = orNil(slices.DeleteFunc(slices.Clone(s.Waiting), gone))
	if len(s.Waiting) == 0 {
		s.WaitingSince = time.Time{}
	}
	return s
}

// orNil makes an empty list nil, as it comes back from a store.
func orNil[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return list
}

func (s *State) wait(n News, now time.Time) {
	if len(s.Waiting) == 0 {
		s.WaitingSince = now
	}
	s.Waiting = append(s.Waiting, n)
}

// report takes in trouble.
func (s *State) report(n News, now time.Time) {
	for i, o := range s.Open {
		if o.News.Sync == n.Sync && lane(o.News.Kind) == lane(n.Kind) && o.News.Key() != n.Key() {
			s.Open[i].Stale = true
		}
	}
	i, ok := slices.BinarySearchFunc(s.Open, n.Key(), func(o Open, k Key) int { return compareKeys(o.News.Key(), k) })
	if ok {
		s.Open[i].News, s.Open[i].Stale = n, false
		return
	}
	s.Open = slices.Insert(s.Open, i, Open{News: n, Since: now, Told: now, Times: 1})
	n.Since = now
	s.wait(n, now)
}

// close takes in the end of trouble.
func (s *State) close(n News, now time.Time) {
	ends := n.Ends
	if len(ends) == 0 {
		ends = []Kind{RunFailed, PartialSuccess, ChangesHeld, Overdue, ConsentWithdrawn}
	}
	var over []Kind
	s.Open = slices.DeleteFunc(s.Open, func(o Open) bool {
		if o.News.Sync != n.Sync || !slices.Contains(ends, o.News.Kind) {
			return false
		}
		if !slices.Contains(over, o.News.Kind) {
			over = append(over, o.News.Kind)
		}
		if n.Since.IsZero() || o.Since.Before(n.Since) {
			n.Since = o.Since
		}
		return true
	})
	if len(over) > 0 {
		n.Ends = over
		s.wait(n, now)
	}
}

// remind tells again what has lasted long enough, and forgets what has been stale for so long that its return is news.
func (p Policy) remind(s *State, now time.Time) {
	for i := range s.Open {
		o := &s.Open[i]
		if o.Stale || len(p.Repeat) == 0 || now.Before(o.Told.Add(p.after(o.Times))) || s.waits(o.News.Key()) {
			continue
		}
		n := o.News
		n.Since, n.Reminder = o.Since, o.Times
		o.Told, o.Times = now, o.Times+1
		s.wait(n, now)
	}
	s.Open = slices.DeleteFunc(s.Open, func(o Open) bool { return o.Stale && !now.Before(o.Told.Add(p.after(o.Times))) })
}

// after is how long trouble that was told so many times is left alone.
func (p Policy) after(times int) time.Duration {
	if len(p.Repeat) == 0 {
		return 7 * 24 * time.Hour
	}
	return p.Repeat[min(max(times, 1), len(p.Repeat))-1]
}

func (s *State) waits(k Key) bool {
	return slices.ContainsFunc(s.Waiting, func(n News) bool { return n.Key() == k })
}

func lane(k Kind) Kind {
	if k == PartialSuccess {
		return RunFailed
	}
	return k
}

func compareKeys(a, b Key) int {
	return cmp.Or(cmp.Compare(a.Sync, b.Sync), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Fingerprint, b.Fingerprint))
}
