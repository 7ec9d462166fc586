package notifytest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dirsync"
	"dirsync/notify"
)

// TestOutbox checks that an outbox keeps its promises. open makes a new, empty one each time.
func TestOutbox(t *testing.T, open func(t *testing.T) notify.Outbox) {
	for _, test := range []struct {
		name string
		run  func(*outboxTest)
	}{
		{"an empty outbox is empty", (*outboxTest).empty},
		{"everything comes back as it went in", (*outboxTest).roundTrip},
		{"a message is added once", (*outboxTest).addsOnce},
		{"due messages come in order", (*outboxTest).due},
		{"deliveries are recorded", (*outboxTest).records},
		{"messages are listed in pages", (*outboxTest).pages},
		{"only ended messages are pruned", (*outboxTest).prunes},
		{"a cancelled call has no effect", (*outboxTest).cancels},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.run(&outboxTest{T: t, Outbox: open(t), ctx: t.Context()})
		})
	}
}

type outboxTest struct {
	*testing.T
	notify.Outbox
	ctx context.Context //nolint:containedctx // it lives as long as the test
}

func epoch() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC) }

// message makes one with something in every field.
func message(i int) notify.Message {
	at := epoch().Add(time.Duration(i) * time.Second)
	return notify.Message{
		ID: fmt.Sprintf("M%03d", i), Channel: notify.EmailChannel,
		To: notify.Recipient{Name: "Zoë \u00a0\"x\"", Address: "zoe@example.com", User: "u1"},
		News: []notify.News{{Kind: notify.RunFailed, Sync: "staff", Run: dirsync.RunID(i + 1), At: at, Fingerprint: "f",
			Reason: "read users: no answer", Table: []notify.Row{{Who: "a", What: "b", Why: "<c>\u2028"}}, Total: 7,
			Link: "https://example.com/runs/1?a=b&c=d", Counts: dirsync.Counts{Read: 1, Failed: 2}, Ends: []notify.Kind{notify.Overdue},
			Since: at, Reminder: 3}},
		Created:  at,
		Delivery: notify.Delivery{Status: notify.Waiting, Due: at},
	}
}

