package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"dirsync"
	"dirsync/web"
)

// pushedRequests is how many requests an explanation shows, and pushedRead how many are looked at for who has made somebody.
const (
	pushedRequests = 10
	pushedRead     = 5000
)

// explainPushed explains those of the directory who go by a name and whom SCIM clients push, or no sync has made. none says
// that nobody does, or that the configuration has no SCIM server.
func (a *app) explainPushed(ctx context.Context, key string) (views []web.Pushed, err error) {
	cfg, err := a.readConfig()
	if err != nil || cfg.Serve.SCIM == nil {
		return nil, err
	}
	err = a.withPushing(ctx, true, func(p *pushing) error {
		found, err := findResources(ctx, p.resources, key)
		if err != nil {
			return err
		}
		if len(found) == 0 && cfg.Directory.FedBy == FedBySCIM {
			views, err = a.pushedGone(cfg, key)
			return err
		}
		for _, r := range found {
			if cfg.Directory.FedBy != FedBySCIM && r.Source != "" {
				continue // Their sync explains them.
			}
			v, err := a.pushedView(ctx, cfg, p, r)
			if err != nil {
				return err
			}
			views = append(views, v)
		}
		return nil
	})
	return views, err
}

// pushedView says what is known of a resource.
func (a *app) pushedView(ctx context.Context, cfg *Config, p *pushing, r dirsync.Resource) (web.Pushed, error) {
	v := web.Pushed{ID: r.ID, Kind: r.Kind.String(), UserName: r.Name, DisplayName: r.Display, ExternalID: r.ExternalID, Source: string(r.Source),
		Status: statusWord(dirsync.Account{Active: r.Active}), Emails: r.Emails, Created: r.Created, Updated: r.Updated, Values: web.ValuesView(r.Values)}
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
	list, err := a.lastRequests(cfg, r.ID, pushedRead)
	remember(&v, list)
	v.Because = pushedBecause(cfg, v)
	return v, err
}

// remember fills in what the history knows, which is listed newest first.
func remember(v *web.Pushed, list []pushEntry) {
	v.Requests = []web.SCIMRequest{}
	for i, e := range list {
		r := e.SCIMRequest
		if i == 0 {
			v.LastRequest = &r
		}
		if v.LastChange == nil && e.changes() {
			v.LastChange = &r
		}
		if e.Method == "POST" && e.Status == 201 {
			v.From = e.Token // the first time counts
		}
		if i < pushedRequests {
			v.Requests = append(v.Requests, r)
		}
	}
}

// changes tells requests that have changed something, or would have if it was not held.
func (e *pushEntry) changes() bool {
	return e.Status < 300 && !e.looks() && (len(e.Changed) > 0 || e.Held || e.Method == "POST" || e.Method == "DELETE")
}

// pushedBecause says where somebody comes from.
func pushedBecause(cfg *Config, v web.Pushed) string {
	made := "by which token they were made is not remembered"
	if v.From != "" {
		made = "the token " + v.From + " made them"
	}
	switch {
	case v.Source != "":
		return "a sync, which made them for " + v.Source + "; no SCIM client can change them"
	case cfg.Directory.FedBy == FedBySCIM:
		return "no sync, because SCIM clients fill the directory; " + made
	case v.From != "":
		return "no sync, and none touches them; " + made + ", and no client can change them while syncs fill the directory"
	}
	return "no sync, and none touches them; dirsync users changes them"
}

// pushedGone is whom only the history still knows.
func (a *app) pushedGone(cfg *Config, key string) ([]web.Pushed, error) {
	if err := a.flushRequests(); err != nil {
		return nil, err
	}
	list, err := readPushLog(pushFolder(cfg), pushQuery{ids: []string{key}, names: []string{key}, limit: pushedRead})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	last := list[0]
	list = slices.DeleteFunc(list, func(e pushEntry) bool { return e.ID != last.ID || e.Resource != last.Resource })
	v := web.Pushed{ID: last.ID, Kind: strings.ToLower(last.Resource), UserName: last.Name, Status: "gone"}
	remember(&v, list)
	switch c := v.LastChange; {
	case c == nil:
		v.Because = "nobody of that name is in the directory; the requests that are remembered have made nobody"
	case c.Method == "DELETE":
		v.Because = "the SCIM client with the token " + c.Token + " has deleted them"
	default:
		v.Because = "they are not in the directory any more; who deleted them is not remembered"
	}
	return []web.Pushed{v}, nil
}

// errNobodyPushed says that nobody goes by a name.
func errNobodyPushed(key string) error {
	return &dirsync.Error{Op: "find " + key, Kind: dirsync.NotFound, Err: errors.New("nobody whom SCIM clients push goes by that name"),
		Hint: "Try the id, the userName, the externalId or an e-mail address."}
}

// hosted is the program as a command that runs in this daemon.
func (d *daemon) hosted() *app {
	a := *d.app
	a.host = d
	return &a
}

// ExplainPushed implements web.People.
func (d *daemon) ExplainPushed(ctx context.Context, person string) ([]web.Pushed, error) {
	if d.pushing == nil {
		return nil, &dirsync.Error{Op: "find the SCIM server", Kind: dirsync.NotFound, Err: errors.New("the configuration has none")}
	}
	views, err := d.hosted().explainPushed(ctx, person)
	if err == nil && len(views) == 0 {
		err = errNobodyPushed(person)
	}
	return views, err
}

func (a *app) printPushed(v web.Pushed) {
	now := a.now()
	a.printf("%s\n%s, %s of the directory\n\n", clean(orElse(v.DisplayName, v.UserName)), clean(orElse(v.ID, "no id")), clean(v.Kind))
	a.fact("comes from", "%s", v.Because)
	a.fact("user name", "%s", v.UserName)
	if v.ExternalID != "" {
		a.fact("external id", "%s", v.ExternalID)
	}
	if len(v.Emails) > 0 {
		a.fact("e-mail", "%s", strings.Join(v.Emails, ", "))
	}
	status := v.Status
	switch c := v.LastChange; {
	case v.Status == "inactive" && c != nil && c.Method == "DELETE":
		status += ", deleted by a client and kept; a POST with the same name brings them back"
	case v.Status == "gone":
		status = "none"
	}
	if v.Created.IsZero() {
		a.fact("account", "%s", status)
	} else {
		a.fact("account", "%s; made %s, changed %s", status, when(v.Created, now), when(v.Updated, now))
	}
	if v.Pending != "" {
		a.fact("waits", "a client asked to %s them; the client was told that it is done, and it waits for approval in hold %s: "+
			"dirsync approve %s, or dirsync reject %s --reason TEXT", v.Pending, v.Hold, v.Hold, v.Hold)
	}
	if len(v.Groups) > 0 {
		a.fact("member of", "%s", strings.Join(v.Groups, ", "))
	}
	a.printPushedValues(v)
	if c := v.LastChange; c != nil {
		a.fact("changed by", "the token %s, %s, by %s", orElse(c.Token, "of nobody"), when(c.Time, now), c.Method)
	}
	if v.LastRequest == nil {
		a.fact("last request", "none is remembered")
		return
	}
	for i, r := range v.Requests {
		label := "last request"
		if i > 0 {
			label = map[bool]string{true: "before"}[i == 1]
		}
		a.fact(label, "%s", requestWords(r, now))
	}
}

// printPushedValues prints the fields of somebody, in the order of the directory's.
func (a *app) printPushedValues(v web.Pushed) {
	var values dirsync.Values
	if json.Unmarshal(v.Values, &values) != nil {
		return // there are none
	}
	for _, f := range values {
		a.fact(f.Field, "%s", f.Value.Text)
	}
}
