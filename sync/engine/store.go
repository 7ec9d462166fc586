// Package engine runs one sync: it reads the source into the shadow, plans the owed, guards, applies and settles.
//
// It decides; the packages around it only report. Whatever happens, killing the process included, the next run puts
// right, by the same code: see Engine.Run.
package engine

import (
	"context"
	"time"

	"dirsync"
)

// Store is what the engine needs remembered about one sync. Every method is one transaction: when it returns nil all
// of it is durable, and when it returns an error none of it is (an error of the disk itself may leave the last
// transaction durable all the same, so a caller that goes on after an error reads the state again first). One engine
// at a time writes; readers may look on.
//
// Methods that return slices return at most limit rows, in order, beginning after the given key; fewer than limit
// rows means that there are no more.
type Store interface {
	Reading
	Planning
	Applying
	Journal
	Safety
}

// Reading keeps the shadow of the source.
type Reading interface {
	ReadState(ctx context.Context) (dirsync.ReadState, error)
	SetReadState(ctx context.Context, s dirsync.ReadState) error

	// Merge merges records into the shadow, in order, and keeps state, in one transaction.
	//
	// A record of somebody unknown adds them, owed (WhyRecord). A record of somebody known is laid over their shadow
	// with Attributes.Merge (a Whole record replaces it); if that changes anything, or they were gone and are present
	// again, they become owed. A tombstone of somebody present makes them gone at now, and owed; for somebody gone it
	// changes at most soft to hard, and owes nothing; for somebody unknown it does nothing.
	//
	// A present person that is mentioned while state.Full is seen in state.Round, however often the round was
	// restarted or the process died in between. If the record is not Whole and leaves out a value that the shadow
	// holds (Attributes.Unsaid), the person stays in Unconfirmed until a Whole record or a tombstone arrives, within
	// this round.
	//
	// While neither state.Full nor complete (state.Open), whoever is mentioned, or known and told to be gone, is noted.
	// When a round that is not Full is complete, they are forgotten, unless it was redone (state.Redo): then they are
	// Unconfirmed, present or not, until a Whole record or a tombstone arrives after the round was complete. The
	// records that complete it, whose state is not Open any more while the one before was, still belong to the round.
	//
	// Becoming owed gives Owed a new Mark, Why, Since = now unless it was owed already, Due zero, and keeps Attempts.
	Merge(ctx context.Context, records []dirsync.Record, state dirsync.ReadState, now time.Time) (dirsync.Merged, error)

	// Unconfirmed lists, in order of Seq, the present people that a full round did not see, or saw only in doubt; and
	// after a round that was redone, those whom any of its attempts mentioned.
	Unconfirmed(ctx context.Context, round uint64, after dirsync.Seq, limit int) ([]dirsync.Candidate, error)

	// EndRound forgets who was seen and who is in doubt, and keeps state.
	EndRound(ctx context.Context, state dirsync.ReadState) error
}

// Planning finds the owed and keeps what was decided.
type Planning interface {
	// OweAll makes every person owed who is not yet, and keeps state. People who are owed already keep their Since,
	// Attempts and Error, but get a new Mark and a zero Due.
	OweAll(ctx context.Context, why dirsync.Why, state dirsync.ReadState, now time.Time) error

	// Owe makes those of the people who are known by these ids owed, each as a changed record would, and returns the
	// ids of nobody known, in their order.
	Owe(ctx context.Context, ids []dirsync.ID, why dirsync.Why, now time.Time) (unknown []dirsync.ID, err error)

	// Owed lists the people who are owed and due at now.
	Owed(ctx context.Context, now time.Time, after dirsync.Seq, limit int) ([]dirsync.Person, error)

	// Decide keeps what the planner made of a batch of people, in one transaction. A Change is added to the plan of
	// run, and its person stays owed. A Rejection is kept and the person is no longer owed. A Wait replaces the
	// person's Owed. Otherwise the person is settled: no longer owed. Wherever the decision carries no Rejection, a
	// standing one is lifted. Differs is kept for Totals until the next decision or until the link is forgotten. A
	// decision whose Mark is no longer the person's debt's takes no debt away.
	Decide(ctx context.Context, run dirsync.RunID, decisions []dirsync.Decision) error
}

// Applying keeps what came of a plan.
type Applying interface {
	// Plan lists the changes of one kind in a run's plan.
	Plan(ctx context.Context, run dirsync.RunID, kind dirsync.ChangeKind, after dirsync.Seq, limit int) ([]dirsync.Change, error)

	// Standings returns where these people stand, in their order; the zero Standing for nobody known.
	Standings(ctx context.Context, people []dirsync.Seq) ([]dirsync.Standing, error)

	// Settle keeps the outcomes of a batch, in one transaction: each person's Link; their debt (taken away, if the
	// outcome's Change.Mark is still its Mark; or replaced by outcome.Owed; if a newer record has raised the debt
	// meanwhile, it stands as it is, with a zero Due); their Rejection (set, or lifted when Done); whether
	// their account differs (from a Create that is Done, or not when the Link is zero); and
	// the result in the run's history. A change may be settled twice; the later result stands. progress is the last key of the plan that is now behind us.
	Settle(ctx context.Context, run dirsync.RunID, outcomes []dirsync.Outcome, progress dirsync.PlanKey) error

	// Doubt goes through the first n changes after the progress of run, leaving out those of which skip, which may be
	// nil, says that they were never to be sent: it puts each person's Link in doubt (Link.WithDoubt the change's kind)
	// and makes them owed (WhyDoubt). It returns how many they were. It is what a crash in the middle of applying leaves
	// to be done. skip calls nothing of the store.
	Doubt(ctx context.Context, run dirsync.RunID, n int, skip func(dirsync.Change) bool, now time.Time) (int, error)
}

