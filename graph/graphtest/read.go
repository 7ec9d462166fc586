package graphtest

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// organization answers with the tenant itself, as a collection of one.
func (q *request) organization() answer {
	who := q.t.identity()
	initial, _, _ := strings.Cut(who.Domain, ".")
	domain := func(name string, isDefault, isInitial bool) map[string]any {
		return map[string]any{"capabilities": "Email, OfficeCommunicationsOnline", "isDefault": isDefault, "isInitial": isInitial, "name": name, "type": "Managed"}
	}
	domains := []any{domain(who.Domain, true, false)}
	if name := initial + ".onmicrosoft.com"; name != who.Domain {
		domains = slices.Insert(domains, 0, any(domain(name, false, true)))
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
func (q *request) shown(o *object) ([]byte, state) {
	if view := q.t.visible(q.now); o.last > view {
		return q.t.people.at(o, view)
	}
	return o.attrs, o.state
}

// lookUp finds a user by id or, while present, by user principal name; letter case does not matter.
func (q *request) lookUp(key string) (o *object, attrs []byte, st state) {
	d := &q.t.people
	if o, _ := d.find(strings.ToLower(key)); o != nil {
		attrs, st = q.shown(o)
		return o, attrs, st
	}
	prop, ok := d.numbers["userPrincipalName"]
	if !ok {
		return nil, nil, absent
	}
	want := appendString(nil, key)
	for i := range d.objects {
		o := &d.objects[i]
		if attrs, st := q.shown(o); st == present {
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

// plainOptions reads the options of anything that is not a delta query.
func (q *request) plainOptions() (options, selection, error) {
	opt, err := parseOptions(q.query)
	if err != nil {
		return opt, selection{}, err
	}
	opt.others = slices.DeleteFunc(opt.others, func(name string) bool { return name == "$count" }) // ignored without ConsistencyLevel
	if len(opt.others) > 0 || opt.ids != nil || opt.hasDelta {
		return opt, selection{}, badQuery("Request_UnsupportedQuery", "The simulated tenant knows only $select, $expand=manager, $top and $skiptoken here.")
	}
	expand, err := q.parseExpand(opt.expand)
	if err != nil {
		return opt, selection{}, err
	}
	if err := q.t.people.checkSelect(opt.fields, false); err != nil {
		return opt, selection{}, err
	}
	sel := q.t.people.choose(opt.fields, false)
	sel.expand = expand
	return opt, sel, nil
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
	_, sel, err := q.plainOptions()
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
	return answer{status: http.StatusOK, body: append(q.appendPlain(b, o, attrs, &sel), '}')}
}

// appendPlain writes the members of a user as a plain GET shows them: whatever was asked for and is not set is null, or
// an empty list where the property is one.
func (q *request) appendPlain(b []byte, o *object, attrs []byte, sel *selection) []byte {
	d := &q.t.people
	if q.t.Faults.Extras {
		b = append(b, `"previewOnly":{"list":[1,null]},`...)
	}
	if q.t.Faults.Limited {
		limited := appendLimited(nil, o.id, sel)
		return append(b, limited[1:len(limited)-1]...)
	}
	for _, name := range sel.names {
		if name == managerProperty {
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
		case raw != nil && (!isCollection(name) || !isNull(raw)):
			b = append(b, raw...)
		case isCollection(name):
			b = append(b, `[]`...)
		default:
			b = append(b, `null`...)
		}
		b = append(b, ',')
	}
	if sel.expand != nil {
		if boss, of := q.manager(attrs); boss != nil {
			b = q.appendPlain(append(b, `"manager":{"@odata.type":"#microsoft.graph.user",`...), boss, of, sel.expand)
			b = append(b, `},`...)
		}
	}
	b = append(append(b, `"id":"`...), o.id...)
	return append(b, '"')
}

const (
	defaultTop = 100 // Graph's page size for lists, and the most that $top can ask for
	maxTop     = 999
)

// list answers one page of GET /users.
func (q *request) list() answer {
	return q.listOf(present, "users", "/v1.0/users")
}

// deleted answers for the bin: its list of users, or one of them.
func (q *request) deleted() answer {
	key := q.path[3]
	if strings.EqualFold(key, "microsoft.graph.user") || strings.EqualFold(key, "graph.user") {
		return q.listOf(softDeleted, "users", "/v1.0/directory/deletedItems/"+key)
	}
	opt, sel, err := q.plainOptions()
	if err != nil {
		return q.refuse(err)
	}
	if opt.fields == nil {
		sel.names = append(sel.names, "deletedDateTime")
	}
	o, _ := q.t.people.find(strings.ToLower(key))
	if o == nil {
		return q.notFound(key)
	}
	attrs, st := q.shown(o)
	if st != softDeleted {
		return q.notFound(key)
	}
	b := append([]byte(`{"@odata.context":"`), q.base()...)
	b = append(b, `/v1.0/$metadata#directoryObjects/$entity","@odata.type":"#microsoft.graph.user",`...)
	return answer{status: http.StatusOK, body: append(q.appendPlain(b, o, attrs, &sel), '}')}
}

// listOf answers one page of the users in a state.
func (q *request) listOf(want state, set, path string) answer {
	opt, sel, err := q.plainOptions()
	if err != nil {
		return q.refuse(err)
	}
	if opt.top > maxTop {
		return q.refuse(badQuery("Request_UnsupportedQuery", "Invalid page size specified: '%d'. Must be between 1 and 999 inclusive.", opt.top))
	}
	c := cursor{List: true}
	if opt.skip != "" {
		if c, err = decodeCursor(q.t.identity().ID, opt.skip); err != nil || !c.List {
			return q.refuse(badQuery("BadRequest", "The $skiptoken is badly formed."))
		}
		if q.pageExpired(c) {
			return q.fail(http.StatusBadRequest, "Directory_ExpiredPageToken", "The specified page token value has expired and can no longer be included in your request.")
		}
	}
	size := opt.top
	if size == 0 {
		size = defaultTop
	}
	if f := q.t.Faults.PageSize; f > 0 {
		size = min(size, f)
	}
	b := append([]byte(`{"@odata.context":"`), q.base()...)
	b = append(append(append(b, `/v1.0/$metadata#`...), strings.Replace(sel.context(), "users", set, 1)...), `","value":[`...)
	rows, d := 0, &q.t.people
	for ; int(c.Pos) < len(d.objects) && rows < size; c.Pos++ {
		o := &d.objects[c.Pos]
		if attrs, st := q.shown(o); st == want {
			if rows++; rows > 1 {
				b = append(b, ',')
			}
			b = append(q.appendPlain(append(b, '{'), o, attrs, &sel), '}')
		}
	}
	b = append(b, ']')
	if int(c.Pos) < len(d.objects) {
		c.Issued = q.now.UnixMilli()
		token, err := encodeCursor(q.t.identity().ID, c, q.t.Faults.TokenPadding)
		if err != nil {
			return q.fail(http.StatusInternalServerError, "generalException", err.Error())
		}
		link := or(q.t.Faults.ForeignLinks, q.base()) + path + "?"
		if opt.expand != "" {
			link += "$expand=" + url.QueryEscape(opt.expand) + "&"
		}
		if opt.fields != nil {
			link += "$select=" + url.QueryEscape(strings.Join(append(slices.Clone(opt.fields), "id"), ",")) + "&"
		}
		if opt.top > 0 {
			link += "$top=" + itoa(opt.top) + "&"
		}
		b = appendString(append(b, `,"@odata.nextLink":`...), link+"$skiptoken="+token)
	}
	return answer{status: http.StatusOK, body: append(b, '}')}
}
