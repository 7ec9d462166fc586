package client

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"dirsync"
	"dirsync/scim"
)

// groupName is the field of a group's name in every target.
const groupName = "name"

// Groups is the dirsync.Target of the application's groups. Their members are not its business: each user's values say in
// which groups they are.
type Groups struct{ c *Client }

var (
	_ dirsync.Target  = Groups{}
	_ dirsync.Batcher = Groups{}
)

// Groups returns the target of groups. From then on the users' memberships are read and written as well. It is an *Error
// of kind Invalid if the profile has no groups.
func (c *Client) Groups() (Groups, error) {
	if _, _, _, groups := c.profile.Operations(); !groups {
		return Groups{}, &dirsync.Error{Op: "sync groups", Kind: dirsync.Invalid, Err: fmt.Errorf("the profile %s has no groups", c.profile.Name),
			Hint: "Leave groups out of this sync, or choose another profile."}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.grouping = true
	return Groups{c}, nil
}

// memberships tells the field that is made of memberships, where groups are synced.
func (c *Client) memberships(field string) bool {
	if field != dirsync.GroupsField || c.profile.NoGroups {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.grouping
}

// Name implements dirsync.Target.
func (g Groups) Name() string { return "groups of " + g.c.name }

// Requests implements dirsync.RequestCounter, for the whole Client.
func (g Groups) Requests() int { return g.c.Requests() }

// Fields implements dirsync.Target. Descriptions and addresses are taken even where there is no place for them.
func (g Groups) Fields(context.Context) ([]dirsync.Field, error) {
	out := g.c.groups.shape.public()
	for _, name := range g.c.groups.ignored {
		out = append(out, dirsync.Field{Name: name, Type: dirsync.Text, Refused: "the application keeps no " + name + " of groups"})
	}
	return out, nil
}

// Users implements dirsync.Target: it lists the groups.
func (g Groups) Users(ctx context.Context, fn func(dirsync.Account) error) error {
	return g.c.groups.dir.refresh(ctx, 0, func(o *scim.Object) error {
		return fn(g.c.account(g.c.groups, o, func(string) dirsync.ID { return "" }))
	})
}

// Apply implements dirsync.Target. Groups cannot be inactive: one that is deactivated stays as it is.
func (g Groups) Apply(ctx context.Context, ch dirsync.Change) (dirsync.Account, error) {
	out := g.ApplyAll(ctx, []dirsync.Change{ch})
	return out[0].Account, out[0].Err
}

// ApplyAll implements dirsync.Batcher.
func (g Groups) ApplyAll(ctx context.Context, changes []dirsync.Change) []dirsync.Applied {
	return g.c.applyAll(ctx, g.c.groups, changes)
}

// checkGroups refuses memberships that cannot be made before anything is sent.
func (w *work) checkGroups(ctx context.Context) error {
	v, ok := w.ch.Writes().Get(dirsync.GroupsField)
	if !ok || !w.c.memberships(dirsync.GroupsField) {
		return nil
	}
	if !v.IsNull() && v.List() == nil {
		e := w.fault(dirsync.Invalid, errors.New("groups must be a list of the source ids of groups"))
		e.Field, e.Value = dirsync.GroupsField, v.Text
		return e
	}
	for _, group := range v.List() {
		id, err := w.c.groups.dir.find(ctx, dirsync.ID(group))
		if err != nil {
			return w.wrap(err)
		}
		if id == "" {
			e := w.fault(dirsync.Conflict, fmt.Errorf("there is no group %s", group))
			e.Field, e.Value, e.Hint = dirsync.GroupsField, group, "The group is added first, and the user in the next run."
			return e
		}
	}
	return nil
}

// groupsIn are the source ids of the groups that a user is in, sorted, of those that this sync knows; false if the target
// does not say.
func (c *Client) groupsIn(o *scim.Object) ([]string, bool) {
	if !c.memberships(dirsync.GroupsField) {
		return nil, false
	}
	if _, said := o.Get("groups"); !said {
		return nil, false
	}
	var out []string
	for _, g := range o.List("groups") {
		inner, _ := g.(*scim.Object)
		if kind, _ := inner.Text("type"); kind == "indirect" {
			continue
		}
		group, listed := c.groups.dir.whose(plain(g))
		if !listed {
			return nil, false // which of them are whose is not known
		}
		if group != "" {
			out = append(out, string(group))
		}
	}
	slices.Sort(out)
	return slices.Compact(out), true
}
