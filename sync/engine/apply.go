package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"dirsync"
	"dirsync/sync/plan"
)

// silence is how many changes in a row may go unanswered before the target is taken to be down and the run stops.
const silence = 20

// scattered is the batch for people who are far from one another in the store, where each of them costs pages of their
// own.
const scattered = 250

// maxSecondTries bounds the memory that remembering conflicts takes.
const maxSecondTries = 10_000

// apply carries out the plan, leavers first, batch by batch, and writes down what came of each batch before the next
// one begins. One person's failure stops nobody else; only a target that lets nobody in stops the run.
func (e *Engine) apply(ctx context.Context, r *dirsync.Run, t *tally) error {
	err := e.applyPlan(ctx, r, t)
	if settled := e.settleReferences(context.WithoutCancel(ctx)); err == nil {
		err = settled
	}
	return err
}

func (e *Engine) applyPlan(ctx context.Context, r *dirsync.Run, t *tally) error {
	a := &applying{e: e, r: r, t: t, held: held(*r), began: e.now()}
	for _, kind := range dirsync.ChangeKinds() {
		a.total += t.planned[kind]
	}
	e.waited = 0
	if a.total > 0 {
		a.tell() // the first batch may take a while
	}
	for _, kind := range dirsync.ChangeKinds() {
		var after dirsync.Seq
		for {
			planned, err := e.Store.Plan(ctx, r.ID, kind, after, e.batch())
			if err != nil {
				return err
			}
			if len(planned) == 0 {
				break
			}
			after = planned[len(planned)-1].Seq
			allowed, err := a.allowed(ctx, planned)
			if err != nil {
				return err
			}
			if kind == dirsync.Create && e.creates != nil {
				if err := e.creates(ctx, allowed); err != nil {
					return err
				}
			}
			if err := a.batch(ctx, allowed, nil); err != nil {
				return err
			}
		}
	}
	return a.trySecond(ctx)
}

// allowed returns what of the planned changes is to be sent. Whoever is held stays owed, and comes again in the next plan.
func (a *applying) allowed(ctx context.Context, planned []dirsync.Change) ([]dirsync.Change, error) {
	a.cut = map[dirsync.Seq]bool{}
	if a.held == 0 && len(a.t.disputed) == 0 {
		return planned, nil
	}
	out := make([]dirsync.Change, 0, len(planned))
	var refused []dirsync.Outcome
	for _, c := range planned {
		// It was planned before it was known that the account may be somebody else's.
		if rejection := refusal(&c, a.t.disputed); rejection != nil {
			refused = append(refused, dirsync.Outcome{Change: c, Result: dirsync.Refused, Rejection: rejection,
				Owed: &dirsync.Owed{Why: dirsync.WhyConflict, Since: a.e.now()}})
			continue
		}
		left, some := sent(c, a.held)
		if !some || len(left.After) < len(c.After) || len(left.Removed()) < len(c.Removed()) {
			a.r.Counts.Held++
			a.cut[c.Seq] = true
		}
		if some {
			out = append(out, left)
		} else {
			a.done++
		}
	}
	if len(refused) == 0 {
		return out, nil
	}
	if err := a.settleRefused(ctx, refused); err != nil {
		return nil, err
	}
	for _, o := range refused {
		a.count(o)
	}
	return out, nil
}

// settleRefused settles changes that were not sent: what is known of the accounts is what it was.
func (a *applying) settleRefused(ctx context.Context, refused []dirsync.Outcome) error {
	seqs := make([]dirsync.Seq, len(refused))
	for i, o := range refused {
		seqs[i] = o.Change.Seq
	}
	standings, err := a.e.Store.Standings(ctx, seqs)
	if err != nil {
		return err
	}
	for i := range refused {
		refused[i].Link = standings[i].Link
	}
	return a.e.Store.Settle(ctx, a.r.ID, refused, a.progress)
}

