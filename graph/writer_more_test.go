package graph_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"dirsync"
	"dirsync/dirsynctest"
	"dirsync/graph"
	"dirsync/graph/graphtest"
)

// forgetful is a target whose process dies after every call.
type forgetful struct {
	*graph.Writer
	again func() *graph.Writer
}

func (f *forgetful) Apply(ctx context.Context, c dirsync.Change) (dirsync.Account, error) {
	f.Writer = f.again()
	return f.Writer.Apply(ctx, c)
}

// What a Writer remembers makes it faster and never decides: a new one for every change behaves alike, however a tenant
// spells what it says.
func TestWriterIsATargetWithoutMemory(t *testing.T) {
	for name, test := range map[string]struct {
		anchor string
		faults graphtest.Faults
	}{
		"by the index, rarely": {"onPremisesExtensionAttributes/extensionAttribute7", graphtest.Faults{ShyExtensions: true, ListPage: 1}},
		"in few words":         {anchor, graphtest.Faults{Conflict: graphtest.ConflictVague, NoDetails: true, UniqueNicknames: true}},
	} {
		t.Run(name, func(t *testing.T) {
			dirsynctest.TestTargetOf(t, shape(), func(t *testing.T) dirsync.Target {
				tenant := writable()
				tenant.Faults = test.faults
				c, cfg := inProcess(t, tenant).client, writing("department")
				cfg.Anchor = test.anchor
				again := func() *graph.Writer { return writer(t, c, cfg) }
				return &forgetful{again(), again}
			})
		})
	}
}

// Each kind of write loses its answer, having taken effect or not, in the batch or with it. There is one account in the
// end, and it holds what was wanted.
func TestWriterLostAnswers(t *testing.T) {
	retry := http.Header{"Retry-After": {"2"}}
	for name, fault := range map[string]graphtest.Fault{
		"503": {Status: 503}, "503, applied": {Status: 503, Apply: true}, "503 with a wait": {Status: 503, Header: retry},
		"504, applied": {Status: 504, Apply: true}, "500": {Status: 500}, "a page of HTML": graphtest.HTMLPage(502), "cut off": {Reset: true},
		"429": graphtest.Throttled("4"), "429 without a wait": graphtest.Throttled(""), "429, a fraction": graphtest.Throttled("2.128"),
		"cut short": {Truncate: true}, "empty": graphtest.Empty(503),
	} {
		for _, on := range []graphtest.Kind{graphtest.Batch, ""} {
			for _, keeps := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/in %q/anchor %v", name, on, keeps), func(t *testing.T) {
					w := inProcess(t, writable())
					cfg := writing("department", "mail")
					if keeps {
						cfg = writing("department", "mail", "manager")
					} else {
						cfg.Anchor = ""
					}
					target := writer(t, w.client, cfg)
					boss, err := target.Apply(t.Context(), joiner(9))
					if err != nil {
						t.Fatal(err)
					}
					once := func(kind graphtest.Kind) {
						if on != "" {
							kind = on
						}
						w.SetFaults(graphtest.Faults{Rules: []graphtest.Rule{{On: kind, Times: 1, Fault: fault}}})
					}
					apply := func(kind graphtest.Kind, c dirsync.Change) dirsync.Account {
						once(kind)
						a, err := target.Apply(t.Context(), c)
						if err != nil {
							t.Fatalf("%v: %v", kind, err)
						}
						return a
					}
					c := joiner(1, field("department", text("D1")), field("mail", email("one@a.example")))
					a := apply(graphtest.CreateUser, c)
					if len(w.Users()) != 2 || !a.Active {
						t.Fatalf("got %+v among %d users", a, len(w.Users()))
					}
					c = dirsync.Change{Kind: dirsync.Update, Person: person(1), Account: a.ID, After: dirsync.Values{field("department", text("D2"))}}
					apply(graphtest.UpdateUser, c)
					if u, _ := w.User(a.ID); string(u["department"].(json.RawMessage)) != `"D2"` {
						t.Errorf("got %s", u["department"])
					}
					if keeps {
						c.After = dirsync.Values{field("manager", dirsync.Value{Type: dirsync.Reference, Text: string(person(9))})}
						apply(graphtest.ChangeManager, c)
						if u, _ := w.User(a.ID); u["manager"] != boss.ID {
							t.Errorf("got manager %v, want %s", u["manager"], boss.ID)
						}
						c.After = dirsync.Values{field("manager", dirsync.Value{})}
						apply(graphtest.ChangeManager, c)
						if u, _ := w.User(a.ID); u["manager"] != nil {
							t.Errorf("got manager %v, want none", u["manager"])
						}
					}
					apply(graphtest.UpdateUser, dirsync.Change{Kind: dirsync.Deactivate, Person: person(1), Account: a.ID})
					if u, _ := w.User(a.ID); string(u["accountEnabled"].(json.RawMessage)) != "false" {
						t.Errorf("got enabled %s", u["accountEnabled"])
					}
					apply(graphtest.DeleteUser, dirsync.Change{Kind: dirsync.Delete, Person: person(1), Account: a.ID})
					if got := len(w.Users()); got != 1 {
						t.Errorf("got %d users, want 1", got)
					}
					c = joiner(1, field("department", text("D3")))
					c.Account = a.ID
					if back := apply(graphtest.RestoreDeleted, c); back.ID != a.ID || !back.Active {
						t.Errorf("got %+v, want %s back", back, a.ID)
					}
					if got := len(w.Users()); got != 2 {
						t.Errorf("got %d users, want 2", got)
					}
				})
			}
		}
	}
}

