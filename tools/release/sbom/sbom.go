// Command sbom writes the bill of materials of a program: every module that is compiled into it, with version and hash,
// as CycloneDX 1.6 JSON (https://cyclonedx.org/docs/1.6/json/). It asks nobody but the program, so that the bill can
// neither forget nor add anything:
//
//	sbom -program bin/dirsync -o dist/dirsync.cdx.json
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"dirsync/tools/release/binary"
)

func main() {
	program := flag.String("program", "bin/dirsync", "the program whose parts are listed")
	out := flag.String("o", "dirsync.cdx.json", "the file to write")
	flag.Parse()
	if err := run(*program, *out); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func run(program, out string) error {
	p, err := binary.Read(program, os.Getenv)
	if err != nil {
		return err
	}
	text, err := Bill(p)
	if err != nil {
		return err
	}
	if err := os.WriteFile(out, text, 0o644); err != nil { //nolint:gosec // everybody may know what a program is made of
		return fmt.Errorf("write bill of materials: %w", err)
	}
	fmt.Printf("%s: %d modules\n", out, len(p.Build.Deps))
	return nil
}

// Bill is the bill of materials of a program, the same for the same program.
func Bill(p binary.Program) ([]byte, error) {
	file, err := os.ReadFile(p.Path)
	if err != nil {
		return nil, fmt.Errorf("write bill of materials: %w", err)
	}
	sum := sha256.Sum256(file)
	hash := hex.EncodeToString(sum[:])
	properties := []cdx.Property{{Name: "go:version", Value: p.Build.GoVersion}}
	for _, s := range p.Build.Settings {
		properties = append(properties, cdx.Property{Name: "go:build:" + s.Key, Value: s.Value})
	}
	name := packageURL(p.Build.Main.Path, p.Version)
	bom := cdx.NewBOM()
	bom.SpecVersion = cdx.SpecVersion1_6
	bom.JSONSchema = "http://cyclonedx.org/schema/bom-1.6.schema.json"
	bom.SerialNumber = serial(sum)
	bom.Metadata = &cdx.Metadata{
		Timestamp: p.Time.Format(time.RFC3339),
		Component: &cdx.Component{
			BOMRef: name, Type: cdx.ComponentTypeApplication, Name: "dirsync", Version: p.Version, PackageURL: name,
			Hashes:     &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hash}},
			Licenses:   &cdx.Licenses{{License: &cdx.License{ID: "Apache-2.0"}}},
			Properties: &properties,
		},
	}
	components := []cdx.Component{standardLibrary(p.Build.GoVersion)}
	for _, m := range p.Build.Deps {
		c, err := component(m)
		if err != nil {
			return nil, fmt.Errorf("write bill of materials: %w", err)
		}
		components = append(components, c)
	}
	bom.Components = &components
	var text bytes.Buffer
	encoder := cdx.NewBOMEncoder(&text, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false)
	if err := encoder.EncodeVersion(bom, cdx.SpecVersion1_6); err != nil {
		return nil, fmt.Errorf("write bill of materials: %w", err)
	}
	return text.Bytes(), nil
}

// serial is a UUID (RFC 9562, version 8) made from the program's hash instead of from chance.
func serial(sum [sha256.Size]byte) string {
	id := sum[:16]
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// packageURL names a Go module as the package URL specification says (the type golang).
func packageURL(path, version string) string {
	return "pkg:golang/" + strings.ToLower(path) + "@" + strings.ReplaceAll(version, "+", "%2B")
}

func standardLibrary(version string) cdx.Component {
	// A version may be followed by the experiments that it was built with.
	version, _, _ = strings.Cut(strings.TrimPrefix(version, "go"), " ")
	name := packageURL("std", version)
	return cdx.Component{BOMRef: name, Type: cdx.ComponentTypeLibrary, Name: "std", Version: version, PackageURL: name,
		Scope: cdx.ScopeRequired}
}

// component is one module, or what replaces it. Its hash is what go.sum has: the SHA-256 of the list of the SHA-256 of
// its files ("h1:", https://go.dev/ref/mod#go-sum-files).
func component(m *debug.Module) (cdx.Component, error) {
	if m.Replace != nil {
		m = m.Replace
	}
	name := packageURL(m.Path, m.Version)
	c := cdx.Component{BOMRef: name, Type: cdx.ComponentTypeLibrary, Name: m.Path, Version: m.Version, PackageURL: name,
		Scope: cdx.ScopeRequired}
	if m.Sum == "" {
		return cdx.Component{}, fmt.Errorf("module %s %s has no hash; it was built from a local folder", m.Path, m.Version)
	}
	encoded, ok := strings.CutPrefix(m.Sum, "h1:")
	sum, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(sum) != sha256.Size {
		return cdx.Component{}, fmt.Errorf("module %s %s has a hash of an unknown kind, %q", m.Path, m.Version, m.Sum)
	}
	c.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum)}}
	return c, nil
}