// applying is the apply phase of one run.
type applying struct {
	e *Engine
	r *dirsync.Run
	t *tally
	// held is what the guard holds.
	held dirsync.Danger
	// cut has, of the batch that is under way, whose change is sent in part only, or not at all.
	cut map[dirsync.Seq]bool
	// done and total count changes.
	done, total int
	progress    dirsync.PlanKey
	// began is when the first change was sent.
	began time.Time
	// silent counts the changes in a row that got no answer.
	silent int
	// again are changes that conflicted with what somebody else held at the time.
	again []secondTry
}

// secondTry is a change that met a conflict, and the doubt about its account before it was tried.
type secondTry struct {
	change dirsync.Change
	doubt  dirsync.ChangeKind
}

// batch sends one batch of changes and settles it. second are the changes again if they are tried a second time.
func (a *applying) batch(ctx context.Context, changes []dirsync.Change, second []secondTry) error {
	e, first := a.e, second == nil
	if len(changes) == 0 {
		return nil
	}
	seqs := make([]dirsync.Seq, len(changes))
	for i, c := range changes {
		seqs[i] = c.Seq
	}
	standings, err := e.Store.Standings(ctx, seqs)
	if err != nil {
		return err
	}
	waiting, err := e.waiting(ctx, a.t.circle, changes)
	if err != nil {
		return err
	}
	applied, stop := a.send(ctx, changes)
	now := e.now()
	outcomes := make([]dirsync.Outcome, len(applied))
	for i, ap := range applied {
		if !first {
			standings[i].Link.Doubt = second[i].doubt
		}
		outcomes[i] = e.outcome(changes[i], standings[i], ap, now)
		if a.r.Undoes != 0 || a.cut[changes[i].Seq] {
			outcomes[i].Link = plan.Partly(outcomes[i].Link, standings[i].Link)
		}
		switch {
		case outcomes[i].Owed != nil:
		case a.cut[changes[i].Seq]:
			outcomes[i].Owed = &dirsync.Owed{Why: dirsync.WhyHeld, Since: standings[i].Owed.Since}
		case waiting[i]:
			outcomes[i].Owed = &dirsync.Owed{Why: dirsync.WhyGroups, Since: now}
		}
		// Where nothing is new, nothing can get out of the way either.
		if first && a.t.news > 0 && dirsync.KindOf(ap.Err) == dirsync.Conflict && len(a.again) < maxSecondTries {
			// From here until it is settled for the second time the change is in doubt, should the process die.
			a.again = append(a.again, secondTry{changes[i], standings[i].Link.Doubt})
			outcomes[i].Link = outcomes[i].Link.WithDoubt(changes[i].Kind)
			outcomes[i].Result = 0
		}
	}
	if len(outcomes) > 0 {
		last := outcomes[len(outcomes)-1].Change
		if first {
			a.progress = dirsync.PlanKey{Kind: last.Kind, Seq: last.Seq}
		}
		// What the target has done is written down even if the run was cancelled meanwhile.
		if err := e.Store.Settle(context.WithoutCancel(ctx), a.r.ID, outcomes, a.progress); err != nil {
			return err
		}
	}
	for _, o := range outcomes {
		a.count(o)
	}
	a.tell()
	return stop
}

// tell says how far the run has come, and about how long the rest will take.
func (a *applying) tell() {
	if a.e.Progress == nil {
		return
	}
	a.e.last = Progress{Phase: dirsync.PhaseApply, Done: a.done, Total: a.total}
	if spent := a.e.now().Sub(a.began) - a.e.waited; a.done > 0 && a.done < a.total {
		a.e.last.Left = time.Duration(float64(spent) / float64(a.done) * float64(a.total-a.done))
	}
	a.e.Progress(a.e.last)
}

