package client_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"dirsync"
	"dirsync/scim"
	"dirsync/scim/client"
	"dirsync/scim/scimtest"
)

const ownURN = "urn:kissflow:scim:schemas:extension:Ac 12.x:2:User"

// TestEveryType writes and reads back a field of each type, in an extension whose account id has a blank and a dot.
func TestEveryType(t *testing.T) {
	for _, quirks := range []scimtest.Quirks{{}, {PatchUnsupported: true}} {
		app := scimtest.New()
		app.Quirks = quirks
		app.Extensions = []*scim.Schema{{ID: ownURN, Name: "Fields", Description: "Fields", Attributes: []scim.Attribute{
			{Name: "Level", Type: scim.Decimal}, {Name: "Remote", Type: scim.Boolean}, {Name: "Salary"}, {Name: "Hired"}, {Name: "Seen"},
			{Name: "Office"}, {Name: "Tags", MultiValued: true}}}}
		fields := client.DefaultFields()
		var values, cleared dirsync.Values
		for _, f := range []struct {
			name, path, format string
			typ                dirsync.Type
			text               string
		}{
			{"level", ownURN + ":Level", "", dirsync.Number, "12.5"},
			{"remote", ownURN + ":Remote", "", dirsync.Boolean, "true"},
			{"salary", ownURN + ":Salary", "", dirsync.Currency, "EUR 12.5"},
			{"hired", ownURN + ":Hired", "DD/MM/YYYY", dirsync.Date, "2024-02-29"},
			{"seen", ownURN + ":Seen", "", dirsync.DateTime, "2024-02-29T12:00:00Z"},
			{"office", ownURN + ":Office", "", dirsync.Choice, "Berlin"},
			{"tags", ownURN + ":Tags", "", dirsync.TextList, `["a","b"]`},
			{"mobile", `phoneNumbers[type eq "mobile"].value`, "", dirsync.Phone, "+4930123456"},
			{"department", scim.EnterpriseURN + ":department", "", dirsync.Text, "Sales"},
		} {
			fields = append(fields, client.FieldPath{Field: dirsync.Field{Name: f.name, Type: f.typ, Format: f.format, Options: []string{"Berlin"}}, Path: f.path})
			values = values.Set(f.name, dirsync.Value{Type: f.typ, Text: f.text})
			cleared = cleared.Set(f.name, dirsync.Value{})
		}
		c := open(t, app, func(cfg *client.Config) { cfg.Fields = fields })
		ch := joiner(1)
		ch.After = ch.After.With(values)
		want := ch.After
		a := all(t, c, []dirsync.Change{ch})[0]
		if !a.Values.Equal(want) {
			t.Errorf("got %v, want %v", a.Values, want)
		}
		if hired, _ := app.Users()[0].Object(ownURN).Text("Hired"); hired != "29/02/2024" {
			t.Errorf("got %q on the wire", hired)
		}
		up := dirsync.Change{Kind: dirsync.Update, Person: id(1), Account: a.ID, After: cleared}
		if got := all(t, c, []dirsync.Change{up})[0].Values; !got.Equal(joiner(1).After.With(cleared)) {
			t.Errorf("got %v after clearing", got)
		}
		up.After = values
		if got := all(t, c, []dirsync.Change{up})[0].Values; !got.Equal(want) {
			t.Errorf("got %v after setting again, want %v", got, want)
		}
	}
}

// TestZiflow is a target that takes four attributes, once.
func TestZiflow(t *testing.T) {
	app := scimtest.New()
	app.Quirks = scimtest.Quirks{CreateOnly: true, NoExternalID: true, FilterRefused: true}
	var sent string
	app.Hook = func(r scimtest.Request) scimtest.Fault {
		if r.Method == http.MethodPost {
			sent = string(r.Body)
		}
		return scimtest.Fault{}
	}
	profile, _ := client.ProfileNamed("ziflow")
	c := open(t, app, func(cfg *client.Config) { cfg.Profile = profile })
	a := all(t, c, joiners(1, 2))[0]
	var got map[string]any
	if err := json.Unmarshal([]byte(sent), &got); err != nil || len(got) != 4 || got["userName"] == nil || got["emails"] == nil || got["name"] == nil || got["schemas"] == nil {
		t.Errorf("sent %s, want the four attributes and schemas", sent)
	}
	again := open(t, app, func(cfg *client.Config) { cfg.Profile = profile })
	if b := all(t, again, joiners(1, 2))[0]; b.ID != a.ID || len(app.Users()) != 1 {
		t.Errorf("got %v, want %v again", b, a)
	}
	for _, kind := range []dirsync.ChangeKind{dirsync.Update, dirsync.Deactivate, dirsync.Delete} {
		_, err := c.Apply(t.Context(), dirsync.Change{Kind: kind, Person: id(1), Account: a.ID, After: values("A", "B", "c@a.example")})
		if dirsync.KindOf(err) != dirsync.Invalid || dirsync.HintOf(err) == "" {
			t.Errorf("%v: got %v, want Invalid with a hint", kind, err)
		}
	}
	if _, err := c.Groups(); dirsync.KindOf(err) != dirsync.Invalid {
		t.Errorf("got %v for groups", err)
	}
}

