package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"dirsync"
)

// echo is a command that says what it was asked.
func echo(_ context.Context, c Command, stdout, stderr io.Writer) int {
	fmt.Fprintf(stdout, "%q %v %v %s\n", c.Args, c.Color, c.Progress, c.Dir)
	fmt.Fprintln(stderr, "done")
	return len(c.Args)
}

func TestExec(t *testing.T) {
	noise := make([]byte, 3*maxFrame+17)
	for i := range noise {
		noise[i] = byte(i * 7)
	}
	for name, tc := range map[string]struct {
		exec           ExecFunc
		command        Command
		code           int
		stdout, stderr string
	}{
		"echo": {echo, Command{Args: []string{"show", "12", "größe\n"}, Color: true, Progress: true, Dir: "/x"}, 3, `["show" "12" "größe\n"] true false /x` + "\n", "done\n"},
		"bytes that are no text": {func(_ context.Context, _ Command, stdout, _ io.Writer) int {
			n, err := stdout.Write(noise)
			if n != len(noise) || err != nil {
				t.Errorf("wrote %d, %v", n, err)
			}
			return 0
		}, Command{Args: []string{"x"}}, 0, string(noise), ""},
		"silence":         {func(context.Context, Command, io.Writer, io.Writer) int { return 3 }, Command{Args: []string{"x"}}, 3, "", ""},
		"a negative code": {func(context.Context, Command, io.Writer, io.Writer) int { return -1 }, Command{Args: []string{"x"}}, -1, "", ""},
		"empty writes": {func(_ context.Context, _ Command, stdout, stderr io.Writer) int {
			_, _ = stdout.Write(nil)
			_, _ = stderr.Write([]byte{})
			return 0
		}, Command{Args: []string{"x"}}, 0, "", ""},
	} {
		c := dialed(t, &Server{Daemon: newMemory(), Exec: tc.exec})
		var stdout, stderr bytes.Buffer
		code, err := c.Exec(t.Context(), tc.command, &stdout, &stderr)
		if err != nil || code != tc.code || stdout.String() != tc.stdout || stderr.String() != tc.stderr {
			t.Errorf("%s: got %d, %v, %d bytes and %q, want %d, %d bytes and %q", name, code, err, stdout.Len(), stderr.String(), tc.code, len(tc.stdout), tc.stderr)
		}
	}
}

// stepped is standard error that is shown steps.
type stepped struct {
	bytes.Buffer
}

func (s *stepped) Step(step Step) { fmt.Fprintf(s, "<%s %d/%d>", step.Phase, step.Done, step.Total) }

// TestSteps holds that of each phase the last step is shown, in order with the output, and that a command does not wait for
// whoever is shown them.
func TestSteps(t *testing.T) {
	for name, tc := range map[string]struct {
		exec ExecFunc
		want []string
	}{
		"phases": {func(_ context.Context, _ Command, _, stderr io.Writer) int {
			to := stderr.(Stepper)
			for i := range 5000 {
				to.Step(Step{"reading", i + 1, 0})
			}
			to.Step(Step{"planning", 7, 7})
			fmt.Fprint(stderr, "said")
			to.Step(Step{"applying", 3, 9})
			return 0
		}, []string{"<reading 5000/0>", "<planning 7/7>", "said", "<applying 3/9>"}},
		"no steps": {func(_ context.Context, _ Command, _, stderr io.Writer) int {
			fmt.Fprint(stderr, "said")
			return 0
		}, []string{"said"}},
	} {
		c := dialed(t, &Server{Daemon: newMemory(), Exec: tc.exec})
		var stderr stepped
		if code, err := c.Exec(t.Context(), Command{Args: []string{"run"}}, io.Discard, &stderr); code != 0 || err != nil {
			t.Errorf("%s: got %d, %v", name, code, err)
		}
		rest := stderr.String()
		for _, want := range tc.want {
			_, after, found := strings.Cut(rest, want)
			if !found {
				t.Errorf("%s: %q is missing, or not where it should be, in %s", name, want, stderr.String())
			}
			rest = after
		}
		if rest != "" {
			t.Errorf("%s: %q comes last", name, rest)
		}
	}
	// Whoever does not read holds nobody up.
	over := make(chan struct{})
	c := dialed(t, &Server{Daemon: newMemory(), Exec: func(ctx context.Context, _ Command, _, stderr io.Writer) int {
		defer close(over)
		for i := range 1_000_000 {
			stderr.(Stepper).Step(Step{fmt.Sprint("phase ", i%2), i, 0})
		}
		return 0
	}})
	if _, err := c.Exec(t.Context(), Command{Args: []string{"run"}}, io.Discard, &late{until: over}); err != nil {
		t.Error(err)
	}
}

// late does not read before the command is over.
type late struct {
	bytes.Buffer
	until chan struct{}
}

func (l *late) Step(Step) { <-l.until }

// TestExecFromManyGoroutines holds that output written at the same time comes whole.
func TestExecFromManyGoroutines(t *testing.T) {
	c := dialed(t, &Server{Daemon: newMemory(), Exec: func(_ context.Context, _ Command, stdout, _ io.Writer) int {
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for range 50 {
					fmt.Fprintf(stdout, "%s\n", strings.Repeat(string(rune('a'+i)), 100))
				}
			})
		}
		all.Wait()
		return 0
	}})
	var stdout bytes.Buffer
	if code, err := c.Exec(t.Context(), Command{Args: []string{"x"}}, &stdout, io.Discard); code != 0 || err != nil {
		t.Fatal(code, err)
	}
	n := 0
	for line := range strings.Lines(stdout.String()) {
		if n++; line != strings.Repeat(line[:1], 100)+"\n" {
			t.Errorf("a line is not whole: %q", line)
		}
	}
	if n != 400 {
		t.Errorf("got %d lines, want 400", n)
	}
}

