package server

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"dirsync"
	"dirsync/scim"
)

// accepted says in words what a field takes.
func accepted(f dirsync.Field) string {
	switch f.Type {
	case dirsync.Email:
		return "an e-mail address"
	case dirsync.Phone:
		return "a phone number with its country code, such as +49 30 901820"
	case dirsync.Number:
		return "a number"
	case dirsync.Currency:
		return "an amount with its currency, such as EUR 12.50"
	case dirsync.Boolean:
		return "true or false"
	case dirsync.Date:
		if f.Format != "" {
			return "a date in the form " + f.Format + " or YYYY-MM-DD"
		}
		return "a date in the form YYYY-MM-DD"
	case dirsync.DateTime:
		if f.Format != "" {
			return "a time in the form " + f.Format + " or 2006-01-02T15:04:05Z"
		}
		return "a time such as 2006-01-02T15:04:05Z"
	case dirsync.Choice:
		return "one of: " + strings.Join(f.Options, ", ")
	case dirsync.Reference:
		return "the id of a user"
	case dirsync.TextList:
		return "a list of texts"
	default:
		return "text"
	}
}

// decode makes the typed value of what a client sent; null for nothing. References are not its business.
func (s *Server) decode(f *field, p *place, v any) (dirsync.Value, error) {
	if f.Type == dirsync.TextList {
		texts, ok := texts(v)
		if !ok {
			return dirsync.Value{}, refuse(400, scim.InvalidValue, "%s must be %s", p.path, accepted(f.Field))
		}
		return dirsync.NewList(texts), nil
	}
	raw, ok := plain(v)
	if !ok {
		return dirsync.Value{}, refuse(400, scim.InvalidValue, "%s must be %s", p.path, accepted(f.Field))
	}
	text := clean(raw)
	if text == "" {
		return dirsync.Value{}, nil
	}
	if strings.ContainsFunc(text, isControl) {
		return dirsync.Value{}, refuse(400, scim.InvalidValue, "%s holds a control character", p.path)
	}
	out := dirsync.Value{Type: f.Type, Text: text}
	if s.config.Convert != nil {
		var reason string
		if out, reason = s.config.Convert(f.Field, raw); reason != "" {
			return dirsync.Value{}, refuse(400, scim.InvalidValue, "%s %s; it must be %s", p.path, reason, accepted(f.Field))
		}
	} else if out.Text, ok = canonical(f.Field, text); !ok {
		return dirsync.Value{}, refuse(400, scim.InvalidValue, "%s must be %s", p.path, accepted(f.Field))
	}
	if n := f.MaxLength; n > 0 && utf8.RuneCountInString(out.Text) > n {
		return dirsync.Value{}, refuse(400, scim.InvalidValue, "%s is longer than %d characters", p.path, n)
	}
	return out, nil
}

// texts are the entries of a list, each a text or an object with a "value".
func texts(v any) ([]string, bool) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	var out []string
	for _, e := range list {
		if o, ok := e.(*scim.Object); ok {
			e, _ = o.Get("value")
		}
		text, ok := plain(e)
		if !ok {
			return nil, false
		}
		if text = clean(text); text != "" {
			out = append(out, text)
		}
	}
	return out, true
}

// plain is the text of a simple value.
func plain(v any) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "", true
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case json.Number:
		return v.String(), true
	}
	return "", false
}

// clean is the canonical form of text, as far as it can have one.
func clean(text string) string {
	text = strings.TrimFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || r == '\u200b' || r == '\u2060' || r == '\ufeff'
	})
	if strings.Contains(text, "\r") {
		text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	}
	return norm.NFC.String(text)
}

func isControl(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }

// canonical brings a text, which is not empty, to the canonical form of a type.
func canonical(f dirsync.Field, text string) (string, bool) {
	switch f.Type {
	case dirsync.Email:
		return email(text)
	case dirsync.Phone:
		return phone(text)
	case dirsync.Number:
		return number(text)
	case dirsync.Currency:
		return money(text)
	case dirsync.Boolean:
		text = strings.ToLower(text)
		return text, text == "true" || text == "false"
	case dirsync.Date, dirsync.DateTime:
		return moment(f, text)
	case dirsync.Choice:
		i := slices.Index(f.Options, text)
		if i < 0 {
			i = slices.IndexFunc(f.Options, func(o string) bool { return dirsync.Fold(o) == dirsync.Fold(text) })
		}
		if i < 0 {
			return "", false
		}
		return f.Options[i], true
	default:
		return text, true
	}
}

// email checks no more of an address than that mail could be sent to it; the domain must be ASCII already.
func email(text string) (string, bool) {
	at := strings.LastIndexByte(text, '@')
	if at < 1 || at > 64 || len(text) > 254 {
		return "", false
	}
	local, domain := text[:at], strings.ToLower(text[at+1:])
	if strings.ContainsFunc(local, unicode.IsSpace) || strings.ContainsAny(local, "@<>,;\"") {
		return "", false
	}
	labels := strings.Split(domain, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.ContainsFunc(label, func(r rune) bool { return r != '-' && (r < 'a' || r > 'z') && (r < '0' || r > '9') }) {
			return "", false
		}
	}
	return local + "@" + domain, true
}

