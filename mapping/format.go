package mapping

import (
	"strings"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/text/currency"

	"dirsync"
)

// converter makes the converter of a field. from is the type of what goes in.
func (c *compiler) converter(s *Spec, f dirsync.Field, from dirsync.Type) converter {
	conv := converter{field: f}
	if f.Type == dirsync.Choice {
		conv.options = foldOptions(f.Options)
		if len(f.Options) == 0 {
			c.problem(s.Pos, s.Field, "", "%s is a choice, but the target names no options", s.Field)
		}
	}
	if f.Format != "" && (f.Type == dirsync.Date || f.Type == dirsync.DateTime) {
		if p, err := parsePattern(f.Format); err == nil {
			if f.Type == dirsync.DateTime && !p.zoned && p.zone == nil {
				return c.formatted(s, conv, from) // it says how the target shows moments, not which they are
			}
			conv.patterns = []pattern{p}
			// A pattern such as YYYY-DD-MM would be taken for ISO 8601.
			conv.strict = len(f.Format) == len(isoDate) && f.Format != isoDate && strings.HasPrefix(f.Format, "YYYY-")
		} else {
			c.problem(s.Pos, s.Field, patternHint, "the format of %s in the target cannot be used: %v", s.Field, err)
		}
	}
	return c.formatted(s, conv, from)
}

// formatted takes over the format that the configuration gives, if it does.
func (c *compiler) formatted(s *Spec, conv converter, from dirsync.Type) converter {
	if s.Format == "" {
		return conv
	}
	if message, hint := conv.setFormat(s.Format, from); message != "" {
		c.problem(s.at(s.FormatPos), s.Field, hint, "%s", message)
	}
	return conv
}

const patternHint = "a format is made of YYYY, MM, DD, HH, mm, ss and Z, for instance DD/MM/YYYY"

// setFormat takes over the format that the configuration gives. It returns what is wrong with it, and a hint.
func (c *converter) setFormat(format string, from dirsync.Type) (message, hint string) {
	switch t := c.field.Type; {
	case t == dirsync.Date, t == dirsync.DateTime, t == dirsync.Text && isDate(from):
		p, err := parsePattern(format)
		switch {
		case err != nil:
			return "the format cannot be used: " + err.Error(), patternHint
		case t == dirsync.Text:
			c.out = &p
		case t == dirsync.DateTime && !p.clock:
			return "the format " + format + " has no time of day", "write DD/MM/YYYY HH:mm Z, or map it onto a date"
		case t == dirsync.DateTime && !p.zoned && p.zone == nil:
			return "the format " + format + " names no time zone", "end it in Z, or in a zone: " + format + " [Europe/Berlin]"
		default:
			c.patterns, c.strict = []pattern{p}, true
		}
	case t == dirsync.Number:
		style, ok := parseNumberStyle(format)
		if !ok {
			return "the format " + format + " cannot be used", numberHint
		}
		c.style = &style
	case t == dirsync.Currency:
		return c.setCurrency(format)
	case t == dirsync.Boolean:
		yes, no, ok := strings.Cut(format, "/")
		c.yes, c.no = strings.TrimSpace(yes), strings.TrimSpace(no)
		if !ok || c.yes == "" || c.no == "" || dirsync.Fold(c.yes) == dirsync.Fold(c.no) {
			return "the format " + format + " cannot be used", "write the two words, the one for true first: yes/no"
		}
	case t == dirsync.Phone:
		c.region = strings.ToUpper(format)
		if !phonenumbers.GetSupportedRegions()[c.region] {
			return "the format " + format + " is not the code of a country", "write the two letters of ISO 3166: DE"
		}
	case t == dirsync.TextList && from != dirsync.TextList:
		c.separator = format
	default:
		return "a format means nothing for " + string(t), "remove it"
	}
	return "", ""
}

const numberHint = "write the number 1234.56 as the source does: 1.234,56 or 1,234.56 or 1234,56"

