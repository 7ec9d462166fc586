// Command dirsync keeps an application's users in step with a Microsoft Entra ID tenant.
//
// Each verb has a file of its own; wire.go joins the packages into a sync; config*.go reads the configuration; and
// output*.go writes for people and programs. serve.go and daemon*.go are the daemon, and remote.go is how the other verbs
// are run by it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
	_ "time/tzdata" // formats name time zones, and not every machine has them

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"dirsync"
	"dirsync/web"
)

// The exit codes. Every command's help names those that it uses.
const (
	exitOK      = 0
	exitFailed  = 1 // something could not be done
	exitUsage   = 2 // the command line or the configuration is wrong; nothing was done
	exitPartial = 3 // it was done, but some people were rejected, held or failed
)

const exitHelp = `
Exit codes: 0 done; 1 failed; 2 the command line or the configuration is wrong;
3 done, but some people were rejected, held back or failed.`

// exitError ends the program with a code; the rest was said already when Err is nil.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func usageError(format string, args ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

func main() { newApp(os.Stdout, os.Stderr).main() }

// app is what every command has: where to write, how, and what the global flags say.
type app struct {
	stdout, stderr io.Writer
	now            func() time.Time
	style          style
	log            zerolog.Logger

	configPath string
	format     string // "text" or "json"
	verbose    bool
	// replicaLag is that of package graph; zero is its default.
	replicaLag time.Duration

	// args is the whole command line, without the program's name.
	args []string
	// host is the daemon that runs this command line for somebody else; nil if this is a process of its own. dir is then
	// where relative paths begin, and by who decides.
	host *daemon
	// leave says to the daemon that its store is not used any more.
	leave func()
	// metrics count what is sent to tenants; nil counts nothing.
	metrics *web.Metrics
	dir     string
	by      string
}

func (a *app) json() bool { return a.format == "json" }

// printf writes to standard output for people. An error of writing there has nobody to be told to.
func (a *app) printf(format string, args ...any) { _, _ = fmt.Fprintf(a.stdout, format, args...) }

// note writes a line for people to standard error.
func (a *app) note(format string, args ...any) { _, _ = fmt.Fprintf(a.stderr, format+"\n", args...) }

func newApp(stdout, stderr io.Writer) *app {
	return &app{stdout: stdout, stderr: stderr, now: time.Now, style: newStyle(stdout, os.Getenv)}
}

// main is the process around the program.
func (a *app) main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := a.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// run is the whole program, but for the process around it.
func (a *app) run(ctx context.Context, args []string) int {
	a.args = args
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	err := root.ExecuteContext(ctx)
	return a.exit(err)
}

// exit says what went wrong and returns the exit code.
func (a *app) exit(err error) int {
	if err == nil {
		return exitOK
	}
	code := exitFailed
	e, isExit := errors.AsType[*exitError](err)
	config, isConfig := errors.AsType[*ConfigError](err)
	switch {
	case isExit && e.err == nil:
		return e.code
	case isExit:
		code = e.code
	case isConfig:
		code = exitUsage
		a.note("%s", config.Error())
		return code
	}
	a.note("error: %s", err)
	if hint := dirsync.HintOf(err); hint != "" {
		a.note("hint: %s", hint)
	}
	return code
}

const defaultConfigPath = "/etc/dirsync/config.yaml"

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "dirsync",
		Short: "Keep an application's users in step with a Microsoft Entra ID tenant",
		Long: `dirsync reads the users of a Microsoft Entra ID tenant, turns them into typed and
validated users, and keeps a target in step with them. It never takes absence
for proof: nobody is deleted or blanked because a reading failed.

Try it without a tenant and without a configuration:

  dirsync demo`,
		SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if a.format != "text" && a.format != "json" {
				return usageError("-o %s: the output is either text or json", a.format)
			}
			level := zerolog.WarnLevel
			if a.verbose {
				level = zerolog.DebugLevel
			}
			a.log = zerolog.New(zerolog.ConsoleWriter{Out: a.stderr, NoColor: true, TimeFormat: time.TimeOnly}).Level(level).With().Timestamp().Logger()
			return a.place(cmd)
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &exitError{code: exitUsage, err: err} })
	flags := root.PersistentFlags()
	config := os.Getenv("DIRSYNC_CONFIG")
	if config == "" {
		config = defaultConfigPath
	}
	flags.StringVarP(&a.configPath, "config", "c", config, "the configuration `file`; DIRSYNC_CONFIG sets another default")
	flags.StringVarP(&a.format, "output", "o", "text", "text for people, json for programs")
	flags.StringVar(&a.by, "decider", "", "who decides, as the daemon is told")
	_ = flags.MarkHidden("decider") // it was defined in the line above
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "log every request to standard error")
	root.AddCommand(
		a.demoCommand(), a.connectCommand(), a.checkCommand(), a.fieldsCommand(), a.testCommand(), a.planCommand(), a.runCommand(),
		a.readCommand(), a.statusCommand(), a.historyCommand(), a.showCommand(), a.usersCommand(), a.groupsCommand(), a.versionCommand(),
		a.generateCommand(),
	)
	root.AddCommand(a.safetyCommands()...)
	root.AddCommand(a.serveCommand(), a.syncNowCommand(), a.healthCommand(), a.inboxCommand(), a.notifyCommand(),
		a.tokenCommand(), a.directoryCommand(), a.requestsCommand(), a.forgetCommand())
	for _, c := range root.Commands() {
		if c.Args == nil {
			c.Args = cobra.NoArgs
		}
		wrapArgs(c)
	}
	return root
}

// wrapArgs makes a wrong number of arguments a usage error, here and in all commands below.
func wrapArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usageError("%s: %w\nSee: %s --help", cmd.CommandPath(), err, cmd.CommandPath())
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		wrapArgs(sub)
	}
}
