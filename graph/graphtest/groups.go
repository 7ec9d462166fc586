package graphtest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Group is one group by the names of Graph's properties. Values are whatever encoding/json can encode; a
// json.RawMessage is taken as it is.
type Group map[string]any

// ObjectKind is a kind of object that can be a member of a group, beside users and groups.
type ObjectKind string

// The kinds of object that are known by a display name alone.
const (
	Device           ObjectKind = "device"
	ServicePrincipal ObjectKind = "servicePrincipal"
	OrgContact       ObjectKind = "orgContact"
)

func (k ObjectKind) odataType() string { return "#microsoft.graph." + string(k) }

// other is an object of such a kind. It is always there.
type other struct {
	id, name string
	kind     ObjectKind
}

// teams is the directory of groups; t.mu is held.
func (t *Tenant) teams() *directory {
	if t.groups.members == nil {
		t.groups.members = &memberships{}
	}
	return &t.groups
}

// AddGroup adds groups without members and returns their ids in order. What is missing gets what the service gives: an
// "id", "displayName" ("Group" and a number), "groupTypes" (none, a security group), "mailEnabled" (false),
// "securityEnabled" (true) and "createdDateTime" (now). A property that is nil is never set, these included. It panics
// on an id that was used before and on a value that is not JSON, because both are mistakes of the test.
func (t *Tenant) AddGroup(groups ...Group) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	ids := make([]string, len(groups))
	for i, g := range groups {
		id, err := t.addGroup(g)
		if err != nil {
			panic("graphtest: AddGroup: " + err.Error())
		}
		ids[i] = id
	}
	return ids
}

func (t *Tenant) addGroup(g Group) (string, error) {
	d, now := t.teams(), t.now()
	id, _ := g["id"].(string)
	for id = strings.ToLower(id); id == "" || t.taken(id) && g["id"] == nil; {
		d.made++
		id = guid(t.identity().ID, "group", fmt.Sprint(d.made))
	}
	if t.taken(id) {
		return "", fmt.Errorf("the id %s is taken", id)
	}
	whole := Group{
		"displayName": fmt.Sprint("Group ", len(d.objects)+1), "groupTypes": []string{}, "mailEnabled": false,
		"securityEnabled": true, "createdDateTime": now.UTC().Format(time.RFC3339),
	}
	for k, v := range g {
		whole[k] = v
	}
	values, err := d.values(whole)
	if err != nil {
		return "", err
	}
	var attrs []byte
	for _, v := range values {
		if !isNull(v.raw) {
			attrs = appendPacked(attrs, v.prop, v.raw)
		}
	}
	d.create(now, id, attrs)
	return id, nil
}

// taken tells whether any object ever had an id.
func (t *Tenant) taken(id string) bool {
	_, ok := t.lookRef(id)
	return ok
}

// lookRef finds any object by its id.
func (t *Tenant) lookRef(id string) (ref, bool) {
	if i, ok := t.people.byID[id]; ok {
		return userRef | ref(i), true
	}
	if i, ok := t.groups.byID[id]; ok {
		return groupRef | ref(i), true
	}
	i := slices.IndexFunc(t.others, func(o other) bool { return o.id == id })
	return otherRef | ref(max(i, 0)), i >= 0
}

// AddObjects adds devices, service principals or contacts with these display names, which exist only to be members of
// groups, and returns their ids in order.
func (t *Tenant) AddObjects(kind ObjectKind, names ...string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	ids := make([]string, len(names))
	for i, name := range names {
		ids[i] = guid(t.identity().ID, string(kind), fmt.Sprint(len(t.others)+1))
		t.others = append(t.others, other{ids[i], name, kind})
	}
	return ids
}

// UpdateGroup sets properties of a present group as PATCH does: those not named stay as they are, nil clears. It
// panics on a group that is not present.
func (t *Tenant) UpdateGroup(id string, props map[string]any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.teams()
	i := d.must("UpdateGroup", id, present)
	values, err := d.values(props)
	if err != nil {
		panic("graphtest: UpdateGroup: " + err.Error())
	}
	d.assign(t.now(), i, values)
}

// DeleteGroup deletes a present group: a Microsoft 365 group (its groupTypes name "Unified") softly, so that it can be
// restored for thirty days, any other for good unless Faults.SoftGroups is set. It panics on a group that is not
// present.
func (t *Tenant) DeleteGroup(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.teams()
	i := d.must("DeleteGroup", id, present)
	t.dropGroup(i)
}

