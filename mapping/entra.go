package mapping

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"dirsync"
)

// Limits of an expression in Entra's language. The first is Microsoft's own.
const (
	maxEntra      = 10_000 // characters
	maxEntraDepth = 50     // functions inside functions
)

// entraKind is the kind of a part of an expression in Entra's language.
type entraKind uint8

const (
	entraText entraKind = iota + 1 // a constant; a number is a text of digits
	entraAttribute
	entraCall
	entraComparison
	entraOmitted // an argument that is left out
)

// entraNode is a part of an expression.
type entraNode struct {
	kind entraKind
	at   int // where it begins, in bytes
	// text is the constant, the attribute's or function's name, or the operator of a comparison.
	text string
	bare bool // the constant is written without quotation marks
	args []*entraNode
	// What is found out before the expression is ever run:
	function *entraFunction
	property *typedProperty
	flipped  bool // the attribute is the opposite of the boolean property
	pattern  *limitedRegexp
	layout   *netLayout
}

// entraProgram is a compiled expression in Entra's language.
type entraProgram struct {
	source string
	root   *entraNode
	reads  []*property
	fields []dirsync.Field // of reads
	// redacted says that the values must not be shown to anybody: the expression uses Redact.
	redacted bool
}

// entraError is a mistake in an expression.
type entraError struct {
	at            int
	message, hint string
}

func entraErrorAt(at int, hint, format string, args ...any) *entraError {
	return &entraError{at, fmt.Sprintf(format, args...), hint}
}

// compileEntra compiles an expression in the language of Microsoft's "Reference for writing expressions for attribute
// mappings in Microsoft Entra ID".
func compileEntra(text string, property func(name string) (dirsync.Field, string)) (*entraProgram, *fault) {
	if n := utf8.RuneCountInString(text); n > maxEntra {
		return nil, &fault{message: fmt.Sprintf("the expression has %d characters, and at most %d are allowed", n, maxEntra)}
	}
	p := &entraParser{text: text}
	root, err := p.parse()
	if err == nil {
		ck := &entraChecker{program: &entraProgram{source: text, root: root}, property: property, functions: entraFunctions()}
		if err = ck.check(root, 0, false); err == nil {
			return ck.program, nil
		}
	}
	line, column := place(text, utf8.RuneCountInString(text[:err.at]))
	return nil, &fault{line, column, err.message, err.hint}
}

// entraParser reads an expression.
type entraParser struct {
	text string
	pos  int
}

func (p *entraParser) parse() (*entraNode, *entraError) {
	if strings.TrimSpace(p.text) == "" {
		return nil, entraErrorAt(0, "", "the expression is empty")
	}
	if !utf8.ValidString(p.text) {
		return nil, entraErrorAt(0, "", "the expression is not valid UTF-8")
	}
	n, err := p.operand(0)
	if err != nil {
		return nil, err
	}
	p.space()
	if p.pos < len(p.text) {
		return nil, entraErrorAt(p.pos, "", "nothing may follow the expression, but here is %s", p.next())
	}
	return n, nil
}

func (p *entraParser) space() {
	for p.pos < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.pos]) >= 0 {
		p.pos++
	}
}

// next shows what comes next, for messages.
func (p *entraParser) next() string {
	if p.pos >= len(p.text) {
		return "the end"
	}
	r, _ := utf8.DecodeRuneInString(p.text[p.pos:])
	return string(r)
}

// argument reads an argument, which may be left out or be a comparison.
func (p *entraParser) argument(depth int) (*entraNode, *entraError) {
	p.space()
	if p.pos < len(p.text) && (p.text[p.pos] == ',' || p.text[p.pos] == ')') {
		return &entraNode{kind: entraOmitted, at: p.pos}, nil
	}
	left, err := p.operand(depth)
	if err != nil {
		return nil, err
	}
	p.space()
	at := p.pos
	for _, op := range []string{"<>", ">=", "<=", "=", ">", "<"} {
		if strings.HasPrefix(p.text[p.pos:], op) {
			p.pos += len(op)
			right, err := p.operand(depth)
			if err != nil {
				return nil, err
			}
			return &entraNode{kind: entraComparison, at: at, text: op, args: []*entraNode{left, right}}, nil
		}
	}
	return left, nil
}