// send applies changes in order. It returns one result for each change that was tried, and an error when the rest
// should not be tried in this run.
func (a *applying) send(ctx context.Context, changes []dirsync.Change) ([]dirsync.Applied, error) {
	if b, ok := a.e.Target.(dirsync.Batcher); ok {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		applied := b.ApplyAll(ctx, changes)
		if len(applied) != len(changes) {
			return applied[:0], fmt.Errorf("the target answered %d of %d changes", len(applied), len(changes))
		}
		if err := a.again429(ctx, b, changes, applied); err != nil {
			return applied, err
		}
		for _, ap := range applied {
			if err := a.judge(ap.Err); err != nil {
				return applied, err
			}
		}
		return applied, nil
	}
	applied := make([]dirsync.Applied, 0, len(changes))
	for _, c := range changes {
		if err := ctx.Err(); err != nil {
			return applied, err
		}
		var account dirsync.Account
		err := a.e.patiently(ctx, a.r, func() (err error) {
			account, err = a.e.Target.Apply(ctx, c)
			return err
		})
		applied = append(applied, dirsync.Applied{Account: account, Err: err})
		if err := a.judge(err); err != nil {
			return applied, err
		}
	}
	return applied, nil
}

// again429 sends those changes of a batch again for which the target had no time, until it has. Making a change twice is
// the same as making it once.
func (a *applying) again429(ctx context.Context, b dirsync.Batcher, changes []dirsync.Change, applied []dirsync.Applied) error {
	first, before := true, 0
	return a.e.patiently(ctx, a.r, func() error {
		var left []int
		var late []dirsync.Change
		for i, ap := range applied {
			if dirsync.KindOf(ap.Err) == dirsync.Throttled {
				left, late = append(left, i), append(late, changes[i])
			}
		}
		if len(left) == 0 {
			return nil
		}
		if !first {
			answers := b.ApplyAll(ctx, late)
			if len(answers) != len(late) {
				return fmt.Errorf("the target answered %d of %d changes", len(answers), len(late))
			}
			for n, i := range left {
				applied[i] = answers[n]
			}
		}
		var err error
		still := 0
		for _, i := range left {
			if dirsync.KindOf(applied[i].Err) != dirsync.Throttled {
				continue
			}
			if still++; !dirsync.RetryAt(applied[i].Err).Before(dirsync.RetryAt(err)) {
				err = applied[i].Err
			}
		}
		if !first && still < before {
			a.e.through++
		}
		first, before = false, still
		return err
	})
}

// judge says whether an error concerns one person, or everybody who would come after them.
func (a *applying) judge(err error) error {
	if err == nil {
		a.silent = 0
		return nil
	}
	if concernsAll(err) {
		return err
	}
	switch dirsync.KindOf(err) {
	case dirsync.Conflict, dirsync.Invalid, dirsync.NotFound:
		a.silent = 0
		return nil
	}
	if a.silent++; a.silent >= silence {
		return &dirsync.Error{Op: "change users", Kind: dirsync.Unavailable,
			Err:  fmt.Errorf("%s let none of %d changes in a row through: %w", a.e.Target.Name(), a.silent, err),
			Hint: "Nobody is lost: those who were not changed stay owed and are tried again by the next run."}
	}
	return nil
}

