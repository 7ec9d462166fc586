package graphtest

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// organization answers with the tenant itself, as a collection of one.
func (q *request) organization() answer {
	who := q.t.identity()
	domains := []any{}
	for n, name := range q.t.verified() {
		domains = append(domains, map[string]any{"capabilities": "Email, OfficeCommunicationsOnline", "isDefault": name == who.Domain,
			"isInitial": n == 0, "name": name, "type": q.t.authentication(name)})
	}
	all := map[string]any{
		"id": who.ID, "displayName": who.Name, "tenantType": "AAD", "countryLetterCode": "DE",
		"createdDateTime": "2019-03-12T08:30:00Z", "onPremisesSyncEnabled": nil, "assignedPlans": []any{},
		"verifiedDomains": domains,
	}
	opt, err := parseOptions(q.query)
	if err != nil {
		return q.refuse(err)
	}
	if opt.fields != nil {
		maps.DeleteFunc(all, func(name string, _ any) bool { return name != "id" && !slices.Contains(opt.fields, name) })
	}
	return q.json(http.StatusOK, map[string]any{
		"@odata.context": q.base() + "/v1.0/$metadata#organization", "value": []any{all},
	})
}

// shown is the object as plain reads see it by now, which lag as delta rounds do.
func (q *request) shown(d *directory, o *object) ([]byte, state) {
	if view := q.t.visible(d, q.now); o.last > view {
		return d.at(o, view)
	}
	return o.attrs, o.state
}

// lookUp finds a user by id or, while present, by user principal name; letter case does not matter.
func (q *request) lookUp(key string) (o *object, attrs []byte, st state) {
	d := &q.t.people
	if o, _ := d.find(strings.ToLower(key)); o != nil {
		attrs, st = q.shown(d, o)
		return o, attrs, st
	}
	prop, ok := d.numbers["userPrincipalName"]
	if !ok {
		return nil, nil, absent
	}
	want := appendString(nil, key)
	all := len(d.objects)
	near, narrow := d.having([]string{byName + strings.ToLower(key)})
	if narrow = narrow && int(q.t.visible(d, q.now)) == len(d.log); narrow {
		all = len(near)
	}
	for i := range all {
		if narrow {
			i = int(near[i])
		}
		o := &d.objects[i]
		if attrs, st := q.shown(d, o); st == present {
			if upn, _ := get(attrs, prop); strings.EqualFold(string(upn), string(want)) {
				return o, attrs, st
			}
		}
	}
	return nil, nil, absent
}

func (q *request) notFound(key string) answer {
	return q.fail(http.StatusNotFound, "Request_ResourceNotFound",
		"Resource '"+key+"' does not exist or one of its queried reference-property objects are not present.")
}

// plainOptions reads the options of a look-up.
func (q *request) plainOptions(d *directory) (options, selection, error) {
	opt, err := parseOptions(q.query)
	if err != nil {
		return opt, selection{}, err
	}
	if opt.hasFilter || opt.search != "" || opt.orderby != "" {
		return opt, selection{}, badQuery("Request_UnsupportedQuery", "A single object cannot be filtered, searched or ordered.")
	}
	sel, err := q.plainSelection(d, &opt)
	return opt, sel, err
}

// plainSelection reads what any plain read is to show, and refuses the options that none knows. $count is ignored
// where the request does not ask for an advanced query.
func (q *request) plainSelection(d *directory, opt *options) (selection, error) {
	known := []string{"$count", "$search", "$orderby"}
	if d.members == nil {
		known = append(known, "$expand")
	}
	opt.others = slices.DeleteFunc(opt.others, func(name string) bool { return slices.Contains(known, name) })
	if len(opt.others) > 0 || opt.hasDelta {
		return selection{}, badQuery("Request_UnsupportedQuery", "The simulated tenant knows only $select, $top, $skiptoken, $filter, $search, $orderby, $count and, of users, $expand=manager here.")
	}
	expand, err := q.parseExpand(opt.expand)
	if err != nil {
		return selection{}, err
	}
	if err := d.checkSelect(opt.fields, false); err != nil {
		return selection{}, err
	}
	sel := d.choose(opt.fields, false)
	sel.expand = expand
	return sel, nil
}

// parseExpand reads the one $expand that is known here, manager, with or without a selection of its own.
func (q *request) parseExpand(v string) (*selection, error) {
	if v == "" {
		return nil, nil
	}
	inner, ok := strings.CutPrefix(v, managerProperty)
	if !ok || inner != "" && (!strings.HasPrefix(inner, "($select=") || !strings.HasSuffix(inner, ")")) {
		return nil, badQuery("Request_UnsupportedQuery", "The simulated tenant expands the manager only, as manager or manager($select=...).")
	}
	var names []string
	if inner != "" {
		var err error
		if names, err = parseSelect(inner[len("($select=") : len(inner)-1]); err != nil {
			return nil, err
		}
		if err := q.t.people.checkSelect(names, false); err != nil {
			return nil, err
		}
	}
	sel := q.t.people.choose(names, false)
	return &sel, nil
}

// manager returns a present user's manager if there is one to be seen.
func (q *request) manager(attrs []byte) (*object, []byte) {
	prop, ok := q.t.people.numbers[managerProperty]
	if !ok {
		return nil, nil
	}
	raw, _ := get(attrs, prop)
	if raw == nil || raw[0] == '-' {
		return nil, nil
	}
	o, attrs, st := q.lookUp(string(raw))
	if st != present {
		return nil, nil
	}
	return o, attrs
}

