package web

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dirsync"
)

// noon is when everything happens.
func noon() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

const testDigest = "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f809"

// memory is a daemon in memory. It serves one sync, "staff", and remembers what was asked of it.
type memory struct {
	runs    []dirsync.Run
	changes []dirsync.Outcome
	feed    Feed
	notes   []Note

	mu sync.Mutex
	// fail is what the method of this name returns.
	fail map[string]error
	said []string
	down error
}

func newMemory() *memory {
	m := &memory{fail: map[string]error{}}
	for i := range 7 {
		r := dirsync.Run{ID: dirsync.RunID(i + 1), Sync: "staff", Status: dirsync.Success, Phase: dirsync.PhaseEnded, AskedBy: "schedule",
			Started: noon().Add(time.Duration(i) * time.Hour), Ended: noon().Add(time.Duration(i)*time.Hour + time.Minute),
			Counts: dirsync.Counts{Read: 10, Created: i, Unchanged: 2}, Requests: dirsync.Requests{Source: 3}}
		if i == 6 {
			r.Status, r.Warnings, r.Notes = dirsync.PartialSuccess, []string{"the chosen group Sales was deleted"}, []string{"a note"}
			r.Holds = []dirsync.Hold{heldBy(7)}
			r.Groups = &dirsync.GroupRun{Run: 8, Status: dirsync.Success, Counts: dirsync.Counts{Updated: 1}}
			r.Undoes = 3
		}
		m.runs = append(m.runs, r)
	}
	values := dirsync.Values{}.Set("email", dirsync.Value{Type: dirsync.Email, Text: "ann@contoso.com"}).Set("office", dirsync.Value{})
	for i, kind := range []dirsync.ChangeKind{dirsync.Delete, dirsync.Delete, dirsync.Update, dirsync.Create, dirsync.Create} {
		o := dirsync.Outcome{Result: dirsync.Done, Change: dirsync.Change{Kind: kind, Seq: dirsync.Seq(i + 1), Person: dirsync.ID(fmt.Sprint("p", i)),
			User: fmt.Sprintf("u%d@contoso.com", i), Why: "changed", Before: values, After: values}}
		if i == 1 {
			o.Result, o.Error, o.Change.Before, o.Change.Account, o.Change.Name = dirsync.Failed, "the target was away", nil, "a1", "Ann <b>"
		}
		m.changes = append(m.changes, o)
	}
	for i := range 5 {
		m.notes = append(m.notes, Note{ID: fmt.Sprint("n", i), Kind: "run_failed", Title: "staff failed", At: noon().Add(-time.Duration(i) * time.Hour), Read: i > 2})
	}
	return m
}

func heldBy(run dirsync.RunID) dirsync.Hold {
	return dirsync.Hold{ID: 3, Sync: "staff", Kind: dirsync.Deletion, Run: run, Count: 12, Allowed: 10, People: 12, Reason: "12 deletions are more than 10",
		Digest: testDigest, Created: noon(), Expires: noon().Add(14 * 24 * time.Hour), Status: dirsync.HoldOpen}
}

// say notes a call and returns the error that it is to have.
func (m *memory) say(method, format string, args ...any) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.said = append(m.said, strings.TrimSpace(method+" "+fmt.Sprintf(format, args...)))
	return m.fail[method]
}

func (m *memory) last() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.said) == 0 {
		return ""
	}
	return m.said[len(m.said)-1]
}

func (m *memory) known(sync string) error {
	if sync == "staff" {
		return nil
	}
	return &dirsync.Error{Op: "find the sync " + sync, Kind: dirsync.NotFound, Hint: "There is only staff."}
}

