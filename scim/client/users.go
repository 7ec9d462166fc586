package client

import (
	"context"
	"fmt"
	"slices"
	"time"

	"dirsync"
	"dirsync/scim"
)

// Users implements dirsync.Target. Each account comes once, and nil is returned only if the list was complete. Where
// fields name other people, or groups are synced, it takes two listings: one to know whose accounts there are.
func (c *Client) Users(ctx context.Context, fn func(dirsync.Account) error) error {
	if c.memberships(dirsync.GroupsField) {
		if err := c.groups.dir.prepare(ctx, 1<<30); err != nil {
			return err
		}
	}
	if c.users.shape.references {
		if err := c.users.dir.refresh(ctx, 0, nil); err != nil {
			return err
		}
	}
	shown := false // somebody's groups: whoever comes without any is then in none
	return c.users.dir.refresh(ctx, 0, func(o *scim.Object) error {
		a := c.listed(o)
		shown = shown || !slices.Contains(a.Unsaid, dirsync.GroupsField)
		if shown {
			a.Unsaid = nil
		}
		return fn(a)
	})
}

// listed is an account as a list shows it, with its memberships if the list tells them. Many targets show those nowhere.
func (c *Client) listed(o *scim.Object) dirsync.Account {
	a := c.account(c.users, o, func(id string) dirsync.ID { person, _ := c.users.dir.whose(id); return person })
	groups, said := c.groupsIn(o)
	return c.inGroups(a, groups, said)
}

// inGroups is an account with its memberships, where groups are synced.
func (c *Client) inGroups(a dirsync.Account, groups []string, said bool) dirsync.Account {
	switch {
	case !c.memberships(dirsync.GroupsField):
	case said:
		a.Values = a.Values.Set(dirsync.GroupsField, dirsync.NewList(groups))
	default:
		a.Unsaid = []string{dirsync.GroupsField}
	}
	return a
}

// Find implements dirsync.Finder for the fields that are Unique. The user name is asked for with a filter or found from
// the listing, by which few accounts are then read; others take a listing each time.
func (c *Client) Find(ctx context.Context, name string, values []dirsync.Value) ([][]dirsync.Account, error) {
	f := c.users.shape.find(name)
	if f == nil || !f.Unique {
		return nil, &dirsync.Error{Op: "find accounts", Kind: dirsync.Invalid, Field: name, Err: fmt.Errorf("accounts cannot be found by %s", name),
			Hint: "Mark the field as unique if no two accounts of the target share its values."}
	}
	if err := ctx.Err(); err != nil {
		return nil, &dirsync.Error{Op: "find accounts", Kind: dirsync.Unavailable, Err: err}
	}
	if len(values) == 0 {
		return [][]dirsync.Account{}, nil
	}
	if err := c.users.dir.prepare(ctx, len(values)); err != nil {
		return nil, err
	}
	found := map[string][]dirsync.Account{}
	for _, v := range values {
		if !v.IsNull() {
			found[dirsync.Fold(v.Text)] = nil
		}
	}
	var err error
	if c.direct(name, found) {
		err = c.readNamed(ctx, found)
	} else {
		err = c.users.dir.refresh(ctx, 0, func(o *scim.Object) error {
			a := c.listed(o)
			held, _ := a.Values.Get(name)
			key := dirsync.Fold(held.Text)
			if accounts, wanted := found[key]; wanted && !held.IsNull() && len(accounts) < 3 {
				found[key] = append(accounts, a)
			}
			return nil
		})
	}
	if err != nil {
		return nil, err
	}
	out := make([][]dirsync.Account, len(values))
	for i, v := range values {
		if !v.IsNull() {
			out[i] = found[dirsync.Fold(v.Text)]
		}
	}
	return out, nil
}

// direct tells whether the accounts with these values are found by reading them one by one: only user names are known to
// the table, and a listing must not cost less.
func (c *Client) direct(name string, found map[string][]dirsync.Account) bool {
	if name != c.users.shape.name {
		return false
	}
	n := 0
	for value := range found {
		id, sure := c.users.dir.named(value)
		if !sure {
			return true // with filters, one request each: prepare found that cheaper
		}
		if id != "" {
			n++
		}
	}
	c.users.dir.mu.Lock()
	pages := c.users.dir.pages
	c.users.dir.mu.Unlock()
	return n <= pages
}

// readNamed reads the accounts with the given user names.
func (c *Client) readNamed(ctx context.Context, found map[string][]dirsync.Account) error {
	dir := c.users.dir
	for value := range found {
		id, sure := dir.named(value)
		var o *scim.Object
		var err error
		switch {
		case sure && id == "":
			continue
		case sure:
			if o, err = dir.get(ctx, id); dirsync.KindOf(err) == dirsync.NotFound {
				dir.forgot(id)
				continue
			}
		default:
			o, err = dir.holder(ctx, value)
		}
		if err != nil {
			return err
		}
		if o == nil {
			continue
		}
		a := c.listed(o)
		if held, _ := a.Values.Get(c.users.shape.name); dirsync.Fold(held.Text) == value || dirsync.Fold(userName(o)) == value {
			found[value] = append(found[value], a)
		}
	}
	return nil
}

func userName(o *scim.Object) string {
	name, _ := o.Text("userName")
	return name
}

// account reads a resource. person says whose another account is, for references; it may return "".
func (c *Client) account(view *view, o *scim.Object, person func(id string) dirsync.ID) dirsync.Account {
	a := dirsync.Account{ID: identifier(o), Source: source(o), Active: true}
	if c.profile.NoExternalID {
		a.Source = ""
	}
	if active, ok := o.Bool("active"); ok {
		a.Active = active
	}
	meta := o.Object("meta")
	a.Created, a.Updated = stamp(meta, "created"), stamp(meta, "lastModified")
	for i := range view.shape.fields {
		f := &view.shape.fields[i]
		var v dirsync.Value
		if x, ok := f.places[0].lookup(o); ok {
			v = f.places[0].decode(f.Field, x)
		}
		if !v.IsNull() && !f.shown.Load() {
			f.shown.Store(true)
		}
		if v.Type == dirsync.Reference {
			if v.Text = string(person(v.Text)); v.Text == "" {
				v = dirsync.Value{}
			}
		}
		a.Values = a.Values.Set(f.Name, v)
	}
	return a
}

func stamp(meta *scim.Object, name string) time.Time {
	text, _ := meta.Text(name)
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}
	}
	return t
}
