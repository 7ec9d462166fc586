package mapping

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	yaml "go.yaml.in/yaml/v4"

	"dirsync"
)

// block is a fenced block of the page.
type block struct {
	language, text string
	line           int
}

func fencedBlocks(page string) []block {
	var out []block
	var b *block
	for i, line := range strings.Split(page, "\n") {
		switch {
		case b == nil && strings.HasPrefix(line, "```"):
			b = &block{language: line[3:], line: i + 1}
		case b != nil && line == "```":
			out = append(out, *b)
			b = nil
		case b != nil:
			b.text += line + "\n"
		}
	}
	return out
}

// docsSource is what the page's examples read.
func docsSource() []dirsync.Field {
	fields := []dirsync.Field{
		{Name: "mail", Type: dirsync.Email}, {Name: "employeeHireDate", Type: dirsync.DateTime}, {Name: "lastSeen", Type: dirsync.DateTime},
		{Name: "manager", Type: dirsync.Reference}, {Name: "grade", Type: dirsync.Number}, {Name: "accountEnabled", Type: dirsync.Boolean},
		{Name: "proxyAddresses", Type: dirsync.TextList}, {Name: "businessPhones", Type: dirsync.TextList},
		{Name: "hireDate", Type: dirsync.DateTime, Refused: "its changes cannot be followed; use employeeHireDate"},
	}
	for _, name := range strings.Fields(`givenName surname userPrincipalName department officeLocation userType managerName mobilePhone
		employeeOrgData/division onPremisesExtensionAttributes/extensionAttribute1 extensionAttribute2 extensionAttribute3 extensionAttribute4`) {
		fields = append(fields, dirsync.Field{Name: name, Type: dirsync.Text})
	}
	return fields
}

// TestDocumentation runs every example of docs/mapping.md.
func TestDocumentation(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "mapping.md"))
	if err != nil {
		t.Fatal(err)
	}
	var target []dirsync.Field
	var m *Mapping
	var mapped []string
	var problems []Problem
	var record *dirsync.Attributes
	examples := 0
	for _, b := range fencedBlocks(string(page)) {
		switch b.language {
		case "yaml":
			fields, specs, where := docsConfig(t, b)
			if fields != nil {
				target = fields
				continue
			}
			mapped = nil
			for _, s := range specs {
				mapped = append(mapped, s.Field)
			}
			for _, s := range constants() {
				if !slices.Contains(mapped, s.Field) {
					specs = append(specs, s)
				}
			}
			source := docsSource()
			if strings.Contains(b.text, "from: extensionAttribute1") || strings.Contains(b.text, "user.extensionAttribute1") {
				source = append(source, dirsync.Field{Name: "extensionAttribute1", Type: dirsync.Text})
			}
			m, problems = Compile(specs, where, source, with(target...))
			record = nil
		case "json":
			var values map[string]json.RawMessage
			if err := json.Unmarshal([]byte(b.text), &values); err != nil {
				t.Fatalf("line %d: %v", b.line, err)
			}
			var as []dirsync.Attribute
			for name, raw := range values {
				as = append(as, dirsync.Attribute{Name: name, Raw: raw})
			}
			as = dirsync.NewAttributes(as)
			record = (*dirsync.Attributes)(&as)
		case "text":
			examples++
			got := docsProblems(problems)
			if record != nil && len(problems) == 0 {
				got = docsResult(m, m.Map("1", *record), mapped)
			}
			if got != b.text {
				t.Errorf("line %d: got\n%s", b.line, got)
			}
		}
	}
	if examples < 20 {
		t.Errorf("only %d examples were run", examples)
	}
}

func docsConfig(t *testing.T, b block) ([]dirsync.Field, []Spec, Expression) {
	var page struct {
		Directory struct{ Fields []dirsync.Field }
		Where     string
		Fields    yaml.Node
	}
	if err := yaml.Unmarshal([]byte(strings.ReplaceAll(b.text, "length:", "maxlength:")), &page); err != nil {
		t.Fatalf("line %d: %v", b.line, err)
	}
	var specs []Spec
	for i := 0; i+1 < len(page.Fields.Content); i += 2 {
		key, value := page.Fields.Content[i], page.Fields.Content[i+1]
		s := Spec{Field: key.Value, Pos: Position{key.Line, key.Column}}
		if value.Kind == yaml.ScalarNode {
			s.From = value.Value
		} else {
			var parts struct {
				From, Expr, Entra, Format string
				Value, Default            *string
				WhenNull                  string `yaml:"when_null"`
				SyncUpdates               *bool  `yaml:"sync_updates"`
			}
			if err := value.Load(&parts, yaml.WithKnownFields()); err != nil {
				t.Fatalf("line %d: %v", b.line, err)
			}
			s.From, s.Expr, s.Entra, s.Format, s.Value, s.Default = parts.From, parts.Expr, parts.Entra, parts.Format, parts.Value, parts.Default
			s.WhenNull, s.SyncUpdates = parts.WhenNull, parts.SyncUpdates
		}
		specs = append(specs, s)
	}
	return page.Directory.Fields, specs, Expression{Text: page.Where}
}

func docsProblems(problems []Problem) string {
	var s string
	for _, p := range problems {
		s += p.Field + ": " + p.Message + "\n"
		if p.Hint != "" {
			s += "  " + p.Hint + "\n"
		}
	}
	return s
}

func docsResult(m *Mapping, r Result, mapped []string) string {
	var s string
	switch {
	case !r.InScope:
		return "out of scope\n"
	case len(r.Faults) > 0:
		for _, f := range r.Faults {
			s += f.Field + " " + f.Reason + "\n"
		}
		return s
	}
	slices.Sort(mapped)
	for _, field := range mapped {
		v, ok := r.Values.Get(field)
		switch {
		case !ok:
			s += field + " stays as it is"
		case v.IsNull():
			s += field + " is empty"
		default:
			s += fmt.Sprintf("%s = %s", field, v.Text)
		}
		if slices.Contains(m.CreateOnly(), field) {
			s += ", once"
		}
		s += "\n"
	}
	return s
}
