package notify

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/mail"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"dirsync"
)

// The channels that go to single people.
const (
	EmailChannel = "email"
	InboxChannel = "inbox"
)

// Channel is a place where news of several syncs goes: a chat, a webhook.
type Channel struct {
	// Name is what people call it, unique and neither EmailChannel nor InboxChannel.
	Name   string
	Sender Sender
	// Syncs are those whose news goes there; empty means all.
	Syncs []string
}

// Config is what a Notifier is made of.
type Config struct {
	Policy Policy
	Retry  Retry
	// Syncs says, for every sync there is, who is told of it. News without a sync goes to everybody.
	Syncs map[string][]Recipient
	// Mail sends e-mail; nil if no recipient has an address.
	Mail     Sender
	Channels []Channel
	Outbox   Outbox
	// Inbox may be nil if no recipient is a user.
	Inbox Inbox
	// Timeout is how long one attempt may take; zero means a minute.
	Timeout time.Duration
	// KeepMessages and KeepNotes are how long ended messages and notes are kept; zero means 90 days and a year.
	KeepMessages, KeepNotes time.Duration
	// Log gets a line for every attempt that did not succeed, and for what was given up.
	Log zerolog.Logger
}

// Notifier tells people. Its methods may be called at the same time.
type Notifier struct {
	c    Config
	wake chan struct{}
	// telling guards reading, deciding and keeping the state; delivering lets one delivery run at a time.
	telling, delivering sync.Mutex
	// mu guards stopped.
	mu      sync.Mutex
	stopped map[string]Stop
}

// Stop says that a channel is left alone, because it does not accept our credential or our settings.
type Stop struct {
	Channel      string
	Since, Until time.Time
	// Error says why, for people.
	Error string
}

// New checks c and makes a Notifier of it. The error lists everything that is wrong.
func New(c Config) (*Notifier, error) {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Outbox == nil {
		bad("there is no outbox")
	}
	for _, name := range sortedKeys(c.Syncs) {
		for _, r := range c.Syncs[name] {
			switch {
			case r.Address == "" && r.User == "":
				bad("sync %s: the recipient %q has neither an e-mail address nor a user", name, clean(r.Name, MaxCell))
			case r.Address != "" && c.Mail == nil:
				bad("sync %s: %s is to be told by e-mail, but nothing is configured that sends e-mail", name, clean(r.Address, MaxCell))
			case r.User != "" && c.Inbox == nil:
				bad("sync %s: the user %s is to be told, but there is no inbox", name, clean(r.User, MaxCell))
			}
			if r.Address != "" {
				if err := checkAddress(r.Address); err != nil {
					bad("sync %s: %w", name, err)
				}
			}
		}
	}
	seen := map[string]bool{EmailChannel: true, InboxChannel: true, "": true}
	for _, ch := range c.Channels {
		if seen[ch.Name] {
			bad("channel %q: the name is taken or empty", ch.Name)
		}
		seen[ch.Name] = true
		if ch.Sender == nil {
			bad("channel %q: nothing sends there", ch.Name)
		}
		for _, s := range ch.Syncs {
			if _, ok := c.Syncs[s]; !ok {
				bad("channel %q: there is no sync %q", ch.Name, s)
			}
		}
	}
	if len(errs) > 0 {
		return nil, fault("notify", dirsync.Invalid, "", errors.Join(errs...))
	}
	c.Timeout = cmp.Or(c.Timeout, time.Minute)
	c.KeepMessages = cmp.Or(c.KeepMessages, 90*24*time.Hour)
	c.KeepNotes = cmp.Or(c.KeepNotes, 365*24*time.Hour)
	return &Notifier{c: c, wake: make(chan struct{}, 1), stopped: map[string]Stop{}}, nil
}

// checkAddress refuses what is not one plain e-mail address.
func checkAddress(s string) error {
	a, err := mail.ParseAddress(s)
	if err != nil || a.Name != "" || a.Address != s || clean(s, 320) != s {
		return fmt.Errorf("%q is not an e-mail address; write it as name@example.com", clean(s, MaxCell))
	}
	return nil
}

// Tell takes in news at now. When it returns nil the news is durable; it is delivered by Deliver or Run, which it wakes.
// News of a sync that is not configured is an error, and then none of the news is taken in.
func (n *Notifier) Tell(ctx context.Context, now time.Time, news ...News) error {
	for _, x := range news {
		if _, ok := n.c.Syncs[x.Sync]; !ok && x.Sync != "" {
			return fault("tell", dirsync.Invalid, "", fmt.Errorf("there is no sync %q", x.Sync))
		}
	}
	if err := n.decide(ctx, now, news); err != nil {
		return err
	}
	n.Wake()
	return nil
}

