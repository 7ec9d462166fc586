package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"dirsync"
	"dirsync/sync/plan"
)

// plan decides about everybody who is owed and due, and writes the decisions down.
func (e *Engine) plan(ctx context.Context, r *dirsync.Run, t *tally) error {
	if err := e.oweIfConfigChanged(ctx, r); err != nil {
		return err
	}
	pl, err := e.begin(ctx, t)
	if err != nil {
		return err
	}
	if pl.join != nil {
		pl.join.patiently = func(do func() error) error { return e.patiently(ctx, r, do) }
	}
	totals, err := e.Store.Totals(ctx)
	if err != nil {
		return err
	}
	// Reading and mapping the next people overlaps writing down the last ones. Nobody is met twice: decisions only
	// touch people whom the walk has passed.
	done := 0
	walk := func(yield func([]dirsync.Decision) error) error {
		return e.eachOwed(ctx, t.due(pl.now), func(people []dirsync.Person) error {
			decisions, err := pl.decide(ctx, people)
			if err != nil {
				return err
			}
			// Here and not below, because deciding may have to wait for the target, and says so.
			done += len(decisions)
			e.progress(dirsync.PhasePlan, done, totals.Owed)
			return yield(decisions)
		})
	}
	err = overlap(walk, func(decisions []dirsync.Decision) error {
		if err := e.Store.Decide(ctx, r.ID, decisions); err != nil {
			return err
		}
		return e.unmark(ctx, decisions)
	})
	if pl.join != nil {
		t.disputed = pl.join.disputed
	}
	if t.protected > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("people who are protected and would have lost their account: %d", t.protected))
	}
	return err
}

// unmark takes away the marks that mean nothing any more.
func (e *Engine) unmark(ctx context.Context, decisions []dirsync.Decision) error {
	var void []dirsync.Mark
	for _, d := range decisions {
		void = append(void, d.Void...)
	}
	if len(void) == 0 {
		return nil
	}
	return e.Store.Unmark(ctx, void)
}

// oweIfConfigChanged owes everybody a look when the mapping, the scope or the policy is not what it was when they were
// last planned. People who were passed over then come back by themselves; the source is not read again for it.
func (e *Engine) oweIfConfigChanged(ctx context.Context, r *dirsync.Run) error {
	state, err := e.Store.ReadState(ctx)
	if err != nil {
		return err
	}
	was, now := state.Fingerprint, e.fingerprint()
	fresh := state.Fresh
	state.Fingerprint, state.Fresh = now, 0
	switch {
	case was != now && was != "": // without one nobody was ever planned, so everybody is owed already
		r.Notes = append(r.Notes, "the configuration has changed; everybody was planned again")
		return e.Store.OweAll(ctx, dirsync.WhyConfig, state, e.now())
	case was != now || fresh > 0:
		return e.Store.SetReadState(ctx, state)
	}
	return nil
}

// kept marks the fingerprint of a policy that leaves people as they are who are blocked.
func kept(p plan.Policy) string {
	if p.WhenBlocked == plan.Keep {
		return "blocked-kept/"
	}
	return ""
}

func (e *Engine) fingerprint() string {
	policy := "/" + e.Policy.WhenDeleted.String() + "/" + e.Policy.WhenOutOfScope.String() + "/" + kept(e.Policy) + e.Policy.Grace.String() + "/" + e.ProtectedBy
	if e.OutsideBy != "" {
		policy += "/outside " + e.OutsideBy
	}
	if e.group != nil {
		return "groups" + policy + e.groupsFingerprint
	}
	return e.Mapping.Fingerprint() + policy + e.scopeFingerprint()
}

// due is until when a debt must be due for a run to look at it. The planner itself waits for the end of a grace period.
func (t *tally) due(now time.Time) time.Time {
	if t.retryNow {
		return now.AddDate(1000, 0, 0)
	}
	return now
}

// eachOwed calls fn for those whose debt is due, a batch at a time.
func (e *Engine) eachOwed(ctx context.Context, due time.Time, fn func([]dirsync.Person) error) error {
	var after dirsync.Seq
	for {
		people, err := e.Store.Owed(ctx, due, after, e.batch())
		if err != nil {
			return err
		}
		if len(people) == 0 {
			return nil
		}
		after = people[len(people)-1].Seq
		if err := fn(people); err != nil {
			return err
		}
		if len(people) < e.batch() {
			return nil
		}
	}
}

// plan counts a planned change.
func (t *tally) plan(c dirsync.Change) {
	t.planned[c.Kind]++
	for _, d := range dirsync.Dangers() {
		switch n := c.Takes(d); {
		case n > 0 && !c.Asked.Has(d):
			t.takes.Add(d, n)
		}
	}
}

// twice calls fn for both parts of what lies between 0 and end, at the same time, and returns the first part's error or
// else the second's. A part without anything in it is left out.
func twice(half, end int, fn func(from, to int) error) error {
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i, part := range [][2]int{{0, half}, {half, end}} {
		if part[0] < part[1] {
			wg.Go(func() { errs[i] = fn(part[0], part[1]) })
		}
	}
	wg.Wait()
	return cmp.Or(errs...)
}

func (e *Engine) createOnly() []string {
	if e.group != nil {
		return nil
	}
	return e.Mapping.CreateOnly()
}

