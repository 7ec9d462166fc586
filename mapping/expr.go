package mapping

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/expr-lang/expr/builtin"
	exprcompiler "github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"

	"dirsync"
)

// Limits of an expression. The language has no loops but those over one list, and those may not be nested, so that
// these bound what it can cost, whatever it says and whatever a record holds.
const (
	maxExpression = 10_000     // characters
	maxNodes      = 200        // operators, functions, names and constants
	maxResult     = 64 << 10   // bytes of any text that is made
	maxEffort     = 20_000_000 // steps of searching, joining and matching for one person
)

// program is a compiled expression.
type program struct {
	source string
	code   *vm.Program
	// canonical is the expression without regard to how it is laid out.
	canonical string
	result    static
	// reads are the properties that it reads.
	reads []*property
}

// static is the type of a part of an expression, known before it is run. Each may also be null.
type static uint8

const (
	staticNone static = iota
	staticNull
	staticText
	staticNumber
	staticBoolean
	staticMoment
	staticList
	staticArray // of something other than text; only good for in
)

func (s static) String() string {
	switch s {
	case staticNull:
		return "null"
	case staticText:
		return "text"
	case staticNumber:
		return "a number"
	case staticBoolean:
		return "true or false"
	case staticMoment:
		return "a date"
	case staticList:
		return "a list"
	case staticArray:
		return "a list of something other than texts"
	default:
		return "something"
	}
}

// staticOf is the type that a property has in expressions.
func staticOf(t dirsync.Type) static {
	switch t {
	case dirsync.Number:
		return staticNumber
	case dirsync.Boolean:
		return staticBoolean
	case dirsync.Date, dirsync.DateTime:
		return staticMoment
	case dirsync.TextList:
		return staticList
	default:
		return staticText
	}
}

// fault is a mistake in an expression, at a line and column counted from 0.
type fault struct {
	line, column  int
	message, hint string
}

// compileExpr compiles an expression of expr-lang over properties.
func compileExpr(text string, property func(name string) (dirsync.Field, string)) (*program, *fault) {
	if strings.TrimSpace(text) == "" {
		return nil, &fault{message: "the expression is empty"}
	}
	if len(text) > maxExpression {
		return nil, &fault{message: fmt.Sprintf("the expression has %d characters, and at most %d are allowed", len(text), maxExpression)}
	}
	p := &program{source: text}
	ck := &exprChecker{program: p, property: property, functions: exprFunctions(), seen: map[string]static{}}
	config := conf.CreateNew()
	config.MaxNodes = maxNodes
	for name := range config.Builtins {
		config.Disabled[name] = true
	}
	clear(config.Builtins)
	for name, f := range ck.functions {
		config.Functions[name] = &builtin.Function{Name: name, Func: f.bind(name)}
	}
	config.Functions[matchesFunction] = &builtin.Function{Name: matchesFunction, Func: ck.matches}
	tree, err := parser.ParseWithConfig(text, config)
	if err != nil {
		return nil, exprFault(text, err)
	}
	p.canonical = tree.Node.String()
	p.result = ck.check(&tree.Node)
	if ck.fault != nil {
		return nil, ck.fault
	}
	// The environment is set only now: it must not hide the language's own words from the parser.
	config.WithEnv(map[string]any{})
	p.code, err = exprcompiler.Compile(tree, config)
	if err != nil {
		return nil, &fault{message: "the expression cannot be compiled"}
	}
	return p, nil
}

// exprFault turns an error of expr-lang into a fault.
func exprFault(text string, err error) *fault {
	fe, ok := errors.AsType[*file.Error](err)
	if !ok {
		return &fault{message: "the expression cannot be understood: " + oneLine(err.Error())}
	}
	line, column := place(text, fe.From)
	message := oneLine(fe.Message)
	if strings.Contains(message, "exceeds maximum allowed nodes") {
		message = fmt.Sprintf("it has more than %d parts", maxNodes)
	}
	f := &fault{line: line, column: column, message: "the expression cannot be understood: " + message}
	if strings.Contains(message, `Operator("=")`) {
		f.hint = "compare with =="
	}
	return f
}

func oneLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// place finds the line and column, from 0 and in characters, of the character number at.
func place(text string, at int) (line, column int) {
	n := 0
	for _, r := range text {
		if n == at {
			break
		}
		n++
		column++
		if r == '\n' {
			line, column = line+1, 0
		}
	}
	return line, column
}

// workshop is what running an expression needs. One goroutine at a time uses it.
type workshop struct {
	vm  vm.VM
	env map[string]any
	// broken are the properties that cannot be read for the person at hand.
	broken map[string]error
	effort effort
}

// effort is what is left of the steps that one person may cost.
type effort struct{ left int }

var errEffort = errors.New("the expression takes too long for this person")

func (e *effort) spend(n int) error {
	e.left -= n
	if e.left < 0 {
		return errEffort
	}
	return nil
}

// effortName is how a running expression finds its effort. No name in an expression can hold a blank.
const effortName = " effort"

func newWorkshop() *workshop {
	w := &workshop{env: map[string]any{}, broken: map[string]error{}}
	w.env[effortName] = &w.effort
	return w
}

// load puts the properties that the mapping's expressions read before the machine.
func (w *workshop) load(p *person, reads []typedProperty) {
	clear(w.broken)
	w.effort.left = maxEffort
	for i := range reads {
		r := &reads[i]
		in, _, err := r.fetch(p)
		var v any
		if err == nil {
			v, err = r.machineValue(&in)
		}
		if err != nil {
			w.broken[r.name] = errors.New(r.name + " " + err.Error())
			v = nil
		}
		w.env[r.name] = v
	}
}

// typedProperty is a property with the type that it has in expressions.
type typedProperty struct {
	property
	field dirsync.Field
}

// machineValue is an input as an expression sees it. An error is a phrase that follows the property's name.
func (t *typedProperty) machineValue(in *input) (any, error) {
	if in.kind == kindNull {
		return nil, nil
	}
	wrong := func(want string) error { return errors.New(wrongKind(in, want)) }
	switch staticOf(t.field.Type) {
	case staticText:
		if in.kind == kindObject && t.field.Type == dirsync.Reference && in.text != "" {
			return in.text, nil
		}
		if in.kind != kindText {
			return nil, wrong("text")
		}
		s, reason := cleanText(in.text)
		if reason != "" {
			return nil, errors.New(reason)
		}
		if s == "" {
			return nil, nil
		}
		return s, nil
	case staticNumber:
		return t.machineNumber(in)
	case staticBoolean:
		b, reason := (&converter{}).boolean(in)
		if reason != "" {
			return nil, errors.New(reason)
		}
		return b == "true", nil
	case staticMoment:
		if in.kind != kindText {
			return nil, wrong("a date")
		}
		return parseMoment(in.text)
	default:
		if in.kind != kindList {
			return nil, wrong("a list")
		}
		list, reason := cleanList(in.list)
		if reason != "" {
			return nil, errors.New(reason)
		}
		if len(list) == 0 {
			return nil, nil
		}
		return list, nil
	}
}

func (t *typedProperty) machineNumber(in *input) (any, error) {
	exact, reason := (&converter{}).number(in)
	if reason != "" {
		return nil, errors.New(reason)
	}
	f, err := strconv.ParseFloat(exact, 64)
	if err != nil || formatFloat(f) != exact {
		return nil, errors.New("has more digits than an expression can hold; map it directly")
	}
	return f, nil
}

func parseMoment(s string) (any, error) {
	s = strings.TrimFunc(s, isOuterSpace)
	if s == "" {
		return nil, nil
	}
	if day, ok := parseISODate(s); ok {
		return day, nil
	}
	when, reason := parseISODateTime(s)
	if reason != "" {
		return nil, errors.New(reason)
	}
	return when, nil
}

