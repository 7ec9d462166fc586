package mapping

import (
	"encoding/json"

	"dirsync"
)

// FieldTrace shows how one field of one person came about.
type FieldTrace struct {
	// Field is the target's field, or "where" for the scope, and Label what people call it.
	Field string `json:"field"`
	Label string `json:"label,omitempty"`
	// Form is from, expr, entra or value, and Expression what the configuration has there.
	Form       string `json:"form"`
	Expression string `json:"expression"`
	// Input are the properties that were read, in the order in which the expression names them.
	Input []InputTrace `json:"input,omitempty"`
	// Output is the value, null when there is none. Kept says that the field stays as the target has it, Defaulted that
	// the value is the default.
	Output    dirsync.Value `json:"output"`
	Kept      bool          `json:"kept,omitempty"`
	Defaulted bool          `json:"defaulted,omitempty"`
	// Fault says why there is no value where there should be one; nil when nothing is wrong.
	Fault *dirsync.Fault `json:"fault,omitempty"`
	// CreateOnly says that the field is written when the user is added and never again.
	CreateOnly bool `json:"create_only,omitempty"`
}

// InputTrace is one property as the source sent it. Raw is nil when it is absent.
type InputTrace struct {
	Property string          `json:"property"`
	Raw      json.RawMessage `json:"raw"`
}

// Trace shows how every field of one person comes about, the scope first when there is one, then the fields by name.
// The fields of a person out of scope are shown all the same. Values that an expression hides with Redact are not.
func (m *Mapping) Trace(id dirsync.ID, attrs dirsync.Attributes) []FieldTrace {
	p := m.person(id, attrs)
	defer m.done(p)
	var out []FieldTrace
	if m.where != nil {
		t := FieldTrace{Field: WhereField, Form: "expr", Expression: m.where.source, Input: p.inputs(m.where.reads)}
		var in bool
		in, t.Fault = m.inScope(p)
		t.Output = dirsync.Value{Type: dirsync.Boolean, Text: "false"}
		if in {
			t.Output.Text = "true"
		}
		out = append(out, t)
	}
	for i := range m.rules {
		out = append(out, m.rules[i].trace(p))
	}
	return out
}

func (r *rule) trace(p *person) FieldTrace {
	var did applied
	r.apply(p, &did)
	t := FieldTrace{
		Field: r.field.Name, Label: r.field.Label, Output: did.value, Kept: did.left, Defaulted: did.defaulted, Fault: did.fault,
		CreateOnly: r.createOnly,
	}
	switch s := r.source.(type) {
	case *property:
		t.Form, t.Expression, t.Input = "from", r.spec.From, p.inputs([]*property{s})
	case *expression:
		t.Form, t.Expression, t.Input = "expr", r.spec.Expr, p.inputs(s.program.reads)
	case *entraExpression:
		t.Form, t.Expression, t.Input = "entra", r.spec.Entra, p.inputs(s.program.reads)
	case *constant:
		t.Form, t.Expression = "value", s.in.text
	}
	if r.redacted() {
		for i := range t.Input {
			t.Input[i].Raw = json.RawMessage(`"` + redacted + `"`)
		}
		if !t.Output.IsNull() {
			t.Output = dirsync.Value{Type: dirsync.Text, Text: redacted}
		}
	}
	return t
}

// inputs shows properties as the source sent them.
func (p *person) inputs(reads []*property) []InputTrace {
	out := make([]InputTrace, 0, len(reads))
	for _, r := range reads {
		raw, err := r.raw(p)
		if err != nil {
			raw, _ = p.attrs.Get(r.attribute)
		}
		if !json.Valid(raw) {
			raw = nil
		}
		out = append(out, InputTrace{r.name, raw})
	}
	return out
}
