package graphtest

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// createUser answers POST /users.
func (q *request) createUser() answer {
	if !q.has(createRoles()) || q.t.Faults.Denied {
		return q.denied()
	}
	body, r := q.object()
	if r != nil {
		return q.refused(r)
	}
	for _, name := range []string{"employeeLeaveDateTime", "identities"} {
		if _, ok := body[name]; ok && !q.mayUpdate(name) {
			return q.denied()
		}
	}
	values, r := q.userValues(body, nil)
	if r != nil {
		return q.refused(r)
	}
	for _, name := range []string{"accountEnabled", "displayName", "mailNickname", "passwordProfile", "userPrincipalName"} {
		if values[name] == nil {
			return q.refused(aboutProperty(name, "MissingValue", "A value is required for property '"+name+"' of resource 'User'."))
		}
	}
	upn, _ := text(values["userPrincipalName"])
	if r := q.domainOf(upn, values["onPremisesImmutableId"]); r != nil {
		return q.refused(r)
	}
	s, given, r := q.readSecret(values["passwordProfile"], upn)
	if r == nil && !given {
		r = invalid("passwordProfile", "User")
	}
	if r == nil {
		r = q.conflict(&q.t.people, nobody, values, q.t.Faults.UniqueNicknames)
	}
	if r != nil {
		return q.refused(r)
	}
	delete(values, "passwordProfile")
	u := User{}
	for name, raw := range values {
		u[name] = raw
	}
	id, err := q.t.add(u)
	if err != nil {
		return q.fail(http.StatusInternalServerError, "generalException", err.Error())
	}
	q.t.keepSecret(id, s)
	return q.made(&q.t.people, id)
}

func (t *Tenant) keepSecret(id string, s secret) {
	if t.secrets == nil {
		t.secrets = make(map[string]secret)
	}
	t.secrets[id] = s
}

// userValues checks the properties of a creation or an update and returns them as they are kept, with the addresses that
// follow from a new mail. Attrs are what the user has, nil for a new one.
func (q *request) userValues(body map[string]json.RawMessage, attrs []byte) (map[string]json.RawMessage, *refusal) {
	d := &q.t.people
	values := make(map[string]json.RawMessage, len(body)+1)
	for _, name := range slices.Sorted(maps.Keys(body)) {
		raw := body[name]
		if isExtension(name) {
			if r := q.extensionRefusal(name, raw); r != nil {
				return nil, r
			}
			values[name] = raw
			continue
		}
		rule, before := userRule(name), json.RawMessage(nil)
		if n, ok := d.numbers[name]; ok {
			if was, _ := get(attrs, n); !isNull(was) {
				before = was
			}
		}
		switch {
		case strings.HasSuffix(name, "@odata.bind"):
			return nil, refuse("The navigation property '" + strings.TrimSuffix(name, "@odata.bind") + "' cannot be set in this request. Use $ref.")
		case rule.kind == elsewhere && len(body) > 1:
			return nil, refuse("The property '" + name + "' cannot be updated together with other properties.")
		case rule.kind == elsewhere:
			return nil, &refusal{status: http.StatusForbidden, code: "Authorization_RequestDenied", message: "Insufficient privileges to complete the operation."}
		case rule.kind == readOnly && (d.known(name) || d.untrackable(name)):
			return nil, aboutProperty(name, "ReadOnly", "Property '"+name+"' is read-only and cannot be set.")
		case rule.kind == readOnly:
			return nil, refuse("One or more property values specified are invalid. Could not find a property named '" + name + "' on type 'microsoft.graph.user'.")
		}
		kept, ok := rule.normal(raw, before)
		if !ok && rule.kind == principal {
			return nil, aboutProperty(name, "InvalidValue", "Property userPrincipalName is invalid.")
		}
		if !ok {
			return nil, invalid(name, "User")
		}
		values[name] = kept
	}
	if mail, ok := text(values["mail"]); ok {
		values["proxyAddresses"] = d.withPrimary(attrs, mail)
	}
	return values, nil
}

// extensionRefusal refuses a directory extension that is not defined for users, or a value that it cannot have.
func (q *request) extensionRefusal(name string, raw json.RawMessage) *refusal {
	client := q.t.identity().ClientID
	for _, e := range q.t.Extensions {
		if e.property(client) != name || e.Targets != nil && !slices.Contains(e.Targets, "User") {
			continue
		}
		if !e.extensionValue(raw) {
			return invalid(name, "User")
		}
		return nil
	}
	return refuse("The following extension properties are not available: " + name + ".")
}

