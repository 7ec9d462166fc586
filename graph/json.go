package graph

import (
	"bytes"
	"encoding/json"
)

// scan walks once over JSON that json.Valid has accepted. It finds where values begin and end, and checks nothing a
// second time.
//
//	for s.enter(); s.more(); { name := s.name(); raw := s.value() }	// an object
//	for s.enter(); s.more(); { raw := s.value() }			// an array
type scan struct {
	b []byte
	i int
}

// peek returns the first byte of the value or name that comes next.
func (s *scan) peek() byte {
	for s.b[s.i] <= ' ' {
		s.i++
	}
	return s.b[s.i]
}

// enter steps into the object or array that comes next.
func (s *scan) enter() {
	s.peek()
	s.i++
}

// more tells whether the object or array has something more, and steps out of it when it has not.
func (s *scan) more() bool {
	switch s.peek() {
	case '}', ']':
		s.i++
		return false
	case ',':
		s.i++
		s.peek()
	}
	return true
}

// name returns a member's name, in its quotes, and steps behind the colon.
func (s *scan) name() []byte {
	start := s.i
	s.text()
	quoted := s.b[start:s.i]
	s.peek()
	s.i++
	return quoted
}

// value returns the value that comes next, compact, and without room to grow into its neighbour.
func (s *scan) value() []byte {
	c := s.peek()
	start := s.i
	switch c {
	case '"':
		s.text()
	case '{', '[':
		if s.skip() {
			var b bytes.Buffer
			if json.Compact(&b, s.b[start:s.i]) == nil {
				return b.Bytes()
			}
		}
	default:
		for c := s.b[s.i]; c > ' ' && c != ',' && c != '}' && c != ']'; c = s.b[s.i] {
			s.i++
		}
	}
	return s.b[start:s.i:s.i]
}

// text steps behind the text that begins here.
func (s *scan) text() {
	i := s.i
	for {
		i += 1 + bytes.IndexByte(s.b[i+1:], '"')
		slashes := 0
		for s.b[i-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			s.i = i + 1
			return
		}
	}
}

// skip steps behind the object or array that begins here, and tells whether there is white space inside of it.
func (s *scan) skip() (spaced bool) {
	depth := 0
	for {
		switch c := s.b[s.i]; {
		case c == '"':
			s.text()
			continue
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				s.i++
				return spaced
			}
		case c <= ' ':
			spaced = true
		}
		s.i++
	}
}

// unquote decodes a JSON text.
func unquote(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	var s string
	// A valid JSON text always decodes.
	_ = json.Unmarshal(quoted, &s)
	return s
}

// names keeps each attribute's name once, however many people have the attribute, and finds it fast: rows tend to have
// the same names in the same order.
type names struct {
	numbers map[string]int
	known   []knownName
	last    int // the name before
}

type knownName struct {
	quoted, name string
	then         int // the name that came after it last time
}

// maxNames bounds what an answer with made-up names can leave in memory.
const maxNames = 4096

func newNames() *names {
	return &names{numbers: make(map[string]int, 32), known: make([]knownName, 1, 32)}
}

// decode returns the one copy of a quoted name.
func (n *names) decode(quoted []byte) string {
	if guess := n.known[n.last].then; n.known[guess].quoted == string(quoted) {
		n.last = guess
		return n.known[guess].name
	}
	number, ok := n.numbers[string(quoted)]
	if !ok {
		name := unquote(quoted)
		if len(n.known) >= maxNames {
			return name
		}
		number = len(n.known)
		n.known = append(n.known, knownName{quoted: string(quoted), name: name})
		n.numbers[string(quoted)] = number
	}
	n.known[n.last].then, n.last = number, number
	return n.known[number].name
}
