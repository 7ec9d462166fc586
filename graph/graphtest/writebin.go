package graphtest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// changeManager answers PUT and DELETE of users/{id or name}/manager/$ref.
func (q *request) changeManager() answer {
	if !q.has(managerRoles()) || q.t.Faults.Denied {
		return q.denied()
	}
	boss := ""
	if q.r.Method == http.MethodPut {
		body, r := q.object()
		if r != nil {
			return q.refused(r)
		}
		link, ok := text(body["@odata.id"])
		set, key, found := parseLink(link, q.r.Host)
		if !ok || !found || set != "users" && set != "directoryObjects" {
			return q.badLink()
		}
		o, _ := q.target(key)
		if o == nil {
			return q.notFound(key)
		}
		boss = o.id
	}
	key, _ := userKey(q.path)
	o, i := q.target(key)
	if o == nil {
		return q.notFound(key)
	}
	if r := q.masteredElsewhere(&q.t.people, o, map[string]json.RawMessage{managerProperty: nil}); r != nil {
		return q.refused(r)
	}
	if !q.t.setManager(i, boss) {
		return q.notFound(managerProperty)
	}
	return answer{status: http.StatusNoContent}
}

func (q *request) badLink() answer {
	return q.fail(http.StatusBadRequest, "Request_BadRequest", "Invalid URL format specified in @odata.id or @odata.bind: it must be the address of an object, as https://graph.microsoft.com/v1.0/directoryObjects/{id}.")
}

// parseLink reads the address of an object, as bodies name it in @odata.id and @odata.bind: absolute, of this server or of
// the public one, and of an object in users, groups or directoryObjects.
func parseLink(link, host string) (set, key string, ok bool) {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "https" || u.Host != host && u.Host != "graph.microsoft.com" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", "", false
	}
	path := split(u.Path)
	if len(path) < 2 || path[0] != "v1.0" && path[0] != "beta" {
		return "", "", false
	}
	set = path[1]
	if before, inner, found := strings.Cut(set, "('"); found && len(path) == 2 {
		set, key = before, strings.TrimSuffix(inner, "')")
	} else if len(path) == 3 {
		key = path[2]
	}
	switch set {
	case "users", "groups", "directoryObjects", "devices", "servicePrincipals", "contacts":
		return set, key, key != ""
	}
	return "", "", false
}

// binned finds an object in the bin, which the replica that answers must know of.
func (q *request) binned(key string) (*directory, *object, uint32) {
	for _, d := range []*directory{&q.t.people, q.t.teams()} {
		o, i := d.find(strings.ToLower(key))
		if o == nil {
			continue
		}
		if _, st := q.shown(d, o); st == softDeleted && o.state == softDeleted {
			return d, o, i
		}
	}
	return nil, nil, 0
}

// mayTouchBin tells whether an object can be brought back or deleted for good.
func (q *request) mayTouchBin(d *directory) bool {
	if q.t.Faults.Denied {
		return false
	}
	if d.members != nil {
		return q.has(groupDeleteRoles())
	}
	return q.has(deleteRoles())
}

// purgeDeleted answers DELETE /directory/deletedItems/{id}.
func (q *request) purgeDeleted() answer {
	d, o, i := q.binned(q.path[3])
	switch {
	case o == nil && !q.mayTouchBin(&q.t.people) && !q.mayTouchBin(q.t.teams()), o != nil && (!q.mayTouchBin(d) || q.shielded(o.id)):
		return q.denied()
	case o == nil:
		return q.notFound(q.path[3])
	}
	q.t.purge(d, i)
	return answer{status: http.StatusNoContent}
}

// restoreDeleted answers POST /directory/deletedItems/{id}/restore. A user whose name or address somebody else has by now
// stays where they are, unless the request gives them another name or lets go of the addresses (Graph reference, restore
// deleted item).
func (q *request) restoreDeleted() answer {
	var asked struct {
		Reconcile bool    `json:"autoReconcileProxyConflict"`
		Name      *string `json:"newUserPrincipalName"`
	}
	if len(q.body) > 0 && json.Unmarshal(q.body, &asked) != nil {
		return q.fail(http.StatusBadRequest, "BadRequest", "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.")
	}
	d, o, i := q.binned(q.path[3])
	switch {
	case o == nil && !q.mayTouchBin(&q.t.people) && !q.mayTouchBin(q.t.teams()), o != nil && (!q.mayTouchBin(d) || q.shielded(o.id)):
		return q.denied()
	case o == nil:
		return q.notFound(q.path[3])
	}
	values := map[string]json.RawMessage{}
	if d.members == nil {
		var r *refusal
		if values, r = q.reclaim(o, i, asked.Name, asked.Reconcile); r != nil {
			return q.refused(r)
		}
	}
	q.t.restore(d, i)
	if err := q.t.assignAll(d, i, values); err != nil {
		return q.fail(http.StatusInternalServerError, "generalException", err.Error())
	}
	sel := d.choose(nil, false)
	b := append(append([]byte(`{"@odata.context":"`), q.base()...), `/v1.0/$metadata#directoryObjects/$entity","@odata.type":"`...)
	b = append(append(b, d.odataType()...), `",`...)
	return answer{status: http.StatusOK, body: append(q.appendPlain(b, d, o, o.attrs, &sel), '}')}
}

// reclaim refuses to bring a user back whose name, address or immutable id somebody else has, and returns what is to be
// different about them.
func (q *request) reclaim(o *object, i uint32, name *string, reconcile bool) (map[string]json.RawMessage, *refusal) {
	d := &q.t.people
	values := map[string]json.RawMessage{}
	if name != nil {
		if !isPrincipal(*name) {
			return nil, aboutProperty("userPrincipalName", "InvalidValue", "Property userPrincipalName is invalid.")
		}
		if r := q.domainOf(*name, d.value(o, nil, "onPremisesImmutableId")); r != nil {
			return nil, r
		}
		values["userPrincipalName"] = appendString(nil, *name)
	}
	unique := map[string]json.RawMessage{
		"userPrincipalName":     d.value(o, values, "userPrincipalName"),
		"onPremisesImmutableId": d.value(o, values, "onPremisesImmutableId"),
	}
	if r := q.conflict(d, i, unique, false); r != nil {
		return nil, r
	}
	kept := []string{}
	before := proxies(d.value(o, nil, "proxyAddresses"))
	if mail, ok := text(d.value(o, nil, "mail")); ok && len(before) == 0 {
		before = []string{"SMTP:" + mail}
	}
	for _, a := range before {
		owner := q.owner(d, i, byAddress+bareAddress(a))
		if owner == "" {
			kept = append(kept, a)
		} else if !reconcile {
			return nil, q.taken("proxyAddresses", owner)
		}
	}
	if len(kept) == len(before) {
		return values, nil
	}
	raw, err := marshal(kept)
	if err != nil {
		return nil, invalid("proxyAddresses", "User")
	}
	values["proxyAddresses"] = raw
	if mail, ok := text(d.value(o, nil, "mail")); ok && q.owner(d, i, byAddress+strings.ToLower(mail)) != "" {
		values["mail"] = json.RawMessage("null")
	}
	return values, nil
}
