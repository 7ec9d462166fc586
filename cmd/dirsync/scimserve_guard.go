package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"dirsync"
	"dirsync/scim/server"
	"dirsync/store"
	"dirsync/sync/plan"
)

// pushPart is the part of the store that has the holds of what clients push. No sync can have that name.
const pushPart = "scim server"

// noteSpent is the note in which the store keeps what clients have taken away unasked.
const noteSpent = "scim/spent"

// The spans of the limits. Clients make no runs, so what comes within pushRun counts as one. What was taken away is counted
// by pushSlice.
const (
	pushSlice = 10 * time.Minute
	pushRun   = time.Hour
	// pushHold is how long a hold can be decided; then another one takes its place.
	pushHold = 30 * 24 * time.Hour
	// pushCommit is how long after its verdict a request may still write.
	pushCommit = 5 * time.Minute
)

// pushGuard decides whether what clients ask for may go through, and keeps what may not: by the limits and with the holds
// of syncs. A run knows its whole plan before it begins, and a request knows only itself, so what comes before a limit is
// reached has gone through.
//
// Who is on the list of a hold is in no list: they are the resources that have something Pending. That is written together
// with the answer to the client, so a crash can part neither. The hold itself says only since when, and how many at most.
type pushGuard struct {
	resources dirsync.ResourceStore
	holds     *store.Sync
	notes     noted
	now       func() time.Time
	// made wakes whoever tells of holds.
	made chan struct{}

	// loading lets one find out what is pending since before the start; loaded says that it is done.
	loading sync.Mutex
	loaded  bool

	// deciding lets one decision be carried out at a time.
	deciding sync.Mutex

	mu      sync.Mutex
	limits  SCIMLimits
	policy  WhenDeleted
	read    bool
	spent   []spentSlice
	open    map[heldKind]dirsync.Hold
	pending map[pendingID]time.Time // and when that became known
	told    map[heldKind]toldHold
	// waiting are the open holds as they were when they were last looked at.
	waiting []dirsync.Hold
}

// toldHold is what was told of a list, and when; and what it was when it was last looked at.
type toldHold struct {
	digest, seen string
	at           time.Time
}

// tellGrowing is how long a list may grow before it is told again, unless it stops growing.
const tellGrowing = 15 * time.Minute

// news tells whether it is time to tell of a list; the empty digest is an empty list.
func (t *toldHold) news(digest string, now time.Time) bool {
	settled := digest == t.seen || digest == "" || elapsed(now, t.at) >= tellGrowing
	t.seen = digest
	if digest == t.digest || !settled {
		return false
	}
	t.digest, t.at = digest, now
	return true
}

// heldKind tells the lists apart.
type heldKind struct {
	danger dirsync.Danger
	groups bool
}

// pendingID names a resource.
type pendingID struct {
	kind dirsync.Kind
	id   string
}

// spentSlice is what was taken away within a pushSlice.
type spentSlice struct {
	At     time.Time     `json:"at"`
	Users  dirsync.Spent `json:"users,omitzero"`
	Groups dirsync.Spent `json:"groups,omitzero"`
}

func newPushGuard(resources dirsync.ResourceStore, st *store.Store, now func() time.Time) *pushGuard {
	return &pushGuard{resources: resources, holds: st.Sync(pushPart), notes: st, now: now, made: make(chan struct{}, 1),
		open: map[heldKind]dirsync.Hold{}, pending: map[pendingID]time.Time{}, told: map[heldKind]toldHold{}}
}

// configure takes limits and policy over.
func (g *pushGuard) configure(c *SCIMConfig) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limits, g.policy = c.Limits, c.WhenDeleted
}

// whenDeleted is the policy.
func (g *pushGuard) whenDeleted() WhenDeleted {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.policy
}

// danger says what a change takes away from a resource; nothing, if the account is of no use to anybody already.
func danger(policy WhenDeleted, r dirsync.Resource, kind dirsync.ChangeKind) (heldKind, bool) {
	switch {
	case r.Kind == dirsync.KindGroup:
		return heldKind{dirsync.Deletion, true}, kind == dirsync.Delete
	case kind == dirsync.Delete && policy == DeleteDeleted:
		return heldKind{dirsync.Deletion, false}, true
	default:
		return heldKind{dirsync.Deactivation, false}, r.Active
	}
}

