package graph_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"dirsync"
	"dirsync/graph"
	"dirsync/graph/graphtest"
)

// valuesOf are the values of a person with a name.
func valuesOf(n int, more ...dirsync.FieldValue) dirsync.Values {
	return dirsync.Values{}.Set("displayName", text(fmt.Sprint("Person ", n))).
		Set("userPrincipalName", email(fmt.Sprintf("p%d@a.example", n))).With(more)
}

func joiner(n int, more ...dirsync.FieldValue) dirsync.Change {
	return dirsync.Change{Kind: dirsync.Create, Person: person(n), After: valuesOf(n, more...)}
}

func field(name string, v dirsync.Value) dirsync.FieldValue {
	return dirsync.FieldValue{Field: name, Value: v}
}

// Whatever Entra refuses is an error with a kind, and says which value it is, who has it, and what can be done.
func TestWriterRefusals(t *testing.T) {
	update := func(n int, more ...dirsync.FieldValue) dirsync.Change {
		return dirsync.Change{Kind: dirsync.Update, Person: person(n), After: dirsync.Values{}.With(more)}
	}
	for name, test := range map[string]struct {
		tenant func(*graphtest.Tenant)
		cfg    func(*graph.WriterConfig)
		faults graphtest.Faults
		change dirsync.Change
		want   dirsync.Error // Kind, Field and Value; Other is whose account it is
		says   []string
	}{
		"a name that somebody has": {change: joiner(3, field("userPrincipalName", email("P1@a.example"))),
			want: dirsync.Error{Kind: dirsync.Conflict, Field: "userPrincipalName", Value: "P1@a.example", Other: "1"}, says: []string{"belongs to account", "Join the account"}},
		"the service names them": {faults: graphtest.Faults{Conflict: graphtest.ConflictNamed}, change: joiner(3, field("userPrincipalName", email("p1@a.example"))),
			want: dirsync.Error{Kind: dirsync.Conflict, Field: "userPrincipalName", Value: "p1@a.example", Other: "1"}},
		"the service says nothing": {faults: graphtest.Faults{Conflict: graphtest.ConflictVague, NoDetails: true}, change: update(2, field("userPrincipalName", email("p1@a.example"))),
			want: dirsync.Error{Kind: dirsync.Conflict, Field: "userPrincipalName", Value: "p1@a.example", Other: "1"}},
		"an address that somebody has": {change: update(2, field("mail", email("one@a.example"))),
			want: dirsync.Error{Kind: dirsync.Conflict, Field: "mail", Value: "one@a.example", Other: "1"}},
		"an address that somebody had": {change: joiner(3, field("mail", email("old@a.example"))),
			want: dirsync.Error{Kind: dirsync.Conflict, Field: "mail", Value: "old@a.example", Other: "1"}},
		"another domain": {change: joiner(3, field("userPrincipalName", email("p3@elsewhere.example"))),
			want: dirsync.Error{Kind: dirsync.Invalid, Field: "userPrincipalName", Value: "p3@elsewhere.example"}, says: []string{"in none of the tenant's verified domains, which are", "a.example", "a.onmicrosoft.com"}},
		"a letter that names cannot have": {change: joiner(3, field("userPrincipalName", email("jürgen@a.example"))),
			want: dirsync.Error{Kind: dirsync.Invalid, Field: "userPrincipalName", Value: "jürgen@a.example"}, says: []string{"holds the character 'ü'"}},
		"two phones": {change: joiner(3, field("businessPhones", dirsync.NewList([]string{"1", "2"}))),
			want: dirsync.Error{Kind: dirsync.Invalid, Field: "businessPhones", Value: `["1","2"]`}, says: []string{"has 2 entries, and 1 at the most"}},
		"a long department": {change: update(1, field("department", text(strings.Repeat("ä", 65)))),
			want: dirsync.Error{Kind: dirsync.Invalid, Field: "department", Value: strings.Repeat("ä", 65)}, says: []string{"longer than 64 characters"}},
		"a country in words": {change: update(1, field("usageLocation", text("de"))),
			want: dirsync.Error{Kind: dirsync.Invalid, Field: "usageLocation", Value: "de"}, says: []string{"ISO 3166"}},
		"a country that there is not": {faults: graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.UpdateUser, Fault: graphtest.Fault{Status: 400,
			Body: `{"error":{"code":"Request_BadRequest","message":"Invalid value specified for property 'usageLocation' of resource 'User'."}}`}}}}, change: update(1, field("usageLocation", text("XX"))),
			want: dirsync.Error{Kind: dirsync.Invalid, Field: "usageLocation", Value: "XX"}, says: []string{"Change usageLocation"}},
		"an address that goes": {change: update(1, field("mail", dirsync.Value{})),
			want: dirsync.Error{Kind: dirsync.Invalid, Field: "mail"}, says: []string{"cannot be cleared"}},
		"mastered on premises": {tenant: func(w *graphtest.Tenant) { w.Update(w.IDs()[1], map[string]any{"onPremisesSyncEnabled": true}) }, change: update(2, field("department", text("X"))),
			want: dirsync.Error{Kind: dirsync.Invalid}, says: []string{"on-premises mastered", "synchronised from an on-premises directory"}},
		"an administrator": {tenant: func(w *graphtest.Tenant) {
			ids := w.IDs()
			w.Set(func(w *graphtest.Tenant) { w.Administrators = ids[:1] })
		},
			change: dirsync.Change{Kind: dirsync.Deactivate, Person: person(1)}, want: dirsync.Error{Kind: dirsync.Permission}, says: []string{"higher role", "Leave this person out"}},
		"no permission": {tenant: func(w *graphtest.Tenant) { w.Set(func(w *graphtest.Tenant) { w.Roles = []string{"User.Read.All"} }) }, change: update(1, field("department", text("X"))),
			want: dirsync.Error{Kind: dirsync.Permission}, says: []string{"User.ReadWrite.All is needed: ", "User.ReadUpdate.All is the least", "granted User.Read.All"}},
		"nobody": {change: update(9, field("department", text("X"))), want: dirsync.Error{Kind: dirsync.NotFound}, says: []string{"has no account"}},
		"an account that is not there": {change: dirsync.Change{Kind: dirsync.Update, Person: person(1), Account: "11111111-2222-4333-8444-555555555555", After: valuesOf(1)},
			want: dirsync.Error{Kind: dirsync.NotFound}, says: []string{"11111111-2222-4333-8444-555555555555 is not there"}},
		"blocking is off": {cfg: func(c *graph.WriterConfig) { c.AllowBlock = false }, change: dirsync.Change{Kind: dirsync.Deactivate, Person: person(1)},
			want: dirsync.Error{Kind: dirsync.Invalid}, says: []string{"switched off", "Nothing was sent"}},
		"deleting is off": {cfg: func(c *graph.WriterConfig) { c.AllowDelete = false }, change: dirsync.Change{Kind: dirsync.Delete, Person: person(1)},
			want: dirsync.Error{Kind: dirsync.Invalid}, says: []string{"switched off", "Nothing was sent"}},
		"another person's account": {change: dirsync.Change{Kind: dirsync.Create, Person: person(3), Account: "1", After: valuesOf(3)},
			want: dirsync.Error{Kind: dirsync.Conflict, Field: anchor, Value: string(person(1)), Other: string(person(1))}},
		"an id that is too long": {cfg: func(c *graph.WriterConfig) { c.Anchor = "employeeId" }, change: joiner(3),
			want: dirsync.Error{Kind: dirsync.Invalid, Field: "employeeId", Value: string(person(3))}, says: []string{"Choose another anchor"}},
		"the service is down": {faults: graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.UpdateUser, Fault: graphtest.Fault{Status: 503}}}}, change: update(1, field("department", text("X"))),
			want: dirsync.Error{Kind: dirsync.Unavailable}, says: []string{"it may have taken effect"}},
		"every password is refused": {faults: graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.CreateUser, Fault: graphtest.Fault{Status: 400,
			Body: `{"error":{"code":"Request_BadRequest","message":"The specified password does not comply with password complexity requirements. Please provide a different password."}}`}}}},
			change: joiner(3), want: dirsync.Error{Kind: dirsync.Invalid}, says: []string{"password protection"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := inProcess(t, writable())
			ids := w.Add(graphtest.User{"userPrincipalName": "p1@a.example", "displayName": "One", anchor: string(person(1)), "mail": "one@a.example",
				"proxyAddresses": []string{"SMTP:one@a.example", "smtp:old@a.example"}},
				graphtest.User{"userPrincipalName": "p2@a.example", "displayName": "Two", anchor: string(person(2))})
			if test.tenant != nil {
				test.tenant(w.Tenant)
			}
			w.SetFaults(test.faults)
			cfg := writing("department", "mail", "businessPhones", "usageLocation", "manager")
			if test.cfg != nil {
				test.cfg(&cfg)
			}
			target := writer(t, w.client, cfg)
			before := w.Users()
			if test.change.Account == "1" {
				test.change.Account = ids[0]
			}
			_, err := target.Apply(t.Context(), test.change)
			e, ok := errors.AsType[*dirsync.Error](err)
			if !ok {
				t.Fatalf("got %v, want an *Error", err)
			}
			if test.want.Other == "1" {
				test.want.Other = ids[0]
			}
			if got, want := fmt.Sprint(e.Kind, "|", e.Field, "|", e.Value, "|", e.Other), fmt.Sprint(test.want.Kind, "|", test.want.Field, "|", test.want.Value, "|", test.want.Other); got != want {
				t.Errorf("got %s\nwant %s\n%v", got, want, err)
			}
			if e.ID != test.change.Person || !strings.HasPrefix(e.Error(), test.change.Kind.String()+" user ("+string(test.change.Person)+"): ") {
				t.Errorf("got %v, want what was done and for whom", err)
			}
			for _, part := range test.says {
				if said := fmt.Sprint(err, "\n", dirsync.HintOf(err)); !strings.Contains(said, part) {
					t.Errorf("%q is not in %s", part, said)
				}
			}
			if after := w.Users(); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("something was changed:\n%v\n%v", before, after)
			}
			if strings.HasSuffix(name, " is off") && w.Requests().Total > 0 {
				t.Errorf("%d requests were sent", w.Requests().Total)
			}
		})
	}
}

