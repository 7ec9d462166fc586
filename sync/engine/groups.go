package engine

import (
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"time"

	"dirsync"
)

// Groups is what a sync does about groups: who its people are, because they are in chosen groups, and which groups its
// target gets.
type Groups struct {
	Source dirsync.GroupSource
	// Store keeps the groups, and Members who is in them.
	Store   Store
	Members Memberships
	// Scope names the chosen groups whose members are the people of this sync; see dirsync.ChosenGroup. Empty: everybody
	// is.
	Scope []string
	// Nested counts the members of groups in groups as members.
	Nested bool
	// Target is where groups go; nil where groups are not synced.
	Target dirsync.Target
	// Synced names the chosen groups that the target gets, AllSynced says that it gets every group that is read.
	Synced    []string
	AllSynced bool
	// Outside tells why a group is none that the target gets, whatever Synced says, and OutsideBy identifies what it goes by:
	// as Engine.Outside for people. Nil: none is left out.
	Outside   func(ctx context.Context, group dirsync.Person) (why string, err error)
	OutsideBy string
}

// readGroups brings the shadow of the groups and of their memberships up to the source.
func (e *Engine) readGroups(ctx context.Context, r *dirsync.Run) error {
	g := e.Groups
	rd := &reading{
		e: e, what: "groups", everybody: "all groups were", source: g.Source, store: g.Store,
		fresh: func(int) {},
		note:  func(s string) { r.Notes = append(r.Notes, s) },
	}
	fresh := map[dirsync.ID]bool{}
	// Memberships are kept before the groups, and the cursor with the groups: whatever dies in between is read again.
	rd.merge = func(ctx context.Context, records []dirsync.Record, state dirsync.ReadState) error {
		for _, rec := range records {
			if !rec.Fresh || state.Full || fresh[rec.ID] {
				continue // after a full round every membership that it did not mention is asked about anyway
			}
			if err := e.reconcile(ctx, rec.ID, state); err != nil {
				return err
			}
			fresh[rec.ID] = true
		}
		if err := g.merge(ctx, membersOf(records), state, e.now()); err != nil {
			return err
		}
		_, err := g.Store.Merge(ctx, records, state, e.now())
		return err
	}
	rd.confirm = func(ctx context.Context, state *dirsync.ReadState) error {
		if err := rd.lookUp(ctx, state); err != nil {
			return err
		}
		return e.confirmMembers(ctx, *state)
	}
	return rd.run(ctx)
}

// merge keeps memberships. They are read together with the groups, so the state of their reading is that of the groups
// without the places in it, which are kept with the groups.
func (g *Groups) merge(ctx context.Context, records []dirsync.Record, state dirsync.ReadState, now time.Time) error {
	_, err := g.Members.Merge(ctx, records, memberState(state), now)
	return err
}

func memberState(s dirsync.ReadState) dirsync.ReadState {
	return dirsync.ReadState{Round: s.Round, Open: s.Open, Full: s.Full, Redo: s.Redo, Confirming: s.Confirming}
}

// membersOf takes the memberships out of records of groups.
func membersOf(records []dirsync.Record) []dirsync.Record {
	var out []dirsync.Record
	for i, rec := range records {
		for _, m := range rec.Members {
			out = append(out, member(dirsync.Membership{Group: rec.ID, Member: m.ID, Kind: m.Kind}, m.Removed))
		}
		records[i].Members = nil
	}
	return out
}

func member(m dirsync.Membership, removed bool) dirsync.Record {
	rec := dirsync.Record{ID: m.ID(), Kind: m.Kind, Whole: !removed}
	if removed {
		rec.Gone = dirsync.GoneHard
	}
	return rec
}

