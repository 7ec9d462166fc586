package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"dirsync/scim/client"
)

// appCheckView is what check found out about one application.
type appCheckView struct {
	Application string `json:"application"`
	URL         string `json:"url"`
	Profile     string `json:"profile"`
	// Users and Groups are how many the application says that it has; absent if it does not say.
	Users  *int `json:"users,omitempty"`
	Groups *int `json:"groups,omitempty"`
	// Supports is what it claims to support, which is shown and not relied on.
	Supports []string       `json:"supports,omitempty"`
	Fields   []appFieldView `json:"fields,omitempty"`
	Schemas  []string       `json:"schemas,omitempty"`
	Notes    []string       `json:"notes,omitempty"`
	Error    string         `json:"error,omitempty"`
	err      error
}

// appFieldView is a place that a field is kept in.
type appFieldView struct {
	Field string `json:"field"`
	Path  string `json:"path"`
	// State is "there", "missing" or "unknown", the last where the application publishes no schemas.
	State   string `json:"state"`
	Problem string `json:"problem,omitempty"`
}

// The states of a field's place.
const (
	placeThere   = "there"
	placeMissing = "missing"
	placeUnknown = "unknown"
)

// checkApplications asks every application what it is, and changes nothing there.
func (a *app) checkApplications(ctx context.Context, cfg *Config) []appCheckView {
	views := []appCheckView{}
	for _, name := range slices.Sorted(maps.Keys(cfg.Applications)) {
		v := appCheckView{Application: name, URL: cfg.Applications[name].URL, Profile: cfg.Applications[name].Profile}
		c, err := a.application(cfg, name, false)
		if err == nil {
			var r client.Report
			r, err = c.Check(ctx)
			v.fill(r)
		}
		if err != nil {
			v.Error, v.err = err.Error(), err
		}
		views = append(views, v)
	}
	return views
}

func (v *appCheckView) fill(r client.Report) {
	for _, n := range []struct {
		count int
		to    **int
	}{{r.Users, &v.Users}, {r.Groups, &v.Groups}} {
		if n.count >= 0 {
			*n.to = &n.count
		}
	}
	if s := r.Says; s != nil {
		for _, ability := range []struct {
			name string
			has  bool
		}{{"PATCH", s.Patch}, {"filters", s.Filter}, {"bulk", s.Bulk}, {"sorting", s.Sort}, {"ETags", s.ETag}, {"cursors", s.Pagination.Cursor}} {
			if ability.has {
				v.Supports = append(v.Supports, ability.name)
			}
		}
	}
	for _, f := range r.Fields {
		state := placeThere
		switch {
		case f.Problem != "":
			state = placeMissing
		case !f.Known:
			state = placeUnknown
		}
		v.Fields = append(v.Fields, appFieldView{f.Field, f.Path, state, f.Problem})
	}
	v.Schemas, v.Notes = r.Schemas, r.Notes
}

func (a *app) printApplications(views []appCheckView) error {
	for _, v := range views {
		a.printf("Application %s\n", clean(v.Application))
		t := NewTable(a.style, "  CHECK", "RESULT")
		t.Row("  url", v.URL)
		t.Row("  profile", v.Profile)
		if v.Users != nil {
			t.Row("  users there", number(*v.Users))
		}
		if v.Groups != nil {
			t.Row("  groups there", number(*v.Groups))
		}
		if len(v.Supports) > 0 {
			t.Row("  says it supports", strings.Join(v.Supports, ", "))
		}
		if v.err == nil {
			t.Row("  signing in and listing users", painted{green, "works"})
		} else {
			t.Row("  signing in and listing users", painted{red, "does not work"})
		}
		if err := t.Write(a.stdout); err != nil {
			return err
		}
		if v.err != nil {
			a.exit(fmt.Errorf("application %s: %w", v.Application, v.err))
			a.printf("\n")
			continue
		}
		if err := a.printPlaces(v); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) printPlaces(v appCheckView) error {
	a.printf("\n")
	t := NewTable(a.style, "  FIELD", "KEPT IN", "THERE")
	for _, f := range v.Fields {
		state := painted{green, "yes"}
		switch f.State {
		case placeMissing:
			state = painted{yellow, "it " + f.Problem}
		case placeUnknown:
			state = painted{plain, "it does not say"}
		}
		t.Row("  "+f.Field, f.Path, state)
	}
	if err := t.Write(a.stdout); err != nil {
		return err
	}
	for _, note := range v.Notes {
		a.printf("note: %s\n", clean(note))
	}
	a.printf("\n")
	return nil
}
