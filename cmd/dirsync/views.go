package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"dirsync"
	"dirsync/sync/engine"
)

// runView is a run as programs read it.
type runView struct {
	ID     string `json:"id"`
	Sync   string `json:"sync"`
	Status string `json:"status"`
	figures
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
	// Parked is until when the run waits, because the target wants to be left alone.
	Parked  time.Time  `json:"parked,omitzero"`
	AskedBy string     `json:"asked_by"`
	Holds   []holdView `json:"holds,omitempty"`
	Error   string     `json:"error,omitempty"`
	// Groups is what became of the groups, where they are synced.
	Groups   *groupRunView `json:"groups,omitempty"`
	Warnings []string      `json:"warnings,omitempty"`
	Notes    []string      `json:"notes,omitempty"`
}

// groupRunView is the part of a run that was about groups, as programs read it.
type groupRunView struct {
	Status      string     `json:"status"`
	Created     int        `json:"created"`
	Updated     int        `json:"updated"`
	Deactivated int        `json:"deactivated"`
	Reactivated int        `json:"reactivated"`
	Deleted     int        `json:"deleted"`
	Rejected    int        `json:"rejected"`
	Held        int        `json:"held"`
	Failed      int        `json:"failed"`
	Holds       []holdView `json:"holds,omitempty"`
}

// figures are a run's counts as programs read them.
type figures struct {
	Read        int         `json:"read"`
	Created     int         `json:"created"`
	Updated     int         `json:"updated"`
	Deactivated int         `json:"deactivated"`
	Reactivated int         `json:"reactivated"`
	Deleted     int         `json:"deleted"`
	Unchanged   int         `json:"unchanged"`
	Rejected    int         `json:"rejected"`
	Held        int         `json:"held"`
	Failed      int         `json:"failed"`
	Requests    requestView `json:"requests"`
}

type requestView struct {
	Source int `json:"source"`
	Target int `json:"target"`
}

type holdView struct {
	// Hold is the name by which it is decided; a plan has none yet.
	Hold    string `json:"hold,omitempty"`
	Kind    string `json:"kind"`
	Count   int    `json:"count"`
	Allowed int    `json:"allowed"`
	Reason  string `json:"reason"`
}

func viewRun(r dirsync.Run) runView {
	return runView{
		ID: strconv.FormatUint(uint64(r.ID), 10), Sync: r.Sync, Status: string(r.Status), figures: viewFigures(r),
		Started: r.Started, Ended: r.Ended, Parked: r.Parked, AskedBy: r.AskedBy, Holds: viewHolds(r.Holds), Error: r.Error,
		Groups: viewGroupRun(r.Groups), Warnings: r.Warnings, Notes: r.Notes,
	}
}

func viewGroupRun(r *dirsync.GroupRun) *groupRunView {
	if r == nil {
		return nil
	}
	c := r.Counts
	return &groupRunView{
		Status: string(r.Status), Created: c.Created, Updated: c.Updated, Deactivated: c.Deactivated, Reactivated: c.Reactivated,
		Deleted: c.Deleted, Rejected: c.Rejected, Held: c.Held, Failed: c.Failed, Holds: viewHolds(r.Holds),
	}
}

func viewFigures(r dirsync.Run) figures {
	c := r.Counts
	return figures{
		Read: c.Read, Created: c.Created, Updated: c.Updated, Deactivated: c.Deactivated, Reactivated: c.Reactivated,
		Deleted: c.Deleted, Unchanged: c.Unchanged, Rejected: c.Rejected, Held: c.Held, Failed: c.Failed,
		Requests: requestView(r.Requests),
	}
}

func viewHolds(holds []dirsync.Hold) []holdView {
	var out []holdView
	for _, h := range holds {
		v := holdView{Kind: h.Kind.String(), Count: h.Count, Allowed: h.Allowed, Reason: h.Reason}
		if h.ID != 0 {
			v.Hold = h.Name()
		}
		out = append(out, v)
	}
	return out
}

