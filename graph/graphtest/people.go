package graphtest

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// User is one user by the names of Graph's properties. Values are whatever encoding/json can encode; a json.RawMessage
// is taken as it is.
type User map[string]any

// Add adds users and returns their ids in order. What is missing gets what the service gives every user: an "id" (a
// GUID; one that is given is put into lower case), "userPrincipalName" (in the tenant's domain), "accountEnabled" (true), "userType" ("Member") and
// "createdDateTime" (now). A property that is nil is never set, these included. Add panics on an id that was used
// before and on a value that is not JSON, because both are mistakes of the test.
func (t *Tenant) Add(users ...User) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	ids := make([]string, len(users))
	for i, u := range users {
		id, err := t.add(u)
		if err != nil {
			panic("graphtest: Add: " + err.Error())
		}
		ids[i] = id
	}
	return ids
}

func (t *Tenant) add(u User) (string, error) {
	now := t.now()
	id, _ := u["id"].(string)
	if id = strings.ToLower(id); id == "" {
		id = t.makeID()
	}
	if t.taken(id) {
		return "", fmt.Errorf("the id %s is taken", id)
	}
	whole := User{
		"userPrincipalName": "user" + strings.ReplaceAll(id, "-", "") + "@" + t.identity().Domain,
		"accountEnabled":    true,
		"userType":          "Member",
		"createdDateTime":   now.UTC().Format(time.RFC3339),
	}
	for k, v := range u {
		whole[k] = v
	}
	values, err := t.people.values(whole)
	if err != nil {
		return "", err
	}
	var attrs []byte
	for _, v := range values {
		if !isNull(v.raw) {
			attrs = appendPacked(attrs, v.prop, v.raw)
		}
	}
	t.people.create(now, id, attrs)
	return id, nil
}

