package server

import (
	"net/http"
	"slices"

	"dirsync"
	"dirsync/scim"
)

// outcome is what came of writing a resource.
type outcome struct {
	status int
	r      dirsync.Resource
	// members says that the group's members were changed by a PATCH: if there are many, the answer is 204.
	members bool
	// fresh says that nobody had the resource before, not even hidden.
	fresh bool
}

// maxShown is the most members of a group that a PATCH answers with.
const maxShown = 1000

// get answers with one resource.
func (c *call) get(out *reply, k *kind, id string) error {
	if err := c.mayRead(k); err != nil {
		return err
	}
	show, err := c.projection(k)
	if err != nil {
		return err
	}
	r, err := c.read(k, id)
	if err != nil {
		return err
	}
	c.event.Name = r.Name
	h := out.w.Header()
	h.Set("ETag", tag(&r))
	if c.match != "" && !scim.MatchETag(c.match, tag(&r)) {
		return refuse(http.StatusPreconditionFailed, "", "the resource is not in the version that the request asks for")
	}
	if c.noneMatch != "" && scim.MatchETag(c.noneMatch, tag(&r)) {
		out.status = http.StatusNotModified
		return nil
	}
	h.Set("Location", c.location(k, r.ID))
	out.status = http.StatusOK
	return c.show(out, k, &r, show)
}

// read reads a resource that clients may see.
func (c *call) read(k *kind, id string) (dirsync.Resource, error) {
	if id == "" || len(id) > 256 {
		return dirsync.Resource{}, notFound(k)
	}
	r, err := c.s.config.Store.Resource(c.ctx, k.of, id)
	if dirsync.KindOf(err) == dirsync.NotFound || err == nil && invisible(&r) {
		return r, notFound(k)
	}
	return r, err
}

// projection reads what a request wants to see of a resource.
func (c *call) projection(k *kind) (scim.Projection, error) {
	if len(c.query) == 0 {
		return scim.Projection{}, nil
	}
	s, err := scim.SearchFromQuery(param{"attributes": c.all("attributes"), "excludedAttributes": c.all("excludedAttributes")})
	if err != nil {
		return scim.Projection{}, err
	}
	return scim.ParseProjection(s.Attributes, s.ExcludedAttributes, k.URNs()...)
}

// answer reads a body, writes it with fn, and answers with the resource.
func (c *call) answer(out *reply, r *http.Request, k *kind, fn func(*scim.Object) (outcome, error)) error {
	if err := c.mayWrite(k); err != nil {
		return err
	}
	show, err := c.projection(k)
	if err != nil {
		return err
	}
	body, err := c.body(out, r)
	if err != nil {
		return err
	}
	done, err := fn(body)
	if err != nil {
		return err
	}
	h := out.w.Header()
	h.Set("ETag", tag(&done.r))
	h.Set("Location", c.location(k, done.r.ID))
	out.status = done.status
	if done.members && len(show.Only) == 0 && k.Asks(show, scim.Path{Name: "members"}) {
		many, err := c.manyMembers(done.r.ID)
		if err != nil {
			return err
		}
		if many {
			out.status = http.StatusNoContent
			return nil
		}
	}
	return c.show(out, k, &done.r, show)
}

// manyMembers says whether a group has more members than a PATCH answers with.
func (c *call) manyMembers(group string) (bool, error) {
	if counter, ok := c.s.config.Store.(dirsync.MemberCounter); ok {
		n, err := counter.CountMembers(c.ctx, group)
		return n > maxShown, err
	}
	some, err := c.s.config.Store.ResourceMembers(c.ctx, group, "", maxShown+1)
	return len(some) > maxShown, err
}

// replace is PUT.
func (c *call) replace(k *kind, id string, body *scim.Object) (outcome, error) {
	var reported, only bool
	var version uint64
	r, err := c.edit(k, id, func(r dirsync.Resource, have *known) (dirsync.ResourceEdit, error) {
		edit := dirsync.ResourceEdit{Resource: r}
		if err := c.writable(k, &r); err != nil {
			return edit, err
		}
		before, err := c.s.object(k, &r)
		if err != nil {
			return edit, err
		}
		o, quirks, err := k.AcceptReplacement(body, before)
		if !reported {
			c.event.Quirks, reported = append(c.event.Quirks, quirks...), true
		}
		if err != nil {
			return edit, err
		}
		// Nobody becomes active, and no group empty, because a client did not mention it.
		if _, said := o.Get("active"); !said && k.of == dirsync.KindUser {
			o.Set("active", shownActive(&r))
		}
		if said, _ := body.Get("members"); k.of == dirsync.KindGroup && (said != nil || o.List("members") != nil) {
			if edit.Add, err = memberIDs(o.List("members")); err != nil {
				return edit, err
			}
			edit.Only = true
			o.Delete("members")
		}
		version, only = r.Version, edit.Only
		c.event.Changed = changed(before, o)
		if len(c.event.Changed) == 0 && !edit.Only {
			return edit, nil
		}
		err = c.take(k, before, o, &edit.Resource, have)
		return edit, err
	})
	if err != nil {
		return outcome{}, c.explain(err)
	}
	if only && len(c.event.Changed) == 0 && r.Version != version {
		c.event.Changed = append(c.event.Changed, "members")
	}
	return outcome{status: http.StatusOK, r: r}, c.arrived(k, &r)
}

