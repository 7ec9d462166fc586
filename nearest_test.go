package dirsync_test

import (
	"strings"
	"testing"

	"dirsync"
)

func TestNearest(t *testing.T) {
	for _, tt := range []struct{ wrong, want string }{
		{"sunady", "sunday"}, // neighbours swapped
		{"SUNDAY", "sunday"},
		{"mondy", "monday"},
		{"client-id", "client_id"},
		{"clientid", "client_id"},
		{"Zürch", "Zürich"}, // letters are counted, not bytes
		{"x", ""},
		{"", ""},
		{"saturn", ""},
		{strings.Repeat("sunday", 100), ""},
		{"\xff\xfe", ""},
	} {
		if got := dirsync.Nearest(tt.wrong, []string{"sunday", "monday", "client_id", "Zürich"}); got != tt.want {
			t.Errorf("Nearest(%q) = %q, want %q", tt.wrong, got, tt.want)
		}
	}
	if got := dirsync.Nearest("ab", nil); got != "" {
		t.Errorf("nothing known: %q", got)
	}
}
