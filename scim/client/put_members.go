package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"sync"

	"dirsync"
	"dirsync/scim"
)

// Where there is no PATCH, a group is written as a whole, and what a PUT leaves out it takes away (RFC 7644 section 3.5.1).
// So a group is written only if it is known who is in it.

// insight is what is known of whether the target shows members. The zero insight knows nothing.
type insight struct {
	mu sync.Mutex
	// asked says that the groups were looked through for one that shows members, shows that there is one.
	asked, shows bool
	// empty are groups that this client has made and given nobody.
	empty map[string]bool
}

// made notes a group that nobody is in.
func (i *insight) made(group string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.empty == nil {
		i.empty = map[string]bool{}
	}
	i.empty[group] = true
}

// filled notes that somebody is in a group, and whether the target has shown that.
func (i *insight) filled(group string, shown bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.empty, group)
	i.shows = i.shows || shown
}

// errHidden says why a group is not written.
var errHidden = errors.New("the target shows no members of any group, and a PUT would take out of this one whoever it does not show")

// wholeGroup reads a group with everybody who is in it. One that shows nobody is believed to be empty only if this client
// has made it so, or if the target is known to show members.
func (c *Client) wholeGroup(ctx context.Context, id string) (*scim.Object, error) {
	o, err := c.groups.dir.read(ctx, id, nil)
	if err != nil {
		return nil, err
	}
	if len(o.List("members")) > 0 {
		c.members.filled(id, true)
		return o, nil
	}
	c.members.mu.Lock()
	sure, asked := c.members.shows || c.members.empty[id], c.members.asked
	c.members.mu.Unlock()
	if !sure && !asked {
		if sure, err = c.showsMembers(ctx); err != nil {
			return nil, err
		}
	}
	if !sure {
		e := c.fault(call{op: "write a group"}, dirsync.Unavailable, errHidden)
		e.Hint = "Nothing was sent. Leave groups out of this sync, as long as the application has no PATCH and shows no members; " +
			"if all groups are empty, add one member to one of them by hand."
		return nil, e
	}
	return o, nil
}

// showsMembers looks for a group that shows a member.
func (c *Client) showsMembers(ctx context.Context) (bool, error) {
	w := &walk{c: c, call: call{op: "list groups", path: c.groups.dir.endpoint, query: url.Values{}}}
	err := w.each(ctx, func(o *scim.Object) error {
		if len(o.List("members")) > 0 {
			return errEnough
		}
		return nil
	})
	shows := errors.Is(err, errEnough)
	if err != nil && !shows {
		return false, err
	}
	c.members.mu.Lock()
	defer c.members.mu.Unlock()
	c.members.asked, c.members.shows = true, c.members.shows || shows
	return c.members.shows, nil
}

// putMembers writes memberships of one group with the whole of it.
func (c *Client) putMembers(ctx context.Context, k call, group string, part []joining) error {
	read, err := c.wholeGroup(ctx, group)
	if err != nil {
		return err
	}
	o := read.Clone()
	tidy(o, c.groups.urn)
	leaving, there := map[string]bool{}, map[string]bool{}
	for _, j := range part {
		leaving[j.account] = j.remove
	}
	before := o.List("members")
	members := slices.DeleteFunc(slices.Clone(before), func(m any) bool {
		there[plain(m)] = true
		return leaving[plain(m)]
	})
	kept := len(members)
	for _, j := range part {
		if !j.remove && !there[j.account] {
			members = append(members, scim.NewObject(scim.Member{Name: "value", Value: j.account}))
		}
	}
	if kept == len(before) && len(members) == len(before) {
		return nil // it is so already
	}
	o.Set("members", members)
	if len(o.Texts("schemas")) == 0 {
		o.Set("schemas", []any{c.groups.urn})
	}
	k.method, k.body = http.MethodPut, o
	answer, err := c.do(ctx, k)
	if err != nil {
		return err
	}
	if len(members) > 0 {
		c.members.filled(group, answer.object != nil && len(answer.object.List("members")) > 0)
	}
	return nil
}
