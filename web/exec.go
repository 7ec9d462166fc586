package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// Command is one command line that the daemon runs for somebody at a terminal of the same machine.
type Command struct {
	// Args are the arguments, without the program's name.
	Args []string `json:"args"`
	// Dir is the working directory of whoever asks, as an absolute path: what relative paths in Args begin at. Empty: none.
	Dir string `json:"dir,omitempty"`
	// Color says that the output is shown on a terminal with colors. Progress says that whoever asks shows how far the command
	// has come; see Step.
	Color    bool `json:"color,omitempty"`
	Progress bool `json:"progress,omitempty"`
}

// Step says how far a command has come.
type Step struct {
	// Phase is what it is doing, in words for people.
	Phase string `json:"phase"`
	// Total is zero while it is not known.
	Done  int `json:"done"`
	Total int `json:"total,omitzero"`
}

// Stepper is what a command's standard error is as well, if Command.Progress: it is shown steps, in place of lines about
// them. Step never waits for whoever reads, who misses steps then, but not the last one of a phase.
type Stepper interface{ Step(s Step) }

// ExecFunc runs a command line and returns its exit code. ctx ends when whoever asked is gone or the daemon stops. Nothing
// may be written after it has returned. A writer's error means that nobody reads any more.
type ExecFunc func(ctx context.Context, c Command, stdout, stderr io.Writer) int

const (
	// execTimeout is how long one piece of output may take to be read. It is long, because people page through output.
	execTimeout = 15 * time.Minute
	// maxFrame is how many bytes of output one frame has.
	maxFrame = 32 << 10
	maxArgs  = 1000
)

// frame is one line of the answer. Output is written in base64, because it need not be text and may be cut anywhere. The
// last frame, and no other, has the exit code.
type frame struct {
	Stdout []byte `json:"stdout,omitempty"`
	Stderr []byte `json:"stderr,omitempty"`
	Step   *Step  `json:"step,omitempty"`
	Exit   *int   `json:"exit,omitempty"`
}

func (h *handler) exec(w http.ResponseWriter, r *http.Request) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	if h.server.Exec == nil {
		return &refusal{code: codeNoSuchPath, detail: "this daemon runs no command lines"}
	}
	var c Command
	if err := decode(w, r, &c); err != nil {
		return err
	}
	switch {
	case len(c.Args) == 0:
		return badRequest("the field args is missing or empty", "")
	case len(c.Args) > maxArgs:
		return badRequest("args has too many entries", "")
	}
	if err := h.server.enter(); err != nil {
		return err
	}
	defer h.server.leave()
	ctx, cancel := h.streaming(r)
	defer cancel()
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := &frames{w: w, rc: http.NewResponseController(w), gone: cancel}
	// The caller learns at once that the command has begun, even if it is silent for long.
	if err := out.begin(); err != nil {
		return nil
	}
	defer out.close()
	steps := &steps{to: out, wake: make(chan struct{}, 1)}
	stderr := output{out, steps, func(b []byte) frame { return frame{Stderr: b} }}
	var errs io.Writer = stderr
	if c.Progress {
		errs = struct {
			output
			Stepper
		}{stderr, steps}
		told := make(chan struct{})
		go func() { defer close(told); steps.tell(ctx) }()
		defer func() { cancel(); <-told }()
	}
	code := h.server.Exec(ctx, c, output{out, steps, func(b []byte) frame { return frame{Stdout: b} }}, errs)
	steps.flush()
	out.end(code)
	return nil
}

const (
	// stepEvery is how often steps are told.
	stepEvery = 100 * time.Millisecond
	// maxPending bounds the phases that somebody may be behind.
	maxPending = 32
)

// steps are those that have not been told yet, of each phase the last one.
type steps struct {
	to   *frames
	wake chan struct{}
	// telling keeps them in order.
	telling sync.Mutex
	mu      sync.Mutex
	pending []Step
}

// Step implements Stepper.
func (s *steps) Step(step Step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.pending); n > 0 && s.pending[n-1].Phase == step.Phase {
		s.pending[n-1] = step
	} else {
		s.pending = append(s.pending[max(0, n-maxPending+1):], step)
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// flush tells what has not been told.
func (s *steps) flush() {
	s.telling.Lock()
	defer s.telling.Unlock()
	s.mu.Lock()
	pending := s.pending
	s.pending = nil
	s.mu.Unlock()
	for _, step := range pending {
		if s.to.write(frame{Step: &step}) != nil {
			return
		}
	}
}

// tell tells steps now and then, until ctx is done.
func (s *steps) tell(ctx context.Context) {
	tick := time.NewTicker(stepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
			s.flush()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// frames writes the frames of one answer, one at a time.
type frames struct {
	mu     sync.Mutex
	w      http.ResponseWriter
	rc     *http.ResponseController
	gone   func()
	closed bool
}

// errOver says that the command has returned, or that nobody reads its output any more.
var errOver = errors.New("nobody reads this any more")

func (f *frames) begin() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	_ = f.rc.SetWriteDeadline(time.Now().Add(writeTimeout)) // a test's recorder has no deadlines
	f.w.WriteHeader(http.StatusOK)
	return f.rc.Flush()
}

func (f *frames) write(fr frame) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return errOver
	}
	b, err := json.Marshal(fr)
	if err == nil {
		_ = f.rc.SetWriteDeadline(time.Now().Add(execTimeout)) // a test's recorder has no deadlines
		_, err = f.w.Write(append(b, '\n'))
	}
	if err == nil {
		err = f.rc.Flush()
	}
	if err != nil {
		f.closed = true
		f.gone()
		return errOver
	}
	return nil
}

func (f *frames) end(code int) { _ = f.write(frame{Exit: &code}) } // if nobody reads, nobody wants to know

// close makes sure that nothing is written once the answer is over.
func (f *frames) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
}

// output is standard output or standard error of a command.
type output struct {
	to     *frames
	before *steps
	as     func([]byte) frame
}

func (o output) Write(b []byte) (int, error) {
	o.before.flush()
	n := 0
	for len(b) > 0 {
		piece := b[:min(len(b), maxFrame)]
		if err := o.to.write(o.as(piece)); err != nil {
			return n, err
		}
		n, b = n+len(piece), b[len(piece):]
	}
	return n, nil
}
