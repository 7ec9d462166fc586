package server

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"dirsync"
	"dirsync/scim"
)

// maxGroupsOf is the most groups that are shown of a user.
const maxGroupsOf = 1000

// membersAtOnce is how many members are read from the store at a time.
const membersAtOnce = 1000

// tag is the entity tag of a resource.
func tag(r *dirsync.Resource) string { return scim.ETag(strconv.FormatUint(r.Version, 10)) }

// location is the address of a resource.
func (c *call) location(k *kind, id string) string { return c.base + k.Endpoint + "/" + id }

// show appends the JSON of a resource, as far as a projection shows it. Out may be sent in parts meanwhile, so that a
// group of any size takes no more memory than a part of it.
func (c *call) show(out *reply, k *kind, r *dirsync.Resource, p scim.Projection) error {
	if len(p.Only) == 0 && len(p.Except) == 0 {
		if e, err := open(r.Document); err != nil {
			return err
		} else if e.json != nil {
			c.scratch = c.s.snapshot(c.scratch[:0], k, r)
			if string(c.scratch) == string(e.snapshot) {
				return c.splice(out, k, r, e.json)
			}
		}
	}
	o, err := c.whole(k, r, p)
	if err != nil {
		return err
	}
	b, err := k.Project(o, p).MarshalJSON()
	if err != nil {
		return err
	}
	out.buf = append(out.buf, b...)
	if k.of == dirsync.KindGroup && k.Asks(p, scim.Path{Name: "members"}) {
		out.buf = out.buf[:len(out.buf)-1]
		if len(b) > 2 {
			out.buf = append(out.buf, ',')
		}
		if err := c.members(out, r.ID, memberParts(k, p)); err != nil {
			return err
		}
		out.buf = append(out.buf, '}')
	}
	return nil
}

// splice is show for a document that is right as it stands.
func (c *call) splice(out *reply, k *kind, r *dirsync.Resource, document []byte) error {
	b := append(out.buf, `{"id":`...)
	b = appendString(b, r.ID)
	b = append(append(b, ','), document[1:len(document)-1]...)
	b = append(b, `,"meta":{"resourceType":"`...)
	b = append(append(b, k.Name...), `","created":"`...)
	b = append(r.Created.UTC().AppendFormat(b, time.RFC3339Nano), `","lastModified":"`...)
	b = append(r.Updated.UTC().AppendFormat(b, time.RFC3339Nano), `","location":`...)
	b = append(appendString(b, c.location(k, r.ID)), `,"version":`...)
	b = append(appendString(b, tag(r)), '}')
	out.buf = b
	if k.of == dirsync.KindUser {
		groups, err := c.groupsOf(r.ID)
		if err != nil {
			return err
		}
		if len(groups) > 0 {
			text, err := scim.NewObject(scim.Member{Name: "groups", Value: groups}).MarshalJSON()
			if err != nil {
				return err
			}
			out.buf = append(append(out.buf, ','), text[1:len(text)-1]...)
		}
	} else {
		out.buf = append(out.buf, ',')
		if err := c.members(out, r.ID, memberParts(k, scim.Projection{})); err != nil {
			return err
		}
	}
	out.buf = append(out.buf, '}')
	return nil
}

// whole returns a resource with all that is asked for but the members.
func (c *call) whole(k *kind, r *dirsync.Resource, p scim.Projection) (*scim.Object, error) {
	o, err := c.s.object(k, r)
	if err != nil {
		return nil, err
	}
	full := scim.NewObject(scim.Member{Name: "id", Value: r.ID})
	for name, v := range o.All() {
		full.Set(name, v)
	}
	if k.of == dirsync.KindUser && k.Asks(p, scim.Path{Name: "groups"}) {
		groups, err := c.groupsOf(r.ID)
		if err != nil {
			return nil, err
		}
		if len(groups) > 0 {
			full.Set("groups", groups)
		}
	}
	full.Set("meta", scim.NewObject(
		scim.Member{Name: "resourceType", Value: k.Name},
		scim.Member{Name: "created", Value: r.Created.UTC().Format(time.RFC3339Nano)},
		scim.Member{Name: "lastModified", Value: r.Updated.UTC().Format(time.RFC3339Nano)},
		scim.Member{Name: "location", Value: c.location(k, r.ID)},
		scim.Member{Name: "version", Value: tag(r)}))
	return full, nil
}

