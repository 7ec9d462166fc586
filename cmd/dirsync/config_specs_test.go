package main

import (
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"dirsync"
	"dirsync/mapping"
	"dirsync/store"
)

// TestExampleMapping compiles the mappings of the example, with every commented setting on and off, so that whoever
// starts from it starts from something that works.
func TestExampleMapping(t *testing.T) {
	// Types as in https://learn.microsoft.com/graph/api/resources/user.
	source := []dirsync.Field{{Name: "employeeHireDate", Type: dirsync.DateTime}}
	for _, name := range []string{"givenName", "surname", "mail", "userPrincipalName", "officeLocation", "employeeId", "department"} {
		source = append(source, dirsync.Field{Name: name, Type: dirsync.Text})
	}
	source = append(source, dirsync.Field{Name: "manager", Type: dirsync.Reference})
	cfg, err := LoadConfig(example)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Syncs)) {
		sc := cfg.Syncs[name]
		has := source
		if sc.From.Directory {
			has = store.SourceFields(cfg.Directory.FieldList()...)
		}
		_, problems := mapping.Compile(sc.Fields.Specs(), mapping.Expression{}, has, cfg.targetFields(sc))
		for _, p := range problems {
			t.Errorf("sync %s: %v", name, p)
		}
	}
}

// TestSpecs holds the two sides together: every part of a mapping.Spec is filled from the configuration.
func TestSpecs(t *testing.T) {
	yes, text := true, "x"
	at := func(line int) Position { return Position{Line: line, Column: line} }
	full := FieldMapping{Field: "a", From: "b", Expr: "c", Entra: "d", Value: &text, Default: &text, WhenNull: "keep",
		SyncUpdates: &yes, Format: "e", Pos: at(1), FromPos: at(2), ExprPos: at(3), EntraPos: at(4), ValuePos: at(5),
		DefaultPos: at(6), WhenNullPos: at(7), FormatPos: at(8)}
	got, want := reflect.ValueOf(FieldMappings{full}.Specs()[0]), reflect.ValueOf(full)
	for i := range got.NumField() {
		name := got.Type().Field(i).Name
		if got.Field(i).IsZero() {
			t.Errorf("mapping.Spec.%s is not filled", name)
			continue
		}
		if f := want.FieldByName(name); strings.HasSuffix(name, "Pos") && mapping.Position(f.Interface().(Position)) != got.Field(i).Interface() {
			t.Errorf("%s: got %v, want %v", name, got.Field(i), f)
		}
	}
}

// TestFaultInExpression points at the character inside the file at which an expression goes wrong.
func TestFaultInExpression(t *testing.T) {
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	broken := strings.Replace(string(text), "user.mail ?? user", "user.mail ?? ) user", 1)
	cfg, err := parseConfig("c.yaml", []byte(broken))
	if err != nil {
		t.Fatal(err)
	}
	source := []dirsync.Field{{Name: "mail", Type: dirsync.Text}, {Name: "userPrincipalName", Type: dirsync.Text}}
	_, problems := mapping.Compile(cfg.Syncs["staff"].Fields.Specs(), mapping.Expression{}, source, mapping.Mandatory())
	before, _, _ := strings.Cut(broken, ") user")
	line := strings.Count(before, "\n") + 1
	column := len(before) - strings.LastIndexByte(before, '\n')
	for _, p := range problems {
		if p.Field == dirsync.EmailAddress {
			if got, want := p.Pos, (mapping.Position{Line: line, Column: column}); got != want {
				t.Errorf("got %v %s, want %v", got, p.Message, want)
			}
			return
		}
	}
	t.Errorf("no problem with %s in %v", dirsync.EmailAddress, problems)
}
