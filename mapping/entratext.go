package mapping

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// onEntraText makes a function of one text. Of nothing it makes nothing.
func onEntraText(do func(string) string) func(*entraRun, []*entraNode) (entraValue, error) {
	return func(x *entraRun, args []*entraNode) (entraValue, error) {
		s, ok, err := x.text(args[0])
		if !ok || err != nil {
			return entraValue{}, err
		}
		if err := x.effort.spend(len(s)); err != nil {
			return entraValue{}, err
		}
		return entraString(do(s)), nil
	}
}

func stripSpaces(s string) string { return strings.ReplaceAll(s, " ", "") }

// entraAppend of nothing is nothing, so that nobody is called ".test".
func entraAppend(x *entraRun, args []*entraNode) (entraValue, error) {
	s, ok, err := x.text(args[0])
	if !ok || err != nil {
		return entraValue{}, err
	}
	suffix, _, err := x.text(args[1])
	if err == nil {
		err = x.effort.spend(len(s) + len(suffix))
	}
	return entraString(s + suffix), err
}

func entraBitAnd(x *entraRun, args []*entraNode) (entraValue, error) {
	a, err := x.integer(args[0], "the first value of BitAnd")
	if err != nil {
		return entraValue{}, err
	}
	b, err := x.integer(args[1], "the second value of BitAnd")
	return entraString(strconv.FormatInt(a&b, 10)), err
}

func entraCBool(x *entraRun, args []*entraNode) (entraValue, error) {
	b, err := x.truth(args[0])
	return entraBool(b), err
}

func entraCoalesce(x *entraRun, args []*entraNode) (entraValue, error) {
	for i, a := range args {
		v, err := x.value(a)
		// The last may be an empty text; before it, an empty attribute counts as null, because Entra has no empty ones.
		if err != nil || !v.isEmpty() || i == len(args)-1 {
			return v, err
		}
	}
	return entraValue{}, nil
}

// entraBase64 encodes UTF-16, little-endian, which is what .NET calls Unicode.
func entraBase64(x *entraRun, args []*entraNode) (entraValue, error) {
	return onEntraText(func(s string) string {
		var b []byte
		for _, u := range utf16.Encode([]rune(s)) {
			b = append(b, byte(u), byte(u>>8))
		}
		return base64.StdEncoding.EncodeToString(b)
	})(x, args)
}

func entraHex(x *entraRun, args []*entraNode) (entraValue, error) {
	return onEntraText(func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) })(x, args)
}

func entraCount(x *entraRun, args []*entraNode) (entraValue, error) {
	list, err := x.texts(args[0])
	return entraString(strconv.Itoa(len(list))), err
}

func entraCStr(x *entraRun, args []*entraNode) (entraValue, error) {
	s, ok, err := x.text(args[0])
	if !ok || err != nil {
		return entraValue{}, err
	}
	return entraString(s), nil
}

func entraIgnoreFlow(x *entraRun, args []*entraNode) (entraValue, error) {
	v, err := x.value(args[0])
	if err == nil && v.isEmpty() {
		return entraValue{dropped: true}, nil
	}
	return v, err
}

func entraIIF(x *entraRun, args []*entraNode) (entraValue, error) {
	yes, err := x.truth(args[0])
	if err != nil {
		return entraValue{}, err
	}
	if yes {
		return x.value(args[1])
	}
	return x.value(args[2])
}

// checkIIF refuses the conditions that Microsoft documents as not working in IIF.
func checkIIF(n *entraNode) *entraError {
	const hint = `write Switch([country], [country], "", "Other")`
	c := n.args[0]
	if c.kind == entraCall && slices.Contains([]string{"IsNull", "IsNullOrEmpty", "IsPresent"}, c.text) {
		return entraErrorAt(c.at, hint, "IIF cannot ask with %s whether something is empty", c.text)
	}
	if c.kind == entraComparison {
		for _, a := range c.args {
			if a.kind == entraText && a.text == "" {
				return entraErrorAt(c.at, hint, "IIF cannot ask whether something is empty")
			}
		}
	}
	return nil
}

