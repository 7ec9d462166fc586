package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dirsync"
	"dirsync/store"
)

func (a *app) requestsCommand() *cobra.Command {
	q := pushQuery{}
	cmd := &cobra.Command{
		Use:   "requests [USER]",
		Short: "Show what SCIM clients have sent",
		Long: `requests shows the latest requests of SCIM clients, newest first: who sent what, what
came of it, which attributes have changed, and what was odd. With USER it shows those
about one user or group, by id, userName, e-mail address or externalId.

It holds names and ids, and no other value that was sent. Requests are kept for thirty
days, and so many of them as fit into 128 MB; those that only look, which --reads shows
as well, are kept apart from the others. They are in files of JSON lines in the folder
scim-requests beside the store.

Exit codes: 0 shown; 1 failed; 2 the command line or the configuration is wrong.`,
		Example: "  dirsync requests\n  dirsync requests adele@contoso.com\n  dirsync requests --quirks --limit 0 -o json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(nil, func(cfg *Config, st *store.Store, _ []string) error {
				if len(args) == 1 {
					if err := q.about(cmd.Context(), cfg, st, args[0]); err != nil {
						return err
					}
				}
				if q.limit <= 0 {
					q.limit = 1 << 30
				}
				if err := a.flushRequests(); err != nil {
					return err
				}
				list, err := readPushLog(pushFolder(cfg), q)
				if err != nil {
					return err
				}
				return a.printRequests(list)
			})
		},
	}
	cmd.Flags().IntVar(&q.limit, "limit", 20, "show at most this many; 0 shows all")
	cmd.Flags().BoolVar(&q.reads, "reads", false, "show requests that only look, too")
	cmd.Flags().BoolVar(&q.quirks, "quirks", false, "only those in which something was odd")
	cmd.Flags().BoolVar(&q.failed, "failed", false, "only those that were refused")
	return cmd
}

// flushRequests has the daemon write what it remembers.
func (a *app) flushRequests() error {
	if a.host == nil || a.host.history == nil {
		return nil
	}
	return a.host.history.sync()
}

// about makes q ask for one resource, by any of its names.
func (q *pushQuery) about(ctx context.Context, cfg *Config, st *store.Store, key string) error {
	directory, err := st.Directory(cfg.Directory.FieldList()...)
	if err != nil {
		return err
	}
	found, err := findResources(ctx, directory, key)
	if err != nil {
		return err
	}
	for _, r := range found {
		q.ids = append(q.ids, r.ID)
	}
	if len(found) == 0 {
		q.ids, q.names = []string{key}, []string{key} // Whoever is not there any more may still be remembered.
	}
	return nil
}

// findResources finds users and groups by id, name, external id, or e-mail address.
func findResources(ctx context.Context, resources dirsync.ResourceStore, key string) ([]dirsync.Resource, error) {
	var out []dirsync.Resource
	for _, kind := range []dirsync.Kind{dirsync.KindUser, dirsync.KindGroup} {
		r, err := resources.Resource(ctx, kind, key)
		if err == nil {
			return []dirsync.Resource{r}, nil
		}
		if dirsync.KindOf(err) != dirsync.NotFound {
			return nil, err
		}
		for _, by := range []dirsync.ResourceKey{dirsync.ByName, dirsync.ByExternalID, dirsync.ByEmail} {
			if kind == dirsync.KindGroup && by == dirsync.ByEmail {
				continue
			}
			found, err := resources.FindResources(ctx, kind, by, key, 10)
			if err != nil {
				return nil, err
			}
			for _, r := range found {
				if !slices.ContainsFunc(out, func(o dirsync.Resource) bool { return o.ID == r.ID }) {
					out = append(out, r)
				}
			}
		}
	}
	return out, nil
}

func (a *app) printRequests(list []pushEntry) error {
	if a.json() {
		if list == nil {
			list = []pushEntry{}
		}
		return writeJSON(a.stdout, map[string]any{"requests": list})
	}
	if len(list) == 0 {
		a.printf("Nothing is remembered.\n")
		return nil
	}
	now := a.now()
	t := NewTable(a.style, "WHEN", "WHO", "REQUEST", "ABOUT", "STATUS", "WHAT CAME OF IT")
	for _, e := range list {
		status := painted{plain, e.Status}
		if e.Status >= 400 {
			status.color = red
		}
		t.Row(when(e.Time, now), orElse(e.Token, "nobody"), e.Method+" "+e.Resource, orElse(e.Name, e.ID), status, e.outcome())
	}
	return t.Write(a.stdout)
}