// concernsAll tells errors that say nothing about the person whose change met them.
func concernsAll(err error) bool {
	switch dirsync.KindOf(err) {
	case dirsync.Unauthorized, dirsync.Throttled, dirsync.Locked, dirsync.Corrupt, dirsync.Storage:
		return true
	}
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// outcome says what is now known of a person.
func (e *Engine) outcome(c dirsync.Change, was dirsync.Standing, ap dirsync.Applied, now time.Time) dirsync.Outcome {
	o := dirsync.Outcome{Change: c, Result: dirsync.Done, Link: was.Link}
	if ap.Err == nil {
		o.Link = plan.Settle(was.Link, c, ap.Account, now)
		for _, field := range c.CreateOnly {
			want, _ := c.After.Get(field)
			held, _ := o.Link.Held.Get(field)
			o.Differs = o.Differs || c.Kind == dirsync.Create && !want.Same(held)
		}
		if c.Kind == dirsync.Deactivate && !o.Link.IsZero() && e.Policy.Deletes() && e.Policy.Grace > 0 {
			// The deletion that comes after the grace period stays owed. Somebody who was only blocked from signing in, or who
			// left in the one way that deletes nobody, is looked at then as well, and nothing comes of it.
			o.Owed = &dirsync.Owed{Why: dirsync.WhyGrace, Since: now, Due: o.Link.DeactivatedAt.Add(e.Policy.Grace)}
		}
		return o
	}
	o.Error = ap.Err.Error()
	o.Owed = &dirsync.Owed{Why: dirsync.WhyFailed, Since: was.Owed.Since, Attempts: was.Owed.Attempts + 1, Error: o.Error}
	switch kind := dirsync.KindOf(ap.Err); {
	case kind == dirsync.Conflict || kind == dirsync.Invalid:
		// Both promise that nothing was changed: a doubt that stood before still stands, and no new one arises.
		o.Result = dirsync.Refused
		o.Rejection = &dirsync.Rejection{ID: c.Person, User: c.User, Name: c.Name, Faults: []dirsync.Fault{fault(ap.Err)}}
		o.Owed.Why, o.Owed.Attempts = dirsync.WhyConflict, 0
	case kind == dirsync.NotFound:
		// The account that we knew is not there any more. Whatever it was, the next plan makes one, unless it turns up again.
		o.Result, o.Link = dirsync.Failed, dirsync.Link{Account: c.Account, Doubt: dirsync.Create}
	case concernsAll(ap.Err):
		// Not this person's failure: it costs them no waiting time.
		o.Result, o.Link = dirsync.Failed, o.Link.WithDoubt(c.Kind)
		o.Owed.Why, o.Owed.Attempts = dirsync.WhyDoubt, was.Owed.Attempts
	default:
		o.Result, o.Link = dirsync.Failed, o.Link.WithDoubt(c.Kind)
		o.Owed.Due = now.Add(e.delay(o.Owed.Attempts))
	}
	return o
}

// fault turns a target's refusal into a fault of the record.
func fault(err error) dirsync.Fault {
	e, ok := errors.AsType[*dirsync.Error](err)
	if !ok || e.Field == "" {
		return dirsync.Fault{Field: "the record", Reason: "was refused by the target: " + err.Error()}
	}
	f := dirsync.Fault{Field: e.Field, Value: e.Value, Reason: err.Error()}
	if e.Kind == dirsync.Conflict && e.Other != "" {
		f.Reason = "is already used by " + e.Other
	} else if e.Err != nil {
		f.Reason = e.Err.Error()
	}
	return f
}

// count adds an outcome to the run's figures. A conflict that gets a second try is counted then.
func (a *applying) count(o dirsync.Outcome) {
	switch o.Result {
	case dirsync.Done:
		a.r.Counts.Add(o.Change.Kind, 1)
		spend(&a.r.Spent, o.Change)
	case dirsync.Failed:
		a.r.Counts.Failed++
	case dirsync.Refused:
		a.t.refused++
	default:
		return
	}
	a.done++
}

// spend counts what a change took away without having been asked.
func spend(s *dirsync.Spent, c dirsync.Change) {
	for _, d := range dirsync.Dangers() {
		if !c.Asked.Has(d) {
			s.Add(d, c.Takes(d))
		}
	}
}

// trySecond tries the conflicts once more, now that everybody else has had their turn: what stood in somebody's way
// may have been renamed later in the same run.
func (a *applying) trySecond(ctx context.Context) error {
	for second := range slices.Chunk(a.again, min(a.e.batch(), scattered)) {
		changes := make([]dirsync.Change, len(second))
		for i, s := range second {
			changes[i] = s.change
		}
		// In the order of people, as everywhere: a batch may mix kinds.
		if err := a.batch(ctx, changes, second); err != nil {
			return err
		}
	}
	return nil
}

// delay is how long after the given number of failures a person is tried again.
func (e *Engine) delay(attempts int) time.Duration {
	delays := e.Retry
	if len(delays) == 0 {
		delays = DefaultRetry()
	}
	return delays[min(attempts, len(delays))-1]
}

// errStopped stops a producer whose consumer has failed.
var errStopped = errors.New("stopped")
