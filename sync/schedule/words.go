package schedule

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"dirsync"
)

// ParseError says what is wrong with a text, where, and what to write instead.
type ParseError struct {
	// Text is what was parsed.
	Text string
	// Column is where the fault is, in characters from 1. It is one beyond the end when something is missing there.
	Column int
	// Message says what is wrong, Hint what to write; Hint may be empty.
	Message, Hint string
}

func (e *ParseError) Error() string {
	s := fmt.Sprintf("column %d: %s", e.Column, e.Message)
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// longestText is far beyond what any schedule needs.
const longestText = 500

// token is one word, or one comma.
type token struct {
	text   string
	column int
}

func (t token) is(word string) bool { return strings.EqualFold(t.text, word) }

// lower is the token in lower case.
func (t token) lower() string { return strings.ToLower(t.text) }

// from returns what is left of a token from a byte on.
func (t token) from(i int) token {
	return token{t.text[i:], t.column + utf8.RuneCountInString(t.text[:i])}
}

// quoted is how an error names a token. What comes from outside may be long or unprintable.
func (t token) quoted() string {
	text := []rune(t.text)
	if len(text) > 40 {
		text = append(text[:40], '…')
	}
	return fmt.Sprintf("%q", string(text))
}

// lex splits a text at white space, and makes each comma a token of its own if commas is set.
func lex(text string, commas bool) []token {
	var out []token
	column, open := 0, false
	for _, r := range text {
		column++
		switch {
		case unicode.IsSpace(r):
			open = false
		case r == ',' && commas:
			out = append(out, token{",", column})
			open = false
		case open:
			out[len(out)-1].text += string(r)
		default:
			out = append(out, token{string(r), column})
			open = true
		}
	}
	return out
}

// reader reads a text token by token.
type reader struct {
	text   string
	tokens []token
}

// newReader refuses what is no text at all.
func newReader(text string, commas bool) (*reader, error) {
	r := &reader{text: text}
	switch {
	case len(text) > longestText:
		r.text = ""
		return nil, r.fail(token{column: 1}, fmt.Sprintf("this is longer than %d bytes", longestText), "")
	case !utf8.ValidString(text):
		r.text = ""
		return nil, r.fail(token{column: 1}, "this is not valid UTF-8", "")
	}
	r.tokens = lex(text, commas)
	return r, nil
}

// peek returns the next token, or an empty one just after the end.
func (r *reader) peek() token {
	if len(r.tokens) == 0 {
		return token{column: utf8.RuneCountInString(strings.TrimRightFunc(r.text, unicode.IsSpace)) + 1}
	}
	return r.tokens[0]
}

func (r *reader) next() token {
	t := r.peek()
	if len(r.tokens) > 0 {
		r.tokens = r.tokens[1:]
	}
	return t
}

func (r *reader) fail(at token, message, hint string) error {
	return &ParseError{Text: r.text, Column: at.column, Message: message, Hint: hint}
}

// expect reads one given word.
func (r *reader) expect(word, hint string) error {
	t := r.next()
	switch {
	case t.text == "":
		return r.fail(t, fmt.Sprintf("%q is missing here", word), hint)
	case !t.is(word):
		return r.fail(t, fmt.Sprintf("%s stands where %q belongs", t.quoted(), word), hint)
	}
	return nil
}

// separator reads what stands between the items of a list, a comma or "and" or both, and tells whether there was any.
func (r *reader) separator() bool {
	comma := r.peek().text == ","
	if comma {
		r.next()
	}
	and := r.peek().is("and")
	if and {
		r.next()
	}
	return comma || and
}

// dayNames are indexed by time.Weekday.
func dayNames() []string {
	return []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}
}

// weekday reads "sunday", "sundays" or "sun".
func (r *reader) weekday(t token, hint string) (time.Weekday, error) {
	if t.text == "" || t.text == "," {
		return 0, r.fail(t, "a day of the week is missing here", hint)
	}
	word := t.lower()
	for i, name := range dayNames() {
		if word == name || word == name+"s" || word == name[:3] {
			return time.Weekday(i), nil
		}
	}
	candidates := dayNames()
	if len(word) == 3 {
		for _, name := range candidates {
			candidates = append(candidates, name[:3])
		}
	}
	if near := dirsync.Nearest(word, candidates); near != "" {
		hint = "did you mean " + near + "?"
	}
	return 0, r.fail(t, t.quoted()+" is not a day of the week", hint)
}

// hasTimeShape tells what somebody meant as a time of day.
var hasTimeShape = regexp.MustCompile(`^(\d{1,2}):(\d{2})$`)

