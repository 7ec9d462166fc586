package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"dirsync"
)

// The directory keeps resources: the same accounts, with what provisioning clients say of them beside. What a client has
// written lies in the account's own row.
//
// Ids of users and groups are in the order of their numbers, and members are listed in that order.
var _ dirsync.ResourceStore = (*Directory)(nil)

// of returns the accounts of a kind.
func (d *Directory) of(kind dirsync.Kind) (*accounts, error) {
	switch kind {
	case dirsync.KindUser:
		return d.accounts, nil
	case dirsync.KindGroup:
		return d.groups.accounts, nil
	default:
		return nil, &dirsync.Error{Kind: dirsync.Invalid, Err: fmt.Errorf("there is no kind %d of resource", kind)}
	}
}

// look runs fn in a transaction that only looks at the resources of a kind.
func (d *Directory) look(ctx context.Context, op string, kind dirsync.Kind, fn func(*accountsTx) error) error {
	a, err := d.of(kind)
	if err != nil {
		return named(op, err)
	}
	return a.view(ctx, op, fn)
}

// resource shows an account as a resource, with its references as they are kept. Both share what the client has said.
func (a *accounts) resource(r account) dirsync.Resource {
	out := dirsync.Resource{ID: r.ID, Kind: a.kind(), Version: r.number, Created: r.Created, Updated: r.Updated, Name: a.nameOf(r),
		Active: r.Active, Source: r.Source}
	// Values of fields that are no longer there are not shown.
	out.Values = make(dirsync.Values, 0, len(r.Values))
	for _, v := range r.Values {
		if _, ok := slices.BinarySearch(a.names, v.Field); ok {
			out.Values = append(out.Values, v)
		}
	}
	if s := r.said; s != nil {
		out.Display, out.ExternalID, out.Pending = s.display, s.external, s.pending
		out.Emails, out.Document = s.emails, s.document
	} else if v, _ := r.Values.Get(dirsync.EmailAddress); a.kind() == dirsync.KindUser && !v.IsNull() {
		out.Emails = []string{v.Text}
	}
	return out
}

// resource shows an account as a resource, with its references as readers are told them.
func (x *accountsTx) resource(r account) (dirsync.Resource, error) {
	seen, err := x.seen(r)
	return x.a.resource(seen), err
}

// title is by what a member or a group is listed.
func (a *accounts) title(r account) string {
	if r.said != nil && r.said.display != "" {
		return r.said.display
	}
	return a.nameOf(r)
}

// Resource implements dirsync.ResourceStore.
func (d *Directory) Resource(ctx context.Context, kind dirsync.Kind, id string) (out dirsync.Resource, err error) {
	err = d.look(ctx, "read resource "+strconv.Quote(id), kind, func(x *accountsTx) error {
		r, ok, err := x.account(x.a.seq(id), true)
		switch {
		case err != nil:
			return err
		case !ok:
			return missing(kind, id)
		}
		out, err = x.resource(r)
		return err
	})
	return out, err
}

func missing(kind dirsync.Kind, id string) error {
	return &dirsync.Error{Kind: dirsync.NotFound, Err: fmt.Errorf("there is no %s %q", kind, id)}
}

// resourceKeys are the entries of the index in which the resources are that have a value in a key.
func resourceKeys(kind dirsync.Kind, key dirsync.ResourceKey, value string) ([]lookupKey, error) {
	folded := dirsync.Fold(value)
	switch {
	case key == dirsync.ByName && kind == dirsync.KindGroup:
		return []lookupKey{{groupName, folded}}, nil
	case key == dirsync.ByName:
		return []lookupKey{{tagUserName, folded}, {dirsync.EmailAddress, folded}}, nil
	case key == dirsync.ByEmail && kind == dirsync.KindUser:
		return []lookupKey{{tagMail, folded}, {dirsync.EmailAddress, folded}}, nil
	case key == dirsync.ByEmail:
		return []lookupKey{{tagMail, folded}}, nil
	case key == dirsync.ByDisplay:
		return []lookupKey{{tagDisplay, folded}}, nil
	case key == dirsync.ByExternalID:
		return []lookupKey{{tagExternal, value}}, nil
	default:
		return nil, &dirsync.Error{Kind: dirsync.Invalid, Err: fmt.Errorf("resources have no key %d", key)}
	}
}

// FindResources implements dirsync.ResourceStore.
func (d *Directory) FindResources(ctx context.Context, kind dirsync.Kind, key dirsync.ResourceKey, value string, limit int) (out []dirsync.Resource, err error) {
	const op = "find resources"
	a, err := d.of(kind)
	if err != nil {
		return nil, named(op, err)
	}
	keys, err := resourceKeys(kind, key, value)
	if err != nil || value == "" || limit <= 0 {
		return nil, named(op, err)
	}
	err = a.steady(func() (all bool, err error) {
		out = nil
		err = a.view(ctx, op, func(x *accountsTx) error {
			for _, k := range keys {
				if err := x.findResources(k, key, limit, &out); err != nil {
					return err
				}
				if key == dirsync.ByName && kind == dirsync.KindUser && len(out) > 0 {
					break // there is no second one
				}
			}
			return nil
		})
		return len(out) > 0, err
	})
	if len(keys) > 1 {
		slices.SortFunc(out, func(p, q dirsync.Resource) int { return cmp.Compare(a.seq(p.ID), a.seq(q.ID)) })
		out = out[:min(len(out), limit)]
	}
	return out, err
}

