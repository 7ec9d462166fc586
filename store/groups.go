package store

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"dirsync"
)

// Groups are the groups of the embedded directory. They are a dirsync.Target of groups, whose Users are the groups, a
// dirsync.Batcher, a dirsync.Finder and a dirsync.Restorer. Their fields are name, which is required and which several
// may share, description and mail; their ids are "g" and a number of at least eight digits, which is never given again.
//
// Who is in a group is said of each user: see Directory. A group that is deleted takes all memberships in it along at
// once. If it is brought back, those are in it again whose groups were not said anew meanwhile.
type Groups struct{ *accounts }

var (
	_ dirsync.Target   = (*Groups)(nil)
	_ dirsync.Batcher  = (*Groups)(nil)
	_ dirsync.Finder   = (*Groups)(nil)
	_ dirsync.Restorer = (*Groups)(nil)
)

const (
	bucketDirectoryGroups = "directoryGroups"
	groupName             = "name"
)

func groupSchema() []dirsync.Field {
	return []dirsync.Field{
		{Name: groupName, Label: "Name", Type: dirsync.Text, Required: true},
		{Name: "description", Label: "Description", Type: dirsync.Text},
		{Name: "mail", Label: "Mail", Type: dirsync.Text},
	}
}

// Name implements dirsync.Target.
func (g *Groups) Name() string { return "groups of the embedded directory" }

// Members lists the users in the group with an id, in the order in which the users were made, beginning after the user
// with the id after ("" is the first); fewer than limit means that there are no more. It reads no other users. A group
// that is not there is an *dirsync.Error of kind NotFound.
func (g *Groups) Members(ctx context.Context, id, after string, limit int) (out []dirsync.Account, err error) {
	op := "list the users in group " + id
	err = g.view(ctx, op, func(x *accountsTx) error {
		group, err := x.mustGroup(id)
		if err != nil {
			return err
		}
		users, err := g.users.open(x.tx)
		if err != nil || limit <= 0 {
			return err
		}
		return users.each(g.users.keys, groupHash(group), g.users.seq(after), func(seq uint64) (bool, error) {
			r, ok, err := users.account(seq, true)
			if err != nil || !ok || !contains(r.in, group) {
				return true, err
			}
			shown, err := users.show(r)
			out = append(out, shown)
			return len(out) < limit, err
		})
	})
	return out, err
}

// Group is one group together with the number of users in it.
type Group struct {
	dirsync.Account
	// Members counts the users, inactive ones included.
	Members int
}

// List lists the groups with the number of users in each, in the order in which they were made, beginning after the one
// with the id after ("" is the first); fewer than limit means that there are no more. It reads no users.
func (g *Groups) List(ctx context.Context, after string, limit int) (out []Group, err error) {
	seq := g.seq(after)
	page, err := g.page(ctx, &seq, limit)
	if err != nil {
		return nil, err
	}
	err = g.view(ctx, "count the users in groups", func(x *accountsTx) error {
		for _, a := range page {
			n, err := x.size(g.seq(a.ID))
			if err != nil {
				return err
			}
			out = append(out, Group{a, int(n)})
		}
		return nil
	})
	return out, err
}

// Size counts the users in the group with an id, inactive ones included. A group that is not there is an *dirsync.Error of
// kind NotFound.
func (g *Groups) Size(ctx context.Context, id string) (n int, err error) {
	err = g.view(ctx, "count the users in group "+id, func(x *accountsTx) error {
		group, err := x.mustGroup(id)
		if err != nil {
			return err
		}
		size, err := x.size(group)
		n = int(size)
		return err
	})
	return n, err
}

// Join puts users into a group, both given by their ids, in one transaction. Whoever is in it already stays. It is for
// groups that no source knows: a source says of each user, in the field dirsync.GroupsField, in which of its own they are.
// A group or a user that is not there is an *dirsync.Error of kind NotFound, and nothing is changed.
func (g *Groups) Join(ctx context.Context, id string, users ...string) error {
	return g.enlist(ctx, "put users into group "+id, id, users, func(in []uint64, group uint64) []uint64 {
		in = append(in, group)
		slices.Sort(in)
		return slices.Compact(in)
	})
}

// Leave is the opposite of Join. Whoever is not in the group stays out of it.
func (g *Groups) Leave(ctx context.Context, id string, users ...string) error {
	return g.enlist(ctx, "take users out of group "+id, id, users, func(in []uint64, group uint64) []uint64 {
		return slices.DeleteFunc(in, func(n uint64) bool { return n == group })
	})
}

func (g *Groups) enlist(ctx context.Context, op, id string, users []string, change func(in []uint64, group uint64) []uint64) error {
	return g.users.update(ctx, op, func(x *accountsTx) error {
		groups, err := x.groupsOf()
		if err != nil {
			return err
		}
		group, err := groups.mustGroup(id)
		if err != nil {
			return err
		}
		for _, id := range users {
			seq := x.a.seq(id)
			r, ok, err := x.account(seq, true)
			if err != nil {
				return err
			}
			if !ok {
				return &dirsync.Error{Kind: dirsync.NotFound, Err: fmt.Errorf("there is no user %q", id)}
			}
			e := edit{seq: seq, was: r, now: r}
			if e.now.in, err = x.cleaned(r.in); err != nil {
				return err
			}
			e.now.in = change(slices.Clone(e.now.in), group)
			if err := x.weigh(&e); err != nil {
				return err
			}
			if err := x.put(&e); err != nil {
				return err
			}
		}
		return nil
	})
}

// mustGroup finds the group with an id.
func (x *accountsTx) mustGroup(id string) (uint64, error) {
	seq := x.a.seq(id)
	if _, ok, err := x.account(seq, false); err != nil || ok {
		return seq, err
	}
	return 0, &dirsync.Error{Kind: dirsync.NotFound, Err: fmt.Errorf("there is no group %q", id)}
}