func (m *memory) Status(ctx context.Context) (Status, error) {
	s, err := m.Sync(ctx, "staff")
	if err == nil {
		err = m.say("Status", "")
	}
	return Status{Version: "v1", Started: noon(), Ready: true, Syncs: []SyncStatus{s}, StoreBytes: 4096, Outbox: Outbox{Waiting: 1, Oldest: noon()},
		SCIM: &SCIMStatus{Listen: "127.0.0.1:8443", Listening: true, URL: "https://people.example/scim/v2", FedBy: "scim", CertificateExpires: noon(), Users: 3, Held: 1,
			OpenHolds: 1, Answered: &SCIMAnswered{Since: noon(), Done: 4, Refused: 1}, Tokens: []SCIMToken{{Name: "entra", LastUsed: noon(), LastRequest: pushedBy("GET")}, {Name: "crm", Expires: noon(), Expired: true}}}}, err
}

// pushedBy is a request of a SCIM client.
func pushedBy(method string) *SCIMRequest {
	return &SCIMRequest{Time: noon(), Token: "entra", Method: method, Resource: "User", ID: "u00000001", Name: "ann@contoso.com", Operation: 2, Status: 400,
		SCIMType: "invalidValue", Detail: "title takes text", Changed: []string{"title"}, Held: true, Quirks: []SCIMQuirk{{"opCase", "Replace"}}}
}

func (m *memory) ExplainPushed(_ context.Context, person string) ([]Pushed, error) {
	full := Pushed{ID: "u00000001", Kind: "user", UserName: person, DisplayName: "Ann", ExternalID: "x1", Status: "active", Because: "SCIM clients fill the directory", From: "entra",
		Source: "p0", Pending: "delete", Hold: "3-1a2b3c4d", Emails: []string{"ann@contoso.com"}, Groups: []string{"Sales"}, Created: noon(), Updated: noon(),
		Values: json.RawMessage(`{"email":"a"}`), LastChange: pushedBy("POST"), LastRequest: pushedBy("DELETE"), Requests: []SCIMRequest{*pushedBy("DELETE")}}
	gone := Pushed{ID: "u00000002", Kind: "user", UserName: person, Status: "gone", Because: "a client has deleted them"}
	return []Pushed{full, gone}, m.say("ExplainPushed", "%s", person)
}

func (m *memory) Sync(_ context.Context, name string) (SyncStatus, error) {
	last := RunView(m.runs[len(m.runs)-1])
	running := Progress{Sync: name, Run: "9", Phase: "plan", Done: 3, Status: "running", At: noon()}
	return SyncStatus{Name: name, Source: "Entra", Target: "directory", Schedule: "weekly on sunday at 02:00", Next: noon().Add(time.Hour),
		LastRun: &last, Running: &running, LastSuccess: last.Ended, LastRead: noon(), TokenAge: 60, Totals: TotalsView(dirsync.Totals{People: 5}), OpenHolds: 1}, m.known(name)
}

func (m *memory) Progress(ctx context.Context, sync string) (<-chan Progress, error) {
	if err := m.known(sync); err != nil {
		return nil, err
	}
	return m.feed.Watch(ctx, sync), nil
}

func (m *memory) SyncNow(_ context.Context, sync, by string) error {
	if err := m.known(sync); err != nil {
		return err
	}
	return m.say("SyncNow", "%s by %s", sync, by)
}

func (m *memory) Runs(_ context.Context, sync string, before dirsync.RunID, limit int) ([]Run, error) {
	var out []Run
	for _, r := range slices.Backward(m.runs) {
		if (before == 0 || r.ID < before) && len(out) < limit {
			out = append(out, RunView(r))
		}
	}
	return out, m.known(sync)
}

func (m *memory) Run(_ context.Context, id dirsync.RunID) (Run, error) {
	for _, r := range m.runs {
		if r.ID == id {
			return RunView(r), m.say("Run", "%d", id)
		}
	}
	return Run{}, &dirsync.Error{Op: fmt.Sprintf("show run %d", id), Kind: dirsync.NotFound, Hint: "dirsync history lists them."}
}

func (m *memory) after(key dirsync.PlanKey, limit int) []Change {
	var out []Change
	for _, o := range m.changes {
		c := o.Change
		if (c.Kind > key.Kind || c.Kind == key.Kind && c.Seq > key.Seq) && len(out) < limit {
			out = append(out, ChangeView(o))
		}
	}
	return out
}

