package mapping

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"golang.org/x/text/unicode/norm"

	"dirsync"
)

// exprChecker finds the type of every part of an expression before it is ever run, and refuses what is not known to be
// safe: it lists what is allowed, not what is forbidden. It knows nulls, which the language's own checker mistakes for
// zero values, and it puts functions that count their effort in the place of operators that could make endless texts.
type exprChecker struct {
	program   *program
	property  func(name string) (dirsync.Field, string)
	functions map[string]function
	seen      map[string]static // properties
	variables []variable
	patterns  []*limitedRegexp
	inLoop    bool
	fault     *fault
}

type variable struct {
	name string
	kind static
}

// bad notes the first mistake.
func (ck *exprChecker) bad(n ast.Node, hint, format string, args ...any) static {
	if ck.fault == nil {
		f := &fault{message: fmt.Sprintf(format, args...), hint: hint}
		f.line, f.column = place(ck.program.source, n.Location().From)
		ck.fault = f
	}
	return staticNone
}

// check returns the type of a part. It may put another part in its place.
func (ck *exprChecker) check(node *ast.Node) static {
	if ck.fault != nil {
		return staticNone
	}
	switch n := (*node).(type) {
	case *ast.NilNode:
		return staticNull
	case *ast.StringNode:
		n.Value = norm.NFC.String(n.Value) // as the properties are
		return staticText
	case *ast.IntegerNode, *ast.FloatNode:
		return staticNumber
	case *ast.BoolNode:
		return staticBoolean
	case *ast.IdentifierNode:
		return ck.identifier(n)
	case *ast.ChainNode:
		return ck.check(&n.Node)
	case *ast.MemberNode:
		return ck.member(node, n)
	case *ast.UnaryNode:
		return ck.unary(n)
	case *ast.BinaryNode:
		return ck.binary(node, n)
	case *ast.ConditionalNode:
		ck.want(&n.Cond, staticBoolean, "a condition")
		return ck.same(n, ck.check(&n.Exp1), ck.check(&n.Exp2), "both results")
	case *ast.VariableDeclaratorNode:
		kind := ck.check(&n.Value)
		ck.variables = append(ck.variables, variable{n.Name, kind})
		kind = ck.check(&n.Expr)
		ck.variables = ck.variables[:len(ck.variables)-1]
		return kind
	case *ast.ArrayNode:
		return ck.array(n)
	case *ast.CallNode:
		return ck.call(n)
	case *ast.BuiltinNode:
		return ck.loop(n)
	case *ast.PointerNode:
		if n.Name != "" {
			return ck.bad(n, "", "#%s is not available", n.Name)
		}
		return staticText
	case *ast.SliceNode:
		return ck.bad(n, "use left(text, 3), right(text, 3) or mid(text, 1, 3)", "parts of texts and lists are not taken with [:]")
	}
	return ck.bad(*node, "", "this is not available in a mapping")
}

func (ck *exprChecker) identifier(n *ast.IdentifierNode) static {
	for _, v := range slices.Backward(ck.variables) {
		if v.name == n.Value {
			return v.kind
		}
	}
	if n.Value == userName {
		return ck.bad(n, "name a property: user.mail", "user alone is no value")
	}
	if _, refused := ck.property(n.Value); refused == "" {
		return ck.bad(n, "did you mean user."+n.Value+"?", "there is nothing called %s", n.Value)
	}
	return ck.bad(n, "", "there is nothing called %s", n.Value)
}

// userName is what the person is called in expressions.
const userName = "user"

// member checks user.name, user.name.inner and list[0].
func (ck *exprChecker) member(node *ast.Node, n *ast.MemberNode) static {
	if name, ok := userProperty(n); ok {
		return ck.read(node, n, name)
	}
	if _, text := n.Property.(*ast.StringNode); text {
		return ck.bad(n, "", "a value has no parts that could be named with a full stop")
	}
	ck.want(&n.Node, staticList, "what is indexed")
	ck.want(&n.Property, staticNumber, "an index")
	return staticText
}

