package mapping

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// exprError is a mistake that a function of ours found in a person's values.
type exprError struct{ reason string }

func (e *exprError) Error() string { return e.reason }

func exprErrorf(format string, args ...any) error { return &exprError{fmt.Sprintf(format, args...)} }

// function is a function that expressions may call. Handed null as its first value it gives null, except where its
// description says otherwise; null as any other value is a fault of the person.
type function struct {
	// usage shows how it is called.
	usage string
	// takes has a letter for each value: t text, n number, d date, l list, x text or list, * any single value. Those
	// behind the question mark may be left out.
	takes  string
	result static
	// ofNull says that the function wants to see null itself.
	ofNull bool
	call   func(e *effort, a []any) (any, error)
}

func (f *function) params() []byte { return []byte(strings.Replace(f.takes, "?", "", 1)) }

func (f *function) least() int {
	if i := strings.IndexByte(f.takes, '?'); i >= 0 {
		return i
	}
	return len(f.takes)
}

// bind makes the function as the machine calls it: the effort first, then the values.
func (f function) bind(name string) func(args ...any) (any, error) {
	return func(args ...any) (any, error) {
		values := args[1:]
		if values[0] == nil && !f.ofNull {
			return nil, nil
		}
		for _, v := range values[1:] {
			if v == nil && !f.ofNull {
				return nil, exprErrorf("a value that %s is called with is empty", strings.TrimSpace(name))
			}
		}
		return f.call(args[0].(*effort), values)
	}
}

// exprFunctions are the functions that expressions may call.
func exprFunctions() map[string]function {
	onText := func(do func(string) string) func(*effort, []any) (any, error) {
		return func(e *effort, a []any) (any, error) {
			s := a[0].(string)
			if err := e.spend(len(s)); err != nil {
				return nil, err
			}
			return do(s), nil
		}
	}
	return map[string]function{
		"lower":        {"lower(text)", "t", staticText, false, onText(strings.ToLower)},
		"upper":        {"upper(text)", "t", staticText, false, onText(strings.ToUpper)},
		"capitalize":   {"capitalize(text)", "t", staticText, false, onText(func(s string) string { return properCase(s, "") })},
		"trim":         {"trim(text)", "t", staticText, false, onText(strings.TrimSpace)},
		"ascii":        {"ascii(text)", "t", staticText, false, onText(withoutDiacritics)},
		"left":         {"left(text, 3)", "tn", staticText, false, func(_ *effort, a []any) (any, error) { return cutText(a[0].(string), 1, a[1]) }},
		"right":        {"right(text, 3)", "tn", staticText, false, exprRight},
		"mid":          {"mid(text, 1, 3), the first character being 1", "tnn", staticText, false, exprMid},
		"replace":      {`replace(text, "old", "new")`, "ttt", staticText, false, exprReplace},
		"trimPrefix":   {`trimPrefix(text, "prefix")`, "tt", staticText, false, func(_ *effort, a []any) (any, error) { return strings.TrimPrefix(a[0].(string), a[1].(string)), nil }},
		"trimSuffix":   {`trimSuffix(text, "suffix")`, "tt", staticText, false, func(_ *effort, a []any) (any, error) { return strings.TrimSuffix(a[0].(string), a[1].(string)), nil }},
		"split":        {`split(text, ";")`, "tt", staticList, false, exprSplit},
		"join":         {`join(list, ", ")`, "lt", staticText, false, exprJoin},
		"first":        {"first(list)", "l", staticText, false, func(_ *effort, a []any) (any, error) { return entry(a[0], 0), nil }},
		"last":         {"last(list)", "l", staticText, false, func(_ *effort, a []any) (any, error) { return entry(a[0], -1), nil }},
		"len":          {"len(text) or len(list)", "x", staticNumber, true, exprLen},
		"string":       {"string(value)", "*", staticText, false, exprString},
		"number":       {"number(text)", "t", staticNumber, false, exprNumber},
		"date":         {`date("2019-06-06") or date(text, "DD/MM/YYYY")`, "t?t", staticMoment, false, exprDate},
		"format":       {`format(user.employeeHireDate, "DD/MM/YYYY")`, "dt", staticText, false, exprFormat},
		"addDays":      {"addDays(user.employeeHireDate, 7)", "dn", staticMoment, false, exprAddDays},
		concatFunction: {"text + text", "tt", staticText, true, exprConcat},
	}
}

// whole turns a number of an expression into a whole one that fits.
func whole(v any) (int, error) {
	switch n := v.(type) {
	case int:
		return max(min(n, 1<<30), -1<<30), nil
	case float64:
		if n == float64(int(n)) && n < 1<<30 && n > -1<<30 {
			return int(n), nil
		}
	}
	return 0, exprErrorf("%v is not a whole number", v)
}

// cutText returns the count characters of s from the one numbered start, from 1.
func cutText(s string, start int, count any) (any, error) {
	n, err := whole(count)
	if err != nil {
		return nil, err
	}
	return substring(s, start, n), nil
}

// substring returns the count characters of s from the one numbered start, from 1; fewer when s has no more.
func substring(s string, start, count int) string {
	if start < 1 {
		start = 1
	}
	from, seen := len(s), 1
	for i := range s {
		if seen == start {
			from = i
			break
		}
		seen++
	}
	s, seen = s[from:], 0
	for i := range s {
		if seen >= count {
			return s[:i]
		}
		seen++
	}
	return s
}

func exprRight(_ *effort, a []any) (any, error) {
	n, err := whole(a[1])
	if err != nil {
		return nil, err
	}
	s := a[0].(string)
	length := utf8.RuneCountInString(s)
	return substring(s, max(length-n, 0)+1, max(n, 0)), nil
}