func TestSlackKeepsWhoIsDeleted(t *testing.T) {
	app := scimtest.New()
	app.Quirks.DeleteDeactivates = true
	profile, _ := client.ProfileNamed("slack")
	c := open(t, app, func(cfg *client.Config) { cfg.Profile = profile; cfg.Profile.PerSecond = 1e6 })
	a := all(t, c, joiners(1, 2))[0]
	all(t, c, []dirsync.Change{{Kind: dirsync.Delete, Person: id(1), Account: a.ID}})
	if b := all(t, c, joiners(1, 2))[0]; b.ID != a.ID || !b.Active {
		t.Errorf("got %v, want the account back that was kept", b)
	}
}

// TestMembersWhoCannotJoin keeps nobody else out.
func TestMembersWhoCannotJoin(t *testing.T) {
	app := scimtest.New()
	app.Quirks = scimtest.Quirks{StrictMembers: true, HideGroups: true}
	c := open(t, app)
	groups, err := c.Groups()
	if err != nil {
		t.Fatal(err)
	}
	all(t, groups, []dirsync.Change{{Kind: dirsync.Create, Person: id(9001), After: dirsync.Values{{Field: "name", Value: dirsync.Value{Type: dirsync.Text, Text: "Sales"}}}}})
	accounts := all(t, c, joiners(0, 20))
	app.Remove(accounts[7].ID)
	var changes []dirsync.Change
	for n, a := range accounts {
		changes = append(changes, dirsync.Change{Kind: dirsync.Update, Person: id(n), Account: a.ID, Before: dirsync.Values{{Field: dirsync.GroupsField}},
			After: dirsync.Values{{Field: dirsync.GroupsField, Value: groupsOf(id(9001))}}})
	}
	for range 2 { // twice is the same as once, though the target refuses who is a member already
		for n, a := range c.ApplyAll(t.Context(), changes) {
			if (a.Err != nil) != (n == 7) {
				t.Errorf("%d: %v", n, a.Err)
			}
		}
		if got, want := app.Members("Sales"), 19; got != want {
			t.Errorf("got %d members, want %d", got, want)
		}
	}
	changes = joiners(30, 31)
	changes[0].After = changes[0].After.Set(dirsync.GroupsField, groupsOf(id(9999)))
	if out := c.ApplyAll(t.Context(), changes); dirsync.KindOf(out[0].Err) != dirsync.Conflict || len(app.Users()) != 19 {
		t.Errorf("got %v, want a conflict about the group, and nobody added", out[0].Err)
	}
}

