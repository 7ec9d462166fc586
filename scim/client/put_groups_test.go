package client_test

import (
	"fmt"
	"testing"

	"dirsync"
	"dirsync/scim/client"
	"dirsync/scim/scimtest"
)

// groupNamed is the change that makes a group.
func groupNamed(n int, name string) dirsync.Change {
	return dirsync.Change{Kind: dirsync.Create, Person: id(n), After: dirsync.Values{{Field: "name", Value: dirsync.Value{Type: dirsync.Text, Text: name}}}}
}

// TestRenamedGroupKeepsItsMembers renames a group of an application without PATCH: what PUT leaves out, it takes away.
func TestRenamedGroupKeepsItsMembers(t *testing.T) {
	for _, hidden := range []bool{false, true} {
		t.Run(fmt.Sprintf("members hidden: %v", hidden), func(t *testing.T) {
			app := scimtest.New()
			c := open(t, app)
			groups, err := c.Groups()
			if err != nil {
				t.Fatal(err)
			}
			sales := all(t, groups, []dirsync.Change{groupNamed(9001, "Sales")})[0]
			changes := joiners(0, 3)
			for i := range changes {
				changes[i].After = changes[i].After.Set(dirsync.GroupsField, groupsOf(id(9001)))
			}
			all(t, c, changes)
			app.Quirks = scimtest.Quirks{PatchUnsupported: true, HideMembers: hidden, HideGroups: hidden}
			c = open(t, app, func(cfg *client.Config) { cfg.Profile.Write = client.WritePut; cfg.Profile.PerSecond = 1e6 })
			if groups, err = c.Groups(); err != nil {
				t.Fatal(err)
			}
			_, err = groups.Apply(t.Context(), dirsync.Change{Kind: dirsync.Update, Person: id(9001), Account: sales.ID,
				Before: dirsync.Values{{Field: "name", Value: dirsync.Value{Type: dirsync.Text, Text: "Sales"}}},
				After:  dirsync.Values{{Field: "name", Value: dirsync.Value{Type: dirsync.Text, Text: "Vertrieb"}}}})
			app.Quirks.HideMembers = false
			name := "Vertrieb"
			if hidden {
				name = "Sales"
				if dirsync.KindOf(err) != dirsync.Unavailable {
					t.Errorf("got %v, want a refusal to write what would empty the group", err)
				}
			} else if err != nil {
				t.Error(err)
			}
			if got, want := app.Members(name), 3; got != want {
				t.Errorf("%s has %d members, want %d", name, got, want)
			}
		})
	}
}

// member is a change that makes somebody a member of groups, and takes them out of those that they were in.
func member(n int, account string, was, is dirsync.Value) dirsync.Change {
	return dirsync.Change{Kind: dirsync.Update, Person: id(n), Account: account,
		Before: dirsync.Values{{Field: dirsync.GroupsField, Value: was}}, After: dirsync.Values{{Field: dirsync.GroupsField, Value: is}}}
}

