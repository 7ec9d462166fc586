package notify

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"dirsync"
)

// Delivered counts what one Deliver did.
type Delivered struct{ Sent, Again, GivenUp, Unsure int }

const (
	// page is how many messages are read from the outbox at a time.
	page = 100
	// atOnce is how many messages of one channel are sent at the same time. Mail services allow few connections:
	// Exchange Online three.
	atOnce = 2
	// every is how often Run looks whether anything is due.
	every = 15 * time.Second
)

// Deliver tries everything that is due at now, each message once, and returns when all have been tried. That one message
// cannot be delivered does not stop the others, nor does a slow channel stop another. The error is of the outbox alone:
// what was to be kept may not have been kept, and is tried again.
func (n *Notifier) Deliver(ctx context.Context, now time.Time) (Delivered, error) {
	n.delivering.Lock()
	defer n.delivering.Unlock()
	now = plainTime(now)
	if err := n.decide(ctx, now, nil); err != nil {
		return Delivered{}, err
	}
	d := delivery{Notifier: n, now: now, tried: map[string]bool{}}
	for {
		due, err := n.c.Outbox.Due(ctx, now, d.resting(), page)
		if err != nil {
			return d.count, fmt.Errorf("read the outbox: %w", err)
		}
		if !d.round(ctx, due) || len(d.errs) > 0 || ctx.Err() != nil {
			return d.count, errors.Join(d.errs...)
		}
	}
}

// delivery is one call of Deliver.
type delivery struct {
	*Notifier
	now   time.Time
	mu    sync.Mutex // guards what follows
	count Delivered
	tried map[string]bool
	errs  []error
}

// resting lists the channels that are stopped now.
func (d *delivery) resting() []string {
	var names []string
	for _, s := range d.Stopped() {
		if d.now.Before(s.Until) {
			names = append(names, s.Channel)
		}
	}
	return names
}

// round tries messages, channel by channel at the same time. It returns false when there was none that had not been
// tried before.
func (d *delivery) round(ctx context.Context, due []Message) bool {
	queues := map[string]chan Message{}
	for _, m := range due {
		if d.tried[m.ID] {
			continue
		}
		d.tried[m.ID] = true
		if queues[m.Channel] == nil {
			queues[m.Channel] = make(chan Message, len(due))
		}
		queues[m.Channel] <- m
	}
	var wg sync.WaitGroup
	for _, q := range queues {
		close(q)
		for range min(atOnce, len(q)) {
			wg.Go(func() {
				for m := range q {
					if ctx.Err() == nil && !d.isResting(m.Channel) {
						d.keep(d.attempt(ctx, m))
					}
				}
			})
		}
	}
	wg.Wait()
	return len(queues) > 0
}

func (d *delivery) isResting(channel string) bool {
	d.Notifier.mu.Lock()
	defer d.Notifier.mu.Unlock()
	s, ok := d.stopped[channel]
	return ok && d.now.Before(s.Until)
}

func (d *delivery) keep(err error) {
	if err != nil {
		d.mu.Lock()
		d.errs = append(d.errs, err)
		d.mu.Unlock()
	}
}