// rejectionView is a rejected person as programs read it: the first fault's field and value, and all reasons.
type rejectionView struct {
	ID     string `json:"id"`
	User   string `json:"user"`
	Field  string `json:"field"`
	Value  string `json:"value"`
	Reason string `json:"reason"`
	name   string
}

func viewRejection(r dirsync.Rejection) rejectionView {
	return rejectionView{string(r.ID), r.User, r.Faults[0].Field, r.Faults[0].Value, r.Reason(), r.Name}
}

// rejections lists up to limit of the people who stand rejected; zero lists them all.
func rejections(ctx context.Context, s engine.Journal, limit int) ([]rejectionView, error) {
	out := []rejectionView{}
	err := eachRejection(ctx, s, func(v rejectionView) error {
		if limit > 0 && len(out) == limit {
			return errEnough
		}
		out = append(out, v)
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return out, err
}

// eachRejection calls fn for everybody who stands rejected.
func eachRejection(ctx context.Context, s engine.Journal, fn func(rejectionView) error) error {
	var after dirsync.Seq
	for {
		batch, last, err := s.Rejections(ctx, after, 500)
		if err != nil {
			return fmt.Errorf("list the rejected: %w", err)
		}
		for _, r := range batch {
			if err := fn(viewRejection(r)); err != nil {
				return err
			}
		}
		if len(batch) < 500 {
			return nil
		}
		after = last
	}
}

// printRejections writes a table of rejected people, of which there are total.
func (a *app) printRejections(rows []rejectionView, total int) error {
	if len(rows) == 0 {
		return nil
	}
	a.printf("\n%s rejected. Their accounts, if any, are left as they are:\n\n", counted(total, "person is", "people are"))
	t := NewTable(a.style, "NAME", "USER", "FIELD", "VALUE", "REASON")
	for _, r := range rows {
		t.Row(r.name, r.User, r.Field, r.Value, r.Reason)
	}
	if err := t.Write(a.stdout); err != nil {
		return err
	}
	if len(rows) < total {
		a.printf("… and %s more; -o json lists them all.\n", number(total-len(rows)))
	}
	return nil
}

// statusColor is green for good news, yellow for half-good, red for bad.
func statusColor(s dirsync.RunStatus) color {
	switch s {
	case dirsync.Success:
		return green
	case dirsync.Failure:
		return red
	}
	return yellow
}

// printRun writes a run's result for people.
func (a *app) printRun(r dirsync.Run) error {
	took := ""
	if !r.Ended.IsZero() {
		took = " in " + roughly(r.Ended.Sub(r.Started))
	}
	a.printf("%s: run %d ended as %s%s\n", clean(r.Sync), r.ID, a.style.paint(statusColor(r.Status), string(r.Status)), took)
	if r.Error != "" {
		a.printf("  error: %s\n", clean(r.Error))
	}
	if err := a.runTable(r).Write(a.stdout); err != nil {
		return err
	}
	a.printf("  %s to the source", counted(r.Requests.Source, "request", "requests"))
	if r.Requests.Target > 0 {
		a.printf(", %s to the target", number(r.Requests.Target))
	}
	a.printf("\n")
	for _, w := range r.Warnings {
		a.printf("  %s: %s\n", a.style.paint(yellow, "warning"), clean(w))
	}
	for _, n := range r.Notes {
		a.printf("  note: %s\n", clean(n))
	}
	for _, h := range r.Holds {
		a.printf("  held: %s. Nothing of that was taken away; dirsync holds %s shows from whom.\n", clean(h.Reason), h.Name())
	}
	if r.Groups != nil {
		for _, h := range r.Groups.Holds {
			a.printf("  held: of the groups, %s. None of these was touched; dirsync holds %s shows which.\n", clean(h.Reason), h.Name())
		}
	}
	return nil
}

// runTable has a run's figures: one row of people, and where groups are synced one of groups.
func (a *app) runTable(r dirsync.Run) *Table {
	titles := []string{"CREATED", "UPDATED", "DEACTIVATED", "REACTIVATED", "DELETED", "UNCHANGED", "REJECTED", "HELD", "FAILED"}
	row := func(first []any, c dirsync.Counts) []any {
		return append(first, c.Created, c.Updated, c.Deactivated, c.Reactivated, c.Deleted, c.Unchanged, c.Rejected, c.Held, c.Failed)
	}
	const unchanged = 7 // of groups they would include those that are read and not meant for the target
	if r.Groups == nil {
		t := NewTable(a.style, append([]string{"  READ"}, titles...)...)
		t.Row(row([]any{r.Counts.Read}, r.Counts)...)
		return t
	}
	t := NewTable(a.style, append([]string{"  OF", "READ"}, titles...)...)
	t.Row(row([]any{"  users", r.Counts.Read}, r.Counts)...)
	groups := row([]any{"  groups", nil}, r.Groups.Counts)
	groups[unchanged] = nil
	t.Row(groups...)
	return t
}

// diff writes what a change does to each field: "department: Sales -> Legal". group says what a group is called.
func diff(c dirsync.Change, group func(id string) string) string {
	var parts []string
	if c.Kind == dirsync.Create && c.Join == "" || c.Kind == dirsync.Delete {
		values := c.After
		if c.Kind == dirsync.Delete {
			values = c.Before
		}
		for _, f := range values {
			switch {
			case f.Value.IsNull():
			case f.Field == dirsync.GroupsField:
				parts = append(parts, f.Field+": "+strings.Join(groupsIn(f.Value, nil, group), ", "))
			default:
				parts = append(parts, f.Field+": "+f.Value.Text)
			}
		}
		return strings.Join(parts, ", ")
	}
	for _, f := range c.After {
		old, _ := c.Before.Get(f.Field)
		if f.Field == dirsync.GroupsField {
			for _, name := range groupsIn(old, f.Value.List(), group) {
				parts = append(parts, "leaves "+name)
			}
			for _, name := range groupsIn(f.Value, old.List(), group) {
				parts = append(parts, "joins "+name)
			}
			continue
		}
		if c.Kind == dirsync.Create && (old.Same(f.Value) || slices.Contains(c.CreateOnly, f.Field)) {
			continue // an account that was there before, and has this already or keeps what it has
		}
		parts = append(parts, f.Field+": "+orNothing(old)+" -> "+orNothing(f.Value))
	}
	return strings.Join(parts, ", ")
}

// whyWords says for people why a change is made.
func whyWords(c dirsync.Change) string {
	if c.Join != "" {
		return "joins account " + c.Account + " by " + c.Join
	}
	return c.Why
}

// groupsIn are the names of the groups in v that are not among others, sorted.
func groupsIn(v dirsync.Value, others []string, group func(id string) string) []string {
	var names []string
	for _, id := range v.List() {
		if !slices.Contains(others, id) {
			names = append(names, group(id))
		}
	}
	slices.Sort(names)
	return names
}

func orNothing(v dirsync.Value) string {
	if v.IsNull() {
		return "(empty)"
	}
	return v.Text
}

// changeView is a change as programs read it.
type changeView struct {
	Kind    string `json:"change"`
	ID      string `json:"id"`
	User    string `json:"user"`
	Name    string `json:"name,omitempty"`
	Account string `json:"account,omitempty"`
	// Join is the field by which an account that was there before was found to be this person's.
	Join   string         `json:"join,omitempty"`
	Why    string         `json:"why"`
	Before dirsync.Values `json:"before,omitempty"`
	After  dirsync.Values `json:"after,omitempty"`
	Result string         `json:"result,omitempty"`
	Error  string         `json:"error,omitempty"`
}

func viewChange(c dirsync.Change) changeView {
	return changeView{Kind: c.Kind.String(), ID: string(c.Person), User: c.User, Name: c.Name, Account: c.Account, Join: c.Join, Why: c.Why, Before: c.Before, After: c.After}
}
