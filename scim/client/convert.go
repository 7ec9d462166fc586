package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"dirsync"
	"dirsync/scim"
)

// layout makes the Go layout of a format such as "DD/MM/YYYY"; the default of the type when there is none.
func layout(f dirsync.Field) string {
	if f.Format == "" {
		if f.Type == dirsync.Date {
			return time.DateOnly
		}
		return time.RFC3339Nano
	}
	return strings.NewReplacer("YYYY", "2006", "MM", "01", "DD", "02", "HH", "15", "mm", "04", "ss", "05").Replace(f.Format)
}

// checkFormat refuses formats of dates that lose a part of them.
func checkFormat(f dirsync.Field) error {
	if f.Format == "" || f.Type != dirsync.Date && f.Type != dirsync.DateTime {
		return nil
	}
	moment := time.Date(2019, 11, 23, 17, 48, 59, 0, time.UTC)
	want := moment
	if f.Type == dirsync.Date {
		want = time.Date(2019, 11, 23, 0, 0, 0, 0, time.UTC)
	}
	back, err := time.Parse(layout(f), moment.Format(layout(f)))
	if err != nil || !back.Equal(want) && (f.Type == dirsync.Date || !back.Equal(want.Truncate(time.Minute))) {
		return fmt.Errorf("the format %q is none: use YYYY, MM and DD, for times HH, mm and ss too", f.Format)
	}
	return nil
}

// encode makes what is sent of a value that is not null. A Reference is given as the target's id already.
func (p place) encode(f dirsync.Field, v dirsync.Value) (any, error) {
	one := func(x any) any {
		if p.wrapped {
			return scim.NewObject(scim.Member{Name: "value", Value: x})
		}
		return x
	}
	switch f.Type {
	case dirsync.TextList:
		var out []any
		for _, text := range v.List() {
			out = append(out, one(text))
		}
		return out, nil
	case dirsync.Number:
		if !p.asText {
			if _, ok := new(big.Float).SetString(v.Text); !ok || len(v.Text) > 64 {
				return nil, errors.New("is not a number that can be sent")
			}
			return one(json.Number(v.Text)), nil
		}
	case dirsync.Boolean:
		if !p.asText {
			return one(v.Text == "true"), nil
		}
	case dirsync.Date, dirsync.DateTime:
		from := time.DateOnly
		if f.Type == dirsync.DateTime {
			from = time.RFC3339Nano
		}
		t, err := time.Parse(from, v.Text)
		if err != nil {
			return nil, errors.New("is not in canonical form")
		}
		return one(t.UTC().Format(layout(f))), nil
	}
	return one(v.Text), nil
}

// decode makes a value of what the target has; the null value of what cannot be one. A Reference stays the target's id.
func (p place) decode(f dirsync.Field, x any) dirsync.Value {
	if f.Type == dirsync.TextList {
		list, ok := x.([]any)
		if !ok {
			list = []any{x}
		}
		var texts []string
		for _, e := range list {
			if text := plain(e); text != "" {
				texts = append(texts, text)
			}
		}
		return dirsync.NewList(texts)
	}
	text := strings.TrimSpace(plain(x))
	if text == "" {
		return dirsync.Value{}
	}
	switch f.Type {
	case dirsync.Boolean:
		if text = strings.ToLower(text); text != "true" && text != "false" {
			return dirsync.Value{}
		}
	case dirsync.Number:
		if text = number(text); text == "" {
			return dirsync.Value{}
		}
	case dirsync.Currency:
		if code, amount, ok := strings.Cut(text, " "); ok && number(amount) != "" {
			text = strings.ToUpper(code) + " " + number(amount)
		}
	case dirsync.Email:
		if at := strings.LastIndexByte(text, '@'); at >= 0 {
			text = text[:at] + strings.ToLower(text[at:])
		}
	case dirsync.Date, dirsync.DateTime:
		return moment(f, text)
	case dirsync.Choice:
		for _, o := range f.Options {
			if dirsync.Fold(o) == dirsync.Fold(text) {
				text = o
				break
			}
		}
	}
	return dirsync.Value{Type: f.Type, Text: text}
}

// moment reads a date or a time in the field's own format, or as ISO 8601, which some targets answer whatever was sent.
func moment(f dirsync.Field, text string) dirsync.Value {
	for _, l := range []string{layout(f), time.RFC3339Nano, "2006-01-02T15:04:05", time.DateOnly} {
		t, err := time.Parse(l, text)
		if err != nil {
			continue
		}
		if f.Type == dirsync.Date {
			return dirsync.Value{Type: f.Type, Text: t.Format(time.DateOnly)}
		}
		return dirsync.Value{Type: f.Type, Text: t.UTC().Format(time.RFC3339Nano)}
	}
	return dirsync.Value{}
}

// plain is the text of a simple value, or of the "value" of an object.
func plain(x any) string {
	switch x := x.(type) {
	case string:
		return x
	case bool:
		if x {
			return "true"
		}
		return "false"
	case json.Number:
		return x.String()
	case *scim.Object:
		v, _ := x.Get("value")
		if _, nested := v.(*scim.Object); nested {
			return ""
		}
		return plain(v)
	case []any:
		if len(x) == 1 {
			if _, nested := x[0].([]any); !nested {
				return plain(x[0])
			}
		}
	}
	return ""
}

