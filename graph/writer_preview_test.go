package graph_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"dirsync"
	"dirsync/graph"
	"dirsync/graph/graphtest"
)

// writes keeps the requests that write, out of batches.
type writes struct {
	http.RoundTripper
	sent []dirsync.Sending
}

func (w *writes) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/$batch") {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		var doc struct {
			Requests []struct {
				Method, URL string
				Body        json.RawMessage
			}
		}
		if err := json.Unmarshal(body, &doc); err != nil {
			return nil, err
		}
		for _, one := range doc.Requests {
			if one.Method != http.MethodGet {
				w.sent = append(w.sent, dirsync.Sending{Method: one.Method, Path: one.URL, Body: one.Body})
			}
		}
	}
	return w.RoundTripper.RoundTrip(r)
}

// What a preview shows is what is then sent, password and ids aside, and a preview writes nothing.
func TestWriterPreviewIsWhatIsSent(t *testing.T) {
	watch := &writes{}
	world := inProcess(t, writable(), func(c *graph.Config) { watch.RoundTripper, c.Transport = c.Transport, watch })
	target := writer(t, world.client, writing("department", "mail", "businessPhones", "employeeOrgData/division", "manager"))
	boss, err := target.Apply(t.Context(), joiner(9))
	if err != nil {
		t.Fatal(err)
	}
	text := func(s string) dirsync.Value { return dirsync.Value{Type: dirsync.Text, Text: s} }
	stranger := world.Add(graphtest.User{"displayName": "Strange R", "userPrincipalName": "user2@a.example"})[0]
	full := joiner(1, field("department", text("Sales <& more>")), field("businessPhones", dirsync.NewList([]string{"+49 30 1"})),
		field("employeeOrgData/division", text("North")), field("manager", dirsync.Value{Type: dirsync.Reference, Text: string(person(9))}))
	account := ""
	for _, test := range []struct {
		name   string
		change func() dirsync.Change
	}{
		{"create", func() dirsync.Change { return full }},
		{"update", func() dirsync.Change {
			return dirsync.Change{Kind: dirsync.Update, Person: person(1), Account: account, Before: full.After,
				After: dirsync.Values{field("department", dirsync.Value{}), field("manager", dirsync.Value{})}}
		}},
		{"deactivate", func() dirsync.Change {
			return dirsync.Change{Kind: dirsync.Deactivate, Person: person(1), Account: account}
		}},
		{"reactivate", func() dirsync.Change {
			return dirsync.Change{Kind: dirsync.Reactivate, Person: person(1), Account: account, Before: full.After, After: dirsync.Values{field("department", text("IT"))}}
		}},
		{"delete", func() dirsync.Change {
			return dirsync.Change{Kind: dirsync.Delete, Person: person(1), Account: account}
		}},
		{"adopt", func() dirsync.Change { c := joiner(2); c.Account = stranger; return c }},
	} {
		c := test.change()
		watch.sent = nil
		shown, err := target.Preview(t.Context(), c)
		if err != nil || len(watch.sent) > 0 {
			t.Fatalf("%s: Preview answers %v and writes %v", test.name, err, watch.sent)
		}
		a, err := target.Apply(t.Context(), c)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if account == "" {
			account = a.ID
		}
		ids := strings.NewReplacer(boss.ID, "BOSS", "<the manager's account>", "BOSS", account, "NEW", "<the new account>", "NEW")
		if got, want := compared(t, shown, ids), compared(t, watch.sent, ids); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: shown\n%v\nsent\n%v", test.name, got, want)
		}
		for _, s := range shown {
			if strings.Contains(string(s.Body), "passwordProfile") && !strings.Contains(string(s.Body), `"password":"<made up>"`) {
				t.Errorf("%s: a password is shown: %s", test.name, s.Body)
			}
		}
	}
}

// compared makes requests of them that can be compared.
func compared(t *testing.T, all []dirsync.Sending, ids *strings.Replacer) []any {
	t.Helper()
	var out []any
	for _, s := range all {
		var body any
		if len(s.Body) > 0 {
			if err := json.Unmarshal([]byte(ids.Replace(string(s.Body))), &body); err != nil {
				t.Fatalf("%s: %v", s.Body, err)
			}
		}
		if object, ok := body.(map[string]any); ok {
			if profile, ok := object["passwordProfile"].(map[string]any); ok {
				profile["password"] = "made up"
			}
		}
		out = append(out, s.Method, ids.Replace(s.Path), body)
	}
	return out
}

func TestWriterPreviewRefusesWhatApplyRefuses(t *testing.T) {
	target := writer(t, inProcess(t, writable()).client, graph.WriterConfig{Properties: []string{"displayName", "userPrincipalName"}})
	nameless := joiner(1)
	nameless.After = nameless.After[:1]
	for name, c := range map[string]dirsync.Change{
		"blocking is off": {Kind: dirsync.Deactivate, Account: string(person(1))}, "deleting is off": {Kind: dirsync.Delete, Account: string(person(1))},
		"no name": nameless,
	} {
		shown, err := target.Preview(t.Context(), c)
		if dirsync.KindOf(err) != dirsync.Invalid || len(shown) > 0 {
			t.Errorf("%s: got %v, %v; want an error of kind Invalid", name, shown, err)
		}
	}
}

// Whose manager is not there yet is told once, and written as soon as they are.
func TestWriterTellsWhoseManagerIsNotThere(t *testing.T) {
	target := writer(t, inProcess(t, writable()).client, writing("manager"))
	_, err := target.Apply(t.Context(), joiner(1, field("manager", dirsync.Value{Type: dirsync.Reference, Text: string(person(2))})))
	if err != nil {
		t.Fatal(err)
	}
	want := map[dirsync.ID][]string{person(1): {"manager"}}
	if got := target.Unresolved(); !reflect.DeepEqual(got, want) {
		t.Errorf("unresolved are %v, want %v", got, want)
	}
	if again := target.Unresolved(); len(again) > 0 || target.Waiting() > 0 {
		t.Errorf("told twice: %v", again)
	}
}
