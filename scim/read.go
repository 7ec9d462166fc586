package scim

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Limits bound what Read takes. A zero field means its default.
type Limits struct {
	// Bytes is the size of the whole text; 16 MiB.
	Bytes int
	// Depth is how deep objects and lists may be nested; 32. A SCIM message needs 7.
	Depth int
	// Names is the number of names in one object; 1,000.
	Names int
	// Values is the number of values in the whole text; 1,000,000. Each takes some 50 bytes of memory.
	Values int
}

func (l Limits) withDefaults() Limits {
	set := func(n *int, value int) {
		if *n <= 0 {
			*n = value
		}
	}
	set(&l.Bytes, 16<<20)
	set(&l.Depth, 32)
	set(&l.Names, 1000)
	set(&l.Values, 1_000_000)
	return l
}

// Read parses one JSON text into the values of an Object. It is stricter than encoding/json: text that is not UTF-8,
// half of a surrogate pair, a name given twice in any letter case, and numbers that are longer than 64 bytes or beyond
// a float64 are refused, because each of them would otherwise be read as something else than what was sent. Errors are
// *Error with the status 400 and invalidSyntax, or 413 where a size is exceeded, and name the position in bytes.
func Read(data []byte, limits Limits) (any, error) {
	limits = limits.withDefaults()
	if len(data) > limits.Bytes {
		return nil, &Error{Status: 413, Detail: fmt.Sprintf("the body has %d bytes; at most %d are taken", len(data), limits.Bytes)}
	}
	r := reader{text: string(data), limits: limits}
	if i := invalidUTF8(r.text); i >= 0 {
		return nil, refuse(InvalidSyntax, "byte %d of the body is not UTF-8", i+1)
	}
	r.skip()
	v, err := r.value(0)
	if err != nil {
		return nil, err
	}
	if r.skip(); r.pos < len(r.text) {
		return nil, r.fail("more text after the end of the JSON value")
	}
	return v, nil
}

// ReadObject is Read for a body that must be a JSON object.
func ReadObject(data []byte, limits Limits) (*Object, error) {
	v, err := Read(data, limits)
	if err != nil {
		return nil, err
	}
	o, ok := v.(*Object)
	if !ok {
		return nil, refuse(InvalidSyntax, "the body is %s; it must be a JSON object", describe(v))
	}
	return o, nil
}

// describe names the JSON type of a value, with its article.
func describe(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case string:
		return "a string"
	case json.Number:
		return "a number"
	case []any:
		return "a list"
	case *Object:
		return "an object"
	}
	return "not JSON"
}

func invalidUTF8(s string) int {
	if utf8.ValidString(s) {
		return -1
	}
	for i, r := range s {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(s[i:]); n == 1 {
				return i
			}
		}
	}
	return -1
}

type reader struct {
	text   string
	pos    int
	values int
	limits Limits
}

func (r *reader) fail(format string, args ...any) error {
	return refuse(InvalidSyntax, "the body is not JSON: %s at byte %d", fmt.Sprintf(format, args...), r.pos+1)
}

func (r *reader) skip() {
	for r.pos < len(r.text) {
		switch r.text[r.pos] {
		case ' ', '\t', '\r', '\n':
			r.pos++
		default:
			return
		}
	}
}

func (r *reader) value(depth int) (any, error) {
	if r.values++; r.values > r.limits.Values {
		return nil, &Error{Status: 413, Detail: fmt.Sprintf("the body holds more than %d values", r.limits.Values)}
	}
	if r.pos >= len(r.text) {
		return nil, r.fail("it ends too early,")
	}
	switch c := r.text[r.pos]; {
	case c == '{' || c == '[':
		if depth >= r.limits.Depth {
			return nil, refuse(InvalidSyntax, "the body is nested deeper than %d levels at byte %d", r.limits.Depth, r.pos+1)
		}
		if c == '{' {
			return r.object(depth + 1)
		}
		return r.list(depth + 1)
	case c == '"':
		return r.string()
	case c == '-' || '0' <= c && c <= '9':
		n := scanNumber(r.text[r.pos:])
		if n == 0 {
			return nil, r.fail("a malformed number")
		}
		s := r.text[r.pos : r.pos+n]
		if !validNumber(s) {
			return nil, r.fail("a number that is too long or too large")
		}
		r.pos += n
		return json.Number(s), nil
	}
	for _, word := range [...]struct {
		text  string
		value any
	}{{"true", true}, {"false", false}, {"null", nil}} {
		if strings.HasPrefix(r.text[r.pos:], word.text) {
			r.pos += len(word.text)
			return word.value, nil
		}
	}
	return nil, r.fail("an unexpected character")
}

