package graphtest

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// maxBind is how many members one request can add (Graph reference, group: add members; group: create).
const maxBind = 20

const bindMembers = membersProperty + "@odata.bind"

// createGroup answers POST /groups.
func (q *request) createGroup() answer {
	if !q.has(groupCreateRoles()) || q.t.Faults.Denied {
		return q.denied()
	}
	body, r := q.object()
	if r != nil {
		return q.refused(r)
	}
	// Group.Create alone lets an application name only members that it can read.
	if body[bindMembers] != nil && !q.has(memberRoles()) && !q.has(userRoles()) {
		return q.denied()
	}
	members, a, ok := q.bound(body, bindMembers)
	if !ok {
		return a
	}
	if _, a, ok = q.bound(body, "owners@odata.bind"); !ok {
		return a // owners must exist, but nobody owns a group here
	}
	values, r := q.groupValues(body)
	if r == nil {
		r = q.newGroup(values)
	}
	if r == nil {
		r = q.conflict(q.t.teams(), nobody, values, slices.Contains(proxies(values["groupTypes"]), unified))
	}
	if r != nil {
		return q.refused(r)
	}
	if string(values["isAssignableToRole"]) == "true" && !slices.Contains(q.roles, assignableRole) {
		return q.denied()
	}
	g := Group{}
	for name, raw := range values {
		g[name] = raw
	}
	id, err := q.t.addGroup(g)
	if err != nil {
		return q.fail(http.StatusInternalServerError, "generalException", err.Error())
	}
	d := q.t.teams()
	if len(members) > 0 {
		_, i := d.find(id)
		q.t.turn(i, nil, members)
	}
	return q.made(d, id)
}

// newGroup refuses a group that lacks what every one needs, or is of a kind that Graph cannot make: groups that are
// enabled for mail must be Microsoft 365 groups and the other way round.
func (q *request) newGroup(values map[string]json.RawMessage) *refusal {
	for _, name := range []string{"displayName", "mailEnabled", "mailNickname", "securityEnabled"} {
		if values[name] == nil {
			return aboutProperty(name, "MissingValue", "A value is required for property '"+name+"' of resource 'Group'.")
		}
	}
	types := proxies(values["groupTypes"])
	m365, mail := slices.Contains(types, unified), string(values["mailEnabled"]) == "true"
	dynamic := slices.Contains(types, "DynamicMembership")
	_, hasRule := text(values["membershipRule"])
	switch {
	case mail && !m365:
		return refuse("The service does not currently support writes of mail-enabled groups. Please ensure that the mail-enablement property is unset and the security-enablement property is set.")
	case m365 && !mail:
		return invalid("mailEnabled", "Group")
	case !mail && string(values["securityEnabled"]) != "true":
		return invalid("securityEnabled", "Group")
	case dynamic != hasRule:
		return invalid("membershipRule", "Group")
	case slices.ContainsFunc(types, func(s string) bool { return s != unified && s != "DynamicMembership" }):
		return invalid("groupTypes", "Group")
	case string(values["visibility"]) == `"HiddenMembership"` && !m365:
		return invalid("visibility", "Group")
	}
	return nil
}

// groupValues checks the properties of a creation or an update.
func (q *request) groupValues(body map[string]json.RawMessage) (map[string]json.RawMessage, *refusal) {
	d := q.t.teams()
	values := make(map[string]json.RawMessage, len(body))
	for _, name := range slices.Sorted(maps.Keys(body)) {
		rule := groupRule(name)
		switch {
		case strings.HasSuffix(name, "@odata.bind"):
			continue
		case rule.kind == readOnly && (d.known(name) || d.untrackable(name)):
			return nil, aboutProperty(name, "ReadOnly", "Property '"+name+"' is read-only and cannot be set.")
		case rule.kind == readOnly:
			return nil, refuse("One or more property values specified are invalid. Could not find a property named '" + name + "' on type 'microsoft.graph.group'.")
		}
		kept, ok := rule.normal(body[name], nil)
		if !ok {
			return nil, invalid(name, "Group")
		}
		values[name] = kept
	}
	return values, nil
}

