package graph

import (
	"bytes"
	"encoding/json"
	"iter"
)

// The functions of this file walk over JSON that json.Valid has accepted. They find where values begin and end, and
// check nothing a second time.

// members yields the members of a JSON object in their order, duplicates included. Values are cut out of obj, compact.
func members(obj []byte) iter.Seq2[string, []byte] { return walk(obj, decodeName) }

// members is like the function, with names that are kept for the next time.
func (d *decoder) members(obj []byte) iter.Seq2[string, []byte] { return walk(obj, d.name) }

// name decodes a quoted name and returns the one copy of it.
func (d *decoder) name(quoted []byte) string {
	if s, ok := d.names[string(quoted)]; ok {
		return s
	}
	s := decodeName(quoted)
	if len(d.names) < maxNames {
		d.names[string(quoted)] = s
	}
	return s
}

func decodeName(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	var s string
	// A valid JSON text always decodes.
	_ = json.Unmarshal(quoted, &s)
	return s
}

func walk(obj []byte, name func([]byte) string) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		i := space(obj, 1)
		for obj[i] != '}' {
			end := text(obj, i)
			key := obj[i:end]
			i = space(obj, space(obj, end)+1) // past the colon
			end, spaced := value(obj, i)
			if !yield(name(key), cut(obj[i:end], spaced)) {
				return
			}
			if i = space(obj, end); obj[i] == ',' {
				i = space(obj, i+1)
			}
		}
	}
}

// elements yields the elements of a JSON array in their order.
func elements(list []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		i := space(list, 1)
		for list[i] != ']' {
			end, _ := value(list, i)
			if !yield(list[i:end]) {
				return
			}
			if i = space(list, end); list[i] == ',' {
				i = space(list, i+1)
			}
		}
	}
}

// cut returns a value without room to grow into its neighbour, and without inner white space.
func cut(raw []byte, spaced bool) []byte {
	if spaced {
		var b bytes.Buffer
		if json.Compact(&b, raw) == nil {
			return b.Bytes()
		}
	}
	return raw[:len(raw):len(raw)]
}

// space returns the first position from i on that is no white space.
func space(b []byte, i int) int {
	for b[i] <= ' ' {
		i++
	}
	return i
}

// text returns the position after the text that begins at i.
func text(b []byte, i int) int {
	for {
		i += 1 + bytes.IndexByte(b[i+1:], '"')
		slashes := 0
		for b[i-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return i + 1
		}
	}
}

// value returns the position after the value that begins at i, and whether there is white space inside of it.
func value(b []byte, i int) (end int, spaced bool) {
	switch b[i] {
	case '"':
		return text(b, i), false
	case '{', '[':
	default:
		for b[i] > ' ' && b[i] != ',' && b[i] != '}' && b[i] != ']' {
			i++
		}
		return i, false
	}
	depth := 0
	for {
		switch c := b[i]; {
		case c == '"':
			i = text(b, i)
			continue
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return i + 1, spaced
			}
		case c <= ' ':
			spaced = true
		}
		i++
	}
}
