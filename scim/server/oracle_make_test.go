package server_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"unicode"

	"dirsync/scim"
)

// operation is one operation of a PATCH.
type operation struct {
	op, path string
	value    any // nil for none
}

func (o operation) object() *scim.Object {
	out := scim.NewObject(scim.Member{Name: "op", Value: o.op})
	if o.path != "" {
		out.Set("path", o.path)
	}
	if o.value != nil {
		out.Set("value", o.value)
	}
	return out
}

// patchGenerator makes resources, and operations that have something to do with them.
type patchGenerator struct {
	*rand.Rand
	people []string // ids of users who can be members
}

func (g *patchGenerator) pick(list ...string) string { return list[g.IntN(len(list))] }
func (g *patchGenerator) once(n int) bool            { return g.IntN(n) == 0 }

func object(pairs ...any) *scim.Object {
	o := &scim.Object{}
	for i := 0; i+1 < len(pairs); i += 2 {
		o.Set(pairs[i].(string), pairs[i+1])
	}
	return o
}

// The attributes that requests are about: simple ones, and those with several values with the parts that they have.
func simpleNames() []string { return []string{"title", "nickName", "displayName", "externalId"} }
func nameParts() []string   { return []string{"givenName", "familyName", "middleName", "formatted"} }
func pluralParts(name string) []string {
	if name == "addresses" {
		return []string{"locality", "streetAddress", "type", "primary"}
	}
	return []string{"value", "display", "type", "primary"}
}

func (g *patchGenerator) plural() string {
	return g.pick("emails", "emails", "phoneNumbers", "addresses", "roles")
}

// part makes a value for a part of an attribute with several values.
func (g *patchGenerator) part(of, name string) any {
	switch name {
	case "type":
		return g.pick("work", "home", "other")
	case "primary":
		return g.once(2)
	case "value":
		if of == "emails" {
			return g.pick("a@x.org", "b@x.org", "c@y.org", "d@y.org")
		}
		return g.pick("1", "2", "3", "4")
	}
	return g.pick("alpha", "beta", "gamma")
}

// element makes one of the values of an attribute.
func (g *patchGenerator) element(of string) *scim.Object {
	o := &scim.Object{}
	for i, name := range pluralParts(of) {
		if i == 0 || g.once(2) && (name != "primary" || g.once(2)) {
			o.Set(name, g.part(of, name))
		}
	}
	return o
}

// elements makes some values, which are not the same; at most one of them is primary.
func (g *patchGenerator) elements(of string, most int) (list []any) {
	seen, primary := map[string]bool{}, false
	for range 1 + g.IntN(most) {
		e := g.element(of)
		key, _ := e.Text(pluralParts(of)[0])
		if seen[key] {
			continue
		}
		if p, _ := e.Bool("primary"); p && primary {
			e.Delete("primary")
		} else if p {
			primary = true
		}
		seen[key] = true
		list = append(list, e)
	}
	return list
}

func (g *patchGenerator) members(most int) (list []any) {
	for _, i := range g.Perm(len(g.people))[:1+g.IntN(most)] {
		list = append(list, object("value", g.people[i]))
	}
	return list
}

func (g *patchGenerator) name() *scim.Object {
	o := &scim.Object{}
	for _, i := range g.Perm(len(nameParts()))[:1+g.IntN(3)] {
		o.Set(nameParts()[i], g.pick("Ann", "Bob", "Eve"))
	}
	return o
}

func (g *patchGenerator) tags() (list []any) {
	for _, i := range g.Perm(4)[:1+g.IntN(3)] {
		list = append(list, string(rune('p'+i)))
	}
	return list
}

// extension makes the data of one of the two extensions.
func (g *patchGenerator) extension(urn string) *scim.Object {
	o := &scim.Object{}
	for _, name := range extensionNames(urn) {
		if g.once(2) {
			o.Set(name, g.extensionValue(name))
		}
	}
	if o.Len() == 0 {
		o.Set(extensionNames(urn)[0], "Sales")
	}
	return o
}

func extensionNames(urn string) []string {
	if urn == acmeURN {
		return []string{"Department", "Remote", "Tags"}
	}
	return []string{"department", "employeeNumber", "manager"}
}

func (g *patchGenerator) extensionValue(name string) any {
	switch name {
	case "Remote":
		return g.once(2)
	case "Tags":
		return g.tags()
	case "manager":
		return object("value", g.pick("m1", "m2"))
	}
	return g.pick("Sales", "Legal", "7")
}

