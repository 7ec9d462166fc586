package scimtest

import (
	"net/http"
	"slices"
	"strconv"

	"dirsync/scim"
)

// single answers a request for one resource.
func (c *call) single(t *table, e *entry) answer {
	q := c.Quirks
	switch c.request.Method {
	case http.MethodGet:
		return c.show(t, e, http.StatusOK)
	case http.MethodDelete:
		switch {
		case q.NoDelete:
			return c.fail(&scim.Error{Status: http.StatusMethodNotAllowed})
		case q.DeleteDeactivates && t == c.users:
			e.object.Set("active", false)
		default:
			c.drop(t, e)
		}
		return answer{status: http.StatusNoContent, header: http.Header{}}
	case http.MethodPut:
		if q.PutUnsupported {
			return c.fail(&scim.Error{Status: http.StatusMethodNotAllowed, Detail: "PUT is not supported."})
		}
		return c.put(t, e)
	case http.MethodPatch:
		if q.PatchUnsupported {
			return c.fail(&scim.Error{Status: http.StatusNotImplemented, Detail: "PATCH is not supported."})
		}
		return c.patch(t, e)
	}
	return c.fail(&scim.Error{Status: http.StatusMethodNotAllowed})
}

func (c *call) put(t *table, e *entry) answer {
	if c.body == nil {
		return c.fail(&scim.Error{Status: 400, SCIMType: scim.InvalidSyntax})
	}
	if t == c.users {
		if err := c.checkRequired(c.body); err != nil {
			return c.fail(err)
		}
	}
	o, _, err := t.kind.AcceptReplacement(c.body, e.object)
	if err != nil {
		return c.fail(scim.AsError(err))
	}
	for _, m := range o.List("members") {
		if m, ok := m.(*scim.Object); ok && t == c.groups {
			if id, _ := m.Text("value"); c.users.find(id) == nil {
				return c.fail(&scim.Error{Status: 400, SCIMType: scim.InvalidValue, Detail: "There is no user " + id + "."})
			}
		}
	}
	return c.store(t, e, o)
}

func (c *call) patch(t *table, e *entry) answer {
	if c.body == nil {
		return c.fail(&scim.Error{Status: 400, SCIMType: scim.InvalidSyntax})
	}
	body := c.body
	if ops := body.List("Operations"); c.Quirks.FirstOperation && len(ops) > 1 {
		body = body.Clone()
		body.Set("Operations", ops[:1])
	}
	p, _, err := t.kind.ParsePatch(body)
	if err != nil {
		return c.fail(scim.AsError(err))
	}
	if t == c.groups {
		if refusal := c.checkMembers(e, p); refusal != nil {
			return c.fail(refusal)
		}
	} else if c.Quirks.StrictTarget {
		for _, op := range p.Operations {
			if op.Op == scim.Replace && op.Path.Filter != nil && !selects(e.object, op.Path) {
				return c.fail(&scim.Error{Status: 400, SCIMType: scim.NoTarget, Detail: "The path " + op.Path.Name + " selects nothing."})
			}
		}
	}
	if c.Quirks.BlindPatch && t == c.users {
		p.Operations = slices.DeleteFunc(p.Operations, func(op scim.Operation) bool { return op.Path.Sub != "" || op.Path.Filter != nil || op.Path.URN != "" })
		if len(p.Operations) == 0 {
			return c.show(t, e, http.StatusOK)
		}
	}
	o, _, err := t.kind.Apply(c.whole(t, e), p)
	if err != nil {
		return c.fail(scim.AsError(err))
	}
	return c.store(t, e, o)
}

// whole is a resource with its members.
func (c *call) whole(t *table, e *entry) *scim.Object {
	if t != c.groups || len(e.members) == 0 {
		return e.object
	}
	o := e.object.Clone()
	list := make([]any, len(e.members))
	for i, id := range e.members {
		list[i] = scim.NewObject(scim.Member{Name: "value", Value: id})
	}
	o.Set("members", list)
	return o
}

// selects says whether a value path with a comparison of "type" selects anything.
func selects(o *scim.Object, p scim.Path) bool {
	cmp, ok := p.Filter.(scim.Compare)
	if !ok {
		return true
	}
	for _, v := range o.List(p.Name) {
		if v, ok := v.(*scim.Object); ok {
			got, _ := v.Text(cmp.Path.Name)
			if want, _ := cmp.Value.(string); scim.FoldCase(got) == scim.FoldCase(want) {
				return true
			}
		}
	}
	return false
}

// checkMembers applies the rules about memberships.
func (c *call) checkMembers(e *entry, p *scim.Patch) *scim.Error {
	n := 0
	for _, op := range p.Operations {
		if op.Path.Name != "members" {
			continue
		}
		ids := named(op)
		n += len(ids)
		for _, id := range ids {
			there := slices.Contains(e.members, id)
			switch {
			case op.Op != scim.Remove && c.users.find(id) == nil:
				return &scim.Error{Status: 400, SCIMType: scim.InvalidValue, Detail: "There is no user " + id + "."}
			case c.Quirks.StrictMembers && op.Op != scim.Remove && there:
				return &scim.Error{Status: http.StatusConflict, Detail: id + " is a member already."}
			case c.Quirks.StrictMembers && op.Op == scim.Remove && !there:
				return &scim.Error{Status: http.StatusNotFound, Detail: id + " is not a member."}
			}
		}
	}
	if limit := c.Quirks.MaxMembers; limit > 0 && n > limit {
		return &scim.Error{Status: 400, SCIMType: scim.InvalidValue, Detail: "At most " + strconv.Itoa(limit) + " membership changes."}
	}
	return nil
}

// named are the member ids that an operation speaks of.
func named(op scim.Operation) (ids []string) {
	if cmp, ok := op.Path.Filter.(scim.Compare); ok {
		if id, ok := cmp.Value.(string); ok {
			return []string{id}
		}
	}
	list, _ := op.Value.([]any)
	for _, v := range list {
		if o, ok := v.(*scim.Object); ok {
			id, _ := o.Text("value")
			ids = append(ids, id)
		}
	}
	return ids
}

// store gives a resource its new form, unless that takes somebody else's name.
func (c *call) store(t *table, e *entry, o *scim.Object) answer {
	if refusal := c.conflict(t, o, e); refusal != nil {
		return c.fail(refusal)
	}
	t.unindex(e)
	e.object = c.kept(t, e, o)
	t.index(e)
	e.modified = c.Now()
	e.version++
	if c.Quirks.NoContent {
		return answer{status: http.StatusNoContent, header: http.Header{}}
	}
	return c.show(t, e, http.StatusOK)
}
