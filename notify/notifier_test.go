package notify_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"dirsync"
	"dirsync/notify"
	"dirsync/notify/notifytest"
)

func people() map[string][]notify.Recipient {
	return map[string][]notify.Recipient{
		"staff": {{Name: "Ann", Address: "ann@example.com", User: "u-ann"}, {Address: "bob@example.com"}, {User: "u-cem"}},
		"sales": {{Name: "Ann", Address: "ANN@example.com", User: "u-ann"}},
	}
}

// bench is a notifier with everything around it.
type bench struct {
	*notify.Notifier
	t      *testing.T
	now    time.Time
	memory *notifytest.Memory
	log    bytes.Buffer
	config notify.Config
}

func newBench(t *testing.T, mail notify.Sender, channels ...notify.Channel) *bench {
	t.Helper()
	b := &bench{t: t, now: start(), memory: &notifytest.Memory{}}
	b.config = notify.Config{Policy: notify.Policy{Repeat: notify.DefaultPolicy().Repeat}, Retry: notify.DefaultRetry(),
		Syncs: people(), Mail: mail, Channels: channels, Outbox: b.memory, Inbox: b.memory, Log: zerolog.New(zerolog.SyncWriter(&b.log))}
	b.restart()
	return b
}

// restart is what the next process finds.
func (b *bench) restart() {
	b.t.Helper()
	n, err := notify.New(b.config)
	if err != nil {
		b.t.Fatal(err)
	}
	b.Notifier = n
}

