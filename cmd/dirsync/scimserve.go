package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"dirsync"
	"dirsync/mapping"
	"dirsync/notify"
	"dirsync/scim/server"
	"dirsync/store"
)

// pushed is what the SCIM server is called wherever syncs have their names: in holds, in news and in metrics. No sync may be
// called so where there is one.
const pushed = "scim"

// pushing is the SCIM server over the embedded directory, with all that is kept around it:
//
//	client ──► doorway ──► server.Server ──► store.Directory
//	          TLS, trust        │  │
//	                 tokenBook ◄┘  ├─► pushGuard: limits and holds
//	                               └─► pushLog: who sent what; metrics
//
// Commands make one, too, that answers nobody, to decide holds.
type pushing struct {
	*app
	resources dirsync.ResourceStore
	tokens    *tokenBook
	guard     *pushGuard
	// history is where requests are remembered, entrance where those go who are turned away; nil for commands.
	history  *pushLog
	entrance *doorway

	// cursorKey is what cursors are signed with; nil for commands.
	cursorKey []byte

	handler atomic.Pointer[server.Server]
	// resuming ends what a server that was replaced still does.
	resuming sync.WaitGroup
}

// newPushing joins the parts. Nothing runs yet.
func newPushing(a *app, cfg *Config, st *store.Store, tokens *tokenBook) (*pushing, error) {
	directory, err := st.Directory(cfg.Directory.FieldList()...)
	if err != nil {
		return nil, err
	}
	key, err := st.Note(context.Background(), noteCursorKey)
	if err != nil {
		return nil, err
	}
	p := &pushing{app: a, resources: directory, tokens: tokens, cursorKey: key}
	p.guard = newPushGuard(p.resources, st, a.now)
	if err := p.configure(cfg); err != nil {
		return nil, err
	}
	return p, nil
}

// configure makes the server of a configuration, and puts it in the place of the one before.
func (p *pushing) configure(cfg *Config) error {
	sc := cfg.Serve.SCIM
	users, groups := sc.actions()
	convert, err := conversions(cfg.Directory)
	if err != nil {
		return err
	}
	c := server.Config{Store: p.resources, Fields: sc.fieldPaths(cfg.Directory), Convert: convert, Guard: p.guard.ask, Observe: p.observe,
		Authenticate: p.tokens.authenticate, URL: sc.URL, Users: users, Groups: groups, Log: p.log, Now: p.now,
		Limits: server.Limits{Rate: float64(sc.Rate)}, CursorKey: p.cursorKey}
	if cfg.Directory.FedBy != FedBySCIM {
		c.Authenticate = readers(p.tokens.authenticate)
	}
	s, err := server.New(c)
	if err != nil {
		return err
	}
	p.guard.configure(sc)
	p.handler.Store(s)
	return nil
}

// readers lets everybody read alone: syncs fill the directory, and would undo what clients write.
func readers(authenticate func(context.Context, string) (server.Principal, error)) func(context.Context, string) (server.Principal, error) {
	reads := map[server.Scope]server.Scope{server.UsersRead: server.UsersRead, server.UsersWrite: server.UsersRead,
		server.GroupsRead: server.GroupsRead, server.GroupsWrite: server.GroupsRead}
	return func(ctx context.Context, token string) (server.Principal, error) {
		who, err := authenticate(ctx, token)
		var scopes []server.Scope
		for _, s := range who.Scopes {
			scopes = append(scopes, reads[s])
		}
		who.Scopes = scopes
		return who, err
	}
}

// nobody lets nobody in.
func nobody(context.Context, string) (server.Principal, error) {
	return server.Principal{}, errNoToken
}

