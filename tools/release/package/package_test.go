package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
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

	"github.com/blakesmith/ar"
	"github.com/sassoftware/go-rpmutils"

	"dirsync/tools/release/binary"
)

// ingredients are a program whose file is a text, two pages, and the real files of the checkout.
func ingredients(t *testing.T) (binary.Program, parts) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"dirsync": "program", "bill": "{}", "generated/man/dirsync.1": ".TH X 1\n", "generated/man/dirsync-run.1": ".TH Y 1\n",
		"generated/completion/dirsync.bash": "b", "generated/completion/_dirsync": "z", "generated/completion/dirsync.fish": "f",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return binary.Program{Path: filepath.Join(dir, "dirsync"), Version: "1.2.0-0.20261122004930-d3220db5ad97+dirty",
			Time: time.Unix(1700000000, 0).UTC(), OS: "linux", Arch: "arm64", Build: &debug.BuildInfo{}},
		parts{root: "../../..", generated: filepath.Join(dir, "generated"), bill: filepath.Join(dir, "bill"), maintainer: "A <a@example.com>"}
}

// build makes the packages, and returns their contents by kind, "deb" and "rpm".
func build(t *testing.T) map[string][]byte {
	t.Helper()
	b, p := ingredients(t)
	made, err := Packages(b, p, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, name := range made {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimPrefix(filepath.Ext(name), ".")] = content
	}
	return out
}

// tree lists the files of a package, as both kinds have them.
func tree(kind string) []string {
	list := []string{
		"drwxr-xr-x root /etc/dirsync",
		"-rw-r--r-- root /etc/dirsync/config.example.yaml",
		"-rwxr-xr-x root /usr/bin/dirsync",
		"-rw-r--r-- root /usr/lib/systemd/system/dirsync.service",
		"-rw-r--r-- root /usr/lib/sysusers.d/dirsync.conf",
		"-rw-r--r-- root /usr/share/bash-completion/completions/dirsync",
		"drwxr-xr-x root /usr/share/doc/dirsync",
		"-rw-r--r-- root /usr/share/doc/dirsync/CHANGELOG.md",
		"-rw-r--r-- root /usr/share/doc/dirsync/README.md",
		"-rw-r--r-- root /usr/share/doc/dirsync/alerts.yaml",
		"-rw-r--r-- root /usr/share/doc/dirsync/dashboard.json",
		"-rw-r--r-- root /usr/share/doc/dirsync/dirsync.cdx.json",
		"-rw-r--r-- root /usr/share/fish/vendor_completions.d/dirsync.fish",
		"-rw-r--r-- root /usr/share/man/man1/dirsync-run.1.gz",
		"-rw-r--r-- root /usr/share/man/man1/dirsync.1.gz",
	}
	if kind == "rpm" {
		list = append(list, "-rw-r--r-- root /usr/share/licenses/dirsync/LICENSE", "-rw-r--r-- root /usr/share/zsh/site-functions/_dirsync")
	} else {
		list = append(list, "-rw-r--r-- root /usr/share/doc/dirsync/copyright", "-rw-r--r-- root /usr/share/zsh/vendor-completions/_dirsync")
	}
	return list
}