// patch is PATCH.
func (c *call) patch(k *kind, id string, body *scim.Object) (outcome, error) {
	p, quirks, err := k.ParsePatch(body)
	c.event.Quirks = append(c.event.Quirks, quirks...)
	if err != nil {
		return outcome{}, err
	}
	var people memberOps
	if k.of == dirsync.KindGroup {
		if p, people, err = c.splitMembers(k, id, p); err != nil {
			return outcome{}, err
		}
	}
	var version uint64
	r, err := c.edit(k, id, func(r dirsync.Resource, have *known) (dirsync.ResourceEdit, error) {
		edit := dirsync.ResourceEdit{Resource: r}
		if err := c.writable(k, &r); err != nil {
			return edit, err
		}
		version = r.Version
		before, err := c.s.object(k, &r)
		if err != nil {
			return edit, err
		}
		o, changes, err := k.Apply(before, p)
		if err != nil {
			return edit, err
		}
		if _, said := o.Get("active"); !said && k.of == dirsync.KindUser {
			// Nobody becomes active because a client has sent null, or nothing, in the place of a status.
			o, changes = o.Clone(), slices.DeleteFunc(changes, func(ch scim.Change) bool { return ch.Path.URN == "" && ch.Path.Name == "active" })
			o.Set("active", shownActive(&r))
		}
		c.event.Changed = nil
		for _, ch := range changes {
			c.event.Changed = append(c.event.Changed, ch.Path.String())
		}
		edit.Add, edit.Remove, edit.Only = people.add, people.remove, people.only
		if len(changes) == 0 {
			return edit, nil
		}
		err = c.take(k, before, o.Clone(), &edit.Resource, have)
		return edit, err
	})
	if err != nil {
		return outcome{}, c.explain(err)
	}
	if people.any() && r.Version != version {
		c.event.Changed = append(c.event.Changed, "members")
	}
	return outcome{status: http.StatusOK, r: r, members: k.of == dirsync.KindGroup}, c.arrived(k, &r)
}

// remove is DELETE.
func (c *call) remove(k *kind, id string) error {
	if err := c.mayWrite(k); err != nil {
		return err
	}
	_, err := c.edit(k, id, func(r dirsync.Resource, have *known) (dirsync.ResourceEdit, error) {
		edit := dirsync.ResourceEdit{Resource: r}
		if err := c.writable(k, &r); err != nil {
			return edit, err
		}
		verdict, err := c.guarded(r, dirsync.Delete, have)
		switch {
		case err != nil:
		case verdict == Hold:
			edit.Resource.Pending, c.event.Held = dirsync.Delete, true
		case verdict == Deactivate && k.of == dirsync.KindUser:
			err = hide(k, &edit.Resource)
		default:
			edit.Delete = true
		}
		return edit, err
	})
	if err != nil {
		return c.explain(err)
	}
	return nil
}

// hide makes an account inactive and invisible.
func hide(k *kind, r *dirsync.Resource) error {
	e, err := open(r.Document)
	if err != nil {
		return err
	}
	if e.json == nil {
		e.json = []byte(`{"schemas":["` + k.URNs()[0] + `"]}`)
	}
	e.flags |= hidden
	r.Active, r.Pending, r.Document = false, 0, e.seal()
	return nil
}

// explain puts the store's errors into the words of the client.
func (c *call) explain(err error) error {
	e, ok := err.(*dirsync.Error) //nolint:errorlint // the store returns it as it is; one within another failure is explained already
	if !ok {
		return err
	}
	field := e.Field
	for i := range c.s.fields {
		if c.s.fields[i].Name == field {
			field = c.s.fields[i].places[0].path.String()
		}
	}
	switch {
	case e.Kind == dirsync.Conflict:
		return c.inUse(attribute(field), e.Other)
	case e.Kind == dirsync.Invalid && (field == "members" || field == "" && c.event.Resource == c.s.groups().Name):
		return c.noMember(e.Value)
	case e.Kind == dirsync.Invalid:
		return &failure{wire: scim.Error{Status: http.StatusBadRequest, SCIMType: scim.InvalidValue, Detail: "the directory does not accept the value of " + attribute(field)}, cause: err}
	}
	return err
}

// inUse says that another resource has a value. One that the client cannot find is named, or nobody would know what to do.
func (c *call) inUse(attribute, other string) error {
	detail := attribute + " is in use by another resource"
	k := c.s.users()
	if c.event.Resource == c.s.groups().Name {
		k = c.s.groups()
	}
	if r, err := c.s.config.Store.Resource(c.ctx, k.of, other); err == nil && invisible(&r) {
		detail += ", " + r.ID + ", which was deleted and is kept, or whose deletion waits for approval"
	}
	return &failure{wire: scim.Error{Status: http.StatusConflict, SCIMType: scim.Uniqueness, Detail: detail}}
}

// noMember says why somebody cannot be a member of a group. Groups within groups are refused, as RFC 7643 section 4.2 leaves
// it to the server: whoever reads the directory would have to find out who that makes a member.
func (c *call) noMember(id string) error {
	if id == "" {
		return refuse(http.StatusBadRequest, scim.InvalidValue, "members names somebody who is not a user here; users must be created before they join a group")
	}
	if _, err := c.s.config.Store.Resource(c.ctx, dirsync.KindGroup, id); err == nil {
		return refuse(http.StatusBadRequest, scim.InvalidValue, "members names %q, which is a group; members are users here, and groups within groups are not supported", clip(id, 256))
	}
	return refuse(http.StatusBadRequest, scim.InvalidValue, "members names %q, who is not a user here; users must be created before they join a group", clip(id, 256))
}
