package mapping

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// withoutDiacritics writes Latin letters without their marks, as the table of NormalizeDiacritics in Microsoft's
// "Reference for writing expressions for attribute mappings" has it: ä becomes a, ø oe, ß ss. Letters of other scripts,
// and Latin ones that the table does not name and that bear no mark (đ, þ), stay as they are.
func withoutDiacritics(s string) string {
	if isASCII(s) {
		return s
	}
	var b strings.Builder
	latin := false
	for _, r := range norm.NFD.String(s) {
		if unicode.Is(unicode.Mn, r) {
			if !latin {
				b.WriteRune(r)
			}
			continue
		}
		latin = unicode.Is(unicode.Latin, r)
		if plain := plainLetter(r); plain != "" {
			b.WriteString(plain)
		} else {
			b.WriteRune(r)
		}
	}
	return norm.NFC.String(b.String())
}

// plainLetter returns what stands for a letter whose mark is part of it.
func plainLetter(r rune) string {
	switch r {
	case 'æ':
		return "ae"
	case 'Æ':
		return "AE"
	case 'ø', 'œ':
		return "oe"
	case 'Ø', 'Œ':
		return "OE"
	case 'ß':
		return "ss"
	case 'ı':
		return "i"
	case 'ł':
		return "l"
	case 'Ł':
		return "L"
	}
	return ""
}