// What an administrator's account or one from on premises holds already need not be allowed: only the differences count.
func TestWriterAdoptsWhatIsSheltered(t *testing.T) {
	w := inProcess(t, writable())
	ids := w.Add(graphtest.User{"userPrincipalName": "p1@a.example", "displayName": "Person 1", "mobilePhone": "+49 30 1"},
		graphtest.User{"userPrincipalName": "p2@a.example", "displayName": "Person 2", "mobilePhone": "+49 30 2", "onPremisesSyncEnabled": true})
	w.Set(func(w *graphtest.Tenant) { w.Administrators = ids[:1] })
	target := writer(t, w.client, writing("mobilePhone"))
	for i, id := range ids {
		c := joiner(i+1, field("mobilePhone", text(fmt.Sprint("+49 30 ", i+1))))
		c.Account = id
		a, err := target.Apply(t.Context(), c)
		if err != nil || a.ID != id || a.Source != person(i+1) || !a.Active {
			t.Errorf("got %+v, %v", a, err)
		}
		c.After = valuesOf(i+1, field("mobilePhone", text("+49 30 99")))
		if _, err := target.Apply(t.Context(), c); err == nil {
			t.Errorf("a change of %s was not refused", id)
		}
	}
}

// A new account gets a random password that has to be changed, and it is delivered once, to whoever asked for it, however
// often answers are lost. It is nowhere else.
func TestWriterPasswords(t *testing.T) {
	for name, fault := range map[string]graphtest.Fault{
		"all is well": {}, "applied and lost": {Status: 504, Apply: true}, "lost": {Status: 503}, "cut off": {Reset: true}, "throttled": graphtest.Throttled("3"),
		"echoed":  {Status: 400, Body: "echo"},
		"refused": {Status: 400, Body: `{"error":{"code":"Request_BadRequest","message":"The specified password does not comply with password complexity requirements."}}`},
	} {
		t.Run(name, func(t *testing.T) {
			log, fired := &lockedBuffer{}, false
			var sent []string
			tenant := writable()
			tenant.Hook = func(r *http.Request) graphtest.Fault {
				if r.Method != http.MethodPost || r.URL.Path != "/v1.0/users" {
					return graphtest.Fault{}
				}
				var b bytes.Buffer
				_, _ = b.ReadFrom(r.Body)
				r.Body = struct {
					*bytes.Reader
					nopCloser
				}{bytes.NewReader(b.Bytes()), nopCloser{}}
				var doc struct{ PasswordProfile struct{ Password string } }
				if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
					t.Error(err)
				}
				sent = append(sent, doc.PasswordProfile.Password)
				if fired && name != "echoed" {
					return graphtest.Fault{}
				}
				fired = true
				f := fault
				if f.Body == "echo" {
					f.Body = `{"error":{"code":"Request_BadRequest","message":"Property passwordProfile is invalid: ` + doc.PasswordProfile.Password + `"}}`
				}
				return f
			}
			w := inProcess(t, tenant, func(c *graph.Config) { c.Log = zerolog.New(log).Level(zerolog.TraceLevel) })
			var delivered []string
			cfg := writing()
			cfg.Passwords.Deliver = func(_ context.Context, account, upn, password string) error {
				delivered = append(delivered, password)
				if ok, must := w.SignsIn(account, password); !ok || !must || upn != "p1@a.example" {
					t.Errorf("%s signs in: %v, must change: %v", upn, ok, must)
				}
				return nil
			}
			target := writer(t, w.client, cfg)
			a, err := target.Apply(t.Context(), joiner(1))
			said := fmt.Sprintf("%v %+v %s %+v %v", err, err, dirsync.HintOf(err), a, log)
			want := 1
			if name == "echoed" {
				want = 0
			}
			if (err == nil) != (want == 1) || len(delivered) != want || len(w.Users()) != want {
				t.Fatalf("got %v, %d passwords and %d users, want %d", err, len(delivered), len(w.Users()), want)
			}
			for _, p := range sent {
				if len(p) < 24 || strings.Contains(said, p) {
					t.Errorf("the password %q is short, or told in %s", p, said)
				}
			}
			if len(sent) == 0 || log.String() == "" {
				t.Errorf("%d passwords were seen, and %d bytes logged", len(sent), len(log.String()))
			}
		})
	}
}

