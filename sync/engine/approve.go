package engine

import (
	"context"
	"fmt"
	"slices"

	"dirsync"
	"dirsync/sync/plan"
)

// Verdict is what somebody decides about a hold.
type Verdict struct {
	Hold dirsync.HoldID
	// Digest is that of the list which they have seen, or its beginning, at least eight characters.
	Digest string
	// People are those whom it is about; nil means everybody on the list. An approval for everybody leaves out whoever was
	// rejected before.
	People []dirsync.ID
	// By and Why say who decides, and their reason. A rejection needs a reason.
	By, Why string
}

// Changed is somebody on a hold's list of whom the list is not true any more.
type Changed struct {
	ID   dirsync.ID
	User string
	Name string
	// Now says what a run would do instead, in words.
	Now string
}

// ChangedError says that the world is not what it was when a list was made. Nothing was decided.
type ChangedError struct {
	// People are the first of them, Count how many they are.
	People []Changed
	Count  int
}

func (e *ChangedError) Error() string {
	return fmt.Sprintf("for %d of the people on the list a run would do something else by now", e.Count)
}

// maxChanged is how many people a ChangedError names.
const maxChanged = 20

// HeldChange is one line of a hold's list: what would be taken away from somebody.
type HeldChange struct {
	Change dirsync.Change
	// Decided is what somebody has decided about it; empty: nothing yet.
	Decided string
}

// Hold finds a hold.
func (e *Engine) Hold(ctx context.Context, id dirsync.HoldID) (dirsync.Hold, error) {
	found, err := e.Store.Holds(ctx, id+1, 1)
	if err != nil {
		return dirsync.Hold{}, err
	}
	if len(found) == 0 || found[0].ID != id {
		return dirsync.Hold{}, &dirsync.Error{Op: fmt.Sprintf("find hold %d", id), Kind: dirsync.NotFound, Hint: "dirsync holds lists them."}
	}
	return found[0], nil
}

// HeldChanges calls fn for every line of a hold's list.
func (e *Engine) HeldChanges(ctx context.Context, h dirsync.Hold, fn func(HeldChange) error) error {
	return e.eachHeld(ctx, h, nil, func(batch []dirsync.Change) error {
		marks, err := e.Store.Marks(ctx, seqsOf(batch))
		if err != nil {
			return err
		}
		for i, c := range batch {
			line := HeldChange{Change: c}
			if marks != nil {
				if kind := decidedIn(h, marks[i]); kind != 0 {
					line.Decided = kind.String()
				}
			}
			if err := fn(line); err != nil {
				return err
			}
		}
		return nil
	})
}

// decidedIn is what was decided in a hold about the person whose marks these are; zero: nothing yet.
func decidedIn(h dirsync.Hold, marks []dirsync.Mark) (kind dirsync.MarkKind) {
	for _, m := range marks {
		if m.Hold == h.ID && m.Danger == h.Kind {
			kind = m.Kind
		}
	}
	return kind
}

// eachHeld calls fn for the changes on a hold's list, a batch at a time; of certain people only, if there are any.
func (e *Engine) eachHeld(ctx context.Context, h dirsync.Hold, people []dirsync.ID, fn func([]dirsync.Change) error) error {
	var batch []dirsync.Change
	err := e.heldChanges(ctx, h.Run, h.Kind, func(c dirsync.Change, _ string) error {
		if people != nil && !slices.Contains(people, c.Person) {
			return nil
		}
		if batch = append(batch, c); len(batch) < e.batch() {
			return nil
		}
		err := fn(batch)
		batch = nil
		return err
	})
	if err != nil || len(batch) == 0 {
		return err
	}
	return fn(batch)
}

