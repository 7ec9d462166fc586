package mapping

import (
	"strings"

	"github.com/shopspring/decimal"
)

// maxDigits is the greatest number of digits of a number. It is far beyond any money or counter, and bounds what a
// number like 1e9999 may grow into.
const maxDigits = 40

const notNumber = "is not a number"

// cleanNumber brings a decimal number, as JSON writes it, to its canonical form: no exponent, no leading or trailing
// zeros, no minus before zero. It is exact. A plus sign and a missing digit before or after the point are allowed.
func cleanNumber(s string) (string, string) {
	s = strings.TrimFunc(s, isOuterSpace)
	if strings.ContainsAny(s, "eE") {
		d, err := decimal.NewFromString(s)
		if err != nil || s[len(s)-1] < '0' || s[len(s)-1] > '9' {
			return "", notNumber
		}
		if d.NumDigits()+int(abs32(d.Exponent())) > 2*maxDigits {
			return "", "has too many digits"
		}
		s = d.String()
	}
	sign := ""
	switch {
	case strings.HasPrefix(s, "-"):
		sign, s = "-", s[1:]
	case strings.HasPrefix(s, "+"):
		s = s[1:]
	}
	whole, fraction, _ := strings.Cut(s, ".")
	if !allDigits(whole) || !allDigits(fraction) || whole+fraction == "" {
		return "", notNumber
	}
	whole, fraction = strings.TrimLeft(whole, "0"), strings.TrimRight(fraction, "0")
	switch {
	case len(whole)+len(fraction) > maxDigits:
		return "", "has too many digits"
	case whole == "" && fraction == "":
		return "0", ""
	case whole == "":
		whole = "0"
	}
	if fraction != "" {
		fraction = "." + fraction
	}
	return sign + whole + fraction, ""
}

func abs32(n int32) int64 {
	if n < 0 {
		return -int64(n)
	}
	return int64(n)
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// numberStyle is how a source writes numbers: which character groups the thousands (none: 0), which begins the
// fraction.
type numberStyle struct{ group, point rune }

// parseNumberStyle reads a style from a sample: "1.234,56", "1,234.56", "1 234,56", "1234,56", "1234.56".
func parseNumberStyle(sample string) (numberStyle, bool) {
	rs := []rune(sample)
	if len(rs) < 7 || rs[0] != '1' {
		return numberStyle{}, false
	}
	var st numberStyle
	rest := rs[1:]
	if rest[0] != '2' {
		if !strings.ContainsRune(".,' ’\u00a0\u202f_", rest[0]) {
			return numberStyle{}, false
		}
		st.group, rest = rest[0], rest[1:]
	}
	if len(rest) != 6 || string(rest[:3]) != "234" || string(rest[4:]) != "56" {
		return numberStyle{}, false
	}
	st.point = rest[3]
	if st.point != '.' && st.point != ',' || st.point == st.group {
		return numberStyle{}, false
	}
	return st, true
}

// parse reads a number written in this style. Thousands must be grouped right or not at all: 1.23 is no number where
// the full stop groups thousands.
func (st numberStyle) parse(s string) (string, string) {
	s = strings.TrimFunc(s, isOuterSpace)
	whole, fraction, found := strings.Cut(s, string(st.point))
	if found && fraction == "" {
		return "", notNumber
	}
	if st.group != 0 && strings.ContainsRune(whole, st.group) {
		parts := strings.Split(whole, string(st.group))
		for i, p := range parts {
			if i > 0 && len(p) != 3 || i == 0 && (len(strings.TrimLeft(p, "+-")) < 1 || len(strings.TrimLeft(p, "+-")) > 3) {
				return "", notNumber
			}
		}
		whole = strings.Join(parts, "")
	}
	if strings.ContainsAny(whole, ".eE") || strings.ContainsAny(fraction, ".eE") {
		return "", notNumber
	}
	return cleanNumber(whole + "." + fraction)
}
