package main

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	yaml "go.yaml.in/yaml/v4"
)

// maxConfigValues bounds how many values a file may amount to once its aliases are followed, so that a small file that
// repeats itself cannot make a huge configuration.
const maxConfigValues = 100_000

// maxConfigFaults is how many faults of a file are told one by one. Nobody reads more, and a broken file may have very
// many.
const maxConfigFaults = 100

// decoder fills a Config from parsed YAML and gathers every fault on the way. It is written by hand, because the YAML
// library stops at the Go types: it cannot say which key was meant or what to write instead, and it speaks of struct
// names that mean nothing to an operator.
type decoder struct {
	lines  []string
	faults []ConfigFault
	// more counts the faults beyond maxConfigFaults, which are not kept.
	more int
	// wrong has the path of every fault, and inside every path around one.
	wrong, inside map[string]bool
	// places are where the values of the file stand, by their paths: "syncs.staff.to".
	places map[string]Position
	values int
	// openIDs lets tenants have no id, or an empty one, for the command that finds it out.
	openIDs bool
	// secret is above zero while a credential is read, whose text no message may repeat.
	secret int
}

// nodeDecoder is a value that reads itself from a node. It reports what is wrong to d and never panics.
type nodeDecoder interface {
	decodeNode(d *decoder, n *yaml.Node, path string)
}

// defaulter is a value that is not zero when the file leaves its keys out.
type defaulter interface{ setDefaults() }

func newDecoder(text string) *decoder {
	return &decoder{lines: strings.Split(text, "\n"), places: map[string]Position{},
		wrong: map[string]bool{}, inside: map[string]bool{}}
}

func (d *decoder) fault(p Position, path, format string, args ...any) {
	d.wrong[path] = true
	for at := path; at != ""; at = around(at) {
		d.inside[at] = true
	}
	if len(d.faults) == maxConfigFaults {
		d.more++
		return
	}
	d.faults = append(d.faults, ConfigFault{Position: p, Path: path, Message: fmt.Sprintf(format, args...)})
}

// around is the path of what holds the value at path; "" is the whole file.
func around(path string) string { return path[:max(0, strings.LastIndexByte(path, '.'))] }

// faultAt reports a fault of the value at path, or, if the file does not have it, of the nearest value around it.
func (d *decoder) faultAt(path, format string, args ...any) {
	p, at := d.places[path], path
	for p == (Position{}) && at != "" {
		at = around(at)
		p = d.places[at]
	}
	d.fault(p, path, format, args...)
}

// said tells whether the file has a value at path.
func (d *decoder) said(path string) bool { _, ok := d.places[path]; return ok }

// failed tells whether the value at path, or anything in it, is already known to be wrong, so that one mistake is
// not reported twice.
func (d *decoder) failed(path string) bool { return d.inside[path] }

// broken tells whether the value at path itself is wrong, so that nothing can be said of what is in it.
func (d *decoder) broken(path string) bool { return d.wrong[path] }

// overflowed tells that the file amounts to more than maxConfigValues. It is then of no use to go on.
func (d *decoder) overflowed() bool { return d.values > maxConfigValues }