// size reads how many users are in a group.
func (x *accountsTx) size(group uint64) (uint64, error) {
	sizes, err := x.bucket(x.root, bucketSizes)
	if err != nil {
		return 0, err
	}
	body, err := get(sizes, seqKey(group))
	if err != nil || body == nil {
		return 0, err
	}
	d := decode(body)
	n := d.uint()
	return n, rowError("size of group", group, d.end())
}

// resize writes the sizes that have changed.
func (x *accountsTx) resize() error {
	sizes, err := x.bucket(x.root, bucketSizes)
	if err != nil {
		return err
	}
	for _, group := range slices.Sorted(maps.Keys(x.resized)) {
		was, err := x.size(group)
		if err != nil {
			return err
		}
		n := was + x.resized[group]
		if n == 0 {
			err = storageError(sizes.Delete(seqKey(group)))
		} else {
			err = put(sizes, seqKey(group), appendUint([]byte{rowVersion}, n))
		}
		if err != nil {
			return err
		}
	}
	clear(x.resized)
	return nil
}

// groupState is what a user's transaction knows of a group.
type groupState struct {
	there, deleted bool
	source         dirsync.ID
}

// groupsOf opens the groups in the same transaction.
func (x *accountsTx) groupsOf() (*accountsTx, error) {
	if x.groupsTx == nil {
		groups, err := x.a.groups.open(x.tx)
		if err != nil {
			return nil, err
		}
		groups.resized = map[uint64]uint64{}
		x.groupsTx, x.known, x.numbers = groups, map[uint64]groupState{}, map[string]uint64{}
	}
	return x.groupsTx, nil
}

// group finds out about the group with a number.
func (x *accountsTx) group(n uint64) (groupState, error) {
	groups, err := x.groupsOf()
	if err != nil {
		return groupState{}, err
	}
	if state, ok := x.known[n]; ok {
		return state, nil
	}
	var state groupState
	r, there, err := groups.account(n, true)
	if err != nil {
		return state, err
	}
	if state.there = there; !there {
		if r, _, state.deleted, err = groups.deletedAccount(n); err != nil {
			return state, err
		}
	}
	state.source = r.Source
	x.known[n] = state
	return state, nil
}

// groupsValue is the value of the field groups for somebody who is in the groups with these numbers.
func (x *accountsTx) groupsValue(in []uint64) (dirsync.Value, error) {
	var ids []string
	for _, n := range in {
		g, err := x.group(n)
		if err != nil {
			return dirsync.Value{}, err
		}
		if g.there && g.source != "" {
			ids = append(ids, string(g.source))
		}
	}
	slices.Sort(ids)
	return dirsync.NewList(ids), nil
}

// living leaves out the numbers of groups that are not there and will never come back.
func (x *accountsTx) living(in []uint64) (out []uint64, err error) {
	for _, n := range in {
		g, err := x.group(n)
		if err != nil {
			return nil, err
		}
		if g.there || g.deleted {
			out = append(out, n)
		}
	}
	return out, nil
}

// enrol works out the numbers of the groups of somebody who was in some groups, once the field groups has a value. Groups
// without a source id are left as they are. The error is an *dirsync.Error when the value cannot be kept.
func (x *accountsTx) enrol(c dirsync.Change, value dirsync.Value, was []uint64) (in []uint64, err error) {
	for _, n := range was {
		g, err := x.group(n)
		if err != nil {
			return nil, err
		}
		if g.source == "" && (g.there || g.deleted) {
			in = append(in, n)
		}
	}
	if value.IsNull() {
		return in, nil
	}
	var ids []string
	if value.Type != dirsync.TextList || json.Unmarshal([]byte(value.Text), &ids) != nil {
		return nil, x.refuse(c, dirsync.GroupsField, value.Text, "must be a list of the source ids of groups")
	}
	for _, id := range ids {
		n, err := x.numberOf(id)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, &dirsync.Error{Op: c.Kind.String() + " user", ID: c.Person, Kind: dirsync.Conflict, Field: dirsync.GroupsField, Value: id,
				Err: fmt.Errorf("there is no group %s", id), Hint: "The group is added first, and the user in the next run."}
		}
		in = append(in, n)
	}
	slices.Sort(in)
	return slices.Compact(in), nil
}

// numberOf returns the number of the group with a source id, and 0 when there is none.
func (x *accountsTx) numberOf(source string) (n uint64, err error) {
	groups, err := x.groupsOf()
	if err != nil || source == "" {
		return 0, err
	}
	n, ok := x.numbers[source]
	if !ok {
		n, _, err = groups.holder(lookupKey{tagSource, source}, 0)
		x.numbers[source] = n
	}
	return n, err
}

// moveMember writes that a user is in some groups now and was in others.
func (x *accountsTx) moveMember(user uint64, was, now []uint64) error {
	if slices.Equal(was, now) {
		return nil
	}
	count := func(n, by uint64, kind joinKind) error {
		g, err := x.group(n)
		if err != nil || !g.there && !g.deleted {
			return err
		}
		x.groupsTx.resized[n] += by
		if !g.there {
			return nil
		}
		return x.groupsTx.log(n, user, kind)
	}
	for _, n := range was {
		if contains(now, n) {
			continue
		}
		if err := x.unindex(x.a.keys, groupHash(n), user); err != nil {
			return err
		}
		if err := count(n, ^uint64(0), left); err != nil {
			return err
		}
	}
	for _, n := range now {
		if contains(was, n) {
			continue
		}
		if err := x.index(x.a.keys, groupHash(n), user); err != nil {
			return err
		}
		if err := count(n, 1, joined); err != nil {
			return err
		}
	}
	return nil
}
