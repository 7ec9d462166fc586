package engine

import (
	"context"
	"fmt"
	"slices"

	"dirsync"
	"dirsync/sync/plan"
)

// Taking says what to take back.
type Taking struct {
	// Run is the run whose changes are taken back, and People those whom it is about; nil means everybody.
	Run    dirsync.RunID
	People []dirsync.ID
	// All takes back what has been changed since, too.
	All bool
	// Digest is that of the preview that was seen; Undo does nothing if it would do anything else.
	Digest string
	// By is who asks.
	By string
}

// TakenBack is one line of an undoing.
type TakenBack struct {
	// Was is the change that was made, Back the way back.
	Was  dirsync.Change
	Back plan.Undone
}

// UndoPreview is what an undoing would do.
type UndoPreview struct {
	// Digest identifies the list of changes.
	Digest string
	Counts map[dirsync.ChangeKind]int
	// Nothing counts the changes that need none, Since the people of whom something has changed since.
	Nothing, Since int
}

// PreviewUndo finds the way back from a run and calls fn for each change that it made, in the order of its plan. It
// writes nothing.
func (e *Engine) PreviewUndo(ctx context.Context, t Taking, fn func(TakenBack) error) (UndoPreview, error) {
	pv := UndoPreview{Counts: map[dirsync.ChangeKind]int{}}
	var list plan.List
	err := e.eachUndone(ctx, t, func(batch []TakenBack) error {
		for _, b := range batch {
			if len(b.Back.Since) > 0 {
				pv.Since++
			}
			if c := b.Back.Change; c != nil {
				pv.Counts[c.Kind]++
				list.Add(undoDigest(*c))
			} else {
				pv.Nothing++
			}
			if err := fn(b); err != nil {
				return err
			}
		}
		return nil
	})
	pv.Digest = list.Digest()
	return pv, err
}

// undoDigest identifies one change of an undoing.
func undoDigest(c dirsync.Change) string {
	text := fmt.Sprintf("%s %s %s", c.Kind, c.Person, c.Account)
	for _, f := range c.After {
		before, _ := c.Before.Get(f.Field)
		text += fmt.Sprintf(" %q %q %q", f.Field, before.Text, f.Value.Text)
	}
	return text
}

// eachUndone calls fn for the changes that a run has made, a batch at a time, with the way back from each.
func (e *Engine) eachUndone(ctx context.Context, t Taking, fn func([]TakenBack) error) error {
	for after := (dirsync.PlanKey{}); ; {
		outcomes, err := e.Store.Outcomes(ctx, t.Run, after, e.batch())
		if err != nil {
			return err
		}
		if len(outcomes) == 0 {
			return nil
		}
		var made []dirsync.Change
		for _, o := range outcomes {
			after = dirsync.PlanKey{Kind: o.Change.Kind, Seq: o.Change.Seq}
			if o.Result == dirsync.Done && (t.People == nil || slices.Contains(t.People, o.Change.Person)) {
				made = append(made, o.Change)
			}
		}
		standings, err := e.Store.Standings(ctx, seqsOf(made))
		if err != nil {
			return err
		}
		batch := make([]TakenBack, len(made))
		for i, c := range made {
			p := dirsync.Person{Seq: c.Seq, ID: c.Person, Link: standings[i].Link, Owed: standings[i].Owed}
			batch[i] = TakenBack{Was: c, Back: plan.Undo(c, p, t.All)}
		}
		if err := e.spareProtected(ctx, batch); err != nil {
			return err
		}
		if err := fn(batch); err != nil {
			return err
		}
	}
}

// spareProtected leaves those out of an undoing who would lose their account by it and are protected.
func (e *Engine) spareProtected(ctx context.Context, batch []TakenBack) error {
	if e.Protected == nil {
		return nil
	}
	var losing []int
	var changes []dirsync.Change
	for i, b := range batch {
		if b.Back.Change != nil && b.Back.Change.Kind.Destructive() {
			losing, changes = append(losing, i), append(changes, b.Was)
		}
	}
	people, err := e.peopleOf(ctx, changes)
	if err != nil {
		return err
	}
	for n, i := range losing {
		if e.Protected(people[n]) {
			batch[i].Back = plan.Undone{Since: batch[i].Back.Since, Nothing: "this person is protected"}
		}
	}
	return nil
}

// Undo takes back what a run has done, as a run of its own: planned, journalled and applied like any other. Whoever is
// taken back is kept as they then are until the source has something else to say of them, or the next run would only do
// it again.
//
// It does what the preview with the same digest has shown, and nothing else. Should the process die, what was under way
// is made certain by the next run or undoing, and asking again does the rest.
func (e *Engine) Undo(ctx context.Context, t Taking) (dirsync.Run, error) {
	op := fmt.Sprintf("undo run %d", t.Run)
	if err := e.recover(ctx); err != nil {
		return dirsync.Run{}, fmt.Errorf("recover the last run: %w", err)
	}
	if err := e.recognise(ctx); err != nil {
		return dirsync.Run{}, fmt.Errorf("%s: %w", op, err)
	}
	// What is found is kept until it is clear that it is what was seen, so that an ordinary run is read only once.
	found := &taken{room: 5 * e.batch()}
	pv, err := e.PreviewUndo(ctx, t, found.add)
	switch {
	case err != nil:
		return dirsync.Run{}, fmt.Errorf("%s: %w", op, err)
	case pv.Digest == "":
		return dirsync.Run{}, &dirsync.Error{Op: op, Kind: dirsync.Conflict, Err: fmt.Errorf("there is nothing to take back")}
	case len(t.Digest) < 8 || len(t.Digest) > len(pv.Digest) || pv.Digest[:len(t.Digest)] != t.Digest:
		return dirsync.Run{}, &dirsync.Error{Op: op, Kind: dirsync.Conflict, Err: fmt.Errorf("it would not do what was shown"),
			Hint: "Look at what it would do now, and confirm that."}
	}
	r := dirsync.Run{Sync: e.Sync, Status: dirsync.Running, Phase: dirsync.PhasePlan, Started: e.now(), AskedBy: t.By, Batch: e.batch(), Undoes: t.Run}
	if r.ID, err = e.Store.NewRun(ctx, r); err != nil {
		return dirsync.Run{}, fmt.Errorf("begin a run: %w", err)
	}
	tl := &tally{planned: map[dirsync.ChangeKind]int{}}
	before := e.requests()
	err = e.takeBack(ctx, &r, t, found, tl)
	if err != nil && r.Phase == dirsync.PhaseApply {
		r.Notes = append(r.Notes, shortUndo(t.Run))
	}
	r.Requests.Target = e.requests().Target - before.Target
	return e.end(ctx, r, tl, err)
}

