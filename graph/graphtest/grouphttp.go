package graphtest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// kindOfGroups sorts a request below /v1.0/groups by its path, keys in parentheses included.
func kindOfGroups(path []string) Kind {
	switch n := len(path); {
	case n == 2 && path[1] == "groups", n == 3 && path[1] == "groups" && path[2] == countSegment:
		return GroupList
	case n == 3 && path[1] == "groups" && isDelta(path[2]):
		return GroupDelta
	}
	switch _, rest := groupKey(path); {
	case len(rest) == 0:
		return GroupGet
	case len(rest) > 3 || len(rest) == 3 && rest[2] != countSegment:
		return Other
	case rest[0] == membersProperty:
		return Members
	case rest[0] == "transitiveMembers":
		return AllMembers
	}
	return Other
}

// groupKey splits the path of one group into its key and what follows: groups/{id}, groups('{id}') or
// groups(uniqueName='{name}'). A key that is a name keeps its "uniqueName=".
func groupKey(path []string) (key string, rest []string) {
	if inner, ok := strings.CutPrefix(path[1], "groups("); ok {
		key = strings.TrimSuffix(inner, ")")
		if name, ok := strings.CutPrefix(key, "uniqueName="); ok {
			return "uniqueName=" + unquoted(name), path[2:]
		}
		return unquoted(key), path[2:]
	}
	if len(path) < 3 {
		return "", path[2:]
	}
	return path[2], path[3:]
}

func unquoted(s string) string { return strings.TrimSuffix(strings.TrimPrefix(s, "'"), "'") }

// findGroup finds the present group of a key, as it is seen by now.
func (q *request) findGroup(key string) (o *object, i uint32, attrs []byte) {
	d := q.t.teams()
	name, byName := strings.CutPrefix(key, "uniqueName=")
	if !byName {
		o, i = d.find(strings.ToLower(key))
		if o == nil {
			return nil, 0, nil
		}
		attrs, st := q.shown(d, o)
		if st != present {
			return nil, 0, nil
		}
		return o, i, attrs
	}
	prop, ok := d.numbers["uniqueName"]
	if !ok {
		return nil, 0, nil
	}
	for i := range d.objects {
		o := &d.objects[i]
		if attrs, st := q.shown(d, o); st == present {
			raw, _ := get(attrs, prop)
			if s, ok := text(raw); ok && s == name {
				return o, uint32(i), attrs
			}
		}
	}
	return nil, 0, nil
}

// getGroup answers a look-up of one group.
func (q *request) getGroup() answer {
	d := q.t.teams()
	_, sel, err := q.plainOptions(d)
	if err != nil {
		return q.refuse(err)
	}
	key, _ := groupKey(q.path)
	o, _, attrs := q.findGroup(key)
	if o == nil {
		return q.notFound(key)
	}
	b := append([]byte(`{"@odata.context":"`), q.base()...)
	b = append(append(append(b, `/v1.0/$metadata#`...), sel.context()...), `/$entity",`...)
	return answer{status: http.StatusOK, body: append(q.appendPlain(b, d, o, attrs, &sel), '}')}
}

// hidden tells whether a group's membership is shown only to those who may read what is hidden.
func (d *directory) hidden(attrs []byte) bool {
	n, ok := d.numbers["visibility"]
	if !ok {
		return false
	}
	raw, _ := get(attrs, n)
	return string(raw) == `"HiddenMembership"`
}

// shut tells whether a group must not be looked into by this request, at a position of the log.
func (q *request) shut(view uint32) func(group uint32) bool {
	d := q.t.teams()
	return func(group uint32) bool {
		o := &d.objects[group]
		attrs := o.attrs
		if o.last > view {
			attrs, _ = d.at(o, view)
		}
		return !q.mayReadHidden() && d.hidden(attrs)
	}
}

func (q *request) views() views {
	return views{q.t.visible(&q.t.people, q.now), q.t.visible(q.t.teams(), q.now)}
}