// Journal keeps the runs.
type Journal interface {
	// NewRun numbers r, keeps it and returns its number. Numbers grow across all syncs of a store.
	NewRun(ctx context.Context, r dirsync.Run) (dirsync.RunID, error)
	SaveRun(ctx context.Context, r dirsync.Run) error
	// Runs lists the runs of this sync with numbers below before (zero: all), newest first.
	Runs(ctx context.Context, before dirsync.RunID, limit int) ([]dirsync.Run, error)
	// Outcomes lists a run's plan together with what came of each change, in order of the plan. What is remembered of an
	// outcome is its Change as planned, Result, Rejection and Error; the link and the debt are with the person.
	Outcomes(ctx context.Context, run dirsync.RunID, after dirsync.PlanKey, limit int) ([]dirsync.Outcome, error)
	// Rejections lists everybody who stands rejected, by Seq; the returned key is that of the last row.
	Rejections(ctx context.Context, after dirsync.Seq, limit int) ([]dirsync.Rejection, dirsync.Seq, error)
	// Totals counts the people, in constant time.
	Totals(ctx context.Context) (dirsync.Totals, error)
	// Person finds somebody by id. An unknown id is an *dirsync.Error of kind NotFound.
	Person(ctx context.Context, id dirsync.ID) (dirsync.Person, error)
	// People lists everybody, gone or not.
	People(ctx context.Context, after dirsync.Seq, limit int) ([]dirsync.Person, error)
}

// Memberships keep who is a direct member of which group at the source. A membership is kept like a person: its ID is
// Membership.ID, its Kind that of the member, its records have no attributes, and a tombstone ends it. It is owed from
// when it begins or ends until those whom it concerns are owed a look themselves.
type Memberships interface {
	Reading
	Planning
	Totals(ctx context.Context) (dirsync.Totals, error)

	// GroupsOf lists, for each of members and in their order, the groups of which they are a direct member now, sorted.
	GroupsOf(ctx context.Context, members []dirsync.ID) ([][]dirsync.ID, error)
	// MembersOf lists the direct members of a group, in the order in which they were first met.
	MembersOf(ctx context.Context, group dirsync.ID, after dirsync.Seq, limit int) ([]dirsync.Membership, dirsync.Seq, error)
	// Nested lists the memberships of groups in groups, in the order in which they were first met. The returned key is
	// that of the last row, here as in MembersOf.
	Nested(ctx context.Context, after dirsync.Seq, limit int) ([]dirsync.Membership, dirsync.Seq, error)
}

// Safety keeps what people decide, and what they decide about.
type Safety interface {
	// NewHold numbers h, keeps it and returns its number. SaveHold replaces one. The plan of a hold's run is kept as long
	// as the hold is open, however many runs come after it.
	NewHold(ctx context.Context, h dirsync.Hold) (dirsync.HoldID, error)
	SaveHold(ctx context.Context, h dirsync.Hold) error
	// Holds lists the holds of this sync with numbers below before (zero: all), newest first.
	Holds(ctx context.Context, before dirsync.HoldID, limit int) ([]dirsync.Hold, error)

	// Mark keeps marks, each in place of the person's mark for the same danger, in one transaction. Unmark takes the
	// same away; one that is not there is no error.
	Mark(ctx context.Context, marks []dirsync.Mark) error
	Unmark(ctx context.Context, marks []dirsync.Mark) error
	// Marks lists the marks of these people, in their order, by danger. It is nil when nobody at all has one.
	Marks(ctx context.Context, people []dirsync.Seq) ([][]dirsync.Mark, error)
	// Marked lists all marks, by person and danger, about limit of them: those of one person are never parted.
	Marked(ctx context.Context, after dirsync.Seq, limit int) ([]dirsync.Mark, error)

	// Planned returns, for each of keys, the change that the plan of run has there; the zero Change where it has none,
	// and everywhere when the plan is not kept any more.
	Planned(ctx context.Context, run dirsync.RunID, keys []dirsync.PlanKey) ([]dirsync.Change, error)

	// Correct replaces what is known of accounts, and makes their people owed (WhyDrift), in one transaction.
	Correct(ctx context.Context, links map[dirsync.Seq]dirsync.Link, now time.Time) error

	// ChangesOf lists the latest changes of one person, newest first: the run, and the outcome as Outcomes returns it.
	ChangesOf(ctx context.Context, person dirsync.Seq, limit int) ([]PersonChange, error)
}

// PersonChange is one change of a person, and the run that made it.
type PersonChange = dirsync.PersonChange