// bound reads a list of links and finds the objects at their ends.
func (q *request) bound(body map[string]json.RawMessage, name string) ([]ref, answer, bool) {
	raw, ok := body[name]
	if !ok {
		return nil, answer{}, true
	}
	var links []string
	if json.Unmarshal(raw, &links) != nil || links == nil {
		return nil, q.badLink(), false
	}
	if len(links) > maxBind {
		return nil, q.refused(refuse("The number of links in '" + name + "' exceeds the maximum of 20.")), false
	}
	refs := make([]ref, 0, len(links))
	for _, link := range links {
		m, a, ok := q.linked(link)
		if !ok {
			return nil, a, false
		}
		if slices.Contains(refs, m) {
			return nil, q.refused(alreadyThere()), false
		}
		refs = append(refs, m)
	}
	return refs, answer{}, true
}

func alreadyThere() *refusal {
	return refuse("One or more added object references already exist for the following modified properties: 'members'.")
}

// linked finds the object at the end of a link, which must be there and of the kind that the link says.
func (q *request) linked(link string) (ref, answer, bool) {
	set, key, ok := parseLink(link, q.r.Host)
	if !ok {
		return 0, q.badLink(), false
	}
	m, ok := q.t.lookRef(strings.ToLower(key))
	if ok && q.t.present(m, q.views()) && q.t.present(m, latest()) {
		kind, _, _ := q.t.who(m)
		of := map[string]string{"users": userObject, "groups": groupObject, "devices": Device.odataType(),
			"servicePrincipals": ServicePrincipal.odataType(), "contacts": OrgContact.odataType()}[set]
		if of == "" || of == kind {
			return m, answer{}, true
		}
	}
	return 0, q.notFound(key), false
}

// groupTarget finds the present group of a key for a write, as target does for users.
func (q *request) groupTarget(key string) (*object, uint32) {
	o, i, _ := q.findGroup(key)
	if o == nil || o.state != present {
		return nil, 0
	}
	return o, i
}

// guarded refuses to change a group that takes a permission of its own.
func (q *request) guarded(o *object) bool {
	d := q.t.teams()
	return string(d.value(o, nil, "isAssignableToRole")) == "true" && !slices.Contains(q.roles, assignableRole)
}

// updateGroup answers PATCH /groups/{id}, which changes properties, adds members, or both or neither.
func (q *request) updateGroup() answer {
	body, r := q.object()
	if r != nil {
		return q.refused(r)
	}
	roles := groupUpdateRoles()
	if _, adds := body[bindMembers]; adds && len(body) == 1 {
		roles = memberRoles()
	}
	if !q.has(roles) || q.t.Faults.Denied {
		return q.denied()
	}
	d := q.t.teams()
	key, _ := groupKey(q.path)
	o, i := q.groupTarget(key)
	switch {
	case o == nil:
		return q.notFound(key)
	case q.guarded(o):
		return q.denied()
	}
	values, r := q.groupValues(body)
	for _, name := range []string{"groupTypes", "isAssignableToRole", "mailEnabled"} {
		if raw := values[name]; r == nil && raw != nil && string(raw) != string(d.value(o, nil, name)) {
			r = aboutProperty(name, "ReadOnly", "Property '"+name+"' is read-only and cannot be set.")
		}
	}
	if r == nil && d.synced(o) {
		r = q.masteredElsewhere(d, o, map[string]json.RawMessage{"displayName": nil})
	}
	if r == nil {
		r = q.conflict(d, i, values, d.isUnified(o))
	}
	if r != nil {
		return q.refused(r)
	}
	members, a, ok := q.bound(body, bindMembers)
	if !ok {
		return a
	}
	if a, ok := q.joinable(o, i, members); !ok {
		return a
	}
	if err := q.t.assignAll(d, i, values); err != nil {
		return q.fail(http.StatusInternalServerError, "generalException", err.Error())
	}
	if len(members) > 0 {
		q.t.turn(i, nil, members)
	}
	return q.changed(d, o.id)
}