// castOf is the type of a path segment that restricts members to one, "microsoft.graph.user" or "graph.user".
func castOf(segment string) (odataType string, ok bool) {
	name, ok := strings.CutPrefix(strings.TrimPrefix(segment, "microsoft."), "graph.")
	if !ok {
		return "", false
	}
	switch odataType = "#microsoft.graph." + name; odataType {
	case userObject, groupObject, Device.odataType(), ServicePrincipal.odataType(), OrgContact.odataType():
		return odataType, true
	}
	return "", false
}

func isCast(segment string) bool {
	_, ok := castOf(segment)
	return ok
}

// membersOf answers one page of a group's members, direct or transitive, or their number.
func (q *request) membersOf() answer {
	key, rest := groupKey(q.path)
	cast, bare := "", rest[len(rest)-1] == countSegment
	if bare {
		rest = rest[:len(rest)-1]
	}
	if len(rest) > 1 {
		var ok bool
		if cast, ok = castOf(rest[1]); !ok {
			return q.fail(http.StatusBadRequest, "BadRequest", "Resource not found for the segment '"+rest[1]+"'.")
		}
	}
	o, group, attrs := q.findGroup(key)
	switch {
	case o == nil:
		return q.notFound(key)
	case q.t.teams().hidden(attrs) && !q.mayReadHidden():
		return q.fail(http.StatusForbidden, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
	}
	l, sels, err := q.memberListing("/v1.0/groups/" + o.id + "/" + strings.Join(rest, "/"))
	if err != nil {
		return q.refuse(err)
	}
	v := q.views()
	all := bare || l.advanced && l.opt.skip == "" // to be counted
	members := q.memberRefs(group, v, cast, &l, all)
	if bare {
		return q.number(len(members))
	}
	context := "directoryObjects"
	if cast != "" {
		context = strings.TrimPrefix(cast, "#microsoft.graph.") + "s"
	}
	if l.opt.fields != nil {
		context += "(" + strings.Join(append(slices.Clone(l.opt.fields), "id"), ",") + ")"
	}
	b := q.beginList(&l, context)
	if l.advanced && l.opt.skip == "" {
		b = append(append(append(b, `"@odata.count":`...), itoa(len(members))...), ',')
	}
	b = append(b, `"value":[`...)
	at, rows := 0, 0
	for ; at < len(members) && rows < l.size; at++ {
		if members[at].place < l.c.Pos {
			continue
		}
		if rows++; rows > 1 {
			b = append(b, ',')
		}
		b = q.appendMember(b, members[at].ref, v, &sels, cast == "")
	}
	more := at < len(members)
	if more {
		l.c.Pos = members[at].place
	}
	return q.endList(append(b, ']'), &l, more)
}

// placed is a member and its place in the list, which stays its own while others come and go.
type placed struct {
	ref   ref
	place uint32
}

// memberRefs are the members that a request is about: all of them, or those of the page and, when there is one, the next.
func (q *request) memberRefs(group uint32, v views, cast string, l *listing, all bool) []placed {
	var out []placed
	wanted := func(m ref) bool {
		kind, _, _ := q.t.who(m)
		return cast == "" || kind == cast
	}
	if q.kind == AllMembers {
		for _, m := range q.t.closure(v, q.shut(v.groups), group) {
			if wanted(m) {
				out = append(out, placed{m, uint32(m)})
			}
		}
		return out
	}
	links := q.t.teams().links(group).links
	i := 0
	if !all {
		i = int(l.c.Pos)
	}
	for ; i < len(links) && (all || len(out) <= l.size); i++ {
		if m := links[i].member; links[i].there(v.groups) && q.t.present(m, v) && wanted(m) {
			out = append(out, placed{m, uint32(i)})
		}
	}
	return out
}

// memberListing reads the options of a list of members. Members are of several kinds, each of which shows what it has of
// the properties selected.
func (q *request) memberListing(path string) (l listing, sels [2]selection, err error) {
	l = listing{path: path, size: defaultTop}
	if l.opt, err = parseOptions(q.query); err != nil {
		return l, sels, err
	}
	l.advanced = q.eventual() && l.opt.count
	for _, name := range l.opt.others {
		if name != "$count" {
			return l, sels, badQuery("Request_UnsupportedQuery", "The simulated tenant knows only $select, $top, $skiptoken and $count of members.")
		}
	}
	if l.opt.hasFilter || l.opt.hasDelta {
		return l, sels, badQuery("Request_UnsupportedQuery", "The simulated tenant knows no filter of members.")
	}
	if sels, err = q.mixedSelections(l.opt.fields); err != nil {
		return l, sels, err
	}
	if err := q.sized(&l); err != nil {
		return l, sels, err
	}
	return l, sels, q.placedAt(q.t.teams(), &l)
}

// mixedSelections are what a selection means for users and for groups where objects of several kinds are asked for: each
// kind shows what it has of it, and what none has is refused.
func (q *request) mixedSelections(fields []string) (sels [2]selection, err error) {
	people, teams := &q.t.people, q.t.teams()
	for _, name := range fields {
		if people.checkSelect([]string{name}, false) != nil && teams.checkSelect([]string{name}, false) != nil {
			return sels, badQuery("BadRequest", "Parsing OData Select and Expand failed: Could not find a property named '%s' on type 'microsoft.graph.directoryObject'.", name)
		}
	}
	for i, d := range []*directory{people, teams} {
		names := fields
		if names != nil {
			names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return d.checkSelect([]string{name}, false) != nil })
		}
		sels[i] = d.choose(names, false)
	}
	return sels, nil
}

