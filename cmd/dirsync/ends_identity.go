package main

import (
	"net/url"
	"strings"
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
