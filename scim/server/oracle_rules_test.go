package server_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"dirsync/scim"
)

// oracleRule is a sentence that scim-patch does not follow, or a liberty that this project takes for the sake of clients.
type oracleRule struct {
	name string
	// because is the sentence that decides.
	because string
	// correct makes of an answer what the sentence calls for.
	correct func(q *question, a *answer)
}

// oracleRules are all of them, in the order in which they are applied.
func oracleRules() []oracleRule {
	return []oracleRule{
		{"an unassigned attribute is empty", "RFC 7643 section 2.5: unassigned attributes, the null value, or an empty array (in the case of a multi-valued attribute) " +
			"SHALL be considered to be equivalent in \"state\"", func(_ *question, a *answer) { a.Resource = pruned(a.Resource) }},
		{"read-only and required attributes stay", "RFC 7644 section 3.5.2: a client MAY NOT modify an attribute that has mutability \"readOnly\"; section 3.5.2.2: if an " +
			"attribute is removed and is defined as a required attribute or a read-only attribute, the server SHALL return mutability", mutable},
		{"what is not named in a complex value stays", "RFC 7644 section 3.5.2.3: sub-attributes that are not specified in the \"value\" parameter are left unchanged", mergedParts},
		{"nothing is added twice", "RFC 7644 section 3.5.2.1: if the value already exists, no changes SHOULD be made; RFC 7643 section 2.4: service providers SHOULD NOT " +
			"return the same (type, value) combination more than once per attribute", addedOnce},
		{"a multi-valued attribute is a list", "RFC 7643 section 2.4: multi-valued attributes contain a list of elements using the JSON array format", listed},
		{"removing what is not there succeeds", "RFC 7644 section 3.5.2.2: values matched by the filter are removed; it knows noTarget only for a removal without a path", removedNothing},
		{"a removal can list what it removes", "a liberty: Entra removes {\"value\": id} from members, and means the member with that id; the standard has no value here", removedListed},
		{"a selected value is replaced as a whole", "RFC 7644 section 3.5.2.3: if a valuePath filter is specified that matches one or more values of the multi-valued " +
			"attribute, then all matching record values SHALL be replaced", replacedWhole},
		{"a filter that selects nothing makes a value or is refused", "RFC 7644 section 3.5.2.3: if no record match was made, 400 with noTarget; a liberty: what it describes is " +
			"made by an addition, and by a replacement if the type is a usual one, because Entra expects emails[type eq \"work\"].value to appear", made},
		{"one value is primary", "RFC 7644 section 3.5.2: a PATCH operation that sets a value's \"primary\" sub-attribute to \"true\" SHALL cause the server to automatically " +
			"set \"primary\" to \"false\" for any other values in the array", onePrimary},
		{"labels without a value go", "a liberty: Entra removes an address with the path emails[type eq \"work\"].value, and nothing but the type and primary would be left", unlabelled},
		{"no two values are the same", "RFC 7643 section 2.4: the same (type, value) combination SHOULD NOT be returned more than once per attribute", onceEach},
	}
}

// compare says how the answers differ, and counts the rules that were needed.
func (q *question) compare(used map[string]int) string {
	want := q.answer
	if q.agrees(want) {
		return ""
	}
	for _, rule := range oracleRules() {
		was := want.String()
		rule.correct(q, &want)
		if want.String() != was {
			used[rule.name]++
		}
	}
	if q.agrees(want) {
		return ""
	}
	return fmt.Sprintf("%s\nsent   %s\nours   %s\noracle %s\nwanted %s", answer{Resource: q.before}, answer{Resource: q.sent.object()},
		answer{Resource: q.after, SCIMType: q.refused}, q.answer, want)
}

// agrees says whether an answer is that of package scim.
func (q *question) agrees(a answer) bool {
	if q.after == nil && a.Resource == nil {
		// A rule knows the scimType; of scim-patch's own, only noTarget is always the standard's.
		return a.Error != "" && a.SCIMType != scim.NoTarget || a.SCIMType == q.refused
	}
	return q.after != nil && a.Resource != nil && scim.Equal(set(pruned(q.after)), set(a.Resource))
}

func (a answer) String() string {
	if a.Resource == nil {
		return "refused: " + a.SCIMType + " " + a.Error
	}
	b, err := a.Resource.MarshalJSON()
	if err != nil {
		return err.Error()
	}
	return strings.ReplaceAll(string(b), `"`, "'")
}

// path is the path of the operation, taken apart.
func (q *question) path() scim.Path {
	p, err := scim.ParsePath(q.told.path, scim.UserURN, scim.EnterpriseURN, acmeURN)
	if err != nil {
		return scim.Path{}
	}
	return p
}

// flat is the operation with the attributes of extensions under their full names, because scim-patch takes the last colon
// of an extension's URN for the one in front of an attribute (RFC 7643 section 3.3: the URN is the name of a JSON object).
func (o operation) flat() operation {
	value, ok := o.value.(*scim.Object)
	if !ok || o.path != "" {
		return o
	}
	flat := &scim.Object{}
	for name, v := range value.All() {
		if data, ok := v.(*scim.Object); ok && strings.Contains(name, ":") && strings.HasSuffix(name, ":User") {
			for part, w := range data.All() {
				flat.Set(name+":"+part, w)
			}
			continue
		}
		flat.Set(name, v)
	}
	o.value = flat
	return o
}

