package notifytest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dirsync/notify"
)

// TestInbox checks that an inbox keeps its promises. open makes a new, empty one each time.
func TestInbox(t *testing.T, open func(t *testing.T) notify.Inbox) {
	for _, test := range []struct {
		name string
		run  func(*inboxTest)
	}{
		{"an empty inbox is empty", (*inboxTest).empty},
		{"a note is added once", (*inboxTest).addsOnce},
		{"unread notes come first, in pages", (*inboxTest).lists},
		{"nobody reaches another's notes", (*inboxTest).apart},
		{"old notes are pruned", (*inboxTest).prunes},
		{"a cancelled call has no effect", (*inboxTest).cancels},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.run(&inboxTest{T: t, Inbox: open(t), ctx: t.Context()})
		})
	}
}

type inboxTest struct {
	*testing.T
	notify.Inbox
	ctx context.Context //nolint:containedctx // it lives as long as the test
}

func note(user string, i int) notify.Note {
	return notify.Note{User: user, ID: fmt.Sprintf("n-%d", i), Kind: notify.ChangesHeld, Title: "staff: Ärger", Text: "one\ntwo",
		Link: "https://example.com/", At: epoch().Add(time.Duration(i) * time.Second)}
}

func (t *inboxTest) must(err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// holds checks the whole of somebody's inbox.
func (t *inboxTest) holds(user string, unread int, want string) {
	t.Helper()
	n, err := t.Unread(t.ctx, user)
	t.must(err)
	if n != unread {
		t.Errorf("%s: got %d unread, want %d", user, n, unread)
	}
	for limit := 1; limit < 9; limit++ {
		ids := []string{}
		var after *notify.Note
		for {
			list, err := t.Notes(t.ctx, user, after, limit)
			t.must(err)
			for _, x := range list {
				if x.User != user {
					t.Errorf("%s reads the note of %s", user, x.User)
				}
				ids = append(ids, x.ID)
			}
			if len(list) < limit {
				break
			}
			after = &list[len(list)-1]
		}
		if got := fmt.Sprint(ids); got != want {
			t.Errorf("%s, pages of %d: got %s, want %s", user, limit, got, want)
		}
	}
}

func (t *inboxTest) empty() {
	t.holds("a", 0, "[]")
	t.must(t.Mark(t.ctx, "a", []string{"n-1"}, true))
	t.holds("a", 0, "[]")
}

func (t *inboxTest) addsOnce() {
	want := note("a", 1)
	t.must(t.Add(t.ctx, []notify.Note{want}))
	list, err := t.Notes(t.ctx, "a", nil, 9)
	t.must(err)
	if d := cmp.Diff([]notify.Note{want}, list); d != "" {
		t.Error(d)
	}
	t.must(t.Mark(t.ctx, "a", []string{"n-1"}, true))
	t.must(t.Add(t.ctx, []notify.Note{want, note("a", 2), note("a", 2)}))
	t.holds("a", 1, "[n-2 n-1]")
}

func (t *inboxTest) lists() {
	var all []notify.Note
	for _, i := range []int{2, 0, 1, 3, 4} {
		n := note("a", i)
		if i == 4 {
			n.At = note("a", 3).At
		}
		all = append(all, n)
	}
	t.must(t.Add(t.ctx, all))
	t.holds("a", 5, "[n-4 n-3 n-2 n-1 n-0]")
	t.must(t.Mark(t.ctx, "a", []string{"n-4", "n-2", "unknown", "n-2"}, true))
	t.holds("a", 3, "[n-3 n-1 n-0 n-4 n-2]")
	t.must(t.Mark(t.ctx, "a", []string{"n-4"}, true))
	t.holds("a", 3, "[n-3 n-1 n-0 n-4 n-2]")
	t.must(t.Mark(t.ctx, "a", []string{"n-2"}, false))
	t.holds("a", 4, "[n-3 n-2 n-1 n-0 n-4]")
	t.must(t.Mark(t.ctx, "a", nil, true))
	t.holds("a", 4, "[n-3 n-2 n-1 n-0 n-4]")
}

func (t *inboxTest) apart() {
	// Names that begin alike, or hold what a store may use to join its keys, are different people.
	users := []string{"a", "a/", "a/n-1", "aa", "A", "a\x00"}
	for i, u := range users {
		t.must(t.Add(t.ctx, []notify.Note{note(u, i)}))
	}
	for i, u := range users {
		t.holds(u, 1, fmt.Sprintf("[n-%d]", i))
	}
	t.must(t.Mark(t.ctx, "aa", []string{"n-0", "n-1", "n-3"}, true))
	for i, u := range users {
		unread := 1
		if u == "aa" {
			unread = 0
		}
		t.holds(u, unread, fmt.Sprintf("[n-%d]", i))
	}
}

func (t *inboxTest) prunes() {
	t.must(t.Add(t.ctx, []notify.Note{note("a", 0), note("a", 1), note("a", 2), note("b", 1)}))
	t.must(t.Mark(t.ctx, "a", []string{"n-1"}, true))
	for _, test := range []struct {
		second, n, unread int
		a                 string
	}{{0, 0, 2, "[n-2 n-0 n-1]"}, {1, 1, 1, "[n-2 n-1]"}, {2, 2, 1, "[n-2]"}} {
		n, err := t.PruneNotes(t.ctx, epoch().Add(time.Duration(test.second)*time.Second))
		t.must(err)
		if n != test.n {
			t.Errorf("before second %d: got %d, want %d", test.second, n, test.n)
		}
		t.holds("a", test.unread, test.a)
	}
	t.holds("b", 0, "[]")
}

func (t *inboxTest) cancels() {
	t.must(t.Add(t.ctx, []notify.Note{note("a", 1)}))
	ctx, cancel := context.WithCancel(t.ctx)
	cancel()
	err1 := t.Add(ctx, []notify.Note{note("a", 2)})
	_, err2 := t.Notes(ctx, "a", nil, 1)
	_, err3 := t.Unread(ctx, "a")
	err4 := t.Mark(ctx, "a", []string{"n-1"}, true)
	_, err5 := t.PruneNotes(ctx, epoch().Add(time.Hour))
	if errs := []error{err1, err2, err3, err4, err5}; slices.Contains(errs, nil) {
		t.Errorf("got %v, want five errors", errs)
	}
	t.holds("a", 1, "[n-1]")
}
