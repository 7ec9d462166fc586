package scim

import (
	"fmt"
	"strings"
)

// OpKind is what a PATCH operation does.
type OpKind string

// What a PATCH operation does.
const (
	Add     OpKind = "add"
	Remove  OpKind = "remove"
	Replace OpKind = "replace"
)

// Operation is one operation of a PATCH.
type Operation struct {
	Op   OpKind
	Path Path
	// Value is nil for a removal, unless it lists the values to remove.
	Value any
	// At is the number of the operation in the request, from 1; 0 for one that was made here. One operation of a request
	// can become several.
	At int
}

// Patch is a PATCH request (RFC 7644 section 3.5.2).
type Patch struct{ Operations []Operation }

// MaxOperations is the most operations that ParsePatch takes in one request.
const MaxOperations = 1000

// ParsePatch brings the body of a PATCH request into normal form: every operation has a path in the standard's spelling
// that names an attribute of this resource type, and a value of that attribute's type. Every dialect of Entra ID and
// Okta is understood, and reported: operations in any letter case, values without a path whose names are dotted or
// qualified paths, strings for booleans, a bare id for a manager, null and "" for a removal, and a removal of members
// that lists which. Attributes that do not exist are left out and reported.
//
// Errors are *Error with 400 and invalidSyntax, invalidPath, invalidValue, invalidFilter, noTarget or mutability.
func (t *ResourceType) ParsePatch(body *Object) (*Patch, []Quirk, error) {
	p := patchParser{t: t, q: &quirks{}}
	p.checkSchemas(body)
	value, ok := body.Get("Operations")
	list, isList := value.([]any)
	if one, isOne := value.(*Object); isOne {
		p.q.add(SingleOperation, "Operations was one object; taken as a list of one")
		list, isList = []any{one}, true
	}
	switch {
	case !ok || !isList:
		return nil, nil, refuse(InvalidSyntax, "a PATCH needs a list named Operations")
	case len(list) == 0:
		return nil, nil, refuse(InvalidSyntax, "a PATCH needs at least one operation")
	case len(list) > MaxOperations:
		return nil, nil, &Error{Status: 413, SCIMType: TooMany, Detail: fmt.Sprintf("%d operations; at most %d are taken", len(list), MaxOperations)}
	}
	for i, v := range list {
		p.at = i + 1
		if err := p.operation(v); err != nil {
			return nil, nil, atOperation(p.at, err)
		}
	}
	return &Patch{p.out}, p.q.list, nil
}

// atOperation puts the number of the operation in front of an error's detail.
func atOperation(at int, err error) error {
	e := *AsError(err)
	if at > 0 {
		e.Detail = fmt.Sprintf("operation %d: %s", at, e.Detail)
	}
	return &e
}

type patchParser struct {
	t   *ResourceType
	q   *quirks
	out []Operation
	at  int
	// silent says that the operation has no member named value, not even null.
	silent bool
}

func (p *patchParser) quirk(code QuirkCode, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if p.at > 0 {
		text = fmt.Sprintf("operation %d: %s", p.at, text)
	}
	p.q.add(code, text)
}

func (p *patchParser) checkSchemas(body *Object) {
	for _, urn := range body.Texts("schemas") {
		if sameName(urn, PatchURN) {
			return
		}
	}
	p.quirk(MissingSchema, "schemas does not name %s", PatchURN)
}

func (p *patchParser) operation(v any) error {
	o, ok := v.(*Object)
	if !ok {
		return refuse(InvalidSyntax, "it is %s; it must be an object", describe(v))
	}
	word, ok := o.Text("op")
	if !ok {
		return refuse(InvalidSyntax, "op is missing")
	}
	op := OpKind(asciiLower(word))
	switch op {
	case Add, Remove, Replace:
	default:
		return refuse(InvalidSyntax, "unknown op %q; there are add, remove and replace", clean(word, 16))
	}
	if string(op) != word {
		p.quirk(OpCase, "op was %q; the standard's spelling is %q", clean(word, 16), op)
	}
	text, ok := o.Get("path")
	path, isText := text.(string)
	if ok && !isText && text != nil {
		return refuse(InvalidPath, "path is %s; it must be a string", describe(text))
	}
	value, said := o.Get("value")
	p.silent = !said
	if op == Add && !said {
		return refuse(InvalidValue, "an addition needs a value") // RFC 7644 section 3.5.2.1
	}
	if strings.TrimSpace(path) == "" {
		if isText {
			p.quirk(EmptyPath, "path was empty; taken as none")
		}
		return p.pathless(op, value)
	}
	return p.named(op, path, value, false)
}

// pathless takes a value without a path: an object whose members are attributes, or paths in the dialect of
// aadOptscim062020 and Okta.
func (p *patchParser) pathless(op OpKind, value any) error {
	if op == Remove {
		return refuse(NoTarget, "a removal needs a path")
	}
	o, ok := value.(*Object)
	if !ok {
		return refuse(InvalidValue, "without a path the value must be an object; it is %s", describe(value))
	}
	return p.members("", op, o)
}

