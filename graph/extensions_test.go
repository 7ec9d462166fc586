package graph_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"dirsync"
	"dirsync/graph"
	"dirsync/graph/graphtest"
)

// mayAsk are roles with which an application may ask for directory extensions.
func mayAsk() []string {
	return []string{"User.Read.All", "Organization.Read.All", "Application.Read.All"}
}

func TestExtensions(t *testing.T) {
	app := "ab603c56-0684-1662-aff6-1db8e2631060"
	list := []graphtest.Extension{
		{Name: "jobGroup", AppID: app, AppName: "HR"},
		{Name: "remote", AppID: app, DataType: "Boolean"},
		{Name: "badgeUntil", AppID: app, DataType: "DateTime"},
		{Name: "grade", AppID: app, DataType: "Integer"},
		{Name: "points", AppID: app, DataType: "LargeInteger"},
		{Name: "skills", AppID: app, MultiValued: true, OnPremises: true},
		{Name: "years", AppID: app, DataType: "Integer", MultiValued: true},
		{Name: "face", AppID: app, DataType: "Binary"},
		{Name: "odd", AppID: app, DataType: "Complex"},
		{Name: "ofGroups", AppID: app, Targets: []string{"Group"}},
		{Name: "ofBoth", AppID: app, Targets: []string{"Group", "User"}},
		{Name: "no good", AppID: app},
	}
	w := serve(t, &graphtest.Tenant{Roles: mayAsk()})
	w.AddExtension(list...)
	w.Add(graphtest.User{"displayName": "Ada", list[0].Property(): "A", list[3].Property(): 7})
	s := w.client.Users(nil)
	var got []string
	for range 2 {
		fields, err := s.Fields(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got = nil
		for _, f := range fields[len(graph.Catalogue()):] {
			got = append(got, fmt.Sprintf("%s %q %s %s", strings.TrimPrefix(f.Name, "extension_ab603c5606841662aff61db8e2631060_"), f.Label, f.Type, f.Refused))
		}
	}
	want := []string{
		`badgeUntil "badgeUntil" datetime `,
		`face "face" text it holds binary data, which no field can take`,
		`grade "grade" number `,
		`jobGroup "jobGroup (HR)" text `,
		`odd "odd" text its data type Complex is not known`,
		`ofBoth "ofBoth" text `,
		`points "points" number `,
		`remote "remote" boolean `,
		`skills "skills" text list `,
		`years "years" text list it holds a list, and of lists only those of texts can be mapped`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := s.Notes(); len(got) != 0 {
		t.Errorf("got notes %q, want none", got)
	}
	if got, want := w.Requests().Extensions, 1; got != want {
		t.Errorf("%d questions for extensions, want %d", got, want)
	}
	if got, want := s.Requests(), 3; got != want {
		t.Errorf("the source counts %d requests, want %d: discovery, token, extensions", got, want)
	}
	known := people{}
	known.read(t, w.client.Users([]string{list[0].Property(), list[3].Property()}), "")
	checkPeople(t, w, known, []string{list[0].Property()})
}

// Without the permission to ask, there is the catalogue, and a sentence that says why there is no more.
func TestExtensionsThatCannotBeListed(t *testing.T) {
	w := serve(t, &graphtest.Tenant{})
	name := w.AddExtension(graphtest.Extension{Name: "jobGroup"})[0]
	w.Add(graphtest.User{"displayName": "Ada", name: "A"})
	s := w.client.Users([]string{name})
	fields, err := s.Fields(t.Context())
	if got, want := len(fields), len(graph.Catalogue()); err != nil || got != want {
		t.Errorf("got %d fields, %v, want %d", got, err, want)
	}
	want := "Directory extensions are not listed: the application has no Application.Read.All. They can be mapped by their full names all the same, as texts."
	if got := s.Notes(); len(got) != 1 || got[0] != want {
		t.Errorf("got %q, want %q", got, want)
	}
	known := people{}
	known.read(t, s, "")
	checkPeople(t, w, known, []string{name})
	fields = graph.AssumeExtensions(fields, "upper(user."+name+") + user.givenName", name, "extension_12_short")
	if got, want := fmt.Sprintf("%+v", fields[len(graph.Catalogue()):]), fmt.Sprintf("%+v", []dirsync.Field{{Name: name, Label: "jobGroup", Type: dirsync.Text}}); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Any other refusal is an error, which does not stick.
func TestExtensionsFail(t *testing.T) {
	for name, test := range map[string]struct {
		fault graphtest.Fault
		kind  dirsync.ErrorKind
	}{
		"a proxy refuses": {graphtest.HTMLPage(403), dirsync.Permission},
		"unavailable":     {graphtest.HTMLPage(503), dirsync.Unavailable},
		"no JSON":         {graphtest.HTMLPage(200), dirsync.Unavailable},
		"no list":         {graphtest.Fault{Status: 200, Body: `{"value":{}}`}, dirsync.Unavailable},
		"nothing":         {graphtest.Fault{Status: 200, Body: `{}`}, dirsync.Unavailable},
		"not understood":  {graphtest.BareError(400), dirsync.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			w := serve(t, &graphtest.Tenant{Roles: mayAsk(), Faults: graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.Extensions, Fault: test.fault}}}})
			s := w.client.Users(nil)
			_, err := s.Fields(t.Context())
			if got := dirsync.KindOf(err); err == nil || got != test.kind || !strings.HasPrefix(err.Error(), "list the properties of users: ") {
				t.Errorf("got %v (%v), want kind %v", err, got, test.kind)
			}
			w.SetFaults(graphtest.Faults{})
			if _, err := s.Fields(t.Context()); err != nil {
				t.Errorf("got %v once the fault was over", err)
			}
		})
	}
	w := serve(t, &graphtest.Tenant{Roles: mayAsk()})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.client.Users(nil).Fields(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	more := graphtest.Fault{Status: 200, Body: `{"value":[{"name":"extension_ab603c5606841662aff61db8e2631060_a","dataType":"String","targetObjects":["User"]}],"@odata.nextLink":"https://x/"}`}
	w.SetFaults(graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.Extensions, Fault: more}}})
	s := w.client.Users(nil)
	if fields, err := s.Fields(t.Context()); err != nil || len(fields) != len(graph.Catalogue())+1 || len(s.Notes()) != 1 {
		t.Errorf("got %d fields, %v and notes %q for a list that goes on", len(fields), err, s.Notes())
	}
	if fields, err := new(graph.Source).Fields(t.Context()); err != nil || len(fields) != len(graph.Catalogue()) {
		t.Errorf("the zero source: got %d fields, %v", len(fields), err)
	}
}
