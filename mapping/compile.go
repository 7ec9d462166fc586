package mapping

import (
	"fmt"
	"slices"
	"strings"

	"dirsync"
)

// Compile checks a mapping against what the source offers and the target takes, and makes it ready to be used. All
// mistakes are found at once, in the order in which they stand in the configuration; if there is one, there is no
// Mapping. Every Required field of the target has to be mapped.
func Compile(specs []Spec, where Expression, source, target []dirsync.Field) (*Mapping, []Problem) {
	c := newCompiler(source, target)
	m := &Mapping{}
	for i := range specs {
		if r, ok := c.rule(&specs[i]); ok {
			m.rules = append(m.rules, r)
		}
	}
	c.required(specs)
	m.where = c.where(where)
	if len(c.problems) > 0 {
		sortProblems(c.problems)
		return nil, c.problems
	}
	slices.SortFunc(m.rules, func(a, b rule) int { return strings.Compare(a.field.Name, b.field.Name) })
	for _, r := range m.rules {
		if r.createOnly {
			m.createOnly = append(m.createOnly, r.field.Name)
		}
	}
	m.properties = c.properties()
	m.gather(c.source)
	m.fingerprint = fingerprint(m, c.source)
	return m, nil
}

// compiler gathers the mistakes of one mapping.
type compiler struct {
	source, target map[string]dirsync.Field
	sourceNames    []string
	targetNames    []string
	read           map[string]bool // properties that are read
	mapped         map[string]Position
	problems       []Problem
}

func newCompiler(source, target []dirsync.Field) *compiler {
	c := &compiler{
		source: map[string]dirsync.Field{idProperty: {Name: idProperty, Type: dirsync.Text}},
		target: map[string]dirsync.Field{},
		read:   map[string]bool{},
		mapped: map[string]Position{},
	}
	for _, f := range source {
		c.source[f.Name] = f
	}
	for _, f := range target {
		c.target[f.Name] = f
	}
	c.sourceNames, c.targetNames = usable(c.source), usable(c.target)
	return c
}