// compare compares files but for the guides, of which there may be more, and folders of the distribution.
func compare(t *testing.T, got, want []string) {
	t.Helper()
	guides := 0
	got = slices.DeleteFunc(got, func(line string) bool {
		guide := strings.HasPrefix(line, "-rw-r--r-- root /usr/share/doc/dirsync/") && strings.HasSuffix(line, ".md") && !slices.Contains(want, line)
		if guide {
			guides++
		}
		return guide || line[0] == 'd' && !slices.Contains(want, line)
	})
	if guides < 5 {
		t.Errorf("got %d guides, want those of docs/", guides)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestDeb(t *testing.T) {
	members := map[string][]byte{}
	for r := ar.NewReader(bytes.NewReader(build(t)["deb"])); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if members[strings.TrimSuffix(h.Name, "/")], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	control, _ := untar(t, members["control.tar.gz"])
	_, files := untar(t, members["data.tar.gz"])
	compare(t, files, tree("deb"))
	if got, want := control["conffiles"], "/etc/dirsync/config.example.yaml\n"; got != want {
		t.Errorf("got the conffiles %q, want %q", got, want)
	}
	for _, want := range []string{"Version: 1.2.0~0.20261122004930-d3220db5ad97+dirty-1\n", "Architecture: arm64\n", "Depends: ca-certificates\n", "Maintainer: A <a@example.com>\n"} {
		if !strings.Contains(control["control"], want) {
			t.Errorf("the package's control file has no %q:\n%s", want, control["control"])
		}
	}
	for _, name := range []string{"postinst", "prerm", "postrm"} {
		if !strings.HasPrefix(control[name], "#!/bin/sh\n") {
			t.Errorf("got %q as %s", control[name], name)
		}
	}
}

// untar reads a compressed tar: the contents by name, and the files as tree has them.
func untar(t *testing.T, content []byte) (texts map[string]string, files []string) {
	t.Helper()
	small, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	texts = map[string]string{}
	for r := tar.NewReader(small); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return texts, files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.ModTime.Unix() != 1700000000 {
			t.Errorf("%s is of %s", h.Name, h.ModTime)
		}
		name := strings.TrimSuffix(strings.TrimPrefix(h.Name, "."), "/")
		texts[strings.TrimPrefix(name, "/")] = string(text)
		files = append(files, fmt.Sprintf("%s %s %s", h.FileInfo().Mode(), h.Uname, name))
	}
}

func TestRPM(t *testing.T) {
	r, err := rpmutils.ReadRpm(bytes.NewReader(build(t)["rpm"]))
	if err != nil {
		t.Fatal(err)
	}
	list, err := r.Header.GetFiles()
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, f := range list {
		mode := os.FileMode(f.Mode() & 0o777)
		if f.Mode()&0o170000 == 0o040000 {
			mode |= os.ModeDir
		}
		files = append(files, fmt.Sprintf("%s %s %s", mode, f.UserName(), f.Name()))
		const noReplace = rpmutils.RPMFILE_CONFIG | rpmutils.RPMFILE_NOREPLACE
		if config := f.Flags()&noReplace == noReplace; config != (f.Name() == "/etc/dirsync/config.example.yaml") {
			t.Errorf("%s: got %v for a configuration that is never replaced", f.Name(), config)
		}
	}
	compare(t, files, tree("rpm"))
	for tag, want := range map[int]string{rpmutils.NAME: "dirsync", rpmutils.VERSION: "1.2.0~0.20261122004930_d3220db5ad97+dirty",
		rpmutils.ARCH: "aarch64", rpmutils.LICENSE: "Apache-2.0", rpmutils.BUILDHOST: "localhost"} {
		got, err := r.Header.GetString(tag)
		if err != nil || got != want {
			t.Errorf("tag %d: got %q, %v, want %q", tag, got, err, want)
		}
	}
}

// TestAgain makes everything twice.
func TestAgain(t *testing.T) {
	first, second := build(t), build(t)
	for _, kind := range []string{"deb", "rpm"} {
		if len(first[kind]) == 0 || !bytes.Equal(first[kind], second[kind]) {
			t.Errorf("the second %s is another one", kind)
		}
	}
}

func TestPackagesRefuse(t *testing.T) {
	for want, change := range map[string]func(*binary.Program, *parts){
		"build it with GOOS=linux": func(b *binary.Program, _ *parts) { b.OS = "darwin" },
		"run dirsync generate man": func(_ *binary.Program, p *parts) {
			_ = os.RemoveAll(filepath.Join(p.generated, "man", "dirsync.1"))
			_ = os.Remove(filepath.Join(p.generated, "man", "dirsync-run.1"))
		},
		"is none": func(_ *binary.Program, p *parts) {
			_ = os.WriteFile(filepath.Join(p.generated, "man", "notes"), nil, 0o600)
		},
		"bill":         func(_ *binary.Program, p *parts) { _ = os.Remove(p.bill) },
		"no such file": func(_ *binary.Program, p *parts) { p.generated += "x" },
	} {
		b, p := ingredients(t)
		change(&b, &p)
		if _, err := Packages(b, p, t.TempDir()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