// resource makes a user or a group.
func (g *patchGenerator) resource(endpoint string, n int) *scim.Object {
	if endpoint == "/Groups" {
		o := object("displayName", fmt.Sprint("group", n))
		if g.once(2) {
			o.Set("externalId", g.pick("x", "y"))
		}
		if !g.once(4) {
			o.Set("members", g.members(4))
		}
		return o
	}
	o := object("userName", fmt.Sprint("user", n), "active", g.once(2))
	for _, name := range simpleNames() {
		if g.once(2) {
			o.Set(name, g.pick("one", "two"))
		}
	}
	if !g.once(4) {
		o.Set("name", g.name())
	}
	for _, name := range []string{"emails", "phoneNumbers", "addresses", "roles"} {
		if g.once(2) {
			o.Set(name, g.elements(name, 3))
		}
	}
	for _, urn := range []string{scim.EnterpriseURN, acmeURN} {
		if g.once(2) {
			o.Set(urn, g.extension(urn))
		}
	}
	return o
}

// operation makes an operation in two spellings: plain, for the oracle, which compares names and values letter by letter,
// and as it is sent, often in other letters (RFC 7643 section 2.1: attribute names are case insensitive; 2.2: so are values
// unless caseExact; RFC 7644 section 3.4.2.2: so are operators).
func (g *patchGenerator) operation(endpoint string, now *scim.Object) (told, sent operation) {
	if g.once(12) {
		told = g.faulty(endpoint)
	} else if endpoint == "/Groups" {
		told = g.groupOperation(now)
	} else {
		told = g.userOperation(now)
	}
	sent = told
	if g.once(3) {
		sent.op, sent.path = g.otherCase(told.op), g.otherCase(told.path)
		if name, filter, ok := strings.Cut(told.path, "["); ok && (name == "members" || told.op != "remove") {
			sent.path = g.otherCase(name) + "[" + filter // Ids are caseExact, and what is made of a filter has its letters.
		}
		if o, ok := told.value.(*scim.Object); ok {
			value := &scim.Object{}
			for name, v := range o.All() {
				value.Set(g.otherCase(name), v)
			}
			sent.value = value
		}
	}
	return told, sent
}

// otherCase changes the case of letters, but not of what is JSON's: true and false.
func (g *patchGenerator) otherCase(s string) string {
	s = strings.Map(func(r rune) rune {
		if g.once(2) {
			return unicode.ToUpper(r)
		}
		return r
	}, s)
	for _, word := range []string{" true", " false"} {
		if i := strings.Index(strings.ToLower(s), word); i >= 0 {
			s = s[:i] + word + s[i+len(word):]
		}
	}
	return s
}

func (g *patchGenerator) kindOf() string { return g.pick("add", "replace", "remove") }

// userOperation makes an operation on a user.
func (g *patchGenerator) userOperation(now *scim.Object) operation {
	op := operation{op: g.kindOf()}
	switch g.IntN(11) {
	case 0:
		op.path, op.value = g.pick(simpleNames()...), g.pick("one", "two", "three")
		if g.once(3) {
			op.path = scim.UserURN + ":" + op.path
		}
	case 1:
		op.path, op.value = "active", g.once(2)
	case 2:
		op.path, op.value = "name", g.name()
	case 3:
		op.path, op.value = "name."+g.pick(nameParts()...), g.pick("Ann", "Bob", "Eve")
	case 4:
		op.path = g.plural()
		op.value = g.elements(op.path, 3)
		if list := now.List(op.path); list != nil && g.once(2) {
			more := g.element(op.path)
			more.Delete("primary")
			op.value = []any{list[g.IntN(len(list))], more} // one is there already
		}
	case 5, 6:
		return g.selecting(now)
	case 7:
		urn := g.pick(scim.EnterpriseURN, acmeURN)
		name := g.pick(extensionNames(urn)...)
		op.path, op.value = urn+":"+name, g.extensionValue(name)
		if name == "manager" && g.once(2) {
			op.path, op.value = op.path+".value", "m3"
		}
	case 8:
		of := g.plural()
		part := g.pick(pluralParts(of)[1:3]...)
		op.path, op.value = of+"."+part, g.part(of, part)
	case 9:
		of := g.plural()
		op.op, op.path = "remove", of
		if list := now.List(of); list != nil {
			op.value = []any{list[g.IntN(len(list))]} // a dialect: only that one
			return op
		}
	default:
		op.op, op.value = g.pick("add", "replace"), g.object()
	}
	if op.op == "remove" {
		op.value = nil
	}
	return op
}

