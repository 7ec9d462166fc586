package mapping

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"dirsync"
)

// converter makes the values of one field of the target.
type converter struct {
	field dirsync.Field
	// format is what the configuration says of the way in which the source writes the values; empty when it says
	// nothing.
	format string
	// patterns are the accepted forms of dates. ISO 8601 is always accepted beside them, unless strict.
	patterns []pattern
	strict   bool
}

// value turns an input into a value of the field's type in canonical form. The second result is the reason why it
// cannot be one, empty when it can. No value at all gives null.
func (c *converter) value(in input) (dirsync.Value, string) {
	if in.kind == kindNull {
		return dirsync.Value{}, ""
	}
	text, reason := c.convert(in)
	if reason != "" || text == "" {
		return dirsync.Value{}, reason
	}
	if c.field.MaxLength > 0 && len(text) > c.field.MaxLength && utf8.RuneCountInString(text) > c.field.MaxLength {
		return dirsync.Value{}, "is longer than " + strconv.Itoa(c.field.MaxLength) + " characters"
	}
	return dirsync.Value{Type: c.field.Type, Text: text}, ""
}

// convert returns the canonical form, empty for no value.
func (c *converter) convert(in input) (string, string) {
	if in.kind == kindObject {
		return "", errObject.Error()
	}
	if in.kind == kindText && strings.TrimFunc(in.text, isOuterSpace) == "" {
		return "", ""
	}
	switch c.field.Type {
	case dirsync.Text:
		if in.kind != kindText {
			return "", wrongKind(in, "text")
		}
		return cleanText(in.text)
	case dirsync.Email:
		if in.kind != kindText {
			return "", wrongKind(in, "an e-mail address")
		}
		return cleanEmail(in.text)
	case dirsync.Number:
		if in.kind != kindNumber && in.kind != kindText {
			return "", wrongKind(in, "a number")
		}
		return cleanNumber(in.text)
	case dirsync.Boolean:
		return c.boolean(in)
	case dirsync.Date:
		return c.date(in)
	case dirsync.DateTime:
		return c.dateTime(in)
	default:
		return "", "is of the type " + string(c.field.Type) + ", which cannot be written"
	}
}

func wrongKind(in input, want string) string { return "is " + in.kind.String() + ", not " + want }

// boolean accepts JSON's own, and the words true and false in any letter case, as Entra writes them: "True".
func (c *converter) boolean(in input) (string, string) {
	switch {
	case in.kind == kindBoolean:
		return in.text, ""
	case in.kind != kindText:
		return "", wrongKind(in, "true or false")
	}
	switch word := strings.ToLower(strings.TrimFunc(in.text, isOuterSpace)); word {
	case "true", "false":
		return word, ""
	}
	return "", "is neither true nor false"
}

func (c *converter) date(in input) (string, string) {
	switch in.kind {
	case kindMoment:
		return canonicalDate(in.when), ""
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

func (c *converter) dateTime(in input) (string, string) {
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
