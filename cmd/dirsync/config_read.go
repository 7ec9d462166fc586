package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	yaml "go.yaml.in/yaml/v4"
)

// maxConfigSize is a hundred times what the largest sensible configuration needs.
const maxConfigSize = 1 << 20

// ConfigFault is one thing that is wrong with a configuration file.
type ConfigFault struct {
	// Position is where it is; zero when the fault is not in one place.
	Position
	// Path is the key concerned, from the outside in: "syncs.staff.when_deleted". Empty for the file as a whole.
	Path string
	// Message says what is wrong and what to write instead. It never repeats a secret.
	Message string
}

// ConfigError says why a configuration cannot be used: all faults of the file at once, in the order in which they
// stand in it.
type ConfigError struct {
	// File is the file as it was named.
	File string
	// Faults has at least one entry and at most a hundred. More counts those beyond.
	Faults []ConfigFault
	More   int
	// Err is what the operating system said, when the file could not be read.
	Err error
}

// Error writes one line for each fault, in the form FILE:LINE:COLUMN: KEY: MESSAGE that editors understand.
func (e *ConfigError) Error() string {
	if len(e.Faults) == 1 {
		return "read configuration: " + e.line(e.Faults[0])
	}
	var b strings.Builder
	fmt.Fprintf(&b, "read configuration: %d faults", len(e.Faults)+e.More)
	for _, f := range e.Faults {
		b.WriteString("\n" + e.line(f))
	}
	if e.More > 0 {
		fmt.Fprintf(&b, "\nand %d more", e.More)
	}
	return b.String()
}

func (e *ConfigError) line(f ConfigFault) string {
	s := clean(e.File) + ": "
	if f.Line > 0 {
		s = fmt.Sprintf("%s:%d:%d: ", clean(e.File), f.Line, f.Column)
	}
	if f.Path != "" {
		s += clean(f.Path) + ": "
	}
	return s + clean(f.Message)
}

// Unwrap returns what the operating system said.
func (e *ConfigError) Unwrap() error { return e.Err }

// readConfigFile reads a file that must be there, be a file and be small.
func readConfigFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfigSize+1))
	if err != nil {
		return nil, unreadable(path, err)
	}
	return data, nil
}

func unreadable(path string, err error) error {
	return &ConfigError{File: path, Err: err, Faults: []ConfigFault{{Message: plainFileError(err).Error()}}}
}

