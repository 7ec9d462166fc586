package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"dirsync"
	"dirsync/sync/engine"
)

// planView is a plan as programs read it.
type planView struct {
	Sync    string         `json:"sync"`
	Counts  map[string]int `json:"counts"`
	Holds   []holdView     `json:"holds,omitempty"`
	Changes []changeView   `json:"changes"`
	// Groups is the plan of the groups, where they are synced.
	Groups     *groupPlanView  `json:"groups,omitempty"`
	Rejections []rejectionView `json:"rejections"`
	Waiting    int             `json:"waiting"`
	// Joining counts the people for whom nothing is to be done but that a group comes of which they are a member.
	Joining   int `json:"joining,omitempty"`
	Differing int `json:"differing"`
	// Protected counts the people who would lose their account if they were not protected.
	Protected int `json:"protected"`
}

// groupPlanView is the part of a plan that is about groups, as programs read it.
type groupPlanView struct {
	Counts  map[string]int `json:"counts"`
	Holds   []holdView     `json:"holds,omitempty"`
	Changes []changeView   `json:"changes"`
	Waiting int            `json:"waiting"`
}

func (a *app) planCommand() *cobra.Command {
	var limit int
	var noRead bool
	cmd := &cobra.Command{
		Use:   "plan [SYNC...]",
		Short: "Show what run would do, without doing it",
		Long: `plan reads what is new in the tenant and shows every change that a run would make
now, of groups first and then of people: who would be created, updated, deactivated
or deleted and which values would change, who would be rejected and why, and what
the limits would hold back.
Nothing is written to the target.

Exit codes: 0 there is a plan and all of it would go through; 1 failed; 2 the
command line or the configuration is wrong; 3 some people would be rejected or
held back.`,
		Example: "  dirsync plan\n  dirsync plan staff --limit 0",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			views := []planView{}
			err := a.each(cmd.Context(), args, func(w *wired) error {
				if !noRead {
					if err := a.read(cmd.Context(), w); err != nil {
						return err
					}
				}
				view, err := a.planOne(cmd.Context(), w, limit)
				views = append(views, view)
				return err
			})
			if a.json() && len(views) > 0 {
				if err := writeJSON(a.stdout, struct {
					Plans []planView `json:"plans"`
				}{views}); err != nil {
					return err
				}
			}
			return err
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "show at most this many changes of each kind; 0 shows all")
	cmd.Flags().BoolVar(&noRead, "no-read", false, "plan from what was read last, without asking the tenant")
	return cmd
}

// read brings the shadow up to the tenant.
func (a *app) read(ctx context.Context, w *wired) error {
	progress := newProgress(a.stderr, a.json())
	defer progress.Close()
	w.engine.Progress = func(p engine.Progress) { a.showProgress(progress, p) }
	if err := w.from.verify(ctx); err != nil {
		return err
	}
	_, notes, err := w.engine.Read(ctx)
	progress.Close()
	for _, n := range notes {
		a.note("note: %s", clean(n))
	}
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	return nil
}

// planned is a plan as it is shown: how many changes of each kind, and as many of them as are asked for.
type planned struct {
	engine.Preview
	shown      map[dirsync.ChangeKind][]dirsync.Change
	rejections []rejectionView
	// inGrace counts the deletions that wait for the end of their grace period, joining the people for whom nothing is to
	// be done but that a group comes of which they are a member.
	inGrace, joining int
}

// preview makes a plan of people or of groups. Memory holds at most limit changes of a kind; zero is all.
func preview(ctx context.Context, plan func(context.Context, func(dirsync.Person, dirsync.Decision) error) (engine.Preview, error), limit int) (planned, error) {
	p := planned{shown: map[dirsync.ChangeKind][]dirsync.Change{}, rejections: []rejectionView{}}
	keep := func(n int) bool { return limit <= 0 || n < limit }
	var err error
	p.Preview, err = plan(ctx, func(_ dirsync.Person, d dirsync.Decision) error {
		switch {
		case d.Change != nil && keep(len(p.shown[d.Change.Kind])):
			p.shown[d.Change.Kind] = append(p.shown[d.Change.Kind], *d.Change)
		case d.Rejection != nil && keep(len(p.rejections)):
			p.rejections = append(p.rejections, viewRejection(*d.Rejection))
		case d.Wait && d.Next.Why == dirsync.WhyGroups:
			p.joining++
		case d.Wait:
			p.inGrace++
		}
		return nil
	})
	if err != nil {
		return p, fmt.Errorf("plan: %w", err)
	}
	return p, nil
}