func TestCheck(t *testing.T) {
	app := scimtest.New()
	app.Put("/Users", `{"userName":"a@a.example"}`)
	c := open(t, app, func(cfg *client.Config) {
		cfg.Fields = append(client.DefaultFields(),
			client.FieldPath{Field: dirsync.Field{Name: "badge", Type: dirsync.Text}, Path: ownURN + ":Badge"},
			client.FieldPath{Field: dirsync.Field{Name: "title", Type: dirsync.Text}, Path: "titel"})
	})
	r, err := c.Check(t.Context())
	if err != nil || r.Users != 1 || r.Groups != 0 || r.Says == nil || len(r.Schemas) == 0 {
		t.Fatalf("got %+v and %v", r, err)
	}
	problems := map[string]string{}
	for _, f := range r.Fields {
		if f.Problem != "" {
			problems[f.Field] = f.Problem
		}
	}
	if len(problems) != 2 || !strings.Contains(problems["badge"], "does not publish") || !strings.Contains(problems["title"], "is not in the schema") {
		t.Errorf("got problems %v", problems)
	}
	app.Quirks.NoDiscovery = true
	if r, err := c.Check(t.Context()); err != nil || len(r.Notes) < 3 || r.Fields[0].Known {
		t.Errorf("got %+v and %v without discovery", r, err)
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	for want, cfg := range map[string]client.Config{
		"must be an address":  {BaseURL: "app.example", Token: "t"},
		"must be https":       {BaseURL: "http://app.example", Token: "t"},
		"are needed":          {BaseURL: base},
		"choose one":          {BaseURL: base, Token: "t", OAuth: &client.OAuth{TokenURL: base, ClientID: "c", Secret: "s"}},
		"has no path":         {BaseURL: base, Token: "t", Fields: client.DefaultFields()[1:]},
		"kept in userName":    {BaseURL: base, Token: "t", Fields: client.DefaultFields()[:3]},
		"is not for a field":  {BaseURL: base, Token: "t", Fields: append(client.DefaultFields(), client.FieldPath{Field: dirsync.Field{Name: "x", Type: dirsync.Text}, Path: "id"})},
		"is none: use YYYY":   {BaseURL: base, Token: "t", Fields: append(client.DefaultFields(), client.FieldPath{Field: dirsync.Field{Name: "x", Type: dirsync.Date, Format: "MM/YYYY"}, Path: "title"})},
		"comparisons with eq": {BaseURL: base, Token: "t", Fields: append(client.DefaultFields(), client.FieldPath{Field: dirsync.Field{Name: "x", Type: dirsync.Text}, Path: `emails[type co "x"].value`})},
	} {
		if _, err := client.New(cfg); err == nil || !strings.Contains(err.Error(), want) || dirsync.KindOf(err) != dirsync.Invalid {
			t.Errorf("got %v, want an error that says %q", err, want)
		}
	}
}

func TestSource(t *testing.T) {
	for _, quirks := range []scimtest.Quirks{{PageSize: 3}, {PageSize: 3, ForceCursor: true}, {PageSize: 3, FilterRefused: true}, {PageSize: 3, FilterIgnored: true}} {
		app := scimtest.New()
		app.Quirks = quirks
		var first string
		for n := range 10 {
			made := app.Put("/Users", fmt.Sprintf(`{"userName":"u%d@a.example","displayName":"User %d"}`, n, n))
			if n == 0 {
				first = made
			}
		}
		source, err := open(t, app).Source()
		if err != nil {
			t.Fatal(err)
		}
		seen, at, stop := map[dirsync.ID]bool{}, dirsync.Cursor(""), errors.New("stop")
		for complete := false; !complete; { // page by page, as after a crash
			err := source.Read(t.Context(), at, func(p dirsync.Page) error {
				for _, r := range p.Records {
					seen[r.ID] = true
					if r.Attrs.Text("displayName") == "" || !r.Whole {
						t.Errorf("got %v", r)
					}
				}
				at, complete = p.Next, p.Complete
				return stop
			})
			if err != stop {
				t.Fatal(err)
			}
		}
		if len(seen) != 10 {
			t.Errorf("got %d people, want 10", len(seen))
		}
		n := 0
		err = source.Read(t.Context(), at, func(p dirsync.Page) error { n += len(p.Records); return nil })
		if quirks.FilterRefused && !errors.Is(err, dirsync.ErrCursorExpired) || !quirks.FilterRefused && (err != nil || n != 10) {
			t.Errorf("%+v: got %d people and %v in the second round", quirks, n, err)
		}
		app.Remove(first)
		err = source.LookUp(t.Context(), []dirsync.ID{dirsync.ID(first), "id-2"}, func(r dirsync.Record) error {
			if (r.Gone == dirsync.GoneHard) != (r.ID == dirsync.ID(first)) {
				t.Errorf("got %v", r)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		if err := source.Read(t.Context(), "nonsense", func(dirsync.Page) error { return nil }); !errors.Is(err, dirsync.ErrCursorExpired) {
			t.Errorf("got %v for a strange cursor", err)
		}
	}
}

// FuzzAnswers hands anything to whoever reads answers: no panic, and nothing but *Error.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{`{}`, `{"totalResults":1,"Resources":[{"id":1,"userName":"a","name":"x","emails":{"value":[]}}]}`,
		`{"totalResults":2,"Resources":[{"id":"a","emails":["x",{"type":"work","value":{"value":1}}],"active":"no","meta":[]}],"nextCursor":"c"}`,
		`{"id":"..","schemas":1,"groups":[null,1,{"value":{}}],"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":[[]]}}`, `<html>`, ``} {
		f.Add(200, seed, "1")
		f.Add(409, seed, "Wed, 21 Oct 2099 07:28:00 GMT")
	}
	f.Fuzz(func(t *testing.T, status int, body, after string) {
		n := 0
		c, err := client.New(client.Config{BaseURL: base, Token: "t", Profile: client.Profile{PerSecond: 1e9, MaxWait: 1},
			Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				if n++; n > 50 {
					return nil, errors.New("enough")
				}
				r := answer(status, body)
				r.Header.Set("Retry-After", after)
				return r, nil
			})})
		if err != nil {
			t.Fatal(err)
		}
		for _, ch := range []dirsync.Change{joiner(1), {Kind: dirsync.Update, Account: "a", After: joiner(1).After}, {Kind: dirsync.Delete, Account: "a"}} {
			if _, err := c.Apply(t.Context(), ch); err != nil {
				if _, ok := err.(*dirsync.Error); !ok {
					t.Errorf("got %T: %v", err, err)
				}
			}
		}
		_ = c.Users(t.Context(), func(dirsync.Account) error { return nil })
		_, _ = c.Check(t.Context())
	})
}
