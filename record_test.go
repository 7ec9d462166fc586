package dirsync_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dirsync"
)

func attrs(pairs ...string) dirsync.Attributes {
	var out []dirsync.Attribute
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, dirsync.Attribute{Name: pairs[i], Raw: json.RawMessage(pairs[i+1])})
	}
	return dirsync.NewAttributes(out)
}

func TestNewAttributesSortsAndTheLaterWins(t *testing.T) {
	got := attrs("b", `1`, "a", `"x"`, "b", `2`)
	if diff := cmp.Diff(attrs("a", `"x"`, "b", `2`), got); diff != "" || len(got) != 2 {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What newer says replaces, null included; what it does not say stays.
func TestMerge(t *testing.T) {
	old, newer := attrs("a", `1`, "b", `2`, "d", `4`), attrs("b", `null`, "c", `3`)
	if diff := cmp.Diff(attrs("a", `1`, "b", `null`, "c", `3`, "d", `4`), old.Merge(newer)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if raw, _ := old.Get("b"); string(raw) != "2" {
		t.Errorf("the older attributes were changed: b is %s", raw)
	}
}

func TestUnsaid(t *testing.T) {
	known := attrs("a", `1`, "b", `null`, "c", `3`)
	for _, tt := range []struct {
		name  string
		newer dirsync.Attributes
		asked []string
		want  bool
	}{
		{"all said", attrs("a", `1`, "c", `3`), nil, false},
		{"said to be cleared", attrs("a", `1`, "c", `null`), nil, false},
		{"left out", attrs("a", `1`), nil, true},
		{"left out, and not asked for", attrs("a", `1`), []string{"a", "b"}, false},
		{"left out, though asked for", attrs("a", `1`), []string{"a", "c"}, true},
		{"was empty anyway", attrs("a", `1`, "c", `3`), []string{"a", "b", "c"}, false},
	} {
		if got := known.Unsaid(tt.newer, tt.asked); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestText(t *testing.T) {
	a := attrs("s", `"J\u00f6rg \"J\""`, "n", `null`, "i", `7`, "bad", `"\ud800"`)
	for name, want := range map[string]string{"s": `Jörg "J"`, "n": "", "i": "", "absent": "", "bad": "\ufffd"} {
		if got := a.Text(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestValues(t *testing.T) {
	var v dirsync.Values
	v = v.Set("b", dirsync.Value{Type: dirsync.Text, Text: `a "quote"`})
	v = v.Set("a", dirsync.Value{Type: dirsync.Boolean, Text: "true"})
	v = v.Set("c", dirsync.Value{})
	v = v.Set("d", dirsync.Value{Type: dirsync.TextList, Text: `["x","y"]`})
	v = v.Set("e", dirsync.Value{Type: dirsync.Number, Text: "12.50"})
	got, err := json.Marshal(v)
	if want := `{"a":true,"b":"a \"quote\"","c":null,"d":["x","y"],"e":12.50}`; string(got) != want || err != nil {
		t.Errorf("got %s %v, want %s", got, err, want)
	}
	newer := v.With(dirsync.Values{{Field: "c", Value: dirsync.Value{Type: dirsync.Text, Text: "new"}}})
	if x, _ := newer.Get("c"); x.Text != "new" {
		t.Errorf("c is %v", x)
	}
	if x, _ := v.Get("c"); !x.IsNull() {
		t.Errorf("the older values were changed: c is %v", x)
	}
}

func TestWritesLeavesOutWhatIsWrittenOnce(t *testing.T) {
	text := func(s string) dirsync.Value { return dirsync.Value{Type: dirsync.Text, Text: s} }
	c := dirsync.Change{After: dirsync.Values{{Field: "a", Value: text("1")}, {Field: "b", Value: text("2")}}, CreateOnly: []string{"b"}}
	if diff := cmp.Diff(dirsync.Values{{Field: "a", Value: text("1")}}, c.Writes()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Hints are found from the outside in, through errors that have none.
func TestHintOf(t *testing.T) {
	inner := &dirsync.Error{Op: "sign in", Kind: dirsync.Unauthorized, Hint: "Make a new secret."}
	outer := &dirsync.Error{Op: "read users", Kind: dirsync.Unavailable, Err: inner}
	if got := dirsync.HintOf(outer); got != "Make a new secret." {
		t.Errorf("got %q", got)
	}
	if got, want := outer.Error(), "read users: sign in: unauthorized"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := dirsync.KindOf(outer); got != dirsync.Unavailable {
		t.Errorf("got %v", got)
	}
}
