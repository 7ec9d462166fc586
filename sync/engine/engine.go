package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"dirsync"
	"dirsync/mapping"
	"dirsync/sync/plan"
)

// Engine runs one sync. Its exported fields are set once, before the first call; one call at a time is under way.
type Engine struct {
	// Sync is the sync's name.
	Sync   string
	Source dirsync.Source
	Target dirsync.Target
	// TargetID identifies the target, for people too: "the application at https://app.example/scim/v2". When it is something
	// else than it was, and the accounts of this sync are not there, nothing is done; see recognise. Empty: it is not known.
	TargetID string
	Store    Store
	// Mapping turns a shadow into values of the target.
	Mapping *mapping.Mapping
	// Blocked tells from a shadow that the source does not let the person sign in. Nil: nobody is blocked.
	Blocked func(dirsync.Attributes) bool
	// Groups are what this sync does about groups; nil: nothing.
	Groups *Groups
	Policy plan.Policy
	// Protected tells who is never deactivated or deleted, and ProtectedBy identifies what it goes by: when that is
	// something else, everybody is planned again. Nil: nobody is protected.
	Protected   func(dirsync.Person) bool
	ProtectedBy string
	// Outside tells why somebody is none of this sync's people whatever the mapping says, as a phrase that follows their
	// name; "" for everybody else. OutsideBy identifies what it goes by, as ProtectedBy does. Nil: nobody is left out.
	Outside   func(ctx context.Context, p dirsync.Person) (why string, err error)
	OutsideBy string
	// Clashes tells, of somebody who has no account yet, why another one could be taken for theirs: as a phrase that follows
	// their id, "" for almost everybody. They are rejected. It matters where several syncs write one target, and the ids of
	// one source may be those of another; nil: they cannot.
	Clashes func(ctx context.Context, p dirsync.Person) (why string, err error)
	// Join are the fields by which accounts that are in the target already are found to be somebody's, the surest first.
	// Empty: people are joined by their object id only.
	Join   []string
	Limits plan.Limits
	// Retry are the delays after the first, second, … failure of a person's change; the last one repeats. Empty means
	// DefaultRetry.
	Retry []time.Duration
	// Patience is how long a run waits at the most, in all, for a target that wants to be left alone and lets nothing
	// through; then it ends as a failure, and everybody whom it did not get to stays owed. Zero means DefaultPatience.
	Patience time.Duration
	// Batch is how many changes are sent before their outcomes are written down, and about how many records and
	// decisions make one transaction. Zero means DefaultBatch.
	Batch int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	Log zerolog.Logger
	// Progress is told, now and then and from one goroutine at a time, how far a run has come. Nil tells nobody.
	Progress func(Progress)

	// group makes this the engine of groups, and says which of them the target gets. It is nil in an engine of people.
	group             func(dirsync.ID) bool
	groupsFingerprint string
	// creates is told which groups are about to be made.
	creates func(context.Context, []dirsync.Change) error
	// parks is told what parked is.
	parks func(context.Context, time.Time) error
	// last is what Progress was told last, waited how long the apply phase has waited for the target.
	last   Progress
	waited time.Duration
	// through grows whenever a target that wants to be left alone lets something through.
	through int
}

// DefaultBatch keeps a transaction's memory to a few megabytes and its disk flushes rare.
const DefaultBatch = 2000

// DefaultRetry are the delays after a person's failed change: minutes first, then a day.
func DefaultRetry() []time.Duration {
	return []time.Duration{15 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour}
}

// Progress says how far a run has come.
type Progress struct {
	Phase dirsync.Phase
	// Done counts records while reading, people while planning, and changes while applying.
	Done int
	// Total is how many there will be; zero when nobody knows.
	Total int
	// Parked is until when the run waits, because the target wants to be left alone; zero while it does not.
	Parked time.Time
	// Left is about how long the changes that are left will take, at the pace so far; zero when nobody knows.
	Left time.Duration
}

// Options say how a run was asked for.
type Options struct {
	// AskedBy says who wanted the run, for the journal: "command line", "schedule".
	AskedBy string
	// RetryNow tries people whose change failed without waiting for their next try to be due.
	RetryNow bool
	// Compare lists the target and puts right what somebody else has changed there; see Engine.Compare. With Report it is
	// only told.
	Compare, Report bool
}

