package dirsync_test

import (
	"testing"

	"dirsync"
)

func TestFold(t *testing.T) {
	for _, same := range [][2]string{
		{"Ana@Contoso.com", "ana@contoso.COM"},
		{"STRASSE", "straße"},
		{"Jose\u0301", "José"}, // one spelled with a combining accent
		{"ΣΟΦΙΑ", "σοφια"},
		{"ΟΔΥΣΣΕΥΣ", "οδυσσευς"}, // a final sigma is a sigma
		{"", ""},
	} {
		if a, b := dirsync.Fold(same[0]), dirsync.Fold(same[1]); a != b {
			t.Errorf("%q and %q give %q and %q", same[0], same[1], a, b)
		}
	}
	for _, other := range [][2]string{{"José", "Jose"}, {"ana", "ana "}, {"ı", "i"}, {"a", "а"}} {
		if a, b := dirsync.Fold(other[0]), dirsync.Fold(other[1]); a == b {
			t.Errorf("%q and %q both give %q", other[0], other[1], a)
		}
	}
}