// outcome says in words what came of a request.
func (e *pushEntry) outcome() string {
	var parts []string
	switch {
	case e.Held:
		parts = append(parts, "held, waits for approval")
	case e.Detail != "":
		parts = append(parts, e.Detail)
	case len(e.Changed) > 0:
		parts = append(parts, "changed "+strings.Join(e.Changed, ", "))
	}
	for _, q := range e.Quirks {
		parts = append(parts, "odd: "+q.Text)
	}
	return strings.Join(parts, "; ")
}

// lastRequests are the latest requests about a resource.
func (a *app) lastRequests(cfg *Config, id string, limit int) ([]pushEntry, error) {
	if cfg.Serve.SCIM == nil {
		return nil, nil
	}
	if err := a.flushRequests(); err != nil {
		return nil, err
	}
	return readPushLog(pushFolder(cfg), pushQuery{ids: []string{id}, limit: limit})
}

// sentence says in one line what a request was.
func (e *pushEntry) sentence(now time.Time) string {
	s := fmt.Sprintf("%s by %s, %s, answered %d", e.Method, orElse(e.Token, "nobody"), when(e.Time, now), e.Status)
	if outcome := e.outcome(); outcome != "" {
		s += ": " + outcome
	}
	return s
}

// pushedView is what is known of somebody whom clients push, as programs read it.
type pushedView struct {
	ID         string         `json:"id"`
	Kind       string         `json:"kind"`
	Name       string         `json:"user_name"`
	Display    string         `json:"display_name,omitempty"`
	ExternalID string         `json:"external_id,omitempty"`
	Source     string         `json:"source,omitempty"`
	Status     string         `json:"status"`
	Pending    string         `json:"pending,omitempty"`
	Hold       string         `json:"hold,omitempty"`
	Emails     []string       `json:"emails,omitempty"`
	Groups     []string       `json:"groups,omitempty"`
	Created    time.Time      `json:"created"`
	Updated    time.Time      `json:"updated"`
	Values     dirsync.Values `json:"values"`
	// LastRequest is the latest request about them that was no mere look.
	LastRequest *pushEntry  `json:"last_request,omitempty"`
	Requests    []pushEntry `json:"requests"`
}

// explainPushed explains somebody of the directory, where SCIM clients fill it; done is false where they do not, or if nobody
// goes by that name.
func (a *app) explainPushed(ctx context.Context, key string) (done bool, err error) {
	cfg, err := a.readConfig()
	if err != nil || cfg.Serve.SCIM == nil || cfg.Directory.FedBy != FedBySCIM {
		return false, err
	}
	err = a.withPushing(ctx, true, func(p *pushing) error {
		found, err := findResources(ctx, p.resources, key)
		if err != nil || len(found) == 0 {
			return err
		}
		done = true
		views := []pushedView{}
		for _, r := range found {
			v, err := a.pushedViewOf(ctx, cfg, p, r)
			if err != nil {
				return err
			}
			views = append(views, v)
		}
		if a.json() {
			return writeJSON(a.stdout, map[string]any{"pushed": views})
		}
		for i, v := range views {
			if i > 0 {
				a.printf("\n")
			}
			a.printPushed(v)
		}
		return nil
	})
	return done, err
}

func (a *app) pushedViewOf(ctx context.Context, cfg *Config, p *pushing, r dirsync.Resource) (pushedView, error) {
	v := pushedView{ID: r.ID, Kind: r.Kind.String(), Name: r.Name, Display: r.Display, ExternalID: r.ExternalID, Source: string(r.Source),
		Status: statusWord(dirsync.Account{Active: r.Active}), Emails: r.Emails, Created: r.Created, Updated: r.Updated, Values: r.Values}
	if r.Pending != 0 {
		v.Pending = r.Pending.String()
		holds, err := p.guard.all(ctx, false)
		if err != nil {
			return v, err
		}
		on, _ := danger(p.guard.whenDeleted(), r, r.Pending)
		for _, h := range holds {
			if h.Kind == on.danger && h.Groups == on.groups {
				v.Hold = h.Name()
			}
		}
	}
	if r.Kind == dirsync.KindUser {
		groups, err := p.resources.ResourceGroups(ctx, r.ID, 100)
		if err != nil {
			return v, err
		}
		for _, g := range groups {
			v.Groups = append(v.Groups, g.Name)
		}
	}
	var err error
	if v.Requests, err = a.lastRequests(cfg, r.ID, 10); len(v.Requests) > 0 {
		v.LastRequest = &v.Requests[0]
	}
	return v, err
}

