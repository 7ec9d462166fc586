package graphtest

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// condition decides whether an object is in a filtered list.
type condition func(o *object, attrs []byte) bool

// filterParser reads the $filter of a list: clauses joined by and, or and not, with parentheses. It knows the clauses
// that this package simulates and refuses all others, some of which the service knows.
type filterParser struct {
	d        *directory
	words    []string
	depth    int
	advanced bool // some clause needs an advanced query
	span     span // what the clauses on userPrincipalName leave
	shy      bool // extensions take an advanced query
	// keys are those of the values that the filter names, one of which everybody it finds has, unless it is loose.
	keys  []string
	loose bool
}

// exactly notes that a clause asks for one value of a property.
func (p *filterParser) exactly(name, value string) {
	if prefix := keyOf(name); prefix != "" && prefix != byImmutable && p.d.members == nil {
		p.keys = append(p.keys, prefix+folded(prefix, value))
	} else {
		p.loose = true
	}
}

// maxFilterDepth is how deeply parentheses and negations can be nested.
const maxFilterDepth = 20

// parseListFilter returns what a filter asks for, and the parser that read it, which knows what else is to be known of it.
func (d *directory) parseListFilter(v string, shy bool) (condition, *filterParser, error) {
	words, ok := filterWords(v)
	if !ok {
		return nil, nil, invalidFilter()
	}
	p := &filterParser{d: d, words: words, shy: shy}
	match, err := p.either()
	if err == nil && len(p.words) > 0 {
		err = invalidFilter()
	}
	return match, p, err
}

func invalidFilter() error {
	return badQuery("BadRequest", "Invalid filter clause.")
}

func unsupportedFilter(name string) error {
	return badQuery("Request_UnsupportedQuery", "Unsupported or invalid query filter clause specified for property '%s' of resource.", name)
}

// filterWords splits a filter into words, literals in quotes, and signs. A quote inside quotes is doubled.
func filterWords(v string) ([]string, bool) {
	var words []string
	for v = strings.TrimLeft(v, " \t"); v != ""; v = strings.TrimLeft(v, " \t") {
		n := 1
		switch v[0] {
		case '(', ')', ',':
		case '\'':
			for ; n < len(v); n++ {
				if v[n] != '\'' {
					continue
				}
				if n+1 == len(v) || v[n+1] != '\'' {
					break
				}
				n++
			}
			if n >= len(v) {
				return nil, false
			}
			n++
		default:
			if n = strings.IndexAny(v, " \t(),'"); n < 0 {
				n = len(v)
			}
		}
		words, v = append(words, v[:n]), v[n:]
	}
	return words, true
}

// next takes a word; at the end of the filter it is empty.
func (p *filterParser) next() string {
	if len(p.words) == 0 {
		return ""
	}
	w := p.words[0]
	p.words = p.words[1:]
	return w
}

// accept takes the next word if it is this one.
func (p *filterParser) accept(word string) bool {
	if len(p.words) == 0 || !strings.EqualFold(p.words[0], word) {
		return false
	}
	p.words = p.words[1:]
	return true
}

func (p *filterParser) either() (condition, error) {
	left, err := p.both()
	for n := 2; err == nil && p.accept("or"); n++ {
		if n > maxClauses {
			return nil, tooManyClauses(n)
		}
		p.span.void = true
		var right condition
		before := left
		right, err = p.both()
		left = func(o *object, attrs []byte) bool { return before(o, attrs) || right(o, attrs) }
	}
	return left, err
}

func (p *filterParser) both() (condition, error) {
	left, err := p.one()
	for err == nil && p.accept("and") {
		var right condition
		before := left
		right, err = p.one()
		left = func(o *object, attrs []byte) bool { return before(o, attrs) && right(o, attrs) }
	}
	return left, err
}

func (p *filterParser) one() (condition, error) {
	if p.depth++; p.depth > maxFilterDepth {
		return nil, invalidFilter()
	}
	defer func() { p.depth-- }()
	switch {
	case p.accept("not"):
		p.advanced, p.span.void, p.loose = true, true, true
		inner, err := p.one()
		return func(o *object, attrs []byte) bool { return !inner(o, attrs) }, err
	case p.accept("("):
		inner, err := p.either()
		if err == nil && !p.accept(")") {
			err = invalidFilter()
		}
		return inner, err
	case p.accept("startswith"):
		return p.affix(func(s []byte, part string) bool { return len(s) >= len(part) && string(s[:len(part)]) == part })
	case p.accept("endswith"):
		p.advanced = true
		return p.affix(func(s []byte, part string) bool { return len(s) >= len(part) && string(s[len(s)-len(part):]) == part })
	case len(p.words) > 1 && p.words[1] == "(":
		return p.lambda()
	default:
		return p.comparison()
	}
}