func (b *bench) tell(news ...notify.News) {
	b.t.Helper()
	if err := b.Tell(b.t.Context(), b.now, news...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) deliver(after time.Duration) notify.Delivered {
	b.t.Helper()
	b.now = b.now.Add(after)
	d, err := b.Deliver(b.t.Context(), b.now)
	if err != nil {
		b.t.Fatal(err)
	}
	return d
}

// message returns the only message to an address.
func (b *bench) message(address string) notify.Message {
	b.t.Helper()
	list, err := b.memory.Messages(b.t.Context(), "", nil, 1000)
	if err != nil {
		b.t.Fatal(err)
	}
	var found []notify.Message
	for _, m := range list {
		if m.Channel == notify.EmailChannel && m.To.Address == address {
			found = append(found, m)
		}
	}
	if len(found) != 1 {
		b.t.Fatalf("%s has %d messages in the outbox, want 1", address, len(found))
	}
	return found[0]
}

func (b *bench) notes(user string) string {
	b.t.Helper()
	list, err := b.memory.Notes(b.t.Context(), user, nil, 100)
	if err != nil {
		b.t.Fatal(err)
	}
	var titles []string
	for _, n := range list {
		titles = append(titles, n.Title)
	}
	return strings.Join(titles, "; ")
}

func TestEverybodyIsTold(t *testing.T) {
	s := newMailServer(t, serverOptions{})
	b := newBench(t, s.sender(t))
	b.tell(bad(notify.RunFailed, "a"), notify.News{Kind: notify.Overdue, Sync: "sales"})
	if got, want := b.deliver(0), (notify.Delivered{Sent: 4}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for address, want := range map[string]string{
		"ann@example.com": "dirsync: 2 messages: staff failed; sales is overdue", "bob@example.com": "dirsync: staff failed",
	} {
		box := s.mailbox(address)
		if len(box) != 1 || box[0].Header.Get("Subject") != want {
			t.Errorf("%s: got %d messages, want one about %q", address, len(box), want)
		}
	}
	for user, want := range map[string]string{"u-ann": "staff failed", "u-cem": "staff failed"} {
		if got := b.notes(user); !strings.Contains(got, want) {
			t.Errorf("%s: got %q", user, got)
		}
	}
	if got := b.deliver(time.Hour); got != (notify.Delivered{}) {
		t.Errorf("an hour later: %+v", got)
	}
	b.restart()
	b.tell(bad(notify.RunFailed, "a"))
	if got := b.deliver(time.Minute); got != (notify.Delivered{}) {
		t.Errorf("the same again, after a restart: %+v", got)
	}
}

func TestMailTroubles(t *testing.T) {
	const bob, ann = "bob@example.com", "ann@example.com"
	to := func(stage, to string, times int, err error) func(string, string) error {
		var mu sync.Mutex
		return func(s, r string) error {
			mu.Lock()
			defer mu.Unlock()
			if s != stage || r != to || times == 0 {
				return nil
			}
			times--
			return err
		}
	}
	for _, test := range []struct {
		name     string
		refuse   func(string, string) error
		status   notify.Status
		attempts int
		got      int // messages that reached bob
		note     string
	}{
		{"4xx, then fine", to("RCPT", bob, 2, smtpError(451, "greylisted")), notify.Sent, 3, 1, ""},
		{"4xx for ever", to("RCPT", bob, -1, smtpError(451, "greylisted")), notify.GivenUp, 17, 0, "did not arrive"},
		{"one recipient is refused", to("RCPT", bob, -1, smtpError(550, "unknown")), notify.GivenUp, 3, 0, "did not arrive"},
		{"refused once", to("RCPT", bob, 1, smtpError(550, "policy")), notify.Sent, 2, 1, ""},
		{"cut before the message", to("RCPT", bob, 2, errDrop), notify.Sent, 3, 1, ""},
		{"cut after the message, once", to("DATA", bob, 1, errDropAfter), notify.Sent, 2, 2, ""},
		{"cut after the message, always", to("DATA", bob, -1, errDropAfter), notify.Unsure, 2, 2, "may not have"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newMailServer(t, serverOptions{})
			s.refuse = test.refuse
			b := newBench(t, s.sender(t))
			b.tell(bad(notify.RunFailed, "a"))
			b.deliver(0)
			// Nobody else waits for bob.
			if got := len(s.mailbox(ann)); got != 1 || !strings.Contains(b.notes("u-cem"), "staff failed") {
				t.Errorf("ann got %d messages, cem %q", got, b.notes("u-cem"))
			}
			b.restart()
			first := b.message(bob)
			// Long enough for the last attempt, and not for a reminder: those are the policy's.
			b.config.Policy = notify.Policy{}
			b.restart()
			for range 100 {
				b.deliver(time.Hour)
			}
			m := b.message(bob)
			if m.Delivery.Status != test.status || m.Delivery.Attempts != test.attempts {
				t.Errorf("got %+v, want %s after %d attempts", m.Delivery, test.status, test.attempts)
			}
			box := s.mailbox(bob)
			if len(box) != test.got {
				t.Errorf("bob got %d messages, want %d", len(box), test.got)
			}
			for _, x := range box {
				if got, want := x.Header.Get("Message-Id"), "<"+first.ID+"@contoso.com>"; got != want {
					t.Errorf("Message-ID: got %s, want %s", got, want)
				}
				if x.raw != box[0].raw {
					t.Error("the second delivery differs from the first")
				}
			}
			if got := b.notes("u-ann"); test.note != "" && !strings.Contains(got, test.note) || test.note == "" && strings.Contains(got, "arrive") {
				t.Errorf("inbox: got %q, want %q", got, test.note)
			}
			if got := len(s.mailbox(ann)); got != 1 {
				t.Errorf("ann got %d messages", got)
			}
		})
	}
}

// TestServerDown checks that nothing is lost while nobody answers.
func TestServerDown(t *testing.T) {
	s := newMailServer(t, serverOptions{})
	c := s.config()
	c.Port = closedPort(t)
	b := newBench(t, newSMTP(t, c))
	b.config.Policy = notify.Policy{} // no reminders
	b.restart()
	b.tell(bad(notify.RunFailed, "a"))
	for range 20 {
		if got := b.deliver(time.Hour).Sent; got > 2 {
			t.Errorf("%d were sent; only the inbox can be reached", got)
		}
	}
	b.config.Mail = s.sender(t)
	b.restart()
	if got := b.deliver(6 * time.Hour); got.Sent != 2 {
		t.Errorf("got %+v, want 2 sent", got)
	}
}

func TestSignInFails(t *testing.T) {
	s := newMailServer(t, serverOptions{})
	s.mechanisms = []string{"PLAIN"}
	password := "wrong password"
	c := s.config()
	c.Username = mailUser
	c.Secret = func(context.Context) (string, error) { return password, nil }
	b := newBench(t, newSMTP(t, c))
	b.tell(bad(notify.RunFailed, "a"))
	b.deliver(0)
	if got := b.notes("u-cem"); !strings.Contains(got, "Messages by email cannot be delivered") || strings.Count(got, ";") > 2 {
		t.Errorf("inbox: %q", got)
	}
	stops := b.Stopped()
	if len(stops) != 1 || stops[0].Channel != notify.EmailChannel || !strings.Contains(stops[0].Error, "535") {
		t.Fatalf("got %+v", stops)
	}
	if b.deliver(5 * time.Hour); b.message("bob@example.com").Delivery.Attempts != 0 {
		t.Error("a message was tried although the channel is stopped, or the attempt was counted")
	}
	// Even after more than three days nothing is given up: it was never the message's fault.
	for range 40 {
		b.deliver(6 * time.Hour)
	}
	password = mailPassword
	tried := b.Test(t.Context(), b.now, notify.Recipient{Address: "ann@example.com"})
	if len(tried) != 1 || tried[0].Err != nil || tried[0].Answer == "" || len(b.Stopped()) != 0 {
		t.Fatalf("test: %+v, stopped: %+v", tried, b.Stopped())
	}
	b.deliver(0)
	if got := len(s.mailbox("bob@example.com")); got == 0 {
		t.Error("bob was never told")
	}
	if strings.Contains(b.log.String(), "wrong password") || strings.Contains(b.notes("u-cem"), "wrong password") {
		t.Error("the password is in the log or the inbox")
	}
}

func TestTestSays(t *testing.T) {
	s := newMailServer(t, serverOptions{})
	s.refuse = at("RCPT", smtpError(550, "no such user"))
	b := newBench(t, s.sender(t), notify.Channel{Name: "ops", Sender: &recorder{}})
	tried := b.Test(t.Context(), b.now, notify.Recipient{Address: "ann@example.com", User: "u-ann"})
	if len(tried) != 2 || tried[0].Err == nil || !strings.Contains(tried[0].Err.Error(), "no such user") || tried[1].Err != nil {
		t.Errorf("got %+v", tried)
	}
	if got := b.notes("u-ann"); got != "this is a test" {
		t.Errorf("inbox: %q", got)
	}
	if tried = b.Test(t.Context(), b.now, notify.Recipient{}); len(tried) != 1 || tried[0].Channel != "ops" || tried[0].Err != nil {
		t.Errorf("channels: got %+v", tried)
	}
}

// recorder is a Sender that remembers, and answers as it is told.
type recorder struct {
	mu         sync.Mutex
	sent       map[string]int
	do         func(m notify.Message) error
	repeatable bool
}

func (r *recorder) Repeatable() bool { return r.repeatable }

func (r *recorder) Send(_ context.Context, m notify.Message) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sent == nil {
		r.sent = map[string]int{}
	}
	var err error
	if r.do != nil {
		err = r.do(m)
	}
	if err == nil || errors.Is(err, notify.ErrUnsure) {
		r.sent[m.To.Address+" "+m.ID]++
	}
	return "ok", err
}

