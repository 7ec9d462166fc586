package mapping

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/text/currency"

	"dirsync"
)

// converter makes the values of one field of the target. Which of its settings count depends on the field's type.
type converter struct {
	field dirsync.Field
	// patterns are the accepted forms of dates, beside ISO 8601 unless strict.
	patterns []pattern
	strict   bool
	// out is how a date becomes text; nil when the field is no text or the source no date.
	out *pattern
	// style is how numbers are written; nil as JSON writes them.
	style *numberStyle
	// yes and no are the words for true and false; empty for those two alone.
	yes, no string
	// region is the country, in two letters, of phone numbers without a country code; code the currency of amounts
	// without one.
	region, code string
	// separator parts a text into a list; empty when a text is no list.
	separator string
	// options are a choice's options by their folded spelling; those that differ in letter case alone are left out.
	options map[string]string
}

// value turns an input into a value of the field's type in canonical form. The second result is the reason why it
// cannot be one, a phrase that follows the field's name, and empty when it can. No value at all gives null.
func (c *converter) value(in *input) (dirsync.Value, string) {
	if in.kind == kindNull {
		return dirsync.Value{}, ""
	}
	text, reason := c.convert(in)
	if reason != "" || text == "" {
		return dirsync.Value{}, reason
	}
	if n := c.field.MaxLength; n > 0 && len(text) > n && utf8.RuneCountInString(text) > n {
		return dirsync.Value{}, "is longer than " + strconv.Itoa(n) + " characters"
	}
	return dirsync.Value{Type: c.field.Type, Text: text}, ""
}

// convert returns the canonical form, empty for no value.
func (c *converter) convert(in *input) (string, string) {
	if in.kind == kindText && !in.plain && strings.TrimFunc(in.text, isOuterSpace) == "" {
		return "", ""
	}
	switch c.field.Type {
	case dirsync.Text:
		return c.text(in)
	case dirsync.Email:
		return fromText(in, "an e-mail address", cleanEmail)
	case dirsync.Phone:
		return fromText(in, "a phone number", c.phone)
	case dirsync.Number:
		return c.number(in)
	case dirsync.Currency:
		return c.currency(in)
	case dirsync.Boolean:
		return c.boolean(in)
	case dirsync.Date:
		return c.date(in)
	case dirsync.DateTime:
		return c.dateTime(in)
	case dirsync.Choice:
		return fromText(in, "text", c.choice)
	case dirsync.Reference:
		return c.reference(in)
	case dirsync.TextList:
		return c.list(in)
	default:
		return "", "is of the type " + string(c.field.Type) + ", which cannot be written"
	}
}

func fromText(in *input, want string, clean func(string) (string, string)) (string, string) {
	if in.kind != kindText {
		return "", wrongKind(in, want)
	}
	return clean(in.text)
}

func wrongKind(in *input, want string) string { return "is " + in.kind.String() + ", not " + want }

func (c *converter) text(in *input) (string, string) {
	if c.out == nil {
		if in.plain {
			return in.text, ""
		}
		return fromText(in, "text", cleanText)
	}
	t := in.when
	if in.kind != kindMoment {
		if in.kind != kindText {
			return "", wrongKind(in, "a date")
		}
		var reason string
		s := strings.TrimFunc(in.text, isOuterSpace)
		if day, ok := parseISODate(s); ok {
			t = day
		} else if t, reason = parseISODateTime(s); reason != "" {
			return "", reason
		}
	}
	return c.out.format(t), ""
}

// phone brings a phone number to E.164, with an extension behind ";ext=" (RFC 3966). A number without a country code
// is read as one of the region; without a region it is refused. The number must be one that the numbering plan of its
// country allows.
func (c *converter) phone(s string) (string, string) {
	const notPhone = "is not a phone number"
	s, reason := cleanText(s)
	if reason != "" {
		return "", reason
	}
	if len(s) > 64 {
		return "", notPhone
	}
	region := c.region
	if region == "" {
		region = "ZZ"
	}
	if region == "ZZ" && !strings.HasPrefix(s, "+") && !strings.HasPrefix(s, "tel:+") {
		return "", notPhone + " with a country code, and the mapping names no country for those without: format: DE"
	}
	n, err := phonenumbers.Parse(s, region)
	if err != nil || !phonenumbers.IsValidNumber(n) {
		return "", notPhone + " that exists"
	}
	out := phonenumbers.Format(n, phonenumbers.E164)
	if ext := n.GetExtension(); ext != "" {
		out += ";ext=" + ext
	}
	return out, ""
}

func (c *converter) number(in *input) (string, string) {
	switch {
	case in.kind == kindText && c.style != nil:
		return c.style.parse(in.text)
	case in.kind == kindNumber, in.kind == kindText:
		return cleanNumber(in.text)
	}
	return "", wrongKind(in, "a number")
}

