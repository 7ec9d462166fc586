package scim

import "strings"

// ETag returns the weak entity tag of a version (RFC 7644 section 3.14), W/"…". Bytes that a tag cannot hold are left
// out, so a version should be letters and digits.
func ETag(version string) string {
	b := make([]byte, 0, len(version)+4)
	b = append(b, `W/"`...)
	for i := range len(version) {
		if c := version[i]; c > 0x20 && c < 0x7f && c != '"' {
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}

// MatchETag says whether the value of an If-Match or If-None-Match header names a tag: as "*", which any tag matches
// but "", or in a list, by the weak comparison of RFC 9110 section 8.8.3.2, in which W/ is ignored. SCIM's own tags are
// weak, so the strong comparison that If-Match has in HTTP could never succeed. Tags without quotes, which some clients
// send, match as well.
func MatchETag(header, tag string) bool {
	if tag == "" {
		return false
	}
	want := opaque(tag)
	for rest := header; ; {
		rest = strings.TrimLeft(rest, " \t,")
		if rest == "" {
			return false
		}
		var one string
		one, rest = cutTag(rest)
		if one == "*" || opaque(one) == want {
			return true
		}
	}
}

// cutTag cuts the first tag off a list. A tag in quotes may hold commas.
func cutTag(s string) (tag, rest string) {
	start := 0
	if strings.HasPrefix(s, "W/") || strings.HasPrefix(s, "w/") {
		start = 2
	}
	if strings.HasPrefix(s[start:], `"`) {
		if end := strings.IndexByte(s[start+1:], '"'); end >= 0 {
			end += start + 2
			return s[:end], s[end:]
		}
	}
	tag, rest, _ = strings.Cut(s, ",")
	return strings.TrimSpace(tag), rest
}

// opaque returns what is in the quotes of a tag.
func opaque(tag string) string {
	tag = strings.TrimSpace(tag)
	if strings.HasPrefix(tag, "W/") || strings.HasPrefix(tag, "w/") {
		tag = tag[2:]
	}
	return strings.Trim(tag, `"`)
}
