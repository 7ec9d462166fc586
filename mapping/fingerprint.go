package mapping

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"dirsync"
)

// meaning is the version of this package's own rules. It grows whenever the same configuration and record come to give
// other values, so that everybody is planned again.
const meaning = 1

// fingerprint hashes everything on which the values depend and nothing else.
func fingerprint(m *Mapping, source map[string]dirsync.Field) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d\n", meaning)
	if m.where != nil {
		fmt.Fprintf(h, "where %q%s\n", m.where.canonical, readTypes(m.where.reads, source))
	}
	for i := range m.rules {
		r := &m.rules[i]
		f := r.field
		options := slices.Sorted(slices.Values(f.Options))
		fmt.Fprintf(h, "%q %q %t %q %q %d %q %q %t %t ", f.Name, f.Type, f.Required, options, f.Format, f.MaxLength,
			r.spec.Format, r.fallback.Text, r.keep, r.createOnly)
		switch s := r.source.(type) {
		case *property:
			fmt.Fprintf(h, "from %q%s\n", s.name, readTypes([]*property{s}, source))
		case *constant:
			v, _ := r.value(&s.in)
			fmt.Fprintf(h, "value %q\n", v.Text)
		case *expression:
			fmt.Fprintf(h, "expr %q%s\n", s.program.canonical, readTypes(s.program.reads, source))
		case *entraExpression:
			fmt.Fprintf(h, "entra %q%s\n", s.program.root, readTypes(s.program.reads, source))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// readTypes lists the types of the properties that are read.
func readTypes(reads []*property, source map[string]dirsync.Field) string {
	var s string
	for _, p := range reads {
		s += fmt.Sprintf(" %q:%q", p.name, source[p.name].Type)
	}
	return s
}
