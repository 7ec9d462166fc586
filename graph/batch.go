package graph

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	abs "github.com/microsoft/kiota-abstractions-go"

	"dirsync"
)

const (
	// mostInBatch is how many requests one batch can hold (Graph document "Combine multiple HTTP requests using JSON
	// batching").
	mostInBatch = 20
	// flights is how many batches are under way at a time, and hands how many changes: enough to fill them.
	flights = 4
	hands   = flights * mostInBatch
)

// parcel is one request that travels in a batch.
type parcel struct {
	method string
	// path is below the root of Graph, escaped, with its query: "/users/…".
	path   string
	header map[string]string
	// body is JSON, or nil.
	body []byte
	// again says that sending it twice is the same as sending it once, so that it is sent again whatever became of it.
	again bool

	// pause is a parcel that goes nowhere: its answer comes when it is due.
	pause bool

	tries  int
	waited time.Duration
	due    time.Time

	done   chan struct{}
	answer answer
	err    error
}

func (l *parcel) writes() bool { return l.method != http.MethodGet }

// errUnsure says of a request that it may have taken effect, although no answer says so.
var errUnsure = errors.New("it may have taken effect")

// post carries the requests of many changes, which are made side by side, in batches of twenty. Each inner answer stands
// for itself: what was throttled is sent again when the service says so, and alone; what may have happened is sent again
// only where that does no harm, and is otherwise left to whoever asked, who looks first.
type post struct {
	c  *Client
	op string

	mu sync.Mutex
	// ready can be sent now, later when it is due.
	ready, later []*parcel
	// busy are the hands that wait for no answer, left those that have not come to their end, flying the batches under way.
	busy, left, flying int
	// stop is the error that concerns everybody, once there is one.
	stop error
	wake chan struct{}
}

func (c *Client) newPost(op string) *post { return &post{c: c, op: op, wake: make(chan struct{}, 1)} }

// each does something n times, many at a time, and returns when all is done. Inside, ask sends requests.
func (p *post) each(ctx context.Context, n int, do func(i int)) {
	if n == 0 {
		return
	}
	var next atomic.Int64
	var workers sync.WaitGroup
	p.left = min(n, hands)
	p.busy = p.left
	for range p.left {
		workers.Go(func() {
			defer p.change(func() { p.busy--; p.left-- })
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				do(i)
			}
		})
	}
	p.carry(ctx)
	workers.Wait()
}

