package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// generate runs the hidden command through the front door and returns the folder that it wrote.
func generate(t *testing.T, what string) string {
	t.Helper()
	t.Setenv("DIRSYNC_CONFIG", "")
	dir := filepath.Join(t.TempDir(), "new", "folder")
	var errs bytes.Buffer
	if code := newApp(io.Discard, &errs).run(t.Context(), []string{"generate", what, dir}); code != exitOK {
		t.Fatalf("generate %s: exit %d: %s", what, code, errs.String())
	}
	return dir
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestManPages says that every command that people see has a page, and that the page has all that its help has.
func TestManPages(t *testing.T) {
	dir := generate(t, "man")
	count := 0
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		count++
		page := read(t, filepath.Join(dir, strings.ReplaceAll(c.CommandPath(), " ", "-")+".1"))
		want := []string{`.TH "`, `.SH "NAME"`, `.SH "SYNOPSIS"`, `.SH "DESCRIPTION"`}
		if c.HasParent() {
			want = append(want, `.SH "GLOBAL OPTIONS"`, `.B "\-c, \-\-config file"`, `(default: /etc/dirsync/config.yaml)`)
		} else {
			want = append(want, `.SH "FILES"`, "/var/lib/dirsync/dirsync.db")
		}
		if c.Example != "" {
			want = append(want, `.SH "EXAMPLES"`)
		}
		if strings.Contains(c.Long, "Exit codes:") {
			want = append(want, ".SH \"EXIT STATUS\"\n.TP\n.B \"0\"\n")
		}
		for _, part := range want {
			if !strings.Contains(page, part) {
				t.Errorf("the page of %s has no %s:\n%s", c.CommandPath(), part, page)
			}
		}
		if strings.Contains(page, "Exit codes:") {
			t.Errorf("the page of %s lists exit codes as help does, not as manual pages do", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() && sub.Name() != "help" && sub.Name() != "completion" {
				visit(sub)
			}
		}
	}
	visit(newApp(io.Discard, io.Discard).rootCommand())
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != count {
		t.Errorf("got %d pages, want one for each of %d commands", len(files), count)
	}
}

// TestManPagesAreClean has the typesetter itself read the pages.
func TestManPagesAreClean(t *testing.T) {
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Skip("groff is not installed, so nobody can typeset the pages")
	}
	pages, err := filepath.Glob(filepath.Join(generate(t, "man"), "*.1"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("got %d pages, %v", len(pages), err)
	}
	cmd := exec.CommandContext(t.Context(), groff, append([]string{"-man", "-Tutf8", "-Kutf8", "-ww", "-z"}, pages...)...)
	out, err := cmd.CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("groff: %v\n%s", err, out)
	}
}

// TestCompletions has the shells that are installed read what they would complete from.
func TestCompletions(t *testing.T) {
	dir := generate(t, "completion")
	for name, shell := range map[string]string{"dirsync.bash": "bash", "_dirsync": "zsh", "dirsync.fish": "fish"} {
		file := filepath.Join(dir, name)
		if text := read(t, file); !strings.Contains(text, "dirsync") {
			t.Errorf("%s does not complete dirsync", name)
		}
		if path, err := exec.LookPath(shell); err == nil {
			if out, err := exec.CommandContext(t.Context(), path, "-n", file).CombinedOutput(); err != nil {
				t.Errorf("%s -n %s: %v\n%s", shell, name, err, out)
			}
		}
	}
}

func TestGenerateRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"generate", "man"}, exitUsage, "accepts 1 arg(s), received 0"},
		{[]string{"generate", "man", file}, exitFailed, "write files: mkdir " + file + ": not a directory"},
	} {
		var errs bytes.Buffer
		code := newApp(io.Discard, &errs).run(t.Context(), tt.args)
		if code != tt.code || !strings.Contains(errs.String(), tt.want) {
			t.Errorf("%q: got exit %d, %q, want %d, %q", tt.args, code, errs.String(), tt.code, tt.want)
		}
	}
}

func TestManPage(t *testing.T) {
	parent := &cobra.Command{Use: "dirsync", Short: "Keep"}
	c := &cobra.Command{
		Use: "odd [NAME]", Short: "Do odd things",
		Long:    ".odd begins like a request\nand goes on with a \\ backslash.\n\n  dirsync odd --now\n\nExit codes: 0 done; 1 not\ndone; 3 in part.\n",
		Example: "  dirsync odd\n'quoted'",
		Run:     func(*cobra.Command, []string) {},
	}
	c.Flags().StringP("file", "f", `a "b"`, "the `file` to read")
	parent.AddCommand(c)
	c.InitDefaultHelpFlag()
	const want = `.TH "DIRSYNC\-ODD" "1" "2026\-11\-22" "dirsync" "dirsync manual"
.SH "NAME"
dirsync\-odd \- do odd things
.SH "SYNOPSIS"
.EX
dirsync odd [NAME] [flags]
.EE
.SH "DESCRIPTION"
\&.odd begins like a request
and goes on with a \e backslash.
.PP
.EX
  dirsync odd \-\-now
.EE
.SH "OPTIONS"
.TP
.B "\-f, \-\-file file"
the file to read (default: a "b")
.SH "EXAMPLES"
.EX
  dirsync odd
\&'quoted'
.EE
.SH "EXIT STATUS"
.TP
.B "0"
done.
.TP
.B "1"
not done.
.TP
.B "3"
in part.
.SH "SEE ALSO"
dirsync(1)
`
	if got := string(manPage(c, time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC))); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// FuzzRoffText says that no text gets out of its place: no line of it is a request and every backslash is spelt out.
func FuzzRoffText(f *testing.F) {
	for _, seed := range []string{"", ".so /etc/passwd", "'br", "a\r.b", `\fB`, "--flag", "\n.\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := roffText(s)
		for line := range strings.Lines(got) {
			if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
				t.Errorf("%q became %q, a request", s, line)
			}
		}
		if strings.ContainsRune(got, '\r') {
			t.Errorf("%q became %q, with a carriage return", s, got)
		}
		rest := strings.NewReplacer(`\e`, "", `\-`, "", `\&`, "").Replace(got)
		if strings.ContainsRune(rest, '\\') {
			t.Errorf("%q became %q, with an escape", s, got)
		}
	})
}
