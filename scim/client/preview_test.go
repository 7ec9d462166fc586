package client_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"dirsync"
	"dirsync/scim"
	"dirsync/scim/client"
	"dirsync/scim/scimtest"
)

// recorder keeps the requests that write.
type recorder struct {
	http.RoundTripper
	sent []dirsync.Sending
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodGet {
		s := dirsync.Sending{Method: req.Method, Path: strings.TrimPrefix(req.URL.EscapedPath(), "/scim/v2")}
		if req.Body != nil {
			s.Body, _ = io.ReadAll(req.Body)
			req.Body = io.NopCloser(bytes.NewReader(s.Body))
		}
		r.sent = append(r.sent, s)
	}
	return r.RoundTripper.RoundTrip(req)
}

// What a preview shows is what is then sent, in every dialect, and a preview sends nothing.
func TestPreviewIsWhatIsSent(t *testing.T) {
	boss := dirsync.FieldValue{Field: "manager", Value: dirsync.Value{Type: dirsync.Reference, Text: string(id(1))}}
	changes := func(account string) []dirsync.Change {
		first := values("Ada", "King", "ada@a.example")
		return []dirsync.Change{
			{Kind: dirsync.Create, Person: id(2), After: first.With(dirsync.Values{boss})},
			{Kind: dirsync.Update, Person: id(2), Account: account, Before: first, After: values("Ada", "Lovelace", "ada@a.example")},
			{Kind: dirsync.Deactivate, Person: id(2), Account: account},
			{Kind: dirsync.Reactivate, Person: id(2), Account: account},
			{Kind: dirsync.Delete, Person: id(2), Account: account, Before: first},
		}
	}
	for name, profile := range map[string]client.Profile{
		"by the book": {}, "one operation a request": {Dialect: scim.Dialect{MaxOperations: 1}},
		"Entra's own dialect": {Dialect: scim.Dialect{Together: true, Dotted: true, Capitalized: true, TextBooleans: true}},
	} {
		t.Run(name, func(t *testing.T) {
			watch := &recorder{}
			c := open(t, scimtest.New(), func(cfg *client.Config) {
				profile.PerSecond = 1e6
				cfg.Profile = profile
				cfg.Fields = append(client.DefaultFields(), client.FieldPath{
					Field: dirsync.Field{Name: "manager", Type: dirsync.Reference}, Path: scim.EnterpriseURN + ":manager"})
				watch.RoundTripper = cfg.Transport
				cfg.Transport = watch
			})
			manager, err := c.Apply(t.Context(), dirsync.Change{Kind: dirsync.Create, Person: id(1), After: values("Boss", "One", "boss@a.example")})
			if err != nil {
				t.Fatal(err)
			}
			account := ""
			for n := range changes("") {
				ch := changes(account)[n]
				watch.sent = nil
				shown, err := c.Preview(t.Context(), ch)
				if err != nil || len(watch.sent) > 0 {
					t.Fatalf("%s: Preview answers %v and sends %v", ch.Kind, err, watch.sent)
				}
				a, err := c.Apply(t.Context(), ch)
				if err != nil {
					t.Fatalf("%s: %v", ch.Kind, err)
				}
				if account == "" {
					account = a.ID
				}
				if got, want := plainly(t, shown, manager.ID), plainly(t, watch.sent, manager.ID); !reflect.DeepEqual(got, want) {
					t.Errorf("%s: shown\n%v\nsent\n%v", ch.Kind, got, want)
				}
			}
		})
	}
}

func TestPreviewRefusesWhatApplyRefuses(t *testing.T) {
	c := open(t, scimtest.New(), func(cfg *client.Config) { cfg.Profile.NoUpdate = true })
	for _, ch := range []dirsync.Change{
		{Kind: dirsync.Create, Person: id(1), After: dirsync.Values{{Field: dirsync.FirstName, Value: dirsync.Value{Type: dirsync.Text, Text: "Ada"}}}},
		{Kind: dirsync.Update, Person: id(1), Account: "7", After: values("Ada", "King", "ada@a.example")},
	} {
		shown, err := c.Preview(t.Context(), ch)
		if dirsync.KindOf(err) != dirsync.Invalid || len(shown) > 0 {
			t.Errorf("%s: got %v, %v; want an error of kind Invalid", ch.Kind, shown, err)
		}
	}
}

// plainly makes requests comparable; the manager's account may be shown as a word.
func plainly(t *testing.T, all []dirsync.Sending, manager string) []any {
	t.Helper()
	var out []any
	for _, s := range all {
		var body any
		if len(s.Body) > 0 {
			text := strings.ReplaceAll(string(s.Body), `"`+manager+`"`, `"<the account of whom this names>"`)
			if err := json.Unmarshal([]byte(text), &body); err != nil {
				t.Fatalf("%s: %v", s.Body, err)
			}
		}
		out = append(out, s.Method, s.Path, body)
	}
	return out
}