// phone takes the punctuation out of a number with a country code. Whether that country has such a number is for Convert.
func phone(text string) (string, bool) {
	text = strings.TrimPrefix(text, "tel:")
	extension := ""
	for _, mark := range []string{";ext=", " ext. ", " ext ", " x"} {
		if head, tail, ok := strings.Cut(text, mark); ok {
			text, extension = head, ";ext="+tail
			if tail = strings.TrimSpace(tail); tail == "" || len(tail) > 10 || strings.Trim(tail, "0123456789") != "" {
				return "", false
			}
			break
		}
	}
	text = strings.Map(func(r rune) rune {
		if strings.ContainsRune(" -./()\u00a0\u2011", r) {
			return -1
		}
		return r
	}, strings.Replace(text, "(0)", "", 1))
	if rest, ok := strings.CutPrefix(text, "00"); ok {
		text = "+" + rest
	}
	digits, ok := strings.CutPrefix(text, "+")
	if !ok || len(digits) < 7 || len(digits) > 15 || digits[0] == '0' || strings.Trim(digits, "0123456789") != "" {
		return "", false
	}
	return "+" + digits + extension, true
}

// number writes a decimal number without exponent and needless zeros.
func number(text string) (string, bool) {
	if len(text) > 64 || strings.ContainsFunc(text, func(r rune) bool { return !strings.ContainsRune("0123456789+-.eE", r) }) {
		return "", false
	}
	if i := strings.IndexAny(text, "eE"); i >= 0 && len(text)-i > 4 {
		return "", false
	}
	var r big.Rat
	if _, ok := r.SetString(text); !ok {
		return "", false
	}
	places, exact := r.FloatPrec()
	out := r.FloatString(places)
	return out, exact && len(out) <= 41
}

// money reads an amount with the code of its currency in front of it or behind it.
func money(text string) (string, bool) {
	letters := func(s string) bool { return strings.Trim(strings.ToUpper(s), "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" }
	if len(text) < 4 {
		return "", false
	}
	code, amount := text[:3], text[3:]
	if !letters(code) {
		code, amount = text[len(text)-3:], text[:len(text)-3]
	}
	out, ok := number(strings.TrimSpace(amount))
	return strings.ToUpper(code) + " " + out, ok && letters(code)
}

// layout makes the Go layout of a format; "" without one.
func layout(format string) string {
	return strings.NewReplacer("YYYY", "2006", "MM", "01", "DD", "02", "HH", "15", "mm", "04", "ss", "05").Replace(format)
}

// checkFormat refuses formats of dates that lose a part of them.
func checkFormat(f dirsync.Field) error {
	if f.Format == "" || f.Type != dirsync.Date && f.Type != dirsync.DateTime {
		return nil
	}
	want := time.Date(2019, 11, 23, 17, 48, 0, 0, time.UTC)
	if f.Type == dirsync.Date {
		want = time.Date(2019, 11, 23, 0, 0, 0, 0, time.UTC)
	}
	back, err := time.Parse(layout(f.Format), want.Format(layout(f.Format)))
	if err != nil || !back.Equal(want) {
		return fmt.Errorf("field %s: the format %q is none: use YYYY, MM and DD, for times HH, mm and ss too", f.Name, f.Format)
	}
	return nil
}

// moment reads a date or a time. A date with a time is the day that it says, because hire dates come as midnights; a time
// without a zone is in UTC.
func moment(f dirsync.Field, text string) (string, bool) {
	layouts := []string{layout(f.Format), time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "1/2/2006 3:04:05 PM", time.DateOnly}
	if f.Format == "" {
		layouts = layouts[1:]
	}
	if f.Type == dirsync.DateTime {
		layouts = layouts[:len(layouts)-1]
	}
	for _, l := range layouts {
		t, err := time.Parse(l, text)
		switch {
		case err != nil:
		case f.Type == dirsync.Date:
			return t.Format(time.DateOnly), true
		default:
			t = t.UTC()
			return t.Format(time.RFC3339Nano), t.Year() >= 0 && t.Year() <= 9999
		}
	}
	return "", false
}

// encode makes what a field's attribute holds of a value that is not null, in the type that its schema has.
func encode(t *scim.ResourceType, f *field, p *place, v dirsync.Value) any {
	_, leaf, sub, _ := t.Find(p.path)
	if sub != nil {
		leaf = sub
	}
	switch f.Type {
	case dirsync.TextList:
		list := []any{}
		for _, text := range v.List() {
			if leaf.Type == scim.Complex {
				list = append(list, scim.NewObject(scim.Member{Name: "value", Value: text}))
			} else {
				list = append(list, text)
			}
		}
		return list
	case dirsync.Number:
		if leaf.Type == scim.Decimal || leaf.Type == scim.Integer {
			return json.Number(v.Text)
		}
	case dirsync.Boolean:
		if leaf.Type == scim.Boolean {
			return v.Text == "true"
		}
	case dirsync.Date, dirsync.DateTime:
		from := time.DateOnly
		if f.Type == dirsync.DateTime {
			from = time.RFC3339Nano
		}
		if at, err := time.Parse(from, v.Text); err == nil && f.Format != "" {
			return at.Format(layout(f.Format))
		}
	}
	if p.object {
		return scim.NewObject(scim.Member{Name: "value", Value: v.Text})
	}
	return v.Text
}
