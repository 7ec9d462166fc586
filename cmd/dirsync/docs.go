package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// generateCommand writes what packages ship beside the program. It is hidden, because only those who make packages need
// it, and part of the program, because only the program knows its commands.
func (a *app) generateCommand() *cobra.Command {
	c := &cobra.Command{
		Use:    "generate",
		Short:  "Write manual pages and shell completions, for packages",
		Hidden: true,
		RunE:   func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(&cobra.Command{
		Use:   "man DIR",
		Short: "Write a manual page for each command into a folder",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return writeFiles(args[0], manPages(cmd.Root(), builtOn()))
		},
	}, &cobra.Command{
		Use:   "completion DIR",
		Short: "Write the completions of bash, zsh and fish into a folder",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := completions(cmd.Root())
			if err != nil {
				return err
			}
			return writeFiles(args[0], files)
		},
	})
	return c
}

// writeFiles writes files by their names into a folder, which it makes if there is none.
func writeFiles(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // manual pages are for everybody
		return fmt.Errorf("write files: %w", err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil { //nolint:gosec // the same
			return fmt.Errorf("write files: %w", err)
		}
	}
	return nil
}

// completions are the completions of each shell, under the names by which the shells look for them.
func completions(root *cobra.Command) (map[string][]byte, error) {
	var bash, zsh, fish bytes.Buffer
	for _, write := range []func() error{
		func() error { return root.GenBashCompletionV2(&bash, true) },
		func() error { return root.GenZshCompletion(&zsh) },
		func() error { return root.GenFishCompletion(&fish, true) },
	} {
		if err := write(); err != nil {
			return nil, fmt.Errorf("write completions: %w", err)
		}
	}
	return map[string][]byte{"dirsync.bash": bash.Bytes(), "_dirsync": zsh.Bytes(), "dirsync.fish": fish.Bytes()}, nil
}

// builtOn is the time of the commit that this program was built from, so that the same source gives the same pages;
// zero if nobody knows.
func builtOn() time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return time.Time{}
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			if t, err := time.Parse(time.RFC3339, s.Value); err == nil {
				return t
			}
		}
	}
	return time.Time{}
}

// manPages are the manual pages of a command and of all that people see below it, by file name: "dirsync-users-list.1".
func manPages(root *cobra.Command, date time.Time) map[string][]byte {
	pages := map[string][]byte{}
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		pages[pageName(c)+".1"] = manPage(c, date)
		for _, sub := range visible(c) {
			visit(sub)
		}
	}
	visit(root)
	return pages
}

// visible are the commands below c that its help lists, except for the help itself.
func visible(c *cobra.Command) []*cobra.Command {
	return slices.DeleteFunc(slices.Clone(c.Commands()), func(sub *cobra.Command) bool {
		return !sub.IsAvailableCommand() || sub.Name() == "help" || sub.Name() == "completion"
	})
}

func pageName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }
