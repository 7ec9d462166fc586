package mapping

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// meaning is the version of this package's own rules. It grows whenever the same configuration and record come to give
// other values, so that everybody is planned again.
const meaning = 1

// fingerprint hashes everything on which the values depend and nothing else.
func fingerprint(m *Mapping) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d\n", meaning)
	for i := range m.rules {
		r := &m.rules[i]
		f := r.field
		options := slices.Sorted(slices.Values(f.Options))
		fmt.Fprintf(h, "%q %q %t %q %q %d %q %q %t %t %s\n", f.Name, f.Type, f.Required, options, f.Format, f.MaxLength,
			r.spec.Format, r.fallback.Text, r.keep, r.createOnly, r.source.describe())
	}
	return hex.EncodeToString(h.Sum(nil))
}
