package mapping

import (
	"strconv"
	"strings"
)

// The arguments of Replace.
const (
	replaceSource = iota
	replaceOld
	replacePattern
	replaceGroup
	replaceWith
	replaceAttribute
	replaceTemplate
)

func checkReplace(n *entraNode) *entraError {
	p := arg(n.args, replacePattern)
	old, with := given(n.args, replaceOld), given(n.args, replaceWith)
	group, template, other := given(n.args, replaceGroup), given(n.args, replaceTemplate), given(n.args, replaceAttribute)
	if p.kind == entraOmitted {
		if !old || with == template || group || other {
			return entraErrorAt(n.at, `write Replace([attribute], "old", , , "new", , )`,
				"Replace needs an old value with a replacement or a template, or a pattern")
		}
		return nil
	}
	if old || template || with == other || other && !group {
		return entraErrorAt(n.at, `write Replace([attribute], , "pattern", , "new", , )`,
			"Replace with a pattern needs a replacement, or a group and an attribute, and nothing else")
	}
	if p.kind != entraText {
		return entraErrorAt(p.at, "", "the pattern must be a constant text")
	}
	re, err := compileRegexp(p.text)
	if err != nil {
		return entraErrorAt(p.at, "", "the pattern cannot be used: %v", err)
	}
	p.pattern = re
	if g := arg(n.args, replaceGroup); group && (g.kind != entraText || re.SubexpIndex(g.text) < 0) {
		return entraErrorAt(g.at, "", "the pattern has no group of this name")
	}
	return nil
}

func entraReplace(x *entraRun, args []*entraNode) (entraValue, error) {
	s, ok, err := x.text(args[replaceSource])
	if err != nil {
		return entraValue{}, err
	}
	if given(args, replaceAttribute) {
		if ok {
			return entraString(s), nil
		}
		return replaceFromAttribute(x, args)
	}
	if !ok {
		return entraValue{}, nil
	}
	if given(args, replacePattern) {
		return replacePatternIn(x, args, s)
	}
	old, _, err := x.text(args[replaceOld])
	if err != nil {
		return entraValue{}, err
	}
	if given(args, replaceTemplate) {
		template, _, err := x.text(args[replaceTemplate])
		if err != nil {
			return entraValue{}, err
		}
		out, err := replaceAll(x.effort, template, old, s)
		return entraString(out), err
	}
	with, _, err := x.text(args[replaceWith])
	if err != nil {
		return entraValue{}, err
	}
	out, err := replaceAll(x.effort, s, old, with)
	return entraString(out), err
}

// replaceFromAttribute takes the group out of another attribute.
func replaceFromAttribute(x *entraRun, args []*entraNode) (entraValue, error) {
	s, _, err := x.text(args[replaceAttribute])
	if err != nil {
		return entraValue{}, err
	}
	re := args[replacePattern].pattern
	if err := x.effort.spend(len(s) * re.size); err != nil {
		return entraValue{}, err
	}
	if found := re.FindStringSubmatch(s); found != nil {
		return entraString(found[re.SubexpIndex(args[replaceGroup].text)]), nil
	}
	return entraValue{}, nil
}

// replacePatternIn replaces what the pattern, or a group of it, finds.
func replacePatternIn(x *entraRun, args []*entraNode, s string) (entraValue, error) {
	with, _, err := x.text(args[replaceWith])
	if err != nil {
		return entraValue{}, err
	}
	re := args[replacePattern].pattern
	if err := x.effort.spend(len(s) * re.size); err != nil {
		return entraValue{}, err
	}
	group := 0
	if given(args, replaceGroup) {
		group = re.SubexpIndex(args[replaceGroup].text)
	}
	var b strings.Builder
	last := 0
	for _, m := range re.FindAllStringSubmatchIndex(s, -1) {
		from, to := m[2*group], m[2*group+1]
		if from < last {
			continue // the group took no part in this match
		}
		b.WriteString(s[last:from])
		if group > 0 {
			b.WriteString(with)
		} else {
			expandNet(&b, with, re, s, m)
		}
		last = to
		if b.Len() > maxResult {
			return entraValue{}, errTooLong
		}
	}
	b.WriteString(s[last:])
	return entraString(b.String()), x.effort.spend(b.Len())
}

// expandNet writes a replacement with the substitutions of .NET: $1, ${1}, ${name}, $& and $$. What names no group
// stays as it is.
func expandNet(b *strings.Builder, with string, re *limitedRegexp, s string, m []int) {
	for with != "" {
		i := strings.IndexByte(with, '$')
		if i < 0 || i+1 == len(with) {
			b.WriteString(with)
			return
		}
		b.WriteString(with[:i])
		with = with[i:]
		name, size := groupName(with)
		group := -1
		switch {
		case with[1] == '$':
			b.WriteByte('$')
			with = with[2:]
			continue
		case with[1] == '&':
			group, size = 0, 2
		case name != "":
			if group = re.SubexpIndex(name); group < 0 {
				if n, err := strconv.Atoi(name); err == nil && n < len(re.numbered) {
					group = re.numbered[n]
				}
			}
		}
		if group < 0 {
			b.WriteByte('$')
			with = with[1:]
			continue
		}
		if m[2*group] >= 0 {
			b.WriteString(s[m[2*group]:m[2*group+1]])
		}
		with = with[size:]
	}
}

// groupName returns the group that a text beginning with $ names, and how long the naming is.
func groupName(s string) (string, int) {
	if s[1] == '{' {
		if end := strings.IndexByte(s, '}'); end > 2 {
			return s[2:end], end + 1
		}
		return "", 0
	}
	n := 1
	for n < len(s) && n < 4 && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return s[1:n], n
}