// findResources adds the resources that an entry of the index finds, and that have its value in a key.
func (x *accountsTx) findResources(k lookupKey, key dirsync.ResourceKey, limit int, out *[]dirsync.Resource) error {
	n := 0
	return x.each(x.a.keys, k.hash(), 0, func(seq uint64) (bool, error) {
		r, ok, err := x.account(seq, true)
		if err != nil || !ok || !x.a.has(r, k) {
			return true, err
		}
		// By their address go those who have no name, or no addresses, of their own.
		if k.tag == dirsync.EmailAddress && (key == dirsync.ByName && goesBy(r) || key == dirsync.ByEmail && !r.said.reads(k.text)) {
			return true, nil
		}
		found, err := x.resource(r)
		*out = append(*out, found)
		n++
		return n < limit, err
	})
}

// Resources implements dirsync.ResourceStore. An after that is no id is an *dirsync.Error of kind Invalid.
func (d *Directory) Resources(ctx context.Context, kind dirsync.Kind, after string, skip, limit int) (out []dirsync.Resource, err error) {
	err = d.look(ctx, "list resources", kind, func(x *accountsTx) error {
		seq := x.a.seq(after)
		if seq == 0 && after != "" {
			return noID(kind, after)
		}
		seq, err := x.skip(seq, uint64(max(skip, 0)))
		if err != nil || limit <= 0 {
			return err
		}
		return x.rowsAfter(seq, func(_ uint64, r account) (bool, error) {
			shown, err := x.resource(r)
			out = append(out, shown)
			return len(out) < limit, err
		})
	})
	return out, err
}

func noID(kind dirsync.Kind, id string) error {
	return &dirsync.Error{Kind: dirsync.Invalid, Value: id, Err: fmt.Errorf("%q is no id of a %s", id, kind)}
}

// CountResources implements dirsync.ResourceStore.
func (d *Directory) CountResources(ctx context.Context, kind dirsync.Kind) (n int, err error) {
	err = d.look(ctx, "count resources", kind, func(x *accountsTx) error {
		n = int(x.count)
		return nil
	})
	return n, err
}

// ResourceMembers implements dirsync.ResourceStore.
func (d *Directory) ResourceMembers(ctx context.Context, group, after string, limit int) (out []dirsync.ResourceMember, err error) {
	err = d.look(ctx, "list the members of group "+strconv.Quote(group), dirsync.KindGroup, func(x *accountsTx) error {
		n, err := x.mustGroup(group)
		if err != nil || limit <= 0 {
			return err
		}
		from := d.seq(after)
		if from == 0 && after != "" {
			return noID(dirsync.KindUser, after)
		}
		users, err := d.accounts.open(x.tx)
		if err != nil {
			return err
		}
		return users.each(d.keys, groupHash(n), from, func(seq uint64) (bool, error) {
			r, ok, err := users.account(seq, true)
			if err != nil || !ok || !contains(r.in, n) {
				return true, err
			}
			out = append(out, dirsync.ResourceMember{ID: r.ID, Name: d.title(r)})
			return len(out) < limit, nil
		})
	})
	return out, err
}

// CountMembers implements dirsync.MemberCounter.
func (d *Directory) CountMembers(ctx context.Context, group string) (int, error) {
	return d.groups.Size(ctx, group)
}

// IsMember implements dirsync.ResourceStore.
func (d *Directory) IsMember(ctx context.Context, group string, users []string) (out []bool, err error) {
	err = d.look(ctx, "look for members of group "+strconv.Quote(group), dirsync.KindGroup, func(x *accountsTx) error {
		n, err := x.mustGroup(group)
		if err != nil {
			return err
		}
		in, err := d.accounts.open(x.tx)
		if err != nil {
			return err
		}
		out = make([]bool, len(users))
		for i, id := range users {
			r, _, err := in.account(d.seq(id), false)
			if err != nil {
				return err
			}
			out[i] = contains(r.in, n)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ResourceGroups implements dirsync.ResourceStore.
func (d *Directory) ResourceGroups(ctx context.Context, user string, limit int) (out []dirsync.ResourceMember, err error) {
	err = d.look(ctx, "list the groups of user "+strconv.Quote(user), dirsync.KindUser, func(x *accountsTx) error {
		r, ok, err := x.account(d.seq(user), false)
		switch {
		case err != nil:
			return err
		case !ok:
			return missing(dirsync.KindUser, user)
		case len(r.in) == 0:
			return nil
		}
		groups, err := d.groups.open(x.tx)
		if err != nil {
			return err
		}
		for _, n := range r.in {
			if len(out) >= limit {
				return nil
			}
			g, ok, err := groups.account(n, true)
			if err != nil {
				return err
			}
			if ok {
				out = append(out, dirsync.ResourceMember{ID: g.ID, Name: d.groups.title(g)})
			}
		}
		return nil
	})
	return out, err
}