// property takes the name of a property that can be filtered by.
func (p *filterParser) property() (string, error) {
	switch name := p.next(); {
	case name == "id":
		return name, nil
	case p.d.known(name) && name != managerProperty, p.d.members == nil && isAttributePath(name):
		return name, nil
	default:
		return "", badQuery("BadRequest", "Could not find a property named '%s' on type '%s'.", name, p.d.odataType()[1:])
	}
}

// isAttributePath tells the paths of the fifteen extension attributes, onPremisesExtensionAttributes/extensionAttribute1
// and so on.
func isAttributePath(name string) bool {
	number, ok := strings.CutPrefix(name, attributesProperty+"/extensionAttribute")
	n, err := strconv.Atoi(number)
	return ok && err == nil && n >= 1 && n <= 15 && strconv.Itoa(n) == number
}

const attributesProperty = "onPremisesExtensionAttributes"

// value returns how to read a property of an object; one that was never set is null.
func (p *filterParser) value(name string) func(o *object, attrs []byte) []byte {
	if property, inner, ok := strings.Cut(name, "/"); ok {
		whole := p.value(property)
		return func(o *object, attrs []byte) []byte {
			var parts map[string]json.RawMessage
			if json.Unmarshal(whole(o, attrs), &parts) != nil || parts[inner] == nil {
				return []byte("null")
			}
			return parts[inner]
		}
	}
	n, ok := p.d.numbers[name]
	null := []byte("null")
	return func(o *object, attrs []byte) []byte {
		switch {
		case name == "id":
			return appendString(nil, o.id)
		case ok:
			if raw, _ := get(attrs, n); raw != nil {
				return raw
			}
		}
		return null
	}
}

// affix reads the arguments of startswith and endswith, which disregard letter case.
func (p *filterParser) affix(has func(s []byte, part string) bool) (condition, error) {
	if !p.accept("(") {
		return nil, invalidFilter()
	}
	name, err := p.property()
	if err != nil {
		return nil, err
	}
	if !p.accept(",") {
		return nil, invalidFilter()
	}
	literal := p.next()
	if literal == "" || literal[0] != '\'' || !p.accept(")") {
		return nil, invalidFilter()
	}
	if name != "displayName" && name != "userPrincipalName" {
		p.advanced = true
	}
	p.loose = true
	part, value := strings.ToLower(unquote(literal)), p.value(name)
	return func(o *object, attrs []byte) bool {
		var room [96]byte
		s, ok := lowered(room[:0], value(o, attrs))
		return ok && has(s, part)
	}, nil
}

// lambda reads property/any(x:x eq 'value') for a property that is a list.
func (p *filterParser) lambda() (condition, error) {
	name, ok := strings.CutSuffix(p.next(), "/any")
	if !ok || !p.d.isCollection(name) || !p.accept("(") {
		return nil, unsupportedFilter(name)
	}
	variable, again, ok := strings.Cut(p.next(), ":")
	if !ok || variable != again || !p.accept("eq") {
		return nil, unsupportedFilter(name)
	}
	literal := p.next()
	if literal == "" || literal[0] != '\'' || !p.accept(")") {
		return nil, invalidFilter()
	}
	if name != "groupTypes" {
		p.advanced = true
	}
	p.loose = true
	want, value := unquote(literal), p.value(name)
	return func(o *object, attrs []byte) bool {
		var list []string
		if json.Unmarshal(value(o, attrs), &list) != nil {
			return false
		}
		for _, s := range list {
			if strings.EqualFold(s, want) {
				return true
			}
		}
		return false
	}, nil
}

// comparison reads property op literal. Equality with a text, true, false or null disregards letter case; greater and
// less are known for times.
func (p *filterParser) comparison() (condition, error) {
	name, err := p.property()
	if err != nil {
		return nil, err
	}
	op, literal := strings.ToLower(p.next()), p.next()
	value := p.value(name)
	if op == "in" && literal == "(" {
		return p.oneOf(name, value)
	}
	if op == "eq" && strings.HasPrefix(literal, "'") {
		p.exactly(name, unquote(literal))
	} else {
		p.loose = true
	}
	switch {
	case literal == "":
		return nil, invalidFilter()
	case op == "eq" || op == "ne":
		p.advanced = p.advanced || op == "ne" || !p.plainly(name)
		return equality(op == "eq", literal, value)
	case (op == "ge" || op == "le") && literal[0] == '\'' && (name == "userPrincipalName" || name == "displayName"):
		if name == "userPrincipalName" {
			p.span.narrow(op == "ge", strings.ToLower(unquote(literal)))
		}
		return bound(op == "ge", strings.ToLower(unquote(literal)), value), nil
	case op != "ge" && op != "gt" && op != "le" && op != "lt":
		return nil, invalidFilter()
	}
	limit, err := time.Parse(time.RFC3339, literal)
	if name != "createdDateTime" || err != nil {
		return nil, unsupportedFilter(name)
	}
	p.advanced = true
	return func(o *object, attrs []byte) bool {
		raw := value(o, attrs)
		if len(raw) < 2 || raw[0] != '"' {
			return false
		}
		at, err := time.Parse(time.RFC3339, string(raw[1:len(raw)-1]))
		if err != nil {
			return false
		}
		switch c := at.Compare(limit); op {
		case "ge":
			return c >= 0
		case "gt":
			return c > 0
		case "le":
			return c <= 0
		default:
			return c < 0
		}
	}, nil
}

