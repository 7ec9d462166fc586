package store

import (
	"context"
	"errors"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"dirsync"
)

// What a sync keeps of its groups, and who is in them, lies beside it in buckets of their own and is kept by the same
// code: a group is a person in every respect, and a membership is one whose id names a group and a member.

const (
	bucketGroups      = "groups"
	bucketMemberships = "memberships"
)

// place says where in the file a sync, its groups or its memberships lie.
type place struct{ part, sync string }

// String says what lies there, for people.
func (p place) String() string {
	switch p.part {
	case bucketGroups:
		return "the groups of sync " + p.sync
	case bucketMemberships:
		return "the memberships of sync " + p.sync
	default:
		return "sync " + p.sync
	}
}

// placesIn lists what there is in a file.
func placesIn(tx *bolt.Tx) (out []place, err error) {
	for _, part := range [...]string{bucketSyncs, bucketGroups, bucketMemberships} {
		b := tx.Bucket([]byte(part))
		if b == nil {
			continue
		}
		err := b.ForEachBucket(func(k []byte) error {
			out = append(out, place{part, string(k)})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// part returns what keeps a place. It is empty, and made when something is first written to it, if it was never heard of.
func (s *Store) part(at place) *Sync {
	s.state.Lock()
	defer s.state.Unlock()
	y := s.syncs[at]
	if y == nil {
		y = newSync(s, at)
		s.syncs[at] = y
	}
	return y
}

// Groups returns the part of a sync that keeps its groups: an engine.Store of its own, of which Store.Syncs says nothing.
// Its runs are numbered together with those of all syncs.
func (y *Sync) Groups() *Sync { return y.s.part(place{bucketGroups, y.place.sync}) }

// Members returns the part of a sync that keeps who is in which group.
func (y *Sync) Members() *Members {
	return &Members{y.s.part(place{bucketMemberships, y.place.sync})}
}

// Members are the memberships of a sync's groups. They are an engine.Memberships.
type Members struct{ y *Sync }

// The tags of what a membership is found by beside its id. The last one is the same for all members that are groups.
const (
	tagInGroup = "g\x00"
	tagMember  = "m"
	tagNested  = "n"
)

func membershipKeys(p dirsync.Person) []uint64 {
	keys := make([]uint64, 0, 4)
	keys = append(keys, hashKey("", string(p.ID)))
	m, ok := dirsync.MembershipOf(p.ID, p.Kind)
	if !ok {
		return keys
	}
	keys = append(keys, hashKey(tagInGroup, string(m.Group)), hashKey(tagMember, string(m.Member)))
	if m.Kind == dirsync.KindGroup {
		keys = append(keys, hashKey(tagNested, ""))
	}
	return keys
}

// eachMembership calls fn for the memberships after a Seq that may be found by a hash and are there now, until it returns false.
func (x *syncTx) eachMembership(hash uint64, after dirsync.Seq, fn func(dirsync.Seq, dirsync.Membership) bool) error {
	return x.each(x.y.ids, hash, uint64(after), func(seq uint64) (bool, error) {
		// An index may know a row of a transaction that began after this one, which is then not there.
		p, ok, err := x.person(seq, false)
		if err != nil || !ok || p.Gone != dirsync.Present {
			return err == nil, err
		}
		m, ok := dirsync.MembershipOf(p.ID, p.Kind)
		return !ok || fn(p.Seq, m), nil
	})
}

// GroupsOf implements engine.Memberships.
func (m *Members) GroupsOf(ctx context.Context, members []dirsync.ID) (out [][]dirsync.ID, err error) {
	err = m.y.view(ctx, "find the groups of people", func(x *syncTx) error {
		out = make([][]dirsync.ID, len(members))
		for i, id := range members {
			err := x.eachMembership(hashKey(tagMember, string(id)), 0, func(_ dirsync.Seq, ms dirsync.Membership) bool {
				if ms.Member == id {
					out[i] = append(out[i], ms.Group)
				}
				return true
			})
			if err != nil {
				return err
			}
			slices.Sort(out[i])
		}
		return nil
	})
	return out, err
}

// MembersOf implements engine.Memberships.
func (m *Members) MembersOf(ctx context.Context, group dirsync.ID, after dirsync.Seq, limit int) ([]dirsync.Membership, dirsync.Seq, error) {
	return m.list(ctx, "list the members of a group", hashKey(tagInGroup, string(group)), after, limit,
		func(ms dirsync.Membership) bool { return ms.Group == group })
}

// Nested implements engine.Memberships.
func (m *Members) Nested(ctx context.Context, after dirsync.Seq, limit int) ([]dirsync.Membership, dirsync.Seq, error) {
	return m.list(ctx, "list the groups in groups", hashKey(tagNested, ""), after, limit,
		func(ms dirsync.Membership) bool { return ms.Kind == dirsync.KindGroup })
}

func (m *Members) list(ctx context.Context, op string, hash uint64, after dirsync.Seq, limit int, want func(dirsync.Membership) bool) (out []dirsync.Membership, last dirsync.Seq, err error) {
	last = after
	if limit <= 0 {
		return nil, last, ctx.Err()
	}
	err = m.y.view(ctx, op, func(x *syncTx) error {
		return x.eachMembership(hash, after, func(seq dirsync.Seq, ms dirsync.Membership) bool {
			if want(ms) {
				out, last = append(out, ms), seq
			}
			return len(out) < limit
		})
	})
	return out, last, err
}

// ReadState implements engine.Reading.
func (m *Members) ReadState(ctx context.Context) (dirsync.ReadState, error) {
	return m.y.ReadState(ctx)
}

// SetReadState implements engine.Reading.
func (m *Members) SetReadState(ctx context.Context, state dirsync.ReadState) error {
	return m.y.SetReadState(ctx, state)
}

// Merge implements engine.Reading.
func (m *Members) Merge(ctx context.Context, records []dirsync.Record, state dirsync.ReadState, now time.Time) (dirsync.Merged, error) {
	return m.y.Merge(ctx, records, state, now)
}

// Unconfirmed implements engine.Reading.
func (m *Members) Unconfirmed(ctx context.Context, round uint64, after dirsync.Seq, limit int) ([]dirsync.Candidate, error) {
	return m.y.Unconfirmed(ctx, round, after, limit)
}

// EndRound implements engine.Reading.
func (m *Members) EndRound(ctx context.Context, state dirsync.ReadState) error {
	return m.y.EndRound(ctx, state)
}

// OweAll implements engine.Planning.
func (m *Members) OweAll(ctx context.Context, why dirsync.Why, state dirsync.ReadState, now time.Time) error {
	return m.y.OweAll(ctx, why, state, now)
}

// Owe implements engine.Planning.
func (m *Members) Owe(ctx context.Context, ids []dirsync.ID, why dirsync.Why, now time.Time) ([]dirsync.ID, error) {
	return m.y.Owe(ctx, ids, why, now)
}

// Owed implements engine.Planning. A membership has no account: its Link is the zero one.
func (m *Members) Owed(ctx context.Context, now time.Time, after dirsync.Seq, limit int) ([]dirsync.Person, error) {
	return m.y.Owed(ctx, now, after, limit)
}

// Decide implements engine.Planning. Memberships have no runs, so the run says nothing; and as they have no accounts
// either, a decision that holds a Change is an *dirsync.Error of kind Invalid.
func (m *Members) Decide(ctx context.Context, _ dirsync.RunID, decisions []dirsync.Decision) error {
	const op = "settle memberships"
	return m.y.update(ctx, op, func(x *syncTx) error {
		for _, d := range decisions {
			if d.Change != nil {
				return &dirsync.Error{Op: op, ID: d.Change.Person, Kind: dirsync.Invalid, Err: errors.New("a membership has no account that could be changed")}
			}
			if err := x.decide(nil, d); err != nil {
				return err
			}
		}
		return nil
	})
}

// Totals counts the memberships: those that are, as People, and those that were, as Gone.
func (m *Members) Totals(ctx context.Context) (dirsync.Totals, error) { return m.y.Totals(ctx) }