// attempt tries one message. Before and after, the outbox says so; wherever the process ends, the next one knows.
func (d *delivery) attempt(ctx context.Context, m Message) error {
	s := d.sender(m.Channel)
	if s == nil {
		m.Delivery.Status, m.Delivery.Ended, m.Delivery.Due, m.Delivery.Trying = GivenUp, d.now, time.Time{}, false
		m.Delivery.Answer = "the channel " + clean(m.Channel, MaxCell) + " is no longer configured"
		return d.ended(ctx, m)
	}
	repeatable := canRepeat(s)
	before := m.Delivery
	var ok bool
	if m.Delivery, ok = begin(m.Delivery, repeatable, d.now); !ok {
		return d.ended(ctx, m)
	}
	if err := d.c.Outbox.Record(ctx, m.ID, m.Delivery); err != nil {
		return fmt.Errorf("write to the outbox: %w", err)
	}
	// What comes of it is written down even if everything is ending meanwhile.
	ctxKeep, cancelKeep := context.WithTimeout(context.WithoutCancel(ctx), d.c.Timeout)
	defer cancelKeep()
	answer, err := send(ctx, s, m, d.c.Timeout)
	if err != nil && ctx.Err() != nil && !errors.Is(err, ErrUnsure) {
		// We broke it off ourselves, before it could arrive. A doubt from before is kept in the count.
		before.Trying, before.Doubts = false, m.Delivery.Doubts
		return d.record(ctxKeep, m.ID, before)
	}
	var stop bool
	m.Delivery, stop = d.c.Retry.settle(m, answer, err, repeatable, d.now)
	switch {
	case stop:
		d.stop(ctxKeep, m, err)
		return d.record(ctxKeep, m.ID, m.Delivery)
	case m.Delivery.Status != Waiting:
		return d.ended(ctxKeep, m)
	}
	d.c.Log.Warn().Str("message", m.ID).Str("channel", m.Channel).Str("to", m.To.Address).Str("error", m.Delivery.Answer).
		Int("attempts", m.Delivery.Attempts).Time("next", m.Delivery.Due).Msg("a notification could not be delivered yet")
	d.add(func(c *Delivered) { c.Again++ })
	return d.record(ctxKeep, m.ID, m.Delivery)
}

func (d *delivery) record(ctx context.Context, id string, x Delivery) error {
	if err := d.c.Outbox.Record(ctx, id, x); err != nil {
		return fmt.Errorf("write to the outbox: %w", err)
	}
	return nil
}

func (d *delivery) add(fn func(*Delivered)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fn(&d.count)
}

// ended keeps the end of a message. Those that may not have arrived are first told of in the inbox, so that a crash in
// between repeats it.
func (d *delivery) ended(ctx context.Context, m Message) error {
	line := d.c.Log.Error()
	switch m.Delivery.Status {
	case Sent:
		line = d.c.Log.Debug()
		d.add(func(c *Delivered) { c.Sent++ })
		d.works(m.Channel)
	case Unsure:
		d.add(func(c *Delivered) { c.Unsure++ })
	default:
		d.add(func(c *Delivered) { c.GivenUp++ })
	}
	line.Str("message", m.ID).Str("channel", m.Channel).Str("to", m.To.Address).Str("answer", m.Delivery.Answer).
		Int("attempts", m.Delivery.Attempts).Msg("notification " + string(m.Delivery.Status))
	if m.Delivery.Status != Sent && m.Channel != InboxChannel {
		to := ""
		if m.To.Address != "" {
			to = " to " + m.To.Address
		}
		d.alarm(ctx, Note{ID: "undelivered-" + m.ID, Kind: m.News[0].Kind,
			Title: fmt.Sprintf("A message by %s%s did not arrive, or may not have: %s", m.Channel, to, subject(m.News)),
			Text:  m.Delivery.Answer})
	}
	return d.record(ctx, m.ID, m.Delivery)
}

// stop leaves a channel alone for a while, and says so where people will see it.
func (d *delivery) stop(ctx context.Context, m Message, err error) {
	now := d.now
	d.Notifier.mu.Lock()
	s, again := d.stopped[m.Channel]
	if !again {
		s = Stop{Channel: m.Channel, Since: now}
	}
	s.Until, s.Error = now.Add(d.c.Retry.Rest), clean(err.Error(), 400)
	d.stopped[m.Channel] = s
	d.Notifier.mu.Unlock()
	d.c.Log.Error().Str("channel", m.Channel).Str("error", s.Error).Str("hint", dirsync.HintOf(err)).Time("next", s.Until).
		Msg("notifications through this channel have stopped")
	if m.Channel != InboxChannel {
		d.alarm(ctx, Note{ID: "stopped-" + m.ID, Kind: m.News[0].Kind,
			Title: "Messages by " + m.Channel + " cannot be delivered until somebody puts it right",
			Text:  clean(s.Error+". "+dirsync.HintOf(err), MaxReason)})
	}
}