// shortUndo says of an undoing that was cut short what becomes of the rest. Whoever it did not get to is not taken back by
// the next run, because whoever stopped it may have meant that.
func shortUndo(run dirsync.RunID) string {
	return fmt.Sprintf("not everything was taken back: dirsync undo %d shows what is left", run)
}

// taken keeps what was found to be taken back, as long as there is room for all of it.
type taken struct {
	lines []TakenBack
	room  int
	full  bool
}

func (t *taken) add(b TakenBack) error {
	switch {
	case t.full:
	case len(t.lines) == t.room:
		t.lines, t.full = nil, true
	default:
		t.lines = append(t.lines, b)
	}
	return nil
}

// each calls fn for everything that is to be taken back, a batch at a time: as it was found, or, where there was no room
// to keep it, as again finds it.
func (t *taken) each(batch int, again func(func([]TakenBack) error) error, fn func([]TakenBack) error) error {
	if t.full {
		return again(fn)
	}
	for lines := range slices.Chunk(t.lines, batch) {
		if err := fn(lines); err != nil {
			return err
		}
	}
	return nil
}

// undoing is a batch of an undoing: the changes, and the marks of those whom they are about.
type undoing struct {
	decisions []dirsync.Decision
	marks     []dirsync.Mark
}

// takeBack plans and applies an undoing.
func (e *Engine) takeBack(ctx context.Context, r *dirsync.Run, t Taking, found *taken, tl *tally) error {
	// Finding the way back for the next people overlaps writing down the last ones.
	find := func(yield func(undoing) error) error {
		return found.each(e.batch(), func(fn func([]TakenBack) error) error { return e.eachUndone(ctx, t, fn) }, func(batch []TakenBack) error {
			var changes []dirsync.Change
			for _, b := range batch {
				if b.Back.Change != nil {
					changes = append(changes, *b.Back.Change)
				}
			}
			if len(changes) == 0 {
				return nil
			}
			u, err := e.undoing(ctx, r, changes)
			if err != nil {
				return err
			}
			for _, d := range u.decisions {
				tl.plan(*d.Change)
			}
			return yield(u)
		})
	}
	var marks []dirsync.Mark // of several batches: what counts is that all are there before anything is applied
	err := overlap(find, func(u undoing) error {
		if err := e.Store.Decide(ctx, r.ID, u.decisions); err != nil {
			return err
		}
		if marks = append(marks, u.marks...); len(marks) < 5*e.batch() {
			return nil
		}
		err := e.Store.Mark(ctx, marks)
		marks = marks[:0]
		return err
	})
	if err == nil {
		err = e.Store.Mark(ctx, marks)
	}
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	r.Phase = dirsync.PhaseApply
	if err := e.Store.SaveRun(ctx, *r); err != nil {
		return fmt.Errorf("save the plan: %w", err)
	}
	if err := e.apply(ctx, r, tl); err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	return nil
}

// undoing decides to make changes that take something back, and to keep their people as they then are.
func (e *Engine) undoing(ctx context.Context, r *dirsync.Run, changes []dirsync.Change) (undoing, error) {
	digests, err := e.digests(ctx, changes)
	if err != nil {
		return undoing{}, err
	}
	why := fmt.Sprintf("run %d is taken back", r.Undoes)
	u := undoing{decisions: make([]dirsync.Decision, len(changes)), marks: make([]dirsync.Mark, len(changes))}
	for i := range changes {
		c := &changes[i]
		c.Asked, c.Why = c.Dangers(), why
		u.decisions[i] = dirsync.Decision{Seq: c.Seq, Mark: c.Mark, Change: c}
		u.marks[i] = dirsync.Mark{Seq: c.Seq, Kind: dirsync.Kept, Digest: digests[i], Undone: r.ID, By: r.AskedBy, At: e.now(),
			Why: fmt.Sprintf("run %d was taken back", r.Undoes)}
	}
	return u, nil
}

// forgetUndone takes away the marks of an undoing that ended before anything was taken back.
func (e *Engine) forgetUndone(ctx context.Context, r dirsync.Run) error {
	if r.Undoes == 0 || r.Phase != dirsync.PhasePlan {
		return nil
	}
	for after := dirsync.Seq(0); ; {
		marks, err := e.Store.Marked(ctx, after, e.batch())
		if err != nil || len(marks) == 0 {
			return err
		}
		after = marks[len(marks)-1].Seq
		marks = slices.DeleteFunc(marks, func(m dirsync.Mark) bool { return m.Undone != r.ID })
		if err := e.Store.Unmark(ctx, marks); err != nil {
			return err
		}
	}
}
