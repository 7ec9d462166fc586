package main

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"dirsync"
	"dirsync/store"
)

// identity says, in a phrase, which target this is: another phrase, another target; see engine.Engine.TargetID. What a file
// calls it does not matter. It is empty for a tenant whose id is not known yet.
func (t To) identity(cfg *Config) string {
	switch {
	case t.Directory:
		return "the embedded directory"
	case t.SCIM != "":
		address := cfg.Applications[t.SCIM].URL
		if u, err := url.Parse(address); err == nil {
			u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
			address = u.String()
		}
		return "the application at " + strings.TrimRight(address, "/")
	}
	if id := cfg.Tenants[t.Entra].ID; id != "" {
		return "the tenant " + strings.ToLower(id)
	}
	return ""
}

// findsBy are the fields by which the accounts of newcomers are looked for. Muted, nobody can be asked for them but the
// embedded directory.
func (s *Sync) findsBy(mute bool) []string {
	if mute && !s.To.Directory {
		return nil
	}
	return s.Join
}

// clashes tells whose account could be taken for that of somebody who has none yet: that of somebody with the same id whom
// another sync has brought into the same target from elsewhere. The object ids of tenants are different everywhere; those of
// applications often are mere numbers, and what a target remembers of whose an account is, is the id. It is nil where that
// cannot happen.
func clashes(cfg *Config, st *store.Store, name string) func(context.Context, dirsync.Person) (string, error) {
	sc, others := cfg.Syncs[name], []string(nil)
	for _, other := range slices.Sorted(maps.Keys(cfg.Syncs)) {
		o := cfg.Syncs[other]
		if other != name && o.To.end() == sc.To.end() && o.From.end() != sc.From.end() && (sc.From.Entra == "" || o.From.Entra == "") {
			others = append(others, other)
		}
	}
	if len(others) == 0 {
		return nil
	}
	return func(ctx context.Context, p dirsync.Person) (string, error) {
		for _, other := range others {
			switch twin, err := st.Sync(other).Person(ctx, p.ID); {
			case dirsync.KindOf(err) == dirsync.NotFound:
			case err != nil:
				return "", err
			case !twin.Link.IsZero():
				return fmt.Sprintf("is that of somebody whom the sync %s has brought to %s from %s, too; their accounts could not be told apart",
					other, sc.To, cfg.Syncs[other].From), nil
			}
		}
		return "", nil
	}
}