func (a *app) printPushed(v pushedView) {
	now := a.now()
	a.printf("%s\n%s, pushed by SCIM clients\n\n", clean(orElse(v.Display, v.Name)), clean(v.ID))
	a.fact("user name", "%s", v.Name)
	if v.ExternalID != "" {
		a.fact("external id", "%s", v.ExternalID)
	}
	if len(v.Emails) > 0 {
		a.fact("e-mail", "%s", strings.Join(v.Emails, ", "))
	}
	a.fact("account", "%s; made %s, changed %s", v.Status, when(v.Created, now), when(v.Updated, now))
	if v.Pending != "" {
		a.fact("waits", "a client asked to %s them; the client was told that it is done, and it waits for approval in hold %s", v.Pending, v.Hold)
	}
	if len(v.Groups) > 0 {
		a.fact("member of", "%s", strings.Join(v.Groups, ", "))
	}
	for _, f := range v.Values {
		a.fact(f.Field, "%s", f.Value.Text)
	}
	if v.LastRequest == nil {
		a.fact("last request", "none is remembered")
		return
	}
	for i, e := range v.Requests {
		label := "last request"
		if i > 0 {
			label = map[bool]string{true: "before"}[i == 1]
		}
		a.fact(label, "%s", e.sentence(now))
	}
}

// feedStatus is where the SCIM server stands, as programs read it.
type feedStatus struct {
	URL      string     `json:"url"`
	FedBy    string     `json:"fed_by"`
	Tokens   int        `json:"tokens"`
	Users    int        `json:"users"`
	Groups   int        `json:"groups"`
	Holds    []heldView `json:"holds"`
	LastPush *pushEntry `json:"last_request,omitempty"`
}

// statusOfPushing says where the SCIM server stands; nil if the configuration has none.
func (a *app) statusOfPushing(ctx context.Context, cfg *Config, st *store.Store) (*feedStatus, error) {
	if cfg.Serve.SCIM == nil {
		return nil, nil //nolint:nilnil // there is none
	}
	v := &feedStatus{URL: a.scimURL(cfg), FedBy: cfg.Directory.FedBy.String(), Holds: []heldView{}}
	tokens, err := openTokens(ctx, st, a.now)
	if err != nil {
		return nil, err
	}
	v.Tokens = len(tokens.list())
	p := (*pushing)(nil)
	if a.host != nil {
		p = a.host.pushing
	}
	if p == nil {
		if p, err = newPushing(a, cfg, st, tokens); err != nil {
			return nil, err
		}
	}
	if v.Users, err = p.resources.CountResources(ctx, dirsync.KindUser); err != nil {
		return nil, err
	}
	if v.Groups, err = p.resources.CountResources(ctx, dirsync.KindGroup); err != nil {
		return nil, err
	}
	holds, err := p.guard.all(ctx, false)
	if err != nil {
		return nil, err
	}
	for _, h := range holds {
		v.Holds = append(v.Holds, viewHeld(h, a.now()))
	}
	if err := a.flushRequests(); err != nil {
		return nil, err
	}
	last, err := readPushLog(pushFolder(cfg), pushQuery{limit: 1})
	if len(last) > 0 {
		v.LastPush = &last[0]
	}
	return v, err
}

func (a *app) printPushing(v *feedStatus) {
	if v == nil {
		return
	}
	now := a.now()
	a.printf("scim: %s, %s, %s and %s in the directory, which %s fill\n", clean(v.URL), counted(v.Tokens, "token", "tokens"),
		counted(v.Users, "user", "users"), counted(v.Groups, "group", "groups"), map[string]string{"scim": "SCIM clients"}[v.FedBy]+map[string]string{"syncs": "syncs"}[v.FedBy])
	if v.LastPush != nil {
		a.printf("  last request: %s\n", clean(v.LastPush.Resource+" "+orElse(v.LastPush.Name, v.LastPush.ID)+", "+v.LastPush.sentence(now)))
	}
	for _, h := range v.Holds {
		a.printf("  held: %s people wait for a decision; dirsync holds %s\n", strconv.Itoa(h.People), clean(h.Hold))
	}
}

// lastRequest is the latest request about a user that was no mere look; nil if none is remembered.
func (a *app) lastRequest(id string) (*pushEntry, error) {
	cfg, err := a.readConfig()
	if err != nil {
		return nil, err
	}
	list, err := a.lastRequests(cfg, id, 1)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}