// conversions make the values of fields as a mapping makes them, so that a date or a phone number means the same whoever
// brings it.
func conversions(directory DirectoryConfig) (func(dirsync.Field, string) (dirsync.Value, string), error) {
	by := map[string]*mapping.Mapping{}
	for _, f := range slices.Concat(mapping.Mandatory(), directory.FieldList()) {
		if f.Type == dirsync.Reference || f.Type == dirsync.TextList {
			continue
		}
		format := f.Format
		f.Required, f.Format = false, ""
		m, problems := mapping.Compile([]mapping.Spec{{Field: f.Name, From: f.Name, Format: format}}, mapping.Expression{},
			[]dirsync.Field{{Name: f.Name, Type: dirsync.Text}}, []dirsync.Field{f})
		if len(problems) > 0 {
			return nil, fmt.Errorf("convert the field %s: %s", f.Name, problems[0].Message)
		}
		by[f.Name] = m
	}
	return func(f dirsync.Field, text string) (dirsync.Value, string) {
		m := by[f.Name]
		if m == nil {
			return dirsync.Value{}, "is not known here"
		}
		raw, err := jsonText(text)
		if err != nil {
			return dirsync.Value{}, "is no text"
		}
		r := m.Map("", dirsync.Attributes{{Name: f.Name, Raw: raw}})
		if len(r.Faults) > 0 {
			return dirsync.Value{}, "is no value of this field"
		}
		v, _ := r.Values.Get(f.Name)
		return v, ""
	}, nil
}

// observe remembers a request, and counts it.
func (p *pushing) observe(e server.Event) {
	quirks := make([]string, len(e.Quirks))
	for i, q := range e.Quirks {
		quirks[i] = string(q.Code)
	}
	p.metrics.Pushed(e.Method, e.Resource, e.Status, e.Duration, quirks)
	if e.Operation == 0 {
		p.entrance.answered(e)
	}
	if e.Status == http.StatusUnauthorized {
		p.entrance.refused(e.Time, false)
		return // Whoever knocks without a token must not be able to push everybody else out of the history.
	}
	if e.Held {
		p.guard.written()
	}
	if p.history != nil {
		p.history.add(e)
	}
}

// How often what is known in memory is written down, and how often holds are looked at.
const (
	tokensEvery = time.Minute
	holdsEvery  = time.Minute
)

// keep looks after what no request does, until ctx ends: references that wait since before the start, holds, and when tokens
// were used. told is called for each change of what is held.
func (p *pushing) keep(ctx context.Context, told func(context.Context, []dirsync.Hold)) {
	p.resuming.Go(func() { p.resume(ctx) })
	tokens, holds := time.NewTicker(tokensEvery), time.NewTicker(holdsEvery)
	defer tokens.Stop()
	defer holds.Stop()
	p.lookAtHolds(ctx, told)
	for {
		select {
		case <-ctx.Done():
			last := context.WithoutCancel(ctx)
			p.keepUses(last)
			p.resuming.Wait()
			p.lookAtHolds(last, func(context.Context, []dirsync.Hold) {}) // so that the store knows how many wait; they are told of at the next start
			return
		case <-p.guard.made:
			p.lookAtHolds(ctx, told)
		case <-holds.C:
			p.lookAtHolds(ctx, told)
		case <-tokens.C:
			p.keepUses(ctx)
		}
	}
}

// resume takes up references that wait since before the start.
func (p *pushing) resume(ctx context.Context) {
	if err := p.handler.Load().Resume(ctx); err != nil && ctx.Err() == nil {
		p.log.Error().Err(err).Msg("references to people who are yet to come could not be taken up")
	}
}

func (p *pushing) lookAtHolds(ctx context.Context, told func(context.Context, []dirsync.Hold)) {
	changed, err := p.guard.look(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		p.log.Error().Err(err).Msg("what is held could not be looked at; it is tried again")
	case changed != nil:
		told(ctx, changed)
	}
}

func (p *pushing) keepUses(ctx context.Context) {
	if err := p.tokens.keepUses(ctx); err != nil {
		p.log.Error().Err(err).Msg("when tokens were used last could not be written down; it is tried again")
	}
}

// reload takes a configuration over, except for what only a restart can change. Requests that are under way end as they began.
func (p *pushing) reload(ctx context.Context, cfg *Config) error {
	if err := p.configure(cfg); err != nil {
		return err
	}
	p.resuming.Go(func() { p.resume(ctx) })
	return nil
}

// pushFolder is where the history of requests is kept: beside the store.
func pushFolder(cfg *Config) string {
	return filepath.Join(filepath.Dir(cfg.Store.Path), "scim-requests")
}

// openPushing opens the entrance of SCIM clients, if the configuration has one. It stays open while the store is replaced.
func (d *daemon) openPushing() (err error) {
	cfg := d.config()
	if cfg.Serve.SCIM == nil {
		return nil
	}
	if d.entrance, err = openDoorway(cfg.Serve.SCIM, d.log, d.metrics); err != nil {
		return err
	}
	d.entrance.began(d.started, lastOfTokens(pushFolder(cfg)))
	d.history, err = openPushLog(pushFolder(cfg), d.now, d.log)
	return err
}