// TestExecEnds holds that a command hears of it when nobody waits any more: its caller is gone, nobody reads, or the daemon stops.
func TestExecEnds(t *testing.T) {
	begun, ended := make(chan struct{}, 1), make(chan error, 1)
	waits := func(ctx context.Context, _ Command, _, _ io.Writer) int {
		begun <- struct{}{}
		<-ctx.Done()
		ended <- ctx.Err()
		return 1
	}
	t.Run("the caller is gone", func(t *testing.T) {
		c := dialed(t, &Server{Daemon: newMemory(), Exec: waits})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-begun; cancel() }()
		if _, err := c.Exec(ctx, Command{Args: []string{"run"}}, io.Discard, io.Discard); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want that it was canceled", err)
		}
		<-ended
	})
	t.Run("the daemon stops", func(t *testing.T) {
		d, err := (&Server{Daemon: newMemory(), Exec: waits}).OpenSocket(t.TempDir() + "/d.sock")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- d.Serve(ctx) }()
		c, err := Dial(d.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		go func() { <-begun; cancel() }()
		code, err := c.Exec(t.Context(), Command{Args: []string{"run"}}, io.Discard, io.Discard)
		if code != 1 || err != nil {
			t.Errorf("got %d, %v, want the code of a command that ended early", code, err)
		}
		<-ended
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Run("nobody reads", func(t *testing.T) {
		over := make(chan error, 1)
		c := dialed(t, &Server{Daemon: newMemory(), Exec: func(ctx context.Context, _ Command, stdout, _ io.Writer) int {
			for ctx.Err() == nil {
				if _, err := stdout.Write(make([]byte, maxFrame)); err != nil {
					over <- err
					<-ctx.Done()
					return 1
				}
			}
			over <- ctx.Err()
			return 1
		}})
		if _, err := c.Exec(t.Context(), Command{Args: []string{"x"}}, broken1{}, io.Discard); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("got %v, want the error of writing", err)
		}
		if err := <-over; err == nil {
			t.Error("the command was not told")
		}
	})
}

type broken1 struct{}

func (broken1) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// TestExecStumbles holds that a command that panics is no command that ended well, and that the daemon goes on.
func TestExecStumbles(t *testing.T) {
	c := dialed(t, &Server{Daemon: newMemory(), Exec: func(_ context.Context, c Command, stdout, _ io.Writer) int {
		fmt.Fprintln(stdout, "so far so good")
		if c.Args[0] == "stumble" {
			panic("oh")
		}
		return 0
	}})
	var stdout bytes.Buffer
	code, err := c.Exec(t.Context(), Command{Args: []string{"stumble"}}, &stdout, io.Discard)
	if code == 0 || dirsync.KindOf(err) != dirsync.Unavailable || stdout.String() != "so far so good\n" {
		t.Errorf("got %d, %v, %q", code, err, stdout.String())
	}
	if code, err := c.Exec(t.Context(), Command{Args: []string{"x"}}, io.Discard, io.Discard); code != 0 || err != nil {
		t.Errorf("afterwards: got %d, %v", code, err)
	}
}

func TestExecRefused(t *testing.T) {
	c := dialed(t, &Server{Daemon: newMemory(), Exec: echo})
	for name, command := range map[string]Command{
		"no arguments": {}, "many arguments": {Args: make([]string, maxArgs+1)},
		"a large command": {Args: []string{strings.Repeat("x", 2<<20)}},
	} {
		if code, err := c.Exec(t.Context(), command, io.Discard, io.Discard); code != -1 || dirsync.KindOf(err) != dirsync.Invalid {
			t.Errorf("%s: got %d, %v, want Invalid", name, code, err)
		}
	}
	none := dialed(t, &Server{Daemon: newMemory()})
	if _, err := none.Exec(t.Context(), Command{Args: []string{"x"}}, io.Discard, io.Discard); dirsync.KindOf(err) != dirsync.NotFound {
		t.Errorf("a daemon without commands: got %v, want NotFound", err)
	}
}

// TestStreamsAreBounded holds that open streams cannot eat the daemon.
func TestStreamsAreBounded(t *testing.T) {
	m := newMemory()
	c := dialed(t, &Server{Daemon: m})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	m.feed.Tell(Progress{Sync: "staff"})
	var open []<-chan Progress
	for range maxStreams {
		news, err := c.Progress(ctx, "staff")
		if err != nil {
			t.Fatal(err)
		}
		<-news
		open = append(open, news)
	}
	if _, err := c.Progress(ctx, "staff"); dirsync.KindOf(err) != dirsync.Unavailable || !strings.Contains(err.Error(), "too many streams") {
		t.Errorf("got %v, want that there are too many", err)
	}
	if _, err := c.Status(ctx); err != nil {
		t.Errorf("other requests: %v", err)
	}
	cancel()
	for _, news := range open {
		for range news {
		}
	}
}
