package graph

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestNewPassword(t *testing.T) {
	seen := map[password]bool{}
	for range 2000 {
		p, err := newPassword(24, "ada")
		if err != nil {
			t.Fatal(err)
		}
		if seen[p] {
			t.Fatal("the same password was made twice")
		}
		seen[p] = true
		if got, want := len(p), 24; got != want {
			t.Errorf("got %d characters, want %d", got, want)
		}
		for _, alphabet := range alphabets() {
			if !strings.ContainsAny(string(p), alphabet) {
				t.Errorf("nothing of %s is in the password", alphabet)
			}
		}
		if strings.Contains(strings.ToLower(string(p)), "ada") {
			t.Error("the name is in the password")
		}
		// A password that somebody repeats, in whatever form, is recognised.
		if raw, _ := json.Marshal(string(p)); strings.Trim(string(raw), `"`) != string(p) {
			t.Errorf("JSON writes the password as %s", raw)
		}
		if got := p.hide("no " + string(p) + " here"); got != "no *** here" {
			t.Errorf("got %q", got)
		}
		for _, form := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			if got := fmt.Sprintf(form, p); strings.Contains(got, string(p)) {
				t.Errorf("%s prints the password", form)
			}
		}
	}
}

func TestPasswordLength(t *testing.T) {
	for length, want := range map[int]bool{0: true, 16: true, 256: true, 15: false, 257: false, -1: false} {
		if got := (Passwords{Length: length}).check() == nil; got != want {
			t.Errorf("length %d: got %v, want %v", length, got, want)
		}
	}
}
