package scim

import (
	"slices"
	"strings"
)

// Projection says which attributes of a resource are asked for (RFC 7644 section 3.9). The zero value asks for what is
// returned by default.
type Projection struct {
	// Only, if not empty, asks for these and nothing else.
	Only []Path
	// Except asks for the default without these.
	Except []Path
}

// ParseProjection reads the parameters attributes and excludedAttributes: paths with commas between them, both "" for
// the default. Giving both is an error. See ParseFilter for the URNs.
func ParseProjection(attributes, excluded string, urns ...string) (Projection, error) {
	if strings.TrimSpace(attributes) != "" && strings.TrimSpace(excluded) != "" {
		return Projection{}, refuse(InvalidValue, "attributes and excludedAttributes cannot be combined")
	}
	only, err := parsePaths(attributes, urns)
	if err != nil {
		return Projection{}, err
	}
	except, err := parsePaths(excluded, urns)
	return Projection{only, except}, err
}

func parsePaths(text string, urns []string) ([]Path, error) {
	if len(text) > MaxFilterBytes {
		return nil, refuse(InvalidPath, "the list of attributes has %d bytes; at most %d are taken", len(text), MaxFilterBytes)
	}
	var paths []Path
	for name := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(name) == "" {
			continue
		}
		p, err := ParsePath(name, urns...)
		if err != nil {
			return nil, err
		}
		if p.Filter != nil {
			return nil, refuse(InvalidPath, "%s[...] cannot be asked for; name the attribute without brackets", p.Name)
		}
		paths = append(paths, p)
	}
	return paths, nil
}

// Asks says whether the projection shows an attribute, given by its path in the standard's form. A store can save itself
// from reading the members of a group that nobody wants to see.
func (t *ResourceType) Asks(p Projection, path Path) bool {
	canonical, attr, _, ok := t.Find(path)
	if !ok || attr == nil {
		return false
	}
	show, _ := t.shown(p, canonical.URN, attr)
	return show
}

// Project returns the resource as it is shown: attributes that are never returned left out whatever is asked for, those
// that are always returned kept, and of the others what is asked for. schemas names what is left.
func (t *ResourceType) Project(o *Object, p Projection) *Object {
	out := &Object{members: make([]Member, 0, o.Len())}
	for name, v := range o.All() {
		if x := t.extension(name); x != nil {
			inner := &Object{}
			data, _ := v.(*Object)
			for name, v := range data.All() {
				t.project(p, inner, x.ID, find(x.Attributes, name), v)
			}
			if inner.Len() > 0 {
				out.members = append(out.members, Member{name, inner})
			}
			continue
		}
		urn, attr := t.attribute("", name)
		if urn == "" {
			t.project(p, out, "", attr, v)
		}
	}
	if _, has := out.Get("schemas"); has {
		return t.withSchemas(out)
	}
	return out
}

// project puts one attribute into out as far as it is shown.
func (t *ResourceType) project(p Projection, out *Object, urn string, attr *Attribute, v any) {
	if attr == nil || v == nil {
		return
	}
	show, subs := t.shown(p, urn, attr)
	if !show {
		return
	}
	if attr.Type == Complex {
		v = projectParts(v, attr, subs)
	}
	if v != nil {
		out.members = append(out.members, Member{attr.Name, v})
	}
}

// subsOf tells which sub-attributes are shown: all that are by default, only the named ones, or all but the named ones.
type subsOf struct {
	only, except []string
}

// shown says whether an attribute is shown, and which of its parts.
func (t *ResourceType) shown(p Projection, urn string, attr *Attribute) (bool, subsOf) {
	if attr.Returned == Never {
		return false, subsOf{}
	}
	named, parts := t.named(p.Only, urn, attr)
	if named {
		return true, subsOf{}
	}
	if len(parts) > 0 {
		return true, subsOf{only: parts}
	}
	if attr.Returned == Always {
		return true, subsOf{}
	}
	if attr.Returned == OnRequest || len(p.Only) > 0 {
		return false, subsOf{}
	}
	named, parts = t.named(p.Except, urn, attr)
	return !named, subsOf{except: parts}
}

// named says whether paths name an attribute as a whole, and which parts of it they name.
func (t *ResourceType) named(paths []Path, urn string, attr *Attribute) (whole bool, parts []string) {
	for _, p := range paths {
		switch {
		case p.Name == "":
			whole = whole || sameName(p.URN, urn) || urn == "" && sameName(p.URN, t.core.ID) && find(t.common, attr.Name) == nil
		case !sameName(p.Name, attr.Name):
		case sameName(p.URN, urn) || urn == "" && sameName(p.URN, t.core.ID) || p.URN == "" && t.unqualified(urn, p.Name):
			if p.Sub == "" {
				whole = true
			} else {
				parts = append(parts, p.Sub)
			}
		}
	}
	return whole, parts
}

// unqualified says whether a name without a URN means the attribute of an extension.
func (t *ResourceType) unqualified(urn, name string) bool {
	found, a := t.attribute("", name)
	return a != nil && found == urn
}

func projectParts(v any, attr *Attribute, subs subsOf) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, 0, len(v))
		for _, e := range v {
			if part := projectParts(e, attr, subs); part != nil {
				out = append(out, part)
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case *Object:
		out := v
		for name := range v.All() {
			sub := attr.sub(name)
			if sub != nil && showPart(sub, subs) {
				continue
			}
			if out == v {
				out = v.copy()
			}
			out.Delete(name)
		}
		if out.Len() == 0 {
			return nil
		}
		return out
	}
	if len(subs.only) > 0 && !containsName(subs.only, "value") || containsName(subs.except, "value") {
		return nil
	}
	return v
}

func showPart(sub *Attribute, subs subsOf) bool {
	switch {
	case sub.Returned == Never:
		return false
	case sub.Returned == Always:
		return true
	case len(subs.only) > 0:
		return containsName(subs.only, sub.Name)
	}
	return sub.Returned != OnRequest && !containsName(subs.except, sub.Name)
}

func containsName(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return sameName(n, name) })
}
