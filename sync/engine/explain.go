package engine

import (
	"context"
	"slices"
	"time"

	"dirsync"
	"dirsync/sync/plan"
)

// Explanation is everything that is known of one person, and what a run would do about them and why.
type Explanation struct {
	Person dirsync.Person
	// Wanted is what becomes of their record, and Decision what a run would decide now.
	Wanted   plan.Wanted
	Decision dirsync.Decision
	// Member has, for every group that they are a direct member of, the way from there to a chosen group, if there is one.
	Member []GroupPath
	// Marks are what people have decided, Holds the open holds that the person is on the list of.
	Marks []dirsync.Mark
	Holds []dirsync.Hold
	// GraceEnds is when the account is deleted; zero when it is not going to be.
	GraceEnds time.Time
	// Changes are the latest ones, newest first, with the runs that made them.
	Changes []PersonChange
	Runs    map[dirsync.RunID]dirsync.Run
}

// GroupPath leads from a group through those that it is nested in.
type GroupPath struct {
	// Groups begin with the one that the person is a direct member of. The last one is chosen, if Chosen.
	Groups []NamedGroup
	Chosen bool
}

// NamedGroup is a group by its id and its name.
type NamedGroup struct {
	ID   dirsync.ID
	Name string
	// Gone says that the group was deleted at the source.
	Gone bool
}

// explained is how many of a person's changes an explanation has.
const explained = 10

// Explain says what is known of one person. It writes nothing, and it costs the same however many people there are.
func (e *Engine) Explain(ctx context.Context, p dirsync.Person) (Explanation, error) {
	x := Explanation{Person: p, Runs: map[dirsync.RunID]dirsync.Run{}}
	pl, err := e.begin(ctx, &tally{})
	if err != nil {
		return x, err
	}
	wanted, direct, err := e.wantedAll(ctx, []dirsync.Person{p}, pl.circle)
	if err != nil {
		return x, err
	}
	decisions, err := pl.decide(ctx, []dirsync.Person{p})
	if err != nil {
		return x, err
	}
	x.Wanted, x.Decision = wanted[0], decisions[0]
	if pl.circle != nil {
		if x.Member, err = e.paths(ctx, pl.circle, direct[0]); err != nil {
			return x, err
		}
	}
	marks, err := e.Store.Marks(ctx, []dirsync.Seq{p.Seq})
	if err != nil {
		return x, err
	}
	if marks != nil {
		x.Marks = marks[0]
	}
	if x.Decision.Wait && x.Decision.Next.Why == dirsync.WhyGrace {
		x.GraceEnds = x.Decision.Next.Due
	}
	if err := e.listed(ctx, &x, pl.open); err != nil {
		return x, err
	}
	if x.Changes, err = e.Store.ChangesOf(ctx, p.Seq, explained); err != nil {
		return x, err
	}
	for _, c := range x.Changes {
		runs, err := e.Store.Runs(ctx, c.Run+1, 1)
		if err != nil {
			return x, err
		}
		if len(runs) == 1 && runs[0].ID == c.Run {
			x.Runs[c.Run] = runs[0]
		}
	}
	return x, nil
}

// listed finds the open holds that list the person.
func (e *Engine) listed(ctx context.Context, x *Explanation, open []dirsync.Hold) error {
	for _, h := range open {
		keys := make([]dirsync.PlanKey, 0, len(dirsync.ChangeKinds()))
		for _, kind := range dirsync.ChangeKinds() {
			keys = append(keys, dirsync.PlanKey{Kind: kind, Seq: x.Person.Seq})
		}
		planned, err := e.Store.Planned(ctx, h.Run, keys)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(planned, func(c dirsync.Change) bool { return c.Takes(h.Kind) > 0 && !c.Asked.Has(h.Kind) }) {
			x.Holds = append(x.Holds, h)
		}
	}
	return nil
}

// paths finds, for each of a person's groups, the shortest way to a chosen one.
func (e *Engine) paths(ctx context.Context, c *circle, direct []dirsync.ID) ([]GroupPath, error) {
	var out []GroupPath
	for _, from := range direct {
		ids, chosen := c.path(from)
		path := GroupPath{Chosen: chosen}
		for _, id := range ids {
			g, err := e.Groups.Store.Person(ctx, id)
			if err != nil && dirsync.KindOf(err) != dirsync.NotFound {
				return nil, err
			}
			path.Groups = append(path.Groups, NamedGroup{ID: id, Name: g.Shadow.Text("displayName"), Gone: g.Gone != dirsync.Present})
		}
		out = append(out, path)
	}
	return out, nil
}

// path returns the shortest way from a group to one that is chosen, both included. Where there is none it is the group
// alone.
func (c *circle) path(from dirsync.ID) ([]dirsync.ID, bool) {
	came := map[dirsync.ID]dirsync.ID{}
	for _, id := range c.around(from) { // in order of distance
		if id != from {
			for _, below := range c.around(from) {
				if _, known := came[below]; (known || below == from) && slices.Contains(c.above[below], id) {
					came[id] = below
					break
				}
			}
		}
		if !c.scope[id] {
			continue
		}
		way := []dirsync.ID{id}
		for id != from {
			id = came[id]
			way = append(way, id)
		}
		slices.Reverse(way)
		return way, true
	}
	return []dirsync.ID{from}, false
}