// newPushing makes the SCIM server over the store that is open now; nil if the configuration has none.
func (d *daemon) newPushing(ctx context.Context) (*pushing, error) {
	if d.entrance == nil {
		return nil, nil //nolint:nilnil // there is none
	}
	if err := makeCursorKey(ctx, d.st); err != nil {
		return nil, err
	}
	tokens, err := openTokens(ctx, d.st, d.now)
	if err != nil {
		return nil, err
	}
	p, err := newPushing(d.app, d.cfg, d.st, tokens)
	if err == nil {
		p.history, p.entrance = d.history, d.entrance
	}
	return p, err
}

// noteCursorKey is the note in which the store keeps what cursors are signed with. Whoever reads a long list goes on where it
// was, though the daemon was started again or has another configuration.
const noteCursorKey = "scim/cursor_key"

// makeCursorKey makes a key, once.
func makeCursorKey(ctx context.Context, st noted) error {
	key, err := st.Note(ctx, noteCursorKey)
	if err != nil || len(key) > 0 {
		return err
	}
	key = make([]byte, 32)
	_, _ = rand.Read(key) // It never fails, it ends the program instead.
	return st.SetNote(ctx, noteCursorKey, key)
}

// push answers a SCIM client.
func (d *daemon) push(w http.ResponseWriter, r *http.Request) {
	leave, err := d.rest.enter()
	if err != nil {
		answerPush(w, http.StatusServiceUnavailable, "the directory is being replaced; try again in a moment", 5*time.Second)
		return
	}
	defer leave()
	if d.entrance.admit(w, r, d.pushing.tokens) {
		d.pushing.handler.Load().ServeHTTP(w, r)
	}
}

// tellHeld tells people and metrics of what clients have made wait.
func (d *daemon) tellHeld(ctx context.Context, holds []dirsync.Hold) {
	d.metrics.Holds(pushed, holds)
	now := d.now()
	r := dirsync.Run{Sync: pushed, Status: dirsync.Success, Ended: now}
	for _, h := range holds {
		if h.Status == dirsync.HoldOpen {
			r.Holds = append(r.Holds, h)
			d.log.Warn().Str("hold", h.Name()).Int("people", h.People).Str("reason", h.Reason).Msg("what SCIM clients ask for is held, until somebody decides")
		}
	}
	if len(r.Holds) > 0 {
		r.Status = dirsync.PartialSuccess
	}
	d.tell(ctx, notify.OfRun(r, nil, 0, "")...)
	d.lookAway()
}

// lookAtTokens warns of tokens of SCIM clients that end soon: then nothing is pushed any more, and the client may give up.
func (d *daemon) lookAtTokens(ctx context.Context, now time.Time) {
	if d.pushing != nil {
		d.tell(ctx, tokenNews(d.pushing.tokens.list(), now))
	}
}

// tokenNews says that a token ends soon, or that none does. Each of the warnings is news of its own.
func tokenNews(tokens []scimToken, now time.Time) notify.News {
	n := notify.News{Kind: notify.Recovered, Sync: pushed, At: now, Ends: []notify.Kind{notify.CredentialExpiring}}
	var print, words []string
	for _, t := range tokens {
		for _, warning := range slices.Backward(expiryWarnings()) {
			if t.Expires.IsZero() || t.Expires.Sub(now) > warning {
				continue
			}
			verb := "ends"
			if !now.Before(t.Expires) {
				verb = "has ended"
			}
			print = append(print, t.Name+"-"+warning.String()+"-"+t.Expires.Format(time.DateOnly))
			words = append(words, fmt.Sprintf("the token %s %s on %s", t.Name, verb, t.Expires.Format(time.DateOnly)))
			break
		}
	}
	if len(words) > 0 {
		n.Kind, n.Ends, n.Fingerprint = notify.CredentialExpiring, nil, strings.Join(print, " ")
		n.Reason = strings.Join(words, "; ") + "; dirsync token rotate makes another one"
	}
	return n
}

// jsonText is a text as JSON.
func jsonText(text string) (json.RawMessage, error) { return json.Marshal(text) }
