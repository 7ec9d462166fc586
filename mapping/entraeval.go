package mapping

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"dirsync"
)

// entraValue is a value while an expression in Entra's language is run: null, text, a list, or a moment that came out
// of a function of dates. Numbers are texts of digits, and truth is "True" or "False".
type entraValue struct {
	kind kind // kindNull, kindText, kindList, kindMoment
	text string
	list []string
	when time.Time
	// dropped says that IgnoreFlowIfNullOrEmpty had nothing.
	dropped bool
}

func entraString(s string) entraValue { return entraValue{kind: kindText, text: s} }

func entraBool(b bool) entraValue {
	if b {
		return entraString("True")
	}
	return entraString("False")
}

// entraRun runs an expression for one person.
type entraRun struct {
	person *person
	effort *effort
}

func (x *entraRun) value(n *entraNode) (entraValue, error) {
	switch n.kind {
	case entraText:
		return entraString(n.text), nil
	case entraAttribute:
		return x.attribute(n)
	case entraCall:
		v, err := n.function.run(x, n.args)
		if len(v.text) > maxResult {
			return entraValue{}, errTooLong
		}
		return v, err
	case entraComparison:
		b, err := x.compare(n)
		return entraBool(b), err
	}
	return entraValue{}, nil
}

// attribute reads an attribute as Entra's language sees it.
func (x *entraRun) attribute(n *entraNode) (entraValue, error) {
	p := n.property
	in, _, err := p.fetch(x.person)
	if err != nil {
		return entraValue{}, errors.New(p.name + " " + err.Error())
	}
	if err := x.effort.spend(len(in.text) + 1); err != nil {
		return entraValue{}, err
	}
	if n.flipped {
		return entraBool(in.kind == kindBoolean && in.text == "false" || in.kind == kindText && strings.EqualFold(in.text, "false")), nil
	}
	switch in.kind {
	case kindNull:
		return entraValue{}, nil
	case kindText:
		s, reason := cleanText(in.text)
		if reason != "" {
			return entraValue{}, errors.New(p.name + " " + reason)
		}
		return entraString(s), nil
	case kindBoolean:
		return entraBool(in.text == "true"), nil
	case kindNumber:
		s, reason := cleanNumber(in.text)
		if reason != "" {
			return entraValue{}, errors.New(p.name + " " + reason)
		}
		return entraString(s), nil
	case kindList:
		list, reason := cleanList(in.list)
		if reason != "" {
			return entraValue{}, errors.New(p.name + " " + reason)
		}
		return entraValue{kind: kindList, list: list}, nil
	case kindObject:
		if p.field.Type == dirsync.Reference && in.text != "" {
			return entraString(in.text), nil
		}
	}
	return entraValue{}, errors.New(p.name + " " + wrongKind(&in, "text"))
}

// text evaluates a part to a text. The second result is false when there is nothing.
func (x *entraRun) text(n *entraNode) (string, bool, error) {
	v, err := x.value(n)
	if err != nil {
		return "", false, err
	}
	return v.asText()
}

func (v entraValue) asText() (string, bool, error) {
	switch v.kind {
	case kindText:
		return v.text, v.text != "", nil
	case kindMoment:
		return v.when.UTC().Format(entraTime), true, nil
	case kindList:
		switch len(v.list) {
		case 0:
			return "", false, nil
		case 1:
			return v.list[0], v.list[0] != "", nil
		}
		return "", false, exprErrorf("a list of %d entries stands where one text is expected; use Item or Join", len(v.list))
	}
	return "", false, nil
}

// isEmpty tells null and the empty text, which Entra's language hardly tells apart.
func (v entraValue) isEmpty() bool {
	return v.kind == kindNull || v.kind == kindText && v.text == "" || v.kind == kindList && len(v.list) == 0
}

// texts evaluates a part to a list.
func (x *entraRun) texts(n *entraNode) ([]string, error) {
	v, err := x.value(n)
	if err != nil || v.kind == kindNull {
		return nil, err
	}
	if v.kind == kindList {
		return v.list, nil
	}
	s, ok, err := v.asText()
	if !ok {
		return nil, err
	}
	return []string{s}, nil
}

// integer evaluates a part to a whole number.
func (x *entraRun) integer(n *entraNode, what string) (int64, error) {
	s, _, err := x.text(n)
	if err != nil {
		return 0, err
	}
	clean, reason := cleanNumber(s)
	i, err := strconv.ParseInt(clean, 10, 64)
	if reason != "" || err != nil {
		return 0, exprErrorf("%s must be a whole number, but is %q", what, shown(s))
	}
	return i, nil
}