// withPrimary are the proxy addresses of a user who is given a mail: it becomes the primary one, and the one that was
// stays as a secondary (Graph reference, user resource: changing mail updates proxyAddresses).
func (d *directory) withPrimary(attrs []byte, mail string) json.RawMessage {
	var was []byte
	if n, ok := d.numbers["proxyAddresses"]; ok {
		was, _ = get(attrs, n)
	}
	all := []string{"SMTP:" + mail}
	for _, a := range proxies(was) {
		if bareAddress(a) == strings.ToLower(mail) {
			continue
		}
		if rest, ok := strings.CutPrefix(a, "SMTP:"); ok {
			a = "smtp:" + rest
		}
		all = append(all, a)
	}
	raw, err := marshal(all)
	if err != nil { // strings can always be encoded
		return nil
	}
	return raw
}

// target finds the present user of a key for a write. Who is not visible yet to the replica that answers is not there, and
// neither is who is gone already.
func (q *request) target(key string) (*object, uint32) {
	o, _, st := q.lookUp(key)
	if st != present || o.state != present {
		return nil, 0
	}
	return o, q.t.people.byID[o.id]
}

// updateUser answers PATCH /users/{id or name}.
func (q *request) updateUser() answer {
	body, r := q.object()
	if r != nil {
		return q.refused(r)
	}
	if q.t.Faults.Denied || len(body) == 0 && !q.mayUpdate("displayName") {
		return q.denied()
	}
	for name := range body {
		if !q.mayUpdate(name) {
			return q.denied()
		}
	}
	key, _ := userKey(q.path)
	o, i := q.target(key)
	if o == nil {
		return q.notFound(key)
	}
	for name := range body {
		if sensitive(name) && q.shielded(o.id) {
			return q.denied()
		}
	}
	d := &q.t.people
	values, r := q.userValues(body, o.attrs)
	if r == nil {
		r = q.masteredElsewhere(d, o, values)
	}
	if upn, ok := text(values["userPrincipalName"]); r == nil && ok {
		r = q.domainOf(upn, d.value(o, values, "onPremisesImmutableId"))
	}
	var s secret
	var given bool
	if raw, ok := values["passwordProfile"]; r == nil && ok {
		upn, _ := text(d.value(o, values, "userPrincipalName"))
		s, given, r = q.readSecret(raw, upn)
	}
	if r == nil {
		r = q.conflict(d, i, values, q.t.Faults.UniqueNicknames)
	}
	if r != nil {
		return q.refused(r)
	}
	if _, ok := values["passwordProfile"]; ok {
		if !given {
			s.hash = q.t.secrets[o.id].hash
		}
		q.t.keepSecret(o.id, s)
		delete(values, "passwordProfile")
	}
	if err := q.t.assignAll(d, i, values); err != nil {
		return q.fail(http.StatusInternalServerError, "generalException", err.Error())
	}
	return q.changed(d, o.id)
}

// value is a property as it will be once values are assigned.
func (d *directory) value(o *object, values map[string]json.RawMessage, name string) json.RawMessage {
	if raw, ok := values[name]; ok {
		return raw
	}
	if n, ok := d.numbers[name]; ok {
		raw, _ := get(o.attrs, n)
		return raw
	}
	return nil
}

// assignAll writes checked values to an object.
func (t *Tenant) assignAll(d *directory, i uint32, values map[string]json.RawMessage) error {
	props := make(map[string]any, len(values))
	for name, raw := range values {
		props[name] = raw
	}
	encoded, err := d.values(props)
	if err != nil {
		return err
	}
	d.assign(t.now(), i, encoded)
	return nil
}

// masteredElsewhere refuses to change what an object that is synchronized from a directory on premises gets from there.
func (q *request) masteredElsewhere(d *directory, o *object, values map[string]json.RawMessage) *refusal {
	if !d.synced(o) {
		return nil
	}
	for name := range values {
		if !q.cloudOwned(name) {
			return refuse("Unable to update the specified properties for on-premises mastered Directory Sync objects or objects currently undergoing migration.")
		}
	}
	return nil
}

// synced tells objects that are synchronized from a directory on premises.
func (d *directory) synced(o *object) bool {
	n, ok := d.numbers["onPremisesSyncEnabled"]
	if !ok {
		return false
	}
	raw, _ := get(o.attrs, n)
	return string(raw) == "true"
}

// cloudOwned tells the properties of a synchronized object that are the cloud's own, as far as they are known.
func (q *request) cloudOwned(name string) bool {
	switch name {
	case "ageGroup", "consentProvidedForMinor", "preferredDataLocation", "usageLocation":
		return true
	}
	client := q.t.identity().ClientID
	return isExtension(name) && !slices.ContainsFunc(q.t.Extensions, func(e Extension) bool { return e.OnPremises && e.property(client) == name })
}

// deleteUser deletes a user softly.
func (q *request) deleteUser(key string) answer {
	if !q.has(deleteRoles()) || q.t.Faults.Denied {
		return q.denied()
	}
	o, i := q.target(key)
	switch {
	case o == nil:
		return q.notFound(key)
	case q.shielded(o.id):
		return q.denied()
	}
	q.t.delete(&q.t.people, i)
	return answer{status: http.StatusNoContent}
}