// Run makes one pass: it reads what is new, plans everybody who is owed, holds back what is too destructive, applies
// the rest and settles it. It returns the run as it was written into the journal. The error says why a run failed; a
// run that left some people as they were has none, but its status is PartialSuccess.
//
// The process may die on any line of this. What then stands in the store is always one of these, and the next run
// begins by dealing with it:
//
//   - in the read phase: the shadow is as new as the last page merged, and reading goes on from there. Nothing has
//     reached the target.
//   - in the plan phase: some people are decided. Those with a change are still owed, and the half-made plan is never
//     applied. Nothing has reached the target.
//   - in the apply phase: everything up to the run's progress is settled. At most Batch changes behind it may or may
//     not have reached the target; recover marks these people as in doubt, so that their change is made again in full
//     whatever they look like by then. All others are still owed.
func (e *Engine) Run(ctx context.Context, opts Options) (dirsync.Run, error) {
	if err := e.recover(ctx); err != nil {
		return dirsync.Run{}, fmt.Errorf("recover the last run: %w", err)
	}
	r := dirsync.Run{
		Sync: e.Sync, Status: dirsync.Running, Phase: dirsync.PhaseRead,
		Started: e.now(), AskedBy: opts.AskedBy, Batch: e.batch(),
	}
	id, err := e.Store.NewRun(ctx, r)
	if err != nil {
		return dirsync.Run{}, fmt.Errorf("begin a run: %w", err)
	}
	r.ID = id
	before := e.requests()
	t := &tally{retryNow: opts.RetryNow}
	err = e.pass(ctx, &r, t, opts)
	after := e.requests()
	r.Requests.Source += after.Source - before.Source
	r.Requests.Target += after.Target - before.Target
	return e.end(ctx, r, t, err)
}

// pass is the architecture: read, plan, guard, apply.
func (e *Engine) pass(ctx context.Context, r *dirsync.Run, t *tally, opts Options) error {
	if err := e.sameTarget(ctx, r); err != nil {
		return err
	}
	if e.group == nil {
		if err := e.read(ctx, r); err != nil {
			return fmt.Errorf("read: %w", err)
		}
	}
	if opts.Compare && e.group == nil {
		if err := e.compareTarget(ctx, r, !opts.Report); err != nil {
			return fmt.Errorf("compare the target: %w", err)
		}
	}
	if e.Groups != nil && e.Groups.Target != nil {
		if err := e.syncGroups(ctx, r, opts); err != nil {
			return err
		}
	}
	r.Phase = dirsync.PhasePlan
	if err := e.Store.SaveRun(ctx, *r); err != nil {
		return fmt.Errorf("save the run: %w", err)
	}
	if err := e.plan(ctx, r, t); err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	if err := e.guard(ctx, r, t); err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	r.Phase = dirsync.PhaseApply
	if err := e.Store.SaveRun(ctx, *r); err != nil {
		return fmt.Errorf("save the plan: %w", err)
	}
	if err := e.apply(ctx, r, t); err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	return nil
}

// recover closes a run that its process did not live to close.
func (e *Engine) recover(ctx context.Context) error {
	runs, err := e.Store.Runs(ctx, 0, 1)
	if err != nil || len(runs) == 0 || runs[0].Phase == dirsync.PhaseEnded {
		return err
	}
	r := runs[0]
	doubted, err := e.doubt(ctx, r)
	if err != nil {
		return err
	}
	e.Log.Warn().Str("sync", e.Sync).Uint64("run", uint64(r.ID)).Str("phase", string(r.Phase)).Int("in_doubt", doubted).
		Msg("the last run was cut off; what it may have changed is made certain now")
	if err := e.forgetUndone(ctx, r); err != nil {
		return err
	}
	if err := e.recount(ctx, &r); err != nil {
		return err
	}
	r.Error = fmt.Sprintf("the run was cut off in its %s phase", r.Phase)
	if r.Undoes != 0 && r.Phase == dirsync.PhaseApply {
		r.Notes = append(r.Notes, shortUndo(r.Undoes))
	}
	r.Status, r.Phase, r.Ended, r.Parked = dirsync.Failure, dirsync.PhaseEnded, e.now(), time.Time{}
	return e.Store.SaveRun(ctx, r)
}