// confirmMembers settles who is in the groups, where a round has left that open: each group concerned is listed in full,
// and only who is not in that list either is a member no more. Nobody leaves a group that cannot be listed because it is
// gone itself: that a group was deleted says nothing about the people in it.
func (e *Engine) confirmMembers(ctx context.Context, state dirsync.ReadState) error {
	g := e.Groups
	listed := map[dirsync.ID]bool{} // and whether the group is there
	var after dirsync.Seq
	for {
		candidates, err := g.Members.Unconfirmed(ctx, state.Round, after, e.batch())
		if err != nil {
			return err
		}
		if len(candidates) == 0 {
			break
		}
		for _, c := range candidates {
			m, _ := dirsync.MembershipOf(c.ID, dirsync.KindUser)
			if _, done := listed[m.Group]; done {
				continue
			}
			if listed[m.Group], err = e.list(ctx, m.Group, state); err != nil {
				return err
			}
		}
		left, err := g.Members.Unconfirmed(ctx, state.Round, after, e.batch())
		if err != nil {
			return err
		}
		last := candidates[len(candidates)-1].Seq
		var unlisted, kept []dirsync.Membership
		for _, c := range left {
			m, _ := dirsync.MembershipOf(c.ID, c.Kind)
			switch there, done := listed[m.Group]; {
			case !done || c.Seq > last:
			case there:
				unlisted = append(unlisted, m)
			default:
				kept = append(kept, m)
			}
		}
		if err := e.endUnlisted(ctx, unlisted, kept, state); err != nil {
			return err
		}
		after = last
	}
	return g.Members.EndRound(ctx, dirsync.ReadState{Round: state.Round, Full: state.Full})
}

// endUnlisted ends memberships that a complete list of their group does not have, unless the member was deleted and can
// be restored: such members are in no list, and if they have not left before, are members again when they come back,
// without a word about it. So they stay, in doubt; see askDoubtful. kept are memberships that stay in any case.
func (e *Engine) endUnlisted(ctx context.Context, unlisted, kept []dirsync.Membership, state dirsync.ReadState) error {
	var records []dirsync.Record
	var doubtful []dirsync.ID
	for _, m := range kept {
		records = append(records, member(m, false))
	}
	for _, kind := range []dirsync.Kind{dirsync.KindUser, dirsync.KindGroup} {
		var source dirsync.Source = e.Groups.Source
		if kind == dirsync.KindUser {
			source = e.Source
		}
		ids := map[dirsync.ID]bool{}
		for _, m := range unlisted {
			if m.Kind == kind {
				ids[m.Member] = false
			}
		}
		for batch := range slices.Chunk(slices.Sorted(maps.Keys(ids)), lookUpBatch) {
			err := source.LookUp(ctx, batch, func(rec dirsync.Record) error {
				ids[rec.ID] = rec.Gone == dirsync.GoneSoft
				return nil
			})
			if err != nil {
				return fmt.Errorf("look up %d members who are in no list: %w", len(batch), err)
			}
		}
		for _, m := range unlisted {
			if m.Kind == kind {
				records = append(records, member(m, !ids[m.Member]))
				if ids[m.Member] {
					doubtful = append(doubtful, m.ID())
				}
			}
		}
	}
	// In this order: once they are merged nothing asks about them again, should the process die.
	if err := e.doubtMembers(ctx, doubtful); err != nil {
		return err
	}
	return e.Groups.merge(ctx, records, state, e.now())
}

// list keeps all members of one group, and says whether the group is there at all.
func (e *Engine) list(ctx context.Context, group dirsync.ID, state dirsync.ReadState) (bool, error) {
	err := e.Groups.Source.Members(ctx, group, func(members []dirsync.Membership) error {
		records := make([]dirsync.Record, len(members))
		for i, m := range members {
			records[i] = member(m, false)
		}
		return e.Groups.merge(ctx, records, state, e.now())
	})
	switch {
	case dirsync.KindOf(err) == dirsync.NotFound:
		return false, nil
	case err != nil:
		return false, fmt.Errorf("list the members of group %s: %w", group, err)
	}
	return true, nil
}