type nopCloser struct{}

func (nopCloser) Close() error { return nil }

// Whoever cannot deliver a password is told, without the password; the account is there, and is adopted the next time.
func TestWriterPasswordIsNotDelivered(t *testing.T) {
	w := inProcess(t, writable())
	cfg, secret := writing(), ""
	cfg.Passwords.Deliver = func(_ context.Context, _, _, password string) error {
		secret = password
		return errors.New("no mail today for " + password)
	}
	target := writer(t, w.client, cfg)
	_, err := target.Apply(t.Context(), joiner(1))
	said := fmt.Sprint(err, dirsync.HintOf(err))
	if dirsync.KindOf(err) != dirsync.Unavailable || strings.Contains(said, secret) || !strings.Contains(said, "no mail today for ***") || !strings.Contains(said, "Reset the password of p1@a.example") {
		t.Errorf("got %s", said)
	}
	if a, err := target.Apply(t.Context(), joiner(1)); err != nil || a.Source != person(1) || len(w.Users()) != 1 {
		t.Errorf("got %+v, %v", a, err)
	}
}

// A long pause is not waited out here: the error says until when, and nothing more is sent.
func TestWriterParks(t *testing.T) {
	for name, fault := range map[string]graphtest.Rule{
		"a write": {On: graphtest.UpdateUser, Skip: 30, Fault: graphtest.Throttled("1800")},
		"a batch": {On: graphtest.Batch, Skip: 6, Fault: graphtest.Throttled("1800")}, // the accounts are looked for in four
	} {
		t.Run(name, func(t *testing.T) {
			w := inProcess(t, writable())
			target := writer(t, w.client, writing("department"))
			changes := people1000(t, w, target, 1000)
			w.SetFaults(graphtest.Faults{Rules: []graphtest.Rule{fault}})
			w.ResetRequests()
			began := w.clock.Now()
			out := target.ApplyAll(t.Context(), changes)
			done, late := 0, 0
			for _, a := range out {
				switch e, _ := errors.AsType[*dirsync.Error](a.Err); {
				case a.Err == nil:
					done++
				case e.Kind == dirsync.Throttled && !e.RetryAt.Before(began.Add(30*time.Minute)) && e.Hint != "":
					late++
				default:
					t.Fatalf("got %v (%v), retry at %v", a.Err, e.Kind, e.RetryAt)
				}
			}
			if got := w.Requests(); done == 0 || late == 0 || done+late != 1000 || got.Batch > 12 || w.clock.Now().Sub(began) > time.Minute {
				t.Errorf("%d done, %d late, after %v and %+v", done, late, w.clock.Now().Sub(began), got)
			}
		})
	}
}