// An account that was just made may be unknown to a part of the service for a while, and is waited for; somebody who is
// not there at all is not.
func TestWriterWaitsForReplicas(t *testing.T) {
	tenant := writable()
	tenant.Faults.Lag = 90 * time.Second
	w := inProcess(t, tenant)
	target := writer(t, w.client, writing("department", "manager"))
	boss := dirsync.Value{Type: dirsync.Reference, Text: string(person(2))}
	began := w.clock.Now()
	for i, a := range target.ApplyAll(t.Context(), []dirsync.Change{joiner(1, field("manager", boss)), joiner(2)}) {
		if a.Err != nil {
			t.Fatalf("%d: %v", i, a.Err)
		}
	}
	if took := w.clock.Now().Sub(began); took < 90*time.Second || took > 5*time.Minute {
		t.Errorf("took %v", took)
	}
	_, err := target.Apply(t.Context(), dirsync.Change{Kind: dirsync.Update, Person: person(2), After: dirsync.Values{field("department", text("X"))}})
	if err != nil {
		t.Error(err)
	}
	began = w.clock.Now()
	c := dirsync.Change{Kind: dirsync.Update, Person: person(3), Account: "11111111-2222-4333-8444-555555555555", After: dirsync.Values{field("department", text("X"))}}
	if _, err := target.Apply(t.Context(), c); dirsync.KindOf(err) != dirsync.NotFound || w.clock.Now() != began {
		t.Errorf("got %v after %v, want that nobody is there, at once", err, w.clock.Now().Sub(began))
	}
}

// Without an anchor the tenant does not say whose an account is. What was there before is nobody's, and is adopted only when
// it is named.
func TestWriterWithoutAnchor(t *testing.T) {
	w := inProcess(t, writable())
	cfg := writing("department")
	cfg.Anchor = ""
	target := writer(t, w.client, cfg)
	if !target.Forgets() || writer(t, w.client, writing()).Forgets() {
		t.Error("only a Writer without an anchor forgets")
	}
	there := w.Add(graphtest.User{"userPrincipalName": "p1@a.example", "displayName": "Person 1"})[0]
	_, err := target.Apply(t.Context(), joiner(1))
	if e, _ := errors.AsType[*dirsync.Error](err); dirsync.KindOf(err) != dirsync.Conflict || e.Other != there {
		t.Errorf("got %v, want a conflict with %s", err, there)
	}
	found, err := target.Find(t.Context(), "userPrincipalName", []dirsync.Value{email("P1@a.example"), email("p2@a.example")})
	if err != nil || len(found) != 2 || len(found[0]) != 1 || found[0][0].ID != there || found[0][0].Source != "" || len(found[1]) != 0 {
		t.Fatalf("got %+v, %v", found, err)
	}
	c := joiner(1, field("department", text("D")))
	c.Account = found[0][0].ID
	if a, err := target.Apply(t.Context(), c); err != nil || a.ID != there || a.Source != "" {
		t.Errorf("got %+v, %v", a, err)
	}
	if a, err := target.Apply(t.Context(), joiner(2)); err != nil || a.Source != "" || a.ID == "" {
		t.Errorf("got %+v, %v", a, err)
	}
	if _, err := target.Apply(t.Context(), joiner(2)); err != nil || len(w.Users()) != 2 {
		t.Errorf("got %v and %d users, want the one that this process has made", err, len(w.Users()))
	}
	if _, err := w.client.Writer(graph.WriterConfig{Properties: []string{"displayName", "userPrincipalName", "manager"}}); err == nil || !strings.Contains(err.Error(), "without an anchor") {
		t.Errorf("got %v for managers", err)
	}
}

