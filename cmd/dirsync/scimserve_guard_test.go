package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"dirsync"
	"dirsync/scim/server"
	"dirsync/store"
)

// pushRig is a SCIM server of a configuration over a real store, in this process, with a clock that the test moves.
type pushRig struct {
	*pushing
	t      *testing.T
	st     *store.Store
	path   string
	config string
	token  string

	mu  sync.Mutex
	now time.Time
}

func newPushRig(t *testing.T, more string) *pushRig {
	dir := t.TempDir()
	r := &pushRig{t: t, path: filepath.Join(dir, "dirsync.db"), config: pushConfigIn(t, dir, more), now: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)}
	r.open()
	t.Cleanup(func() { _ = r.st.Close() })
	return r
}

// open opens everything anew, as after a restart.
func (r *pushRig) open() {
	r.t.Helper()
	cfg, err := LoadConfig(r.config)
	if err != nil {
		r.t.Fatal(err)
	}
	if r.st, err = store.Open(r.path, store.Options{Now: r.clock}); err != nil {
		r.t.Fatal(err)
	}
	a := newApp(nil, nil)
	a.now, a.log = r.clock, zerolog.Nop()
	tokens, err := openTokens(r.t.Context(), r.st, r.clock)
	if err != nil {
		r.t.Fatal(err)
	}
	if r.token == "" {
		if r.token, err = tokens.create(r.t.Context(), scimToken{Name: "entra", Scopes: server.Scopes()}); err != nil {
			r.t.Fatal(err)
		}
	}
	if r.pushing, err = newPushing(a, cfg, r.st, tokens); err != nil {
		r.t.Fatal(err)
	}
}

func (r *pushRig) restart() {
	r.t.Helper()
	if err := r.st.Close(); err != nil {
		r.t.Fatal(err)
	}
	r.open()
}