// small evaluates a part to a whole number that counts characters or entries.
func (x *entraRun) small(n *entraNode, what string) (int, error) {
	i, err := x.integer(n, what)
	return int(max(min(i, math.MaxInt32), math.MinInt32)), err
}

// truth evaluates a condition. Whatever is empty is not true.
func (x *entraRun) truth(n *entraNode) (bool, error) {
	if n.kind == entraComparison {
		return x.compare(n)
	}
	s, _, err := x.text(n)
	if err != nil {
		return false, err
	}
	switch {
	case s == "", strings.EqualFold(s, "false"):
		return false, nil
	case strings.EqualFold(s, "true"):
		return true, nil
	}
	if clean, reason := cleanNumber(s); reason == "" {
		return clean != "0", nil
	}
	return false, exprErrorf("%q is neither True nor False nor a number", shown(s))
}

// compare compares numbers as numbers, moments as moments, and everything else as text, letter case and all. As
// Microsoft documents for IIF, a comparison with nothing is not true.
func (x *entraRun) compare(n *entraNode) (bool, error) {
	left, err := x.value(n.args[0])
	if err != nil {
		return false, err
	}
	right, err := x.value(n.args[1])
	if err != nil {
		return false, err
	}
	if left.isEmpty() || right.isEmpty() {
		return false, nil
	}
	var order int
	if left.kind == kindMoment && right.kind == kindMoment {
		order = left.when.Compare(right.when)
	} else {
		l, _, err := left.asText()
		if err != nil {
			return false, err
		}
		r, _, err := right.asText()
		if err != nil {
			return false, err
		}
		numbers := n.text != "=" && n.text != "<>" || n.args[0].isNumeric() || n.args[1].isNumeric()
		order = compareTexts(l, r, numbers)
	}
	switch n.text {
	case "=":
		return order == 0, nil
	case "<>":
		return order != 0, nil
	case ">":
		return order > 0, nil
	case ">=":
		return order >= 0, nil
	case "<":
		return order < 0, nil
	default:
		return order <= 0, nil
	}
}

// isNumeric tells a part that is a number rather than a text of digits such as "007".
func (n *entraNode) isNumeric() bool { return n.bare || n.kind == entraCall }

func compareTexts(l, r string, numbers bool) int {
	if !numbers {
		return strings.Compare(l, r)
	}
	a, errA := strconv.ParseFloat(l, 64)
	b, errB := strconv.ParseFloat(r, 64)
	if errA == nil && errB == nil && a-a == 0 && b-b == 0 {
		switch {
		case a < b:
			return -1
		case a > b:
			return 1
		}
		return 0
	}
	return strings.Compare(l, r)
}

// moment evaluates a part to a moment. The second result is false when there is nothing.
func (x *entraRun) moment(n *entraNode) (time.Time, bool, error) {
	v, err := x.value(n)
	if err != nil || v.isEmpty() {
		return time.Time{}, false, err
	}
	if v.kind == kindMoment {
		return v.when, true, nil
	}
	s, _, err := v.asText()
	if err != nil {
		return time.Time{}, false, err
	}
	t, ok := parseEntraDate(s)
	if !ok {
		return time.Time{}, false, exprErrorf("%q is not a date", shown(s))
	}
	return t, true, nil
}

func parseHex(s string) (string, bool) {
	n, err := strconv.ParseUint(s, 16, 63)
	return strconv.FormatUint(n, 10), err == nil
}

// entraExpression fills a field with what an expression in Entra's language gives.
type entraExpression struct {
	program *entraProgram
	// moments says that the field holds dates; any other is given them as the text that Microsoft writes.
	moments bool
}

func (e *entraExpression) fetch(p *person) (in input, leave bool, err error) {
	x := &entraRun{person: p, effort: &effort{maxEffort}}
	defer func() { // no function is known to panic; one person's record must not stop everybody if one does
		if r := recover(); r != nil {
			in, leave, err = input{}, false, fmt.Errorf("cannot be worked out: %v", r)
		}
	}()
	v, err := x.value(e.program.root)
	if err != nil {
		if errors.Is(err, errEffort) {
			return input{}, false, err
		}
		return input{}, false, errors.New("cannot be worked out: " + err.Error())
	}
	if v.kind == kindMoment && !e.moments {
		v.text, _, _ = v.asText()
		v.kind = kindText
	}
	return input{kind: v.kind, text: v.text, list: v.list, when: v.when}, v.dropped, nil
}

func (e *entraExpression) describe() string { return "the result of the expression" }

func (e *entraExpression) shows(p *person) string { return showReads(p, e.program.reads) }

// redacted is shown instead of values that an expression hides with Redact.
const redacted = "[Redact]"
