package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/goreleaser/nfpm/v2/files"
)

// parts are where the parts of a package come from.
type parts struct {
	root      string // the checkout
	generated string // what `dirsync generate` wrote: man/ and completion/
	bill      string // the bill of materials
	// maintainer is whom the packages name, "Name <address>".
	maintainer string
}

// contents lists the files of a package of this kind, "deb" or "rpm". Nothing in it belongs to the service's user, who
// does not exist yet when files are unpacked; what does is made by the script that runs afterwards.
func (p parts) contents(program, kind, work string) (files.Contents, error) {
	list := files.Contents{
		file(program, "/usr/bin/dirsync", 0o755),
		file(p.from("deploy/systemd/dirsync.service"), "/usr/lib/systemd/system/dirsync.service", 0o644),
		file(p.from("deploy/systemd/sysusers.conf"), "/usr/lib/sysusers.d/dirsync.conf", 0o644),
		directory("/etc/dirsync", 0o755),
		// An example and not the configuration itself, so that an upgrade never asks what to do with the latter.
		config(p.from("config.example.yaml"), "/etc/dirsync/config.example.yaml"),
		directory("/usr/share/doc/dirsync", 0o755),
		file(p.from("README.md"), "/usr/share/doc/dirsync/README.md", 0o644),
		file(p.from("CHANGELOG.md"), "/usr/share/doc/dirsync/CHANGELOG.md", 0o644),
		file(p.from("deploy/prometheus/alerts.yaml"), "/usr/share/doc/dirsync/alerts.yaml", 0o644),
		file(p.from("deploy/grafana/dashboard.json"), "/usr/share/doc/dirsync/dashboard.json", 0o644),
		file(p.bill, "/usr/share/doc/dirsync/dirsync.cdx.json", 0o644),
		file(filepath.Join(p.generated, "completion", "dirsync.bash"), "/usr/share/bash-completion/completions/dirsync", 0o644),
		file(filepath.Join(p.generated, "completion", "dirsync.fish"), "/usr/share/fish/vendor_completions.d/dirsync.fish", 0o644),
	}
	zsh := file(filepath.Join(p.generated, "completion", "_dirsync"), "/usr/share/zsh/vendor-completions/_dirsync", 0o644)
	license := file(p.from("LICENSE"), "/usr/share/doc/dirsync/copyright", 0o644)
	if kind == "rpm" {
		zsh.Destination = "/usr/share/zsh/site-functions/_dirsync"
		license.Destination, license.Type = "/usr/share/licenses/dirsync/LICENSE", files.TypeRPMLicense
	}
	list = append(list, zsh, license)
	guides, err := filepath.Glob(p.from("docs/*.md"))
	if err != nil {
		return nil, err
	}
	for _, guide := range guides {
		list = append(list, file(guide, "/usr/share/doc/dirsync/"+filepath.Base(guide), 0o644))
	}
	pages, err := p.pages(work)
	return append(list, pages...), err
}

func (p parts) from(name string) string { return filepath.Join(p.root, filepath.FromSlash(name)) }

// pages compresses the manual pages into the folder work, as both kinds of distributions want them.
func (p parts) pages(work string) (files.Contents, error) {
	dir := filepath.Join(p.generated, "man")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read manual pages: %w", err)
	}
	var list files.Contents
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".1") {
			return nil, fmt.Errorf("read manual pages: %s is none", filepath.Join(dir, e.Name()))
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("read manual pages: %w", err)
		}
		// Without a name and a time in its header, the same page is always the same file.
		var small bytes.Buffer
		w, err := gzip.NewWriterLevel(&small, gzip.BestCompression)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(text); err != nil {
			return nil, err
		}
		if err := w.Close(); err != nil {
			return nil, err
		}
		name := e.Name() + ".gz"
		if err := os.WriteFile(filepath.Join(work, name), small.Bytes(), 0o600); err != nil {
			return nil, fmt.Errorf("compress manual pages: %w", err)
		}
		list = append(list, file(filepath.Join(work, name), "/usr/share/man/man1/"+name, 0o644))
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("read manual pages: there is none in %s; run dirsync generate man", dir)
	}
	return list, nil
}

func file(source, destination string, mode fs.FileMode) *files.Content {
	return &files.Content{Source: source, Destination: destination, Type: files.TypeFile, FileInfo: owned(mode)}
}

func config(source, destination string) *files.Content {
	return &files.Content{Source: source, Destination: destination, Type: files.TypeConfigNoReplace, FileInfo: owned(0o644)}
}

func directory(destination string, mode fs.FileMode) *files.Content {
	return &files.Content{Destination: destination, Type: files.TypeDir, FileInfo: owned(mode)}
}

func owned(mode fs.FileMode) *files.ContentFileInfo {
	return &files.ContentFileInfo{Owner: "root", Group: "root", Mode: mode}
}
