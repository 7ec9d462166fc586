package engine

import (
	"context"
	"fmt"

	"dirsync"
)

// inDoubt tells a membership of which nobody could say whether it has ended, because its member was deleted and can be
// restored. It stays owed with this reason until that is known.
func inDoubt(p dirsync.Person) bool {
	return p.Gone == dirsync.Present && p.Owed.Why == dirsync.WhyDoubt
}

// doubtMembers keeps in mind that memberships, by their ids, may have ended.
func (e *Engine) doubtMembers(ctx context.Context, ids []dirsync.ID) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := e.Groups.Members.Owe(ctx, ids, dirsync.WhyDoubt, e.now())
	return err
}

// askDoubtful settles the memberships in doubt of those who are there again: their groups are listed, each once. They are
// few, and cost nothing while their members are away. It is called when people are read as far as there is news of them.
func (e *Engine) askDoubtful(ctx context.Context) error {
	g := e.Groups
	there := map[dirsync.ID]map[dirsync.ID]bool{} // group, member; nil: the group cannot be listed
	for after := dirsync.Seq(0); ; {
		owed, err := g.Members.Owed(ctx, e.now(), after, e.batch())
		if err != nil || len(owed) == 0 {
			return err
		}
		after = owed[len(owed)-1].Seq
		var stayed []dirsync.ID
		var unlisted []dirsync.Membership
		for _, p := range owed {
			m, ok := dirsync.MembershipOf(p.ID, p.Kind)
			if !ok || !inDoubt(p) {
				continue
			}
			if back, err := e.isBack(ctx, m); err != nil {
				return err
			} else if !back {
				continue
			}
			if _, listed := there[m.Group]; !listed {
				if there[m.Group], err = e.membersNow(ctx, m.Group); err != nil {
					return err
				}
			}
			switch members := there[m.Group]; {
			case members == nil: // the group is away itself, and says nothing of its members
			case members[m.Member]:
				stayed = append(stayed, p.ID)
			default:
				unlisted = append(unlisted, m)
			}
		}
		state, err := g.Members.ReadState(ctx)
		if err != nil {
			return err
		}
		// Whoever has been deleted again by now stays in doubt.
		if err := e.endUnlisted(ctx, unlisted, nil, state); err != nil {
			return err
		}
		// The doubt may have taken the place of a debt that nobody has acted on yet.
		if len(stayed) == 0 {
			continue
		}
		if _, err := g.Members.Owe(ctx, stayed, dirsync.WhyRecord, e.now()); err != nil {
			return err
		}
	}
}

// isBack tells whether a member who was deleted is there again, as far as has been read.
func (e *Engine) isBack(ctx context.Context, m dirsync.Membership) (bool, error) {
	var who interface {
		Person(ctx context.Context, id dirsync.ID) (dirsync.Person, error)
	} = e.Store
	if m.Kind == dirsync.KindGroup {
		who = e.Groups.Store
	}
	p, err := who.Person(ctx, m.Member)
	if dirsync.KindOf(err) == dirsync.NotFound {
		return false, nil
	}
	return err == nil && p.Gone == dirsync.Present, err
}

// membersNow are all members of a group, or nil if it is not there.
func (e *Engine) membersNow(ctx context.Context, group dirsync.ID) (map[dirsync.ID]bool, error) {
	there := map[dirsync.ID]bool{}
	err := e.Groups.Source.Members(ctx, group, func(members []dirsync.Membership) error {
		for _, m := range members {
			there[m.Member] = true
		}
		return nil
	})
	switch {
	case dirsync.KindOf(err) == dirsync.NotFound:
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("list the members of group %s: %w", group, err)
	}
	return there, nil
}
