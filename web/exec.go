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
	// Width is how many columns the terminal has; zero when the output is not shown on one. Color says whether it shows colors.
	Width int  `json:"width,omitempty"`
	Color bool `json:"color,omitempty"`
}

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
	case c.Width < 0 || c.Width > 10_000:
		return badRequest("width is not from 0 to 10000", "")
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
	code := h.server.Exec(ctx, c, output{out, func(b []byte) frame { return frame{Stdout: b} }}, output{out, func(b []byte) frame { return frame{Stderr: b} }})
	out.end(code)
	return nil
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
	to *frames
	as func([]byte) frame
}

func (o output) Write(b []byte) (int, error) {
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