func exprMid(_ *effort, a []any) (any, error) {
	start, err := whole(a[1])
	if err != nil {
		return nil, err
	}
	if start < 1 {
		return nil, exprErrorf("mid counts from 1, not from %d", start)
	}
	return cutText(a[0].(string), start, a[2])
}

func exprReplace(e *effort, a []any) (any, error) {
	return replaceAll(e, a[0].(string), a[1].(string), a[2].(string))
}

// replaceAll is strings.ReplaceAll for texts that may be hostile.
func replaceAll(e *effort, s, old, replacement string) (string, error) {
	if old == "" {
		return s, nil
	}
	n := strings.Count(s, old)
	size := len(s) + n*(len(replacement)-len(old))
	if err := e.spend(len(s) + size); err != nil {
		return "", err
	}
	if size > maxResult {
		return "", errTooLong
	}
	return strings.ReplaceAll(s, old, replacement), nil
}

var errTooLong error = &exprError{"the result is longer than " + strconv.Itoa(maxResult) + " bytes"}

func exprConcat(e *effort, a []any) (any, error) {
	if a[0] == nil || a[1] == nil {
		return nil, fmt.Errorf("null cannot be added")
	}
	l, r := a[0].(string), a[1].(string)
	if len(l)+len(r) > maxResult {
		return nil, errTooLong
	}
	if err := e.spend(len(l) + len(r)); err != nil {
		return nil, err
	}
	return l + r, nil
}

func exprSplit(e *effort, a []any) (any, error) {
	s, sep := a[0].(string), a[1].(string)
	if sep == "" {
		return nil, exprErrorf("split needs to know at what to split")
	}
	if err := e.spend(len(s)); err != nil {
		return nil, err
	}
	parts := strings.SplitN(s, sep, maxList+1)
	if len(parts) > maxList {
		return nil, exprErrorf("the list has more than %d entries", maxList)
	}
	return parts, nil
}

// texts returns the entries of a list that are texts.
func texts(v any) []string {
	switch l := v.(type) {
	case []string:
		return l
	case []any:
		out := make([]string, 0, len(l))
		for _, e := range l {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

func exprJoin(e *effort, a []any) (any, error) {
	return joinTexts(e, texts(a[0]), a[1].(string))
}

func joinTexts(e *effort, list []string, separator string) (string, error) {
	size := 0
	for _, s := range list {
		size += len(s) + len(separator)
	}
	if size > maxResult+len(separator) {
		return "", errTooLong
	}
	if err := e.spend(size); err != nil {
		return "", err
	}
	return strings.Join(list, separator), nil
}

// entry returns the entry of a list with an index, from the end when it is below zero; null when there is none.
func entry(v any, i int) any {
	list := texts(v)
	if i < 0 {
		i += len(list)
	}
	if i < 0 || i >= len(list) {
		return nil
	}
	return list[i]
}

func exprLen(_ *effort, a []any) (any, error) {
	if s, ok := a[0].(string); ok {
		return utf8.RuneCountInString(s), nil
	}
	return len(texts(a[0])), nil
}

func exprString(_ *effort, a []any) (any, error) {
	in, err := machineResult(a[0])
	if err != nil {
		return nil, err
	}
	if in.kind == kindMoment {
		return canonicalDateTime(in.when), nil
	}
	return in.text, nil
}

func exprNumber(_ *effort, a []any) (any, error) {
	s, reason := cleanNumber(a[0].(string))
	if reason != "" {
		return nil, exprErrorf("%q %s", shown(a[0].(string)), reason)
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || formatFloat(f) != s {
		return nil, exprErrorf("%q has more digits than an expression can hold", shown(s))
	}
	return f, nil
}

func exprDate(_ *effort, a []any) (any, error) {
	s := strings.TrimFunc(a[0].(string), isOuterSpace)
	if len(a) == 1 {
		v, err := parseMoment(s)
		if err != nil {
			return nil, exprErrorf("%q %v", shown(s), err)
		}
		return v, nil
	}
	p, err := parsePattern(a[1].(string))
	if err != nil {
		return nil, &exprError{err.Error()}
	}
	t, reason := p.parse(s)
	if reason != "" {
		return nil, exprErrorf("%q %s", shown(s), reason)
	}
	return t, nil
}

func exprFormat(_ *effort, a []any) (any, error) {
	p, err := parsePattern(a[1].(string))
	if err != nil {
		return nil, &exprError{err.Error()}
	}
	return p.format(a[0].(time.Time)), nil
}

func exprAddDays(_ *effort, a []any) (any, error) {
	n, err := whole(a[1])
	if err != nil {
		return nil, err
	}
	return inCalendar(a[0].(time.Time).AddDate(0, 0, n))
}

// inCalendar refuses moments beyond the four digits that a year may have.
func inCalendar(t time.Time) (time.Time, error) {
	if y := t.UTC().Year(); y < 1 || y > 9999 {
		return t, exprErrorf("the result is no date between the years 1 and 9999")
	}
	return t, nil
}

// properCase writes the first letter of every word large and all others small. Words end at any of the separators;
// when there are none, at white space and at any sign that is no letter, digit or apostrophe.
func properCase(s, separators string) string {
	start := true
	return strings.Map(func(r rune) rune {
		var end bool
		if separators != "" {
			end = strings.ContainsRune(separators, r)
		} else {
			end = !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && r != '\'' && r != '’'
		}
		was := start
		start = end
		switch {
		case end:
			return r
		case was:
			return unicode.ToTitle(r)
		default:
			return unicode.ToLower(r)
		}
	}, s)
}
