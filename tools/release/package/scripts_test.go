package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// script runs a script of the packages with commands that only write down how they are called, and returns what was.
// Whether systemd runs is the machine's business, so systemctl may be called or not.
func script(t *testing.T, name, argument string, userExists bool) string {
	t.Helper()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no shell")
	}
	dir := t.TempDir()
	calls := filepath.Join(dir, "calls")
	for _, command := range []string{"getent", "systemd-sysusers", "useradd", "install", "systemctl"} {
		code := 0
		if command == "getent" && !userExists {
			code = 2
		}
		text := fmt.Sprintf("#!%s\necho %s \"$@\" >>%s\nexit %d\n", sh, command, calls, code)
		if err := os.WriteFile(filepath.Join(dir, command), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), sh, filepath.Join("../../../deploy/packages", name), argument)
	// Nothing but these commands can be found, so that no script does anything that the test does not see.
	cmd.Env = []string{"PATH=" + dir}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, argument, err, out)
	}
	text, err := os.ReadFile(calls)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}

func TestScripts(t *testing.T) {
	const (
		folders = "install -d -m 0700 -o dirsync -g dirsync /var/lib/dirsync\ninstall -d -m 0750 -o root -g dirsync /etc/dirsync/credentials\n"
		reload  = "systemctl daemon-reload\n"
	)
	for _, tt := range []struct {
		script, arguments string
		userExists        bool
		// want is what happens everywhere, and systemd what happens besides where systemd runs.
		want, systemd string
	}{
		{"postinstall.sh", "configure 1", false, "getent passwd dirsync\nsystemd-sysusers dirsync.conf\n" + folders, reload + "systemctl try-restart dirsync.service\n"},
		{"postinstall.sh", "configure 2", true, "getent passwd dirsync\n" + folders, reload + "systemctl try-restart dirsync.service\n"},
		{"postinstall.sh", "abort-upgrade", true, "", ""},
		{"preremove.sh", "remove 0", true, "", "systemctl --no-reload disable --now dirsync.service\n"},
		{"preremove.sh", "upgrade 1", true, "", ""},
		{"postremove.sh", "remove purge 0", true, "", reload},
		{"postremove.sh", "upgrade 1", true, "", ""},
	} {
		for argument := range strings.FieldsSeq(tt.arguments) {
			got := script(t, tt.script, argument, tt.userExists)
			if got != tt.want && got != tt.want+tt.systemd {
				t.Errorf("%s %s: got\n%swant\n%sand with systemd\n%s", tt.script, argument, got, tt.want, tt.systemd)
			}
		}
	}
}