func (c *call) groupsOf(user string) ([]any, error) {
	in, err := c.s.config.Store.ResourceGroups(c.ctx, user, maxGroupsOf)
	if err != nil || len(in) == 0 {
		return nil, err
	}
	list := make([]any, len(in))
	for i, g := range in {
		list[i] = scim.NewObject(scim.Member{Name: "value", Value: g.ID}, scim.Member{Name: "$ref", Value: c.location(c.s.groups(), g.ID)},
			scim.Member{Name: "display", Value: g.Name}, scim.Member{Name: "type", Value: "direct"})
	}
	return list, nil
}

// parts are those of a member that are shown.
type parts struct{ value, ref, display, typ bool }

// memberParts asks the projection about one member.
func memberParts(k *kind, p scim.Projection) parts {
	if len(p.Only) == 0 && len(p.Except) == 0 {
		return parts{true, true, true, true}
	}
	one := scim.NewObject(scim.Member{Name: "value", Value: "x"}, scim.Member{Name: "$ref", Value: "x"},
		scim.Member{Name: "display", Value: "x"}, scim.Member{Name: "type", Value: "x"})
	shown := k.Project(scim.NewObject(scim.Member{Name: "members", Value: []any{one}}), p).List("members")
	if len(shown) == 0 {
		return parts{}
	}
	o, _ := shown[0].(*scim.Object)
	has := func(name string) bool { _, ok := o.Get(name); return ok }
	return parts{has("value"), has("$ref"), has("display"), has("type")}
}

// members appends the member "members" of a group's JSON.
func (c *call) members(out *reply, group string, show parts) error {
	out.buf = append(out.buf, `"members":[`...)
	first := true
	// A stream is bounded by who reads it and not by the time that a request has.
	err := c.eachMember(context.WithoutCancel(c.ctx), group, func(m dirsync.ResourceMember) error {
		if !first {
			out.buf = append(out.buf, ',')
		}
		first = false
		out.buf = c.appendMember(out.buf, m, show)
		return out.grow()
	})
	out.buf = append(out.buf, ']')
	return err
}

func (c *call) appendMember(b []byte, m dirsync.ResourceMember, show parts) []byte {
	b = append(b, '{')
	comma := func() {
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
	}
	if show.value {
		b = appendString(append(b, `"value":`...), m.ID)
	}
	if show.ref {
		comma()
		b = appendString(append(b, `"$ref":`...), c.location(c.s.users(), m.ID))
	}
	if show.display && m.Name != "" {
		comma()
		b = appendString(append(b, `"display":`...), m.Name)
	}
	if show.typ {
		comma()
		b = append(b, `"type":"User"`...)
	}
	return append(b, '}')
}

// eachMember calls fn for every member of a group.
func (c *call) eachMember(ctx context.Context, group string, fn func(dirsync.ResourceMember) error) error {
	after := ""
	for {
		page, err := c.s.config.Store.ResourceMembers(ctx, group, after, membersAtOnce)
		if err != nil {
			return err
		}
		for _, m := range page {
			if err := fn(m); err != nil {
				return err
			}
		}
		if len(page) < membersAtOnce {
			return nil
		}
		after = page[len(page)-1].ID
	}
}

// appendString writes a JSON string. Most are plain ASCII and only copied.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if ch := s[i]; ch < 0x20 || ch == '"' || ch == '\\' || ch >= 0x7f {
			text, err := json.Marshal(s)
			if err != nil {
				return append(b, `""`...) // Encoding a string cannot fail.
			}
			return append(b, text...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
