package dirsync_test

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// instruction is one instruction of a Dockerfile.
type instruction struct{ name, args string }

// dockerfile splits the Dockerfile into its stages. No container engine is needed to see that it keeps its promises.
func dockerfile(t *testing.T) [][]instruction {
	t.Helper()
	text, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	joined := regexp.MustCompile(`\\\n\s*`).ReplaceAllString(string(text), "")
	var stages [][]instruction
	for line := range strings.Lines(joined) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, args, ok := strings.Cut(line, " ")
		if !ok || name != strings.ToUpper(name) {
			t.Fatalf("Dockerfile: %q is no instruction", line)
		}
		if name == "FROM" {
			stages = append(stages, nil)
		}
		if len(stages) == 0 {
			t.Fatalf("Dockerfile: %q before the first FROM", line)
		}
		stages[len(stages)-1] = append(stages[len(stages)-1], instruction{name, strings.TrimSpace(args)})
	}
	return stages
}

func TestDockerfile(t *testing.T) {
	stages := dockerfile(t)
	if len(stages) != 2 {
		t.Fatalf("got %d stages, want 2: one builds, one is shipped", len(stages))
	}
	build, final := stages[0], stages[1]
	find := func(stage []instruction, name, part string) bool {
		return slices.ContainsFunc(stage, func(i instruction) bool { return i.name == name && strings.Contains(i.args, part) })
	}

	module, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(string(module))
	if want := "golang:" + version[1] + " AS build"; build[0].args != want {
		t.Errorf("the build stage is FROM %s, want %s, the version in go.mod", build[0].args, want)
	}
	for _, want := range []instruction{
		{"RUN", "make build OUT=/image/usr/bin/dirsync"}, {"RUN", "ca-certificates.crt /image/etc/ssl/certs/"},
		{"RUN", "/owned/var/lib/dirsync"},
	} {
		if !find(build, want.name, want.args) {
			t.Errorf("the build stage has no %s with %q", want.name, want.args)
		}
	}

	want := []instruction{
		{"FROM", "scratch"},
		{"COPY", "--from=build /image/ /"},
		{"COPY", "--from=build --chown=65532:65532 /owned/ /"},
		{"ENV", "PATH=/usr/bin"},
		{"USER", "65532:65532"},
		{"VOLUME", "/var/lib/dirsync"},
		{"HEALTHCHECK", `--interval=30s --timeout=5s --start-period=5m CMD ["/usr/bin/dirsync", "health"]`},
		{"ENTRYPOINT", `["/usr/bin/dirsync"]`},
		{"CMD", `["serve"]`},
	}
	if !slices.Equal(final, want) {
		t.Errorf("the shipped stage is\n%q\nwant\n%q", final, want)
	}
	for _, i := range slices.Concat(build, final) {
		if slices.Contains([]string{"ADD", "ARG", "SHELL"}, i.name) {
			t.Errorf("%s %s: the image needs no %s", i.name, i.args, i.name)
		}
	}
}

// TestDockerignore keeps what may hold people or secrets out of images, and what is compiled in them.
func TestDockerignore(t *testing.T) {
	text, err := os.ReadFile(".dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(text))
	for _, want := range []string{".git", "**/*.db", "secrets", "*.yaml"} {
		if !slices.Contains(lines, want) {
			t.Errorf(".dockerignore does not exclude %s", want)
		}
	}
	for _, never := range []string{"cmd", "go.mod", "go.sum", "*.go", "**", "store"} {
		if slices.Contains(lines, never) {
			t.Errorf(".dockerignore excludes %s, which is compiled", never)
		}
	}
}

// TestMakefile holds the promise that make explains itself and stays small.
func TestMakefile(t *testing.T) {
	text, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	targets := regexp.MustCompile(`(?m)^([a-z]+):(.*)$`).FindAllStringSubmatch(string(text), -1)
	if n := len(targets); n == 0 || n > 8 {
		t.Errorf("got %d targets, want 1 to 8", n)
	}
	for _, target := range targets {
		if !strings.Contains(target[2], " ## ") {
			t.Errorf("the target %s has no explanation; add ## and a sentence", target[1])
		}
	}
}

// TestBuildFlags says that there is one place that knows how the program is built.
func TestBuildFlags(t *testing.T) {
	text, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	flags := regexp.MustCompile(`(?m)^BUILD := (.*)$`).FindStringSubmatch(string(text))
	if flags == nil {
		t.Fatal("the Makefile does not say how to BUILD")
	}
	for _, want := range []string{"CGO_ENABLED=0", "-mod=readonly", "-trimpath", "-buildvcs=$(VCS)", "-ldflags='-s -w'"} {
		if !strings.Contains(flags[1], want) {
			t.Errorf("the program is built with %q, without %s", flags[1], want)
		}
	}
	for _, name := range []string{"Dockerfile", ".ci/run"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "make build") || strings.Contains(string(text), "-trimpath") {
			t.Errorf("%s does not build with make build", name)
		}
	}
}

// TestCIScript holds what a machine other than this one needs of .ci/run: that it can be run, that bash understands it,
// and that all its steps exist.
func TestCIScript(t *testing.T) {
	info, err := os.Stat(".ci/run")
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm()&0o111 == 0 {
		t.Error(".ci/run cannot be executed; run chmod +x .ci/run")
	}
	text, err := os.ReadFile(".ci/run")
	if err != nil {
		t.Fatal(err)
	}
	steps := regexp.MustCompile(`(?m)^all="(.*)"$`).FindStringSubmatch(string(text))
	if steps == nil {
		t.Fatal(`.ci/run has no line all="…" with its steps`)
	}
	for _, step := range strings.Fields(steps[1]) {
		if !strings.Contains(string(text), "\nstep_"+step+"() {") {
			t.Errorf(".ci/run has no function step_%s", step)
		}
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed, so the syntax cannot be checked")
	}
	if out, err := exec.Command(bash, "-n", ".ci/run").CombinedOutput(); err != nil {
		t.Errorf("bash -n .ci/run: %v\n%s", err, out)
	}
	if out, err := exec.Command(bash, ".ci/run", "nonsense").CombinedOutput(); err == nil || !strings.Contains(string(out), "there is no step nonsense") {
		t.Errorf(".ci/run nonsense: got %v %s", err, out)
	}
}

// TestTools holds the linter to one exact version, in a module that nothing else is built from.
func TestTools(t *testing.T) {
	text, err := os.ReadFile("tools/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"module dirsync/tools\n", "golangci-lint/v2 v2.15.0", "tool github.com/golangci/golangci-lint/v2/cmd/golangci-lint\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("tools/go.mod does not have %q", want)
		}
	}
}
