package scim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The limits of filters and paths. A filter is text from outside that somebody else will evaluate often.
const (
	MaxFilterBytes = 10_000
	MaxFilterDepth = 50
)

// ParseFilter reads a filter. It takes what clients send beyond the grammar: operators, true, false and null in any
// letter case; no space between an operator and a quote; values without quotes (a number where it is one, else a
// string); names such as "$ref"; and a sub-attribute behind brackets, as in emails[type eq "work"].value eq "x".
//
// The URNs are the schemas that the caller knows. With them a URN may hold any character, spaces and dots included, and
// a dot instead of the last colon is understood. Without them, or for other schemas, a URN ends at the last colon.
//
// Errors are *Error with invalidFilter; positions count bytes from 1. No value of the filter is repeated in them.
func ParseFilter(text string, urns ...string) (Filter, error) {
	s := scanner{text: text, urns: urns, kind: InvalidFilter, what: "filter"}
	if err := s.check(); err != nil {
		return nil, err
	}
	f, err := s.or(0)
	if err != nil {
		return nil, err
	}
	if s.pos < len(s.text) {
		return nil, s.fail("expected \"and\", \"or\" or the end")
	}
	return f, nil
}

// ParsePath reads the path of a PATCH operation, or a name in attributes, excludedAttributes and sortBy. What is said at
// ParseFilter about URNs and leniency holds here; errors are *Error with invalidPath.
func ParsePath(text string, urns ...string) (Path, error) {
	p, _, err := parsePath(text, urns)
	return p, err
}

// parsePath is ParsePath that also says whether a dot stood for the last colon of a URN.
func parsePath(text string, urns []string) (p Path, dotted bool, err error) {
	s := scanner{text: strings.TrimSpace(text), urns: urns, kind: InvalidPath, what: "path"}
	if err := s.check(); err != nil {
		return Path{}, false, err
	}
	if p, err = s.path(0); err != nil {
		return Path{}, false, err
	}
	if s.pos < len(s.text) {
		return Path{}, false, s.fail("expected the end of the path")
	}
	return p, s.dotted, nil
}

type scanner struct {
	text       string
	pos        int
	urns       []string
	kind, what string
	inBrackets bool
	dotted     bool
}

func (s *scanner) fail(format string, args ...any) error {
	return refuse(s.kind, "%s at position %d of the %s", fmt.Sprintf(format, args...), s.pos+1, s.what)
}

func (s *scanner) check() error {
	if len(s.text) > MaxFilterBytes {
		return refuse(s.kind, "the %s has %d bytes; at most %d are taken", s.what, len(s.text), MaxFilterBytes)
	}
	if i := invalidUTF8(s.text); i >= 0 {
		s.pos = i
		return s.fail("a byte that is not UTF-8")
	}
	return nil
}

func (s *scanner) skip() {
	for s.pos < len(s.text) && (s.text[s.pos] == ' ' || s.text[s.pos] == '\t') {
		s.pos++
	}
}

func (s *scanner) peek() byte {
	if s.pos < len(s.text) {
		return s.text[s.pos]
	}
	return 0
}

// word returns the letters at the current position, without moving on.
func (s *scanner) word() string {
	end := s.pos
	for end < len(s.text) && 'a' <= lowerByte(s.text[end]) && lowerByte(s.text[end]) <= 'z' {
		end++
	}
	return s.text[s.pos:end]
}

// keyword moves past a word if it stands here, as a whole word.
func (s *scanner) keyword(word string) bool {
	if got := s.word(); !sameName(got, word) || isNameByte(s.text, s.pos+len(got)) {
		return false
	}
	s.pos += len(word)
	return true
}

func isNameByte(text string, i int) bool {
	return i < len(text) && strings.IndexByte(" \t()[]\"", text[i]) < 0
}

func (s *scanner) or(depth int) (Filter, error) {
	return s.join("or", func() (Filter, error) { return s.and(depth) }, func(f []Filter) Filter { return Or(f) },
		func(f Filter) []Filter { inner, _ := f.(Or); return inner })
}

func (s *scanner) and(depth int) (Filter, error) {
	return s.join("and", func() (Filter, error) { return s.term(depth) }, func(f []Filter) Filter { return And(f) },
		func(f Filter) []Filter { inner, _ := f.(And); return inner })
}

