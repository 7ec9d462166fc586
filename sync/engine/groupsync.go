package engine

import (
	"context"
	"fmt"
	"strings"

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
	gr, err := g.Run(ctx, opts)
	r.Groups = &dirsync.GroupRun{Run: gr.ID, Status: gr.Status, Counts: gr.Counts, Holds: gr.Holds}
	r.Requests.Target += gr.Requests.Target
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
		Retry: e.Retry, Batch: e.Batch, Now: e.Now, Log: e.Log,
		group: e.syncedGroups(chosen), groupsFingerprint: e.scopeFingerprint(),
	}, nil
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