func (r *pushRig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *pushRig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

// do sends a request and expects a status.
func (r *pushRig) do(want int, method, path, body string) string {
	r.t.Helper()
	req := httptest.NewRequest(method, "/scim/v2"+path, strings.NewReader(strings.ReplaceAll(body, "'", `"`)))
	req.Header.Set("Authorization", "Bearer "+r.token)
	req.Header.Set("Content-Type", "application/scim+json")
	w := httptest.NewRecorder()
	r.handler.Load().ServeHTTP(w, req)
	if w.Code != want {
		r.t.Fatalf("%s %s: got %d, want %d\n%s", method, path, w.Code, want, w.Body)
	}
	return w.Body.String()
}

// people makes n users and returns their ids.
func (r *pushRig) people(prefix string, n int) []string {
	r.t.Helper()
	var ids []string
	for i := range n {
		ids = append(ids, made(r.t, r.do(201, "POST", "/Users", fmt.Sprintf(`{'userName':'%s%d@contoso.com'}`, prefix, i))))
	}
	return ids
}

const setInactive = `{'schemas':['urn:ietf:params:scim:api:messages:2.0:PatchOp'],'Operations':[{'op':'Replace','path':'active','value':'False'}]}`

// pending is what a resource waits for.
func (r *pushRig) pending(kind dirsync.Kind, id string) string {
	r.t.Helper()
	got, err := r.resources.Resource(r.t.Context(), kind, id)
	switch {
	case dirsync.KindOf(err) == dirsync.NotFound:
		return "gone"
	case err != nil:
		r.t.Fatal(err)
	case got.Pending != 0:
		return "waits to " + got.Pending.String()
	case got.Active:
		return "active"
	}
	return "inactive"
}

// held describes the open holds.
func (r *pushRig) held() string {
	r.t.Helper()
	holds, err := r.guard.all(r.t.Context(), false)
	if err != nil {
		r.t.Fatal(err)
	}
	var out []string
	for _, h := range holds {
		out = append(out, fmt.Sprintf("%d %s of %d", h.ID, heldWhat(h), h.People))
	}
	return strings.Join(out, "; ")
}

func (r *pushRig) look() []dirsync.Hold {
	r.t.Helper()
	open, err := r.guard.look(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return open
}

func (r *pushRig) decide(approve bool, people ...string) (int, error) {
	r.t.Helper()
	holds, err := r.guard.all(r.t.Context(), false)
	if err != nil || len(holds) == 0 {
		r.t.Fatalf("nothing to decide: %v", err)
	}
	return r.pushing.decide(r.t.Context(), pushVerdict{hold: holds[0], digest: holds[0].Digest[:8], people: people, by: "test", why: "why", approve: approve})
}

// TestPushLimits: what comes within an hour counts as a run, and a trickle is seen as well as a flood, also across restarts.
func TestPushLimits(t *testing.T) {
	r := newPushRig(t, "    limits: { deactivations: { count: 2, floor: 2, share: 100%, per_day: { count: 3, floor: 3 }, per_week: { count: 5, floor: 5 } } }\n")
	ids := r.people("a", 12)
	next := 0
	off := func(want string) {
		t.Helper()
		r.do(200, "PATCH", "/Users/"+ids[next], setInactive)
		if got := r.pending(dirsync.KindUser, ids[next]); got != want {
			t.Errorf("user %d: got %s, want %s", next, got, want)
		}
		next++
	}
	drop := func() {
		t.Helper()
		if n, err := r.decide(false); err != nil || n == 0 {
			t.Fatalf("got %d, %v", n, err)
		}
	}
	off("inactive")
	off("inactive")
	off("waits to deactivate") // the third within an hour
	if got, want := r.held(), "1 1 deactivation of 1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	r.restart()
	off("waits to deactivate")
	if got, want := r.held(), "1 2 deactivations of 2"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	r.pass(2 * time.Hour)
	off("waits to deactivate") // with those that wait, whatever the limits say
	drop()
	r.restart()
	off("inactive")            // the third in a day
	off("waits to deactivate") // the fourth
	drop()
	r.pass(23 * time.Hour)
	off("inactive") // the fourth in a week
	r.pass(24 * time.Hour)
	off("inactive")
	r.pass(24 * time.Hour)
	off("waits to deactivate") // the sixth
	drop()
	r.pass(5 * 24 * time.Hour) // the first ones are a week old
	off("inactive")
}

// TestPushedHoldLife: a hold lives as long as somebody is on its list.
func TestPushedHoldLife(t *testing.T) {
	r := newPushRig(t, "    when_deleted: delete\n    limits: { deletes: { count: 0 }, deactivations: { count: 0 }, groups: { count: 0 } }\n")
	ids := r.people("a", 4)
	group := made(t, r.do(201, "POST", "/Groups", `{'displayName':'g'}`))
	r.do(204, "DELETE", "/Users/"+ids[0], "")
	r.do(204, "DELETE", "/Users/"+ids[1], "")
	r.do(200, "PATCH", "/Users/"+ids[2], setInactive)
	r.do(204, "DELETE", "/Groups/"+group, "")
	if got, want := r.held(), "3 1 deletion of groups of 1; 2 1 deactivation of 1; 1 2 deletions of 2"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if open := r.look(); len(open) != 3 {
		t.Errorf("told of %d holds, want 3", len(open))
	}
	if open := r.look(); open != nil {
		t.Errorf("told again of %v", open)
	}

	// An inactive user whose deletion waits is on one list only.
	r.do(204, "DELETE", "/Users/"+ids[2], "")
	if got, want := r.held(), "3 1 deletion of groups of 1; 1 3 deletions of 3"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}

	// Whoever is pushed again is on none, and a hold of nobody is over, once no request can be about to write.
	if got := made(t, r.do(201, "POST", "/Users", `{'userName':'A0@contoso.com'}`)); got != ids[0] {
		t.Errorf("came back as %s, want %s", got, ids[0])
	}
	r.pass(pushCommit)
	r.look()
	if got, want := r.held(), "3 1 deletion of groups of 1; 1 2 deletions of 2"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	all, err := r.guard.all(t.Context(), true)
	if err != nil || len(all) != 3 || all[1].Status != dirsync.HoldOver {
		t.Errorf("got %+v, %v", all, err)
	}

	// A hold that nobody decides expires, and another one takes its place.
	r.pass(pushHold)
	r.restart()
	r.look()
	if got, want := r.held(), "5 1 deletion of groups of 1; 4 2 deletions of 2"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}

	// Decided by name, and as a whole; what was decided cannot be decided again.
	holds, _ := r.guard.all(t.Context(), false)
	people := holds[1]
	for _, tt := range []struct {
		digest string
		people []string
		want   string
	}{
		{people.Digest[:7], nil, "another list"},
		{"00000000", nil, "another list"},
		{people.Digest[:8], []string{ids[3]}, "is not on it"},
	} {
		_, err := r.pushing.decide(t.Context(), pushVerdict{hold: people, digest: tt.digest, people: tt.people, approve: true})
		if dirsync.KindOf(err) != dirsync.Conflict || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: got %v", tt, err)
		}
	}
	// Who is named may be decided about, whoever has come onto the list meanwhile.
	verdict := pushVerdict{hold: people, digest: "00000000", people: []string{ids[1]}, by: "ann", approve: true}
	if n, err := r.pushing.decide(t.Context(), verdict); n != 1 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	if got := r.pending(dirsync.KindUser, ids[1]) + ", " + r.pending(dirsync.KindUser, ids[2]); got != "gone, waits to delete" {
		t.Errorf("got %s", got)
	}
	if _, err := r.pushing.decide(t.Context(), verdict); dirsync.KindOf(err) != dirsync.Conflict {
		t.Errorf("decided twice: %v", err)
	}
	for range 2 {
		if n, err := r.decide(false); n != 1 || err != nil {
			t.Errorf("got %d, %v", n, err)
		}
	}
	if got := r.held() + r.pending(dirsync.KindUser, ids[2]) + ", " + r.pending(dirsync.KindGroup, group); got != "active, active" {
		t.Errorf("got %s", got)
	}
	r.do(200, "GET", "/Groups/"+group, "")
	if open := r.look(); open == nil || len(open) != 0 {
		t.Errorf("it is not told that nothing is held any more: %v", open)
	}
	if found, err := r.st.Verify(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("verify: %v, %v", found, err)
	}
}

