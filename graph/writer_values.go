package graph

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"dirsync"
)

// document is what a write says of properties: those inside of another one together in it, and the manager left out, who
// is written by other means. Null is said as null, of a list as an empty one. New accounts leave both out.
func (w *Writer) document(values dirsync.Values, isNew bool) map[string]any {
	doc := map[string]any{}
	for _, v := range values {
		f := w.field(v.Field)
		if f == nil || f.Type == dirsync.Reference || isNew && v.Value.IsNull() {
			continue
		}
		outer, inner := f.path()
		switch {
		case inner == "":
			doc[outer] = f.encode(v.Value)
		case doc[outer] == nil:
			doc[outer] = map[string]any{inner: f.encode(v.Value)}
		default:
			if object, ok := doc[outer].(map[string]any); ok {
				object[inner] = f.encode(v.Value)
			}
		}
	}
	if object, ok := doc[orgData].(map[string]any); ok && isNew && len(object) == 1 {
		_, one, _ := strings.Cut(division, "/")
		_, other, _ := strings.Cut(costCenter, "/")
		doc[orgData] = map[string]any{one: object[one], other: object[other]} // both have to be sent
	}
	return doc
}

// encode is a value as JSON has it.
func (f *writable) encode(v dirsync.Value) any {
	switch {
	case v.IsNull() && f.Type == dirsync.TextList:
		return []string{}
	case v.IsNull():
		return nil
	case v.Type == dirsync.TextList:
		return v.List()
	case v.Type == dirsync.Boolean:
		return v.Text == "true"
	case v.Type == dirsync.Number && json.Valid([]byte(v.Text)):
		return json.RawMessage(v.Text)
	}
	return v.Text
}

// account is a user of the tenant as this Writer sees them.
func (w *Writer) account(r dirsync.Record) dirsync.Account {
	a := dirsync.Account{ID: string(r.ID), Source: w.owner(r), Active: !Blocked(r.Attrs)}
	a.Created, _ = time.Parse(time.RFC3339, r.Attrs.Text("createdDateTime"))
	fields := w.all()
	a.Values = make(dirsync.Values, 0, len(fields))
	for i := range fields {
		f := &fields[i]
		a.Values = append(a.Values, dirsync.FieldValue{Field: f.Name, Value: w.value(f, r)})
	}
	if w.groups.Load() != nil {
		a.Unsaid = append(a.Unsaid, dirsync.GroupsField)
	}
	return a
}

// owner is whose an account is, by its anchor.
func (w *Writer) owner(r dirsync.Record) dirsync.ID {
	if w.cfg.Anchor == "" {
		return ""
	}
	return dirsync.ID(strings.TrimSpace(textOf(inside(r.Attrs, w.cfg.Anchor))))
}

// value reads one property. What has another form than the property's is read as far as it means anything.
func (w *Writer) value(f *writable, r dirsync.Record) dirsync.Value {
	raw := inside(r.Attrs, f.Name)
	if f.Type == dirsync.Reference {
		return w.boss(raw)
	}
	return decode(f.Type, raw)
}

// boss is whose account a manager's is; null if it is nobody's.
func (w *Writer) boss(raw json.RawMessage) dirsync.Value {
	var members map[string]json.RawMessage
	if len(raw) == 0 || raw[0] != '{' || json.Unmarshal(raw, &members) != nil {
		return dirsync.Value{}
	}
	attrs := make([]dirsync.Attribute, 0, len(members))
	for name, value := range members {
		attrs = append(attrs, dirsync.Attribute{Name: name, Raw: value})
	}
	owner := w.owner(dirsync.Record{Attrs: dirsync.NewAttributes(attrs)})
	if owner == "" {
		return dirsync.Value{}
	}
	return dirsync.Value{Type: dirsync.Reference, Text: string(owner)}
}

// inside returns the JSON of a property, which may be inside another one; nil if nothing is said of it.
func inside(attrs dirsync.Attributes, name string) json.RawMessage {
	outer, inner, nested := strings.Cut(name, "/")
	raw, _ := attrs.Get(outer)
	if !nested {
		return raw
	}
	var object map[string]json.RawMessage
	if len(raw) == 0 || json.Unmarshal(raw, &object) != nil {
		return nil
	}
	return object[inner]
}

// textOf is a JSON text, number or boolean as a text.
func textOf(raw json.RawMessage) string {
	if len(raw) > 0 && (raw[0] == 't' || raw[0] == 'f') {
		return string(raw)
	}
	return plain(raw)
}

// decode makes a value in canonical form of what Graph sends.
func decode(typ dirsync.Type, raw json.RawMessage) dirsync.Value {
	if typ == dirsync.TextList {
		var list []string
		if json.Unmarshal(raw, &list) != nil {
			return dirsync.Value{}
		}
		for i := range list {
			list[i] = canonical(list[i])
		}
		return dirsync.NewList(slices.DeleteFunc(list, func(s string) bool { return s == "" }))
	}
	text := canonical(textOf(raw))
	switch typ {
	case dirsync.Email:
		if at := strings.LastIndexByte(text, '@'); at >= 0 {
			text = text[:at] + strings.ToLower(text[at:])
		}
	case dirsync.DateTime:
		if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
			text = t.UTC().Format(time.RFC3339Nano)
		}
	}
	if text == "" {
		return dirsync.Value{}
	}
	return dirsync.Value{Type: typ, Text: text}
}

func canonical(text string) string { return norm.NFC.String(strings.TrimSpace(text)) }