// join reads terms with a word between them. Terms of the same kind in parentheses become part of the list.
func (s *scanner) join(word string, read func() (Filter, error), build func([]Filter) Filter, parts func(Filter) []Filter) (Filter, error) {
	var all []Filter
	for {
		f, err := read()
		if err != nil {
			return nil, err
		}
		if inner := parts(f); inner != nil {
			all = append(all, inner...)
		} else {
			all = append(all, f)
		}
		if s.skip(); !s.keyword(word) {
			break
		}
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return build(all), nil
}

func (s *scanner) term(depth int) (Filter, error) {
	if depth > MaxFilterDepth {
		return nil, refuse(s.kind, "the %s is nested deeper than %d levels at position %d", s.what, MaxFilterDepth, s.pos+1)
	}
	s.skip()
	if s.peek() == '(' {
		return s.group(depth)
	}
	if sameName(s.word(), "not") {
		start := s.pos
		s.pos += len("not")
		if s.skip(); s.peek() == '(' {
			f, err := s.group(depth)
			if err != nil {
				return nil, err
			}
			return Not{f}, nil
		}
		s.pos = start
	}
	return s.comparison(depth)
}

func (s *scanner) group(depth int) (Filter, error) {
	open := s.pos
	s.pos++
	f, err := s.or(depth + 1)
	if err != nil {
		return nil, err
	}
	if s.skip(); s.peek() != ')' {
		return nil, s.fail("expected \"and\", \"or\" or the parenthesis that closes the one at %d", open+1)
	}
	s.pos++
	return f, nil
}

func (s *scanner) comparison(depth int) (Filter, error) {
	p, err := s.path(depth)
	if err != nil {
		return nil, err
	}
	s.skip()
	if word := s.word(); p.Filter != nil && p.Sub == "" {
		if s.pos == len(s.text) || s.peek() == ')' || sameName(word, "and") || sameName(word, "or") {
			return ValuePath{p}, nil
		}
	}
	if s.keyword("pr") {
		return Present{p}, nil
	}
	word := s.word()
	op := Op(asciiLower(word))
	if all := ops(); !slices.Contains(all[:], op) {
		if word == "" {
			return nil, s.fail("expected an operator such as eq")
		}
		return nil, s.fail("unknown operator %q; there are eq, ne, co, sw, ew, gt, ge, lt, le and pr;", clean(word, 16))
	}
	s.pos += len(word)
	s.skip()
	v, err := s.value()
	if err != nil {
		return nil, err
	}
	return Compare{p, op, v}, nil
}

// value reads what an attribute is compared with.
func (s *scanner) value() (any, error) {
	if s.peek() == '"' {
		v, n, problem := unquote(s.text[s.pos:])
		s.pos += n
		if problem != "" {
			return nil, s.fail("%s", problem)
		}
		return v, nil
	}
	end := s.pos
	for isNameByte(s.text, end) {
		end++
	}
	bare := s.text[s.pos:end]
	if bare == "" || sameName(bare, "and") || sameName(bare, "or") {
		return nil, s.fail("expected a value")
	}
	s.pos = end
	switch {
	case sameName(bare, "true"):
		return true, nil
	case sameName(bare, "false"):
		return false, nil
	case sameName(bare, "null"):
		return nil, nil
	case validNumber(bare):
		return json.Number(bare), nil
	}
	return bare, nil
}

// path reads an attribute path with an optional filter in brackets.
func (s *scanner) path(depth int) (Path, error) {
	s.skip()
	start := s.pos
	p, err := s.attribute()
	if err != nil || s.peek() != '[' {
		return p, err
	}
	switch {
	case s.inBrackets:
		return Path{}, s.fail("brackets within brackets")
	case p.Sub != "" || p.Name == "":
		return Path{}, s.fail("brackets behind %q, which is not a multi-valued attribute,", clean(s.text[start:s.pos], 80))
	}
	s.pos++
	s.inBrackets = true
	if p.Filter, err = s.or(depth + 1); err != nil {
		return Path{}, err
	}
	s.inBrackets = false
	if s.skip(); s.peek() != ']' {
		return Path{}, s.fail("expected \"and\", \"or\" or ]")
	}
	s.pos++
	if s.peek() == '.' {
		s.pos++
		end := s.pos
		for isNameByte(s.text, end) {
			end++
		}
		if p.Sub = s.text[s.pos:end]; !validName(p.Sub) {
			return Path{}, s.fail("expected the name of a sub-attribute")
		}
		s.pos = end
	}
	return p, nil
}

// attribute reads [URN ":"] name ["." sub].
func (s *scanner) attribute() (Path, error) {
	p := Path{URN: s.knownURN()}
	start := s.pos
	s.pos += len(p.URN)
	if p.URN != "" {
		if !isNameByte(s.text, s.pos) {
			return p, nil
		}
		s.dotted = s.dotted || s.text[s.pos] == '.'
		s.pos++
		start = s.pos
	}
	end := s.pos
	for isNameByte(s.text, end) {
		end++
	}
	name := s.text[start:end]
	if i := strings.LastIndexByte(name, ':'); i >= 0 && p.URN == "" {
		p.URN, name = name[:i], name[i+1:]
		if !strings.HasPrefix(asciiLower(p.URN), "urn:") || len(p.URN) == len("urn:") {
			return Path{}, s.fail("a name with a colon that is not the URN of a schema")
		}
	}
	var hasSub bool
	p.Name, p.Sub, hasSub = strings.Cut(name, ".")
	switch {
	case name == "":
		return Path{}, s.fail("expected the name of an attribute")
	case !validName(p.Name) || hasSub && !validName(p.Sub):
		return Path{}, s.fail("%q, which is not the name of an attribute,", clean(name, 80))
	}
	s.pos = end
	return p, nil
}

// knownURN returns the longest of the known URNs that stands here in front of a name, or alone, in the caller's
// spelling of its letters.
func (s *scanner) knownURN() string {
	rest, found := s.text[s.pos:], ""
	for _, urn := range s.urns {
		if len(urn) <= len(found) || len(rest) < len(urn) || !sameName(rest[:len(urn)], urn) {
			continue
		}
		if len(rest) == len(urn) || strings.IndexByte(":. \t)]", rest[len(urn)]) >= 0 {
			found = urn
		}
	}
	return found
}

// validName says whether s can be the name of an attribute. The grammar's ATTRNAME is a letter and then letters, digits,
// "-" and "_"; "$ref" needs the dollar, and the field names of real applications begin with digits and underscores and
// use letters of every alphabet.
func validName(s string) bool {
	for _, r := range s {
		if r != '_' && r != '-' && r != '$' && !unicode.IsLetter(r) && !unicode.IsDigit(r) || r == utf8.RuneError {
			return false
		}
	}
	return s != "" && s[0] != '-'
}
