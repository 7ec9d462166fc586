package main

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// roff is a manual page that is being written, in the man macros of groff and mandoc.
type roff struct{ strings.Builder }

// macro writes one request; each argument is quoted.
func (r *roff) macro(name string, args ...string) {
	r.WriteString("." + name)
	for _, arg := range args {
		r.WriteString(` "` + strings.ReplaceAll(roffText(strings.Join(strings.Fields(arg), " ")), `"`, `\(dq`) + `"`)
	}
	r.WriteString("\n")
}

// text writes filled text.
func (r *roff) text(s string) { r.WriteString(roffText(strings.TrimSpace(s)) + "\n") }

// literal writes lines as they are.
func (r *roff) literal(s string) {
	r.macro("EX")
	r.WriteString(roffText(strings.Trim(s, "\n")) + "\n")
	r.macro("EE")
}

// roffText makes text mean itself: no line of it is a request, and no character of it an escape. A hyphen becomes a
// minus sign, because people copy flags out of manual pages.
func roffText(s string) string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s)
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

// manPage is the manual page of one command.
func manPage(c *cobra.Command, date time.Time) []byte {
	r := &roff{}
	day := ""
	if !date.IsZero() {
		day = date.UTC().Format(time.DateOnly)
	}
	r.macro("TH", strings.ToUpper(pageName(c)), "1", day, "dirsync", "dirsync manual")
	r.macro("SH", "NAME")
	r.text(pageName(c) + " - " + strings.ToLower(c.Short[:1]) + c.Short[1:])
	r.macro("SH", "SYNOPSIS")
	r.literal(c.UseLine())
	body, codes := splitExitCodes(c.Long)
	r.macro("SH", "DESCRIPTION")
	if body == "" {
		body = c.Short + "."
	}
	r.paragraphs(body)
	r.commands(c)
	r.flags("OPTIONS", c.NonInheritedFlags())
	r.flags("GLOBAL OPTIONS", c.InheritedFlags())
	if c.Example != "" {
		r.macro("SH", "EXAMPLES")
		r.literal(c.Example)
	}
	r.exitStatus(codes)
	r.closing(c)
	return []byte(r.String())
}

// paragraphs writes text as help has it: paragraphs between empty lines, and indented ones as they are.
func (r *roff) paragraphs(text string) {
	for i, p := range strings.Split(strings.Trim(text, "\n"), "\n\n") {
		if i > 0 {
			r.macro("PP")
		}
		if strings.HasPrefix(strings.TrimLeft(p, "\n"), "  ") {
			r.literal(p)
		} else {
			r.text(p)
		}
	}
}

// commands lists what is below a command.
func (r *roff) commands(c *cobra.Command) {
	for i, sub := range visible(c) {
		if i == 0 {
			r.macro("SH", "COMMANDS")
		}
		r.macro("TP")
		r.macro("B", sub.Name())
		r.text(sub.Short + ".")
	}
}

// flags lists flags with their types and defaults, as help does.
func (r *roff) flags(title string, flags *pflag.FlagSet) {
	first := true
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		if first {
			r.macro("SH", title)
			first = false
		}
		kind, usage := pflag.UnquoteUsage(f)
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		if kind != "" {
			name += " " + kind
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "[]" {
			usage += " (default: " + f.DefValue + ")"
		}
		r.macro("TP")
		r.macro("B", name)
		r.text(usage)
	})
}

// Help says the exit codes in one paragraph, "Exit codes: 0 done; 1 failed.".
var (
	exitCodesPattern = regexp.MustCompile(`(?s)\n*Exit codes:\s(.*?)(\n\n|\s*$)`)
	exitCodePattern  = regexp.MustCompile(`(?:^|;)\s*(\d+) `)
)

// splitExitCodes takes the paragraph of exit codes out of a help text.
func splitExitCodes(long string) (body, codes string) {
	m := exitCodesPattern.FindStringSubmatchIndex(long)
	if m == nil {
		return long, ""
	}
	return long[:m[0]] + "\n\n" + long[m[1]:], strings.Join(strings.Fields(long[m[2]:m[3]]), " ")
}

// exitStatus lists exit codes, one an entry.
func (r *roff) exitStatus(codes string) {
	found := exitCodePattern.FindAllStringSubmatchIndex(codes, -1)
	if len(found) == 0 {
		return
	}
	r.macro("SH", "EXIT STATUS")
	for i, m := range found {
		end := len(codes)
		if i+1 < len(found) {
			end = found[i+1][0]
		}
		r.macro("TP")
		r.macro("B", codes[m[2]:m[3]])
		r.text(strings.TrimRight(codes[m[1]:end], "; .") + ".")
	}
}

// closing says, on the first page, which files and variables matter, and on every page which pages are next to it.
func (r *roff) closing(c *cobra.Command) {
	if !c.HasParent() {
		r.macro("SH", "FILES")
		for _, f := range [][2]string{
			{defaultConfigPath, "The configuration, unless --config or DIRSYNC_CONFIG names another one."},
			{DefaultStorePath, "The store, with everything that dirsync remembers and the embedded directory, unless the configuration names another one."},
		} {
			r.macro("TP")
			r.macro("I", f[0])
			r.text(f[1])
		}
		r.macro("SH", "ENVIRONMENT")
		for _, v := range [][2]string{
			{"DIRSYNC_CONFIG", "The configuration file that is used without --config."},
			{"CREDENTIALS_DIRECTORY", "Where secrets written as cred:NAME are; systemd sets it."},
			{"NO_COLOR", "With any value, the output has no colours."},
		} {
			r.macro("TP")
			r.macro("B", v[0])
			r.text(v[1])
		}
	}
	var next []string
	if c.HasParent() {
		next = append(next, pageName(c.Parent())+"(1)")
	}
	for _, sub := range visible(c) {
		next = append(next, fmt.Sprintf("%s(1)", pageName(sub)))
	}
	if len(next) > 0 {
		r.macro("SH", "SEE ALSO")
		r.text(strings.Join(next, ", "))
	}
}