func isPlural(name string) bool {
	return slices.Contains([]string{"emails", "phoneNumbers", "addresses", "roles", "members"}, name)
}

// lists are the values of multi-valued attributes that an operation names without a filter.
func (q *question) lists() map[string][]any {
	out := map[string][]any{}
	if p := q.path(); isPlural(p.Name) && p.Filter == nil && p.Sub == "" {
		out[p.Name], _ = q.told.value.([]any)
	}
	if o, ok := q.told.value.(*scim.Object); ok && q.told.path == "" {
		for name, v := range o.All() {
			if isPlural(name) {
				out[name], _ = v.([]any)
			}
		}
	}
	return out
}

// pruned is a resource without what is null or empty.
func pruned(o *scim.Object) *scim.Object {
	if o == nil {
		return nil
	}
	out := &scim.Object{}
	for name, v := range o.All() {
		switch inner := v.(type) {
		case *scim.Object:
			if inner = pruned(inner); inner.Len() > 0 {
				out.Set(name, inner)
			}
		case []any:
			inner = slices.Clone(inner)
			for i, e := range inner {
				if o, ok := e.(*scim.Object); ok {
					inner[i] = any(pruned(o))
				}
			}
			if inner = slices.DeleteFunc(inner, func(e any) bool { o, ok := e.(*scim.Object); return ok && o.Len() == 0 }); len(inner) > 0 {
				out.Set(name, inner)
			}
		case nil:
		default:
			out.Set(name, v)
		}
	}
	return out
}

func mutable(q *question, a *answer) {
	p := q.path()
	_, user := q.before.Get("userName")
	if slices.Contains([]string{"id", "meta", "groups"}, p.Name) || q.told.op == "remove" && (p.Name == "userName" || p.Name == "displayName" && !user) {
		*a = answer{SCIMType: scim.Mutability}
	}
}

// laid is an object with another one laid over it.
func laid(under, over any) *scim.Object {
	out := under.(*scim.Object).Clone()
	for name, v := range over.(*scim.Object).All() {
		out.Set(name, v)
	}
	return out
}

func mergedParts(q *question, a *answer) {
	value, ok := q.told.flat().value.(*scim.Object)
	if q.told.path != "" || !ok || a.Resource == nil {
		return
	}
	for _, at := range []struct{ urn, name string }{{"", "name"}, {scim.EnterpriseURN, "manager"}} {
		was, now, said := q.before, a.Resource, at.name
		if at.urn != "" {
			was, now, said = was.Object(at.urn), now.Object(at.urn), at.urn+":"+at.name
		}
		if _, ok := value.Get(said); ok && was.Object(at.name) != nil {
			now.Set(at.name, laid(was.Object(at.name), now.Object(at.name)))
		}
	}
}

// sameEntry says whether two values of an attribute are the same one: by value, and by type where both have one.
func sameEntry(a, b any) bool {
	x, y := a.(*scim.Object), b.(*scim.Object)
	v, has := x.Text("value")
	w, has2 := y.Text("value")
	if !has || !has2 {
		return scim.Equal(a, b)
	}
	t, _ := x.Text("type")
	u, _ := y.Text("type")
	return v == w && (t == u || t == "" || u == "")
}

func addedOnce(q *question, a *answer) {
	if a.Resource == nil || q.told.op == "remove" {
		return
	}
	for name, more := range q.lists() {
		out := slices.Clone(q.before.List(name))
		if q.told.op == "replace" {
			out = nil
		}
		for _, e := range more {
			i := slices.IndexFunc(out, func(x any) bool { return scim.Equal(x, e) })
			if i < 0 {
				i = slices.IndexFunc(out, func(x any) bool { return sameEntry(x, e) })
			}
			if i < 0 {
				out = append(out, e)
			} else if name != "members" { // of which everything is immutable
				out[i] = laid(out[i], e)
			}
		}
		a.Resource.Set(name, out)
	}
	if tags := a.Resource.Object(acmeURN).List("Tags"); tags != nil {
		once := slices.Clone(tags)
		for i := len(once) - 1; i >= 0; i-- {
			if slices.Contains(once[:i], once[i]) {
				once = slices.Delete(once, i, i+1)
			}
		}
		a.Resource.Object(acmeURN).Set("Tags", once)
	}
}

func listed(_ *question, a *answer) {
	for name, v := range maps.Collect(a.Resource.All()) {
		if one, ok := v.(*scim.Object); ok && isPlural(name) {
			a.Resource.Set(name, []any{one})
		}
	}
}

func removedNothing(q *question, a *answer) {
	if p := q.path(); q.told.op == "remove" && p.Filter != nil && q.before.List(p.Name) == nil || q.told.op == "remove" && p.Filter != nil && len(q.selected) == 0 {
		*a = answer{Resource: pruned(q.before)}
	}
}

