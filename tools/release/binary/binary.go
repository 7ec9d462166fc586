// Package binary knows what a release is made of: one Go program, and what the program itself says about its version,
// its commit, its platform and its modules. Whatever is made from the same program is therefore the same, byte for byte,
// on every machine and at any time.
package binary

import (
	"debug/buildinfo"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// Program is a compiled Go program and what it says of itself.
type Program struct {
	// Path is the file.
	Path string
	// Version is that of the main module without the leading "v": "1.2.0", "1.2.1-0.20261122004930-d3220db5ad97", or
	// "0.0.0-devel" for a program that was built outside a repository and so has none.
	Version string
	// Revision is the commit, in full, or empty if the program does not know it.
	Revision string
	// Time is that of the commit, or what SOURCE_DATE_EPOCH says. It is the beginning of 1970 if nobody knows, so that
	// files are never dated by the clock of whoever made them. https://reproducible-builds.org/specs/source-date-epoch/
	Time time.Time
	// OS and Arch are in the words of Go: "linux", "amd64".
	OS, Arch string
	// Build is all that the program says: the modules with versions and hashes, the settings of the compiler.
	Build *debug.BuildInfo
}

// Unversioned is the version of a program that has none. It sorts before every release.
const Unversioned = "0.0.0-devel"

// Read reads a program. env is the environment, os.Getenv outside of tests.
func Read(path string, env func(string) string) (Program, error) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return Program{}, fmt.Errorf("read program %s: %w", path, err)
	}
	p := Program{Path: path, Version: strings.TrimPrefix(info.Main.Version, "v"), Time: time.Unix(0, 0).UTC(), Build: info}
	if p.Version == "" || p.Version == "(devel)" {
		p.Version = Unversioned
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "GOOS":
			p.OS = s.Value
		case "GOARCH":
			p.Arch = s.Value
		case "vcs.revision":
			p.Revision = s.Value
		case "vcs.time":
			if p.Time, err = time.Parse(time.RFC3339, s.Value); err != nil {
				return Program{}, fmt.Errorf("read program %s: time of the commit: %w", path, err)
			}
		}
	}
	if p.OS == "" || p.Arch == "" {
		return Program{}, fmt.Errorf("read program %s: it does not say which platform it is for; build it with go build", path)
	}
	if text := env("SOURCE_DATE_EPOCH"); text != "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		// tar, cpio and gzip count seconds in 32 bits.
		if err != nil || seconds < 0 || seconds > 1<<32-1 {
			return Program{}, fmt.Errorf("SOURCE_DATE_EPOCH is %q: it must be seconds since the beginning of 1970", text)
		}
		p.Time = time.Unix(seconds, 0)
	}
	p.Time = p.Time.UTC().Truncate(time.Second)
	return p, nil
}