// people1000 are n people who are there, each with a change of one value of which it is known what it was.
func people1000(t testing.TB, w *world, target *graph.Writer, n int) []dirsync.Change {
	t.Helper()
	w.Generate(n, 1)
	changes := make([]dirsync.Change, n)
	for i, id := range w.IDs() {
		changes[i] = dirsync.Change{Kind: dirsync.Update, Person: person(i), Account: id,
			Before: dirsync.Values{{Field: "department", Value: text("old")}}, After: dirsync.Values{{Field: "department", Value: text(fmt.Sprint("D", i))}}}
	}
	if _, err := target.Fields(t.Context()); err != nil {
		t.Fatal(err)
	}
	return changes
}

// A thousand changes cost fifty batches, and each that is throttled is sent once more, alone.
func TestWriterCost(t *testing.T) {
	for name, test := range map[string]struct {
		rule                    graphtest.Rule
		batches, inner, seconds int
	}{
		"all is well": {batches: 50, inner: 1000},
		"some are throttled": {rule: graphtest.Rule{On: graphtest.UpdateUser, Every: 10, Times: 40, Fault: graphtest.Throttled("7")},
			batches: 60, inner: 1040, seconds: 7},
	} {
		t.Run(name, func(t *testing.T) {
			w := inProcess(t, writable())
			target := writer(t, w.client, writing("department"))
			changes := people1000(t, w, target, 1000)
			w.SetFaults(graphtest.Faults{Rules: []graphtest.Rule{test.rule}})
			w.ResetRequests()
			before := target.Requests()
			for i, a := range target.ApplyAll(t.Context(), changes) {
				if a.Err != nil {
					t.Fatalf("change %d: %v", i, a.Err)
				}
			}
			got := w.Requests()
			if got.Batch > test.batches || got.Inner != test.inner || got.Total != got.Batch || target.Requests()-before != got.Total {
				t.Errorf("got %+v and %d counted, want %d batches of %d requests", got, target.Requests()-before, test.batches, test.inner)
			}
			for i, u := range w.Users() {
				if got, want := string(u["department"].(json.RawMessage)), fmt.Sprintf("%q", fmt.Sprint("D", i)); got != want {
					t.Fatalf("got %s, want %s", got, want)
				}
			}
		})
	}
}