// entraInStr counts characters from 1, and gives 0 when there is nothing to be found.
func entraInStr(x *entraRun, args []*entraNode) (entraValue, error) {
	s, _, err := x.text(args[0])
	if err != nil {
		return entraValue{}, err
	}
	sought, _, err := x.text(args[1])
	if err != nil {
		return entraValue{}, err
	}
	start := 1
	if given(args, 2) {
		if start, err = x.small(args[2], "the start of InStr"); err != nil {
			return entraValue{}, err
		}
		if start < 1 {
			return entraValue{}, exprErrorf("InStr counts from 1, not from %d", start)
		}
	}
	if arg(args, 3).text == vbText {
		s, sought = strings.ToLower(s), strings.ToLower(sought)
	}
	if err := x.effort.spend(len(s) + len(sought)); err != nil {
		return entraValue{}, err
	}
	rest := substring(s, start, utf8.RuneCountInString(s))
	i := strings.Index(rest, sought)
	if i < 0 || sought == "" || rest == "" {
		return entraString("0"), nil
	}
	return entraString(strconv.Itoa(start + utf8.RuneCountInString(rest[:i]))), nil
}

func checkCompareType(n *entraNode) *entraError {
	if a := arg(n.args, 3); a.kind != entraOmitted && (a.kind != entraText || a.text != vbBinary && a.text != vbText) {
		return entraErrorAt(a.at, "write "+vbBinary+" or "+vbText, "InStr does not know this way to compare")
	}
	return nil
}

func entraIsNull(x *entraRun, args []*entraNode) (entraValue, error) {
	v, err := x.value(args[0])
	return entraBool(v.kind == kindNull), err
}

func entraIsNullOrEmpty(x *entraRun, args []*entraNode) (entraValue, error) {
	v, err := x.value(args[0])
	return entraBool(v.isEmpty()), err
}

func entraIsPresent(x *entraRun, args []*entraNode) (entraValue, error) {
	v, err := x.value(args[0])
	return entraBool(!v.isEmpty()), err
}

func entraIsString(x *entraRun, args []*entraNode) (entraValue, error) {
	v, err := x.value(args[0])
	return entraBool(v.kind == kindText), err
}

// entraItem of a list that has no such item is nothing.
func entraItem(x *entraRun, args []*entraNode) (entraValue, error) {
	list, err := x.texts(args[0])
	if err != nil {
		return entraValue{}, err
	}
	i, err := x.small(args[1], "the number of Item")
	switch {
	case err != nil:
		return entraValue{}, err
	case i < 1:
		return entraValue{}, exprErrorf("Item counts from 1, not from %d", i)
	case i > len(list):
		return entraValue{}, nil
	}
	return entraString(list[i-1]), nil
}

func entraJoin(x *entraRun, args []*entraNode) (entraValue, error) {
	separator, _, err := x.text(args[0])
	if err != nil {
		return entraValue{}, err
	}
	var parts []string
	for _, a := range args[1:] {
		list, err := x.texts(a)
		if err != nil {
			return entraValue{}, err
		}
		for _, s := range list {
			if s != "" {
				parts = append(parts, s)
			}
		}
	}
	s, err := joinTexts(x.effort, parts, separator)
	return entraString(s), err
}

func entraLeft(x *entraRun, args []*entraNode) (entraValue, error) {
	s, _, err := x.text(args[0])
	if err != nil {
		return entraValue{}, err
	}
	n, err := x.small(args[1], "the number of characters of Left")
	if err != nil || n < 0 {
		return entraString(s), err
	}
	return entraString(substring(s, 1, n)), nil
}

func entraMid(x *entraRun, args []*entraNode) (entraValue, error) {
	s, _, err := x.text(args[0])
	if err != nil {
		return entraValue{}, err
	}
	start, err := x.small(args[1], "the start of Mid")
	if err != nil {
		return entraValue{}, err
	}
	length, err := x.small(args[2], "the length of Mid")
	if err != nil {
		return entraValue{}, err
	}
	if start < 1 || length < 0 {
		return entraValue{}, exprErrorf("Mid counts from 1 and takes no length below 0, here %d and %d", start, length)
	}
	return entraString(substring(s, start, length)), nil
}

func entraNot(x *entraRun, args []*entraNode) (entraValue, error) {
	s, _, err := x.text(args[0])
	return entraBool(!strings.EqualFold(s, "true")), err
}

func entraPCase(x *entraRun, args []*entraNode) (entraValue, error) {
	separators, _, err := x.text(arg(args, 1))
	if err != nil {
		return entraValue{}, err
	}
	return onEntraText(func(s string) string { return properCase(s, separators) })(x, args)
}

