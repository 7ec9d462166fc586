package client

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"dirsync"
	"dirsync/scim"
)

// joining is one membership that is to begin or end.
type joining struct {
	account string
	remove  bool
	// of is the change that it is a part of.
	of int
}

// memberships writes the memberships of a batch: for each group all that join and leave together, in requests of at most
// as many as the target takes.
func (b *batch) memberships(ctx context.Context) {
	byGroup := map[string][]joining{}
	for i, w := range b.works {
		wanted, ok := w.ch.Writes().Get(dirsync.GroupsField)
		if !ok || b.out[i].Err != nil || b.out[i].Account.ID == "" || !b.c.memberships(dirsync.GroupsField) {
			continue
		}
		is := w.groups
		if !w.said {
			before, _ := w.ch.Before.Get(dirsync.GroupsField)
			is = before.List()
		}
		for _, group := range wanted.List() {
			if !slices.Contains(is, group) || !w.said && w.doubtful() {
				b.gather(ctx, byGroup, i, group, false)
			}
		}
		for _, group := range is {
			if !slices.Contains(wanted.List(), group) {
				b.gather(ctx, byGroup, i, group, true)
			}
		}
	}
	groups := slices.Sorted(maps.Keys(byGroup))
	var mu sync.Mutex
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(b.c.profile.Concurrency, len(groups)) {
		wg.Go(func() {
			for {
				n := int(next.Add(1)) - 1
				if n >= len(groups) {
					return
				}
				for left := byGroup[groups[n]]; len(left) > 0; {
					part := left[:min(len(left), b.c.together(len(left)))] // the first part may teach that there is no PATCH
					left = left[len(part):]
					b.c.join(ctx, groups[n], part, func(j joining, err error) {
						mu.Lock()
						defer mu.Unlock()
						b.out[j.of] = dirsync.Applied{Err: b.works[j.of].partly(err)}
					})
				}
			}
		})
	}
	wg.Wait()
	for i, w := range b.works {
		wanted, ok := w.ch.Writes().Get(dirsync.GroupsField)
		if ok && b.out[i].Err == nil && b.out[i].Account.ID != "" && b.c.memberships(dirsync.GroupsField) {
			b.out[i].Account.Values = slices.Clone(b.out[i].Account.Values).Set(dirsync.GroupsField, wanted)
		}
	}
}

// doubtful tells a change that writes what is believed to be there already: then the outcome of an earlier one is unknown,
// and the person may have been taken out of a group that they are believed to be in.
func (w *work) doubtful() bool {
	return slices.ContainsFunc(w.ch.Writes(), func(v dirsync.FieldValue) bool {
		before, known := w.ch.Before.Get(v.Field)
		return known && !v.Value.IsNull() && before == v.Value
	})
}

func (b *batch) gather(ctx context.Context, byGroup map[string][]joining, i int, group string, remove bool) {
	id, err := b.c.groups.dir.find(ctx, dirsync.ID(group))
	if err != nil {
		b.out[i] = dirsync.Applied{Err: b.works[i].partly(err)}
		return
	}
	if id != "" { // whoever is in a group that is not there any more is in none
		byGroup[id] = append(byGroup[id], joining{account: b.out[i].Account.ID, remove: remove, of: i})
	}
}

// partly is the error of a change of which a part took effect: it must not be of a kind that promises the contrary.
func (w *work) partly(err error) error {
	kind := dirsync.KindOf(err)
	if kind == dirsync.Conflict || kind == dirsync.Invalid || kind == dirsync.NotFound {
		kind = dirsync.Unavailable
	}
	wrapped := w.wrap(err)
	if e, ok := errors.AsType[*dirsync.Error](wrapped); ok {
		e.Kind = kind
	}
	return wrapped
}

// join writes memberships of one group. What the target refuses together is tried in halves, so that one member whom it
// does not take keeps nobody else out; that somebody is a member already, or is none any more, is what was wanted.
func (c *Client) join(ctx context.Context, group string, part []joining, failed func(joining, error)) {
	k := call{op: "change members of a group", method: http.MethodPatch, path: c.groups.dir.path(group)}
	err := c.sendJoinings(ctx, k, group, part)
	status := said(err)
	refused := status == http.StatusBadRequest || status == http.StatusNotFound || status == http.StatusConflict || status == http.StatusRequestEntityTooLarge || status == http.StatusUnprocessableEntity
	switch {
	case err == nil:
	case refused && len(part) > 1:
		c.join(ctx, group, part[:len(part)/2], failed)
		c.join(ctx, group, part[len(part)/2:], failed)
	case refused && part[0].remove && (status == http.StatusNotFound || noTarget(err)):
	case status == http.StatusConflict && !part[0].remove:
	default:
		for _, j := range part {
			failed(j, fmt.Errorf("group %s: %w", group, err))
		}
	}
}

// together is how many of so many memberships of a group are written at once: all, where the group is written as a whole.
func (c *Client) together(n int) int {
	if c.usesPut() {
		return n
	}
	return c.profile.MaxMembers
}

// sendJoinings writes memberships with PATCH, or with PUT where the target has none.
func (c *Client) sendJoinings(ctx context.Context, k call, group string, part []joining) error {
	if !c.usesPut() {
		err := c.sendMembers(ctx, k, c.memberOperations(part))
		if status := said(err); status != http.StatusNotImplemented && status != http.StatusMethodNotAllowed || !c.noPatch() {
			return err
		}
	}
	return c.putMembers(ctx, k, group, part)
}

// sendMembers sends operations, in as many requests as the dialect wants.
func (c *Client) sendMembers(ctx context.Context, k call, ops []scim.Operation) error {
	d, size := c.profile.Dialect, len(ops)
	if d.MaxOperations > 0 {
		size = d.MaxOperations
	}
	for some := range slices.Chunk(ops, size) {
		k.body = (&scim.Patch{Operations: some}).Document(d)
		if _, err := c.do(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

// memberOperations begin and end memberships.
func (c *Client) memberOperations(part []joining) []scim.Operation {
	var ops []scim.Operation
	var add, remove []any
	for _, j := range part {
		value := scim.NewObject(scim.Member{Name: "value", Value: j.account})
		switch {
		case !j.remove:
			add = append(add, value)
		case c.profile.Dialect.RemoveByValue:
			remove = append(remove, value)
		default:
			ops = append(ops, scim.Operation{Op: scim.Remove, Path: scim.Path{Name: "members",
				Filter: scim.Compare{Path: scim.Path{Name: "value"}, Op: scim.Eq, Value: j.account}}})
		}
	}
	members := scim.Path{Name: "members"}
	if remove != nil {
		ops = append(ops, scim.Operation{Op: scim.Remove, Path: members, Value: remove})
	}
	if add != nil {
		ops = append(ops, scim.Operation{Op: scim.Add, Path: members, Value: add})
	}
	return ops
}
