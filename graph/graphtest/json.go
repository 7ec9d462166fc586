package graphtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// appendString appends s as a JSON string, without the escapes for HTML that Graph does not make either.
func appendString(b []byte, s string) []byte {
	plain := utf8.ValidString(s)
	for i := 0; i < len(s) && plain; i++ {
		plain = s[i] >= 0x20 && s[i] != '"' && s[i] != '\\'
	}
	if plain {
		b = append(b, '"')
		b = append(b, s...)
		return append(b, '"')
	}
	raw, err := marshal(s)
	if err != nil { // a string can always be encoded
		return append(b, `""`...)
	}
	return append(b, raw...)
}

// marshal encodes v compactly and without the escapes for HTML.
func marshal(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode as JSON: %w", err)
	}
	return bytes.TrimRight(buf.Bytes(), "\n"), nil
}
