package graph

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/microsoftgraph/msgraph-sdk-go/groups"

	"dirsync"
)

// GroupsConfig says which groups a GroupSource follows.
type GroupsConfig struct {
	// Chosen are groups by their object ids, or by names: a uniqueName or, if no group has it, a displayName that exactly
	// one group has. A name is looked for once; its group is known by its id from then on, whatever becomes of the name.
	// From the zero Cursor names are looked for anew, from one of GroupSource.Again they are not.
	Chosen []string
	// All follows every group of the tenant. Chosen groups are looked for all the same.
	All bool
	// Nested follows the groups that are members of followed groups, too. With All it changes nothing.
	Nested bool
}

// GroupSource reads groups and who is in them; see dirsync.GroupSource. It is safe for concurrent use.
//
// A group that has once been followed stays followed until everything is read from the beginning, also when it is no
// longer chosen or no longer nested in one that is: that costs little, and a group that comes back is still known.
type GroupSource struct {
	client  *Client
	cfg     GroupsConfig
	invalid error
	sent    atomic.Int64
}

var (
	_ dirsync.GroupSource    = (*GroupSource)(nil)
	_ dirsync.RequestCounter = (*GroupSource)(nil)
	_ dirsync.Asker          = (*GroupSource)(nil)
)

const (
	groupsOp  = "read groups"
	chooseOp  = "find the chosen groups"
	lookAtOp  = "look up a group"
	membersOp = "list the members of a group"
)

// Groups makes a GroupSource. Read fails with kind Invalid if nothing is chosen, or something that can be no group.
func (c *Client) Groups(cfg GroupsConfig) *GroupSource {
	g := &GroupSource{client: c, cfg: cfg}
	g.cfg.Chosen = nil
	for _, name := range cfg.Chosen {
		if strings.TrimSpace(name) == "" || len([]rune(name)) > 256 {
			g.invalid = &dirsync.Error{Op: chooseOp, Kind: dirsync.Invalid, Field: "groups", Value: clip(name),
				Err:  errors.New("the name of a group is empty or longer than 256 characters"),
				Hint: "Name a group by its object id or its display name."}
			break
		}
		if !slices.Contains(g.cfg.Chosen, name) {
			g.cfg.Chosen = append(g.cfg.Chosen, name)
		}
	}
	if len(cfg.Chosen) == 0 && !cfg.All {
		g.invalid = &dirsync.Error{Op: chooseOp, Kind: dirsync.Invalid, Field: "groups", Err: errors.New("no group is chosen"),
			Hint: "Name the groups to read by their object ids or display names, or have all of them read."}
	}
	return g
}

// Name says which tenant's groups are read.
func (g *GroupSource) Name() string {
	return (&Source{client: g.client}).Name() + ", groups"
}

// Requests counts the requests that were sent for this GroupSource, for tokens and retries included.
func (g *GroupSource) Requests() int { return int(g.sent.Load()) }

// groupProperties are what is read of groups. uniqueName is not among them: whether delta queries track it is not
// documented, and a property that they do not track makes them refuse everything.
func groupProperties() []string {
	return []string{"description", groupTitle, "groupTypes", "id", "mail", "mailEnabled", "mailNickname", "securityEnabled", "visibility"}
}

// Asked returns the properties that a round asks for, sorted; see dirsync.Asker.
func (*GroupSource) Asked() []string { return groupProperties() }

// Fields lists the properties of a group that are read (Graph document "group resource type"). It asks nobody.
func (*GroupSource) Fields(context.Context) ([]dirsync.Field, error) {
	return []dirsync.Field{
		{Name: "displayName", Label: "Display name", Type: dirsync.Text},
		{Name: "description", Label: "Description", Type: dirsync.Text},
		{Name: "mail", Label: "E-mail", Type: dirsync.Email},
		{Name: "mailNickname", Label: "Mail nickname", Type: dirsync.Text},
		{Name: "groupTypes", Label: "Group types", Type: dirsync.TextList},
		{Name: "securityEnabled", Label: "Security group", Type: dirsync.Boolean},
		{Name: "mailEnabled", Label: "Mail-enabled", Type: dirsync.Boolean},
		{Name: "visibility", Label: "Visibility", Type: dirsync.Text},
	}, nil
}