// TestKilledAnywhere lets the process end at every call of the store, before and after it took effect, and checks that
// everybody is told all the same, and nobody more than twice.
func TestKilledAnywhere(t *testing.T) {
	dead := errors.New("the process is dead")
	for _, after := range []bool{false, true} {
		for line := range 40 {
			mail := &recorder{}
			b := newBench(t, mail)
			ctx, cancel := context.WithCancel(t.Context())
			calls, killed := 0, false
			var mu sync.Mutex
			b.memory.Hook = func(string) (bool, error) {
				mu.Lock()
				defer mu.Unlock()
				calls++
				if calls <= line {
					return true, nil
				}
				defer cancel()
				first := !killed
				killed = true
				return first && after, dead
			}
			told := b.Tell(ctx, b.now, bad(notify.RunFailed, "a")) == nil
			_, _ = b.Deliver(ctx, b.now)
			cancel()
			b.memory.Hook = nil
			b.restart()
			if !told {
				// Nobody has heard that the news is safe, so it is told again.
				b.tell(bad(notify.RunFailed, "a"))
			}
			for range 5 {
				b.deliver(time.Hour)
			}
			byAddress := map[string]int{}
			ids := map[string]bool{}
			for key, n := range mail.sent {
				address, _, _ := strings.Cut(key, " ")
				byAddress[strings.ToLower(address)] += n
				ids[key] = true
			}
			for _, r := range people()["staff"][:2] {
				if n := byAddress[r.Address]; n < 1 || n > 2 {
					t.Errorf("killed at call %d (after its effect: %v): %s got %d messages", line, after, r.Address, n)
				}
			}
			if len(ids) != 2 {
				t.Errorf("killed at call %d (after its effect: %v): %d different messages were sent, want 2", line, after, len(ids))
			}
			for _, user := range []string{"u-ann", "u-cem"} {
				if got := b.notes(user); got != "staff failed" {
					t.Errorf("killed at call %d (after its effect: %v): the inbox of %s holds %q", line, after, user, got)
				}
			}
			if !killed {
				break
			}
		}
	}
}

