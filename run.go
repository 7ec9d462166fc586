package dirsync

import "time"

// RunID numbers the runs of a store from 1, across all its syncs.
type RunID uint64

// RunStatus is the state of a run.
type RunStatus string

// The states of a run. A run that is not Success left somebody or something as it was.
const (
	Running        RunStatus = "running"
	Success        RunStatus = "success"
	PartialSuccess RunStatus = "partial success"
	Failure        RunStatus = "failure"
)

// Phase is how far a run has come. What a crash leaves behind depends on it.
type Phase string

// The phases of a run. Nothing reaches the target before PhaseApply, which begins only when the plan is durable.
const (
	PhaseRead  Phase = "read"
	PhasePlan  Phase = "plan"
	PhaseApply Phase = "apply"
	PhaseEnded Phase = "ended"
)

// Run is one pass of one sync: read, plan, guard, apply.
type Run struct {
	ID      RunID
	Sync    string
	Status  RunStatus
	Phase   Phase
	Started time.Time
	Ended   time.Time
	// AskedBy says who wanted the run: "command line", "schedule".
	AskedBy string
	Counts  Counts
	// Requests count what was sent to each side, retries included.
	Requests Requests
	// Holds are the kinds of change that the guard kept back.
	Holds []Hold
	// Batch is the largest number of changes that are ever sent before their outcomes are written down. After a crash
	// at most that many changes are in doubt.
	Batch int
	// Error says why the run failed, for people.
	Error string
	// Groups is what became of the groups, where they are synced.
	Groups *GroupRun `json:",omitempty"`
	// Warnings are what a person has to do something about, and why the run is no success even if everybody else was
	// served: "the chosen group Sales was deleted".
	Warnings []string `json:",omitempty"`
	// Notes are what a person should know and nothing has to be done about: "the delta token had expired; everyone was
	// read again".
	Notes []string
}

// Counts are a run's figures. Except for Read, they count people.
type Counts struct {
	// Read counts the records that the source has delivered since the run before, however many readings that took; a
	// person whose record came twice counts twice.
	Read        int
	Created     int
	Updated     int
	Deactivated int
	Reactivated int
	Deleted     int
	// Unchanged are the people at the source for whom there was nothing to do.
	Unchanged int
	// Rejected are all people who stand rejected at the end of the run, not only those whom this run met.
	Rejected int
	// Held are people whose change the guard kept back, and Failed those whose change failed.
	Held   int
	Failed int
}

// Add counts n more changes of one kind as applied.
func (c *Counts) Add(kind ChangeKind, n int) {
	switch kind {
	case Delete:
		c.Deleted += n
	case Deactivate:
		c.Deactivated += n
	case Reactivate:
		c.Reactivated += n
	case Update:
		c.Updated += n
	case Create:
		c.Created += n
	}
}

// Changed counts the people whose account was changed.
func (c Counts) Changed() int {
	return c.Created + c.Updated + c.Deactivated + c.Reactivated + c.Deleted
}

// GroupRun is the part of a run that was about groups. It has a plan of its own, under a number of its own.
type GroupRun struct {
	Run    RunID
	Status RunStatus
	Counts Counts
	Holds  []Hold `json:",omitempty"`
}

// Requests count what a run sent.
type Requests struct{ Source, Target int }

// Hold is one kind of destructive change that the guard kept back.
type Hold struct {
	Kind ChangeKind
	// Count is how many changes the plan had, Allowed how many would have gone through.
	Count, Allowed int
	// Reason explains the numbers in a sentence.
	Reason string
}