// works forgets that a channel was stopped.
func (n *Notifier) works(channel string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.stopped, channel)
}

// alarm puts a note into the inbox of everybody who has one.
func (d *delivery) alarm(ctx context.Context, note Note) {
	if d.c.Inbox == nil {
		return
	}
	var notes []Note
	seen := map[string]bool{"": true}
	for _, r := range d.recipients() {
		if !seen[r.User] {
			seen[r.User] = true
			note.User, note.At = r.User, d.now
			notes = append(notes, note)
		}
	}
	if len(notes) == 0 {
		return
	}
	if err := d.c.Inbox.Add(ctx, notes); err != nil {
		d.c.Log.Error().Str("note", note.Title).Str("error", clean(err.Error(), 400)).Msg("the inbox could not be told")
	}
}

// send calls a Sender, which may be somebody else's code, within a time, and turns a panic into an error.
func send(ctx context.Context, s Sender, m Message, timeout time.Duration) (answer string, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			// What it says may hold anything, and is not repeated.
			err = fault("send", dirsync.Unknown, "", fmt.Errorf("%w: the sender of %s panicked", ErrUnsure, m.Channel))
		}
	}()
	return s.Send(ctx, m)
}

func canRepeat(s Sender) bool {
	r, ok := s.(Repeatable)
	return ok && r.Repeatable()
}

// Run delivers until ctx ends, and then returns nil: whatever is due, at once when Tell or Wake is called, and every
// fifteen seconds. Errors of the store are logged, and it goes on.
func (n *Notifier) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var pruned time.Time
	for {
		now := time.Now()
		if _, err := n.Deliver(ctx, now); err != nil && ctx.Err() == nil {
			n.c.Log.Error().Str("error", clean(err.Error(), 400)).Msg("the notifications could not be looked at")
		}
		if now.Sub(pruned) >= 24*time.Hour {
			n.prune(ctx, now)
			pruned = now
		}
		select {
		case <-ctx.Done():
			return nil
		case <-n.wake:
		case <-tick.C:
		}
	}
}

func (n *Notifier) prune(ctx context.Context, now time.Time) {
	_, err := n.c.Outbox.PruneMessages(ctx, now.Add(-n.c.KeepMessages))
	if n.c.Inbox != nil {
		_, noteErr := n.c.Inbox.PruneNotes(ctx, now.Add(-n.c.KeepNotes))
		err = errors.Join(err, noteErr)
	}
	if err != nil && ctx.Err() == nil {
		n.c.Log.Error().Str("error", clean(err.Error(), 400)).Msg("old notifications could not be removed")
	}
}

// Tried is what came of a test through one channel.
type Tried struct {
	Channel string
	// Answer is what the other side said.
	Answer string
	Err    error
}

// Test sends a test message to one recipient, by e-mail and into the inbox, or, for the zero Recipient, to every other
// channel; now, without the outbox, once. It returns what came of each. A channel that works is no longer stopped.
func (n *Notifier) Test(ctx context.Context, now time.Time, to Recipient) []Tried {
	now = plainTime(now)
	var channels []string
	if to.Address != "" {
		channels = append(channels, EmailChannel)
	}
	if to.User != "" {
		channels = append(channels, InboxChannel)
	}
	if to == (Recipient{}) {
		for _, ch := range n.c.Channels {
			channels = append(channels, ch.Name)
		}
	}
	var all []Tried
	for _, channel := range channels {
		t := Tried{Channel: channel}
		m := testMessage(channel, to, now)
		if s := n.sender(channel); s == nil {
			t.Err = fault("test", dirsync.Invalid, "", fmt.Errorf("nothing is configured that sends by %s", channel))
		} else if t.Answer, t.Err = send(ctx, s, m, n.c.Timeout); t.Err == nil {
			n.Resume(channel)
		}
		all = append(all, t)
	}
	return all
}