// get answers a look-up of one user, or of their manager.
func (q *request) get() answer {
	_, sel, err := q.plainOptions(&q.t.people)
	if err != nil {
		return q.refuse(err)
	}
	key := strings.TrimSuffix(strings.TrimPrefix(q.path[1], "users('"), "')")
	if len(q.path) > 2 {
		key = q.path[2]
	}
	o, attrs, st := q.lookUp(key)
	if st != present {
		return q.notFound(key)
	}
	context := sel.context()
	if len(q.path) == 4 {
		if o, attrs = q.manager(attrs); o == nil {
			return q.notFound(managerProperty)
		}
		context = "directoryObjects"
	}
	b := append([]byte(`{"@odata.context":"`), q.base()...)
	b = append(append(append(b, `/v1.0/$metadata#`...), context...), `/$entity",`...)
	if len(q.path) == 4 {
		b = append(b, `"@odata.type":"#microsoft.graph.user",`...)
	}
	return answer{status: http.StatusOK, body: append(q.appendPlain(b, &q.t.people, o, attrs, &sel), '}')}
}

// appendPlain writes the properties of an object as a plain GET shows them: whatever was asked for and is not set is null, or
// an empty list where the property is one.
func (q *request) appendPlain(b []byte, d *directory, o *object, attrs []byte, sel *selection) []byte {
	if q.t.Faults.Extras {
		b = append(b, `"previewOnly":{"list":[1,null]},`...)
	}
	if q.t.Faults.Limited {
		limited := appendLimited(nil, d.odataType(), o.id, sel)
		return append(b, limited[1:len(limited)-1]...)
	}
	for _, name := range sel.names {
		if name == managerProperty || d.members != nil && (name == membersProperty || name == "owners") {
			continue // a relation: it takes $expand, and selecting it alone shows nothing
		}
		b = append(appendString(b, name), ':')
		var raw []byte
		if n, ok := d.numbers[name]; ok {
			raw, _ = get(attrs, n)
		}
		switch {
		case name == "deletedDateTime" && o.state == softDeleted:
			b = append(append(append(b, '"'), time.Unix(0, o.deleted).UTC().Format(time.RFC3339)...), '"')
		case raw != nil && (!d.isCollection(name) || !isNull(raw)):
			b = append(b, raw...)
		case d.isCollection(name):
			b = append(b, `[]`...)
		default:
			b = append(b, `null`...)
		}
		b = append(b, ',')
	}
	if sel.expand != nil {
		if boss, of := q.manager(attrs); boss != nil {
			b = q.appendPlain(append(b, `"manager":{"@odata.type":"#microsoft.graph.user",`...), &q.t.people, boss, of, sel.expand)
			b = append(b, `},`...)
		}
	}
	b = append(append(b, `"id":"`...), o.id...)
	return append(b, '"')
}

// deleted answers for the bin: its list of users or of groups, or one of them, with or without a cast behind the id.
func (q *request) deleted() answer {
	d, key := &q.t.people, q.path[3]
	cast, _ := castOf(strings.ToLower(key))
	if _, isGroup := q.t.groups.byID[strings.ToLower(key)]; isGroup || cast == groupObject {
		d = q.t.teams()
	}
	roles := userRoles
	if d.members != nil {
		roles = groupRoles
	}
	return q.permitted(roles, func() answer { return q.binOf(d, key, cast == userObject || cast == groupObject) })
}

func (q *request) binOf(d *directory, key string, isCast bool) answer {
	if isCast {
		l, err := q.listing(d, d.set(), "/v1.0/directory/deletedItems/"+key)
		if err != nil {
			return q.refuse(err)
		}
		return q.listOf(d, l, softDeleted)
	}
	opt, sel, err := q.plainOptions(d)
	if err != nil {
		return q.refuse(err)
	}
	if opt.fields == nil {
		sel.names = append(sel.names, "deletedDateTime")
	}
	o, _ := d.find(strings.ToLower(key))
	if o == nil {
		return q.notFound(key)
	}
	attrs, st := q.shown(d, o)
	if st != softDeleted {
		return q.notFound(key)
	}
	attrs = d.mangled(o, attrs)
	b := append([]byte(`{"@odata.context":"`), q.base()...)
	if len(q.path) == 5 {
		if cast, _ := castOf(q.path[4]); cast != d.odataType() {
			return q.notFound(key)
		}
		b = append(append(append(b, `/v1.0/$metadata#`...), sel.context()...), `/$entity",`...)
	} else {
		b = append(append(append(b, `/v1.0/$metadata#directoryObjects/$entity","@odata.type":"`...), d.odataType()...), `",`...)
	}
	return answer{status: http.StatusOK, body: append(q.appendPlain(b, d, o, attrs, &sel), '}')}
}

// mangled is a user as the bin shows them: with their id, without dashes, before the user principal name, which is thereby
// free for somebody else.
func (d *directory) mangled(o *object, attrs []byte) []byte {
	n, ok := d.numbers["userPrincipalName"]
	if !ok || d.members != nil {
		return attrs
	}
	raw, _ := get(attrs, n)
	upn, ok := text(raw)
	if !ok {
		return attrs
	}
	return with(attrs, n, appendString(nil, strings.ReplaceAll(o.id, "-", "")+upn))
}