// TestPushedDeletionDeactivates: with the policy deactivate a deletion is a deactivation, and one of an inactive account takes
// nothing away from anybody.
func TestPushedDeletionDeactivates(t *testing.T) {
	r := newPushRig(t, "    limits: { deletes: { count: 0 }, deactivations: { count: 1, floor: 1 } }\n")
	ids := r.people("a", 3)
	r.do(200, "PATCH", "/Users/"+ids[0], setInactive)
	r.do(204, "DELETE", "/Users/"+ids[0], "")
	r.do(204, "DELETE", "/Users/"+ids[1], "")
	if got, want := r.held(), "1 1 deactivation of 1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if n, err := r.decide(true); n != 1 || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	for i, want := range []string{"inactive", "inactive", "active"} {
		if got := r.pending(dirsync.KindUser, ids[i]); got != want {
			t.Errorf("user %d: got %s, want %s", i, got, want)
		}
	}
	if got := made(t, r.do(201, "POST", "/Users", `{'userName':'a1@contoso.com'}`)); got != ids[1] {
		t.Errorf("came back as %s, want %s", got, ids[1])
	}
}

// TestPushFlood: of many deletions at once exactly as many go through as may, and everybody else waits.
func TestPushFlood(t *testing.T) {
	r := newPushRig(t, "    when_deleted: delete\n    limits: { deletes: { count: 7, floor: 7 } }\n")
	const n = 100
	ids := r.people("a", n)
	var all sync.WaitGroup
	for _, id := range ids {
		all.Go(func() {
			req := httptest.NewRequest("DELETE", "/scim/v2/Users/"+id, http.NoBody)
			req.Header.Set("Authorization", "Bearer "+r.token)
			w := httptest.NewRecorder()
			if r.handler.Load().ServeHTTP(w, req); w.Code != 204 {
				t.Errorf("DELETE: %d %s", w.Code, w.Body)
			}
		})
	}
	all.Wait()
	if got, want := r.held(), fmt.Sprintf("1 %d deletions of %d", n-7, n-7); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if count, err := r.resources.CountResources(t.Context(), dirsync.KindUser); err != nil || count != n-7 {
		t.Errorf("got %d users, want %d: %v", count, n-7, err)
	}
	if n, err := r.decide(true); err != nil || n != 93 {
		t.Errorf("got %d, %v", n, err)
	}
	if count, err := r.resources.CountResources(t.Context(), dirsync.KindUser); err != nil || count != 0 {
		t.Errorf("got %d users, want none: %v", count, err)
	}
}

// notesOf is what is kept of notes, counted.
type notesOf struct {
	noted
	mu     sync.Mutex
	writes int
	fail   error
}

func (n *notesOf) SetNote(ctx context.Context, name string, value []byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fail != nil {
		return n.fail
	}
	n.writes++
	return n.noted.SetNote(ctx, name, value)
}