// ask is the Guard of the server.
func (g *pushGuard) ask(ctx context.Context, _ server.Principal, r dirsync.Resource, kind dirsync.ChangeKind) (server.Verdict, error) {
	population, err := g.resources.CountResources(ctx, r.Kind)
	if err != nil {
		return 0, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.known(ctx); err != nil {
		return 0, err
	}
	allow := server.Allow
	if kind == dirsync.Delete && g.policy == DeactivateDeleted {
		allow = server.Deactivate
	}
	what, takes := danger(g.policy, r, kind)
	if !takes {
		return allow, nil
	}
	now := g.now()
	_, held := g.open[what]
	if !held {
		reason := g.tooMuch(what, population, now)
		if reason == nil {
			return allow, g.spend(ctx, what, now)
		}
		if err := g.hold(ctx, what, *reason, now); err != nil {
			return 0, err
		}
	}
	g.pending[pendingID{r.Kind, r.ID}] = now
	return server.Hold, nil
}

// known reads what the store remembers, once. The caller holds mu.
func (g *pushGuard) known(ctx context.Context) error {
	if g.read {
		return nil
	}
	text, err := g.notes.Note(ctx, noteSpent)
	if err != nil {
		return err
	}
	if text != nil {
		if err := json.Unmarshal(text, &g.spent); err != nil {
			return &dirsync.Error{Op: "read what was taken away before", Kind: dirsync.Corrupt, Err: err}
		}
	}
	holds, err := g.holds.Holds(ctx, 0, 100)
	if err != nil {
		return err
	}
	for _, h := range holds {
		if what := (heldKind{h.Kind, h.Groups}); h.Status == dirsync.HoldOpen {
			g.open[what] = h
		}
	}
	g.read = true
	return nil
}

// tooMuch says why one more would be too much; nil if it would not.
func (g *pushGuard) tooMuch(what heldKind, population int, now time.Time) *dirsync.Hold {
	var run dirsync.Spent
	var before plan.Spent
	for _, s := range g.spent {
		taken := s.Users
		if what.groups {
			taken = s.Groups
		}
		age := now.Sub(s.At)
		switch {
		case age >= 7*24*time.Hour:
			continue
		case age < pushRun:
			run = run.Plus(taken)
			continue
		case age < 24*time.Hour:
			before.Day = before.Day.Plus(taken)
		}
		before.Week = before.Week.Plus(taken)
	}
	run.Add(what.danger, 1)
	var planned dirsync.Spent
	planned.Add(what.danger, run.Of(what.danger))
	l := limits(Limits{Deletes: g.limits.Deletes, Deactivations: g.limits.Deactivations, Removals: g.limits.Deletes,
		Blankings: g.limits.Deletes, Groups: g.limits.Groups})
	if what.groups {
		l.Deletes = l.Groups
	}
	holds := plan.Guard(planned, before, population, l)
	if len(holds) == 0 {
		return nil
	}
	return &holds[0]
}

// spend counts one more that goes through, durably. The caller holds mu.
func (g *pushGuard) spend(ctx context.Context, what heldKind, now time.Time) error {
	spent := slices.DeleteFunc(slices.Clone(g.spent), func(s spentSlice) bool { return now.Sub(s.At) >= 7*24*time.Hour })
	at := now.UTC().Truncate(pushSlice)
	if n := len(spent); n == 0 || !spent[n-1].At.Equal(at) {
		spent = append(spent, spentSlice{At: at})
	}
	last := &spent[len(spent)-1]
	if what.groups {
		last.Groups.Add(what.danger, 1)
	} else {
		last.Users.Add(what.danger, 1)
	}
	text, err := json.Marshal(spent)
	if err == nil {
		err = g.notes.SetNote(ctx, noteSpent, text)
	}
	if err == nil {
		g.spent = spent
	}
	return err
}

// hold makes a new hold. The caller holds mu.
func (g *pushGuard) hold(ctx context.Context, what heldKind, because dirsync.Hold, now time.Time) error {
	h := dirsync.Hold{Sync: pushed, Kind: what.danger, Groups: what.groups, Reason: because.Reason, Allowed: because.Allowed, Count: 1, People: 1,
		Digest: pendingDigest(nil), Created: now.UTC(), Expires: now.UTC().Add(pushHold), Status: dirsync.HoldOpen}
	var err error
	if h.ID, err = g.holds.NewHold(ctx, h); err != nil {
		return err
	}
	g.open[what] = h
	g.wake()
	return nil
}

// written is called when what was held is in the store. Of the first on a list people are told at once, and of those who
// follow now and then.
func (g *pushGuard) written() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for what := range g.open {
		if g.told[what].digest == "" {
			g.wake()
		}
	}
}

// wake has the holds looked at.
func (g *pushGuard) wake() {
	select {
	case g.made <- struct{}{}:
	default:
	}
}

// load finds out what is pending since before the start, once.
func (g *pushGuard) load(ctx context.Context) error {
	g.loading.Lock()
	defer g.loading.Unlock()
	if g.loaded {
		return nil
	}
	g.mu.Lock()
	err := g.known(ctx)
	g.mu.Unlock()
	if err != nil {
		return err
	}
	for _, kind := range []dirsync.Kind{dirsync.KindUser, dirsync.KindGroup} {
		for after := ""; ; {
			page, err := g.resources.Resources(ctx, kind, after, 0, pendingAtOnce)
			if err != nil {
				return fmt.Errorf("look for what waits for approval: %w", err)
			}
			g.mu.Lock()
			for _, r := range page {
				if r.Pending != 0 {
					g.pending[pendingID{kind, r.ID}] = time.Time{}
				}
			}
			g.mu.Unlock()
			if len(page) < pendingAtOnce {
				break
			}
			after = page[len(page)-1].ID
		}
	}
	g.loaded = true
	return nil
}