// setCurrency takes over a currency's code, a number's style, or both: "EUR", "1.234,56", "EUR 1.234,56".
func (c *converter) setCurrency(format string) (message, hint string) {
	for part := range strings.FieldsSeq(format) {
		if len(part) == 3 && letters(part) {
			unit, err := currency.ParseISO(part)
			if err != nil {
				return "the currency " + part + " is not known", "write its ISO 4217 code: EUR"
			}
			c.code = unit.String()
			continue
		}
		style, ok := parseNumberStyle(part)
		if !ok {
			return "the format " + format + " cannot be used", "write the currency, how numbers are written, or both: EUR 1.234,56"
		}
		c.style = &style
	}
	return "", ""
}

// foldOptions finds options by their folded spelling. Options that differ in letter case alone can only be met exactly.
func foldOptions(options []string) map[string]string {
	byFold, twice := map[string]string{}, map[string]bool{}
	for _, o := range options {
		f := dirsync.Fold(o)
		if _, ok := byFold[f]; ok {
			twice[f] = true
		}
		byFold[f] = o
	}
	for f := range twice {
		delete(byFold, f)
	}
	return byFold
}

func knownType(t dirsync.Type) bool {
	switch t {
	case dirsync.Text, dirsync.Email, dirsync.Phone, dirsync.Number, dirsync.Currency, dirsync.Boolean, dirsync.Date, dirsync.DateTime,
		dirsync.Choice, dirsync.Reference, dirsync.TextList:
		return true
	}
	return false
}

func isDate(t dirsync.Type) bool { return t == dirsync.Date || t == dirsync.DateTime }

// isText tells the types whose values are texts already, whatever else is asked of them.
func isText(t dirsync.Type) bool {
	switch t {
	case dirsync.Text, dirsync.Email, dirsync.Phone, dirsync.Choice:
		return true
	}
	return false
}

// fits tells whether values of one type can be mapped onto a field of another: the same type; between the types that
// are all text (every value is then checked); a date and time onto its day in UTC, because Entra keeps days in that
// way; and where a format says how to convert. The hint says what would help where it does not fit.
func fits(from, to dirsync.Field, formatted bool) (ok bool, hint string) {
	f, t := from.Type, to.Type
	switch {
	case f == t, isText(f) && isText(t), f == dirsync.DateTime && t == dirsync.Date:
		return true, ""
	case f == dirsync.Reference || t == dirsync.Reference:
		if t == dirsync.Reference {
			return false, label(to) + " refers to a person: map a property that does, such as manager"
		}
		return false, label(from) + " refers to a person: map it onto a reference"
	case isText(f) && t == dirsync.TextList && !formatted:
		return false, `if ` + label(from) + ` holds several values, say what parts them: format: ";"`
	case isText(f) && formatted, isDate(f) && t == dirsync.Text && formatted, f == dirsync.Number && t == dirsync.Currency && formatted:
		return true, ""
	case isText(f) && isDate(t):
		return false, "if " + label(from) + " holds dates, say how they are written: format: " + exampleFormat(t)
	case isText(f) && (t == dirsync.Number || t == dirsync.Boolean || t == dirsync.Currency):
		return false, "if " + label(from) + " holds such values, say how they are written: format: " + exampleFormat(t)
	case isDate(f) && t == dirsync.Text:
		return false, "say how the date is to be written: format: DD/MM/YYYY"
	case f == dirsync.Number && t == dirsync.Currency:
		return false, "name the currency: format: EUR"
	}
	return false, "map a property of the same type, or convert it with an expression"
}

func exampleFormat(t dirsync.Type) string {
	switch t {
	case dirsync.DateTime:
		return "DD/MM/YYYY HH:mm Z"
	case dirsync.Number:
		return "1,234.56"
	case dirsync.Boolean:
		return "yes/no"
	case dirsync.Currency:
		return "EUR"
	default:
		return "DD/MM/YYYY"
	}
}