func (r *reader) list(depth int) (any, error) {
	r.pos++
	list := []any{}
	if r.skip(); r.next(']') {
		return list, nil
	}
	for {
		r.skip()
		v, err := r.value(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		r.skip()
		if r.next(']') {
			return list, nil
		}
		if !r.next(',') {
			return nil, r.fail("a comma or ] is missing")
		}
	}
}

// Above this many names a map finds the ones given twice, so that the time stays linear.
const mapFromNames = 16

func (r *reader) object(depth int) (any, error) {
	r.pos++
	o := &Object{}
	var seen map[string]bool
	if r.skip(); r.next('}') {
		return o, nil
	}
	for {
		if r.skip(); r.pos >= len(r.text) || r.text[r.pos] != '"' {
			return nil, r.fail("a name in quotes is missing")
		}
		at := r.pos
		name, err := r.string()
		if err != nil {
			return nil, err
		}
		if len(o.members) >= r.limits.Names {
			return nil, refuse(InvalidSyntax, "an object has more than %d names at byte %d", r.limits.Names, at+1)
		}
		if len(o.members) == mapFromNames {
			seen = make(map[string]bool, 2*mapFromNames)
			for _, m := range o.members {
				seen[asciiLower(m.Name)] = true
			}
		}
		if seen[asciiLower(name)] || seen == nil && o.find(name) >= 0 {
			return nil, refuse(InvalidSyntax, "the name %q is given twice, the second time at byte %d", clean(name, 80), at+1)
		}
		if seen != nil {
			seen[asciiLower(name)] = true
		}
		if r.skip(); !r.next(':') {
			return nil, r.fail("a colon is missing")
		}
		r.skip()
		v, err := r.value(depth)
		if err != nil {
			return nil, err
		}
		o.members = append(o.members, Member{name, v})
		if r.skip(); r.next('}') {
			return o, nil
		}
		if !r.next(',') {
			return nil, r.fail("a comma or } is missing")
		}
	}
}

func (r *reader) next(c byte) bool {
	if r.pos < len(r.text) && r.text[r.pos] == c {
		r.pos++
		return true
	}
	return false
}

// string reads a JSON string. One without escapes shares the memory of the text.
func (r *reader) string() (string, error) {
	s, n, problem := unquote(r.text[r.pos:])
	if problem != "" {
		r.pos += n
		return "", r.fail("%s", problem)
	}
	r.pos += n
	return s, nil
}

// unquote reads the JSON string that text begins with, and returns it and the bytes it took, or what is wrong after how
// many bytes.
func unquote(text string) (value string, length int, problem string) {
	i := 1
	for i < len(text) && text[i] != '"' && text[i] != '\\' && text[i] >= 0x20 {
		i++
	}
	if i < len(text) && text[i] == '"' {
		return text[1:i], i + 1, ""
	}
	var b strings.Builder
	b.WriteString(text[1:i])
	for i < len(text) {
		c := text[i]
		switch {
		case c == '"':
			return b.String(), i + 1, ""
		case c < 0x20:
			return "", i, "a control character in a string"
		case c != '\\':
			b.WriteByte(c)
			i++
		default:
			r, n := unescape(text[i:])
			if n == 0 {
				return "", i, "a malformed escape in a string"
			}
			b.WriteRune(r)
			i += n
		}
	}
	return "", i, "a string without its closing quote"
}

// unescape reads one escape of a JSON string, both halves of a surrogate pair at once, and returns the bytes it took, 0
// if it is malformed.
func unescape(text string) (rune, int) {
	if len(text) < 2 {
		return 0, 0
	}
	if i := strings.IndexByte(`"\/bfnrt`, text[1]); i >= 0 {
		return rune("\"\\/\b\f\n\r\t"[i]), 2
	}
	high, ok := hex4(text)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(high) {
		return high, 6
	}
	low, ok := hex4(text[6:])
	r := utf16.DecodeRune(high, low)
	if !ok || r == utf8.RuneError {
		return 0, 0
	}
	return r, 12
}

func hex4(text string) (rune, bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range []byte(text[2:6]) {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= lowerByte(c) && lowerByte(c) <= 'f':
			r = r<<4 | rune(lowerByte(c)-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}