// Wake makes Run look at the outbox at once.
func (n *Notifier) Wake() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// Stopped lists the channels that are left alone now, by name.
func (n *Notifier) Stopped() []Stop {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []Stop
	for _, s := range n.stopped {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Stop) int { return cmp.Compare(a.Channel, b.Channel) })
	return all
}

// Resume lets a stopped channel be tried again at once, after its settings were put right.
func (n *Notifier) Resume(channel string) {
	n.mu.Lock()
	delete(n.stopped, channel)
	n.mu.Unlock()
	n.Wake()
}

// decide runs the policy over news and keeps its state together with the messages that come of it.
func (n *Notifier) decide(ctx context.Context, now time.Time, news []News) error {
	n.telling.Lock()
	defer n.telling.Unlock()
	before, err := n.c.Outbox.State(ctx)
	if err != nil {
		return fmt.Errorf("read the state of the news: %w", err)
	}
	known := before.Forget(func(sync string) bool { _, ok := n.c.Syncs[sync]; return ok })
	after, tell := n.c.Policy.Decide(known, news, now)
	if len(tell) == 0 && reflect.DeepEqual(before, after) {
		return nil
	}
	if err := n.c.Outbox.Put(ctx, after, n.address(tell, plainTime(now))); err != nil {
		return fmt.Errorf("keep the news: %w", err)
	}
	return nil
}

// address makes one message of news for each recipient and channel.
func (n *Notifier) address(news []News, now time.Time) []Message {
	var messages []Message
	add := func(channel string, to Recipient, about func(sync string) bool) {
		var theirs []News
		for _, x := range news {
			if x.Sync == "" || about(x.Sync) {
				theirs = append(theirs, x)
			}
		}
		if len(theirs) > 0 {
			messages = append(messages, Message{ID: rand.Text(), Channel: channel, To: to, News: theirs, Created: now,
				Delivery: Delivery{Status: Waiting, Due: now}})
		}
	}
	mails, users := map[string]bool{}, map[string]bool{}
	for _, r := range n.recipients() {
		if key := dirsync.Fold(r.Address); key != "" && !mails[key] {
			mails[key] = true
			add(EmailChannel, r, func(s string) bool {
				return slices.ContainsFunc(n.c.Syncs[s], func(x Recipient) bool { return dirsync.Fold(x.Address) == key })
			})
		}
		if r.User != "" && !users[r.User] {
			users[r.User] = true
			add(InboxChannel, r, func(s string) bool {
				return slices.ContainsFunc(n.c.Syncs[s], func(x Recipient) bool { return x.User == r.User })
			})
		}
	}
	for _, ch := range n.c.Channels {
		add(ch.Name, Recipient{}, func(s string) bool { return len(ch.Syncs) == 0 || slices.Contains(ch.Syncs, s) })
	}
	return messages
}

// recipients lists everybody, in order of the syncs' names; some may be in it several times.
func (n *Notifier) recipients() []Recipient {
	var all []Recipient
	for _, name := range sortedKeys(n.c.Syncs) {
		all = append(all, n.c.Syncs[name]...)
	}
	return all
}

// sender finds who sends for a channel; nil for a channel that is no longer configured.
func (n *Notifier) sender(channel string) Sender {
	switch channel {
	case EmailChannel:
		return n.c.Mail
	case InboxChannel:
		if n.c.Inbox == nil {
			return nil
		}
		return inboxSender{n.c.Inbox}
	}
	for _, ch := range n.c.Channels {
		if ch.Name == channel {
			return ch.Sender
		}
	}
	return nil
}

// inboxSender adds messages to an inbox, which recognises what it has already.
type inboxSender struct{ Inbox }

func (inboxSender) Repeatable() bool { return true }

func (s inboxSender) Send(ctx context.Context, m Message) (string, error) {
	var notes []Note
	for i, news := range m.News {
		notes = append(notes, Note{User: m.To.User, ID: fmt.Sprintf("%s-%d", m.ID, i), Kind: news.Kind,
			Title: title(news), Text: strings.TrimSpace(noteText(news)), Link: news.Link, At: news.At})
	}
	if err := s.Add(ctx, notes); err != nil {
		return "", fault("add to the inbox", dirsync.Unavailable, "", err)
	}
	return "added", nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
