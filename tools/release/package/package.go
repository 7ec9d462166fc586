// Command package makes the Debian and RPM packages of dirsync. The same program and the same checkout give the same
// packages, byte for byte:
//
//	package -program bin/dirsync -generated bin/generated -bill dist/dirsync.cdx.json -o dist
//
// What the packages promise is in docs/operations.md; in short: installing one makes a user and its folders, and starts
// nothing. An upgrade restarts the service if it is running. Removing one stops it, and keeps configuration and store.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/rpm"

	"dirsync/tools/release/binary"
)

func main() {
	var p parts
	program := flag.String("program", "bin/dirsync", "the program, static and for Linux")
	flag.StringVar(&p.root, "root", ".", "the checkout")
	flag.StringVar(&p.generated, "generated", "bin/generated", "the folder with the manual pages and completions that dirsync generate wrote")
	flag.StringVar(&p.bill, "bill", "dist/dirsync.cdx.json", "the bill of materials")
	flag.StringVar(&p.maintainer, "maintainer", "The dirsync authors <dirsync@localhost>", "whom the packages name")
	out := flag.String("o", "dist", "the folder to write to")
	flag.Parse()
	if err := run(*program, p, *out); err != nil {
		fmt.Fprintln(os.Stderr, "package:", err)
		os.Exit(1)
	}
}

func run(program string, p parts, out string) error {
	b, err := binary.Read(program, os.Getenv)
	if err != nil {
		return err
	}
	made, err := Packages(b, p, out)
	for _, name := range made {
		fmt.Println(name)
	}
	return err
}

// Packages makes a package of each kind in the folder out, and returns their paths.
func Packages(b binary.Program, p parts, out string) ([]string, error) {
	if b.OS != "linux" {
		return nil, fmt.Errorf("%s is for %s; build it with GOOS=linux", b.Path, b.OS)
	}
	var made []string
	for kind, packager := range map[string]nfpm.Packager{"deb": deb.Default, "rpm": rpm.DefaultRPM} {
		name, err := one(b, p, kind, packager, out)
		if err != nil {
			return made, fmt.Errorf("make %s: %w", kind, err)
		}
		made = append(made, name)
	}
	return made, nil
}

func one(b binary.Program, p parts, kind string, packager nfpm.Packager, out string) (string, error) {
	work, err := os.MkdirTemp("", "dirsync-package-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(work) }()
	contents, err := p.contents(b.Path, kind, work)
	if err != nil {
		return "", err
	}
	info := nfpm.WithDefaults(&nfpm.Info{
		Name: "dirsync", Version: b.Version, Arch: b.Arch, Platform: b.OS, Release: "1", MTime: b.Time,
		Section: "admin", Priority: "optional", License: "Apache-2.0", Maintainer: p.maintainer,
		Description: description, DisableGlobbing: true,
		Overridables: nfpm.Overridables{
			Contents: contents, Depends: []string{"ca-certificates"}, Umask: 0o022,
			Scripts: nfpm.Scripts{
				PostInstall: p.from("deploy/packages/postinstall.sh"),
				PreRemove:   p.from("deploy/packages/preremove.sh"),
				PostRemove:  p.from("deploy/packages/postremove.sh"),
			},
			RPM: nfpm.RPM{BuildHost: "localhost", Group: "System Environment/Daemons", Summary: summary},
		},
	})
	if err := nfpm.PrepareForPackager(info, kind); err != nil {
		return "", err
	}
	name := filepath.Join(out, packager.ConventionalFileName(info))
	f, err := os.Create(name)
	if err != nil {
		return "", err
	}
	err = packager.Package(info, f)
	if e := f.Close(); err == nil {
		err = e
	}
	return name, err
}

const summary = "Keeps an application's users in step with Microsoft Entra ID"

const description = summary + `
dirsync reads a Microsoft Entra ID tenant through Microsoft Graph delta queries,
turns every record into a typed and validated user, and applies what changed to
an embedded directory. It never takes absence for proof: nobody is deleted or
blanked because a reading failed.`