func TestTokens(t *testing.T) {
	r := newPushRig(t, "")
	notes := &notesOf{noted: r.st}
	ctx := t.Context()
	open := func() *tokenBook {
		t.Helper()
		b, err := openTokens(ctx, notes, r.clock)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := open()
	who := func(token string) string {
		t.Helper()
		p, err := b.authenticate(ctx, token)
		if err != nil {
			if err.Error() != errNoToken.Error() {
				t.Errorf("got %v", err)
			}
			return ""
		}
		return fmt.Sprint(p.Name, " ", p.Scopes)
	}
	first, err := b.create(ctx, scimToken{Name: "crm", Scopes: []server.Scope{server.UsersRead}, Expires: r.clock().Add(48 * time.Hour)})
	if err != nil || server.CheckToken(first) != nil {
		t.Fatalf("got %q, %v", first, err)
	}
	if _, err := b.create(ctx, scimToken{Name: "crm"}); dirsync.KindOf(err) != dirsync.Conflict || strings.Contains(fmt.Sprint(err), server.TokenPrefix) {
		t.Errorf("of the same name: %v", err)
	}
	if got, want := who(first), "crm [users:read]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, no := range []string{"", "dss_", first[:len(first)-1], first + "a", strings.ToUpper(first)} {
		if got := who(no); got != "" {
			t.Errorf("%q is let in as %s", no, got)
		}
	}

	// Uses are written once a minute, however many there are, and none is written without one.
	notes.writes = 0
	for range 100 {
		who(first)
		if err := b.keepUses(ctx); err != nil {
			t.Fatal(err)
		}
		r.pass(time.Second)
	}
	if notes.writes != 2 {
		t.Errorf("100 uses in 100 seconds were written %d times, want 2", notes.writes)
	}
	if b = open(); b.list()[0].Used.IsZero() {
		t.Error("the last use is not known after a restart")
	}

	// The old token is good for the overlap and no longer, and the new one lives as long again.
	r.pass(24 * time.Hour)
	second, made, err := b.rotate(ctx, "crm", "ann", time.Hour)
	if err != nil || second == first || made.Expires.Sub(r.clock()) != 48*time.Hour {
		t.Fatalf("got %+v, %v", made, err)
	}
	b = open()
	if who(first) == "" || who(second) == "" {
		t.Error("one of both is not good during the overlap")
	}
	r.pass(time.Hour)
	if who(first) != "" || who(second) == "" {
		t.Error("the old one is good after the overlap, or the new one is not")
	}
	// Rotated with an overlap that is longer than the old one lives.
	r.pass(46 * time.Hour)
	third, _, err := b.rotate(ctx, "crm", "ann", 30*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	r.pass(time.Hour)
	if who(second) != "" || who(third) == "" {
		t.Error("a token lives longer than it was to, because it was rotated")
	}
	// Rotated twice, nobody is shut out before their time; at once, everybody is.
	fourth, _, err := b.rotate(ctx, "crm", "ann", 2*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	fifth, _, err := b.rotate(ctx, "crm", "ann", time.Hour)
	b = open()
	if err != nil || who(third) == "" || who(fourth) == "" || who(fifth) == "" {
		t.Errorf("one of three is not good during the overlaps: %v", err)
	}
	r.pass(90 * time.Minute)
	if who(third) == "" || who(fourth) != "" || who(fifth) == "" {
		t.Error("one of three is good or is not at the wrong time")
	}
	last, _, err := b.rotate(ctx, "crm", "ann", 0)
	if err != nil || who(third) != "" || who(fifth) != "" || who(last) == "" {
		t.Errorf("not all others have ended at once: %v", err)
	}
	third = last
	if _, _, err := b.rotate(ctx, "nobody", "", 0); dirsync.KindOf(err) != dirsync.NotFound {
		t.Errorf("got %v", err)
	}

	// What cannot be written has no effect.
	notes.fail = errors.New("disk")
	if err := b.revoke(ctx, "crm"); err == nil || who(third) == "" {
		t.Errorf("a token was revoked that is still in the store: %v", err)
	}
	notes.fail = nil
	if err := b.revoke(ctx, "crm"); err != nil || who(third) != "" {
		t.Errorf("a revoked token is good: %v", err)
	}
	text, err := r.st.Note(ctx, noteTokens)
	for _, token := range []string{first, second, third} {
		if err != nil || strings.Contains(string(text), token[4:24]) {
			t.Errorf("a token is in the store: %s, %v", text, err)
		}
	}
	if err := r.st.SetNote(ctx, noteTokens, []byte("[")); err != nil {
		t.Fatal(err)
	}
	if _, err := openTokens(ctx, notes, r.clock); dirsync.KindOf(err) != dirsync.Corrupt {
		t.Errorf("a damaged list: got %v", err)
	}
}

// TestTokenNews: people are told before a token ends, once for each warning.
func TestTokenNews(t *testing.T) {
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	token := func(name string, left time.Duration) scimToken { return scimToken{Name: name, Expires: now.Add(left)} }
	for _, tt := range []struct {
		tokens            []scimToken
		kind, fingerprint string
	}{
		{nil, "recovered", ""},
		{[]scimToken{{Name: "for-ever"}, token("late", 31*day)}, "recovered", ""},
		{[]scimToken{token("a", 30*day)}, "credential expiring", "a-720h0m0s-2026-04-03"},
		{[]scimToken{token("a", 8*day), token("b", day)}, "credential expiring", "a-336h0m0s-2026-03-12 b-24h0m0s-2026-03-05"},
		{[]scimToken{token("a", -day)}, "credential expiring", "a-24h0m0s-2026-03-03"},
	} {
		n := tokenNews(tt.tokens, now)
		if got := fmt.Sprint(n.Kind); !strings.EqualFold(strings.ReplaceAll(got, "_", " "), tt.kind) || n.Fingerprint != tt.fingerprint {
			t.Errorf("%v: got %s %q, want %s %q", tt.tokens, got, n.Fingerprint, tt.kind, tt.fingerprint)
		}
	}
}