// maxClauses is how many values a property can be compared with, in a list or in clauses joined by or (Graph, "Use the $filter query parameter").
const maxClauses = 15

func tooManyClauses(n int) error {
	return badQuery("Request_UnsupportedQuery", "Too many child clauses specified in search filter expression containing 'OR' operators: %d. Max allowed: %d.", n, maxClauses)
}

// oneOf reads the values of property in ('a','b'), behind the parenthesis.
func (p *filterParser) oneOf(name string, value func(*object, []byte) []byte) (condition, error) {
	wanted := map[string]bool{}
	for {
		literal := p.next()
		if literal == "" || literal[0] != '\'' {
			return nil, invalidFilter()
		}
		wanted[strings.ToLower(unquote(literal))] = true
		p.exactly(name, unquote(literal))
		if p.accept(")") {
			break
		}
		if !p.accept(",") {
			return nil, invalidFilter()
		}
	}
	if len(wanted) > maxClauses {
		return nil, tooManyClauses(len(wanted))
	}
	p.advanced = p.advanced || !p.plainly(name)
	return func(o *object, attrs []byte) bool {
		s, ok := text(value(o, attrs))
		return ok && wanted[strings.ToLower(s)]
	}, nil
}

// bound compares texts by the order of their characters, letter case disregarded. What is not there is in no range.
func bound(below bool, limit string, value func(*object, []byte) []byte) condition {
	return func(o *object, attrs []byte) bool {
		var room [96]byte
		s, ok := lowered(room[:0], value(o, attrs))
		return ok && (string(s) == limit || string(s) > limit == below)
	}
}

func equality(equal bool, literal string, value func(*object, []byte) []byte) (condition, error) {
	if literal[0] == '\'' {
		want := unquote(literal)
		return func(o *object, attrs []byte) bool {
			s, ok := text(value(o, attrs))
			return (ok && strings.EqualFold(s, want)) == equal
		}, nil
	}
	switch word := strings.ToLower(literal); word {
	case "true", "false", "null":
		return func(o *object, attrs []byte) bool { return (string(value(o, attrs)) == word) == equal }, nil
	}
	return nil, invalidFilter()
}

// plainly tells whether equality of a property can be asked for without an advanced query. Of extensions Graph's documents
// say so here and the contrary there, which is why it is a switch.
func (p *filterParser) plainly(name string) bool {
	if isExtension(name) || isAttributePath(name) {
		return !p.shy
	}
	return plainlyFiltered(name)
}

// plainlyFiltered tells the properties whose equality can be asked for without an advanced query, as far as they are
// simulated (Graph reference, user and group resources).
func plainlyFiltered(name string) bool {
	switch name {
	case "accountEnabled", "department", "displayName", "employeeId", "givenName", "id", "jobTitle", "mail", "mailEnabled",
		"mailNickname", "onPremisesImmutableId", "securityEnabled", "surname", "uniqueName", "userPrincipalName", "userType":
		return true
	}
	return false
}

// unquote takes a literal out of its quotes.
func unquote(literal string) string {
	return strings.ReplaceAll(literal[1:len(literal)-1], "''", "'")
}

// text decodes a JSON string; anything else is none.
func text(raw []byte) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), true
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return "", false
	}
	return s, true
}

// lowered appends a JSON string, decoded and in lower case, to b; anything else is none. Names are mostly plain ASCII, and
// then nothing is allocated as long as b has room: a filtered list looks at everybody.
func lowered(b, raw []byte) ([]byte, bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return b, false
	}
	for _, c := range raw[1 : len(raw)-1] {
		switch {
		case c == '\\' || c >= 0x80:
			s, ok := text(raw)
			return []byte(strings.ToLower(s)), ok
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return b, true
}