// userProperty returns the property that user.name, user["name"] or user.name.inner names.
func userProperty(n *ast.MemberNode) (string, bool) {
	property, ok := n.Property.(*ast.StringNode)
	if !ok {
		return "", false
	}
	switch base := n.Node.(type) {
	case *ast.IdentifierNode:
		return property.Value, base.Value == userName
	case *ast.ChainNode:
		if m, ok := base.Node.(*ast.MemberNode); ok {
			outer, ok := userProperty(m)
			return outer + "/" + property.Value, ok && !strings.Contains(outer, "/")
		}
	case *ast.MemberNode:
		outer, ok := userProperty(base)
		return outer + "/" + property.Value, ok && !strings.Contains(outer, "/")
	}
	return "", false
}

// read puts a plain name in the place of a property, under which it is found when the expression runs.
func (ck *exprChecker) read(node *ast.Node, n *ast.MemberNode, name string) static {
	kind, ok := ck.seen[name]
	if !ok {
		f, refused := ck.property(name)
		if refused != "" {
			message, hint := splitRefusal(refused)
			return ck.bad(n.Property, hint, "%s", message)
		}
		kind = staticOf(f.Type)
		ck.seen[name] = kind
		ck.program.reads = append(ck.program.reads, newProperty(name))
	}
	replace(node, &ast.IdentifierNode{Value: name})
	return kind
}

// replace puts a part in the place of another, at the same place in the text.
func replace(node *ast.Node, with ast.Node) {
	with.SetLocation((*node).Location())
	*node = with
}

// want checks that a part has a type. Null is of every type.
func (ck *exprChecker) want(node *ast.Node, kind static, what string) {
	if got := ck.check(node); ck.fault == nil && got != kind && got != staticNull {
		ck.bad(*node, "", "%s must be %s, but is %s", what, kind, got)
	}
}

// same checks that two parts have the same type, and returns it.
func (ck *exprChecker) same(n ast.Node, a, b static, what string) static {
	switch {
	case ck.fault != nil:
		return staticNone
	case a == staticNull:
		return b
	case b == staticNull, a == b:
		return a
	}
	return ck.bad(n, "", "%s must be of the same type, but one is %s and one %s", what, a, b)
}

func (ck *exprChecker) unary(n *ast.UnaryNode) static {
	switch n.Operator {
	case "!", "not":
		ck.want(&n.Node, staticBoolean, "what not is applied to")
		return staticBoolean
	case "-", "+":
		ck.want(&n.Node, staticNumber, "what a sign stands before")
		return staticNumber
	}
	return ck.bad(n, "", "the operator %s is not available", n.Operator)
}

func (ck *exprChecker) binary(node *ast.Node, n *ast.BinaryNode) static {
	switch op := n.Operator; op {
	case "and", "or", "&&", "||":
		ck.want(&n.Left, staticBoolean, "what stands before "+op)
		ck.want(&n.Right, staticBoolean, "what stands behind "+op)
		return staticBoolean
	case "==", "!=":
		kind := ck.same(n, ck.check(&n.Left), ck.check(&n.Right), "what is compared")
		if kind == staticList || kind == staticArray {
			return ck.bad(n, "use in, any or all", "lists cannot be compared")
		}
		return staticBoolean
	case "<", ">", "<=", ">=":
		switch kind := ck.same(n, ck.check(&n.Left), ck.check(&n.Right), "what is compared"); kind {
		case staticNumber, staticText, staticMoment, staticNone:
		default:
			return ck.bad(n, "", "%s has no order", kind)
		}
		return staticBoolean
	case "in":
		left, right := ck.check(&n.Left), ck.check(&n.Right)
		if ck.fault == nil && (right != staticList && right != staticArray || right == staticList && left != staticText && left != staticNull) {
			return ck.bad(n, "", "in looks for a text in a list, but here for %s in %s", left, right)
		}
		return staticBoolean
	case "contains", "startsWith", "endsWith":
		ck.want(&n.Left, staticText, "what stands before "+op)
		ck.want(&n.Right, staticText, "what stands behind "+op)
		return staticBoolean
	case "matches":
		return ck.pattern(node, n)
	case "??":
		return ck.same(n, ck.check(&n.Left), ck.check(&n.Right), "both sides of ??")
	case "+":
		kind := ck.same(n, ck.check(&n.Left), ck.check(&n.Right), "what is added")
		if kind == staticText {
			replace(node, ck.metered(n, concatFunction, n.Left, n.Right))
		} else if kind != staticNumber && kind != staticNone {
			return ck.bad(n, "", "%s cannot be added", kind)
		}
		return kind
	case "-", "*", "/", "**", "^":
		ck.want(&n.Left, staticNumber, "what stands before "+op)
		ck.want(&n.Right, staticNumber, "what stands behind "+op)
		return staticNumber
	case "..":
		return ck.bad(n, "", "ranges are not available")
	default:
		return ck.bad(n, "", "the operator %s is not available", op)
	}
}