// recount counts what a run that its process did not live to close has done. What is in doubt counts as taken away.
func (e *Engine) recount(ctx context.Context, r *dirsync.Run) error {
	if r.Phase != dirsync.PhaseApply {
		return nil
	}
	r.Spent = dirsync.Spent{}
	left := r.Batch
	for after := (dirsync.PlanKey{}); ; {
		outcomes, err := e.Store.Outcomes(ctx, r.ID, after, e.batch())
		if err != nil {
			return err
		}
		if len(outcomes) == 0 {
			return nil
		}
		for _, o := range outcomes {
			after = dirsync.PlanKey{Kind: o.Change.Kind, Seq: o.Change.Seq}
			c, some := sent(o.Change, held(*r))
			switch {
			case o.Result == dirsync.Done:
				r.Counts.Add(c.Kind, 1)
				spend(&r.Spent, c)
			case o.Result == dirsync.Failed:
				r.Counts.Failed++
			case o.Result == 0 && some && left > 0:
				left--
				spend(&r.Spent, c)
			}
		}
	}
}

// doubt marks the changes of r that may have reached the target without their outcome having been written down.
func (e *Engine) doubt(ctx context.Context, r dirsync.Run) (int, error) {
	if r.Phase != dirsync.PhaseApply {
		return 0, nil
	}
	return e.Store.Doubt(ctx, r.ID, r.Batch, func(c dirsync.Change) bool {
		_, some := sent(c, held(r))
		return !some
	}, e.now())
}

// end writes the run's result into the journal. When that fails the run stays open there, and the next one closes it.
func (e *Engine) end(ctx context.Context, r dirsync.Run, t *tally, runErr error) (dirsync.Run, error) {
	ctx = context.WithoutCancel(ctx) // a cancelled run is closed all the same
	phase := r.Phase
	if runErr != nil {
		r.Error = runErr.Error()
		if err := e.forgetUndone(ctx, r); err != nil {
			return r, errors.Join(runErr, fmt.Errorf("close the run: %w", err))
		}
		if _, err := e.doubt(ctx, r); err != nil {
			return r, errors.Join(runErr, fmt.Errorf("close the run: %w", err))
		}
	}
	totals, err := e.Store.Totals(ctx)
	if err != nil {
		return r, errors.Join(runErr, fmt.Errorf("close the run: %w", err))
	}
	r.Counts.Rejected = totals.Rejected
	if phase == dirsync.PhaseApply {
		r.Counts.Unchanged = t.unchanged(r.Counts, totals)
	}
	if runErr == nil && e.Groups != nil {
		if r.Warnings, err = e.missing(ctx); err != nil {
			return r, fmt.Errorf("close the run: %w", err)
		}
	}
	r.Status, r.Phase, r.Ended = plan.Status(r, totals.Failing, runErr), dirsync.PhaseEnded, e.now()
	if err := e.Store.SaveRun(ctx, r); err != nil {
		return r, errors.Join(runErr, fmt.Errorf("close the run: %w", err))
	}
	return r, runErr
}

// tally counts what a run meets.
type tally struct {
	retryNow bool
	planned  map[dirsync.ChangeKind]int
	// takes is what the plan takes away without having been asked, and stuck what waits for a decision already.
	takes, stuck dirsync.Spent
	// present counts the planned changes of people who are at the source.
	present int
	// news counts the planned changes that are not just another try of what conflicted before.
	news int
	// protected counts those who would have lost their account, were they not protected.
	protected int
	// disputed has the accounts that were there before and of which nobody can tell whose they are, with the reason.
	disputed map[string]string
	// circle is who belongs where.
	circle *circle
	// refused counts people whom the target itself rejected in this run.
	refused int
}

// unchanged is how many of the people at the source were left as they were because there was nothing to do.
func (t *tally) unchanged(c dirsync.Counts, totals dirsync.Totals) int {
	rejected := totals.Rejected - t.refused    // those that have no change in this plan
	waiting := max(0, totals.Failing-c.Failed) // those whose next try is not due yet
	return max(0, totals.People-t.present-rejected-waiting)
}

func (e *Engine) now() time.Time {
	if e.Now != nil {
		return e.Now()
	}
	return time.Now()
}

func (e *Engine) batch() int {
	if e.Batch > 0 {
		return e.Batch
	}
	return DefaultBatch
}

func (e *Engine) progress(phase dirsync.Phase, done, total int) {
	if e.Progress != nil {
		e.last = Progress{Phase: phase, Done: done, Total: total}
		e.Progress(e.last)
	}
}

func (e *Engine) requests() dirsync.Requests {
	var r dirsync.Requests
	if c, ok := e.Source.(dirsync.RequestCounter); ok && e.group == nil {
		r.Source = c.Requests()
	}
	if e.Groups != nil {
		if c, ok := e.Groups.Source.(dirsync.RequestCounter); ok {
			r.Source += c.Requests()
		}
	}
	if c, ok := e.Target.(dirsync.RequestCounter); ok {
		r.Target = c.Requests()
	}
	return r
}