func position(n *yaml.Node) Position { return Position{Line: n.Line, Column: n.Column} }

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// decode fills v, which is settable, from n. at is where the value stands in the file, which for an alias is not
// where its text stands.
func (d *decoder) decode(n *yaml.Node, path string, v reflect.Value) {
	if d.values++; d.overflowed() {
		if d.values == maxConfigValues+1 {
			d.fault(position(n), path, "the file amounts to more than %d values; use fewer aliases (*name)", maxConfigValues)
		}
		return
	}
	d.places[path] = position(n)
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Style&yaml.TaggedStyle != 0 {
		d.fault(position(n), path, "YAML tags (words that begin with !) are not used here; put the text in quotes if it is meant to begin with !")
		return
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		if isTenantID(path) {
			return // It may be empty, or else whoever checks it says how to find it out.
		}
		d.fault(position(n), path, "has no value; write one, or remove the key")
		return
	}
	if v.Kind() != reflect.Pointer {
		if own, ok := v.Addr().Interface().(nodeDecoder); ok {
			own.decodeNode(d, n, path)
			return
		}
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		if own, ok := v.Interface().(defaulter); ok {
			own.setDefaults()
		}
		d.values--
		d.decode(n, path, v.Elem())
	case reflect.Struct:
		d.object(n, path, v)
	case reflect.Map:
		d.named(n, path, v)
	case reflect.Slice:
		d.list(n, path, v)
	case reflect.Bool:
		if b, ok := d.boolean(n, path); ok {
			v.SetBool(b)
		}
	case reflect.Int:
		if i, ok := d.integer(n, path); ok {
			v.SetInt(int64(i))
		}
	case reflect.String:
		if s, ok := d.text(n, path); ok {
			v.SetString(s)
		}
	}
}

// isTenantID tells the path of a tenant's id. Names have no dots; see plainName.
func isTenantID(path string) bool {
	parts := strings.Split(path, ".")
	return len(parts) == 3 && parts[0] == "tenants" && parts[2] == "id"
}

// object reads a struct from its keys.
func (d *decoder) object(n *yaml.Node, path string, v reflect.Value) {
	if t := v.Type(); t == reflect.TypeFor[Credential]() || t == reflect.TypeFor[AppOAuth]() {
		d.secret++
		defer func() { d.secret-- }()
	}
	keys := keysOf(v.Type())
	for key, value := range d.pairs(n, path, "keys ("+strings.Join(keys, ", ")+")") {
		i := slices.Index(keys, key.Value)
		if i < 0 {
			d.unknownKey(key, path, keys)
			continue
		}
		d.decode(value, join(path, key.Value), fieldByKey(v, key.Value))
	}
}

// named reads a map from names that the operator chooses.
func (d *decoder) named(n *yaml.Node, path string, v reflect.Value) {
	v.Set(reflect.MakeMap(v.Type()))
	for key, value := range d.pairs(n, path, "names, each followed by a colon and its settings") {
		if !d.name(key, path) {
			continue
		}
		element := reflect.New(v.Type().Elem()).Elem()
		d.decode(value, join(path, key.Value), element)
		if element.Kind() == reflect.Pointer && element.IsNil() {
			element.Set(reflect.New(element.Type().Elem()))
		}
		v.SetMapIndex(reflect.ValueOf(key.Value), element)
	}
}

// list reads a slice.
func (d *decoder) list(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.wrongKind(n, path, "a list: [a, b], or one line each that begins with a dash")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	for i, item := range n.Content {
		if d.overflowed() {
			return
		}
		element := reflect.New(v.Type().Elem()).Elem()
		d.decode(item, join(path, strconv.Itoa(i+1)), element)
		v.Set(reflect.Append(v, element))
	}
}

// pairs yields the keys and values of a mapping, in order, without those keys that are faulty in themselves.
func (d *decoder) pairs(n *yaml.Node, path, want string) func(yield func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		if n.Kind != yaml.MappingNode {
			d.wrongKind(n, path, want)
			return
		}
		seen := map[string]int{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			switch {
			case key.Kind != yaml.ScalarNode || key.Style&yaml.TaggedStyle != 0:
				d.fault(position(key), path, "a key must be a plain word")
				continue
			case key.ShortTag() == "!!merge":
				d.fault(position(key), path, "merge keys (<<) are not used here; repeat the settings")
				continue
			case seen[key.Value] > 0:
				d.fault(position(key), join(path, d.quotable(key.Value)), "is given twice; the first is in line %d. Keep one of them",
					seen[key.Value])
				continue
			}
			seen[key.Value] = key.Line
			if d.overflowed() || !yield(key, value) {
				return
			}
		}
	}
}