// number writes a number without exponent and needless zeros; "" for what is none, or absurdly long.
func number(text string) string {
	if len(text) > 64 {
		return ""
	}
	var r big.Rat
	if i := strings.IndexAny(text, "eE"); i >= 0 && len(text)-i > 4 || strings.ContainsAny(text, "/pPxX_") {
		return ""
	}
	if _, ok := r.SetString(text); !ok {
		return ""
	}
	places, exact := r.FloatPrec()
	if !exact || places > 64 {
		return ""
	}
	return strings.TrimPrefix(r.FloatString(places), "+")
}

// lookup finds what a resource has in a place; false for nothing.
func (p place) lookup(o *scim.Object) (any, bool) {
	if p.path.URN != "" {
		o = o.Object(p.path.URN)
	}
	v, ok := o.Get(p.path.Name)
	if !ok || v == nil {
		return nil, false
	}
	if p.path.Filter != nil {
		v = p.pick(v)
	}
	if p.path.Sub != "" {
		inner, isObject := v.(*scim.Object)
		if !isObject {
			// A list where one value should be, or a bare value where an object should be: its usual part is what it is.
			if list, isList := v.([]any); isList && len(list) > 0 {
				inner, isObject = list[0].(*scim.Object)
			}
			if !isObject {
				return v, v != nil && strings.EqualFold(p.path.Sub, "value")
			}
		}
		v, ok = inner.Get(p.path.Sub)
	}
	return v, ok && v != nil
}

// pick finds the element that the brackets select. Where no element says its type, as some targets answer, the primary or
// the first one counts.
func (p place) pick(v any) any {
	list, ok := v.([]any)
	if !ok {
		return v
	}
	untyped := true
	var first, primary *scim.Object
	for _, e := range list {
		o, ok := e.(*scim.Object)
		if !ok {
			continue
		}
		if p.matches(o) {
			return o
		}
		if first == nil {
			first = o
		}
		if yes, _ := o.Bool("primary"); yes && primary == nil {
			primary = o
		}
		for _, cmp := range p.equals {
			_, has := o.Get(cmp.Path.Name)
			untyped = untyped && !has
		}
	}
	switch {
	case !untyped || first == nil:
		return nil
	case primary != nil:
		return primary
	}
	return first
}

func (p place) matches(o *scim.Object) bool {
	for _, cmp := range p.equals {
		v, _ := o.Get(cmp.Path.Name)
		if b, isBool := cmp.Value.(bool); isBool {
			if got, _ := o.Bool(cmp.Path.Name); got != b {
				return false
			}
		} else if scim.FoldCase(plain(v)) != scim.FoldCase(plain(cmp.Value)) {
			return false
		}
	}
	return true
}

// element makes a new element of a list for a place with brackets.
func (p place) element(value any, primary bool) *scim.Object {
	o := scim.NewObject()
	for _, cmp := range p.equals {
		o.Set(cmp.Path.Name, cmp.Value)
	}
	o.Set(p.path.Sub, value)
	if primary {
		o.Set("primary", true)
	}
	return o
}

// put writes a value into a resource that is to be sent as a whole; nil takes it away.
func (p place) put(o *scim.Object, value any) {
	if p.path.URN != "" {
		inner := o.Object(p.path.URN)
		if inner == nil {
			if value == nil {
				return
			}
			inner = scim.NewObject()
			o.Set(p.path.URN, inner)
		}
		defer func(outer *scim.Object) {
			if inner.Len() == 0 {
				outer.Delete(p.path.URN)
			}
		}(o)
		o = inner
	}
	if p.path.Filter != nil {
		p.putElement(o, value)
		return
	}
	if p.path.Sub == "" {
		if value == nil {
			o.Delete(p.path.Name)
		} else {
			o.Set(p.path.Name, value)
		}
		return
	}
	inner := o.Object(p.path.Name)
	if inner == nil {
		if value == nil {
			return
		}
		inner = scim.NewObject()
		o.Set(p.path.Name, inner)
	}
	if value != nil {
		inner.Set(p.path.Sub, value)
	} else if inner.Delete(p.path.Sub); inner.Len() == 0 {
		o.Delete(p.path.Name)
	}
}

func (p place) putElement(o *scim.Object, value any) {
	list := slices.Clone(o.List(p.path.Name))
	for i, e := range list {
		inner, ok := e.(*scim.Object)
		if !ok || !p.matches(inner) {
			continue
		}
		if value != nil {
			inner.Set(p.path.Sub, value)
		} else if list = slices.Delete(list, i, i+1); len(list) == 0 {
			o.Delete(p.path.Name)
			return
		}
		o.Set(p.path.Name, list)
		return
	}
	if value != nil {
		o.Set(p.path.Name, append(list, p.element(value, len(list) == 0 && p.core("emails"))))
	}
}