// values encodes properties in order of their names; the id is left out.
func (d *directory) values(props map[string]any) ([]oldValue, error) {
	names := make([]string, 0, len(props))
	for name := range props {
		if name != "id" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	out := make([]oldValue, 0, len(names))
	for _, name := range names {
		raw, err := marshal(props[name])
		if err != nil {
			return nil, fmt.Errorf("property %s: %w", name, err)
		}
		out = append(out, oldValue{d.number(name), raw})
	}
	return out, nil
}

// makeID makes up the next GUID. Equal tenants make equal ids.
func (t *Tenant) makeID() string {
	for {
		t.people.made++
		id := guid(t.identity().ID, "user", fmt.Sprint(t.people.made))
		if _, ok := t.people.byID[id]; !ok {
			return id
		}
	}
}

// guid makes a GUID of version 4 that depends on parts alone.
func guid(parts ...string) string {
	h := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	h[6], h[8] = h[6]&0x0f|0x40, h[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// Update sets properties of a present user as PATCH does: those not named stay as they are, nil clears. A value that
// is the same already is no change. It panics on a user who is not present.
func (t *Tenant) Update(id string, props map[string]any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.people.must("Update", id, present)
	values, err := t.people.values(props)
	if err != nil {
		panic("graphtest: Update: " + err.Error())
	}
	t.people.assign(t.now(), i, values)
}

// must returns the index of an object in one of the given states and panics when it is in another.
func (d *directory) must(op, id string, states ...state) uint32 {
	o, i := d.find(id)
	if o == nil || !slices.Contains(states, o.state) {
		panic("graphtest: " + op + ": no such " + strings.TrimSuffix(d.set(), "s") + ": " + id)
	}
	return i
}

// Delete soft-deletes a present user, who can be restored for thirty days. It panics on a user who is not present.
func (t *Tenant) Delete(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.delete(&t.people, t.people.must("Delete", id, present))
}

func (t *Tenant) delete(d *directory, i uint32) {
	now := t.now()
	o := &d.objects[i]
	o.state, o.deleted = softDeleted, now.UnixNano()
	d.living--
	d.record(now, i, deleted, nil)
	d.bin = append(d.bin, binned{i, o.deleted})
}

// purge deletes a soft-deleted object for good, and with it the links to it.
func (t *Tenant) purge(d *directory, i uint32) {
	d.objects[i].state = hardDeleted
	d.record(t.now(), i, purged, nil)
	member := userRef | ref(i)
	if d.members != nil {
		member = groupRef | ref(i)
	}
	t.unlink(member)
}

// restore brings a soft-deleted object back.
func (t *Tenant) restore(d *directory, i uint32) {
	d.objects[i].state = present
	d.living++
	d.record(t.now(), i, restored, nil)
}

// Purge deletes a user for good; one who is present is soft-deleted first. It panics on a user who is neither.
func (t *Tenant) Purge(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.people.must("Purge", id, present, softDeleted)
	if t.people.objects[i].state == present {
		t.delete(&t.people, i)
	}
	t.purge(&t.people, i)
}

// Restore brings a soft-deleted user back as they were. It panics on a user who is not soft-deleted.
func (t *Tenant) Restore(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep()
	t.restore(&t.people, t.people.must("Restore", id, softDeleted))
}

// retention is how long a soft-deleted user can be restored.
const retention = 30 * 24 * time.Hour

// sweep deletes for good whatever was soft-deleted too long ago.
func (t *Tenant) sweep() {
	for _, d := range []*directory{&t.people, t.teams()} {
		if len(d.bin) == 0 {
			continue
		}
		limit := t.now().Add(-retention).UnixNano()
		for len(d.bin) > 0 && d.bin[0].at <= limit {
			b := d.bin[0]
			d.bin = d.bin[1:]
			// Who was restored meanwhile, and perhaps deleted again, is none of this entry's business.
			if o := &d.objects[b.object]; o.state == softDeleted && o.deleted == b.at {
				t.purge(d, b.object)
			}
		}
	}
}

// SetManager makes managerID the manager of the present user id; an empty managerID leaves them without.
func (t *Tenant) SetManager(id, managerID string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.people.must("SetManager", id, present)
	if managerID != "" {
		t.people.must("SetManager", managerID, present)
	}
	t.setManager(i, managerID)
}

// setManager changes the link to the manager and reports whether that was a change.
func (t *Tenant) setManager(i uint32, managerID string) bool {
	prop := t.people.number(managerProperty)
	before, had := get(t.people.objects[i].attrs, prop)
	raw := []byte(managerID)
	switch {
	case managerID != "":
	case !had || before[0] == '-':
		return false
	default:
		// The id of the former manager is kept, because the tombstone of the link names it.
		raw = append([]byte{'-'}, before...)
	}
	t.people.assign(t.now(), i, []oldValue{{prop, raw}})
	return true
}

// managerProperty is the name under which an object keeps the id of its manager: bare, or after a minus the id of the
// one it had.
const managerProperty = "manager"

// User returns a present user's properties, "id" included and those never set or cleared left out, and whether there
// is such a user. Values are json.RawMessage.
func (t *Tenant) User(id string) (User, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o, _ := t.people.find(id)
	if o == nil || o.state != present {
		return nil, false
	}
	return t.people.properties(o), true
}

// properties are those of an object that are set.
func (d *directory) properties(o *object) User {
	u := User{"id": o.id}
	for b := o.attrs; len(b) > 0; {
		var p int
		var raw []byte
		p, raw, b = next(b)
		switch name := d.names[p]; {
		case isNull(raw):
		case name != managerProperty || d.members != nil:
			u[name] = json.RawMessage(slices.Clone(raw))
		case raw[0] != '-':
			u[name] = string(raw)
		}
	}
	return u
}

// Users returns the present users in the order in which they were added.
func (t *Tenant) Users() []User {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []User
	for i := range t.people.objects {
		if o := &t.people.objects[i]; o.state == present {
			out = append(out, t.people.properties(o))
		}
	}
	return out
}

// IDs returns the ids of the present users in the order in which they were added. It is much cheaper than Users.
func (t *Tenant) IDs() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	for i := range t.people.objects {
		if o := &t.people.objects[i]; o.state == present {
			out = append(out, o.id)
		}
	}
	return out
}