// quotable returns a key as it may be repeated in a message: cut to a sane length, and not at all inside a
// credential, where somebody may have put the secret in the wrong place.
func (d *decoder) quotable(key string) string {
	if d.secret > 0 {
		return "(not shown)"
	}
	return cut(key)
}

// wrongKind reports a value that is, say, a list where a text should be. It never repeats the value.
func (d *decoder) wrongKind(n *yaml.Node, path, want string) {
	is := "a text"
	switch {
	case n.Kind == yaml.MappingNode:
		is = "a group of keys"
	case n.Kind == yaml.SequenceNode:
		is = "a list"
	case n.ShortTag() == "!!int", n.ShortTag() == "!!float":
		is = "a number"
	case n.ShortTag() == "!!bool":
		is = "true or false"
	}
	if path == "" {
		d.fault(position(n), path, "the file should hold %s, but it holds %s", want, is)
		return
	}
	d.fault(position(n), path, "should be %s, but it is %s", want, is)
}

func (d *decoder) unknownKey(key *yaml.Node, path string, known []string) {
	full := join(path, d.quotable(key.Value))
	if near := d.nearest(key.Value, known); near != "" {
		d.fault(position(key), full, "unknown key; did you mean %s?", near)
		// What is meant is there, under another name: that it is missing need not be said as well.
		d.inside[join(path, near)], d.wrong[join(path, near)] = true, true
		return
	}
	d.fault(position(key), full, "unknown key; the keys here are %s", strings.Join(known, ", "))
}

// text reads a text. A number or true is taken as it is written, because "options: [2024, yes]" means just that.
func (d *decoder) text(n *yaml.Node, path string) (string, bool) {
	if n.Kind != yaml.ScalarNode {
		d.wrongKind(n, path, "a text")
		return "", false
	}
	if i := strings.IndexFunc(n.Value, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r == utf8.RuneError }); i >= 0 {
		d.fault(position(n), path, "holds a control character; remove it")
		return "", false
	}
	return n.Value, true
}

func (d *decoder) boolean(n *yaml.Node, path string) (bool, bool) {
	if n.Kind == yaml.ScalarNode && n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0 {
		switch n.Value {
		case "true":
			return true, true
		case "false":
			return false, true
		}
	}
	if n.Kind == yaml.ScalarNode {
		d.fault(position(n), path, "should be true or false, without quotes")
		return false, false
	}
	d.wrongKind(n, path, "true or false")
	return false, false
}

// integer reads a number of things. A leading zero is refused, since YAML versions do not agree on what 010 is.
func (d *decoder) integer(n *yaml.Node, path string) (int, bool) {
	if n.Kind != yaml.ScalarNode {
		d.wrongKind(n, path, "a whole number")
		return 0, false
	}
	i, err := strconv.Atoi(n.Value)
	if err != nil || strconv.Itoa(i) != n.Value || i < 0 || i > 1_000_000_000 {
		d.fault(position(n), path, "should be a whole number between 0 and 1000000000, in digits only: 10")
		return 0, false
	}
	return i, true
}

// name checks a name that the operator has chosen. Names occur in commands, files and logs, so they are plain.
func (d *decoder) name(key *yaml.Node, path string) bool {
	if !plainName(key.Value) {
		d.fault(position(key), join(path, d.quotable(key.Value)), "a name has 1 to 63 characters: small letters, digits, - and _, and begins with a letter")
		return false
	}
	return true
}

func plainName(s string) bool {
	if s == "" || len(s) > 63 || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}

// keysOf lists the keys of a struct in the order of its fields.
func keysOf(t reflect.Type) []string {
	var keys []string
	for i := range t.NumField() {
		if tag := t.Field(i).Tag.Get("yaml"); tag != "" && tag != "-" {
			keys = append(keys, tag)
		}
	}
	return keys
}

func fieldByKey(v reflect.Value, key string) reflect.Value {
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("yaml") == key {
			return v.Field(i)
		}
	}
	return reflect.Value{}
}