// metered calls a function of our own, which is handed the effort that is left.
func (ck *exprChecker) metered(at ast.Node, name string, args ...ast.Node) *ast.CallNode {
	callee := &ast.IdentifierNode{Value: name}
	callee.SetLocation(at.Location())
	return &ast.CallNode{Callee: callee, Arguments: append([]ast.Node{&ast.IdentifierNode{Value: effortName}}, args...)}
}

// pattern checks `text matches "pattern"`.
func (ck *exprChecker) pattern(node *ast.Node, n *ast.BinaryNode) static {
	ck.want(&n.Left, staticText, "what stands before matches")
	text, ok := n.Right.(*ast.StringNode)
	if !ok {
		return ck.bad(n.Right, "", "a pattern must be a constant text")
	}
	re, err := compileRegexp(text.Value)
	if err != nil {
		return ck.bad(n.Right, "", "the pattern cannot be used: %v", err)
	}
	ck.patterns = append(ck.patterns, re)
	replace(node, ck.metered(n, matchesFunction, n.Left, &ast.IntegerNode{Value: len(ck.patterns) - 1}))
	return staticBoolean
}

// Functions that stand for operators. They hold a blank, so that no expression can call them itself.
const (
	matchesFunction = "matches "
	concatFunction  = "+ "
)

// matches is the operator of that name. A text that is not there matches nothing.
func (ck *exprChecker) matches(args ...any) (any, error) {
	if args[1] == nil {
		return false, nil
	}
	re := ck.patterns[args[2].(int)]
	s := args[1].(string)
	if err := args[0].(*effort).spend(len(s) * re.size); err != nil {
		return nil, err
	}
	return re.MatchString(s), nil
}

// limitedRegexp is a regular expression and the number of steps that it may need for a byte.
type limitedRegexp struct {
	*regexp.Regexp
	size int
	// numbered are the groups in the order in which .NET numbers them: those without a name before those with one.
	numbered []int
}

