package mapping

import (
	"dirsync"
)

// samples is how many people a preview shows for each thing that can become of a field.
const samples = 3

// Preview is what a mapping makes of a population. It is filled by Add, one person at a time, and stays as small as it
// is however many there are. One goroutine at a time may use it.
type Preview struct {
	// People are all who were added, OutOfScope those of them whom the scope leaves out, and Wrong those in scope whose
	// records make no valid user.
	People     int `json:"people"`
	OutOfScope int `json:"out_of_scope"`
	Wrong      int `json:"wrong"`
	// Where says what went wrong with the scope; nil when the mapping has none.
	Where *FieldPreview `json:"where,omitempty"`
	// Fields has one entry for every mapped field, by name.
	Fields []FieldPreview `json:"fields"`

	mapping *Mapping
}

// FieldPreview is what became of one field, of the people in scope. Everybody counts once in Set, Empty or Wrong.
type FieldPreview struct {
	Field string       `json:"field"`
	Label string       `json:"label,omitempty"`
	Type  dirsync.Type `json:"type"`
	// Form is from, expr, entra or value, and Expression what the configuration has there.
	Form       string `json:"form"`
	Expression string `json:"expression"`
	CreateOnly bool   `json:"create_only,omitempty"`

	// Set counts the people with a value; of those, Converted the ones whose value is written differently at the source,
	// and Defaulted the ones who have the default. Empty counts those without a value; of those, Kept the ones whose
	// field stays as the target has it. Wrong counts those whose value cannot be used.
	Set       int `json:"set"`
	Converted int `json:"converted"`
	Defaulted int `json:"defaulted"`
	Empty     int `json:"empty"`
	Kept      int `json:"kept"`
	Wrong     int `json:"wrong"`

	// The first few people of each sort. SetSamples are values that are as at the source, ConvertedSamples others.
	SetSamples       []Sample `json:"set_samples,omitempty"`
	ConvertedSamples []Sample `json:"converted_samples,omitempty"`
	EmptySamples     []Sample `json:"empty_samples,omitempty"`
	WrongSamples     []Sample `json:"wrong_samples,omitempty"`
}

// Sample is one person's value. Long values are cut off.
type Sample struct {
	ID dirsync.ID `json:"id"`
	// Input is what the source has, Output the value, and Reason what is wrong with it: a phrase that follows the field's
	// name.
	Input  string `json:"input,omitempty"`
	Output string `json:"output,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// NewPreview returns an empty preview of the mapping.
func (m *Mapping) NewPreview() *Preview {
	pv := &Preview{mapping: m, Fields: make([]FieldPreview, len(m.rules))}
	if m.where != nil {
		pv.Where = &FieldPreview{Field: WhereField, Type: dirsync.Boolean, Form: "expr", Expression: m.where.source}
	}
	for i := range m.rules {
		r := &m.rules[i]
		f := &pv.Fields[i]
		f.Field, f.Label, f.Type, f.CreateOnly = r.field.Name, r.field.Label, r.field.Type, r.createOnly
		switch s := r.source.(type) {
		case *property:
			f.Form, f.Expression = "from", r.spec.From
		case *expression:
			f.Form, f.Expression = "expr", r.spec.Expr
		case *entraExpression:
			f.Form, f.Expression = "entra", r.spec.Entra
		case *constant:
			f.Form, f.Expression = "value", s.in.text
		}
	}
	return pv
}

// Add maps one more person. They are not kept, apart from the samples.
func (pv *Preview) Add(id dirsync.ID, attrs dirsync.Attributes) {
	m := pv.mapping
	p := m.person(id, attrs)
	defer m.done(p)
	pv.People++
	in, fault := m.inScope(p)
	switch {
	case fault != nil:
		pv.Wrong++
		pv.Where.Wrong++
		sample(&pv.Where.WrongSamples, Sample{id, fault.Value, "", fault.Reason})
		return
	case !in:
		pv.OutOfScope++
		return
	case pv.Where != nil:
		pv.Where.Set++
	}
	wrong := false
	for i := range m.rules {
		r := &m.rules[i]
		var did applied
		r.apply(p, &did)
		pv.Fields[i].add(r, p, &did)
		wrong = wrong || did.fault != nil
	}
	if wrong {
		pv.Wrong++
	}
}

func (f *FieldPreview) add(r *rule, p *person, did *applied) {
	switch {
	case did.fault != nil:
		f.Wrong++
		if len(f.WrongSamples) < samples {
			sample(&f.WrongSamples, Sample{p.id, did.fault.Value, "", did.fault.Reason})
		}
	case did.value.IsNull():
		f.Empty++
		if did.left {
			f.Kept++
		}
		if len(f.EmptySamples) < samples {
			sample(&f.EmptySamples, Sample{p.id, r.shown(p), "", ""})
		}
	default:
		f.Set++
		list := &f.SetSamples
		if did.defaulted {
			f.Defaulted++
		} else if r.converted(did) {
			f.Converted++
			list = &f.ConvertedSamples
		}
		if len(*list) < samples {
			out := shown(did.value.Text)
			if r.redacted() {
				out = redacted
			}
			sample(list, Sample{p.id, r.shown(p), out, ""})
		}
	}
}

// converted tells a value that is written differently from what went in.
func (r *rule) converted(did *applied) bool {
	if did.in.kind == kindList && r.field.Type == dirsync.TextList {
		return did.value.Text != encodeList(did.in.list)
	}
	return did.value.Text != did.in.text
}

// shown is what the source has for the field, for people.
func (r *rule) shown(p *person) string {
	if r.redacted() {
		return redacted
	}
	return shown(r.source.shows(p))
}

func sample(list *[]Sample, s Sample) {
	if len(*list) < samples {
		*list = append(*list, s)
	}
}