// TestMembersWithoutPatch writes memberships to an application that has no PATCH: each group is read and written once,
// whatever the number of members, and whoever is in it for other reasons stays.
func TestMembersWithoutPatch(t *testing.T) {
	for name, write := range map[string]client.Writing{"found out": client.WriteAuto, "configured": client.WritePut} {
		t.Run(name, func(t *testing.T) {
			app := scimtest.New()
			app.Quirks = scimtest.Quirks{PatchUnsupported: true, HideGroups: true}
			c := open(t, app, func(cfg *client.Config) { cfg.Profile.Write = write })
			groups, err := c.Groups()
			if err != nil {
				t.Fatal(err)
			}
			all(t, groups, []dirsync.Change{groupNamed(9001, "Sales"), groupNamed(9002, "Support")})
			app.Put("/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Others","members":[{"value":"`+
				app.Put("/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"somebody@a.example"}`)+`"}]}`)
			accounts := all(t, c, joiners(0, 250))
			none, sales, support := dirsync.Value{}, groupsOf(id(9001)), groupsOf(id(9002))
			for _, step := range []struct {
				was, is  dirsync.Value
				puts     int
				expected map[string]int
			}{
				{none, sales, 1, map[string]int{"Sales": 250, "Support": 0, "Others": 1}},
				{sales, sales, 0, map[string]int{"Sales": 250, "Support": 0, "Others": 1}},
				{sales, support, 2, map[string]int{"Sales": 0, "Support": 250, "Others": 1}},
				{none, support, 0, map[string]int{"Sales": 0, "Support": 250, "Others": 1}},
			} {
				var changes []dirsync.Change
				for i, a := range accounts {
					changes = append(changes, member(i, a.ID, step.was, step.is))
				}
				app.ResetRequests()
				all(t, c, changes)
				if got := app.Requests(); got.Put != step.puts+got.Patch || got.Patch > 1 || got.Get > max(1, got.Put) {
					t.Errorf("%v to %v: got %+v, want %d PUT, and one more where PATCH was tried", step.was, step.is, got, step.puts)
				}
				if got := membersOf(app); fmt.Sprint(got) != fmt.Sprint(step.expected) {
					t.Errorf("%v to %v: got members %v, want %v", step.was, step.is, got, step.expected)
				}
			}
			// Whom the application does not take keeps nobody else out.
			app.Remove(accounts[7].ID)
			var changes []dirsync.Change
			for i, a := range accounts[:20] {
				changes = append(changes, member(i, a.ID, none, sales))
			}
			for i, a := range c.ApplyAll(t.Context(), changes) {
				if (a.Err != nil) != (i == 7) {
					t.Errorf("%d: %v", i, a.Err)
				}
			}
			if got, want := app.Members("Sales"), 19; got != want {
				t.Errorf("got %d members, want %d", got, want)
			}
		})
	}
}

// TestHiddenMembersAreNotLost has neither PATCH nor members that are shown: only a group that was just made is filled, and
// nobody is taken out of any by being left out.
func TestHiddenMembersAreNotLost(t *testing.T) {
	app := scimtest.New()
	app.Quirks = scimtest.Quirks{PatchUnsupported: true, HideMembers: true, HideGroups: true}
	shown := func(name string) int {
		app.Quirks.HideMembers = false
		defer func() { app.Quirks.HideMembers = true }()
		return app.Members(name)
	}
	c := open(t, app)
	groups, err := c.Groups()
	if err != nil {
		t.Fatal(err)
	}
	all(t, groups, []dirsync.Change{groupNamed(9001, "Sales")})
	accounts := all(t, c, joiners(0, 3))
	none, sales := dirsync.Value{}, groupsOf(id(9001))
	all(t, c, []dirsync.Change{member(0, accounts[0].ID, none, sales), member(1, accounts[1].ID, none, sales)})
	if got, want := shown("Sales"), 2; got != want {
		t.Fatalf("got %d members, want %d", got, want)
	}
	for range 2 {
		_, err := c.Apply(t.Context(), member(2, accounts[2].ID, none, sales))
		if dirsync.KindOf(err) != dirsync.Unavailable || dirsync.HintOf(err) == "" {
			t.Errorf("got %v, want an error that says what to do", err)
		}
	}
	if got, want := shown("Sales"), 2; got != want {
		t.Errorf("got %d members, want %d", got, want)
	}
}

// TestMembershipsInDoubt is what an engine makes of a change of which nobody knows whether it took effect: everything is
// written again, whatever it is believed to be. The application does not show who is in which group.
func TestMembershipsInDoubt(t *testing.T) {
	for name, quirks := range map[string]scimtest.Quirks{
		"groups hidden":        {HideGroups: true},
		"members hidden, too":  {HideGroups: true, HideMembers: true},
		"members are strict":   {HideGroups: true, StrictMembers: true},
		"answers without body": {HideGroups: true, NoContent: true},
		"groups shown":         {},
		"without PATCH":        {HideGroups: true, PatchUnsupported: true},
	} {
		t.Run(name, func(t *testing.T) {
			app := scimtest.New()
			app.Quirks = quirks
			c := open(t, app)
			groups, err := c.Groups()
			if err != nil {
				t.Fatal(err)
			}
			all(t, groups, []dirsync.Change{groupNamed(9001, "Sales"), groupNamed(9002, "Support")})
			a := all(t, c, joiners(0, 1))[0]
			for _, wanted := range []dirsync.Value{groupsOf(id(9001)), groupsOf(id(9001), id(9002)), {}, groupsOf(id(9002))} {
				for _, believed := range []dirsync.Value{groupsOf(id(9001), id(9002))} {
					doubtful := dirsync.Change{Kind: dirsync.Update, Person: id(0), Account: a.ID,
						Before: joiner(0).After.Set(dirsync.GroupsField, believed), After: joiner(0).After.Set(dirsync.GroupsField, wanted)}
					all(t, c, []dirsync.Change{doubtful})
					want := map[string]int{"Sales": 0, "Support": 0}
					for _, group := range wanted.List() {
						want[map[string]string{string(id(9001)): "Sales", string(id(9002)): "Support"}[group]] = 1
					}
					app.Quirks.HideMembers = false
					if got := membersOf(app); fmt.Sprint(got) != fmt.Sprint(want) {
						t.Errorf("believed to be in %v: got members %v, want %v", believed, got, want)
					}
					app.Quirks.HideMembers = quirks.HideMembers
				}
			}
		})
	}
}
