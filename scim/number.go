package scim

import (
	"cmp"
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// maxNumber is the longest number that is read, in bytes. It keeps a number of a million digits out of every later
// comparison.
const maxNumber = 64

// scanNumber returns the length of the JSON number that s begins with, or 0.
func scanNumber(s string) int {
	digits := func(i int) int {
		for i < len(s) && '0' <= s[i] && s[i] <= '9' {
			i++
		}
		return i
	}
	start := 0
	if strings.HasPrefix(s, "-") {
		start = 1
	}
	i := digits(start)
	if i == start || (s[start] == '0' && i > start+1) {
		return 0
	}
	if i < len(s) && s[i] == '.' {
		j := digits(i + 1)
		if j == i+1 {
			return 0
		}
		i = j
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		j := i + 1
		if j < len(s) && (s[j] == '+' || s[j] == '-') {
			j++
		}
		k := digits(j)
		if k == j {
			return 0
		}
		i = k
	}
	return i
}

// validNumber says whether s is a JSON number that this package handles: at most 64 bytes long and within the range of
// a float64.
func validNumber(s string) bool {
	if s == "" || len(s) > maxNumber || scanNumber(s) != len(s) {
		return false
	}
	f, err := strconv.ParseFloat(s, 64)
	return err == nil && !math.IsInf(f, 0)
}

// compareNumbers compares exactly where both are whole numbers of 64 bits, else as float64.
func compareNumbers(a, b json.Number) int {
	if a == b {
		return 0
	}
	x, errX := strconv.ParseInt(string(a), 10, 64)
	y, errY := strconv.ParseInt(string(b), 10, 64)
	if errX == nil && errY == nil {
		return cmp.Compare(x, y)
	}
	f, _ := strconv.ParseFloat(string(a), 64)
	g, _ := strconv.ParseFloat(string(b), 64)
	return cmp.Compare(f, g)
}

// asBool reads a boolean, also from the strings that Entra sends for one.
func asBool(v any) (value, ok bool) {
	switch v := v.(type) {
	case bool:
		return v, true
	case string:
		switch {
		case strings.EqualFold(v, "true"):
			return true, true
		case strings.EqualFold(v, "false"):
			return false, true
		}
	}
	return false, false
}

// asNumber reads a number, also from a string that is one.
func asNumber(v any) (json.Number, bool) {
	switch v := v.(type) {
	case json.Number:
		return v, validNumber(string(v))
	case string:
		v = strings.TrimSpace(v)
		return json.Number(v), validNumber(v)
	}
	return "", false
}

// asInteger reads a whole number of 64 bits; 3.0 and 3e0 are whole.
func asInteger(v any) (int64, bool) {
	n, ok := asNumber(v)
	if !ok {
		return 0, false
	}
	if i, err := strconv.ParseInt(string(n), 10, 64); err == nil {
		return i, true
	}
	f, err := strconv.ParseFloat(string(n), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int64(f), true
}
