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
	// Holds are what the guard kept back.
	Holds []Hold
	// Spent is what the run has taken away without having been asked to by a person. The limits of later runs count it.
	Spent Spent
	// Undoes is the run that this one undoes; zero when it is an ordinary one.
	Undoes RunID `json:",omitempty"`
	// Batch is the largest number of changes that are ever sent before their outcomes are written down. After a crash
	// at most that many changes are in doubt.
	Batch int
	// Parked is until when the run waits, because the target wants to be left alone; zero while it does not.
	Parked time.Time `json:",omitzero"`
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

// Spent counts what was taken away, by danger: accounts, memberships and values.
type Spent struct {
	Deletions     int `json:",omitempty"`
	Deactivations int `json:",omitempty"`
	Removals      int `json:",omitempty"`
	Blankings     int `json:",omitempty"`
}

// Of returns the figure of one danger.
func (s Spent) Of(d Danger) int {
	if at := s.at(d); at != nil {
		return *at
	}
	return 0
}

// Add counts n more of one danger.
func (s *Spent) Add(d Danger, n int) {
	if at := s.at(d); at != nil {
		*at += n
	}
}

// Plus returns the sum of both.
func (s Spent) Plus(other Spent) Spent {
	for _, d := range Dangers() {
		s.Add(d, other.Of(d))
	}
	return s
}

func (s *Spent) at(d Danger) *int {
	switch d {
	case Deletion:
		return &s.Deletions
	case Deactivation:
		return &s.Deactivations
	case Removal:
		return &s.Removals
	case Blanking:
		return &s.Blankings
	default:
		return nil
	}
}