// usable lists the names of fields that can be used, sorted.
func usable(fields map[string]dirsync.Field) []string {
	var names []string
	for name, f := range fields {
		if f.Refused == "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (c *compiler) problem(pos Position, field, hint, format string, args ...any) {
	c.problems = append(c.problems, Problem{Pos: pos, Field: field, Hint: hint, Message: fmt.Sprintf(format, args...)})
}

// rule compiles the mapping of one field.
func (c *compiler) rule(s *Spec) (rule, bool) {
	before := len(c.problems)
	f, ok := c.target[s.Field]
	if !ok {
		c.problem(s.Pos, s.Field, didYouMean(s.Field, c.targetNames), "the target has no field %s", s.Field)
		return rule{}, false
	}
	if f.Refused != "" {
		c.problem(s.Pos, s.Field, "", "%s cannot be written: %s", s.Field, f.Refused)
		return rule{}, false
	}
	if !knownType(f.Type) {
		c.problem(s.Pos, s.Field, "", "%s is of the type %q, which is not known", s.Field, f.Type)
		return rule{}, false
	}
	if at, twice := c.mapped[s.Field]; twice {
		c.problem(s.Pos, s.Field, "", "%s is mapped already, at %s", s.Field, at)
		return rule{}, false
	}
	c.mapped[s.Field] = s.Pos
	r := rule{spec: *s, createOnly: s.SyncUpdates != nil && !*s.SyncUpdates}
	r.converter = converter{field: f} // until the origin, and with it the type of what goes in, is known
	c.origin(&r)
	c.whenNull(&r)
	return r, len(c.problems) == before
}

// origin compiles where the values come from.
func (c *compiler) origin(r *rule) {
	s := &r.spec
	forms := 0
	for _, set := range []bool{s.From != "", s.Expr != "", s.Entra != "", s.Value != nil} {
		if set {
			forms++
		}
	}
	if forms != 1 {
		c.problem(s.Pos, s.Field, "give exactly one of from, expr, entra and value",
			"%s has %s", s.Field, map[bool]string{true: "no source", false: "more than one source"}[forms == 0])
		return
	}
	switch {
	case s.From != "":
		c.direct(r)
	case s.Value != nil:
		r.converter = c.converter(s, r.field, dirsync.Text)
		in := r.written(*s.Value)
		if v, reason := r.value(&in); reason != "" {
			c.problem(s.at(s.ValuePos), s.Field, "", "the constant %q %s", shown(*s.Value), reason)
		} else if v.IsNull() && r.field.Required {
			c.problem(s.at(s.ValuePos), s.Field, "", "%s is required, but the constant is empty", s.Field)
		}
		r.source = &constant{in}
	case s.Expr != "":
		c.expression(r)
	default:
		c.entraExpression(r)
	}
}

// written is a value that the configuration itself holds. For a list without a separator it is the only entry.
func (c *converter) written(s string) input {
	if c.field.Type == dirsync.TextList && c.separator == "" {
		return input{kind: kindList, list: []string{s}}
	}
	return textInput(s)
}

// property finds a property of the source. The second result says why there is none, and behind a line end what to use
// instead.
func (c *compiler) property(name string) (dirsync.Field, string) {
	f, ok := c.source[name]
	switch {
	case !ok:
		return f, "the source has no property " + name + "\n" + didYouMean(name, c.sourceNames)
	case f.Refused != "":
		return f, name + " cannot be used: " + f.Refused
	}
	c.read[name] = true
	return f, ""
}

func splitRefusal(s string) (message, hint string) {
	message, hint, _ = strings.Cut(s, "\n")
	return message, hint
}

func (c *compiler) direct(r *rule) {
	s := &r.spec
	from, refused := c.property(s.From)
	if refused != "" {
		message, hint := splitRefusal(refused)
		c.problem(s.at(s.FromPos), s.Field, hint, "%s", message)
		return
	}
	r.source = newProperty(s.From)
	r.converter = c.converter(s, r.field, from.Type)
	c.fits(r, from, s.at(s.FromPos))
}

// fits checks that values of one type can be mapped onto the field.
func (c *compiler) fits(r *rule, from dirsync.Field, pos Position) {
	if ok, hint := fits(from, r.field, r.spec.Format != ""); !ok {
		c.problem(pos, r.spec.Field, hint, "%s (%s) cannot be mapped onto %s (%s): the types must be the same",
			label(from), from.Type, label(r.field), r.field.Type)
	}
}

// expression compiles an expression of expr-lang.
func (c *compiler) expression(r *rule) {
	s := &r.spec
	p, f := compileExpr(s.Expr, c.property)
	if f != nil {
		c.problem(s.inside(s.ExprPos, f), s.Field, f.hint, "%s", f.message)
		return
	}
	r.source = &expression{p}
	from := dirsync.Field{Label: "the expression"}
	switch p.result {
	case staticNull:
		c.problem(s.at(s.ExprPos), s.Field, "", "the expression never gives anything")
		return
	case staticArray:
		c.problem(s.at(s.ExprPos), s.Field, "", "the expression gives %s", p.result)
		return
	case staticNumber:
		from.Type = dirsync.Number
	case staticBoolean:
		from.Type = dirsync.Boolean
	case staticMoment:
		from.Type = dirsync.DateTime
	case staticList:
		from.Type = dirsync.TextList
	default:
		from.Type = dirsync.Text
	}
	if r.field.Type == dirsync.Reference && c.onlyReferences(p.reads) {
		from.Type = dirsync.Reference
	}
	r.converter = c.converter(s, r.field, from.Type)
	c.fits(r, from, s.at(s.ExprPos))
}

// onlyReferences tells whether an expression reads nothing but references, so that it can give one.
func (c *compiler) onlyReferences(reads []*property) bool {
	for _, p := range reads {
		if c.source[p.name].Type != dirsync.Reference {
			return false
		}
	}
	return len(reads) > 0
}

// entraExpression compiles an expression in Entra's language, in which numbers, dates and truth are texts: they are
// checked value by value. An attribute alone is a direct mapping, and must have the field's type like any other.
func (c *compiler) entraExpression(r *rule) {
	s := &r.spec
	p, f := compileEntra(s.Entra, c.property)
	if f != nil {
		c.problem(s.inside(s.EntraPos, f), s.Field, f.hint, "%s", f.message)
		return
	}
	r.source = &entraExpression{p, isDate(r.field.Type)}
	from := dirsync.Field{Label: "the expression", Type: p.root.gives()}
	switch {
	case p.root.kind == entraAttribute && !p.root.flipped:
		from = p.root.property.field
	case r.field.Type == dirsync.Reference:
		if c.onlyReferences(p.reads) {
			from.Type = dirsync.Reference
		}
	case r.field.Type != dirsync.TextList && from.Type == dirsync.Text:
		from.Type = r.field.Type // each value is read as one of the field's
	}
	r.converter = c.converter(s, r.field, from.Type)
	c.fits(r, from, s.at(s.EntraPos))
}

// where compiles the scope.
func (c *compiler) where(e Expression) *program {
	if strings.TrimSpace(e.Text) == "" {
		return nil
	}
	p, f := compileExpr(e.Text, c.property)
	switch {
	case f != nil:
		c.problem(e.Pos.within(f.line, f.column), WhereField, f.hint, "%s", f.message)
	case p.result != staticBoolean:
		c.problem(e.Pos, WhereField, `compare something: user.userType == "Member"`, "the scope must be true or false, but is %s", p.result)
	}
	return p
}

func label(f dirsync.Field) string {
	if f.Label != "" {
		return f.Label
	}
	return f.Name
}

// whenNull compiles what becomes of people without a value.
func (c *compiler) whenNull(r *rule) {
	s := &r.spec
	switch s.WhenNull {
	case "", whenClear, whenKeep, whenDefault:
	default:
		c.problem(s.at(s.WhenNullPos), s.Field, "", "when_null is keep, clear or default, not %s", s.WhenNull)
		return
	}
	switch {
	case s.Default == nil && s.WhenNull == whenDefault:
		c.problem(s.at(s.WhenNullPos), s.Field, "add default: and the value", "when_null is default, but there is no default")
	case s.Default != nil && s.WhenNull != "" && s.WhenNull != whenDefault:
		c.problem(s.at(s.DefaultPos), s.Field, "remove one of the two", "there is a default, but when_null is %s", s.WhenNull)
	case s.WhenNull == whenKeep && r.field.Required:
		c.problem(s.at(s.WhenNullPos), s.Field, "use a default, or leave when_null out",
			"%s is required, so a new user without it has nothing to keep", s.Field)
	case s.Default != nil:
		in := r.written(*s.Default)
		v, reason := r.value(&in)
		if reason != "" && s.Format != "" {
			// A default may also be written in the canonical form.
			plain := converter{field: r.field, options: r.options}
			if w, why := plain.value(&in); why == "" {
				v, reason = w, ""
			}
		}
		if reason != "" {
			c.problem(s.at(s.DefaultPos), s.Field, "", "the default %q %s", shown(*s.Default), reason)
		} else if v.IsNull() {
			c.problem(s.at(s.DefaultPos), s.Field, "", "the default is empty")
		}
		r.fallback = v
	}
	r.keep = s.WhenNull == whenKeep
}

// required checks that every field that no user can be without is mapped.
func (c *compiler) required(specs []Spec) {
	first := Position{}
	if len(specs) > 0 {
		first = specs[0].Pos
	}
	for _, name := range c.targetNames {
		if _, ok := c.mapped[name]; !ok && c.target[name].Required {
			c.problem(first, name, "add "+name+": and the property that it comes from", "%s is required, but is not mapped", name)
		}
	}
}

// properties lists what is read, by top-level name.
func (c *compiler) properties() []string {
	var names []string
	for name := range c.read {
		top, _, _ := strings.Cut(name, "/")
		if top != idProperty {
			names = append(names, top)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