// formatFloat writes a number in the canonical form of dirsync.Number.
func formatFloat(f float64) string {
	s, _ := cleanNumber(strconv.FormatFloat(f, 'f', -1, 64))
	return s
}

// run runs a program for the person whose properties are loaded.
func (w *workshop) run(p *program) (in input, err error) {
	for _, r := range p.reads {
		if err := w.broken[r.name]; err != nil {
			return input{}, errors.New("cannot be worked out: " + err.Error())
		}
	}
	// The machine recovers from its own panics; this is for those that it does not foresee.
	defer func() {
		if r := recover(); r != nil {
			w.vm = vm.VM{}
			in, err = input{}, w.explain(p, fmt.Errorf("%v", r))
		}
	}()
	out, err := w.vm.Run(p.code, w.env)
	if err != nil {
		return input{}, w.explain(p, err)
	}
	in, err = machineResult(out)
	if err != nil {
		return input{}, w.explain(p, err)
	}
	return in, nil
}

// explain says for people why an expression could not be run. The usual reason is that a property is empty.
func (w *workshop) explain(p *program, err error) error {
	if own, ok := errors.AsType[*exprError](err); ok {
		return errors.New("cannot be worked out: " + own.reason)
	}
	if errors.Is(err, errEffort) {
		return errEffort
	}
	message := err.Error()
	if fe, ok := errors.AsType[*file.Error](err); ok {
		message = oneLine(fe.Message)
	}
	// The machine's own words for a value that is not there differ from one operator to the next.
	if strings.Contains(message, "nil") || strings.Contains(message, "null") || strings.Contains(message, "zero Value") {
		var empty []string
		for _, r := range p.reads {
			if w.env[r.name] == nil {
				empty = append(empty, r.name)
			}
		}
		if len(empty) > 0 {
			return errors.New("cannot be worked out, because " + strings.Join(empty, " or ") + " is empty")
		}
		return errors.New("cannot be worked out, because a value that it needs is empty")
	}
	return errors.New("cannot be worked out: " + shown(message))
}

// machineResult turns what an expression gave into an input.
func machineResult(out any) (input, error) {
	switch v := out.(type) {
	case nil:
		return input{}, nil
	case string:
		return textInput(v), nil
	case bool:
		return input{kind: kindBoolean, text: strconv.FormatBool(v)}, nil
	case int:
		return input{kind: kindNumber, text: strconv.Itoa(v)}, nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return input{}, &exprError{"the result is no number that can be written, as after a division by zero"}
		}
		return input{kind: kindNumber, text: formatFloat(v)}, nil
	case time.Time:
		return input{kind: kindMoment, when: v}, nil
	case []string:
		return input{kind: kindList, list: v}, nil
	case []any:
		list := make([]string, 0, len(v))
		for _, e := range v {
			switch e := e.(type) {
			case nil:
			case string:
				list = append(list, e)
			default:
				return input{}, &exprError{"the result is a list of something other than texts"}
			}
		}
		return input{kind: kindList, list: list}, nil
	}
	return input{}, &exprError{"the result is of a kind that cannot be mapped: " + reflect.TypeOf(out).String()}
}

// expression fills a field with what an expression of expr-lang gives.
type expression struct{ program *program }

func (e *expression) fetch(p *person) (input, bool, error) {
	in, err := p.workshop().run(e.program)
	return in, false, err
}

func (e *expression) describe() string { return "the result of the expression" }

func (e *expression) shows(p *person) string { return showReads(p, e.program.reads) }

// showReads shows the properties that an expression reads and that have a value, by name when it reads several.
func showReads(p *person, reads []*property) string {
	if len(reads) == 1 {
		return reads[0].shows(p)
	}
	var parts []string
	for _, r := range reads {
		if s := r.shows(p); s != "" {
			parts = append(parts, r.name+"="+s)
		}
	}
	return strings.Join(parts, ", ")
}
