package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"dirsync"
	"dirsync/graph"
)

// TestProtection says who is protected: whoever is named, by any name that they go by, and whoever the expression is true
// of or cannot be worked out for, gone or not.
func TestProtection(t *testing.T) {
	who := func(id string, gone dirsync.Gone, props map[string]string, held string) dirsync.Person {
		p := dirsync.Person{ID: dirsync.ID(id), Gone: gone}
		var attrs []dirsync.Attribute
		for name, raw := range props {
			attrs = append(attrs, dirsync.Attribute{Name: name, Raw: json.RawMessage(raw)})
		}
		p.Shadow = dirsync.NewAttributes(attrs)
		if held != "" {
			p.Link.Held = dirsync.Values{}.Set(dirsync.EmailAddress, dirsync.Value{Type: dirsync.Email, Text: held})
		}
		return p
	}
	const ceo = `user.jobTitle == "CEO"`
	mail := func(s string) map[string]string { return map[string]string{"mail": `"` + s + `"`} }
	tests := []struct {
		name    string
		protect Protect
		person  dirsync.Person
		want    bool
	}{
		{"nobody", Protect{}, who("a", 0, nil, ""), false},
		{"by id", Protect{People: []string{"a"}}, who("a", 0, nil, ""), true},
		{"by id, and gone", Protect{People: []string{"a"}}, who("a", dirsync.GoneHard, nil, ""), true},
		{"by address in other letters", Protect{People: []string{"Ana@Contoso.com"}}, who("a", 0, mail("ana@contoso.com"), ""), true},
		{"by user principal name", Protect{People: []string{"ana@contoso.com"}}, who("a", 0, map[string]string{"userPrincipalName": `"ana@contoso.com"`}, ""), true},
		{"by the address that the target holds", Protect{People: []string{"ana@contoso.com"}}, who("a", 0, mail("other@contoso.com"), "ana@contoso.com"), true},
		{"somebody else", Protect{People: []string{"ana@contoso.com"}}, who("b", 0, mail("bo@contoso.com"), ""), false},
		{"somebody without any name", Protect{People: []string{"ana@contoso.com"}}, who("b", 0, nil, ""), false},
		{"by expression", Protect{Where: WhereExpression{Text: ceo}}, who("a", 0, map[string]string{"jobTitle": `"CEO"`}, ""), true},
		{"by expression, and gone", Protect{Where: WhereExpression{Text: ceo}}, who("a", dirsync.GoneSoft, map[string]string{"jobTitle": `"CEO"`}, ""), true},
		{"not by expression", Protect{Where: WhereExpression{Text: ceo}}, who("a", 0, map[string]string{"jobTitle": `"Clerk"`}, ""), false},
		{"nobody can tell", Protect{Where: WhereExpression{Text: `user.createdDateTime > date("2020-01-01")`}}, who("a", 0, map[string]string{"createdDateTime": `"not a date"`}, ""), true},
		{"either", Protect{People: []string{"a"}, Where: WhereExpression{Text: ceo}}, who("a", 0, map[string]string{"jobTitle": `"Clerk"`}, ""), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := &Config{Syncs: map[string]*Sync{"staff": {Protect: tt.protect}}}
			p, err := compileProtection(cfg, "staff", graph.Catalogue())
			if err != nil {
				t.Fatal(err)
			}
			why := p.why(tt.person)
			if (why != "") != tt.want {
				t.Errorf("got %q, want protected: %v", why, tt.want)
			}
			if protected := p.protected(); protected != nil && protected(tt.person) != tt.want {
				t.Error("the engine is told something else")
			}
		})
	}
}

// TestProtectionIdentity is something else whenever somebody else may be protected, and only then.
func TestProtectionIdentity(t *testing.T) {
	identity := func(p Protect) string {
		got, err := compileProtection(&Config{Syncs: map[string]*Sync{"staff": {Protect: p}}}, "staff", graph.Catalogue())
		if err != nil {
			t.Fatal(err)
		}
		return got.identity()
	}
	base := identity(Protect{People: []string{"a", "b"}})
	if identity(Protect{People: []string{"b", "A"}}) != base {
		t.Error("order or letter case matters")
	}
	for _, other := range []Protect{{}, {People: []string{"a"}}, {People: []string{"a", "b"}, Where: WhereExpression{Text: "user.accountEnabled"}}} {
		if identity(other) == base {
			t.Errorf("%+v is the same", other)
		}
	}
}

// TestSafetyPage holds docs/safety.md true: every test and script that it names is there.
func TestSafetyPage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "safety.md"))
	if err != nil {
		t.Fatal(err)
	}
	links := regexp.MustCompile(`\[(\w+)\]\(\.\./([^)]+)\)`).FindAllStringSubmatch(string(page), -1)
	if len(links) < 30 {
		t.Fatalf("found %d tests, want at least 30", len(links))
	}
	for _, link := range links {
		name, file := link[1], link[2]
		text, err := os.ReadFile(filepath.Join("..", "..", file))
		switch {
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case strings.HasSuffix(file, "_test.go") && !strings.Contains(string(text), "func "+name+"("):
			t.Errorf("there is no %s in %s", name, file)
		case strings.HasSuffix(file, ".txtar") && filepath.Base(file) != name+".txtar":
			t.Errorf("%s leads to %s", name, file)
		}
	}
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| promise") && !strings.Contains(line, "](../") {
			t.Errorf("a promise without a test: %s", line)
		}
	}
}