func (t *outboxTest) must(err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (t *outboxTest) ids(list []notify.Message, err error) string {
	t.Helper()
	t.must(err)
	var ids []string
	for _, m := range list {
		ids = append(ids, m.ID)
	}
	return fmt.Sprint(ids)
}

func (t *outboxTest) empty() {
	s, err := t.State(t.ctx)
	t.must(err)
	if d := cmp.Diff(notify.State{}, s); d != "" {
		t.Error(d)
	}
	if got := t.ids(t.Due(t.ctx, epoch().Add(time.Hour), nil, 10)); got != "[]" {
		t.Errorf("due: %s", got)
	}
	if got := t.ids(t.Messages(t.ctx, "", nil, 10)); got != "[]" {
		t.Errorf("messages: %s", got)
	}
	n, err := t.PruneMessages(t.ctx, epoch())
	t.must(err)
	if n != 0 {
		t.Errorf("pruned %d", n)
	}
}

func (t *outboxTest) roundTrip() {
	m := message(1)
	news := m.News[0]
	state := notify.State{
		Open:    []notify.Open{{News: news, Since: epoch(), Told: epoch().Add(1), Times: 2, Stale: true}},
		Waiting: []notify.News{news}, WaitingSince: epoch(),
	}
	t.must(t.Put(t.ctx, state, []notify.Message{m}))
	s, err := t.State(t.ctx)
	t.must(err)
	if d := cmp.Diff(state, s); d != "" {
		t.Errorf("state: %s", d)
	}
	list, err := t.Messages(t.ctx, "", nil, 10)
	t.must(err)
	if d := cmp.Diff([]notify.Message{m}, list); d != "" {
		t.Errorf("messages: %s", d)
	}
	list, err = t.Due(t.ctx, epoch().Add(time.Hour), nil, 10)
	t.must(err)
	if d := cmp.Diff([]notify.Message{m}, list); d != "" {
		t.Errorf("due: %s", d)
	}
	// What comes out is ours to change.
	list[0].News[0].Table[0].Who = "changed"
	s.Open[0].News.Reason = "changed"
	again, err := t.Due(t.ctx, epoch().Add(time.Hour), nil, 10)
	t.must(err)
	if d := cmp.Diff([]notify.Message{m}, again); d != "" {
		t.Errorf("due, after the list was changed: %s", d)
	}
	t.must(t.Put(t.ctx, notify.State{}, nil))
	s, err = t.State(t.ctx)
	t.must(err)
	if d := cmp.Diff(notify.State{}, s); d != "" {
		t.Errorf("emptied state: %s", d)
	}
}

func (t *outboxTest) addsOnce() {
	m := message(1)
	t.must(t.Put(t.ctx, notify.State{}, []notify.Message{m}))
	d := notify.Delivery{Status: notify.Sent, Attempts: 1, Ended: epoch(), Answer: "ok"}
	t.must(t.Record(t.ctx, m.ID, d))
	t.must(t.Put(t.ctx, notify.State{}, []notify.Message{m, message(2)}))
	list, err := t.Messages(t.ctx, "", nil, 10)
	t.must(err)
	m.Delivery = d
	if d := cmp.Diff([]notify.Message{message(2), m}, list); d != "" {
		t.Error(d)
	}
}

func (t *outboxTest) due() {
	var all []notify.Message
	for i, after := range []int{3, 1, 2, 1, 9} {
		m := message(i)
		m.Delivery.Due = epoch().Add(time.Duration(after) * time.Minute)
		if i == 2 {
			m.Channel = "chat"
		}
		all = append(all, m)
	}
	t.must(t.Put(t.ctx, notify.State{}, all))
	for _, test := range []struct {
		minutes, limit int
		skip           []string
		want           string
	}{
		{0, 10, nil, "[]"},
		{1, 10, nil, "[M001 M003]"},
		{3, 10, nil, "[M001 M003 M002 M000]"},
		{3, 2, nil, "[M001 M003]"},
		{3, 3, []string{"chat"}, "[M001 M003 M000]"},
		{3, 3, []string{"chat", notify.EmailChannel}, "[]"},
		{1000, 10, []string{"unknown"}, "[M001 M003 M002 M000 M004]"},
	} {
		got := t.ids(t.Due(t.ctx, epoch().Add(time.Duration(test.minutes)*time.Minute), test.skip, test.limit))
		if got != test.want {
			t.Errorf("after %d minutes, at most %d, without %v: got %s, want %s", test.minutes, test.limit, test.skip, got, test.want)
		}
	}
}

func (t *outboxTest) records() {
	t.must(t.Put(t.ctx, notify.State{}, []notify.Message{message(1), message(2)}))
	late := notify.Delivery{Status: notify.Waiting, Due: epoch().Add(time.Hour), Attempts: 2, Refused: 1, Doubts: 1, Trying: true, Answer: "später"}
	t.must(t.Record(t.ctx, "M001", late))
	if got := t.ids(t.Due(t.ctx, epoch().Add(time.Minute), nil, 10)); got != "[M002]" {
		t.Errorf("due: %s", got)
	}
	list, err := t.Due(t.ctx, epoch().Add(time.Hour), nil, 10)
	t.must(err)
	if len(list) != 2 || list[1].Delivery != late {
		t.Errorf("got %+v", list)
	}
	for _, s := range []notify.Status{notify.Sent, notify.GivenUp, notify.Unsure} {
		t.must(t.Record(t.ctx, "M002", notify.Delivery{Status: s, Ended: epoch()}))
		if got := t.ids(t.Due(t.ctx, epoch().Add(time.Hour), nil, 10)); got != "[M001]" {
			t.Errorf("%s: due: %s", s, got)
		}
		if got := t.ids(t.Messages(t.ctx, s, nil, 10)); got != "[M002]" {
			t.Errorf("%s: messages: %s", s, got)
		}
	}
	// A message that was given up can be tried again.
	t.must(t.Record(t.ctx, "M002", notify.Delivery{Status: notify.Waiting, Due: epoch()}))
	if got := t.ids(t.Due(t.ctx, epoch(), nil, 10)); got != "[M002]" {
		t.Errorf("due again: %s", got)
	}
	if err := t.Record(t.ctx, "unknown", late); dirsync.KindOf(err) != dirsync.NotFound {
		t.Errorf("an unknown id: got %v, want an error of kind NotFound", err)
	}
}

func (t *outboxTest) pages() {
	var all []notify.Message
	for i := range 7 {
		m := message(i)
		m.Created = epoch().Add(time.Duration(i/2) * time.Second)
		if i == 3 {
			m.Delivery = notify.Delivery{Status: notify.Sent, Ended: epoch()}
		}
		all = append(all, m)
	}
	t.must(t.Put(t.ctx, notify.State{}, all))
	for status, want := range map[notify.Status]string{
		"": "[M006 M005 M004 M003 M002 M001 M000]", notify.Waiting: "[M006 M005 M004 M002 M001 M000]",
		notify.Sent: "[M003]", notify.Unsure: "[]",
	} {
		for limit := 1; limit < 9; limit++ {
			var got []notify.Message
			var before *notify.Message
			for {
				list, err := t.Messages(t.ctx, status, before, limit)
				t.must(err)
				if got = append(got, list...); len(list) < limit {
					break
				}
				before = &list[len(list)-1]
			}
			if ids := t.ids(got, nil); ids != want {
				t.Errorf("status %q, pages of %d: got %s, want %s", status, limit, ids, want)
			}
		}
	}
}

func (t *outboxTest) prunes() {
	for i, d := range []notify.Delivery{
		{Status: notify.Waiting, Due: epoch()},
		{Status: notify.Sent, Ended: epoch()},
		{Status: notify.GivenUp, Ended: epoch().Add(time.Second)},
		{Status: notify.Unsure, Ended: epoch().Add(2 * time.Second)},
	} {
		m := message(i)
		m.Delivery = d
		t.must(t.Put(t.ctx, notify.State{}, []notify.Message{m}))
	}
	for _, test := range []struct {
		seconds, n int
		want       string
	}{{0, 0, "[M003 M002 M001 M000]"}, {1, 1, "[M003 M002 M000]"}, {1000, 2, "[M000]"}, {1000, 0, "[M000]"}} {
		n, err := t.PruneMessages(t.ctx, epoch().Add(time.Duration(test.seconds)*time.Second))
		t.must(err)
		if got := t.ids(t.Messages(t.ctx, "", nil, 10)); n != test.n || got != test.want {
			t.Errorf("before second %d: got %d, %s; want %d, %s", test.seconds, n, got, test.n, test.want)
		}
	}
	if got := t.ids(t.Due(t.ctx, epoch(), nil, 10)); got != "[M000]" {
		t.Errorf("due: %s", got)
	}
}

func (t *outboxTest) cancels() {
	t.must(t.Put(t.ctx, notify.State{WaitingSince: epoch()}, []notify.Message{message(1)}))
	ctx, cancel := context.WithCancel(t.ctx)
	cancel()
	_, err1 := t.State(ctx)
	err2 := t.Put(ctx, notify.State{}, []notify.Message{message(2)})
	_, err3 := t.Due(ctx, epoch(), nil, 1)
	err4 := t.Record(ctx, "M001", notify.Delivery{Status: notify.Sent, Ended: epoch()})
	_, err5 := t.Messages(ctx, "", nil, 1)
	_, err6 := t.PruneMessages(ctx, epoch().Add(time.Hour))
	if errs := []error{err1, err2, err3, err4, err5, err6}; slices.Contains(errs, nil) {
		t.Errorf("got %v, want six errors", errs)
	}
	list, err := t.Messages(t.ctx, "", nil, 10)
	t.must(err)
	if d := cmp.Diff([]notify.Message{message(1)}, list); d != "" {
		t.Error(d)
	}
	s, err := t.State(t.ctx)
	t.must(err)
	if !s.WaitingSince.Equal(epoch()) {
		t.Errorf("state: %+v", s)
	}
}