// LookUp asks for groups by id; see dirsync.Source. Records have no members: Members lists them. fn is called for one
// record at a time, in any order.
func (g *GroupSource) LookUp(ctx context.Context, ids []dirsync.ID, fn func(dirsync.Record) error) error {
	return g.single(lookAtOp).each(g.counted(ctx), ids, fn)
}

func (g *GroupSource) counted(ctx context.Context) context.Context {
	return context.WithValue(ctx, counterKey{}, &g.sent)
}

// single asks for groups one by one.
func (g *GroupSource) single(op string) single {
	l := single{client: g.client, op: op, kind: dirsync.KindGroup, fault: g.fault}
	l.get = func(ctx context.Context, id dirsync.ID) (dirsync.Record, bool, error) {
		params := groups.GroupItemRequestBuilderGetQueryParameters{Select: groupProperties()}
		info, err := g.all().ByGroupId(string(id)).ToGetRequestInformation(ctx, &groups.GroupItemRequestBuilderGetRequestConfiguration{QueryParameters: &params})
		r, there, err := l.take(ctx, id, newGroupDecoder(), info, err)
		return r, there, g.limited(err)
	}
	return l
}

// all begins the requests about groups.
func (g *GroupSource) all() *groups.GroupsRequestBuilder {
	return groups.NewGroupsRequestBuilderInternal(g.client.pathParameters(), g.client.adapter)
}

// fault classifies an answer that is none, as Client.graphError does. Of a permission that is missing it names the one
// for groups.
func (g *GroupSource) fault(op string, a answer) error {
	err := g.client.graphError(op, a)
	if e, ok := errors.AsType[*dirsync.Error](err); ok && notPermitted(a) {
		if n, ok := errors.AsType[*permissionError](e.Err); ok {
			e.Err = needed(groupPermission, n.err)
		}
		e.Hint = g.grant(groupPermission, "groups")
	}
	return err
}

// limited names the permission for groups in the error of an answer that has only their ids.
func (g *GroupSource) limited(err error) error {
	if e, ok := errors.AsType[*dirsync.Error](err); ok && errors.Is(err, errLimitedGroup) {
		e.Kind, e.Err, e.Hint = dirsync.Permission, needed(groupPermission, errLimitedGroup), g.grant(groupPermission, "groups")
	}
	return err
}

func (g *GroupSource) grant(permission, what string) string {
	return g.client.grantOf(permission, "the "+what) + " New permissions take effect within about an hour." + g.client.tokens.granted()
}

// checkHidden refuses a group whose members are shown only to those who may read hidden memberships: everybody else gets
// to see an empty group, or parts of it (Graph document "List group members", Member.Read.Hidden; no permission for the
// directory includes it). What the token says is believed here, because no answer of Graph would tell.
func (g *GroupSource) checkHidden(ctx context.Context, op string, r dirsync.Record) error {
	if !strings.EqualFold(r.Attrs.Text("visibility"), "HiddenMembership") {
		return nil
	}
	may, err := g.mayReadHidden(ctx, op)
	if err != nil || may {
		return err
	}
	return &dirsync.Error{Op: op, ID: r.ID, Kind: dirsync.Permission, Field: "groups", Value: r.Attrs.Text(groupTitle),
		Err:  needed(hiddenPermission, fmt.Errorf("the group %q hides its members, and the application may not see them", clip(r.Attrs.Text(groupTitle)))),
		Hint: g.grant(hiddenPermission, "hidden members of groups") + " Or leave the group out."}
}

func (g *GroupSource) mayReadHidden(ctx context.Context, op string) (bool, error) {
	token, err := g.client.tokens.get(ctx, "", "")
	if err != nil {
		return false, g.client.sendError(ctx, op, err)
	}
	return slices.Contains(token.claims().granted(), hiddenPermission), nil
}

