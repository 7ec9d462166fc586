package mapping

import (
	"cmp"
	"fmt"
	"slices"

	"dirsync"
)

// Position is a place in the configuration file, line and column counted from 1. The zero Position is unknown.
type Position struct{ Line, Column int }

// String writes line:column, and ? for an unknown position.
func (p Position) String() string {
	if p.Line == 0 {
		return "?"
	}
	return fmt.Sprintf("%d:%d", p.Line, p.Column)
}

// within returns the position of something inside a text that begins at p: line and column counted from 0 there. The
// lines after the first are taken to be indented as far as the first, as they are in a YAML block.
func (p Position) within(line, column int) Position {
	if p.Line == 0 {
		return p
	}
	return Position{p.Line + line, p.Column + column}
}

// Spec says how one field of the target is filled, as the configuration has it. Exactly one of From, Expr, Entra and
// Value is set.
type Spec struct {
	// Field is the target's field.
	Field string
	// From is a property of the source, taken as it is: "givenName", "employeeOrgData/division".
	From string
	// Expr is an expression over the source's properties: `user.mail ?? user.userPrincipalName`.
	Expr string
	// Entra is an expression in Microsoft Entra's own language: `Append([givenName], "!")`.
	Entra string
	// Value is a constant, the same for everybody.
	Value *string

	// Default is the value of people for whom the source has none.
	Default *string
	// WhenNull says what becomes of the field of people for whom the source has no value: "clear" empties it, "keep"
	// leaves it as the target has it, "default" writes Default. Empty means default when there is a Default, and clear
	// otherwise.
	WhenNull string
	// SyncUpdates false means that the field is written when the user is added and never again. Nil means true.
	SyncUpdates *bool
	// Format says how the source writes the values: see the formats of each type in the package comment.
	Format string

	// Pos is where the mapping of this field begins, and the others where its parts do; an unknown one means Pos.
	// ExprPos and EntraPos are those of the first character of the expression itself, behind any quotation mark.
	Pos, FromPos, ExprPos, EntraPos, ValuePos, DefaultPos, WhenNullPos, FormatPos Position
}

// at returns a part's position, or the field's own when the part's is unknown.
func (s *Spec) at(part Position) Position {
	if part.Line == 0 {
		return s.Pos
	}
	return part
}

// inside returns where a fault of an expression stands: the field's own position when that of the expression is not
// known.
func (s *Spec) inside(part Position, f *fault) Position {
	if part.Line == 0 {
		return s.Pos
	}
	return part.within(f.line, f.column)
}

// Expression is an expression and where its first character stands. The zero Expression is none.
type Expression struct {
	Text string
	Pos  Position
}

// What WhenNull may be.
const (
	whenKeep    = "keep"
	whenClear   = "clear"
	whenDefault = "default"
)

// Problem is a mistake in a mapping, found before anything is read or written.
type Problem struct {
	Pos Position
	// Field is the target's field concerned, or "where" for the scope.
	Field string
	// Message says what is wrong, and Hint what to write instead. Both are sentences without a capital letter and
	// without a full stop; Hint may be empty.
	Message, Hint string
}

// String writes the problem on one line: position, field, message and, in brackets, the hint.
func (p Problem) String() string {
	s := p.Field + ": " + p.Message
	if p.Pos.Line > 0 {
		s = p.Pos.String() + ": " + s
	}
	if p.Hint != "" {
		s += " (" + p.Hint + ")"
	}
	return s
}

// sortProblems orders problems as a reader of the configuration meets them, those of unknown position last.
func sortProblems(ps []Problem) {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(min(a.Pos.Line, 1), min(b.Pos.Line, 1))*-1,
			cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Column, b.Pos.Column),
			cmp.Compare(a.Field, b.Field))
	})
}

// Mandatory returns the three fields that the embedded directory and every application have, and that a mapping must fill
// there: first name, last name and e-mail address.
func Mandatory() []dirsync.Field {
	return []dirsync.Field{
		{Name: dirsync.FirstName, Label: "First name", Type: dirsync.Text, Required: true},
		{Name: dirsync.LastName, Label: "Last name", Type: dirsync.Text, Required: true},
		{Name: dirsync.EmailAddress, Label: "Email", Type: dirsync.Email, Required: true, Unique: true},
	}
}