func TestChannels(t *testing.T) {
	ops, sales, broken := &recorder{}, &recorder{}, &recorder{do: func(notify.Message) error { panic("token-in-a-panic") }}
	b := newBench(t, &recorder{}, notify.Channel{Name: "ops", Sender: ops}, notify.Channel{Name: "sales", Sender: sales, Syncs: []string{"sales"}},
		notify.Channel{Name: "broken", Sender: broken})
	b.tell(bad(notify.RunFailed, "a"))
	b.deliver(0)
	if len(ops.sent) != 1 || len(sales.sent) != 0 {
		t.Errorf("ops got %d, sales %d; want 1 and 0", len(ops.sent), len(sales.sent))
	}
	if strings.Contains(b.log.String(), "token-in-a-panic") {
		t.Error("what a panic said is in the log")
	}
	// A channel that is taken out of the configuration keeps nothing waiting.
	b.config.Channels = b.config.Channels[:1]
	b.restart()
	if got := b.deliver(time.Hour); got.GivenUp != 1 {
		t.Errorf("got %+v, want 1 given up", got)
	}
}

func TestUnknownSync(t *testing.T) {
	b := newBench(t, &recorder{})
	err := b.Tell(t.Context(), b.now, bad(notify.RunFailed, "a"), notify.News{Kind: notify.RunFailed, Sync: "other"})
	if dirsync.KindOf(err) != dirsync.Invalid {
		t.Errorf("got %v", err)
	}
	if got := b.deliver(0); got != (notify.Delivered{}) {
		t.Errorf("half of the news was told: %+v", got)
	}
	// Trouble of a sync that is gone is not repeated for ever.
	b.tell(notify.News{Kind: notify.RunFailed, Sync: "sales"})
	b.deliver(0)
	delete(b.config.Syncs, "sales")
	b.restart()
	if got := b.deliver(48 * time.Hour); got != (notify.Delivered{}) {
		t.Errorf("got %+v", got)
	}
}

