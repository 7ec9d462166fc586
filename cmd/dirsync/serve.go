package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"dirsync"
	"dirsync/web"
)

func (a *app) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run every sync on its schedule",
		Long: `serve is the daemon. It runs every sync of the configuration on its schedule, reads
the tenants in between (read_every), tells people what happens (notify), and answers
on a socket beside the store, by which every other command works while it runs.

  SIGUSR1           runs every sync now; during a run, once more after it
  SIGHUP            reloads the configuration; a changed file is noticed by itself.
                    A bad one is refused, with its faults in the log
  SIGTERM, Ctrl-C   finishes the batch under way and stops, within serve.stop_within;
                    a second one stops at once

Nothing is lost whenever it ends, and however: a run that was cut off begins again at
the next start, and runs that were missed are made up for by one.

Exit codes: 0 stopped; 1 failed, or stopping took too long and the run was cut off;
2 the command line or the configuration is wrong.`,
		Example: "  dirsync serve\n  dirsync serve -c /etc/dirsync/config.yaml\n  kill -USR1 $(pidof dirsync)",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// From the very beginning: a signal that comes while the store is opened must not kill the process.
			signals := make(chan os.Signal, 8)
			signal.Notify(signals, daemonSignals()...)
			defer signal.Stop(signals)
			// What stops it comes through signals alone, so that the first and the second can be told apart.
			return a.serve(context.WithoutCancel(cmd.Context()), signals, nil)
		},
	}
}

// serve runs the daemon until ctx ends. ready is called when it does its work; it may be nil.
func (a *app) serve(ctx context.Context, signals <-chan os.Signal, ready func(*daemon)) error {
	cfg, _, err := a.load(nil)
	if err != nil {
		return err
	}
	a.log = a.serviceLog(cfg.Serve.Log)
	st, err := a.openStore(cfg, false)
	if err != nil {
		return err
	}
	d := newDaemon(a, cfg, st)
	d.bound()
	whole, err := d.serve(ctx, signals, ready)
	if !whole {
		// Transactions may be under way, and closing would wait for them.
		return errors.Join(err, errCutOff)
	}
	return errors.Join(err, d.st.Close())
}

var errCutOff = errors.New("stopping took too long, or was asked for twice, so what was under way was cut off; the next start makes certain of it")

// serviceLog writes one line an event.
func (a *app) serviceLog(form string) zerolog.Logger {
	var out io.Writer = a.stderr
	if form == consoleLog || form == "" && isTerminal(a.stderr) {
		out = zerolog.ConsoleWriter{Out: a.stderr, NoColor: !isTerminal(a.stderr), TimeFormat: time.DateTime}
	}
	level := zerolog.InfoLevel
	if a.verbose {
		level = zerolog.DebugLevel
	}
	return zerolog.New(out).Level(level).With().Timestamp().Logger()
}

// socketPath is where the daemon of a configuration answers: beside its store.
func socketPath(cfg *Config) string {
	return filepath.Join(filepath.Dir(cfg.Store.Path), "dirsync.sock")
}

// openDoors opens every place where the daemon answers.
func (d *daemon) openDoors(s *web.Server) (doors []*web.Door, err error) {
	defer func() {
		for _, door := range doors {
			if err != nil {
				door.Close()
			}
		}
	}()
	c := d.config().Serve
	door, err := s.OpenSocket(socketPath(d.config()))
	if err != nil {
		return doors, err
	}
	doors = append(doors, door)
	if c.Listen != "" {
		t := web.TCP{Addr: c.Listen}
		for _, token := range c.Tokens {
			text, err := token.Token.Reveal()
			if err != nil {
				return doors, fmt.Errorf("token %s: %w", token.Name, err)
			}
			t.Tokens = append(t.Tokens, web.Token{Name: token.Name, SHA256: sha256.Sum256([]byte(text)), ReadOnly: token.ReadOnly})
		}
		if c.TLS.IsSet() {
			pair, err := tls.LoadX509KeyPair(string(c.TLS.Certificate), string(c.TLS.Key))
			if err != nil {
				return doors, &dirsync.Error{Op: "read the certificate of serve.listen", Kind: dirsync.Invalid, Err: err}
			}
			t.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
		}
		if door, err = s.OpenTCP(t); err != nil {
			return doors, err
		}
		doors = append(doors, door)
	}
	if c.Metrics != "" {
		if door, err = s.OpenMetrics(c.Metrics); err != nil {
			return doors, err
		}
		doors = append(doors, door)
	}
	return doors, nil
}

