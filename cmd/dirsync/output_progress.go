package main

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"dirsync/sync/engine"
	"dirsync/web"
)

// Progress tells a person how far a long task has come. Its methods may be called from several goroutines, as often
// as there is news; it never fails the task.
type Progress interface {
	// Show says that done of total pieces of a phase are behind us. A total of zero or less means that nobody knows
	// how many there are. A phase begins when it is first shown, and ends when another begins or at Close.
	Show(phase string, done, total int)
	// Say puts words behind the figures of this phase until others are said; "" takes them away. In a log, now writes a line
	// at once.
	Say(words string, now bool)
	// Close ends the last phase and leaves the terminal as it was. It may be called more than once.
	Close()
}

// progressEvery is how often a log is told of progress.
const progressEvery = 10 * time.Second

// newProgress returns what suits w, which is standard error in practice: a bar on a terminal; a plain line every ten
// seconds and at the end of each phase elsewhere; and nothing at all when a program reads the output (json) and nobody
// watches. In the daemon it is shown by whoever has asked for the command.
func newProgress(w io.Writer, json bool) Progress {
	if to, ok := w.(web.Stepper); ok {
		return &elsewhere{to: to}
	}
	switch {
	case isTerminal(w):
		return newBars(w)
	case json:
		return silent{}
	default:
		return &lines{w: w, every: progressEvery}
	}
}

// elsewhere is progress that is shown by whoever has asked the daemon for the command.
type elsewhere struct {
	to web.Stepper

	mu    sync.Mutex
	step  web.Step
	words string
}

// besidesPhase parts a phase from the words that are said about it.
const besidesPhase = "; "

func (e *elsewhere) Show(phase string, done, total int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if phase != e.step.Phase {
		e.words = ""
	}
	e.step = web.Step{Phase: phase, Done: done, Total: total}
	e.tell()
}

func (e *elsewhere) tell() {
	step := e.step
	if e.words != "" {
		step.Phase += besidesPhase + e.words
	}
	e.to.Step(step)
}
func (e *elsewhere) Say(words string, _ bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.words != words {
		e.words = words
		e.tell()
	}
}

func (*elsewhere) Close() {}

type silent struct{}

func (silent) Show(string, int, int) {}
func (silent) Say(string, bool)      {}
func (silent) Close()                {}

// lines is progress for logs.
type lines struct {
	w     io.Writer
	every time.Duration

	mu          sync.Mutex
	phase       string
	began, last time.Time
	done, total int
	words       string
	closed      bool
}

func (l *lines) Show(phase string, done, total int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	now := time.Now()
	if phase != l.phase {
		l.end(now)
		l.phase, l.began, l.last, l.words = phase, now, now, ""
	}
	l.done, l.total = done, total
	if now.Sub(l.last) >= l.every {
		l.last = now
		l.write("")
	}
}

func (l *lines) Say(words string, now bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.phase == "" || words == l.words {
		return
	}
	if l.words = words; now && words != "" {
		l.last = time.Now()
		l.write("")
	}
}

func (l *lines) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end(time.Now())
	l.phase, l.closed = "", true
}

// end writes the last line of a phase, with the time that it took.
func (l *lines) end(now time.Time) {
	if l.phase == "" {
		return
	}
	l.words = ""
	l.write(" in " + roughly(now.Sub(l.began)))
}

func (l *lines) write(suffix string) {
	text := clean(l.phase) + ": " + number(l.done)
	if l.total > 0 {
		text += " of " + number(l.total)
	}
	if l.words != "" {
		text += ", " + clean(l.words)
	}
	_, _ = fmt.Fprintln(l.w, text+suffix)
}

// bars is progress for a person: one bar a phase.
type bars struct {
	mu       sync.Mutex
	progress *mpb.Progress
	bar      *mpb.Bar
	phase    string
	// words are what is said of the phase; the bar asks for them whenever it is drawn.
	words atomic.Pointer[string]
	// short says that less is done than the total, as far as we were told.
	short bool
}

func newBars(w io.Writer, options ...mpb.ContainerOption) *bars {
	return &bars{progress: mpb.New(append([]mpb.ContainerOption{mpb.WithOutput(w), mpb.WithWidth(40)}, options...)...)}
}

func (b *bars) Show(phase string, done, total int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.progress == nil {
		return
	}
	if phase != b.phase {
		b.end()
		b.phase = phase
		b.words.Store(nil)
		b.bar = b.progress.AddBar(0,
			mpb.PrependDecorators(decor.Name(clean(phase), decor.WC{W: 12, C: decor.DindentRight})),
			mpb.AppendDecorators(decor.Any(func(s decor.Statistics) string {
				if s.Total > 0 && !s.Completed {
					return number(int(s.Current)) + " of " + number(int(s.Total))
				}
				return number(int(s.Current))
			}), decor.Any(func(decor.Statistics) string {
				if words := b.words.Load(); words != nil && *words != "" {
					return ", " + clean(*words)
				}
				return ""
			}), decor.Elapsed(decor.ET_STYLE_GO, decor.WC{W: 8})))
	}
	// A total of zero keeps the bar open, however much is done.
	b.bar.SetTotal(int64(max(total, 0)), false)
	b.bar.SetCurrent(int64(done))
	b.short = total > 0 && done < total
}

func (b *bars) Say(words string, _ bool) { b.words.Store(&words) }

func (b *bars) end() {
	switch {
	case b.bar == nil:
		return
	case b.short:
		// A phase that was cut short stays as it is, and must not look complete.
		b.bar.Abort(false)
	default:
		// A negative total takes what is done for the whole, which ends the bar even if the total was never known.
		b.bar.SetTotal(-1, true)
	}
	b.bar = nil
}

func (b *bars) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.progress == nil {
		return
	}
	b.end()
	b.progress.Wait()
	b.progress = nil
}

// showProgress shows how far a run has come.
func (a *app) showProgress(to Progress, p engine.Progress) {
	to.Say(waitWords(p.Parked, p.Left, a.now()))
	to.Show(phaseWords(p.Phase), p.Done, p.Total)
}

// waits begins the words of a run that waits. They are said at once.
const waits = "waits until "

// waitWords says until when a run waits, or about how long it will take, and whether that is news.
func waitWords(parked time.Time, left time.Duration, now time.Time) (words string, news bool) {
	const worthSaying = 10 * time.Second
	rest := ""
	if left >= worthSaying {
		rest = "about " + roughly(left.Round(time.Second)) + " left"
	}
	if parked.IsZero() {
		return rest, false
	}
	words = waits + stamp(parked, now.Location()) + ", because the target wants to be left alone"
	if rest != "" {
		words += ", and then " + rest
	}
	return words, true
}