func TestWriterFind(t *testing.T) {
	w := inProcess(t, writable())
	target := writer(t, w.client, writing("mail", "employeeId", "department"))
	var mails, ids []dirsync.Value
	for n := range 100 {
		w.Add(graphtest.User{"userPrincipalName": fmt.Sprintf("o'p%d@a.example", n), "displayName": "X", "mail": fmt.Sprintf("Mail%d@a.example", n), "employeeId": fmt.Sprint("E", n%25)})
		mails = append(mails, email(fmt.Sprintf("mail%d@A.example", 99-n)))
		ids = append(ids, text(fmt.Sprint("e", n)))
	}
	w.ResetRequests()
	found, err := target.Find(t.Context(), "mail", append(mails, dirsync.Value{}, email("o'brien@a.example")))
	if err != nil || len(found) != 102 || len(found[100]) != 0 || len(found[101]) != 0 {
		t.Fatalf("got %d, %v", len(found), err)
	}
	for n, accounts := range found[:100] {
		if mail, _ := accounts[0].Values.Get("mail"); len(accounts) != 1 || mail != email(fmt.Sprintf("Mail%d@a.example", 99-n)) {
			t.Fatalf("%d: got %+v", n, accounts)
		}
	}
	if got := w.Requests(); got.Batch != 1 || got.Inner != 7 || got.Total-got.Token-got.Discovery != 1 {
		t.Errorf("got %+v, want one batch of seven", got)
	}
	found, err = target.Find(t.Context(), "employeeId", ids)
	if err != nil || len(found[3]) != 3 || len(found[30]) != 0 {
		t.Errorf("got %d and %d, %v, want three at the most", len(found[3]), len(found[30]), err)
	}
	if _, err := target.Find(t.Context(), "department", ids); dirsync.KindOf(err) != dirsync.Invalid || dirsync.HintOf(err) == "" {
		t.Errorf("got %v", err)
	}
	if found, err := target.Find(t.Context(), "userPrincipalName", []dirsync.Value{email("o'p7@a.example")}); err != nil || len(found[0]) != 1 {
		t.Errorf("got %+v, %v", found, err)
	}
	w.SetFaults(graphtest.Faults{Denied: true})
	if _, err := target.Find(t.Context(), "mail", mails); dirsync.KindOf(err) != dirsync.Permission {
		t.Errorf("got %v, want that a permission is missing", err)
	}
}