// joinable refuses members that a group cannot have or has already.
func (q *request) joinable(o *object, i uint32, members []ref) (answer, bool) {
	d := q.t.teams()
	if len(members) == 0 {
		return answer{}, true
	}
	if a, ok := q.membersWritable(o); !ok {
		return a, false
	}
	now := d.links(i)
	for _, m := range members {
		at, known := now.where[m]
		switch {
		case known && len(now.links[at].turns)%2 == 1:
			return q.refused(alreadyThere()), false
		case m == groupRef|ref(i):
			return q.refused(refuse("A group cannot be a member of itself.")), false
		case d.isUnified(o) && m.kind() == groupRef:
			return q.refused(refuse("Nesting is currently not supported for groups of this type.")), false
		}
	}
	return answer{}, true
}

// membersWritable refuses to write the membership of groups that get it from elsewhere.
func (q *request) membersWritable(o *object) (answer, bool) {
	d := q.t.teams()
	switch {
	case q.guarded(o), slices.Contains(d.groupTypes(o), "DynamicMembership"):
		return q.denied(), false
	case d.synced(o):
		return q.refused(q.masteredElsewhere(d, o, map[string]json.RawMessage{membersProperty: nil})), false
	case string(d.value(o, nil, "mailEnabled")) == "true" && !d.isUnified(o):
		return q.refused(refuse("Cannot Update a mail-enabled security groups and or distribution list.")), false
	}
	return answer{}, true
}

// deleteGroup answers DELETE /groups/{id}.
func (q *request) deleteGroup() answer {
	if !q.has(groupDeleteRoles()) || q.t.Faults.Denied {
		return q.denied()
	}
	key, _ := groupKey(q.path)
	o, i := q.groupTarget(key)
	switch {
	case o == nil:
		return q.notFound(key)
	case q.guarded(o):
		return q.denied()
	case q.t.teams().synced(o):
		return q.refused(q.masteredElsewhere(q.t.teams(), o, map[string]json.RawMessage{"displayName": nil}))
	}
	q.t.dropGroup(i)
	return answer{status: http.StatusNoContent}
}

// changeMembers answers POST /groups/{id}/members/$ref and DELETE /groups/{id}/members/{id}/$ref. Where the second lacks
// its last segment it is about the member and no longer about the link: the service then deletes the user (Graph
// reference, group: remove member, the warning).
func (q *request) changeMembers() answer {
	key, rest := groupKey(q.path)
	if q.r.Method == http.MethodDelete && len(rest) == 2 {
		return q.deleteUser(rest[1])
	}
	if !q.has(memberRoles()) || q.t.Faults.Denied {
		return q.denied()
	}
	o, i := q.groupTarget(key)
	if o == nil {
		return q.notFound(key)
	}
	if q.r.Method == http.MethodDelete {
		m, ok := q.t.lookRef(strings.ToLower(rest[1]))
		if at, known := q.t.teams().links(i).where[m]; !ok || !known || len(q.t.teams().links(i).links[at].turns)%2 == 0 {
			return q.notFound(rest[1])
		}
		if a, ok := q.membersWritable(o); !ok {
			return a
		}
		q.t.turn(i, []ref{m}, nil)
		return answer{status: http.StatusNoContent}
	}
	body, r := q.object()
	if r != nil {
		return q.refused(r)
	}
	link, _ := text(body["@odata.id"])
	m, a, ok := q.linked(link)
	if !ok {
		return a
	}
	if a, ok := q.joinable(o, i, []ref{m}); !ok {
		return a
	}
	q.t.turn(i, nil, []ref{m})
	return answer{status: http.StatusNoContent}
}
