package graph

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/microsoftgraph/msgraph-sdk-go/groups"
	"github.com/microsoftgraph/msgraph-sdk-go/users"

	"dirsync"
)

// Report is what Check found out.
type Report struct {
	Tenant Tenant
	// Roles are the application permissions in the token, sorted. They are for people to read: what the application may
	// really do is what Graph lets it do, and Missing says what it did not.
	Roles []string
	// Missing names permissions that should be granted. Without User.Read.All Check fails, and without
	// GroupMember.Read.All where groups are needed; without Organization.Read.All only the tenant's name stays unknown.
	// Those for writing are missing as far as the token says: nothing is written to try them.
	Missing []string
	// TokenExpires is when the present token ends. It is renewed before.
	TokenExpires time.Time
	// ClockSkew is how far the service's clock is ahead of ours. Beyond five minutes sign-in may fail.
	ClockSkew time.Duration
	// CredentialExpires is when the certificate or client secret does; after that nobody signs in with it. It is zero when
	// it is not known: of a secret it can be read only with Application.Read.All, and the other kinds do not expire.
	CredentialExpires time.Time
	// ConsentURL is where an administrator grants the permissions; empty for a managed identity and the Azure CLI.
	ConsentURL string
}

// Needs says what is to be read, and what else is to be done. The zero Needs are people alone.
type Needs struct {
	// Groups are groups and their members; see Client.Groups.
	Groups bool
	// Mail is sending mail; see Client.SendMail. Nothing is sent to find out whether that is allowed.
	Mail bool
	// Writes are the permissions that a Writer takes besides; see Writer.Permissions.
	Writes []string
}

// Permissions names the application permissions that it takes, the least there are for it. Member.Read.Hidden is not among
// them: only groups that hide their members take it, and a reading that meets one says so.
func (n Needs) Permissions() []string {
	names := []string{userPermission, tenantPermission}
	if n.Groups {
		names = append(names, groupPermission)
	}
	if n.Mail {
		names = append(names, MailPermission)
	}
	for _, name := range n.Writes {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// lacking are the permissions among names that roles do not include.
func lacking(names, roles []string) []string {
	everything, users := slices.Contains(roles, "Directory.ReadWrite.All"), slices.Contains(roles, writePermission)
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		switch name {
		case userPermission:
			return holds(roles, "User")
		case tenantPermission:
			return holds(roles, "Organization") || slices.Contains(roles, tenantPermission)
		case "User-LifeCycleInfo.ReadWrite.All":
			return slices.Contains(roles, name)
		}
		return everything || users && strings.HasPrefix(name, "User") || slices.Contains(roles, name)
	})
}

// granted tells whether roles suffice for what cannot be done without.
func (n Needs) granted(roles []string) bool {
	return holds(roles, "User") && (!n.Groups || holds(roles, "GroupMember") || holds(roles, "Group"))
}

const checkOp = "check the connection"

// Check is CheckFor people alone.
func (c *Client) Check(ctx context.Context) (Report, error) { return c.CheckFor(ctx, Needs{}) }

// CheckFor signs in, verifies the tenant and reads one of each that is needed: a user, a group. The Report is filled as
// far as that went, with an error too.
func (c *Client) CheckFor(ctx context.Context, needs Needs) (Report, error) {
	r := Report{ConsentURL: c.ConsentURL(), CredentialExpires: c.tokens.pair.expires}
	token, err := c.tokens.get(ctx, "", "")
	r.ClockSkew = c.clockSkew()
	if err != nil {
		return r, c.sendError(ctx, checkOp, err)
	}
	r.TokenExpires = token.until
	if r.Roles = token.claims().granted(); r.Roles != nil {
		slices.Sort(r.Roles)
	}
	if r.Tenant, err = c.Tenant(ctx); err != nil {
		return r, err
	}
	if r.Tenant.Name == "" {
		r.Missing = append(r.Missing, tenantPermission)
	}
	if needs.Mail && r.Roles != nil && !slices.Contains(r.Roles, MailPermission) {
		r.Missing = append(r.Missing, MailPermission)
	}
	err = c.checkUser(ctx)
	var missing []string
	if dirsync.KindOf(err) == dirsync.Permission {
		missing = append(missing, userPermission)
	}
	if needs.Groups && (err == nil || missing != nil) {
		inGroups := c.Groups(GroupsConfig{All: true}).check(ctx)
		if dirsync.KindOf(inGroups) == dirsync.Permission {
			missing = append(missing, groupPermission)
		}
		if err == nil {
			err = inGroups
		}
	}
	r.Missing = append(missing, r.Missing...)
	if r.Roles != nil { // those of a signed-in person are not in the token
		for _, name := range lacking(needs.Writes, r.Roles) {
			if !slices.Contains(r.Missing, name) {
				r.Missing = append(r.Missing, name)
			}
		}
	}
	r.CredentialExpires = c.credentialExpires(ctx)
	r.ClockSkew = c.clockSkew()
	return r, err
}

// checkUser reads one user.
func (c *Client) checkUser(ctx context.Context) error {
	top := int32(1)
	params := users.UsersRequestBuilderGetQueryParameters{Select: alwaysSelected(), Top: &top}
	builder := users.NewUsersRequestBuilderInternal(c.pathParameters(), c.adapter)
	info, err := builder.ToGetRequestInformation(ctx, &users.UsersRequestBuilderGetRequestConfiguration{QueryParameters: &params})
	a, err := c.send(ctx, checkOp, info, err)
	switch {
	case err != nil:
		return err
	case a.status != http.StatusOK:
		return c.graphError(checkOp, a)
	}
	_, err = newDecoder().rows(a.body)
	return c.decodeError(checkOp, a, err)
}

// check reads one group.
func (g *GroupSource) check(ctx context.Context) error {
	top := int32(1)
	params := groups.GroupsRequestBuilderGetQueryParameters{Select: []string{"id", groupTitle}, Top: &top}
	info, err := g.all().ToGetRequestInformation(ctx, &groups.GroupsRequestBuilderGetRequestConfiguration{QueryParameters: &params})
	a, err := g.client.send(ctx, checkOp, info, err)
	switch {
	case err != nil:
		return err
	case a.status != http.StatusOK:
		return g.fault(checkOp, a)
	}
	_, err = newGroupDecoder().rows(a.body)
	return g.limited(g.client.decodeError(checkOp, a, err))
}