// Everybody is listed, with values in canonical form, and whose account their manager's is.
func TestWriterUsers(t *testing.T) {
	flag, number := graphtest.Extension{Name: "flag", DataType: "Boolean"}, graphtest.Extension{Name: "number", DataType: "Integer"}
	tenant := writable()
	tenant.Extensions = append(tenant.Extensions, flag, number)
	tenant.Faults.ListPage = 7
	w := inProcess(t, tenant)
	ids := w.Add(graphtest.User{"userPrincipalName": "Ada@a.example", "displayName": " Ada ", anchor: string(person(1)), "mail": "Ada@A.EXAMPLE", "businessPhones": []string{"+49 30 1"},
		"employeeHireDate": "2026-01-02T00:00:00.000Z", "employeeOrgData": map[string]any{"division": "V", "costCenter": nil}, flag.Property(): true, number.Property(): 42},
		graphtest.User{"userPrincipalName": "bob@a.example", "displayName": "Bob", "accountEnabled": false})
	w.SetManager(ids[0], ids[1])
	w.Add(make([]graphtest.User, 30)...)
	third := w.IDs()[2]
	w.SetManager(third, ids[0])
	target := writer(t, w.client, writing("mail", "businessPhones", "employeeHireDate", "employeeOrgData/division", "employeeOrgData/costCenter", "manager", flag.Property(), number.Property()))
	got := map[string]dirsync.Account{}
	if err := target.Users(t.Context(), func(a dirsync.Account) error { got[a.ID] = a; return nil }); err != nil || len(got) != 32 {
		t.Fatalf("got %d, %v", len(got), err)
	}
	want := valuesOf(1, field("displayName", text("Ada")), field("userPrincipalName", email("Ada@a.example")), field("mail", email("Ada@a.example")),
		field("businessPhones", dirsync.NewList([]string{"+49 30 1"})), field("employeeHireDate", dirsync.Value{Type: dirsync.DateTime, Text: "2026-01-02T00:00:00Z"}),
		field("employeeOrgData/division", text("V")), field("employeeOrgData/costCenter", dirsync.Value{}), field("manager", dirsync.Value{}),
		field(flag.Property(), dirsync.Value{Type: dirsync.Boolean, Text: "true"}), field(number.Property(), dirsync.Value{Type: dirsync.Number, Text: "42"}))
	if a := got[ids[0]]; !a.Values.Equal(want) || a.Source != person(1) || !a.Active || a.Created.IsZero() {
		t.Errorf("got %+v\nwant %v", a, want)
	}
	if a := got[ids[1]]; a.Active || a.Source != "" {
		t.Errorf("got %+v", a)
	}
	boss, _ := got[third].Values.Get("manager")
	if want := (dirsync.Value{Type: dirsync.Reference, Text: string(person(1))}); boss != want {
		t.Errorf("got manager %v, want %v", boss, want)
	}
	// What is read can be written, and is the same then.
	c := dirsync.Change{Kind: dirsync.Update, Person: person(1), Account: ids[0], After: want.With(dirsync.Values{field(number.Property(), dirsync.Value{Type: dirsync.Number, Text: "43"}),
		field("businessPhones", dirsync.Value{}), field("employeeOrgData/costCenter", text("C"))})}
	a, err := target.Apply(t.Context(), c)
	if err != nil || !a.Values.Equal(c.After) {
		t.Errorf("got %+v, %v", a, err)
	}
	err = target.Users(t.Context(), func(a dirsync.Account) error {
		if a.ID == ids[0] && !a.Values.Equal(c.After) {
			t.Errorf("got %v\nwant %v", a.Values, c.After)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for name, faults := range map[string]graphtest.Faults{"limited": {Limited: true}, "elsewhere": {ListPage: 2, ForeignLinks: "https://evil.example"}, "broken": {Rules: []graphtest.Rule{{On: graphtest.List, Fault: graphtest.BadJSON()}}}} {
		w.SetFaults(faults)
		if err := target.Users(t.Context(), func(dirsync.Account) error { return nil }); err == nil {
			t.Errorf("%s: a list that cannot be trusted was delivered", name)
		}
	}
}

// A manager who is not there yet is waited for, and written when they come, in the same call or a later one.
func TestWriterManagers(t *testing.T) {
	w := inProcess(t, writable())
	target := writer(t, w.client, writing("manager"))
	boss := func(n int) dirsync.FieldValue {
		return field("manager", dirsync.Value{Type: dirsync.Reference, Text: string(person(n))})
	}
	id := map[int]string{}
	apply := func(changes ...dirsync.Change) {
		t.Helper()
		for i, a := range target.ApplyAll(t.Context(), changes) {
			if a.Err != nil {
				t.Fatalf("change %d: %v", i, a.Err)
			}
			var n int
			_, _ = fmt.Sscanf(string(changes[i].Person[24:]), "%d", &n)
			id[n] = a.Account.ID
		}
	}
	reports := func(n, to, waiting int) {
		t.Helper()
		u, _ := w.User(id[n])
		want := any(nil)
		if to > 0 {
			want = id[to]
		}
		if u["manager"] != want || target.Waiting() != waiting {
			t.Errorf("%d reports to %v, and %d wait, want %v and %d", n, u["manager"], target.Waiting(), want, waiting)
		}
	}
	apply(joiner(1, boss(2)), joiner(2, boss(3)))
	reports(1, 2, 1)
	reports(2, 0, 1)
	apply(joiner(3, boss(1))) // in a circle
	reports(2, 3, 0)
	reports(3, 1, 0)
	change := func(n int, v dirsync.FieldValue) dirsync.Change {
		return dirsync.Change{Kind: dirsync.Update, Person: person(n), Account: id[n], Before: dirsync.Values{field("manager", dirsync.Value{})}, After: dirsync.Values{v}}
	}
	apply(change(1, boss(9)), change(1, boss(3)))
	reports(1, 3, 0)
	apply(change(1, boss(9)))
	reports(1, 3, 1) // until somebody comes it stays as it is
	apply(change(1, field("manager", dirsync.Value{})))
	reports(1, 0, 0)
	apply(joiner(9))
	reports(1, 0, 0)
	apply(change(1, field("manager", dirsync.Value{})))
	reports(1, 0, 0)
	// Nobody is there who could have a manager.
	if _, err := target.Apply(t.Context(), dirsync.Change{Kind: dirsync.Update, Person: person(7), Account: "11111111-2222-4333-8444-555555555555",
		Before: dirsync.Values{field("manager", dirsync.Value{})}, After: dirsync.Values{boss(2)}}); dirsync.KindOf(err) != dirsync.NotFound {
		t.Errorf("got %v", err)
	}
}

// An account comes back under the name that it is to have, and not under one that somebody has taken meanwhile.
func TestWriterRestoresUnderAnotherName(t *testing.T) {
	w := inProcess(t, writable())
	target := writer(t, w.client, writing())
	a, err := target.Apply(t.Context(), joiner(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := target.Apply(t.Context(), dirsync.Change{Kind: dirsync.Delete, Person: person(1), Account: a.ID}); err != nil {
		t.Fatal(err)
	}
	other := w.Add(graphtest.User{"userPrincipalName": "P1@a.example", "displayName": "Other"})[0]
	c := joiner(1)
	c.Account = a.ID
	_, err = target.Apply(t.Context(), c)
	if e, _ := errors.AsType[*dirsync.Error](err); dirsync.KindOf(err) != dirsync.Conflict || e.Other != other || e.Field != "userPrincipalName" {
		t.Errorf("got %v", err)
	}
	c.After = valuesOf(1, field("userPrincipalName", email("new@a.example")))
	back, err := target.Apply(t.Context(), c)
	if u, _ := w.User(a.ID); err != nil || back.ID != a.ID || string(u["userPrincipalName"].(json.RawMessage)) != `"new@a.example"` {
		t.Errorf("got %+v, %v, %v", back, u, err)
	}
	// Kept no more: a new one.
	if _, err := target.Apply(t.Context(), dirsync.Change{Kind: dirsync.Delete, Person: person(1), Account: a.ID}); err != nil {
		t.Fatal(err)
	}
	w.clock.pass(31 * 24 * time.Hour)
	if back, err := target.Apply(t.Context(), c); err != nil || back.ID == a.ID || back.ID == "" {
		t.Errorf("got %+v, %v, want a new account", back, err)
	}
	if got, want := target.Restores(), 30*24*time.Hour; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWriterConfig(t *testing.T) {
	c := inProcess(t, writable()).client
	both := []string{"displayName", "userPrincipalName"}
	for name, test := range map[string]struct {
		cfg  graph.WriterConfig
		want []string
	}{
		"nothing":              {graph.WriterConfig{}, []string{"displayName is missing", "userPrincipalName is missing"}},
		"no such property":     {graph.WriterConfig{Properties: append(both, "shoeSize")}, []string{`"shoeSize" is no property of a user that can be written`}},
		"read-only":            {graph.WriterConfig{Properties: append(both, "accountEnabled", "proxyAddresses")}, []string{"accountEnabled cannot be written: accounts are enabled", "proxyAddresses cannot be written: it is kept by the service; write mail"}},
		"the anchor as well":   {graph.WriterConfig{Properties: append(both, "employeeId"), Anchor: "employeeId"}, []string{"employeeId is the anchor"}},
		"no such anchor":       {graph.WriterConfig{Properties: both, Anchor: "department"}, []string{`"department" cannot be the anchor`}},
		"attribute 16":         {graph.WriterConfig{Properties: both, Anchor: "onPremisesExtensionAttributes/extensionAttribute16"}, []string{"cannot be the anchor"}},
		"short passwords":      {graph.WriterConfig{Properties: both, Passwords: graph.Passwords{Length: 8}}, []string{"16 to 256 characters"}},
		"a list of everything": {graph.WriterConfig{Properties: []string{"x", "y"}, Anchor: "z"}, []string{`"x"`, `"y"`, `"z"`, "displayName"}},
	} {
		_, err := c.Writer(test.cfg)
		for _, part := range test.want {
			if dirsync.KindOf(err) != dirsync.Invalid || !strings.Contains(fmt.Sprint(err), part) {
				t.Errorf("%s: %q is not in %v", name, part, err)
			}
		}
	}
}

func TestWriterFields(t *testing.T) {
	tenant := writable()
	tenant.Extensions = append(tenant.Extensions, graphtest.Extension{Name: "flag", DataType: "Boolean"})
	w := inProcess(t, tenant)
	fields, err := writer(t, w.client, writing()).Fields(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]dirsync.Field{}
	for _, f := range fields {
		if by[f.Name].Name != "" || f.Type == "" {
			t.Errorf("%s is listed twice, or has no type", f.Name)
		}
		by[f.Name] = f
	}
	for name, want := range map[string]dirsync.Field{
		"displayName":       {Label: "Display name", Type: dirsync.Text, Required: true, MaxLength: 256},
		"userPrincipalName": {Label: "User principal name", Type: dirsync.Email, Required: true, Unique: true, MaxLength: 113},
		"userType":          {Label: "User type", Type: dirsync.Choice, Options: []string{"Member", "Guest"}},
		anchor:              {Label: "source", Type: dirsync.Text, MaxLength: 256, Refused: "it is the anchor, which keeps the id of the source"},
		graphtest.Extension{Name: "flag"}.Property(): {Label: "flag", Type: dirsync.Boolean},
	} {
		got := by[name]
		if label, _, _ := strings.Cut(got.Label, " ("); label != want.Label {
			t.Errorf("%s: got label %q, want %q", name, got.Label, want.Label)
		}
		want.Name, want.Label = name, got.Label
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	}
	required := slices.Sorted(maps.Keys(maps.Collect(func(yield func(string, bool) bool) {
		for _, f := range graph.WriteCatalogue() {
			if f.Required && !yield(f.Name, true) {
				return
			}
		}
	})))
	if want := []string{"displayName", "userPrincipalName"}; !slices.Equal(required, want) {
		t.Errorf("got %v, want %v", required, want)
	}
	cfg := writing()
	cfg.Anchor = ""
	fields, err = writer(t, w.client, cfg).Fields(t.Context())
	if i := slices.IndexFunc(fields, func(f dirsync.Field) bool { return f.Name == "manager" }); err != nil || fields[i].Refused == "" {
		t.Errorf("got %v, %v, want that managers take an anchor", fields[i], err)
	}
	w.Set(func(t *graphtest.Tenant) { t.Roles = []string{"User.ReadWrite.All"} })
	target := writer(t, w.connect(t, w.config), writing())
	if fields, err := target.Fields(t.Context()); err != nil || len(target.Notes()) != 1 || len(fields) != len(graph.WriteCatalogue()) {
		t.Errorf("got %d fields, %v and notes %v", len(fields), err, target.Notes())
	}
}

func TestWriterPermissions(t *testing.T) {
	w := inProcess(t, writable())
	full := writing("manager", "mobilePhone", "employeeLeaveDateTime")
	for name, test := range map[string]struct {
		roles []string
		cfg   graph.WriterConfig
		want  string
	}{
		"everything":      {[]string{"User.ReadWrite.All", "Organization.Read.All", "User-LifeCycleInfo.ReadWrite.All"}, full, "[]"},
		"the old ones":    {[]string{"User.ReadWrite.All"}, full, "[Organization.Read.All User-LifeCycleInfo.ReadWrite.All]"},
		"the narrow ones": {[]string{"User.Read.All", "Organization.Read.All", "User.Create", "User.ReadUpdate.All"}, graph.WriterConfig{Properties: full.Properties[:2]}, "[]"},
		"and danger":      {[]string{"User.Read.All", "Organization.Read.All", "User.Create", "User.ReadUpdate.All"}, writing(), "[User.DeleteRestore.All User.EnableDisableAccount.All]"},
		"reading is not enough": {[]string{"User.Read.All", "Organization.Read.All"}, full,
			"[User-LifeCycleInfo.ReadWrite.All User-Phone.ReadWrite.All User.Create User.DeleteRestore.All User.EnableDisableAccount.All User.ReadUpdate.All User.ReadWrite.All]"},
	} {
		w.Set(func(t *graphtest.Tenant) { t.Roles = test.roles })
		got, err := writer(t, w.connect(t, w.config), test.cfg).Missing(t.Context())
		if err != nil || fmt.Sprint(got) != test.want {
			t.Errorf("%s: got %v, %v, want %v", name, got, err, test.want)
		}
	}
}
