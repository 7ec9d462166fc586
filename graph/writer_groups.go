package graph

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"dirsync"
)

// GroupWriting says what a GroupWriter has to know beside what its Writer knows.
type GroupWriting struct {
	// Links returns the object id of the group of the tenant that a group of the source was made into, and "" if there is none.
	// The tenant itself keeps nothing that says so. It is asked for the groups that people are in, from several goroutines.
	Links func(ctx context.Context, group dirsync.ID) (account string, err error)
	// All calls fn for every group of the source that has one in the tenant. It is asked when it is not known in which of them
	// somebody is: when they are joined to an account that was there, or when the outcome of an earlier change is unknown. Nil:
	// then they are taken to be in those that Change.Before says, and in those that this process has put them into.
	All func(ctx context.Context, fn func(group dirsync.ID, account string)) error
	// Scope tells groups of different sources apart that have the same id: the name of the sync. It goes into the mail
	// nicknames of new groups, and must not change.
	Scope string
}

// GroupWriter writes groups into a tenant. It is a dirsync.Target of groups, whose Users are the groups, a
// dirsync.Batcher, a dirsync.Finder and a dirsync.Forgetful, and safe for concurrent use. Who is in a group is not its
// business: each user's values say in which groups they are, and the Writer that it was made of writes that.
//
// New groups are security groups that people are put into by hand: not mail-enabled, not dynamic, and without roles. Groups
// of any other kind, and those that are synchronised from an on-premises directory, are neither adopted nor changed nor
// deleted; such a change is refused with the reason. Groups can be deleted only with WriterConfig.AllowDelete. They cannot
// be inactive: one that is deactivated stays as it is.
//
// A group of a tenant has no property that an application could keep the id of the source in. What a group is known by is
// the link that the caller remembers, and until it does, what it was made with: its mail nickname, which is made of its
// name, of the source's id and of GroupWriting.Scope, together with its name. So a group whose creation was in doubt when
// the program ended is found again, and not made twice, unless it was renamed at the source in between. A group of the
// tenant that has the same name by chance is left alone, unless the change names it.
type GroupWriter struct {
	w   *Writer
	cfg GroupWriting
	// known are the groups of this process.
	known  *acquaintances
	unsure unsure
}

var (
	_ dirsync.Target         = (*GroupWriter)(nil)
	_ dirsync.Batcher        = (*GroupWriter)(nil)
	_ dirsync.Finder         = (*GroupWriter)(nil)
	_ dirsync.Forgetful      = (*GroupWriter)(nil)
	_ dirsync.RequestCounter = (*GroupWriter)(nil)
)

// The fields of a group in every target.
const (
	groupNameField        = "name"
	groupDescriptionField = "description"
	groupMailField        = "mail"
)

// Groups returns the target of groups. From then on the Writer takes dirsync.GroupsField in what is to be written: the
// source ids of the groups that somebody is in. A membership is taken away if Change.Before has it and Change.After does
// not, whoever has made it, and where Before cannot be trusted, if the tenant has it (see GroupWriting.All); memberships in
// groups that the source does not know are left alone. Lists of users do not say in which groups they are, so the field is
// among Account.Unsaid.
func (w *Writer) Groups(cfg GroupWriting) *GroupWriter {
	g := &GroupWriter{w: w, cfg: cfg, known: newAcquaintances()}
	w.groups.Store(g)
	return g
}

// Name says which tenant's groups are written.
func (g *GroupWriter) Name() string { return "groups of " + g.w.Name() }

// Requests counts the requests of the whole Writer.
func (g *GroupWriter) Requests() int { return g.w.Requests() }

// Forgets says that the tenant cannot say whose a group is.
func (*GroupWriter) Forgets() bool { return true }

// Fields lists what can be written of a group. A mail address is taken and not written: security groups have none.
func (*GroupWriter) Fields(context.Context) ([]dirsync.Field, error) { return groupFields(), nil }

func groupFields() []dirsync.Field {
	return []dirsync.Field{
		{Name: groupNameField, Label: "Display name", Type: dirsync.Text, Required: true, MaxLength: 256},
		{Name: groupDescriptionField, Label: "Description", Type: dirsync.Text, MaxLength: 1024},
		{Name: groupMailField, Label: "E-mail", Type: dirsync.Text, Refused: "a security group has no mail address"},
	}
}