func entraRemoveDuplicates(x *entraRun, args []*entraNode) (entraValue, error) {
	list, err := x.texts(args[0])
	seen := map[string]bool{}
	var out []string
	for _, s := range list {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return entraValue{kind: kindList, list: out}, err
}

// entraSplit trims the parts, as Microsoft's example does.
func entraSplit(x *entraRun, args []*entraNode) (entraValue, error) {
	s, ok, err := x.text(args[0])
	if !ok || err != nil {
		return entraValue{}, err
	}
	separator, ok, err := x.text(args[1])
	if err != nil {
		return entraValue{}, err
	}
	if !ok {
		return entraValue{}, exprErrorf("Split needs to know at what to split")
	}
	if err := x.effort.spend(len(s)); err != nil {
		return entraValue{}, err
	}
	parts := strings.SplitN(s, separator, maxList+1)
	if len(parts) > maxList {
		return entraValue{}, exprErrorf("the list has more than %d entries", maxList)
	}
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return entraValue{kind: kindList, list: parts}, nil
}

// entraSwitch compares letter case and all. Nothing is equal to the key "".
func entraSwitch(x *entraRun, args []*entraNode) (entraValue, error) {
	source, _, err := x.text(args[0])
	if err != nil {
		return entraValue{}, err
	}
	for i := 2; i+1 < len(args); i += 2 {
		key, _, err := x.text(args[i])
		if err != nil {
			return entraValue{}, err
		}
		if key == source {
			return x.value(args[i+1])
		}
	}
	return x.value(args[1])
}

func checkSwitch(n *entraNode) *entraError {
	if len(n.args)%2 != 0 {
		return entraErrorAt(n.at, "write Switch([attribute], \"default\", \"key\", \"value\"), the default empty or not",
			"the keys and values of Switch must come in pairs")
	}
	return nil
}

// switchBranches are the values, without the keys.
func switchBranches(args []*entraNode) []*entraNode {
	var out []*entraNode
	for i := 1; i < len(args); i += 2 {
		out = append(out, args[i])
	}
	return out
}

func checkCulture(n *entraNode) *entraError {
	a := arg(n.args, 1)
	if a.kind == entraOmitted {
		return nil
	}
	if a.kind != entraText {
		return entraErrorAt(a.at, "", "the culture must be a constant text")
	}
	if _, err := language.Parse(a.text); err != nil {
		return entraErrorAt(a.at, `write a culture such as "tr-TR"`, "the culture %q is not known", shown(a.text))
	}
	return nil
}

func entraToLower(x *entraRun, args []*entraNode) (entraValue, error) {
	return onEntraText(func(s string) string {
		if given(args, 1) {
			return cases.Lower(language.Make(args[1].text)).String(s)
		}
		return strings.ToLower(s)
	})(x, args)
}

func entraToUpper(x *entraRun, args []*entraNode) (entraValue, error) {
	return onEntraText(func(s string) string {
		if given(args, 1) {
			return cases.Upper(language.Make(args[1].text)).String(s)
		}
		return strings.ToUpper(s)
	})(x, args)
}

// entraWord takes any of the delimiters as the end of a word, and several in a row as one.
func entraWord(x *entraRun, args []*entraNode) (entraValue, error) {
	s, _, err := x.text(args[0])
	if err != nil {
		return entraValue{}, err
	}
	n, err := x.small(args[1], "the number of Word")
	if err != nil {
		return entraValue{}, err
	}
	delimiters, _, err := x.text(args[2])
	if err != nil {
		return entraValue{}, err
	}
	if err := x.effort.spend(len(s) + len(delimiters)); err != nil {
		return entraValue{}, err
	}
	words := strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(delimiters, r) })
	if n < 1 || n > len(words) {
		return entraString(""), nil
	}
	return entraString(words[n-1]), nil
}

func entraSingleRole(x *entraRun, args []*entraNode) (entraValue, error) {
	list, err := x.texts(args[0])
	if err != nil {
		return entraValue{}, err
	}
	switch len(list) {
	case 0:
		return entraValue{}, nil
	case 1:
		return entraString(list[0]), nil
	}
	return entraValue{}, exprErrorf("the person has %d roles, and SingleAppRoleAssignment takes one", len(list))
}

// entraAsList serves both functions of several roles. Lists are always written whole, so that roles are replaced even
// by the one that would add to them in Entra.
func entraAsList(x *entraRun, args []*entraNode) (entraValue, error) {
	list, err := x.texts(args[0])
	return entraValue{kind: kindList, list: list}, err
}