// plainFileError says in plain words why a file cannot be read, without its name, and keeps err in its chain.
func plainFileError(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no such file%w", quiet{err})
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("this user may not read the file; give uid %d the right to read it%w", os.Getuid(), quiet{err})
	case errors.Is(err, syscall.EISDIR):
		return fmt.Errorf("it is a directory; name the file in it%w", quiet{err})
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// quiet keeps an error in a chain without adding to its text.
type quiet struct{ error }

func (quiet) Error() string   { return "" }
func (q quiet) Unwrap() error { return q.error }

// parseConfig reads a configuration from its bytes. file is its name for messages, and the place from which relative
// paths start.
func parseConfig(file string, data []byte) (*Config, error) { return parse(file, data, false) }

// parse is parseConfig, and with openIDs no fault that a tenant's id is missing or empty.
func parse(file string, data []byte, openIDs bool) (*Config, error) {
	if f, bad := checkBytes(data); bad {
		return nil, &ConfigError{File: file, Faults: []ConfigFault{f}}
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	d := newDecoder(string(data))
	d.openIDs = openIDs
	var doc yaml.Node
	if err := yaml.Load(data, &doc); err != nil {
		return nil, &ConfigError{File: file, Faults: d.syntaxFaults(err)}
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind == yaml.ScalarNode && doc.Content[0].ShortTag() == "!!null" {
		return nil, &ConfigError{File: file, Faults: []ConfigFault{emptyFile()}}
	}
	c := defaultConfig()
	c.Path = file
	d.decode(doc.Content[0], "", reflect.ValueOf(c).Elem())
	if !d.overflowed() {
		d.check(c)
	}
	if len(d.faults) > 0 {
		slices.SortStableFunc(d.faults, func(a, b ConfigFault) int {
			if a.Line != b.Line {
				return a.Line - b.Line
			}
			return a.Column - b.Column
		})
		return nil, &ConfigError{File: file, Faults: d.faults, More: d.more}
	}
	c.resolvePaths(filepath.Dir(file))
	return c, nil
}

func emptyFile() ConfigFault {
	return ConfigFault{Message: "the file is empty; config.example.yaml shows what a configuration looks like"}
}

// checkBytes refuses what is no text before YAML sees it, since the library reports such bytes without their place.
func checkBytes(data []byte) (ConfigFault, bool) {
	switch {
	case len(data) > maxConfigSize:
		return ConfigFault{Message: "the file is larger than 1 MB, which no configuration is; is it the right file?"}, true
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		return ConfigFault{Position: Position{1, 1}, Message: "the file is UTF-16; save it as UTF-8"}, true
	case len(bytes.TrimSpace(data)) == 0:
		return emptyFile(), true
	}
	line, column := 1, 1
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return ConfigFault{Position: Position{line, column},
				Message: "the file is not UTF-8 from here on; save it as UTF-8"}, true
		}
		if r < ' ' && r != '\n' && r != '\r' && r != '\t' || r >= 0x7f && r < 0xa0 || r == 0xfffe || r == 0xffff {
			return ConfigFault{Position: Position{line, column},
				Message: fmt.Sprintf("control character U+%04X; remove it", r)}, true
		}
		if column++; r == '\n' {
			line, column = line+1, 1
		}
		i += size
	}
	return ConfigFault{}, false
}

// syntaxFaults puts what the YAML library says into words for an operator, without its names for its own parts and
// without quoting the file, which may hold a secret in the wrong place.
func (d *decoder) syntaxFaults(err error) []ConfigFault {
	e, ok := errors.AsType[*yaml.LoadError](err)
	if !ok {
		return []ConfigFault{{Message: "the file is not valid YAML"}}
	}
	at := Position{Line: e.Mark.Line, Column: e.Mark.Column}
	context := ""
	if e.ContextMark.Line > 0 && e.ContextMark.Line != e.Mark.Line {
		context = fmt.Sprintf(" (it begins in line %d)", e.ContextMark.Line)
	}
	if strings.Contains(e.Message, "no documents") {
		return []ConfigFault{emptyFile()}
	}
	if strings.Contains(e.Message, "multiple") {
		return []ConfigFault{{Position: d.secondDocument(),
			Message: "a second document begins here; one file holds one configuration, so split the file"}}
	}
	if line := d.line(at.Line); strings.Contains(line[:len(line)-len(strings.TrimLeft(line, " \t"))], "\t") {
		return []ConfigFault{{Position: Position{at.Line, strings.IndexByte(line, '\t') + 1},
			Message: "a tab; YAML is indented with spaces only"}}
	}
	return []ConfigFault{{Position: at, Message: syntaxMessage(e.Message) + context}}
}

func syntaxMessage(said string) string {
	has := func(s string) bool { return strings.Contains(said, s) }
	switch {
	case has("unknown anchor"):
		return "an alias (*name) without its anchor (&name); a text that begins with * must be in quotes"
	case has("cannot start any token"):
		return "a text may not begin with this character; put it in quotes"
	case has("mapping values are not allowed"):
		return "a colon where none can be; indent the line like its neighbours, or put a text that contains a colon and a blank in quotes"
	case has("unexpected end of stream"):
		return "a quote is never closed"
	case has("',' or ']'"), has("flow sequence"):
		return "a list in [brackets] is not closed, or a comma is missing"
	case has("',' or '}'"), has("flow mapping"), has("expected node content"):
		return "a group in {braces} or list in [brackets] is not closed, or a comma is missing"
	case has("expected ':'"):
		return "a key without a colon before this place"
	case has("expected key"), has("block entry"), has("'-' indicator"):
		return "the indentation does not match the lines above"
	case has("escape character"), has("hexdecimal"), has("Unicode character"):
		return `an unknown escape in double quotes; write \\ for a backslash, or use single quotes`
	case has("max depth"):
		return "nested too deeply"
	case has("aliasing"):
		return "too many aliases (*name)"
	case has("YAML document"), has("directive"):
		return "remove the line that begins with %"
	}
	return "not valid YAML; compare it with config.example.yaml"
}

func (d *decoder) line(n int) string {
	if n < 1 || n > len(d.lines) {
		return ""
	}
	return d.lines[n-1]
}

// secondDocument finds where the second document begins. The library knows that there is one, but not where.
func (d *decoder) secondDocument() Position {
	content, ended := false, false
	for i, line := range d.lines {
		line = strings.TrimRight(line, "\r")
		text := strings.TrimSpace(line)
		if text == "" || text[0] == '#' || text[0] == '%' {
			continue
		}
		if marker := line == "---" || strings.HasPrefix(line, "--- "); ended || content && marker {
			return Position{i + 1, 1}
		}
		ended = strings.HasPrefix(line, "...")
		content = true
	}
	return Position{}
}