// compileRegexp compiles a regular expression in the syntax of Go (RE2), which needs time in proportion to the text.
func compileRegexp(pattern string) (*limitedRegexp, error) {
	const most = 1000
	if len(pattern) > most {
		return nil, fmt.Errorf("it is longer than %d characters", most)
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		if strings.Contains(pattern, "(?=") || strings.Contains(pattern, "(?!") || strings.Contains(pattern, "(?<=") || strings.Contains(pattern, "(?<!") {
			return nil, fmt.Errorf("looking ahead and behind is not available")
		}
		return nil, fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	prog, err := syntax.Compile(parsed.Simplify())
	if err != nil || len(prog.Inst) > 4*most {
		return nil, fmt.Errorf("it is too large")
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	limited := &limitedRegexp{Regexp: re, size: len(prog.Inst), numbered: []int{0}}
	for _, named := range []bool{false, true} {
		for i, name := range re.SubexpNames() {
			if i > 0 && (name != "") == named {
				limited.numbered = append(limited.numbered, i)
			}
		}
	}
	return limited, nil
}

func (ck *exprChecker) array(n *ast.ArrayNode) static {
	kind := staticNull
	for i := range n.Nodes {
		kind = ck.same(n, kind, ck.check(&n.Nodes[i]), "the entries of a list")
	}
	switch kind {
	case staticText, staticNull:
		return staticList
	case staticList, staticArray:
		return ck.bad(n, "", "a list cannot hold lists")
	case staticNone:
		return staticNone
	}
	return staticArray
}

// loop checks any, all and their like, which go through one list.
func (ck *exprChecker) loop(n *ast.BuiltinNode) static {
	result, ok := loops()[n.Name]
	if !ok {
		return ck.bad(n, didYouMean(n.Name, ck.names()), "there is no function %s", n.Name)
	}
	if ck.inLoop {
		return ck.bad(n, "", "%s cannot be used inside another function that goes through a list", n.Name)
	}
	ck.want(&n.Arguments[0], staticList, "what "+n.Name+" goes through")
	if len(n.Arguments) < 2 {
		return ck.bad(n, "", "%s needs a condition", n.Name)
	}
	predicate, ok := n.Arguments[1].(*ast.PredicateNode)
	if !ok {
		return ck.bad(n, "", "%s needs a condition", n.Name)
	}
	ck.inLoop = true
	if n.Name == "map" {
		ck.want(&predicate.Node, staticText, "what map makes of an entry")
	} else {
		ck.want(&predicate.Node, staticBoolean, "the condition of "+n.Name)
	}
	ck.inLoop = false
	return result
}

// loops are the functions that go through a list, with what they give.
func loops() map[string]static {
	return map[string]static{
		"all": staticBoolean, "any": staticBoolean, "none": staticBoolean, "one": staticBoolean,
		"filter": staticList, "map": staticList, "find": staticText, "count": staticNumber,
	}
}

// names are all functions that there are.
func (ck *exprChecker) names() []string {
	var names []string
	for name := range ck.functions {
		if !strings.HasSuffix(name, " ") {
			names = append(names, name)
		}
	}
	for name := range loops() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// call checks the call of a function.
func (ck *exprChecker) call(n *ast.CallNode) static {
	callee, ok := n.Callee.(*ast.IdentifierNode)
	if !ok {
		return ck.bad(n, "write lower(user.mail)", "a value has no functions of its own")
	}
	f, ok := ck.functions[callee.Value]
	if !ok || strings.HasSuffix(callee.Value, " ") {
		return ck.bad(callee, didYouMean(callee.Value, ck.names()), "there is no function %s", callee.Value)
	}
	if len(n.Arguments) < f.least() || len(n.Arguments) > len(f.params()) {
		return ck.bad(callee, f.usage, "%s cannot be called with %d values", callee.Value, len(n.Arguments))
	}
	for i, letter := range f.params()[:len(n.Arguments)] {
		got := ck.check(&n.Arguments[i])
		if ck.fault == nil && !accepts(letter, got) {
			return ck.bad(n.Arguments[i], f.usage, "%s cannot be called with %s here", callee.Value, got)
		}
	}
	if len(n.Arguments) == 2 && (callee.Value == "format" || callee.Value == "date") {
		format, ok := n.Arguments[1].(*ast.StringNode)
		if !ok {
			return ck.bad(n.Arguments[1], f.usage, "a format must be a constant text")
		}
		if _, err := parsePattern(format.Value); err != nil {
			return ck.bad(format, patternHint, "the format cannot be used: %v", err)
		}
	}
	n.Arguments = append([]ast.Node{&ast.IdentifierNode{Value: effortName}}, n.Arguments...)
	return f.result
}

// accepts tells whether a parameter takes a value of a type.
func accepts(letter byte, got static) bool {
	switch letter {
	case 't':
		return got == staticText || got == staticNull
	case 'n':
		return got == staticNumber || got == staticNull
	case 'd':
		return got == staticMoment || got == staticNull
	case 'l':
		return got == staticList || got == staticNull
	case 'x':
		return got == staticText || got == staticList || got == staticNull
	default: // any single value
		return got != staticList && got != staticArray
	}
}
