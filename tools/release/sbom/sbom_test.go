package main

import (
	"bytes"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"dirsync/tools/release/binary"
)

// program is a program with these modules; its file is a text.
func program(t *testing.T, deps ...*debug.Module) binary.Program {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dirsync")
	if err := os.WriteFile(path, []byte("program"), 0o600); err != nil {
		t.Fatal(err)
	}
	return binary.Program{Path: path, Version: "1.2.0", Time: time.Unix(1700000000, 0).UTC(), Build: &debug.BuildInfo{
		GoVersion: "go1.26.8 X:none", Main: debug.Module{Path: "dirsync", Version: "v1.2.0"}, Deps: deps,
		Settings: []debug.BuildSetting{{Key: "CGO_ENABLED", Value: "0"}},
	}}
}

const sum = "h1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

func TestBill(t *testing.T) {
	p := program(t,
		&debug.Module{Path: "github.com/Azure/a", Version: "v1.0.0+incompatible", Sum: sum},
		&debug.Module{Path: "old", Version: "v1.0.0", Replace: &debug.Module{Path: "new", Version: "v2.0.0", Sum: sum}},
	)
	text, err := Bill(p)
	if err != nil {
		t.Fatal(err)
	}
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(text), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range *bom.Components {
		line := c.PackageURL
		if c.Hashes != nil {
			line += " " + string((*c.Hashes)[0].Algorithm) + " " + (*c.Hashes)[0].Value[:8]
		}
		got = append(got, line)
	}
	want := "pkg:golang/std@1.26.8\npkg:golang/github.com/azure/a@v1.0.0%2Bincompatible SHA-256 00010203\npkg:golang/new@v2.0.0 SHA-256 00010203"
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
	if bom.Metadata.Timestamp != "2023-11-14T22:13:20Z" || bom.Metadata.Component.Version != "1.2.0" {
		t.Errorf("got the time %s and the version %s", bom.Metadata.Timestamp, bom.Metadata.Component.Version)
	}
	if h := (*bom.Metadata.Component.Hashes)[0].Value; len(h) != hex.EncodedLen(32) {
		t.Errorf("got the program's hash %q", h)
	}
	again, err := Bill(p)
	if err != nil || !bytes.Equal(again, text) {
		t.Errorf("the second bill is another one: %v", err)
	}
	validate(t, text)
}

// TestBillOfThisTest lists a real program, with more than a hundred modules' worth of oddities.
func TestBillOfThisTest(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := binary.Read(self, os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	text, err := Bill(p)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `"pkg:golang/github.com/cyclonedx/cyclonedx-go@v`) {
		t.Errorf("the bill misses a module that this very test uses:\n%s", text)
	}
	validate(t, text)
}

// validate holds a bill to the specification's own schema, which comes with the library.
func validate(t *testing.T, text []byte) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	dir := filepath.Join(strings.TrimSpace(string(out)), "schema")
	compiler := jsonschema.NewCompiler()
	for url, file := range map[string]string{
		"http://cyclonedx.org/schema/bom-1.6.schema.json":  "bom-1.6.schema.json",
		"http://cyclonedx.org/schema/spdx.schema.json":     "spdx.schema.json",
		"http://cyclonedx.org/schema/jsf-0.82.schema.json": "jsf-0.82.schemax.json",
	} {
		schema, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
		if err != nil {
			t.Fatal(err)
		}
		if err := compiler.AddResource(url, document); err != nil {
			t.Fatal(err)
		}
	}
	schema, err := compiler.Compile("http://cyclonedx.org/schema/bom-1.6.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	bill, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(bill); err != nil {
		t.Errorf("the bill is not CycloneDX 1.6: %v", err)
	}
	// So that the schema cannot pass by not looking.
	bill.(map[string]any)["bomFormat"] = "CycloneDY"
	if schema.Validate(bill) == nil {
		t.Error("the schema accepts anything")
	}
}

func TestBillRefuses(t *testing.T) {
	for _, tt := range []struct{ sum, want string }{
		{"", "module m v1.0.0 has no hash"},
		{"h2:AAAA", `module m v1.0.0 has a hash of an unknown kind, "h2:AAAA"`},
		{"h1:AAAA", `module m v1.0.0 has a hash of an unknown kind, "h1:AAAA"`},
	} {
		_, err := Bill(program(t, &debug.Module{Path: "m", Version: "v1.0.0", Sum: tt.sum}))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: got %v, want %q", tt.sum, err, tt.want)
		}
	}
}