// object is a value without a path: attributes, and in the dialect of Entra paths. None is named twice, because members of
// an object have no order.
func (g *patchGenerator) object() *scim.Object {
	o := &scim.Object{}
	urn, of := g.pick(scim.EnterpriseURN, acmeURN), g.plural()
	for _, i := range g.Perm(4)[:1+g.IntN(3)] {
		switch i {
		case 0:
			o.Set(g.pick(simpleNames()...), g.pick("one", "two", "three"))
		case 1:
			if g.once(2) {
				o.Set("name", g.name())
			} else {
				o.Set("name."+g.pick(nameParts()...), g.pick("Ann", "Bob"))
			}
		case 2:
			o.Set(of, g.elements(of, 2))
		case 3:
			if g.once(2) {
				o.Set(urn, g.extension(urn))
			} else {
				name := g.pick(extensionNames(urn)...)
				o.Set(urn+":"+name, g.extensionValue(name))
			}
		}
	}
	return o
}

// selecting makes an operation whose path has a filter.
func (g *patchGenerator) selecting(now *scim.Object) operation {
	of := g.plural()
	op := operation{op: g.kindOf(), path: of + "[" + g.filter(of, now.List(of), 1) + "]"}
	if g.once(2) {
		part := g.pick(pluralParts(of)...)
		op.path += "." + part
		op.value = g.part(of, part)
	} else {
		op.value = g.element(of)
	}
	if op.op == "remove" {
		op.value = nil
	}
	return op
}

// filter makes a filter on the parts of an attribute that has the values of a list.
func (g *patchGenerator) filter(of string, list []any, depth int) string {
	if depth > 0 && g.once(3) {
		switch g.IntN(3) {
		case 0:
			return "not (" + g.filter(of, list, depth-1) + ")"
		case 1:
			return g.filter(of, list, depth-1) + " or " + g.filter(of, list, depth-1)
		}
		return g.filter(of, list, depth-1) + " and " + g.filter(of, list, depth-1)
	}
	part := g.pick("type", "type", pluralParts(of)[0], pluralParts(of)[1], "primary")
	op := g.pick("eq", "eq", "eq", "eq", "ne", "co", "sw", "ew", "gt", "le", "pr")
	if op == "ne" && slices.ContainsFunc(list, func(e any) bool { _, has := e.(*scim.Object).Get(part); return !has }) {
		op = "eq" // The standard does not say whether what is absent is "ne".
	}
	if op != "eq" && op != "ne" && part == "primary" {
		op = "pr"
	}
	switch {
	case op == "pr":
		return part + " pr"
	case part == "primary":
		return fmt.Sprintf("primary %s %v", op, g.once(2))
	}
	text, _ := g.part(of, part).(string)
	if i := strings.IndexAny(text, "@"); (op == "co" || op == "sw") && i > 0 {
		text = text[:i]
	}
	quoted, _ := json.Marshal(text)
	return part + " " + op + " " + string(quoted)
}

// groupOperation makes an operation on a group.
func (g *patchGenerator) groupOperation(now *scim.Object) operation {
	someone := g.pick(g.people...)
	switch g.IntN(10) {
	case 0, 1:
		return operation{"add", "members", g.members(3)}
	case 2:
		return operation{"replace", "members", g.members(3)}
	case 3:
		return operation{op: "remove", path: "members"}
	case 4, 5:
		return operation{op: "remove", path: `members[value eq "` + someone + `"]`}
	case 6:
		return operation{"remove", "members", g.members(2)}
	case 7:
		return operation{g.pick("add", "replace"), "displayName", g.pick("renamed", "again") + fmt.Sprint(g.Uint64())}
	case 8:
		if g.once(3) {
			return operation{op: "remove", path: "externalId"}
		}
		return operation{g.pick("add", "replace"), "externalId", g.pick("x", "y", "z")}
	}
	o := object("members", g.members(3))
	if g.once(2) {
		o.Set("externalId", g.pick("x", "z"))
	}
	if now.List("members") == nil && g.once(2) {
		o.Set("displayName", fmt.Sprint("other", g.Uint64()))
	}
	return operation{op: g.pick("add", "replace"), value: o}
}

// faulty makes an operation that must be refused.
func (g *patchGenerator) faulty(endpoint string) operation {
	all := []operation{
		{op: "remove"},
		{op: "move", path: "displayName"},
		{"add", "displayName[", "x"},
		{"replace", "id", "x"},
		{"replace", "meta.created", "x"},
		{op: "add", path: "externalId"},
		{"add", "", "x"},
	}
	if endpoint == "/Groups" {
		all = append(all, operation{"replace", `members[value eq "nobody"]`, object("value", "nobody")}, operation{op: "remove", path: "displayName"})
	} else {
		all = append(all, operation{"replace", `emails[type eq "pager"]`, object("value", "p@x.org")}, operation{"replace", `emails[type eq "pager"].value`, "p@x.org"},
			operation{"add", "groups", []any{object("value", "g")}}, operation{op: "remove", path: "userName"}, operation{"add", `emails[type gt].value`, "x"})
	}
	return all[g.IntN(len(all))]
}