func (m *memory) Changes(_ context.Context, run dirsync.RunID, after dirsync.PlanKey, limit int) ([]Change, error) {
	return m.after(after, limit), m.say("Changes", "%d", run)
}

func (m *memory) PreviewUndo(_ context.Context, u Undo) (UndoPreview, error) {
	was := ChangeView(m.changes[0])
	return UndoPreview{Run: fmt.Sprint(uint64(u.Run)), Digest: testDigest, Counts: map[string]int{"create": 1}, Since: 1, Total: 1,
		Lines: []UndoLine{{Was: was, Back: &was, Since: []string{"email"}}, {Was: was, Nothing: "there is an account again"}}}, m.say("PreviewUndo", "%+v", u)
}

func (m *memory) Undo(_ context.Context, u Undo) (Run, error) {
	return RunView(m.runs[6]), m.say("Undo", "%+v", u)
}

func (m *memory) Holds(_ context.Context, sync string, status dirsync.HoldStatus, before dirsync.HoldID, limit int) ([]Hold, error) {
	out := []Hold{}
	for id := dirsync.HoldID(3); id > 0; id-- {
		if h := heldBy(7); (before == 0 || id < before) && len(out) < limit {
			h.ID = id
			out = append(out, HoldView(h))
		}
	}
	return out, m.say("Holds", "%q %q", sync, status)
}

func (m *memory) Hold(_ context.Context, id dirsync.HoldID) (Hold, error) {
	if id != 3 {
		return Hold{}, &dirsync.Error{Op: fmt.Sprintf("find hold %d", id), Kind: dirsync.NotFound}
	}
	return HoldView(heldBy(7)), nil
}

func (m *memory) HeldChanges(_ context.Context, _ dirsync.HoldID, after dirsync.PlanKey, limit int) ([]HeldChange, error) {
	var out []HeldChange
	for _, c := range m.after(after, limit) {
		out = append(out, HeldChange{Change: c, Decided: "approved"})
	}
	return out, nil
}

func (m *memory) Approve(_ context.Context, v Verdict) (int, error) {
	return 12, m.say("Approve", "%+v", v)
}

func (m *memory) Reject(_ context.Context, v Verdict) (int, error) {
	return 1, m.say("Reject", "%+v", v)
}

func (m *memory) Explain(_ context.Context, sync, person string) (Explanation, error) {
	c := ChangeView(m.changes[0])
	return Explanation{Sync: sync, Person: "p0", User: person, Present: true, Summary: []string{"In step."}, Account: "a0", Active: true,
		Held: json.RawMessage(`{"email":"a"}`), Faults: []Fault{{"email", "", "is required"}}, Decision: &c, Owed: "held", Due: noon(), Attempts: 2,
		GraceEnds: noon(), Holds: []Hold{HoldView(heldBy(7))}, Changes: []PersonChange{{Run: "7", At: noon(), Change: c}}, LastRequest: pushedBy("PATCH")}, m.say("Explain", "%s %s", sync, person)
}

func (m *memory) Inbox(_ context.Context, user string, after NoteKey, limit int) (Inbox, error) {
	from := 1 + slices.IndexFunc(m.notes, func(n Note) bool { return n.ID == after.ID })
	return Inbox{User: user, Unread: 3, Notes: slices.Clone(m.notes[from:min(len(m.notes), from+limit)])}, m.say("Inbox", "%s", user)
}

func (m *memory) MarkNotes(_ context.Context, user string, ids []string, read bool) (int, error) {
	return 2, m.say("MarkNotes", "%s %v %v", user, ids, read)
}

func (m *memory) Ready(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.down
}

// fails makes a method return an error.
func (m *memory) fails(method string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail[method] = err
}

// serving opens a door for the length of a test and returns it.
func serving(t testing.TB, d *Door, err error) *Door {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return d
}

// dialed serves a socket and returns a client of it.
func dialed(t testing.TB, s *Server) *Client {
	t.Helper()
	d, err := s.OpenSocket(t.TempDir() + "/d.sock")
	serving(t, d, err)
	c, err := Dial(d.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// stopped is the context of a door that is closing.
func stopped(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
