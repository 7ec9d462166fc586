package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"dirsync/tools/release/binary"
)

// program is a program whose file is a text.
func program(t *testing.T, settings ...debug.BuildSetting) binary.Program {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dirsync")
	if err := os.WriteFile(path, []byte("program"), 0o600); err != nil {
		t.Fatal(err)
	}
	return binary.Program{Path: path, Version: "1.2.0+dirty", Revision: "d3220db", Time: time.Unix(1700000000, 0).UTC(),
		OS: "linux", Arch: "arm64", Build: &debug.BuildInfo{Settings: settings}}
}

// build makes an image and reads back the file that came of it.
func build(t *testing.T, p binary.Program) (file []byte, image v1.Image) {
	t.Helper()
	made, err := Image(p)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "image.tar")
	if err := Write(made, p, out); err != nil {
		t.Fatal(err)
	}
	file, err = os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := unpack(file, dir); err != nil {
		t.Fatal(err)
	}
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		t.Fatalf("got %v, %v, want one image", manifest, err)
	}
	if got, want := manifest.Manifests[0].Annotations["org.opencontainers.image.ref.name"], "1.2.0-dirty"; got != want {
		t.Errorf("got the tag %q, want %q", got, want)
	}
	image, err = index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return file, image
}

func unpack(file []byte, dir string) error {
	for r := tar.NewReader(bytes.NewReader(file)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		name := filepath.Join(dir, filepath.Clean("/"+h.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, content, 0o600); err != nil {
			return err
		}
	}
}

func TestImage(t *testing.T) {
	file, image := build(t, program(t))
	if err := validate.Image(image); err != nil {
		t.Errorf("the image is not one: %v", err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	type facts struct {
		Platform, User, Command, Created, Revision string
		Volumes, Layers, History                   int
	}
	got := facts{config.OS + "/" + config.Architecture, config.Config.User, strings.Join(slices.Concat(config.Config.Entrypoint, config.Config.Cmd), " "),
		config.Created.Format(time.RFC3339), config.Config.Labels["org.opencontainers.image.revision"],
		len(config.Config.Volumes), len(config.RootFS.DiffIDs), len(config.History)}
	want := facts{"linux/arm64", "65532:65532", "/usr/bin/dirsync serve", "2023-11-14T22:13:20Z", "d3220db", 1, 1, 1}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	manifest, err := image.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	var types struct {
		MediaType string
		Config    struct{ MediaType string }
		Layers    []struct{ MediaType string }
	}
	if err := json.Unmarshal(manifest, &types); err != nil {
		t.Fatal(err)
	}
	const oci = "application/vnd.oci.image."
	if types.MediaType != oci+"manifest.v1+json" || types.Config.MediaType != oci+"config.v1+json" ||
		len(types.Layers) != 1 || types.Layers[0].MediaType != oci+"layer.v1.tar+gzip" {
		t.Errorf("got the types %+v, want those of OCI", types)
	}
	again, second := build(t, program(t))
	if !bytes.Equal(again, file) {
		t.Error("the second file is another one")
	}
	a, errA := image.Digest()
	b, errB := second.Digest()
	if a != b || errA != nil || errB != nil {
		t.Errorf("the second image has the digest %s, the first %s (%v, %v)", b, a, errA, errB)
	}
}

func TestFilesOfImage(t *testing.T) {
	_, image := build(t, program(t))
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for r := tar.NewReader(content); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %d:%d %s", h.FileInfo().Mode(), h.Uid, h.Gid, h.Name))
		if h.ModTime.Unix() != 1700000000 {
			t.Errorf("%s is of %s", h.Name, h.ModTime)
		}
		if h.Name == "etc/ssl/certs/ca-certificates.crt" {
			checkRoots(t, r)
		}
	}
	want := []string{
		"drwxr-xr-x 0:0 etc/", "drwxr-xr-x 0:0 etc/ssl/", "drwxr-xr-x 0:0 etc/ssl/certs/",
		"-rw-r--r-- 0:0 etc/ssl/certs/ca-certificates.crt", "drwx------ 65532:65532 tmp/",
		"drwxr-xr-x 0:0 usr/", "drwxr-xr-x 0:0 usr/bin/", "-rwxr-xr-x 0:0 usr/bin/dirsync",
		"drwxr-xr-x 0:0 var/", "drwxr-xr-x 0:0 var/lib/", "drwx------ 65532:65532 var/lib/dirsync/",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// checkRoots says that those are trusted who vouch for the sign-in service and Microsoft Graph.
// https://learn.microsoft.com/azure/security/fundamentals/azure-certificate-authority-details
func checkRoots(t *testing.T, r io.Reader) {
	t.Helper()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(text) {
		t.Fatal("there is no certificate")
	}
	if n := bytes.Count(text, []byte("BEGIN CERTIFICATE")); n < 80 {
		t.Errorf("got %d certificates, want at least 80", n)
	}
	for _, want := range []string{"DigiCert Global Root G2", "DigiCert Global Root G3", "Microsoft RSA Root Certificate Authority 2017",
		"Microsoft ECC Root Certificate Authority 2017"} {
		found := false
		for rest := text; len(rest) > 0 && !found; {
			found, rest = subject(t, rest, want)
		}
		if !found {
			t.Errorf("%s is not trusted", want)
		}
	}
}

// subject tells whether the first certificate in text is that of name, and returns the rest.
func subject(t *testing.T, text []byte, name string) (bool, []byte) {
	t.Helper()
	block, rest := pem.Decode(text)
	if block == nil {
		return false, nil
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c.Subject.CommonName == name, rest
}

func TestImageRefuses(t *testing.T) {
	windows, c := program(t), program(t, debug.BuildSetting{Key: "CGO_ENABLED", Value: "1"})
	windows.OS = "windows"
	gone := program(t)
	gone.Path += ".gone"
	for _, tt := range []struct {
		program binary.Program
		want    string
	}{{windows, "build it with GOOS=linux"}, {c, "build it with CGO_ENABLED=0"}, {gone, "no such file"}} {
		if _, err := Image(tt.program); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
}