// members takes the members of an object as attributes of the core (urn "") or of an extension.
func (p *patchParser) members(urn string, op OpKind, o *Object) error {
	for name, v := range o.All() {
		if urn == "" && sameName(name, "schemas") {
			continue // The server derives it from the data.
		}
		var err error
		if a := p.plain(urn, name); a != nil {
			err = p.attribute(op, Path{URN: urn, Name: a.Name}, v)
		} else {
			err = p.odd(urn, op, name, v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// plain finds an attribute that a member names in the standard's way.
func (p *patchParser) plain(urn, name string) *Attribute {
	found, a := p.t.attribute(urn, name)
	if found != urn {
		return nil
	}
	return a
}

// odd takes a member whose name is a path of its own, or the URN of an extension.
func (p *patchParser) odd(urn string, op OpKind, name string, v any) error {
	if urn != "" {
		// Within an extension's object, manager.value and the URN again have been seen.
		if path, err := ParsePath(name); err == nil && path.URN == "" {
			name = urn + ":" + name
		}
	}
	path, ok := p.readable(name)
	if !ok {
		p.quirk(UnknownAttribute, "%q is not the name of an attribute; left out", clean(name, 80))
		return nil
	}
	switch {
	case path.Name == "":
		// An extension as an object, as the standard has it.
	case path.Sub != "":
		p.quirk(DottedName, "%q is the name of a member; taken as a path", clean(name, 120))
	case path.URN != "":
		p.quirk(QualifiedName, "%q is the name of a member; taken as a path", clean(name, 120))
	}
	return p.named(op, name, v, true)
}

// readable reads a name that may not be a path at all.
func (p *patchParser) readable(name string) (Path, bool) {
	path, err := ParsePath(name, p.t.urns...)
	return path, err == nil
}

// named takes a path and its value. Among others (in a value without a path) read-only attributes are left out; alone
// they are an error.
func (p *patchParser) named(op OpKind, text string, v any, among bool) error {
	path, dotted, err := parsePath(text, p.t.urns)
	if err != nil {
		return err
	}
	if path.Name == "" {
		return p.whole(op, path.URN, v)
	}
	found, attr, sub, ok := p.t.Find(path)
	if !ok {
		path.Filter = nil // It holds values, and only the name is to be reported.
		p.quirk(UnknownAttribute, "%q is not known; left out", clean(path.String(), 120))
		return nil
	}
	if dotted {
		p.quirk(DottedURN, "a dot stands between a URN and %q; taken as a colon", found.Name)
	}
	if found.URN != "" && path.URN == "" {
		p.quirk(UnqualifiedExtension, "%q is written without its schema %s", found.Name, found.URN)
	}
	if attr.Mutability == ReadOnly || sub != nil && sub.Mutability == ReadOnly {
		if among {
			p.quirk(ReadOnlyIgnored, "%q is read-only; left out", plainPath(found))
			return nil
		}
		return refuse(Mutability, "%s is read-only", plainPath(found))
	}
	return p.attribute(op, found, v)
}

func plainPath(p Path) string {
	p.Filter = nil
	return p.String()
}

// whole takes a path that is a schema's URN alone.
func (p *patchParser) whole(op OpKind, urn string, v any) error {
	x := p.t.extension(urn)
	if op != Remove {
		o, ok := v.(*Object)
		switch {
		case v == nil && op == Replace && x != nil:
			p.quirk(ReplaceWithNull, "%s is replaced by null; taken as a removal", urn)
			return p.whole(Remove, urn, nil)
		case v == nil:
			return nil
		case !ok:
			return refuse(InvalidValue, "%s must be an object; it is %s", urn, describe(v))
		case x == nil:
			return p.members("", op, o)
		}
		return p.members(x.ID, op, o)
	}
	if x == nil {
		return refuse(NoTarget, "a removal needs the path of an attribute")
	}
	for i := range x.Attributes {
		p.out = append(p.out, Operation{Op: Remove, Path: Path{URN: x.ID, Name: x.Attributes[i].Name}, At: p.at})
	}
	return nil
}

// attribute takes an operation on an attribute that exists, and gives its value the right type.
func (p *patchParser) attribute(op OpKind, path Path, v any) error {
	_, attr, sub, _ := p.t.Find(path)
	if attr.Mutability == ReadOnly {
		if v != nil && attr.Name != "id" && attr.Name != "meta" {
			p.quirk(ReadOnlyIgnored, "%q is read-only; left out", path.Name)
		}
		return nil
	}
	if err := p.filter(path.Filter, attr, path); err != nil {
		return err
	}
	leaf := attr
	if sub != nil {
		leaf = sub
	}
	if op == Remove {
		return p.removal(path, leaf, v)
	}
	if leaf.Type == Complex && !leaf.MultiValued && emptyReference(v) {
		// Entra clears a manager with Add or Replace and "".
		p.quirk(EmptyText, "%s is an empty string; taken as a removal", plainPath(path))
		op, v = Replace, nil
	}
	if p.silent && leaf.MultiValued && op == Replace {
		// A group must not lose its members because somebody forgot to say who they are now. Entra says null.
		return refuse(InvalidValue, "a replacement of %s needs a value", plainPath(path))
	}
	p.nullParts(op, path, leaf, v)
	value, err := p.t.operand(path, attr, leaf, v, p.q)
	if err != nil {
		return err
	}
	if value == nil {
		return p.nothing(op, path, v)
	}
	p.out = append(p.out, Operation{Op: op, Path: path, Value: value, At: p.at})
	return nil
}

// emptyReference recognizes "" and {"value": ""}, and a list of one of them.
func emptyReference(v any) bool {
	if list, ok := v.([]any); ok && len(list) == 1 {
		v = list[0]
	}
	o, _ := v.(*Object)
	value, _ := o.Get("value")
	return isEmptyText(v) || isEmptyText(value)
}

func isEmptyText(v any) bool {
	s, ok := v.(string)
	return ok && s == ""
}

// nothing takes an operation of whose value nothing is left. Replacing by null or an empty list is a removal, adding
// them changes nothing.
func (p *patchParser) nothing(op OpKind, path Path, v any) error {
	if _, ok := v.(*Object); ok || op == Add {
		return nil // What was null in the object has become removals; what it does not mention stays.
	}
	if list, _ := v.([]any); !empty(list) {
		// A group must not lose its members because nobody understood the list of the new ones.
		return refuse(InvalidValue, "%s: none of the %d values can be used", plainPath(path), len(list))
	}
	p.quirk(ReplaceWithNull, "%s is replaced by nothing; taken as a removal", plainPath(path))
	p.out = append(p.out, Operation{Op: Remove, Path: path, At: p.at})
	return nil
}

// filter checks the filter in a path's brackets.
func (p *patchParser) filter(f Filter, attr *Attribute, path Path) error {
	if f == nil {
		return nil
	}
	if !attr.MultiValued {
		return refuse(InvalidPath, "%s has one value at most, so [...] cannot select among them", plainPath(path))
	}
	_, err := p.t.compile(f, attr, 0)
	return err
}

// nullParts turns the nulls in {"givenName": null} into removals, for a replacement of a complex attribute.
func (p *patchParser) nullParts(op OpKind, path Path, leaf *Attribute, v any) {
	o, ok := v.(*Object)
	if !ok || op != Replace || leaf.Type != Complex || leaf.MultiValued {
		return
	}
	for name, part := range o.All() {
		list, isList := part.([]any)
		sub := leaf.sub(name)
		if sub == nil || sub.Mutability == ReadOnly || part != nil && (!isList || len(list) > 0) {
			continue
		}
		if sub.Name == "$ref" {
			continue // Entra sends "$ref": null with every reference, and means nothing by it.
		}
		p.quirk(ReplaceWithNull, "%s.%s is replaced by null; taken as a removal", plainPath(path), sub.Name)
		path.Sub = sub.Name
		p.out = append(p.out, Operation{Op: Remove, Path: path, At: p.at})
	}
}

// removal takes a removal. Entra removes members with {"op":"Remove","path":"members","value":[{"value":"…"}]}, which by
// the letter of the standard would remove all of them.
func (p *patchParser) removal(path Path, leaf *Attribute, v any) error {
	op := Operation{Op: Remove, Path: path, At: p.at}
	if v != nil && leaf.MultiValued && path.Filter == nil {
		p.quirk(RemoveWithValue, "the removal of %s lists values; only those are removed", plainPath(path))
		value, err := leaf.coerce(plainPath(path), v, p.q)
		if err != nil {
			return err
		}
		if value == nil {
			return nil // An empty list names nothing. Emptying a group needs clearer words.
		}
		op.Value = value
	}
	p.out = append(p.out, op)
	return nil
}

// operand gives the value of an operation the type that its path calls for: with a filter and no sub-attribute that is
// one of the values, otherwise all there is of the attribute.
func (t *ResourceType) operand(path Path, attr, leaf *Attribute, v any, q *quirks) (any, error) {
	if path.Filter == nil || path.Sub != "" {
		return leaf.coerce(plainPath(path), v, q)
	}
	list, ok := v.([]any)
	switch {
	case ok && len(list) == 0:
		return nil, nil
	case ok && len(list) > 1:
		return nil, refuse(InvalidValue, "%s[...] takes one value; %d were given", attr.Name, len(list))
	case ok:
		q.add(ListOfOne, fmt.Sprintf("%s[...] was given a list of one; taken as the value in it", attr.Name))
		v = list[0]
	}
	return attr.coerceOne(plainPath(path), v, q)
}
