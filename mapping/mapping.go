package mapping

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"dirsync"
)

// Mapping turns people's records into the target's values. It is made by Compile, never changes, and may be used by
// many goroutines at once.
type Mapping struct {
	rules []rule // by field name
	where *program
	reads []typedProperty // what expressions of expr-lang read
	pool  sync.Pool       // of *person
	slots int             // how many properties have a hint

	properties  []string
	createOnly  []string
	fingerprint string
}

// Result is what a mapping makes of one person.
type Result struct {
	// InScope tells whether the person is one of those who are to be in the target. Whoever cannot be told from their
	// record is in scope and has a Fault, so that they are left as they are.
	InScope bool
	// Values are all mapped fields: null for a field that is to be empty. A field that is to be kept as the target has
	// it is absent. Values are nil when the person is out of scope, and must not be used when there are Faults.
	Values dirsync.Values
	// Faults say why the record makes no valid user; empty when it does.
	Faults []dirsync.Fault
}

// WhereField is the Field of a fault, or problem, of the scope.
const WhereField = "where"

// rule fills one field.
type rule struct {
	converter
	spec       Spec
	source     origin
	fallback   dirsync.Value // the default
	keep       bool
	createOnly bool
}

// origin is where a rule's values come from.
type origin interface {
	// fetch returns the input of one person. The second result says that the field is to be left as it is.
	fetch(p *person) (in input, leave bool, err error)
	// describe names the origin in a fault: "givenName", "the expression".
	describe() string
	// shows returns what of the person's record a fault shows as the value.
	shows(p *person) string
}

// person is one record while it is mapped.
type person struct {
	id    dirsync.ID
	attrs dirsync.Attributes
	reads []typedProperty
	// shop is made, and loaded with the person's properties, when the first expression is run.
	shop   *workshop
	loaded bool
	// hints say where in the attributes each property was found the last time. Records mostly look alike.
	hints []int
}

func (m *Mapping) person(id dirsync.ID, attrs dirsync.Attributes) *person {
	p, ok := m.pool.Get().(*person)
	if !ok {
		p = &person{reads: m.reads, hints: make([]int, m.slots)}
	}
	p.id, p.attrs, p.loaded = id, attrs, false
	return p
}

func (m *Mapping) done(p *person) {
	p.attrs = nil
	m.pool.Put(p)
}

// workshop returns what running an expression needs, with the person's properties in it.
func (p *person) workshop() *workshop {
	if p.shop == nil {
		p.shop = newWorkshop()
	}
	if !p.loaded {
		p.loaded = true
		p.shop.load(p, p.reads)
	}
	return p.shop
}

// gather lists what the expressions of expr-lang read, each property once, and gives every property that is read often
// its hint.
func (m *Mapping) gather(source map[string]dirsync.Field) {
	programs := []*program{m.where}
	for i := range m.rules {
		switch s := m.rules[i].source.(type) {
		case *expression:
			programs = append(programs, s.program)
		case *property:
			m.slots++
			s.slot = m.slots
		}
	}
	seen := map[string]bool{}
	for _, p := range programs {
		if p == nil {
			continue
		}
		for _, r := range p.reads {
			if !seen[r.name] {
				seen[r.name] = true
				m.slots++
				m.reads = append(m.reads, typedProperty{property{r.name, r.attribute, r.inner, m.slots}, source[r.name]})
			}
		}
	}
}

// inScope tells whether a person is in scope. When nobody can tell, they are, with a fault: a mistake must never make
// somebody a leaver.
func (m *Mapping) inScope(p *person) (bool, *dirsync.Fault) {
	if m.where == nil {
		return true, nil
	}
	in, err := p.workshop().run(m.where)
	switch {
	case err != nil:
		return true, &dirsync.Fault{Field: WhereField, Value: shown(showReads(p, m.where.reads)), Reason: err.Error()}
	case in.kind != kindBoolean:
		return true, &dirsync.Fault{Field: WhereField, Value: shown(showReads(p, m.where.reads)),
			Reason: "is neither true nor false, because something that it asks for is empty"}
	}
	return in.text == "true", nil
}

// Properties returns the names of the source's properties that the mapping reads, in the form in which they are asked
// for: the top-level name alone ("employeeOrgData" for employeeOrgData/division). They are sorted. The object id is
// not among them, because it always comes along.
func (m *Mapping) Properties() []string { return slices.Clone(m.properties) }

// CreateOnly returns the fields that are written when a user is added and never again, sorted.
func (m *Mapping) CreateOnly() []string { return slices.Clone(m.createOnly) }

// Fingerprint identifies what the mapping means. It changes exactly when the same record may be mapped to other values
// or to another scope: not when mappings are only moved about, reformatted or labelled anew.
func (m *Mapping) Fingerprint() string { return m.fingerprint }