// currency reads an amount with its ISO 4217 code before or behind it; without one it is an amount of the code that
// the format names.
func (c *converter) currency(in *input) (string, string) {
	if in.kind != kindText && in.kind != kindNumber {
		return "", wrongKind(in, "an amount of money")
	}
	code, amount := c.code, strings.TrimFunc(in.text, isOuterSpace)
	if n := len(amount); n > 3 {
		switch {
		case letters(amount[:3]):
			code, amount = amount[:3], amount[3:]
		case letters(amount[n-3:]):
			code, amount = amount[n-3:], amount[:n-3]
		}
	}
	if code == "" {
		return "", "is an amount without a currency; write EUR 12.50, or name the currency in the mapping: format: EUR"
	}
	unit, err := currency.ParseISO(code)
	if err != nil {
		return "", "is an amount in the currency " + shown(code) + ", which is not known"
	}
	var reason string
	if c.style != nil && in.kind == kindText {
		amount, reason = c.style.parse(amount)
	} else {
		amount, reason = cleanNumber(amount)
	}
	if reason == notNumber {
		reason = "is not an amount of money"
	}
	return unit.String() + " " + amount, reason
}

func letters(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}

// boolean accepts JSON's own, and the words true and false in any letter case, as Entra writes them: "True". Words
// that the format names are accepted instead of those.
func (c *converter) boolean(in *input) (string, string) {
	switch {
	case in.kind == kindBoolean:
		return in.text, ""
	case in.kind != kindText:
		return "", wrongKind(in, "true or false")
	}
	yes, no := "true", "false"
	if c.yes != "" {
		yes, no = c.yes, c.no
	}
	switch word := dirsync.Fold(strings.TrimFunc(in.text, isOuterSpace)); word {
	case dirsync.Fold(yes):
		return "true", ""
	case dirsync.Fold(no):
		return "false", ""
	}
	return "", "is neither " + yes + " nor " + no
}

// choice finds the option that is meant: the one spelled like it, or else the only one that differs in letter case.
func (c *converter) choice(s string) (string, string) {
	s, reason := cleanText(s)
	if reason != "" {
		return "", reason
	}
	for _, o := range c.field.Options {
		if o == s {
			return o, ""
		}
	}
	if o, ok := c.options[dirsync.Fold(s)]; ok {
		return o, ""
	}
	reason = "is none of the options"
	if near := dirsync.Nearest(s, c.field.Options); near != "" {
		reason += "; the nearest is " + near
	}
	return "", reason
}

// reference reads another person's id: a text, or the object, or list of one object, in which Graph delivers a
// manager. Whether that person exists is the engine's affair.
func (c *converter) reference(in *input) (string, string) {
	switch in.kind {
	case kindText, kindObject:
	default:
		return "", wrongKind(in, "a person")
	}
	s := in.text
	if !in.plain {
		s = strings.TrimFunc(s, isOuterSpace)
	}
	if isGUID(s) {
		return strings.ToLower(s), ""
	}
	if s == "" {
		return "", "is an object without an id"
	}
	if len(s) > 256 || strings.ContainsFunc(s, func(r rune) bool { return isOuterSpace(r) || r < 0x20 || r == 0x7f }) {
		return "", "is not the id of a person"
	}
	return s, ""
}

func isGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i] | 0x20
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if s[i] != '-' {
				return false
			}
		} else if (c < '0' || c > '9' || s[i] < '0') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// list reads a list of texts, each cleaned, the empty ones left out. The order is the source's.
func (c *converter) list(in *input) (string, string) {
	entries := in.list
	switch {
	case in.kind == kindText && c.separator != "":
		entries = strings.Split(in.text, c.separator)
	case in.kind != kindList:
		return "", wrongKind(in, "a list")
	}
	clean, reason := cleanList(entries)
	if reason != "" || len(clean) == 0 {
		return "", reason
	}
	return encodeList(clean), ""
}

// cleanList cleans the entries of a list and leaves out the empty ones.
func cleanList(entries []string) ([]string, string) {
	clean := make([]string, 0, len(entries))
	for _, e := range entries {
		e, reason := cleanText(e)
		if reason != "" {
			return nil, "has an entry that " + reason
		}
		if e != "" {
			clean = append(clean, e)
		}
	}
	return clean, ""
}

func encodeList(list []string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(list); err != nil {
		return "" // cannot happen: any list of texts can be written
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (c *converter) date(in *input) (string, string) {
	switch in.kind {
	case kindMoment:
		return canonicalDate(in.when.UTC()), ""
	case kindText:
	default:
		return "", wrongKind(in, "a date")
	}
	s := strings.TrimFunc(in.text, isOuterSpace)
	if !c.strict {
		if _, ok := parseISODate(s); ok {
			return s, ""
		}
		// A hire date of Entra is a date and time in UTC; its day is meant.
		if t, reason := parseISODateTime(s); reason == "" {
			if s[len(s)-1] == 'Z' {
				return s[:len(isoDate)], ""
			}
			return canonicalDate(t.UTC()), ""
		}
	}
	reason := notDate + " in the form " + isoDate
	for _, p := range c.patterns {
		t, why := p.parse(s)
		if why == "" {
			return canonicalDate(t), ""
		}
		reason = why
	}
	return "", reason
}

func (c *converter) dateTime(in *input) (string, string) {
	switch in.kind {
	case kindMoment:
		return canonicalDateTime(in.when), ""
	case kindText:
	default:
		return "", wrongKind(in, "a date and time")
	}
	s := strings.TrimFunc(in.text, isOuterSpace)
	reason := ""
	if !c.strict {
		t, why := parseISODateTime(s)
		if why == "" {
			return canonicalDateTime(t), ""
		}
		reason = why
	}
	for _, p := range c.patterns {
		t, why := p.parse(s)
		if why == "" {
			return canonicalDateTime(t), ""
		}
		reason = why
	}
	return "", reason
}
