package binary_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"dirsync/tools/release/binary"
)

func env(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

// TestRead reads the program that is at hand: this test.
func TestRead(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := binary.Read(self, env(map[string]string{"SOURCE_DATE_EPOCH": "1700000000"}))
	if err != nil {
		t.Fatal(err)
	}
	if p.OS != runtime.GOOS || p.Arch != runtime.GOARCH || p.Version == "" || strings.HasPrefix(p.Version, "v") {
		t.Errorf("got %s/%s %q, want %s/%s and a version", p.OS, p.Arch, p.Version, runtime.GOOS, runtime.GOARCH)
	}
	if want := time.Unix(1700000000, 0).UTC(); p.Time != want {
		t.Errorf("got the time %s, want %s", p.Time, want)
	}
}

func TestReadRefuses(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ path, epoch, want string }{
		{text, "", "unrecognized file format"},
		{filepath.Join(t.TempDir(), "absent"), "", "no such file"},
		{self, "yesterday", `SOURCE_DATE_EPOCH is "yesterday"`},
		{self, "-1", `SOURCE_DATE_EPOCH is "-1"`},
		{self, "4294967296", `SOURCE_DATE_EPOCH is "4294967296"`},
	} {
		_, err := binary.Read(tt.path, env(map[string]string{"SOURCE_DATE_EPOCH": tt.epoch}))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s, %q: got %v, want %q", tt.path, tt.epoch, err, tt.want)
		}
	}
}
