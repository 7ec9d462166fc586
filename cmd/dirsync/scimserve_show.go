package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dirsync"
	"dirsync/store"
	"dirsync/web"
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

// findResources finds users and groups by id, name, external id, or e-mail address; or by display name, if nobody goes by any
// of those.
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
	if len(out) == 0 {
		return resources.FindResources(ctx, dirsync.KindUser, dirsync.ByDisplay, key, 10)
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
		t.Row(when(e.Time, now), orElse(e.Token, "nobody"), e.Method+" "+e.Resource, orElse(e.Name, e.ID), status, outcome(e.SCIMRequest))
	}
	return t.Write(a.stdout)
}

// outcome says in words what came of a request.
func outcome(r web.SCIMRequest) string {
	var parts []string
	switch {
	case r.Held:
		parts = append(parts, "held, waits for approval")
	case r.Detail != "":
		parts = append(parts, r.Detail)
	case len(r.Changed) > 0:
		parts = append(parts, "changed "+strings.Join(attributes(r.Changed), ", "))
	}
	for i, q := range r.Quirks {
		text := q.Text
		if i == 0 {
			text = "odd: " + text
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

// attributes are names of attributes for people, without the URNs of their schemas.
func attributes(names []string) []string {
	out := slices.Clone(names)
	for i, name := range out {
		if strings.HasPrefix(name, "urn:") {
			out[i] = name[strings.LastIndexByte(name, ':')+1:]
		}
	}
	return out
}

// requestWords says in one line what a request was.
func requestWords(r web.SCIMRequest, now time.Time) string {
	s := fmt.Sprintf("%s by %s, %s, answered %d", r.Method, orElse(r.Token, "nobody"), when(r.Time, now), r.Status)
	if what := outcome(r); what != "" {
		s += ": " + what
	}
	return s
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