// change changes the state and lets carry look at it.
func (p *post) change(how func()) {
	p.mu.Lock()
	how()
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// ask sends a request and waits for its answer, whatever its status below 500 but 429 and 408. An error that wraps
// errUnsure says that the request may have taken effect. Only what each has called may ask.
func (p *post) ask(l *parcel) (answer, error) {
	l.done = make(chan struct{})
	p.change(func() {
		p.busy--
		p.ready = append(p.ready, l)
	})
	<-l.done
	return l.answer, l.err
}

// reply gives a parcel its answer. p.mu is held.
func (p *post) reply(l *parcel, a answer, err error) {
	l.answer, l.err = a, err
	p.busy++
	close(l.done)
}

// carry sends batches until nobody is left who could ask.
func (p *post) carry(ctx context.Context) {
	var under sync.WaitGroup
	defer under.Wait()
	for {
		load, wait, ended := p.load(ctx)
		switch {
		case ended:
			return
		case len(load) > 0:
			if err := p.c.writes.pass(ctx, writesIn(load), p.c.cfg.Now, p.c.cfg.Sleep); err != nil {
				p.land(load, nil, p.c.sendError(ctx, p.op, err))
				continue
			}
			under.Go(func() {
				answers, err := p.send(ctx, load)
				p.land(load, answers, err)
			})
		case wait > 0:
			_ = p.c.cfg.Sleep(ctx, wait) // when ctx ends, load says so to everybody
		default:
			<-p.wake
		}
	}
}

func writesIn(load []*parcel) int {
	n := 0
	for _, l := range load {
		if l.writes() {
			n++
		}
	}
	return n
}

// load takes out what is to be sent next: a full batch, or, when everybody waits, whatever there is. Otherwise it says how
// long to wait for what is due later; zero means until something changes.
func (p *post) load(ctx context.Context) (load []*parcel, wait time.Duration, ended bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stop == nil && ctx.Err() != nil {
		p.stop = p.c.sendError(ctx, p.op, context.Cause(ctx))
	}
	if p.stop != nil {
		for _, l := range slices.Concat(p.ready, p.later) {
			p.reply(l, answer{}, p.stop)
		}
		p.ready, p.later = nil, nil
	}
	now := p.c.cfg.Now()
	p.later = slices.DeleteFunc(p.later, func(l *parcel) bool {
		switch {
		case l.due.After(now):
			return false
		case l.pause:
			p.reply(l, answer{}, nil)
		default:
			p.ready = append(p.ready, l)
		}
		return true
	})
	idle := p.busy == 0 && p.flying == 0
	switch {
	case p.left == 0:
		return nil, 0, true
	case p.flying < flights && (len(p.ready) >= mostInBatch || idle && len(p.ready) > 0):
		n := min(len(p.ready), mostInBatch)
		load, p.ready = p.ready[:n:n], p.ready[n:]
		p.flying++
	case idle && len(p.later) > 0:
		first := slices.MinFunc(p.later, func(a, b *parcel) int { return a.due.Compare(b.due) })
		wait = max(first.due.Sub(now), time.Millisecond)
	}
	return load, wait, false
}

// land deals with what came of a batch: an answer for each parcel, which may be the zero one where there is none, or an
// error for all.
func (p *post) land(load []*parcel, answers []answer, err error) {
	p.change(func() {
		p.flying--
		for i, l := range load {
			switch {
			case err == nil:
				p.settle(l, answers[i])
			case errors.Is(err, errUnsure):
				p.unanswered(l, answer{}, err)
			default:
				p.reply(l, answer{}, err)
			}
		}
		if err != nil && p.stop == nil && concernsAll(err) {
			p.stop = err
		}
	})
}

// concernsAll tells errors that say nothing about the request that met them.
func concernsAll(err error) bool {
	switch dirsync.KindOf(err) {
	case dirsync.Unauthorized, dirsync.Throttled:
		return true
	}
	return isEnded(err)
}

// settle replies to a parcel, or puts it back to be sent again.
func (p *post) settle(l *parcel, a answer) {
	switch {
	case a.status == http.StatusTooManyRequests:
		wait, asked := retryAfter(a.header, p.c.cfg.Now())
		if !asked || wait <= 0 {
			wait = p.backoff(l)
		}
		limits := defaultLimits()
		if wait > limits.wait || l.waited+wait > limits.total {
			err := p.c.graphError(p.op, a)
			if e, ok := errors.AsType[*dirsync.Error](err); ok {
				e.RetryAt, e.Hint = p.c.cfg.Now().Add(wait), throttledHint
			}
			p.reply(l, a, err)
			if p.stop == nil {
				p.stop = err
			}
			return
		}
		if l.writes() {
			p.c.writes.close(p.c.cfg.Now().Add(wait))
		}
		p.postpone(l, wait)
	case a.status >= 500 || a.status == 0 || a.status == http.StatusRequestTimeout:
		err := errors.New("no answer to it was in the batch")
		if a.status > 0 {
			err = p.c.graphError(p.op, a)
		}
		p.unanswered(l, a, p.unsure(err))
	case a.status == http.StatusConflict && parseGraphError(a.body).is("Directory_ConcurrencyViolation") && l.tries < defaultLimits().attempts:
		p.postpone(l, p.backoff(l)) // somebody else was just writing the same object; nothing has happened
	default:
		p.reply(l, a, nil)
	}
}

const throttledHint = "Microsoft Graph limits how much an application writes in a tenant at a time: 3,000 writes in two and a half minutes. Nobody is lost: what was not written is written when the pause is over."

// unanswered sends a parcel again if that does no harm, and otherwise says that it may have taken effect.
func (p *post) unanswered(l *parcel, a answer, err error) {
	if !l.again && l.writes() || l.tries+1 >= defaultLimits().attempts {
		p.reply(l, a, err)
		return
	}
	wait := p.backoff(l)
	if asked, ok := retryAfter(a.header, p.c.cfg.Now()); ok {
		wait = max(wait, asked)
	}
	if wait > defaultLimits().wait || l.waited+wait > defaultLimits().total {
		p.reply(l, a, err)
		return
	}
	p.postpone(l, wait)
}

func (p *post) postpone(l *parcel, wait time.Duration) {
	l.tries++
	l.waited += wait
	l.due = p.c.cfg.Now().Add(wait)
	p.later = append(p.later, l)
}

// backoff is how long to wait when nobody says how long.
func (*post) backoff(l *parcel) time.Duration {
	return (&retrying{limits: defaultLimits()}).backoff(l.tries + 1)
}

// backOff is how long to wait before asking once more about something that takes its time: a second, and twice as long each
// time, half a minute at most.
func backOff(n int) time.Duration { return min(time.Second<<min(n, 5), 30*time.Second) }

// pause waits while others go on. It is for whoever asks.
func (p *post) pause(d time.Duration) error {
	l := &parcel{method: http.MethodGet, pause: true, due: p.c.cfg.Now().Add(d), done: make(chan struct{})}
	p.change(func() {
		p.busy--
		p.later = append(p.later, l)
	})
	<-l.done
	return l.err
}

// unsure is err as an error of a request that may have taken effect.
func (p *post) unsure(err error) error {
	e := &dirsync.Error{Op: p.op, Kind: dirsync.Unavailable, Hint: dirsync.HintOf(err), RetryAt: dirsync.RetryAt(err)}
	e.Err = fmt.Errorf("%w: %w", errUnsure, bare(err))
	return e
}

// bare is what went wrong, without what was being done.
func bare(err error) error {
	if e, ok := err.(*dirsync.Error); ok && e.Err != nil { //nolint:errorlint // only the outermost is taken off
		return e.Err
	}
	return err
}

// unitsKey finds, in a context, what a request costs that cannot be seen from the outside.
type unitsKey struct{}

// send sends a batch and returns the answers in the order of the parcels; the zero answer where there is none. An error
// that wraps errUnsure says that the batch may have taken effect.
func (p *post) send(ctx context.Context, load []*parcel) ([]answer, error) {
	// Texts and valid JSON always marshal.
	body, err := json.Marshal(batchOf(load))
	if err != nil {
		return nil, &dirsync.Error{Op: p.op, Kind: dirsync.Unavailable, Err: errors.New("the batch could not be built")}
	}
	info := abs.NewRequestInformationWithMethodAndUrlTemplateAndPathParameters(abs.POST, "{+baseurl}/$batch", p.c.pathParameters())
	info.Headers.TryAdd("Accept", "application/json")
	info.SetStreamContentAndContentType(body, "application/json")
	ctx = context.WithValue(ctx, unitsKey{}, float64(len(load)))
	shot := new(oneShot)
	if writesIn(load) > 0 {
		ctx = context.WithValue(ctx, oneShotKey{}, shot)
	}
	a, err := p.c.send(ctx, p.op, info, nil)
	switch {
	case err != nil && shot.lost.Load():
		return nil, p.unsure(err)
	case err != nil:
		return nil, err
	case a.status != http.StatusOK:
		err := p.c.graphError(p.op, a)
		if e, ok := errors.AsType[*dirsync.Error](err); ok && (e.Kind == dirsync.Invalid || e.Kind == dirsync.NotFound) {
			e.Kind = dirsync.Unavailable // the batch is refused, and nobody's values
		}
		if a.status >= 500 {
			err = p.unsure(err)
		}
		return nil, err
	}
	answers, err := readBatch(a.body, len(load))
	if err != nil {
		return nil, p.unsure(p.c.decodeError(p.op, a, err))
	}
	return answers, nil
}

// batchOf is the body of a batch. The ids of its requests are their places, from 1.
func batchOf(load []*parcel) any {
	type request struct {
		ID      string            `json:"id"`
		Method  string            `json:"method"`
		URL     string            `json:"url"`
		Headers map[string]string `json:"headers,omitempty"`
		Body    json.RawMessage   `json:"body,omitempty"`
	}
	requests := make([]request, len(load))
	for i, l := range load {
		header := l.header
		if l.body != nil {
			header = map[string]string{"Content-Type": "application/json"}
			for name, value := range l.header {
				header[name] = value
			}
		}
		requests[i] = request{strconv.Itoa(i + 1), l.method, l.path, header, l.body}
	}
	return struct {
		Requests []request `json:"requests"`
	}{requests}
}

// readBatch reads the answers of a batch of n requests, which come in any order. One that is missing, or that was
// answered twice and differently, is the zero answer: nobody knows what became of it.
func readBatch(body []byte, n int) ([]answer, error) {
	if _, err := document(body); err != nil {
		return nil, err
	}
	var doc struct {
		Responses *[]struct {
			ID      string
			Status  int
			Headers map[string]json.RawMessage
			Body    json.RawMessage
		}
	}
	if err := json.Unmarshal(body, &doc); err != nil || doc.Responses == nil {
		return nil, errors.New(`it has no list of answers: "responses" is missing or no array of answers`)
	}
	answers := make([]answer, n)
	twice := make([]bool, n)
	for _, r := range *doc.Responses {
		i, err := strconv.Atoi(r.ID)
		if err != nil || i < 1 || i > n {
			return nil, fmt.Errorf("it answers a request %q that was not in the batch", clip(r.ID))
		}
		i--
		a := answer{status: max(r.Status, 0), header: http.Header{}, body: innerBody(r.Body)}
		twice[i] = twice[i] || answers[i].status > 0 && (answers[i].status != a.status || !bytes.Equal(answers[i].body, a.body))
		for name, value := range r.Headers {
			a.header.Set(name, plain(value))
		}
		answers[i] = a
	}
	for i := range answers {
		if twice[i] {
			answers[i] = answer{}
		}
	}
	return answers, nil
}

// innerBody is the body of an inner answer: JSON as it is, and anything else, which comes as a text in base 64, decoded.
func innerBody(raw json.RawMessage) []byte {
	var text string
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &text) != nil {
		return raw
	}
	if decoded, err := base64.StdEncoding.DecodeString(text); err == nil {
		return decoded
	}
	return []byte(text)
}
