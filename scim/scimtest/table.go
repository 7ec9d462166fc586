package scimtest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"dirsync/scim"
)

// table keeps the resources of one type.
type table struct {
	kind *scim.ResourceType
	// key is the attribute that no two share; byKey finds by it.
	key         string
	exact       bool
	entries     []*entry
	byID, byKey map[string]*entry
}

// entry is one resource.
type entry struct {
	id     string
	object *scim.Object // with id, without meta
	// members are the ids of a group's members, kept apart so that many cost no more than one.
	members           []string
	created, modified time.Time
	version           int
	gone              bool
}

func newTable(kind *scim.ResourceType, key string, exact bool) *table {
	return &table{kind: kind, key: key, exact: exact, byID: map[string]*entry{}, byKey: map[string]*entry{}}
}

func (t *table) find(id string) *entry { return t.byID[id] }

func (t *table) fold(o *scim.Object) string {
	name, _ := o.Text(t.key)
	if t.exact {
		return name
	}
	return scim.FoldCase(name)
}

func (t *table) index(e *entry) {
	if k := t.fold(e.object); k != "" {
		t.byKey[k] = e
	}
}

func (t *table) unindex(e *entry) {
	if k := t.fold(e.object); t.byKey[k] == e {
		delete(t.byKey, k)
	}
}

// create makes a resource of the call's body.
func (a *App) create(t *table, c *call) answer {
	if c.body == nil {
		return c.fail(&scim.Error{Status: 400, SCIMType: scim.InvalidSyntax, Detail: "There is no body."})
	}
	if t == a.users {
		if e := a.checkRequired(c.body); e != nil {
			return c.fail(e)
		}
	}
	o, _, err := t.kind.Accept(c.body)
	if err != nil {
		return c.fail(scim.AsError(err))
	}
	if e := a.conflict(t, o, nil); e != nil {
		return c.fail(e)
	}
	a.nextID++
	now := a.Now()
	e := &entry{id: "id-" + strconv.Itoa(a.nextID), created: now, modified: now, version: 1}
	e.object = a.kept(t, e, o)
	t.entries = append(t.entries, e)
	t.byID[e.id] = e
	t.index(e)
	ans := c.show(t, e, http.StatusCreated)
	ans.header.Set("Location", c.base+t.kind.Endpoint+"/"+e.id)
	return ans
}

func (a *App) checkRequired(o *scim.Object) *scim.Error {
	for _, name := range a.Quirks.Required {
		if v, ok := o.Get(name); !ok || v == nil || v == "" {
			return &scim.Error{Status: 400, SCIMType: scim.InvalidValue, Detail: name + " is required."}
		}
	}
	for _, urn := range a.Quirks.RequiredSchemas {
		if !slices.Contains(o.Texts("schemas"), urn) {
			return &scim.Error{Status: 400, SCIMType: scim.InvalidSyntax, Detail: "schemas must name " + urn + "."}
		}
	}
	if a.Quirks.OneEmail && len(o.List("emails")) > 1 {
		return &scim.Error{Status: 400, SCIMType: scim.InvalidValue, Detail: "One e-mail address only."}
	}
	return nil
}

// conflict says whether somebody else has what must be unique.
func (a *App) conflict(t *table, o *scim.Object, self *entry) *scim.Error {
	if other := t.byKey[t.fold(o)]; other != nil && other != self && !other.gone && t.fold(o) != "" {
		if a.Quirks.BadForDuplicate {
			return &scim.Error{Status: 400, Detail: "A resource with this " + t.key + " exists already."}
		}
		return &scim.Error{Status: http.StatusConflict, SCIMType: scim.Uniqueness, Detail: t.key + " is in use."}
	}
	return nil
}

// kept is what is stored of a resource: its id, and members apart.
func (a *App) kept(t *table, e *entry, o *scim.Object) *scim.Object {
	o = o.Clone()
	if a.Quirks.NoExternalID {
		o.Delete("externalId")
	}
	o.Delete("meta")
	o.Set("id", e.id)
	if t == a.users {
		if _, ok := o.Get("active"); !ok {
			o.Set("active", true)
		}
		o.Delete("groups")
		return o
	}
	e.members = nil
	for _, m := range o.List("members") {
		if m, ok := m.(*scim.Object); ok {
			if id, _ := m.Text("value"); id != "" && !slices.Contains(e.members, id) {
				e.members = append(e.members, id)
			}
		}
	}
	o.Delete("members")
	return o
}

// drop takes a resource away, out of all groups too.
func (a *App) drop(t *table, e *entry) {
	t.unindex(e)
	delete(t.byID, e.id)
	t.entries = slices.DeleteFunc(t.entries, func(x *entry) bool { return x == e })
	for _, g := range a.groups.entries {
		g.members = slices.DeleteFunc(g.members, func(id string) bool { return id == e.id })
	}
}

// show is a resource as it is answered.
func (c *call) show(t *table, e *entry, status int) answer {
	o := c.shown(t, e)
	if c.Quirks.ShyAnswers {
		o.Delete("externalId")
	}
	body, err := json.Marshal(o)
	if err != nil {
		return c.fail(&scim.Error{Status: 500})
	}
	return answer{status, http.Header{"Content-Type": {scim.MediaType}, "Etag": {scim.ETag(strconv.Itoa(e.version))}}, body}
}

func (c *call) shown(t *table, e *entry) *scim.Object {
	o := e.object.Clone()
	meta := scim.NewObject(
		scim.Member{Name: "resourceType", Value: t.kind.Name},
		scim.Member{Name: "created", Value: e.created.UTC().Format(time.RFC3339Nano)},
		scim.Member{Name: "lastModified", Value: e.modified.UTC().Format(time.RFC3339Nano)},
		scim.Member{Name: "location", Value: c.base + t.kind.Endpoint + "/" + e.id},
		scim.Member{Name: "version", Value: scim.ETag(strconv.Itoa(e.version))})
	o.Set("meta", meta)
	var list []any
	switch {
	case t == c.users && !c.Quirks.HideGroups:
		for _, g := range c.groups.entries {
			if slices.Contains(g.members, e.id) {
				list = append(list, scim.NewObject(scim.Member{Name: "value", Value: g.id}, scim.Member{Name: "type", Value: "direct"}))
			}
		}
		if list != nil || len(c.groups.entries) > 0 {
			o.Set("groups", list)
		}
	case t == c.groups && !c.Quirks.HideMembers && !strings.Contains(c.request.Query.Get("excludedAttributes"), "members"):
		for _, id := range e.members {
			list = append(list, scim.NewObject(scim.Member{Name: "value", Value: id}, scim.Member{Name: "type", Value: "User"}))
		}
		if list != nil {
			o.Set("members", list)
		}
	}
	return o
}