// reconcile ends the known memberships of a group that is read from the beginning if a complete list of its members does
// not have them: of members who left while nobody read, the reading itself says nothing.
func (e *Engine) reconcile(ctx context.Context, group dirsync.ID, state dirsync.ReadState) error {
	g := e.Groups
	known, _, err := g.Members.MembersOf(ctx, group, 0, 1)
	if err != nil || len(known) == 0 {
		return err
	}
	seed, there := maphash.MakeSeed(), map[uint64]bool{}
	err = g.Source.Members(ctx, group, func(members []dirsync.Membership) error {
		for _, m := range members {
			there[maphash.String(seed, string(m.Member))] = true
		}
		return nil
	})
	switch {
	case dirsync.KindOf(err) == dirsync.NotFound:
		return nil
	case err != nil:
		return fmt.Errorf("list the members of group %s: %w", group, err)
	}
	for after := dirsync.Seq(0); ; {
		known, last, err := g.Members.MembersOf(ctx, group, after, e.batch())
		if err != nil || len(known) == 0 {
			return err
		}
		after = last
		var unlisted []dirsync.Membership
		for _, m := range known {
			if !there[maphash.String(seed, string(m.Member))] {
				unlisted = append(unlisted, m)
			}
		}
		if err := e.endUnlisted(ctx, unlisted, nil, state); err != nil {
			return err
		}
	}
}

// spread makes owed whoever has joined or left a group, or is in a group that has. People who are not known yet are
// looked up, if being in a group is what makes them people of this sync. A membership is no longer owed when that is
// done, and not before.
func (e *Engine) spread(ctx context.Context, r *dirsync.Run) error {
	g := e.Groups
	for after := dirsync.Seq(0); ; {
		owed, err := g.Members.Owed(ctx, e.now(), after, e.batch())
		if err != nil || len(owed) == 0 {
			return err
		}
		after = owed[len(owed)-1].Seq
		owed = slices.DeleteFunc(owed, inDoubt)
		var users []dirsync.ID
		decisions := make([]dirsync.Decision, len(owed))
		seen := map[dirsync.ID]bool{}
		for i, p := range owed {
			decisions[i] = dirsync.Decision{Seq: p.Seq, Mark: p.Owed.Mark}
			m, ok := dirsync.MembershipOf(p.ID, p.Kind)
			switch {
			case !ok:
			case m.Kind == dirsync.KindUser:
				users = append(users, m.Member)
			default:
				if err := e.eachBelow(ctx, m.Member, seen, func(users []dirsync.ID) error { return e.owe(ctx, r, users) }); err != nil {
					return err
				}
			}
		}
		if err := e.owe(ctx, r, users); err != nil {
			return err
		}
		if err := g.Members.Decide(ctx, 0, decisions); err != nil {
			return err
		}
	}
}

// eachBelow calls fn for whoever is in a group, or in a group below it. seen are the groups that were walked already.
func (e *Engine) eachBelow(ctx context.Context, group dirsync.ID, seen map[dirsync.ID]bool, fn func(users []dirsync.ID) error) error {
	todo := []dirsync.ID{group}
	for len(todo) > 0 {
		group, todo = todo[0], todo[1:]
		if seen[group] {
			continue
		}
		seen[group] = true
		var after dirsync.Seq
		for {
			members, last, err := e.Groups.Members.MembersOf(ctx, group, after, e.batch())
			if err != nil {
				return err
			}
			if len(members) == 0 {
				break
			}
			after = last
			var users []dirsync.ID
			for _, m := range members {
				if m.Kind == dirsync.KindGroup {
					todo = append(todo, m.Member)
				} else {
					users = append(users, m.Member)
				}
			}
			if len(users) == 0 {
				continue
			}
			if err := fn(users); err != nil {
				return err
			}
		}
	}
	return nil
}

// owe makes users owed.
func (e *Engine) owe(ctx context.Context, r *dirsync.Run, users []dirsync.ID) error {
	if len(users) == 0 {
		return nil
	}
	slices.Sort(users)
	unknown, err := e.Store.Owe(ctx, slices.Compact(users), dirsync.WhyGroups, e.now())
	if err != nil || len(e.Groups.Scope) == 0 || len(unknown) == 0 {
		return err // where everybody is read, whoever is not known yet will be
	}
	in, err := e.Groups.Members.GroupsOf(ctx, unknown)
	if err != nil {
		return err
	}
	var members []dirsync.ID
	for i, id := range unknown {
		if len(in[i]) > 0 {
			members = append(members, id)
		}
	}
	state, err := e.Store.ReadState(ctx)
	if err != nil {
		return err
	}
	people := e.people(r)
	for ids := range slices.Chunk(members, lookUpBatch) {
		if err := people.ask(ctx, ids, &state); err != nil {
			return err
		}
	}
	return nil
}