// timeOfDay reads "02:00" as minutes. latest is 23:59, or 24:00 where the end of a day can be meant.
func (r *reader) timeOfDay(t token, latest int) (int, error) {
	const hint = "write hours and minutes of 24 hours, such as 02:00 or 14:30"
	if t.text == "" || t.text == "," {
		return 0, r.fail(t, "a time of day is missing here", hint)
	}
	m := hasTimeShape.FindStringSubmatch(t.text)
	if m == nil {
		return 0, r.fail(t, t.quoted()+" is not a time of day", hint)
	}
	hour, _ := strconv.Atoi(m[1]) // two digits, as the expression says
	minute, _ := strconv.Atoi(m[2])
	switch at := hour*60 + minute; {
	case minute > 59 || at > 24*60:
		return 0, r.fail(t, "there is no "+clockTime(hour, minute)+" in a day", hint)
	case at > latest:
		return 0, r.fail(t, "24:00 is the end of a day", "write 00:00 and the day after it")
	default:
		return at, nil
	}
}

func clockTime(hour, minute int) string { return fmt.Sprintf("%02d:%02d", hour, minute) }

// zoneName is what a name in the zone database can look like.
var zoneName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_+\-]*(/[A-Za-z0-9_+\-]+)*$`)

// zone looks a zone up.
func (r *reader) zone(t token) (*time.Location, error) {
	switch {
	case t.text == "":
		return nil, r.fail(t, "a time zone is missing here", "write a name such as Europe/Berlin, or UTC")
	case t.is("utc"):
		return time.UTC, nil
	case t.is("local"):
		return nil, r.fail(t, "Local is another zone on every machine", "write the zone's name, such as Europe/Berlin, or UTC")
	}
	if zoneName.MatchString(t.text) {
		if zone, err := time.LoadLocation(t.text); err == nil {
			return zone, nil
		}
	}
	hint := "write a name of the IANA zone database, such as Europe/Berlin, or UTC"
	if near := nearestZone(t.text); near != "" {
		hint = "did you mean " + near + "?"
	}
	return nil, r.fail(t, "there is no time zone "+t.quoted(), hint)
}

// rest joins all tokens that are left, because a name such as "W. Europe Standard Time" has several.
func (r *reader) rest() token {
	t := r.peek()
	var words []string
	for _, word := range r.tokens {
		words = append(words, word.text)
	}
	r.tokens = nil
	t.text = strings.Join(words, " ")
	return t
}

// nearestZone corrects the letter case of any zone, and the spelling of those in which most people live.
func nearestZone(wrong string) string {
	if !zoneName.MatchString(wrong) {
		return ""
	}
	upper := true
	titled := strings.Map(func(c rune) rune {
		change := unicode.ToLower
		if upper {
			change = unicode.ToUpper
		}
		upper = !unicode.IsLetter(c)
		return change(c)
	}, wrong)
	if _, err := time.LoadLocation(titled); err == nil && titled != "Local" {
		return titled
	}
	return dirsync.Nearest(wrong, strings.Fields(`UTC Europe/London Europe/Dublin Europe/Lisbon Europe/Madrid Europe/Paris Europe/Brussels
		Europe/Amsterdam Europe/Berlin Europe/Zurich Europe/Vienna Europe/Rome Europe/Prague Europe/Warsaw Europe/Budapest
		Europe/Copenhagen Europe/Oslo Europe/Stockholm Europe/Helsinki Europe/Athens Europe/Bucharest Europe/Sofia Europe/Kyiv
		Europe/Istanbul Europe/Moscow Africa/Cairo Africa/Casablanca Africa/Johannesburg Africa/Lagos Africa/Nairobi
		America/New_York America/Chicago America/Denver America/Phoenix America/Los_Angeles America/Anchorage America/Toronto
		America/Vancouver America/Halifax America/Mexico_City America/Bogota America/Lima America/Santiago America/Caracas
		America/Sao_Paulo America/Argentina/Buenos_Aires Asia/Jerusalem Asia/Dubai Asia/Riyadh Asia/Tehran Asia/Karachi
		Asia/Kolkata Asia/Dhaka Asia/Kathmandu Asia/Bangkok Asia/Jakarta Asia/Singapore Asia/Manila Asia/Hong_Kong Asia/Shanghai
		Asia/Taipei Asia/Seoul Asia/Tokyo Australia/Perth Australia/Adelaide Australia/Brisbane Australia/Sydney
		Australia/Melbourne Australia/Lord_Howe Pacific/Auckland Pacific/Honolulu`))
}