// views are the counts and changes as programs read them.
func (p planned) views() (counts map[string]int, changes []changeView) {
	counts, changes = map[string]int{}, []changeView{}
	for _, kind := range dirsync.ChangeKinds() {
		counts[kind.String()] = p.Counts[kind]
		for _, c := range p.shown[kind] {
			changes = append(changes, viewChange(c))
		}
	}
	return counts, changes
}

// planOne makes the plan of one sync, and prints it for people.
func (a *app) planOne(ctx context.Context, w *wired, limit int) (planView, error) {
	if a.json() {
		limit = 0
	}
	view := planView{Sync: w.name, Rejections: []rejectionView{}}
	groups, err := preview(ctx, w.engine.PlanGroups, limit)
	if err != nil {
		return view, fmt.Errorf("groups: %w", err)
	}
	people, err := preview(ctx, w.engine.Plan, limit)
	if err != nil {
		return view, err
	}
	view.Counts, view.Changes = people.views()
	view.Rejections, view.Holds = people.rejections, viewHolds(people.Holds)
	view.Waiting, view.Joining, view.Differing, view.Protected = people.inGrace, people.joining, people.Differing, people.Protected
	if w.config.From.Groups.Which != NoGroups {
		view.Groups = &groupPlanView{Holds: viewHolds(groups.Holds), Waiting: groups.inGrace}
		view.Groups.Counts, view.Groups.Changes = groups.views()
	}
	if !a.json() {
		if err := a.printPlan(ctx, w, people, groups); err != nil {
			return view, err
		}
		if err := a.printRejections(view.Rejections, people.Rejected); err != nil {
			return view, err
		}
	}
	if people.Rejected > 0 || len(people.Holds)+len(groups.Holds) > 0 {
		return view, &exitError{code: exitPartial}
	}
	return view, nil
}

func (a *app) printPlan(ctx context.Context, w *wired, people, groups planned) error {
	name := groupNames(ctx, w.sync)
	ofGroups, groupCount := a.planTable(groups, name, "GROUP")
	ofPeople, count := a.planTable(people, name, "USER")
	switch {
	case count+groupCount == 0:
		a.printf("%s: nothing to do.\n", clean(w.name))
	case groupCount == 0:
		a.printf("%s: %s planned\n", clean(w.name), counted(count, "change", "changes"))
	default:
		a.printf("%s: %s of groups and %s of users planned\n", clean(w.name), counted(groupCount, "change", "changes"), number(count))
	}
	for _, t := range []*Table{ofGroups, ofPeople} {
		if t.Len() == 0 {
			continue
		}
		a.printf("\n")
		if err := t.Write(a.stdout); err != nil {
			return err
		}
	}
	for _, h := range people.Holds {
		a.printf("\nheld: %s. A run would leave all of that as it is, for people to decide.\n", clean(h.Reason))
	}
	for _, h := range groups.Holds {
		a.printf("\nheld: of the groups, %s. A run would leave these as they are, for people to decide.\n", clean(h.Reason))
	}
	if people.Differing > 0 {
		a.printf("\n%s of these stays different in fields whose updates are off; dirsync test says which.\n",
			counted(people.Differing, "account", "accounts"))
	}
	if people.Protected > 0 {
		a.printf("\n%s protected and would lose the account otherwise.\n", counted(people.Protected, "person is", "people are"))
	}
	if n := people.inGrace + groups.inGrace; n > 0 {
		a.printf("\n%s for the end of the grace period.\n", counted(n, "deletion waits", "deletions wait"))
	}
	if groups.Counts[dirsync.Create] > 0 {
		a.printf("\nUsers join groups once these are made, within the same run.\n")
	}
	return nil
}

// planTable has the changes of a plan, and how many there are.
func (a *app) planTable(p planned, name func(string) string, who string) (*Table, int) {
	titles := []string{"CHANGE", who, "NAME", "WHY", "VALUES"}
	if who == "GROUP" {
		titles[2] = "ID"
	}
	t, total := NewTable(a.style, titles...), 0
	for _, kind := range dirsync.ChangeKinds() {
		total += p.Counts[kind]
		for _, c := range p.shown[kind] {
			second := c.Name
			if who == "GROUP" {
				second = string(c.Person)
			}
			t.Row(painted{kindColor(kind), kind.String()}, c.User, second, whyWords(c), diff(c, name))
		}
		if more := p.Counts[kind] - len(p.shown[kind]); more > 0 {
			t.Row(kind.String(), fmt.Sprintf("… and %s more", number(more)))
		}
	}
	return t, total
}

func kindColor(k dirsync.ChangeKind) color {
	switch k {
	case dirsync.Delete, dirsync.Deactivate:
		return red
	case dirsync.Create, dirsync.Reactivate:
		return green
	}
	return yellow
}