func TestNewRefuses(t *testing.T) {
	memory := &notifytest.Memory{}
	_, err := notify.New(notify.Config{Syncs: map[string][]notify.Recipient{"staff": {
		{Name: "nobody"}, {Address: "a b"}, {Address: "Ann <ann@example.com>"}, {User: "u"}, {Address: "a@b.c\r\nBcc: d@e.f"},
	}}, Channels: []notify.Channel{{Name: "email"}, {Name: "x", Syncs: []string{"nosuch"}}}})
	if err == nil {
		t.Fatal("it was accepted")
	}
	for _, want := range []string{"outbox", "neither", `"a b"`, "Ann <ann", "no inbox", "sends e-mail", "taken or empty", "nothing sends", "nosuch", "Bcc"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
	if _, err := notify.New(notify.Config{Outbox: memory}); err != nil {
		t.Errorf("nobody to tell: %v", err)
	}
}

// TestRun checks the loop with a simulated clock: news is told at the end of its window, and what failed is tried again.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failures := 2
		mail := &recorder{}
		mail.do = func(m notify.Message) error {
			if m.To.Address == "bob@example.com" && failures > 0 {
				failures--
				return &dirsync.Error{Op: "send", Kind: dirsync.Unavailable, Err: errors.New("busy")}
			}
			return nil
		}
		b := newBench(t, mail)
		b.config.Policy = notify.DefaultPolicy()
		b.restart()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx) }()
		if err := b.Tell(ctx, time.Now(), bad(notify.RunFailed, "a")); err != nil {
			t.Fatal(err)
		}
		sent := func() int { mail.mu.Lock(); defer mail.mu.Unlock(); return len(mail.sent) }
		for _, step := range []struct {
			wait time.Duration
			want int
		}{{50 * time.Second, 0}, {30 * time.Second, 1}, {2 * time.Minute, 1}, {6 * time.Minute, 2}, {time.Hour, 2}} {
			time.Sleep(step.wait)
			synctest.Wait()
			if got := sent(); got != step.want {
				t.Errorf("after another %v: got %d, want %d", step.wait, got, step.want)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestRandomTroubles sends much news through a store and a mail server that fail at random, and checks the whole account:
// everybody hears of everything, and of nothing more often than the doubts allow.
func TestRandomTroubles(t *testing.T) {
	for seed := range uint64(8) {
		// Each is used under its own lock.
		random, mailRandom, diskRandom := rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 2)), rand.New(rand.NewPCG(seed, 3))
		mail := &recorder{}
		mail.do = func(notify.Message) error {
			switch mailRandom.IntN(6) {
			case 0:
				return &dirsync.Error{Op: "send", Kind: dirsync.Unavailable, Err: errors.New("busy")}
			case 1:
				return &dirsync.Error{Op: "send", Kind: dirsync.Unavailable, Err: fmt.Errorf("%w: cut", notify.ErrUnsure)}
			case 2:
				return &dirsync.Error{Op: "send", Kind: dirsync.Unauthorized, Err: errors.New("expired")}
			}
			return nil
		}
		b := newBench(t, mail)
		b.config.Policy = notify.Policy{}
		b.restart()
		var mu sync.Mutex
		b.memory.Hook = func(op string) (bool, error) {
			mu.Lock()
			defer mu.Unlock()
			if n := diskRandom.IntN(12); n < 2 {
				return n == 0, errors.New("disk trouble in " + op)
			}
			return true, nil
		}
		for i := range 30 {
			for b.Tell(t.Context(), b.now, bad(notify.RunFailed, strings.Repeat("x", i+1))) != nil {
			}
			b.now = b.now.Add(time.Hour)
			_, _ = b.Deliver(t.Context(), b.now)
			if random.IntN(5) == 0 {
				b.restart()
			}
		}
		b.memory.Hook = nil
		mail.do = nil
		for range 20 {
			b.deliver(6 * time.Hour)
		}
		list, err := b.memory.Messages(t.Context(), "", nil, 10000)
		if err != nil {
			t.Fatal(err)
		}
		mails := 0
		for _, m := range list {
			if m.Channel != notify.EmailChannel {
				continue
			}
			mails++
			n := mail.sent[m.To.Address+" "+m.ID]
			if m.Delivery.Status != notify.Sent && m.Delivery.Status != notify.Unsure || n < 1 && m.Delivery.Status == notify.Sent || n > 2 {
				t.Errorf("seed %d: %+v was sent %d times", seed, m.Delivery, n)
			}
		}
		if mails != 60 {
			t.Errorf("seed %d: %d mails, want 60: 30 for each of two", seed, mails)
		}
	}
}
