package mapping

import (
	"fmt"
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// cleanText brings text to its canonical form: Unicode NFC, without outer white space, line ends written "\n". It
// refuses control characters other than tabs and line ends: to drop them silently would hide that the source is
// broken, and to keep them would break the target.
func cleanText(s string) (string, string) {
	if plainText(s) {
		return s, ""
	}
	s = strings.TrimFunc(s, isOuterSpace)
	if strings.ContainsRune(s, '\r') {
		s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	}
	for _, r := range s {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return "", fmt.Sprintf("holds the control character U+%04X", r)
		}
	}
	if !utf8.ValidString(s) {
		return "", "is not valid UTF-8"
	}
	return norm.NFC.String(s), ""
}

// plainText tells text that is canonical already: printable ASCII without outer spaces. Most text is.
func plainText(s string) bool {
	if s == "" {
		return true
	}
	if s[0] == ' ' || s[len(s)-1] == ' ' {
		return false
	}
	for i := range len(s) {
		if s[i] < 0x20 || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// isOuterSpace tells white space, and the invisible characters that come along when text is copied from elsewhere.
func isOuterSpace(r rune) bool {
	switch r {
	case '\u200b', '\u2060', '\ufeff':
		return true
	}
	return unicode.IsSpace(r)
}

// shown makes text fit to be quoted in a message: one line, and not endless.
func shown(s string) string {
	const most = 80
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most]) + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}

// maxEmail is the longest e-mail address in bytes (RFC 5321 4.5.3.1.3 with its erratum 1690), and maxLocal that of the part
// before the @.
const (
	maxEmail = 254
	maxLocal = 64
)

const notEmail = "is not an e-mail address"

// cleanEmail brings an e-mail address to its canonical form: the local part as given, the domain in lower-case ASCII
// (RFC 5321, RFC 5891). A display name, a comment, a quoted local part or a domain without a dot is refused.
func cleanEmail(s string) (string, string) {
	s, reason := cleanText(s)
	if reason != "" {
		return "", reason
	}
	at := strings.LastIndexByte(s, '@')
	if at <= 0 || at == len(s)-1 {
		return "", notEmail
	}
	local, domain := s[:at], s[at+1:]
	if !isDotAtom(local) {
		return "", notEmail
	}
	lower := lowerDomain(domain)
	if !lower && isASCII(domain) {
		if small := strings.ToLower(domain); !strings.Contains(small, "xn--") && lowerDomain(small) {
			domain, s, lower = small, local+"@"+small, true
		}
	}
	if !lower {
		ascii, err := idna.Lookup.ToASCII(domain)
		if err != nil || !lowerDomain(ascii) {
			return "", notEmail + ": the domain " + shown(domain) + " cannot exist"
		}
		s = local + "@" + ascii
	}
	if len(s) > maxEmail || len(local) > maxLocal {
		return "", notEmail + ": it is too long"
	}
	if !isASCII(local) {
		if a, err := mail.ParseAddress(s); err != nil || a.Name != "" || a.Address != s {
			return "", notEmail
		}
	}
	return s, ""
}

// isDotAtom tells a local part of RFC 5322 3.2.3, with the letters beyond ASCII that RFC 6532 adds.
func isDotAtom(s string) bool {
	if s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for _, r := range s {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '.':
		case r < utf8.RuneSelf:
			if !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r) {
				return false
			}
		case !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r):
			return false
		}
	}
	return true
}

// lowerDomain tells a domain name of at least two labels that is in lower-case ASCII already.
func lowerDomain(s string) bool {
	labels, start := 0, 0
	digits := true
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != '.' {
			c := s[i]
			switch {
			case 'a' <= c && c <= 'z' || c == '-':
				digits = false
			case '0' <= c && c <= '9':
			default:
				return false
			}
			continue
		}
		label := s[start:i]
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		labels++
		if i < len(s) {
			start, digits = i+1, true
		}
	}
	return labels >= 2 && !digits
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