// appendMember writes one member: in full, or as far as the application may see it.
func (q *request) appendMember(b []byte, m ref, v views, sels *[2]selection, typed bool) []byte {
	kind, id, _ := q.t.who(m)
	d, view, sel, roles := &q.t.people, v.people, &sels[0], userRoles()
	switch {
	case kind == groupObject:
		d, view, sel, roles = q.t.teams(), v.groups, &sels[1], groupRoles()
	case kind == Device.odataType():
		roles = deviceRoles()
	case kind == ServicePrincipal.odataType():
		roles = principalRoles()
	}
	if !q.has(roles) || q.t.Faults.Limited {
		return appendLimited(b, kind, id, sel)
	}
	b = append(b, '{')
	if typed {
		b = append(append(append(b, `"@odata.type":"`...), kind...), `",`...)
	}
	if m.kind() == otherRef {
		b = appendString(append(append(append(b, `"id":"`...), id...), `","displayName":`...), q.t.others[m.index()].name)
		return append(b, '}')
	}
	o := &d.objects[m.index()]
	attrs := o.attrs
	if o.last > view {
		attrs, _ = d.at(o, view)
	}
	return append(q.appendPlain(b, d, o, attrs, sel), '}')
}

// maxChecked is how many groups one request can ask about (Graph reference, user: checkMemberGroups).
const maxChecked = 20

// checkGroups answers users/{id}/checkMemberGroups: those of the groups asked about that the user is in, nested ones
// included.
func (q *request) checkGroups() answer {
	var asked struct {
		IDs []string `json:"groupIds"`
	}
	if err := json.Unmarshal(q.body, &asked); err != nil {
		return q.fail(http.StatusBadRequest, "Request_BadRequest", "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.")
	}
	if len(asked.IDs) == 0 || len(asked.IDs) > maxChecked {
		return q.fail(http.StatusBadRequest, "Request_BadRequest", "The number of elements in 'groupIds' must be between 1 and 20.")
	}
	o, _, st := q.lookUp(q.path[2])
	if st != present {
		return q.notFound(q.path[2])
	}
	user, v := userRef|ref(q.t.people.byID[o.id]), q.views()
	in := []string{}
	for _, id := range asked.IDs {
		if g, i, _ := q.findGroup(id); g != nil && !slices.Contains(in, g.id) && slices.Contains(q.t.closure(v, q.shut(v.groups), i), user) {
			in = append(in, g.id)
		}
	}
	return q.json(http.StatusOK, map[string]any{
		"@odata.context": q.base() + "/v1.0/$metadata#Collection(Edm.String)", "value": in,
	})
}