const pendingAtOnce = 1000

// list returns what is pending, of one list, in the order in which accounts were made. What is not pending any more, because
// a client has taken it back, is forgotten.
func (g *pushGuard) list(ctx context.Context, what heldKind) ([]dirsync.Resource, error) {
	if err := g.load(ctx); err != nil {
		return nil, err
	}
	g.mu.Lock()
	policy, ids := g.policy, make([]pendingID, 0, len(g.pending))
	for p := range g.pending {
		ids = append(ids, p)
	}
	g.mu.Unlock()
	slices.SortFunc(ids, func(a, b pendingID) int {
		if len(a.id) != len(b.id) {
			return len(a.id) - len(b.id)
		}
		return strings.Compare(a.id, b.id)
	})
	var out []dirsync.Resource
	for _, p := range ids {
		r, err := g.resources.Resource(ctx, p.kind, p.id)
		switch {
		case err != nil && dirsync.KindOf(err) != dirsync.NotFound:
			return nil, err
		case err != nil || r.Pending == 0:
			g.forget(p)
			continue
		}
		if on, _ := danger(policy, r, r.Pending); on == what {
			out = append(out, r)
		}
	}
	return out, nil
}

// forget takes a resource off, unless the request about it may yet be written.
func (g *pushGuard) forget(p pendingID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.now().Sub(g.pending[p]) >= pushCommit {
		delete(g.pending, p)
	}
}

// pendingDigest identifies a list.
func pendingDigest(list []dirsync.Resource) string {
	var all plan.List
	for _, r := range list {
		sum := sha256.Sum256([]byte(r.Kind.String() + " " + r.ID + " " + r.Pending.String()))
		all.Add(hex.EncodeToString(sum[:]))
	}
	return all.Digest()
}

// current returns a hold as it is now, with its list.
func (g *pushGuard) current(ctx context.Context, h dirsync.Hold) (dirsync.Hold, []dirsync.Resource, error) {
	if h.Status != dirsync.HoldOpen {
		return h, nil, nil
	}
	list, err := g.list(ctx, heldKind{h.Kind, h.Groups})
	h.Digest, h.Count, h.People = pendingDigest(list), len(list), len(list)
	return h, list, err
}

// look brings the holds up to date: it closes those of which nothing is left, makes new ones for what waits without one, and
// returns all open ones if there is anything to tell.
func (g *pushGuard) look(ctx context.Context) ([]dirsync.Hold, error) {
	g.deciding.Lock()
	defer g.deciding.Unlock()
	news := false
	open := []dirsync.Hold{}
	for _, what := range []heldKind{{dirsync.Deletion, false}, {dirsync.Deactivation, false}, {dirsync.Deletion, true}} {
		list, err := g.list(ctx, what)
		if err != nil {
			return nil, err
		}
		h, is, err := g.stand(ctx, what, list)
		if err != nil {
			return nil, err
		}
		g.mu.Lock()
		now := ""
		if is {
			now = h.Digest
			open = append(open, h)
		}
		told := g.told[what]
		news = told.news(now, g.now()) || news
		g.told[what] = told
		g.mu.Unlock()
	}
	g.mu.Lock()
	g.waiting = open
	g.mu.Unlock()
	if !news {
		return nil, nil
	}
	return open, nil
}

// stand brings one hold up to date, and says whether it is open.
func (g *pushGuard) stand(ctx context.Context, what heldKind, list []dirsync.Resource) (dirsync.Hold, bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	h, is := g.open[what]
	now := g.now()
	switch {
	case is && len(list) == 0 && now.Sub(h.Created) >= pushCommit:
		delete(g.open, what)
		h.Status, h.At = dirsync.HoldOver, now.UTC()
		return h, false, g.holds.SaveHold(ctx, h)
	case is && !now.Before(h.Expires):
		h.Status = dirsync.HoldExpired
		if err := g.holds.SaveHold(ctx, h); err != nil {
			return h, false, err
		}
		delete(g.open, what)
		fallthrough
	case !is && len(list) > 0:
		err := g.hold(ctx, what, dirsync.Hold{Reason: fmt.Sprintf("nobody has decided yet about what was held before (%d)", len(list))}, now)
		if err != nil {
			return h, false, err
		}
		h, is = g.open[what], true
	}
	if !is || len(list) == 0 {
		return h, false, nil
	}
	if digest := pendingDigest(list); digest != h.Digest {
		h.Digest, h.Count, h.People = digest, len(list), len(list)
		g.open[what] = h
		return h, true, g.holds.SaveHold(ctx, h)
	}
	return h, true, nil
}