// wanted is what the mapping makes of a person.
func (e *Engine) wanted(p dirsync.Person, createOnly []string) plan.Wanted {
	if e.group != nil {
		return e.wantedGroup(p)
	}
	w := plan.Wanted{User: userName(p), Name: personName(p), CreateOnly: createOnly}
	w.Protected = e.Protected != nil && e.Protected(p)
	if p.Gone != dirsync.Present {
		return w
	}
	m := e.Mapping.Map(p.ID, p.Shadow)
	w.InScope, w.Values, w.Faults = m.InScope, m.Values, m.Faults
	w.Blocked = e.Blocked != nil && e.Blocked(p.Shadow)
	return w
}

// personName is how a person is called at the source.
func personName(p dirsync.Person) string {
	if name := p.Shadow.Text("displayName"); name != "" {
		return name
	}
	return strings.TrimSpace(p.Shadow.Text(dirsync.FirstName) + " " + p.Shadow.Text(dirsync.LastName))
}

// userName is what an administrator would look for at the source.
func userName(p dirsync.Person) string {
	for _, attr := range []string{"userPrincipalName", "userName", "mail", dirsync.EmailAddress} {
		if s := p.Shadow.Text(attr); s != "" {
			return s
		}
	}
	return string(p.ID)
}

// Preview is what a run would do now, without doing it.
type Preview struct {
	Counts map[dirsync.ChangeKind]int
	Holds  []dirsync.Hold
	Totals dirsync.Totals
	// Differing counts, of the people whom this plan looks at, those whose accounts differ from the source in fields
	// whose updates are off. Totals has all that are known.
	Differing int
	// Rejected counts the people with a fault; Waiting those whose deletion waits for the end of its grace period;
	// Protected those who would have lost their account were they not protected.
	Rejected, Waiting, Protected int
}

// Plan decides about everybody whom a run would decide about now, and calls fn for each decision that is not to leave
// well alone, in the order in which people were first met. It writes nothing: what the store holds is what it held.
func (e *Engine) Plan(ctx context.Context, fn func(dirsync.Person, dirsync.Decision) error) (Preview, error) {
	var t tally
	var pv Preview
	state, err := e.Store.ReadState(ctx)
	if err == nil {
		err = e.recognise(ctx)
	}
	if err != nil {
		return pv, err
	}
	pl, err := e.begin(ctx, &t)
	if err != nil {
		return pv, err
	}
	each := e.eachOwed
	if state.Fingerprint != "" && state.Fingerprint != e.fingerprint() {
		each = e.eachPerson // a run would owe everybody
	}
	err = each(ctx, pl.now, func(people []dirsync.Person) error {
		decisions, err := pl.decide(ctx, people)
		if err != nil {
			return err
		}
		for i, p := range people {
			d := decisions[i]
			if pl.join != nil {
				if rejection := refusal(d.Change, pl.join.disputed); rejection != nil {
					t.planned[d.Change.Kind]--
					d.Change, d.Rejection = nil, rejection
				}
			}
			if d.Differs {
				pv.Differing++
			}
			switch {
			case d.Change != nil:
			case d.Rejection != nil:
				pv.Rejected++
			case d.Wait:
				pv.Waiting++
			default:
				continue
			}
			if err := fn(p, d); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return pv, err
	}
	pv.Counts, pv.Protected = t.planned, t.protected
	if pv.Totals, err = e.Store.Totals(ctx); err != nil {
		return pv, err
	}
	spent, err := e.spent(ctx, 0)
	if err != nil {
		return pv, err
	}
	pv.Holds = holds(&t, spent, pv.Totals, e.Limits)
	return pv, nil
}

func (e *Engine) eachPerson(ctx context.Context, _ time.Time, fn func([]dirsync.Person) error) error {
	return e.eachBatch(ctx, e.Store, fn)
}

// eachBatch calls fn for everybody in a store, a batch at a time.
func (e *Engine) eachBatch(ctx context.Context, store Store, fn func([]dirsync.Person) error) error {
	var after dirsync.Seq
	for {
		people, err := store.People(ctx, after, e.batch())
		if err != nil || len(people) == 0 {
			return err
		}
		after = people[len(people)-1].Seq
		if err := fn(people); err != nil {
			return err
		}
	}
}

// eachIn calls fn for everybody in a store.
func (e *Engine) eachIn(ctx context.Context, store Store, fn func(dirsync.Person) error) error {
	return e.eachBatch(ctx, store, func(people []dirsync.Person) error {
		for _, p := range people {
			if err := fn(p); err != nil {
				return err
			}
		}
		return nil
	})
}

// Read brings the shadow up to the source and does nothing else.
func (e *Engine) Read(ctx context.Context) (dirsync.Counts, []string, error) {
	var r dirsync.Run
	err := e.read(ctx, &r)
	return r.Counts, slices.Clip(r.Notes), err
}

// overlap calls produce, and consume for everything that it yields, each on its own goroutine, at most two items
// apart. It returns the first error of either.
func overlap[T any](produce func(yield func(T) error) error, consume func(T) error) error {
	items := make(chan T, 1)
	stop := make(chan struct{})
	consumed := make(chan error, 1)
	go func() {
		var err error
		for item := range items {
			if err = consume(item); err != nil {
				close(stop)
				break
			}
		}
		consumed <- err
	}()
	err := produce(func(item T) error {
		select {
		case items <- item:
			return nil
		case <-stop:
			return errStopped
		}
	})
	close(items)
	if consumeErr := <-consumed; consumeErr != nil {
		return consumeErr
	}
	return err
}