// unified is the type of Microsoft 365 groups.
const unified = "Unified"

// isUnified tells Microsoft 365 groups.
func (d *directory) isUnified(o *object) bool { return slices.Contains(d.groupTypes(o), unified) }

func (d *directory) groupTypes(o *object) []string {
	var types []string
	if n, ok := d.numbers["groupTypes"]; ok {
		raw, _ := get(o.attrs, n)
		_ = json.Unmarshal(raw, &types) // what is no list of strings names no type
	}
	return types
}

// dropGroup deletes a present group, softly or for good.
func (t *Tenant) dropGroup(i uint32) {
	d := t.teams()
	t.delete(d, i)
	if !t.Faults.SoftGroups && !d.isUnified(&d.objects[i]) {
		t.purge(d, i)
	}
}

// RestoreGroup brings a soft-deleted group back, with its members. It panics on a group that is not soft-deleted.
func (t *Tenant) RestoreGroup(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep()
	t.restore(t.teams(), t.teams().must("RestoreGroup", id, softDeleted))
}

// PurgeGroup deletes a group for good; one that is present is soft-deleted first. It panics on one that is neither.
func (t *Tenant) PurgeGroup(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.teams()
	i := d.must("PurgeGroup", id, present, softDeleted)
	if d.objects[i].state == present {
		t.delete(d, i)
	}
	t.purge(d, i)
}

// AddMembers makes present users, groups and other objects members of a present group; who is one already stays one.
// Groups may contain each other in circles. It panics on an id that nobody present has.
func (t *Tenant) AddMembers(group string, members ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.teams().must("AddMembers", group, present)
	t.turn(i, nil, t.refs("AddMembers", members, true))
}

// RemoveMembers takes members out of a present group; who is none is left alone. It panics on an id that nobody ever
// had.
func (t *Tenant) RemoveMembers(group string, members ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.teams().must("RemoveMembers", group, present)
	t.turn(i, t.refs("RemoveMembers", members, false), nil)
}

// SetMembers makes a present group have exactly these members, in one change, as happens when the rule of a dynamic
// group is edited: with no members it drops all at once. Rules themselves are not evaluated here.
func (t *Tenant) SetMembers(group string, members ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.teams().must("SetMembers", group, present)
	keep := t.refs("SetMembers", members, true)
	kept := make(map[ref]bool, len(keep))
	for _, m := range keep {
		kept[m] = true
	}
	leave := slices.DeleteFunc(t.groups.links(i).now(), func(m ref) bool { return kept[m] })
	t.turn(i, leave, keep)
}

// refs finds objects and panics at the first that is not there; t.mu is held.
func (t *Tenant) refs(op string, ids []string, mustBePresent bool) []ref {
	out := make([]ref, len(ids))
	for i, id := range ids {
		m, ok := t.lookRef(id)
		if !ok || mustBePresent && !t.present(m, latest()) {
			panic("graphtest: " + op + ": no such object: " + id)
		}
		out[i] = m
	}
	return out
}

// latest shows everything as it is.
func latest() views { return views{^uint32(0), ^uint32(0)} }

// Groups returns the present groups in the order in which they were added, without what was never set or cleared.
// Values are json.RawMessage, "id" is a string.
func (t *Tenant) Groups() []Group {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.teams()
	var out []Group
	for i := range d.objects {
		if o := &d.objects[i]; o.state == present {
			out = append(out, Group(d.properties(o)))
		}
	}
	return out
}

// Members returns the ids of a group's direct members who are present, in the order in which they first joined. It
// panics on a group that never was.
func (t *Tenant) Members(group string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	for _, m := range t.teams().links(t.teams().must("Members", group, present, softDeleted, hardDeleted)).now() {
		if t.present(m, latest()) {
			_, id, _ := t.who(m)
			out = append(out, id)
		}
	}
	return out
}

// TransitiveUsers returns the ids, sorted, of the present users who are direct or indirect members of any of the groups:
// the truth that a client should arrive at. A group that is not present, nested ones included, has no members.
func (t *Tenant) TransitiveUsers(groups ...string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var from []uint32
	for _, id := range groups {
		if o, i := t.teams().find(id); o != nil && o.state == present {
			from = append(from, i)
		}
	}
	var out []string
	for _, m := range t.closure(latest(), nil, from...) {
		if m.kind() == userRef {
			out = append(out, t.people.objects[m.index()].id)
		}
	}
	slices.Sort(out)
	return out
}