func removedListed(q *question, a *answer) {
	if q.told.op != "remove" || q.told.value == nil {
		return
	}
	out := pruned(q.before)
	for name, gone := range q.lists() {
		out.Set(name, slices.DeleteFunc(slices.Clone(q.before.List(name)), func(e any) bool {
			return slices.ContainsFunc(gone, func(x any) bool {
				_, typed := x.(*scim.Object).Get("type")
				_, has := e.(*scim.Object).Get("type")
				return sameEntry(x, e) && (has || !typed)
			})
		}))
	}
	*a = answer{Resource: pruned(out)}
}

// fixed is what a filter fixes, if it does nothing else: type eq "work" and primary eq true.
func fixed(f scim.Filter) *scim.Object {
	switch f := f.(type) {
	case scim.Compare:
		if f.Op == scim.Eq {
			return object(f.Path.Name, f.Value)
		}
	case scim.And:
		out := &scim.Object{}
		for _, term := range f {
			one := fixed(term)
			if one == nil {
				return nil
			}
			for name, v := range one.All() {
				if _, twice := out.Get(name); twice {
					return nil
				}
				out.Set(name, v)
			}
		}
		return out
	}
	return nil
}

func replacedWhole(q *question, a *answer) {
	p := q.path()
	value, ok := q.told.value.(*scim.Object)
	if a.Resource == nil || q.told.op != "replace" || p.Filter == nil || p.Sub != "" || !ok || len(q.selected) == 0 {
		return
	}
	// A liberty: what the filter fixes stays if the new value does not say otherwise.
	if stays := fixed(p.Filter); stays != nil {
		value = laid(stays, value)
	}
	list := slices.Clone(q.before.List(p.Name))
	for _, i := range q.selected {
		list[i] = value
	}
	a.Resource.Set(p.Name, list)
}

func made(q *question, a *answer) {
	p := q.path()
	if p.Filter == nil || q.told.op == "remove" || len(q.selected) > 0 {
		return
	}
	parts := fixed(p.Filter)
	kind, _ := parts.Text("type")
	primary, _ := parts.Bool("primary")
	usual := q.told.op == "add" || primary || slices.Contains([]string{"work", "home", "other"}, kind)
	if parts == nil || !usual {
		*a = answer{SCIMType: scim.NoTarget}
		return
	}
	fresh, ok := q.told.value.(*scim.Object)
	if !ok {
		fresh = object(p.Sub, q.told.value)
	}
	for name, v := range parts.All() {
		if said, has := fresh.Get(name); has && !scim.Equal(said, v) {
			*a = answer{SCIMType: scim.NoTarget} // It would not be what the filter describes.
			return
		}
	}
	*a = answer{Resource: pruned(q.before)}
	a.Resource.Set(p.Name, append(slices.Clone(q.before.List(p.Name)), laid(parts, fresh)))
}

func onePrimary(q *question, a *answer) {
	if a.Resource == nil {
		return
	}
	for name, v := range maps.Collect(a.Resource.All()) {
		list, _ := v.([]any)
		was := q.before.List(name)
		keep, many := -1, 0
		for i, e := range list {
			o, ok := e.(*scim.Object)
			if p, _ := o.Bool("primary"); !ok || !p {
				continue
			}
			many++
			if i >= len(was) || !scim.Equal(was[i], e) || slices.Contains(q.selected, i) {
				keep = i // Of several that the operation sets, the last one: the standard does not say.
			}
		}
		if many < 2 || keep < 0 {
			continue
		}
		list = slices.Clone(list)
		for i, e := range list {
			if p, _ := e.(*scim.Object).Bool("primary"); p && i != keep {
				list[i] = laid(e, object("primary", false))
			}
		}
		a.Resource.Set(name, list)
	}
}

func onceEach(q *question, a *answer) {
	p := q.path()
	if a.Resource == nil || p.Filter == nil && p.Sub == "" || !isPlural(p.Name) || scim.Equal(a.Resource.List(p.Name), q.before.List(p.Name)) {
		return
	}
	var out []any
	for _, e := range a.Resource.List(p.Name) {
		if !slices.ContainsFunc(out, func(x any) bool { return scim.Equal(x, e) }) {
			out = append(out, e)
		}
	}
	a.Resource.Set(p.Name, out)
	a.Resource = pruned(a.Resource)
}

func unlabelled(q *question, a *answer) {
	p := q.path()
	if a.Resource == nil || q.told.op != "remove" || p.Sub != "value" || p.Filter == nil {
		return
	}
	list := slices.Clone(q.before.List(p.Name))
	for _, i := range q.selected {
		rest := list[i].(*scim.Object).Clone()
		had := rest.Delete("value")
		list[i] = rest.Clone()
		rest.Delete("type")
		rest.Delete("primary")
		if had && rest.Len() == 0 {
			list[i] = rest
		}
	}
	a.Resource.Set(p.Name, list)
	a.Resource = pruned(a.Resource)
}