// eachMeant calls fn for those on a hold's list whom a verdict is about, a batch at a time.
func (e *Engine) eachMeant(ctx context.Context, h dirsync.Hold, v Verdict, kind dirsync.MarkKind, fn func([]dirsync.Change) error) error {
	if v.People != nil || kind != dirsync.Approved {
		return e.eachHeld(ctx, h, v.People, fn)
	}
	return e.eachHeld(ctx, h, nil, func(batch []dirsync.Change) error {
		marks, err := e.Store.Marks(ctx, seqsOf(batch))
		if err != nil {
			return err
		}
		if marks == nil {
			return fn(batch)
		}
		var meant []dirsync.Change
		for i, c := range batch {
			if decidedIn(h, marks[i]) != dirsync.Kept {
				meant = append(meant, c)
			}
		}
		return fn(meant)
	})
}

// once returns ids without those that it has more than once; nil stays nil.
func once(ids []dirsync.ID) []dirsync.ID {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return slices.Compact(ids)
}

func seqsOf(changes []dirsync.Change) []dirsync.Seq {
	out := make([]dirsync.Seq, len(changes))
	for i, c := range changes {
		out[i] = c.Seq
	}
	return out
}

// Approve lets the next run do what a hold's list says, for everybody on it or for some. It is refused with a
// *ChangedError if for any of them a run would do something else by now, and it approves nothing but this list: whatever
// changes before the next run takes the approval away from whom it concerns. It returns how many were approved.
func (e *Engine) Approve(ctx context.Context, v Verdict) (int, error) {
	h, err := e.decidable(ctx, v, "approve")
	if err != nil {
		return 0, err
	}
	v.People = once(v.People)
	changed := &ChangedError{}
	n := 0
	err = e.eachMeant(ctx, h, v, dirsync.Approved, func(batch []dirsync.Change) error {
		n += len(batch)
		return e.compare(ctx, h, batch, changed)
	})
	switch {
	case err != nil:
		return 0, err
	case changed.Count > 0:
		return 0, &dirsync.Error{Op: "approve hold " + h.Name(), Kind: dirsync.Conflict, Err: changed,
			Hint: "The next run makes a new list. Look at it, and approve that."}
	case v.People != nil && n < len(v.People):
		return 0, e.notListed(ctx, h, v, "approve")
	}
	return n, e.verdict(ctx, h, v, dirsync.Approved, n)
}

// Reject leaves the people on a hold's list as they are in the target, until the source has something else to say of
// them. It returns how many they are.
func (e *Engine) Reject(ctx context.Context, v Verdict) (int, error) {
	h, err := e.decidable(ctx, v, "reject")
	if err != nil {
		return 0, err
	}
	v.People = once(v.People)
	if v.Why == "" {
		return 0, &dirsync.Error{Op: "reject hold " + h.Name(), Kind: dirsync.Invalid, Err: fmt.Errorf("a reason is missing"),
			Hint: "Say why, for whoever wonders later why these people still have an account."}
	}
	n := 0
	err = e.eachMeant(ctx, h, v, dirsync.Kept, func(batch []dirsync.Change) error { n += len(batch); return nil })
	if err != nil {
		return 0, err
	}
	if v.People != nil && n < len(v.People) {
		return 0, e.notListed(ctx, h, v, "reject")
	}
	return n, e.verdict(ctx, h, v, dirsync.Kept, n)
}

// decidable finds a hold that can be decided, and makes sure that it is the one that was meant.
func (e *Engine) decidable(ctx context.Context, v Verdict, verb string) (dirsync.Hold, error) {
	h, err := e.Hold(ctx, v.Hold)
	if err != nil {
		return h, err
	}
	op := verb + " hold " + h.Name()
	switch {
	case h.Status == dirsync.HoldReplaced:
		return h, &dirsync.Error{Op: op, Kind: dirsync.Conflict, Err: fmt.Errorf("a later run has replaced it, because its list would be another one"),
			Hint: "dirsync holds shows the new one."}
	case h.Status != dirsync.HoldOpen:
		return h, &dirsync.Error{Op: op, Kind: dirsync.Conflict, Err: fmt.Errorf("it is %s and not open", h.Status)}
	case !e.now().Before(h.Expires):
		return h, &dirsync.Error{Op: op, Kind: dirsync.Conflict, Err: fmt.Errorf("it has expired"), Hint: "The next run makes a new one, whose list is up to date."}
	case len(v.Digest) < 8 || len(v.Digest) > len(h.Digest) || h.Digest[:len(v.Digest)] != v.Digest:
		return h, &dirsync.Error{Op: verb + " hold " + fmt.Sprint(v.Hold), Kind: dirsync.Conflict,
			Err:  fmt.Errorf("its list is not the one that was named"),
			Hint: "Look at it with dirsync holds " + h.Name() + ", and decide about that name."}
	}
	return h, nil
}

