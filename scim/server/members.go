package server

import (
	"net/http"
	"slices"
	"strconv"

	"dirsync"
	"dirsync/scim"
)

// memberOps is what a PATCH makes of a group's members.
type memberOps struct {
	add, remove []string
	// only takes out everybody who is not in add.
	only bool
}

func (m memberOps) any() bool { return m.only || len(m.add)+len(m.remove) > 0 }

// memberIDs are the ids of the members that a client lists.
func memberIDs(list []any) ([]string, error) {
	ids := make([]string, 0, len(list))
	for _, e := range list {
		o, _ := e.(*scim.Object)
		id, _ := o.Text("value")
		if id == "" || len(id) > 256 {
			return nil, refuse(http.StatusBadRequest, scim.InvalidValue, "every one of members needs a value, which is the id of a user")
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// tally follows the operations of a PATCH on members: who is in at the end, as far as it is not who was in before.
type tally struct {
	only  bool
	in    map[string]bool
	order []string // the ids of in, as they came
}

func (t *tally) put(ids []string, in bool) {
	for _, id := range ids {
		if _, known := t.in[id]; !known {
			t.order = append(t.order, id)
		}
		t.in[id] = in
	}
}

// reset begins again: from nobody.
func (t *tally) reset() { t.only, t.in, t.order = true, map[string]bool{}, nil }

func (t *tally) ops() memberOps {
	m := memberOps{only: t.only}
	for _, id := range t.order {
		if t.in[id] {
			m.add = append(m.add, id)
		} else if !t.only {
			m.remove = append(m.remove, id)
		}
	}
	return m
}

// splitMembers takes the operations on members out of a PATCH of a group, so that the members need not be read.
func (c *call) splitMembers(k *kind, group string, p *scim.Patch) (*scim.Patch, memberOps, error) {
	t := tally{in: map[string]bool{}}
	rest := &scim.Patch{}
	for _, op := range p.Operations {
		if op.Path.URN != "" || op.Path.Name != "members" {
			rest.Operations = append(rest.Operations, op)
			continue
		}
		if err := c.memberOp(k, group, op, &t); err != nil {
			f := *asFailure(err)
			if op.At > 0 && f.wire.Status == http.StatusBadRequest {
				f.wire.Detail = "operation " + strconv.Itoa(op.At) + ": " + f.wire.Detail
			}
			return nil, memberOps{}, &f
		}
	}
	return rest, t.ops(), nil
}

func (c *call) memberOp(k *kind, group string, op scim.Operation, t *tally) error {
	list, _ := op.Value.([]any)
	ids, err := memberIDs(list)
	switch {
	case op.Path.Sub != "":
		return refuse(http.StatusBadRequest, scim.Mutability, "a member cannot be changed; remove it and add another one")
	case err != nil:
		return err
	case op.Path.Filter != nil && op.Op == scim.Remove:
		return c.removeSelected(k, group, op.Path, t)
	case op.Path.Filter != nil:
		return c.putSelected(k, group, op, t)
	case op.Op == scim.Add:
		t.put(ids, true)
	case op.Op == scim.Replace:
		t.reset()
		t.put(ids, true)
	case op.Value == nil:
		t.reset()
	default:
		t.put(ids, false)
	}
	return nil
}

// selectedID is the id that a filter in brackets names, if it does nothing else: members[value eq "x"].
func selectedID(f scim.Filter) (string, bool) {
	cmp, ok := f.(scim.Compare)
	id, text := cmp.Value.(string)
	return id, ok && text && id != "" && cmp.Op == scim.Eq && cmp.Path.URN == "" && cmp.Path.Sub == "" && scim.FoldCase(cmp.Path.Name) == "value"
}

// putSelected takes an addition to, or replacement of, a member that a filter names. It can say no more than that this
// member is in; a replacement needs one who is (RFC 7644 section 3.5.2.3: noTarget).
func (c *call) putSelected(k *kind, group string, op scim.Operation, t *tally) error {
	id, ok := selectedID(op.Path.Filter)
	o, _ := op.Value.(*scim.Object)
	value, has := o.Text("value")
	if !ok || has && value != id {
		return refuse(http.StatusBadRequest, scim.Mutability, "a member cannot be changed; remove it and add another one")
	}
	if op.Op == scim.Add {
		t.put([]string{id}, true)
		return nil
	}
	in, known := t.in[id]
	if !known && !t.only {
		found, err := c.s.config.Store.IsMember(c.ctx, group, []string{id})
		switch {
		case dirsync.KindOf(err) == dirsync.NotFound:
			return notFound(k)
		case err != nil:
			return err
		}
		in = found[0]
	}
	if !in {
		return refuse(http.StatusBadRequest, scim.NoTarget, "no value of members is selected by the filter in the path")
	}
	return nil
}

// removeSelected removes whom a filter selects. One that names an id needs no look at the others.
func (c *call) removeSelected(k *kind, group string, path scim.Path, t *tally) error {
	if id, ok := selectedID(path.Filter); ok {
		t.put([]string{id}, false)
		return nil
	}
	test, err := k.Compile(scim.ValuePath{Path: path})
	if err != nil {
		return err
	}
	var selected []string
	look := func(m dirsync.ResourceMember) error {
		if test.Match(memberObject(m)) {
			selected = append(selected, m.ID)
		}
		return nil
	}
	if !t.only {
		if err := c.eachMember(c.ctx, group, look); err != nil {
			if dirsync.KindOf(err) == dirsync.NotFound {
				return notFound(k)
			}
			return err
		}
	}
	for _, id := range slices.Clone(t.order) {
		if t.in[id] {
			_ = look(dirsync.ResourceMember{ID: id}) // It never fails.
		}
	}
	t.put(selected, false)
	return nil
}

// memberObject is a group with one member, for a filter.
func memberObject(m ...dirsync.ResourceMember) *scim.Object {
	list := make([]any, len(m))
	for i := range m {
		o := scim.NewObject(scim.Member{Name: "value", Value: m[i].ID}, scim.Member{Name: "type", Value: "User"})
		if m[i].Name != "" {
			o.Set("display", m[i].Name)
		}
		list[i] = o
	}
	return scim.NewObject(scim.Member{Name: "members", Value: list})
}
