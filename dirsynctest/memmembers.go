package dirsynctest

import (
	"context"
	"slices"

	"dirsync"
	"dirsync/sync/engine"
)

// Members is an engine.Memberships that lives in memory. Make one with NewMembers.
type Members struct{ *Store }

var _ engine.Memberships = Members{}

// NewMembers returns memberships of nobody.
func NewMembers() Members {
	s := NewStore()
	s.runs[0] = &run{plan: map[dirsync.PlanKey]dirsync.Change{}, outcomes: map[dirsync.PlanKey]dirsync.Outcome{}}
	return Members{s}
}

// present lists the memberships that are, in order of Seq, together with their Seq.
func (m Members) present() (out []dirsync.Membership, seqs []dirsync.Seq) {
	for _, p := range m.people {
		if ms, ok := dirsync.MembershipOf(p.ID, p.Kind); ok && p.Gone == dirsync.Present {
			out, seqs = append(out, ms), append(seqs, p.Seq)
		}
	}
	return out, seqs
}

// GroupsOf implements engine.Memberships.
func (m Members) GroupsOf(ctx context.Context, members []dirsync.ID) (out [][]dirsync.ID, err error) {
	err = m.do(ctx, "GroupsOf", func() error {
		out = make([][]dirsync.ID, len(members))
		all, _ := m.present()
		for i, id := range members {
			for _, ms := range all {
				if ms.Member == id {
					out[i] = append(out[i], ms.Group)
				}
			}
			slices.Sort(out[i])
		}
		return nil
	})
	return out, err
}

// MembersOf implements engine.Memberships.
func (m Members) MembersOf(ctx context.Context, group dirsync.ID, after dirsync.Seq, limit int) ([]dirsync.Membership, dirsync.Seq, error) {
	return m.list(ctx, "MembersOf", after, limit, func(ms dirsync.Membership) bool { return ms.Group == group })
}

// Nested implements engine.Memberships.
func (m Members) Nested(ctx context.Context, after dirsync.Seq, limit int) ([]dirsync.Membership, dirsync.Seq, error) {
	return m.list(ctx, "Nested", after, limit, func(ms dirsync.Membership) bool { return ms.Kind == dirsync.KindGroup })
}

func (m Members) list(ctx context.Context, op string, after dirsync.Seq, limit int, want func(dirsync.Membership) bool) (out []dirsync.Membership, last dirsync.Seq, err error) {
	err = m.do(ctx, op, func() error {
		last = after
		all, seqs := m.present()
		for i, ms := range all {
			if seqs[i] > after && len(out) < limit && want(ms) {
				out, last = append(out, ms), seqs[i]
			}
		}
		return nil
	})
	return out, last, err
}
