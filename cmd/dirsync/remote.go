package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"dirsync/web"
)

// localCommands are those that a daemon has nothing to do with: they need no store, or they
// talk to the daemon themselves. Their own commands below them are local as well.
func localCommands() []string {
	return []string{"help", "completion", "generate", "version", "demo", "connect", "serve", "sync-now", "health", "directory"}
}

// replacesStore tells the commands that put another file in the place of the store; see daemon.swap.
func replacesStore(cmd *cobra.Command) bool {
	words := strings.Fields(cmd.CommandPath())
	return len(words) > 1 && (words[1] == "compact" || words[1] == "restore")
}

func isLocal(cmd *cobra.Command) bool {
	words := strings.Fields(cmd.CommandPath())
	return len(words) < 2 || slices.Contains(localCommands(), words[1]) || strings.HasPrefix(words[1], "__")
}

// throughDaemon has the daemon run this command line if there is one that has the store open. done is false if the command
// is to be run here.
func (a *app) throughDaemon(ctx context.Context) (code int, done bool, err error) {
	client, err := a.dial()
	switch {
	case client == nil && err == nil:
		return 0, false, nil
	case errors.Is(err, web.ErrNoDaemon):
		return 0, false, nil
	case err != nil:
		return 0, true, err
	}
	defer client.Close()
	config, err := filepath.Abs(a.configPath)
	if err != nil {
		return 0, true, err
	}
	dir, err := os.Getwd()
	if err != nil {
		return 0, true, err
	}
	c := web.Command{Args: append([]string{"--config", config, "--decider", a.decider()}, a.args...), Dir: dir, Color: a.style.colored}
	if !isTerminal(a.stderr) {
		code, err = client.Exec(ctx, c, a.stdout, a.stderr) // the daemon writes lines for logs
		return code, true, err
	}
	here := &shownHere{a: a}
	defer here.end()
	code, err = client.Exec(ctx, c, besides{here, a.stdout}, here)
	return code, true, err
}

// shownHere is standard error of a command that the daemon runs: how far it has come is shown at this terminal as if the
// command ran here.
type shownHere struct {
	a        *app
	progress Progress
}

// Step implements web.Stepper.
func (s *shownHere) Step(step web.Step) {
	if s.progress == nil {
		s.progress = newProgress(s.a.stderr, s.a.json())
	}
	phase, words, _ := strings.Cut(step.Phase, besidesPhase)
	s.progress.Show(phase, step.Done, step.Total)
	s.progress.Say(words, strings.HasPrefix(words, waits))
}

// end leaves the terminal to whatever is written next.
func (s *shownHere) end() {
	if s.progress != nil {
		s.progress.Close()
		s.progress = nil
	}
}

func (s *shownHere) Write(b []byte) (int, error) { return besides{s, s.a.stderr}.Write(b) }

// besides is output that would disturb what is shown.
type besides struct {
	shown *shownHere
	io.Writer
}

func (b besides) Write(text []byte) (int, error) {
	b.shown.end()
	return b.Writer.Write(text)
}

// dial finds the daemon of the configuration. Without a configuration that can be read there is none to look for: both
// results are nil, and whoever reads it next says what is wrong.
func (a *app) dial() (*web.Client, error) {
	cfg, err := LoadConfig(a.configPath)
	if err != nil {
		return nil, nil //nolint:nilerr // see above
	}
	socket := socketPath(cfg)
	if _, err := os.Lstat(socket); err != nil {
		return nil, web.ErrNoDaemon
	}
	return web.Dial(socket)
}

// place finds out where a command is to be run. If a daemon has done it, the error is an exitError with its code.
func (a *app) place(cmd *cobra.Command) error {
	switch {
	case a.host != nil && isLocal(cmd):
		return usageError("%s is not for the daemon", cmd.CommandPath())
	case a.host != nil:
		a.configPath = a.path(a.configPath)
		if err := a.host.ownConfig(a.configPath); err != nil || replacesStore(cmd) {
			return err
		}
		var err error
		a.leave, err = a.host.rest.enter()
		return err
	case isLocal(cmd) || !cmd.Runnable():
		return nil
	}
	code, done, err := a.throughDaemon(cmd.Context())
	if !done {
		return nil
	}
	if err != nil {
		return err
	}
	return &exitError{code: code}
}

// decider says who decides: whoever has typed the command, also where the daemon runs it.
func (a *app) decider() string {
	if a.by != "" {
		return a.by
	}
	return decider()
}
