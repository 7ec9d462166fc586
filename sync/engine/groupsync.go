package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"dirsync"
	"dirsync/sync/plan"
)

// The fields of a group in every target, and the attributes of the source that they are made of.
const (
	GroupName        = "name"
	GroupDescription = "description"
	GroupMail        = "mail"
)

// syncGroups plans, guards and applies the groups, before the people: whoever is put into a group then finds it there.
// It is a run of its own, with the same care about crashes and doubts, over the part of the store that keeps the groups.
func (e *Engine) syncGroups(ctx context.Context, r *dirsync.Run, opts Options) error {
	g, err := e.groupEngine(ctx)
	if err != nil {
		return err
	}
	g.parks = func(ctx context.Context, until time.Time) error { return e.parked(ctx, r, until) }
	gr, err := g.Run(ctx, opts)
	// What was sent is not added up: users and groups are two views of one target, which counts for both.
	r.Groups = &dirsync.GroupRun{Run: gr.ID, Status: gr.Status, Counts: gr.Counts, Holds: gr.Holds}
	if err != nil {
		return fmt.Errorf("groups: %w", err)
	}
	return nil
}

// OfGroups returns the engine by which this one syncs groups: for their holds, and to take back what was done to them. It
// is nil where groups are not synced.
func (e *Engine) OfGroups(ctx context.Context) (*Engine, error) {
	if e.Groups == nil || e.Groups.Target == nil {
		return nil, nil //nolint:nilnil // there is none
	}
	return e.groupEngine(ctx)
}

// groupEngine is an engine that has groups for people. It reads nothing: the groups are read together with those who are
// in them.
func (e *Engine) groupEngine(ctx context.Context) (*Engine, error) {
	chosen, err := e.chosen(ctx)
	if err != nil {
		return nil, err
	}
	return &Engine{
		Sync: e.Sync, Source: e.Groups.Source, Target: e.Groups.Target, Store: e.Groups.Store,
		Policy: e.Policy, Limits: plan.Limits{Deletes: e.Limits.Groups, Deactivations: e.Limits.Groups, Blankings: e.Limits.Blankings},
		Retry: e.Retry, Patience: e.Patience, Batch: e.Batch, Now: e.Now, Log: e.Log,
		Outside: e.Groups.Outside, OutsideBy: e.Groups.OutsideBy,
		group: e.syncedGroups(chosen), groupsFingerprint: e.scopeFingerprint(), creates: e.refill,
	}, nil
}

// refill has everybody put into groups that are about to be made. A group that was there before, and was deleted at the
// source or by somebody in the target, comes back with nobody in it, whatever the accounts of people were known to hold; and
// whoever was planned meanwhile was planned without it. It is done before the groups are made: dying in between costs a
// look, dying the other way round would cost memberships.
func (e *Engine) refill(ctx context.Context, groups []dirsync.Change) error {
	totals, err := e.Store.Totals(ctx)
	if err != nil || totals.Active+totals.Inactive == 0 {
		return err // nobody was put into anything yet
	}
	for _, c := range groups {
		err := e.eachBelow(ctx, c.Person, map[dirsync.ID]bool{}, func(users []dirsync.ID) error {
			return e.putInto(ctx, c.Person, users)
		})
		if err != nil {
			return fmt.Errorf("put people into group %s again: %w", c.Person, err)
		}
	}
	return nil
}

// putInto makes users owed, and no longer known to be in a group.
func (e *Engine) putInto(ctx context.Context, group dirsync.ID, users []dirsync.ID) error {
	links := map[dirsync.Seq]dirsync.Link{}
	for _, id := range users {
		p, err := e.Store.Person(ctx, id)
		switch in, _ := p.Link.Held.Get(dirsync.GroupsField); {
		case dirsync.KindOf(err) == dirsync.NotFound:
		case err != nil:
			return err
		case slices.Contains(in.List(), string(group)):
			left := slices.DeleteFunc(in.List(), func(id string) bool { return id == string(group) })
			link := p.Link
			link.Held = link.Held.With(dirsync.Values{{Field: dirsync.GroupsField, Value: dirsync.NewList(left)}})
			links[p.Seq] = link
		}
	}
	if _, err := e.Store.Owe(ctx, users, dirsync.WhyGroups, e.now()); err != nil || len(links) == 0 {
		return err
	}
	return e.Store.Correct(ctx, links, e.now())
}

// wantedGroup is what becomes of a group.
func (e *Engine) wantedGroup(p dirsync.Person) plan.Wanted {
	name := tidy(p.Shadow.Text("displayName"))
	if name == "" {
		name = string(p.ID)
	}
	w := plan.Wanted{User: name, Name: name}
	if p.Gone != dirsync.Present || !e.group(p.ID) {
		return w
	}
	w.InScope = true
	w.Values = w.Values.Set(GroupName, text(dirsync.Text, name))
	w.Values = w.Values.Set(GroupDescription, text(dirsync.Text, tidy(p.Shadow.Text("description"))))
	w.Values = w.Values.Set(GroupMail, text(dirsync.Text, tidy(p.Shadow.Text("mail"))))
	return w
}

func tidy(s string) string { return strings.Join(strings.Fields(s), " ") }

func text(t dirsync.Type, s string) dirsync.Value {
	if s == "" {
		return dirsync.Value{}
	}
	return dirsync.Value{Type: t, Text: s}
}

// PlanGroups is Plan for the groups that the target gets. Where groups are not synced it calls nobody and counts nothing.
func (e *Engine) PlanGroups(ctx context.Context, fn func(dirsync.Person, dirsync.Decision) error) (Preview, error) {
	if e.Groups == nil || e.Groups.Target == nil {
		return Preview{Counts: map[dirsync.ChangeKind]int{}}, nil
	}
	g, err := e.groupEngine(ctx)
	if err != nil {
		return Preview{}, err
	}
	return g.Plan(ctx, fn)
}