// Map maps one person's record. Equal records give equal results, whenever and wherever they are mapped. It never
// panics, whatever the attributes hold.
func (m *Mapping) Map(id dirsync.ID, attrs dirsync.Attributes) Result {
	p := m.person(id, attrs)
	defer m.done(p)
	if in, fault := m.inScope(p); !in || fault != nil {
		r := Result{InScope: in}
		if fault != nil {
			r.Faults = []dirsync.Fault{*fault}
		}
		return r
	}
	res := Result{InScope: true, Values: make(dirsync.Values, 0, len(m.rules))}
	for i := range m.rules {
		r := &m.rules[i]
		var did applied
		r.apply(p, &did)
		switch {
		case did.fault != nil:
			res.Faults = append(res.Faults, *did.fault)
		case !did.left:
			res.Values = append(res.Values, dirsync.FieldValue{Field: r.field.Name, Value: did.value})
		}
	}
	return res
}

// applied is what a rule made of one person.
type applied struct {
	in    input
	value dirsync.Value
	// left says that the field stays as the target has it, and defaulted that the value is the default.
	left, defaulted bool
	fault           *dirsync.Fault
}

// apply fills the field for one person.
func (r *rule) apply(p *person, did *applied) {
	in, leave, err := r.source.fetch(p)
	if err != nil {
		did.fault = r.fault(p, err.Error())
		return
	}
	var reason string
	did.value, reason = r.value(&in)
	did.in = in
	switch {
	case reason != "":
		did.fault = r.fault(p, reason)
	case !did.value.IsNull():
	case !r.fallback.IsNull():
		did.value, did.defaulted = r.fallback, true
	case r.field.Required:
		did.fault = &dirsync.Fault{Field: r.field.Name, Reason: "is required, but " + r.source.describe() + " is empty"}
	default:
		did.left = leave || r.keep
	}
}

func (r *rule) fault(p *person, reason string) *dirsync.Fault {
	if r.redacted() {
		// The reason may quote the value.
		return &dirsync.Fault{Field: r.field.Name, Value: redacted, Reason: "cannot be filled; the value is hidden by Redact"}
	}
	return &dirsync.Fault{Field: r.field.Name, Value: shown(r.source.shows(p)), Reason: reason}
}

// redacted tells a field whose values must not be shown to anybody.
func (r *rule) redacted() bool {
	e, ok := r.source.(*entraExpression)
	return ok && e.program.redacted
}

// constant is the same for everybody.
type constant struct{ in input }

func (c *constant) fetch(*person) (input, bool, error) { return c.in, false, nil }
func (c *constant) describe() string                   { return "the constant" }
func (c *constant) shows(*person) string               { return c.in.text }

// property is one property of the source.
type property struct {
	// name is how the mapping names it; attribute and inner are its parts on either side of the slash.
	name, attribute, inner string
	// slot is the number of the property's hint, from 1; 0 when it has none.
	slot int
}

func newProperty(name string) *property {
	p := &property{name: name, attribute: name}
	if a, b, ok := strings.Cut(name, "/"); ok {
		p.attribute, p.inner = a, b
	}
	return p
}

func (a *property) describe() string { return a.name }

// raw returns the property's JSON; nil when it is absent.
func (a *property) raw(p *person) (json.RawMessage, error) {
	raw, ok := p.get(a)
	if a.inner != "" {
		return member(raw, a.inner)
	}
	if !ok && a.attribute == idProperty {
		return json.Marshal(string(p.id))
	}
	return raw, nil
}

// get finds an attribute, first where it was the last time.
func (p *person) get(a *property) (json.RawMessage, bool) {
	if a.slot == 0 {
		return p.attrs.Get(a.attribute)
	}
	hint := &p.hints[a.slot-1]
	if i := *hint; i < len(p.attrs) && p.attrs[i].Name == a.attribute {
		return p.attrs[i].Raw, true
	}
	i, ok := slices.BinarySearchFunc(p.attrs, a.attribute, func(x dirsync.Attribute, name string) int { return strings.Compare(x.Name, name) })
	if !ok {
		return nil, false
	}
	*hint = i
	return p.attrs[i].Raw, true
}

func (a *property) fetch(p *person) (input, bool, error) {
	raw, err := a.raw(p)
	if err != nil {
		return input{}, false, err
	}
	in, err := decode(raw)
	return in, false, err
}

func (a *property) shows(p *person) string {
	raw, err := a.raw(p)
	if err != nil {
		raw, _ = p.attrs.Get(a.attribute)
	}
	return showJSON(raw)
}

// idProperty is the object id, which every source has, whether it lists it or not.
const idProperty = "id"

// showJSON returns a JSON value for people: a text without its quotation marks, anything else as it is, at most a few
// hundred bytes of it.
func showJSON(raw json.RawMessage) string {
	const most = 400
	if string(raw) == "null" {
		return ""
	}
	if len(raw) > most {
		raw = raw[:most]
	}
	if len(raw) > 0 && raw[0] == '"' {
		if s, err := decodeText(raw); err == nil {
			return s
		}
	}
	return string(raw)
}