// groupWriteProperties are what is read of a group that is written.
func groupWriteProperties() []string {
	return []string{"createdDateTime", "description", groupTitle, "groupTypes", "id", "isAssignableToRole", "mailEnabled",
		nicknameName, "onPremisesSyncEnabled", "securityEnabled"}
}

const (
	writeGroups = "write groups"
	listGroups  = "list groups"
	findGroups  = "find groups"
)

// Users implements dirsync.Target: it calls fn for every group of the tenant, those of other kinds included.
func (g *GroupWriter) Users(ctx context.Context, fn func(dirsync.Account) error) error {
	return g.w.inPost(ctx, listGroups, func(p *post) error {
		return g.pages(p, "/groups"+query("$select", strings.Join(groupWriteProperties(), ","), "$top", "999"), func(rows []dirsync.Record) error {
			for _, r := range rows {
				if err := fn(groupAccount(r)); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// inPost does something that asks for itself alone.
func (w *Writer) inPost(ctx context.Context, op string, do func(*post) error) (err error) {
	if ctx.Err() != nil {
		return w.client.sendError(ctx, op, context.Cause(ctx))
	}
	p := w.client.newPost(op)
	p.each(context.WithValue(ctx, counterKey{}, &w.sent), 1, func(int) { err = do(p) })
	return err
}

// pages asks for a list of groups and calls fn for each page.
func (g *GroupWriter) pages(p *post, path string, fn func([]dirsync.Record) error) error {
	c, trail, decode := g.w.client, newTrail(), newGroupDecoder()
	for {
		a, err := p.ask(&parcel{method: http.MethodGet, path: path})
		switch {
		case err != nil:
			return err
		case a.status != http.StatusOK:
			return g.fault(p.op, a)
		}
		env, err := decode.envelope(a.body)
		if err != nil {
			return g.undecoded(p.op, a, err)
		}
		if err := fn(env.rows); err != nil || env.next == "" {
			return err
		}
		if err := c.checkPath(env.next, "groups"); err != nil {
			return &dirsync.Error{Op: p.op, Kind: dirsync.Unavailable, Err: err, Hint: rewrittenHint}
		}
		if trail.crosses(env.next) {
			return trail.error(p.op)
		}
		_, asked, _ := strings.Cut(env.next, "?")
		path = "/groups?" + asked
	}
}

// fault classifies an answer that is none.
func (g *GroupWriter) fault(op string, a answer) error {
	return (&GroupSource{client: g.w.client}).fault(op, a)
}

func (g *GroupWriter) undecoded(op string, a answer, err error) error {
	return (&GroupSource{client: g.w.client}).limited(g.w.client.decodeError(op, a, err))
}

// Find implements dirsync.Finder for name, by which the tenant finds groups without regard to letter case, and keeps any
// number of them.
func (g *GroupWriter) Find(ctx context.Context, field string, values []dirsync.Value) ([][]dirsync.Account, error) {
	if field != groupNameField {
		return nil, &dirsync.Error{Op: findGroups, Kind: dirsync.Invalid, Field: field, Err: errors.New("groups cannot be found by " + field), Hint: "Find them by name."}
	}
	var names []string
	for _, v := range values {
		if !v.IsNull() {
			names = append(names, dirsync.Fold(v.Text))
		}
	}
	slices.Sort(names)
	by := map[string][]dirsync.Account{}
	err := g.w.inPost(ctx, findGroups, func(p *post) error {
		for some := range slices.Chunk(slices.Compact(names), mostIn) {
			found, err := g.filtered(p, anyOf(groupTitle, some))
			if err != nil {
				return err
			}
			for _, r := range found {
				a := groupAccount(r)
				name, _ := a.Values.Get(groupNameField)
				if key := dirsync.Fold(name.Text); len(by[key]) < 3 {
					by[key] = append(by[key], a)
				}
			}
		}
		return nil
	})
	out := make([][]dirsync.Account, len(values))
	for i, v := range values {
		if !v.IsNull() {
			out[i] = by[dirsync.Fold(v.Text)]
		}
	}
	return out, err
}

// filtered asks for the groups of a filter, each once.
func (g *GroupWriter) filtered(p *post, filter string) (all []dirsync.Record, err error) {
	path := "/groups" + query("$filter", filter, "$select", strings.Join(groupWriteProperties(), ","))
	seen := map[dirsync.ID]bool{}
	err = g.pages(p, path, func(rows []dirsync.Record) error {
		for _, r := range rows {
			if !seen[r.ID] {
				seen[r.ID] = true
				all = append(all, r)
			}
		}
		return nil
	})
	return all, err
}

// get reads one group. The second result is false when Graph says that there is none.
func (g *GroupWriter) get(p *post, id string) (dirsync.Record, bool, error) {
	path := "/groups/" + id + query("$select", strings.Join(groupWriteProperties(), ","))
	a, err := g.patiently(p, func() *parcel { return &parcel{method: http.MethodGet, path: path} }, id)
	switch {
	case err != nil:
		return dirsync.Record{}, false, err
	case isNowhere(a):
		return dirsync.Record{}, false, nil
	case a.status != http.StatusOK:
		return dirsync.Record{}, false, g.fault(p.op, a)
	}
	r, err := newGroupDecoder().one(a.body)
	return r, err == nil, g.undecoded(p.op, a, err)
}

// patiently asks about groups and accounts, and asks again as long as one of them may not be known everywhere because it
// was just made.
func (g *GroupWriter) patiently(p *post, ask func() *parcel, ids ...string) (answer, error) {
	for n := 0; ; n++ {
		a, err := p.ask(ask())
		now := g.w.client.cfg.Now()
		young := slices.ContainsFunc(ids, func(id string) bool { return g.known.young(id, now) || g.w.known.young(id, now) })
		if err != nil || a.status != http.StatusNotFound || !young {
			return a, err
		}
		if err := p.pause(backOff(n)); err != nil {
			return answer{}, err
		}
	}
}

// groupAccount is a group as a target has it.
func groupAccount(r dirsync.Record) dirsync.Account {
	a := dirsync.Account{ID: string(r.ID), Active: true, Unsaid: []string{groupMailField}}
	a.Created, _ = time.Parse(time.RFC3339, r.Attrs.Text("createdDateTime"))
	for field, property := range map[string]string{groupNameField: groupTitle, groupDescriptionField: "description"} {
		raw, _ := r.Attrs.Get(property)
		a.Values = a.Values.Set(field, decode(dirsync.Text, raw))
	}
	return a
}

// unfit says why a group cannot be written, as a phrase that follows its name; "" if it can.
func unfit(r dirsync.Record) string {
	is := func(name string) bool { raw, _ := r.Attrs.Get(name); return string(raw) == "true" }
	types, _ := r.Attrs.Get("groupTypes")
	kinds := decode(dirsync.TextList, types).List()
	switch {
	case is("onPremisesSyncEnabled"):
		return "is synchronised from an on-premises directory, which alone may change it"
	case slices.Contains(kinds, "DynamicMembership"):
		return "has dynamic membership: a rule of the tenant says who is in it"
	case slices.Contains(kinds, "Unified"):
		return "is a Microsoft 365 group, and only security groups are written"
	case is("mailEnabled"):
		return "is mail-enabled, and Microsoft Graph does not write such groups"
	case is("isAssignableToRole"):
		return "can be given administrators' roles"
	case !is("securityEnabled"):
		return "is no security group"
	}
	return ""
}

// groupFault says why a value cannot be written, as a phrase that follows the field's name, or returns "".
func groupFault(v dirsync.FieldValue) string {
	for _, f := range groupFields() {
		switch {
		case f.Name != v.Field:
		case f.Refused != "":
			return ""
		case v.Value.IsNull() && f.Required:
			return "is required"
		case !v.Value.IsNull() && v.Value.Type != f.Type:
			return "is a " + string(v.Value.Type) + ", not a " + string(f.Type)
		case utf8.RuneCountInString(v.Value.Text) > f.MaxLength:
			return "is too long for Microsoft Entra ID"
		default:
			return ""
		}
	}
	return "is no field of a group"
}

// groupPermissions are what it takes to write groups and who is in them (Graph documents "Create group", "Update group",
// "Delete group" and "Add members": there is no smaller one for the second and the third).
func groupPermissions() []string { return []string{groupWritePermission} }

const groupWritePermission = "Group.ReadWrite.All"