// serve is the life of a daemon. whole is false if something still goes on when it returns.
func (d *daemon) serve(ctx context.Context, signals <-chan os.Signal, ready func(*daemon)) (whole bool, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	doors, err := d.openDoors(&web.Server{Daemon: d, Exec: d.exec, Enter: d.rest.enter, Metrics: d.metrics, Log: d.log, Now: d.now})
	if err != nil {
		return true, err
	}
	if err = d.openPushing(); err == nil {
		err = d.start(ctx)
	}
	if err != nil {
		for _, door := range doors {
			door.Close()
		}
		d.entrance.close()
		return true, errors.Join(err, d.history.close())
	}
	var answering sync.WaitGroup
	if d.entrance != nil {
		answering.Go(func() {
			if err := d.entrance.serve(ctx, http.HandlerFunc(d.push)); err != nil {
				d.broken <- err
			}
		})
		d.log.Info().Str("at", d.entrance.Addr()).Str("url", d.scimURL(d.config())).Msg("listening for SCIM clients")
	}
	for _, door := range doors {
		answering.Go(func() {
			if err := door.Serve(ctx); err != nil {
				d.broken <- err
			}
		})
		d.log.Info().Str("at", door.Addr()).Msg("listening")
	}
	d.warnForsaken()
	var manager systemd
	manager.ready(d.statusLine(d.now()))
	d.log.Info().Int("syncs", len(d.all())).Int("pid", os.Getpid()).Dur("took", d.now().Sub(d.started)).Msg("ready")
	if ready != nil {
		ready(d)
	}
	err = d.attend(ctx, signals)
	manager.stopping()
	d.log.Info().Msg("stopping")
	stop()
	ended := make(chan struct{})
	go func() {
		answering.Wait()
		d.stopped()
		close(ended)
	}()
	if !inTime(ended, signals, time.Duration(d.config().Serve.StopWithin)) {
		d.log.Warn().Msg("stopped without waiting for what is under way")
		for _, door := range doors {
			door.Close()
		}
		return false, errors.Join(err, d.history.close())
	}
	d.log.Info().Msg("stopped")
	return true, errors.Join(err, d.history.close())
}

// inTime waits for the end, but not for ever and not for a second signal.
func inTime(ended <-chan struct{}, signals <-chan os.Signal, within time.Duration) bool {
	timer := time.NewTimer(within)
	defer timer.Stop()
	for {
		select {
		case <-ended:
			return true
		case <-timer.C:
			return false
		case s := <-signals:
			if stops(s) {
				return false
			}
		}
	}
}

func stops(s os.Signal) bool { return s != reloadSignal && s != syncNowSignal }

// How often the daemon looks at its configuration file, and how often it says how it stands.
const (
	fileEvery   = 10 * time.Second
	statusEvery = 30 * time.Second
)

// attend does what it is told until ctx ends or a signal stops it.
func (d *daemon) attend(ctx context.Context, signals <-chan os.Signal) error {
	var manager systemd
	files, status := time.NewTicker(fileEvery), time.NewTicker(statusEvery)
	defer files.Stop()
	defer status.Stop()
	var dog <-chan time.Time
	if every := manager.watchdog(); every > 0 {
		t := time.NewTicker(every)
		defer t.Stop()
		dog = t.C
	}
	seen := stateOf(d.configPath)
	line := ""
	reload := func() {
		if d.rest.over() != nil {
			seen = fileState{} // the next look at the file reloads it
			return
		}
		manager.reloading()
		seen = stateOf(d.configPath)
		_ = d.reload() // it has been said
		line = d.statusLine(d.now())
		manager.ready(line)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-d.broken:
			return err
		case s := <-signals:
			switch {
			case stops(s):
				return nil
			case s == reloadSignal:
				reload()
			default:
				d.loops.Go(func() { d.signalled(ctx) })
			}
		case <-files.C:
			if now := stateOf(d.configPath); now != seen && now.there {
				reload()
			}
		case <-dog:
			if err := d.Ready(ctx); err == nil {
				manager.alive()
			} else {
				d.log.Error().Err(err).Msg("the service manager is not told that all is well")
			}
		case <-status.C:
			if now := d.statusLine(d.now()); now != line {
				line = now
				manager.status(line)
			}
		}
	}
}

// signalled asks for a run of every sync, as soon as the store can be written.
func (d *daemon) signalled(ctx context.Context) {
	if over := d.rest.over(); over != nil {
		select {
		case <-over:
		case <-ctx.Done():
			return
		}
	}
	if err := d.syncNow(ctx, nil, "signal"); err != nil && ctx.Err() == nil {
		d.log.Error().Err(err).Msg("not every run could be asked for")
	}
}

// fileState tells two states of a file apart, also of one that was replaced.
type fileState struct {
	there    bool
	size     int64
	modified time.Time
	id       uint64
}

func stateOf(path string) fileState {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err != nil {
		return fileState{}
	}
	return fileState{true, info.Size(), info.ModTime(), inode(info)}
}
