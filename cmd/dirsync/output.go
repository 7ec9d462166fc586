package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/mattn/go-runewidth"
)

// clean makes text from outside safe to print on a terminal as part of one line: letters, marks and emoji stay, and
// control characters, escape sequences, line breaks, invisible direction marks and broken bytes become visible "\x1b"
// or "\u202e" forms, so that a hostile display name can neither move the cursor nor pose as another.
func clean(s string) string {
	if !strings.ContainsFunc(s, unprintable) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case !unprintable(r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == unicode.ReplacementChar:
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// unprintable tells the runes that a terminal would act on or hide. The joiners that emoji and several scripts need
// (U+200C, U+200D) are printable; every other format character of Unicode, the bidirectional overrides first, is not.
func unprintable(r rune) bool {
	switch {
	case r == 0x200c || r == 0x200d:
		return false
	case r == ' ':
		return false
	case r == unicode.ReplacementChar:
		return true
	case r == 0x2028 || r == 0x2029:
		return true
	}
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs) ||
		unicode.Is(unicode.Variation_Selector, r) && r > 0xfe0f
}

// writeJSON writes v as indented JSON and a line break. Letters are written as they are, since the output is for
// programs and people and never for a web page.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

// Table lays out rows for people: columns as wide as their widest cell, numbers flush right, wide letters counted as
// the two places that a terminal gives them, and every cell cleaned. The zero Table has no columns; see NewTable.
type Table struct {
	titles []string
	rows   [][]cell
	style  style
}

type cell struct {
	text  string
	color color
	right bool
}

// NewTable makes a table with the given titles. A style from newStyle colours it; the zero style does not.
func NewTable(s style, titles ...string) *Table { return &Table{titles: titles, style: s} }

// Row adds a row. Strings are cleaned; whole numbers are flush right with thousands set apart; a painted cell has a
// colour; nil is an empty cell; everything else is printed as fmt.Sprint does, and cleaned. Missing cells are empty,
// and cells beyond the titles are a mistake of the programmer and panic.
func (t *Table) Row(cells ...any) {
	if len(cells) > len(t.titles) {
		panic(fmt.Sprintf("table: %d cells in a row of %d columns", len(cells), len(t.titles)))
	}
	row := make([]cell, len(t.titles))
	for i, c := range cells {
		row[i] = newCell(c)
	}
	t.rows = append(t.rows, row)
}

// Len is the number of rows.
func (t *Table) Len() int { return len(t.rows) }

func newCell(v any) cell {
	switch v := v.(type) {
	case nil:
		return cell{}
	case string:
		return cell{text: clean(v)}
	case int:
		return cell{text: number(v), right: true}
	case painted:
		c := newCell(v.value)
		c.color = v.color
		return c
	}
	return cell{text: clean(fmt.Sprint(v))}
}

// Write writes the titles and all rows. Columns are two blanks apart, and no line ends in blanks.
func (t *Table) Write(w io.Writer) error {
	widths, right := make([]int, len(t.titles)), make([]bool, len(t.titles))
	for i, title := range t.titles {
		widths[i] = textWidth(title)
		for _, row := range t.rows {
			widths[i] = max(widths[i], textWidth(row[i].text))
			right[i] = right[i] || row[i].right
		}
	}
	var b strings.Builder
	head := make([]cell, len(t.titles))
	for i, title := range t.titles {
		head[i] = cell{text: title, color: faint, right: right[i]}
	}
	for _, row := range append([][]cell{head}, t.rows...) {
		t.writeRow(&b, row, widths)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

func (t *Table) writeRow(b *strings.Builder, row []cell, widths []int) {
	pending := 0
	for i, c := range row {
		space := widths[i] - textWidth(c.text)
		if c.right {
			pending, space = pending+space, 0
		}
		if c.text != "" {
			b.WriteString(strings.Repeat(" ", pending))
			b.WriteString(t.style.paint(c.color, c.text))
			pending = 0
		}
		pending += space + 2
	}
	b.WriteByte('\n')
}

// textWidth is the number of places that a terminal gives s.
func textWidth(s string) int {
	// The width of ambiguous characters is fixed, so that a table looks the same whatever the locale.
	c := runewidth.Condition{StrictEmojiNeutral: true}
	return c.StringWidth(s)
}

// indented is v as indented JSON that can stand behind prefix in a larger document.
func indented(v any, prefix string) (string, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent(prefix, "  ")
	if err := enc.Encode(v); err != nil {
		return "", fmt.Errorf("write JSON: %w", err)
	}
	return strings.TrimRight(b.String(), "\n"), nil
}

// writeJSONLine writes v as one line of JSON.
func writeJSONLine(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

// jsonList writes one JSON object whose last field is a list that need not fit into memory.
type jsonList struct {
	w      io.Writer
	fields int
	items  int
	err    error
}

func newJSONList(w io.Writer) *jsonList {
	l := &jsonList{w: w}
	l.write("{")
	return l
}

func (l *jsonList) write(text string) {
	if l.err == nil {
		_, l.err = io.WriteString(l.w, text)
	}
}

func (l *jsonList) key(name string) {
	if l.fields > 0 {
		l.write(",")
	}
	l.fields++
	l.write("\n  \"" + name + "\": ")
}

// field writes a field before the list.
func (l *jsonList) field(name string, v any) {
	text, err := indented(v, "  ")
	if l.err == nil {
		l.err = err
	}
	l.key(name)
	l.write(text)
}

// list begins the list.
func (l *jsonList) list(name string) {
	l.key(name)
	l.write("[")
}

// item writes one element of the list.
func (l *jsonList) item(v any) error {
	text, err := indented(v, "    ")
	if err != nil {
		return err
	}
	if l.items > 0 {
		l.write(",")
	}
	l.items++
	l.write("\n    " + text)
	return l.err
}

// close ends the list; end ends the list and the object.
func (l *jsonList) close() {
	if l.items > 0 {
		l.write("\n  ")
	}
	l.write("]")
}

func (l *jsonList) end() error {
	l.close()
	return l.finish()
}

func (l *jsonList) finish() error {
	l.write("\n}\n")
	if l.err != nil {
		return fmt.Errorf("write JSON: %w", l.err)
	}
	return nil
}
