package mapping

import (
	"encoding/json"
	"errors"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// maxAttribute is the longest JSON of one attribute that is looked at, in bytes. Entra's own limits lie far below it;
// it bounds what a hostile source can make a mapping cost.
const maxAttribute = 64 << 10

// maxList is the greatest number of entries of a list attribute.
const maxList = 1000

// kind is the kind of an input.
type kind uint8

const (
	kindNull kind = iota
	kindText
	kindBoolean
	kindNumber
	kindList
	kindMoment
	kindObject
)

func (k kind) String() string {
	switch k {
	case kindText:
		return "text"
	case kindBoolean:
		return "a boolean"
	case kindNumber:
		return "a number"
	case kindList:
		return "a list"
	case kindMoment:
		return "a moment"
	case kindObject:
		return "an object"
	default:
		return "empty"
	}
}

// input is what goes into a conversion: an attribute's JSON taken apart, a constant, or what an expression gave.
type input struct {
	kind kind
	// plain says that the text is known to be in canonical form and not empty: printable ASCII without outer spaces.
	plain bool
	// text is the text itself; of a boolean "true" or "false", of a number its digits as written, of an object its id,
	// if it has one.
	text string
	list []string
	when time.Time
}

func textInput(s string) input { return input{kind: kindText, text: s} }

// decode takes one JSON value apart. What it returns shares no memory with raw. A list may hold texts only.
func decode(raw json.RawMessage) (input, error) {
	if len(raw) > maxAttribute {
		return input{}, errors.New("is too long: " + strconv.Itoa(len(raw)) + " bytes, and at most " + strconv.Itoa(maxAttribute) + " are read")
	}
	if len(raw) == 0 {
		return input{}, nil
	}
	switch raw[0] {
	case '"':
		if n := len(raw); n > 2 && raw[n-1] == '"' && plainJSON(raw[1:n-1]) {
			return input{kind: kindText, text: string(raw[1 : n-1]), plain: true}, nil
		}
		s, err := decodeText(raw)
		return input{kind: kindText, text: s}, err
	case 'n':
		if string(raw) == "null" {
			return input{}, nil
		}
	case 't', 'f':
		if s := string(raw); s == "true" || s == "false" {
			return input{kind: kindBoolean, text: s}, nil
		}
	case '[':
		return decodeList(raw)
	case '{':
		return decodeObject(raw)
	default:
		if (raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9') && json.Valid(raw) {
			return input{kind: kindNumber, text: string(raw)}, nil
		}
	}
	return input{}, errors.New("is not valid JSON")
}

// plainJSON tells the inside of a JSON string that stands for itself and is plain text. Most are.
func plainJSON(body []byte) bool {
	if body[0] == ' ' || body[len(body)-1] == ' ' {
		return false
	}
	for _, c := range body {
		if c < 0x20 || c >= 0x7f || c == '\\' || c == '"' {
			return false
		}
	}
	return true
}

func decodeList(raw json.RawMessage) (input, error) {
	var parts []json.RawMessage
	if err := json.Unmarshal(raw, &parts); err != nil {
		return input{}, errors.New("is not valid JSON")
	}
	if len(parts) == 0 {
		return input{}, nil
	}
	if len(parts) > maxList {
		return input{}, errors.New("has too many entries: " + strconv.Itoa(len(parts)) + ", and at most " + strconv.Itoa(maxList) + " are read")
	}
	list := make([]string, 0, len(parts))
	for _, p := range parts {
		if p[0] != '"' {
			if p[0] == '{' {
				return decodeObjects(parts)
			}
			if string(p) == "null" {
				continue
			}
			return input{}, errors.New("is a list of something other than texts")
		}
		s, err := decodeText(p)
		if err != nil {
			return input{}, err
		}
		list = append(list, s)
	}
	return input{kind: kindList, list: list}, nil
}

// decodeObject keeps an object's id. One that is marked as removed, as Graph marks a manager who is no longer one, is
// no value.
func decodeObject(raw json.RawMessage) (input, error) {
	var o struct {
		ID      string          `json:"id"`
		Removed json.RawMessage `json:"@removed"`
	}
	if err := json.Unmarshal(raw, &o); err != nil {
		if !json.Valid(raw) {
			return input{}, errBrokenText
		}
		o.ID = ""
	}
	if o.Removed != nil {
		return input{}, nil
	}
	return input{kind: kindObject, text: o.ID}, nil
}

// decodeObjects takes the last of a list of objects that is not removed, which is how Graph delivers a manager.
func decodeObjects(parts []json.RawMessage) (input, error) {
	var last input
	for _, p := range parts {
		in, err := decodeObject(p)
		if err != nil {
			return input{}, errors.New("is a list of something other than texts")
		}
		if in.kind != kindNull {
			last = in
		}
	}
	return last, nil
}

var (
	errBrokenText  = errors.New("is not valid JSON")
	errBrokenUTF8  = errors.New("is not valid UTF-8")
	errHalfLetters = errors.New("holds half a character (a lone surrogate)")
)

// decodeText decodes a JSON string. Unlike encoding/json it refuses text that is not valid UTF-8 and lone surrogates,
// instead of putting U+FFFD in their place.
func decodeText(raw []byte) (string, error) {
	if len(raw) < 2 || raw[0] != '"' || raw[len(raw)-1] != '"' {
		return "", errBrokenText
	}
	body := raw[1 : len(raw)-1]
	ascii := true
	for i, c := range body {
		switch {
		case c == '\\':
			return unescape(body, i)
		case c == '"' || c < 0x20:
			return "", errBrokenText
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	if !ascii && !utf8.Valid(body) {
		return "", errBrokenUTF8
	}
	return string(body), nil
}

// unescape decodes the inside of a JSON string, whose first escape stands at i.
func unescape(body []byte, i int) (string, error) {
	out := make([]byte, i, len(body))
	copy(out, body)
	for i < len(body) {
		c := body[i]
		if c == '"' || c < 0x20 {
			return "", errBrokenText
		}
		if c != '\\' {
			out = append(out, c)
			i++
			continue
		}
		if i+1 >= len(body) {
			return "", errBrokenText
		}
		switch e := body[i+1]; e {
		case '"', '\\', '/':
			out = append(out, e)
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, n, err := unescapeRune(body[i:])
			if err != nil {
				return "", err
			}
			out = utf8.AppendRune(out, r)
			i += n
			continue
		default:
			return "", errBrokenText
		}
		i += 2
	}
	if !utf8.Valid(out) {
		return "", errBrokenUTF8
	}
	return string(out), nil
}

// unescapeRune decodes \uXXXX, or two of them that are a surrogate pair, at the beginning of b.
func unescapeRune(b []byte) (rune, int, error) {
	r, ok := hex4(b)
	if !ok {
		return 0, 0, errBrokenText
	}
	if !utf16.IsSurrogate(r) {
		return r, 6, nil
	}
	if second, ok := hex4(b[6:]); ok {
		if pair := utf16.DecodeRune(r, second); pair != utf8.RuneError {
			return pair, 12, nil
		}
	}
	return 0, 0, errHalfLetters
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 32)
	return rune(n), err == nil
}

// member returns a member of a JSON object, and null when raw is null or has no such member.
func member(raw json.RawMessage, name string) (json.RawMessage, error) {
	if len(raw) > maxAttribute {
		_, err := decode(raw)
		return nil, err
	}
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var members map[string]json.RawMessage
	if raw[0] != '{' || json.Unmarshal(raw, &members) != nil {
		return nil, errors.New("cannot be read, because what it is part of is not an object")
	}
	return members[name], nil
}