// New people cost their look-ups, fifteen with a request, their accounts and their managers.
func TestWriterCostOfJoiners(t *testing.T) {
	w := inProcess(t, writable())
	target := writer(t, w.client, writing("manager"))
	if _, err := target.Fields(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.clock.pass(time.Minute) // until what was before is known
	var changes []dirsync.Change
	for n := range 300 {
		changes = append(changes, joiner(n, field("manager", dirsync.Value{Type: dirsync.Reference, Text: string(person(n / 10))})))
	}
	changes[0].After = changes[0].After.Set("manager", dirsync.Value{})
	slices.Reverse(changes) // those who report come before those to whom
	w.ResetRequests()
	for i, a := range target.ApplyAll(t.Context(), changes) {
		if a.Err != nil {
			t.Fatalf("change %d: %v", i, a.Err)
		}
	}
	got := w.Requests()
	if got.List != 20 || got.CreateUser != 300 || got.ChangeManager != 299 || got.Batch > 1+15+15 || target.Waiting() != 0 {
		t.Errorf("got %+v, and %d wait", got, target.Waiting())
	}
}

// The limit of writes is kept without meeting it.
func TestWriterKeepsThePace(t *testing.T) {
	w := inProcess(t, writable())
	target := writer(t, w.client, writing("department"))
	changes := people1000(t, w, target, 4000)
	w.SetFaults(graphtest.Faults{EnforceWrites: true})
	w.ResetRequests()
	began := w.clock.Now()
	for i, a := range target.ApplyAll(t.Context(), changes) {
		if a.Err != nil {
			t.Fatalf("change %d: %v", i, a.Err)
		}
	}
	if got, took := w.Requests(), w.clock.Now().Sub(began); got.Throttled != 0 || took < 150*time.Second || took > 160*time.Second {
		t.Errorf("took %v with %+v", took, got)
	}
}