// operand reads a constant, an attribute or a function.
func (p *entraParser) operand(depth int) (*entraNode, *entraError) {
	p.space()
	at := p.pos
	if depth > maxEntraDepth {
		return nil, entraErrorAt(at, "", "more than %d functions stand inside one another", maxEntraDepth)
	}
	if at >= len(p.text) {
		return nil, entraErrorAt(at, "", "the expression ends where a value is expected")
	}
	switch c := p.text[at]; {
	case c == '"':
		return p.quoted()
	case c == '[':
		end := strings.IndexByte(p.text[at:], ']')
		if end < 0 {
			return nil, entraErrorAt(at, "", "the [ has no ]")
		}
		p.pos += end + 1
		return &entraNode{kind: entraAttribute, at: at, text: strings.TrimSpace(p.text[at+1 : at+end])}, nil
	case c == '-' || c >= '0' && c <= '9' || c == '&':
		return p.number()
	case isWordByte(c):
		return p.word(depth)
	}
	return nil, entraErrorAt(at, `write [attribute], "text" or a function`, "a value is expected, but here is %s", p.next())
}

func isWordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// quoted reads a text in quotation marks, in which \\ stands for a backslash and \" for a quotation mark.
func (p *entraParser) quoted() (*entraNode, *entraError) {
	at := p.pos
	var b strings.Builder
	for i := at + 1; i < len(p.text); i++ {
		switch c := p.text[i]; c {
		case '"':
			p.pos = i + 1
			return &entraNode{kind: entraText, at: at, text: norm.NFC.String(b.String())}, nil // as the attributes are
		case '\\':
			if i+1 < len(p.text) && (p.text[i+1] == '\\' || p.text[i+1] == '"') {
				i++
				b.WriteByte(p.text[i])
				continue
			}
			return nil, entraErrorAt(i, `write \\ for a backslash`, "a single backslash stands before neither a backslash nor a quotation mark")
		default:
			b.WriteByte(c)
		}
	}
	return nil, entraErrorAt(at, "", "the quotation mark is never closed")
}

// number reads 3, -10, 2.5 or &HF7.
func (p *entraParser) number() (*entraNode, *entraError) {
	at := p.pos
	for p.pos < len(p.text) && (p.pos == at || isWordByte(p.text[p.pos]) || p.text[p.pos] == '.') {
		p.pos++
	}
	text := p.text[at:p.pos]
	if hex, ok := strings.CutPrefix(strings.ToUpper(text), "&H"); ok {
		n, ok := parseHex(hex)
		if !ok {
			return nil, entraErrorAt(at, "", "%s is not a number", text)
		}
		return &entraNode{kind: entraText, at: at, text: n, bare: true}, nil
	}
	clean, reason := cleanNumber(text)
	if reason != "" || strings.ContainsAny(text, "eE") {
		return nil, entraErrorAt(at, "", "%s is not a number", text)
	}
	return &entraNode{kind: entraText, at: at, text: clean, bare: true}, nil
}

// word reads a function with its arguments, or one of the words that InStr knows.
func (p *entraParser) word(depth int) (*entraNode, *entraError) {
	at := p.pos
	for p.pos < len(p.text) && isWordByte(p.text[p.pos]) {
		p.pos++
	}
	n := &entraNode{kind: entraCall, at: at, text: p.text[at:p.pos]}
	p.space()
	if p.pos >= len(p.text) || p.text[p.pos] != '(' {
		if n.text == vbBinary || n.text == vbText {
			n.kind, n.bare = entraText, true
			return n, nil
		}
		return nil, entraErrorAt(at, fmt.Sprintf("write [%[1]s] for an attribute, \"%[1]s\" for a text or %[1]s(...) for a function", n.text),
			"%s is neither an attribute nor a text nor a function", n.text)
	}
	open := p.pos
	p.pos++
	for {
		arg, err := p.argument(depth + 1)
		if err != nil {
			return nil, err
		}
		n.args = append(n.args, arg)
		p.space()
		if p.pos >= len(p.text) {
			return nil, entraErrorAt(open, "", "the bracket of %s is never closed", n.text)
		}
		switch p.text[p.pos] {
		case ',':
			p.pos++
		case ')':
			p.pos++
			if len(n.args) == 1 && n.args[0].kind == entraOmitted {
				n.args = nil
			}
			return n, nil
		default:
			return nil, entraErrorAt(p.pos, "", "a comma or a closing bracket is expected, but here is %s", p.next())
		}
	}
}

// The two ways in which InStr compares.
const (
	vbBinary = "vbBinaryCompare"
	vbText   = "vbTextCompare"
)

// String writes the expression without regard to how it was laid out.
func (n *entraNode) String() string {
	switch n.kind {
	case entraText:
		if n.bare {
			return n.text
		}
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(n.text) + `"`
	case entraAttribute:
		return "[" + n.text + "]"
	case entraComparison:
		return n.args[0].String() + n.text + n.args[1].String()
	case entraCall:
		var b strings.Builder
		b.WriteString(n.text + "(")
		for i, a := range n.args {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(a.String())
		}
		return b.String() + ")"
	}
	return ""
}
