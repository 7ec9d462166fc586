// Command image makes the container image of dirsync without a container engine: an OCI image layout in a tar file, with
// the program, the certificates that it trusts and nothing else. The same program gives the same digest, everywhere and
// at any time.
//
//	image -program bin/dirsync -o dist/dirsync-image.tar
//	skopeo copy oci-archive:dist/dirsync-image.tar docker://registry.example.com/dirsync:1.2.0
package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"

	"dirsync/tools/release/binary"
)

// user is a number, because Kubernetes can tell of a number that it is not root. It is that of "nonroot" in the images of
// the distroless project.
const user = 65532

func main() {
	program := flag.String("program", "bin/dirsync", "the program, static and for Linux")
	out := flag.String("o", "dirsync-image.tar", "the file to write")
	flag.Parse()
	if err := run(*program, *out); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(program, out string) error {
	p, err := binary.Read(program, os.Getenv)
	if err != nil {
		return err
	}
	image, err := Image(p)
	if err != nil {
		return fmt.Errorf("make image: %w", err)
	}
	if err := Write(image, p, out); err != nil {
		return fmt.Errorf("write image: %w", err)
	}
	digest, err := image.Digest()
	if err != nil {
		return fmt.Errorf("make image: %w", err)
	}
	fmt.Printf("%s: %s/%s %s\n", out, p.OS, p.Arch, digest)
	return nil
}

// Image is the image of a program.
func Image(p binary.Program) (v1.Image, error) {
	if p.OS != "linux" {
		return nil, fmt.Errorf("%s is for %s; build it with GOOS=linux", p.Path, p.OS)
	}
	for _, s := range p.Build.Settings {
		if s.Key == "CGO_ENABLED" && s.Value != "0" {
			return nil, fmt.Errorf("%s needs a C library, and the image has none; build it with CGO_ENABLED=0", p.Path)
		}
	}
	content, err := files(p)
	if err != nil {
		return nil, err
	}
	// A type of its own, because the default is that of Docker, which has no place in an OCI layout.
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
		tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(9))
	if err != nil {
		return nil, err
	}
	labels := map[string]string{
		"org.opencontainers.image.title":       "dirsync",
		"org.opencontainers.image.description": "Keeps an application's users in step with a Microsoft Entra ID tenant",
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.version":     p.Version,
		"org.opencontainers.image.created":     p.Time.Format(time.RFC3339),
	}
	if p.Revision != "" {
		labels["org.opencontainers.image.revision"] = p.Revision
	}
	created := v1.Time{Time: p.Time}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.Append(image, mutate.Addendum{Layer: layer,
		History: v1.History{Created: created, CreatedBy: "dirsync/tools/release/image", Comment: "the program and the certificates that it trusts"}})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = p.OS, p.Arch, created
	config.Config = v1.Config{
		User: fmt.Sprintf("%d:%d", user, user), Labels: labels, Env: []string{"PATH=/usr/bin"},
		Entrypoint: []string{"/usr/bin/dirsync"}, Cmd: []string{"serve"},
		Volumes: map[string]struct{}{"/var/lib/dirsync": {}}, StopSignal: "SIGTERM",
	}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return nil, err
	}
	annotated, ok := mutate.Annotations(image, labels).(v1.Image)
	if !ok {
		return nil, errors.New("an image with annotations is no image")
	}
	return annotated, nil
}

// files is the one layer, as a tar: every folder is spelt out, because who may do what in it is part of the promise.
func files(p binary.Program) ([]byte, error) {
	program, err := os.ReadFile(p.Path)
	if err != nil {
		return nil, err
	}
	certificates, err := roots()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range []struct {
		name    string
		mode    fs.FileMode
		owner   int
		content []byte
	}{
		{"etc/", 0o755, 0, nil},
		{"etc/ssl/", 0o755, 0, nil},
		{"etc/ssl/certs/", 0o755, 0, nil},
		{"etc/ssl/certs/ca-certificates.crt", 0o644, 0, certificates},
		{"tmp/", 0o700, user, nil},
		{"usr/", 0o755, 0, nil},
		{"usr/bin/", 0o755, 0, nil},
		{"usr/bin/dirsync", 0o755, 0, program},
		{"var/", 0o755, 0, nil},
		{"var/lib/", 0o755, 0, nil},
		{"var/lib/dirsync/", 0o700, user, nil},
	} {
		h := &tar.Header{Name: f.name, Mode: int64(f.mode), Uid: f.owner, Gid: f.owner, Size: int64(len(f.content)),
			ModTime: p.Time, Typeflag: tar.TypeReg}
		if f.content == nil {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), w.Close()
}

// roots are the certificates of Mozilla's list that may be trusted without a condition, in PEM. A condition ("not if it
// was issued after this day") cannot be said in PEM, and who is trusted on conditions only is left out.
func roots() ([]byte, error) {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			if err := pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
				return nil, err
			}
		}
	}
	return out.Bytes(), nil
}

// Write writes an image as a tar file with an OCI image layout in it, which skopeo, podman, crane and containerd read.
// https://github.com/opencontainers/image-spec/blob/main/image-layout.md
func Write(image v1.Image, p binary.Program, out string) error {
	dir, err := os.MkdirTemp("", "dirsync-image-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	if err := path.AppendImage(image, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": tag(p.Version)})); err != nil {
		return err
	}
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	w := tar.NewWriter(f)
	// Walking is in the order of the names, so the tar file is always the same, too.
	err = fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), ModTime: p.Time}); err != nil {
			return err
		}
		_, err = w.Write(content)
		return err
	})
	for _, end := range []func() error{w.Close, f.Close} {
		if e := end(); err == nil {
			err = e
		}
	}
	return err
}

// tag is a version as a tag, which has no "+".
func tag(version string) string { return strings.ReplaceAll(version, "+", "-") }