// Members lists who is in a group; see dirsync.GroupSource. Somebody who was deleted and can be restored is not listed,
// although they are still a member and will be listed again once they are restored. fn is called for up to 999 members
// at a time, in the order in which they come; when the list breaks off, those that came are members all the same.
func (g *GroupSource) Members(ctx context.Context, group dirsync.ID, fn func([]dirsync.Membership) error) error {
	if !isGUID(string(group)) {
		return &dirsync.Error{Op: membersOp, ID: group, Kind: dirsync.Invalid, Err: errors.New("this is no object id")}
	}
	group = dirsync.ID(strings.ToLower(string(group)))
	ctx = g.counted(ctx)
	may, err := g.mayReadHidden(ctx, membersOp)
	if err == nil && !may {
		r, there, err := g.single(membersOp).get(ctx, group)
		switch {
		case err != nil:
			return nowhereElse(err)
		case !there:
			return noGroup(group)
		}
		if err := g.checkHidden(ctx, membersOp, r); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	return g.list(ctx, group, fn)
}

// list lists the members of a group that does not hide them.
func (g *GroupSource) list(ctx context.Context, group dirsync.ID, fn func([]dirsync.Membership) error) error {
	trail, link := newTrail(), ""
	for {
		members, next, err := g.membersPage(ctx, group, link)
		if err != nil {
			return about(group, err)
		}
		if ctx.Err() != nil {
			return g.client.sendError(ctx, membersOp, context.Cause(ctx))
		}
		if next != "" && trail.crosses(next) {
			return about(group, trail.error(membersOp))
		}
		if len(members) > 0 {
			if err := fn(members); err != nil {
				return err
			}
		}
		if link = next; link == "" {
			return nil
		}
	}
}

func (g *GroupSource) membersPage(ctx context.Context, group dirsync.ID, link string) ([]dirsync.Membership, string, error) {
	builder, top := g.all().ByGroupId(string(group)).Members(), int32(listTop)
	params := groups.ItemMembersRequestBuilderGetQueryParameters{Select: []string{"id"}, Top: &top}
	info, err := builder.ToGetRequestInformation(ctx, &groups.ItemMembersRequestBuilderGetRequestConfiguration{QueryParameters: &params})
	if link != "" {
		info, err = builder.WithUrl(link).ToGetRequestInformation(ctx, &groups.ItemMembersRequestBuilderGetRequestConfiguration{Options: toTheLetter()})
	}
	a, err := g.client.send(ctx, membersOp, info, err)
	switch {
	case err != nil:
		return nil, "", err
	case isNowhere(a):
		return nil, "", noGroup(group)
	case link != "" && startOver(a, mark{Link: link, Inside: true}) != nil:
		return nil, "", &dirsync.Error{Op: membersOp, Kind: dirsync.Unavailable, Err: errors.New("the list of members was read too slowly, and Microsoft Graph no longer knows its next page"),
			Hint: "Nothing is lost: the next run lists the members from the beginning."}
	case a.status != http.StatusOK:
		return nil, "", nowhereElse(g.fault(membersOp, a))
	}
	members, next, err := memberList(a.body, group)
	if err != nil {
		return nil, "", g.client.decodeError(membersOp, a, err)
	}
	if next != "" {
		if err := g.client.checkPath(next, "groups/"+string(group)+"/members"); err != nil {
			return nil, "", &dirsync.Error{Op: membersOp, Kind: dirsync.Unavailable, Err: err, Hint: rewrittenHint}
		}
	}
	return members, next, nil
}

func noGroup(id dirsync.ID) error {
	return &dirsync.Error{Op: membersOp, ID: id, Kind: dirsync.NotFound, Err: errors.New("there is no such group")}
}

// nowhereElse makes a 404 that is not Graph's own Unavailable: of the kind NotFound are groups that are not there.
func nowhereElse(err error) error {
	if e, ok := errors.AsType[*dirsync.Error](err); ok && e.Kind == dirsync.NotFound {
		e.Kind = dirsync.Unavailable
	}
	return err
}