func (e *Engine) notListed(ctx context.Context, h dirsync.Hold, v Verdict, verb string) error {
	listed := map[dirsync.ID]bool{}
	err := e.eachHeld(ctx, h, v.People, func(batch []dirsync.Change) error {
		for _, c := range batch {
			listed[c.Person] = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range v.People {
		if !listed[id] {
			return &dirsync.Error{Op: verb + " hold " + h.Name(), ID: id, Kind: dirsync.NotFound, Err: fmt.Errorf("this person is not on its list"),
				Hint: "dirsync holds " + h.Name() + " shows who is."}
		}
	}
	return nil
}

// compare finds out for whom of a batch a run would do something else by now.
func (e *Engine) compare(ctx context.Context, h dirsync.Hold, batch []dirsync.Change, changed *ChangedError) error {
	pl, err := e.begin(ctx, &tally{})
	if err != nil {
		return err
	}
	people, err := e.peopleOf(ctx, batch)
	if err != nil {
		return err
	}
	decisions, err := pl.decide(ctx, people)
	if err != nil {
		return err
	}
	for i, d := range decisions {
		if d.Change != nil && plan.Digest(*d.Change, h.Kind) == plan.Digest(batch[i], h.Kind) {
			continue
		}
		if changed.Count++; len(changed.People) < maxChanged {
			changed.People = append(changed.People, Changed{ID: people[i].ID, User: batch[i].User, Name: batch[i].Name, Now: inWords(d)})
		}
	}
	return nil
}

// inWords says what a decision comes to.
func inWords(d dirsync.Decision) string {
	switch {
	case d.Change != nil:
		return d.Change.Kind.String() + ", because this person " + d.Change.Why
	case d.Rejection != nil:
		return "nothing, because the record makes no valid user: " + d.Rejection.Faults[0].Field + " " + d.Rejection.Faults[0].Reason
	case d.Protected:
		return "nothing, because this person is protected"
	case d.Wait:
		return "nothing yet"
	default:
		return "nothing"
	}
}

// verdict writes down what was decided about the people on a list, and closes the hold when it was about everybody. Should
// the process die in between, those who were marked are decided, the hold is open, and deciding it again does the rest.
func (e *Engine) verdict(ctx context.Context, h dirsync.Hold, v Verdict, kind dirsync.MarkKind, n int) error {
	err := e.eachMeant(ctx, h, v, kind, func(batch []dirsync.Change) error {
		marks := make([]dirsync.Mark, len(batch))
		digests, err := e.digests(ctx, batch)
		if err != nil {
			return err
		}
		for i, c := range batch {
			marks[i] = dirsync.Mark{Seq: c.Seq, Kind: kind, Danger: h.Kind, Hold: h.ID, By: v.By, Why: v.Why, At: e.now(), Digest: digests[i]}
			if kind == dirsync.Approved {
				marks[i].Digest = plan.Digest(c, h.Kind)
			}
		}
		return e.Store.Mark(ctx, marks)
	})
	if err != nil {
		return fmt.Errorf("write down what was decided: %w", err)
	}
	if v.People != nil && n < h.People {
		return nil // the next run closes it, once everybody on it is decided
	}
	h.Status, h.By, h.At, h.Why = dirsync.HoldApproved, v.By, e.now(), v.Why
	if kind == dirsync.Kept {
		h.Status = dirsync.HoldRejected
	}
	return e.Store.SaveHold(ctx, h)
}

// digests returns what the source has said of the people of changes; see plan.PersonDigest.
func (e *Engine) digests(ctx context.Context, changes []dirsync.Change) ([]string, error) {
	people, err := e.peopleOf(ctx, changes)
	if err != nil {
		return nil, err
	}
	return e.digestsOf(ctx, people)
}

// peopleOf reads the people of changes, which are in order of a plan: those who lie close to one another at once, and the
// others one by one.
func (e *Engine) peopleOf(ctx context.Context, changes []dirsync.Change) ([]dirsync.Person, error) {
	out := make([]dirsync.Person, len(changes))
	for i := 0; i < len(changes); {
		end := i + 1 // the end of those who are no more than a few apart
		for end < len(changes) && changes[end].Seq > changes[end-1].Seq && changes[end].Seq < changes[end-1].Seq+8 {
			end++
		}
		if end-i < 8 {
			p, err := e.Store.Person(ctx, changes[i].Person)
			if err != nil {
				return nil, err
			}
			out[i] = p
			i++
			continue
		}
		people, err := e.Store.People(ctx, changes[i].Seq-1, int(changes[end-1].Seq-changes[i].Seq)+1)
		if err != nil {
			return nil, err
		}
		for _, p := range people {
			if i < end && p.Seq == changes[i].Seq {
				out[i] = p
				i++
			}
		}
		if i < end {
			return nil, &dirsync.Error{Op: "read people", ID: changes[i].Person, Kind: dirsync.NotFound}
		}
	}
	return out, nil
}

func (e *Engine) digestsOf(ctx context.Context, people []dirsync.Person) ([]string, error) {
	direct := make([][]dirsync.ID, len(people))
	if e.Groups != nil {
		ids := make([]dirsync.ID, len(people))
		for i, p := range people {
			ids[i] = p.ID
		}
		var err error
		if direct, err = e.Groups.Members.GroupsOf(ctx, ids); err != nil {
			return nil, err
		}
	}
	out := make([]string, len(people))
	for i, p := range people {
		out[i] = plan.PersonDigest(p, direct[i])
	}
	return out, nil
}

// Ignore leaves people as they are in the target, whatever is wrong with them, until the source has something else to say
// of them. Unignore takes that back, and any approval that was not used yet.
func (e *Engine) Ignore(ctx context.Context, people []dirsync.Person, by, why string) error {
	digests, err := e.digestsOf(ctx, people)
	if err != nil {
		return err
	}
	marks := make([]dirsync.Mark, len(people))
	for i, p := range people {
		marks[i] = dirsync.Mark{Seq: p.Seq, Kind: dirsync.Kept, Digest: digests[i], By: by, Why: why, At: e.now()}
	}
	return e.Store.Mark(ctx, marks)
}

// Unignore takes back whatever was decided about people, and owes them a look.
func (e *Engine) Unignore(ctx context.Context, people []dirsync.Person) error {
	marks, err := e.Store.Marks(ctx, seqsOfPeople(people))
	if err != nil {
		return err
	}
	if err := e.Store.Unmark(ctx, slices.Concat(marks...)); err != nil {
		return err
	}
	return e.TryAgain(ctx, people)
}

// TryAgain owes people a look now, however long they would have to wait for their next try.
func (e *Engine) TryAgain(ctx context.Context, people []dirsync.Person) error {
	ids := make([]dirsync.ID, len(people))
	for i, p := range people {
		ids[i] = p.ID
	}
	_, err := e.Store.Owe(ctx, ids, dirsync.WhyAsked, e.now())
	return err
}

func seqsOfPeople(people []dirsync.Person) []dirsync.Seq {
	out := make([]dirsync.Seq, len(people))
	for i, p := range people {
		out[i] = p.Seq
	}
	return out
}
