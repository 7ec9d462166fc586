package main

import (
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDeployedConfigurations reads the configurations that deploy/ hands out as the daemon would.
func TestDeployedConfigurations(t *testing.T) {
	files, err := filepath.Glob(filepath.FromSlash("../../deploy/kubernetes/overlays/*/config.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d configurations, %v", len(files), err)
	}
	for _, file := range files {
		cfg, err := LoadConfig(file)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if err := checkMappings(cfg, slices.Sorted(maps.Keys(cfg.Syncs))); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if cfg.Serve.Metrics == "" || cfg.Serve.Listen != "" {
			t.Errorf("%s: got %+v, want signs of life for the kubelet and nothing else", file, cfg.Serve)
		}
	}
}

// TestOperationsGuide says that every command line of the guide is one that dirsync has, with its flags.
func TestOperationsGuide(t *testing.T) {
	text, err := os.ReadFile(filepath.FromSlash("../../docs/operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(text), -1)
	inline := regexp.MustCompile("`(dirsync [^`]*)`").FindAllStringSubmatch(string(text), -1)
	found := map[string]bool{}
	for _, part := range slices.Concat(blocks, inline) {
		lines := strings.ReplaceAll(part[1], "\\\n", " ")
		for _, m := range regexp.MustCompile(`(?m)(?:^|sudo |-u dirsync |-- |contoso |exec dirsync )dirsync ([a-z][^#\n]*)`).FindAllStringSubmatch(lines, -1) {
			words := strings.Fields(m[1])
			root := newApp(io.Discard, io.Discard).rootCommand()
			c, rest, err := root.Find(words)
			if err != nil || c == root {
				t.Errorf("dirsync %s: there is no such command", m[1])
				continue
			}
			if err := c.ParseFlags(rest); err != nil {
				t.Errorf("dirsync %s: %v", m[1], err)
			}
			found[c.Name()] = true
		}
	}
	for _, want := range []string{"connect", "check", "test", "plan", "run", "status", "sync-now", "health", "holds", "backup", "restore"} {
		if !found[want] {
			t.Errorf("the guide does not show dirsync %s, or this test does not see it", want)
		}
	}
}

// TestUnit holds the systemd unit to what the program does: the files that it names, how long it may take to stop, and
// which exit code means that starting again is of no use.
func TestUnit(t *testing.T) {
	text, err := os.ReadFile(filepath.FromSlash("../../deploy/systemd/dirsync.service"))
	if err != nil {
		t.Fatal(err)
	}
	unit := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
			unit[key] = append(unit[key], value)
		}
	}
	for key, want := range map[string]string{
		"ExecStart":                "/usr/bin/dirsync serve -c " + defaultConfigPath,
		"ConditionPathExists":      defaultConfigPath,
		"Type":                     "notify",
		"NotifyAccess":             "main",
		"Restart":                  "on-failure",
		"RestartPreventExitStatus": "2", // exitUsage
		"ExecReload":               "/bin/kill -HUP $MAINPID",
		"StateDirectory":           strings.TrimPrefix(filepath.Dir(DefaultStorePath), "/var/lib/"),
	} {
		if got := strings.Join(unit[key], " "); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	if exitUsage != 2 {
		t.Errorf("a wrong configuration exits with %d, which the unit does not know", exitUsage)
	}
	within := strings.Join(unit["TimeoutStopSec"], " ")
	if stop, ok := parseDuration(strings.Replace(within, "min", "m", 1)); !ok || stop <= 2*DefaultStopWithin {
		t.Errorf("systemd waits %q until it kills, want much more than the %s that stopping takes", within, DefaultStopWithin)
	}
}
