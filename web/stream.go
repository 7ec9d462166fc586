package web

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// streamTimeout is how long one event may take to be read.
const streamTimeout = 10 * time.Second

// streaming returns a context that ends with the request or with the door.
func (h *handler) streaming(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(r.Context())
	unbind := context.AfterFunc(h.stop, cancel)
	return ctx, func() { unbind(); cancel() }
}

// progress tells how a sync's runs come along, as server-sent events of type "progress". Whoever does not keep up is
// dropped, and told so by "end" if they still listen; connecting again begins with how things stand.
func (h *handler) progress(w http.ResponseWriter, r *http.Request) error {
	name, err := syncName(r)
	if err != nil {
		return err
	}
	if _, err := parameters(r); err != nil {
		return err
	}
	if err := h.server.enter(); err != nil {
		return err
	}
	defer h.server.leave()
	ctx, cancel := h.streaming(r)
	defer cancel()
	news, err := h.server.Daemon.Progress(ctx, name)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // proxies of the kind of nginx would keep the events to themselves
	rc := http.NewResponseController(w)
	write := func(text string) bool {
		_ = rc.SetWriteDeadline(time.Now().Add(streamTimeout)) // a test's recorder has no deadlines
		_, err := w.Write([]byte(text))
		return err == nil && rc.Flush() == nil
	}
	if !write("retry: 3000\n\n") {
		return nil
	}
	beat := time.NewTicker(heartbeatEvery)
	defer beat.Stop()
	for {
		text := ": still here\n\n"
		select {
		case <-ctx.Done():
			return nil
		case <-beat.C:
		case p, open := <-news:
			if !open {
				write("event: end\ndata: {}\n\n")
				return nil
			}
			data, err := json.Marshal(p)
			if err != nil { // texts, numbers and times
				return nil
			}
			text = "event: progress\ndata: " + string(data) + "\n\n"
		}
		if !write(text) {
			return nil
		}
	}
}

// Feed hands progress from runs to whoever watches. Telling never waits: a watcher who does not keep up is dropped, by
// closing their channel. The zero Feed is ready, and its methods may be called from several goroutines.
type Feed struct {
	mu       sync.Mutex
	last     map[string]Progress
	watchers map[string]map[chan Progress]struct{}
}

// backlog is how many events a watcher may be behind.
const backlog = 64

// Tell passes news on to the watchers of their sync, and keeps them for those who come later.
func (f *Feed) Tell(p Progress) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.last == nil {
		f.last = map[string]Progress{}
	}
	f.last[p.Sync] = p
	for c := range f.watchers[p.Sync] {
		select {
		case c <- p:
		default:
			f.drop(p.Sync, c)
		}
	}
}

// Last returns the latest news of a sync, and false when there were none.
func (f *Feed) Last(sync string) (Progress, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, ok := f.last[sync]
	return p, ok
}

// Watch returns a channel with the latest news of a sync, if there are any, and all that follow, until ctx is done or
// whoever reads has fallen too far behind. Then it is closed.
func (f *Feed) Watch(ctx context.Context, sync string) <-chan Progress {
	c := make(chan Progress, backlog)
	f.mu.Lock()
	defer f.mu.Unlock()
	if p, ok := f.last[sync]; ok {
		c <- p
	}
	if f.watchers == nil {
		f.watchers = map[string]map[chan Progress]struct{}{}
	}
	if f.watchers[sync] == nil {
		f.watchers[sync] = map[chan Progress]struct{}{}
	}
	f.watchers[sync][c] = struct{}{}
	context.AfterFunc(ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.drop(sync, c)
	})
	return c
}

// drop closes a watcher's channel, once. The lock is held.
func (f *Feed) drop(sync string, c chan Progress) {
	if _, there := f.watchers[sync][c]; there {
		delete(f.watchers[sync], c)
		close(c)
	}
}
